//! Planned maintenance: each host is due once in a period, the hosts of a pool one after the other.
//!
//! Where VMs can be migrated live, a host's VMs stand still for a moment and go on on a spare host: nothing
//! else changes. Otherwise the host drains: nothing starts there, its jobs run out, then it is down for the
//! time of the work. What a draining host has free is down already.

use super::guests::Guests;
use super::meter::Meter;
use super::model::Timer;
use super::withheld::{Slots, Withheld};
use crate::cluster::{ClusterSpec, Conflict};
use crate::ids::{Id, NodeId, PoolId};
use crate::kernel::{Calendar, Phase};
use crate::scheduler::Floor;
use crate::tenancy::{Maintenance, RunTenancy};
use crate::time::{SimDuration, SimTime};

/// Slots on the floor from here on (jobs count from 0, VMs that are not up from 2^31, outages from the end).
const FIRST_SLOT: u32 = 3 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Resting,
    Draining,
    Working,
}

#[derive(Debug)]
struct HostWork {
    host: u32,
    pool: PoolId,
    nodes: std::ops::Range<u32>,
    spec: Maintenance,
    due: SimTime,
    state: State,
    withheld: Withheld,
}

/// All hosts with planned maintenance.
#[derive(Debug)]
pub(super) struct Upkeep {
    rows: Vec<HostWork>,
    slots: Slots,
    draining: usize,
}

impl Upkeep {
    /// The hosts of `spec` that are due now and then; `None` where there is none.
    pub(super) fn new(
        spec: &RunTenancy,
        cluster: &ClusterSpec,
        guests: &Guests<'_>,
        from: SimTime,
    ) -> Option<Self> {
        let mut rows: Vec<HostWork> = Vec::new();
        let mut first = 0;
        for (at, pool) in cluster.pools.iter().enumerate() {
            let begin = rows.len();
            if let Some(maintenance) = spec.pools[PoolId::new(at)].maintenance {
                for node in first..first + pool.count {
                    let host = guests.host_of(NodeId(node));
                    match rows.last_mut().filter(|row| row.host == host) {
                        Some(row) => row.nodes.end = node + 1,
                        None => rows.push(HostWork {
                            host,
                            pool: PoolId::new(at),
                            nodes: node..node + 1,
                            spec: maintenance,
                            due: from,
                            state: State::Resting,
                            withheld: Withheld::default(),
                        }),
                    }
                }
            }
            let hosts = (rows.len() - begin) as i64;
            for (number, row) in (1..).zip(&mut rows[begin..]) {
                let part = i128::from(row.spec.every.micros()) * i128::from(number) / i128::from(hosts);
                row.due = from + SimDuration::from_micros(part as i64);
            }
            first += pool.count;
        }
        (!rows.is_empty()).then_some(Self { rows, slots: Slots::from(FIRST_SLOT), draining: 0 })
    }

    pub(super) fn prepare(&self, calendar: &mut Calendar<Timer>) {
        for (at, row) in self.rows.iter().enumerate() {
            calendar.set(Timer::Upkeep(at as u32), row.due, Phase::NodeUp);
        }
    }

    /// Nothing is left to do on the cluster: no further maintenance.
    pub(super) fn stop(&self, calendar: &mut Calendar<Timer>) {
        for (at, row) in self.rows.iter().enumerate() {
            if row.state == State::Resting {
                calendar.cancel(Timer::Upkeep(at as u32));
            }
        }
    }

    /// A host is due, or its work is done.
    pub(super) fn fire(
        &mut self,
        at: u32,
        now: SimTime,
        guests: &mut Guests<'_>,
        (floor, meter): (&mut Floor, &mut Meter),
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        let row = &mut self.rows[at as usize];
        match (row.state, row.spec.stun) {
            (State::Resting, Some(stun)) => {
                guests.stun(row.host, stun, now, calendar);
                row.due = row.due + row.spec.every;
                calendar.set(Timer::Upkeep(at), row.due, Phase::NodeUp);
            }
            (State::Resting, None) => {
                row.state = State::Draining;
                self.draining += 1;
            }
            (State::Draining, _) => {}
            (State::Working, _) => {
                row.withheld.release(row.pool, floor, meter)?;
                row.state = State::Resting;
                row.due = (row.due + row.spec.every).max(now);
                calendar.set(Timer::Upkeep(at), row.due, Phase::NodeUp);
            }
        }
        Ok(())
    }

    /// Takes what is free on draining hosts; before every pass.
    pub(super) fn absorb(
        &mut self,
        now: SimTime,
        (floor, meter): (&mut Floor, &mut Meter),
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        if self.draining == 0 {
            return Ok(());
        }
        for (at, row) in self.rows.iter_mut().enumerate().filter(|(_, row)| row.state == State::Draining) {
            for node in row.nodes.clone().map(NodeId) {
                row.withheld.take((node, row.pool), SimTime::MAX, &mut self.slots, floor, meter)?;
            }
            if row.is_empty_of_jobs(floor) {
                let until = now + row.spec.duration;
                row.withheld.release(row.pool, floor, meter)?;
                for node in row.nodes.clone().map(NodeId) {
                    row.withheld.take((node, row.pool), until, &mut self.slots, floor, meter)?;
                }
                row.state = State::Working;
                self.draining -= 1;
                calendar.set(Timer::Upkeep(at as u32), until, Phase::NodeUp);
            }
        }
        Ok(())
    }
}

impl HostWork {
    /// Whether only the maintenance is left on the host.
    fn is_empty_of_jobs(&self, floor: &Floor) -> bool {
        self.nodes
            .clone()
            .map(NodeId)
            .all(|node| floor.ledger().node(node).allocations as usize == self.withheld.on(node))
    }
}

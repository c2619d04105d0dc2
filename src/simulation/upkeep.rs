//! Planned maintenance: each host is due once in a period, the hosts of a pool one after the other.
//!
//! Where VMs can be migrated live, a host's VMs stand still for a moment and go on on a spare host: nothing
//! else changes. Otherwise the host drains: nothing starts there, its jobs run out, then it is down for the
//! time of the work. What a draining host has free is down already.

use super::guests::{Guests, HostRow};
use super::meter::Meter;
use super::run::Timer;
use super::run::ground::Ground;
use super::standing::{Diary, Standing};
use super::withheld::{Slots, Why, Withheld};
use crate::cluster::Conflict;
use crate::ids::NodeId;
use crate::kernel::{Calendar, Phase};
use crate::tenancy::Maintenance;
use crate::time::{SimDuration, SimTime};

/// Slots on the floor from here on (jobs count from 0, VMs that are not up from 2^31, outages from the end).
const FIRST_SLOT: u32 = 3 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Resting,
    Draining,
    Working,
}

/// A host with planned maintenance.
#[derive(Clone, Debug)]
pub(super) struct KeptHost {
    pub(super) row: HostRow<Maintenance>,
    /// When it is due next.
    pub(super) due: SimTime,
}

impl KeptHost {
    /// The hosts of all pools that have maintenance, from `from` on: those of a pool one after the other.
    pub(super) fn all(guests: &Guests<'_>, from: SimTime) -> Vec<Self> {
        let rows = guests.hosts_with(|tenancy| tenancy.maintenance).into_iter();
        let mut hosts: Vec<Self> = rows.map(|row| Self { row, due: from }).collect();
        for pool in hosts.chunk_by_mut(|a, b| a.row.pool == b.row.pool) {
            let count = pool.len() as i128;
            for (number, host) in (1..).zip(pool) {
                let part = i128::from(host.row.spec.every.micros()) * number / count;
                host.due = from + SimDuration::from_micros(part as i64);
            }
        }
        hosts
    }

    /// It is done, or was moved; tells when it is due again.
    pub(super) fn done(&mut self, now: SimTime) -> SimTime {
        self.due = (self.due + self.row.spec.every).max(now);
        self.due
    }
}

#[derive(Debug)]
struct HostWork<G: Ground> {
    host: KeptHost,
    state: State,
    withheld: Withheld<G>,
}

/// All hosts with planned maintenance.
#[derive(Debug)]
pub(super) struct Upkeep<G: Ground> {
    rows: Vec<HostWork<G>>,
    slots: Slots,
    draining: usize,
}

impl<G: Ground> Upkeep<G> {
    /// The hosts that are due now and then; `None` where there is none.
    pub(super) fn new(guests: &Guests<'_>, from: SimTime) -> Option<Self> {
        let row = |host| HostWork { host, state: State::Resting, withheld: Withheld::default() };
        let rows: Vec<HostWork<G>> = KeptHost::all(guests, from).into_iter().map(row).collect();
        (!rows.is_empty()).then_some(Self { rows, slots: Slots::from(FIRST_SLOT), draining: 0 })
    }

    pub(super) fn prepare(&self, calendar: &mut Calendar<Timer>) {
        for (at, row) in self.rows.iter().enumerate() {
            calendar.set(Timer::Upkeep(at as u32), row.host.due, Phase::NodeUp);
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

    /// How many timers of next maintenance there are, if no host is at it.
    pub(super) fn resting(&self) -> Option<usize> {
        self.rows.iter().all(|row| row.state == State::Resting).then_some(self.rows.len())
    }

    /// A host is due, or its work is done.
    pub(super) fn fire(
        &mut self,
        at: u32,
        now: SimTime,
        guests: &mut Guests<'_>,
        (ground, meter, diary): (&mut G, &mut Meter, &mut Diary),
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        let row = &mut self.rows[at as usize];
        match (row.state, row.host.row.spec.stun) {
            (State::Resting, Some(stun)) => {
                guests.stun(row.host.row.host, stun, now, calendar);
                calendar.set(Timer::Upkeep(at), row.host.done(now), Phase::NodeUp);
            }
            (State::Resting, None) => {
                row.state = State::Draining;
                self.draining += 1;
                diary.begin(row.host.row.nodes.clone(), Standing::Draining, now);
            }
            (State::Draining, _) => {}
            (State::Working, _) => {
                row.withheld.release(row.host.row.pool, ground, meter)?;
                row.state = State::Resting;
                diary.end(row.host.row.nodes.clone(), Standing::Maintenance, now);
                calendar.set(Timer::Upkeep(at), row.host.done(now), Phase::NodeUp);
            }
        }
        Ok(())
    }

    /// Takes what is free on draining hosts; before every pass.
    pub(super) fn absorb(
        &mut self,
        now: SimTime,
        (ground, meter, diary): (&mut G, &mut Meter, &mut Diary),
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        if self.draining == 0 {
            return Ok(());
        }
        for (at, row) in self.rows.iter_mut().enumerate().filter(|(_, row)| row.state == State::Draining) {
            let (nodes, pool) = (row.host.row.nodes.clone(), row.host.row.pool);
            for node in nodes.clone().map(NodeId) {
                let because = (Why::IsDown, SimTime::MAX);
                row.withheld.take((node, pool), because, &mut self.slots, ground, meter)?;
            }
            if row.is_empty_of_jobs(ground) {
                let until = now + row.host.row.spec.duration;
                row.withheld.release(pool, ground, meter)?;
                diary.end(nodes.clone(), Standing::Draining, now);
                diary.begin(nodes.clone(), Standing::Maintenance, now);
                for node in nodes.map(NodeId) {
                    row.withheld.take((node, pool), (Why::IsDown, until), &mut self.slots, ground, meter)?;
                }
                row.state = State::Working;
                self.draining -= 1;
                calendar.set(Timer::Upkeep(at as u32), until, Phase::NodeUp);
            }
        }
        Ok(())
    }
}

impl<G: Ground> HostWork<G> {
    /// Whether only the maintenance is left on the host.
    fn is_empty_of_jobs(&self, ground: &G) -> bool {
        let nodes = self.host.row.nodes.clone();
        nodes.map(NodeId).all(|node| ground.holders(node) as usize == self.withheld.on(node))
    }
}

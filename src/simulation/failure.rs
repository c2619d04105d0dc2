//! Hosts that fail: each for itself, at instants that nothing in the design changes.
//!
//! A failure takes the whole host, and with it all VMs and all jobs there; a job on several hosts is lost with any of
//! them. What it did since its last snapshot was in vain. Until the repair nothing starts on the host. How long it is up
//! and away is drawn by (seed, number of the host within its tenancy kind, number of the failure), see
//! `tenancy::failures`; who stays bad is the only thing that one failure leaves for the next.

use std::ops::Range;

use super::guests::{Guests, HostRow};
use super::meter::Meter;
use super::run::Timer;
use super::run::ground::Ground;
use super::standing::{Diary, Standing};
use super::withheld::{Slots, Withheld};
use crate::cluster::Conflict;
use crate::ids::NodeId;
use crate::kernel::{Calendar, Phase};
use crate::tenancy::failures::HostRate;
use crate::tenancy::{Failure, FailureLevel, Failures};
use crate::time::{SimDuration, SimTime};

/// Slots on the floor from here on (see [`Slots`]).
const FIRST_SLOT: u32 = (3 << 30) + (1 << 28);

/// A host that fails now and then.
#[derive(Clone, Debug)]
pub(super) struct FailingHost {
    pub(super) row: HostRow<Failures>,
    /// Whether its VMs are of an elastic pool: then they are gone while it is repaired, and nothing of it is down.
    pub(super) is_elastic: bool,
    /// Failures so far.
    number: u64,
    /// How often it fails.
    rate: HostRate,
}

impl FailingHost {
    /// The hosts of all pools whose hosts fail.
    pub(super) fn all(guests: &Guests<'_>, seed: u64) -> impl Iterator<Item = Self> {
        let rows = guests.hosts_with(|tenancy| tenancy.failures).into_iter();
        rows.map(move |row| {
            let rate = row.spec.rate_of(seed, row.ordinal);
            Self { is_elastic: guests.is_elastic(row.pool), row, number: 0, rate }
        })
    }

    /// Its next failure, or the one at work: time up before it, time down after it.
    pub(super) fn next(&self, seed: u64) -> Failure {
        self.row.spec.draw(seed, (self.row.ordinal, self.number), self.rate)
    }

    /// It is back; tells for how long it is up now.
    pub(super) fn repaired(&mut self, seed: u64) -> SimDuration {
        self.rate.is_bad &= !self.next(seed).fixes;
        self.number += 1;
        self.next(seed).up
    }
}

#[derive(Debug)]
struct Row<G: Ground> {
    host: FailingHost,
    /// While it is down: when the floor expects it back.
    down: Option<SimTime>,
    withheld: Withheld<G>,
}

/// All hosts that fail now and then.
#[derive(Debug)]
pub(super) struct HostFailures<G: Ground> {
    rows: Vec<Row<G>>,
    slots: Slots,
    down: usize,
    seed: u64,
}

/// A host that failed, or is repaired.
#[derive(Clone, Debug)]
pub(super) struct HostTurn {
    pub(super) host: u32,
    pub(super) nodes: Range<u32>,
    pub(super) fails: bool,
    /// Whether its jobs are queued again.
    pub(super) requeue: bool,
    /// Whether its VMs are of an elastic pool.
    pub(super) is_elastic: bool,
    /// What failed.
    pub(super) level: Option<FailureLevel>,
}

impl<G: Ground> HostFailures<G> {
    /// The hosts that fail; `None` where none does.
    pub(super) fn new(guests: &Guests<'_>, seed: u64) -> Option<Self> {
        let row = |host| Row { host, down: None, withheld: Withheld::default() };
        let rows: Vec<Row<G>> = FailingHost::all(guests, seed).map(row).collect();
        (!rows.is_empty()).then_some(Self { rows, slots: Slots::from(FIRST_SLOT), down: 0, seed })
    }

    /// Sets the first failure of every host.
    pub(super) fn prepare(&self, from: SimTime, calendar: &mut Calendar<Timer>) {
        for (at, row) in self.rows.iter().enumerate() {
            calendar.set(Timer::Host(at as u32), from + row.host.next(self.seed).up, Phase::Epoch);
        }
    }

    /// Nothing is left to do on the cluster: no further failure matters.
    pub(super) fn stop(&self, calendar: &mut Calendar<Timer>) {
        for at in 0..self.rows.len() {
            calendar.cancel(Timer::Host(at as u32));
        }
    }

    /// How many timers of next failures there are, if all hosts are up.
    pub(super) fn resting(&self) -> Option<usize> {
        (self.down == 0).then_some(self.rows.len())
    }

    /// A host fails, or is repaired.
    pub(super) fn fire(
        &mut self,
        at: u32,
        now: SimTime,
        (ground, meter, diary): (&mut G, &mut Meter, &mut Diary),
        calendar: &mut Calendar<Timer>,
    ) -> Result<HostTurn, Conflict> {
        let row = &mut self.rows[at as usize];
        let (of, is_elastic) = (&row.host.row, row.host.is_elastic);
        let (host, nodes, spec) = (of.host, of.nodes.clone(), of.spec);
        let fails = row.down.is_none();
        let failure = row.host.next(self.seed);
        if fails {
            row.down = Some(now + spec.expected_repair());
            self.down += 1;
            diary.begin(nodes.clone(), Standing::Failed, now);
            calendar.set(Timer::Host(at), now + failure.repair, Phase::NodeUp);
        } else {
            row.down = None;
            self.down -= 1;
            diary.end(row.host.row.nodes.clone(), Standing::Failed, now);
            row.withheld.release(row.host.row.pool, ground, meter)?;
            calendar.set(Timer::Host(at), now + row.host.repaired(self.seed), Phase::Epoch);
        }
        Ok(HostTurn { host, nodes, fails, requeue: spec.requeue, is_elastic, level: failure.level })
    }

    /// Takes what is free on hosts that are down; before every pass.
    pub(super) fn absorb(&mut self, ground: &mut G, meter: &mut Meter) -> Result<(), Conflict> {
        if self.down == 0 {
            return Ok(());
        }
        for row in self.rows.iter_mut().filter(|row| !row.host.is_elastic) {
            let Some(expected) = row.down else { continue };
            let (nodes, pool) = (row.host.row.nodes.clone(), row.host.row.pool);
            for node in nodes.map(NodeId) {
                row.withheld.take((node, pool), expected, &mut self.slots, ground, meter)?;
            }
        }
        Ok(())
    }
}

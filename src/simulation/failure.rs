//! Hosts that are not there for jobs: they failed, or are kept back for others that will.
//!
//! When is decided by the [`Fleet`]; here it is carried out on the floor. A failure takes the whole host, and with it
//! all VMs and all jobs there; a job on several hosts is lost with any of them. What it did since its last snapshot was
//! in vain. Until the repair nothing starts on the host, and nothing starts on one that is kept back: what is free there is
//! withheld, so no decider needs to know.

use std::collections::BTreeSet;
use std::ops::Range;

use super::fleet::{Fleet, Move, What};
use super::guests::Guests;
use super::meter::Meter;
use super::run::Timer;
use super::run::ground::Ground;
use super::standing::{Diary, Standing};
use super::withheld::{Slots, Why, Withheld};
use crate::cluster::Conflict;
use crate::ids::NodeId;
use crate::kernel::Calendar;
use crate::tenancy::FailureLevel;
use crate::time::SimTime;

/// Slots on the floor from here on (see [`Slots`]).
const FIRST_SLOT: u32 = (3 << 30) + (1 << 28);

/// What is withheld of a host.
#[derive(Debug)]
struct Row<G: Ground> {
    /// Why it is, and when the floor expects it back; `None` = it is there.
    why: Option<(Why, SimTime)>,
    withheld: Withheld<G>,
}

/// All hosts that fail now and then, or stand in for them.
#[derive(Debug)]
pub(super) struct HostFailures<G: Ground> {
    fleet: Fleet,
    rows: Vec<Row<G>>,
    /// The hosts that are not there.
    away: BTreeSet<u32>,
    slots: Slots,
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
    /// The hosts that fail or stand by; `None` where none does.
    pub(super) fn new(guests: &Guests<'_>, seed: u64, from: SimTime) -> Option<Self> {
        let fleet = Fleet::new(guests, seed, from);
        let rows = fleet.hosts().iter().map(|_| Row { why: None, withheld: Withheld::default() }).collect();
        let slots = Slots::from(FIRST_SLOT);
        (!fleet.is_empty()).then_some(Self { fleet, rows, away: BTreeSet::new(), slots })
    }

    /// Sets the first failure of every host, and keeps back those that stand by.
    pub(super) fn prepare(
        &mut self,
        now: SimTime,
        floor: (&mut G, &mut Meter, &mut Diary),
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        let moves = self.fleet.prepare(calendar);
        self.carry_out(&moves, now, floor).map(|_| ())
    }

    /// Nothing is left to do on the cluster: no further failure matters.
    pub(super) fn stop(&self, calendar: &mut Calendar<Timer>) {
        self.fleet.stop(calendar);
    }

    /// How many timers of next failures there are, if all hosts are up.
    pub(super) fn resting(&self) -> Option<usize> {
        self.fleet.resting()
    }

    /// Something is due; tells which hosts fail, and which are repaired.
    pub(super) fn fire(
        &mut self,
        at: u32,
        now: SimTime,
        floor: (&mut G, &mut Meter, &mut Diary),
        calendar: &mut Calendar<Timer>,
    ) -> Result<Vec<HostTurn>, Conflict> {
        let moves = self.fleet.fire(at, now, calendar);
        self.carry_out(&moves, now, floor)
    }

    /// A recorded outage of a node begins or ends: others may stand in for it.
    pub(super) fn note_outage(
        &mut self,
        (node, begins): (NodeId, bool),
        now: SimTime,
        floor: (&mut G, &mut Meter, &mut Diary),
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        let moves = self.fleet.note_outage(node, begins, now, calendar);
        self.carry_out(&moves, now, floor).map(|_| ())
    }

    fn carry_out(
        &mut self,
        moves: &[Move],
        now: SimTime,
        (ground, meter, diary): (&mut G, &mut Meter, &mut Diary),
    ) -> Result<Vec<HostTurn>, Conflict> {
        let mut turns = Vec::new();
        for Move { at, what } in moves {
            let host = &self.fleet.hosts()[*at as usize];
            let (nodes, is_elastic) = (host.row.nodes.clone(), host.is_elastic);
            let row = &mut self.rows[*at as usize];
            let turn = |fails, requeue, level| HostTurn {
                host: host.row.host,
                nodes: nodes.clone(),
                fails,
                requeue,
                is_elastic,
                level,
            };
            if row.why.is_some_and(|(why, _)| why != Why::IsDown) {
                diary.end(nodes.clone(), Standing::Spare, now);
            }
            // What was withheld for one reason is withheld anew for another.
            row.withheld.release(host.row.pool, ground, meter)?;
            match *what {
                What::Fails { level, requeue, expected } => {
                    row.why = Some((Why::IsDown, expected));
                    diary.begin(nodes.clone(), Standing::Failed, now);
                    turns.push(turn(true, requeue, level));
                }
                What::IsRepaired => {
                    row.why = None;
                    diary.end(nodes.clone(), Standing::Failed, now);
                    turns.push(turn(false, false, None));
                }
                What::IsKept { lent } => {
                    let why = if lent { Why::IsLent } else { Why::StandsBy };
                    row.why = Some((why, SimTime::MAX));
                    diary.begin(nodes.clone(), Standing::Spare, now);
                }
                What::Serves => row.why = None,
            }
            if row.why.is_some() && !is_elastic {
                self.away.insert(*at);
            } else {
                self.away.remove(at);
            }
        }
        Ok(turns)
    }

    /// Takes what is free on hosts that are not there; before every pass.
    pub(super) fn absorb(&mut self, ground: &mut G, meter: &mut Meter) -> Result<(), Conflict> {
        for at in &self.away {
            let (host, row) = (&self.fleet.hosts()[*at as usize], &mut self.rows[*at as usize]);
            let Some(because) = row.why else { continue };
            for node in host.row.nodes.clone().map(NodeId) {
                row.withheld.take((node, host.row.pool), because, &mut self.slots, ground, meter)?;
            }
        }
        Ok(())
    }
}

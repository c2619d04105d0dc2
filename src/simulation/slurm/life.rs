//! The life of hosts under Slurm's engine: failures and planned work, as commands that somebody gives in time.
//!
//! A host that fails takes its nodes DOWN: jobs there end, and are requeued as `JobRequeue` says. A host that is due for
//! planned work drains: its jobs run out, then it is worked on; where its VMs can be moved, they stand still for a
//! moment instead. Afterwards the nodes are IDLE. When is as under every other policy.

use std::ops::Range;

use super::threads::Timer;
use crate::kernel::{Calendar, Phase};
use crate::scheduler::slurm::NodeChange;
use crate::simulation::failure::FailingHost;
use crate::simulation::guests::{ByLevel, Guests, count_level};
use crate::simulation::standing::{Diary, Standing};
use crate::simulation::upkeep::KeptHost;
use crate::time::{SimDuration, SimTime};

/// A run in which only hosts come and go, and nothing else for so many times as long as one is away, is over.
const PATIENCE: i64 = 100;

/// Nodes that are out of order from an instant on, or no longer.
#[derive(Clone, Debug)]
pub(super) struct Spell {
    pub(super) at: SimTime,
    pub(super) nodes: Range<u32>,
    pub(super) begins: bool,
}

/// What becomes of the nodes of a host.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) nodes: Range<u32>,
    pub(super) change: NodeChange,
    /// Whether they are VMs of an elastic pool: then they are gone, and not down.
    pub(super) is_elastic: bool,
}

#[derive(Debug)]
enum Plan {
    Fails(Box<FailingHost>),
    IsKept(KeptHost),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In order, as far as this plan goes.
    Up,
    Draining,
    Off,
}

#[derive(Debug)]
struct Row {
    plan: Plan,
    state: State,
}

impl Row {
    fn host(&self) -> (u32, &Range<u32>) {
        match &self.plan {
            Plan::Fails(host) => (host.row.host, &host.row.nodes),
            Plan::IsKept(host) => (host.row.host, &host.row.nodes),
        }
    }

    /// How long it is away, about.
    fn away(&self) -> SimDuration {
        match &self.plan {
            Plan::Fails(host) => host.row.spec.expected_repair(),
            Plan::IsKept(host) => host.row.spec.duration,
        }
    }
}

/// All hosts that fail or are worked on.
#[derive(Debug, Default)]
pub(super) struct HostLife {
    rows: Vec<Row>,
    seed: u64,
    patience: SimDuration,
    /// When a host came back last.
    last_return: Option<SimTime>,
    pub(super) failures: u64,
    /// Failures by level, where they have one.
    pub(super) by_level: ByLevel,
    pub(super) spells: Vec<Spell>,
    /// The same with why.
    pub(super) diary: Diary,
}

impl HostLife {
    pub(super) fn new(guests: &Guests<'_>, from: SimTime, seed: u64) -> Self {
        let failing = FailingHost::all(guests, seed).map(|host| Plan::Fails(Box::new(host)));
        let kept = KeptHost::all(guests, from).into_iter().map(Plan::IsKept);
        let rows: Vec<Row> = failing.chain(kept).map(|plan| Row { plan, state: State::Up }).collect();
        let longest = rows.iter().map(Row::away).max().unwrap_or(SimDuration::ZERO);
        let patience = SimDuration::from_micros(longest.micros().saturating_mul(PATIENCE));
        Self { rows, seed, patience, ..Self::default() }
    }

    /// Sets the first turn of every host.
    pub(super) fn prepare(&self, from: SimTime, calendar: &mut Calendar<Timer>) {
        for (row, at) in self.rows.iter().zip(0..) {
            match &row.plan {
                Plan::Fails(host) => {
                    calendar.set(Timer::Host(at), from + host.next(self.seed).up, Phase::Epoch);
                }
                Plan::IsKept(host) => calendar.set(Timer::Host(at), host.due, Phase::NodeUp),
            }
        }
    }

    /// Something is due on a host; tells what becomes of its nodes.
    pub(super) fn turn(
        &mut self,
        at: u32,
        now: SimTime,
        guests: &mut Guests<'_>,
        calendar: &mut Calendar<Timer>,
    ) -> Option<Turn> {
        let timer = Timer::Host(at);
        let row = &mut self.rows[at as usize];
        let (was, goes) = (row.state, row.state == State::Up);
        let is_elastic = matches!(&row.plan, Plan::Fails(host) if host.is_elastic);
        match &mut row.plan {
            Plan::Fails(host) if goes => {
                let failure = host.next(self.seed);
                self.failures += u64::from(!is_elastic);
                count_level(&mut self.by_level, failure.level);
                row.state = State::Off;
                calendar.set(timer, now + failure.repair, Phase::NodeUp);
            }
            Plan::Fails(host) => {
                row.state = State::Up;
                calendar.set(timer, now + host.repaired(self.seed), Phase::Epoch);
            }
            Plan::IsKept(host) if goes => {
                if let Some(stun) = host.row.spec.stun {
                    guests.stun(host.row.host, stun, now, calendar);
                    calendar.set(timer, host.done(now), Phase::NodeUp);
                    return None;
                }
                row.state = State::Draining;
            }
            Plan::IsKept(host) => {
                row.state = State::Up;
                calendar.set(timer, host.done(now), Phase::NodeUp);
            }
        }
        let why = match (&row.plan, goes || was == State::Draining) {
            (Plan::Fails(_), _) => Standing::Failed,
            (Plan::IsKept(_), true) => Standing::Draining,
            (Plan::IsKept(_), false) => Standing::Maintenance,
        };
        let (host, nodes) = row.host();
        let nodes = nodes.clone();
        if goes {
            self.diary.begin(nodes.clone(), why, now);
        } else {
            self.diary.end(nodes.clone(), why, now);
        }
        if !goes {
            self.last_return = Some(now);
        }
        // Two plans may keep a host away at once.
        let away = self.rows.iter().filter(|row| row.state != State::Up && row.host().0 == host);
        let (count, is_down) = away.fold((0, false), |(count, is_down), row| {
            (count + 1, is_down || matches!(row.plan, Plan::Fails(_)))
        });
        if !is_elastic && ((goes && count == 1) || (!goes && count == 0)) {
            self.spells.push(Spell { at: now, nodes: nodes.clone(), begins: goes });
        }
        let change = match (count, is_down) {
            (0, _) => NodeChange::Idle,
            (_, true) => NodeChange::Down,
            (_, false) => NodeChange::Drain,
        };
        Some(Turn { nodes, change, is_elastic })
    }

    /// Work begins on hosts that have drained.
    pub(super) fn work(&mut self, now: SimTime, guests: &Guests<'_>, calendar: &mut Calendar<Timer>) {
        for (row, at) in self.rows.iter_mut().zip(0..).filter(|(row, _)| row.state == State::Draining) {
            if guests.on_host(row.host().0).is_empty() {
                row.state = State::Off;
                self.diary.end(row.host().1.clone(), Standing::Draining, now);
                self.diary.begin(row.host().1.clone(), Standing::Maintenance, now);
                calendar.set(Timer::Host(at), now + row.away(), Phase::NodeUp);
            }
        }
    }

    /// Whether jobs may wait for a host to come back, or for what it brings: nothing else has happened since
    /// `last_event`.
    pub(super) fn is_awaited(&self, last_event: SimTime, quiet: SimDuration, now: SimTime) -> bool {
        let is_away = self.rows.iter().any(|row| row.state != State::Up);
        let came = self.last_return.is_some_and(|at| now <= at + quiet);
        (is_away || came) && now <= last_event + self.patience
    }
}

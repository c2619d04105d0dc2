//! The life of hosts under Slurm's engine: failures and planned work, as commands that somebody gives in time.
//!
//! A host that fails takes its nodes DOWN: jobs there end, and are requeued as `JobRequeue` says. A host that is due for
//! planned work drains: its jobs run out, then it is worked on; where its VMs can be moved, they stand still for a
//! moment instead. A host that stands by is drained too. Afterwards the nodes are IDLE. When is as under every other policy:
//! by the same [`Fleet`].

use std::ops::Range;

use super::threads::Timer;
use crate::ids::NodeId;
use crate::kernel::{Calendar, Phase};
use crate::scheduler::slurm::NodeChange;
use crate::simulation::fleet::{Fleet, Move, What};
use crate::simulation::guests::{ByLevel, Guests, count_level};
use crate::simulation::standing::{Diary, Standing};
use crate::simulation::upkeep::KeptHost;
use crate::simulation::withheld::Why;
use crate::time::{SimDuration, SimTime};

/// A run in which only hosts come and go, and nothing else for so many times as long as one is away, is over.
const PATIENCE: i64 = 100;

/// Nodes that are withheld from an instant on, or no longer.
#[derive(Clone, Debug)]
pub(super) struct Spell {
    pub(super) at: SimTime,
    pub(super) nodes: Range<u32>,
    pub(super) begins: bool,
    pub(super) why: Why,
}

/// What becomes of the nodes of a host.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) nodes: Range<u32>,
    pub(super) change: NodeChange,
    /// Whether they are VMs of an elastic pool: then they are gone, and not down.
    pub(super) is_elastic: bool,
}

/// How far planned work on a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In order, as far as this goes.
    Up,
    Draining,
    Off,
}

/// A host with planned work.
#[derive(Debug)]
struct Row {
    kept: KeptHost,
    state: State,
}

/// All hosts that fail, stand by, or are worked on.
#[derive(Debug, Default)]
pub(super) struct HostLife {
    fleet: Fleet,
    /// Why each host of the fleet is withheld, if it is.
    withheld: Vec<Option<Why>>,
    rows: Vec<Row>,
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
        let fleet = Fleet::new(guests, seed, from);
        let row = |kept| Row { kept, state: State::Up };
        let rows: Vec<Row> = KeptHost::all(guests, from).into_iter().map(row).collect();
        let works = rows.iter().map(|row| row.kept.row.spec.duration);
        let longest = works.chain([fleet.longest()]).max().unwrap_or(SimDuration::ZERO);
        let patience = SimDuration::from_micros(longest.micros().saturating_mul(PATIENCE));
        let withheld = vec![None; fleet.hosts().len()];
        Self { fleet, withheld, rows, patience, ..Self::default() }
    }

    /// The timer of planned work on the host in this row; those of the fleet come first.
    fn timer(&self, row: usize) -> Timer {
        Timer::Host(self.fleet.timers() + row as u32)
    }

    /// Sets the first turn of every host; tells which are kept back from the beginning.
    pub(super) fn prepare(&mut self, from: SimTime, calendar: &mut Calendar<Timer>) -> Vec<Turn> {
        for at in 0..self.rows.len() {
            calendar.set(self.timer(at), self.rows[at].kept.due, Phase::NodeUp);
        }
        let moves = self.fleet.prepare(calendar);
        self.carry_out(&moves, from)
    }

    /// Something is due on a host; tells what becomes of nodes.
    pub(super) fn turn(
        &mut self,
        at: u32,
        now: SimTime,
        guests: &mut Guests<'_>,
        calendar: &mut Calendar<Timer>,
    ) -> Vec<Turn> {
        if at < self.fleet.timers() {
            let moves = self.fleet.fire(at, now, calendar);
            return self.carry_out(&moves, now);
        }
        let number = (at - self.fleet.timers()) as usize;
        self.turn_of_work(number, now, guests, calendar).into_iter().collect()
    }

    /// A recorded outage of a node begins or ends: others may stand in for it.
    pub(super) fn note_outage(
        &mut self,
        node: NodeId,
        begins: bool,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> Vec<Turn> {
        let moves = self.fleet.note_outage(node, begins, now, calendar);
        self.carry_out(&moves, now)
    }

    fn carry_out(&mut self, moves: &[Move], now: SimTime) -> Vec<Turn> {
        let mut turns = Vec::new();
        for Move { at, what } in moves {
            let host = &self.fleet.hosts()[*at as usize];
            let (number, nodes, is_elastic) = (host.row.host, host.row.nodes.clone(), host.is_elastic);
            let slot = &mut self.withheld[*at as usize];
            let before = slot.take();
            *slot = match *what {
                What::Fails { .. } => Some(Why::IsDown),
                What::IsKept { lent } => Some(if lent { Why::IsLent } else { Why::StandsBy }),
                What::IsRepaired | What::Serves => None,
            };
            let after = *slot;
            for (why, begins) in [(before, false), (after, true)] {
                let Some(why) = why else { continue };
                let standing = if why == Why::IsDown { Standing::Failed } else { Standing::Spare };
                if begins {
                    self.diary.begin(nodes.clone(), standing, now);
                } else {
                    self.diary.end(nodes.clone(), standing, now);
                }
                if !is_elastic {
                    self.spells.push(Spell { at: now, nodes: nodes.clone(), begins, why });
                }
            }
            match *what {
                What::Fails { level, .. } => {
                    self.failures += u64::from(!is_elastic);
                    count_level(&mut self.by_level, level);
                }
                What::IsRepaired | What::Serves => self.last_return = Some(now),
                What::IsKept { .. } => {}
            }
            turns.push(Turn { change: self.change_of(number), nodes, is_elastic });
        }
        turns
    }

    /// What the controller is told of a host, whatever the reasons are to withhold it.
    fn change_of(&self, host: u32) -> NodeChange {
        let of_fleet = self.fleet.hosts().iter().position(|row| row.row.host == host);
        let withheld = of_fleet.and_then(|at| self.withheld[at]);
        let is_worked_on = self.rows.iter().any(|row| row.kept.row.host == host && row.state != State::Up);
        let is_out = of_fleet.is_some_and(|at| self.fleet.hosts()[at].has_outage());
        match withheld {
            Some(Why::IsDown) => NodeChange::Down,
            // Who took it down has done so; it only must not come back before that is over.
            _ if is_out => NodeChange::Drain,
            Some(Why::StandsBy | Why::IsLent) => NodeChange::Drain,
            None if is_worked_on => NodeChange::Drain,
            None => NodeChange::Idle,
        }
    }

    fn turn_of_work(
        &mut self,
        number: usize,
        now: SimTime,
        guests: &mut Guests<'_>,
        calendar: &mut Calendar<Timer>,
    ) -> Option<Turn> {
        let timer = self.timer(number);
        let row = &mut self.rows[number];
        let (host, nodes) = (row.kept.row.host, row.kept.row.nodes.clone());
        let begins = row.state == State::Up;
        if begins {
            if let Some(stun) = row.kept.row.spec.stun {
                guests.stun(host, stun, now, calendar);
                calendar.set(timer, row.kept.done(now), Phase::NodeUp);
                return None;
            }
            row.state = State::Draining;
            self.diary.begin(nodes.clone(), Standing::Draining, now);
        } else {
            let was = if row.state == State::Draining { Standing::Draining } else { Standing::Maintenance };
            row.state = State::Up;
            calendar.set(timer, row.kept.done(now), Phase::NodeUp);
            self.diary.end(nodes.clone(), was, now);
            self.last_return = Some(now);
        }
        self.spells.push(Spell { at: now, nodes: nodes.clone(), begins, why: Why::IsDown });
        Some(Turn {
            change: self.change_of(host),
            nodes,
            is_elastic: guests.is_elastic(self.rows[number].kept.row.pool),
        })
    }

    /// Work begins on hosts that have drained.
    pub(super) fn work(&mut self, now: SimTime, guests: &Guests<'_>, calendar: &mut Calendar<Timer>) {
        for at in 0..self.rows.len() {
            let row = &self.rows[at];
            if row.state != State::Draining || !guests.on_host(row.kept.row.host).is_empty() {
                continue;
            }
            let (nodes, spec) = (row.kept.row.nodes.clone(), row.kept.row.spec);
            self.rows[at].state = State::Off;
            self.diary.end(nodes.clone(), Standing::Draining, now);
            self.diary.begin(nodes, Standing::Maintenance, now);
            calendar.set(self.timer(at), now + spec.duration, Phase::NodeUp);
        }
    }

    /// Whether jobs may wait for a host to come back, or for what it brings: nothing else has happened since
    /// `last_event`.
    pub(super) fn is_awaited(&self, last_event: SimTime, quiet: SimDuration, now: SimTime) -> bool {
        let is_away = self.rows.iter().any(|row| row.state != State::Up) || self.fleet.resting().is_none();
        let came = self.last_return.is_some_and(|at| now <= at + quiet);
        (is_away || came) && now <= last_event + self.patience
    }
}

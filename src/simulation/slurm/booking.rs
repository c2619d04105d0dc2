//! The hours of a run: every attempt's nodes are taken from a second ledger and given back, which is also a check. What
//! the engine granted twice, this ledger refuses.

use std::collections::BTreeMap;

use super::cards::{CardSite, Holding, LayoutTurn, OnNode, card_grants};
use super::causes::Causes;
use super::hosted::is_in_vain;
use super::life::Spell;
use super::vms::VmTurn;
use super::{Attempt, SlurmOutcome};
use crate::cluster::cards::InstanceState;
use crate::cluster::{Amounts, CardLedger, Conflict, Grant, Ledger};
use crate::ids::{Id, JobId, NodeId, PoolId};
use crate::scheduler::shared::floor::CardFloor;
use crate::scheduler::slurm::job::JobSpec;
use crate::simulation::meter::{Gauge, Held, IdleCause, Load, Meter};
use crate::simulation::run::cards::CardSide;
use crate::simulation::run::ground::{Grants, Ground, Side};
use crate::simulation::withheld::Why;
use crate::simulation::{Hours, JobState, Outcome, RunError};
use crate::time::SimTime;
use crate::workload::Workload;

/// What happens to the levels, in this order at one instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// An attempt ends.
    End(usize),
    /// Nodes go out of order, or come back.
    Spell(usize),
    /// VMs go or come.
    Vm(usize),
    /// The site's tool changes a layout, or is done.
    Layout(usize),
    /// Jobs that come, or come back, wait.
    Wait,
    /// A job that waited leaves without a start.
    Leave,
    /// An attempt starts.
    Start(usize),
    /// Another cause of idleness.
    Cause(usize),
}

fn policy(at: SimTime, conflict: Conflict) -> RunError {
    RunError::Policy { at, conflict }
}

/// A second ledger.
pub(super) trait Book {
    type Rest;
    type Gauge: Gauge;

    fn gauge(&self) -> &Self::Gauge;
    fn pool_of(&self, node: NodeId) -> PoolId;
    fn start(&mut self, which: usize, attempt: &Attempt) -> Result<(), Conflict>;
    fn end(&mut self, which: usize, attempt: &Attempt) -> Result<(), Conflict>;
    /// Takes what is free on a node; `None` if nothing is.
    fn take_rest(&mut self, node: NodeId) -> Result<Option<(Self::Rest, Load)>, Conflict>;
    fn give_back(&mut self, rest: &Self::Rest) -> Result<(), Conflict>;
    /// A layout changes.
    fn turn(&mut self, turn: &LayoutTurn, meter: &mut Meter) -> Result<(), Conflict>;
    /// Everything at an instant has happened.
    fn look(&mut self, meter: &mut Meter);
    /// So many microseconds pass.
    fn advance(&mut self, span_us: i128);
}

impl Book for Ledger {
    type Rest = Grant;
    type Gauge = Self;

    fn gauge(&self) -> &Self {
        self
    }

    fn pool_of(&self, node: NodeId) -> PoolId {
        self.node(node).pool
    }

    fn start(&mut self, _: usize, attempt: &Attempt) -> Result<(), Conflict> {
        self.take(&attempt.grants.all())
    }

    fn end(&mut self, _: usize, attempt: &Attempt) -> Result<(), Conflict> {
        Self::give_back(self, &attempt.grants.all())
    }

    fn take_rest(&mut self, node: NodeId) -> Result<Option<(Grant, Load)>, Conflict> {
        let row = self.node(node);
        let free = row.free;
        if free == Amounts::ZERO {
            return Ok(None);
        }
        let grant = Grant { node, cpus: free.cpus, mem_mb: free.mem_mb, gpus: row.free_gpus };
        self.take(std::slice::from_ref(&grant))?;
        Ok(Some((grant, Load::from(&free))))
    }

    fn give_back(&mut self, rest: &Grant) -> Result<(), Conflict> {
        Self::give_back(self, std::slice::from_ref(rest))
    }

    fn turn(&mut self, _: &LayoutTurn, _: &mut Meter) -> Result<(), Conflict> {
        Ok(())
    }

    fn look(&mut self, _: &mut Meter) {}

    fn advance(&mut self, _: i128) {}
}

/// Cards, with the figures that are not hours.
pub(super) struct CardBook {
    pub(super) floor: CardFloor,
    pub(super) side: CardSide,
    /// Numbers of holders that no attempt has.
    pub(super) rests: u32,
}

impl Book for CardBook {
    type Rest = (u32, Grants<CardFloor>);
    type Gauge = CardLedger;

    fn gauge(&self) -> &CardLedger {
        self.floor.ledger()
    }

    fn pool_of(&self, node: NodeId) -> PoolId {
        self.floor.ledger().node(node).pool
    }

    fn start(&mut self, which: usize, attempt: &Attempt) -> Result<(), Conflict> {
        let grants = card_grants(&attempt.grants.all(), &attempt.cards);
        let load = self.floor.load(&grants);
        self.floor.cut(&attempt.reshapes)?;
        self.floor.start(slot_of(which), &grants, attempt.end)?;
        self.side.started(JobId::new(attempt.spec), &load);
        Ok(())
    }

    fn end(&mut self, which: usize, attempt: &Attempt) -> Result<(), Conflict> {
        let grants = card_grants(&attempt.grants.all(), &attempt.cards);
        Ground::give_back(&mut self.floor, slot_of(which), &grants, attempt.end)
    }

    fn take_rest(&mut self, node: NodeId) -> Result<Option<(Self::Rest, Load)>, Conflict> {
        let Some(rest) = self.floor.rest(node) else { return Ok(None) };
        let load = self.floor.load(&rest);
        let slot = u32::MAX / 2 + self.rests;
        self.rests += 1;
        self.floor.take(slot, &rest, SimTime::MAX)?;
        Ok(Some(((slot, rest), load)))
    }

    fn give_back(&mut self, (slot, rest): &Self::Rest) -> Result<(), Conflict> {
        Ground::give_back(&mut self.floor, *slot, rest, SimTime::MAX)
    }

    fn turn(&mut self, turn: &LayoutTurn, meter: &mut Meter) -> Result<(), Conflict> {
        let ledger = self.floor.ledger_mut();
        match turn {
            LayoutTurn::Begins { pool, change: (node, change), units } => {
                meter.make(*pool, *units);
                ledger.reshape(*node, change, InstanceState::Making)
            }
            LayoutTurn::IsDone { pool, node, card, made, units } => {
                meter.make(*pool, -units);
                made.iter().try_for_each(|at| ledger.mark(*node, *card, *at, InstanceState::Idle))
            }
        }
    }

    fn look(&mut self, meter: &mut Meter) {
        self.side.look(&self.floor, meter);
    }

    fn advance(&mut self, span_us: i128) {
        Side::<CardFloor>::advance(&mut self.side, span_us);
    }
}

fn slot_of(which: usize) -> u32 {
    u32::try_from(which).expect("fewer than 2^31 attempts")
}

/// What is held of a node, piece by piece.
type Taken<B> = Vec<(<B as Book>::Rest, Load, Why)>;

/// Nodes that are withheld from jobs, with what is taken of them so that it counts as such.
struct Off<B: Book> {
    /// For which reasons, and what is taken for the first of them.
    nodes: BTreeMap<NodeId, (Vec<Why>, Taken<B>)>,
}

impl<B: Book> Off<B> {
    /// Takes what is free on those of `nodes` that are withheld.
    fn absorb(
        &mut self,
        nodes: impl Iterator<Item = NodeId>,
        book: &mut B,
        meter: &mut Meter,
    ) -> Result<(), Conflict> {
        for node in nodes {
            let Some((reasons, taken)) = self.nodes.get_mut(&node) else { continue };
            let Some(why) = reasons.iter().min() else { continue };
            let pool = book.pool_of(node);
            for (_, load, was) in taken.iter_mut().filter(|(_, _, was)| was != why) {
                meter.give_back(pool, load, *was);
                meter.withhold(pool, load, *why);
                *was = *why;
            }
            let Some((rest, load)) = book.take_rest(node)? else { continue };
            meter.withhold(pool, &load, *why);
            taken.push((rest, load, *why));
        }
        Ok(())
    }

    fn turn(&mut self, spell: &Spell, book: &mut B, meter: &mut Meter) -> Result<(), Conflict> {
        for node in spell.nodes.clone().map(NodeId) {
            let (reasons, _) = self.nodes.entry(node).or_insert_with(|| (Vec::new(), Vec::new()));
            if spell.begins {
                reasons.push(spell.why);
            } else if let Some(at) = reasons.iter().position(|why| *why == spell.why) {
                reasons.remove(at);
            }
            if !reasons.is_empty() {
                continue;
            }
            for (rest, load, why) in self.nodes.remove(&node).into_iter().flat_map(|row| row.1) {
                meter.give_back(book.pool_of(node), &load, why);
                book.give_back(&rest)?;
            }
        }
        self.absorb(spell.nodes.clone().map(NodeId), book, meter)
    }
}

/// What the hours are made from.
pub(super) struct Booking<'a> {
    pub(super) workload: &'a Workload,
    pub(super) told: &'a SlurmOutcome,
    pub(super) specs: &'a [JobSpec],
    pub(super) causes: &'a Causes,
    /// When which nodes were out of order.
    pub(super) spells: &'a [Spell],
    /// The pool of each node.
    pub(super) pools: &'a [PoolId],
    pub(super) site: Option<&'a CardSite<'a>>,
}

impl Booking<'_> {
    /// Books every instant of the run.
    pub(super) fn hours<B: Book>(&self, book: &mut B, outcome: &Outcome) -> Result<(Hours, i128), RunError> {
        let steps = self.changes(outcome);
        let losses = self.told.losses.as_ref();
        let mut meter =
            losses.map_or_else(|| Meter::new(book.gauge().pools()), |losses| losses.meter.clone());
        let mut off: Off<B> = Off { nodes: BTreeMap::new() };
        let mut absent: BTreeMap<NodeId, (B::Rest, Load)> = BTreeMap::new();
        let mut waiting = 0usize;
        let mut cause = IdleCause::NoDemand;
        book.look(&mut meter);
        meter.advance(outcome.first_submit, book.gauge(), 0, cause);
        let mut at = 0;
        while at < steps.len() {
            let now = steps[at].0;
            if now > outcome.last_instant {
                break;
            }
            if now > outcome.first_submit {
                advance(&mut meter, book, now, waiting, cause);
            }
            while let Some((_, change)) = steps.get(at).filter(|(when, _)| *when == now) {
                at += 1;
                match change {
                    Change::Wait => waiting += 1,
                    Change::Leave => waiting -= 1,
                    Change::Cause(which) => cause = self.causes.changes[*which].1,
                    Change::Start(which) => {
                        waiting -= 1;
                        self.take(book, &mut meter, *which)?;
                    }
                    Change::End(which) => {
                        self.give_back(book, &mut meter, *which)?;
                        let nodes = self.told.attempts[*which].grants.iter().map(|grant| grant.node);
                        off.absorb(nodes, book, &mut meter).map_err(|conflict| policy(now, conflict))?;
                    }
                    Change::Spell(which) => {
                        let spell = &self.spells[*which];
                        off.turn(spell, book, &mut meter).map_err(|conflict| policy(now, conflict))?;
                    }
                    Change::Vm(which) => {
                        let turn = &self.vms()[*which].1;
                        let done = turn_vm(turn, &mut absent, book, &mut meter);
                        done.map_err(|conflict| policy(now, conflict))?;
                    }
                    Change::Layout(which) => {
                        let turn = &self.turns()[*which].1;
                        book.turn(turn, &mut meter).map_err(|conflict| policy(now, conflict))?;
                    }
                }
            }
            book.look(&mut meter);
            meter.note_waiting(waiting);
        }
        advance(&mut meter, book, outcome.last_instant, waiting, cause);
        for attempt in self.told.attempts.iter().filter(|attempt| attempt.end == SimTime::NEVER) {
            for row in self.rows(attempt) {
                self.hold_idle::<B>(&mut meter, attempt, &row, outcome.last_instant);
            }
        }
        let span_us = meter.span_us();
        Ok((meter.finish(book.gauge()), span_us))
    }

    /// What an attempt held, node by node.
    fn rows(&self, attempt: &Attempt) -> smallvec::SmallVec<[OnNode; 1]> {
        let spec = &self.specs[attempt.spec];
        let grants = attempt.grants.all();
        let holding = Holding {
            job: JobId::new(attempt.spec),
            is_wider: attempt.is_wider,
            ask: spec.wider.as_deref().filter(|_| attempt.is_wider).unwrap_or(&spec.ask),
            grants: &grants,
            cards: &attempt.cards,
        };
        holding.rows(self.pools, self.site)
    }

    /// When which layouts were changed by the site's tool.
    fn turns(&self) -> &[(SimTime, LayoutTurn)] {
        self.told.losses.as_ref().map_or(&[], |losses| &losses.turns)
    }

    /// When which VMs came and went.
    fn vms(&self) -> &[(SimTime, VmTurn)] {
        self.told.losses.as_ref().map_or(&[], |losses| &losses.vms)
    }

    fn take<B: Book>(&self, book: &mut B, meter: &mut Meter, which: usize) -> Result<(), RunError> {
        let attempt = &self.told.attempts[which];
        for row in self.rows(attempt) {
            meter.add_slack(row.pool, &load::<B>(&row.slack));
        }
        book.start(which, attempt).map_err(|conflict| policy(attempt.start, conflict))
    }

    fn give_back<B: Book>(&self, book: &mut B, meter: &mut Meter, which: usize) -> Result<(), RunError> {
        let attempt = &self.told.attempts[which];
        let lost = is_in_vain(attempt.state) && self.told.losses.is_none();
        for row in self.rows(attempt) {
            meter.drop_slack(row.pool, &load::<B>(&row.slack));
            if lost {
                meter.lose(row.pool, &load::<B>(&row.asked()), attempt.end.since(attempt.start));
            } else {
                self.hold_idle::<B>(meter, attempt, &row, attempt.end);
            }
        }
        book.end(which, attempt).map_err(|conflict| policy(attempt.end, conflict))
    }

    /// Books what an attempt did not use of the GPUs of a node, where the trace recorded its use.
    fn hold_idle<B: Book>(&self, meter: &mut Meter, attempt: &Attempt, row: &OnNode, until: SimTime) {
        if self.told.losses.is_some() {
            return; // the guests have booked it
        }
        if let Some(util_milli) = self.workload.recorded.gpu_util_milli(JobId::new(attempt.spec)) {
            let gpus = load::<B>(&row.asked()).gpus;
            meter.hold_idle(row.pool, gpus, until.since(attempt.start), util_milli);
        }
    }

    /// All changes in order.
    fn changes(&self, outcome: &Outcome) -> Vec<(SimTime, Change)> {
        let (told, causes) = (self.told, &self.causes.changes);
        let mut steps = Vec::with_capacity(3 * self.workload.jobs.len() + causes.len());
        for (job, record) in outcome.records.iter_ids() {
            if record.state != JobState::Refused {
                steps.push((self.workload.jobs[job].submit, Change::Wait));
            }
        }
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, attempt) in told.attempts.iter().enumerate() {
            steps.push((attempt.start, Change::Start(at)));
            if attempt.end != SimTime::NEVER {
                steps.push((attempt.end, Change::End(at)));
            }
            if let Some(before) = last.insert(attempt.spec, at) {
                steps.push((told.attempts[before].end, Change::Wait));
            }
        }
        // Withdrawn or still pending: after a requeue they waited once more.
        let pending = told.pending.iter().map(|(spec, _, _)| (*spec, None));
        let withdrawn = told.withdrawn.iter().zip(&told.withdrawn_at).map(|(spec, at)| (*spec, Some(*at)));
        for (spec, left) in pending.chain(withdrawn) {
            if let Some(before) = last.get(&spec) {
                steps.push((told.attempts[*before].end, Change::Wait));
            }
            steps.extend(left.map(|at| (at, Change::Leave)));
        }
        steps.extend(self.spells.iter().enumerate().map(|(at, spell)| (spell.at, Change::Spell(at))));
        steps.extend(self.vms().iter().enumerate().map(|(at, (when, _))| (*when, Change::Vm(at))));
        steps.extend(self.turns().iter().enumerate().map(|(at, (when, _))| (*when, Change::Layout(at))));
        steps.extend(causes.iter().enumerate().map(|(at, (when, _))| (*when, Change::Cause(at))));
        steps.sort_unstable();
        steps
    }
}

/// A VM that is not there holds its node, which is then neither free nor down.
fn turn_vm<B: Book>(
    turn: &VmTurn,
    absent: &mut BTreeMap<NodeId, (B::Rest, Load)>,
    book: &mut B,
    meter: &mut Meter,
) -> Result<(), Conflict> {
    match turn {
        VmTurn::Closes(node) => absent.extend(book.take_rest(*node)?.map(|taken| (*node, taken))),
        VmTurn::Opens(node) => {
            if let Some((rest, _)) = absent.remove(node) {
                book.give_back(&rest)?;
            }
        }
        VmTurn::Levels { pool, off, booting } => {
            let own = absent.iter().filter(|(node, _)| book.pool_of(**node) == *pool);
            let held = own.fold(Load::ZERO, |sum, (_, (_, load))| sum.plus(load));
            meter.set_off(*pool, *off, *booting, &held);
        }
    }
    Ok(())
}

/// As the ledger of a book counts.
fn load<B: Book>(held: &Held) -> Load {
    let unit = u64::try_from(B::Gauge::GPU_UNITS).expect("small");
    Load { gpus: held.gpu_units / unit, cpus: u64::from(held.cpus) }
}

fn advance<B: Book>(meter: &mut Meter, book: &mut B, now: SimTime, waiting: usize, cause: IdleCause) {
    let before = meter.span_us();
    meter.advance(now, book.gauge(), waiting, cause);
    book.advance(meter.span_us() - before);
}

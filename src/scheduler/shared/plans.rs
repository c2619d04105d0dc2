//! What a conservative plan knows of nodes whose GPUs are shared: everybody's devices, in order of time.
//!
//! Devices are not promised: who starts picks from what is free at that moment. So a plan goes through each node's
//! future as it will happen: ends give back, starts pick in order of their instants, among those of one instant in
//! order of the queue. A job may be planned where it and everybody who is planned to start after it on the node still
//! find room; then nobody ahead in the queue starts later than planned, if all run to their limits.

use super::fit::CardPart;
use super::judge::Judge;
use super::kind::CardLater;
use super::{CardFloor, Chosen};
use crate::cluster::cards::{CardGrant, CardMode, CardPool, Cards};
use crate::ids::{Id, NodeId};
use crate::scheduler::backfill::{INSTANT, OVERDUE};
use crate::scheduler::kind::{Booking, Kind};
use crate::time::SimTime;

/// The futures of the nodes that a plan has looked at.
#[derive(Debug, Default)]
pub struct CardPlans {
    lines: Vec<Option<Line>>,
}

/// A job on a node, not before its time.
#[derive(Clone, Debug)]
struct Planned {
    from: SimTime,
    to: SimTime,
    part: CardPart,
    /// What it will get.
    grant: CardGrant,
}

/// What happens on a node.
#[derive(Clone, Debug)]
struct Line {
    /// Who runs, by expected end.
    running: Vec<(SimTime, CardGrant)>,
    /// By start, then by place in the queue.
    planned: Vec<Planned>,
    /// The node from each instant at which something happens.
    states: Vec<(SimTime, CardLater)>,
}

/// The rest of a line from some instant on.
struct Rest {
    states: Vec<(SimTime, CardLater)>,
    /// What those get who start after it.
    grants: Vec<CardGrant>,
}

impl CardPlans {
    pub(super) fn clear(&mut self, nodes: usize) {
        self.lines.clear();
        self.lines.resize_with(nodes, || None);
    }

    fn line(&mut self, judge: &mut Judge, floor: &CardFloor, now: SimTime, node: NodeId) -> &mut Line {
        self.lines[node.index()].get_or_insert_with(|| Line::new(judge, floor, now, node))
    }

    /// The node when the part starts, before it does.
    pub(super) fn state(
        &mut self,
        judge: &mut Judge,
        floor: &CardFloor,
        booking: &Booking<'_, Cards>,
    ) -> &CardLater {
        let line = self.line(judge, floor, booking.now, booking.node);
        &line.states[line.at(booking.during.0)].1
    }

    pub(super) fn has_room(
        &mut self,
        judge: &mut Judge,
        floor: &CardFloor,
        booking: &Booking<'_, Cards>,
    ) -> bool {
        let spec = floor.ledger().spec_of(booking.node);
        let line = self.line(judge, floor, booking.now, booking.node);
        let Some((state, grant)) = line.started(judge, spec, booking) else { return false };
        let is_last = line.planned.last().is_none_or(|last| last.from <= booking.during.0);
        is_last || line.rest(state, &grant, judge, spec, booking).is_some()
    }

    pub(super) fn book(&mut self, judge: &mut Judge, floor: &CardFloor, booking: &Booking<'_, Cards>) {
        let spec = floor.ledger().spec_of(booking.node);
        let line = self.line(judge, floor, booking.now, booking.node);
        let Some((state, grant)) = line.started(judge, spec, booking) else { return };
        let Some(rest) = line.rest(state, &grant, judge, spec, booking) else { return };
        let (from, to) = booking.during;
        let at = line.planned.partition_point(|planned| planned.from <= from);
        for (planned, grant) in line.planned[at..].iter_mut().zip(rest.grants) {
            planned.grant = grant;
        }
        line.planned.insert(at, Planned { from, to, part: booking.part.1.clone(), grant });
        let keep = line.states.partition_point(|(at, _)| *at < from);
        line.states.truncate(keep);
        line.states.extend(rest.states);
    }
}

fn grant_of(node: NodeId, part: &CardPart, chosen: Chosen) -> CardGrant {
    CardGrant { node, cpus: part.cpus, mem_mb: part.mem_mb, gpus: chosen.devices }
}

impl Line {
    /// Who runs now leaves as expected; those who are overdue, in a moment.
    fn new(judge: &mut Judge, floor: &CardFloor, now: SimTime, node: NodeId) -> Self {
        let due = |end: SimTime| if end <= now { now + OVERDUE } else { end };
        let releases = floor.releases(node).iter();
        let mut running: Vec<_> = releases.map(|(release, back)| (due(release.end()), back.grant)).collect();
        running.sort_by_key(|(end, _)| *end);
        let spec = floor.ledger().spec_of(node);
        let view = floor.view(node).filter(|_| judge.looks_at_views()).cloned();
        let free = Cards::free_now(floor.ledger(), node);
        let state = CardLater { node: floor.ledger().node(node).clone(), view, free };
        let mut line = Self { running, planned: Vec::new(), states: Vec::new() };
        let rest = line.play(state, now, line.running.clone(), judge, (spec, now));
        line.states = rest.expect("nobody is planned").states;
        line
    }

    /// The last state that begins at or before an instant.
    fn at(&self, from: SimTime) -> usize {
        self.states.partition_point(|(at, _)| *at <= from) - 1
    }

    /// The node when a part has started, and what it gets.
    fn started(
        &self,
        judge: &mut Judge,
        spec: &CardPool,
        booking: &Booking<'_, Cards>,
    ) -> Option<(CardLater, CardGrant)> {
        let (from, part) = (booking.during.0, booking.part.1);
        let state = &self.states[self.at(from)].1;
        let chosen = judge.choose(&state.node, state.view.as_ref(), part, (spec, from > booking.now))?;
        let grant = grant_of(booking.node, part, chosen);
        let mut state = state.clone();
        state.take(&grant, spec);
        Some((state, grant))
    }

    /// What happens after a part has got `grant`; `None` if somebody who is planned finds no room then.
    fn rest(
        &self,
        state: CardLater,
        grant: &CardGrant,
        judge: &mut Judge,
        spec: &CardPool,
        booking: &Booking<'_, Cards>,
    ) -> Option<Rest> {
        let (from, to) = booking.during;
        let running = self.running.iter().filter(|(end, _)| *end > from).cloned();
        let there = self.planned.iter().filter(|planned| planned.from <= from && planned.to > from);
        let there = there.map(|planned| (planned.to, planned.grant.clone()));
        let mut ends: Vec<_> = running.chain(there).chain([(to, grant.clone())]).collect();
        ends.sort_by_key(|(end, _)| *end);
        self.play(state, from, ends, judge, (spec, booking.now))
    }

    /// Goes through all that happens after `from`, at which the node is in `state` and those leave who are in `ends`.
    fn play(
        &self,
        mut state: CardLater,
        from: SimTime,
        mut ends: Vec<(SimTime, CardGrant)>,
        judge: &mut Judge,
        (spec, now): (&CardPool, SimTime),
    ) -> Option<Rest> {
        let first = self.planned.partition_point(|planned| planned.from <= from);
        let mut starts = self.planned[first..].iter().peekable();
        let mut rest = Rest { states: vec![(from, state.clone())], grants: Vec::new() };
        let mut settles = (from == now && matches!(spec.mode, CardMode::Mig(_))).then_some(now + INSTANT);
        let mut ended = 0;
        loop {
            let next = [ends.get(ended).map(|end| end.0), starts.peek().map(|start| start.from), settles];
            let Some(at) = next.into_iter().flatten().min() else { return Some(rest) };
            if settles.take_if(|settles| *settles <= at).is_some() {
                state.node = state.node.later();
            }
            while let Some((_, grant)) = ends.get(ended).filter(|(end, _)| *end == at) {
                state.give_back(grant, spec);
                ended += 1;
            }
            while let Some(start) = starts.next_if(|start| start.from == at) {
                let chosen = judge.choose(&state.node, state.view.as_ref(), &start.part, (spec, true))?;
                let grant = grant_of(start.grant.node, &start.part, chosen);
                state.take(&grant, spec);
                let place = ended + ends[ended..].partition_point(|(end, _)| *end <= start.to);
                ends.insert(place, (start.to, grant.clone()));
                rest.grants.push(grant);
            }
            rest.states.push((at, state.clone()));
        }
    }
}

//! Conservative backfilling, planned anew at every event.
//!
//! In queue order each job gets the earliest start at which its nodes are free for its whole limit on
//! the timeline of expected ends (an overdue one counts as ending in the next second); jobs whose
//! planned start is now start. The plan is thrown away afterwards: it depends on nothing but the
//! present.
//!
//! A node's timeline is a list of steps (from, free), the last step lasts for ever. Cost of a pass:
//! jobs planned x steps; `depth` bounds the jobs. A host of a dedicated pool has a list of the tenants that are
//! expected on it, from when to when: a node is closed to others meanwhile.
//!
//! Where amounts do not tell all of a node (parts of GPUs), the timeline only says when a start is worth a try:
//! [`Kind::has_room_during`] then goes through what is planned on the node, in order of time, and picks devices for
//! everybody as will be done when they start.

use smallvec::SmallVec;

use super::room::Chosen;
use super::{Backfill, Start};
use crate::cluster::{Conflict, Dedication, Total};
use crate::ids::{IdVec, JobId, NodeId, PartId, ShapeId, TenantId};
use crate::scheduler::floor::Floor;
use crate::scheduler::kind::{Back, Booking, Kind, Piece};
use crate::scheduler::placement::best_of;
use crate::scheduler::shapes::PoolShape;
use crate::time::{SimDuration, SimTime};

/// Assumed end of an overdue job: this much after now.
pub(in crate::scheduler) const OVERDUE: SimDuration = SimDuration::from_s(1);

/// A job without limit still takes its nodes at the instant at which it starts.
pub(in crate::scheduler) const INSTANT: SimDuration = SimDuration::from_micros(1);

type Steps<T> = Vec<(SimTime, T)>;

/// From when to when.
type Span = (SimTime, SimTime);

/// Timelines of all nodes, kept between passes to reuse their memory.
pub(super) struct Plan<D: Kind> {
    nodes: IdVec<NodeId, Steps<D::Total>>,
    /// Tenants on each host of dedicated pools: from, to, whose.
    stays: Vec<Vec<(SimTime, SimTime, TenantId)>>,
    /// What amounts do not tell.
    beyond: D::Plans,
}

impl<D: Kind> Default for Plan<D> {
    fn default() -> Self {
        Self { nodes: IdVec::new(), stays: Vec::new(), beyond: D::Plans::default() }
    }
}

/// Whose job is planned, and where the hosts of dedicated pools are.
struct Whose<'a, D: Kind> {
    tenant: Option<TenantId>,
    floor: &'a Floor<D>,
}

impl<D: Kind> Whose<'_, D> {
    /// The host of a node, and the tenant, where hosts are dedicated.
    fn on(&self, node: NodeId) -> Option<(usize, TenantId)> {
        self.tenant.and_then(|tenant| self.floor.ledger().host_of(node).map(|host| (host, tenant)))
    }
}

/// Where and when a job is planned.
struct Planned {
    during: Span,
    nodes: Chosen,
    tenant: Option<TenantId>,
}

/// What each group of a shape needs: a part, and how many nodes with those before.
type Needs<T> = SmallVec<[(T, usize); 2]>;

impl<D: Kind> Backfill<'_, D> {
    pub(super) fn conservative_pass(
        &mut self,
        now: SimTime,
        depth: Option<u32>,
        floor: &mut Floor<D>,
        starts: &mut Vec<Start<D>>,
    ) -> Result<(), Conflict> {
        let depth = depth.map_or(usize::MAX, |d| d as usize);
        let queued: Vec<_> = self.queue.iter().take(depth).collect();
        let mut plan = std::mem::take(&mut self.plan);
        plan.rebuild(now, floor);
        if floor.ledger().is_dedicated() {
            plan.rebuild_stays(now, floor);
        }
        for (position, shape) in queued {
            let Some(planned) = self.earliest(position.job(), shape, now, &mut plan, floor) else { continue };
            self.book(&planned, now, &mut plan, floor);
            if planned.during.0 == now {
                let Some(chosen) = self.devices(&planned.nodes, None, floor) else { continue };
                let pool = floor.ledger().pool_of(planned.nodes[0].0);
                let estimate = self.estimate(position.job(), shape, pool, &chosen.0, floor);
                self.queue.remove(&position);
                self.commit(position.job(), chosen, now + estimate, floor, starts)?;
            }
        }
        self.plan = plan;
        Ok(())
    }

    /// Takes what a job is planned on from the timelines.
    fn book(&mut self, planned: &Planned, now: SimTime, plan: &mut Plan<D>, floor: &Floor<D>) {
        let Planned { during, nodes, tenant } = planned;
        let whose = Whose { tenant: *tenant, floor };
        for (node, id) in nodes {
            if let Some((host, tenant)) = whose.on(*node) {
                plan.stays[host].push((during.0, during.1, tenant));
            }
            let part = self.shapes.parts.get(*id);
            let spec = floor.ledger().spec_of(*node);
            plan.take(*node, *during, &D::least(part, spec));
            if !D::counts(&self.judge, spec) {
                let booking = Booking { now, during: *during, node: *node, part: (*id, part) };
                D::book(&mut plan.beyond, &mut self.judge, floor, &booking);
            }
        }
    }

    /// The earliest planned start of a job over all pools that can hold it, its nodes, and whose they are where
    /// hosts are dedicated.
    fn earliest(
        &mut self,
        job: JobId,
        shape: ShapeId,
        now: SimTime,
        plan: &mut Plan<D>,
        floor: &Floor<D>,
    ) -> Option<Planned> {
        let mut best: Option<(Span, usize)> = None;
        for at in 0..self.shapes.get(shape).pools.len() {
            let pool = &self.shapes.get(shape).pools[at];
            let row = &self.workload.jobs[job];
            let limit = D::longest(&self.speeds, row, pool, &self.shapes.parts, floor.ledger()).max(INSTANT);
            let found = self.earliest_on((shape, at), limit, now, plan, floor);
            if let Some(start) = found.filter(|start| best.is_none_or(|((first, _), _)| *start < first)) {
                best = Some(((start, start + limit), at));
            }
        }
        let (during, at) = best?;
        let nodes = self.nodes_at((shape, at), during, now, plan, floor)?;
        let pool = &self.shapes.get(shape).pools[at];
        Some(Planned { during, nodes, tenant: self.shapes.parts.get(pool.groups[0].0).tenant() })
    }

    /// The policy's own nodes for a shape on one of its pools during a span; `None` where there are too few.
    fn nodes_at(
        &mut self,
        (shape, at): (ShapeId, usize),
        during: Span,
        now: SimTime,
        plan: &mut Plan<D>,
        floor: &Floor<D>,
    ) -> Option<Chosen> {
        let Self { shapes, judge, .. } = self;
        let pool = &shapes.get(shape).pools[at];
        let spec = floor.ledger().spec(pool.pool);
        let whose = Whose { tenant: shapes.parts.get(pool.groups[0].0).tenant(), floor };
        let Plan { nodes: lines, stays, beyond } = plan;
        let lowest = D::lowest_id_wins(judge);
        let leaves = D::leaf_numbers(judge);
        let counts = D::counts(judge, spec);
        if let Some(node) = floor.ledger().only_node(pool.pool).filter(|_| counts) {
            // Nothing to choose: the planned start is when it has room.
            return Some(Chosen::from_elem((node, pool.groups[0].0), 1));
        }
        let mut chosen = Chosen::new();
        for (id, count) in &pool.groups {
            let part = shapes.parts.get(*id);
            let least = D::least(part, spec);
            let booking = |node| Booking { now, during, node, part: (*id, part) };
            // Both look at the plans, one after the other.
            let shared = std::cell::RefCell::new((&mut *beyond, &mut *judge));
            let nodes = floor
                .ledger()
                .pool_range(pool.pool)
                .map(NodeId)
                .filter(|node| !chosen.iter().any(|(taken, _)| taken == node))
                .map(|node| (node, least_free(&lines[node], during)))
                .filter(|(node, free)| free.holds(&least) && is_open(stays, whose.on(*node), during))
                .filter(|(node, _)| {
                    let (beyond, judge) = &mut *shared.borrow_mut();
                    counts || D::has_room_during(beyond, judge, floor, &booking(*node))
                });
            let is_own = whose.tenant.map(|_| |node| has(stays, whose.on(node), during));
            let score = |node, free: &D::Total| {
                let (beyond, judge) = &mut *shared.borrow_mut();
                D::score_during(beyond, judge, floor, free, &booking(node))
            };
            let nodes = best_of(nodes, *count as usize, lowest, score, is_own, leaves.as_deref())?;
            chosen.extend(nodes.iter().map(|(node, _)| (*node, *id)));
        }
        Some(chosen)
    }

    /// The earliest instant from which every group finds its nodes for `limit`.
    fn earliest_on(
        &mut self,
        (shape, at): (ShapeId, usize),
        limit: SimDuration,
        now: SimTime,
        plan: &mut Plan<D>,
        floor: &Floor<D>,
    ) -> Option<SimTime> {
        let pool = &self.shapes.get(shape).pools[at];
        let spec = floor.ledger().spec(pool.pool);
        if let Some(node) = floor.ledger().only_node(pool.pool) {
            return Some(earliest_fit(&plan.nodes[node], &pool.total, limit));
        }
        let whose = Whose { tenant: self.shapes.parts.get(pool.groups[0].0).tenant(), floor };
        let range = floor.ledger().pool_range(pool.pool);
        let needs = self.needs(pool, spec);
        let counts = D::counts(&self.judge, spec);
        let edges = plan.edges(range, &needs, limit, &whose, !counts);
        let needs: SmallVec<[usize; 2]> = needs.iter().map(|(_, needed)| *needed).collect();
        first_common(&edges, &needs, |start| {
            counts || self.nodes_at((shape, at), (start, start + limit), now, plan, floor).is_some()
        })
    }

    fn needs(&self, pool: &PoolShape<D>, spec: &D::Spec) -> Needs<D::Total> {
        let mut needed = 0;
        let need = |(part, count): &(PartId, u32)| {
            needed += *count as usize;
            (D::least(self.shapes.parts.get(*part), spec), needed)
        };
        pool.groups.iter().map(need).collect()
    }
}

impl<D: Kind> Plan<D> {
    /// The present and the expected ends, nothing planned yet.
    fn rebuild(&mut self, now: SimTime, floor: &Floor<D>) {
        let ledger = floor.ledger();
        if self.nodes.is_empty() {
            self.nodes = IdVec::filled(ledger.nodes().len(), Vec::new());
        }
        D::clear(&mut self.beyond, ledger.nodes().len());
        for id in ledger.nodes().ids() {
            let steps = &mut self.nodes[id];
            steps.clear();
            let mut free = D::free_now(ledger, id);
            steps.push((now, free));
            if D::settles(ledger.spec_of(id)) {
                // What is under way keeps jobs from starting now, not from being planned.
                steps.push((now + INSTANT, free));
            }
            // Overdue parts come back together, a moment from now, perhaps after ends that are not overdue.
            let back = now + OVERDUE;
            let mut overdue = D::Total::ZERO;
            for (release, held) in floor.releases(id).iter() {
                let (end, amounts) = (release.end(), held.total());
                if end <= now {
                    overdue = overdue.plus(&amounts);
                    continue;
                }
                if end >= back {
                    raise(steps, back, &mut free, &std::mem::replace(&mut overdue, D::Total::ZERO));
                }
                raise(steps, end, &mut free, &amounts);
            }
            raise(steps, back, &mut free, &overdue);
        }
    }

    /// The tenants whose jobs run, until the last is expected to have ended.
    fn rebuild_stays(&mut self, now: SimTime, floor: &Floor<D>) {
        let ledger = floor.ledger();
        self.stays.resize_with(ledger.dedication().map_or(0, Dedication::hosts), Vec::new);
        self.stays.iter_mut().for_each(Vec::clear);
        for node in ledger.nodes().ids() {
            let Some((host, tenant)) = ledger.host_of(node).zip(ledger.tenant_on(node)) else { continue };
            if self.stays[host].is_empty() {
                let (first, last) = floor.stays().ends_on(host).expect("a tenant's jobs are on it");
                let to = if first <= now { last.max(now + OVERDUE) } else { last };
                self.stays[host].push((now, to, tenant));
            }
        }
    }

    /// The timeline of a node with the times at which its host is open to a tenant.
    fn open_steps(&self, node: NodeId, (host, tenant): (usize, TenantId)) -> Steps<(D::Total, bool)> {
        let mut steps: Vec<_> = self.nodes[node].iter().map(|(at, free)| (*at, (*free, true))).collect();
        for (from, to, _) in self.stays[host].iter().filter(|stay| stay.2 != tenant) {
            let first = cut(&mut steps, *from);
            let last = cut(&mut steps, *to);
            steps[first..last].iter_mut().for_each(|(_, (_, is_open))| *is_open = false);
        }
        steps
    }

    /// Takes `part` from `node` during [from, to).
    fn take(&mut self, node: NodeId, (from, to): Span, part: &D::Total) {
        let steps = &mut self.nodes[node];
        let first = cut(steps, from);
        let last = cut(steps, to);
        for (_, free) in &mut steps[first..last] {
            *free = free.minus(part);
        }
    }

    /// When starts of each group's part open and close on the nodes of a pool, in order of time; at one instant
    /// opens come first. `each`: every step of a timeline opens anew, where more than amounts may change with it.
    fn edges(
        &self,
        range: std::ops::Range<u32>,
        needs: &[(D::Total, usize)],
        limit: SimDuration,
        whose: &Whose<'_, D>,
        each: bool,
    ) -> Vec<(SimTime, bool, usize)> {
        let mut edges = Vec::new();
        let mut rows = Vec::new();
        for (group, (part, _)) in needs.iter().enumerate() {
            rows.clear();
            for node in range.clone().map(NodeId) {
                match whose.on(node) {
                    None => start_windows(&self.nodes[node], |free| free.holds(part), limit, each, &mut rows),
                    Some(host) => {
                        let steps = self.open_steps(node, host);
                        let fits = |(free, is_open): &(D::Total, bool)| *is_open && free.holds(part);
                        start_windows(&steps, fits, limit, each, &mut rows);
                    }
                }
            }
            for (open, close) in &rows {
                edges.push((*open, false, group));
                if *close != SimTime::NEVER {
                    edges.push((*close, true, group));
                }
            }
        }
        edges.sort_unstable();
        edges
    }
}

/// The least that a node has free during [from, to).
fn least_free<T: Total>(steps: &Steps<T>, (from, to): Span) -> T {
    let first = steps.partition_point(|(at, _)| *at <= from) - 1;
    let during = steps[first..].iter().take_while(|(at, _)| *at < to || *at <= from);
    during.map(|(_, free)| *free).reduce(|a, b| a.min(&b)).expect("a timeline covers every instant")
}

/// Tenants on each host of dedicated pools: from, to, whose.
type Tenants = [Vec<(SimTime, SimTime, TenantId)>];

/// Whether a host has nobody but the tenant during [from, to).
fn is_open(stays: &Tenants, host: Option<(usize, TenantId)>, (from, to): Span) -> bool {
    let overlaps = |stay: &(SimTime, SimTime, TenantId)| stay.0 < to && from < stay.1;
    host.is_none_or(|(host, tenant)| !stays[host].iter().any(|stay| stay.2 != tenant && overlaps(stay)))
}

/// Whether a host has the tenant at some time in [from, to).
fn has(stays: &Tenants, host: Option<(usize, TenantId)>, (from, to): Span) -> bool {
    let overlaps = |stay: &(SimTime, SimTime, TenantId)| stay.0 < to && from < stay.1;
    host.is_some_and(|(host, tenant)| stays[host].iter().any(|stay| stay.2 == tenant && overlaps(stay)))
}

/// The first instant at which as many starts of each group are open as it needs, and that `will_do`. The answer is
/// the present or an instant at which some node's timeline rises.
fn first_common(
    edges: &[(SimTime, bool, usize)],
    needs: &[usize],
    mut will_do: impl FnMut(SimTime) -> bool,
) -> Option<SimTime> {
    // Sweep all window edges once; at each instant opens come before the test, closes after it.
    let mut count: SmallVec<[usize; 2]> = SmallVec::from_elem(0, needs.len());
    let mut at = 0;
    while at < edges.len() {
        let now = edges[at].0;
        while at < edges.len() && edges[at].0 == now && !edges[at].1 {
            count[edges[at].2] += 1;
            at += 1;
        }
        if needs.iter().zip(&count).all(|(needed, have)| have >= needed) && will_do(now) {
            return Some(now);
        }
        while at < edges.len() && edges[at].0 == now && edges[at].1 {
            count[edges[at].2] -= 1;
            at += 1;
        }
    }
    None
}

/// Adds `amounts` to what is free from `at` on; `at` is not before the last step.
fn raise<T: Total>(steps: &mut Steps<T>, at: SimTime, free: &mut T, amounts: &T) {
    if *amounts == T::ZERO {
        return;
    }
    *free = free.plus(amounts);
    match steps.last_mut() {
        Some(last) if last.0 == at => last.1 = *free,
        _ => steps.push((at, *free)),
    }
}

/// Index of the step that starts at `at`, made if there is none.
fn cut<T: Copy>(steps: &mut Steps<T>, at: SimTime) -> usize {
    let place = steps.partition_point(|(from, _)| *from < at);
    if steps.get(place).is_none_or(|(from, _)| *from != at) {
        let free = steps[place - 1].1;
        steps.insert(place, (at, free));
    }
    place
}

/// The first start at which `part` is free for `limit`.
fn earliest_fit<T: Total>(steps: &Steps<T>, part: &T, limit: SimDuration) -> SimTime {
    let mut at = 0;
    loop {
        while !steps[at].1.holds(part) {
            at += 1;
        }
        let start = steps[at].0;
        match steps[at..]
            .iter()
            .take_while(|(from, _)| *from < start + limit)
            .position(|(_, free)| !free.holds(part))
        {
            None => return start,
            Some(blocked) => at += blocked,
        }
    }
}

/// All ranges [first, last] of starts at which a part `fits` for `limit`; last is [`SimTime::NEVER`] for the open
/// end. They are as long as can be, or, if `each` is set, end with each step.
fn start_windows<T>(
    steps: &[(SimTime, T)],
    fits: impl Fn(&T) -> bool,
    limit: SimDuration,
    each: bool,
    out: &mut Vec<Span>,
) {
    let mut at = 0;
    while at < steps.len() {
        if !fits(&steps[at].1) {
            at += 1;
            continue;
        }
        let end = steps[at..].iter().position(|(_, free)| !fits(free)).map(|n| at + n);
        let last = end.map_or(SimTime::NEVER, |blocked| steps[blocked].0 - limit);
        let until = end.unwrap_or(steps.len());
        if each {
            for step in at..until {
                let close = match steps[step + 1..until].first() {
                    Some((next, _)) => last.min(*next - INSTANT),
                    None => last,
                };
                if close >= steps[step].0 {
                    out.push((steps[step].0, close));
                }
            }
        } else if last >= steps[at].0 {
            out.push((steps[at].0, last));
        }
        at = until;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Amounts, Whole};

    fn steps(rows: &[(i64, u32)]) -> Steps<Amounts> {
        rows.iter().map(|(s, cpus)| (SimTime::from_s(*s), Amounts { cpus: *cpus, ..Amounts::ZERO })).collect()
    }

    #[test]
    fn the_earliest_fit_needs_the_whole_limit() {
        let line = steps(&[(0, 4), (10, 1), (20, 4)]);
        let ask = Amounts { cpus: 2, ..Amounts::ZERO };
        assert_eq!(earliest_fit(&line, &ask, SimDuration::from_s(10)), SimTime::from_s(0));
        assert_eq!(earliest_fit(&line, &ask, SimDuration::from_s(11)), SimTime::from_s(20));
        let mut windows = Vec::new();
        start_windows(&line, |free| free.holds(&ask), SimDuration::from_s(8), false, &mut windows);
        assert_eq!(
            windows,
            [(SimTime::from_s(0), SimTime::from_s(2)), (SimTime::from_s(20), SimTime::NEVER)]
        );
    }

    #[test]
    fn windows_can_end_with_each_step() {
        let line = steps(&[(0, 4), (10, 3), (20, 1), (30, 4), (40, 5)]);
        let ask = Amounts { cpus: 2, ..Amounts::ZERO };
        let mut windows = Vec::new();
        start_windows(&line, |free| free.holds(&ask), SimDuration::from_s(8), true, &mut windows);
        let before = |s| SimTime::from_s(s) - INSTANT;
        assert_eq!(
            windows,
            [
                (SimTime::from_s(0), before(10)),
                (SimTime::from_s(10), SimTime::from_s(12)),
                (SimTime::from_s(30), before(40)),
                (SimTime::from_s(40), SimTime::NEVER),
            ]
        );
    }

    #[test]
    fn taking_cuts_the_timeline() {
        let mut plan: Plan<Whole> =
            Plan { nodes: IdVec::from_vec(vec![steps(&[(0, 4)])]), ..Plan::default() };
        let part = Amounts { cpus: 3, ..Amounts::ZERO };
        plan.take(NodeId(0), (SimTime::from_s(5), SimTime::from_s(9)), &part);
        assert_eq!(plan.nodes[NodeId(0)], steps(&[(0, 4), (5, 1), (9, 4)]));
        let least = |a, b| least_free(&plan.nodes[NodeId(0)], (SimTime::from_s(a), SimTime::from_s(b))).cpus;
        assert_eq!((least(0, 5), least(0, 6), least(9, 12)), (4, 1, 4));
    }
}

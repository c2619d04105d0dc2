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

use smallvec::SmallVec;

use super::{Chosen, Classic, Start};
use crate::cluster::{Amounts, Conflict, Dedication};
use crate::ids::{IdVec, NodeId, ShapeId, TenantId};
use crate::scheduler::floor::Floor;
use crate::scheduler::placement::{NodeView, best_of};
use crate::scheduler::shapes::PoolShape;
use crate::time::{SimDuration, SimTime};

/// Assumed end of an overdue job: this much after now.
const OVERDUE: SimDuration = SimDuration::from_s(1);

/// A job without limit still takes its nodes at the instant at which it starts.
const INSTANT: SimDuration = SimDuration::from_micros(1);

type Steps = Vec<(SimTime, Amounts)>;

/// Timelines of all nodes, kept between passes to reuse their memory.
#[derive(Debug, Default)]
pub(super) struct Plan {
    nodes: IdVec<NodeId, Steps>,
    /// Tenants on each host of dedicated pools: from, to, whose.
    stays: Vec<Vec<(SimTime, SimTime, TenantId)>>,
}

/// Whose job is planned, and where the hosts of dedicated pools are.
#[derive(Clone, Copy)]
struct Whose<'a> {
    tenant: Option<TenantId>,
    floor: &'a Floor,
}

impl Whose<'_> {
    /// The host of a node, and the tenant, where hosts are dedicated.
    fn on(self, node: NodeId) -> Option<(usize, TenantId)> {
        self.tenant.and_then(|tenant| self.floor.ledger().host_of(node).map(|host| (host, tenant)))
    }
}

impl Classic<'_> {
    pub(super) fn conservative_pass(
        &mut self,
        now: SimTime,
        depth: Option<u32>,
        floor: &mut Floor,
        starts: &mut Vec<Start>,
    ) -> Result<(), Conflict> {
        let depth = depth.map_or(usize::MAX, |d| d as usize);
        let planned: Vec<_> = self.queue.iter().take(depth).collect();
        let mut plan = std::mem::take(&mut self.plan);
        plan.rebuild(now, floor);
        if floor.ledger().is_dedicated() {
            plan.rebuild_stays(now, floor);
        }
        for (position, shape) in planned {
            let limit = self.workload.jobs[position.job()].limit.max(INSTANT);
            let (start, nodes, tenant) = self.earliest(shape, limit, &plan, floor);
            for (node, part) in &nodes {
                if let Some((host, tenant)) = (Whose { tenant, floor: &*floor }).on(*node) {
                    plan.stays[host].push((start, start + limit, tenant));
                }
                plan.take(*node, start, start + limit, part);
            }
            if start == now {
                self.commit(position, &nodes, now, floor, starts)?;
            }
        }
        self.plan = plan;
        Ok(())
    }

    /// The earliest planned start of a shape over all its pools, its nodes, and whose they are where hosts are
    /// dedicated.
    fn earliest(
        &self,
        shape: ShapeId,
        limit: SimDuration,
        plan: &Plan,
        floor: &Floor,
    ) -> (SimTime, Chosen, Option<TenantId>) {
        let pools = &self.shapes.get(shape).pools;
        let (start, pool) = pools
            .iter()
            .map(|pool| (self.earliest_on(pool, limit, plan, floor), pool))
            .min_by_key(|(start, _)| *start)
            .expect("jobs that no pool holds are refused at submission");
        let range = floor.ledger().pool_range(pool.pool);
        let whose = Whose { tenant: self.shapes.parts.get(pool.groups[0].0).tenant, floor };
        let during = (start, start + limit);
        let mut chosen = Chosen::new();
        for (part, count) in &pool.groups {
            let ask = self.shapes.parts.get(*part).amounts;
            let nodes = range
                .clone()
                .map(NodeId)
                .filter(|node| !chosen.iter().any(|(taken, _)| taken == node))
                .map(|id| NodeView {
                    id,
                    capacity: floor.ledger().node(id).capacity,
                    free: plan.least_free(id, start, start + limit),
                })
                .filter(|node| node.free.holds(&ask) && plan.is_open(whose.on(node.id), during));
            let is_own = whose.tenant.map(|_| |node| plan.has(whose.on(node), during));
            let nodes = best_of(self.placement.as_ref(), &ask, nodes, *count as usize, is_own);
            let nodes = nodes.expect("the planned start is when enough nodes are free");
            chosen.extend(nodes.iter().map(|node| (node.id, ask)));
        }
        (start, chosen, whose.tenant)
    }

    /// The earliest instant from which every group finds its nodes for `limit`.
    fn earliest_on(&self, pool: &PoolShape, limit: SimDuration, plan: &Plan, floor: &Floor) -> SimTime {
        let range = floor.ledger().pool_range(pool.pool);
        let mut needed = 0;
        let groups: SmallVec<[(Amounts, usize); 2]> = pool
            .groups
            .iter()
            .map(|(part, count)| {
                needed += *count as usize;
                (self.shapes.parts.get(*part).amounts, needed)
            })
            .collect();
        if let Some(node) = floor.ledger().only_node(pool.pool) {
            return earliest_fit(&plan.nodes[node], &groups[0].0, limit);
        }
        let whose = Whose { tenant: self.shapes.parts.get(pool.groups[0].0).tenant, floor };
        plan.first_common(range, &groups, limit, whose)
    }
}

impl Plan {
    /// The present and the expected ends, nothing planned yet.
    fn rebuild(&mut self, now: SimTime, floor: &Floor) {
        if self.nodes.is_empty() {
            self.nodes = IdVec::filled(floor.ledger().nodes().len(), Vec::new());
        }
        for id in floor.ledger().nodes().ids() {
            let steps = &mut self.nodes[id];
            steps.clear();
            let mut free = floor.ledger().node(id).free;
            steps.push((now, free));
            // Overdue parts come back together, a moment from now, perhaps after ends that are not overdue.
            let back = now + OVERDUE;
            let mut overdue = Amounts::ZERO;
            for (release, amounts) in floor.releases(id).iter() {
                let end = release.end();
                if end <= now {
                    overdue = overdue.plus(&amounts);
                    continue;
                }
                if end >= back {
                    raise(steps, back, &mut free, &std::mem::take(&mut overdue));
                }
                raise(steps, end, &mut free, &amounts);
            }
            raise(steps, back, &mut free, &overdue);
        }
    }

    /// The tenants whose jobs run, until the last is expected to have ended.
    fn rebuild_stays(&mut self, now: SimTime, floor: &Floor) {
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

    /// Whether a host has nobody but the tenant during [from, to).
    fn is_open(&self, host: Option<(usize, TenantId)>, (from, to): (SimTime, SimTime)) -> bool {
        let overlaps = |stay: &(SimTime, SimTime, TenantId)| stay.0 < to && from < stay.1;
        host.is_none_or(|(host, tenant)| {
            !self.stays[host].iter().any(|stay| stay.2 != tenant && overlaps(stay))
        })
    }

    /// Whether a host has the tenant at some time in [from, to).
    fn has(&self, host: Option<(usize, TenantId)>, (from, to): (SimTime, SimTime)) -> bool {
        let overlaps = |stay: &(SimTime, SimTime, TenantId)| stay.0 < to && from < stay.1;
        host.is_some_and(|(host, tenant)| {
            self.stays[host].iter().any(|stay| stay.2 == tenant && overlaps(stay))
        })
    }

    /// The timeline of a node with the times at which its host is open to a tenant.
    fn open_steps(&self, node: NodeId, (host, tenant): (usize, TenantId)) -> Vec<(SimTime, (Amounts, bool))> {
        let mut steps: Vec<_> = self.nodes[node].iter().map(|(at, free)| (*at, (*free, true))).collect();
        for (from, to, _) in self.stays[host].iter().filter(|stay| stay.2 != tenant) {
            let first = cut(&mut steps, *from);
            let last = cut(&mut steps, *to);
            steps[first..last].iter_mut().for_each(|(_, (_, is_open))| *is_open = false);
        }
        steps
    }

    /// Takes `part` from `node` during [from, to).
    fn take(&mut self, node: NodeId, from: SimTime, to: SimTime, part: &Amounts) {
        let steps = &mut self.nodes[node];
        let first = cut(steps, from);
        let last = cut(steps, to);
        for (_, free) in &mut steps[first..last] {
            *free = free.minus(part);
        }
    }

    /// The least that `node` has free during [from, to).
    fn least_free(&self, node: NodeId, from: SimTime, to: SimTime) -> Amounts {
        let steps = &self.nodes[node];
        let first = steps.partition_point(|(at, _)| *at <= from) - 1;
        let during = steps[first..].iter().take_while(|(at, _)| *at < to || *at <= from);
        during.map(|(_, free)| *free).reduce(|a, b| a.min(&b)).expect("a timeline covers every instant")
    }

    /// The first instant from which each group's part is free for `limit` on as many nodes as it needs.
    /// The answer is the present or an instant at which some node's timeline rises.
    fn first_common(
        &self,
        range: std::ops::Range<u32>,
        groups: &[(Amounts, usize)],
        limit: SimDuration,
        whose: Whose<'_>,
    ) -> SimTime {
        let mut answer: Option<SimTime> = None;
        let mut windows: Vec<Vec<(SimTime, SimTime)>> = Vec::with_capacity(groups.len());
        for (part, _) in groups {
            let mut rows = Vec::new();
            for node in range.clone().map(NodeId) {
                match whose.on(node) {
                    None => start_windows(&self.nodes[node], |free| free.holds(part), limit, &mut rows),
                    Some(host) => {
                        let steps = self.open_steps(node, host);
                        let fits = |(free, is_open): &(Amounts, bool)| *is_open && free.holds(part);
                        start_windows(&steps, fits, limit, &mut rows);
                    }
                }
            }
            windows.push(rows);
        }
        // Sweep all window edges once; at each instant opens come before the test, closes after it.
        let mut edges: Vec<(SimTime, bool, usize)> = Vec::new();
        for (group, rows) in windows.iter().enumerate() {
            for (open, close) in rows {
                edges.push((*open, false, group));
                if *close != SimTime::NEVER {
                    edges.push((*close, true, group));
                }
            }
        }
        edges.sort_unstable();
        let mut count: SmallVec<[usize; 2]> = SmallVec::from_elem(0, groups.len());
        let mut at = 0;
        while at < edges.len() && answer.is_none() {
            let now = edges[at].0;
            while at < edges.len() && edges[at].0 == now && !edges[at].1 {
                count[edges[at].2] += 1;
                at += 1;
            }
            if groups.iter().zip(&count).all(|((_, needed), have)| have >= needed) {
                answer = Some(now);
            }
            while at < edges.len() && edges[at].0 == now && edges[at].1 {
                count[edges[at].2] -= 1;
                at += 1;
            }
        }
        answer.expect("when everything has ended the shape fits")
    }
}

/// Adds `amounts` to what is free from `at` on; `at` is not before the last step.
fn raise(steps: &mut Steps, at: SimTime, free: &mut Amounts, amounts: &Amounts) {
    if *amounts == Amounts::ZERO {
        return;
    }
    *free = free.plus(amounts);
    match steps.last_mut() {
        Some(last) if last.0 == at => last.1 = *free,
        _ => steps.push((at, *free)),
    }
}

/// Index of the step that starts at `at`, made if there is none.
fn cut<T: Copy>(steps: &mut Vec<(SimTime, T)>, at: SimTime) -> usize {
    let place = steps.partition_point(|(from, _)| *from < at);
    if steps.get(place).is_none_or(|(from, _)| *from != at) {
        let free = steps[place - 1].1;
        steps.insert(place, (at, free));
    }
    place
}

/// The first start at which `part` is free for `limit`.
fn earliest_fit(steps: &Steps, part: &Amounts, limit: SimDuration) -> SimTime {
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

/// All maximal ranges [first, last] of starts at which a part `fits` for `limit`; last is
/// [`SimTime::NEVER`] for the open end.
fn start_windows<T>(
    steps: &[(SimTime, T)],
    fits: impl Fn(&T) -> bool,
    limit: SimDuration,
    out: &mut Vec<(SimTime, SimTime)>,
) {
    let mut at = 0;
    while at < steps.len() {
        if !fits(&steps[at].1) {
            at += 1;
            continue;
        }
        let open = steps[at].0;
        let end = steps[at..].iter().position(|(_, free)| !fits(free)).map(|n| at + n);
        match end {
            None => {
                out.push((open, SimTime::NEVER));
                return;
            }
            Some(blocked) => {
                let last = steps[blocked].0 - limit;
                if last >= open {
                    out.push((open, last));
                }
                at = blocked;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(rows: &[(i64, u32)]) -> Steps {
        rows.iter().map(|(s, cpus)| (SimTime::from_s(*s), Amounts { cpus: *cpus, ..Amounts::ZERO })).collect()
    }

    #[test]
    fn the_earliest_fit_needs_the_whole_limit() {
        let line = steps(&[(0, 4), (10, 1), (20, 4)]);
        let ask = Amounts { cpus: 2, ..Amounts::ZERO };
        assert_eq!(earliest_fit(&line, &ask, SimDuration::from_s(10)), SimTime::from_s(0));
        assert_eq!(earliest_fit(&line, &ask, SimDuration::from_s(11)), SimTime::from_s(20));
        let mut windows = Vec::new();
        start_windows(&line, |free| free.holds(&ask), SimDuration::from_s(8), &mut windows);
        assert_eq!(
            windows,
            [(SimTime::from_s(0), SimTime::from_s(2)), (SimTime::from_s(20), SimTime::NEVER)]
        );
    }

    #[test]
    fn taking_cuts_the_timeline() {
        let mut plan = Plan { nodes: IdVec::from_vec(vec![steps(&[(0, 4)])]), stays: Vec::new() };
        let part = Amounts { cpus: 3, ..Amounts::ZERO };
        plan.take(NodeId(0), SimTime::from_s(5), SimTime::from_s(9), &part);
        assert_eq!(plan.nodes[NodeId(0)], steps(&[(0, 4), (5, 1), (9, 4)]));
        let least = |a, b| plan.least_free(NodeId(0), SimTime::from_s(a), SimTime::from_s(b)).cpus;
        assert_eq!((least(0, 5), least(0, 6), least(9, 12)), (4, 1, 4));
    }
}

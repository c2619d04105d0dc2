//! Which idle MIG GPUs to cut anew, and how, so that the queue is served.
//!
//! ```text
//!   queue: 3 x 1g            4g busy at 0, 3g idle at 4  -->  4g busy, 1g@4, 1g@5, 1g@6
//!   queue: 3g, 4 x 1g        7g idle                     -->  1g@0, 1g@1, 1g@2, 1g@3, 3g@4
//! ```
//!
//! [`MigPlanner::plan`] looks at what waiting jobs ask for, at every GPU's layout and at who is busy, and
//! tells which GPUs should get which layout. For one GPU the choice is exact: every maximal layout that keeps
//! the busy instances is looked at (at most some tens). Over several GPUs it is greedy: the best change
//! first, then the best of the rest against what is then still unserved. Equal GPUs are looked at once.
//!
//! What it deliberately does not know: when it is asked, what a change costs, who waits for what reason. The
//! caller counts as demand only jobs that could start if they had their instance, and pays for the change.
//!
//! Invariants: a busy instance keeps its place; a plan serves at least [`Hysteresis::least_gain`] more than
//! no plan with every GPU that it changes, so what is free already is never cut up for nothing; the same
//! input gives the same plan (ties: fewest stranded slices, fewest instances destroyed and created, first
//! GPU, first layout).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::cluster::mig::{GpuModel, Layout, Placement, ProfileId, stranded};
use crate::time::{SimDuration, SimTime};

/// What a plan makes most of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanObjective {
    /// Waiting requests that get an instance.
    QueueServed,
    /// Memory slices that waiting requests put to use; among equal plans, fewest slices that no further
    /// instance can use.
    LeastStranding,
}

/// What keeps a plan from following every change of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hysteresis {
    /// Least gain of each changed GPU, in the objective's unit (requests or memory slices); 0 counts as 1.
    pub least_gain: u32,
    /// A GPU keeps a layout at least so long.
    pub hold: SimDuration,
}

/// Waiting requests of one profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigDemand {
    /// The profile; requests for memory or a share only are given theirs by the caller
    /// ([`smallest_fitting`](crate::cluster::mig::smallest_fitting)).
    pub profile: ProfileId,
    /// How many instances of it.
    pub count: u32,
}

/// One GPU as the planner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuState {
    /// Its instances.
    pub layout: Layout,
    /// Those of them that are in use.
    pub busy: Layout,
    /// When its layout last changed; `None` = never.
    pub changed: Option<SimTime>,
    /// Whether it may be changed now (for instance: not where its whole node must be empty first).
    pub may_change: bool,
}

/// A GPU that gets another layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repartition {
    /// Position of the GPU in the list that was planned for.
    pub gpu: usize,
    /// Its layout from now on; every busy instance is in it.
    pub layout: Layout,
}

/// Plans for GPUs of one model.
#[derive(Debug)]
pub struct MigPlanner<'m> {
    model: &'m GpuModel,
    /// Profiles that new instances may have.
    profiles: Vec<ProfileId>,
    objective: PlanObjective,
    hysteresis: Hysteresis,
    /// Maximal layouts around a set of busy instances, found once.
    around: BTreeMap<Layout, Rc<[Candidate]>>,
}

/// A layout that a GPU could get.
#[derive(Clone, Debug)]
struct Candidate {
    layout: Layout,
    /// Instances beside the busy ones, by profile.
    idle: Vec<u32>,
    /// Compute and memory slices that no further instance can use.
    stranded: u32,
}

/// Equal GPUs that may change, the first ones last.
struct Alike<'g> {
    state: &'g GpuState,
    gpus: Vec<usize>,
    candidates: Rc<[Candidate]>,
}

/// How good a change is; the greatest wins.
type Merit = (u32, u32, Reverse<u32>, Reverse<usize>, Reverse<usize>);

impl<'m> MigPlanner<'m> {
    /// A planner; new instances are of `profiles`.
    #[must_use]
    pub fn new(
        model: &'m GpuModel,
        profiles: &[ProfileId],
        objective: PlanObjective,
        hysteresis: Hysteresis,
    ) -> Self {
        Self { model, profiles: profiles.to_vec(), objective, hysteresis, around: BTreeMap::new() }
    }

    /// Which of `gpus` to change, in the order of their merit; empty where the free instances serve the
    /// queue, or no change serves it better.
    pub fn plan(&mut self, now: SimTime, demand: &[MigDemand], gpus: &[GpuState]) -> Vec<Repartition> {
        let mut unserved = vec![0i64; self.model.profiles().count()];
        for row in demand {
            unserved[usize::from(row.profile.0)] += i64::from(row.count);
        }
        for gpu in gpus {
            let idle = self.idle(&gpu.layout, &gpu.busy);
            unserved.iter_mut().zip(idle).for_each(|(left, idle)| *left -= i64::from(idle));
        }
        if unserved.iter().all(|left| *left <= 0) {
            return Vec::new();
        }
        let mut alike = self.changeable(now, gpus);
        let mut plan = Vec::new();
        while let Some((class, candidate)) = self.best(&alike, &unserved) {
            let chosen = alike[class].candidates[candidate].clone();
            let before = self.idle(&alike[class].state.layout, &alike[class].state.busy);
            for ((left, before), after) in unserved.iter_mut().zip(before).zip(&chosen.idle) {
                *left += i64::from(before) - i64::from(*after);
            }
            let gpu = alike[class].gpus.pop().expect("a class without GPUs is dropped");
            plan.push(Repartition { gpu, layout: chosen.layout });
            alike.retain(|class| !class.gpus.is_empty());
        }
        plan
    }

    /// The GPUs that may change now, equal ones together, in the order of their first members.
    fn changeable<'g>(&mut self, now: SimTime, gpus: &'g [GpuState]) -> Vec<Alike<'g>> {
        let mut classes: BTreeMap<(&Layout, &Layout), usize> = BTreeMap::new();
        let mut alike: Vec<Alike<'g>> = Vec::new();
        for (at, state) in gpus.iter().enumerate() {
            let held = state.changed.is_some_and(|changed| now < changed + self.hysteresis.hold);
            if held || !state.may_change {
                continue;
            }
            let class = *classes.entry((&state.layout, &state.busy)).or_insert_with(|| {
                let candidates = self.around(&state.busy);
                alike.push(Alike { state, gpus: Vec::new(), candidates });
                alike.len() - 1
            });
            alike[class].gpus.push(at);
        }
        alike.iter_mut().for_each(|class| class.gpus.reverse());
        alike
    }

    /// The best change of one GPU: (class, candidate); `None` if none gains enough.
    fn best(&self, alike: &[Alike<'_>], unserved: &[i64]) -> Option<(usize, usize)> {
        let mut best: Option<(Merit, (usize, usize))> = None;
        for (class, gpu) in alike.iter().enumerate() {
            let before = self.idle(&gpu.state.layout, &gpu.state.busy);
            let first = *gpu.gpus.last().expect("a class without GPUs is dropped");
            for (at, candidate) in gpu.candidates.iter().enumerate() {
                let Some((gain, second)) = self.gain(unserved, &before, &candidate.idle) else { continue };
                let moved = moves(&gpu.state.layout, &candidate.layout);
                let merit = (gain, second, Reverse(candidate.stranded), Reverse(moved), Reverse(first));
                if best.is_none_or(|(most, _)| merit > most) {
                    best = Some((merit, (class, at)));
                }
            }
        }
        best.map(|(_, change)| change)
    }

    /// What the objective gains when `before` idle instances become `after`, and what the other objective
    /// does; `None` if that is not enough.
    fn gain(&self, unserved: &[i64], before: &[u32], after: &[u32]) -> Option<(u32, u32)> {
        let (mut requests, mut slices) = (0i64, 0i64);
        for (id, profile) in self.model.profiles() {
            let at = usize::from(id.0);
            let (had, has) = (i64::from(before[at]), i64::from(after[at]));
            // Requests that one GPU's instances serve after all others have served theirs.
            let left = unserved[at] + had;
            let served = has.min(left.max(0)) - had.min(left.max(0));
            requests += served;
            slices += served * i64::from(profile.memory_slices);
        }
        let (gain, second) = match self.objective {
            PlanObjective::QueueServed => (requests, slices),
            PlanObjective::LeastStranding => (slices, requests),
        };
        let enough = gain >= i64::from(self.hysteresis.least_gain.max(1));
        enough.then(|| (gain as u32, second.max(0) as u32))
    }

    /// Instances of `layout` that are not in `busy`, by profile.
    fn idle(&self, layout: &Layout, busy: &Layout) -> Vec<u32> {
        let mut counts = vec![0; self.model.profiles().count()];
        for placement in layout.placements().iter().filter(|p| !busy.placements().contains(p)) {
            counts[usize::from(placement.profile.0)] += 1;
        }
        counts
    }

    /// Every layout that has `busy` and leaves no room for another instance.
    fn around(&mut self, busy: &Layout) -> Rc<[Candidate]> {
        if let Some(known) = self.around.get(busy) {
            return Rc::clone(known);
        }
        let mut found = Vec::new();
        let all = self.placements();
        self.extend(&all, busy, &mut found);
        let candidate = |layout: Layout| {
            let idle = self.idle(&layout, busy);
            let lost = stranded(self.model, &layout, &self.profiles);
            Candidate { layout, idle, stranded: u32::from(lost.compute) + u32::from(lost.memory) }
        };
        let candidates: Rc<[Candidate]> = found.into_iter().map(candidate).collect();
        self.around.insert(busy.clone(), Rc::clone(&candidates));
        candidates
    }

    /// Every placement of the profiles, by start.
    fn placements(&self) -> Vec<Placement> {
        let starts = |id: &ProfileId| {
            let profile = *id;
            self.model.profile(profile).starts.iter().map(move |start| Placement { start: *start, profile })
        };
        let mut all: Vec<Placement> = self.profiles.iter().flat_map(starts).collect();
        all.sort_unstable();
        all
    }

    /// Adds to `found` the maximal ones among `layout` and its extensions by placements of `rest`.
    fn extend(&self, rest: &[Placement], layout: &Layout, found: &mut Vec<Layout>) {
        let mut room = self.profiles.iter().map(|id| layout.legal_starts(self.model, *id).next());
        if room.all(|start| start.is_none()) {
            found.push(layout.clone());
        }
        for (at, placement) in rest.iter().enumerate() {
            let mut next = layout.clone();
            if next.place(self.model, *placement).is_ok() {
                self.extend(&rest[at + 1..], &next, found);
            }
        }
    }
}

/// Instances destroyed and created on the way from one layout to the other.
fn moves(from: &Layout, to: &Layout) -> usize {
    let lacking =
        |a: &Layout, b: &Layout| a.placements().iter().filter(|p| !b.placements().contains(p)).count();
    lacking(from, to) + lacking(to, from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::mig::{Asked, find_model, layouts};

    const AT_ONCE: Hysteresis = Hysteresis { least_gain: 1, hold: SimDuration::ZERO };

    fn h100() -> &'static GpuModel {
        find_model("H100-80GB-SXM").unwrap()
    }

    fn layout(words: &[(&str, u8)]) -> Layout {
        let asked =
            |(name, start): &(&str, u8)| Asked { profile: h100().find(name).unwrap(), start: Some(*start) };
        Layout::arrange(h100(), &words.iter().map(asked).collect::<Vec<_>>()).unwrap()
    }

    fn gpu(has: &[(&str, u8)], busy: &[(&str, u8)]) -> GpuState {
        GpuState { layout: layout(has), busy: layout(busy), changed: None, may_change: true }
    }

    fn demand(rows: &[(&str, u32)]) -> Vec<MigDemand> {
        let row =
            |(name, count): &(&str, u32)| MigDemand { profile: h100().find(name).unwrap(), count: *count };
        rows.iter().map(row).collect()
    }

    fn plan(objective: PlanObjective, rows: &[(&str, u32)], gpus: &[GpuState]) -> Vec<(usize, String)> {
        let mut planner = MigPlanner::new(h100(), &h100().plain(), objective, AT_ONCE);
        let plan = planner.plan(SimTime::ZERO, &demand(rows), gpus);
        plan.into_iter().map(|change| (change.gpu, change.layout.words(h100()))).collect()
    }

    fn change(gpu: usize, layout: &str) -> (usize, String) {
        (gpu, layout.to_owned())
    }

    #[test]
    fn worked_examples() {
        let whole = || gpu(&[("7g.80gb", 0)], &[]);
        let served = PlanObjective::QueueServed;
        let two = plan(served, &[("3g.40gb", 2)], &[whole()]);
        assert_eq!(two, [change(0, "3g.40gb@0 + 3g.40gb@4")]);
        let mixed = plan(served, &[("3g.40gb", 1), ("1g.10gb", 4)], &[whole()]);
        assert_eq!(mixed, [change(0, "1g.10gb@0 + 1g.10gb@1 + 1g.10gb@2 + 1g.10gb@3 + 3g.40gb@4")]);
        let beside = gpu(&[("4g.40gb", 0), ("3g.40gb", 4)], &[("4g.40gb", 0)]);
        let three = plan(served, &[("1g.10gb", 3)], &[beside]);
        assert_eq!(three, [change(0, "4g.40gb@0 + 1g.10gb@4 + 1g.10gb@5 + 1g.10gb@6")]);
    }

    #[test]
    fn free_instances_serve_first_and_full_gpus_stay() {
        let split = gpu(&[("3g.40gb", 0), ("3g.40gb", 4)], &[("3g.40gb", 0)]);
        assert_eq!(plan(PlanObjective::QueueServed, &[("3g.40gb", 1)], std::slice::from_ref(&split)), []);
        let busy = gpu(&[("7g.80gb", 0)], &[("7g.80gb", 0)]);
        assert_eq!(plan(PlanObjective::QueueServed, &[("1g.10gb", 3)], std::slice::from_ref(&busy)), []);
        let mut kept = gpu(&[("7g.80gb", 0)], &[]);
        kept.may_change = false;
        assert_eq!(plan(PlanObjective::QueueServed, &[("1g.10gb", 3)], &[busy, kept]), []);
        // The second 3g would cost the 7g that somebody waits for: the first GPU has one free already.
        let both = [split, gpu(&[("7g.80gb", 0)], &[])];
        assert_eq!(plan(PlanObjective::QueueServed, &[("3g.40gb", 2), ("7g.80gb", 1)], &both), []);
    }

    #[test]
    fn the_objective_decides_between_one_large_and_two_small() {
        let halves = [gpu(&[("3g.40gb", 0), ("3g.40gb", 4)], &[])];
        let rows = [("7g.80gb", 1), ("1g.10gb", 2)];
        let served = plan(PlanObjective::QueueServed, &rows, &halves);
        assert!(served[0].1.matches("1g.10gb").count() >= 2 && served[0].1.contains("3g.40gb"), "{served:?}");
        let slices = plan(PlanObjective::LeastStranding, &rows, &halves);
        assert_eq!(slices, [change(0, "7g.80gb@0")]);
    }

    #[test]
    fn hysteresis_holds_a_layout_and_asks_for_a_gain() {
        let mut state = gpu(&[("7g.80gb", 0)], &[]);
        state.changed = Some(SimTime::from_s(100));
        let hysteresis = Hysteresis { least_gain: 2, hold: SimDuration::from_s(600) };
        let mut planner = MigPlanner::new(h100(), &h100().plain(), PlanObjective::QueueServed, hysteresis);
        let two = demand(&[("2g.20gb", 2)]);
        assert_eq!(planner.plan(SimTime::from_s(699), &two, std::slice::from_ref(&state)), []);
        assert_eq!(planner.plan(SimTime::from_s(700), &two, std::slice::from_ref(&state)).len(), 1);
        let one = demand(&[("2g.20gb", 1)]);
        assert_eq!(planner.plan(SimTime::from_s(700), &one, &[state]), []);
    }

    #[test]
    fn as_many_gpus_as_the_queue_needs_the_first_ones() {
        let gpus: Vec<GpuState> = (0..5).map(|_| gpu(&[("7g.80gb", 0)], &[])).collect();
        let plan = plan(PlanObjective::QueueServed, &[("1g.10gb", 9)], &gpus);
        let changed: Vec<usize> = plan.iter().map(|(gpu, _)| *gpu).collect();
        assert_eq!(changed, [0, 1]);
        assert_eq!(plan[0].1.matches("1g.10gb").count(), 7);
    }

    /// Requests of each profile that the idle instances serve.
    fn requests_served(demand: &[MigDemand], gpus: &[GpuState]) -> u32 {
        let idle = |profile: ProfileId| {
            let of = |gpu: &GpuState| {
                let idle = gpu.layout.placements().iter().filter(|p| !gpu.busy.placements().contains(p));
                idle.filter(|p| p.profile == profile).count() as u32
            };
            gpus.iter().map(of).sum::<u32>()
        };
        demand.iter().map(|row| row.count.min(idle(row.profile))).sum()
    }

    fn any_gpus() -> impl Strategy<Value = Vec<GpuState>> {
        let all = layouts(h100(), &h100().plain());
        let gpu = (0..all.len(), any::<u8>(), 0..4i64).prop_map(move |(at, busy, changed_s)| {
            let layout = all[at].clone();
            let mut held = layout.clone();
            for (n, placement) in layout.placements().iter().enumerate() {
                if busy >> n & 1 == 0 {
                    held.remove(*placement);
                }
            }
            let changed = Some(SimTime::from_s(changed_s));
            GpuState { layout, busy: held, changed, may_change: changed_s < 3 }
        });
        prop::collection::vec(gpu, 1..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A busy instance stays, nobody is changed who must not be, and more of the queue is served.
        #[test]
        fn plans_touch_no_busy_instance(gpus in any_gpus(), counts in prop::collection::vec(0u32..6, 6)) {
            let model = h100();
            let wanted: Vec<MigDemand> = model.plain().into_iter().zip(&counts)
                .map(|(profile, count)| MigDemand { profile, count: *count }).collect();
            let hysteresis = Hysteresis { least_gain: 1, hold: SimDuration::from_s(3) };
            for objective in [PlanObjective::QueueServed, PlanObjective::LeastStranding] {
                let mut planner = MigPlanner::new(model, &model.plain(), objective, hysteresis);
                let plan = planner.plan(SimTime::from_s(4), &wanted, &gpus);
                let mut after = gpus.clone();
                for change in &plan {
                    let state = &mut after[change.gpu];
                    prop_assert!(state.may_change && state.changed <= Some(SimTime::from_s(1)));
                    prop_assert!(state.layout != change.layout, "changed at most once, and to another layout");
                    for busy in state.busy.placements() {
                        prop_assert!(change.layout.placements().contains(busy));
                    }
                    state.layout = change.layout.clone();
                }
                let (before, now) = (requests_served(&wanted, &gpus), requests_served(&wanted, &after));
                if objective == PlanObjective::QueueServed {
                    prop_assert!(now >= before + plan.len() as u32, "{before} to {now}");
                }
                prop_assert_eq!(plan, planner.plan(SimTime::from_s(4), &wanted, &gpus), "caches change nothing");
            }
        }

        /// On one GPU the plan is the best of all layouts.
        #[test]
        fn one_gpu_is_planned_exactly(gpus in any_gpus(), counts in prop::collection::vec(0u32..6, 6)) {
            let model = h100();
            let wanted: Vec<MigDemand> = model.plain().into_iter().zip(&counts)
                .map(|(profile, count)| MigDemand { profile, count: *count }).collect();
            let one = &gpus[..1];
            let mut planner = MigPlanner::new(model, &model.plain(), PlanObjective::QueueServed, AT_ONCE);
            let mut after = one.to_vec();
            after[0].may_change = true;
            for change in planner.plan(SimTime::from_s(9), &wanted, &after.clone()) {
                after[change.gpu].layout = change.layout;
            }
            let mut most = requests_served(&wanted, one);
            for layout in layouts(model, &model.plain()) {
                if one[0].busy.placements().iter().all(|busy| layout.placements().contains(busy)) {
                    let state = GpuState { layout, ..one[0].clone() };
                    most = most.max(requests_served(&wanted, &[state]));
                }
            }
            prop_assert_eq!(requests_served(&wanted, &after), most);
        }
    }
}

//! The same decisions without any cache: the reference that tests hold the engine against.
//!
//! Queues are built and sorted anew for every pass, the time map is a list of slots with a set of nodes
//! each, a prediction removes running jobs one by one and looks at every node after every batch.

use rustc_hash::FxHashMap;

use super::NodeSet;
use super::config::{BackfillRule, Rule};
use super::controller::Controller;
use super::job::{JobIx, StartedBy, State};
use super::main_pass::Attempt;
use super::prediction::{Prediction, Tried, Windows};
use super::reservation::Reserved;
use crate::time::SimTime;

/// One interval `[begin, end)` and the nodes free in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Slot {
    pub begin_s: i64,
    pub end_s: i64,
    pub free: NodeSet,
}

/// The slots in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TimeMap {
    pub slots: Vec<Slot>,
    resolution_s: i64,
}

/// What a job sees of the map at one tried start.
struct Window {
    /// Nodes free all along.
    pub free: NodeSet,
    /// When the next set of nodes that is no subset of these begins.
    pub later_s: Option<i64>,
}

impl TimeMap {
    /// One slot from now to the end of the window, both rounded down already.
    fn new(begin_s: i64, end_s: i64, resolution_s: i64, free: NodeSet) -> Self {
        let slot = Slot { begin_s, end_s, free };
        Self { slots: vec![slot], resolution_s }
    }

    /// Nodes of `usable` that no reservation takes during `[start, end]`, and the next edge worth a try.
    fn window(&self, usable: &NodeSet, start_s: i64, end_s: i64) -> Window {
        let mut free = usable.clone();
        let mut later_s = None;
        for (at, slot) in self.slots.iter().enumerate() {
            if slot.end_s <= start_s {
                continue;
            }
            if later_s.is_none()
                && let Some(next) = self.slots.get(at + 1)
            {
                let mut then = usable.clone();
                then.intersect_with(&next.free);
                let mut now = free.clone();
                now.intersect_with(&slot.free);
                if !then.is_subset(&now) {
                    later_s = Some(slot.end_s);
                }
            }
            if slot.begin_s > end_s {
                break;
            }
            free.intersect_with(&slot.free);
        }
        Window { free, later_s }
    }

    /// Whether any of `nodes` is taken during `[start, end)`.
    fn taken(&self, nodes: &NodeSet, start_s: i64, end_s: i64) -> bool {
        self.slots
            .iter()
            .skip_while(|slot| slot.end_s <= start_s)
            .take_while(|slot| slot.begin_s < end_s)
            .any(|slot| !nodes.is_subset(&slot.free))
    }

    /// Takes `nodes` out during `[start, end)`, at least one step of the resolution long.
    fn reserve(&mut self, nodes: &NodeSet, start_s: i64, end_s: i64) {
        let start_s = start_s.max(self.slots[0].begin_s);
        let end_s = end_s.max(start_s + self.resolution_s);
        if !self.slots.iter().any(|slot| slot.end_s >= start_s) {
            return; // beyond the window
        }
        self.cut(start_s);
        self.cut(end_s);
        for slot in &mut self.slots {
            if slot.begin_s >= start_s && slot.begin_s < end_s {
                slot.free.difference_with(nodes);
            }
        }
        self.slots.dedup_by(|later, earlier| {
            let same = later.free == earlier.free;
            if same {
                earlier.end_s = later.end_s;
            }
            same
        });
    }

    /// Makes sure that a slot begins at `at_s`, if that lies inside the map.
    fn cut(&mut self, at_s: i64) {
        let Some(at) = self.slots.iter().position(|s| s.begin_s < at_s && at_s < s.end_s) else { return };
        let mut later = self.slots[at].clone();
        later.begin_s = at_s;
        self.slots[at].end_s = at_s;
        self.slots.insert(at + 1, later);
    }
}

/// Counters of one cycle.
struct Cycle {
    map: TimeMap,
    now: SimTime,
    now_s: i64,
    window_end_s: i64,
    tried: u32,
    started: u32,
    per_partition: FxHashMap<usize, u32>,
    per_user: FxHashMap<u32, u32>,
    per_user_partition: FxHashMap<(u32, usize), u32>,
    per_assoc: FxHashMap<u32, u32>,
    reserved_in_partition: FxHashMap<usize, u32>,
    reserved_in_array: FxHashMap<usize, u32>,
}

/// What became of a test.
enum Outcome {
    /// Nothing: go on with the next job.
    Passed,
    /// Started; whether it was a task of an array with more tasks.
    Started(bool),
    /// Reserved.
    Reserved,
    /// The cycle ends here.
    Stop,
}

impl Controller<'_> {
    /// One cycle at `now`.
    pub(super) fn uncached_backfill_cycle(&mut self, now: SimTime) {
        let now_s = now.micros().div_euclid(1_000_000);
        let queue = self.uncached_queue(now_s, true);
        if queue.is_empty() {
            return;
        }
        self.cycles.backfill += 1;
        let rules = &self.config.backfill;
        self.cycles.backfill_depth += self.depth_of_cycle(queue.len());
        let most = usize::try_from(self.most_in_cycle()).unwrap_or(usize::MAX);
        let map = TimeMap::new(
            self.uncached_floor(now_s),
            self.uncached_floor(now_s + rules.window_s),
            rules.resolution_s,
            self.usable.clone(),
        );
        let mut cycle = Cycle {
            window_end_s: map.slots[0].end_s,
            map,
            now,
            now_s,
            tried: 0,
            started: 0,
            per_partition: FxHashMap::default(),
            per_user: FxHashMap::default(),
            per_user_partition: FxHashMap::default(),
            per_assoc: FxHashMap::default(),
            reserved_in_partition: FxHashMap::default(),
            reserved_in_array: FxHashMap::default(),
        };
        for job in queue.into_iter().take(most) {
            if self.jobs[job.at()].state != State::Pending {
                continue; // started in another partition
            }
            if cycle.tried >= rules.max_job_test || self.uncached_backfill_job(job, &mut cycle) {
                break;
            }
        }
    }

    /// Tests a job, and the tasks of an array one after the other; tells whether the cycle ends.
    fn uncached_backfill_job(&mut self, job: JobIx, cycle: &mut Cycle) -> bool {
        let mut reserved_tasks = 0;
        if self.jobs[job.at()].preempt_in_progress || !self.counts_let(job) {
            return false;
        }
        let array = self.spec(job).task_of.and(self.jobs[job.at()].array);
        let most = self.config.backfill.max_job_array_resv;
        if array.is_some_and(|array| cycle.reserved_in_array.get(&array).is_some_and(|n| *n >= most)) {
            return false;
        }
        loop {
            if !self.array_lets(job, cycle.now_s)
                || self.uncached_over_test_limits(job, cycle)
                || !self.licences_are_there(job, cycle.now_s)
            {
                return false;
            }
            let now_only = self.uncached_now_only(job, cycle);
            match self.uncached_backfill_test(job, now_only, cycle) {
                Outcome::Passed | Outcome::Started(false) => return false,
                Outcome::Stop => return true,
                Outcome::Started(true) => {}
                Outcome::Reserved => {
                    reserved_tasks += 1;
                    if let Some(array) = array {
                        *cycle.reserved_in_array.entry(array).or_default() += 1;
                    }
                    let tasks = self.jobs[job.at()].pending_tasks.len();
                    if tasks < 2 || reserved_tasks >= most || reserved_tasks as usize >= tasks {
                        return false;
                    }
                }
            }
        }
    }

    /// Jobs below `bf_min_prio_reserve` or `bf_min_age_reserve`, and those beyond
    /// `bf_job_part_count_reserve`, may only start now.
    fn uncached_now_only(&self, job: JobIx, cycle: &Cycle) -> bool {
        let record = &self.jobs[job.at()];
        let rules = &self.config.backfill;
        let young = rules.min_age_reserve_s > 0
            && record.begin_s.is_some_and(|begin| cycle.now_s - begin < rules.min_age_reserve_s);
        let reserved = cycle.reserved_in_partition.get(&record.partition).copied().unwrap_or(0);
        record.priority < rules.min_prio_reserve
            || young
            || (rules.job_part_count_reserve > 0 && reserved >= rules.job_part_count_reserve)
            || (rules.one_resv_per_job && self.has_planned_start(job))
            || (rules.rule == BackfillRule::Easy && !cycle.reserved_in_partition.is_empty())
    }

    /// `bf_max_job_part`, `bf_max_job_user`, `bf_max_job_user_part`, `bf_max_job_assoc`.
    fn uncached_over_test_limits(&self, job: JobIx, cycle: &mut Cycle) -> bool {
        let record = &self.jobs[job.at()];
        let rules = &self.config.backfill;
        let assoc = record.assoc.map_or(u32::MAX, |a| a.0);
        let counts = [
            (
                rules.max_job_user_part,
                cycle.per_user_partition.entry((record.user, record.partition)).or_default(),
            ),
            (rules.max_job_part, cycle.per_partition.entry(record.partition).or_default()),
            (rules.max_job_assoc, cycle.per_assoc.entry(assoc).or_default()),
            (rules.max_job_user, cycle.per_user.entry(record.user).or_default()),
        ];
        if counts.iter().any(|(most, count)| *most > 0 && **count >= *most) {
            return true;
        }
        for (_, count) in counts {
            *count += 1;
        }
        false
    }

    fn uncached_backfill_test(&mut self, job: JobIx, now_only: bool, cycle: &mut Cycle) -> Outcome {
        self.note_tested(job, cycle.now_s);
        let limit_s = self.tested_length_s(job);
        let mut counted = false;
        let mut later_s = Some(cycle.now_s);
        while let Some(tried_s) = later_s.take() {
            let mut start_s = tried_s;
            let Reserved::Nodes(mut usable, overlap) = self.unreserved(job, &mut start_s, cycle.now_s, true)
            else {
                return Outcome::Passed;
            };
            let end_s = start_s.max(cycle.now_s) + limit_s;
            usable.intersect_with(&self.config.partitions[self.jobs[job.at()].partition].nodes);
            usable.intersect_with(&self.usable);
            if let Some(others) = self.nodes_of_others(job) {
                usable.difference_with(&others);
            }
            let window = cycle.map.window(&usable, start_s, end_s);
            later_s = window.later_s;
            if overlap
                && let Some(end) = self.next_reservation_end(start_s, self.config.backfill.resolution_s)
            {
                let after = end + 1;
                if after < cycle.window_end_s && later_s.is_none_or(|later| after < later) {
                    later_s = Some(after);
                }
            }
            if now_only {
                later_s = None;
            }
            if window.free.count_ones(..) < self.ask(job).min_nodes as usize {
                continue;
            }
            if !counted {
                cycle.tried += 1;
                counted = true;
            }
            let tried = Tried { now_s: cycle.now_s, start_s, later_s, now_only };
            let Some(mut found) = self.uncached_will_run(job, &window.free, &tried) else {
                continue;
            };
            if start_s > found.start_s {
                found.start_s = start_s;
                self.note_change(cycle.now_s);
            }
            let chosen = self.uncached_set_of(&found.nodes);
            if self.config.has(Rule::StartInInterval) && found.start_s > cycle.now_s && !now_only {
                let (from_s, to_s) = self.slots_of(job, found.start_s);
                if cycle.map.taken(&chosen, from_s, to_s) {
                    later_s = Some(self.after_overlap(found.start_s, start_s));
                    continue;
                }
            }
            if found.start_s <= cycle.now_s && !chosen.is_disjoint(&self.completing) {
                found.start_s = cycle.now_s + 1;
                later_s = None;
            }
            if found.start_s <= cycle.now_s {
                match self.uncached_start_now(job, &window.free, cycle) {
                    Some(outcome) => return outcome,
                    None => later_s = None,
                }
            }
            if found.start_s > cycle.now_s && now_only {
                return Outcome::Passed;
            }
            if later_s.is_some_and(|later| found.start_s > later) {
                continue;
            }
            match self.uncached_reserve(job, found.start_s, &chosen, cycle) {
                Ok(outcome) => return outcome,
                Err(again_s) => later_s = Some(self.after_overlap(again_s, start_s)),
            }
        }
        Outcome::Passed
    }

    /// Starts the job now; `None` if that fails and its nodes are to be reserved instead.
    fn uncached_start_now(&mut self, job: JobIx, free: &NodeSet, cycle: &mut Cycle) -> Option<Outcome> {
        let first = self.config.backfill.rule.is_ideal() && cycle.reserved_in_partition.is_empty();
        let by = if first { StartedBy::Main } else { StartedBy::Backfill };
        match self.try_start(job, free, cycle.now, by) {
            Attempt::Started(runs) => {
                cycle.started += 1;
                let most = self.config.backfill.max_job_start;
                if most > 0 && cycle.started >= most {
                    return Some(Outcome::Stop);
                }
                if self.ask(job).exclusive {
                    let record = &self.jobs[runs.at()];
                    cycle.map.reserve(&record.nodes, i64::MIN, self.map_end(record.end_planned_s));
                }
                Some(Outcome::Started(runs != self.job_of(job)))
            }
            Attempt::Reserved => Some(Outcome::Passed),
            Attempt::Limit if !self.config.main.assoc_limit_stop => Some(Outcome::Passed),
            Attempt::Limit | Attempt::Busy | Attempt::NotAvailable => None,
        }
    }

    /// Takes the nodes out of the map, unless the job starts beyond the window, a limit keeps it out
    /// then, or an earlier reservation stands in the way (`Err`: try again from there).
    fn uncached_reserve(
        &mut self,
        job: JobIx,
        start_s: i64,
        nodes: &NodeSet,
        cycle: &mut Cycle,
    ) -> Result<Outcome, i64> {
        let record = &self.jobs[job.at()];
        let partition = record.partition;
        let (from_s, to_s) = self.slots_of(job, start_s);
        if start_s > cycle.now_s + self.config.backfill.window_s {
            return Ok(Outcome::Passed);
        }
        if start_s > cycle.now_s && cycle.map.taken(nodes, from_s, to_s) {
            return Err(start_s);
        }
        let list: Vec<usize> = nodes.ones().collect();
        let tres = self.tres_on(job, &list, u64::from(self.ask(job).cpus));
        if !self.config.main.assoc_limit_stop && !self.amounts_let(job, &tres) {
            return Ok(Outcome::Passed);
        }
        if self.config.accounting.qos(self.jobs[job.at()].qos).flags.no_reserve {
            return Ok(Outcome::Passed);
        }
        let most = self.config.backfill.node_space_size.unwrap_or(self.config.backfill.max_job_test);
        if cycle.map.slots.len() >= most as usize {
            return Ok(Outcome::Stop);
        }
        cycle.map.reserve(nodes, from_s, to_s);
        *cycle.reserved_in_partition.entry(partition).or_default() += 1;
        self.jobs[job.at()].start_s = start_s;
        self.note_change(cycle.now_s);
        Ok(Outcome::Reserved)
    }

    fn uncached_floor(&self, s: i64) -> i64 {
        self.floor_to(s, self.config.backfill.resolution_s)
    }

    fn uncached_set_of(&self, nodes: &[usize]) -> NodeSet {
        let mut set = self.config.no_nodes();
        nodes.iter().for_each(|n| set.insert(*n));
        set
    }
}

impl Controller<'_> {
    /// Where the job can start, on nodes of `allowed`, and when.
    fn uncached_will_run(&self, job: JobIx, allowed: &NodeSet, tried: &Tried) -> Option<Prediction> {
        let ask = self.ask(job);
        let Tried { now_s, now_only, start_s, later_s } = *tried;
        let in_interval = self.config.has(Rule::StartInInterval);
        if !(in_interval && start_s > now_s)
            && let Some(nodes) = self.placement_of(job).choose(ask, allowed, &self.free)
        {
            return Some(Prediction { start_s: now_s, nodes });
        }
        let candidates = self.preemption_candidates(job, now_s);
        if candidates.is_empty() && now_only {
            return None;
        }
        let mut free = self.free.clone();
        candidates.iter().for_each(|victim| self.remove_from(&mut free, *victim));
        let touches = |job: JobIx| !self.jobs[job.at()].nodes.is_disjoint(allowed);
        let is_past = |end_s: i64| match self.config.has(Rule::EndsAtStart) {
            _ if !in_interval => false,
            true => end_s <= start_s,
            false => end_s < start_s,
        };
        for job in self.running.iter().copied().filter(|job| !candidates.contains(job)) {
            if is_past(self.jobs[job.at()].end_planned_s) && touches(job) {
                self.remove_from(&mut free, job);
            }
        }
        if !candidates.is_empty() || in_interval {
            let rule = self.placement_of(job);
            let rule = if start_s > now_s { rule.later() } else { rule };
            if let Some(nodes) = rule.choose(ask, allowed, &free) {
                return Some(Prediction { start_s: now_s, nodes });
            }
            if now_only {
                return None;
            }
        }
        let key = |job: &JobIx| (self.jobs[job.at()].end_planned_s, self.jobs[job.at()].list_order, *job);
        let mut ending: Vec<(i64, u64, JobIx)> = self.running.iter().map(key).collect();
        ending.sort_unstable();
        let mut ending: Vec<(i64, JobIx)> = ending.into_iter().map(|(end, _, job)| (end, job)).collect();
        ending.retain(|(_, job)| !candidates.contains(job));
        ending
            .retain(|(end, _)| !(is_past(*end) || in_interval && later_s.is_some_and(|later| *end > later)));
        free.iter_mut().filter(|node| node.cards.is_some()).for_each(|node| *node = node.later());
        let mut windows = Windows::new(self.config, self.epoch_s);
        let mut at = 0;
        while let Some(batch) = windows.batch(&ending, at, &touches) {
            for (_, gone) in ending[at..batch.next].iter().filter(|(_, job)| touches(*job)) {
                self.remove_from(&mut free, *gone);
            }
            at = batch.next;
            if batch.tested
                && let Some(nodes) = self.placement_of(job).later().choose(ask, allowed, &free)
            {
                let on = |job: JobIx| nodes.iter().any(|n| self.jobs[job.at()].nodes.contains(*n));
                let relevant =
                    ending[..at].iter().rfind(|(_, job)| self.config.has(Rule::RelevantEnd) && on(*job));
                let last = relevant.map_or(batch.last, |(_, job)| *job);
                return Some(Prediction { start_s: self.expected_end(&self.jobs[last.at()], now_s), nodes });
            }
        }
        None
    }

    /// The eligible jobs, sorted; withdraws jobs whose dependency can never be met, if so configured.
    pub(super) fn uncached_queue(&mut self, now_s: i64, clear_estimates: bool) -> Vec<JobIx> {
        let mut queue = Vec::with_capacity(self.pending.len());
        let mut at = 0;
        while at < self.pending.len() {
            let job = self.pending[at];
            let record = &mut self.jobs[job.at()];
            record.preempt_in_progress = false;
            if clear_estimates {
                record.start_s = 0;
            }
            if record.state != State::Pending || record.completing {
                at += 1;
                continue;
            }
            let eligible = self.settle_independence(job, now_s);
            if self.pending.get(at) != Some(&job) {
                continue; // withdrawn: another record stands here now
            }
            at += 1;
            if eligible && self.partition_lets(job) {
                queue.push(job);
            }
        }
        self.sort_queue(&mut queue);
        queue
    }

    /// One pass of the main scheduler, whatever the last one did.
    pub(super) fn uncached_main_pass(&mut self, now: SimTime, full_queue: bool) {
        let now_s = now.micros().div_euclid(1_000_000);
        self.cycles.main += 1;
        if self.config.controller.complete_wait_s > 0 && !self.completing.is_clear() {
            return;
        }
        let queue = self.uncached_queue(now_s, false);
        self.walk_queue(&queue, now, full_queue);
    }
}

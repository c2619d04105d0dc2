//! The backfill thread: every pending job that is tested either starts now or gets a reservation.
//!
//! It walks the queue in the main scheduler's order and does not stop at blocked jobs. Reservations take
//! whole nodes out of the time map, however little of them the job uses; they are rebuilt from nothing
//! in each cycle, and nothing protects them in the main scheduler except its own rule.

mod predicted;

use std::cell::Cell;

use rustc_hash::FxHashMap;

use self::predicted::Found;
use super::NodeSet;
use super::config::{BackfillRule, Rule};
use super::controller::Controller;
use super::job::{JobIx, StartedBy, State};
use super::main_pass::Attempt;
use super::prediction::Tried;
use super::quiet::{Last, Walked};
use super::reservation::Reserved;
use super::sets::has_at_least;
use super::time_map::{Span, TimeMap};
use crate::time::SimTime;

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
    /// Reservations of arrays whose tasks are submissions of their own.
    reserved_in_array: FxHashMap<usize, u32>,
    /// Nodes of each partition that are up.
    bases: Vec<Option<NodeSet>>,
    /// Nodes that the job under test could use.
    free: NodeSet,
    /// Advance reservations stand.
    reserved_nodes: bool,
    /// Any limit of tests is set.
    counts_tests: bool,
    /// A reservation took nodes from the job under test.
    overlap: bool,
    /// The last second at which every comparison with the present so far would turn out the same.
    same_until_s: Cell<i64>,
    /// By demand and partition: so many nodes do not hold the demand now.
    unfit_now: FxHashMap<(usize, usize), usize>,
    /// By demand, partition and number of nodes: beside the reservations not even so many seconds are free now.
    blocked_now: FxHashMap<(usize, usize, usize), i64>,
}

impl Cycle {
    /// A comparison with the present turns out the same until this second.
    fn same_until(&self, second: i64) {
        self.same_until_s.set(self.same_until_s.get().min(second));
    }
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
    pub fn backfill_cycle(&mut self, now: SimTime) {
        if self.uncached {
            return self.uncached_backfill_cycle(now);
        }
        let now_s = now.micros().div_euclid(1_000_000);
        if self.repeats_quiet_cycle(now_s) {
            return;
        }
        let (version, update_s) = (self.version, self.last_update_s);
        self.last_update_s = i64::MIN;
        let queue = self.build_queue(now_s, true);
        // What becomes eligible does so once: a repeated cycle notes only what its walk notes.
        let update_s = update_s.max(std::mem::replace(&mut self.last_update_s, i64::MIN));
        self.first_waiting = None;
        if !queue.is_empty() {
            self.cycles.backfill += 1;
            let walked = self.walk_backfill(&queue, now, now_s);
            self.remember_cycle(version, self.last_update_s > i64::MIN, &walked);
        }
        self.last_update_s = self.last_update_s.max(update_s);
        self.return_queue(queue);
    }

    fn walk_backfill(&mut self, queue: &[JobIx], now: SimTime, now_s: i64) -> Walked {
        let rules = &self.config.backfill;
        self.cycles.backfill_depth += self.depth_of_cycle(queue.len());
        let most = self.most_in_cycle();
        let mut map = std::mem::take(&mut self.map);
        let (begin_s, end_s) = (self.floor(now_s), self.floor(now_s + rules.window_s));
        map.reset(begin_s, end_s, rules.resolution_s, &self.usable);
        let mut cycle = Cycle {
            window_end_s: map.first_end_s(),
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
            bases: vec![None; self.config.partitions.len()],
            free: self.config.no_nodes(),
            reserved_nodes: self.has_reservations(),
            counts_tests: rules.max_job_part > 0
                || rules.max_job_user > 0
                || rules.max_job_user_part > 0
                || rules.max_job_assoc > 0,
            overlap: false,
            same_until_s: Cell::new(i64::MAX),
            unfit_now: FxHashMap::default(),
            blocked_now: FxHashMap::default(),
        };
        let may_end_early = !cycle.reserved_nodes && self.may_end_cycles_early();
        let mut candidate = 0;
        let (mut last, mut stopped) = (None, false);
        for (at, job) in queue.iter().enumerate() {
            if self.jobs[job.at()].state != State::Pending {
                continue; // started in another partition
            }
            if may_end_early && !cycle.reserved_in_partition.is_empty() {
                candidate = self.next_candidate(queue, candidate.max(at), &mut cycle);
                if candidate == queue.len() {
                    break;
                }
            }
            if at as u64 >= most {
                stopped = true;
                break;
            }
            last = Some(*job);
            stopped = cycle.tried >= rules.max_job_test || self.backfill_job(*job, &mut cycle);
            self.note_waiting(*job);
            if stopped {
                break;
            }
        }
        let ended = stopped || (may_end_early && !cycle.reserved_in_partition.is_empty());
        self.map = cycle.map;
        Walked {
            same_until_s: cycle.same_until_s.get(),
            last: last.filter(|_| ended).map(|job| Last { job, stopped }),
        }
    }

    /// Until when the job certainly cannot start beside what the last cycle reserved, asked at `now_s`; `None` if
    /// it might.
    pub(super) fn blocked_until(&mut self, job: JobIx, now_s: i64) -> Option<i64> {
        if self.jobs[job.at()].array.is_some_and(|array| self.arrays[array].limit.is_some()) {
            return None;
        }
        let ask = self.ask(job);
        if self.free_cpus < u64::from(ask.cpus) {
            return Some(i64::MAX);
        }
        self.refresh_fits(job);
        let mut free = self.config.partitions[self.jobs[job.at()].partition].nodes.clone();
        free.intersect_with(&self.usable);
        free.intersect_with(self.fitting(job));
        let end_s = now_s + self.tested_length_s(job);
        let span = self.map.span(now_s, end_s);
        self.map.restrict(span, &mut free);
        let blocked = !has_at_least(&free, ask.min_nodes as usize);
        blocked.then(|| now_s + self.map.slack_s(span, end_s))
    }

    /// The first job from position `from` on that might start now beside the reservations made so far; more of them
    /// only leave it less.
    fn next_candidate(&mut self, queue: &[JobIx], from: usize, cycle: &mut Cycle) -> usize {
        let might = |at: &usize| self.might_start_now(queue[*at], cycle);
        (from..queue.len()).find(might).unwrap_or(queue.len())
    }

    fn might_start_now(&mut self, job: JobIx, cycle: &mut Cycle) -> bool {
        if self.jobs[job.at()].state != State::Pending {
            return false;
        }
        let ask = self.ask(job);
        // a look at a task of an array with a limit has effects of its own
        if self.jobs[job.at()].array.is_some_and(|array| self.arrays[array].limit.is_some()) {
            return true;
        }
        let least = ask.min_nodes as usize;
        let kind = (self.demand(job), self.jobs[job.at()].partition);
        if self.free_cpus < u64::from(ask.cpus) || cycle.unfit_now.get(&kind).is_some_and(|n| least >= *n) {
            return false;
        }
        let (length_s, blocked) = (self.tested_length_s(job), (kind.0, kind.1, least));
        if cycle.blocked_now.get(&blocked).is_some_and(|s| length_s >= *s) {
            return false;
        }
        self.refresh_fits(job);
        let mut start_s = cycle.now_s;
        let Some(usable) = self.usable_at(job, &mut start_s, cycle) else { return false };
        let mut free = std::mem::take(&mut cycle.free);
        let usable = usable.as_ref().unwrap_or_else(|| base_of(cycle, self.jobs[job.at()].partition));
        free.clone_from(usable);
        free.intersect_with(self.fitting(job));
        let mut might = has_at_least(&free, least);
        if !might && !self.exclusive_users {
            cycle.unfit_now.insert(kind, least);
        }
        if might {
            let end_s = cycle.now_s + length_s;
            let span = cycle.map.span(cycle.now_s, end_s);
            cycle.same_until(cycle.now_s + cycle.map.slack_s(span, end_s));
            cycle.map.restrict(span, &mut free);
            might = has_at_least(&free, least);
            if !might && !self.exclusive_users {
                cycle.blocked_now.insert(blocked, length_s);
            }
        }
        cycle.free = free;
        might
    }

    /// Tests a job, and the tasks of an array one after the other; tells whether the cycle ends.
    fn backfill_job(&mut self, job: JobIx, cycle: &mut Cycle) -> bool {
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
                || self.over_test_limits(job, cycle)
                || !self.licences_are_there(job, cycle.now_s)
            {
                return false;
            }
            let now_only = self.now_only(job, cycle);
            match self.backfill_test(job, now_only, cycle) {
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
    fn now_only(&self, job: JobIx, cycle: &Cycle) -> bool {
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
    fn over_test_limits(&self, job: JobIx, cycle: &mut Cycle) -> bool {
        let record = &self.jobs[job.at()];
        let rules = &self.config.backfill;
        if !cycle.counts_tests {
            return false;
        }
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

    fn backfill_test(&mut self, job: JobIx, now_only: bool, cycle: &mut Cycle) -> Outcome {
        self.note_tested(job, cycle.now_s);
        let mut free = std::mem::take(&mut cycle.free);
        let outcome = self.test_on(job, now_only, &mut free, cycle);
        cycle.free = free;
        outcome
    }

    /// The same with `free` as room for the nodes that are left to the job.
    fn test_on(&mut self, job: JobIx, now_only: bool, free: &mut NodeSet, cycle: &mut Cycle) -> Outcome {
        let limit_s = self.tested_length_s(job);
        let least = self.ask(job).min_nodes as usize;
        let mut counted = false;
        let mut later_s = Some(cycle.now_s);
        let mut scarce_until_s = i64::MIN;
        let mut earliest_s = None;
        while let Some(tried_s) = later_s.take() {
            let mut start_s = tried_s;
            let Some(usable) = self.usable_at(job, &mut start_s, cycle) else { return Outcome::Passed };
            let usable = usable.as_ref().unwrap_or_else(|| base_of(cycle, self.jobs[job.at()].partition));
            let span = cycle.map.span(start_s, start_s.max(cycle.now_s) + limit_s);
            if start_s <= cycle.now_s {
                cycle.same_until(cycle.now_s + cycle.map.slack_s(span, cycle.now_s + limit_s));
            } else if start_s >= cycle.map.end_s() {
                cycle.same_until(cycle.now_s);
            }
            if !now_only {
                later_s = self.next_try(start_s, span, usable, cycle);
            }
            if counted && self.starts_later_anyhow(job, later_s, &mut earliest_s) {
                continue;
            }
            if start_s < scarce_until_s {
                continue;
            }
            if let Some(until_s) = cycle.map.scarce_until(span, least) {
                scarce_until_s = until_s;
                continue;
            }
            free.clone_from(usable);
            cycle.map.restrict(span, free);
            if !has_at_least(free, least) {
                continue;
            }
            if !counted {
                cycle.tried += 1;
                counted = true;
            }
            let tried = Tried { now_s: cycle.now_s, start_s, later_s, now_only };
            let predicted = self.predict(job, free, &tried);
            cycle.same_until(self.past_until(job, &tried, predicted.as_ref()));
            let Some((mut found_s, found)) = predicted else { continue };
            cycle.same_until(self.foreseen_until(&found, cycle.now_s));
            if start_s > found_s {
                found_s = start_s;
                self.note_change(cycle.now_s);
            }
            let in_interval = self.config.has(Rule::StartInInterval);
            if !in_interval && found_s > cycle.now_s && later_s.is_some_and(|later| found_s > later) {
                continue;
            }
            cycle.same_until(if found_s > cycle.now_s { found_s - 1 } else { cycle.now_s });
            let nodes = match found {
                Found::Nodes(nodes) | Found::With(_, nodes) => nodes,
                Found::Foreseen(when) => {
                    self.choose_foreseen(job, free, when).expect("what is foreseen can be chosen")
                }
            };
            if in_interval && found_s > cycle.now_s && !now_only {
                let (from_s, to_s) = self.slots_of(job, found_s);
                if cycle.map.taken(&nodes, from_s, to_s, span) {
                    later_s = Some(self.after_overlap(found_s, start_s));
                    continue;
                }
            }
            if found_s <= cycle.now_s && nodes.iter().any(|n| self.completing.contains(*n)) {
                found_s = cycle.now_s + 1;
                later_s = None;
            }
            if found_s <= cycle.now_s {
                match self.start_now(job, free, cycle) {
                    Some(outcome) => return outcome,
                    None => later_s = None,
                }
            }
            if found_s > cycle.now_s && now_only {
                return Outcome::Passed;
            }
            if later_s.is_some_and(|later| found_s > later) {
                continue;
            }
            match self.reserve(job, found_s, (&nodes, span), cycle) {
                Ok(outcome) => return outcome,
                Err(again_s) => later_s = Some(self.after_overlap(again_s, start_s)),
            }
        }
        Outcome::Passed
    }

    /// Whether no start of the job is foreseen before the next instant worth a try, on whatever nodes; the second is kept.
    fn starts_later_anyhow(
        &mut self,
        job: JobIx,
        later_s: Option<i64>,
        earliest_s: &mut Option<i64>,
    ) -> bool {
        let Some(later_s) = later_s else { return false };
        later_s < *earliest_s.get_or_insert_with(|| self.earliest_foreseen(job))
    }

    /// Where a job is tried again whose planned start `found_s` stands in the way of others. Since 24.11 the same start may
    /// be found again; a step later ends that, as 25.05 does.
    pub(super) fn after_overlap(&self, found_s: i64, start_s: i64) -> i64 {
        let again = self.config.has(Rule::StartInInterval) && found_s <= start_s;
        if again { start_s + self.config.backfill.resolution_s } else { found_s }
    }

    /// From when to when a job that starts at `start_s` would stand in the map.
    pub(super) fn slots_of(&self, job: JobIx, start_s: i64) -> (i64, i64) {
        let step_s = self.config.backfill.resolution_s;
        let from_s = self.floor_to(start_s, step_s);
        let to_s = self.map_end(start_s + self.tested_length_s(job));
        let least_s = if self.config.has(Rule::LeastSlot) { from_s + step_s } else { i64::MIN };
        (from_s, to_s.max(least_s))
    }

    /// An end in the map: rounded down before 24.11, up since.
    pub(super) fn map_end(&self, end_s: i64) -> i64 {
        let step_s = self.config.backfill.resolution_s;
        let rounds_up = self.config.has(Rule::PlansRoundUp);
        self.floor_to(if rounds_up { end_s + step_s - 1 } else { end_s }, step_s)
    }

    /// Nodes that the job could use at `start_s` (which maintenance moves) if none were taken; inner `None`
    /// = all of its partition that are up; `None` = it cannot be tested.
    fn usable_at(&self, job: JobIx, start_s: &mut i64, cycle: &mut Cycle) -> Option<Option<NodeSet>> {
        let record = &self.jobs[job.at()];
        let base = cycle.bases[record.partition].get_or_insert_with(|| {
            let mut base = self.config.partitions[record.partition].nodes.clone();
            base.intersect_with(&self.usable);
            base
        });
        cycle.overlap = false;
        if !cycle.reserved_nodes && record.reservation.is_none() && !self.exclusive_users {
            return Some(None);
        }
        let Reserved::Nodes(mut usable, overlap) = self.unreserved(job, start_s, cycle.now_s, true) else {
            return None;
        };
        usable.intersect_with(base);
        if let Some(others) = self.nodes_of_others(job) {
            usable.difference_with(&others);
        }
        cycle.overlap = overlap;
        Some(Some(usable))
    }

    /// The next instant worth a try: nodes come free in the map, or reservations end.
    fn next_try(&self, start_s: i64, span: Span, usable: &NodeSet, cycle: &Cycle) -> Option<i64> {
        let later_s = cycle.map.later(span, usable);
        let end = if cycle.overlap {
            self.next_reservation_end(start_s, self.config.backfill.resolution_s)
        } else {
            None
        };
        let after = end.map(|end| end + 1).filter(|after| *after < cycle.window_end_s);
        match (later_s, after) {
            (Some(later), Some(after)) => Some(later.min(after)),
            (later, after) => later.or(after),
        }
    }

    /// How long a job is taken to run in the map. One whose QOS has `NoReserve` is tested for a minute only where
    /// jobs can be preempted (source: it may start in front of a reservation and be preempted later).
    pub(super) fn tested_length_s(&self, job: JobIx) -> i64 {
        let record = &self.jobs[job.at()];
        let no_reserve = self.config.accounting.qos(record.qos).flags.no_reserve;
        if no_reserve && self.preemption_enabled() { 60 } else { i64::from(record.limit_min) * 60 }
    }

    /// Starts the job now; `None` if that fails and its nodes are to be reserved instead.
    fn start_now(&mut self, job: JobIx, free: &NodeSet, cycle: &mut Cycle) -> Option<Outcome> {
        // by a named rule, a job passes others only behind a reservation
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
                    let nodes: Vec<usize> = record.nodes.ones().collect();
                    cycle.map.reserve(&nodes, i64::MIN, self.map_end(record.end_planned_s));
                }
                Some(Outcome::Started(runs != self.job_of(job)))
            }
            Attempt::Reserved => Some(Outcome::Passed),
            Attempt::Limit if !self.config.main.assoc_limit_stop => Some(Outcome::Passed),
            Attempt::Limit | Attempt::Busy | Attempt::NotAvailable => None,
        }
    }

    /// Takes the nodes, which are free all over a span, out of the map, unless the job starts beyond the window, a limit keeps it out
    /// then, or an earlier reservation stands in the way (`Err`: try again from there).
    fn reserve(
        &mut self,
        job: JobIx,
        start_s: i64,
        (nodes, free): (&[usize], Span),
        cycle: &mut Cycle,
    ) -> Result<Outcome, i64> {
        let record = &self.jobs[job.at()];
        let partition = record.partition;
        let (from_s, to_s) = self.slots_of(job, start_s);
        let window_s = self.config.backfill.window_s;
        if start_s > cycle.now_s + window_s {
            cycle.same_until(start_s - window_s - 1);
            return Ok(Outcome::Passed);
        }
        for edge_s in [from_s, to_s] {
            if edge_s > cycle.now_s {
                cycle.same_until(edge_s - 1);
            }
            if edge_s >= cycle.map.end_s() {
                // the window ends on a multiple of the resolution, and so do reservations
                cycle.same_until(edge_s + self.config.backfill.resolution_s - window_s - 1);
            }
        }
        if start_s > cycle.now_s && cycle.map.taken(nodes, from_s, to_s, free) {
            return Err(start_s);
        }
        let tres = self.tres_on(job, nodes, u64::from(self.ask(job).cpus));
        if !self.config.main.assoc_limit_stop && !self.amounts_let(job, &tres) {
            return Ok(Outcome::Passed);
        }
        if self.config.accounting.qos(self.jobs[job.at()].qos).flags.no_reserve {
            return Ok(Outcome::Passed);
        }
        let most = self.config.backfill.node_space_size.unwrap_or(self.config.backfill.max_job_test);
        if cycle.map.len() >= most as usize {
            return Ok(Outcome::Stop);
        }
        cycle.map.reserve(nodes, from_s, to_s);
        *cycle.reserved_in_partition.entry(partition).or_default() += 1;
        self.jobs[job.at()].start_s = start_s;
        self.queue.estimated.push(job);
        self.note_change(cycle.now_s);
        Ok(Outcome::Reserved)
    }

    fn floor(&self, s: i64) -> i64 {
        self.floor_to(s, self.config.backfill.resolution_s)
    }
}

/// The nodes of a partition that are up.
fn base_of(cycle: &Cycle, partition: usize) -> &NodeSet {
    cycle.bases[partition].as_ref().expect("made when the job was looked at first")
}

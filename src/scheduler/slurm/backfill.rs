//! The backfill thread: every pending job that is tested either starts now or gets a reservation.
//!
//! It walks the queue in the main scheduler's order and does not stop at blocked jobs. Reservations take
//! whole nodes out of the time map, however little of them the job uses; they are rebuilt from nothing
//! in each cycle, and nothing protects them in the main scheduler except its own rule.

use rustc_hash::FxHashMap;

use super::NodeSet;
use super::controller::Controller;
use super::job::{JobIx, StartedBy};
use super::main_pass::Attempt;
use super::reservation::Reserved;
use super::time_map::TimeMap;
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
        let now_s = now.micros().div_euclid(1_000_000);
        let queue = self.build_queue(now_s, true);
        self.first_waiting = None;
        if queue.is_empty() {
            return;
        }
        self.cycles.backfill += 1;
        let rules = &self.config.backfill;
        let map = TimeMap::new(
            self.floor(now_s),
            self.floor(now_s + rules.window_s),
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
        };
        for job in queue {
            let stop = cycle.tried >= rules.max_job_test || self.backfill_job(job, &mut cycle);
            self.note_waiting(job);
            if stop {
                break;
            }
        }
        self.cycles.backfill_tests += u64::from(cycle.tried);
    }

    /// Tests a job, and the tasks of an array one after the other; tells whether the cycle ends.
    fn backfill_job(&mut self, job: JobIx, cycle: &mut Cycle) -> bool {
        let mut reserved_tasks = 0;
        if self.jobs[job.at()].preempt_in_progress || !self.counts_let(job) {
            return false;
        }
        loop {
            if !self.array_lets(job, cycle.now_s) || self.over_test_limits(job, cycle) {
                return false;
            }
            let now_only = self.now_only(job, cycle);
            match self.backfill_test(job, now_only, cycle) {
                Outcome::Passed | Outcome::Started(false) => return false,
                Outcome::Stop => return true,
                Outcome::Started(true) => {}
                Outcome::Reserved => {
                    reserved_tasks += 1;
                    let tasks = self.jobs[job.at()].pending_tasks.len();
                    let most = self.config.backfill.max_job_array_resv;
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
            || (rules.one_resv_per_job && record.start_s > 0)
    }

    /// `bf_max_job_part`, `bf_max_job_user`, `bf_max_job_user_part`, `bf_max_job_assoc`.
    fn over_test_limits(&self, job: JobIx, cycle: &mut Cycle) -> bool {
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

    fn backfill_test(&mut self, job: JobIx, now_only: bool, cycle: &mut Cycle) -> Outcome {
        let limit_s = i64::from(self.jobs[job.at()].limit_min) * 60;
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
            self.refresh_fits(job);
            self.refresh_ends();
            let Some(mut found) = self.will_run(job, &window.free, cycle.now_s, now_only) else { continue };
            if start_s > found.start_s {
                found.start_s = start_s;
                self.note_change(cycle.now_s);
            }
            let chosen = self.set_of(&found.nodes);
            if found.start_s <= cycle.now_s && !chosen.is_disjoint(&self.completing) {
                found.start_s = cycle.now_s + 1;
                later_s = None;
            }
            if found.start_s <= cycle.now_s {
                match self.start_now(job, &window.free, cycle) {
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
            match self.reserve(job, found.start_s, &chosen, cycle) {
                Ok(outcome) => return outcome,
                Err(again_s) => later_s = Some(again_s),
            }
        }
        Outcome::Passed
    }

    /// Starts the job now; `None` if that fails and its nodes are to be reserved instead.
    fn start_now(&mut self, job: JobIx, free: &NodeSet, cycle: &mut Cycle) -> Option<Outcome> {
        match self.try_start(job, free, cycle.now, StartedBy::Backfill) {
            Attempt::Started(runs) => {
                cycle.started += 1;
                let most = self.config.backfill.max_job_start;
                if most > 0 && cycle.started >= most {
                    return Some(Outcome::Stop);
                }
                if self.ask(job).exclusive {
                    let record = &self.jobs[runs.at()];
                    cycle.map.reserve(&record.nodes, 0, self.floor(record.end_planned_s));
                }
                Some(Outcome::Started(runs != job))
            }
            Attempt::Reserved => Some(Outcome::Passed),
            Attempt::Limit if !self.config.main.assoc_limit_stop => Some(Outcome::Passed),
            Attempt::Limit | Attempt::Busy | Attempt::NotAvailable => None,
        }
    }

    /// Takes the nodes out of the map, unless the job starts beyond the window, a limit keeps it out
    /// then, or an earlier reservation stands in the way (`Err`: try again from there).
    fn reserve(
        &mut self,
        job: JobIx,
        start_s: i64,
        nodes: &NodeSet,
        cycle: &mut Cycle,
    ) -> Result<Outcome, i64> {
        let record = &self.jobs[job.at()];
        let partition = record.partition;
        let from_s = self.floor(start_s);
        let to_s = self.floor(start_s + i64::from(record.limit_min) * 60);
        if start_s > cycle.now_s + self.config.backfill.window_s {
            return Ok(Outcome::Passed);
        }
        if start_s > cycle.now_s && cycle.map.taken(nodes, from_s, to_s) {
            return Err(start_s);
        }
        let ask = self.ask(job);
        let count = u32::try_from(nodes.count_ones(..)).expect("few nodes");
        let tres = self.tres_of(job, count, u64::from(ask.cpus));
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

    fn floor(&self, s: i64) -> i64 {
        self.floor_to(s, self.config.backfill.resolution_s)
    }

    fn set_of(&self, nodes: &[usize]) -> NodeSet {
        let mut set = self.config.no_nodes();
        nodes.iter().for_each(|n| set.insert(*n));
        set
    }
}

//! Priorities: basic, and multifactor (the sum of weight x factor, truncated).
//!
//! A pending job's priority changes only with the periodic recalculation. At submission the age is zero
//! and fair share has the value of the last recalculation.

use super::config::TresTable;
use super::controller::Controller;
use super::job::{JobIx, Reason};

impl Controller<'_> {
    /// Priority at submission.
    pub(super) fn first_priority(&mut self, job: JobIx, now_s: i64) -> u32 {
        if self.jobs[job.at()].reason == Reason::JobHeldUser {
            return 0;
        }
        if self.config.priority.multifactor {
            return self.multifactor(job, now_s, false);
        }
        let nice = self.spec(job).nice;
        let next = i64::from(self.lowest_priority.max(2)) - 1 - nice;
        let priority = u32::try_from(next.clamp(1, i64::from(u32::MAX))).expect("clamped");
        self.lowest_priority = self.lowest_priority.min(priority);
        priority
    }

    /// Priority at the periodic recalculation.
    pub(super) fn reprioritize(&mut self, job: JobIx, now_s: i64) {
        if self.jobs[job.at()].priority == 0 {
            return;
        }
        let new = self.multifactor(job, now_s, true);
        let record = &mut self.jobs[job.at()];
        if !self.config.priority.increase_only || new > record.priority {
            record.priority = new;
        }
    }

    /// The sum of weight x factor; 0 is reserved for held jobs.
    fn multifactor(&self, job: JobIx, now_s: i64, with_age: bool) -> u32 {
        let record = &self.jobs[job.at()];
        let rules = &self.config.priority;
        let weights = &rules.weights;
        let accounting = &self.config.accounting;
        let qos = accounting.qos(record.qos);
        let partition = &self.config.partitions[record.partition];
        let age = if with_age { self.age_factor(job, now_s) } else { 0.0 };
        let fair = record.assoc.map_or(0.0, |a| self.fair_share.factor(a));
        let assoc = record.assoc.map_or(0.0, |a| self.assoc_factor(a));
        let share = |value: u32, largest: u32, raw: bool| match (raw, largest) {
            (true, _) => f64::from(value),
            (false, 0) => 0.0,
            (false, largest) => f64::from(value) / f64::from(largest),
        };
        let partition_factor =
            share(partition.priority_job_factor, self.largest_partition_factor, rules.no_normal_part);
        let qos_factor = share(qos.priority, self.largest_qos_priority, rules.no_normal_qos);
        let sum = age * f64::from(weights.age)
            + assoc * f64::from(weights.assoc)
            + fair * f64::from(weights.fair_share)
            + self.size_factor(job) * f64::from(weights.job_size)
            + partition_factor * f64::from(weights.partition)
            + qos_factor * f64::from(weights.qos)
            + self.tres_part(job)
            - self.spec(job).nice as f64;
        sum.clamp(1.0, f64::from(u32::MAX)) as u32
    }

    fn age_factor(&self, job: JobIx, now_s: i64) -> f64 {
        let record = &self.jobs[job.at()];
        let from = if self.config.priority.accrue_always { Some(record.submit_s) } else { record.accrue_s };
        let age = from.map_or(0, |from| (now_s - from).max(0));
        let most = self.config.priority.max_age_s.max(1);
        if age < most { age as f64 / most as f64 } else { 1.0 }
    }

    fn assoc_factor(&self, assoc: super::config::AssocId) -> f64 {
        let largest = self.largest_assoc_priority;
        let mine = self.config.accounting.assoc(assoc).priority;
        if largest == 0 { 0.0 } else { f64::from(mine) / f64::from(largest) }
    }

    /// (nodes / all nodes + CPUs / all CPUs) / 2, or its complement, or CPUs per minute of limit.
    fn size_factor(&self, job: JobIx) -> f64 {
        let ask = self.ask(job);
        let all_nodes = self.config.nodes.len() as f64;
        let all_cpus = self.all_cpus as f64;
        let (nodes, cpus) = (f64::from(ask.min_nodes), f64::from(ask.cpus));
        let factor = if self.config.priority.small_relative_to_time {
            let size = (nodes * all_cpus / all_nodes).max(cpus);
            let factor = size / f64::from(self.jobs[job.at()].limit_min.max(1)) / all_cpus;
            if self.config.priority.favor_small { 1.0 - factor } else { factor }
        } else if self.config.priority.favor_small {
            ((all_nodes - nodes) / all_nodes + (all_cpus - cpus) / all_cpus) / 2.0
        } else {
            (nodes / all_nodes + cpus / all_cpus) / 2.0
        };
        factor.clamp(0.0, 1.0)
    }

    /// `PriorityWeightTRES`: share of the partition's amount, weighted.
    fn tres_part(&self, job: JobIx) -> f64 {
        let weights = &self.config.priority.weights.tres;
        if weights.is_empty() {
            return 0.0;
        }
        let ask = self.ask(job);
        let tres = self.tres_of(job, ask.min_nodes, u64::from(ask.cpus));
        let partition = &self.config.partitions[self.jobs[job.at()].partition];
        let whole = |at: usize| -> f64 {
            partition
                .nodes
                .ones()
                .map(|n| match at {
                    TresTable::CPU => u64::from(self.config.nodes[n].cpus),
                    TresTable::MEM => self.config.nodes[n].mem_mb,
                    TresTable::NODE => 1,
                    TresTable::GPU => self.config.nodes[n].gres.iter().map(|g| u64::from(g.count)).sum(),
                    _ => 0,
                })
                .sum::<u64>() as f64
        };
        weights
            .iter()
            .map(|(at, weight)| {
                let all = whole(*at);
                if all > 0.0 { tres.get(*at) as f64 / all * weight } else { 0.0 }
            })
            .sum()
    }
}

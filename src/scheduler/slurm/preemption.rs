//! Which running jobs must go so that a pending one can start.
//!
//! Candidates are removed one by one, lowest QOS priority and fewest nodes first (or youngest first),
//! until the job fits; the one removed last is moved to the front and the search repeated
//! (`reorder_count` times), so that only as many go as are needed. Only candidates on the chosen nodes
//! are preempted. Ranks, modes, grace and exempt times: slurm.conf(5), sacctmgr(1), and `preempt/qos` and
//! `preempt/partition_prio` of 22.05.8.

use super::NodeSet;
use super::config::{PreemptMode, PreemptType};
use super::controller::Controller;
use super::job::{JobIx, State};
use super::placement::Free;

/// `MessageTimeout` (slurm.conf(5), 22.05: 10 s): with `KillWait` the time in which a preemptor waits for
/// its victims before it may take more.
const MESSAGE_TIMEOUT_S: i64 = 10;

impl Controller<'_> {
    pub(super) fn preemption_enabled(&self) -> bool {
        self.config.preempt.kind != PreemptType::None && self.config.preempt.mode != PreemptMode::Off
    }

    /// Whether `preemptor` may preempt `victim`, if it runs.
    pub(super) fn may_preempt(&self, preemptor: JobIx, victim: JobIx) -> bool {
        let (or, ee) = (&self.jobs[preemptor.at()], &self.jobs[victim.at()]);
        match self.config.preempt.kind {
            PreemptType::None => false,
            PreemptType::Qos => self.config.accounting.qos(or.qos).preempt.contains(&ee.qos),
            PreemptType::PartitionPrio => {
                let (or, ee) = (&self.config.partitions[or.partition], &self.config.partitions[ee.partition]);
                or.priority_tier > ee.priority_tier && ee.preempt_mode != Some(PreemptMode::Off)
            }
        }
    }

    /// Whether a pending job comes before another because it could preempt it. Of partitions only their tiers
    /// and a node in common count here, not their `PreemptMode`.
    pub(super) fn outranks(&self, job: JobIx, other: JobIx) -> bool {
        if self.config.preempt.kind != PreemptType::PartitionPrio {
            return self.may_preempt(job, other);
        }
        let of = |job: JobIx| &self.config.partitions[self.jobs[job.at()].partition];
        let (mine, others) = (of(job), of(other));
        mine.priority_tier > others.priority_tier && !mine.nodes.is_disjoint(&others.nodes)
    }

    pub(super) fn preempt_mode_of(&self, job: JobIx) -> PreemptMode {
        let record = &self.jobs[job.at()];
        let own = match self.config.preempt.kind {
            PreemptType::None => None,
            PreemptType::Qos => self.config.accounting.qos(record.qos).preempt_mode,
            PreemptType::PartitionPrio => self.config.partitions[record.partition].preempt_mode,
        };
        own.unwrap_or(self.config.preempt.mode)
    }

    /// `GraceTime` of a victim: of its QOS or of its partition, by the type of preemption.
    fn grace_s(&self, victim: JobIx) -> i64 {
        let record = &self.jobs[victim.at()];
        match self.config.preempt.kind {
            PreemptType::None => 0,
            PreemptType::Qos => self.config.accounting.qos(record.qos).grace_s,
            PreemptType::PartitionPrio => self.config.partitions[record.partition].grace_s,
        }
    }

    /// `PreemptExemptTime`: of the QOS in their order, else the cluster's.
    fn exempt_until_s(&self, victim: JobIx) -> i64 {
        let record = &self.jobs[victim.at()];
        let order = self.qos_order(record.qos, record.partition);
        let of_qos = order.iter().find_map(|qos| self.config.accounting.qos(*qos).exempt_s);
        record.start_s + of_qos.unwrap_or(self.config.preempt.exempt_s)
    }

    /// Ends a running job for one of higher rank, or lets its grace begin: then its planned end moves to the end
    /// of the grace, and the 30-second timer ends it at its first tick from there on.
    pub(super) fn preempt(&mut self, job: JobIx, now_s: i64) {
        let grace_s = self.grace_s(job);
        let record = &self.jobs[job.at()];
        if record.preempted_s.is_none() {
            let grants = self.jobs[job.at()].grants.clone();
            self.note_ended(job, &grants);
            let record = &mut self.jobs[job.at()];
            record.preempted_s = Some(now_s);
            record.end_planned_s = record.end_planned_s.min(now_s + grace_s);
            self.note_running(job);
            self.version += 1;
            if grace_s > 0 {
                return;
            }
        } else if now_s < record.end_planned_s {
            return;
        }
        let requeue = self.preempt_mode_of(job) == PreemptMode::Requeue && self.may_requeue(job);
        self.kill(job, State::Preempted, requeue, now_s);
    }

    /// Running jobs that `job` may preempt, in the order in which they would go.
    pub(super) fn preemption_candidates(&self, job: JobIx, now_s: i64) -> Vec<JobIx> {
        if !self.preemption_enabled() {
            return Vec::new();
        }
        let partition = &self.config.partitions[self.jobs[job.at()].partition];
        let mut found: Vec<JobIx> = self
            .running
            .iter()
            .copied()
            .filter(|v| {
                let victim = &self.jobs[v.at()];
                self.may_preempt(job, *v)
                    && self.preempt_mode_of(*v) != PreemptMode::Off
                    && self.exempt_until_s(*v) <= now_s
                    && !victim.nodes.is_disjoint(&partition.nodes)
            })
            .collect();
        found.sort_by_key(|v| self.jobs[v.at()].list_order);
        if self.config.preempt.youngest_first {
            found.sort_by_key(|v| std::cmp::Reverse(self.jobs[v.at()].start_s));
        } else {
            found.sort_by_key(|v| {
                let victim = &self.jobs[v.at()];
                let rank = match self.config.preempt.kind {
                    PreemptType::PartitionPrio => {
                        u32::from(self.config.partitions[victim.partition].priority_tier)
                    }
                    _ => self.config.accounting.qos(victim.qos).priority.min(0xffff),
                };
                (rank, victim.nodes.count_ones(..).min(0xffff))
            });
        }
        found
    }

    /// What would be free without `victim`, in `free`.
    pub(super) fn remove_from(&self, free: &mut [Free], victim: JobIx) {
        let row = &self.jobs[victim.at()];
        for (at, grant) in row.grants.iter().enumerate() {
            let node = grant.node.0 as usize;
            let held = row.held.get(at).map_or(&[][..], |held| held.as_slice());
            free[node].give_back(grant, held, &self.hardware[node]);
            for beside in self.beside(grant.node).into_iter().flatten() {
                free[beside as usize].leave_host();
            }
        }
    }

    /// Nodes and victims so that `job` fits on `allowed`, if any choice does.
    pub(super) fn preemption_plan(
        &self,
        job: JobIx,
        allowed: &NodeSet,
        candidates: &[JobIx],
    ) -> Option<(Vec<usize>, Vec<JobIx>)> {
        let ask = self.ask(job);
        let mut order: Vec<(JobIx, u32)> = candidates.iter().map(|c| (*c, 0)).collect();
        let mut passes = 0u32;
        'again: loop {
            let mut free = self.free.clone();
            for at in 0..order.len() {
                let victim = order[at].0;
                if self.jobs[victim.at()].nodes.is_disjoint(allowed) {
                    continue;
                }
                self.remove_from(&mut free, victim);
                let Some(nodes) = self.placement_of(job).choose(ask, allowed, &free) else {
                    order[at].1 = 0;
                    continue;
                };
                order[at].1 = 0;
                let last = passes > self.config.preempt.reorder_count;
                passes += 1;
                if last || order.len() <= passes as usize {
                    order[at + 1..].iter_mut().for_each(|row| row.1 = 1);
                    let victims = self.victims_on(&nodes, &order);
                    return Some((nodes, victims));
                }
                self.reorder(&mut order, at, &nodes);
                continue 'again;
            }
            return None;
        }
    }

    fn reorder(&self, order: &mut Vec<(JobIx, u32)>, at: usize, nodes: &[usize]) {
        if self.config.preempt.strict_order {
            let last = order.remove(at);
            order.insert(0, last);
            return;
        }
        for row in &mut order[..at] {
            let held = &self.jobs[row.0.at()].nodes;
            row.1 = u32::try_from(nodes.iter().filter(|n| held.contains(**n)).count()).expect("few nodes");
        }
        order[at].1 = 99_999;
        order[at + 1..].iter_mut().for_each(|row| row.1 = 0);
        order.sort_by_key(|row| std::cmp::Reverse(row.1));
    }

    fn victims_on(&self, nodes: &[usize], order: &[(JobIx, u32)]) -> Vec<JobIx> {
        let on = |victim: JobIx| nodes.iter().any(|n| self.jobs[victim.at()].nodes.contains(*n));
        order.iter().filter(|row| on(row.0)).take_while(|row| row.1 == 0).map(|row| row.0).collect()
    }

    /// Preempts `victims` for `job`, unless earlier victims may still be going.
    pub(super) fn carry_out_preemption(&mut self, job: JobIx, victims: &[JobIx], now_s: i64) {
        let patience = self.config.controller.kill_wait_s + MESSAGE_TIMEOUT_S;
        if self.jobs[job.at()].preempt_start_s > now_s - patience {
            return;
        }
        for victim in victims {
            self.preempt(*victim, now_s);
        }
        let head = self.job_of(job);
        for at in self.stand_ins(head).into_iter().chain([head]) {
            let record = &mut self.jobs[at.at()];
            record.preempt_start_s = now_s;
            record.preempt_in_progress = true;
        }
    }
}

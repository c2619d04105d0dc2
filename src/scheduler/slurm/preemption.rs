//! Which running jobs must go so that a pending one can start.
//!
//! Candidates are removed one by one, lowest QOS priority and fewest nodes first (or youngest first),
//! until the job fits; the one removed last is moved to the front and the search repeated
//! (`reorder_count` times), so that only as many go as are needed. Only candidates on the chosen nodes
//! are preempted.

use super::NodeSet;
use super::config::{PreemptMode, PreemptType};
use super::controller::Controller;
use super::job::JobIx;
use super::placement::Free;

/// `MessageTimeout` (slurm.conf(5), 22.05: 10 s): with `KillWait` the time in which a preemptor waits for
/// its victims before it may take more.
const MESSAGE_TIMEOUT_S: i64 = 10;

impl Controller<'_> {
    pub(super) fn preemption_enabled(&self) -> bool {
        self.config.preempt.kind != PreemptType::None && self.config.preempt.mode != PreemptMode::Off
    }

    /// Whether `preemptor` ranks above `victim` for preemption.
    pub(super) fn may_preempt(&self, preemptor: JobIx, victim: JobIx) -> bool {
        let (or, ee) = (&self.jobs[preemptor.at()], &self.jobs[victim.at()]);
        match self.config.preempt.kind {
            PreemptType::None => false,
            PreemptType::Qos => self.config.accounting.qos(or.qos).preempt.contains(&ee.qos),
            PreemptType::PartitionPrio => {
                let tier = |j: &super::job::Job| self.config.partitions[j.partition].priority_tier;
                tier(or) > tier(ee) && !self.config.partitions[ee.partition].preempt_off
            }
        }
    }

    pub(super) fn preempt_mode_of(&self, job: JobIx) -> PreemptMode {
        let qos = self.config.accounting.qos(self.jobs[job.at()].qos);
        match (self.config.preempt.kind, qos.preempt_mode) {
            (PreemptType::Qos, Some(mode)) => mode,
            _ => self.config.preempt.mode,
        }
    }

    /// Running jobs that `job` may preempt, in the order in which they would go.
    pub(super) fn preemption_candidates(&self, job: JobIx, now_s: i64) -> Vec<JobIx> {
        if !self.preemption_enabled() {
            return Vec::new();
        }
        let exempt = self.config.preempt.exempt_s;
        let partition = &self.config.partitions[self.jobs[job.at()].partition];
        let mut found: Vec<JobIx> = self
            .running
            .iter()
            .copied()
            .filter(|v| {
                let victim = &self.jobs[v.at()];
                self.may_preempt(job, *v)
                    && self.preempt_mode_of(*v) != PreemptMode::Off
                    && (exempt <= 0 || victim.start_s + exempt <= now_s)
                    && !victim.nodes.is_disjoint(&partition.nodes)
            })
            .collect();
        found.sort_by_key(|v| self.jobs[v.at()].list_order);
        if self.config.preempt.youngest_first {
            found.sort_by_key(|v| std::cmp::Reverse(self.jobs[v.at()].start_s));
        } else {
            found.sort_by_key(|v| {
                let victim = &self.jobs[v.at()];
                let qos = self.config.accounting.qos(victim.qos).priority.min(0xffff);
                (qos, victim.nodes.count_ones(..).min(0xffff))
            });
        }
        found
    }

    /// What would be free without `victim`, in `free`.
    pub(super) fn remove_from(&self, free: &mut [Free], victim: JobIx) {
        for grant in &self.jobs[victim.at()].grants {
            let node = &mut free[grant.node.0 as usize];
            node.cpus += grant.cpus;
            node.mem_mb += grant.mem_mb;
            node.gpus |= grant.gpus;
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
                let Some(nodes) = self.placement().choose(ask, allowed, &free) else {
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
        let record = &mut self.jobs[job.at()];
        record.preempt_start_s = now_s;
        record.preempt_in_progress = true;
    }
}

//! Preemptive policies of training clusters, exactly as published simulators have them.
//!
//! - SRTF: shortest remaining time first
//! - SRSF: shortest remaining service (time x GPUs) first
//! - Tiresias: discretised two-dimensional least attained service (Gu et al., NSDI 2019)
//!
//! At each pass all placements are forgotten and made anew, in the policy's order; what does not fit is
//! skipped, and running jobs that no longer fit are preempted. Remaining times are those of an oracle
//! (SRTF, SRSF); Tiresias looks at attained service only.
//!
//! This room decides; when a pass takes place and what preemption costs is up to the caller.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::ids::{IdVec, JobId};
use crate::time::{MICROS_PER_S, SimDuration, SimTime};

/// A policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreemptivePolicy {
    /// Shortest remaining time first.
    Srtf,
    /// Shortest remaining service first.
    Srsf,
    /// Discretised two-dimensional least attained service.
    Tiresias,
}

/// When a job pays its restart overhead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverheadRule {
    /// At every event while it runs, moved or not, as the published simulators have it: it advances by the
    /// time since the last event less the overhead, at least zero. Completions are predicted without it.
    EveryEvent,
    /// When it runs again after a preemption, before its work goes on.
    Restart,
}

/// A policy with what preemption costs, as a scenario or the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreemptiveSpec {
    /// Name for reports.
    pub name: String,
    /// The policy.
    pub policy: PreemptivePolicy,
    /// When overhead is paid.
    pub rule: OverheadRule,
    /// Overhead of jobs whose class is not listed.
    pub overhead: SimDuration,
    /// Overhead by class.
    pub by_class: Vec<(String, SimDuration)>,
}

impl PreemptivePolicy {
    /// All of them, with their names.
    pub const ALL: [(Self, &str); 3] =
        [(Self::Srtf, "srtf"), (Self::Srsf, "srsf"), (Self::Tiresias, "tiresias")];

    /// The policy of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(policy, _)| *policy)
    }
}

/// Attained service, in GPU seconds, at which a job leaves the first and the second queue of Tiresias.
pub const QUEUE_LIMITS_GPU_S: [i64; 2] = [3250, 7200];

/// A job as these policies see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingJob {
    /// GPUs.
    pub gpus: u32,
    /// Run time that is left.
    pub remaining: SimDuration,
    /// Time that it has held its GPUs.
    pub attained: SimDuration,
    /// Whether it holds GPUs now; set by [`Runner::pass`].
    pub running: bool,
}

/// Equal nodes with GPUs; these policies look at nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuCluster {
    /// Nodes.
    pub nodes: u32,
    /// GPUs of each.
    pub gpus_per_node: u32,
}

/// The runnable jobs in a policy's order.
#[derive(Clone, Debug)]
pub struct Order {
    policy: PreemptivePolicy,
    /// What one GPU is in the jobs' `gpus`.
    unit: u32,
    /// One queue, or the three of Tiresias.
    queues: Vec<VecDeque<JobId>>,
}

/// The runnable jobs in the policy's order, and the decision who runs where nodes are equal.
#[derive(Clone, Debug)]
pub struct Runner {
    order: Order,
    cluster: GpuCluster,
    /// Where the last pass put each running job; empty for Tiresias, to which GPUs are a bare count.
    placed: Vec<(JobId, NodeGpus)>,
}

/// GPUs by node: (position of the node, GPUs).
pub type NodeGpus = SmallVec<[(u32, u32); 2]>;

impl Order {
    /// An order without jobs, whose `gpus` are counted in parts, so many to a GPU.
    #[must_use]
    pub fn new(policy: PreemptivePolicy, unit: u32) -> Self {
        let queues = match policy {
            PreemptivePolicy::Srtf | PreemptivePolicy::Srsf => 1,
            PreemptivePolicy::Tiresias => QUEUE_LIMITS_GPU_S.len() + 1,
        };
        Self { policy, unit, queues: vec![VecDeque::new(); queues] }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> PreemptivePolicy {
        self.policy
    }

    /// A job that can run from now on.
    pub fn arrive(&mut self, job: JobId) {
        self.queues[0].push_back(job);
    }

    /// A job that ran before and can run again from now on: it comes to the end of the queue of its service.
    pub fn come_back(&mut self, job: JobId, jobs: &IdVec<JobId, TrainingJob>) {
        let left = (0..self.queues.len() - 1).take_while(|at| self.is_due(&jobs[job], *at)).count();
        self.queues[left].push_back(job);
    }

    /// A job that is done.
    pub fn finish(&mut self, job: JobId) {
        self.queues.iter_mut().for_each(|queue| queue.retain(|other| *other != job));
    }

    /// The jobs that are not done, waiting or running.
    pub fn runnable(&self) -> impl Iterator<Item = JobId> {
        self.queues.iter().flatten().copied()
    }

    /// Whether a job has the service at which it leaves a queue.
    fn is_due(&self, job: &TrainingJob, queue: usize) -> bool {
        let service = i128::from(job.attained.micros()) * i128::from(job.gpus);
        self.limit(queue).is_some_and(|limit| service >= i128::from(limit) * i128::from(MICROS_PER_S))
    }

    /// Service at which a job leaves a queue, in seconds x parts of GPUs.
    fn limit(&self, queue: usize) -> Option<i64> {
        QUEUE_LIMITS_GPU_S.get(queue).map(|limit| limit * i64::from(self.unit))
    }

    /// When the next running job leaves its queue (Tiresias), if all stays as it is: in whole seconds
    /// after its attained time.
    #[must_use]
    pub fn next_demotion(&self, jobs: &IdVec<JobId, TrainingJob>, now: SimTime) -> Option<SimTime> {
        if self.queues.len() == 1 {
            return None;
        }
        let due = |job: &TrainingJob, limit: i64| {
            let whole_s = limit.unsigned_abs().div_ceil(u64::from(job.gpus.max(1))) as i64;
            let left = SimDuration::from_s(whole_s).micros() - job.attained.micros();
            now + SimDuration::from_micros(left.max(0))
        };
        let limited = self.queues.iter().enumerate().filter_map(|(at, queue)| Some((queue, self.limit(at)?)));
        let running = limited.flat_map(|(queue, limit)| queue.iter().map(move |id| (jobs[*id], limit)));
        running.filter(|(job, _)| job.running).map(|(job, limit)| due(&job, limit)).min()
    }

    /// Puts the jobs in their order, before it is decided who runs.
    pub fn sort(&mut self, jobs: &IdVec<JobId, TrainingJob>) {
        let key: fn(&TrainingJob) -> i128 = match self.policy {
            PreemptivePolicy::Srtf => |job| i128::from(job.remaining.micros()),
            PreemptivePolicy::Srsf => |job| i128::from(job.remaining.micros()) * i128::from(job.gpus),
            PreemptivePolicy::Tiresias => return self.demote(jobs),
        };
        self.queues[0].make_contiguous().sort_by_key(|id| key(&jobs[*id]));
    }

    /// Tiresias, after it is decided: running jobs stay ahead of waiting ones, so that the next pass does not swap
    /// equals.
    pub fn running_first(&mut self, jobs: &IdVec<JobId, TrainingJob>) {
        if self.policy == PreemptivePolicy::Tiresias {
            for queue in &mut self.queues {
                queue.make_contiguous().sort_by_key(|id| !jobs[*id].running);
            }
        }
    }

    /// Moves the jobs that have reached their queue's limit to the end of the next one, in the order in
    /// which they stand.
    fn demote(&mut self, jobs: &IdVec<JobId, TrainingJob>) {
        let standing: Vec<(usize, JobId)> = self
            .queues
            .iter()
            .enumerate()
            .flat_map(|(at, queue)| queue.iter().map(move |id| (at, *id)))
            .collect();
        for (at, id) in standing {
            if self.is_due(&jobs[id], at) {
                self.queues[at].retain(|other| *other != id);
                self.queues[at + 1].push_back(id);
            }
        }
    }
}

impl Runner {
    /// A runner without jobs.
    #[must_use]
    pub fn new(policy: PreemptivePolicy, cluster: GpuCluster) -> Self {
        Self { order: Order::new(policy, 1), cluster, placed: Vec::new() }
    }

    /// A job that can run from now on.
    pub fn arrive(&mut self, job: JobId) {
        self.order.arrive(job);
    }

    /// A job that is done.
    pub fn finish(&mut self, job: JobId) {
        self.order.finish(job);
    }

    /// The jobs that are not done, waiting or running.
    pub fn runnable(&self) -> impl Iterator<Item = JobId> {
        self.order.runnable()
    }

    /// Where the last pass put each running job, in its order; empty for Tiresias, to which GPUs are a bare count.
    #[must_use]
    pub fn placed(&self) -> &[(JobId, NodeGpus)] {
        &self.placed
    }

    /// When the next running job leaves its queue (Tiresias), if all stays as it is.
    #[must_use]
    pub fn next_demotion(&self, jobs: &IdVec<JobId, TrainingJob>, now: SimTime) -> Option<SimTime> {
        self.order.next_demotion(jobs, now)
    }

    /// Decides anew who runs.
    pub fn pass(&mut self, jobs: &mut IdVec<JobId, TrainingJob>) {
        self.order.sort(jobs);
        if self.order.policy() == PreemptivePolicy::Tiresias {
            let mut free = self.cluster.nodes * self.cluster.gpus_per_node;
            for id in self.order.runnable() {
                let job = &mut jobs[id];
                job.running = job.gpus <= free;
                free -= if job.running { job.gpus } else { 0 };
            }
        } else {
            let mut free = vec![self.cluster.gpus_per_node; self.cluster.nodes as usize];
            self.placed.clear();
            for id in self.order.runnable() {
                let found = place(&mut free, self.cluster.gpus_per_node, jobs[id].gpus);
                jobs[id].running = found.is_some();
                self.placed.extend(found.map(|gpus| (id, gpus)));
            }
        }
        self.order.running_first(jobs);
    }
}

/// Places a job on nodes with so much `free`: up to a node's GPUs on the first node with room, more on the
/// first idle nodes and, for the remainder, the first other node with room. `None` where it does not fit.
fn place(free: &mut [u32], per_node: u32, gpus: u32) -> Option<NodeGpus> {
    let (whole, rest) = if gpus <= per_node { (0, gpus) } else { (gpus / per_node, gpus % per_node) };
    let mut taken = NodeGpus::new();
    let idle = (0u32..).zip(free.iter()).filter(|(_, free)| **free == per_node);
    taken.extend(idle.map(|(node, _)| (node, per_node)).take(whole as usize));
    if taken.len() < whole as usize {
        return None;
    }
    if rest > 0 {
        let other = |node: u32| taken.iter().all(|(used, _)| *used != node);
        let node = (0u32..).zip(free.iter()).find(|(node, free)| **free >= rest && other(*node))?.0;
        taken.push((node, rest));
    }
    taken.iter().for_each(|(node, gpus)| free[*node as usize] -= gpus);
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_jobs_take_idle_nodes_and_a_remainder() {
        let mut free = [6, 8, 8, 8];
        assert!(place(&mut free, 8, 20).is_some());
        assert_eq!(free, [2, 0, 0, 8]);
        assert_eq!(place(&mut free, 8, 16), None);
        assert_eq!(place(&mut free, 8, 3).unwrap().as_slice(), [(3, 3)]);
        assert_eq!(free, [2, 0, 0, 5]);
        assert_eq!(place(&mut free, 8, 6), None);
    }

    fn jobs(rows: &[(u32, i64)]) -> IdVec<JobId, TrainingJob> {
        let job = |(gpus, remaining_s): &(u32, i64)| TrainingJob {
            gpus: *gpus,
            remaining: SimDuration::from_s(*remaining_s),
            attained: SimDuration::ZERO,
            running: false,
        };
        rows.iter().map(job).collect()
    }

    fn running(policy: PreemptivePolicy, rows: &[(u32, i64)]) -> Vec<u32> {
        let mut jobs = jobs(rows);
        let mut runner = Runner::new(policy, GpuCluster { nodes: 1, gpus_per_node: 8 });
        jobs.ids().for_each(|id| runner.arrive(id));
        runner.pass(&mut jobs);
        jobs.iter_ids().filter(|(_, job)| job.running).map(|(id, _)| id.0).collect()
    }

    #[test]
    fn orders_by_time_by_service_by_arrival() {
        let rows = [(4, 100), (8, 60), (1, 300), (4, 90)];
        assert_eq!(running(PreemptivePolicy::Srtf, &rows), [1]);
        assert_eq!(running(PreemptivePolicy::Srsf, &rows), [2, 3]);
        assert_eq!(running(PreemptivePolicy::Tiresias, &rows), [0, 2]);
    }
}

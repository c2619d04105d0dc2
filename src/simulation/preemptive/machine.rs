//! The events of a preemptive policy, and what they do to the jobs.
//!
//! An event is an arrival, the earliest predicted completion, or (Tiresias) a demotion that falls due. All
//! that is due at one instant is one event: completions first, then arrivals, then the policy decides anew
//! who runs. Work, time and overhead are integers, so the order of events never depends on rounding.

use crate::ids::{Id, IdVec, JobId};
use crate::scheduler::preemptive::{GpuCluster, PreemptivePolicy, Runner, TrainingJob};
use crate::time::{SimDuration, SimTime};

/// A job as the events need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingTask {
    /// Submitted at.
    pub submit: SimTime,
    /// GPUs.
    pub gpus: u32,
    /// Run time on its GPUs without interruptions.
    pub work: SimDuration,
    /// Restart overhead.
    pub overhead: SimDuration,
}

/// What a job that ran did between two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The job.
    pub job: JobId,
    /// Work done.
    pub worked: SimDuration,
    /// Overhead paid; with `worked` the time between the events.
    pub paid: SimDuration,
    /// Whether the job is done.
    pub done: bool,
}

/// The jobs, which of them run, and the time.
pub struct Machine<'a> {
    tasks: &'a [TrainingTask],
    jobs: IdVec<JobId, TrainingJob>,
    runner: Runner,
    arrived: usize,
    now: SimTime,
    advances: Vec<Advance>,
}

impl<'a> Machine<'a> {
    /// Before the first event; `tasks` are in submit order.
    #[must_use]
    pub fn new(tasks: &'a [TrainingTask], cluster: GpuCluster, policy: PreemptivePolicy) -> Self {
        let job = |task: &TrainingTask| TrainingJob {
            gpus: task.gpus,
            remaining: task.work,
            attained: SimDuration::ZERO,
            running: false,
        };
        Self {
            tasks,
            jobs: tasks.iter().map(job).collect(),
            runner: Runner::new(policy, cluster),
            arrived: 0,
            now: SimTime::ZERO,
            advances: Vec::new(),
        }
    }

    /// The jobs now.
    #[must_use]
    pub fn jobs(&self) -> &IdVec<JobId, TrainingJob> {
        &self.jobs
    }

    /// The runnable jobs in the policy's order, and where they run.
    #[must_use]
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    /// Jobs that have been submitted.
    #[must_use]
    pub fn arrived(&self) -> usize {
        self.arrived
    }

    /// When the next event is; `None` after the last.
    #[must_use]
    pub fn next_event(&self) -> Option<SimTime> {
        let arrival = self.tasks.get(self.arrived).map(|task| task.submit);
        let running = self.runner.runnable().filter(|id| self.jobs[*id].running);
        let completion = running.map(|id| self.now + self.jobs[id].remaining).min();
        let demotion = self.runner.next_demotion(&self.jobs, self.now);
        [arrival, completion, demotion].into_iter().flatten().min()
    }

    /// The event at `now`: what every job that ran did since the last one. Then the policy has decided anew.
    pub fn step(&mut self, now: SimTime) -> &[Advance] {
        let passed = now.since(self.now);
        let running = self.runner.runnable().filter(|id| self.jobs[*id].running);
        let running: Vec<JobId> = running.collect();
        self.advances.clear();
        for id in running {
            let advance = self.advance(id, passed);
            if advance.done {
                self.runner.finish(id);
            }
            self.advances.push(advance);
        }
        while self.tasks.get(self.arrived).is_some_and(|task| task.submit == now) {
            self.runner.arrive(JobId::new(self.arrived));
            self.arrived += 1;
        }
        self.runner.pass(&mut self.jobs);
        self.now = now;
        &self.advances
    }

    fn advance(&mut self, id: JobId, passed: SimDuration) -> Advance {
        let job = &mut self.jobs[id];
        job.attained += passed;
        let due = if job.remaining == passed { SimDuration::ZERO } else { self.tasks[id.index()].overhead };
        let paid = due.min(passed);
        let less = |a: SimDuration, b: SimDuration| SimDuration::from_micros(a.micros() - b.micros());
        let worked = less(passed, paid);
        job.remaining = less(job.remaining, worked);
        let done = job.remaining == SimDuration::ZERO;
        job.running &= !done;
        Advance { job: id, worked, paid, done }
    }
}

//! Jobs whose route lets them go to other pools if their wait is long.
//!
//! Two bounds are one: a job goes to the wider set of pools at once if the pool that it is meant for would
//! work longer than that on what runs there and waits for it (device time until the expected ends, over the
//! devices of the pool, while nothing is free for it), and after so long a wait in any case.

use rustc_hash::FxHashMap;

use super::ground::Decider;
use super::{Run, Timer};
use crate::ids::{IdVec, JobId, PoolId, RequestId};
use crate::kernel::{Calendar, Phase};
use crate::simulation::JobState;
use crate::simulation::meter::{Gauge, Load};
use crate::time::{SimDuration, SimTime};
use crate::workload::Workload;

/// Where else a job may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spill {
    /// Its request on the wider set of pools.
    pub request: RequestId,
    /// The wait that is too long.
    pub after: SimDuration,
}

/// All jobs that may spill.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spills {
    /// By job.
    pub jobs: FxHashMap<JobId, Spill>,
}

/// What waits for each pool and runs there.
#[derive(Debug)]
pub(super) struct SpillWatch<'w> {
    spills: &'w Spills,
    /// Device-microseconds that wait, by the pool that they are meant for.
    waiting: IdVec<PoolId, i128>,
    /// Sum of devices x expected end, and devices, of what runs.
    running: IdVec<PoolId, (i128, i128)>,
    /// What each waiting job added.
    added: FxHashMap<JobId, (PoolId, i128)>,
    /// Timers to be set.
    due: Vec<(JobId, SimTime)>,
    pub(super) spilled: u64,
}

/// GPUs where a pool has some, else CPUs.
fn devices(load: &Load, pool: &Load) -> i128 {
    i128::from(if pool.gpus > 0 { load.gpus } else { load.cpus })
}

impl<'w> SpillWatch<'w> {
    pub(super) fn new(spills: &'w Spills, gauge: &impl Gauge) -> Self {
        let pools = gauge.pools();
        Self {
            spills,
            waiting: IdVec::filled(pools, 0),
            running: IdVec::filled(pools, (0, 0)),
            added: FxHashMap::default(),
            due: Vec::new(),
            spilled: 0,
        }
    }

    /// A job enters the queue: by its route, or wider if that would be too long a wait.
    pub(super) fn enter<D: Decider>(
        &mut self,
        job: JobId,
        now: SimTime,
        workload: &Workload,
        decider: &mut D,
        gauge: &impl Gauge,
    ) {
        if let Some(spill) =
            self.spills.jobs.get(&job).filter(|spill| !decider.is_rerouted(job, spill.request))
        {
            if self
                .estimate(job, now, decider, gauge)
                .is_some_and(|wait| wait <= i128::from(spill.after.micros()))
            {
                self.due.push((job, now + spill.after));
            } else {
                decider.reroute(job, spill.request);
                self.spilled += 1;
            }
        }
        let Some(fit) = decider.fits(job).next() else { return };
        let amount = devices(&fit.asked, &gauge.has(fit.pool));
        let work = amount * i128::from(workload.jobs[job].limit.micros());
        self.waiting[fit.pool] += work;
        self.added.insert(job, (fit.pool, work));
    }

    /// Microseconds in which the pool that a job is meant for works off what runs and waits; `None` = no pool
    /// of its route can hold it.
    fn estimate<D: Decider>(
        &self,
        job: JobId,
        now: SimTime,
        decider: &D,
        gauge: &impl Gauge,
    ) -> Option<i128> {
        let of = |pool: PoolId, total: &Load| {
            let free = gauge.free(pool);
            if self.waiting[pool] == 0 && free.gpus >= total.gpus && free.cpus >= total.cpus {
                return 0;
            }
            let (ends, held) = self.running[pool];
            let left = (ends - held * i128::from(now.micros())).max(0);
            let capacity = gauge.has(pool);
            (self.waiting[pool] + left) / devices(&capacity, &capacity).max(1)
        };
        decider.fits(job).map(|fit| of(fit.pool, &fit.total)).min()
    }

    /// A job has left the queue.
    pub(super) fn leave(&mut self, job: JobId) {
        if let Some((pool, work)) = self.added.remove(&job) {
            self.waiting[pool] -= work;
        }
    }

    fn change(&mut self, pool: PoolId, held: &Load, expected_end: SimTime, gauge: &impl Gauge, sign: i128) {
        let amount = sign * devices(held, &gauge.has(pool));
        let running = &mut self.running[pool];
        running.0 += amount * i128::from(expected_end.micros());
        running.1 += amount;
    }

    pub(super) fn start(&mut self, pool: PoolId, held: &Load, expected_end: SimTime, gauge: &impl Gauge) {
        self.change(pool, held, expected_end, gauge, 1);
    }

    pub(super) fn end(&mut self, pool: PoolId, held: &Load, expected_end: SimTime, gauge: &impl Gauge) {
        self.change(pool, held, expected_end, gauge, -1);
    }
}

impl<D: Decider> Run<'_, D> {
    /// Why no pool can ever hold a job, those where it may spill to included.
    pub(super) fn refusal(&self, job: JobId, request: RequestId) -> Option<&str> {
        let refusal = self.decider.refusal(request)?;
        let spill = self.spill.as_ref().and_then(|watch| watch.spills.jobs.get(&job));
        spill.is_none_or(|spill| self.decider.refusal(spill.request).is_some()).then_some(refusal)
    }

    /// Sets the timers of jobs that came into the queue.
    pub(super) fn watch_spills(&mut self, calendar: &mut Calendar<Timer>) {
        let Some(spill) = &mut self.spill else { return };
        for (job, at) in spill.due.drain(..) {
            if self.records[job].state == JobState::Pending {
                calendar.set(Timer::Spill(job), at, Phase::Arrival);
            }
        }
    }

    /// A job is no longer queued.
    pub(super) fn leave_queue(&mut self, job: JobId, calendar: &mut Calendar<Timer>) {
        if let Some(spill) = &mut self.spill {
            spill.leave(job);
            calendar.cancel(Timer::Spill(job));
        }
    }

    /// A job has waited too long for the pools of its route.
    pub(super) fn fire_spill(&mut self, job: JobId, now: SimTime) {
        let Some(spill) = &mut self.spill else { return };
        if self.records[job].state != JobState::Pending || !self.decider.withdraw(job, now) {
            return;
        }
        let to = spill.spills.jobs[&job].request;
        self.decider.reroute(job, to);
        spill.spilled += 1;
        spill.leave(job);
        self.enqueue(job, now);
    }
}

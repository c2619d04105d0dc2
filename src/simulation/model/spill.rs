//! Jobs whose route lets them go to other pools if their wait is long.
//!
//! Two bounds are one: a job goes to the wider set of pools at once if the pool that it is meant for would
//! work longer than that on what runs there and waits for it (device time until the expected ends, over the
//! devices of the pool, while nothing is free for it), and after so long a wait in any case.

use rustc_hash::FxHashMap;

use super::{Batch, Timer};
use crate::cluster::{Allocation, Amounts};
use crate::ids::{IdVec, JobId, PoolId, RequestId};
use crate::kernel::{Calendar, Phase};
use crate::scheduler::{Classic, Floor};
use crate::simulation::JobState;
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
fn devices(amounts: &Amounts, pool: &Amounts) -> i128 {
    i128::from(if pool.gpus > 0 { amounts.gpus } else { amounts.cpus })
}

impl<'w> SpillWatch<'w> {
    pub(super) fn new(spills: &'w Spills, floor: &Floor) -> Self {
        let pools = floor.ledger().pools();
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
    pub(super) fn enter(
        &mut self,
        job: JobId,
        now: SimTime,
        workload: &Workload,
        scheduler: &mut Classic<'_>,
        floor: &Floor,
    ) {
        if let Some(spill) =
            self.spills.jobs.get(&job).filter(|spill| !scheduler.is_rerouted(job, spill.request))
        {
            if self
                .estimate(job, now, scheduler, floor)
                .is_some_and(|wait| wait <= i128::from(spill.after.micros()))
            {
                self.due.push((job, now + spill.after));
            } else {
                scheduler.reroute(job, spill.request);
                self.spilled += 1;
            }
        }
        let shape = scheduler.shapes().get(scheduler.shape_of(job));
        let Some(fit) = shape.pools.first() else { return };
        let amount = devices(&fit.asked, &floor.ledger().pool_capacity(fit.pool));
        let work = amount * i128::from(workload.jobs[job].limit.micros());
        self.waiting[fit.pool] += work;
        self.added.insert(job, (fit.pool, work));
    }

    /// Microseconds in which the pool that a job is meant for works off what runs and waits; `None` = no pool
    /// of its route can hold it.
    fn estimate(&self, job: JobId, now: SimTime, scheduler: &Classic<'_>, floor: &Floor) -> Option<i128> {
        let shape = scheduler.shapes().get(scheduler.shape_of(job));
        let ledger = floor.ledger();
        let of = |pool: PoolId, total: &Amounts| {
            if self.waiting[pool] == 0 && ledger.pool_free(pool).holds(total) {
                return 0;
            }
            let (ends, held) = self.running[pool];
            let left = (ends - held * i128::from(now.micros())).max(0);
            let capacity = ledger.pool_capacity(pool);
            (self.waiting[pool] + left) / devices(&capacity, &capacity).max(1)
        };
        shape.pools.iter().map(|fit| of(fit.pool, &fit.total)).min()
    }

    /// A job has left the queue.
    pub(super) fn leave(&mut self, job: JobId) {
        if let Some((pool, work)) = self.added.remove(&job) {
            self.waiting[pool] -= work;
        }
    }

    fn change(&mut self, allocation: &Allocation, expected_end: SimTime, floor: &Floor, sign: i128) {
        let pool = floor.ledger().node(allocation[0].node).pool;
        let held = allocation.iter().fold(Amounts::ZERO, |sum, grant| sum.plus(&grant.amounts()));
        let amount = sign * devices(&held, &floor.ledger().pool_capacity(pool));
        let running = &mut self.running[pool];
        running.0 += amount * i128::from(expected_end.micros());
        running.1 += amount;
    }

    pub(super) fn start(&mut self, allocation: &Allocation, expected_end: SimTime, floor: &Floor) {
        self.change(allocation, expected_end, floor, 1);
    }

    pub(super) fn end(&mut self, allocation: &Allocation, expected_end: SimTime, floor: &Floor) {
        self.change(allocation, expected_end, floor, -1);
    }
}

impl Batch<'_> {
    /// Why no pool can ever hold a job, those where it may spill to included.
    pub(super) fn refusal(&self, job: JobId, request: RequestId) -> Option<&str> {
        let shapes = self.scheduler.shapes();
        let refusal = shapes.refusal(request)?;
        let spill = self.spill.as_ref().and_then(|watch| watch.spills.jobs.get(&job));
        spill.is_none_or(|spill| shapes.refusal(spill.request).is_some()).then_some(refusal)
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
        if self.records[job].state != JobState::Pending || !self.scheduler.withdraw(job, now) {
            return;
        }
        let to = spill.spills.jobs[&job].request;
        self.scheduler.reroute(job, to);
        spill.spilled += 1;
        spill.leave(job);
        self.enqueue(job, now);
    }
}

//! How a job gets on on its hosts: work left, time lost, and when it will end.
//!
//! Between two changes that other jobs cause, all that happens to a job is known beforehand: the noise epochs of its
//! hosts and its own snapshots. A [`Course`] walks along them, to an instant or to the end of the job, and nothing of
//! it is an event. Speed is settled where it changes and nowhere else, so the integers do not depend on how often
//! somebody looks.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use smallvec::SmallVec;

use super::pen::{Stored, Writes};
use super::{ByPool, Host, ONE, OnCards, times};
use crate::ids::{IdVec, JobId, PoolId};
use crate::simulation::meter::{Held, LostParts, Tax};
use crate::tenancy::{PoolTenancy, Shares, Snapshots, Uses, parts_of};
use crate::time::{SimDuration, SimTime};

/// A part of a host that a job holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub(super) host: u32,
    /// Its part of the host.
    pub(super) part: f64,
    pub(super) cpus: u32,
    /// What its neighbours there do to it now, as a factor.
    pub(super) caused: f64,
}

/// What does not change while a job runs, but for its neighbours.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) id: JobId,
    pub(super) is_session: bool,
    pub(super) stays: SmallVec<[Stay; 1]>,
    pub(super) shares: Shares,
    pub(super) uses: Uses,
    /// Slowdown by the access method.
    pub(super) own: f64,
    /// Speed under it, alone, in parts of that on bare metal.
    pub(super) alone: u64,
    /// Slowdown by the access method beside others on its GPUs, and with nobody there, where GPUs are time-sliced: then
    /// nothing is switched.
    pub(super) switching: Option<(f64, f64)>,
    /// Speed on bare metal, on these devices, alone there, relative to what the run time was recorded on.
    pub(super) bare: u64,
    /// What of that is due to the devices, which may be parts of GPUs.
    pub(super) on_devices: u64,
    pub(super) cards: Option<Box<OnCards>>,
    /// What others on its GPUs leave of its speed now.
    pub(super) company: u64,
    /// What the network leaves of it now.
    pub(super) network: u64,
    /// What the store leaves of it now that its data is read from.
    pub(super) loading: u64,
    /// Devices at work for it, in all and by pool.
    pub(super) asked: Held,
    pub(super) by_pool: ByPool,
    pub(super) util_milli: Option<u16>,
    pub(super) placed: SimTime,
    /// When its boot, or its restore, is over.
    pub(super) booted: SimTime,
    /// When it runs: when it has been launched after that.
    pub(super) runs_from: SimTime,
    /// When it is killed, if it still runs.
    pub(super) kill_at: SimTime,
    pub(super) snapshots: Option<Snapshots>,
    /// Where it writes them, if that is a store that others write to.
    pub(super) writes: Option<Writes>,
    /// Work to do, in microseconds x 10^-9.
    pub(super) work: i128,
}

/// The noise epoch of a host in which a course is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here {
    pub(super) number: u32,
    pub(super) until: SimTime,
    pub(super) factor: f64,
}

impl Here {
    /// On a host without noise, for ever.
    pub(super) const QUIET: Self = Self { number: 0, until: SimTime::NEVER, factor: 1.0 };
}

/// A job's progress when a snapshot was begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    left: i128,
    tax: Tax,
    at: SimTime,
}

/// The snapshots of a job that has some.
#[derive(Clone, Debug)]
struct Taken {
    /// When the next one begins, or the one at work is done.
    next: SimTime,
    taking: Option<Kept>,
    /// The last whole one.
    last: Option<Kept>,
    /// Where a store is written to.
    stored: Option<Stored>,
}

/// How far a job has come.
#[derive(Clone, Debug)]
pub(super) struct Course {
    /// Speed now, in parts of that on bare metal; what it would be with data as fast as recorded, and on a network that costs
    /// nothing.
    delivered: u64,
    loaded: u64,
    off_network: u64,
    /// Speed now relative to what the run time was recorded on.
    speed: i128,
    /// Work left at `since`, in microseconds x 10^-9.
    left: i128,
    /// Up to when it is settled; while it boots or stands still, when it goes on.
    since: SimTime,
    pub(super) tax: Tax,
    /// By stay; empty where there is no noise.
    pub(super) here: SmallVec<[Here; 1]>,
    /// Changes of speed.
    pub(super) retunes: u64,
    snapshots: Option<Box<Taken>>,
}

/// How far to walk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// To this instant.
    At(SimTime),
    /// To the end of the job, but past at most so many boundaries.
    End {
        /// How many.
        most: u32,
    },
}

/// How far it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// The instant asked for.
    There,
    /// The job ends here.
    End(SimTime),
    /// A boundary lies here, and it was not passed.
    Boundary(SimTime),
}

/// What a course walks through.
pub(super) struct Ahead<'a> {
    pub(super) hosts: &'a mut [Host],
    pub(super) pools: &'a IdVec<PoolId, PoolTenancy>,
    /// Ends of epochs by stay; kept for its memory.
    pub(super) soonest: &'a mut BinaryHeap<Reverse<(SimTime, u32)>>,
}

impl Course {
    /// Nothing is done yet; the epochs of the hosts are `here`.
    pub(super) fn new(job: &Fixed, here: SmallVec<[Here; 1]>) -> Self {
        let stored = job.writes.as_ref().map(|writes| Stored::new(writes.reads_first));
        let every = job
            .writes
            .as_ref()
            .map(|writes| if writes.reads_first { SimDuration::ZERO } else { writes.every });
        let first = |every| Box::new(Taken { next: job.runs_from + every, taking: None, last: None, stored });
        let snapshots = job.snapshots.map(|spec| first(every.unwrap_or(spec.every)));
        let (tax, since) = (Tax::default(), job.runs_from);
        Self {
            delivered: 0,
            loaded: 0,
            off_network: 0,
            speed: 0,
            left: job.work,
            since,
            tax,
            here,
            retunes: 0,
            snapshots,
        }
    }

    /// The factor of the slowest host.
    fn worst(&self, job: &Fixed) -> f64 {
        let factor = |at: usize| self.here.get(at).map_or(1.0, |here| here.factor);
        job.stays.iter().enumerate().map(|(at, stay)| stay.caused * factor(at)).fold(1.0, f64::max)
    }

    /// Gives the job the speed that its hosts allow at `now`.
    pub(super) fn retune(&mut self, job: &Fixed, now: SimTime) {
        let worst = self.worst(job);
        self.set_speed(job, worst, now);
    }

    fn set_speed(&mut self, job: &Fixed, worst: f64, now: SimTime) {
        let off_network =
            if job.is_session { ONE } else { times(parts_of(job.own * worst).min(job.alone), job.company) };
        let loaded = times(off_network, job.network);
        let delivered = times(loaded, job.loading);
        let speeds = (delivered, loaded, off_network);
        if speeds == (self.delivered, self.loaded, self.off_network) {
            return;
        }
        self.settle(job, now);
        self.retunes += 1;
        (self.delivered, self.loaded, self.off_network) = speeds;
        let speed = if job.bare == ONE { delivered } else { times(job.bare, delivered) };
        self.speed = i128::from(speed.max(1));
    }

    /// Work done and time lost until `now`.
    pub(super) fn settle(&mut self, job: &Fixed, now: SimTime) {
        let span = now.saturating_since(self.since);
        if span == SimDuration::ZERO {
            return;
        }
        self.left -= i128::from(span.micros()) * self.speed;
        self.since = now;
        let lost = LostParts {
            virtualization: ONE - job.alone,
            neighbours: job.alone - self.off_network,
            communication: self.off_network - self.loaded,
            storage: self.loaded - self.delivered,
        };
        self.tax.slow(&job.asked, span, &lost);
    }

    /// The job stands still from `now` on for a while.
    pub(super) fn stun(&mut self, job: &Fixed, now: SimTime, span: SimDuration) {
        self.settle(job, now);
        if self.is_halted() {
            return; // it stands still already, and for longer
        }
        self.since = self.since.max(now) + span;
        self.tax.virtualize(&job.asked, span);
    }

    /// Whether the work is done by `at` at the speed of now.
    fn ends_by(&self, at: SimTime) -> bool {
        if self.is_halted() {
            return false;
        }
        at == SimTime::NEVER
            || (at >= self.since && self.left <= i128::from(at.micros() - self.since.micros()) * self.speed)
    }

    fn end(&self) -> SimTime {
        let us = (self.left.max(0) + self.speed - 1) / self.speed;
        let us = i64::try_from(us).unwrap_or(i64::MAX).min(SimDuration::MAX.micros());
        self.since + SimDuration::from_micros(us)
    }

    /// Goes on to `goal`.
    pub(super) fn walk(&mut self, job: &Fixed, ahead: &mut Ahead<'_>, goal: Goal) -> Reached {
        ahead.soonest.clear();
        let ends = self.here.iter().zip(0..).map(|(here, at)| Reverse((here.until, at)));
        ahead.soonest.extend(ends);
        let mut worst = self.worst(job);
        let mut passed = 0;
        loop {
            let epoch = ahead.soonest.peek().map_or(SimTime::NEVER, |Reverse((until, _))| *until);
            let next = self.snapshots.as_ref().map_or(epoch, |snapshots| snapshots.next.min(epoch));
            match goal {
                Goal::At(now) if next > now => return Reached::There,
                Goal::At(_) => {}
                Goal::End { most } => {
                    if let Some(end) = self.end_before(job, next) {
                        return Reached::End(end);
                    }
                    if passed == most {
                        return Reached::Boundary(next);
                    }
                    passed += 1;
                }
            }
            if next < epoch {
                if job.writes.is_some() {
                    self.pen_moves(job, next);
                    if matches!(goal, Goal::End { .. }) {
                        return Reached::Boundary(next);
                    }
                } else {
                    self.snapshot(job, next);
                }
                continue;
            }
            let mut soonest = ahead.soonest.peek_mut().expect("an epoch ends next");
            let at = soonest.0.1 as usize;
            let stay = &job.stays[at];
            let here = &mut self.here[at];
            let before = stay.caused * here.factor;
            here.number += 1;
            let host = &mut ahead.hosts[stay.host as usize];
            let noise = ahead.pools[host.pool].noise.as_ref().expect("epochs are of noise");
            let epoch = host.epoch(noise, here.number);
            (here.until, here.factor) = (epoch.until, epoch.factor);
            soonest.0.0 = epoch.until;
            drop(soonest);
            let after = stay.caused * epoch.factor;
            let felt = worst;
            if after >= worst {
                worst = after;
            } else if before >= worst {
                worst = self.worst(job);
            }
            if felt != worst {
                self.set_speed(job, worst, next);
            }
        }
    }

    /// When the job ends, if nothing lies between: no noise, no snapshot.
    pub(super) fn end_of_straight(&self, job: &Fixed) -> Option<SimTime> {
        (self.here.is_empty() && self.snapshots.is_none()).then(|| self.end().min(job.kill_at))
    }

    /// When the job ends, if no later than `next`; it is settled then.
    fn end_before(&mut self, job: &Fixed, next: SimTime) -> Option<SimTime> {
        let end = if self.ends_by(next.min(job.kill_at)) {
            self.end()
        } else if job.kill_at <= next {
            job.kill_at
        } else {
            return None;
        };
        self.settle(job, end);
        Some(end)
    }

    /// Up to when it is settled.
    pub(super) fn settled_until(&self) -> SimTime {
        self.since
    }

    /// Work left, in microseconds x 10^-9; it is settled.
    pub(super) fn left(&self) -> i128 {
        self.left.max(1)
    }

    /// Whether work is left: the job was killed.
    pub(super) fn is_unfinished(&self) -> bool {
        self.left > 0
    }

    /// A snapshot begins, or the one at work is done.
    fn snapshot(&mut self, job: &Fixed, now: SimTime) {
        let spec = job.snapshots.expect("only jobs with snapshots have their state");
        self.settle(job, now);
        let (left, tax) = (self.left, self.tax);
        let state = self.snapshots.as_mut().expect("it has a next one");
        if let Some(taken) = state.taking.take() {
            state.last = Some(taken);
            state.next = now + spec.every;
            return;
        }
        state.taking = Some(Kept { left, tax, at: now });
        // A job that stands still for another reason goes on with that later.
        self.since = self.since.max(now) + spec.takes;
        state.next = self.since;
        self.tax.store(&job.asked, spec.takes);
    }

    /// How far the job has come, for a snapshot; it is settled.
    pub(super) fn kept(&self, now: SimTime) -> Kept {
        Kept { left: self.left, tax: self.tax, at: now }
    }

    /// A snapshot is whole.
    pub(super) fn keep(&mut self, whole: Option<Kept>) {
        if let Some(state) = &mut self.snapshots {
            state.last = whole.or(state.last);
        }
    }

    pub(super) fn snapshots_stored(&self) -> Option<&Stored> {
        self.snapshots.as_ref()?.stored.as_ref()
    }

    /// What it does about its snapshots on a store, and when something more is foreseen.
    pub(super) fn stored(&mut self) -> Option<(&mut Stored, &mut SimTime)> {
        let Taken { next, stored, .. } = &mut **self.snapshots.as_mut()?;
        Some((stored.as_mut()?, next))
    }

    /// The job stands still; nobody knows for how long.
    pub(super) fn halt(&mut self) {
        self.since = SimTime::NEVER;
    }

    pub(super) fn is_halted(&self) -> bool {
        self.since == SimTime::NEVER
    }

    /// The job stood still since then for a snapshot, and goes on at `until`.
    pub(super) fn go_on(&mut self, job: &Fixed, since: SimTime, until: SimTime) {
        self.tax.store(&job.asked, until.since(since));
        self.since = until;
    }

    /// What was booked for time after `now`, in which the job should have stood still.
    pub(super) fn cut_short(&mut self, job: &Fixed, now: SimTime) {
        let over = self.since.saturating_since(now.max(job.runs_from));
        if over == SimDuration::ZERO {
            return;
        }
        let is_taking =
            self.snapshots.as_ref().is_some_and(|snapshots| snapshots.taking.is_some()) || self.is_copying();
        self.tax.take_back(&job.asked, over, is_taking);
    }

    /// The job loses what it did since its last snapshot; tells how much work is left from there.
    pub(super) fn lose(&mut self, job: &Fixed, now: SimTime) -> Option<i128> {
        let begun = Kept { left: job.work, tax: Tax::default(), at: job.placed };
        // What is on the nodes themselves goes with them.
        let is_gone = job.writes.as_ref().is_some_and(|writes| writes.is_local);
        let last = self.snapshots.as_ref().and_then(|taken| taken.last).filter(|_| !is_gone);
        let kept = last.unwrap_or(begun);
        // Booting is no work, and not yet booked.
        let from = kept.at.max(job.booted);
        self.tax.lose(&job.asked, now.saturating_since(from), &kept.tax);
        job.snapshots.filter(|_| !is_gone).map(|_| kept.left)
    }
}

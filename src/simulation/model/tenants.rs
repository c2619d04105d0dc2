//! Where the batch cluster meets tenancies other than bare metal.

use super::{Batch, Slot, Timer};
use crate::cluster::cards::CARD_UNITS;
use crate::cluster::{Allocation, Amounts};
use crate::ids::{JobId, NodeId, PoolId};
use crate::kernel::Calendar;
use crate::scheduler::shapes::PoolShape;
use crate::simulation::guests::Arrival;
use crate::simulation::translation::Speed;
use crate::simulation::{JobState, Stretch};
use crate::time::{SimDuration, SimTime};
use crate::workload::JobFlags;

/// A job that was lost so often is given up: it is longer than its hosts last, and would be queued for ever.
const MOST_ATTEMPTS: usize = 1_000;

/// So many failures, repairs and works of each host one after another, while no job starts, ends or comes, and none
/// waits for an instant: nothing more will happen, and what still waits can never start.
const PATIENCE: u64 = 1_000;

impl Batch<'_> {
    /// What the hosts should know of a job that starts; `None` where all is bare metal, alone.
    pub(super) fn arrival(&self, job: JobId, allocation: &Allocation) -> Option<Arrival> {
        let guests = self.guests.as_ref()?;
        let pool = self.floor.ledger().node(allocation[0].node).pool;
        let held = allocation.iter().fold(Amounts::ZERO, |sum, grant| sum.plus(&grant.amounts()));
        let slack = self.slack_of(job, allocation).map_or(Amounts::ZERO, |(_, slack, _)| slack);
        let (run, bare) = match self.translated {
            Some((recorded, speeds)) => (recorded.jobs[job].run, speeds.on(job, pool)),
            None => (self.workload.jobs[job].run, Speed::ONE),
        };
        let is_session = self.workload.jobs[job].flags.has(JobFlags::SESSION);
        let asked = held.saturating_minus(&slack);
        let limit = guests.kills_at_limit(pool).then(|| self.workload.jobs[job].limit);
        let resumes = self.restarted.get(&job).and_then(|row| row.left);
        let asked = std::iter::once((pool, asked)).collect();
        let util_milli = self.workload.recorded.gpu_util_milli(job);
        let launch = SimDuration::ZERO;
        let units_of_each = self.units_of_each(job, pool);
        Some(Arrival { job, run, bare, is_session, asked, units_of_each, util_milli, launch, limit, resumes })
    }

    /// What of each GPU a job asked for in a pool, in units of the hours.
    pub(super) fn units_of_each(&self, job: JobId, pool: PoolId) -> u32 {
        let shapes = self.scheduler.shapes();
        if !shapes.have_slack() {
            return CARD_UNITS;
        }
        let shape = shapes.get(self.scheduler.shape_of(job));
        shape.pools.iter().find(|fit| fit.pool == pool).map_or(CARD_UNITS, PoolShape::units_of_each)
    }

    /// What an allocation holds beyond what its job asked for: pool, whole devices, and parts of GPUs in units.
    pub(super) fn slack_of(&self, job: JobId, allocation: &Allocation) -> Option<(PoolId, Amounts, u64)> {
        if !self.scheduler.shapes().have_slack() {
            return None;
        }
        let pool = self.floor.ledger().node(allocation[0].node).pool;
        let shape = self.scheduler.shape_of(job);
        let shape = self.scheduler.shapes().get(shape);
        let fit = shape.pools.iter().find(|p| p.pool == pool).expect("it was placed there");
        Some((pool, fit.total.saturating_minus(&fit.asked), fit.units_beyond()))
    }

    /// The timer of a VM of an elastic pool has come due.
    pub(super) fn fire_vm(&mut self, node: NodeId, now: SimTime, calendar: &mut Calendar<Timer>) {
        let is_wanted = self.scheduler.waiting() > 0;
        let (Some(elastic), Some(guests)) = (&mut self.elastic, &mut self.guests) else { return };
        let tools = (&mut self.floor, &mut self.meter, &mut guests.facts);
        match elastic.fire(node, now, is_wanted, tools, calendar) {
            Ok(came_up) => self.dirty |= came_up,
            Err(conflict) => self.conflict = Some(conflict),
        }
    }

    /// Orders VMs for the jobs that still wait.
    pub(super) fn decide_elastic(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        let (Some(elastic), Some(guests)) = (&mut self.elastic, &mut self.guests) else { return };
        let tools = (&mut self.floor, &mut self.meter, &mut guests.facts);
        let decided = elastic.decide(now, self.workload, &self.scheduler, tools, calendar);
        self.conflict = decided.err().or(self.conflict.take());
    }

    /// Books what jobs that still run did until `until`.
    pub(super) fn close(&mut self, until: SimTime) {
        let slots = std::mem::take(&mut self.slots);
        for (at, slot) in slots.iter().enumerate() {
            let Some(slot) = slot else { continue };
            match &mut self.guests {
                None => self.book_held_idle(slot, until),
                Some(guests) => guests.close(at as u32, until, &mut self.meter),
            }
        }
        self.slots = slots;
    }

    /// A host is due for maintenance, or back from it.
    pub(super) fn fire_upkeep(&mut self, at: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        let (Some(upkeep), Some(guests)) = (&mut self.upkeep, &mut self.guests) else { return };
        let done = upkeep.fire(at, now, guests, (&mut self.floor, &mut self.meter), calendar);
        self.conflict = done.err().or(self.conflict.take());
        self.dirty = true;
    }

    /// Takes what is free on hosts that drain, or are down.
    pub(super) fn absorb_upkeep(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        if self.failures.is_none() && self.upkeep.is_none() {
            return;
        }
        let nothing_runs = self.running == 0 && self.next >= self.workload.jobs.len();
        let is_over = nothing_runs && (self.waiting() == 0 || self.is_out_of_patience());
        if let Some(failures) = &mut self.failures {
            if is_over {
                failures.stop(calendar);
            }
            let done = failures.absorb(&mut self.floor, &mut self.meter);
            self.conflict = done.err().or(self.conflict.take());
        }
        let Some(upkeep) = &mut self.upkeep else { return };
        if is_over {
            upkeep.stop(calendar);
        }
        let done = upkeep.absorb(now, (&mut self.floor, &mut self.meter), calendar);
        self.conflict = done.err().or(self.conflict.take());
    }

    /// Whether hosts have come and gone so often, and nothing else has happened, that nothing else will.
    fn is_out_of_patience(&self) -> bool {
        self.host_turns > PATIENCE * self.floor.ledger().nodes().len() as u64
            && !self.holds.await_an_instant()
    }

    /// A host fails with all jobs on it, or is repaired.
    pub(super) fn fire_host(&mut self, at: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        let (Some(failures), Some(guests)) = (&mut self.failures, &mut self.guests) else { return };
        self.dirty = true;
        let failed = match failures.fire(at, now, (&mut self.floor, &mut self.meter), calendar) {
            Ok(failed) => failed,
            Err(conflict) => {
                self.conflict = Some(conflict);
                return;
            }
        };
        let Some(failed) = failed else { return };
        guests.facts.failures += 1;
        let slots = guests.on_host(failed.host);
        guests.facts.lost_attempts += slots.len() as u64;
        for slot in slots {
            self.lose_attempt(slot, failed.requeue, now, calendar);
        }
    }

    /// A running job is lost with its host.
    fn lose_attempt(&mut self, slot: u32, requeue: bool, now: SimTime, calendar: &mut Calendar<Timer>) {
        calendar.cancel(Timer::End(slot));
        let (held, departure) = self.vacate(slot, true, now, calendar);
        let job = held.job;
        let lost = 1 + self.restarted.get(&job).map_or(0, |row| row.attempts.len());
        if !requeue || lost >= MOST_ATTEMPTS {
            self.leave_for_good(held, JobState::NodeFail, now, calendar);
            return;
        }
        self.records[job].state = JobState::Pending;
        let row = self.restarted.entry(job).or_default();
        row.left = departure.and_then(|departure| departure.kept);
        self.note_allocation(held, now);
        self.after_change(job, now, calendar);
        self.enqueue(job, now);
    }

    /// Keeps what a job held until `end`, if allocations are kept: the last one of each job, and those of all
    /// attempts where it has several.
    pub(super) fn note_allocation(&mut self, held: Slot, end: SimTime) {
        let restarted = self.restarted.get_mut(&held.job);
        if restarted.is_none() && !self.keep {
            return;
        }
        let allocation = if self.keep { held.allocation } else { Allocation::new() };
        if let Some(row) = restarted {
            row.attempts.push(Stretch { start: held.start, end, allocation: allocation.clone() });
        }
        let is_over = self.records[held.job].state != JobState::Pending;
        if self.keep && is_over {
            self.allocations.push((held.job, allocation));
        }
    }
}

//! Where the batch cluster meets tenancies other than bare metal.

use super::{Batch, Slot, Timer};
use crate::cluster::{Allocation, Amounts};
use crate::ids::{JobId, NodeId};
use crate::kernel::Calendar;
use crate::simulation::guests::Arrival;
use crate::simulation::translation::Speed;
use crate::simulation::{JobState, OutageKind, Stretch};
use crate::time::{SimDuration, SimTime};
use crate::workload::JobFlags;

/// A job that was lost so often is given up: it is longer than its hosts last, and would be queued for ever.
const MOST_ATTEMPTS: usize = 1_000;

impl Batch<'_> {
    /// What the hosts should know of a job that starts; `None` where all is bare metal, alone.
    pub(super) fn arrival(&self, job: JobId, allocation: &Allocation) -> Option<Arrival> {
        let guests = self.guests.as_ref()?;
        let pool = self.floor.ledger().node(allocation[0].node).pool;
        let held = allocation.iter().fold(Amounts::ZERO, |sum, grant| sum.plus(&grant.amounts()));
        let slack = self.slack_of(job, allocation).map_or(Amounts::ZERO, |(_, slack)| slack);
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
        Some(Arrival { job, run, bare, is_session, asked, util_milli, launch, limit, resumes })
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
        let is_over = self.running == 0 && self.waiting() == 0 && self.next >= self.workload.jobs.len();
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

    /// A node goes out of order: where it goes down, its jobs are lost.
    pub(super) fn strike(&mut self, outage: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        let row = self.outages.rows()[outage as usize];
        if row.kind != OutageKind::Down {
            return;
        }
        let is_there = |slot: &Slot| slot.allocation.iter().any(|grant| grant.node == row.node);
        let slots = self.slots.iter().zip(0..).filter(|(slot, _)| slot.as_ref().is_some_and(is_there));
        let hit: Vec<u32> = slots.map(|(_, at)| at).collect();
        if let Some(guests) = &mut self.guests {
            guests.facts.failures += 1;
            guests.facts.lost_attempts += hit.len() as u64;
        }
        for slot in hit {
            self.lose_attempt(slot, true, now, calendar);
        }
    }

    /// Once nothing is left to do, no further outage matters.
    pub(super) fn stop_outages(&self, calendar: &mut Calendar<Timer>) {
        let is_over = self.running == 0 && self.waiting() == 0 && self.next >= self.workload.jobs.len();
        let rows = if is_over { self.outages.rows().len() as u32 } else { 0 };
        for at in 0..rows {
            calendar.cancel(Timer::OutageBegins(at));
            calendar.cancel(Timer::OutageEnds(at));
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

//! SRTF, SRSF and Tiresias as a decider: who runs is decided anew at every change, over whatever floor there is.
//!
//! A pass takes all running jobs off the floor and puts the runnable ones back in the policy's order, as long as they fit:
//! that is who runs. SRTF and SRSF forget where a job was for that, as published; under Tiresias, and where GPUs are cut on
//! demand, a job keeps its place while that is free. Then those who ran stay where they are, if the others fit beside them;
//! else all are placed as they were found to fit, and who is elsewhere than before moves without a break. Who no longer fits
//! is stopped: it keeps its work, waits, and pays the restart time when it starts again. Placement is that of the policy beneath
//! ([`Placer`]), so a request means what it means under every policy: nodes, CPUs, memory, parts of GPUs, tenants.
//!
//! The order is an oracle's on bare metal: remaining work is the job's run time, under the constant factor of the first
//! pool's access method, less the time that it worked. What neighbours, noise and boots add is not foreseen.

use std::collections::BTreeSet;

use super::PreemptiveFacts;
use crate::cluster::{Allocation, Conflict};
use crate::ids::{IdVec, JobId, PoolId, RequestId, ShapeId};
use crate::scheduler::backfill::Backfill;
use crate::scheduler::preemptive::{Order, PreemptivePolicy, PreemptiveSpec, TrainingJob};
use crate::scheduler::shared::demand::CardShapes;
use crate::scheduler::{Floor, Pending, Start};
use crate::simulation::attempts::late_at_work;
use crate::simulation::meter::{Gauge, Load, UNITS_PER_DEVICE};
use crate::simulation::run::ground::{Acts, Begin, Decider, Fit, Grants, Ground, OnDevices, Parts};
use crate::simulation::{Ending, Outcome, RunOptions, Speed, Stretch};
use crate::time::{SimDuration, SimTime};
use crate::workload::{JobFlags, Workload};

/// A policy that can put one job on the floor.
pub(in crate::simulation) trait Placer: Decider {
    /// Puts a job on the floor where there is room for it; it is expected to end as if it had started at `since`.
    fn start_now(
        &mut self,
        job: JobId,
        since: SimTime,
        ground: &mut Self::Ground,
    ) -> Result<Option<Begin<Self::Ground>>, Conflict>;
    /// Gives a job back what it held in `slot`, if all of that is free.
    fn put_back(
        &self,
        job: JobId,
        slot: u32,
        held: (&Grants<Self::Ground>, SimTime),
        ground: &mut Self::Ground,
    ) -> bool;
    /// Whether a start leaves traces when it is taken back: GPUs are cut for it.
    fn cuts(ground: &Self::Ground) -> bool;
}

impl<D: Parts> Placer for Backfill<'_, D> {
    fn start_now(
        &mut self,
        job: JobId,
        since: SimTime,
        ground: &mut Floor<D>,
    ) -> Result<Option<Begin<Floor<D>>>, Conflict> {
        self.start_one(job, since, ground)
    }

    fn put_back(
        &self,
        job: JobId,
        slot: u32,
        (grants, expected): (&Allocation<D>, SimTime),
        ground: &mut Floor<D>,
    ) -> bool {
        if ground.start(slot, grants, expected).is_err() {
            return false;
        }
        if ground.ledger().dedication().is_none() {
            return true;
        }
        // The room is there; whether the host is open to the tenant is asked apart.
        let _ = ground.end(slot, grants, expected);
        ground.start_for(self.tenant_of(job), slot, grants, expected).is_ok()
    }

    fn cuts(ground: &Floor<D>) -> bool {
        <D as Parts>::cuts(ground.ledger())
    }
}

/// A job that runs.
#[derive(Debug)]
struct Running<G: Ground> {
    job: JobId,
    grants: Grants<G>,
    expected: SimTime,
    /// When it was started after its last preemption.
    started: SimTime,
    /// Restart time that must pass before its work goes on.
    owed: SimDuration,
}

/// Where a job that ran is now.
enum Placed<G: Ground> {
    /// Where it was.
    Stays,
    /// Placed anew, maybe where it was.
    New(Begin<G>),
}

/// Who runs from now on.
struct Found<G: Ground> {
    /// Those who ran, by slot.
    again: Vec<(u32, Placed<G>)>,
    /// Those who waited.
    fresh: Vec<Begin<G>>,
    /// Slots of those who no longer fit.
    gone: Vec<u32>,
}

/// A preemptive policy over the placement of another.
pub(in crate::simulation) struct Preempting<P: Placer> {
    placer: P,
    order: Order,
    jobs: IdVec<JobId, TrainingJob>,
    /// Work of each job, and what a restart costs it.
    work: IdVec<JobId, SimDuration>,
    overheads: IdVec<JobId, SimDuration>,
    refusals: IdVec<RequestId, Option<String>>,
    /// By slot.
    running: Vec<Option<Running<P::Ground>>>,
    slot_of: IdVec<JobId, Option<u32>>,
    waiting: usize,
    now: SimTime,
    facts: PreemptiveFacts,
    /// Who was put elsewhere without a break, and when.
    moved: BTreeSet<(JobId, SimTime)>,
    keeps_allocations: bool,
    /// Whether the run tells of tenancies beside what it tells of preemption.
    tells_tenancy: bool,
}

impl<P: Placer> Preempting<P> {
    /// A policy over the jobs of `workload`.
    pub(in crate::simulation) fn new(
        placer: P,
        workload: &Workload,
        spec: &PreemptiveSpec,
        options: &RunOptions<'_>,
    ) -> Self {
        let per_gpu = UNITS_PER_DEVICE / <P::Ground as Ground>::Gauge::GPU_UNITS;
        let unit = u32::try_from(per_gpu.max(1)).unwrap_or(1);
        let mut refusals = IdVec::filled(workload.requests.len(), None);
        let (mut jobs, mut work, mut overheads) = (IdVec::new(), IdVec::new(), IdVec::new());
        for (id, job) in workload.jobs.iter_ids() {
            let fit = placer.fits(id).next();
            let gpus = fit.as_ref().map_or(0, |fit| u32::try_from(fit.asked.gpus).unwrap_or(u32::MAX));
            if fit.is_some() && gpus == 0 {
                let why = format!("asks for no GPU; {} schedules GPUs only", spec.name);
                refusals[job.request] = Some(why);
            }
            let class = workload.labels.get(job.labels).class.map(|class| workload.texts.get(class));
            let listed = spec.by_class.iter().find(|(name, _)| Some(name.as_str()) == class);
            overheads.push(listed.map_or(spec.overhead, |(_, overhead)| *overhead));
            let remaining = fit.map_or(job.run, |fit| work_on(id, &fit, workload, options));
            work.push(remaining);
            jobs.push(TrainingJob { gpus, remaining, attained: SimDuration::ZERO, running: false });
        }
        Self {
            placer,
            order: Order::new(spec.policy, unit),
            slot_of: IdVec::filled(jobs.len(), None),
            jobs,
            work,
            overheads,
            refusals,
            running: Vec::new(),
            waiting: 0,
            now: workload.first_submit(),
            facts: PreemptiveFacts { takes_cpus: true, ..PreemptiveFacts::default() },
            moved: BTreeSet::new(),
            keeps_allocations: options.keep_allocations,
            tells_tenancy: options.tenancy.is_some() || options.spills.is_some(),
        }
    }

    /// What all running jobs did until `now`.
    fn come_to(&mut self, now: SimTime) {
        let passed = now.saturating_since(self.now);
        self.now = now;
        for row in self.running.iter_mut().flatten() {
            let job = &mut self.jobs[row.job];
            let paid = row.owed.min(passed);
            job.attained += passed;
            row.owed = less(row.owed, paid);
            job.remaining = less(job.remaining, less(passed, paid));
            let units = i128::from(job.gpus) * <P::Ground as Ground>::Gauge::GPU_UNITS;
            self.facts.overhead_gpu_us += i128::from(paid.micros()) * units / UNITS_PER_DEVICE;
        }
    }

    /// Whether a job keeps its place while that is free.
    fn keeps_places(&self, ground: &P::Ground) -> bool {
        self.order.policy() == PreemptivePolicy::Tiresias || P::cuts(ground)
    }

    /// Puts a job that ran until now on the floor again, where there is room; `None` = nowhere. The slot stays its own.
    fn again(
        &mut self,
        slot: u32,
        keeps_place: bool,
        ground: &mut P::Ground,
    ) -> Result<Option<Placed<P::Ground>>, Conflict> {
        let row = self.running[slot as usize].as_ref().expect("it runs in this slot");
        if keeps_place && self.placer.put_back(row.job, slot, (&row.grants, row.expected), ground) {
            return Ok(Some(Placed::Stays));
        }
        let (job, started) = (row.job, row.started);
        // The next slot that is given out is the last that came back.
        self.placer.free_slot(slot, self.now);
        Ok(self.placer.start_now(job, started, ground)?.map(Placed::New))
    }

    /// Who runs from now on, and where: the runnable jobs in order, as long as they fit.
    fn place_all(&mut self, ground: &mut P::Ground) -> Result<Found<P::Ground>, Conflict> {
        let keeps = self.keeps_places(ground);
        let mut found = Found { again: Vec::new(), fresh: Vec::new(), gone: Vec::new() };
        for job in self.order.runnable().collect::<Vec<JobId>>() {
            match self.slot_of[job] {
                None => found.fresh.extend(self.placer.start_now(job, self.now, ground)?),
                Some(slot) => match self.again(slot, keeps, ground)? {
                    Some(placed) => found.again.push((slot, placed)),
                    None => found.gone.push(slot),
                },
            }
        }
        Ok(found)
    }

    /// Takes these off the floor again.
    fn take_off(&mut self, found: &Found<P::Ground>, ground: &mut P::Ground) -> Result<(), Conflict> {
        for (slot, placed) in &found.again {
            let row = self.running[*slot as usize].as_ref().expect("it runs in this slot");
            match placed {
                Placed::Stays => ground.give_back(*slot, &row.grants, row.expected)?,
                Placed::New(begin) => ground.give_back(*slot, &begin.allocation, begin.expected_end)?,
            }
        }
        for begin in found.fresh.iter().rev() {
            ground.give_back(begin.slot, &begin.allocation, begin.expected_end)?;
            self.placer.free_slot(begin.slot, self.now);
        }
        Ok(())
    }

    /// The same jobs with those who ran where they are, if the others fit beside them; else as they were found to fit.
    fn leave_in_place(
        &mut self,
        found: Found<P::Ground>,
        ground: &mut P::Ground,
    ) -> Result<Found<P::Ground>, Conflict> {
        let moves = |(_, placed): &(u32, Placed<P::Ground>)| matches!(placed, Placed::New(_));
        if P::cuts(ground) || !found.again.iter().any(moves) {
            return Ok(found);
        }
        self.take_off(&found, ground)?;
        let mut in_place = Found { again: Vec::new(), fresh: Vec::new(), gone: Vec::new() };
        for (slot, _) in &found.again {
            let row = self.running[*slot as usize].as_ref().expect("it runs in this slot");
            let is_back = self.placer.put_back(row.job, *slot, (&row.grants, row.expected), ground);
            assert!(
                is_back,
                "all of them are off the floor, and none cuts GPUs: the place is as it was left"
            );
            in_place.again.push((*slot, Placed::Stays));
        }
        for begin in &found.fresh {
            in_place.fresh.extend(self.placer.start_now(begin.job, self.now, ground)?);
        }
        if in_place.fresh.len() == found.fresh.len() {
            return Ok(in_place);
        }
        self.take_off(&in_place, ground)?;
        let found = self.place_all(ground)?;
        debug_assert!(found.gone.is_empty(), "they fitted just now");
        Ok(found)
    }

    /// A job that ran is elsewhere now.
    fn relocate(&mut self, slot: u32, begin: Begin<P::Ground>) -> Option<Begin<P::Ground>> {
        let row = self.running[slot as usize].as_mut().expect("it runs in this slot");
        if begin.allocation == row.grants {
            return None;
        }
        self.facts.moves += 1;
        self.moved.insert((row.job, self.now));
        (row.grants, row.expected) = (begin.allocation.clone(), begin.expected_end);
        Some(Start { lead: row.owed, ..begin })
    }

    /// A job that ran is stopped.
    fn stop(&mut self, slot: u32) {
        let row = self.running[slot as usize].take().expect("it runs in this slot");
        self.facts.preemptions += 1;
        self.slot_of[row.job] = None;
        self.jobs[row.job].running = false;
        self.waiting += 1;
    }

    /// A job that waited has been put on the floor.
    fn begin(&mut self, begin: Begin<P::Ground>) -> Begin<P::Ground> {
        let (job, slot, at) = (begin.job, begin.slot, begin.slot as usize);
        let ran = self.jobs[job].attained > SimDuration::ZERO;
        let lead = if ran { self.overheads[job] } else { SimDuration::ZERO };
        if at >= self.running.len() {
            self.running.resize_with(at + 1, || None);
        }
        let (grants, expected) = (begin.allocation.clone(), begin.expected_end);
        self.running[at] = Some(Running { job, grants, expected, started: self.now, owed: lead });
        self.slot_of[job] = Some(slot);
        self.jobs[job].running = true;
        self.waiting -= 1;
        Start { lead, ..begin }
    }

    /// Says of the attempts of a job which of them went on elsewhere.
    fn mark_moves(&self, job: JobId, rows: &mut [Stretch]) {
        for at in 1..rows.len() {
            let (end, start) = (rows[at - 1].end, rows[at].start);
            if end == start && self.moved.contains(&(job, start)) {
                rows[at - 1].ending = Ending::Moved;
            }
        }
    }

    /// What was held where, place by place.
    fn places(&self, attempts: &[(JobId, Vec<Stretch>)], outcome: &Outcome) -> Vec<(JobId, Stretch)> {
        let again = attempts.iter().flat_map(|(job, rows)| rows.iter().map(move |row| (*job, row.clone())));
        let mut held: Vec<(JobId, Stretch)> = again.collect();
        let once = |job: &JobId| attempts.binary_search_by_key(job, |(other, _)| *other).is_err();
        for (job, allocation) in outcome.allocations.iter().filter(|(job, _)| once(job)) {
            let (record, works) = (&outcome.records[*job], outcome.work_start(*job));
            let (start, end, ending) = (record.start, record.end, Ending::WithTheJob);
            held.push((*job, Stretch { start, works, end, ending, allocation: allocation.clone() }));
        }
        held.sort_by_key(|(job, row)| (row.start, *job));
        held
    }
}

/// Attempts of a job as stretches between preemptions: one that goes on elsewhere is the same stretch, at work since it
/// first was.
fn without_moves(rows: Vec<Stretch>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::with_capacity(rows.len());
    for row in rows {
        match stretches.last_mut() {
            Some(last) if last.ending == Ending::Moved => {
                let works = if last.works < last.end { last.works } else { row.works };
                *last = Stretch { start: last.start, works, ..row };
            }
            _ => stretches.push(row),
        }
    }
    stretches
}

/// How long a job works on the first pool that can hold it, under the constant factor of the access method there.
fn work_on(job: JobId, fit: &Fit, workload: &Workload, options: &RunOptions<'_>) -> SimDuration {
    let row = &workload.jobs[job];
    match options.tenancy {
        Some(tenancy) if !row.flags.has(JobFlags::SESSION) => {
            let parts = tenancy.delivered(job, fit.pool, (fit.gpus, fit.nodes), options.seed);
            Speed::of_parts(parts).time_of(row.run)
        }
        _ => row.run,
    }
}

/// `a - b`, at least nothing.
fn less(a: SimDuration, b: SimDuration) -> SimDuration {
    SimDuration::from_micros((a.micros() - b.micros()).max(0))
}

impl<P: Placer> Decider for Preempting<P> {
    type Ground = P::Ground;

    fn enqueue(&mut self, job: JobId) {
        // One that comes back was lost with its host.
        self.jobs[job].remaining = self.work[job];
        self.order.come_back(job, &self.jobs);
        self.waiting += 1;
    }

    fn withdraw(&mut self, job: JobId, _: SimTime) -> bool {
        let waits = self.slot_of[job].is_none() && self.order.runnable().any(|other| other == job);
        if waits {
            self.order.finish(job);
            self.waiting -= 1;
        }
        waits
    }

    fn free_slot(&mut self, slot: u32, now: SimTime) {
        self.come_to(now);
        if let Some(row) = self.running[slot as usize].take() {
            self.slot_of[row.job] = None;
            self.jobs[row.job].running = false;
            self.order.finish(row.job);
        }
        self.placer.free_slot(slot, now);
    }

    fn pass(
        &mut self,
        now: SimTime,
        ground: &mut P::Ground,
        acts: &mut Acts<P::Ground>,
    ) -> Result<(), Conflict> {
        self.come_to(now);
        self.order.sort(&self.jobs);
        if self.waiting > 0 {
            for (slot, row) in (0u32..).zip(&self.running) {
                if let Some(row) = row {
                    ground.give_back(slot, &row.grants, row.expected)?;
                }
            }
            let mut found = self.place_all(ground)?;
            let gone = std::mem::take(&mut found.gone);
            for slot in &gone {
                self.stop(*slot);
            }
            let Found { again, fresh, .. } = self.leave_in_place(found, ground)?;
            acts.stops.extend(gone);
            for (slot, placed) in again {
                let Placed::New(begin) = placed else { continue };
                if let Some(begin) = self.relocate(slot, begin) {
                    acts.stops.push(slot);
                    acts.starts.push(begin);
                }
            }
            for begin in fresh {
                acts.starts.push(self.begin(begin));
            }
        }
        self.order.running_first(&self.jobs);
        Ok(())
    }

    fn wakes_at(&self) -> Option<SimTime> {
        self.order.next_demotion(&self.jobs, self.now)
    }

    fn waiting(&self) -> usize {
        self.waiting
    }

    fn head_reason(&self, ground: &P::Ground) -> Option<(JobId, Pending)> {
        let head = self.queued().next()?;
        let has_room = |fit: &Fit| {
            let free = ground.gauge().free(fit.pool);
            free.gpus >= fit.total.gpus && free.cpus >= fit.total.cpus
        };
        let enough = self.placer.fits(head).any(|fit| has_room(&fit));
        Some((head, if enough { Pending::Fragmentation } else { Pending::Resources }))
    }

    fn queued(&self) -> impl Iterator<Item = JobId> + '_ {
        self.order.runnable().filter(|job| self.slot_of[*job].is_none())
    }

    fn shadow(&self) -> Option<SimTime> {
        None
    }

    fn refusal(&self, request: RequestId) -> Option<&str> {
        self.placer.refusal(request).or(self.refusals[request].as_deref())
    }

    fn fits(&self, job: JobId) -> impl Iterator<Item = Fit> + '_ {
        self.placer.fits(job)
    }

    fn have_slack(&self) -> bool {
        self.placer.have_slack()
    }

    fn slack(&self, job: JobId, pool: PoolId, held: &Load) -> Load {
        self.placer.slack(job, pool, held)
    }

    fn units_of_each(&self, job: JobId, pool: PoolId) -> u32 {
        self.placer.units_of_each(job, pool)
    }

    fn on_devices(&self, job: JobId, grants: &Grants<P::Ground>, ground: &P::Ground) -> OnDevices {
        self.placer.on_devices(job, grants, ground)
    }

    fn reroute(&mut self, job: JobId, request: RequestId) {
        self.placer.reroute(job, request);
    }

    fn is_rerouted(&self, job: JobId, request: RequestId) -> bool {
        self.placer.is_rerouted(job, request)
    }

    fn card_shapes(&self) -> Option<&CardShapes> {
        self.placer.card_shapes()
    }

    fn card_shape_of(&self, job: JobId) -> ShapeId {
        self.placer.card_shape_of(job)
    }

    fn tell(&mut self, outcome: &mut Outcome) {
        let mut facts = std::mem::take(&mut self.facts);
        let attempts = outcome.tenancy.as_mut().map(|facts| std::mem::take(&mut facts.restarted));
        let mut attempts = attempts.unwrap_or_default();
        attempts.iter_mut().for_each(|(job, rows)| self.mark_moves(*job, rows));
        if !self.tells_tenancy {
            outcome.tenancy = None;
        }
        if self.keeps_allocations {
            facts.held = self.places(&attempts, outcome);
        }
        let attempts: Vec<(JobId, Vec<Stretch>)> =
            attempts.into_iter().map(|(job, rows)| (job, without_moves(rows))).collect();
        let last = attempts.iter().filter_map(|(job, rows)| Some((*job, rows.last()?)));
        outcome.at_work = late_at_work(std::mem::take(&mut outcome.at_work), last);
        for (job, stretches) in attempts {
            if stretches.len() > 1 {
                facts.resumed.push((job, stretches));
            }
        }
        outcome.preemptive = Some(Box::new(facts));
    }
}

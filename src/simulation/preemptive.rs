//! Preemptive policies of training clusters on a design: SRTF, SRSF, Tiresias.
//!
//! ```text
//!   charge = "restart"       decider (who runs, over any floor) -> the core of every run
//!   charge = "every-event"   machine (events, who runs) -> ledger (which GPUs), hours, stretches of running
//! ```
//!
//! With restarts the policies are a decider (`decider`) over the core (`simulation::run`), and everything below it is there once for all.
//! At every event they keep a clock of their own, because the published arithmetic does: [`machine`] makes the events and is
//! the same code that `validate muri` runs, and the rest of this file lets it run over a workload. There, who runs depends on GPUs alone: these policies know equal
//! nodes and nothing of CPUs and memory, so CPUs are not taken (their ledger is idle) and a request for nodes
//! or tasks is read as its number of GPUs. SRTF and SRSF place every running job anew at every event;
//! to Tiresias the GPUs are a bare count, and a job keeps those that it was given first.
//!
//! In a VM a job's work takes longer by the constant factor of the access method, on as few nodes as can hold its GPUs.
//!
//! A job's run is a number of stretches between preemptions. Overhead is booked as start-up; no work is lost.

pub(super) mod decider;
pub mod machine;

use std::collections::BTreeMap;

use super::attempts::late_at_work;
use super::meter::{Held, IdleCause, LostParts, Meter, Tax};
use super::run::recorded_end;
use super::{Ending, JobRecord, JobState, Outcome, RunError, RunOptions, Speed, Stretch, TenancyFacts};
use crate::cluster::cards::CARD_UNITS;
use crate::cluster::{Allocation, Amounts, ClusterSpec, Conflict, Grant, Ledger};
use crate::ids::{Id, IdVec, JobId, NodeId, PoolId};
use crate::scheduler::preemptive::{GpuCluster, NodeGpus, PreemptiveSpec};
use crate::scheduler::{Pending, Shapes};
use crate::time::{SimDuration, SimTime};
use crate::workload::{JobFlags, Workload};

use machine::{Advance, Machine, TrainingTask};

const EVENTS_BETWEEN_CHECKS: u64 = 256;

/// What only these policies tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreemptiveFacts {
    /// Jobs that started more than once, with all their stretches, sorted by job.
    pub resumed: Vec<(JobId, Vec<Stretch>)>,
    /// How often a running job lost its GPUs.
    pub preemptions: u64,
    /// How often a running job was put on other GPUs without a break.
    pub moves: u64,
    /// Whether jobs take CPUs and memory.
    pub takes_cpus: bool,
    /// Overhead paid, in GPU-microseconds.
    pub overhead_gpu_us: i128,
    /// What of the trace has no meaning for these policies, with the number of jobs.
    pub not_carried_over: Vec<(String, u64)>,
    /// Every place of every job in order of time, those after moves too, if allocations were kept.
    pub held: Vec<(JobId, Stretch)>,
}

/// The nodes as these policies know them; `None` unless all pools have the same GPUs per node.
#[must_use]
pub fn gpu_cluster(cluster: &ClusterSpec) -> Option<GpuCluster> {
    let first = cluster.pools.first()?.node.capacity.gpus;
    let equal = cluster.pools.iter().all(|pool| pool.node.capacity.gpus == first);
    (equal && first > 0).then(|| GpuCluster { nodes: cluster.nodes(), gpus_per_node: first })
}

/// A run by the published arithmetic: overhead is charged at every event, and a completion is predicted without it.
pub(super) fn at_every_event(
    workload: &Workload,
    cluster: &ClusterSpec,
    spec: &PreemptiveSpec,
    options: &RunOptions<'_>,
) -> Result<Outcome, RunError> {
    let shapes = Shapes::new(workload, cluster);
    let slowest = options.speeds.map(|speeds| speeds.slowest(workload, &shapes));
    let workload = slowest.as_ref().unwrap_or(workload);
    let nodes = gpu_cluster(cluster).expect("the scenario checked that nodes are equal");
    let (mut tasks, jobs, refused) = tasks(workload, &shapes, spec, nodes);
    let delivered = slow_down(&mut tasks, workload, (&jobs, nodes), options);
    let mut machine = Machine::new(&tasks, nodes, spec.policy);
    let mut run = Run::new(workload, cluster, &jobs, options);
    run.delivered = delivered;
    let each = |job: &JobId| shapes.get(shapes.of(workload.jobs[*job].request)).pools[0].units_of_each();
    run.units_of_each = jobs.iter().map(each).collect();
    let mut events = 0;
    while let Some(now) = machine.next_event() {
        if now > options.budget.until {
            break;
        }
        if events >= options.budget.events {
            return Err(RunError::EventBudget(events));
        }
        events += 1;
        if events.is_multiple_of(EVENTS_BETWEEN_CHECKS) && (options.interrupted)() {
            return Err(RunError::Interrupted);
        }
        run.book_until(now);
        let advances = machine.step(now).to_vec();
        run.follow(&advances, &machine, now).map_err(|conflict| RunError::Policy { at: now, conflict })?;
    }
    Ok(run.finish(refused, events))
}

/// Jobs that a policy can run, by task of the machine; the others with the reason.
type Tasks = (Vec<TrainingTask>, Vec<JobId>, Vec<(JobId, String)>);

fn tasks(workload: &Workload, shapes: &Shapes, spec: &PreemptiveSpec, nodes: GpuCluster) -> Tasks {
    let (mut tasks, mut jobs, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let most = nodes.nodes * nodes.gpus_per_node;
    for (id, job) in workload.jobs.iter_ids() {
        if let Some(reason) = shapes.refusal(job.request) {
            refused.push((id, reason.to_owned()));
            continue;
        }
        let gpus = shapes.get(shapes.of(job.request)).pools[0].asked.gpus;
        if gpus == 0 || gpus > most {
            refused.push((
                id,
                match gpus {
                    0 => format!("asks for no GPU; {} schedules GPUs only", spec.name),
                    _ => format!("needs {gpus} GPUs; the design has {most}"),
                },
            ));
            continue;
        }
        let class = workload.labels.get(job.labels).class.map(|class| workload.texts.get(class));
        let listed = spec.by_class.iter().find(|(name, _)| Some(name.as_str()) == class);
        let overhead = listed.map_or(spec.overhead, |(_, overhead)| *overhead);
        tasks.push(TrainingTask { submit: job.submit, gpus, work: job.run, overhead });
        jobs.push(id);
    }
    (tasks, jobs, refused)
}

/// Makes every task take as long as in the design's VMs; tells at which speed it works, in parts of that on bare
/// metal, if that is not all of it.
///
/// # Panics
/// If the pools differ in their tenancy, or it is more than a constant factor; the scenario has checked it.
fn slow_down(
    tasks: &mut [TrainingTask],
    workload: &Workload,
    (jobs, nodes): (&[JobId], GpuCluster),
    options: &RunOptions<'_>,
) -> Option<Vec<Speed>> {
    let tenancy = options.tenancy?;
    let first = &tenancy.pools[PoolId::new(0)];
    assert!(tenancy.pools.iter().all(|pool| pool.is_constant() && pool.overhead == first.overhead));
    let slowed = tasks.iter_mut().zip(jobs).map(|(task, job)| {
        if workload.jobs[*job].flags.has(JobFlags::SESSION) {
            return Speed::ONE;
        }
        let size = (task.gpus, task.gpus.div_ceil(nodes.gpus_per_node));
        let speed = Speed::of_parts(tenancy.delivered(*job, PoolId::new(0), size, options.seed));
        task.work = speed.time_of(task.work);
        speed
    });
    Some(slowed.collect())
}

/// What a running task holds.
#[derive(Clone, Debug)]
struct Holding {
    allocation: Allocation,
    /// Since when it holds this.
    since: SimTime,
    /// Since when it runs without a break.
    running_since: SimTime,
    /// Since when it is at work in this run; [`SimTime::NEVER`] while it pays overhead.
    works: SimTime,
}

/// What happens to the jobs, while it happens.
struct Run<'a> {
    workload: &'a Workload,
    /// The job of each task.
    jobs: &'a [JobId],
    /// How fast each task works in its VMs.
    delivered: Option<Vec<Speed>>,
    /// What of each GPU each task asked for, in units of the hours.
    units_of_each: Vec<u32>,
    ledger: Ledger,
    meter: Meter,
    records: IdVec<JobId, JobRecord>,
    /// By task.
    holdings: IdVec<JobId, Option<Holding>>,
    stretches: Vec<Vec<Stretch>>,
    facts: PreemptiveFacts,
    waiting: usize,
    cause: IdleCause,
    ended: usize,
    keep: bool,
    last: SimTime,
}

impl<'a> Run<'a> {
    fn new(
        workload: &'a Workload,
        cluster: &ClusterSpec,
        jobs: &'a [JobId],
        options: &RunOptions<'_>,
    ) -> Self {
        let blank = JobRecord { start: SimTime::NEVER, end: SimTime::NEVER, state: JobState::Pending };
        let ledger = Ledger::new(cluster);
        let mut meter = Meter::new(ledger.pools());
        meter.advance(workload.first_submit(), &ledger, 0, IdleCause::NoDemand);
        Self {
            workload,
            jobs,
            delivered: None,
            units_of_each: vec![CARD_UNITS; jobs.len()],
            ledger,
            meter,
            records: IdVec::filled(workload.jobs.len(), blank),
            holdings: IdVec::filled(jobs.len(), None),
            stretches: vec![Vec::new(); jobs.len()],
            facts: PreemptiveFacts { not_carried_over: not_carried_over(workload), ..Default::default() },
            waiting: 0,
            cause: IdleCause::NoDemand,
            ended: 0,
            keep: options.keep_allocations,
            last: workload.first_submit(),
        }
    }

    fn book_until(&mut self, now: SimTime) {
        self.meter.advance(now, &self.ledger, self.waiting, self.cause);
        self.last = now;
    }

    /// Follows what the machine did and decided.
    fn follow(&mut self, advances: &[Advance], machine: &Machine<'_>, now: SimTime) -> Result<(), Conflict> {
        for advance in advances {
            self.book(advance);
            self.note_work(advance, now);
            if advance.done {
                let job = self.jobs[advance.job.index()];
                self.records[job].end = now;
                self.records[job].state = recorded_end(self.workload, job);
                self.ended += 1;
                self.release(advance.job, now, Ending::WithTheJob)?;
            } else if !machine.jobs()[advance.job].running {
                self.facts.preemptions += 1;
                self.release(advance.job, now, Ending::Preempted)?;
            }
        }
        self.place(machine, now)?;
        let running = machine.runner().runnable().filter(|task| machine.jobs()[*task].running).count();
        self.waiting = machine.arrived() - self.ended - running;
        self.meter.note_waiting(self.waiting);
        let first = machine.runner().runnable().find(|task| !machine.jobs()[*task].running);
        self.cause = match first {
            None => IdleCause::NoDemand,
            Some(task) if machine.jobs()[task].gpus <= self.ledger.free().gpus => {
                IdleCause::Waiting(Pending::Fragmentation)
            }
            Some(_) => IdleCause::Waiting(Pending::Resources),
        };
        Ok(())
    }

    /// A job that pays overhead first is at work when it has paid.
    fn note_work(&mut self, advance: &Advance, now: SimTime) {
        let holding = self.holdings[advance.job].as_mut().expect("a job that ran held GPUs");
        if holding.works == SimTime::NEVER && advance.worked > SimDuration::ZERO {
            holding.works = now - advance.worked;
        }
    }

    /// Overhead and what the job did not use of its GPUs, since the last event.
    fn book(&mut self, advance: &Advance) {
        let job = self.jobs[advance.job.index()];
        let util_milli = self.workload.recorded.gpu_util_milli(job);
        let holding = self.holdings[advance.job].as_ref().expect("a job that ran held GPUs");
        for grant in &holding.allocation {
            let (pool, gpus) = (self.ledger.node(grant.node).pool, grant.gpus.count_ones());
            // The rest of each GPU is slack all the time.
            let each = self.units_of_each[advance.job.index()];
            if advance.paid > SimDuration::ZERO {
                let gpu_us = i128::from(advance.paid.micros()) * i128::from(gpus);
                self.meter.restart(pool, gpu_us * i128::from(each) / i128::from(CARD_UNITS));
                self.facts.overhead_gpu_us += gpu_us;
            }
            if let Some(delivered) = &self.delivered {
                let lost = Speed::ONE.parts() - delivered[advance.job.index()].parts();
                let (mut tax, held) = (Tax::default(), Amounts { gpus, ..Amounts::ZERO });
                tax.slow(
                    &Held::from(&held),
                    advance.worked,
                    &LostParts { virtualization: lost, ..LostParts::default() },
                );
                if let Some(util_milli) = util_milli {
                    let left =
                        Tax::whole(Held::from(&held).gpu_units, advance.worked) - tax.gpu.virtualization;
                    tax.gpu.held_idle = left * i128::from(1000u16.saturating_sub(util_milli)) / 1000;
                }
                tax.of_part(each);
                self.meter.tax(pool, &tax);
            } else if let Some(util_milli) = util_milli {
                match each {
                    CARD_UNITS => self.meter.hold_idle(pool, u64::from(gpus), advance.worked, util_milli),
                    each => self.meter.hold_part_idle(pool, (gpus, each), advance.worked, util_milli),
                }
            }
        }
    }

    /// What a task holds beyond the parts of GPUs that it asked for, by pool, in units of the hours.
    fn beyond_parts(&self, task: JobId, allocation: &Allocation) -> Vec<(PoolId, u64)> {
        let beyond = u64::from(CARD_UNITS - self.units_of_each[task.index()]);
        if beyond == 0 {
            return Vec::new();
        }
        let units =
            |grant: &Grant| (self.ledger.node(grant.node).pool, beyond * u64::from(grant.gpus.count_ones()));
        allocation.iter().map(units).collect()
    }

    fn give_back(&mut self, task: JobId, holding: &Holding) -> Result<(), Conflict> {
        for (pool, units) in self.beyond_parts(task, &holding.allocation) {
            self.meter.drop_part_slack(pool, units);
        }
        self.ledger.give_back(&holding.allocation)
    }

    /// A task stops running.
    fn release(&mut self, task: JobId, now: SimTime, ending: Ending) -> Result<(), Conflict> {
        let holding = self.holdings[task].take().expect("a job that ran held GPUs");
        self.give_back(task, &holding)?;
        self.note_held(task, &holding, now, ending);
        self.note_stretch(task, holding, now, ending);
        Ok(())
    }

    fn note_stretch(&mut self, task: JobId, holding: Holding, end: SimTime, ending: Ending) {
        let allocation = if self.keep { holding.allocation } else { Allocation::new() };
        let (start, works) = (holding.running_since, holding.works);
        self.stretches[task.index()].push(Stretch { start, works, end, ending, allocation });
    }

    fn note_held(&mut self, task: JobId, holding: &Holding, end: SimTime, ending: Ending) {
        if self.keep {
            let (start, allocation) = (holding.since, holding.allocation.clone());
            let works = holding.works.max(start);
            let row = Stretch { start, works, end, ending, allocation };
            self.facts.held.push((self.jobs[task.index()], row));
        }
    }

    /// Gives every running task the GPUs that the last pass gave it.
    fn place(&mut self, machine: &Machine<'_>, now: SimTime) -> Result<(), Conflict> {
        // Each with since when it runs, and works.
        let mut homeless: Vec<(JobId, Option<&NodeGpus>, (SimTime, SimTime))> = Vec::new();
        let fresh = (now, SimTime::NEVER);
        for (task, wanted) in machine.runner().placed() {
            let Some(holding) = self.holdings[*task].take_if(|holding| !sits_on(&holding.allocation, wanted))
            else {
                if self.holdings[*task].is_none() {
                    homeless.push((*task, Some(wanted), fresh));
                }
                continue;
            };
            self.facts.moves += 1;
            self.give_back(*task, &holding)?;
            self.note_held(*task, &holding, now, Ending::Moved);
            homeless.push((*task, Some(wanted), (holding.running_since, holding.works)));
        }
        if machine.runner().placed().is_empty() {
            let running = machine.runner().runnable().filter(|task| machine.jobs()[*task].running);
            homeless.extend(
                running.filter(|task| self.holdings[*task].is_none()).map(|task| (task, None, fresh)),
            );
        }
        for (task, wanted, (running_since, works)) in homeless {
            let allocation = match wanted {
                Some(nodes) => self.on_nodes(nodes),
                None => self.anywhere(machine.jobs()[task].gpus),
            };
            self.ledger.take(&allocation)?;
            for (pool, units) in self.beyond_parts(task, &allocation) {
                self.meter.add_part_slack(pool, units);
            }
            self.holdings[task] = Some(Holding { allocation, since: now, running_since, works });
            let record = &mut self.records[self.jobs[task.index()]];
            record.start = record.start.min(now);
            record.state = JobState::Running;
        }
        Ok(())
    }

    /// The lowest free GPUs of these nodes.
    fn on_nodes(&self, nodes: &NodeGpus) -> Allocation {
        let grant = |(node, gpus): &(u32, u32)| {
            let node = NodeId::new(*node as usize);
            let gpus =
                self.ledger.node(node).pick_gpus(*gpus, 0).expect("the policy placed it where there is room");
            Grant { node, cpus: 0, mem_mb: 0, gpus }
        };
        nodes.iter().map(grant).collect()
    }

    /// So many GPUs of the first nodes that have any.
    fn anywhere(&self, gpus: u32) -> Allocation {
        let mut left = gpus;
        let mut allocation = Allocation::new();
        for (node, has) in self.ledger.nodes().iter_ids() {
            let count = has.free_gpus.count_ones().min(left);
            if count > 0 {
                let gpus = has.pick_gpus(count, 0).expect("so many are free");
                allocation.push(Grant { node, cpus: 0, mem_mb: 0, gpus });
                left -= count;
            }
            if left == 0 {
                break;
            }
        }
        allocation
    }

    fn finish(mut self, refused: Vec<(JobId, String)>, events: u64) -> Outcome {
        for (job, _) in &refused {
            let end = self.workload.jobs[*job].submit;
            self.records[*job] = JobRecord { start: SimTime::NEVER, end, state: JobState::Refused };
        }
        // Refused jobs are no events: the horizon holds their submission all the same.
        let submitted = refused.iter().map(|(job, _)| self.workload.jobs[*job].submit).max();
        self.book_until(self.last.max(submitted.unwrap_or(self.last)));
        let tasks: Vec<JobId> = self.holdings.ids().collect();
        for task in tasks {
            if let Some(holding) = self.holdings[task].take() {
                self.note_held(task, &holding, SimTime::NEVER, Ending::WithTheJob);
                self.note_stretch(task, holding, SimTime::NEVER, Ending::WithTheJob);
            }
        }
        let mut allocations = Vec::new();
        let last = self.jobs.iter().zip(&self.stretches).filter_map(|(job, rows)| Some((*job, rows.last()?)));
        let at_work = late_at_work(Vec::new(), last);
        self.facts.held.sort_by_key(|(job, row)| (row.start, *job));
        for (job, stretches) in self.jobs.iter().zip(self.stretches) {
            if let Some(last) = stretches.last().filter(|_| self.keep) {
                allocations.push((*job, last.allocation.clone()));
            }
            if stretches.len() > 1 {
                self.facts.resumed.push((*job, stretches));
            }
        }
        let records = &self.records;
        allocations.sort_by_key(|(job, _)| (records[*job].start, *job));
        Outcome {
            allocations,
            hours: self.meter.finish(&self.ledger),
            refused,
            at_work,
            spells: Vec::new(),
            held_until: Vec::new(),
            watched: Vec::new(),
            first_submit: self.workload.first_submit(),
            last_instant: self.last,
            events,
            passes: events,
            slurm: None,
            shared: None,
            tenancy: self.delivered.map(|_| Box::new(TenancyFacts::default())),
            preemptive: Some(Box::new(self.facts)),
            records: self.records,
        }
    }
}

/// Whether an allocation is so many GPUs on these nodes, in this order.
fn sits_on(allocation: &Allocation, nodes: &NodeGpus) -> bool {
    let held = allocation.iter().map(|grant| (grant.node.index() as u32, grant.gpus.count_ones()));
    held.eq(nodes.iter().copied())
}

/// Wishes that mean nothing to these policies.
fn not_carried_over(workload: &Workload) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (id, job) in workload.jobs.iter_ids().filter(|(_, job)| job.flags.has(JobFlags::HAS_EXTRAS)) {
        let Some(extras) = workload.extras_of(id) else { continue };
        for (has, what) in [
            (!extras.after.is_empty(), "a dependency is not waited for"),
            (extras.begin.is_some_and(|begin| begin > job.submit), "a begin time is not waited for"),
            (extras.array_limit.is_some(), "an array's limit is not kept"),
            (extras.cancel.is_some(), "a withdrawal is not followed"),
        ] {
            *counts.entry(what).or_insert(0) += u64::from(has);
        }
    }
    counts.retain(|_, jobs| *jobs > 0);
    counts.into_iter().map(|(what, jobs)| (what.to_owned(), jobs)).collect()
}

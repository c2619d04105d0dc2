//! Attempts on hosts that are not bare metal, alone: the guests of Slurm's engine.
//!
//! An attempt's script takes as long as its hosts make it take ([`Guests`]); the controller knows nothing of it and
//! kills it at its limit like any other. An attempt that was preempted, or lost its node, did its work in vain: what
//! was not lost to virtualization, neighbours and boots before is lost with it.

use rustc_hash::FxHashMap;

use super::cards::{CardSite, Holding, LayoutTool, LayoutTurn, card_grants};
use super::life::{HostLife, Spell, Turn};
use super::threads::Timer;
use super::timer_of;
use super::vms::{CloudNodes, VmTurn};
use crate::cluster::{Amounts, CardLedger, ClusterSpec, Grant};
use crate::ids::{Id, JobId, NodeId, PoolId};
use crate::kernel::Calendar;
use crate::scheduler::shared::Speeds;
use crate::scheduler::shared::floor::NodeReshape;
use crate::scheduler::slurm::job::{Ask, JobIx, State};
use crate::scheduler::slurm::{Controller, NodeSet};
use crate::simulation::guests::{Arrival, ByPool, GuestTimer, Guests, OnNode, TenancyFacts};
use crate::simulation::meter::{Held, Meter};
use crate::simulation::run::ground::OnDevices;
use crate::simulation::run::life::{MOST_ATTEMPTS, MOST_IN_VAIN, used_of_held};
use crate::simulation::standing::Diary;
use crate::simulation::{self, RunOptions, SharedFacts, Speed, Spills};
use crate::tenancy::RunTenancy;
use crate::time::{MICROS_PER_S, SimDuration, SimTime};
use crate::workload::{JobFlags, Workload};

/// Where the attempts of a run run, if not all of it is bare metal, alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hosted<'a> {
    pub(super) tenancy: &'a RunTenancy,
    pub(super) cluster: &'a ClusterSpec,
    /// The jobs with their recorded run times; submissions have the same order.
    pub(super) recorded: &'a Workload,
    pub(super) speeds: Option<&'a simulation::Speeds>,
    /// The pool of each node.
    pub(super) pools: &'a [PoolId],
    /// How GPUs are given out, where that is in parts.
    pub(super) cards: Option<&'a CardSite<'a>>,
    /// Run times are those of this very site: nothing that it does to them is done again.
    pub(super) as_recorded: bool,
    pub(super) seed: u64,
    /// Jobs that may go to other pools if their wait is long.
    pub(super) spills: Option<&'a Spills>,
}

impl<'a> Hosted<'a> {
    /// `None` where all is bare metal, alone, and GPUs are whole; `bare_metal` is what else parts of them are on.
    pub(super) fn new(
        recorded: &'a Workload,
        (cluster, pools): (&'a ClusterSpec, &'a [PoolId]),
        (cards, bare_metal): (Option<&'a CardSite<'a>>, &'a RunTenancy),
        options: &RunOptions<'a>,
    ) -> Option<Self> {
        let (speeds, seed) = (options.speeds, options.seed);
        let tenancy = options.tenancy.or(cards.map(|_| bare_metal))?;
        let as_recorded = options.as_recorded;
        let spills = options.spills;
        Some(Self { tenancy, cluster, recorded, speeds, pools, cards, as_recorded, seed, spills })
    }
}

/// What the attempts of a run lost on their hosts.
#[derive(Clone, Debug)]
pub(super) struct Losses {
    /// With nothing but their taxes.
    pub(super) meter: Meter,
    pub(super) facts: TenancyFacts,
    /// When which nodes were out of order, in order.
    pub(super) spells: Vec<Spell>,
    /// The same with why.
    pub(super) diary: Diary,
    /// When which layouts were changed by the tool of the site, and how often they changed at all.
    pub(super) turns: Vec<(SimTime, LayoutTurn)>,
    pub(super) layouts: SharedFacts,
    /// When which VMs came and went.
    pub(super) vms: Vec<(SimTime, VmTurn)>,
}

impl GuestTimer for Timer {
    fn end(slot: u32) -> Self {
        Self::End(slot)
    }

    fn look(slot: u32) -> Self {
        Self::Look(slot)
    }

    fn store(number: u32) -> Self {
        Self::Store(number)
    }

    fn link(number: u32) -> Self {
        Self::Link(number)
    }
}

/// An attempt that starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starting<'a> {
    pub(super) spec: usize,
    pub(super) holding: Holding<'a>,
    /// What was cut anew for it.
    pub(super) reshapes: &'a [NodeReshape],
    /// Where GPUs are given out card by card.
    pub(super) ledger: Option<&'a CardLedger>,
    /// Launch and clean-up.
    pub(super) overhead: SimDuration,
}

/// Running attempts on their hosts.
#[derive(Debug)]
pub(super) struct Hosts<'a> {
    run: Hosted<'a>,
    guests: Guests<'a>,
    meter: Meter,
    /// Work left at the last snapshot of jobs whose last attempt was lost.
    left: FxHashMap<JobIx, i128>,
    /// Attempts of a job that were lost with their nodes since it last got on.
    in_vain: FxHashMap<JobIx, usize>,
    life: HostLife,
    pub(super) tool: Option<LayoutTool<'a>>,
    vms: Option<CloudNodes<'a>>,
}

impl<'a> Hosts<'a> {
    pub(super) fn new(
        run: Hosted<'a>,
        controller: &mut Controller<'_>,
        calendar: &mut Calendar<Timer>,
    ) -> Self {
        let ledger = controller.cards();
        let mut vms = CloudNodes::new(&run, ledger);
        let from = run.recorded.first_submit();
        let mut guests = Guests::new(run.tenancy, run.cluster, run.seed, from);
        if let Some(site) = run.cards {
            guests = guests.with_laws(Speeds::new(site.setup.speeds.clone(), site.workload));
        }
        let tool = run.cards.zip(ledger).map(|(site, ledger)| LayoutTool::new(site, ledger));
        let mut life = HostLife::new(&guests, from, run.seed);
        for turn in life.prepare(from, calendar) {
            let nodes = nodes_of(run.pools.len(), &turn);
            controller.change_nodes(&nodes, turn.change, from.micros().div_euclid(MICROS_PER_S));
        }
        guests.prepare_links(calendar);
        let meter = Meter::new(run.cluster.pools.len());
        if let Some(vms) = &mut vms {
            vms.prepare(from, controller, &mut guests.facts);
        }
        Self {
            meter,
            guests,
            left: FxHashMap::default(),
            in_vain: FxHashMap::default(),
            life,
            tool,
            vms,
            run,
        }
    }

    /// The timer of a VM has come due; tells whether it has come up.
    pub(super) fn turn_of_vm(
        &mut self,
        node: u32,
        now: SimTime,
        controller: &mut Controller<'_>,
        calendar: &mut Calendar<Timer>,
    ) -> bool {
        let vms = self.vms.as_mut().expect("only VMs of elastic pools have this timer");
        vms.fire(node, now, (controller, &mut self.guests.facts), calendar)
    }

    /// The host of VMs has failed, and its jobs are off it; or it is repaired.
    pub(super) fn host_of_vms(
        &mut self,
        (nodes, fails): (std::ops::Range<u32>, bool),
        now: SimTime,
        controller: &mut Controller<'_>,
        calendar: &mut Calendar<Timer>,
    ) {
        let Some(vms) = &mut self.vms else { return };
        let lost = vms.host_turns((nodes, fails), now, (controller, &mut self.guests.facts), calendar);
        // Where none was there, nobody has noticed.
        self.life.failures += u64::from(lost > 0);
    }

    /// A scheduler has passed: VMs are ordered for the jobs that it left waiting.
    pub(super) fn order_vms(
        &mut self,
        now: SimTime,
        controller: &mut Controller<'_>,
        calendar: &mut Calendar<Timer>,
    ) {
        if let Some(vms) = &mut self.vms {
            vms.decide(now, (controller, &mut self.guests.facts), calendar);
        }
    }

    /// Something is due on a host; tells what becomes of nodes.
    pub(super) fn turn(&mut self, at: u32, now: SimTime, calendar: &mut Calendar<Timer>) -> Vec<Turn> {
        let turns = self.life.turn(at, now, &mut self.guests, calendar);
        self.life.work(now, &self.guests, calendar);
        turns
    }

    /// A recorded outage of nodes begins or ends; tells what becomes of those that stand in.
    pub(super) fn note_outage(
        &mut self,
        nodes: &NodeSet,
        begins: bool,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> Vec<Turn> {
        let nodes = nodes.ones().map(NodeId::new);
        nodes.flat_map(|node| self.life.note_outage(node, begins, now, calendar)).collect()
    }

    /// Whether jobs may wait for a host, where nothing else happens.
    pub(super) fn is_awaited(&self, last_event: SimTime, quiet: SimDuration, now: SimTime) -> bool {
        let by_tool = self.tool.as_ref().is_some_and(|tool| tool.is_awaited(now));
        let by_vms = self.vms.as_ref().is_some_and(|vms| vms.is_awaited(now));
        by_tool || by_vms || self.life.is_awaited(last_event, quiet, now)
    }

    /// An attempt starts; tells when it is at work.
    pub(super) fn begin(
        &mut self,
        job: JobIx,
        starting: Starting<'_>,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> SimTime {
        let id = JobId::new(starting.spec);
        let rows = starting.holding.rows(self.run.pools, self.run.cards);
        let mut asked = ByPool::new();
        for row in &rows {
            match asked.iter_mut().find(|(known, _)| *known == row.pool) {
                Some((_, sum)) => *sum = sum.plus(&row.asked()),
                None => asked.push((row.pool, row.asked())),
            }
        }
        let row = &self.run.recorded.jobs[id];
        let is_session = row.flags.has(JobFlags::SESSION);
        let devices = match (self.run.cards, starting.ledger) {
            (Some(site), Some(ledger)) if !is_session && !self.run.as_recorded => {
                let grants = card_grants(starting.holding.grants, starting.holding.cards);
                site.on_devices((id, starting.holding.is_wider), &grants, ledger)
            }
            _ => OnDevices::WHOLE,
        };
        let lead = match &mut self.tool {
            Some(tool) if !starting.reshapes.is_empty() => {
                tool.cut((id, now), starting.reshapes, rows[0].pool)
            }
            _ => SimDuration::ZERO,
        };
        let lead = if self.run.as_recorded { SimDuration::ZERO } else { lead };
        let gpus = rows.iter().map(|row| row.gpus).sum();
        let held = asked.iter().fold(Held::default(), |sum, (_, held)| sum.plus(held));
        let util_milli = self.run.recorded.recorded.gpu_util_milli(id);
        let util_milli = util_milli.map(|milli| match self.run.cards {
            Some(_) => used_of_held(milli, gpus, &held, devices.speed),
            None => milli,
        });
        let arrival = Arrival {
            job: id,
            run: row.run,
            bare: self.run.speeds.map_or(Speed::ONE, |speeds| speeds.on(id, asked[0].0)),
            is_session,
            on_devices: devices.speed,
            measured: devices.measured,
            cards: devices.cards,
            gpus,
            asked,
            lead,
            util_milli,
            launch: starting.overhead,
            // The controller kills it.
            limit: None,
            resumes: self.left.remove(&job),
        };
        let nodes = rows.iter().map(|row| OnNode { node: row.node, held: row.held }).collect();
        self.guests.begin(timer_of(job), &arrival, &nodes, now, calendar)
    }

    /// An attempt has ended, or was killed.
    pub(super) fn end(&mut self, job: JobIx, state: State, now: SimTime, calendar: &mut Calendar<Timer>) {
        let slot = timer_of(job);
        if !is_in_vain(state) {
            self.guests.facts.timeouts += u64::from(state == State::Timeout);
            self.guests.end(slot, now, &mut self.meter, calendar);
        } else {
            self.guests.facts.lost_attempts += u64::from(state == State::NodeFail);
            let departure = self.guests.fail(slot, now, &mut self.meter, calendar);
            self.left.extend(departure.kept.map(|left| (job, left)));
            if state == State::NodeFail {
                let lost = self.in_vain.entry(job).or_default();
                *lost = 1 + if departure.gets_on { 0 } else { *lost };
            }
        }
        self.life.work(now, &self.guests, calendar);
    }

    /// Whether a job is lost again and again without getting on; then it is counted as given up.
    pub(super) fn gives_up(&mut self, job: JobIx, attempts: u32) -> bool {
        let in_vain = self.in_vain.get(&job).copied().unwrap_or(0);
        let is_endless = in_vain >= MOST_IN_VAIN || attempts as usize >= MOST_ATTEMPTS;
        self.guests.facts.given_up += u64::from(is_endless);
        is_endless
    }

    /// What was looked ahead for an attempt has come.
    pub(super) fn look_on(&mut self, slot: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        self.guests.look_on(slot, now, calendar);
    }

    /// Something is through to a store.
    pub(super) fn fire_store(&mut self, number: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        self.guests.fire_store(number, now, calendar);
    }

    /// Links fail, or are back.
    pub(super) fn fire_link(&mut self, number: u32) {
        self.guests.fire_link(number);
    }

    /// All that starts or ends at this instant has done so.
    pub(super) fn settle_links(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        self.guests.settle_links(now, calendar);
    }

    /// The run ends while `running` attempts go on.
    pub(super) fn close(mut self, running: impl Iterator<Item = JobIx>, until: SimTime) -> Losses {
        for job in running {
            self.guests.close(timer_of(job), until, &mut self.meter);
        }
        let (companies, written) = (self.guests.companies(), self.guests.written());
        if let Some(vms) = &self.vms {
            vms.close(until, &mut self.guests.facts);
        }
        let (failures, by_level) = (self.life.failures, self.life.by_level);
        let facts = TenancyFacts { failures, by_level, companies, written, ..self.guests.facts };
        let (turns, layouts) = self.tool.map_or_else(Default::default, |tool| (tool.turns, tool.facts));
        let vms = self.vms.map_or_else(Vec::new, |vms| vms.turns);
        let (spells, diary) = (self.life.spells, self.life.diary);
        Losses { meter: self.meter, facts, spells, diary, turns, layouts, vms }
    }
}

/// The nodes of a host, as the controller has them.
pub(super) fn nodes_of(count: usize, turn: &Turn) -> NodeSet {
    let mut nodes = NodeSet::with_capacity(count);
    nodes.insert_range(turn.nodes.start as usize..turn.nodes.end as usize);
    nodes
}

/// Whether the work of an attempt that ended so is done again, or never.
pub(super) fn is_in_vain(state: State) -> bool {
    matches!(state, State::Preempted | State::NodeFail)
}

/// What one of `nodes` grants of an exclusive job holds beyond what was asked of a node.
pub(super) fn slack(ask: &Ask, nodes: usize, grant: &Grant) -> Amounts {
    if !ask.exclusive {
        return Amounts::ZERO;
    }
    let nodes = u32::try_from(nodes).expect("few nodes");
    let asked = Amounts {
        cpus: ask.cpus.div_ceil(nodes),
        gpus: ask.gres.iter().map(|gres| gres.count).sum(),
        mem_mb: ask.mem_mb_per_node,
    };
    grant.amounts().saturating_minus(&asked)
}

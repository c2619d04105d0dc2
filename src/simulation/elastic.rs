//! Pools that grow and shrink: virtual machines ordered for waiting jobs, and given back when idle.
//!
//! ```text
//!   off ──ordered──> booting ──up──> idle <──> busy
//!    ^                  └──fails──> waits to be ordered again ──┐
//!    └────────── idle for so long, nobody waits ────────────────┴── nobody waits
//! ```
//!
//! A VM that is not up holds its whole node on the floor, so that nothing can be placed there; while it boots
//! the scheduler expects it when the boot usually ends, otherwise never. VMs are ordered after a scheduling
//! pass for the jobs that still wait: as many as their requests would fill, less those that boot already, at
//! most `step`, at most once in the cool-down, lowest node first. A VM that is off is not installed; one that
//! boots is start-up.

use super::guests::{TenancyFacts, VmUsage};
use super::meter::{Gauge, Load, Meter};
use super::run::Timer;
use super::run::ground::{Decider, Grants, Ground};
use crate::cluster::{ClusterSpec, Conflict};
use crate::ids::{Id, NodeId, PoolId};
use crate::kernel::{Calendar, Phase};
use crate::random::Stream;
use crate::tenancy::{Elastic, RunTenancy};
use crate::time::{SimDuration, SimTime};
use crate::workload::Workload;

/// Jobs count their slots on the floor from 0, outages from the other end; VMs that are not up from here.
const FIRST_SLOT: u32 = 1 << 31;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    /// Comes up at the end of its timer, or fails then.
    Booting {
        fails: bool,
    },
    /// Failed; ordered again at the end of its timer.
    Failed,
    Idle,
    Busy,
}

#[derive(Debug)]
struct Pool<G: Ground> {
    id: PoolId,
    spec: Elastic,
    first: u32,
    /// Of a VM: devices as the floor counts them, and memory in MiB.
    capacity: Load,
    mem_mb: u64,
    states: Vec<State>,
    /// What is held on the floor for each VM that is not up, and until when it is expected.
    held: Vec<Option<(Grants<G>, SimTime)>>,
    /// Row of `usage` of each VM that is ordered or up.
    usage: Vec<usize>,
    orders: u64,
    ordered_at: Option<SimTime>,
}

/// All elastic pools of a run.
#[derive(Debug)]
pub(super) struct ElasticPools<G: Ground> {
    pools: Vec<Pool<G>>,
    seed: u64,
    /// The ledger's version up to which idle and busy VMs are known.
    seen: usize,
}

impl<G: Ground> ElasticPools<G> {
    /// The elastic pools of `spec`; `None` where there is none.
    pub(super) fn new(spec: &RunTenancy, cluster: &ClusterSpec, seed: u64) -> Option<Self> {
        let mut first = 0;
        let mut pools = Vec::new();
        for (at, pool) in cluster.pools.iter().enumerate() {
            if let Some(elastic) = spec.pools[PoolId::new(at)].elastic {
                let vms = pool.count as usize;
                pools.push(Pool {
                    id: PoolId::new(at),
                    spec: elastic,
                    first,
                    capacity: Load::ZERO,
                    mem_mb: pool.node.capacity.mem_mb,
                    states: vec![State::Idle; vms],
                    held: vec![None; vms],
                    usage: vec![usize::MAX; vms],
                    orders: 0,
                    ordered_at: None,
                });
            }
            first += pool.count;
        }
        (!pools.is_empty()).then_some(Self { pools, seed, seen: 0 })
    }

    /// Switches off what is not of the minimum, before the run.
    pub(super) fn prepare(
        &mut self,
        from: SimTime,
        floor: &mut G,
        meter: &mut Meter,
        facts: &mut TenancyFacts,
    ) -> Result<(), Conflict> {
        for pool in &mut self.pools {
            let (has, vms) = (floor.gauge().has(pool.id), pool.states.len().max(1) as u64);
            pool.capacity = Load { gpus: has.gpus / vms, cpus: has.cpus / vms };
            facts.elastic[pool.id].is_elastic = true;
            for at in 0..pool.states.len() {
                if at < pool.spec.min as usize {
                    pool.usage[at] = facts.usage.len();
                    let node = pool.node(at);
                    facts.usage.push(VmUsage::standing(node, from));
                } else {
                    pool.states[at] = State::Off;
                    pool.hold(at, SimTime::MAX, floor)?;
                }
            }
            pool.note(meter, facts);
        }
        self.seen = floor.version();
        Ok(())
    }

    /// The timer of a VM has come due; tells whether a pass is worth while.
    pub(super) fn fire(
        &mut self,
        node: NodeId,
        now: SimTime,
        is_wanted: bool,
        (floor, meter, facts): (&mut G, &mut Meter, &mut TenancyFacts),
        calendar: &mut Calendar<Timer>,
    ) -> Result<bool, Conflict> {
        let seed = self.seed;
        let pool = self.pools.iter_mut().find(|pool| pool.holds(node)).expect("timers are of elastic VMs");
        let at = (node.0 - pool.first) as usize;
        let mut came_up = false;
        match pool.states[at] {
            State::Booting { fails: false } => {
                pool.release(at, floor)?;
                pool.states[at] = State::Idle;
                facts.usage[pool.usage[at]].up = now;
                pool.watch_idle(at, now, calendar);
                came_up = true;
            }
            State::Booting { fails: true } => {
                facts.elastic[pool.id].failed += 1;
                facts.usage[pool.usage[at]].failed = true;
                pool.switch_off(at, now, floor, facts)?;
                pool.states[at] = State::Failed;
                calendar.set(Timer::Vm(node), now + pool.spec.retry, Phase::NodeUp);
            }
            State::Failed => {
                pool.states[at] = State::Off;
                if is_wanted {
                    pool.order(at, seed, now, floor, facts, calendar)?;
                }
            }
            State::Idle if is_wanted => pool.watch_idle(at, now, calendar),
            // Those of the minimum are always there.
            State::Idle if at >= pool.spec.min as usize => {
                facts.elastic[pool.id].given_back += 1;
                pool.hold(at, SimTime::MAX, floor)?;
                pool.end_usage(at, now, facts);
                pool.states[at] = State::Off;
            }
            State::Idle | State::Busy | State::Off => {}
        }
        pool.note(meter, facts);
        Ok(came_up)
    }

    /// After a pass: notes which VMs are idle now, and orders VMs for the jobs that wait.
    pub(super) fn decide<D: Decider<Ground = G>>(
        &mut self,
        now: SimTime,
        workload: &Workload,
        decider: &D,
        (floor, meter, facts): (&mut G, &mut Meter, &mut TenancyFacts),
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        self.follow(now, floor, calendar);
        for pool in &mut self.pools {
            let wanted = match decider.queued().next() {
                None => 0,
                Some(head) => {
                    let due = workload.jobs[head].submit + pool.spec.out_after;
                    let free_at = pool.ordered_at.map_or(due, |at| due.max(at + pool.spec.cool_down));
                    if free_at > now {
                        calendar.set(Timer::Order(pool.id.0), free_at, Phase::NodeUp);
                        0
                    } else {
                        pool.wanted(decider)
                    }
                }
            };
            let mut more = wanted.min(pool.spec.step);
            for at in 0..pool.states.len() {
                if more > 0 && pool.states[at] == State::Off {
                    more -= 1;
                    pool.ordered_at = Some(now);
                    pool.order(at, self.seed, now, floor, facts, calendar)?;
                }
            }
            pool.note(meter, facts);
            if pool.ordered_at == Some(now) && wanted > pool.spec.step {
                calendar.set(Timer::Order(pool.id.0), now + pool.spec.cool_down, Phase::NodeUp);
            }
        }
        self.seen = floor.version();
        Ok(())
    }

    /// Notes which VMs have become idle or busy.
    fn follow(&mut self, now: SimTime, floor: &G, calendar: &mut Calendar<Timer>) {
        let changed: Vec<NodeId> = match floor.changed_since(self.seen) {
            Some(changed) => changed.to_vec(),
            None => (0..floor.nodes()).map(NodeId::new).collect(),
        };
        for node in changed {
            let Some(pool) = self.pools.iter_mut().find(|pool| pool.holds(node)) else { continue };
            let at = (node.0 - pool.first) as usize;
            match (pool.states[at], floor.holders(node)) {
                (State::Idle, 1..) => {
                    calendar.cancel(Timer::Vm(node));
                    pool.states[at] = State::Busy;
                }
                (State::Busy, 0) => {
                    pool.states[at] = State::Idle;
                    pool.watch_idle(at, now, calendar);
                }
                _ => {}
            }
        }
    }

    /// Ends the usage of VMs that are still there.
    pub(super) fn close(&self, last: SimTime, facts: &mut TenancyFacts) {
        for pool in &self.pools {
            let rows = facts.usage.iter().filter(|row| pool.holds(row.node));
            let us = rows.map(|row| {
                let until = if row.until == SimTime::NEVER { last } else { row.until };
                i128::from(until.saturating_since(row.from).micros())
            });
            facts.elastic[pool.id].vm_us = us.sum();
        }
    }
}

impl<G: Ground> Pool<G> {
    fn node(&self, at: usize) -> NodeId {
        NodeId(self.first + at as u32)
    }

    fn holds(&self, node: NodeId) -> bool {
        (self.first..self.first + self.states.len() as u32).contains(&node.0)
    }

    fn count(&self, of: impl Fn(&State) -> bool) -> usize {
        self.states.iter().filter(|state| of(state)).count()
    }

    fn hold(&mut self, at: usize, expected: SimTime, floor: &mut G) -> Result<(), Conflict> {
        let Some(rest) = floor.rest(self.node(at)) else { return Ok(()) };
        floor.take(FIRST_SLOT + self.first + at as u32, &rest, expected)?;
        self.held[at] = Some((rest, expected));
        Ok(())
    }

    fn release(&mut self, at: usize, floor: &mut G) -> Result<(), Conflict> {
        let Some((rest, expected)) = self.held[at].take() else { return Ok(()) };
        floor.give_back(FIRST_SLOT + self.first + at as u32, &rest, expected)
    }

    /// Orders a VM that is off.
    fn order(
        &mut self,
        at: usize,
        seed: u64,
        now: SimTime,
        floor: &mut G,
        facts: &mut TenancyFacts,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        // Keyed by the number of the order, not by the node: the same in every design.
        let mut stream = Stream::new(seed, "order", self.orders, 0);
        self.orders += 1;
        let boot = self.spec.boot.draw(&mut stream).max(SimDuration::from_micros(1));
        let fails = stream.uniform() < self.spec.failure;
        self.release(at, floor)?;
        self.hold(at, now + self.spec.boot.expected(), floor)?;
        self.states[at] = State::Booting { fails };
        calendar.set(Timer::Vm(self.node(at)), now + boot, Phase::NodeUp);
        facts.elastic[self.id].ordered += 1;
        self.usage[at] = facts.usage.len();
        let node = self.node(at);
        let on_demand = VmUsage { up: SimTime::NEVER, is_committed: false, ..VmUsage::standing(node, now) };
        facts.usage.push(on_demand);
        Ok(())
    }

    /// A VM that booted in vain.
    fn switch_off(
        &mut self,
        at: usize,
        now: SimTime,
        floor: &mut G,
        facts: &mut TenancyFacts,
    ) -> Result<(), Conflict> {
        self.end_usage(at, now, facts);
        self.release(at, floor)?;
        self.hold(at, SimTime::MAX, floor)
    }

    fn end_usage(&mut self, at: usize, now: SimTime, facts: &mut TenancyFacts) {
        facts.usage[std::mem::replace(&mut self.usage[at], usize::MAX)].until = now;
    }

    fn watch_idle(&self, at: usize, now: SimTime, calendar: &mut Calendar<Timer>) {
        // At least a microsecond later, so that a pass comes first.
        let after = self.spec.in_after.max(SimDuration::from_micros(1));
        calendar.set(Timer::Vm(self.node(at)), now + after, Phase::NodeUp);
    }

    /// VMs that the waiting jobs would fill, less those on their way.
    fn wanted<D: Decider<Ground = G>>(&self, decider: &D) -> u32 {
        let coming = self.count(|state| matches!(state, State::Booting { .. } | State::Failed));
        let most = self.count(|state| *state == State::Off) + coming;
        let (mut sum, mut mem, mut nodes) = (Load::ZERO, 0u64, 0u64);
        for job in decider.queued() {
            let Some(fit) = decider.fits(job).find(|fit| fit.pool == self.id) else { continue };
            sum = sum.plus(&fit.total);
            mem += fit.mem_mb;
            let per = |sum: u64, has: u64| if has > 0 { sum.div_ceil(has) } else { 0 };
            nodes = nodes
                .max(u64::from(fit.nodes))
                .max(per(sum.gpus, self.capacity.gpus))
                .max(per(sum.cpus, self.capacity.cpus))
                .max(per(mem, self.mem_mb));
            if nodes >= most as u64 {
                break;
            }
        }
        (nodes.min(most as u64) as u32).saturating_sub(coming as u32)
    }

    /// Tells the meter what is off and what boots.
    fn note(&self, meter: &mut Meter, facts: &mut TenancyFacts) {
        let off = self.count(|state| matches!(state, State::Off | State::Failed)) as u32;
        let booting = self.count(|state| matches!(state, State::Booting { .. })) as u32;
        meter.set_off(self.id, self.capacity.times(off), self.capacity.times(booting));
        let there = self.states.len() as u32 - off;
        let most = &mut facts.elastic[self.id].most;
        *most = (*most).max(there);
    }
}

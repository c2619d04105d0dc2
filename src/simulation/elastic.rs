//! Pools that grow and shrink: virtual machines ordered for waiting jobs, and given back when idle.
//!
//! ```text
//!   off ──ordered──> booting ──up──> idle <──> busy
//!    ^                  └──fails──> waits to be ordered again ──┐
//!    └────────── idle for so long, nobody waits ────────────────┴── nobody waits
//! ```
//!
//! Nothing can be placed on a VM that is not up; while it boots the scheduler may expect it when the boot usually
//! ends, otherwise never. VMs are ordered after a scheduling pass for the jobs that still wait: as many as their
//! requests would fill, less those that boot already, at most `step`, at most once in the cool-down, lowest node first.
//! A VM that is off is not installed; one that boots is start-up.
//!
//! A VM whose host fails is gone, and with it its jobs: it is paid for no longer, and another one is ordered for whoever
//! waits, if the quota has one left. Its own place can be ordered again when the host is repaired; those of the minimum
//! are, at once.
//!
//! It is written once for every engine: who keeps jobs off VMs that are not there is a [`Yard`], who waits a [`Queue`].

use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Range;

use super::guests::{TenancyFacts, VmUsage};
use super::meter::Load;
use super::run::ground::Fit;
use crate::cluster::{ClusterSpec, Conflict};
use crate::ids::{Id, NodeId, PoolId};
use crate::kernel::{Calendar, Phase};
use crate::random::Stream;
use crate::tenancy::{Elastic, RunTenancy};
use crate::time::{SimDuration, SimTime};

/// Jobs count their slots on the floor from 0, outages from the other end; VMs that are not up from here.
const FIRST_SLOT: u32 = 1 << 31;

/// The timers of VMs, as the calendar of an engine names them.
pub(super) trait VmTimer: Copy + Eq + Hash {
    /// Something happens to the VM of this node.
    fn vm(node: NodeId) -> Self;
    /// VMs may be ordered again for this pool.
    fn order(pool: PoolId) -> Self;
}

/// Who keeps jobs off VMs that are not there.
pub(super) trait Yard {
    /// What it holds of one.
    type Hold: Clone + Debug;

    /// What a pool has, as its hours are counted.
    fn has(&self, pool: PoolId) -> Load;
    /// The nodes that may have become idle or busy since `version`, which is then the present one.
    fn changed(&self, version: &mut usize) -> Vec<NodeId>;
    /// Holders on a node.
    fn holders(&self, node: NodeId) -> u32;
    /// A VM is not there; it is expected then.
    fn close(&mut self, node: NodeId, slot: u32, expected: SimTime) -> Result<Option<Self::Hold>, Conflict>;
    /// It is there.
    fn open(&mut self, node: NodeId, slot: u32, hold: Self::Hold) -> Result<(), Conflict>;
    /// So much of a pool is off, and so much boots; what of it is held.
    fn note(&mut self, pool: PoolId, levels: (Load, Load), held: &[Option<Self::Hold>]);

    /// A VM that is not there is expected at another time.
    fn expect(
        &mut self,
        node: NodeId,
        slot: u32,
        hold: Self::Hold,
        expected: SimTime,
    ) -> Result<Option<Self::Hold>, Conflict> {
        self.open(node, slot, hold)?;
        self.close(node, slot, expected)
    }
}

/// The jobs that wait, in order.
pub(super) trait Queue {
    /// When the first of them was submitted.
    fn first_submit(&self) -> Option<SimTime>;
    /// What those that a pool can hold mean there.
    fn fits(&self, pool: PoolId) -> impl Iterator<Item = Fit> + '_;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    /// Comes up at the end of its timer, or fails then.
    Booting {
        fails: bool,
    },
    /// Failed; ordered again at the end of its timer.
    Failed,
    /// Its host failed, and is being repaired.
    Gone,
    Idle,
    Busy,
}

#[derive(Debug)]
struct Pool<H> {
    id: PoolId,
    spec: Elastic,
    first: u32,
    /// Of a VM: devices as the floor counts them, and memory in MiB.
    capacity: Load,
    mem_mb: u64,
    states: Vec<State>,
    /// What is held for each VM that is not up.
    held: Vec<Option<H>>,
    /// Row of `usage` of each VM that is ordered or up.
    usage: Vec<usize>,
    orders: u64,
    ordered_at: Option<SimTime>,
    /// When the next order may be made for those who wait.
    next_order: Option<SimTime>,
}

/// All elastic pools of a run.
#[derive(Debug)]
pub(super) struct ElasticPools<H> {
    pools: Vec<Pool<H>>,
    seed: u64,
    /// The ledger's version up to which idle and busy VMs are known.
    seen: usize,
}

impl<H: Clone + Debug> ElasticPools<H> {
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
                    next_order: None,
                });
            }
            first += pool.count;
        }
        (!pools.is_empty()).then_some(Self { pools, seed, seen: 0 })
    }

    /// Switches off what is not of the minimum, before the run.
    pub(super) fn prepare<Y: Yard<Hold = H>>(
        &mut self,
        from: SimTime,
        yard: &mut Y,
        facts: &mut TenancyFacts,
    ) -> Result<(), Conflict> {
        for pool in &mut self.pools {
            let (has, vms) = (yard.has(pool.id), pool.states.len().max(1) as u64);
            pool.capacity = Load { gpus: has.gpus / vms, cpus: has.cpus / vms };
            facts.elastic[pool.id].is_elastic = true;
            for at in 0..pool.states.len() {
                if at < pool.spec.min as usize {
                    pool.usage[at] = facts.usage.len();
                    let node = pool.node(at);
                    facts.usage.push(VmUsage::standing(node, from));
                } else {
                    pool.states[at] = State::Off;
                    pool.hold(at, SimTime::MAX, yard)?;
                }
            }
            pool.note(yard, facts);
        }
        yard.changed(&mut self.seen);
        Ok(())
    }

    /// The timer of a VM has come due; tells whether a pass is worth while.
    pub(super) fn fire<Y: Yard<Hold = H>, T: VmTimer>(
        &mut self,
        node: NodeId,
        now: SimTime,
        is_wanted: bool,
        (yard, facts): (&mut Y, &mut TenancyFacts),
        calendar: &mut Calendar<T>,
    ) -> Result<bool, Conflict> {
        let seed = self.seed;
        let pool = self.pools.iter_mut().find(|pool| pool.holds(node)).expect("timers are of elastic VMs");
        let at = (node.0 - pool.first) as usize;
        let mut came_up = false;
        match pool.states[at] {
            State::Booting { fails: false } => {
                pool.release(at, yard)?;
                pool.states[at] = State::Idle;
                facts.usage[pool.usage[at]].up = now;
                pool.watch_idle(at, now, calendar);
                came_up = true;
            }
            State::Booting { fails: true } => {
                facts.elastic[pool.id].failed += 1;
                facts.usage[pool.usage[at]].failed = true;
                pool.end_usage(at, now, facts);
                pool.hold(at, SimTime::MAX, yard)?;
                pool.states[at] = State::Failed;
                calendar.set(T::vm(node), now + pool.spec.retry, Phase::NodeUp);
            }
            State::Failed => {
                pool.states[at] = State::Off;
                if is_wanted || at < pool.spec.min as usize {
                    pool.order((at, seed), now, (yard, facts), calendar)?;
                }
            }
            State::Idle if is_wanted => pool.watch_idle(at, now, calendar),
            // Those of the minimum are always there.
            State::Idle if at >= pool.spec.min as usize => {
                facts.elastic[pool.id].given_back += 1;
                pool.hold(at, SimTime::MAX, yard)?;
                pool.end_usage(at, now, facts);
                pool.states[at] = State::Off;
            }
            State::Idle | State::Busy | State::Off | State::Gone => {}
        }
        pool.note(yard, facts);
        Ok(came_up)
    }

    /// A host has failed, and its jobs are off it: its VMs are gone. Tells how many were ordered or up.
    pub(super) fn lose<Y: Yard<Hold = H>, T: VmTimer>(
        &mut self,
        nodes: Range<u32>,
        now: SimTime,
        (yard, facts): (&mut Y, &mut TenancyFacts),
        calendar: &mut Calendar<T>,
    ) -> Result<u64, Conflict> {
        let mut lost = 0;
        for node in nodes.map(NodeId) {
            let Some(pool) = self.pools.iter_mut().find(|pool| pool.holds(node)) else { continue };
            let at = (node.0 - pool.first) as usize;
            calendar.cancel(T::vm(node));
            match pool.states[at] {
                State::Off | State::Failed | State::Gone => {}
                State::Booting { .. } | State::Idle | State::Busy => {
                    lost += 1;
                    pool.end_usage(at, now, facts);
                    pool.hold(at, SimTime::MAX, yard)?;
                }
            }
            pool.states[at] = State::Gone;
            pool.note(yard, facts);
        }
        Ok(lost)
    }

    /// A host is repaired: its VMs can be ordered again, and those of the minimum are.
    pub(super) fn restore<Y: Yard<Hold = H>, T: VmTimer>(
        &mut self,
        nodes: Range<u32>,
        now: SimTime,
        (yard, facts): (&mut Y, &mut TenancyFacts),
        calendar: &mut Calendar<T>,
    ) -> Result<(), Conflict> {
        let seed = self.seed;
        for node in nodes.map(NodeId) {
            let Some(pool) = self.pools.iter_mut().find(|pool| pool.holds(node)) else { continue };
            let at = (node.0 - pool.first) as usize;
            pool.states[at] = State::Off;
            if at < pool.spec.min as usize {
                pool.order((at, seed), now, (yard, facts), calendar)?;
            }
            pool.note(yard, facts);
        }
        Ok(())
    }

    /// After a pass: notes which VMs are idle now, and orders VMs for the jobs that wait.
    pub(super) fn decide<Q: Queue, Y: Yard<Hold = H>, T: VmTimer>(
        &mut self,
        now: SimTime,
        queue: &Q,
        (yard, facts): (&mut Y, &mut TenancyFacts),
        calendar: &mut Calendar<T>,
    ) -> Result<(), Conflict> {
        self.follow(now, yard, calendar);
        for pool in &mut self.pools {
            pool.next_order = None;
            let wanted = match queue.first_submit() {
                None => 0,
                Some(submit) => {
                    let due = submit + pool.spec.out_after;
                    let free_at = pool.ordered_at.map_or(due, |at| due.max(at + pool.spec.cool_down));
                    if free_at > now {
                        pool.order_at(free_at, calendar);
                        0
                    } else {
                        pool.wanted(queue)
                    }
                }
            };
            let mut more = wanted.min(pool.spec.step);
            for at in 0..pool.states.len() {
                if more > 0 && pool.states[at] == State::Off {
                    more -= 1;
                    pool.ordered_at = Some(now);
                    pool.order((at, self.seed), now, (yard, facts), calendar)?;
                }
            }
            pool.note(yard, facts);
            if pool.ordered_at == Some(now) && wanted > pool.spec.step {
                pool.order_at(now + pool.spec.cool_down, calendar);
            }
        }
        yard.changed(&mut self.seen);
        Ok(())
    }

    /// Whether those who wait may get a VM without anything else happening.
    pub(super) fn is_awaited(&self, now: SimTime) -> bool {
        let comes = |pool: &Pool<H>| {
            pool.next_order.is_some_and(|at| at >= now)
                || pool.count(|state| matches!(state, State::Booting { .. } | State::Failed)) > 0
        };
        self.pools.iter().any(comes)
    }

    /// Notes which VMs have become idle or busy.
    fn follow<Y: Yard<Hold = H>, T: VmTimer>(&mut self, now: SimTime, yard: &Y, calendar: &mut Calendar<T>) {
        for node in yard.changed(&mut self.seen) {
            let Some(pool) = self.pools.iter_mut().find(|pool| pool.holds(node)) else { continue };
            let at = (node.0 - pool.first) as usize;
            match (pool.states[at], yard.holders(node)) {
                (State::Idle, 1..) => {
                    calendar.cancel(T::vm(node));
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
                let until = row.until.min(last);
                i128::from(until.saturating_since(row.from).micros())
            });
            facts.elastic[pool.id].vm_us = us.sum();
        }
    }
}

impl<H: Clone + Debug> Pool<H> {
    fn node(&self, at: usize) -> NodeId {
        NodeId(self.first + at as u32)
    }

    fn slot(&self, at: usize) -> u32 {
        FIRST_SLOT + self.first + at as u32
    }

    fn holds(&self, node: NodeId) -> bool {
        (self.first..self.first + self.states.len() as u32).contains(&node.0)
    }

    fn count(&self, of: impl Fn(&State) -> bool) -> usize {
        self.states.iter().filter(|state| of(state)).count()
    }

    /// A VM is not there, and expected then.
    fn hold<Y: Yard<Hold = H>>(
        &mut self,
        at: usize,
        expected: SimTime,
        yard: &mut Y,
    ) -> Result<(), Conflict> {
        let (node, slot) = (self.node(at), self.slot(at));
        self.held[at] = match self.held[at].take() {
            Some(hold) => yard.expect(node, slot, hold, expected)?,
            None => yard.close(node, slot, expected)?,
        };
        Ok(())
    }

    fn release<Y: Yard<Hold = H>>(&mut self, at: usize, yard: &mut Y) -> Result<(), Conflict> {
        let Some(hold) = self.held[at].take() else { return Ok(()) };
        yard.open(self.node(at), self.slot(at), hold)
    }

    /// Orders a VM that is off.
    fn order<Y: Yard<Hold = H>, T: VmTimer>(
        &mut self,
        (at, seed): (usize, u64),
        now: SimTime,
        (yard, facts): (&mut Y, &mut TenancyFacts),
        calendar: &mut Calendar<T>,
    ) -> Result<(), Conflict> {
        // Keyed by the number of the order, not by the node: the same in every design.
        let mut stream = Stream::new(seed, "order", self.orders, 0);
        self.orders += 1;
        let boot = self.spec.boot.draw(&mut stream).max(SimDuration::from_micros(1));
        let fails = stream.uniform() < self.spec.failure;
        self.hold(at, now + self.spec.boot.expected(), yard)?;
        self.states[at] = State::Booting { fails };
        let node = self.node(at);
        calendar.set(T::vm(node), now + boot, Phase::NodeUp);
        facts.elastic[self.id].ordered += 1;
        self.usage[at] = facts.usage.len();
        let is_committed = at < self.spec.min as usize;
        facts.usage.push(VmUsage { up: SimTime::NEVER, is_committed, ..VmUsage::standing(node, now) });
        Ok(())
    }

    /// VMs may be ordered then.
    fn order_at<T: VmTimer>(&mut self, at: SimTime, calendar: &mut Calendar<T>) {
        self.next_order = Some(at);
        calendar.set(T::order(self.id), at, Phase::NodeUp);
    }

    fn end_usage(&mut self, at: usize, now: SimTime, facts: &mut TenancyFacts) {
        facts.usage[std::mem::replace(&mut self.usage[at], usize::MAX)].until = now;
    }

    fn watch_idle<T: VmTimer>(&self, at: usize, now: SimTime, calendar: &mut Calendar<T>) {
        // At least a microsecond later, so that a pass comes first.
        let after = self.spec.in_after.max(SimDuration::from_micros(1));
        calendar.set(T::vm(self.node(at)), now + after, Phase::NodeUp);
    }

    /// VMs that the waiting jobs would fill, less those on their way.
    fn wanted<Q: Queue>(&self, queue: &Q) -> u32 {
        let coming = self.count(|state| matches!(state, State::Booting { .. } | State::Failed));
        let most = self.count(|state| *state == State::Off) + coming;
        let (mut sum, mut mem, mut nodes) = (Load::ZERO, 0u64, 0u64);
        for fit in queue.fits(self.id) {
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

    /// Tells what is off and what boots.
    fn note<Y: Yard<Hold = H>>(&self, yard: &mut Y, facts: &mut TenancyFacts) {
        let off = self.count(|state| matches!(state, State::Off | State::Failed | State::Gone)) as u32;
        let booting = self.count(|state| matches!(state, State::Booting { .. })) as u32;
        let levels = (self.capacity.times(off), self.capacity.times(booting));
        yard.note(self.id, levels, &self.held);
        let there = self.states.len() as u32 - off;
        let most = &mut facts.elastic[self.id].most;
        *most = (*most).max(there);
    }
}

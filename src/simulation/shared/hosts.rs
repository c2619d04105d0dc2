//! What jobs on one host do to each other beside the GPU, and what strangers do there. A host is a node, or where nodes
//! are VMs, as many nodes as it holds.
//!
//! The laws are those of whole GPUs ([`Contention`](crate::tenancy::Contention), [`Noise`], stretching of the host share
//! where more virtual CPUs are at work than there are CPUs); a job's part of its host is its part of the host's GPUs. Noise epochs of nodes with jobs are events here, since neighbours on a GPU change
//! all the time.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::model::Timer;
use crate::ids::{NodeId, PoolId};
use crate::kernel::{Calendar, Phase};
use crate::tenancy::{HostNoise, Noise, RunTenancy, Uses};
use crate::time::SimTime;

/// What a job is on its nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct OnHosts {
    /// Its part of each of them.
    pub(super) parts: SmallVec<[Stay; 1]>,
    /// Use of their resources.
    pub(super) uses: Uses,
    /// Share of its time on CPUs.
    pub(super) host_share: f64,
}

/// A job on a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    /// The host, by its first node.
    host: u32,
    /// Part of the host that is the job's.
    part: f64,
    /// CPUs that it holds there.
    cpus: u32,
}

impl OnHosts {
    /// The job has so much of a host, more if it has some already.
    pub(super) fn add(&mut self, host: u32, part: f64, cpus: u32) {
        match self.parts.iter_mut().find(|stay| stay.host == host) {
            Some(stay) => (stay.part, stay.cpus) = (stay.part + part, stay.cpus + cpus),
            None => self.parts.push(Stay { host, part, cpus }),
        }
    }
}

/// A node with jobs.
#[derive(Debug, Default)]
struct Host {
    guests: SmallVec<[u32; 8]>,
    noise: Option<Box<HostNoise>>,
}

/// All nodes of pools whose jobs feel their hosts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    tenancy: Option<RunTenancy>,
    /// Number of a node's host among those of its tenancy kind.
    ordinal_of: Vec<u32>,
    /// First node on the host of each node.
    host_of: Vec<u32>,
    seed: u64,
    from: SimTime,
    rows: FxHashMap<u32, Host>,
    /// Ends of noise epochs on nodes with jobs.
    pub(super) epochs: u64,
}

impl Hosts {
    pub(super) fn new(
        tenancy: Option<&RunTenancy>,
        pools_of_nodes: impl Iterator<Item = PoolId>,
        seed: u64,
        from: SimTime,
    ) -> Self {
        let mut ordinal_of = Vec::new();
        let mut of_kind = [0u32; 3];
        let mut host_of: Vec<u32> = Vec::new();
        if let Some(tenancy) = tenancy {
            // Pool and number in it of the node before.
            let mut before: Option<(PoolId, u32)> = None;
            for pool in pools_of_nodes {
                let at = before.filter(|(same, _)| *same == pool).map_or(0, |(_, at)| at + 1);
                before = Some((pool, at));
                let terms = &tenancy.pools[pool];
                let number = &mut of_kind[terms.kind as usize];
                let node = host_of.len() as u32;
                let per_host = terms.packing.map_or(1, |packing| packing.per_host.max(1));
                if at.is_multiple_of(per_host) {
                    host_of.push(node);
                    *number += 1;
                } else {
                    host_of.push(host_of[node as usize - 1]);
                }
                ordinal_of.push(*number - 1);
            }
        }
        // Only the pools are needed here; who is which class comes with each job.
        let tenancy = tenancy.map(|spec| RunTenancy {
            pools: spec.pools.clone(),
            profiles: Vec::new(),
            profile_of: crate::ids::IdVec::new(),
        });
        Self { tenancy, ordinal_of, host_of, seed, from, ..Self::default() }
    }

    /// Whether the jobs of a pool feel more than their GPUs.
    pub(super) fn matter(&self, pool: PoolId) -> bool {
        let terms = self.tenancy.as_ref().map(|tenancy| &tenancy.pools[pool]);
        terms.is_some_and(|terms| {
            let overcommits = terms.packing.is_some_and(|packing| packing.overcommits());
            terms.contention.is_some() || terms.noise.is_some() || overcommits
        })
    }

    /// The host of a node, by its first node.
    pub(super) fn host_of(&self, node: NodeId) -> u32 {
        self.host_of[node.0 as usize]
    }

    fn noise(&self, pool: PoolId) -> Option<Noise> {
        self.tenancy.as_ref().and_then(|tenancy| tenancy.pools[pool].noise)
    }

    /// A job begins to run on its nodes; tells who is there, itself included.
    pub(super) fn enter(
        &mut self,
        slot: u32,
        pool: PoolId,
        job: &OnHosts,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> SmallVec<[u32; 8]> {
        let noise = self.noise(pool);
        let mut there = SmallVec::new();
        for Stay { host: node, .. } in &job.parts {
            let row = self.rows.entry(*node).or_default();
            if let (Some(noise), true) = (&noise, row.guests.is_empty()) {
                let (seed, ordinal, from) = (self.seed, self.ordinal_of[*node as usize], self.from);
                let state =
                    row.noise.get_or_insert_with(|| Box::new(HostNoise::new(noise, seed, ordinal, from)));
                state.advance(noise, now);
                calendar.set(Timer::Epoch(*node, pool.0), state.until(), Phase::Epoch);
            }
            row.guests.push(slot);
            there.extend(row.guests.iter().copied());
        }
        there
    }

    /// A job leaves its nodes; tells who is left there.
    pub(super) fn leave(
        &mut self,
        slot: u32,
        pool: PoolId,
        job: &OnHosts,
        calendar: &mut Calendar<Timer>,
    ) -> SmallVec<[u32; 8]> {
        let mut left = SmallVec::new();
        for Stay { host: node, .. } in &job.parts {
            let Some(row) = self.rows.get_mut(node) else { continue };
            row.guests.retain(|other| *other != slot);
            if row.guests.is_empty() {
                calendar.cancel(Timer::Epoch(*node, pool.0));
            }
            left.extend(row.guests.iter().copied());
        }
        left
    }

    /// A noise epoch ends on a node; tells who is there.
    pub(super) fn epoch(
        &mut self,
        node: u32,
        pool: PoolId,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> SmallVec<[u32; 8]> {
        let noise = self.noise(pool).expect("only pools with noise have epochs");
        let row = self.rows.get_mut(&node).expect("only nodes with jobs have epochs");
        self.epochs += 1;
        let state = row.noise.as_mut().expect("it began with the first job");
        state.advance(&noise, now);
        calendar.set(Timer::Epoch(node, pool.0), state.until(), Phase::Epoch);
        row.guests.iter().copied().collect()
    }

    /// How many times longer a job takes on its slowest node, beside the others there.
    pub(super) fn factor<'s>(
        &self,
        slot: u32,
        pool: PoolId,
        job: &OnHosts,
        of: impl Fn(u32) -> Option<&'s OnHosts>,
    ) -> f64 {
        let Some(terms) = self.tenancy.as_ref().map(|tenancy| &tenancy.pools[pool]) else { return 1.0 };
        let on = |stay: &Stay| {
            let Some(row) = self.rows.get(&stay.host) else { return 1.0 };
            let strange = row.noise.as_ref().filter(|_| terms.noise.is_some()).map_or(1.0, |n| n.factor());
            let packing = terms.packing.filter(|packing| packing.overcommits());
            if terms.contention.is_none() && packing.is_none() {
                return strange;
            }
            let (mut others, mut cpus) = (Uses::default(), stay.cpus);
            for other in row.guests.iter().filter(|other| **other != slot).filter_map(|other| of(*other)) {
                let there = other.parts.iter().find(|there| there.host == stay.host);
                let (part, more) = there.map_or((0.0, 0), |there| (there.part, there.cpus));
                for (sum, uses) in others.iter_mut().zip(&other.uses) {
                    *sum += uses * part;
                }
                cpus += more;
            }
            let mut caused =
                terms.contention.map_or(1.0, |contention| contention.slowdown(&job.uses, &others));
            if let Some(packing) = packing {
                let over = f64::from(cpus) / f64::from(packing.cpus.max(1)) - 1.0;
                caused += job.host_share * over.max(0.0);
            }
            caused * strange
        };
        job.parts.iter().map(on).fold(1.0, f64::max)
    }
}

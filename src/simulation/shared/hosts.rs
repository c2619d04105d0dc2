//! Nodes as hosts: what jobs on one node do to each other beside the GPU, and what strangers do there.
//!
//! The laws are those of whole GPUs ([`Contention`](crate::tenancy::Contention), [`Noise`]); a job's part of its host
//! is its part of the host's GPUs. Noise epochs of nodes with jobs are events here, since neighbours on a GPU change
//! all the time.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::model::Timer;
use crate::ids::PoolId;
use crate::kernel::{Calendar, Phase};
use crate::tenancy::{HostNoise, Noise, RunTenancy, Uses};
use crate::time::SimTime;

/// What a job is on its nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct OnHosts {
    /// Its part of each of them.
    pub(super) parts: SmallVec<[(u32, f64); 1]>,
    /// Use of their resources.
    pub(super) uses: Uses,
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
    /// Number of a node among those of its tenancy kind.
    ordinal_of: Vec<u32>,
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
        if let Some(tenancy) = tenancy {
            for pool in pools_of_nodes {
                let number = &mut of_kind[tenancy.pools[pool].kind as usize];
                ordinal_of.push(*number);
                *number += 1;
            }
        }
        // Only the pools are needed here; who is which class comes with each job.
        let tenancy = tenancy.map(|spec| RunTenancy {
            pools: spec.pools.clone(),
            profiles: Vec::new(),
            profile_of: crate::ids::IdVec::new(),
        });
        Self { tenancy, ordinal_of, seed, from, ..Self::default() }
    }

    /// Whether the jobs of a pool feel more than their GPUs.
    pub(super) fn matter(&self, pool: PoolId) -> bool {
        let terms = self.tenancy.as_ref().map(|tenancy| &tenancy.pools[pool]);
        terms.is_some_and(|terms| terms.contention.is_some() || terms.noise.is_some())
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
        for (node, _) in &job.parts {
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
        for (node, _) in &job.parts {
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
        let on = |node: u32| {
            let Some(row) = self.rows.get(&node) else { return 1.0 };
            let strange = row.noise.as_ref().filter(|_| terms.noise.is_some()).map_or(1.0, |n| n.factor());
            let Some(contention) = &terms.contention else { return strange };
            let mut others = Uses::default();
            for other in row.guests.iter().filter(|other| **other != slot).filter_map(|other| of(*other)) {
                let part = other.parts.iter().find(|(at, _)| *at == node).map_or(0.0, |(_, part)| *part);
                for (sum, uses) in others.iter_mut().zip(&other.uses) {
                    *sum += uses * part;
                }
            }
            contention.slowdown(&job.uses, &others) * strange
        };
        job.parts.iter().map(|(node, _)| on(*node)).fold(1.0, f64::max)
    }
}

//! Elastic pools on the core's floor: a VM that is not up holds its whole node there, so the scheduler needs no notion
//! of it.

use super::Timer;
use super::ground::{Decider, Fit, Grants, Ground};
use crate::cluster::Conflict;
use crate::ids::{Id, NodeId, PoolId};
use crate::simulation::elastic::{ElasticPools, Queue, VmTimer, Yard};
use crate::simulation::guests::TenancyFacts;
use crate::simulation::meter::{Gauge, Load, Meter};
use crate::time::SimTime;
use crate::workload::Workload;

impl VmTimer for Timer {
    fn vm(node: NodeId) -> Self {
        Self::Vm(node)
    }

    fn order(pool: PoolId) -> Self {
        Self::Order(pool.0)
    }
}

/// What a VM that is not up holds, and until when it is expected.
pub(super) type Hold<G> = (Grants<G>, SimTime);

/// Elastic pools, where they stand, and what is told of them.
pub(super) type Vms<'f, G> = (&'f mut ElasticPools<Hold<G>>, OnFloor<'f, G>, &'f mut TenancyFacts);

/// The floor and its hours.
pub(super) struct OnFloor<'f, G: Ground> {
    pub(super) ground: &'f mut G,
    pub(super) meter: &'f mut Meter,
}

impl<G: Ground> Yard for OnFloor<'_, G> {
    type Hold = Hold<G>;

    fn has(&self, pool: PoolId) -> Load {
        self.ground.gauge().has(pool)
    }

    fn changed(&self, version: &mut usize) -> Vec<NodeId> {
        let since = std::mem::replace(version, self.ground.version());
        match self.ground.changed_since(since) {
            Some(changed) => changed.to_vec(),
            None => (0..self.ground.nodes()).map(NodeId::new).collect(),
        }
    }

    fn holders(&self, node: NodeId) -> u32 {
        self.ground.holders(node)
    }

    fn close(&mut self, node: NodeId, slot: u32, expected: SimTime) -> Result<Option<Hold<G>>, Conflict> {
        let Some(rest) = self.ground.rest(node) else { return Ok(None) };
        self.ground.take(slot, &rest, expected)?;
        Ok(Some((rest, expected)))
    }

    fn open(&mut self, _: NodeId, slot: u32, (rest, expected): Hold<G>) -> Result<(), Conflict> {
        self.ground.give_back(slot, &rest, expected)
    }

    fn note(&mut self, pool: PoolId, (off, booting): (Load, Load), held: &[Option<Hold<G>>]) {
        let held = held.iter().flatten().fold(Load::ZERO, |sum, (rest, _)| sum.plus(&self.ground.load(rest)));
        self.meter.set_off(pool, off, booting, &held);
    }
}

/// The jobs that a decider keeps waiting.
pub(super) struct Waiting<'q, D> {
    pub(super) workload: &'q Workload,
    pub(super) decider: &'q D,
}

impl<D: Decider> Queue for Waiting<'_, D> {
    fn first_submit(&self) -> Option<SimTime> {
        self.decider.queued().next().map(|job| self.workload.jobs[job].submit)
    }

    fn fits(&self, pool: PoolId) -> impl Iterator<Item = Fit> + '_ {
        self.decider.queued().filter_map(move |job| self.decider.fits(job).find(|fit| fit.pool == pool))
    }
}

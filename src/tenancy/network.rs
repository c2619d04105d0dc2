//! The network between the hosts of pools.

use std::sync::Arc;

use crate::fabric::graph::Fabric;
use crate::fabric::traffic::Ranks;

/// A network of a design, with the hosts of one pool or several on it.
#[derive(Debug)]
pub struct Network {
    fabric: Fabric,
    capacities: Vec<f64>,
    phase_overlap: f64,
}

impl Network {
    /// With the share of their communication that jobs do at the same time as others, 0 to 1.
    #[must_use]
    pub fn new(fabric: Fabric, phase_overlap: f64) -> Self {
        Self { capacities: fabric.capacities(), fabric, phase_overlap }
    }

    /// Bytes per second that each link can carry, by its number.
    #[must_use]
    pub fn capacities(&self) -> &[f64] {
        &self.capacities
    }

    /// 0 = everybody communicates while the others compute, 1 = all at once.
    #[must_use]
    pub fn phase_overlap(&self) -> f64 {
        self.phase_overlap
    }

    /// What the rings of a job on these hosts, with its GPUs on each, put on links if each host sends `bytes` to the next
    /// one in the order of the network.
    #[must_use]
    pub fn ring(&self, hosts: &[(u32, u32)], job: u64, rings: u32, bytes: f64) -> Vec<(u32, f64)> {
        self.fabric.ring(&Ranks { nodes: hosts, rank_order: true, job, rings }, bytes)
    }

    /// The graph.
    #[must_use]
    pub fn fabric(&self) -> &Fabric {
        &self.fabric
    }
}

/// A pool on a network.
#[derive(Clone, Debug)]
pub struct OnNetwork {
    /// Which one.
    pub network: Arc<Network>,
    /// Number there of the pool's first host; the others follow.
    pub first: u32,
    /// Bytes per second of the adapters that stand for one GPU, as jobs have them: a virtual adapter can be slower than
    /// the link behind it. Of the whole host where it has no GPUs.
    pub adapter_bytes_s: f64,
}

/// The same network, not an equal one.
impl PartialEq for OnNetwork {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.network, &other.network)
            && self.first == other.first
            && self.adapter_bytes_s == other.adapter_bytes_s
    }
}

//! Hosts by what their pools plan for them, and by what jobs hold of them.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::course::Stay;
use super::{Guests, OnNode, OnNodes};
use crate::ids::PoolId;
use crate::simulation::meter::UNITS_PER_DEVICE;
use crate::tenancy::{FailureLevel, Network, PoolTenancy};

/// A host, and what its pool plans for each of its hosts.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct HostRow<S> {
    pub(in crate::simulation) host: u32,
    /// Number among the hosts of its tenancy kind.
    pub(in crate::simulation) ordinal: u32,
    pub(in crate::simulation) pool: PoolId,
    /// Its nodes.
    pub(in crate::simulation) nodes: Range<u32>,
    pub(in crate::simulation) spec: S,
}

impl<S> HostRow<S> {
    /// The same host with another plan.
    pub(in crate::simulation) fn with<O>(self, spec: O) -> HostRow<O> {
        let Self { host, ordinal, pool, nodes, .. } = self;
        HostRow { host, ordinal, pool, nodes, spec }
    }
}

impl Guests<'_> {
    /// The switch of this level above a host, by its number among all of the design.
    pub(in crate::simulation) fn switch_above(&self, host: u32, level: FailureLevel) -> Option<u64> {
        let row = &self.hosts[host as usize];
        let on = self.spec.pools[row.pool].network.as_ref()?;
        let networks = self.spec.pools.iter().filter_map(|pool| pool.network.as_ref());
        let mut known: Vec<*const Network> = networks.map(|on| Arc::as_ptr(&on.network)).collect();
        known.dedup();
        let network = known.iter().position(|known| *known == Arc::as_ptr(&on.network))?;
        let steps = if level == FailureLevel::Spine { 2 } else { 1 };
        let switch = on.network.fabric().switch_above(on.first + row.in_pool, steps)?;
        Some((network as u64) << 32 | u64::from(switch))
    }

    /// The hosts of all pools that have such a plan.
    pub(in crate::simulation) fn hosts_with<S>(
        &self,
        plan: impl Fn(&PoolTenancy) -> Option<S>,
    ) -> Vec<HostRow<S>> {
        let rows = self.hosts.iter().zip(0..).filter_map(|(row, host)| {
            let spec = plan(&self.spec.pools[row.pool])?;
            Some(HostRow { host, ordinal: row.ordinal, pool: row.pool, nodes: row.nodes.clone(), spec })
        });
        rows.collect()
    }

    /// The parts of hosts that a job holds.
    pub(super) fn stays(&self, nodes: &OnNodes) -> SmallVec<[Stay; 1]> {
        let (mut stays, mut highest): (SmallVec<[Stay; 1]>, Option<u32>) = (SmallVec::new(), None);
        for OnNode { node, held } in nodes {
            let host = self.host_of[*node];
            let (cpus, gpus) = self.host_size[self.hosts[host as usize].pool];
            let part = match (gpus, held.gpu_units) {
                (1.., 1..) => held.gpu_units as f64 / (f64::from(gpus) * UNITS_PER_DEVICE as f64),
                _ => f64::from(held.cpus) / f64::from(cpus.max(1)),
            };
            // Nodes mostly come in order: a job on thousands of them is not searched through for each.
            let may_be_there = highest.is_some_and(|highest| host <= highest);
            highest = highest.max(Some(host));
            let known = if may_be_there { stays.iter_mut().rfind(|stay| stay.host == host) } else { None };
            match known {
                Some(stay) => (stay.part, stay.cpus) = (stay.part + part, stay.cpus + held.cpus),
                None => stays.push(Stay { host, part, cpus: held.cpus, caused: 1.0 }),
            }
        }
        stays
    }
}

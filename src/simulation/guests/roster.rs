//! Hosts by what their pools plan for them, and by what jobs hold of them.

use std::ops::Range;

use smallvec::SmallVec;

use super::course::Stay;
use super::{Guests, OnNode, OnNodes};
use crate::ids::PoolId;
use crate::simulation::meter::UNITS_PER_DEVICE;
use crate::tenancy::PoolTenancy;

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

impl Guests<'_> {
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

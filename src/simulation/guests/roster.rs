//! Hosts by what their pools plan for them.

use std::ops::Range;

use super::Guests;
use crate::ids::PoolId;
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
}

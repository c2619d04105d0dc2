//! Hosts that jobs of one tenant have at a time.

use super::Notes;
use crate::scenario::Design;
use crate::scenario::file::{Dedicated, PoolTable};
use crate::tenancy::PoolTenancy;

/// Nodes on each host, where the hosts of the pool are dedicated.
pub(super) fn nodes_per_host(table: &PoolTable, tenancy: &PoolTenancy) -> Option<u32> {
    let is_dedicated = table.dedicated == Some(Dedicated::Host);
    is_dedicated.then(|| tenancy.packing.map_or(1, |packing| packing.per_host))
}

/// Tells of dedicated hosts that a pool cannot keep, whatever the policy.
pub(super) fn check(notes: &mut Notes<'_>, designs: &[Design]) {
    for design in designs {
        for (pool, terms) in design.cluster.pools.iter().zip(&design.pools) {
            if pool.dedicated.is_none() || terms.tenancy.elastic.is_none() {
                continue;
            }
            let path = ["design", design.name.as_str(), "pool", pool.name.as_str(), "dedicated"];
            let message =
                "an elastic pool orders VMs, not hosts: which host a new VM is on is the provider's choice";
            notes.error_help("W0219", &path, message, "leave out `dedicated`, or `elastic`");
        }
    }
}

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

/// Tells of dedicated hosts that the policy or the pool cannot keep.
pub(super) fn check(notes: &mut Notes<'_>, designs: &[Design], is_classic: bool) {
    for design in designs {
        for (pool, terms) in design.cluster.pools.iter().zip(&design.pools) {
            if pool.dedicated.is_none() {
                continue;
            }
            let path = ["design", design.name.as_str(), "pool", pool.name.as_str(), "dedicated"];
            let (message, help) = if !is_classic && !notes.is_slurm {
                (
                    "this policy knows no dedicated hosts in this version",
                    "policies for them: fcfs, greedy, sjf, ljf, priority, easy, conservative, expression; or keep a \
                     whole pool for a tenant with `tenants = [...]` (not under Slurm's policy)",
                )
            } else if terms.tenancy.elastic.is_some() {
                (
                    "an elastic pool orders VMs, not hosts: which host a new VM is on is the provider's choice",
                    "leave out `dedicated`, or `elastic`",
                )
            } else {
                continue;
            };
            notes.error_help("W0219", &path, message, help);
        }
    }
}

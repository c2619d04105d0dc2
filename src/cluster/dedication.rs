//! Dedicated hosts: which tenant has which host now.
//!
//! In a dedicated pool jobs of different tenants never share a host. A host that is empty may be taken by
//! anybody; a host with a tenant's jobs takes only that tenant's. What keeps nodes from jobs (maintenance, nodes
//! down) is nobody's and takes no host.

use super::{ClusterSpec, Grant};
use crate::ids::{IdVec, NodeId, TenantId};

/// No host: the node's pool is not dedicated.
const NONE: u32 = u32::MAX;

/// A host of a dedicated pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// First node on it, and how many.
    first: u32,
    nodes: u32,
    /// Whose jobs are on it, and how many grants they have.
    tenant: Option<TenantId>,
    grants: u32,
}

/// All hosts of the dedicated pools.
#[derive(Clone, Debug)]
pub(super) struct Dedication {
    host_of: IdVec<NodeId, u32>,
    pub(super) hosts: Vec<Host>,
}

impl Dedication {
    /// The hosts of `spec`; `None` where no pool is dedicated.
    pub(super) fn new(spec: &ClusterSpec) -> Option<Box<Self>> {
        if spec.pools.iter().all(|pool| pool.dedicated.is_none()) {
            return None;
        }
        let mut host_of = IdVec::new();
        let mut hosts: Vec<Host> = Vec::new();
        for pool in &spec.pools {
            let first = host_of.len() as u32;
            for at in 0..pool.count {
                let Some(per_host) = pool.dedicated else {
                    host_of.push(NONE);
                    continue;
                };
                if at % per_host.max(1) == 0 {
                    hosts.push(Host { first: first + at, nodes: 0, tenant: None, grants: 0 });
                }
                let last = hosts.len() - 1;
                hosts[last].nodes += 1;
                host_of.push(last as u32);
            }
        }
        Some(Box::new(Self { host_of, hosts }))
    }

    pub(super) fn host(&self, node: NodeId) -> Option<usize> {
        let host = self.host_of[node];
        (host != NONE).then_some(host as usize)
    }

    /// The nodes on a host, by index.
    pub(super) fn nodes_on(&self, host: usize) -> std::ops::Range<u32> {
        let row = &self.hosts[host];
        row.first..row.first + row.nodes
    }

    pub(super) fn tenant(&self, node: NodeId) -> Option<TenantId> {
        self.host(node).and_then(|host| self.hosts[host].tenant)
    }

    /// The hosts of `grants` become `tenant`'s. The first node on a host of somebody else is the error, and
    /// then nothing changes.
    pub(super) fn claim(&mut self, grants: &[Grant], tenant: TenantId) -> Result<(), NodeId> {
        let taken = |grant: &&Grant| self.tenant(grant.node).is_some_and(|other| other != tenant);
        if let Some(grant) = grants.iter().find(taken) {
            return Err(grant.node);
        }
        for host in grants.iter().map(|grant| self.host_of[grant.node]).filter(|host| *host != NONE) {
            let row = &mut self.hosts[host as usize];
            row.tenant = Some(tenant);
            row.grants += 1;
        }
        Ok(())
    }

    /// Ends what `claim` began.
    pub(super) fn disclaim(&mut self, grants: &[Grant]) {
        for host in grants.iter().map(|grant| self.host_of[grant.node]).filter(|host| *host != NONE) {
            let row = &mut self.hosts[host as usize];
            row.grants -= 1;
            if row.grants == 0 {
                row.tenant = None;
            }
        }
    }
}

//! Dedicated hosts: which tenant has which host now.
//!
//! In a dedicated pool jobs of different tenants never share a host. A host that is empty may be taken by
//! anybody; a host with a tenant's jobs takes only that tenant's. What keeps nodes from jobs (maintenance, nodes
//! down) is nobody's and takes no host.

use super::ClusterSpec;
use crate::ids::{IdVec, NodeId, TenantId};

/// No host: the node's pool is not dedicated.
const NONE: u32 = u32::MAX;

/// A host of a dedicated pool.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    /// First node on it, and how many.
    first: u32,
    nodes: u32,
    /// Whose jobs are on it, and how many grants they have.
    tenant: Option<TenantId>,
    grants: u32,
}

/// All hosts of the dedicated pools.
#[derive(Clone, Debug)]
pub struct Dedication {
    host_of: IdVec<NodeId, u32>,
    hosts: Vec<Host>,
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

    /// Number of hosts.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// The host of a node of a dedicated pool.
    #[must_use]
    pub fn host(&self, node: NodeId) -> Option<usize> {
        let host = self.host_of[node];
        (host != NONE).then_some(host as usize)
    }

    /// The nodes on the host of a node, itself included.
    #[must_use]
    pub fn beside(&self, node: NodeId) -> Option<std::ops::Range<u32>> {
        let row = &self.hosts[self.host(node)?];
        Some(row.first..row.first + row.nodes)
    }

    /// Whose jobs are on the host of a node now.
    #[must_use]
    pub fn tenant(&self, node: NodeId) -> Option<TenantId> {
        self.host(node).and_then(|host| self.hosts[host].tenant)
    }

    /// The same with the number of grants that they have there.
    #[must_use]
    pub fn owner(&self, node: NodeId) -> Option<(TenantId, u32)> {
        let row = &self.hosts[self.host(node)?];
        row.tenant.map(|tenant| (tenant, row.grants))
    }

    /// Whether `tenant` may use a node now as far as other tenants go.
    #[must_use]
    pub fn is_open(&self, node: NodeId, tenant: TenantId) -> bool {
        self.tenant(node).is_none_or(|other| other == tenant)
    }

    /// The hosts of `nodes` become `tenant`'s. The first node on a host of somebody else is the error, and
    /// then nothing changes.
    pub(super) fn claim(
        &mut self,
        nodes: impl Iterator<Item = NodeId> + Clone,
        tenant: TenantId,
    ) -> Result<(), NodeId> {
        if let Some(node) = nodes.clone().find(|node| !self.is_open(*node, tenant)) {
            return Err(node);
        }
        for host in nodes.map(|node| self.host_of[node]).filter(|host| *host != NONE) {
            let row = &mut self.hosts[host as usize];
            row.tenant = Some(tenant);
            row.grants += 1;
        }
        Ok(())
    }

    /// Ends what `claim` began.
    pub(super) fn disclaim(&mut self, nodes: impl Iterator<Item = NodeId>) {
        for host in nodes.map(|node| self.host_of[node]).filter(|host| *host != NONE) {
            let row = &mut self.hosts[host as usize];
            row.grants -= 1;
            if row.grants == 0 {
                row.tenant = None;
            }
        }
    }
}

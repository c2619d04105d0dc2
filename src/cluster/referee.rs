//! An independent check of what was granted, from the record alone.
//!
//! The referee shares no code with the ledger: it re-adds every grant over time and looks for
//! over-capacity, a GPU held twice, an end before its start, two tenants on a dedicated host. Tests run it on every schedule; release
//! runs with `--referee`.

use std::collections::BTreeMap;

use super::{ClusterSpec, Grant};
use crate::ids::TenantId;
use crate::time::SimTime;

/// One allocation as it was: from, to, what.
#[derive(Clone, Debug)]
pub struct Held {
    /// Row number in the record, for messages.
    pub row: usize,
    /// Taken at.
    pub start: SimTime,
    /// Given back at.
    pub end: SimTime,
    /// Whose it was.
    pub tenant: TenantId,
    /// What was held.
    pub grants: Vec<Grant>,
}

/// Checks a history of allocations against the hardware.
#[derive(Debug)]
pub struct Referee;

/// The first violation found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An end before its start.
    #[error("row {row} ends before it starts")]
    Causality {
        /// Row.
        row: usize,
    },
    /// More in use than a node has.
    #[error("node {node} is over capacity at {at} s ({what}), row {row}")]
    Capacity {
        /// Node index.
        node: u32,
        /// When.
        at: SimTime,
        /// Which resource.
        what: &'static str,
        /// Row that went over.
        row: usize,
    },
    /// One GPU held by two.
    #[error("GPU {gpu} of node {node} is held twice at {at} s, row {row}")]
    GpuTwice {
        /// Node index.
        node: u32,
        /// GPU index.
        gpu: u32,
        /// When.
        at: SimTime,
        /// Second holder.
        row: usize,
    },
    /// Two tenants on a host of a dedicated pool.
    #[error("node {node} is on a dedicated host with jobs of two tenants at {at} s, row {row}")]
    TwoTenants {
        /// Node index.
        node: u32,
        /// When.
        at: SimTime,
        /// Second holder.
        row: usize,
    },
    /// A grant on a node that does not exist.
    #[error("row {row} names node {node}, which does not exist")]
    NoSuchNode {
        /// Node index.
        node: u32,
        /// Row.
        row: usize,
    },
}

impl Referee {
    /// Goes through the history in time order, releases before takes.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn check(spec: &ClusterSpec, history: &[Held]) -> Result<(), Violation> {
        let limits: Vec<(u64, u64, u32)> = spec
            .pools
            .iter()
            .flat_map(|p| {
                let c = p.node.capacity;
                std::iter::repeat_n((u64::from(c.cpus), c.mem_mb, c.gpus), p.count as usize)
            })
            .collect();
        let mut used: Vec<(u64, u64)> = vec![(0, 0); limits.len()];
        let mut holder: Vec<Vec<Option<usize>>> = limits.iter().map(|l| vec![None; l.2 as usize]).collect();
        let mut hosts = Hosts::new(spec);
        let mut steps: Vec<(SimTime, bool, usize)> = Vec::with_capacity(history.len() * 2);
        for (at, held) in history.iter().enumerate() {
            if held.end < held.start {
                return Err(Violation::Causality { row: held.row });
            }
            if held.end > held.start {
                steps.push((held.start, true, at));
                steps.push((held.end, false, at));
            }
        }
        steps.sort_unstable();
        for (now, take, at) in steps {
            let held = &history[at];
            for grant in &held.grants {
                let n = grant.node.0 as usize;
                let Some(limit) = limits.get(n) else {
                    return Err(Violation::NoSuchNode { node: grant.node.0, row: held.row });
                };
                let over = |what| Violation::Capacity { node: grant.node.0, at: now, what, row: held.row };
                if !hosts.step(n, held.tenant, take) {
                    return Err(Violation::TwoTenants { node: grant.node.0, at: now, row: held.row });
                }
                if !take {
                    used[n].0 -= u64::from(grant.cpus);
                    used[n].1 -= grant.mem_mb;
                } else {
                    used[n].0 += u64::from(grant.cpus);
                    used[n].1 += grant.mem_mb;
                    if used[n].0 > limit.0 {
                        return Err(over("CPUs"));
                    }
                    if used[n].1 > limit.1 {
                        return Err(over("memory"));
                    }
                }
                for gpu in (0..64).filter(|g| grant.gpus >> g & 1 == 1) {
                    let Some(slot) = holder[n].get_mut(gpu) else { return Err(over("GPUs")) };
                    if take && slot.is_some() {
                        return Err(Violation::GpuTwice {
                            node: grant.node.0,
                            gpu: gpu as u32,
                            at: now,
                            row: held.row,
                        });
                    }
                    *slot = take.then_some(at);
                }
            }
        }
        Ok(())
    }
}

/// Grants on each host of dedicated pools, by tenant.
pub(super) struct Hosts {
    /// First node of each node's host; `None` where hosts are shared.
    host_of: Vec<Option<usize>>,
    tenants: BTreeMap<usize, BTreeMap<TenantId, u32>>,
}

impl Hosts {
    pub(super) fn new(spec: &ClusterSpec) -> Self {
        let mut host_of = Vec::new();
        for pool in &spec.pools {
            let first = host_of.len();
            let host = |node: usize| pool.dedicated.map(|nodes| first + node - node % nodes.max(1) as usize);
            host_of.extend((0..pool.count as usize).map(host));
        }
        Self { host_of, tenants: BTreeMap::new() }
    }

    /// A grant on `node` begins or ends; whether its host has jobs of one tenant at most.
    pub(super) fn step(&mut self, node: usize, tenant: TenantId, begins: bool) -> bool {
        let Some(host) = self.host_of[node] else { return true };
        let tenants = self.tenants.entry(host).or_default();
        let grants = tenants.entry(tenant).or_default();
        *grants = if begins { *grants + 1 } else { *grants - 1 };
        tenants.retain(|_, grants| *grants > 0);
        tenants.len() <= 1
    }
}

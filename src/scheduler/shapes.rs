//! What a request means on the nodes of a cluster: how many nodes, and how much of each.
//!
//! A [`Shape`] lists, per pool that can hold it, groups of equal node parts in falling order (each part
//! holds the next), so "enough nodes for all groups" is a count per group.
//!
//! Rules (DESIGN.md 5.3). Nodes: as asked, else what the GPUs, tasks per node or CPUs need at the
//! pool's node size. With nodes asked for, GPUs and CPUs are spread evenly (the first nodes take the
//! remainder); without, nodes are filled one after another and the last takes the remainder. CPUs:
//! as asked, else tasks x CPUs per task, else one per task. A job's nodes come from one pool. Who asks for a part of a
//! GPU gets a whole one ([`BoardPart`]).

mod rounded;

use smallvec::SmallVec;

pub use self::rounded::BoardPart;
use crate::cluster::cards::CARD_UNITS;
use crate::cluster::{Amounts, ClusterSpec, NodeSpec, PoolSpec};
use crate::ids::{Id, IdVec, PartId, PoolId, RequestId, ShapeId, TenantId};
use crate::workload::{Interner, Request, Workload};

/// What one node of one pool must give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// The pool.
    pub pool: PoolId,
    /// The amounts.
    pub amounts: Amounts,
    /// Whose jobs may be on the host, where hosts are dedicated.
    pub tenant: Option<TenantId>,
}

/// A request on one pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolShape {
    /// The pool.
    pub pool: PoolId,
    /// (part, number of nodes), each part holding the next.
    pub groups: SmallVec<[(PartId, u32); 1]>,
    /// Taken in all.
    pub total: Amounts,
    /// Asked for in all; less than `total` for exclusive nodes.
    pub asked: Amounts,
    /// GPUs asked for in hours units, where the job asks for parts of GPUs and is given whole ones.
    pub asked_units: Option<u64>,
    /// Nodes in all.
    pub nodes: u32,
}

impl PoolShape {
    /// What each of its GPUs is asked for, in hours units.
    #[must_use]
    pub fn units_of_each(&self) -> u32 {
        let each = self.asked_units.map(|units| units / u64::from(self.asked.gpus.max(1)));
        each.map_or(CARD_UNITS, |units| u32::try_from(units).unwrap_or(CARD_UNITS))
    }

    /// Held of its GPUs beyond the parts that it asks for, in hours units; whole GPUs beyond those asked for are in
    /// `total`.
    #[must_use]
    pub fn units_beyond(&self) -> u64 {
        u64::from(CARD_UNITS - self.units_of_each()) * u64::from(self.asked.gpus)
    }
}

/// A request on every pool that can hold it, in declared order; empty = no pool can.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Shape {
    /// Pools that can hold it when empty.
    pub pools: SmallVec<[PoolShape; 1]>,
}

/// Why a pool can never hold a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Infeasible {
    /// One node is too small.
    #[error("needs {ask} on a node; {node} has {has}")]
    NodeTooSmall {
        /// Asked of one node.
        ask: Amounts,
        /// Kind of node.
        node: String,
        /// What it has.
        has: Amounts,
    },
    /// Too few nodes.
    #[error("needs {ask} nodes; the pool has {has}")]
    TooFewNodes {
        /// Nodes asked for.
        ask: u32,
        /// Nodes of the pool.
        has: u32,
    },
    /// Other GPUs.
    #[error("asks for GPU type {ask}; the pool has {has}")]
    GpuType {
        /// Types asked for.
        ask: String,
        /// Type of the pool.
        has: String,
    },
    /// A missing feature.
    #[error("asks for feature '{0}', which the pool's nodes do not have")]
    Feature(String),
    /// GPU sharing, which these pools do not offer.
    #[error("asks for {0}; GPUs of this pool are {1}")]
    SharedGpu(String, &'static str),
    /// Too little memory on the GPU or instance.
    #[error("needs {ask} MiB of GPU memory; {what} has {has}")]
    GpuMemory {
        /// Asked of each GPU.
        ask: u64,
        /// Whose memory.
        what: String,
        /// What it has.
        has: u64,
    },
    /// A MIG profile that the GPU does not know.
    #[error("asks for MIG profile {profile}, which {gpu} does not have")]
    NoProfile {
        /// As asked.
        profile: String,
        /// The GPU.
        gpu: String,
    },
    /// A MIG profile that no fixed layout of the pool has.
    #[error("asks for MIG profile {profile}; no GPU of {node} is cut so, and layouts do not change")]
    NotInLayout {
        /// As asked.
        profile: String,
        /// Kind of node.
        node: String,
    },
    /// Parts of GPUs that an empty node cannot give.
    #[error("needs {what} on a node; {node} cannot give them")]
    NotOnOneNode {
        /// In words.
        what: String,
        /// Kind of node.
        node: String,
    },
    /// More than the counters hold.
    #[error("asks for more than can be counted")]
    Overflow,
}

/// All requests of a workload on the pools of one cluster.
#[derive(Debug)]
pub struct Shapes {
    /// Distinct node parts.
    pub parts: Interner<PartId, Part>,
    shapes: Interner<ShapeId, Shape>,
    by_request: IdVec<RequestId, ShapeId>,
    refusals: IdVec<RequestId, Option<String>>,
    have_slack: bool,
}

impl Shapes {
    /// Works out every request of `workload` on the pools of `spec`.
    #[must_use]
    pub fn new(workload: &Workload, spec: &ClusterSpec) -> Self {
        let mut parts = Interner::default();
        let mut shapes = Interner::default();
        let mut by_request = IdVec::new();
        let mut refusals = IdVec::new();
        for (_, request) in workload.requests.iter() {
            let mut shape = Shape::default();
            let mut reasons: Vec<String> = Vec::new();
            for (at, pool) in spec.pools.iter().enumerate() {
                match on_pool(request, workload, PoolId::new(at), pool, &mut parts) {
                    Ok(fit) => shape.pools.push(fit),
                    Err(reason) if spec.pools.len() == 1 => reasons.push(reason.to_string()),
                    Err(reason) => reasons.push(format!("pool '{}': {reason}", pool.name)),
                }
            }
            refusals.push(shape.pools.is_empty().then(|| reasons.join("; ")));
            by_request.push(shapes.intern(&shape));
        }
        let gives_more = |(_, shape): (ShapeId, &Shape)| {
            shape.pools.iter().any(|p| p.total != p.asked || p.asked_units.is_some())
        };
        let have_slack = shapes.iter().any(gives_more);
        Self { parts, shapes, by_request, refusals, have_slack }
    }

    /// Whether some request is given more than it asks for (exclusive nodes, whole GPUs for parts of them).
    #[must_use]
    pub fn have_slack(&self) -> bool {
        self.have_slack
    }

    /// The shape of a request.
    #[must_use]
    pub fn of(&self, request: RequestId) -> ShapeId {
        self.by_request[request]
    }

    /// A shape.
    #[must_use]
    pub fn get(&self, id: ShapeId) -> &Shape {
        self.shapes.get(id)
    }

    /// Number of distinct shapes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Least that each shape takes in all, over its pools; without pools, more than anybody has.
    pub fn least(&self) -> impl Iterator<Item = Amounts> {
        const NEVER_FREE: Amounts = Amounts { cpus: u32::MAX, gpus: u32::MAX, mem_mb: u64::MAX };
        let totals = |(_, shape): (ShapeId, &Shape)| {
            shape.pools.iter().map(|pool| pool.total).reduce(|a, b| a.min(&b)).unwrap_or(NEVER_FREE)
        };
        self.shapes.iter().map(totals)
    }

    /// Whether there is no shape.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Why no pool can ever hold a request; `None` if one can.
    #[must_use]
    pub fn refusal(&self, request: RequestId) -> Option<&str> {
        self.refusals[request].as_deref()
    }
}

/// Totals of a request, before it meets a node.
pub(super) struct Totals {
    pub(super) nodes: Option<u32>,
    pub(super) tasks: u32,
    pub(super) cpus: u32,
    pub(super) gpus: u32,
}

pub(super) fn totals(r: &Request) -> Option<Totals> {
    let times = |a: Option<u32>, b: Option<u32>| Some(a?.checked_mul(b?));
    let tasks = match r.tasks.map(Some).or(times(r.tasks_per_node, r.nodes)) {
        Some(tasks) => tasks?,
        None => match (r.cpus, r.cpus_per_task) {
            (Some(cpus), Some(per)) => cpus.div_ceil(per.max(1)),
            _ => r.nodes.unwrap_or(1),
        },
    };
    let cpus = match r.cpus {
        Some(cpus) => cpus,
        None => tasks.checked_mul(r.cpus_per_task.unwrap_or(1))?,
    };
    let gpus = match r.gpus {
        Some(gpus) => gpus,
        None => match (r.gpus_per_node, r.gpus_per_task) {
            (Some(per), _) => per.checked_mul(r.nodes.unwrap_or(1))?,
            (None, Some(per)) => per.checked_mul(tasks)?,
            // A share of a GPU, or a profile, without a count means one.
            (None, None) => u32::from(r.gpu_milli.is_some_and(|m| m > 0) || r.mig_profile.is_some()),
        },
    };
    Some(Totals { nodes: r.nodes, tasks, cpus, gpus })
}

fn on_pool(
    request: &Request,
    workload: &Workload,
    pool: PoolId,
    spec: &PoolSpec,
    parts: &mut Interner<PartId, Part>,
) -> Result<PoolShape, Infeasible> {
    let (node, count) = (&spec.node, spec.count);
    let asked = totals(request).ok_or(Infeasible::Overflow)?;
    check_types(request, workload, node, asked.gpus)?;
    let part = if asked.gpus > 0 { BoardPart::of(request, workload, node)? } else { None };
    let nodes = node_count(request, &asked, &node.capacity);
    if nodes > count {
        return Err(Infeasible::TooFewNodes { ask: nodes, has: count });
    }
    let mem_mb = request.mem_mb_per_node.unwrap_or(0);
    let rows = if request.exclusive {
        vec![(node.capacity, nodes)]
    } else {
        split(&asked, nodes, mem_mb, &node.capacity)
    };
    let asked_total = Amounts {
        cpus: asked.cpus,
        gpus: asked.gpus,
        mem_mb: mem_mb.checked_mul(u64::from(nodes)).ok_or(Infeasible::Overflow)?,
    };
    let largest = split(&asked, nodes, mem_mb, &node.capacity)[0].0;
    if !node.capacity.holds(&largest) {
        return Err(Infeasible::NodeTooSmall { ask: largest, node: node.name.clone(), has: node.capacity });
    }
    let total = rows.iter().fold(Amounts::ZERO, |sum, (part, n)| sum.plus(&part.times(*n)));
    let tenant = spec.dedicated.map(|_| TenantId::named(request.tenant));
    let mut intern = |amounts| parts.intern(&Part { pool, amounts, tenant });
    let groups = rows.into_iter().map(|(amounts, n)| (intern(amounts), n)).collect();
    let asked_units = part.map(|part| u64::from(part.units) * u64::from(asked.gpus));
    Ok(PoolShape { pool, groups, total, asked: asked_total, asked_units, nodes })
}

/// Refuses other GPU types and missing features.
pub(super) fn check_types(
    request: &Request,
    workload: &Workload,
    node: &NodeSpec,
    gpus: u32,
) -> Result<(), Infeasible> {
    // GPUs of no stated type take every request.
    let is_unknown = node.gpu_type.is_none() && node.capacity.gpus > 0;
    if gpus > 0 && !request.gpu_types.is_empty() && !is_unknown {
        let has = node.gpu_type.as_deref().unwrap_or("none");
        if !request.gpu_types.iter().any(|t| workload.texts.get(*t) == has) {
            let ask: Vec<&str> = request.gpu_types.iter().map(|t| workload.texts.get(*t)).collect();
            return Err(Infeasible::GpuType { ask: ask.join("|"), has: has.to_owned() });
        }
    }
    let memory = request.gpu_mem_mib.zip(node.gpu_mem_mib).filter(|_| gpus > 0);
    if let Some((ask, has)) = memory.filter(|(ask, has)| ask > has) {
        let what = node.gpu_type.clone().unwrap_or_else(|| "a GPU of the pool".to_owned());
        return Err(Infeasible::GpuMemory { ask, what, has });
    }
    for feature in &request.features {
        let wanted = workload.texts.get(*feature);
        if !node.features.iter().any(|f| f == wanted) {
            return Err(Infeasible::Feature(wanted.to_owned()));
        }
    }
    Ok(())
}

pub(super) fn node_count(request: &Request, asked: &Totals, capacity: &Amounts) -> u32 {
    asked.nodes.unwrap_or_else(|| {
        let for_gpus = if capacity.gpus > 0 { asked.gpus.div_ceil(capacity.gpus) } else { 1 };
        let for_cpus = if capacity.cpus > 0 { asked.cpus.div_ceil(capacity.cpus) } else { 1 };
        let for_tasks = request.tasks_per_node.map_or(1, |per| asked.tasks.div_ceil(per.max(1)));
        let per_node = request.gpus_per_node.filter(|per| *per > 0).map_or(1, |per| asked.gpus.div_ceil(per));
        for_gpus.max(for_cpus).max(for_tasks).max(per_node).max(1)
    })
}

/// Node parts in falling order with their counts.
pub(super) fn split(asked: &Totals, nodes: u32, mem_mb: u64, capacity: &Amounts) -> Vec<(Amounts, u32)> {
    let nodes = nodes.max(1);
    let filled = asked.nodes.is_none() && nodes > 1 && asked.gpus > 0;
    if filled && let Some(rows) = fill_nodes(asked, nodes, mem_mb, capacity) {
        return rows;
    }
    // Evenly: the first (total mod nodes) nodes take one more.
    let (gpus, more_gpus) = (asked.gpus / nodes, asked.gpus % nodes);
    let (cpus, more_cpus) = (asked.cpus / nodes, asked.cpus % nodes);
    let mut cuts = [more_gpus, more_cpus, nodes];
    cuts.sort_unstable();
    let mut rows = Vec::with_capacity(3);
    let mut from = 0;
    for to in cuts {
        if to > from {
            let amounts = Amounts {
                cpus: cpus + u32::from(from < more_cpus),
                gpus: gpus + u32::from(from < more_gpus),
                mem_mb,
            };
            rows.push((amounts, to - from));
            from = to;
        }
    }
    rows
}

/// Full nodes and a last one with the rest; CPUs in proportion to GPUs. `None` where that cannot be.
fn fill_nodes(asked: &Totals, nodes: u32, mem_mb: u64, capacity: &Amounts) -> Option<Vec<(Amounts, u32)>> {
    let full = nodes - 1;
    let rest = asked.gpus.checked_sub(full.checked_mul(capacity.gpus)?).filter(|rest| *rest > 0)?;
    if rest == capacity.gpus {
        return None;
    }
    let share = u64::from(asked.cpus) * u64::from(capacity.gpus);
    let cpus = u32::try_from(share.div_ceil(u64::from(asked.gpus))).ok()?.min(capacity.cpus);
    let rest_cpus = asked.cpus.checked_sub(full * cpus).filter(|rest| *rest <= cpus)?;
    Some(vec![
        (Amounts { cpus, gpus: capacity.gpus, mem_mb }, full),
        (Amounts { cpus: rest_cpus, gpus: rest, mem_mb }, 1),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: Amounts = Amounts { cpus: 64, gpus: 8, mem_mb: 1 << 20 };

    fn rows(nodes: Option<u32>, cpus: u32, gpus: u32) -> Vec<(u32, u32, u32)> {
        let asked = Totals { nodes, tasks: 1, cpus, gpus };
        let n = node_count(&Request::default(), &asked, &NODE);
        split(&asked, n, 0, &NODE).iter().map(|(a, n)| (a.cpus, a.gpus, *n)).collect()
    }

    #[test]
    fn nodes_asked_for_are_loaded_evenly() {
        assert_eq!(rows(Some(2), 32, 16), [(16, 8, 2)]);
        assert_eq!(rows(Some(2), 9, 5), [(5, 3, 1), (4, 2, 1)]);
        assert_eq!(rows(Some(4), 6, 5), [(2, 2, 1), (2, 1, 1), (1, 1, 2)]);
    }

    #[test]
    fn nodes_not_asked_for_are_filled_one_by_one() {
        assert_eq!(rows(None, 9, 9), [(8, 8, 1), (1, 1, 1)]);
        assert_eq!(rows(None, 16, 16), [(8, 8, 2)]);
        assert_eq!(rows(None, 1, 1), [(1, 1, 1)]);
        assert_eq!(rows(None, 100, 0), [(50, 0, 2)]);
    }
}

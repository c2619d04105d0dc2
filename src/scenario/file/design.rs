//! `[design.NAME]` and its pools.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    BareMetalTable, ContainersTable, CostTable, DataTable, Dedicated, EventTable, FabricTable, Named,
    ReservationTable, RouteTable, SiteTable, SlurmOptions, StoreTable, VmTable,
};

/// A cluster as it could be bought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DesignTable {
    /// Name in tables and reports; default the design's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Pools of equal nodes; under a slurm.conf these come beside its nodes.
    #[serde(default)]
    pub pool: Named<PoolTable>,
    /// What the design says of nodes that slurm.conf brings, by their name: `n1`, or `n1-n16` for equal neighbours.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub site: Named<SiteTable>,
    /// Which jobs go to which pools: named rules, the first that matches counts.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub route: Named<RouteTable>,
    /// Networks; a pool names the one that its hosts are on.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub fabric: Named<FabricTable>,
    /// Stores that jobs write their snapshots to; `snapshots` of a pool names one.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub store: Named<StoreTable>,
    /// Nodes that go out of order at instants that are written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event: Vec<EventTable>,
    /// Recorded outages: a CSV file `node,down_s,up_s[,cause]` relative to the scenario; nodes by name, or number from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outages: Option<String>,
    /// Nodes that are kept free for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reservation: Vec<ReservationTable>,
    /// Options of Slurm that this design changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slurm: Option<Box<SlurmOptions>>,
    /// Name of the quote in `finance.quotes` by which this design is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// What moving to this design costs once, at the start of the plan; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration_cost: Option<f64>,
}

/// Equal nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PoolTable {
    /// Kind of node: a name of the catalogue or of a `[node.NAME]` table; under a slurm.conf also `partition:NAME`, a node
    /// as most of that partition are (`partition:`: of the default one).
    pub node: String,
    /// How many; 0 leaves the pool out beside others.
    pub count: u32,
    /// Only jobs of these tenants run here; default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<String>>,
    /// Whether a host takes jobs of one tenant at a time only; default none. Tenants are those of the trace, its
    /// accounts where it has none; jobs without are together one tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedicated: Option<Dedicated>,
    /// The network of its hosts, by the name of a `[design.NAME.fabric.NAME]` table; default one that costs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fabric: Option<String>,
    /// What the GPUs of a host talk over, by a row of the catalogue's `fabrics`, where it is not what their boards have: a
    /// host whose NVLink is lost has `PCIe5-x16`. Only with `fabric`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_link: Option<String>,
    /// Where its jobs read their data; default: that takes as long as recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<DataTable>,
    /// How many of its hosts are kept back for others that fail; default none. They are part of `count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spares: Option<SparesTable>,
    /// How jobs get at the hardware; default bare-metal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenancy: Option<TenancyTable>,
    /// Partitions that the nodes are in, where the policy is Slurm's; default: under a slurm.conf the default
    /// partition and those of all nodes, else one of the pool's name and one of all pools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<Vec<String>>,
    /// How the pool is paid for; without it there are no cost figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostTable>,
}

/// Hosts that take the place of others that fail or are out of order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SparesTable {
    /// How many stand by: they take a place at once; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standby: Option<u32>,
    /// How many are lent to others until no standby is left; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lent: Option<u32>,
    /// Seconds until one that was lent is back; needed with `lent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_after_s: Option<f64>,
}

/// How jobs get at the hardware.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TenancyTable {
    /// Jobs run on the nodes themselves.
    BareMetal(BareMetalTable),
    /// Containers on hosts that jobs share.
    Containers(ContainersTable),
    /// Virtual machines.
    Vm(Box<VmTable>),
}

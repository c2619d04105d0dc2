//! Networks and stores of a design.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network between the hosts of a design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FabricTable {
    /// How its switches are joined.
    pub topology: Topology,
    /// Adapters of the hosts, by their row in the catalogue's `fabrics`; default InfiniBand-NDR400.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nic: Option<String>,
    /// Adapters of a host; default one for each of its GPUs, one where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub ports_per_node: Option<u32>,
    /// Hosts under a leaf switch, or in a pod of rails; default 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub nodes_per_leaf: Option<u32>,
    /// Levels of switches of a fat tree: 2 or 3; default 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 3))]
    pub levels: Option<u32>,
    /// Leaf switches in a pod, where there are three levels, or in a group of a dragonfly; default 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub leaves_per_pod: Option<u32>,
    /// What goes down from a leaf over what goes up: 4 = a quarter of the rate upwards; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oversubscription: Option<f64>,
    /// How flows take parallel uplinks; default ideal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// How much of their communication jobs do at the same time as others: 0 = they take turns, 1 = all at once;
    /// default 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase_overlap: Option<f64>,
    /// File of `topology = "edges"` (CSV) or `"topology-conf"`, relative to the scenario file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// How the switches of a network are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// One switch.
    Single,
    /// Leaves and spines.
    FatTree,
    /// Adapter i of every host of a pod on leaf i.
    Rail,
    /// Groups of leaves, all joined with each other; minimal paths.
    Dragonfly,
    /// Racks whose GPUs are all on NVLink, with leaves and spines between them.
    Nvl72,
    /// The links of a CSV file.
    Edges,
    /// The switches of Slurm's topology.conf.
    TopologyConf,
}

/// How flows take the parallel uplinks of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// As if they were one link.
    Ideal,
    /// Each flow takes one, by chance.
    Hash,
}

/// A store that running jobs share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StoreTable {
    /// GB per second that all writers share.
    pub write_gb_s: f64,
    /// Most GB per second that one node sends; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_gb_s: Option<f64>,
    /// What fits in, in TB; default: no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_tb: Option<f64>,
}

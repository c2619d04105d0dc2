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
    /// Rings run through the hosts of a job in the order of the network, as communication libraries that know it lay them;
    /// `false`: in the order in which the job was given its hosts. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_order: Option<bool>,
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

/// Whose a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// All nodes share it.
    Shared,
    /// Each node has one of its own; what is on it is lost with the node.
    LocalNvme,
}

/// A store that running jobs use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StoreTable {
    /// Whose it is; default shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<StoreKind>,
    /// GB per second that all writers share; of each node with `kind = "local-nvme"`.
    pub write_gb_s: f64,
    /// GB per second that all readers share, or of each node; default as `write-gb-s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_gb_s: Option<f64>,
    /// Whether GPUs read and write past the memory of their host (GPUDirect Storage), which is faster for each node; default
    /// true. In VMs `gpudirect-storage` must allow it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpudirect: Option<bool>,
    /// Most GB per second that one node sends or fetches with GPUDirect; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_gb_s: Option<f64>,
    /// What fits in, in TB; default: no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_tb: Option<f64>,
}

/// Where jobs read their data while they run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DataTable {
    /// Name of a `[design.NAME.store.NAME]` table.
    pub store: String,
    /// GB per second that a job reads for each of its GPUs while it reads: in the share `storage` of its class.
    pub gpu_gb_s: f64,
}

/// How the GPUs of a job send to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Traffic {
    /// Each node to the next one.
    Ring,
    /// Each GPU to each.
    AllToAll,
}

/// How a model is split that a class of jobs trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainingTable {
    /// Parameters of the model, in 10^9.
    pub parameters_b: f64,
    /// Seconds of a step as it was recorded, packed and alone.
    pub step_s: f64,
    /// GPUs of the job that had that step: a GPU has the same work in jobs of any size; default: it is the step of each job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub step_gpus: Option<u32>,
    /// How it is split; default three-d.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitKind>,
    /// Three-d: parts of a tensor; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub tensor: Option<u32>,
    /// Three-d: parts of the chain of layers; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub pipeline: Option<u32>,
    /// Three-d: parts of a sequence, whose gradients are summed with those of the data; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub context: Option<u32>,
    /// Fully sharded: layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub layers: Option<u32>,
    /// Fully sharded: times that all parameters are gathered in a step; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub micro_steps: Option<u32>,
    /// Numbers that it computes with: bf16 and fp8 send 6 bytes for each parameter, fp32 sends 8; default bf16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<PrecisionKind>,
}

/// How a model is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SplitKind {
    /// Tensors, layers and data, with a sharded optimizer.
    ThreeD,
    /// Parameters over all GPUs.
    FullySharded,
}

/// What a model computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PrecisionKind {
    /// 16 bits.
    Bf16,
    /// 8 bits.
    Fp8,
    /// 32 bits.
    Fp32,
}

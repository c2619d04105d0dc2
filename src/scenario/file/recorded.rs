//! `workload.recorded-on`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the run times of a workload were recorded. They are brought back to bare metal, alone, before a design
/// stretches them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RecordedOnTable {
    /// On bare metal, alone.
    BareMetal,
    /// On the design itself, start-up included: every job holds its devices for as long as it is recorded.
    Design,
    /// In VMs that took these factors longer.
    Vm(RecordedVmTable),
    /// In containers.
    Containers(RecordedStartTable),
    /// On instances of one MIG profile, each job alone on its own.
    Slice(RecordedSliceTable),
}

/// VMs in which jobs were recorded: factors on the shares of a job's time, 1 where nothing is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RecordedVmTable {
    /// On arithmetic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute: Option<f64>,
    /// On GPU memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory: Option<f64>,
    /// On CPUs, host memory and copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<f64>,
    /// On communication inside a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intra_node: Option<f64>,
    /// On communication between nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inter_node: Option<f64>,
    /// On input and output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<f64>,
    /// Seconds of each run time that were boot; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_s: Option<f64>,
}

/// What of each recorded run time was start-up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RecordedStartTable {
    /// Seconds; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_s: Option<f64>,
}

/// The instances on which jobs were recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RecordedSliceTable {
    /// The GPU that was cut.
    pub gpu: String,
    /// The profile.
    pub profile: String,
}

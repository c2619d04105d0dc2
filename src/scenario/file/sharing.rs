//! How the GPUs of a pool are shared, and how fast jobs run on parts of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of bare metal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BareMetalTable {
    /// MIG on the GPUs; default off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig: Option<Mig>,
    /// Layouts of a node's GPUs, the first GPUs first; with `dynamic` and `planned` those at the beginning
    /// (default: MIG off until an instance is wanted).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_layouts: Option<Vec<MigLayoutTable>>,
    /// Whether a node must be empty before layouts on it change, as mig-parted needs; only with `planned`;
    /// default false: only the slices concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_whole_node: Option<bool>,
    /// Seconds that an instance stays after its job, before it may be destroyed; with `planned` the least time
    /// between two plans; default 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_keep_s: Option<f64>,
    /// Seconds to destroy or create one instance; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_instance_s: Option<f64>,
    /// Seconds to switch MIG on or off on a GPU; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_mode_s: Option<f64>,
    /// Seconds to change the layouts of an empty node; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_node_s: Option<f64>,
    /// Which requests that name no profile get an instance; default share-or-memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_for: Option<MigFor>,
    /// Sharing of GPUs in thousandths; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// What jobs on one GPU do to each other; default saturation for mps, fixed-share for time-slices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub co_location: Option<CoLocation>,
    /// Loss of speed for each further job on a GPU under `saturation`; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub co_location_loss: Option<f64>,
    /// What jobs on one node do to each other's memory, PCIe and network; default off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contention: Option<super::ContentionLevel>,
    /// A node provisioned for each job; default: nodes stand ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<super::BootTable>,
    /// Planned work on the hosts, one after the other; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<super::MaintenanceTable>,
    /// Failures of hosts, which take all jobs on them along; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<super::FailuresTable>,
    /// Snapshots of running jobs, from which they go on after a failure; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<super::SnapshotsTable>,
    /// What happens to a job that has run for its limit; default run-on; kill with `cut-at-limit` and under Slurm's policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_limit: Option<super::AtLimit>,
}

/// The keys that say how the GPUs of a pool are shared: the same under every tenancy that can have them.
pub struct SharingKeys<'t> {
    /// `mig`
    pub mig: &'t mut Option<Mig>,
    /// `mig-layouts`
    pub mig_layouts: &'t mut Option<Vec<MigLayoutTable>>,
    /// `mig-whole-node`
    pub mig_whole_node: &'t mut Option<bool>,
    /// `mig-keep-s`
    pub mig_keep_s: &'t mut Option<f64>,
    /// `mig-instance-s`
    pub mig_instance_s: &'t mut Option<f64>,
    /// `mig-mode-s`
    pub mig_mode_s: &'t mut Option<f64>,
    /// `mig-node-s`
    pub mig_node_s: &'t mut Option<f64>,
    /// `mig-for`
    pub mig_for: &'t mut Option<MigFor>,
    /// `sharing`
    pub sharing: &'t mut Option<Sharing>,
    /// `co-location`
    pub co_location: &'t mut Option<CoLocation>,
    /// `co-location-loss`
    pub co_location_loss: &'t mut Option<f64>,
}

impl SharingKeys<'_> {
    /// The keys that are written, but for `mig-layouts`, which vGPUs have too.
    #[must_use]
    pub fn written(&self) -> Vec<&'static str> {
        [
            ("mig", self.mig.is_some()),
            ("mig-whole-node", self.mig_whole_node.is_some()),
            ("mig-keep-s", self.mig_keep_s.is_some()),
            ("mig-instance-s", self.mig_instance_s.is_some()),
            ("mig-mode-s", self.mig_mode_s.is_some()),
            ("mig-node-s", self.mig_node_s.is_some()),
            ("mig-for", self.mig_for.is_some()),
            ("sharing", self.sharing.is_some()),
            ("co-location", self.co_location.is_some()),
            ("co-location-loss", self.co_location_loss.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, is_written)| is_written.then_some(key))
        .collect()
    }
}

macro_rules! shares {
    ($($table:ty),*) => {$(
        impl $table {
            /// Its keys about sharing.
            pub fn sharing_keys(&mut self) -> SharingKeys<'_> {
                SharingKeys {
                    mig: &mut self.mig,
                    mig_layouts: &mut self.mig_layouts,
                    mig_whole_node: &mut self.mig_whole_node,
                    mig_keep_s: &mut self.mig_keep_s,
                    mig_instance_s: &mut self.mig_instance_s,
                    mig_mode_s: &mut self.mig_mode_s,
                    mig_node_s: &mut self.mig_node_s,
                    mig_for: &mut self.mig_for,
                    sharing: &mut self.sharing,
                    co_location: &mut self.co_location,
                    co_location_loss: &mut self.co_location_loss,
                }
            }
        }
    )*};
}

shares!(BareMetalTable, super::ContainersTable, super::VmTable);

/// MIG on the GPUs of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mig {
    /// Whole GPUs.
    Off,
    /// The layouts of `mig-layouts` for ever.
    Static,
    /// Instances are created when a job needs one, from slices that nobody uses.
    Dynamic,
    /// A planner chooses layouts for the queue, of slices that nobody uses.
    Planned,
}

/// Which requests that name no profile get an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MigFor {
    /// A share of a GPU (`gpu_milli`), or one GPU with the memory needed (`gpu_mem_mib`): the smallest profile
    /// that has both.
    ShareOrMemory,
    /// A share of a GPU only.
    Share,
}

/// One layout for some GPUs of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MigLayoutTable {
    /// How many GPUs of each node are cut so; default all that are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub gpus: Option<u32>,
    /// Profiles, with their start where it matters: `3g.40gb` or `3g.40gb@4`. `["whole"]` = MIG off.
    pub instances: Vec<String>,
}

/// Sharing of GPUs in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// Whole GPUs.
    None,
    /// MPS, or Slurm's shards: jobs run side by side.
    Mps,
    /// Time slices: jobs run in turn.
    TimeSlices,
}

/// What jobs on one GPU do to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CoLocation {
    /// Each job has its share of the GPU, whether others use theirs or not.
    FixedShare,
    /// Jobs run at full speed until their uses of the GPU sum to more than one.
    Saturation,
    /// Jobs have equal turns of the GPU; a turn that a job does not use is lost.
    EqualShare,
    /// Measured slowdowns of pairs (catalogue `interference`), by the class's `family`.
    Pairs,
}

/// On what the run times of the workload were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MeasuredOn {
    /// On what each job asks for: a share, an instance, whole GPUs.
    AsAsked,
    /// On whole GPUs, also where a job asks for a part of one.
    WholeGpu,
}

/// How a class of jobs responds to a part of a GPU: speed = 1 / (host + (1 - host) max(1, compute / c,
/// bandwidth / b)) on an instance with shares c of the multiprocessors and b of the memory bandwidth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SliceLawTable {
    /// Share of the run time that does not depend on the GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub host: Option<f64>,
    /// Part of the GPU's compute that the rest can use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub compute: Option<f64>,
    /// Part of the GPU's memory bandwidth that the rest can use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub bandwidth: Option<f64>,
    /// Family in the table of measured pairs, for `co-location = "pairs"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
}

//! Facts about hardware and prices, each row with its source: GPUs, node types, prices, times of MIG changes,
//! laws of speed on parts of GPUs, slowdowns of jobs that share one.
//!
//! The rows lie in CSV files beside this one and are built into the program. They are defaults: a
//! scenario overrides nodes with `[node.NAME]`, boards with `[gpu.NAME]`, prices in `cost` tables.
//! `windtunnel catalog` lists them, and a report names every one that was used.

pub mod fabrics;
pub mod virtualization;

use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::file::{SpeedupLevel, SpeedupMix};

/// How a value is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Somebody ran it and reported numbers.
    Measured,
    /// The maker's documentation, price page or data sheet.
    Vendor,
    /// A page states it without showing how it was found.
    Claimed,
    /// No source, or only part of one; the reasoning is in the source column.
    Estimated,
}

impl Confidence {
    /// The word in the CSV files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Vendor => "vendor",
            Self::Claimed => "claimed",
            Self::Estimated => "estimated",
        }
    }
}

/// A GPU board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuRow {
    /// Name: model-memory-variant.
    pub gpu: String,
    /// Generation.
    pub architecture: String,
    /// PCIe, SXM5, ...
    pub form_factor: String,
    /// What the boards of a node talk over, a name of the catalogue's `fabrics`.
    pub gpu_link: String,
    /// Marketed memory, in GB.
    pub memory_gb: u32,
    /// Peak memory bandwidth, in 10^12 bytes/s.
    pub mem_bw_tb_s: f64,
    /// Dense FP16/BF16 tensor peak, in 10^12 FLOP/s.
    pub fp16_bf16_dense_tflops: f64,
    /// Board power limit, in W.
    pub tdp_w: u32,
    /// Power when idle, in W.
    pub idle_w: u32,
    /// Where the values come from.
    pub source: String,
    /// How they are known.
    pub confidence: Confidence,
    /// Caveats.
    pub notes: String,
}

/// A kind of node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Name.
    pub node: String,
    /// Cores (hardware threads are not counted).
    pub cpus: u32,
    /// Memory, in MiB.
    pub mem_mb: u64,
    /// GPU board, a name of the GPU catalogue.
    pub gpu: Option<String>,
    /// Number of GPUs.
    pub gpus: u32,
    /// Power that the maker rates it for, in W.
    pub power_rated_w: Option<u32>,
    /// Power when busy, in W.
    pub power_busy_w: Option<u32>,
    /// Power when idle, in W.
    pub power_idle_w: Option<u32>,
    /// Where the values come from.
    pub source: String,
    /// How they are known.
    pub confidence: Confidence,
    /// Caveats.
    pub notes: String,
}

/// What a price row is a price of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriceKind {
    /// Purchase of a node.
    OwnedNode,
    /// An hour of a GPU on demand.
    RentedGpu,
    /// A kWh.
    Energy,
    /// Power usage effectiveness, a ratio.
    Pue,
    /// Years over which hardware is written off.
    Depreciation,
    /// Worth of hardware after that, as a share of its price.
    Residual,
    /// Network, as a share of the nodes' price.
    NetworkShare,
    /// Shared storage, as a share of the nodes' price.
    StorageShare,
    /// Support per year, as a share of the price.
    Support,
    /// Floor space and cooling of a kW for a month.
    Colocation,
    /// People for 1000 GPUs.
    Staff,
    /// Cost of one of them for a year.
    Salary,
    /// A licence, by its item; the unit says for what.
    Licence,
    /// Share off the price on demand, reserved for a year.
    #[serde(rename = "reserved-1y")]
    Reserved1y,
    /// Share off the price on demand, reserved for three years.
    #[serde(rename = "reserved-3y")]
    Reserved3y,
    /// Share off the price on demand, spot.
    Spot,
    /// An hour of a GPU in a committed block.
    RentedBlock,
    /// Storage, egress and management, as a share of the rent.
    RentExtras,
}

/// A price or a figure of the cost model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriceRow {
    /// What is priced, in words.
    pub item: String,
    /// What it is a price of.
    pub kind: PriceKind,
    /// The GPU, for `rented-gpu`.
    pub gpu: Option<String>,
    /// The node, for `owned-node`.
    pub node: Option<String>,
    /// Unit, for instance `USD/GPU-h`.
    pub unit: String,
    /// Lowest plausible.
    pub low: f64,
    /// Typical: the default.
    pub typical: f64,
    /// Highest plausible.
    pub high: f64,
    /// When it held.
    pub as_of: String,
    /// Where the values come from.
    pub source: String,
    /// How they are known.
    pub confidence: Confidence,
    /// Caveats.
    pub notes: String,
}

/// How long it takes to change the layout of a GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProvisioningRow {
    /// `mig-instance`, `mig-mode`, `mig-node`.
    pub event: String,
    /// Generation that it is about; the others where `None`.
    pub architecture: Option<String>,
    /// Shortest plausible, in seconds.
    pub low_s: f64,
    /// Typical: the default.
    pub typical_s: f64,
    /// Longest plausible.
    pub high_s: f64,
    /// Where the values come from.
    pub source: String,
    /// How they are known.
    pub confidence: Confidence,
    /// Caveats.
    pub notes: String,
}

/// How a class of jobs responds to a part of a GPU (`cluster::mig::SliceLaw`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceLawRow {
    /// Class, or `default`.
    pub class: String,
    /// Share of the run time that does not depend on the GPU.
    pub host: f64,
    /// Part of the GPU's compute that the rest can use.
    pub compute: f64,
    /// Part of its memory bandwidth that the rest can use.
    pub bandwidth: f64,
    /// Where the values come from.
    pub source: String,
    /// How they are known.
    pub confidence: Confidence,
    /// Caveats.
    pub notes: String,
}

/// What two jobs on one GPU do to each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterferenceRow {
    /// The GPU that it was measured on.
    pub gpu: String,
    /// Family of the job that is slowed down; `any` for all.
    pub victim: String,
    /// Family of the other job.
    pub aggressor: String,
    /// Measured pairs.
    pub pairs: u32,
    /// Slowdown, 10th percentile over the pairs.
    pub slowdown_p10: f64,
    /// Median: what is used.
    pub slowdown_p50: f64,
    /// 90th percentile.
    pub slowdown_p90: f64,
    /// Where the values come from.
    pub source: String,
    /// How they are known.
    pub confidence: Confidence,
}

/// What part of the time of a class of jobs follows which figure of a GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpeedupMixRow {
    /// The mix.
    pub mix: SpeedupMix,
    /// How much of the difference between two GPUs reaches the jobs.
    pub level: SpeedupLevel,
    /// Share of the time that follows the FP16/BF16 peak.
    pub compute: f64,
    /// Share that follows the memory bandwidth.
    pub bandwidth: f64,
    /// Share that no GPU shortens; the three sum to 1.
    pub latency: f64,
    /// Where the values come from.
    pub source: String,
    /// How they are known.
    pub confidence: Confidence,
    /// Caveats.
    pub notes: String,
}

/// The mix of a class of jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobClassRow {
    /// Name of the class, in lower case.
    pub class: String,
    /// Its mix.
    pub mix: SpeedupMix,
    /// Where that comes from.
    pub source: String,
    /// How it is known.
    pub confidence: Confidence,
}

fn rows<T: DeserializeOwned>(text: &str) -> Vec<T> {
    csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()
        .expect("the built-in catalogue is well-formed: a test reads it")
}

static GPUS: LazyLock<Vec<GpuRow>> = LazyLock::new(|| rows(include_str!("catalogue/gpus.csv")));
static NODES: LazyLock<Vec<NodeRow>> = LazyLock::new(|| rows(include_str!("catalogue/nodes.csv")));
static PROVISIONING: LazyLock<Vec<ProvisioningRow>> =
    LazyLock::new(|| rows(include_str!("catalogue/provisioning.csv")));
static SLICE_LAWS: LazyLock<Vec<SliceLawRow>> =
    LazyLock::new(|| rows(include_str!("catalogue/slice_laws.csv")));
static INTERFERENCE: LazyLock<Vec<InterferenceRow>> =
    LazyLock::new(|| rows(include_str!("catalogue/interference.csv")));
static PRICES: LazyLock<Vec<PriceRow>> = LazyLock::new(|| rows(include_str!("catalogue/prices.csv")));

static MIXES: LazyLock<Vec<SpeedupMixRow>> =
    LazyLock::new(|| rows(include_str!("catalogue/speedup_mixes.csv")));
static CLASSES: LazyLock<Vec<JobClassRow>> =
    LazyLock::new(|| rows(include_str!("catalogue/job_classes.csv")));

/// What bounds jobs, at three levels.
#[must_use]
pub fn speedup_mixes() -> &'static [SpeedupMixRow] {
    &MIXES
}

/// The mixes of known job classes.
#[must_use]
pub fn job_classes() -> &'static [JobClassRow] {
    &CLASSES
}

/// The mix of a class of jobs (upper and lower case are the same), if the class is known.
#[must_use]
pub fn mix_of_class(class: &str) -> Option<SpeedupMix> {
    job_classes().iter().find(|row| row.class.eq_ignore_ascii_case(class)).map(|row| row.mix)
}

/// The shares of a mix at a level.
///
/// # Panics
/// If the built-in catalogue lacks one, which a test excludes.
#[must_use]
pub fn speedup_mix(mix: SpeedupMix, level: SpeedupLevel) -> &'static SpeedupMixRow {
    let found = speedup_mixes().iter().find(|row| row.mix == mix && row.level == level);
    found.expect("the built-in catalogue has every mix at every level")
}

/// The board that a trace means: by its name, or the first one of its model that shares most of the words
/// (`A100`, `NVIDIA A100-SXM4-80GB`, `tesla_v100`).
#[must_use]
pub fn board_meant(text: &str) -> Option<&'static GpuRow> {
    if let Some(row) = gpu(text) {
        return Some(row);
    }
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
        let parts = parts.map(str::to_ascii_uppercase).filter(|word| word != "NVIDIA" && word != "TESLA");
        parts.flat_map(|word| with_memory(&word)).collect()
    };
    let asked = words(text);
    let (model, rest) = asked.split_first()?;
    let shared = |row: &GpuRow| {
        let mut known = words(&row.gpu);
        known.push(row.form_factor.to_ascii_uppercase());
        let alike = |word: &String| known[1..].iter().any(|k| k == word || word.starts_with(k.as_str()));
        (known[0] == *model).then(|| rest.iter().filter(|word| alike(word)).count())
    };
    let mut best: Option<(usize, &GpuRow)> = None;
    for row in gpus() {
        if let Some(count) = shared(row).filter(|count| best.is_none_or(|(most, _)| *count > most)) {
            best = Some((count, row));
        }
    }
    best.map(|(_, row)| row)
}

/// `V100M32` is a V100 with 32 GB in Alibaba's traces.
fn with_memory(word: &str) -> Vec<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match word.rsplit_once('M') {
        Some((model, gb)) if digits(gb) && model.ends_with(|c: char| c.is_ascii_digit()) => {
            vec![model.to_owned(), format!("{gb}GB")]
        }
        _ => vec![word.to_owned()],
    }
}

/// All GPU boards.
#[must_use]
pub fn gpus() -> &'static [GpuRow] {
    &GPUS
}

/// All kinds of node.
#[must_use]
pub fn nodes() -> &'static [NodeRow] {
    &NODES
}

/// All prices.
#[must_use]
pub fn prices() -> &'static [PriceRow] {
    &PRICES
}

/// Times of changes of layouts.
#[must_use]
pub fn provisioning() -> &'static [ProvisioningRow] {
    &PROVISIONING
}

/// Laws of speed on a part of a GPU.
#[must_use]
pub fn slice_laws() -> &'static [SliceLawRow] {
    &SLICE_LAWS
}

/// Slowdowns of jobs on one GPU.
#[must_use]
pub fn interference() -> &'static [InterferenceRow] {
    &INTERFERENCE
}

/// The time of an event on a GPU of that generation.
///
/// # Panics
/// If the built-in catalogue has none, which a test excludes.
#[must_use]
pub fn provisioning_time(event: &str, architecture: Option<&str>) -> &'static ProvisioningRow {
    let of = |row: &&ProvisioningRow| row.event == event;
    let exact =
        |row: &&ProvisioningRow| row.architecture.is_some() && row.architecture.as_deref() == architecture;
    let general = |row: &&ProvisioningRow| row.architecture.is_none();
    let rows = || provisioning().iter().filter(of);
    rows()
        .find(exact)
        .or_else(|| rows().find(general))
        .expect("the catalogue has a general row for each event")
}

/// The board of that name.
#[must_use]
pub fn gpu(name: &str) -> Option<&'static GpuRow> {
    gpus().iter().find(|row| row.gpu == name)
}

/// The kind of node of that name.
#[must_use]
pub fn node(name: &str) -> Option<&'static NodeRow> {
    nodes().iter().find(|row| row.node == name)
}

/// What buying that node costs.
#[must_use]
pub fn owned_node(name: &str) -> Option<&'static PriceRow> {
    prices().iter().find(|row| row.kind == PriceKind::OwnedNode && row.node.as_deref() == Some(name))
}

/// What an hour of that GPU costs on demand.
#[must_use]
pub fn rented_gpu(name: &str) -> Option<&'static PriceRow> {
    prices().iter().find(|row| row.kind == PriceKind::RentedGpu && row.gpu.as_deref() == Some(name))
}

/// The only row of a kind that has one (energy, PUE, depreciation).
///
/// # Panics
/// If the built-in catalogue has none, which a test excludes.
#[must_use]
pub fn figure(kind: PriceKind) -> &'static PriceRow {
    prices().iter().find(|row| row.kind == kind).expect("the built-in catalogue has each general figure")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn unique<'a>(keys: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        keys.for_each(|key| assert!(seen.insert(key), "{key} twice"));
        assert!(!seen.is_empty());
    }

    #[test]
    fn boards_are_unique_sourced_and_plausible() {
        unique(gpus().iter().map(|row| row.gpu.as_str()));
        for row in gpus() {
            assert!(!row.source.is_empty() && !row.gpu.contains(' '), "{}", row.gpu);
            assert!(row.memory_gb > 0 && row.idle_w < row.tdp_w, "{}", row.gpu);
            assert!(row.mem_bw_tb_s > 0.0 && row.fp16_bf16_dense_tflops > 0.0, "{}", row.gpu);
        }
    }

    #[test]
    fn mixes_are_whole_and_spread_from_low_to_high() {
        use SpeedupLevel::{High, Low, Typical};
        assert_eq!(speedup_mixes().len(), 12);
        for row in speedup_mixes() {
            assert!((row.compute + row.bandwidth + row.latency - 1.0).abs() < 1e-9, "{:?}", row.mix);
            assert!(!row.source.is_empty());
            let latency = |level| speedup_mix(row.mix, level).latency;
            assert!(latency(Low) > latency(Typical) && latency(Typical) > latency(High), "{:?}", row.mix);
        }
        unique(job_classes().iter().map(|row| row.class.as_str()));
        assert_eq!(mix_of_class("Pretrain"), Some(SpeedupMix::ComputeBound));
    }

    #[test]
    fn boards_are_found_by_what_traces_call_them() {
        let meant = |text: &str| board_meant(text).map(|row| row.gpu.as_str());
        assert_eq!(meant("V100"), Some("V100-SXM2-16GB"));
        assert_eq!(meant("NVIDIA A100-SXM4-80GB"), Some("A100-80GB-SXM"));
        assert_eq!(meant("a100"), Some("A100-40GB-SXM"));
        assert_eq!(meant("Tesla V100-PCIE-32GB"), Some("V100-PCIe-32GB"));
        assert_eq!(meant("NVIDIA H100 80GB HBM3"), Some("H100-80GB-SXM"));
        assert_eq!(meant("P100"), Some("P100-16GB"));
        assert_eq!(meant("V100M32"), Some("V100-SXM2-32GB"));
        assert_eq!(meant("G3"), None);
        assert_eq!(meant(""), None);
    }

    #[test]
    fn nodes_are_unique_sourced_and_name_known_boards() {
        unique(nodes().iter().map(|row| row.node.as_str()));
        for row in nodes() {
            assert!(!row.source.is_empty() && row.cpus > 0 && row.mem_mb > 0, "{}", row.node);
            assert_eq!(row.gpu.is_some(), row.gpus > 0, "{}", row.node);
            if let Some(name) = &row.gpu {
                let board = gpu(name).expect(name);
                let boards_w = board.tdp_w * row.gpus;
                assert!(row.power_busy_w.expect(name) > boards_w / 2, "{}", row.node);
            }
            if let (Some(rated), Some(busy)) = (row.power_rated_w, row.power_busy_w) {
                assert!(busy <= rated, "{}", row.node);
            }
            assert!(row.power_idle_w.is_none_or(|idle| Some(idle) < row.power_busy_w), "{}", row.node);
        }
    }

    #[test]
    fn what_shared_gpus_need_is_unique_sourced_and_plausible() {
        let keys: Vec<String> =
            provisioning().iter().map(|row| format!("{} {:?}", row.event, row.architecture)).collect();
        unique(keys.iter().map(String::as_str));
        for event in ["mig-instance", "mig-mode", "mig-node"] {
            assert!(provisioning_time(event, None).architecture.is_none());
        }
        for row in provisioning() {
            assert!(0.0 < row.low_s && row.low_s <= row.typical_s && row.typical_s <= row.high_s, "{row:?}");
        }
        unique(slice_laws().iter().map(|row| row.class.as_str()));
        for row in slice_laws() {
            assert!(
                crate::cluster::mig::SliceLaw::new(row.host, row.compute, row.bandwidth).is_some(),
                "{row:?}"
            );
            assert!(!row.source.is_empty());
        }
        // The law for classes without one stays near the published means of A100 slices, by SM and memory shares.
        let default = slice_laws().iter().find(|row| row.class == "default").unwrap();
        let law =
            crate::cluster::mig::SliceLaw::new(default.host, default.compute, default.bandwidth).unwrap();
        let published = [(56.0, 4.0, 0.77), (42.0, 4.0, 0.70), (28.0, 2.0, 0.53), (14.0, 1.0, 0.38)];
        for (sms, slices, mean) in published {
            let share = crate::cluster::mig::SliceShare { sm: sms / 98.0, bandwidth: slices / 8.0 };
            assert!((law.speed(share) - mean).abs() < 0.05, "{} against {mean}", law.speed(share));
        }
        let keys: Vec<String> =
            interference().iter().map(|row| format!("{} {}", row.victim, row.aggressor)).collect();
        unique(keys.iter().map(String::as_str));
        for row in interference() {
            assert!(row.slowdown_p10 <= row.slowdown_p50 && row.slowdown_p50 <= row.slowdown_p90, "{row:?}");
            assert!(gpu(&row.gpu).is_some() && row.slowdown_p50 >= 1.0, "{row:?}");
        }
    }

    #[test]
    fn prices_are_unique_sourced_and_ordered() {
        let keys: Vec<String> = prices().iter().map(|row| format!("{} {:?}", row.item, row.kind)).collect();
        unique(keys.iter().map(String::as_str));
        for row in prices() {
            assert!(!row.source.is_empty() && !row.as_of.is_empty(), "{}", row.item);
            assert!(
                0.0 <= row.low && 0.0 < row.typical && row.low <= row.typical && row.typical <= row.high,
                "{}",
                row.item
            );
            assert_eq!(row.node.is_some(), row.kind == PriceKind::OwnedNode, "{}", row.item);
            let of_gpu = matches!(row.kind, PriceKind::RentedGpu | PriceKind::RentedBlock);
            assert_eq!(row.gpu.is_some(), of_gpu, "{}", row.item);
            assert!(row.node.iter().all(|name| node(name).is_some()), "{}", row.item);
            assert!(row.gpu.iter().all(|name| gpu(name).is_some()), "{}", row.item);
            let is_money = matches!(
                row.kind,
                PriceKind::OwnedNode
                    | PriceKind::RentedGpu
                    | PriceKind::RentedBlock
                    | PriceKind::Energy
                    | PriceKind::Colocation
                    | PriceKind::Salary
                    | PriceKind::Licence
            );
            assert_eq!(row.unit.starts_with("USD/"), is_money, "{}", row.item);
        }
        for kind in [PriceKind::Energy, PriceKind::Pue, PriceKind::Depreciation] {
            assert_eq!(prices().iter().filter(|row| row.kind == kind).count(), 1, "{kind:?}");
        }
        let per_key = |key: fn(&PriceRow) -> Option<&String>| {
            let names: Vec<&str> = prices().iter().filter_map(key).map(String::as_str).collect();
            unique(names.into_iter());
        };
        per_key(|row| row.node.as_ref());
        per_key(|row| row.gpu.as_ref().filter(|_| row.kind == PriceKind::RentedGpu));
        per_key(|row| row.gpu.as_ref().filter(|_| row.kind == PriceKind::RentedBlock));
    }
}

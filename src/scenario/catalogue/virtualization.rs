//! Facts about virtual machines and shared hosts: what access methods cost, what cannot be combined, what
//! classes of jobs are made of, what neighbours and strangers do.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{Confidence, rows};
use crate::tenancy::Range;

/// What an access method, or a network adapter, costs on a share of the run time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VirtualizationRow {
    /// `passthrough`, `vgpu-full`, ..., `sr-iov`, `paravirtual`, `no-nvlink`.
    pub access: String,
    /// The hypervisor that it is about; the others where `None`.
    pub hypervisor: Option<String>,
    /// The share of the run time.
    pub share: String,
    /// Lowest plausible factor on it.
    pub low: f64,
    /// Typical: the default.
    pub typical: f64,
    /// Highest plausible.
    pub high: f64,
    /// Where the values come from.
    pub source: String,
    /// How they are known.
    pub confidence: Confidence,
    /// Caveats.
    pub notes: String,
}

impl VirtualizationRow {
    /// The values.
    #[must_use]
    pub fn range(&self) -> Range {
        Range { low: self.low, typical: self.typical, high: self.high }
    }
}

/// What cannot be combined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConstraintRow {
    /// Its name.
    pub constraint: String,
    /// What it is about.
    pub applies_to: String,
    /// What it forbids or demands.
    pub effect: String,
    /// Who says so.
    pub source: String,
    /// How it is known.
    pub confidence: Confidence,
}

/// What a class of jobs is made of on bare metal, and what it uses of its host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSharesRow {
    /// Class, or `default`.
    pub class: String,
    /// Arithmetic on the GPU.
    pub compute: f64,
    /// GPU memory.
    pub gpu_memory: f64,
    /// Host.
    pub host: f64,
    /// Storage; the four sum to 1.
    pub storage: f64,
    /// Communication inside a node with 8 GPUs.
    pub intra_at_8: f64,
    /// Communication between 8 nodes.
    pub inter_at_8: f64,
    /// Use of the host's memory bandwidth, 0 to 1.
    pub memory_bandwidth: f64,
    /// Of its last-level cache.
    pub cache: f64,
    /// Of its PCIe links.
    pub pcie: f64,
    /// Of its network adapters.
    pub nic: f64,
    /// Where the values come from.
    pub source: String,
    /// How they are known.
    pub confidence: Confidence,
}

/// Loss of a job that depends on a resource wholly beside a host full of such jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContentionRow {
    /// The resource.
    pub resource: String,
    /// Lowest plausible.
    pub low: f64,
    /// Typical.
    pub typical: f64,
    /// Highest plausible.
    pub high: f64,
    /// Where the values come from.
    pub source: String,
    /// How they are known.
    pub confidence: Confidence,
    /// Caveats.
    pub notes: String,
}

/// A figure of how hosts fail and jobs survive it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityRow {
    /// What it is; its unit is the end of the name.
    pub setting: String,
    /// The default.
    pub value: f64,
    /// Where it comes from.
    pub source: String,
    /// How it is known.
    pub confidence: Confidence,
    /// Caveats.
    pub notes: String,
}

/// A figure of what strangers on a host do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostNoiseRow {
    /// The setting.
    pub setting: String,
    /// Its default.
    pub value: f64,
    /// Where it comes from.
    pub source: String,
    /// How it is known.
    pub confidence: Confidence,
}

static VIRTUALIZATION: LazyLock<Vec<VirtualizationRow>> =
    LazyLock::new(|| rows(include_str!("virtualization.csv")));
static CONSTRAINTS: LazyLock<Vec<ConstraintRow>> = LazyLock::new(|| rows(include_str!("vm_constraints.csv")));
static SHARES: LazyLock<Vec<JobSharesRow>> = LazyLock::new(|| rows(include_str!("job_shares.csv")));
static CONTENTION: LazyLock<Vec<ContentionRow>> = LazyLock::new(|| rows(include_str!("contention.csv")));
static NOISE: LazyLock<Vec<HostNoiseRow>> = LazyLock::new(|| rows(include_str!("host_noise.csv")));

static RELIABILITY: LazyLock<Vec<ReliabilityRow>> = LazyLock::new(|| rows(include_str!("reliability.csv")));

/// How hosts fail and jobs survive it.
#[must_use]
pub fn reliability_rows() -> &'static [ReliabilityRow] {
    &RELIABILITY
}

/// The figure of that name.
///
/// # Panics
/// If the built-in catalogue lacks it, which a test excludes.
#[must_use]
pub fn reliability(setting: &str) -> &'static ReliabilityRow {
    let found = reliability_rows().iter().find(|row| row.setting == setting);
    found.expect("the built-in catalogue has every figure")
}

/// What access methods cost.
#[must_use]
pub fn virtualization() -> &'static [VirtualizationRow] {
    &VIRTUALIZATION
}

/// What cannot be combined.
#[must_use]
pub fn constraints() -> &'static [ConstraintRow] {
    &CONSTRAINTS
}

/// What classes of jobs are made of.
#[must_use]
pub fn job_shares() -> &'static [JobSharesRow] {
    &SHARES
}

/// What jobs on a host lose to each other.
#[must_use]
pub fn contention() -> &'static [ContentionRow] {
    &CONTENTION
}

/// What strangers on a host do.
#[must_use]
pub fn host_noise() -> &'static [HostNoiseRow] {
    &NOISE
}

/// The factor of an access method on a share under a hypervisor; `None` where nothing is known, and then
/// nothing is lost.
#[must_use]
pub fn factor(access: &str, hypervisor: &str, share: &str) -> Option<&'static VirtualizationRow> {
    let of = |row: &&VirtualizationRow| row.access == access && row.share == share;
    let rows = || virtualization().iter().filter(of);
    rows()
        .find(|row| row.hypervisor.as_deref() == Some(hypervisor))
        .or_else(|| rows().find(|row| row.hypervisor.is_none()))
}

/// The constraint of that name.
///
/// # Panics
/// If the built-in catalogue lacks it, which a test excludes.
#[must_use]
pub fn constraint(name: &str) -> &'static ConstraintRow {
    let found = constraints().iter().find(|row| row.constraint == name);
    found.expect("the built-in catalogue has every constraint that is enforced")
}

/// The default of a figure of the noise.
///
/// # Panics
/// If the built-in catalogue lacks it, which a test excludes.
#[must_use]
pub fn noise_default(setting: &str) -> &'static HostNoiseRow {
    host_noise().iter().find(|row| row.setting == setting).expect("the built-in catalogue has every figure")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenancy::{Resource, Share};

    #[test]
    fn factors_are_ordered_sourced_and_of_known_shares() {
        for row in virtualization() {
            let known = Share::ALL.iter().any(|share| share.word() == row.share);
            assert!(known && !row.source.is_empty(), "{} {}", row.access, row.share);
            assert!(1.0 <= row.low && row.low <= row.typical && row.typical <= row.high, "{}", row.access);
        }
        assert!(factor("passthrough", "esxi", "compute").unwrap().typical > 1.02);
        assert!(factor("passthrough", "kvm", "compute").unwrap().typical < 1.02);
    }

    #[test]
    fn classes_are_whole_and_resources_known() {
        for row in job_shares() {
            let sum = row.compute + row.gpu_memory + row.host + row.storage;
            assert!((sum - 1.0).abs() < 1e-9, "{}", row.class);
        }
        assert!(job_shares().iter().any(|row| row.class == "default"));
        for resource in Resource::ALL {
            assert_eq!(contention().iter().filter(|row| row.resource == resource.word()).count(), 1);
        }
        for setting in ["busy-share", "spread", "cv", "dwell-s"] {
            assert!(noise_default(setting).value > 0.0);
        }
        for setting in [
            "mtbf-gpu-hours",
            "mtbf-host-hours",
            "level-gpu-hours",
            "level-link-hours",
            "level-software-hours",
            "repair-median-hours",
            "repair-sigma",
            "repair-software-hours",
            "repair-auto-hours",
            "repair-manual-hours",
            "repair-escalates",
            "repair-auto-fails",
            "repair-manual-fails",
            "snapshot-every-s",
            "snapshot-takes-s",
            "snapshot-restore-s",
        ] {
            assert!(reliability(setting).value > 0.0);
        }
    }
}

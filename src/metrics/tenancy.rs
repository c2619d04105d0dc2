//! Figures of runs on virtual machines and shared hosts.

use serde::Serialize;

use super::share;
use crate::simulation::Outcome;

/// Where not all is bare metal, alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TenancyFigures {
    /// Lost to the access method / held GPU time (CPU time where there is no GPU).
    pub virtualization_share: Option<f64>,
    /// Lost to others on the same host / held GPU time.
    pub neighbours_share: Option<f64>,
    /// Lost to the network / held GPU time.
    pub communication_share: Option<f64>,
    /// Booting / installed GPU time.
    pub startup_share: Option<f64>,
    /// Lost with hosts that failed / held GPU time.
    pub lost_share: Option<f64>,
    /// Busy with snapshots / held GPU time.
    pub snapshot_share: Option<f64>,
    /// Mean wait of a burst for the slices of other vGPUs, in seconds, over the time of jobs on time slices.
    pub slice_wait_mean_s: Option<f64>,
    /// 99 % of the bursts wait for less.
    pub slice_wait_p99_s: Option<f64>,
    /// Failures of hosts.
    pub host_failures: u64,
    /// Failures by what failed, where the design tells them apart.
    pub failures_by_level: Option<FailuresByLevel>,
    /// Leaves of the network that a job on several nodes had, mean over their starts.
    pub leaves_per_job: Option<f64>,
    /// The same over the fewest that it could have had on an empty network.
    pub leaves_over_fewest: Option<f64>,
    /// Running jobs that were lost with a host.
    pub lost_attempts: u64,
    /// Jobs given up because they were lost again and again without getting on.
    pub given_up: u64,
    /// Jobs killed at their limits.
    pub timeouts: u64,
    /// Under maintenance or repair / installed GPU time.
    pub down_share: Option<f64>,
    /// Ends of noise epochs on hosts with jobs.
    pub noise_epochs: u64,
    /// Jobs that waited for a boot.
    pub boots: u64,
    /// Jobs that went to other pools for their wait.
    pub spilled: u64,
    /// VMs ordered by elastic pools.
    pub vms_ordered: u64,
    /// Orders that failed.
    pub vms_failed: u64,
    /// Most VMs of elastic pools at once, summed over the pools.
    pub vms_most: u64,
    /// VM-hours of elastic pools: ordered, booting or up.
    pub vm_hours: f64,
    /// Those beyond the VMs that always run: what is rented on demand.
    pub vm_hours_on_demand: f64,
}

/// Failures by what failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FailuresByLevel {
    /// GPUs.
    pub gpu: u64,
    /// Hosts.
    pub host: u64,
    /// Links to the network.
    pub link: u64,
    /// Software.
    pub software: u64,
    /// Hosts lost with the switch that they hang on.
    pub leaf: u64,
    /// Hosts lost with a switch above that.
    pub spine: u64,
}

/// The figures; `None` where all is bare metal, alone.
pub(super) fn figures(outcome: &Outcome) -> Option<TenancyFigures> {
    const US_PER_H: f64 = 3_600e6;
    let facts = outcome.tenancy.as_deref()?;
    let total = outcome.hours.total();
    let device = if total.gpu.installed > 0 { total.gpu } else { total.cpu };
    let elastic = || facts.elastic.iter().filter(|pool| pool.is_elastic);
    let [gpu, host, link, software, leaf, spine] = facts.by_level;
    let slice_wait = facts.slice_waits_s(0.99);
    let vm_us: i128 = elastic().map(|pool| pool.vm_us).sum();
    let committed: i128 = facts
        .usage
        .iter()
        .filter(|row| row.is_committed)
        .map(|row| row.until.min(outcome.last_instant).saturating_since(row.from).micros())
        .map(i128::from)
        .sum();
    Some(TenancyFigures {
        virtualization_share: share(device.virtualization, device.allocated()),
        neighbours_share: share(device.neighbours, device.allocated()),
        communication_share: share(device.communication, device.allocated()),
        startup_share: share(device.startup + device.restart, device.installed),
        down_share: share(device.down, device.installed),
        lost_share: share(device.lost, device.allocated()),
        snapshot_share: share(device.storage, device.allocated()),
        slice_wait_mean_s: slice_wait.map(|(mean, _)| mean),
        slice_wait_p99_s: slice_wait.map(|(_, p99)| p99),
        host_failures: facts.failures,
        failures_by_level: facts.by_level.iter().any(|count| *count > 0).then_some(FailuresByLevel {
            gpu,
            host,
            link,
            software,
            leaf,
            spine,
        }),
        leaves_per_job: share(i128::from(facts.leaves.spanned), i128::from(facts.leaves.starts)),
        leaves_over_fewest: share(i128::from(facts.leaves.spanned), i128::from(facts.leaves.fewest)),
        lost_attempts: facts.lost_attempts,
        given_up: facts.given_up,
        timeouts: facts.timeouts,
        noise_epochs: facts.epochs,
        boots: facts.boots,
        spilled: facts.spilled,
        vms_ordered: elastic().map(|pool| pool.ordered).sum(),
        vms_failed: elastic().map(|pool| pool.failed).sum(),
        vms_most: elastic().map(|pool| u64::from(pool.most)).sum(),
        vm_hours: vm_us as f64 / US_PER_H,
        vm_hours_on_demand: (vm_us - committed).max(0) as f64 / US_PER_H,
    })
}

//! The figures of the first screen, one list for terminal and page: name, definition, what is better.

use crate::experiment::DesignResult;
use crate::experiment::replicas::{Variation, Verdict};
use crate::metrics::HoursFigures;
use crate::money::Money;

/// Which end of a figure is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    /// The smaller, the better.
    Lower,
    /// The larger, the better.
    Higher,
    /// Neither by itself.
    Neither,
}

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A number of things.
    Count,
    /// Seconds.
    Seconds,
    /// A share of 1.
    Share,
    /// A plain ratio.
    Ratio,
    /// Money, whole units.
    Money,
    /// Money, hundredths.
    Price,
}

/// One figure of a design.
#[derive(Debug)]
pub(super) struct Figure {
    /// Group of figures that it stands with.
    pub(super) group: &'static str,
    /// Name.
    pub(super) name: &'static str,
    /// Its key in the JSON object; empty where it has none of its own.
    pub(super) key: &'static str,
    /// What it is, in a sentence.
    pub(super) definition: &'static str,
    /// Unit.
    pub(super) unit: Unit,
    /// Which end is good.
    pub(super) better: Better,
    /// Left out where it is zero in every design.
    pub(super) only_if_any: bool,
    /// The value, if it is defined.
    value: fn(&DesignResult) -> Option<f64>,
}

impl Figure {
    const fn new(
        (group, name, key): (&'static str, &'static str, &'static str),
        unit: Unit,
        better: Better,
        value: fn(&DesignResult) -> Option<f64>,
        definition: &'static str,
    ) -> Self {
        Self { group, name, key, definition, unit, better, only_if_any: false, value }
    }

    const fn if_any(self) -> Self {
        Self { only_if_any: true, ..self }
    }

    /// The figure of `result` as text.
    pub(super) fn text(&self, result: &DesignResult) -> Option<String> {
        match self.shown(result) {
            Some(value) => Some(self.text_of(value, result)),
            None => self.is_undefined(result).then(|| "undefined".to_owned()),
        }
    }

    /// Whether it is a price for something that this design did not do: nothing useful, no job.
    fn is_undefined(&self, result: &DesignResult) -> bool {
        let counts = !self.key.contains("gpu") || result.summary.gpu_hours.is_some();
        self.unit == Unit::Price && result.cost.is_some() && counts && self.shown(result).is_none()
    }

    /// The figure as it is shown: of replicas with several seeds their estimate, else that of the run.
    pub(super) fn shown(&self, result: &DesignResult) -> Option<f64> {
        let seeds = result.uncertainty.as_ref().filter(|found| found.variation == Variation::Seeds);
        match seeds.and_then(|found| found.figures.get(self.key)) {
            Some(estimate) => Some(estimate.value),
            None => (self.value)(result),
        }
    }

    /// Any value of this figure as text.
    fn text_of(&self, value: f64, result: &DesignResult) -> String {
        let currency = result.cost.as_ref().map_or("", |cost| cost.currency.code());
        match self.unit {
            Unit::Count => count(value.max(0.0).round() as u64),
            Unit::Seconds => span(value),
            Unit::Share => percent(value),
            Unit::Ratio => format!("{value:.2}"),
            Unit::Money => format!("{} {currency}", count(value.max(0.0).round() as u64)),
            Unit::Price => format!("{value:.2} {currency}"),
        }
    }

    /// Its interval over the replicas as text; bounds below zero, where nothing can be, are shown as zero.
    pub(super) fn interval(&self, result: &DesignResult) -> Option<String> {
        let found = result.uncertainty.as_ref()?.figures.get(self.key)?;
        let (low, high) = (found.low?.max(0.0), found.high?);
        let (low, high) = (self.text_of(low, result), self.text_of(high, result));
        let low = match low.rsplit_once(' ').zip(high.rsplit_once(' ')) {
            Some(((number, unit), (_, same))) if unit == same => number.to_owned(),
            _ => low,
        };
        Some(format!("{low} - {high}"))
    }

    /// What the replicas say of its difference to the baseline.
    pub(super) fn verdict(&self, result: &DesignResult) -> Option<Verdict> {
        let against = result.uncertainty.as_ref()?.against_baseline.as_ref()?;
        Some(against.get(self.key)?.verdict)
    }

    /// Whether there is anything to show.
    pub(super) fn is_shown(&self, results: &[DesignResult]) -> bool {
        let mut values = results.iter().filter_map(|result| self.shown(result));
        if self.only_if_any {
            return values.any(|value| value > 0.0);
        }
        values.next().is_some() || results.iter().any(|result| self.is_undefined(result))
    }
}

/// The ledger that matters: GPUs, or CPUs where there is no GPU.
pub(super) fn main_hours(result: &DesignResult) -> HoursFigures {
    result.summary.gpu_hours.unwrap_or(result.summary.cpu_hours)
}

fn idle_waiting(result: &DesignResult) -> Option<f64> {
    let hours = main_hours(result);
    (hours.installed > 0.0).then(|| hours.idle_waiting / hours.installed)
}

fn units(amount: Option<Money>) -> Option<f64> {
    amount.map(Money::as_units)
}

use Better::{Higher, Lower, Neither};

/// All of them, in the order of tables.
pub(super) const FIGURES: &[Figure] = &[
    Figure::new(
        ("Jobs", "Jobs completed", "jobs.completed"),
        Unit::Count,
        Higher,
        |r| Some(r.summary.jobs.completed as f64),
        "Jobs that ran to their end.",
    ),
    Figure::new(
        ("Jobs", "Jobs refused", "jobs.refused"),
        Unit::Count,
        Lower,
        |r| Some(r.summary.jobs.refused as f64),
        "Rows that the reader refused and jobs that no pool of the design can ever hold. They count in no wait.",
    )
    .if_any(),
    Figure::new(
        ("Jobs", "Jobs failed or cancelled", ""),
        Unit::Count,
        Neither,
        |r| Some((r.summary.jobs.failed + r.summary.jobs.cancelled) as f64),
        "Jobs that ended without success or were withdrawn, as in the trace.",
    )
    .if_any(),
    Figure::new(
        ("Jobs", "Jobs unfinished", "jobs.unfinished"),
        Unit::Count,
        Lower,
        |r| Some(r.summary.jobs.unfinished as f64),
        "Jobs that waited or ran when the run was cut.",
    )
    .if_any(),
    Figure::new(
        ("Jobs", "Makespan", "makespan_s"),
        Unit::Seconds,
        Lower,
        |r| r.summary.makespan_s,
        "Last end - first submission.",
    ),
    Figure::new(
        ("Waiting", "Wait, mean", "wait_s.mean"),
        Unit::Seconds,
        Lower,
        |r| r.summary.wait_s.mean,
        "First start - submission, arithmetic mean over the jobs that started.",
    ),
    Figure::new(
        ("Waiting", "Wait, median", "wait_s.p50"),
        Unit::Seconds,
        Lower,
        |r| r.summary.wait_s.p50,
        "Half of the jobs that started waited no longer than this.",
    ),
    Figure::new(
        ("Waiting", "Wait, p95", "wait_s.p95"),
        Unit::Seconds,
        Lower,
        |r| r.summary.wait_s.p95,
        "95th percentile: one job in twenty waited this long or longer.",
    ),
    Figure::new(
        ("Waiting", "Wait, p99", "wait_s.p99"),
        Unit::Seconds,
        Lower,
        |r| r.summary.wait_s.p99,
        "99th percentile: one job in a hundred waited this long or longer.",
    ),
    Figure::new(
        ("Waiting", "Wait, longest", "wait_s.max"),
        Unit::Seconds,
        Lower,
        |r| r.summary.wait_s.max,
        "The longest wait of all jobs that started.",
    ),
    Figure::new(
        ("Waiting", "Turnaround, mean", "turnaround_s.mean"),
        Unit::Seconds,
        Lower,
        |r| r.summary.sharing.and(r.summary.turnaround_s.mean),
        "End - submission: jobs on parts of GPUs wait less and run longer.",
    ),
    Figure::new(
        ("Waiting", "Bounded slowdown, mean", "bounded_slowdown.mean"),
        Unit::Ratio,
        Lower,
        |r| r.summary.bounded_slowdown.mean,
        "max(1, (wait + run) / max(run, 10 s)), arithmetic mean over the jobs that ran to an end. No unit: 1 is no wait.",
    ),
    Figure::new(
        ("Use", "GPUs allocated", "utilization.gpu_allocated"),
        Unit::Share,
        Neither,
        |r| r.summary.utilization.gpu_allocated,
        "Allocated GPU time / installed GPU time over the common horizon.",
    ),
    Figure::new(
        ("Use", "GPUs at work", "utilization.gpu_productive"),
        Unit::Share,
        Higher,
        |r| r.summary.sharing.and(r.summary.utilization.gpu_productive),
        "GPU time at work / installed GPU time: allocated, less slack, neighbours and what jobs hold without use.",
    ),
    Figure::new(
        ("Use", "At work, to own end", "sharing.at_work_to_own_end"),
        Unit::Share,
        Higher,
        |r| r.summary.sharing.and_then(|s| s.at_work_to_own_end),
        "GPU time at work / installed GPU time until the design's own last job, not until the slowest design's.",
    ),
    Figure::new(
        ("Use", "Fragmentation (FGD)", "sharing.fragmentation_ratio"),
        Unit::Share,
        Lower,
        |r| r.summary.sharing.and_then(|s| s.fragmentation_ratio),
        "Share of the free GPU time that the usual requests cannot use.",
    ),
    Figure::new(
        ("Use", "Stranded slices", "sharing.stranded_share"),
        Unit::Share,
        Lower,
        |r| r.summary.sharing.and_then(|s| s.stranded_share),
        "Share of the installed GPU time in slices of used GPUs that no MIG instance can be made of.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Internal slack", "sharing.internal_slack"),
        Unit::Share,
        Lower,
        |r| r.summary.sharing.and_then(|s| s.internal_slack),
        "Share of the held GPU time beyond what the jobs asked for.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Lost to neighbours", "sharing.neighbours_share"),
        Unit::Share,
        Lower,
        |r| r.summary.sharing.and_then(|s| s.neighbours_share),
        "Share of the held GPU time lost to other jobs on the same GPU.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Lost to virtualization", "tenancy.virtualization_share"),
        Unit::Share,
        Lower,
        |r| r.summary.tenancy.and_then(|t| t.virtualization_share),
        "Share of the held GPU time (CPU time where there is no GPU) lost to the access method of virtual machines.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Lost on shared hosts", "tenancy.neighbours_share"),
        Unit::Share,
        Lower,
        |r| r.summary.tenancy.and_then(|t| t.neighbours_share),
        "Share of the held GPU time lost to other jobs on the host and to strangers.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Lost to communication", "tenancy.communication_share"),
        Unit::Share,
        Lower,
        |r| r.summary.tenancy.and_then(|t| t.communication_share),
        "Share of the held GPU time lost to the network: it is slower than the one that run times were recorded on, or others use it.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Booting", "tenancy.startup_share"),
        Unit::Share,
        Lower,
        |r| r.summary.tenancy.and_then(|t| t.startup_share),
        "Share of the installed GPU time in which machines boot.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Lost with failed hosts", "tenancy.lost_share"),
        Unit::Share,
        Lower,
        |r| r.summary.tenancy.and_then(|t| t.lost_share),
        "Share of the held GPU time that was in vain because a host failed.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Taking snapshots", "tenancy.snapshot_share"),
        Unit::Share,
        Lower,
        |r| r.summary.tenancy.and_then(|t| t.snapshot_share),
        "Share of the held GPU time in which jobs stood still for snapshots.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Leaves over the fewest possible", "tenancy.leaves_over_fewest"),
        Unit::Ratio,
        Lower,
        |r| r.summary.tenancy.and_then(|t| t.leaves_over_fewest),
        "Leaves of the network that jobs on several nodes had, over the fewest that they could have had on an empty one.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Jobs lost with a host", "tenancy.lost_attempts"),
        Unit::Count,
        Lower,
        |r| r.summary.tenancy.map(|t| t.lost_attempts as f64),
        "Running jobs that were lost because a host failed; most begin anew.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Jobs killed at their limit", "tenancy.timeouts"),
        Unit::Count,
        Lower,
        |r| r.summary.tenancy.map(|t| t.timeouts as f64),
        "Jobs that a slow host kept from ending by their limit, where the pool kills them then.",
    )
    .if_any(),
    Figure::new(
        ("Waiting", "Wait for slices, mean", "tenancy.slice_wait_mean_s"),
        Unit::Seconds,
        Lower,
        |r| r.summary.tenancy.and_then(|t| t.slice_wait_mean_s),
        "Mean wait of a burst of work for the time slices of other vGPUs.",
    )
    .if_any(),
    Figure::new(
        ("Waiting", "Wait for slices, p99", "tenancy.slice_wait_p99_s"),
        Unit::Seconds,
        Lower,
        |r| r.summary.tenancy.and_then(|t| t.slice_wait_p99_s),
        "99 % of the bursts of work wait for less for the time slices of other vGPUs.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Under maintenance or repair", "tenancy.down_share"),
        Unit::Share,
        Lower,
        |r| r.summary.tenancy.and_then(|t| t.down_share),
        "Share of the installed GPU time under planned maintenance, draining included.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Jobs spilled over", "tenancy.spilled"),
        Unit::Count,
        Neither,
        |r| r.summary.tenancy.map(|t| t.spilled as f64),
        "Jobs that went to other pools because their wait was, or would have been, too long.",
    )
    .if_any(),
    Figure::new(
        ("Use", "VMs ordered", "tenancy.vms_ordered"),
        Unit::Count,
        Neither,
        |r| r.summary.tenancy.map(|t| t.vms_ordered as f64),
        "Virtual machines that elastic pools ordered, failed orders included.",
    )
    .if_any(),
    Figure::new(
        ("Use", "VM-hours on demand", "tenancy.vm_hours_on_demand"),
        Unit::Count,
        Lower,
        |r| r.summary.tenancy.map(|t| t.vm_hours_on_demand),
        "Hours of the virtual machines beyond those that always run, booting included.",
    )
    .if_any(),
    Figure::new(
        ("Use", "Repartitions", "sharing.repartitions"),
        Unit::Count,
        Neither,
        |r| r.summary.sharing.map(|s| s.repartitions as f64),
        "Changes of a GPU's layout.",
    )
    .if_any(),
    Figure::new(
        ("Use", "CPUs allocated", "utilization.cpu"),
        Unit::Share,
        Neither,
        |r| r.summary.utilization.cpu,
        "Allocated CPU time / installed CPU time over the common horizon.",
    ),
    Figure::new(
        ("Use", "Idle while jobs waited", ""),
        Unit::Share,
        Lower,
        idle_waiting,
        "Share of the installed GPU time (CPU time where there is no GPU) that lay free while at least one job waited.",
    ),
    Figure::new(
        ("Use", "GPU-hours delivered", "delivered_gpu_hours"),
        Unit::Count,
        Higher,
        |r| r.summary.gpu_hours.map(|_| r.summary.delivered_gpu_hours),
        "Reference GPU-hours of completed jobs: run time in the trace x GPUs asked for.",
    ),
    Figure::new(
        ("Cost", "Cost", "cost.total"),
        Unit::Money,
        Lower,
        |r| units(r.cost.as_ref().map(|cost| cost.total)),
        "All that the scenario prices, over the common horizon: of owned pools what is written off in it, \
         electricity between idle and busy power, and what else is written; rent as it is billed. Without taxes.",
    ),
    Figure::new(
        ("Cost", "Cost per useful GPU-hour", "cost.per_useful_gpu_hour"),
        Unit::Price,
        Lower,
        |r| units(r.cost.as_ref().and_then(|cost| cost.per_useful_gpu_hour)),
        "Cost / GPU-hours delivered (less what interruptions of spot nodes are expected to cost).",
    ),
    Figure::new(
        ("Cost", "Cost of waiting", "cost.waiting"),
        Unit::Money,
        Lower,
        |r| units(r.cost.as_ref().and_then(|cost| cost.waiting)),
        "Hours waited x the scenario's price of waiting. It stands beside the cost, not in it.",
    ),
    Figure::new(
        ("Cost", "Cost per job", "cost.per_job"),
        Unit::Price,
        Lower,
        |r| units(r.cost.as_ref().and_then(|cost| cost.per_job)),
        "Cost / completed jobs.",
    ),
];

/// `12,345`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12.3 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `45 s`, `12.3 min`, `5.1 h`, `13.2 d`.
pub(super) fn span(s: f64) -> String {
    match s {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(span(119.0), "119 s");
        assert_eq!(span(5_400.0), "90.0 min");
        assert_eq!(span(10_800.0), "3.0 h");
        assert_eq!(span(864_000.0), "10.0 d");
        assert_eq!(percent(0.1234), "12.3 %");
    }

    #[test]
    fn every_figure_has_a_definition_that_ends() {
        for figure in FIGURES {
            assert!(figure.definition.ends_with('.'), "{}", figure.name);
        }
    }
}

//! Statistics of a trace as text.

use std::fmt::Write as _;

use crate::workload::stats::{DemandStats, Quantiles, TraceStats};

/// The figures, grouped, each with its meaning in words.
#[must_use]
pub fn stats_text(stats: &TraceStats) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            writeln!(text, "{name:<44} {value}").expect("writing to a text works");
        }
    };
    let percent = |share: Option<f64>| share.map(|s| format!("{:.1} %", s * 100.0));
    line("Jobs", Some(stats.jobs.to_string()));
    line("  with GPUs", Some(stats.gpu_jobs.to_string()));
    line("First to last submission", Some(format!("{:.1} days", stats.span_s / 86_400.0)));
    line("GPU-hours asked for", Some(format!("{:.0}", stats.gpu_hours)));
    line("CPU-hours asked for", Some(format!("{:.0}", stats.cpu_hours)));
    line("Offered load, GPUs", percent(stats.offered_load_gpu));
    line("Offered load, CPUs", percent(stats.offered_load_cpu));
    line("Run time, s", stats.run_s.as_ref().map(quantiles));
    line("Run time of GPU jobs, s", stats.gpu_run_s.as_ref().map(quantiles));
    line("GPUs per GPU job", stats.gpus_per_job.as_ref().map(quantiles));
    line("CPUs per job", stats.cpus_per_job.as_ref().map(quantiles));
    line("Jobs with a known limit", percent(Some(stats.limits.known_share)));
    line("  run / limit", stats.limits.accuracy.as_ref().map(quantiles));
    line("  ran into the limit", percent(stats.limits.censored_share));
    line("What decides between designs", Some(String::new()));
    for (name, demand) in [("GPUs", &stats.gpu_demand), ("CPUs", &stats.cpu_demand)] {
        if let Some(demand) = demand {
            line(&format!("  {name}: duty cycle (some job would run)"), percent(Some(demand.duty_cycle)));
            line(&format!("  {name}: demand"), Some(words(demand)));
            let variation = percent(demand.weekly_variation);
            line(&format!("  {name}: variation from week to week"), variation);
        }
    }
    let arrivals = &stats.arrivals;
    line("  Submissions per hour", arrivals.per_hour.map(|v| format!("{v:.2}")));
    let dispersion = arrivals.dispersion_per_hour.map(|v| format!("{v:.1} (Poisson: 1)"));
    line("  Burstiness: dispersion per hour", dispersion);
    line("  GPU-hours of multi-GPU jobs", percent(stats.multi_gpu_share));
    line("  GPU-hours of multi-node jobs", percent(stats.multi_node_share));
    line("  GPU-hours of sessions", percent(stats.session_share));
    line("  GPU-hours of jobs with a default class", percent(stats.class_defaulted_share));
    if !stats.sizes.is_empty() {
        line("GPU jobs by size", Some("jobs, GPU-hours".to_owned()));
        for size in &stats.sizes {
            let share = format!("{:.1} %, {:.1} %", size.jobs_share * 100.0, size.gpu_hours_share * 100.0);
            line(&format!("  {} GPUs", size.gpus), Some(share));
        }
    }
    text
}

fn quantiles(q: &Quantiles) -> String {
    let n = |value: f64| if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    format!(
        "mean {}, p10 {}, p50 {}, p90 {}, p99 {}, max {}",
        n(q.mean),
        n(q.p10),
        n(q.p50),
        n(q.p90),
        n(q.p99),
        n(q.max)
    )
}

fn words(demand: &DemandStats) -> String {
    let share = demand.mean_over_peak * 100.0;
    format!("mean {:.1}, peak {:.0} (mean is {share:.0} % of peak)", demand.mean, demand.peak)
}

//! The differences in one plain sentence, and what cannot be concluded from them.

use crate::experiment::DesignResult;
use crate::experiment::replicas::Verdict;
use crate::report::Context;
use crate::report::figures::{FIGURES, Figure, count, percent, span};
use crate::report::table::replica_line;
use crate::report::verdict::sentence;

/// One sentence on what the run or the comparison found.
pub(super) fn answer(context: &Context<'_>) -> String {
    if let Some(verdict) = sentence(context) {
        return verdict;
    }
    match context.results {
        [] => "No design was run.".to_owned(),
        [only] => one_design(only),
        several => several_designs(several, &context.scenario.compare.baseline),
    }
}

/// What the reader must not conclude.
pub(super) fn caveat(context: &Context<'_>) -> String {
    let mut text = match context.results.iter().find_map(|result| result.uncertainty.as_ref()) {
        Some(found) => replica_line(found),
        None if context.results.len() > 1 => {
            "One run of one workload for each design: there are no error bars, so a small difference may be chance \
             (compare.replicas = 20 gives them)."
                .to_owned()
        }
        None => "One run of one workload: there are no error bars, so figures may be off by chance.".to_owned(),
    };
    if let Some(sensitivity) = context.sensitivity {
        let (flips, total) = (sensitivity.flips().count(), sensitivity.verdicts.len());
        text += &match flips {
            0 => format!(
                " Speeds on other GPUs are estimates; at low and at high ones all {total} verdicts are the same."
            ),
            _ => format!(
                " Speeds on other GPUs are estimates, and {flips} of {total} verdicts flip between low and high ones."
            ),
        };
    }
    let refused = |result: &DesignResult| result.outcome.refused.len();
    if context.results.iter().any(|result| refused(result) != refused(&context.results[0])) {
        text += " The designs refuse different numbers of jobs, so their waits are over different jobs.";
    }
    text
}

fn one_design(result: &DesignResult) -> String {
    let jobs = &result.summary.jobs;
    let wait = &result.summary.wait_s;
    let (Some(median), Some(p95)) = (wait.p50, wait.p95) else {
        return format!("No job started on {}.", result.design.label);
    };
    let use_of = &result.summary.utilization;
    let allocated = match (use_of.gpu_allocated, use_of.cpu) {
        (Some(gpu), _) => format!("; {} of the GPU time was allocated", percent(gpu)),
        (None, Some(cpu)) => format!("; {} of the CPU time was allocated", percent(cpu)),
        (None, None) => String::new(),
    };
    format!(
        "{} jobs completed on {}: half of the jobs waited at most {}, one in twenty {} or longer{allocated}.",
        count(jobs.completed),
        result.design.label,
        span(median),
        span(p95),
    )
}

fn several_designs(results: &[DesignResult], baseline: &str) -> String {
    let base = results.iter().find(|result| result.design.name == baseline).unwrap_or(&results[0]);
    let mut parts: Vec<String> = Vec::new();
    parts.extend(waits(results, base));
    parts.extend(cheapest(results, base));
    if parts.is_empty() {
        return "No design started a job, so there is nothing to compare.".to_owned();
    }
    parts.join("; ") + "."
}

fn waits(results: &[DesignResult], base: &DesignResult) -> Option<String> {
    let wait = figure("Wait, mean");
    let (best, worst) = (extreme(results, wait, false)?, extreme(results, wait, true)?);
    let text = |result| wait.text(result).unwrap_or_default();
    if text(best) == text(worst) {
        return Some(
            format!("the mean wait is the same in all designs ({})", text(best)).replacen('t', "T", 1),
        );
    }
    let rival = if text(base) == text(best) { worst } else { best };
    if wait.verdict(rival) == Some(Verdict::NotDistinguishable) {
        return Some(format!(
            "the mean waits of {} ({}) and {} ({}) are not distinguishable",
            quoted(base),
            text(base),
            quoted(rival),
            text(rival)
        ))
        .map(|words| words.replacen('t', "T", 1));
    }
    let same_as_base = text(base) == text(best);
    let (best, other) = if same_as_base { (base, worst) } else { (best, base) };
    let other = match wait.text(other) {
        Some(wait) => format!(", against {wait} on {}", quoted(other)),
        None => format!(", while no job started on {}", quoted(other)),
    };
    Some(format!("{} has the shortest mean wait ({}{other})", quoted(best), text(best)))
}

fn cheapest(results: &[DesignResult], base: &DesignResult) -> Option<String> {
    let currency = results[0].cost.as_ref()?.currency;
    if results.iter().any(|result| result.cost.as_ref().is_none_or(|cost| cost.currency != currency)) {
        return None;
    }
    let useful = figure("Cost per useful GPU-hour");
    let price = if useful.is_shown(results) { useful } else { figure("Cost") };
    let (best, worst) = (extreme(results, price, false)?, extreme(results, price, true)?);
    let text = |result| price.text(result).unwrap_or_default();
    let what = if std::ptr::eq(price, useful) { "costs least per useful GPU-hour" } else { "costs least" };
    if text(best) == text(worst) {
        return Some(format!("all cost the same ({})", text(best)));
    }
    let best = if text(base) == text(best) { base } else { best };
    let other = if std::ptr::eq(best, base) { worst } else { base };
    let than = price.text(other).map(|cost| format!(", against {cost} on {}", quoted(other)));
    Some(format!("{} {what} ({}{})", quoted(best), text(best), than.unwrap_or_default()))
}

fn quoted(result: &DesignResult) -> String {
    format!("“{}”", result.design.label)
}

fn figure(name: &str) -> &'static Figure {
    FIGURES.iter().find(|figure| figure.name == name).expect("the figure is in the list")
}

/// The first design with the smallest or largest value.
fn extreme<'a>(results: &'a [DesignResult], figure: &Figure, largest: bool) -> Option<&'a DesignResult> {
    let mut found: Option<(&DesignResult, f64)> = None;
    for result in results {
        let Some(value) = figure.shown(result) else { continue };
        if found.is_none_or(|(_, so_far)| if largest { value > so_far } else { value < so_far }) {
            found = Some((result, value));
        }
    }
    found.map(|(result, _)| result)
}

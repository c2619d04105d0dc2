//! The first screen as a terminal table: at most 100 columns, a row per figure, a column per design.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width,
};
use serde_json::Value;

use super::Context;
use super::figures::{FIGURES, count, percent, span};
use super::json::pending_by_reason;
use super::translation;
use super::verdict::{outlook_lines, sentence};
use super::winners::winners_text;
use crate::cost::CostTerms;
use crate::experiment::replicas::{Uncertainty, Variation, Verdict};
use crate::experiment::{DesignResult, Trust};
use crate::scenario::PolicyChoice;
use crate::workload::{JobFlags, RepairLedger};

/// Width of a terminal table.
const COLUMNS: u16 = 100;

/// Most designs in one table.
const DESIGNS_ABREAST: usize = 5;

/// Width of the column of names: the longest name and its padding.
const NAMES: u16 = 26;

/// One rule under the header, and nothing else.
const HEADER_RULE: TableStyle = NOTHING.header_separator(LineStyle::none().fill('─').junction('─'));

/// The comparison (or the one run) as text, with what to know about its inputs.
#[must_use]
pub fn terminal_table(context: &Context<'_>) -> String {
    let mut text = String::new();
    if let Some(title) = &context.scenario.title {
        writeln!(text, "{title}\n").expect("writing to a text works");
    }
    for part in screens(context.results) {
        writeln!(text, "{}\n", figures_table(context, part)).expect("writing to a text works");
    }
    if let Some(verdict) = sentence(context) {
        text += &format!("Verdict: {verdict}\n\n");
    }
    let outlook = outlook_lines(context);
    if !outlook.is_empty() {
        text += &(outlook.join("\n") + "\n\n");
    }
    text += &remarks(context);
    text += &winners_text(context);
    wrapped(&text)
}

/// The text with lines of at most [`COLUMNS`]; what goes on is set in by two columns.
fn wrapped(text: &str) -> String {
    let width = usize::from(COLUMNS);
    let mut out = String::with_capacity(text.len());
    text.lines().for_each(|line| fold(&mut out, line, width, 2));
    out
}

/// Appends a line in lines of at most `width`; what goes on is set in by `indent`.
pub(super) fn fold(out: &mut String, line: &str, width: usize, indent: usize) {
    if line.chars().count() <= width {
        *out += line;
        out.push('\n');
        return;
    }
    let (mut at, mut is_first) = (0, true);
    for word in &unbroken(line) {
        let long = word.chars().count();
        if !is_first && at + 1 + long > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            at = indent;
        } else if !is_first {
            out.push(' ');
            at += 1;
        }
        *out += word;
        at += long;
        is_first = false;
    }
    out.push('\n');
}

/// The words of a line; a number keeps its unit.
fn unbroken(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let unit = word.trim_end_matches(|c: char| c.is_ascii_punctuation());
        let is_unit = unit.len() <= 4 && unit.bytes().all(|c| c.is_ascii_alphabetic()) && !unit.is_empty();
        match words.last_mut() {
            Some(last) if is_unit && last.ends_with(|c: char| c.is_ascii_digit()) => {
                last.push(' ');
                *last += word;
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// Designs that stand beside each other: as even parts as possible, each narrow enough to be read.
fn screens(results: &[DesignResult]) -> impl Iterator<Item = &[DesignResult]> {
    let parts = results.len().div_ceil(DESIGNS_ABREAST).max(1);
    results.chunks(results.len().div_ceil(parts).max(1))
}

/// Figures down, designs across, at most [`COLUMNS`] wide; long labels wrap.
fn figures_table(context: &Context<'_>, part: &[DesignResult]) -> Table {
    let mut table = Table::new();
    table.load_style(HEADER_RULE).set_content_arrangement(ContentArrangement::Dynamic).set_width(COLUMNS);
    let several = context.results.len() > 1;
    let header = |result: &DesignResult| {
        let baseline = several && result.design.name == context.scenario.compare.baseline;
        let mark = if baseline { " (baseline)" } else { "" };
        Cell::new(format!("{}{mark}", result.design.label)).set_alignment(CellAlignment::Right)
    };
    table.set_header(std::iter::once(Cell::new("")).chain(part.iter().map(header)));
    for figure in FIGURES.iter().filter(|figure| figure.is_shown(context.results)) {
        let cells = part.iter().map(|result| {
            let text = figure.text(result).unwrap_or_else(|| "-".into());
            let alike = figure.verdict(result) == Some(Verdict::NotDistinguishable);
            let text = if alike { format!("≈ {text}") } else { text };
            let text = match figure.interval(result) {
                Some(interval) => format!("{text}\n({interval})"),
                None => text,
            };
            Cell::new(text).set_alignment(CellAlignment::Right)
        });
        table.add_row(std::iter::once(Cell::new(figure.name)).chain(cells));
    }
    let names = table.column_mut(0).expect("there is a column of names");
    names.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(NAMES)));
    table
}

/// What the reader should know: inputs, policy, repairs, refusals, defaults.
fn remarks(context: &Context<'_>) -> String {
    let workload = &context.loaded.workload;
    let mut lines = vec![format!(
        "{} jobs, policy {}; waits are from submission to start{}.",
        count(workload.jobs.len() as u64),
        context.scenario.policy.words(),
        match context.scenario.compare.warm_up.as_s() {
            0.0 => String::new(),
            s => format!(", of jobs submitted after the first {} (warm-up)", span(s)),
        }
    )];
    lines.extend(context.results.iter().find_map(|result| result.uncertainty.as_ref()).map(replica_line));
    lines.extend(context.loaded.trust.as_ref().map(trust_line));
    let guessed = workload.jobs.iter().filter(|job| job.flags.has(JobFlags::LIMIT_UNKNOWN)).count();
    if guessed > 0 {
        let instead = match context.scenario.policy {
            PolicyChoice::Classic(_) => "their run time stands for it, a better estimate than users make",
            PolicyChoice::Preemptive(_) => "the policy looks at none",
            PolicyChoice::Slurm(_) => "they get their partition's (DefaultTime, MaxTime, else a year)",
        };
        lines.push(format!("{} jobs have no requested limit: {instead}.", count(guessed as u64)));
    }
    let unclassified = context.loaded.classified.by_default();
    if unclassified.jobs > 0 {
        let (hours, device) = match unclassified.gpu_hours() {
            none if none <= 0.0 => (unclassified.cpu_hours(), "CPU"),
            some => (some, "GPU"),
        };
        lines.push(format!(
            "{} jobs with {} {device}-hours have the default class (windtunnel trace stats proposes rules).",
            count(unclassified.jobs),
            count(hours.round() as u64)
        ));
    }
    let (refused, changed) = context.loaded.repaired();
    if refused + changed > 0 {
        lines.push(format!(
            "Trace: {refused} rows refused, {changed} values changed (windtunnel trace check)."
        ));
    }
    for result in context.results {
        if let Some((job, reason)) = result.outcome.refused.first() {
            let name = workload.job_name(*job);
            let label = &result.design.label;
            let verb = if result.outcome.slurm.is_some() { "refuses" } else { "can never hold" };
            let n = result.outcome.refused.len();
            lines.push(format!("{label} {verb} {n} jobs, e.g. {name}: {reason}."));
        }
    }
    for result in context.results {
        let n = result.summary.jobs.rounded_up;
        if n > 0 {
            let label = &result.design.label;
            lines.push(format!(
                "{label} gives whole GPUs to {} jobs that ask for parts; what they do not ask for is slack.",
                count(n)
            ));
        }
    }
    lines.extend(translation::lines(context));
    lines.extend(context.version_line());
    lines.extend(context.not_modelled().into_iter().map(|(begins, options)| format!("{begins}: {options}.")));
    context.results.iter().for_each(|result| lines.extend(slurm_remarks(result)));
    context.results.iter().for_each(|result| lines.extend(preemptive_remarks(result)));
    context.results.iter().for_each(|result| lines.extend(spot_remarks(result)));
    let unused = context.columns_without_effect();
    if !unused.is_empty() {
        lines.push(format!("Columns without effect in this version: {}.", unused.join(", ")));
    }
    let priced = context
        .scenario
        .defaults_used
        .iter()
        .filter(|used| used.path.contains(".cost") && !used.path.ends_with(".currency"))
        .count();
    if priced > 0 {
        lines.push(format!(
            "{priced} prices are catalogue defaults (windtunnel catalog prices); yours go into the scenario."
        ));
    }
    lines.join("\n") + "\n"
}

/// What the bounds below the figures are.
pub(super) fn replica_line(found: &Uncertainty) -> String {
    let replicas = found.replicas;
    let histories = match found.variation {
        Variation::Seeds => format!("{replicas} seeds of the generator"),
        Variation::Blocks { days, blocks } => {
            let length = if days == 1.0 { "a day".to_owned() } else { format!("{days} days") };
            format!("{replicas} rearrangements of the trace's {blocks} blocks of {length}")
        }
    };
    let of_generator = match found.variation {
        Variation::Seeds => {
            " The figure is their mean, of quantiles their median; charts and files show the first."
        }
        Variation::Blocks { .. } => "",
    };
    format!(
        "Below a figure: its {:.0} % interval over {histories}.{of_generator}\n\
         ≈ = not distinguishable from the baseline (paired differences, corrected for the number of designs).",
        found.confidence * 100.0
    )
}

/// How far the simulation was from what really happened, by the backtest attached.
fn trust_line(trust: &Trust) -> String {
    let figure = |error: Option<f64>| error.map_or("-".to_owned(), |error| format!("{error:+.1} %"));
    let moving = trust.headline_error_pct.map_or("-".to_owned(), |error| format!("{error:.1} %"));
    let other = if trust.is_of_this_trace { "" } else { " (another trace)" };
    format!(
        "Backtest of {}{other} under {}, {} jobs: error of the mean wait {}, of its moving mean {moving}. A smaller \
         difference between designs is no finding.",
        trust.input.trace,
        trust.input.policy,
        count(trust.jobs),
        figure(trust.mean_error_pct),
    )
}

/// What only Slurm's engine tells of a design.
fn slurm_remarks(result: &DesignResult) -> Vec<String> {
    let Some(facts) = &result.outcome.slurm else { return Vec::new() };
    let label = &result.design.label;
    let mut lines = vec![format!(
        "{label}: {} of the starts by the backfill thread, {} jobs requeued.",
        percent(facts.backfilled as f64 / facts.starts.max(1) as f64),
        count(facts.requeued.len() as u64)
    )];
    if !facts.pending.is_empty() {
        let by_reason = pending_by_reason(facts);
        let words: Vec<String> = by_reason.iter().map(|(why, n)| format!("{} {why}", count(*n))).collect();
        let n = count(facts.pending.len() as u64);
        lines.push(format!("{label}: {n} jobs still pending at the end: {}.", words.join(", ")));
    }
    let carried = facts.not_carried_over.iter();
    lines.extend(carried.map(|(what, n)| format!("{label}: {} jobs: {what}.", count(*n))));
    lines
}

/// What is not simulated of pools whose nodes can be taken away.
fn spot_remarks(result: &DesignResult) -> Vec<String> {
    let lost = result.design.pools.iter().zip(&result.design.cluster.pools).filter_map(|(paid, pool)| {
        let Some(CostTerms::Rented(rented)) = &paid.cost else { return None };
        Some((pool.name.as_str(), rented.interruption?.lost))
    });
    let label = &result.design.label;
    lost.map(|(pool, lost)| {
        let share = percent(lost.ppm() as f64 / 1e6);
        format!(
            "{label}: interruptions of spot nodes ({pool}) are priced, not simulated: {share} of the work there counts \
             as lost, and no job waits or runs longer for it."
        )
    })
    .collect()
}

/// What only a preemptive policy tells of a design.
fn preemptive_remarks(result: &DesignResult) -> Vec<String> {
    let Some(facts) = &result.outcome.preemptive else { return Vec::new() };
    let label = &result.design.label;
    let hours = facts.overhead_gpu_us as f64 / (3600.0 * 1e6);
    let mut lines = vec![format!(
        "{label}: {} preemptions of {} jobs, {} moves to other GPUs, {hours:.1} GPU-hours of restart overhead.{}",
        count(facts.preemptions),
        count(facts.resumed.len() as u64),
        count(facts.moves),
        if facts.takes_cpus { "" } else { " CPUs and memory are not scheduled." },
    )];
    let carried = facts.not_carried_over.iter();
    lines.extend(carried.map(|(what, n)| format!("{label}: {} jobs: {what}.", count(*n))));
    lines
}

/// Rows of objects as a plain table; long texts are cut.
#[must_use]
pub fn plain_table(rows: &Value) -> String {
    const LONGEST: usize = 40;
    let rows: Vec<&serde_json::Map<String, Value>> =
        rows.as_array().into_iter().flatten().filter_map(Value::as_object).collect();
    let mut table = Table::new();
    table.load_style(NOTHING);
    let Some(first) = rows.first() else { return String::new() };
    table.set_header(first.keys());
    for row in rows {
        table.add_row(row.values().map(|value| {
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if text.chars().count() > LONGEST {
                text.chars().take(LONGEST - 1).chain(['…']).collect()
            } else {
                text
            }
        }));
    }
    format!("{table}\n")
}

/// What was refused, changed, noted, with examples.
#[must_use]
pub fn repairs_table(repairs: &RepairLedger) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["what", "rows", "reason", "for example"]);
    let mut any = false;
    for (reason, repair) in repairs.iter() {
        any = true;
        let example =
            repair.examples.first().map_or_else(String::new, |e| format!("line {}: {}", e.line, e.text));
        table.add_row([repair.kind.name(), &count(repair.rows), reason, &example]);
    }
    if any { format!("{table}\n") } else { "nothing was refused or changed\n".to_owned() }
}

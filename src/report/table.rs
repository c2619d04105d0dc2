//! The first screen as a terminal table: at most 100 columns, a row per figure, a column per design.

use std::fmt::Write as _;

use comfy_table::presets::{NOTHING, UTF8_HORIZONTAL_ONLY};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use serde_json::Value;

use super::Context;
use crate::experiment::DesignResult;
use crate::money::Money;
use crate::workload::{JobFlags, RepairLedger};

/// Width of a terminal table.
const COLUMNS: u16 = 100;

/// A figure of a design as text; `-` where undefined.
type Figure = fn(&DesignResult) -> Option<String>;

/// Rows of the table: name, figure.
const ROWS: &[(&str, Figure)] = &[
    ("Jobs completed", |r| Some(count(r.summary.jobs.completed))),
    ("Jobs refused", |r| some_if(r.summary.jobs.refused)),
    ("Jobs failed or cancelled", |r| some_if(r.summary.jobs.failed + r.summary.jobs.cancelled)),
    ("Jobs unfinished", |r| some_if(r.summary.jobs.unfinished)),
    ("Makespan", |r| r.summary.makespan_s.map(span)),
    ("Wait, mean", |r| r.summary.wait_s.mean.map(span)),
    ("Wait, median", |r| r.summary.wait_s.p50.map(span)),
    ("Wait, p95", |r| r.summary.wait_s.p95.map(span)),
    ("Wait, p99", |r| r.summary.wait_s.p99.map(span)),
    ("Wait, longest", |r| r.summary.wait_s.max.map(span)),
    ("Bounded slowdown, mean", |r| r.summary.bounded_slowdown.mean.map(|v| format!("{v:.2}"))),
    ("GPUs allocated", |r| r.summary.utilization.gpu_allocated.map(percent)),
    ("CPUs allocated", |r| r.summary.utilization.cpu.map(percent)),
    ("Idle while jobs waited", idle_waiting),
    ("GPU-hours delivered", |r| {
        r.summary.gpu_hours.map(|_| count(r.summary.delivered_gpu_hours.round() as u64))
    }),
    ("Cost", |r| r.cost.as_ref().map(|c| money(c.total, c.currency.code(), 0))),
    ("Cost per useful GPU-hour", |r| {
        let cost = r.cost.as_ref()?;
        cost.per_useful_gpu_hour.map(|m| money(m, cost.currency.code(), 2))
    }),
    ("Cost per job", |r| {
        let cost = r.cost.as_ref()?;
        cost.per_job.map(|m| money(m, cost.currency.code(), 2))
    }),
];

fn idle_waiting(result: &DesignResult) -> Option<String> {
    let hours = result.summary.gpu_hours.unwrap_or(result.summary.cpu_hours);
    (hours.installed > 0.0).then(|| percent(hours.idle_waiting / hours.installed))
}

/// The comparison (or the one run) as text, with what to know about its inputs.
#[must_use]
pub fn terminal_table(context: &Context<'_>) -> String {
    let mut text = String::new();
    if let Some(title) = &context.scenario.title {
        writeln!(text, "{title}\n").expect("writing to a text works");
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(COLUMNS);
    let several = context.results.len() > 1;
    let header = |result: &DesignResult| {
        let baseline = several && result.design.name == context.scenario.compare.baseline;
        let mark = if baseline { " (baseline)" } else { "" };
        Cell::new(format!("{}{mark}", result.design.label)).set_alignment(CellAlignment::Right)
    };
    table.set_header(std::iter::once(Cell::new("")).chain(context.results.iter().map(header)));
    for (name, figure) in ROWS {
        let figures: Vec<Option<String>> = context.results.iter().map(figure).collect();
        if figures.iter().any(Option::is_some) {
            let cells = figures
                .into_iter()
                .map(|f| Cell::new(f.unwrap_or_else(|| "-".into())).set_alignment(CellAlignment::Right));
            table.add_row(std::iter::once(Cell::new(name)).chain(cells));
        }
    }
    writeln!(text, "{table}").expect("writing to a text works");
    text += &remarks(context);
    text
}

/// What the reader should know: inputs, policy, repairs, refusals, defaults.
fn remarks(context: &Context<'_>) -> String {
    let workload = &context.loaded.workload;
    let mut lines = vec![format!(
        "{} jobs, policy {}; waits are from submission to start.",
        count(workload.jobs.len() as u64),
        context.scenario.policy.name
    )];
    let guessed = workload.jobs.iter().filter(|job| job.flags.has(JobFlags::LIMIT_UNKNOWN)).count();
    if guessed > 0 {
        lines.push(format!(
            "{} jobs have no requested limit: their run time stands for it, a better estimate than users make.",
            count(guessed as u64)
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
            lines.push(format!(
                "{label} can never hold {} jobs, e.g. {name}: {reason}.",
                result.outcome.refused.len()
            ));
        }
    }
    if !workload.unused_columns.is_empty() {
        lines
            .push(format!("Columns without effect in this version: {}.", workload.unused_columns.join(", ")));
    }
    let priced = context.scenario.defaults_used.iter().filter(|used| used.path.contains(".cost")).count();
    if priced > 0 {
        lines.push(format!(
            "{priced} prices are catalogue defaults (windtunnel catalog prices); yours go into the scenario."
        ));
    }
    lines.join("\n") + "\n"
}

fn some_if(n: u64) -> Option<String> {
    (n > 0).then(|| count(n))
}

/// `12,345`.
fn count(n: u64) -> String {
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

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `45 s`, `12.3 min`, `5.1 h`, `13.2 d`.
fn span(s: f64) -> String {
    match s {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

fn money(amount: Money, currency: &str, decimals: usize) -> String {
    let units = amount.as_units();
    if decimals == 0 {
        format!("{} {currency}", count(units.round() as u64))
    } else {
        format!("{units:.decimals$} {currency}")
    }
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
}

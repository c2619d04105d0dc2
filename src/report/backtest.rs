//! A backtest as an object and as text: simulated against recorded, worst things included.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

use super::figures::{count, percent, span};
use crate::experiment::backtest::Backtest;
use crate::experiment::{BACKTEST_FORMAT, BacktestInput};
use crate::metrics::backtest::{Compared, NamedPart};

/// The object of `--json` and of `backtest.json`; seconds unless named.
#[must_use]
pub fn backtest_json(input: &BacktestInput, found: &Backtest) -> Value {
    let left_out: Vec<Value> =
        found.left_out.iter().map(|(reason, jobs)| json!({ "reason": reason, "jobs": jobs })).collect();
    json!({
        "format": BACKTEST_FORMAT,
        "version": env!("CARGO_PKG_VERSION"),
        "input": input,
        "window": { "from_s": found.window.0.as_s(), "to_s": found.window.1.as_s() },
        "jobs": {
            "simulated": found.simulated,
            "judged": found.verdict.judged.jobs,
            "running_at_start": found.running_at_start,
            "running_at_start_placed_late": found.placed_late,
            "set_aside": found.verdict.set_aside,
            "left_out": left_out,
        },
        "node_outages": found.outages,
        "headline_error_pct": found.verdict.headline_pct(),
        "judged": found.verdict.judged,
        "pending_at_start": found.verdict.pending_at_start,
        "moving_mean": found.verdict.moving_mean,
        "utilization": found.verdict.utilization,
        "parts": found.verdict.parts,
        "not_known": found.not_known,
    })
}

/// The same for the terminal.
#[must_use]
pub fn backtest_text(input: &BacktestInput, found: &Backtest) -> String {
    let mut text = String::new();
    let verdict = &found.verdict;
    let mut line = |words: String| {
        writeln!(text, "{words}").expect("writing to a text works");
    };
    line(format!("{} on {}, policy {}", input.trace, input.design, input.policy));
    let judged = count(verdict.judged.jobs);
    let (from, to) = found.window;
    line(format!("{judged} jobs judged of those submitted from {from} s to {to} s of the trace\n"));
    line(waits_table(&verdict.judged, found).to_string());
    line(String::new());
    line(headline(found));
    line(format!(
        "Start of the same job, simulated - recorded: mean {}, absolute mean {}, median {}, p90 {}.",
        signed(verdict.judged.start_error_mean_s),
        shown(verdict.judged.start_error_absolute_s.mean),
        shown(verdict.judged.start_error_absolute_s.p50),
        shown(verdict.judged.start_error_absolute_s.p90),
    ));
    line(format!(
        "Distance of the waits: Wasserstein-1 {}, Kolmogorov-Smirnov {}.",
        shown(verdict.judged.wasserstein_1_s),
        verdict.judged.kolmogorov_smirnov.map_or("-".to_owned(), |ks| format!("{ks:.3}")),
    ));
    if verdict.pending_at_start.jobs > 0 {
        let pending = &verdict.pending_at_start;
        line(format!(
            "{} jobs were pending when the window began: mean wait {} recorded, {} simulated.",
            count(pending.jobs),
            shown(pending.recorded_wait_s.mean),
            shown(pending.simulated_wait_s.mean),
        ));
    }
    if found.running_at_start > 0 {
        line(format!(
            "{} jobs were running then; {} of them found no room at their recorded start.",
            count(found.running_at_start),
            count(found.placed_late),
        ));
    }
    let parts = &verdict.parts;
    let all: [(&str, &[NamedPart]); 5] = [
        ("partition", &parts.partition),
        ("QOS", &parts.qos),
        ("user", &parts.user),
        ("size", &parts.size),
        ("requested time", &parts.requested_time),
    ];
    for (what, rows) in all.into_iter().filter(|(_, rows)| rows.len() > 1) {
        line(format!("\n{}", parts_table(what, rows)));
    }
    line(asides(found));
    line("Not known here, and part of every recorded wait:".to_owned());
    for words in &found.not_known {
        line(format!("- {words}"));
    }
    text
}

fn headline(found: &Backtest) -> String {
    let moving = &found.verdict.moving_mean;
    match moving.mean_absolute_error_pct {
        Some(error) => format!(
            "Moving mean of the wait over {}: mean absolute error {error:.1} % ({} instants; FastSim quotes 7.3 % \
             for ARCHER2, BSC's Slurm simulator 1.7 %).",
            span(moving.window_s),
            moving.curve.len()
        ),
        None => "Moving mean of the wait: nobody really waited, so there is no error in per cent.".to_owned(),
    }
}

fn waits_table(judged: &Compared, found: &Backtest) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["", "recorded", "simulated", "error"]);
    let (real, ours) = (&judged.recorded_wait_s, &judged.simulated_wait_s);
    for (name, real, ours) in [
        ("Wait, mean", real.mean, ours.mean),
        ("Wait, median", real.p50, ours.p50),
        ("Wait, p90", real.p90, ours.p90),
        ("Wait, p99", real.p99, ours.p99),
        ("Wait, longest", real.max, ours.max),
    ] {
        table.add_row([name.to_owned(), shown(real), shown(ours), error(real, ours)]);
    }
    let use_of = &found.verdict.utilization;
    for (name, real, ours) in [
        ("CPUs allocated", use_of.recorded_cpu, use_of.simulated_cpu),
        ("GPUs allocated", use_of.recorded_gpu, use_of.simulated_gpu),
    ] {
        let Some((real, ours)) = real.zip(ours) else { continue };
        let points = format!("{:+.1} points", (ours - real) * 100.0);
        table.add_row([name.to_owned(), percent(real), percent(ours), points]);
    }
    right(&mut table, 4);
    table
}

/// Rows of a table of parts; the object has all.
const SHOWN_PARTS: usize = 20;

fn parts_table(what: &str, rows: &[NamedPart]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([
        what,
        "jobs",
        "mean wait recorded",
        "simulated",
        "error",
        "p90 recorded",
        "simulated",
    ]);
    for NamedPart { name, compared } in rows.iter().take(SHOWN_PARTS) {
        let (real, ours) = (&compared.recorded_wait_s, &compared.simulated_wait_s);
        table.add_row([
            name.clone(),
            count(compared.jobs),
            shown(real.mean),
            shown(ours.mean),
            error(real.mean, ours.mean),
            shown(real.p90),
            shown(ours.p90),
        ]);
    }
    right(&mut table, 7);
    table
}

fn right(table: &mut Table, columns: usize) {
    for at in 1..columns {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn asides(found: &Backtest) -> String {
    let mut text = String::new();
    let asides = found.verdict.set_aside.iter().map(|aside| (aside.reason, aside.jobs));
    let left_out = found.left_out.iter().map(|(reason, jobs)| (reason.as_str(), *jobs));
    for (title, rows) in [
        ("Simulated and not judged:", asides.collect::<Vec<_>>()),
        ("Not simulated:", left_out.collect::<Vec<_>>()),
    ] {
        if !rows.is_empty() {
            writeln!(text, "\n{title}").expect("writing to a text works");
        }
        for (reason, jobs) in rows {
            writeln!(text, "  {:>9}  {reason}", count(jobs)).expect("writing to a text works");
        }
    }
    text
}

fn shown(seconds: Option<f64>) -> String {
    seconds.map_or("-".to_owned(), span)
}

fn signed(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(s) if s < 0.0 => format!("-{}", span(-s)),
        Some(s) => format!("+{}", span(s)),
    }
}

/// Error in per cent, where the recorded figure is not zero.
fn error(real: Option<f64>, ours: Option<f64>) -> String {
    match real.zip(ours) {
        Some((real, ours)) if real > 0.0 => format!("{:+.1} %", (ours - real) / real * 100.0),
        _ => "-".to_owned(),
    }
}

//! What moving jobs to other GPUs did, in words.

use super::Context;
use super::figures::count;
use crate::experiment::{DesignResult, SpeedVerdict};

/// Lines for terminal and page; none where nothing was moved.
pub(super) fn lines(context: &Context<'_>) -> Vec<String> {
    let mut lines: Vec<String> = context.results.iter().flat_map(design_lines).collect();
    if context.loaded.needs_from_peaks > 0 {
        lines.push(format!(
            "{} jobs declare no GPU memory: their recorded peak stands for it, an upper hint and not a need.",
            count(context.loaded.needs_from_peaks)
        ));
    }
    if let Some(sensitivity) = context.sensitivity {
        let total = sensitivity.verdicts.len();
        let flips: Vec<String> = sensitivity.flips().map(|verdict| verdict_words(context, verdict)).collect();
        lines.push(match flips.as_slice() {
            [] => format!(
                "At low and at high speeds of the catalogue every verdict against the baseline is the same ({total} figures)."
            ),
            flips => format!(
                "{} of {total} verdicts flip between low and high speeds of the catalogue, so they are not to be \
                 relied on without your own speeds ([speedup]): {}.",
                flips.len(),
                flips.join("; ")
            ),
        });
    }
    lines
}

fn design_lines(result: &DesignResult) -> Vec<String> {
    let facts = &result.translation;
    let label = &result.design.label;
    let mut lines = Vec::new();
    let moved: u64 = facts.moves.iter().map(|row| row.jobs).sum();
    let speeds = || facts.moves.iter().map(|row| row.speed);
    if moved > 0 {
        let (low, high) = (speeds().fold(f64::INFINITY, f64::min), speeds().fold(0.0, f64::max));
        let by_scenario = facts.moves.iter().filter(|row| row.by == "scenario").count();
        let by = match (by_scenario, facts.moves.len() - by_scenario) {
            (_, 0) => "by the scenario",
            (0, _) => "by the catalogue, estimated",
            _ => "by the scenario and the catalogue",
        };
        let first = &facts.moves[0];
        lines.push(format!(
            "{label}: {} jobs ran on other GPUs and run here at {low:.2} to {high:.2} times that speed ({by}), e.g. {} \
             to {} at {:.2}.",
            count(moved),
            first.from,
            first.to,
            first.speed
        ));
    }
    for (why, jobs) in &facts.as_recorded {
        lines.push(format!("{label}: {} jobs run as long as recorded: {why}.", count(*jobs)));
    }
    for (written, board) in &facts.taken_for {
        lines.push(format!("{label}: `{written}` in the trace is taken for {board}."));
    }
    if facts.peak_above_memory > 0 {
        lines.push(format!(
            "{label}: the recorded peak of {} jobs is above the memory of every GPU here; they declare no need and are \
             placed all the same (speedup.memory = \"recorded-peak\" refuses them).",
            count(facts.peak_above_memory)
        ));
    }
    lines
}

fn verdict_words(context: &Context<'_>, verdict: &SpeedVerdict) -> String {
    let named = context.results.iter().find(|result| result.design.name == verdict.design);
    let label = named.map_or(verdict.design.as_str(), |result| result.design.label.as_str());
    let pair = |values: Option<[f64; 2]>| {
        values.map_or("-".to_owned(), |[ours, base]| format!("{ours:.2} against {base:.2}"))
    };
    format!("{} of {label}: {} at low, {} at high", verdict.figure, pair(verdict.low), pair(verdict.high))
}

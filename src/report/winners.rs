//! Winners and losers of every design against the baseline, for the terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Context;
use super::figures::{count, span};
use crate::experiment::DesignResult;
use crate::metrics::shifts::{Shift, shifts};

/// Most winners, and most losers, of a kind and design: `summary.json` has all of them.
const LISTED: usize = 1;

/// The baseline of a comparison, if there is something to compare it with.
pub(super) fn baseline<'a>(context: &Context<'a>) -> Option<&'a DesignResult> {
    let name = &context.scenario.compare.baseline;
    let found = context.results.iter().find(|result| result.design.name == *name)?;
    (context.results.len() > 1).then_some(found)
}

/// Who waits longer and who less than under the baseline; nothing where the trace names nobody.
pub(super) fn winners_text(context: &Context<'_>) -> String {
    let Some(before) = baseline(context) else { return String::new() };
    let workload = &context.loaded.workload;
    let mut text = String::new();
    for result in context.results.iter().filter(|result| result.design.name != before.design.name) {
        let shifts = shifts(workload, &before.outcome, &result.outcome);
        let of_accounts = rows("account", &shifts.account);
        let of_users = rows("user", &shifts.user);
        if of_accounts.is_empty() && of_users.is_empty() {
            continue;
        }
        let (label, than) = (&result.design.label, &before.design.label);
        let all = &shifts.all;
        let counts =
            format!("{} jobs wait longer, {} less; mean waits", count(all.longer), count(all.shorter));
        writeln!(text, "\n{label} against {than}: {counts}:").expect("writing to a text works");
        text += &of_accounts;
        text += &of_users;
        if let Some(worst) = &all.starvation {
            let (id, from, to) = (&worst.job_id, span(worst.before_s), span(worst.after_s));
            writeln!(text, "  longest growth of a wait: job {id}, {from} -> {to}")
                .expect("writing to a text works");
        }
        if all.no_longer_start > 0 {
            writeln!(text, "  {} jobs no longer start", count(all.no_longer_start))
                .expect("writing to a text works");
        }
    }
    text
}

/// The largest changes of one kind: losers, then winners.
fn rows(kind: &str, shifts: &BTreeMap<String, Shift>) -> String {
    let changed = |(name, shift): (&String, &Shift)| {
        let change = shift.wait_mean_change_s.filter(|change| change.abs() >= 1.0)?;
        Some((change, name.clone()))
    };
    let mut sorted: Vec<(f64, String)> = shifts.iter().filter_map(changed).collect();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let losers = sorted.iter().filter(|row| row.0 > 0.0).count();
    let winners = sorted.len() - losers;
    let mut text = String::new();
    let listed = sorted[..losers].iter().take(LISTED).chain(sorted.iter().rev().take(winners.min(LISTED)));
    for (change, name) in listed {
        let shift = &shifts[name];
        let word = if *change > 0.0 { "loses" } else { "wins" };
        let sign = if *change > 0.0 { "+" } else { "-" };
        let mean = |s: Option<f64>| s.map_or_else(String::new, span);
        let worst = shift.starvation.as_ref().map_or_else(String::new, |worst| {
            format!("worst: job {}, +{}", worst.job_id, span(worst.after_s - worst.before_s))
        });
        let line = format!(
            "  {word:<5} {:<17} {:>6} jobs  {:>9} -> {:<9} {:>11}  {worst}",
            format!("{kind} {name}"),
            count(shift.jobs),
            mean(shift.wait_mean_before_s),
            mean(shift.wait_mean_after_s),
            format!("({sign}{})", span(change.abs())),
        );
        writeln!(text, "{}", line.trim_end()).expect("writing to a text works");
    }
    text
}

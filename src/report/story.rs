//! Why a job waited, where it ran, and what came before its work: attempt by attempt.

mod attempts;

use std::fmt::Write as _;

use serde::Serialize;

use self::attempts::{AttemptTold, NodeTold};
use super::table::fold;
use crate::ids::JobId;
use crate::scenario::Design;
use crate::scheduler::Pending;
use crate::simulation::{Outcome, SlurmWait};
use crate::time::{SimDuration, SimTime};
use crate::workload::Workload;

/// Widest line of a story.
const WIDTH: usize = 80;

/// Where a long line of waiting goes on: below its second instant.
const WAITS_INDENT: usize = 17;

/// The story of one job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Story {
    /// Its id.
    pub job_id: String,
    /// Submission.
    pub submit_s: f64,
    /// Start, if it started.
    pub start_s: Option<f64>,
    /// End, if it ended.
    pub end_s: Option<f64>,
    /// State at the end of the run.
    pub state: &'static str,
    /// Its recorded run time and the one here, where it ran on another GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translated_run_s: Option<(f64, f64)>,
    /// Why no pool can ever hold it, if so.
    pub refused: Option<String>,
    /// Every attempt; one that moved has one for each place.
    pub attempts: Vec<AttemptTold>,
    /// What changed while it waited.
    pub waits: Vec<Wait>,
    /// Nodes that were not simply there while it waited.
    pub nodes_out: Vec<NodeTold>,
}

/// One stretch of waiting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wait {
    /// From.
    pub from_s: f64,
    /// To.
    pub to_s: f64,
    /// Pending reason.
    pub reason: &'static str,
    /// The job at the head of the queue, if another.
    pub behind: Option<String>,
    /// Jobs ahead of it.
    pub ahead: usize,
    /// When the head is expected to start, where the policy reserves for it.
    pub head_expected_s: Option<f64>,
    /// What only Slurm's engine tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slurm: Option<SlurmWords>,
}

/// What only Slurm's engine tells of a stretch of waiting.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SlurmWords {
    /// Jobs in the way, the first few: they come first, hold what it needs, are waited for, or use up the
    /// limit.
    pub blockers: Vec<String>,
    /// How many more.
    pub more_blockers: usize,
    /// Jobs ahead of it at the end of the stretch.
    pub ahead_last: usize,
    /// The limit of an association or QOS that is met, by Slurm's name of the reason.
    pub limit: Option<&'static str>,
    /// When its begin time comes.
    pub until_s: Option<f64>,
    /// The start that the backfill thread planned for it, first and last in this stretch.
    pub planned_start_s: Option<(f64, f64)>,
}

/// The story of `job` in a run of `design` that watched it and kept allocations.
#[must_use]
pub fn story(workload: &Workload, design: &Design, outcome: &Outcome, job: JobId) -> Story {
    let record = &outcome.records[job];
    let known = |at: SimTime| (at != SimTime::NEVER).then(|| at.as_s());
    let end_of_wait = known(record.start).or(known(record.end)).unwrap_or(outcome.last_instant.as_s());
    let rows = &outcome.watched;
    let waits = rows
        .iter()
        .enumerate()
        .filter_map(|(at, row)| {
            let reason = row.reason?;
            Some(Wait {
                from_s: row.at.as_s(),
                to_s: rows.get(at + 1).map_or(end_of_wait, |next| next.at.as_s()),
                reason: reason.name(),
                behind: row.head.map(|head| workload.job_name(head)),
                ahead: row.ahead,
                head_expected_s: row.shadow.filter(|at| *at < SimTime::MAX).map(SimTime::as_s),
                slurm: None,
            })
        })
        .collect();
    let waits = match &outcome.slurm {
        Some(facts) => slurm_waits(workload, &facts.watched, outcome.last_instant),
        None => waits,
    };
    let recorded = workload.jobs[job].run.micros();
    // What came before its work is no matter of speed.
    let late = outcome.work_start(job).saturating_since(outcome.last_start(job)).micros();
    let here = outcome.run_us(job).saturating_sub(late);
    let is_translated =
        record.state.ran_to_an_end() && !outcome.has_attempts() && here != recorded && here > 0;
    let as_s = |micros: i64| SimDuration::from_micros(micros).as_s();
    let teller = attempts::Teller::new(workload, design, outcome);
    Story {
        job_id: workload.job_name(job),
        submit_s: workload.jobs[job].submit.as_s(),
        start_s: known(record.start),
        end_s: known(record.end),
        state: record.state.name(),
        translated_run_s: is_translated.then(|| (as_s(recorded), as_s(here))),
        refused: outcome.refused.iter().find(|(id, _)| *id == job).map(|(_, why)| why.clone()),
        attempts: teller.attempts(job),
        nodes_out: teller.nodes_out(job),
        waits,
    }
}

/// The stretches of waiting under Slurm's policy.
fn slurm_waits(workload: &Workload, rows: &[SlurmWait], end: SimTime) -> Vec<Wait> {
    let ends = rows.iter().skip(1).map(|next| next.at).chain([end]);
    let wait = |(row, to): (&SlurmWait, SimTime)| {
        let reason = row.reason?;
        let planned = row.planned_first.zip(row.planned_last);
        let first = row.blockers.first().filter(|_| reason == "Priority");
        Some(Wait {
            from_s: row.at.as_s(),
            to_s: to.max(row.at).as_s(),
            reason,
            behind: first.map(|head| workload.job_name(*head)),
            ahead: row.ahead,
            head_expected_s: None,
            slurm: Some(SlurmWords {
                blockers: row.blockers.iter().map(|job| workload.job_name(*job)).collect(),
                more_blockers: row.more_blockers,
                ahead_last: row.ahead_last,
                limit: row.is_limit.then_some(reason),
                until_s: row.until.map(SimTime::as_s),
                planned_start_s: planned.map(|(first, last)| (first.as_s(), last.as_s())),
            }),
        })
    };
    rows.iter().zip(ends).filter_map(wait).collect()
}

/// Seconds to the millisecond.
fn seconds(s: f64) -> String {
    let text = format!("{s:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Story {
    /// As text for the terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.head().lines().for_each(|line| fold(&mut text, line, WIDTH, 4));
        text += &attempts::attempts_text(&self.attempts);
        for wait in &self.waits {
            let (from, to) = (seconds(wait.from_s), seconds(wait.to_s));
            let width = if wait.slurm.is_some() { 26 } else { 14 };
            let line = format!("  {from:>12} - {to:<12} {:<width$} {}", wait.reason, words(wait));
            fold(&mut text, line.trim_end(), WIDTH, WAITS_INDENT);
        }
        if self.waits.is_empty() && self.start_s.is_some() {
            let at_once = self.start_s == Some(self.submit_s);
            text += if at_once {
                "It started at once.\n"
            } else {
                "Why jobs wait is not told under this policy.\n"
            };
        }
        text += &attempts::nodes_text(&self.nodes_out);
        text
    }

    /// When it came, ran and ended.
    fn head(&self) -> String {
        let mut text = format!("Job {}: submitted at {} s", self.job_id, seconds(self.submit_s));
        match (self.start_s, self.end_s) {
            (Some(start), Some(end)) => {
                let waited = seconds(start - self.submit_s);
                let (start, end) = (seconds(start), seconds(end));
                text += &format!(", waited {waited} s, ran from {start} s to {end} s ({})", self.state);
            }
            (Some(start), None) => text += &format!(", started at {} s ({})", seconds(start), self.state),
            (None, _) => text += &format!(", never started ({})", self.state),
        }
        text.push('\n');
        if let Some(why) = &self.refused {
            writeln!(text, "Refused: {why}").expect("writing to a text works");
        }
        if let Some((recorded, here)) = self.translated_run_s {
            let (recorded_s, here_s) = (seconds(recorded), seconds(here));
            let speed = recorded / here;
            writeln!(text, "Recorded run time {recorded_s} s, here {here_s} s: {speed:.2} times the speed.")
                .expect("writing to a text works");
        }
        text
    }
}

fn words(wait: &Wait) -> String {
    if let Some(words) = &wait.slurm {
        return slurm_words(wait, words);
    }
    let expected =
        wait.head_expected_s.map_or_else(String::new, |at| format!(", expected to start at {at} s"));
    match &wait.behind {
        Some(head) => format!("{} jobs ahead; first is {head}{expected}", wait.ahead),
        None if wait.reason == Pending::Fragmentation.name() => {
            format!("first in the queue; enough is free in all, but not on nodes that fit{expected}")
        }
        None if wait.reason == Pending::Resources.name() => {
            format!("first in the queue; less is free than it needs{expected}")
        }
        None => String::new(),
    }
}

/// The first of those that were first in the queue, and the last.
fn few(words: &SlurmWords) -> String {
    const NAMED: usize = 4;
    match words.blockers.as_slice() {
        [head @ .., last] if head.len() > NAMED => {
            format!("{}, {} more, {last}", head[..NAMED - 1].join(", "), head.len() + 1 - NAMED)
        }
        all => all.join(", "),
    }
}

fn slurm_words(wait: &Wait, words: &SlurmWords) -> String {
    let more =
        if words.more_blockers > 0 { format!(" and {} more", words.more_blockers) } else { String::new() };
    let jobs = format!("{}{more}", words.blockers.join(", "));
    let mut parts: Vec<String> = Vec::new();
    match wait.reason {
        "None" => parts.push("the scheduler has not looked at it yet".to_owned()),
        "Priority" => {
            parts.push(match words.ahead_last {
                last if last == wait.ahead => format!("{last} ahead in its partition"),
                last => format!("{} ahead in its partition, {last} at last", wait.ahead),
            });
            parts.extend((!words.blockers.is_empty()).then(|| format!("first in the queue: {}", few(words))));
        }
        "Resources" if !words.blockers.is_empty() => parts.push(format!("at first held by {jobs}")),
        "Dependency" | "DependencyNeverSatisfied" => parts.push(format!("waits for {jobs}")),
        _ if words.limit.is_some() && !words.blockers.is_empty() => {
            parts.push(format!("at first used up by {jobs}"))
        }
        _ => {}
    }
    parts.extend(words.until_s.map(|at| format!("until {} s", seconds(at))));
    match words.planned_start_s {
        Some((first, last)) if first == last => parts.push(format!("start planned at {} s", seconds(first))),
        Some((first, last)) => {
            parts.push(format!("start planned at {} s, at last {} s", seconds(first), seconds(last)));
        }
        None => {}
    }
    parts.join("; ")
}

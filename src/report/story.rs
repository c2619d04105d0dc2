//! Why a job waited, in order.

use std::fmt::Write as _;

use serde::Serialize;

use crate::ids::JobId;
use crate::scheduler::Pending;
use crate::simulation::Outcome;
use crate::time::SimTime;
use crate::workload::Workload;

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
    /// Why no pool can ever hold it, if so.
    pub refused: Option<String>,
    /// What changed while it waited.
    pub waits: Vec<Wait>,
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
}

/// The story of `job` in a run that watched it.
#[must_use]
pub fn story(workload: &Workload, outcome: &Outcome, job: JobId) -> Story {
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
                head_expected_s: row.shadow.map(SimTime::as_s),
            })
        })
        .collect();
    Story {
        job_id: workload.job_name(job),
        submit_s: workload.jobs[job].submit.as_s(),
        start_s: known(record.start),
        end_s: known(record.end),
        state: record.state.name(),
        refused: outcome.refused.iter().find(|(id, _)| *id == job).map(|(_, why)| why.clone()),
        waits,
    }
}

impl Story {
    /// As text for the terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("Job {}: submitted at {} s", self.job_id, self.submit_s);
        match (self.start_s, self.end_s) {
            (Some(start), Some(end)) => {
                let waited = start - self.submit_s;
                text += &format!(", waited {waited} s, ran from {start} s to {end} s ({})", self.state);
            }
            (Some(start), None) => text += &format!(", started at {start} s ({})", self.state),
            (None, _) => text += &format!(", never started ({})", self.state),
        }
        text.push('\n');
        if let Some(why) = &self.refused {
            writeln!(text, "Refused: {why}").expect("writing to a text works");
        }
        for wait in &self.waits {
            write!(text, "  {:>12} - {:<12} {:<14}", wait.from_s, wait.to_s, wait.reason)
                .expect("writing to a text works");
            text += &self.words(wait);
            text.push('\n');
        }
        if self.waits.is_empty() && self.start_s.is_some() {
            text += "It started at once.\n";
        }
        text
    }

    fn words(&self, wait: &Wait) -> String {
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
}

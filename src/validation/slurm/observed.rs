//! The recorded runs: `observed.csv`, `observed2.csv`, ... and the start of their controller.

use std::path::Path;

use serde::Deserialize;

use super::experiment::{node_set, read_csv};
use crate::diagnostic::Diagnostic;
use crate::scheduler::slurm::config::SlurmConfig;
use crate::time::{SimTime, parse_seconds_micros};

/// One attempt as recorded; times in seconds since zero.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedRow {
    /// Id of `jobs.csv`.
    pub job_id: String,
    /// Array task.
    pub task: Option<u32>,
    /// 1, 2, ...
    pub attempt: u32,
    /// Submission: to the millisecond for first attempts.
    pub submit_s: f64,
    /// Start, to the millisecond where the log has it.
    pub start_s: Option<f64>,
    /// End likewise.
    pub end_s: Option<f64>,
    /// Whether the backfill thread started it.
    pub by_backfill: bool,
    /// Order of the start decisions.
    pub start_seq: u64,
    /// Slurm's word.
    pub state: String,
    /// Nodes by index, ascending.
    pub nodes: Vec<usize>,
    /// `gres/gpu` of `alloc_tres`.
    pub gpus: u32,
    /// Priority at submission.
    pub priority_init: Option<u32>,
}

/// One recorded run.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// File name without `.csv`.
    pub name: String,
    /// Attempts.
    pub rows: Vec<ObservedRow>,
    /// `slurmctld_started_s` of `*.meta.txt`.
    pub controller_started: Option<SimTime>,
    /// Second of the epoch at time zero, from `sdiag`'s "Data since" and the start of the controller.
    pub epoch_s: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Raw {
    job_id: String,
    array_task: String,
    attempt: u32,
    submit: Option<f64>,
    start: Option<f64>,
    end: Option<f64>,
    state: String,
    submit_ms: Option<f64>,
    start_ms: Option<f64>,
    end_ms: Option<f64>,
    started_by: String,
    start_seq: Option<u64>,
    nodelist: String,
    alloc_tres: String,
    priority_init: Option<u32>,
}

/// All recorded runs of a folder, in order of their names.
pub(super) fn observed_runs(dir: &Path, config: &SlurmConfig) -> Result<Vec<Observed>, Vec<Diagnostic>> {
    let named = |n: &str| n == "observed.csv" || is_numbered(n);
    let entries = std::fs::read_dir(dir)
        .map_err(|why| vec![Diagnostic::error("W0520", format!("cannot read {}: {why}", dir.display()))])?;
    let mut names: Vec<String> =
        entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).filter(|n| named(n)).collect();
    names.sort_by_key(|n| (n.len(), n.clone()));
    names.iter().map(|name| read_run(dir, name, config)).collect()
}

/// `observed2.csv`, not `observed2.prio.csv`.
fn is_numbered(name: &str) -> bool {
    let middle = name.strip_prefix("observed").and_then(|n| n.strip_suffix(".csv"));
    middle.is_some_and(|m| !m.is_empty() && m.bytes().all(|b| b.is_ascii_digit()))
}

fn read_run(dir: &Path, file: &str, config: &SlurmConfig) -> Result<Observed, Vec<Diagnostic>> {
    let raw: Vec<Raw> = read_csv(&dir.join(file))?;
    let name = file.trim_end_matches(".csv").to_owned();
    let meta = std::fs::read_to_string(dir.join(format!("{name}.meta.txt"))).unwrap_or_default();
    let started = meta.lines().find_map(|l| l.strip_prefix("slurmctld_started_s "));
    let controller_started =
        started.and_then(|s| parse_seconds_micros(s.trim().as_bytes()).ok()).map(SimTime::from_micros);
    let sdiag = std::fs::read_to_string(dir.join(format!("{name}.sdiag.txt"))).unwrap_or_default();
    let since = sdiag
        .lines()
        .find(|l| l.starts_with("Data since"))
        .and_then(|l| l.split(['(', ')']).nth(1)?.parse::<i64>().ok());
    // the statistics begin with the first turn of the 1-second loop
    let first_turn_s = |at: SimTime| (at.micros() + 1_500_000).div_euclid(1_000_000);
    let epoch_s = since.zip(controller_started).map(|(s, at)| s - first_turn_s(at));
    Ok(Observed {
        epoch_s,
        name,
        rows: raw.into_iter().map(|r| row_of(r, config)).collect(),
        controller_started,
    })
}

fn row_of(raw: Raw, config: &SlurmConfig) -> ObservedRow {
    let submit = if raw.attempt > 1 { raw.submit } else { raw.submit_ms.or(raw.submit) };
    let gpus =
        raw.alloc_tres.split(',').find_map(|t| t.strip_prefix("gres/gpu=")).and_then(|n| n.parse().ok());
    ObservedRow {
        job_id: raw.job_id,
        task: raw.array_task.parse().ok(),
        attempt: raw.attempt,
        submit_s: submit.unwrap_or(0.0),
        start_s: raw.start_ms.or(raw.start),
        end_s: raw.end_ms.or(raw.end),
        by_backfill: raw.started_by == "backfill",
        start_seq: raw.start_seq.unwrap_or(0),
        state: raw.state,
        nodes: node_set(&raw.nodelist, config).map(|set| set.ones().collect()).unwrap_or_default(),
        gpus: gpus.unwrap_or(0),
        priority_init: raw.priority_init,
    }
}

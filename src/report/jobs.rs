//! Jobs row by row, as `jobs.csv`, as NDJSON and as Parquet: the same columns in all three.

use std::io::{self, Write};

use serde::Serialize;

use super::Context;
use crate::cluster::Allocation;
use crate::experiment::DesignResult;
use crate::ids::{Id, IdVec, JobId, TextId};
use crate::scenario::Design;
use crate::scenario::slurm_conf::compress_hosts;
use crate::simulation::JobState;
use crate::time::SimTime;

/// Columns of `jobs.csv`.
const COLUMNS: [&str; 16] = [
    "job_id",
    "submit_s",
    "eligible_s",
    "start_s",
    "work_start_s",
    "end_s",
    "state",
    "attempt",
    "nodes",
    "gpus",
    "reason",
    "design",
    "node_list",
    "user",
    "account",
    "class",
];

/// A job in a design.
pub(super) struct JobRow<'a> {
    pub(super) job_id: String,
    pub(super) submit: SimTime,
    pub(super) eligible: Option<SimTime>,
    pub(super) start: Option<SimTime>,
    pub(super) work_start: Option<SimTime>,
    pub(super) end: Option<SimTime>,
    pub(super) state: JobState,
    pub(super) attempt: usize,
    pub(super) nodes: usize,
    pub(super) gpus: u32,
    pub(super) reason: &'a str,
    pub(super) design: &'a str,
    pub(super) node_list: String,
    pub(super) user: &'a str,
    pub(super) account: &'a str,
    pub(super) class: &'a str,
}

/// An instant that has come.
pub(super) fn come(at: SimTime) -> Option<SimTime> {
    (at != SimTime::NEVER).then_some(at)
}

/// Calls `row` for every job of every design, in declared and submit order.
pub(super) fn each_job(
    context: &Context<'_>,
    mut row: impl FnMut(JobRow<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let workload = &context.loaded.workload;
    for result in context.results {
        let held = last_allocations(result, workload.jobs.len());
        let hosts = host_names(&result.design);
        let mut refused = result.outcome.refused.iter().peekable();
        for (job, record) in result.outcome.records.iter_ids() {
            let allocation = held[job];
            let labels = workload.labels.get(workload.jobs[job].labels);
            let text = |id: Option<TextId>| id.map_or("", |id| workload.texts.get(id));
            let reason = match refused.next_if(|(id, _)| *id == job) {
                Some((_, reason)) => reason.as_str(),
                None => result.outcome.pending_reason(job).unwrap_or(""),
            };
            let nodes = |a: &Allocation| {
                node_list(result, hosts.as_deref(), a.iter().map(|grant| grant.node.index()))
            };
            row(JobRow {
                job_id: workload.job_name(job),
                submit: workload.jobs[job].submit,
                eligible: come(result.outcome.eligible(workload, job)),
                start: come(record.start),
                work_start: come(result.outcome.work_start(job)),
                end: come(record.end),
                state: record.state,
                attempt: result.outcome.starts(job),
                nodes: allocation.map_or(0, |a| a.len()),
                gpus: allocation.map_or(0, |a| a.iter().map(|grant| grant.gpus.count_ones()).sum()),
                reason,
                design: &result.design.name,
                node_list: allocation.map_or_else(String::new, nodes),
                user: text(labels.user),
                account: text(labels.account),
                class: text(labels.class),
            })?;
        }
    }
    Ok(())
}

/// What each job held last, if allocations were kept.
pub(super) fn last_allocations(result: &DesignResult, jobs: usize) -> IdVec<JobId, Option<&Allocation>> {
    let mut held: IdVec<JobId, Option<&Allocation>> = std::iter::repeat_n(None, jobs).collect();
    for (job, allocation) in &result.outcome.allocations {
        held[*job] = Some(allocation);
    }
    held
}

pub(super) fn jobs_csv(context: &Context<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS)?;
    let instant = |at: Option<SimTime>| at.map_or_else(String::new, |at| at.to_string());
    each_job(context, |row| {
        csv.write_record([
            row.job_id.as_str(),
            &row.submit.to_string(),
            &instant(row.eligible),
            &instant(row.start),
            &instant(row.work_start),
            &instant(row.end),
            row.state.name(),
            &row.attempt.to_string(),
            &row.nodes.to_string(),
            &row.gpus.to_string(),
            row.reason,
            row.design,
            &row.node_list,
            row.user,
            row.account,
            row.class,
        ])?;
        Ok(())
    })?;
    csv.flush()
}

/// A row as NDJSON has it.
#[derive(Serialize)]
struct JsonRow<'a> {
    job_id: &'a str,
    submit_s: f64,
    eligible_s: Option<f64>,
    start_s: Option<f64>,
    work_start_s: Option<f64>,
    end_s: Option<f64>,
    state: &'a str,
    attempt: usize,
    nodes: usize,
    gpus: u32,
    reason: Option<&'a str>,
    design: &'a str,
    node_list: Option<&'a str>,
    user: Option<&'a str>,
    account: Option<&'a str>,
    class: Option<&'a str>,
}

/// One JSON object a line for every job of every design, with the columns of `jobs.csv` as keys; what is empty there
/// is null.
///
/// # Errors
/// What `out` reports.
pub fn jobs_ndjson(context: &Context<'_>, out: &mut dyn Write) -> io::Result<()> {
    let seconds = |at: Option<SimTime>| at.map(SimTime::as_s);
    each_job(context, |row| {
        let cells = JsonRow {
            job_id: &row.job_id,
            submit_s: row.submit.as_s(),
            eligible_s: seconds(row.eligible),
            start_s: seconds(row.start),
            work_start_s: seconds(row.work_start),
            end_s: seconds(row.end),
            state: row.state.name(),
            attempt: row.attempt,
            nodes: row.nodes,
            gpus: row.gpus,
            reason: said(row.reason),
            design: row.design,
            node_list: said(&row.node_list),
            user: said(row.user),
            account: said(row.account),
            class: said(row.class),
        };
        serde_json::to_writer(&mut *out, &cells)?;
        writeln!(out)
    })
}

/// A text that says something.
pub(super) fn said(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// `main[0-3,7]`, pool by pool.
fn node_list(result: &DesignResult, hosts: Option<&[String]>, nodes: impl Iterator<Item = usize>) -> String {
    let mut nodes: Vec<usize> = nodes.collect();
    nodes.sort_unstable();
    if let Some(names) = hosts {
        return compress_hosts(nodes.iter().map(|at| names[*at].as_str()));
    }
    let mut text = String::new();
    let mut first = 0;
    for pool in &result.design.cluster.pools {
        let last = first + pool.count as usize;
        let inside: Vec<usize> =
            nodes.iter().filter(|n| (first..last).contains(n)).map(|n| n - first).collect();
        if !inside.is_empty() {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(&pool.name);
            text.push('[');
            text.push_str(&ranges(&inside));
            text.push(']');
        }
        first = last;
    }
    text
}

/// Names of the nodes where slurm.conf gave them; nodes of the scenario's own pools have none.
fn host_names(design: &Design) -> Option<Vec<String>> {
    let site = design.slurm.as_deref()?;
    let names = || site.nodes.iter().map(|node| node.name.clone());
    (!names().eq(pool_hosts(design))).then(|| names().collect())
}

/// Pool by pool `main0`, `main1`, ...: the names of nodes that have no others.
fn pool_hosts(design: &Design) -> impl Iterator<Item = String> {
    let pools = design.cluster.pools.iter();
    pools.flat_map(|pool| (0..pool.count).map(move |at| format!("{}{at}", pool.name)))
}

/// A name for every node, as a site would have it.
pub(super) fn hosts(design: &Design) -> Vec<String> {
    host_names(design).unwrap_or_else(|| pool_hosts(design).collect())
}

fn ranges(sorted: &[usize]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < sorted.len() {
        let mut end = at;
        while end + 1 < sorted.len() && sorted[end + 1] == sorted[end] + 1 {
            end += 1;
        }
        parts.push(if end == at {
            sorted[at].to_string()
        } else {
            format!("{}-{}", sorted[at], sorted[end])
        });
        at = end + 1;
    }
    parts.join(",")
}

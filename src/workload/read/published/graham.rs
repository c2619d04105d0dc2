//! DRAC Graham: jobs that were pending at noon, with what they met in the queue (98 columns).
//!
//! A biased sample: only jobs submitted since midnight and still pending at 12:00. The GPU model is not
//! given; limits are the requested ones; memory is in MB for the whole job.

use super::{Context, Oddity, Taken, never_ran};
use crate::time::SimDuration;
use crate::workload::Recorded;
use crate::workload::read::foreign::{ForeignJob, label};
use crate::workload::read::sacct::Tres;
use crate::workload::read::table::{Columns, RowProblem, TableRow};
use crate::workload::{Labels, Request};

pub(super) const COLUMNS: Columns = Columns {
    what: "a queue snapshot of DRAC Graham",
    required: &[
        "job_unique_id",
        "submit_time",
        "start_time",
        "end_time",
        "run_time_sec",
        "time_limit_sec",
        "req_cpus",
        "req_tres",
        "state",
    ],
    optional: &[
        "eligible_time",
        "req_mem_total",
        "alloc_nodes",
        "partition_id_x",
        "account_id",
        "priority_x",
    ],
};

/// One job.
pub(super) fn job(row: &TableRow<'_>, context: &mut Context<'_>) -> Result<Taken, RowProblem> {
    let submit = row.time("submit_time", context.clock)?;
    let start = row.time("start_time", context.clock)?;
    let end = row.time("end_time", context.clock)?;
    let eligible = row.time("eligible_time", context.clock)?;
    let (Some(submit), Some(start)) = (submit, start) else {
        return Err(never_ran("no submit or start time", row.text("state")));
    };
    let run = SimDuration::from_micros(row.millionths("run_time_sec")?);
    let limit = SimDuration::from_micros(row.millionths("time_limit_sec")?);
    let asked = Tres::read(row.text("req_tres"));
    let cpus = row.whole("req_cpus", 1, i64::from(i32::MAX))? as u32;
    let nodes = asked.nodes;
    let given_nodes = row.optional_count("alloc_nodes")?;
    // The request tells the least number of nodes: a job that got more did not fix it.
    let is_fixed = given_nodes.is_none_or(|given| Some(given) <= nodes);
    let spread_over = given_nodes.or(nodes).unwrap_or(1);
    let memory = asked.mem_mib.map(|mib| mib.div_ceil(u64::from(spread_over)));
    let mut oddities = Vec::new();
    if end.is_some_and(|end| end.saturating_since(start) != run) {
        oddities.push(Oddity::noted("end - start is not the run time (the run time is used)"));
    }
    if given_nodes.zip(nodes).is_some_and(|(given, asked)| given > asked) {
        oddities.push(Oddity::noted("allocated more nodes than requested (both are kept)"));
    }
    let job = ForeignJob {
        id: row.text("job_unique_id").to_owned(),
        submit,
        run,
        limit: Some(limit),
        limit_column: row.column("time_limit_sec"),
        priority: row.text("priority_x").parse().unwrap_or(0),
        request: Request {
            cpus: Some(cpus),
            nodes: nodes.filter(|_| is_fixed),
            mem_mb_per_node: memory.filter(|mib| *mib > 0),
            gpus: asked.gpus.filter(|n| *n > 0),
            ..Request::default()
        },
        labels: Labels {
            partition: label(context.texts, row.text("partition_id_x")),
            account: label(context.texts, row.text("account_id")),
            ..Labels::default()
        },
        recorded: Recorded {
            start: Some(start),
            end,
            eligible,
            state: label(context.texts, row.text("state")),
            alloc_nodes: given_nodes,
            ..Recorded::default()
        },
        ..ForeignJob::default()
    };
    Ok(Taken::Job(Box::new(job), oddities))
}

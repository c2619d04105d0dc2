//! The files of a Muri experiment: trace, cluster, restart overheads.

use std::collections::BTreeMap;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::simulation::preemptive::machine::TrainingTask;
use crate::time::{SimDuration, SimTime};
use crate::workload::read::table::{Columns, TableRow, read_table};

/// A training job: its work is iterations x iteration time x 1.015, its overhead is lost at every event.
pub type MuriJob = TrainingTask;

/// Equal nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MuriCluster {
    /// Nodes.
    pub nodes: u32,
    /// GPUs of each.
    pub gpus_per_node: u32,
}

/// Restart overheads by (GPUs, model); 10 s for what is not listed.
#[derive(Clone, Debug, Default)]
pub struct Overheads(BTreeMap<(u32, String), SimDuration>);

const OTHER_OVERHEAD: SimDuration = SimDuration::from_s(10);

/// What one replay needs.
#[derive(Clone, Debug)]
pub struct TraceInput {
    /// The jobs in submit order.
    pub jobs: Vec<MuriJob>,
    /// The cluster.
    pub cluster: MuriCluster,
    /// Rows that were refused, with reasons; warnings.
    pub told: Diagnostics,
}

const TRACE: Columns = Columns {
    what: "a Muri trace",
    required: &["job_id", "num_gpu", "submit_time", "iterations", "model_name", "iteration_time"],
    optional: &[],
};
const CLUSTER: Columns = Columns {
    what: "a Muri cluster file",
    required: &["num_switch", "num_node_p_switch", "num_gpu_p_node"],
    optional: &[],
};
const OVERHEAD: Columns = Columns {
    what: "a table of restart overheads",
    required: &["num_gpu", "model_name", "overhead_s"],
    optional: &[],
};

/// Reads the files of one replay. Overheads come from `overheads`, else from `restart_overhead_s.csv`
/// beside the cluster file, else are 10 s.
///
/// # Errors
/// What makes a file useless; with `strict`, any bad row of the trace.
pub fn read_input(
    trace: &Path,
    cluster: &Path,
    overheads: Option<&Path>,
    strict: bool,
) -> Result<TraceInput, Diagnostics> {
    let cluster_file = cluster;
    let cluster = read_cluster(cluster_file)?;
    let beside = cluster_file.with_file_name("restart_overhead_s.csv");
    let overheads = match overheads {
        Some(path) => read_overheads(path)?,
        None if beside.exists() => read_overheads(&beside)?,
        None => Overheads::default(),
    };
    let mut ids = rustc_hash::FxHashSet::default();
    let table = read_table(trace, &TRACE, strict, |row| {
        let job = read_job(row, cluster, &overheads)?;
        if ids.insert(row.text("job_id").to_owned()) { Ok(job) } else { Err(row.duplicate("job_id")) }
    })?;
    let mut jobs = table.rows;
    jobs.sort_by_key(|job| job.submit);
    Ok(TraceInput { jobs, cluster, told: table.told })
}

type Refused = crate::workload::read::table::RowProblem;

fn read_job(row: &TableRow<'_>, cluster: MuriCluster, overheads: &Overheads) -> Result<MuriJob, Refused> {
    let gpus = row.whole("num_gpu", 1, i64::from(i32::MAX))? as u32;
    let most = cluster.nodes * cluster.gpus_per_node;
    if gpus > most {
        let why = "such a job can never start";
        return Err(row.out_of_range("num_gpu", &format!("at most {most}, the GPUs of the cluster"), why));
    }
    let iterations = row.whole("iterations", 1, 1_000_000_000_000)?;
    // Millionths of a millisecond.
    let iteration_ns = row.positive_millionths("iteration_time")?;
    let picos = i128::from(iterations) * i128::from(iteration_ns) * 1015;
    let work_us = (picos + 500_000) / 1_000_000;
    if work_us > i128::from(SimDuration::MAX.micros()) {
        return Err(row.out_of_range("iterations", "at most 10^12 seconds of work", ""));
    }
    let model = row.text("model_name");
    Ok(MuriJob {
        submit: SimTime::from_micros(row.whole("submit_time", 0, 1_000_000_000_000_000)? * 1000),
        gpus,
        work: SimDuration::from_micros(work_us as i64),
        overhead: overheads.0.get(&(gpus, model.to_owned())).copied().unwrap_or(OTHER_OVERHEAD),
    })
}

fn read_cluster(path: &Path) -> Result<MuriCluster, Diagnostics> {
    let mut table = read_table(path, &CLUSTER, true, |row| {
        let switches = row.whole("num_switch", 1, 1_000_000)?;
        let per_switch = row.whole("num_node_p_switch", 1, 1_000_000 / switches)?;
        let gpus_per_node = row.whole("num_gpu_p_node", 1, 1024)? as u32;
        Ok(MuriCluster { nodes: (switches * per_switch) as u32, gpus_per_node })
    })?;
    if table.rows.len() > 1 {
        let place = Place::File(path.display().to_string().into());
        table.told.push(
            Diagnostic::error("W0431", "the cluster file has more than one row")
                .at(place)
                .because("these policies know one kind of node"),
        );
        return Err(table.told);
    }
    Ok(table.rows[0])
}

fn read_overheads(path: &Path) -> Result<Overheads, Diagnostics> {
    let table = read_table(path, &OVERHEAD, true, |row| {
        let key = (row.whole("num_gpu", 1, i64::from(i32::MAX))? as u32, row.text("model_name").to_owned());
        let overhead = row.whole("overhead_s", 0, 1_000_000)?;
        Ok((key, SimDuration::from_s(overhead)))
    })?;
    Ok(Overheads(table.rows.into_iter().collect()))
}

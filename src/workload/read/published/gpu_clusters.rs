//! Traces of GPU clusters: Alibaba openb and DLRM, Philly, Helios, Acme.
//!
//! What the publishers invented or encoded is undone here: the slice of Helios copies the run time into
//! the limit (so the limit is unknown) and gives every job one class (not taken); the converted Kalos
//! encodes the run time as iterations of 0.5 s, queue time included, and the memory in hundreds of GB.

use super::{Context, Oddity, Taken, never_ran};
use crate::time::{SimDuration, SimTime};
use crate::workload::read::foreign::{ForeignJob, label};
use crate::workload::read::table::{Columns, RowProblem, TableRow};
use crate::workload::{Labels, Recorded, Request};

/// Pods: the first five columns are what each of the published lists has.
pub(crate) const PODS: Columns = Columns {
    what: "an openb list of pods",
    required: &["name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli"],
    optional: &["gpu_spec", "qos", "pod_phase", "creation_time", "deletion_time", "scheduled_time"],
};
pub(super) const PHILLY: Columns = Columns {
    what: "the derived Philly trace",
    required: &["timestamp", "duration", "num_gpus", "gpu_time", "cluster"],
    optional: &[],
};
pub(super) const HELIOS_SLICE: Columns = Columns {
    what: "a slice of Helios",
    required: &["job_id", "tenant", "submit_time", "num_chips", "num_nodes", "duration_s", "final_status"],
    optional: &["user", "chip_type", "walltime_limit_s"],
};
pub(super) const HELIOS_LOG: Columns = Columns {
    what: "a job log of Helios or Acme",
    required: &["job_id", "gpu_num", "cpu_num", "node_num", "state", "submit_time", "start_time", "end_time"],
    optional: &["user", "vc", "type"],
};
pub(super) const KALOS: Columns = Columns {
    what: "the converted Kalos trace",
    required: &["job_id", "arrival_time", "num_iteration", "gpu_workers", "gpu_per_worker"],
    optional: &["cpu_per_gpu_worker", "tensorsizes"],
};
pub(super) const DLRM: Columns = Columns {
    what: "the list of DLRM instances",
    required: &[
        "instance_sn",
        "role",
        "app_name",
        "cpu_request",
        "gpu_request",
        "memory_request",
        "creation_time",
        "scheduled_time",
        "deletion_time",
    ],
    optional: &[],
};

/// Iterations of the converted Kalos trace are half a second long, by its own convention.
const KALOS_ITERATION: SimDuration = SimDuration::from_micros(500_000);
/// `tensorsizes` counts hundreds of GB.
const KALOS_MEMORY_UNIT: u64 = 100_000_000_000;

/// What a pod asks for, as every openb list has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PodRequest<'a> {
    pub(crate) cpu_milli: u32,
    pub(crate) memory_mib: u32,
    pub(crate) gpus: u8,
    /// Of each GPU; 0 where there is none.
    pub(crate) gpu_milli: u16,
    /// Allowed models, `A|B`; empty = any.
    pub(crate) spec: &'a str,
}

/// Reads what a pod asks for; at most `most_gpus`.
pub(crate) fn pod_request<'a>(row: &TableRow<'a>, most_gpus: u8) -> Result<PodRequest<'a>, RowProblem> {
    let whole = |name| row.whole(name, 0, i64::from(i32::MAX)).map(|value| value as u32);
    let gpus = row.whole("num_gpu", 0, i64::from(most_gpus))? as u8;
    let milli = whole("gpu_milli")?;
    if milli > 1000 {
        let help = "gpu_milli is the part of each GPU; ask for several GPUs with num_gpu";
        return Err(row.out_of_range("gpu_milli", "at most 1000, a whole GPU", help));
    }
    if gpus > 0 && milli == 0 {
        let help = "write 1000 for whole GPUs";
        return Err(row.out_of_range("gpu_milli", "above 0 where num_gpu is", help));
    }
    Ok(PodRequest {
        cpu_milli: whole("cpu_milli")?,
        memory_mib: whole("memory_mib")?,
        gpus,
        gpu_milli: if gpus == 0 { 0 } else { milli as u16 },
        spec: row.text("gpu_spec"),
    })
}

/// One pod of openb.
pub(super) fn pod(row: &TableRow<'_>, context: &mut Context<'_>) -> Result<Taken, RowProblem> {
    let asked = pod_request(row, u8::MAX)?;
    let submit = seconds(row, "creation_time")?;
    let phase = row.text("pod_phase");
    let (Some(submit), Some(start)) = (submit, seconds(row, "scheduled_time")?) else {
        return Err(never_ran("never scheduled: no run time is known", phase));
    };
    let end = seconds(row, "deletion_time")?;
    let mut oddities = Vec::new();
    if asked.cpu_milli % 1000 != 0 {
        oddities.push(Oddity::changed("a fraction of a CPU, rounded up to whole CPUs"));
    }
    if phase == "Running" {
        oddities.push(Oddity::noted("still running at its recorded end (the time so far is its run time)"));
    }
    let texts = &mut *context.texts;
    let spec = asked.spec.split('|').filter(|kind| !kind.is_empty());
    let job = ForeignJob {
        id: row.text("name").to_owned(),
        submit,
        run: end.map_or(SimDuration::ZERO, |end| end.saturating_since(start)),
        request: Request {
            nodes: Some(1),
            cpus: Some(asked.cpu_milli.div_ceil(1000)).filter(|cpus| *cpus > 0),
            mem_mb_per_node: Some(u64::from(asked.memory_mib)).filter(|mib| *mib > 0),
            gpus: Some(u32::from(asked.gpus)).filter(|gpus| *gpus > 0),
            gpu_milli: Some(u32::from(asked.gpu_milli)).filter(|milli| (1..1000).contains(milli)),
            gpu_types: spec.map(|kind| texts.intern(kind)).collect(),
            ..Request::default()
        },
        labels: Labels { qos: label(texts, row.text("qos")), ..Labels::default() },
        recorded: Recorded {
            start: Some(start),
            end,
            state: label(texts, slurm_state(phase)),
            ..Recorded::default()
        },
        ..ForeignJob::default()
    };
    Ok(Taken::Job(Box::new(job), oddities))
}

/// One job of the derived Philly trace: no id, no start, no state; 93 % ask for one GPU.
pub(super) fn philly(row: &TableRow<'_>, context: &mut Context<'_>) -> Result<Taken, RowProblem> {
    let submit = row.time("timestamp", context.clock)?;
    let submit = submit.ok_or_else(|| never_ran("no submit time", row.text("timestamp")))?;
    let run = SimDuration::from_micros(row.millionths("duration")?);
    let gpus = row.whole("num_gpus", 0, i64::from(i32::MAX))? as u32;
    let gpu_time = row.millionths("gpu_time")?;
    let mut oddities = Vec::new();
    // The publisher's product is rounded; a second for each GPU is no contradiction.
    let apart = (i128::from(run.micros()) * i128::from(gpus) - i128::from(gpu_time)).abs();
    if apart > i128::from(gpus.max(1)) * 1_000_000 {
        oddities.push(Oddity::noted("gpu_time is not duration x num_gpus (the duration is used)"));
    }
    let job = ForeignJob {
        id: context.row.to_string(),
        submit,
        run,
        request: Request { gpus: Some(gpus).filter(|gpus| *gpus > 0), ..Request::default() },
        labels: Labels { partition: label(context.texts, row.text("cluster")), ..Labels::default() },
        ..ForeignJob::default()
    };
    Ok(Taken::Job(Box::new(job), oddities))
}

/// One job of the slice of Helios: times in microseconds from the start of its window.
pub(super) fn helios_slice(row: &TableRow<'_>, context: &mut Context<'_>) -> Result<Taken, RowProblem> {
    let submit = SimTime::from_micros(row.whole("submit_time", 0, SimTime::MAX.micros())?);
    let run = SimDuration::from_micros(row.millionths("duration_s")?);
    let limit = if row.text("walltime_limit_s").is_empty() {
        None
    } else {
        // A copy of the duration was never asked for by anybody.
        Some(SimDuration::from_micros(row.millionths("walltime_limit_s")?)).filter(|limit| *limit != run)
    };
    let gpus = row.whole("num_chips", 0, i64::from(i32::MAX))? as u32;
    let nodes = row.whole("num_nodes", 0, i64::from(i32::MAX))? as u32;
    let texts = &mut *context.texts;
    let kind = row.text("chip_type");
    let job = ForeignJob {
        id: row.text("job_id").to_owned(),
        submit,
        run,
        limit,
        limit_column: row.column("walltime_limit_s"),
        request: Request {
            nodes: Some(nodes).filter(|nodes| *nodes > 0),
            gpus: Some(gpus).filter(|gpus| *gpus > 0),
            gpu_types: label(texts, kind).into_iter().collect(),
            ..Request::default()
        },
        labels: Labels {
            user: label(texts, row.text("user")),
            partition: label(texts, row.text("tenant")),
            ..Labels::default()
        },
        recorded: Recorded {
            state: label(texts, slurm_state(row.text("final_status"))),
            ..Recorded::default()
        },
        ..ForeignJob::default()
    };
    Ok(Taken::Job(Box::new(job), Vec::new()))
}

/// One job of the logs of Helios and Acme. Kalos counts its queue time into `duration`, so the run time
/// is end - start.
pub(super) fn helios_log(row: &TableRow<'_>, context: &mut Context<'_>) -> Result<Taken, RowProblem> {
    let state = row.text("state");
    let submit = row.time("submit_time", context.clock)?;
    let start = row.time("start_time", context.clock)?;
    let end = row.time("end_time", context.clock)?;
    let (Some(submit), Some(start), Some(end)) = (submit, start, end) else {
        return Err(never_ran("no submit, start or end time", state));
    };
    let texts = &mut *context.texts;
    let job = ForeignJob {
        id: row.text("job_id").to_owned(),
        submit,
        run: end.saturating_since(start),
        request: Request {
            nodes: row.optional_count("node_num")?,
            cpus: row.optional_count("cpu_num")?,
            gpus: row.optional_count("gpu_num")?,
            ..Request::default()
        },
        labels: Labels {
            user: label(texts, row.text("user")),
            partition: label(texts, row.text("vc")),
            name: label(texts, row.text("type")),
            ..Labels::default()
        },
        recorded: Recorded {
            start: Some(start),
            end: Some(end),
            state: label(texts, slurm_state(state)),
            ..Recorded::default()
        },
        ..ForeignJob::default()
    };
    Ok(Taken::Job(Box::new(job), Vec::new()))
}

/// One job of the converted Kalos trace.
pub(super) fn kalos(row: &TableRow<'_>, _: &mut Context<'_>) -> Result<Taken, RowProblem> {
    let submit = SimTime::from_micros(row.millionths("arrival_time")?);
    let iterations = row.whole("num_iteration", 0, 1_000_000_000)?;
    let workers = row.whole("gpu_workers", 1, 1_000_000)? as u32;
    let each = row.whole("gpu_per_worker", 0, 1_000)? as u32;
    let cpus_each =
        if row.text("cpu_per_gpu_worker").is_empty() { 0 } else { row.millionths("cpu_per_gpu_worker")? };
    let cpus = (u128::from(cpus_each.unsigned_abs()) * u128::from(workers)).div_ceil(1_000_000);
    let hundreds = if row.text("tensorsizes").is_empty() { 0 } else { row.millionths("tensorsizes")? };
    let memory = u128::from(hundreds.unsigned_abs()) * u128::from(KALOS_MEMORY_UNIT) / 1_000_000;
    let mib = u64::try_from(memory >> 20).unwrap_or(u64::MAX);
    let job = ForeignJob {
        id: row.text("job_id").to_owned(),
        submit,
        run: SimDuration::from_micros(iterations * KALOS_ITERATION.micros()),
        request: Request {
            nodes: Some(workers),
            cpus: i32::try_from(cpus).ok().and_then(|cpus| u32::try_from(cpus).ok()).filter(|cpus| *cpus > 0),
            mem_mb_per_node: Some(mib).filter(|mib| (1..1 << 40).contains(mib)),
            gpus: Some(each * workers).filter(|gpus| *gpus > 0),
            ..Request::default()
        },
        ..ForeignJob::default()
    };
    Ok(Taken::Job(Box::new(job), vec![Oddity::noted("its run time includes the time in the queue")]))
}

/// One DLRM instance: a service, so its time does not depend on the hardware. An instance without times
/// was there before the trace, one without deletion was there after it.
pub(super) fn dlrm(row: &TableRow<'_>, context: &mut Context<'_>) -> Result<Taken, RowProblem> {
    let (created, scheduled) = (seconds(row, "creation_time")?, seconds(row, "scheduled_time")?);
    let deleted = seconds(row, "deletion_time")?;
    let mut oddities = Vec::new();
    let (submit, start) = match (created, scheduled) {
        (Some(created), Some(scheduled)) => (created, scheduled),
        (None, None) => {
            oddities.push(Oddity::changed("created before the trace: placed at its start"));
            (SimTime::ZERO, SimTime::ZERO)
        }
        _ => return Err(never_ran("never scheduled: no run time is known", row.text("role"))),
    };
    let cpus = row.millionths("cpu_request")?;
    let memory = row.millionths("memory_request")?;
    let texts = &mut *context.texts;
    let gpus = row.whole("gpu_request", 0, 1_000)? as u32;
    let mut job = Box::new(ForeignJob {
        id: row.text("instance_sn").to_owned(),
        submit,
        session: true,
        request: Request {
            nodes: Some(1),
            cpus: u32::try_from(cpus.unsigned_abs().div_ceil(1_000_000)).ok().filter(|cpus| *cpus > 0),
            mem_mb_per_node: Some(memory.unsigned_abs().saturating_mul(1024) / 1_000_000)
                .filter(|mib| (1..1 << 40).contains(mib)),
            gpus: Some(gpus).filter(|gpus| *gpus > 0),
            ..Request::default()
        },
        labels: Labels {
            partition: label(texts, row.text("role")),
            name: label(texts, row.text("app_name")),
            ..Labels::default()
        },
        recorded: Recorded { start: Some(start), end: deleted, ..Recorded::default() },
        ..ForeignJob::default()
    });
    match deleted {
        Some(end) => {
            job.run = end.saturating_since(start);
            Ok(Taken::Job(job, oddities))
        }
        None => {
            oddities.push(Oddity::changed("deleted after the trace: its run time ends with the trace"));
            Ok(Taken::ToTheEnd(job, oddities))
        }
    }
}

/// Seconds from the start of the trace; `None` where the cell is empty.
fn seconds(row: &TableRow<'_>, name: &'static str) -> Result<Option<SimTime>, RowProblem> {
    if row.text(name).is_empty() {
        return Ok(None);
    }
    row.millionths(name).map(|micros| Some(SimTime::from_micros(micros)))
}

/// Slurm's word for an end as others call it.
fn slurm_state(word: &str) -> &str {
    match word {
        "Succeeded" | "Pass" => "COMPLETED",
        "Failed" | "Killed" => "FAILED",
        "Running" => "RUNNING",
        "CANCELED" => "CANCELLED",
        other => other,
    }
}

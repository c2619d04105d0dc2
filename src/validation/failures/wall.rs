//! Wall time of one job with snapshots on a host that fails: the simulation core runs it, over many seeds.
//!
//! The restart is the repair of the host: it lasts as long, and a host that is down cannot fail, as the rule wants
//! ("none during the restart"). The job has a microsecond of work beyond its last snapshot, so that this one is
//! written too. A restart that can fail would be the `restore` of the snapshots, which runs on a host that is up.

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::super::{Row, Tolerance};
use super::{Case, Judged, half_width, in_range, spread};
use crate::cluster::{Amounts, ClusterSpec, NodeSpec, PoolSpec};
use crate::diagnostic::Diagnostics;
use crate::ids::{IdVec, JobId};
use crate::scheduler::ordering::BySubmit;
use crate::scheduler::{BackfillSpec, PlacementSpec};
use crate::simulation::{JobState, Outcome, Policy, RunOptions, simulate};
use crate::tenancy::{Failures, PoolTenancy, RunTenancy, Snapshots, SpanLaw};
use crate::time::{SimDuration, SimTime};
use crate::workload::{Job, JobFlags, JobName, Labels, Request, Workload};

/// Fewest runs, and how many come before the interval is looked at again.
const BATCH: u64 = 512;
/// Most runs of a case: the interval is told, however wide.
const MOST_RUNS: u64 = 64 * BATCH;
/// Half of the interval, in parts of the mean, that ends a case.
const NARROW: f64 = 0.0015;
/// Width of the interval, in per cent of the mean, that is asked for.
const WIDEST_PCT: f64 = 0.4;

#[derive(Deserialize)]
pub(super) struct WallCase {
    name: String,
    work_h: f64,
    interval_h: f64,
    snapshot_h: f64,
    restart_h: f64,
    mtbf_h: f64,
    expected_h: Option<f64>,
}

impl Case for WallCase {
    fn name(&self) -> &str {
        &self.name
    }
}

pub(super) fn judge(case: &WallCase) -> Result<Judged, Diagnostics> {
    in_range(
        &case.name,
        &[
            ("work_h", case.work_h, 1e-3, 1e6),
            ("interval_h", case.interval_h, 1e-3, 1e6),
            ("snapshot_h", case.snapshot_h, 0.0, 1e4),
            ("restart_h", case.restart_h, 0.0, 1e4),
            ("mtbf_h", case.mtbf_h, 1e-2, 1e8),
        ],
    )?;
    let mut walls = Vec::new();
    let mut given_up = 0_u64;
    let mut runs = 0;
    while runs < MOST_RUNS && given_up == 0 {
        let seeds = runs + 1..=runs + BATCH;
        let found: Vec<Option<f64>> = seeds.into_par_iter().map(|seed| wall_h(case, seed)).collect();
        given_up += found.iter().filter(|wall| wall.is_none()).count() as u64;
        walls.extend(found.into_iter().flatten());
        runs += BATCH;
        if half_width(&walls) <= NARROW * spread(&walls).0 {
            break;
        }
    }
    let (mean, sd) = spread(&walls);
    let half = half_width(&walls);
    if given_up > 0 {
        let note = format!(
            "{}: in {given_up} of {runs} runs the job was given up, because it was lost 1,000 times without getting on",
            case.name
        );
        let values =
            json!({ "name": case.name, "mean_h": null, "ci99_h": null, "runs": runs, "given_up": given_up });
        return Ok(Judged { values, rows: Vec::new(), notes: vec![note], told: Diagnostics::default() });
    }
    let values =
        json!({ "name": case.name, "mean_h": mean, "ci99_h": half, "sd_h": sd, "runs": runs, "given_up": 0 });
    let rows = case.expected_h.map_or_else(Vec::new, |expected| {
        let row = |what: &str, published, ours, tolerance| Row {
            what: format!("{}: {what}", case.name),
            published,
            ours,
            tolerance: Tolerance::Absolute(tolerance),
            decimals: 3,
        };
        vec![
            // To a ten-thousandth of an hour, as it is printed.
            row("mean wall time (h)", expected, mean, libm::round(1e4 * half) / 1e4),
            row("width of its 99 % interval (% of the mean)", 0.0, 200.0 * half / mean, WIDEST_PCT),
        ]
    });
    Ok(Judged { values, rows, notes: Vec::new(), told: Diagnostics::default() })
}

fn span(h: f64) -> SimDuration {
    SimDuration::from_micros(libm::round(h * 3.6e9) as i64)
}

/// Wall time of a run in hours; `None` where the job is given up.
fn wall_h(case: &WallCase, seed: u64) -> Option<f64> {
    let work = span(case.work_h) + SimDuration::from_micros(1);
    let tenancy = PoolTenancy {
        failures: Some(Failures::plain(
            span(case.mtbf_h),
            SpanLaw::Exactly { s: case.restart_h * 3600.0 },
            true,
        )),
        snapshots: Some(Snapshots {
            every: span(case.interval_h),
            takes: span(case.snapshot_h),
            restore: SimDuration::ZERO,
            store: None,
        }),
        ..PoolTenancy::bare_metal()
    };
    let outcome = one_job(work, 1, tenancy, seed);
    let record = &outcome.records[JobId(0)];
    (record.state == JobState::Completed).then(|| record.end.as_s() / 3600.0)
}

/// Runs one job that takes all of `hosts` equal hosts, from the instant 0.
pub(super) fn one_job(work: SimDuration, hosts: u32, pool: PoolTenancy, seed: u64) -> Outcome {
    let node = NodeSpec {
        name: "host".to_owned(),
        capacity: Amounts { cpus: 1, gpus: 8, mem_mb: 1_000 },
        gpu_type: None,
        gpu_mem_mib: None,
        features: Vec::new(),
    };
    let pools = vec![PoolSpec { name: "p".to_owned(), node, count: hosts, dedicated: None }];
    let mut workload = Workload::default();
    let labels = workload.labels.intern(&Labels::default());
    let request = Request { nodes: Some(hosts), cpus: Some(hosts), ..Request::default() };
    let request = workload.requests.intern(&request);
    let (submit, name, flags) = (SimTime::ZERO, JobName::Number(1), JobFlags::default());
    workload.jobs.push(Job { submit, run: work, limit: work, priority: 0, name, request, labels, flags });
    let tenancy = RunTenancy { pools: IdVec::filled(1, pool), ..RunTenancy::bare_metal(1, 1) };
    let policy = Policy {
        ordering: Box::new(BySubmit),
        placement: PlacementSpec::FirstFit.into(),
        backfill: BackfillSpec::Greedy,
    };
    let options = RunOptions { tenancy: Some(&tenancy), seed, ..RunOptions::default() };
    simulate(&workload, &ClusterSpec { pools }, policy, &options)
        .expect("a job that fits the cluster, without budget or interruption, ends")
}

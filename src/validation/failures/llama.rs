//! Llama 3's job: 16,384 GPUs on 2,048 hosts that fail by level, at the catalogue's rates, run by the simulation core.
//!
//! The job takes all hosts, writes a snapshot every 20 minutes that holds it up for 5 s, and begins again where its last
//! whole one was. A restart is the time for which the host that failed is away, and so the job with it.

use rayon::prelude::*;

use super::super::{Row, Tolerance};
use super::spread;
use super::wall::one_job;
use crate::ids::JobId;
use crate::scenario::catalogue::virtualization::reliability;
use crate::tenancy::{Cause, FailureLevel, Failures, PoolTenancy, RepairLaw, Snapshots, SpanLaw};
use crate::time::SimDuration;

const HOSTS: u32 = 2_048;
const GPUS: f64 = 8.0;
const DAYS: f64 = 54.0;
const SEEDS: u64 = 8;

/// Restart and interval between snapshots, in seconds, and the share of the time that is useful (the closed form of
/// `wall`, with 3.09 h between failures).
const PUBLISHED: [(f64, f64, f64); 4] =
    [(120.0, 1200.0, 0.933), (600.0, 1200.0, 0.895), (1000.0, 1200.0, 0.865), (600.0, 330.0, 0.921)];

pub(super) fn rows() -> Vec<Row> {
    let runs: Vec<(usize, u64)> =
        (0..PUBLISHED.len()).flat_map(|at| (1..=SEEDS).map(move |seed| (at, seed))).collect();
    let found: Vec<(f64, f64)> = runs.par_iter().map(|(at, seed)| run(PUBLISHED[*at], *seed)).collect();
    let mut rows = Vec::new();
    for (found, (restart_s, every_s, useful)) in found.chunks(SEEDS as usize).zip(PUBLISHED) {
        let of = |figure: fn(&(f64, f64)) -> f64| spread(&found.iter().map(figure).collect::<Vec<_>>()).0;
        let setting = format!("Llama 3, restart {restart_s} s, snapshot every {every_s} s");
        rows.push(Row {
            what: format!("{setting}: useful share of the time"),
            published: useful,
            ours: of(|run| run.0),
            tolerance: Tolerance::Absolute(0.005),
            decimals: 3,
        });
        rows.push(Row {
            what: format!("{setting}: interruptions in {DAYS} days"),
            published: 419.0,
            ours: of(|run| run.1),
            tolerance: Tolerance::Absolute(40.0),
            decimals: 1,
        });
    }
    rows
}

/// The useful share of the time, and failures in 54 days.
fn run((restart_s, every_s, useful): (f64, f64, f64), seed: u64) -> (f64, f64) {
    let names = ["level-gpu-hours", "mtbf-host-hours", "level-link-hours", "level-software-hours"];
    let repair = RepairLaw::Span(SpanLaw::Exactly { s: restart_s });
    let mut failures = Failures::plain(SimDuration::MAX, SpanLaw::Exactly { s: restart_s }, true);
    for ((slot, level), name) in failures.causes.iter_mut().zip(FailureLevel::ALL).zip(names) {
        let parts = if level == FailureLevel::Gpu { GPUS } else { 1.0 };
        let mtbf = SimDuration::from_micros((reliability(name).value / parts * 3.6e9) as i64);
        *slot = Some(Cause { level: Some(level), mtbf, repair });
    }
    let span = |s: f64| SimDuration::from_micros((s * 1e6) as i64);
    let snapshots =
        Snapshots { every: span(every_s), takes: span(5.0), restore: SimDuration::ZERO, store: None };
    let pool =
        PoolTenancy { failures: Some(failures), snapshots: Some(snapshots), ..PoolTenancy::bare_metal() };
    // About as much work as is done in that time.
    let work_s = DAYS * 86_400.0 * useful;
    let outcome = one_job(span(work_s), HOSTS, pool, seed);
    let wall_s = outcome.records[JobId(0)].end.as_s();
    let count = outcome.tenancy.map_or(0, |facts| facts.failures);
    (work_s / wall_s, count as f64 * DAYS * 86_400.0 / wall_s)
}

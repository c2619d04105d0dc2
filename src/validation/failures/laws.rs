//! What laws of failure say of the nodes that are down at once, beside the record that they were fitted to.
//!
//! The record is all 400 nodes of InfiniteHBD, of which a part is handed out: 584 outages in 349 days. A law with
//! the same mean number of outages has fewer nodes down in its worst hours, because real outages come together.

use std::path::Path;

use super::super::{Row, Tolerance};
use super::outages::Down;
use super::spread;
use crate::experiment::run_design;
use crate::scenario::catalogue::virtualization::reliability;
use crate::scenario::load_text;
use crate::simulation::{RunOptions, Standing};
use crate::tenancy::{Failures, SpanLaw};
use crate::time::{SimDuration, SimTime};
use crate::workload::{Job, JobFlags, JobName, Labels, Request, Workload};

const NODES: u32 = 400;
const OUTAGES: f64 = 584.0;
const HORIZON_US: i64 = 30_153_600_000_000;
const SEEDS: u64 = 40;

/// What the record says.
pub(super) const NOTE: &str = "No law has as many nodes down at once as all 400 nodes of InfiniteHBD (99 % of the time at \
                               most 31): its outages come in batches and waves. `outages` of a design replays them.";

pub(super) fn rows() -> Vec<Row> {
    let measured = SpanLaw::LogNormal {
        median_s: 3600.0 * reliability("repair-median-hours").value,
        sigma: reliability("repair-sigma").value,
    };
    let row = |what: &str, published: f64, most: f64, repair: SpanLaw| Row {
        what: format!("nodes down at the 99th percentile, 400 nodes, {what}"),
        published,
        ours: p99(repair),
        tolerance: Tolerance::Absolute(most),
        decimals: 1,
    };
    vec![
        row("constant rate, repair of 48 h", 8.0, 1.0, SpanLaw::Exactly { s: 48.0 * 3600.0 }),
        row("constant rate, measured repair", 15.0, 2.0, measured),
        // What the same law gave elsewhere lay between 13 and 27.
        Row {
            what: "nodes down at the 99th percentile, 400 nodes, with rates that differ, batches and waves"
                .to_owned(),
            published: 19.0,
            ours: bursts(),
            tolerance: Tolerance::Absolute(6.0),
            decimals: 1,
        },
    ]
}

/// The same with all that was measured of how outages come together, by the simulation itself: hosts of a design, and a job
/// elsewhere that holds the run open.
fn bursts() -> f64 {
    let [rate, batch, wave] = ["failure-rate-shape", "failure-batch-mean", "failure-wave-shape"]
        .map(|setting| reliability(setting).value);
    let text = format!(
        "[workload.generate.research]\njobs = 10\n[policy.easy]\n[design.d.pool.main]\nnode = \"dgx-h100\"\ncount = {NODES}\n\
         [design.d.pool.main.tenancy.bare-metal]\nfailures = {{ mtbf-hours = {}, rate-shape = {rate}, \
         batch-mean = {batch}, wave-shape = {wave} }}\n[design.d.pool.still]\nnode = \"dgx-h100\"\ncount = 1\n\
         [design.d.route.r]\npools = [\"still\"]\n",
        HORIZON_US as f64 / 3.6e9 * f64::from(NODES) / OUTAGES
    );
    let scenario = load_text("laws", text, Path::new(""), &[]).expect("the scenario of the laws is tested");
    let mut workload = Workload::default();
    let request = workload.requests.intern(&Request { cpus: Some(1), ..Request::default() });
    let labels = workload.labels.intern(&Labels::default());
    let run = SimDuration::from_micros(HORIZON_US);
    let (submit, flags, name) = (SimTime::ZERO, JobFlags::default(), JobName::Number(0));
    workload.jobs.push(Job { submit, run, limit: run, priority: 0, name, request, labels, flags });
    let of = |seed: u64| {
        let options = RunOptions { seed, keep_allocations: true, ..RunOptions::default() };
        let outcome = run_design(&workload, &scenario.designs[0], &scenario.policy, &options);
        let outcome = outcome.expect("the scenario of the laws is tested");
        let spells = outcome.standings().into_iter().filter(|row| row.standing == Standing::Failed);
        let spells = spells.map(|row| (row.from.micros(), row.until.micros()));
        Down::of(spells, HORIZON_US).quantile(0.99) as f64
    };
    spread(&(1..=SEEDS).map(of).collect::<Vec<_>>()).0
}

/// Mean over seeds of the nodes that are down for at most 1 % of the time.
fn p99(repair: SpanLaw) -> f64 {
    // Outages of a record begin while the node is up; its hours down are few.
    let mtbf = SimDuration::from_micros((HORIZON_US as f64 * f64::from(NODES) / OUTAGES) as i64);
    let failures = Failures::plain(mtbf, repair, true);
    let of = |seed: u64| {
        let mut spells = Vec::new();
        for host in 0..NODES {
            let rate = failures.rate_of(seed, host);
            let mut now_us = 0;
            for number in 0.. {
                let failure = failures.draw(seed, (host, number), rate);
                let from_us = now_us + failure.up.micros();
                now_us = from_us + failure.repair.micros();
                if from_us >= HORIZON_US {
                    break;
                }
                spells.push((from_us, now_us));
            }
        }
        Down::of(spells.into_iter(), HORIZON_US).quantile(0.99) as f64
    };
    spread(&(1..=SEEDS).map(of).collect::<Vec<_>>()).0
}

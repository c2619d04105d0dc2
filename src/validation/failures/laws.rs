//! What laws of failure say of the nodes that are down at once, beside the record that they were fitted to.
//!
//! The record is all 400 nodes of InfiniteHBD, of which a part is handed out: 584 outages in 349 days. A law with
//! the same mean number of outages has fewer nodes down in its worst hours, because real outages come together.

use super::super::{Row, Tolerance};
use super::outages::Down;
use super::spread;
use crate::scenario::catalogue::virtualization::reliability;
use crate::tenancy::{Failures, SpanLaw};
use crate::time::SimDuration;

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
    ]
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

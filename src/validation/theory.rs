//! Formulas with known values.

use super::{Row, Section, Tolerance};
use crate::scheduler::division::{Queue, divide};
use crate::time::SimDuration;
use crate::workload::checkpoint::daly_interval;

/// Evaluates them.
#[must_use]
pub fn validate() -> Section {
    let mut rows: Vec<Row> = [(24 * 60, 117.0, 0.5), (6 * 60, 57.0, 0.5), (15, 9.1, 0.05)]
        .into_iter()
        .map(|(mtbf_min, published, tolerance)| {
            let minutes = |n: i64| SimDuration::from_s(60 * n);
            Row {
                what: format!(
                    "Daly's checkpoint interval (min), {mtbf_min} min between failures, 5 min dump"
                ),
                published,
                ours: daly_interval(minutes(5), minutes(mtbf_min)).as_s() / 60.0,
                tolerance: Tolerance::Absolute(tolerance),
                decimals: 1,
            }
        })
        .collect();
    let queue = |weight| Queue { quota: 10, weight, demand: 100 };
    let ours = divide(100, &[queue(3), queue(1)]);
    let shares = ours.iter().zip([70.0, 30.0]).enumerate();
    rows.extend(shares.map(|(at, (ours, published))| Row {
        what: format!("KAI: 100 GPUs over two queues, quota 10, demand 100, weights 3:1; queue {}", at + 1),
        published,
        ours: f64::from(*ours),
        tolerance: Tolerance::Exact,
        decimals: 0,
    }));
    Section {
        name: "theory",
        title: "Formulas with known values",
        about: "Published: Daly, A higher order estimate of the optimum checkpoint interval (2006), figures of \
                its abstract, rounded as printed; KAI scheduler, cmd/fairshare-simulator/README.md.",
        rows,
        notes: Vec::new(),
        absent: Vec::new(),
    }
}

//! `usage.csv`: every virtual machine from its order to its end, as a provider would bill it.

use std::io::{self, Write};

use super::Context;
use crate::experiment::DesignResult;
use crate::simulation::VmUsage;
use crate::tenancy::Kind;
use crate::time::{SimDuration, SimTime};

/// Columns of `usage.csv`.
pub(super) const COLUMNS: [&str; 11] = [
    "design",
    "pool",
    "vm",
    "commitment",
    "ordered_s",
    "up_s",
    "ended_s",
    "billed_seconds",
    "billed_minutes",
    "billed_hours",
    "failed",
];

/// Whether a design has virtual machines.
pub(super) fn has_any(result: &DesignResult) -> bool {
    result.design.pools.iter().any(|pool| pool.tenancy.kind == Kind::Vm)
}

/// Writes the file.
pub(super) fn write(context: &Context<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS)?;
    for result in context.results.iter().filter(|result| has_any(result)) {
        let last = result.outcome.last_instant;
        let mut first = 0;
        for (terms, pool) in result.design.pools.iter().zip(&result.design.cluster.pools) {
            let nodes = first..first + pool.count;
            first = nodes.end;
            if terms.tenancy.kind != Kind::Vm {
                continue;
            }
            for usage in of_pool(result, terms.tenancy.elastic.is_some(), &nodes) {
                let ended = usage.until.min(last);
                let span = ended.saturating_since(usage.from);
                let instant = |at: SimTime| if at == SimTime::NEVER { String::new() } else { at.to_string() };
                csv.write_record([
                    result.design.name.as_str(),
                    &pool.name,
                    &(usage.node.0 - nodes.start).to_string(),
                    if usage.is_committed { "committed" } else { "on-demand" },
                    &instant(usage.from),
                    &instant(usage.up),
                    &instant(ended),
                    &steps(span, 1).to_string(),
                    &steps(span, 60).to_string(),
                    &steps(span, 3_600).to_string(),
                    if usage.failed { "1" } else { "0" },
                ])?;
            }
        }
    }
    csv.flush()
}

/// The usage of a pool: as it was ordered, or all of its VMs all the time.
fn of_pool(result: &DesignResult, is_elastic: bool, nodes: &std::ops::Range<u32>) -> Vec<VmUsage> {
    if !is_elastic {
        let from = result.outcome.first_submit;
        return nodes.clone().map(|node| VmUsage::standing(crate::ids::NodeId(node), from)).collect();
    }
    let all = result.outcome.tenancy.iter().flat_map(|facts| &facts.usage);
    all.filter(|usage| nodes.contains(&usage.node.0)).copied().collect()
}

/// Begun steps of so many seconds.
fn steps(span: SimDuration, step_s: i64) -> i64 {
    let step = step_s * 1_000_000;
    (span.micros() + step - 1) / step
}

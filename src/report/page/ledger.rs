//! Where the hours went: the ledger's categories in the order of charts, with words for each.

use crate::experiment::DesignResult;
use crate::metrics::HoursFigures;
use crate::report::figures::main_hours;

/// One category.
pub(super) struct Category {
    /// Name.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) definition: &'static str,
    /// Whether it is a use (solid) or a loss (told apart in charts).
    pub(super) key: &'static str,
    of: fn(&HoursFigures, &[f64; 3]) -> f64,
}

/// All categories; they sum to the installed hours.
pub(super) const CATEGORIES: &[Category] = &[
    category("productive", "Productive", "Allocated as asked for, and at work.", |h, _| h.productive),
    category("virtualization", "Virtualization", "Lost to virtualization.", |h, _| h.virtualization),
    category("neighbours", "Neighbours", "Lost to neighbours on the same host.", |h, _| h.neighbours),
    category("communication", "Communication", "Lost to communication.", |h, _| h.communication),
    category("slack", "Slack", "Held beyond what was asked for, as on exclusive nodes.", |h, _| h.slack),
    category("storage", "Storage", "Lost to storage and checkpoints.", |h, _| h.storage),
    category("lost", "Lost work", "Lost and repeated work.", |h, _| h.lost),
    category(
        "held_idle",
        "Held idle",
        "Allocated but not used, by the GPU use that the trace recorded.",
        |h, _| h.held_idle,
    ),
    category("startup", "Start-up", "Boot, re-image, repartition, restart after a preemption.", |h, _| {
        h.startup
    }),
    category(
        "fragmentation",
        "Idle: fragmented",
        "Free while the first waiting job found no fitting nodes, although enough was free in all.",
        |_, waiting| waiting[1],
    ),
    category(
        "resources",
        "Idle: too little free",
        "Free while the first waiting job needed more than was free in all.",
        |_, waiting| waiting[0],
    ),
    category(
        "held",
        "Idle: jobs held",
        "Free while only held jobs waited (dependency, begin time, array limit).",
        |_, waiting| waiting[2],
    ),
    category("idle", "Idle: no demand", "Free while nobody waited.", |h, _| h.idle),
    category("down", "Down", "Out of order.", |h, _| h.down),
];

const fn category(
    key: &'static str,
    name: &'static str,
    definition: &'static str,
    of: fn(&HoursFigures, &[f64; 3]) -> f64,
) -> Category {
    Category { name, definition, key, of }
}

/// Hours of every category of a design, in order.
pub(super) fn hours(result: &DesignResult) -> Vec<f64> {
    let figures = main_hours(result);
    let total = result.outcome.hours.total();
    let idle = if result.summary.gpu_hours.is_some() { total.gpu } else { total.cpu }.idle_waiting;
    let sum = idle.resources + idle.fragmentation + idle.held;
    let part = |units: i128| if sum > 0 { figures.idle_waiting * (units as f64 / sum as f64) } else { 0.0 };
    let waiting = [part(idle.resources), part(idle.fragmentation), part(idle.held)];
    CATEGORIES.iter().map(|category| (category.of)(&figures, &waiting)).collect()
}

//! How full each node was over time: a heat map for every design.

use serde_json::{Value, json};

use crate::cluster::{CardGrant, Grant};
use crate::experiment::DesignResult;
use crate::time::SimTime;

/// Most rows of a heat map; more nodes share rows with their neighbours in the pool.
const ROWS: u32 = 40;

/// Levels of a cell: 0 = free, 61 = wholly allocated, written as one character each.
const LEVELS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A stretch of time in equal steps, microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Start.
    pub(super) from: i64,
    /// Length of a step, above zero.
    pub(super) step: i64,
    /// Number of steps.
    pub(super) steps: usize,
}

/// Rows of nodes that are shown together.
struct Rows {
    names: Vec<String>,
    /// Row of each node.
    of_node: Vec<usize>,
    /// Devices in each row; where GPUs are shared, in units of the hours.
    capacity: Vec<i64>,
}

/// The heat map of `result` in `window`; null where allocations were not kept.
pub(super) fn heat_map(result: &DesignResult, window: Window) -> Value {
    if result.outcome.allocations.is_empty() {
        return Value::Null;
    }
    let gpus = result.summary.gpu_hours.is_some();
    let rows = rows(result, gpus);
    let devices =
        |grant: &Grant| if gpus { i64::from(grant.gpus.count_ones()) } else { i64::from(grant.cpus) };
    let mut cells = vec![0i128; rows.names.len() * window.steps];
    let mut add = |node: u32, from: SimTime, until: SimTime, amount: i64| {
        let last = window.step * window.steps as i64;
        let start = (from.micros() - window.from).clamp(0, last);
        let end = (until.micros() - window.from).clamp(0, last);
        let line = &mut cells[rows.of_node[node as usize] * window.steps..][..window.steps];
        spread(line, window.step, start, end, amount);
    };
    let shared = result.outcome.shared.as_deref().filter(|_| gpus);
    for held in shared.into_iter().flat_map(|facts| &facts.holdings) {
        let until = if held.until == SimTime::NEVER { result.outcome.last_instant } else { held.until };
        for grant in &held.allocation {
            add(grant.node.0, held.from, until, units(result, grant));
        }
    }
    if shared.is_none() {
        for (_, start, end, allocation) in result.outcome.holdings() {
            allocation.iter().for_each(|grant| add(grant.node.0, start, end, devices(grant)));
        }
    }
    let levels: Vec<String> = cells
        .chunks(window.steps)
        .zip(&rows.capacity)
        .map(|(line, capacity)| {
            let full = i128::from(*capacity) * i128::from(window.step);
            line.iter().map(|cell| char::from(LEVELS[level(*cell, full)])).collect()
        })
        .collect();
    json!({ "names": rows.names, "rows": levels })
}

/// Parts of GPUs in a grant, in the units of the hours.
fn units(result: &DesignResult, grant: &CardGrant) -> i64 {
    let mut first = 0;
    let pool = result.design.cluster.pools.iter().position(|pool| {
        first += pool.count;
        grant.node.0 < first
    });
    let cards = &result.design.sharing.cards[pool.expect("the node is of a pool")];
    grant.gpus.iter().map(|device| i64::from(cards.units(device))).sum()
}

/// Nearest level of `part` of `full`; anything above zero is at least level 1.
fn level(part: i128, full: i128) -> usize {
    let top = LEVELS.len() as i128 - 1;
    if full == 0 || part == 0 {
        return 0;
    }
    ((part * top * 2 + full) / (full * 2)).clamp(1, top) as usize
}

/// Adds `devices` from `start` to `end` to the cells that they touch.
fn spread(line: &mut [i128], step: i64, start: i64, end: i64, devices: i64) {
    let mut at = start;
    while at < end {
        let cell = (at / step) as usize;
        let until = ((at / step + 1) * step).min(end);
        line[cell] += i128::from(until - at) * i128::from(devices);
        at = until;
    }
}

fn rows(result: &DesignResult, gpus: bool) -> Rows {
    let cluster = &result.design.cluster;
    let mut rows = Rows { names: Vec::new(), of_node: Vec::new(), capacity: Vec::new() };
    let band = cluster.nodes().div_ceil(ROWS).max(1);
    let is_shared = result.outcome.shared.is_some();
    for (pool, cards) in cluster.pools.iter().zip(&result.design.sharing.cards) {
        let devices = match gpus {
            true if is_shared => pool.node.capacity.gpus * cards.card_units(),
            true => pool.node.capacity.gpus,
            false => pool.node.capacity.cpus,
        };
        for first in (0..pool.count).step_by(band as usize) {
            let last = (first + band).min(pool.count) - 1;
            let span = if last > first { format!("{first}-{last}") } else { first.to_string() };
            rows.names.push(format!("{}[{span}]", pool.name));
            rows.of_node.extend((first..=last).map(|_| rows.capacity.len()));
            rows.capacity.push(i64::from(last - first + 1) * i64::from(devices));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_spread_over_the_cells_that_it_touches() {
        let mut line = [0; 4];
        spread(&mut line, 10, 5, 25, 2);
        assert_eq!(line, [10, 20, 10, 0]);
    }

    #[test]
    fn levels_tell_a_little_from_nothing() {
        assert_eq!([level(0, 1000), level(1, 1000), level(500, 1000), level(1000, 1000)], [0, 1, 31, 61]);
        assert_eq!(level(5, 0), 0);
    }
}

//! The `[design.NAME.store.NAME]` tables, and the pools whose snapshots go there.

use super::Notes;
use crate::diagnostic::nearest;
use crate::scenario::catalogue;
use crate::scenario::file::{
    DesignTable, Named, PoolTable, SnapshotInterval, SnapshotMode, SnapshotsTable, StoreTable, TenancyTable,
};
use crate::scenario::{PoolTerms, StoreSpec};
use crate::tenancy::{Interval, StoreUse};

/// Bytes in a GB, as makers of stores count.
const GB: f64 = 1e9;
/// GB per second at which a node copies the state of its GPUs to its own memory, where nothing is written.
const COPY_GB_S: f64 = 25.0;

/// Fills in the stores of a design, and where each pool's snapshots go.
pub(super) fn resolve(
    notes: &mut Notes<'_>,
    design: &str,
    table: &mut DesignTable,
    pools: &mut [PoolTerms],
) -> Vec<StoreSpec> {
    let mut is_used = vec![false; table.store.len()];
    let mut specs = Vec::new();
    for (name, store) in &mut table.store {
        let path = ["design", design, "store", name];
        let write_bytes_s = rates(notes, store, &path);
        let capacity_bytes = store.capacity_tb.map(|tb| tb * 1e12);
        if store.capacity_tb.is_some_and(|tb| !(1e-6..=1e9).contains(&tb)) {
            let at = [path[0], path[1], path[2], path[3], "capacity-tb"];
            notes.error_help(
                "W0209",
                &at,
                "nothing fits into such a store",
                "write TB from 0.000001 to 1000000000",
            );
        }
        specs.push(StoreSpec { name: name.clone(), write_bytes_s, capacity_bytes });
    }
    let stores = &table.store;
    for ((name, pool), terms) in table.pool.iter_mut().zip(pools) {
        let Some((kind, snapshots)) = snapshots_of(pool) else { continue };
        let path = ["design", design, "pool", name.as_str(), "tenancy", kind, "snapshots"];
        let Some(at) = at(notes, snapshots, stores, &path) else { continue };
        is_used[at] = true;
        let has_failures = terms.tenancy.failures.is_some();
        let used = in_use(notes, snapshots, (at, &stores[at]), has_failures, &path);
        if let Some(spec) = &mut terms.tenancy.snapshots {
            spec.store = Some(used);
        }
    }
    for (spec, _) in specs.iter().zip(&is_used).filter(|(_, used)| !**used) {
        let message = format!("no pool writes to the store `{}`", spec.name);
        let help = format!("write `snapshots.store = \"{}\"` in a pool, or leave it out", spec.name);
        notes.warning("W0269", &["design", design, "store", &spec.name], message, &help);
    }
    specs
}

/// The snapshots of a pool, as they are written.
fn snapshots_of(pool: &mut PoolTable) -> Option<(&'static str, &mut SnapshotsTable)> {
    match pool.tenancy.as_mut()? {
        TenancyTable::BareMetal(table) => Some(("bare-metal", table.snapshots.as_mut()?)),
        TenancyTable::Containers(table) => Some(("containers", table.snapshots.as_mut()?)),
        TenancyTable::Vm(table) => Some(("vm", table.snapshots.as_mut()?)),
    }
}

fn rates(notes: &mut Notes<'_>, store: &mut StoreTable, path: &[&str; 4]) -> f64 {
    let row = catalogue::virtualization::reliability("store-node-gb-s");
    let at = [path[0], path[1], path[2], path[3], "node-gb-s"];
    let node =
        notes.or_default(&mut store.node_gb_s, row.value, row.value, &at, &row.source, Some(row.confidence));
    for (key, value) in [("write-gb-s", store.write_gb_s), ("node-gb-s", node)] {
        if !(1e-6..=1e6).contains(&value) {
            let message = format!("`{key} = {value}`: nothing can be written so");
            let at = [path[0], path[1], path[2], path[3], key];
            notes.error_help("W0209", &at, message, "write GB per second from 0.000001 to 1000000");
        }
    }
    store.write_gb_s * GB
}

/// The number of the store that a pool's snapshots go to.
fn at(
    notes: &mut Notes<'_>,
    snapshots: &SnapshotsTable,
    stores: &Named<StoreTable>,
    path: &[&str; 7],
) -> Option<usize> {
    let key = |key| [path[0], path[1], path[2], path[3], path[4], path[5], path[6], key];
    let Some(name) = &snapshots.store else {
        let written = [
            ("gb-per-gpu", snapshots.gb_per_gpu.is_some()),
            ("mode", snapshots.mode.is_some()),
            ("copy-gb-s", snapshots.copy_gb_s.is_some()),
            ("interval", snapshots.interval.is_some()),
        ];
        for (word, _) in written.into_iter().filter(|(_, is)| *is) {
            let message = format!("`{word}` has no effect where snapshots take a fixed time");
            let help = format!("write `store`, the name of a [design.{}.store.NAME] table", path[1]);
            notes.error_help("W0243", &key(word), message, &help);
        }
        return None;
    };
    let found = stores.get_index_of(name);
    if found.is_none() {
        let message = format!("the design has no store `{name}`");
        let help = match nearest(name, stores.keys().map(String::as_str)) {
            Some(near) => format!("write \"{near}\""),
            None => format!("write [design.{}.store.{name}] with `write-gb-s`", path[1]),
        };
        notes.error_help("W0210", &key("store"), message, &help);
    }
    found
}

fn in_use(
    notes: &mut Notes<'_>,
    table: &mut SnapshotsTable,
    (at, store): (usize, &StoreTable),
    has_failures: bool,
    path: &[&str; 7],
) -> StoreUse {
    let key = |key| [path[0], path[1], path[2], path[3], path[4], path[5], path[6], key];
    let row = catalogue::virtualization::reliability("snapshot-gb-per-gpu");
    let slot = &mut table.gb_per_gpu;
    let at_gpu = key("gb-per-gpu");
    let each = notes.or_default(slot, row.value, row.value, &at_gpu, &row.source, Some(row.confidence));
    let mode = notes.or_convention(&mut table.mode, SnapshotMode::Sync, "sync", &key("mode"));
    let interval =
        notes.or_convention(&mut table.interval, SnapshotInterval::Fixed, "fixed", &key("interval"));
    let copy = match mode {
        SnapshotMode::Async => {
            Some(notes.or_convention(&mut table.copy_gb_s, COPY_GB_S, COPY_GB_S, &key("copy-gb-s")))
        }
        SnapshotMode::Sync => {
            if table.copy_gb_s.is_some() {
                let message = "`copy-gb-s` has no effect with `mode = \"sync\"`";
                notes.error_help("W0243", &key("copy-gb-s"), message, "write `mode = \"async\"`");
            }
            None
        }
    };
    if !(0.0..=1e6).contains(&each) || copy.is_some_and(|rate| !(1e-3..=1e6).contains(&rate)) {
        let message = "a snapshot has no such size, or is not copied so fast";
        notes.error_help("W0209", path, message, "write sizes and rates in GB, up to 1000000");
    }
    if store.capacity_tb.is_some_and(|tb| each > tb * 1e3) {
        let message = format!("the snapshot of one GPU ({each} GB) does not fit into the store");
        notes.error_help("W0209", &at_gpu, message, "write a larger `capacity-tb`, or leave it out");
    }
    if interval != SnapshotInterval::Fixed && !has_failures {
        let message = "no optimum without failures: snapshots would never be worth their time";
        notes.error_help("W0243", &key("interval"), message, "write `failures`, or `interval = \"fixed\"`");
    }
    let bytes = |gb: f64| (gb.clamp(0.0, 1e6) * GB).round() as u64;
    StoreUse {
        store: u32::try_from(at).expect("few stores"),
        node_bytes_s: bytes(store.node_gb_s.unwrap_or(1.0)).max(1),
        bytes_per_gpu: bytes(each),
        copy_bytes_s: copy.map(|rate| bytes(rate).max(1)),
        interval: match interval {
            SnapshotInterval::Fixed => Interval::Fixed,
            SnapshotInterval::Young => Interval::Young,
            SnapshotInterval::Daly => Interval::Daly,
        },
    }
}

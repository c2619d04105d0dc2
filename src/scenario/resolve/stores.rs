//! The `[design.NAME.store.NAME]` tables, and the pools whose snapshots go there.

use super::Notes;
use crate::diagnostic::nearest;
use crate::scenario::catalogue;
use crate::scenario::file::{
    DesignTable, Named, PoolTable, SnapshotInterval, SnapshotMode, SnapshotsTable, StoreKind, StoreTable,
    TenancyTable,
};
use crate::scenario::{PoolTerms, StoreSpec};
use crate::tenancy::overhead::{Range, Share};
use crate::tenancy::{DataUse, Interval, PoolTenancy, StoreRates, StoreUse};

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
        let rates = rates(notes, store, &path);
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
        specs.push(StoreSpec { name: name.clone(), rates, capacity_bytes });
    }
    let stores = &table.store;
    for ((name, pool), terms) in table.pool.iter_mut().zip(pools) {
        let is_direct =
            !matches!(&pool.tenancy, Some(TenancyTable::Vm(vm)) if vm.gpudirect_storage != Some(true));
        is_used_for_data(
            notes,
            (pool, stores),
            (design, name, is_direct),
            (&mut terms.tenancy, &mut is_used),
        );
        let Some((kind, snapshots)) = snapshots_of(pool) else { continue };
        let path = ["design", design, "pool", name.as_str(), "tenancy", kind, "snapshots"];
        let Some(at) = at(notes, snapshots, stores, &path) else { continue };
        is_used[at] = true;
        let has_failures = terms.tenancy.failures.is_some();
        let used = in_use(notes, snapshots, (at, &stores[at], is_direct), has_failures, &path);
        if let Some(spec) = &mut terms.tenancy.snapshots {
            spec.store = Some(used);
        }
    }
    for (spec, _) in specs.iter().zip(&is_used).filter(|(_, used)| !**used) {
        let message = format!("no pool writes to the store `{}` or reads from it", spec.name);
        let help = format!(
            "write `snapshots.store = \"{0}\"` or `data.store = \"{0}\"` in a pool, or leave it out",
            spec.name
        );
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

fn rates(notes: &mut Notes<'_>, store: &mut StoreTable, path: &[&str; 4]) -> StoreRates {
    let at = |key| [path[0], path[1], path[2], path[3], key];
    let kind = notes.or_convention(&mut store.kind, StoreKind::Shared, "shared", &at("kind"));
    let is_local = kind == StoreKind::LocalNvme;
    let read =
        notes.or_convention(&mut store.read_gb_s, store.write_gb_s, store.write_gb_s, &at("read-gb-s"));
    notes.or_convention(&mut store.gpudirect, true, true, &at("gpudirect"));
    let mut rows = vec![("write-gb-s", store.write_gb_s), ("read-gb-s", read)];
    if !is_local {
        let row = catalogue::virtualization::reliability("store-node-gb-s");
        let (slot, sure) = (&mut store.node_gb_s, Some(row.confidence));
        rows.push((
            "node-gb-s",
            notes.or_default(slot, row.value, row.value, &at("node-gb-s"), &row.source, sure),
        ));
    } else if store.node_gb_s.is_some() {
        let message = "`node-gb-s` has no effect where each node has a store of its own";
        notes.error_help(
            "W0243",
            &at("node-gb-s"),
            message,
            "leave it out, and write the node's rates in `write-gb-s` and `read-gb-s`",
        );
    }
    for (key, value) in rows {
        if !(1e-6..=1e6).contains(&value) {
            let message = format!("`{key} = {value}`: nothing can be moved so");
            notes.error_help("W0209", &at(key), message, "write GB per second from 0.000001 to 1000000");
        }
    }
    StoreRates { write_bytes_s: store.write_gb_s * GB, read_bytes_s: read * GB, is_local }
}

/// Most that a node of a pool sends or fetches: less, where its GPUs do not reach the store directly.
fn node_bytes_s(notes: &mut Notes<'_>, store: &StoreTable, is_direct: bool, path: &[&str]) -> u64 {
    let fastest = store.write_gb_s.max(store.read_gb_s.unwrap_or(store.write_gb_s));
    let mut gb_s = store.node_gb_s.unwrap_or(fastest);
    if !is_direct || store.gpudirect == Some(false) {
        let row = catalogue::virtualization::reliability("gpudirect-storage-gain");
        let value =
            format!("{} (throughput of a node through the memory of its host is divided by it)", row.value);
        notes.or_default(&mut None, (), value, path, &row.source, Some(row.confidence));
        gb_s /= row.value;
    }
    ((gb_s.clamp(0.0, 1e6) * GB).round() as u64).max(1)
}

/// Where the jobs of a pool read their data.
fn is_used_for_data(
    notes: &mut Notes<'_>,
    (pool, stores): (&PoolTable, &Named<StoreTable>),
    (design, name, is_direct): (&str, &str, bool),
    (tenancy, is_used): (&mut PoolTenancy, &mut [bool]),
) {
    let Some(data) = &pool.data else { return };
    let path = ["design", design, "pool", name, "data"];
    let at = |key| [path[0], path[1], path[2], path[3], path[4], key];
    if !(1e-6..=1e6).contains(&data.gpu_gb_s) {
        let message = format!("`gpu-gb-s = {}`: nothing can be read so", data.gpu_gb_s);
        notes.error_help("W0209", &at("gpu-gb-s"), message, "write GB per second from 0.000001 to 1000000");
    }
    let Some(store) = number_of(notes, &data.store, stores, design, &at("store")) else { return };
    is_used[store] = true;
    if let Some(TenancyTable::Vm(vm)) = &pool.tenancy
        && vm.overhead.as_ref().is_some_and(|overhead| overhead.storage.is_some())
    {
        let path = ["design", design, "pool", name, "tenancy", "vm", "overhead", "storage"];
        let message =
            "`storage` has no effect where the pool reads its data from a store: its rate says what is lost";
        notes.error_help("W0243", &path, message, "leave out `storage`, or the `data` of the pool");
    }
    // Never both: what the access method costs is in the rate of the node.
    tenancy.overhead.factors[Share::Storage as usize] = Range::exactly(1.0);
    tenancy.data = Some(DataUse {
        store: u32::try_from(store).expect("few stores"),
        node_bytes_s: node_bytes_s(notes, &stores[store], is_direct, &path),
        gpu_bytes_s: ((data.gpu_gb_s.clamp(0.0, 1e6) * GB).round() as u64).max(1),
    });
}

/// The number of a store.
fn number_of(
    notes: &mut Notes<'_>,
    name: &str,
    stores: &Named<StoreTable>,
    design: &str,
    path: &[&str],
) -> Option<usize> {
    let found = stores.get_index_of(name);
    if found.is_none() {
        let message = format!("the design has no store `{name}`");
        let help = match nearest(name, stores.keys().map(String::as_str)) {
            Some(near) => format!("write \"{near}\""),
            None => format!("write [design.{design}.store.{name}] with `write-gb-s`"),
        };
        notes.error_help("W0210", path, message, &help);
    }
    found
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
    number_of(notes, name, stores, path[1], &key("store"))
}

fn in_use(
    notes: &mut Notes<'_>,
    table: &mut SnapshotsTable,
    (at, store, is_direct): (usize, &StoreTable, bool),
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
        node_bytes_s: node_bytes_s(notes, store, is_direct, path),
        bytes_per_gpu: bytes(each),
        copy_bytes_s: copy.map(|rate| bytes(rate).max(1)),
        interval: match interval {
            SnapshotInterval::Fixed => Interval::Fixed,
            SnapshotInterval::Young => Interval::Young,
            SnapshotInterval::Daly => Interval::Daly,
        },
    }
}

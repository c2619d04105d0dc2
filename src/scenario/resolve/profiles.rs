//! What classes of jobs are made of: the catalogue with the scenario's `[job-shares.NAME]` over it.

use std::sync::Arc;

use super::{Notes, training};
use crate::scenario::Design;
use crate::scenario::catalogue::Confidence;
use crate::scenario::catalogue::virtualization::{self, JobSharesRow};
use crate::scenario::file::{EventKind, JobSharesTable, RecordedOnTable, ScenarioFile};
use crate::tenancy::{ClassProfile, ClassShares, Trained};

/// Share of its communication that a job hides: with it the growth of training steps from 8 to 2,304 GPUs is met best.
const OVERLAP: f64 = 0.25;
const OVERLAP_SOURCE: &str = "fitted to the growth of BF16 training steps, NVIDIA dgxc-benchmarking v25.01.1";

/// The class whose profile all have that have none of their own.
const DEFAULT: &str = "default";

pub(super) fn complete(notes: &mut Notes<'_>, file: &mut ScenarioFile, designs: &mut [Design]) {
    // Jobs lost on nodes that go down are followed as those on hosts that fail.
    let loses = |design: &Design| design.events.iter().any(|event| event.kind == EventKind::Down);
    let is_lived_in = |design: &Design| design.pools.iter().any(|pool| !pool.tenancy.is_plain());
    let matters = designs.iter().any(|design| is_lived_in(design) || loses(design))
        || matches!(file.workload.recorded_on, Some(RecordedOnTable::Vm(_)));
    if !matters && file.job_shares.is_empty() {
        return;
    }
    for row in virtualization::job_shares() {
        fill(notes, file.job_shares.entry(row.class.clone()).or_default(), row, &row.class);
    }
    let mut profiles = Vec::new();
    let has_network =
        designs.iter().any(|design| design.pools.iter().any(|pool| pool.tenancy.network.is_some()));
    for (name, table) in &mut file.job_shares {
        let known = virtualization::job_shares().iter().any(|row| row.class == *name);
        if !known {
            fill(notes, table, default_row(), name);
        }
        overlap(notes, name, table, has_network);
        let sends = training::resolve(notes, name, table, designs);
        if let Some(profile) = profile(notes, name, table, sends) {
            let at = if name == DEFAULT { 0 } else { profiles.len() };
            profiles.insert(at, (name.to_lowercase(), profile));
        }
    }
    let profiles = Arc::new(profiles);
    designs.iter_mut().for_each(|design| design.profiles = Arc::clone(&profiles));
}

fn default_row() -> &'static JobSharesRow {
    let row = virtualization::job_shares().iter().find(|row| row.class == DEFAULT);
    row.expect("the built-in catalogue has the default class")
}

/// Fills in what a table leaves out; one note for each class.
fn fill(notes: &mut Notes<'_>, table: &mut JobSharesTable, row: &'static JobSharesRow, name: &str) {
    let mut filled = Vec::new();
    for (slot, value, setting) in [
        (&mut table.compute, row.compute, "compute"),
        (&mut table.gpu_memory, row.gpu_memory, "gpu-memory"),
        (&mut table.host, row.host, "host"),
        (&mut table.storage, row.storage, "storage"),
        (&mut table.intra_node_at_8, row.intra_at_8, "intra-node-at-8"),
        (&mut table.inter_node_at_8, row.inter_at_8, "inter-node-at-8"),
        (&mut table.memory_bandwidth, row.memory_bandwidth, "memory-bandwidth"),
        (&mut table.cache, row.cache, "cache"),
        (&mut table.pcie, row.pcie, "pcie"),
        (&mut table.nic, row.nic, "nic"),
    ] {
        if slot.is_none() {
            *slot = Some(value);
            filled.push(format!("{setting} {value}"));
        }
    }
    if !filled.is_empty() {
        let path = ["job-shares", name];
        notes.or_default(&mut None, (), filled.join(", "), &path, &row.source, Some(row.confidence));
    }
}

/// Fills in, or refuses, how much of its communication a class hides.
fn overlap(notes: &mut Notes<'_>, name: &str, table: &mut JobSharesTable, has_network: bool) {
    let path = ["job-shares", name, "overlap"];
    match table.overlap {
        Some(_) if !has_network => {
            let message = "`overlap` has no effect where no pool has a `fabric`";
            notes.warning("W0268", &path, message, "write `fabric` in a pool, or leave this out");
        }
        Some(overlap) if !(0.0..1.0).contains(&overlap) => {
            let message = format!("`overlap = {overlap}`: not all communication can be hidden");
            notes.error_help("W0209", &path, message, "write a share from 0 to below 1");
        }
        None if has_network => {
            notes.or_default(
                &mut table.overlap,
                OVERLAP,
                OVERLAP,
                &path,
                OVERLAP_SOURCE,
                Some(Confidence::Estimated),
            );
        }
        Some(_) | None => {}
    }
}

fn profile(
    notes: &mut Notes<'_>,
    name: &str,
    table: &JobSharesTable,
    (all_to_all, trained): (bool, Option<Trained>),
) -> Option<ClassProfile> {
    let all = [
        table.compute,
        table.gpu_memory,
        table.host,
        table.storage,
        table.intra_node_at_8,
        table.inter_node_at_8,
        table.memory_bandwidth,
        table.cache,
        table.pcie,
        table.nic,
    ]
    .map(|value| value.expect("it was filled in"));
    let [compute, gpu_memory, host, storage, intra_at_8, inter_at_8, memory_bandwidth, cache, pcie, nic] =
        all;
    let path = ["job-shares", name];
    if all.iter().any(|value| !(0.0..=1.0).contains(value)) {
        let message = format!("the shares and uses of the class `{name}` must be from 0 to 1");
        notes.error("W0209", &path, message);
        return None;
    }
    let sum = compute + gpu_memory + host + storage;
    if (sum - 1.0).abs() > 1e-6 {
        let message =
            format!("compute, gpu-memory, host and storage of the class `{name}` sum to {sum}, not to 1");
        notes.error_help(
            "W0209",
            &path,
            message,
            "write all four; what is left out comes from the catalogue",
        );
        return None;
    }
    let shares = ClassShares { compute, gpu_memory, host, storage, intra_at_8, inter_at_8 };
    let overlap = table.overlap.filter(|overlap| (0.0..1.0).contains(overlap)).unwrap_or(0.0);
    let uses = [memory_bandwidth, cache, pcie, nic];
    Some(ClassProfile { shares, uses, overlap, all_to_all, trained })
}

//! What the engines of other policies than the classic ones know of tenancies; the rest is refused by its key.

use super::Notes;
use crate::tenancy::{PoolTenancy, Start};

/// Tells of settings of a pool that Slurm's engine does not run.
pub(super) fn check_slurm(notes: &mut Notes<'_>, path: &[&str; 5], tenancy: &PoolTenancy) {
    let at = |keys: &[&'static str]| -> Vec<&str> {
        path.iter().copied().chain([tenancy.kind.word()]).chain(keys.iter().copied()).collect()
    };
    if tenancy.elastic.is_some() {
        let message = "`elastic` does not run under Slurm's policy in this version";
        let help = "leave it out: the VMs then stand ready, or boot for each job (`boot`)";
        notes.error_help("W0219", &at(&["elastic"]), message, help);
    }
    if tenancy.failures.is_some_and(|failures| !failures.requeue) {
        let message = "Slurm decides whether jobs are requeued";
        let help = "leave out `requeue`, and write `jobrequeue = 0` in [policy.slurm]";
        notes.error_help("W0219", &at(&["failures", "requeue"]), message, help);
    }
}

/// Tells of what preemptive policies do not know: they slow a job down by a constant factor, the same everywhere.
pub(super) fn check_preemptive(
    notes: &mut Notes<'_>,
    path: &[&str; 5],
    tenancy: &PoolTenancy,
    overheads_differ: bool,
) {
    let keys = [
        (tenancy.contention.is_some(), "contention"),
        (tenancy.noise.is_some(), "noise"),
        (tenancy.start != Start::Standing, "boot"),
        (tenancy.elastic.is_some(), "elastic"),
        (tenancy.maintenance.is_some(), "maintenance"),
        (tenancy.failures.is_some(), "failures"),
        (tenancy.snapshots.is_some(), "snapshots"),
        (tenancy.kills_at_limit, "at-limit"),
        (tenancy.packing.is_some_and(|packing| packing.overcommits()), "cpu-overcommit"),
    ];
    for (_, key) in keys.into_iter().filter(|(is_there, _)| *is_there) {
        let path: Vec<&str> = path.iter().copied().chain([tenancy.kind.word(), key]).collect();
        let message = format!("`{key}` does not run under preemptive policies in this version");
        let help = match key {
            "contention" => "write `contention = \"off\"`",
            "boot" => "put the jobs into VMs that stand ready",
            "at-limit" => "write `at-limit = \"run-on\"`",
            _ => "leave it out, or take another policy",
        };
        notes.error_help("W0219", &path, message, help);
    }
    if overheads_differ {
        let message = "under preemptive policies all pools of a design have the same overhead";
        notes.error_help("W0219", path, message, "make a design of each tenancy");
    }
}

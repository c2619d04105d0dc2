//! The life of hosts and jobs in a pool: planned work, failures, snapshots, limits.

use super::tenancy::join;
use super::{Notes, failures};
use crate::diagnostic::Diagnostic;
use crate::scenario::catalogue::{self, virtualization};
use crate::scenario::file::{AtLimit, ContentionLevel, FailuresTable, MaintenanceTable, SnapshotsTable};
use crate::scheduler::Capability;
use crate::tenancy::{Maintenance, PoolTenancy, Snapshots};
use crate::time::SimDuration;

/// What a pool's tables say of it.
pub(super) struct Life<'t> {
    pub(super) maintenance: &'t mut Option<MaintenanceTable>,
    pub(super) failures: &'t mut Option<FailuresTable>,
    pub(super) snapshots: &'t mut Option<SnapshotsTable>,
    pub(super) at_limit: &'t mut Option<AtLimit>,
}

/// What they are about.
#[derive(Clone, Copy)]
pub(super) struct About {
    /// GPUs of a host.
    pub(super) gpus: u32,
    /// Why a VM of the pool cannot be migrated live, by the name of a constraint; `None` = it can.
    pub(super) immovable: Option<&'static str>,
    /// Whether jobs can run longer than recorded here, so that it matters what happens at the limit.
    pub(super) stretches: bool,
}

impl Life<'_> {
    /// Fills in `tenancy`.
    pub(super) fn resolve(
        self,
        notes: &mut Notes<'_>,
        about: About,
        path: &[&str; 6],
        tenancy: &mut PoolTenancy,
    ) {
        tenancy.maintenance =
            self.maintenance.as_mut().map(|table| maintenance(notes, table, about.immovable, path));
        tenancy.failures =
            self.failures.as_mut().map(|table| failures::resolve(notes, table, about.gpus, path));
        tenancy.snapshots = self.snapshots.as_mut().map(|table| snapshots(notes, table, path));
        if tenancy.elastic.is_some() && tenancy.maintenance.is_some() {
            let message = "`maintenance` is about hosts, and an elastic pool has none of its own";
            let help = "leave out `maintenance` or `elastic`";
            notes.error_help("W0243", &join(path, "maintenance"), message, help);
        }
        let kills = (notes.cuts_at_limit || notes.is_slurm()) && about.stretches;
        let usual = if kills { AtLimit::Kill } else { AtLimit::RunOn };
        let word = match usual {
            AtLimit::Kill if notes.is_slurm() => "kill, as Slurm does",
            AtLimit::Kill => "kill, as `cut-at-limit` does",
            AtLimit::RunOn => "run-on",
        };
        if *self.at_limit == Some(AtLimit::RunOn) {
            // On whole GPUs or parts: a policy that kills at the limit does so on both.
            let family = notes.family.filter(|family| !family.knows().has(Capability::RunOn, false));
            if let Some(family) = family {
                let message =
                    family.reason(Capability::RunOn).unwrap_or("jobs are killed at their limits here");
                let help = "leave out `at-limit`; `overtimelimit` in [policy.slurm] gives jobs more minutes";
                notes.error_help("W0219", &join(path, "at-limit"), message, help);
            }
        }
        let at_limit = if about.stretches {
            notes.or_convention(self.at_limit, usual, word, &join(path, "at-limit"))
        } else {
            self.at_limit.unwrap_or(usual)
        };
        tenancy.kills_at_limit = at_limit == AtLimit::Kill;
    }
}

/// Seconds of a setting that is at least `least`.
fn seconds(notes: &mut Notes<'_>, s: f64, least: f64, path: &[&str]) -> SimDuration {
    if (least..=1e9).contains(&s) {
        return SimDuration::from_micros((s * 1e6).round() as i64);
    }
    let key = path[path.len() - 1];
    let message = format!("`{key} = {s}` is no such time: write seconds from {least} to 1,000,000,000");
    notes.error("W0209", path, message);
    SimDuration::from_s(1)
}

fn snapshots(notes: &mut Notes<'_>, table: &mut SnapshotsTable, path: &[&str; 6]) -> Snapshots {
    let path = join(path, "snapshots");
    if table.store.is_some() && table.takes_s.is_some() {
        let at: Vec<&str> = path.iter().copied().chain(["takes-s"]).collect();
        let message = "`takes-s` has no effect where snapshots are written to a store";
        notes.error_help("W0243", &at, message, "leave out `takes-s`, or `store`");
    }
    let has_store = table.store.is_some();
    let mut value = |slot: &mut Option<f64>, key: &str, name: &str, least: f64| {
        let row = virtualization::reliability(name);
        let at: Vec<&str> = path.iter().copied().chain([key]).collect();
        let s = notes.or_default(slot, row.value, row.value, &at, &row.source, Some(row.confidence));
        seconds(notes, s, least, &at)
    };
    let every = value(&mut table.every_s, "every-s", "snapshot-every-s", 1.0);
    let takes = if has_store {
        SimDuration::ZERO
    } else {
        value(&mut table.takes_s, "takes-s", "snapshot-takes-s", 0.0)
    };
    let restore = if has_store {
        // It is read from the store, which takes as long as it takes.
        let at: Vec<&str> = path.iter().copied().chain(["restore-s"]).collect();
        let s = notes.or_convention(&mut table.restore_s, 0.0, 0, &at);
        seconds(notes, s, 0.0, &at)
    } else {
        value(&mut table.restore_s, "restore-s", "snapshot-restore-s", 0.0)
    };
    Snapshots { every, takes, restore, store: None }
}

fn maintenance(
    notes: &mut Notes<'_>,
    table: &mut MaintenanceTable,
    immovable: Option<&str>,
    path: &[&str; 6],
) -> Maintenance {
    let path = join(path, "maintenance");
    let live_path: Vec<&str> = path.iter().copied().chain(["live-migration"]).collect();
    let stun_path: Vec<&str> = path.iter().copied().chain(["stun-s"]).collect();
    let live = notes.or_convention(&mut table.live_migration, false, false, &live_path);
    if let Some(constraint) = immovable.filter(|_| live) {
        let row = virtualization::constraint(constraint);
        let message = format!("{}: {}", row.applies_to, row.effect);
        let help = format!(
            "write `live-migration = false` (jobs run out first), or a vGPU (constraint `{}`, {}: {})",
            row.constraint,
            row.confidence.word(),
            row.source
        );
        notes.tell(Diagnostic::error("W0250", message).help(help), &live_path);
    }
    let legal = (0.01..=36_600.0).contains(&table.every_days)
        && table.hours > 0.0
        && table.hours < table.every_days * 24.0;
    if !legal {
        let message = format!("no such maintenance: {} hours every {} days", table.hours, table.every_days);
        notes.error_help("W0209", &path, message, "`hours` must be shorter than `every-days`");
    }
    if !live && table.stun_s.is_some() {
        let help = "write `live-migration = true`, or leave it out";
        notes.error_help("W0243", &stun_path, "`stun-s` has no effect without live migration", help);
    }
    let stun = live.then(|| {
        let row = catalogue::provisioning_time("vm-stun", None);
        let s = notes.or_convention(&mut table.stun_s, row.typical_s, row.typical_s, &stun_path);
        seconds(notes, s, 0.0, &stun_path)
    });
    let span = |s: f64| SimDuration::from_micros((s.clamp(0.0, 1e10) * 1e6).round() as i64);
    Maintenance { every: span(table.every_days * 86_400.0), duration: span(table.hours * 3600.0), stun }
}

/// Whether jobs that compete on a host can take longer there.
pub(super) fn competes(level: Option<ContentionLevel>) -> bool {
    level.is_some_and(|level| level != ContentionLevel::Off)
}

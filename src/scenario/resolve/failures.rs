//! What makes the hosts of a pool fail, how often, and how they are repaired.

use super::Notes;
use super::tenancy::join;
use crate::scenario::catalogue::virtualization::{self, ReliabilityRow};
use crate::scenario::file::{FailureLevelTable, FailuresTable, RepairStagesTable, RepairTable};
use crate::tenancy::{
    BadHosts, Bursts, Cause, FailureLevel, Failures, RepairLaw, RepairStages, SpanLaw, UpLaw,
};
use crate::time::SimDuration;

/// A table of the file, and where it is.
struct At<'p> {
    path: Vec<&'p str>,
}

impl<'p> At<'p> {
    fn key(&self, key: &'p str) -> Vec<&'p str> {
        self.path.iter().copied().chain([key]).collect()
    }

    fn table(&self, key: &'p str) -> Self {
        Self { path: self.key(key) }
    }
}

/// What a pool of hosts with so many GPUs says.
pub(super) fn resolve(
    notes: &mut Notes<'_>,
    table: &mut FailuresTable,
    gpus: u32,
    path: &[&str; 6],
) -> Failures {
    let at = At { path: join(path, "failures") };
    let causes = if levels(table).iter().any(|(_, slot)| slot.is_some()) {
        by_level(notes, table, gpus, &at)
    } else {
        let row = virtualization::reliability(if gpus > 0 { "mtbf-gpu-hours" } else { "mtbf-host-hours" });
        let mtbf = mtbf(notes, &mut table.mtbf_hours, (row, gpus.max(1)), &at);
        let repair = repair(notes, table.repair.get_or_insert_default(), &at.table("repair"));
        let mut causes = [None; FailureLevel::COUNT];
        causes[0] = Some(Cause { level: None, mtbf, repair });
        causes
    };
    let up = match table.weibull_shape {
        None => UpLaw::Exponential,
        Some(shape) => {
            UpLaw::Weibull { shape: in_range(notes, shape, (0.1, 20.0), &at.key("weibull-shape")) }
        }
    };
    let rate_shape = table.rate_shape.map(|shape| in_range(notes, shape, (0.05, 1e4), &at.key("rate-shape")));
    let bad = bad(notes, table, &at);
    check_fixing(notes, table, &at, bad.is_some());
    let requeue = notes.or_convention(&mut table.requeue, true, true, &at.key("requeue"));
    let mut range =
        |value: Option<f64>, range, key| value.map(|value| in_range(notes, value, range, &at.key(key)));
    let bursts = Bursts {
        batch_mean: range(table.batch_mean, (1.0, 1e4), "batch-mean"),
        wave_shape: range(table.wave_shape, (0.05, 1e4), "wave-shape"),
    };
    let mut own = [None; FailureLevel::OF_HOSTS];
    own.copy_from_slice(&causes[..FailureLevel::OF_HOSTS]);
    let switches = [causes[FailureLevel::Leaf as usize], causes[FailureLevel::Spine as usize]];
    Failures { causes: own, switches, bursts, up, rate_shape, bad, requeue }
}

/// Refuses failures of switches that nothing hangs on: whether the pool is on a network is known later than its failures.
pub(super) fn check_switches(notes: &mut Notes<'_>, failures: &Failures, has_fabric: bool, path: &[&str; 6]) {
    for cause in failures.switches.iter().flatten().filter(|_| !has_fabric) {
        let word = cause.level.map_or("leaf", FailureLevel::word);
        let at: Vec<&str> = path.iter().copied().chain(["failures", word]).collect();
        let message =
            format!("`{word}` has no effect: the pool is on no network, so no switch is above its hosts");
        let help = "write `fabric` in the pool, or leave it out";
        notes.error_help("W0243", &at, message, help);
    }
}

fn levels(
    table: &mut FailuresTable,
) -> [(FailureLevel, &mut Option<FailureLevelTable>); FailureLevel::COUNT] {
    [
        (FailureLevel::Gpu, &mut table.gpu),
        (FailureLevel::Host, &mut table.host),
        (FailureLevel::Link, &mut table.link),
        (FailureLevel::Software, &mut table.software),
        (FailureLevel::Leaf, &mut table.leaf),
        (FailureLevel::Spine, &mut table.spine),
    ]
}

/// The causes where the file tells them apart; a level that is not written does not fail.
fn by_level(
    notes: &mut Notes<'_>,
    table: &mut FailuresTable,
    gpus: u32,
    at: &At<'_>,
) -> [Option<Cause>; FailureLevel::COUNT] {
    if table.mtbf_hours.is_some() {
        let message = "`mtbf-hours` is about all that fails, and here each level has its own rate";
        let help = "leave out `mtbf-hours`, or the tables of levels";
        notes.error_help("W0243", &at.key("mtbf-hours"), message, help);
    }
    let takes_common = |(level, slot): &(FailureLevel, &mut Option<FailureLevelTable>)| match slot {
        Some(own) => own.repair.is_none() && *level != FailureLevel::Software,
        None => false,
    };
    let wants_common = levels(table).iter().any(takes_common);
    let common = if wants_common {
        let common = table.repair.get_or_insert_default();
        repair(notes, common, &at.table("repair"));
        common.clone()
    } else {
        if table.repair.is_some() {
            let message = "`repair` has no effect: each level has its own";
            notes.error_help("W0243", &at.key("repair"), message, "leave it out, or the `repair` of a level");
        }
        RepairTable::default()
    };
    let mut causes = [None; FailureLevel::COUNT];
    for (slot, (level, own)) in causes.iter_mut().zip(levels(table)) {
        let (Some(own), at) = (own, at.table(level.word())) else { continue };
        if level == FailureLevel::Gpu && gpus == 0 {
            let message = "these hosts have no GPU that could fail";
            notes.error_help("W0243", &at.path, message, "leave out `gpu`");
        }
        let (name, count) = match level {
            FailureLevel::Gpu => ("level-gpu-hours", gpus.max(1)),
            FailureLevel::Host => ("mtbf-host-hours", 1),
            FailureLevel::Link => ("level-link-hours", 1),
            FailureLevel::Software => ("level-software-hours", 1),
            FailureLevel::Leaf | FailureLevel::Spine => ("", 1),
        };
        let hours = if name.is_empty() {
            switch_rate(notes, own, &at)
        } else {
            rate(notes, &mut own.mtbf_hours, virtualization::reliability(name), &at)
        };
        let mtbf = span_of(hours / f64::from(count));
        let law = if own.repair.is_none() && level == FailureLevel::Software {
            restart(notes, own, &at)
        } else {
            // Not noted again as a default: it is that of `failures`.
            let own = own.repair.get_or_insert_with(|| common.clone());
            repair(notes, own, &at.table("repair"))
        };
        *slot = Some(Cause { level: Some(level), mtbf, repair: law });
    }
    // Each level has it now; written back as well, it would have no effect.
    table.repair = None;
    causes
}

/// Software needs no spare part: the host is started again.
fn restart(notes: &mut Notes<'_>, own: &mut FailureLevelTable, at: &At<'_>) -> RepairLaw {
    let row = virtualization::reliability("repair-software-hours");
    let s = row.value * 3600.0;
    let (at, mut typical) = (at.table("repair"), None);
    notes.or_default(&mut typical, s, s, &at.key("typical-s"), &row.source, Some(row.confidence));
    own.repair =
        Some(RepairTable { low_s: Some(s), typical_s: Some(s), high_s: Some(s), ..RepairTable::default() });
    RepairLaw::Span(SpanLaw::Exactly { s })
}

/// Mean time up of a host with `parts` of which the catalogue tells.
fn mtbf(
    notes: &mut Notes<'_>,
    slot: &mut Option<f64>,
    (row, parts): (&ReliabilityRow, u32),
    at: &At<'_>,
) -> SimDuration {
    let usual = row.value / f64::from(parts);
    let path = at.key("mtbf-hours");
    let known = Some(row.confidence);
    let hours = notes.or_default(slot, usual, format!("{usual:.0}"), &path, &row.source, known);
    span_of(check_hours(notes, hours, &path))
}

fn rate(notes: &mut Notes<'_>, slot: &mut Option<f64>, row: &ReliabilityRow, at: &At<'_>) -> f64 {
    let path = at.key("mtbf-hours");
    let hours = notes.or_default(slot, row.value, row.value, &path, &row.source, Some(row.confidence));
    check_hours(notes, hours, &path)
}

/// Nobody has published how often switches fail.
fn switch_rate(notes: &mut Notes<'_>, own: &FailureLevelTable, at: &At<'_>) -> f64 {
    if own.mtbf_hours.is_none() {
        let message = "nothing is known of how often switches fail";
        notes.error_help(
            "W0212",
            &at.path,
            message,
            "write `mtbf-hours`, the mean hours between failures of one switch",
        );
    }
    check_hours(notes, own.mtbf_hours.unwrap_or(1e8), &at.key("mtbf-hours"))
}

fn check_hours(notes: &mut Notes<'_>, hours: f64, path: &[&str]) -> f64 {
    if !(0.01..=1e8).contains(&hours) {
        let message = format!("`mtbf-hours = {hours}`: such hosts are never up, or never fail");
        let help = "write hours from 0.01 to 100,000,000, or leave out `failures`";
        notes.error_help("W0209", path, message, help);
    }
    hours.clamp(0.01, 1e8)
}

fn span_of(hours: f64) -> SimDuration {
    SimDuration::from_micros((hours * 3.6e9).round() as i64)
}

/// A number inside its range, or the nearest after it was told.
fn in_range(notes: &mut Notes<'_>, value: f64, (least, most): (f64, f64), path: &[&str]) -> f64 {
    if (least..=most).contains(&value) {
        return value;
    }
    let key = path[path.len() - 1];
    let message = format!("`{key} = {value}` is outside of what it can be");
    notes.error_help("W0209", path, message, format!("write a number from {least} to {most}"));
    if value.is_nan() { least } else { value.clamp(least, most) }
}

fn bad(notes: &mut Notes<'_>, table: &FailuresTable, at: &At<'_>) -> Option<BadHosts> {
    match (table.bad_share, table.bad_factor) {
        (None, None) => None,
        (Some(share), Some(factor)) => Some(BadHosts {
            share: in_range(notes, share, (0.0, 1.0), &at.key("bad-share")),
            factor: in_range(notes, factor, (0.001, 1e6), &at.key("bad-factor")),
        }),
        (share, _) => {
            let (written, needed) =
                if share.is_some() { ("bad-share", "bad-factor") } else { ("bad-factor", "bad-share") };
            let message = format!("`{written}` needs `{needed}`: how many hosts are bad, and how much worse");
            notes.error_help(
                "W0243",
                &at.key(written),
                message,
                format!("write `{needed}`, or leave it out"),
            );
            None
        }
    }
}

/// Whether a repair fixes matters only where hosts are bad.
fn check_fixing(notes: &mut Notes<'_>, table: &mut FailuresTable, at: &At<'_>, has_bad: bool) {
    if has_bad {
        return;
    }
    let own = levels(table).into_iter().filter_map(|(level, slot)| {
        Some((Some(level), slot.as_ref()?.repair.as_ref()?.stages.as_ref()?.clone()))
    });
    let mut stages: Vec<(Option<FailureLevel>, RepairStagesTable)> = own.collect();
    stages.extend(table.repair.as_ref().and_then(|repair| Some((None, repair.stages.as_ref()?.clone()))));
    for (level, stages) in stages {
        let written = [("auto-fails", stages.auto_fails), ("manual-fails", stages.manual_fails)];
        for (key, _) in written.into_iter().filter(|(_, value)| value.is_some()) {
            let base =
                level.map_or_else(|| at.table("repair"), |level| at.table(level.word()).table("repair"));
            let message = format!("`{key}` has no effect: no host is bad, so none can stay so");
            let help = "leave it out, or write `bad-share` and `bad-factor`";
            notes.error_help("W0243", &base.table("stages").key(key), message, help);
        }
    }
}

/// How long a host is away: one of three laws.
fn repair(notes: &mut Notes<'_>, table: &mut RepairTable, at: &At<'_>) -> RepairLaw {
    let lognormal = table.median_hours.or(table.sigma).is_some();
    let triangular = table.typical_s.or(table.low_s).or(table.high_s).is_some();
    if u8::from(lognormal) + u8::from(triangular) + u8::from(table.stages.is_some()) > 1 {
        let message = "a repair is log-normal, triangular or in stages, and here it is several of them";
        let help = "write `median-hours` and `sigma`, or `low-s`, `typical-s` and `high-s`, or `stages`";
        notes.error_help("W0243", &at.path, message, help);
    }
    if let Some(stages) = &mut table.stages {
        return RepairLaw::Stages(in_stages(notes, stages, &at.table("stages")));
    }
    if triangular {
        return triangle(notes, table, at);
    }
    let mut value = |slot: &mut Option<f64>, key, name, range| {
        let (row, path) = (virtualization::reliability(name), at.key(key));
        let found = notes.or_default(slot, row.value, row.value, &path, &row.source, Some(row.confidence));
        in_range(notes, found, range, &path)
    };
    let median = value(&mut table.median_hours, "median-hours", "repair-median-hours", (0.0, 1e5));
    let sigma = value(&mut table.sigma, "sigma", "repair-sigma", (0.0, 5.0));
    RepairLaw::Span(SpanLaw::LogNormal { median_s: median * 3600.0, sigma })
}

/// What is not written of a triangle must not contradict what is.
fn triangle(notes: &mut Notes<'_>, table: &mut RepairTable, at: &At<'_>) -> RepairLaw {
    let typical = table.typical_s.or(table.high_s).or(table.low_s).unwrap_or_default();
    let low = typical.min(table.high_s.unwrap_or(typical));
    let low_s = notes.or_convention(&mut table.low_s, low, low, &at.key("low-s"));
    let typical_s = notes.or_convention(&mut table.typical_s, typical, typical, &at.key("typical-s"));
    let high_s = notes.or_convention(&mut table.high_s, typical, typical, &at.key("high-s"));
    if !(0.0 <= low_s && low_s <= typical_s && typical_s <= high_s && high_s <= 1e7) {
        let message = format!("no such times: low {low_s}, typical {typical_s}, high {high_s} s");
        notes.error_help("W0209", &at.path, message, "they must rise from 0 to at most 10,000,000 s");
    }
    RepairLaw::Span(SpanLaw::Triangular { low_s, typical_s, high_s })
}

fn in_stages(notes: &mut Notes<'_>, table: &mut RepairStagesTable, at: &At<'_>) -> RepairStages {
    // Whether a repair fixes is not noted where it is not written: it matters only to bad hosts.
    let fails = |notes: &mut Notes<'_>, slot: Option<f64>, key, name: &str| {
        let value = slot.unwrap_or_else(|| virtualization::reliability(name).value);
        in_range(notes, value, (0.0, 1.0), &at.key(key))
    };
    let auto_fails = fails(notes, table.auto_fails, "auto-fails", "repair-auto-fails");
    let manual_fails = fails(notes, table.manual_fails, "manual-fails", "repair-manual-fails");
    let mut value = |slot: &mut Option<f64>, key, name, range| {
        let (row, path) = (virtualization::reliability(name), at.key(key));
        let found = notes.or_default(slot, row.value, row.value, &path, &row.source, Some(row.confidence));
        in_range(notes, found, range, &path)
    };
    RepairStages {
        auto_s: 3600.0 * value(&mut table.auto_hours, "auto-hours", "repair-auto-hours", (0.0, 1e5)),
        manual_s: 3600.0 * value(&mut table.manual_hours, "manual-hours", "repair-manual-hours", (0.0, 1e5)),
        escalates: value(&mut table.escalates, "escalates", "repair-escalates", (0.0, 1.0)),
        auto_fails,
        manual_fails,
    }
}

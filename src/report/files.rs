//! Result files, whole or not at all: written under a temporary name, synced, renamed.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::jobs::jobs_csv;
use super::{Context, Manifest, designs_json, page, usage};
use crate::cluster::cards::referee::CardsHeld;
use crate::cluster::referee::Held;
use crate::experiment::pricing::{priced_ledger, showback};
use crate::ids::{Id, PoolId, TenantId};
use crate::metrics::timeline;
use crate::simulation::Outcome;
use crate::simulation::meter::DeviceHours;
use crate::time::SimTime;
use crate::workload::Workload;

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write '{}': {error}", path.display())]
pub struct WriteError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl WriteError {
    /// What the user can do.
    #[must_use]
    pub fn cure(&self) -> String {
        match io_kind(&self.error) {
            io::ErrorKind::StorageFull => "make room on the disk; nothing was left half-written".to_owned(),
            io::ErrorKind::PermissionDenied => "choose a directory that you may write to".to_owned(),
            io::ErrorKind::NotFound => "make the directory first, or choose another".to_owned(),
            _ => "nothing was left half-written".to_owned(),
        }
    }
}

/// The kind of an I/O error, also where the CSV writer has wrapped it.
#[must_use]
pub fn io_kind(error: &io::Error) -> io::ErrorKind {
    let wrapped = error.get_ref().and_then(|inner| inner.downcast_ref::<csv::Error>());
    match wrapped.map(csv::Error::kind) {
        Some(csv::ErrorKind::Io(inner)) => inner.kind(),
        _ => error.kind(),
    }
}

/// Makes `dir` and tries it out, so that a run of an hour does not fail at its last step.
///
/// # Errors
/// [`WriteError`] where no file can be made in it.
pub fn try_directory(dir: &Path) -> Result<(), WriteError> {
    let at = |error: io::Error| WriteError { path: dir.to_path_buf(), error };
    std::fs::create_dir_all(dir).map_err(at)?;
    tempfile::Builder::new().prefix(".windtunnel-").tempfile_in(dir).map_err(at)?.close().map_err(at)
}

/// Writes a file whole or not at all. Devices (`/dev/null`, pipes) are written to directly.
///
/// # Errors
/// [`WriteError`]; the old file, if any, is still there then.
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    let at = |error: io::Error| WriteError { path: path.to_path_buf(), error };
    let special = path.metadata().is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
    if special {
        let file = std::fs::OpenOptions::new().write(true).open(path).map_err(at)?;
        let mut out = BufWriter::new(file);
        return write(&mut out).and_then(|()| out.flush()).map_err(at);
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Asked first for its plain error: the temporary file's would name a path that the user does not know.
    std::fs::metadata(dir).map_err(at)?;
    let file = tempfile::Builder::new().prefix(".windtunnel-").permissions(readable()).tempfile_in(dir);
    let mut out = BufWriter::with_capacity(1 << 16, file.map_err(at)?);
    write(&mut out).map_err(at)?;
    let file: NamedTempFile = out.into_inner().map_err(|error| at(error.into_error()))?;
    file.as_file().sync_all().map_err(at)?;
    file.persist(path).map_err(|error| at(error.error))?;
    Ok(())
}

/// As a new file would be made (the umask still applies); temporary files are private by default.
#[cfg(unix)]
fn readable() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666)
}

#[cfg(not(unix))]
fn readable() -> std::fs::Permissions {
    std::fs::metadata(".").map(|meta| meta.permissions()).expect("the present directory exists")
}

/// Writes all result files of a run into `dir`, which is made if needed.
///
/// # Errors
/// The first [`WriteError`]; files written before stay, each of them whole.
pub fn write_results(context: &Context<'_>, manifest: &Manifest, dir: &Path) -> Result<(), WriteError> {
    std::fs::create_dir_all(dir).map_err(|error| WriteError { path: dir.to_path_buf(), error })?;
    let summary = designs_json(context);
    write_whole(&dir.join("summary.json"), |out| pretty(out, &summary))?;
    write_whole(&dir.join("jobs.csv"), |out| jobs_csv(context, out))?;
    write_whole(&dir.join("timeline.csv"), |out| timeline_csv(context, out))?;
    write_whole(&dir.join("ledger.csv"), |out| ledger_csv(context, out))?;
    if context.results.iter().any(|result| result.cost.is_some()) {
        write_whole(&dir.join("cost.csv"), |out| cost_csv(context, out))?;
    }
    if context.results.iter().any(usage::has_any) {
        write_whole(&dir.join("usage.csv"), |out| usage::write(context, out))?;
    }
    let html = page(context, manifest);
    write_whole(&dir.join("report.html"), |out| out.write_all(html.as_bytes()))?;
    write_whole(&dir.join("manifest.json"), |out| pretty(out, manifest))
}

/// Pretty JSON with a newline at the end.
pub(super) fn pretty(out: &mut dyn Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// Columns of `cost.csv`.
const COST_COLUMNS: [&str; 5] = ["design", "view", "what", "amount_millionths", "currency"];

/// What the money went to, exactly: the rows of each view sum to the total of the design.
fn cost_csv(context: &Context<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COST_COLUMNS)?;
    for result in context.results {
        let (Some(cost), Some(ledger), Some(who)) =
            (&result.cost, priced_ledger(result), showback(&context.loaded.workload, result))
        else {
            continue;
        };
        let four = &cost.four_parts;
        let parts = cost.parts.iter().map(|(part, amount)| ("part", part.key().to_owned(), *amount));
        let four = [
            ("hardware_at_work", four.at_work),
            ("licences", four.licences),
            ("overhead_hours", four.overhead),
            ("idle_hours", four.idle),
        ];
        let four = four.into_iter().map(|(what, amount)| ("four_parts", what.to_owned(), amount));
        let hours = ledger.into_iter().map(|(what, amount)| ("hours", what.to_owned(), amount));
        let users = who.users.into_iter().map(|(name, amount)| ("user", name, amount));
        let accounts = who.accounts.into_iter().map(|(name, amount)| ("account", name, amount));
        // A name cannot be empty, so nobody's row cannot be taken for one.
        let nobody =
            [("user", String::new(), who.rest[0]), ("account", String::new(), who.rest[1])].into_iter();
        let total = std::iter::once(("total", "total".to_owned(), cost.total));
        for (view, what, amount) in
            total.chain(parts).chain(four).chain(hours).chain(users).chain(accounts).chain(nobody)
        {
            let amount = amount.micros().to_string();
            csv.write_record([&result.design.name, view, &what, &amount, cost.currency.code()])?;
        }
    }
    csv.flush()
}

fn timeline_csv(context: &Context<'_>, out: &mut dyn Write) -> io::Result<()> {
    const INTERVALS: usize = 1000;
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "design",
        "from_s",
        "waiting_mean",
        "waiting_max",
        "running_mean",
        "cpus_mean",
        "cpus_max",
        "gpus_mean",
        "gpus_max",
    ])?;
    for result in context.results {
        let workload = &context.loaded.workload;
        let series = timeline::timeline(workload, &result.design.cluster, &result.outcome, INTERVALS);
        for row in &series.rows {
            csv.serialize((
                &result.design.name,
                row.from_s,
                row.waiting_mean,
                row.waiting_max,
                row.running_mean,
                row.cpus_mean,
                row.cpus_max,
                row.gpus_mean,
                row.gpus_max,
            ))?;
        }
    }
    csv.flush()
}

/// Exact integers: one row per design, pool, device and category, in units of 1/21,000 device-microsecond.
fn ledger_csv(context: &Context<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(["design", "pool", "device", "category", "units"])?;
    for result in context.results {
        for at in 0..result.outcome.hours.pools.len() {
            let hours = &result.outcome.hours.pools[PoolId::new(at)];
            let pool = &result.design.cluster.pools[at].name;
            for (device, row) in [("gpu", &hours.gpu), ("cpu", &hours.cpu)] {
                for (category, units) in categories(row) {
                    csv.write_record([&result.design.name, pool, device, category, &units.to_string()])?;
                }
            }
        }
    }
    csv.flush()
}

fn categories(hours: &DeviceHours) -> [(&'static str, i128); 18] {
    [
        ("installed", hours.installed),
        ("productive", hours.productive),
        ("virtualization", hours.virtualization),
        ("neighbours", hours.neighbours),
        ("communication", hours.communication),
        ("slack", hours.slack),
        ("slack.stranded", hours.stranded),
        ("storage", hours.storage),
        ("lost", hours.lost),
        ("held_idle", hours.held_idle),
        ("startup", hours.startup + hours.restart),
        ("down", hours.down),
        ("idle_waiting.resources", hours.idle_waiting.resources),
        ("idle_waiting.fragmentation", hours.idle_waiting.fragmentation),
        ("idle_waiting.held", hours.idle_waiting.held),
        ("idle_waiting.limit", hours.idle_waiting.limit),
        ("idle_waiting.policy", hours.idle_waiting.policy),
        ("idle", hours.idle),
    ]
}

/// The holdings of a run on shared GPUs, as their referee reads them.
#[must_use]
pub fn cards_held(workload: &Workload, outcome: &Outcome) -> Option<Vec<CardsHeld>> {
    let facts = outcome.shared.as_deref()?;
    let tenants = workload.tenants();
    let row = |held: &crate::simulation::shared::CardHolding| CardsHeld {
        row: held.job.index(),
        start: held.from,
        end: if held.until == SimTime::NEVER { outcome.last_instant } else { held.until },
        tenant: TenantId::named(tenants[held.job]),
        grants: held.allocation.to_vec(),
    };
    Some(facts.holdings.iter().map(row).collect())
}

/// The allocations of a run, as the referee reads them.
#[must_use]
pub fn held(workload: &Workload, outcome: &Outcome) -> Vec<Held> {
    let tenants = workload.tenants();
    outcome
        .holdings()
        .map(|(job, start, end, allocation)| Held {
            row: job.index(),
            start,
            end,
            tenant: TenantId::named(tenants[job]),
            grants: allocation.to_vec(),
        })
        .collect()
}

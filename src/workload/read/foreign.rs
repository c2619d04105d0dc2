//! A job as a dialect of others tells it, on its way into the workload.
//!
//! Every dialect but the native CSV and SWF ends here: what could be understood of a row becomes a
//! [`ForeignJob`], and [`Intake`] hands it to the assembly and keeps account of columns without effect.

use super::assembly::{Assembly, Beyond, RowPlace};
use super::columns::{COLUMNS, Column as C};
use super::problem::{Problem, code};
use crate::ids::TextId;
use crate::time::{SimDuration, SimTime};
use crate::workload::{Extras, Job, JobFlags, JobName, Labels, Recorded, Request, Texts};

/// What a dialect understood of one job.
#[derive(Clone, Debug, Default)]
pub(super) struct ForeignJob {
    pub id: String,
    pub submit: SimTime,
    pub run: SimDuration,
    pub limit: Option<SimDuration>,
    /// Byte column of the limit, for what is told about it.
    pub limit_column: u64,
    pub priority: i64,
    pub session: bool,
    pub request: Request,
    pub labels: Labels,
    pub recorded: Recorded,
    pub extras: Extras,
}

/// Takes jobs in, row by row.
#[derive(Default)]
pub(super) struct Intake {
    /// Columns with values that change nothing in this version.
    unused: Vec<&'static str>,
}

impl Intake {
    /// Hands a job to the assembly.
    pub fn admit(
        &mut self,
        job: ForeignJob,
        assembly: &mut Assembly<'_>,
        row: RowPlace<'_>,
    ) -> Result<(), Problem> {
        if !assembly.is_wanted(job.submit, row) {
            return Ok(());
        }
        let limit = job.limit.filter(|limit| *limit > SimDuration::ZERO);
        let beyond_limit = limit.filter(|limit| *limit < job.run);
        let cut = assembly.options.cut_at_limit && beyond_limit.is_some();
        let mut flags = JobFlags::default();
        flags.set(JobFlags::LIMIT_UNKNOWN, limit.is_none());
        flags.set(JobFlags::CLASS_DEFAULTED, job.labels.class.is_none());
        flags.set(JobFlags::SESSION, job.session);
        let name = assembly.job_name(job.id.as_bytes());
        let row_job = Job {
            submit: job.submit,
            run: if cut { limit.unwrap_or(job.run) } else { job.run },
            limit: limit.unwrap_or(job.run),
            priority: job.priority,
            name,
            request: assembly.workload.requests.intern(&job.request),
            labels: assembly.workload.labels.intern(&job.labels),
            flags,
        };
        self.note_unused(&job, &assembly.workload.texts);
        if job.extras == Extras::default() {
            assembly.admit(row_job, &job.recorded, row)?;
        } else {
            let beyond = Beyond { extras: job.extras, ..Beyond::default() };
            assembly.admit_with(row_job, &job.recorded, beyond, &job.id, row)?;
        }
        if let Some(limit) = beyond_limit {
            super::tell_limit_below_run(assembly, row, job.limit_column, job.run, limit);
        }
        Ok(())
    }

    fn note_unused(&mut self, job: &ForeignJob, texts: &Texts) {
        let recorded = &job.recorded;
        let keeps = |column: &str| job.extras.other.iter().any(|(name, _)| texts.get(*name) == column);
        let filled = [
            (C::ExitCode, recorded.exit_code.is_some()),
            (C::RanGpuType, recorded.ran_gpu_type.is_some()),
            (C::GpuUtil, recorded.gpu_util_milli.is_some()),
            (C::GpuMemPeak, recorded.gpu_mem_peak_mib.is_some()),
            (C::AllocNodes, recorded.alloc_nodes.is_some()),
            (C::AllocCpus, recorded.alloc_cpus.is_some()),
            (C::AllocGpus, recorded.alloc_gpus.is_some()),
            (C::Tenant, job.labels.tenant.is_some()),
            (C::Reservation, keeps("reservation")),
            (C::Licenses, keeps("licenses")),
        ];
        for (column, _) in filled.iter().filter(|(column, filled)| *filled && column.is_without_effect()) {
            let name = name_of(*column);
            if !self.unused.contains(&name) {
                self.unused.push(name);
            }
        }
    }

    /// Ends the reading: the workload learns which columns have no effect.
    pub fn finish(self, assembly: &mut Assembly<'_>) {
        assembly.workload.unused_columns = self.unused.iter().map(|name| (*name).to_owned()).collect();
    }
}

fn name_of(column: C) -> &'static str {
    COLUMNS.iter().find(|(_, known)| *known == column).map_or("", |(name, _)| name)
}

/// The row as UTF-8. Bytes that are none are read as Latin-1, one letter each, so that two names stay two; the
/// right letters beside them are kept, and the row is counted.
pub(super) fn as_utf8<'a>(
    row: RowPlace<'a>,
    store: &'a mut String,
    assembly: &mut Assembly<'_>,
) -> RowPlace<'a> {
    let Err(error) = std::str::from_utf8(row.text) else { return row };
    let at = error.valid_up_to();
    let message = format!("byte 0x{:02x} is not UTF-8: it is read as Latin-1", row.text[at]);
    let problem = Problem::new(code::NOT_UTF8, "bytes that are not UTF-8 (read as Latin-1)", message);
    assembly.change(row, problem.at(at as u64 + 1).help("a name may be written differently: compare it"));
    for chunk in row.text.utf8_chunks() {
        store.push_str(chunk.valid());
        store.extend(chunk.invalid().iter().map(|byte| char::from(*byte)));
    }
    RowPlace { line: row.line, text: store.as_bytes() }
}

/// A text that says something, interned.
pub(super) fn label(texts: &mut Texts, text: &str) -> Option<TextId> {
    let text = text.trim();
    (!text.is_empty()).then(|| texts.intern(text))
}

/// A job's number, or its text.
pub(super) fn number_or_text(name: JobName, texts: &Texts) -> String {
    match name {
        JobName::Number(n) => n.to_string(),
        JobName::Text(id) => texts.get(id).to_owned(),
    }
}

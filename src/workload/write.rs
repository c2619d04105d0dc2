//! Writes a workload as native CSV: only the columns that some job fills, one row for each job.
//!
//! Reading the file again gives the same jobs. A task of an array is written as the array's id with an
//! array of one index (`12` and `3%4`), which the reader turns into the same task again.

use std::io::{self, Write};

use super::read::columns::{COLUMNS, Column as C};
use super::{Extras, Job, JobFlags, JobName, Labels, Recorded, Request, Workload};
use crate::ids::{JobId, TextId};

/// Writes all jobs in submit order.
///
/// # Errors
/// What `out` reports; [`io::ErrorKind::InvalidInput`] for a text that a trace cannot hold (a line
/// break in a name).
pub fn write_csv(workload: &Workload, out: impl Write) -> io::Result<()> {
    let used = used_columns(workload);
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(used.iter().map(|(name, _)| *name))?;
    let mut cell = String::new();
    for id in workload.jobs.ids() {
        let row = Row::new(workload, id);
        for (_, column) in &used {
            cell.clear();
            row.put(*column, &mut cell);
            if cell.contains(['\n', '\r']) {
                let message = format!("job {}: a cell cannot hold a line break", workload.job_name(id));
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            writer.write_field(&cell)?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()
}

/// The columns that must be there and those that some job fills, in the order of the definition.
fn used_columns(workload: &Workload) -> Vec<(&'static str, C)> {
    let mut cell = String::new();
    let mut used = [false; COLUMNS.len()];
    for (at, (_, column)) in COLUMNS.iter().enumerate() {
        used[at] = matches!(column, C::JobId | C::Submit | C::Run);
    }
    for id in workload.jobs.ids() {
        let row = Row::new(workload, id);
        for (at, (_, column)) in COLUMNS.iter().enumerate() {
            if !used[at] {
                cell.clear();
                row.put(*column, &mut cell);
                used[at] = !cell.is_empty();
            }
        }
    }
    COLUMNS.into_iter().zip(used).filter(|(_, used)| *used).map(|(column, _)| column).collect()
}

/// One job with all that is known of it.
struct Row<'w> {
    workload: &'w Workload,
    job: &'w Job,
    request: &'w Request,
    labels: &'w Labels,
    extras: Option<&'w Extras>,
    recorded: Recorded,
}

impl<'w> Row<'w> {
    fn new(workload: &'w Workload, id: JobId) -> Self {
        let job = &workload.jobs[id];
        Self {
            workload,
            job,
            request: workload.requests.get(job.request),
            labels: workload.labels.get(job.labels),
            extras: workload.extras_of(id),
            recorded: workload.recorded(id),
        }
    }

    /// Appends the cell of a column; nothing where the job does not fill it.
    fn put(&self, column: C, out: &mut String) {
        match column {
            C::JobId => self.put_id(out),
            C::Submit => show(out, Some(self.job.submit)),
            C::Run => show(out, Some(self.job.run)),
            C::Limit => {
                show(out, Some(self.job.limit).filter(|_| !self.job.flags.has(JobFlags::LIMIT_UNKNOWN)));
            }
            C::Priority => show(out, Some(self.job.priority).filter(|p| *p != 0)),
            C::Kind if self.job.flags.has(JobFlags::SESSION) => out.push_str("session"),
            C::Kind => {}
            C::Requeue if self.job.flags.has(JobFlags::NO_REQUEUE) => out.push_str("no"),
            C::Requeue => {}
            C::User => self.text(out, self.labels.user),
            C::Account => self.text(out, self.labels.account),
            C::Partition => self.text(out, self.labels.partition),
            C::Qos => self.text(out, self.labels.qos),
            C::Name => self.text(out, self.labels.name),
            C::Class => self.text(out, self.labels.class),
            C::Tenant => self.text(out, self.labels.tenant),
            C::Start => show(out, self.recorded.start),
            C::WorkStart => show(out, self.recorded.work_start),
            C::End => show(out, self.recorded.end),
            C::Eligible => show(out, self.recorded.eligible),
            C::State => self.text(out, self.recorded.state),
            C::ExitCode => self.text(out, self.recorded.exit_code),
            C::RanGpuType => self.text(out, self.recorded.ran_gpu_type),
            C::GpuUtil => {
                if let Some(milli) = self.recorded.gpu_util_milli {
                    out.push_str(&format!("{}.{:03}", milli / 1000, milli % 1000));
                }
            }
            C::GpuMemPeak => show(out, self.recorded.gpu_mem_peak_mib),
            C::AllocNodes => show(out, self.recorded.alloc_nodes),
            C::AllocCpus => show(out, self.recorded.alloc_cpus),
            C::AllocGpus => show(out, self.recorded.alloc_gpus),
            _ => {
                self.put_request(column, out);
                if let Some(extras) = self.extras {
                    self.put_extra(extras, column, out);
                }
            }
        }
    }

    fn put_id(&self, out: &mut String) {
        match (self.extras.and_then(|extras| extras.array), self.job.name) {
            (Some((array, _)), _) => self.text(out, Some(array)),
            (None, JobName::Number(n)) => show(out, Some(n)),
            (None, JobName::Text(id)) => self.text(out, Some(id)),
        }
    }

    fn put_request(&self, column: C, out: &mut String) {
        let request = self.request;
        match column {
            C::Nodes => show(out, request.nodes),
            C::Tasks => show(out, request.tasks),
            C::TasksPerNode => show(out, request.tasks_per_node),
            C::Cpus => show(out, request.cpus),
            C::CpusPerTask => show(out, request.cpus_per_task),
            C::MemMb => show(out, request.mem_mb_per_node),
            C::Gpus => show(out, request.gpus),
            C::GpusPerNode => show(out, request.gpus_per_node),
            C::GpusPerTask => show(out, request.gpus_per_task),
            C::GpuType => self.list(out, &request.gpu_types, '|'),
            C::GpuMilli => show(out, request.gpu_milli),
            C::GpuMemMib => show(out, request.gpu_mem_mib),
            C::MigProfile => self.text(out, request.mig_profile),
            C::Features => self.list(out, &request.features, '&'),
            C::Exclusive => show(out, request.exclusive.then_some(1)),
            _ => {}
        }
    }

    fn put_extra(&self, extras: &Extras, column: C, out: &mut String) {
        match column {
            C::Nice => show(out, Some(extras.nice).filter(|nice| *nice != 0)),
            C::After => self.put_after(extras, out),
            C::Array => {
                show(out, extras.array.map(|(_, index)| index));
                if let Some(limit) = extras.array_limit.filter(|_| extras.array.is_some()) {
                    out.push_str(&format!("%{limit}"));
                }
            }
            C::Begin => show(out, extras.begin),
            C::Cancel => show(out, extras.cancel),
            _ => {
                let name = COLUMNS.iter().find(|(_, c)| *c == column).map(|(name, _)| *name);
                let value = extras.other.iter().find(|(key, _)| Some(self.workload.texts.get(*key)) == name);
                self.text(out, value.map(|(_, value)| *value));
            }
        }
    }

    fn put_after(&self, extras: &Extras, out: &mut String) {
        for condition in &extras.after {
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(condition.kind.word());
            for job in &condition.jobs {
                out.push(':');
                out.push_str(&self.workload.job_name(*job));
            }
        }
    }

    fn list(&self, out: &mut String, texts: &[TextId], separator: char) {
        for (at, text) in texts.iter().enumerate() {
            if at > 0 {
                out.push(separator);
            }
            self.text(out, Some(*text));
        }
    }

    fn text(&self, out: &mut String, text: Option<TextId>) {
        out.push_str(text.map_or("", |text| self.workload.texts.get(text)));
    }
}

/// Appends a value where there is one.
fn show(out: &mut String, value: Option<impl std::fmt::Display>) {
    use std::fmt::Write as _;
    if let Some(value) = value {
        write!(out, "{value}").expect("writing to a string cannot fail");
    }
}

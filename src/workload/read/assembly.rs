//! Puts rows together into a workload: refuses and counts, keeps submit order, resolves dependencies.
//!
//! Both readers hand in rows one by one; what is told about a row has its place in the file.

use std::rc::Rc;
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashSet;

use super::ReadOptions;
use super::dependencies;
use super::extras::NamedCondition;
use super::problem::{Problem, code, shown};
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::ids::{Id, IdVec, JobId};
use crate::time::SimTime;
use crate::workload::{Extras, Job, JobFlags, JobName, Recorded, RepairKind, Workload};

/// Where a row stands.
#[derive(Clone, Copy)]
pub(super) struct RowPlace<'a> {
    pub line: u64,
    pub text: &'a [u8],
}

/// What a row says beyond the job itself.
#[derive(Default)]
pub(super) struct Beyond {
    pub extras: Extras,
    pub after: Vec<NamedCondition>,
    /// Array indices and how many may run at once.
    pub array: Option<(Vec<u32>, Option<u32>)>,
}

/// Named dependencies of a job, shared by the tasks of an array.
pub(super) struct PendingAfter {
    pub job: JobId,
    pub line: u64,
    pub conditions: Rc<Vec<NamedCondition>>,
}

/// A workload under construction.
pub(super) struct Assembly<'o> {
    pub workload: Workload,
    pub options: &'o ReadOptions,
    pub file: Arc<str>,
    names: SeenNames,
    latest_submit: SimTime,
    unsorted: bool,
    pub pending: Vec<PendingAfter>,
}

impl<'o> Assembly<'o> {
    pub fn new(file: &str, options: &'o ReadOptions) -> Self {
        Self {
            workload: Workload::default(),
            options,
            file: Arc::from(file),
            names: SeenNames::default(),
            latest_submit: SimTime::from_micros(i64::MIN),
            unsorted: false,
            pending: Vec::new(),
        }
    }

    /// Refuses a row: counted, and told as a warning, or as an error where the user wants strictness.
    pub fn refuse(&mut self, row: RowPlace<'_>, problem: Problem) {
        let severity = if self.options.strict { Severity::Error } else { Severity::Warning };
        self.tell(RepairKind::Refused, severity, row, problem);
    }

    /// Counts and tells that a row was changed.
    pub fn change(&mut self, row: RowPlace<'_>, problem: Problem) {
        self.tell(RepairKind::Changed, Severity::Warning, row, problem);
    }

    /// Counts and tells something about a row that is kept as it is.
    pub fn note(&mut self, row: RowPlace<'_>, problem: Problem) {
        self.tell(RepairKind::Noted, Severity::Note, row, problem);
    }

    fn tell(&mut self, kind: RepairKind, severity: Severity, row: RowPlace<'_>, problem: Problem) {
        let at = (row.line, problem.column);
        self.workload.repairs.add_at(kind, problem.reason, at, || shown(row.text, problem.column));
        let place = self.place(row, problem.column);
        let why = match kind {
            RepairKind::Refused => "this row is refused",
            RepairKind::Changed => "this row is kept with a changed value",
            RepairKind::LeftOut | RepairKind::Noted => "this row is kept as it is",
        };
        let mut diagnostic = Diagnostic::error(problem.code, problem.message).at(place).because(why);
        diagnostic.severity = severity;
        diagnostic.help = problem.help;
        self.workload.warnings.push(diagnostic);
    }

    pub fn place(&self, row: RowPlace<'_>, column: u64) -> Place {
        Place::Line { file: Arc::clone(&self.file), line: row.line, column, text: shown(row.text, column) }
    }

    /// The name of a job as the trace wrote it.
    #[inline]
    pub fn job_name(&mut self, text: &[u8]) -> JobName {
        match plain_number(text) {
            Some(number) => JobName::Number(number),
            None => JobName::Text(self.workload.texts.intern(&String::from_utf8_lossy(text))),
        }
    }

    /// Whether the user wants jobs submitted then; counts those left out.
    #[inline]
    pub fn is_wanted(&mut self, submit: SimTime, row: RowPlace<'_>) -> bool {
        match self.options.window {
            Some((from, to)) if submit < from || submit >= to => {
                let text = || shown(row.text, 0);
                self.workload.repairs.add(
                    RepairKind::LeftOut,
                    "outside the window asked for",
                    row.line,
                    text,
                );
                false
            }
            _ => true,
        }
    }

    /// Takes a job without rare properties.
    #[inline]
    pub fn admit(&mut self, job: Job, recorded: &Recorded, row: RowPlace<'_>) -> Result<JobId, Problem> {
        if !self.names.insert(job.name, &self.workload.jobs) {
            return Err(self.duplicate(job.name));
        }
        if job.submit < self.latest_submit {
            self.out_of_order(row);
        } else {
            self.latest_submit = job.submit;
        }
        let id = self.workload.jobs.push(job);
        if *recorded != Recorded::default() {
            self.workload.recorded.set(id, recorded);
        }
        Ok(id)
    }

    /// Takes a job with rare properties; an array becomes one job for each index.
    pub fn admit_with(
        &mut self,
        mut job: Job,
        recorded: &Recorded,
        mut beyond: Beyond,
        base: &str,
        row: RowPlace<'_>,
    ) -> Result<(), Problem> {
        let conditions = Rc::new(std::mem::take(&mut beyond.after));
        let Some((indices, limit)) = beyond.array.take() else {
            return self.admit_one(job, recorded, beyond.extras, &conditions, row);
        };
        let array = self.workload.texts.intern(base);
        let names: Vec<JobName> = indices
            .iter()
            .map(|index| JobName::Text(self.workload.texts.intern(&format!("{base}_{index}"))))
            .collect();
        if let Some(taken) = names.iter().find(|name| self.names.has(**name, &self.workload.jobs)) {
            return Err(self.duplicate(*taken));
        }
        for (index, name) in indices.into_iter().zip(names) {
            job.name = name;
            let extras = Extras { array: Some((array, index)), array_limit: limit, ..beyond.extras.clone() };
            self.admit_one(job.clone(), recorded, extras, &conditions, row)?;
        }
        Ok(())
    }

    fn admit_one(
        &mut self,
        mut job: Job,
        recorded: &Recorded,
        extras: Extras,
        conditions: &Rc<Vec<NamedCondition>>,
        row: RowPlace<'_>,
    ) -> Result<(), Problem> {
        let has_extras = extras != Extras::default() || !conditions.is_empty();
        job.flags.set(JobFlags::HAS_EXTRAS, has_extras);
        let id = self.admit(job, recorded, row)?;
        if has_extras {
            self.workload.extras.push((id, extras));
        }
        if !conditions.is_empty() {
            self.pending.push(PendingAfter { job: id, line: row.line, conditions: Rc::clone(conditions) });
        }
        Ok(())
    }

    /// Submit order is restored in the end.
    pub fn sort_later(&mut self) {
        self.unsorted = true;
    }

    fn duplicate(&self, name: JobName) -> Problem {
        let name = match name {
            JobName::Number(n) => n.to_string(),
            JobName::Text(id) => self.workload.texts.get(id).to_owned(),
        };
        Problem::new(code::DUPLICATE_ID, "a job id that came before", format!("job id '{name}' comes twice"))
            .help("give every job its own id; the first row of this id is kept")
    }

    #[cold]
    fn out_of_order(&mut self, row: RowPlace<'_>) {
        self.unsorted = true;
        self.note(
            row,
            Problem::new(
                code::UNSORTED,
                "submitted earlier than a row before it (submit order is restored)",
                "rows are not in submit order; the order is restored, equal times keep file order",
            ),
        );
    }

    /// The finished workload; an error among its warnings means that it cannot be used.
    pub fn finish(mut self) -> Workload {
        if self.unsorted {
            let jobs = &self.workload.jobs;
            let mut order: Vec<u32> = (0..jobs.len() as u32).collect();
            order.sort_by_key(|at| jobs[JobId(*at)].submit);
            self.select(&order);
        }
        self.apply_job_limit();
        if let Err(fatal) = dependencies::resolve(&mut self) {
            self.workload.warnings.push(*fatal);
        } else if self.workload.jobs.is_empty() {
            let fatal = self.no_valid_row();
            self.workload.warnings.push(fatal);
        }
        let mut workload = self.workload;
        let mut rows = workload.jobs.into_vec();
        rows.shrink_to_fit();
        workload.jobs = IdVec::from_vec(rows);
        workload.requests.shrink();
        workload.labels.shrink();
        workload
    }

    fn no_valid_row(&self) -> Diagnostic {
        let repairs = &self.workload.repairs;
        let (message, help) = if repairs.rows_read == 0 {
            ("the trace has a header and no rows".to_owned(), "one row for each job must follow the header")
        } else if repairs.rows(RepairKind::LeftOut) > 0 {
            (
                format!("none of the {} rows is inside the window asked for", repairs.rows_read),
                "widen the window; its bounds are submit times in the trace's own seconds",
            )
        } else {
            (
                format!("none of the {} rows is valid", repairs.rows_read),
                "correct the rows named above; `windtunnel trace check` lists the reasons with counts",
            )
        };
        Diagnostic::error(code::NO_VALID_ROW, message).at(Place::File(Arc::clone(&self.file))).help(help)
    }

    fn apply_job_limit(&mut self) {
        let jobs = self.workload.jobs.len();
        let limit = self.options.job_limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        if jobs <= limit {
            return;
        }
        for _ in limit..jobs {
            self.workload.repairs.add(
                RepairKind::LeftOut,
                "beyond the number of jobs asked for",
                0,
                String::new,
            );
        }
        let first: Vec<u32> = (0..limit as u32).collect();
        self.select(&first);
    }

    /// Keeps the jobs at these positions, in this order, with all that refers to them.
    pub fn select(&mut self, from: &[u32]) {
        let new_id = self.workload.keep(from);
        let renamed = |id: JobId| new_id[id.index()];
        self.pending.retain_mut(|pending| renamed(pending.job).map(|id| pending.job = id).is_some());
    }
}

/// A plain decimal number without leading zero that fits 32 bits.
#[inline]
pub(super) fn plain_number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 10 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    let mut value: u64 = 0;
    for c in text {
        let digit = c.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    u32::try_from(value).ok()
}

/// Job names that came before. Rising numbers, the common case, need no table.
#[derive(Default)]
struct SeenNames {
    highest: Option<u32>,
    /// All numbers, from the first one on that did not rise.
    numbers: Option<FxHashSet<u32>>,
    texts: FixedBitSet,
}

impl SeenNames {
    /// Adds a name; false if it was there. `jobs` are those admitted so far.
    #[inline]
    fn insert(&mut self, name: JobName, jobs: &IdVec<JobId, Job>) -> bool {
        match name {
            JobName::Number(n) if self.highest.is_none_or(|highest| n > highest) => {
                self.highest = Some(n);
                if let Some(numbers) = &mut self.numbers {
                    numbers.insert(n);
                }
                true
            }
            JobName::Number(n) => self.table(jobs).insert(n),
            JobName::Text(id) => {
                self.texts.grow(id.index() + 1);
                !self.texts.put(id.index())
            }
        }
    }

    fn has(&mut self, name: JobName, jobs: &IdVec<JobId, Job>) -> bool {
        match name {
            JobName::Number(n) => {
                self.highest.is_some_and(|highest| n <= highest) && self.table(jobs).contains(&n)
            }
            JobName::Text(id) => self.texts.contains(id.index()),
        }
    }

    fn table(&mut self, jobs: &IdVec<JobId, Job>) -> &mut FxHashSet<u32> {
        self.numbers.get_or_insert_with(|| {
            jobs.iter()
                .filter_map(|job| match job.name {
                    JobName::Number(n) => Some(n),
                    JobName::Text(_) => None,
                })
                .collect()
        })
    }
}

//! One job row of sacct: what was asked, what was given, when it ran and how it ended.

use super::clock::{CivilClock, clock_span};
use super::columns::Field as F;
use super::tres::{JobKey, ReqMem, Tres};
use crate::ids::TextId;
use crate::time::{MICROS_PER_S, SimDuration, SimTime};
use crate::workload::read::foreign::{ForeignJob, label};
use crate::workload::read::node_list::NodeList;
use crate::workload::read::problem::{Problem, code};
use crate::workload::{Labels, Recorded, Request, Texts};

/// The cells of one row, by field.
pub(super) struct Cells<'a> {
    pub fields: &'a [Option<F>],
    pub texts: &'a [&'a str],
    /// Byte column of the first cell that a problem can point at.
    pub starts: &'a [u64],
}

impl<'a> Cells<'a> {
    /// The first cell of a field that says something, with its byte column.
    pub fn find(&self, field: F) -> (&'a str, u64) {
        let cells = self.fields.iter().enumerate().filter(|(_, known)| **known == Some(field));
        let mut found = ("", 0);
        for (at, _) in cells {
            let text = self.texts[at].trim();
            if found.1 == 0 || (found.0.is_empty() && !text.is_empty()) {
                found = (text, self.starts[at]);
            }
        }
        found
    }

    pub fn text(&self, field: F) -> &'a str {
        self.find(field).0
    }
}

/// What is worth telling about a row that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// Still running: its time so far stands for its run time.
    StillRunning,
    /// Elapsed differs from End - Start by a change of the clocks.
    ClockChange,
    /// Elapsed differs from End - Start - Suspended.
    TimesDisagree,
    /// Suspended for a while.
    Suspended,
    /// Asked amounts unknown; the allocated ones stand for them.
    AllocatedForAsked,
    /// UNLIMITED or Partition_Limit.
    NoOwnLimit,
    /// A part of a heterogeneous job.
    HetComponent,
    /// Allocated more than asked.
    AllocatedMore,
    /// Ended before it was requeued.
    Requeued,
    /// A constraint that is not used.
    Constraint,
    /// Recorded times out of order.
    OutOfOrder,
}

/// A job as read, before its steps are folded in.
pub(super) struct SacctJob {
    pub job: ForeignJob,
    pub oddities: Vec<Oddity>,
    /// GPUs that it held, for the use of each.
    pub gpus: u32,
}

fn never_ran(reason: &'static str, message: String) -> Problem {
    Problem::new(code::NOTHING_RAN, reason, message)
}

/// Reads a job row.
pub(super) fn read(
    key: &JobKey<'_>,
    cells: &Cells<'_>,
    clock: &mut CivilClock,
    nodes: &NodeList,
    texts: &mut Texts,
) -> Result<SacctJob, Problem> {
    let mut oddities = Vec::new();
    let state = state_word(cells.text(F::State));
    let times = Times::read(cells, clock, &state, &mut oddities)?;
    let asked = Tres::read(cells.text(F::ReqTres));
    let given = Tres::read(cells.text(F::AllocTres));
    let given_gres = Tres::read_gres(cells.text(F::AllocGres));
    let gpus_given = given.gpus.or(given_gres.gpus);
    let request = request(cells, &asked, &given, texts, &mut oddities);
    let allocated = |cell: F, tres: Option<u32>| tres.or_else(|| number(cells.text(cell)));
    let (alloc_cpus, alloc_nodes) =
        (allocated(F::AllocCpus, given.cpus), allocated(F::AllocNodes, given.nodes));
    let more = |given: Option<u32>, asked: Option<u32>| given.zip(asked).is_some_and(|(g, a)| g > a);
    if more(alloc_cpus, request.cpus) || more(alloc_nodes, request.nodes) || more(gpus_given, request.gpus) {
        oddities.push(Oddity::AllocatedMore);
    }
    if !cells.text(F::Constraints).is_empty() {
        oddities.push(Oddity::Constraint);
    }
    if key.is_het {
        oddities.push(Oddity::HetComponent);
    }
    if state == "REQUEUED" {
        oddities.push(Oddity::Requeued);
    }
    let (limit, limit_column) = limit(cells, &mut oddities);
    let gpus = gpus_given.or(request.gpus).unwrap_or(0);
    let typed = given.gpu_type.as_deref().or(given_gres.gpu_type.as_deref());
    let ran_on = typed.or_else(|| nodes.gpu_type(cells.text(F::NodeList))).filter(|_| gpus > 0);
    let recorded = Recorded {
        start: Some(times.start),
        end: times.end,
        eligible: times.eligible,
        state: label(texts, &state),
        exit_code: label(texts, cells.text(F::ExitCode)),
        ran_gpu_type: ran_on.map(|kind| texts.intern(kind)),
        alloc_nodes,
        alloc_cpus,
        alloc_gpus: gpus_given,
        ..Recorded::default()
    };
    let mut job = ForeignJob {
        id: key.job.to_owned(),
        submit: times.submit,
        run: times.run,
        limit,
        limit_column,
        priority: cells.text(F::Priority).parse().unwrap_or(0),
        request,
        labels: labels(cells, texts),
        recorded,
        ..ForeignJob::default()
    };
    let reservation = cells.text(F::Reservation);
    if !reservation.is_empty() && !reservation.eq_ignore_ascii_case("none") {
        job.extras.other.push((texts.intern("reservation"), texts.intern(reservation)));
    }
    Ok(SacctJob { job, oddities, gpus })
}

/// `CANCELLED by 1000` and `CANCELLED+` are CANCELLED.
pub(super) fn state_word(text: &str) -> String {
    let word = text.split_ascii_whitespace().next().unwrap_or("");
    word.trim_end_matches('+').to_ascii_uppercase()
}

/// When it was where.
struct Times {
    submit: SimTime,
    eligible: Option<SimTime>,
    start: SimTime,
    end: Option<SimTime>,
    run: SimDuration,
}

impl Times {
    fn read(
        cells: &Cells<'_>,
        clock: &mut CivilClock,
        state: &str,
        oddities: &mut Vec<Oddity>,
    ) -> Result<Self, Problem> {
        let mut time = |field: F, name: &str| {
            let (text, column) = cells.find(field);
            clock.read(name, text, column)
        };
        let submit = time(F::Submit, "Submit")?;
        let eligible = time(F::Eligible, "Eligible")?;
        let start = time(F::Start, "Start")?;
        let end = time(F::End, "End")?;
        let submit = submit.ok_or_else(|| {
            let (text, column) = cells.find(F::Submit);
            Problem::new(code::TYPE, "a job without submit time", format!("Submit is '{text}'")).at(column)
        })?;
        if state == "PENDING" {
            let message = "the job was still pending when it was dumped: its run time is not known";
            return Err(never_ran("still pending when it was dumped", message.to_owned()));
        }
        // A job that was cancelled while it was pending has its end as start, and no nodes.
        let is_assigned = !cells.text(F::NodeList).eq_ignore_ascii_case("none assigned");
        let Some(start) = start.filter(|_| is_assigned) else {
            let message = format!("the job ended ({state}) without having started");
            return Err(never_ran("ended without having started", message));
        };
        let elapsed = elapsed(cells)?;
        let suspended = clock_span(cells.text(F::Suspended)).unwrap_or(SimDuration::ZERO);
        let between = end.map(|end| end.saturating_since(start + suspended));
        let run = elapsed.or(between).unwrap_or(SimDuration::ZERO);
        if suspended > SimDuration::ZERO {
            oddities.push(Oddity::Suspended);
        }
        if end.is_none() && state != "COMPLETED" {
            oddities.push(Oddity::StillRunning);
        }
        if end.is_some_and(|end| end < start) || start < submit {
            oddities.push(Oddity::OutOfOrder);
        }
        oddities.extend(disagreement(elapsed, between));
        if run == SimDuration::ZERO {
            let message = format!("the job ({state}) ran for less than a second");
            return Err(never_ran("ran for less than a second", message));
        }
        Ok(Self { submit, eligible, start, end, run })
    }
}

/// Elapsed as sacct counts it: without suspension.
fn elapsed(cells: &Cells<'_>) -> Result<Option<SimDuration>, Problem> {
    if let Ok(seconds @ 0..) = cells.text(F::ElapsedRaw).parse::<i64>() {
        return Ok(Some(SimDuration::from_micros(seconds.saturating_mul(MICROS_PER_S))));
    }
    let (text, column) = cells.find(F::Elapsed);
    match clock_span(text) {
        Some(span) => Ok(Some(span)),
        None if text.is_empty() => Ok(None),
        None => Err(Problem::new(
            code::TYPE,
            "a time that cannot be read",
            format!("Elapsed is '{text}', which is not [D-]HH:MM:SS"),
        )
        .at(column)),
    }
}

/// Elapsed against End - Start - Suspended: half hours and hours are clock changes.
fn disagreement(elapsed: Option<SimDuration>, between: Option<SimDuration>) -> Option<Oddity> {
    let apart = elapsed?.micros().abs_diff(between?.micros()) / MICROS_PER_S as u64;
    match apart {
        0..=1 => None,
        1800 | 3600 | 7200 => Some(Oddity::ClockChange),
        _ => Some(Oddity::TimesDisagree),
    }
}

fn limit(cells: &Cells<'_>, oddities: &mut Vec<Oddity>) -> (Option<SimDuration>, u64) {
    let (raw, raw_column) = cells.find(F::TimelimitRaw);
    if let Ok(minutes @ 1..) = raw.parse::<i64>() {
        return (Some(SimDuration::from_micros(minutes.saturating_mul(60 * MICROS_PER_S))), raw_column);
    }
    let (text, column) = cells.find(F::Timelimit);
    let limit = clock_span(text).filter(|limit| *limit > SimDuration::ZERO);
    let word = if text.is_empty() { raw } else { text };
    if limit.is_none() && !word.is_empty() {
        oddities.push(Oddity::NoOwnLimit);
    }
    (limit, column)
}

fn number(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().filter(|n| *n > 0)
}

/// What was asked; where nothing tells, what was given.
fn request(
    cells: &Cells<'_>,
    asked: &Tres,
    given: &Tres,
    texts: &mut Texts,
    oddities: &mut Vec<Oddity>,
) -> Request {
    let gres = Tres::read_gres(cells.text(F::ReqGres));
    let mut cpus = asked.cpus.or_else(|| number(cells.text(F::ReqCpus)));
    let mut nodes = asked.nodes.or_else(|| number(cells.text(F::ReqNodes)));
    let mut gpus = asked.gpus.or(gres.gpus);
    let mut kind = asked.gpu_type.clone().or(gres.gpu_type);
    if cpus.is_none() {
        cpus = given.cpus.or_else(|| number(cells.text(F::AllocCpus)));
        oddities.extend(cpus.map(|_| Oddity::AllocatedForAsked));
        if gpus.is_none() {
            gpus = given.gpus.or(Tres::read_gres(cells.text(F::AllocGres)).gpus);
            kind = kind.or_else(|| given.gpu_type.clone());
        }
    }
    // ReqTRES and ReqNodes tell the least number of nodes: a job that got more did not fix it.
    let nodes_given = given.nodes.or_else(|| number(cells.text(F::AllocNodes)));
    let is_fixed = nodes.is_none() || nodes_given.is_none_or(|given| Some(given) <= nodes);
    nodes = nodes_given.or(nodes);
    let per_node = |total: u64| total.div_ceil(u64::from(nodes.unwrap_or(1).max(1)));
    let mem = asked
        .mem_mib
        .map(per_node)
        .or_else(|| ReqMem::read(cells.text(F::ReqMem)).and_then(|mem| mem.per_node(cpus, nodes)));
    Request {
        nodes: nodes.filter(|_| is_fixed),
        tasks: number(cells.text(F::NTasks)),
        cpus,
        mem_mb_per_node: mem.filter(|mib| *mib > 0 && *mib < 1 << 40),
        gpus: gpus.filter(|n| *n > 0),
        gpu_types: kind.iter().map(|kind| texts.intern(kind)).collect(),
        mig_profile: asked.mig_profile.as_deref().map(|profile| texts.intern(profile)),
        ..Request::default()
    }
}

fn labels(cells: &Cells<'_>, texts: &mut Texts) -> Labels {
    let mut text = |field: F| -> Option<TextId> { label(texts, cells.text(field)) };
    Labels {
        user: text(F::User),
        account: text(F::Account),
        partition: text(F::Partition),
        qos: text(F::Qos),
        name: text(F::JobName),
        class: None,
        tenant: None,
    }
}

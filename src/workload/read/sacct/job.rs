//! One job row of sacct: what was asked, what was given, when it ran and how it ended.

use super::clock::{CivilClock, clock_span};
use super::columns::Field as F;
use super::tres::{JobKey, ReqMem, Tres, count};
use crate::ids::TextId;
use crate::time::{MICROS_PER_S, SimDuration, SimTime, parse_seconds_micros};
use crate::workload::read::cells::parse_integer;
use crate::workload::read::foreign::{ForeignJob, label};
use crate::workload::read::node_list::{NodeList, hosts};
use crate::workload::read::problem::{Problem, code};
use crate::workload::wishes::Licences;
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
    /// GPUs that only the allocation names.
    GpusFromAllocation,
    /// Memory that only the allocation names.
    MemoryFromAllocation,
    /// Shares of GPUs.
    Shares,
    /// Devices that are no GPUs, or an unknown TRES.
    OtherTres,
    /// GPUs of several types.
    SeveralTypes,
    /// NodeList, node counts and TRES do not agree.
    NodesDisagree,
    /// Two columns with the same meaning hold different values.
    ColumnsDisagree,
    /// A state that is none of Slurm's.
    UnknownState,
    /// A part of a job whose size was changed while it ran.
    Resized,
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
    check_cells(cells, &mut oddities)?;
    if !state.is_empty() && !is_state(&state) {
        oddities.push(Oddity::UnknownState);
    }
    let times = Times::read(cells, clock, &state, &mut oddities)?;
    let asked = Tres::read(cells.text(F::ReqTres));
    let given = Tres::read(cells.text(F::AllocTres));
    let given_gres = Tres::read_gres(cells.text(F::AllocGres));
    let gpus_given = given.gpus.or(given_gres.gpus).or_else(|| number(cells.text(F::AllocGpus)));
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
    if state == "RESIZING" {
        oddities.push(Oddity::Resized);
    }
    if !nodes_agree(cells, &given) {
        oddities.push(Oddity::NodesDisagree);
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
        priority: priority(cells.text(F::Priority)).unwrap_or(0),
        request,
        labels: labels(cells, texts),
        recorded,
        ..ForeignJob::default()
    };
    let reservation = cells.text(F::Reservation);
    if !reservation.is_empty() && !reservation.eq_ignore_ascii_case("none") {
        job.extras.other.push((texts.intern("reservation"), texts.intern(reservation)));
    }
    let licences = [cells.text(F::Licenses), &asked.licences, &given.licences];
    let licences = licences.into_iter().find(|text| !text.is_empty() && !text.eq_ignore_ascii_case("(null)"));
    if let Some(text) = licences {
        job.extras.other.push((texts.intern("licenses"), texts.intern(text)));
    }
    Ok(SacctJob { job, oddities, gpus })
}

/// Slurm's states, with the short words that `squeue` prints.
const STATES: [(&str, &str); 24] = [
    ("BF", "BOOT_FAIL"),
    ("CA", "CANCELLED"),
    ("CD", "COMPLETED"),
    ("CF", "CONFIGURING"),
    ("CG", "COMPLETING"),
    ("DL", "DEADLINE"),
    ("F", "FAILED"),
    ("LF", "LAUNCH_FAILED"),
    ("NF", "NODE_FAIL"),
    ("OOM", "OUT_OF_MEMORY"),
    ("PD", "PENDING"),
    ("PR", "PREEMPTED"),
    ("R", "RUNNING"),
    ("RD", "RESV_DEL_HOLD"),
    ("RF", "REQUEUE_FED"),
    ("RH", "REQUEUE_HOLD"),
    ("RQ", "REQUEUED"),
    ("RS", "RESIZING"),
    ("RV", "REVOKED"),
    ("S", "SUSPENDED"),
    ("SE", "SPECIAL_EXIT"),
    ("SI", "SIGNALING"),
    ("ST", "STOPPED"),
    ("TO", "TIMEOUT"),
];

/// Whether a text is a state of Slurm by its whole name, in any case and with what may stand behind it.
pub(in crate::workload::read) fn is_state(text: &str) -> bool {
    let word = text.split_ascii_whitespace().next().unwrap_or("").trim_end_matches('+');
    STATES.iter().any(|(_, known)| known.eq_ignore_ascii_case(word))
}

/// `CANCELLED by 1000`, `CANCELLED+` (cut short) and `CA` are CANCELLED.
pub(super) fn state_word(text: &str) -> String {
    let word = text.split_ascii_whitespace().next().unwrap_or("").to_ascii_uppercase();
    if let Some((_, state)) = STATES.iter().find(|(short, _)| *short == word) {
        return (*state).to_owned();
    }
    match word.strip_suffix('+') {
        Some(cut) if cut.len() > 3 => {
            let found = STATES.iter().find(|(_, state)| state.starts_with(cut));
            found.map_or(cut.to_owned(), |(_, state)| (*state).to_owned())
        }
        _ => word,
    }
}

/// Whether a row could be one: its id, state and times can be read, and all other cells too.
pub(super) fn makes_sense(fields: &[Option<F>], texts: &[&str]) -> bool {
    let starts = vec![1; texts.len()];
    let cells = Cells { fields, texts, starts: &starts };
    let mut clock = CivilClock::utc();
    let mut times = [F::Submit, F::Eligible, F::Start, F::End].into_iter();
    let state = state_word(cells.text(F::State));
    (state.is_empty() || is_state(&state))
        && times.all(|field| clock.read("", cells.text(field), 1).is_ok())
        && check_cells(&cells, &mut Vec::new()).is_ok()
}

/// Every cell of a column that is used can be read, or the row is refused: what a typing error hides would else
/// be taken for what nobody wrote.
fn check_cells(cells: &Cells<'_>, oddities: &mut Vec<Oddity>) -> Result<(), Problem> {
    let mut counts: Vec<(F, Option<u32>)> = Vec::new();
    for (at, field) in cells.fields.iter().enumerate() {
        let Some(field) = *field else { continue };
        let text = cells.texts[at].trim();
        if text.is_empty() {
            continue;
        }
        let refuse = |wanted: &str| {
            let shown: String = text.chars().take(40).collect();
            let message = format!("{field:?} is '{shown}', which is not {wanted}");
            let reason = "a cell that cannot be read";
            let help = "correct the cell; an empty one says that nothing is known";
            Err(Problem::new(code::TYPE, reason, message).at(cells.starts[at]).help(help))
        };
        match field {
            F::AllocNodes
            | F::ReqNodes
            | F::AllocCpus
            | F::ReqCpus
            | F::NTasks
            | F::ReqGpus
            | F::AllocGpus => {
                let Some(n) = count(text) else { return refuse("a count") };
                match counts.iter().find(|(known, _)| *known == field) {
                    Some((_, before)) if *before != n => oddities.push(Oddity::ColumnsDisagree),
                    _ => counts.push((field, n)),
                }
            }
            F::Elapsed | F::Suspended if clock_span(text).is_none() => return refuse("[D-]HH:MM:SS"),
            F::ElapsedRaw if seconds(text).is_none() => return refuse("a number of seconds"),
            F::Timelimit if clock_span(text).is_none() && !is_no_limit(text) => {
                return refuse("[D-]HH:MM:SS");
            }
            F::TimelimitRaw if whole(text).is_none_or(|n| n < 0) && !is_no_limit(text) => {
                return refuse("a number of minutes");
            }
            F::ReqMem if ReqMem::read(text).is_none() => return refuse("an amount of memory"),
            F::Licenses if text != "(null)" && Licences::read(text).is_err() => {
                return refuse("a list of licences");
            }
            F::Priority if priority(text).is_none() => return refuse("a whole number"),
            F::ReqTres | F::AllocTres | F::ReqGres | F::AllocGres | F::GresPerNode => {
                let is_tres = matches!(field, F::ReqTres | F::AllocTres);
                let tres = if is_tres { Tres::read(text) } else { Tres::read_gres(text) };
                if let Some(part) = &tres.unread {
                    return refuse(&format!("name=amount, in `{part}`"));
                }
                note_tres(&tres, oddities);
            }
            _ => {}
        }
    }
    Ok(())
}

fn note_tres(tres: &Tres, oddities: &mut Vec<Oddity>) {
    let odd = [
        (tres.has_shares, Oddity::Shares),
        (tres.has_others, Oddity::OtherTres),
        (tres.has_several_types, Oddity::SeveralTypes),
    ];
    for (_, oddity) in odd.into_iter().filter(|(is_so, _)| *is_so) {
        if !oddities.contains(&oddity) {
            oddities.push(oddity);
        }
    }
}

/// Whether the nodes that were given are as many by name, by count and in the TRES.
fn nodes_agree(cells: &Cells<'_>, given: &Tres) -> bool {
    let list = cells.text(F::NodeList);
    let named = (!list.is_empty() && !list.eq_ignore_ascii_case("none assigned"))
        .then(|| u32::try_from(hosts(list).len()).unwrap_or(u32::MAX));
    let counts = [named, given.nodes, number(cells.text(F::AllocNodes))];
    let mut known = counts.into_iter().flatten();
    let first = known.next();
    known.all(|n| Some(n) == first)
}

/// Words for a job without a limit of its own.
fn is_no_limit(text: &str) -> bool {
    ["unlimited", "partition_limit", "infinite", "not_set", "invalid", "none"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// A whole number; a spreadsheet may have written `4.0`.
fn whole(text: &str) -> Option<i64> {
    parse_integer(text.as_bytes()).and_then(|n| i64::try_from(n).ok())
}

/// A priority; squeue prints it as a share of 2^32 - 1 too (`%p`).
fn priority(text: &str) -> Option<i64> {
    let share = || text.starts_with("0.").then(|| text.parse::<f64>().ok())?;
    whole(text).or_else(|| share().map(|share| libm::round(share * f64::from(u32::MAX)) as i64))
}

/// Seconds of at least zero, whole or with a fraction.
fn seconds(text: &str) -> Option<SimDuration> {
    parse_seconds_micros(text.as_bytes()).ok().filter(|micros| *micros >= 0).map(SimDuration::from_micros)
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
        // of a job that still runs, squeue and scontrol tell when it will be killed
        let end = time(F::End, "End")?.filter(|_| state != "RUNNING");
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
        let elapsed = elapsed(cells);
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

/// Elapsed as sacct counts it: without suspension. The cells are checked before.
fn elapsed(cells: &Cells<'_>) -> Option<SimDuration> {
    seconds(cells.text(F::ElapsedRaw)).or_else(|| clock_span(cells.text(F::Elapsed)))
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
    if let Some(minutes @ 1..) = whole(raw) {
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
    count(text).flatten()
}

/// What was asked, resource by resource; of one that the request does not speak of, what was given.
fn request(
    cells: &Cells<'_>,
    asked: &Tres,
    given: &Tres,
    texts: &mut Texts,
    oddities: &mut Vec<Oddity>,
) -> Request {
    let gres = Tres::read_gres(cells.text(F::ReqGres));
    let gres_given = Tres::read_gres(cells.text(F::AllocGres));
    let mut cpus = asked.cpus.or_else(|| number(cells.text(F::ReqCpus)));
    let mut nodes = asked.nodes.or_else(|| number(cells.text(F::ReqNodes)));
    if cpus.is_none() {
        cpus = given.cpus.or_else(|| number(cells.text(F::AllocCpus)));
        oddities.extend(cpus.map(|_| Oddity::AllocatedForAsked));
    }
    let nodes_given = given.nodes.or_else(|| number(cells.text(F::AllocNodes)));
    let count_of = |field: F| count(cells.text(field)).map(|n| n.unwrap_or(0));
    let on_each = Tres::read_gres(cells.text(F::GresPerNode));
    let on_all = || Some(on_each.gpus?.saturating_mul(nodes.or(nodes_given).unwrap_or(1)));
    let gpus_asked = asked.gpus.or(gres.gpus).or_else(|| count_of(F::ReqGpus)).or_else(on_all);
    let gpus_given = given.gpus.or(gres_given.gpus).or_else(|| count_of(F::AllocGpus));
    if gpus_asked.is_none() && gpus_given.is_some_and(|n| n > 0) {
        oddities.push(Oddity::GpusFromAllocation);
    }
    let gpus = gpus_asked.or(gpus_given);
    let of_type = if gpus_asked.is_some() { [asked, &gres, &on_each] } else { [given, &gres_given, given] };
    let kind = of_type.iter().find_map(|tres| tres.gpu_type.as_deref());
    let profile = of_type.iter().find_map(|tres| tres.mig_profile.as_deref());
    // ReqTRES and ReqNodes tell the least number of nodes: a job that got more did not fix it.
    let is_fixed = nodes.is_none() || nodes_given.is_none_or(|given| Some(given) <= nodes);
    nodes = nodes_given.or(nodes);
    let per_node = |total: u64| total.div_ceil(u64::from(nodes.unwrap_or(1).max(1)));
    let asked_mem = ReqMem::read(cells.text(F::ReqMem)).flatten();
    let mut mem = asked.mem_mib.map(per_node).or_else(|| asked_mem.and_then(|mem| mem.per_node(cpus, nodes)));
    if mem.is_none() && given.mem_mib.is_some_and(|mib| mib > 0) {
        mem = given.mem_mib.map(per_node);
        oddities.push(Oddity::MemoryFromAllocation);
    }
    Request {
        nodes: nodes.filter(|_| is_fixed),
        tasks: number(cells.text(F::NTasks)),
        cpus,
        mem_mb_per_node: mem.filter(|mib| *mib > 0 && *mib < 1 << 40),
        gpus: gpus.filter(|n| *n > 0),
        gpu_types: kind.iter().map(|kind| texts.intern(kind)).collect(),
        mig_profile: profile.map(|profile| texts.intern(profile)),
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

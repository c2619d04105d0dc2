//! Which field of `sacct` stands in which column, from the header line or from a known layout.
//!
//! Names are those of `sacct --helpformat`, in any order and case; fields that are not used are passed
//! over. Two public collections of dumps have no header: their layouts are known by separator and width.

/// A field of sacct that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    JobId,
    JobIdRaw,
    JobName,
    User,
    Account,
    Partition,
    Qos,
    State,
    ExitCode,
    Submit,
    Eligible,
    Start,
    End,
    Elapsed,
    ElapsedRaw,
    Suspended,
    Timelimit,
    TimelimitRaw,
    AllocNodes,
    ReqNodes,
    AllocCpus,
    ReqCpus,
    NTasks,
    ReqMem,
    ReqTres,
    AllocTres,
    ReqGres,
    AllocGres,
    ReqGpus,
    AllocGpus,
    GresPerNode,
    UsageInAve,
    UsageInMax,
    UsageInTot,
    NodeList,
    Priority,
    Reservation,
    Constraints,
    Licenses,
}

use Field as F;

use crate::diagnostic::nearest;

/// sacct's names (lower case) with what they mean here; NNodes and NCPUS are the allocated ones of a
/// job that started. The last ones are those of `squeue -o %all`.
const NAMES: [(&str, Field); 55] = [
    ("jobid", F::JobId),
    ("jobidraw", F::JobIdRaw),
    ("jobname", F::JobName),
    ("user", F::User),
    ("account", F::Account),
    ("partition", F::Partition),
    ("qos", F::Qos),
    ("state", F::State),
    ("exitcode", F::ExitCode),
    ("submit", F::Submit),
    ("eligible", F::Eligible),
    ("start", F::Start),
    ("end", F::End),
    ("elapsed", F::Elapsed),
    ("elapsedraw", F::ElapsedRaw),
    ("suspended", F::Suspended),
    ("timelimit", F::Timelimit),
    ("timelimitraw", F::TimelimitRaw),
    ("nnodes", F::AllocNodes),
    ("allocnodes", F::AllocNodes),
    ("reqnodes", F::ReqNodes),
    ("ncpus", F::AllocCpus),
    ("alloccpus", F::AllocCpus),
    ("reqcpus", F::ReqCpus),
    ("ntasks", F::NTasks),
    ("reqmem", F::ReqMem),
    ("reqtres", F::ReqTres),
    ("alloctres", F::AllocTres),
    ("reqgres", F::ReqGres),
    ("allocgres", F::AllocGres),
    ("tresusageinave", F::UsageInAve),
    ("tresusageinmax", F::UsageInMax),
    ("tresusageintot", F::UsageInTot),
    ("nodelist", F::NodeList),
    ("priority", F::Priority),
    ("reservation", F::Reservation),
    ("constraints", F::Constraints),
    ("licenses", F::Licenses),
    ("reqgpus", F::ReqGpus),
    ("allocgpus", F::AllocGpus),
    ("name", F::JobName),
    ("submit_time", F::Submit),
    ("eligible_time", F::Eligible),
    ("start_time", F::Start),
    ("end_time", F::End),
    ("time", F::Elapsed),
    ("time_limit", F::Timelimit),
    ("nodes", F::AllocNodes),
    ("cpus", F::AllocCpus),
    ("min_memory", F::ReqMem),
    ("features", F::Constraints),
    ("tres_alloc", F::AllocTres),
    ("tres_per_node", F::GresPerNode),
    ("st", F::State),
    ("nodelist(reason)", F::NodeList),
];

/// Other fields of `sacct --helpformat` (20.02 to 26.05) and `squeue -o %all`: known, and not used here.
const OTHERS: &str = "admincomment associd avecpu avecpufreq avediskread avediskwrite avepages averss avevmsize \
    blockid cluster comment container consumedenergy consumedenergyraw cputime cputimeraw dbindex derivedexitcode \
    extra failednode flags gid group layout maxdiskread maxdiskreadnode maxdiskreadtask maxdiskwrite \
    maxdiskwritenode maxdiskwritetask maxpages maxpagesnode maxpagestask maxrss maxrssnode maxrsstask maxvmsize \
    maxvmsizenode maxvmsizetask mcslabel mincpu mincpunode mincputask planned plannedcpu plannedcpuraw qosraw qosreq \
    reason reqcpufreq reqcpufreqgov reqcpufreqmax reqcpufreqmin reqreservation reservationid reserved restarts resvcpu \
    resvcpuraw segmentsize sluid stderr stdin stdout submitline systemcomment systemcpu totalcpu tresusageinmaxnode \
    tresusageinmaxtask tresusageinmin tresusageinminnode tresusageinmintask tresusageoutave tresusageoutmax \
    tresusageoutmaxnode tresusageoutmaxtask tresusageoutmin tresusageoutminnode tresusageoutmintask tresusageouttot uid \
    usercpu wckey wckeyid workdir min_cpus min_tmp_disk over_subscribe req_nodes command exc_nodes nice s:c:t exec_host \
    dependency array_job_id array_task_id sockets_per_node cores_per_socket threads_per_core time_left contiguous \
    core_spec schednodes work_dir";

/// Separators that `sacct --delimiter` is used with; `-P` gives the first.
const SEPARATORS: [&str; 8] = ["^|^", "|", "\u{2603}", ";", "\t", ",", "^", "\u{1f}"];

/// Fields whose text people choose, so that it may hold the separator.
const FREE_TEXT: [&str; 8] =
    ["jobname", "constraints", "submitline", "comment", "admincomment", "systemcomment", "workdir", "reason"];

/// Open XDMoD's `sacct` call, without header.
const XDMOD: &str = "jobid|jobidraw|cluster|partition|qos|account|group|gid|user|uid|submit|eligible|start|end|\
                     elapsed|exitcode|state|nnodes|ncpus|reqcpus|reqmem|reqtres|alloctres|timelimit|nodelist|jobname";
/// The `sacct` call of hb-jobinfo (Habrok), without header.
const HABROK: &str = "jobid|jobname|user|partition|nodelist|nnodes|ncpus|ntasks|state|submit|start|end|timelimit|\
                      elapsed|totalcpu|cputime|usercpu|systemcpu|reqmem|maxrss|maxvmsize|reqtres|alloctres|\
                      tresusageinmax|tresusageintot|tresusageouttot|maxdiskread|maxdiskwrite|maxrssnode|\
                      maxrsstask|maxvmsizenode|maxvmsizetask|maxdiskreadnode|maxdiskreadtask|\
                      maxdiskwritenode|maxdiskwritetask|comment";

/// Where the fields stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub separator: &'static str,
    /// Meaning of each column; `None` = not used.
    pub fields: Vec<Option<Field>>,
    /// Names of the columns as written.
    pub names: Vec<String>,
    /// Whether every line ends with a separator (`--parsable`); without a header that is not known.
    pub has_trailing: Option<bool>,
    /// Whether the first line is a header (otherwise it is the first row).
    pub has_header: bool,
}

impl Layout {
    /// The layout that a first line tells, if it is one of sacct.
    pub fn detect(first: &[u8]) -> Option<Self> {
        let first = std::str::from_utf8(first).ok()?.trim_end();
        Self::of_header(first).or_else(|| Self::of_row(first))
    }

    /// A header: names a job and its state or submission.
    fn of_header(first: &str) -> Option<Self> {
        SEPARATORS.iter().find_map(|separator| {
            let fields = fields_of(cut(first, separator));
            let has = |wanted: Field| fields.contains(&Some(wanted));
            let known = fields.iter().flatten().count();
            let is_one =
                (has(F::JobId) || has(F::JobIdRaw)) && known >= 3 && (has(F::State) || has(F::Submit));
            let names =
                || cut(first, separator).map(|name| name.trim().trim_matches('"').to_owned()).collect();
            is_one.then(|| {
                let has_trailing = Some(first.ends_with(separator));
                Self { separator, names: names(), fields, has_trailing, has_header: true }
            })
        })
    }

    /// A row of a layout that is known without header.
    fn of_row(first: &str) -> Option<Self> {
        [("|", XDMOD), ("\u{2603}", HABROK)].into_iter().find_map(|(separator, names)| {
            let fields = fields_of(names.split('|'));
            let cells: Vec<&str> = cut(first, separator).collect();
            let submit = fields.iter().position(|field| *field == Some(F::Submit))?;
            let fits = cells.len() == fields.len()
                && cells[0].starts_with(|c: char| c.is_ascii_digit())
                && super::clock::looks_like_a_timestamp(cells[submit]);
            let names = names.split('|').map(str::to_owned).collect();
            fits.then_some(Self { separator, names, fields, has_trailing: None, has_header: false })
        })
    }

    /// The columns of free text, with their names as written.
    pub fn free_text(&self) -> impl Iterator<Item = (usize, &str)> {
        let named = self.names.iter().enumerate().map(|(at, name)| (at, name.as_str()));
        named.filter(|(_, name)| FREE_TEXT.contains(&name.to_ascii_lowercase().as_str()))
    }

    /// Names of columns that no version of sacct or squeue has, each with a name that is like it.
    pub fn strange(&self) -> impl Iterator<Item = (&str, Option<&'static str>)> {
        let all = || NAMES.iter().map(|(name, _)| *name).chain(OTHERS.split_ascii_whitespace());
        let strange = self.names.iter().map(String::as_str).filter(move |name| {
            let lower = name.to_ascii_lowercase();
            !lower.is_empty() && !all().any(|known| known == lower)
        });
        strange.map(move |name| (name, nearest(&name.to_ascii_lowercase(), all())))
    }

    pub fn has(&self, field: Field) -> bool {
        self.fields.contains(&Some(field))
    }
}

/// The cells of a line. `--parsable` (in contrast to `--parsable2`) ends each line with a separator.
pub(super) fn cut<'a>(line: &'a str, separator: &'a str) -> std::str::Split<'a, &'a str> {
    line.strip_suffix(separator).filter(|_| !separator.is_empty()).unwrap_or(line).split(separator)
}

/// The cells of a line that a spreadsheet wrote: separators inside quotes are none.
pub(super) fn cut_quoted<'a>(line: &'a str, separator: &str) -> Vec<&'a str> {
    let mut inside = false;
    let outside = |c: char| {
        inside ^= c == '"';
        separator.starts_with(c) && !inside
    };
    line.split(outside)
        .map(|cell| cell.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(cell))
        .collect()
}

fn fields_of<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Option<Field>> {
    names
        .map(|name| {
            let name = name.trim().trim_matches('"').to_ascii_lowercase();
            NAMES.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
        })
        .collect()
}

/// Whether this is the header of sacct's table for terminals, which cuts values short.
pub(super) fn is_terminal_table(first: &[u8]) -> bool {
    let words: Vec<String> =
        String::from_utf8_lossy(first).split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
    let known = words.iter().filter(|word| NAMES.iter().any(|(name, _)| name == word)).count();
    words.first().is_some_and(|word| word.starts_with("jobid")) && known == words.len() && known >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_order_and_separator() {
        let layout = Layout::detect(b"State|Start|JobID|Submit|MaxRSS").expect("a header");
        assert_eq!(layout.fields[0], Some(F::State));
        assert_eq!(layout.fields[4], None);
        assert!(layout.has_header);
        // `sacct -p` ends lines with the separator.
        assert_eq!(Layout::detect(b"JobID|State|Submit|").expect("a header").fields.len(), 3);
        assert_eq!(Layout::detect(b"JOBID;STATE;SUBMIT").expect("a header").separator, ";");
        assert_eq!(Layout::detect(b"job_id,submit_s,run_s,state"), None, "the native CSV");
        assert_eq!(Layout::detect(b"1 0 0 10 1"), None);
    }

    #[test]
    fn the_separator_that_the_product_asks_for() {
        let layout = Layout::detect(b"JobID^|^State^|^Submit^|^Constraints").expect("a header");
        assert_eq!((layout.separator, layout.fields.len()), ("^|^", 4));
        assert_eq!(cut("1^|^a|b^|^", "^|^").collect::<Vec<_>>(), ["1", "a|b"]);
        let text: Vec<&str> = layout.free_text().map(|(_, name)| name).collect();
        assert_eq!(text, ["Constraints"]);
    }

    #[test]
    fn commas_inside_quotes() {
        assert_eq!(cut_quoted("1,\"cpu=1,mem=2G\",,x", ","), ["1", "cpu=1,mem=2G", "", "x"]);
        assert_eq!(cut_quoted("", ","), [""]);
    }

    #[test]
    fn terminal_tables() {
        assert!(is_terminal_table(b"JobID    JobName  Partition   Account  AllocCPUS      State ExitCode"));
        assert!(!is_terminal_table(b"JobID of a friend"));
    }
}

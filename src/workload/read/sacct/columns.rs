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
    UsageInAve,
    UsageInMax,
    UsageInTot,
    NodeList,
    Priority,
    Reservation,
    Constraints,
}

use Field as F;

/// sacct's names (lower case) with what they mean here; NNodes and NCPUS are the allocated ones of a
/// job that started.
const NAMES: [(&str, Field); 37] = [
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
];

/// Separators that `sacct --delimiter` is used with; `-P` gives the first.
const SEPARATORS: [&str; 6] = ["|", "\u{2603}", ";", "\t", ",", "^"];

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
            is_one.then_some(Self { separator, fields, has_header: true })
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
            fits.then_some(Self { separator, fields, has_header: false })
        })
    }

    pub fn has(&self, field: Field) -> bool {
        self.fields.contains(&Some(field))
    }
}

/// The cells of a line. `--parsable` (in contrast to `--parsable2`) ends each line with a separator.
pub(super) fn cut<'a>(line: &'a str, separator: &'a str) -> std::str::Split<'a, &'a str> {
    line.strip_suffix(separator).filter(|_| !separator.is_empty()).unwrap_or(line).split(separator)
}

/// The cells of a line that a spreadsheet wrote: commas inside quotes are no separators.
pub(super) fn cut_quoted(line: &str) -> Vec<&str> {
    let mut inside = false;
    let outside = |c: char| {
        inside ^= c == '"';
        c == ',' && !inside
    };
    line.split(outside)
        .map(|cell| cell.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(cell))
        .collect()
}

fn fields_of<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Option<Field>> {
    names
        .map(|name| {
            let name = name.trim().to_ascii_lowercase();
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
    fn commas_inside_quotes() {
        assert_eq!(cut_quoted("1,\"cpu=1,mem=2G\",,x"), ["1", "cpu=1,mem=2G", "", "x"]);
        assert_eq!(cut_quoted(""), [""]);
    }

    #[test]
    fn terminal_tables() {
        assert!(is_terminal_table(b"JobID    JobName  Partition   Account  AllocCPUS      State ExitCode"));
        assert!(!is_terminal_table(b"JobID of a friend"));
    }
}

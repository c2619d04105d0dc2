//! Proposes `[workload.columns]` for a table: from the names in its header and the looks of its first rows.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use super::columns::{COLUMNS, Column as C};
use super::formats::{self, Format, Kind};
use super::mapping::{ColumnSetting, WrittenColumn, cut, delimiter_of};
use super::source;

/// Rows that are looked at.
const ROWS: usize = 50;

/// Names that columns have elsewhere, in small letters without signs; the first column that fits is taken.
const NAMES: [(C, &[&str]); 17] = [
    (C::JobId, &["jobidentifier", "jobno", "jobid", "id", "job", "jobnumber", "jobidraw"]),
    (
        C::Submit,
        &[
            "submittedat",
            "createdat",
            "creationtime",
            "submissiontime",
            "queuedat",
            "enqueued",
            "queuetime",
            "submitts",
            "submits",
            "submit",
            "submitted",
            "submittime",
            "submission",
            "submitdate",
            "queued",
            "created",
            "qtime",
        ],
    ),
    (
        C::Start,
        &[
            "startedat",
            "startat",
            "startdate",
            "startts",
            "starttimestamp",
            "starts",
            "start",
            "started",
            "starttime",
            "begin",
            "begintime",
        ],
    ),
    (
        C::End,
        &[
            "endedat",
            "finishedat",
            "completedat",
            "completiontime",
            "enddate",
            "endts",
            "ends",
            "end",
            "ended",
            "endtime",
            "finish",
            "finished",
            "finishtime",
            "completed",
        ],
    ),
    (
        C::Run,
        &[
            "wallclocktime",
            "elapsedtime",
            "executiontime",
            "durationtime",
            "runs",
            "run",
            "runtime",
            "elapsed",
            "elapsedraw",
            "duration",
            "walltime",
            "wallclock",
            "time",
            "runningtime",
        ],
    ),
    (
        C::Limit,
        &[
            "maxwalltime",
            "requestedwalltime",
            "walltimerequested",
            "reqwalltime",
            "timelim",
            "limits",
            "limit",
            "timelimit",
            "timelimitraw",
            "requestedtime",
            "reqtime",
            "walltimelimit",
            "timereq",
        ],
    ),
    (C::User, &["useruid", "submitter", "uid", "user", "owner", "username", "userid", "login"]),
    (C::Account, &["account", "project", "group", "acct", "bank"]),
    (C::Partition, &["partition", "queue", "class"]),
    (C::Qos, &["qos"]),
    (C::Name, &["name", "jobname"]),
    (
        C::Nodes,
        &[
            "nnode",
            "nodesreq",
            "requestednodes",
            "nodenum",
            "nodes",
            "nnodes",
            "reqnodes",
            "numnodes",
            "nodecount",
        ],
    ),
    (
        C::Cpus,
        &[
            "cpu",
            "ncpu",
            "cpusreq",
            "cpusrequested",
            "requestedcpus",
            "procs",
            "nprocs",
            "corecount",
            "numcores",
            "cpucores",
            "cpus",
            "cores",
            "ncpus",
            "reqcpus",
            "alloccpus",
            "numcpus",
            "cpucount",
            "ncores",
            "processors",
        ],
    ),
    (
        C::Gpus,
        &[
            "gpusreq",
            "gpusrequested",
            "requestedgpus",
            "ngpu",
            "gpucards",
            "gpus",
            "gpu",
            "ngpus",
            "reqgpus",
            "allocgpus",
            "numgpus",
            "gpucount",
        ],
    ),
    (
        C::MemMb,
        &[
            "memoryrequested",
            "requestedmemory",
            "memreq",
            "memoryreq",
            "memmb",
            "mem",
            "memory",
            "reqmem",
            "ram",
            "maxmem",
        ],
    ),
    (C::State, &["state", "status", "jobstate", "exitstate"]),
    (C::GpuType, &["gputype", "gpumodel", "accelerator"]),
];

/// Ways to write a point in time that are tried, in order.
const PATTERNS: [&str; 8] = [
    "yyyy-mm-dd hh:mm:ss",
    "dd/mm/yyyy hh:mm:ss AM",
    "mm/dd/yyyy hh:mm:ss AM",
    "dd.mm.yyyy hh:mm:ss",
    "dd/mm/yyyy hh:mm:ss",
    "mm/dd/yyyy hh:mm:ss",
    "yyyy/mm/dd hh:mm:ss",
    "dd-mm-yyyy hh:mm:ss",
];

/// A proposal for `[workload.columns]`, and what could not be found.
///
/// # Errors
/// Where the file cannot be read.
pub fn guess_columns(path: &Path) -> io::Result<(BTreeMap<String, ColumnSetting>, Vec<&'static str>)> {
    let mut start = Vec::new();
    source::open(path).and_then(source::unpack)?.reader.take(1 << 18).read_to_end(&mut start)?;
    let text = String::from_utf8_lossy(&start);
    Ok(of_text(text.strip_prefix('\u{feff}').unwrap_or(&text)))
}

fn of_text(text: &str) -> (BTreeMap<String, ColumnSetting>, Vec<&'static str>) {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let header = lines.next().unwrap_or("");
    let delimiter = delimiter_of(header);
    let names: Vec<String> = cut(header, delimiter).into_iter().map(|(name, _)| name).collect();
    let rows: Vec<Vec<(String, u64)>> =
        lines.take(ROWS).map(|line| cut(line, delimiter)).filter(|row| row.len() == names.len()).collect();
    let values = |at: usize| -> Vec<&str> {
        let texts = rows.iter().map(|row| row[at].0.as_str());
        texts.filter(|text| !text.is_empty() && !formats::is_unknown(text)).collect()
    };
    let has_comma = (0..names.len()).any(|at| {
        let texts = values(at);
        let is_number = |text: &&str| is_comma_number(text) || text.bytes().all(|c| c.is_ascii_digit());
        texts.iter().all(is_number) && texts.iter().any(|text| is_comma_number(text))
    });
    let decimal = if delimiter != ',' && has_comma { ',' } else { '.' };
    let mut table = BTreeMap::new();
    if delimiter != ',' {
        table.insert("delimiter".to_owned(), ColumnSetting::Name(delimiter.to_string()));
    }
    if decimal == ',' {
        table.insert("decimal".to_owned(), ColumnSetting::Name(",".to_owned()));
    }
    let mut taken = vec![false; names.len()];
    for (column, known) in NAMES {
        let is_it = |at: usize, wanted: &str| {
            let name = &names[at];
            plain(name) == wanted || unit(name).is_some() && plain(before_unit(name)) == wanted
        };
        let at = known.iter().find_map(|wanted| {
            (0..names.len()).find(|at| !taken[*at] && is_it(*at, wanted) && !values(*at).is_empty())
        });
        let Some(at) = at else { continue };
        let kind = formats::kind_of(column);
        let Some(setting) = setting_of(&names[at], kind, &values(at), decimal) else { continue };
        taken[at] = true;
        let key = COLUMNS.iter().find(|(_, known)| *known == column).map_or("", |(name, _)| *name);
        table.insert(key.to_owned(), setting);
    }
    // a run time follows from start and end
    let follows = ["start_s", "end_s"].iter().all(|key| table.contains_key(*key));
    let is_there = |key: &str| table.contains_key(key) || key == "run_s" && follows;
    let missing = ["job_id", "submit_s", "run_s"].into_iter().filter(|key| !is_there(key)).collect();
    (table, missing)
}

/// The letters and digits of a name before any unit in brackets, in small letters.
fn plain(name: &str) -> String {
    let name = name.split(['(', '[']).next().unwrap_or(name);
    name.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase()
}

/// Words for units at the end of a name, in small letters, and the names of the units.
const UNITS: [(&str, &str); 24] = [
    ("s", "s"),
    ("sec", "s"),
    ("secs", "s"),
    ("seconds", "s"),
    ("ms", "ms"),
    ("us", "us"),
    ("min", "min"),
    ("mins", "min"),
    ("minutes", "min"),
    ("h", "h"),
    ("hr", "h"),
    ("hrs", "h"),
    ("hours", "h"),
    ("d", "d"),
    ("days", "d"),
    ("kb", "KB"),
    ("mb", "MB"),
    ("gb", "GB"),
    ("tb", "TB"),
    ("kib", "KiB"),
    ("mib", "MiB"),
    ("gib", "GiB"),
    ("tib", "TiB"),
    ("percent", "percent"),
];

/// The unit behind a name: `Runtime (h)`, `elapsed_sec`, `Memory GB`.
fn unit(name: &str) -> Option<&'static str> {
    let last = name.trim_end_matches([')', ']']).rsplit([' ', '_', '(', '[', '-', '.']).next()?;
    let is_alone = last.len() == name.len();
    let lower = last.trim().to_ascii_lowercase();
    UNITS.iter().find(|(word, _)| *word == lower && !is_alone).map(|(_, unit)| *unit)
}

/// The name without its unit.
fn before_unit(name: &str) -> &str {
    let name = name.trim_end_matches([')', ']']);
    name.rfind([' ', '_', '(', '[', '-', '.']).map_or(name, |at| &name[..at])
}

fn is_comma_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once(',').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|c| c.is_ascii_digit());
    text.contains(',') && !whole.is_empty() && digits(whole) && digits(fraction)
}

/// How a column has to be named so that all of these values can be read.
fn setting_of(name: &str, kind: Kind, values: &[&str], decimal: char) -> Option<ColumnSetting> {
    let reads =
        |format: &Format| values.iter().all(|text| formats::native(text, kind, format, decimal).is_some());
    let from = name.to_owned();
    if let Some(unit) = unit(name)
        && let Some(format) = Format::of_name(unit, kind)
        && reads(&format)
    {
        return Some(ColumnSetting::Written(WrittenColumn {
            from,
            format: None,
            unit: Some(unit.to_owned()),
        }));
    }
    if let Some(unit) = unit_by_size(kind, values) {
        return Some(ColumnSetting::Written(WrittenColumn {
            from,
            format: None,
            unit: Some(unit.to_owned()),
        }));
    }
    if kind == Kind::Instant {
        let is_number = values.iter().all(|text| text.bytes().all(|c| c.is_ascii_digit() || c == b'.'));
        let is_iso = values.iter().all(|text| super::sacct::looks_like_a_timestamp(text));
        if is_number || is_iso {
            return Some(ColumnSetting::Name(from));
        }
        let pattern = pattern_of(values)?;
        let format = Some(pattern.to_owned());
        return Some(ColumnSetting::Written(WrittenColumn { from, format, unit: None }));
    }
    reads(&Format::Any).then_some(ColumnSetting::Name(from))
}

/// Whole numbers of 12 digits and more are no seconds of this age.
fn unit_by_size(kind: Kind, values: &[&str]) -> Option<&'static str> {
    let numbers: Option<Vec<u64>> = values.iter().map(|text| text.parse().ok()).collect();
    let least = numbers?.into_iter().min()?;
    match (kind, least) {
        (Kind::Instant, 100_000_000_000..100_000_000_000_000) => Some("ms"),
        (Kind::Instant, 100_000_000_000_000..) => Some("us"),
        _ => None,
    }
}

/// The pattern after which all values are times. Where days and months could be either, the one that gives the
/// shorter trace: read the wrong way, twelve days become a year.
fn pattern_of(values: &[&str]) -> Option<&'static str> {
    let reach = |pattern: &&'static str| -> Option<i64> {
        let times: Option<Vec<String>> = values.iter().map(|text| formats::civil(text, pattern)).collect();
        let days: Option<Vec<i64>> = times?.iter().map(|time| formats::day_number(time)).collect();
        let days = days?;
        Some(days.iter().max()? - days.iter().min()?)
    };
    let fitting = PATTERNS.iter().filter_map(|pattern| Some((reach(pattern)?, *pattern)));
    fitting.min_by_key(|(days, _)| *days).map(|(_, pattern)| pattern)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::read::ColumnMap;

    #[test]
    fn units_and_formats_are_seen_in_names_and_values() {
        let unit = |from: &str, unit: &str| {
            ColumnSetting::Written(WrittenColumn { from: from.into(), format: None, unit: Some(unit.into()) })
        };
        let text = "Job_ID,submitted_at,start_time,elapsed_sec,mem_gb,n_gpus,wall_time_limit\n\
                    1,1767571200000,1767571260000,60,4,NaN,1-00:00:00\n2,1767571300000,,90,8,2,12:00:00\n";
        let (table, missing) = of_text(text);
        assert!(missing.is_empty(), "{table:?}");
        assert_eq!(table["submit_s"], unit("submitted_at", "ms"));
        assert_eq!((&table["run_s"], &table["mem_mb"]), (&unit("elapsed_sec", "s"), &unit("mem_gb", "GB")));
        assert_eq!(table["gpus"], ColumnSetting::Name("n_gpus".into()));
        let american = of_text("id;submitted;runtime\n1;3/4/2026 8:02 AM;60\n2;3/9/2026 11:30 PM;70\n").0;
        let format = Some("mm/dd/yyyy hh:mm:ss AM".to_owned());
        assert_eq!(
            american["submit_s"],
            ColumnSetting::Written(WrittenColumn { from: "submitted".into(), format, unit: None })
        );
        let (table, missing) = of_text(
            "id;submitted;started;ended;hours\n1;2026-01-05 00:00;2026-01-05 00:01;2026-01-05 01:00;2,5\n2;2026-01-05 00:00;2026-01-05 00:01;2026-01-05 01:00;3\n",
        );
        assert!(missing.is_empty(), "the run time follows from start and end: {table:?}");
        assert_eq!(table["decimal"], ColumnSetting::Name(",".into()));
    }

    #[test]
    fn a_table_of_a_spreadsheet_is_proposed() {
        let text = "Job Id;Owner;Submitted;Started;Runtime (h);GPUs\n\
                    5000;u0;02.03.2026 08:02;02.03.2026 08:36;2,31;1\n5001;u1;22.03.2026 08:12;;16,38;8\n";
        let (table, missing) = of_text(text);
        assert!(missing.is_empty());
        assert_eq!(table["delimiter"], ColumnSetting::Name(";".into()));
        assert_eq!(table["decimal"], ColumnSetting::Name(",".into()));
        assert_eq!(table["job_id"], ColumnSetting::Name("Job Id".into()));
        let run = WrittenColumn { from: "Runtime (h)".into(), format: None, unit: Some("h".into()) };
        assert_eq!(table["run_s"], ColumnSetting::Written(run));
        let format = Some("dd.mm.yyyy hh:mm:ss".to_owned());
        let submit = WrittenColumn { from: "Submitted".into(), format, unit: None };
        assert_eq!(table["submit_s"], ColumnSetting::Written(submit));
        assert!(ColumnMap::of_table(&table).is_ok());
    }

    #[test]
    fn what_is_not_found_is_said() {
        assert_eq!(of_text("a,b\n1,2\n").1, ["job_id", "submit_s", "run_s"]);
    }
}

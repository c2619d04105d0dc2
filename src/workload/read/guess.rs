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
    (C::JobId, &["jobid", "id", "job", "jobnumber", "jobidraw"]),
    (
        C::Submit,
        &[
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
    (C::Start, &["starts", "start", "started", "starttime", "begin", "begintime"]),
    (C::End, &["ends", "end", "ended", "endtime", "finish", "finished", "finishtime", "completed"]),
    (
        C::Run,
        &[
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
    (C::User, &["user", "owner", "username", "userid", "login"]),
    (C::Account, &["account", "project", "group", "acct", "bank"]),
    (C::Partition, &["partition", "queue", "class"]),
    (C::Qos, &["qos"]),
    (C::Name, &["name", "jobname"]),
    (C::Nodes, &["nodes", "nnodes", "reqnodes", "numnodes", "nodecount"]),
    (
        C::Cpus,
        &["cpus", "cores", "ncpus", "reqcpus", "alloccpus", "numcpus", "cpucount", "ncores", "processors"],
    ),
    (C::Gpus, &["gpus", "gpu", "ngpus", "reqgpus", "allocgpus", "numgpus", "gpucount"]),
    (C::MemMb, &["memmb", "mem", "memory", "reqmem", "ram", "maxmem"]),
    (C::State, &["state", "status", "jobstate", "exitstate"]),
    (C::GpuType, &["gputype", "gpumodel", "accelerator"]),
];

/// Ways to write a point in time that are tried, in order.
const PATTERNS: [&str; 6] = [
    "yyyy-mm-dd hh:mm:ss",
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
        rows.iter().map(|row| row[at].0.as_str()).filter(|text| !text.is_empty()).collect()
    };
    let has_comma = (0..names.len()).any(|at| {
        let texts = values(at);
        !texts.is_empty() && texts.iter().all(|text| is_comma_number(text))
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
        let at = known.iter().find_map(|wanted| {
            (0..names.len())
                .find(|at| !taken[*at] && plain(&names[*at]) == *wanted && !values(*at).is_empty())
        });
        let Some(at) = at else { continue };
        let kind = formats::kind_of(column);
        let Some(setting) = setting_of(&names[at], kind, &values(at), decimal) else { continue };
        taken[at] = true;
        let key = COLUMNS.iter().find(|(_, known)| *known == column).map_or("", |(name, _)| *name);
        table.insert(key.to_owned(), setting);
    }
    let missing =
        ["job_id", "submit_s", "run_s"].into_iter().filter(|key| !table.contains_key(*key)).collect();
    (table, missing)
}

/// The letters and digits of a name before any unit in brackets, in small letters.
fn plain(name: &str) -> String {
    let name = name.split(['(', '[']).next().unwrap_or(name);
    name.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase()
}

/// The unit in brackets behind a name: `Runtime (h)`.
fn unit(name: &str) -> Option<&str> {
    let (_, unit) = name.split_once(['(', '['])?;
    Some(unit.trim_end_matches([')', ']']).trim())
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
    if kind == Kind::Instant {
        let is_number = values.iter().all(|text| text.bytes().all(|c| c.is_ascii_digit() || c == b'.'));
        let is_iso = values.iter().all(|text| super::sacct::looks_like_a_timestamp(text));
        if is_number || is_iso {
            return Some(ColumnSetting::Name(from));
        }
        let pattern = PATTERNS.iter().find(|pattern| reads(&Format::Pattern((**pattern).to_owned())))?;
        let format = Some((*pattern).to_owned());
        return Some(ColumnSetting::Written(WrittenColumn { from, format, unit: None }));
    }
    reads(&Format::Any).then_some(ColumnSetting::Name(from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::read::ColumnMap;

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

//! What `sacct --json` and `scontrol show job` print, job by job, as the rows that `sacct -P` would print.

use std::io::Read;

use serde_json::Value;

use super::columns::Layout;

/// Between the cells of the rows that are made here; nobody writes it into a name.
const SEPARATOR: &str = "\u{1f}";

/// The fields of the rows, in order.
const FIELDS: [&str; 29] = [
    "JobID",
    "JobName",
    "User",
    "Account",
    "Partition",
    "QOS",
    "State",
    "ExitCode",
    "Submit",
    "Eligible",
    "Start",
    "End",
    "Elapsed",
    "ElapsedRaw",
    "Suspended",
    "Timelimit",
    "TimelimitRaw",
    "ReqCPUS",
    "AllocNodes",
    "NTasks",
    "ReqMem",
    "ReqTRES",
    "AllocTRES",
    "TRESUsageInAve",
    "TRESUsageInMax",
    "TRESUsageInTot",
    "NodeList",
    "Priority",
    "Constraints",
];

/// The layout of the rows.
pub(super) fn layout() -> Layout {
    Layout::detect(FIELDS.join(SEPARATOR).as_bytes()).expect("the fields are those of sacct")
}

/// A row in the making.
#[derive(Default)]
struct Row(Vec<(&'static str, String)>);

impl Row {
    fn put(&mut self, field: &'static str, text: impl Into<String>) {
        let text: String = text.into();
        // a line break or the separator inside a name would end the row
        let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.0.push((field, text));
    }

    fn line(&self) -> String {
        let cell = |field: &&str| {
            self.0.iter().find(|(name, _)| name == field).map_or("", |(_, text)| text.as_str())
        };
        FIELDS.iter().map(cell).collect::<Vec<_>>().join(SEPARATOR)
    }
}

/// The rows of `sacct --json`: jobs, each followed by its steps.
///
/// # Errors
/// Where it is no JSON, or has no list of jobs; in words.
pub(super) fn rows(reader: impl Read) -> Result<Vec<String>, String> {
    let document: Value =
        serde_json::from_reader(reader).map_err(|error| format!("it is no JSON: {error}"))?;
    let jobs = document.get("jobs").and_then(Value::as_array);
    let jobs = jobs.ok_or_else(|| "it has no list `jobs`, so it is not of `sacct --json`".to_owned())?;
    let mut rows = Vec::new();
    for job in jobs {
        let (id, row) = job_row(job);
        rows.push(row.line());
        for step in job.get("steps").and_then(Value::as_array).into_iter().flatten() {
            rows.push(step_row(&id, step).line());
        }
    }
    Ok(rows)
}

/// A number that newer versions wrap: `{"set": true, "infinite": false, "number": 120}`.
fn number(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    match value {
        Value::Object(wrapped) => {
            let is = |key: &str| wrapped.get(key).and_then(Value::as_bool);
            if is("set") == Some(false) || is("infinite") == Some(true) {
                return None;
            }
            wrapped.get("number")?.as_f64()
        }
        other => other.as_f64(),
    }
}

fn is_infinite(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("infinite")).and_then(Value::as_bool) == Some(true)
}

fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// A text, or the first of a list of them; numbers in digits.
fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => text(list.first()),
        Some(Value::Number(n)) => n.to_string(),
        _ => String::new(),
    }
}

/// Seconds since 1970; zero says that there is no such time.
fn instant(value: Option<&Value>) -> String {
    match number(value) {
        Some(seconds) if seconds > 0.0 => format!("{seconds:.0}"),
        Some(_) | None => "Unknown".to_owned(),
    }
}

fn job_row(job: &Value) -> (String, Row) {
    let whole = |path: &[&str]| number(at(job, path)).filter(|n| *n > 0.0).map(|n| format!("{n:.0}"));
    let base = whole(&["job_id"]).unwrap_or_default();
    let task = number(at(job, &["array", "task_id"])).map(|n| format!("{n:.0}"));
    let id = match (whole(&["array", "job_id"]), task, whole(&["het", "job_id"])) {
        (Some(array), Some(task), _) => format!("{array}_{task}"),
        (_, _, Some(het)) => {
            let offset = number(at(job, &["het", "job_offset"])).unwrap_or(0.0);
            format!("{het}+{offset:.0}")
        }
        _ => base,
    };
    let mut row = Row::default();
    row.put("JobID", id.clone());
    for (field, key) in [
        ("JobName", "name"),
        ("User", "user"),
        ("Account", "account"),
        ("Partition", "partition"),
        ("QOS", "qos"),
        ("NodeList", "nodes"),
        ("Constraints", "constraints"),
    ] {
        row.put(field, text(job.get(key)));
    }
    if job.get("user").is_none() {
        row.put("User", text(at(job, &["association", "user"])));
    }
    row.put("State", text(at(job, &["state", "current"])));
    if let Some(code) = number(at(job, &["exit_code", "return_code"])) {
        row.put("ExitCode", format!("{code:.0}:0"));
    }
    row.put("Submit", instant(at(job, &["time", "submission"])));
    for (field, key) in [("Eligible", "eligible"), ("Start", "start"), ("End", "end")] {
        row.put(field, instant(at(job, &["time", key])));
    }
    put_times(&mut row, job);
    let limit = at(job, &["time", "limit"]);
    match number(limit) {
        Some(minutes) => row.put("TimelimitRaw", format!("{minutes:.0}")),
        None if is_infinite(limit) => row.put("TimelimitRaw", "UNLIMITED"),
        None => {}
    }
    row.put("ReqCPUS", whole(&["required", "CPUs"]).unwrap_or_default());
    row.put("AllocNodes", whole(&["allocation_nodes"]).unwrap_or_default());
    let (per_cpu, per_node) =
        (whole(&["required", "memory_per_cpu"]), whole(&["required", "memory_per_node"]));
    match (per_cpu, per_node) {
        (Some(mib), _) => row.put("ReqMem", format!("{mib}Mc")),
        (None, Some(mib)) => row.put("ReqMem", format!("{mib}Mn")),
        (None, None) => {}
    }
    row.put("ReqTRES", tres(at(job, &["tres", "requested"])));
    row.put("AllocTRES", tres(at(job, &["tres", "allocated"])));
    row.put("Priority", whole(&["priority"]).unwrap_or_default());
    (id, row)
}

fn put_times(row: &mut Row, value: &Value) {
    if let Some(seconds) = number(at(value, &["time", "elapsed"])) {
        row.put("ElapsedRaw", format!("{seconds:.0}"));
    }
    if let Some(seconds) = number(at(value, &["time", "suspended"])).filter(|s| *s > 0.0) {
        row.put("Suspended", clock(seconds));
    }
}

fn clock(seconds: f64) -> String {
    // suspensions are far below 2^53 seconds
    let s = seconds as u64;
    format!("{}-{:02}:{:02}:{:02}", s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60)
}

fn step_row(job: &str, step: &Value) -> Row {
    let mut row = Row::default();
    let id = match at(step, &["step", "id"]) {
        Some(Value::Object(id)) => text(id.get("step_id")),
        other => text(other),
    };
    let name = id.rsplit('.').next().unwrap_or("").to_owned();
    row.put("JobID", format!("{job}.{name}"));
    row.put("State", text(step.get("state")));
    put_times(&mut row, step);
    if let Some(tasks) = number(at(step, &["tasks", "count"])) {
        row.put("NTasks", format!("{tasks:.0}"));
    }
    for (field, key) in
        [("TRESUsageInAve", "average"), ("TRESUsageInMax", "max"), ("TRESUsageInTot", "total")]
    {
        row.put(field, tres(at(step, &["tres", "requested", key])));
    }
    row
}

/// `[{"type": "gres", "name": "gpu:a100", "count": 2}]` as `gres/gpu:a100=2`; memory counts in MiB.
fn tres(list: Option<&Value>) -> String {
    let one = |item: &Value| {
        let (kind, name) = (text(item.get("type")), text(item.get("name")));
        let count = number(item.get("count"))?;
        let whole = if name.is_empty() { kind.clone() } else { format!("{kind}/{name}") };
        let unit = if kind == "mem" { "M" } else { "" };
        Some(format!("{whole}={count:.0}{unit}"))
    };
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(one).collect::<Vec<_>>().join(",")
}

/// The rows of `scontrol show job`, in blocks or one job a line.
pub(super) fn shown_jobs(text: &str) -> Vec<(u64, String)> {
    let mut rows: Vec<(u64, Row)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("JobId=") {
            rows.push((at as u64 + 1, Row::default()));
        }
        let Some((_, row)) = rows.last_mut() else { continue };
        let mut from = 0;
        for word in line.split_whitespace() {
            let start = line[from..].find(word).map_or(from, |at| from + at);
            from = start + word.len();
            let Some((key, value)) = word.split_once('=') else { continue };
            // these hold what people wrote, to the end of the line
            if ["Command", "Comment", "WorkDir", "SubmitLine", "StdErr", "StdIn", "StdOut"].contains(&key) {
                break;
            }
            if !["", "(null)", "N/A", "None"].contains(&value) {
                put_shown(row, key, value);
            }
        }
    }
    rows.iter().map(|(line, row)| (*line, row.line())).collect()
}

fn put_shown(row: &mut Row, key: &str, value: &str) {
    let field = match key {
        "JobId" => "JobID",
        "JobName" => "JobName",
        "Account" => "Account",
        "Partition" => "Partition",
        "QOS" => "QOS",
        "JobState" => "State",
        "ExitCode" => "ExitCode",
        "SubmitTime" => "Submit",
        "EligibleTime" => "Eligible",
        "StartTime" => "Start",
        "EndTime" => "End",
        "RunTime" => "Elapsed",
        "TimeLimit" => "Timelimit",
        "NumTasks" => "NTasks",
        "NumCPUs" => "ReqCPUS",
        "ReqTRES" => "ReqTRES",
        "AllocTRES" | "TRES" => "AllocTRES",
        "NodeList" => "NodeList",
        "Priority" => "Priority",
        "Features" => "Constraints",
        "UserId" => {
            row.put("User", value.split('(').next().unwrap_or(value));
            return;
        }
        // an array names its job and its task apart from the number of the record
        "ArrayJobId" => {
            row.0.insert(0, ("JobID", value.to_owned()));
            return;
        }
        "ArrayTaskId" => {
            let waits = !value.bytes().all(|c| c.is_ascii_digit());
            let task = if waits { format!("[{value}]") } else { value.to_owned() };
            if let Some((_, id)) = row.0.first_mut().filter(|(field, _)| *field == "JobID") {
                *id = format!("{id}_{task}");
            }
            return;
        }
        _ => return,
    };
    row.put(field, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_and_steps_become_rows() {
        let text = r#"{"jobs": [{"job_id": 7, "array": {"job_id": 5, "task_id": {"set": true, "number": 3}},
            "name": "a\nb", "state": {"current": ["COMPLETED"]},
            "time": {"submission": 100, "start": 160, "end": 260, "elapsed": 100, "limit": {"set": true, "number": 120}},
            "tres": {"requested": [{"type": "cpu", "name": "", "count": 8}, {"type": "mem", "name": "", "count": 512},
                                   {"type": "gres", "name": "gpu:a100", "count": 2}], "allocated": []},
            "steps": [{"step": {"id": "7.batch"}, "tasks": {"count": 1}, "time": {"elapsed": 100},
                       "tres": {"requested": {"total": [{"type": "gres", "name": "gpuutil", "count": 50}]}}}]}]}"#;
        let rows = rows(text.as_bytes()).unwrap();
        let cell = |row: &str, field: &str| {
            let at = FIELDS.iter().position(|known| *known == field).unwrap();
            row.split(SEPARATOR).nth(at).unwrap().to_owned()
        };
        assert_eq!((cell(&rows[0], "JobID").as_str(), cell(&rows[0], "JobName").as_str()), ("5_3", "a b"));
        assert_eq!(cell(&rows[0], "ReqTRES"), "cpu=8,mem=512M,gres/gpu:a100=2");
        assert_eq!(
            (cell(&rows[0], "TimelimitRaw").as_str(), cell(&rows[0], "Eligible").as_str()),
            ("120", "Unknown")
        );
        assert_eq!(cell(&rows[1], "JobID"), "5_3.batch");
        assert_eq!(cell(&rows[1], "TRESUsageInTot"), "gres/gpuutil=50");
        assert!(super::rows(&b"{\"nodes\": []}"[..]).is_err());
        assert_eq!(layout().fields.len(), FIELDS.len());
    }

    #[test]
    fn shown_jobs_become_rows() {
        let text = "JobId=12 ArrayJobId=10 ArrayTaskId=2 JobName=x\n   UserId=ann(1000) Priority=9 Account=lab QOS=q\n   \
                    JobState=RUNNING Reason=None RunTime=00:10:00 TimeLimit=1-00:00:00\n   Command=/x y=1 JobState=z\n\n\
                    JobId=13 JobName=y JobState=COMPLETED\n";
        let rows = shown_jobs(text);
        assert_eq!((rows.len(), rows[1].0), (2, 6));
        let cells: Vec<&str> = rows[0].1.split(SEPARATOR).collect();
        assert_eq!((cells[0], cells[2], cells[6], cells[12]), ("10_2", "ann", "RUNNING", "00:10:00"));
    }
}

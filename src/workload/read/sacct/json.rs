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
pub(super) fn rows(reader: impl Read) -> Result<Made, String> {
    let document: Value =
        serde_json::from_reader(reader).map_err(|error| format!("it is no JSON: {error}"))?;
    let jobs = document.get("jobs").and_then(Value::as_array);
    let jobs = jobs.ok_or_else(|| "it has no list `jobs`, so it is not of `sacct --json`".to_owned())?;
    let (mut rows, mut lacks) = (Vec::new(), Vec::new());
    for job in jobs {
        let (id, mut row) = job_row(job);
        lacks.extend(lacking(job).map(|key| (rows.len() as u64 + 1, key)));
        run_so_far(&mut row, &document);
        rows.push(row.line());
        for step in job.get("steps").and_then(Value::as_array).into_iter().flatten() {
            rows.push(step_row(&id, step).line());
        }
    }
    Ok(Made { rows, lacks })
}

/// The rows of a document.
pub(super) struct Made {
    pub rows: Vec<String>,
    /// Rows of records that lack a key which every sacct writes, and which.
    pub lacks: Vec<(u64, String)>,
}

/// Keys that sacct writes into every record: where one is missing, it was cut out or is misspelt.
const EXPECTED: [&[&str]; 12] = [
    &["account"],
    &["name"],
    &["nodes"],
    &["partition"],
    &["required", "CPUs"],
    &["time", "elapsed"],
    &["time", "end"],
    &["time", "limit"],
    &["time", "start"],
    &["tres", "allocated"],
    &["tres", "requested"],
    &["user"],
];

/// The first key that a record of sacct lacks.
fn lacking(job: &Value) -> Option<String> {
    if !is_sacct(job) {
        return None;
    }
    let needed = at(job, &["required"]);
    let memory = ["memory", "memory_per_cpu", "memory_per_node"];
    let is_state = at(job, &["state", "current"]).or(job.get("state").filter(|state| !state.is_object()));
    if needed.is_some_and(|needed| memory.iter().all(|key| needed.get(key).is_none())) {
        return Some("required.memory_per_node".to_owned());
    }
    if is_state.is_none() {
        return Some("state.current".to_owned());
    }
    EXPECTED.iter().find(|path| at(job, path).is_none()).map(|path| path.join("."))
}

fn is_sacct(job: &Value) -> bool {
    job.get("submit_time").is_none()
}

/// What a value says, in the words of `sacct -P`: a number as it is written, bare or in quotes or wrapped as newer
/// versions do (`{"set": true, "infinite": false, "number": 120}`). Nothing is rounded: what is no number is handed
/// on as it stands, so that the row is refused for it.
fn said(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::Object(wrapped) if wrapped.contains_key("number") => {
            let is = |key: &str| wrapped.get(key).and_then(Value::as_bool);
            if is("set") == Some(false) {
                None
            } else if is("infinite") == Some(true) {
                Some("UNLIMITED".to_owned())
            } else {
                said(wrapped.get("number"))
            }
        }
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        // 8.0 is 8
        Value::Number(n) => Some(match n.as_f64() {
            Some(float) if n.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => format!("{float:.0}"),
            _ => n.to_string(),
        }),
        other => Some(other.to_string()),
    }
}

/// The same, where zero says that there is none.
fn above_zero(value: Option<&Value>) -> Option<String> {
    said(value).filter(|text| text != "0")
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

/// Seconds since 1970 or a time in words; zero says that there is no such time.
fn instant(value: Option<&Value>) -> String {
    above_zero(value).unwrap_or_else(|| "Unknown".to_owned())
}

/// Names that `sacct` and `squeue` have in common.
fn put_names(row: &mut Row, job: &Value) {
    for (field, key) in [
        ("JobName", "name"),
        ("Account", "account"),
        ("Partition", "partition"),
        ("QOS", "qos"),
        ("NodeList", "nodes"),
    ] {
        row.put(field, text(job.get(key)));
    }
}

fn job_id(job: &Value, array: [&[&str]; 2], het: [&[&str]; 2]) -> String {
    let base = above_zero(job.get("job_id")).unwrap_or_default();
    let [array, task] = array.map(|path| at(job, path));
    match (above_zero(array), said(task), above_zero(at(job, het[0]))) {
        (Some(array), Some(task), _) => format!("{array}_{task}"),
        (_, _, Some(het_id)) => {
            let offset = said(at(job, het[1])).unwrap_or_else(|| "0".to_owned());
            format!("{het_id}+{offset}")
        }
        _ => base,
    }
}

fn job_row(job: &Value) -> (String, Row) {
    if !is_sacct(job) {
        return queued_row(job);
    }
    let whole = |path: &[&str]| above_zero(at(job, path));
    let id = job_id(
        job,
        [&["array", "job_id"], &["array", "task_id"]],
        [&["het", "job_id"], &["het", "job_offset"]],
    );
    let mut row = Row::default();
    row.put("JobID", id.clone());
    put_names(&mut row, job);
    let user = text(job.get("user"));
    row.put("User", if user.is_empty() { text(at(job, &["association", "user"])) } else { user });
    row.put("Constraints", text(job.get("constraints")));
    let state = text(at(job, &["state", "current"]));
    row.put("State", if state.is_empty() { text(job.get("state")) } else { state });
    if let Some(code) = said(at(job, &["exit_code", "return_code"])) {
        row.put("ExitCode", format!("{code}:0"));
    }
    row.put("Submit", instant(at(job, &["time", "submission"])));
    for (field, key) in [("Eligible", "eligible"), ("Start", "start"), ("End", "end")] {
        row.put(field, instant(at(job, &["time", key])));
    }
    put_times(&mut row, job);
    row.put("TimelimitRaw", said(at(job, &["time", "limit"])).unwrap_or_default());
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

/// A job as `squeue --json` and `scontrol show jobs --json` tell it: how long it has run is not among that.
fn queued_row(job: &Value) -> (String, Row) {
    let id = job_id(job, [&["array_job_id"], &["array_task_id"]], [&["het_job_id"], &["het_job_offset"]]);
    let mut row = Row::default();
    row.put("JobID", id.clone());
    put_names(&mut row, job);
    row.put("User", text(job.get("user_name")));
    row.put("Constraints", text(job.get("features")));
    row.put("State", text(job.get("job_state")));
    for (field, key) in [
        ("Submit", "submit_time"),
        ("Eligible", "eligible_time"),
        ("Start", "start_time"),
        ("End", "end_time"),
    ] {
        row.put(field, instant(job.get(key)));
    }
    row.put("TimelimitRaw", said(job.get("time_limit")).unwrap_or_default());
    row.put("ReqCPUS", above_zero(job.get("cpus")).unwrap_or_default());
    row.put("AllocNodes", above_zero(job.get("node_count")).unwrap_or_default());
    row.put("NTasks", above_zero(job.get("tasks")).unwrap_or_default());
    row.put("ReqTRES", text(job.get("tres_req_str")));
    row.put("AllocTRES", text(job.get("tres_alloc_str")));
    row.put("Priority", above_zero(job.get("priority")).unwrap_or_default());
    (id, row)
}

/// Gives the jobs that run the time until the dump was made, which stands beside the list.
fn run_so_far(row: &mut Row, document: &Value) {
    let cell = |row: &Row, field: &str| row.0.iter().find(|(name, _)| *name == field).map(|(_, t)| t.clone());
    let is_known = cell(row, "ElapsedRaw").is_some() || cell(row, "State").as_deref() != Some("RUNNING");
    let seconds = |text: Option<String>| text.and_then(|text| text.parse::<i64>().ok());
    let now = seconds(said(document.get("last_update")));
    if let (false, Some(now), Some(start)) = (is_known, now, seconds(cell(row, "Start"))) {
        row.put("ElapsedRaw", (now - start).max(0).to_string());
    }
}

fn put_times(row: &mut Row, value: &Value) {
    if let Some(seconds) = said(at(value, &["time", "elapsed"])) {
        row.put("ElapsedRaw", seconds);
    }
    if let Some(seconds) = above_zero(at(value, &["time", "suspended"])) {
        row.put("Suspended", seconds.parse().map_or(seconds, clock));
    }
}

fn clock(s: u64) -> String {
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
    row.put("NTasks", said(at(step, &["tasks", "count"])).unwrap_or_default());
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
        let count = said(item.get("count")).unwrap_or_default();
        let whole = if name.is_empty() { kind.clone() } else { format!("{kind}/{name}") };
        let unit = if kind == "mem" { "M" } else { "" };
        Some(format!("{whole}={count}{unit}"))
    };
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(one).collect::<Vec<_>>().join(",")
}

/// The rows of `scontrol show job`, in blocks or one job a line.
pub(super) fn shown_jobs(text: &str) -> Vec<(u64, String)> {
    let mut rows: Vec<(u64, Row)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("JobId=") {
            rows.push((at as u64 + 1, Row::default()));
        }
        let Some((_, row)) = rows.last_mut() else { continue };
        // a name may hold blanks, and equals signs behind them
        let mut rest = line;
        if let Some((head, name)) = line.split_once("JobName=") {
            let name = name.split(" UserId=").next().unwrap_or(name);
            head.split_whitespace().filter_map(|word| word.split_once('=')).for_each(|(key, value)| {
                put_shown(row, key, value);
            });
            put_shown(row, "JobName", name.trim());
            rest = &line[head.len() + "JobName=".len() + name.len()..];
        }
        for word in rest.split_whitespace() {
            let Some((key, value)) = word.split_once('=') else { continue };
            // these hold what people wrote, to the end of the line
            if ["Command", "Comment", "WorkDir", "SubmitLine", "StdErr", "StdIn", "StdOut"].contains(&key) {
                break;
            }
            put_shown(row, key, value);
        }
    }
    rows.iter().map(|(line, row)| (*line, row.line())).collect()
}

fn put_shown(row: &mut Row, key: &str, value: &str) {
    if ["", "(null)", "N/A", "None"].contains(&value) {
        return;
    }
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
        // a job that waits names a range
        "NumNodes" => {
            return row.put("AllocNodes", value.split('-').next().unwrap_or(value));
        }
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
        let rows = rows(text.as_bytes()).unwrap().rows;
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
    fn what_squeue_tells_becomes_rows() {
        let text = r#"{"last_update": {"set": true, "number": 500}, "jobs": [{"job_id": 7, "user_name": "ann", "job_state": ["RUNNING"],
            "submit_time": {"set": true, "number": 100}, "start_time": {"set": true, "number": 160}, "cpus": {"set": true, "number": 8},
            "time_limit": {"set": true, "infinite": true, "number": 0}, "tres_req_str": "cpu=8,gres/gpu=2"}]}"#;
        let rows = rows(text.as_bytes()).unwrap().rows;
        let cells: Vec<&str> = rows[0].split(SEPARATOR).collect();
        let cell = |field: &str| cells[FIELDS.iter().position(|known| *known == field).unwrap()];
        assert_eq!((cell("Submit"), cell("Start"), cell("ElapsedRaw")), ("100", "160", "340"));
        assert_eq!(
            (cell("User"), cell("TimelimitRaw"), cell("ReqTRES")),
            ("ann", "UNLIMITED", "cpu=8,gres/gpu=2")
        );
    }

    #[test]
    fn nothing_is_rounded() {
        for (json, want) in
            [("8", "8"), ("8.0", "8"), ("8.5", "8.5"), ("\"8\"", "8"), ("\"abc\"", "abc"), ("true", "true")]
        {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(said(Some(&value)).as_deref(), Some(want), "{json}");
        }
        assert_eq!(said(Some(&Value::Null)), None);
    }

    #[test]
    fn shown_jobs_become_rows() {
        let text = "JobId=12 ArrayJobId=10 ArrayTaskId=2 JobName=my x=1 job\n   UserId=ann(1000) Priority=9 Account=lab QOS=q\n   \
                    JobState=RUNNING Reason=None RunTime=00:10:00 TimeLimit=1-00:00:00\n   Command=/x y=1 JobState=z\n\n\
                    JobId=13 JobName=y JobState=COMPLETED\n";
        let rows = shown_jobs(text);
        assert_eq!((rows.len(), rows[1].0), (2, 6));
        let cells: Vec<&str> = rows[0].1.split(SEPARATOR).collect();
        assert_eq!((cells[0], cells[2], cells[6], cells[12]), ("10_2", "ann", "RUNNING", "00:10:00"));
        assert_eq!(cells[1], "my x=1 job");
    }
}

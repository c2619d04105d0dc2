//! Files for other programs: a trace for Perfetto, a dump as of sacct that reads back, NDJSON.

use std::collections::BTreeMap;

use serde_json::Value;
use windtunnel::workload::{ReadOptions, Workload, read_trace};

use super::terminal::{Desk, shipped};

const SETS: [&str; 2] = ["--set", "workload.window={ from-s = 0, until-s = 432000 }"];

fn array<'v>(value: &'v Value, key: &str) -> &'v Vec<Value> {
    value[key].as_array().unwrap()
}

/// Slices of a Perfetto trace by process and thread, sorted: from, until, job.
type Tracks = BTreeMap<(u64, u64), Vec<(i64, i64, String)>>;

fn tracks(trace: &Value) -> Tracks {
    let mut tracks = Tracks::new();
    for event in array(trace, "traceEvents").iter().filter(|event| event["ph"] == "X") {
        let at = |key: &str| event[key].as_i64().unwrap();
        let key = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        let name = event["name"].as_str().unwrap().to_owned();
        tracks.entry(key).or_default().push((at("ts"), at("ts") + at("dur"), name));
    }
    tracks.values_mut().for_each(|slices| slices.sort());
    tracks
}

/// Every track has a name and its node one too, and nothing on it overlaps.
fn sound(trace: &Value) -> Tracks {
    let tracks = tracks(trace);
    let events = array(trace, "traceEvents");
    let names = |what: &str, key: (u64, u64)| {
        let of = |event: &&Value| {
            let tid = what != "thread_name" || event["tid"] == key.1;
            event["ph"] == "M" && event["name"] == what && event["pid"] == key.0 && tid
        };
        events.iter().filter(of).count()
    };
    for (key, slices) in &tracks {
        assert_eq!((names("process_name", *key), names("thread_name", *key)), (1, 1), "{key:?}");
        for pair in slices.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "{key:?}: {pair:?}");
        }
    }
    tracks
}

fn jobs_csv(desk: &Desk, dir: &str) -> Vec<BTreeMap<String, String>> {
    let bytes = desk.read(&format!("{dir}/jobs.csv"));
    let mut csv = csv::Reader::from_reader(bytes.as_slice());
    csv.deserialize().map(Result::unwrap).collect()
}

#[test]
fn a_perfetto_trace_shows_every_job_on_every_gpu_that_it_held() {
    let desk = Desk::new();
    let scenario = shipped("scenarios/whole-gpus.toml");
    let args = ["run", &scenario, "--design", "metal", "--perfetto", "t.json", "--out", "out", "--quiet"];
    let answer = desk.run(&[&args[..], &SETS].concat()).ok();
    assert!(answer.stdout.contains("Written: t.json"), "{}", answer.stdout);
    let trace: Value = serde_json::from_slice(&desk.read("t.json")).unwrap();
    let tracks = sound(&trace);
    // 16 GPUs, and slots for jobs without.
    let mut on_gpus: BTreeMap<String, usize> = BTreeMap::new();
    tracks.values().flatten().for_each(|(.., name)| *on_gpus.entry(name.clone()).or_default() += 1);
    for job in jobs_csv(&desk, "out").iter().filter(|job| !job["start_s"].is_empty()) {
        let gpus: usize = job["gpus"].parse().unwrap();
        let nodes: usize = job["nodes"].parse().unwrap();
        let wanted = if gpus > 0 { gpus } else { nodes };
        assert_eq!(on_gpus[&format!("job {}", job["job_id"])], wanted, "{job:?}");
    }
    let slice = array(&trace, "traceEvents").iter().find(|event| event["ph"] == "X").unwrap();
    assert!(slice["args"]["user"].is_string() && slice["args"]["account"].is_string(), "{slice}");
    assert!(slice["args"]["wait_s"].is_number(), "{slice}");
    assert!(array(&trace, "traceEvents").iter().any(|event| event["ph"] == "C"));
}

#[test]
fn instances_and_processors_have_tracks_too() {
    let desk = Desk::new();
    let scenario = shipped("scenarios/mig.toml");
    desk.run(&[&["run", &scenario, "--perfetto", "mig.json", "--quiet"][..], &SETS].concat()).ok();
    let trace: Value = serde_json::from_slice(&desk.read("mig.json")).unwrap();
    sound(&trace);
    let names = |part: &str| {
        let of = |event: &&Value| event["args"]["name"].as_str().is_some_and(|name| name.contains(part));
        array(&trace, "traceEvents").iter().filter(of).count()
    };
    assert!(names("MIG at") > 0, "instances");
    let swf = "; MaxProcs: 8\n1 0 0 10 4 -1 -1 4 20 -1 1 1 1 1 1 -1 -1 -1\n2 1 0 10 4 -1 -1 4 20 -1 1 1 1 1 1 -1 -1 -1\n";
    desk.replay("t.swf", swf, &["--perfetto", "procs.json", "--quiet"]).ok();
    let trace: Value = serde_json::from_slice(&desk.read("procs.json")).unwrap();
    assert_eq!(sound(&trace).len(), 2, "two slots of one pool of processors");
}

fn read(desk: &Desk, name: &str) -> Workload {
    let options = ReadOptions { time_zone: Some("UTC".to_owned()), ..ReadOptions::default() };
    read_trace(&desk.path(name), &options).unwrap()
}

/// What a reader of sacct gets back of each job: whole seconds, users, states, what it asked for and got.
fn told(workload: &Workload) -> BTreeMap<String, String> {
    let text = |id: Option<windtunnel::ids::TextId>| id.map_or("", |id| workload.texts.get(id));
    let row = |job| {
        let (row, recorded) = (&workload.jobs[job], workload.recorded(job));
        let labels = workload.labels.get(row.labels);
        let request = workload.requests.get(row.request);
        let line = format!(
            "{} {:?} {:?} {} {} {} {} {} limit {}",
            row.submit.micros() / 1_000_000,
            recorded.start.map(|at| at.micros() / 1_000_000),
            recorded.end.map(|at| at.micros() / 1_000_000),
            text(labels.user),
            text(labels.account),
            text(recorded.state),
            request.total_gpus(),
            request.total_cpus(),
            (row.limit.micros() + 59_999_999) / 60_000_000,
        );
        (workload.job_name(job), line)
    };
    workload.jobs.ids().map(row).collect()
}

#[test]
fn a_dump_of_sacct_is_read_back_with_what_was_simulated() {
    let desk = Desk::new();
    let trace = shipped("traces/research-team.csv");
    let cluster =
        ["--nodes", "2", "--gpus-per-node", "8", "--gpu", "H100-80GB-SXM", "--cpus-per-node", "112"];
    let args = [&["replay", &trace][..], &cluster, &["--sacct", "dump.txt", "--out", "out", "--quiet"]];
    desk.run(&args.concat()).ok();
    let dump = read(&desk, "dump.txt");
    let found = told(&dump);
    let original = read_trace(std::path::Path::new(&trace), &ReadOptions::default()).unwrap();
    let asked = told(&original);
    let mut compared = 0;
    for job in jobs_csv(&desk, "out") {
        let second = |key: &str| job[key].parse::<f64>().ok().map(|s| s.floor() as i64);
        let (start, end) = (second("start_s"), second("end_s"));
        if start == end {
            continue; // Less than a second: sacct shows no time, and the reader refuses it.
        }
        // Submission, user, account and requests are those of the trace; start, end and state those of the run.
        let was: Vec<&str> = asked[&job["job_id"]].split(' ').collect();
        let wanted = format!(
            "{} {:?} {:?} {} {} {} {}",
            was[0],
            start,
            end,
            was[3],
            was[4],
            job["state"],
            was[6..].join(" ")
        );
        assert_eq!(found[&job["job_id"]], wanted, "job {}", job["job_id"]);
        compared += 1;
    }
    assert!(compared > 2_000, "{compared}");
    let board = dump.recorded(dump.jobs.ids().next().unwrap()).ran_gpu_type.unwrap();
    assert_eq!(dump.texts.get(board), "H100-80GB-SXM");
}

#[test]
fn a_backtest_on_a_dump_of_its_own_finds_no_error() {
    let desk = Desk::new();
    let trace = shipped("traces/hpc-small.swf");
    desk.run(&["replay", &trace, "--procs", "256", "--sacct", "dump.txt", "--quiet"]).ok();
    let args = ["backtest", "dump.txt", "--procs", "256", "--time-zone", "UTC", "--json", "--quiet"];
    let answer = desk.run(&args).ok().json();
    let error = answer["judged"]["mean_error_pct"].as_f64().unwrap();
    // Whole seconds and limits in whole minutes are all that is lost.
    assert!(error.abs() < 2.0, "{error}");
}

#[test]
fn names_that_slurm_has_not_are_numbered() {
    let desk = Desk::new();
    desk.put(
        "jobs.csv",
        "job_id,submit_s,run_s,user,name\nalpha,0,100,ann,a|b\n7,5,100,bob,x\nbeta,6,0.5,bob,\n",
    );
    desk.run(&["replay", "jobs.csv", "--procs", "1", "--sacct", "d.txt", "--quiet"]).ok();
    let text = String::from_utf8(desk.read("d.txt")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
    let column = |name: &str| rows[0].iter().position(|known| *known == name).unwrap();
    assert_eq!(rows[1][column("JobID")], "8");
    assert_eq!(rows[1][column("Comment")], "alpha");
    assert_eq!(rows[1][column("JobName")], "a/b");
    assert_eq!((rows[2][column("JobID")], rows[2][column("Comment")]), ("7", ""));
    assert_eq!(rows[2][column("Start")], "1970-01-01T00:01:40");
    assert_eq!(rows[2][column("Elapsed")], "00:01:40");
}

#[test]
fn ndjson_has_the_rows_of_jobs_csv() {
    let desk = Desk::new();
    let scenario = shipped("scenarios/whole-gpus.toml");
    let args = ["compare", &scenario, "--ndjson", "jobs.ndjson", "--out", "out", "--quiet"];
    desk.run(&[&args[..], &SETS].concat()).ok();
    let text = String::from_utf8(desk.read("jobs.ndjson")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rows = jobs_csv(&desk, "out");
    assert_eq!(lines.len(), rows.len());
    for (line, row) in lines.iter().zip(&rows) {
        assert_eq!(line.as_object().unwrap().len(), row.len());
        for (key, cell) in row {
            let value = &line[key];
            let same = match value {
                Value::Null => cell.is_empty(),
                Value::String(text) => text == cell,
                number => number.as_f64() == cell.parse().ok(),
            };
            assert!(same, "{key}: {value} and {cell}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_said_before_the_run() {
    let desk = Desk::new();
    desk.put("jobs.csv", "job_id,submit_s,run_s\n1,0,10\n");
    let answer = desk.run(&["replay", "jobs.csv", "--procs", "1", "--sacct", "no/where.txt"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (1, ""));
    assert!(answer.stderr.contains("error[W0303]"), "{}", answer.stderr);
    let parquet = desk.run(&["replay", "jobs.csv", "--procs", "1", "--parquet", "jobs.parquet"]);
    if cfg!(feature = "parquet") {
        assert_eq!(parquet.code, 0, "{}", parquet.stderr);
        let bytes = desk.read("jobs.parquet");
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    } else {
        assert_eq!(parquet.code, 2);
        assert!(parquet.stderr.contains("error[W0317]"), "{}", parquet.stderr);
    }
}

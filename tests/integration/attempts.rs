//! Attempts, start-up, layouts and the standing of nodes in every output, against runs worked out by hand.

use std::collections::BTreeMap;

use serde_json::Value;

use super::terminal::{Desk, shipped};

/// Two nodes of 8 GPUs; `a` and `b` fill them from the beginning, `c` waits. `b` is lost at 100 s.
const JOBS: &str =
    "job_id,submit_s,run_s,limit_s,gpus,cpus\na,0,1000,1000,8,8\nb,0,1000,1000,8,8\nc,10,100,100,8,8\n";
const LOST: &str = "[[design.d.event]]\nnodes = 'p1'\nfrom-s = 100\nuntil-s = 5000\nkind = 'down'\n";

fn scenario(policy: &str, pool: &str) -> String {
    format!(
        "[workload]\ntrace = 't.csv'\n[policy.{policy}]\n[node.n]\ncpus = 64\nmem-mb = 1000\ngpus = 8\ngpu = 'any'\n\
         [design.d.pool.p]\nnode = 'n'\ncount = 2\n{pool}"
    )
}

/// One node with GPUs that are cut.
fn mig(policy: &str, kind: &str) -> String {
    format!(
        "[workload]\ntrace = 't.csv'\n[policy.{policy}]\n[design.d.pool.p]\nnode = 'dgx-h100'\ncount = 1\n\
         [design.d.pool.p.tenancy.bare-metal]\nmig = '{kind}'\nmig-instance-s = 3\nmig-mode-s = 7\n"
    )
}

fn desk(jobs: &str, scenario: &str) -> Desk {
    let desk = Desk::new();
    desk.put("t.csv", jobs);
    desk.put("s.toml", scenario);
    desk
}

/// Rows of `jobs.csv` by job.
fn rows(desk: &Desk) -> BTreeMap<String, BTreeMap<String, String>> {
    desk.run(&["run", "s.toml", "--out", "out", "-q"]).ok();
    let bytes = desk.read("out/jobs.csv");
    let mut csv = csv::Reader::from_reader(bytes.as_slice());
    let rows = csv.deserialize().map(Result::unwrap);
    rows.map(|row: BTreeMap<String, String>| (row["job_id"].clone(), row)).collect()
}

fn seconds(rows: &BTreeMap<String, BTreeMap<String, String>>, job: &str) -> [f64; 3] {
    ["start_s", "work_start_s", "end_s"].map(|key| rows[job][key].parse().unwrap_or(f64::NAN))
}

fn explain(desk: &Desk, job: &str) -> String {
    let told = desk.run(&["explain", job, "--scenario", "s.toml", "-q"]).ok().stdout;
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
    told
}

#[test]
fn work_begins_with_the_start_where_nothing_lies_between() {
    for policy in ["easy", "slurm", "srtf]\ncharge = 'restart'\n#"] {
        let found = rows(&desk(JOBS, &scenario(policy, "")));
        // SRTF stops one of the others for `c`, and that one pays a restart.
        let [start, works, end] = seconds(&found, "c");
        assert!(start == works && works < end, "{policy}: {start} {works} {end}");
    }
}

#[test]
fn boots_and_cuts_come_before_the_work() {
    let vm = "[design.d.pool.p.tenancy.vm]\ncontention = 'off'\nboot = { low-s = 60, typical-s = 60, high-s = 60 }\n";
    let slices = "job_id,submit_s,run_s,limit_s,gpus,cpus,mig_profile\na,0,1000,9000,1,4,1g.10gb\n";
    for policy in ["easy", "slurm", "srtf]\ncharge = 'restart'\n#"] {
        let booted = desk(JOBS, &scenario(policy, vm));
        let [start, works, _] = seconds(&rows(&booted), "c");
        assert_eq!((works - start).round(), 60.0, "{policy}");
        let told = explain(&booted, "c");
        assert!(told.contains("  before its work: its VM booted (60 s)\n"), "{policy}: {told}");
        let cut = desk(slices, &mig(policy, "dynamic"));
        let [start, works, _] = seconds(&rows(&cut), "a");
        assert_eq!((works - start).round(), 10.0, "{policy}");
        let told = explain(&cut, "a");
        assert!(told.contains("It ran on p0 (1g.10gb of GPU 0).\n"), "{policy}: {told}");
        let before = "  before its work: MIG on, 1g.10gb made on GPU 0 of p0 (10 s)\n";
        assert!(told.contains(before), "{policy}: {told}");
        assert!(!told.contains("times the speed") || told.contains("Recorded run time"), "{policy}: {told}");
    }
}

#[test]
fn what_a_planner_cut_for_a_job_is_told() {
    let slices = "job_id,submit_s,run_s,limit_s,gpus,cpus,mig_profile\na,0,1000,9000,1,4,1g.10gb\n";
    for policy in ["easy", "slurm"] {
        let told = explain(&desk(slices, &mig(policy, "planned")), "a");
        let line = told.lines().find(|line| line.starts_with("  cut for the queue before: MIG on, "));
        assert!(line.is_some_and(|line| line.contains("1g.10gb made on GPU")), "{policy}: {told}");
    }
}

/// A job that never got to its work has no start of work.
#[test]
fn who_is_withdrawn_while_it_boots_never_works() {
    let vm = "[design.d.pool.p.tenancy.vm]\ncontention = 'off'\nboot = { low-s = 60, typical-s = 60, high-s = 60 }\n";
    let jobs = "job_id,submit_s,run_s,gpus,cpus,cancel_s\na,0,1000,8,8,30\n";
    let found = rows(&desk(jobs, &scenario("easy", vm)));
    assert_eq!((found["a"]["work_start_s"].as_str(), found["a"]["end_s"].as_str()), ("", "30"));
    assert!(explain(&desk(jobs, &scenario("easy", vm)), "a").contains("  never at work\n"));
}

/// Overhead of 10 s at every event: `a` pays it before the arrival of `b` at 50 s, and its end is predicted without it.
#[test]
fn overhead_that_is_paid_first_comes_before_the_work() {
    let jobs = "job_id,submit_s,run_s,gpus,cpus\na,0,100,8,8\nb,50,100,8,8\n";
    let found = rows(&desk(jobs, &scenario("srtf]\nrestart-overhead-s = 10\n#", "")));
    assert_eq!(seconds(&found, "a"), [0.0, 10.0, 110.0]);
    assert_eq!(seconds(&found, "b"), [50.0, 60.0, 160.0]);
}

#[test]
fn explain_tells_attempts_and_nodes_that_were_not_there() {
    for policy in ["easy", "conservative"] {
        let told = explain(&desk(JOBS, &scenario(policy, LOST)), "b");
        let lines = [
            "Attempt 1: 0 s to 100 s on p1 (GPUs 0-7), lost with its node\n",
            "Attempt 2: 1000 s to 2000 s on p0 (GPUs 0-7)\n",
            "Nodes while it waited:\n           100 - 2100         down           p1\n",
        ];
        lines.iter().for_each(|line| assert!(told.contains(line), "{policy}: {line}{told}"));
    }
    let told = explain(&desk(JOBS, &scenario("slurm", LOST)), "b");
    let first = told.lines().find(|line| line.starts_with("Attempt 1: ")).unwrap();
    assert!(first.ends_with("on p1 (GPUs 0-7), lost with its node"), "{told}");
    assert!(told.contains(" down           p1\n"), "{told}");
}

#[test]
fn explain_tells_of_hosts_under_maintenance() {
    let kept = "[design.d.pool.p.tenancy.bare-metal]\nmaintenance = { every-days = 0.02, hours = 0.25 }\n";
    for policy in ["easy", "slurm"] {
        // The hosts are due at 864 s and 1,728 s, when they are full.
        let told = explain(&desk(JOBS, &scenario(policy, kept)), "c");
        assert!(told.contains(" draining       p0\n"), "{policy}: {told}");
    }
}

/// A job that is preempted, and goes on: SRTF takes its GPUs for a shorter one.
#[test]
fn explain_tells_of_preemption() {
    let jobs = "job_id,submit_s,run_s,gpus,cpus\na,0,1000,8,8\nb,0,900,8,8\nc,10,100,8,8\n";
    let desk = desk(jobs, &scenario("srtf]\ncharge = 'restart'\nrestart-overhead-s = 20\n#", ""));
    let told = explain(&desk, "a");
    assert!(told.contains("Attempt 1: 0 s to 10 s on p1 (GPUs 0-7), preempted\n"), "{told}");
    assert!(told.contains("  before its work: its restart was paid (20 s)\n"), "{told}");
    let found = rows(&desk);
    assert_eq!(found["a"]["attempt"], "2");
    assert_eq!(found["a"]["work_start_s"], "130", "it starts again when c ends, and pays the restart");
}

/// Names of the slices of each track, with begin and length in seconds.
fn slices(desk: &Desk) -> BTreeMap<String, Vec<(String, f64, f64)>> {
    desk.run(&["run", "s.toml", "--perfetto", "t.json", "-q"]).ok();
    let trace: Value = serde_json::from_slice(&desk.read("t.json")).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let thread = |event: &Value| {
        let same = |other: &&Value| {
            other["name"] == "thread_name" && other["pid"] == event["pid"] && other["tid"] == event["tid"]
        };
        let process = |other: &&Value| other["name"] == "process_name" && other["pid"] == event["pid"];
        let name = |event: Option<&Value>| event.unwrap()["args"]["name"].as_str().unwrap().to_owned();
        format!("{} {}", name(events.iter().find(process)), name(events.iter().find(same)))
    };
    let mut found: BTreeMap<String, Vec<(String, f64, f64)>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let seconds = |key: &str| event[key].as_f64().unwrap() / 1e6;
        let name = event["name"].as_str().unwrap().to_owned();
        found.entry(thread(event)).or_default().push((name, seconds("ts"), seconds("dur")));
    }
    found
}

#[test]
fn a_perfetto_trace_shows_attempts_start_up_layouts_and_nodes() {
    let slice = |name: &str, from: f64, span: f64| (name.to_owned(), from, span);
    let lost = slices(&desk(JOBS, &scenario("easy", LOST)));
    assert_eq!(lost["d: p1 node"], [slice("down", 100.0, 2000.0)]);
    assert_eq!(lost["d: p1 GPU 0"], [slice("job b", 0.0, 100.0)]);
    let again = [slice("job a", 0.0, 1000.0), slice("job b", 1000.0, 1000.0), slice("job c", 2000.0, 100.0)];
    assert_eq!(lost["d: p0 GPU 7"], again);
    let jobs = "job_id,submit_s,run_s,limit_s,gpus,cpus,mig_profile\na,0,1000,9000,1,4,1g.10gb\n";
    for policy in ["easy", "slurm"] {
        let cut = slices(&desk(jobs, &mig(policy, "dynamic")));
        let layouts = &cut["d: p0 GPU 0, layout"];
        assert_eq!((layouts[0].0.as_str(), layouts[0].2), ("MIG on, 1g.10gb made", 10.0), "{policy}");
        let (_, on_slice) = cut.iter().find(|(name, _)| name.starts_with("d: p0 GPU 0, MIG at")).unwrap();
        assert_eq!((on_slice[0].0.as_str(), on_slice[0].2), ("start-up of job a", 10.0), "{policy}");
        assert_eq!(on_slice[1].0, "job a", "{policy}");
        let planned = slices(&desk(jobs, &mig(policy, "planned")));
        let layouts = planned.iter().filter(|(name, _)| name.ends_with(", layout"));
        assert!(layouts.flat_map(|(_, rows)| rows).any(|row| row.0.starts_with("MIG on, ")), "{policy}");
    }
}

#[test]
fn vms_that_boot_are_shown_on_their_node() {
    let elastic = "[design.d.pool.p.tenancy.vm]\ncontention = 'off'\nelastic = { min = 0, max = 2, boot = { low-s = 60, typical-s = 60, \
                   high-s = 60 } }\n";
    let desk = desk(JOBS, &scenario("easy", elastic));
    let found = slices(&desk);
    let boots: Vec<_> = found.values().flatten().filter(|row| row.0 == "booting").collect();
    assert!(boots.len() >= 2 && boots.iter().all(|row| row.2 == 60.0), "{found:?}");
    assert!(explain(&desk, "a").contains(" booting        p"), "{}", explain(&desk, "a"));
}

/// Rows of a dump for one job: state, start, end, nodes.
fn dumped(desk: &Desk, job: &str) -> Vec<[String; 5]> {
    desk.run(&["run", "s.toml", "--sacct", "d.txt", "-q"]).ok();
    let text = String::from_utf8(desk.read("d.txt")).unwrap();
    let head: Vec<&str> = text.lines().next().unwrap().split('|').collect();
    let at = |name: &str| head.iter().position(|known| *known == name).unwrap();
    let lines = text.lines().skip(1).map(|line| line.split('|').collect::<Vec<&str>>());
    let mine = lines.filter(|cells| cells[at("Comment")] == job);
    mine.map(|cells| ["State", "Start", "End", "NodeList", "Suspended"].map(|key| cells[at(key)].to_owned()))
        .collect()
}

#[test]
fn a_dump_has_a_row_for_each_attempt() {
    let found = dumped(&desk(JOBS, &scenario("easy", LOST)), "b");
    let row = |cells: [&str; 5]| cells.map(str::to_owned);
    let (zero, day) = ("00:00:00", "1970-01-01T00:");
    let at = |clock: &str| format!("{day}{clock}");
    assert_eq!(
        found,
        [
            row(["REQUEUED", &at("00:00"), &at("01:40"), "p1", zero]),
            row(["COMPLETED", &at("16:40"), &at("33:20"), "p0", zero]),
        ]
    );
    // A preempted job keeps its work: it is suspended meanwhile. One that is lost in between has an attempt more.
    let jobs = "job_id,submit_s,run_s,gpus,cpus\na,0,1000,8,8\nb,0,900,8,8\nc,10,100,8,8\n";
    let policy = "srtf]\ncharge = 'restart'\nrestart-overhead-s = 20\n#";
    let found = dumped(&desk(jobs, &scenario(policy, "")), "a");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0][0].as_str(), found[0][4].as_str()), ("COMPLETED", "00:01:40"));
    let lost = LOST.replace("from-s = 100", "from-s = 200");
    let found = dumped(&desk(jobs, &scenario(policy, &lost)), "a");
    assert!(found.len() >= 2 && found[0][0] == "REQUEUED", "{found:?}");
    assert_eq!(found[0][4], "00:01:40", "{found:?}");
}

/// A record may tell when work began; the run time counts from the start, and the column survives a conversion.
#[test]
fn a_record_may_have_the_start_of_work() {
    let desk = Desk::new();
    let text = "job_id,submit_s,run_s,limit_s,gpus,start_s,work_start_s,end_s\n1,0,100,200,8,0,60,100\n2,5,100,200,8,100,160,200\n";
    desk.put("t.csv", text);
    desk.put(
        "s.toml",
        "[workload]\ntrace = 't.csv'\n[policy.fcfs]\n[design.d.pool.p]\nnode = 'dgx-h100'\ncount = 1\n",
    );
    let judged = desk.run(&["backtest", "s.toml", "--json", "-q"]).ok().json()["judged"].clone();
    assert_eq!(judged["recorded_wait_s"]["mean"], judged["simulated_wait_s"]["mean"]);
    desk.run(&["trace", "convert", "t.csv", "--out", "u.csv"]).ok();
    assert!(String::from_utf8(desk.read("u.csv")).unwrap().contains("work_start_s"));
}

/// Reservations in use are no column without effect.
#[test]
fn a_reservation_that_is_used_has_an_effect() {
    let jobs = JOBS.replace("gpus,cpus", "gpus,cpus,user,reservation").replace(",8,8\n", ",8,8,v,r\n");
    let kept =
        "[[design.d.reservation]]\nname = 'r'\nnodes = 'p1'\nfrom-s = 0\nuntil-s = 100000\nusers = ['v']\n";
    let told = |pool: &str| desk(&jobs, &scenario("slurm", pool)).run(&["run", "s.toml", "-q"]).ok().stdout;
    assert!(!told(kept).contains("Columns without effect"), "{}", told(kept));
    assert!(told("").contains("Columns without effect in this version: reservation."), "{}", told(""));
}

/// Under the published arithmetic, the setting that works is named.
#[test]
fn refusals_of_every_event_name_the_setting_that_works() {
    let failing = "[design.d.pool.p.tenancy.bare-metal]\nfailures = { mtbf-hours = 100 }\n";
    for policy in ["srtf", "tiresias"] {
        let desk = desk(JOBS, &scenario(policy, failing));
        let told = desk.run(&["run", "s.toml", "-q"]);
        assert_eq!(told.code, 4);
        let cure = format!("write `charge = \"restart\"` in [policy.{policy}]");
        let plain = told.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(plain.contains(&cure), "{}", told.stderr);
        assert_eq!(plain.matches("restart").count(), 1, "it is named once: {}", told.stderr);
        desk.put("s.toml", scenario(&format!("{policy}]\ncharge = 'restart'\n#"), failing));
        desk.run(&["run", "s.toml", "-q"]).ok();
    }
}

/// What the README shows of events and reservations runs, and does what it says.
#[test]
fn the_events_of_the_readme_run() {
    let text = std::fs::read_to_string(shipped("README.md")).unwrap();
    let block = text.split("```toml\n").map(|rest| rest.split("```").next().unwrap());
    let events = block.into_iter().find(|block| block.starts_with("[[design.")).expect("the example");
    let scenario =
        "[workload]\ntrace = 't.csv'\n[policy.easy]\n[design.now.pool.main]\nnode = 'dgx-h100'\ncount = 2\n";
    let day = "job_id,submit_s,run_s,gpus,cpus\n1,0,172800,8,8\n2,0,172800,8,8\n3,90000,3600,8,8\n";
    let desk = desk(day, &format!("{scenario}{events}"));
    let found = desk.run(&["run", "s.toml", "--json", "-q"]).ok().json()["designs"]["now"].clone();
    assert_eq!(found["tenancy"]["lost_attempts"], 1);
    assert!(found["gpu_hours"]["down"].as_f64().unwrap() > 0.0);
}

//! `windtunnel backtest`: worked examples with numbers from paper, bad input, and a real log.

use serde_json::Value;

use super::shared;
use super::terminal::Desk;

/// Two processors, first come first served. On paper: job 1 runs 0-100, job 2 100-150, jobs 3 and 4 150-200,
/// job 5 200-210; it really took longer.
const TRACE: &str = "job_id,submit_s,run_s,limit_s,cpus,start_s,user\n\
                     1,0,100,100,2,0,ann\n2,10,50,50,2,120,ann\n3,20,50,50,1,170,bob\n4,30,50,50,1,170,bob\n\
                     5,60,10,10,2,220,bob\n";

fn figures(trace: &str, options: &[&str]) -> Value {
    let desk = Desk::new();
    desk.put("t.csv", trace);
    let mut args = vec!["backtest", "t.csv", "--json", "--quiet"];
    args.extend(options);
    desk.run(&args).ok().json()
}

fn number(object: &Value, path: &str) -> f64 {
    object.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {object}"))
}

fn aside(object: &Value, list: &str) -> Vec<(String, u64)> {
    let rows = object["jobs"][list].as_array().unwrap();
    let row = |row: &Value| (row["reason"].as_str().unwrap().to_owned(), row["jobs"].as_u64().unwrap());
    rows.iter().map(row).collect()
}

#[test]
fn errors_by_hand() {
    let four = TRACE.replace("5,60,10,10,2,220,bob\n", "");
    let found = figures(&four, &["--procs", "2", "--policy", "fcfs"]);
    // Recorded waits 0, 110, 150, 140; simulated 0, 90, 130, 120.
    assert_eq!(found["judged"]["jobs"], 4);
    assert_eq!(number(&found, "/judged/recorded_wait_s/mean"), 100.0);
    assert_eq!(number(&found, "/judged/simulated_wait_s/mean"), 85.0);
    assert_eq!(number(&found, "/judged/mean_error_pct"), -15.0);
    assert_eq!(number(&found, "/judged/start_error_mean_s"), -15.0);
    assert_eq!(number(&found, "/judged/start_error_absolute_s/p50"), 20.0);
    // Sorted: 0, 110, 140, 150 against 0, 90, 120, 130.
    assert_eq!(number(&found, "/judged/wasserstein_1_s"), 15.0);
    // At 130 all simulated waits are over, and two of four recorded ones.
    assert_eq!(number(&found, "/judged/kolmogorov_smirnov"), 0.5);
    let users = found["parts"]["user"].as_array().unwrap();
    assert_eq!(
        (users[0]["name"].as_str(), number(&users[0], "/mean_error_pct")),
        (Some("ann"), -2000.0 / 110.0)
    );
    // The window is 0-31 s: both sides keep both processors busy with job 1.
    assert_eq!(number(&found, "/utilization/recorded_cpu"), 1.0);
    assert_eq!(number(&found, "/utilization/mean_absolute_difference"), 0.0);
}

#[test]
fn a_window_begins_with_the_real_state() {
    let found = figures(TRACE, &["--procs", "2", "--policy", "fcfs", "--window", "50..100"]);
    assert_eq!(found["jobs"]["running_at_start"], 1);
    assert_eq!(found["jobs"]["running_at_start_placed_late"], 0);
    // Jobs 2, 3, 4 were pending at 50 s and find the machine as it was: job 1 until 100 s.
    assert_eq!(found["pending_at_start"]["jobs"], 3);
    let pending = number(&found, "/pending_at_start/simulated_wait_s/mean");
    assert!((pending - (90.0 + 130.0 + 120.0) / 3.0).abs() < 1e-9, "{pending}");
    assert_eq!(found["judged"]["jobs"], 1);
    assert_eq!(number(&found, "/judged/recorded_wait_s/mean"), 160.0);
    assert_eq!(number(&found, "/judged/simulated_wait_s/mean"), 140.0);
    // A window from 130 s on: jobs 1 has ended, job 2 runs 120-170, the others wait for its end.
    let late = format!("{TRACE}6,130,10,10,1,230,bob\n");
    let found = figures(&late, &["--procs", "2", "--policy", "fcfs", "--window", "130.."]);
    assert_eq!(aside(&found, "left_out"), [("ended before the window".to_owned(), 1)]);
    assert_eq!(found["jobs"]["running_at_start"], 1);
    // Jobs 3 and 4 run 170-220, job 5 220-230, job 6 from 230: as it was.
    assert_eq!(number(&found, "/judged/simulated_wait_s/mean"), 100.0);
    assert_eq!(number(&found, "/judged/mean_error_pct"), 0.0);
    assert_eq!(number(&found, "/pending_at_start/mean_error_pct"), 0.0);
}

#[test]
fn nodes_down_and_reservations_are_taken_from_the_machine() {
    let desk = Desk::new();
    desk.put(
        "t.csv",
        "job_id,submit_s,run_s,limit_s,nodes,start_s,reservation\n1,0,10,10,2,200,\n2,1,300,300,1,1,\n\
         3,310,10,10,1,400,\n4,320,10,10,1,350,maint\n",
    );
    desk.put("events.txt", "NodeName|TimeStart|TimeEnd|State|Reason\nn2|0|150|DOWN|dead\nn9|0|1|IDLE|\n");
    desk.put("reserved.txt", "ReservationName=maint StartTime=305 EndTime=390\n   Nodes=n[1-2] NodeCnt=2\n");
    let mut args =
        vec!["backtest", "t.csv", "--nodes", "2", "--cpus-per-node", "1", "--policy", "greedy", "--json"];
    let plain = desk.run(&args).ok().json();
    assert_eq!(plain["node_outages"], 0);
    args.extend(["--events", "events.txt", "--reservations", "reserved.txt"]);
    let found = desk.run(&args).ok().json();
    assert_eq!(found["node_outages"], 3);
    assert_eq!(
        aside(&found, "left_out"),
        [("ran in a reservation (its nodes are taken from the machine)".to_owned(), 1)]
    );
    // Job 1 needs both nodes: one is down until 150 s, job 2 holds the other until 301 s; both are free for
    // four seconds, and it runs 301-311. The reservation gets its nodes at 305 and 311 s; job 3 starts at 390 s.
    assert_eq!(number(&found, "/judged/simulated_wait_s/max"), 301.0);
    assert_eq!(number(&found, "/judged/simulated_wait_s/mean"), 381.0 / 3.0);
    // Without them job 1 starts at once, job 2 after it, job 3 at once.
    assert_eq!(number(&plain, "/judged/simulated_wait_s/mean"), 9.0 / 3.0);
}

#[test]
fn slurm_meets_drained_nodes_and_reservations_too() {
    let desk = Desk::new();
    desk.put(
        "t.csv",
        "job_id,submit_s,run_s,limit_s,nodes,start_s\n1,1000,60,60,2,1200\n2,1300,600,600,1,1900\n",
    );
    desk.put("events.txt", "NodeName|TimeStart|TimeEnd|State\nn2|900|1150|DOWN\n");
    desk.put("reserved.txt", "Name|Start|End|NodeNames\nmaint|1500|1800|n[1-2]\n");
    desk.put("shares.txt", "Account|User|RawUsage\nroot||10\n a|ann|10\n");
    let mut args =
        vec!["backtest", "t.csv", "--nodes", "2", "--cpus-per-node", "1", "--policy", "slurm", "--json"];
    let plain = desk.run(&args).ok().json();
    assert!(number(&plain, "/judged/simulated_wait_s/max") < 10.0);
    args.extend(["--events", "events.txt", "--reservations", "reserved.txt", "--sshare", "shares.txt"]);
    let answer = desk.run(&args).ok();
    assert!(answer.stderr.contains("W0446"), "{}", answer.stderr);
    let found = answer.json();
    // Job 1 waits for the drained node, until 1150 s; job 2 would run into the reservation, so it waits for its
    // end at 1800 s. Slurm's threads add up to a minute.
    let mean = number(&found, "/judged/simulated_wait_s/mean");
    assert!(((150.0 + 500.0) / 2.0..(210.0 + 560.0) / 2.0).contains(&mean), "{mean}");
}

#[test]
fn what_cannot_be_judged_is_set_aside() {
    let trace = "job_id,submit_s,run_s,cpus,start_s,eligible_s,after,reservation\n\
                 1,0,10,1,0,0,,\n2,0,10,1,520,500,,\n3,0,10,1,,,,\n4,0,10,99,5,,,\n5,20,10,1,10,,,\n\
                 6,20,10,1,40,,afterok:1,\n7,30,10,1,40,,,lab\n";
    let found = figures(trace, &["--procs", "2"]);
    let mut asides = aside(&found, "set_aside");
    asides.sort();
    let reasons: Vec<&str> = asides.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "depends on other jobs",
            "held: eligible later than submitted (dependency, begin time, hold)",
            "no recorded start",
            "ran in a reservation that is not known here",
            "recorded start before the submission",
            "the design can never hold it",
        ]
    );
    assert_eq!(found["judged"]["jobs"], 1);
}

#[test]
fn allocated_sizes_can_be_taken() {
    let trace = "job_id,submit_s,run_s,cpus,start_s,alloc_cpus\n1,0,100,1,0,2\n2,0,100,1,100,2\n";
    let asked = figures(trace, &["--procs", "2", "--policy", "fcfs"]);
    assert_eq!(number(&asked, "/judged/simulated_wait_s/max"), 0.0);
    let given = figures(trace, &["--procs", "2", "--policy", "fcfs", "--sizes", "allocated"]);
    assert_eq!(number(&given, "/judged/simulated_wait_s/max"), 100.0);
}

#[test]
fn wrong_use_and_bad_input() {
    let desk = Desk::new();
    desk.put("t.csv", TRACE);
    desk.put("bare.csv", "job_id,submit_s,run_s\n1,0,10\n");
    desk.put("events.txt", "NodeName|State\nn1|DOWN\n");
    desk.put("shares.txt", "Account|User|RawUsage\nroot||0\n");
    desk.put("s.toml", "[workload]\ngenerate.lublin.jobs = 10\n[policy.easy]\n[node.n]\ncpus = 4\nmem-mb = 1\n[design.d.pool.p]\nnode = \"n\"\ncount = 1\n");
    let cases: [&[&str]; 9] = [
        &["backtest", "t.csv"],
        &["backtest", "bare.csv", "--procs", "2"],
        &["backtest", "t.csv", "--procs", "2", "--window", "5000.."],
        &["backtest", "t.csv", "--procs", "2", "--window", "100"],
        &["backtest", "t.csv", "--procs", "2", "--window", "9..soon"],
        &["backtest", "t.csv", "--procs", "2", "--events", "events.txt"],
        &["backtest", "s.toml"],
        &["backtest", "s.toml", "--procs", "2"],
        &["backtest", "t.csv", "--procs", "2", "--sshare", "shares.txt", "--json"],
    ];
    let told: Vec<String> =
        cases.iter().map(|args| format!("$ {}\n{}", args.join(" "), desk.run(args).told())).collect();
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("backtest_wrong", told.join("\n"));
    });
}

#[test]
fn its_text_and_its_file() {
    let desk = Desk::new();
    desk.put("t.csv", TRACE);
    let args = ["backtest", "t.csv", "--procs", "2", "--policy", "fcfs", "--window", "50..100", "--out", "b"];
    let text = desk.run(&args).ok().stdout;
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("backtest_text", text);
    });
    let file: Value = serde_json::from_slice(&desk.read("b/backtest.json")).unwrap();
    assert_eq!(file["format"], "windtunnel backtest 1");
    assert_eq!(file["input"]["policy"], "fcfs");
    assert!(file.get("engine").is_none());
}

#[test]
fn a_comparison_shows_the_backtest_attached() {
    let desk = Desk::new();
    desk.put("t.csv", TRACE);
    desk.put("other.csv", "job_id,submit_s,run_s\n1,0,10\n");
    let scenario = |trace: &str, policy: &str| {
        format!(
            "[workload]\ntrace = \"{trace}\"\n[policy.{policy}]\n[node.n]\ncpus = 2\nmem-mb = 1000\n\
             [design.d.pool.p]\nnode = \"n\"\ncount = 1\n[trust]\nbacktest = \"b/backtest.json\"\n"
        )
    };
    desk.put("s.toml", scenario("t.csv", "fcfs"));
    desk.put("o.toml", scenario("other.csv", "easy"));
    let missing = desk.run(&["compare", "s.toml"]).told();
    desk.run(&["backtest", "s.toml", "--out", "b", "--quiet"]).ok();
    let good = desk.run(&["compare", "s.toml"]).ok();
    let line =
        good.stdout.lines().find(|line| line.starts_with("Backtest of")).unwrap_or_default().to_owned();
    assert_eq!(good.stderr, "");
    let object = desk.run(&["compare", "s.toml", "--json"]).ok().json();
    assert_eq!(object["notes"]["trust"]["is_of_this_trace"], true);
    let other = desk.run(&["compare", "o.toml"]).ok();
    desk.put("b/backtest.json", "{}");
    let broken = desk.run(&["compare", "s.toml"]).told();
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("backtest_trust", [missing, line, other.told(), broken].join("\n"));
    });
}

#[test]
fn a_real_log_of_slurm() {
    let Some(log) = shared::folder("traces/swf/CEA-Curie-2011-2.1-cln.swf.gz") else { return };
    let desk = Desk::new();
    let log = log.display().to_string();
    let month = ["backtest", &log, "--procs", "93312", "--window", "40000000..42592000", "--json", "--quiet"];
    let found = desk.run(&month).ok().json();
    assert!(found["judged"]["jobs"].as_u64().unwrap() > 10_000, "{}", found["judged"]["jobs"]);
    assert!(found["jobs"]["running_at_start"].as_u64().unwrap() > 50);
    assert!(number(&found, "/headline_error_pct") > 0.0);
    assert!(number(&found, "/utilization/mean_absolute_difference") < 0.2);
}

//! Bad scenarios and bad command lines, through the binary. All diagnostics of scenarios are held in
//! `scenario_errors`; here is what the process does with them.

use super::terminal::{Answer, Desk};

const GOOD: &str = r#"[workload]
trace = "jobs.csv"

[policy.easy]

[node.small]
cpus = 8
mem-mb = 1000

[design.one.pool.main]
node = "small"
count = 1

[design.two.pool.main]
node = "small"
count = 2
"#;

fn desk(scenario: &str) -> Desk {
    let desk = Desk::new();
    desk.put("jobs.csv", "job_id,submit_s,run_s,cpus\n1,0,10,4\n2,1,10,8\n3,2,10,1\n");
    desk.put("team.toml", scenario);
    desk
}

fn told(name: &str, code: i32, answer: &Answer) {
    assert_eq!((answer.code, answer.stdout.as_str()), (code, ""), "{name}: {}", answer.stderr);
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!(name, answer.told());
    });
}

fn spoiled(name: &str, from: &str, to: &str) {
    assert!(GOOD.contains(from), "{from}");
    told(name, 4, &desk(&GOOD.replace(from, to)).run(&["compare", "team.toml", "--json"]));
}

#[test]
fn the_good_one_runs() {
    let answer = desk(GOOD).run(&["compare", "team.toml", "--json"]).ok();
    let object = answer.json();
    assert_eq!(object["designs"]["one"]["jobs"]["completed"], 3);
    assert_eq!(object["designs"]["two"]["jobs"]["completed"], 3);
    assert_eq!(answer.stderr, "");
}

#[test]
fn scenarios() {
    spoiled("scenario_unknown_key", "count = 2", "cuont = 2");
    spoiled("scenario_wrong_type", "count = 2", "count = \"two\"");
    spoiled("scenario_missing_trace", "jobs.csv", "job.csv");
    spoiled("scenario_syntax", "[policy.easy]", "[policy.easy");
    spoiled("scenario_bad_expression", "[policy.easy]", "[policy.expression]\norder = \"age_s / limits\"");
    let answer = Desk::new().run(&["compare", "nowhere.toml"]);
    told("scenario_missing_file", 4, &answer);
}

#[test]
fn command_lines() {
    let desk = desk(GOOD);
    let line = |name: &str, code: i32, args: &[&str]| told(name, code, &desk.run(args));
    line("no_such_design", 2, &["run", "team.toml", "--design", "tow"]);
    line("no_such_setting", 4, &["run", "team.toml", "--set", "design.two.pool.main.cuont=3"]);
    line("no_such_policy", 2, &["replay", "jobs.csv", "--procs", "8", "--policy", "eazy"]);
    line("no_cluster", 2, &["replay", "jobs.csv"]);
    line("no_such_code", 2, &["explain", "W9999"]);
    line("no_such_job", 2, &["explain", "77", "--scenario", "team.toml"]);
    line("no_manifest", 4, &["run", "--from", "jobs.csv"]);
    line("no_manifest_file", 4, &["run", "--from", "manifest.json"]);
}

#[test]
fn an_expression_orders_the_queue_largest_first() {
    // One processor. Job 1 runs until 1000 s; then jobs 2 and 3 have waited 990 s of 10,000 s and 500 s of
    // 1000 s: job 3 is next. With limit_s alone the long job is next.
    let desk = Desk::new();
    desk.put("jobs.csv", "job_id,submit_s,run_s,limit_s\n1,0,1000,1000\n2,10,100,10000\n3,500,100,1000\n");
    let starts = |order: &str| {
        let scenario = format!(
            "[workload]\ntrace = \"jobs.csv\"\n[policy.expression]\norder = \"{order}\"\n[node.small]\ncpus = 1\n\
             mem-mb = 1000\n[design.one.pool.main]\nnode = \"small\"\ncount = 1\n"
        );
        desk.put("order.toml", scenario);
        desk.run(&["run", "order.toml", "--out", "out"]).ok();
        let jobs = String::from_utf8(desk.read("out/jobs.csv")).unwrap();
        jobs.lines().skip(1).map(|row| row.split(',').nth(3).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(starts("age_s / limit_s"), ["0", "1100", "1000"]);
    assert_eq!(starts("limit_s"), ["0", "1000", "1100"]);
    assert_eq!(starts("-limit_s"), ["0", "1100", "1000"]);
}

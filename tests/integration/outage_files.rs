//! Outages of a file: as events that are written, and told with file and line where they cannot be used.

use serde_json::Value;

use super::shared;
use super::terminal::{Answer, Desk};

const JOBS: &str =
    "job_id,submit_s,run_s,limit_s,gpus,cpus\na,0,1000,1000,8,8\nb,0,1000,1000,8,8\nc,10,100,100,8,8\n";

fn scenario(policy: &str, rows: &str) -> String {
    format!(
        "[workload]\ntrace = 't.csv'\n[policy.{policy}]\n[node.n]\ncpus = 64\nmem-mb = 1000\ngpus = 8\ngpu = 'any'\n\
         [design.d]\n{rows}\n[design.d.pool.p]\nnode = 'n'\ncount = 2\n"
    )
}

fn desk(outages: &str, policy: &str) -> Desk {
    let desk = Desk::new();
    desk.put("t.csv", JOBS);
    desk.put("o.csv", outages);
    desk.put("s.toml", scenario(policy, "outages = 'o.csv'"));
    desk
}

fn refused(outages: &str) -> Answer {
    let answer = desk(outages, "easy").run(&["run", "s.toml"]);
    assert_eq!(answer.code, 4, "{}", answer.stderr);
    answer
}

/// The rows of a run's jobs, by a file and by the tables that say the same.
#[test]
fn a_file_says_what_tables_of_events_say() {
    let tables = "[[design.d.event]]\nnodes = 'p1'\nfrom-s = 100\nuntil-s = 700\nkind = 'down'\n\
                  [[design.d.event]]\nnodes = 'p0'\nfrom-s = 300.5\nuntil-s = 400\nkind = 'down'\n";
    // Names or numbers, in any order, two rows that are one outage.
    let file = "up_s,cause,node,down_s\n400,GPU,0,300.5\n500,NIC,p1,100\n700,again,1,450\n";
    for policy in
        ["easy", "conservative", "fcfs", "srtf]\ncharge = \"restart\"\n#", "slurm]\nbackfill = \"easy\"\n#"]
    {
        let by_file = desk(file, policy);
        let told = by_file.run(&["run", "s.toml", "--out", "out", "--referee"]).ok().stderr;
        assert!(told.contains("W0253") && told.contains("o.csv:4"), "{policy}: {told}");
        by_file.put("e.toml", scenario(policy, "") + tables);
        by_file.run(&["run", "e.toml", "--out", "events", "--referee"]).ok();
        assert_eq!(by_file.read("out/jobs.csv"), by_file.read("events/jobs.csv"), "{policy}");
        assert_eq!(by_file.read("out/ledger.csv"), by_file.read("events/ledger.csv"), "{policy}");
        let text = String::from_utf8(by_file.read("out/jobs.csv")).unwrap();
        assert_eq!(text.matches("COMPLETED").count(), 3, "{policy}: {text}");
    }
}

#[test]
fn a_manifest_knows_the_outages() {
    let desk = desk("node,down_s,up_s\n1,100,700\n", "easy");
    desk.run(&["run", "s.toml", "--out", "out"]).ok();
    desk.run(&["run", "--from", "out/manifest.json", "--out", "again"]).ok();
    assert_eq!(desk.read("out/jobs.csv"), desk.read("again/jobs.csv"));
    desk.put("o.csv", "node,down_s,up_s\n1,100,701\n");
    let answer = desk.run(&["run", "--from", "out/manifest.json", "--out", "more"]);
    assert!(answer.code == 4 && answer.stderr.contains("W0307"), "{}", answer.stderr);
}

#[test]
fn mistakes_are_told_with_file_and_line() {
    let head = "node,down_s,up_s,cause\n";
    for (rows, words) in [
        ("p0,5,6,\np7,1,2,\n", "o.csv:3"),
        ("2,1,2,\n", "p[0-1]"),
        ("p0,9,8,\n", "before it begins"),
        ("p0,x,8,\n", "down_s"),
        ("p0,1,1e11,\n", "up_s"),
    ] {
        let told = refused(&format!("{head}{rows}")).stderr;
        assert!(told.contains("W0253") && told.contains("o.csv:") && told.contains(words), "{rows}{told}");
        assert!(told.contains("help"), "{told}");
    }
    for (text, words) in [("node,from,to\n", "down_s"), ("", "down_s"), ("node,down_s,up_s,caus\n", "cause")]
    {
        assert!(refused(text).stderr.contains(words), "{text}");
    }
    let told = desk("node,down_s,up_s\n", "easy");
    told.put("s.toml", scenario("easy", "outages = 'none.csv'"));
    assert!(told.run(&["run", "s.toml"]).stderr.contains("none.csv"));
    let both = desk("node,down_s,up_s\n0,10,20\n", "easy");
    let event = "[[design.d.event]]\nnodes = 'p0'\nfrom-s = 15\nuntil-s = 30\nkind = 'down'\n";
    both.put("s.toml", scenario("easy", "outages = 'o.csv'") + event);
    assert!(both.run(&["run", "s.toml"]).stderr.contains("event 1"));
}

/// The values of the cases of a file, and what was judged.
fn validated(desk: &Desk, file: &str) -> (Value, Value) {
    let section =
        desk.run(&["validate", "failures", file, "--json", "--quiet"]).ok().json()["failures"].clone();
    (section["files"][0]["cases"].clone(), section)
}

#[test]
fn outages_are_worked_out_as_a_scenario_reads_them() {
    let desk = Desk::new();
    desk.put("o.csv", "node,down_s,up_s,cause\n0,0,10,a\n0,5,20,b\n1,10,20,\n");
    let case = r#"{"kind":"outages","cases":[{"name":"x","file":"o.csv","nodes":N,"horizon_s":100,
                   "expected":{"mean_down":0.30,"max_down":2,"down_quantiles":{"0.9":1,"0.5":0}}}]}"#;
    desk.put("c.json", case.replace('N', "4"));
    let (cases, section) = validated(&desk, "c.json");
    assert_eq!((cases[0]["merged"].as_u64(), cases[0]["node_intervals"].as_u64()), (Some(1), Some(2)));
    assert_eq!((cases[0]["mean_down"].as_f64(), cases[0]["availability"].as_f64()), (Some(0.3), Some(0.925)));
    assert_eq!(cases[0]["down_quantiles"]["0.95"], 2);
    assert_eq!((section["outside"].as_u64(), section["within"].as_u64()), (Some(0), Some(4)));
    desk.put("c.json", case.replace('N', "1"));
    let answer = desk.run(&["validate", "failures", "c.json"]);
    assert!(answer.code == 4 && answer.stderr.contains("o.csv:4"), "{}", answer.stderr);
    desk.put("c.json", "{\"kind\":\"walls\",\n\"cases\":[]}");
    assert!(desk.run(&["validate", "failures", "c.json"]).stderr.contains("c.json:1"));
    desk.put(
        "c.json",
        "{\"kind\":\"wall\",\n\"cases\":[{\"name\":\"w\",\n\"work_h\":-1,\"interval_h\":1,\"snapshot_h\":0,\
                        \"restart_h\":0,\"mtbf_h\":1}]}",
    );
    let answer = desk.run(&["validate", "failures", "c.json"]);
    assert!(answer.code == 4 && answer.stderr.contains("c.json:2"), "{}", answer.stderr);
}

/// The closed form holds for the core: (M + R)(e^((tau + d)/M) - 1) W/tau.
#[test]
fn wall_times_under_failures_are_those_of_the_closed_form() {
    let desk = Desk::new();
    desk.put(
        "w.json",
        r#"{"kind":"wall","cases":[
        {"name":"a","work_h":30,"interval_h":1,"snapshot_h":0.1,"restart_h":0.5,"mtbf_h":4,"expected_h":42.7316},
        {"name":"never","work_h":3000,"interval_h":1000,"snapshot_h":0,"restart_h":0,"mtbf_h":1}]}"#,
    );
    let (cases, section) = validated(&desk, "w.json");
    let expected = (4.0 + 0.5) * (libm::exp(1.1 / 4.0) - 1.0) * 30.0;
    assert!((expected - 42.7316).abs() < 1e-3, "{expected}");
    let (mean, half) = (cases[0]["mean_h"].as_f64().unwrap(), cases[0]["ci99_h"].as_f64().unwrap());
    assert!((mean - expected).abs() < half && 2.0 * half / mean < 0.004, "{mean} {half}");
    assert!(cases[1]["mean_h"].is_null() && cases[1]["given_up"].as_u64() > Some(0), "{}", cases[1]);
    assert_eq!(section["outside"], 0);
}

#[test]
fn all_cases_at_hand_are_within_their_bars() {
    let Some(folder) = shared::folder("failures") else { return };
    let desk = Desk::new();
    for file in ["outage_cases.json", "pool_cases.json"] {
        let path = folder.join(file).display().to_string();
        let (cases, section) = validated(&desk, &path);
        assert!(cases.as_array().is_some_and(|cases| !cases.is_empty()));
        assert_eq!(section["outside"], 0, "{section}");
    }
}

//! The smaller commands: explain, schema, catalog, new, trace.

use std::collections::BTreeSet;
use std::path::Path;

use super::terminal::{Desk, shipped};

/// Codes in the sources, `"W0101"` and the like.
fn codes_in(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_in(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let quoted = text.split('"').filter(|piece| {
                piece.len() == 5 && piece.starts_with('W') && piece[1..].bytes().all(|c| c.is_ascii_digit())
            });
            found.extend(quoted.map(str::to_owned));
        }
    }
}

#[test]
fn every_code_is_explained_and_none_is_left_over() {
    let mut used = BTreeSet::new();
    codes_in(Path::new(&shipped("src")), &mut used);
    let listed: BTreeSet<String> = windtunnel::report::codes().map(|(code, _)| code.to_owned()).collect();
    assert_eq!(used, listed);
    let answer = Desk::new().run(&["explain", "w0107"]).ok();
    assert!(answer.stdout.starts_with("W0107: "), "{}", answer.stdout);
}

#[test]
fn a_job_tells_why_it_waited() {
    let desk = Desk::new();
    desk.put("jobs.csv", "job_id,submit_s,run_s,cpus\n1,0,100,3\n2,1,50,4\n3,2,10,1\n4,3,10,2\n5,4,10,9\n");
    desk.put(
        "team.toml",
        "[workload]\ntrace = \"jobs.csv\"\n[policy.fcfs]\n[node.small]\ncpus = 4\nmem-mb = 1000\n\
         [design.one.pool.main]\nnode = \"small\"\ncount = 1\n",
    );
    let explain = |job: &str| desk.run(&["explain", job, "--scenario", "team.toml"]).ok().stdout;
    let stories: Vec<String> = ["1", "2", "3", "5"].map(explain).into();
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("explained_jobs", stories.join("\n"));
    });
    let object = desk.run(&["explain", "2", "--scenario", "team.toml", "--json"]).ok().json();
    assert_eq!((&object["start_s"], &object["waits"][0]["from_s"]), (&100.0.into(), &1.0.into()));
}

#[test]
fn schemas_are_json() {
    let desk = Desk::new();
    for of in ["scenario", "trace", "summary.json", "backtest.json", "jobs.csv", "timeline.csv", "ledger.csv"]
    {
        let answer = desk.run(&["schema", of]).ok();
        let object: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
        assert!(object.is_object(), "{of}");
    }
    let trace = desk.run(&["schema", "trace"]).ok().stdout;
    assert_eq!(trace.matches("\"required\": true").count(), 3);
    // Every column that the schema names is one that the reader takes.
    let object: serde_json::Value = serde_json::from_str(&trace).unwrap();
    let names: Vec<&str> =
        object["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect();
    let blanks = ",".repeat(names.len() - 3);
    assert_eq!(&names[..3], ["job_id", "submit_s", "run_s"]);
    desk.replay("all.csv", format!("{}\n1,0,5{blanks}\n", names.join(",")), &["--json"]).ok();
}

#[test]
fn the_catalogue_lists_sources() {
    let desk = Desk::new();
    let all = desk.run(&["catalog", "--json"]).ok().json();
    for part in ["gpus", "nodes", "prices"] {
        let rows = all[part].as_array().unwrap();
        assert!(rows.len() > 3, "{part}");
        assert!(rows.iter().all(|row| row["source"].as_str().is_some_and(|s| !s.is_empty())), "{part}");
        let table = desk.run(&["catalog", part]).ok().stdout;
        assert_eq!(table.lines().filter(|line| !line.is_empty()).count(), rows.len() + 2, "{part}");
    }
}

#[test]
fn a_new_scenario_loads_and_compares() {
    let desk = Desk::new();
    desk.put("traces/team.csv", std::fs::read(shipped("traces/research-team.csv")).unwrap());
    desk.put("traces/log.swf", std::fs::read(shipped("traces/hpc-small.swf")).unwrap());
    std::fs::create_dir(desk.path("questions")).unwrap();
    let outside = desk.path("questions/c.toml").display().to_string();
    let lines: [&[&str]; 4] = [
        &["--trace", "traces/team.csv", "--node", "dgx-h100", "--count", "2", "--out", "a.toml"],
        &["--trace", "traces/log.swf", "--policy", "fcfs", "--out", "questions/b.toml"],
        &["--trace", "traces/team.csv", "--out", &outside],
        &["--title", "No trace yet", "--out", "questions/d.toml"],
    ];
    for line in lines {
        desk.run(&[&["new"], line].concat()).ok();
        let file = line.last().unwrap();
        let object = desk.run(&["compare", file, "--json"]).ok().json();
        assert!(object["designs"].as_object().unwrap().len() >= 2, "{line:?}");
    }
    desk.put("e.toml", desk.run(&["new"]).ok().stdout);
    desk.run(&["compare", "e.toml"]).ok();
    let wrong = desk.run(&["new", "--node", "dgx-h1000"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

#[test]
fn traces_survive_conversion() {
    let desk = Desk::new();
    let swf = shipped("traces/hpc-small.swf");
    desk.run(&["trace", "convert", &swf, "--out", "a.csv"]).ok();
    desk.run(&["trace", "convert", "a.csv", "--out", "b.csv"]).ok();
    assert!(desk.read("a.csv") == desk.read("b.csv"), "CSV to CSV changes nothing");
    desk.run(&["trace", "convert", "a.csv", "--out", "c.swf"]).ok();
    let figures = |trace: &str| {
        let mut object = desk.run(&["replay", trace, "--procs", "256", "--json"]).ok().json();
        let object = object.as_object_mut().unwrap();
        ["wait_s", "makespan_s", "cpu_hours"].map(|key| object.remove(key).unwrap())
    };
    assert_eq!(figures(&swf), figures("a.csv"));
    assert_eq!(figures(&swf), figures("c.swf"));
}

#[test]
fn timestamps_need_a_zone() {
    let desk = Desk::new();
    desk.put("site.csv", "job_id,submit_s,run_s\n1,2026-03-01T08:00:00,5\n2,2026-03-01T09:00:00,5\n");
    let answer = desk.run(&["trace", "convert", "site.csv", "--out", "out.csv"]);
    assert_eq!(answer.code, 4);
    assert!(answer.stderr.contains("--time-zone"), "{}", answer.stderr);
    desk.run(&["trace", "convert", "site.csv", "--time-zone", "Europe/Paris", "--out", "out.csv"]).ok();
    let text = String::from_utf8(desk.read("out.csv")).unwrap();
    assert!(text.contains("1,1772348400,5") && text.contains("2,1772352000,5"), "{text}");
}

#[test]
fn generated_traces_repeat_and_check() {
    let desk = Desk::new();
    let generate = |seed: &str, out: &str| {
        let args = ["trace", "generate", "research", "--preset", "research-team", "--jobs", "300"];
        desk.run(&[&args[..], &["--seed", seed, "--out", out]].concat()).ok();
    };
    generate("7", "a.csv");
    generate("7", "b.csv");
    generate("8", "c.csv");
    assert!(desk.read("a.csv") == desk.read("b.csv"));
    assert!(desk.read("a.csv") != desk.read("c.csv"));
    let check = desk.run(&["trace", "check", "a.csv", "--json", "--strict"]).ok().json();
    assert_eq!((&check["usable"], &check["jobs"]), (&true.into(), &300.into()));
    let stats = desk.run(&["trace", "stats", "a.csv", "--json"]).ok().json();
    assert!(stats["proposed_class_rules"].is_string());
}

#[test]
fn anonymized_traces_hide_names_and_stay_stable() {
    let desk = Desk::new();
    desk.put(
        "jobs.csv",
        "job_id,submit_s,run_s,user,cpus\n1,1000,5,annabel,3\n2,1010,5,bertram,4\n3,1020,5,annabel,4\n",
    );
    let anonymize = |salt: &str, out: &str| {
        desk.run(&["trace", "anonymize", "jobs.csv", "--salt", salt, "--out", out]).ok();
        String::from_utf8(desk.read(out)).unwrap()
    };
    let (a, b, c) = (anonymize("s", "a.csv"), anonymize("s", "b.csv"), anonymize("t", "c.csv"));
    assert!(!a.contains("annabel") && !a.contains("bertram"), "{a}");
    assert_eq!(a, b);
    assert_ne!(a, c);
    desk.run(&["trace", "check", "a.csv", "--strict"]).ok();
}

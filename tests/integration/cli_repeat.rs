//! The same scenario and seed give the same bytes: again, from the manifest, on any number of threads.

use super::terminal::{Desk, shipped};

/// A copy of a shipped scenario with the trace that it names.
fn desk(scenario: &str, trace: &str) -> Desk {
    let desk = Desk::new();
    desk.put(
        &format!("scenarios/{scenario}"),
        std::fs::read(shipped(&format!("scenarios/{scenario}"))).unwrap(),
    );
    desk.put(&format!("traces/{trace}"), std::fs::read(shipped(&format!("traces/{trace}"))).unwrap());
    desk
}

#[test]
fn a_manifest_reproduces_every_file() {
    let desk = desk("whole-gpus.toml", "research-team.csv");
    let first = desk.run(&[
        "run",
        "scenarios/whole-gpus.toml",
        "--out",
        "first",
        "--set",
        "workload.scale.arrivals=1.2",
    ]);
    first.ok();
    let files = desk.files("first");
    assert!(files.len() >= 5, "{}", files.len());
    desk.run(&["run", "--from", "first/manifest.json", "--out", "again"]).ok();
    for ((name, bytes), (again, repeated)) in files.iter().zip(desk.files("again")) {
        assert_eq!(*name, again);
        assert!(*bytes == repeated, "{name} differs");
    }
    assert_eq!(desk.files("again").len(), files.len());
}

#[test]
fn a_manifest_of_one_design_or_a_replay_reproduces_it() {
    let desk = desk("hpc-small.toml", "hpc-small.swf");
    desk.run(&["run", "scenarios/hpc-small.toml", "--design", "procs-320", "--out", "one"]).ok();
    desk.run(&["run", "--from", "one/manifest.json", "--out", "one-again"]).ok();
    assert!(desk.files("one") == desk.files("one-again"));
    desk.run(&["replay", "traces/hpc-small.swf", "--procs", "256", "--out", "replayed"]).ok();
    desk.run(&["run", "--from", "replayed/manifest.json", "--out", "replayed-again"]).ok();
    assert!(desk.files("replayed") == desk.files("replayed-again"));
}

#[test]
fn a_changed_trace_is_told() {
    let desk = desk("hpc-small.toml", "hpc-small.swf");
    desk.run(&["run", "scenarios/hpc-small.toml", "--out", "first"]).ok();
    let told = |name: &str| {
        let answer = desk.run(&["run", "--from", "first/manifest.json", "--out", "again"]);
        assert_eq!(answer.code, 4);
        insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
            insta::assert_snapshot!(name, answer.told());
        });
    };
    let mut trace = desk.read("traces/hpc-small.swf");
    trace.extend(b"; one more line\n");
    desk.put("traces/hpc-small.swf", trace);
    told("manifest_changed_trace");
    std::fs::remove_file(desk.path("traces/hpc-small.swf")).unwrap();
    told("manifest_without_trace");
}

#[test]
fn threads_change_nothing() {
    let desk = desk("whole-gpus.toml", "research-team.csv");
    let mut answers = Vec::new();
    for threads in ["1", "2", "5"] {
        let answer = desk
            .run(&["compare", "scenarios/whole-gpus.toml", "--threads", threads, "--out", threads, "--json"])
            .ok();
        let mut object = answer.json();
        object.as_object_mut().unwrap().remove("engine").expect("engine is there");
        answers.push((object, desk.files(threads)));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
}

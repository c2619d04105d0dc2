//! Snapshots that jobs write to a store: alone they take as long as the store allows, beside others longer.

use super::cells::Cell;
use super::shared;
use super::terminal::Desk;

const POLICIES: [&str; 6] = ["fcfs", "easy", "conservative", "slurm", "srtf", "tiresias"];

fn cell(policy: &'static str, life: &'static str) -> Cell {
    Cell { policy, sharing: "whole", tenancy: "bare-metal", life, feature: "plain" }
}

/// A scenario whose hosts fail, with these snapshots.
fn scenario(policy: &'static str, snapshots: &str, store: &str) -> String {
    let text = cell(policy, "failures").text("");
    format!("{text}snapshots = {{ every-s = 300, restore-s = 10, {snapshots} }}\n{store}")
}

/// Jobs that fill nodes, each with ten GB for each node in a snapshot.
fn trace() -> String {
    let mut text = "job_id,submit_s,run_s,limit_s,nodes,gpus,checkpoint_gb\n".to_owned();
    for at in 0..40u64 {
        let nodes = 1 + at % 2;
        text += &format!(
            "{at},{},{},20000,{nodes},{},{}\n",
            at * 1313,
            400 + at * 631 % 7000,
            8 * nodes,
            10 * nodes
        );
    }
    text
}

#[test]
fn a_store_without_end_takes_as_long_as_is_written_under_every_policy() {
    // Ten GB of a node at 2 GB/s: five seconds, whoever else writes.
    let store = "[design.d.store.s]\nwrite-gb-s = 1000\nnode-gb-s = 2\n";
    for policy in POLICIES {
        let trace = trace();
        let on = cell(policy, "failures").play_text(&scenario(policy, "store = 's'", store), &trace).unwrap();
        let plain = scenario(policy, "takes-s = 5", "");
        let off = cell(policy, "failures").play_text(&plain, &trace).unwrap();
        for (id, record) in on.outcome.records.iter_ids() {
            assert_eq!(*record, off.outcome.records[id], "{policy}: job {}", on.workload.job_name(id));
        }
        assert_eq!(on.outcome.hours, off.outcome.hours, "{policy}");
        let facts = on.outcome.tenancy.as_deref().unwrap();
        assert!(facts.lost_attempts > 0 && !facts.written.is_empty(), "{policy}");
        assert!(on.outcome.hours.total().gpu.storage > 0, "{policy}");
    }
}

#[test]
fn two_writers_share_a_store_and_a_copy_lets_a_job_go_on() {
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus,checkpoint_gb\n1,0,1000,9000,1,8,100\n2,0,1000,9000,1,8,100\n";
    let text = |snapshots: &str| {
        let text = cell("fcfs", "none").text("");
        let store = "[design.d.store.s]\nwrite-gb-s = 10\nnode-gb-s = 10\n";
        format!("{text}snapshots = {{ every-s = 300, store = 's', {snapshots} }}\n{store}")
    };
    let end_s = |snapshots: &str| {
        let played = cell("fcfs", "none").play_text(&text(snapshots), trace).unwrap();
        played.outcome.records.iter().map(|record| record.end.as_s()).collect::<Vec<f64>>()
    };
    // Three times 200 GB at 10 GB/s.
    assert_eq!(end_s("mode = 'sync'"), [1060.0, 1060.0]);
    // Three times 100 GB at 50 GB/s; they are written in 20 s, long before the next.
    assert_eq!(end_s("mode = 'async', copy-gb-s = 50"), [1006.0, 1006.0]);
}

#[test]
fn a_copy_that_is_broken_off_counts_as_far_as_it_came() {
    // The copy takes 40 s from second 300 on, and the limit comes in its middle.
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus,checkpoint_gb\n1,0,1000,320,1,8,100\n";
    let text = cell("fcfs", "none").text("");
    let text = format!(
        "{text}at-limit = 'kill'\nsnapshots = {{ every-s = 300, store = 's', mode = 'async', copy-gb-s = 2.5 }}\n\
         [design.d.store.s]\nwrite-gb-s = 10\n"
    );
    let played = cell("fcfs", "none").play_text(&text, trace).unwrap();
    let hours = played.outcome.hours.total().gpu;
    let gpu_s = |units: i128| units as f64 / 21_000.0 / 1e6;
    assert_eq!([gpu_s(hours.storage), gpu_s(hours.productive)], [8.0 * 20.0, 8.0 * 300.0]);
    let (_, written) = played.outcome.tenancy.as_deref().unwrap().written[0];
    assert_eq!((written.snapshots, written.stalled.as_s()), (1, 20.0));
}

/// What is written back can be read again, and is the same scenario.
#[test]
fn a_resolved_scenario_is_read_again_as_it_is() {
    let store = "[design.d.store.s]\nwrite-gb-s = 10\n";
    for snapshots in ["store = 's'", "store = 's', mode = 'async'", "store = 's', interval = 'daly'"] {
        let first =
            cell("easy", "failures").play_text(&scenario("easy", snapshots, store), &trace()).unwrap();
        let written = &first.scenario.resolved_toml;
        let again = cell("easy", "failures").play_text(written, &trace()).unwrap();
        assert_eq!(again.scenario.resolved_toml, *written, "{snapshots}");
        assert_eq!(again.outcome.hours, first.outcome.hours, "{snapshots}");
    }
}

#[test]
fn the_optimum_for_the_failures_of_a_job_is_taken() {
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus,checkpoint_gb\n1,0,86400,90000,1,8,300\n";
    let text = |interval: &str| {
        let text = cell("fcfs", "none").text("");
        let store = "[design.d.store.s]\nwrite-gb-s = 1\nnode-gb-s = 10\n";
        let failures = "failures = { mtbf-hours = 24 }\n";
        format!("{text}{failures}snapshots = {{ store = 's', interval = '{interval}' }}\n{store}")
    };
    let every = |interval: &str| {
        let played = cell("fcfs", "none").play_text(&text(interval), trace).unwrap();
        let facts = played.outcome.tenancy.as_deref().unwrap();
        let (_, written) = facts.written[0];
        (written.snapshots, facts.failures)
    };
    // Daly's 116.7 minutes at a day between failures and 5 minutes for a dump, Young's 120: twelve in a day.
    let (daly, young) = (every("daly"), every("young"));
    assert!((10..=30).contains(&daly.0) && (10..=30).contains(&young.0), "{daly:?} {young:?}");
}

#[test]
fn the_cases_of_a_second_program_are_met() {
    let Some(cases) = shared::folder("storage/checkpoint_cases.json") else { return };
    let desk = Desk::new();
    let path = cases.display().to_string();
    let answer = desk.run(&["validate", "storage", &path, "--json", "--check"]).ok();
    let found = &answer.json()["storage"];
    assert_eq!(found["outside"], 0, "{found}");
    assert_eq!(found["files"][0]["kind"], "checkpoint");
    assert!(found["files"][0]["cases"].as_array().unwrap().len() >= 18);
    desk.put("bad.json", "{\"kind\": \"maxmin\", \"cases\": []}");
    let answer = desk.run(&["validate", "storage", "bad.json"]);
    assert!(answer.code == 4 && answer.stderr.contains("W0605"), "{}", answer.stderr);
}

#[test]
fn what_makes_no_sense_is_refused_where_it_is_written() {
    let desk = Desk::new();
    desk.put("t.csv", trace());
    let refused = |snapshots: &str, code: &str, word: &str| {
        let store = "[design.d.store.s]\nwrite-gb-s = 10\n";
        desk.put("s.toml", scenario("fcfs", snapshots, store));
        let answer = desk.run(&["run", "s.toml", "-q"]);
        assert_eq!(answer.code, 4, "{snapshots}: {}", answer.stderr);
        assert!(answer.stderr.contains(code) && answer.stderr.contains(word), "{}", answer.stderr);
    };
    refused("store = 't'", "W0210", "no store `t`");
    refused("store = 's', takes-s = 5", "W0243", "`takes-s` has no effect");
    refused("mode = 'async'", "W0243", "`mode` has no effect");
    refused("store = 's', copy-gb-s = 5", "W0243", "mode = \"sync\"");
    refused("store = 's', gb-per-gpu = -1", "W0209", "no such size");
    // What a trace says of its jobs is known when it is read.
    let store = "[design.d.store.s]\nwrite-gb-s = 10\ncapacity-tb = 0.015\n";
    desk.put("s.toml", scenario("fcfs", "store = 's'", store));
    let answer = desk.run(&["run", "s.toml"]).ok();
    assert!(answer.stderr.contains("W0270") && answer.stderr.contains("20 jobs"), "{}", answer.stderr);
}

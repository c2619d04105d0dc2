//! `validate fabric` on files of each layout, and what it says about bad ones.

use super::terminal::{Answer, Desk};

const MAXMIN: &str = r#"{"kind": "maxmin", "cases": [{"name": "two", "links": {"a": 0, "b": 5}, "flows": [
    {"start_s": 0, "bytes": 1, "links": ["a"]},
    {"start_s": 0.5, "bytes": 10, "links": ["b"], "finish_s": 2.5}]}]}"#;
const RATES: &str = r#"{"kind": "rates", "cases": [{"links": {"l": 12}, "flows": [
    {"name": "f", "weights": {"l": 2}}, {"name": "g", "weights": {"l": 1}, "cap": 2}],
    "expected_rate": {"f": 5, "g": 2}}]}"#;
const CONTENTION: &str = r#"{"kind": "contention", "cases": [{"links": {"l": 10}, "phase_overlap": 1, "jobs": {
    "x": {"compute_s": 1, "bytes": {"l": 10}}, "y": {"compute_s": 3, "bytes": {"l": 10}}},
    "expected": {"x": {"iteration_s": 3, "alone_s": 2}}}]}"#;
const SCALING: &str = r#"{"kind": "scaling", "cases": [{"kind": "three-d", "tp": 8, "pp": 1, "precision": "bf16",
    "parameters": 7e10, "gpus_from": 64, "gpus_to": 128, "step_s_from": 10, "step_s_to": 10.1}]}"#;
const COLLECTIVES: &str = "system,op,ranks,ranks_per_node,nodes,size_bytes,time_us\n\
    h100_sxm,all_reduce,8,8,1,1e9,4000\nh100_ndr,all_gather,16,8,2,1e9,3000\nunknown,alltoall,4,4,1,1e9,9\n";
const CURVES: &str = "system,op,ranks,ranks_per_node,nodes,size_bytes,time_us\n\
    h100_sxm,all_reduce,8,8,1,1e8,400\nh100_sxm,all_reduce,8,8,1,1e10,40000\n";

fn validate(file: &str, text: &str, more: &[&str]) -> Answer {
    let desk = Desk::new();
    desk.put(file, text);
    desk.put("curves.csv", CURVES);
    desk.run(&[&["validate", "fabric", file], more].concat())
}

fn cases(file: &str, text: &str, more: &[&str]) -> Vec<serde_json::Value> {
    let object = validate(file, text, &[more, &["--json"]].concat()).ok().json();
    let fabric = &object["fabric"];
    assert_eq!((&fabric["files"][0]["file"], &fabric["absent"]), (&file.into(), &0.into()));
    fabric["files"][0]["cases"].as_array().unwrap().clone()
}

#[test]
fn each_layout_gives_back_its_cases() {
    let near = |value: &serde_json::Value, want: f64| {
        let value = value.as_f64().unwrap();
        assert!((value / want - 1.0).abs() < 1e-9, "{value} {want}");
    };
    // Nothing goes over a link without capacity.
    assert_eq!(cases("m.json", MAXMIN, &[])[0]["finish_s"], serde_json::json!([null, 2.5]));
    let rate = &cases("r.json", RATES, &[])[0]["rate"];
    near(&rate["f"], 5.0);
    near(&rate["g"], 2.0);
    let jobs = &cases("c.json", CONTENTION, &[])[0]["jobs"];
    near(&jobs["x"]["iteration_s"], 3.0);
    near(&jobs["y"]["alone_s"], 4.0);
    // Groups of 8 and 16 over as many nodes, one port of 47 GB/s each; a quarter of it hidden.
    let sent = |group: f64| 6.0 * 7e10 / 8.0 * (group - 1.0) / group / 47e9 + 2.0 * (group - 1.0) * 1e-5;
    near(&cases("s.json", SCALING, &[])[0]["growth"], 0.75 * (sent(16.0) - sent(8.0)) / 10.0);
}

#[test]
fn curves_come_before_the_law_and_can_be_left_out() {
    let told = |more: &[&str]| -> Vec<(String, Option<f64>)> {
        let found = cases("k.csv", COLLECTIVES, more);
        found
            .iter()
            .map(|case| (case["from"].as_str().unwrap().to_owned(), case["ours_us"].as_f64()))
            .collect()
    };
    let with = told(&["--curves", "curves.csv"]);
    let words: Vec<&str> = with.iter().map(|(from, _)| from.as_str()).collect();
    assert_eq!(words, ["curve", "law", "none"]);
    assert!((with[0].1.unwrap() - 4000.0).abs() < 1e-6 && with[2].1.is_none());
    let without = told(&["--curves", "none"]);
    // 6 us + 14 steps of 1.5 us + 2 x 7/8 GB at 476 GB/s.
    let law = 27.0 + 1.75e3 / 0.476;
    assert_eq!(without[0].0, "law");
    assert!((without[0].1.unwrap() / law - 1.0).abs() < 1e-9, "{:?}", without[0]);
}

#[test]
fn a_row_outside_its_bar_fails_the_check() {
    assert_eq!(validate("r.json", RATES, &["--check"]).code, 0);
    let wrong = validate("r.json", &RATES.replace("\"f\": 5", "\"f\": 5.1"), &["--check"]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.stderr.contains("W0430"), "{}", wrong.stderr);
    assert!(wrong.stdout.contains("NO"), "{}", wrong.stdout);
}

#[test]
fn bad_files_are_told_with_their_place() {
    let told = |file: &str, text: &str| {
        let answer = validate(file, text, &[]);
        assert_eq!(answer.code, 4, "{}", answer.stderr);
        assert!(answer.stderr.contains("W0605"), "{}", answer.stderr);
        answer.stderr
    };
    assert!(told("m.json", &MAXMIN.replace("[\"b\"]", "[\"c\"]")).contains("no link is called c"));
    assert!(told("m.json", &MAXMIN.replace("\"b\": 5", "\"b\": -5")).contains("capacity of b"));
    assert!(told("m.json", &MAXMIN.replace("\"maxmin\"", "\"minmax\"")).contains("kinds are"));
    assert!(told("m.json", &MAXMIN[..MAXMIN.len() - 3]).contains("m.json:3"));
    assert!(told("s.json", &SCALING.replace("\"tp\": 8", "\"tp\": 0")).contains("tp must be"));
    assert!(told("c.json", &CONTENTION.replace("overlap\": 1", "overlap\": 1.5")).contains("phase_overlap"));
    assert!(told("k.csv", &COLLECTIVES.replace("all_gather", "gather")).contains("k.csv:3"));
    assert!(told("k.csv", &COLLECTIVES.replace("16,8,2", "16,8,3")).contains("k.csv:3"));
    assert!(told("k.csv", "system,op\n").contains("k.csv"));
    let desk = Desk::new();
    assert_eq!(desk.run(&["validate", "fabric", "none.json"]).code, 4);
}

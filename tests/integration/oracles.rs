//! Schedules of independent programs on real and generated traces: every job, the same second.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use windtunnel::cluster::ClusterSpec;
use windtunnel::simulation::{RunOptions, simulate};
use windtunnel::workload::Workload;
use windtunnel::workload::read::{ReadOptions, read_trace};

use super::builders::{classic, policy_of};
use super::shared;

fn read(path: &Path) -> (Workload, u32) {
    let workload = read_trace(path, &ReadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let procs = workload.header.iter().find(|(key, _)| key == "MaxProcs").expect("a header with MaxProcs");
    let procs = procs.1.parse().expect("a number of processors");
    (workload, procs)
}

/// (job, start in seconds) of a schedule with the columns job_id, submit, start, end.
fn schedule(path: &Path) -> Vec<(String, i64)> {
    let mut text = String::new();
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[0].to_owned(), cells[2].parse::<f64>().unwrap() as i64)
    };
    text.lines().skip(1).map(row).collect()
}

fn every_start_equals(trace: &str, policy: &str, recorded: &str) {
    let Some(peers) = shared::folder("peers") else { return };
    let (workload, procs) = read(&peers.join(format!("workloads/{trace}.swf.gz")));
    let mut expected = schedule(&peers.join(format!("schedules/{recorded}.csv.gz")));
    let outcome = simulate(
        &workload,
        &ClusterSpec::processors(procs),
        policy_of(&classic(policy)),
        &RunOptions::default(),
    );
    let outcome = outcome.unwrap();
    let mut got: Vec<(String, i64)> = outcome
        .records
        .iter_ids()
        .map(|(job, record)| (workload.job_name(job), record.start.micros() / 1_000_000))
        .collect();
    got.sort();
    expected.sort();
    assert_eq!(got.len(), expected.len(), "jobs");
    let differ: Vec<_> = got.iter().zip(&expected).filter(|(a, b)| a != b).collect();
    assert!(differ.is_empty(), "{} of {} starts differ, first {:?}", differ.len(), got.len(), differ[0]);
}

#[test]
fn fcfs_equals_the_textbook() {
    for trace in ["hpc2n", "kth", "lublin256"] {
        every_start_equals(trace, "fcfs", &format!("textbook-{trace}-fcfs"));
    }
}

#[test]
fn easy_equals_the_textbook() {
    for trace in ["hpc2n", "kth", "lublin256"] {
        every_start_equals(trace, "easy", &format!("textbook-{trace}-easy"));
    }
}

#[test]
fn conservative_equals_the_replanned_schedules() {
    for trace in ["hpc2n", "kth"] {
        every_start_equals(trace, "conservative", &format!("replanned-conservative-{trace}"));
    }
}

//! Replicas: intervals that hold what they claim, the same on any number of threads; no verdict without evidence.

use std::path::Path;

use rayon::prelude::*;
use windtunnel::experiment::replicas::{Uncertainty, Verdict, add_replicas};
use windtunnel::experiment::{DesignResult, LoadedWorkload, load_workload, run_designs, statistics};
use windtunnel::random::Stream;
use windtunnel::scenario::{self, Scenario};
use windtunnel::simulation::RunOptions;
use windtunnel::time::SimDuration;
use windtunnel::workload::Workload;

use super::terminal::{Desk, shipped};

/// Two designs over generated jobs; `b` has `nodes` nodes.
fn text(jobs: u64, replicas: u32, nodes: u32) -> String {
    format!(
        "[workload.generate.lublin]\njobs = {jobs}\nprocessors = 32\nload = 0.8\n[policy.easy]\n\
         [node.n]\ncpus = 8\nmem-mb = 1000\ngpus = 0\n\
         [design.a.pool.main]\nnode = \"n\"\ncount = 4\n[design.b.pool.main]\nnode = \"n\"\ncount = {nodes}\n\
         [compare]\nreplicas = {replicas}\n"
    )
}

fn load(text: String, sets: &[(&str, String)]) -> Scenario {
    let sets: Vec<(String, String)> =
        sets.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect();
    scenario::load_text("test", text, Path::new(""), &sets).unwrap()
}

fn run(scenario: &Scenario, loaded: &LoadedWorkload) -> Vec<DesignResult> {
    let (designs, policy) = (&scenario.designs, &scenario.policy);
    let mut results =
        run_designs(&loaded.workload, designs, policy, &RunOptions::default, &|| false).unwrap();
    add_replicas(scenario, loaded, &mut results, &|| (), &|| false).unwrap();
    results
}

fn uncertainty(scenario: &Scenario) -> Vec<Uncertainty> {
    let loaded = load_workload(&scenario.workload, false).unwrap();
    run(scenario, &loaded).into_iter().map(|result| result.uncertainty.unwrap()).collect()
}

#[test]
fn a_larger_cluster_is_told_from_a_smaller_one_and_not_from_itself() {
    let found = uncertainty(&load(text(400, 12, 6), &[]));
    let against = found[1].against_baseline.as_ref().unwrap();
    assert!(found[0].against_baseline.is_none());
    assert_eq!(against["wait_s.mean"].verdict, Verdict::Lower, "{:?}", against["wait_s.mean"]);
    assert_eq!(against["wait_s.p95"].verdict, Verdict::Lower);
    let same = uncertainty(&load(text(400, 12, 4), &[]));
    for (key, difference) in same[1].against_baseline.as_ref().unwrap() {
        assert_eq!(difference.verdict, Verdict::Same, "{key}");
    }
}

#[test]
fn threads_do_not_change_an_interval() {
    let desk = Desk::new();
    desk.put("s.toml", text(300, 9, 5));
    let answer = |threads: &str| {
        let mut object = desk.run(&["compare", "s.toml", "--json", "--threads", threads]).ok().json();
        object.as_object_mut().unwrap().remove("engine");
        object
    };
    let one = answer("1");
    assert_eq!(one, answer("4"));
    let estimate = &one["designs"]["b"]["uncertainty"]["figures"]["wait_s.mean"];
    assert!(estimate["low"].as_f64().unwrap() < estimate["high"].as_f64().unwrap());
    desk.run(&["compare", "s.toml", "--out", "one", "--threads", "1"]).ok();
    desk.run(&["compare", "s.toml", "--out", "four", "--threads", "4"]).ok();
    assert_eq!(desk.files("one"), desk.files("four"));
}

#[test]
fn a_trace_is_varied_by_its_blocks() {
    let desk = Desk::new();
    let scenario = shipped("scenarios/whole-gpus.toml");
    let args = ["compare", &scenario, "--set", "compare.replicas=10"];
    let answer = desk.run(&args).ok();
    insta::assert_snapshot!("replicas_of_a_trace", answer.stdout);
}

#[test]
fn too_little_for_an_interval_is_said() {
    let desk = Desk::new();
    let scenario = shipped("scenarios/whole-gpus.toml");
    let bad = [
        vec!["--set", "compare.replicas=5", "--set", "compare.block-days=7"],
        vec!["--set", "compare.confidence=0.95"],
        vec!["--set", "compare.confidence=95", "--set", "compare.replicas=5"],
        vec!["--set", "compare.block-days=-1"],
    ];
    let told: Vec<String> = bad
        .iter()
        .map(|options| {
            let mut args = vec!["compare", scenario.as_str(), "--quiet"];
            args.extend(options);
            let answer = desk.run(&args);
            assert_eq!(answer.code, 4, "{options:?}");
            answer.told().replace(&scenario, "whole-gpus.toml")
        })
        .collect();
    insta::assert_snapshot!("replicas_refused", told.join("\n"));
}

/// A history's blocks, its figures in both designs, and those of its rearrangements.
type Trial = (u64, [[f64; 3]; 2], Vec<[[f64; 3]; 2]>);

/// Fortnights cut out of long histories: their loads differ, as they do where a trace is a part of what goes on. (A
/// generator that is told a load meets it exactly in every history, which no trace does.)
fn fortnights(count: usize) -> Vec<Workload> {
    const FORTNIGHT_US: i64 = 14 * 86_400_000_000;
    let long = load(text(60_000, 1, 5), &[]).workload;
    let mut all = Vec::new();
    for seed in 1.. {
        let spec = scenario::WorkloadSpec { seed, ..long.clone() };
        let jobs = load_workload(&spec, false).unwrap().workload;
        let last = jobs.jobs.iter().last().unwrap().submit.since(jobs.first_submit()).micros();
        assert!(last / FORTNIGHT_US >= 5, "{} fortnights", last / FORTNIGHT_US);
        for at in 0..last / FORTNIGHT_US {
            let from = jobs.first_submit() + SimDuration::from_micros(FORTNIGHT_US * at);
            let until = from + SimDuration::from_micros(FORTNIGHT_US);
            all.push(jobs.clone().select(|job| (from..until).contains(&job.submit)));
        }
        if all.len() >= count {
            break;
        }
    }
    all.truncate(count);
    all
}

/// Intervals for a trace and its rearrangements: 1,000 fortnights, each with 20 rearrangements of its days; the truth
/// is the median over all of them, because figures of one history are skewed.
#[test]
#[ignore = "slow: 42,000 runs; .ci/run asks for it"]
fn intervals_around_a_trace_hold_the_truth() {
    const TRIALS: u64 = 1_000;
    const REPLICAS: u64 = 20;
    let scenario = load(text(1_200, 1, 5), &[]);
    let keys = ["/wait_s/mean", "/wait_s/p95", "/utilization/cpu"];
    let figures = |jobs: &Workload| -> [[f64; 3]; 2] {
        let (designs, policy) = (&scenario.designs, &scenario.policy);
        let results = run_designs(jobs, designs, policy, &RunOptions::default, &|| false).unwrap();
        [0, 1].map(|at| {
            let object = serde_json::to_value(&results[at].summary).unwrap();
            keys.map(|key| object.pointer(key).unwrap().as_f64().unwrap())
        })
    };
    let day = SimDuration::from_micros(86_400_000_000);
    let histories = fortnights(TRIALS as usize);
    let trials: Vec<Trial> = (0..TRIALS)
        .into_par_iter()
        .map(|seed| {
            let jobs = &histories[seed as usize];
            let blocks = jobs.blocks(day);
            let copies = (0..REPLICAS)
                .map(|replica| {
                    let mut draws = Stream::new(seed, "test", replica, 0);
                    let drawn: Vec<u64> = (0..blocks).map(|_| draws.below(blocks)).collect();
                    figures(&jobs.resample(day, &drawn))
                })
                .collect();
            (blocks, figures(jobs), copies)
        })
        .collect();
    for (at, key) in keys.iter().enumerate() {
        for design in [Some(0), Some(1), None] {
            let of = |figures: &[[f64; 3]; 2]| match design {
                Some(design) => figures[design][at],
                None => figures[1][at] / figures[0][at],
            };
            let all: Vec<f64> = trials.iter().map(|(_, own, _)| of(own)).filter(|v| v.is_finite()).collect();
            let truth = statistics::median(&all).unwrap();
            let holds = |(blocks, own, copies): &Trial| {
                let copies: Vec<f64> = copies.iter().map(of).filter(|v| v.is_finite()).collect();
                let found = statistics::bootstrap_interval(of(own), &copies, *blocks, 0.95);
                found.map(|found| found.low <= truth && truth <= found.high)
            };
            let said: Vec<bool> = trials.iter().filter_map(holds).collect();
            assert!(said.len() as u64 > TRIALS / 2, "{key} {design:?}: {} intervals", said.len());
            let coverage = said.iter().filter(|holds| **holds).count() as f64 / said.len() as f64;
            println!("{key} {design:?} (truth {truth:.4}): coverage {coverage:.3}");
            // The ratio of two shares of the same work hardly varies: its interval may hold it always.
            let is_certain = design.is_none() && key.starts_with("/utilization");
            assert!(coverage >= 0.90, "{key} {design:?}: {coverage}");
            assert!(coverage <= 0.98 || is_certain, "{key} {design:?}: {coverage}");
        }
    }
}

/// Share of trials whose interval of the difference holds the truth, for a mean and for tail quantiles; and of
/// null comparisons (both designs equal, over different seeds) that are not distinguishable. 1,000 trials of
/// 20 replicas over a small generated workload; the truth is the mean (the median) over all 20,000.
#[test]
#[ignore = "slow: 40,000 runs; .ci/run asks for it"]
fn intervals_hold_the_truth_as_often_as_they_say() {
    const TRIALS: usize = 1_000;
    const REPLICAS: usize = 20;
    let scenario = load(text(800, 1, 5), &[]);
    let keys = ["/wait_s/mean", "/wait_s/p95", "/wait_s/p99", "/utilization/cpu"];
    let runs: Vec<[[f64; 4]; 2]> = (0..(TRIALS * REPLICAS) as u64)
        .into_par_iter()
        .map(|seed| {
            let spec = scenario::WorkloadSpec { seed: seed + 1, ..scenario.workload.clone() };
            let jobs = load_workload(&spec, false).unwrap().workload;
            let (designs, policy) = (&scenario.designs, &scenario.policy);
            let results = run_designs(&jobs, designs, policy, &RunOptions::default, &|| false).unwrap();
            let of = |result: &DesignResult| {
                let object = serde_json::to_value(&result.summary).unwrap();
                keys.map(|key| object.pointer(key).unwrap().as_f64().unwrap())
            };
            [of(&results[0]), of(&results[1])]
        })
        .collect();
    for (at, key) in keys.iter().enumerate() {
        let differences: Vec<f64> = runs.iter().map(|run| run[1][at] - run[0][at]).collect();
        let quantile = key.contains("/p9");
        let (interval, truth): (fn(&[f64], f64) -> _, f64) = if quantile {
            (statistics::median_interval, statistics::median(&differences).unwrap())
        } else {
            (statistics::mean_interval, statistics::mean(&differences).unwrap())
        };
        let holds = |trial: &&[f64]| {
            let found = interval(trial, 0.95).unwrap();
            found.low <= truth && truth <= found.high
        };
        let coverage = differences.chunks(REPLICAS).filter(holds).count() as f64 / TRIALS as f64;
        // The null: the same design over other seeds.
        let half = runs.len() / 2;
        let null: Vec<f64> = (0..half).map(|i| runs[i][0][at] - runs[half + i][0][at]).collect();
        let alike = |trial: &&[f64]| {
            let found = interval(trial, 0.95).unwrap();
            found.low <= 0.0 && 0.0 <= found.high
        };
        let alike = null.chunks(REPLICAS).filter(alike).count() as f64 / (TRIALS / 2) as f64;
        println!("{key}: coverage {coverage:.3}, null not distinguishable {alike:.3}");
        let wanted = if quantile { 0.93..=1.0 } else { 0.93..=0.97 };
        assert!(wanted.contains(&coverage), "{key}: {coverage}");
        assert!(alike >= 0.93, "{key}: {alike}");
    }
}

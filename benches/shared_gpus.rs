//! What sharing costs: 100,000 jobs of a research team on 16 nodes of 8 GPUs under EASY, on one core.
//!
//! The same generated trace on whole GPUs (both engines), on GPUs cut on demand, and on GPUs cut by a planner.
//! Measured: the run alone, without generator and statistics. Repartition planning may make it at most three
//! times as long as the same trace on whole GPUs in the same engine; the classic engine stands beside it.

#[path = "measure.rs"]
mod measure;

use std::path::Path;

use windtunnel::experiment::{classic_policy, load_workload};
use windtunnel::scenario::{Scenario, load_text};
use windtunnel::simulation::{Hardware, Outcome, RunOptions, simulate};
use windtunnel::workload::Workload;

const MOST: f64 = 3.0;

fn scenario(load: f64) -> Scenario {
    let mut text = format!(
        "[workload.generate.research]\njobs = 100000\nload = {load}\ngpus = 128\nusers = 100\n\
         [policy.easy]\nplacement = \"mig-best-fit\"\n[node.dgx-h100]\ncpus = 224\n"
    );
    for (name, mig) in [("whole", "off"), ("dynamic", "dynamic"), ("planned", "planned")] {
        text += &format!(
            "[design.{name}.pool.main]\nnode = \"dgx-h100\"\ncount = 16\n\
             [design.{name}.pool.main.tenancy.bare-metal]\nmig = \"{mig}\"\n"
        );
    }
    load_text("bench", text, Path::new(""), &[]).expect("a good scenario")
}

fn shared(workload: &Workload, scenario: &Scenario, design: usize) -> Outcome {
    let spec = scenario.policy.classic().expect("not Slurm's");
    let policy = classic_policy(spec).expect("no expression");
    let design = &scenario.designs[design];
    let hardware = Hardware { cluster: &design.cluster, sharing: Some(&design.sharing) };
    simulate(workload, hardware, policy, &RunOptions::default()).expect("it runs")
}

fn main() {
    println!("{:>5} {:>18} {:>9} {:>13} {:>9}  at most", "load", "", "s", "repartitions", "x whole");
    for load in [0.8, 1.2] {
        let scenario = scenario(load);
        let workload = load_workload(&scenario.workload, false).expect("good settings").workload;
        let spec = scenario.policy.classic().expect("not Slurm's");
        let classic = || {
            let policy = classic_policy(spec).expect("no expression");
            let cluster = &scenario.designs[0].cluster;
            simulate(&workload, cluster, policy, &RunOptions::default()).expect("it runs")
        };
        let time = measure::shortest(3, &mut [&mut || drop(classic())])[0].as_secs_f64();
        println!("{load:>5} {:>18} {time:>9.2}", "classic, whole");
        let mut whole = None;
        for (at, name) in ["whole", "dynamic", "planned"].into_iter().enumerate() {
            let mut made = 0;
            let mut run = || {
                let outcome = shared(&workload, &scenario, at);
                made = outcome.shared.as_ref().map_or(0, |facts| facts.repartitions);
            };
            let time = measure::shortest(3, &mut [&mut run])[0].as_secs_f64();
            let ratio = time / *whole.get_or_insert(time);
            let verdict = measure::verdict(ratio, MOST);
            println!("{load:>5} {name:>18} {time:>9.2} {made:>13} {ratio:>9.2}  {MOST} {verdict}");
        }
    }
}

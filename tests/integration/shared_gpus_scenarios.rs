//! Shared GPUs through scenarios and the command line.

use serde_json::Value;
use windtunnel::experiment::{load_workload, run_designs};
use windtunnel::metrics::Summary;
use windtunnel::scenario::{Scenario, load};
use windtunnel::simulation::RunOptions;

use super::terminal::{Desk, shipped};

fn scenario(name: &str, sets: &[(&str, &str)]) -> Scenario {
    let sets: Vec<_> = sets.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
    load(shipped(&format!("scenarios/{name}")).as_ref(), &sets).unwrap()
}

/// Figures by design.
fn figures(name: &str, sets: &[(&str, &str)]) -> Vec<(String, Summary)> {
    let scenario = scenario(name, sets);
    let loaded = load_workload(&scenario.workload, false).unwrap();
    let options = || RunOptions::default();
    let results =
        run_designs(&loaded.workload, &scenario.designs, &scenario.policy, &options, &|| false).unwrap();
    for result in &results {
        assert_eq!(result.summary.jobs.refused, 0, "{}", result.design.name);
        assert!(result.outcome.hours.total().check());
    }
    results.into_iter().map(|result| (result.design.name, result.summary)).collect()
}

fn at_work(summary: &Summary) -> f64 {
    summary.sharing.unwrap().at_work_to_own_end.unwrap()
}

#[test]
fn mig_that_changes_serves_the_same_trace_sooner_than_whole_gpus() {
    let figures = figures("mig.toml", &[]);
    let of = |name: &str| &figures.iter().find(|(design, _)| design == name).unwrap().1;
    for name in ["dynamic", "planned"] {
        assert!(of(name).wait_s.mean.unwrap() < 0.7 * of("whole").wait_s.mean.unwrap(), "{name}");
        assert!(of(name).turnaround_s.mean.unwrap() < of("whole").turnaround_s.mean.unwrap(), "{name}");
        assert!(of(name).sharing.unwrap().repartitions > 100, "{name}");
        assert!(of(name).sharing.unwrap().startup_share.unwrap() > 0.0, "{name}");
    }
    for name in ["whole", "static"] {
        assert_eq!(of(name).sharing.unwrap().repartitions, 0, "{name}");
    }
    // On whole GPUs a job for one GPU holds all of it, whatever it uses.
    let held = |name: &str| of(name).gpu_hours.unwrap().held_idle;
    assert!(held("dynamic") < held("whole"));
}

/// What the scenario's own text says of its result, and how it depends on the load.
#[test]
fn the_utilization_case_says_what_comes_out() {
    let case = |load: &str| -> [f64; 2] {
        let figures = figures("mig-utilization.toml", &[("workload.generate.research.load", load)]);
        [at_work(&figures[0].1), at_work(&figures[1].1)]
    };
    let near = |ours: [f64; 2], said: [f64; 2]| ours.iter().zip(said).all(|(a, b)| (a - b).abs() < 0.006);
    assert!(near(case("1.9"), [0.39, 0.60]), "{:?}", case("1.9"));
    assert!(near(case("1.0"), [0.38, 0.33]), "{:?}", case("1.0"));
    assert!(near(case("2.6"), [0.39, 0.64]), "{:?}", case("2.6"));
}

const SCENARIO: &str = r#"
[workload]
trace = "jobs.csv"
[policy.easy]
placement = "fgd"
[node.n]
cpus = 32
mem-mb = 100000
gpus = 2
gpu = "A100-80GB-SXM"
[design.mps.pool.main]
node = "n"
count = 1
[design.mps.pool.main.tenancy.bare-metal]
sharing = "mps"
[design.mig.pool.main]
node = "n"
count = 1
[design.mig.pool.main.tenancy.bare-metal]
mig = "dynamic"
"#;

fn desk(rows: &str) -> Desk {
    let desk = Desk::new();
    desk.put("s.toml", SCENARIO);
    desk.put(
        "jobs.csv",
        format!("job_id,submit_s,run_s,gpus,gpu_type,gpu_milli,gpu_mem_mib,mig_profile\n{rows}"),
    );
    desk
}

#[test]
fn shares_and_instances_go_through_the_command_line() {
    let desk = desk(
        "a,0,100,1,,300,,\nb,0,100,1,,500,,\nc,0,50,1,A100-80GB-SXM|H100-80GB-SXM,,,\nd,5,10,1,,,20000,\n",
    );
    let object = desk.run(&["run", "s.toml", "--referee", "--json", "--quiet", "--out", "out"]).ok().json();
    let of = |design: &str, key: &str| -> Value {
        key.split('.').fold(object["designs"][design].clone(), |value, key| value[key].clone())
    };
    for design in ["mps", "mig"] {
        assert_eq!(of(design, "jobs.completed"), 4);
        let hours: f64 =
            ["productive", "neighbours", "slack", "held_idle", "startup", "idle_waiting", "idle"]
                .iter()
                .map(|category| of(design, &format!("gpu_hours.{category}")).as_f64().unwrap())
                .sum();
        assert!((hours - of(design, "gpu_hours.installed").as_f64().unwrap()).abs() < 1e-9);
    }
    // a, b and d get an instance each; one GPU is made whole again for c.
    assert_eq!(of("mig", "sharing.repartitions"), 4);
    assert!(of("mps", "sharing.fragmentation_ratio").as_f64().unwrap() > 0.0);
    let ledger = String::from_utf8(desk.read("out/ledger.csv")).unwrap();
    assert!(ledger.contains("mig,main,gpu,startup,") && ledger.contains("mig,main,gpu,slack.stranded,"));
}

#[test]
fn jobs_that_no_node_can_hold_are_counted_or_an_error_when_strict() {
    let desk = desk("a,0,100,1,,300,,\nb,0,100,1,,,,9g.90gb\nc,0,50,1,K80-12GB,,,\n");
    let answer = desk.run(&["run", "s.toml", "--design", "mig"]).ok();
    assert!(answer.stdout.contains("can never hold 2 jobs, e.g. b"), "{}", answer.stdout);
    insta::assert_snapshot!(desk.run(&["run", "s.toml", "--design", "mig", "--strict"]).told());
    let desk = self::desk("a,0,100,1,,1300,,\n");
    insta::assert_snapshot!(desk.run(&["run", "s.toml"]).told());
}

//! What noise costs: 100,000 jobs in 30 days on 2,000 hosts of 8 GPUs under EASY, on one core.
//!
//! The same trace on bare metal, on VMs without noise, and on VMs whose hosts change between quiet and busy at
//! several mean dwells. Measured: the run alone, without statistics. A dwell of an hour may make it at most three
//! times as long as bare metal; ends of epochs must grow as host-hours with jobs / dwell.

#[path = "measure.rs"]
mod measure;

use std::path::Path;

use windtunnel::experiment::run_design;
use windtunnel::random::Stream;
use windtunnel::scenario::{Scenario, load_text};
use windtunnel::simulation::{Outcome, RunOptions};
use windtunnel::time::{SimDuration, SimTime};
use windtunnel::workload::{Job, JobFlags, JobName, Labels, Request, Workload};

const MOST: f64 = 3.0;
const JOBS: u64 = 100_000;
const HOSTS: u32 = 2_000;
const SPAN_S: f64 = 30.0 * 86_400.0;
const DWELLS_S: [u32; 3] = [14_400, 3_600, 900];

fn scenario() -> Scenario {
    let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/research-team.csv");
    let mut text = format!("[workload]\ntrace = '{}'\n[policy.easy]\n", trace.display());
    let mut pool = |name: &str, tenancy: &str| {
        text += &format!(
            "[design.{name}.pool.main]\nnode = 'dgx-h100'\ncount = {HOSTS}\n[design.{name}.pool.main.tenancy.{tenancy}]\n"
        );
    };
    pool("metal", "bare-metal");
    pool("quiet", "vm]\ncontention = 'off'\n#[");
    for dwell in DWELLS_S {
        let noise = format!("vm]\ncontention = 'off'\nnoise = {{ cv = 0.05, dwell-s = {dwell} }}\n#[");
        pool(&format!("dwell-{dwell}"), &noise);
    }
    load_text("bench", text, Path::new(""), &[]).expect("a good scenario")
}

/// Jobs of 1 to 128 GPUs and some hours, about 0.75 of the GPUs on average.
fn workload() -> Workload {
    let mut workload = Workload::default();
    let labels = workload.labels.intern(&Labels::default());
    let mut stream = Stream::new(1, "bench", 0, 0);
    let mut submits: Vec<i64> = (0..JOBS).map(|_| (stream.uniform() * SPAN_S * 1e6) as i64).collect();
    submits.sort_unstable();
    for (at, submit) in (0i64..).zip(submits) {
        let gpus = [1, 2, 4, 8, 8, 16, 32, 128][stream.below(8) as usize];
        let request = Request { gpus: Some(gpus), cpus: Some(gpus * 8), ..Request::default() };
        let run_s = stream.lognormal(7_200.0, 0.9).min(200_000.0);
        workload.jobs.push(Job {
            submit: SimTime::from_micros(submit),
            run: SimDuration::from_micros((run_s * 1e6) as i64),
            limit: SimDuration::from_micros((run_s * 2e6) as i64),
            priority: 0,
            name: JobName::Number(at as u32),
            request: workload.requests.intern(&request),
            labels,
            flags: JobFlags::default(),
        });
    }
    workload
}

fn main() {
    let (scenario, workload) = (scenario(), workload());
    let play = |design: usize| -> Outcome {
        run_design(&workload, &scenario.designs[design], &scenario.policy, &RunOptions::default())
            .expect("it runs")
    };
    println!(
        "{:>12} {:>7} {:>10} {:>9} {:>15} {:>8}",
        "", "s", "events", "epochs", "epochs x dwell", "x metal"
    );
    let mut metal = None;
    for (at, design) in scenario.designs.iter().enumerate() {
        let outcome = play(at);
        let epochs = outcome.tenancy.as_ref().map_or(0, |facts| facts.epochs);
        let time = measure::shortest(3, &mut [&mut || drop(play(at))])[0].as_secs_f64();
        let ratio = time / *metal.get_or_insert(time);
        let dwell = at.checked_sub(2).map_or(0, |row| DWELLS_S[row]);
        let host_hours = epochs * u64::from(dwell) / 3600;
        let held = if dwell == 3_600 { measure::verdict(ratio, MOST) } else { "" };
        let name = &design.name;
        println!(
            "{name:>12} {time:>7.2} {:>10} {epochs:>9} {host_hours:>13} h {ratio:>8.2}  {held}",
            outcome.events
        );
    }
}

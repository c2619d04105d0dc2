//! Where run times were recorded: a design's own output, taken as a record, reproduces itself.

use windtunnel::ids::JobId;
use windtunnel::simulation::JobState;
use windtunnel::time::SimTime;

use super::cells::{Cell, SHARINGS, TENANCIES, gpus_of};
use super::terminal::Desk;

/// Every job as it ran: recorded start, end and run time, in microseconds; limits as asked, but never below what ran.
fn record(cell: Cell, trace: &str) -> Option<String> {
    record_with(cell, trace, |asked_s, run_us| asked_s.max(run_us.div_euclid(1_000_000) + 1))
}

/// The same with limits by a rule of what was asked for, in seconds, and the microseconds that it ran.
fn record_with(cell: Cell, trace: &str, limit: impl Fn(i64, i64) -> i64) -> Option<String> {
    let played = cell.play_text(&cell.text(""), trace).ok()?;
    let mut lines = trace.lines();
    let mut text = format!("{},start_s,end_s\n", lines.next().unwrap());
    for (at, line) in lines.enumerate() {
        let job = JobId(u32::try_from(at).unwrap());
        let mut record = played.outcome.records[job];
        // A start is the instant at which devices are taken.
        let holdings = played.outcome.shared.iter().flat_map(|facts| &facts.holdings);
        if let Some(held) = holdings.into_iter().find(|held| held.job == job) {
            record.start = held.from;
        }
        if record.start == SimTime::NEVER {
            continue;
        }
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        let run_us = record.end.since(record.start).micros();
        cells[2] = format!("{}.{:06}", run_us / 1_000_000, run_us % 1_000_000);
        cells[3] = limit(cells[3].parse().unwrap(), run_us).to_string();
        text += &format!("{},{},{}\n", cells.join(","), record.start, record.end);
    }
    // Where no job of the trace has a place, there is nothing to judge.
    (text.lines().count() > 1).then_some(text)
}

fn judged(desk: &Desk) -> (f64, f64) {
    let judged = desk.run(&["backtest", "s.toml", "--json", "-q"]).ok().json()["judged"].clone();
    let mean =
        |key: &str| judged[key]["mean"].as_f64().unwrap_or_else(|| panic!("{key} of no job: {judged}"));
    (mean("recorded_wait_s"), mean("simulated_wait_s"))
}

/// Jobs without what a backtest sets aside, and with limits above their run times on every hardware.
fn trace(cell: Cell) -> String {
    let mut text = "job_id,submit_s,run_s,limit_s,user,cpus,gpus,gpu_milli,class\n".to_owned();
    for at in 1..=48_usize {
        let gpus = gpus_of(at);
        let run = [900, 2_400, 300, 5_400, 1_200][at % 5];
        let milli = if cell.feature == "parts" && gpus == 1 { "250" } else { "" };
        let class = ["training", "debug"][at % 2];
        text += &format!(
            "{at},{},{run},{},u{},{},{gpus},{milli},{class}\n",
            at * 200,
            run * 12,
            at % 3,
            4 * gpus
        );
    }
    text
}

#[test]
fn the_own_run_of_a_design_reproduces_itself_in_every_tenancy_and_sharing() {
    let mut tried = 0;
    for policy in ["fcfs", "easy", "conservative"] {
        for tenancy in TENANCIES {
            for sharing in SHARINGS {
                for (life, feature) in
                    [("none", "parts"), ("noise", "plain"), ("contention", "plain"), ("snapshots", "plain")]
                {
                    let cell = Cell { policy, sharing, tenancy, life, feature };
                    if !cell.is_sensible() {
                        continue;
                    }
                    let Some(recorded) = record(cell, &trace(cell)) else { continue };
                    let desk = Desk::new();
                    desk.put("t.csv", recorded);
                    desk.put("s.toml", cell.text(""));
                    let (recorded, simulated) = judged(&desk);
                    assert!((recorded - simulated).abs() < 1e-6, "{cell:?}: {simulated} against {recorded}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried >= 30, "{tried} cells");
}

/// Bursts of jobs of one GPU, which get slices, and now and then one of all GPUs of both nodes: something waits, and
/// limits are between a run on a whole GPU and one on a slice.
fn bursts() -> String {
    let mut text = "job_id,submit_s,run_s,limit_s,user,cpus,gpus,gpu_mem_mib,class\n".to_owned();
    for at in 1..=60_usize {
        let submit = 70_000 * (at / 10) + 60 * at;
        let (run, gpus) = ([900, 2_400, 5_400, 9_000][at * 7 % 4], if at % 12 == 0 { 16 } else { 1 });
        let class = ["training", "debug"][at % 2];
        text +=
            &format!("{at},{submit},{run},{},u{},{},{gpus},8000,{class}\n", run * 3 / 2, at % 3, 8 * gpus);
    }
    text
}

#[test]
fn limits_as_they_were_asked_for_reproduce_a_design_of_slices() {
    for policy in ["fcfs", "easy", "conservative", "slurm"] {
        for (sharing, tenancy) in [
            ("mig-dynamic", "bare-metal"),
            ("mig-planned", "bare-metal"),
            ("mig-dynamic", "vm-pass"),
            ("mig-planned", "vm-pass"),
        ] {
            let cell = Cell { policy, sharing, tenancy, life: "none", feature: "plain" };
            let trace = bursts();
            let recorded = record_with(cell, &trace, |asked, _| asked).expect("jobs that ran");
            assert_eq!(recorded.lines().count(), trace.lines().count(), "{cell:?}");
            let desk = Desk::new();
            desk.put("t.csv", recorded);
            desk.put("s.toml", cell.text(""));
            let (recorded, simulated) = judged(&desk);
            assert!(recorded > 60.0, "{cell:?}: nobody waits");
            // Under Slurm's policy a launch of at most 0.15 s comes again.
            let most = if policy == "slurm" { 5.0 } else { 1e-6 };
            assert!((recorded - simulated).abs() < most, "{cell:?}: {simulated} against {recorded}");
        }
    }
}

#[test]
fn nobody_is_killed_for_being_put_on_a_slice() {
    for sharing in ["mig-dynamic", "mig-planned"] {
        let cell = Cell { policy: "slurm", sharing, tenancy: "bare-metal", life: "none", feature: "plain" };
        let played = cell.play_text(&cell.text(""), &bursts()).unwrap();
        let killed = played.outcome.records.iter().filter(|record| record.state == JobState::Timeout);
        assert_eq!(killed.count(), 0, "{cell:?}");
    }
}

const VM: &str = "[workload]\ntrace = 't.csv'\n[policy.fcfs]\n[design.d.pool.main]\nnode = 'dgx-h100'\ncount = 1\n\
                  [design.d.pool.main.tenancy.vm]\ncontention = 'off'\n[design.d.pool.main.tenancy.vm.overhead]\n\
                  compute = 1.3\ngpu-memory = 1.3\nhost = 1.3\nstorage = 1.3\n";

/// Jobs at 98 % use of the GPUs, as a VM with factor 1.3 ran them.
fn slowed() -> String {
    let mut text = "job_id,submit_s,run_s,limit_s,gpus,cpus,class,start_s,end_s\n".to_owned();
    for at in 0..40 {
        let submit = at * 663;
        text += &format!("{},{submit},5200.000002,20000,1,1,training,{submit},{submit}\n", at + 1);
    }
    text
}

fn turnaround(scenario: &str) -> f64 {
    let desk = Desk::new();
    desk.put("t.csv", slowed());
    desk.put("s.toml", scenario);
    let found = desk.run(&["run", "s.toml", "--json", "-q"]).ok().json();
    let key = if found.get("designs").is_some() { found["designs"]["d"].clone() } else { found };
    key["turnaround_s"]["p50"].as_f64().unwrap()
}

#[test]
fn named_factors_are_taken_out_before_a_design_puts_its_own_in() {
    let factors = "{ vm = { compute = 1.3, gpu-memory = 1.3, host = 1.3, storage = 1.3, start-s = 200 } }";
    let same = VM.replace(
        "trace = 't.csv'",
        &format!("trace = 't.csv'\nrecorded-on = {}", factors.replace(", start-s = 200", "")),
    );
    assert_eq!(turnaround(&same), 5_200.000_002);
    let metal = same.split("[design.d.pool.main.tenancy.vm]").next().unwrap().to_owned();
    assert!((turnaround(&metal) - 4_000.0).abs() < 1e-3);
    let started = metal.replace("storage = 1.3 }", "storage = 1.3, start-s = 200 }");
    assert!((turnaround(&started) - 5_000.0 / 1.3).abs() < 1e-3);
    // Recorded on the design itself: every design holds its devices for as long.
    let own = VM.replace("trace = 't.csv'", "trace = 't.csv'\nrecorded-on = 'design'");
    assert_eq!(turnaround(&own), 5_200.000_002);
    // Not said, or bare metal: slowed again.
    assert!(turnaround(VM) > 6_700.0);
    assert!(
        turnaround(&VM.replace("trace = 't.csv'", "trace = 't.csv'\nrecorded-on = 'bare-metal'")) > 6_700.0
    );
}

#[test]
fn a_record_of_slices_is_brought_back_to_whole_gpus() {
    let law = "[slice-law.default]\nhost = 0.0\ncompute = 1.0\nbandwidth = 0.0\n[slice-law.training]\nhost = 0.0\ncompute = 1.0\n\
               bandwidth = 0.0\n";
    let slice = "recorded-on = { slice = { gpu = 'H100-80GB-SXM', profile = '7g.80gb' } }";
    let metal = VM.split("[design.d.pool.main.tenancy.vm]").next().unwrap();
    let whole = metal.replace("trace = 't.csv'", &format!("trace = 't.csv'\n{slice}")) + law;
    assert_eq!(turnaround(&whole), 5_200.000_002);
    let part = whole.replace("7g.80gb", "1g.10gb");
    assert!(turnaround(&part) < 5_200.0 / 6.0, "{}", turnaround(&part));
}

#[test]
fn where_it_was_recorded_must_make_sense() {
    let refused = |value: &str, word: &str| {
        let desk = Desk::new();
        desk.put("t.csv", slowed());
        desk.put("s.toml", VM.replace("trace = 't.csv'", &format!("trace = 't.csv'\nrecorded-on = {value}")));
        let told = desk.run(&["run", "s.toml", "-q"]);
        assert_eq!(told.code, 4, "{}", told.stderr);
        assert!(told.stderr.contains(word), "{}", told.stderr);
    };
    refused("{ vm = { compute = 0.5 } }", "no share was faster in a VM");
    refused("{ vm = { start-s = -1 } }", "no time for a start");
    refused("{ slice = { gpu = 'H100-80GB-SXM', profile = '1g.5gb' } }", "1g.5gb");
    refused("'moon'", "moon");
}

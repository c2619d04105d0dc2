//! The life of hosts: failures that take all VMs along, snapshots, planned work, limits.

use windtunnel::ids::{Id, JobId};
use windtunnel::scenario::Design;
use windtunnel::simulation::meter::UNITS_PER_DEVICE;
use windtunnel::simulation::{JobState, Outcome};
use windtunnel::workload::Workload;

use super::builders::{self, trace};
use super::tenancy::{EVERY_SHARE, apart, design, mixed, run, run_times, try_run, try_scenario};

const REPAIR: &str = "repair = { low-s = 600, typical-s = 600, high-s = 600 }";

/// `count` hosts that fail every `mtbf` hours on average, as VMs without overhead or on bare metal.
fn failing(kind: &str, count: u32, mtbf: f64, more: &str) -> Design {
    let vm = format!(
        "contention = 'off'\nnoise = {{ cv = 0 }}\n[design.d.pool.p.tenancy.vm.overhead]\n{}",
        EVERY_SHARE.replace('F', "1.0")
    );
    let own = if kind == "vm" { vm } else { String::new() };
    design(&format!(
        "[design.d.pool.p]\nnode = 'n'\ncount = {count}\n[design.d.pool.p.tenancy.{kind}]\n{own}\
         [design.d.pool.p.tenancy.{kind}.failures]\nmtbf-hours = {mtbf}\n{REPAIR}\n{more}"
    ))
}

/// Device-seconds of units of the hours.
fn seconds(units: i128) -> f64 {
    units as f64 / (UNITS_PER_DEVICE * 1_000_000) as f64
}

#[test]
fn hosts_fail_as_often_as_the_settings_say_and_alike_in_every_design() {
    // A job that no failure touches holds the run open for 2,000 hours.
    let workload = trace().job(builders::job().run_s(3_600 * 2_000).cpus(1)).build();
    let held = |kind: &str, mtbf: f64| {
        let quiet = "[design.d.pool.still]\nnode = 'n'\ncount = 1\n[design.d.route.r]\npools = ['still']\n";
        let outcome = run(&workload, &failing(kind, 200, mtbf, quiet));
        (outcome.tenancy.as_ref().unwrap().failures, outcome.hours.pools[Id::new(0)].gpu.down)
    };
    let (failures, down) = held("vm", 100.0);
    // Up for 100 h, down for 600 s.
    let expected = 200.0 * 2_000.0 / (100.0 + 600.0 / 3600.0);
    assert!((failures as f64 / expected - 1.0).abs() < 0.05, "{failures} against {expected}");
    assert!((seconds(down) / (failures as f64 * 600.0 * 8.0) - 1.0).abs() < 0.01);
    assert_eq!(held("bare-metal", 100.0), (failures, down));
    assert!(held("vm", 50.0).0 > failures * 19 / 10);
}

fn long_job() -> Workload {
    trace().job(builders::job().run_s(50 * 3_600).gpus(8)).build()
}

#[test]
fn a_job_much_longer_than_hosts_last_is_given_up() {
    let outcome = run(&long_job(), &failing("bare-metal", 1, 0.5, ""));
    assert_eq!(outcome.records[JobId::new(0)].state, JobState::NodeFail);
    assert_eq!(outcome.stretches(JobId::new(0)).count(), 1_000);
}

#[test]
fn a_job_that_is_lost_begins_anew_and_the_ledger_knows_what_was_in_vain() {
    for kind in ["vm", "bare-metal"] {
        let outcome = run(&long_job(), &failing(kind, 1, 30.0, ""));
        let attempts: Vec<f64> =
            outcome.stretches(JobId::new(0)).map(|(from, to)| to.since(from).as_s()).collect();
        assert!(attempts.len() > 1, "the seed has a failure in the first 50 hours");
        assert_eq!(outcome.starts(JobId::new(0)), attempts.len());
        let (last, lost) = attempts.split_last().unwrap();
        assert_eq!(*last, 50.0 * 3_600.0);
        let gpu = outcome.hours.total().gpu;
        assert_eq!(seconds(gpu.productive), 8.0 * last);
        assert!((seconds(gpu.lost) - 8.0 * lost.iter().sum::<f64>()).abs() < 1e-6);
        assert_eq!(outcome.records[JobId::new(0)].start.as_s(), 0.0);
        assert_eq!(outcome.records[JobId::new(0)].state, JobState::Completed);
    }
    let outcome = run(&long_job(), &failing("vm", 1, 30.0, "requeue = false\n"));
    assert_eq!(outcome.records[JobId::new(0)].state, JobState::NodeFail);
    assert_eq!(seconds(outcome.hours.total().gpu.productive), 0.0);
}

#[test]
fn snapshots_keep_progress_to_the_microsecond() {
    let more = "[design.d.pool.p.tenancy.vm.snapshots]\nevery-s = 3600\ntakes-s = 30\nrestore-s = 120\n";
    let outcome = run(&long_job(), &failing("vm", 1, 10.0, more));
    let facts = outcome.tenancy.as_ref().unwrap();
    assert!(facts.lost_attempts > 2);
    let gpu = outcome.hours.total().gpu;
    // Whatever was lost, the job did its work once and no more.
    assert_eq!(seconds(gpu.productive), 8.0 * 50.0 * 3_600.0);
    let lost = seconds(gpu.lost) / 8.0;
    assert!(lost > 0.0 && lost <= facts.lost_attempts as f64 * 3_630.0, "{lost}");
    // 49 of them were kept (none is due at the end); one at work when the host fails is not.
    let snapshots = seconds(gpu.storage) / 8.0 / 30.0;
    assert!((49.0..52.0).contains(&snapshots), "{snapshots}");
    let restores = seconds(gpu.restart) / 8.0 / 120.0;
    assert!(restores > 0.0 && restores <= facts.lost_attempts as f64, "{restores}");
    assert!(finish(&outcome) < finish(&run(&long_job(), &failing("vm", 1, 10.0, ""))));
    // Without failures they cost their time.
    let outcome = run(&long_job(), &failing("vm", 1, 1e8, more));
    assert_eq!(run_times(&outcome), [50.0 * 3_600.0 + 49.0 * 30.0]);
}

fn finish(outcome: &Outcome) -> f64 {
    outcome.last_instant.as_s()
}

#[test]
fn a_host_takes_all_its_vms_along_and_a_job_is_lost_with_any_of_its_hosts() {
    let shape = "shape = { cpus = 8, mem-mb = 100000, gpus = 1 }";
    let text = format!(
        "[design.d.pool.p]\nnode = 'n'\ncount = 1\n[design.d.pool.p.tenancy.vm]\ncontention = 'off'\n{shape}\n\
         [design.d.pool.p.tenancy.vm.failures]\nmtbf-hours = 30\nrequeue = false\n{REPAIR}\n"
    );
    let rows = (0..8).map(|_| builders::job().run_s(3_600 * 500).gpus(1));
    let outcome = run(&trace().jobs(rows).build(), &design(&text));
    let ends: Vec<f64> = run_times(&outcome);
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert_eq!(outcome.tenancy.as_ref().unwrap().lost_attempts, 8);
    // Eight hosts fail eight times as often.
    let wide = run(&apart(1, 8, 3_600 * 500), &failing("vm", 8, 30.0, "requeue = false\n"));
    assert!(run_times(&wide)[0] < ends[0]);
}

#[test]
fn failures_with_noise_neighbours_and_maintenance_leave_the_ledger_exact() {
    let workload = mixed(300);
    let text = format!(
        "[design.d.pool.p]\nnode = 'n'\ncount = 4\n[design.d.pool.p.tenancy.vm]\ncontention = 'high'\n\
         shape = {{ cpus = 32, mem-mb = 200000, gpus = 4 }}\nboot = {{}}\nnoise = {{ cv = 0.2, dwell-s = 900 }}\n\
         maintenance = {{ every-days = 1, hours = 1 }}\nsnapshots = {{ every-s = 900 }}\nat-limit = 'kill'\n\
         [design.d.pool.p.tenancy.vm.failures]\nmtbf-hours = 15\n{REPAIR}\n"
    );
    for policy in ["easy", "greedy", "conservative"] {
        let outcome = try_run(&workload, &design(&text), policy, 3);
        let gpu = outcome.hours.total().gpu;
        for units in [gpu.lost, gpu.storage, gpu.down, gpu.restart, gpu.neighbours] {
            assert!(units > 0, "{gpu:?}");
        }
        assert!(
            outcome
                .records
                .iter()
                .all(|record| record.state.ran_to_an_end() || record.state == JobState::Refused)
        );
        let again = try_run(&workload, &design(&text), policy, 3);
        assert_eq!((outcome.records, outcome.hours), (again.records, again.hours));
    }
}

#[test]
fn jobs_are_killed_at_their_limit_where_the_pool_says_so() {
    let pool = |more: &str| {
        design(&format!(
            "[design.d.pool.p]\nnode = 'n'\ncount = 1\n[design.d.pool.p.tenancy.vm]\ncontention = 'off'\n{more}\
             [design.d.pool.p.tenancy.vm.overhead]\n{}",
            EVERY_SHARE.replace('F', "1.5")
        ))
    };
    let workload = trace().job(builders::job().run_s(1_000).limit_s(1_200).gpus(8)).build();
    let on = run(&workload, &pool(""));
    assert_eq!(on.records[JobId::new(0)].state, JobState::Completed);
    let killed = run(&workload, &pool("at-limit = 'kill'\n"));
    assert_eq!(run_times(&killed), [1_200.0]);
    assert_eq!(killed.records[JobId::new(0)].state, JobState::Timeout);
    assert_eq!(killed.tenancy.as_ref().unwrap().timeouts, 1);
}

#[test]
fn bare_metal_drains_for_planned_work() {
    let text = "[design.d.pool.p]\nnode = 'n'\ncount = 2\n[design.d.pool.p.tenancy.bare-metal]\n\
                maintenance = { every-days = 1, hours = 2 }\n";
    let rows = [0, 0, 1].map(|at| builders::job().at_s(at).run_s(108_000).gpus(8));
    let outcome = run(&trace().jobs(rows).build(), &design(text));
    assert_eq!(outcome.records[JobId::new(2)].start.as_s(), 108_000.0 + 7_200.0);
    assert!(outcome.hours.total().gpu.down > 0);
}

#[test]
fn impossible_lives_are_refused() {
    let pool = |kind: &str, more: &str| {
        format!("[design.d.pool.p]\nnode = 'n'\ncount = 1\n[design.d.pool.p.tenancy.{kind}]\n{more}\n")
    };
    let live = "maintenance = { every-days = 30, hours = 2, live-migration = true }";
    for (text, code, words) in [
        (pool("bare-metal", live), "W0250", "live-migration-metal"),
        (pool("containers", live), "W0250", "live-migration-metal"),
        (pool("vm", "failures = { mtbf-hours = 0 }"), "W0209", "mtbf-hours"),
        (pool("vm", "snapshots = { every-s = 0 }"), "W0209", "every-s"),
        (pool("vm", "snapshots = { takes-s = -1 }"), "W0209", "takes-s"),
        (pool("vm", "elastic = {}\nmaintenance = { every-days = 30, hours = 2 }"), "W0243", "elastic"),
    ] {
        let problems = try_scenario(&text).err().unwrap_or_default();
        assert!(problems.contains(code) && problems.contains(words), "{text}\n{problems}");
    }
}

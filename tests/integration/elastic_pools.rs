//! Pools of VMs that are ordered and given back: under every policy, with hosts that fail, and where parts of GPUs are
//! given out.

use windtunnel::ids::{JobId, PoolId};
use windtunnel::simulation::{JobState, TenancyFacts};
use windtunnel::time::SimTime;

use super::cells::{Cell, Played};

/// Units of the hours of one GPU for a microsecond.
const UNITS: i128 = 21_000;

const EVERY: [&str; 6] = ["fcfs", "easy", "conservative", "slurm", "srtf", "tiresias"];

fn cell(policy: &'static str, sharing: &'static str, tenancy: &'static str, life: &'static str) -> Cell {
    Cell { policy, sharing, tenancy, life, feature: "plain" }
}

fn facts(played: &Played) -> &TenancyFacts {
    played.outcome.tenancy.as_ref().expect("VMs have facts")
}

/// A scenario with one pool of three VMs of 8 GPUs, none of which always runs.
fn from_nothing(policy: &'static str, more: &str) -> String {
    let text = cell(policy, "whole", "vm-pass", "none").text("");
    text.replace("count = 2", "count = 3")
        + "elastic = { min = 0, in-after-s = 300, boot = { low-s = 100, typical-s = 100, high-s = 100 }, failure = 0 }\n"
        + more
}

fn jobs(rows: &[(u32, u32, u32)]) -> String {
    let mut text = "job_id,submit_s,run_s,limit_s,user,cpus,gpus,class\n".to_owned();
    for (at, (submit, run, gpus)) in rows.iter().enumerate() {
        text += &format!("{at},{submit},{run},{},u,{},{gpus},training\n", 4 * run, 8 * gpus);
    }
    text
}

/// What is installed is what was ordered or up, and no VM is down.
fn hours_are_of_vms(cell: Cell, played: &Played) {
    let (gpu, vm_us) = (played.outcome.hours.total().gpu, facts(played).elastic[PoolId(0)].vm_us);
    assert_eq!(gpu.installed, vm_us * 8 * UNITS, "{cell:?}: {:?}", facts(played).usage);
    assert_eq!(gpu.down, 0, "{cell:?}");
    played.check(cell);
}

#[test]
fn vms_come_for_those_who_wait_and_go_when_nobody_does() {
    let trace = jobs(&[(0, 1_000, 8), (10_000, 1_000, 16), (20_000, 1_000, 4), (20_001, 1_000, 4)]);
    for policy in EVERY {
        let cell = cell(policy, "whole", "vm-pass", "elastic");
        let played = cell.play_text(&from_nothing(policy, ""), &trace).unwrap();
        let elastic = facts(&played).elastic[PoolId(0)];
        assert_eq!((elastic.ordered, elastic.most), (4, 2), "{cell:?}");
        assert!(elastic.given_back >= 3, "{cell:?}: {elastic:?}");
        // Slurm's threads look once in a while.
        let late = if policy == "slurm" { 40.0 } else { 1e-6 };
        for (job, record) in played.outcome.records.iter_ids() {
            let wait = record.start.since(played.workload.jobs[job].submit).as_s();
            let boot = if job == JobId(3) { 99.0 } else { 100.0 };
            assert!((boot - 1e-6..=boot + late).contains(&wait), "{cell:?}: {job:?} waited {wait} s");
            assert_eq!(record.state, JobState::Completed, "{cell:?}");
        }
        let booted: i128 =
            facts(&played).usage.iter().map(|row| i128::from(row.up.since(row.from).micros())).sum();
        assert_eq!(booted, 4 * 100_000_000, "{cell:?}");
        let gpu = played.outcome.hours.total().gpu;
        assert_eq!(gpu.startup + gpu.restart, booted * 8 * UNITS, "{cell:?}");
        hours_are_of_vms(cell, &played);
    }
}

#[test]
fn a_vm_whose_host_fails_is_gone_and_another_is_ordered() {
    let trace = jobs(&(0..30).map(|at| (at * 2_000, 5_000, 8)).collect::<Vec<_>>());
    let failures =
        "failures = { mtbf-hours = 4, repair = { low-s = 3000, typical-s = 3000, high-s = 3000 } }\n";
    for policy in EVERY {
        let cell = cell(policy, "whole", "vm-pass", "elastic");
        let played = cell.play_text(&from_nothing(policy, failures), &trace).unwrap();
        let facts = facts(&played);
        assert!(facts.failures > 0 && facts.lost_attempts > 0, "{cell:?}");
        let completed = |state| played.outcome.records.iter().filter(|row| row.state == state).count();
        assert_eq!(completed(JobState::Completed), 30, "{cell:?}");
        // More VMs were ordered than given back: the others were lost, and are paid for no longer.
        let ended = facts.usage.iter().filter(|row| row.until != SimTime::NEVER).count() as u64;
        assert!(ended > facts.elastic[PoolId(0)].given_back, "{cell:?}");
        hours_are_of_vms(cell, &played);
    }
}

#[test]
fn vms_of_the_minimum_are_ordered_again_after_the_repair() {
    let trace = jobs(&(0..30).map(|at| (at * 4_000, 3_000, 8)).collect::<Vec<_>>());
    let failures =
        "failures = { mtbf-hours = 4, repair = { low-s = 3000, typical-s = 3000, high-s = 3000 } }\n";
    for policy in ["easy", "slurm", "tiresias"] {
        let cell = cell(policy, "whole", "vm-pass", "elastic");
        let text = from_nothing(policy, failures).replace("min = 0", "min = 3");
        let played = cell.play_text(&text, &trace).unwrap();
        let facts = facts(&played);
        let elastic = facts.elastic[PoolId(0)];
        assert!(elastic.ordered > 0 && elastic.given_back == 0 && elastic.most == 3, "{cell:?}: {elastic:?}");
        assert!(facts.usage.iter().all(|row| row.is_committed), "{cell:?}");
        hours_are_of_vms(cell, &played);
    }
}

/// Jobs of one GPU with little memory: on cut GPUs each gets a seventh, on shared ones a quarter.
fn small_jobs(at_once: u32, milli: &str) -> String {
    let mut text = "job_id,submit_s,run_s,limit_s,user,cpus,gpus,gpu_mem_mib,gpu_milli,class\n".to_owned();
    for at in 0..2 * at_once {
        let submit = at / at_once * 200_000 + at % at_once;
        text += &format!("{at},{submit},9000,100000,u,2,1,8000,{milli},training\n");
    }
    text
}

/// Small devices are many: where a burst of ten jobs fills no node, nobody waits, and neither is a VM ordered nor does a job
/// spill. Where it is larger, both happen.
#[test]
fn parts_of_gpus_order_vms_and_spill_once_somebody_waits() {
    for (policy, sharing, tenancy) in [
        ("easy", "mig-static", "vm-pass"),
        ("easy", "time-slices", "vm-ts"),
        ("easy", "mig-static", "vm-mig"),
        ("slurm", "mig-static", "vm-pass"),
        ("slurm", "time-slices", "vm-ts"),
        ("slurm", "mig-static", "vm-mig"),
    ] {
        let milli = if sharing == "time-slices" { "250" } else { "" };
        for (at_once, waits) in [(10, false), (80, true)] {
            let trace = small_jobs(at_once, milli);
            let grows = cell(policy, sharing, tenancy, "elastic");
            let played = grows.play_text(&grows.text(""), &trace).unwrap();
            assert_eq!(facts(&played).elastic[PoolId(0)].ordered > 0, waits, "{grows:?} {at_once}");
            assert!(!played.outcome.records.iter().any(|row| row.state == JobState::Refused), "{grows:?}");
            played.check(grows);

            let cell = cell(policy, sharing, tenancy, "none");
            let left = cell.text("").replace("count = 2", "count = 1").replace("pool.main", "pool.left");
            let right = format!(
                "[design.d.pool.right]\nnode = 'dgx-h100'\ncount = 1\n{}[design.d.route.all]\npools = ['left']\n\
                 spill = ['right']\nspill-after-s = 60\n",
                cell.pool("design.d.pool.right")
            );
            let played = cell.play_text(&(left + &right), &trace).unwrap();
            assert_eq!(facts(&played).spilled > 0, waits, "{cell:?} {at_once}");
            played.check(cell);
        }
    }
}

/// Of a GPU that is cut for some jobs the rest cannot be held: a VM that is gone is gone with it.
#[test]
fn vms_with_half_cut_gpus_can_be_lost() {
    // A job on a slice takes up to 19 hours.
    let failures =
        "failures = { mtbf-hours = 15, repair = { low-s = 300, typical-s = 600, high-s = 900 } }\n";
    for policy in ["easy", "slurm", "tiresias"] {
        for sharing in ["mig-dynamic", "mig-planned", "mig-static"] {
            let cell = cell(policy, sharing, "vm-pass", "elastic");
            if !cell.is_sensible() {
                continue;
            }
            let played = cell.play_text(&cell.text(failures), &small_jobs(9, "")).unwrap();
            assert!(facts(&played).lost_attempts > 0, "{cell:?}");
            played.check(cell);
        }
    }
}

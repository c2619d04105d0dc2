//! VMs of a shape with vGPUs: packed on hosts, each job in one of them, neighbours on the GPUs below.

use proptest::prelude::*;
use windtunnel::cluster::cards::referee::{self, CardsHeld};
use windtunnel::cluster::referee::Held;
use windtunnel::cluster::{Allocation, Referee};
use windtunnel::experiment::run_designs;
use windtunnel::ids::{Id, JobId, TenantId};
use windtunnel::scenario::{Design, Scenario, load_text};
use windtunnel::simulation::{JobState, Outcome, RunOptions};
use windtunnel::time::SimTime;
use windtunnel::workload::Workload;

use super::builders::{JobRow, job, named, trace};
use super::differential::config;
use super::tenancy::{design, run, run_times, scenario, try_scenario};
use super::terminal::shipped;

/// Two hosts of 8 GPUs and 64 CPUs with VMs.
fn pool(vm: &str) -> String {
    format!("[design.d.pool.p]\nnode = 'n'\ncount = 2\n[design.d.pool.p.tenancy.vm]\n{vm}")
}

/// Time-sliced vGPUs, no overhead.
fn sliced(slices: &str, shape: &str, more: &str) -> String {
    let none = "compute = 1\ngpu-memory = 1\nhost = 1\nintra-node = 1\ninter-node = 1\nstorage = 1\n";
    let law = "[slice-law.default]\nhost = 0.0\ncompute = 1.0\nbandwidth = 1.0\n";
    let vm = format!(
        "access = 'vgpu-time-sliced'\nslices = '{slices}'\nvgpus-per-gpu = 4\nshape = {shape}\n{more}\
         [design.d.pool.p.tenancy.vm.overhead]\n{none}"
    );
    format!("{law}{}", pool(&vm))
}

fn instances(shape: &str) -> String {
    pool(&format!("access = 'vgpu-mig'\nshape = {shape}\n"))
}

fn check(workload: &Workload, design: &Design, outcome: &Outcome) {
    let tenants = workload.tenants();
    let Some(facts) = &outcome.shared else {
        assert!(!design.shares_gpus);
        let row = |(job, start, end, allocation): (JobId, SimTime, SimTime, &Allocation)| Held {
            row: job.index(),
            start,
            end,
            tenant: TenantId::named(tenants[job]),
            grants: allocation.to_vec(),
        };
        let held: Vec<Held> = outcome.holdings().map(row).collect();
        assert_eq!(Referee::check(&design.cluster, &held), Ok(()));
        return;
    };
    let held: Vec<CardsHeld> = facts
        .holdings
        .iter()
        .map(|held| CardsHeld {
            row: held.job.index(),
            start: held.from,
            end: if held.until == SimTime::NEVER { outcome.last_instant } else { held.until },
            tenant: TenantId::named(tenants[held.job]),
            grants: held.allocation.to_vec(),
        })
        .collect();
    referee::check(&design.cluster, &design.sharing.cards, &held).unwrap();
}

fn all_hours_exact(scenario: &Scenario, workload: &Workload) -> Vec<Outcome> {
    let keep = || RunOptions { keep_allocations: true, ..RunOptions::default() };
    let found = run_designs(workload, &scenario.designs, &scenario.policy, &keep, &|| false).unwrap();
    let outcomes: Vec<Outcome> = found.into_iter().map(|result| result.outcome).collect();
    for (design, outcome) in scenario.designs.iter().zip(&outcomes) {
        for pool in outcome.hours.pools.iter() {
            assert!(pool.check(), "{}: {pool:?}", design.name);
        }
    }
    outcomes
}

#[test]
fn vms_are_packed_by_cpus_memory_and_vgpus() {
    let of = |text: &str| {
        let design = design(text);
        let has = design.cluster.pools[0].node.capacity;
        (design.cluster.pools[0].count, has.cpus, has.gpus)
    };
    // 32 vGPUs and 64 CPUs on a host.
    assert_eq!(of(&sliced("best-effort", "{ cpus = 2, mem-mb = 1000, vgpus = 1 }", "")), (64, 2, 1));
    assert_eq!(of(&sliced("best-effort", "{ cpus = 2, mem-mb = 1000, vgpus = 3 }", "")), (20, 2, 3));
    assert_eq!(of(&sliced("best-effort", "{ cpus = 8, mem-mb = 1000, vgpus = 1 }", "")), (16, 8, 1));
    let twice = "cpu-overcommit = 2\n";
    assert_eq!(of(&sliced("best-effort", "{ cpus = 8, mem-mb = 1000, vgpus = 1 }", twice)), (32, 8, 1));
    assert_eq!(of(&sliced("best-effort", "{ cpus = 8, mem-mb = 400000, vgpus = 1 }", "")), (4, 8, 1));
    let more = "mem-overcommit = 1.5\n";
    assert_eq!(of(&sliced("best-effort", "{ cpus = 8, mem-mb = 400000, vgpus = 1 }", more)), (6, 8, 1));
    // Two instances 3g on a GPU.
    assert_eq!(of(&instances("{ cpus = 4, mem-mb = 1000, vgpus = 2, mig-profile = '3g.40gb' }")), (16, 4, 2));
    assert_eq!(of(&instances("{ cpus = 4, mem-mb = 1000, vgpus = 1, mig-profile = '1g.10gb' }")), (32, 4, 1));
}

/// VMs 0 and 8 are on GPU 0 of their host: their jobs take turns, the others have a GPU each.
#[test]
fn vms_on_one_gpu_take_turns_and_others_do_not() {
    let shape = "{ cpus = 2, mem-mb = 1000, vgpus = 1 }";
    let rows = (0..9).map(|_| job().run_s(1_000).gpus(1).gpu_milli(250).cpus(2));
    let workload = trace().jobs(rows).build();
    let design = design(&sliced("equal-share", shape, ""));
    let outcome = run(&workload, &design);
    check(&workload, &design, &outcome);
    let times = run_times(&outcome);
    let alone = times[1];
    assert!((times[0] / alone - 2.0).abs() < 1e-6 && (times[8] / alone - 2.0).abs() < 1e-6, "{times:?}");
    assert!(times[1..8].iter().all(|time| *time == alone), "{times:?}");
    assert!(outcome.hours.total().gpu.neighbours > 0);
    // Of equal size and fixed share, nobody feels anybody.
    let outcome = run(&workload, &self::design(&sliced("fixed-share", shape, "")));
    assert!(run_times(&outcome).windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn a_job_runs_in_one_vm_unless_it_asks_for_more() {
    let design = design(&sliced("best-effort", "{ cpus = 4, mem-mb = 1000, vgpus = 2 }", ""));
    let row = |name: &str| named(name).run_s(100).gpu_milli(250);
    let rows = [
        row("fits").gpus(2).cpus(4),
        row("vgpus").gpus(3).cpus(3),
        row("cpus").gpus(1).cpus(5),
        row("nodes").gpus(4).cpus(8).nodes(2),
        row("whole").gpus(1).cpus(1).nodes(1).exclusive(),
        named("gpu").run_s(100).gpus(1).cpus(1),
    ];
    let workload = trace().jobs(rows).build();
    let outcome = run(&workload, &design);
    check(&workload, &design, &outcome);
    let states: Vec<JobState> = outcome.records.iter().map(|record| record.state).collect();
    use JobState::{Completed, Refused};
    assert_eq!(states, [Completed, Refused, Refused, Completed, Completed, Refused]);
    assert!(outcome.refused[0].1.contains("3 vGPUs on a node; a VM on n"), "{:?}", outcome.refused);
    let facts = outcome.shared.as_ref().unwrap();
    // A vGPU is a quarter of 21,000 units; the exclusive job has both of its VM.
    let quarter = 21_000 / 4;
    let units: Vec<u32> = facts.units.iter().copied().collect();
    assert_eq!(units, [2 * quarter, 0, 0, 4 * quarter, 2 * quarter, 0]);
    for held in &facts.holdings {
        let nodes = if held.job.index() == 3 { 2 } else { 1 };
        assert_eq!(held.allocation.len(), nodes);
    }
}

#[test]
fn cpus_that_are_promised_twice_stretch_the_host_share() {
    let design =
        design(&sliced("fixed-share", "{ cpus = 8, mem-mb = 1000, vgpus = 1 }", "cpu-overcommit = 2\n"));
    let times = |jobs: usize| {
        let rows = (0..jobs).map(|_| job().run_s(1_000).gpus(1).gpu_milli(250).cpus(8));
        let workload = trace().jobs(rows).build();
        let outcome = run(&workload, &design);
        check(&workload, &design, &outcome);
        run_times(&outcome)
    };
    let host_share = design.profiles[0].1.shares.at(1, 1)[2];
    assert!(host_share > 0.0);
    // 16 VMs of 8 CPUs on 64; eight at work are no more than there are.
    let (half, all) = (times(8), times(16));
    let ratio = all[0] / half[0];
    assert!((ratio - (1.0 + host_share)).abs() < 1e-6, "{ratio} {host_share}");
    let twelve = times(12)[0] / half[0];
    assert!((twelve - (1.0 + host_share / 2.0)).abs() < 1e-6, "{twelve} {host_share}");
}

#[test]
fn vms_of_a_host_meet_its_noise_together() {
    let noise = "noise = { cv = 0.3, dwell-s = 50 }\n";
    let design = design(&sliced("fixed-share", "{ cpus = 32, mem-mb = 1000, vgpus = 1 }", noise));
    let rows = (0..4).map(|_| job().run_s(3_000).gpus(1).gpu_milli(250).cpus(32));
    let times = run_times(&run(&trace().jobs(rows).build(), &design));
    assert_eq!(times[0], times[1]);
    assert_eq!(times[2], times[3]);
    assert!((times[0] - times[2]).abs() > 1.0, "{times:?}");
}

#[test]
fn instances_of_a_vm_are_its_own_and_the_rest_of_the_gpu_is_stranded() {
    let text = instances("{ cpus = 4, mem-mb = 1000, vgpus = 2, mig-profile = '3g.40gb' }");
    let row = |name: &str| named(name).run_s(1_000);
    let rows = [
        row("both").gpus(2).cpus(2).mig("3g.40gb"),
        row("one").gpus(1).cpus(2).mig("3g.40gb"),
        row("other").gpus(1).cpus(1).mig("1g.10gb"),
        row("more").gpus(3).cpus(3).mig("3g.40gb"),
        row("share").gpus(1).cpus(1).gpu_milli(400),
    ];
    let workload = trace().jobs(rows).build();
    let scenario = scenario(&text);
    let outcome = all_hours_exact(&scenario, &workload).remove(0);
    check(&workload, &scenario.designs[0], &outcome);
    let states: Vec<JobState> = outcome.records.iter().map(|record| record.state).collect();
    use JobState::{Completed, Refused};
    assert_eq!(states, [Completed, Completed, Refused, Refused, Completed]);
    let units: Vec<u32> = outcome.shared.as_ref().unwrap().units.iter().copied().collect();
    assert_eq!(units, [18_000, 9_000, 0, 0, 9_000], "3 of 7 slices each");
    // All 16 GPUs are installed; a seventh of each is in no VM.
    let us = i128::from(outcome.last_instant.since(outcome.first_submit).micros());
    let gpu = outcome.hours.total().gpu;
    assert_eq!(gpu.installed, 16 * 21_000 * us);
    assert_eq!(gpu.stranded, 16 * 3_000 * us);
}

#[test]
fn whole_gpus_in_vms_of_a_shape_stand_beside_vgpus() {
    let text = format!(
        "{}[design.w.pool.p]\nnode = 'n'\ncount = 2\n[design.w.pool.p.tenancy.vm]\n\
         shape = {{ cpus = 16, mem-mb = 100000, gpus = 2 }}\ncpu-overcommit = 1.0\n",
        sliced("best-effort", "{ cpus = 8, mem-mb = 1000, vgpus = 1 }", "")
    );
    let rows = (0..40).map(|at| job().at_s(at * 10).run_s(500).gpus(1).gpu_milli(250).cpus(2));
    let workload = trace().jobs(rows).build();
    let outcomes = all_hours_exact(&scenario(&text), &workload);
    for outcome in &outcomes {
        let us = i128::from(outcome.last_instant.since(outcome.first_submit).micros());
        assert_eq!(outcome.hours.total().gpu.installed, 16 * 21_000 * us);
    }
}

#[test]
fn shapes_that_cannot_be_are_refused() {
    let vm = "{ cpus = 8, mem-mb = 1000, vgpus = 1 }";
    for (text, code, word) in [
        (pool(&format!("shape = {vm}\n")), "W0243", "GPUs are whole"),
        (
            pool("shape = { cpus = 8, mem-mb = 1000, gpus = 1, mig-profile = '1g.10gb' }\n"),
            "W0243",
            "no effect",
        ),
        (sliced("best-effort", "{ cpus = 8, mem-mb = 1000, gpus = 1 }", ""), "W0243", "write `vgpus`"),
        (sliced("best-effort", "{ cpus = 8, mem-mb = 1000 }", ""), "W0243", "needs vGPUs"),
        (sliced("best-effort", "{ cpus = 8, mem-mb = 1000, vgpus = 9 }", ""), "W0243", "GPU of its own"),
        (sliced("best-effort", "{ cpus = 65, mem-mb = 1000, vgpus = 1 }", ""), "W0209", "1 vGPUs fits"),
        (pool(&format!("access = 'vgpu-time-sliced'\nshape = {vm}\n")), "W0243", "vgpus-per-gpu"),
        (instances(vm), "W0243", "which instances"),
        (instances("{ cpus = 8, mem-mb = 1000, vgpus = 1, mig-profile = '9g.1gb' }"), "W0241", "9g.1gb"),
        (
            pool(&format!(
                "access = 'vgpu-mig'\nmig-layouts = [{{ instances = ['3g.40gb'] }}]\nshape = {}\n",
                "{ cpus = 8, mem-mb = 1000, vgpus = 1, mig-profile = '3g.40gb' }"
            )),
            "W0243",
            "beside `shape`",
        ),
        (
            pool(&format!(
                "access = 'vgpu-time-sliced'\nvgpus-per-gpu = 4\nhypervisor = 'esxi'\nshape = {}\n",
                "{ cpus = 8, mem-mb = 1000, vgpus = 9 }"
            )),
            "W0250",
            "devices-per-vm",
        ),
    ] {
        let told = try_scenario(&text).unwrap_err();
        assert!(told.contains(code) && told.contains(word), "{text}\n{told}");
    }
}

proptest! {
    #![proptest_config(config(100))]

    /// VMs of different tenants never share a dedicated host, be it with parts of GPUs; every vGPU lies on a GPU.
    #[test]
    fn vms_of_a_dedicated_host_are_one_tenants(
        rows in prop::collection::vec((0i64..40, 1i64..4_000, 1u32..=3, 0usize..4), 1..100), is_mig in prop::bool::ANY,
    ) {
        let mut now = 0;
        let rows: Vec<_> = rows.into_iter().map(|(gap, run, gpus, tenant)| {
            now += gap;
            let mut row = job().at_s(now).run_s(run).gpus(gpus).gpu_milli(125).cpus(gpus).nodes(1 + gpus / 3);
            row.tenant = [None, Some("a"), Some("b"), Some("c")][tenant].map(str::to_owned);
            row
        }).collect();
        let workload = trace().jobs(rows).build();
        let text = if is_mig {
            instances("{ cpus = 4, mem-mb = 1000, vgpus = 2, mig-profile = '1g.10gb' }")
        } else {
            sliced("equal-share", "{ cpus = 4, mem-mb = 1000, vgpus = 2 }", "")
        };
        let design = design(&text.replace("count = 2\n", "count = 2\ndedicated = 'host'\n"));
        prop_assert_eq!(design.cluster.pools[0].dedicated, Some(16));
        let outcome = run(&workload, &design);
        prop_assert!(outcome.refused.is_empty());
        check(&workload, &design, &outcome);
    }

    /// With a VM for each vGPU and CPUs for all, cutting a host into VMs changes nothing: jobs of one vGPU start and
    /// end as where the host is not cut.
    #[test]
    fn a_vm_for_each_vgpu_is_as_good_as_none(
        rows in prop::collection::vec((0i64..40, 1i64..4_000, 1u32..=250), 1..120),
    ) {
        let mut now = 0;
        let rows: Vec<_> = rows.into_iter().map(|(gap, run, milli)| {
            now += gap;
            job().at_s(now).run_s(run).gpus(1).gpu_milli(milli).cpus(1)
        }).collect();
        let workload = trace().jobs(rows).build();
        let cut = design(&sliced("fixed-share", "{ cpus = 2, mem-mb = 1000, vgpus = 1 }", ""));
        let whole = sliced("fixed-share", "SHAPE", "").replace("shape = SHAPE\n", "");
        let (cut_run, whole_run) = (run(&workload, &cut), run(&workload, &design(&whole)));
        check(&workload, &cut, &cut_run);
        prop_assert_eq!(cut_run.records, whole_run.records);
    }
}

#[test]
fn the_shipped_scenario_runs() {
    let path = shipped("scenarios/vgpu-shapes.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let scenario = load_text("test.toml", text, std::path::Path::new(&path).parent().unwrap(), &[]).unwrap();
    let loaded = windtunnel::experiment::load_workload(&scenario.workload, false).unwrap();
    let outcomes = all_hours_exact(&scenario, &loaded.workload);
    for (design, outcome) in scenario.designs.iter().zip(&outcomes) {
        check(&loaded.workload, design, outcome);
        assert!(outcome.refused.is_empty(), "{}: {:?}", design.name, outcome.refused.first());
    }
}

#[test]
fn jobs_are_killed_at_the_limit_that_their_part_needs() {
    let shape = "{ cpus = 2, mem-mb = 1000, vgpus = 1 }";
    let row = || job().run_s(1_000).gpus(1).gpu_milli(250).cpus(2);
    let boot = "boot = { low-s = 30.0, typical-s = 30.0, high-s = 30.0 }\n";
    let play = |slices: &str, more: &str, rows: Vec<JobRow>| {
        let design = design(&sliced(slices, shape, &format!("{more}{boot}")));
        let workload = trace().jobs(rows).build();
        let outcome = run(&workload, &design);
        check(&workload, &design, &outcome);
        outcome
    };
    let kill = "at-limit = 'kill'\n";
    let rows = || vec![row().limit_s(600), row().limit_s(1_000), row().limit_s(999)];
    let killed = play("fixed-share", kill, rows());
    let states = |outcome: &Outcome| outcome.records.iter().map(|record| record.state).collect::<Vec<_>>();
    assert_eq!(states(&killed), [JobState::Timeout, JobState::Completed, JobState::Timeout]);
    // The limit begins when the VM is up, 30 s after the start.
    assert_eq!(run_times(&killed), [630.0, 1_030.0, 1_029.0]);
    let left = play("fixed-share", "", rows());
    assert_eq!(states(&left), [JobState::Completed; 3]);
    // Where a whole GPU is lent, the job is four times as fast and so is its limit; four on a GPU are killed.
    let alone = play("equal-share", kill, vec![row().limit_s(1_100)]);
    assert_eq!(states(&alone), [JobState::Completed]);
    let together = play("equal-share", kill, (0..32).map(|_| row().limit_s(1_100)).collect());
    assert!(states(&together).iter().all(|state| *state == JobState::Timeout), "{:?}", run_times(&together));
}

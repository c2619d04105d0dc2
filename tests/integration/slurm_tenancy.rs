//! Virtual machines, shared hosts and noisy neighbours under Slurm's policy.

use windtunnel::experiment::{LoadedWorkload, load_workload, run_design};
use windtunnel::scenario::{Scenario, load};
use windtunnel::simulation::{JobState, Outcome, RunOptions};
use windtunnel::time::SimTime;
use windtunnel::workload::Workload;

use super::tenancy::EVERY_SHARE;
use super::terminal::Desk;

/// Two nodes of the site, on which preemption requeues; own pools join its partitions.
const SITE: &str = "\
ClusterName=site
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=30
SelectTypeParameters=CR_Core_Memory
PriorityType=priority/multifactor
PriorityWeightAge=1000
PriorityWeightJobSize=1000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n[1-2] CPUs=64 RealMemory=1000000 Gres=gpu:a100:8
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE MaxTime=UNLIMITED
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF MaxTime=UNLIMITED
";

const HARDWARE: &str = "\
[node.n]
cpus = 64
mem-mb = 1000000
gpus = 8
gpu = 'a100'
[gpu.a100]
memory-gb = 80
";

/// Jobs of many sizes in two partitions, some exclusive, some sessions, some on several nodes.
fn jobs(count: usize) -> String {
    let mut state = 12_345_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text = String::from(
        "job_id,submit_s,run_s,limit_s,nodes,gpus,cpus,user,partition,gpu_util,exclusive,kind\n",
    );
    for at in 0..count {
        let nodes = [1, 1, 1, 2, 4][next(5) as usize];
        let gpus = nodes * [1, 2, 2][next(3) as usize];
        let run = 60 + next(6_000);
        let limit = run + [30, 600, 6_000][next(3) as usize];
        let partition = if next(6) == 0 { "high" } else { "low" };
        let util = next(100) as f64 / 100.0;
        let (exclusive, kind) = (u8::from(next(8) == 0), if next(8) == 0 { "session" } else { "work" });
        text += &format!(
            "{at},{},{run},{limit},{nodes},{gpus},{},u{},{partition},{util},{exclusive},{kind}\n",
            at * 90,
            gpus * 4,
            next(4)
        );
    }
    text
}

/// A desk with the site and these designs.
fn desk(designs: &str) -> Desk {
    let desk = Desk::new();
    desk.put("slurm.conf", SITE);
    desk.put("jobs.csv", jobs(250));
    let head = "[workload]\ntrace = 'jobs.csv'\n[policy.slurm]\nconf = 'slurm.conf'\n";
    desk.put("s.toml", format!("{head}{HARDWARE}{designs}"));
    desk
}

fn read(desk: &Desk) -> (Scenario, Workload) {
    let scenario = load(&desk.path("s.toml"), &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let LoadedWorkload { workload, .. } = load_workload(&scenario.workload, false).unwrap();
    (scenario, workload)
}

fn run(scenario: &Scenario, workload: &Workload, design: &str, seed: u64) -> Outcome {
    let design = scenario.designs.iter().find(|known| known.name == design).unwrap();
    let options = RunOptions { seed, keep_allocations: true, ..RunOptions::default() };
    let outcome = run_design(workload, design, &scenario.policy, &options).unwrap();
    for pool in outcome.hours.pools.iter() {
        assert!(pool.check(), "{pool:?}");
        for device in [&pool.gpu, &pool.cpu] {
            assert!(device.productive >= 0 && device.held_idle >= 0 && device.lost >= 0, "{device:?}");
        }
    }
    outcome
}

fn pool(design: &str, tenancy: &str) -> String {
    format!(
        "[design.{design}.pool.p]\nnode = 'n'\ncount = 4\npartitions = ['low', 'high']\n\
         [design.{design}.pool.p.tenancy.{tenancy}\n"
    )
}

/// Jobs that held nodes of the site and of the pool at once.
fn in_two_pools(outcome: &Outcome) -> usize {
    let mixed = |nodes: &mut dyn Iterator<Item = u32>| {
        let (site, own): (Vec<u32>, Vec<u32>) = nodes.partition(|node| *node < 2);
        !site.is_empty() && !own.is_empty()
    };
    outcome.holdings().filter(|(_, _, _, held)| mixed(&mut held.iter().map(|grant| grant.node.0))).count()
}

#[test]
fn with_factors_of_one_vms_are_bare_metal_bit_for_bit() {
    let overhead = format!("overhead]\n{}", EVERY_SHARE.replace('F', "1"));
    let vm = pool("vm", "vm]\ncontention = 'off'\n[design.vm.pool.p.tenancy.vm.");
    let desk = desk(&format!("{}{}{overhead}", pool("metal", "bare-metal]"), vm.trim_end()));
    let (scenario, workload) = read(&desk);
    for seed in 1..4 {
        let (metal, vm) = (run(&scenario, &workload, "metal", seed), run(&scenario, &workload, "vm", seed));
        assert_eq!(metal.records, vm.records);
        assert_eq!(metal.hours, vm.hours);
        assert_eq!(metal.slurm, vm.slurm);
        assert_eq!(metal.allocations, vm.allocations);
        assert_eq!((metal.events, metal.passes), (vm.events, vm.passes));
        let gpu = vm.hours.total().gpu;
        assert!(gpu.lost > 0 && gpu.held_idle > 0 && gpu.slack > 0, "{gpu:?}");
        assert!(in_two_pools(&vm) > 10 && !vm.slurm.unwrap().requeued.is_empty());
    }
}

const NOISY: &str = "vm]\nnic = 'paravirtual'\ncontention = 'high'\ncpu-overcommit = 2\nboot = {}\n\
                     shape = { cpus = 32, mem-mb = 200000, gpus = 2 }\noverhead = { level = 'drawn' }\n\
                     noise = { cv = 0.3, busy-share = 0.2, dwell-s = 900 }";

#[test]
fn nothing_runs_faster_than_on_bare_metal_and_the_ledger_is_exact() {
    let desk = desk(&pool("vm", NOISY));
    let (scenario, workload) = read(&desk);
    for seed in 1..3 {
        let outcome = run(&scenario, &workload, "vm", seed);
        let mut timeouts = 0;
        for (id, record) in outcome.records.iter_ids() {
            timeouts += u64::from(record.state == JobState::Timeout);
            if record.state == JobState::Completed {
                let (from, to) = outcome.stretches(id).last().unwrap();
                assert!(to.since(from) >= workload.jobs[id].run);
            }
        }
        let facts = outcome.tenancy.as_deref().unwrap();
        assert!(timeouts > 10, "{timeouts}");
        assert_eq!(facts.timeouts, timeouts);
        assert!(facts.epochs > 0 && facts.boots > 100 && facts.retunes > 0, "{facts:?}");
        assert!(in_two_pools(&outcome) > 10);
        let gpu = outcome.hours.total().gpu;
        for (what, units) in [
            ("virtualization", gpu.virtualization),
            ("neighbours", gpu.neighbours),
            ("boots", gpu.restart),
            ("lost", gpu.lost),
            ("held idle", gpu.held_idle),
            ("slack", gpu.slack),
            ("productive", gpu.productive),
        ] {
            assert!(units > 0, "{what}");
        }
        let again = run(&scenario, &workload, "vm", seed);
        assert_eq!((again.records, again.hours), (outcome.records, outcome.hours));
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    let desk = desk(&format!("{}{}", pool("metal", "bare-metal]"), pool("vm", NOISY)));
    let answers = ["1", "2"].map(|threads| {
        let mut command = desk.command(&["compare", "s.toml", "--json", "--quiet"]);
        let output = command.env("RAYON_NUM_THREADS", threads).output().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        told["designs"].clone()
    });
    assert!(answers[0]["vm"]["gpu_hours"]["neighbours"].as_f64().unwrap() > 0.0);
    let figures = |answer: &serde_json::Value| {
        ["metal", "vm"].map(|design| {
            ["wait_s", "gpu_hours", "cpu_hours", "jobs", "tenancy"].map(|key| answer[design][key].clone())
        })
    };
    assert_eq!(figures(&answers[0]), figures(&answers[1]));
}

/// One pool under `policy`, with one job after the other in the rows of `jobs`.
fn alone(policy: &str, tenancy: &str, jobs: &str) -> (Scenario, Workload) {
    let desk = Desk::new();
    desk.put("jobs.csv", format!("job_id,submit_s,run_s,limit_s,gpus,cpus\n{jobs}"));
    desk.put(
        "s.toml",
        format!(
            "[workload]\ntrace = 'jobs.csv'\n{policy}\n{HARDWARE}[design.d.pool.p]\nnode = 'n'\ncount = 2\n\
             [design.d.pool.p.tenancy.{tenancy}\n"
        ),
    );
    read(&desk)
}

#[test]
fn a_slow_job_is_killed_at_the_limit_that_was_asked_for() {
    let half = format!(
        "vm]\ncontention = 'off'\noverhead = {{ {} }}",
        EVERY_SHARE.replace('F', "1.5").replace('\n', ", ")
    );
    let half = half.replace(",  }", " }");
    let rows = "a,0,3000,3000,8,8\nb,0,1000,3000,8,8\n";
    let (scenario, workload) = alone("[policy.slurm]", &half, rows);
    let outcome = run(&scenario, &workload, "d", 1);
    let records: Vec<_> = outcome.records.iter().collect();
    assert_eq!(records[0].state, JobState::Timeout);
    let ran = records[0].end.since(records[0].start).as_s();
    assert!((2_999.0..=3_035.0).contains(&ran), "{ran}");
    assert_eq!(records[1].state, JobState::Completed);
    let ran = records[1].end.since(records[1].start).as_s();
    assert!((1_500.0..1_500.2).contains(&ran), "{ran}");
    assert_eq!(outcome.tenancy.as_deref().unwrap().timeouts, 1);
    // Work that was killed took place; a third of it went to the VM.
    let gpu = outcome.hours.total().gpu;
    let share = gpu.virtualization as f64 / (gpu.virtualization + gpu.productive) as f64;
    assert!((share - 1.0 / 3.0).abs() < 1e-4 && gpu.lost == 0, "{share}");

    let (scenario, workload) = alone("[policy.slurm]\novertimelimit = '60'", &half, rows);
    let outcome = run(&scenario, &workload, "d", 1);
    assert!(outcome.records.iter().all(|record| record.state == JobState::Completed));
}

#[test]
fn hosts_meet_the_same_noise_as_under_a_classic_policy() {
    let noise = "vm]\nboot = {}\ncontention = 'off'\noverhead = { level = 'drawn' }\nnoise = { cv = 0.3, dwell-s = 600 }";
    let rows = "a,0,20000,90000,8,8\nb,0,30000,90000,8,8\nc,10,20000,90000,8,8\n";
    // Slurm's pace is left out, so that jobs start at the same instants.
    let times = ["[policy.slurm]\nbackfill = 'easy'", "[policy.easy]"].map(|policy| {
        let (scenario, workload) = alone(policy, noise, rows);
        let outcome = run(&scenario, &workload, "d", 7);
        outcome.records.iter().map(|record| (record.start, record.end)).collect::<Vec<_>>()
    });
    assert_eq!(times[0], times[1]);
}

#[test]
fn what_slurms_engine_does_not_run_is_refused_by_its_key() {
    let told = |tenancy: &str| {
        let desk = desk(&pool("vm", tenancy));
        load(&desk.path("s.toml"), &[]).map(|_| ()).map_err(|problems| {
            problems.kept().iter().map(|problem| format!("{problem:?}\n")).collect::<String>()
        })
    };
    for (tenancy, words) in [
        ("vm]\nfailures = { requeue = false }", "jobrequeue"),
        ("vm]\nat-limit = 'run-on'", "Slurm kills jobs at their limits"),
    ] {
        let problems = told(tenancy).err().unwrap_or_default();
        assert!(problems.contains("W0219") && problems.contains(words), "{tenancy}\n{problems}");
        assert_eq!(problems.matches("W0219").count(), 1, "{problems}");
    }
    for tenancy in [
        "vm]\nelastic = {}",
        "vm]\naccess = 'vgpu-time-sliced'",
        "vm]\naccess = 'vgpu-full'",
        "containers]\nnoise = {}",
        "bare-metal]\ncontention = 'low'",
    ] {
        assert_eq!(told(tenancy), Ok(()), "{tenancy}");
    }
}

/// Hosts that fail, are worked on, and whose jobs are snapshot, with noise, preemption and jobs in two pools.
const HARD: &str = "vm]\ncontention = 'high'\nboot = {}\nshape = { cpus = 16, mem-mb = 200000, gpus = 2 }\n\
                    noise = { cv = 0.2, dwell-s = 900 }\nfailures = { mtbf-hours = 3, repair = { typical-s = 1200 } }\n\
                    maintenance = { every-days = 0.2, hours = 0.5 }";

#[test]
fn hosts_fail_and_are_worked_on_under_slurm() {
    let with_snapshots = format!("{HARD}\nsnapshots = {{ every-s = 600, takes-s = 10, restore-s = 60 }}");
    let desk = desk(&format!("{}\n{}", pool("plain", HARD), pool("kept", &with_snapshots)));
    let (scenario, workload) = read(&desk);
    for seed in 1..3 {
        let [plain, kept] = ["plain", "kept"].map(|design| run(&scenario, &workload, design, seed));
        for outcome in [&plain, &kept] {
            let facts = outcome.tenancy.as_deref().unwrap();
            assert!(facts.failures > 5 && facts.lost_attempts > 3, "{facts:?}");
            let gpu = outcome.hours.total().gpu;
            assert!(gpu.down > 0 && gpu.lost > 0 && gpu.neighbours > 0, "{gpu:?}");
            let ended = outcome.records.iter().filter(|record| record.end != SimTime::NEVER).count();
            assert_eq!(ended, workload.jobs.len());
            for (id, _) in workload.jobs.iter_ids() {
                let stretches: Vec<_> = outcome.stretches(id).collect();
                assert!(stretches.windows(2).all(|pair| pair[0].1 <= pair[1].0), "attempts do not overlap");
            }
        }
        let lost = |outcome: &Outcome| outcome.hours.total().gpu.lost;
        assert!(lost(&kept) < lost(&plain) && kept.hours.total().gpu.storage > 0);
        let again = run(&scenario, &workload, "kept", seed);
        assert_eq!((again.records, again.hours), (kept.records, kept.hours));
    }
}

#[test]
fn a_failed_host_requeues_its_jobs_and_is_down_until_it_is_repaired() {
    // One host of two fails while a long job runs on it; what it did is lost, and it begins anew.
    let fails = "vm]\ncontention = 'off'\nfailures = { mtbf-hours = 20, repair = { low-s = 3600, typical-s = 3600, high-s = 3600 } }";
    let rows = "a,0,80000,400000,8,8\nb,0,80000,400000,8,8\n";
    let (scenario, workload) = alone("[policy.slurm]", fails, rows);
    let (easy, _) = alone("[policy.easy]", fails, rows);
    for seed in 1..6 {
        let outcome = run(&scenario, &workload, "d", seed);
        let facts = outcome.tenancy.as_deref().unwrap();
        assert_eq!(outcome.slurm.as_deref().unwrap().requeued.is_empty(), facts.lost_attempts == 0);
        assert!(outcome.records.iter().all(|record| record.state == JobState::Completed));
        // The same hosts fail at the same instants as under a classic policy.
        let classic = run(&easy, &workload, "d", seed);
        let first_loss = |outcome: &Outcome| {
            let ends = workload.jobs.ids().filter(|id| outcome.starts(*id) > 1);
            ends.map(|id| outcome.stretches(id).next().unwrap().1).min()
        };
        assert_eq!(first_loss(&outcome), first_loss(&classic));
    }
}

#[test]
fn a_job_much_longer_than_hosts_last_is_given_up_under_slurm() {
    let fails = "vm]\nfailures = { mtbf-hours = 0.5, repair = { low-s = 60, typical-s = 60, high-s = 60 } }";
    let (scenario, workload) = alone("[policy.slurm]", fails, "a,0,80000,400000,8,8\n");
    let outcome = run(&scenario, &workload, "d", 1);
    assert_eq!(outcome.tenancy.as_deref().unwrap().lost_attempts, 1_000);
    assert_eq!(outcome.records.iter().next().unwrap().state, JobState::Cancelled);
}

#[test]
fn a_job_stands_still_while_its_vms_are_moved() {
    let moved = format!(
        "vm]\naccess = 'vgpu-full'\ncontention = 'off'\n\
         maintenance = {{ every-days = 1, hours = 2, live-migration = true, stun-s = 30 }}\n\
         [design.d.pool.p.tenancy.vm.overhead]\n{}",
        EVERY_SHARE.replace('F', "1").trim_end()
    );
    // Two hosts, due at 12 h, 24 h, 36 h, ...; the job of 100,000 s on both meets two moves.
    let (scenario, workload) =
        alone("[policy.slurm]\nbackfill = 'easy'", &moved, "a,0,100000,200000,16,16\n");
    let outcome = run(&scenario, &workload, "d", 1);
    let record = outcome.records.iter().next().unwrap();
    assert_eq!(record.end.since(record.start).as_s(), 100_060.0);
    let gpu = outcome.hours.total().gpu;
    assert_eq!(gpu.virtualization, 16 * 60 * 1_000_000 * 21_000);
}

//! Virtual machines and shared hosts: what they cost, how hosts vary, pools that grow, jobs that are routed.

use windtunnel::experiment::run_design;
use windtunnel::ids::{Id, IdVec, JobId, PoolId};
use windtunnel::scenario::{Design, Scenario, load_text};
use windtunnel::simulation::{Outcome, RunOptions, Speed, Speeds};
use windtunnel::workload::Workload;

use super::builders::{self, JobRow, named, trace};
use super::terminal::shipped;

/// A scenario around `pools`, on nodes of 8 GPUs and 64 CPUs.
pub(super) fn scenario(pools: &str) -> Scenario {
    try_scenario(pools).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(super) fn try_scenario(pools: &str) -> Result<Scenario, String> {
    let text = format!(
        "[workload]\ntrace = '{}'\n[policy.easy]\n[node.n]\ncpus = 64\nmem-mb = 1000000\ngpus = 8\n\
         gpu = 'A100-80GB-SXM'\n{pools}",
        shipped("traces/research-team.csv")
    );
    load_text("test.toml", text, std::path::Path::new(""), &[])
        .map_err(|problems| problems.kept().iter().map(|p| format!("{p:?}\n")).collect())
}

pub(super) fn design(pools: &str) -> Design {
    scenario(pools).designs.remove(0)
}

pub(super) fn try_run(workload: &Workload, design: &Design, policy: &str, seed: u64) -> Outcome {
    let mut scenario = scenario("[design.d.pool.p]\nnode = 'n'\ncount = 1\n");
    if policy != "easy" {
        let spec = builders::classic(policy);
        scenario.policy = windtunnel::scenario::PolicyChoice::Classic(spec);
    }
    let options = RunOptions { seed, keep_allocations: true, ..RunOptions::default() };
    let outcome = run_design(workload, design, &scenario.policy, &options).unwrap();
    for pool in outcome.hours.pools.iter() {
        assert!(pool.check(), "{pool:?}");
    }
    outcome
}

pub(super) fn run(workload: &Workload, design: &Design) -> Outcome {
    try_run(workload, design, "easy", 1)
}

/// Run times in seconds.
pub(super) fn run_times(outcome: &Outcome) -> Vec<f64> {
    outcome.records.iter().map(|record| record.end.since(record.start).as_s()).collect()
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub(super) fn cv(values: &[f64]) -> f64 {
    let mean = mean(values);
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (values.len() - 1) as f64;
    variance.sqrt() / mean
}

/// `count` jobs at once, each with whole nodes of its own.
pub(super) fn apart(count: usize, nodes: u32, run_s: i64) -> Workload {
    let rows = (0..count).map(|_| builders::job().run_s(run_s).nodes(nodes).gpus(8 * nodes));
    trace().jobs(rows).build()
}

/// Jobs of many sizes and lengths, from a linear congruence.
pub(super) fn mixed(count: usize) -> Workload {
    let mut state = 12_345_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let rows = (0..count).map(|at| {
        let row = builders::job();
        let gpus = [1, 1, 2, 4, 8, 16][next(6) as usize];
        row.at_s(at as i64 * 200).run_s(100 + next(20_000) as i64).limit_s(40_000).gpus(gpus).cpus(gpus * 4)
    });
    trace().jobs(rows.collect::<Vec<_>>()).build()
}

pub(super) const EVERY_SHARE: &str =
    "compute = F\ngpu-memory = F\nhost = F\nintra-node = F\ninter-node = F\nstorage = F\n";

fn constant(factor: f64) -> String {
    format!(
        "[design.d.pool.p]\nnode = 'n'\ncount = 4\n[design.d.pool.p.tenancy.vm]\ncontention = 'off'\n\
         [design.d.pool.p.tenancy.vm.overhead]\n{}",
        EVERY_SHARE.replace('F', &factor.to_string())
    )
}

#[test]
fn without_noise_a_vm_is_bare_metal_with_constant_factors_bit_for_bit() {
    let workload = mixed(600);
    for (factor, policy) in [(1.0, "easy"), (1.13, "easy"), (1.5, "fcfs"), (1.07, "conservative")] {
        let vm = try_run(&workload, &design(&constant(factor)), policy, 1);
        let speed = Speed::from_ratio(1.0 / factor).unwrap();
        let row: IdVec<PoolId, Speed> = [speed].into_iter().collect();
        let speeds = Speeds::new(IdVec::filled(workload.jobs.len(), 0), vec![row]);
        let bare = design("[design.d.pool.p]\nnode = 'n'\ncount = 4\n");
        // Limits stay as asked in a VM, so the other run must not stretch them either.
        let options = RunOptions { speeds: Some(&speeds), ..RunOptions::default() };
        let spec = builders::policy_of(&builders::classic(policy));
        if factor == 1.0 {
            let metal = windtunnel::simulation::simulate(&workload, &bare.cluster, spec, &options).unwrap();
            assert_eq!(metal.records, vm.records);
            assert_eq!(metal.hours, vm.hours);
            continue;
        }
        for (id, record) in vm.records.iter_ids() {
            assert_eq!(record.end.since(record.start), speed.time_of(workload.jobs[id].run), "{policy}");
        }
        let gpu = vm.hours.total().gpu;
        let held = gpu.productive + gpu.virtualization;
        let share = gpu.virtualization as f64 / held as f64;
        assert!((share - (1.0 - 1.0 / factor)).abs() < 1e-6, "{share}");
        assert_eq!(gpu.neighbours, 0);
    }
}

#[test]
fn nothing_runs_faster_than_on_bare_metal_and_the_ledger_is_exact() {
    let workload = mixed(400);
    let pools = "[design.d.pool.p]\nnode = 'n'\ncount = 4\n[design.d.pool.p.tenancy.vm]\n\
                 contention = 'high'\ncpu-overcommit = 2\nnic = 'paravirtual'\n\
                 shape = { cpus = 32, mem-mb = 200000, gpus = 2 }\nboot = {}\n\
                 [design.d.pool.p.tenancy.vm.overhead]\nlevel = 'drawn'\n\
                 [design.d.pool.p.tenancy.vm.noise]\ncv = 0.3\nbusy-share = 0.2\ndwell-s = 900\n\
                 [design.d.pool.p.tenancy.vm.maintenance]\nevery-days = 0.2\nhours = 0.5\n";
    for seed in 1..5 {
        for policy in ["easy", "fcfs", "greedy"] {
            let outcome = try_run(&workload, &design(pools), policy, seed);
            for (id, record) in outcome.records.iter_ids() {
                assert!(record.end.since(record.start) >= workload.jobs[id].run);
            }
            let gpu = outcome.hours.total().gpu;
            for (what, units) in [
                ("virtualization", gpu.virtualization),
                ("neighbours", gpu.neighbours),
                ("boots", gpu.restart),
                ("down", gpu.down),
                ("productive", gpu.productive),
            ] {
                assert!(units > 0, "{what}");
            }
            let again = try_run(&workload, &design(pools), policy, seed);
            assert_eq!((again.records, again.hours), (outcome.records, outcome.hours));
        }
    }
}

fn noisy(hosts: u32, cv: f64, dwell_s: u32, spread: f64) -> Design {
    design(&format!(
        "[design.d.pool.p]\nnode = 'n'\ncount = {hosts}\n[design.d.pool.p.tenancy.vm]\ncontention = 'off'\n\
         [design.d.pool.p.tenancy.vm.overhead]\n{}\
         [design.d.pool.p.tenancy.vm.noise]\ncv = {cv}\nbusy-share = 0.2\ndwell-s = {dwell_s}\nspread = {spread}\n",
        EVERY_SHARE.replace('F', "1.0")
    ))
}

#[test]
fn run_times_of_short_jobs_vary_as_the_settings_say() {
    for asked in [0.02, 0.1, 0.5] {
        let times = run_times(&run(&apart(10_000, 1, 10), &noisy(10_000, asked, 3600, 0.1)));
        assert!((cv(&times) / asked - 1.0).abs() < 0.05, "asked {asked}, found {}", cv(&times));
    }
}

/// Work done in a long time T varies by 2 p (1 - p) D^2 t T, where D is the difference of the two speeds and t
/// the relaxation time of the two-state chain.
#[test]
fn long_jobs_average_over_epochs() {
    let (asked, p, dwell, run_s): (f64, f64, f64, f64) = (0.3, 0.2, 60.0, 12_000.0);
    let times = run_times(&run(&apart(4_000, 1, 12_000), &noisy(4_000, asked, 60, 0.0)));
    let level = asked / ((p * (1.0 - p)).sqrt() - asked * p);
    let (fast, slow) = (1.0, 1.0 / (1.0 + level));
    let speed = (1.0 - p) * fast + p * slow;
    let relaxation = 1.0 / (1.0 / (2.0 * dwell * (1.0 - p)) + 1.0 / (2.0 * dwell * p));
    let span = run_s / speed;
    let difference: f64 = fast - slow;
    let expected = (2.0 * p * (1.0 - p) * relaxation / span).sqrt() * difference / speed;
    assert!((mean(&times) / span - 1.0).abs() < 0.01, "{} against {span}", mean(&times));
    assert!((cv(&times) / expected - 1.0).abs() < 0.06, "{} against {expected}", cv(&times));
}

#[test]
fn a_job_on_many_hosts_runs_at_the_slowest() {
    let (asked, p): (f64, f64) = (0.2, 0.2);
    let level = asked / ((p * (1.0 - p)).sqrt() - asked * p);
    for hosts in [1, 2, 8] {
        let times = run_times(&run(&apart(2_000, hosts, 10), &noisy(2_000 * hosts, asked, 36_000, 0.0)));
        let expected = 10.0 * (1.0 + level * (1.0 - libm::pow(1.0 - p, f64::from(hosts))));
        assert!((mean(&times) / expected - 1.0).abs() < 0.01, "{hosts}: {} against {expected}", mean(&times));
    }
}

#[test]
fn the_same_host_meets_the_same_noise_in_every_design() {
    let first = run(&apart(50, 1, 5_000), &noisy(50, 0.3, 600, 0.1));
    let text = "[design.other.pool.a]\nnode = 'n'\ncount = 30\n[design.other.pool.a.tenancy.vm]\ncontention = 'off'\n\
                [design.other.pool.a.tenancy.vm.overhead]\nF[design.other.pool.a.tenancy.vm.noise]\n\
                cv = 0.3\nbusy-share = 0.2\ndwell-s = 600\nspread = 0.1\n";
    let more = text.replace("pool.a", "pool.b").replace("30", "20");
    let both = (text.to_owned() + &more).replace('F', &EVERY_SHARE.replace('F', "1.0"));
    let second = run(&apart(50, 1, 5_000), &design(&both));
    assert_eq!(first.records, second.records);
    assert!(cv(&run_times(&first)) > 0.01);
}

#[test]
fn the_overhead_of_a_pure_class_is_the_catalogues_and_grows_with_size() {
    let shares = |class: &str| {
        format!(
            "[job-shares.default]\n{class}\n[design.d.pool.p]\nnode = 'n'\ncount = 8\n\
             [design.d.pool.p.tenancy.vm]\ncontention = 'off'\n"
        )
    };
    let pure = "compute = 1.0\ngpu-memory = 0.0\nhost = 0.0\nstorage = 0.0";
    let times = |class: &str, nodes: u32, gpus: u32| {
        let row = builders::job().run_s(1_000_000).nodes(nodes).gpus(gpus);
        mean(&run_times(&run(&trace().jobs([row]).build(), &design(&shares(class))))) / 1e6
    };
    // passthrough under KVM, typical: compute 1.01.
    assert!((times(pure, 1, 1) - 1.01).abs() < 1e-6);
    let storage = "compute = 0.0\ngpu-memory = 0.0\nhost = 0.0\nstorage = 1.0";
    assert!((times(storage, 1, 1) - 1.08).abs() < 1e-6);
    let (one, node, eight) = (times("", 1, 1), times("", 1, 8), times("", 8, 64));
    assert!(one < 1.03 && one < eight && node < eight && eight > 1.03, "{one} {node} {eight}");
}

#[test]
fn neighbours_cost_what_the_scheduler_packs_together() {
    let pools = |level: &str| {
        design(&format!(
            "[design.d.pool.p]\nnode = 'n'\ncount = 1\n[design.d.pool.p.tenancy.containers]\n\
             contention = '{level}'\nboot = {{ typical-s = 0 }}\n"
        ))
    };
    let job = || builders::job().run_s(10_000).gpus(1);
    let alone = run(&trace().jobs([job()]).build(), &pools("high"));
    assert_eq!(run_times(&alone), [10_000.0]);
    let rows: Vec<JobRow> = (0..8).map(|_| job()).collect();
    let crowd = trace().jobs(rows).build();
    let (off, typical, high) =
        (run(&crowd, &pools("off")), run(&crowd, &pools("typical")), run(&crowd, &pools("high")));
    assert_eq!(run_times(&off)[0], 10_000.0);
    assert!(run_times(&typical)[0] > 10_000.0 && run_times(&high)[0] > run_times(&typical)[0]);
    assert!(high.hours.total().gpu.neighbours > 0 && high.hours.total().gpu.virtualization == 0);
}

const ELASTIC: &str = "[design.d.pool.p]\nnode = 'n'\ncount = 4\n[design.d.pool.p.tenancy.vm]\ncontention = 'off'\n\
                       [design.d.pool.p.tenancy.vm.overhead]\nF[design.d.pool.p.tenancy.vm.elastic]\nmin = 1\n\
                       in-after-s = 300\nboot = { low-s = 100, typical-s = 100, high-s = 100 }\n";

fn elastic(more: &str) -> Design {
    design(&(ELASTIC.replace("F[", &format!("{}[", EVERY_SHARE.replace('F', "1.0"))) + more))
}

#[test]
fn an_elastic_pool_grows_for_a_burst_and_shrinks_after_it() {
    let whole = || builders::job().run_s(1_000).gpus(8);
    let burst: Vec<JobRow> = (0..4).map(|_| whole()).collect();
    let outcome = run(&trace().jobs(burst).build(), &elastic(""));
    let mut starts: Vec<f64> = outcome.records.iter().map(|record| record.start.as_s()).collect();
    starts.sort_by(f64::total_cmp);
    assert_eq!(starts, [0.0, 100.0, 100.0, 100.0]);
    let facts = outcome.tenancy.as_ref().unwrap();
    let pool = facts.elastic[PoolId::new(0)];
    assert_eq!((pool.ordered, pool.failed, pool.given_back, pool.most), (3, 0, 3, 4));
    // One VM to the last instant (1400 s), three from their order to 300 s after their jobs.
    assert_eq!(outcome.last_instant.as_s(), 1_400.0);
    assert_eq!(pool.vm_us, 4 * 1_400 * 1_000_000);
    assert_eq!(facts.usage.iter().filter(|row| row.is_committed).count(), 1);
    let gpu = outcome.hours.total().gpu;
    let hours = |units: i128| units / (windtunnel::simulation::meter::UNITS_PER_DEVICE * 1_000_000);
    assert_eq!(hours(gpu.installed), 4 * 8 * 1_400);
    assert_eq!(hours(gpu.restart), 3 * 8 * 100);
    assert_eq!(hours(gpu.productive), 4 * 8 * 1_000);
}

#[test]
fn failed_orders_are_tried_again_and_quotas_hold() {
    let whole = || builders::job().run_s(1_000).gpus(8);
    let burst: Vec<JobRow> = (0..12).map(|_| whole()).collect();
    let workload = trace().jobs(burst).build();
    let outcome = run(&workload, &elastic("failure = 0.5\nretry-s = 10\n"));
    let pool = outcome.tenancy.as_ref().unwrap().elastic[PoolId::new(0)];
    assert!(pool.failed > 0 && pool.ordered == pool.failed + pool.given_back);
    let outcome = run(&workload, &elastic("quota = 2\n"));
    let pool = outcome.tenancy.as_ref().unwrap().elastic[PoolId::new(0)];
    assert_eq!(pool.most, 2);
}

#[test]
fn hosts_are_maintained_by_draining_or_by_moving_their_vms() {
    let pools = |more: &str| {
        design(&format!(
            "[design.d.pool.p]\nnode = 'n'\ncount = 2\n[design.d.pool.p.tenancy.vm]\ncontention = 'off'\n\
             access = 'vgpu-full'\n[design.d.pool.p.tenancy.vm.overhead]\n{}\
             [design.d.pool.p.tenancy.vm.maintenance]\nevery-days = 1\nhours = 2\n{more}",
            EVERY_SHARE.replace('F', "1.0")
        ))
    };
    // Two jobs of 30 h fill both nodes; a third comes.
    let rows = [0, 0, 1].map(|at| builders::job().at_s(at).run_s(108_000).gpus(8));
    let workload = trace().jobs(rows).build();
    let drained = run(&workload, &pools(""));
    let moved = run(&workload, &pools("live-migration = true\nstun-s = 60\n"));
    // A drained node is down for 2 h before the third job.
    assert_eq!(drained.records[JobId::new(2)].start.as_s(), 108_000.0 + 7_200.0);
    assert!(drained.hours.total().gpu.down > 0);
    assert_eq!(run_times(&drained)[0], 108_000.0);
    assert_eq!(moved.hours.total().gpu.down, 0);
    assert_eq!(run_times(&moved)[0], 108_060.0);
    assert!(moved.hours.total().gpu.virtualization > 0);
}

const SPLIT: &str = "[design.d.pool.metal]\nnode = 'n'\ncount = 1\n[design.d.pool.vm]\nnode = 'n'\ncount = 1\n\
                     [design.d.pool.vm.tenancy.vm]\n";

fn pools_of(outcome: &Outcome) -> Vec<u32> {
    let mut rows: Vec<(JobId, u32)> =
        outcome.allocations.iter().map(|(job, held)| (*job, held[0].node.0)).collect();
    rows.sort_unstable();
    rows.into_iter().map(|(_, node)| node).collect()
}

#[test]
fn jobs_go_where_their_route_says_and_spill_if_the_wait_is_long() {
    let job = |gpus: u32| builders::job().run_s(3_600).gpus(gpus);
    let workload = trace().jobs([job(1), job(8), job(1), job(1)]).build();
    let routes = "[design.d.route.small]\ngpus-max = 1\npools = ['vm']\n\
                  [design.d.route.large]\ngpus-min = 2\npools = ['metal']\n";
    let outcome = run(&workload, &design(&(SPLIT.to_owned() + routes)));
    assert_eq!(pools_of(&outcome), [1, 0, 1, 1]);
    // Two large jobs: the second waits for the metal, or goes to the VM.
    let workload = trace().jobs([job(8), job(8)]).build();
    let outcome = run(&workload, &design(&(SPLIT.to_owned() + routes)));
    assert_eq!(outcome.records[JobId::new(1)].start.as_s(), 3_600.0);
    for (after, start) in [("1000", 0.0), ("4000", 3_600.0), ("8000", 3_600.0)] {
        let spill = format!("spill = ['vm']\nspill-after-s = {after}\n");
        let outcome = run(&workload, &design(&(SPLIT.to_owned() + routes + &spill)));
        assert_eq!(outcome.records[JobId::new(1)].start.as_s(), start, "after {after}");
        let spilled = outcome.tenancy.as_ref().unwrap().spilled;
        assert_eq!(spilled, u64::from(start == 0.0), "after {after}");
    }
}

#[test]
fn a_job_without_an_open_pool_is_refused_by_name() {
    let workload = trace().jobs([named("a").gpus(1), named("b").gpus(1)]).build();
    let pools = SPLIT.replace("[design.d.pool.vm]\n", "[design.d.pool.vm]\ntenants = ['acme']\n");
    let routes = "[design.d.route.small]\npools = ['vm']\nsingle-tenant-only = true\n";
    let outcome = run(&workload, &design(&(pools.clone() + routes)));
    assert_eq!(outcome.refused.len(), 2);
    assert!(outcome.refused[0].1.contains("by the route small"), "{}", outcome.refused[0].1);
    // Without a route, jobs of no tenant stay off the pool that is kept for one.
    assert_eq!(pools_of(&run(&workload, &design(&pools))), [0, 0]);
}

const PCIE: &str = "[node.pcie]\ncpus = 64\nmem-mb = 1000000\ngpus = 4\ngpu = 'A100-80GB-PCIe'\n\
                    [design.d.pool.p]\nnode = 'pcie'\ncount = 1\n[design.d.pool.p.tenancy.vm]\nnvlink = true\n\
                    shape = { cpus = 8, mem-mb = 1000, gpus = 2 }\n";

#[test]
fn impossible_pools_are_refused_with_the_row_that_forbids_them() {
    let vm = |options: &str| {
        format!("[design.d.pool.p]\nnode = 'n'\ncount = 1\n[design.d.pool.p.tenancy.vm]\n{options}\n")
    };
    let live = "maintenance = { every-days = 30, hours = 2, live-migration = true }";
    let route = |pools: &str| format!("{SPLIT}[design.d.route.r]\npools = {pools}\n");
    for (text, code, words) in [
        (vm("hypervisor = 'esxi'"), "W0250", "esxi-passthrough-nvswitch"),
        (vm(live), "W0250", "live-migration"),
        (vm("shape = { cpus = 8, mem-mb = 1000, gpus = 3 }"), "W0250", "kvm-nvswitch-partitions"),
        (vm("mem-overcommit = 1.5"), "W0250", "passthrough-memory"),
        (vm("access = 'vgpu-time-sliced'\nvgpus-per-gpu = 7"), "W0250", "vgpu-density"),
        (vm("access = 'vgpu-time-sliced'\nslices = 'fixed-share'"), "W0250", "fixed-share-equal-sizes"),
        (vm("access = 'vgpu-full'\ngpudirect-storage = true"), "W0250", "gpudirect-storage-vgpu"),
        (vm("vgpus-per-gpu = 4"), "W0250", "slices-need-time-slicing"),
        (vm("access = 'vgpu-time-sliced'\nslice-ms = 0.1"), "W0209", "1 to 30"),
        (PCIE.to_owned(), "W0250", "partial-passthrough-nvlink"),
        (vm("cpu-overcommit = 0.5"), "W0209", "below 1"),
        (vm("overhead = { compute = 0.9 }"), "W0209", "no share gets faster"),
        (vm("overhead = { host = -1.0 }"), "W0209", "no share gets faster"),
        (vm("noise = { dwell-s = 0 }"), "W0209", "mean length of an epoch"),
        (vm("noise = { cv = 9.0 }"), "W0209", "cannot vary"),
        (vm("elastic = { max = 0 }"), "W0209", "can never boot"),
        (vm("elastic = { failure = 1.0 }"), "W0209", "can never boot"),
        (vm("elastic = { min = 5, max = 1 }"), "W0209", "min = 5"),
        (vm("shape = { cpus = 65, mem-mb = 1000 }"), "W0209", "fits on a host"),
        (route("[]"), "W0251", "leaves its jobs without a pool"),
        (route("['vn']"), "W0251", "no pool `vn`"),
        (route("['vm']\nsingle-tenant-only = true"), "W0251", "takes all tenants"),
    ] {
        let problems = try_scenario(&text).err().unwrap_or_default();
        assert!(problems.contains(code) && problems.contains(words), "{text}\n{problems}");
    }
}

/// Four jobs that would use the GPU wholly, on a quarter each, alone and together.
#[test]
fn time_sliced_vgpus_share_by_their_scheduler() {
    let pools = |slices: &str| {
        design(&format!(
            "[slice-law.default]\nhost = 0.0\ncompute = 1.0\nbandwidth = 1.0\n[design.d.pool.p]\nnode = 'n'\ncount = 1\n\
             [design.d.pool.p.tenancy.vm]\naccess = 'vgpu-time-sliced'\nslices = {slices}\n\
             [design.d.pool.p.tenancy.vm.overhead]\n{}",
            EVERY_SHARE.replace('F', "1.25")
        ))
    };
    let times = |slices: &str, count: usize| {
        // All on one GPU: the first job has the others, where there is a vGPU as large as a GPU.
        let mut rows = vec![builders::job().run_s(100_000).gpus(7).gpu_milli(1000)];
        if slices.contains("vgpus-per-gpu") {
            rows[0] = builders::job().run_s(100_000).gpus(7).gpu_milli(250);
        }
        rows.extend((0..count).map(|_| builders::job().at_s(1).run_s(1_000).gpus(1).gpu_milli(250)));
        let outcome = run(&trace().jobs(rows).build(), &pools(slices));
        assert_eq!(outcome.refused, []);
        let gpu = outcome.hours.total().gpu;
        assert!(gpu.virtualization > 0 && outcome.tenancy.is_some());
        run_times(&outcome)[1]
    };
    // Run times were measured on a quarter of a GPU, so a whole one is four times as fast.
    let fixed = "'fixed-share'\nvgpus-per-gpu = 4";
    assert!((times(fixed, 1) - 1_250.0).abs() < 0.01);
    assert!((times(fixed, 4) - 1_250.0).abs() < 0.01);
    for slices in ["'best-effort'", "'equal-share'"] {
        assert!((times(slices, 1) - 312.5).abs() < 0.01, "{slices}: {}", times(slices, 1));
        assert!((times(slices, 4) - 1_250.0).abs() < 0.01, "{slices}: {}", times(slices, 4));
    }
}

#[test]
fn mig_backed_vgpus_have_their_instances_and_the_factors_of_the_method() {
    let pools = "[workload]\n[design.d.pool.p]\nnode = 'n'\ncount = 1\n[design.d.pool.p.tenancy.vm]\naccess = 'vgpu-mig'\n\
                 mig-layouts = [{ instances = ['3g.40gb', '3g.40gb'] }]\n[design.d.pool.p.tenancy.vm.overhead]\nF";
    let pools = pools.replace("[workload]\n", "").replace('F', &EVERY_SHARE.replace('F', "1.1"));
    let row = builders::job().run_s(1_000).gpus(1).mig("3g.40gb");
    let outcome = run(&trace().jobs([row]).build(), &design(&pools));
    assert!((run_times(&outcome)[0] - 1_100.0).abs() < 0.01);
    assert!(outcome.hours.total().gpu.virtualization > 0);
}

#[test]
fn vms_are_packed_and_what_is_left_of_a_host_is_stranded() {
    let text = "[design.d.pool.p]\nnode = 'n'\ncount = 2\n[design.d.pool.p.tenancy.vm]\n\
                access = 'vgpu-full'\nshape = { cpus = 16, mem-mb = 100000, gpus = 3 }\n";
    let design = design(text);
    assert_eq!((design.cluster.pools[0].count, design.cluster.pools[0].node.capacity.gpus), (4, 3));
    let packing = design.pools[0].tenancy.packing.unwrap();
    assert_eq!((packing.per_host, packing.units_left), (2, 2 * 21_000));
}

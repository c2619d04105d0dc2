//! Claims on how much of a pool can be used, at which load VMs stop paying, and what time slices do.

use std::path::Path;

use super::stage::{self, Jobs, slowdown, vm};
use super::{Claim, Verdict, claim, named};
use crate::experiment::{DesignResult, run_design, run_designs};
use crate::random::Stream;
use crate::scenario::catalogue;
use crate::scenario::{Scenario, load_text};
use crate::simulation::RunOptions;
use crate::simulation::meter::DeviceHours;
use crate::time::{SimDuration, SimTime};
use crate::workload::{Job, JobFlags, JobName, Labels, Request, Workload};

/// Nodes of the pools here.
const NODES: u32 = 4;
/// Days of submissions.
const DAYS: i64 = 10;

/// Jobs of 1 to 8 GPUs and 2 h on average whose demand is `load` of the pool, for ten days.
fn stream_of_jobs(load: f64) -> Workload {
    let mut workload = Workload::default();
    let class = Some(workload.texts.intern("training"));
    let labels = workload.labels.intern(&Labels { class, ..Labels::default() });
    let mut stream = Stream::new(1, "claims", 0, 0);
    // Mean of 1, 2, 4, 8 GPUs x 2 h.
    let gap_s = 3.75 * 7_200.0 / (load * f64::from(8 * NODES));
    let mut at = stream.exponential(gap_s);
    while at < (DAYS * 86_400) as f64 {
        let gpus = 1 << stream.below(4);
        let request = Request { gpus: Some(gpus), cpus: Some(gpus), ..Request::default() };
        let run = SimDuration::from_micros((stream.exponential(7_200.0) * 1e6) as i64 + 1);
        workload.jobs.push(Job {
            submit: SimTime::from_micros((at * 1e6) as i64),
            run,
            limit: run,
            priority: 0,
            name: JobName::Number(workload.jobs.len() as u32),
            request: workload.requests.intern(&request),
            labels,
            flags: JobFlags::default(),
        });
        at += stream.exponential(gap_s);
    }
    workload
}

fn scenario(designs: &[(&str, &str)]) -> Scenario {
    let mut text = "[workload.generate.research]\njobs = 10\n[policy.easy]\n".to_owned();
    for (name, tables) in designs {
        let pool = format!("design.{name}.pool.main");
        text +=
            &format!("[{pool}]\nnode = \"dgx-h100\"\ncount = {NODES}\n{}\n", tables.replace("POOL", &pool));
    }
    load_text("claim", text, Path::new(""), &[]).expect("the scenarios of claims are tested")
}

/// The designs at a load.
fn at_load(scenario: &Scenario, load: f64) -> Vec<DesignResult> {
    let workload = stream_of_jobs(load);
    run_designs(&workload, &scenario.designs, &scenario.policy, &RunOptions::default, &|| false)
        .expect("the scenarios of claims are tested")
}

fn share(part: i128, of: &DeviceHours) -> f64 {
    part as f64 / of.installed as f64
}

/// Mean and 99th percentile in ms that a burst of 10 ms waits on a GPU with four busy vGPUs.
fn waits_ms(slices: &str) -> (f64, f64) {
    let mut workload = Workload::default();
    let request = Request { gpus: Some(1), gpu_milli: Some(250), ..Request::default() };
    let request = workload.requests.intern(&request);
    let labels = workload.labels.intern(&Labels::default());
    let run = SimDuration::from_s(3_600);
    // Four for each GPU.
    for at in 0..4 * 8 * NODES {
        let name = JobName::Number(at);
        let (submit, flags) = (SimTime::ZERO, JobFlags::default());
        workload.jobs.push(Job { submit, run, limit: run, priority: 0, name, request, labels, flags });
    }
    let tenancy =
        format!("[POOL.tenancy.vm]\naccess = \"vgpu-time-sliced\"\nvgpus-per-gpu = 4\nslices = \"{slices}\"");
    let scenario = scenario(&[("d", &tenancy)]);
    let outcome = run_design(&workload, &scenario.designs[0], &scenario.policy, &RunOptions::default())
        .expect("the scenarios of claims are tested");
    let facts = outcome.tenancy.expect("vGPUs are no bare metal");
    let (mean, p99) = facts.slice_waits_s(0.99).expect("jobs took turns");
    (mean * 1e3, p99 * 1e3)
}

const METAL: &str = "[POOL.tenancy.bare-metal]";

/// Use of the pool as metal and as VMs, at some loads.
fn use_of_pools() -> Vec<Claim> {
    let vm_high = vm("", "high");
    let pools = scenario(&[("metal", METAL), ("vm", &vm("", "typical")), ("poor", &vm_high)]);
    let (low, full) = (at_load(&pools, 0.3), at_load(&pools, 1.3));
    let gpu = |results: &[DesignResult], at: usize| results[at].outcome.hours.total().gpu;
    let held = |results: &[DesignResult], at: usize| share(gpu(results, at).allocated(), &gpu(results, at));
    // All designs do the same work within the common horizon: what differs is the part of what they hold.
    let works = |results: &[DesignResult], at: usize| {
        let hours = gpu(results, at);
        held(results, 0) * hours.productive as f64 / hours.allocated().max(1) as f64
    };
    let saved = |at: usize| 1.0 - works(&full, at) / works(&full, 0);
    let idle_vm = held(&low, 1);
    vec![
        Claim {
            numbers: "30",
            article: "S1",
            says: "bare metal can be used to 90 % but wastes idle time",
            run: "4 nodes, ten days, share of GPU time held",
            figures: vec![
                ("metal at load 0.3".to_owned(), held(&low, 0)),
                ("VMs at load 0.3".to_owned(), idle_vm),
                ("metal at load 1.3".to_owned(), held(&full, 0)),
                ("VMs at load 1.3".to_owned(), held(&full, 1)),
            ],
            verdict: if held(&full, 0) >= 0.9 && (held(&low, 0) - idle_vm).abs() < 0.05 {
                Verdict::OnlyIf("work waits: without a queue VMs that always run idle as much".into())
            } else {
                Verdict::of(held(&full, 0) >= 0.9, "even a full queue does not fill it to 90 %")
            },
        },
        Claim {
            numbers: "49",
            article: "S2",
            says: "utilization of 97 % on metal, 70 % at most in VMs, savings of 40 %",
            run: "4 nodes, load 1.3, share of GPU time at work where as much is held as on metal",
            figures: vec![
                ("metal".to_owned(), works(&full, 0)),
                ("VMs, typical".to_owned(), works(&full, 1)),
                ("VMs, high".to_owned(), works(&full, 2)),
                ("saved at equal prices, typical".to_owned(), saved(1)),
                ("saved, high".to_owned(), saved(2)),
            ],
            verdict: Verdict::of(
                saved(2) >= 0.3,
                format!(
                    "VMs lose {:.0} to {:.0} % of it on whole nodes of one pool, not 28 % (70 / 97)",
                    saved(1) * 100.0,
                    saved(2) * 100.0
                ),
            ),
        },
    ]
}

/// At which load owned metal is cheaper than VMs that are paid while used.
fn cost_by_load() -> Claim {
    let owned = format!("{METAL}\n[POOL.cost.owned]\ndefaults = \"all\"");
    let rented = |price: f64| {
        format!(
            "{}\n[POOL.cost.rented]\nprice-per-gpu-hour = {price}\nbilled = \"while-used\"\nbilling = \"hour\"",
            vm("", "typical")
        )
    };
    let (cheap, dear) = (rented(2.0), rented(4.0));
    let pools = scenario(&[("metal", &owned), ("vm", &cheap), ("dear", &dear)]);
    let loads = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
    let prices: Vec<Vec<f64>> = loads
        .iter()
        .map(|load| {
            let price = |result: &DesignResult| {
                let money = result.cost.as_ref().and_then(|cost| cost.per_useful_gpu_hour);
                money.map_or(0.0, |money| money.micros() as f64 / 1e6)
            };
            at_load(&pools, *load).iter().map(price).collect()
        })
        .collect();
    let crossing =
        |at: usize| loads.iter().zip(&prices).find(|(_, row)| row[0] < row[at]).map(|(load, _)| *load);
    let (first, last) = (&prices[0], &prices[loads.len() - 1]);
    let or_never = |load: Option<f64>| load.unwrap_or(1.0);
    Claim {
        numbers: "8",
        article: "S0",
        says: "high sustained use is the sign to leave VMs",
        run: "4 nodes, cost of a useful GPU-hour: metal owned with all costs of the catalogue, VMs paid while used",
        figures: vec![
            ("metal at load 0.1".to_owned(), first[0]),
            ("VMs at 2 USD, load 0.1".to_owned(), first[1]),
            ("metal at load 0.9".to_owned(), last[0]),
            ("VMs at 2 USD, load 0.9".to_owned(), last[1]),
            ("metal cheaper from load, at 2 USD".to_owned(), or_never(crossing(1))),
            ("at 4 USD".to_owned(), or_never(crossing(2))),
        ],
        verdict: match (first[0] > first[2], crossing(2), crossing(1)) {
            (true, Some(_), Some(_)) => Verdict::Reproduced,
            (true, Some(load), None) => Verdict::OnlyIf(format!(
                "the VMs are not cheap: never up to load 0.9 at 2 USD an hour, from load {load:.1} at 4 USD"
            )),
            (false, ..) => Verdict::Refuted("metal is cheaper at every load".into()),
            (true, None, _) => Verdict::Refuted("VMs are cheaper at every load".into()),
        },
    }
}

/// What time slices do to short work.
fn slices() -> Vec<Claim> {
    let rows = ["best-effort", "equal-share", "fixed-share"].map(|slices| (slices, waits_ms(slices)));
    let figures = || -> Vec<(String, f64)> {
        let each = |(name, (mean, p99)): &(&str, (f64, f64))| {
            [(format!("{name}, mean ms"), *mean), (format!("{name}, p99 ms"), *p99)]
        };
        rows.iter().flat_map(each).collect()
    };
    let waits = rows.iter().any(|(_, (_, p99))| *p99 > 10.0);
    vec![
        Claim {
            numbers: "36",
            article: "S1",
            says: "vGPU scheduling can add delays",
            run: "bursts of 10 ms on a quarter of a GPU beside three others, slices of 2 ms: wait",
            figures: figures(),
            verdict: Verdict::of(waits, "bursts wait for less than they take"),
        },
        Claim {
            numbers: "9",
            article: "S0",
            says: "latency-sensitive work benefits from bare metal",
            run: "as claim 36; on bare metal a burst waits for no slices",
            figures: figures(),
            verdict: if waits {
                Verdict::OnlyIf(
                    "GPUs are time-sliced: passed through, or cut by MIG, they have no slices to wait for; queues of \
                     requests are not modelled yet"
                        .into(),
                )
            } else {
                Verdict::Refuted("slices add less than the burst".into())
            },
        },
    ]
}

/// Milliseconds from the submission of the last of `count` requests to its answer, each with `kernels_us` of work on
/// all GPUs of a node, one after the other.
fn answered_ms(tenancy: &str, count: usize, kernels_us: i64) -> f64 {
    let mut workload = Workload::default();
    stage::push(&mut workload, &Request { gpus: Some(8), ..Request::default() }, count, 1);
    for job in workload.jobs.as_mut_slice() {
        job.run = SimDuration::from_micros(kernels_us);
        job.limit = job.run;
    }
    let outcome = stage::alike(&stage::design(1, tenancy), &workload);
    let ends = outcome.records.iter().map(|record| record.end.as_s());
    ends.fold(0.0, f64::max) * 1e3
}

/// A request on a GPU of its own.
fn requests() -> Claim {
    const MANY: usize = 1_000;
    let virtual_one = vm("", "typical");
    let (short, long) = (answered_ms(METAL, 1, 500), answered_ms(METAL, 1, 5_000));
    let throughput = MANY as f64 * 0.5 / answered_ms(METAL, MANY, 500);
    let whole = throughput > 0.999;
    claim(
        "27",
        "S1",
        "bare metal has all of the throughput, and answers within a millisecond",
        "requests with 0.5 and 5 ms of kernels, alone; 1,000 of 0.5 ms one after the other",
        vec![
            named("metal, 0.5 ms of kernels, ms", short),
            named("metal, 5 ms of kernels, ms", long),
            named("VM, 0.5 ms of kernels, ms", answered_ms(&virtual_one, 1, 500)),
            named("metal, throughput", throughput),
        ],
        match (whole, short < 1.0, long < 1.0) {
            (true, true, true) => Verdict::Reproduced,
            (true, true, false) => Verdict::OnlyIf(
                "its kernels take less than that and nothing waits before it: metal adds nothing to them, and takes \
                 nothing off"
                    .into(),
            ),
            _ => Verdict::Refuted("metal adds to a request".into()),
        },
    )
}

/// A job that stands still for its checkpoints.
fn checkpoints() -> Claim {
    let metal = |every_s: u32, takes_s: u32| {
        let table = format!("{METAL}\nsnapshots = {{ every-s = {every_s}, takes-s = {takes_s} }}");
        let job = Jobs { run_s: 7 * 86_400, ..Jobs::one("training", 8, 1) };
        let gpu = stage::play(&stage::design(1, &table), &[job], 1).hours.total().gpu;
        gpu.storage as f64 / gpu.allocated() as f64
    };
    // Ten minutes in every hour, and after every hour.
    let (within, after) = (metal(3_000, 600), metal(3_600, 600));
    claim(
        "56",
        "S2",
        "10 minutes of checkpointing an hour lose 16 %",
        "a week of training on 8 GPUs, snapshots of 10 minutes within each hour, and after each hour of work",
        vec![named("within the hour, share lost", within), named("after an hour of work, share lost", after)],
        Verdict::of((within - 0.16).abs() < 0.01, "the share is another"),
    )
}

/// Small jobs on MIG instances of bare metal, on time-sliced vGPUs, and on whole GPUs.
fn small_jobs() -> Claim {
    let layout = "[POOL.tenancy.bare-metal]\nmig = \"static\"\nmig-layouts = [{ instances = [\"1g.10gb\", \"1g.10gb\", \
                  \"1g.10gb\", \"1g.10gb\", \"1g.10gb\", \"1g.10gb\", \"1g.10gb\"] }]";
    let mig = |count: usize| stage::instances_done(&stage::design(1, layout), "1g.10gb", count);
    let sliced =
        stage::shares(&stage::design(1, "[POOL.tenancy.vm]\naccess = \"vgpu-time-sliced\""), 56, 125);
    let whole = stage::shares(&stage::design(1, "[POOL.tenancy.bare-metal]\nmig = \"off\""), 56, 125);
    let (alone, all) = (mig(1), mig(56));
    Claim {
        numbers: "103",
        article: "S4",
        says: "metal with MIG gives utilization and near-native speed",
        run: "56 jobs of an hour on an instance, or on 1/8 GPU, 8 GPUs: h until all are done",
        figures: vec![
            ("MIG, one job".to_owned(), alone / 3600.0),
            ("MIG, 56 jobs".to_owned(), all / 3600.0),
            ("time-sliced vGPUs".to_owned(), sliced / 3600.0),
            ("whole GPUs".to_owned(), whole / 3600.0),
        ],
        verdict: if all > alone {
            Verdict::Refuted("instances slow each other down".into())
        } else if all <= sliced && all <= whole {
            Verdict::Reproduced
        } else {
            Verdict::OnlyIf(
                "the jobs keep an instance busy: jobs that leave a GPU idle get on faster where its time is lent"
                    .into(),
            )
        },
    }
}

pub(super) fn claims() -> Vec<Claim> {
    let (one, many) = (Jobs::one("training", 8, 1), Jobs::one("training", 64, 8));
    let ratio = |options: &str, level: &str, job: Jobs| 1.0 / slowdown(&vm(options, level), job);
    let poor = ratio("nic = \"paravirtual\"\nnvlink = false", "high", many);
    let ratios = [ratio("", "typical", one), ratio("", "typical", many), ratio("", "high", many)];
    let board = catalogue::gpu("H100-80GB-SXM").expect("the catalogue has the board");
    let rated = 4.0 * board.fp16_bf16_dense_tflops;
    let mut claims = vec![
        Claim {
            numbers: "45",
            article: "S2",
            says: "well-tuned training reaches 90-97 % of peak on metal, 65-80 % in VMs",
            run: "training, speed in VMs / on metal (claimed: 0.67 to 0.89)",
            figures: vec![
                ("8 GPUs, typical".to_owned(), ratios[0]),
                ("64 GPUs, typical".to_owned(), ratios[1]),
                ("64 GPUs, high".to_owned(), ratios[2]),
                ("64 GPUs, high, paravirtual, without NVLink".to_owned(), poor),
            ],
            verdict: if ratios[2] > 0.89 && poor < 0.67 {
                Verdict::Refuted(
                    "VMs keep more than 0.89 unless NVLink is lost, and then less than 0.67; of peak Meta reached 38-43 % \
                     on metal (Llama 3 paper)"
                        .into(),
                )
            } else {
                Verdict::OnlyIf(
                    "the ratio is meant: of peak Meta reached 38-43 % on metal (Llama 3 paper)".into(),
                )
            },
        },
        Claim {
            numbers: "44",
            article: "S2",
            says: "an H100 has 3,958 TOPS in FP8",
            run: "four times the dense FP16 peak of the catalogue: twice for FP8, twice for sparsity",
            figures: vec![("TOPS, sparse".to_owned(), rated), ("TOPS, dense".to_owned(), rated / 2.0)],
            verdict: if (rated / 3_958.0 - 1.0).abs() < 0.01 {
                Verdict::OnlyIf("half of the weights are zero in the right places: dense it is half".into())
            } else {
                Verdict::Refuted("the catalogue's peak says otherwise".into())
            },
        },
        cost_by_load(),
        small_jobs(),
    ];
    claims.extend(failing());
    claims.extend(use_of_pools());
    claims.extend(slices());
    claims.extend([requests(), checkpoints()]);
    claims
}

/// A host that fails takes all its VMs along, and on bare metal its jobs.
fn failing() -> [Claim; 2] {
    let pool = |shape: &str| {
        format!(
            "[POOL.tenancy.vm]\ncontention = \"off\"\n{shape}\nfailures = {{ mtbf-hours = 200, requeue = true }}\n\
             [POOL.tenancy.vm.overhead]\nlevel = \"low\""
        )
    };
    let large = pool("");
    let small = pool("shape = { cpus = 8, mem-mb = 100_000, gpus = 1 }");
    let snapshots = format!("{large}\n[POOL.tenancy.vm.snapshots]");
    let metal = "[POOL.tenancy.bare-metal]\nfailures = { mtbf-hours = 200, requeue = true }";
    let pools =
        scenario(&[("large", &large), ("small", &small), ("snapshots", &snapshots), ("metal", metal)]);
    let workload = {
        let mut workload = stream_of_jobs(0.6);
        // Jobs that fit a VM of one GPU.
        let request = Request { gpus: Some(1), cpus: Some(1), ..Request::default() };
        let request = workload.requests.intern(&request);
        workload.jobs.as_mut_slice().iter_mut().for_each(|job| job.request = request);
        workload
    };
    let lost: Vec<(f64, f64)> = scenario_lost(&pools, &workload);
    let per_failure: Vec<f64> = lost.iter().map(|(jobs, _)| *jobs).collect();
    let (large, small, metal) = (per_failure[0], per_failure[1], per_failure[3]);
    let alike = |a: f64, b: f64| (a - b).abs() <= 0.25 * (a + b);
    let run = "4 hosts that fail every 200 h, jobs of one GPU: jobs lost at a failure";
    let small_ones = Claim {
        numbers: "17",
        article: "S0",
        says: "few strong nodes beat many small instances: but a host takes all of them along when it fails",
        run,
        figures: vec![
            ("VMs of 8 GPUs".to_owned(), large),
            ("VMs of one GPU".to_owned(), small),
            ("GPU-hours lost".to_owned(), lost[0].1),
            ("with snapshots".to_owned(), lost[2].1),
        ],
        verdict: if alike(large, small) {
            Verdict::OnlyIf(
                "something else than failures decides: the host is what fails, however it is cut".into(),
            )
        } else {
            Verdict::of(large < small, "many small instances lose less")
        },
    };
    let single_point = Claim {
        numbers: "34",
        article: "S1",
        says: "vGPUs isolate in hardware; metal is a single point of failure",
        run,
        figures: vec![("VMs of one GPU".to_owned(), small), ("metal".to_owned(), metal)],
        verdict: if alike(small, metal) {
            Verdict::Refuted("a host that fails takes its VMs along as it does jobs on metal".into())
        } else {
            Verdict::of(metal > small, "VMs lose more")
        },
    };
    [small_ones, single_point]
}

/// Jobs lost at a failure, and GPU-hours lost, of every design.
fn scenario_lost(pools: &Scenario, workload: &Workload) -> Vec<(f64, f64)> {
    let results = run_designs(workload, &pools.designs, &pools.policy, &RunOptions::default, &|| false)
        .expect("the scenarios of claims are tested");
    results
        .iter()
        .map(|result| {
            let facts = result.outcome.tenancy.as_ref().expect("hosts of VMs fail");
            let hours = result.summary.gpu_hours.map_or(0.0, |hours| hours.lost);
            (facts.lost_attempts as f64 / facts.failures.max(1) as f64, hours)
        })
        .collect()
}

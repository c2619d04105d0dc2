//! Claims on bare metal, hosts and hardware that a run or a row of the catalogue can tell.

use std::path::Path;

use super::stage::{
    Jobs, LEVELS, cv, design, first_start, play, quantile, refusal, run_times, slowdown, slowdown_on_rails,
    vm,
};
use super::{Claim, Verdict, claim, named};
use crate::experiment::{load_workload, run_designs};
use crate::scenario::{Design, catalogue, load_text};
use crate::simulation::{Outcome, RunOptions};
use crate::workload::{Labels, Request, Workload};

pub(super) fn claims() -> Vec<Claim> {
    let mut claims = access();
    claims.extend(links());
    claims.extend(vgpus());
    claims.extend(sheets());
    claims.extend(capacity());
    claims.extend(noise());
    claims.push(migration());
    claims.extend(tenants());
    claims.push(partitioned());
    claims
}

fn by_level(values: [f64; 3]) -> Vec<(String, f64)> {
    LEVELS.iter().zip(values).map(|(level, value)| named(level, value)).collect()
}

/// A pool of one server whose jobs are all of the class `pure`, made of one share only.
fn pure(share: &str, tenancy: &str) -> Design {
    let shares = ["compute", "gpu-memory", "host", "storage"].map(|name| {
        let part = if name == share { 1 } else { 0 };
        format!("{name} = {part}.0\n")
    });
    let text = format!(
        "[workload.generate.research]\njobs = 10\n[policy.easy]\n[job-shares.pure]\n{}intra-node-at-8 = 0.0\n\
         inter-node-at-8 = 0.0\n[design.d.pool.main]\nnode = \"dgx-b200\"\ncount = 1\n{}\n",
        shares.concat(),
        tenancy.replace("POOL", "design.d.pool.main")
    );
    let scenario = load_text("claim", text, Path::new(""), &[]).expect("the scenarios of claims are tested");
    scenario.designs.into_iter().next().expect("there is a design")
}

/// Slowdown of a job made of one share, at low, typical and high.
fn of_share(share: &str, options: &str) -> [f64; 3] {
    let run = |tenancy: &str| run_times(&play(&pure(share, tenancy), &[Jobs::one("pure", 1, 1)], 1))[0];
    let metal = run("");
    LEVELS.map(|level| run(&vm(options, level)) / metal)
}

fn access() -> Vec<Claim> {
    let host = of_share("host", "");
    let memory = of_share("gpu-memory", "");
    vec![
        claim(
            "3",
            "S0",
            "direct access gives PCIe, NUMA and memory channels undisturbed",
            "a job of host work alone in a VM, slowdown",
            by_level(host),
            match (host[0] > 1.0, host[1] > 1.0) {
                (true, true) => Verdict::OnlyIf(
                    "the factor of host work stands for all of it: pinning is not modelled".into(),
                ),
                (false, true) => Verdict::OnlyIf("VMs are not tuned as well as the best".into()),
                _ => Verdict::Refuted("VMs lose nothing there".into()),
            },
        ),
        claim(
            "4",
            "S0",
            "virtualization slightly lowers the bandwidth of GPU memory",
            "a job of GPU memory alone, passthrough, slowdown",
            by_level(memory),
            match (memory[0] > 1.0, memory[1] > 1.0 && memory[2] <= 1.1) {
                (true, true) => Verdict::Reproduced,
                (false, true) => Verdict::OnlyIf(
                    "the estimate of the catalogue holds: at its low end nothing is lost".into(),
                ),
                _ => Verdict::Refuted("not slightly".into()),
            },
        ),
    ]
}

/// What NVLink is worth.
fn links() -> Vec<Claim> {
    let without = slowdown(&vm("nvlink = false", "typical"), Jobs::one("training", 8, 1));
    let small = slowdown(&vm("nvlink = false", "typical"), Jobs::one("training", 2, 1));
    let with = slowdown(&vm("", "typical"), Jobs::one("training", 8, 1));
    let levels = LEVELS.map(|level| slowdown(&vm("nvlink = false", level), Jobs::one("training", 8, 1)));
    let many = |nic: &str| slowdown_on_rails(&vm(nic, "typical"), Jobs::one("training", 64, 8));
    let (sriov, virtio) = (many(""), many("nic = \"paravirtual\""));
    let nvlink = vec![
        named("8 GPUs with NVLink", with),
        named("8 GPUs over PCIe, low", levels[0]),
        named("8 GPUs over PCIe, typical", without),
        named("8 GPUs over PCIe, high", levels[2]),
        named("2 GPUs over PCIe", small),
    ];
    vec![
        claim(
            "10, 67",
            "S0",
            "jobs on 2, 4 or 8 GPUs need unrestricted NVLink, so metal",
            "training on a server, slowdown in a VM",
            nvlink.clone(),
            match (without > 1.2, with > 1.05) {
                (true, false) => {
                    Verdict::OnlyIf("NVLink does not reach the VM: where it does, VMs are near".into())
                }
                (true, true) => Verdict::Reproduced,
                (false, _) => Verdict::Refuted("without NVLink little is lost".into()),
            },
        ),
        claim(
            "52",
            "S2",
            "passthrough or SR-IOV adds latency, lowers bandwidth, may disable NVLink",
            "training on a server, and on 8 of them on rails of NDR: slowdown in a VM",
            [nvlink, vec![named("64 GPUs, SR-IOV", sriov), named("64 GPUs, paravirtual", virtio)]].concat(),
            Verdict::of(with > 1.0 && without > with && sriov > 1.0 && virtio > sriov, "nothing is lost"),
        ),
    ]
}

/// What a whole vGPU of a B200 loses.
fn vgpus() -> Vec<Claim> {
    let vgpu = of_share("gpu-memory", "access = \"vgpu-full\"");
    let full = |level| vm("access = \"vgpu-full\"", level);
    let inference = LEVELS.map(|level| 1.0 / slowdown(&full(level), Jobs::one("inference", 1, 1)));
    let bandwidth = catalogue::gpu("B200-180GB-SXM").map_or(0.0, |row| row.mem_bw_tb_s);
    let work = |gpus: u32| f64::from(gpus) / slowdown(&full("typical"), Jobs::one("training", gpus, 1));
    let (one, eight) = (work(1), work(8));
    vec![
        claim(
            "35",
            "S1",
            "8 TB/s of GPU memory are fully usable on metal, in VMs with vGPU 19",
            "B200 of the catalogue, TB/s; a job of GPU memory alone on a whole vGPU",
            vec![
                named("data sheet", bandwidth),
                named("left at low", bandwidth / vgpu[0]),
                named("left at typical", bandwidth / vgpu[1]),
                named("left at high", bandwidth / vgpu[2]),
            ],
            match (vgpu[0] <= 1.0, vgpu[1] <= 1.0) {
                (true, true) => Verdict::Reproduced,
                (true, false) => Verdict::OnlyIf(
                    "the low end of the catalogue holds in VMs; what programs reach on metal is not in the data".into(),
                ),
                _ => Verdict::Refuted("VMs lose a part".into()),
            },
        ),
        claim(
            "38",
            "S1",
            "inference on a vGPU of a B200 has 98 % of bare metal",
            "inference on a whole vGPU, speed against metal",
            by_level(inference),
            if (inference[1] - 0.98).abs() <= 0.01 {
                Verdict::Reproduced
            } else if (inference[2]..=inference[0]).contains(&0.98) {
                Verdict::OnlyIf("the factors are better than the catalogue's typical ones; 98 % is in their range".into())
            } else {
                Verdict::Refuted("it is outside the range of the catalogue".into())
            },
        ),
        claim(
            "24",
            "S1",
            "a VM holds up to 16 vGPUs whose compute adds up",
            "training on 8 whole vGPUs of a server against one, work done in the same time",
            vec![named("8 vGPUs", eight), named("1 vGPU", one)],
            if eight > 7.0 {
                Verdict::OnlyIf(
                    "they are whole boards that talk over NVLink; no server here has 16, no device is pooled".into(),
                )
            } else {
                Verdict::Refuted("they do not add up".into())
            },
        ),
    ]
}

/// What data sheets say.
fn sheets() -> Vec<Claim> {
    let b200 = catalogue::gpu("B200-180GB-SXM").expect("the catalogue has it");
    let h100 = catalogue::gpu("H100-80GB-SXM").expect("the catalogue has it");
    let gpus = catalogue::node("dgx-b200").map_or(0, |row| row.gpus);
    // From Hopper on the tensor cores do FP8 at twice the rate of FP16.
    let fp8 = 2.0 * b200.fp16_bf16_dense_tflops / 1e3;
    let memory_gib = f64::from(b200.memory_gb);
    let refused = large_model_refused();
    let speeds = ["low", "typical", "high"].map(on_b200);
    vec![
        claim(
            "22",
            "S1",
            "a B200 has up to 20 PFLOPS in FP8",
            "catalogue gpus, B200-180GB-SXM: twice its dense FP16, PFLOPS",
            vec![named("dense", fp8), named("with 2:4 sparsity", 2.0 * fp8)],
            Verdict::of(fp8 >= 19.0, format!("{fp8:.1} dense, {:.0} sparse: 20 is FP4", 2.0 * fp8)),
        ),
        claim(
            "23",
            "S1",
            "a DGX B200 has 8 B200",
            "catalogue nodes, dgx-b200",
            vec![named("GPUs", f64::from(gpus))],
            Verdict::of(gpus == 8, "another number"),
        ),
        claim(
            "25",
            "S1",
            "four B200 merge into a pool of 768 GB",
            "catalogue gpus; a job that needs 700 GB on one GPU of a dgx-b200",
            vec![
                named("4 boards, GB", 4.0 * memory_gib),
                named("job refused (1 = yes)", f64::from(u8::from(refused))),
            ],
            Verdict::of(
                !refused && 4.0 * memory_gib >= 768.0,
                "memory stays on its board; a model must be cut over four",
            ),
        ),
        claim(
            "53",
            "S2",
            "an H100 SXM5 has 3.35 TB/s of memory bandwidth",
            "catalogue gpus, H100-80GB-SXM",
            vec![named("TB/s", h100.mem_bw_tb_s)],
            Verdict::of((h100.mem_bw_tb_s - 3.35).abs() < 0.005, "another value"),
        ),
        claim(
            "37",
            "S1",
            "training ResNet-50 on a B200 is twice as fast as on an H100, without jitter",
            "a training job recorded on H100, run on B200 at the speeds of the catalogue",
            by_level(speeds),
            if (speeds[0]..=speeds[2]).contains(&2.0) {
                Verdict::OnlyIf(
                    "the mix of training holds for it: convolutional networks were not measured".into(),
                )
            } else {
                Verdict::Refuted("it is outside the range of the catalogue".into())
            },
        ),
    ]
}

/// Whether a job that needs 700 GB on one GPU is refused on a server with 8 B200.
fn large_model_refused() -> bool {
    let mut workload = Workload::default();
    let request = Request { gpus: Some(1), gpu_mem_mib: Some(700 * 1024), ..Request::default() };
    super::stage::push(&mut workload, &request, 1, 3_600);
    let outcome = super::stage::alike(&pure("compute", ""), &workload);
    !outcome.refused.is_empty()
}

/// Speed of training on B200 against H100, by the level of the catalogue.
fn on_b200(level: &str) -> f64 {
    let text = format!(
        "[workload.generate.research]\njobs = 1\ngpus = 8\n[policy.easy]\n[speedup]\nreference = \"H100-80GB-SXM\"\n\
         level = \"{level}\"\n[design.h.pool.main]\nnode = \"dgx-h100\"\ncount = 1\n\
         [design.b.pool.main]\nnode = \"dgx-b200\"\ncount = 1\n"
    );
    let scenario = load_text("claim", text, Path::new(""), &[]).expect("the scenarios of claims are tested");
    let mut workload = Workload::default();
    let class = Some(workload.texts.intern("training"));
    let labels = workload.labels.intern(&Labels { class, ..Labels::default() });
    super::stage::push_as(&mut workload, labels, &Request { gpus: Some(1), ..Request::default() }, 1, 36_000);
    let found = run_designs(&workload, &scenario.designs, &scenario.policy, &RunOptions::default, &|| false)
        .expect("the scenarios of claims are tested");
    let run = |outcome: &Outcome| run_times(outcome)[0];
    run(&found[0].outcome) / run(&found[1].outcome)
}

/// Seconds until a burst of 16 jobs on whole nodes has all its nodes, from none.
fn all_there(boot: &str) -> f64 {
    let pool = format!(
        "[POOL.tenancy.vm]\ncontention = \"off\"\n[POOL.tenancy.vm.overhead]\nlevel = \"low\"\n\
         [POOL.tenancy.vm.elastic]\nmin = 0\n{boot}"
    );
    let jobs = Jobs { count: 16, ..Jobs::one("training", 8, 1) };
    let outcome = play(&design(16, &pool), &[jobs], 1);
    outcome.records.iter().map(|record| record.start.as_s()).fold(first_start(&outcome), f64::max)
}

fn capacity() -> Vec<Claim> {
    let image = catalogue::provisioning_time("metal-reimage", None);
    let at = |factor: f64| {
        format!(
            "boot = {{ low-s = {}, typical-s = {}, high-s = {} }}",
            image.low_s * factor,
            image.typical_s * factor,
            image.high_s * factor
        )
    };
    let (vms, metal, slow) = (all_there(""), all_there(&at(1.0)), all_there(&at(2.0)));
    vec![
        claim(
            "33",
            "S1",
            "Kubernetes can scale several VMs horizontally",
            "16 nodes from none, s until all are there",
            vec![named("VMs", vms)],
            Verdict::of(vms < 3_600.0, "it takes longer than an hour"),
        ),
        claim(
            "40",
            "S1",
            "bare metal scales slowly",
            "16 nodes from none, s until all are there",
            vec![named("metal, re-imaged", metal), named("twice as slow an image", slow), named("VMs", vms)],
            Verdict::of(metal > 2.0 * vms, "as fast as VMs"),
        ),
        claim(
            "89",
            "S3",
            "recovery is fast on virtual machines, manual on metal",
            "a new machine for a job, s",
            vec![named("VM", vms), named("metal, re-imaged", metal)],
            if vms < metal {
                Verdict::OnlyIf(
                    "a new machine is what recovery needs: how long repairs by hand take is an input here"
                        .into(),
                )
            } else {
                Verdict::Refuted("VMs take as long".into())
            },
        ),
    ]
}

fn noise() -> Vec<Claim> {
    let apart = |tenancy: &str| {
        let jobs = Jobs { count: 500, run_s: 600, ..Jobs::one("training", 8, 1) };
        run_times(&play(&design(500, tenancy), &[jobs], 1))
    };
    let noise = |cv: &str| {
        format!(
            "[POOL.tenancy.vm]\ncontention = \"off\"\n[POOL.tenancy.vm.overhead]\nlevel = \"typical\"\n\
             [POOL.tenancy.vm.noise]\n{cv}"
        )
    };
    let (alone, shared, loud) = (apart(""), apart(&noise("")), apart(&noise("cv = 0.1")));
    let tail = |times: &[f64]| quantile(times, 0.99) / quantile(times, 0.5);
    vec![
        claim(
            "64",
            "S2",
            "noisy neighbours: none on metal, high on shared hosts",
            "500 jobs of 10 min, p99 / p50 of run times",
            vec![
                named("metal", tail(&alone)),
                named("shared, default noise", tail(&shared)),
                named("shared, CV 0.1", tail(&loud)),
            ],
            match (tail(&alone) > 1.0, tail(&shared) > 1.1, tail(&loud) > 1.1) {
                (true, ..) | (_, false, false) => {
                    Verdict::Refuted("metal has them too, or hosts hardly".into())
                }
                (false, true, _) => Verdict::Reproduced,
                (false, false, true) => Verdict::OnlyIf("hosts are noisier than the default".into()),
            },
        ),
        claim(
            "74",
            "S2",
            "results on metal are reproducible and training time predictable",
            "500 jobs of 10 min, coefficient of variation",
            vec![named("metal", cv(&alone)), named("shared, default noise", cv(&shared))],
            if cv(&alone) == 0.0 && cv(&shared) > 0.0 {
                Verdict::OnlyIf("neighbours are what varies: metal has no noise of its own here".into())
            } else {
                Verdict::Refuted("metal varies as much".into())
            },
        ),
    ]
}

fn migration() -> Claim {
    let live =
        refusal("[POOL.tenancy.vm]\nmaintenance = { every-days = 30, hours = 2, live-migration = true }");
    let vgpu = refusal(
        "[POOL.tenancy.vm]\naccess = \"vgpu-full\"\nmaintenance = { every-days = 30, hours = 2, live-migration = true }",
    );
    let flag = |on: bool| f64::from(u8::from(on));
    claim(
        "86",
        "S3",
        "snapshots and live migration come with virtualization",
        "maintenance with live migration: refused (1 = yes)",
        vec![named("passthrough", flag(live.is_some())), named("whole vGPU", flag(vgpu.is_some()))],
        match (live.is_some(), vgpu.is_some()) {
            (true, false) => Verdict::OnlyIf("GPUs are vGPUs: one passed through cannot move".into()),
            (false, false) => Verdict::Reproduced,
            _ => Verdict::Refuted("vGPUs cannot move either".into()),
        },
    )
}

/// A week of four tenants, each with its busy day: all at once it needs more than its own servers. Jobs of 90 min, with these
/// numbers of GPUs in turn: a third of them when the day is not its own.
fn busy_days(sizes: &[u32]) -> Workload {
    let mut workload = Workload::default();
    let mut turn = 0;
    for hour in 0..24 * 7i64 {
        for tenant in 0..4i64 {
            let name = workload.texts.intern(&format!("t{tenant}"));
            let class = Some(workload.texts.intern("training"));
            let labels = Labels { class, tenant: Some(name), ..Labels::default() };
            let labels = workload.labels.intern(&labels);
            let is_day = hour / 24 == tenant;
            if hour % 3 != 0 && !is_day {
                continue;
            }
            let count = if is_day { sizes.len() } else { sizes.len() / 3 };
            for _ in 0..count {
                let gpus = sizes[turn % sizes.len()];
                turn += 1;
                let cpus = if gpus == 8 { 8 } else { 1 };
                let request =
                    Request { gpus: Some(gpus), nodes: Some(1), cpus: Some(cpus), ..Request::default() };
                let before = workload.jobs.len();
                super::stage::push_as(&mut workload, labels, &request, 1, 5_400);
                super::stage::submit_from(&mut workload, before, hour * 3600);
            }
        }
    }
    workload
}

/// Four tenants on eight servers: all on all, each on two of its own, or whole servers as they come.
fn tenants() -> Vec<Claim> {
    let text = |designs: &str| format!("[workload.generate.research]\njobs = 1\n[policy.easy]\n{designs}");
    let own: String = (0..4)
        .map(|t| format!("[design.own.pool.p{t}]\nnode = \"dgx-h100\"\ncount = 2\ntenants = [\"t{t}\"]\n"))
        .collect();
    let all = "[design.all.pool.main]\nnode = \"dgx-h100\"\ncount = 8\n";
    let on_demand = "[design.host.pool.main]\nnode = \"dgx-h100\"\ncount = 8\ndedicated = \"host\"\n";
    let scenario = load_text("claim", text(&format!("{all}{own}{on_demand}")), Path::new(""), &[])
        .expect("the scenarios of claims are tested");
    let waits = |jobs: &Workload| -> Vec<f64> {
        let found = run_designs(jobs, &scenario.designs, &scenario.policy, &RunOptions::default, &|| false)
            .expect("the scenarios of claims are tested");
        found.iter().map(|design| design.summary.wait_s.mean.unwrap_or(0.0) / 60.0).collect()
    };
    let (whole, parts) = (waits(&busy_days(&[8, 8, 8])), waits(&busy_days(&[3, 2, 5, 4, 1, 1])));
    let (together, apart, on_demand) = (whole[0], whole[1], whole[2]);
    vec![claim(
        "21, 69",
        "S0",
        "regulated data is easier on physically isolated hosts: metal only",
        "4 tenants with a busy day each, jobs of whole servers, and jobs of 1 to 5 GPUs: 8 servers of all, 2 of their own, or \
         dedicated as jobs come: mean wait in min",
        vec![
            named("servers of all", together),
            named("servers of one's own", apart),
            named("dedicated as jobs come", on_demand),
            named("jobs of 1 to 5 GPUs, servers of all", parts[0]),
            named("of one's own", parts[1]),
            named("dedicated as jobs come", parts[2]),
        ],
        if apart > together {
            let price =
                if on_demand < apart { "is less where servers are dedicated as jobs come" } else { "stays" };
            Verdict::OnlyIf(format!(
                "isolation is what is asked for: how easy an audit is cannot be run; its price, the wait, {price}, and is \
                 {:.1} min more for jobs that could share servers",
                parts[2] - parts[0]
            ))
        } else {
            Verdict::Refuted("isolation costs nothing".into())
        },
    )]
}

/// The vendor's story of 16 GPUs and a dozen data scientists, with as much work as whole GPUs can do.
fn partitioned() -> Claim {
    let text = include_str!("../../../scenarios/mig-utilization.toml").to_owned();
    let scenario = load_text("scenarios/mig-utilization.toml", text, Path::new(""), &[])
        .expect("the scenarios of claims are tested");
    let loaded = load_workload(&scenario.workload, false).expect("the scenarios of claims are tested");
    let found =
        run_designs(&loaded.workload, &scenario.designs, &scenario.policy, &RunOptions::default, &|| false)
            .expect("the scenarios of claims are tested");
    let at_work = |at: usize| {
        let object = serde_json::to_value(&found[at].summary).expect("a summary is JSON");
        100.0
            * object.pointer("/sharing/at_work_to_own_end").and_then(serde_json::Value::as_f64).unwrap_or(0.0)
    };
    let days = |at: usize| found[at].summary.makespan_s.unwrap_or(0.0) / 86_400.0;
    let (whole, mig) = (at_work(0), at_work(1));
    claim(
        "107",
        "S4",
        "MIG and Slurm raised utilization of 16 GPUs from 38 to 71 % and put off a purchase",
        "scenarios/mig-utilization.toml: GPUs at work to the last job, %; days for the same work",
        vec![
            named("whole GPUs", whole),
            named("MIG on demand", mig),
            named("days, whole", days(0)),
            named("days, MIG", days(1)),
        ],
        if mig >= 71.0 {
            Verdict::Reproduced
        } else if mig > whole {
            Verdict::OnlyIf(format!(
                "work is waiting, and then from {whole:.0} to {mig:.0} %, {:.1} times",
                mig / whole
            ))
        } else {
            Verdict::Refuted("MIG does not raise it".into())
        },
    )
}

//! Claims on boots, elasticity, consolidation and migration.

use super::stage::{Jobs, design, first_start, mean, play, refusal, run_times, slowdown};
use super::{Claim, Verdict, claim};

fn booted(tenancy: &str) -> f64 {
    let jobs = Jobs { count: 200, run_s: 60, ..Jobs::one("training", 8, 1) };
    mean(&run_times(&play(&design(200, tenancy), &[jobs], 1))) - 60.0
}

/// Seconds until a burst of 16 whole-node jobs has all its nodes.
fn capacity_after(boot: &str) -> f64 {
    let pool = format!(
        "[POOL.tenancy.vm]\ncontention = \"off\"\n[POOL.tenancy.vm.overhead]\nlevel = \"low\"\n\
         [POOL.tenancy.vm.elastic]\nmin = 0\n{boot}"
    );
    let jobs = Jobs { count: 16, ..Jobs::one("training", 8, 1) };
    let outcome = play(&design(16, &pool), &[jobs], 1);
    let starts = outcome.records.iter().map(|record| record.start.as_s());
    starts.fold(first_start(&outcome), f64::max)
}

pub(super) fn claims() -> Vec<Claim> {
    let vm = booted(
        "[POOL.tenancy.vm]\ncontention = \"off\"\nboot = {}\n[POOL.tenancy.vm.overhead]\ncompute = 1.0\ngpu-memory = 1.0\nhost = 1.0\nintra-node = 1.0\nstorage = 1.0",
    );
    let metal = booted("[POOL.tenancy.bare-metal]\nboot = {}");
    let container = booted("[POOL.tenancy.containers]\ncontention = \"off\"");
    let metal_boot = "boot = { low-s = 600, typical-s = 900, high-s = 1800 }";
    let (out_vm, out_metal) = (capacity_after(""), capacity_after(metal_boot));
    let share = |boot: f64, hours: f64| boot / (boot + hours * 3600.0);
    let live =
        refusal("[POOL.tenancy.vm]\nmaintenance = { every-days = 30, hours = 2, live-migration = true }");
    let stunned = {
        let pool = "[POOL.tenancy.vm]\naccess = \"vgpu-full\"\ncontention = \"off\"\n\
                    maintenance = { every-days = 1, hours = 2, live-migration = true }\n\
                    [POOL.tenancy.vm.overhead]\ncompute = 1.0\ngpu-memory = 1.0\nhost = 1.0\nintra-node = 1.0\nstorage = 1.0";
        let job = Jobs { run_s: 7 * 86_400, ..Jobs::one("training", 8, 1) };
        run_times(&play(&design(1, pool), &[job], 1))[0] - job.run_s as f64
    };
    let large = slowdown(&super::stage::vm("", "typical"), Jobs::one("training", 64, 8));
    let small = |tenancy: &str| super::stage::shares(&design(1, tenancy), 64, 125);
    let through = small("[POOL.tenancy.bare-metal]\nmig = \"off\"");
    let sliced = small("[POOL.tenancy.vm]\naccess = \"vgpu-time-sliced\"");
    vec![
        claim(
            "1, 18",
            "S0",
            "VMs scale out faster than bare metal",
            "16 nodes from none, s until all are there",
            vec![("VMs".to_owned(), out_vm), ("metal, re-imaged".to_owned(), out_metal)],
            Verdict::of(out_vm < out_metal, "no faster"),
        ),
        claim(
            "63",
            "S2",
            "boot: metal 2-5 min, VMs 30-90 s",
            "200 boots, mean s",
            vec![("VM".to_owned(), vm), ("metal".to_owned(), metal)],
            match ((30.0..=90.0).contains(&vm), (120.0..=300.0).contains(&metal)) {
                (true, true) => Verdict::Reproduced,
                (true, false) => Verdict::OnlyIf("metal stands ready: re-imaging takes longer".into()),
                (false, true) => {
                    Verdict::OnlyIf("drivers are in the image: VMs with drivers take longer".into())
                }
                (false, false) => {
                    Verdict::Refuted("with driver and re-imaging both take longer in other sources".into())
                }
            },
        ),
        claim(
            "66",
            "S2",
            "provisioning is negligible for jobs of hours",
            "share of boot and run",
            vec![
                ("VM, 4 h".to_owned(), share(vm, 4.0)),
                ("metal, 4 h".to_owned(), share(metal, 4.0)),
                ("metal, 24 h".to_owned(), share(metal, 24.0)),
            ],
            if share(metal, 4.0) < 0.02 {
                Verdict::Reproduced
            } else if share(vm, 4.0) < 0.02 {
                Verdict::OnlyIf("VMs boot; re-imaged metal needs jobs of a day".into())
            } else {
                Verdict::Refuted("it is not".into())
            },
        ),
        claim(
            "81",
            "S3",
            "virtual instances start in moments",
            "200 boots, mean s",
            vec![("VM".to_owned(), vm)],
            Verdict::of(vm < 30.0, "with a GPU driver it takes minutes"),
        ),
        claim(
            "110",
            "S4",
            "containers start in seconds",
            "200 starts, mean s",
            vec![("container".to_owned(), container)],
            Verdict::of(container < 10.0, "longer"),
        ),
        claim(
            "109",
            "S4",
            "live migration of GPU training is rarely practical",
            "a week on a whole vGPU, moved daily",
            vec![
                ("s standing still".to_owned(), stunned),
                ("passthrough refused".to_owned(), f64::from(u8::from(live.is_some()))),
            ],
            if live.is_some() && stunned < 3_600.0 {
                Verdict::OnlyIf(
                    "GPUs are passed through; a vGPU stands still for less than a minute a move".into(),
                )
            } else {
                Verdict::of(live.is_some(), "it costs little")
            },
        ),
        claim(
            "31, 102, 113",
            "S1",
            "sharing GPUs among small jobs raises utilization; passthrough cannot",
            "64 jobs of 1/8 GPU and 1 h",
            vec![
                ("h, whole GPUs".to_owned(), through / 3600.0),
                ("h, time-sliced vGPUs".to_owned(), sliced / 3600.0),
            ],
            Verdict::of(sliced < through, "the same work takes as long"),
        ),
        claim(
            "19, 20",
            "S0",
            "a hybrid balances both",
            "burst of 16 nodes; 64 GPUs in VMs",
            vec![
                ("s to capacity, VMs".to_owned(), out_vm),
                ("s to capacity, metal".to_owned(), out_metal),
                ("slowdown of training in VMs".to_owned(), large),
            ],
            if out_vm < out_metal && large > 1.01 {
                Verdict::OnlyIf(
                    "the load bursts and has large jobs: each kind is better at one of them".into(),
                )
            } else {
                Verdict::Refuted("one kind is better at both".into())
            },
        ),
    ]
}

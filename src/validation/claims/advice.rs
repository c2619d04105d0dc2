//! Claims on what is bought: fees and the parts of a total, and which kind is advised for what.

use super::money::pair;
use super::priced::{At, Batch, Priced, WHILE_USED, add, daily, owned, rented, run, servers};
use super::{Claim, Verdict, claim, named};
use crate::workload::Workload;

pub(super) fn claims() -> Vec<Claim> {
    let mut claims = four_parts();
    claims.push(advice());
    claims.push(always_on());
    claims
}

const FEES: &str =
    "[POOL.cost.owned.licence.vmware-cloud-foundation]\n[POOL.cost.owned.licence.nvidia-ai-enterprise]\n";

/// Two servers each: metal, VMs under ESXi with all fees, containers, KVM, and VMs with a measured factor.
fn four_parts_designs() -> [String; 5] {
    let vm = "[POOL.tenancy.vm]\naccess = \"vgpu-full\"\nhypervisor = \"esxi\"\n";
    let own = owned(At::Typical);
    [
        servers("metal", 2, &own),
        servers("vm", 2, &format!("{vm}{own}\n{FEES}")),
        servers("containers", 2, &format!("[POOL.tenancy.containers]\n{own}")),
        servers("kvm", 2, &format!("[POOL.tenancy.vm]\naccess = \"vgpu-full\"\n{own}")),
        servers("measured", 2, &format!("{vm}[POOL.tenancy.vm.overhead]\ncompute = 1.08\n{own}\n{FEES}")),
    ]
}

fn four_parts() -> Vec<Claim> {
    let month = daily("training", 16.0);
    let designs = four_parts_designs();
    let found = run(&designs, &month);
    let (metal, vms, containers) = (&found[0], &found[1], &found[2]);
    let share = |part: f64, of: &Priced| part / of.total;
    // Against the price: what the hardware is worth at the end is no discount on what it cost.
    let of_hardware = vms.part("licences") / vms.hardware;
    let gpu_months = vms.total / vms.per_hour / 730.5;
    vec![
        claim(
            "94",
            "S4",
            "TCO has four parts: hardware, licences, overhead hours, idle hours; metal removes two",
            "2 servers, 16 h a day, vGPUs under ESXi with all fees, or metal: share of the total",
            vec![
                named("VM, hardware at work", share(vms.four[0], vms)),
                named("VM, licences", share(vms.four[1], vms)),
                named("VM, overhead hours", share(vms.four[2], vms)),
                named("VM, idle hours", share(vms.four[3], vms)),
                named("metal, licences", share(metal.four[1], metal)),
                named("metal, overhead hours", share(metal.four[2], metal)),
                named("metal, idle hours", share(metal.four[3], metal)),
            ],
            Verdict::of(
                metal.four[1] == 0.0
                    && metal.four[2] == 0.0
                    && vms.four.iter().all(|part| *part > 0.0)
                    && metal.four[3] > 0.0,
                "metal has them too, or VMs lack one",
            ),
        ),
        claim(
            "104",
            "S4",
            "hypervisor and vGPU fees can rival part of the hardware over years",
            "VMware Cloud Foundation by core and NVIDIA AI Enterprise by GPU at typical prices, against the price of the \
             hardware over its lifetime",
            vec![
                named("fees / hardware", of_hardware),
                named("USD for a GPU and month", vms.part("licences") / gpu_months),
            ],
            if of_hardware >= 0.25 {
                Verdict::Reproduced
            } else if of_hardware >= 0.1 {
                Verdict::OnlyIf("a tenth of the hardware counts as part of it".into())
            } else {
                Verdict::Refuted("they are below a tenth of the hardware".into())
            },
        ),
        claim(
            "105",
            "S4",
            "open-source Kubernetes, Slurm and Ray carry no such fee",
            "the same servers with containers, and with KVM without subscription, USD",
            vec![
                named("licences with containers", containers.part("licences")),
                named("licences with KVM", found[3].part("licences")),
                named("licences with ESXi and vGPU", vms.part("licences")),
            ],
            Verdict::of(
                containers.part("licences") == 0.0 && vms.part("licences") > 0.0,
                "there is a fee, or none anywhere",
            ),
        ),
        claim(
            "116",
            "S4",
            "measure overhead on one's own job and fold licences and idle time into a TCO model",
            "the same VMs with the catalogue's overhead and with a measured one of 8 %, USD per useful GPU-hour",
            vec![
                named("metal", metal.per_useful),
                named("VM, catalogue", vms.per_useful),
                named("VM, measured 1.08", found[4].per_useful),
                named("of it in all for overhead hours, catalogue", vms.four[2]),
                named("measured", found[4].four[2]),
            ],
            Verdict::of(
                found[4].four[2] > vms.four[2] && found[4].per_useful >= vms.per_useful,
                "a measured factor changes nothing",
            ),
        ),
    ]
}

/// Work around the clock, and a small job now and then, on metal and on whole vGPUs.
fn always_on() -> Claim {
    let mut now_and_then = Workload::default();
    let small = Batch { class: "inference", gpus: 1, nodes: 1, run_s: 1800 };
    (0..30).for_each(|day| add(&mut now_and_then, small, day * 86_400, 2));
    let vgpus = |workload: &Workload, own: At, rent: At| {
        let vm = format!("[POOL.tenancy.vm]\naccess = \"vgpu-full\"\n{}", rented(rent, WHILE_USED));
        run(&[servers("metal", 1, &owned(own)), servers("vgpus", 1, &vm)], workload)
    };
    let mut around = Workload::default();
    (0..30).for_each(|day| add(&mut around, Batch::server("inference", 24.0), day * 86_400, 1));
    let (busy, idle) =
        (vgpus(&around, At::Typical, At::Typical), vgpus(&now_and_then, At::Typical, At::Typical));
    let (worst_busy, worst_idle) =
        (vgpus(&around, At::High, At::Low), vgpus(&now_and_then, At::Low, At::High));
    let holds = |busy: &[Priced], idle: &[Priced]| {
        busy[0].per_useful < busy[1].per_useful && idle[1].per_useful < idle[0].per_useful
    };
    claim(
        "41",
        "S1",
        "24/7 and real-time work needs metal; early, occasional, small work suits vGPUs",
        "a server owned against one rented by the second with whole vGPUs, USD per useful GPU-hour",
        vec![
            named("24/7, metal", busy[0].per_useful),
            named("24/7, vGPUs", busy[1].per_useful),
            named("24/7, metal dearest", worst_busy[0].per_useful),
            named("24/7, vGPUs cheapest", worst_busy[1].per_useful),
            named("an hour a day, metal", idle[0].per_useful),
            named("an hour a day, vGPUs", idle[1].per_useful),
        ],
        match (holds(&busy, &idle), holds(&worst_busy, &worst_idle)) {
            (true, true) => Verdict::OnlyIf("cost decides: latency of real-time work needs services".into()),
            (true, false) => Verdict::OnlyIf(
                "cost decides, at typical prices; latency of real-time work needs services".into(),
            ),
            (false, _) => Verdict::Refuted("the other kind is cheaper for one of them".into()),
        },
    )
}

/// What the articles advise, case by case: the advised kind and what a useful GPU-hour costs on each.
fn advice() -> Claim {
    let mut large = Workload::default();
    let batch = Batch { class: "training", gpus: 16, nodes: 2, run_s: 23 * 3600 };
    (0..30).for_each(|day| add(&mut large, batch, day * 86_400, 1));
    let mut small = Workload::default();
    (0..30).for_each(|day| {
        add(&mut small, Batch { class: "debug", gpus: 1, nodes: 1, run_s: 3600 }, day * 86_400, 1)
    });
    let mut busy = Workload::default();
    let one = Batch { class: "training", gpus: 1, nodes: 1, run_s: 23 * 3600 };
    (0..30).for_each(|day| add(&mut busy, one, day * 86_400, 16));
    let cases =
        [("large training", large, true), ("a small job a day", small, false), ("busy GPUs", busy, true)];
    let (mut figures, mut wrong) = (Vec::new(), Vec::new());
    for (name, workload, is_metal) in &cases {
        let [metal, vms] = pair(workload, 2, At::Typical, At::Typical);
        figures.push(named(&format!("{name}, metal"), metal.per_useful));
        figures.push(named(&format!("{name}, VMs"), vms.per_useful));
        if (metal.per_useful < vms.per_useful) != *is_metal {
            wrong.push(*name);
        }
    }
    claim(
        "115",
        "S4",
        "metal for large training, low-latency inference, regulated work, busy GPUs; virtual for small bursty jobs",
        "owned metal against VMs by the second, USD per useful GPU-hour",
        figures,
        if wrong.is_empty() {
            Verdict::OnlyIf("cost decides: latency needs services, and regulated work is a rule".into())
        } else {
            Verdict::Refuted(format!("the other kind is cheaper for {}", wrong.join(", ")))
        },
    )
}

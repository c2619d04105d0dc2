//! Claims on links and stores: what data moves over, and what waits for it.

use super::stage::{Jobs, design, play, push, refusal, run_times};
use super::{Claim, Verdict, claim, named};
use crate::fabric::collectives::{Collective, Inside, Members, Wires};
use crate::scenario::catalogue::fabrics::{FabricRow, fabric};
use crate::scenario::catalogue::virtualization::reliability;
use crate::simulation::Outcome;
use crate::workload::{Request, Workload};

/// Bytes of the weights of a model with 70 billion parameters in 16 bits, and of its training state (weights, master copy,
/// two moments), in GB.
const WEIGHTS_GB: f64 = 140.0;
const STATE_GB: f64 = 980.0;

fn wire(name: &str) -> &'static FabricRow {
    fabric(name).expect("the built-in catalogue has the wires that claims name")
}

fn inside(name: &str) -> Inside {
    wire(name).inside().expect("a wire of a node")
}

/// Seconds of an all-reduce.
fn all_reduce_s(wires: &Wires, (ranks, nodes): (u32, u32), bytes: f64) -> f64 {
    let members = Members { ranks, per_node: ranks / nodes, nodes };
    wires.seconds(Collective::AllReduce, members, bytes).unwrap_or(f64::INFINITY)
}

/// A pool whose snapshots of so many GB for each GPU go to a store.
fn on_store(write_gb_s: f64, node_gb_s: f64, gb_per_gpu: f64, every_s: f64) -> String {
    format!(
        "[POOL.tenancy.bare-metal]\nsnapshots = {{ every-s = {every_s:.1}, store = \"s\", gb-per-gpu = {gb_per_gpu} }}\n\
         [design.d.store.s]\nwrite-gb-s = {write_gb_s:.3}\nnode-gb-s = {node_gb_s:.3}\n"
    )
}

/// Seconds for which one job stood still for its snapshots, and its run time.
fn stalled_s(outcome: &Outcome) -> (f64, f64) {
    let facts = outcome.tenancy.as_deref();
    let written = facts.map_or(0.0, |facts| facts.written.iter().map(|(_, row)| row.stalled.as_s()).sum());
    (written, run_times(outcome)[0])
}

/// Seconds for which a node stands still for one snapshot of so many GB, with its own store of that rate.
fn one_snapshot_s(gb: f64, gb_s: f64) -> f64 {
    let design = design(1, &on_store(gb_s, gb_s, gb / 8.0, 600.0));
    stalled_s(&play(&design, &[Jobs { run_s: 1_000, ..Jobs::one("training", 8, 1) }], 1)).0
}

/// A week of a job that writes 980 GB every half hour to a store of that rate: stalled seconds, and all.
fn week(nodes: u32, gb_s: f64) -> (f64, f64) {
    let gpus = 8 * nodes;
    let design = design(nodes, &on_store(gb_s, 10.0, STATE_GB / f64::from(gpus), 1_800.0));
    stalled_s(&play(&design, &[Jobs { run_s: 604_800, ..Jobs::one("training", gpus, nodes) }], 1))
}

/// How many times longer than on NDR a training job of 64 GPUs takes on other adapters.
fn on_network(nic: &str, tenancy: &str) -> f64 {
    let text = format!(
        "fabric = \"n\"\n[design.d.fabric.n]\ntopology = \"rail\"\nnodes-per-leaf = 8\nnic = \"{nic}\"\n{tenancy}\n"
    );
    run_times(&play(&design(8, &text), &[Jobs::one("training", 64, 8)], 1))[0] / 1e4
}

pub(super) fn claims() -> Vec<Claim> {
    let mut claims = links();
    claims.extend(networks());
    claims.extend(checkpoints());
    claims.extend(stores());
    claims.push(direct_reading());
    claims
}

/// How many times longer a job takes in a VM without GPUDirect Storage than with it, if each of its 8 GPUs reads so fast.
fn without_direct(class: &'static str, gpu_gb_s: f64) -> f64 {
    let run = |direct: bool| {
        let text = format!(
            "data = {{ store = \"s\", gpu-gb-s = {gpu_gb_s} }}\n[design.d.store.s]\nwrite-gb-s = 1000\n[POOL.tenancy.vm]\n\
             contention = \"off\"\ngpudirect-storage = {direct}\n"
        );
        run_times(&play(&design(1, &text), &[Jobs::one(class, 8, 1)], 1))[0]
    };
    run(false) / run(true)
}

/// What reading past the memory of the host is worth.
fn direct_reading() -> Claim {
    // As much as a node fetches, for each of its 8 GPUs.
    let full = reliability("store-node-gb-s").value / 8.0;
    let [training, debug, slow] = [("training", full), ("debug", full), ("training", full / 2.0)]
        .map(|(class, rate)| without_direct(class, rate));
    let sliced = "[POOL.tenancy.vm]\naccess = \"vgpu-time-sliced\"\ngpudirect-storage = true\n";
    let is_refused = refusal(sliced).is_some();
    claim(
        "100",
        "S4",
        "virtualization breaks or weakens GPUDirect Storage",
        "8 GPUs that read all that a node fetches, from a store without end: a VM without it over one with it",
        vec![
            named("training", training),
            named("debug", debug),
            named("training at half the rate", slow),
            named("time-sliced vGPUs that cannot have it", f64::from(u8::from(is_refused))),
        ],
        match (is_refused && training > 1.0, slow > 1.0) {
            (true, true) => Verdict::Reproduced,
            (true, false) => Verdict::OnlyIf(format!(
                "jobs read nearly as fast as a node fetches: then training takes {:.1} % longer, at half the rate nothing is lost",
                100.0 * (training - 1.0)
            )),
            (false, _) => Verdict::Refuted("nothing is lost".into()),
        },
    )
}

/// What is in a node.
fn links() -> Vec<Claim> {
    let nvlink = 2.0 * wire("NVLink4-NVSwitch").peak_gb_s_per_dir;
    let pcie = wire("PCIe5-x16").peak_gb_s_per_dir;
    let ratio = nvlink / (2.0 * pcie);
    let alone = |name: &str| Wires { inside: inside(name), between: None };
    let time = |name: &str| all_reduce_s(&alone(name), (8, 1), 1e9);
    let slower = time("PCIe5-x16") / time("NVLink4-NVSwitch");
    vec![
        claim(
            "50",
            "S2",
            "NVLink 4 has 900 GB/s",
            "catalogue: both directions together",
            vec![named("GB/s", nvlink)],
            Verdict::of((nvlink - 900.0).abs() < 1.0, "another sum of both directions"),
        ),
        claim(
            "51",
            "S2",
            "PCIe 5 x16 has 64 GB/s, NVLink is 14 times as fast",
            "catalogue: PCIe 5 x16 in each direction; NVLink 4 over it, both in the same directions",
            vec![named("GB/s in each direction", pcie), named("ratio", ratio)],
            if (pcie - 64.0).abs() < 2.0 && ratio < 10.0 {
                Verdict::OnlyIf(format!(
                    "one direction of PCIe is set beside both of NVLink; alike it is {ratio:.1}"
                ))
            } else {
                Verdict::of((ratio - 14.0).abs() < 1.0, format!("it is {ratio:.1} times as fast"))
            },
        ),
        claim(
            "59",
            "S2",
            "falling back to PCIe costs 10-14 times",
            "all-reduce of 1 GB over 8 GPUs by the law of collectives: NVLink 4 beside PCIe 5 as achieved",
            vec![named("PCIe 5 / NVLink 4", slower)],
            Verdict::of((10.0..=14.0).contains(&slower), format!("the law says {slower:.1} times")),
        ),
    ]
}

/// What is between nodes.
fn networks() -> Vec<Claim> {
    let rates = ["RoCEv2-100G", "RoCEv2-200G", "RoCEv2-400G", "RoCEv2-800G"].map(|nic| on_network(nic, ""));
    let [slow, .., usual, _] = rates;
    let vm = |nic: &str| {
        let tenancy = format!(
            "[POOL.tenancy.vm]\ncontention = \"off\"\nnic = \"{nic}\"\n[POOL.tenancy.vm.overhead]\ncompute = 1.0\n\
             gpu-memory = 1.0\nhost = 1.0\nintra-node = 1.0\nstorage = 1.0"
        );
        on_network("InfiniBand-NDR400", &tenancy)
    };
    let (tcp, sriov, virtio) = (on_network("TCP-100G", ""), vm("sr-iov"), vm("paravirtual"));
    let ndr = wire("InfiniBand-NDR400").between(1.0);
    let small = |nodes: u32| {
        let wires = Wires { inside: inside("NVLink4-NVSwitch"), between: ndr };
        1e6 * all_reduce_s(&wires, (8 * nodes, nodes), 8.0)
    };
    let (two, many) = (small(2), small(3_000));
    vec![
        claim(
            "61",
            "S2",
            "RoCE v2 at 100G is the usual standard",
            "a training job of 64 GPUs, one adapter for each, over its time on NDR",
            ["100G", "200G", "400G", "800G"].into_iter().zip(rates).map(|(name, v)| named(name, v)).collect(),
            if slow > usual * 1.1 {
                Verdict::Refuted(format!(
                    "at 100G such a job takes {:.0} % longer than at 400G",
                    100.0 * (slow / usual - 1.0)
                ))
            } else {
                Verdict::Reproduced
            },
        ),
        claim(
            "62",
            "S2",
            "MPI collectives should stay under 5 us",
            "all-reduce of 8 bytes by the law of collectives, NDR and NVLink 4, in us",
            vec![named("2 nodes", two), named("3,000 nodes", many)],
            if two <= 5.0 {
                Verdict::OnlyIf(format!("few nodes take part: 3,000 need {many:.0} us"))
            } else {
                Verdict::Refuted(format!("the kernel and two hops alone are {two:.0} us"))
            },
        ),
        claim(
            "98",
            "S4",
            "a job of 64 GPUs needs RDMA at full speed",
            "a training job of 64 GPUs, one adapter for each, over its time on NDR",
            vec![named("TCP 100G", tcp), named("SR-IOV", sriov), named("paravirtual", virtio)],
            Verdict::of(tcp > 1.1 && virtio > 1.1, "without it the job is hardly slower"),
        ),
    ]
}

/// How large a checkpoint is, and how often it should be written.
fn checkpoints() -> Vec<Claim> {
    let (weights, state) = (70.0 * 2.0, 70.0 * 14.0);
    let (small, large) = (one_snapshot_s(WEIGHTS_GB, 30.0), one_snapshot_s(STATE_GB, 30.0));
    let usual = one_snapshot_s(WEIGHTS_GB, 25.0);
    let habits = [600.0, 1_800.0, 7_200.0, 28_800.0].map(interval);
    let best = habits.iter().copied().fold(f64::INFINITY, f64::min);
    let worst = habits.iter().copied().fold(0.0, f64::max);
    vec![
        claim(
            "55",
            "S2",
            "a checkpoint of 70B parameters has 140 GB or more",
            "2 bytes of a parameter for weights, 14 for the state of training, in GB",
            vec![named("weights", weights), named("state", state)],
            Verdict::of(weights >= WEIGHTS_GB, "weights alone are smaller"),
        ),
        claim(
            "57",
            "S2",
            "local NVMe writes 140 GB in under 5 s",
            "a job on one node and one snapshot: seconds for which it stands still",
            vec![
                named("140 GB at 30 GB/s", small),
                named("980 GB at 30 GB/s", large),
                named("140 GB at 25 GB/s, the catalogue's", usual),
            ],
            if usual < 5.0 {
                Verdict::Reproduced
            } else {
                Verdict::OnlyIf(format!(
                    "drives are as fast as the article's and weights alone are written: at the catalogue's rate they take \
                     {usual:.1} s, and the state of training takes {large:.1} s at 30 GB/s"
                ))
            },
        ),
        claim(
            "72",
            "S2",
            "assumptions of VMs (checkpoint interval, loaders) cost to undo",
            "a fortnight of work of 64 GPUs whose hosts fail every 6,335 h, 980 GB at 10 GB/s: days until it is done",
            ["every 10 min", "every 30 min", "every 2 h", "every 8 h"]
                .into_iter()
                .zip(habits)
                .map(|(name, days)| named(name, days))
                .collect(),
            Verdict::of(worst > best * 1.02, "the interval hardly matters"),
        ),
    ]
}

/// Days that a fortnight of work takes with snapshots so often, over ten histories of failures.
fn interval(every_s: f64) -> f64 {
    let text = on_store(10.0, 10.0, STATE_GB / 64.0, every_s).replacen(
        "snapshots",
        "failures = { mtbf-hours = 6335 }\nsnapshots",
        1,
    );
    let design = design(9, &text);
    let job = Jobs { run_s: 14 * 86_400, ..Jobs::one("training", 64, 8) };
    let days = (1..=10).map(|seed| {
        let outcome = play(&design, &[job], seed);
        outcome.records.iter().map(|record| record.end.as_s() / 86_400.0).fold(0.0, f64::max)
    });
    days.sum::<f64>() / 10.0
}

/// How fast a store should be.
fn stores() -> Vec<Claim> {
    let rates = [1.0, 5.0, 10.0, 20.0, 50.0];
    let weeks = rates.map(|gb_s| week(8, gb_s));
    let shares = weeks.map(|(stalled_s, all_s)| stalled_s / all_s);
    let saved = |nodes: u32| {
        let (slow, fast) = (week(nodes, 5.0).0, week(nodes, 50.0).0);
        (slow - fast) * 8.0 * f64::from(nodes) / 3_600.0
    };
    let (eight, sixty_four) = (saved(1), saved(8));
    let moved = data_bound();
    vec![
        claim(
            "60",
            "S2",
            "NVMe below 10 GB/s stalls",
            "a week of 64 GPUs, 980 GB every 30 min: share of the time in which the job stands still",
            rates.iter().zip(shares).map(|(gb_s, share)| (format!("{gb_s:.0} GB/s"), share)).collect(),
            Verdict::of(
                shares[1] > 0.05 && shares[3] < 0.05,
                format!(
                    "at 5 GB/s {:.1} % are lost, at 20 GB/s {:.1} %",
                    100.0 * shares[1],
                    100.0 * shares[3]
                ),
            ),
        ),
        claim(
            "58",
            "S2",
            "faster storage saves dozens of GPU-hours in a week",
            "980 GB every 30 min for a week, 50 GB/s against 5: GPU-hours saved",
            vec![named("8 GPUs", eight), named("64 GPUs", sixty_four)],
            Verdict::of(sixty_four >= 24.0 || eight >= 24.0, "fewer are saved"),
        ),
        claim(
            "15",
            "S0",
            "modern work is limited by data movement",
            "the share of 64-GPU training that is communication or snapshots on rails and 10 GB/s, and on 100G and 1 GB/s",
            vec![named("fast", moved.0), named("slow", moved.1)],
            Verdict::OnlyIf(format!(
                "the paths are slow: {:.0} % of the time go there on 100G and 1 GB/s, {:.0} % on NDR and 10 GB/s",
                100.0 * moved.1,
                100.0 * moved.0
            )),
        ),
    ]
}

/// The share of a job's GPU time that goes to communication beyond what it was recorded with and to snapshots, on fast and on slow
/// paths.
fn data_bound() -> (f64, f64) {
    let share = |nic: &str, gb_s: f64| {
        let text = format!(
            "fabric = \"n\"\n[design.d.fabric.n]\ntopology = \"rail\"\nnodes-per-leaf = 8\nnic = \"{nic}\"\n{}",
            on_store(gb_s, 10.0, STATE_GB / 64.0, 1_800.0)
        );
        let mut workload = Workload::default();
        let request = Request { gpus: Some(64), nodes: Some(8), cpus: Some(64), ..Request::default() };
        push(&mut workload, &request, 1, 86_400);
        let hours = super::stage::alike(&design(8, &text), &workload).hours.total().gpu;
        (hours.communication + hours.storage) as f64 / hours.allocated() as f64
    };
    (share("InfiniBand-NDR400", 10.0), share("RoCEv2-100G", 1.0))
}

//! One job of 64 GPUs over a network, on metal and in VMs: how much a step may send before a slower path costs something.

use super::stage::{Jobs, design, play, run_times};
use super::{Claim, Verdict, claim, named};

/// Seconds of a step.
const STEP_S: f64 = 10.0;
/// Bytes that a step sends for each parameter of a fully sharded model in 16 bits.
const BYTES: f64 = 6.0;
/// Losses that are asked for.
const LOSSES: [f64; 3] = [1.01, 1.05, 1.15];

/// A path that is not the best one.
#[derive(Clone, Copy, Debug)]
struct Path {
    name: &'static str,
    nic: &'static str,
    /// Settings of the pool, and of its tenancy.
    pool: &'static str,
    vm_nic: Option<&'static str>,
}

const NDR: Path = Path { name: "NDR, metal", nic: "InfiniBand-NDR400", pool: "", vm_nic: None };

const PATHS: [Path; 5] = [
    Path { name: "TCP 100G, metal", nic: "TCP-100G", ..NDR },
    Path { name: "SR-IOV, VM", vm_nic: Some("sr-iov"), ..NDR },
    Path { name: "paravirtual, VM", vm_nic: Some("paravirtual"), ..NDR },
    Path { name: "NVLink lost, metal", pool: "gpu-link = \"PCIe5-x16\"", ..NDR },
    Path {
        name: "NVLink lost, VM with SR-IOV",
        pool: "gpu-link = \"PCIe5-x16\"",
        vm_nic: Some("sr-iov"),
        ..NDR
    },
];

/// Tables of a pool on a path; nothing but its links costs a VM anything.
fn tables(path: Path, nodes_per_leaf: u32) -> String {
    let vm = path.vm_nic.map_or(String::new(), |nic| {
        format!(
            "[POOL.tenancy.vm]\ncontention = \"off\"\nnic = \"{nic}\"\n[POOL.tenancy.vm.overhead]\ncompute = 1.0\n\
             gpu-memory = 1.0\nhost = 1.0\nintra-node = 1.0\nstorage = 1.0\n"
        )
    });
    format!(
        "fabric = \"n\"\n{}\n[design.d.fabric.n]\ntopology = \"rail\"\nnodes-per-leaf = {nodes_per_leaf}\nnic = \"{}\"\n{vm}",
        path.pool, path.nic
    )
}

/// How many times longer than on NDR a job takes whose steps send so many bytes.
fn slowdown(path: Path, bytes: f64) -> f64 {
    // What a host's GPUs say to each other beside that is left out: only what is sent for the data counts.
    let model = format!(
        "[job-shares.training]\nintra-node-at-8 = 0.0\n[job-shares.training.training]\nparameters-b = {:e}\n\
         step-s = {STEP_S:.1}\nsplit = \"fully-sharded\"\nlayers = 1\n",
        bytes / BYTES / 1e9
    );
    // On NDR it takes its recorded 10,000 s.
    let text = format!("{}{model}", tables(path, 8));
    run_times(&play(&design(8, &text), &[Jobs::one("training", 64, 8)], 1))[0] / 1e4
}

/// GB of a step at which a job takes so many times as long.
fn gb_at(path: Path, loss: f64) -> f64 {
    let (mut low, mut high) = (1e6_f64, 1e13_f64);
    for _ in 0..30 {
        let middle = libm::sqrt(low * high);
        if slowdown(path, middle) < loss {
            low = middle;
        } else {
            high = middle;
        }
    }
    high / 1e9
}

/// The same class of jobs by its share of the time, from one node to 64, over the time on NDR.
fn by_size(path: Path) -> [f64; 4] {
    [1, 2, 8, 64].map(|nodes| {
        let run = |path| {
            let job = Jobs::one("training", 8 * nodes, nodes);
            run_times(&play(&design(nodes, &tables(path, 16)), &[job], 1))[0]
        };
        run(path) / run(NDR)
    })
}

pub(super) fn claims() -> Vec<Claim> {
    let sizes = |path: &Path| LOSSES.map(|loss| gb_at(*path, loss));
    let found: Vec<(&Path, [f64; 3])> = PATHS.iter().map(|path| (path, sizes(path))).collect();
    let told = |wanted: &str| -> Vec<(String, f64)> {
        let rows = found.iter().filter(|(path, _)| path.name.contains(wanted));
        rows.flat_map(|(path, at)| {
            [1, 5, 15].into_iter().zip(*at).map(|(loss, gb)| (format!("{}: {loss} %", path.name), gb))
        })
        .collect()
    };
    let at = |wanted: &str, loss: usize| {
        found.iter().find(|(path, _)| path.name == wanted).map_or(f64::NAN, |(_, at)| at[loss])
    };
    let (tcp, virtio, sriov) = (at("TCP 100G, metal", 1), at("paravirtual, VM", 2), at("SR-IOV, VM", 1));
    let mut claims = vec![
        claim(
            "98",
            "S4",
            "a job of 64 GPUs needs RDMA at full speed",
            "GB that a step of 10 s sends when TCP 100G costs 1, 5 and 15 % over NDR",
            told("TCP"),
            Verdict::OnlyIf(format!("a step of 10 s sends {tcp:.0} GB or more: below that 5 % are not lost")),
        ),
        claim(
            "96",
            "S4",
            "a VMware pool 11 % slower, because of the path to the network",
            "64 GPUs in VMs: GB that a step of 10 s sends when the adapter costs 1, 5 and 15 % over metal",
            told(", VM").into_iter().filter(|(name, _)| !name.starts_with("NVLink")).collect(),
            Verdict::OnlyIf(format!(
                "a paravirtual adapter meets steps that send most of {virtio:.0} GB in 10 s; with SR-IOV 5 % need {sriov:.0} GB"
            )),
        ),
        claim(
            "59",
            "S2",
            "losing NVLink costs a large job as well",
            "64 GPUs without NVLink: GB that a step of 10 s sends when that costs 1, 5 and 15 %, metal and VM",
            told("NVLink lost"),
            Verdict::OnlyIf(format!(
                "a step of 10 s sends {:.0} GB for 15 %, by the rate of PCIe that no several boards reach",
                at("NVLink lost, metal", 2)
            )),
        ),
    ];
    claims.extend(growing());
    claims.push(experts());
    claims
}

/// How many times longer than on rails of NDR a job of 64 GPUs takes on a network, with rings or with each GPU sending to each.
fn exchanging(fabric: &str, nic: &str, traffic: &str) -> f64 {
    let run = |fabric: &str, nic: &str| {
        let text = format!(
            "fabric = \"n\"\n[design.d.fabric.n]\n{fabric}\nnodes-per-leaf = 4\nnic = \"{nic}\"\n\
             [job-shares.training]\ntraffic = \"{traffic}\"\n"
        );
        run_times(&play(&design(8, &text), &[Jobs::one("training", 64, 8)], 1))[0]
    };
    run(fabric, nic) / run("topology = \"rail\"", NDR.nic)
}

/// Experts of a mixture lie on all GPUs, so each GPU sends to each.
fn experts() -> Claim {
    const NARROW: &str = "topology = \"fat-tree\"\noversubscription = 4.0";
    let narrow = |traffic| exchanging(NARROW, "RoCEv2-400G", traffic);
    let (dense, mixed) = (narrow("ring"), narrow("all-to-all"));
    claim(
        "73",
        "S2",
        "mixture-of-experts models need more bandwidth",
        "64 GPUs, the same share of communication as rings and as an exchange of all with all; 4:1 RoCE over NDR rails",
        vec![named("rings", dense), named("all with all", mixed)],
        if mixed > dense {
            Verdict::OnlyIf(format!(
                "bandwidth between nodes is meant: through a narrow network rings take {:.0} % longer and an exchange of all with \
                 all {:.0} %; memory was not measured",
                100.0 * (dense - 1.0),
                100.0 * (mixed - 1.0)
            ))
        } else {
            Verdict::Refuted("an exchange of all with all takes no longer than rings".into())
        },
    )
}

/// Claims that loss grows with size, where the network decides.
fn growing() -> Vec<Claim> {
    let by_gpus = |values: [f64; 4]| -> Vec<(String, f64)> {
        ["8 GPUs", "16 GPUs", "64 GPUs", "512 GPUs"]
            .into_iter()
            .zip(values)
            .map(|(name, v)| named(name, v))
            .collect()
    };
    let (fast, slow) = (by_size(PATHS[1]), by_size(PATHS[2]));
    let grows = |values: [f64; 4]| values.windows(2).all(|pair| pair[1] > pair[0]);
    vec![
        claim(
            "79, 80",
            "S3",
            "overhead matters for large multi-GPU training, not for one GPU",
            "training on rails, VM with SR-IOV over metal: one network for all sizes",
            by_gpus(fast),
            Verdict::of(fast[0] <= 1.001 && grows(fast), "it does not grow with size"),
        ),
        claim(
            "93",
            "S4",
            "multi-node widens the gap",
            "training on rails, VM with paravirtual adapters over metal",
            by_gpus(slow),
            Verdict::of(grows(slow) && slow[2] > fast[2], "it does not"),
        ),
    ]
}

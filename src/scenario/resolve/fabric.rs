//! The `[design.NAME.fabric.NAME]` tables, and the pools on them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::events::{self, LinkEvent, node_names};
use super::{Notes, links};
use crate::diagnostic::{Place, nearest};
use crate::fabric::builders::{self, Cable, Endpoint, FabricSpec, Shape, SwitchSpec};
use crate::fabric::graph;
use crate::scenario::Design;
use crate::scenario::catalogue;
use crate::scenario::catalogue::fabrics::{self, FabricRow};
use crate::scenario::file::{FabricTable, PoolTable, ScenarioFile, Spread, TenancyTable, Topology, VmNic};
use crate::scenario::slurm_conf;
use crate::tenancy::overhead::Range;
use crate::tenancy::{GpuLinks, Kind, Network, OnNetwork, Resource, Share};

/// The adapters of a network of which nothing is written, and of that on which run times were recorded.
const NIC: &str = "InfiniBand-NDR400";
/// Seed of the choice of uplinks: the same job takes the same ones in every run.
const UPLINK_SEED: u64 = 1;

/// Builds the networks of all designs and puts their pools on them.
pub(super) fn complete(
    notes: &mut Notes<'_>,
    file: &mut ScenarioFile,
    designs: &mut [Design],
    directory: &Path,
) {
    for design in designs.iter_mut() {
        let Some(mut table) = file.design.get(&design.name).cloned() else { continue };
        let written = table.clone();
        let events = events::of_links(notes, &design.name, &written);
        links::check(notes, &design.name, &written, &events);
        for (name, fabric) in &mut table.fabric {
            let pools = pools_on(design, &table.pool, name);
            let events = links::of_fabric(&events, &written, name);
            build(notes, design, (name, fabric), (&pools, &events), directory);
        }
        for (name, pool) in &table.pool {
            if pool.gpu_link.is_some() && pool.fabric.is_none() {
                let message = "`gpu-link` has no effect where the pool has no `fabric`";
                let help = "write `fabric` in the pool, or leave this out";
                notes.error_help("W0243", &["design", &design.name, "pool", name, "gpu-link"], message, help);
            }
            let known = pool.fabric.as_ref().filter(|fabric| !table.fabric.contains_key(*fabric));
            let Some(unknown) = known else { continue };
            let message = format!("the design has no fabric `{unknown}`");
            let help = match nearest(unknown, table.fabric.keys().map(String::as_str)) {
                Some(near) => format!("write \"{near}\""),
                None => format!("write [design.{}.fabric.{unknown}] with `topology`", design.name),
            };
            notes.error_help("W0210", &["design", &design.name, "pool", name, "fabric"], message, help);
        }
        file.design.insert(design.name.clone(), table);
    }
    tell_of_jobs_between(notes, designs);
    let has_network = designs.iter().any(|design| design.pools.iter().any(|p| p.tenancy.network.is_some()));
    let path = ["workload", "recorded-nic"];
    if !has_network {
        if file.workload.recorded_nic.is_some() {
            let message = "`recorded-nic` has no effect where no pool has a `fabric`";
            notes.warning("W0268", &path, message, "write `fabric` in a pool, or leave this out");
        }
        return;
    }
    let nic = notes.or_convention(&mut file.workload.recorded_nic, NIC.to_owned(), NIC, &path);
    if let Some(row) = row(notes, &nic, &path) {
        let bytes_s = row.achieved_gb_s.unwrap_or(1.0) * 1e9;
        designs.iter_mut().for_each(|design| design.recorded_bytes_s = bytes_s);
    }
}

/// Only under Slurm's policy can a job have nodes of several pools; what it sends from network to network is not known.
fn tell_of_jobs_between(notes: &mut Notes<'_>, designs: &[Design]) {
    if !notes.is_slurm() {
        return;
    }
    for design in designs {
        let network =
            |at: usize| design.pools[at].tenancy.network.as_ref().map(|on| Arc::as_ptr(&on.network));
        let apart = (1..design.pools.len()).find(|at| network(*at) != network(0));
        if let Some(at) = apart {
            let (one, other) = (&design.cluster.pools[0].name, &design.cluster.pools[at].name);
            let message =
                format!("jobs on nodes of both `{one}` and `{other}` are taken as if they sent nothing");
            let help = "put both pools on one fabric, or keep their partitions apart";
            notes.warning("W0268", &["design", &design.name, "pool", other], message, help);
        }
    }
}

/// The pools of a design on a network, by their numbers, with how they are written.
fn pools_on(
    design: &Design,
    tables: &crate::scenario::file::Named<PoolTable>,
    fabric: &str,
) -> Vec<(usize, PoolTable)> {
    let pools = design.cluster.pools.iter().enumerate();
    pools
        .filter_map(|(at, pool)| {
            let table = tables.get(&pool.name)?;
            (table.fabric.as_deref() == Some(fabric)).then(|| (at, table.clone()))
        })
        .collect()
}

/// A row of the catalogue that stands for adapters.
fn row(notes: &mut Notes<'_>, name: &str, path: &[&str]) -> Option<&'static FabricRow> {
    let found = fabrics::fabric(name).filter(|row| row.between(1.0).is_some());
    if found.is_none() {
        let between: Vec<&str> = fabrics::fabrics()
            .iter()
            .filter(|row| row.between(1.0).is_some())
            .map(|row| row.fabric.as_str())
            .collect();
        let message = format!("no adapters are called `{name}`");
        let help = match nearest(name, between.iter().copied()) {
            Some(near) => format!("write \"{near}\""),
            None => format!("one of: {}", between.join(", ")),
        };
        notes.error_help("W0210", path, message, help);
    }
    found
}

fn build(
    notes: &mut Notes<'_>,
    design: &mut Design,
    (name, table): (&str, &mut FabricTable),
    (pools, events): (&[(usize, PoolTable)], &[&LinkEvent<'_>]),
    directory: &Path,
) {
    let owner = design.name.clone();
    let at = |key| ["design", owner.as_str(), "fabric", name, key];
    let path = ["design", owner.as_str(), "fabric", name];
    if pools.is_empty() {
        let help = format!("write `fabric = \"{name}\"` in a pool, or leave it out");
        notes.warning("W0268", &path, format!("no pool is on the fabric `{name}`"), &help);
    }
    let nic = notes.or_convention(&mut table.nic, NIC.to_owned(), NIC, &at("nic"));
    let Some(adapters) = row(notes, &nic, &at("nic")) else { return };
    let phase = notes.or_convention(&mut table.phase_overlap, 0.5, 0.5, &at("phase-overlap"));
    if !(0.0..=1.0).contains(&phase) {
        let message = format!("`phase-overlap = {phase}` is no share");
        notes.error_help("W0209", &at("phase-overlap"), message, "write a share from 0 to 1");
        return;
    }
    // on one switch all hosts are alike; see `spread` below
    let rank_order = table.topology == Topology::Single
        || notes.or_convention(&mut table.rank_order, true, true, &at("rank-order"));
    let mut nodes = Vec::new();
    let mut firsts = Vec::new();
    let names = node_names(design);
    for (pool, _) in pools {
        firsts.push(nodes.len() as u32);
        nodes.extend(endpoints(design, *pool, (table, adapters), &names));
    }
    if nodes.is_empty() {
        return;
    }
    let Some(shape) = shape(notes, table, &nodes, &path, directory) else { return };
    // A default that is written back where it has no effect would be refused when the scenario is read again.
    let spread = if has_parallel_links(table.topology) {
        notes.or_convention(&mut table.spread, Spread::Ideal, "ideal", &at("spread"))
    } else {
        Spread::Ideal
    };
    let spec = FabricSpec {
        shape,
        nodes,
        hop_s: adapters.switch_hop_ns.unwrap_or(0.0) / 1e9,
        spread: match spread {
            Spread::Ideal => graph::Spread::Ideal,
            Spread::Hash => graph::Spread::Hash { seed: UPLINK_SEED },
        },
    };
    match builders::build(&spec) {
        Ok(fabric) => {
            let numbers: Vec<(usize, u32)> =
                pools.iter().zip(&firsts).map(|((pool, _), first)| (*pool, *first)).collect();
            let spells = links::spells(notes, design, &fabric, events, &numbers);
            let network = Arc::new(
                Network::new(fabric, phase).in_rank_order(rank_order).with_spells(spells).called(name),
            );
            for ((pool, written), first) in pools.iter().zip(firsts) {
                put_on(notes, design, (*pool, written), (&network, first), (table, adapters));
            }
        }
        Err(problem) if problem.place == Place::Nowhere => notes.tell(*problem, &path),
        Err(problem) => notes.problems.push(*problem),
    }
}

/// The hosts of a pool: how many, with how many GPUs each.
fn hosts(design: &Design, pool: usize) -> (u32, u32) {
    let spec = &design.cluster.pools[pool];
    match design.pools[pool].tenancy.packing {
        Some(packing) => (spec.count.div_ceil(packing.per_host), packing.gpus),
        None => (spec.count, spec.node.capacity.gpus),
    }
}

fn ports(table: &FabricTable, gpus: u32) -> u32 {
    table.ports_per_node.unwrap_or(gpus).max(1)
}

/// The hosts of a pool with their adapters.
fn endpoints(
    design: &Design,
    pool: usize,
    (table, adapters): (&FabricTable, &FabricRow),
    names: &[String],
) -> Vec<Endpoint> {
    let (count, gpus) = hosts(design, pool);
    let nics = ports(table, gpus);
    let before: u32 = design.cluster.pools[..pool].iter().map(|pool| pool.count).sum();
    let is_packed = design.pools[pool].tenancy.packing.is_some();
    let endpoint = |host: u32| Endpoint {
        name: match names.get((before + host) as usize) {
            Some(node) if !is_packed => node.clone(),
            _ => format!("{}{host}", design.cluster.pools[pool].name),
        },
        bytes_per_s: adapters.achieved_gb_s.unwrap_or(0.0) * 1e9 * f64::from(nics),
        nics,
        latency_s: adapters.latency_us / 1e6,
    };
    (0..count).map(endpoint).collect()
}

/// Puts a pool on a network: what its access method and its neighbours did to communication is now the network's to say.
fn put_on(
    notes: &mut Notes<'_>,
    design: &mut Design,
    (pool, written): (usize, &PoolTable),
    (network, first): (&Arc<Network>, u32),
    (table, adapters): (&FabricTable, &'static FabricRow),
) {
    let (_, gpus) = hosts(design, pool);
    let name = design.cluster.pools[pool].name.clone();
    let path = ["design", &design.name, "pool", &name, "tenancy", "vm", "overhead", "inter-node"];
    let mut port_gb_s = adapters.achieved_gb_s.unwrap_or(0.0);
    if let Some(TenancyTable::Vm(vm)) = &written.tenancy {
        let row = virtual_adapters(vm.nic.unwrap_or(VmNic::SrIov));
        port_gb_s = port_gb_s.min(row.achieved_gb_s.unwrap_or(port_gb_s));
        if vm.overhead.as_ref().is_some_and(|overhead| overhead.inter_node.is_some()) {
            let message =
                "`inter-node` has no effect where the pool is on a fabric: its adapters say what is lost";
            notes.error_help("W0243", &path, message, "leave out `inter-node`, or the `fabric` of the pool");
        }
        let value = format!("{} ({port_gb_s} GB/s of each)", row.fabric);
        notes.or_default(&mut None, (), value, &path[..6], &row.source, Some(row.confidence));
    }
    let each = f64::from(ports(table, gpus)) / f64::from(gpus.max(1));
    let adapter_bytes_s = port_gb_s * 1e9 * each;
    let tenancy = &mut design.pools[pool].tenancy;
    tenancy.overhead.factors[Share::InterNode as usize] = Range::exactly(1.0);
    if let Some(contention) = &mut tenancy.contention {
        contention.loss[Resource::Nic as usize] = 0.0;
    }
    debug_assert!(tenancy.kind == Kind::Vm || tenancy.overhead == crate::tenancy::Overhead::NONE);
    let gpu_links = gpu_links(notes, design, pool, written, table.topology);
    let network = OnNetwork { network: Arc::clone(network), first, adapter_bytes_s, gpu_links };
    design.pools[pool].tenancy.network = Some(network);
}

/// What the GPUs of a pool's hosts talk over: as their boards have it, and as it is written.
fn gpu_links(
    notes: &mut Notes<'_>,
    design: &Design,
    pool: usize,
    written: &PoolTable,
    topology: Topology,
) -> Option<GpuLinks> {
    let (_, gpus) = hosts(design, pool);
    let spec = &design.cluster.pools[pool];
    let path = ["design", design.name.as_str(), "pool", spec.name.as_str(), "gpu-link"];
    if gpus == 0 {
        if written.gpu_link.is_some() {
            let message = "`gpu-link` has no effect in a pool without GPUs";
            notes.error_help("W0243", &path, message, "leave it out");
        }
        return None;
    }
    let of_board = spec.node.gpu_type.as_deref().and_then(catalogue::gpu).map(|row| row.gpu_link.as_str());
    let name = written.gpu_link.as_deref().or(of_board)?;
    let inside = |name: &str| fabrics::fabric(name).and_then(|row| row.inside().map(|inside| (row, inside)));
    let Some((row, now)) = inside(name) else {
        let known =
            fabrics::fabrics().iter().filter(|row| row.inside().is_some()).map(|row| row.fabric.as_str());
        let known: Vec<&str> = known.collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("write \"{near}\""),
            None => format!("one of: {}", known.join(", ")),
        };
        notes.error_help("W0210", &path, format!("no links between GPUs are called `{name}`"), help);
        return None;
    };
    let usual = of_board.and_then(inside).map_or(now, |(_, usual)| usual);
    // The GPUs of a rack are one domain where the racks are written; else it ends at the host.
    let domain = match (row.scope.as_str(), topology) {
        ("rack", Topology::Nvl72) => row.domain_gpus.unwrap_or(gpus),
        _ => row.domain_gpus.unwrap_or(gpus).min(gpus),
    };
    let links = GpuLinks { usual, now, domain, is_pcie: row.is_pcie() && gpus > 1 };
    if written.gpu_link.is_some() && links.is_pcie {
        tell_of_pcie(notes, &spec.name, &links, &path);
    }
    Some(links)
}

/// The laws of rings and of what is achieved are far too good for boards that only PCIe joins.
pub(super) fn tell_of_pcie(notes: &mut Notes<'_>, pool: &str, links: &GpuLinks, path: &[&str]) {
    let message = format!(
        "the GPUs of `{pool}` talk over PCIe: of that there is no measured curve, and {} GB/s is far more than several \
         boards reach together",
        links.now.bytes_per_s / 1e9
    );
    let help = "take what jobs lose inside a host as a lower bound (8 L40S reach 1.4 GB/s)";
    notes.warning("W0280", path, message, help);
}

/// What jobs in a VM have of an adapter.
fn virtual_adapters(nic: VmNic) -> &'static FabricRow {
    let name = match nic {
        VmNic::SrIov => "SRIOV-RDMA-200G",
        VmNic::Paravirtual => "virtio-or-vmxnet3-100G",
    };
    fabrics::fabric(name).expect("the built-in catalogue has virtual adapters")
}

fn shape(
    notes: &mut Notes<'_>,
    table: &mut FabricTable,
    nodes: &[Endpoint],
    path: &[&str; 4],
    directory: &Path,
) -> Option<Shape> {
    let at = |key| [path[0], path[1], path[2], path[3], key];
    only_with(notes, table, path);
    let per_leaf = |notes: &mut Notes<'_>, table: &mut FabricTable| {
        notes.or_convention(&mut table.nodes_per_leaf, 16, 16, &at("nodes-per-leaf"))
    };
    let over = |notes: &mut Notes<'_>, table: &mut FabricTable| {
        notes.or_convention(&mut table.oversubscription, 1.0, 1.0, &at("oversubscription"))
    };
    Some(match table.topology {
        Topology::Single => Shape::Single,
        Topology::FatTree => {
            let levels = notes.or_convention(&mut table.levels, 2, 2, &at("levels"));
            let leaves_per_pod = (levels == 3)
                .then(|| notes.or_convention(&mut table.leaves_per_pod, 8, 8, &at("leaves-per-pod")));
            Shape::FatTree {
                nodes_per_leaf: per_leaf(notes, table),
                leaves_per_pod,
                oversubscription: over(notes, table),
                core_oversubscription: 1.0,
                uplinks: None,
            }
        }
        Topology::Rail => Shape::Rail {
            nodes_per_pod: per_leaf(notes, table),
            oversubscription: over(notes, table),
            uplinks: None,
            nvlink: true,
        },
        Topology::Nvl72 => {
            let row = fabrics::fabric("NVLink5-NVL72").expect("the built-in catalogue has NVLink");
            let gpus = nodes.iter().map(|node| node.nics).max().unwrap_or(1);
            Shape::Nvl72 {
                nodes_per_domain: (72 / gpus.max(1)).max(1),
                nvlink_bytes_per_s: row.achieved_gb_s.unwrap_or(1.0) * 1e9 * f64::from(gpus),
                nodes_per_leaf: per_leaf(notes, table),
                oversubscription: over(notes, table),
            }
        }
        Topology::Dragonfly => {
            let nodes_per_router = per_leaf(notes, table);
            let routers = notes.or_convention(&mut table.leaves_per_pod, 8, 8, &at("leaves-per-pod"));
            // As wide in all as what hangs on a router: the usual balance of a group.
            let below = nodes.first()?.bytes_per_s * f64::from(nodes_per_router) / over(notes, table);
            Shape::Dragonfly {
                routers_per_group: routers,
                nodes_per_router,
                local_bytes_per_s: below / f64::from(routers.saturating_sub(1).max(1)),
                global_bytes_per_s: below,
            }
        }
        Topology::Edges => Shape::Cables(cables(notes, table, &at("file"), directory)?),
        Topology::TopologyConf => Shape::Tree {
            switches: switches(notes, table, nodes, directory)?,
            oversubscription: over(notes, table),
            core_oversubscription: 1.0,
        },
    })
}

/// Whether a network of this kind has uplinks side by side, of which a flow can take one.
fn has_parallel_links(topology: Topology) -> bool {
    !matches!(topology, Topology::Single | Topology::Dragonfly | Topology::Edges)
}

/// Refuses what has no effect with a topology.
fn only_with(notes: &mut Notes<'_>, table: &FabricTable, path: &[&str; 4]) {
    use Topology as T;
    let leveled = matches!(table.topology, T::FatTree | T::Rail | T::Nvl72 | T::Dragonfly);
    let in_file = matches!(table.topology, T::Edges | T::TopologyConf);
    let three = table.topology == T::FatTree && table.levels == Some(3);
    let rows = [
        ("nodes-per-leaf", table.nodes_per_leaf.is_some(), leveled),
        ("levels", table.levels.is_some(), table.topology == T::FatTree),
        ("leaves-per-pod", table.leaves_per_pod.is_some(), three || table.topology == T::Dragonfly),
        ("oversubscription", table.oversubscription.is_some(), leveled || table.topology == T::TopologyConf),
        ("spread", table.spread.is_some(), has_parallel_links(table.topology)),
        ("rank-order", table.rank_order.is_some(), table.topology != T::Single),
        ("file", table.file.is_some(), in_file),
    ];
    for (key, _, _) in rows.into_iter().filter(|(_, written, matters)| *written && !matters) {
        let message = format!("`{key}` has no effect with this topology");
        let help = "leave it out, or write the topology that it belongs to";
        notes.error_help("W0243", &[path[0], path[1], path[2], path[3], key], message, help);
    }
    if in_file && table.file.is_none() {
        let help = "write `file`, relative to the scenario file";
        notes.error_help("W0212", path, "this topology is read from a file, and none is written", help);
    }
}

fn cables(
    notes: &mut Notes<'_>,
    table: &FabricTable,
    path: &[&str; 5],
    directory: &Path,
) -> Option<Vec<Cable>> {
    let written = table.file.as_ref()?;
    let file = match File::open(directory.join(written)) {
        Ok(file) => file,
        Err(error) => {
            let message = format!("`{written}` cannot be read: {error}");
            notes.error_help("W0213", path, message, "the path is relative to the scenario file");
            return None;
        }
    };
    match builders::read_cables(file, written) {
        Ok(cables) => Some(cables),
        Err(problems) => {
            notes.problems.extend(problems.kept().iter().cloned());
            None
        }
    }
}

fn switches(
    notes: &mut Notes<'_>,
    table: &FabricTable,
    nodes: &[Endpoint],
    directory: &Path,
) -> Option<Vec<SwitchSpec>> {
    let written = table.file.as_ref()?;
    let all: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    match slurm_conf::read_switches(&directory.join(written), &all) {
        Ok(topology) => Some(topology.switches),
        Err(problems) => {
            notes.problems.extend(problems.kept().iter().cloned());
            None
        }
    }
}

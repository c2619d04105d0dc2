//! The `[design.NAME]` tables: pools, nodes, tenancy.

use std::sync::Arc;

use super::finance::{Plan, QuoteOf, cost_of_quote};
use super::price::Paid;
use super::slurm::SlurmSite;
use super::{Notes, dedicated, events, price, route, sharing, site_nodes, slurm, spares, stores, tenancy};
use crate::cluster::{Amounts, ClusterSpec, NodeSpec, PoolSpec};
use crate::diagnostic::nearest;
use crate::money::Currency;
use crate::scenario::catalogue;
use crate::scenario::file::{DesignTable, GpuTable, Named, NodeTable, PoolTable, ScenarioFile};
use crate::scenario::{Design, PoolTerms, SpeedupSpec};
use crate::time::SimDuration;

/// Kinds of node and board that the scenario's pools use, with everything filled in.
pub(super) struct Hardware<'f> {
    node: &'f mut Named<NodeTable>,
    gpu: &'f mut Named<GpuTable>,
}

/// A node of a pool, and what is known of it beside its capacity.
pub(super) struct ResolvedNode {
    pub(super) spec: NodeSpec,
    pub(super) power_w: Option<u32>,
    pub(super) power_idle_w: Option<u32>,
    /// Whether its GPUs are those of the catalogue's node of that name: then its price holds too.
    pub(super) as_sold: bool,
    gpu_memory_gb: Option<u32>,
}

impl ResolvedNode {
    /// A node of which the catalogue knows nothing.
    pub(super) fn plain(spec: NodeSpec) -> Self {
        Self { spec, power_w: None, power_idle_w: None, as_sold: false, gpu_memory_gb: None }
    }
}

pub(super) fn resolve(
    notes: &mut Notes<'_>,
    file: &mut ScenarioFile,
    site: Option<&SlurmSite>,
    plan: &Plan,
) -> Vec<Design> {
    if file.design.is_empty() {
        let help = "write [design.NAME.pool.main] with `node` and `count`; `windtunnel new` shows how";
        notes.error_help("W0212", &["design"], "the scenario has no design", help);
    }
    let mut hardware = Hardware { node: &mut file.node, gpu: &mut file.gpu };
    let mut designs = Vec::new();
    for (name, table) in &mut file.design {
        let own = slurm::own_site(notes, &file.policy, (name, table), notes.directory);
        let site = own.as_ref().or(site);
        designs.extend(design(notes, &mut hardware, site, plan, name, table));
    }
    one_currency(notes, &designs);
    designs
}

/// Names become file names and parts of paths.
fn check_name(notes: &mut Notes<'_>, what: &str, name: &str, path: &[&str]) {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(fine) {
        let message = format!("`{name}` cannot be the name of a {what}");
        let help =
            "use letters, digits, `-`, `_` and `.`, not beginning with `.`; a design may have a `label`";
        notes.error_help("W0217", path, message, help);
    }
}

fn design(
    notes: &mut Notes<'_>,
    hardware: &mut Hardware<'_>,
    site: Option<&SlurmSite>,
    plan: &Plan,
    name: &str,
    table: &mut DesignTable,
) -> Option<Design> {
    check_name(notes, "design", name, &["design", name]);
    if table.pool.is_empty() && !site.is_some_and(SlurmSite::has_nodes) {
        let message = format!("the design `{name}` has no pool");
        let help = format!("write [design.{name}.pool.main] with `node` and `count`");
        notes.error_help("W0212", &["design", name], message, help);
    }
    let label = table.label.get_or_insert_with(|| name.to_owned()).clone();
    let (specs, mut pools) = site_nodes::resolve(notes, hardware, site, (name, table), plan.start());
    let (mut cluster, of_site) = (ClusterSpec { pools: specs }, pools.len());
    let mut quote = plan.quote(notes, name, table.quote.as_deref());
    for (pool_name, pool_table) in &mut table.pool {
        let path = ["design", name, "pool", pool_name.as_str()];
        check_name(notes, "pool", pool_name, &path);
        let (spec, terms) = pool(notes, (hardware, site), pool_table, &path, (&mut quote, plan.start()))?;
        cluster.pools.push(spec);
        pools.push(terms);
    }
    let stores = stores::resolve(notes, name, table, &mut pools[of_site..]);
    let money = quote.rest(notes, name, &pools, plan, table.migration_cost);
    site_nodes::cost_nothing_more(notes, name, &cluster, (&mut pools, of_site));
    all_or_no_costs(notes, name, &cluster, &pools);
    check_total(notes, name, &cluster);
    let routes = route::resolve(notes, name, table, &cluster);
    let slurm = slurm::of_design(notes, site, name, table, &cluster);
    let (mut sharing, speedup) = (sharing::whole(&cluster), SpeedupSpec::default());
    for (slot, cards) in sharing.cards.iter_mut().zip(site.into_iter().flat_map(SlurmSite::cards)) {
        if let Some(cards) = cards {
            slot.clone_from(cards);
        }
    }
    let mut design = Design {
        name: name.to_owned(),
        label,
        cluster,
        pools,
        slurm,
        speedup,
        sharing,
        shares_gpus: false,
        routes,
        profiles: Arc::default(),
        recorded_bytes_s: 1.0,
        stores,
        money,
        events: Vec::new(),
        has_outages: false,
        reservations: Vec::new(),
        warm_up: SimDuration::from_s(0),
    };
    events::resolve(notes, &mut design, table);
    spares::resolve(notes, &mut design, table);
    Some(design)
}

fn pool(
    notes: &mut Notes<'_>,
    (hardware, site): (&mut Hardware<'_>, Option<&SlurmSite>),
    table: &mut PoolTable,
    path: &[&str; 4],
    (quote, start): (&mut QuoteOf, Option<u32>),
) -> Option<(PoolSpec, PoolTerms)> {
    let at = [path[0], path[1], path[2], path[3], "node"];
    let mut node = match (table.node.strip_prefix("partition:"), site) {
        (Some(partition), Some(site)) => match site.node_like(partition) {
            Ok(spec) => ResolvedNode::plain(spec),
            Err((message, help)) => {
                notes.error_help("W0213", &at, message, &help);
                return None;
            }
        },
        _ => node(notes, hardware, &table.node, &at)?,
    };
    let quoted = quote.line_of(&node.spec.name, node.spec.gpu_type.as_deref());
    if table.cost.is_none() {
        table.cost = quoted.as_ref().map(cost_of_quote);
    }
    let paid = Paid { node: &node, count: table.count, quoted: quoted.as_ref(), start };
    let priced = table.cost.as_mut().filter(|_| !quote.is_broken);
    let cost = priced.and_then(|cost| price::terms(notes, cost, &paid, path));
    quote.note_pool(&paid, cost.as_ref());
    let mut count = table.count;
    let seen = tenancy::Seen { node: &mut node.spec, count: &mut count };
    let tenancy = tenancy::resolve(notes, table, seen, path);
    let dedicated = dedicated::nodes_per_host(table, &tenancy);
    let spec = PoolSpec { name: path[3].to_owned(), node: node.spec, count, dedicated };
    Some((
        spec,
        PoolTerms { cost, tenancy, tenants: table.tenants.clone(), gpu_memory_gb: node.gpu_memory_gb },
    ))
}

/// The node of that name, filled in from the catalogue where the scenario leaves something out.
pub(super) fn node(
    notes: &mut Notes<'_>,
    hardware: &mut Hardware<'_>,
    name: &str,
    used_at: &[&str],
) -> Option<ResolvedNode> {
    let row = catalogue::node(name);
    if row.is_none() && !hardware.node.contains_key(name) {
        let known: Vec<&str> = hardware.node.keys().map(String::as_str).collect();
        let built_in = catalogue::nodes().iter().map(|row| row.node.as_str());
        let known: Vec<&str> = known.into_iter().chain(built_in).collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("define it as [node.{name}], or use one of: {}", known.join(", ")),
        };
        notes.error_help("W0213", used_at, format!("there is no kind of node `{name}`"), help);
        return None;
    }
    let table = hardware.node.entry(name.to_owned()).or_default();
    let as_sold = row.is_some_and(|row| {
        table.gpus.is_none_or(|gpus| gpus == row.gpus) && (table.gpu.is_none() || table.gpu == row.gpu)
    });
    if let Some(row) = row {
        fill_node(notes, table, row, as_sold);
    }
    let (power_w, power_idle_w) = (table.power_w, table.power_idle_w);
    let mut spec = node_spec(notes, name, table);
    let board = spec.gpu_type.clone();
    let gpu_memory_gb = board.and_then(|board| gpu_memory(notes, hardware, &board, name));
    spec.gpu_mem_mib = gpu_memory_gb.map(|gb| u64::from(gb) * MIB_PER_GB);
    Some(ResolvedNode { spec, power_w, power_idle_w, as_sold, gpu_memory_gb })
}

fn fill_node(notes: &mut Notes<'_>, table: &mut NodeTable, row: &'static catalogue::NodeRow, as_sold: bool) {
    let path = |setting| ["node", row.node.as_str(), setting];
    let known = Some(row.confidence);
    notes.or_default(&mut table.cpus, row.cpus, row.cpus, &path("cpus"), &row.source, known);
    notes.or_default(&mut table.mem_mb, row.mem_mb, row.mem_mb, &path("mem-mb"), &row.source, known);
    notes.or_default(&mut table.gpus, row.gpus, row.gpus, &path("gpus"), &row.source, known);
    if let (Some(gpu), true) = (&row.gpu, table.gpus > Some(0)) {
        notes.or_default(&mut table.gpu, gpu.clone(), gpu, &path("gpu"), &row.source, known);
    }
    if let (Some(power), true) = (row.power_busy_w, as_sold) {
        let same = table.power_w.is_none_or(|written| written == power);
        notes.or_default(&mut table.power_w, power, power, &path("power-w"), &row.source, known);
        if let (Some(idle), true) = (row.power_idle_w, same) {
            notes.or_default(&mut table.power_idle_w, idle, idle, &path("power-idle-w"), &row.source, known);
        }
    }
}

/// A board is sold as having so many GB and has about as many GiB; what programs can use is a few per cent
/// less, and unknown for most boards, so a need up to the whole of it is taken to fit.
const MIB_PER_GB: u64 = 1024;

/// A type that is not stated: takes every request, has no memory size and no price.
const ANY_GPU: &str = "any";

fn node_spec(notes: &mut Notes<'_>, name: &str, table: &mut NodeTable) -> NodeSpec {
    if table.cpus.is_none() || table.mem_mb.is_none() {
        let missing = if table.cpus.is_none() { "cpus" } else { "mem-mb" };
        let message = format!("the node `{name}` needs `{missing}`");
        notes.error_help(
            "W0215",
            &["node", name],
            message,
            "the catalogue has no node of that name to take it from",
        );
    }
    let gpus = notes.or_convention(&mut table.gpus, 0, 0, &["node", name, "gpus"]);
    match (&table.gpu, gpus) {
        (None, 1..) => {
            let message = format!("the node `{name}` has {gpus} GPUs without a type");
            let help = "write `gpu = \"BOARD\"`, or `gpu = \"any\"` where the type does not matter";
            notes.error_help("W0215", &["node", name, "gpus"], message, help);
        }
        (Some(gpu), 0) => {
            let message = format!("the node `{name}` has a GPU type `{gpu}`, and no GPUs");
            notes.error_help("W0215", &["node", name, "gpu"], message, "write `gpus = NUMBER`");
        }
        _ => {}
    }
    NodeSpec {
        name: name.to_owned(),
        capacity: Amounts { cpus: table.cpus.unwrap_or(0), gpus, mem_mb: table.mem_mb.unwrap_or(0) },
        gpu_type: table.gpu.clone().filter(|gpu| gpu != ANY_GPU),
        gpu_mem_mib: None,
        features: table.features.clone().unwrap_or_default(),
    }
}

/// Memory of a board, from `[gpu.NAME]` or the catalogue.
fn gpu_memory(notes: &mut Notes<'_>, hardware: &mut Hardware<'_>, board: &str, node: &str) -> Option<u32> {
    let row = catalogue::gpu(board);
    if row.is_none() && !hardware.gpu.contains_key(board) {
        let known: Vec<&str> = catalogue::gpus().iter().map(|row| row.gpu.as_str()).collect();
        let help = match nearest(board, known.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("define it as [gpu.{board}], or use one of: {}", known.join(", ")),
        };
        notes.error_help("W0214", &["node", node, "gpu"], format!("there is no GPU `{board}`"), help);
        return None;
    }
    let table = hardware.gpu.entry(board.to_owned()).or_default();
    let path = ["gpu", board, "memory-gb"];
    match row {
        Some(row) => {
            let (memory, known) = (row.memory_gb, Some(row.confidence));
            Some(notes.or_default(&mut table.memory_gb, memory, memory, &path, &row.source, known))
        }
        None => {
            if table.memory_gb.is_none() {
                notes.error("W0215", &["gpu", board], format!("the GPU `{board}` needs `memory-gb`"));
            }
            table.memory_gb
        }
    }
}

fn all_or_no_costs(notes: &mut Notes<'_>, name: &str, cluster: &ClusterSpec, pools: &[PoolTerms]) {
    if notes.problems.errors() > 0 {
        return;
    }
    let Some(free) = pools.iter().position(|pool| pool.cost.is_none()) else { return };
    if let Some(paid) = pools.iter().position(|pool| pool.cost.is_some()) {
        let (free, paid) = (cluster.pools[free].name.clone(), cluster.pools[paid].name.clone());
        let message = format!("in the design `{name}` the pool `{paid}` has a cost and `{free}` has none");
        let help =
            format!("write [design.{name}.pool.{free}.cost.owned] or .rented, or leave out every cost");
        notes.error_help("W0219", &["design", name, "pool", &free], message, help);
    }
}

/// The totals of a design must fit the counters of the ledger.
fn check_total(notes: &mut Notes<'_>, name: &str, cluster: &ClusterSpec) {
    let sum = |each: fn(&NodeSpec) -> u64| -> u64 {
        cluster.pools.iter().map(|pool| each(&pool.node) * u64::from(pool.count)).sum()
    };
    if cluster.pools.iter().all(|pool| pool.count == 0) && notes.problems.errors() == 0 {
        let message = format!("the design `{name}` has no nodes");
        notes.error_help(
            "W0212",
            &["design", name],
            message,
            "give one of its pools a `count` of at least 1",
        );
    }
    let (nodes, cpus) = (sum(|_| 1), sum(|node| u64::from(node.capacity.cpus)));
    let memory =
        cluster.pools.iter().map(|pool| u128::from(pool.node.capacity.mem_mb) * u128::from(pool.count));
    let most = u64::from(u32::MAX);
    if nodes > most || cpus > most || memory.sum::<u128>() > u128::from(u64::MAX) {
        let message = format!("the design `{name}` is too large to simulate: {nodes} nodes, {cpus} CPUs");
        notes.error("W0209", &["design", name], message);
    }
}

/// Figures side by side are in one currency.
fn one_currency(notes: &mut Notes<'_>, designs: &[Design]) {
    let mut first: Option<(Currency, &str)> = None;
    for design in designs {
        for (pool, terms) in design.cluster.pools.iter().zip(&design.pools) {
            let Some(cost) = &terms.cost else { continue };
            let currency = cost.currency();
            let (known, known_in) = *first.get_or_insert((currency, design.name.as_str()));
            if currency != known {
                let kind = if matches!(cost, crate::cost::CostTerms::Owned(_)) { "owned" } else { "rented" };
                let path = ["design", &design.name, "pool", &pool.name, "cost", kind, "currency"];
                let message = format!("costs in {currency} here and in {known} in the design `{known_in}`");
                notes.error_help(
                    "W0220",
                    &path,
                    message,
                    "write all prices in one currency: nothing is converted",
                );
            }
        }
        for line in &design.money.lines {
            let (known, known_in) = *first.get_or_insert((line.currency, design.name.as_str()));
            if line.currency != known {
                let currency = line.currency;
                let message = format!(
                    "the quote's `{}` is in {currency}, and the design `{known_in}` has costs in {known}",
                    line.what
                );
                let help = "write all prices in one currency: nothing is converted";
                notes.error_help("W0220", &["design", &design.name, "quote"], message, help);
            }
        }
    }
}

//! `[design.NAME.site.NODES]`: what a design says of nodes that slurm.conf brings: what they cost, and whether their hosts
//! are dedicated.
//!
//! Such nodes are there already. Where a design has costs and nobody prices them, they cost nothing more; that is told.

use super::Notes;
use super::design::{Hardware, ResolvedNode, node};
use super::price::{self, Paid};
use super::slurm::SlurmSite;
use crate::cluster::{ClusterSpec, PoolSpec};
use crate::cost::{CostTerms, Per, Price, Rented};
use crate::diagnostic::nearest;
use crate::money::Money;
use crate::scenario::PoolTerms;
use crate::scenario::file::{Dedicated, DesignTable, SiteTable};
use crate::tenancy::PoolTenancy;

/// The nodes of slurm.conf as pools of a design, with what it says of them.
pub(super) fn resolve(
    notes: &mut Notes<'_>,
    hardware: &mut Hardware<'_>,
    site: Option<&SlurmSite>,
    (design, table): (&str, &mut DesignTable),
    start: Option<u32>,
) -> (Vec<PoolSpec>, Vec<PoolTerms>) {
    let mut specs: Vec<PoolSpec> = site.into_iter().flat_map(SlurmSite::pools).cloned().collect();
    refuse_unknown(notes, site.is_some(), &specs, (design, table));
    let mut terms = Vec::new();
    for spec in &mut specs {
        let name = spec.name.clone();
        let path = ["design", design, "site", name.as_str()];
        let of_pool =
            |cost| PoolTerms { cost, tenancy: PoolTenancy::bare_metal(), tenants: None, gpu_memory_gb: None };
        let Some(table) = table.site.get_mut(&name) else {
            terms.push(of_pool(None));
            continue;
        };
        spec.dedicated = (table.dedicated == Some(Dedicated::Host)).then_some(1);
        terms.push(of_pool(cost(notes, hardware, (spec, table), start, &path)));
    }
    (specs, terms)
}

/// Tells of names that slurm.conf does not have.
fn refuse_unknown(
    notes: &mut Notes<'_>,
    is_slurm: bool,
    specs: &[PoolSpec],
    (design, table): (&str, &DesignTable),
) {
    for name in table.site.keys().filter(|name| specs.iter().all(|spec| spec.name != **name)) {
        let known: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let (message, help) = match nearest(name, known.iter().copied()) {
            _ if !is_slurm || known.is_empty() => (
                format!("no slurm.conf brings nodes `{name}`"),
                "write `conf` in [policy.slurm], or [design.NAME.pool.NAME]".to_owned(),
            ),
            Some(meant) => {
                (format!("slurm.conf has no nodes `{name}`"), format!("did you mean \"{meant}\"?"))
            }
            None => (format!("slurm.conf has no nodes `{name}`"), format!("one of: {}", known.join(", "))),
        };
        notes.error_help("W0225", &["design", design, "site", name], message, help);
    }
}

fn cost(
    notes: &mut Notes<'_>,
    hardware: &mut Hardware<'_>,
    (spec, table): (&PoolSpec, &mut SiteTable),
    start: Option<u32>,
    path: &[&str; 4],
) -> Option<CostTerms> {
    let at = [path[0], path[1], path[2], path[3], "node"];
    let kind = match &table.node {
        Some(name) => Some(node(notes, hardware, name, &at)?),
        None => None,
    };
    if let Some(kind) = kind.as_ref().filter(|kind| kind.spec.capacity.gpus != spec.node.capacity.gpus) {
        let message = format!(
            "`{}` has {} GPUs, and the nodes `{}` of slurm.conf have {}",
            kind.spec.name, kind.spec.capacity.gpus, spec.name, spec.node.capacity.gpus
        );
        notes.error_help("W0219", &at, message, "name a kind with as many, or leave out `node`");
        return None;
    }
    let mut resolved = kind.unwrap_or_else(|| ResolvedNode::plain(spec.node.clone()));
    // What is priced is what is there: only the name of its kind is the catalogue's.
    resolved.spec.capacity = spec.node.capacity;
    let paid = Paid { node: &resolved, count: spec.count, quoted: None, start };
    price::terms(notes, table.cost.as_mut()?, &paid, path)
}

/// Nodes of slurm.conf without a price in a design that has costs: they are there already, and cost nothing more.
pub(super) fn cost_nothing_more(
    notes: &mut Notes<'_>,
    design: &str,
    cluster: &ClusterSpec,
    (pools, of_site): (&mut [PoolTerms], usize),
) {
    let Some(currency) = pools.iter().find_map(|pool| pool.cost.as_ref()).map(CostTerms::currency) else {
        return;
    };
    for (spec, terms) in cluster.pools.iter().zip(pools).take(of_site).filter(|row| row.1.cost.is_none()) {
        let name = &spec.name;
        let message =
            format!("the costs of the design `{design}` are without its nodes `{name}` of slurm.conf");
        let help = format!("write [design.{design}.site.{name}.cost.owned] or .rented to count them");
        notes.warning("W0266", &["design", design], message, &help);
        let free = Price { per: Per::Node, amount: Money::ZERO };
        terms.cost = Some(CostTerms::Rented(Box::new(Rented::new(currency, free))));
    }
}

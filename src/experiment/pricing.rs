//! What a design costs, from its terms and what the run did with it; and who or what the money went to.
//!
//! Invariants: every view sums to the total to the millionth of the currency's unit.

use std::collections::BTreeMap;

use super::{DesignResult, ExperimentError, tenancy};
use crate::cost::{self, Billing, CostFigures, CostTerms, DesignBill, Part, PoolBill, US_PER_HOUR, Use};
use crate::metrics::groups::{Group, groups};
use crate::metrics::{HoursFigures, Summary, waited};
use crate::money::Money;
use crate::scenario::Design;
use crate::simulation::Outcome;
use crate::simulation::meter::UNITS_PER_DEVICE;
use crate::time::SimDuration;
use crate::workload::Workload;

/// Parts of an hour in the weights of a split.
const PARTS_PER_HOUR: f64 = 1e9;

/// Span that is paid: from the first submission to the last instant of the slowest design.
fn horizon(outcome: &Outcome) -> SimDuration {
    outcome.last_instant.saturating_since(outcome.first_submit)
}

/// Whether a pool of the design is billed by what jobs held.
pub(super) fn needs_holdings(design: &Design) -> bool {
    design.pools.iter().any(|pool| pool.cost.as_ref().is_some_and(CostTerms::needs_holdings))
}

/// The bill of a design for its run; `None` where a pool has no terms.
#[must_use]
pub fn bill<'a>(design: &'a Design, outcome: &Outcome) -> Option<DesignBill<'a>> {
    let horizon = horizon(outcome);
    let mut pools = Vec::new();
    let mut first_node = 0u32;
    for (at, (terms, pool)) in design.pools.iter().zip(&design.cluster.pools).enumerate() {
        let terms = terms.cost.as_ref()?;
        let (hosts, gpus_per_host) = tenancy::hosts(design, at);
        let tenancy = &design.pools[at].tenancy;
        let per_host = tenancy.packing.map_or(1, |packing| packing.per_host.max(1));
        let nodes = Nodes { first: first_node, count: pool.count, per_host };
        let is_elastic = tenancy.elastic.is_some();
        let (used_node_us, there_node_us, on_demand_node_us) = match terms {
            CostTerms::Rented(rented) if rented.billing.while_used => {
                let held = held_node_us(outcome, nodes, &|span| rented.billing.billed_us(span));
                (Some(held), Some(held), 0)
            }
            // An elastic pool is paid while its VMs are there; what is committed for is its minimum.
            CostTerms::Rented(rented) if is_elastic => {
                let [standing, ordered] = vm_node_us(outcome, nodes, rented.billing);
                let beyond = if rented.committed_months > 0 { ordered } else { 0 };
                (Some(standing + ordered), Some(there_us(outcome, nodes)), beyond)
            }
            CostTerms::Owned(_) if is_elastic => (None, Some(there_us(outcome, nodes)), 0),
            _ => (None, None, 0),
        };
        first_node += pool.count;
        pools.push(PoolBill {
            at_work: at_work(design, outcome, at, horizon),
            used_node_us,
            there_node_us,
            on_demand_node_us,
            ..PoolBill::installed(terms, hosts, gpus_per_host, horizon)
        });
    }
    (!pools.is_empty()).then_some(DesignBill { pools, lines: &design.money.lines, horizon })
}

/// GPUs of each host of a pool, or its CPUs where it has none.
fn devices_per_host(design: &Design, at: usize) -> i128 {
    let (_, gpus) = tenancy::hosts(design, at);
    let cpus = match design.pools[at].tenancy.packing {
        Some(packing) => packing.cpus,
        None => design.cluster.pools[at].node.capacity.cpus,
    };
    i128::from(if gpus > 0 { gpus } else { cpus })
}

/// Share of the devices of a pool's hosts at work. Hosts whose VMs are not there are idle hosts.
fn at_work(design: &Design, outcome: &Outcome, at: usize, horizon: SimDuration) -> (i128, i128) {
    let Some(hours) = outcome.hours.pools.iter().nth(at) else { return (0, 1) };
    let device = if hours.gpu.installed > 0 { hours.gpu } else { hours.cpu };
    let whole = match design.pools[at].tenancy.elastic {
        None => device.installed,
        Some(_) => {
            let hosts = i128::from(tenancy::hosts(design, at).0);
            hosts * devices_per_host(design, at) * i128::from(horizon.micros()) * UNITS_PER_DEVICE
        }
    };
    if whole > 0 { (device.allocated() - device.held_idle, whole) } else { (0, 1) }
}

/// Device-hours that are paid and are not in the ledger of hours, whose elastic pools have the VMs that were there:
/// hosts of one's own without VMs, and what bills round up. Below zero where nodes are rented while used: what is free
/// there costs nothing.
fn paid_beyond_hours(design: &Design, outcome: &Outcome) -> f64 {
    let Some(bill) = bill(design, outcome) else { return 0.0 };
    let has_gpus = outcome.hours.total().gpu.installed > 0;
    let beyond = bill.pools.iter().zip(outcome.hours.pools.iter()).enumerate().map(|(at, (pool, hours))| {
        let device = if has_gpus { hours.gpu } else { hours.cpu };
        let is_whole = pool.there_node_us.is_none() && pool.used_node_us.is_none();
        if is_whole || device.installed == 0 {
            return 0;
        }
        pool.paid_node_us() * devices_per_host(design, at) - device.installed / UNITS_PER_DEVICE
    });
    beyond.sum::<i128>() as f64 / US_PER_HOUR as f64
}

/// Node time in which VMs of a pool were there, in host-microseconds.
fn there_us(outcome: &Outcome, nodes: Nodes) -> i128 {
    vm_node_us(outcome, nodes, Billing { step: SimDuration::from_micros(1), ..Billing::default() })
        .iter()
        .sum()
}

/// The nodes of a pool, and how many of them lie on one host.
#[derive(Clone, Copy)]
struct Nodes {
    first: u32,
    count: u32,
    per_host: u32,
}

/// Host time that is billed for the VMs of an elastic pool, each from its order to its end in steps of the bill:
/// those of the minimum, which always run, and those that were ordered.
fn vm_node_us(outcome: &Outcome, nodes: Nodes, billing: Billing) -> [i128; 2] {
    let usage = outcome.tenancy.iter().flat_map(|facts| &facts.usage);
    let mut billed = [0; 2];
    for vm in usage.filter(|vm| (nodes.first..nodes.first + nodes.count).contains(&vm.node.0)) {
        let span = vm.until.min(outcome.last_instant).saturating_since(vm.from);
        billed[usize::from(!vm.is_committed)] += billing.billed_us(i128::from(span.micros()));
    }
    billed.map(|us| us / i128::from(nodes.per_host))
}

/// Node time that is billed where nodes are rented while jobs hold them: each node from the first job to the last
/// of a stretch, rounded up by `billed`; a job that comes before the paid time is over goes on with it.
fn held_node_us(outcome: &Outcome, nodes: Nodes, billed: &dyn Fn(i128) -> i128) -> i128 {
    let mut spans: BTreeMap<u32, Vec<(i64, i64)>> = BTreeMap::new();
    let mut hold = |node: u32, from: i64, to: i64| {
        if (nodes.first..nodes.first + nodes.count).contains(&node) && to > from {
            spans.entry((node - nodes.first) / nodes.per_host).or_default().push((from, to));
        }
    };
    match outcome.shared.as_deref() {
        Some(facts) => {
            for held in &facts.holdings {
                let until = held.until.min(outcome.last_instant);
                for grant in &held.allocation {
                    hold(grant.node.0, held.from.micros(), until.micros());
                }
            }
        }
        None => {
            for (_, from, to, allocation) in outcome.holdings() {
                for grant in allocation {
                    hold(grant.node.0, from.micros(), to.micros());
                }
            }
        }
    }
    let mut total = 0;
    for mut held in spans.into_values() {
        held.sort_unstable();
        let (mut from, mut to) = held[0];
        for (next, end) in held {
            let paid_until = i128::from(from) + billed(i128::from(to - from));
            if i128::from(next) > paid_until {
                total += paid_until - i128::from(from);
                (from, to) = (next, end);
            } else {
                to = to.max(end);
            }
        }
        total += billed(i128::from(to - from));
    }
    total
}

/// Hours at work, lost to overheads, idle, with what is paid beyond the ledger: in parts of an hour.
fn hours(figures: &HoursFigures, beyond: f64) -> [i128; 3] {
    let overhead = figures.virtualization
        + figures.neighbours
        + figures.communication
        + figures.slack
        + figures.storage
        + figures.lost
        + figures.startup;
    let free = (figures.idle_waiting + figures.idle + figures.down + beyond).max(0.0);
    let idle = figures.held_idle + free;
    [parts(figures.productive), parts(overhead), parts(idle)]
}

/// The useful GPU time, less what interruptions of spot nodes are expected to cost.
fn useful_gpu_us(design: &Design, outcome: &Outcome, delivered: i128) -> i128 {
    let (mut held, mut lost) = (0i128, 0i128);
    for (at, terms) in design.pools.iter().enumerate() {
        let allocated = outcome.hours.pools.iter().nth(at).map_or(0, |hours| hours.gpu.allocated());
        let allocated = allocated / UNITS_PER_DEVICE;
        held += allocated;
        if let Some(CostTerms::Rented(rented)) = &terms.cost
            && let Some(interruption) = &rented.interruption
        {
            lost += allocated / 1000 * interruption.lost.ppm() / 1000;
        }
    }
    let share = |part: i128| Money::from_micros(delivered).times(&[(part, held)]).map_or(0, Money::micros);
    if lost > 0 { delivered - share(lost) } else { delivered }
}

/// Costs of a run; `None` where a pool has no terms.
pub(super) fn cost_of(
    workload: &Workload,
    design: &Design,
    outcome: &Outcome,
    summary: &Summary,
) -> Result<Option<CostFigures>, ExperimentError> {
    let Some(bill) = bill(design, outcome) else { return Ok(None) };
    let (waited_gpu_us, waited_us) = waited(workload, &design.cluster, outcome);
    let use_of = Use {
        useful_gpu_us: useful_gpu_us(design, outcome, summary.delivered_gpu_us),
        allocated_gpu_us: outcome.hours.total().gpu.allocated() / UNITS_PER_DEVICE,
        jobs: summary.jobs.completed,
        hours: hours(&summary.gpu_hours.unwrap_or(summary.cpu_hours), paid_beyond_hours(design, outcome)),
        waited_gpu_us,
        waited_us,
    };
    cost::cost(&bill, &use_of, design.money.waiting)
        .map_err(|error| ExperimentError::Cost { design: design.name.clone(), error })
}

/// The price of the nodes that a design buys, spread over their lifetime with nothing left at its end; `None` where a pool
/// has no terms, or beyond the range of integers.
#[must_use]
pub fn hardware_price(result: &DesignResult) -> Option<Money> {
    let bill = bill(&result.design, &result.outcome)?;
    let span = i128::from(bill.horizon.micros());
    let mut sum = Money::ZERO;
    for pool in &bill.pools {
        for item in pool.items()?.into_iter().filter(|item| item.part == Part::Hardware) {
            let Some(bought) = item.capital else { continue };
            sum = sum + bought.price.times(&[(span, i128::from(bought.lifetime.micros()))])?;
        }
    }
    Some(sum)
}

/// The total over the categories of the ledger of hours, by their keys; they sum to the total. Hosts of one's own whose
/// VMs are not there are idle. `None` without costs.
#[must_use]
pub fn priced_ledger(result: &DesignResult) -> Option<Vec<(&'static str, Money)>> {
    let total = result.cost.as_ref()?.total;
    let h = result.summary.gpu_hours.unwrap_or(result.summary.cpu_hours);
    // What is not paid is taken from what was free, where nobody waited first.
    let beyond = paid_beyond_hours(&result.design, &result.outcome);
    let idle = h.idle + beyond;
    let idle_waiting = h.idle_waiting + idle.min(0.0);
    let down = h.down + idle_waiting.min(0.0);
    let rows = [
        ("productive", h.productive),
        ("virtualization", h.virtualization),
        ("neighbours", h.neighbours),
        ("communication", h.communication),
        ("slack", h.slack),
        ("storage", h.storage),
        ("lost", h.lost),
        ("held_idle", h.held_idle),
        ("startup", h.startup),
        ("idle_waiting", idle_waiting),
        ("down", down),
        ("idle", idle),
    ];
    let weights: Vec<i128> = rows.iter().map(|(_, hours)| parts(*hours)).collect();
    Some(rows.iter().map(|(key, _)| *key).zip(total.split(&weights)).collect())
}

fn parts(hours: f64) -> i128 {
    (hours.max(0.0) * PARTS_PER_HOUR).round() as i128
}

/// The total by who held the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Showback {
    /// By user.
    pub users: Vec<(String, Money)>,
    /// By account.
    pub accounts: Vec<(String, Money)>,
    /// What neither users nor accounts are charged for: free time, and jobs without a name.
    pub rest: [Money; 2],
}

/// The total by user and by account: each is charged for the device time that its jobs asked for and ran, instances
/// and shares by their part of the board, at the cost of an installed hour; the rest is nobody's. Each list and its rest sum to the total. `None` without costs.
#[must_use]
pub fn showback(workload: &Workload, result: &DesignResult) -> Option<Showback> {
    let total = result.cost.as_ref()?.total;
    let found = groups(workload, &result.design.cluster, &result.outcome);
    let gpus = result.summary.gpu_hours.is_some();
    let installed = result.summary.gpu_hours.unwrap_or(result.summary.cpu_hours).installed
        + paid_beyond_hours(&result.design, &result.outcome);
    let charge = |groups: &BTreeMap<String, Group>| {
        let hours = |group: &Group| parts(if gpus { group.gpu_hours } else { group.cpu_hours });
        let mut weights: Vec<i128> = groups.values().map(hours).collect();
        let held: i128 = weights.iter().sum();
        weights.push((parts(installed) - held).max(0));
        let mut amounts = total.split(&weights);
        let rest = amounts.pop().unwrap_or(Money::ZERO);
        (groups.keys().cloned().zip(amounts).collect::<Vec<_>>(), rest)
    };
    let ((users, of_users), (accounts, of_accounts)) = (charge(&found.user), charge(&found.account));
    Some(Showback { users, accounts, rest: [of_users, of_accounts] })
}

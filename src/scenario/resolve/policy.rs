//! The `[policy.NAME]` table.

use super::Notes;
use crate::diagnostic::nearest;
use crate::scenario::PolicyChoice;
use crate::scenario::file::{Backfill, Charge, Order, Placement, PolicyTable, PreemptiveTable};
use crate::scheduler::ordering::{EXPRESSION_VARIABLES, Expression, ExpressionError};
use crate::scheduler::{
    BackfillSpec, OrderSpec, OverheadRule, PlacementSpec, PolicySpec, PreemptivePolicy, PreemptiveSpec,
};
use crate::time::{MICROS_PER_S, SimDuration};

/// The policy, named exactly: an option that changes what a classic policy decides is part of its name.
pub(super) fn resolve(notes: &mut Notes<'_>, table: &mut PolicyTable) -> Option<PolicyChoice> {
    if let PolicyTable::Slurm(table) = table {
        // the site has been read: it says which version where the table did not
        let version = table.version.as_deref().and_then(|text| text.parse().ok());
        return Some(PolicyChoice::Slurm(version.unwrap_or_default()));
    }
    let preemptive = match table {
        PolicyTable::Srtf(options) => Some((PreemptivePolicy::Srtf, options)),
        PolicyTable::Srsf(options) => Some((PreemptivePolicy::Srsf, options)),
        PolicyTable::Tiresias(options) => Some((PreemptivePolicy::Tiresias, options)),
        _ => None,
    };
    if let Some((policy, options)) = preemptive {
        return Some(PolicyChoice::Preemptive(preemptive_policy(notes, policy, options)));
    }
    classic_policy(notes, table).map(PolicyChoice::Classic)
}

/// Overhead where none is given: the published simulator's for models that it does not list.
const OVERHEAD_S: f64 = 10.0;

fn preemptive_policy(
    notes: &mut Notes<'_>,
    policy: PreemptivePolicy,
    options: &mut PreemptiveTable,
) -> PreemptiveSpec {
    let known = PreemptivePolicy::ALL.iter().find(|(known, _)| *known == policy);
    let name = known.map_or("", |(_, name)| *name);
    let path = |setting| ["policy", name, setting];
    let slot = &mut options.restart_overhead_s;
    let source = "simulator of Muri (Rivendile/Muri) for models that it does not list";
    let overhead = notes.or_default(slot, OVERHEAD_S, OVERHEAD_S, &path("restart-overhead-s"), source, None);
    let overhead = seconds(notes, overhead, &path("restart-overhead-s"));
    let class = |(class, s): (&String, &f64)| {
        let at = ["policy", name, "class-overhead-s", class.as_str()];
        (class.clone(), seconds(notes, *s, &at))
    };
    let by_class = options.class_overhead_s.iter().map(class).collect();
    let charge = notes.or_convention(&mut options.charge, Charge::EveryEvent, "every-event", &path("charge"));
    let (name, rule) = match charge {
        Charge::EveryEvent => (name.to_owned(), OverheadRule::EveryEvent),
        Charge::Restart => (with_option(name, "charge=restart"), OverheadRule::Restart),
    };
    PreemptiveSpec { name, policy, rule, overhead, by_class }
}

fn seconds(notes: &mut Notes<'_>, s: f64, path: &[&str]) -> SimDuration {
    if !(0.0..=1e6).contains(&s) {
        notes.error("W0209", path, format!("an overhead must be from 0 to 1000000 seconds, found {s}"));
        return SimDuration::ZERO;
    }
    SimDuration::from_micros((s * MICROS_PER_S as f64).round() as i64)
}

fn classic_policy(notes: &mut Notes<'_>, table: &mut PolicyTable) -> Option<PolicySpec> {
    match table {
        PolicyTable::Fcfs(options) => classic(notes, "fcfs", &mut options.placement),
        PolicyTable::Greedy(options) => classic(notes, "greedy", &mut options.placement),
        PolicyTable::Sjf(options) => classic(notes, "sjf", &mut options.placement),
        PolicyTable::Ljf(options) => classic(notes, "ljf", &mut options.placement),
        PolicyTable::Priority(options) => classic(notes, "priority", &mut options.placement),
        PolicyTable::Easy(options) => {
            let policy = classic(notes, "easy", &mut options.placement)?;
            Some(ordered(notes, policy, &mut options.order))
        }
        PolicyTable::Conservative(options) => {
            let policy = classic(notes, "conservative", &mut options.placement)?;
            let mut policy = ordered(notes, policy, &mut options.order);
            if let Some(depth) = options.depth {
                policy.backfill = BackfillSpec::Conservative { depth: Some(depth) };
                policy.name = with_option(&policy.name, &format!("depth={depth}"));
            }
            Some(policy)
        }
        PolicyTable::Expression(options) => {
            check_expression(notes, &options.order);
            let path = ["policy", "expression", "backfill"];
            let backfill = notes.or_convention(&mut options.backfill, Backfill::None, "none", &path);
            let path = ["policy", "expression", "placement"];
            let placement =
                notes.or_convention(&mut options.placement, Placement::FirstFit, "first-fit", &path);
            Some(PolicySpec {
                name: "expression".to_owned(),
                order: OrderSpec::Expression(options.order.clone()),
                placement: placement_spec(placement),
                backfill: backfill_spec(backfill),
            })
        }
        PolicyTable::Srtf(_) | PolicyTable::Srsf(_) | PolicyTable::Tiresias(_) | PolicyTable::Slurm(_) => {
            None
        }
    }
}

/// Tells why an order cannot be compiled, and what it may name.
fn check_expression(notes: &mut Notes<'_>, text: &str) {
    let Err(error) = Expression::compile(text) else { return };
    let names = EXPRESSION_VARIABLES.map(|(name, _)| name);
    let meant = match &error {
        ExpressionError::UnknownVariable(word) => nearest(word, names),
        ExpressionError::Syntax(_) => None,
    };
    let help = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the variables are: {}", names.join(", ")),
    };
    let message = format!("the order is not an expression: {error}");
    notes.error_help("W0402", &["policy", "expression", "order"], message, help);
}

fn classic(
    notes: &mut Notes<'_>,
    name: &'static str,
    placement: &mut Option<Placement>,
) -> Option<PolicySpec> {
    let path = ["policy", name, "placement"];
    let placement = notes.or_convention(placement, Placement::FirstFit, "first-fit", &path);
    let policy = PolicySpec::classic(name)?;
    Some(PolicySpec { placement: placement_spec(placement), ..policy })
}

/// The policy with another queue order than its canonical one, and a name that says so.
fn ordered(notes: &mut Notes<'_>, mut policy: PolicySpec, order: &mut Option<Order>) -> PolicySpec {
    let path = ["policy", policy.name.as_str(), "order"];
    let (spec, word) = match notes.or_convention(order, Order::Submit, "submit", &path) {
        Order::Submit => return policy,
        Order::ShortestLimit => (OrderSpec::ShortestLimit, "shortest-limit"),
        Order::LongestLimit => (OrderSpec::LongestLimit, "longest-limit"),
        Order::Priority => (OrderSpec::Priority, "priority"),
    };
    policy.name = with_option(&policy.name, &format!("order={word}"));
    policy.order = spec;
    policy
}

/// `easy` and `order=priority` make `easy(order=priority)`; a further option goes inside the brackets.
fn with_option(name: &str, option: &str) -> String {
    match name.strip_suffix(')') {
        Some(open) => format!("{open}, {option})"),
        None => format!("{name}({option})"),
    }
}

fn placement_spec(placement: Placement) -> PlacementSpec {
    match placement {
        Placement::FirstFit => PlacementSpec::FirstFit,
        Placement::BestFit => PlacementSpec::BestFit,
        Placement::Spread => PlacementSpec::Spread,
        Placement::Topology => PlacementSpec::Topology,
        Placement::DotProduct => PlacementSpec::DotProduct,
        Placement::GpuClustering => PlacementSpec::GpuClustering,
        Placement::GpuPacking => PlacementSpec::GpuPacking,
        Placement::Fgd => PlacementSpec::Fgd,
        Placement::MigBestFit => PlacementSpec::MigBestFit,
    }
}

fn backfill_spec(backfill: Backfill) -> BackfillSpec {
    match backfill {
        Backfill::None => BackfillSpec::None,
        Backfill::Greedy => BackfillSpec::Greedy,
        Backfill::Easy => BackfillSpec::Easy,
        Backfill::Conservative => BackfillSpec::Conservative { depth: None },
    }
}

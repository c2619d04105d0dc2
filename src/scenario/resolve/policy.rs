//! The `[policy.NAME]` table.

use super::Notes;
use crate::diagnostic::nearest;
use crate::scenario::PolicyChoice;
use crate::scenario::file::{Backfill, Order, Placement, PolicyTable};
use crate::scheduler::ordering::{EXPRESSION_VARIABLES, Expression, ExpressionError};
use crate::scheduler::{BackfillSpec, OrderSpec, PlacementSpec, PolicySpec};

/// The policy, named exactly: an option that changes what a classic policy decides is part of its name.
pub(super) fn resolve(notes: &mut Notes<'_>, table: &mut PolicyTable) -> Option<PolicyChoice> {
    if matches!(table, PolicyTable::Slurm(_)) {
        return Some(PolicyChoice::Slurm);
    }
    classic_policy(notes, table).map(PolicyChoice::Classic)
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
        PolicyTable::Slurm(_) => None,
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

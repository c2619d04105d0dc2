//! The terms of a pool that is rented.

use super::{
    Paid, both, currency, default_price, either, figure_if, licences, money, month, not_both, offered,
    quoted_price, share, under,
};
use crate::cost::{Billing, Extras, Interruption, Phase, Rented, Share};
use crate::money::{Currency, Money};
use crate::scenario::catalogue::{self, PriceKind};
use crate::scenario::file::{Billed, BillingStep, CostDefaults, RentPlan, RentedTable};
use crate::scenario::quotes::QuoteKind;
use crate::scenario::resolve::Notes;
use crate::time::{MICROS_PER_S, SimDuration};

/// Minutes of a day.
const DAY_MINUTES: f64 = 1440.0;

pub(super) fn rented(
    notes: &mut Notes<'_>,
    table: &mut RentedTable,
    paid: &Paid<'_>,
    path: &[&str],
) -> Option<Rented> {
    let quoted = paid.quoted.filter(|line| line.kind != QuoteKind::Capital);
    let currency = currency(notes, &mut table.currency, quoted, path)?;
    price(notes, table, paid, currency, path)?;
    let pair = [
        (table.price_per_node_hour, "price-per-node-hour"),
        (table.price_per_gpu_hour, "price-per-gpu-hour"),
    ];
    let per_hour = either(notes, pair, paid.node, path)?;
    let plan = table.plan.unwrap_or(RentPlan::OnDemand);
    let discount = discount(notes, table, plan, quoted.is_some(), path)?;
    let extras = extras(notes, table, currency, path)?;
    let committed_months = match (plan, quoted) {
        (RentPlan::Reserved1y, _) => 12,
        (RentPlan::Reserved3y, _) => 36,
        (_, Some(line)) => line.term_months,
        _ => 0,
    };
    Some(Rented {
        discount,
        committed_months,
        billing: billing(notes, table, plan, path)?,
        interruption: interruption(notes, table, plan, path)?,
        extras,
        licences: licences(notes, &mut table.licence, paid, (currency, false), path),
        phase: {
            let at = under(path, "delivery-month");
            let delivery_month = month(notes, &mut table.delivery_month, paid, |line| line.delivery, &at);
            Phase { payment_month: delivery_month, delivery_month }
        },
        ..Rented::new(currency, per_hour)
    })
}

fn price(
    notes: &mut Notes<'_>,
    table: &mut RentedTable,
    paid: &Paid<'_>,
    currency: Currency,
    path: &[&str],
) -> Option<()> {
    if table.price_per_gpu_hour.is_some() || table.price_per_node_hour.is_some() {
        return Some(());
    }
    let node = paid.node;
    if let Some(line) = paid.quoted.filter(|line| line.kind != QuoteKind::Capital) {
        let (slot, setting) = if line.what == node.spec.name {
            (&mut table.price_per_node_hour, "price-per-node-hour")
        } else {
            (&mut table.price_per_gpu_hour, "price-per-gpu-hour")
        };
        quoted_price(notes, slot, line, &under(path, setting));
        return Some(());
    }
    let block = table.plan == Some(RentPlan::Block);
    let kind = if block { PriceKind::RentedBlock } else { PriceKind::RentedGpu };
    let (offer, missing, cure) = match &node.spec.gpu_type {
        Some(gpu) => {
            let missing = format!("the catalogue has no price for renting the GPU `{gpu}`");
            let row =
                catalogue::prices().iter().find(|row| row.kind == kind && row.gpu.as_ref() == Some(gpu));
            (row, missing, "price-per-gpu-hour")
        }
        None => {
            let missing = format!("the catalogue has no price for renting the node `{}`", node.spec.name);
            (None, missing, "price-per-node-hour")
        }
    };
    let row = offered(notes, offer, kind, currency, path, (missing, cure))?;
    default_price(notes, &mut table.price_per_gpu_hour, row, &under(path, cure));
    Some(())
}

/// What reserved and spot take off the price on demand. A quoted price is what is paid.
fn discount(
    notes: &mut Notes<'_>,
    table: &mut RentedTable,
    plan: RentPlan,
    is_quoted: bool,
    path: &[&str],
) -> Option<Share> {
    let at = under(path, "discount");
    let kind = match plan {
        RentPlan::Reserved1y => Some(PriceKind::Reserved1y),
        RentPlan::Reserved3y => Some(PriceKind::Reserved3y),
        RentPlan::Spot => Some(PriceKind::Spot),
        RentPlan::OnDemand | RentPlan::Block => None,
    };
    let value = match kind.filter(|_| !is_quoted) {
        Some(kind) => default_price(notes, &mut table.discount, catalogue::figure(kind), &at),
        None => table.discount.unwrap_or(0.0),
    };
    share(notes, value, 1.0, &at)
}

fn billing(notes: &mut Notes<'_>, table: &RentedTable, plan: RentPlan, path: &[&str]) -> Option<Billing> {
    let default = if plan == RentPlan::Block { BillingStep::Block } else { BillingStep::Second };
    let step = table.billing.unwrap_or(default);
    let while_used = table.billed == Some(Billed::WhileUsed);
    if while_used && matches!(plan, RentPlan::Reserved1y | RentPlan::Reserved3y) {
        let message = "what is reserved is paid whether it is used or not";
        let help = "leave out `billed`, or take another `plan`";
        notes.error_help("W0261", &under(path, "billed"), message, help);
        return None;
    }
    let hours = match (step, table.block_hours) {
        (BillingStep::Second, _) => 1.0 / 3600.0,
        (BillingStep::Minute, _) => 1.0 / 60.0,
        (BillingStep::Hour, _) => 1.0,
        (BillingStep::Block, Some(hours)) => hours,
        (BillingStep::Block, None) => {
            let help = "write `block-hours = NUMBER`, for instance 24";
            notes.error_help("W0208", path, "blocks need their length: `block-hours`", help);
            return None;
        }
    };
    if step != BillingStep::Block && table.block_hours.is_some() {
        let message = "`block-hours` means something with `plan = \"block\"` or `billing = \"block\"` only";
        notes.error_help("W0261", &under(path, "block-hours"), message, "leave it out");
        return None;
    }
    if !(1.0 / 3600.0..=100_000.0).contains(&hours) {
        let message = format!("`block-hours` must be from 0.001 to 100000, found {hours}");
        notes.error("W0209", &under(path, "block-hours"), message);
        return None;
    }
    let step = SimDuration::from_micros((hours * 3600.0 * MICROS_PER_S as f64).round() as i64);
    Some(Billing { while_used, step })
}

fn interruption(
    notes: &mut Notes<'_>,
    table: &RentedTable,
    plan: RentPlan,
    path: &[&str],
) -> Option<Option<Interruption>> {
    let rate = (table.interruptions_per_node_day.is_some(), "interruptions-per-node-day");
    let minutes = (table.lost_minutes_per_interruption.is_some(), "lost-minutes-per-interruption");
    both(notes, rate, minutes, path);
    let (Some(per_day), Some(lost)) = (table.interruptions_per_node_day, table.lost_minutes_per_interruption)
    else {
        if plan == RentPlan::Spot && !rate.0 {
            let message =
                "spot nodes are taken away, and how often is not written: nothing is counted for it";
            let help = "write `interruptions-per-node-day` and `lost-minutes-per-interruption`, 0 for none";
            notes.warning("W0263", path, message, help);
        }
        return Some(None);
    };
    if plan != RentPlan::Spot {
        let message = "only spot nodes are taken away";
        notes.error_help("W0261", &under(path, rate.1), message, "write `plan = \"spot\"`, or leave it out");
        return None;
    }
    let at = under(path, rate.1);
    Some(Some(Interruption { lost: share(notes, per_day * lost / DAY_MINUTES, 1.0, &at)? }))
}

fn extras(
    notes: &mut Notes<'_>,
    table: &mut RentedTable,
    currency: Currency,
    path: &[&str],
) -> Option<Extras> {
    let pairs = [
        ((table.storage_tb, "storage-tb"), (table.price_per_tb_month, "price-per-tb-month")),
        (
            (table.egress_tb_per_month, "egress-tb-per-month"),
            (table.price_per_tb_egress, "price-per-tb-egress"),
        ),
    ];
    let mut per_month = Money::ZERO;
    let mut written = false;
    for ((amount, name), (price, price_name)) in pairs {
        both(notes, (amount.is_some(), name), (price.is_some(), price_name), path);
        if let (Some(amount), Some(price)) = (amount, price) {
            written = true;
            let price = money(notes, price, &under(path, price_name))?;
            // Thousandths of a TB, so that the product is one of integers.
            let at = under(path, name);
            let gb = money(notes, amount, &at)?.micros() / 1000;
            per_month = per_month + price.times(&[(gb, 1000)])?;
        }
    }
    not_both(notes, (written, "storage-tb"), (table.extras_share.is_some(), "extras-share"), path);
    let everything = table.defaults == Some(CostDefaults::All) && !written;
    let at = under(path, "extras-share");
    let value = figure_if(notes, &mut table.extras_share, (PriceKind::RentExtras, everything), currency, &at);
    Some(Extras { per_month, of_rent: share(notes, value, 100.0, &at)? })
}

//! The terms of a pool that is bought.

use super::{
    Paid, YEAR_S, both, currency, default_price, either, figure_if, licences, money, month, not_both,
    offered, quoted_price, share, under,
};
use crate::cost::{Attached, Colocation, Energy, Owned, Phase, Staff};
use crate::money::Currency;
use crate::scenario::catalogue::{self, PriceKind};
use crate::scenario::file::{CostDefaults, OwnedTable};
use crate::scenario::quotes::QuoteKind;
use crate::scenario::resolve::Notes;
use crate::time::{MICROS_PER_S, SimDuration};

pub(super) fn owned(
    notes: &mut Notes<'_>,
    table: &mut OwnedTable,
    paid: &Paid<'_>,
    path: &[&str],
) -> Option<Owned> {
    let node = paid.node;
    let quoted = paid.quoted.filter(|line| line.kind == QuoteKind::Capital);
    let currency = currency(notes, &mut table.currency, quoted, path)?;
    let name = &node.spec.name;
    if table.price_per_node.is_none() && table.price_per_gpu.is_none() {
        let cure = "price-per-node";
        if let Some(line) = quoted {
            quoted_price(notes, &mut table.price_per_node, line, &under(path, cure));
        } else {
            let offer = catalogue::owned_node(name).filter(|_| node.as_sold);
            let missing = match catalogue::owned_node(name) {
                Some(_) => {
                    format!("the catalogue's price of the node `{name}` is not for the GPUs that it has here")
                }
                None => format!("the catalogue has no price for buying the node `{name}`"),
            };
            let row = offered(notes, offer, PriceKind::OwnedNode, currency, path, (missing, cure))?;
            default_price(notes, &mut table.price_per_node, row, &under(path, cure));
        }
    }
    let pair = [(table.price_per_node, "price-per-node"), (table.price_per_gpu, "price-per-gpu")];
    let price = either(notes, pair, node, path)?;
    let lifetime = lifetime(notes, table, path)?;
    let energy = energy(notes, table, paid, currency, path)?;
    let everything = table.defaults == Some(CostDefaults::All);
    let network = network(notes, table, everything, currency, path)?;
    let storage = figure_if(
        notes,
        &mut table.storage_share,
        (PriceKind::StorageShare, everything),
        currency,
        &under(path, "storage-share"),
    );
    let storage = share(notes, storage, 100.0, &under(path, "storage-share"))?;
    let mut rate = |slot: &mut Option<f64>, kind, most, setting| {
        let path = under(path, setting);
        let value = match kind {
            Some(kind) => figure_if(notes, slot, (kind, everything), currency, &path),
            None => slot.unwrap_or(0.0),
        };
        share(notes, value, most, &path)
    };
    let residual = rate(&mut table.residual, Some(PriceKind::Residual), 1.0, "residual")?;
    let financing = rate(&mut table.financing_rate, None, 1.0, "financing-rate")?;
    let support = rate(&mut table.support_share, Some(PriceKind::Support), 1.0, "support-share")?;
    let colocation = colocation(notes, table, paid, everything, currency, path)?;
    let staff = staff(notes, table, paid, everything, currency, path)?;
    let licences = licences(notes, &mut table.licence, paid, (currency, true), path);
    let phase = Phase {
        payment_month: month(
            notes,
            &mut table.payment_month,
            paid,
            |line| line.payment,
            &under(path, "payment-month"),
        ),
        delivery_month: month(
            notes,
            &mut table.delivery_month,
            paid,
            |line| line.delivery,
            &under(path, "delivery-month"),
        ),
    };
    Some(Owned {
        energy,
        network,
        storage: (storage.ppm() > 0).then_some(Attached::OfNodes(storage)),
        spare_nodes: table.spare_nodes.unwrap_or(0),
        residual,
        financing,
        support,
        colocation,
        staff,
        licences,
        phase,
        ..Owned::new(currency, price, lifetime)
    })
}

fn network(
    notes: &mut Notes<'_>,
    table: &mut OwnedTable,
    everything: bool,
    currency: Currency,
    path: &[&str],
) -> Option<Option<Attached>> {
    let ports = (table.ports_per_node.is_some(), "ports-per-node");
    let price = (table.price_per_port.is_some(), "price-per-port");
    both(notes, ports, price, path);
    not_both(notes, ports, (table.network_share.is_some(), "network-share"), path);
    if let (Some(ports), Some(price)) = (table.ports_per_node, table.price_per_port) {
        let price = money(notes, price, &under(path, "price-per-port"))?;
        return Some(Some(Attached::PerNode(price.times(&[(i128::from(ports), 1)])?)));
    }
    let at = under(path, "network-share");
    let value =
        figure_if(notes, &mut table.network_share, (PriceKind::NetworkShare, everything), currency, &at);
    let share = share(notes, value, 100.0, &at)?;
    Some((share.ppm() > 0).then_some(Attached::OfNodes(share)))
}

fn colocation(
    notes: &mut Notes<'_>,
    table: &mut OwnedTable,
    paid: &Paid<'_>,
    everything: bool,
    currency: Currency,
    path: &[&str],
) -> Option<Option<Colocation>> {
    let at = under(path, "colocation-per-kw-month");
    let slot = &mut table.colocation_per_kw_month;
    let price = figure_if(notes, slot, (PriceKind::Colocation, everything), currency, &at);
    let per_kw_month = money(notes, price, &at)?;
    if price == 0.0 {
        return Some(None);
    }
    let name = &paid.node.spec.name;
    let rated = catalogue::node(name).filter(|_| paid.node.as_sold).and_then(|row| row.power_rated_w);
    let Some(watts) = table
        .colocation_kw_per_node
        .map(|kw| kw * 1000.0)
        .or(rated.map(f64::from))
        .or(paid.node.power_w.map(f64::from))
    else {
        let message = format!("floor space needs the power of the node `{name}`, which is not known");
        let help = "write `colocation-kw-per-node`, or `power-w` in its [node] table";
        notes.error_help("W0215", &at, message, help);
        return None;
    };
    if !(1.0..=1e9).contains(&watts) {
        let at = under(path, "colocation-kw-per-node");
        notes.error("W0209", &at, "`colocation-kw-per-node` must be from 0.001 to 1000000");
        return None;
    }
    Some(Some(Colocation { watts_per_node: watts.round() as u32, per_kw_month }))
}

fn staff(
    notes: &mut Notes<'_>,
    table: &mut OwnedTable,
    paid: &Paid<'_>,
    everything: bool,
    currency: Currency,
    path: &[&str],
) -> Option<Option<Staff>> {
    not_both(
        notes,
        (table.staff_fte.is_some(), "staff-fte"),
        (table.staff_per_1000_gpus.is_some(), "staff-per-1000-gpus"),
        path,
    );
    let gpus = f64::from(paid.count) * f64::from(paid.node.spec.capacity.gpus);
    let people = match table.staff_fte {
        Some(people) => people,
        None => {
            let at = under(path, "staff-per-1000-gpus");
            let slot = &mut table.staff_per_1000_gpus;
            figure_if(notes, slot, (PriceKind::Staff, everything && gpus > 0.0), currency, &at) * gpus
                / 1000.0
        }
    };
    if !(0.0..=1e6).contains(&people) {
        notes.error("W0209", &under(path, "staff-fte"), "the number of people must be from 0 to a million");
        return None;
    }
    if people == 0.0 {
        return Some(None);
    }
    let at = under(path, "staff-cost-per-year");
    let cost = figure_if(notes, &mut table.staff_cost_per_year, (PriceKind::Salary, true), currency, &at);
    let per_fte_year = money(notes, cost, &at)?;
    Some(Some(Staff { fte_milli: (people * 1000.0).round() as i128, per_fte_year }))
}

fn lifetime(notes: &mut Notes<'_>, table: &mut OwnedTable, path: &[&str]) -> Option<SimDuration> {
    let path = under(path, "depreciation-years");
    let row = catalogue::figure(PriceKind::Depreciation);
    let years = default_price(notes, &mut table.depreciation_years, row, &path);
    if !(0.01..=100.0).contains(&years) {
        let message = format!("`depreciation-years` must be from 0.01 to 100, found {years}");
        notes.error("W0209", &path, message);
        return None;
    }
    Some(SimDuration::from_micros((years * YEAR_S * MICROS_PER_S as f64).round() as i64))
}

/// Electricity: `Some(None)` where it is not counted.
fn energy(
    notes: &mut Notes<'_>,
    table: &mut OwnedTable,
    paid: &Paid<'_>,
    currency: Currency,
    path: &[&str],
) -> Option<Option<Energy>> {
    if table.price_per_kwh == Some(0.0) {
        return Some(None);
    }
    let node = paid.node;
    let Some(watts_per_node) = node.power_w else {
        let name = &node.spec.name;
        let help = "write `power-w` in its [node] table, or `price-per-kwh = 0` to leave electricity out";
        if table.price_per_kwh.is_some() || table.pue.is_some() {
            let message = format!("electricity needs the power of the node `{name}`, which is not known");
            notes.error_help("W0215", path, message, help);
            return None;
        }
        let message = format!("electricity is not counted: the power of the node `{name}` is not known");
        notes.warning("W0224", path, message, help);
        return Some(None);
    };
    let idle_watts_per_node = node.power_idle_w.unwrap_or(watts_per_node);
    if idle_watts_per_node > watts_per_node {
        let message = format!(
            "idle, the node `{}` draws {idle_watts_per_node} W, busy only {watts_per_node} W",
            node.spec.name
        );
        notes.error_help(
            "W0215",
            &["node", &node.spec.name, "power-idle-w"],
            message,
            "idle power is the smaller one",
        );
        return None;
    }
    let kwh = under(path, "price-per-kwh");
    if table.price_per_kwh.is_none() && currency != Currency::USD {
        let message =
            format!("the catalogue's price of electricity is in USD, and this pool's currency is {currency}");
        let help = "write `price-per-kwh = NUMBER`, or 0 to leave electricity out";
        notes.error_help("W0219", path, message, help);
        return None;
    }
    let row = catalogue::figure(PriceKind::Energy);
    let per_kwh = default_price(notes, &mut table.price_per_kwh, row, &kwh);
    let per_kwh = money(notes, per_kwh, &kwh)?;
    let pue_path = under(path, "pue");
    let pue = default_price(notes, &mut table.pue, catalogue::figure(PriceKind::Pue), &pue_path);
    if !(1.0..=10.0).contains(&pue) {
        notes.error("W0209", &pue_path, format!("`pue` must be from 1 to 10, found {pue}"));
        return None;
    }
    let pue_milli = (pue * 1000.0).round() as u32;
    Some(Some(Energy { watts_per_node, idle_watts_per_node, pue_milli, per_kwh }))
}

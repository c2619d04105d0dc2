//! The `cost.owned` and `cost.rented` tables of a pool: terms, with defaults from the catalogue.

use super::Notes;
use super::design::ResolvedNode;
use crate::cost::{CostTerms, Energy, Owned, Per, Price, Rented};
use crate::money::{Currency, Money};
use crate::scenario::catalogue::{self, PriceKind, PriceRow};
use crate::scenario::file::{CostTable, OwnedTable, RentedTable};
use crate::scenario::structure::dotted;
use crate::time::{MICROS_PER_S, SimDuration};

/// Seconds of a year of 365.25 days.
const YEAR_S: f64 = 31_557_600.0;

/// The terms of a pool; `None` after telling what is wrong.
pub(super) fn terms(
    notes: &mut Notes<'_>,
    table: &mut CostTable,
    node: &ResolvedNode,
    pool: &[&str; 4],
) -> Option<CostTerms> {
    let before = notes.problems.errors();
    let terms = match table {
        CostTable::Owned(table) => {
            let mut path = pool.to_vec();
            path.extend(["cost", "owned"]);
            owned(notes, table, node, &path).map(CostTerms::Owned)
        }
        CostTable::Rented(table) => {
            let mut path = pool.to_vec();
            path.extend(["cost", "rented"]);
            rented(notes, table, node, &path).map(CostTerms::Rented)
        }
    };
    terms.filter(|_| notes.problems.errors() == before)
}

fn under<'p>(path: &[&'p str], setting: &'p str) -> Vec<&'p str> {
    path.iter().copied().chain([setting]).collect()
}

fn owned(notes: &mut Notes<'_>, table: &mut OwnedTable, node: &ResolvedNode, path: &[&str]) -> Option<Owned> {
    let currency = currency(notes, &mut table.currency, path)?;
    let name = &node.spec.name;
    if table.price_per_node.is_none() && table.price_per_gpu.is_none() {
        let offer = catalogue::owned_node(name).filter(|_| node.as_sold);
        let missing = match catalogue::owned_node(name) {
            Some(_) => {
                format!("the catalogue's price of the node `{name}` is not for the GPUs that it has here")
            }
            None => format!("the catalogue has no price for buying the node `{name}`"),
        };
        let cure = "price-per-node";
        let row = offered(notes, offer, PriceKind::OwnedNode, currency, path, (missing, cure))?;
        default_price(notes, &mut table.price_per_node, row, &under(path, cure));
    }
    let pair = [(table.price_per_node, "price-per-node"), (table.price_per_gpu, "price-per-gpu")];
    let price = either(notes, pair, node, path)?;
    let lifetime = lifetime(notes, table, path)?;
    let energy = energy(notes, table, node, currency, path)?;
    Some(Owned { currency, price, lifetime, energy })
}

fn rented(
    notes: &mut Notes<'_>,
    table: &mut RentedTable,
    node: &ResolvedNode,
    path: &[&str],
) -> Option<Rented> {
    let currency = currency(notes, &mut table.currency, path)?;
    if table.price_per_gpu_hour.is_none() && table.price_per_node_hour.is_none() {
        let (offer, missing, cure) = match &node.spec.gpu_type {
            Some(gpu) => {
                let missing = format!("the catalogue has no price for renting the GPU `{gpu}`");
                (catalogue::rented_gpu(gpu), missing, "price-per-gpu-hour")
            }
            None => {
                let missing = format!("the catalogue has no price for renting the node `{}`", node.spec.name);
                (None, missing, "price-per-node-hour")
            }
        };
        let row = offered(notes, offer, PriceKind::RentedGpu, currency, path, (missing, cure))?;
        default_price(notes, &mut table.price_per_gpu_hour, row, &under(path, cure));
    }
    let pair = [
        (table.price_per_node_hour, "price-per-node-hour"),
        (table.price_per_gpu_hour, "price-per-gpu-hour"),
    ];
    let per_hour = either(notes, pair, node, path)?;
    Some(Rented { currency, per_hour })
}

fn currency(notes: &mut Notes<'_>, slot: &mut Option<String>, path: &[&str]) -> Option<Currency> {
    let usd = Currency::USD;
    let code = notes.or_convention(slot, usd.to_string(), usd, &under(path, "currency"));
    let currency = Currency::from_code(&code);
    if currency.is_none() {
        let message = format!("`{code}` is not the code of a currency");
        let help = "three capitals, for instance \"USD\" or \"EUR\"";
        notes.error_help("W0221", &under(path, "currency"), message, help);
    }
    currency
}

/// The row that a missing price is taken from; without one (or in another currency) a problem that says
/// what the catalogue has.
fn offered(
    notes: &mut Notes<'_>,
    offer: Option<&'static PriceRow>,
    kind: PriceKind,
    currency: Currency,
    path: &[&str],
    (missing, cure): (String, &str),
) -> Option<&'static PriceRow> {
    if offer.is_some() && currency == Currency::USD {
        return offer;
    }
    let message = match offer {
        Some(row) => {
            format!("the catalogue's price is in {}, and this pool's currency is {currency}", row.unit)
        }
        None => missing,
    };
    let named = |row: &PriceRow| row.node.clone().or_else(|| row.gpu.clone()).unwrap_or_default();
    let offers: Vec<String> = catalogue::prices()
        .iter()
        .filter(|row| row.kind == kind)
        .map(|row| format!("{} {}", named(row), row.typical))
        .collect();
    let unit = if kind == PriceKind::OwnedNode { "USD/node" } else { "USD/GPU-h" };
    let help = format!("write `{cure} = NUMBER`; the catalogue has, in {unit}: {}", offers.join(", "));
    notes.error_help("W0219", path, message, help);
    None
}

fn default_price(notes: &mut Notes<'_>, slot: &mut Option<f64>, row: &PriceRow, path: &[&str]) -> f64 {
    let source =
        format!("{} ({}, {}; plausible {} to {})", row.source, row.item, row.as_of, row.low, row.high);
    notes.or_default(slot, row.typical, row.typical, path, &source, Some(row.confidence))
}

/// One of a price per node and a price per GPU.
fn either(
    notes: &mut Notes<'_>,
    [(per_node, node_name), (per_gpu, gpu_name)]: [(Option<f64>, &str); 2],
    node: &ResolvedNode,
    path: &[&str],
) -> Option<Price> {
    match (per_node, per_gpu) {
        (Some(amount), None) => {
            Some(Price { per: Per::Node, amount: money(notes, amount, &under(path, node_name))? })
        }
        (None, Some(_)) if node.spec.capacity.gpus == 0 => {
            let message = format!("`{gpu_name}` for the node `{}`, which has no GPUs", node.spec.name);
            notes.error_help("W0222", &under(path, gpu_name), message, format!("write `{node_name}`"));
            None
        }
        (None, Some(amount)) => {
            Some(Price { per: Per::Gpu, amount: money(notes, amount, &under(path, gpu_name))? })
        }
        _ => {
            let message = format!("`{node_name}` and `{gpu_name}` say the same twice");
            notes.error_help("W0222", &under(path, gpu_name), message, "leave one of them out");
            None
        }
    }
}

fn money(notes: &mut Notes<'_>, amount: f64, path: &[&str]) -> Option<Money> {
    let money = Money::from_decimal(amount);
    if money.is_none() {
        let message = format!("`{}` must be from 0 to 10^12, found {amount}", dotted(path));
        notes.error("W0209", path, message);
    }
    money
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
    node: &ResolvedNode,
    currency: Currency,
    path: &[&str],
) -> Option<Option<Energy>> {
    if table.price_per_kwh == Some(0.0) {
        return Some(None);
    }
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
    Some(Some(Energy { watts_per_node, pue_milli, per_kwh }))
}

//! The `cost.owned` and `cost.rented` tables of a pool: terms, with defaults from the design's quote and the
//! catalogue.

mod owned;
mod rented;

use super::Notes;
use super::design::ResolvedNode;
use crate::cost::{CostTerms, Licence, Per, Price, Share};
use crate::money::{Currency, Money};
use crate::scenario::catalogue::{self, PriceKind, PriceRow};
use crate::scenario::file::{CostTable, LicenceTable, LicenceUnit, Named};
use crate::scenario::quotes::{QuoteKind, QuoteLine};
use crate::scenario::structure::dotted;

/// Seconds of a year of 365.25 days.
const YEAR_S: f64 = 31_557_600.0;

/// A pool that is to be paid.
pub(super) struct Paid<'a> {
    pub(super) node: &'a ResolvedNode,
    pub(super) count: u32,
    /// Line of the design's quote with its price.
    pub(super) quoted: Option<&'a QuoteLine>,
    /// Month in which the plan starts, counted from year 0.
    pub(super) start: Option<u32>,
}

/// The terms of a pool; `None` after telling what is wrong.
pub(super) fn terms(
    notes: &mut Notes<'_>,
    table: &mut CostTable,
    paid: &Paid<'_>,
    pool: &[&str; 4],
) -> Option<CostTerms> {
    let before = notes.problems.errors();
    let terms = match table {
        CostTable::Owned(table) => {
            let mut path = pool.to_vec();
            path.extend(["cost", "owned"]);
            owned::owned(notes, table, paid, &path).map(|owned| CostTerms::Owned(Box::new(owned)))
        }
        CostTable::Rented(table) => {
            let mut path = pool.to_vec();
            path.extend(["cost", "rented"]);
            rented::rented(notes, table, paid, &path).map(|rented| CostTerms::Rented(Box::new(rented)))
        }
    };
    terms.filter(|_| notes.problems.errors() == before)
}

fn under<'p>(path: &[&'p str], setting: &'p str) -> Vec<&'p str> {
    path.iter().copied().chain([setting]).collect()
}

fn currency(
    notes: &mut Notes<'_>,
    slot: &mut Option<String>,
    quoted: Option<&QuoteLine>,
    path: &[&str],
) -> Option<Currency> {
    let path = under(path, "currency");
    let code = match quoted {
        Some(line) => {
            let currency = line.currency;
            notes.or_default(slot, currency.to_string(), currency, &path, &source_of(line), None)
        }
        None => {
            let usd = Currency::USD;
            notes.or_convention(slot, usd.to_string(), usd, &path)
        }
    };
    let currency = Currency::from_code(&code);
    if currency.is_none() {
        let message = format!("`{code}` is not the code of a currency");
        let help = "three capitals, for instance \"USD\" or \"EUR\"";
        notes.error_help("W0221", &path, message, help);
    }
    currency
}

fn source_of(line: &QuoteLine) -> String {
    format!("quote `{}`, line {} ({} x {})", line.quote, line.line, line.count, line.what)
}

/// The price of a quote, written back as a default.
fn quoted_price(notes: &mut Notes<'_>, slot: &mut Option<f64>, line: &QuoteLine, path: &[&str]) {
    let price = match line.kind {
        QuoteKind::Capital | QuoteKind::Hourly => line.unit_price,
        QuoteKind::Monthly => line.unit_price * 12.0 * 3600.0 / YEAR_S,
        QuoteKind::Yearly => line.unit_price * 3600.0 / YEAR_S,
    };
    notes.or_default(slot, price, price, path, &source_of(line), None);
}

/// Month of payment or delivery: written, from the quote, or 0.
fn month(
    notes: &mut Notes<'_>,
    slot: &mut Option<u32>,
    paid: &Paid<'_>,
    date: fn(&QuoteLine) -> Option<u32>,
    path: &[&str],
) -> u32 {
    if let (Some(line), Some(start)) = (paid.quoted, paid.start)
        && let Some(month) = date(line)
    {
        let months = month.saturating_sub(start);
        return notes.or_default(slot, months, months, path, &source_of(line), None);
    }
    slot.unwrap_or(0)
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
    let is_new = slot.is_none();
    let value = notes.or_default(slot, row.typical, row.typical, path, &source, Some(row.confidence));
    if let (true, Some(used)) = (is_new, notes.defaults.last_mut()) {
        used.range = Some([row.low, row.high]);
    }
    value
}

/// A general figure of the catalogue where the scenario asks for everything that it has, else what is written
/// or 0. Amounts in USD need a pool in USD.
fn figure_if(
    notes: &mut Notes<'_>,
    slot: &mut Option<f64>,
    (kind, everything): (PriceKind, bool),
    currency: Currency,
    path: &[&str],
) -> f64 {
    if slot.is_none() && everything {
        let row = catalogue::figure(kind);
        if row.unit.starts_with("USD/") && currency != Currency::USD {
            let message =
                format!("the catalogue's figure is in {}, and this pool's currency is {currency}", row.unit);
            let setting = path.last().copied().unwrap_or_default();
            notes.error_help(
                "W0219",
                path,
                message,
                format!("write `{setting} = NUMBER`, 0 to leave it out"),
            );
            return 0.0;
        }
        return default_price(notes, slot, row, path);
    }
    slot.unwrap_or(0.0)
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

/// A share from 0 to `most`.
fn share(notes: &mut Notes<'_>, value: f64, most: f64, path: &[&str]) -> Option<Share> {
    let share = Share::from_decimal(value).filter(|_| value <= most);
    if share.is_none() {
        let message = format!("`{}` must be a share from 0 to {most}, found {value}", dotted(path));
        notes.error("W0209", path, message);
    }
    share
}

/// Two settings that say the same; which one wins is not guessed.
fn not_both(notes: &mut Notes<'_>, a: (bool, &str), b: (bool, &str), path: &[&str]) {
    if a.0 && b.0 {
        let message = format!("`{}` and `{}` say the same twice", a.1, b.1);
        notes.error_help("W0222", &under(path, b.1), message, "leave one of them out");
    }
}

/// Two settings that mean something only together.
fn both(notes: &mut Notes<'_>, a: (bool, &str), b: (bool, &str), path: &[&str]) {
    for ((there, name), (other, missing)) in [(a, b), (b, a)] {
        if there && !other {
            let message = format!("`{name}` needs `{missing}`");
            notes.error_help("W0208", &under(path, name), message, format!("write `{missing}` too"));
        }
    }
}

/// Licences by name; a name of the catalogue brings unit and price.
fn licences(
    notes: &mut Notes<'_>,
    tables: &mut Named<LicenceTable>,
    paid: &Paid<'_>,
    (currency, may_buy): (Currency, bool),
    path: &[&str],
) -> Vec<Licence> {
    let mut found = Vec::new();
    for (name, table) in tables {
        let mut path = under(path, "licence");
        path.push(name);
        found.extend(licence(notes, name, table, paid, (currency, may_buy), &path));
    }
    found
}

fn licence(
    notes: &mut Notes<'_>,
    name: &str,
    table: &mut LicenceTable,
    paid: &Paid<'_>,
    (currency, may_buy): (Currency, bool),
    path: &[&str],
) -> Option<Licence> {
    let rows = || catalogue::prices().iter().filter(|row| row.kind == PriceKind::Licence);
    let row = rows().find(|row| row.item == name);
    let priced =
        table.price_per_year.is_some() || table.price_once.is_some() || table.price_per_hour.is_some();
    if !priced || table.unit.is_none() {
        let Some(row) = row.filter(|_| priced || currency == Currency::USD) else {
            let message = match row {
                Some(_) => format!(
                    "the catalogue's price of `{name}` is in USD, and this pool's currency is {currency}"
                ),
                None => format!("the catalogue has no licence `{name}`"),
            };
            let offers: Vec<String> =
                rows().map(|row| format!("{} {} {}", row.item, row.typical, row.unit)).collect();
            let help = format!("write `unit` and a price; the catalogue has: {}", offers.join(", "));
            notes.error_help("W0219", path, message, help);
            return None;
        };
        let (unit, every) = row.unit.trim_start_matches("USD/").split_once('-').unwrap_or(("node", "year"));
        if !priced {
            let (slot, setting) = match every {
                "once" => (&mut table.price_once, "price-once"),
                _ => (&mut table.price_per_year, "price-per-year"),
            };
            default_price(notes, slot, row, &under(path, setting));
        }
        let unit_of = match unit {
            "core" => LicenceUnit::Core,
            "socket" => LicenceUnit::Socket,
            "gpu" => LicenceUnit::Gpu,
            _ => LicenceUnit::Node,
        };
        notes.or_default(
            &mut table.unit,
            unit_of,
            unit,
            &under(path, "unit"),
            &row.source,
            Some(row.confidence),
        );
    }
    if table.price_once.is_some() && !may_buy {
        let message = "a licence that is bought once has nothing to be written off with in a rented pool";
        notes.error_help(
            "W0261",
            &under(path, "price-once"),
            message,
            "write `price-per-year` or `price-per-hour`",
        );
        return None;
    }
    let units_per_node = match table.unit.unwrap_or(LicenceUnit::Node) {
        LicenceUnit::Node => 1,
        LicenceUnit::Socket => {
            notes.or_convention(&mut table.sockets_per_node, 2, 2, &under(path, "sockets-per-node"))
        }
        LicenceUnit::Core => paid.node.spec.capacity.cpus,
        LicenceUnit::Gpu => paid.node.spec.capacity.gpus,
    };
    let mut amount =
        |slot: Option<f64>, setting: &str| money(notes, slot.unwrap_or(0.0), &under(path, setting));
    Some(Licence {
        name: name.to_owned(),
        units_per_node,
        least_units: table.least_units.unwrap_or(0),
        per_year: amount(table.price_per_year, "price-per-year")?,
        once: amount(table.price_once, "price-once")?,
        per_hour: amount(table.price_per_hour, "price-per-hour")?,
    })
}

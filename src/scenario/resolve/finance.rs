//! The `[finance]` and `[objective]` tables, and which line of a quote pays for what.

use std::path::Path;

use super::Notes;
use super::price::Paid;
use crate::cost::{CostTerms, Line, LineKind, Phase, Share, WaitPrice};
use crate::diagnostic::nearest;
use crate::money::Money;
use crate::scenario::catalogue::{self, PriceKind};
use crate::scenario::file::{CostTable, FinanceTable, ObjectiveTable};
use crate::scenario::quotes::{QuoteKind, QuoteLine, month_of, read_quotes};
use crate::scenario::{Bound, Condition, Design, DesignMoney, FinanceSpec, ObjectiveSpec, PoolTerms};
use crate::time::{MICROS_PER_S, SimDuration};

/// The plan and the quotes of a scenario.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) finance: Option<FinanceSpec>,
    quotes: Option<Vec<QuoteLine>>,
    start: Option<u32>,
}

pub(super) fn plan(notes: &mut Notes<'_>, table: Option<&mut FinanceTable>, directory: &Path) -> Plan {
    let Some(table) = table else { return Plan::default() };
    let mut quotes = None;
    if let Some(written) = &table.quotes {
        match read_quotes(&directory.join(written)) {
            Ok(lines) => quotes = Some(lines),
            Err(problems) => problems.kept().iter().for_each(|problem| notes.problems.push(problem.clone())),
        }
    }
    let dates = |line: &QuoteLine| line.payment.into_iter().chain(line.delivery).min();
    let first = quotes.iter().flatten().filter_map(dates).min();
    let start = match table.start.as_deref().map(month_of) {
        Some(None) => {
            let message = format!("`{}` is no month", table.start.as_deref().unwrap_or_default());
            notes.error_help(
                "W0265",
                &["finance", "start"],
                message,
                "write YYYY-MM, for instance \"2027-01\"",
            );
            None
        }
        Some(start) => start,
        None => first,
    };
    if let (Some(start), Some(first)) = (start, first)
        && first < start
    {
        let message = "a quote is paid or delivered before the plan starts";
        notes.error_help(
            "W0265",
            &["finance", "start"],
            message,
            "let the plan start with the first of them",
        );
    }
    Plan { finance: finance(notes, table), quotes, start }
}

fn finance(notes: &mut Notes<'_>, table: &mut FinanceTable) -> Option<FinanceSpec> {
    let row = catalogue::figure(PriceKind::Depreciation);
    let path = ["finance", "years"];
    let source = format!("the depreciation of hardware: {}", row.source);
    let known = Some(row.confidence);
    let years = notes.or_default(&mut table.years, row.typical, row.typical, &path, &source, known);
    if years.is_nan() || years <= 0.0 {
        let message =
            format!("`finance.years = {years}`: a plan without length has no cost, cash flow or payback");
        notes.error_help("W0265", &path, message, "write the years over which designs are judged, such as 3");
        return None;
    }
    if !(1.0 / 12.0..=50.0).contains(&years) {
        let message = format!("`finance.years` must be from a month (0.084) to 50, found {years}");
        notes.error("W0265", &path, message);
        return None;
    }
    let growth = table.growth.unwrap_or(0.0);
    if !(-0.9..=10.0).contains(&growth) {
        let message = format!("`finance.growth` must be from -0.9 to 10 (1000 % a year), found {growth}");
        notes.error("W0209", &["finance", "growth"], message);
        return None;
    }
    let rate = table.discount_rate.unwrap_or(0.0);
    let Some(rate) = Share::from_decimal(rate).filter(|_| rate <= 1.0) else {
        let message = format!("`finance.discount-rate` must be from 0 to 1, found {rate}");
        notes.error("W0209", &["finance", "discount-rate"], message);
        return None;
    };
    let mut price = |slot: Option<f64>, setting: &str| {
        let amount = slot.map(Money::from_decimal);
        if amount == Some(None) {
            let message = format!("`finance.{setting}` must be from 0 to 10^12");
            notes.error("W0209", &["finance", setting], message);
        }
        amount.flatten()
    };
    let waiting = WaitPrice {
        per_gpu_hour: price(table.wait_price_per_gpu_hour, "wait-price-per-gpu-hour"),
        per_job_hour: price(table.wait_price_per_job_hour, "wait-price-per-job-hour"),
    };
    Some(FinanceSpec { months: (years * 12.0).round() as u32, growth, rate, waiting })
}

/// The quote of one design, line by line.
#[derive(Debug, Default)]
pub(super) struct QuoteOf {
    /// Whether the file could not be read: then no price is missed.
    pub(super) is_broken: bool,
    /// Each line, and how often a pool has taken it.
    lines: Vec<(QuoteLine, u32)>,
    /// (name, what the pools of it hold), in the order in which they came.
    held: Vec<(String, u64)>,
}

impl Plan {
    pub(super) fn start(&self) -> Option<u32> {
        self.start
    }

    pub(super) fn quote(&self, notes: &mut Notes<'_>, design: &str, name: Option<&str>) -> QuoteOf {
        let Some(name) = name else { return QuoteOf::default() };
        let path = ["design", design, "quote"];
        let Some(lines) = &self.quotes else {
            if notes.problems.errors() == 0 {
                let help = "write [finance] with quotes = \"quotes.csv\"";
                notes.error_help("W0264", &path, format!("there are no quotes to find `{name}` in"), help);
            }
            return QuoteOf { is_broken: true, ..QuoteOf::default() };
        };
        let of: Vec<_> =
            lines.iter().filter(|line| line.quote == name).map(|line| (line.clone(), 0)).collect();
        if of.is_empty() {
            let mut known: Vec<&str> = lines.iter().map(|line| line.quote.as_str()).collect();
            known.dedup();
            let help = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("the file has: {}", known.join(", ")),
            };
            notes.error_help("W0264", &path, format!("the quotes have none called `{name}`"), help);
        }
        QuoteOf { is_broken: of.is_empty(), lines: of, held: Vec::new() }
    }
}

/// The table of a pool that says nothing of its cost but has a line in the quote.
pub(super) fn cost_of_quote(line: &QuoteLine) -> CostTable {
    match line.kind {
        QuoteKind::Capital => CostTable::Owned(Box::default()),
        QuoteKind::Yearly | QuoteKind::Monthly | QuoteKind::Hourly => CostTable::Rented(Box::default()),
    }
}

impl QuoteOf {
    /// The line with the price of a pool: the first of its node that no pool has taken, else the last of them; else
    /// one of its GPU.
    pub(super) fn line_of(&mut self, node: &str, gpu: Option<&str>) -> Option<QuoteLine> {
        let of = |what: &str, line: &QuoteLine| {
            line.what == what && (what == node || line.kind != QuoteKind::Capital)
        };
        for what in [Some(node), gpu].into_iter().flatten() {
            let free = self.lines.iter().position(|(line, taken)| of(what, line) && *taken == 0);
            if let Some(at) = free.or_else(|| self.lines.iter().rposition(|(line, _)| of(what, line))) {
                self.lines[at].1 += 1;
                return Some(self.lines[at].0.clone());
            }
        }
        None
    }

    /// Remembers how much of its line a pool holds.
    pub(super) fn note_pool(&mut self, paid: &Paid<'_>, terms: Option<&CostTerms>) {
        let Some(line) = paid.quoted else { return };
        let spares = match terms {
            Some(CostTerms::Owned(owned)) => owned.spare_nodes,
            _ => 0,
        };
        let nodes = u64::from(paid.count) + u64::from(spares);
        let gpus = u64::from(paid.node.spec.capacity.gpus);
        let amount = if line.what == paid.node.spec.name { nodes } else { nodes * gpus };
        match self.held.iter_mut().find(|(what, _)| *what == line.what) {
            Some((_, held)) => *held += amount,
            None => self.held.push((line.what.clone(), amount)),
        }
    }

    /// What of the quote is about no pool, with what the design costs beside.
    pub(super) fn rest(
        self,
        notes: &mut Notes<'_>,
        design: &str,
        pools: &[PoolTerms],
        plan: &Plan,
        migration: Option<f64>,
    ) -> DesignMoney {
        let path = ["design", design, "quote"];
        for (what, held) in &self.held {
            let of = self.lines.iter().filter(|(line, _)| line.what == *what);
            let quoted: u64 = of.map(|(line, _)| u64::from(line.count)).sum();
            if quoted != *held {
                let message = format!("the quote has {quoted} x {what}, and the design `{design}` {held}");
                notes.warning(
                    "W0264",
                    &path,
                    message,
                    "the design is paid for what it has, at the price of the quote",
                );
            }
        }
        let owned = pools.iter().filter_map(|pool| match &pool.cost {
            Some(CostTerms::Owned(owned)) => Some(owned.lifetime),
            _ => None,
        });
        let lifetime = owned.max();
        let mut lines = Vec::new();
        for (line, _) in self.lines.into_iter().filter(|(_, taken)| *taken == 0) {
            let kind = match line.kind {
                QuoteKind::Capital => LineKind::Capital {
                    lifetime: lifetime.unwrap_or_else(|| catalogue_lifetime(notes, &path)),
                },
                QuoteKind::Yearly => LineKind::Yearly,
                QuoteKind::Monthly => LineKind::Monthly,
                QuoteKind::Hourly => LineKind::Hourly,
            };
            let month = |date: Option<u32>| {
                date.zip(plan.start).map_or(0, |(date, start)| date.saturating_sub(start))
            };
            let amount = Money::from_decimal(line.unit_price).unwrap_or(Money::ZERO);
            lines.push(Line {
                what: line.what,
                kind,
                amount: Money::from_micros(amount.micros() * i128::from(line.count)),
                currency: line.currency,
                phase: Phase {
                    payment_month: month(line.payment.or(line.delivery)),
                    delivery_month: month(line.delivery.or(line.payment)),
                },
                term_months: line.term_months,
            });
        }
        let migration_money = Money::from_decimal(migration.unwrap_or(0.0));
        if migration_money.is_none() {
            let path = ["design", design, "migration-cost"];
            notes.error("W0209", &path, "`migration-cost` must be from 0 to 10^12");
        }
        DesignMoney {
            lines,
            migration: migration_money.unwrap_or(Money::ZERO),
            waiting: plan.finance.map_or_else(WaitPrice::default, |finance| finance.waiting),
        }
    }
}

/// Lifetime of a line that is bought for a design without an owned pool.
fn catalogue_lifetime(notes: &mut Notes<'_>, path: &[&str]) -> SimDuration {
    const YEAR_S: f64 = 31_557_600.0;
    let row = catalogue::figure(PriceKind::Depreciation);
    let shown = format!("written off over {} years", row.typical);
    notes.or_default(&mut None, (), shown, path, &row.source, Some(row.confidence));
    SimDuration::from_micros((row.typical * YEAR_S * MICROS_PER_S as f64).round() as i64)
}

/// Figures that an objective may be about; those of designs with costs, and those with GPUs, are marked.
const SPREADS: [&str; 3] = ["wait_s", "turnaround_s", "bounded_slowdown"];
const QUANTILES: [&str; 7] = ["mean", "p50", "p90", "p95", "p99", "p999", "max"];
const PLAIN: [&str; 17] = [
    "jobs.completed",
    "jobs.failed",
    "jobs.refused",
    "jobs.unfinished",
    "makespan_s",
    "throughput.jobs_per_hour",
    "throughput.delivered_gpu_hours_per_hour",
    "utilization.cpu",
    "utilization.gpu_allocated",
    "utilization.gpu_productive",
    "fragmentation.mean",
    "delivered_gpu_hours",
    "delivered_cpu_hours",
    "queue.mean",
    "queue.max",
    "queue.waiting_share",
    "sharing.at_work_to_own_end",
];
/// Of the hours of GPUs and of CPUs.
const HOURS: [&str; 13] = [
    "installed",
    "productive",
    "virtualization",
    "neighbours",
    "communication",
    "slack",
    "storage",
    "lost",
    "held_idle",
    "startup",
    "idle_waiting",
    "idle",
    "down",
];
/// Of designs that are more than bare metal, alone, for ever.
const TENANCY: [&str; 22] = [
    "virtualization_share",
    "neighbours_share",
    "communication_share",
    "startup_share",
    "lost_share",
    "snapshot_share",
    "slice_wait_mean_s",
    "slice_wait_p99_s",
    "leaves_per_job",
    "leaves_over_fewest",
    "host_failures",
    "lost_attempts",
    "given_up",
    "timeouts",
    "down_share",
    "boots",
    "spilled",
    "vms_ordered",
    "vms_failed",
    "vms_most",
    "vm_hours",
    "vm_hours_on_demand",
];
const COST: [&str; 7] = [
    "cost.total",
    "cost.per_month",
    "cost.per_gpu_hour",
    "cost.per_allocated_gpu_hour",
    "cost.per_useful_gpu_hour",
    "cost.per_job",
    "cost.waiting",
];

/// Every figure that an objective may name.
fn figures() -> Vec<String> {
    let spreads = SPREADS.iter().flat_map(|spread| QUANTILES.map(|q| format!("{spread}.{q}")));
    let hours = ["gpu_hours", "cpu_hours"].into_iter().flat_map(|of| HOURS.map(|key| format!("{of}.{key}")));
    let tenancy = TENANCY.map(|key| format!("tenancy.{key}"));
    let plain = PLAIN.map(str::to_owned).into_iter().chain(COST.map(str::to_owned));
    spreads.chain(plain).chain(hours).chain(tenancy).collect()
}

pub(super) fn objective(
    notes: &mut Notes<'_>,
    table: Option<&mut ObjectiveTable>,
    designs: &[Design],
) -> Option<ObjectiveSpec> {
    let table = table?;
    let mut require = Vec::new();
    for (at, text) in table.require.iter().enumerate() {
        let index = at.to_string();
        let path = ["objective", "require", index.as_str()];
        match condition(text) {
            Some(condition) => {
                figure_exists(notes, &condition.figure, designs, &path);
                require.push(condition);
            }
            None => {
                let message = format!("`{text}` is no condition");
                let help = "write a figure, one of <=, <, >=, >, and a number: \"wait_s.p95 <= 3600\"";
                notes.error_help("W0262", &path, message, help);
            }
        }
    }
    let priced = designs
        .iter()
        .all(|design| !design.pools.is_empty() && design.pools.iter().all(|p| p.cost.is_some()));
    let default = if priced { "cost.total" } else { "wait_s.mean" };
    let path = ["objective", "minimize"];
    if let Some(written) = &table.minimize {
        figure_exists(notes, written, designs, &path);
    }
    let minimize = notes.or_convention(&mut table.minimize, default.to_owned(), default, &path);
    Some(ObjectiveSpec { require, minimize })
}

fn condition(text: &str) -> Option<Condition> {
    let signs = [("<=", Bound::AtMost), (">=", Bound::AtLeast), ("<", Bound::Below), (">", Bound::Above)];
    let (figure, bound, value) = signs.into_iter().find_map(|(sign, bound)| {
        let (figure, value) = text.split_once(sign)?;
        Some((figure.trim().to_owned(), bound, value.trim().replace('_', "")))
    })?;
    let value: f64 = value.parse().ok().filter(|value: &f64| value.is_finite())?;
    (!figure.is_empty()).then(|| Condition { text: text.to_owned(), figure, bound, value })
}

/// Tells of a figure that no design will have.
fn figure_exists(notes: &mut Notes<'_>, figure: &str, designs: &[Design], path: &[&str]) {
    let known = figures();
    if !known.iter().any(|name| name == figure) {
        let help = match nearest(figure, known.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("figures: {}", known.join(", ")),
        };
        notes.error_help("W0262", path, format!("there is no figure `{figure}`"), help);
        return;
    }
    let unpriced = designs
        .iter()
        .find(|design| design.pools.is_empty() || design.pools.iter().any(|pool| pool.cost.is_none()));
    if let (true, Some(design)) = (figure.starts_with("cost."), unpriced) {
        let message = format!("the design `{}` has no cost, so it has no `{figure}`", design.name);
        let help =
            format!("write [design.{}.pool.NAME.cost.owned] or .rented, or take another figure", design.name);
        notes.error_help("W0262", path, message, help);
    }
    let no_wait_price = designs.iter().all(|design| design.money.waiting == WaitPrice::default());
    if figure == "cost.waiting" && no_wait_price {
        let help = "write finance.wait-price-per-gpu-hour or wait-price-per-job-hour";
        notes.error_help("W0262", path, "waiting has no price here, so there is no `cost.waiting`", help);
    }
    let gpus = |design: &Design| design.cluster.pools.iter().any(|pool| pool.node.capacity.gpus > 0);
    if figure.contains("gpu") && !designs.iter().any(gpus) {
        let message = format!("no design has GPUs, so there is no `{figure}`");
        notes.error_help("W0262", path, message, "take a figure of CPUs");
    }
    let is_plain =
        |design: &Design| design.events.is_empty() && design.pools.iter().all(|pool| pool.tenancy.is_plain());
    if figure.starts_with("tenancy.") && designs.iter().all(is_plain) {
        let message =
            format!("all designs are bare metal on which nothing happens, so there is no `{figure}`");
        notes.error_help(
            "W0262",
            path,
            message,
            "take another figure, or write what happens to hosts and jobs",
        );
    }
    if figure.starts_with("sharing.") && !designs.iter().any(|design| design.shares_gpus) {
        let message = format!("no design shares its GPUs, so there is no `{figure}`");
        notes.error_help("W0262", path, message, "take another figure");
    }
}

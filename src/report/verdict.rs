//! The verdict in one sentence, and what would change it, for terminal and page.

use super::Context;
use super::figures::{FIGURES, Unit, count, percent, span};
use crate::experiment::outlook::{LoadFlip, Outlook, Swing};
use crate::experiment::verdict::{Judged, Judgement, Met};
use crate::experiment::{DesignResult, VersionCheck};

/// What is decided about a comparison.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Which design meets the objective at least cost; `None` without an objective.
    pub judgement: Option<Judgement>,
    /// What becomes of it: money over the years, load, assumptions.
    pub outlook: Option<Outlook>,
    /// Whether the figures hold under the recorded versions of Slurm beside the one that is simulated.
    pub versions: Option<VersionCheck>,
}

/// A figure by its dotted key, in words.
pub(super) fn words_of(key: &str) -> String {
    let name = FIGURES.iter().find(|figure| figure.key == key).map(|figure| figure.name.to_owned());
    name.map_or_else(|| key.to_owned(), |name| lower_first(&name))
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    let second_is_capital = name.chars().nth(1).is_some_and(char::is_uppercase);
    match letters.next() {
        Some(first) if !second_is_capital => first.to_lowercase().chain(letters).collect(),
        _ => name.to_owned(),
    }
}

/// A value of the figure `key` as text.
pub(super) fn value_of(key: &str, value: f64, currency: &str) -> String {
    let unit = FIGURES.iter().find(|figure| figure.key == key).map(|figure| figure.unit);
    match unit {
        _ if key.starts_with("cost.") && value.abs() >= 1000.0 => {
            format!("{} {currency}", count(value.max(0.0).round() as u64))
        }
        _ if key.starts_with("cost.") => format!("{value:.2} {currency}"),
        _ if key.contains("_s.") || key.ends_with("_s") => span(value),
        Some(Unit::Share) => percent(value),
        _ if key.starts_with("utilization.") || key.ends_with("_share") => percent(value),
        Some(Unit::Count) => count(value.max(0.0).round() as u64),
        _ => format!("{value:.2}"),
    }
}

/// The currency of a comparison.
pub(super) fn currency<'a>(context: &Context<'a>) -> &'a str {
    context.results.iter().find_map(|result| result.cost.as_ref()).map_or("", |cost| cost.currency.code())
}

fn label<'a>(context: &Context<'a>, name: &'a str) -> &'a str {
    let found = context.results.iter().find(|result| result.design.name == name);
    found.map_or(name, |result: &DesignResult| result.design.label.as_str())
}

/// The verdict in one sentence; `None` without an objective.
pub(super) fn sentence(context: &Context<'_>) -> Option<String> {
    let judgement = context.decision?.judgement.as_ref()?;
    let currency = currency(context);
    let asked = match judgement.require.as_slice() {
        [] => String::new(),
        conditions => format!(" ({})", conditions.join(", ")),
    };
    let key = judgement.minimize.as_str();
    let Some(best) = judgement.chosen() else {
        return Some(none_meets(context, judgement, &asked));
    };
    let value = best.decisive.map_or_else(String::new, |value| value_of(key, value, currency));
    let superlative = if key.starts_with("cost.") { "the cheapest design" } else { "the best design" };
    let meets = if asked.is_empty() { String::new() } else { format!(" that meets the objective{asked}") };
    let mut text =
        format!("“{}” is {superlative}{meets}: {} {value}", label(context, &best.design), words_of(key));
    if best.conditions.iter().any(|met| met.sure == Some(false)) {
        text += ", though its interval reaches over the bound";
    }
    match judgement.not_distinguishable.as_deref() {
        Some([]) | None => {}
        Some(alike) => {
            let names: Vec<String> = alike.iter().map(|name| format!("“{}”", label(context, name))).collect();
            text += &format!("; it is not distinguishable from {} by that", names.join(", "));
        }
    }
    let cheaper = judgement.designs.iter().filter(|judged| {
        !judged.meets && judged.decisive.zip(best.decisive).is_some_and(|(theirs, ours)| theirs < ours)
    });
    for judged in cheaper {
        let Some(missed) = judged.conditions.iter().find(|met| !met.holds) else { continue };
        let price = judged.decisive.map_or_else(String::new, |value| value_of(key, value, currency));
        text += &format!(
            "; “{}” would be {price} and misses it ({})",
            label(context, &judged.design),
            missed_words(missed, currency)
        );
    }
    Some(text + ".")
}

fn missed_words(missed: &Met, currency: &str) -> String {
    match missed.value {
        Some(value) => format!("{} {}", words_of(&missed.figure), value_of(&missed.figure, value, currency)),
        None => format!("{} is undefined", words_of(&missed.figure)),
    }
}

/// How far a design is from its worst bound, relative to it.
fn distance(judged: &Judged) -> f64 {
    let each = judged.conditions.iter().filter(|met| !met.holds).map(|met| match met.value {
        Some(value) => (value - met.bound).abs() / met.bound.abs().max(1e-9),
        None => f64::INFINITY,
    });
    each.fold(0.0, f64::max)
}

fn none_meets(context: &Context<'_>, judgement: &Judgement, asked: &str) -> String {
    let nearest = judgement.designs.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    let missed = nearest.and_then(|judged| Some((judged, judged.conditions.iter().find(|met| !met.holds)?)));
    match missed {
        Some((judged, missed)) => format!(
            "No design meets the objective{asked}; the nearest is “{}” ({}).",
            label(context, &judged.design),
            missed_words(missed, currency(context))
        ),
        None => format!("No design has a {} to be judged by.", words_of(&judgement.minimize)),
    }
}

/// Lines on what becomes of the verdict, for the terminal: money, growth, load, prices, assumptions that flip it.
pub(super) fn outlook_lines(context: &Context<'_>) -> Vec<String> {
    let Some(outlook) = context.decision.and_then(|decision| decision.outlook.as_ref()) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    lines.extend(outlook.flows.iter().flatten().map(|flow| {
        let money = |amount: f64| signed(amount, &flow.currency);
        let years: Vec<String> = flow.years.iter().map(|year| thousands(*year)).collect();
        let value =
            flow.present_value.map_or_else(String::new, |value| format!(", present value {}", money(value)));
        let against = match (flow.present_value_against_baseline, flow.payback_months) {
            (None, _) => String::new(),
            (Some(_), Some(0)) => ", never dearer than the baseline".to_owned(),
            (Some(_), Some(months)) => format!(", paid back against the baseline after {months} months"),
            (Some(_), None) => ", not paid back against the baseline".to_owned(),
        };
        format!(
            "{}: {} over the plan{value}{against}; by year in thousands: {}.",
            label(context, &flow.design),
            money(flow.total),
            years.join(", ")
        )
    }));
    lines.extend(growth_lines(context, outlook));
    lines.extend(flip_lines(context, outlook));
    lines.extend(swings_line(context, outlook));
    lines
}

/// The assumptions that move the decisive figure most, and those that are always told.
fn swings_line(context: &Context<'_>, outlook: &Outlook) -> Option<String> {
    const TOLD: usize = 3;
    let key = context.scenario.objective.as_ref()?.minimize.as_str();
    let code = currency(context);
    let of_cost = outlook.swings.iter().filter(|swing| !swing.is_always_told).take(TOLD);
    let told = of_cost.chain(outlook.swings.iter().filter(|swing| swing.is_always_told));
    let words: Vec<String> = told
        .map(|swing| match swing.figure {
            Some([low, high]) => format!(
                "{} {} to {}: {} to {}",
                swing.assumption,
                readable(&swing.values[0]),
                readable(&swing.values[2]),
                value_of(key, low, code),
                value_of(key, high, code)
            ),
            None => format!("{}: {}", swing.assumption, swing.source),
        })
        .collect();
    (!words.is_empty()).then(|| format!("Assumptions ({}): {}.", words_of(key), words.join("; ")))
}

fn growth_lines(context: &Context<'_>, outlook: &Outlook) -> Vec<String> {
    let rows = outlook.growth.iter().flatten().map(|miss| {
        let name = label(context, &miss.design);
        let from = match miss.delivered_month {
            None => return format!("{name}: nothing of it is there within the plan."),
            Some(0) => String::new(),
            Some(month) => format!("there from month {month}, "),
        };
        match (miss.month, miss.load, &miss.condition) {
            (Some(month), _, Some(condition)) if miss.delivered_month == Some(month) => {
                format!("{name}: {from}misses {condition} from the start.")
            }
            (Some(month), Some(load), Some(condition)) => {
                format!("{name}: {from}growth makes it miss {condition} in month {month} (load x {load:.2}).")
            }
            _ => format!("{name}: {from}meets the objective to the end of the plan."),
        }
    });
    rows.collect()
}

/// What would flip the verdict: load, price, assumptions.
pub(super) fn flip_lines(context: &Context<'_>, outlook: &Outlook) -> Vec<String> {
    let mut lines = Vec::new();
    let judged = context.decision.and_then(|decision| decision.judgement.as_ref());
    if let Some(judgement) = judged.filter(|judgement| judgement.choice != outlook.choice) {
        let there = match &outlook.choice {
            Some(name) => format!("“{}” is chosen", label(context, name)),
            None => "no design meets the objective".to_owned(),
        };
        let than = if judgement.choice.is_some() { ", against the verdict over all histories" } else { "" };
        lines.push(format!("On the first history alone, which all of this is computed on, {there}{than}."));
    }
    if let Some(range) = &outlook.load {
        let words = |flip: &LoadFlip, side: &str| {
            let winner = match &flip.choice {
                Some(name) => format!("“{}” is chosen", label(context, name)),
                None => "no design meets the objective".to_owned(),
            };
            let utilization =
                flip.utilization.map_or_else(String::new, |share| format!(" (use {})", percent(share)));
            format!("{side} {:.2} times the load{utilization}: {winner}", flip.load)
        };
        let below = range.below.as_ref().map(|flip| words(flip, "Below"));
        let above = range.above.as_ref().map(|flip| words(flip, "From"));
        let [lowest, highest] = range.looked_at;
        match (below, above) {
            (None, None) => lines.push(format!(
                "The verdict is the same at every load from {lowest:.2} to {highest:.2} times this one."
            )),
            (below, above) => lines.extend(below.into_iter().chain(above).map(|line| line + ".")),
        }
    }
    let currency = currency(context);
    lines.extend(outlook.prices.iter().map(|flip| {
        format!(
            "At {} a {} (now {}) “{}” is as good as “{}”.",
            price(flip.at, currency),
            flip.per,
            price(flip.price, currency),
            label(context, &flip.design),
            label(context, &flip.rival)
        )
    }));
    lines.extend(outlook.swings.iter().filter(|swing| swing.flips).map(|swing| swing_line(context, swing)));
    lines
}

fn swing_line(context: &Context<'_>, swing: &Swing) -> String {
    let [low, _, high] = swing.values.each_ref().map(|value| readable(value));
    let words = |value: &str, choice: &Option<String>| match choice {
        Some(name) => format!("at {value} “{}”", label(context, name)),
        None => format!("at {value} no design"),
    };
    format!(
        "{}: {} is chosen, {}.",
        swing.assumption,
        words(&low, &swing.choices[0]),
        words(&high, &swing.choices[1])
    )
}

fn price(amount: f64, currency: &str) -> String {
    if amount >= 1000.0 {
        format!("{} {currency}", count(amount.round() as u64))
    } else {
        format!("{amount:.2} {currency}")
    }
}

/// A value of a setting; large whole numbers in groups.
pub(super) fn readable(value: &str) -> String {
    match value.parse::<u64>() {
        Ok(number) if number >= 10_000 => count(number),
        _ => value.to_owned(),
    }
}

/// Whole units with sign.
pub(super) fn signed(amount: f64, currency: &str) -> String {
    let sign = if amount < -0.5 { "-" } else { "" };
    format!("{sign}{} {currency}", count(amount.abs().round() as u64))
}

fn thousands(amount: f64) -> String {
    let sign = if amount < -500.0 { "-" } else { "" };
    format!("{sign}{}", count((amount.abs() / 1000.0).round() as u64))
}

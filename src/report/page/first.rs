//! The first screen: question, answer, designs side by side, assumptions, inputs.

use std::fmt::Write as _;

use super::answer::{answer, caveat};
use super::decision;
use super::markup::{described, escape, file_name};
use crate::experiment::DesignResult;
use crate::experiment::replicas::Verdict;
use crate::report::figures::{Better, FIGURES, Figure, Unit, count, span};
use crate::report::{Context, translation};
use crate::scenario::{Confidence, WorkloadSource};
use crate::workload::generate::Model;

/// Assumptions on the first screen; all of them are further down.
const ASSUMPTIONS: usize = 7;

/// Designs differ by at least this share of the larger figure, or get no marks.
const LEAST_DIFFERENCE: f64 = 0.01;

/// More designs than this stand closer together.
const MANY: usize = 4;

/// Repairs and refusals on the first screen.
const REPAIRS: usize = 5;

/// Writes the first screen.
pub(super) fn first_screen(html: &mut String, context: &Context<'_>) {
    write!(
        html,
        "<section id=\"answer\">\n<p class=\"brand\">Windtunnel report</p>\n<h1>{}</h1>\n\
         <p class=\"lead\">{}</p>\n<p class=\"caveat\">{}</p>\n",
        escape(&super::title(context)),
        escape(&answer(context)),
        escape(&caveat(context)),
    )
    .expect("texts take writes");
    for (begins, options) in context.not_modelled() {
        writeln!(html, "<p class=\"caveat\">{begins}: {}.</p>", escape(&options)).expect("texts take writes");
    }
    if let Some(line) = context.version_line() {
        writeln!(html, "<p class=\"caveat\">{}</p>", escape(&line)).expect("texts take writes");
    }
    decision::flips(html, context);
    designs(html, context);
    html.push_str("<div class=\"columns\">\n");
    assumptions(html, context);
    inputs(html, context);
    html.push_str("</div>\n</section>\n");
}

/// Figures down, designs across.
fn designs(html: &mut String, context: &Context<'_>) {
    let results = context.results;
    let several = results.len() > 1;
    let many = if results.len() > MANY { " many" } else { "" };
    let hint = if several {
        "<span class=\"screen\">A click on a figure sorts the designs by it. Every figure says on hover what it is. </span>"
    } else {
        "<span class=\"screen\">Every figure says on hover what it is.</span>"
    };
    let marks = if several {
        "<b class=\"mark best\">best</b> and <b class=\"mark worst\">worst</b> where they differ by 1 % or more."
    } else {
        ""
    };
    write!(html, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Designs side by side\">\n\
        <table id=\"designs\" class=\"figures{many}\">\n<caption>{hint}{marks}</caption>\n<thead><tr><th scope=\"col\"><span class=\"hidden\">Figure</span></th>")
        .expect("texts take writes");
    for (at, result) in results.iter().enumerate() {
        let baseline = several && result.design.name == context.scenario.compare.baseline;
        let mark = if baseline { " <small>baseline</small>" } else { "" };
        let label = escape(&result.design.label);
        write!(
            html,
            "<th scope=\"col\" title=\"{}\"><i class=\"key k{at}\"></i>{label}{mark}</th>",
            escape(&hardware(result))
        )
        .expect("texts take writes");
    }
    html.push_str("</tr></thead>\n");
    let mut group = "";
    for figure in FIGURES.iter().filter(|figure| figure.is_shown(results)) {
        if figure.group != group {
            html.push_str(if group.is_empty() { "<tbody>\n" } else { "</tbody>\n<tbody>\n" });
            group = figure.group;
        }
        figure_row(html, figure, results);
    }
    html.push_str("</tbody>\n</table>\n</div>\n");
}

/// `2 x dgx-h100 (112 CPUs, 8 GPUs)`, pool by pool.
fn hardware(result: &DesignResult) -> String {
    let pools = result.design.cluster.pools.iter().map(|pool| {
        let has = &pool.node.capacity;
        let gpus = if has.gpus > 0 { format!(", {} GPUs", has.gpus) } else { String::new() };
        format!("{} x {} ({} CPUs{gpus} each)", pool.count, pool.node.name, has.cpus)
    });
    pools.collect::<Vec<_>>().join(" + ")
}

fn figure_row(html: &mut String, figure: &Figure, results: &[DesignResult]) {
    let name = match results {
        [_] => escape(figure.name),
        _ => format!("<button type=\"button\" class=\"sort\">{}</button>", escape(figure.name)),
    };
    let better = match figure.better {
        Better::Lower => "lower",
        Better::Higher => "higher",
        Better::Neither => "neither",
    };
    let definition = escape(figure.definition);
    write!(html, "<tr data-better=\"{better}\"><th scope=\"row\" title=\"{definition}\">{name}</th>")
        .expect("texts take writes");
    let marks = marks(figure, results);
    for (result, mark) in results.iter().zip(marks) {
        match (figure.shown(result), figure.text(result)) {
            (Some(value), Some(text)) => write!(
                html,
                "<td data-value=\"{value}\" title=\"{} - {definition}\">{}{}{mark}{}</td>",
                escape(&exact(figure.unit, value, result)),
                if figure.verdict(result) == Some(Verdict::NotDistinguishable) { "≈ " } else { "" },
                escape(&text),
                figure.interval(result).map_or_else(String::new, |i| format!(
                    "<small class=\"interval\">{}</small>",
                    escape(&i)
                )),
            ),
            _ => write!(html, "<td title=\"not defined for this design - {definition}\">-{mark}</td>"),
        }
        .expect("texts take writes");
    }
    html.push_str("</tr>\n");
}

/// The value with its unit, unrounded for eyes.
fn exact(unit: Unit, value: f64, result: &DesignResult) -> String {
    let currency = result.cost.as_ref().map_or("", |cost| cost.currency.code());
    match unit {
        Unit::Count => format!("{} in number", count(value.round() as u64)),
        Unit::Seconds => format!("{value:.1} s"),
        Unit::Share => format!("{:.3} % of what is installed", value * 100.0),
        Unit::Ratio => format!("{value:.3} (no unit)"),
        Unit::Money | Unit::Price => format!("{value:.4} {currency}"),
    }
}

/// A mark for each design: equal figures, as they are read, get the same mark; no mark without a
/// difference of [`LEAST_DIFFERENCE`] or without a good end.
fn marks(figure: &Figure, results: &[DesignResult]) -> Vec<&'static str> {
    const NONE: &str = "<span class=\"mark\"></span>";
    const BEST: &str = "<b class=\"mark best\">best</b>";
    const WORST: &str = "<b class=\"mark worst\">worst</b>";
    let values: Vec<Option<f64>> = results.iter().map(|result| figure.shown(result)).collect();
    let texts: Vec<Option<String>> = results.iter().map(|result| figure.text(result)).collect();
    let money = matches!(figure.unit, Unit::Money | Unit::Price);
    let currency = |result: &DesignResult| result.cost.as_ref().map(|cost| cost.currency);
    let mixed = money && results.iter().any(|result| currency(result) != currency(&results[0]));
    let text_of = |wanted: f64| {
        let at = values.iter().position(|value| *value == Some(wanted))?;
        texts[at].as_ref()
    };
    let known = || values.iter().flatten().copied();
    let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let close = high - low < LEAST_DIFFERENCE * high.abs().max(low.abs());
    let (best, worst) = match figure.better {
        Better::Lower => (text_of(low), text_of(high)),
        Better::Higher => (text_of(high), text_of(low)),
        Better::Neither => (None, None),
    };
    let mark = |text: &Option<String>| match text {
        _ if mixed || best == worst || close => NONE,
        Some(text) if Some(text) == best => BEST,
        Some(text) if Some(text) == worst => WORST,
        _ => NONE,
    };
    texts.iter().map(mark).collect()
}

/// Defaults from one source, with every path at which they were taken.
pub(super) struct Assumption<'a> {
    /// Last part of the path and the value taken.
    pub(super) settings: Vec<(&'a str, &'a str)>,
    /// What stands before it.
    pub(super) scopes: Vec<&'a str>,
    /// Where it comes from.
    pub(super) source: &'a str,
    /// How it is known.
    pub(super) confidence: Option<Confidence>,
}

/// All defaults used, those of one place and source together, the least certain first.
pub(super) fn assumed<'a>(context: &Context<'a>) -> Vec<Assumption<'a>> {
    let mut single: Vec<Assumption<'a>> = Vec::new();
    for used in &context.scenario.defaults_used {
        let (scope, name) = used.path.rsplit_once('.').unwrap_or(("", &used.path));
        let setting = (name, used.value.as_str());
        match single.iter_mut().find(|row| row.settings[0] == setting && row.source == used.source) {
            Some(row) => row.scopes.push(scope),
            None => single.push(Assumption {
                settings: vec![setting],
                scopes: vec![scope],
                source: &used.source,
                confidence: used.confidence,
            }),
        }
    }
    let mut rows: Vec<Assumption<'a>> = Vec::new();
    for one in single {
        let same = |row: &&mut Assumption<'a>| {
            row.scopes == one.scopes && row.source == one.source && row.confidence == one.confidence
        };
        match rows.iter_mut().find(same) {
            Some(row) => row.settings.extend(one.settings),
            None => rows.push(one),
        }
    }
    let price = |row: &Assumption<'_>| row.settings.iter().any(|(name, _)| name.contains("price"));
    rows.sort_by_key(|row| match row.confidence {
        Some(Confidence::Estimated | Confidence::Claimed) if price(row) => 0,
        Some(Confidence::Estimated) => 1,
        Some(Confidence::Claimed) => 2,
        Some(Confidence::Vendor) => 3,
        Some(Confidence::Measured) => 4,
        None => 5,
    });
    rows
}

/// Rows of a table of assumptions, `all_scopes` and settings or the first of them.
pub(super) fn assumption_rows(html: &mut String, rows: &[Assumption<'_>], all_scopes: bool) {
    for row in rows {
        let scopes = match row.scopes.len() - 1 {
            n if n > 0 && !all_scopes => format!("{} and {n} more", row.scopes[0]),
            _ => row.scopes.join(", "),
        };
        let (shown, longest) = if all_scopes { (row.settings.len(), usize::MAX) } else { (3, 20) };
        let cut = |value: &str| match value.char_indices().nth(longest) {
            Some((at, _)) => format!("{}...", &value[..at]),
            None => value.to_owned(),
        };
        let setting = |(name, value): &(&str, &str)| format!("{} = {}", escape(name), escape(&cut(value)));
        let mut settings: Vec<String> = row.settings.iter().take(shown).map(setting).collect();
        if row.settings.len() > shown {
            settings.push(format!("{} more", row.settings.len() - shown));
        }
        writeln!(
            html,
            "<tr><th scope=\"row\" title=\"{}\">{}<small>{}</small></th><td>{}</td>\
             <td class=\"source\" title=\"{source}\"><span>{source}</span></td></tr>",
            escape(&row.scopes.join(", ")),
            settings.join(", "),
            escape(&scopes),
            row.confidence.map_or("convention", |confidence| confidence.word()),
            source = escape(row.source),
        )
        .expect("texts take writes");
    }
}

/// Head of a table of assumptions.
pub(super) const ASSUMPTION_HEAD: &str = "<thead><tr><th scope=\"col\">Setting = value</th>\
    <th scope=\"col\">Confidence</th><th scope=\"col\">Source</th></tr></thead>\n<tbody>\n";

fn assumptions(html: &mut String, context: &Context<'_>) {
    let rows = assumed(context);
    html.push_str("<div>\n<h2>Assumptions</h2>\n");
    if rows.is_empty() {
        html.push_str("<p>The scenario writes every setting; no default was used.</p>\n</div>\n");
        return;
    }
    let shown = &rows[..rows.len().min(ASSUMPTIONS)];
    html.push_str("<table class=\"assumptions brief\">\n");
    html.push_str(ASSUMPTION_HEAD);
    assumption_rows(html, shown, false);
    html.push_str("</tbody>\n</table>\n");
    if rows.len() > shown.len() {
        let all: usize = rows.iter().map(|row| row.settings.len() * row.scopes.len()).sum();
        writeln!(
            html,
            "<p class=\"note\">The least certain of <a href=\"#defaults\">{} defaults that were used</a>. \
             A value written in the scenario replaces its default.</p>",
            all
        )
        .expect("texts take writes");
    }
    html.push_str("</div>\n");
}

fn inputs(html: &mut String, context: &Context<'_>) {
    let (workload, spec) = (&context.loaded.workload, &context.scenario.workload);
    html.push_str("<div>\n<h2>Inputs</h2>\n<dl>\n");
    let from = match &spec.source {
        WorkloadSource::Trace { written, .. } => format!("from {}", file_name(written)),
        WorkloadSource::Generate { model, .. } => {
            let model = match **model {
                Model::Lublin(_) => "lublin",
                Model::Research(_) => "research",
            };
            format!("generated by {model}, seed {}", spec.seed)
        }
    };
    described(html, "Jobs", &format!("{} {from}", count(workload.jobs.len() as u64)));
    described(html, "Policy", &context.scenario.policy.words());
    if !spec.scale.is_identity() {
        let [arrivals, run, size] = spec.scale.factors();
        let text = format!("arrivals x {arrivals}, run times x {run}, sizes x {size}");
        described(html, "Scaled", &text);
    }
    if let Some(first) = context.results.first() {
        let horizon = first.outcome.last_instant.saturating_since(first.outcome.first_submit);
        described(html, "Horizon", &format!("{}, the same for all designs", span(horizon.as_s())));
    }
    if context.scenario.compare.warm_up.micros() > 0 {
        let first = span(context.scenario.compare.warm_up.as_s());
        described(html, "Warm-up", &format!("jobs submitted in the first {first} count in no wait"));
    }
    let by_default = context.loaded.classified.by_default();
    if by_default.jobs > 0 {
        let text = format!(
            "{} jobs with {} GPU-hours and {} CPU-hours matched no class rule",
            count(by_default.jobs),
            count(by_default.gpu_hours().round() as u64),
            count(by_default.cpu_hours().round() as u64)
        );
        described(html, "Default class", &text);
    }
    for line in translation::lines(context) {
        described(html, "Speed on other GPUs", &line);
    }
    let unused = context.columns_without_effect();
    if !unused.is_empty() {
        described(html, "Without effect", &format!("trace columns {}", unused.join(", ")));
    }
    repairs(html, context);
    refusals(html, context);
    html.push_str("</dl>\n</div>\n");
}

fn repairs(html: &mut String, context: &Context<'_>) {
    let repairs = &context.loaded.workload.repairs;
    let all = repairs.iter().count();
    if all == 0 {
        described(html, "Trace repairs", "none: no row was refused or changed");
    }
    for (reason, repair) in repairs.iter().take(REPAIRS) {
        described(
            html,
            "Trace repairs",
            &format!("{} rows {}: {reason}", count(repair.rows), repair.kind.name()),
        );
    }
    if all > REPAIRS {
        described(
            html,
            "Trace repairs",
            &format!("and {} more reasons (summary.json has all)", all - REPAIRS),
        );
    }
}

fn refusals(html: &mut String, context: &Context<'_>) {
    let with_any = || context.results.iter().filter(|result| !result.outcome.refused.is_empty());
    if with_any().next().is_none() {
        described(html, "Refused jobs", "none: every design can hold every job");
    }
    for result in with_any() {
        if let Some((job, reason)) = result.outcome.refused.first() {
            let name = context.loaded.workload.job_name(*job);
            let refused = count(result.outcome.refused.len() as u64);
            let label = &result.design.label;
            described(
                html,
                "Refused jobs",
                &format!("{label}: {refused} jobs, for instance {name}: {reason}"),
            );
        }
    }
}

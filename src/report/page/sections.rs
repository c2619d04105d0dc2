//! Everything below the first screen: places for charts, the tables behind them, definitions, and how
//! to get the same bytes again.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::first::{ASSUMPTION_HEAD, assumed, assumption_rows};
use super::markup::{described, escape, file_name};
use super::{bill, decision, ledger, scatter};
use crate::cost::{CostFigures, Part};
use crate::experiment::DesignResult;
use crate::money::Money;
use crate::report::figures::{FIGURES, count, percent};
use crate::report::{Context, Manifest};

/// Sections with charts.
pub(super) fn charts(html: &mut String, context: &Context<'_>) {
    let device = device(context);
    html.push_str(
        "<noscript><p class=\"caveat\">The charts below need JavaScript; the tables do not.</p></noscript>\n",
    );
    chart(
        html,
        "hours",
        &format!("Where the {device}-hours went"),
        &format!(
            "Installed {device}s x horizon, split by what became of each hour. The parts sum to the whole exactly."
        ),
    );
    hours_table(html, context);
    html.push_str("</section>\n");
    chart(
        html,
        "waits",
        "How long jobs waited",
        "Share of the jobs that waited longer than the time below. The logarithmic scale shows the tail: \
         at 1 % it is one job in a hundred.",
    );
    html.push_str("</section>\n");
    chart(
        html,
        "time",
        "Use and queue over time",
        &format!(
            "Allocated {device}s and waiting jobs since the first submission; means with peaks as a pale band. \
         Drag over a chart to zoom in, double-click to zoom out."
        ),
    );
    html.push_str("</section>\n");
    if context.results.iter().any(|result| result.cost.is_some()) {
        chart(html, "cost", "What it costs", "All pools over the common horizon, used or not.");
        cost_table(html, context);
        decision::views(html, context);
        html.push_str("</section>\n");
    }
    scatter::designs(html, context);
    decision::section(html, context);
    chart(
        html,
        "nodes",
        "How full the nodes were",
        &format!(
            "Share of each node's {device}s that was allocated: one row per node (or per group of neighbours), time to the right."
        ),
    );
    html.push_str("</section>\n");
    chart(
        html,
        "groups",
        "Who waited",
        "The same figures for parts of the jobs. A click on a column head sorts.",
    );
    html.push_str("</section>\n");
}

fn device(context: &Context<'_>) -> &'static str {
    if context.results.iter().any(|result| result.summary.gpu_hours.is_some()) { "GPU" } else { "CPU" }
}

fn chart(html: &mut String, id: &str, title: &str, what: &str) {
    write!(
        html,
        "<section id=\"{id}\">\n<h2>{title}</h2>\n<p class=\"what\">{what}</p>\n\
         <div class=\"controls\" data-controls=\"{id}\"></div>\n<div class=\"chart\" data-chart=\"{id}\"></div>\n"
    )
    .expect("texts take writes");
}

fn head_row(html: &mut String, first: &str, results: &[DesignResult]) {
    write!(html, "<thead><tr><th scope=\"col\">{first}</th>").expect("texts take writes");
    for result in results {
        write!(html, "<th scope=\"col\" class=\"number\">{}</th>", escape(&result.design.label))
            .expect("texts take writes");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
}

fn hours_table(html: &mut String, context: &Context<'_>) {
    let hours: Vec<Vec<f64>> = context.results.iter().map(ledger::hours).collect();
    html.push_str("<details><summary>The same as a table</summary>\n<div class=\"scroll\" tabindex=\"0\"><table class=\"plain\">\n");
    head_row(html, &format!("{}-hours", device(context)), context.results);
    let total: Vec<f64> = hours.iter().map(|hours| hours.iter().sum()).collect();
    for (at, category) in ledger::CATEGORIES.iter().enumerate() {
        if hours.iter().any(|hours| hours[at] > 0.0) {
            write!(
                html,
                "<tr><th scope=\"row\" title=\"{0}\">{1}</th>",
                escape(category.definition),
                escape(category.name)
            )
            .expect("texts take writes");
            for (hours, total) in hours.iter().zip(&total) {
                let share = if *total > 0.0 { percent(hours[at] / total) } else { "-".to_owned() };
                write!(
                    html,
                    "<td class=\"number\" title=\"{0:.3} hours: {1}\">{2} <small>{share}</small></td>",
                    hours[at],
                    escape(category.definition),
                    count(hours[at].round() as u64)
                )
                .expect("texts take writes");
            }
            html.push_str("</tr>\n");
        }
    }
    html.push_str("<tr class=\"total\"><th scope=\"row\" title=\"Capacity x horizon.\">Installed</th>");
    for total in total {
        write!(html, "<td class=\"number\" title=\"{total:.3} hours: capacity x horizon\">{} <small>100.0 %</small></td>", count(total.round() as u64))
            .expect("texts take writes");
    }
    html.push_str("</tr>\n</tbody>\n</table></div></details>\n");
}

fn cost_table(html: &mut String, context: &Context<'_>) {
    html.push_str("<div class=\"scroll\" tabindex=\"0\"><table class=\"plain\">\n");
    head_row(html, "Cost over the horizon", context.results);
    let bills: Vec<Option<Vec<f64>>> = context.results.iter().map(bill::by_kind).collect();
    let currency = |at: usize| context.results[at].cost.as_ref().map_or("", |cost| cost.currency.code());
    for (kind, part) in Part::ALL.into_iter().enumerate() {
        let (name, what) = bill::words(part);
        if bills.iter().flatten().any(|bill| bill[kind] > 0.0) {
            write!(html, "<tr><th scope=\"row\" title=\"{}\">{name}</th>", escape(what))
                .expect("texts take writes");
            for (at, bill) in bills.iter().enumerate() {
                let of = |bill: &Vec<f64>| format!("{} {}", count(bill[kind].round() as u64), currency(at));
                let text = bill.as_ref().map(of);
                write!(html, "<td class=\"number\">{}</td>", text.as_deref().unwrap_or("-"))
                    .expect("texts take writes");
            }
            html.push_str("</tr>\n");
        }
    }
    type Pick = fn(&CostFigures) -> Option<Money>;
    let rows: [(&str, Pick, usize); 6] = [
        ("Total", |cost| Some(cost.total), 0),
        ("per month", |cost| cost.per_month, 0),
        ("per installed GPU-hour", |cost| cost.per_gpu_hour, 4),
        ("per allocated GPU-hour", |cost| cost.per_allocated_gpu_hour, 4),
        ("per useful GPU-hour", |cost| cost.per_useful_gpu_hour, 4),
        ("per completed job", |cost| cost.per_job, 4),
    ];
    for (name, pick, decimals) in rows {
        let class = if name == "Total" { " class=\"total\"" } else { "" };
        write!(html, "<tr{class}><th scope=\"row\">{name}</th>").expect("texts take writes");
        for result in context.results {
            let amount = result.cost.as_ref().and_then(pick).map(Money::as_units);
            let code = result.cost.as_ref().map_or("", |cost| cost.currency.code());
            let text = match (amount, decimals) {
                (None, _) => "-".to_owned(),
                (Some(amount), 0) => format!("{} {code}", count(amount.round() as u64)),
                (Some(amount), _) => format!("{amount:.decimals$} {code}"),
            };
            write!(html, "<td class=\"number\">{text}</td>").expect("texts take writes");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
}

/// All defaults with their sources.
pub(super) fn defaults(html: &mut String, context: &Context<'_>) {
    let rows = assumed(context);
    html.push_str("<section id=\"defaults\">\n<h2>Defaults that were used</h2>\n");
    if rows.is_empty() {
        html.push_str("<p>None: the scenario writes every setting.</p>\n</section>\n");
        return;
    }
    html.push_str("<p class=\"what\">What the scenario does not write. Confidence: measured (somebody ran it), vendor (the maker's papers), claimed (a page says so), estimated (reasoned), convention (of Windtunnel).</p>\n<div class=\"scroll\" tabindex=\"0\"><table class=\"assumptions sortable\">\n");
    html.push_str(ASSUMPTION_HEAD);
    assumption_rows(html, &rows, true);
    html.push_str("</tbody>\n</table></div>\n</section>\n");
}

/// What each figure is.
pub(super) fn definitions(html: &mut String, context: &Context<'_>) {
    html.push_str("<section id=\"definitions\">\n<h2>Definitions</h2>\n<dl class=\"wide\">\n");
    for figure in FIGURES.iter().filter(|figure| figure.is_shown(context.results)) {
        described(html, figure.name, figure.definition);
    }
    for category in ledger::CATEGORIES {
        described(html, &format!("Ledger: {}", category.name), category.definition);
    }
    described(
        html,
        "Quantile",
        "Quantile q of n values is the sorted value at min(n - 1, floor(q n)), counted from 0.",
    );
    html.push_str("</dl>\n</section>\n");
}

/// The command, the version and the hashes.
pub(super) fn reproduce(html: &mut String, context: &Context<'_>, manifest: &Manifest) {
    html.push_str(
        "<section id=\"reproduce\">\n<h2>How to get the same again</h2>\n\
        <p class=\"what\">manifest.json beside this page holds the scenario with every default written out. \
        The same version gives the same bytes in every file, on every machine.</p>\n\
        <pre><code>windtunnel run --from manifest.json --out again</code></pre>\n<dl class=\"wide\">\n",
    );
    described(html, "Version", &format!("windtunnel {}", manifest.version));
    described(html, "Seed", &manifest.seed.to_string());
    described(html, "Designs", &manifest.designs.join(", "));
    if let Some(input) = &manifest.input {
        described(html, "Trace", file_name(&input.path));
        described(html, "SHA-256 of the trace", &input.sha256);
    }
    let scenario: String =
        Sha256::digest(manifest.scenario.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    described(html, "SHA-256 of the scenario, as in the manifest", &scenario);
    described(html, "Policy", &context.scenario.policy.words());
    html.push_str("</dl>\n</section>\n");
}

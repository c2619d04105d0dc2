//! `report.html`: the results as one page that opens from disk, offline, for years.
//!
//! The first screen answers (question, sentence, designs side by side, assumptions, inputs) and prints on
//! one page; below it are charts and tables. Tables and words are written here; charts are drawn by the
//! page's own script (`page/*.js`) from one JSON object. Nothing is loaded from anywhere: the page's
//! content policy forbids it.
//!
//! Invariants: the same results give the same bytes; no path, date or wall time; every text of a trace
//! or scenario is escaped; the size is bounded whatever the number of jobs.

mod answer;
mod bill;
mod decision;
mod first;
mod ledger;
pub(super) mod markup;
mod nodes;
pub(super) mod scatter;
mod sections;
mod series;
mod waits;

use std::fmt::Write as _;

use super::{Context, Manifest};
use markup::{escape, script_json};

const STYLE: &str = include_str!("page/style.css");

/// The parts of the script, in order, inside one function.
const SCRIPT: [&str; 10] = [
    include_str!("page/element.js"),
    include_str!("page/draw.js"),
    include_str!("page/waterfall.js"),
    include_str!("page/bars.js"),
    include_str!("page/tornado.js"),
    include_str!("page/curves.js"),
    include_str!("page/timeline.js"),
    include_str!("page/nodes.js"),
    include_str!("page/sort.js"),
    include_str!("page/tables.js"),
];

/// The whole page.
#[must_use]
pub fn page(context: &Context<'_>, manifest: &Manifest) -> String {
    let mut html = String::with_capacity(1 << 18);
    head(&mut html, &title(context));
    html += "<main>\n";
    first::first_screen(&mut html, context);
    sections::charts(&mut html, context);
    sections::defaults(&mut html, context);
    sections::definitions(&mut html, context);
    sections::reproduce(&mut html, context, manifest);
    html += "</main>\n";
    let data = script_json(&series::series(context));
    writeln!(html, "<script type=\"application/json\" id=\"data\">{data}</script>")
        .expect("texts take writes");
    html += "<script>\n(function () {\n'use strict';\n";
    SCRIPT.iter().for_each(|part| html += part);
    html += "})();\n</script>\n</body>\n</html>\n";
    html
}

/// The question, or what is shown where the scenario asks none.
fn title(context: &Context<'_>) -> String {
    let jobs = context.loaded.input.as_ref().map_or("generated jobs", |i| markup::file_name(&i.written));
    match (&context.scenario.title, context.results) {
        (Some(title), _) => title.clone(),
        (None, [_]) => format!("Replay of {jobs}"),
        (None, _) => format!("Designs compared on {jobs}"),
    }
}

/// Makes the tables of class `sortable` so, on a page without charts.
pub(super) fn sortable_tables(html: &mut String) {
    html.push_str("<script>\n(function () {\n'use strict';\n");
    html.push_str(include_str!("page/element.js"));
    html.push_str(include_str!("page/sort.js"));
    html.push_str("})();\n</script>\n");
}

/// Everything before the content.
pub(super) fn head(html: &mut String, title: &str) {
    let title = escape(title);
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=\"generator\" content=\"windtunnel {version}\">\n<title>{title} - Windtunnel</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n",
        version = env!("CARGO_PKG_VERSION"),
    )
    .expect("texts take writes");
}

//! The page of a sweep: heat maps over two axes, cost against wait, and all points as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::page::markup::escape;
use super::super::page::scatter::{Dot, scatter};
use super::super::page::{head, sortable_tables};
use super::{Row, SHOWN, Shown, SweepReport, objectives, plain, short_axes};
use crate::report::figures::{count, span};

/// Most heat maps of one figure.
const MAPS: usize = 12;

/// Most rows in the table of points; `points.csv` has all of them.
const TABLE_ROWS: usize = 2_000;

pub(super) fn page(sweep: &SweepReport<'_>) -> String {
    let title = sweep.scenario.title.clone().unwrap_or_else(|| "Sweep".to_owned());
    let rows = sweep.rows();
    let mut html = String::with_capacity(1 << 16);
    head(&mut html, &title);
    write!(
        html,
        "<main>\n<section>\n<p class=\"brand\">Windtunnel sweep</p>\n<h1>{}</h1>\n<p class=\"lead\">{} points over {}.</p>\n",
        escape(&title),
        count(sweep.results.len() as u64),
        escape(&sweep.spec.axes.join(", ")),
    )
    .expect("texts take writes");
    for (point, why) in sweep.failures() {
        writeln!(html, "<p class=\"caveat\">Point {point} has no result: {}</p>", escape(why))
            .expect("texts take writes");
    }
    html += "</section>\n";
    heat_maps(&mut html, sweep, &rows);
    front(&mut html, sweep, &rows);
    points(&mut html, sweep, &rows);
    reproduce(&mut html, sweep);
    html += "</main>\n";
    sortable_tables(&mut html);
    html += "</body>\n</html>\n";
    html
}

/// The two axes of the maps: those with most values.
fn two_axes(sweep: &SweepReport<'_>) -> Option<(usize, usize)> {
    let values = |at: usize| {
        let mut all: Vec<Option<&str>> =
            sweep.spec.points.iter().map(|point| point.value(&sweep.spec.axes[at])).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    };
    let mut axes: Vec<usize> = (0..sweep.spec.axes.len()).filter(|at| values(*at) > 1).collect();
    axes.sort_by_key(|at| std::cmp::Reverse(values(*at)));
    match axes.as_slice() {
        [x, y, ..] => Some((*x, *y)),
        _ => None,
    }
}

fn heat_maps(html: &mut String, sweep: &SweepReport<'_>, rows: &[Row<'_>]) {
    let Some((x, y)) = two_axes(sweep) else { return };
    html.push_str("<section id=\"maps\">\n<h2>Over two axes</h2>\n");
    let names = short_axes(&sweep.spec.axes);
    let note = "The darker a cell, the larger the figure.";
    writeln!(
        html,
        "<p class=\"what\">Across: {}; down: {}. {note}</p>",
        escape(&sweep.spec.axes[x]),
        escape(&sweep.spec.axes[y])
    )
    .expect("texts take writes");
    let others = |row: &Row<'_>| {
        let rest = (0..names.len()).filter(|at| *at != x && *at != y);
        let mut words: Vec<String> = rest
            .filter_map(|at| {
                Some(format!("{} = {}", names[at], plain(row.settings.value(&sweep.spec.axes[at])?)))
            })
            .collect();
        if sweep.several_designs() {
            words.insert(0, row.design.label.clone());
        }
        words.join(", ")
    };
    let mut groups: Vec<(String, Vec<&Row<'_>>)> = Vec::new();
    for row in rows {
        let name = others(row);
        match groups.iter_mut().find(|(other, _)| *other == name) {
            Some((_, members)) => members.push(row),
            None => groups.push((name, vec![row])),
        }
    }
    html.push_str("<div class=\"maps\">\n");
    for figure in &SHOWN {
        let values: Vec<f64> = rows.iter().filter_map(|row| (figure.value)(row.design)).collect();
        let (least, most) =
            values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
        if values.is_empty() || least >= most {
            continue;
        }
        for (name, members) in groups.iter().take(MAPS) {
            heat_map(html, sweep, (x, y), name, members, figure, (least, most));
        }
    }
    html.push_str("</div>\n");
    if groups.len() > MAPS {
        writeln!(
            html,
            "<p class=\"note\">{} of {} combinations of the other axes are shown.</p>",
            MAPS,
            groups.len()
        )
        .expect("texts take writes");
    }
    html.push_str("</section>\n");
}

fn heat_map(
    html: &mut String,
    sweep: &SweepReport<'_>,
    (x, y): (usize, usize),
    name: &str,
    members: &[&Row<'_>],
    figure: &Shown,
    (least, most): (f64, f64),
) {
    let (across, down) = (&sweep.spec.axes[x], &sweep.spec.axes[y]);
    let order = |axis: &str| {
        let mut values: Vec<&str> = Vec::new();
        for value in sweep.spec.points.iter().filter_map(|point| point.value(axis)) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values
    };
    let (columns, lines) = (order(across), order(down));
    let cells: BTreeMap<(&str, &str), &Row<'_>> = members
        .iter()
        .filter_map(|row| Some(((row.settings.value(across)?, row.settings.value(down)?), *row)))
        .collect();
    write!(
        html,
        "<table class=\"plain map\"><caption><b>{}</b> {}</caption>\n<thead><tr><th scope=\"col\"></th>",
        escape(figure.name),
        escape(name)
    )
    .expect("texts take writes");
    for column in &columns {
        write!(html, "<th scope=\"col\" class=\"number\">{}</th>", escape(&plain(column)))
            .expect("texts take writes");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for line in &lines {
        write!(html, "<tr><th scope=\"row\">{}</th>", escape(&plain(line))).expect("texts take writes");
        for column in &columns {
            let value = cells.get(&(*column, *line)).and_then(|row| (figure.value)(row.design));
            match value {
                // At most half as dark as the ink, so that it can be read on either ground.
                Some(value) => write!(
                    html,
                    "<td class=\"number\" style=\"background:rgba(var(--heat),{:.2})\">{}</td>",
                    (value - least) / (most - least) * 0.45,
                    escape(&(figure.text)(value))
                ),
                None => write!(html, "<td class=\"number\">-</td>"),
            }
            .expect("texts take writes");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table>\n");
}

/// Cost against the 95th percentile of waits, a dot for each design at each point.
fn front(html: &mut String, sweep: &SweepReport<'_>, rows: &[Row<'_>]) {
    let dots: Vec<(&Row<'_>, (f64, f64))> =
        rows.iter().filter_map(|row| Some((row, objectives(row.design)?))).collect();
    if dots.len() < 2 {
        return;
    }
    html.push_str(
        "<section id=\"front\">\n<h2>What it costs, and how long the slowest wait</h2>\n<p class=\"what\">Across: cost; up: 95th percentile of waits. Full dots: no other point with \
         the same jobs is cheaper and has a shorter 95th percentile of waits.</p>\n",
    );
    let currency = rows.iter().find_map(|row| Some(row.design.cost.as_ref()?.currency.code())).unwrap_or("");
    let names: Vec<&str> = sweep.scenario.designs.iter().map(|design| design.name.as_str()).collect();
    let dots: Vec<Dot> = dots
        .into_iter()
        .map(|(row, at)| Dot {
            at,
            bounds: [None, None],
            colour: names.iter().position(|name| *name == row.design.name).unwrap_or(0),
            front: row.front,
            words: format!(
                "point {}: {}; {} {currency}, {}",
                row.number,
                words(sweep, row),
                count(at.0.round() as u64),
                span(at.1)
            ),
        })
        .collect();
    scatter(html, &dots, currency);
    if names.len() > 1 {
        html.push_str("<ul class=\"legend\">");
        for (at, design) in sweep.scenario.designs.iter().enumerate() {
            write!(html, "<li><i class=\"key k{}\"></i>{}</li>", at % 8, escape(&design.label))
                .expect("texts take writes");
        }
        html.push_str("</ul>\n");
    }
    html.push_str("</section>\n");
}

/// The settings of a point and its design in words.
fn words(sweep: &SweepReport<'_>, row: &Row<'_>) -> String {
    let names = short_axes(&sweep.spec.axes);
    let mut words: Vec<String> = sweep
        .spec
        .axes
        .iter()
        .zip(&names)
        .filter_map(|(axis, name)| Some(format!("{name} {}", plain(row.settings.value(axis)?))))
        .collect();
    if sweep.several_designs() {
        words.push(row.design.label.clone());
    }
    words.join(", ")
}

fn points(html: &mut String, sweep: &SweepReport<'_>, rows: &[Row<'_>]) {
    html.push_str("<section id=\"points\">\n<h2>All points</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"All points\">\n<table class=\"sortable\">\n<thead><tr><th scope=\"col\" class=\"number\">Point</th>");
    let names = short_axes(&sweep.spec.axes);
    for (axis, name) in sweep.spec.axes.iter().zip(&names) {
        write!(html, "<th scope=\"col\" class=\"number\" title=\"{}\">{}</th>", escape(axis), escape(name))
            .expect("texts take writes");
    }
    html.push_str("<th scope=\"col\">Design</th>");
    for figure in &SHOWN {
        write!(html, "<th scope=\"col\" class=\"number\">{}</th>", escape(figure.name))
            .expect("texts take writes");
    }
    html.push_str("<th scope=\"col\">Front</th></tr></thead>\n<tbody>\n");
    for row in rows.iter().take(TABLE_ROWS) {
        write!(html, "<tr><td class=\"number\" data-value=\"{0}\">{0}</td>", row.number)
            .expect("texts take writes");
        for axis in &sweep.spec.axes {
            let value = row.settings.value(axis).map_or_else(String::new, plain);
            let number = value.parse::<f64>().map_or(String::new(), |n| format!(" data-value=\"{n}\""));
            write!(html, "<td class=\"number\"{number}>{}</td>", escape(&value)).expect("texts take writes");
        }
        write!(html, "<td>{}</td>", escape(&row.design.label)).expect("texts take writes");
        for figure in &SHOWN {
            match (figure.value)(row.design) {
                Some(value) => write!(
                    html,
                    "<td class=\"number\" data-value=\"{value}\">{}</td>",
                    escape(&(figure.text)(value))
                ),
                None => write!(html, "<td class=\"number\" data-value=\"\">-</td>"),
            }
            .expect("texts take writes");
        }
        writeln!(html, "<td>{}</td></tr>", if row.front { "yes" } else { "" }).expect("texts take writes");
    }
    html.push_str("</tbody></table></div>\n");
    if rows.len() > TABLE_ROWS {
        writeln!(
            html,
            "<p class=\"note\">The first {TABLE_ROWS} of {} rows; points.csv has all.</p>",
            rows.len()
        )
        .expect("texts take writes");
    }
    html.push_str("</section>\n");
}

fn reproduce(html: &mut String, sweep: &SweepReport<'_>) {
    html.push_str("<section id=\"again\">\n<h2>Again</h2>\n");
    let trace = sweep.trace_sha256.map_or_else(String::new, |hash| format!(", trace SHA-256 {hash}"));
    write!(
        html,
        "<p>windtunnel {}{}; the scenario with every default written out, its [sweep] included:</p>\n<details><summary>Scenario</summary><pre>{}</pre></details>\n</section>\n",
        env!("CARGO_PKG_VERSION"),
        escape(&trace),
        escape(&sweep.scenario.resolved_toml)
    )
    .expect("texts take writes");
}

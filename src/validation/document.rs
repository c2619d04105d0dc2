//! The sections as text: a table for the terminal, JSON, VALIDATION.md.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::slurm::SlurmValidation;
use super::{Row, Section};

/// A number with a fixed number of decimals, `-` where it is undefined.
fn number(value: f64, decimals: usize) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.decimals$}") }
}

fn cells(row: &Row) -> [String; 6] {
    [
        row.what.clone(),
        number(row.published, row.decimals),
        number(row.ours, row.decimals),
        row.difference_words(),
        row.tolerance_words(),
        if row.within() { "yes" } else { "NO" }.to_owned(),
    ]
}

const HEADS: [&str; 6] = ["figure", "published", "ours", "difference", "tolerance", "within"];

/// How a section went, in a line.
#[must_use]
pub fn verdict(section: &Section) -> String {
    let outside = section.outside().count();
    let mut line =
        format!("{} of {} figures within tolerance", section.rows.len() - outside, section.rows.len());
    if !section.absent.is_empty() {
        let _ = write!(line, "; {} file(s) not there, their figures were not computed", section.absent.len());
    }
    line
}

/// The section as a table for the terminal.
#[must_use]
pub fn text(section: &Section) -> String {
    let rows: Vec<[String; 6]> = section.rows.iter().map(cells).collect();
    let width = |column: usize| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.chain([HEADS[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    let mut text = format!("{}\n", section.title);
    for row in std::iter::once(&HEADS.map(str::to_owned)).chain(&rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ =
                if column == 0 { write!(line, "{cell:width$}") } else { write!(line, "  {cell:>width$}") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for note in &section.notes {
        let _ = writeln!(text, "{note}");
    }
    for path in &section.absent {
        let _ = writeln!(text, "not there: {}", path.display());
    }
    let _ = writeln!(text, "{}", verdict(section));
    text
}

/// The section as JSON.
#[must_use]
pub fn json(section: &Section) -> Value {
    let row = |row: &Row| {
        json!({
            "figure": row.what,
            "published": finite(row.published),
            "ours": finite(row.ours),
            "difference": finite(row.difference()),
            "tolerance": row.tolerance_words(),
            "within": row.within(),
        })
    };
    json!({
        "title": section.title,
        "rows": section.rows.iter().map(row).collect::<Vec<_>>(),
        "within": section.rows.len() - section.outside().count(),
        "outside": section.outside().count(),
        "notes": section.notes,
        "absent": section.absent.len(),
    })
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// VALIDATION.md; the experiments on Slurm have a table of their own.
#[must_use]
pub fn markdown(sections: &[Section], slurm: Option<&SlurmValidation>) -> String {
    let mut page = String::from(
        "# Validation\n\n\
         Published results beside what this version computes. `windtunnel validate --write` writes this page; \
         `windtunnel validate --check` fails if a figure is outside its tolerance. The data is that of others \
         and not part of this project; see the sources.\n\n\
         | part | figures | within tolerance |\n|---|---:|---:|\n",
    );
    for section in sections {
        let within = section.rows.len() - section.outside().count();
        let _ = writeln!(page, "| [{0}](#{0}) | {1} | {within} |", section.name, section.rows.len());
    }
    if let Some(found) = slurm {
        let checks: Vec<bool> = found.experiments.iter().flat_map(|e| &e.checks).map(|c| c.passed).collect();
        let within = checks.iter().filter(|passed| **passed).count();
        let _ = writeln!(page, "| [slurm](#slurm) | {} | {within} |", checks.len());
    }
    for section in sections {
        let _ = write!(page, "\n## {}\n\n**{}.** {}\n\n", section.name, section.title, section.about);
        let _ = writeln!(page, "| {} |\n|---|---:|---:|---:|---:|---|", HEADS.join(" | "));
        for row in &section.rows {
            let _ = writeln!(page, "| {} |", cells(row).join(" | "));
        }
        for note in &section.notes {
            let _ = writeln!(page, "\n{note}");
        }
        let _ = writeln!(page, "\n{}.", verdict(section));
    }
    page.extend(slurm.map(super::slurm::markdown));
    page
}

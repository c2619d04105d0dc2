//! What became of every option of a Slurm site: text, CSV, JSON.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::scenario::slurm_conf::{Coverage, Covered};

/// The treatments, what matters most first.
const WORDS: [&str; 4] = ["not yet", "approximated", "ignored", "honoured"];

/// What stands above each.
const HEADS: [(&str, &str); 4] = [
    ("not yet", "NOT YET: not modelled, and it may matter"),
    ("approximated", "APPROXIMATED: differently from Slurm"),
    ("ignored", "IGNORED: changes nothing here"),
    ("honoured", "HONOURED: as Slurm does it"),
];

/// Width of the text.
const COLUMNS: usize = 100;

/// How an option is named: words of `SchedulerParameters` by themselves.
fn name(row: &Covered) -> &str {
    row.option.strip_prefix("SchedulerParameters:").unwrap_or(&row.option)
}

/// `bf_interval=10`, `bf_continue`; long values are cut.
fn setting(row: &Covered) -> String {
    const LONGEST: usize = 30;
    let value: String = if row.value.chars().count() > LONGEST {
        row.value.chars().take(LONGEST - 1).chain(['…']).collect()
    } else {
        row.value.clone()
    };
    if value.is_empty() { name(row).to_owned() } else { format!("{}={value}", name(row)) }
}

/// `slurm.conf:43`.
fn place(row: &Covered) -> String {
    let file = std::path::Path::new(&*row.file).file_name();
    format!(
        "{}:{}",
        file.map_or_else(|| row.file.to_string(), |f| f.to_string_lossy().into_owned()),
        row.line
    )
}

/// Options whose treatment has the same note, in the order of the files.
fn by_note<'c>(coverage: &'c Coverage, word: &'static str) -> Vec<(&'static str, Vec<&'c Covered>)> {
    let mut groups: Vec<(&'static str, Vec<&Covered>)> = Vec::new();
    for row in coverage.of(word) {
        match groups.iter_mut().find(|(note, _)| *note == row.treatment.note()) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((row.treatment.note(), vec![row])),
        }
    }
    groups
}

/// The rows with each option once: (row, how often it is written).
fn once<'c>(rows: &[&'c Covered]) -> Vec<(&'c Covered, usize)> {
    let mut known: Vec<(&Covered, usize)> = Vec::new();
    for row in rows {
        match known.iter_mut().find(|(first, _)| first.option.eq_ignore_ascii_case(&row.option)) {
            Some((_, times)) => *times += 1,
            None => known.push((row, 1)),
        }
    }
    known
}

/// Words at most [`COLUMNS`] wide, indented.
fn wrapped(words: impl Iterator<Item = String>, indent: &str) -> String {
    let mut text = String::new();
    let mut width = usize::MAX;
    for word in words {
        let more = word.chars().count() + 1;
        if width.saturating_add(more) > COLUMNS {
            text += if text.is_empty() { "" } else { "\n" };
            text += indent;
            width = indent.len();
        }
        text += &word;
        text.push(' ');
        width += more;
    }
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// How many options are treated how, in words.
fn coverage_counts(coverage: &Coverage) -> String {
    let counts = WORDS.iter().rev().map(|word| format!("{} {word}", coverage.of(word).count()));
    format!("{} options: {}.", coverage.rows.len(), counts.collect::<Vec<_>>().join(", "))
}

/// The report for people: what may matter first, each option once.
#[must_use]
pub fn coverage_text(coverage: &Coverage) -> String {
    let mut text = coverage_counts(coverage) + "\n";
    for word in WORDS {
        let groups = by_note(coverage, word);
        if groups.is_empty() {
            continue;
        }
        text += &format!("\n{}\n", HEADS.iter().find(|(w, _)| *w == word).map_or(word, |(_, head)| head));
        let in_full = ["not yet", "approximated"].contains(&word);
        for (note, rows) in groups {
            if !note.is_empty() {
                text += &wrapped(note.split(' ').map(str::to_owned), "  ");
            }
            let words = once(&rows).into_iter().map(|(row, times)| {
                let more = if times > 1 { format!(" and {} more", times - 1) } else { String::new() };
                if in_full {
                    format!("{} ({}{more})", setting(row), place(row))
                } else {
                    name(row).to_owned()
                }
            });
            let words: Vec<String> = words.collect();
            let last = words.len() - 1;
            let listed = words.into_iter().enumerate().map(|(at, w)| if at < last { w + "," } else { w });
            text += &wrapped(listed, if note.is_empty() { "  " } else { "      " });
        }
    }
    text
}

/// Every option with its place, one a row.
///
/// # Errors
/// Those of `out`.
pub fn coverage_csv(coverage: &Coverage, out: &mut dyn Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(["treatment", "option", "value", "file", "line", "note"])?;
    for row in &coverage.rows {
        let line = row.line.to_string();
        let (word, note) = (row.treatment.word(), row.treatment.note());
        csv.write_record([word, &row.option, &row.value, &row.file, &line, note])?;
    }
    csv.flush()
}

/// The same as JSON: `counts` and `options`.
#[must_use]
pub fn coverage_json(coverage: &Coverage) -> Value {
    let counts: serde_json::Map<String, Value> =
        WORDS.iter().map(|word| (word.replace(' ', "_"), json!(coverage.of(word).count()))).collect();
    let options: Vec<Value> = coverage
        .rows
        .iter()
        .map(|row| {
            json!({
                "option": row.option,
                "value": row.value,
                "file": &*row.file,
                "line": row.line,
                "treatment": row.treatment.word(),
                "note": row.treatment.note(),
            })
        })
        .collect();
    json!({ "counts": counts, "options": options })
}

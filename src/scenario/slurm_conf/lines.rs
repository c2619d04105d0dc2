//! Logical lines of Slurm's configuration files: comments, continuation lines, `Include`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// One `Key=Value` with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub key: String,
    pub value: String,
    pub file: Arc<str>,
    pub line: u64,
    /// Column of the key in bytes, from 1.
    pub column: u64,
}

impl Pair {
    /// The place of the value.
    pub(super) fn place(&self) -> Place {
        Place::Line {
            file: Arc::clone(&self.file),
            line: self.line,
            column: self.column,
            text: format!("{}={}", self.key, self.value),
        }
    }

    /// The place of `part` inside the value.
    pub(super) fn place_of(&self, part: &str) -> Place {
        let before = self.value.find(part).map_or(0, |at| self.key.len() + 1 + at);
        Place::Line {
            file: Arc::clone(&self.file),
            line: self.line,
            column: self.column + before as u64,
            text: format!("{}={}", self.key, self.value),
        }
    }

    /// Whether the key is `name`, in any case.
    pub(super) fn is(&self, name: &str) -> bool {
        self.key.eq_ignore_ascii_case(name)
    }
}

/// One logical line: its pairs in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub pairs: Vec<Pair>,
}

impl Line {
    /// The value of a key, if the line has it.
    pub(super) fn get(&self, key: &str) -> Option<&Pair> {
        self.pairs.iter().find(|p| p.is(key))
    }
}

/// How deep `Include` may nest.
const INCLUDE_DEPTH: u32 = 10;

/// All logical lines of a file and of what it includes, in order.
pub(super) fn read(path: &Path, diagnostics: &mut Diagnostics) -> Result<Vec<Line>, Box<Diagnostic>> {
    let mut lines = Vec::new();
    read_into(path, INCLUDE_DEPTH, &mut lines, diagnostics)?;
    Ok(lines)
}

fn read_into(
    path: &Path,
    depth: u32,
    lines: &mut Vec<Line>,
    diagnostics: &mut Diagnostics,
) -> Result<(), Box<Diagnostic>> {
    let name: Arc<str> = path.display().to_string().into();
    let text = std::fs::read_to_string(path).map_err(|why| {
        Box::new(
            Diagnostic::error("W0502", format!("cannot read {name}: {why}"))
                .at(Place::File(Arc::clone(&name))),
        )
    })?;
    for (number, logical) in logical_lines(&text) {
        let mut words = logical.split_whitespace();
        if words.next().is_some_and(|w| w.eq_ignore_ascii_case("include")) {
            include(path, words.next().unwrap_or(""), (&name, number), depth, lines, diagnostics);
            continue;
        }
        let pairs = pairs_of(&logical, &name, number, diagnostics);
        if !pairs.is_empty() {
            lines.push(Line { pairs });
        }
    }
    Ok(())
}

fn include(
    from: &Path,
    target: &str,
    (file, line): (&Arc<str>, u64),
    depth: u32,
    lines: &mut Vec<Line>,
    diagnostics: &mut Diagnostics,
) {
    let beside = from.parent().unwrap_or(Path::new("")).join(target);
    let place = Place::Line { file: Arc::clone(file), line, column: 1, text: format!("Include {target}") };
    if depth == 0 || target.is_empty() {
        let message = if target.is_empty() { "Include without a file" } else { "Include nests too deeply" };
        diagnostics.push(Diagnostic::error("W0503", message).at(place));
        return;
    }
    let path: PathBuf = if beside.exists() { beside } else { PathBuf::from(target) };
    if let Err(problem) = read_into(&path, depth - 1, lines, diagnostics) {
        diagnostics.push(problem.at(place));
    }
}

/// Comment-free lines with continuations joined, each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(u64, String)> {
    let mut out: Vec<(u64, String)> = Vec::new();
    let mut open = false;
    for (at, raw) in text.lines().enumerate() {
        let line = strip_comment(raw).trim_end();
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match out.last_mut() {
            Some((_, joined)) if open => {
                joined.push(' ');
                joined.push_str(part);
            }
            _ => out.push((at as u64 + 1, part.to_owned())),
        }
        open = more;
    }
    out.retain(|(_, line)| !line.trim().is_empty());
    out
}

/// Everything before an unescaped `#`.
fn strip_comment(line: &str) -> &str {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if c == '#' && !escaped {
            return &line[..at];
        }
        escaped = c == '\\' && !escaped;
    }
    line
}

/// `Key=Value` and `Key="value with blanks"`; anything else is reported.
fn pairs_of(line: &str, file: &Arc<str>, number: u64, diagnostics: &mut Diagnostics) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return pairs;
        }
        let column = (line.len() - rest.len()) as u64 + 1;
        let end = word_end(rest);
        let word = &rest[..end];
        rest = &rest[end..];
        match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => pairs.push(Pair {
                key: key.trim_end_matches(['+', '-']).to_owned(),
                value: value.replace('"', ""),
                file: Arc::clone(file),
                line: number,
                column,
            }),
            _ => diagnostics.push(
                Diagnostic::error("W0504", format!("`{word}` is not Key=Value"))
                    .at(Place::Line { file: Arc::clone(file), line: number, column, text: word.to_owned() })
                    .help("Slurm's files hold Key=Value words, separated by blanks"),
            ),
        }
    }
}

/// End of the first word; blanks inside double quotes belong to it.
fn word_end(text: &str) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        if c == '"' {
            quoted = !quoted;
        } else if c.is_whitespace() && !quoted {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuation_comments_and_quotes() {
        let text = "A=1 # note\nNodeName=n1 \\\n  CPUs=4\nB=\"x y\" C=a\\#b\n\n# only\n";
        let mut diagnostics = Diagnostics::default();
        let file: Arc<str> = "f".into();
        let lines: Vec<(u64, Vec<Pair>)> = logical_lines(text)
            .into_iter()
            .map(|(n, l)| (n, pairs_of(&l, &file, n, &mut diagnostics)))
            .collect();
        assert!(diagnostics.is_empty());
        assert_eq!(lines.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(lines[1].1[1].value, "4");
        assert_eq!(lines[2].1[0].value, "x y");
        assert_eq!(lines[2].1[1].value, "a\\#b");
    }

    #[test]
    fn a_word_without_an_equals_sign_is_told() {
        let mut diagnostics = Diagnostics::default();
        pairs_of("A=1 oops", &"f".into(), 7, &mut diagnostics);
        assert!(matches!(diagnostics.kept()[0].place, Place::Line { line: 7, column: 5, .. }));
    }
}

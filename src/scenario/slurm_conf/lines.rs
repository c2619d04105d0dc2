//! Logical lines of Slurm's configuration files: comments, continuation lines, `Include`.
//!
//! The rules are those of Slurm's own parser (src/common/parse_config.c): a pair is `Key = value` with any
//! blanks around the sign, a value ends at a blank unless it stands in double quotes, a backslash at the end
//! of a line joins the next one without a blank between, and keys are the same in any case.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{dump, sinfo};
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
    /// The value of a key, if the line has it; the last one counts, as for slurmctld.
    pub(super) fn get(&self, key: &str) -> Option<&Pair> {
        self.pairs.iter().rfind(|p| p.is(key))
    }
}

/// How deep `Include` may nest.
const INCLUDE_DEPTH: u32 = 10;

/// All logical lines of a file and of what it includes, in order. What `scontrol show` prints is read too.
pub(super) fn read(path: &Path, diagnostics: &mut Diagnostics) -> Result<Vec<Line>, Box<Diagnostic>> {
    let mut reader = Reader { lines: Vec::new(), cluster: None, diagnostics };
    reader.file(path, INCLUDE_DEPTH)?;
    Ok(reader.lines)
}

struct Reader<'d> {
    lines: Vec<Line>,
    /// `ClusterName` in lower case, once it was read: what `%c` of an Include stands for.
    cluster: Option<String>,
    diagnostics: &'d mut Diagnostics,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, depth: u32) -> Result<(), Box<Diagnostic>> {
        let name: Arc<str> = path.display().to_string().into();
        let bytes = std::fs::read(path).map_err(|why| {
            Box::new(
                Diagnostic::error("W0502", format!("cannot read {name}: {why}"))
                    .at(Place::File(Arc::clone(&name))),
            )
        })?;
        // Slurm reads bytes; remarks in another encoding must not stop the import.
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        if sinfo::is_one(text) {
            self.lines.extend(sinfo::lines(text, &name, self.diagnostics));
            return Ok(());
        }
        if dump::is_one(text) {
            self.lines.extend(dump::lines(text, &name, self.diagnostics));
            return Ok(());
        }
        for logical in logical_lines(text) {
            let line = logical.text.as_str();
            let mut words = line.split_whitespace();
            if words.next().is_some_and(|w| w.eq_ignore_ascii_case("include")) {
                let (number, _) = logical.place(0);
                self.include(path, words.next().unwrap_or(""), (&name, number), depth);
                continue;
            }
            let pairs = pairs_of(&logical, &name, self.diagnostics);
            if let Some(first) = pairs.first() {
                if first.is("ClusterName") {
                    self.cluster = Some(first.value.to_lowercase());
                }
                self.lines.extend(apart(pairs));
            }
        }
        Ok(())
    }

    fn include(&mut self, from: &Path, target: &str, (file, line): (&Arc<str>, u64), depth: u32) {
        let place =
            Place::Line { file: Arc::clone(file), line, column: 1, text: format!("Include {target}") };
        let mut refuse = |message: String, help: &str| {
            self.diagnostics.push(Diagnostic::error("W0503", message).at(place.clone()).help(help));
        };
        if target.is_empty() {
            return refuse("Include without a file".to_owned(), "name a file, or leave the line out");
        }
        if depth == 0 {
            return refuse("Include nests too deeply".to_owned(), "a file must not include itself");
        }
        let wanted = match (&self.cluster, target.contains("%c")) {
            (None, true) => {
                let help = "write ClusterName above this line, as slurmctld needs it too";
                return refuse("`%c` stands for ClusterName, which is not known here".to_owned(), help);
            }
            (Some(cluster), true) => target.replace("%c", cluster),
            (_, false) => target.to_owned(),
        };
        if wanted.contains('*') {
            let message = format!("Include {wanted}: slurmctld takes no patterns and passes it over");
            let told = Diagnostic::warning("W0503", message).at(place);
            return self.diagnostics.push(told.help("name each file in an Include of its own"));
        }
        let Some(path) = find_include(from, &wanted) else {
            let help = "copy it beside the file that includes it, or leave the line out";
            return refuse(format!("the included file {wanted} is not there"), help);
        };
        if let Err(problem) = self.file(&path, depth - 1) {
            self.diagnostics.push(problem.at(place));
        }
    }
}

/// Where an included file lies: as written, seen from the file that includes it, or, because a site's files
/// are copied to another machine, the longest end of its path beside that file.
fn find_include(from: &Path, wanted: &str) -> Option<PathBuf> {
    let beside = from.parent().unwrap_or(Path::new(""));
    let as_written = beside.join(wanted);
    if as_written.is_file() {
        return Some(as_written);
    }
    let parts: Vec<&str> = wanted.split('/').filter(|part| !part.is_empty()).collect();
    (0..parts.len()).map(|at| beside.join(parts[at..].join("/"))).find(|path| path.is_file())
}

/// A line without comment, its continuations joined.
struct Logical {
    text: String,
    /// Where in `text` which line of the file begins.
    parts: Vec<(usize, u64)>,
}

impl Logical {
    /// Line and column (from 1) of a byte of the text.
    fn place(&self, at: usize) -> (u64, u64) {
        let part = self.parts.iter().rfind(|(from, _)| *from <= at);
        part.map_or((0, 1), |(from, line)| (*line, (at - from) as u64 + 1))
    }
}

/// Comment-free lines with continuations joined as slurmctld joins them: nothing comes between.
fn logical_lines(text: &str) -> Vec<Logical> {
    let mut out: Vec<Logical> = Vec::new();
    let mut open = false;
    for (at, raw) in text.lines().enumerate() {
        let line = strip_comment(raw);
        let (part, more) = strip_continuation(line);
        if !open {
            out.push(Logical { text: String::new(), parts: Vec::new() });
        }
        if let Some(last) = out.last_mut() {
            last.parts.push((last.text.len(), at as u64 + 1));
            push_unescaped(&mut last.text, part);
        }
        open = more;
    }
    out.retain(|line| !line.text.trim().is_empty());
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

/// What stands before a backslash at the end, and whether there is one: an even number are characters.
fn strip_continuation(line: &str) -> (&str, bool) {
    let trimmed = line.trim_end();
    let backslashes = trimmed.len() - trimmed.trim_end_matches('\\').len();
    if backslashes % 2 == 1 { (&trimmed[..trimmed.len() - 1], true) } else { (line, false) }
}

/// `\#` is `#` and `\\` is one backslash.
fn push_unescaped(out: &mut String, part: &str) {
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
}

/// All pairs of a line; what is none is reported, word by word.
fn pairs_of(line: &Logical, file: &Arc<str>, diagnostics: &mut Diagnostics) -> Vec<Pair> {
    let text = line.text.as_str();
    let mut pairs = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if at == text.len() {
            return pairs;
        }
        let (number, column) = line.place(at);
        let rest = &text[at..];
        let Some(found) = first_pair(rest) else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let word = &rest[..end];
            let place = Place::Line { file: Arc::clone(file), line: number, column, text: word.to_owned() };
            diagnostics.push(
                Diagnostic::error("W0504", format!("`{word}` is not Key=Value")).at(place).help(
                    "write Key=Value, put a value with blanks in double quotes, or begin a remark with #",
                ),
            );
            at += end;
            continue;
        };
        let pair = Pair {
            key: found.key.to_owned(),
            value: found.value.to_owned(),
            file: Arc::clone(file),
            line: number,
            column,
        };
        if found.value.is_empty() && !found.is_quoted {
            let message = format!("{} has no value", found.key);
            let told = Diagnostic::warning("W0504", message).at(pair.place());
            diagnostics.push(told.help("slurmctld refuses that; here it says nothing: leave it out"));
        } else {
            pairs.push(pair);
        }
        at += found.end;
    }
}

/// Options that take all that follows on their line.
const TAKE_THE_LINE: [&str; 5] = ["NodeName", "PartitionName", "NodeSet", "DownNodes", "FrontendName"];

/// The pairs of a line, and as a line of its own what belongs to a node, a partition or a set behind them.
fn apart(mut pairs: Vec<Pair>) -> Vec<Line> {
    let takes = |pair: &Pair| TAKE_THE_LINE.iter().any(|key| pair.is(key));
    // lines of gres.conf and topology.conf name nodes too
    let of_other_files = ["Name", "SwitchName", "BlockName"].iter().any(|key| pairs[0].is(key));
    let at = pairs.iter().position(takes).filter(|at| *at > 0 && !of_other_files);
    let rest = at.map(|at| Line { pairs: pairs.split_off(at) });
    [Line { pairs }].into_iter().chain(rest).collect()
}

struct Found<'t> {
    key: &'t str,
    value: &'t str,
    /// A value in quotes may be empty.
    is_quoted: bool,
    /// Where the pair ends.
    end: usize,
}

/// The pair at the beginning of a text, by the expression of Slurm's parser.
fn first_pair(text: &str) -> Option<Found<'_>> {
    let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let key_end = text.find(|c| !is_key(c)).unwrap_or(text.len());
    let key = Some(&text[..key_end]).filter(|key| !key.is_empty())?;
    let after = text[key_end..].trim_start();
    let after = after.strip_prefix(['-', '*', '+', '/']).unwrap_or(after).strip_prefix('=')?;
    let value = after.trim_start();
    let from = text.len() - value.len();
    if let Some(quoted) = value.strip_prefix('"')
        && let Some(end) = quoted.find('"')
        && quoted[end + 1..].chars().next().is_none_or(char::is_whitespace)
    {
        return Some(Found { key, value: &quoted[..end], is_quoted: true, end: from + end + 2 });
    }
    let end = value.find(char::is_whitespace).unwrap_or(value.len());
    Some(Found { key, value: &value[..end], is_quoted: false, end: from + end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> (Vec<(u64, u64, String, String)>, Diagnostics) {
        let mut told = Diagnostics::default();
        let file: Arc<str> = "f".into();
        let lines = logical_lines(text);
        let pairs = lines.iter().flat_map(|line| pairs_of(line, &file, &mut told)).collect::<Vec<_>>();
        (pairs.into_iter().map(|p| (p.line, p.column, p.key, p.value)).collect(), told)
    }

    #[test]
    fn continuation_comments_and_quotes() {
        let (pairs, told) =
            pairs("A=1 # note\nNodeName=n1 \\\n  CPUs=4\nB=\"x y\" C=a\\#b\n\n# only\nN=n1,\\ \nn2\n");
        assert!(told.is_empty());
        let values: Vec<&str> = pairs.iter().map(|(.., value)| value.as_str()).collect();
        assert_eq!(values, ["1", "n1", "4", "x y", "a#b", "n1,n2"]);
        let places: Vec<(u64, u64)> = pairs.iter().map(|(line, column, ..)| (*line, *column)).collect();
        assert_eq!(places, [(1, 1), (2, 1), (3, 3), (4, 1), (4, 9), (7, 1)]);
    }

    #[test]
    fn blanks_around_the_sign() {
        let text = "PriorityMaxAge = 28-0\nMailProg= /bin/true\nJobCompLoc =/x CPUs\t=\t4 Key+=v\n";
        let (pairs, told) = pairs(text);
        assert!(told.is_empty());
        let got: Vec<(&str, &str)> = pairs.iter().map(|(.., k, v)| (k.as_str(), v.as_str())).collect();
        let want = [
            ("PriorityMaxAge", "28-0"),
            ("MailProg", "/bin/true"),
            ("JobCompLoc", "/x"),
            ("CPUs", "4"),
            ("Key", "v"),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn a_word_without_an_equals_sign_is_told() {
        let (_, told) = pairs("\n\nA=1 oops\nB=\n");
        assert!(matches!(told.kept()[0].place, Place::Line { line: 3, column: 5, .. }));
        assert!(matches!(told.kept()[1].place, Place::Line { line: 4, column: 1, .. }));
        assert_eq!(told.errors(), 1);
    }

    #[test]
    fn included_files_are_found_beside_the_file_that_includes_them() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        put(
            "slurm.conf",
            "ClusterName=Big\ninclude /etc/slurm/sub/%c.conf\nInclude /etc/slurm/b.conf # x\nInclude no\n",
        );
        put("sub/big.conf", "A=1\n");
        put("b.conf", "B=2\n");
        let mut told = Diagnostics::default();
        let lines = read(&dir.path().join("slurm.conf"), &mut told).unwrap();
        let keys: Vec<&str> = lines.iter().map(|line| line.pairs[0].key.as_str()).collect();
        assert_eq!(keys, ["ClusterName", "A", "B"]);
        assert!(matches!(told.kept()[0].place, Place::Line { line: 4, .. }));
        assert_eq!(told.errors(), 1);
    }
}

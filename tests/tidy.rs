//! The house rules that no compiler checks (ARCHITECTURE.md): which room may use which, how long files
//! and functions may be, and what must not stand in the sources.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 90;

/// Words that every room may use; they know nothing of each other.
const BASE: [&str; 5] = ["time", "money", "ids", "random", "diagnostic"];

/// Rooms in the order in which data flows, each with the rooms that it may use beside its own.
const EDGES: &[(&str, &[&str])] = &[
    ("kernel", &["time"]),
    ("workload", &["time", "ids", "random", "diagnostic"]),
    ("cluster", &["time", "ids", "diagnostic"]),
    ("fabric", &["time", "ids", "random", "diagnostic", "cluster"]),
    ("tenancy", &["time", "ids", "random", "fabric"]),
    ("scheduler", &["time", "ids", "random", "workload", "cluster"]),
    (
        "simulation",
        &["time", "ids", "random", "kernel", "workload", "cluster", "fabric", "tenancy", "scheduler"],
    ),
    ("metrics", &["time", "ids", "workload", "cluster", "scheduler", "simulation"]),
    ("cost", &["time", "money"]),
    (
        "scenario",
        &[
            "time",
            "money",
            "ids",
            "diagnostic",
            "workload",
            "cluster",
            "fabric",
            "tenancy",
            "scheduler",
            "cost",
        ],
    ),
    (
        "experiment",
        &[
            "time",
            "money",
            "ids",
            "random",
            "diagnostic",
            "workload",
            "cluster",
            "fabric",
            "tenancy",
            "scheduler",
            "simulation",
            "metrics",
            "cost",
            "scenario",
        ],
    ),
    (
        "validation",
        &[
            "time",
            "ids",
            "random",
            "diagnostic",
            "workload",
            "cluster",
            "fabric",
            "tenancy",
            "scheduler",
            "simulation",
            "metrics",
            "scenario",
            "experiment",
        ],
    ),
    (
        "report",
        &[
            "time",
            "money",
            "ids",
            "diagnostic",
            "workload",
            "cluster",
            "fabric",
            "tenancy",
            "scheduler",
            "simulation",
            "metrics",
            "cost",
            "scenario",
            "experiment",
            "validation",
        ],
    ),
    (
        "cli",
        &[
            "time",
            "money",
            "ids",
            "diagnostic",
            "workload",
            "cluster",
            "fabric",
            "tenancy",
            "scheduler",
            "simulation",
            "metrics",
            "cost",
            "scenario",
            "experiment",
            "validation",
            "report",
        ],
    ),
];

/// A source file: path from the crate root, and its text.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn under(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// The room of a file under src/: `src/cluster/ledger.rs` and `src/cluster.rs` are of `cluster`.
    fn room(&self) -> Option<String> {
        let first = self.path.strip_prefix("src").ok()?.components().next()?;
        let name = first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        (name != "lib" && name != "main").then_some(name)
    }

    /// How many `super::` lead from this file to the crate's root.
    fn depth(&self) -> usize {
        self.path.components().count() - 1
    }

    /// Numbered lines of code without comments, up to the unit tests at the end of the file.
    fn code(&self) -> Vec<(usize, &str)> {
        if self.path.file_name().is_some_and(|name| name == "tests.rs") {
            return Vec::new();
        }
        let numbered = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        let code = numbered.take_while(|(_, line)| line.trim() != "#[cfg(test)]");
        code.filter(|(_, line)| !line.trim_start().starts_with("//")).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below the root that could be committed.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !["target", ".git", "out"].contains(&name) {
                    folders.push(path);
                }
            } else if name != ".git" {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let rust = files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    rust.map(|path| Source { text: std::fs::read_to_string(root().join(&path)).unwrap(), path }).collect()
}

fn fail_if_any(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// The word at the start of `text`.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Rooms that code names after `crate::`, alone or in braces, or after enough `super::`.
fn rooms_named(code: &str, depth: usize) -> Vec<String> {
    let mut rooms = Vec::new();
    let to_root = "super::".repeat(depth);
    for lead in ["crate::", to_root.as_str()] {
        for (at, _) in code.match_indices(lead) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &code[at + lead.len()..];
            match rest.strip_prefix('{') {
                Some(list) => rooms.extend(first_words(list)),
                None => rooms.push(word(rest).to_owned()),
            }
        }
    }
    rooms.retain(|room| !room.is_empty() && room.starts_with(|c: char| c.is_lowercase()));
    rooms
}

/// The first word of each member of a list in braces, up to its closing brace.
fn first_words(list: &str) -> Vec<String> {
    let (mut depth, mut from, mut words) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                words.push(word(list[from..at].trim()).to_owned());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                words.push(word(list[from..at].trim()).to_owned());
                from = at + 1;
            }
            _ => {}
        }
    }
    words
}

/// `use` statements over several lines as one.
fn statements<'a>(lines: &[(usize, &'a str)]) -> Vec<(usize, std::borrow::Cow<'a, str>)> {
    let mut joined: Vec<(usize, std::borrow::Cow<'a, str>)> = Vec::new();
    let mut open = false;
    for (number, line) in lines {
        match joined.last_mut() {
            Some((_, last)) if open => last.to_mut().push_str(line.trim_start()),
            _ => joined.push((*number, (*line).into())),
        }
        let (_, last) = joined.last().unwrap();
        let body = last.trim_start();
        open = (body.starts_with("use ") || body.starts_with("pub use ") || body.starts_with("pub("))
            && body.contains("use ")
            && !last.trim_end().ends_with(';');
    }
    joined
}

fn modules() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let lines = text.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    lines.map(|line| line.trim_end_matches(';').to_owned()).collect()
}

#[test]
fn the_table_of_edges_flows_down() {
    let mut above: BTreeSet<&str> = BASE.into();
    for (room, allowed) in EDGES {
        for other in *allowed {
            assert!(above.contains(other), "{room} may not use {other}: it does not stand above it");
        }
        above.insert(room);
    }
}

#[test]
fn every_room_is_in_the_table_and_in_the_story_of_the_crate() {
    let known: BTreeSet<&str> = BASE.into_iter().chain(EDGES.iter().map(|(room, _)| *room)).collect();
    let story = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let story: Vec<&str> = story.lines().filter_map(|line| line.strip_prefix("//! ")).collect();
    for module in modules() {
        assert!(known.contains(module.as_str()), "src/{module}: give it a row in tests/tidy.rs (EDGES)");
        assert!(
            story.iter().any(|line| line.split_whitespace().any(|w| w == module)),
            "lib.rs does not tell of {module}"
        );
    }
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> =
        BASE.iter().map(|base| (*base, [].as_slice())).chain(EDGES.iter().copied()).collect();
    let rooms = modules();
    let mut found = Vec::new();
    for source in sources() {
        let Some(room) = source.room() else { continue };
        let Some(allowed) = table.get(room.as_str()) else { continue };
        for (number, code) in statements(&source.code()) {
            for other in rooms_named(&code, source.depth()) {
                if other != room && rooms.contains(&other) && !allowed.contains(&other.as_str()) {
                    found.push(format!("{}:{number}: {room} uses {other}", source.path.display()));
                }
            }
        }
    }
    fail_if_any("edges that the table does not allow", &found);
}

#[test]
fn edges_are_recognized() {
    assert_eq!(rooms_named("use crate::cluster::{Ledger, Node};", 1), ["cluster"]);
    assert_eq!(rooms_named("use crate::{ids::JobId, time::SimTime};", 2), ["ids", "time"]);
    assert_eq!(
        rooms_named("    let x: crate::time::SimTime = super::super::kernel::now();", 2),
        ["time", "kernel"]
    );
    let lines =
        [(1, "use crate::{"), (2, "    cluster::{Ledger, Node},"), (3, "    report,"), (4, "};"), (5, "x")];
    let joined = statements(&lines);
    assert_eq!(
        (joined.len(), rooms_named(&joined[0].1, 1)),
        (2, vec!["cluster".to_owned(), "report".to_owned()])
    );
    assert_eq!(rooms_named("use super::kernel::Calendar;", 2), [""; 0]);
    assert_eq!(rooms_named("use super::Amounts; other_crate::x", 1), [""; 0]);
}

/// (first line, number of lines, name) of each function, by the indentation that rustfmt gives it.
fn functions(text: &str) -> Vec<(usize, usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = &line[..line.len() - body.len()];
        // A type such as `fn(&T) -> U` has no name behind `fn`.
        let is_function = body
            .split('(')
            .next()
            .is_some_and(|head| head.split(' ').any(|w| w == "fn") && !head.ends_with("fn"));
        if !is_function || body.starts_with("//") || body.ends_with(';') || body.ends_with('}') {
            continue;
        }
        let close = format!("{indent}}}");
        let end = lines[at + 1..]
            .iter()
            .position(|l| *l == close || (l.starts_with(&format!("{indent})")) && l.ends_with(';')));
        let name = word(body.split("fn ").nth(1).unwrap_or_default()).to_owned();
        found.push((at + 1, end.map_or(1, |n| n + 2), name));
    }
    found
}

#[test]
fn functions_are_measured() {
    let text =
        "impl A {\n    pub fn one(\n        a: u8,\n    ) -> u8 {\n        a\n    }\n    fn two(&self);\n}\n";
    assert_eq!(functions(text), [(2, 5, "one".to_owned())]);
}

#[test]
fn files_and_functions_are_short() {
    let mut found = Vec::new();
    let mut measured = 0;
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            found.push(format!("{}: {lines} lines", source.path.display()));
        }
        for (line, length, name) in functions(&source.text) {
            measured += 1;
            if length > FUNCTION_LINES {
                found.push(format!("{}:{line}: {name} has {length} lines", source.path.display()));
            }
        }
    }
    assert!(measured > 300, "only {measured} functions were found");
    fail_if_any(&format!("more than {FILE_LINES} lines a file or {FUNCTION_LINES} a function"), &found);
}

/// Whether `line` has `token` not as the end of a longer word.
fn has_token(line: &str, token: &str) -> bool {
    line.match_indices(token)
        .any(|(at, _)| !line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_'))
}

#[test]
fn nothing_unfinished_unordered_or_clock_dependent_is_in_the_sources() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| !s.path.ends_with("tidy.rs")) {
        let on_the_clock =
            matches!(source.room().as_deref(), Some("cli" | "experiment")) || source.under("benches");
        for (number, line) in source.code() {
            let mut forbid = |token: &str, why: &str| {
                if has_token(line, token) {
                    found.push(format!("{}:{number}: {token}: {why}", source.path.display()));
                }
            };
            for token in ["todo!", "unimplemented!", "dbg!"] {
                forbid(token, "unfinished");
            }
            for token in ["HashMap", "HashSet"] {
                forbid(token, "random order: use FxHashMap, BTreeMap");
            }
            if !on_the_clock {
                for token in ["Instant::now", "SystemTime"] {
                    forbid(token, "wall clock only in cli and experiment");
                }
            }
        }
    }
    fail_if_any("forbidden", &found);
}

#[test]
fn files_are_named_after_what_they_are() {
    const VAGUE: [&str; 8] = ["manager", "handler", "helper", "util", "core", "common", "data", "info"];
    let vague = |path: &PathBuf| {
        let parts = path.to_str().unwrap().split(['/', '.', '_', '-']);
        parts.into_iter().any(|part| VAGUE.contains(&part.trim_end_matches('s')) || part == "data")
    };
    let rust = files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    let found: Vec<String> = rust.filter(vague).map(|path| path.display().to_string()).collect();
    fail_if_any("names that say nothing", &found);
}

#[test]
fn no_machine_or_private_registry_is_named() {
    const MACHINE: [&str; 5] = ["/root/", "/home/", "/work/", "/Users/", "/tmp/"];
    const REGISTRY: [&str; 6] =
        ["index.crates.io", "static.crates.io", "sparse+http", "replace-with", "artifactory", "[registries"];
    const LOCK_SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";
    let mut found = Vec::new();
    for path in files().iter().filter(|path| !path.ends_with("tidy.rs")) {
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let at = format!("{}:{}", path.display(), number + 1);
            if path.ends_with("Cargo.lock") {
                if line.starts_with("source") && !line.contains(LOCK_SOURCE) {
                    found.push(format!("{at}: {line}"));
                }
                continue;
            }
            found.extend(REGISTRY.iter().filter(|r| line.contains(*r)).map(|r| format!("{at}: {r}")));
            let named = MACHINE.iter().filter(|folder| {
                line.match_indices(*folder).any(|(from, _)| {
                    let before = line[..from].chars().next_back();
                    before.is_none_or(|c| !c.is_alphanumeric() && !"./-_<>".contains(c))
                })
            });
            found.extend(named.map(|folder| format!("{at}: {folder}")));
        }
    }
    fail_if_any("names of one machine", &found);
}

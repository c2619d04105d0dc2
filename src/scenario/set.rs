//! `--set path=value`: one setting of the scenario, from outside the file.
//!
//! The path must lead to a setting that exists: names that the user chooses (designs, pools) must be in the
//! file. The value is TOML; a bare word where a text is meant needs no quotes. In a table that holds one
//! of several kinds (`policy`, `tenancy`, `cost`) setting another kind replaces the one in the file.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::catalogue;
use super::structure::{Schema, Shape, dotted};
use crate::diagnostic::{Diagnostic, Place, Source, nearest};

/// Reads one `--set` against the tree of the file: its path, and what it says as a line of TOML.
pub(super) fn read(
    (path, value): &(String, String),
    tree: &DeTable<'_>,
    schema: Schema<'_>,
) -> Result<(Vec<String>, String), Box<Diagnostic>> {
    let segments = segments(path).ok_or_else(|| {
        let problem = at_set(path, value, "W0204", format!("`{path}` is not a path of a setting"));
        problem.help("write --set path=value, for instance --set design.metal.pool.main.count=3")
    })?;
    let leaf = walk(&segments, tree, schema).map_err(|unknown| {
        let message = format!("there is no setting `{path}`");
        at_set(path, value, "W0223", message).help(unknown.help(&segments))
    })?;
    let is_toml = DeValue::parse(value).is_ok_and(|parsed| match leaf.map(Schema::shape) {
        Some(Shape::Text | Shape::Word(_)) => parsed.get_ref().is_str(),
        _ => true,
    });
    let value = if is_toml { value.clone() } else { toml::Value::String(value.clone()).to_string() };
    Ok((segments, format!("{path} = {value}")))
}

/// Why a path leads to no setting, if it does not.
pub(super) fn problem_of(path: &str, tree: &DeTable<'_>, schema: Schema<'_>) -> Option<Diagnostic> {
    let Some(segments) = segments(path) else {
        let problem = Diagnostic::error("W0204", format!("`{path}` is not a path of a setting"));
        return Some(
            problem.help("write a path as for --set, for instance \"design.metal.pool.main.count\""),
        );
    };
    let unknown = walk(&segments, tree, schema).err()?;
    let problem = Diagnostic::error("W0223", format!("there is no setting `{path}`"));
    Some(problem.help(unknown.help(&segments)))
}

/// A problem with the path, before the setting is among the texts of the scenario.
fn at_set(path: &str, value: &str, code: &'static str, why: String) -> Diagnostic {
    let source = Source { name: "--set".to_owned(), text: format!("{path}={value}") };
    Diagnostic::error(code, why).at(Place::Span { source: source.into(), range: 0..path.len() })
}

/// The segments of a dotted path in TOML's own syntax.
fn segments(path: &str) -> Option<Vec<String>> {
    let text = format!("{path} = 0");
    let mut table = DeTable::parse(&text).ok()?.into_inner();
    let mut segments = Vec::new();
    loop {
        let (key, value) = table.into_iter().next()?;
        segments.push(key.into_inner().into_owned());
        match value.into_inner() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(segments),
        }
    }
}

/// Where a path leaves what is known.
struct UnknownPath {
    /// Index of the segment that is not known.
    at: usize,
    /// What could stand there.
    known: Vec<String>,
}

impl UnknownPath {
    fn help(&self, segments: &[String]) -> String {
        let mut meant: Vec<&str> = segments.iter().map(String::as_str).collect();
        match nearest(meant[self.at], self.known.iter().map(String::as_str)) {
            Some(near) => {
                meant[self.at] = near;
                format!("did you mean `{}`?", dotted(&meant))
            }
            None if self.known.is_empty() => {
                format!("`{}` has no settings inside", dotted(&meant[..self.at]))
            }
            None if self.at == 0 => format!("a path begins with one of: {}", self.known.join(", ")),
            None => format!("known in `{}`: {}", dotted(&meant[..self.at]), self.known.join(", ")),
        }
    }
}

/// Name of the design that `--what-if` adds.
const WHAT_IF: &str = "what-if";

/// One option with two values cannot hold in one design.
pub(super) fn refuse_repeated(options: &[(String, String)]) -> Result<(), Diagnostic> {
    for (at, (path, value)) in options.iter().enumerate() {
        let Some((_, other)) = options[at + 1..].iter().find(|(later, _)| later == path) else { continue };
        let message =
            format!("--what-if {path} is given twice, as {value} and as {other}: one design has one value");
        let help = format!(
            "compare one after the other, or write two designs: [design.a.slurm] {path} = ..., [design.b.slurm] {path} = ..."
        );
        return Err(Diagnostic::error("W0225", message).help(help));
    }
    Ok(())
}

/// Options of Slurm as settings of the design `what-if`; `policy.slurm.` before a name may be written.
pub(super) fn what_if(options: &[(String, String)]) -> Vec<(String, String)> {
    if options.is_empty() {
        return Vec::new();
    }
    let name = |path: &str| path.strip_prefix("policy.slurm.").unwrap_or(path).to_owned();
    let words: Vec<String> = options.iter().map(|(path, value)| format!("{}={value}", name(path))).collect();
    let label = (format!("design.{WHAT_IF}.label"), format!("what if {}", words.join(", ")));
    let settings =
        options.iter().map(|(path, value)| (format!("design.{WHAT_IF}.slurm.{}", name(path)), value.clone()));
    settings.chain([label]).collect()
}

/// Copies the baseline as the design `what-if`, unless there is one.
pub(super) fn add_what_if(tree: &mut DeTable<'_>) {
    let word = |value: &Spanned<DeValue<'_>>| value.get_ref().as_str().map(str::to_owned);
    let compare = tree.get("compare").and_then(|table| table.get_ref().as_table());
    let baseline = compare.and_then(|table| table.get("baseline")).and_then(word);
    let Some(DeValue::Table(designs)) = tree.get_mut("design").map(Spanned::get_mut) else { return };
    if designs.contains_key(WHAT_IF) {
        return;
    }
    let named = baseline.as_deref().and_then(|name| designs.get_key_value(name));
    let Some((key, value)) = named.or_else(|| designs.iter().next()) else { return };
    let (key, value) = (Spanned::new(key.span(), WHAT_IF.into()), value.clone());
    designs.insert(key, value);
}

/// Follows the path through schema and tree; the leaf's schema, or `None` below a table that is not checked.
fn walk<'s>(
    segments: &[String],
    tree: &DeTable<'_>,
    mut schema: Schema<'s>,
) -> Result<Option<Schema<'s>>, UnknownPath> {
    let mut table = Some(tree);
    let mut rows: Option<&[Spanned<DeValue<'_>>]> = None;
    for (at, segment) in segments.iter().enumerate() {
        let unknown = |known: Vec<String>| UnknownPath { at, known };
        let present = table.and_then(|table| table.get(segment.as_str())).map(Spanned::get_ref);
        let mut found = present;
        schema = match schema.shape() {
            shape @ (Shape::Settings { .. } | Shape::OneOf(_)) => {
                let (known, others) = inside(shape);
                // A name that the user chooses is that of a table.
                let others = others.filter(|_| at + 1 < segments.len());
                let inner =
                    known.iter().find(|(name, _)| name == segment).map(|(_, inner)| *inner).or(others);
                let names = || known.iter().map(|(name, _)| (*name).to_owned()).collect();
                inner.ok_or_else(|| unknown(names()))?
            }
            Shape::Named(inner) => match names_in(table, &segments[..at]) {
                Some(names) if !names.contains(segment) => return Err(unknown(names)),
                _ => inner,
            },
            Shape::List(inner) => {
                let rows = rows.unwrap_or_default();
                let index = segment.parse::<usize>().ok().filter(|index| *index < rows.len());
                let names = || (0..rows.len()).map(|index| index.to_string()).collect();
                found = Some(rows[index.ok_or_else(|| unknown(names()))?].get_ref());
                inner
            }
            Shape::Any => return Ok(None),
            _ => return Err(unknown(Vec::new())),
        };
        table = found.and_then(DeValue::as_table);
        rows = found.and_then(DeValue::as_array).map(|rows| &**rows);
    }
    Ok(Some(schema))
}

/// The settings of a table with fixed ones, and what other names in it stand for.
fn inside(shape: Shape<'_>) -> (Vec<(&str, Schema<'_>)>, Option<Schema<'_>>) {
    match shape {
        Shape::Settings { known, others, .. } => (known, others),
        Shape::OneOf(known) => (known, None),
        _ => (Vec::new(), None),
    }
}

/// Names that may stand at the end of the path `above`: those that the file has, and of hardware those of
/// the catalogue; `None` where every name is good.
fn names_in(table: Option<&DeTable<'_>>, above: &[String]) -> Option<Vec<String>> {
    let above: Vec<&str> = above.iter().map(String::as_str).collect();
    let built_in: Vec<String> = match above.as_slice() {
        ["design"] | ["design", _, "pool"] => Vec::new(),
        ["node"] => catalogue::nodes().iter().map(|row| row.node.clone()).collect(),
        ["gpu"] => catalogue::gpus().iter().map(|row| row.gpu.clone()).collect(),
        _ => return None,
    };
    let written = table.into_iter().flatten().map(|(key, _)| key.get_ref().to_string());
    Some(written.chain(built_in).collect())
}

/// Moves the one value of `given` (the parsed line of [`read`]) into `tree`, making tables on the way.
pub(super) fn put<'t>(tree: &mut DeTable<'t>, given: DeTable<'t>, path: &[String], schema: Schema<'_>) {
    let Some((key, value)) = given.into_iter().next() else { return };
    let shape = schema.shape();
    if matches!(shape, Shape::OneOf(_)) {
        let others: Vec<String> =
            tree.keys().filter(|other| **other != key).map(|other| other.get_ref().to_string()).collect();
        for other in others {
            tree.remove(other.as_str());
        }
    }
    let inner_schema = match shape {
        shape @ (Shape::Settings { .. } | Shape::OneOf(_)) => {
            let (known, others) = inside(shape);
            let found = known.into_iter().find(|(name, _)| *name == path[0]).map(|(_, inner)| inner);
            found.or(others).unwrap_or(schema)
        }
        Shape::Named(inner) => inner,
        _ => schema,
    };
    if path.len() == 1 {
        tree.insert(key, value);
        return;
    }
    let span = value.span();
    let DeValue::Table(deeper) = value.into_inner() else { return };
    if let Some(rows) = tree.get_mut(key.get_ref().as_ref()).and_then(rows_mut) {
        return put_row(rows, deeper, &path[1..], inner_schema);
    }
    let entry = tree.entry(key).or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
    if !entry.get_ref().is_table() {
        *entry = Spanned::new(span, DeValue::Table(DeTable::new()));
    }
    if let DeValue::Table(inner) = entry.get_mut() {
        put(inner, deeper, &path[1..], inner_schema);
    }
}

fn rows_mut<'v, 't>(value: &'v mut Spanned<DeValue<'t>>) -> Option<&'v mut toml::de::DeArray<'t>> {
    match value.get_mut() {
        DeValue::Array(rows) => Some(rows),
        _ => None,
    }
}

/// The same for a list, whose next segment is an index.
fn put_row<'t>(rows: &mut toml::de::DeArray<'t>, given: DeTable<'t>, path: &[String], schema: Schema<'_>) {
    let Shape::List(inner) = schema.shape() else { return };
    let row = path[0].parse::<usize>().ok().and_then(|index| rows.get_mut(index));
    let (Some(row), Some((_, value))) = (row, given.into_iter().next()) else { return };
    match (path.len(), value.get_ref(), row.get_mut()) {
        (1, _, _) => *row = value,
        (_, DeValue::Table(_), DeValue::Table(table)) => {
            if let DeValue::Table(deeper) = value.into_inner() {
                put(table, deeper, &path[1..], inner);
            }
        }
        _ => {}
    }
}

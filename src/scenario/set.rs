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
        Some(Shape::WordOrTable(..)) => parsed.get_ref().is_str() || parsed.get_ref().is_table(),
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

/// Name of the design that the first `--what-if` adds; the second adds `what-if-2`, and so on.
const WHAT_IF: &str = "what-if";

/// Name of the pool of the nodes that a `--what-if` adds to those of a slurm.conf.
const MORE: &str = "more-nodes";

/// A design that a `--what-if` asks for.
pub(super) struct WhatIf {
    /// Its name.
    pub(super) name: String,
    /// Settings of it as (path, value), which must exist.
    pub(super) settings: Vec<(String, String)>,
    /// Lines of TOML with their paths, for tables that it adds.
    pub(super) tables: Vec<(Vec<String>, String)>,
}

/// The designs of all `--what-if`, one each. Several changes of one design stand behind each other with `;` between them.
pub(super) fn what_ifs(options: &[(String, String)], tree: &DeTable<'_>) -> Result<Vec<WhatIf>, Diagnostic> {
    let number = |at: usize| if at == 0 { WHAT_IF.to_owned() } else { format!("{WHAT_IF}-{}", at + 1) };
    let one = |(at, option): (usize, &(String, String))| {
        let name = number(at);
        let mut design = WhatIf { settings: Vec::new(), tables: Vec::new(), name };
        let mut words = Vec::new();
        for (path, value) in apart(option)? {
            if words.iter().any(|(known, _)| *known == path) {
                let message =
                    format!("--what-if {path} is written twice in one list: one design has one value");
                let help =
                    "give --what-if once for each design, and `;` only between changes of the same one";
                return Err(Diagnostic::error("W0225", message).help(help));
            }
            design.change(&path, &value, tree)?;
            words.push((path, value));
        }
        let words: Vec<String> = words.iter().map(|(path, value)| format!("{path}={value}")).collect();
        design
            .settings
            .push((format!("design.{}.label", design.name), format!("what if {}", words.join(", "))));
        Ok(design)
    };
    options.iter().enumerate().map(one).collect()
}

/// `bf_interval=60; bf_window=2880` as two changes; `policy.slurm.` before a name may be written.
fn apart((path, value): &(String, String)) -> Result<Vec<(String, String)>, Diagnostic> {
    let text = format!("{path}={value}");
    let one = |part: &str| {
        let (path, value) = part.split_once('=').ok_or_else(|| {
            let told = Diagnostic::error("W0225", format!("--what-if: `{part}` is not option=value"));
            told.help("write --what-if bf_interval=60, several changes of one design with `;` between them")
        })?;
        let path = path.trim();
        Ok((path.strip_prefix("policy.slurm.").unwrap_or(path).to_owned(), value.trim().to_owned()))
    };
    text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(one).collect()
}

impl WhatIf {
    fn change(&mut self, path: &str, value: &str, tree: &DeTable<'_>) -> Result<(), Diagnostic> {
        let partition = path.strip_prefix("partition.").and_then(|rest| rest.strip_suffix(".nodes"));
        if path != "nodes" && partition.is_none() {
            let path = format!("design.{}.slurm.{path}", self.name);
            self.settings.push((path, value.to_owned()));
            return Ok(());
        }
        let bad = |message: String, help: &str| Err(Diagnostic::error("W0225", message).help(help));
        let more = value.strip_prefix('+').and_then(|digits| digits.parse::<u32>().ok());
        let less = value.strip_prefix('-').and_then(|digits| digits.parse::<u32>().ok());
        if more.is_none() && less.is_none() {
            let message = format!("--what-if {path}={value}: `{value}` is no change of a number of nodes");
            return bad(message, "write +4 for four nodes more");
        }
        if has_slurm_conf(tree) {
            let Some(more) = more.filter(|more| *more > 0) else {
                let message =
                    format!("--what-if {path}={value}: nodes of a slurm.conf cannot be taken away so");
                return bad(message, "give a second slurm.conf without them: --what-if conf=FILE");
            };
            let name = &self.name;
            let key = |word: &str| ["design", name.as_str(), "pool", MORE, word].map(str::to_owned).to_vec();
            let mut put = |word: &str, value: toml::Value| {
                self.tables.push((
                    key(word),
                    format!("{} = {value}", dotted(&["design", name, "pool", MORE, word])),
                ));
            };
            put("node", toml::Value::String(format!("partition:{}", partition.unwrap_or(""))));
            put("count", toml::Value::Integer(i64::from(more)));
            if let Some(partition) = partition {
                put("partitions", toml::Value::Array(vec![toml::Value::String(partition.to_owned())]));
            }
            return Ok(());
        }
        let Some((pool, count)) = pool_of(tree, partition) else {
            let what = partition.map_or("one pool".to_owned(), |name| format!("a pool `{name}`"));
            let message = format!("--what-if {path}={value}: the baseline does not have {what} to change");
            return bad(message, "write the design with other counts of its pools");
        };
        let changed = i64::from(count) + more.map_or(0, i64::from) - less.map_or(0, i64::from);
        if changed < 1 {
            let message = format!("--what-if {path}={value}: the pool `{pool}` has {count} nodes");
            return bad(message, "leave at least one");
        }
        self.settings.push((dotted(&["design", &self.name, "pool", &pool, "count"]), changed.to_string()));
        Ok(())
    }
}

/// Whether nodes come from the slurm.conf of the policy.
fn has_slurm_conf(tree: &DeTable<'_>) -> bool {
    let inner = |table: &'_ Spanned<DeValue<'_>>, key: &str| {
        table.get_ref().as_table().is_some_and(|table| table.contains_key(key))
    };
    let slurm = tree.get("policy").and_then(|policy| policy.get_ref().as_table()?.get("slurm"));
    slurm.is_some_and(|slurm| inner(slurm, "conf"))
}

/// The pool of the baseline of that name, or its only one, with its count.
fn pool_of(tree: &DeTable<'_>, name: Option<&str>) -> Option<(String, u32)> {
    let designs = tree.get("design")?.get_ref().as_table()?;
    let (_, design) = baseline(tree, designs)?;
    let pools = design.get_ref().as_table()?.get("pool")?.get_ref().as_table()?;
    let (pool, table) = match name {
        Some(name) => pools.get_key_value(name)?,
        None if pools.len() == 1 => pools.iter().next()?,
        None => return None,
    };
    let count = table.get_ref().as_table()?.get("count")?.get_ref().as_integer()?;
    Some((pool.get_ref().to_string(), count.as_str().parse().ok()?))
}

/// The design that others are compared with.
fn baseline<'t, 'd>(
    tree: &DeTable<'_>,
    designs: &'t DeTable<'d>,
) -> Option<(&'t Spanned<std::borrow::Cow<'d, str>>, &'t Spanned<DeValue<'d>>)> {
    let compare = tree.get("compare").and_then(|table| table.get_ref().as_table());
    let named = compare.and_then(|table| table.get("baseline")).and_then(|value| value.get_ref().as_str());
    named.and_then(|name| designs.get_key_value(name)).or_else(|| designs.iter().next())
}

/// Copies the baseline as the designs of `--what-if`, unless there are such.
pub(super) fn add_what_ifs<'t>(tree: &mut DeTable<'t>, names: &[String]) {
    let Some(DeValue::Table(designs)) = tree.get("design").map(Spanned::get_ref) else { return };
    let Some((key, value)) = baseline(tree, designs).map(|(key, value)| (key.span(), value.clone())) else {
        return;
    };
    let Some(DeValue::Table(designs)) = tree.get_mut("design").map(Spanned::get_mut) else { return };
    for name in names.iter().filter(|name| !designs.contains_key(name.as_str())).cloned().collect::<Vec<_>>()
    {
        designs.insert(Spanned::new(key.clone(), name.into()), value.clone());
    }
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
            shape @ (Shape::Settings { .. } | Shape::OneOf(_) | Shape::WordOrTable(..)) => {
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
        Shape::OneOf(known) | Shape::WordOrTable(_, known) => (known, None),
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

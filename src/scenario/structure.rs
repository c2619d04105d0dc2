//! Does the tree have the shape of a scenario? Unknown names, wrong types, numbers out of range, missing
//! settings: all of them at once, each at its place.
//!
//! The shape is the JSON Schema that `scenario::file` generates, so the check and what editors show
//! cannot disagree. Only the few forms that the generator produces for our tables are understood.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::document::Document;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};

/// A place in the schema.
#[derive(Clone, Copy)]
pub(super) struct Schema<'s> {
    root: &'s Value,
    node: &'s Value,
}

/// What a value must look like.
pub(super) enum Shape<'s> {
    /// A table with fixed settings; where there are `others`, it has names that the user chooses beside them.
    Settings {
        known: Vec<(&'s str, Schema<'s>)>,
        required: Vec<&'s str>,
        others: Option<Schema<'s>>,
    },
    /// A table of names that the user chooses.
    Named(Schema<'s>),
    /// A table that holds exactly one of several tables.
    OneOf(Vec<(&'s str, Schema<'s>)>),
    /// Anything.
    Any,
    List(Schema<'s>),
    Word(Vec<&'s str>),
    /// A word, or a table that holds exactly one of several tables.
    WordOrTable(Vec<&'s str>, Vec<(&'s str, Schema<'s>)>),
    Text,
    Switch,
    Whole {
        min: i128,
        max: i128,
    },
    Number,
}

impl<'s> Schema<'s> {
    pub(super) fn new(root: &'s Value) -> Self {
        Self { root, node: root }
    }

    fn at(self, node: &'s Value) -> Self {
        Self { root: self.root, node }
    }

    /// The node itself, or what it refers to.
    fn resolved(self) -> &'s Value {
        match self.node.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                self.root.pointer(reference.trim_start_matches('#')).expect("the schema refers to itself")
            }
            None => self.node,
        }
    }

    fn entries(self, node: &'s Value) -> Vec<(&'s str, Self)> {
        let properties = node.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, inner)| (name.as_str(), self.at(inner))).collect()
    }

    pub(super) fn shape(self) -> Shape<'s> {
        let node = self.resolved();
        if let Some(choices) = node.get("oneOf").and_then(Value::as_array) {
            let words: Vec<&str> =
                choices.iter().filter_map(|choice| choice.get("const")?.as_str()).collect();
            let kinds: Vec<_> = choices.iter().flat_map(|choice| self.entries(choice)).collect();
            return match (words.is_empty(), kinds.is_empty()) {
                (false, true) => Shape::Word(words),
                (false, false) => Shape::WordOrTable(words, kinds),
                (true, _) => Shape::OneOf(kinds),
            };
        }
        match node.get("type").and_then(Value::as_str) {
            Some("object") => match node.get("additionalProperties") {
                Some(Value::Bool(false)) => {
                    let required = node.get("required").and_then(Value::as_array);
                    let required = required.into_iter().flatten().filter_map(Value::as_str).collect();
                    Shape::Settings { known: self.entries(node), required, others: None }
                }
                Some(inner @ Value::Object(_)) if node.get("properties").is_some() => Shape::Settings {
                    known: self.entries(node),
                    required: Vec::new(),
                    others: Some(self.at(inner)),
                },
                Some(inner @ Value::Object(_)) => Shape::Named(self.at(inner)),
                _ => Shape::Any,
            },
            Some("array") => node.get("items").map_or(Shape::Any, |items| Shape::List(self.at(items))),
            Some("string") => Shape::Text,
            Some("boolean") => Shape::Switch,
            Some("integer") => whole(node),
            Some("number") => Shape::Number,
            _ => Shape::Any,
        }
    }
}

fn whole(node: &Value) -> Shape<'_> {
    let bound = |name: &str| node.get(name).and_then(Value::as_i64).map(i128::from);
    let largest = match node.get("format").and_then(Value::as_str) {
        Some("uint32") => i128::from(u32::MAX),
        _ => i128::from(i64::MAX),
    };
    Shape::Whole { min: bound("minimum").unwrap_or(0), max: bound("maximum").unwrap_or(largest) }
}

/// Tells everything in the tree that does not have the shape of `schema`.
pub(super) fn check(document: &Document<'_>, schema: Schema<'_>, problems: &mut Diagnostics) {
    let mut check = Check { document, path: Vec::new(), problems };
    let whole = 0..0;
    check.table(&whole, &document.tree, schema);
}

struct Check<'c, 't> {
    document: &'c Document<'t>,
    path: Vec<String>,
    problems: &'c mut Diagnostics,
}

impl Check<'_, '_> {
    fn tell(&mut self, code: &'static str, message: String, span: &Range<usize>, help: Option<String>) {
        let mut diagnostic = Diagnostic::error(code, message).at(self.document.texts.place(span));
        diagnostic.help = help;
        self.problems.push(diagnostic);
    }

    /// The path as words for messages: `` `a.b` ``, or `the file`.
    fn here(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", dotted(&self.path)) }
    }

    fn table(&mut self, anchor: &Range<usize>, table: &DeTable<'_>, schema: Schema<'_>) {
        match schema.shape() {
            Shape::Settings { known, required, others } => {
                let mut misspelt = Vec::new();
                for (key, value) in table {
                    let found = known.iter().find(|(name, _)| *name == key.get_ref().as_ref());
                    let other = others.filter(|_| value.get_ref().is_table());
                    match found.map(|(_, inner)| *inner).or(other) {
                        Some(inner) => self.entry(key, value, inner),
                        None => {
                            misspelt.extend(self.unknown(key, known.iter().map(|(name, _)| *name).collect()))
                        }
                    }
                }
                let missing = |name: &&&str| !table.contains_key(**name) && !misspelt.contains(*name);
                for name in required.iter().filter(missing) {
                    let message = format!("{} needs `{name}`", self.here());
                    let help = description(&known, name).map(|text| format!("`{name}`: {text}"));
                    self.tell("W0208", message, anchor, help);
                }
            }
            Shape::Named(inner) => table.iter().for_each(|(key, value)| self.entry(key, value, inner)),
            Shape::OneOf(kinds) | Shape::WordOrTable(_, kinds) => self.one_of(anchor, table, &kinds),
            Shape::Any => {}
            other => {
                let message = format!("{} must be {}, found a table", self.here(), words(&other));
                self.tell("W0206", message, anchor, None);
            }
        }
    }

    fn one_of(&mut self, anchor: &Range<usize>, table: &DeTable<'_>, kinds: &[(&str, Schema<'_>)]) {
        let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
        for (key, value) in table {
            match kinds.iter().find(|(name, _)| *name == key.get_ref().as_ref()) {
                Some((_, inner)) => self.entry(key, value, *inner),
                None => drop(self.unknown(key, names.clone())),
            }
        }
        let given: Vec<&str> = table.keys().map(|key| key.get_ref().as_ref()).collect();
        if given.is_empty() {
            let message = format!("{} is empty", self.here());
            self.tell("W0210", message, anchor, Some(format!("one of: {}", names.join(", "))));
        } else if given.len() > 1 {
            let message = format!("{} holds {}, and can be only one", self.here(), given.join(" and "));
            let second = table.keys().nth(1).map_or(anchor.clone(), Spanned::span);
            self.tell("W0210", message, &second, None);
        }
    }

    /// Tells an unknown key, and returns the one that was probably meant.
    fn unknown<'k>(&mut self, key: &Spanned<Cow<'_, str>>, known: Vec<&'k str>) -> Option<&'k str> {
        let word = key.get_ref().as_ref();
        let meant = nearest(word, known.iter().copied());
        let help = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        let message = format!("unknown setting `{word}` in {}", self.here());
        self.tell("W0205", message, &key.span(), Some(help));
        meant
    }

    fn entry(&mut self, key: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>, schema: Schema<'_>) {
        self.path.push(key.get_ref().to_string());
        let anchor = self.document.anchor(&key.span(), value);
        self.value(&anchor, value, schema);
        self.path.pop();
    }

    fn value(&mut self, anchor: &Range<usize>, value: &Spanned<DeValue<'_>>, schema: Schema<'_>) {
        if let DeValue::Table(table) = value.get_ref() {
            return self.table(anchor, table, schema);
        }
        let shape = schema.shape();
        match (&shape, value.get_ref()) {
            (Shape::Any, _) | (Shape::Text, DeValue::String(_)) | (Shape::Switch, DeValue::Boolean(_)) => {}
            (Shape::List(inner), DeValue::Array(rows)) => {
                for (index, row) in rows.iter().enumerate() {
                    self.path.push(index.to_string());
                    self.value(&row.span(), row, *inner);
                    self.path.pop();
                }
            }
            (Shape::Word(known) | Shape::WordOrTable(known, _), DeValue::String(word)) => {
                self.word(anchor, word, known);
            }
            (Shape::Whole { min, max }, DeValue::Integer(number)) => self.whole(anchor, number, *min, *max),
            (Shape::Number, DeValue::Integer(_)) => {}
            (Shape::Number, DeValue::Float(number)) => self.number(anchor, number),
            (_, found) => {
                let message = format!("{} must be {}, found {}", self.here(), words(&shape), kind(found));
                self.tell("W0206", message, anchor, None);
            }
        }
    }

    fn word(&mut self, anchor: &Range<usize>, word: &str, known: &[&str]) {
        if known.contains(&word) {
            return;
        }
        let help = match nearest(word, known.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"? It is one of: {}", known.join(", ")),
            None => format!("one of: {}", known.join(", ")),
        };
        let message = format!("{} cannot be \"{word}\"", self.here());
        self.tell("W0207", message, anchor, Some(help));
    }

    fn whole(&mut self, anchor: &Range<usize>, number: &DeInteger<'_>, min: i128, max: i128) {
        let value = i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX);
        if !(min..=max).contains(&value) {
            let message = format!("{} must be from {min} to {max}, found {}", self.here(), number.as_str());
            self.tell("W0209", message, anchor, None);
        }
    }

    fn number(&mut self, anchor: &Range<usize>, number: &DeFloat<'_>) {
        if !number.as_str().parse::<f64>().is_ok_and(f64::is_finite) {
            let message = format!("{} must be a finite number, found {}", self.here(), number.as_str());
            self.tell("W0209", message, anchor, None);
        }
    }
}

fn description<'s>(known: &[(&'s str, Schema<'s>)], name: &str) -> Option<&'s str> {
    let (_, schema) = known.iter().find(|(known, _)| *known == name)?;
    schema.node.get("description").or_else(|| schema.resolved().get("description"))?.as_str()
}

fn words(shape: &Shape<'_>) -> &'static str {
    match shape {
        Shape::Settings { .. } | Shape::Named(_) | Shape::OneOf(_) => "a table",
        Shape::Any => "anything",
        Shape::List(_) => "a list",
        Shape::Word(_) | Shape::Text => "a text in quotes",
        Shape::WordOrTable(..) => "a text in quotes or a table",
        Shape::Switch => "true or false",
        Shape::Whole { .. } => "a whole number",
        Shape::Number => "a number",
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with decimals",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A path as TOML writes it: segments that need quotes have them.
pub(super) fn dotted<S: AsRef<str>>(path: &[S]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let segments = path.iter().map(|segment| {
        let segment = segment.as_ref();
        if !segment.is_empty() && segment.chars().all(plain) {
            segment.to_owned()
        } else {
            toml::Value::String(segment.to_owned()).to_string()
        }
    });
    segments.collect::<Vec<_>>().join(".")
}

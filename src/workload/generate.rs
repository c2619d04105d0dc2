//! Synthetic workloads: the same model, settings and seed give the same bytes on every machine.
//!
//! Two models. [`LublinParams`]: rigid parallel jobs as Lublin and Feitelson modelled them (2003), for
//! processor machines. [`ResearchParams`]: the jobs of a GPU cluster shared by people, in campaigns and
//! arrays, with a daily and weekly shape, heavy-tailed sizes and run times, and over-estimated limits;
//! its presets are calibrated to published clusters, and [`goodness_of_fit`] says how well.
//!
//! Every draw is keyed (seed, purpose, index), so a longer trace begins with the draws of a shorter one.
//! This room does not know which cluster will run the jobs: `gpus` and `processors` are here only to
//! turn an offered load into a span of time.

mod fit;
mod gamma;
mod lublin;
mod research;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Workload;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};

pub use fit::{FitRow, Target, goodness_of_fit, targets};
pub use lublin::{JobTypes, LublinParams};
pub use research::{ClassParams, JobKind, Preset, ResearchParams, RunPart};

/// The largest trace that is made: ids are 32 bits wide, and more would not fit in memory anyway.
pub const MAX_JOBS: u64 = 100_000_000;

/// Which model, with its settings: the table `[workload.generate.<model>]` of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Model {
    /// Rigid parallel jobs on a processor machine (Lublin and Feitelson, JPDC 63(11), 2003).
    Lublin(LublinParams),
    /// Jobs of a GPU cluster shared by researchers.
    Research(ResearchParams),
}

impl Model {
    /// Names of the models as a user writes them.
    pub const NAMES: [&str; 2] = ["lublin", "research"];

    /// The same model with every default that it names written in: the preset's settings, the published
    /// program's.
    #[must_use]
    pub fn with_defaults(&self) -> Self {
        match self {
            Self::Lublin(params) => Self::Lublin(params.with_defaults()),
            Self::Research(params) => {
                let preset = Some(params.preset.unwrap_or_default());
                Self::Research(ResearchParams { preset, ..params.over_preset() })
            }
        }
    }

    /// The model `name` with settings given as `(dotted.key, TOML value)`, as `--set` has them. A value
    /// that is no TOML (a bare word) is taken as a text.
    ///
    /// # Errors
    /// Unknown model, unknown key or wrong type: one diagnostic, code `W0180`.
    pub fn from_settings(name: &str, settings: &[(&str, &str)]) -> Result<Self, Diagnostics> {
        if !Self::NAMES.contains(&name) {
            let known = nearest(name, Self::NAMES).unwrap_or("research");
            return Err(one(Diagnostic::error("W0180", format!("unknown generator `{name}`"))
                .because("the models are lublin and research")
                .help(format!("write `{known}`"))));
        }
        let mut table = toml::Table::new();
        for (key, value) in settings {
            set(&mut table, key, value)?;
        }
        let mut outer = toml::Table::new();
        outer.insert(name.to_owned(), toml::Value::Table(table));
        outer.try_into().map_err(|error: toml::de::Error| {
            one(Diagnostic::error("W0180", format!("the settings of generator `{name}` cannot be used"))
                .because(error.message().to_owned())
                .help("`windtunnel schema` lists every setting with its unit"))
        })
    }
}

/// A list of one.
fn one(diagnostic: Diagnostic) -> Diagnostics {
    let mut told = Diagnostics::default();
    told.push(diagnostic);
    told
}

/// Puts `value` at `key` (dotted), making tables on the way.
fn set(table: &mut toml::Table, key: &str, value: &str) -> Result<(), Diagnostics> {
    let value = format!("x = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut t| t.remove("x"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut at = table;
    let mut words = key.split('.').peekable();
    while let Some(word) = words.next() {
        if words.peek().is_none() {
            at.insert(word.to_owned(), value);
            break;
        }
        let next = at.entry(word).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = next.as_table_mut().ok_or_else(|| {
            one(Diagnostic::error(
                "W0180",
                format!("`{key}` cannot be set: `{word}` is a value, not a table"),
            ))
        })?;
    }
    Ok(())
}

/// Makes the jobs of `model`. Equal arguments give equal workloads, on every machine.
///
/// # Errors
/// Settings that contradict each other or are out of range (negative shares, no GPU job to reach a load
/// with, more than [`MAX_JOBS`] jobs): diagnostics with code `W0181`, all of them together.
pub fn generate(model: &Model, seed: u64) -> Result<Workload, Diagnostics> {
    match model {
        Model::Lublin(params) => lublin::generate(params, seed),
        Model::Research(params) => research::generate(params, seed),
    }
}

/// Collects what is wrong with settings.
#[derive(Default)]
struct Check(Diagnostics);

impl Check {
    /// Notes an error unless `ok`.
    fn that(&mut self, ok: bool, key: &str, value: impl std::fmt::Debug, rule: &str) {
        if !ok {
            let message = format!("generator setting `{key}` = {value:?} cannot be used");
            self.0.push(Diagnostic::error("W0181", message).because(rule.to_owned()));
        }
    }

    /// All that was wrong, or nothing.
    fn done(self) -> Result<(), Diagnostics> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_reach_the_model_by_dotted_keys() {
        let model = Model::from_settings(
            "research",
            &[("preset", "philly-like"), ("jobs", "100"), ("class.training.share", "0.5")],
        )
        .unwrap();
        let Model::Research(params) = model else { panic!("research expected") };
        assert_eq!(params.jobs, Some(100));
        assert_eq!(params.preset, Some(Preset::PhillyLike));
        assert_eq!(params.class.unwrap()["training"].share, Some(0.5));
    }

    #[test]
    fn wrong_settings_are_told() {
        let message = |name, settings: &[(&str, &str)]| {
            let told = Model::from_settings(name, settings).unwrap_err();
            format!("{} {}", told.kept()[0].message, told.kept()[0].label)
        };
        assert!(message("lubln", &[]).contains("unknown generator"));
        assert!(message("lublin", &[("processor", "3")]).contains("unknown field"));
        assert!(message("research", &[("jobs", "many")]).contains("invalid type"));
        assert!(message("research", &[("jobs", "1"), ("jobs.x", "1")]).contains("not a table"));
    }
}

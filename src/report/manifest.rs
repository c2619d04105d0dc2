//! The manifest: all that is needed to run again and get the same bytes.

use serde::{Deserialize, Serialize};

use super::Context;
use crate::scenario::DefaultUsed;

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of windtunnel.
    pub version: String,
    /// The scenario with every default written out.
    pub scenario: String,
    /// Which of its values are defaults, with their sources: the report of a repeated run tells them too.
    pub defaults_used: Vec<DefaultUsed>,
    /// Designs that were run.
    pub designs: Vec<String>,
    /// Seed.
    pub seed: u64,
    /// The trace, if there is one.
    pub input: Option<ManifestInput>,
}

/// A file that the run depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestInput {
    /// As the scenario writes it.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

impl Manifest {
    /// The manifest of a run whose trace has this hash.
    #[must_use]
    pub fn new(context: &Context<'_>, input_hash: Option<String>) -> Self {
        let input = context.loaded.input.as_ref().zip(input_hash);
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: context.scenario.resolved_toml.clone(),
            defaults_used: context.scenario.defaults_used.clone(),
            designs: context.results.iter().map(|result| result.design.name.clone()).collect(),
            seed: context.scenario.workload.seed,
            input: input.map(|(file, sha256)| ManifestInput { path: file.written.clone(), sha256 }),
        }
    }
}

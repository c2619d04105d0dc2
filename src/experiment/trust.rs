//! A backtest attached to a comparison: how far the simulation was from what really happened.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{LoadedWorkload, hash_file};
use crate::diagnostic::{Diagnostic, Place};
use crate::scenario::Scenario;

/// First key of `backtest.json`: what the file is.
pub const BACKTEST_FORMAT: &str = "windtunnel backtest 1";

/// What was backtested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BacktestInput {
    /// The trace as written.
    pub trace: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// The policy.
    pub policy: String,
    /// The design in words.
    pub design: String,
}

/// The part of `backtest.json` that a comparison needs; other keys are for people.
#[derive(Deserialize)]
struct BacktestFile {
    format: String,
    input: BacktestInput,
    headline_error_pct: Option<f64>,
    judged: Judged,
}

#[derive(Deserialize)]
struct Judged {
    jobs: u64,
    mean_error_pct: Option<f64>,
}

/// The backtest of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trust {
    /// Its file as the scenario writes it.
    pub backtest: String,
    /// What was backtested.
    pub input: BacktestInput,
    /// Jobs judged.
    pub jobs: u64,
    /// Error of the moving mean of the wait (else of the mean), in per cent.
    pub headline_error_pct: Option<f64>,
    /// Error of the mean wait, with sign, in per cent.
    pub mean_error_pct: Option<f64>,
    /// Whether it was made on the trace of this comparison.
    pub is_of_this_trace: bool,
    /// Whether it was made under the policy of this comparison.
    pub is_of_this_policy: bool,
}

/// Reads the backtest that a scenario attaches, and compares its input with the scenario's; with what is to
/// be told about it.
///
/// # Errors
/// W0447 where the file cannot be read or is no backtest.
pub fn load_trust(
    scenario: &Scenario,
    loaded: &LoadedWorkload,
) -> Result<Option<(Trust, Vec<Diagnostic>)>, Diagnostic> {
    let Some((path, written)) = &scenario.trust else { return Ok(None) };
    let place = || Place::File(path.display().to_string().into());
    let file = read(path).map_err(|why| {
        Diagnostic::error("W0447", format!("`trust.backtest` cannot be used: {why}"))
            .at(place())
            .help("give the backtest.json that `windtunnel backtest ... --out DIR` wrote")
    })?;
    let hash = loaded.input.as_ref().map(|input| hash_file(&input.path)).transpose()?;
    let trust = Trust {
        backtest: written.clone(),
        is_of_this_trace: hash.as_ref() == Some(&file.input.sha256),
        is_of_this_policy: file.input.policy == scenario.policy.name,
        jobs: file.judged.jobs,
        headline_error_pct: file.headline_error_pct,
        mean_error_pct: file.judged.mean_error_pct,
        input: file.input,
    };
    let mut told = Vec::new();
    if !trust.is_of_this_trace {
        let message = format!("the backtest was made on another trace ('{}')", trust.input.trace);
        let why = "its error says little about these jobs";
        told.push(Diagnostic::warning("W0448", message).at(place()).because(why));
    }
    if !trust.is_of_this_policy {
        let message = format!("the backtest was made under policy {}", trust.input.policy);
        let why = format!("this comparison runs under {}", scenario.policy.name);
        told.push(Diagnostic::warning("W0448", message).at(place()).because(why));
    }
    Ok(Some((trust, told)))
}

/// The reason without the system's error number.
fn plain_words(error: &std::io::Error) -> String {
    let words = error.to_string();
    words.split(" (os error").next().unwrap_or(&words).to_owned()
}

fn read(path: &Path) -> Result<BacktestFile, String> {
    let text = std::fs::read_to_string(path).map_err(|error| plain_words(&error))?;
    let file: BacktestFile = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if file.format == BACKTEST_FORMAT {
        Ok(file)
    } else {
        Err(format!("its format is '{}', this version reads '{BACKTEST_FORMAT}'", file.format))
    }
}

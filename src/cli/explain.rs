//! `windtunnel explain`: why a job waited, or what a diagnostic code means.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::Common;
use super::backstage::{Failure, Orderly, Stopwatch};
use super::output::{load, parse_set};
use crate::diagnostic::Diagnostic;
use crate::experiment;
use crate::report;
use crate::scenario;
use crate::simulation::RunOptions;

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel explain 1017 --scenario scenarios/whole-gpus.toml --design metal
  windtunnel explain W0103")]
pub(super) struct ExplainArgs {
    /// A job id of the trace, or a diagnostic code.
    what: String,
    /// The scenario in which the job ran.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// The design; default the baseline.
    #[arg(long, value_name = "NAME", requires = "scenario")]
    design: Option<String>,
    /// Changes a setting of the scenario: path=value.
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_set, requires = "scenario")]
    set: Vec<(String, String)>,
}

pub(super) fn explain(args: &ExplainArgs, common: &Common) -> Result<(), Failure> {
    match &args.scenario {
        Some(path) => explain_job(args, path, common),
        None => explain_code(&args.what, common),
    }
}

fn explain_code(code: &str, common: &Common) -> Result<(), Failure> {
    let Some((name, meaning)) = report::meaning_of(code) else {
        let known = report::codes().map(|(name, _)| name);
        let near = crate::diagnostic::nearest(code, known).map(|near| format!("did you mean {near}?"));
        let message = format!("'{code}' is no diagnostic code");
        let help = near.unwrap_or_else(|| "for a job, name its scenario: --scenario FILE".to_owned());
        return Err(Failure::Usage(Diagnostic::error("W0312", message).help(help)));
    };
    let mut out = io::stdout().lock();
    if common.json {
        writeln!(out, "{}", json!({ "code": name, "meaning": meaning }))?;
    } else {
        writeln!(out, "{name}: {meaning}")?;
    }
    Ok(())
}

fn explain_job(args: &ExplainArgs, path: &Path, common: &Common) -> Result<(), Failure> {
    let scenario = scenario::load(path, &args.set)?;
    let wanted = args.design.as_deref().unwrap_or(&scenario.compare.baseline);
    let Some(design) = scenario.designs.iter().find(|design| design.name == wanted) else {
        let names: Vec<&str> = scenario.designs.iter().map(|design| design.name.as_str()).collect();
        let message = format!("the scenario has no design '{wanted}'");
        let help = format!("designs: {}", names.join(", "));
        return Err(Failure::Usage(Diagnostic::error("W0310", message).help(help)));
    };
    let loaded = load(&scenario, false)?;
    let Some(job) = experiment::find_job(&loaded.workload, &args.what) else {
        let message = format!("the trace has no job '{}'", args.what);
        return Err(Failure::Usage(Diagnostic::error("W0313", message)));
    };
    let watch = Stopwatch::start("simulating", common.quiet);
    let stop = || watch.tick();
    let options = RunOptions {
        keep_allocations: true,
        watch: Some(job),
        seed: scenario.workload.seed,
        interrupted: &stop,
        ..RunOptions::default()
    };
    let orderly = Orderly::begin();
    let outcome = experiment::run_design(&loaded.workload, design, &scenario.policy, &options)
        .map_err(|error| experiment::ExperimentError::Run { design: design.name.clone(), error })?;
    orderly.end()?;
    let story = report::story(&loaded.workload, design, &outcome, job);
    let mut out = io::stdout().lock();
    if common.json {
        serde_json::to_writer(&mut out, &story).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", story.text())?;
    }
    out.flush()?;
    Ok(())
}

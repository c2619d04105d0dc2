//! `windtunnel sweep SCENARIO`: the scenario's `[sweep]`, every point of it.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::Common;
use super::backstage::{Failure, Orderly, Stopwatch, peak_rss_mib, tell};
use super::output::parse_set;
use crate::diagnostic::{Diagnostic, Severity};
use crate::experiment::hash_file;
use crate::experiment::sweep::{Around, SweepError, run_points};
use crate::report::{self, SweepReport};
use crate::scenario::{self, WorkloadSource};

/// Arguments of `sweep`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel sweep scenarios/how-many-nodes.toml --out sweep
  windtunnel sweep scenarios/how-many-nodes.toml --set policy.easy.placement=spread --json

The scenario says what varies:

  [sweep.grid]
  \"workload.scale.arrivals\" = [0.8, 1.0, 1.2]
  \"design.metal.pool.main.count\" = [2, 3, 4]")]
pub(super) struct SweepArgs {
    /// The scenario file, with a [sweep].
    scenario: PathBuf,
    /// Changes a setting of the scenario in every point: path=value.
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_set)]
    set: Vec<(String, String)>,
    /// Seed of everything random.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Writes points.csv, sweep.json and report.html here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A refused row makes the trace invalid (exit 4).
    #[arg(long)]
    strict: bool,
}

pub(super) fn sweep(args: &SweepArgs, common: &Common) -> Result<(), Failure> {
    let mut sets = args.set.clone();
    sets.extend(args.seed.map(|seed| ("workload.seed".to_owned(), seed.to_string())));
    let scenario = scenario::load(&args.scenario, &sets)?;
    let Some(spec) = scenario.sweep.clone() else {
        let problem = Diagnostic::error("W0226", "the scenario has no [sweep]");
        return Err(problem
            .help("say what varies: [sweep.grid] with \"workload.scale.arrivals\" = [0.8, 1.0, 1.2]")
            .into());
    };
    if !common.quiet {
        tell(&scenario.warnings, Severity::Warning);
    }
    if let Some(out) = &args.out {
        report::try_directory(out)?;
    }
    let watch = Stopwatch::start("simulating points", common.quiet);
    let orderly = Orderly::begin();
    watch.expect(spec.points.len() as u64);
    let load = |point: usize| {
        let with = sets.iter().chain(&spec.points[point].settings).cloned().collect::<Vec<_>>();
        scenario::load(&args.scenario, &with)
    };
    let around = Around { strict: args.strict, done: &|| watch.one_done(), interrupted: &|| watch.tick() };
    let results = run_points(spec.points.len(), &load, around).map_err(|error| match error {
        SweepError::Input(problems) => Failure::Input(problems),
        SweepError::Interrupted => Failure::Interrupted,
    })?;
    let trace = match &scenario.workload.source {
        WorkloadSource::Trace { path, .. } => Some(hash_file(path)?),
        WorkloadSource::Generate { .. } => None,
    };
    let sweep =
        SweepReport { scenario: &scenario, spec: &spec, results: &results, trace_sha256: trace.as_deref() };
    if let Some(out) = &args.out {
        report::write_sweep(&sweep, out)?;
    }
    orderly.end()?;
    let wall_s = watch.wall_s();
    drop(watch);
    let mut out = io::BufWriter::new(io::stdout().lock());
    if common.json {
        let mut object = report::sweep_json(&sweep);
        object["engine"] = serde_json::json!({ "wall_s": wall_s, "peak_rss_mib": peak_rss_mib() });
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report::sweep_text(&sweep))?;
        if let Some(dir) = &args.out {
            writeln!(out, "\nFiles in {}: report.html, points.csv, sweep.json", dir.display())?;
        }
    }
    out.flush()?;
    match results.iter().filter(|result| result.designs.is_err()).count() {
        0 => Ok(()),
        failed => Err(Failure::Points { failed, of: results.len() }),
    }
}

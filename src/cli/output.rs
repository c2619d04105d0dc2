//! Results on stdout and in files, the same for `replay`, `run` and `compare`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Common;
use super::backstage::{Failure, Orderly, Stopwatch, peak_rss_mib, tell};
use super::exports::ExportArgs;
use crate::diagnostic::{Diagnostic, Severity};
use crate::experiment::outlook::outlook;
use crate::experiment::replicas::add_replicas;
use crate::experiment::verdict::judge;
use crate::experiment::{self, DesignResult, LoadedWorkload, hash_file};
use crate::report::{self, Context, Decision, Manifest};
use crate::scenario::Scenario;
use crate::simulation::RunOptions;

/// What of a scenario is run and what is kept of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// Only this design.
    pub(super) design: Option<String>,
    /// Result files go here.
    pub(super) out: Option<PathBuf>,
    /// Refused rows make the trace invalid.
    pub(super) strict: bool,
    /// Check every schedule with the independent referee.
    pub(super) referee: bool,
    /// One run without name: keys at the top level of the JSON object.
    pub(super) single: bool,
    /// Files for other programs.
    pub(super) exports: ExportArgs,
}

/// Loads the workload, runs the designs, prints and writes.
pub(super) fn run_and_tell(mut scenario: Scenario, wish: &Wish, common: &Common) -> Result<(), Failure> {
    let watch = Stopwatch::start("simulating", common.quiet);
    keep_design(&mut scenario, wish)?;
    wish.exports.check()?;
    if let Some(out) = &wish.out {
        report::try_directory(out)?;
    }
    let mut loaded = experiment::load_workload(&scenario.workload, wish.strict)?;
    attach_trust(&scenario, &mut loaded, common)?;
    if !common.quiet {
        tell(&scenario.warnings, Severity::Warning);
        tell(&loaded.workload.warnings, Severity::Warning);
        let mut list = crate::diagnostic::Diagnostics::default();
        list.extend(experiment::check_tenants(&loaded.workload, &scenario.designs));
        list.extend(experiment::check_elastic(&loaded.workload, &scenario.designs));
        list.extend(experiment::check_progress(&loaded.workload, &scenario.designs));
        tell(&list, Severity::Warning);
    }
    let orderly = Orderly::begin();
    let keep = wish.out.is_some() || wish.referee || wish.exports.any();
    let seed = scenario.workload.seed;
    let options = || RunOptions { keep_allocations: keep, seed, ..RunOptions::default() };
    let mut results =
        experiment::run_designs(&loaded.workload, &scenario.designs, &scenario.policy, &options, &|| {
            watch.tick()
        })?;
    let sensitivity = experiment::sensitivity(
        &loaded.workload,
        &scenario.policy,
        &results,
        &scenario.compare.baseline,
        &options,
        &|| watch.tick(),
    )?;
    if wish.strict {
        none_refused(&loaded, &results)?;
    }
    if wish.referee {
        check(&loaded, &results)?;
    }
    watch.expect(u64::from(scenario.compare.replicas));
    add_replicas(&scenario, &loaded, &mut results, &|| watch.one_done(), &|| watch.tick())?;
    let judged = |objective| judge(objective, &scenario.compare, &results);
    let versions = experiment::version_check(
        &loaded.workload,
        &scenario.policy,
        &results,
        &scenario.compare.baseline,
        &options,
        &|| watch.tick(),
    )?;
    let decision = Decision {
        versions,
        judgement: scenario.objective.as_ref().map(judged),
        outlook: outlook(&scenario, &loaded, &results, &|| watch.tick())?,
    };
    let (sensitivity, decision) = (sensitivity.as_ref(), Some(&decision));
    let context = Context { scenario: &scenario, loaded: &loaded, results: &results, sensitivity, decision };
    if let Some(out) = &wish.out {
        write_files(&context, out)?;
    }
    let written = wish.exports.write(&context)?;
    orderly.end()?;
    let engine = engine(&results, &watch);
    drop(watch);
    print(&context, wish, common, &engine, &written)
}

/// The backtest that the scenario attaches.
fn attach_trust(scenario: &Scenario, loaded: &mut LoadedWorkload, common: &Common) -> Result<(), Failure> {
    if let Some((trust, told)) = experiment::load_trust(scenario, loaded)? {
        loaded.trust = Some(trust);
        if !common.quiet {
            let mut list = crate::diagnostic::Diagnostics::default();
            list.extend(told);
            tell(&list, Severity::Warning);
        }
    }
    Ok(())
}

fn keep_design(scenario: &mut Scenario, wish: &Wish) -> Result<(), Failure> {
    let Some(name) = &wish.design else { return Ok(()) };
    let names: Vec<String> = scenario.designs.iter().map(|design| design.name.clone()).collect();
    scenario.designs.retain(|design| design.name == *name);
    if scenario.designs.is_empty() {
        let near = crate::diagnostic::nearest(name, names.iter().map(String::as_str));
        let help = near.map_or_else(|| format!("designs: {}", names.join(", ")), |n| format!("write `{n}`"));
        let message = format!("the scenario has no design '{name}'");
        return Err(Failure::Usage(Diagnostic::error("W0310", message).help(help)));
    }
    if !scenario.designs.iter().any(|design| design.name == scenario.compare.baseline) {
        scenario.compare.baseline.clone_from(&scenario.designs[0].name);
    }
    Ok(())
}

/// Under `--strict`, a job that a design can never hold makes the input invalid.
fn none_refused(loaded: &LoadedWorkload, results: &[DesignResult]) -> Result<(), Failure> {
    let mut told = crate::diagnostic::Diagnostics::default();
    for result in results {
        let Some((job, reason)) = result.outcome.refused.first() else { continue };
        let name = loaded.workload.job_name(*job);
        let count = result.outcome.refused.len();
        let message = format!("the design `{}` can never hold {count} jobs", result.design.name);
        told.push(
            Diagnostic::error("W0414", message)
                .because(format!("for instance job {name}: {reason}"))
                .help("leave out --strict to refuse and count them, or change the design"),
        );
    }
    if told.errors() > 0 { Err(told.into()) } else { Ok(()) }
}

fn check(loaded: &LoadedWorkload, results: &[DesignResult]) -> Result<(), Failure> {
    for result in results {
        if let Some(held) = report::cards_held(&loaded.workload, &result.outcome) {
            let design = &result.design;
            crate::cluster::cards::referee::check(&design.cluster, &design.sharing.cards, &held).map_err(
                |violation| {
                    let message = format!("design '{}': the referee objects: {violation}", design.name);
                    Failure::Inside(Diagnostic::error("W0413", message))
                },
            )?;
            continue;
        }
        let held = report::held(&loaded.workload, &result.outcome);
        crate::cluster::Referee::check(&result.design.cluster, &held).map_err(|violation| {
            let message = format!("design '{}': the referee objects: {violation}", result.design.name);
            Failure::Inside(Diagnostic::error("W0413", message))
        })?;
    }
    Ok(())
}

fn write_files(context: &Context<'_>, out: &Path) -> Result<(), Failure> {
    let input_hash = context.loaded.input.as_ref().map(|input| hash_file(&input.path)).transpose()?;
    let manifest = Manifest::new(context, input_hash);
    Ok(report::write_results(context, &manifest, out)?)
}

/// Facts of this execution, which are in no result file.
fn engine(results: &[DesignResult], watch: &Stopwatch) -> Value {
    let events: u64 = results.iter().map(|result| result.outcome.events).sum();
    let wall_s = watch.wall_s();
    json!({
        "events": events,
        "events_per_s": if wall_s > 0.0 { Some(events as f64 / wall_s) } else { None },
        "wall_s": wall_s,
        "peak_rss_mib": peak_rss_mib(),
    })
}

fn print(
    context: &Context<'_>,
    wish: &Wish,
    common: &Common,
    engine: &Value,
    written: &[String],
) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if common.json {
        let mut object =
            if wish.single { report::single_json(context) } else { report::designs_json(context) };
        object["engine"] = engine.clone();
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report::terminal_table(context))?;
        if let Some(dir) = &wish.out {
            let report = dir.join("report.html");
            writeln!(out, "\nReport: {}, beside it summary.json, jobs.csv, ...", report.display())?;
        }
        for file in written {
            writeln!(out, "Written: {file}")?;
        }
    }
    out.flush()?;
    Ok(())
}

/// `path=value` of `--set`.
pub(super) fn parse_set(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(path, value)| (path.trim().to_owned(), value.trim().to_owned()))
        .filter(|(path, _)| !path.is_empty())
        .ok_or_else(|| "write path=value, for instance design.metal.pool.main.count=3".to_owned())
}

/// The workload, for commands that need nothing else.
pub(super) fn load(scenario: &Scenario, strict: bool) -> Result<LoadedWorkload, Failure> {
    Ok(experiment::load_workload(&scenario.workload, strict)?)
}

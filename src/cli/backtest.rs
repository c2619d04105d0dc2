//! `windtunnel backtest`: simulated against recorded waits, from the real state of the site.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::Common;
use super::backstage::{Failure, Orderly, Stopwatch, tell};
use super::output::parse_set;
use super::replay::ClusterArgs;
use crate::diagnostic::{Diagnostic, Severity};
use crate::experiment::backtest::site::{self, SiteState};
use crate::experiment::backtest::{self, BacktestSpec, Sizes};
use crate::experiment::recorded_on::to_bare_metal;
use crate::experiment::{BacktestInput, ExperimentError, hash_file};
use crate::report::{self, backtest_json, backtest_text, write_whole};
use crate::scenario::{self, Design, PolicyChoice, Scenario, WorkloadSource};
use crate::simulation::RunOptions;
use crate::time::SimTime;
use crate::workload::classify;
use crate::workload::read::{ReadOptions, SiteClock, read_trace};
use crate::workload::scale::Scale;

/// Arguments of `backtest`.
#[derive(Debug, Args)]
#[command(
    mut_arg("procs", |arg| arg.required_unless_present_any(["input"])),
    after_help = "Examples:
  windtunnel backtest CEA-Curie.swf.gz --procs 93312 --policy easy
  windtunnel backtest dump.txt --nodes 120 --cpus-per-node 64 --time-zone Europe/Paris --events events.txt
  windtunnel backtest site.toml --sacct dump.txt --window 2024-03-01T00:00:00..2024-04-01T00:00:00 --out backtest

`windtunnel trace collect-cmd slurm` prints the commands that export all of it."
)]
pub(super) struct BacktestArgs {
    /// A scenario (.toml), or a trace with recorded starts.
    input: PathBuf,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The trace to judge against, instead of the scenario's.
    #[arg(long, visible_alias = "sacct", value_name = "FILE")]
    trace: Option<PathBuf>,
    /// The design of the scenario; default the baseline.
    #[arg(long, value_name = "NAME")]
    design: Option<String>,
    /// Changes a setting of the scenario: path=value.
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_set)]
    set: Vec<(String, String)>,
    /// Jobs submitted from..to are judged: seconds of the trace, or times; one side may be left out.
    #[arg(long, value_name = "FROM..TO")]
    window: Option<String>,
    /// Nodes down or drained: output of `sacctmgr show event -P`.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Reservations: output of `scontrol show reservation`.
    #[arg(long, value_name = "FILE")]
    reservations: Option<PathBuf>,
    /// Fair-share usage: output of `sshare -alP`; only Slurm's policy uses it.
    #[arg(long, value_name = "FILE")]
    sshare: Option<PathBuf>,
    /// What a job takes: what it asked for, or what it was really given (where the trace tells).
    #[arg(long, value_name = "WHAT", default_value = "requested", value_parser = ["requested", "allocated"])]
    sizes: String,
    /// Reads timestamps without offset in this zone (IANA name, for instance Europe/Paris).
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Which GPUs the nodes have: output of `scontrol show node`.
    #[arg(long, value_name = "FILE")]
    node_list: Option<PathBuf>,
    /// Writes backtest.json here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A refused row makes the trace invalid (exit 4).
    #[arg(long)]
    strict: bool,
}

pub(super) fn backtest(args: &BacktestArgs, common: &Common) -> Result<(), Failure> {
    let scenario = scenario_of(args)?;
    let design = design_of(&scenario, args.design.as_deref())?;
    let (trace, written) = trace_of(args, &scenario)?;
    if let Some(out) = &args.out {
        report::try_directory(out)?;
    }
    if matches!(scenario.policy, PolicyChoice::Preemptive(_)) {
        let message =
            format!("{} takes jobs off their GPUs, which no recorded schedule shows", scenario.policy.name());
        let problem = Diagnostic::error("W0449", message);
        return Err(problem.help("backtest under the policy that the site had: easy, slurm, ...").into());
    }
    let zone = args.time_zone.as_deref().or(scenario.workload.time_zone.as_deref());
    let mut clock = SiteClock::new(zone)?;
    let state = site_state(args, &mut clock)?;
    let (from, to) = window_of(args, &mut clock)?;
    let watch = Stopwatch::start("simulating", common.quiet);
    let asked = scenario.workload.read_options();
    let options = ReadOptions {
        strict: args.strict,
        time_zone: args.time_zone.clone().or(asked.time_zone.clone()),
        node_list: args.node_list.clone().or(asked.node_list.clone()),
        ..asked
    };
    let mut workload = read_trace(&trace, &options).map_err(|error| error.diagnostics)?;
    if !common.quiet {
        tell(&scenario.warnings, Severity::Warning);
        tell(&workload.warnings, Severity::Warning);
    }
    let input = BacktestInput {
        trace: written,
        sha256: hash_file(&trace)?,
        policy: scenario.policy.name().to_owned(),
        design: design.label.clone(),
    };
    // The scenario's window counts from the first submission.
    let first = workload.first_submit();
    let window = scenario.workload.window;
    let from = from.or(window.map(|window| first + window.from));
    let to = to.or(window.and_then(|window| window.until).map(|until| first + until));
    let sizes = if args.sizes == "allocated" { Sizes::Allocated } else { Sizes::Requested };
    let recorded_on = scenario.workload.recorded_on.as_ref();
    let spec = BacktestSpec { design, policy: &scenario.policy, from, to, sizes, site: &state, recorded_on };
    classify::classify(&mut workload, &scenario.workload.class_rules);
    if let Some(recorded_on) = recorded_on {
        to_bare_metal(&mut workload, recorded_on);
    }
    let prepared = backtest::prepare(workload, &spec)?;
    let orderly = Orderly::begin();
    let stop = || watch.tick();
    let seed = scenario.workload.seed;
    let options = RunOptions { interrupted: &stop, seed, ..RunOptions::default() };
    let found = backtest::run(prepared, &spec, &options)
        .map_err(|error| ExperimentError::Run { design: design.name.clone(), error })?;
    let object = backtest_json(&input, &found);
    if let Some(out) = &args.out {
        write_whole(&out.join("backtest.json"), |file| {
            serde_json::to_writer_pretty(&mut *file, &object)?;
            file.write_all(b"\n")
        })?;
    }
    orderly.end()?;
    drop(watch);
    for diagnostic in &found.told {
        let mut told = crate::diagnostic::Diagnostics::default();
        told.push(diagnostic.clone());
        tell(&told, Severity::Note);
    }
    let mut out = io::stdout().lock();
    if common.json {
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", backtest_text(&input, &found))?;
        if let Some(dir) = &args.out {
            writeln!(out, "\nWritten: {}", dir.join("backtest.json").display())?;
        }
    }
    out.flush()?;
    Ok(())
}

fn is_scenario(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"))
}

/// The scenario, or one made of the command line's cluster.
fn scenario_of(args: &BacktestArgs) -> Result<Scenario, Failure> {
    let has_cluster = args.cluster.procs.is_some() || args.cluster.nodes.is_some();
    if is_scenario(&args.input) {
        if has_cluster {
            let message = "a scenario describes its clusters itself";
            let help = "leave --procs and --nodes out, or give a trace instead of a scenario";
            return Err(Failure::Usage(Diagnostic::error("W0314", message).help(help)));
        }
        let mut sets = args.set.clone();
        if let Some(trace) = &args.trace {
            // Paths in a scenario are relative to it.
            let trace = std::path::absolute(trace)?;
            let quoted = toml::Value::String(trace.display().to_string()).to_string();
            sets.push(("workload.trace".to_owned(), quoted));
        }
        return Ok(scenario::load(&args.input, &sets)?);
    }
    if !has_cluster {
        let message = "a trace alone has no machine to run on";
        let help = "give --procs N, or --nodes N with --cpus-per-node C, or a scenario (.toml)";
        return Err(Failure::Usage(Diagnostic::error("W0314", message).help(help)));
    }
    let text = args.cluster.scenario_text(args.trace.as_deref().unwrap_or(&args.input));
    Ok(scenario::load_text("command line", text, Path::new(""), &args.set)?)
}

fn design_of<'s>(scenario: &'s Scenario, wanted: Option<&str>) -> Result<&'s Design, Failure> {
    let wanted = wanted.unwrap_or(&scenario.compare.baseline);
    scenario.designs.iter().find(|design| design.name == wanted).ok_or_else(|| {
        let names: Vec<&str> = scenario.designs.iter().map(|design| design.name.as_str()).collect();
        let message = format!("the scenario has no design '{wanted}'");
        let help = format!("designs: {}", names.join(", "));
        Failure::Usage(Diagnostic::error("W0310", message).help(help))
    })
}

/// The trace file and its name as written.
fn trace_of(args: &BacktestArgs, scenario: &Scenario) -> Result<(PathBuf, String), Failure> {
    if scenario.workload.scale != Scale::default() {
        let message = "a scaled workload has no recorded history to judge against";
        return Err(Diagnostic::error("W0445", message).help("leave [workload.scale] out").into());
    }
    match &scenario.workload.source {
        WorkloadSource::Trace { path, written } => {
            let written =
                args.trace.as_ref().map_or_else(|| written.clone(), |path| path.display().to_string());
            Ok((path.clone(), written))
        }
        WorkloadSource::Generate { .. } => {
            let message = "generated jobs have no recorded history to judge against";
            Err(Diagnostic::error("W0445", message).help("give a recorded trace: --trace FILE").into())
        }
    }
}

fn site_state(args: &BacktestArgs, clock: &mut SiteClock) -> Result<SiteState, Failure> {
    let events = args.events.as_deref().map(|path| site::read_events(path, clock)).transpose()?;
    let reservations =
        args.reservations.as_deref().map(|path| site::read_reservations(path, clock)).transpose()?;
    let shares = args.sshare.as_deref().map(site::read_shares).transpose()?;
    Ok(SiteState {
        events: events.unwrap_or_default(),
        reservations: reservations.unwrap_or_default(),
        shares,
    })
}

type WindowEnds = (Option<SimTime>, Option<SimTime>);

/// `FROM..TO`: seconds of the trace, or times.
fn window_of(args: &BacktestArgs, clock: &mut SiteClock) -> Result<WindowEnds, Failure> {
    let Some(text) = &args.window else { return Ok((None, None)) };
    let usage = |message: String| {
        let help = "write FROM..TO: seconds of the trace (86400..172800), or times (2024-03-01T00:00:00..)";
        Failure::Usage(Diagnostic::error("W0315", message).help(help))
    };
    let (from, to) =
        text.split_once("..").ok_or_else(|| usage(format!("the window '{text}' has no '..'")))?;
    let mut end =
        |text: &str| clock.read(text).map_err(|why| usage(format!("the window cannot be read: {why}")));
    let (from, to) = (end(from)?, end(to)?);
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(usage(format!("the window '{text}' ends before it begins")));
    }
    Ok((from, to))
}

//! `windtunnel validate`: published results beside ours.

mod fabric;
mod failures;
mod slurm;
mod storage;
mod ub;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Common;
use super::backstage::{Failure, Stopwatch, tell};
use crate::diagnostic::{Diagnostic, Severity};
use crate::report::write_whole;
use crate::scheduler::preemptive::PreemptivePolicy;
use crate::validation::case_files::WithCases;
use crate::validation::fabric::CurvesFrom;
use crate::validation::slurm::SlurmValidation;
use crate::validation::{self, Section, document, fgd, muri};

/// Arguments of `validate`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  windtunnel validate                 all parts, side by side
  windtunnel validate mig --check     exit 1 if a figure is outside its tolerance
  windtunnel validate --write         write VALIDATION.md
  windtunnel validate --claims        what articles claim about VMs, each put to a run
  windtunnel validate fgd --nodes nodes.csv --pods pods.csv --json
  windtunnel validate muri --trace trace.csv --cluster cluster.csv
  windtunnel validate fabric cases.json --json

Data of others is read from $WINDTUNNEL_SHARED, else from ../shared."
)]
pub(super) struct ValidateArgs {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    held: Held,
    /// What articles for buyers claim about virtual and bare GPUs, each claim put to a run.
    #[arg(long, conflicts_with_all = ["write", "check"])]
    claims: bool,
    /// Write all parts to this file; default VALIDATION.md.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "VALIDATION.md")]
    write: Option<PathBuf>,
}

/// What makes the command fail.
#[derive(Clone, Debug, Args)]
struct Held {
    /// Exit 1 if a figure is outside its tolerance, or could not be computed because data is absent.
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Placement of shared GPUs: the openb grid, or any two files of that dialect.
    Fgd(FgdArgs),
    /// SRTF, SRSF and Tiresias: the Muri traces, or any files of that dialect.
    Muri(MuriArgs),
    /// Experiments recorded on real Slurm, run again over many seeds.
    Slurm(slurm::SlurmArgs),
    /// A loaded micro cluster: median waits of its jobs over many runs of a real controller.
    Ub(ub::UbArgs),
    /// Snapshots on one store, or any files of that layout.
    Storage(storage::StorageArgs),
    /// Networks: shared links, collectives and growth of steps, or any files of those layouts.
    Fabric(fabric::FabricArgs),
    /// Outages, wall time of a job under failures, pools with standbys and spares.
    Failures(failures::FailuresArgs),
    /// Numbers of MIG layouts.
    Mig(Held),
    /// Formulas with known values.
    Theory(Held),
}

#[derive(Debug, Args)]
struct FgdArgs {
    /// Nodes: sn,cpu_milli,memory_mib,gpu,model.
    #[arg(long, value_name = "FILE", requires = "pods")]
    nodes: Option<PathBuf>,
    /// Pods: name,cpu_milli,memory_mib,num_gpu,gpu_milli[,gpu_spec].
    #[arg(long, value_name = "FILE", requires = "nodes")]
    pods: Option<PathBuf>,
    /// Seeds, from 42 on.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "nodes", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// A bad row of the pods makes the file invalid.
    #[arg(long, requires = "nodes")]
    strict: bool,
    #[command(flatten)]
    held: Held,
}

#[derive(Debug, Args)]
struct MuriArgs {
    /// Trace: job_id,num_gpu,submit_time,iterations,model_name,iteration_time (times in ms).
    #[arg(long, value_name = "FILE", requires = "cluster")]
    trace: Option<PathBuf>,
    /// Cluster: num_switch,num_node_p_switch,num_gpu_p_node.
    #[arg(long, value_name = "FILE", requires = "trace")]
    cluster: Option<PathBuf>,
    /// Overheads: num_gpu,model_name,overhead_s; default restart_overhead_s.csv beside the cluster file,
    /// else 10 s for every model.
    #[arg(long, value_name = "FILE", requires = "trace")]
    restart_overhead: Option<PathBuf>,
    /// A bad row of the trace makes the file invalid.
    #[arg(long, requires = "trace")]
    strict: bool,
    #[command(flatten)]
    held: Held,
}

/// The table of claims.
fn claims(common: &Common) -> Result<(), Failure> {
    let claims = validation::claims::validate();
    let mut out = io::stdout().lock();
    if common.json {
        writeln!(out, "{}", json!({ "claims": claims }))?;
    } else {
        write!(out, "{}", validation::claims::table(&claims))?;
    }
    Ok(())
}

pub(super) fn validate(args: &ValidateArgs, common: &Common) -> Result<(), Failure> {
    let watch = Stopwatch::start("validating", common.quiet);
    if args.claims {
        return claims(common);
    }
    let shared = validation::shared_folder();
    let (sections, held) = match &args.part {
        Some(Part::Fgd(FgdArgs { nodes: Some(nodes), pods: Some(pods), seeds, strict, .. })) => {
            return fgd_files(nodes, pods, *seeds, *strict, common);
        }
        Some(Part::Muri(MuriArgs {
            trace: Some(trace),
            cluster: Some(cluster),
            restart_overhead,
            strict,
            ..
        })) => {
            return muri_files(trace, cluster, restart_overhead.as_deref(), *strict, common);
        }
        Some(Part::Fgd(part)) => (vec![fgd::validate(&shared, None)?], &part.held),
        Some(Part::Muri(part)) => (vec![muri_section(&shared)?], &part.held),
        Some(Part::Slurm(part)) => return slurm::validate(part, common),
        Some(Part::Ub(part)) => return ub::validate(part, common),
        Some(Part::Storage(part)) => return storage::validate(part, &shared, common),
        Some(Part::Fabric(part)) => return fabric::validate(part, &shared, common),
        Some(Part::Failures(part)) => return failures::validate(part, common),
        Some(Part::Mig(held)) => (vec![validation::mig::validate()], held),
        Some(Part::Theory(held)) => (vec![validation::theory::validate()], held),
        None => (all(&shared)?, &args.held),
    };
    let slurm = match &args.part {
        None => slurm::recordings(&shared)?,
        Some(_) => None,
    };
    drop(watch);
    print(&sections, slurm.as_ref(), common)?;
    if let Some(path) = &args.write {
        let mut page = document::markdown(&sections, slurm.as_ref());
        page += &format!("\n{}", validation::claims::markdown(&validation::claims::validate()));
        write_whole(path, |out| out.write_all(page.as_bytes())).map_err(|error| {
            Failure::Inside(Diagnostic::error("W0303", error.to_string()).help(error.cure()))
        })?;
    }
    if !held.check {
        return Ok(());
    }
    check(&sections)?;
    match (&args.part, &slurm) {
        (_, Some(found)) => slurm::check(found),
        (None, None) => Err(absent(&shared.join("slurm-reference"))),
        (Some(_), None) => Ok(()),
    }
}

/// Prints a part with the cases of its files, as `{name: ...}` where JSON is asked for.
fn print_cases(found: &WithCases, held: &Held, common: &Common) -> Result<(), Failure> {
    if !common.quiet {
        tell(&found.told, Severity::Warning);
    }
    let mut out = io::stdout().lock();
    if common.json {
        let whole = json!({ found.section.name: found.json() });
        serde_json::to_writer(&mut out, &whole).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", document::text(&found.section))?;
    }
    out.flush()?;
    if held.check { check(std::slice::from_ref(&found.section)) } else { Ok(()) }
}

/// The parts of the umbrella command, in the order of VALIDATION.md.
fn all(shared: &Path) -> Result<Vec<Section>, Failure> {
    Ok(vec![
        muri_section(shared)?,
        fgd::validate(shared, None)?,
        validation::mig::validate(),
        validation::theory::validate(),
        validation::storage::validate(&[], shared)?.section,
        validation::fabric::validate(&[], &CurvesFrom::Shared, shared)?.section,
        validation::failures::validate(&shared.join("failures"))?.section,
        ub_section(shared)?,
    ])
}

/// The micro cluster, where its folder is there.
fn ub_section(shared: &Path) -> Result<Section, Failure> {
    let dir = validation::ub::folder(shared);
    Ok(validation::ub::validate(&dir, validation::ub::SEEDS)?.1)
}

fn muri_section(shared: &Path) -> Result<Section, Failure> {
    Ok(muri::validate(&shared.join("published/muri"))?)
}

fn print(sections: &[Section], slurm: Option<&SlurmValidation>, common: &Common) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if common.json {
        let mut parts: Map<String, Value> =
            sections.iter().map(|section| (section.name.to_owned(), document::json(section))).collect();
        if let Some(found) = slurm {
            parts.insert("slurm".to_owned(), serde_json::to_value(found).map_err(io::Error::from)?);
        }
        serde_json::to_writer(&mut out, &parts).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        for (at, section) in sections.iter().enumerate() {
            let blank = if at > 0 { "\n" } else { "" };
            write!(out, "{blank}{}", document::text(section))?;
        }
        if let Some(found) = slurm {
            write!(out, "\n{}", found.to_text())?;
        }
    }
    out.flush()?;
    Ok(())
}

fn check(sections: &[Section]) -> Result<(), Failure> {
    let outside: Vec<&str> =
        sections.iter().flat_map(Section::outside).map(|row| row.what.as_str()).collect();
    let first_absent = sections.iter().flat_map(|section| &section.absent).next();
    if let Some(first) = outside.first() {
        let message = format!("{} figure(s) outside their tolerance, first: {first}", outside.len());
        return Err(Failure::Inside(Diagnostic::error("W0430", message)));
    }
    first_absent.map_or(Ok(()), |path| Err(absent(path)))
}

fn absent(path: &Path) -> Failure {
    let message = format!("not all figures could be computed: '{}' is not there", path.display());
    let help = "set WINDTUNNEL_SHARED to the folder with the data";
    Failure::Inside(Diagnostic::error("W0432", message).help(help))
}

fn fgd_files(nodes: &Path, pods: &Path, seeds: u64, strict: bool, common: &Common) -> Result<(), Failure> {
    let lists = fgd::read_lists(nodes, pods, strict)?;
    if !common.quiet {
        tell(&lists.told, Severity::Warning);
    }
    let results = fgd::run_grid(std::slice::from_ref(&lists), seeds).remove(0);
    let mut out = io::stdout().lock();
    if common.json {
        let at = |curve: &[Option<f64>], loads: &[usize]| -> Value {
            let loads = fgd::LOADS.iter().zip(curve).filter(|(load, _)| loads.contains(load));
            loads.map(|(load, value)| (load.to_string(), json!(value))).collect::<Map<_, _>>().into()
        };
        let ends = [100, 130];
        let policies: Map<String, Value> = results
            .iter()
            .map(|result| {
                let figures = json!({
                    "allocation_pct": at(&result.allocation_pct.mean, &ends),
                    "allocation_sd": at(&result.allocation_pct.sd, &ends),
                    "fragmentation_ratio_pct": at(&result.fragmentation_ratio_pct.mean, &fgd::LOADS),
                });
                (result.policy.name().to_owned(), figures)
            })
            .collect();
        serde_json::to_writer(&mut out, &json!({ "policies": policies })).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(
        out,
        "GPU given out and fragments, by load; mean over {seeds} seed(s) from {}",
        fgd::FIRST_SEED
    )?;
    writeln!(
        out,
        "{:<15} {:>6} {:>12} {:>8} {:>16} {:>12}",
        "policy", "load %", "allocated %", "sd", "lost, % of free", "lost, % of all"
    )?;
    let text = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    for result in &results {
        for at in [10, 16, 18, 19, 20, 22, 24, 26] {
            writeln!(
                out,
                "{:<15} {:>6} {:>12} {:>8} {:>16} {:>12}",
                result.policy.name(),
                fgd::LOADS[at],
                text(result.allocation_pct.mean[at]),
                text(result.allocation_pct.sd[at]),
                text(result.fragmentation_ratio_pct.mean[at]),
                text(result.fragmentation_pct.mean[at]),
            )?;
        }
    }
    Ok(())
}

fn muri_files(
    trace: &Path,
    cluster: &Path,
    overheads: Option<&Path>,
    strict: bool,
    common: &Common,
) -> Result<(), Failure> {
    let input = muri::read_input(trace, cluster, overheads, strict)?;
    if !common.quiet {
        tell(&input.told, Severity::Warning);
    }
    let results = PreemptivePolicy::ALL.map(|(policy, name)| (name, muri::replay(&input, policy)));
    let mut out = io::stdout().lock();
    if common.json {
        let figures = |figures: &muri::Figures| {
            json!({
                "jct_mean_s": figures.jct_mean_s,
                "makespan_s": figures.makespan_s,
                "jct_p99_s": figures.jct_p99_s,
            })
        };
        let policies: Map<String, Value> =
            results.iter().map(|(name, found)| ((*name).to_owned(), figures(found))).collect();
        serde_json::to_writer(&mut out, &json!({ "policies": policies })).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{:<10} {:>16} {:>16} {:>16}", "policy", "mean JCT (s)", "makespan (s)", "p99 JCT (s)")?;
    for (name, found) in results {
        let (mean, makespan, p99) = (found.jct_mean_s, found.makespan_s, found.jct_p99_s);
        writeln!(out, "{name:<10} {mean:>16.3} {makespan:>16.3} {p99:>16.3}")?;
    }
    Ok(())
}

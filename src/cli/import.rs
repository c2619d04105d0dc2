//! `windtunnel import slurm`: a site's own files become a scenario, with a report on every option.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::Common;
use super::backstage::{Failure, tell};
use super::new::path_from;
use crate::diagnostic::{Diagnostic, Severity};
use crate::report::{coverage_csv, coverage_json, coverage_text, try_directory, write_whole};
use crate::scenario::import::{ImportAnswers, scenario_of_site};
use crate::scenario::sdiag::{BackfillCost, backfill_cost};
use crate::scenario::slurm_conf::{Site, SiteFiles, read_site, read_topology};
use crate::scheduler::slurm::config::{UnknownVersion, Version};

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// slurm.conf and its companions.
    Slurm(SlurmArgs),
}

/// Arguments of `import slurm`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel import slurm --slurm-conf /etc/slurm/slurm.conf
  windtunnel import slurm --slurm-conf slurm.conf --gres-conf gres.conf --assoc accounts.txt \\
                          --trace sacct.txt --out site

Without --out only the coverage report is printed. `windtunnel trace collect-cmd slurm` prints the
commands that export all of these files.")]
pub(super) struct SlurmArgs {
    /// The site's slurm.conf; files that it includes are read too.
    #[arg(long, value_name = "FILE")]
    slurm_conf: PathBuf,
    /// The site's gres.conf.
    #[arg(long, value_name = "FILE")]
    gres_conf: Option<PathBuf>,
    /// The site's topology.conf.
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,
    /// Accounts, users, QOS and limits: `sacctmgr dump`, the text of `sacctmgr -P show qos` and `show assoc`
    /// one after the other, or commands as after `sacctmgr -i`.
    #[arg(long, value_name = "FILE")]
    assoc: Option<PathBuf>,
    /// The version of Slurm that runs there (`scontrol --version`); default what `scontrol show config` in the files says.
    #[arg(long = "slurm-version", value_name = "VERSION", value_parser = version_of)]
    slurm_version: Option<Version>,
    /// What `sdiag` prints, or several of such in the order of time: the time that the backfill thread takes over a job is
    /// fitted to it. Without it the length of a cycle is assumed.
    #[arg(long, value_name = "FILE")]
    sdiag: Vec<PathBuf>,
    /// The jobs that the scenario replays; default a generated stand-in.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Where the scenario goes: a file (.toml), or a directory for site.toml; coverage.txt and .csv beside it.
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
}

fn version_of(text: &str) -> Result<Version, String> {
    text.parse().map_err(|unknown: UnknownVersion| unknown.to_string())
}

pub(super) fn import(args: &ImportArgs, common: &Common) -> Result<(), Failure> {
    let What::Slurm(args) = &args.what;
    let site = read(args, common)?;
    let written = args.out.as_deref().map(|out| write(args, &site, out)).transpose()?;
    let mut out = io::stdout().lock();
    if common.json {
        let config = &site.config;
        let partitions: Vec<&str> = config.partitions.iter().map(|p| p.name.as_str()).collect();
        let object = json!({
            "cluster": config.cluster_name,
            "slurm_version": config.version.to_string(),
            "nodes": config.nodes.len(),
            "partitions": partitions,
            "scenario": written.as_ref().map(|path| path.display().to_string()),
            "backfill_test_us": fit(args)?.map(|fitted| fitted.test_us),
            "coverage": coverage_json(&site.coverage),
        });
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    write!(out, "{}", coverage_text(&site.coverage))?;
    match fit(args)? {
        Some(fitted) => writeln!(
            out,
            "\nBackfill: {} microseconds for a job of the queue, over {} cycles of sdiag.",
            fitted.test_us, fitted.cycles
        )?,
        None => writeln!(
            out,
            "\nBackfill: cycle length assumed, as on recorded clusters of 16 nodes; --sdiag FILE fits it to yours."
        )?,
    }
    if let Some(path) = written {
        writeln!(out, "\nWritten: {}, coverage.txt, coverage.csv", path.display())?;
    }
    Ok(())
}

fn read(args: &SlurmArgs, common: &Common) -> Result<Site, Failure> {
    let files = SiteFiles {
        slurm_conf: &args.slurm_conf,
        gres_conf: args.gres_conf.as_deref(),
        accounting: args.assoc.as_deref(),
        version: args.slurm_version,
    };
    let mut site = read_site(files).map_err(|problem| Failure::from(*problem))?;
    if let Some(path) = &args.topology {
        read_topology(path, &mut site);
    }
    if site.diagnostics.errors() > 0 {
        return Err(site.diagnostics.into());
    }
    if !site.version_is_known {
        let version = site.config.version;
        let message = format!("no file names the version of Slurm: rules and defaults of {version} hold");
        let told = Diagnostic::warning("W0531", message);
        site.diagnostics.push(
            told.help("give --slurm-version with what `scontrol --version` prints, for instance 23.11.10"),
        );
    }
    if !common.quiet {
        tell(&site.diagnostics, Severity::Warning);
    }
    Ok(site)
}

/// What the dumps of `sdiag` say; `None` without any.
fn fit(args: &SlurmArgs) -> Result<Option<BackfillCost>, Failure> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|why| {
            let told = Diagnostic::error("W0534", format!("cannot read {}: {why}", path.display()));
            Failure::from(told.help("give a file with what `sdiag` prints"))
        })
    };
    let texts = args.sdiag.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if texts.is_empty() {
        return Ok(None);
    }
    backfill_cost(&texts).map(Some).map_err(Failure::from)
}

/// Writes scenario and coverage; the scenario's path.
fn write(args: &SlurmArgs, site: &Site, out: &Path) -> Result<PathBuf, Failure> {
    let is_file = out.extension().is_some_and(|ending| ending == "toml");
    let path = if is_file { out.to_owned() } else { out.join("site.toml") };
    let beside = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    try_directory(beside)?;
    let from_there = |file: &Path| path_from(beside, file);
    let answers = ImportAnswers {
        name: path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        trace: args.trace.as_deref().map(from_there),
        conf: from_there(&args.slurm_conf),
        gres_conf: args.gres_conf.as_deref().map(from_there),
        topology: args.topology.as_deref().map(from_there),
        assoc: args.assoc.as_deref().map(from_there),
        backfill: fit(args)?,
    };
    let text = scenario_of_site(&answers, site);
    write_whole(&path, |file| file.write_all(text.as_bytes()))?;
    let table = coverage_text(&site.coverage);
    write_whole(&beside.join("coverage.txt"), |file| file.write_all(table.as_bytes()))?;
    write_whole(&beside.join("coverage.csv"), |file| coverage_csv(&site.coverage, file))?;
    Ok(path)
}

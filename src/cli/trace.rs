//! `windtunnel trace`: check, convert, describe, generate, anonymize; what to export from a site.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::Common;
use super::backstage::{Failure, Orderly, tell};
use super::output::parse_set;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::report::{self, write_whole};
use crate::workload::Workload;
use crate::workload::anonymize::{Anonymizer, anonymize};
use crate::workload::classify::propose_rules;
use crate::workload::generate::{Model, generate};
use crate::workload::read::node_list::NodeList;
use crate::workload::read::{self, ColumnMap, ColumnSetting, ReadOptions, TraceFormat};
use crate::workload::repair::RepairExample;
use crate::workload::stats::{Capacity, stats};
use crate::workload::write::write_csv;
use crate::workload::write_swf::write_swf;

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read a trace and tell what is wrong with it, row by row.
    Check(CheckArgs),
    /// Write a trace as native CSV (or SWF), repaired.
    Convert(ConvertArgs),
    /// Describe a trace: sizes, durations, load, and what decides between designs.
    Stats(StatsArgs),
    /// Make a synthetic trace; same settings and seed, same bytes.
    Generate(GenerateArgs),
    /// Replace names by stable pseudonyms.
    Anonymize(AnonymizeArgs),
    /// Print the read-only commands that export what can be used of a site.
    CollectCmd(CollectArgs),
}

/// A trace to read.
#[derive(Debug, Args)]
struct InputArgs {
    /// The trace: native CSV, SWF, sacct -P or another known dialect; plain, gzip or zstd.
    trace: PathBuf,
    /// Dialect; default by content and name.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(TraceFormat::names()))]
    format: Option<String>,
    /// A refused row makes the trace invalid (exit 4).
    #[arg(long)]
    strict: bool,
    /// Cuts run times at the requested limit.
    #[arg(long)]
    cut_at_limit: bool,
    /// Reads timestamps without offset in this zone (IANA name, for instance Europe/Paris).
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Which GPUs the nodes have: output of `scontrol show node`, or `sinfo -N -h -o '%N %G'`.
    #[arg(long, value_name = "FILE")]
    node_list: Option<PathBuf>,
    /// What the columns of the trace mean: a file with the table [workload.columns], as --guess prints it.
    #[arg(long, value_name = "FILE")]
    columns: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel trace check jobs.csv --strict
  windtunnel trace check excel.csv --guess > columns.toml
  windtunnel trace check excel.csv --columns columns.toml")]
struct CheckArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Proposes the table [workload.columns] for a file whose columns are not called as here.
    #[arg(long, conflicts_with = "columns")]
    guess: bool,
}

impl InputArgs {
    fn options(&self) -> Result<ReadOptions, Failure> {
        let columns = self.columns.as_deref().map(columns_of).transpose()?;
        let format = self.format.as_deref().and_then(TraceFormat::of_name);
        Ok(ReadOptions {
            format,
            strict: self.strict,
            cut_at_limit: self.cut_at_limit,
            time_zone: self.time_zone.clone(),
            node_list: self.node_list.clone(),
            columns,
            ..ReadOptions::default()
        })
    }

    fn read(&self, common: &Common) -> Result<Workload, Failure> {
        let workload = read::read_trace(&self.trace, &self.options()?).map_err(|error| error.diagnostics)?;
        if !common.quiet {
            tell(&workload.warnings, Severity::Warning);
        }
        Ok(workload)
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  windtunnel trace convert site.swf.gz --out site.csv")]
struct ConvertArgs {
    #[command(flatten)]
    input: InputArgs,
    /// The file to write: .csv, or .swf for the Standard Workload Format.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct StatsArgs {
    #[command(flatten)]
    input: InputArgs,
    /// GPUs of the cluster, for the offered load.
    #[arg(long, value_name = "N")]
    gpus: Option<u64>,
    /// CPUs of the cluster, for the offered load.
    #[arg(long, value_name = "N")]
    cpus: Option<u64>,
    /// GPUs of a node, to tell multi-node jobs.
    #[arg(long, value_name = "N")]
    gpus_per_node: Option<u32>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel trace generate research --preset research-team --seed 1 --out team.csv
  windtunnel trace generate lublin --jobs 4000 --seed 1 --set processors=256 --set load=0.75 --out hpc.swf")]
struct GenerateArgs {
    /// lublin or research.
    model: String,
    /// Named settings of the research model (research-team, philly-like, ...).
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Seed; the same seed gives the same bytes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Number of jobs.
    #[arg(long, value_name = "N", conflicts_with = "days")]
    jobs: Option<u64>,
    /// Length in days instead of a number of jobs.
    #[arg(long, value_name = "D")]
    days: Option<f64>,
    /// A setting of the model: key=value.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_set)]
    set: Vec<(String, String)>,
    /// The file to write: .csv, or .swf for the Standard Workload Format; default CSV on stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct CollectArgs {
    /// The scheduler of the site.
    system: System,
}

/// A scheduler whose records can be read.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum System {
    Slurm,
}

#[derive(Debug, Args)]
struct AnonymizeArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Secret that makes the pseudonyms: the same salt gives the same pseudonyms.
    #[arg(long, value_name = "TEXT")]
    salt: String,
    /// Keep submit times instead of shifting the first to 0.
    #[arg(long)]
    keep_times: bool,
    /// Keep sizes instead of rounding them up to powers of two.
    #[arg(long)]
    keep_sizes: bool,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn trace(args: &TraceArgs, common: &Common) -> Result<(), Failure> {
    match &args.action {
        Action::Check(args) => check(args, common),
        Action::Convert(args) => {
            let workload = args.input.read(common)?;
            write_trace(&workload, &args.out)?;
            note_written(&workload, &args.out, common)
        }
        Action::Stats(args) => tell_stats(args, common),
        Action::Generate(args) => make(args, common),
        Action::CollectCmd(args) => collect(args, common),
        Action::Anonymize(args) => {
            let how = Anonymizer {
                salt: args.salt.clone(),
                keep_times: args.keep_times,
                keep_sizes: args.keep_sizes,
            };
            let workload = anonymize(args.input.read(common)?, &how);
            write_trace(&workload, &args.out)?;
            note_written(&workload, &args.out, common)
        }
    }
}

/// The file that begins with `[workload.columns]`, or holds that table among others.
#[derive(serde::Deserialize)]
struct ColumnsFile {
    workload: ColumnsOfWorkload,
}

#[derive(serde::Deserialize)]
struct ColumnsOfWorkload {
    columns: BTreeMap<String, ColumnSetting>,
}

fn columns_of(path: &Path) -> Result<Box<ColumnMap>, Failure> {
    let place = || Place::File(path.display().to_string().into());
    let help = "write what `windtunnel trace check FILE --guess` prints";
    let text = std::fs::read_to_string(path).map_err(|why| {
        let message = format!("cannot read '{}': {why}", path.display());
        Failure::from(Diagnostic::error("W0301", message).at(place()))
    })?;
    let file: ColumnsFile = toml::from_str(&text).map_err(|why| {
        let message = format!("there is no table [workload.columns] that can be read: {}", why.message());
        Failure::from(Diagnostic::error("W0207", message).at(place()).help(help))
    })?;
    let map = ColumnMap::of_table(&file.workload.columns).map_err(|(key, message, help)| {
        let key = if key.is_empty() { String::new() } else { format!(", {key}") };
        let message = format!("[workload.columns]{key}: {message}");
        Failure::from(Diagnostic::error("W0207", message).at(place()).help(help))
    })?;
    Ok(Box::new(map))
}

/// Prints the table that fits a file, for a scenario or `--columns`.
fn guess(args: &InputArgs, common: &Common) -> Result<(), Failure> {
    let place = || Place::File(args.trace.display().to_string().into());
    let (table, missing) = read::guess_columns(&args.trace).map_err(|why| {
        let message = format!("cannot read '{}': {why}", args.trace.display());
        Failure::from(Diagnostic::error("W0101", message).at(place()))
    })?;
    let mut out = io::stdout().lock();
    if common.json {
        let object = json!({ "columns": table, "missing": missing });
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report::columns_toml(&table))?;
    }
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("no column looks like {}", missing.join(", "));
    let help = format!("name it yourself in the table: {} = \"NAME OF THE COLUMN\"", missing[0]);
    Err(Diagnostic::error("W0106", message).at(place()).help(help).into())
}

fn check(args: &CheckArgs, common: &Common) -> Result<(), Failure> {
    let (guessed, args) = (args.guess, &args.input);
    if guessed {
        return guess(args, common);
    }
    let found = read::check(&args.trace, &args.options()?);
    let repairs: Vec<_> = found
        .repairs
        .iter()
        .map(|(reason, repair)| {
            let example =
                |row: &RepairExample| json!({ "line": row.line, "column": row.column, "text": row.text });
            let examples: Vec<_> = repair.examples.iter().map(example).collect();
            json!({ "what": repair.kind.name(), "reason": reason, "rows": repair.rows, "examples": examples })
        })
        .collect();
    let mut out = io::stdout().lock();
    if common.json {
        let object = json!({
            "usable": found.usable,
            "rows": found.repairs.rows_read,
            "jobs": found.jobs,
            "first_submit_s": found.submits.map(|(first, _)| first.as_s()),
            "last_submit_s": found.submits.map(|(_, last)| last.as_s()),
            "repairs": repairs,
            "unused_columns": found.unused_columns,
        });
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
    } else if found.usable {
        writeln!(out, "{} rows, {} jobs would be replayed", found.repairs.rows_read, found.jobs)?;
        write!(out, "{}", report::repairs_table(&found.repairs))?;
        if !found.unused_columns.is_empty() {
            writeln!(out, "columns without effect in this version: {}", found.unused_columns.join(", "))?;
        }
    }
    if found.usable {
        tell(&found.diagnostics, Severity::Note);
        Ok(())
    } else {
        Err(Failure::Input(found.diagnostics))
    }
}

fn collect(args: &CollectArgs, common: &Common) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match args.system {
        System::Slurm if common.json => {
            serde_json::to_writer(&mut out, &report::collect_json()).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        System::Slurm => write!(out, "{}", report::collect_text())?,
    }
    Ok(())
}

/// Writes the trace whole or not at all, in the dialect of the file's ending.
fn write_trace(workload: &Workload, path: &Path) -> Result<(), Failure> {
    let swf = path.extension().is_some_and(|ending| ending == "swf");
    let orderly = Orderly::begin();
    write_whole(path, |out| if swf { write_swf(workload, out) } else { write_csv(workload, out) })?;
    orderly.end()
}

fn note_written(workload: &Workload, path: &Path, common: &Common) -> Result<(), Failure> {
    if !common.quiet {
        writeln!(io::stderr(), "{} jobs written to {}", workload.jobs.len(), path.display())?;
    }
    Ok(())
}

fn make(args: &GenerateArgs, common: &Common) -> Result<(), Failure> {
    let quote = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut settings: Vec<(String, String)> = Vec::new();
    settings.extend(args.preset.as_ref().map(|name| ("preset".to_owned(), quote(name))));
    settings.extend(args.jobs.map(|n| ("jobs".to_owned(), n.to_string())));
    settings.extend(args.days.map(|d| ("days".to_owned(), format!("{d:?}"))));
    settings.extend(args.set.iter().cloned());
    let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let model = Model::from_settings(&args.model, &settings)?;
    let workload = generate(&model, args.seed)?;
    match &args.out {
        Some(path) => {
            write_trace(&workload, path)?;
            note_written(&workload, path, common)
        }
        None => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            write_csv(&workload, &mut out)?;
            out.flush()?;
            Ok(())
        }
    }
}

fn tell_stats(args: &StatsArgs, common: &Common) -> Result<(), Failure> {
    let mut workload = args.input.read(common)?;
    crate::workload::classify::classify(&mut workload, &[]);
    let nodes = args.input.node_list.as_deref().map(NodeList::read).transpose()?;
    let known = |count: u64| Some(count).filter(|n| *n > 0);
    let capacity = Capacity {
        gpus: args.gpus.or_else(|| nodes.as_ref().and_then(|list| known(list.gpus))),
        cpus: args.cpus.or_else(|| nodes.as_ref().and_then(|list| known(list.cpus))),
        gpus_per_node: args.gpus_per_node,
    };
    let figures = stats(&workload, Some(capacity));
    let rules = report::rules_toml(&propose_rules(&workload));
    let mut out = io::stdout().lock();
    if common.json {
        let mut object = json!(figures);
        object["proposed_class_rules"] = json!(rules);
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report::stats_text(&figures))?;
        if !rules.is_empty() {
            writeln!(
                out,
                "\nClass rules that fit this trace, to correct and put into a scenario:\n\n{rules}"
            )?;
        }
    }
    out.flush()?;
    Ok(())
}

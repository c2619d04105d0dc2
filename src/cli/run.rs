//! `windtunnel run SCENARIO`: every design, or one, with per-job output; `run --from manifest.json`
//! repeats an earlier run.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Common;
use super::backstage::Failure;
use super::exports::ExportArgs;
use super::output::{Wish, parse_set, run_and_tell};
use crate::diagnostic::{Diagnostic, Place};
use crate::experiment::hash_file;
use crate::report::{Manifest, outages_hash, quotes_hash, site_hash};
use crate::scenario::{self, Scenario};

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel run scenarios/whole-gpus.toml --design metal --out results
  windtunnel run scenarios/whole-gpus.toml --design metal --perfetto trace.json --sacct dump.txt
  windtunnel run --from results/manifest.json --out again")]
pub(super) struct RunArgs {
    /// The scenario file.
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    scenario: Option<PathBuf>,
    /// Repeats the run that wrote this manifest; its inputs must be unchanged.
    #[arg(long, value_name = "MANIFEST")]
    from: Option<PathBuf>,
    /// Only this design.
    #[arg(long, value_name = "NAME")]
    design: Option<String>,
    /// Changes a setting of the scenario: path=value.
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_set, conflicts_with = "from")]
    set: Vec<(String, String)>,
    /// Seed of everything random.
    #[arg(long, value_name = "N", conflicts_with = "from")]
    seed: Option<u64>,
    /// Writes summary.json, jobs.csv, timeline.csv, ledger.csv, cost.csv, usage.csv, report.html, manifest.json here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A refused row, or a job that a design can never hold, makes the input invalid (exit 4).
    #[arg(long)]
    strict: bool,
    /// Checks every schedule with the independent referee.
    #[arg(long)]
    referee: bool,
    #[command(flatten)]
    exports: ExportArgs,
}

pub(super) fn run(args: &RunArgs, common: &Common) -> Result<(), Failure> {
    let (scenario, design) = match (&args.from, &args.scenario) {
        (Some(manifest), _) => from_manifest(manifest)?,
        (None, Some(path)) => {
            let mut sets = args.set.clone();
            sets.extend(args.seed.map(|seed| ("workload.seed".to_owned(), seed.to_string())));
            (scenario::load(path, &sets)?, None)
        }
        (None, None) => unreachable!("the parser asks for one of them"),
    };
    let wish = Wish {
        design: args.design.clone().or(design),
        out: args.out.clone(),
        strict: args.strict,
        referee: args.referee,
        exports: args.exports.clone(),
        single: false,
    };
    run_and_tell(scenario, &wish, common)
}

/// The scenario of an earlier run, with its trace found and checked.
fn from_manifest(path: &Path) -> Result<(Scenario, Option<String>), Failure> {
    let place = || Place::File(path.display().to_string().into());
    let text = std::fs::read_to_string(path).map_err(|error| {
        Diagnostic::error("W0304", format!("cannot read the manifest: {error}")).at(place())
    })?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| {
        Diagnostic::error("W0305", format!("this is no manifest of windtunnel: {error}"))
            .at(place())
            .help("give the manifest.json that `--out DIR` wrote")
    })?;
    if manifest.version != env!("CARGO_PKG_VERSION") {
        let message = format!(
            "the manifest was written by version {}, this is {}: the bytes may differ",
            manifest.version,
            env!("CARGO_PKG_VERSION")
        );
        return Err(Diagnostic::error("W0306", message).at(place()).help("use the same version").into());
    }
    let base = find_base(&manifest, path)?;
    let mut scenario = scenario::load_text("manifest.json (scenario)", manifest.scenario, &base, &[])?;
    scenario.defaults_used = manifest.defaults_used;
    let only = match manifest.designs.as_slice() {
        [one] if scenario.designs.len() > 1 => Some(one.clone()),
        _ => None,
    };
    scenario.designs.retain(|design| manifest.designs.contains(&design.name));
    if site_hash(&scenario) != manifest.slurm_sha256 {
        let message = "the configuration of Slurm has changed since the manifest was written";
        return Err(Diagnostic::error("W0307", message)
            .at(place())
            .because("slurm.conf, gres.conf, accounts or a file that they include say something else")
            .help("restore the files, or run the scenario anew")
            .into());
    }
    if quotes_hash(&scenario) != manifest.quotes_sha256 {
        let message = "the quotes have changed since the manifest was written";
        return Err(Diagnostic::error("W0307", message)
            .at(place())
            .because("lines of finance.quotes say something else")
            .help("restore the file, or run the scenario anew")
            .into());
    }
    if outages_hash(&scenario) != manifest.outages_sha256 {
        let message = "the outages have changed since the manifest was written";
        return Err(Diagnostic::error("W0307", message)
            .at(place())
            .because("a file that `outages` of a design names says something else")
            .help("restore the file, or run the scenario anew")
            .into());
    }
    Ok((scenario, only))
}

/// The files of quotes and of outages that a scenario names.
fn files_of(scenario: &str) -> Vec<String> {
    let Ok(table) = scenario.parse::<toml::Table>() else { return Vec::new() };
    let quotes = table.get("finance").and_then(|finance| finance.get("quotes"));
    let designs = table.get("design").and_then(toml::Value::as_table);
    let outages = designs.into_iter().flatten().filter_map(|(_, design)| design.get("outages"));
    quotes.into_iter().chain(outages).filter_map(|file| Some(file.as_str()?.to_owned())).collect()
}

/// The directory against which the trace's path leads to a file with the recorded hash: the
/// manifest's, its parent, the present one, or a sub-directory of the present one; where the scenario has quotes or
/// outages, one that has them too.
fn find_base(manifest: &Manifest, path: &Path) -> Result<PathBuf, Failure> {
    let here = PathBuf::from(".");
    let files = files_of(&manifest.scenario);
    if manifest.input.is_none() && files.is_empty() {
        return Ok(here);
    }
    let beside = path.parent().map_or_else(|| here.clone(), Path::to_path_buf);
    let mut bases = vec![here.clone(), beside.clone(), beside.join("..")];
    let subdirectories = std::fs::read_dir(&here).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut subdirectories: Vec<PathBuf> = subdirectories.filter(|path| path.is_dir()).collect();
    subdirectories.sort();
    bases.extend(subdirectories);
    let mut changed = None;
    bases.retain(|base| files.iter().all(|file| base.join(file).is_file()));
    let Some(input) = &manifest.input else { return Ok(bases.into_iter().next().unwrap_or(here)) };
    for base in bases {
        let trace = base.join(&input.path);
        if trace.is_file() {
            if hash_file(&trace)? == input.sha256 {
                return Ok(base);
            }
            changed = Some(trace);
        }
    }
    Err(match changed {
        Some(trace) => Diagnostic::error("W0307", "the trace has changed since the manifest was written")
            .at(Place::File(trace.display().to_string().into()))
            .because(format!("its SHA-256 is no longer {}", input.sha256))
            .help("restore the trace, or run the scenario anew"),
        None => Diagnostic::error("W0308", format!("the trace '{}' is not to be found", input.path))
            .help("start the command in the directory in which the scenario was run"),
    }
    .into())
}

//! `windtunnel replay TRACE`: one trace, one cluster, no scenario.
//!
//! The options are written as a scenario and go the same way as every other, so the manifest of a
//! replay can be run again.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Common;
use super::backstage::Failure;
use super::exports::ExportArgs;
use super::output::{Wish, parse_set, run_and_tell};
use crate::scenario;
use crate::scheduler::PreemptivePolicy;
use crate::scheduler::policy::CLASSIC;

/// Arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel replay traces/hpc-small.swf --procs 256 --policy easy
  windtunnel replay traces/research-team.csv --nodes 2 --gpus-per-node 8 --cpus-per-node 112 --policy easy --placement best-fit")]
pub(super) struct ReplayArgs {
    /// The trace: native CSV or SWF, plain, gzip or zstd.
    pub(super) trace: PathBuf,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// Changes a setting as in a scenario: path=value, for instance policy.slurm.bf_interval=60.
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_set)]
    set: Vec<(String, String)>,
    /// Reads timestamps without offset in this zone (IANA name, for instance Europe/Paris).
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Seed of everything random.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Writes summary.json, jobs.csv, timeline.csv, ledger.csv, report.html, manifest.json here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A refused row, or a job that a design can never hold, makes the input invalid (exit 4).
    #[arg(long)]
    strict: bool,
    /// Checks the schedule with the independent referee.
    #[arg(long)]
    referee: bool,
    #[command(flatten)]
    exports: ExportArgs,
}

/// The cluster and the policy on the command line.
#[derive(Clone, Debug, Args)]
pub(super) struct ClusterArgs {
    /// A plain pool of this many processors, without nodes.
    #[arg(long, value_name = "N", required_unless_present = "nodes", conflicts_with = "nodes")]
    pub(super) procs: Option<u32>,
    /// Equal nodes.
    #[arg(long, value_name = "N")]
    pub(super) nodes: Option<u32>,
    /// GPUs of each node.
    #[arg(long, value_name = "G", requires = "nodes")]
    pub(super) gpus_per_node: Option<u32>,
    /// Kind of GPU, a name of `windtunnel catalog gpus`; default any: every request is taken.
    #[arg(long, value_name = "TYPE", requires = "gpus_per_node")]
    pub(super) gpu: Option<String>,
    /// CPUs of each node; default 16 for each GPU, or 64.
    #[arg(long, value_name = "C", requires = "nodes")]
    pub(super) cpus_per_node: Option<u32>,
    /// Memory of each node in MiB; default: memory is not modelled.
    #[arg(long, value_name = "M", requires = "nodes")]
    pub(super) mem_per_node_mb: Option<u64>,
    /// fcfs, greedy, sjf, ljf, easy, conservative, priority, slurm, srtf, srsf, tiresias.
    #[arg(long, value_name = "NAME", default_value = "easy", value_parser = parse_policy)]
    pub(super) policy: String,
    /// first-fit (default), best-fit or spread; `slurm` and the preemptive policies have rules of their own.
    #[arg(long, value_name = "NAME", value_parser = ["first-fit", "best-fit", "spread"])]
    pub(super) placement: Option<String>,
    /// Jobs planned per pass by `conservative`; default all.
    #[arg(long, value_name = "N")]
    pub(super) depth: Option<u32>,
    /// Cuts run times at the requested limit, as a scheduler that kills at the limit does.
    #[arg(long)]
    pub(super) cut_at_limit: bool,
}

fn parse_policy(name: &str) -> Result<String, String> {
    let known = || {
        let preemptive = PreemptivePolicy::ALL.into_iter().map(|(_, name)| name);
        CLASSIC.into_iter().chain(["slurm"]).chain(preemptive)
    };
    if known().any(|policy| policy == name) {
        return Ok(name.to_owned());
    }
    let near = crate::diagnostic::nearest(name, known()).map(|near| format!("; did you mean `{near}`?"));
    Err(format!("one of {}{}", known().collect::<Vec<_>>().join(", "), near.unwrap_or_default()))
}

/// Memory of a node where it is not modelled: more than any job asks for (2^40 MiB = 1 EiB).
const UNLIMITED_MEM_MB: u64 = 1 << 40;

impl ClusterArgs {
    /// The same as a scenario.
    pub(super) fn scenario_text(&self, trace: &Path) -> String {
        let quote = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let gpus = self.gpus_per_node.unwrap_or(0);
        let cpus = self.procs.or(self.cpus_per_node).unwrap_or(if gpus > 0 { 16 * gpus } else { 64 });
        let mut text = format!("[workload]\ntrace = {}\n", quote(&trace.display().to_string()));
        if self.cut_at_limit {
            text += "cut-at-limit = true\n";
        }
        text += &format!("\n[policy.{}]\n", self.policy);
        let default = CLASSIC.contains(&self.policy.as_str()).then_some("first-fit");
        if let Some(placement) = self.placement.as_deref().or(default) {
            text += &format!("placement = {}\n", quote(placement));
        }
        if let Some(depth) = self.depth {
            text += &format!("depth = {depth}\n");
        }
        let mem_mb = self.mem_per_node_mb.unwrap_or(UNLIMITED_MEM_MB);
        text += &format!("\n[node.node]\ncpus = {cpus}\nmem-mb = {mem_mb}\ngpus = {gpus}\n");
        if gpus > 0 {
            text += &format!("gpu = {}\n", quote(self.gpu.as_deref().unwrap_or("any")));
        }
        let count = self.nodes.unwrap_or(1);
        text += &format!("\n[design.main]\nlabel = {}\n", quote(&self.label(gpus, cpus)));
        text + &format!("\n[design.main.pool.main]\nnode = \"node\"\ncount = {count}\n")
    }

    /// The cluster in a few words, for the head of the table.
    fn label(&self, gpus: u32, cpus: u32) -> String {
        match (self.nodes, gpus) {
            (None, _) => format!("{cpus} processors"),
            (Some(nodes), 0) => format!("{nodes} nodes x {cpus} CPUs"),
            (Some(nodes), _) => {
                format!("{nodes} nodes x {gpus} {}", self.gpu.as_deref().unwrap_or("GPUs"))
            }
        }
    }
}

pub(super) fn replay(args: &ReplayArgs, common: &Common) -> Result<(), Failure> {
    let text = args.cluster.scenario_text(&args.trace);
    let mut sets = args.set.clone();
    sets.extend(args.seed.map(|seed| ("workload.seed".to_owned(), seed.to_string())));
    if let Some(zone) = &args.time_zone {
        let quoted = toml::Value::String(zone.clone()).to_string();
        sets.push(("workload.time-zone".to_owned(), quoted));
    }
    let scenario = scenario::load_text("command line", text, Path::new(""), &sets)?;
    let wish = Wish {
        design: None,
        out: args.out.clone(),
        strict: args.strict,
        referee: args.referee,
        exports: args.exports.clone(),
        single: true,
    };
    run_and_tell(scenario, &wish, common)
}

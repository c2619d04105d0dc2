//! The commented scenario that `windtunnel import slurm` writes: it refers to the site's own files, and
//! shows every option that can be set over them.

use std::fmt::Write as _;

use super::file::{SLURM_OPTIONS, SlurmOption};
use super::sdiag::BackfillCost;
use super::slurm_conf::{Site, compress_hosts};
use crate::scheduler::slurm::config::{PartitionConf, SlurmConfig};

/// What the scenario refers to; paths are relative to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportAnswers {
    /// File name of the scenario, for the commands in its comments.
    pub name: String,
    /// The jobs; without them a generated stand-in.
    pub trace: Option<String>,
    /// slurm.conf.
    pub conf: String,
    /// gres.conf.
    pub gres_conf: Option<String>,
    /// topology.conf.
    pub topology: Option<String>,
    /// Accounts, users, QOS.
    pub assoc: Option<String>,
    /// What the backfill thread takes over a job, from `sdiag`.
    pub backfill: Option<BackfillCost>,
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String does not fail");
}

/// The scenario as TOML.
#[must_use]
pub fn scenario_of_site(answers: &ImportAnswers, site: &Site) -> String {
    let (name, config) = (&answers.name, &site.config);
    let cluster = if config.cluster_name.is_empty() { "a Slurm site" } else { &config.cluster_name };
    let mut out = String::new();
    put(
        &mut out,
        format_args!(
            "# {cluster} as a scenario: jobs replayed under its own slurm.conf.\n\
             #\n\
             #   windtunnel run {name} --out results                     as it is configured\n\
             #   windtunnel compare {name} --what-if bf_interval=60      with another option: who wins, who loses\n\
             #   windtunnel explain JOB --scenario {name}                why a job waited\n\
             #\n\
             # coverage.txt beside this file says what becomes of every option of the site.\n\n\
             title = {}\n\n",
            quoted(&format!("{cluster}: what if?"))
        ),
    );
    workload(&mut out, answers, config);
    describe(&mut out, config);
    policy(&mut out, answers, site);
    designs(&mut out, config);
    out
}

fn workload(out: &mut String, answers: &ImportAnswers, config: &SlurmConfig) {
    if let Some(trace) = &answers.trace {
        put(out, format_args!("[workload]\ntrace = {}    # relative to this file\n", quoted(trace)));
        out.push_str(
            "# scale = { arrivals = 1.2 }     # the same jobs at a rate 20 % higher\n\
             # window = { until-s = 604800 }  # only the first week\n\n",
        );
        return;
    }
    let gpus = |n: &crate::scheduler::slurm::config::NodeConf| n.gres.iter().map(|g| g.count).sum::<u32>();
    let (all, largest) =
        config.nodes.iter().fold((0, 0), |(all, most), n| (all + gpus(n), gpus(n).max(most)));
    out.push_str(
        "# A generated stand-in, so that this file runs: write your own history over it, for instance\n\
         #   trace = \"sacct.txt\"\n[workload]\n\n",
    );
    if all > 0 {
        put(
            out,
            format_args!(
                "[workload.generate.research]\ngpus = {all}\ngpus-per-node = {largest}\ndays = 7.0\n\n"
            ),
        );
    } else {
        let cpus = config.total_cpus().min(u64::from(u32::MAX));
        put(out, format_args!("[workload.generate.lublin]\nprocessors = {cpus}\njobs = 2000\n\n"));
    }
}

/// Nodes and partitions in words.
fn describe(out: &mut String, config: &SlurmConfig) {
    put(out, format_args!("# {} nodes:\n", config.nodes.len()));
    let mut at = 0;
    while at < config.nodes.len() {
        let node = &config.nodes[at];
        let same = config.nodes[at..]
            .iter()
            .take_while(|n| (n.cpus, n.mem_mb, &n.gres) == (node.cpus, node.mem_mb, &node.gres))
            .count();
        let hosts = compress_hosts(config.nodes[at..at + same].iter().map(|n| n.name.as_str()));
        let mut text = format!("{} CPUs, {} MiB", node.cpus, node.mem_mb);
        for gres in &node.gres {
            let kind = gres.device_type.map_or("", |t| config.device_types[t.0 as usize].as_str());
            let kind = if kind.is_empty() { "GPUs" } else { kind };
            put(&mut text, format_args!(", {} x {kind}", gres.count));
        }
        put(out, format_args!("#   {hosts}: {text}\n"));
        at += same;
    }
    out.push_str("# Partitions:\n");
    config.partitions.iter().for_each(|p| put(out, format_args!("#   {}\n", partition(p))));
}

fn partition(partition: &PartitionConf) -> String {
    let mut text = format!("{}: {} nodes", partition.name, partition.nodes.count_ones(..));
    if partition.default {
        text += ", default";
    }
    if let Some(minutes) = partition.max_time_min {
        put(&mut text, format_args!(", at most {minutes} min"));
    }
    if partition.priority_tier != 1 {
        put(&mut text, format_args!(", tier {}", partition.priority_tier));
    }
    text
}

fn policy(out: &mut String, answers: &ImportAnswers, site: &Site) {
    let version = site.config.version;
    put(out, format_args!("[policy.slurm]\nversion = \"{version}\""));
    out.push_str(if site.version_is_known { "\n" } else { "    # assumed: `scontrol --version` tells it\n" });
    put(out, format_args!("conf = {}\n", quoted(&answers.conf)));
    if let Some(path) = &answers.gres_conf {
        put(out, format_args!("gres-conf = {}\n", quoted(path)));
    }
    if let Some(path) = &answers.topology {
        put(out, format_args!("topology = {}\n", quoted(path)));
    }
    match &answers.assoc {
        Some(path) => put(out, format_args!("assoc = {}\n", quoted(path))),
        None => out.push_str(
            "# assoc = \"accounts.txt\"    # `sacctmgr dump`, or `sacctmgr -P show qos` and `show assoc` in one file\n",
        ),
    }
    match answers.backfill {
        Some(fitted) => put(
            out,
            format_args!("backfill_test_us = {}    # from sdiag: {} cycles\n", fitted.test_us, fitted.cycles),
        ),
        None => out.push_str(
            "# backfill_test_us = 500    # cycle length assumed: `import slurm --sdiag FILE` fits it to what sdiag prints\n",
        ),
    }
    if answers.trace.is_none() || answers.assoc.is_none() {
        out.push_str(
            "accountingstorageenforce = \"none\"    # users here are not in the site's accounts; drop this line with both\n",
        );
    }
    out.push_str(
        "# Any of these may be written here, or given as --set policy.slurm.NAME=VALUE; what holds now:\n",
    );
    for option in SLURM_OPTIONS {
        let found = site.coverage.find(option.key);
        let (value, from) = match &found {
            Some((value, row)) => (value.clone(), format!("line {}", row.line)),
            None if option.default.is_empty() => continue,
            None => {
                let default = version.default_of(option.key).unwrap_or(option.default);
                (default.to_owned(), format!("default of {version}"))
            }
        };
        let line = format!("# {} = {}", option.key, written(option, &value));
        put(out, format_args!("{line:<44} # {from}: {}\n", option.meaning.trim()));
    }
    out.push('\n');
}

fn written(option: &SlurmOption, value: &str) -> String {
    if option.is_text { quoted(value) } else { value.to_owned() }
}

fn designs(out: &mut String, config: &SlurmConfig) {
    let partition = config.default_partition().map_or("main", |at| config.partitions[at].name.as_str());
    put(
        out,
        format_args!(
            "# The nodes of slurm.conf are in every design.\n\
             [design.now]\nlabel = \"as configured\"\n\n\
             # The same nodes under other options:\n\
             # [design.slower-backfill.slurm]\n# bf_interval = 120\n\n\
             # More nodes (`windtunnel catalog nodes`, or your own [node.NAME]):\n\
             # [design.more.pool.new]\n# node = \"dgx-h100\"\n# count = 2\n# partitions = [{}]\n\n\
             [compare]\nbaseline = \"now\"\n",
            quoted(partition)
        ),
    );
}

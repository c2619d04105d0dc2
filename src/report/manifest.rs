//! The manifest: all that is needed to run again and get the same bytes.

use serde::{Deserialize, Serialize};

use super::Context;
use crate::experiment::hash_text;
use crate::scenario::{DefaultUsed, Design, Scenario};
use crate::scheduler::slurm::config::{PartitionConf, SlurmConfig};

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of windtunnel.
    pub version: String,
    /// The scenario with every default written out.
    pub scenario: String,
    /// Which of its values are defaults, with their sources: the report of a repeated run tells them too.
    pub defaults_used: Vec<DefaultUsed>,
    /// Designs that were run.
    pub designs: Vec<String>,
    /// Seed.
    pub seed: u64,
    /// The trace, if there is one.
    pub input: Option<ManifestInput>,
    /// SHA-256 of what Slurm's files say, where the policy is Slurm's: [`site_hash`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slurm_sha256: Option<String>,
    /// SHA-256 of what the quotes say, where a design is paid by one: [`quotes_hash`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotes_sha256: Option<String>,
    /// SHA-256 of what the files of outages say, where a design has one: [`outages_hash`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outages_sha256: Option<String>,
}

/// SHA-256 of the events of all designs as they were understood, where some come from a file of outages.
#[must_use]
pub fn outages_hash(scenario: &Scenario) -> Option<String> {
    let mut designs = scenario.designs.iter().filter(|design| design.has_outages).peekable();
    designs.peek()?;
    Some(hash_text(&designs.map(|design| format!("{}{:?}", design.name, design.events)).collect::<String>()))
}

/// SHA-256 of the terms of all designs as they were understood, where lines of a quote are among them.
#[must_use]
pub fn quotes_hash(scenario: &Scenario) -> Option<String> {
    let quoted = scenario.designs.iter().any(|design| !design.money.lines.is_empty());
    let terms = |design: &Design| {
        let pools: Vec<_> = design.pools.iter().map(|pool| &pool.cost).collect();
        format!("{pools:?}{:?}", design.money)
    };
    quoted.then(|| hash_text(&scenario.designs.iter().map(terms).collect::<String>()))
}

/// SHA-256 of the Slurm sites of all designs as they were understood, whatever files they came from.
#[must_use]
pub fn site_hash(scenario: &Scenario) -> Option<String> {
    let sites: Vec<_> = scenario.designs.iter().filter_map(|design| design.slurm.as_deref()).collect();
    (!sites.is_empty()).then(|| hash_text(&sites.iter().map(|site| site_text(site)).collect::<String>()))
}

/// All of a site as text. Nothing may be left out: a field that is added must be added here.
fn site_text(site: &SlurmConfig) -> String {
    let SlurmConfig {
        version,
        cluster_name,
        nodes,
        device_types,
        partitions,
        scheduler,
        main,
        backfill,
        priority,
        preempt,
        select,
        accounting,
        controller,
        sizes,
        licences,
        topology,
    } = site;
    let threads = (scheduler, main, backfill, controller);
    let rules = (priority, preempt, select, accounting);
    let switches = topology.iter().flat_map(|tree| tree.switches()).map(|switch| {
        let nodes: Vec<usize> = switch.nodes.ones().collect();
        format!("{}{:?}{nodes:?}", switch.name, switch.parent)
    });
    let mut text = switches.collect::<String>();
    text += &format!(
        "{version}{cluster_name:?}{nodes:?}{device_types:?}{threads:?}{rules:?}{licences:?}{sizes:?}"
    );
    for partition in partitions {
        let PartitionConf {
            name,
            nodes,
            default,
            max_time_min,
            default_time_min,
            min_nodes,
            max_nodes,
            priority_tier,
            priority_job_factor,
            allow_accounts,
            deny_accounts,
            allow_qos,
            deny_qos,
            over_time_limit_min,
            preempt_mode,
            grace_s,
            qos,
            exclusive,
            exclusive_user,
            least_loaded,
            allow_groups,
            billing,
            state,
            sizes,
        } = partition;
        let nodes: Vec<usize> = nodes.ones().collect();
        let limits = (max_time_min, default_time_min, min_nodes, max_nodes, over_time_limit_min);
        let rank = (priority_tier, priority_job_factor, preempt_mode, grace_s, billing, state);
        let who = (allow_accounts, deny_accounts, allow_qos, deny_qos, allow_groups);
        let nodes_for = (sizes, qos, exclusive, exclusive_user, least_loaded);
        text += &format!("{name:?}{nodes:?}{default:?}{limits:?}{rank:?}{who:?}{nodes_for:?}");
    }
    text
}

/// A file that the run depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestInput {
    /// As the scenario writes it.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

impl Manifest {
    /// The manifest of a run whose trace has this hash.
    #[must_use]
    pub fn new(context: &Context<'_>, input_hash: Option<String>) -> Self {
        let input = context.loaded.input.as_ref().zip(input_hash);
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: context.scenario.resolved_toml.clone(),
            defaults_used: context.scenario.defaults_used.clone(),
            designs: context.results.iter().map(|result| result.design.name.clone()).collect(),
            seed: context.scenario.workload.seed,
            input: input.map(|(file, sha256)| ManifestInput { path: file.written.clone(), sha256 }),
            slurm_sha256: site_hash(context.scenario),
            quotes_sha256: quotes_hash(context.scenario),
            outages_sha256: outages_hash(context.scenario),
        }
    }
}

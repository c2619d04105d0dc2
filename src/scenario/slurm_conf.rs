//! A Slurm site's own files, read as Slurm reads them: `slurm.conf`, `gres.conf`, and the accounting
//! database as the arguments of `sacctmgr -i`.
//!
//! ```text
//!   files ─> lines (Include, continuation, comments) ─> Key=Value with places
//!        ─> nodes, partitions (DEFAULT lines, n[01-16,20]) and parameters ─> SlurmConfig
//!        └> Coverage: every option honoured, approximated, ignored (why) or not yet
//! ```
//!
//! Unknown keys never stop the import: they are in the [`Coverage`]. What cannot be read at all (a range
//! that does not parse, a partition with unknown nodes) is a diagnostic with file, line and column.

mod accounting;
mod contradictions;
mod corrections;
mod coverage;
mod dump;
mod gres;
mod groups;
mod hostlist;
mod lines;
mod names;
mod nodes;
mod overrides;
mod parameters;
mod partitions;
mod removal;
mod sacctmgr;
mod sinfo;
mod sizes;
mod switches;
mod topology;
mod unused;
mod values;
mod words;

use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::scheduler::slurm::config::{SlurmConfig, Version};

pub use coverage::{Coverage, Covered, Treatment};
pub use hostlist::{HostListError, compress_hosts, expand_hosts};
pub use overrides::override_option;
pub use switches::{Topology, read_switches};

/// A site as imported.
#[derive(Clone, Debug)]
pub struct Site {
    /// The typed configuration.
    pub config: SlurmConfig,
    /// What became of every option.
    pub coverage: Coverage,
    /// What is wrong; with errors the configuration must not be used.
    pub diagnostics: Diagnostics,
    /// The version of Slurm was asked for, or is in what `scontrol show config` printed; else it is assumed.
    pub version_is_known: bool,
    names: names::NodeNames,
}

/// Which files to read.
#[derive(Clone, Copy, Debug)]
pub struct SiteFiles<'a> {
    /// `slurm.conf`.
    pub slurm_conf: &'a Path,
    /// `gres.conf`, if there is one.
    pub gres_conf: Option<&'a Path>,
    /// Arguments of `sacctmgr -i`, a command a line, if there is an accounting database.
    pub accounting: Option<&'a Path>,
    /// Whose defaults hold; without it the version that the files name, else the default one.
    pub version: Option<Version>,
}

/// Reads `topology.conf` into the site: by the switches of `topology/tree` nodes are chosen.
pub fn read_topology(path: &Path, site: &mut Site) {
    topology::read(path, &site.names, &mut site.config, &mut site.coverage, &mut site.diagnostics);
}

/// Reads accounts, users, QOS and limits into `config`, which then has an accounting database.
pub fn read_accounting(
    path: &Path,
    config: &mut SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) {
    accounting::apply(path, config, coverage, diagnostics);
}

/// Reads the members of groups, as `getent group` writes them, for `AllowGroups`.
pub fn read_groups(path: &Path, config: &mut SlurmConfig, diagnostics: &mut Diagnostics) {
    groups::read(path, config, diagnostics);
}

/// Reads a site's files.
///
/// # Errors
/// A diagnostic where `slurm.conf` cannot be read at all.
pub fn read_site(files: SiteFiles<'_>) -> Result<Site, Box<Diagnostic>> {
    let mut diagnostics = Diagnostics::default();
    let mut coverage = Coverage::default();
    let lines = lines::read(files.slurm_conf, &mut diagnostics)?;
    let version = files.version.or_else(|| version_in(&lines, &mut diagnostics));
    let mut config = SlurmConfig::of(version.unwrap_or_default());
    parameters::apply(&lines, &mut config, &mut coverage, &mut diagnostics);
    parameters::check_select(&lines, &mut config, &mut diagnostics);
    let names = nodes::apply_nodes(&lines, &mut config, &mut coverage, &mut diagnostics);
    if let Some(path) = files.gres_conf {
        match lines::read(path, &mut diagnostics) {
            Ok(lines) => gres::check(&lines, &names, &config, &mut coverage, &mut diagnostics),
            Err(problem) => diagnostics.push(*problem),
        }
    }
    if let Some(path) = files.accounting {
        accounting::apply(path, &mut config, &mut coverage, &mut diagnostics);
    }
    nodes::apply_sets(&lines, &names, &mut config, &mut coverage, &mut diagnostics);
    partitions::apply_partitions(&lines, &names, &mut config, &mut coverage, &mut diagnostics);
    contradictions::tell(&lines, &config, &mut diagnostics);
    parameters::apply_tres_weights(&lines, &mut config, &mut diagnostics);
    if config.nodes.is_empty() {
        let file: Arc<str> = files.slurm_conf.display().to_string().into();
        diagnostics.push(Diagnostic::error("W0501", "no NodeName line").at(Place::File(file)).help(
            "give the slurm.conf of the controller, with its NodeName and PartitionName lines, or what \
                     `scontrol show config`, `show node` and `show partition` print, one after the other",
        ));
    }
    Ok(Site { config, coverage, diagnostics, version_is_known: version.is_some(), names })
}

/// What `scontrol show config` printed.
fn version_in(lines: &[lines::Line], diagnostics: &mut Diagnostics) -> Option<Version> {
    let pair = lines.iter().find_map(|line| line.get("SLURM_VERSION"))?;
    let unknown = match pair.value.parse::<Version>() {
        Ok(version) => return Some(version),
        Err(unknown) => unknown,
    };
    let told = Diagnostic::warning("W0531", unknown.to_string()).at(pair.place());
    diagnostics.push(
        told.help(
            "the rules and defaults of that version are used; `version` in [policy.slurm] names another",
        ),
    );
    Some(unknown.nearest)
}

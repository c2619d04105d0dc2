//! `[policy.slurm]`: the site's files, its options, and what each design makes of them.
//!
//! With `conf` every design holds the nodes of slurm.conf, and its own pools beside them. Without, the
//! pools are the nodes: one partition of the pool's name, and of several pools one of all (the default).

mod boards;

use std::path::Path;

use self::boards::{Boards, Misfit};
use super::Notes;
use crate::cluster::{Amounts, CardPool, ClusterSpec, NodeSpec, PoolSpec};
use crate::diagnostic::{Diagnostics, nearest};
use crate::scenario::file::{DesignTable, PolicyTable, SlurmTable};
use crate::scenario::gaps;
use crate::scenario::slurm_conf::{self, Coverage, SiteFiles};
use crate::scheduler::slurm::config::{GresCount, NodeConf, PartitionConf, SlurmConfig, Version};

/// What all designs share.
pub(super) struct SlurmSite {
    config: SlurmConfig,
    /// The nodes of slurm.conf, equal neighbours together.
    pools: Vec<PoolSpec>,
    /// How the GPUs of each of these are cut, where their types name MIG profiles.
    boards: Vec<Option<Boards>>,
    /// `JobSubmitPlugins`, where the site has some.
    plugins: Option<String>,
    /// The files could not be used; that is told, and what follows from it need not be.
    broken: bool,
}

impl SlurmSite {
    /// Whether slurm.conf brings nodes.
    pub(super) fn has_nodes(&self) -> bool {
        self.broken || !self.pools.is_empty()
    }

    /// How the boards of its pools are cut, by pool; `None` = plain GPUs.
    pub(super) fn cards(&self) -> impl Iterator<Item = Option<&CardPool>> {
        self.boards.iter().map(|boards| boards.as_ref().map(|boards| &boards.cards))
    }

    /// Names of the devices that `Gres=` counts, however they look: Slurm takes each as a plain name.
    pub(super) fn device_types(&self) -> Vec<String> {
        self.config.device_types.iter().filter(|name| !name.is_empty()).cloned().collect()
    }

    /// A node as most of a partition are, of the default one where none is named.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub(super) fn node_like(&self, partition: &str) -> Result<NodeSpec, (String, String)> {
        let names = || self.config.partitions.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
        let at = match partition {
            "" => self.config.default_partition(),
            name => self.config.partition(name),
        };
        let nodes = at.map(|at| &self.config.partitions[at].nodes);
        let mut kinds: Vec<(&NodeConf, usize)> = Vec::new();
        for node in nodes.into_iter().flat_map(|nodes| nodes.ones()).map(|at| &self.config.nodes[at]) {
            let is_like = |(kind, _): &&mut (&NodeConf, usize)| {
                (kind.cpus, kind.mem_mb, &kind.gres) == (node.cpus, node.mem_mb, &node.gres)
            };
            match kinds.iter_mut().find(is_like) {
                Some((_, count)) => *count += 1,
                None => kinds.push((node, 1)),
            }
        }
        // of equally many the first
        let most = kinds.iter().map(|(_, count)| *count).max();
        let Some((node, _)) = kinds.iter().find(|(_, count)| Some(*count) == most) else {
            let message = format!("slurm.conf has no partition `{partition}` with nodes");
            return Err((message, format!("write `partition:NAME` with one of: {}", names())));
        };
        if boards::of(&self.config, node).is_some() || node.gres.len() > 1 {
            let message = format!("nodes as {} have GPUs of several kinds or cut ones", node.name);
            let help = "write [node.NAME] with what a new node has, and [design.NAME.pool.NAME]";
            return Err((message, help.to_owned()));
        }
        Ok(spec_of(&self.config, node))
    }

    /// The nodes of slurm.conf.
    pub(super) fn pools(&self) -> impl Iterator<Item = &PoolSpec> {
        self.pools.iter()
    }
}

/// The site of `[policy.slurm]`; `None` under every other policy.
pub(super) fn site(notes: &mut Notes<'_>, policy: &mut PolicyTable, directory: &Path) -> Option<SlurmSite> {
    let PolicyTable::Slurm(table) = policy else { return None };
    let version = named_version(notes, table);
    let mut config = SlurmConfig::of(version.unwrap_or_default());
    config.select.memory = true;
    config.select.whole_nodes = false;
    let mut coverage = Coverage::default();
    let mut source = CONVENTION;
    match &table.conf {
        Some(_) => match read_files(notes, table, directory, (version, None)) {
            Some(site) => {
                source = if site.version_is_known { "SLURM_VERSION in the site's file" } else { CONVENTION };
                (config, coverage) = (site.config, site.coverage);
            }
            None => {
                return Some(SlurmSite {
                    config,
                    pools: Vec::new(),
                    boards: Vec::new(),
                    plugins: None,
                    broken: true,
                });
            }
        },
        None => {
            if let Some(path) = file(notes, directory, "assoc", table.assoc.as_deref()) {
                let mut told = Diagnostics::default();
                slurm_conf::read_accounting(&path, &mut config, &mut coverage, &mut told);
                notes.problems.extend(told.kept().iter().cloned());
            }
            for (key, _) in [("gres-conf", &table.gres_conf), ("topology", &table.topology)]
                .into_iter()
                .filter(|(_, written)| written.is_some())
            {
                let message = format!("`policy.slurm.{key}` belongs to a slurm.conf, and there is none");
                notes.error_help("W0225", &["policy", "slurm", key], message, "write `conf` too");
            }
        }
    }
    if let Some(path) = file(notes, directory, "groups", table.groups.as_deref()) {
        slurm_conf::read_groups(&path, &mut config, &mut notes.problems);
    }
    let shown = config.version.to_string();
    notes.or_default(
        &mut table.version,
        shown.clone(),
        &shown,
        &["policy", "slurm", "version"],
        source,
        None,
    );
    for (key, value) in table.given().into_iter().filter(|(key, _)| *key != "version") {
        if table.backfill.is_some() && key.starts_with("bf_") {
            let message = format!("`{key}` belongs to Slurm's backfill thread, which `backfill` replaces");
            let help = "leave out one of the two";
            notes.error_help("W0225", &["policy", "slurm", key], message, help);
        } else {
            set_option(notes, &mut config, &["policy", "slurm", key], key, &value);
        }
    }
    if table.conf.is_none() && table.selecttypeparameters.is_none() {
        let path = ["policy", "slurm", "selecttypeparameters"];
        let default = "CR_Core_Memory".to_owned();
        notes.or_convention(&mut table.selecttypeparameters, default, "CR_Core_Memory", &path);
    }
    note_defaults(notes, table, &coverage, config.version);
    if config.backfill.test_us.is_none() && !config.backfill.rule.is_ideal() {
        notes.gaps.push(gaps::cycle_length());
    }
    refuse_misfit(notes, &config);
    let (pools, boards) = pools_of(&config);
    Some(SlurmSite { config, pools, boards, plugins: plugins_of(&coverage), broken: false })
}

/// `JobSubmitPlugins` of a site's files.
fn plugins_of(coverage: &Coverage) -> Option<String> {
    let is_it = |row: &&slurm_conf::Covered| row.option.eq_ignore_ascii_case("JobSubmitPlugins");
    let row = coverage.rows.iter().rfind(is_it)?;
    let none = ["none", "(null)", "n/a", ""].contains(&row.value.to_ascii_lowercase().as_str());
    (!none).then(|| row.value.clone())
}

/// A plugin of the site changes jobs when they are submitted: under other options it might change them otherwise.
pub(super) fn warn_of_plugins(notes: &mut Notes<'_>, site: Option<&SlurmSite>, designs: usize) {
    let Some(plugins) = site.and_then(|site| site.plugins.as_ref()).filter(|_| designs > 1) else { return };
    let message =
        format!("the site has JobSubmitPlugins={plugins}, which may change jobs at their submission");
    let help = "the trace holds jobs as the plugin left them: whether it would do the same under another configuration \
                is not known here";
    notes.warning("W0533", &["policy", "slurm", "conf"], message, help);
}

/// The site of a design that has a slurm.conf of its own: its files, and nothing of the options of `[policy.slurm]`.
pub(super) fn own_site(
    notes: &mut Notes<'_>,
    policy: &PolicyTable,
    (design, table): (&str, &DesignTable),
    directory: &Path,
) -> Option<SlurmSite> {
    let own = table.slurm.as_deref()?;
    let PolicyTable::Slurm(shared) = policy else { return None };
    let beside = [("gres-conf", &own.gres_conf), ("topology", &own.topology), ("assoc", &own.assoc)];
    if own.conf.is_none() {
        for (key, _) in beside.into_iter().filter(|(_, written)| written.is_some()) {
            let message =
                format!("`{key}` of a design belongs to a slurm.conf of its own, and there is none");
            notes.error_help("W0225", &["design", design, "slurm", key], message, "write `conf` too");
        }
        return None;
    }
    let files = SlurmTable {
        conf: own.conf.clone(),
        gres_conf: own.gres_conf.clone(),
        topology: own.topology.clone(),
        assoc: own.assoc.clone().or_else(|| shared.assoc.clone()),
        groups: shared.groups.clone(),
        ..SlurmTable::default()
    };
    let version = own.version.as_deref().or(shared.version.as_deref()).and_then(|text| text.parse().ok());
    let broken = |config| {
        Some(SlurmSite { config, pools: Vec::new(), boards: Vec::new(), plugins: None, broken: true })
    };
    let Some(site) = read_files(notes, &files, directory, (version, Some(design))) else {
        return broken(SlurmConfig::of(version.unwrap_or_default()));
    };
    let (mut config, plugins) = (site.config, plugins_of(&site.coverage));
    if let Some(path) = file(notes, directory, "groups", files.groups.as_deref()) {
        slurm_conf::read_groups(&path, &mut config, &mut notes.problems);
    }
    refuse_misfit(notes, &config);
    let (pools, boards) = pools_of(&config);
    Some(SlurmSite { config, pools, boards, plugins, broken: false })
}

/// `h100_1g.5gb` is no board that there is: any other reading would be a guess at its speed and size.
fn refuse_misfit(notes: &mut Notes<'_>, config: &SlurmConfig) {
    let Some(Misfit { kind, profile, model, other }) = boards::misfit(config) else { return };
    let message = format!("the GRES type `{kind}` names a MIG profile that {} does not have", model.name);
    let own: Vec<&str> = model.profiles().map(|(_, profile)| profile.name.as_str()).collect();
    let help = format!(
        "`{profile}` is a profile of {}; {} has {}; a type that ends with no profile is a plain name",
        other.name,
        model.name,
        own.join(", ")
    );
    notes.error_help("W0267", &["policy", "slurm", "conf"], message, &help);
}

fn set_option(notes: &mut Notes<'_>, config: &mut SlurmConfig, path: &[&str], key: &str, value: &str) {
    if let Err(why) = slurm_conf::override_option(config, key, value) {
        notes.error("W0403", path, format!("Slurm's option `{key}` cannot be \"{value}\": {why}"));
    }
}

/// Where the version is from if nobody names it.
const CONVENTION: &str = "convention of Windtunnel: no file names one";

/// The version that the table names.
fn named_version(notes: &mut Notes<'_>, table: &SlurmTable) -> Option<Version> {
    match table.version.as_deref()?.parse::<Version>() {
        Ok(version) => Some(version),
        Err(unknown) => {
            let help = format!("write \"{}\", or what `scontrol --version` prints", unknown.nearest);
            notes.error_help("W0531", &["policy", "slurm", "version"], unknown.to_string(), &help);
            None
        }
    }
}

fn note_defaults(notes: &mut Notes<'_>, table: &mut SlurmTable, coverage: &Coverage, version: Version) {
    let source = format!("slurm.conf(5) of Slurm {version}");
    let named = table.backfill.is_some();
    let is_set = |key: &str| coverage.sets(key) || (named && key.starts_with("bf_"));
    for (key, value) in table.fill(version, &is_set) {
        let mut written = None;
        notes.or_default(&mut written, (), value, &["policy", "slurm", key], &source, None);
    }
}

/// A file of the table, which must be there.
fn file(
    notes: &mut Notes<'_>,
    directory: &Path,
    setting: &str,
    written: Option<&str>,
) -> Option<std::path::PathBuf> {
    let path = directory.join(written?);
    if path.is_file() {
        return Some(path);
    }
    let message = format!("there is no file `{}`", path.display());
    let help = "the path is relative to the scenario file";
    notes.error_help("W0502", &["policy", "slurm", setting], message, help);
    None
}

fn read_files(
    notes: &mut Notes<'_>,
    table: &SlurmTable,
    directory: &Path,
    (version, design): (Option<Version>, Option<&str>),
) -> Option<slurm_conf::Site> {
    let before = notes.problems.errors();
    let slurm_conf = file(notes, directory, "conf", table.conf.as_deref());
    let gres_conf = file(notes, directory, "gres-conf", table.gres_conf.as_deref());
    let accounting = file(notes, directory, "assoc", table.assoc.as_deref());
    let topology = file(notes, directory, "topology", table.topology.as_deref());
    if notes.problems.errors() > before {
        return None;
    }
    let files = SiteFiles {
        slurm_conf: &slurm_conf?,
        gres_conf: gres_conf.as_deref(),
        accounting: accounting.as_deref(),
        version,
    };
    match slurm_conf::read_site(files) {
        Ok(mut site) => {
            if let Some(path) = topology {
                slurm_conf::read_topology(&path, &mut site);
            }
            notes.problems.extend(site.diagnostics.kept().iter().cloned());
            warn_of_gaps(notes, &site.coverage);
            notes.gaps.extend(gaps::of_site(&site.coverage, design));
            Some(site)
        }
        Err(problem) => {
            notes.problems.push(*problem);
            None
        }
    }
}

/// Options of the site that this version does not model.
fn warn_of_gaps(notes: &mut Notes<'_>, coverage: &Coverage) {
    const NAMED: usize = 8;
    let mut names: Vec<&str> = coverage.of("not yet").map(|row| row.option.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return;
    }
    let more = names.len().saturating_sub(NAMED);
    let list = names[..names.len() - more].join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("options of the Slurm site that are not modelled and may matter: {list}{more}");
    let help = "`windtunnel import slurm` tells what became of every option";
    notes.warning("W0530", &["policy", "slurm", "conf"], message, help);
}

/// Neighbouring nodes that are equal are a pool.
fn pools_of(config: &SlurmConfig) -> (Vec<PoolSpec>, Vec<Option<Boards>>) {
    let mut pools: Vec<(PoolSpec, usize)> = Vec::new();
    for (at, node) in config.nodes.iter().enumerate() {
        let spec = spec_of(config, node);
        match pools.last_mut() {
            Some((pool, first))
                if pool.node.capacity == spec.capacity
                    && pool.node.features == spec.features
                    && config.nodes[*first].gres == node.gres =>
            {
                pool.count += 1;
            }
            _ => pools.push((PoolSpec { name: String::new(), node: spec, count: 1, dedicated: None }, at)),
        }
    }
    let name = |(mut pool, first): (PoolSpec, usize)| {
        let (from, to) = (&config.nodes[first].name, &config.nodes[first + pool.count as usize - 1].name);
        pool.name = if from == to { from.clone() } else { format!("{from}-{to}") };
        pool.node.name.clone_from(&pool.name);
        pool
    };
    let boards = pools.iter().map(|(_, first)| boards::of(config, &config.nodes[*first])).collect();
    (pools.into_iter().map(name).collect(), boards)
}

fn spec_of(config: &SlurmConfig, node: &NodeConf) -> NodeSpec {
    let boards = boards::of(config, node);
    let gpu_type = match node.gres.as_slice() {
        _ if boards.is_some() => boards.as_ref().map(|boards| boards.model.name.clone()),
        [one] => one.device_type.map(|kind| config.device_types[kind.0 as usize].clone()),
        _ => None,
    };
    NodeSpec {
        name: node.name.clone(),
        capacity: Amounts {
            cpus: node.cpus,
            gpus: match boards {
                Some(boards) => boards.count,
                None => node.gres.iter().map(|gres| gres.count).sum(),
            },
            mem_mb: node.mem_mb,
        },
        gpu_type: gpu_type.filter(|name| !name.is_empty()),
        gpu_mem_mib: None,
        features: node.features.clone(),
    }
}

/// The site of one design: `cluster` begins with the nodes of slurm.conf, if there is one.
pub(super) fn of_design(
    notes: &mut Notes<'_>,
    site: Option<&SlurmSite>,
    name: &str,
    table: &DesignTable,
    cluster: &ClusterSpec,
) -> Option<Box<SlurmConfig>> {
    let Some(site) = site else {
        refuse_slurm_settings(notes, name, table);
        return None;
    };
    if site.broken {
        return None;
    }
    let mut config = site.config.clone();
    let own = &cluster.pools[site.pools.len()..];
    let first_own = config.nodes.len();
    for pool in own {
        let first = config.nodes.len();
        add_nodes(notes, &mut config, name, pool);
        let nodes = first..config.nodes.len();
        config.topology = config.topology.map(|tree| tree.with_leaf(&pool.name, nodes));
    }
    if site.has_nodes() {
        join_partitions(notes, &mut config, name, table, own, first_own);
    } else {
        make_partitions(&mut config, table, own);
    }
    for (key, value) in table.slurm.iter().flat_map(|options| options.given()) {
        set_option(notes, &mut config, &["design", name, "slurm", key], key, &value);
    }
    Some(Box::new(config))
}

fn refuse_slurm_settings(notes: &mut Notes<'_>, name: &str, table: &DesignTable) {
    let help = "write [policy.slurm], or leave it out";
    if table.slurm.is_some() && notes.problems.errors() == 0 {
        let message = format!("the design `{name}` changes options of Slurm, and the policy is another");
        notes.error_help("W0225", &["design", name, "slurm"], message, help);
    }
    for (pool, _) in table.pool.iter().filter(|(_, pool)| pool.partitions.is_some()) {
        if notes.problems.errors() == 0 {
            let path = ["design", name, "pool", pool, "partitions"];
            let message = "a pool has partitions only where the policy is Slurm's";
            notes.error_help("W0225", &path, message, help);
        }
    }
}

fn add_nodes(notes: &mut Notes<'_>, config: &mut SlurmConfig, design: &str, pool: &PoolSpec) {
    let capacity = pool.node.capacity;
    let device = pool.node.gpu_type.as_deref().unwrap_or("");
    let gres = if capacity.gpus > 0 {
        vec![GresCount { device_type: Some(config.device_type(device)), count: capacity.gpus }]
    } else {
        Vec::new()
    };
    let number = |node: &NodeConf| node.name.strip_prefix(pool.name.as_str())?.parse::<u32>().ok();
    let taken = config.nodes.iter().find(|node| number(node).is_some_and(|at| at < pool.count));
    if let Some(node) = taken {
        let message = format!("there is a node `{}` already, as the pool would name its own", node.name);
        let path = ["design", design, "pool", pool.name.as_str()];
        notes.error_help("W0225", &path, message, "give the pool another name");
    }
    for at in 0..pool.count {
        config.nodes.push(NodeConf {
            name: format!("{}{at}", pool.name),
            cpus: capacity.cpus,
            mem_mb: capacity.mem_mb,
            gres: gres.clone(),
            weight: 1,
            features: pool.node.features.clone(),
            unusable: false,
        });
    }
}

/// Nodes of own pools go into partitions of slurm.conf.
fn join_partitions(
    notes: &mut Notes<'_>,
    config: &mut SlurmConfig,
    design: &str,
    table: &DesignTable,
    own: &[PoolSpec],
    first_own: usize,
) {
    let nodes = config.nodes.len();
    let known: Vec<String> = config.partitions.iter().map(|p| p.name.clone()).collect();
    let mut first = first_own;
    let with_all: Vec<bool> =
        config.partitions.iter().map(|p| p.nodes.count_ones(..) == first_own || p.default).collect();
    for partition in &mut config.partitions {
        partition.nodes.grow(nodes);
    }
    for pool in own {
        let range = first..first + pool.count as usize;
        first = range.end;
        let asked = table.pool.get(&pool.name).and_then(|table| table.partitions.as_ref());
        for name in asked.into_iter().flatten().filter(|name| !known.contains(*name)) {
            let message = format!("slurm.conf has no partition `{name}`");
            let help = match nearest(name, known.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("one of: {}", known.join(", ")),
            };
            let path = ["design", design, "pool", pool.name.as_str(), "partitions"];
            notes.error_help("W0511", &path, message, help);
        }
        for (partition, with_all) in config.partitions.iter_mut().zip(&with_all) {
            let joins = asked.map_or(*with_all, |names| names.contains(&partition.name));
            if joins {
                partition.nodes.insert_range(range.clone());
            }
        }
    }
}

/// Partitions of a design without slurm.conf: those that its pools name, the first of them the default;
/// where none is named, one for each pool, and the default one of all where there are several.
fn make_partitions(config: &mut SlurmConfig, table: &DesignTable, own: &[PoolSpec]) {
    let named = |pool: &PoolSpec| table.pool.get(&pool.name).and_then(|table| table.partitions.clone());
    let any_named = own.iter().any(|pool| named(pool).is_some());
    let add = |config: &mut SlurmConfig, name: &str, range: std::ops::Range<usize>| {
        let at = config.partition(name).unwrap_or_else(|| {
            config.partitions.push(PartitionConf::new(name, config.no_nodes()));
            config.partitions.len() - 1
        });
        config.partitions[at].nodes.insert_range(range);
    };
    if !any_named && own.len() > 1 && own.iter().all(|pool| pool.name != "all") {
        let all = 0..config.nodes.len();
        add(config, "all", all);
    }
    let mut first = 0;
    for pool in own {
        let range = first..first + pool.count as usize;
        first = range.end;
        for name in named(pool).unwrap_or_else(|| vec![pool.name.clone()]) {
            add(config, &name, range.clone());
        }
    }
    if let Some(partition) = config.partitions.first_mut() {
        partition.default = true;
    }
}

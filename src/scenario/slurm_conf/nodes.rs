//! `NodeName` and `PartitionName` lines with their DEFAULT lines, and `gres.conf` against them.

use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::scheduler::slurm::config::{GresCount, NodeConf, PartitionConf, PartitionState, SlurmConfig};

use super::coverage::{Coverage, Treatment};
use super::hostlist::{HostListError, expand_hosts};
use super::lines::{Line, Pair};
use super::{parameters, values};

/// Reads all `NodeName` lines in order.
pub(super) fn apply_nodes(
    lines: &[Line],
    config: &mut SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) {
    let mut defaults: Vec<Pair> = Vec::new();
    for line in lines.iter().filter(|l| l.pairs[0].is("NodeName")) {
        let name = &line.pairs[0];
        for pair in &line.pairs {
            coverage.note(pair, node_treatment(pair));
        }
        if name.value.eq_ignore_ascii_case("DEFAULT") {
            defaults.extend(line.pairs[1..].iter().cloned());
            continue;
        }
        let Some(hosts) = hosts_of(name, diagnostics) else { continue };
        let node = node_of(&defaults, &line.pairs[1..], config, diagnostics);
        for host in hosts {
            if config.nodes.iter().any(|n| n.name == host) {
                diagnostics.push(
                    Diagnostic::error("W0506", format!("node {host} is defined twice")).at(name.place()),
                );
                continue;
            }
            config.nodes.push(NodeConf { name: host, ..node.clone() });
        }
    }
}

fn hosts_of(pair: &Pair, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
    expand_hosts(&pair.value)
        .map_err(|why| {
            let part = match &why {
                HostListError::Range(part) => part.as_str(),
                _ => pair.value.as_str(),
            };
            diagnostics.push(
                Diagnostic::error("W0505", format!("`{}`: {why}", pair.value))
                    .at(pair.place_of(part))
                    .help("write ranges as n[01-16,20]"),
            );
        })
        .ok()
}

fn node_of(
    defaults: &[Pair],
    own: &[Pair],
    config: &mut SlurmConfig,
    diagnostics: &mut Diagnostics,
) -> NodeConf {
    let mut node = NodeConf {
        name: String::new(),
        cpus: 0,
        mem_mb: 1,
        gres: Vec::new(),
        weight: 1,
        features: Vec::new(),
        unusable: false,
    };
    let (mut boards, mut sockets, mut cores, mut threads) = (1u32, 1u32, 1u32, 1u32);
    for pair in defaults.iter().chain(own) {
        let key = pair.key.to_ascii_lowercase();
        let mut number = || number(pair, diagnostics);
        match key.as_str() {
            "cpus" | "procs" => node.cpus = number(),
            "boards" => boards = number(),
            "sockets" | "socketsperboard" => sockets = number(),
            "corespersocket" => cores = number(),
            "threadspercore" => threads = number(),
            "weight" => node.weight = number(),
            "realmemory" => node.mem_mb = u64::from(number()),
            "gres" => node.gres = gres_of(pair, config, diagnostics),
            "feature" | "features" => node.features = pair.value.split(',').map(str::to_owned).collect(),
            "state" => {
                let first = pair.value.split('+').next().unwrap_or("").to_ascii_uppercase();
                node.unusable = ["DOWN", "DRAIN", "FAIL", "FUTURE"].contains(&first.as_str());
            }
            _ => {}
        }
    }
    if node.cpus == 0 {
        node.cpus = boards.max(1) * sockets * cores * threads;
    }
    node
}

fn number(pair: &Pair, diagnostics: &mut Diagnostics) -> u32 {
    pair.value.parse().unwrap_or_else(|_| {
        diagnostics.push(
            Diagnostic::error("W0507", format!("`{}` is no whole number", pair.value)).at(pair.place()),
        );
        0
    })
}

/// `gpu:h100:4,gpu:h100_1g.10gb:28`, `gpu:8`; other GRES are counted nowhere yet.
fn gres_of(pair: &Pair, config: &mut SlurmConfig, diagnostics: &mut Diagnostics) -> Vec<GresCount> {
    let mut out = Vec::new();
    let mut total = 0;
    for item in pair.value.split(',') {
        let item = item.split('(').next().unwrap_or(item);
        let parts: Vec<&str> = item.split(':').filter(|p| *p != "no_consume").collect();
        if parts.first() != Some(&"gpu") {
            diagnostics.push(
                Diagnostic::warning("W0508", format!("GRES `{item}` is not modelled: only gres/gpu is"))
                    .at(pair.place()),
            );
            continue;
        }
        let (kind, count) = match parts[1..] {
            [count] => ("", count),
            [kind, count, ..] => (kind, count),
            [] => ("", "1"),
        };
        let Ok(count) = count.parse::<u32>() else {
            diagnostics.push(Diagnostic::error("W0507", format!("`{item}` names no count")).at(pair.place()));
            continue;
        };
        total += count;
        out.push(GresCount { device_type: Some(config.device_type(kind)), count });
    }
    if total > 64 {
        diagnostics.push(
            Diagnostic::error("W0509", format!("{total} devices on a node; at most 64 are supported"))
                .at(pair.place()),
        );
        out.clear();
    }
    out
}

/// `gres.conf` has to name the devices that `slurm.conf` counts.
pub(super) fn check_gres(
    lines: &[Line],
    config: &SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) {
    for line in lines {
        for pair in &line.pairs {
            coverage.note(pair, gres_treatment(&pair.key));
        }
        let Some(kind) = line.get("Type") else { continue };
        if line.get("Name").is_some_and(|n| n.value == "gpu")
            && config.find_device_type(&kind.value).is_none()
        {
            diagnostics.push(
                Diagnostic::warning(
                    "W0510",
                    format!("type {} has no count in any Gres= of slurm.conf", kind.value),
                )
                .at(kind.place()),
            );
        }
    }
}

/// Reads `NodeSet`, `DownNodes` and `FrontendName` lines.
pub(super) fn apply_sets(
    lines: &[Line],
    config: &mut SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) {
    for line in lines {
        let first = &line.pairs[0];
        let treat = |pair: &Pair| match (
            first.key.to_ascii_lowercase().as_str(),
            pair.key.to_ascii_lowercase().as_str(),
        ) {
            ("nodeset", "nodeset" | "nodes") | ("downnodes", "downnodes" | "state") => Treatment::Honoured,
            ("nodeset", "feature") => Treatment::NotYet("sets of nodes by feature"),
            ("downnodes", "reason") => Treatment::Ignored("no influence on when or where jobs start"),
            ("frontendname", _) => Treatment::NotYet("front-end nodes"),
            _ => Treatment::NotYet("unknown to this version"),
        };
        if ["NodeSet", "DownNodes", "FrontendName"].iter().any(|key| first.is(key)) {
            line.pairs.iter().for_each(|pair| coverage.note(pair, treat(pair)));
        }
        if first.is("DownNodes") {
            for host in hosts_of(first, diagnostics).into_iter().flatten() {
                match config.nodes.iter_mut().find(|node| node.name == host) {
                    Some(node) => node.unusable = true,
                    None => {
                        let message = format!("DownNodes names node {host}, which no NodeName line defines");
                        diagnostics.push(Diagnostic::error("W0511", message).at(first.place()));
                    }
                }
            }
        }
    }
}

/// Reads all `PartitionName` lines in order.
pub(super) fn apply_partitions(
    lines: &[Line],
    config: &mut SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) {
    let sets: Vec<(String, Vec<String>)> = lines
        .iter()
        .filter(|l| l.pairs[0].is("NodeSet"))
        .filter_map(|l| Some((l.pairs[0].value.clone(), expand_hosts(&l.get("Nodes")?.value).ok()?)))
        .collect();
    let mut defaults: Vec<Pair> = Vec::new();
    for line in lines.iter().filter(|l| l.pairs[0].is("PartitionName")) {
        for pair in &line.pairs {
            coverage.note(pair, partition_treatment(pair, config));
        }
        let name = &line.pairs[0];
        if name.value.eq_ignore_ascii_case("DEFAULT") {
            defaults.extend(line.pairs[1..].iter().cloned());
            continue;
        }
        let mut partition = PartitionConf::new(&name.value, config.no_nodes());
        for pair in defaults.iter().chain(&line.pairs[1..]) {
            set_partition(&mut partition, pair, &sets, config, diagnostics);
        }
        if config.partition(&name.value).is_some() {
            let message = format!("partition {} is defined twice", name.value);
            diagnostics.push(Diagnostic::error("W0506", message).at(name.place()));
            continue;
        }
        config.partitions.push(partition);
    }
}

fn set_partition(
    partition: &mut PartitionConf,
    pair: &Pair,
    sets: &[(String, Vec<String>)],
    config: &mut SlurmConfig,
    diagnostics: &mut Diagnostics,
) {
    let mut minutes = || {
        values::minutes(&pair.value).unwrap_or_else(|()| {
            diagnostics
                .push(Diagnostic::error("W0507", format!("`{}` is no time", pair.value)).at(pair.place()));
            None
        })
    };
    match pair.key.to_ascii_lowercase().as_str() {
        "nodes" => set_partition_nodes(partition, pair, sets, config, diagnostics),
        "default" => partition.default = values::yes(&pair.value).unwrap_or(false),
        "maxtime" => partition.max_time_min = minutes(),
        "defaulttime" | "defmaxtime" => partition.default_time_min = minutes(),
        "overtimelimit" => partition.over_time_limit_min = minutes(),
        "minnodes" => partition.min_nodes = number(pair, diagnostics),
        "maxnodes" if pair.value.eq_ignore_ascii_case("UNLIMITED") => partition.max_nodes = None,
        "maxnodes" => partition.max_nodes = Some(number(pair, diagnostics)),
        "prioritytier" => {
            partition.priority_tier = u16::try_from(number(pair, diagnostics)).unwrap_or(u16::MAX)
        }
        "priorityjobfactor" => partition.priority_job_factor = number(pair, diagnostics),
        "priority" => {
            partition.priority_job_factor = number(pair, diagnostics);
            partition.priority_tier = u16::try_from(partition.priority_job_factor).unwrap_or(u16::MAX);
        }
        "tresbillingweights" => match values::tres_weights(&pair.value, &mut config.accounting.tres) {
            Ok(weights) => partition.billing = weights,
            Err(part) => {
                diagnostics
                    .push(Diagnostic::error("W0507", format!("`{part}` is no weight")).at(pair.place()));
            }
        },
        "state" => {
            let word = pair.value.to_ascii_uppercase();
            partition.state = PartitionState {
                submit: word == "UP" || word == "DOWN",
                schedule: word == "UP" || word == "DRAIN",
            };
        }
        _ => set_partition_rules(partition, pair, config, diagnostics),
    }
}

/// Who may use a partition, and how its jobs get along with others.
fn set_partition_rules(
    partition: &mut PartitionConf,
    pair: &Pair,
    config: &SlurmConfig,
    diagnostics: &mut Diagnostics,
) {
    let list = || Some(pair.value.split(',').map(str::to_owned).collect::<Vec<_>>());
    let unless_all = || if pair.value.eq_ignore_ascii_case("ALL") { None } else { list() };
    match pair.key.to_ascii_lowercase().as_str() {
        "allowaccounts" => partition.allow_accounts = unless_all(),
        "denyaccounts" => partition.deny_accounts = list().unwrap_or_default(),
        "allowqos" => partition.allow_qos = unless_all(),
        "denyqos" => partition.deny_qos = list().unwrap_or_default(),
        "preemptmode" => {
            partition.preempt_mode = Some(parameters::preempt_mode(&pair.value.to_ascii_lowercase()));
        }
        "gracetime" => partition.grace_s = i64::from(number(pair, diagnostics)),
        "oversubscribe" | "shared" => partition.exclusive = pair.value.eq_ignore_ascii_case("EXCLUSIVE"),
        "exclusiveuser" => partition.exclusive_user = values::yes(&pair.value).unwrap_or(false),
        "lln" => partition.least_loaded = values::yes(&pair.value).unwrap_or(false),
        "selecttypeparameters" => {
            partition.least_loaded |= pair.value.to_ascii_lowercase().contains("cr_lln");
        }
        "allowgroups" => partition.allow_groups = unless_all(),
        "qos" => match config.accounting.find_qos(&pair.value) {
            Some(qos) => partition.qos = Some(qos),
            None => {
                let message =
                    format!("partition {} names QOS {}, which is not known", partition.name, pair.value);
                let help = "give the accounting database (`assoc`): without that QOS the partition has no limits of one";
                diagnostics.push(Diagnostic::warning("W0515", message).at(pair.place()).help(help));
            }
        },
        _ => {}
    }
}

fn set_partition_nodes(
    partition: &mut PartitionConf,
    pair: &Pair,
    sets: &[(String, Vec<String>)],
    config: &SlurmConfig,
    diagnostics: &mut Diagnostics,
) {
    partition.nodes.clear();
    if pair.value.eq_ignore_ascii_case("ALL") {
        partition.nodes.insert_range(..);
        return;
    }
    let Some(mut hosts) = hosts_of(pair, diagnostics) else { return };
    for (name, members) in sets {
        if let Some(at) = hosts.iter().position(|h| h == name) {
            hosts.splice(at..=at, members.iter().cloned());
        }
    }
    for host in hosts {
        match config.nodes.iter().position(|n| n.name == host) {
            Some(at) => partition.nodes.insert(at),
            None => {
                let message =
                    format!("partition {} names node {host}, which no NodeName line defines", partition.name);
                let mut told = Diagnostic::error("W0511", message).at(pair.place());
                if let Some(near) = nearest(&host, config.nodes.iter().map(|n| n.name.as_str())) {
                    told = told.help(format!("did you mean {near}?"));
                }
                diagnostics.push(told);
            }
        }
    }
}

fn node_treatment(pair: &Pair) -> Treatment {
    let cloud = pair.value.to_ascii_uppercase().contains("CLOUD");
    match pair.key.to_ascii_lowercase().as_str() {
        "state" if cloud => Treatment::NotYet("power saving: nodes of the cloud are always on"),
        "nodename" | "cpus" | "procs" | "boards" | "sockets" | "socketsperboard" | "corespersocket"
        | "threadspercore" | "realmemory" | "gres" | "weight" | "feature" | "features" | "state" => {
            Treatment::Honoured
        }
        "nodehostname" | "nodeaddr" | "port" | "reason" | "tmpdisk" | "bcastaddr" | "cpubind" => {
            Treatment::Ignored("no influence on when or where jobs start")
        }
        "corespeccount" | "cpuspeclist" | "memspeclimit" => {
            Treatment::NotYet("specialised cores and memory are counted as usable")
        }
        _ => Treatment::NotYet("unknown to this version"),
    }
}

fn gres_treatment(key: &str) -> Treatment {
    match key.to_ascii_lowercase().as_str() {
        "name" | "type" | "nodename" => Treatment::Honoured,
        "file" | "count" | "autodetect" | "flags" | "multiplefiles" => {
            Treatment::Ignored("devices are counted by Gres= of slurm.conf, numbered in its order")
        }
        "cores" | "cpus" | "links" => {
            Treatment::Approximated("locality of devices is not used in the choice")
        }
        _ => Treatment::NotYet("unknown to this version"),
    }
}

fn partition_treatment(pair: &Pair, config: &SlurmConfig) -> Treatment {
    let qos_known = config.accounting.find_qos(&pair.value).is_some();
    let upper = pair.value.to_ascii_uppercase();
    match pair.key.to_ascii_lowercase().as_str() {
        "preemptmode" if upper.contains("SUSPEND") || upper.contains("GANG") => {
            Treatment::NotYet("suspend and gang: jobs of this partition are not preempted")
        }
        "oversubscribe" | "shared" if ["NO", "EXCLUSIVE", "FORCE:1"].contains(&upper.as_str()) => {
            Treatment::Honoured
        }
        "oversubscribe" | "shared" if upper.starts_with("YES") => {
            Treatment::Approximated("as NO: jobs of a trace do not ask for --oversubscribe")
        }
        "oversubscribe" | "shared" => Treatment::NotYet("FORCE: a CPU holds one job at a time"),
        "partitionname" | "nodes" | "default" | "maxtime" | "defaulttime" | "minnodes" | "maxnodes"
        | "prioritytier" | "priorityjobfactor" | "priority" | "allowaccounts" | "denyaccounts"
        | "allowqos" | "denyqos" | "state" | "tresbillingweights" | "overtimelimit" | "preemptmode"
        | "lln" | "exclusiveuser" => Treatment::Honoured,
        "qos" if qos_known => Treatment::Honoured,
        "qos" => Treatment::NotYet("the QOS is in no file of accounts that was given: no limits"),
        "allowgroups" if upper == "ALL" => Treatment::Honoured,
        "allowgroups" => Treatment::Approximated(
            "by `groups` of [policy.slurm] (getent group); without it everybody is let in",
        ),
        "selecttypeparameters" if upper == "CR_LLN" => Treatment::Honoured,
        "selecttypeparameters" => {
            Treatment::NotYet("CPUs, cores and sockets are counted as in the whole cluster")
        }
        "exclusivetopo" if upper == "NO" => Treatment::Honoured,
        "gracetime" if pair.value == "0" => Treatment::Honoured,
        "gracetime" => {
            Treatment::Approximated("jobs use up their grace: what they do on SIGTERM is not known")
        }
        "alternate" => Treatment::NotYet("jobs are not moved to another partition"),
        "maxcpuspernode" | "maxcpuspersocket" | "maxmempernode" | "maxmempercpu" => {
            Treatment::NotYet("limits on what a job takes of a node")
        }
        "defmempernode" | "defmempercpu" | "defcpupergpu" | "defmempergpu" | "jobdefaults" => {
            Treatment::NotYet("jobs ask for memory and CPUs as recorded")
        }
        "suspendtime" | "suspendtimeout" | "resumetimeout" | "powerdownonidle" => {
            Treatment::NotYet("power saving: nodes are always on")
        }
        "hidden" | "rootonly" | "reqresv" | "allowallocnodes" | "disablerootjobs" | "cpubind" => {
            Treatment::Ignored("about who may see or submit, not about when jobs start")
        }
        _ => Treatment::NotYet("unknown to this version"),
    }
}

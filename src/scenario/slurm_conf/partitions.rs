//! `PartitionName` lines with their DEFAULT lines.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scheduler::slurm::config::{PartitionConf, PartitionState, SlurmConfig};

use super::coverage::{Coverage, Treatment};
use super::lines::{Line, Pair};
use super::names::{NodeNames, NodeSets};
use super::nodes::{hosts_of, number, tell_repeated, words_of};
use super::{parameters, sizes, values, words};

/// Reads all `PartitionName` lines in order.
pub(super) fn apply_partitions(
    lines: &[Line],
    names: &NodeNames,
    config: &mut SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) {
    let mut sets = NodeSets::read(lines, names, config, diagnostics);
    let mut defaults: Vec<Pair> = Vec::new();
    for line in lines.iter().filter(|l| l.pairs[0].is("PartitionName")) {
        tell_repeated(line, diagnostics);
        for pair in &line.pairs {
            coverage.note(pair, partition_treatment(pair, config));
        }
        let name = &line.pairs[0];
        if name.value.eq_ignore_ascii_case("DEFAULT") {
            defaults.extend(line.pairs[1..].iter().cloned());
            continue;
        }
        let mut partition = PartitionConf::new(&name.value, config.no_nodes());
        let inherited = defaults.iter().filter(|pair| !OWN_LINE_ONLY.iter().any(|key| pair.is(key)));
        let mut pairs: Vec<&Pair> = inherited.chain(&line.pairs[1..]).collect();
        // `Priority` sets both of its successors wherever they stand, and `Shared` is the older name
        pairs.sort_by_key(|pair| (pair.is("Priority") || pair.is("Exclusive"), !pair.is("Shared")));
        for pair in pairs {
            // a later pair of the same name replaces the nodes of an earlier one, so only the last is looked up
            if !pair.is("Nodes") {
                set_partition(&mut partition, pair, config, diagnostics);
            }
        }
        correct(&mut partition, line, diagnostics);
        let nodes = line.get("Nodes").or_else(|| defaults.iter().rfind(|pair| pair.is("Nodes")));
        if let Some(pair) = nodes {
            set_partition_nodes(&mut partition, pair, &mut sets, names, diagnostics);
        }
        if partition.default {
            let earlier = config.partitions.iter_mut().find(|partition| partition.default);
            if let Some(earlier) = earlier {
                earlier.default = false;
                let (before, now) = (&earlier.name, &name.value);
                let message = format!("partitions {before} and {now} are both the default; {now} is taken");
                let place = line.get("Default").unwrap_or(name).place();
                let told = Diagnostic::warning("W0514", message).at(place);
                diagnostics.push(told.help("slurmctld takes the last one too: keep Default=YES in one line"));
            }
        }
        if config.partition(&name.value).is_some() {
            let message = format!("partition {} is defined twice", name.value);
            let told = Diagnostic::error("W0506", message).at(name.place());
            diagnostics.push(told.help("put all of its options into one line"));
            continue;
        }
        config.partitions.push(partition);
    }
}

/// Options that slurmctld takes from a partition's own line only, not from DEFAULT.
const OWN_LINE_ONLY: [&str; 6] = [
    "DisableRootJobs",
    "ExclusiveUser",
    "ExclusiveTopo",
    "PowerDownOnIdle",
    "SelectTypeParameters",
    "SuspendTime",
];

/// What slurmctld corrects when it has read a partition.
fn correct(partition: &mut PartitionConf, line: &Line, diagnostics: &mut Diagnostics) {
    let mut tell = |key: &str, message: String, help: &str| {
        let place = line.get(key).unwrap_or(&line.pairs[0]).place();
        diagnostics.push(Diagnostic::warning("W0514", message).at(place).help(help));
    };
    let of = &partition.name;
    if let (Some(most), Some(usual)) = (partition.max_time_min, partition.default_time_min)
        && usual > most
    {
        tell(
            "DefaultTime",
            format!(
                "partition {of}: DefaultTime {usual} min is above MaxTime {most} min: MaxTime stands for it"
            ),
            "slurmctld does the same; write DefaultTime no longer than MaxTime",
        );
        partition.default_time_min = None;
    }
    if partition.allow_accounts.is_some() && !partition.deny_accounts.is_empty() {
        tell(
            "DenyAccounts",
            format!("partition {of}: DenyAccounts beside AllowAccounts has no effect"),
            "slurmctld passes it over too: keep one of the two",
        );
        partition.deny_accounts.clear();
    }
    if partition.allow_qos.is_some() && !partition.deny_qos.is_empty() {
        tell(
            "DenyQos",
            format!("partition {of}: DenyQos beside AllowQos has no effect"),
            "slurmctld passes it over too: keep one of the two",
        );
        partition.deny_qos.clear();
    }
}

fn set_partition(
    partition: &mut PartitionConf,
    pair: &Pair,
    config: &mut SlurmConfig,
    diagnostics: &mut Diagnostics,
) {
    let mut minutes = || {
        values::minutes(&pair.value).unwrap_or_else(|()| {
            let told = Diagnostic::error("W0507", format!("`{}` is no time", pair.value)).at(pair.place());
            diagnostics.push(told.help("write minutes, days-hours or hours:minutes:seconds, or UNLIMITED"));
            None
        })
    };
    match pair.key.to_ascii_lowercase().as_str() {
        "default" => partition.default = yes(pair, diagnostics),
        "maxtime" => partition.max_time_min = minutes(),
        "defaulttime" | "defmaxtime" => partition.default_time_min = minutes(),
        "overtimelimit" => partition.over_time_limit_min = minutes(),
        "minnodes" => partition.min_nodes = number(pair, diagnostics),
        "maxnodes" => {
            partition.max_nodes = Some(number(pair, diagnostics)).filter(|most| *most < u32::MAX);
        }
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
                let told = Diagnostic::error("W0507", format!("`{part}` is no weight")).at(pair.place());
                diagnostics.push(told.help("write TRES=weight, as CPU=1.0,Mem=0.25G,GRES/gpu=2.0"));
            }
        },
        "state" => {
            let upper = pair.value.to_ascii_uppercase();
            // slurmctld looks at the beginning of the word
            let word = ["DOWN", "UP", "DRAIN", "INACTIVE"].into_iter().find(|word| upper.starts_with(word));
            if word.is_none() {
                let message = format!("`{}` is no state of a partition", pair.value);
                let told = Diagnostic::error("W0507", message).at(pair.place());
                diagnostics.push(told.help("one of UP, DOWN, DRAIN, INACTIVE"));
            }
            partition.state = PartitionState {
                submit: matches!(word, Some("UP" | "DOWN")),
                schedule: matches!(word, Some("UP" | "DRAIN")),
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
    words::check(&pair.key.to_ascii_lowercase(), pair, diagnostics);
    let list = || Some(words_of(&pair.value));
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
        "oversubscribe" | "shared" => {
            partition.exclusive = pair.value.eq_ignore_ascii_case("EXCLUSIVE");
            let word = pair.value.split(':').next().unwrap_or("");
            if !["NO", "YES", "FORCE", "EXCLUSIVE"].iter().any(|known| word.eq_ignore_ascii_case(known)) {
                let message = format!("`{}` is no way to share nodes", pair.value);
                let told = Diagnostic::error("W0507", message).at(pair.place());
                diagnostics.push(told.help("one of NO, EXCLUSIVE, YES, YES:n, FORCE, FORCE:n"));
            }
        }
        "exclusiveuser" => partition.exclusive_user = yes(pair, diagnostics),
        "exclusive" => {
            let is = |word: &str| pair.value.eq_ignore_ascii_case(word);
            partition.exclusive_user = is("USER");
            partition.exclusive = is("NODE") || is("TOPO") || (is("USER") && partition.exclusive);
            if !["NO", "NONE", "NODE", "USER", "TOPO"].into_iter().any(is) {
                let message = format!("`{}` is no way to keep others away", pair.value);
                let told = Diagnostic::error("W0507", message).at(pair.place());
                diagnostics.push(told.help("one of NO, NODE, USER, TOPO"));
            }
        }
        key if sizes::is_one(key) => sizes::set(key, pair, &mut partition.sizes, diagnostics),
        "lln" => partition.least_loaded = yes(pair, diagnostics),
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

/// `YES` or `NO`, in Slurm's spellings.
fn yes(pair: &Pair, diagnostics: &mut Diagnostics) -> bool {
    values::yes(&pair.value).unwrap_or_else(|| {
        let message = format!("`{}` is neither YES nor NO", pair.value);
        let told = Diagnostic::error("W0507", message).at(pair.place());
        diagnostics.push(told.help(format!("write {}=YES or {0}=NO", pair.key)));
        false
    })
}

fn set_partition_nodes(
    partition: &mut PartitionConf,
    pair: &Pair,
    sets: &mut NodeSets,
    names: &NodeNames,
    diagnostics: &mut Diagnostics,
) {
    partition.nodes.clear();
    if pair.value.eq_ignore_ascii_case("ALL") {
        partition.nodes.insert_range(..);
        return;
    }
    if let Some(nodes) = sets.known(&pair.value) {
        partition.nodes.clone_from(nodes);
        return;
    }
    // slurmctld takes blanks between names for commas
    let joined = Pair { value: pair.value.split_whitespace().collect::<Vec<_>>().join(","), ..pair.clone() };
    let Some(hosts) = hosts_of(&joined, diagnostics) else { return };
    let mut is_whole = true;
    for host in &hosts {
        // a set comes before a node of the same name
        if let Some(members) = sets.find(host) {
            partition.nodes.union_with(members);
            continue;
        }
        match names.find(host) {
            Some(Some(at)) => partition.nodes.insert(at),
            Some(None) => {}
            None => {
                is_whole = false;
                let message =
                    format!("partition {} names node {host}, which no NodeName line defines", partition.name);
                diagnostics.push(names.suggest(Diagnostic::error("W0511", message).at(pair.place()), host));
            }
        }
    }
    if is_whole {
        sets.remember(&pair.value, &partition.nodes);
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
        "exclusivetopo" if upper == "NO" => Treatment::Ignored("says that there is none"),
        "exclusive" if upper != "TOPO" => Treatment::Honoured,
        "gracetime" if pair.value == "0" => Treatment::Honoured,
        "gracetime" => {
            Treatment::Approximated("jobs use up their grace: what they do on SIGTERM is not known")
        }
        "alternate" => Treatment::NotYet("jobs are not moved to another partition"),
        key if sizes::is_one(key) => Treatment::Honoured,
        "maxcpuspernode" | "maxcpuspersocket" => Treatment::NotYet("limits on what a job takes of a node"),
        "suspendtime" | "suspendtimeout" | "resumetimeout" | "powerdownonidle" => {
            Treatment::NotYet("power saving: nodes are always on")
        }
        "hidden" | "rootonly" | "reqresv" | "allocnodes" | "allowallocnodes" | "disablerootjobs"
        | "cpubind" => Treatment::Ignored("about who may see or submit, not about when jobs start"),
        _ => Treatment::NotYet("unknown to this version"),
    }
}

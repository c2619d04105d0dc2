//! All other options: `SchedulerParameters`, `Priority*`, `Preempt*`, times.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scheduler::slurm::config::{Licence, PreemptMode, PreemptType, Rule, SchedulerKind, SlurmConfig};

use super::corrections::{self, Taken};
use super::coverage::{Coverage, Treatment};
use super::lines::{Line, Pair};
use super::{sizes, unused, values, words};
use crate::workload::wishes::Licences;

/// Options that may stand in several lines, each with a meaning of its own: the first controller and its
/// backups, and (since 24.05) one program after the other.
const SEVERAL: [&str; 5] = ["slurmctldhost", "epilog", "epilogslurmctld", "prolog", "prologslurmctld"];

/// Applies every line that is no node, partition or set.
pub(super) fn apply(
    lines: &[Line],
    config: &mut SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) {
    let pairs: Vec<&Pair> =
        lines.iter().filter(|line| !of_hardware(line)).flat_map(|line| &line.pairs).collect();
    // the last value of every option, looked up once for all
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for (at, pair) in pairs.iter().enumerate() {
        last.insert(synonym(&pair.key), at);
    }
    for (at, pair) in pairs.iter().enumerate() {
        let key = synonym(&pair.key);
        let later = last.get(&key).filter(|later| **later > at && !SEVERAL.contains(&key.as_str()));
        if let Some(later) = later.map(|later| pairs[*later]) {
            coverage.note(pair, Treatment::Ignored("written again further on: the last one counts"));
            if later.value != pair.value {
                let message = format!("{} is written twice; {} counts", pair.key, later.value);
                let told = Diagnostic::warning("W0513", message).at(pair.place());
                diagnostics.push(told.help("slurmctld takes the last one too: keep only that"));
            }
        } else if key == "schedulerparameters" {
            scheduler_parameters(pair, config, coverage, diagnostics);
        } else {
            let treatment = option(pair, config, diagnostics);
            coverage.note(pair, treatment);
        }
    }
}

/// Before 23.11 a site without `SelectType` runs select/linear, with which slurmctld refuses consumable CPUs.
pub(super) fn check_select(lines: &[Line], config: &mut SlurmConfig, diagnostics: &mut Diagnostics) {
    let set = |key: &str| lines.iter().filter(|line| !of_hardware(line)).find_map(|line| line.get(key));
    let (None, Some(shares)) = (set("SelectType"), set("SelectTypeParameters")) else { return };
    let upper = shares.value.to_ascii_uppercase();
    let consumes = ["CR_CPU", "CR_CORE", "CR_SOCKET"].iter().any(|word| upper.contains(word));
    if config.select.whole_nodes && consumes {
        config.select.whole_nodes = false;
        let message = format!(
            "SelectType is not set, which is select/linear in Slurm {}, and slurmctld refuses {} with it",
            config.version, shares.value
        );
        let told = Diagnostic::warning("W0514", message).at(shares.place());
        diagnostics.push(
            told.help("taken as SelectType=select/cons_tres; write it, or the version that runs there"),
        );
    }
}

/// The name of an option in lower case; older names stand for their successors.
fn synonym(key: &str) -> String {
    let lower = key.to_ascii_lowercase();
    match lower.as_str() {
        "schedulerparam" => "schedulerparameters".to_owned(),
        _ => lower,
    }
}

/// Lines of nodes, partitions and sets; these may come many times.
fn of_hardware(line: &Line) -> bool {
    let first = &line.pairs[0];
    ["NodeName", "PartitionName", "NodeSet", "DownNodes", "FrontendName", "SwitchName"]
        .iter()
        .any(|k| first.is(k))
}

/// `PriorityWeightTRES` needs the TRES that partitions and limits name.
pub(super) fn apply_tres_weights(lines: &[Line], config: &mut SlurmConfig, diagnostics: &mut Diagnostics) {
    for pair in lines.iter().filter_map(|l| l.get("PriorityWeightTRES")) {
        match values::tres_weights(&pair.value, &mut config.accounting.tres) {
            Ok(weights) => config.priority.weights.tres = weights,
            Err(part) => bad(pair, &format!("`{part}` is no weight"), diagnostics),
        }
    }
}

fn bad(pair: &Pair, message: &str, diagnostics: &mut Diagnostics) {
    let help = "slurm.conf(5) names what it may be; without the option Slurm's default holds";
    diagnostics.push(Diagnostic::error("W0507", message).at(pair.place()).help(help));
}

pub(super) fn option(pair: &Pair, config: &mut SlurmConfig, diagnostics: &mut Diagnostics) -> Treatment {
    let key = pair.key.to_ascii_lowercase();
    words::check(&key, pair, diagnostics);
    if sizes::is_one(&key) {
        sizes::set(&key, pair, &mut config.sizes, diagnostics);
        return Treatment::Honoured;
    }
    if let Some(treatment) = priority_option(&key, pair, config, diagnostics) {
        return treatment;
    }
    if let Some(treatment) = plugin_option(&key, pair, config, diagnostics) {
        return treatment;
    }
    let mut number = || {
        values::number(&pair.value).map(i64::from).unwrap_or_else(|| {
            bad(pair, &format!("`{}` is no whole number", pair.value), diagnostics);
            0
        })
    };
    let controller = &mut config.controller;
    match key.as_str() {
        "clustername" => config.cluster_name = pair.value.clone(),
        "killwait" => controller.kill_wait_s = number(),
        "completewait" => {
            controller.complete_wait_s = number();
            if controller.complete_wait_s > 0 {
                return Treatment::Approximated(
                    "the main scheduler waits for every completing job, however long",
                );
            }
        }
        "jobrequeue" => controller.job_requeue = number() != 0,
        "overtimelimit" | "resvoverrun" => {
            let minutes = values::minutes(&pair.value).unwrap_or_else(|()| {
                bad(pair, &format!("`{}` is no time", pair.value), diagnostics);
                Some(0)
            });
            if key == "overtimelimit" {
                controller.over_time_limit_min = minutes;
            } else {
                controller.resv_over_run_min = minutes;
            }
        }
        "dependencyparameters" => {
            controller.kill_invalid_depend = pair.value.to_ascii_lowercase().contains("kill_invalid_depend");
        }
        "authinfo" => {
            let expire = pair.value.split(',').find_map(|p| p.strip_prefix("cred_expire="));
            if let Some(seconds) = expire.and_then(|v| v.parse().ok()) {
                controller.cred_expire_s = seconds;
            }
        }
        "licenses" if ["", "(null)", "none"].contains(&pair.value.to_ascii_lowercase().as_str()) => {}
        "licenses" => match Licences::read(&pair.value) {
            Ok(list) if !list.one_of => {
                let licence = |(name, count)| Licence { name, count };
                config.licences = list.wanted.into_iter().map(licence).collect();
            }
            Ok(_) => bad(pair, "`|` belongs to jobs, not to the site's licences", diagnostics),
            Err(part) => bad(pair, &format!("`{part}` is no licence with its number"), diagnostics),
        },
        "slurm_version" => {}
        _ => return unused::treatment(&key, &pair.value),
    }
    Treatment::Honoured
}

fn plugin_option(
    key: &str,
    pair: &Pair,
    config: &mut SlurmConfig,
    diagnostics: &mut Diagnostics,
) -> Option<Treatment> {
    let lower = pair.value.to_ascii_lowercase();
    let has = |word: &str| lower.split(',').any(|w| w.trim() == word);
    match key {
        "schedulertype" => match lower.as_str() {
            "sched/backfill" => config.scheduler = SchedulerKind::Backfill,
            "sched/builtin" => config.scheduler = SchedulerKind::Builtin,
            _ => return Some(Treatment::NotYet("unknown scheduler; sched/backfill is used")),
        },
        "selecttype" => {
            config.select.whole_nodes = lower == "select/linear";
            // gone since 23.11, and cons_tres stands for it
            config.select.cons_res = lower == "select/cons_res" && !config.version.has(Rule::NoConsRes);
            match lower.as_str() {
                "select/cons_tres" | "select/cons_res" => {}
                "select/linear" => {
                    return Some(Treatment::Approximated(
                        "every job gets whole nodes; which ones is chosen by the rule of cons_tres",
                    ));
                }
                _ => return Some(Treatment::NotYet("nodes are shared and chosen by the rule of cons_tres")),
            }
        }
        "selecttypeparameters" => {
            config.select.memory = lower.contains("memory");
            config.select.least_loaded = has("cr_lln");
            if lower.contains("cr_socket") {
                return Some(Treatment::Approximated("CPUs are counted singly, not by socket"));
            }
            if has("cr_pack_nodes") {
                return Some(Treatment::Ignored(
                    "CR_Pack_Nodes lays out tasks inside the nodes that a job has got",
                ));
            }
        }
        _ if key.starts_with("preempt") => return preempt_option(key, pair, config, diagnostics),
        "accountingstoragetype" => config.accounting.present = !lower.ends_with("/none"),
        "accountingstorageenforce" => {
            let enforce = &mut config.accounting.enforce;
            let any = lower.contains("all");
            enforce.limits = any || has("limits") || has("safe");
            enforce.safe = any || has("safe");
            enforce.qos = any || has("qos");
            enforce.associations = enforce.limits || enforce.qos || has("associations") || has("1");
            if has("wckeys") {
                return Some(Treatment::Approximated("wckeys are not modelled"));
            }
        }
        _ => return None,
    }
    Some(Treatment::Honoured)
}

fn preempt_option(
    key: &str,
    pair: &Pair,
    config: &mut SlurmConfig,
    diagnostics: &mut Diagnostics,
) -> Option<Treatment> {
    let lower = pair.value.to_ascii_lowercase();
    let has = |word: &str| lower.split(',').any(|w| w.trim() == word);
    match key {
        "preempttype" => {
            config.preempt.kind = match lower.as_str() {
                "preempt/qos" => PreemptType::Qos,
                "preempt/partition_prio" => PreemptType::PartitionPrio,
                _ => PreemptType::None,
            };
        }
        "preemptmode" => {
            config.preempt.mode = preempt_mode(&lower);
            if has("suspend") || has("gang") {
                return Some(Treatment::NotYet("suspend and gang"));
            }
            if has("priority") {
                return Some(Treatment::NotYet("PRIORITY: victims need no lower priority here"));
            }
        }
        "preemptparameters" => {
            if !config.version.has(Rule::PreemptParameters) {
                return Some(Treatment::Ignored(
                    "this version knows preempt_ words of SchedulerParameters only",
                ));
            }
            config.preempt.youngest_first |= has("youngest_first");
            config.preempt.strict_order |= has("strict_order");
            let count = lower.split(',').find_map(|p| p.strip_prefix("reorder_count="));
            if let Some(count) = count.and_then(|v| v.parse().ok()) {
                config.preempt.reorder_count = count;
            }
        }
        "preemptexempttime" => {
            let none = ["-1", "none"].contains(&lower.as_str());
            config.preempt.exempt_s = values::duration_s(&lower, 60).unwrap_or_else(|()| {
                if !none {
                    bad(pair, &format!("`{}` is no time", pair.value), diagnostics);
                }
                0
            });
        }
        _ => return None,
    }
    Some(Treatment::Honoured)
}

/// The first word that says what happens to a preempted job.
pub(super) fn preempt_mode(lower: &str) -> PreemptMode {
    let word = lower.split(',').find(|w| ["requeue", "cancel", "off"].contains(w));
    match word {
        Some("requeue") => PreemptMode::Requeue,
        Some("cancel") => PreemptMode::Cancel,
        _ => PreemptMode::Off,
    }
}

fn priority_option(
    key: &str,
    pair: &Pair,
    config: &mut SlurmConfig,
    diagnostics: &mut Diagnostics,
) -> Option<Treatment> {
    let priority = &mut config.priority;
    let lower = pair.value.to_ascii_lowercase();
    let weighs = key.starts_with("priorityweight") && key != "priorityweighttres";
    if (weighs || key == "fairsharedampeningfactor") && values::number(&pair.value).is_none() {
        bad(pair, &format!("`{}` is no whole number", pair.value), diagnostics);
        return Some(Treatment::NotYet("unreadable value"));
    }
    if key == "priorityfavorsmall" && values::yes(&lower).is_none() {
        bad(pair, &format!("`{}` is neither YES nor NO", pair.value), diagnostics);
    }
    let mut time_s = |unit: i64| {
        values::duration_s(&lower, unit).unwrap_or_else(|()| {
            bad(pair, &format!("`{}` is no time", pair.value), diagnostics);
            0
        })
    };
    let weight = || values::number(&pair.value).unwrap_or(0);
    match key {
        "prioritytype" => priority.multifactor = lower == "priority/multifactor",
        "prioritydecayhalflife" => priority.decay_half_life_s = time_s(60),
        "prioritycalcperiod" => priority.calc_period_s = time_s(60).max(1),
        "prioritymaxage" => priority.max_age_s = time_s(60),
        "priorityfavorsmall" => priority.favor_small = values::yes(&lower).unwrap_or(false),
        "priorityweightage" => priority.weights.age = weight(),
        "priorityweightassoc" => priority.weights.assoc = weight(),
        "priorityweightfairshare" => priority.weights.fair_share = weight(),
        "priorityweightjobsize" => priority.weights.job_size = weight(),
        "priorityweightpartition" => priority.weights.partition = weight(),
        "priorityweightqos" => priority.weights.qos = weight(),
        "priorityweighttres" => {}
        "fairsharedampeningfactor" => priority.dampening = weight().max(1),
        "priorityusageresetperiod" => {
            let day = 86_400;
            priority.usage_reset_s = match lower.as_str() {
                "daily" => Some(day),
                "weekly" => Some(7 * day),
                "monthly" => Some(30 * day),
                "quarterly" => Some(91 * day),
                "yearly" => Some(365 * day),
                _ => None,
            };
            if priority.usage_reset_s.is_some() {
                return Some(Treatment::Approximated(
                    "counted from the start of the run, not from the calendar",
                ));
            }
        }
        "priorityflags" => {
            let has = |word: &str| lower.split(',').any(|w| w.trim() == word);
            priority.small_relative_to_time = has("small_relative_to_time");
            priority.accrue_always = has("accrue_always");
            priority.max_tres = has("max_tres");
            priority.increase_only = has("incr_only");
            priority.no_fair_tree = has("no_fair_tree");
            let all = has("no_normal_all");
            priority.no_normal_part = all || has("no_normal_part");
            priority.no_normal_qos = all || has("no_normal_qos");
            if ["depth_oblivious", "calculate_running", "max_tres_gres", "no_normal_assoc"]
                .iter()
                .any(|w| has(w))
            {
                return Some(Treatment::NotYet(
                    "depth_oblivious, calculate_running, max_tres_gres, no_normal_assoc",
                ));
            }
        }
        _ => return None,
    }
    Some(Treatment::Honoured)
}

fn scheduler_parameters(
    pair: &Pair,
    config: &mut SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for word in pair.value.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let mut one = pair.clone();
        one.key = format!("SchedulerParameters:{name}");
        value.clone_into(&mut one.value);
        let mut tell = |message: String, help: &str| {
            diagnostics.push(Diagnostic::warning("W0513", message).at(pair.place_of(word)).help(help));
        };
        if let Some(first) = seen.get(&name.to_ascii_lowercase()) {
            coverage.note(&one, Treatment::Ignored("stands twice in its list: the first one counts"));
            if *first != value {
                let message = format!("{name} stands twice in SchedulerParameters; {first} counts");
                tell(message, "slurmctld takes the first one too: keep only that");
            }
            continue;
        }
        seen.insert(name.to_ascii_lowercase(), value);
        let value = match corrections::taken(name, value) {
            Taken::AsWritten => value.to_owned(),
            Taken::As(number, why) => {
                tell(why, "write a number and nothing behind it");
                number
            }
            Taken::Default(why) => {
                tell(why, "leave it out, or write a number within the range");
                coverage
                    .note(&one, Treatment::Ignored("slurmctld does not take the value: the default holds"));
                continue;
            }
        };
        let value = value.as_str();
        let treatment = match scheduler_parameter(&name.to_ascii_lowercase(), value, config) {
            Ok(treatment) => treatment,
            Err(()) => {
                bad(&one, &format!("`{value}` is no whole number in the range of {name}"), diagnostics);
                Treatment::NotYet("unreadable value")
            }
        };
        coverage.note(&one, treatment);
    }
}

pub(super) fn scheduler_parameter(
    name: &str,
    value: &str,
    config: &mut SlurmConfig,
) -> Result<Treatment, ()> {
    let signed = || value.parse::<i64>().map_err(|_| ());
    let count = || value.parse::<u32>().map_err(|_| ());
    let positive = || signed().and_then(|n| if n > 0 { Ok(n) } else { Err(()) });
    let (main, bf) = (&mut config.main, &mut config.backfill);
    match name {
        "batch_sched_delay" => main.batch_sched_delay_s = signed()?,
        "sched_interval" => main.sched_interval_s = Some(signed()?).filter(|s| *s >= 0),
        "default_queue_depth" => main.default_queue_depth = count()?,
        "partition_job_depth" => main.partition_job_depth = count()?,
        "sched_max_job_start" => main.sched_max_job_start = count()?,
        "assoc_limit_stop" => main.assoc_limit_stop = true,
        "defer" | "defer_batch" => main.defer = true,
        "bf_interval" if value == "-1" => {
            return Ok(Treatment::NotYet("the backfill thread is never switched off"));
        }
        "bf_interval" => bf.interval_s = positive()?,
        "bf_window" => bf.window_s = positive()? * 60,
        "bf_resolution" => bf.resolution_s = positive()?,
        "bf_max_job_test" => bf.max_job_test = count()?.max(1),
        "bf_max_job_part" => bf.max_job_part = count()?,
        "bf_max_job_user" => bf.max_job_user = count()?,
        "bf_max_job_user_part" => bf.max_job_user_part = count()?,
        "bf_max_job_assoc" => bf.max_job_assoc = count()?,
        "bf_max_job_start" => bf.max_job_start = count()?,
        "bf_max_job_array_resv" => bf.max_job_array_resv = count()?,
        "bf_min_prio_reserve" => bf.min_prio_reserve = count()?,
        "bf_min_age_reserve" => bf.min_age_reserve_s = signed()?,
        "bf_job_part_count_reserve" => bf.job_part_count_reserve = count()?,
        "bf_node_space_size" => bf.node_space_size = Some(count()?),
        "bf_one_resv_per_job" => bf.one_resv_per_job = true,
        "bf_window_linear" => bf.window_linear_s = positive()?,
        "max_switch_wait" => main.max_switch_wait_s = signed()?.max(0),
        "bf_max_time" => {
            bf.max_time_s = Some(positive()?);
            return Ok(Treatment::Approximated(
                "a job in the queue takes what one took on recorded clusters",
            ));
        }
        "bf_continue"
        | "bf_yield_interval"
        | "bf_yield_sleep"
        | "max_rpc_cnt"
        | "max_sched_time"
        | "sched_min_interval"
        | "build_queue_timeout" => {
            return Ok(Treatment::Approximated("a simulated pass takes no time"));
        }
        "preempt_youngest_first" => config.preempt.youngest_first = true,
        "preempt_strict_order" => config.preempt.strict_order = true,
        "preempt_reorder_count" => config.preempt.reorder_count = count()?,
        "bf_busy_nodes" => return Ok(Treatment::NotYet("bf_busy_nodes")),
        "bf_licenses" => return Ok(Treatment::NotYet("jobs that wait for licences reserve nothing")),
        "bf_running_job_reserve" | "bf_hetjob_prio" | "bf_hetjob_immediate" => {
            return Ok(Treatment::NotYet("heterogeneous jobs"));
        }
        _ => return Ok(Treatment::NotYet("unknown to this version")),
    }
    Ok(Treatment::Honoured)
}

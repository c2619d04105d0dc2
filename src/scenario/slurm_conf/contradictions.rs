//! Lines that can be read one by one, and contradict each other.

use super::lines::{Line, Pair};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scheduler::slurm::config::{PreemptMode, PreemptType, SlurmConfig};

/// Tells all of them as warnings, with what is done.
pub(super) fn tell(lines: &[Line], config: &SlurmConfig, diagnostics: &mut Diagnostics) {
    let mut default: Option<&str> = None;
    for partition in &config.partitions {
        let of = |key: &str| pair_of(lines, &partition.name, key);
        let mut warn = |key: &str, message: String, help: &str| {
            let told = Diagnostic::warning("W0514", message).help(help);
            diagnostics.push(match of(key) {
                Some(pair) => told.at(pair.place()),
                None => told,
            });
        };
        let name = &partition.name;
        if partition.max_nodes.is_some_and(|most| most < partition.min_nodes) {
            let message = format!("partition {name}: MinNodes is above MaxNodes");
            warn("MinNodes", message, "no job could start there");
        }
        if partition.nodes.is_clear() {
            let message = format!("partition {name} has no nodes");
            warn("PartitionName", message, "jobs that name it are refused");
        }
        if partition.default {
            default = default.or(Some(name));
        }
    }
    if default.is_none() && !config.partitions.is_empty() {
        let message = "no partition is the default: jobs that name none are refused";
        diagnostics
            .push(Diagnostic::warning("W0514", message).help("write Default=YES in one PartitionName line"));
    }
    preemption(lines, config, diagnostics);
}

fn preemption(lines: &[Line], config: &SlurmConfig, diagnostics: &mut Diagnostics) {
    let on = config.preempt.mode != PreemptMode::Off;
    let written = |key: &str| lines.iter().find_map(|line| line.get(key));
    if on && config.preempt.kind == PreemptType::None {
        let message = "PreemptMode is set and PreemptType is preempt/none: nothing is preempted";
        let told = Diagnostic::warning("W0514", message);
        let told = written("PreemptMode").map_or(told.clone(), |pair| told.at(pair.place()));
        diagnostics.push(
            told.help("slurmctld refuses this; write PreemptType=preempt/qos or preempt/partition_prio"),
        );
    }
}

/// The pair of a partition's own line, or of the DEFAULT line before it, or the name itself.
fn pair_of<'l>(lines: &'l [Line], partition: &str, key: &str) -> Option<&'l Pair> {
    let of = |name: &str| {
        lines.iter().find(|line| line.pairs[0].is("PartitionName") && line.pairs[0].value == name)
    };
    let own = of(partition)?;
    let default = lines.iter().find(|line| {
        line.pairs[0].is("PartitionName") && line.pairs[0].value.eq_ignore_ascii_case("DEFAULT")
    });
    own.get(key).or_else(|| default?.get(key)).or(own.pairs.first())
}

//! What `scontrol show config|node|partition` prints, read as the lines of a configuration.
//!
//! The three may stand in one file, one after the other, in blocks or one record a line (`-o`). What a record
//! tells beyond the configuration (load, free memory, times) is state of that moment and left out.

use std::sync::Arc;

use super::lines::{Line, Pair};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// The first words of `scontrol show config`.
const CONFIG: &str = "Configuration data as of";

/// Whether a file is such a dump.
pub(super) fn is_one(text: &str) -> bool {
    let mut lines = text.lines();
    lines.any(|line| line.starts_with(CONFIG))
        || text.contains(" CPUTot=") && text.contains("CPUAlloc=")
        || text.contains("TotalCPUs=") && text.contains("TotalNodes=") && text.contains("PartitionName=")
}

/// What the lines at hand belong to.
enum Within {
    Nothing,
    Config,
    Record,
}

/// The lines of a configuration that the dump stands for.
pub(super) fn lines(text: &str, file: &Arc<str>, diagnostics: &mut Diagnostics) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut within = Within::Nothing;
    for (at, raw) in text.lines().enumerate() {
        let number = at as u64 + 1;
        let begins = ["NodeName=", "PartitionName="].iter().any(|key| raw.starts_with(key));
        if raw.trim().is_empty() {
            if matches!(within, Within::Record) {
                within = Within::Nothing;
            }
        } else if raw.starts_with(CONFIG) {
            within = Within::Config;
        } else if begins {
            within = Within::Record;
            lines.push(Line { pairs: record_pairs(raw, file, number) });
        } else if matches!(within, Within::Record) && raw.starts_with([' ', '\t']) {
            if let Some(line) = lines.last_mut() {
                line.pairs.extend(record_pairs(raw, file, number));
            }
        } else if matches!(within, Within::Config) {
            match config_pair(raw, file, number) {
                Some(Some(pair)) => lines.push(Line { pairs: vec![pair] }),
                Some(None) => {}
                // A headline such as "Cgroup Support Configuration:": other files' options follow.
                None => within = Within::Nothing,
            }
        } else if !is_known_remark(raw) && raw.split_once('=').is_none() {
            let place = Place::Line { file: Arc::clone(file), line: number, column: 1, text: raw.to_owned() };
            let told =
                Diagnostic::warning("W0504", "this is no line of `scontrol show`, and says nothing here");
            diagnostics.push(told.at(place).help("give the output as it was printed"));
        }
    }
    lines.retain(|line| !line.pairs.is_empty());
    lines
}

fn is_known_remark(line: &str) -> bool {
    line.starts_with("Slurmctld(") || line.trim_end().ends_with(':')
}

/// `Key = value` of the configuration; an unset one is none, and a line without the sign ends the list.
fn config_pair(raw: &str, file: &Arc<str>, line: u64) -> Option<Option<Pair>> {
    let (key, value) = raw.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let is_key = !key.is_empty() && key.bytes().all(|c| c.is_ascii_alphanumeric() || b"_.[]".contains(&c));
    if !is_key {
        return None;
    }
    let value =
        [" sec", " min", " secs", " mins"].iter().find_map(|unit| value.strip_suffix(unit)).unwrap_or(value);
    let says_nothing = ["", "(null)", "N/A"].contains(&value);
    // `SlurmctldHost[0]` numbers the controllers.
    let key = key.split('[').next().unwrap_or(key);
    Some((!says_nothing).then(|| Pair {
        key: key.to_owned(),
        value: value.to_owned(),
        file: Arc::clone(file),
        line,
        column: 1,
    }))
}

/// The fields of a record that stand for options; a word without a sign belongs to the value before it.
fn record_pairs(raw: &str, file: &Arc<str>, line: u64) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        let rest = &raw[at..];
        let word_at = at + rest.len() - rest.trim_start().len();
        let word = raw[word_at..].split(char::is_whitespace).next().unwrap_or("");
        if word.is_empty() {
            break;
        }
        at = word_at + word.len();
        let Some((key, value)) = word.split_once('=') else { continue };
        // Remarks of people go to the end of the line, with whatever signs they hold.
        if ["Reason", "Comment", "Extra", "OS"].contains(&key) {
            if key != "OS" {
                break;
            }
            continue;
        }
        if let Some(key) = option_of(key, value) {
            let column = word_at as u64 + 1;
            pairs.push(Pair {
                key: key.to_owned(),
                value: value.to_owned(),
                file: Arc::clone(file),
                line,
                column,
            });
        }
    }
    pairs
}

/// The option that a field of a record stands for, where it says something.
fn option_of<'k>(key: &'k str, value: &str) -> Option<&'k str> {
    const OPTIONS: [&str; 38] = [
        "NodeName",
        "PartitionName",
        "CoresPerSocket",
        "Gres",
        "RealMemory",
        "Sockets",
        "Boards",
        "ThreadsPerCore",
        "Weight",
        "State",
        "AllowGroups",
        "AllowAccounts",
        "AllowQos",
        "DenyAccounts",
        "DenyQos",
        "Default",
        "QoS",
        "DefaultTime",
        "ExclusiveUser",
        "ExclusiveTopo",
        "GraceTime",
        "MaxNodes",
        "MaxTime",
        "MinNodes",
        "LLN",
        "MaxCPUsPerNode",
        "MaxCPUsPerSocket",
        "Nodes",
        "PriorityJobFactor",
        "PriorityTier",
        "OverSubscribe",
        "OverTimeLimit",
        "PreemptMode",
        "SelectTypeParameters",
        "DefMemPerNode",
        "DefMemPerCPU",
        "MaxMemPerNode",
        "TRESBillingWeights",
    ];
    let says_nothing = ["", "(null)", "N/A", "NONE"].contains(&value);
    let unlimited = value == "UNLIMITED" && (key.contains("Mem") || key.contains("CPUsPer"));
    if says_nothing || unlimited {
        return None;
    }
    match key {
        "CPUTot" => Some("CPUs"),
        "AvailableFeatures" => Some("Features"),
        _ => OPTIONS.contains(&key).then_some(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Configuration data as of 2026-03-01T08:00:00
AccountingStorageBackupHost = (null)
ClusterName             = big
KillWait                = 45 sec
SLURM_VERSION           = 24.05.4
SlurmctldHost[0]        = a
SlurmctldHost[1]        = b

Cgroup Support Configuration:
CgroupPlugin            = autodetect

Slurmctld(primary) at a is UP
NodeName=n1 Arch=x86_64 CoresPerSocket=16
   CPUAlloc=0 CPUEfctv=32 CPUTot=32 CPULoad=0.01
   AvailableFeatures=a,b
   ActiveFeatures=a,b
   Gres=gpu:a100:4(S:0-1)
   OS=Linux 5.14 #1 SMP Mon Jan 1 x=y
   RealMemory=256000 AllocMem=0 Sockets=2 Boards=1
   State=IDLE+DRAIN ThreadsPerCore=1 TmpDisk=0 Weight=5 Owner=N/A
   Reason=bad CPUs=3 [root@2026-02-01]

PartitionName=p AllowGroups=ALL Default=YES QoS=N/A DefaultTime=NONE MaxTime=1-00:00:00 MinNodes=0 Nodes=n1 TotalCPUs=32 TotalNodes=1 State=UP
";

    #[test]
    fn three_dumps_in_one_file_are_a_configuration() {
        assert!(is_one(TEXT));
        assert!(!is_one("ClusterName=x\nNodeName=n1 CPUs=4\nPartitionName=p Nodes=ALL\n"));
        let mut told = Diagnostics::default();
        let lines = lines(TEXT, &"f".into(), &mut told);
        assert!(told.is_empty(), "{told:?}");
        let text: Vec<String> = lines
            .iter()
            .map(|line| {
                line.pairs.iter().map(|p| format!("{}={}", p.key, p.value)).collect::<Vec<_>>().join(" ")
            })
            .collect();
        assert_eq!(
            text,
            [
                "ClusterName=big",
                "KillWait=45",
                "SLURM_VERSION=24.05.4",
                "SlurmctldHost=a",
                "SlurmctldHost=b",
                "NodeName=n1 CoresPerSocket=16 CPUs=32 Features=a,b Gres=gpu:a100:4(S:0-1) RealMemory=256000 \
                 Sockets=2 Boards=1 State=IDLE+DRAIN ThreadsPerCore=1 Weight=5",
                "PartitionName=p AllowGroups=ALL Default=YES MaxTime=1-00:00:00 MinNodes=0 Nodes=n1 State=UP",
            ]
        );
    }
}

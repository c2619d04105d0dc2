//! What `sinfo` prints, as the lines of a configuration: for a site that has no slurm.conf at hand. Each row is
//! about some nodes in one partition; weights, limits of partitions and all options are missing, so defaults hold.

use std::sync::Arc;

use indexmap::IndexMap;

use super::hostlist::{compress_hosts, expand_hosts};
use super::lines::{Line, Pair};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// The command that gives all that is read here.
const COMMAND: &str = "sinfo -N -o '%N|%P|%c|%m|%G|%f|%T|%w|%l|%a'";

/// Columns of a node with the options that they stand for.
const OF_NODES: [(&str, &str); 9] = [
    ("CPUS", "CPUs"),
    ("MEMORY", "RealMemory"),
    ("GRES", "Gres"),
    ("AVAIL_FEATURES", "Feature"),
    ("STATE", "State"),
    ("WEIGHT", "Weight"),
    ("SOCKETS", "Sockets"),
    ("CORES", "CoresPerSocket"),
    ("THREADS", "ThreadsPerCore"),
];

/// Short words for states of nodes and partitions.
const SHORT: [(&str, &str); 12] = [
    ("alloc", "ALLOCATED"),
    ("mix", "MIXED"),
    ("comp", "COMPLETING"),
    ("drng", "DRAINING"),
    ("drain", "DRAIN"),
    ("failg", "FAILING"),
    ("maint", "MAINTENANCE"),
    ("plnd", "PLANNED"),
    ("resv", "RESERVED"),
    ("boot", "REBOOT_ISSUED"),
    ("futr", "FUTURE"),
    ("inact", "INACTIVE"),
];

fn header_of(text: &str) -> Option<Vec<String>> {
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    Some(cells(first, first.contains('|')).map(str::to_ascii_uppercase).collect())
}

fn cells(line: &str, has_bars: bool) -> impl Iterator<Item = &str> {
    let cut = move |c: char| if has_bars { c == '|' } else { c.is_whitespace() };
    line.trim().split(cut).map(str::trim).filter(move |cell| has_bars || !cell.is_empty())
}

/// Whether a file is such a table.
pub(super) fn is_one(text: &str) -> bool {
    let Some(header) = header_of(text) else { return false };
    let has = |names: &[&str]| names.iter().any(|name| header.iter().any(|known| known == name));
    has(&["NODELIST", "HOSTNAMES"]) && has(&["PARTITION", "STATE", "CPUS"]) && header.len() > 2
}

/// A partition as its rows tell it.
#[derive(Default)]
struct Partition {
    hosts: Vec<String>,
    pairs: Vec<(&'static str, String)>,
    line: u64,
}

/// The lines of a configuration that the table stands for.
pub(super) fn lines(text: &str, file: &Arc<str>, diagnostics: &mut Diagnostics) -> Vec<Line> {
    let header = header_of(text).unwrap_or_default();
    let has_bars = text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.contains('|'));
    let place = |names: &[&str]| names.iter().find_map(|name| header.iter().position(|known| known == name));
    let mut out = Vec::new();
    if place(&["CPUS"]).is_none() {
        let told = Diagnostic::error("W0501", "this table of sinfo does not say how many CPUs nodes have");
        diagnostics.push(told.at(Place::File(Arc::clone(file))).help(format!("export again: {COMMAND}")));
        return out;
    }
    let (nodes_at, partition_at) = (place(&["NODELIST", "HOSTNAMES"]), place(&["PARTITION"]));
    let mut seen: IndexMap<String, ()> = IndexMap::new();
    let mut partitions: IndexMap<String, Partition> = IndexMap::new();
    let rows = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).skip(1);
    for (at, raw) in rows {
        let number = at as u64 + 1;
        let row: Vec<&str> = cells(raw, has_bars).collect();
        let mut refuse = |why: String| {
            let here = Place::Line { file: Arc::clone(file), line: number, column: 1, text: raw.to_owned() };
            let told = Diagnostic::error("W0504", why).at(here);
            diagnostics.push(told.help(format!("a node a row, nothing cut short: {COMMAND}")));
        };
        if row.len() != header.len() {
            refuse(format!("{} cells under a header of {}", row.len(), header.len()));
            continue;
        }
        let get = |names: &[&str]| place(names).map_or("", |at| row[at]);
        let Ok(hosts) = expand_hosts(nodes_at.map_or("", |at| row[at])) else {
            refuse("the list of nodes cannot be read".to_owned());
            continue;
        };
        let unequal = [get(&["CPUS"]), get(&["MEMORY"])].into_iter().find(|cell| cell.ends_with('+'));
        if let Some(cell) = unequal {
            refuse(format!("`{cell}` stands for nodes of several sizes"));
            continue;
        }
        let new: Vec<&str> =
            hosts.iter().filter(|host| !seen.contains_key(*host)).map(String::as_str).collect();
        if !new.is_empty() {
            let pair = |key: &str, value: String| pair(key, value, file, number);
            let own = OF_NODES.iter().filter_map(|(column, option)| {
                let cell = if *column == "AVAIL_FEATURES" {
                    get(&["AVAIL_FEATURES", "FEATURES"])
                } else {
                    get(&[column])
                };
                (!["", "(null)", "N/A", "none"].contains(&cell)).then(|| pair(option, long(cell)))
            });
            out.push(Line {
                pairs: [pair("NodeName", compress_hosts(new))].into_iter().chain(own).collect(),
            });
        }
        if let Some(name) = partition_at.map(|at| row[at]).filter(|name| !name.is_empty()) {
            let partition = partitions.entry(name.trim_end_matches('*').to_owned()).or_default();
            if partition.line == 0 {
                let time = get(&["TIMELIMIT"]);
                partition.line = number;
                partition.pairs.extend((!time.is_empty()).then(|| ("MaxTime", time.to_owned())));
                let state = get(&["AVAIL"]);
                partition.pairs.extend((!state.is_empty()).then(|| ("State", long(state))));
                partition.pairs.extend(name.ends_with('*').then(|| ("Default", "YES".to_owned())));
            }
            partition.hosts.extend(hosts.iter().cloned());
        }
        seen.extend(hosts.into_iter().map(|host| (host, ())));
    }
    out.extend(partitions.into_iter().map(|(name, partition)| {
        let Partition { hosts, pairs, line } = partition;
        let nodes = compress_hosts(hosts.iter().map(String::as_str));
        let pairs = [("PartitionName", name), ("Nodes", nodes)].into_iter().chain(pairs);
        Line { pairs: pairs.map(|(key, value)| pair(key, value, file, line)).collect() }
    }));
    out
}

/// A state by its long word; other cells as they are.
fn long(cell: &str) -> String {
    let word = cell.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase();
    SHORT.iter().find(|(short, _)| *short == word).map_or(cell.to_owned(), |(_, long)| (*long).to_owned())
}

fn pair(key: &str, value: String, file: &Arc<str>, line: u64) -> Pair {
    Pair { key: key.to_owned(), value, file: Arc::clone(file), line, column: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> (Vec<String>, Diagnostics) {
        let mut told = Diagnostics::default();
        let lines = lines(text, &"f".into(), &mut told);
        let one = |line: &Line| {
            line.pairs.iter().map(|p| format!("{}={}", p.key, p.value)).collect::<Vec<_>>().join(" ")
        };
        (lines.iter().map(one).collect(), told)
    }

    #[test]
    fn tables_of_sinfo_are_configurations() {
        let text = "NODELIST|PARTITION|CPUS|MEMORY|GRES|AVAIL_FEATURES|STATE|WEIGHT|TIMELIMIT|AVAIL\n\
                    n1|gpu*|64|256000|gpu:a100:4(S:0-1)|fast,big|mix|1|1-00:00:00|up\n\
                    n2|gpu*|64|256000|gpu:a100:4(S:0-1)|fast,big|idle~|1|1-00:00:00|up\n\
                    n1|debug|64|256000|gpu:a100:4(S:0-1)|fast,big|mix|1|infinite|inact\n\
                    c1|cpu|32|128000|(null)|(null)|drng|5|infinite|up\n";
        assert!(is_one(text));
        let (lines, told) = made(text);
        assert!(told.is_empty(), "{told:?}");
        assert_eq!(
            lines,
            [
                "NodeName=n1 CPUs=64 RealMemory=256000 Gres=gpu:a100:4(S:0-1) Feature=fast,big State=MIXED Weight=1",
                "NodeName=n2 CPUs=64 RealMemory=256000 Gres=gpu:a100:4(S:0-1) Feature=fast,big State=idle~ Weight=1",
                "NodeName=c1 CPUs=32 RealMemory=128000 State=DRAINING Weight=5",
                "PartitionName=gpu Nodes=n[1-2] MaxTime=1-00:00:00 State=up Default=YES",
                "PartitionName=debug Nodes=n1 MaxTime=infinite State=INACTIVE",
                "PartitionName=cpu Nodes=c1 MaxTime=infinite State=up",
            ]
        );
    }

    #[test]
    fn tables_that_say_too_little_are_refused_with_the_command() {
        let text = "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST\ngpu*         up   infinite      2   idle n[1-2]\n";
        assert!(is_one(text));
        let (_, told) = made(text);
        assert!(told.kept()[0].help.as_ref().unwrap().contains("sinfo -N"));
        let (lines, told) = made("NODELIST PARTITION CPUS\nn[1-2] gpu 32+\nn3 gpu\n");
        assert_eq!((lines.len(), told.errors()), (0, 2));
        assert!(!is_one("NodeName=n1 CPUs=4\nPartitionName=p Nodes=ALL\n"));
    }
}

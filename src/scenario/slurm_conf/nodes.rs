//! `NodeName` lines with their DEFAULT lines, and `DownNodes`.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scheduler::slurm::config::{GresCount, NodeConf, SlurmConfig};

use super::coverage::{Coverage, Treatment};
use super::hostlist::{HostListError, expand_hosts};
use super::lines::{Line, Pair};
use super::names::NodeNames;
use super::values;

/// Reads all `NodeName` lines in order.
pub(super) fn apply_nodes(
    lines: &[Line],
    config: &mut SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) -> NodeNames {
    let mut names = NodeNames::default();
    let mut defaults: Vec<Pair> = Vec::new();
    for line in lines.iter().filter(|l| l.pairs[0].is("NodeName")) {
        let name = &line.pairs[0];
        tell_repeated(line, diagnostics);
        for pair in &line.pairs {
            coverage.note(pair, node_treatment(pair));
        }
        if name.value.eq_ignore_ascii_case("DEFAULT") {
            defaults.extend(line.pairs[1..].iter().cloned());
            continue;
        }
        let Some(hosts) = hosts_of(name, diagnostics) else { continue };
        let (node, exists) = node_of(&defaults, line, config, diagnostics);
        for host in hosts {
            let at = exists.then_some(config.nodes.len());
            if !names.add(&host, at) {
                let message = format!("node {host} is defined twice");
                let told = Diagnostic::error("W0506", message).at(name.place());
                diagnostics
                    .push(told.help("leave one of the two lines out: slurmctld does not start with both"));
            } else if exists {
                config.nodes.push(NodeConf { name: host, ..node.clone() });
            }
        }
    }
    names.sort(config);
    names
}

/// An option twice in one line: the last one counts, for slurmctld too.
pub(super) fn tell_repeated(line: &Line, diagnostics: &mut Diagnostics) {
    for (at, pair) in line.pairs.iter().enumerate() {
        let again =
            line.pairs[at + 1..].iter().find(|later| later.is(&pair.key) && later.value != pair.value);
        if let Some(later) = again {
            let message = format!("{} stands twice in one line; {} counts", pair.key, later.value);
            let told = Diagnostic::warning("W0513", message).at(pair.place());
            diagnostics.push(told.help("slurmctld takes the last one too: keep only that"));
        }
    }
}

pub(super) fn hosts_of(pair: &Pair, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
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

/// Sockets, cores and threads of a node, as slurmctld works out its CPUs.
#[derive(Default)]
struct Layout {
    cpus: Option<u32>,
    /// `Procs`, the older name of `CPUs`, which counts where that is not written.
    procs: Option<u32>,
    boards: Option<u32>,
    sockets: Option<u32>,
    sockets_per_board: Option<u32>,
    cores: Option<u32>,
    threads: Option<u32>,
}

impl Layout {
    /// CPUs, and what slurmctld would have said about them.
    fn cpus(&self) -> (u32, Vec<String>) {
        let mut told = Vec::new();
        let mut one = |name: &str, n: Option<u32>| match n {
            Some(0) => {
                told.push(format!("{name}=0 is taken as 1, as slurmctld does"));
                1
            }
            n => n.unwrap_or(1),
        };
        let written = self.cpus.or(self.procs);
        let (cores, threads) = (one("CoresPerSocket", self.cores), one("ThreadsPerCore", self.threads));
        let cpus = one("CPUs", written);
        let (per_board, sockets) =
            (one("SocketsPerBoard", self.sockets_per_board), one("Sockets", self.sockets));
        let boards = one("Boards", self.boards);
        let per_socket = cores.saturating_mul(threads);
        let sockets = if self.sockets_per_board.is_some() {
            boards.saturating_mul(per_board)
        } else if self.sockets.is_some() {
            sockets
        } else if written.is_some() && cpus >= per_socket && cpus % per_socket == 0 {
            cpus / per_socket
        } else {
            boards
        };
        let all_cores = sockets.saturating_mul(cores);
        let all = sockets.saturating_mul(per_socket);
        if written.is_none() {
            return (all, told);
        }
        if [sockets, all_cores, all].contains(&cpus) {
            return (cpus, told);
        }
        told.push(format!(
            "CPUs={cpus} is neither {sockets} sockets, {all_cores} cores nor {all} threads: {all} CPUs are taken, as \
             slurmctld does"
        ));
        (all, told)
    }
}

/// A node of a line, and whether it exists: nodes of `State=FUTURE` do not.
fn node_of(
    defaults: &[Pair],
    line: &Line,
    config: &mut SlurmConfig,
    diagnostics: &mut Diagnostics,
) -> (NodeConf, bool) {
    let mut node = NodeConf {
        name: String::new(),
        cpus: 0,
        mem_mb: 1,
        gres: Vec::new(),
        weight: 1,
        features: Vec::new(),
        unusable: false,
    };
    let mut layout = Layout::default();
    let mut exists = true;
    for pair in defaults.iter().chain(&line.pairs[1..]) {
        let key = pair.key.to_ascii_lowercase();
        let mut number = || number(pair, diagnostics);
        match key.as_str() {
            "cpus" => layout.cpus = Some(number()),
            "procs" => layout.procs = Some(number()),
            "boards" => layout.boards = Some(number()),
            "sockets" => layout.sockets = Some(number()),
            "socketsperboard" => layout.sockets_per_board = Some(number()),
            "corespersocket" => layout.cores = Some(number()),
            "threadspercore" => layout.threads = Some(number()),
            "weight" => node.weight = number().min(u32::MAX - 1),
            "realmemory" => node.mem_mb = u64::from(number()),
            "gres" => node.gres = gres_of(pair, config, diagnostics),
            "state" => (node.unusable, exists) = state_of(pair, diagnostics),
            _ => {}
        }
    }
    // of two names of one option, that of the line counts before that of DEFAULT, and `Feature` before `Features`
    let default = |key: &str| defaults.iter().rfind(|pair| pair.is(key));
    let features = line.get("Feature").or(line.get("Features"));
    if let Some(pair) = features.or(default("Feature")).or(default("Features")) {
        node.features = words_of(&pair.value);
    }
    let (cpus, told) = layout.cpus();
    node.cpus = cpus;
    for message in told {
        let place = line.get("CPUs").or(line.get("Procs")).unwrap_or(&line.pairs[0]).place();
        let told = Diagnostic::warning("W0514", message).at(place);
        diagnostics.push(told.help("write CPUs as sockets x cores x threads, or leave CPUs out"));
    }
    (node, exists)
}

/// The words of a list between commas.
pub(super) fn words_of(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a node is out of use, and whether it exists; flags stand behind plus signs, as scontrol prints them.
fn state_of(pair: &Pair, diagnostics: &mut Diagnostics) -> (bool, bool) {
    const USABLE: [&str; 16] = [
        "UNKNOWN",
        "IDLE",
        "ALLOCATED",
        "MIXED",
        "COMPLETING",
        "CLOUD",
        "POWERED_DOWN",
        "POWERING_DOWN",
        "POWERING_UP",
        "PLANNED",
        "RESERVED",
        "UP",
        "NOT_RESPONDING",
        "DYNAMIC_NORM",
        "CLEAR",
        "BLOCKED",
    ];
    const UNUSABLE: [&str; 9] =
        ["DOWN", "DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING", "MAINTENANCE", "REBOOT_ISSUED", "INVAL"];
    let (mut unusable, mut exists) = (false, true);
    for word in pair.value.split('+') {
        let word =
            word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_').to_ascii_uppercase();
        match word.as_str() {
            "FUTURE" => exists = false,
            word if UNUSABLE.contains(&word) => unusable = true,
            word if USABLE.contains(&word) => {}
            _ => {
                let message = format!("`{}` is no state of a node", pair.value);
                let told = Diagnostic::error("W0507", message).at(pair.place());
                diagnostics.push(told.help("one of UNKNOWN, DOWN, DRAIN, FAIL, FUTURE, CLOUD"));
            }
        }
    }
    (unusable, exists)
}

pub(super) fn number(pair: &Pair, diagnostics: &mut Diagnostics) -> u32 {
    values::number(&pair.value).unwrap_or_else(|| {
        diagnostics.push(
            Diagnostic::error("W0507", format!("`{}` is no whole number", pair.value))
                .at(pair.place())
                .help(format!("write {}=1 or another whole number below 2^32", pair.key)),
        );
        0
    })
}

/// `gpu:h100:4,gpu:h100_1g.10gb:28`, `gpu:8`; other GRES are counted nowhere yet.
fn gres_of(pair: &Pair, config: &mut SlurmConfig, diagnostics: &mut Diagnostics) -> Vec<GresCount> {
    let mut out = Vec::new();
    let mut total = 0;
    for item in outside_parentheses(&pair.value).split(',').filter(|item| !item.is_empty()) {
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
        let Some(count) = values::amount(count).ok().and_then(|n| u32::try_from(n).ok()) else {
            let told = Diagnostic::error("W0507", format!("`{item}` names no count")).at(pair.place());
            diagnostics.push(told.help("write gpu:4 or gpu:a100:4"));
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

/// Leaves out what stands in parentheses: `(S:0,3)`, the sockets of a device.
fn outside_parentheses(text: &str) -> String {
    let mut inside = false;
    let outside = |c: &char| {
        let keep = !inside && *c != '(';
        inside = (inside || *c == '(') && *c != ')';
        keep
    };
    text.chars().filter(outside).collect()
}

/// Reads `NodeSet`, `DownNodes` and `FrontendName` lines.
pub(super) fn apply_sets(
    lines: &[Line],
    names: &NodeNames,
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
            ("nodeset", "nodeset" | "nodes" | "feature") | ("downnodes", "downnodes" | "state") => {
                Treatment::Honoured
            }
            ("downnodes", "reason") => Treatment::Ignored("no influence on when or where jobs start"),
            ("frontendname", _) => Treatment::NotYet("front-end nodes"),
            _ => Treatment::NotYet("unknown to this version"),
        };
        if ["NodeSet", "DownNodes", "FrontendName"].iter().any(|key| first.is(key)) {
            line.pairs.iter().for_each(|pair| coverage.note(pair, treat(pair)));
        }
        if first.is("DownNodes") {
            let state = line.get("State").is_none_or(|state| {
                ["DOWN", "DRAIN", "FAIL", "FAILING"].iter().any(|word| state.value.eq_ignore_ascii_case(word))
            });
            for host in hosts_of(first, diagnostics).into_iter().flatten() {
                match names.find(&host) {
                    Some(Some(at)) => config.nodes[at].unusable |= state,
                    Some(None) => {}
                    None => {
                        let message = format!("DownNodes names node {host}, which no NodeName line defines");
                        let told = Diagnostic::error("W0511", message).at(first.place());
                        diagnostics.push(names.suggest(told, &host));
                    }
                }
            }
        }
    }
}

fn node_treatment(pair: &Pair) -> Treatment {
    let upper = pair.value.to_ascii_uppercase();
    let (cloud, out) = (upper.contains("CLOUD"), ["DOWN", "DRAIN", "FAIL"].iter().any(|w| upper.contains(w)));
    match pair.key.to_ascii_lowercase().as_str() {
        "state" if cloud => Treatment::NotYet("power saving: nodes of the cloud are always on"),
        "state" if out => {
            Treatment::Approximated("no job starts there; its hours are booked as idle, not as down")
        }
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

//! Which GPUs a node has, by name: from `scontrol show node`, slurm.conf or gres.conf lines
//! (`NodeName=... Gres=gpu:a100:4`), `sinfo -N -h -o '%N %G'`, or an openb list of nodes.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::problem::{Fatal, code};
use super::source;
use crate::diagnostic::{Diagnostic, Place};

/// GPU types by node name, and what all nodes have together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeList {
    gpu_types: BTreeMap<String, String>,
    /// Nodes named.
    pub nodes: u64,
    /// GPUs of all nodes.
    pub gpus: u64,
    /// CPUs of all nodes; 0 where the list does not say.
    pub cpus: u64,
}

/// Hosts that one expression may name.
const MOST_HOSTS: usize = 100_000;

impl NodeList {
    /// Reads a list.
    ///
    /// # Errors
    /// A diagnostic where the file cannot be read or names no node.
    pub fn read(path: &Path) -> Result<Self, Diagnostic> {
        let file: Arc<str> = path.display().to_string().into();
        let text = read_text(path).map_err(|error| {
            let message = format!("cannot read the list of nodes: {}", super::plain_words(&error));
            Diagnostic::error(code::UNREADABLE, message).at(Place::File(Arc::clone(&file)))
        })?;
        let list = Self::of_text(&text);
        if list.nodes > 0 {
            return Ok(list);
        }
        Err(Diagnostic::error(code::NO_VALID_ROW, "the list names no node")
            .at(Place::File(file))
            .help("give the output of `scontrol show node -o`, or of `sinfo -N -h -o '%N %G'`"))
    }

    fn of_text(text: &str) -> Self {
        let mut list = Self::default();
        let mut lines = text.lines().filter(|line| !line.trim_start().starts_with('#')).peekable();
        if lines.peek().is_some_and(|first| first.starts_with("sn,")) {
            let header: Vec<&str> = lines.next().unwrap_or("").split(',').map(str::trim).collect();
            let column = |name: &str| header.iter().position(|known| *known == name);
            let (gpu, model, cpu) = (column("gpu"), column("model"), column("cpu_milli"));
            for line in lines {
                let cells: Vec<&str> = line.split(',').map(str::trim).collect();
                let cell = |at: Option<usize>| at.and_then(|at| cells.get(at).copied()).unwrap_or("");
                let kind = Some(cell(model)).filter(|kind| !kind.is_empty());
                list.add(cells[0], kind, cell(gpu).parse().unwrap_or(0));
                list.cpus += cell(cpu).parse::<u64>().unwrap_or(0) / 1000;
            }
            return list;
        }
        // `scontrol show node` without -o writes a node in several lines.
        let mut current: Option<String> = None;
        for line in lines {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let value = |key: &str| {
                words
                    .iter()
                    .find_map(|word| word.split_once('=').filter(|(k, _)| k.eq_ignore_ascii_case(key)))
            };
            if let Some((_, name)) = value("NodeName") {
                current = Some(name.to_owned());
                list.add_words(name, &words, true);
            } else if let Some(name) = current.as_deref().filter(|_| words.iter().any(|w| w.contains('='))) {
                let name = name.to_owned();
                list.add_words(&name, &words, false);
            } else if let [name, gres] = words[..] {
                let (kind, gpus) = gres_of(gres);
                list.add(name, kind, gpus);
            }
        }
        list
    }

    /// The words of one line about `name`.
    fn add_words(&mut self, name: &str, words: &[&str], is_first: bool) {
        let value = |keys: &[&str]| {
            words.iter().find_map(|word| {
                let (key, value) = word.split_once('=')?;
                keys.iter().any(|k| k.eq_ignore_ascii_case(key)).then_some(value)
            })
        };
        let (mut kind, mut gpus) = value(&["Gres"]).map_or((None, 0), gres_of);
        let tres = value(&["CfgTRES"]).unwrap_or("");
        for (key, number) in tres.split(',').filter_map(|pair| pair.split_once('=')) {
            if let Some(typed) = key.strip_prefix("gres/gpu:") {
                (kind, gpus) = (Some(typed), number.parse().unwrap_or(gpus));
            } else if key == "gres/gpu" && gpus == 0 {
                gpus = number.parse().unwrap_or(0);
            }
        }
        let cpus =
            value(&["CPUTot", "CPUs"]).or_else(|| tres.split(',').find_map(|t| t.strip_prefix("cpu=")));
        let cpus: u64 = cpus.and_then(|n| n.parse().ok()).unwrap_or(0);
        let hosts = hosts(name);
        if is_first {
            self.nodes += hosts.len() as u64;
        }
        self.cpus += cpus * hosts.len() as u64;
        let is_known = hosts.first().is_some_and(|host| self.gpu_types.contains_key(host));
        if gpus > 0 && !is_known {
            self.gpus += gpus * hosts.len() as u64;
        }
        if let Some(kind) = kind {
            self.gpu_types.extend(hosts.into_iter().map(|host| (host, kind.to_owned())));
        }
    }

    fn add(&mut self, name: &str, kind: Option<&str>, gpus: u64) {
        let hosts = hosts(name);
        self.nodes += hosts.len() as u64;
        self.gpus += gpus * hosts.len() as u64;
        if let Some(kind) = kind {
            self.gpu_types.extend(hosts.into_iter().map(|host| (host, kind.to_owned())));
        }
    }

    /// The GPU type of the first node of a host list that has a known one.
    #[must_use]
    pub fn gpu_type(&self, node_list: &str) -> Option<&str> {
        if self.gpu_types.is_empty() {
            return None;
        }
        hosts(node_list).iter().find_map(|host| self.gpu_types.get(host).map(String::as_str))
    }
}

/// Type and number in `gpu:a100:4(S:0-1)`, `gpu:4` or `(null)`.
fn gres_of(text: &str) -> (Option<&str>, u64) {
    for word in text.split(',') {
        let word = word.split('(').next().unwrap_or(word);
        let parts: Vec<&str> = word.split(':').collect();
        match parts[..] {
            ["gpu", number] if number.bytes().all(|c| c.is_ascii_digit()) => {
                return (None, number.parse().unwrap_or(0));
            }
            ["gpu", kind] => return (Some(kind), 1),
            ["gpu", kind, number] => return (Some(kind), number.parse().unwrap_or(0)),
            _ => {}
        }
    }
    (None, 0)
}

/// The hosts of `n[01-03,7],login`; what does not parse stands for itself.
pub fn hosts(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0;
    for part in text.split(|c: char| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ',' && depth == 0
    }) {
        expand(part.trim(), &mut found);
    }
    found
}

fn expand(part: &str, found: &mut Vec<String>) {
    let bracket = part.find('[').and_then(|open| Some((open, open + part[open..].find(']')?)));
    let Some((open, close)) = bracket else {
        if !part.is_empty() && found.len() < MOST_HOSTS {
            found.push(part.to_owned());
        }
        return;
    };
    let (head, tail) = (&part[..open], &part[close + 1..]);
    for piece in part[open + 1..close].split(',') {
        let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
        match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(low), Ok(high)) if low <= high && (high - low) < MOST_HOSTS as u64 => {
                for n in low..=high {
                    expand(&format!("{head}{n:0width$}{tail}", width = first.len()), found);
                }
            }
            _ => expand(&format!("{head}{piece}{tail}"), found),
        }
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    source::open(path).and_then(source::unpack)?.reader.read_to_string(&mut text)?;
    Ok(text)
}

/// The list that the options name, or an empty one.
pub(super) fn of_options(path: Option<&Path>) -> Result<NodeList, Fatal> {
    path.map_or_else(|| Ok(NodeList::default()), |path| NodeList::read(path).map_err(Box::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_lists() {
        assert_eq!(hosts("n[01-03,7],login"), ["n01", "n02", "n03", "n7", "login"]);
        assert_eq!(hosts("r[1-2]n[1-2]"), ["r1n1", "r1n2", "r2n1", "r2n2"]);
        assert_eq!(hosts("cpn-f13-04-[01-02],cpn-d12-14").len(), 3);
        assert_eq!(hosts(""), [""; 0]);
        assert_eq!(hosts("a[x"), ["a[x"]);
    }

    #[test]
    fn types_by_node() {
        let scontrol = "NodeName=a1 Arch=x86_64 CPUTot=64\n   Gres=gpu:a100:4(S:0-1)\n   \
                        CfgTRES=cpu=64,mem=514404M,gres/gpu=4,gres/gpu:a100=4\nNodeName=c1 CPUTot=128\n   Gres=(null)\n";
        let list = NodeList::of_text(scontrol);
        assert_eq!((list.nodes, list.gpus), (2, 4));
        assert_eq!(list.gpu_type("c1,a[1-2]"), Some("a100"));
        assert_eq!(list.gpu_type("c1"), None);
        let conf = NodeList::of_text("# comment\nNodeName=g[1-2] CPUs=8 Gres=gpu:v100:1\n");
        assert_eq!((conf.nodes, conf.gpus, conf.cpus), (2, 2, 16));
        let sinfo = NodeList::of_text("g1 gpu:h100:8\nc1 (null)\n");
        assert_eq!(sinfo.gpu_type("g1"), Some("h100"));
        let openb =
            NodeList::of_text("sn,cpu_milli,memory_mib,gpu,model\nn0,32000,1,0,\nn1,64000,1,2,P100\n");
        assert_eq!((openb.nodes, openb.gpus, openb.cpus), (2, 2, 96));
        assert_eq!(openb.gpu_type("n1"), Some("P100"));
    }
}

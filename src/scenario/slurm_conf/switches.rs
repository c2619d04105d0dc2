//! `topology.conf` as a graph: its switches or blocks as a tree for `fabric`. What Slurm's own placement makes of it is read in
//! [`super::topology`].

use std::path::Path;

use super::{expand_hosts, lines};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::fabric::builders::SwitchSpec;

/// What `topology.conf` describes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    /// Switches in the order of the file. Blocks are switches under one called `blocks`, which is last.
    pub switches: Vec<SwitchSpec>,
    /// Whether they are blocks.
    pub blocks: bool,
    /// `BlockSizes`, as written.
    pub block_sizes: Vec<u32>,
}

/// The switch above all blocks.
const ABOVE_BLOCKS: &str = "blocks";

/// Reads a `topology.conf`; `all` are the nodes that `Nodes=ALL` stands for.
///
/// # Errors
/// A file that cannot be read, ranges and numbers that cannot be read, a line that names neither switch nor block.
pub fn read_switches(path: &Path, all: &[String]) -> Result<Topology, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let mut found = Topology::default();
    match lines::read(path, &mut diagnostics) {
        Ok(lines) => lines.iter().for_each(|line| found.line(line, all, &mut diagnostics)),
        Err(problem) => diagnostics.push(*problem),
    }
    let place = || Place::File(path.display().to_string().into());
    if found.switches.is_empty() && diagnostics.errors() == 0 {
        let told = Diagnostic::error("W0601", "the file names no switch and no block").at(place());
        diagnostics.push(told.help("write a line such as `SwitchName=s1 Nodes=n[01-16]`"));
    }
    if found.blocks {
        let blocks = found.switches.iter().map(|block| block.name.clone()).collect();
        let place = found.switches.first().map_or_else(place, |block| block.place.clone());
        found.switches.push(SwitchSpec {
            name: ABOVE_BLOCKS.to_owned(),
            nodes: Vec::new(),
            switches: blocks,
            place,
        });
    }
    if diagnostics.errors() > 0 { Err(diagnostics) } else { Ok(found) }
}

impl Topology {
    fn line(&mut self, line: &lines::Line, all: &[String], diagnostics: &mut Diagnostics) {
        if let Some(sizes) = line.get("BlockSizes") {
            for size in sizes.value.split(',') {
                match size.trim().parse() {
                    Ok(size) if size > 0 => self.block_sizes.push(size),
                    _ => {
                        let told = Diagnostic::error("W0507", format!("`{size}` is not a number of nodes"));
                        diagnostics.push(told.at(sizes.place()).help("write sizes as 4,8,16"));
                    }
                }
            }
            if line.get("BlockName").is_none() {
                return;
            }
        }
        let (switch, block) = (line.get("SwitchName"), line.get("BlockName"));
        let Some(name) = switch.or(block) else {
            if let Some(pair) = line.pairs.first() {
                let message = format!("the line names neither a switch nor a block, but {}", pair.key);
                let told = Diagnostic::error("W0601", message).at(pair.place());
                diagnostics.push(told.help("begin lines with SwitchName= or BlockName="));
            }
            return;
        };
        if !self.switches.is_empty() && self.blocks != block.is_some() {
            let told = Diagnostic::error("W0601", "switches and blocks stand in one file").at(name.place());
            return diagnostics.push(told.help("a file describes a tree of switches or blocks, not both"));
        }
        self.blocks = block.is_some();
        let mut names = |key: &str| -> Vec<String> {
            let Some(pair) = line.get(key) else { return Vec::new() };
            match pair.value.to_ascii_lowercase().as_str() {
                "all" if key == "Nodes" => return all.to_vec(),
                "none" => return Vec::new(),
                _ => {}
            }
            expand_hosts(&pair.value).unwrap_or_else(|why| {
                let told = Diagnostic::error("W0505", format!("`{}`: {why}", pair.value)).at(pair.place());
                diagnostics.push(told.help("write ranges as n[01-16,20]"));
                Vec::new()
            })
        };
        let (nodes, switches) = (names("Nodes"), names("Switches"));
        self.switches.push(SwitchSpec { name: name.value.clone(), nodes, switches, place: name.place() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Topology, Vec<&'static str>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("topology.conf");
        std::fs::write(&path, text).unwrap();
        read_switches(&path, &["a".to_owned(), "b".to_owned()])
            .map_err(|told| told.kept().iter().map(|one| one.code.0).collect())
    }

    #[test]
    fn switches_and_blocks_become_a_tree() {
        let tree =
            read("SwitchName=s[1] Nodes=n[01-02] LinkSpeed=9\nSwitchName=top Switches=s[1-2]\n").unwrap();
        assert_eq!(tree.switches[0].nodes, ["n01", "n02"]);
        assert_eq!(
            (tree.switches[1].switches.as_slice(), tree.blocks),
            (["s1", "s2"].map(str::to_owned).as_slice(), false)
        );
        let blocks = read("BlockName=b1 Nodes=ALL\nBlockName=b2 Nodes=none\nBlockSizes=2,4\n").unwrap();
        assert_eq!(blocks.switches.len(), 3);
        assert_eq!((blocks.switches[0].nodes.len(), blocks.switches[2].switches.len()), (2, 2));
        assert_eq!(blocks.block_sizes, [2, 4]);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        assert_eq!(read("# nothing\n"), Err(vec!["W0601"]));
        assert_eq!(read("Nodes=n1\n"), Err(vec!["W0601"]));
        assert_eq!(read("SwitchName=s1 Nodes=n[1-\n"), Err(vec!["W0505"]));
        assert_eq!(read("BlockName=b Nodes=ALL\nBlockSizes=two\n"), Err(vec!["W0507"]));
        assert_eq!(read("BlockName=b Nodes=ALL\nSwitchName=s Nodes=none\n"), Err(vec!["W0601"]));
    }
}

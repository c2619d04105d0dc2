//! `topology.conf`: read, so that it can be told what is not used of it.

use std::path::Path;

use super::coverage::{Coverage, Treatment};
use super::names::NodeNames;
use super::{expand_hosts, lines};
use crate::diagnostic::{Diagnostic, Diagnostics};

pub(super) fn check(path: &Path, names: &NodeNames, coverage: &mut Coverage, diagnostics: &mut Diagnostics) {
    let lines = match lines::read(path, diagnostics) {
        Ok(lines) => lines,
        Err(problem) => return diagnostics.push(*problem),
    };
    for pair in lines.iter().flat_map(|line| &line.pairs) {
        let treatment = match pair.key.to_ascii_lowercase().as_str() {
            "linkspeed" => Treatment::Ignored("slurmctld does not use it either"),
            _ => Treatment::NotYet("nodes are chosen without topology"),
        };
        coverage.note(pair, treatment);
        if !pair.is("Nodes")
            || pair.value.eq_ignore_ascii_case("ALL")
            || pair.value.eq_ignore_ascii_case("none")
        {
            continue;
        }
        let hosts = match expand_hosts(&pair.value) {
            Ok(hosts) => hosts,
            Err(why) => {
                let message = format!("`{}`: {why}", pair.value);
                let told = Diagnostic::error("W0505", message).at(pair.place());
                diagnostics.push(told.help("write ranges as n[01-16,20]"));
                continue;
            }
        };
        for host in hosts.iter().filter(|host| names.find(host).is_none()) {
            let message = format!("a switch names node {host}, which no NodeName line defines");
            let told = Diagnostic::warning("W0511", message).at(pair.place());
            diagnostics.push(names.suggest(told, host));
        }
    }
}

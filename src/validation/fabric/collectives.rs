//! Times of collectives as CSV: `system,op,ranks,ranks_per_node,nodes,size_bytes,time_us`.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::rows::{Collected, Errors};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::fabric::collectives::{Collective, Curves, Members, Wires};
use crate::scenario::catalogue::fabrics::{FabricRow, fabric};

/// Systems whose times were measured: what GPUs of a node talk over, and the network with one port for each GPU.
const SYSTEMS: [(&str, &str, Option<&str>); 12] = [
    ("a100_sxm", "NVLink3-NVSwitch", None),
    ("h100_sxm", "NVLink4-NVSwitch", None),
    ("h200_sxm", "NVLink4-NVSwitch", None),
    ("b200_sxm", "NVLink5-NVSwitch", None),
    ("b300_sxm", "NVLink5-NVSwitch", None),
    ("gb200", "NVLink5-NVL72", None),
    ("gb300", "NVLink5-NVL72", None),
    ("l40s", "PCIe4-x16", None),
    ("rtx_pro_6000_server", "PCIe5-x16", None),
    ("h100_ndr", "NVLink4-NVSwitch", Some("InfiniBand-NDR400")),
    ("h100_ndr_node", "NVLink4-NVSwitch", Some("InfiniBand-NDR400")),
    ("dgxa100_hdr", "NVLink3-NVSwitch", Some("InfiniBand-HDR200")),
];

/// The pod of the measured training steps: 8 H100 a node, a port of NDR for each GPU.
const POD: &str = "h100_ndr";
pub(super) const POD_GPUS_PER_NODE: u32 = 8;

/// Most rows of a file.
const ROWS: usize = 5_000_000;

#[derive(Deserialize)]
struct Row {
    system: String,
    op: String,
    ranks: u32,
    ranks_per_node: u32,
    nodes: u32,
    size_bytes: f64,
    time_us: Option<f64>,
}

impl Row {
    fn members(&self) -> Members {
        Members { ranks: self.ranks, per_node: self.ranks_per_node, nodes: self.nodes }
    }

    /// What of the row makes no sense.
    fn wrong(&self) -> Option<String> {
        if Collective::named(&self.op).is_none() {
            let known = Collective::ALL.map(Collective::name).join(", ");
            return Some(format!("`{}` is no collective; known are {known}", self.op));
        }
        if u64::from(self.ranks_per_node) * u64::from(self.nodes) != u64::from(self.ranks) || self.ranks == 0
        {
            let (n, m, nodes) = (self.ranks, self.ranks_per_node, self.nodes);
            return Some(format!("{n} ranks are not {m} on each of {nodes} nodes"));
        }
        if !(self.size_bytes.is_finite() && self.size_bytes >= 0.0) {
            return Some(format!("size_bytes is {}", self.size_bytes));
        }
        self.time_us
            .filter(|time| !(time.is_finite() && *time > 0.0))
            .map(|time| format!("time_us is {time}"))
    }
}

/// The wires of the pod of training steps.
pub(super) fn pod() -> Wires {
    wires(POD).expect("the pod is one of the systems, which a test reads").0
}

/// The wires of a system, and whether they are PCIe.
fn wires(system: &str) -> Option<(Wires, bool)> {
    let (_, inside, between) = SYSTEMS.iter().find(|(name, ..)| *name == system)?;
    let inside = fabric(inside)?;
    let between = between.and_then(fabric).and_then(|row| FabricRow::between(row, 1.0));
    Some((Wires { inside: inside.inside()?, between }, inside.is_pcie()))
}

/// Reads measured curves.
pub(super) fn curves(path: &Path) -> Result<Curves, Diagnostics> {
    let name: Arc<str> = path.display().to_string().into();
    let text = super::super::case_files::read(path)?;
    let mut curves = Curves::default();
    for row in rows(&text, &name)? {
        if let (Some(what), Some(time_us)) = (Collective::named(&row.op), row.time_us) {
            curves.add(&row.system, what, row.members(), row.size_bytes, time_us / 1e6);
        }
    }
    Ok(curves)
}

fn rows(text: &str, file: &Arc<str>) -> Result<Vec<Row>, Diagnostics> {
    let mut found = Diagnostics::default();
    let bad = |line: u64, text: String, message: String| {
        let place = Place::Line { file: Arc::clone(file), line, column: 0, text };
        let help = "a row is system,op,ranks,ranks_per_node,nodes,size_bytes,time_us";
        Diagnostic::error("W0605", message).at(place).help(help)
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(why) => {
                let line = why.position().map_or(1, csv::Position::line);
                found.push(bad(line, String::new(), format!("the row cannot be read: {why}")));
                continue;
            }
        };
        let line = record.position().map_or(1, csv::Position::line);
        let shown = || record.iter().collect::<Vec<_>>().join(",").chars().take(120).collect();
        let row: Row = match record.deserialize(Some(&header)) {
            Ok(row) => row,
            Err(why) => {
                found.push(bad(line, shown(), format!("the row cannot be read: {why}")));
                continue;
            }
        };
        match row.wrong() {
            Some(why) => found.push(bad(line, shown(), why)),
            None if rows.len() == ROWS => {
                found.push(bad(line, shown(), format!("the file has more than {ROWS} rows")));
                break;
            }
            None => rows.push(row),
        }
    }
    if rows.is_empty() && found.is_empty() {
        found.push(bad(1, header.iter().collect::<Vec<_>>().join(","), "the file has no row".to_owned()));
    }
    if found.errors() > 0 { Err(found) } else { Ok(rows) }
}

/// Computes all rows of a file.
pub(super) fn compute(
    text: &str,
    file: &Arc<str>,
    curves: &Curves,
    errors: &mut Errors,
) -> Result<Vec<Value>, Diagnostics> {
    let row = |row: Row| {
        let what = Collective::named(&row.op)?;
        let (members, known) = (row.members(), wires(&row.system));
        let wires = known.map(|(wires, _)| wires);
        let (seconds, source) = curves.seconds(&row.system, wires.as_ref(), what, members, row.size_bytes);
        if let Some(measured_us) = row.time_us {
            let curve = curves.get(&row.system, what, members);
            let there = |size| curve.is_some_and(|c| c.points().iter().any(|(known, _)| *known == size));
            let apart = |seconds: Option<f64>| seconds.map(|s| 100.0 * (s * 1e6 / measured_us - 1.0).abs());
            let inner = curve.is_some_and(|c| c.points().len() > 2 && within(c.points(), row.size_bytes));
            errors.collectives.push(Collected {
                size: row.size_bytes,
                over_nodes: row.nodes > 1,
                pcie_by_law: source.word() == "law" && known.is_some_and(|(_, pcie)| pcie),
                law_pct: apart(wires.and_then(|wires| wires.seconds(what, members, row.size_bytes))),
                curve_pct: apart(curve.and_then(|c| c.seconds(row.size_bytes)))
                    .filter(|_| !there(row.size_bytes)),
                left_out_pct: apart(curve.and_then(|c| c.without(row.size_bytes).seconds(row.size_bytes)))
                    .filter(|_| there(row.size_bytes) && inner),
            });
        }
        Some(json!({
            "system": row.system, "op": row.op, "ranks": row.ranks, "size_bytes": row.size_bytes,
            "ours_us": seconds.map(|s| s * 1e6), "from": source.word(),
        }))
    };
    Ok(rows(text, file)?.into_iter().filter_map(row).collect())
}

/// Whether a size has measured sizes on both sides.
fn within(points: &[(f64, f64)], size: f64) -> bool {
    points.first().is_some_and(|(first, _)| *first < size)
        && points.last().is_some_and(|(last, _)| size < *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_is_in_the_catalogue() {
        for (system, _, network) in SYSTEMS {
            let (found, _) = wires(system).unwrap();
            assert_eq!(found.between.is_some(), network.is_some(), "{system}");
        }
        assert!(pod().between.is_some());
    }
}

//! Networks and what GPUs of a node talk over: a row for each kind of wire.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{Confidence, rows};
use crate::fabric::collectives::{Between, Inside};

/// A kind of wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FabricRow {
    /// Name.
    pub fabric: String,
    /// `intra-node`, `rack`, `inter-node`, `inter-node VM`, `cluster`.
    pub scope: String,
    /// Signalling rate, in 10^9 bit/s.
    pub signal_gbit_s: f64,
    /// Peak in each direction, in 10^9 bytes/s.
    pub peak_gb_s_per_dir: f64,
    /// What a GPU (inside a node) or a port (between nodes) achieves, in 10^9 bytes/s.
    pub achieved_gb_s: Option<f64>,
    /// Bus bandwidth of all-reduce, in 10^9 bytes/s: more where the switch does the sums.
    pub allreduce_busbw_gb_s: Option<f64>,
    /// Achieved over peak.
    pub efficiency: Option<f64>,
    /// End to end, in us; between nodes through one switch.
    pub latency_us: f64,
    /// Each further switch, in ns.
    pub switch_hop_ns: Option<f64>,
    /// Most GPUs that are joined so.
    pub domain_gpus: Option<u32>,
    /// What is usual, in words.
    pub oversubscription: String,
    /// Where the values come from.
    pub source: String,
    /// How they are known.
    pub confidence: Confidence,
    /// Caveats.
    pub notes: String,
}

impl FabricRow {
    /// As what GPUs of a node talk over; `None` for a network, or where nothing is known of what is achieved.
    #[must_use]
    pub fn inside(&self) -> Option<Inside> {
        let achieved = self.achieved_gb_s.filter(|_| matches!(self.scope.as_str(), "intra-node" | "rack"))?;
        let all_reduce = self.allreduce_busbw_gb_s.unwrap_or(achieved);
        let gpus_over_nodes = self.domain_gpus.filter(|_| self.scope == "rack").unwrap_or(0);
        Some(Inside {
            bytes_per_s: achieved * 1e9,
            all_reduce_bytes_per_s: all_reduce * 1e9,
            gpus_over_nodes,
        })
    }

    /// As a network between nodes, with so many ports for each GPU; `None` for what is inside a node.
    #[must_use]
    pub fn between(&self, ports_per_gpu: f64) -> Option<Between> {
        let achieved = self.achieved_gb_s.filter(|_| self.scope.starts_with("inter-node"))?;
        let latency_s = self.latency_us / 1e6;
        Some(Between { port_bytes_per_s: achieved * 1e9, ports_per_gpu, latency_s })
    }

    /// Whether it is PCIe, where the law of collectives is far too optimistic.
    #[must_use]
    pub fn is_pcie(&self) -> bool {
        self.fabric.starts_with("PCIe")
    }
}

static FABRICS: LazyLock<Vec<FabricRow>> = LazyLock::new(|| rows(include_str!("fabrics.csv")));

/// All kinds of wires.
#[must_use]
pub fn fabrics() -> &'static [FabricRow] {
    &FABRICS
}

/// The row of that name, whatever its case.
#[must_use]
pub fn fabric(name: &str) -> Option<&'static FabricRow> {
    fabrics().iter().find(|row| row.fabric.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wires_are_sourced_and_no_faster_than_their_peak() {
        assert!(fabrics().len() > 20);
        for row in fabrics() {
            assert!(!row.source.is_empty() && row.latency_us > 0.0, "{}", row.fabric);
            assert!(
                row.achieved_gb_s.is_none_or(|achieved| 0.0 < achieved && achieved <= row.peak_gb_s_per_dir)
            );
            assert_eq!(fabrics().iter().filter(|other| other.fabric == row.fabric).count(), 1);
            assert!(row.inside().is_none() || row.between(1.0).is_none());
        }
        assert!(fabric("infiniband-ndr400").and_then(|row| row.between(1.0)).is_some());
        assert!(fabric("NVLink4-NVSwitch").and_then(FabricRow::inside).is_some());
    }
}

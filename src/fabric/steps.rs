//! What a training job sends in a step, and how its step grows with its GPUs.
//!
//! Three-dimensional parallelism with a sharded optimizer sends gradients and parameters within its data-parallel groups; a
//! fully sharded job gathers and scatters them in every micro-step. A share of that (`overlap`, 0.25 fits BF16 best) hides
//! behind computing. The recorded step is that of the job packed and alone: what it does not communicate, it computes.

use super::collectives::Wires;

/// Share of the communication that hides behind computing, unless told otherwise.
pub const OVERLAP: f64 = 0.25;

/// One round to another node, in seconds.
const ROUND_S: f64 = 10e-6;

/// The numbers that a job computes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 16 bits.
    #[default]
    Bf16,
    /// 8 bits for products; parameters are still gathered in 16.
    Fp8,
    /// 32 bits.
    Fp32,
}

impl Precision {
    /// The one of that name, whatever its case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let known = [("bf16", Self::Bf16), ("fp8", Self::Fp8), ("fp32", Self::Fp32)];
        known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, found)| found)
    }

    /// Bytes sent for each parameter in a step: gradients are scattered in four, parameters gathered in as many as they
    /// have between steps.
    #[must_use]
    pub fn bytes_per_parameter(self) -> f64 {
        match self {
            Self::Bf16 | Self::Fp8 => 6.0,
            Self::Fp32 => 8.0,
        }
    }
}

/// How a job splits its model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Split {
    /// Tensors in `tensor` parts, layers in `pipeline` parts, data over the rest.
    ThreeD {
        /// Parts of a tensor, on GPUs of one node.
        tensor: u32,
        /// Parts of the chain of layers.
        pipeline: u32,
    },
    /// Parameters over all GPUs.
    FullySharded {
        /// Layers.
        layers: u32,
        /// Times that all is gathered in a step.
        micro_steps: u32,
    },
}

/// A training job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Parameters.
    pub parameters: f64,
    /// What each of them is when it is sent.
    pub precision: Precision,
    /// How it is split.
    pub split: Split,
}

/// What a step sends, hidden or not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sent {
    /// Nodes that the ranks which send to each other span; 1 where nothing leaves a node.
    pub nodes: u32,
    /// Bytes that each of these nodes sends to the next one, all groups on it together.
    pub bytes_per_node: f64,
    /// Time for the bytes, in seconds.
    pub bytes_s: f64,
    /// Time for the rounds to other nodes, in seconds.
    pub rounds_s: f64,
}

impl Sent {
    /// All of it, in seconds.
    #[must_use]
    pub fn communication_s(&self) -> f64 {
        self.bytes_s + self.rounds_s
    }
}

impl Training {
    /// Communication of a step over all nodes that it spans; `None` where nodes have no network.
    #[must_use]
    pub fn sent(&self, wires: &Wires, gpus: u32, gpus_per_node: u32) -> Option<Sent> {
        let each = f64::from(gpus_per_node.max(1));
        let bytes = self.precision.bytes_per_parameter() * self.parameters;
        // Ranks of a group, parts of the model, groups' ranks on a node, times in a step, rounds for each node further.
        let (group, parts, per_node, times, rounds) = match self.split {
            Split::ThreeD { tensor, pipeline } => {
                let tensor = f64::from(tensor.max(1));
                let parts = tensor * f64::from(pipeline.max(1));
                (f64::from(gpus) / parts, parts, (each / tensor).max(1.0), 1.0, 2.0)
            }
            Split::FullySharded { layers, micro_steps } => {
                (f64::from(gpus), 1.0, each, f64::from(micro_steps), 3.0 * f64::from(layers))
            }
        };
        if group <= 1.0 {
            return Some(Sent { nodes: 1, ..Sent::default() });
        }
        let nodes = spanned(group, per_node);
        let rate = wires.ring_bytes_per_s(per_node.min(group), nodes)?;
        let sent = times * (bytes / parts * (group - 1.0) / group);
        let rounds_s = times * (rounds * f64::from(nodes - 1) * ROUND_S);
        let groups_on_node = each / per_node;
        Some(Sent { nodes, bytes_per_node: sent * groups_on_node, bytes_s: sent / rate, rounds_s })
    }

    /// Communication of a step, hidden or not, in seconds; `None` where nodes have no network.
    #[must_use]
    pub fn communication_s(&self, wires: &Wires, gpus: u32, gpus_per_node: u32) -> Option<f64> {
        self.sent(wires, gpus, gpus_per_node).map(|sent| sent.communication_s())
    }
}

/// Nodes that a group of ranks spans.
fn spanned(ranks: f64, per_node: f64) -> u32 {
    ((ranks / per_node).ceil() as u32).max(1)
}

/// What of a recorded step is computing, in seconds, if it communicates for `communication_s`.
///
/// A step cannot be shorter than what is not hidden; where the law says more, nothing is left for computing.
#[must_use]
pub fn compute_s(step_s: f64, communication_s: f64, overlap: f64) -> f64 {
    (step_s - (1.0 - overlap) * communication_s).max(0.0)
}

/// The step with that communication, in seconds.
#[must_use]
pub fn step_s(compute_s: f64, communication_s: f64, overlap: f64) -> f64 {
    compute_s + (communication_s - compute_s.min(overlap * communication_s)).max(0.0)
}

/// How much longer the step is on `to` GPUs than on `from`, as a share of the recorded step there; the work of a GPU stays the
/// same. `None` where nodes have no network.
#[must_use]
pub fn growth(
    training: &Training,
    wires: &Wires,
    gpus_per_node: u32,
    [from, to]: [u32; 2],
    recorded_s: f64,
    overlap: f64,
) -> Option<f64> {
    let at = |gpus| training.communication_s(wires, gpus, gpus_per_node);
    let compute = compute_s(recorded_s, at(from)?, overlap);
    Some(step_s(compute, at(to)?, overlap) / recorded_s - 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::collectives::{Between, Inside};
    use super::*;

    const WIRES: Wires = Wires {
        inside: Inside { bytes_per_s: 400e9, all_reduce_bytes_per_s: 500e9, gpus_over_nodes: 0 },
        between: Some(Between { port_bytes_per_s: 50e9, ports_per_gpu: 1.0, latency_s: 1.5e-6 }),
    };

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * b.abs()
    }

    #[test]
    fn what_is_sent_worked_by_hand() {
        let job = Training {
            parameters: 8e9,
            precision: Precision::Bf16,
            split: Split::ThreeD { tensor: 4, pipeline: 2 },
        };
        // 64 GPUs: groups of 8, two of each on a node, over 4 nodes, on two ports.
        let sent = job.communication_s(&WIRES, 64, 8).unwrap();
        assert!(near(sent, 6e9 * 7.0 / 8.0 / 100e9 + 6.0 * 10e-6), "{sent}");
        // 16 GPUs: both of a group on one node, over NVLink.
        assert!(near(job.communication_s(&WIRES, 16, 8).unwrap(), 6e9 / 2.0 / 400e9));
        assert_eq!(job.communication_s(&WIRES, 8, 8), Some(0.0));
        let sharded = Training {
            parameters: 1e9,
            precision: Precision::Bf16,
            split: Split::FullySharded { layers: 10, micro_steps: 2 },
        };
        let sent = sharded.communication_s(&WIRES, 32, 8).unwrap();
        assert!(near(sent, 2.0 * (6e9 * 31.0 / 32.0 / 400e9 + 30.0 * 3.0 * 10e-6)), "{sent}");
    }

    #[test]
    fn a_recorded_step_comes_out_again() {
        for (step, communication) in [(10.0, 2.0), (10.0, 9.9), (10.0, 10.0)] {
            let compute = compute_s(step, communication, 0.25);
            assert!(near(step_s(compute, communication, 0.25), step), "{step} {communication} {compute}");
        }
        // More communication than the record has time for.
        assert_eq!((compute_s(1.0, 8.0, 0.25), step_s(0.0, 8.0, 0.25)), (0.0, 8.0));
    }
}

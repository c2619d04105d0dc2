//! The network between the hosts of pools.

use std::sync::Arc;

use crate::fabric::collectives::{Between, Inside, Wires};
use crate::fabric::graph::Fabric;
use crate::fabric::steps::{Sent, Training, compute_s, step_s};
use crate::fabric::traffic::Ranks;
use crate::time::SimDuration;

/// A network of a design, with the hosts of one pool or several on it.
#[derive(Debug)]
pub struct Network {
    fabric: Fabric,
    capacities: Vec<f64>,
    phase_overlap: f64,
    rank_order: bool,
    spells: Vec<LinkSpell>,
    name: String,
}

/// Links that are out of order for a while; times count from the first submission.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkSpell {
    /// Their numbers, with the share of their capacity that is lost.
    pub links: Vec<(u32, f64)>,
    /// Begin.
    pub from: SimDuration,
    /// End.
    pub until: SimDuration,
}

/// What a job puts on links, whatever these are today.
#[derive(Clone, Debug, PartialEq)]
pub struct Sends {
    /// Its hosts, with its GPUs on each.
    pub hosts: Vec<(u32, u32)>,
    /// Who it is, for the choice of uplinks.
    pub job: u64,
    /// Its GPUs on each host.
    pub gpus: u32,
    /// Bytes of each host.
    pub bytes: f64,
    /// Hosts that each ring runs through; `None` = each GPU sends to each.
    pub span: Option<u32>,
}

impl Sends {
    /// Bytes on each link of a network, by its number; rings in the order of the network, or of the hosts as they are listed.
    #[must_use]
    pub fn over(&self, fabric: &Fabric, rank_order: bool) -> Vec<(u32, f64)> {
        let ranks = Ranks { nodes: &self.hosts, rank_order, job: self.job, rings: self.gpus };
        match self.span {
            Some(span) => fabric.rings(&ranks, span as usize, self.bytes),
            None => {
                let (each, hosts) = (f64::from(self.gpus.max(1)), self.hosts.len() as f64);
                // Of what a GPU sends, the part for its own host stays there.
                fabric.all_to_all(&ranks, self.bytes / each * hosts / (hosts - 1.0).max(1.0))
            }
        }
    }
}

impl Network {
    /// With the share of their communication that jobs do at the same time as others, 0 to 1.
    #[must_use]
    pub fn new(fabric: Fabric, phase_overlap: f64) -> Self {
        Self {
            capacities: fabric.capacities(),
            fabric,
            phase_overlap,
            rank_order: true,
            spells: Vec::new(),
            name: String::new(),
        }
    }

    /// The same with links that fail at instants that are written.
    #[must_use]
    pub fn with_spells(self, spells: Vec<LinkSpell>) -> Self {
        Self { spells, ..self }
    }

    /// The same with rings in the order of its own, or in that of the jobs' hosts.
    #[must_use]
    pub fn in_rank_order(self, rank_order: bool) -> Self {
        Self { rank_order, ..self }
    }

    /// Whether rings run in the order of the network.
    #[must_use]
    pub fn rank_order(&self) -> bool {
        self.rank_order
    }

    /// The same with the name that its design has for it.
    #[must_use]
    pub fn called(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// What its design calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Links that fail.
    #[must_use]
    pub fn spells(&self) -> &[LinkSpell] {
        &self.spells
    }

    /// Bytes per second that each link can carry, by its number.
    #[must_use]
    pub fn capacities(&self) -> &[f64] {
        &self.capacities
    }

    /// 0 = everybody communicates while the others compute, 1 = all at once.
    #[must_use]
    pub fn phase_overlap(&self) -> f64 {
        self.phase_overlap
    }

    /// The graph.
    #[must_use]
    pub fn fabric(&self) -> &Fabric {
        &self.fabric
    }
}

/// A pool on a network.
#[derive(Clone, Debug)]
pub struct OnNetwork {
    /// Which one.
    pub network: Arc<Network>,
    /// Number there of the pool's first host; the others follow.
    pub first: u32,
    /// Bytes per second of the adapters that stand for one GPU, as jobs have them: a virtual adapter can be slower than
    /// the link behind it. Of the whole host where it has no GPUs.
    pub adapter_bytes_s: f64,
    /// What the GPUs of a host talk over; `None` where they are not known, or there are none.
    pub gpu_links: Option<GpuLinks>,
}

/// What the GPUs of a host talk over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpuLinks {
    /// As run times were recorded: all links of the board are there.
    pub usual: Inside,
    /// Here.
    pub now: Inside,
    /// GPUs that are so joined.
    pub domain: u32,
    /// Whether that is PCIe, for which laws are far too good.
    pub is_pcie: bool,
}

impl GpuLinks {
    /// How many times as long what GPUs of a host send to each other takes here.
    #[must_use]
    pub fn slowdown(&self) -> f64 {
        (self.usual.all_reduce_bytes_per_s / self.now.all_reduce_bytes_per_s).max(1.0)
    }
}

/// A class of training jobs of which it is known what they send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trained {
    /// How its model is split.
    pub training: Training,
    /// Its step where it was recorded, in seconds.
    pub step_s: f64,
    /// GPUs of the job that took that step; the work of a GPU is the same in all jobs. `None` = each job.
    pub step_gpus: Option<u32>,
}

/// A step of such a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainedStep {
    /// Where it was recorded, in seconds.
    pub recorded_s: f64,
    /// Part of it that computes, in seconds.
    pub compute_s: f64,
    /// What it sent there.
    pub then: Sent,
    /// What it sends here.
    pub now: Sent,
}

impl Trained {
    /// The step of a job with so many GPUs, `each` on a host, if a GPU had `recorded_bytes_s` of the network where it was
    /// recorded; `None` where nothing is known of what its GPUs talk over.
    #[must_use]
    pub fn step(
        &self,
        on: &OnNetwork,
        recorded_bytes_s: f64,
        (gpus, each): (u32, u32),
        overlap: f64,
    ) -> Option<TrainedStep> {
        let links = on.gpu_links?;
        let wires = |inside, port_bytes_per_s| Wires {
            inside,
            between: Some(Between { port_bytes_per_s, ports_per_gpu: 1.0, latency_s: 0.0 }),
        };
        let then = wires(links.usual, recorded_bytes_s);
        let at = |wires, gpus| self.training.sent(wires, gpus, each);
        let measured = at(&then, self.step_gpus.unwrap_or(gpus))?;
        let compute_s = compute_s(self.step_s, measured.communication_s(), overlap);
        let sent = at(&then, gpus)?;
        let recorded_s = step_s(compute_s, sent.communication_s(), overlap);
        let now = at(&wires(links.now, on.adapter_bytes_s), gpus)?;
        Some(TrainedStep { recorded_s, compute_s, then: sent, now })
    }
}

impl TrainedStep {
    /// The share of the recorded step that communication between hosts took, beyond what was hidden.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.then.nodes > 1 { 1.0 - self.compute_s / self.recorded_s } else { 0.0 }
    }
}

/// The same network, not an equal one.
impl PartialEq for OnNetwork {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.network, &other.network)
            && self.first == other.first
            && self.adapter_bytes_s == other.adapter_bytes_s
            && self.gpu_links == other.gpu_links
    }
}

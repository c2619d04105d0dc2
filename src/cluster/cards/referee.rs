//! An independent check of shared GPUs, from the record alone.
//!
//! It shares no code with the ledger: it re-adds every holding over time, card by card, and looks for
//! over-capacity, memory units held twice, and instances that the hardware does not allow. Where cards are vGPUs of VMs it
//! adds them up on the GPUs of the hosts as well.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::{CARD_UNITS, CardGrant, CardMode, CardPool, Device};
use crate::cluster::ClusterSpec;
use crate::cluster::referee::Hosts;
use crate::ids::TenantId;
use crate::time::SimTime;

/// One allocation as it was.
#[derive(Clone, Debug)]
pub struct CardsHeld {
    /// Row number in the record, for messages.
    pub row: usize,
    /// Taken at.
    pub start: SimTime,
    /// Given back at.
    pub end: SimTime,
    /// Whose it was.
    pub tenant: TenantId,
    /// What was held.
    pub grants: Vec<CardGrant>,
}

/// The first violation found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {node} at {at} s, row {row}: {what}")]
pub struct CardViolation {
    /// Node index.
    pub node: u32,
    /// When.
    pub at: SimTime,
    /// Row.
    pub row: usize,
    /// What is wrong.
    pub what: &'static str,
}

#[derive(Clone, Default)]
struct CardUse {
    milli: u64,
    mib: u64,
    units: u32,
    compute: u32,
    instances: u32,
}

struct NodeUse {
    pool: usize,
    cpus: u64,
    mem_mb: u64,
    cards: Vec<CardUse>,
}

/// Goes through the history in time order, releases before takes.
///
/// # Errors
/// The first [`CardViolation`].
pub fn check(spec: &ClusterSpec, pools: &[CardPool], history: &[CardsHeld]) -> Result<(), CardViolation> {
    let mut nodes: Vec<NodeUse> = Vec::new();
    let mut first_of: Vec<u32> = Vec::new();
    let mut on_gpu: BTreeMap<(usize, u32, u8), u64> = BTreeMap::new();
    for (at, pool) in spec.pools.iter().enumerate() {
        first_of.push(nodes.len() as u32);
        let cards = vec![CardUse::default(); pool.node.capacity.gpus as usize];
        let node = |_| NodeUse { pool: at, cpus: 0, mem_mb: 0, cards: cards.clone() };
        nodes.extend((0..pool.count).map(node));
    }
    let mut steps: Vec<(SimTime, bool, usize)> = Vec::with_capacity(history.len() * 2);
    for (at, held) in history.iter().enumerate() {
        if held.end < held.start {
            return Err(CardViolation {
                node: 0,
                at: held.end,
                row: held.row,
                what: "ends before it starts",
            });
        }
        if held.end > held.start {
            steps.push((held.start, true, at));
            steps.push((held.end, false, at));
        }
    }
    steps.sort_unstable();
    let mut hosts = Hosts::new(spec);
    for (now, take, at) in steps {
        for grant in &history[at].grants {
            let violation = |what| CardViolation { node: grant.node.0, at: now, row: history[at].row, what };
            let node = nodes.get_mut(grant.node.0 as usize).ok_or(violation("there is no such node"))?;
            if !hosts.step(grant.node.0 as usize, history[at].tenant, take) {
                return Err(violation("two tenants on a dedicated host"));
            }
            let has = spec.pools[node.pool].node.capacity;
            let apply = |sum: &mut u64, by: u64| *sum = if take { *sum + by } else { *sum - by };
            apply(&mut node.cpus, u64::from(grant.cpus));
            apply(&mut node.mem_mb, grant.mem_mb);
            if node.cpus > u64::from(has.cpus) || node.mem_mb > has.mem_mb {
                return Err(violation("more CPUs or memory than there is"));
            }
            let devices: SmallVec<[&Device; 2]> = grant.gpus.iter().collect();
            for device in devices {
                let card = node
                    .cards
                    .get_mut(usize::from(device.card()))
                    .ok_or(violation("there is no such GPU"))?;
                hold(card, device, take, &pools[node.pool]).map_err(violation)?;
            }
            let (pool, at) = (&pools[nodes[grant.node.0 as usize].pool], grant.node.0);
            if let Some(vgpus) = pool.vgpus {
                let vm = at - first_of[nodes[at as usize].pool];
                for device in &grant.gpus {
                    let (host, gpu) = vgpus.gpu_of(vm, device.card());
                    let row = on_gpu.entry((nodes[at as usize].pool, host, gpu)).or_default();
                    apply(row, u64::from(pool.units(device)));
                    if *row > u64::from(CARD_UNITS) {
                        return Err(violation("more vGPUs on a GPU than it holds"));
                    }
                }
            }
        }
    }
    Ok(())
}

fn hold(card: &mut CardUse, device: &Device, take: bool, pool: &CardPool) -> Result<(), &'static str> {
    let (milli, mib) = match *device {
        Device::Whole { .. } => (1000, 0),
        Device::Share { milli, mib, .. } => (u64::from(milli), mib),
        Device::Instance { .. } => (0, 0),
    };
    if take {
        card.milli += milli;
        card.mib += mib;
    } else {
        card.milli -= milli;
        card.mib -= mib;
    }
    if let Device::Instance { placement, .. } = device {
        let CardMode::Mig(mig) = &pool.mode else { return Err("an instance of a GPU that is not cut") };
        let profile = mig.model.profile(placement.profile);
        let units = ((1u32 << profile.memory_slices) - 1) << placement.start;
        if !profile.starts.contains(&placement.start) {
            return Err("an instance where none can begin");
        }
        if take {
            if card.units & units != 0 {
                return Err("memory units of a GPU are held twice");
            }
            card.units |= units;
            card.compute += u32::from(profile.compute_slices);
            card.instances += 1;
        } else {
            card.units &= !units;
            card.compute -= u32::from(profile.compute_slices);
            card.instances -= 1;
        }
        if card.compute > u32::from(mig.model.compute_slices) {
            return Err("more compute slices than the GPU has");
        }
    }
    if card.milli > u64::from(pool.card_milli()) {
        return Err("more than 1000 thousandths of a GPU, or than a vGPU has");
    }
    if pool.card_mib().is_some_and(|has| card.mib > has) {
        return Err("more GPU memory than there is");
    }
    if card.instances > 0 && card.milli > 0 {
        return Err("a GPU is held whole and in instances");
    }
    Ok(())
}

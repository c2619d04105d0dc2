//! What the pools of a design deliver to each job of a workload.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::cluster::Amounts;
use crate::ids::{Id, IdVec, JobId, PoolId, TextId};
use crate::scenario::Design;
use crate::simulation::Outcome;
use crate::tenancy::{Elastic, Maintenance, Overhead, OwnSnapshots, Packing, PoolTenancy, RunTenancy, Start};
use crate::time::SimDuration;
use crate::workload::Workload;

/// What is left of a tenancy where run times are those of the design itself: they have everything in them that made jobs
/// slower, and their start-up. Hosts come and go as they did.
fn as_recorded(tenancy: &PoolTenancy) -> PoolTenancy {
    PoolTenancy {
        overhead: Overhead::NONE,
        noise: None,
        contention: None,
        start: Start::Standing,
        snapshots: None,
        data: None,
        kills_at_limit: false,
        network: None,
        // VMs are moved as they were, and what that cost their jobs is in their run times.
        maintenance: tenancy
            .maintenance
            .map(|work| Maintenance { stun: work.stun.map(|_| SimDuration::ZERO), ..work }),
        packing: tenancy
            .packing
            .map(|packing| Packing { cpus: packing.cpus.max(packing.per_host * packing.vcpus), ..packing }),
        ..tenancy.clone()
    }
}

/// The tenancies of a design over a workload; `None` where all is bare metal, alone, and no
/// job is lost.
pub(super) fn of(workload: &Workload, design: &Design) -> Option<RunTenancy> {
    let of_pool = |tenancy: &PoolTenancy| {
        if design.speedup.as_recorded { as_recorded(tenancy) } else { tenancy.clone() }
    };
    let pools: IdVec<PoolId, PoolTenancy> = design.pools.iter().map(|pool| of_pool(&pool.tenancy)).collect();
    if pools.iter().all(PoolTenancy::is_plain) && !super::events::lose_jobs(design) {
        return None;
    }
    Some(of_pools(workload, design, pools))
}

fn of_pools(workload: &Workload, design: &Design, pools: IdVec<PoolId, PoolTenancy>) -> RunTenancy {
    let names = &design.profiles;
    let mut known: FxHashMap<Option<TextId>, u16> = FxHashMap::default();
    let mut profile_of = IdVec::filled(workload.jobs.len(), 0);
    for (id, job) in workload.jobs.iter_ids() {
        let class = workload.labels.get(job.labels).class;
        profile_of[id] = *known.entry(class).or_insert_with(|| {
            let name = class.map(|class| workload.texts.get(class).to_lowercase());
            let found = name.and_then(|name| names.iter().position(|(known, _)| *known == name));
            u16::try_from(found.unwrap_or(0)).expect("a scenario has fewer classes")
        });
    }
    RunTenancy {
        pools,
        profiles: names.iter().map(|(_, profile)| *profile).collect(),
        profile_of,
        recorded_bytes_s: design.recorded_bytes_s,
        stores: design.stores.iter().map(|store| store.rates).collect(),
        own_snapshots: own_snapshots(workload, design),
    }
}

/// The leaf of each node of a design with networks; nodes of a pool without one are a leaf.
pub(super) fn leaves(design: &Design) -> Option<Vec<u32>> {
    design.pools.iter().find(|pool| pool.tenancy.network.is_some())?;
    let mut numbers: FxHashMap<(usize, u32), u32> = FxHashMap::default();
    let mut leaves = Vec::new();
    for (at, (pool, spec)) in design.pools.iter().zip(&design.cluster.pools).enumerate() {
        let per_host = pool.tenancy.packing.map_or(1, |packing| packing.per_host);
        for node in 0..spec.count {
            let place = match &pool.tenancy.network {
                Some(on) => {
                    let same = |other: &crate::scenario::PoolTerms| {
                        other
                            .tenancy
                            .network
                            .as_ref()
                            .is_some_and(|other| Arc::ptr_eq(&other.network, &on.network))
                    };
                    let network = design.pools.iter().position(same).unwrap_or(at);
                    (network, on.network.fabric().leaf(on.first + node / per_host))
                }
                None => (at, u32::MAX),
            };
            let next = numbers.len() as u32;
            leaves.push(*numbers.entry(place).or_insert(next));
        }
    }
    Some(leaves)
}

/// What jobs say of their snapshots, in the columns `checkpoint_gb` and `checkpoint_interval_s`.
pub(super) fn own_snapshots(workload: &Workload, design: &Design) -> FxHashMap<JobId, OwnSnapshots> {
    let mut own = FxHashMap::default();
    if design.stores.is_empty() {
        return own;
    }
    for (job, row) in workload.extras.iter() {
        let mut said = OwnSnapshots::default();
        for (column, value) in &row.other {
            let value = || workload.texts.get(*value).parse::<f64>().ok().filter(|value| *value >= 0.0);
            match workload.texts.get(*column) {
                "checkpoint_gb" => said.bytes = value().map(|gb| (gb * 1e9) as u64),
                "checkpoint_interval_s" => {
                    said.every = value().map(|s| SimDuration::from_micros((s * 1e6) as i64));
                }
                _ => {}
            }
        }
        if said != OwnSnapshots::default() {
            own.insert(*job, said);
        }
    }
    own
}

/// What stays installed of a pool after its last event: an elastic one is back at its minimum.
pub(super) fn installed_at_rest(design: &Design, pool: PoolId) -> Amounts {
    let spec = &design.cluster.pools[pool.index()];
    let elastic: Option<&Elastic> = design.pools[pool.index()].tenancy.elastic.as_ref();
    let mut each = spec.node.capacity;
    if design.sharing.cards[pool.index()].vgpus.is_some() {
        // Parts of GPUs: `extend_vgpus` knows how large they are.
        each.gpus = 0;
    }
    each.times(elastic.map_or(spec.count, |elastic| elastic.min))
}

/// Adds time after the last event for vGPUs, idle without demand.
pub(super) fn extend_vgpus(design: &Design, outcome: &mut Outcome, span: SimDuration) {
    for (at, (pool, cards)) in design.cluster.pools.iter().zip(&design.sharing.cards).enumerate() {
        let Some(vgpus) = cards.vgpus else { continue };
        let units = i128::from(pool.count) * i128::from(pool.node.capacity.gpus) * i128::from(vgpus.units);
        let row = &mut outcome.hours.pools[PoolId::new(at)].gpu;
        row.installed += units * i128::from(span.micros());
        row.idle += units * i128::from(span.micros());
    }
}

/// Hosts of a pool, and GPUs of each.
pub(super) fn hosts(design: &Design, pool: usize) -> (u32, u32) {
    let spec = &design.cluster.pools[pool];
    match design.pools[pool].tenancy.packing {
        Some(packing) => (spec.count.div_ceil(packing.per_host), packing.gpus),
        None => (spec.count, spec.node.capacity.gpus),
    }
}

/// Books what of the GPUs of hosts no VM can have: installed, and stranded all the time.
pub(super) fn book_left_over(design: &Design, outcome: &mut Outcome) {
    let span = outcome.last_instant.saturating_since(outcome.first_submit);
    for at in 0..design.pools.len() {
        let tenancy = &design.pools[at].tenancy;
        let Some(Packing { units_left: 1.., .. }) = tenancy.packing.filter(|_| tenancy.elastic.is_none())
        else {
            continue;
        };
        let left = tenancy.packing.map_or(0, |packing| i128::from(packing.units_left));
        let units = left * i128::from(hosts(design, at).0) * i128::from(span.micros());
        let row = &mut outcome.hours.pools[PoolId::new(at)].gpu;
        row.installed += units;
        row.stranded += units;
    }
}

//! What the pools of a design deliver to each job of a workload.

use rustc_hash::FxHashMap;

use crate::cluster::Amounts;
use crate::ids::{Id, IdVec, PoolId, TextId};
use crate::scenario::Design;
use crate::simulation::Outcome;
use crate::simulation::meter::UNITS_PER_DEVICE;
use crate::tenancy::{Elastic, Packing, RunTenancy};
use crate::workload::Workload;

/// The tenancies of a design over a workload; `None` where all is bare metal, alone.
pub(super) fn of(workload: &Workload, design: &Design) -> Option<RunTenancy> {
    if design.pools.iter().all(|pool| pool.tenancy.is_plain()) {
        return None;
    }
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
    Some(RunTenancy {
        pools: design.pools.iter().map(|pool| pool.tenancy.clone()).collect(),
        profiles: names.iter().map(|(_, profile)| *profile).collect(),
        profile_of,
    })
}

/// What stays installed of a pool after its last event: an elastic one is back at its minimum.
pub(super) fn installed_at_rest(design: &Design, pool: PoolId) -> Amounts {
    let spec = &design.cluster.pools[pool.index()];
    let elastic: Option<&Elastic> = design.pools[pool.index()].tenancy.elastic.as_ref();
    spec.node.capacity.times(elastic.map_or(spec.count, |elastic| elastic.min))
}

/// Hosts of a pool, and GPUs of each.
pub(super) fn hosts(design: &Design, pool: usize) -> (u32, u32) {
    let spec = &design.cluster.pools[pool];
    match design.pools[pool].tenancy.packing {
        Some(packing) => (spec.count.div_ceil(packing.per_host), packing.gpus),
        None => (spec.count, spec.node.capacity.gpus),
    }
}

/// Books GPUs of hosts that no VM can have: installed, and stranded all the time.
pub(super) fn book_left_over(design: &Design, outcome: &mut Outcome) {
    let span = outcome.last_instant.saturating_since(outcome.first_submit);
    for at in 0..design.pools.len() {
        let tenancy = &design.pools[at].tenancy;
        let Some(Packing { gpus_left: 1.., .. }) = tenancy.packing.filter(|_| tenancy.elastic.is_none())
        else {
            continue;
        };
        let left = tenancy.packing.map_or(0, |packing| packing.gpus_left) * hosts(design, at).0;
        let units = i128::from(left) * i128::from(span.micros()) * UNITS_PER_DEVICE;
        let row = &mut outcome.hours.pools[PoolId::new(at)].gpu;
        row.installed += units;
        row.stranded += units;
    }
}

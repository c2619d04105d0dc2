//! Whether jobs get on where hosts fail: told before a run that would lose them again and again.
//!
//! A job on many hosts is lost with any of them. Where that happens more often than it needs for a restart, the work up
//! to its next snapshot and the snapshot itself, it is lost on average before it has got on at all. The run ends all the
//! same: a job that was lost a thousand times in a row without getting on is given up.

use crate::diagnostic::Diagnostic;
use crate::ids::RequestId;
use crate::scenario::Design;
use crate::scheduler::Shapes;
use crate::tenancy::{PoolTenancy, StoreUse};
use crate::time::SimDuration;
use crate::workload::{Request, Workload};

/// Without snapshots a job begins anew each time: with a run of so many mean times up, one attempt in e^7 = 1,097 gets
/// to its end.
const HOPELESS: f64 = 7.0;

/// The worst job of a pool.
struct Worst {
    hosts: u32,
    need: SimDuration,
    mtbf_s: f64,
}

/// What to tell of pools whose hosts fail too often for some jobs that could run there.
pub fn check_progress(workload: &Workload, designs: &[Design]) -> Vec<Diagnostic> {
    let mut told = Vec::new();
    for design in designs {
        told.extend(too_large(workload, design));
        if design.pools.iter().all(|pool| pool.tenancy.failures.is_none()) {
            continue;
        }
        let longest = longest_runs(workload);
        let shapes = Shapes::new(workload, &design.cluster);
        for (at, (pool, terms)) in design.cluster.pools.iter().zip(&design.pools).enumerate() {
            let mut requests = 0_usize;
            let mut worst: Option<Worst> = None;
            for (id, request) in workload.requests.iter() {
                let fits = shapes.get(shapes.of(id)).pools.iter().any(|shape| shape.pool.0 as usize == at);
                let Some(found) = fits.then(|| {
                    hopeless(request, longest(id), pool.node.capacity.gpus, (&terms.tenancy, design))
                }) else {
                    continue;
                };
                let Some(found) = found else { continue };
                requests += 1;
                if worst.as_ref().is_none_or(|known| known.mtbf_s > found.mtbf_s) {
                    worst = Some(found);
                }
            }
            told.extend(worst.map(|worst| warning((design, &pool.name), &terms.tenancy, requests, &worst)));
        }
    }
    told
}

/// Jobs whose snapshots do not fit into the store that they are written to.
fn too_large(workload: &Workload, design: &Design) -> Option<Diagnostic> {
    let own = super::tenancy::own_snapshots(workload, design);
    let used: Vec<_> = design.pools.iter().filter_map(|pool| pool.tenancy.snapshots?.store).collect();
    let (mut jobs, mut most, mut store) = (0_usize, 0.0, None);
    for (id, job) in workload.jobs.iter_ids() {
        let said = own.get(&id).and_then(|own| own.bytes);
        let gpus = workload.requests.get(job.request).total_gpus();
        let beyond = used.iter().find_map(|used| {
            let bytes = said.unwrap_or(used.bytes_per_gpu.saturating_mul(gpus)) as f64;
            let spec = &design.stores[used.store as usize];
            (bytes > spec.capacity_bytes?).then_some((bytes, &spec.name))
        });
        if let Some((bytes, name)) = beyond {
            (jobs, most, store) = (jobs + 1, f64::max(most, bytes), Some(name));
        }
    }
    let message = format!(
        "in `{}` the snapshots of {jobs} jobs, of up to {:.0} GB, do not fit into the store `{}`",
        design.name,
        most / 1e9,
        store?
    );
    let why = "they are taken as written all the same, at the rate of the store";
    Some(
        Diagnostic::warning("W0270", message)
            .because(why)
            .help("raise `capacity-tb`, or correct `checkpoint_gb`"),
    )
}

/// The longest run of the jobs with each request.
fn longest_runs(workload: &Workload) -> impl Fn(RequestId) -> SimDuration {
    let mut longest = vec![SimDuration::ZERO; workload.requests.len()];
    for job in workload.jobs.iter() {
        let slot = &mut longest[job.request.0 as usize];
        *slot = job.run.max(*slot);
    }
    move |request| longest[request.0 as usize]
}

/// A job whose hosts fail, all together, more often than it gets on.
fn hopeless(
    request: &Request,
    run: SimDuration,
    gpus: u32,
    (tenancy, design): (&PoolTenancy, &Design),
) -> Option<Worst> {
    let failures = tenancy.failures?;
    let per_node = u64::from(gpus.max(1));
    let nodes = request.nodes.map_or_else(|| request.total_gpus().div_ceil(per_node).max(1), u64::from);
    // VMs of a job may lie together on a host: told are only those that are lost in any case.
    let per_host = u64::from(tenancy.packing.map_or(1, |packing| packing.per_host)).max(1);
    let hosts = u32::try_from(nodes.div_ceil(per_host)).unwrap_or(u32::MAX);
    let mtbf_s = failures.mtbf().as_s() / f64::from(hosts);
    // What is on a node goes with it.
    let is_kept = |used: StoreUse| !design.stores[used.store as usize].rates.is_local;
    let (need, most) = match tenancy.snapshots.filter(|snapshots| snapshots.store.is_none_or(is_kept)) {
        // A job that ends before its first snapshot needs no more than its run.
        Some(snapshots) => {
            let (dump_s, read_s) = snapshots.store.map_or((0.0, 0.0), |used| {
                let bytes = used.bytes_per_gpu as f64 * request.total_gpus() as f64;
                let store = &design.stores[used.store as usize].rates;
                (used.dump_s(bytes, hosts, store), used.restore_s(bytes, hosts, store))
            });
            let span = |s: f64| SimDuration::from_micros((s * 1e6) as i64);
            let takes = snapshots.takes + span(dump_s);
            ((snapshots.every + takes).min(run) + snapshots.restore + span(read_s), 1.0)
        }
        None => (run, HOPELESS),
    };
    (need.as_s() > most * mtbf_s).then_some(Worst { hosts, need, mtbf_s })
}

fn warning(
    (design, pool): (&Design, &str),
    tenancy: &PoolTenancy,
    requests: usize,
    worst: &Worst,
) -> Diagnostic {
    let every = duration(worst.mtbf_s);
    let need = duration(worst.need.as_s());
    let is_local = |used: StoreUse| design.stores[used.store as usize].rates.is_local;
    let (what, help) = match tenancy.snapshots {
        Some(snapshots) if snapshots.store.is_some_and(is_local) => (
            "for its run: its snapshots are on its nodes, and go with them",
            "write `snapshots.store` of a store that nodes share",
        ),
        Some(_) => (
            "for a restart and the work up to its next snapshot",
            "lower `every-s` or `restore-s` of `snapshots`, or raise `mtbf-hours`",
        ),
        None => ("for its run, and it has no snapshots", "write `snapshots` in the tenancy of the pool"),
    };
    let message = format!(
        "jobs on {} hosts of `{pool}` in `{}` lose one every {every} on average, and such a job needs {need} {what}",
        worst.hosts, design.name
    );
    let why = format!(
        "so it is lost again and again, and given up after a thousand times in a row; {requests} kinds of request are concerned"
    );
    Diagnostic::warning("W0417", message).because(why).help(help)
}

fn duration(s: f64) -> String {
    if s < 600.0 { format!("{s:.0} s") } else { format!("{:.1} h", s / 3600.0) }
}

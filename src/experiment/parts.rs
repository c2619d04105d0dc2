//! Jobs that ask for a part of a GPU on GPUs that are given whole: how much faster they are than on the part.
//!
//! A run time was measured on what the job asks for (unless the scenario says otherwise). A job that gets a whole GPU in
//! place of a slice or a share is as much faster there as the law of its class says, on every pool that rounds it up.

use rustc_hash::FxHashMap;

use super::recorded_on;
use crate::ids::{IdVec, JobId, PoolId, RequestId, TextId};
use crate::scenario::Design;
use crate::scheduler::Shapes;
use crate::scheduler::shapes::BoardPart;
use crate::scheduler::shared::speed::{self, SPEED_ONE};
use crate::simulation::{Speed, Speeds};
use crate::workload::{JobFlags, Workload};

/// Profile, share and class; jobs alike in all three are as much faster.
type Kind = (Option<TextId>, Option<u32>, Option<TextId>);

/// `speeds` and what whole GPUs do to jobs that ask for parts of them.
pub(super) fn on_whole_gpus(workload: &Workload, design: &Design, speeds: Option<Speeds>) -> Option<Speeds> {
    let asks: IdVec<RequestId, bool> =
        workload.requests.iter().map(|(_, request)| request.asks_for_part()).collect();
    if !asks.iter().any(|asks| *asks) {
        return speeds;
    }
    let laws = speed::Speeds::new(design.sharing.speeds.clone(), workload);
    let same = IdVec::filled(design.cluster.pools.len(), Speed::ONE);
    let mut rows = vec![same.clone()];
    let mut known: FxHashMap<Kind, u16> = FxHashMap::default();
    let mut row_of: IdVec<JobId, u16> = IdVec::filled(workload.jobs.len(), 0);
    for (id, job) in workload.jobs.iter_ids() {
        if !asks[job.request] || job.flags.has(JobFlags::SESSION) {
            continue;
        }
        let class = workload.labels.get(job.labels).class;
        let request = workload.requests.get(job.request);
        row_of[id] = *known.entry((request.mig_profile, request.gpu_milli, class)).or_insert_with(|| {
            let on = |pool: &crate::cluster::PoolSpec| {
                let part = BoardPart::of(request, workload, &pool.node).ok().flatten();
                part.map_or(SPEED_ONE, |part| laws.reference(job, part.reference))
            };
            let row: IdVec<PoolId, Speed> =
                design.cluster.pools.iter().map(|pool| faster(on(pool))).collect();
            if row == same {
                return 0;
            }
            rows.push(row);
            u16::try_from(rows.len() - 1).expect("a trace has fewer than 2^16 kinds of parts and classes")
        });
    }
    if rows.len() == 1 {
        return speeds;
    }
    Some(match speeds {
        Some(speeds) => speeds.times(&row_of, &rows),
        None => Speeds::new(row_of, rows),
    })
}

/// The jobs with run times that at `speeds` are those recorded.
pub(super) fn as_recorded(workload: &Workload, design: &Design, speeds: &Speeds) -> Workload {
    let shapes = Shapes::new(workload, &design.cluster);
    let first =
        |job: JobId| shapes.get(shapes.of(workload.jobs[job].request)).pools.first().map(|fit| fit.pool);
    recorded_on::as_before(workload, speeds, first)
}

/// How much faster a whole GPU is than a part on which the speed is `on_part`.
fn faster(on_part: u64) -> Speed {
    if on_part == SPEED_ONE {
        return Speed::ONE;
    }
    Speed::from_ratio(SPEED_ONE as f64 / on_part as f64)
        .expect("no part is slower than a thousandth of its GPU")
}

//! Run times brought back to bare metal, alone, from where they were recorded.
//!
//! A recorded run of `r` microseconds that began with a start of `b` and was slowed by the factor `f` is work of
//! floor((r - b) / f): the longest that takes so long there. A design with that factor and start stretches it to `r`
//! again, to the microsecond. Noise and neighbours of the past cannot be taken out of a run time; where the record is
//! of the design itself, its run times are used as they are.

use crate::ids::JobId;
use crate::scenario::RecordedOn;
use crate::scheduler::shared::speed::{SPEED_ONE, Speeds};
use crate::simulation::Speeds as PoolSpeeds;
use crate::tenancy::{ClassProfile, parts_of};
use crate::time::SimDuration;
use crate::workload::{JobFlags, Workload};

/// Makes the run times of `workload` those of bare metal.
pub fn to_bare_metal(workload: &mut Workload, recorded_on: &RecordedOn) {
    match recorded_on {
        RecordedOn::BareMetal | RecordedOn::Design => {}
        RecordedOn::Slower { overhead, start, profiles } => {
            let profile_of: Vec<Option<ClassProfile>> =
                workload.labels.iter().map(|(_, labels)| profile(workload, labels.class, profiles)).collect();
            change(workload, |workload, id| {
                let job = &workload.jobs[id];
                let (mut speed, request) = (SPEED_ONE, workload.requests.get(job.request));
                let profile = &profile_of[crate::ids::Id::index(job.labels)];
                if let Some(profile) = profile.filter(|_| !job.flags.has(JobFlags::SESSION)) {
                    let gpus = u32::try_from(request.total_gpus()).unwrap_or(u32::MAX);
                    let shares = profile.shares.at(gpus, request.nodes.unwrap_or(1));
                    speed = parts_of(overhead.slowdown(&shares, 0, id));
                }
                (*start, speed)
            });
        }
        RecordedOn::Slice { share, speeds } => {
            let laws = Speeds::new((**speeds).clone(), workload);
            let slow = |workload: &Workload, id: JobId| {
                let job = &workload.jobs[id];
                let request = workload.requests.get(job.request);
                // Who asks for a part was measured on that part, or on a whole GPU: `measured-on` says which.
                let is_whole = request.total_gpus() > 0 && !request.asks_for_part();
                let is_work = !job.flags.has(JobFlags::SESSION);
                let speed = if is_whole && is_work { laws.on_part(job, *share) } else { SPEED_ONE };
                (SimDuration::ZERO, speed)
            };
            change(workload, slow);
        }
    }
}

/// Run times that, at these speeds, are those recorded.
pub(super) fn as_before(
    workload: &Workload,
    speeds: &PoolSpeeds,
    first_pool: impl Fn(JobId) -> Option<crate::ids::PoolId>,
) -> Workload {
    let mut changed = workload.clone();
    change(&mut changed, |_, id| {
        let speed = first_pool(id).map_or(SPEED_ONE, |pool| speeds.on(id, pool).parts());
        (SimDuration::ZERO, speed)
    });
    changed
}

/// Takes the start out of every run time, and then the speed, at least a microsecond of work being left.
fn change(workload: &mut Workload, of: impl Fn(&Workload, JobId) -> (SimDuration, u64)) {
    let ids: Vec<JobId> = workload.jobs.ids().collect();
    for id in ids {
        let (start, speed) = of(workload, id);
        let run = &mut workload.jobs[id].run;
        let rest = i128::from(run.micros() - start.micros().min(run.micros() - 1));
        let work = rest * i128::from(speed) / i128::from(SPEED_ONE);
        *run = SimDuration::from_micros(
            i64::try_from(work.max(1)).unwrap_or(i64::MAX).min(SimDuration::MAX.micros()),
        );
    }
}

/// The profile of a class: its own, else the default one.
fn profile(
    workload: &Workload,
    class: Option<crate::ids::TextId>,
    profiles: &[(String, ClassProfile)],
) -> Option<ClassProfile> {
    let name = class.map(|class| workload.texts.get(class).to_lowercase());
    let own = name.and_then(|name| profiles.iter().find(|(known, _)| *known == name));
    own.or(profiles.first()).map(|(_, profile)| *profile)
}

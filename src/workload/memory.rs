//! GPU memory that jobs need: declared, or guessed from the recorded peak.

use super::Workload;
use crate::ids::{Id, JobId, RequestId};

/// A peak is rounded up to a whole GiB: what a board is sold with.
const STEP_MIB: u64 = 1024;

/// Lets the recorded peak of GPU memory stand for the need of every job that declares none; how many jobs
/// that are. A peak is an upper hint: programs take what is there.
pub fn need_from_peaks(workload: &mut Workload) -> u64 {
    let mut changed = 0;
    for at in 0..workload.jobs.len() {
        let job = JobId::new(at);
        let Some(peak) = workload.recorded.gpu_mem_peak_mib(job) else { continue };
        let request: RequestId = workload.jobs[job].request;
        let asked = workload.requests.get(request);
        if asked.gpu_mem_mib.is_some() || asked.total_gpus() == 0 {
            continue;
        }
        let need = u64::from(peak).div_ceil(STEP_MIB) * STEP_MIB;
        let with_need = super::Request { gpu_mem_mib: Some(need), ..asked.clone() };
        workload.jobs[job].request = workload.requests.intern(&with_need);
        changed += 1;
    }
    changed
}

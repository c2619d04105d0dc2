//! One job by itself: what is known of it, and how it is started or taken out of the queue without a pass.

use super::{Backfill, Start};
use crate::cluster::Conflict;
use crate::ids::{JobId, TenantId};
use crate::scheduler::floor::Floor;
use crate::scheduler::kind::Kind;
use crate::time::SimTime;
use crate::workload::Job;

impl<D: Kind> Backfill<'_, D> {
    /// Takes a waiting job out of the queue; tells whether it was waiting.
    pub fn withdraw(&mut self, job: JobId, now: SimTime) -> bool {
        if let Some(at) = self.fresh.iter().position(|fresh| *fresh == job) {
            self.fresh.remove(at);
            return true;
        }
        let position = self.position(job, self.rekeyed_at.unwrap_or(now));
        self.queue.remove(&position)
    }

    /// Starts a job that is not queued, if there is room for it now; expected to end as if it had started at `since`.
    ///
    /// # Errors
    /// The ledger's conflict, which is a defect of the policy.
    pub fn start_one(
        &mut self,
        job: JobId,
        since: SimTime,
        floor: &mut Floor<D>,
    ) -> Result<Option<Start<D>>, Conflict> {
        let shape = self.shape_of(job);
        let Some(pool) = self.room(shape, floor) else { return Ok(None) };
        let mut starts = Vec::new();
        self.start_in(pool, job, shape, since, floor, &mut starts)?;
        Ok(starts.pop())
    }

    /// Whose job it is, where hosts are dedicated.
    #[must_use]
    pub fn tenant_of(&self, job: JobId) -> TenantId {
        TenantId::named(self.workload.requests.get(self.workload.jobs[job].request).tenant)
    }

    /// A job as the scheduler sees it.
    #[must_use]
    pub fn job(&self, job: JobId) -> &Job {
        &self.workload.jobs[job]
    }

    /// Thousandths of its GPUs that a job used where it was recorded.
    #[must_use]
    pub fn util_milli(&self, job: JobId) -> Option<u16> {
        self.workload.recorded.gpu_util_milli(job)
    }
}

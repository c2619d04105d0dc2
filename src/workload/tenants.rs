//! Whose a job is, where hosts are dedicated to tenants.

use super::Workload;
use crate::ids::{IdVec, JobId, TextId};

impl Workload {
    /// The tenant of each job: the column `tenant`; where no job has one, the column `account`. Jobs without a
    /// name are together one tenant.
    #[must_use]
    pub fn tenants(&self) -> IdVec<JobId, Option<TextId>> {
        let has_tenants = self.labels.iter().any(|(_, labels)| labels.tenant.is_some());
        let name = |job: &super::Job| {
            let labels = self.labels.get(job.labels);
            if has_tenants { labels.tenant } else { labels.account }
        };
        self.jobs.iter().map(name).collect()
    }
}

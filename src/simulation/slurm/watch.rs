//! Why one job waits: Slurm's reason, who is in the way, and the start that the backfill thread plans.

use super::Observer;
use crate::ids::{Id, JobId};
use crate::scheduler::slurm::Controller;
use crate::scheduler::slurm::job::{Job, JobIx, Reason, State};
use crate::simulation::SlurmWait;
use crate::time::SimTime;

/// Most blockers that are named.
const NAMED: usize = 5;

/// Follows one submission.
#[derive(Debug)]
pub(super) struct Watch {
    spec: usize,
    pub(super) rows: Vec<SlurmWait>,
}

impl Watch {
    pub(super) fn new(job: JobId) -> Self {
        Self { spec: job.index(), rows: Vec::new() }
    }
}

impl Observer for Watch {
    fn instant(&mut self, now: SimTime, controller: &Controller<'_>) {
        let Some(job) = controller.records_of(self.spec).last() else { return };
        let record = controller.job(*job);
        let waits = record.state == State::Pending;
        if !waits {
            if self.rows.last().is_some_and(|last| last.reason.is_some()) {
                self.rows.push(SlurmWait::at(now, None));
            }
            return;
        }
        let planned = (record.start_s > 0).then(|| SimTime::from_s(record.start_s));
        if let Some(last) = self.rows.last_mut()
            && last.reason == Some(record.reason.name())
        {
            last.planned_last = planned.or(last.planned_last);
            last.planned_first = last.planned_first.or(planned);
            if record.reason == Reason::Priority {
                last.ahead_last = ahead(controller, record);
                let first = first_blocker(controller, *job).filter(|first| !last.blockers.contains(first));
                last.blockers.extend(first);
            }
            return;
        }
        let mut row = SlurmWait::at(now, Some(record.reason.name()));
        let blockers = blockers(controller, *job);
        row.more_blockers = blockers.len().saturating_sub(NAMED);
        row.blockers = blockers.into_iter().take(NAMED).collect();
        row.ahead = ahead(controller, record);
        row.ahead_last = row.ahead;
        row.is_limit = matches!(record.reason, Reason::Limit(_));
        row.until = record.begin_s.filter(|_| record.reason == Reason::BeginTime).map(SimTime::from_s);
        (row.planned_first, row.planned_last) = (planned, planned);
        self.rows.push(row);
    }
}

fn name(controller: &Controller<'_>, job: JobIx) -> JobId {
    JobId::new(controller.job(job).spec)
}

/// The job ahead of all others, where the reason is that others come first.
fn first_blocker(controller: &Controller<'_>, job: JobIx) -> Option<JobId> {
    if controller.job(job).reason != Reason::Priority {
        return None;
    }
    let first = controller.first_waiting().filter(|first| controller.job(*first).state == State::Pending);
    first.filter(|first| *first != job).map(|first| name(controller, first))
}

/// Pending jobs of its partition that come before it.
fn ahead(controller: &Controller<'_>, me: &Job) -> usize {
    let before = |other: &&JobIx| {
        let other = controller.job(**other);
        other.partition == me.partition && (other.priority, me.id) > (me.priority, other.id)
    };
    controller.pending().iter().filter(before).count()
}

/// Who is in the way: jobs that come first, that hold what it needs, that it depends on, or that use up the
/// limit; those that hold it until the earliest planned end first.
fn blockers(controller: &Controller<'_>, job: JobIx) -> Vec<JobId> {
    let me = controller.job(job);
    let running = |holds: &dyn Fn(&Job) -> bool| -> Vec<JobId> {
        let mut rows: Vec<(i64, JobIx)> = controller
            .running()
            .iter()
            .filter(|other| holds(controller.job(**other)))
            .map(|other| (controller.job(*other).end_planned_s, *other))
            .collect();
        rows.sort_unstable();
        rows.into_iter().map(|(_, other)| name(controller, other)).collect()
    };
    match me.reason {
        Reason::Priority => first_blocker(controller, job).into_iter().collect(),
        Reason::Resources => {
            let nodes = controller.nodes_of_partition(me.partition);
            let wants_devices = !controller.asked(job).gres.is_empty();
            running(&|other| {
                !other.nodes.is_disjoint(nodes)
                    && (!wants_devices || other.grants.iter().any(|grant| grant.gpus != 0))
            })
        }
        Reason::Dependency | Reason::DependencyNeverSatisfied => {
            me.waiting_for.iter().flat_map(|d| d.on.iter().map(|spec| JobId::new(*spec))).collect()
        }
        Reason::Limit(limit) => {
            let of_user = limit.contains("PerUser") || limit.contains("AssocMax");
            let of_qos = limit.starts_with("QOS") || limit.starts_with("Max");
            running(&|other| {
                (!of_user || other.user == me.user)
                    && (!of_qos || other.qos == me.qos)
                    && (of_qos || of_user || controller.share_an_account(me, other))
            })
        }
        _ => Vec::new(),
    }
}

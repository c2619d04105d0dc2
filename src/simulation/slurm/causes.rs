//! Why free capacity lies idle, read off the controller after every instant.

use super::Observer;
use crate::cluster::Amounts;
use crate::scheduler::Pending;
use crate::scheduler::slurm::Controller;
use crate::scheduler::slurm::job::{Ask, JobIx, Reason, State};
use crate::simulation::meter::IdleCause;
use crate::time::SimTime;

/// The causes of a run, each from its instant on.
#[derive(Debug, Default)]
pub(super) struct Causes {
    pub(super) changes: Vec<(SimTime, IdleCause)>,
}

impl Observer for Causes {
    fn instant(&mut self, now: SimTime, controller: &Controller<'_>) {
        let cause = cause(controller);
        if self.changes.last().is_none_or(|(_, last)| *last != cause) {
            self.changes.push((now, cause));
        }
    }
}

/// By the first job of the queue that waits.
fn cause(controller: &Controller<'_>) -> IdleCause {
    let Some(newest) = controller.pending().last() else { return IdleCause::NoDemand };
    let first = controller.first_waiting().filter(|job| controller.job(*job).state == State::Pending);
    let Some(first) = first else {
        let unseen = controller.job(*newest).reason == Reason::None;
        return if unseen { IdleCause::Policy } else { IdleCause::Waiting(Pending::Dependency) };
    };
    match controller.job(first).reason {
        Reason::Limit(_) => IdleCause::Limit,
        Reason::None | Reason::Reservation | Reason::ReqNodeNotAvail => IdleCause::Policy,
        Reason::Dependency | Reason::BeginTime | Reason::JobArrayTaskLimit | Reason::Cleaning => {
            IdleCause::Waiting(Pending::Dependency)
        }
        _ if controller.free().holds(&asked(controller, first)) => IdleCause::Waiting(Pending::Fragmentation),
        _ => IdleCause::Waiting(Pending::Resources),
    }
}

/// What a job asks for in all.
fn asked(controller: &Controller<'_>, job: JobIx) -> Amounts {
    let ask: &Ask = controller.asked(job);
    let devices: u32 = ask.gres.iter().map(|gres| gres.count).sum();
    Amounts {
        cpus: ask.cpus,
        gpus: devices.saturating_mul(ask.min_nodes),
        mem_mb: ask.mem_mb_per_node.saturating_mul(u64::from(ask.min_nodes)),
    }
}

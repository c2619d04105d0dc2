//! A run with somebody who looks on.

use std::ops::ControlFlow;

use super::hosted::Hosted;
use super::threads::{Daemon, Timer};
use super::{SlurmOutcome, SlurmRun};
use crate::kernel::{self, Budget, Calendar, Model};
use crate::scheduler::slurm::Controller;
use crate::time::SimTime;

/// Looks on while a run goes, and changes nothing.
pub trait Observer {
    /// Everything at `now` has happened.
    fn instant(&mut self, now: SimTime, controller: &Controller<'_>);

    /// Whether it looks at the starts that the backfill thread plans.
    fn looks_at_plans(&self) -> bool {
        false
    }
}

/// [`super::run_slurm`] within `budget`, with `observer` looking on.
pub fn run_slurm_observed(
    run: SlurmRun<'_>,
    budget: Budget,
    observer: &mut dyn Observer,
    interrupted: &dyn Fn() -> bool,
) -> SlurmOutcome {
    run_hosted(run, None, budget, observer, interrupted)
}

/// The same on hosts that may not be bare metal, alone.
pub(super) fn run_hosted(
    run: SlurmRun<'_>,
    hosted: Option<Hosted<'_>>,
    budget: Budget,
    observer: &mut dyn Observer,
    interrupted: &dyn Fn() -> bool,
) -> SlurmOutcome {
    let mut calendar = super::threads::calendar();
    let mut daemon = Daemon::new(run, &mut calendar);
    if let Some(hosted) = hosted {
        daemon.put_on(hosted, &mut calendar);
    }
    if !observer.looks_at_plans() {
        daemon.plan_only_what_decides();
    }
    let mut seen = Observed { daemon, observer };
    let report = kernel::run(&mut seen, &mut calendar, budget, interrupted);
    seen.daemon.into_outcome(report)
}

struct Observed<'a, 'o> {
    daemon: Daemon<'a>,
    observer: &'o mut dyn Observer,
}

impl Model for Observed<'_, '_> {
    type Timer = Timer;

    fn next_arrival(&self) -> Option<SimTime> {
        self.daemon.next_arrival()
    }

    fn arrive(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        self.daemon.arrive(now, calendar);
    }

    fn fire(&mut self, now: SimTime, timer: Timer, calendar: &mut Calendar<Timer>) {
        self.daemon.fire(now, timer, calendar);
    }

    fn settle(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) -> ControlFlow<()> {
        self.observer.instant(now, self.daemon.controller());
        self.daemon.settle(now, calendar)
    }
}

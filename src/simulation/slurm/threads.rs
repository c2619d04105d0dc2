//! `slurmctld`'s threads over the kernel's calendar.

mod attempts;
mod nodes;
mod turns;

use std::ops::ControlFlow;

pub(super) use self::turns::calendar;
use self::turns::{BACKFILL, Doze, LOOP, Rhythm};

use rustc_hash::FxHashMap;

use super::cards::LayoutTool;
use super::hosted::{Hosted, Hosts};
use super::{Attempt, Command, SlurmJob, SlurmOutcome, SlurmRun};
use crate::kernel::{Calendar, Model, Phase, RunReport};
use crate::scheduler::slurm::config::{PreemptType, Rule, SchedulerKind};
use crate::scheduler::slurm::job::JobIx;
use crate::scheduler::slurm::{Controller, Decision, NodeChange, Refusal};
use crate::simulation::fleet::HostTimer;
use crate::time::{SimDuration, SimTime};

/// What wakes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Timer {
    Command(u32),
    End(u32),
    Cancel(u32),
    Cleaned(u32),
    Registered(u32),
    Pass,
    Loop,
    Backfill,
    Priorities,
    Overdue,
    Look(u32),
    Host(u32),
    Spill(u32),
    /// The change of layouts of this number is done.
    Made(u32),
    /// The instance at this start of a card of a node need not be kept any longer.
    Unkeep(u32, u8, u8),
    /// The layouts of this pool may be planned again.
    Replan(u32),
    /// Something happens to the VM of this node of an elastic pool.
    Vm(u32),
    /// VMs may be ordered again for this pool.
    Order(u32),
    /// Something is through to the store of this number.
    Store(u32),
    /// Links of a network fail, or are back.
    Link(u32),
}

/// The controller has nothing to do for so long: the run ends. Longer than every delay of its own.
const QUIET_S: i64 = 600;

/// Nodes register with a controller that has just started for so long: until then the backfill thread finds
/// changes (recorded: sixteen nodes, started 0.1 s apart, then an RPC each).
const REGISTRATION_S: i64 = 3;

const SECOND: SimDuration = SimDuration::from_s(1);

/// The last instant at which something happened to a job.
pub(super) fn last_instant(jobs: &[SlurmJob], attempts: &[Attempt], withdrawn_at: &[SimTime]) -> SimTime {
    let starts = attempts.iter().map(|attempt| attempt.start);
    let ends = attempts.iter().map(|attempt| attempt.end).filter(|end| *end != SimTime::NEVER);
    let submitted = jobs.iter().map(|job| job.submit);
    starts.chain(ends).chain(submitted).chain(withdrawn_at.iter().copied()).max().unwrap_or(SimTime::ZERO)
}

/// The controller with its threads.
pub(super) struct Daemon<'a> {
    run: SlurmRun<'a>,
    controller: Controller<'a>,
    next_job: usize,
    commands_left: usize,
    /// Nodes, by command, that have been resumed and not asked to register yet.
    to_ping: Vec<u32>,
    /// A pass was asked for by a submission or an end reported through the agent.
    pass_wanted: bool,
    /// A scheduler has passed at this instant.
    has_passed: bool,
    last_pass_s: i64,
    last_full_pass_s: i64,
    last_limits_s: i64,
    /// When the loop turns.
    rhythm: Rhythm,
    /// The loop sleeps through turns that could do nothing.
    doze: Option<Doze>,
    last_backfill_s: i64,
    oversleep: SimDuration,
    backfill_test: SimDuration,
    attempts: Vec<Attempt>,
    open: FxHashMap<JobIx, usize>,
    own_message: FxHashMap<JobIx, bool>,
    refused: Vec<(usize, Refusal)>,
    withdrawn: Vec<usize>,
    withdrawn_at: Vec<SimTime>,
    refused_commands: Vec<(usize, &'static str)>,
    spilled: u64,
    decisions: Vec<Decision>,
    last_event: SimTime,
    finished: bool,
    /// When the backfill thread last found that nothing had changed; its naps are not events until something does.
    resting: Option<SimTime>,
    /// Where attempts run, if not all is bare metal, alone.
    hosts: Option<Box<Hosts<'a>>>,
}

fn whole_s(at: SimTime) -> i64 {
    at.micros().div_euclid(1_000_000)
}

impl HostTimer for Timer {
    fn host(at: u32) -> Self {
        Self::Host(at)
    }
}

impl<'a> Daemon<'a> {
    pub(super) fn new(run: SlurmRun<'a>, calendar: &mut Calendar<Timer>) -> Self {
        let started = run.chance.started();
        let started_s = whole_s(started);
        let loop_start = started + run.chance.loop_offset();
        let rhythm = Rhythm::new(run.chance.loop_drift(), run.config.has(Rule::WholeSecondLoop));
        calendar.set_lane(LOOP, rhythm.after(loop_start), Phase::Pass);
        let backfill_start = started + run.chance.backfill_offset();
        if run.config.scheduler == SchedulerKind::Backfill && !run.config.backfill.rule.is_ideal() {
            let first = backfill_start + SimDuration::from_s(run.config.backfill.interval_s);
            calendar.set_lane(BACKFILL, first + run.chance.backfill_oversleep(), Phase::Pass);
        }
        if run.config.priority.multifactor {
            calendar.set(
                Timer::Priorities,
                started
                    + run.chance.priorities_offset()
                    + SimDuration::from_s(run.config.priority.calc_period_s),
                Phase::Pass,
            );
        }
        for (at, (when, _)) in run.commands.iter().enumerate() {
            calendar.set(Timer::Command(u32::try_from(at).expect("few commands")), *when, Phase::Release);
        }
        let loop_start_s = whole_s(loop_start);
        let drawn = || run.chance.backfill_test(run.config.preempt.kind != PreemptType::None);
        let fitted = run.config.backfill.test_us.map(|us| SimDuration::from_micros(i64::from(us)));
        let backfill_test = fitted.unwrap_or_else(drawn);
        Self {
            controller: Controller::new(run.config, run.hardware, run.specs, started_s + REGISTRATION_S)
                .with_epoch(run.chance.epoch_s())
                .with_backfill_pace(backfill_test),
            next_job: 0,
            commands_left: run.commands.len(),
            to_ping: Vec::new(),
            has_passed: false,
            pass_wanted: true, // the nodes register, and ask for a pass
            last_pass_s: loop_start_s,
            last_full_pass_s: loop_start_s,
            last_limits_s: loop_start_s,
            rhythm,
            doze: None,
            last_backfill_s: whole_s(backfill_start),
            oversleep: run.chance.backfill_oversleep(),
            backfill_test,
            attempts: Vec::with_capacity(run.jobs.len()),
            open: FxHashMap::default(),
            own_message: FxHashMap::default(),
            refused: Vec::new(),
            withdrawn: Vec::new(),
            withdrawn_at: Vec::new(),
            refused_commands: Vec::new(),
            spilled: 0,
            decisions: Vec::new(),
            last_event: started,
            finished: false,
            resting: None,
            hosts: None,
            run,
        }
    }

    pub(super) fn controller(&self) -> &Controller<'a> {
        &self.controller
    }

    /// Attempts run on these hosts.
    pub(super) fn put_on(&mut self, hosted: Hosted<'a>, calendar: &mut Calendar<Timer>) {
        self.hosts = Some(Box::new(Hosts::new(hosted, &mut self.controller, calendar)));
    }

    /// Nobody looks at planned starts.
    pub(super) fn plan_only_what_decides(&mut self) {
        self.controller.plan_only_what_decides();
    }

    pub(super) fn decide_uncached(&mut self) {
        self.controller.uncached = true;
    }

    pub(super) fn into_outcome(mut self, report: RunReport) -> SlurmOutcome {
        let last = last_instant(self.run.jobs, &self.attempts, &self.withdrawn_at);
        let (hosts, open) = (self.hosts.take(), std::mem::take(&mut self.open));
        let losses = hosts.map(|hosts| Box::new(hosts.close(open.into_keys(), last)));
        let jobs = self.controller.pending().iter().filter(|job| !self.controller.is_stand_in(**job));
        let pending = jobs.map(|job| {
            let record = self.controller.job(*job);
            (record.spec, record.pending_tasks.len().max(1), record.reason.name())
        });
        SlurmOutcome {
            pending: pending.collect(),
            cycles: self.controller.cycles(),
            attempts: self.attempts,
            refused: self.refused,
            withdrawn: self.withdrawn,
            withdrawn_at: self.withdrawn_at,
            refused_commands: self.refused_commands,
            spilled: self.spilled,
            losses,
            events: report.events,
            end: report.end,
        }
    }

    /// The nodes of a command have registered.
    fn registered(&mut self, at: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        if let Command::ChangeNodes(nodes, _) = &self.run.commands[at as usize].1
            && self.controller.register_nodes(nodes, whole_s(now))
        {
            self.want_pass(now, calendar);
        }
    }

    /// Asks for a pass after a submission, a command, or an end reported through the agent: in a turn of the loop,
    /// or at once by a named rule.
    fn want_pass(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        if self.is_ideal() {
            calendar.set(Timer::Pass, now, Phase::Pass);
        } else {
            self.pass_wanted = true;
        }
    }

    /// A named rule decides at every event, and nothing is left to chance.
    fn is_ideal(&self) -> bool {
        self.run.config.backfill.rule.is_ideal()
    }

    fn nothing_left(&self, now: SimTime) -> bool {
        if self.next_job < self.run.jobs.len() || self.commands_left > 0 || !self.open.is_empty() {
            return false;
        }
        let pending = self.controller.pending();
        let begins = pending.iter().filter_map(|job| self.controller.job(*job).begin_s).max();
        let quiet_since_s = whole_s(self.last_event).max(begins.unwrap_or(i64::MIN));
        let quiet = SimDuration::from_s(QUIET_S);
        let is_awaited =
            self.hosts.as_ref().is_some_and(|hosts| hosts.is_awaited(self.last_event, quiet, now));
        pending.is_empty() || (whole_s(now) > quiet_since_s + QUIET_S && !is_awaited)
    }

    /// Instances are there, or need not be kept any longer.
    fn layouts_changed(&mut self, timer: Timer, now: SimTime, calendar: &mut Calendar<Timer>) {
        if self.finished {
            return;
        }
        let tool = self.hosts.as_mut().and_then(|hosts| hosts.tool.as_mut());
        let tool = tool.expect("only the site's tool has these timers");
        let changed = match timer {
            Timer::Made(number) => {
                tool.made(number, now, &mut self.controller);
                true
            }
            Timer::Unkeep(node, card, start) => LayoutTool::unkeep(&mut self.controller, node, card, start),
            _ => false,
        };
        if changed {
            self.last_event = now;
            self.controller.note_nodes_changed(whole_s(now));
            self.want_pass(now, calendar);
        }
    }

    /// Carries out what the controller has decided; tells whether it has.
    fn carry_out(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) -> bool {
        let mut decisions = std::mem::take(&mut self.decisions);
        self.controller.take_decisions(&mut decisions);
        let any = !decisions.is_empty();
        for decision in decisions.drain(..) {
            self.last_event = now;
            match decision {
                Decision::Started(job) => self.started(job, now, calendar),
                Decision::Killed(job, state) => self.killed(job, state, now, calendar),
                Decision::Withdrawn(job) => {
                    self.withdrawn.push(self.controller.job(job).spec);
                    self.withdrawn_at.push(now);
                }
            }
        }
        self.decisions = decisions;
        any
    }

    fn cancel(&mut self, spec: usize, now: SimTime, calendar: &mut Calendar<Timer>) {
        let now_s = whole_s(now);
        if self.controller.cancel(spec, now_s) {
            self.withdrawn.push(spec);
            self.withdrawn_at.push(now);
        }
        self.carry_out(now, calendar);
        self.want_pass(now, calendar);
    }

    /// A job may have waited too long for the nodes of its route.
    fn spill(&mut self, spec: usize, now: SimTime, calendar: &mut Calendar<Timer>) {
        let after = self.run.jobs[spec].spill_after.expect("only such jobs have this timer");
        let widened = self.controller.widen(spec, whole_s(now - after), whole_s(now));
        self.spilled += u64::from(widened.any);
        if widened.any {
            self.last_event = now;
            self.want_pass(now, calendar);
        }
        if let Some(later_s) = widened.again_after_s {
            let timer = Timer::Spill(u32::try_from(spec).expect("fewer than 2^32 jobs"));
            calendar.set(timer, now + SimDuration::from_s(later_s), Phase::Arrival);
        }
    }

    fn command(&mut self, at: usize, now: SimTime, calendar: &mut Calendar<Timer>) {
        let now_s = whole_s(now);
        self.commands_left -= 1;
        let done = match &self.run.commands[at].1 {
            Command::CreateReservation(asked) => self.controller.create_reservation(asked.clone(), now_s),
            Command::SetReservationEnd(name, end_s) => {
                self.controller.set_reservation_end(name, *end_s, now_s)
            }
            Command::DeleteReservation(name) => self.controller.delete_reservation(name, now_s),
            Command::ChangeNodes(nodes, change) => {
                if self.controller.change_nodes(nodes, *change, now_s) {
                    let at = u32::try_from(at).expect("few commands");
                    if self.is_ideal() {
                        self.registered(at, now, calendar);
                    } else {
                        self.to_ping.push(at);
                    }
                }
                let begins = *change != NodeChange::Resume;
                let stand_in =
                    self.hosts.as_mut().map(|hosts| hosts.note_outage(nodes, begins, now, calendar));
                self.turn_hosts(stand_in.unwrap_or_default(), now, calendar);
                Ok(())
            }
            Command::SetUsage(known) => {
                self.controller.set_usage(known, now_s);
                Ok(())
            }
            Command::Nothing => Ok(()),
        };
        if let Err(answer) = done {
            self.refused_commands.push((at, answer));
        }
        self.carry_out(now, calendar);
        if self.is_ideal() {
            calendar.set(Timer::Pass, now, Phase::Pass);
        }
    }
}

impl Model for Daemon<'_> {
    type Timer = Timer;

    fn next_arrival(&self) -> Option<SimTime> {
        self.run.jobs.get(self.next_job).map(|job| job.submit)
    }

    fn arrive(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        self.wake_loop(now, calendar);
        while self.next_arrival() == Some(now) {
            let spec = self.next_job;
            self.next_job += 1;
            self.last_event = now;
            match self.controller.submit(spec, whole_s(now)) {
                Ok(_) => {
                    self.want_pass(now, calendar);
                    if let Some(cancel) = self.run.jobs[spec].cancel {
                        let timer = Timer::Cancel(u32::try_from(spec).expect("fewer than 2^32 jobs"));
                        calendar.set(timer, cancel.max(now), Phase::Release);
                    }
                    if let Some(after) = self.run.jobs[spec].spill_after {
                        let timer = Timer::Spill(u32::try_from(spec).expect("fewer than 2^32 jobs"));
                        calendar.set(timer, now + after, Phase::Arrival);
                    }
                }
                Err(refusal) => self.refused.push((spec, refusal)),
            }
        }
        self.rouse_backfill(now, calendar);
    }

    fn fire(&mut self, now: SimTime, timer: Timer, calendar: &mut Calendar<Timer>) {
        if !matches!(
            timer,
            Timer::Backfill
                | Timer::Loop
                | Timer::Priorities
                | Timer::Look(_)
                | Timer::Store(_)
                | Timer::Link(_)
        ) {
            self.wake_loop(now, calendar);
        }
        match timer {
            Timer::Overdue => {}
            Timer::Look(slot) => {
                self.hosts.as_mut().expect("only guests look ahead").look_on(slot, now, calendar);
            }
            Timer::Store(number) => {
                self.hosts.as_mut().expect("only guests write").fire_store(number, now, calendar);
            }
            Timer::Link(number) => {
                self.hosts.as_mut().expect("only guests are on links").fire_link(number);
            }
            Timer::Command(at) => self.command(at as usize, now, calendar),
            Timer::Host(at) => self.turn_of_host(at, now, calendar),
            Timer::Made(_) | Timer::Unkeep(..) => self.layouts_changed(timer, now, calendar),
            Timer::Replan(_) => {}
            Timer::Vm(_) | Timer::Order(_) => self.turn_of_vm(timer, now, calendar),
            Timer::End(job) => self.ended(JobIx(job), now, calendar),
            Timer::Cancel(spec) => self.cancel(spec as usize, now, calendar),
            Timer::Spill(spec) => self.spill(spec as usize, now, calendar),
            Timer::Cleaned(job) => self.cleaned(JobIx(job), now, calendar),
            Timer::Registered(at) => self.registered(at, now, calendar),
            Timer::Pass => {
                if self.is_ideal() {
                    self.controller.backfill_cycle(now);
                } else {
                    self.controller.main_pass(now, false);
                }
                self.has_passed = true;
                self.carry_out(now, calendar);
            }
            Timer::Loop => self.turn(now, calendar),
            Timer::Backfill => self.wake_backfill(now, calendar),
            Timer::Priorities if !self.finished => {
                self.controller.recalculate_priorities(whole_s(now));
                if self.is_ideal() {
                    calendar.set(Timer::Pass, now, Phase::Pass);
                }
                let period = SimDuration::from_s(self.run.config.priority.calc_period_s);
                calendar.set(Timer::Priorities, now + period, Phase::Pass);
            }
            Timer::Priorities => {}
        }
        // a nap that ends at this instant began before the pass or the turn was set, so it ended before it
        let is_past = matches!(timer, Timer::Loop | Timer::Pass);
        let from = if is_past { now + SimDuration::from_micros(1) } else { now };
        self.rouse_backfill(from, calendar);
    }

    fn settle(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) -> ControlFlow<()> {
        if let Some(hosts) = self.hosts.as_mut().filter(|_| std::mem::take(&mut self.has_passed)) {
            hosts.order_vms(now, &mut self.controller, calendar);
        }
        if let Some(tool) = self.hosts.as_mut().and_then(|hosts| hosts.tool.as_mut()) {
            tool.plan(now, &mut self.controller, calendar);
        }
        if let Some(hosts) = &mut self.hosts {
            hosts.settle_links(now, calendar);
        }
        self.rouse_backfill(now + SimDuration::from_micros(1), calendar);
        if self.finished { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

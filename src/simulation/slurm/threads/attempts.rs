//! An attempt of a job from its start to the end of its clean-up.

use super::{Daemon, Timer, whole_s};
use crate::ids::{Id, JobId};
use crate::kernel::{Calendar, Phase};
use crate::scheduler::slurm::job::{JobIx, State};
use crate::simulation::slurm::cards::Holding;
use crate::simulation::slurm::hosted::Starting;
use crate::simulation::slurm::{Attempt, Granted, Translated, timer_of};
use crate::time::{SimDuration, SimTime};

impl Daemon<'_> {
    pub(super) fn started(&mut self, job: JobIx, now: SimTime, calendar: &mut Calendar<Timer>) {
        let record = self.controller.job(job);
        let known = &self.run.jobs[record.spec];
        let submit = if record.attempt == 1 { known.submit } else { SimTime::from_s(record.submit_s) };
        self.attempts.push(Attempt {
            spec: record.spec,
            task: record.task,
            number: record.attempt,
            submit,
            eligible_s: record.begin_s.unwrap_or(record.submit_s),
            start: now,
            end: SimTime::NEVER,
            state: State::Running,
            grants: Granted::of(&record.grants),
            cards: record.held.clone(),
            reshapes: record.reshapes.clone(),
            is_wider: record.is_wider,
            works: now,
            started_by: record.started_by,
            priority: record.priority,
        });
        self.open.insert(job, self.attempts.len() - 1);
        let key = u64::from(record.id) << 16 | u64::from(record.task.unwrap_or(0));
        let overhead =
            if self.is_ideal() { SimDuration::ZERO } else { self.run.chance.overhead(key, record.attempt) };
        if let Some(hosts) = &mut self.hosts {
            let holding = Holding {
                job: JobId::new(record.spec),
                is_wider: record.is_wider,
                ask: self.controller.asked(job),
                grants: &record.grants,
                cards: &record.held,
            };
            let (reshapes, ledger) = (record.reshapes.as_slice(), self.controller.cards());
            let starting = Starting { spec: record.spec, holding, reshapes, ledger, overhead };
            let works = hosts.begin(job, starting, now, calendar);
            self.attempts.last_mut().expect("it was pushed just now").works = works;
            return;
        }
        let run = match self.run.translated {
            None => known.run,
            Some(Translated { recorded, speeds, pools }) => {
                let job = JobId::new(record.spec);
                let node = record.nodes.ones().next().expect("a running job has a node");
                speeds.on(job, pools[node]).time_of(recorded.jobs[job].run)
            }
        };
        calendar.set(Timer::End(timer_of(job)), now + run + overhead, Phase::Release);
    }

    fn close(
        &mut self,
        job: JobIx,
        state: State,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> (u64, u32) {
        if let Some(hosts) = &mut self.hosts {
            hosts.end(job, state, now, calendar);
        }
        let at = self.open.remove(&job).expect("an ending job has an open attempt");
        let attempt = &mut self.attempts[at];
        attempt.end = now;
        attempt.state = state;
        if let Some(tool) = self.hosts.as_ref().and_then(|hosts| hosts.tool.as_ref()) {
            tool.keep((&attempt.grants.all(), &attempt.cards), now, &mut self.controller, calendar);
        }
        let record = self.controller.job(job);
        (u64::from(record.id) << 16 | u64::from(record.task.unwrap_or(0)), attempt.number)
    }

    pub(super) fn killed(&mut self, job: JobIx, state: State, now: SimTime, calendar: &mut Calendar<Timer>) {
        let (key, attempt) = self.close(job, state, now, calendar);
        calendar.cancel(Timer::End(timer_of(job)));
        self.own_message.insert(job, true);
        let clean_up = if self.is_ideal() { SimDuration::ZERO } else { self.run.chance.kill(key, attempt) };
        calendar.set(Timer::Cleaned(timer_of(job)), now + clean_up, Phase::Release);
        let is_lost = state == State::NodeFail;
        if is_lost && self.hosts.as_mut().is_some_and(|hosts| hosts.gives_up(job, attempt)) {
            let spec = self.controller.job(job).spec;
            if self.controller.cancel(spec, whole_s(now)) {
                self.withdrawn.push(spec);
                self.withdrawn_at.push(now);
            }
        }
    }

    pub(super) fn ended(&mut self, job: JobIx, now: SimTime, calendar: &mut Calendar<Timer>) {
        self.last_event = now;
        let exit_ok = self.run.jobs[self.controller.job(job).spec].exit_ok;
        let state = self.controller.complete(job, exit_ok, whole_s(now));
        let (key, attempt) = self.close(job, state, now, calendar);
        self.own_message.insert(job, self.run.chance.own_message(key, attempt));
        let clean_up =
            if self.is_ideal() { SimDuration::ZERO } else { self.run.chance.clean_up(key, attempt) };
        calendar.set(Timer::Cleaned(timer_of(job)), now + clean_up, Phase::Release);
    }

    pub(super) fn cleaned(&mut self, job: JobIx, now: SimTime, calendar: &mut Calendar<Timer>) {
        self.controller.cleaned(job, whole_s(now));
        let own_message = self.own_message.remove(&job).unwrap_or(false);
        if own_message && !self.run.config.main.defer {
            calendar.set(Timer::Pass, now, Phase::Pass);
        } else {
            self.want_pass(now, calendar);
        }
    }
}

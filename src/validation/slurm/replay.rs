//! Single decisions: the recorded history up to an instant, then one pass of ours, against the recorded one.
//!
//! Long runs diverge by chance after seconds; one decision from the recorded state has practically no
//! noise. Every group of starts that one scheduler made together is compared: which jobs, and where.

use std::collections::BTreeMap;

use super::experiment::Experiment;
use super::observed::{Observed, ObservedRow};
use crate::scheduler::slurm::job::{JobIx, StartedBy, State};
use crate::scheduler::slurm::{Controller, Decision, hardware_of};
use crate::simulation::slurm::Command;
use crate::time::SimTime;

/// How many recorded starts one pass of ours makes too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayScore {
    /// Recorded starts.
    pub starts: u32,
    /// Of these, started by our pass at that instant.
    pub same_job: u32,
    /// Of these, on the same nodes.
    pub same_nodes: u32,
    /// Starts that our passes make beyond the recorded ones.
    pub more: u32,
}

/// What happened, in order at one instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Command(usize),
    Registered(usize),
    Priorities(i64),
    End(usize),
    Cleaned(usize),
    Submit(usize),
    Group(usize),
}

/// Starts of one scheduler less than this apart are one pass.
const GROUP_S: f64 = 0.25;
/// Phase of the recalculation of priorities after the controller's start, as measured.
const PRIORITIES_OFFSET_US: i64 = 980_000;
/// From the time of a command to its effect (`observed*.events.csv`: 5-19 ms until `scontrol` returns).
const COMMAND_US: i64 = 5_000;
/// The 1-second loop: its start after the controller's, and its turn, as measured (see the simulation's chance).
const LOOP_OFFSET_US: i64 = 825_000;
const LOOP_TURN_US: i64 = 1_002_150;
/// A node's registration after it was asked, as measured of such messages.
const REGISTRATION_US: i64 = 20_000;
/// Clean-up of an ended job, as measured (README "Main scheduler": 5-100 ms).
const CLEAN_UP_S: f64 = 0.002;

/// Replays a recorded run with the epoch that agrees best among the seconds that `sdiag` leaves open (the
/// statistics' start and the controller's are rounded apart by up to one).
#[must_use]
pub fn replay_run(experiment: &Experiment, run: &Observed) -> [ReplayScore; 2] {
    let base = run.epoch_s.unwrap_or(0);
    let scores = [-1, 0, 1].map(|off| {
        let run = Observed { epoch_s: Some(base + off), ..run.clone() };
        replay(experiment, &run, &mut |_| {})
    });
    let best =
        scores.into_iter().max_by_key(|s| (s[1].same_nodes + s[0].same_nodes, std::cmp::Reverse(s[1].more)));
    best.expect("three were tried")
}

/// Replays a recorded run; scores of the main scheduler and of the backfill thread. `tell` hears of
/// every group that differs.
pub fn replay(experiment: &Experiment, run: &Observed, tell: &mut dyn FnMut(String)) -> [ReplayScore; 2] {
    let hardware = hardware_of(&experiment.config);
    let started = run.controller_started.unwrap_or(SimTime::ZERO);
    let mut controller = Controller::new(
        &experiment.config,
        &hardware,
        &experiment.specs,
        started.micros().div_euclid(1_000_000),
    )
    .with_epoch(run.epoch_s.unwrap_or(0));
    let groups = groups_of(run);
    let events = recorded_events(experiment, run, started, &groups);
    let mut jobs: Vec<Option<JobIx>> = vec![None; run.rows.len()];
    let mut heads: Vec<Option<JobIx>> = vec![None; experiment.specs.len()];
    let mut scores = [ReplayScore::default(); 2];
    for (when, kind) in events.into_keys() {
        let (now, now_s) = (SimTime::from_micros(when), when.div_euclid(1_000_000));
        match kind {
            Kind::Submit(spec) => {
                heads[spec] = controller.submit(spec, now_s).ok();
                // passes are made on copies here; the first test comes practically with the submission
                heads[spec].into_iter().for_each(|job| controller.note_tested(job, now_s));
            }
            Kind::Command(at) => {
                let _ = match &experiment.commands[at].1 {
                    Command::CreateReservation(asked) => controller.create_reservation(asked.clone(), now_s),
                    Command::SetReservationEnd(name, end) => {
                        controller.set_reservation_end(name, *end, now_s)
                    }
                    Command::DeleteReservation(name) => controller.delete_reservation(name, now_s),
                    Command::ChangeNodes(nodes, change) => {
                        controller.set_node_states(nodes, *change);
                        Ok(())
                    }
                    Command::SetUsage(_) | Command::Nothing => Ok(()),
                };
            }
            Kind::Registered(at) => {
                if let Command::ChangeNodes(nodes, _) = &experiment.commands[at].1 {
                    controller.register_nodes(nodes, now_s);
                }
            }
            Kind::Priorities(_) => controller.recalculate_priorities(now_s),
            Kind::End(row) => {
                let Some(job) = jobs[row] else { continue };
                end(&mut controller, job, &run.rows[row], now_s);
            }
            Kind::Cleaned(row) => {
                if let Some(job) = jobs[row].take() {
                    controller.cleaned(job, now_s);
                }
            }
            Kind::Group(at) => {
                let score = score_group(&controller, experiment, run, &groups[at], now, tell);
                let into = &mut scores[usize::from(run.rows[groups[at][0]].by_backfill)];
                into.starts += score.starts;
                into.same_job += score.same_job;
                into.same_nodes += score.same_nodes;
                into.more += score.more;
                for row in &groups[at] {
                    let recorded = &run.rows[*row];
                    let Some(spec) = experiment.position(&recorded.job_id) else { continue };
                    let Some(head) = heads[spec] else { continue };
                    let start = SimTime::from_micros(micros(recorded.start_s.unwrap_or(0.0)));
                    let by = if recorded.by_backfill { StartedBy::Backfill } else { StartedBy::Main };
                    jobs[*row] = controller.start_as_recorded(head, &recorded.nodes, start, by);
                }
            }
        }
        let mut forget = Vec::new();
        controller.take_decisions(&mut forget);
    }
    scores
}

/// What was recorded, by the microsecond.
fn recorded_events(
    experiment: &Experiment,
    run: &Observed,
    started: SimTime,
    groups: &[Vec<usize>],
) -> BTreeMap<(i64, Kind), ()> {
    let mut events: BTreeMap<(i64, Kind), ()> = BTreeMap::new();
    for (at, job) in experiment.jobs.iter().enumerate() {
        let row = run.rows.iter().find(|r| r.job_id == experiment.ids[at] && r.attempt == 1);
        let when = row.map_or(job.submit.micros(), |r| micros(r.submit_s));
        events.insert((when, Kind::Submit(at)), ());
    }
    for (at, (when, _)) in experiment.commands.iter().enumerate() {
        events.insert((when.micros() + COMMAND_US, Kind::Command(at)), ());
        let turns = (when.micros() - started.micros() - LOOP_OFFSET_US).div_euclid(LOOP_TURN_US) + 1;
        let next_turn = started.micros() + LOOP_OFFSET_US + turns * LOOP_TURN_US;
        events.insert((next_turn + REGISTRATION_US, Kind::Registered(at)), ());
    }
    for (at, row) in run.rows.iter().enumerate() {
        if let (Some(_), Some(end)) = (row.start_s, row.end_s) {
            events.insert((micros(end), Kind::End(at)), ());
            events.insert((micros(end + CLEAN_UP_S), Kind::Cleaned(at)), ());
        }
    }
    for (at, group) in groups.iter().enumerate() {
        let when = group.iter().filter_map(|r| run.rows[*r].start_s).fold(f64::INFINITY, f64::min);
        events.insert((micros(when), Kind::Group(at)), ());
    }
    let period = experiment.config.priority.calc_period_s * 1_000_000;
    let last = events.keys().next_back().map_or(0, |(when, _)| *when);
    for n in 1..=(last - started.micros()).max(0) / period {
        events.insert((started.micros() + PRIORITIES_OFFSET_US + n * period, Kind::Priorities(n)), ());
    }
    events
}

fn micros(s: f64) -> i64 {
    (s * 1e6) as i64
}

fn end(controller: &mut Controller<'_>, job: JobIx, row: &ObservedRow, now_s: i64) {
    let state = match row.state.as_str() {
        "PREEMPTED" => State::Preempted,
        "NODE_FAIL" => State::NodeFail,
        "TIMEOUT" => State::Timeout,
        "FAILED" => State::Failed,
        _ => State::Completed,
    };
    controller.end_as_recorded(job, state, now_s);
}

/// Rows that started together, in the order of their decisions.
fn groups_of(run: &Observed) -> Vec<Vec<usize>> {
    let mut rows: Vec<usize> = (0..run.rows.len()).filter(|r| run.rows[*r].start_s.is_some()).collect();
    let key = |r: &usize| (run.rows[*r].start_s.unwrap_or(0.0), run.rows[*r].start_seq);
    rows.sort_by(|a, b| key(a).0.total_cmp(&key(b).0).then(key(a).1.cmp(&key(b).1)));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for row in rows {
        match groups.last_mut() {
            Some(group)
                if run.rows[group[0]].by_backfill == run.rows[row].by_backfill
                    && key(&row).0 - key(&group[group.len() - 1]).0 < GROUP_S =>
            {
                group.push(row);
            }
            _ => groups.push(vec![row]),
        }
    }
    groups
}

fn score_group(
    controller: &Controller<'_>,
    experiment: &Experiment,
    run: &Observed,
    group: &[usize],
    now: SimTime,
    tell: &mut dyn FnMut(String),
) -> ReplayScore {
    let mut ours = controller.clone();
    let by_backfill = run.rows[group[0]].by_backfill;
    if by_backfill {
        ours.backfill_cycle(now);
    } else {
        ours.main_pass(now, true);
    }
    let mut decisions = Vec::new();
    ours.take_decisions(&mut decisions);
    let started: Vec<(String, Vec<usize>)> = decisions
        .iter()
        .filter_map(|d| match d {
            Decision::Started(job) => {
                let record = ours.job(*job);
                Some((experiment.ids[record.spec].clone(), record.nodes.ones().collect()))
            }
            _ => None,
        })
        .collect();
    let recorded: Vec<(String, Vec<usize>)> =
        group.iter().map(|r| (run.rows[*r].job_id.clone(), run.rows[*r].nodes.clone())).collect();
    let mut left = started.clone();
    let mut score =
        ReplayScore { starts: u32::try_from(recorded.len()).unwrap_or(u32::MAX), ..ReplayScore::default() };
    for (name, nodes) in &recorded {
        let found = left.iter().position(|(n, on)| n == name && on == nodes);
        if let Some(at) = found.or_else(|| left.iter().position(|(n, _)| n == name)) {
            let (_, on) = left.remove(at);
            score.same_job += 1;
            score.same_nodes += u32::from(on == *nodes);
        }
    }
    score.more = u32::try_from(left.len()).unwrap_or(u32::MAX);
    if score.same_nodes < score.starts || score.more > 0 {
        let by = if by_backfill { "backfill" } else { "main" };
        tell(format!("t={now} {by}: recorded {recorded:?}, ours {started:?}"));
    }
    score
}

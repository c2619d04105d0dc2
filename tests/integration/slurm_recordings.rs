//! The simulator against recordings of real Slurm: static queues job by job, single decisions, states.

use std::collections::BTreeMap;
use std::path::PathBuf;

use windtunnel::scheduler::slurm::job::State;
use windtunnel::validation::slurm::{Experiment, replay_run, run_once, run_seeds, validate_slurm};

use super::shared;

/// A recorded experiment, or `None` (with the reason printed) where it is not there.
fn recording(name: &str) -> Option<PathBuf> {
    shared::folder(&format!("slurm-reference/{name}"))
}

fn experiment(name: &str) -> Option<Experiment> {
    recording(name).map(|dir| Experiment::read(&dir).unwrap())
}

#[test]
fn a_static_queue_under_the_builtin_scheduler_is_reproduced_job_by_job() {
    let Some(dir) = recording("S_static_builtin") else { return };
    let found = validate_slurm(&[&dir], 100).unwrap();
    let report = &found.experiments[0];
    assert_eq!((report.same_start, report.same_nodes), (1.0, 1.0));
    assert!(found.passed());
}

#[test]
fn single_decisions_are_those_of_slurm() {
    for (name, least) in [
        ("A_fifo_builtin", 0.99),
        ("B_fifo_backfill", 0.99),
        ("B_backfill_defaults", 0.99),
        ("D_packing_mig", 0.99),
        ("R_static_backfill", 0.99),
        ("V_reservations", 0.99),
        ("W_node_events", 0.98),
        ("X_limits_default_params", 0.99),
    ] {
        let Some(experiment) = experiment(name) else { return };
        for run in &experiment.observed {
            for (by, score) in ["main", "backfill"].iter().zip(replay_run(&experiment, run)) {
                let same = f64::from(score.same_nodes) / f64::from(score.starts.max(1));
                assert!(score.starts == 0 || same >= least, "{name} {} {by}: {score:?}", run.name);
            }
        }
    }
}

fn states(experiment: &Experiment, seed: u64) -> BTreeMap<State, usize> {
    let mut counts = BTreeMap::new();
    for attempt in run_once(experiment, seed).attempts {
        *counts.entry(attempt.state).or_insert(0) += 1;
    }
    counts
}

#[test]
fn failed_dependencies_and_limits_end_as_recorded() {
    let Some(experiment) = experiment("F_arrays_deps") else { return };
    for seed in 0..3 {
        let run = run_once(&experiment, seed);
        let counts = states(&experiment, seed);
        assert_eq!(run.withdrawn.len(), 3, "cancelled by kill_invalid_depend");
        assert_eq!(counts[&State::Failed], 37);
        assert_eq!((counts[&State::Completed], counts[&State::Timeout]), (674, 14));
    }
}

#[test]
fn jobs_of_an_ended_reservation_are_held() {
    let Some(experiment) = experiment("V_reservations") else { return };
    let runs = run_seeds(&experiment, 12);
    // the fourth command asks for nodes 15 and 16 at t = 120: refused while jobs there may run longer,
    // as they did in both recordings, and do in most runs
    let refused =
        |at: usize| runs.iter().filter(|r| r.refused_commands.iter().any(|(c, _)| *c == at)).count();
    assert!(refused(3) >= 8, "{}", refused(3));
    assert_eq!(runs.iter().map(|r| r.refused_commands.len()).sum::<usize>(), refused(3));
    for run in &runs {
        assert_eq!(run.pending.len(), 5, "as recorded");
        assert!(
            run.pending.iter().all(|(_, _, reason)| *reason == "ReservationDeleted"),
            "{:?}",
            run.pending
        );
        assert_eq!(run.pending.len() + run.attempts.len(), 208);
    }
}

#[test]
fn jobs_over_a_limit_pend_for_ever() {
    let Some(experiment) = experiment("G_limits") else { return };
    for run in run_seeds(&experiment, 3) {
        assert_eq!(run.pending.len(), 2, "{:?}", run.pending);
        assert_eq!(run.attempts.len(), 365);
    }
}

#[test]
fn lost_nodes_requeue_their_jobs() {
    let Some(experiment) = experiment("W_node_events") else { return };
    for run in run_seeds(&experiment, 3) {
        for again in run.attempts.iter().filter(|a| a.number > 1) {
            let before = run
                .attempts
                .iter()
                .find(|a| a.spec == again.spec && a.task == again.task && a.number + 1 == again.number)
                .unwrap();
            assert_eq!(before.state, State::NodeFail);
            assert!(before.end < again.start && again.priority == before.priority);
            assert!(again.eligible_s == before.end.micros().div_euclid(1_000_000) + 121);
        }
        let lost = run.attempts.iter().filter(|a| a.state == State::NodeFail).count();
        assert!((2..30).contains(&lost), "{lost}");
    }
}

#[test]
fn a_run_is_the_same_every_time() {
    let Some(experiment) = experiment("E_preempt_qos") else { return };
    let (a, b) = (run_once(&experiment, 7), run_once(&experiment, 7));
    assert_eq!(a.attempts, b.attempts);
    assert!(a.attempts.iter().any(|t| t.state == State::Preempted));
    assert_ne!(a.attempts, run_once(&experiment, 8).attempts);
}

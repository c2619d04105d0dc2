//! Every policy with every sharing, tenancy, life of hosts and feature of jobs: it runs, with the effect that the words
//! promise, or the loader refuses it by the key.

use std::collections::BTreeMap;

use rayon::prelude::*;
use windtunnel::ids::JobId;
use windtunnel::simulation::{JobRecord, JobState};
use windtunnel::time::SimTime;
use windtunnel::workload::DependencyKind;

use super::cells::{Cell, FEATURES, LIVES, POLICIES, Played, SHARINGS, TENANCIES};

/// Cells that run today: all of them. More may, fewer must not.
const RUN_AT_LEAST: usize = 2_824;

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for policy in POLICIES {
        for sharing in SHARINGS {
            for tenancy in TENANCIES {
                for life in LIVES {
                    for feature in FEATURES {
                        cells.push(Cell { policy, sharing, tenancy, life, feature });
                    }
                }
            }
        }
    }
    cells.retain(|cell| cell.is_sensible());
    // Every pair of axes, and of lives with features every seventh: 90 s for all are too many.
    let mut rest = 0_usize;
    cells.retain(|cell| {
        let is_pair = cell.life == "none" || cell.feature == "plain";
        rest += usize::from(!is_pair);
        is_pair || rest.is_multiple_of(7)
    });
    cells
}

#[test]
fn every_cell_runs_or_is_refused_by_its_key() {
    let cells = cells();
    let told: Vec<Result<(), String>> = cells.par_iter().map(|cell| judge(*cell)).collect();
    let ran = told.iter().filter(|result| result.is_ok()).count();
    let mut why: BTreeMap<&str, usize> = BTreeMap::new();
    told.iter()
        .filter_map(|result| result.as_ref().err())
        .for_each(|told| *why.entry(told).or_default() += 1);
    println!("{ran} of {} cells run; refused: {why:#?}", cells.len());
    assert!(ran >= RUN_AT_LEAST, "{ran} of {} cells run; refused: {why:#?}", cells.len());
}

/// Runs a cell and checks it; `Err` is the message of a refusal.
fn judge(cell: Cell) -> Result<(), String> {
    let played = match cell.play() {
        Ok(played) => played,
        Err(refusals) => {
            for (code, place, message) in &refusals {
                assert!(code.starts_with("W02") && code != "W0412", "{cell:?}: {code} {message}");
                assert!(place.starts_with("Span"), "{cell:?}: `{message}` names no key");
            }
            return Err(refusals[0].2.clone());
        }
    };
    played.check(cell);
    let outcome = &played.outcome;
    let counts = |state| outcome.records.iter().filter(|record| record.state == state).count();
    let open = counts(JobState::Pending) + counts(JobState::Running) + counts(JobState::Future);
    assert_eq!(open, 0, "{cell:?}: jobs without an end");
    let refused = counts(JobState::Refused);
    assert!(
        4 * refused <= outcome.records.len(),
        "{cell:?}: {refused} refused: {:?}",
        outcome.refused.first()
    );
    let told = outcome.preemptive.as_ref().is_some_and(|facts| !facts.not_carried_over.is_empty());
    if !told {
        effects(cell, &played);
    }
    Ok(())
}

/// The features of jobs have their effect.
fn effects(cell: Cell, played: &Played) {
    let (workload, outcome) = (&played.workload, &played.outcome);
    let record = |job: JobId| -> &JobRecord { &outcome.records[job] };
    let has_started = |job: JobId| record(job).start != SimTime::NEVER;
    let mut arrays: BTreeMap<String, Vec<JobId>> = BTreeMap::new();
    for (job, extras) in &workload.extras {
        for dependency in &extras.after {
            let ends = dependency.jobs.iter().map(|on| match dependency.kind {
                DependencyKind::After => record(*on).start,
                _ => record(*on).end,
            });
            if has_started(*job) {
                assert!(
                    ends.max().is_none_or(|last| record(*job).start >= last),
                    "{cell:?}: dependency of {job:?}"
                );
            }
            if dependency.kind == DependencyKind::AfterAny && record(*job).state != JobState::Refused {
                assert!(has_started(*job), "{cell:?}: {job:?} never starts after {:?}", dependency.jobs);
            }
        }
        if let Some(begin) = extras.begin.filter(|_| has_started(*job)) {
            assert!(record(*job).start >= begin, "{cell:?}: begin of {job:?}");
        }
        if let Some((array, _)) = extras.array.filter(|_| has_started(*job)) {
            arrays.entry(workload.texts.get(array).to_owned()).or_default().push(*job);
        }
    }
    for (array, tasks) in arrays {
        let holds = |at: SimTime| {
            let runs = |job: &&JobId| outcome.stretches(**job).any(|(from, to)| from <= at && at < to);
            tasks.iter().filter(runs).count()
        };
        let most = tasks.iter().map(|job| holds(record(*job).start)).max();
        assert!(most <= Some(2), "{cell:?}: {most:?} tasks of {array} at once");
    }
    let hours = outcome.hours.total().gpu;
    if cell.is_spread() {
        assert!(hours.communication > 0, "{cell:?}: the network has no effect");
    }
    if cell.life == "store" {
        assert!(hours.storage > 0, "{cell:?}: the store has no effect");
    }
    if cell.feature == "cancel" && cell.life != "elastic" {
        let cancelled = outcome.records.iter().filter(|record| record.state == JobState::Cancelled).count();
        assert!(cancelled > 0, "{cell:?}: nothing was cancelled");
    }
}

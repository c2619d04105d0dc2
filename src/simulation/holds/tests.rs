//! Worked examples on a machine with room for everything: only holds decide when a job starts.

use super::super::{JobState, Outcome, Policy, RunOptions, simulate};
use crate::cluster::ClusterSpec;
use crate::ids::JobId;
use crate::scheduler::ordering::BySubmit;
use crate::scheduler::{BackfillSpec, PlacementSpec};
use crate::time::SimTime;
use crate::workload::Workload;
use crate::workload::read::{ReadOptions, read_stream};

fn replay_on(procs: u32, csv: &str) -> (Workload, Outcome) {
    let workload = read_stream(csv.as_bytes(), "jobs.csv", &ReadOptions::default()).unwrap();
    assert_eq!(workload.repairs.iter().count(), 0, "the example is meant to be read as written");
    let policy = Policy {
        ordering: Box::new(BySubmit),
        placement: PlacementSpec::FirstFit.into(),
        backfill: BackfillSpec::Greedy,
    };
    let cluster = ClusterSpec::processors(procs);
    let outcome = simulate(&workload, &cluster, policy, &RunOptions::default()).unwrap();
    (workload, outcome)
}

/// Start of every job in file order; -1 where it never started.
fn starts(csv: &str) -> Vec<i64> {
    let (_, outcome) = replay_on(1000, csv);
    let second = |at: SimTime| if at == SimTime::NEVER { -1 } else { at.micros() / 1_000_000 };
    outcome.records.iter().map(|record| second(record.start)).collect()
}

#[test]
fn after_kinds_wait_for_what_they_say() {
    let csv = "job_id,submit_s,run_s,state,after\n\
               1,0,100,COMPLETED,\n\
               2,0,50,FAILED,\n\
               3,1,10,,after:1\n\
               4,1,10,,afterany:1:2\n\
               5,1,10,,afterok:1\n\
               6,1,10,,afternotok:2\n\
               7,1,10,,\"afterok:1,afternotok:2\"\n";
    assert_eq!(starts(csv), [0, 0, 1, 100, 100, 50, 100]);
}

#[test]
fn a_dependency_that_can_never_be_met_cancels_the_chain() {
    let csv = "job_id,submit_s,run_s,state,after\n\
               1,0,100,FAILED,\n\
               2,0,10,,afterok:1\n\
               3,0,10,,afterok:2\n\
               4,0,10,,afterany:3\n\
               5,0,10,,afternotok:3\n";
    let (_, outcome) = replay_on(1000, csv);
    let states: Vec<JobState> = outcome.records.iter().map(|record| record.state).collect();
    use JobState::{Cancelled, Completed, Failed};
    assert_eq!(states, [Failed, Cancelled, Cancelled, Completed, Completed]);
    assert_eq!(outcome.records[JobId(1)].end, SimTime::from_s(100));
    assert_eq!(outcome.records[JobId(3)].start, SimTime::from_s(100));
}

#[test]
fn aftercorr_waits_for_the_task_of_the_same_index() {
    // Tasks 10_0 and 10_1 run 100 s and 300 s; task 20_0 follows 10_0, task 20_1 follows 10_1.
    let csv = "job_id,array,submit_s,run_s,after\n\
               10,0,0,100,\n\
               10,1,0,300,\n\
               20,0-1,1,10,aftercorr:10\n";
    assert_eq!(starts(csv), [0, 0, 100, 300]);
}

#[test]
fn aftercorr_needs_success_of_its_own_task_only() {
    let csv = "job_id,array,submit_s,run_s,state,after\n\
               10,0,0,100,OUT_OF_MEMORY,\n\
               10,1,0,300,COMPLETED,\n\
               20,0-1,1,10,,aftercorr:10\n";
    assert_eq!(starts(csv), [0, 0, -1, 300]);
}

#[test]
fn singletons_run_one_at_a_time_per_user_and_name() {
    let csv = "job_id,submit_s,run_s,user,name,after\n\
               1,0,100,ann,train,\n\
               2,1,100,ann,train,singleton\n\
               3,2,100,ann,train,singleton\n\
               4,3,100,bob,train,singleton\n\
               5,4,100,ann,other,singleton\n\
               6,500,100,ann,train,singleton\n";
    assert_eq!(starts(csv), [0, 100, 200, 3, 4, 500]);
}

#[test]
fn a_singleton_waits_for_a_later_job_that_already_runs() {
    // Job 3 is no singleton and starts at once; job 2 must not run beside it.
    let csv = "job_id,submit_s,run_s,user,name,after\n\
               1,0,100,ann,train,\n\
               2,1,100,ann,train,singleton\n\
               3,50,100,ann,train,\n";
    assert_eq!(starts(csv), [0, 150, 50]);
}

#[test]
fn a_withdrawn_job_no_longer_holds_a_singleton() {
    let csv = "job_id,submit_s,run_s,user,name,begin_s,cancel_s,after\n\
               1,0,10,ann,train,1000,40,\n\
               2,1,10,ann,train,,,singleton\n\
               3,2,10,ann,train,,45,singleton\n\
               4,3,10,ann,train,,,singleton\n";
    assert_eq!(starts(csv), [-1, 40, -1, 50]);
}

#[test]
fn begin_time_and_array_limit_hold() {
    let csv = "job_id,submit_s,run_s,array,begin_s\n\
               a,0,100,0-3%2,\n\
               b,0,10,,70\n";
    assert_eq!(starts(csv), [0, 0, 100, 100, 70]);
}

#[test]
fn a_job_ends_as_recorded() {
    let csv = "job_id,submit_s,run_s,state\n\
               1,0,10,COMPLETED\n\
               2,0,10,FAILED\n\
               3,0,10,CANCELLED by 1000\n\
               4,0,10,TIMEOUT\n\
               5,0,10,NODE_FAIL\n\
               6,0,10,out_of_memory\n\
               7,0,10,RUNNING\n\
               8,0,10,\n";
    let (_, outcome) = replay_on(1000, csv);
    let failed: Vec<bool> = outcome.records.iter().map(|r| r.state == JobState::Failed).collect();
    assert_eq!(failed, [false, true, true, true, true, true, false, false]);
}

//! Jobs that may not start yet: dependencies, begin times, array limits; and jobs that are withdrawn.

use windtunnel::ids::JobId;
use windtunnel::simulation::{JobState, RunOptions, simulate};
use windtunnel::workload::DependencyKind::{After, AfterAny, AfterNotOk, AfterOk};

use super::builders::{classic, job, named, play, policy_of, processors, trace, try_play};

#[test]
fn dependencies_wait_for_what_they_name() {
    let workload = trace()
        .job(named("A").at_s(0).run_s(10))
        .job(named("started").at_s(1).after(After, &["A"]))
        .job(named("ended").at_s(1).after(AfterAny, &["A"]))
        .job(named("ok").at_s(1).after(AfterOk, &["A"]))
        .job(named("not-ok").at_s(1).after(AfterNotOk, &["A"]))
        .job(named("both").at_s(1).after(AfterOk, &["A", "late"]))
        .job(named("late").at_s(20).run_s(3))
        .build();
    let run = play(&workload, &processors(8), &classic("fcfs"));
    assert_eq!(run.starts_s(["started", "ended", "ok", "both"]), [1, 10, 10, 23]);
    assert_eq!(run.state("not-ok"), JobState::Cancelled);
    assert_eq!(run.start_s("not-ok"), None);
}

#[test]
fn a_job_after_a_start_starts_at_the_same_instant() {
    let workload = trace()
        .job(named("blocker").cpus(4).run_s(7))
        .job(named("A").at_s(1).cpus(2).run_s(5))
        .job(named("with").at_s(1).cpus(2).run_s(5).after(After, &["A"]))
        .build();
    let run = play(&workload, &processors(4), &classic("fcfs"));
    assert_eq!(run.starts_s(["A", "with"]), [7, 7]);
}

#[test]
fn what_can_never_be_met_takes_its_dependents_along() {
    let workload = trace()
        .job(named("gone").at_s(1).begin_s(50).cancel_s(5))
        .job(named("child").at_s(2).after(AfterOk, &["gone"]))
        .job(named("grandchild").at_s(3).after(AfterOk, &["child"]))
        .job(named("heir").at_s(3).after(AfterAny, &["child"]))
        .build();
    let run = play(&workload, &processors(4), &classic("easy"));
    let states = ["gone", "child", "grandchild"].map(|name| run.state(name));
    assert_eq!(states, [JobState::Cancelled; 3]);
    assert_eq!(run.start_s("heir"), Some(5));
}

#[test]
fn a_begin_time_holds_a_job_without_blocking_others() {
    let workload = trace()
        .job(named("later").cpus(4).begin_s(30).run_s(5))
        .job(named("now").at_s(1).cpus(4).run_s(5))
        .job(named("past").at_s(10).cpus(4).begin_s(2).run_s(5))
        .build();
    let run = play(&workload, &processors(4), &classic("fcfs"));
    assert_eq!(run.starts_s(["now", "past", "later"]), [1, 10, 30]);
}

#[test]
fn a_limited_array_runs_so_many_tasks_at_once() {
    let task = |name: &str, index| named(name).run_s(10).array("sweep", index, 2);
    let workload = trace()
        .job(task("t0", 0))
        .job(task("t1", 1).run_s(4))
        .job(task("t2", 2))
        .job(task("t3", 3))
        .job(named("other").at_s(1))
        .build();
    let run = play(&workload, &processors(8), &classic("fcfs"));
    assert_eq!(run.starts_s(["t0", "t1", "t2", "t3", "other"]), [0, 0, 4, 10, 1]);
}

#[test]
fn a_cancelled_task_makes_room_in_its_array() {
    let task = |name: &str, index| named(name).run_s(10).array("sweep", index, 1);
    let workload =
        trace().job(task("t0", 0).cancel_s(3)).job(task("t1", 1).cancel_s(1)).job(task("t2", 2)).build();
    let run = play(&workload, &processors(8), &classic("fcfs"));
    assert_eq!(run.starts_s(["t0", "t2"]), [0, 3]);
    assert_eq!((run.state("t1"), run.start_s("t1")), (JobState::Cancelled, None));
}

#[test]
fn a_cancelled_head_lets_the_queue_move() {
    for policy in ["fcfs", "sjf", "ljf", "easy", "conservative", "greedy", "priority"] {
        let workload = trace()
            .job(named("A").cpus(3).run_s(100))
            .job(named("head").at_s(1).cpus(4).run_s(100).cancel_s(50))
            .job(named("B").at_s(2).cpus(1).run_s(200))
            .build();
        let run = play(&workload, &processors(4), &classic(policy));
        assert_eq!(run.state("head"), JobState::Cancelled, "{policy}");
        // Longest first puts B before the head, greedy passes it.
        let expected = if matches!(policy, "greedy" | "ljf") { 2 } else { 50 };
        assert_eq!(run.start_s("B"), Some(expected), "{policy}");
    }
}

#[test]
fn a_cancelled_run_ends_early_and_one_that_has_ended_is_not_cancelled() {
    let workload = trace()
        .job(named("cut").run_s(10).cancel_s(4))
        .job(named("done").run_s(3).cancel_s(9))
        .job(named("next").at_s(1).cpus(2).run_s(1))
        .build();
    let run = play(&workload, &processors(2), &classic("fcfs"));
    assert_eq!((run.state("cut"), run.state("done")), (JobState::Cancelled, JobState::Completed));
    assert_eq!(run.start_s("next"), Some(4));
}

#[test]
fn the_clock_stops_with_the_last_thing_that_happens() {
    // A withdrawal that finds its job gone already does not stretch the horizon.
    let workload = trace()
        .job(named("A").run_s(2))
        .job(named("hopeless").at_s(3).after(AfterNotOk, &["A"]).cancel_s(1000))
        .build();
    let run = play(&workload, &processors(2), &classic("fcfs"));
    assert_eq!(run.state("hopeless"), JobState::Cancelled);
    assert_eq!(run.outcome.last_instant.as_s(), 3.0);
}

#[test]
fn a_limit_of_zero_promises_nothing_that_is_taken() {
    let workload = trace().jobs((0..4).map(|_| job().run_s(2).limit_s(0))).build();
    for policy in ["fcfs", "easy", "greedy", "conservative"] {
        let run = try_play(&workload, &processors(2), &classic(policy)).map_err(|e| e.to_string());
        let run = run.unwrap_or_else(|error| panic!("{policy}: {error}"));
        assert_eq!(run.starts_s(["job-0", "job-1", "job-2", "job-3"]), [0, 0, 2, 2], "{policy}");
    }
}

#[test]
fn the_reservation_of_a_withdrawn_head_is_forgotten() {
    let workload = trace()
        .job(named("A").cpus(3).run_s(100))
        .job(named("head").at_s(1).cpus(4).cancel_s(50))
        .job(named("B").at_s(60).cpus(1).run_s(200))
        .build();
    let options = RunOptions { watch: Some(JobId(2)), ..RunOptions::default() };
    let outcome = simulate(&workload, &processors(4), policy_of(&classic("easy")), &options).unwrap();
    let rows: Vec<_> = outcome.watched.iter().map(|row| (row.at.as_s(), row.reason, row.shadow)).collect();
    assert_eq!(rows[0], (60.0, None, None));
}

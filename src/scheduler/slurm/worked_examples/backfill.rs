//! Which jobs the backfill thread tests, which of them get a reservation, and the named rules.

use super::super::config::{BackfillParameters, BackfillRule, QosId};
use super::super::job::{ArraySpec, TaskOf};
use super::*;
use crate::time::SimDuration;

/// Planned starts after one cycle at 10 s behind a job of 10 minutes on all of four nodes (from 3 s on).
fn planned(set: impl FnOnce(&mut BackfillParameters), jobs: &[JobSpec]) -> Vec<i64> {
    let mut config = site(4);
    set(&mut config.backfill);
    let hardware = hardware_of(&config);
    let specs: Vec<JobSpec> = std::iter::once(job(4, 8, 10)).chain(jobs.iter().cloned()).collect();
    let pace = SimDuration::from_s(5);
    let mut controller = Controller::new(&config, &hardware, &specs, 0).with_backfill_pace(pace);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [0]);
    assert_eq!(cycle(&mut controller, 10), [0; 0]);
    (1..specs.len()).map(|n| controller.job(JobIx(n as u32)).start_s).collect()
}

#[test]
fn every_job_gets_a_reservation_unless_a_parameter_says_otherwise() {
    let jobs = [job(4, 8, 10), job(4, 8, 5), job(4, 8, 5)];
    assert_eq!(planned(|_| {}, &jobs), [603, 1_203, 1_503]);
    let two = |bf: &mut BackfillParameters| (bf.max_job_test, bf.node_space_size) = (2, Some(100));
    assert_eq!(planned(two, &jobs), [603, 1_203, 0]);
    // the map may have as many intervals as jobs are tested: two reservations make three
    assert_eq!(planned(|bf| bf.max_job_test = 2, &jobs), [603, 0, 0]);
    // five seconds a job: bf_max_time ends the cycle after so many, without it bf_interval
    assert_eq!(planned(|bf| bf.max_time_s = Some(10), &jobs), [603, 1_203, 0]);
    assert_eq!(planned(|bf| bf.interval_s = 9, &jobs), [603, 0, 0]);
    assert_eq!(planned(|bf| bf.max_job_part = 1, &jobs), [603, 0, 0]);
    assert_eq!(planned(|bf| bf.max_job_user = 2, &jobs), [603, 1_203, 0]);
    assert_eq!(planned(|bf| bf.job_part_count_reserve = 1, &jobs), [603, 0, 0]);
    assert_eq!(planned(|bf| bf.window_s = 20 * 60, &jobs), [603, 1_203, 0], "1,503 s lies beyond");
    // basic priority: the first job has 4,294,901,759, each later one less
    assert_eq!(planned(|bf| bf.min_prio_reserve = 4_294_901_757, &jobs), [603, 1_203, 0]);
    assert_eq!(planned(|bf| bf.min_age_reserve_s = 11, &jobs), [0, 0, 0], "all are 10 s old");
}

#[test]
fn an_array_gets_as_many_reservations_as_bf_max_job_array_resv() {
    let array = JobSpec { array: Some(ArraySpec { tasks: (0..5).collect(), limit: None }), ..job(4, 8, 10) };
    // behind it another job: its start tells how many tasks have a reservation
    for most in [1, 3] {
        let starts = planned(|bf| bf.max_job_array_resv = most, &[array.clone(), job(4, 8, 10)]);
        assert_eq!(starts[1], 603 + 600 * i64::from(most));
    }
    // the same where the tasks are submissions of their own, as a trace has them
    let task = JobSpec { task_of: Some(TaskOf { array: 7, limit: None }), ..job(4, 8, 10) };
    let starts = planned(|bf| bf.max_job_array_resv = 2, &[task.clone(), task.clone(), task, job(4, 8, 10)]);
    assert_eq!(starts, [603, 1_203, 0, 1_803]);
}

#[test]
fn a_qos_with_no_reserve_plans_nothing() {
    let mut config = site(1);
    config.accounting.qos[0].flags.no_reserve = true;
    let hardware = hardware_of(&config);
    let specs = [job(1, 8, 10), job(1, 8, 10)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    pass(&mut controller, 3);
    cycle(&mut controller, 10);
    assert_eq!(controller.job(JobIx(1)).start_s, 0);
    assert_eq!(controller.job(JobIx(1)).qos, QosId(0));
}

#[test]
fn easy_protects_the_first_job_and_conservative_all() {
    // two nodes; 0 runs on one for 10 min; 1 wants both (after 600 s); 2 wants one for 20 min: it would delay 1;
    // 3 wants one for 5 min: it passes; 4 wants one for 20 min: nobody may start it
    let jobs = [job(1, 8, 10), job(2, 8, 10), job(1, 8, 20), job(1, 8, 5), job(1, 8, 20)];
    for rule in [BackfillRule::Easy, BackfillRule::Conservative] {
        let mut config = site(2);
        config.backfill.be_ideal(rule);
        let hardware = hardware_of(&config);
        let mut controller = Controller::new(&config, &hardware, &jobs, 0);
        submit_all(&mut controller, 0);
        assert_eq!(cycle(&mut controller, 0), [0, 3], "{rule:?}: at once, no pass before it");
        let planned = [1, 2, 4].map(|n| controller.job(JobIx(n)).start_s);
        match rule {
            BackfillRule::Easy => assert_eq!(planned, [600, 0, 0]),
            _ => assert_eq!(planned, [600, 1_200, 1_200]),
        }
    }
    // nodes 0 and 2 are of kind a, 1 and 3 of kind b; 0 and 1 are busy for 10 min; a job wants both of a, the next
    // both of b, the last one of b for 20 min: it delays only the second that waits
    let of = |kind: &str, spec: JobSpec| {
        let mut spec = spec;
        spec.ask.features.push(kind.into());
        spec
    };
    let jobs = [
        of("a", job(1, 8, 10)),
        of("b", job(1, 8, 10)),
        of("a", job(2, 8, 10)),
        of("b", job(2, 8, 10)),
        of("b", job(1, 8, 20)),
    ];
    for (rule, starts) in [(BackfillRule::Easy, vec![0, 1, 4]), (BackfillRule::Conservative, vec![0, 1])] {
        let mut config = site(4);
        for (n, kind) in ["a", "b", "a", "b"].iter().enumerate() {
            config.nodes[n].features = vec![(*kind).to_owned()];
        }
        config.backfill.be_ideal(rule);
        let hardware = hardware_of(&config);
        let mut controller = Controller::new(&config, &hardware, &jobs, 0);
        submit_all(&mut controller, 0);
        assert_eq!(cycle(&mut controller, 0), starts, "{rule:?}");
    }
}

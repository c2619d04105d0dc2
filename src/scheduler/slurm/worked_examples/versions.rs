//! The same small clusters under the rules of several versions, as recorded (extra_checks) or as the source says.

use super::super::config::{PreemptMode, PreemptType, Qos, QosId, Version};
use super::*;

fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

/// A on n0 for 2 minutes from 0 s, B on n1 for 2 minutes from 20 s, C on the rest for an hour: when is D planned to start?
fn planned_behind_two(of: &str) -> i64 {
    let config = SlurmConfig { version: version(of), ..site(4) };
    let hardware = hardware_of(&config);
    let specs = [job(1, 8, 2), job(1, 8, 2), job(2, 8, 60), job(1, 8, 1)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    for (spec, at_s) in [(0, 0), (1, 20), (2, 21)] {
        controller.submit(spec, at_s).unwrap();
        assert_eq!(pass(&mut controller, at_s), [spec]);
    }
    controller.submit(3, 25).unwrap();
    assert_eq!(cycle(&mut controller, 30), [0; 0]);
    controller.job(JobIx(3)).start_s
}

#[test]
fn a_planned_start_is_the_end_of_the_last_job_removed_or_of_the_last_that_matters() {
    // recorded (extra_checks/predicted_start): 22.05 and 24.11 say B's end, 26.05 says A's
    for of in ["22.05.8", "24.11.5", "25.05.0"] {
        assert_eq!(planned_behind_two(of), 140, "{of}");
    }
    for of in ["25.05.1", "26.05.5"] {
        assert_eq!(planned_behind_two(of), 120, "{of}");
    }
}

/// Planned starts of two jobs of all nodes behind one of 10 minutes that runs from 3 s on, in steps of a minute.
fn planned_in_steps(of: &str, limit_min: u32) -> [i64; 2] {
    let mut config = SlurmConfig { version: version(of), ..site(2) };
    config.backfill.resolution_s = 60;
    let hardware = hardware_of(&config);
    let specs = [job(2, 8, 10), job(2, 8, limit_min), job(2, 8, limit_min)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [0]);
    assert_eq!(cycle(&mut controller, 10), [0; 0]);
    [1, 2].map(|n| controller.job(JobIx(n)).start_s)
}

#[test]
fn plans_end_at_a_step_of_the_map_before_or_after_their_end() {
    // the second job stands from 600 s (603 rounded down) to its end at 903 s, rounded down to 900 or up to 960
    assert_eq!(planned_in_steps("22.05.8", 5), [603, 900]);
    assert_eq!(planned_in_steps("24.11.5", 5), [603, 960]);
}

#[test]
fn a_requeued_job_keeps_its_priority_or_gets_it_anew() {
    // recorded (extra_checks/requeue_priority): 1009 stays 1009 before 24.05.5, and is 1000 at once since
    for (of, anew) in [("22.05.8", false), ("24.05.4", false), ("24.05.5", true), ("26.05.5", true)] {
        let mut config = with_users(SlurmConfig { version: version(of), ..site(1) }, &["u1"]);
        config.priority.multifactor = true;
        config.priority.weights.age = 1_000;
        config.priority.max_age_s = 1_000;
        (config.preempt.kind, config.preempt.mode) = (PreemptType::Qos, PreemptMode::Requeue);
        config.accounting.qos.push(Qos { preempt: vec![QosId(0)], ..Qos::new("high") });
        let hardware = hardware_of(&config);
        let specs = [job(1, 8, 10), JobSpec { qos: Some("high".into()), ..job(1, 8, 10) }];
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        controller.submit(0, 0).unwrap();
        let first = controller.job(JobIx(0)).priority;
        assert!(controller.jobs().iter().all(|job| job.state == State::Pending));
        cycle_eligible(&mut controller, 100);
        let aged = controller.job(JobIx(0)).priority;
        assert_eq!((first, aged), (1, 100));
        assert_eq!(pass(&mut controller, 101), [0]);
        controller.submit(1, 110).unwrap();
        controller.main_pass(SimTime::from_s(113), true);
        assert_eq!(controller.job(JobIx(0)).state, State::Pending);
        assert_eq!(controller.job(JobIx(0)).priority, if anew { first } else { aged }, "{of}");
    }
}

/// Priorities are calculated anew, with the job's age from its submission on.
fn cycle_eligible(controller: &mut Controller<'_>, now_s: i64) {
    controller.set_node_states(&controller.one_node(0), super::super::NodeChange::Drain);
    pass(controller, 0);
    controller.recalculate_priorities(now_s);
    controller.set_node_states(&controller.one_node(0), super::super::NodeChange::Idle);
}

//! Who goes for whom, when, and what becomes of him.

use super::super::config::{PreemptMode, PreemptType, Qos, QosId};
use super::*;

/// QOS `high` may preempt `normal`.
fn qos_site(nodes: usize) -> SlurmConfig {
    let mut config = with_users(site(nodes), &["u1"]);
    (config.preempt.kind, config.preempt.mode) = (PreemptType::Qos, PreemptMode::Requeue);
    let mut high = Qos::new("high");
    high.preempt = vec![QosId(0)];
    config.accounting.qos.push(high);
    config
}

fn high(nodes: u32) -> JobSpec {
    JobSpec { qos: Some("high".into()), ..job(nodes, 8, 10) }
}

fn killed(controller: &mut Controller<'_>) -> Vec<usize> {
    let mut decisions = Vec::new();
    controller.take_decisions(&mut decisions);
    let spec = |d: &Decision| match d {
        Decision::Killed(job, State::Preempted) => Some(controller.job(*job).spec),
        _ => None,
    };
    decisions.iter().filter_map(spec).collect()
}

#[test]
fn a_preempted_job_is_requeued_and_waits_for_its_credential() {
    let config = qos_site(1);
    let hardware = hardware_of(&config);
    let specs = [job(1, 8, 10), high(1)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    controller.submit(0, 0).unwrap();
    pass(&mut controller, 3);
    controller.submit(1, 10).unwrap();
    controller.main_pass(SimTime::from_s(13), true);
    assert_eq!(killed(&mut controller), [0]);
    let victim = controller.job(JobIx(0));
    assert_eq!((victim.state, victim.attempt, victim.submit_s), (State::Pending, 2, 13));
    assert_eq!(victim.begin_s, Some(13 + 120 + 1), "cred_expire + 1 s");
    controller.cleaned(JobIx(0), 13);
    assert_eq!(pass(&mut controller, 14), [1]);
    end(&mut controller, 1, true, 20);
    assert_eq!(pass(&mut controller, 133), [0; 0]);
    assert_eq!(reason(&controller, 0), "BeginTime");
    assert_eq!(pass(&mut controller, 134), [0]);
}

#[test]
fn no_requeue_and_cancel_end_a_job_for_good() {
    for (mode, requeue) in [(PreemptMode::Requeue, Some(false)), (PreemptMode::Cancel, None)] {
        let mut config = qos_site(1);
        config.preempt.mode = mode;
        let hardware = hardware_of(&config);
        let specs = [JobSpec { requeue, ..job(1, 8, 10) }, high(1)];
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        controller.submit(0, 0).unwrap();
        pass(&mut controller, 3);
        controller.submit(1, 10).unwrap();
        controller.main_pass(SimTime::from_s(13), true);
        assert_eq!(controller.job(JobIx(0)).state, State::Preempted);
    }
}

#[test]
fn a_victim_keeps_its_nodes_for_its_grace_and_goes_with_the_next_tick_of_the_timer() {
    let mut config = qos_site(1);
    config.accounting.qos[0].grace_s = 45;
    let hardware = hardware_of(&config);
    let specs = [job(1, 8, 10), high(1)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    controller.submit(0, 0).unwrap();
    pass(&mut controller, 3);
    controller.submit(1, 10).unwrap();
    controller.main_pass(SimTime::from_s(13), true);
    assert_eq!(killed(&mut controller), [0; 0]);
    assert_eq!(controller.job(JobIx(0)).end_planned_s, 13 + 45);
    controller.enforce_limits(30);
    assert_eq!(controller.job(JobIx(0)).state, State::Running);
    controller.enforce_limits(60);
    assert_eq!(killed(&mut controller), [0]);
    assert_eq!(controller.job(JobIx(0)).begin_s, Some(60 + 121), "requeued then");
}

#[test]
fn exempt_time_of_the_qos_before_that_of_the_cluster() {
    for (of_qos, of_cluster, from) in [(None, 0, 13), (None, 60, 63), (Some(20), 60, 23), (Some(0), 60, 13)] {
        let mut config = qos_site(1);
        config.accounting.qos[0].exempt_s = of_qos;
        config.preempt.exempt_s = of_cluster;
        let hardware = hardware_of(&config);
        let specs = [job(1, 8, 10), high(1)];
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        controller.submit(0, 0).unwrap();
        pass(&mut controller, 3);
        controller.submit(1, 10).unwrap();
        let mut at = 13;
        loop {
            controller.main_pass(SimTime::from_s(at), true);
            if killed(&mut controller) == [0] {
                break;
            }
            at += 1;
        }
        assert_eq!(at, from, "started at 3, exempt for {of_qos:?} or {of_cluster} s");
    }
}

#[test]
fn only_as_many_go_as_are_needed_the_smallest_first() {
    let config = qos_site(3);
    let hardware = hardware_of(&config);
    let specs = [job(2, 8, 10), job(1, 8, 10), high(1)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    (0..2).for_each(|spec| {
        controller.submit(spec, 0).unwrap();
    });
    assert_eq!(pass(&mut controller, 3), [0, 1]);
    controller.submit(2, 10).unwrap();
    controller.main_pass(SimTime::from_s(13), true);
    assert_eq!(killed(&mut controller), [1]);
}

#[test]
fn youngest_first_takes_the_job_that_started_last() {
    let mut config = qos_site(2);
    config.preempt.youngest_first = true;
    let hardware = hardware_of(&config);
    let specs = [job(1, 8, 10), job(1, 8, 10), high(1)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    controller.submit(0, 0).unwrap();
    pass(&mut controller, 3);
    controller.submit(1, 4).unwrap();
    pass(&mut controller, 7);
    controller.submit(2, 10).unwrap();
    controller.main_pass(SimTime::from_s(13), true);
    assert_eq!(killed(&mut controller), [1]);
}

#[test]
fn partitions_preempt_by_tier_with_modes_and_grace_of_their_own() {
    for (mode, state) in [
        (None, State::Pending),
        (Some(PreemptMode::Cancel), State::Preempted),
        (Some(PreemptMode::Off), State::Running),
    ] {
        let mut config = site(1);
        (config.preempt.kind, config.preempt.mode) = (PreemptType::PartitionPrio, PreemptMode::Requeue);
        config.partitions[0].preempt_mode = mode;
        let all = config.partitions[0].nodes.clone();
        config.partitions.push(PartitionConf { priority_tier: 2, ..PartitionConf::new("urgent", all) });
        let hardware = hardware_of(&config);
        let specs = [job(1, 8, 10), JobSpec { partition: Some("urgent".into()), ..job(1, 8, 10) }];
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        controller.submit(0, 0).unwrap();
        pass(&mut controller, 3);
        controller.submit(1, 10).unwrap();
        pass(&mut controller, 13);
        assert_eq!(controller.job(JobIx(0)).state, state, "{mode:?}");
    }
}

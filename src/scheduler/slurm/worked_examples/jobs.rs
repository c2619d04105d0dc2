//! Dependencies, arrays, begin times, holds, devices and features.

use super::super::NodeChange;
use super::super::job::{ArraySpec, TaskOf};
use super::*;

fn after(kind: DependencyKind, on: usize) -> JobSpec {
    JobSpec { after: vec![Dependency { kind, on: vec![on] }], ..job(1, 1, 10) }
}

#[test]
fn exit_codes_decide_afterok_and_afternotok() {
    use DependencyKind::{After, AfterAny, AfterNotOk, AfterOk};
    let config = site(1);
    let hardware = hardware_of(&config);
    for (exit_ok, starts) in [(true, vec![2, 4]), (false, vec![3, 4])] {
        let specs =
            [job(1, 1, 10), after(After, 0), after(AfterOk, 0), after(AfterNotOk, 0), after(AfterAny, 0)];
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        submit_all(&mut controller, 0);
        assert_eq!(pass(&mut controller, 3), [0]);
        assert_eq!(pass(&mut controller, 4), [1], "after: it has started");
        assert_eq!(reason(&controller, 2), "Dependency");
        end(&mut controller, 0, exit_ok, 10);
        assert_eq!(pass(&mut controller, 11), starts);
        let left = if exit_ok { 3 } else { 2 };
        assert_eq!(reason(&controller, left), "DependencyNeverSatisfied", "and it waits for ever");
    }
}

#[test]
fn kill_invalid_depend_withdraws_the_chain() {
    let mut config = site(1);
    config.controller.kill_invalid_depend = true;
    let hardware = hardware_of(&config);
    let specs = [job(1, 1, 10), after(DependencyKind::AfterOk, 0), after(DependencyKind::AfterOk, 1)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    pass(&mut controller, 3);
    end(&mut controller, 0, false, 10);
    (11..14).for_each(|at| controller.main_pass(SimTime::from_s(at), true));
    assert_eq!([1, 2].map(|n| controller.job(JobIx(n)).state), [State::Cancelled; 2]);
}

#[test]
fn a_refused_or_unknown_job_counts_as_ended_without_success() {
    let config = site(1);
    let hardware = hardware_of(&config);
    let specs = [job(9, 1, 10), after(DependencyKind::AfterAny, 0), after(DependencyKind::AfterOk, 0)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    assert!(controller.submit(0, 0).is_err());
    (1..3).for_each(|spec| {
        controller.submit(spec, 0).unwrap();
    });
    assert_eq!(pass(&mut controller, 3), [1]);
    assert_eq!(reason(&controller, 1), "DependencyNeverSatisfied");
}

#[test]
fn singleton_waits_for_all_earlier_jobs_of_its_name_and_user() {
    let config = site(1);
    let hardware = hardware_of(&config);
    let named = |name: &str| JobSpec {
        job_name: name.into(),
        after: vec![Dependency { kind: DependencyKind::Singleton, on: Vec::new() }],
        ..job(1, 1, 10)
    };
    let specs = [named("a"), named("a"), named("b")];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [0, 2]);
    end(&mut controller, 0, true, 10);
    assert_eq!(pass(&mut controller, 11), [1]);
}

#[test]
fn at_most_k_tasks_of_an_array_run_at_once() {
    let config = site(4);
    let hardware = hardware_of(&config);
    let array =
        |limit| JobSpec { array: Some(ArraySpec { tasks: (0..4).collect(), limit }), ..job(1, 8, 10) };
    let specs = [array(Some(2))];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [0, 0]);
    let first = *controller.running().first().unwrap();
    controller.complete(first, true, 10);
    controller.cleaned(first, 10);
    assert_eq!(pass(&mut controller, 11), [0]);
    // the same where every task is a submission of its own
    let task = JobSpec { task_of: Some(TaskOf { array: 3, limit: Some(2) }), ..job(1, 8, 10) };
    let specs = [task.clone(), task.clone(), task, job(1, 8, 10)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [0, 1, 3]);
    assert_eq!(reason(&controller, 2), "JobArrayTaskLimit");
    end(&mut controller, 0, true, 10);
    assert_eq!(pass(&mut controller, 11), [2]);
}

#[test]
fn a_job_on_a_node_that_goes_down_waits_for_its_credential() {
    let mut config = site(2);
    config.controller.cred_expire_s = 15;
    let hardware = hardware_of(&config);
    let specs = [job(2, 8, 10), JobSpec { requeue: Some(false), ..job(1, 8, 10) }];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [0]);
    let priority = controller.job(JobIx(0)).priority;
    let mut node = config.no_nodes();
    node.insert(0);
    controller.change_nodes(&node, NodeChange::Down, 50);
    let job = controller.job(JobIx(0));
    assert_eq!((job.state, job.begin_s, job.priority), (State::Pending, Some(50 + 16), priority));
    controller.cleaned(JobIx(0), 50);
    assert_eq!(pass(&mut controller, 51), [1], "the other node is free at once");
    assert!(controller.change_nodes(&node, NodeChange::Resume, 60), "it has to register");
    assert!(!controller.usable.contains(0));
    assert!(controller.register_nodes(&node, 61));
    assert!(controller.usable.contains(0));
    node.insert(1);
    controller.change_nodes(&node, NodeChange::Down, 61);
    assert_eq!(controller.job(JobIx(1)).state, State::NodeFail, "--no-requeue: for good");
}

#[test]
fn begin_times_and_holds() {
    let config = site(1);
    let hardware = hardware_of(&config);
    let specs = [
        JobSpec { begin_s: Some(100), ..job(1, 8, 10) },
        JobSpec { hold: true, ..job(1, 1, 10) },
        job(1, 1, 1),
    ];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [2]);
    assert_eq!([0, 1].map(|n| reason(&controller, n)), ["BeginTime", "JobHeldUser"]);
    end(&mut controller, 2, true, 50);
    assert_eq!(pass(&mut controller, 99), [0; 0]);
    assert_eq!(pass(&mut controller, 100), [0]);
}

#[test]
fn typed_devices_and_features_choose_the_node() {
    let mut config = site(2);
    let other = config.device_type("a100");
    config.nodes[1].gres[0].device_type = Some(other);
    config.nodes[1].features = vec!["fast".into()];
    let hardware = hardware_of(&config);
    let typed = |kind| {
        let mut spec = job(1, 2, 10);
        spec.ask.gres[0].device_type = Some(kind);
        spec
    };
    let mut wants_fast = job(1, 0, 10);
    wants_fast.ask.gres.clear();
    wants_fast.ask.features.push("fast".into());
    let mut impossible = wants_fast.clone();
    impossible.ask.features.push("slow".into());
    let specs = [typed(other), typed(DeviceTypeId(0)), wants_fast, impossible];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    (0..3).for_each(|spec| {
        controller.submit(spec, 0).unwrap();
    });
    assert_eq!(pass(&mut controller, 3), [0, 1, 2]);
    let on = [0, 1, 2].map(|n| controller.job(JobIx(n)).nodes.ones().next().unwrap());
    assert_eq!(on, [1, 0, 1]);
    assert_eq!(
        controller.submit(3, 4).unwrap_err().to_string(),
        "requested node configuration is not available",
        "all features are needed"
    );
}

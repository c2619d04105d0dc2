//! Small clusters on which every decision can be followed by hand.

mod backfill;
mod jobs;
mod licences;
mod limits;
mod minutes;
mod partitions;
mod preemption;
mod versions;

use smallvec::smallvec;

use super::config::{
    Accounting, Assoc, AssocId, DeviceTypeId, GresCount, Limits, NodeConf, PartitionConf, Shares,
    SlurmConfig, TresTable,
};
use super::job::{Ask, Dependency, DependencyKind, JobIx, JobSpec, Reason, State};
use super::{Controller, Decision, dependency_cycle, hardware_of};
use crate::time::SimTime;

/// Worked out by the rules of 22.05; what differs since is in `versions`.
fn site(nodes: usize) -> SlurmConfig {
    let mut config = SlurmConfig::of("22.05.8".parse().expect("a version"));
    config.select.whole_nodes = false;
    config.device_type("h100");
    for n in 0..nodes {
        config.nodes.push(NodeConf {
            name: format!("n{n}"),
            cpus: 64,
            mem_mb: 512_000,
            gres: vec![GresCount { device_type: Some(DeviceTypeId(0)), count: 8 }],
            weight: 1,
            features: Vec::new(),
            unusable: false,
        });
    }
    let mut all = config.no_nodes();
    all.insert_range(..);
    config.partitions.push(PartitionConf { default: true, ..PartitionConf::new("main", all) });
    config.backfill.resolution_s = 1;
    config
}

fn job(nodes: u32, gpus: u32, limit_min: u32) -> JobSpec {
    JobSpec {
        job_name: "".into(),
        user: "u1".into(),
        account: None,
        partition: None,
        qos: None,
        ask: Ask {
            min_nodes: nodes,
            max_nodes: Some(nodes),
            cpus: nodes,
            cpus_per_node: 1,
            mem_mb_per_node: 100,
            gres: smallvec![GresCount { device_type: None, count: gpus }],
            fixed_per_node: true,
            ..Ask::default()
        }
        .into(),
        limit_min: Some(limit_min),
        nice: 0,
        after: Vec::new(),
        array: None,
        task_of: None,
        reservation: None,
        licences: None,
        requeue: None,
        begin_s: None,
        hold: false,
        wider: None,
    }
}

/// Submits all jobs at `now_s`, which must be taken.
fn submit_all(controller: &mut Controller<'_>, now_s: i64) {
    (0..controller.specs.len()).for_each(|spec| {
        controller.submit(spec, now_s).unwrap();
    });
}

/// Ends a job and reports its clean-up.
fn end(controller: &mut Controller<'_>, job: u32, exit_ok: bool, now_s: i64) {
    controller.complete(JobIx(job), exit_ok, now_s);
    controller.cleaned(JobIx(job), now_s);
}

/// A pass of the main scheduler over the whole queue; what it starts.
fn pass(controller: &mut Controller<'_>, now_s: i64) -> Vec<usize> {
    controller.main_pass(SimTime::from_s(now_s), true);
    started(controller)
}

/// A cycle of the backfill thread; what it starts.
fn cycle(controller: &mut Controller<'_>, now_s: i64) -> Vec<usize> {
    controller.backfill_cycle(SimTime::from_s(now_s));
    started(controller)
}

fn reason(controller: &Controller<'_>, job: u32) -> &'static str {
    controller.job(JobIx(job)).reason.name()
}

/// Limits are enforced, and the users stand below the root account.
fn with_users(mut config: SlurmConfig, users: &[&str]) -> SlurmConfig {
    config.accounting.present = true;
    config.accounting.enforce.limits = true;
    config.accounting.assocs.extend(users.iter().map(|user| user_of(AssocId(0), user)));
    config
}

fn started(controller: &mut Controller<'_>) -> Vec<usize> {
    let mut decisions = Vec::new();
    controller.take_decisions(&mut decisions);
    let spec = |d: &Decision| match d {
        Decision::Started(job) => Some(controller.job(*job).spec),
        _ => None,
    };
    decisions.iter().filter_map(spec).collect()
}

#[test]
fn a_reservation_for_some_gpus_hides_the_whole_node() {
    // extra_checks/backfill_whole_node: P1 fills 15 nodes for 10 min, P2 4 GPUs of the last for 2 min;
    // Q1 waits for 5 GPUs there; a 1-GPU job of 1 min passes it, one of 10 min does not, though it would fit
    let config = site(16);
    let hardware = hardware_of(&config);
    let specs = [job(15, 8, 10), job(1, 4, 2), job(1, 5, 2), job(1, 1, 1), job(1, 1, 10)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    controller.submit(0, 0).unwrap();
    controller.submit(1, 0).unwrap();
    controller.main_pass(SimTime::from_s(3), false);
    assert_eq!(started(&mut controller), [0, 1]);
    for spec in 2..5 {
        controller.submit(spec, 8).unwrap();
    }
    controller.main_pass(SimTime::from_s(9), false);
    assert_eq!(started(&mut controller), Vec::<usize>::new(), "the blocked job closes its partition");
    controller.backfill_cycle(SimTime::from_s(10));
    assert_eq!(started(&mut controller), [3]);
    assert_eq!(controller.job(JobIx(2)).start_s, 3 + 120, "Q1 is planned for the end of P2");
    assert_eq!(controller.job(JobIx(4)).start_s, 3 + 240, "the long one for the end of Q1");
}

#[test]
fn a_closed_partition_hides_its_nodes_from_others_too() {
    let mut config = site(2);
    let all = config.partitions[0].nodes.clone();
    config.partitions.push(PartitionConf::new("short", all));
    let hardware = hardware_of(&config);
    let mut specs = [job(1, 8, 10), job(2, 8, 10), job(1, 8, 1)];
    specs[2].partition = Some("short".into());
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    for spec in 0..3 {
        controller.submit(spec, 0).unwrap();
    }
    controller.main_pass(SimTime::from_s(3), false);
    assert_eq!(started(&mut controller), [0]);
    assert_eq!(controller.job(JobIx(1)).reason, Reason::Resources);
    assert_eq!(controller.job(JobIx(2)).state, State::Pending);
    controller.backfill_cycle(SimTime::from_s(4));
    assert_eq!(started(&mut controller), [2], "it ends before the blocked job can start");
}

#[test]
fn a_job_over_a_limit_blocks_nobody() {
    let mut config = site(2);
    config.accounting.present = true;
    config.accounting.enforce.limits = true;
    config.accounting.qos[0].limits.grp_tres = vec![(TresTable::GPU, 8)];
    config.accounting.assocs.push(user_of(AssocId(0), "u1"));
    let hardware = hardware_of(&config);
    let specs = [job(1, 8, 10), job(1, 1, 10)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    for spec in 0..2 {
        controller.submit(spec, 0).unwrap();
    }
    controller.main_pass(SimTime::from_s(3), false);
    assert_eq!(started(&mut controller), [0]);
    assert_eq!(controller.job(JobIx(1)).reason.name(), "QOSGrpGRES");
    controller.backfill_cycle(SimTime::from_s(4));
    assert_eq!(controller.job(JobIx(1)).start_s, 0, "no reservation for it");
    controller.complete(JobIx(0), true, 10);
    controller.cleaned(JobIx(0), 10);
    controller.main_pass(SimTime::from_s(10), false);
    assert_eq!(started(&mut controller), [0, 1][1..]);
}

fn user_of(parent: AssocId, name: &str) -> Assoc {
    let account = Accounting::default().assocs[0].account.clone();
    Assoc {
        account,
        user: Some(name.into()),
        parent: Some(parent),
        shares: Shares::Raw(1),
        qos: Vec::new(),
        default_qos: None,
        priority: 0,
        limits: Limits::default(),
    }
}

#[test]
fn fair_tree_ranks_in_equal_steps_and_only_when_recalculated() {
    let mut config = site(2);
    config.priority.multifactor = true;
    config.priority.weights.fair_share = 1_000;
    config.accounting.present = true;
    for name in ["u1", "u2", "u3"] {
        config.accounting.assocs.push(user_of(AssocId(0), name));
    }
    let hardware = hardware_of(&config);
    let mut specs = [job(1, 8, 60), job(1, 8, 60), job(2, 8, 60), job(2, 8, 60), job(2, 8, 60)];
    for (spec, user) in specs.iter_mut().zip(["u1", "u2", "u1", "u2", "u3"]) {
        spec.user = user.into();
    }
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    for spec in 0..5 {
        let job = controller.submit(spec, 0).unwrap();
        assert_eq!(controller.job(job).priority, 1_000, "nobody has used anything yet");
    }
    controller.main_pass(SimTime::from_s(3), false);
    assert_eq!(started(&mut controller), [0, 1]);
    controller.complete(JobIx(1), true, 100);
    assert_eq!(controller.job(JobIx(2)).priority, 1_000, "usage alone changes no priority");
    controller.recalculate_priorities(300);
    // four users with root's: unused ones share the first rank, then u2 (97 s), then u1 (297 s)
    let priorities = [2, 3, 4].map(|n| controller.job(JobIx(n)).priority);
    assert_eq!(priorities, [250, 500, 1_000]);
}

#[test]
fn usage_of_the_site_replaces_what_was_counted() {
    let mut config = site(2);
    config.priority.multifactor = true;
    config.priority.weights.fair_share = 1_000;
    config.accounting.present = true;
    for name in ["u1", "u2"] {
        config.accounting.assocs.push(user_of(AssocId(0), name));
    }
    let hardware = hardware_of(&config);
    let mut specs = [job(2, 8, 60), job(2, 8, 60), job(2, 8, 60)];
    specs[1].user = "u2".into();
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    for spec in 0..3 {
        controller.submit(spec, 0).unwrap();
    }
    controller.main_pass(SimTime::from_s(3), false);
    assert_eq!(started(&mut controller), [0]);
    let assoc = |controller: &Controller<'_>, user: &str| {
        controller.config.accounting.assocs.iter().position(|a| a.user.as_deref() == Some(user)).unwrap()
    };
    let (one, two) = (assoc(&controller, "u1"), assoc(&controller, "u2"));
    // u1 runs and u2 does not, but the site says that u2 used more until then: of the users with root's
    // (which has used nothing), u1 comes second and u2 third.
    let known = [(AssocId(one as u32), 50.0), (AssocId(two as u32), 500.0), (AssocId(0), 550.0)];
    controller.set_usage(&known, 100);
    let priorities = [2, 1].map(|n| controller.job(JobIx(n)).priority);
    assert!(priorities[0] > priorities[1], "{priorities:?}");
    let before = priorities;
    // From here on u1's usage counts again: after an hour it is the larger one.
    controller.recalculate_priorities(3_700);
    let priorities = [2, 1].map(|n| controller.job(JobIx(n)).priority);
    assert_eq!(priorities, [before[1], before[0]]);
}

#[test]
fn circles_of_dependencies_are_found() {
    let wait = |on: usize| Dependency { kind: DependencyKind::AfterOk, on: vec![on] };
    let mut specs = vec![job(1, 1, 1), job(1, 1, 1), job(1, 1, 1)];
    specs[1].after.push(wait(0));
    assert_eq!(dependency_cycle(&specs), None);
    specs[0].after.push(wait(2));
    specs[2].after.push(wait(1));
    assert_eq!(dependency_cycle(&specs), Some(vec![0, 1, 2]));
}

//! What a partition says of its jobs and nodes.

use super::super::controller::Refusal;
use super::*;

#[test]
fn an_exclusive_partition_gives_whole_nodes() {
    let mut config = site(2);
    config.partitions[0].exclusive = true;
    let hardware = hardware_of(&config);
    let mut specs = [job(1, 1, 10), job(1, 1, 10), job(1, 1, 10)];
    specs.iter_mut().for_each(|spec| config.adapt(&mut spec.ask, None));
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [0, 1], "a node each, though one would hold all");
    let first = controller.job(JobIx(0));
    assert_eq!((first.grants[0].cpus, first.grants[0].gpus.count_ones()), (64, 8));
    assert_eq!((first.tres.get(TresTable::CPU), first.tres.get(TresTable::GPU)), (64, 8), "and they count");
}

#[test]
fn nodes_of_an_exclusive_user_are_for_nobody_else() {
    let mut config = site(2);
    config.partitions[0].exclusive_user = true;
    let all = config.partitions[0].nodes.clone();
    config.partitions.push(PartitionConf::new("open", all));
    let hardware = hardware_of(&config);
    let mut specs = [job(1, 1, 10), job(1, 1, 10), job(1, 1, 10), job(1, 1, 10), job(1, 1, 10)];
    for (spec, user) in specs.iter_mut().zip(["u1", "u1", "u2", "u3", "u3"]) {
        spec.user = user.into();
    }
    specs[4].partition = Some("open".into());
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [0, 1, 2], "u1 shares a node with itself, u2 has the other");
    let on = |n: u32, c: &Controller<'_>| c.job(JobIx(n)).nodes.ones().collect::<Vec<_>>();
    assert_eq!([0, 1, 2].map(|n| on(n, &controller)), [[0], [0], [1]]);
    assert_eq!(reason(&controller, 3), "Resources");
    assert_eq!(
        controller.job(JobIx(4)).state,
        State::Pending,
        "nor may a job of another partition join them"
    );
    assert_eq!(cycle(&mut controller, 4), [0; 0], "no reservation either: the nodes are no choice at all");
    assert_eq!(controller.job(JobIx(3)).start_s, 0);
    end(&mut controller, 2, true, 10);
    assert_eq!(pass(&mut controller, 10), [3, 4]);
}

#[test]
fn groups_accounts_and_qos_that_a_partition_does_not_allow() {
    let mut config = with_users(site(1), &["u1"]);
    config.partitions[0].allow_groups = Some(vec!["lab".into()]);
    let specs = [job(1, 1, 10)];
    let members = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    for (known, answer) in [
        (Some(members(&["u1", "u2"])), Ok(JobIx(0))),
        (Some(members(&["u2"])), Err(Refusal::Group)),
        (None, Ok(JobIx(0))),
    ] {
        let mut config = config.clone();
        config.accounting.groups.extend(known.map(|members| ("lab".to_owned(), members)));
        let hardware = hardware_of(&config);
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        assert_eq!(controller.submit(0, 0), answer);
    }
    config.partitions[0].allow_groups = None;
    for (accounts, qos, why) in [
        (Some(members(&["other"])), None, "AccountNotAllowed"),
        (None, Some(members(&["high"])), "QOSNotAllowed"),
    ] {
        let mut config = config.clone();
        (config.partitions[0].allow_accounts, config.partitions[0].allow_qos) = (accounts, qos);
        let hardware = hardware_of(&config);
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        controller.submit(0, 0).unwrap();
        assert_eq!(pass(&mut controller, 3), [0; 0]);
        assert_eq!(reason(&controller, 0), why);
    }
}

#[test]
fn limits_of_a_partition_and_the_flags_that_lift_them() {
    let mut config = site(4);
    (config.partitions[0].max_time_min, config.partitions[0].max_nodes) = (Some(30), Some(2));
    config.partitions[0].min_nodes = 2;
    let specs = [job(2, 1, 31), job(3, 1, 30), job(1, 1, 30), job(2, 1, 30)];
    for (lifted, starts) in [(false, vec![3]), (true, vec![0, 2, 3])] {
        let flags = &mut config.accounting.qos[0].flags;
        (flags.partition_time_limit, flags.partition_min_nodes) = (lifted, lifted);
        let hardware = hardware_of(&config);
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        submit_all(&mut controller, 0);
        assert_eq!(pass(&mut controller, 3), starts);
        assert_eq!(reason(&controller, 1), "PartitionNodeLimit", "PartitionMaxNodes is a flag of its own");
        if !lifted {
            assert_eq!([0, 2].map(|n| reason(&controller, n)), ["PartitionTimeLimit", "PartitionNodeLimit"]);
        }
    }
}

#[test]
fn partitions_that_are_down_or_draining() {
    use super::super::config::PartitionState;
    let specs = [job(1, 1, 10)];
    for (submit, schedule) in [(true, false), (false, true)] {
        let mut config = site(1);
        config.partitions[0].state = PartitionState { submit, schedule };
        let hardware = hardware_of(&config);
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        if submit {
            controller.submit(0, 0).unwrap();
            pass(&mut controller, 3);
            assert_eq!(reason(&controller, 0), "PartitionDown");
        } else {
            assert_eq!(controller.submit(0, 0), Err(Refusal::PartitionNotAvail), "DRAIN takes no jobs");
        }
    }
}

#[test]
fn lln_of_a_partition_spreads_its_jobs() {
    let mut config = site(3);
    config.partitions[0].least_loaded = true;
    let all = config.partitions[0].nodes.clone();
    config.partitions.push(PartitionConf::new("pack", all));
    let hardware = hardware_of(&config);
    let mut specs = [job(1, 1, 10), job(1, 1, 10), job(1, 1, 10), job(1, 1, 10)];
    specs[3].partition = Some("pack".into());
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    pass(&mut controller, 3);
    let on = [0, 1, 2, 3].map(|n| controller.job(JobIx(n)).nodes.ones().next().unwrap());
    assert_eq!(on, [0, 1, 2, 0], "the most free node each time; the other partition takes the lowest index");
}

#[test]
fn a_higher_tier_comes_first_whatever_the_priority() {
    let mut config = site(1);
    let all = config.partitions[0].nodes.clone();
    config.partitions.push(PartitionConf { priority_tier: 2, ..PartitionConf::new("urgent", all) });
    let hardware = hardware_of(&config);
    let mut specs = [job(1, 8, 10), job(1, 8, 10)];
    specs[1].partition = Some("urgent".into());
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [1]);
}

/// Two nodes, each a partition of its own: `slow` of tier 1 and `fast` of tier 2.
fn two_partitions() -> SlurmConfig {
    let mut config = site(2);
    config.partitions.clear();
    for (at, (name, tier)) in [("slow", 1), ("fast", 2)].into_iter().enumerate() {
        let mut nodes = config.no_nodes();
        nodes.insert(at);
        config.partitions.push(PartitionConf { priority_tier: tier, ..PartitionConf::new(name, nodes) });
    }
    config.partitions[0].default = true;
    config
}

fn within(names: &str, gpus: u32) -> JobSpec {
    JobSpec { partition: Some(names.into()), ..job(1, gpus, 10) }
}

#[test]
fn a_job_of_two_partitions_starts_once_in_the_one_of_the_higher_tier() {
    let config = two_partitions();
    let hardware = hardware_of(&config);
    let specs = [within("slow,fast", 8), within("slow,fast", 8), within("slow,fast", 8)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [0, 1]);
    let node = |job: u32| controller.job(JobIx(job)).nodes.ones().collect::<Vec<_>>();
    let starts = |spec: usize| controller.records_of(spec).to_vec();
    // the first in `fast`, whose tier is higher; the second in what is left
    assert_eq!((node(starts(0)[0].0), node(starts(1)[0].0)), (vec![1], vec![0]));
    assert_eq!((controller.running().len(), starts(0).len()), (2, 1));
    // the third follows in whichever partition is free first
    let (first, third) = (starts(0)[0], starts(2)[0]);
    end(&mut controller, first.0, true, 60);
    assert_eq!(cycle(&mut controller, 61), [2]);
    assert_eq!(controller.job(third).partition, 1);
    assert!(controller.pending().is_empty());
}

#[test]
fn a_requeued_job_waits_for_all_of_its_partitions_again() {
    let config = two_partitions();
    let hardware = hardware_of(&config);
    let specs = [within("slow,fast", 8), within("fast", 8)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    controller.submit(0, 0).unwrap();
    assert_eq!(pass(&mut controller, 3), [0]);
    let mut node = config.no_nodes();
    node.insert(1);
    controller.change_nodes(&node, super::super::NodeChange::Down, 10);
    started(&mut controller);
    controller.cleaned(JobIx(0), 11);
    // eligible 121 s later, and the node of `fast` is still down
    assert_eq!(pass(&mut controller, 60), Vec::<usize>::new());
    assert_eq!(pass(&mut controller, 132), [0]);
    assert_eq!(controller.job(JobIx(0)).partition, 0);
}

#[test]
fn partitions_that_cannot_hold_a_job_are_passed_over() {
    let mut config = two_partitions();
    config.nodes[0].gres[0].count = 2;
    let hardware = hardware_of(&config);
    let specs = [within("slow,fast", 8), within("slow", 8), within("slow,gone", 1), within("gone", 1)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    let answers: Vec<bool> = (0..4).map(|spec| controller.submit(spec, 0).is_ok()).collect();
    assert_eq!(answers, [true, false, false, false]);
    assert_eq!(pass(&mut controller, 3), [0]);
    assert_eq!(controller.job(JobIx(0)).partition, 1);
}

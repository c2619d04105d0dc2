//! Limits of QOS and associations, and which of them counts.

use super::super::config::{Qos, QosId};
use super::super::controller::Refusal;
use super::*;

fn qos(config: &mut SlurmConfig, name: &str, set: impl FnOnce(&mut Qos)) -> QosId {
    let mut qos = Qos::new(name);
    set(&mut qos);
    config.accounting.qos.push(qos);
    config.accounting.find_qos(name).unwrap()
}

#[test]
fn the_qos_of_a_partition_counts_before_the_jobs_own() {
    // GrpTRES: 8 GPUs in the partition's QOS, 16 in the job's: a second 8-GPU job waits, with Slurm's reason
    let mut config = with_users(site(3), &["u1"]);
    let of_partition = qos(&mut config, "part", |q| q.limits.grp_tres = vec![(TresTable::GPU, 8)]);
    config.partitions[0].qos = Some(of_partition);
    config.accounting.qos[0].limits.grp_tres = vec![(TresTable::GPU, 16)];
    config.accounting.qos[0].limits.max_jobs = Some(2);
    for (over_part_qos, starts) in [(false, vec![0]), (true, vec![0, 1])] {
        let mut config = config.clone();
        config.accounting.qos[0].flags.over_part_qos = over_part_qos;
        let hardware = hardware_of(&config);
        let specs = [job(1, 8, 10), job(1, 8, 10), job(1, 8, 10)];
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        submit_all(&mut controller, 0);
        assert_eq!(pass(&mut controller, 3), starts, "OverPartQOS {over_part_qos}");
        // with OverPartQOS its own 16 GPUs count; MaxJobsPerUser of its own QOS counts in both, as the other has none
        let why = if over_part_qos { "QOSMaxJobsPerUserLimit" } else { "QOSGrpGRES" };
        assert_eq!(reason(&controller, 2), why);
    }
}

#[test]
fn a_limit_of_the_qos_hides_the_same_limit_of_the_association() {
    // the user may have one running job; a QOS that allows two replaces that
    let mut config = with_users(site(3), &["u1"]);
    config.accounting.assocs.last_mut().unwrap().limits.max_jobs = Some(1);
    for (of_qos, starts, why) in
        [(None, vec![0], "AssocMaxJobsLimit"), (Some(2), vec![0, 1], "QOSMaxJobsPerUserLimit")]
    {
        config.accounting.qos[0].limits.max_jobs = of_qos;
        let hardware = hardware_of(&config);
        let specs = [job(1, 1, 10), job(1, 1, 10), job(1, 1, 10)];
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        submit_all(&mut controller, 0);
        assert_eq!(pass(&mut controller, 3), starts);
        assert_eq!(reason(&controller, 2), why);
    }
}

#[test]
fn max_submit_counts_pending_and_running_jobs_and_every_task() {
    let mut config = with_users(site(1), &["u1"]);
    config.accounting.qos[0].limits.max_submit = Some(3);
    let hardware = hardware_of(&config);
    let mut specs = [job(1, 8, 10), job(1, 8, 10), job(1, 8, 10), job(1, 8, 10)];
    specs[1].array = Some(super::super::job::ArraySpec { tasks: vec![0, 1], limit: None });
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    controller.submit(0, 0).unwrap();
    controller.submit(1, 0).unwrap();
    assert_eq!(pass(&mut controller, 3), [0], "one runs, two tasks wait: three");
    let full = Err(Refusal::Limit("QOSMaxSubmitJobPerUserLimit"));
    assert_eq!(controller.submit(2, 4), full);
    end(&mut controller, 0, true, 10);
    assert!(controller.submit(2, 11).is_ok());
    assert_eq!(controller.submit(3, 11), full);
}

#[test]
fn deny_on_limit_refuses_what_would_wait_for_ever() {
    let mut config = with_users(site(2), &["u1"]);
    config.accounting.qos[0].limits.max_tres_per_user = vec![(TresTable::GPU, 8)];
    for deny in [false, true] {
        config.accounting.qos[0].flags.deny_on_limit = deny;
        let hardware = hardware_of(&config);
        let specs = [job(2, 8, 10), job(1, 8, 10), job(1, 8, 10)];
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        let answer = controller.submit(0, 0);
        if deny {
            assert_eq!(answer, Err(Refusal::Limit("QOSMaxGRESPerUser")));
        } else {
            pass(&mut controller, 3);
            assert_eq!(reason(&controller, 0), "QOSMaxGRESPerUser", "it pends for ever");
        }
        // what is within the limit alone, and not beside others, waits in both cases
        controller.submit(1, 4).unwrap();
        let late = controller.submit(2, 4).unwrap();
        assert_eq!(pass(&mut controller, 7), [1]);
        assert_eq!(reason(&controller, late.0), "QOSMaxGRESPerUser");
    }
}

#[test]
fn a_usage_factor_of_two_counts_twice() {
    let mut config = with_users(site(2), &["u1", "u2"]);
    config.priority.multifactor = true;
    config.priority.weights.fair_share = 1_000;
    config.priority.decay_half_life_s = 0;
    qos(&mut config, "dear", |q| q.usage_factor = 2.0);
    let hardware = hardware_of(&config);
    let mut specs = [job(1, 8, 60), job(1, 8, 60), job(2, 8, 60), job(2, 8, 60)];
    (specs[0].qos, specs[1].user) = (Some("dear".into()), "u2".into());
    specs[3].user = "u2".into();
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    pass(&mut controller, 0);
    // one CPU each: u1 for 100 s at factor 2 = 200, u2 for 150 s = 150
    end(&mut controller, 0, true, 100);
    end(&mut controller, 1, true, 150);
    controller.recalculate_priorities(300);
    // root's user has used nothing: 3/3; then u2: 2/3; then u1: 1/3 (truncated)
    assert_eq!([2, 3].map(|n| controller.job(JobIx(n)).priority), [333, 666]);
}

#[test]
fn the_longest_wall_time_of_a_qos() {
    let mut config = with_users(site(1), &["u1"]);
    config.accounting.qos[0].limits.max_wall_min = Some(30);
    let hardware = hardware_of(&config);
    let specs = [job(1, 1, 31), job(1, 1, 30)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 3), [1]);
    assert_eq!(reason(&controller, 0), "QOSMaxWallDurationPerJobLimit");
}

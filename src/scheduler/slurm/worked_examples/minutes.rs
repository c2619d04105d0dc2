//! Limits on TRES minutes and on what a job takes of a node, each by arithmetic.

use super::super::config::Limits;
use super::*;

const GPU: usize = TresTable::GPU;

/// One user, whose QOS has these limits; usage is settled every minute and does not decay.
fn limited(limits: Limits) -> SlurmConfig {
    let mut config = with_users(site(3), &["u1", "u2"]);
    config.priority.multifactor = true;
    config.priority.decay_half_life_s = 0;
    config.priority.calc_period_s = 60;
    config.accounting.qos[0].limits = limits;
    config
}

/// Seconds until the main scheduler starts job `spec` for the first time, tried every minute after the priorities.
fn starts_at(controller: &mut Controller<'_>, spec: usize, from_s: i64, until_s: i64) -> Option<i64> {
    (from_s..=until_s).step_by(60).find(|now_s| {
        controller.recalculate_priorities(*now_s);
        pass(controller, *now_s).contains(&spec)
    })
}

#[test]
fn run_minutes_shrink_as_running_jobs_go_on() {
    // 8 GPUs for 60 min may use 480 GPU-minutes; of 600 a second such job fits when 480 - 8 t + 480 <= 600: t = 45 min
    let config = limited(Limits { grp_tres_run_mins: vec![(GPU, 600)], ..Limits::default() });
    let hardware = hardware_of(&config);
    let specs = [job(1, 8, 60), job(1, 8, 60)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 0), [0]);
    assert_eq!(reason(&controller, 1), "QOSGrpGRESRunMinutes");
    assert_eq!(starts_at(&mut controller, 1, 60, 3_600), Some(45 * 60));
}

#[test]
fn a_job_that_ends_frees_what_it_might_still_have_used() {
    let config = limited(Limits { grp_tres_run_mins: vec![(GPU, 480)], ..Limits::default() });
    let hardware = hardware_of(&config);
    let specs = [job(1, 8, 60), job(1, 8, 60)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 0), [0]);
    end(&mut controller, 0, true, 90);
    assert_eq!(pass(&mut controller, 91), [1]);
}

#[test]
fn used_minutes_stop_what_runs_and_what_waits() {
    // 8 GPUs use 8 GPU-minutes a minute: 80 are used after 10 min, and the timer ends the job; nobody follows
    let config = limited(Limits { grp_tres_mins: vec![(GPU, 80)], ..Limits::default() });
    let hardware = hardware_of(&config);
    let specs = [job(1, 8, 60), job(1, 1, 1), job(1, 0, 1)];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    controller.submit(0, 0).unwrap();
    assert_eq!(pass(&mut controller, 0), [0]);
    for minute in 1..=9 {
        controller.recalculate_priorities(60 * minute);
        controller.enforce_limits(60 * minute);
    }
    assert_eq!(controller.job(JobIx(0)).state, State::Running);
    controller.recalculate_priorities(600);
    controller.enforce_limits(600);
    assert_eq!(controller.job(JobIx(0)).state, State::Timeout);
    controller.cleaned(JobIx(0), 600);
    controller.submit(1, 601).unwrap();
    controller.submit(2, 601).unwrap();
    // a job without GPUs uses none
    assert_eq!(pass(&mut controller, 610), [2]);
    assert_eq!(reason(&controller, 1), "QOSGrpGRESMinutes");
}

#[test]
fn used_minutes_decay_by_half_in_a_half_life() {
    // d(t) = (1 - 0.693 / 3600)^t: 80 GPU-minutes count 80 d(600) at their end, x d(600) in the period's own decay and
    // x d(3600) an hour later: 31.7, so that 32 let a job start and 31 do not
    for (most, starts) in [(32, vec![1]), (31, vec![])] {
        let mut config = limited(Limits { grp_tres_mins: vec![(GPU, most)], ..Limits::default() });
        config.priority.decay_half_life_s = 3_600;
        let hardware = hardware_of(&config);
        let specs = [job(1, 8, 60), job(1, 1, 1)];
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        controller.submit(0, 0).unwrap();
        assert_eq!(pass(&mut controller, 0), [0]);
        end(&mut controller, 0, true, 600);
        controller.submit(1, 600).unwrap();
        assert_eq!(pass(&mut controller, 600), Vec::<usize>::new());
        controller.recalculate_priorities(600);
        controller.recalculate_priorities(4_200);
        assert_eq!(pass(&mut controller, 4_200), starts, "{most}");
    }
}

#[test]
fn with_safe_a_job_starts_only_if_all_of_it_fits() {
    // 100 GPU-minutes: a job of 80 starts, one of 40 beside it might use more than is there and waits
    for (safe, starts) in [(false, vec![0, 1]), (true, vec![0])] {
        let mut config = limited(Limits { grp_tres_mins: vec![(GPU, 100)], ..Limits::default() });
        config.accounting.enforce.safe = safe;
        let hardware = hardware_of(&config);
        let specs = [job(1, 8, 10), job(1, 4, 10)];
        let mut controller = Controller::new(&config, &hardware, &specs, 0);
        submit_all(&mut controller, 0);
        assert_eq!(pass(&mut controller, 0), starts, "safe {safe}");
    }
}

#[test]
fn minutes_of_one_job_and_its_part_of_each_node() {
    // 8 GPUs x 30 min = 240 GPU-minutes; 16 GPUs on two nodes are 8 on each
    let minutes = Limits { max_tres_mins_per_job: vec![(GPU, 240)], ..Limits::default() };
    let node = Limits { max_tres_per_node: vec![(GPU, 4)], ..Limits::default() };
    for (limits, why) in [(minutes, "MaxGRESMinutesPerJob"), (node, "MaxGRESPerNode")] {
        for of_qos in [true, false] {
            let mut config = limited(Limits::default());
            if of_qos {
                config.accounting.qos[0].limits = limits.clone();
            } else {
                config.accounting.assocs[0].limits = limits.clone();
            }
            let hardware = hardware_of(&config);
            let specs = [job(1, 8, 31), job(1, 4, 30), job(2, 4, 30)];
            let mut controller = Controller::new(&config, &hardware, &specs, 0);
            submit_all(&mut controller, 0);
            assert_eq!(pass(&mut controller, 0), [1, 2], "{why}");
            assert_eq!(reason(&controller, 0), format!("{}{why}", if of_qos { "QOS" } else { "Assoc" }));
        }
    }
}

#[test]
fn limits_of_an_account_count_all_below_it() {
    // u1 and u2 have 480 GPU-minutes together, though neither has a limit
    let mut config = limited(Limits::default());
    config.accounting.assocs[0].limits.grp_tres_run_mins = vec![(GPU, 480)];
    let hardware = hardware_of(&config);
    let specs = [job(1, 8, 60), JobSpec { user: "u2".into(), ..job(1, 8, 60) }];
    let mut controller = Controller::new(&config, &hardware, &specs, 0);
    submit_all(&mut controller, 0);
    assert_eq!(pass(&mut controller, 0), [0]);
    assert_eq!(reason(&controller, 1), "AssocGrpGRESRunMinutes");
}

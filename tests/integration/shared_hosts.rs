//! Jobs on parts of GPUs beside each other on a host: contention, strangers, boots.

use windtunnel::ids::Id;
use windtunnel::ids::JobId;
use windtunnel::simulation::Outcome;
use windtunnel::workload::Workload;

use super::builders::{self, trace};
use super::tenancy::{EVERY_SHARE, cv, design, mean, run, run_times};

const INSTANCES: &str = "mig-layouts = [{ instances = ['3g.40gb', '3g.40gb'] }]\n";

fn on_instances(count: usize) -> Workload {
    let rows = (0..count).map(|_| builders::job().run_s(1_000).gpus(1).mig("3g.40gb"));
    trace().jobs(rows).build()
}

fn play(count: usize, kind: &str, more: &str) -> Outcome {
    let text = format!(
        "[job-shares.default]\npcie = 1.0\n[design.d.pool.p]\nnode = 'n'\ncount = 1\n\
         [design.d.pool.p.tenancy.{kind}]\n{INSTANCES}{more}\n"
    );
    run(&on_instances(count), &design(&text))
}

#[test]
fn instances_of_one_host_compete_on_bare_metal_and_in_vms() {
    let unit = format!("[design.d.pool.p.tenancy.vm.overhead]\n{}", EVERY_SHARE.replace('F', "1.0"));
    let vm = format!("access = 'vgpu-mig'\ncontention = 'high'\n{unit}");
    for (kind, more) in [("bare-metal", "mig = 'static'\ncontention = 'high'"), ("vm", vm.as_str())] {
        let alone = run_times(&play(1, kind, more))[0];
        assert_eq!(alone, 1_000.0, "{kind}");
        let outcome = play(16, kind, more);
        let beside = run_times(&outcome);
        assert!(beside.iter().all(|time| *time > 1_001.0), "{kind}: {beside:?}");
        assert!(outcome.hours.total().gpu.neighbours > 0);
    }
    let apart = run_times(&play(16, "bare-metal", "mig = 'static'"));
    assert_eq!(mean(&apart), 1_000.0);
}

#[test]
fn instances_meet_the_noise_of_their_host_and_wait_for_boots() {
    let text = |more: &str| {
        format!(
            "[design.d.pool.p]\nnode = 'n'\ncount = 200\n[design.d.pool.p.tenancy.vm]\naccess = 'vgpu-mig'\n{INSTANCES}\
             contention = 'off'\n{more}\n[design.d.pool.p.tenancy.vm.overhead]\n{}",
            EVERY_SHARE.replace('F', "1.0")
        )
    };
    let noise = "noise = { cv = 0.1, busy-share = 0.2, dwell-s = 100000 }";
    let outcome = run(&on_instances(3_200), &design(&text(noise)));
    let times = run_times(&outcome);
    // Short against the dwell: two hundred hosts, sixteen jobs on each, all of a host alike.
    assert!((cv(&times) / 0.1 - 1.0).abs() < 0.35, "{}", cv(&times));
    assert!(times.iter().all(|time| *time >= 1_000.0));
    assert!(outcome.hours.total().gpu.neighbours > 0);
    let boot = "boot = { low-s = 60, typical-s = 60, high-s = 60 }";
    let booted = run(&on_instances(16), &design(&text(boot)));
    assert_eq!(booted.records[JobId::new(0)].start.as_s(), 0.0, "a start is when devices are taken");
    assert_eq!(booted.work_start(JobId::new(0)).as_s(), 60.0);
    assert!(booted.hours.total().gpu.restart > 0);
}

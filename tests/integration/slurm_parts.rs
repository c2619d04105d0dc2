//! Parts of GPUs under Slurm's policy: slices, thousandths, boards that slurm.conf cuts, jobs that are not requeued.

use windtunnel::experiment::{LoadedWorkload, load_workload, run_design};
use windtunnel::scenario::{Scenario, load};
use windtunnel::simulation::{JobState, Outcome, RunOptions};
use windtunnel::workload::Workload;

use super::terminal::Desk;

/// Jobs that ask for one part each, with whole minutes as limits.
fn jobs(count: u64, columns: &str, part: &str) -> String {
    let mut state = 99_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text = format!("job_id,submit_s,run_s,limit_s,gpus,cpus,class,{columns}\n");
    for at in 0..count {
        let run = 60 + next(6_000);
        let class = ["training", "debug", "inference-batch"][next(3) as usize];
        text += &format!("{at},{},{run},{},1,1,{class},{part}\n", at * 97, (run / 60 + 20) * 60);
    }
    text
}

fn scenario(policy: &str, tenancy: &str) -> String {
    format!(
        "[workload]\ntrace = 't.csv'\n[policy.{policy}]\n[design.a.pool.main]\nnode = 'dgx-h100'\ncount = 1\n\
         [design.a.pool.main.tenancy.bare-metal]\n{tenancy}\n"
    )
}

fn run(trace: &str, scenario: &str, files: &[(&str, &str)]) -> (Scenario, Workload, Outcome) {
    let desk = Desk::new();
    desk.put("t.csv", trace);
    desk.put("s.toml", scenario);
    files.iter().for_each(|(name, text)| desk.put(name, text));
    let loaded = load(&desk.path("s.toml"), &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let LoadedWorkload { workload, .. } = load_workload(&loaded.workload, false).unwrap();
    let options = RunOptions { keep_allocations: true, ..RunOptions::default() };
    let outcome = run_design(&workload, &loaded.designs[0], &loaded.policy, &options).unwrap();
    assert!(outcome.hours.pools.iter().all(|pool| pool.check()), "hours sum");
    (loaded, workload, outcome)
}

const SEVEN: &str = "mig = 'static'\nmig-layouts = [{ gpus = 8, instances = ['1g.10gb', '1g.10gb', '1g.10gb', \
                     '1g.10gb', '1g.10gb', '1g.10gb', '1g.10gb'] }]";

/// Jobs of one kind queue up in order of submission, whoever decides: what is free is had by the first.
#[test]
fn parts_of_one_kind_start_as_under_easy() {
    let slices = jobs(300, "mig_profile", "1g.10gb");
    let shares = jobs(300, "gpu_milli", "250");
    for (trace, tenancy) in [
        (&slices, SEVEN),
        (&slices, "mig = 'dynamic'"),
        (&shares, "sharing = 'mps'\nco-location = 'fixed-share'"),
    ] {
        let (.., classic) = run(trace, &scenario("easy", tenancy), &[]);
        let easy = scenario("slurm", tenancy).replace("[policy.slurm]", "[policy.slurm]\nbackfill = 'easy'");
        let (.., slurm) = run(trace, &easy, &[]);
        assert_eq!(classic.records, slurm.records, "{tenancy}");
        assert_eq!(classic.hours.total().gpu.productive, slurm.hours.total().gpu.productive, "{tenancy}");
    }
}

/// `Gres=gpu:1g.10gb:14,gpu:h100:6` is eight boards: hours, speeds and refusals are theirs.
#[test]
fn instances_that_slurm_conf_counts_are_parts_of_boards() {
    let conf = "ClusterName=t\nSchedulerType=sched/backfill\nSelectType=select/cons_tres\n\
                SelectTypeParameters=CR_Core_Memory\nGresTypes=gpu\n\
                NodeName=n1 CPUs=112 RealMemory=2000000 Gres=gpu:1g.10gb:14,gpu:h100:6\n\
                PartitionName=main Nodes=n1 Default=YES MaxTime=UNLIMITED State=UP\n";
    let trace = "job_id,submit_s,run_s,limit_s,gpus,cpus,class,gpu_type,mig_profile,gpu_mem_mib\n\
                 1,0,10000,100000,1,4,training,1g.10gb,,\n2,0,10000,100000,1,4,training,,1g.10gb,\n\
                 3,0,10000,100000,1,4,training,,,70000\n4,0,10000,100000,1,4,training,h100,,\n";
    let site =
        "[workload]\ntrace = 't.csv'\n[policy.slurm]\nconf = 'slurm.conf'\nbackfill = 'easy'\n[design.a]\n";
    let (scenario, workload, outcome) = run(trace, site, &[("slurm.conf", conf)]);
    let cluster = &scenario.designs[0].cluster;
    assert_eq!(cluster.pools[0].node.capacity.gpus, 8);
    let gpu = outcome.hours.total().gpu;
    // Two whole boards and two sevenths, all at work for 10,000 s.
    assert_eq!(gpu.productive, (2 * 21_000 + 2 * 3_000) * 10_000_000_000);
    assert_eq!(gpu.installed, 8 * 21_000 * 10_000_000_000);
    assert!(workload.jobs.ids().all(|job| outcome.records[job].state == JobState::Completed));
}

/// A job that may not be requeued is lost with its host.
#[test]
fn no_requeue_is_one_attempt() {
    let trace = "job_id,submit_s,run_s,limit_s,gpus,cpus,requeue\n1,0,2000000,4000000,8,8,no\n\
                 2,0,20000,400000,8,8,yes\n";
    let failing = "failures = { mtbf-hours = 20 }";
    let (_, workload, outcome) = run(trace, &scenario("slurm", failing), &[]);
    let first = workload.jobs.ids().next().unwrap();
    assert_eq!(outcome.records[first].state, JobState::NodeFail);
    assert_eq!(outcome.starts(first), 1);
}

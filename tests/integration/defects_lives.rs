//! Lives of jobs that went wrong once: who waits for a job that was killed or lost, and runs without an end.

use windtunnel::experiment::{load_workload, run_design};
use windtunnel::ids::JobId;
use windtunnel::kernel::Budget;
use windtunnel::scenario::load_text;
use windtunnel::simulation::{JobState, Outcome, RunOptions};

use super::terminal::Desk;

/// Runs a scenario on one DGX-H100 over a trace.
fn play(policy: &str, pool: &str, trace: &str) -> Outcome {
    let desk = Desk::new();
    desk.put("t.csv", trace);
    let text = format!(
        "[workload]\ntrace = 't.csv'\nseed = 1\n[policy.{policy}]\n[design.d.pool.main]\nnode = 'dgx-h100'\ncount = 1\n\
         [design.d.pool.main.tenancy.bare-metal]\n{pool}"
    );
    let scenario =
        load_text("d.toml", text, &desk.path(""), &[]).unwrap_or_else(|p| panic!("{:?}", p.kept()));
    let loaded = load_workload(&scenario.workload, false).unwrap();
    let budget = Budget { events: 1_000_000, ..Budget::default() };
    let options = RunOptions { budget, ..RunOptions::default() };
    run_design(&loaded.workload, &scenario.designs[0], &scenario.policy, &options).unwrap()
}

const KILLED: &str = "job_id,submit_s,run_s,limit_s,user,name,gpus,cpus,after\n\
                      1,0,1000,100,u,x,1,1,\n2,10,50,100,u,x,1,1,afterany:1\n3,20,50,100,u,y,1,1,afternotok:1\n";

fn starts(outcome: &Outcome) -> Vec<f64> {
    outcome.records.iter().map(|record| record.start.as_s()).collect()
}

#[test]
fn jobs_that_wait_for_one_that_is_killed_at_its_limit_start_then() {
    for policy in ["easy", "fcfs", "conservative"] {
        let outcome = play(policy, "at-limit = 'kill'\n", KILLED);
        assert_eq!(starts(&outcome), [0.0, 100.0, 100.0], "{policy}");
        let states: Vec<JobState> = outcome.records.iter().map(|record| record.state).collect();
        assert_eq!(states, [JobState::Timeout, JobState::Completed, JobState::Completed]);
    }
    // On parts of a GPU, and where Slurm notices it in a pass of its own.
    let parts = KILLED.replace("cpus,after", "cpus,gpu_milli,after").replace(",1,1,", ",1,1,500,");
    let shared = play("easy", "sharing = 'mps'\nat-limit = 'kill'\n", &parts);
    let killed = shared.records[JobId(0)];
    assert_eq!(killed.state, JobState::Timeout);
    assert_eq!(starts(&shared), [0.0, killed.end.as_s(), killed.end.as_s()]);
    let slurm = play("slurm", "at-limit = 'kill'\n", KILLED);
    assert_eq!(slurm.records[JobId(0)].state, JobState::Timeout);
    assert!(slurm.records.iter().skip(1).all(|record| record.state == JobState::Completed));
    // The same for a singleton.
    let single = KILLED.replace("afterany:1", "singleton").replace("3,20,50,100,u,y,1,1,afternotok:1\n", "");
    assert_eq!(starts(&play("easy", "at-limit = 'kill'\n", &single)), [0.0, 100.0]);
}

#[test]
fn a_restart_is_not_one_more_running_job() {
    // Job 1 is lost and starts again, some times; the singleton behind it runs when it is over, or given up.
    let trace = "job_id,submit_s,run_s,limit_s,user,name,gpus,cpus,after\n1,0,200000,400000,u,x,8,1,\n\
                 2,10,50,100,u,x,1,1,singleton\n";
    for (policy, mtbf) in [("easy", 40), ("fcfs", 10), ("easy", 1)] {
        let outcome = play(policy, &format!("failures = {{ mtbf-hours = {mtbf} }}\n"), trace);
        let (long, single) = (&outcome.records[JobId(0)], &outcome.records[JobId(1)]);
        assert!(outcome.starts(JobId(0)) > 1 || mtbf == 40, "{mtbf}");
        assert!(single.start >= long.end, "{mtbf}: {single:?} {long:?}");
        assert_eq!(single.state, JobState::Completed);
    }
}

#[test]
fn a_killed_job_on_hosts_that_fail_does_not_make_the_run_endless() {
    let outcome = play("easy", "at-limit = 'kill'\nfailures = { mtbf-hours = 400 }\n", KILLED);
    assert_eq!(starts(&outcome), [0.0, 100.0, 100.0]);
}

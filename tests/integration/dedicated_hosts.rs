//! Hosts that take jobs of one tenant at a time: the rule holds under every policy, and what it costs is told.

use proptest::prelude::*;
use windtunnel::cluster::referee::{Held, Violation};
use windtunnel::cluster::{Allocation, ClusterSpec, Grant, Referee};
use windtunnel::diagnostic::Code;
use windtunnel::experiment::check_tenants;
use windtunnel::ids::{Id, JobId, NodeId, PoolId, TenantId, TextId};
use windtunnel::scenario::{PolicyChoice, load_text};
use windtunnel::scheduler::{BackfillSpec, Pending};
use windtunnel::simulation::{Outcome, RunOptions, simulate};
use windtunnel::time::SimTime;
use windtunnel::workload::Workload;

use super::builders::{classic, cluster, gpu_node, named, play, policy, policy_of, trace};
use super::differential::{Limits, config, dedicated, orders, placements};
use super::tenancy::{design, run, try_scenario};
use super::terminal::shipped;

const POLICIES: [&str; 7] = ["fcfs", "greedy", "sjf", "ljf", "priority", "easy", "conservative"];

fn held(workload: &Workload, outcome: &Outcome) -> Vec<Held> {
    let tenants = workload.tenants();
    let row = |(job, start, end, allocation): (JobId, SimTime, SimTime, &Allocation)| {
        let tenant = TenantId::named(tenants[job]);
        Held { row: job.index(), start, end, tenant, grants: allocation.to_vec() }
    };
    outcome.holdings().map(row).collect()
}

proptest! {
    #![proptest_config(config(600))]

    /// The referee, who knows the tenants from the trace alone, finds no two on a host; hours are exact.
    #[test]
    fn no_two_tenants_are_ever_on_a_host(
        case in dedicated(Limits::Any, 40), order in orders(), place in placements(),
        backfill in prop::sample::select(vec![
            BackfillSpec::None, BackfillSpec::Greedy, BackfillSpec::Easy, BackfillSpec::Conservative { depth: None },
        ]),
    ) {
        let workload = trace().jobs(case.rows.iter().cloned()).build();
        let run = play(&workload, &case.cluster, &policy(order, place, backfill));
        prop_assert_eq!(Referee::check(&case.cluster, &held(&workload, &run.outcome)), Ok(()));
        for pool in run.outcome.hours.pools.iter() {
            prop_assert!(pool.check(), "{:?}", pool);
        }
    }
}

/// Two hosts of 8 GPUs.
fn two_hosts() -> ClusterSpec {
    cluster().pool("p", 2, gpu_node(8)).dedicated(1).build()
}

#[test]
fn a_host_takes_one_tenant_at_a_time_under_every_policy() {
    let row = |name: &str, tenant: &str| named(name).tenant(tenant).gpus(2).run_s(100);
    let rows = [row("a1", "a"), row("b1", "b"), row("c1", "c").at_s(1), row("a2", "a").at_s(2).run_s(98)];
    let workload = trace().jobs(rows).build();
    for name in POLICIES {
        let run = play(&workload, &two_hosts(), &classic(name));
        assert_eq!((run.nodes("a1"), run.nodes("b1")), (vec![0], vec![1]), "{name}");
        // Six GPUs are free on each host, and none for c: it waits for a whole host.
        assert_eq!(run.start_s("c1"), Some(100), "{name}");
        // Whoever may pass c goes to the host of its own tenant; under the others it waits its turn.
        // It ends as host 0 comes free for c, so it may pass; the shortest limit goes first anyway.
        let passes = ["greedy", "easy", "conservative", "sjf"].contains(&name);
        assert_eq!(run.start_s("a2"), Some(if passes { 2 } else { 100 }), "{name}");
    }
}

#[test]
fn what_is_free_for_others_only_is_idle_by_fragmentation() {
    let row = |name: &str, tenant: &str| named(name).tenant(tenant).gpus(2).run_s(100);
    let workload = trace().jobs([row("a", "a"), row("b", "b"), row("c", "c")]).build();
    let options = RunOptions { keep_allocations: true, watch: Some(JobId(2)), ..RunOptions::default() };
    let outcome = simulate(&workload, &two_hosts(), policy_of(&classic("easy")), &options).unwrap();
    assert_eq!(outcome.watched[0].reason, Some(Pending::Fragmentation));
    let gpu = &outcome.hours.pools[PoolId::new(0)].gpu;
    // 12 of 16 GPUs for 100 s.
    let unit = windtunnel::simulation::meter::UNITS_PER_DEVICE * 1_000_000;
    assert_eq!(gpu.idle_waiting.fragmentation, 1_200 * unit);
    assert_eq!(gpu.sum(), gpu.installed);
}

#[test]
fn jobs_without_a_tenant_are_together_one() {
    let plain = |name: &str| named(name).gpus(2).run_s(100);
    let rows = [plain("x"), plain("y"), named("a").tenant("a").gpus(2).run_s(100), plain("z").at_s(1)];
    let workload = trace().jobs(rows).build();
    let run = play(&workload, &two_hosts(), &classic("easy"));
    assert_eq!((run.nodes("x"), run.nodes("y"), run.nodes("z")), (vec![0], vec![0], vec![0]));
    assert_eq!(run.nodes("a"), vec![1], "a named tenant does not join them");
}

/// The head of tenant c waits for the whole host 1, which b leaves at 100 s. A job of a on that host would keep
/// c out until 300 s; it may only run there if it ends by then.
#[test]
fn a_reservation_keeps_other_tenants_off_the_host() {
    let row = |name: &str, tenant: &str, gpus, run_s| named(name).tenant(tenant).gpus(gpus).run_s(run_s);
    let hosts = || cluster().pool("p", 4, gpu_node(2)).dedicated(2).build();
    let rows = |late: i64| {
        let rows = [
            row("a1", "a", 2, 500),
            row("a2", "a", 2, 500),
            row("b1", "b", 2, 100),
            row("c1", "c", 4, 50).at_s(1),
            row("b2", "b", 2, late).at_s(2),
        ];
        trace().jobs(rows).build()
    };
    for policy in ["easy", "conservative"] {
        let (short, long) = (rows(98), rows(99));
        let run = play(&short, &hosts(), &classic(policy));
        assert_eq!(run.starts_s(["b2", "c1"]), [2, 100], "{policy}: it ends as c's host comes free");
        let run = play(&long, &hosts(), &classic(policy));
        assert_eq!(run.starts_s(["b2", "c1"]), [150, 100], "{policy}: it would keep c out");
    }
}

fn vms(kept: &str) -> String {
    format!(
        "[design.d.pool.p]\nnode = 'n'\ncount = 2\n{kept}[design.d.pool.p.tenancy.vm]\ncontention = 'off'\n\
         shape = {{ cpus = 16, mem-mb = 100000, gpus = 2 }}\n"
    )
}

#[test]
fn vms_of_a_host_are_one_tenants() {
    let row = |name: &str, tenant: &str| named(name).tenant(tenant).gpus(2).run_s(100);
    let rows = [row("a1", "a"), row("b1", "b"), row("a2", "a"), row("b2", "b"), row("c", "c")];
    let workload = trace().jobs(rows).build();
    let nodes = |design: &str| -> Vec<u32> {
        let outcome = run(&workload, &self::design(design));
        let mut rows: Vec<(JobId, u32)> =
            outcome.allocations.iter().map(|(job, grants)| (*job, grants[0].node.0)).collect();
        rows.sort_unstable();
        rows.into_iter().map(|(_, node)| node).collect()
    };
    assert_eq!(nodes(&vms("")), [0, 1, 2, 3, 4]);
    // Four VMs on each host; c waits for one.
    assert_eq!(nodes(&vms("dedicated = 'host'\n")), [0, 4, 1, 5, 0]);
    assert_eq!(nodes(&vms("dedicated = 'none'\n")), [0, 1, 2, 3, 4]);
}

#[test]
fn containers_and_failing_hosts_keep_the_rule() {
    let rows = (0..300).map(|at| {
        let row = of_some_tenant(at);
        row.at_s(at * 400).gpus(1 + (at % 5) as u32).run_s(2_000 + (at * 7919) % 30_000)
    });
    let workload = trace().jobs(rows).build();
    let life = "failures = { mtbf-hours = 60 }\nmaintenance = { every-days = 3, hours = 2 }\n\
                snapshots = { every-s = 600, takes-s = 5, restore-s = 60 }\n";
    for kind in ["containers", "bare-metal", "vm"] {
        let text = format!(
            "[design.d.pool.p]\nnode = 'n'\ncount = 4\ndedicated = 'host'\n[design.d.pool.p.tenancy.{kind}]\n{life}"
        );
        let design = design(&text);
        let outcome = run(&workload, &design);
        assert!(outcome.tenancy.as_ref().unwrap().failures > 0, "{kind}");
        assert_eq!(Referee::check(&design.cluster, &held(&workload, &outcome)), Ok(()), "{kind}");
    }
}

fn of_some_tenant(at: i64) -> super::builders::JobRow {
    let row = super::builders::job();
    match at % 4 {
        0 => row,
        1 => row.tenant("a"),
        2 => row.tenant("b"),
        _ => row.tenant("c"),
    }
}

#[test]
fn accounts_stand_for_tenants_where_the_trace_has_none() {
    let read = |text: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        windtunnel::workload::read_trace(&path, &windtunnel::workload::ReadOptions::default()).unwrap()
    };
    let names = |workload: &Workload| -> Vec<String> {
        let name = |name: &Option<TextId>| name.map_or("-", |name| workload.texts.get(name)).to_owned();
        workload.tenants().iter().map(name).collect()
    };
    let accounts = read("job_id,submit_s,run_s,account\n1,0,1,x\n2,0,1,\n");
    assert_eq!(names(&accounts), ["x", "-"]);
    let tenants = read("job_id,submit_s,run_s,account,tenant\n1,0,1,x,\n2,0,1,x,t\n");
    assert_eq!(names(&tenants), ["-", "t"], "accounts count only where no job has a tenant");
    let neither = read("job_id,submit_s,run_s\n1,0,1\n");
    let designs = [design("[design.d.pool.p]\nnode = 'n'\ncount = 1\ndedicated = 'host'\n")];
    let told = check_tenants(&neither, &designs).expect("nothing says whose the jobs are");
    assert_eq!(told.code, Code("W0415"));
    assert!(check_tenants(&accounts, &designs).is_none());
}

#[test]
fn what_cannot_keep_the_rule_is_refused() {
    let refused = |pools: &str| try_scenario(pools).unwrap_err();
    let elastic = format!("{}elastic = {{}}\n", vms("dedicated = 'host'\n"));
    assert!(refused(&elastic).contains("W0219"), "{}", refused(&elastic));
    let policy = "tiresias";
    let text = format!(
        "[workload]\ntrace = '{}'\n[policy.{policy}]\n[design.d.pool.p]\nnode = 'dgx-h100'\ncount = 2\n\
         dedicated = 'host'\n",
        shipped("traces/research-team.csv")
    );
    let told = load_text("test.toml", text, std::path::Path::new(""), &[]).unwrap_err();
    assert!(told.kept().iter().any(|problem| problem.code == Code("W0219")), "{policy}");
}

#[test]
fn the_referee_sees_two_tenants_on_a_host() {
    let spec = cluster().pool("p", 4, gpu_node(2)).dedicated(2).build();
    let grant = |node: u32| Grant { node: NodeId(node), cpus: 1, mem_mb: 0, gpus: 1 };
    let row = |row: usize, tenant: u32, node: u32, from: i64, to: i64| Held {
        row,
        start: SimTime::from_s(from),
        end: SimTime::from_s(to),
        tenant: TenantId(tenant),
        grants: vec![grant(node)],
    };
    assert_eq!(Referee::check(&spec, &[row(0, 1, 0, 0, 9), row(1, 1, 1, 3, 9), row(2, 2, 2, 0, 9)]), Ok(()));
    assert_eq!(Referee::check(&spec, &[row(0, 1, 0, 0, 9), row(1, 2, 1, 9, 12)]), Ok(()));
    let found = Referee::check(&spec, &[row(0, 1, 0, 0, 9), row(1, 2, 1, 8, 12)]).unwrap_err();
    assert!(matches!(found, Violation::TwoTenants { node: 1, row: 1, .. }), "{found:?}");
}

#[test]
fn the_shipped_scenario_runs_and_isolation_costs_waits() {
    let path = shipped("scenarios/dedicated-hosts.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let scenario = load_text("test.toml", text, std::path::Path::new(&path).parent().unwrap(), &[]).unwrap();
    let loaded = windtunnel::experiment::load_workload(&scenario.workload, false).unwrap();
    assert!(matches!(scenario.policy, PolicyChoice::Classic(_)));
    let keep = || RunOptions { keep_allocations: true, ..RunOptions::default() };
    let found = windtunnel::experiment::run_designs(
        &loaded.workload,
        &scenario.designs,
        &scenario.policy,
        &keep,
        &|| false,
    )
    .unwrap();
    for result in &found {
        let held = held(&loaded.workload, &result.outcome);
        assert_eq!(Referee::check(&result.design.cluster, &held), Ok(()), "{}", result.design.name);
    }
    let wait = |at: usize| found[at].summary.wait_s.mean.unwrap();
    assert!(wait(1) > wait(0), "{} {}", wait(1), wait(0));
    assert!(wait(2) < wait(1));
}

//! Jobs on several nodes feel the network between them: links that others use too, adapters that are slower than where
//! their run times were recorded.

use super::cells::{Cell, Played};
use super::terminal::Desk;

/// Nodes of a leaf, and what goes up from it, so that two jobs of eight GPUs on the same two nodes fill an uplink.
const CROSSING: &str =
    "topology = 'fat-tree'\nnodes-per-leaf = 4\noversubscription = 8.0\nphase-overlap = 1.0\n";
/// A fifth of the time of a job on two nodes is communication, and none of it is hidden.
const SHARES: &str = "[job-shares.default]\ninter-node-at-8 = 0.6\noverlap = 0.0\n";

const POLICIES: [&str; 6] = ["fcfs", "easy", "conservative", "slurm", "srtf", "tiresias"];

fn cell(policy: &'static str) -> Cell {
    Cell { policy, sharing: "whole", tenancy: "bare-metal", life: "none", feature: "plain" }
}

/// One pool of eight nodes on the network `n`.
fn scenario(policy: &'static str, fabric: &str, more: &str) -> String {
    let policy = match policy {
        "srtf" | "tiresias" => format!("[policy.{policy}]\ncharge = 'restart'\n"),
        "slurm" => "[policy.slurm]\nbf_interval = 30\n".to_owned(),
        policy => format!("[policy.{policy}]\n"),
    };
    format!(
        "[workload]\ntrace = 't.csv'\n{policy}{SHARES}[design.d.fabric.n]\n{fabric}[design.d.pool.main]\n\
         node = 'dgx-h100'\ncount = 8\nfabric = 'n'\n{more}"
    )
}

/// Three nodes are taken first, also where the shortest is first, so that the others cross from one leaf to the other.
const TRACE: &str =
    "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,500,9000,3,24\n2,0,1000,9000,2,8\n3,0,1000,9000,2,8\n";

fn play(policy: &'static str, text: &str, trace: &str) -> Played {
    cell(policy).play_text(text, trace).unwrap_or_else(|problems| panic!("{policy}: {problems:?}"))
}

fn ran_s(played: &Played, name: &str) -> f64 {
    let mut rows = played.outcome.records.iter_ids();
    let (_, record) = rows.find(|(id, _)| played.workload.job_name(*id) == name).unwrap();
    record.end.since(record.start).as_s()
}

#[test]
fn two_jobs_on_one_uplink_take_turns_under_every_policy() {
    for policy in POLICIES {
        let played = play(policy, &scenario(policy, CROSSING, ""), TRACE);
        // Slurm adds the launch and the clean-up of a script.
        let most = if policy == "slurm" { 3.0 } else { 1e-5 };
        for job in ["2", "3"] {
            let ran_s = ran_s(&played, job);
            assert!((0.0..most).contains(&(ran_s - 1200.0 + 1e-6)), "{policy}: {job} ran for {ran_s} s");
        }
        assert!((ran_s(&played, "1") - 500.0).abs() < most, "{policy}");
        let hours = played.outcome.hours.total().gpu;
        let lost_s = hours.communication as f64 / 21_000.0 / 1e6;
        // Sixteen GPUs for 200 s each.
        assert!((lost_s - 3200.0).abs() < 0.1, "{policy}: {lost_s} GPU-seconds");
        assert_eq!(hours.neighbours, 0, "{policy}");
        assert_eq!(hours.sum(), hours.installed, "{policy}");
    }
}

#[test]
fn who_is_alone_again_is_as_fast_as_before() {
    // The second of the two ends halfway: 600 s beside it, in which 500 s of work are done, then alone.
    let trace = TRACE.replace("3,0,1000", "3,0,500");
    let played = play("fcfs", &scenario("fcfs", CROSSING, ""), &trace);
    assert!((ran_s(&played, "3") - 600.0).abs() < 1e-5);
    assert!((ran_s(&played, "2") - 1100.0).abs() < 1e-5, "{}", ran_s(&played, "2"));
}

#[test]
fn a_network_as_wide_as_its_adapters_costs_nothing() {
    let mut trace = "job_id,submit_s,run_s,limit_s,nodes,gpus,class\n".to_owned();
    for at in 0..60u64 {
        let (nodes, each) = (1 + at * 7 % 4, 1 + at * 5 % 8);
        trace += &format!(
            "{at},{},{},9000,{nodes},{},{}\n",
            at * 97,
            300 + at * 389 % 4000,
            nodes * each,
            ["training", "debug"][at as usize % 2]
        );
    }
    for policy in POLICIES {
        for topology in ["single", "fat-tree", "rail"] {
            let on = play(policy, &scenario(policy, &format!("topology = '{topology}'\n"), ""), &trace);
            let off = scenario(policy, "topology = 'single'\n", "").replace("fabric = 'n'\n", "");
            let off = play(policy, &off.replace("overlap = 0.0\n", ""), &trace);
            for (id, record) in on.outcome.records.iter_ids() {
                assert_eq!(*record, off.outcome.records[id], "{policy} {topology}: job {}", id.0);
            }
            assert_eq!(on.outcome.hours, off.outcome.hours, "{policy} {topology}");
        }
    }
}

#[test]
fn slower_adapters_stretch_the_communication_alone() {
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,1000,9000,2,16\n2,0,1000,9000,1,8\n";
    for (nic, gb_s) in [("InfiniBand-HDR200", 24.0), ("RoCEv2-400G", 45.0), ("TCP-100G", 7.5)] {
        let fabric = format!("topology = 'single'\nnic = '{nic}'\n");
        let played = play("fcfs", &scenario("fcfs", &fabric, ""), trace);
        let expected_s = 1000.0 * (0.8 + 0.2 * 47.0 / gb_s);
        let ran_s = [ran_s(&played, "1"), ran_s(&played, "2")];
        assert!((ran_s[0] - expected_s).abs() < 1e-4, "{nic}: {ran_s:?} and {expected_s}");
        assert!((ran_s[1] - 1000.0).abs() < 1e-6, "on one node nothing is sent");
    }
    // Faster than where it was recorded.
    let fabric = "topology = 'single'\nnic = 'InfiniBand-XDR800'\n";
    let played = play("fcfs", &scenario("fcfs", fabric, ""), trace);
    let expected_s = 1000.0 * (0.8 + 0.2 * 47.0 / 92.0);
    assert!((ran_s(&played, "1") - expected_s).abs() < 1e-4);
    assert_eq!(played.outcome.hours.total().gpu.communication, 0);
}

#[test]
fn a_virtual_adapter_stands_for_what_the_access_method_costs() {
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,1000,9000,2,16\n";
    let vm = "[design.d.pool.main.tenancy.vm]\naccess = 'passthrough'\nnic = 'paravirtual'\ncontention = 'off'\n\
              [design.d.pool.main.tenancy.vm.overhead]\ncompute = 1.0\ngpu-memory = 1.0\nhost = 1.0\nintra-node = 1.0\n\
              storage = 1.0\n";
    let played = play("fcfs", &scenario("fcfs", "topology = 'single'\n", vm), trace);
    let expected_s = 1000.0 * (0.8 + 0.2 * 47.0 / 5.0);
    assert!((ran_s(&played, "1") - expected_s).abs() < 1e-3, "{}", ran_s(&played, "1"));
    let hours = played.outcome.hours.total().gpu;
    assert!(hours.virtualization == 0 && hours.communication > 0);
}

#[test]
fn what_makes_no_sense_is_refused_where_it_is_written() {
    let desk = Desk::new();
    desk.put("t.csv", TRACE);
    let refused = |text: &str, code: &str, word: &str| {
        desk.put("s.toml", text);
        let answer = desk.run(&["run", "s.toml", "-q"]);
        assert_eq!(answer.code, 4, "{text}: {}", answer.stderr);
        assert!(answer.stderr.contains(code) && answer.stderr.contains(word), "{}", answer.stderr);
    };
    let text = scenario("fcfs", "topology = 'single'\n", "");
    refused(&text.replace("fabric = 'n'", "fabric = 'm'"), "W0210", "no fabric `m`");
    let with = |more: &str| text.replace("topology = 'single'\n", &format!("topology = 'single'\n{more}\n"));
    refused(&with("nodes-per-leaf = 4"), "W0243", "no effect with this topology");
    refused(&with("nic = 'NVLink4-NVSwitch'"), "W0210", "no adapters are called");
    refused(&with("spread = 'hash'"), "W0243", "`spread` has no effect");
    refused(&with("phase-overlap = 1.5"), "W0209", "no share");
    refused(&text.replace("'single'", "'edges'"), "W0212", "write `file`");
    let cables = text.replace("topology = 'single'\n", "topology = 'edges'\nfile = 'cables.csv'\n");
    desk.put("cables.csv", "from,to,gb_s\nmain0,s,40\nmain1,s,fast\n");
    refused(&cables, "W0604", "cables.csv:3");
    desk.put("cables.csv", "from,to,gb_s\nmain0,s,40\nmain1,s,40\n");
    refused(&cables, "W060", "main2");
    let published = scenario("srtf", "topology = 'single'\n", "").replace("'restart'", "'every-event'");
    refused(&published, "W0219", "`fabric`");
}

/// What is written back can be read again, and is the same scenario.
#[test]
fn a_resolved_scenario_is_read_again_as_it_is() {
    for topology in ["single", "fat-tree", "rail", "dragonfly", "nvl72"] {
        let text = scenario("easy", &format!("topology = '{topology}'\n"), "");
        let first = play("easy", &text, TRACE);
        let again = play("easy", &first.scenario.resolved_toml, TRACE);
        assert_eq!(again.scenario.resolved_toml, first.scenario.resolved_toml, "{topology}");
        assert_eq!(again.outcome.hours, first.outcome.hours, "{topology}");
    }
}

#[test]
fn jobs_between_two_networks_are_told_of() {
    let desk = Desk::new();
    desk.put("t.csv", TRACE);
    let other = "[design.d.pool.other]\nnode = 'dgx-h100'\ncount = 2\n";
    desk.put("s.toml", scenario("slurm", "topology = 'single'\n", other));
    let answer = desk.run(&["run", "s.toml"]).ok();
    assert!(answer.stderr.contains("W0268") && answer.stderr.contains("`other`"), "{}", answer.stderr);
    desk.put("s.toml", scenario("easy", "topology = 'single'\n", other));
    assert!(!desk.run(&["run", "s.toml"]).ok().stderr.contains("W0268"), "a job has one pool there");
}

//! Links of a network that fail at instants that are written: who has another way goes on, who has none waits or goes down.

use super::cells::{Cell, Played};
use super::terminal::Desk;

/// Two leaves of four nodes; upwards there is what four GPUs send.
const CROSSING: &str =
    "topology = 'fat-tree'\nnodes-per-leaf = 4\noversubscription = 8.0\nphase-overlap = 1.0\n";
const POLICIES: [&str; 6] = ["fcfs", "easy", "conservative", "slurm", "srtf", "tiresias"];
/// Three nodes are taken first, so that the other job crosses from one leaf to the other.
const TRACE: &str = "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,500,9000,3,24\n2,0,1000,9000,2,8\n";

fn scenario(policy: &str, fabric: &str, event: &str) -> String {
    let policy = match policy {
        "srtf" | "tiresias" => format!("[policy.{policy}]\ncharge = 'restart'\n"),
        "slurm" => "[policy.slurm]\nbf_interval = 30\n".to_owned(),
        policy => format!("[policy.{policy}]\n"),
    };
    format!(
        "[workload]\ntrace = 't.csv'\n{policy}[job-shares.default]\ninter-node-at-8 = 0.6\noverlap = 0.0\n\
         [design.d.fabric.n]\n{fabric}[design.d.pool.main]\nnode = 'dgx-h100'\ncount = 8\nfabric = 'n'\n\
         [[design.d.event]]\n{event}"
    )
}

fn play(policy: &'static str, text: &str) -> Played {
    let cell = Cell { policy, sharing: "whole", tenancy: "bare-metal", life: "none", feature: "plain" };
    cell.play_text(text, TRACE).unwrap_or_else(|problems| panic!("{policy}: {problems:?}"))
}

fn ran_s(played: &Played, name: &str) -> f64 {
    let mut rows = played.outcome.records.iter_ids();
    let (_, record) = rows.find(|(id, _)| played.workload.job_name(*id) == name).unwrap();
    record.end.since(record.start).as_s()
}

#[test]
fn a_job_without_a_way_left_stands_still_until_one_is_back() {
    let event = "link = ['leaf0', 'spine']\nfrom-s = 100.0\nuntil-s = 400.0\nkind = 'wait'\n";
    for policy in POLICIES {
        let played = play(policy, &scenario(policy, CROSSING, event));
        let most = if policy == "slurm" { 3.0 } else { 1e-3 };
        assert!(
            (0.0..most).contains(&(ran_s(&played, "2") - 1300.0 + 1e-6)),
            "{policy}: {}",
            ran_s(&played, "2")
        );
        assert!((ran_s(&played, "1") - 500.0).abs() < most, "{policy}: it stays on its leaf");
        let hours = played.outcome.hours.total().gpu;
        let lost_s = hours.communication as f64 / 21_000.0 / 1e6;
        assert!((lost_s - 8.0 * 300.0).abs() < 1.0, "{policy}: {lost_s} GPU-seconds");
        assert_eq!(hours.sum(), hours.installed, "{policy}");
    }
}

#[test]
fn cables_that_are_left_carry_all() {
    // Of four cables two fail: a fifth of the time takes twice as long.
    let event = |cables: &str, until: &str| {
        format!("link = ['leaf0', 'spine']\n{cables}from-s = 0.0\nuntil-s = {until}\nkind = 'wait'\n")
    };
    let played = play("fcfs", &scenario("fcfs", CROSSING, &event("cables = 2\n", "5000.0")));
    assert!((ran_s(&played, "2") - 1200.0).abs() < 1e-3, "{}", ran_s(&played, "2"));
    // Rings that picked a cable that fails pick another one.
    let hashed = format!("{CROSSING}spread = 'hash'\n");
    let all = play("fcfs", &scenario("fcfs", &hashed, &event("", "600.0")));
    let one_left = play("fcfs", &scenario("fcfs", &hashed, &event("cables = 3\n", "5000.0")));
    assert!(ran_s(&all, "2") >= 1600.0, "{}", ran_s(&all, "2"));
    // All four rings on one cable: four times as long.
    assert!((ran_s(&one_left, "2") - 1600.0).abs() < 1e-3, "{}", ran_s(&one_left, "2"));
}

#[test]
fn nodes_that_a_link_cuts_off_go_down_with_their_jobs() {
    let event = "link = ['leaf0', 'main3']\nfrom-s = 100.0\nuntil-s = 400.0\nkind = 'down'\n";
    for policy in ["fcfs", "slurm"] {
        let played = play(policy, &scenario(policy, CROSSING, event));
        // Lost after 100 s, and soon on two nodes of the other leaf; Slurm lets it wait two minutes.
        let (_, record) = played.outcome.records.iter_ids().nth(1).unwrap();
        let end_s = record.end.since(played.workload.first_submit()).as_s();
        assert!((1100.0..1300.0).contains(&end_s), "{policy}: {end_s}");
        let down_s = played.outcome.hours.total().gpu.down as f64 / 21_000.0 / 1e6;
        assert!((down_s - 8.0 * 300.0).abs() < 8.0, "{policy}: {down_s}");
    }
    let event = "switch = 'leaf0'\nfrom-s = 100.0\nuntil-s = 400.0\nkind = 'down'\n";
    let played = play("fcfs", &scenario("fcfs", CROSSING, event));
    assert_eq!(played.outcome.hours.total().gpu.down, 21_000 * 1_000_000 * 32 * 300, "all nodes below go");
}

#[test]
fn where_cables_lead_another_way_jobs_take_it() {
    let mut cables = "from,to,gb_s\n".to_owned();
    for node in 0..8 {
        cables += &format!("main{node},s{},376\n", node / 4);
    }
    cables += "s0,s1,376\ns0,s2,188\ns2,s1,188\n";
    let desk = Desk::new();
    desk.put("t.csv", TRACE);
    desk.put("c.csv", cables);
    let end = |link: &str| {
        let event = format!("link = {link}\nfrom-s = 0.0\nuntil-s = 5000.0\nkind = 'wait'\n");
        desk.put("s.toml", scenario("fcfs", "topology = 'edges'\nfile = 'c.csv'\n", &event));
        let answer = desk.run(&["run", "s.toml", "--json"]).ok();
        let found: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
        found["designs"]["d"]["makespan_s"].as_f64().unwrap()
    };
    // The third switch is half as wide, and that is enough for one job of four GPUs a node.
    assert!((end("['s0', 's1']") - 1000.0).abs() < 1e-3, "{}", end("['s0', 's1']"));
    assert!((end("['s0', 's2']") - 1000.0).abs() < 1e-3);
    assert!((end("['main3', 's0']") - 6000.0).abs() < 1.0, "{}", end("['main3', 's0']"));
}

#[test]
fn what_makes_no_sense_is_refused_where_it_is_written() {
    let desk = Desk::new();
    desk.put("t.csv", TRACE);
    let refused = |event: &str, code: &str, word: &str| {
        desk.put("s.toml", scenario("fcfs", CROSSING, &format!("{event}from-s = 100.0\nuntil-s = 400.0\n")));
        let answer = desk.run(&["run", "s.toml", "-q"]);
        assert_eq!(answer.code, 4, "{event}: {}", answer.stderr);
        assert!(answer.stderr.contains(code) && answer.stderr.contains(word), "{}", answer.stderr);
    };
    refused("link = ['leaf0', 'spin']\nkind = 'wait'\n", "W0252", "spine");
    refused("link = ['main0', 'spine']\nkind = 'wait'\n", "W0252", "no link joins");
    refused("link = ['leaf0', 'spine']\ncables = 9\nkind = 'wait'\n", "W0252", "has 4");
    refused("link = ['leaf0', 'spine']\nkind = 'drain'\n", "W0252", "cannot be drained");
    refused("switch = 'leaf9'\nkind = 'down'\n", "W0252", "no switch `leaf9`");
    refused("nodes = 'main0'\nkind = 'wait'\n", "W0252", "jobs cannot wait");
    refused("nodes = 'main0'\nlink = ['leaf0', 'spine']\nkind = 'down'\n", "W0252", "one of `nodes`");
    refused("nodes = 'main0'\ncables = 1\nkind = 'down'\n", "W0252", "`cables` has no effect");
    refused("link = ['leaf0', 'spine']\nfabric = 'm'\nkind = 'down'\n", "W0210", "no fabric `m`");
    let off =
        scenario("fcfs", CROSSING, "link = ['leaf0', 'spine']\nkind = 'wait'\nfrom-s = 1.0\nuntil-s = 2.0\n");
    let off = off.replace("fabric = 'n'\n", "").replace("[design.d.fabric.n]\n", "").replace(CROSSING, "");
    desk.put("s.toml", off);
    let answer = desk.run(&["run", "s.toml", "-q"]);
    assert!(answer.code == 4 && answer.stderr.contains("no fabric, so no link"), "{}", answer.stderr);
}

#[test]
fn a_resolved_scenario_is_read_again_as_it_is() {
    for kind in ["wait", "down"] {
        let event = format!("link = ['leaf0', 'main3']\nfrom-s = 100.0\nuntil-s = 400.0\nkind = '{kind}'\n");
        let first = play("fcfs", &scenario("fcfs", CROSSING, &event));
        let again = play("fcfs", &first.scenario.resolved_toml);
        assert_eq!(again.scenario.resolved_toml, first.scenario.resolved_toml);
        assert_eq!(again.outcome.hours, first.outcome.hours);
    }
}

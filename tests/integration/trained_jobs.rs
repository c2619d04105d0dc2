//! Classes that say how their model is split: what they send follows from the law that `validate fabric` is measured with.

use super::cells::{Cell, Played};
use super::terminal::Desk;

/// Nodes of a leaf, and a quarter of their adapters' rate upwards.
const CROSSING: &str =
    "topology = 'fat-tree'\nnodes-per-leaf = 4\noversubscription = 8.0\nphase-overlap = 1.0\n";
const THREE_D: &str = "parameters-b = 70.0\nstep-s = 10.0\ntensor = 8\n";
const SHARDED: &str =
    "parameters-b = 13.0\nstep-s = 4.0\nsplit = 'fully-sharded'\nlayers = 40\nmicro-steps = 2\n";

/// Bytes per second of an adapter, of NVLink and of PCIe, as the catalogue says them.
const NDR: f64 = 47e9;
const NVLINK: f64 = 370e9;

fn scenario(fabric: &str, pool: &str, training: &str) -> String {
    format!(
        "[workload]\ntrace = 't.csv'\n[policy.fcfs]\n[job-shares.default]\noverlap = 0.25\n\
         [job-shares.default.training]\n{training}[design.d.fabric.n]\n{fabric}[design.d.pool.main]\n\
         node = 'dgx-h100'\ncount = 8\nfabric = 'n'\n{pool}"
    )
}

fn play(text: &str, trace: &str) -> Played {
    let cell =
        Cell { policy: "fcfs", sharing: "whole", tenancy: "bare-metal", life: "none", feature: "plain" };
    cell.play_text(text, trace).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn ran_s(played: &Played, name: &str) -> f64 {
    let mut rows = played.outcome.records.iter_ids();
    let (_, record) = rows.find(|(id, _)| played.workload.job_name(*id) == name).unwrap();
    record.end.since(record.start).as_s()
}

/// Communication of a step on two nodes with such ports, worked out by hand: bytes, and rounds.
fn sent_s(training: &str, port: f64) -> (f64, f64) {
    if training == THREE_D {
        // Groups of 2, one GPU of each on a node.
        (6.0 * 70e9 / 8.0 * 0.5 / port, 2.0 * 10e-6)
    } else {
        let rate = NVLINK.min(8.0 * port);
        (2.0 * 6.0 * 13e9 * 15.0 / 16.0 / rate, 2.0 * 3.0 * 40.0 * 10e-6)
    }
}

#[test]
fn packed_and_alone_a_job_takes_its_recorded_time() {
    let mut trace = "job_id,submit_s,run_s,limit_s,nodes,gpus\n".to_owned();
    for at in 0..60u64 {
        let nodes = 1 + at * 7 % 8;
        trace += &format!("{at},{},{},9000,{nodes},{}\n", at * 97, 300 + at * 389 % 4000, 8 * nodes);
    }
    let off = scenario("topology = 'single'\n", "", THREE_D).replace("fabric = 'n'\n", "");
    let off = play(&off, &trace);
    let more = "step-gpus = 16\ntensor = 4\npipeline = 2\ncontext = 2\nprecision = 'fp8'\n";
    let fourth = THREE_D.replace("tensor = 8\n", more);
    // More communication than the step has time for.
    let short = THREE_D.replace("step-s = 10.0", "step-s = 0.1");
    for training in [THREE_D, SHARDED, &fourth, &short] {
        for topology in ["single", "fat-tree", "rail"] {
            let on = play(&scenario(&format!("topology = '{topology}'\n"), "", training), &trace);
            for (id, record) in on.outcome.records.iter_ids() {
                assert_eq!(*record, off.outcome.records[id], "{topology} {training}: job {}", id.0);
            }
            assert_eq!(on.outcome.hours, off.outcome.hours, "{topology} {training}");
        }
    }
}

#[test]
fn slower_adapters_stretch_what_the_law_says_is_sent() {
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,1000,9000,2,16\n2,0,1000,9000,1,8\n";
    for training in [THREE_D, SHARDED] {
        let step_s = if training == THREE_D { 10.0 } else { 4.0 };
        for (nic, gb_s) in [("InfiniBand-HDR200", 24.0), ("TCP-100G", 7.5)] {
            let fabric = format!("topology = 'single'\nnic = '{nic}'\n");
            let played = play(&scenario(&fabric, "", training), trace);
            let sum = |port| {
                let (bytes_s, rounds_s) = sent_s(training, port);
                bytes_s + rounds_s
            };
            let compute_s = step_s - 0.75 * sum(NDR);
            let expected_s = 1000.0 * (compute_s + 0.75 * sum(gb_s * 1e9)) / step_s;
            assert!(
                (ran_s(&played, "1") - expected_s).abs() < 1e-3,
                "{nic}: {} {expected_s}",
                ran_s(&played, "1")
            );
            assert!((ran_s(&played, "2") - 1000.0).abs() < 1e-6, "on one node nothing is sent");
        }
    }
}

#[test]
fn two_of_them_on_one_uplink_take_turns() {
    // Three nodes are taken, so that both cross from one leaf to the other; the uplink has what four GPUs send.
    let trace =
        "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,500,9000,3,24\n2,0,1000,9000,2,8\n3,0,1000,9000,2,8\n";
    let training = THREE_D.replace("tensor = 8", "tensor = 4");
    let played = play(&scenario(CROSSING, "", &training), trace);
    let (bytes_s, rounds_s) = (6.0 * 70e9 / 4.0 * 0.5 / NDR, 2.0 * 10e-6);
    let alone_s = bytes_s + rounds_s;
    // All at once: each has half of the uplink, and hides what it hides alone.
    let expected_s = 1000.0 * (10.0 + bytes_s) / 10.0;
    for job in ["2", "3"] {
        let ran_s = ran_s(&played, job);
        assert!((ran_s - expected_s).abs() < 1e-3, "{ran_s} {expected_s} {alone_s}");
    }
    assert!(played.outcome.hours.total().gpu.communication > 0);
}

#[test]
fn parts_of_a_chain_of_layers_have_rings_of_their_own() {
    // Four nodes over two leaves: with two parts of the chain, each part is on one leaf and nothing crosses.
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,500,9000,2,16\n2,0,1000,9000,4,32\n";
    let narrow = CROSSING.replace("8.0", "64.0");
    let split = |pipeline: u32| {
        let training = THREE_D.replace("tensor = 8", &format!("tensor = 8\npipeline = {pipeline}"));
        ran_s(&play(&scenario(&narrow, "", &training), trace), "2")
    };
    assert!((split(2) - 1000.0).abs() < 1e-6, "{}", split(2));
    assert!(split(1) > 1100.0, "{}", split(1));
}

#[test]
fn each_to_each_crosses_with_more_than_a_ring() {
    // Two nodes on one leaf, two on the other: a ring crosses once for each byte of a node, pairs with two thirds of all.
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,500,9000,2,16\n2,0,1000,9000,4,32\n";
    let with = |traffic: &str, over: f64| {
        let shares = format!(
            "[job-shares.default]\ninter-node-at-8 = 0.3\noverlap = 0.0\ntraffic = '{traffic}'\n[design.d.fabric.n]\n"
        );
        let text = scenario(&CROSSING.replace("8.0", &format!("{over:.1}")), "", "");
        let from = text.find("[job-shares.default]").unwrap();
        let to = text.find("[design.d.fabric.n]\n").unwrap() + "[design.d.fabric.n]\n".len();
        ran_s(&play(&format!("{}{shares}{}", &text[..from], &text[to..]), trace), "2")
    };
    // A fifth of the time is communication; upwards there is as much as 4 / over nodes have.
    for over in [8.0, 16.0] {
        let up = 4.0 / over;
        let ring_s = 1000.0 * (0.8 + 0.2 * (1.0f64 / up).max(1.0));
        let pairs_s = 1000.0 * (0.8 + 0.2 * (2.0 * 2.0 / 3.0 / up).max(1.0));
        assert!((with("ring", over) - ring_s).abs() < 1e-3, "{} {ring_s}", with("ring", over));
        assert!((with("all-to-all", over) - pairs_s).abs() < 1e-3, "{} {pairs_s}", with("all-to-all", over));
    }
}

#[test]
fn lost_nvlink_stretches_what_is_sent_inside_a_host() {
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,1000,9000,1,8\n2,0,1000,9000,1,1\n";
    let text = scenario("topology = 'single'\n", "gpu-link = 'PCIe5-x16'\n", "")
        .replace("[job-shares.default.training]\n", "");
    let text = text.replace("overlap = 0.25\n", "overlap = 0.25\nintra-node-at-8 = 0.1\n");
    let played = play(&text, trace);
    let expected_s = 1000.0 * (0.9 + 0.1 * 476.0 / 53.0);
    assert!((ran_s(&played, "1") - expected_s).abs() < 1e-3, "{} {expected_s}", ran_s(&played, "1"));
    assert!((ran_s(&played, "2") - 1000.0).abs() < 1e-6, "one GPU sends to none");
    let hours = played.outcome.hours.total().gpu;
    assert!(hours.communication > 0 && hours.virtualization == 0 && hours.sum() == hours.installed);
}

#[test]
fn what_makes_no_sense_is_told() {
    let desk = Desk::new();
    desk.put("t.csv", "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,1000,9000,2,16\n");
    let told = |text: &str, exit: i32, code: &str, word: &str| {
        desk.put("s.toml", text);
        let answer = desk.run(&["run", "s.toml"]);
        assert_eq!(answer.code, exit, "{text}: {}", answer.stderr);
        assert!(answer.stderr.contains(code) && answer.stderr.contains(word), "{text}: {}", answer.stderr);
    };
    let with = |training: &str| scenario("topology = 'single'\n", "", training);
    told(&with(&THREE_D.replace("tensor = 8", "tensor = 16")), 0, "W0280", "16 parts");
    told(
        &with(&THREE_D.replace("tensor = 8", "tensor = 8\ncontext = 2")),
        0,
        "W0280",
        "sequences are in 16 parts",
    );
    told(&with(&format!("{THREE_D}layers = 3\n")), 4, "W0243", "`layers` has no effect");
    told(
        &with("parameters-b = 7.0\nstep-s = 3.0\nsplit = 'fully-sharded'\n"),
        4,
        "W0212",
        "number of layers",
    );
    told(&with(&THREE_D.replace("10.0", "0.0")), 4, "W0209", "step-s");
    told(&with(THREE_D).replace("overlap = 0.25", "traffic = 'ring'"), 4, "W0243", "beside `training`");
    let off = with(THREE_D).replace("fabric = 'n'\n", "");
    told(&off, 0, "W0268", "`training` has no effect");
    let pcie = scenario("topology = 'single'\n", "gpu-link = 'PCIe5-x16'\n", THREE_D);
    told(&pcie, 0, "W0280", "lower bound");
    told(&pcie.replace("PCIe5-x16", "PCIe5-x61"), 4, "W0210", "PCIe5-x16");
    told(&pcie.replace("fabric = 'n'\n", ""), 4, "W0243", "`gpu-link` has no effect");
}

#[test]
fn a_resolved_scenario_is_read_again_as_it_is() {
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,1000,9000,2,16\n";
    for training in [THREE_D, SHARDED] {
        let text =
            scenario("topology = 'single'\nnic = 'TCP-100G'\n", "gpu-link = 'NVLink3-NVSwitch'\n", training);
        let first = play(&text, trace);
        let again = play(&first.scenario.resolved_toml, trace);
        assert_eq!(again.scenario.resolved_toml, first.scenario.resolved_toml);
        assert_eq!(ran_s(&again, "1"), ran_s(&first, "1"));
        assert!(ran_s(&first, "1") > 1000.0);
    }
}

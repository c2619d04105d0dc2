//! Snapshots that jobs write to a store: alone they take as long as the store allows, beside others longer.

use super::cells::Cell;
use super::shared;
use super::terminal::Desk;

const POLICIES: [&str; 6] = ["fcfs", "easy", "conservative", "slurm", "srtf", "tiresias"];

fn cell(policy: &'static str, life: &'static str) -> Cell {
    Cell { policy, sharing: "whole", tenancy: "bare-metal", life, feature: "plain" }
}

/// A scenario whose hosts fail, with these snapshots.
fn scenario(policy: &'static str, snapshots: &str, store: &str) -> String {
    let text = cell(policy, "failures").text("");
    format!("{text}snapshots = {{ every-s = 300, restore-s = 10, {snapshots} }}\n{store}")
}

/// Jobs that fill nodes, each with ten GB for each node in a snapshot.
fn trace() -> String {
    let mut text = "job_id,submit_s,run_s,limit_s,nodes,gpus,checkpoint_gb\n".to_owned();
    for at in 0..40u64 {
        let nodes = 1 + at % 2;
        text += &format!(
            "{at},{},{},20000,{nodes},{},{}\n",
            at * 1313,
            400 + at * 631 % 7000,
            8 * nodes,
            10 * nodes
        );
    }
    text
}

#[test]
fn a_store_without_end_takes_as_long_as_is_written_under_every_policy() {
    // Ten GB of a node at 2 GB/s: five seconds, whoever else writes.
    let store = "[design.d.store.s]\nwrite-gb-s = 1000\nnode-gb-s = 2\n";
    for policy in POLICIES {
        let trace = trace();
        let on = cell(policy, "failures").play_text(&scenario(policy, "store = 's'", store), &trace).unwrap();
        // Five seconds to read it back, beside the ten that are written.
        let plain = scenario(policy, "takes-s = 5", "").replace("restore-s = 10", "restore-s = 15");
        let off = cell(policy, "failures").play_text(&plain, &trace).unwrap();
        for (id, record) in on.outcome.records.iter_ids() {
            assert_eq!(*record, off.outcome.records[id], "{policy}: job {}", on.workload.job_name(id));
        }
        // Reading counts as storage, and what passes beside it as start-up; both are lost with a job that is lost again.
        let (on_h, off_h) = (on.outcome.hours.total().gpu, off.outcome.hours.total().gpu);
        assert_eq!((on_h.productive, on_h.down), (off_h.productive, off_h.down), "{policy}");
        let stood = |h: &windtunnel::simulation::meter::DeviceHours| h.storage + h.restart + h.lost;
        assert_eq!(stood(&on_h), stood(&off_h), "{policy}");
        let facts = on.outcome.tenancy.as_deref().unwrap();
        assert!(facts.lost_attempts > 0 && !facts.written.is_empty(), "{policy}");
        assert!(on.outcome.hours.total().gpu.storage > 0, "{policy}");
    }
}

#[test]
fn two_writers_share_a_store_and_a_copy_lets_a_job_go_on() {
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus,checkpoint_gb\n1,0,1000,9000,1,8,100\n2,0,1000,9000,1,8,100\n";
    let text = |snapshots: &str| {
        let text = cell("fcfs", "none").text("");
        let store = "[design.d.store.s]\nwrite-gb-s = 10\nnode-gb-s = 10\n";
        format!("{text}snapshots = {{ every-s = 300, store = 's', {snapshots} }}\n{store}")
    };
    let end_s = |snapshots: &str| {
        let played = cell("fcfs", "none").play_text(&text(snapshots), trace).unwrap();
        played.outcome.records.iter().map(|record| record.end.as_s()).collect::<Vec<f64>>()
    };
    // Three times 200 GB at 10 GB/s.
    assert_eq!(end_s("mode = 'sync'"), [1060.0, 1060.0]);
    // Three times 100 GB at 50 GB/s; they are written in 20 s, long before the next.
    assert_eq!(end_s("mode = 'async', copy-gb-s = 50"), [1006.0, 1006.0]);
}

#[test]
fn a_copy_that_is_broken_off_counts_as_far_as_it_came() {
    // The copy takes 40 s from second 300 on, and the limit comes in its middle.
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus,checkpoint_gb\n1,0,1000,320,1,8,100\n";
    let text = cell("fcfs", "none").text("");
    let text = format!(
        "{text}at-limit = 'kill'\nsnapshots = {{ every-s = 300, store = 's', mode = 'async', copy-gb-s = 2.5 }}\n\
         [design.d.store.s]\nwrite-gb-s = 10\n"
    );
    let played = cell("fcfs", "none").play_text(&text, trace).unwrap();
    let hours = played.outcome.hours.total().gpu;
    let gpu_s = |units: i128| units as f64 / 21_000.0 / 1e6;
    assert_eq!([gpu_s(hours.storage), gpu_s(hours.productive)], [8.0 * 20.0, 8.0 * 300.0]);
    let (_, written) = played.outcome.tenancy.as_deref().unwrap().written[0];
    assert_eq!((written.snapshots, written.stalled.as_s()), (1, 20.0));
}

/// What is written back can be read again, and is the same scenario.
#[test]
fn a_resolved_scenario_is_read_again_as_it_is() {
    let store = "[design.d.store.s]\nwrite-gb-s = 10\n";
    for snapshots in ["store = 's'", "store = 's', mode = 'async'", "store = 's', interval = 'daly'"] {
        let first =
            cell("easy", "failures").play_text(&scenario("easy", snapshots, store), &trace()).unwrap();
        let written = &first.scenario.resolved_toml;
        let again = cell("easy", "failures").play_text(written, &trace()).unwrap();
        assert_eq!(again.scenario.resolved_toml, *written, "{snapshots}");
        assert_eq!(again.outcome.hours, first.outcome.hours, "{snapshots}");
    }
}

#[test]
fn the_optimum_for_the_failures_of_a_job_is_taken() {
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus,checkpoint_gb\n1,0,86400,90000,1,8,300\n";
    let text = |interval: &str| {
        let text = cell("fcfs", "none").text("");
        let store = "[design.d.store.s]\nwrite-gb-s = 1\nnode-gb-s = 10\n";
        let failures = "failures = { mtbf-hours = 24 }\n";
        format!("{text}{failures}snapshots = {{ store = 's', interval = '{interval}' }}\n{store}")
    };
    let every = |interval: &str| {
        let played = cell("fcfs", "none").play_text(&text(interval), trace).unwrap();
        let facts = played.outcome.tenancy.as_deref().unwrap();
        let (_, written) = facts.written[0];
        (written.snapshots, facts.failures)
    };
    // Daly's 116.7 minutes at a day between failures and 5 minutes for a dump, Young's 120: twelve in a day.
    let (daly, young) = (every("daly"), every("young"));
    assert!((10..=30).contains(&daly.0) && (10..=30).contains(&young.0), "{daly:?} {young:?}");
}

/// What ends when, in whole seconds from the first start.
fn ends_s(policy: &'static str, text: &str, trace: &str) -> Vec<f64> {
    let played = cell(policy, "none").play_text(text, trace).unwrap();
    played.check(cell(policy, "none"));
    played.outcome.records.iter().map(|row| row.end.since(row.start).as_s().round()).collect()
}

fn close(policy: &str, found: f64, expected: f64) {
    // Slurm takes a requeued job up later; the preemptive policies charge a restart.
    let most = match policy {
        "slurm" => 150.0,
        "srtf" | "tiresias" => 10.0,
        _ => 1.0,
    };
    assert!((-1.0..=most).contains(&(found - expected)), "{policy}: {found} for {expected}");
}

#[test]
fn a_job_that_was_lost_reads_its_snapshot_back_beside_others() {
    let one = "job_id,submit_s,run_s,limit_s,nodes,gpus,checkpoint_gb\n1,0,1000,9000,1,8,100\n";
    let two = format!("{one}2,0,1000,9000,1,8,100\n");
    let down = "[[design.d.event]]\nnodes = 'main[0-1]'\nfrom-s = 700\nuntil-s = 5000\nkind = 'down'\n";
    let text = |policy, restore: &str, read: &str| {
        let text = cell(policy, "none").text("").replace("count = 2", "count = 4");
        let store = format!("[design.d.store.s]\nwrite-gb-s = 1000\nnode-gb-s = 10\n{read}");
        format!("{text}snapshots = {{ every-s = 300, store = 's'{restore} }}\n{store}{down}")
    };
    for policy in POLICIES {
        // Ten seconds for each snapshot: at 300, at 610, lost at 700 with 600 done; read, 300, a snapshot, 100.
        let end_s = |read_s: f64| 700.0 + read_s + 300.0 + 10.0 + 100.0;
        close(policy, ends_s(policy, &text(policy, "", ""), one)[0], end_s(10.0));
        close(policy, ends_s(policy, &text(policy, ", restore-s = 7", ""), one)[0], end_s(17.0));
        close(policy, ends_s(policy, &text(policy, "", "read-gb-s = 1\n"), one)[0], end_s(100.0));
        // Two readers have half a GB per second each.
        for end in ends_s(policy, &text(policy, "", "read-gb-s = 1\n"), &two) {
            close(policy, end, end_s(200.0));
        }
    }
}

#[test]
fn local_stores_are_each_nodes_own_and_lost_with_it() {
    let text = |down: &str| {
        let text = cell("fcfs", "none").text("");
        let store = "[design.d.store.s]\nkind = 'local-nvme'\nwrite-gb-s = 5\n";
        format!("{text}snapshots = {{ every-s = 300, store = 's' }}\n{store}{down}")
    };
    let head = "job_id,submit_s,run_s,limit_s,nodes,gpus,cpus,checkpoint_gb\n";
    let job = |id: u32, gpus: u32| format!("{id},0,1000,9000,1,{gpus},8,100\n");
    let ends = |down: &str, jobs: &str| ends_s("fcfs", &text(down), &format!("{head}{jobs}"));
    // Three snapshots of 100 GB at 5 GB/s, whoever writes on the other node; two on one node halve it.
    assert_eq!(ends("", &(job(1, 8) + &job(2, 8))), [1060.0, 1060.0]);
    assert_eq!(ends("", &(job(1, 4) + &job(2, 4))), [1120.0, 1120.0]);
    // On two nodes the parts are written side by side.
    let both = "1,0,1000,9000,2,16,8,100\n";
    assert_eq!(ends("", both), [1030.0]);
    // Lost at 700 with two snapshots: they are gone with the node, and all is done again on the other.
    let down = "[[design.d.event]]\nnodes = 'main0'\nfrom-s = 700\nuntil-s = 5000\nkind = 'down'\n";
    assert_eq!(ends(down, &job(1, 8)), [700.0 + 1060.0]);
}

#[test]
fn data_that_is_read_too_slowly_stretches_the_storage_share() {
    let shares = "[job-shares.training]\ncompute = 0.8\ngpu-memory = 0\nhost = 0\nstorage = 0.2\nintra-node-at-8 = 0\n\
                  inter-node-at-8 = 0\n";
    let text = |policy: &'static str, tenancy: &str, store: &str| {
        let text =
            Cell { policy, sharing: "whole", tenancy: "bare-metal", life: "none", feature: "plain" }.text("");
        let data = "count = 2\ndata = { store = 's', gpu-gb-s = 1 }\n";
        let text =
            text.replace("count = 2\n", data).replace("[design.d.pool.main.tenancy.bare-metal]\n", tenancy);
        format!("{text}[design.d.store.s]\n{store}{shares}")
    };
    let head = "job_id,submit_s,run_s,limit_s,nodes,gpus,class\n";
    let one = format!("{head}1,0,1000,9000,1,8,training\n");
    let two = format!("{one}2,0,1000,9000,1,8,training\n");
    for policy in POLICIES {
        // Eight GB/s in a fifth of the time; the store has enough, half of it, or as much as one of them wants.
        let fast = "write-gb-s = 100\n";
        close(policy, ends_s(policy, &text(policy, "", fast), &one)[0], 1000.0);
        let slow = "write-gb-s = 1\nread-gb-s = 4\n";
        close(policy, ends_s(policy, &text(policy, "", slow), &one)[0], 800.0 + 400.0);
        let capped = "write-gb-s = 100\nnode-gb-s = 2\n";
        close(policy, ends_s(policy, &text(policy, "", capped), &one)[0], 800.0 + 800.0);
        // Two that are half of the time in each other's way: a fifth of the time takes (0.2 + 0.4) / 2.
        for end in ends_s(policy, &text(policy, "", "write-gb-s = 8\n"), &two) {
            close(policy, end, 1100.0);
        }
        let local = "kind = 'local-nvme'\nwrite-gb-s = 8\n";
        for end in ends_s(policy, &text(policy, "", local), &two) {
            close(policy, end, 1000.0);
        }
    }
    let played = cell("easy", "none").play_text(&text("easy", "", "write-gb-s = 4\n"), &one).unwrap();
    let hours = played.outcome.hours.total().gpu;
    let gpu_s = |units: i128| (units as f64 / 21_000.0 / 1e6).round();
    assert_eq!([gpu_s(hours.storage), gpu_s(hours.productive)], [8.0 * 200.0, 8.0 * 1000.0]);
    // Without GPUDirect a node fetches 10 / 1.3 GB/s: by the store's word, or in a VM that does not have it.
    let expected = (800.0_f64 + 200.0 * 8.0 * 1.3 / 10.0).round();
    let off = text("easy", "", "write-gb-s = 100\ngpudirect = false\n");
    assert_eq!(ends_s("easy", &off, &one), [expected]);
    let overhead = "overhead = { compute = 1, gpu-memory = 1, host = 1 }\ncontention = 'off'\n";
    let vm = |more: &str| format!("[design.d.pool.main.tenancy.vm]\n{overhead}{more}");
    assert_eq!(ends_s("easy", &text("easy", &vm(""), fast_store()), &one), [expected]);
    let direct = vm("gpudirect-storage = true\n");
    assert_eq!(ends_s("easy", &text("easy", &direct, fast_store()), &one), [1000.0]);
    // What is written back is the same.
    let first = cell("easy", "none").play_text(&text("easy", &vm(""), fast_store()), &one).unwrap();
    let again = cell("easy", "none").play_text(&first.scenario.resolved_toml, &one).unwrap();
    assert_eq!(again.scenario.resolved_toml, first.scenario.resolved_toml);
    assert_eq!(again.outcome.hours, first.outcome.hours);
}

fn fast_store() -> &'static str {
    "write-gb-s = 100\n"
}

#[test]
fn a_snapshot_that_is_read_for_longer_than_hosts_last_is_told() {
    let desk = Desk::new();
    desk.put("t.csv", "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,9000,90000,1,8\n");
    let told = |kind: &str, read: f64| {
        let text = cell("fcfs", "none").text("");
        let failures = "failures = { mtbf-hours = 1, repair = { typical-s = 60 } }\n";
        let store = format!("[design.d.store.s]\nwrite-gb-s = 1000\nread-gb-s = {read}\n{kind}");
        let snapshots = "snapshots = { every-s = 60, store = 's', gb-per-gpu = 500 }\n";
        desk.put("s.toml", format!("{text}{failures}{snapshots}{store}"));
        desk.run(&["run", "s.toml"]).ok().stderr
    };
    // 4,000 GB at 1 GB/s; at 10 GB/s, which a node fetches, it is 400 s.
    assert!(told("", 1.0).contains("W0417"));
    assert!(!told("", 1000.0).contains("W0417"));
    // Of two hours and a half, nothing is kept where snapshots go with the node; that is 2.5 times as long as it lasts.
    let local = told("kind = 'local-nvme'\n", 1000.0);
    assert!(!local.contains("W0417"), "{local}");
}

#[test]
fn the_cases_of_a_second_program_are_met() {
    let Some(cases) = shared::folder("storage/checkpoint_cases.json") else { return };
    let desk = Desk::new();
    let path = cases.display().to_string();
    let answer = desk.run(&["validate", "storage", &path, "--json", "--check"]).ok();
    let found = &answer.json()["storage"];
    assert_eq!(found["outside"], 0, "{found}");
    assert_eq!(found["files"][0]["kind"], "checkpoint");
    assert!(found["files"][0]["cases"].as_array().unwrap().len() >= 18);
    desk.put("bad.json", "{\"kind\": \"maxmin\", \"cases\": []}");
    let answer = desk.run(&["validate", "storage", "bad.json"]);
    assert!(answer.code == 4 && answer.stderr.contains("W0605"), "{}", answer.stderr);
}

#[test]
fn what_makes_no_sense_is_refused_where_it_is_written() {
    let desk = Desk::new();
    desk.put("t.csv", trace());
    let refused = |snapshots: &str, code: &str, word: &str| {
        let store = "[design.d.store.s]\nwrite-gb-s = 10\n";
        desk.put("s.toml", scenario("fcfs", snapshots, store));
        let answer = desk.run(&["run", "s.toml", "-q"]);
        assert_eq!(answer.code, 4, "{snapshots}: {}", answer.stderr);
        assert!(answer.stderr.contains(code) && answer.stderr.contains(word), "{}", answer.stderr);
    };
    refused("store = 't'", "W0210", "no store `t`");
    refused("store = 's', takes-s = 5", "W0243", "`takes-s` has no effect");
    refused("mode = 'async'", "W0243", "`mode` has no effect");
    refused("store = 's', copy-gb-s = 5", "W0243", "mode = \"sync\"");
    refused("store = 's', gb-per-gpu = -1", "W0209", "no such size");
    let of_store = |store: &str, code: &str, word: &str| {
        desk.put(
            "s.toml",
            scenario("fcfs", "store = 's'", &format!("[design.d.store.s]\nwrite-gb-s = 10\n{store}")),
        );
        let answer = desk.run(&["run", "s.toml", "-q"]);
        assert!(
            answer.code == 4 && answer.stderr.contains(code) && answer.stderr.contains(word),
            "{}",
            answer.stderr
        );
    };
    of_store("read-gb-s = 0\n", "W0209", "read-gb-s");
    of_store("kind = 'local-nvme'\nnode-gb-s = 5\n", "W0243", "a store of its own");
    of_store(
        "[design.d.pool.q]\nnode = 'dgx-h100'\ncount = 1\ndata = { store = 't', gpu-gb-s = 1 }\n",
        "W0210",
        "no store",
    );
    // What a trace says of its jobs is known when it is read.
    let store = "[design.d.store.s]\nwrite-gb-s = 10\ncapacity-tb = 0.015\n";
    desk.put("s.toml", scenario("fcfs", "store = 's'", store));
    let answer = desk.run(&["run", "s.toml"]).ok();
    assert!(answer.stderr.contains("W0270") && answer.stderr.contains("20 jobs"), "{}", answer.stderr);
}

//! SRTF, SRSF and Tiresias as policies of scenarios and `replay`: the same decisions as `validate muri`, and
//! hours that sum.

use serde_json::Value;
use windtunnel::scheduler::PreemptivePolicy;
use windtunnel::validation::muri;

use super::shared;
use super::tenancy::EVERY_SHARE;
use super::terminal::Desk;

/// A Muri trace as a native trace: the class of a job says its model and GPUs, on which its overhead depends.
fn native(input: &muri::TraceInput) -> (String, String) {
    let mut trace = "job_id,submit_s,run_s,gpus,cpus,class\n".to_owned();
    let mut overheads = std::collections::BTreeMap::new();
    for (at, job) in input.jobs.iter().enumerate() {
        let class = format!("overhead-{}", job.overhead);
        trace += &format!("{at},{},{},{},1,{class}\n", job.submit, job.work, job.gpus);
        overheads.insert(class, job.overhead.as_s());
    }
    let rows: Vec<String> = overheads.iter().map(|(class, s)| format!("{class} = {s:?}")).collect();
    (trace, format!("class-overhead-s = {{ {} }}", rows.join(", ")))
}

fn run(trace: &str, policy: &str, options: &str, nodes: u32) -> (Value, Desk) {
    let desk = Desk::new();
    desk.put("t.csv", trace);
    desk.put(
        "s.toml",
        format!(
            "[workload]\ntrace = \"t.csv\"\n[policy.{policy}]\n{options}\n[node.n]\ncpus = 64\nmem-mb = 1000\n\
             gpus = 8\ngpu = \"any\"\n[design.d.pool.main]\nnode = \"n\"\ncount = {nodes}\n"
        ),
    );
    let object = desk.run(&["run", "s.toml", "--json", "--out", "out", "--referee"]).ok().json();
    (object, desk)
}

fn same_numbers(name: &str, input: &muri::TraceInput) {
    let (trace, overheads) = native(input);
    for (policy, word) in PreemptivePolicy::ALL {
        let published = muri::replay(input, policy);
        let (object, _) = run(&trace, word, &overheads, 8);
        let design = &object["designs"]["d"];
        let figure = |path: &str| design.pointer(path).and_then(Value::as_f64).unwrap();
        assert_eq!(design["jobs"]["completed"].as_u64().unwrap() as usize, input.jobs.len(), "{name} {word}");
        assert!((figure("/turnaround_s/mean") - published.jct_mean_s).abs() < 1e-6, "{name} {word}");
        assert!((figure("/turnaround_s/p99") - published.jct_p99_s).abs() < 1e-6, "{name} {word}");
        let first = input.jobs[0].submit.as_s();
        assert!((figure("/makespan_s") + first - published.makespan_s).abs() < 1e-6, "{name} {word}");
        assert!(figure("/preemption/preemptions") > 0.0, "{name} {word}");
        assert!(figure("/gpu_hours/startup") > 0.0, "{name} {word}");
    }
}

#[test]
fn decisions_are_those_of_the_published_simulator() {
    let Some(folder) = shared::folder("published/muri") else { return };
    for trace in ["trace3.csv.gz", "trace3_pr.csv.gz"] {
        let input =
            muri::read_input(&folder.join(trace), &folder.join("cluster_n8g8.csv"), None, true).unwrap();
        same_numbers(trace, &input);
    }
}

/// The same on a trace that is always at hand.
#[test]
fn decisions_are_those_of_the_replay() {
    let desk = Desk::new();
    let mut trace = "job_id,num_gpu,submit_time,iterations,model_name,iteration_time\n".to_owned();
    for job in 0u64..60 {
        let (gpus, iterations) = (1 << (job * 7 % 5), 100 + job * 7919 % 3000);
        trace += &format!("{job},{gpus},{},{iterations},m,{}\n", job * 40_000, 500 + job % 3 * 250);
    }
    desk.put("t.csv", &trace);
    desk.put("c.csv", "num_switch,num_node_p_switch,num_gpu_p_node\n1,2,8\n");
    let (trace, cluster) = (desk.path("t.csv"), desk.path("c.csv"));
    let mut input = muri::read_input(&trace, &cluster, None, true).unwrap();
    input.cluster.nodes = 8;
    input.jobs.iter_mut().for_each(|job| job.gpus *= 4);
    same_numbers("made", &input);
}

fn sums_are_exact(desk: &Desk) {
    let mut csv = csv::Reader::from_path(desk.path("out/ledger.csv")).unwrap();
    let mut sums = std::collections::BTreeMap::<String, (i128, i128)>::new();
    for row in csv.records().map(Result::unwrap) {
        let sum = sums.entry(row[2].to_owned()).or_default();
        let units: i128 = row[4].parse().unwrap();
        if &row[3] == "installed" { sum.0 += units } else { sum.1 += units }
    }
    assert!(sums.values().all(|(installed, parts)| installed == parts && *installed > 0), "{sums:?}");
}

/// A long job, and at 100 s a short one that needs all GPUs: SRTF preempts the long one for it.
const TWO: &str =
    "job_id,submit_s,run_s,gpus,cpus,gpu_util\n1,0,1000,8,1,0.5\n2,100,50,8,1,1\n3,100,5,0,1,\n4,0,9,99,1,\n";

#[test]
fn a_preemption_worked_on_paper() {
    let (object, desk) = run(TWO, "srtf", "charge = \"restart\"\nrestart-overhead-s = 20", 1);
    let design = &object["designs"]["d"];
    assert_eq!(object["policy"], "srtf(charge=restart)");
    // Job 1 runs 0-100, job 2 100-150, job 1 restarts 150-170 and works 170-1070. Waits end with the first start.
    assert!((design["makespan_s"].as_f64().unwrap() - 1070.0).abs() < 1e-9);
    assert_eq!(
        (&design["preemption"]["preemptions"], &design["preemption"]["preempted_jobs"]),
        (&1.into(), &1.into())
    );
    let hours = |name: &str| design["gpu_hours"][name].as_f64().unwrap() * 3600.0;
    assert!((hours("startup") - 8.0 * 20.0).abs() < 1e-6);
    assert!((hours("held_idle") - 8.0 * 500.0).abs() < 1e-6, "job 1 used half of 1000 s");
    assert!((hours("productive") - 8.0 * 550.0).abs() < 1e-6);
    assert_eq!(design["jobs"]["refused"], 2, "one without GPU, one larger than the design");
    sums_are_exact(&desk);
    // At every event instead: the arrival costs job 1 ten seconds of its first hundred.
    let (object, _) = run(TWO, "srtf", "", 1);
    assert_eq!(object["policy"], "srtf");
    let makespan = object["designs"]["d"]["makespan_s"].as_f64().unwrap();
    assert!((makespan - 1060.0).abs() < 1e-9, "{makespan}");
}

#[test]
fn replay_knows_them_and_traces_sum() {
    let desk = Desk::new();
    let trace = super::terminal::shipped("traces/training-cluster.csv");
    for policy in ["srtf", "srsf", "tiresias"] {
        let object = desk
            .run(&[
                "replay",
                &trace,
                "--nodes",
                "16",
                "--gpus-per-node",
                "8",
                "--cpus-per-node",
                "112",
                "--policy",
                policy,
                "--json",
                "--out",
                "out",
                "--referee",
            ])
            .ok()
            .json();
        assert_eq!(object["jobs"]["unfinished"], 0, "{policy}");
        sums_are_exact(&desk);
    }
}

#[test]
fn what_they_cannot_do_is_told() {
    let desk = Desk::new();
    desk.put("t.csv", TWO);
    let replay = |more: &[&str]| {
        let mut args = vec!["replay", "t.csv", "--policy", "srtf"];
        args.extend(more);
        desk.run(&args)
    };
    let answer = replay(&["--procs", "8"]);
    assert_eq!(answer.code, 4);
    assert!(answer.stderr.contains("has no GPUs, and srtf schedules nothing else"), "{}", answer.stderr);
    let answer = replay(&["--nodes", "1", "--gpus-per-node", "8", "--placement", "spread"]);
    assert_eq!(answer.code, 4, "placement is part of the policy");
    let answer = desk.run(&["backtest", "t.csv", "--nodes", "1", "--gpus-per-node", "8", "--policy", "srtf"]);
    assert_eq!(answer.code, 4);
    assert!(answer.stderr.contains("W0449"), "{}", answer.stderr);
    let answer =
        replay(&["--nodes", "1", "--gpus-per-node", "8", "--set", "policy.srtf.restart-overhead-s=-1"]);
    assert!(answer.stderr.contains("W0209"), "{}", answer.stderr);
}

#[test]
fn in_vms_work_takes_longer_by_a_constant_factor() {
    let jobs =
        "job_id,submit_s,run_s,gpus,cpus,gpu_util\na,0,1000,8,1,0.5\nb,10,100,8,1,0.25\nc,20,400,4,1,0.5\n";
    let desk = Desk::new();
    desk.put("t.csv", jobs);
    let vm = |factor: f64, more: &str| {
        let shares = EVERY_SHARE.replace('F', &factor.to_string());
        format!("[design.d.pool.main.tenancy.vm]\n{more}\n[design.d.pool.main.tenancy.vm.overhead]\n{shares}",)
    };
    let scenario = |policy: &str, tenancy: &str| {
        format!(
            "[workload]\ntrace = 't.csv'\n[policy.{policy}]\n[node.n]\ncpus = 64\nmem-mb = 1000\ngpus = 8\n\
             gpu = 'any'\n[design.d.pool.main]\nnode = 'n'\ncount = 1\n{tenancy}"
        )
    };
    let run = |policy: &str, tenancy: &str| {
        desk.put("s.toml", scenario(policy, tenancy));
        let object = desk.run(&["run", "s.toml", "--json", "--out", "out", "--referee"]).ok().json();
        sums_are_exact(&desk);
        object["designs"]["d"].clone()
    };
    for (_, policy) in PreemptivePolicy::ALL {
        let metal = run(policy, "");
        let one = run(policy, &vm(1.0, "contention = 'off'"));
        for key in ["wait_s", "turnaround_s", "gpu_hours", "preemption", "makespan_s"] {
            assert_eq!(metal[key], one[key], "{policy} {key}");
        }
        let packed = "contention = 'off'\nshape = { cpus = 16, mem-mb = 400, gpus = 4 }";
        assert_eq!(metal["jobs"], run(policy, &vm(1.25, packed))["jobs"], "VMs are nodes");
        let slow = run(policy, &vm(1.25, "contention = 'off'"));
        let hours = |design: &Value, what: &str| design["gpu_hours"][what].as_f64().unwrap();
        let work = hours(&slow, "productive") + hours(&slow, "held_idle");
        let share = hours(&slow, "virtualization") / (work + hours(&slow, "virtualization"));
        assert!((share - 0.2).abs() < 1e-6, "{policy} {share}");
        assert!((work - hours(&metal, "productive") - hours(&metal, "held_idle")).abs() < 1e-5, "{policy}");
    }
    for (more, key) in [
        ("", "contention"),
        ("noise = {}", "noise"),
        ("boot = {}", "boot"),
        ("failures = {}", "failures"),
        ("cpu-overcommit = 2", "cpu-overcommit"),
    ] {
        desk.put("s.toml", scenario("srtf", &vm(1.25, more)));
        let told = desk.run(&["run", "s.toml", "--quiet"]).told();
        let words = format!("`{key}` does not run under preemptive policies");
        assert!(told.contains("W0219") && told.contains(&words), "{told}");
        // What the published arithmetic excludes, a restart does not.
        desk.put("s.toml", scenario("srtf]\ncharge = 'restart'\n[x", &vm(1.25, more)).replace("[x]", ""));
        desk.run(&["run", "s.toml", "--json", "--out", "out", "--referee"]).ok();
        sums_are_exact(&desk);
    }
}

/// A job of the slow reference, in microseconds.
#[derive(Clone, Copy)]
struct Row {
    submit: i64,
    gpus: i64,
    left: i64,
    overhead: i64,
    attained: i64,
    owed: i64,
    runs: bool,
    start: Option<i64>,
    end: Option<i64>,
    queue: usize,
}

/// Where a job goes on nodes with so much free, as published: whole nodes first, the rest on the first other with room.
fn placed(free: &mut [i64], gpus: i64) -> bool {
    let (mut wanted, mut at) = (Vec::new(), 0);
    let mut left = gpus;
    while left >= 8 {
        let Some(node) = (at..free.len()).find(|node| free[*node] == 8) else { return false };
        wanted.push((node, 8));
        (at, left) = (node + 1, left - 8);
    }
    if left > 0 {
        let used: Vec<usize> = wanted.iter().map(|(node, _)| *node).collect();
        let Some(node) = (0..free.len()).find(|node| free[*node] >= left && !used.contains(node)) else {
            return false;
        };
        wanted.push((node, left));
    }
    wanted.iter().for_each(|(node, gpus)| free[*node] -= gpus);
    true
}

/// All jobs, decided anew at every event, without a floor, a ledger or a calendar.
fn slow_reference(rows: &mut [Row], policy: &str, nodes: usize) {
    const LIMITS: [i64; 2] = [3250, 7200];
    let mut order: Vec<usize> = Vec::new();
    let (mut now, mut next) = (0, 0);
    loop {
        let arrival = rows.get(next).map(|row| row.submit);
        let running = || order.iter().filter(|at| rows[**at].runs);
        let completion = running().map(|at| now + rows[*at].owed + rows[*at].left).min();
        let whole_s = |at: &usize| (LIMITS[rows[*at].queue] + rows[*at].gpus - 1) / rows[*at].gpus;
        let demotion = running()
            .filter(|at| policy == "tiresias" && rows[**at].queue < 2)
            .map(|at| now + whole_s(at) * 1_000_000 - rows[*at].attained)
            .min();
        let Some(at) = [arrival, completion, demotion].into_iter().flatten().min() else { return };
        for id in running().copied().collect::<Vec<usize>>() {
            let (row, passed) = (&mut rows[id], at - now);
            let paid = row.owed.min(passed);
            (row.attained, row.owed, row.left) =
                (row.attained + passed, row.owed - paid, row.left - (passed - paid));
            if row.left == 0 {
                (row.runs, row.end) = (false, Some(at));
                order.retain(|other| *other != id);
            }
        }
        now = at;
        while rows.get(next).is_some_and(|row| row.submit == now) {
            order.push(next);
            next += 1;
        }
        match policy {
            "srtf" => order.sort_by_key(|id| rows[*id].left),
            "srsf" => order.sort_by_key(|id| rows[*id].left * rows[*id].gpus),
            _ => {
                let mut moved = Vec::new();
                for id in order.clone() {
                    let row = &mut rows[id];
                    if row.queue < 2 && row.attained * row.gpus >= LIMITS[row.queue] * 1_000_000 {
                        row.queue += 1;
                        moved.push(id);
                    }
                }
                order.retain(|id| !moved.contains(id));
                order.extend(moved);
                order.sort_by_key(|id| rows[*id].queue);
            }
        }
        let mut free = vec![8; nodes];
        for id in &order {
            let row = &mut rows[*id];
            let runs = placed(&mut free, row.gpus);
            if runs && !row.runs {
                row.owed = if row.attained > 0 { row.overhead } else { 0 };
                row.start.get_or_insert(now);
            }
            row.runs = runs;
        }
        if policy == "tiresias" {
            order.sort_by_key(|id| (rows[*id].queue, !rows[*id].runs));
        }
    }
}

#[test]
fn with_restarts_every_job_starts_and_ends_as_in_a_slow_reference() {
    for case in 0u64..12 {
        for (policy, nodes, sizes) in [("srtf", 3, 20), ("srsf", 3, 20), ("tiresias", 1, 8)] {
            let mut draw = case.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5555;
            let mut next = |n: u64| {
                draw ^= draw << 13;
                draw ^= draw >> 7;
                draw ^= draw << 17;
                (draw % n) as i64
            };
            let mut submit = 0;
            let mut trace = "job_id,submit_s,run_s,gpus,cpus\n".to_owned();
            let mut rows = Vec::new();
            for job in 0..40 {
                submit += next(400);
                let (gpus, run) = (1 + next(sizes), 20 + next(3000));
                trace += &format!("{job},{submit},{run},{gpus},{gpus}\n");
                rows.push(Row {
                    submit: submit * 1_000_000,
                    gpus,
                    left: run * 1_000_000,
                    overhead: 30_000_000,
                    attained: 0,
                    owed: 0,
                    runs: false,
                    start: None,
                    end: None,
                    queue: 0,
                });
            }
            slow_reference(&mut rows, policy, nodes);
            let (_, desk) = run(&trace, policy, "charge = 'restart'\nrestart-overhead-s = 30", nodes as u32);
            sums_are_exact(&desk);
            let mut csv = csv::Reader::from_path(desk.path("out/jobs.csv")).unwrap();
            let titles = csv.headers().unwrap().clone();
            let at = |name: &str| titles.iter().position(|title| title == name).unwrap();
            let (start, end) = (at("start_s"), at("end_s"));
            let us = |text: &str| (text.parse::<f64>().unwrap() * 1e6).round() as i64;
            for (row, found) in rows.iter().zip(csv.records().map(Result::unwrap)) {
                let found = (Some(us(&found[start])), Some(us(&found[end])));
                assert_eq!((row.start, row.end), found, "case {case}, {policy}: {:?}", &trace);
            }
        }
    }
}

//! MIG, MPS and time slices are the same keys under bare metal, containers and VMs; designs of one scenario do not
//! change each other.

use super::tenancy::EVERY_SHARE;
use super::terminal::{Desk, shipped};

const SHARING: [&str; 5] = [
    "mig = 'static'\nmig-layouts = [{ gpus = 4, instances = ['1g.10gb', '1g.10gb', '2g.20gb', '3g.40gb'] }]",
    "mig = 'dynamic'\nmig-instance-s = 3",
    "mig = 'planned'\nmig-keep-s = 600",
    "sharing = 'mps'\nco-location-loss = 0.05",
    "sharing = 'time-slices'\nco-location = 'equal-share'",
];

/// Jobs that ask for parts of GPUs, and some for several whole ones.
fn jobs() -> String {
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text = String::from("job_id,submit_s,run_s,limit_s,gpus,gpu_milli,cpus\n");
    for at in 0..120 {
        let (run, many) = (100 + next(4_000), next(6) == 0);
        let part = if many { String::new() } else { [100, 250, 500][next(3) as usize].to_string() };
        let gpus = if many { 1 + next(6) } else { 1 };
        text += &format!("{at},{},{run},{},{gpus},{part},{}\n", at * 40, 2 * run, gpus * 4);
    }
    text
}

fn design(name: &str, tenancy: &str) -> String {
    format!(
        "[design.{name}.pool.main]\nnode = 'dgx-h100'\ncount = 1\n[design.{name}.pool.main.tenancy.{tenancy}\n"
    )
}

/// Rows of a design in `jobs.csv`, without its name.
fn rows(desk: &Desk, design: &str) -> Vec<String> {
    let text = String::from_utf8(desk.read("out/jobs.csv")).unwrap();
    let head: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let at = head.iter().position(|name| *name == "design").unwrap();
    let of = |line: &str| {
        let mut cells: Vec<&str> = line.split(',').collect();
        (cells.remove(at) == design).then(|| cells.join(","))
    };
    text.lines().skip(1).filter_map(of).collect()
}

/// A VM whose access costs nothing, and a container that starts at once, run as bare metal does, job by job.
#[test]
fn shared_gpus_are_the_same_under_every_tenancy() {
    let shares = EVERY_SHARE.replace('F', "1.0");
    for sharing in SHARING {
        let desk = Desk::new();
        desk.put("t.csv", jobs());
        let vm = format!(
            "vm]\ncontention = 'off'\n{sharing}\n[design.vm.pool.main.tenancy.vm.overhead]\n{shares}"
        );
        let boot = "boot = { low-s = 0, typical-s = 0, high-s = 0 }";
        let scenario = [
            "[workload]\ntrace = 't.csv'\n[policy.easy]\n".to_owned(),
            design("metal", &format!("bare-metal]\n{sharing}")),
            design("vm", &vm),
            design("box", &format!("containers]\ncontention = 'off'\n{boot}\n{sharing}")),
            design("slow", &format!("vm]\ncontention = 'off'\n{sharing}")),
        ];
        desk.put("s.toml", scenario.concat());
        let object = desk.run(&["run", "s.toml", "--json", "--out", "out", "--referee"]).ok().json();
        let metal = rows(&desk, "metal");
        assert_eq!(metal.len(), 120);
        for other in ["vm", "box"] {
            assert_eq!(metal, rows(&desk, other), "{sharing} {other}");
            assert_eq!(object["designs"]["metal"]["gpu_hours"], object["designs"][other]["gpu_hours"]);
        }
        assert_ne!(metal, rows(&desk, "slow"), "access costs something by default");
        assert!(object["designs"]["slow"]["gpu_hours"]["virtualization"].as_f64().unwrap() > 0.0);
        for name in ["metal", "vm", "box", "slow"] {
            assert!(object["designs"][name]["sharing"].is_object(), "{name}");
        }
    }
}

/// MIG beside an elastic pool and hosts that fail: each runs as in a scenario of its own.
#[test]
fn designs_of_a_scenario_do_not_change_each_other() {
    let head = format!("[workload]\ntrace = '{}'\n[policy.easy]\n", shipped("traces/research-team.csv"));
    let designs = [
        ("mig", "bare-metal]\nmig = 'dynamic'"),
        ("elastic", "vm]\nelastic = { min = 1 }"),
        ("fail", "bare-metal]\nfailures = { mtbf-hours = 200 }"),
    ]
    .map(|(name, tenancy)| (name, design(name, tenancy).replace("count = 1", "count = 3")));
    let desk = Desk::new();
    desk.put("s.toml", head.clone() + &designs.iter().map(|row| row.1.as_str()).collect::<String>());
    let all = desk.run(&["run", "s.toml", "--json", "--out", "out", "--referee"]).ok().json();
    let together: Vec<Vec<String>> = designs.iter().map(|(name, _)| rows(&desk, name)).collect();
    assert!(all["designs"]["fail"]["tenancy"]["host_failures"].as_u64().unwrap() > 0);
    assert!(all["designs"]["elastic"]["tenancy"]["vms_ordered"].as_u64().unwrap() > 0);
    for ((name, text), together) in designs.iter().zip(together) {
        desk.put("s.toml", head.clone() + text);
        let alone = desk.run(&["run", "s.toml", "--json", "--out", "out"]).ok().json();
        assert_eq!(rows(&desk, name), together, "{name}");
        // The horizon is common, so only what jobs held is the same.
        for key in ["productive", "held_idle", "lost", "startup", "virtualization", "neighbours"] {
            let hours = |object: &serde_json::Value| object["designs"][name]["gpu_hours"][key].clone();
            assert_eq!(hours(&alone), hours(&all), "{name} {key}");
        }
    }
    // The same work on whole GPUs is the same hours, whatever stands between jobs and nodes.
    let work = |name: &str| {
        let hours = &all["designs"][name]["gpu_hours"];
        hours["productive"].as_f64().unwrap() + hours["held_idle"].as_f64().unwrap()
    };
    assert!((work("elastic") - work("fail")).abs() < 1e-3, "{} {}", work("elastic"), work("fail"));
}

/// VMs that no job fits are told of before the run; the jobs are refused with their reason.
#[test]
fn an_elastic_pool_that_no_job_fits_is_told() {
    let desk = Desk::new();
    desk.put("t.csv", "job_id,submit_s,run_s,nodes,gpus,cpus\na,0,10,1,4,4\nb,0,10,1,2,4\n");
    let shape = "shape = { cpus = 4, mem-mb = 1000, gpus = 1 }";
    let scenario = |nodes: &str, shape: &str| {
        let vm = format!("vm]\nelastic = {{}}\n{shape}\n");
        format!("[workload]\ntrace = '{nodes}'\n[policy.easy]\n{}", design("d", &vm))
    };
    desk.put("s.toml", scenario("t.csv", &shape.replace("cpus = 4", "cpus = 1")));
    let answer = desk.run(&["run", "s.toml", "--out", "out"]);
    assert!(answer.stderr.contains("W0416") && answer.stderr.contains("`main` of `d`"), "{}", answer.stderr);
    desk.put("s.toml", scenario("t.csv", "contention = 'off'"));
    let answer = desk.run(&["run", "s.toml", "--out", "out"]).ok();
    assert!(!answer.stderr.contains("W0416"), "{}", answer.stderr);
}

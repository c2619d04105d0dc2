//! Jobs that ask for a part of a GPU where GPUs are given whole: rounded up, counted, and the rest is slack.

use windtunnel::simulation::meter::UNITS_PER_DEVICE;

use super::terminal::Desk;

const SCENARIO: &str = "[workload]\ntrace = 't.csv'\nmeasured-on = 'whole-gpu'\n[policy.easy]\n[design.a.pool.main]\n\
                        node = 'dgx-h100'\ncount = 2\n[design.a.pool.main.tenancy.bare-metal]\n";

const TRACE: &str = "job_id,submit_s,run_s,limit_s,gpus,gpu_milli,mig_profile,cpus\n\
                     1,0,1000,2000,1,500,,4\n2,10,1000,2000,1,,,4\n3,20,1400,2000,1,,2g.20gb,4\n";

fn run(scenario: &str, trace: &str) -> serde_json::Value {
    let desk = Desk::new();
    desk.put("s.toml", scenario);
    desk.put("t.csv", trace);
    desk.run(&["run", "s.toml", "--json", "--out", "out", "--referee", "-q"]).ok().json()
}

#[test]
fn a_job_that_asks_for_a_part_gets_a_whole_gpu_and_the_rest_is_slack() {
    for policy in ["[policy.easy]", "[policy.conservative]", "[policy.srtf]\ncharge = 'restart'"] {
        let found = run(&SCENARIO.replace("[policy.easy]", policy), TRACE);
        let design = &found["designs"]["a"];
        assert_eq!(design["jobs"]["completed"], 3, "{policy}");
        assert_eq!(design["jobs"]["rounded_up"], 2);
        assert!(design.get("sharing").is_none(), "no design gives parts");
        // Half a GPU for 1,000 s, five of seven slices for 1,400 s.
        let slack = design["gpu_hours"]["slack"].as_f64().unwrap() * 3_600.0;
        assert!((slack - (500.0 + 1_000.0)).abs() < 1e-6, "{policy}: {slack}");
        let productive = design["gpu_hours"]["productive"].as_f64().unwrap() * 3_600.0;
        assert!((productive - (500.0 + 1_000.0 + 400.0)).abs() < 1e-6, "{policy}: {productive}");
    }
    assert_eq!(UNITS_PER_DEVICE % 7_000, 0);
}

#[test]
fn in_virtual_machines_what_is_lost_is_lost_of_the_part() {
    let vm = "contention = 'off'\n[design.a.pool.main.tenancy.vm.overhead]\ncompute = 1.25\ngpu-memory = 1.25\nhost = 1.25\n\
              storage = 1.25\n";
    let scenario =
        SCENARIO.replace("[design.a.pool.main.tenancy.bare-metal]", "[design.a.pool.main.tenancy.vm]") + vm;
    let found = run(&scenario, "job_id,submit_s,run_s,limit_s,gpus,gpu_milli,cpus\n1,0,1000,2000,1,500,4\n");
    let hours = &found["designs"]["a"]["gpu_hours"];
    let seconds = |key: &str| hours[key].as_f64().unwrap() * 3_600.0;
    // 1,250 s on a GPU of which half was asked for; a fifth of that half is the hypervisor's.
    assert!((seconds("slack") - 625.0).abs() < 1e-3, "{}", seconds("slack"));
    assert!((seconds("virtualization") - 125.0).abs() < 1e-3, "{}", seconds("virtualization"));
    assert!((seconds("productive") - 500.0).abs() < 1e-3, "{}", seconds("productive"));
}

#[test]
fn a_part_does_not_choose_the_engine_and_runs_with_failures() {
    let found = run(&(SCENARIO.to_owned() + "failures = { mtbf-hours = 100 }\n"), TRACE);
    assert_eq!(found["designs"]["a"]["jobs"]["completed"], 3);
}

#[test]
fn a_whole_gpu_is_faster_than_the_part_that_a_job_was_measured_on() {
    let scenario = SCENARIO.replace("measured-on = 'whole-gpu'\n", "");
    let law = "[slice-law.default]\nhost = 0.0\ncompute = 1.0\nbandwidth = 1.0\n";
    let found =
        run(&(scenario + law), "job_id,submit_s,run_s,limit_s,gpus,gpu_milli,cpus\n1,0,1000,2000,1,500,4\n");
    assert_eq!(found["designs"]["a"]["turnaround_s"]["mean"], 500.0);
}

#[test]
fn a_profile_that_the_board_does_not_have_is_refused_with_the_reason() {
    let trace =
        "job_id,submit_s,run_s,limit_s,gpus,mig_profile,cpus\n1,0,100,200,1,1g.5gb,4\n2,0,100,200,1,,4\n";
    let found = run(SCENARIO, trace);
    let design = &found["designs"]["a"];
    assert_eq!(design["jobs"]["completed"], 1);
    let told = design["refused_by_design"][0]["reason"].as_str().unwrap();
    assert!(told.contains("1g.5gb") && told.contains("does not have"), "{told}");
}

#[test]
fn groups_and_money_count_an_instance_as_its_part_of_the_board() {
    // Seven instances of ann on one GPU, bob alone on the other, 10 h each, 1 USD for a GPU-hour.
    let scenario = "[workload]\ntrace = 't.csv'\n[policy.easy]\n[node.two]\ngpus = 2\ncpus = 64\nmem-mb = 500000\n\
                    gpu = 'H100-80GB-SXM'\n[design.a.pool.main]\nnode = 'two'\ncount = 1\n\
                    [design.a.pool.main.tenancy.bare-metal]\nmig = 'static'\n\
                    mig-layouts = [{ gpus = 1, instances = ['1g.10gb', '1g.10gb', '1g.10gb', '1g.10gb', '1g.10gb', '1g.10gb', '1g.10gb'] }]\n\
                    [design.a.pool.main.cost.rented]\nprice-per-gpu-hour = 1\n";
    let mut trace = "job_id,submit_s,run_s,limit_s,gpus,cpus,mig_profile,user,account\n".to_owned();
    for job in 1..=7 {
        trace += &format!("{job},0,36000,72000,1,1,1g.10gb,ann,a\n");
    }
    trace += "8,0,36000,72000,1,1,,bob,b\n";
    let desk = Desk::new();
    desk.put("s.toml", scenario);
    desk.put("t.csv", trace);
    let found = desk.run(&["run", "s.toml", "--json", "--out", "out", "-q"]).ok().json();
    let users = &found["designs"]["a"]["groups"]["user"];
    assert_eq!(users["ann"]["gpu_hours"], 10.0, "{users}");
    assert_eq!(users["bob"]["gpu_hours"], 10.0);
    let costs = String::from_utf8(desk.read("out/cost.csv")).unwrap();
    let of =
        |user: &str| costs.lines().find(|line| line.contains(&format!(",user,{user},"))).unwrap().to_owned();
    assert!(of("ann").contains(",10000000,"), "{costs}");
    assert!(of("bob").contains(",10000000,"), "{costs}");
}

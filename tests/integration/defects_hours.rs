//! Wrong figures of hours and money that were found, with their right values.

use serde_json::Value;

use super::terminal::{Desk, shipped};

fn compared(desk: &Desk, text: &str) -> Value {
    let team = shipped("traces/research-team.csv");
    desk.put("s.toml", text.replace("TRACE", &team));
    desk.run(&["compare", "s.toml", "--json", "--quiet"]).ok().json()
}

fn near(what: &str, found: &Value, expected: f64, tolerance: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{what}: {found} is no number"));
    assert!((found - expected).abs() <= tolerance, "{what}: {found} is not {expected}");
}

fn sum(of: &Value) -> f64 {
    of.as_object().expect("an object").values().filter_map(Value::as_f64).sum()
}

const OWNED: &str = "[design.NAME.pool.main]\nnode = \"dgx-h100\"\ncount = 6\n\
    [design.NAME.pool.main.tenancy.vm]\ncontention = \"off\"\nELASTIC\n\
    [design.NAME.pool.main.cost.owned]\nprice-per-node = 300000\nprice-per-kwh = 0.1\npue = 1.3\n";

#[test]
fn hosts_of_ones_own_without_vms_draw_idle_power_and_are_idle() {
    let design = |name: &str, elastic: &str| OWNED.replace("NAME", name).replace("ELASTIC", elastic);
    let text = format!(
        "[workload]\ntrace = \"TRACE\"\n[policy.easy]\n{}{}",
        design("own", "elastic = { min = 0, max = 6, in-after-s = 300 }"),
        design("fix", "")
    );
    let found = compared(&Desk::new(), &text);
    let (own, fix) = (&found["designs"]["own"], &found["designs"]["fix"]);
    near("elastic", &own["cost"]["parts"]["electricity"], 837.41, 0.01);
    near("without", &fix["cost"]["parts"]["electricity"], 830.71, 0.01);
    // The same work on the same hosts is the same part of what they cost.
    let four = &own["cost"]["four_parts"];
    near("at work", &four["hardware_at_work"], 2_401.0, 1.0);
    near("at work", &fix["cost"]["four_parts"]["hardware_at_work"], 2_401.0, 1.0);
    let total = own["cost"]["total"].as_f64().unwrap();
    assert!((sum(four) - total).abs() < 1e-5, "the parts are the total");
    // Per installed hour, of all hosts; the hours of the ledger stay those of the VMs.
    let hours = fix["gpu_hours"]["installed"].as_f64().unwrap();
    near("per hour", &own["cost"]["per_gpu_hour"], total / hours, 1e-5);
    assert!(own["gpu_hours"]["installed"].as_f64().unwrap() < hours / 2.0);
}

#[test]
fn licences_by_the_hour_are_paid_while_there_is_something_to_license() {
    let pool = |name: &str, tenancy: &str, terms: &str| {
        format!(
            "[design.{name}.pool.main]\nnode = \"dgx-h100\"\ncount = 6\n{tenancy}[design.{name}.pool.main.cost.rented]\n\
             price-per-node-hour = 20\n{terms}\n[design.{name}.pool.main.cost.rented.licence.x]\nunit = \"node\"\n\
             price-per-hour = 3\n"
        )
    };
    let elastic = "[design.od.pool.main.tenancy.vm]\nelastic = { min = 0, max = 6, in-after-s = 1800 }\n";
    let text = format!(
        "[workload]\ntrace = \"TRACE\"\nscale = {{ arrivals = 3.0 }}\n[policy.easy]\n{}{}{}",
        pool("od", elastic, ""),
        pool("used", "", "billed = \"while-used\"\nbilling = \"minute\""),
        pool("all", "", ""),
    );
    let found = compared(&Desk::new(), &text);
    let of = |name: &str| found["designs"][name].clone();
    near("VM-hours x 3", &of("od")["cost"]["parts"]["licences"], 1_950.66, 0.01);
    near("while used", &of("used")["cost"]["parts"]["licences"], 1_866.45, 0.01);
    let all = of("all");
    let rent = all["cost"]["parts"]["rent"].as_f64().unwrap();
    near("all the time", &all["cost"]["parts"]["licences"], rent * 3.0 / 20.0, 0.1);
    // Who pays 20 for a node-hour and 3 for its licence pays 23 / 8 for a GPU-hour that is there.
    near("per hour", &of("od")["cost"]["per_gpu_hour"], 23.0 / 8.0, 1e-4);
    // Nodes that are rented while used cost nothing while they are free: idle is what jobs held and did not use, and the
    // started minutes.
    let used = of("used");
    let hours = |key: &str| used["gpu_hours"][key].as_f64().unwrap();
    let (rent, four) = (used["cost"]["parts"]["rent"].as_f64().unwrap(), &used["cost"]["four_parts"]);
    near("at work", &four["hardware_at_work"], hours("productive") * 20.0 / 8.0, 0.1);
    near("idle", &four["idle_hours"], rent - hours("productive") * 20.0 / 8.0, 0.1);
}

#[test]
fn a_licence_bought_once_leaves_no_residual_to_pay_interest_on() {
    let desk = Desk::new();
    desk.put(
        "o.csv",
        "job_id,submit_s,run_s,limit_s,gpus,cpus,user,account,gpu_util\n1,0,360000,400000,8,8,u1,a1,0.5\n\
         2,0,180000,400000,4,4,u2,a2,\n3,0,720000,800000,1,1,u2,a2,\n4,720001,1,10,1,1,u1,a1,\n",
    );
    let text = "[workload]\ntrace = \"o.csv\"\n[policy.fcfs]\n[design.own.pool.main]\nnode = \"dgx-h100\"\ncount = 2\n\
        [design.own.pool.main.cost.owned]\nprice-per-node = 300000\ndepreciation-years = 4\nresidual = 0.2\n\
        financing-rate = 0.06\nports-per-node = 10\nprice-per-port = 2000\nstorage-share = 0.1\nspare-nodes = 1\n\
        [design.own.pool.main.cost.owned.licence.once]\nunit = \"node\"\nprice-once = 10000\nleast-units = 3\n";
    let found = compared(&desk, text);
    // Nodes, ports, storage and a spare: 1,000,000, of which (1 + 0.2) / 2 is outstanding; licences: 30,000, half of it.
    let years = 720_002.0 / 31_557_600.0;
    let expected: f64 = (1_000_000.0 * 0.6 + 30_000.0 * 0.5) * 0.06 * years;
    assert!((expected - 841.89).abs() < 0.01, "{expected}");
    near("interest", &found["designs"]["own"]["cost"]["parts"]["financing"], expected, 0.001);
}

#[test]
fn nothing_is_switched_for_a_time_sliced_vgpu_that_has_its_gpu_alone() {
    let run = |jobs: &str, overhead: &str| {
        let desk = Desk::new();
        desk.put("t.csv", format!("job_id,submit_s,run_s,gpus,gpu_milli,cpus,class\n{jobs}"));
        let text = format!(
            "[workload]\ntrace = \"t.csv\"\n[policy.fcfs]\n[design.d.pool.p]\nnode = \"dgx-h100\"\ncount = 1\n\
             [design.d.pool.p.tenancy.vm]\naccess = \"vgpu-time-sliced\"\ncontention = \"off\"\n\
             [design.d.pool.p.tenancy.vm.overhead]\n{overhead}\n"
        );
        desk.put("s.toml", text);
        desk.run(&["run", "s.toml", "--json", "--quiet", "--out", "out", "--referee"]).ok();
        let mut rows = csv::Reader::from_path(desk.path("out/jobs.csv")).unwrap();
        let titles = rows.headers().unwrap().clone();
        let at = |name: &str| titles.iter().position(|title| title == name).unwrap();
        let (start, end) = (at("start_s"), at("end_s"));
        let rows = rows.records().map(Result::unwrap);
        rows.map(|row| row[end].parse::<f64>().unwrap() - row[start].parse::<f64>().unwrap())
            .collect::<Vec<_>>()
    };
    let one = "1,0,10000,1,500,1,training\n";
    let two = "1,0,10000,1,500,1,training\n2,1000,100000,1,500,1,training\n";
    let (typical, low) = ("level = \"typical\"", "level = \"low\"");
    let none = super::tenancy::EVERY_SHARE.replace('F', "1");
    // Training: 5 % host at 1.02, 5 % storage at 1.03, and nothing for what is not switched.
    let (alone, bare) = (run(one, typical), run(one, &none));
    assert!((alone[0] / bare[0] - 1.0025).abs() < 1e-6, "{alone:?} {bare:?}");
    assert_eq!(alone, run(one, low));
    // Both are alike until another comes; from then on turns are switched, which costs 1.0485 at the typical level.
    let left = |found: &[f64], factor: f64| (found[0] - 1_000.0) / factor;
    let (pair, low_pair) = (run(two, typical), run(two, low));
    assert!((left(&pair, 1.0485) - left(&low_pair, 1.0025)).abs() < 0.01, "{pair:?} {low_pair:?}");
    assert!(left(&pair, 1.0) > left(&low_pair, 1.0) + 100.0, "{pair:?} {low_pair:?}");
}

//! What designs cost, who pays, which one to buy, and what would change that.

use std::collections::BTreeMap;

use serde_json::Value;

use super::terminal::{Desk, shipped};

/// Two jobs on a node with two GPUs: two GPUs for an hour, then one for half an hour.
const TRACE: &str = "job_id,submit_s,run_s,gpus,cpus,user,account\n1,0,3600,2,2,ada,x\n2,0,1800,1,1,bob,x\n";

/// One design over these jobs, on `count` nodes, paid by `cost`.
fn one(count: u32, cost: &str, more: &str) -> String {
    format!(
        "[workload]\ntrace = \"t.csv\"\n[policy.fcfs]\n\
         [node.n]\ncpus = 8\nmem-mb = 1000\ngpus = 2\ngpu = \"any\"\npower-w = 1000\npower-idle-w = 400\n\
         [design.a.pool.main]\nnode = \"n\"\ncount = {count}\n[design.a.pool.main.cost.{cost}\n{more}"
    )
}

fn compared(desk: &Desk, text: &str) -> Value {
    desk.put("t.csv", TRACE);
    desk.put("s.toml", text);
    desk.run(&["compare", "s.toml", "--json", "--quiet"]).ok().json()
}

fn design(text: &str) -> Value {
    compared(&Desk::new(), text)["designs"]["a"].clone()
}

fn cost(text: &str) -> Value {
    design(text)["cost"].clone()
}

fn near(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found} is no number"));
    assert!((found - expected).abs() < 5e-6, "{found} is not {expected}");
}

#[test]
fn a_small_bill_is_what_the_paper_says() {
    let design = design(&one(
        1,
        "rented]\nprice-per-gpu-hour = 2",
        "[finance]\nwait-price-per-gpu-hour = 10\nwait-price-per-job-hour = 7\n",
    ));
    let (cost, by) = (&design["cost"], &design["cost_by"]);
    // 2 GPUs x 1.5 h x 2; 2.5 of 3 GPU-hours were useful and allocated; job 2 waits an hour for one GPU.
    for (key, expected) in [
        ("total", 6.0),
        ("per_gpu_hour", 2.0),
        ("per_allocated_gpu_hour", 2.4),
        ("per_useful_gpu_hour", 2.4),
        ("per_job", 3.0),
        ("waiting", 17.0),
        ("per_month", 6.0 * 730.5 / 1.5),
    ] {
        near(&cost[key], expected);
    }
    near(&cost["parts"]["rent"], 6.0);
    near(&cost["four_parts"]["hardware_at_work"], 5.0);
    near(&cost["four_parts"]["idle_hours"], 1.0);
    near(&by["user"]["charged"]["ada"], 4.0);
    near(&by["user"]["charged"]["bob"], 1.0);
    near(&by["user"]["rest"], 1.0);
    near(&by["account"]["charged"]["x"], 5.0);
    near(&by["hours"]["productive"], 5.0);
}

#[test]
fn electricity_follows_the_use_between_idle_and_busy_power() {
    let priced = "owned]\nprice-per-node = 0\nprice-per-kwh = 1\npue = 1.5\ndepreciation-years = 5";
    // (400 W + 600 W x 2.5/3) x 1.5 h x 1.5
    near(&cost(&one(1, priced, ""))["total"], 0.9 * 1.5 * 1.5);
    let always_busy = one(1, priced, "").replace("power-idle-w = 400\n", "");
    near(&cost(&always_busy)["total"], 1.0 * 1.5 * 1.5);
}

#[test]
fn rent_while_used_is_billed_by_node_and_step() {
    let rented = |count, billing: &str| {
        let terms = format!("rented]\nprice-per-node-hour = 4\nbilled = \"while-used\"\n{billing}");
        cost(&one(count, &terms, ""))["total"].clone()
    };
    // One node: held from 0 s to 5400 s without a gap. Two: an hour on one, half an hour on the other.
    near(&rented(1, ""), 6.0);
    near(&rented(1, "billing = \"hour\""), 8.0);
    near(&rented(2, ""), 6.0);
    near(&rented(2, "billing = \"hour\""), 8.0);
    near(&rented(2, "billing = \"block\"\nblock-hours = 6"), 48.0);
    near(&rented(1, "plan = \"spot\"\ndiscount = 0.5"), 3.0);
}

#[test]
fn interruptions_of_spot_nodes_make_useful_hours_dearer() {
    let spot = "rented]\nprice-per-gpu-hour = 4\nplan = \"spot\"\ndiscount = 0.5\n\
                interruptions-per-node-day = 2\nlost-minutes-per-interruption = 72";
    // A tenth of the work is lost: 6 over 2.25 GPU-hours.
    near(&cost(&one(1, spot, ""))["per_useful_gpu_hour"], 6.0 / 2.25);
    let desk = Desk::new();
    desk.put("t.csv", "job_id,submit_s,run_s,gpus\n1,0,3600,2\n");
    desk.put("s.toml", one(1, spot, ""));
    let told = desk.run(&["compare", "s.toml", "--quiet"]).ok().stdout;
    assert!(told.contains("are priced, not simulated: 10.0 %"), "{told}");
}

#[test]
fn without_a_useful_hour_its_price_is_undefined() {
    let desk = Desk::new();
    desk.put("t.csv", "job_id,submit_s,run_s,gpus,state\n1,0,3600,2,FAILED\n");
    desk.put(
        "s.toml",
        one(1, "rented]\nprice-per-gpu-hour = 2", "[objective]\nminimize = \"cost.per_useful_gpu_hour\"\n"),
    );
    let answer = desk.run(&["compare", "s.toml", "--json", "--quiet", "--out", "out"]).ok();
    let object = answer.json();
    let cost = &object["designs"]["a"]["cost"];
    assert!(cost["per_useful_gpu_hour"].is_null() && cost["per_job"].is_null(), "{cost}");
    near(&cost["total"], 4.0);
    assert!(object["verdict"]["choice"].is_null());
    let page = String::from_utf8(desk.read("out/report.html")).unwrap();
    let body = page.split("<script").next().unwrap();
    assert!(!body.contains("NaN") && !body.contains("inf"), "undefined, never infinity");
    assert!(page.contains("No design has a cost per useful GPU-hour to be judged by."));
    let told = desk.run(&["compare", "s.toml", "--quiet"]).ok().stdout;
    let row = told.lines().find(|line| line.contains("Cost per useful GPU-hour")).unwrap();
    assert!(row.trim_end().ends_with("undefined"), "{row}");
}

#[test]
fn every_view_of_the_cost_sums_to_the_total_to_the_millionth() {
    let desk = Desk::new();
    let scenario = shipped("scenarios/two-quotes.toml");
    let all = "design.north.pool.main.cost.owned.defaults=all";
    desk.run(&["compare", &scenario, "--set", all, "--out", "out", "--quiet"]).ok();
    let mut sums: BTreeMap<(String, String), i128> = BTreeMap::new();
    let text = desk.read("out/cost.csv");
    for row in csv::Reader::from_reader(text.as_slice()).records() {
        let row = row.unwrap();
        *sums.entry((row[0].to_owned(), row[1].to_owned())).or_default() += row[3].parse::<i128>().unwrap();
    }
    assert_eq!(sums.len(), 3 * 6, "three designs, six views");
    for ((design, view), sum) in &sums {
        let total = sums[&(design.clone(), "total".to_owned())];
        assert!(total > 0);
        assert_eq!(*sum, total, "{design} {view}");
    }
}

#[test]
fn the_cheapest_design_that_meets_the_objective_is_named_in_one_sentence() {
    let desk = Desk::new();
    let scenario = shipped("scenarios/two-quotes.toml");
    let object = desk.run(&["compare", &scenario, "--json", "--quiet"]).ok().json();
    let verdict = &object["verdict"];
    assert_eq!(verdict["choice"], "north");
    let sentence = verdict["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("“North: buy 3 x DGX H100” is the cheapest design that meets the objective")
    );
    assert!(sentence.contains("“Current: 2 x DGX H100” would be") && sentence.ends_with('.'), "{sentence}");
    assert_eq!(object["baseline"], "current", "the design called current");
    let text = desk.run(&["compare", &scenario, "--quiet"]).ok().stdout;
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&text).contains(&format!("Verdict: {}", words(sentence))));
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let strict = "objective.require=[\"wait_s.p95 <= 1\"]";
    let none = desk.run(&["compare", &scenario, "--json", "--quiet", "--set", strict]).ok().json();
    assert!(none["verdict"]["choice"].is_null());
    let sentence = none["verdict"]["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("No design meets the objective (wait_s.p95 <= 1); the nearest is “"),
        "{sentence}"
    );
}

#[test]
fn replicas_that_do_not_tell_two_designs_apart_say_so() {
    let design = |name: &str, price: f64| {
        format!(
            "[design.{name}.pool.main]\nnode = \"n\"\ncount = 4\n\
             [design.{name}.pool.main.cost.rented]\nprice-per-node-hour = {price}\n"
        )
    };
    let text = |price| {
        format!(
            "[workload.generate.lublin]\njobs = 200\nprocessors = 32\nload = 0.7\n[policy.easy]\n\
             [node.n]\ncpus = 8\nmem-mb = 1000\n{}{}[compare]\nreplicas = 12\n\
             [objective]\nrequire = [\"wait_s.p95 <= 1e9\"]\nminimize = \"cost.per_job\"\n",
            design("a", 1.0),
            design("b", price)
        )
    };
    let desk = Desk::new();
    let alike = compared(&desk, &text(1.0));
    assert_eq!(alike["verdict"]["not_distinguishable"], serde_json::json!(["b"]));
    assert!(alike["verdict"]["sentence"].as_str().unwrap().contains("not distinguishable from “b”"));
    let apart = compared(&desk, &text(1.5));
    assert_eq!(apart["verdict"]["not_distinguishable"], serde_json::json!([]));
    assert_eq!(apart["verdict"]["choice"], "a");
    assert_eq!(apart["verdict"]["designs"][0]["conditions"][0]["sure"], true);
    let single = compared(&desk, &text(1.5).replace("replicas = 12", "replicas = 1"));
    assert!(single["verdict"]["not_distinguishable"].is_null(), "one run tells nothing of chance");
}

#[test]
fn quotes_price_pools_and_lines_with_their_dates() {
    let desk = Desk::new();
    desk.put(
        "quotes.csv",
        "what,count,unit_price,kind,payment_date,delivery_date,term_months\n\
         n,1,1000,capital,2027-02,2027-04-10,\nswitch,2,100,capital,2027-02,2027-04,\n\
         support,1,120,yearly,2027-04,2027-04,12\n",
    );
    let text = one(1, "owned]\nprice-per-kwh = 0\ndepreciation-years = 5", "").replace(
        "[design.a.pool.main]",
        "[design.a]\nquote = \"quote\"\nmigration-cost = 50\n[design.a.pool.main]",
    ) + "[finance]\nquotes = \"quotes.csv\"\nyears = 2\nstart = \"2027-01\"\n";
    let object = compared(&desk, &text);
    let parts = &object["designs"]["a"]["cost"]["parts"];
    let share = 1.5 / (5.0 * 8766.0);
    near(&parts["hardware"], 1000.0 * share);
    near(&parts["services"], 200.0 * share + 120.0 * 1.5 / 8766.0);
    let flow = &object["outlook"]["flows"][0];
    // Paid in February, there in April: 21 of 60 months are written off; support for a year.
    let back = 1200.0 * (1.0 - 21.0 / 60.0);
    near(&flow["returned"], back);
    near(&flow["total"], 50.0 + 1200.0 + 120.0 - back);
    near(&flow["years"][0], 50.0 + 1200.0 + 90.0);
    near(&flow["years"][1], 30.0 - back);
    near(&flow["present_value"], 50.0 + 1200.0 + 120.0 - back);
}

#[test]
fn the_month_in_which_growth_breaks_a_design_is_where_its_load_does() {
    let desk = Desk::new();
    let scenario = shipped("scenarios/two-quotes.toml");
    let answer = |sets: &[&str]| {
        let mut args = vec!["compare", &scenario, "--json", "--quiet"];
        sets.iter().for_each(|set| args.extend(["--set", set]));
        desk.run(&args).ok().json()
    };
    let now = answer(&[]);
    let miss =
        now["outlook"]["growth"].as_array().unwrap().iter().find(|miss| miss["design"] == "south").unwrap();
    let (month, load) = (miss["month"].as_u64().unwrap(), miss["load"].as_f64().unwrap());
    assert!((load - libm::pow(1.25, month as f64 / 12.0)).abs() < 1e-9);
    assert!(miss["condition"].as_str().unwrap().starts_with("wait_s.p95"));
    let meets = |load: f64| {
        let found = answer(&[&format!("workload.scale.arrivals={}", 1.2 * load)]);
        let designs = found["verdict"]["designs"].as_array().unwrap().clone();
        designs.iter().find(|design| design["design"] == "south").unwrap()["meets"].as_bool().unwrap()
    };
    assert!(!meets(load), "in month {month}");
    assert!(meets(libm::pow(1.25, (month as f64 - 1.0) / 12.0)), "a month before");

    assert_eq!(now["outlook"]["choice"], now["verdict"]["choice"], "without replicas it is the same");

    // Beyond the load at which the verdict flips it is the other one.
    let flip = &now["outlook"]["load"]["below"];
    let load = flip["load"].as_f64().unwrap();
    let beyond = answer(&[&format!("workload.scale.arrivals={}", 1.2 * load * 0.999)]);
    assert_eq!(beyond["verdict"]["choice"], flip["choice"]);

    // At the price that is told the rival is as good.
    let price = now["outlook"]["prices"].as_array().unwrap().iter().find(|p| p["design"] == "south").unwrap();
    let set =
        format!("design.south.pool.main.cost={{ rented = {{ price-per-node-hour = {} }} }}", price["at"]);
    let same = answer(&[&set]);
    let decisive = |at: usize| same["verdict"]["designs"][at]["decisive"].as_f64().unwrap();
    assert!((decisive(1) - decisive(2)).abs() < 1e-4, "{} and {}", decisive(1), decisive(2));
}

#[test]
fn the_assumptions_that_are_always_told_are_told() {
    let desk = Desk::new();
    let objective = "objective.minimize=cost.per_useful_gpu_hour";
    let scenario = shipped("scenarios/whole-gpus.toml");
    let object = desk.run(&["compare", &scenario, "--json", "--quiet", "--set", objective]).ok().json();
    let swings = object["outlook"]["swings"].as_array().unwrap();
    let find = |name: &str| {
        swings.iter().find(|swing| swing["assumption"] == name).unwrap_or_else(|| panic!("{name}"))
    };
    assert_eq!(find("default job class")["source"], "every job has a class of its own");
    let speed = find("speed on other GPUs");
    assert_eq!(speed["simulated"], true);
    let noise = find("noise level");
    assert!(noise["figure"].is_null() && noise["source"].as_str().unwrap().contains("bare metal"), "{noise}");
    let price = find("price per node");
    assert_eq!(price["values"], serde_json::json!(["199000", "300000", "350000"]));
    assert!(price["source"].as_str().unwrap().contains("supercluster.blog"));
    let [low, high] = [0, 1].map(|end| price["figure"][end].as_f64().unwrap());
    assert!(low < high);
}

#[test]
fn a_warm_up_is_removed_from_waits_and_from_nothing_else() {
    let desk = Desk::new();
    let scenario = shipped("scenarios/whole-gpus.toml");
    let whole = desk.run(&["run", &scenario, "--json", "--quiet"]).ok().json();
    let set = "compare.warm-up.remove-hours=48";
    let cut = desk.run(&["run", &scenario, "--json", "--quiet", "--set", set]).ok().json();
    let of = |object: &Value, key: &str| object["designs"]["metal"].pointer(key).unwrap().clone();
    assert_ne!(of(&whole, "/wait_s/mean"), of(&cut, "/wait_s/mean"));
    for key in ["/jobs", "/utilization", "/gpu_hours", "/cost/total", "/makespan_s"] {
        assert_eq!(of(&whole, key), of(&cut, key), "{key}");
    }
    near(&cut["notes"]["warm_up_removed_hours"], 48.0);
    near(&whole["notes"]["warm_up_removed_hours"], 0.0);
}

#[test]
fn a_scenario_from_a_trace_and_quotes_runs_as_it_is() {
    let desk = Desk::new();
    let (trace, quotes) = (shipped("traces/research-team.csv"), shipped("scenarios/quotes.csv"));
    desk.run(&["new", "--trace", &trace, "--quotes", &quotes, "--out", "new.toml", "--quiet"]).ok();
    let object = desk.run(&["compare", "new.toml", "--json", "--quiet"]).ok().json();
    let names: Vec<&String> = object["designs"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["current", "north", "south"]);
    assert!(object["verdict"]["sentence"].is_string());
    assert_eq!(object["outlook"]["flows"].as_array().unwrap().len(), 3);
}

#[test]
fn a_repeated_run_has_the_same_bytes_and_refuses_changed_quotes() {
    let desk = Desk::new();
    for file in ["two-quotes.toml", "quotes.csv"] {
        desk.put(&format!("scenarios/{file}"), std::fs::read(shipped(&format!("scenarios/{file}"))).unwrap());
    }
    desk.put("traces/research-team.csv", std::fs::read(shipped("traces/research-team.csv")).unwrap());
    desk.run(&["compare", "scenarios/two-quotes.toml", "--out", "first", "--quiet"]).ok();
    desk.run(&["run", "--from", "first/manifest.json", "--out", "second", "--quiet"]).ok();
    assert!(desk.files("first") == desk.files("second"), "the bytes differ");
    let changed = String::from_utf8(desk.read("scenarios/quotes.csv")).unwrap().replace("24500", "24000");
    desk.put("scenarios/quotes.csv", changed);
    let answer = desk.run(&["run", "--from", "first/manifest.json", "--quiet"]);
    assert!(answer.code == 4 && answer.stderr.contains("W0307"), "{}", answer.told());
}

#[test]
fn bad_quotes_are_told_line_by_line() {
    let desk = Desk::new();
    desk.put(
        "quotes.csv",
        "what,count,unit_price,kind,currency,payment_date\nn,1,1000,capital,USD,March 2027\nn,one,1000,capital,,\n\
         n,1,\"1,000\",capital,,\nn,1,1000,weekly,,\nn,1,1000,capital,dollars,\n",
    );
    let text = one(1, "owned]", "[finance]\nquotes = \"quotes.csv\"\n")
        .replace("[design.a.pool.main]", "[design.a]\nquote = \"quote\"\n[design.a.pool.main]");
    desk.put("t.csv", TRACE);
    desk.put("s.toml", text);
    let answer = desk.run(&["compare", "s.toml"]);
    insta::assert_snapshot!("bad_quotes", answer.told());
}

#[test]
fn quotes_in_another_currency_and_count_are_told() {
    let desk = Desk::new();
    desk.put(
        "quotes.csv",
        "what,count,unit_price,kind,currency\nn,3,1000,capital,EUR\nswitch,1,5,capital,USD\n",
    );
    let text = one(1, "owned]\nprice-per-kwh = 0\n", "[finance]\nquotes = \"quotes.csv\"\n")
        .replace("[design.a.pool.main]", "[design.a]\nquote = \"quote\"\n[design.a.pool.main]");
    desk.put("t.csv", TRACE);
    desk.put("s.toml", text);
    let answer = desk.run(&["compare", "s.toml"]);
    insta::assert_snapshot!("mixed_quotes", answer.told());
}

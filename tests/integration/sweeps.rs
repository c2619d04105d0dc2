//! `windtunnel sweep`: every point is the run with its settings; the same bytes on any number of threads; bad
//! sweeps are told at their place.

use windtunnel::cost::CostTerms;
use windtunnel::experiment::sweep::{Around, run_points};
use windtunnel::money::Currency;
use windtunnel::report::{self, SweepReport};
use windtunnel::scenario;

use super::report_page::{browser, start};
use super::terminal::{Answer, Desk, shipped};

const JOBS: &str = "job_id,submit_s,run_s,limit_s,gpus\n\
    1,0,600,900,2\n2,10,300,600,4\n3,20,1200,1500,8\n4,25,60,100,1\n5,400,600,900,8\n6,500,60,100,2\n";

const SCENARIO: &str = r#"
[workload]
trace = "jobs.csv"
[policy.easy]
[node.n]
cpus = 64
mem-mb = 1000
gpus = 4
gpu = "H100-80GB-SXM"
[design.a]
[design.a.pool.main]
node = "n"
count = 2
[design.a.pool.main.cost.owned]
price-per-node = 100000
price-per-kwh = 0
[design.b]
[design.b.pool.main]
node = "n"
count = 3
[design.b.pool.main.cost.owned]
price-per-node = 90000
price-per-kwh = 0
"#;

const GRID: &str = r#"
[sweep.grid]
"workload.scale.arrivals" = [0.5, 1.0, 2]
"design.a.pool.main.count" = [2, 4]
[[sweep.list]]
"policy.easy.placement" = "best-fit"
[[sweep.list]]
"policy.easy.placement" = "spread"
"workload.scale.run" = 2.0
"#;

fn desk(sweep: &str) -> Desk {
    let desk = Desk::new();
    desk.put("jobs.csv", JOBS);
    desk.put("s.toml", format!("{SCENARIO}{sweep}"));
    desk
}

fn sweep(desk: &Desk, options: &[&str]) -> Answer {
    let mut args = vec!["sweep", "s.toml"];
    args.extend(options);
    desk.run(&args)
}

#[test]
fn every_point_is_the_comparison_with_its_settings() {
    let desk = desk(GRID);
    let swept = sweep(&desk, &["--json"]).ok().json();
    let points = swept["points"].as_array().unwrap();
    assert_eq!(points.len(), 12);
    let mut waits = Vec::new();
    for (number, point) in points.iter().enumerate() {
        assert_eq!(point["point"], number);
        let settings = point["settings"].as_object().unwrap();
        assert_eq!(settings.len(), if settings["policy.easy.placement"] == "spread" { 4 } else { 3 });
        let mut args = vec!["compare".to_owned(), "s.toml".to_owned(), "--json".to_owned()];
        for (path, value) in settings {
            args.extend(["--set".to_owned(), format!("{path}={value}")]);
        }
        let alone = desk.run(&args).ok().json();
        for design in ["a", "b"] {
            for key in ["wait_s", "utilization", "gpu_hours", "cost", "jobs", "makespan_s"] {
                let (ours, theirs) = (&point["designs"][design][key], &alone["designs"][design][key]);
                assert_eq!(ours, theirs, "{number} {design} {key}");
            }
        }
        waits.push(point["designs"]["a"]["wait_s"]["mean"].as_f64().unwrap());
    }
    waits.sort_by(f64::total_cmp);
    waits.dedup();
    assert!(waits.len() > 6, "the settings matter: {waits:?}");
}

#[test]
fn threads_do_not_change_a_byte() {
    let desk = desk(GRID);
    for threads in ["1", "2", "5"] {
        sweep(&desk, &["--threads", threads, "--out", threads]).ok();
    }
    let files = desk.files("1");
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["points.csv", "report.html", "sweep.json"]);
    assert_eq!(files, desk.files("2"));
    assert_eq!(files, desk.files("5"));
    let csv = String::from_utf8(desk.read("1/points.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 24, "a row for each design at each point");
    assert!(csv.starts_with("point,design,pareto_front,error,policy.easy.placement,workload.scale.run,"));
}

/// With the same jobs nobody on the front is beaten in cost and wait, and everybody else is.
#[test]
fn the_front_is_what_nobody_beats() {
    let desk = desk(GRID);
    let swept = sweep(&desk, &["--json"]).ok().json();
    let mut rows = Vec::new();
    for point in swept["points"].as_array().unwrap() {
        let jobs: Vec<String> = point["settings"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(path, _)| path.starts_with("workload."))
            .map(|(path, value)| format!("{path}={value}"))
            .collect();
        for (_, design) in point["designs"].as_object().unwrap() {
            let figure = |at: &str| design.pointer(at).unwrap().as_f64().unwrap();
            let front = design["pareto_front"].as_bool().unwrap();
            rows.push((jobs.clone(), figure("/cost/total"), figure("/wait_s/p95"), front));
        }
    }
    let beaten = |row: &(Vec<String>, f64, f64, bool)| {
        rows.iter().any(|o| o.0 == row.0 && o.1 <= row.1 && o.2 <= row.2 && (o.1 < row.1 || o.2 < row.2))
    };
    assert!(rows.iter().all(|row| row.3 != beaten(row)), "{rows:?}");
    assert!(rows.iter().any(|row| row.3) && rows.iter().any(|row| !row.3));
}

/// A point whose pools are paid in two currencies has no result; a scenario file cannot say so, a library user can.
#[test]
fn a_point_that_fails_does_not_stop_the_others() {
    let desk = desk(
        "[design.b.pool.more]\nnode = \"n\"\ncount = 1\n[design.b.pool.more.cost.owned]\nprice-per-node = 1\n[sweep.grid]\n\"design.a.pool.main.count\" = [2, 3, 4]\n",
    );
    let file = desk.path("s.toml");
    let scenario = scenario::load(&file, &[]).unwrap();
    let spec = scenario.sweep.clone().unwrap();
    let load = |point: usize| {
        let mut scenario = scenario::load(&file, &spec.points[point].settings)?;
        if point == 1
            && let Some(CostTerms::Owned(owned)) = &mut scenario.designs[1].pools[1].cost
        {
            owned.currency = Currency::from_code("EUR").unwrap();
        }
        Ok(scenario)
    };
    let around = Around { strict: false, done: &|| (), interrupted: &|| false };
    let results = run_points(3, &load, around).unwrap();
    assert!(results[0].designs.is_ok() && results[2].designs.is_ok());
    let why = results[1].designs.as_ref().unwrap_err();
    assert!(why.contains("USD and EUR"), "{why}");
    let report = SweepReport { scenario: &scenario, spec: &spec, results: &results, trace_sha256: None };
    assert!(report::sweep_json(&report)["points"][1]["error"].as_str().unwrap().contains("EUR"));
    assert!(report::sweep_text(&report).contains("point 1 has no result"));
    report::write_sweep(&report, &desk.path("out")).unwrap();
    let csv = String::from_utf8(desk.read("out/points.csv")).unwrap();
    assert_eq!(csv.lines().filter(|line| line.contains("EUR")).count(), 1, "{csv}");
    assert_eq!(csv.lines().count(), 1 + 2 + 1 + 2);
}

#[test]
fn bad_sweeps_are_told_at_their_place() {
    let bad = [
        ("", "the scenario has no sweep"),
        ("[sweep]\n", "nothing varies"),
        (
            "[sweep.grid]\n\"design.c.pool.main.count\" = [1]\n\"workload.scale.arivals\" = [1]\n",
            "unknown paths",
        ),
        ("[sweep.grid]\n\"workload.seed\" = []\n", "no values"),
        ("[sweep.grid]\n\"workload.seed\" = [1]\n[[sweep.list]]\n\"workload.seed\" = 2\n", "twice"),
        ("[sweep.grid]\n\"sweep.grid\" = [1]\n", "itself"),
        ("[sweep.grid]\n\"design.a.pool.main.count\" = [1, \"two\"]\n", "a value of the wrong type"),
    ];
    let told: Vec<String> = bad
        .iter()
        .map(|(text, what)| {
            let answer = sweep(&desk(text), &[]);
            assert_eq!(answer.code, 4, "{what}");
            format!("--- {what}\n{}", answer.told())
        })
        .collect();
    insta::assert_snapshot!("sweep_bad", told.join("\n"));
}

#[test]
fn the_page_of_a_sweep_lives_in_a_browser() {
    let desk = desk(GRID);
    sweep(&desk, &["--out", "out"]).ok();
    let page = String::from_utf8(desk.read("out/report.html")).unwrap();
    assert!(
        page.contains("default-src 'none'")
            && !page.contains("http:")
            && !page.contains("https:")
            && !page.contains("src=")
    );
    assert!(page.contains("<table class=\"plain map\">") && page.contains("<circle "));
    let Some(program) = browser() else { return };
    let output = start(&program, &desk.path("."))
        .arg("--dump-dom")
        .arg(format!("file://{}", desk.path("out/report.html").display()))
        .output()
        .unwrap();
    let dom = String::from_utf8(output.stdout).unwrap();
    assert!(dom.contains("<button type=\"button\" class=\"sort\">"), "the script ran: {dom}");
}

#[test]
fn the_shipped_sweep_runs() {
    let desk = Desk::new();
    let answer = desk.run(&["sweep", &shipped("scenarios/how-many-nodes.toml")]).ok();
    assert!(answer.stdout.lines().all(|line| line.chars().count() <= 120), "{}", answer.stdout);
    assert!(answer.stdout.contains("16 points"), "{}", answer.stdout);
}

//! Rates, finish times and steps against other programs' answers.

use serde_json::Value;
use windtunnel::fabric::contention::{Demand, steps};
use windtunnel::fabric::flows::{Transfer, ends};
use windtunnel::fabric::rates::Filling;
use windtunnel::time::SimTime;
use windtunnel::validation::fabric::{CurvesFrom, validate};

fn cases(file: &str) -> Option<Vec<Value>> {
    let path = super::shared::folder(&format!("fabric/{file}"))?;
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    Some(whole["cases"].as_array().unwrap().clone())
}

/// Links of a case by name, with their capacities.
fn links(case: &Value) -> (Vec<String>, Vec<f64>) {
    let links = case["links"].as_object().unwrap();
    links.iter().map(|(name, capacity)| (name.clone(), capacity.as_f64().unwrap())).unzip()
}

fn numbered(names: &[String], map: &Value) -> Vec<(u32, f64)> {
    let number = |name: &str| names.iter().position(|known| known == name).unwrap() as u32;
    map.as_object().unwrap().iter().map(|(name, value)| (number(name), value.as_f64().unwrap())).collect()
}

#[test]
fn rates_are_those_of_lexicographic_linear_programs() {
    let Some(cases) = cases("rates_cases.json") else { return };
    for case in cases {
        let (names, capacity) = links(&case);
        let mut filling = Filling::default();
        capacity.iter().for_each(|capacity| {
            filling.link(*capacity);
        });
        let flows = case["flows"].as_array().unwrap();
        for flow in flows {
            let cap = flow["cap"].as_f64().unwrap_or(f64::INFINITY);
            filling.flow(numbered(&names, &flow["weights"]), cap);
        }
        for (flow, rate) in flows.iter().zip(filling.solve()) {
            let want = case["expected_rate"][flow["name"].as_str().unwrap()].as_f64().unwrap();
            assert!((rate / want - 1.0).abs() <= 1e-6, "{} {}: {rate} {want}", case["name"], flow["name"]);
        }
    }
}

#[test]
fn transfers_end_when_simgrid_says() {
    let Some(cases) = cases("simgrid332_flows.json") else { return };
    for case in cases {
        let (names, capacity) = links(&case);
        let flows = case["flows"].as_array().unwrap();
        let transfers: Vec<Transfer> = flows
            .iter()
            .map(|flow| Transfer {
                start: SimTime::from_micros((flow["start_s"].as_f64().unwrap() * 1e6).round() as i64),
                bytes: flow["bytes"].as_f64().unwrap(),
                links: (flow["links"].as_array().unwrap().iter())
                    .map(|link| names.iter().position(|name| name == link.as_str().unwrap()).unwrap() as u32)
                    .collect(),
            })
            .collect();
        for (flow, end) in flows.iter().zip(ends(&capacity, &transfers)) {
            let (ours, want) = (end.unwrap().as_s(), flow["finish_s"].as_f64().unwrap());
            assert!((ours - want).abs() <= 1e-5, "{}: {ours} {want}", case["name"]);
        }
    }
}

#[test]
fn steps_of_jobs_on_common_links_are_those_of_the_reference() {
    let Some(cases) = cases("contention_cases.json") else { return };
    for case in cases {
        let (names, capacity) = links(&case);
        let jobs = case["jobs"].as_object().unwrap();
        let demands: Vec<Demand> = jobs
            .values()
            .map(|job| Demand {
                compute_s: job["compute_s"].as_f64().unwrap(),
                bytes: numbered(&names, &job["bytes"]),
                hidden: job["hidden"].as_f64().unwrap_or(0.0),
                cap: job["cap"].as_f64(),
                latency_s: job["latency_s"].as_f64().unwrap_or(0.0),
            })
            .collect();
        let found = steps(&capacity, &demands, case["phase_overlap"].as_f64().unwrap());
        for ((name, _), step) in jobs.iter().zip(found) {
            let want = &case["expected"][name];
            let near = |ours: f64, key: &str| (ours / want[key].as_f64().unwrap() - 1.0).abs() <= 1e-5;
            assert!(
                near(step.now_s, "iteration_s")
                    && near(step.alone_s, "alone_s")
                    && near(step.slowdown(), "slowdown"),
                "{} {name}: {step:?} {want}",
                case["name"]
            );
        }
    }
}

#[test]
fn all_bars_of_networks_are_kept() {
    let Some(folder) = super::shared::folder("fabric") else { return };
    let found = validate(&[], &CurvesFrom::Shared, folder.parent().unwrap()).unwrap();
    assert!(found.section.absent.is_empty(), "{:?}", found.section.absent);
    assert_eq!((found.section.rows.len(), found.files.len()), (20, 5));
    let outside: Vec<_> = found.section.outside().collect();
    assert!(outside.is_empty(), "{outside:#?}");
}

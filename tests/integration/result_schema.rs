//! `windtunnel schema FILE` describes exactly the columns and keys that result files have.

use std::collections::BTreeSet;

use serde_json::Value;
use windtunnel::report::{self, Manifest};

use super::report_page::Compared;
use super::terminal::Desk;

fn names(file: &str) -> Vec<String> {
    let schema = report::file_schema(file).unwrap();
    let fields = schema["fields"].as_array().unwrap();
    for field in fields {
        assert!(!field["meaning"].as_str().unwrap().is_empty(), "{field}");
    }
    fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

/// `a.{b,c}.d` as `a.b.d`, `a.c.d`.
fn spread(name: &str) -> Vec<String> {
    let Some((before, rest)) = name.split_once('{') else { return vec![name.to_owned()] };
    let (inside, after) = rest.split_once('}').unwrap();
    inside.split(',').flat_map(|one| spread(&format!("{before}{one}{after}"))).collect()
}

const SHIPPED: [&str; 8] = [
    "whole-gpus.toml",
    "hpc-small.toml",
    "slurm.toml",
    "training-policies.toml",
    "mig.toml",
    "vm-noise.toml",
    "two-quotes.toml",
    "host-failures.toml",
];

#[test]
fn tables_have_the_columns_of_their_schema() {
    let directory = tempfile::tempdir().unwrap();
    for scenario in SHIPPED {
        let compared = Compared::shipped(scenario);
        let context = compared.context();
        report::write_results(&context, &Manifest::new(&context, None), directory.path()).unwrap();
        for file in ["jobs.csv", "timeline.csv", "ledger.csv"] {
            let mut csv = csv::Reader::from_path(directory.path().join(file)).unwrap();
            let columns: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
            assert_eq!(columns, names(file), "{file}");
            assert!(csv.records().all(|row| row.unwrap().len() == columns.len()), "{file}");
        }
    }
    let compared = Compared::shipped("two-quotes.toml");
    report::write_results(&compared.context(), &Manifest::new(&compared.context(), None), directory.path())
        .unwrap();
    let mut csv = csv::Reader::from_path(directory.path().join("cost.csv")).unwrap();
    let columns: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(columns, names("cost.csv"));
    assert!(report::file_schema("other.csv").is_none());
}

/// Every key of the summary is described, and everything described is there.
#[test]
fn the_summary_has_the_keys_of_its_schema() {
    let described: BTreeSet<String> = names("summary.json").iter().flat_map(|name| spread(name)).collect();
    let mut found = BTreeSet::new();
    for scenario in SHIPPED {
        let compared = Compared::shipped(scenario);
        keys("", &report::designs_json(&compared.context()), &mut found);
    }
    // A described object stands for all that is in it; keys of maps by name are written <name>.
    let covers = |name: &str, key: &str| {
        let (name, key): (Vec<&str>, Vec<&str>) = (name.split('.').collect(), key.split('.').collect());
        name.len() <= key.len() && name.iter().zip(&key).all(|(n, k)| n == k || *n == "<name>")
    };
    for key in &found {
        assert!(described.iter().any(|name| covers(name, key)), "{key} is not described");
    }
    // Versions of Slurm between two recorded ones: slurm_what_if looks at it.
    let is_elsewhere = |name: &str| name == "version_check";
    for name in described.iter().filter(|name| !name.starts_with("<spread>") && !is_elsewhere(name)) {
        assert!(found.iter().any(|key| covers(name, key)), "{name} is not in the summary");
    }
    let spread: BTreeSet<&str> = described.iter().filter_map(|name| name.strip_prefix("<spread>.")).collect();
    for of in ["wait_s", "turnaround_s", "bounded_slowdown"] {
        let start = format!("designs.metal.{of}.");
        let keys: BTreeSet<&str> = found.iter().filter_map(|key| key.strip_prefix(&start)).collect();
        assert_eq!(keys, spread, "{of}");
    }
}

/// Every key of a backtest is described, and everything described is there.
#[test]
fn a_backtest_has_the_keys_of_its_schema() {
    let desk = Desk::new();
    desk.put("t.csv", "job_id,submit_s,run_s,start_s,user\n1,0,100,0,a\n2,10,50,120,b\n");
    let object = desk.run(&["backtest", "t.csv", "--procs", "1", "--json"]).ok().json();
    let described: BTreeSet<String> = names("backtest.json").iter().flat_map(|name| spread(name)).collect();
    let mut found = BTreeSet::new();
    keys("", &object, &mut found);
    let covers =
        |name: &str, key: &str| key == name || key.strip_prefix(name).is_some_and(|k| k.starts_with('.'));
    for key in &found {
        assert!(described.iter().any(|name| covers(name, key)), "{key} is not described");
    }
    for name in &described {
        assert!(found.iter().any(|key| covers(name, key)), "{name} is not in the backtest");
    }
}

fn keys(at: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (key, value) in object {
                keys(&if at.is_empty() { key.clone() } else { format!("{at}.{key}") }, value, found);
            }
        }
        _ => {
            found.insert(at.to_owned());
        }
    }
}

//! The recorded micro cluster of Slurm 20.02: which nodes each recorded start takes, and what `validate ub` prints.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use windtunnel::scenario::slurm_conf::{SiteFiles, expand_hosts, read_site, read_topology};
use windtunnel::scheduler::slurm::config::{GresCount, SlurmConfig, Version};
use windtunnel::scheduler::slurm::hardware_of;
use windtunnel::scheduler::slurm::job::Ask;
use windtunnel::scheduler::slurm::placement::{Free, Placement};

use super::shared;
use super::terminal::Desk;

fn rows(path: &Path, delimiter: u8) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_path(path).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

fn site(dir: &Path) -> SlurmConfig {
    let (slurm_conf, gres) = (dir.join("slurm.conf"), dir.join("gres.conf"));
    let version = Some(Version::SERIES[0]);
    let files = SiteFiles { slurm_conf: &slurm_conf, gres_conf: Some(&gres), accounting: None, version };
    let mut site = read_site(files).unwrap();
    read_topology(&dir.join("topology.conf"), &mut site);
    site.config
}

fn ask_of(row: &BTreeMap<String, String>) -> Ask {
    let number = |key: &str| row[key].parse::<u32>().unwrap();
    let each = number("ntasks_per_node");
    let gpus = row["gres"].strip_prefix("gpu:").map(|count| count.parse().unwrap());
    Ask {
        min_nodes: 1,
        cpus: number("n_tasks"),
        cpus_per_node: each,
        // the site's DefMemPerCPU
        mem_mb_per_node: row["mem"].parse().unwrap_or(2_800 * u64::from(each)),
        gres: gpus.into_iter().map(|count| GresCount { device_type: None, count }).collect(),
        fixed_per_node: true,
        features: Some(row["constraint"].as_str())
            .filter(|word| !word.is_empty())
            .map(Box::from)
            .into_iter()
            .collect(),
        ..Ask::default()
    }
}

/// One recorded run from its own starts and ends: at each start, what is free then and where the job went.
#[test]
fn recorded_starts_are_put_on_the_recorded_nodes() {
    let Some(dir) = shared::folder("slurm-sites/ub_micro2") else { return };
    let config = site(&dir);
    let names: Vec<&str> = config.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(
        names,
        ["b1", "g1", "m1", "m2", "m3", "m4", "n1", "n2", "n3", "n4"],
        "by name, not as in the file"
    );
    let hardware = hardware_of(&config);
    let rule = Placement::new(&config, &hardware);
    let asks: BTreeMap<String, Ask> =
        rows(&dir.join("jobs500.csv"), b';').iter().map(|row| (row["job_id"].clone(), ask_of(row))).collect();
    let place: BTreeMap<String, (Vec<usize>, f64)> = rows(&dir.join("placement_one_run_real.csv"), b',')
        .iter()
        .map(|row| {
            let at = |host: &String| names.iter().position(|name| name == host).unwrap();
            let nodes = expand_hosts(&row["nodes"]).unwrap().iter().map(at).collect();
            (row["job_id"].clone(), (nodes, row["start_s"].parse().unwrap()))
        })
        .collect();
    let mut events: Vec<(f64, bool, String)> = Vec::new();
    for row in rows(&dir.join("runs_1000rows.csv"), b',') {
        let start: f64 = row["launch_job"].parse().unwrap();
        let job = &row["job_id"];
        if (start - place[job].1).abs() < 1e-3 {
            events.push((start, true, job.clone()));
            events.push((row["job_epilog_complete"].parse().unwrap(), false, job.clone()));
        }
    }
    assert_eq!(events.len(), 2 * place.len(), "the run whose nodes were recorded");
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut free: Vec<Free> = hardware.iter().map(|node| node.empty.clone()).collect();
    let mut all = config.no_nodes();
    all.insert_range(..);
    let mut same = 0;
    for (_, starts, job) in events {
        let (ask, nodes) = (&asks[&job], &place[&job].0);
        if starts {
            let mut ours = rule.choose(ask, &all, &free).unwrap_or_default();
            ours.sort_unstable();
            same += usize::from(ours == *nodes);
        }
        for node in nodes {
            let gpus: u32 = ask.gres.iter().map(|gres| gres.count).sum();
            let row = &mut free[*node];
            if starts {
                row.cpus -= ask.cpus_per_node;
                row.mem_mb -= ask.mem_mb_per_node;
                for _ in 0..gpus {
                    row.gpus &= row.gpus - 1;
                }
            } else {
                row.cpus += ask.cpus_per_node;
                row.mem_mb += ask.mem_mb_per_node;
                for _ in 0..gpus {
                    row.gpus |= (!row.gpus) & (row.gpus + 1);
                }
            }
        }
    }
    // the rest are starts of the backfill thread, which sees fewer nodes than are free: others are reserved
    assert!(same >= 485, "{same} of {} starts", place.len());
}

#[test]
fn what_the_command_prints_is_a_contract() {
    let Some(dir) = shared::folder("slurm-sites/ub_micro2") else { return };
    let out = Desk::new().run(&["validate", "ub", "--dir", dir.to_str().unwrap(), "--seeds", "4", "--json"]);
    let told: Value = serde_json::from_str(&out.stdout).unwrap();
    let ub = &told["ub"];
    for key in ["mean_of_medians_s", "mean_abs_diff_s"] {
        assert!(ub[key].as_f64().is_some_and(|value| value > 0.0), "{key}: {ub}");
    }
    for class in ["gpu", "big_memory", "plain"] {
        let (real, ours) = (&ub["classes"][class]["real_s"], &ub["classes"][class]["ours_s"]);
        assert!(real.as_f64() > Some(9_000.0) && ours.as_f64() > Some(1_000.0), "{class}: {real} {ours}");
    }
    assert!(ub["one_node"]["g1"].as_f64() > Some(20.0) && ub["one_node"]["b1"].as_f64() > Some(5.0));
    assert_eq!(ub["jobs"].as_array().unwrap().len(), 500);
}

//! The traces that come with the project are what their recorded commands make, byte for byte.
//! `WINDTUNNEL_UPDATE=1 cargo test` writes them anew.

use std::path::Path;

use windtunnel::workload::generate::{Model, generate};
use windtunnel::workload::stats::{Capacity, TraceStats, stats};
use windtunnel::workload::write::write_csv;
use windtunnel::workload::write_swf::write_swf;
use windtunnel::workload::{ReadOptions, RepairKind, Workload, read_trace};

const TRACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/traces");

/// One `windtunnel trace generate` command of the README.
struct Recipe {
    file: String,
    workload: Workload,
}

#[test]
fn shipped_traces_are_regenerated_byte_for_byte() {
    let recipes = recipes();
    let names: Vec<&str> = recipes.iter().map(|r| r.file.as_str()).collect();
    assert_eq!(names, ["research-team.csv", "training-cluster.csv", "hpc-small.swf"]);
    let mut bytes = 0;
    for recipe in &recipes {
        let path = Path::new(TRACES).join(&recipe.file);
        let made = written(&recipe.file, &recipe.workload);
        bytes += made.len();
        if std::env::var_os("WINDTUNNEL_UPDATE").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        assert!(made == std::fs::read(&path).unwrap(), "{} differs from what its command makes", recipe.file);
    }
    assert!(bytes < 1_500_000, "the shipped traces have {bytes} bytes");
}

#[test]
fn shipped_traces_are_read_as_they_were_made() {
    for recipe in recipes() {
        let path = Path::new(TRACES).join(&recipe.file);
        let read = read_trace(&path, &ReadOptions::default()).unwrap();
        assert_eq!(read.repairs.rows(RepairKind::Refused), 0, "{}", recipe.file);
        let made = stats(&recipe.workload, None);
        let again = stats(&read, None);
        assert_eq!((again.jobs, again.span_s, again.gpu_hours), (made.jobs, made.span_s, made.gpu_hours));
        assert_eq!((again.cpu_hours, again.session_share), (made.cpu_hours, made.session_share));
        assert_eq!((again.limits, again.users), (made.limits, made.users));
    }
}

#[test]
fn shipped_traces_hold_what_they_are_for() {
    let recipes = recipes();
    let of = |at: usize, gpus: Option<u64>, cpus: Option<u64>| -> TraceStats {
        stats(&recipes[at].workload, Some(Capacity { gpus, cpus, gpus_per_node: Some(8) }))
    };
    let near = |got: Option<f64>, want: f64| {
        assert!((got.unwrap() / want - 1.0).abs() < 0.02, "{got:?} against {want}")
    };

    let team = of(0, Some(16), None);
    near(team.offered_load_gpu, 0.8);
    assert!((2000..5000).contains(&team.jobs) && team.users.users == 12);
    assert!((0.08..0.25).contains(&team.session_share.unwrap()), "{:?}", team.session_share);
    assert_eq!(team.gpus_per_job.unwrap().max, 8.0);
    let w = &recipes[0].workload;
    let small =
        w.jobs.iter().filter(|j| w.requests.get(j.request).gpu_mem_mib.is_some_and(|m| m <= 20_000)).count();
    assert!(small as f64 > 0.3 * team.jobs as f64, "{small} jobs need at most a quarter of an 80 GB GPU");

    let training = of(1, Some(128), None);
    near(training.offered_load_gpu, 0.85);
    assert_eq!(training.jobs, 10_000);
    assert!((0.4..0.8).contains(&training.multi_node_share.unwrap()), "{:?}", training.multi_node_share);
    assert!(training.sizes[0].jobs_share > 0.5);

    let hpc = of(2, None, Some(256));
    near(hpc.offered_load_cpu, 0.75);
    assert!((3000..6000).contains(&hpc.jobs) && hpc.gpu_jobs == 0);
}

fn recipes() -> Vec<Recipe> {
    let readme = std::fs::read_to_string(format!("{TRACES}/README.md")).unwrap();
    readme.lines().filter_map(|line| line.strip_prefix("windtunnel trace generate ")).map(recipe).collect()
}

/// What the command line makes of these words.
fn recipe(words: &str) -> Recipe {
    let words: Vec<&str> = words.split_whitespace().collect();
    let (mut seed, mut file, mut settings) = (0, String::new(), Vec::new());
    for pair in words[1..].chunks(2) {
        match pair {
            ["--seed", n] => seed = n.parse().unwrap(),
            ["--out", path] => file = path.strip_prefix("traces/").unwrap().to_owned(),
            ["--set", setting] => settings.push(setting.split_once('=').unwrap()),
            [key, value] => settings.push((key.strip_prefix("--").unwrap(), *value)),
            _ => panic!("{pair:?}"),
        }
    }
    let model = Model::from_settings(words[0], &settings).unwrap();
    Recipe { file, workload: generate(&model, seed).unwrap() }
}

fn written(file: &str, workload: &Workload) -> Vec<u8> {
    let mut out = Vec::new();
    if file.ends_with(".swf") { write_swf(workload, &mut out) } else { write_csv(workload, &mut out) }
        .unwrap();
    out
}

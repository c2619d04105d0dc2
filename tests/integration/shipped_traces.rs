//! The traces that come with the project are what their recorded commands make, byte for byte.
//! `WINDTUNNEL_UPDATE=1 cargo test` writes them anew.

use std::path::Path;

use windtunnel::ids::{Id, JobId};
use windtunnel::workload::generate::{Model, generate};
use windtunnel::workload::stats::{Capacity, TraceStats, stats};
use windtunnel::workload::write_swf::write_swf;
use windtunnel::workload::{JobFlags, JobName, Workload};

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
        let made = if recipe.file.ends_with(".swf") { swf(&recipe.workload) } else { csv(&recipe.workload) };
        bytes += made.len();
        if std::env::var_os("WINDTUNNEL_UPDATE").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        assert!(made == std::fs::read(&path).unwrap(), "{} differs from what its command makes", recipe.file);
    }
    assert!(bytes < 1_500_000, "the shipped traces have {bytes} bytes");
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

fn swf(workload: &Workload) -> Vec<u8> {
    let mut out = Vec::new();
    write_swf(workload, &mut out).unwrap();
    out
}

/// The native CSV: only columns that some job fills.
fn csv(w: &Workload) -> Vec<u8> {
    type Cell = fn(&Workload, usize) -> Option<String>;
    fn job(w: &Workload, at: usize) -> &windtunnel::workload::Job {
        &w.jobs.as_slice()[at]
    }
    fn request(w: &Workload, at: usize) -> &windtunnel::workload::Request {
        w.requests.get(job(w, at).request)
    }
    fn labels(w: &Workload, at: usize) -> &windtunnel::workload::Labels {
        w.labels.get(job(w, at).labels)
    }
    fn text(w: &Workload, id: Option<windtunnel::ids::TextId>) -> Option<String> {
        id.map(|id| w.texts.get(id).to_owned())
    }
    fn show(value: Option<impl ToString>) -> Option<String> {
        value.map(|v| v.to_string())
    }
    let columns: [(&str, Cell); 15] = [
        ("job_id", |w, at| match job(w, at).name {
            JobName::Number(n) => Some(n.to_string()),
            JobName::Text(_) => None,
        }),
        ("submit_s", |w, at| show(Some(job(w, at).submit))),
        ("run_s", |w, at| show(Some(job(w, at).run))),
        ("limit_s", |w, at| show(Some(job(w, at).limit))),
        ("user", |w, at| text(w, labels(w, at).user)),
        ("account", |w, at| text(w, labels(w, at).account)),
        ("nodes", |w, at| show(request(w, at).nodes)),
        ("cpus", |w, at| show(request(w, at).cpus)),
        ("mem_mb", |w, at| show(request(w, at).mem_mb_per_node)),
        ("gpus", |w, at| show(request(w, at).gpus)),
        ("gpu_milli", |w, at| show(request(w, at).gpu_milli)),
        ("gpu_mem_mib", |w, at| show(request(w, at).gpu_mem_mib)),
        ("class", |w, at| text(w, labels(w, at).class)),
        ("kind", |w, at| job(w, at).flags.has(JobFlags::SESSION).then(|| "session".to_owned())),
        ("gpu_util", |w, at| {
            let milli = w.recorded.get(JobId::new(at)).gpu_util_milli?;
            Some(format!("{}.{:03}", milli / 1000, milli % 1000))
        }),
    ];
    let jobs = w.jobs.len();
    let used: Vec<_> = columns.iter().filter(|(_, cell)| (0..jobs).any(|at| cell(w, at).is_some())).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(used.iter().map(|(name, _)| *name)).unwrap();
    for at in 0..jobs {
        writer.write_record(used.iter().map(|(_, cell)| cell(w, at).unwrap_or_default())).unwrap();
    }
    writer.into_inner().unwrap()
}

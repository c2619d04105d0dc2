//! SRTF, SRSF and Tiresias on the traces of Muri (Zhao et al., SIGCOMM 2022), by its simulator's rules.
//!
//! The rules: `trace` says what a job is, `replay` what happens when, `scheduler::preemptive` who runs.
//! Work, time and overhead are integers in microseconds, so the order of events never depends on rounding.

mod replay;
mod trace;

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;

pub use replay::{Figures, replay};
pub use trace::{MuriCluster, MuriJob, Overheads, TraceInput, read_input};

use super::{Row, Section, Tolerance};
use crate::diagnostic::Diagnostics;
use crate::scheduler::preemptive::PreemptivePolicy;

/// One published row.
#[derive(Clone, Debug, Deserialize)]
struct Published {
    table: String,
    file: String,
    policy: String,
    jct_mean_s: f64,
    makespan_s: f64,
    jct_p99_s: f64,
    tolerance_pct: f64,
}

fn published() -> Vec<Published> {
    let reader = csv::Reader::from_reader(include_str!("muri/published.csv").as_bytes());
    let rows = reader.into_deserialize().collect::<Result<_, _>>();
    rows.expect("the built-in table is well-formed: a test reads it")
}

/// Reproduces the published rows from the files in `folder`.
///
/// # Errors
/// Files that are there but cannot be read.
pub fn validate(folder: &Path) -> Result<Section, Diagnostics> {
    let mut section = Section {
        name: "muri",
        title: "Muri: SRTF, SRSF and Tiresias on 64 GPUs",
        about: "Published: figure data of Rivendile/Muri @ 4e69a78ce7 (traces 1 to 3', simulated) and its \
                testbed run (semi-physical: with time compression). Reproduced with the rules of its \
                simulator, which charge the restart overhead at every event, moved or not.",
        ..Section::default()
    };
    let rows = published();
    let mut files: Vec<&str> = rows.iter().map(|row| row.file.as_str()).collect();
    files.dedup();
    let cluster = folder.join("cluster_n8g8.csv");
    let (there, absent): (Vec<PathBuf>, Vec<PathBuf>) =
        files.iter().map(|file| folder.join(file)).chain([cluster.clone()]).partition(|path| path.exists());
    section.absent = absent;
    if !there.contains(&cluster) {
        return Ok(section);
    }
    let traces = there.into_par_iter().filter(|path| *path != cluster);
    let inputs: Vec<(PathBuf, Result<TraceInput, Diagnostics>)> = traces
        .map(|path| {
            let read = read_input(&path, &cluster, None, true);
            (path, read)
        })
        .collect();
    let mut ready = Vec::new();
    for (path, input) in inputs {
        ready.push((path, input?));
    }
    let measured: Vec<Option<Figures>> = rows
        .par_iter()
        .map(|row| {
            let (_, input) = ready.iter().find(|(path, _)| path.ends_with(&row.file))?;
            let policy = PreemptivePolicy::ALL.iter().find(|(_, name)| *name == row.policy)?.0;
            Some(replay(input, policy))
        })
        .collect();
    for (row, ours) in rows.iter().zip(measured) {
        section.rows.extend(ours.into_iter().flat_map(|ours| compare(row, &ours)));
    }
    Ok(section)
}

fn compare(row: &Published, ours: &Figures) -> [Row; 3] {
    let trace = row.file.split('.').next().unwrap_or(&row.file);
    let figure = |name: &str, published: f64, ours: f64| Row {
        what: format!("{} {trace} {} {name}", row.table, row.policy),
        published,
        ours,
        tolerance: Tolerance::Relative(row.tolerance_pct),
        decimals: 2,
    };
    [
        figure("mean JCT (s)", row.jct_mean_s, ours.jct_mean_s),
        figure("makespan (s)", row.makespan_s, ours.makespan_s),
        figure("p99 JCT (s)", row.jct_p99_s, ours.jct_p99_s),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_table_names_known_policies() {
        assert_eq!(published().len(), 18);
        for row in published() {
            assert!(PreemptivePolicy::ALL.iter().any(|(_, name)| *name == row.policy), "{}", row.policy);
        }
    }
}

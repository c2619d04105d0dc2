//! Recorded experiments on real Slurm against the simulator.
//!
//! ```text
//!   folder ─> experiment (slurm.conf, gres.conf, accounting.txt, jobs.csv, events.csv, observed*.csv)
//!          ─> a run for every seed ─> figures, as ../shared/slurm-reference/analyze.py defines them
//!          ─> agreement with the recorded runs ─> checks against the tolerances
//! ```
//!
//! The simulator sees nothing of the recorded runs but when the controller started (`*.meta.txt`, the
//! phase of its timers); what remains of chance is drawn anew for every seed.

mod check;
mod experiment;
mod figures;
mod observed;
mod page;
mod replay;
mod report;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::diagnostic::Diagnostic;
use crate::scheduler::slurm::hardware_of;
use crate::simulation::slurm::{Chance, SlurmOutcome, SlurmRun, run_slurm};

pub use check::{Check, pooled_relative_sd};
pub use experiment::Experiment;
pub use figures::Figures;
pub use page::markdown;
pub use replay::{ReplayScore, replay, replay_run};
pub use report::{ExperimentReport, Skipped, SlurmValidation};

/// Runs every experiment over `seeds` seeds (0, 1, ...) and compares.
///
/// # Errors
/// The first folder that cannot be read, with all that is wrong in it.
pub fn validate_slurm(dirs: &[&Path], seeds: u64) -> Result<SlurmValidation, Vec<Diagnostic>> {
    let mut reports = Vec::new();
    let mut skipped = Vec::new();
    for dir in dirs {
        let has = |name: &str| dir.join(name).exists();
        if dir.is_dir() && !has("slurm.conf") && !has("jobs.csv") {
            let name = dir.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
            let reason = "no experiment: neither slurm.conf nor jobs.csv".to_owned();
            skipped.push(Skipped { name, reason });
            continue;
        }
        let experiment = Experiment::read(dir)?;
        match experiment.not_modelled.clone() {
            Some(reason) => skipped.push(Skipped { name: experiment.name, reason }),
            None => reports.push(ExperimentReport::new(&experiment, &run_seeds(&experiment, seeds))),
        }
    }
    Ok(SlurmValidation::new(reports, skipped))
}

/// The recorded experiments beside the project, by name, those of newer versions after the others; empty where they are
/// not there.
#[must_use]
pub fn recordings(shared: &Path) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for beside in ["slurm-reference", "slurm-reference-newer"] {
        let Ok(entries) = std::fs::read_dir(shared.join(beside)) else { continue };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut these: Vec<PathBuf> = paths.filter(|path| path.join("slurm.conf").is_file()).collect();
        these.sort();
        dirs.append(&mut these);
    }
    dirs
}

/// The runs of one experiment, by seed.
#[must_use]
pub fn run_seeds(experiment: &Experiment, seeds: u64) -> Vec<SlurmOutcome> {
    (0..seeds).into_par_iter().map(|seed| run_once(experiment, seed)).collect()
}

/// One run of an experiment.
#[must_use]
pub fn run_once(experiment: &Experiment, seed: u64) -> SlurmOutcome {
    let hardware = hardware_of(&experiment.config);
    run_slurm(
        SlurmRun {
            config: &experiment.config,
            hardware: &hardware,
            specs: &experiment.specs,
            jobs: &experiment.jobs,
            commands: &experiment.commands,
            chance: Chance { seed, phases: experiment.phases },
            translated: None,
        },
        &|| false,
    )
}

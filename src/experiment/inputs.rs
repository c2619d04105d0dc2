//! From a scenario's workload to jobs, and what identifies its input files.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Trust;
use super::recorded_on::to_bare_metal;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::scenario::{WorkloadSource, WorkloadSpec};
use crate::time::SimDuration;
use crate::workload::classify::{self, Classified};
use crate::workload::generate;
use crate::workload::memory::need_from_peaks;
use crate::workload::read::{ReadOptions, read_trace};
use crate::workload::scale;
use crate::workload::{RepairKind, Workload};

/// A workload ready to run, and what it was made from.
#[derive(Debug)]
pub struct LoadedWorkload {
    /// The jobs.
    pub workload: Workload,
    /// What named the job classes.
    pub classified: Classified,
    /// The trace file, if there is one.
    pub input: Option<InputFile>,
    /// Jobs whose recorded peak of GPU memory stands for a need that they do not declare.
    pub needs_from_peaks: u64,
    /// The backtest that the scenario attaches; put in by whoever shows it.
    pub trust: Option<Trust>,
}

/// A file that a run depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// As the scenario writes it.
    pub written: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Reads or generates, classifies, cuts and scales.
///
/// # Errors
/// What is wrong with the trace, the generator's settings or the factors.
pub fn load_workload(spec: &WorkloadSpec, strict: bool) -> Result<LoadedWorkload, Diagnostics> {
    let (workload, input) = source(spec, strict)?;
    let mut workload = cut(workload, spec)?;
    let needs_from_peaks = if spec.memory_from_peak { need_from_peaks(&mut workload) } else { 0 };
    let classified = classify::classify(&mut workload, &spec.class_rules);
    if let Some(recorded_on) = &spec.recorded_on {
        to_bare_metal(&mut workload, recorded_on);
    }
    let workload = scale::scale(workload, &spec.scale).map_err(one)?;
    Ok(LoadedWorkload { workload, classified, input, needs_from_peaks, trust: None })
}

fn source(spec: &WorkloadSpec, strict: bool) -> Result<(Workload, Option<InputFile>), Diagnostics> {
    match &spec.source {
        WorkloadSource::Trace { path, written } => {
            let options = ReadOptions { strict, ..spec.read_options() };
            let workload = read_trace(path, &options).map_err(|error| error.diagnostics)?;
            Ok((workload, Some(InputFile { written: written.clone(), path: path.clone() })))
        }
        WorkloadSource::Generate { model, .. } => Ok((generate::generate(model, spec.seed)?, None)),
    }
}

/// Keeps the jobs submitted inside the window, which counts from the first submission.
fn cut(workload: Workload, spec: &WorkloadSpec) -> Result<Workload, Diagnostics> {
    let Some(window) = spec.window else { return Ok(workload) };
    let first = workload.first_submit();
    let from = first + window.from;
    let until = first + window.until.unwrap_or(SimDuration::MAX);
    let cut = workload.select(|job| job.submit >= from && job.submit < until);
    if cut.jobs.is_empty() {
        let message = "no job was submitted inside workload.window";
        return Err(one(Diagnostic::error("W0140", message).help("widen the window, or leave it out")));
    }
    Ok(cut)
}

fn one(diagnostic: Diagnostic) -> Diagnostics {
    let mut told = Diagnostics::default();
    told.push(diagnostic);
    told
}

/// SHA-256 of a file's bytes, in hexadecimal.
///
/// # Errors
/// A diagnostic (W0301) where it cannot be read.
pub fn hash_file(path: &Path) -> Result<String, Diagnostic> {
    let unreadable = |error: std::io::Error| {
        Diagnostic::error("W0301", format!("cannot read '{}': {error}", path.display()))
            .at(Place::File(path.display().to_string().into()))
    };
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hexadecimal(hasher))
}

/// SHA-256 of a text, in hexadecimal.
#[must_use]
pub fn hash_text(text: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(text.as_bytes());
    hexadecimal(hasher)
}

fn hexadecimal(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl LoadedWorkload {
    /// Rows refused and values changed by the reader.
    #[must_use]
    pub fn repaired(&self) -> (u64, u64) {
        let repairs = &self.workload.repairs;
        (repairs.rows(RepairKind::Refused), repairs.rows(RepairKind::Changed))
    }
}

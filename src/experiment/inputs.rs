//! From a scenario's workload to jobs, and what identifies its input files.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::scenario::{WorkloadSource, WorkloadSpec};
use crate::time::SimDuration;
use crate::workload::classify::{self, Classified};
use crate::workload::generate::{self, Model};
use crate::workload::read::{ReadOptions, read_trace};
use crate::workload::scale::{self, Scale};
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
    let classified = classify::classify(&mut workload, &rules(spec));
    let factors = &spec.scale;
    let factors = Scale::new(factors.arrivals, factors.run, factors.size).map_err(one)?;
    let workload =
        if factors.is_identity() { workload } else { scale::scale(workload, &factors).map_err(one)? };
    Ok(LoadedWorkload { workload, classified, input })
}

fn source(spec: &WorkloadSpec, strict: bool) -> Result<(Workload, Option<InputFile>), Diagnostics> {
    match &spec.source {
        WorkloadSource::Trace { path, written } => {
            let options = ReadOptions { strict, cut_at_limit: spec.cut_at_limit, ..ReadOptions::default() };
            let workload = read_trace(path, &options).map_err(|error| error.diagnostics)?;
            Ok((workload, Some(InputFile { written: written.clone(), path: path.clone() })))
        }
        WorkloadSource::Generate { model, parameters, place } => {
            let mut outer = toml::Table::new();
            outer.insert(model.clone(), toml::Value::Table(parameters.clone()));
            let model: Model = outer.try_into().map_err(|error: toml::de::Error| {
                let message = "the settings of the generator cannot be used".to_owned();
                let why = error.message().to_owned();
                one(Diagnostic::error("W0180", message).at(place.clone()).because(why))
            })?;
            Ok((generate::generate(&model, spec.seed)?, None))
        }
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

fn rules(spec: &WorkloadSpec) -> Vec<classify::ClassRule> {
    use crate::scenario::file::WorkKind;
    spec.class_rules
        .iter()
        .map(|rule| classify::ClassRule {
            class: rule.class.clone(),
            kind: rule.kind.map(|kind| match kind {
                WorkKind::Work => classify::WorkKind::Work,
                WorkKind::Session => classify::WorkKind::Session,
            }),
            partition: rule.partition.clone(),
            account: rule.account.clone(),
            user: rule.user.clone(),
            qos: rule.qos.clone(),
            name_glob: rule.name.clone(),
            gpus_min: rule.gpus.0.map(u64::from),
            gpus_max: rule.gpus.1.map(u64::from),
            run_min: rule.run.0,
            run_max: rule.run.1,
            limit_min: rule.limit.0,
            limit_max: rule.limit.1,
        })
        .collect()
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
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

impl LoadedWorkload {
    /// Rows refused and values changed by the reader.
    #[must_use]
    pub fn repaired(&self) -> (u64, u64) {
        let repairs = &self.workload.repairs;
        (repairs.rows(RepairKind::Refused), repairs.rows(RepairKind::Changed))
    }
}

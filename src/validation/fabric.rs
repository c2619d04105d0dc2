//! Networks: rates, steps, collectives and growth beside what other programs computed and others measured.
//!
//! Cases come from files of a few layouts (`cases`, `collectives`), ours or anybody's; what is computed for each is given back in
//! the order of the file. Rows hold the errors over all cases of a kind against their bars. Measured curves are data of others:
//! they are read where they are, or left out, so that only the law counts.

mod cases;
mod collectives;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Section;
use super::case_files::{self, CaseFile, WithCases, one};
use crate::diagnostic::Diagnostics;
use crate::fabric::collectives::Curves;

/// Where measured curves come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CurvesFrom {
    /// The folder of shared data, if it is there.
    #[default]
    Shared,
    /// Nowhere: only the law counts.
    Nowhere,
    /// This file.
    File(PathBuf),
}

/// Our files of cases, below the folder of shared data.
const FILES: [&str; 5] = [
    "fabric/simgrid332_flows.json",
    "fabric/rates_cases.json",
    "fabric/contention_cases.json",
    CURVES,
    "training/scaling_pairs.json",
];
const CURVES: &str = "fabric/collective_curves.csv";

/// Computes the cases of `files`, or of our data below `shared` where there are none.
///
/// # Errors
/// A file that cannot be read, is of no known layout, or has values that make no sense.
pub fn validate(files: &[PathBuf], curves: &CurvesFrom, shared: &Path) -> Result<WithCases, Diagnostics> {
    let ours = files.is_empty();
    let (there, absent) = if ours {
        FILES.iter().map(|file| shared.join(file)).partition(|path| path.exists())
    } else {
        (files.to_vec(), Vec::new())
    };
    let curves = match curves {
        CurvesFrom::Nowhere => Curves::default(),
        CurvesFrom::File(path) => collectives::curves(path)?,
        CurvesFrom::Shared => {
            let path = shared.join(CURVES);
            if path.exists() { collectives::curves(&path)? } else { Curves::default() }
        }
    };
    let mut errors = rows::Errors::default();
    let mut files = Vec::new();
    for path in &there {
        files.push(file(path, &curves, &mut errors)?);
    }
    let mut section = Section {
        name: "fabric",
        title: "Networks: shared links, collectives, growth of steps",
        about: "Published: 0 is no error, the tolerance is how large it may be. Finish times of SimGrid 3.32; rates of \
                lexicographic linear programs; steps of jobs on shared links by a second program; NCCL times of \
                ai-dynamo/aiconfigurator @095f58a51c, xxrjun/nccl-tests-cluster @455de4f8de and \
                argonne-lcf/alcf-nccl-tests @385be33604; steps of NVIDIA/dgxc-benchmarking v25.01.1 and \
                mosaicml/llm-foundry @8c8dd48f72, on NDR rails that do not block. Loads of hashed rings are exact.",
        absent,
        ..Section::default()
    };
    if ours {
        section.rows.extend(rows::hashed());
        section.rows.extend(rows::equal_jobs());
    }
    errors.tell(&mut section);
    Ok(WithCases { section, files, ..WithCases::default() })
}

fn file(path: &Path, curves: &Curves, errors: &mut rows::Errors) -> Result<CaseFile, Diagnostics> {
    let name: Arc<str> = path.display().to_string().into();
    let text = case_files::read(path)?;
    let (kind, cases) = if text.trim_start().starts_with('{') {
        cases::compute(&text, &name, errors).map_err(|told| one(*told))?
    } else {
        ("collectives", collectives::compute(&text, &name, curves, errors)?)
    };
    Ok(CaseFile { file: name.to_string(), kind: kind.to_owned(), cases })
}

//! Files for other programs beside `--out`, the same for `replay`, `run` and `compare`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::backstage::Failure;
use crate::diagnostic::Diagnostic;
use crate::report::{self, Context};

/// Where jobs go in formats of other programs.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Files for other programs")]
pub(super) struct ExportArgs {
    /// Writes a trace for ui.perfetto.dev: a track for every GPU or slot, a slice for every job.
    #[arg(long, value_name = "FILE")]
    perfetto: Option<PathBuf>,
    /// Writes a dump as of `sacct -P`, in UTC; of several designs, one file for each (FILE-DESIGN).
    #[arg(long, value_name = "FILE")]
    sacct: Option<PathBuf>,
    /// Writes jobs as NDJSON: an object for every job of every design, with the columns of jobs.csv.
    #[arg(long, value_name = "FILE")]
    ndjson: Option<PathBuf>,
    /// Writes the same as Parquet (only in a build with the feature `parquet`).
    #[arg(long, value_name = "FILE")]
    parquet: Option<PathBuf>,
}

impl ExportArgs {
    /// Whether anything is to be written: then the run keeps who held what.
    pub(super) fn any(&self) -> bool {
        self.files().next().is_some()
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.perfetto, &self.sacct, &self.ndjson, &self.parquet].into_iter().filter_map(Option::as_deref)
    }

    /// What can be refused before an hour of simulation.
    ///
    /// # Errors
    /// A format that this build does not know, a directory that is not there.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.parquet.is_some() && !cfg!(feature = "parquet") {
            let told = Diagnostic::error("W0317", "this build cannot write Parquet")
                .because("it was built without the feature `parquet`, which brings a dozen crates")
                .help("cargo install --path . --features parquet, or write --ndjson");
            return Err(Failure::Usage(told));
        }
        for file in self.files() {
            let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
            let error = dir.and_then(|dir| std::fs::metadata(dir).err());
            if let Some(error) = error {
                return Err(report::WriteError { path: file.to_path_buf(), error }.into());
            }
        }
        Ok(())
    }

    /// Writes them; what was written, in words.
    ///
    /// # Errors
    /// The first file that cannot be written.
    pub(super) fn write(&self, context: &Context<'_>) -> Result<Vec<String>, Failure> {
        let mut told = Vec::new();
        if let Some(file) = &self.perfetto {
            report::write_whole(file, |out| report::perfetto_json(context, out))?;
            told.push(format!("{} (open it in ui.perfetto.dev)", file.display()));
        }
        if let Some(file) = &self.sacct {
            for result in context.results {
                let one = context.results.len() == 1;
                let file = if one { file.clone() } else { beside(file, &result.design.name) };
                let workload = &context.loaded.workload;
                report::write_whole(&file, |out| report::sacct_dump(workload, result, out))?;
                told.push(format!("{} (sacct -P, UTC)", file.display()));
            }
        }
        if let Some(file) = &self.ndjson {
            report::write_whole(file, |out| report::jobs_ndjson(context, out))?;
            told.push(file.display().to_string());
        }
        #[cfg(feature = "parquet")]
        if let Some(file) = &self.parquet {
            report::write_whole(file, |out| report::jobs_parquet(context, out))?;
            told.push(file.display().to_string());
        }
        Ok(told)
    }
}

/// `dump.txt` of the design `vm` is `dump-vm.txt`.
fn beside(file: &Path, design: &str) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let tail = file.extension().map_or_else(String::new, |tail| format!(".{}", tail.to_string_lossy()));
    file.with_file_name(format!("{stem}-{design}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_for_each_design() {
        assert_eq!(beside(Path::new("out/dump.txt"), "vm"), Path::new("out/dump-vm.txt"));
        assert_eq!(beside(Path::new("dump"), "vm"), Path::new("dump-vm"));
    }
}

//! `windtunnel new`: a commented scenario to start from.

use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use clap::Args;

use super::Common;
use super::backstage::Failure;
use crate::diagnostic::Diagnostic;
use crate::report::write_whole;
use crate::scenario::quotes::read_quotes;
use crate::scenario::template::{NewAnswers, NewJobs, TraceFacts, template};
use crate::workload::read::{ReadOptions, read_trace};
use crate::workload::stats::stats;

/// Arguments of `new`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel new --trace traces/research-team.csv --node dgx-h100 --count 2 --out my-question.toml
  windtunnel new --trace jobs.csv --quotes quotes.csv --out two-quotes.toml
  windtunnel new --trace site.swf.gz")]
pub(super) struct NewArgs {
    /// The jobs: native CSV or SWF. Default: a generated research team.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// What is asked, in one line.
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Kind of node that there is, a name of `windtunnel catalog nodes`.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// How many nodes there are.
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// fcfs, greedy, sjf, ljf, easy, conservative, priority.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Vendors' quotes: a CSV with the columns what, count, unit_price, kind (and quote, currency, payment_date,
    /// delivery_date, term_months). There is then a design for each quote.
    #[arg(long, value_name = "FILE")]
    quotes: Option<PathBuf>,
    /// The scenario file to write; default stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn new(args: &NewArgs, common: &Common) -> Result<(), Failure> {
    let beside = args.out.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let jobs = match &args.trace {
        Some(trace) => NewJobs::Trace(path_from(beside, trace), Some(facts(trace)?)),
        None => NewJobs::Generate("research".to_owned(), Default::default()),
    };
    let answers = NewAnswers {
        title: args.title.clone(),
        jobs,
        node: args.node.clone(),
        count: args.count,
        policy: args.policy.clone(),
        quotes: match &args.quotes {
            Some(path) => Some((path_from(beside, path), read_quotes(path)?)),
            None => None,
        },
    };
    let text =
        template(&answers).map_err(|error| Failure::Usage(Diagnostic::error("W0311", error.to_string())))?;
    match &args.out {
        None => {
            io::stdout().lock().write_all(text.as_bytes())?;
            Ok(())
        }
        Some(path) => {
            write_whole(path, |out| out.write_all(text.as_bytes()))?;
            if !common.quiet {
                let path = path.display();
                writeln!(io::stderr(), "written; try: windtunnel compare {path}")?;
            }
            Ok(())
        }
    }
}

fn facts(trace: &Path) -> Result<TraceFacts, Failure> {
    let workload = read_trace(trace, &ReadOptions::default()).map_err(|error| error.diagnostics)?;
    let figures = stats(&workload, None);
    let largest =
        |quantiles: Option<crate::workload::stats::Quantiles>| quantiles.map_or(0, |q| q.max.ceil() as u32);
    Ok(TraceFacts {
        jobs: figures.jobs,
        gpu_jobs: figures.gpu_jobs,
        days: (figures.span_s / 86_400.0).ceil() as u64,
        max_gpus: largest(figures.gpus_per_job),
        max_cpus: largest(figures.cpus_per_job),
    })
}

/// `path` as seen from the directory `base`, with `..` as needed; both are there. A path that is absolute
/// stays so.
pub(super) fn path_from(base: &Path, path: &Path) -> String {
    let whole = |path: &Path| path.canonicalize().ok();
    if path.is_absolute() || base.as_os_str().is_empty() {
        return path.display().to_string();
    }
    let (Some(base), Some(path)) = (whole(base), whole(path)) else { return path.display().to_string() };
    let shared = base.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let up = base.components().skip(shared).map(|_| Component::ParentDir);
    let down = path.components().skip(shared);
    up.chain(down).collect::<PathBuf>().display().to_string()
}

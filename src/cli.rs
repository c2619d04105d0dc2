//! The command line: one file per subcommand, nothing else.
//!
//! Reads arguments, calls the library, prints. Diagnostics and progress go to stderr, also under
//! `--json`; stdout holds only the answer. Exit codes are an interface: see [`Exit`].
//!
//! Only this room looks at the wall clock and the terminal.

mod backstage;
mod backtest;
mod catalog;
mod catalog_fabric;
mod compare;
mod explain;
mod exports;
mod import;
mod new;
mod output;
mod replay;
mod run;
mod schema;
mod sweep;
mod trace;
mod validate;

use clap::{Args, Parser, Subcommand};

pub use backstage::Failure;

/// What the process answers to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// A failure inside, or a stall.
    Failure = 1,
    /// Wrong use of the command line.
    Usage = 2,
    /// Finished, with failed points.
    FailedPoints = 3,
    /// Invalid input.
    InvalidInput = 4,
    /// Interrupted: run again to resume.
    Interrupted = 75,
}

/// Replay a job trace over cluster designs that are not bought yet.
#[derive(Debug, Parser)]
#[command(name = "windtunnel", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// Print one JSON object on stdout instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// No progress, no notes; errors and warnings only.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Threads to use; default all cores. The results do not depend on it.
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One trace, one cluster, no scenario.
    Replay(replay::ReplayArgs),
    /// Every design of a scenario (or one), with per-job output.
    Run(run::RunArgs),
    /// Designs of a scenario side by side.
    Compare(compare::CompareArgs),
    /// Every point of a scenario's [sweep], in parallel.
    Sweep(sweep::SweepArgs),
    /// Simulated against recorded waits, from the real state of the site.
    Backtest(backtest::BacktestArgs),
    /// Check, convert, describe, generate or anonymize traces.
    Trace(trace::TraceArgs),
    /// Write a commented scenario to start from.
    New(new::NewArgs),
    /// A site's own configuration as a scenario, with a report on every option.
    Import(import::ImportArgs),
    /// List the built-in facts on GPUs, nodes and prices, with sources.
    Catalog(catalog::CatalogArgs),
    /// Print the JSON Schema of scenario files, or what a result file holds.
    Schema(schema::SchemaArgs),
    /// Published results and recordings reproduced, side by side.
    Validate(validate::ValidateArgs),
    /// Tell why a job waited, or what a diagnostic code means.
    Explain(explain::ExplainArgs),
}

/// Parses the arguments, runs the command, reports.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    backstage::on_interrupt();
    if let Some(threads) = cli.common.threads {
        let built = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build_global();
        debug_assert!(built.is_ok(), "the pool is built once");
    }
    let done = match &cli.command {
        Command::Replay(args) => replay::replay(args, &cli.common),
        Command::Run(args) => run::run(args, &cli.common),
        Command::Compare(args) => compare::compare(args, &cli.common),
        Command::Sweep(args) => sweep::sweep(args, &cli.common),
        Command::Backtest(args) => backtest::backtest(args, &cli.common),
        Command::Trace(args) => trace::trace(args, &cli.common),
        Command::New(args) => new::new(args, &cli.common),
        Command::Import(args) => import::import(args, &cli.common),
        Command::Catalog(args) => catalog::catalog(args, &cli.common),
        Command::Schema(args) => schema::schema(args, &cli.common),
        Command::Validate(args) => validate::validate(args, &cli.common),
        Command::Explain(args) => explain::explain(args, &cli.common),
    };
    let exit = done.map_or_else(|failure| failure.tell(), |()| Exit::Done);
    std::process::ExitCode::from(exit as u8)
}

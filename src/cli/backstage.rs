//! What every command needs: failures and their exit codes, interruption, progress, the clock.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Exit;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, render};
use crate::experiment::ExperimentError;
use crate::experiment::outlook::OutlookError;
use crate::experiment::replicas::ReplicaError;
use crate::report::{WriteError, io_kind};
use crate::simulation::RunError;

/// Why a command did not finish.
#[derive(Debug)]
pub enum Failure {
    /// Input that cannot be used.
    Input(Diagnostics),
    /// Wrong use of the command line.
    Usage(Diagnostic),
    /// A failure inside.
    Inside(Diagnostic),
    /// Finished, but some points have no result.
    Points {
        /// Points that failed.
        failed: usize,
        /// Points in all.
        of: usize,
    },
    /// Stopped by the user.
    Interrupted,
    /// Nobody reads our output any more (`| head`).
    ClosedPipe,
}

impl Failure {
    /// Tells it on stderr; the exit code.
    pub(super) fn tell(self) -> Exit {
        match self {
            Self::Input(diagnostics) => {
                tell(&diagnostics, Severity::Note);
                Exit::InvalidInput
            }
            Self::Usage(diagnostic) => {
                print_diagnostic(&diagnostic);
                Exit::Usage
            }
            Self::Inside(diagnostic) => {
                print_diagnostic(&diagnostic);
                Exit::Failure
            }
            Self::Points { failed, of } => {
                let message = format!("{failed} of {of} points failed; the others are whole");
                print_diagnostic(&Diagnostic::error("W0316", message).help("the output says why for each"));
                Exit::FailedPoints
            }
            Self::Interrupted => {
                tell_interrupted();
                Exit::Interrupted
            }
            Self::ClosedPipe => Exit::Done,
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Input(diagnostics)
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        let mut told = Diagnostics::default();
        told.push(diagnostic);
        Self::Input(told)
    }
}

impl From<ExperimentError> for Failure {
    fn from(error: ExperimentError) -> Self {
        if error.is_interruption() {
            return Self::Interrupted;
        }
        let code = match &error {
            ExperimentError::Run { error: RunError::Stalled { .. }, .. } => "W0410",
            ExperimentError::Run { error: RunError::EventBudget(_), .. } => "W0411",
            // A scenario names built-in placements only.
            ExperimentError::Run {
                error: RunError::Policy { .. } | RunError::Interrupted | RunError::OwnPlacementOnParts,
                ..
            } => "W0412",
            ExperimentError::Cost { .. } => "W0420",
        };
        Self::Inside(Diagnostic::error(code, error.to_string()))
    }
}

impl From<ReplicaError> for Failure {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::Input(problems) => Self::Input(problems),
            ReplicaError::Run(error) => error.into(),
        }
    }
}

/// Failures of writing to stdout: a closed pipe is no failure, a full disk is.
impl From<OutlookError> for Failure {
    fn from(error: OutlookError) -> Self {
        match error {
            OutlookError::Input(problems) => Self::Input(problems),
            OutlookError::Run(error) => error.into(),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if io_kind(&error) == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        Self::Inside(Diagnostic::error("W0302", format!("cannot write the output: {error}")))
    }
}

/// A file that could not be written.
impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::Inside(Diagnostic::error("W0303", error.to_string()).help(error.cure()))
    }
}

/// Prints diagnostics of at least `least` severity to stderr.
pub(super) fn tell(diagnostics: &Diagnostics, least: Severity) {
    for diagnostic in diagnostics.kept().iter().filter(|d| d.severity >= least) {
        print_diagnostic(diagnostic);
    }
    for (code, further) in diagnostics.further() {
        let _ = writeln!(io::stderr(), "... and {further} more of {}", code.0);
    }
}

fn print_diagnostic(diagnostic: &Diagnostic) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let _ = writeln!(io::stderr(), "{}\n", render(diagnostic, colour));
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static ORDERLY: AtomicUsize = AtomicUsize::new(0);

/// While one lives, an interrupt only asks to stop: there is something to finish or to clean up.
pub(super) struct Orderly;

impl Orderly {
    pub(super) fn begin() -> Self {
        ORDERLY.fetch_add(1, Ordering::SeqCst);
        Self
    }

    /// The end of the orderly part.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] if the user asked to stop meanwhile.
    pub(super) fn end(self) -> Result<(), Failure> {
        if interrupted() { Err(Failure::Interrupted) } else { Ok(()) }
    }
}

impl Drop for Orderly {
    fn drop(&mut self) {
        ORDERLY.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An interrupt ends the process; in an [`Orderly`] part the first one only asks.
pub(super) fn on_interrupt() {
    let armed = ctrlc::set_handler(|| {
        let is_second = INTERRUPTED.swap(true, Ordering::SeqCst);
        if is_second || ORDERLY.load(Ordering::SeqCst) == 0 {
            tell_interrupted();
            std::process::exit(Exit::Interrupted as i32);
        }
    });
    debug_assert!(armed.is_ok(), "the handler is set once");
}

fn tell_interrupted() {
    let _ = writeln!(io::stderr(), "interrupted; every file that was written is whole");
}

/// Whether the user asked to stop.
pub(super) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Wall time of a command, and a line on the terminal for whatever takes more than a second.
pub(super) struct Stopwatch {
    started: Instant,
    line: Mutex<Option<ProgressBar>>,
    /// Things to do in all, if that is known; and how many are done.
    expected: AtomicU64,
    done: AtomicU64,
    words: &'static str,
    silent: bool,
}

impl Stopwatch {
    /// Starts; `words` say what goes on.
    #[expect(clippy::disallowed_methods, reason = "the command line tells wall time")]
    pub(super) fn start(words: &'static str, quiet: bool) -> Self {
        let silent = quiet || !io::stderr().is_terminal();
        let (expected, done) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { started: Instant::now(), line: Mutex::new(None), expected, done, words, silent }
    }

    /// So many things are to be done: the line becomes a bar.
    pub(super) fn expect(&self, things: u64) {
        self.expected.store(things, Ordering::Relaxed);
    }

    /// One of them is done.
    pub(super) fn one_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.tick();
    }

    /// Seconds since the start.
    pub(super) fn wall_s(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Asked by the runs now and then: shows the line when a second has passed; whether to stop.
    pub(super) fn tick(&self) -> bool {
        if !self.silent && self.started.elapsed() > Duration::from_secs(1) {
            let mut line = self.line.lock().expect("ticks do not panic");
            let bar = line.get_or_insert_with(|| {
                let things = Some(self.expected.load(Ordering::Relaxed)).filter(|things| *things > 0);
                let bar = ProgressBar::with_draw_target(things, ProgressDrawTarget::stderr());
                let style = ProgressStyle::with_template(match things {
                    Some(_) => "{msg} {bar:30} {pos}/{len} ({elapsed}, {eta} left)",
                    None => "{spinner} {msg} ({elapsed})",
                });
                bar.set_style(style.expect("the template is well-formed"));
                bar.set_message(self.words);
                bar
            });
            bar.set_position(self.done.load(Ordering::Relaxed));
            bar.tick();
        }
        interrupted()
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        if let Ok(mut line) = self.line.lock()
            && let Some(bar) = line.take()
        {
            bar.finish_and_clear();
        }
    }
}

/// Peak memory of this process in MiB, where the system tells.
pub(super) fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_points_are_exit_3() {
        assert_eq!(Failure::Points { failed: 1, of: 3 }.tell() as i32, 3);
    }
}

//! The whole program beside a plain Python EASY of the same rule, in turns on one core.
//!
//! Reading, simulation, all metrics and the JSON object are in the time; so are the starts of both
//! processes. The logs and the Python program are not in this repository: `WINDTUNNEL_SHARED` names where
//! they are (default `../shared`), and without them this bench says so and measures nothing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: u32 = 5;

/// A log of the archive, normalised by the peers' rule.
struct Log {
    name: &'static str,
    processors: u32,
    /// Wanted: how many times as fast as the Python program.
    times: f64,
    /// Wanted: at most so much memory.
    peak_mib: Option<f64>,
}

const LOGS: [Log; 2] = [
    Log { name: "curie", processors: 93_312, times: 40.0, peak_mib: Some(48.0) },
    Log { name: "kth", processors: 100, times: 20.0, peak_mib: None },
];

fn main() -> ExitCode {
    let shared = PathBuf::from(std::env::var_os("WINDTUNNEL_SHARED").unwrap_or_else(|| "../shared".into()));
    if !shared.join("peers/textbook.py").is_file() {
        println!("no peers in {}: nothing to measure beside", shared.display());
        return ExitCode::SUCCESS;
    }
    let work = tempfile::tempdir().expect("a temporary directory can be made");
    println!("{:>8} {:>10} {:>10} {:>7} {:>8}", "log", "peer s", "ours s", "times", "peak MiB");
    for log in &LOGS {
        match prepare(log, &shared, work.path()) {
            Some(path) => measure(log, &path, &shared),
            None => println!("{:>8} not there", log.name),
        }
    }
    ExitCode::SUCCESS
}

/// The normalised log as a plain file.
fn prepare(log: &Log, shared: &Path, work: &Path) -> Option<PathBuf> {
    let plain = work.join(format!("{}.swf", log.name));
    let ready = shared.join(format!("peers/workloads/{}.swf.gz", log.name));
    if ready.is_file() {
        let mut from = flate2::read::MultiGzDecoder::new(File::open(ready).ok()?);
        std::io::copy(&mut from, &mut File::create(&plain).ok()?).ok()?;
        return Some(plain);
    }
    let raw = std::fs::read_dir(shared.join("traces/swf")).ok()?.flatten().map(|entry| entry.path());
    let raw = raw.filter(|path| path.to_string_lossy().to_lowercase().contains(log.name)).min()?;
    let mut rule = Command::new("python3");
    rule.arg(shared.join("peers/normalise.py")).arg(raw).arg(&plain).arg(log.processors.to_string());
    rule.stdout(Stdio::null()).status().ok()?.success().then_some(plain)
}

fn measure(log: &Log, trace: &Path, shared: &Path) {
    let mut peer = Command::new("python3");
    peer.arg(shared.join("peers/textbook.py")).arg(trace).args(["easy", "/dev/null"]);
    let mut ours = Command::new(env!("CARGO_BIN_EXE_windtunnel"));
    ours.arg("replay").arg(trace).args(["--procs", &log.processors.to_string()]);
    ours.args(["--policy", "easy", "--json", "--quiet", "--threads", "1"]);
    let (mut best_peer, mut best_ours, mut peak) = (Duration::MAX, Duration::MAX, None);
    for _ in 0..ROUNDS {
        best_peer = best_peer.min(time(&mut peer).0);
        let (took, printed) = time(&mut ours);
        best_ours = best_ours.min(took);
        peak = peak_mib(&printed);
    }
    let times = best_peer.as_secs_f64() / best_ours.as_secs_f64();
    let peak = peak.unwrap_or(f64::NAN);
    let verdict = |met: bool| if met { "met" } else { "MISSED" };
    let memory =
        log.peak_mib.map_or(String::new(), |most| format!(", <= {most} MiB {}", verdict(peak <= most)));
    println!(
        "{:>8} {:>10.3} {:>10.4} {times:>7.1} {peak:>8.1}   >= {} times {}{memory}",
        log.name,
        best_peer.as_secs_f64(),
        best_ours.as_secs_f64(),
        log.times,
        verdict(times >= log.times),
    );
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn time(command: &mut Command) -> (Duration, Vec<u8>) {
    let start = Instant::now();
    let output = command.output().expect("the program starts");
    let took = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (took, output.stdout)
}

fn peak_mib(json: &[u8]) -> Option<f64> {
    let object: serde_json::Value = serde_json::from_slice(json).ok()?;
    object["engine"]["peak_rss_mib"].as_f64()
}

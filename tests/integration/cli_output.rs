//! Where output cannot go, and what is left behind: nothing half-written.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use super::terminal::{Desk, finish, shipped};

const TRACE: &str = "job_id,submit_s,run_s\n1,0,10\n2,5,10\n";

fn told(name: &str, desk: &Desk, args: &[&str]) {
    let answer = desk.run(args);
    assert_eq!((answer.code, answer.stdout.as_str()), (1, ""), "{name}");
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!(name, answer.told());
    });
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.put("jobs.csv", TRACE);
    desk
}

#[test]
fn a_directory_that_cannot_be_written() {
    let desk = desk();
    told("out_is_a_file", &desk, &["replay", "jobs.csv", "--procs", "8", "--out", "jobs.csv"]);
    told("out_under_a_file", &desk, &["replay", "jobs.csv", "--procs", "8", "--out", "jobs.csv/out"]);
    told("out_without_directory", &desk, &["trace", "convert", "jobs.csv", "--out", "no/where.csv"]);
    #[cfg(target_os = "linux")]
    told("out_in_proc", &desk, &["replay", "jobs.csv", "--procs", "8", "--out", "/proc/windtunnel"]);
    assert_eq!(desk.files("."), [("jobs.csv".to_owned(), TRACE.into())]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk() {
    let desk = desk();
    told("full_disk_convert", &desk, &["trace", "convert", "jobs.csv", "--out", "/dev/full"]);
    let generate = ["trace", "generate", "lublin", "--jobs", "50", "--set", "processors=8"];
    told("full_disk_generate", &desk, &[&generate[..], &["--out", "/dev/full"]].concat());
    let lines: [&[&str]; 8] = [
        &generate,
        &["replay", "jobs.csv", "--procs", "8"],
        &["replay", "jobs.csv", "--procs", "8", "--json"],
        &["trace", "check", "jobs.csv"],
        &["trace", "stats", "jobs.csv"],
        &["schema"],
        &["catalog", "nodes"],
        &["new"],
    ];
    for line in lines {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = desk.command(line).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line:?}: {stderr}");
        assert!(stderr.contains("error[W0302]"), "{line:?}: {stderr}");
    }
}

/// `windtunnel ... | head -1`: no error, no noise.
#[test]
fn a_closed_pipe() {
    let desk = desk();
    let lines: [&[&str]; 3] = [
        &["trace", "generate", "lublin", "--jobs", "20000", "--set", "processors=8"],
        &["catalog"],
        &["schema"],
    ];
    for line in lines {
        let mut child = desk.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let (code, stderr) = finish(child);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{line:?}");
    }
}

#[test]
fn json_stands_alone_on_stdout() {
    let desk = Desk::new();
    desk.put("jobs.csv", "job_id,submit_s,run_s\n1,0,10\n2,5,x\n");
    let replay = desk.run(&["replay", "jobs.csv", "--procs", "8", "--json", "--out", "out"]).ok();
    let object = replay.json();
    assert!(replay.stderr.contains("W0111"), "{}", replay.stderr);
    for key in ["jobs", "wait_s", "utilization", "cpu_hours", "makespan_s", "throughput", "engine"] {
        assert!(!object[key].is_null(), "{key}");
    }
    assert!(object["gpu_hours"].is_null() && object["cost"].is_null());
    let summary: serde_json::Value = serde_json::from_slice(&desk.read("out/summary.json")).unwrap();
    assert!(summary.get("engine").is_none(), "wall time is in no result file");
    for line in [&["trace", "check", "jobs.csv"][..], &["trace", "stats", "jobs.csv"], &["explain", "W0101"]]
    {
        desk.run(&[line, &["--json"]].concat()).ok().json();
    }
    desk.run(&["replay", "jobs.csv", "--procs", "8", "--json", "--quiet"]).ok().json();
}

/// Interrupts the command after a while; nothing may be left in its directory but what was there.
#[cfg(unix)]
fn interrupt(desk: &Desk, args: &[&str], stdin: Stdio) {
    let before = desk.files(".");
    let mut command = desk.command(args);
    let mut child = command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let open = child.stdin.take();
    std::thread::sleep(Duration::from_millis(400));
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    let (code, stderr) = finish(child);
    drop(open);
    assert_eq!(code, Some(75), "{args:?}: {stderr}");
    assert!(stderr.contains("interrupted"), "{stderr}");
    assert_eq!(desk.files("."), before);
    if desk.path("out").exists() {
        assert_eq!(desk.files("out"), []);
    }
}

#[test]
#[cfg(unix)]
fn ctrl_c_while_reading() {
    // The pipe stays open and empty: the reader waits for more.
    interrupt(&desk(), &["trace", "check", "/dev/stdin"], Stdio::piped());
}

#[test]
#[cfg(unix)]
fn ctrl_c_while_simulating() {
    // Every job waits and every pass plans all of them: far longer than the test waits.
    let desk = Desk::new();
    let mut trace = Vec::from(*b"job_id,submit_s,run_s\n");
    for job in 0..30_000 {
        writeln!(trace, "{job},{job},{}", 100_000 + job % 977).unwrap();
    }
    desk.put("jobs.csv", trace);
    let args = ["replay", "jobs.csv", "--procs", "8", "--policy", "conservative", "--out", "out"];
    interrupt(&desk, &args, Stdio::null());
}

#[test]
fn an_interrupted_run_leaves_the_old_result() {
    let desk = Desk::new();
    desk.put("out/summary.json", "old");
    desk.put("jobs.csv", "job_id,submit_s\n");
    let answer = desk.run(&["replay", "jobs.csv", "--procs", "8", "--out", "out"]);
    assert_eq!(answer.code, 4);
    assert_eq!(desk.read("out/summary.json"), b"old");
    assert_eq!(desk.files("out").len(), 1);
    assert!(std::path::Path::new(&shipped("Cargo.toml")).exists());
}

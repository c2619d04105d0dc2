//! A terminal for the tests: the binary in a directory of its own, and what it answered.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// An empty directory to work in.
pub struct Desk {
    dir: TempDir,
}

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    /// Exit code and stderr, as a snapshot shows them.
    pub fn told(&self) -> String {
        format!("exit {}\n{}", self.code, self.stderr)
    }

    /// The JSON object on stdout, and nothing else there.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.lines().count(), 1, "one line: {}", self.stdout);
        serde_json::from_str(&self.stdout).expect("stdout is one JSON object")
    }

    /// The answer, which must be exit code 0.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self
    }
}

/// A command that runs the binary.
pub fn windtunnel() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("windtunnel"))
}

/// A path of the repository, absolute.
pub fn shipped(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

impl Desk {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// All files of a directory by name, whatever they are called.
    pub fn files(&self, dir: &str) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(self.path(dir))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    }

    pub fn command(&self, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = windtunnel();
        command.current_dir(self.dir.path()).args(args).stdin(Stdio::null());
        command
    }

    /// Runs the binary here.
    pub fn run(&self, args: &[impl AsRef<OsStr>]) -> Answer {
        let output = self.command(args).output().unwrap();
        Answer {
            code: output.status.code().expect("no signal ended it"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Replays a trace of these bytes on eight processors.
    pub fn replay(&self, trace: &str, bytes: impl AsRef<[u8]>, options: &[&str]) -> Answer {
        self.put(trace, bytes);
        let mut args = vec!["replay", trace, "--procs", "8"];
        args.extend(options);
        self.run(&args)
    }
}

/// Waits for a child that was started with piped stderr.
pub fn finish(mut child: Child) -> (Option<i32>, String) {
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (child.wait().unwrap().code(), stderr)
}

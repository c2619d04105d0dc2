//! The papers stay true: what the README shows is what the commands print.

use super::terminal::{shipped, windtunnel};

/// Console blocks of the README: `$ command` lines, each with the output below it.
fn shown() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(shipped("README.md")).unwrap();
    let mut blocks = Vec::new();
    for block in text.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for part in block.split("$ ").skip(1) {
            let (command, output) = part.split_once('\n').unwrap_or((part, ""));
            blocks.push((command.trim().to_owned(), plain(output)));
        }
    }
    blocks
}

/// Without spaces at the ends of lines and blank lines at the end.
fn plain(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// Or writes it, with `WINDTUNNEL_UPDATE=1`.
#[test]
fn the_readme_shows_real_output() {
    let update = std::env::var_os("WINDTUNNEL_UPDATE").is_some();
    let mut checked = 0;
    for (command, output) in shown() {
        let Some(args) = command.strip_prefix("cargo run --release -- ") else { continue };
        if output.is_empty() {
            continue;
        }
        let args: Vec<&str> = args.split_whitespace().collect();
        let real = windtunnel().args(&args).current_dir(shipped("")).output().unwrap();
        assert!(real.status.success(), "{command}");
        let printed = plain(&String::from_utf8(real.stdout).unwrap());
        if update {
            let text = std::fs::read_to_string(shipped("README.md")).unwrap();
            let (before, rest) = text.split_once(&format!("$ {command}\n")).unwrap();
            let old = rest.find("\n```").into_iter().chain(rest.find("\n\n$ ")).min().unwrap();
            let new = format!("{before}$ {command}\n{printed}{}", &rest[old..]);
            std::fs::write(shipped("README.md"), new).unwrap();
        } else {
            assert_eq!(printed, output, "{command}");
        }
        checked += 1;
    }
    assert!(checked >= 2, "the README shows the main command and a replay");
}

#[test]
fn the_readme_starts_with_the_main_command_and_its_output() {
    let text = std::fs::read_to_string(shipped("README.md")).unwrap();
    let at = text.lines().position(|line| line.starts_with("$ cargo run --release -- compare "));
    assert!(at.is_some_and(|line| line < 30), "{at:?}");
}

#[test]
fn ci_and_readme_run_the_same_tests() {
    let read = |path: &str| std::fs::read_to_string(shipped(path)).unwrap();
    let command = "cargo test";
    assert!(read("README.md").lines().any(|line| line.trim() == format!("$ {command}")), "README.md");
    assert!(read(".ci/run").lines().any(|line| line.trim() == command), ".ci/run");
}

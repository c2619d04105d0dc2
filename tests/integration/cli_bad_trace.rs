//! Every way in which a trace can be bad, through the binary: exit code and what stderr says.

use std::io::Write;

use super::terminal::{Answer, Desk};

const HEADER: &str = "job_id,submit_s,run_s,limit_s,cpus\n";

/// Replays bytes that nothing can be made of: exit 4, nothing on stdout.
fn useless(name: &str, trace: &str, bytes: impl AsRef<[u8]>) {
    let answer = Desk::new().replay(trace, bytes, &["--json"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (4, ""), "{name}");
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!(name, answer.told());
    });
}

/// Replays good rows beside bad ones: exit 0, the bad ones told and counted; exit 4 under --strict.
fn usable(name: &str, bytes: impl AsRef<[u8]>, refused: u64) -> Answer {
    let desk = Desk::new();
    let answer = desk.replay("jobs.csv", &bytes, &["--json"]).ok();
    let jobs = answer.json()["jobs"].clone();
    assert_eq!(jobs["refused"], refused, "{name}: {jobs}");
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!(name, answer.told());
    });
    let strict = desk.replay("jobs.csv", &bytes, &["--strict"]);
    assert_eq!(strict.code, if refused > 0 { 4 } else { 0 }, "{name} --strict");
    answer
}

/// A good row, the rows in question, a good row.
fn among_good(rows: &str) -> String {
    format!("{HEADER}1,0,10,20,1\n{rows}\n99,50,10,20,1\n")
}

#[test]
fn columns() {
    useless("missing_column", "jobs.csv", "job_id,submit_s,user\n1,0,ann\n");
    useless("misspelt_column", "jobs.csv", "job_id,submit_s,run_s,limt_s\n1,0,5,9\n");
}

#[test]
fn files_without_jobs() {
    useless("empty_file", "jobs.csv", "");
    useless("header_only", "jobs.csv", HEADER);
    useless("every_row_bad", "jobs.csv", format!("{HEADER}1,x,1,1,1\n2,0,-1,1,1\n"));
    useless("swf_without_jobs", "log.swf", "; Version: 2.2\n1 0 0 -1 -1 -1 -1 -1 -1 -1 0 1 1 1 1 1 -1 -1\n");
}

#[test]
fn broken_bytes() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for job in 0..5_000 {
        writeln!(packed, "{job},{job},{},60,1", job % 7 + 1).unwrap();
    }
    let packed = packed.finish().unwrap();
    useless("truncated_gzip", "jobs.csv.gz", &packed[..packed.len() / 2]);
    useless("not_utf8", "jobs.csv", b"job_id,submit_s,run_s,user\n1,0,5,\xe9ve\n");
}

#[test]
fn missing_trace() {
    let answer = Desk::new().run(&["replay", "nowhere.csv", "--procs", "8"]);
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("missing_trace", answer.told());
    });
    let answer = Desk::new().run(&["trace", "check", "nowhere.csv"]);
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("missing_trace_check", answer.told());
    });
}

#[test]
fn rows_of_a_wrong_kind() {
    usable("wrong_types", among_good("2,soon,10,20,1\n3,0,10,20,two"), 2);
    usable(
        "times_out_of_range",
        among_good("2,-1,10,20,1\n3,0,0,20,1\n4,0,-5,20,1\n5,0,NaN,20,1\n6,0,99999999999999999999,20,1"),
        5,
    );
    usable("duplicate_ids", among_good("1,5,10,20,1"), 1);
    usable("wrong_width", among_good("2,0,10\n3,0,10,20,1,7"), 2);
}

#[test]
fn rows_that_stay() {
    let answer = usable("unsorted", format!("{HEADER}1,50,5,9,1\n2,10,5,9,1\n"), 0);
    assert_eq!(answer.json()["jobs"]["completed"], 2);
    let answer = usable("limit_below_run", among_good("2,0,100,20,1"), 0);
    assert_eq!(answer.json()["jobs"]["completed"], 3);
    let with_mark = format!("\u{feff}{}", among_good("2,0,10,20,1").replace('\n', "\r\n"));
    let answer = usable("byte_order_mark_and_crlf", with_mark, 0);
    assert_eq!(answer.json()["jobs"]["completed"], 3);
}

#[test]
fn good_and_bad_rows_are_counted() {
    let rows = "2,0,x,20,1\n3,0,10,20,1\n3,1,10,20,1\n4,0,10,20,9\n5,0,100,20,1";
    let answer = usable("good_and_bad_rows", among_good(rows), 3);
    let jobs = &answer.json()["jobs"];
    assert_eq!((&jobs["read"], &jobs["completed"]), (&7.into(), &4.into()), "{jobs}");
    let desk = Desk::new();
    let cut = desk.replay("jobs.csv", among_good(rows), &["--json", "--cut-at-limit"]).ok();
    let jobs = &cut.json()["jobs"];
    assert_eq!((&jobs["repaired"], &jobs["refused"]), (&1.into(), &3.into()), "{jobs}");
}

#[test]
fn a_job_larger_than_the_design_is_refused_and_named() {
    let desk = Desk::new();
    let answer = desk.replay("jobs.csv", among_good("2,0,10,20,9"), &["--json", "--out", "out"]).ok();
    let object = answer.json();
    assert_eq!(object["jobs"]["refused"], 1);
    assert_eq!(object["refused_by_design"][0]["job_id"], "2");
    let table = desk.replay("jobs.csv", among_good("2,0,10,20,9"), &[]).ok();
    assert!(table.stdout.contains("can never hold 1 jobs, e.g. 2:"), "{}", table.stdout);
    let jobs = String::from_utf8(desk.read("out/jobs.csv")).unwrap();
    assert!(jobs.lines().any(|line| line.starts_with("2,0,") && line.contains("REFUSED")), "{jobs}");
}

#[test]
fn a_dependency_that_can_never_be_met_is_cancelled() {
    let trace = "job_id,submit_s,run_s,state,after\n1,0,10,FAILED,\n2,0,10,,afterok:1\n3,0,10,,afterok:2\n";
    let jobs = Desk::new().replay("jobs.csv", trace, &["--json"]).ok().json()["jobs"].clone();
    assert_eq!((&jobs["failed"], &jobs["cancelled"]), (&1.into(), &2.into()), "{jobs}");
    assert_eq!((&jobs["completed"], &jobs["unfinished"]), (&0.into(), &0.into()), "{jobs}");
}

/// A line of 256 MiB is passed over in a few MiB of memory.
#[test]
#[cfg(target_os = "linux")]
fn an_endless_line_takes_bounded_memory() {
    let desk = Desk::new();
    let file = std::fs::File::create(desk.path("jobs.csv")).unwrap();
    let mut out = std::io::BufWriter::new(file);
    writeln!(out, "{HEADER}1,0,10,20,1").unwrap();
    out.flush().unwrap();
    let file = out.into_inner().unwrap();
    let start = file.metadata().unwrap().len();
    file.set_len(start + (256 << 20)).unwrap(); // a hole: zero bytes without a line end
    let mut file = std::fs::OpenOptions::new().append(true).open(desk.path("jobs.csv")).unwrap();
    writeln!(file, "\n2,5,10,20,1").unwrap();
    let answer = desk.run(&["replay", "jobs.csv", "--procs", "8", "--json"]).ok();
    let object = answer.json();
    assert_eq!((&object["jobs"]["completed"], &object["jobs"]["refused"]), (&2.into(), &1.into()));
    let peak_mib = object["engine"]["peak_rss_mib"].as_f64().unwrap();
    assert!(peak_mib < 64.0, "{peak_mib} MiB");
    assert!(answer.stderr.contains("W0109"), "{}", answer.stderr);
}

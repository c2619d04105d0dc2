//! What the user is told about a bad trace: every diagnostic as it is printed.

use std::io::{Read, Write};
use std::path::Path;

use insta::assert_snapshot;
use windtunnel::diagnostic::{Diagnostics, render};
use windtunnel::time::SimTime;
use windtunnel::workload::read::{ReadOptions, check, read_stream, read_trace};

/// All diagnostics and the repair ledger, as text; the first line says whether the trace is usable.
fn told_with(text: impl AsRef<[u8]>, options: &ReadOptions) -> String {
    outcome(
        read_stream(text.as_ref(), "jobs.csv", options).map_err(|error| (error.diagnostics, error.repairs)),
    )
}

fn told(text: impl AsRef<[u8]>) -> String {
    told_with(text, &ReadOptions::default())
}

type Refused = (Diagnostics, windtunnel::workload::RepairLedger);

fn outcome(result: Result<windtunnel::workload::Workload, Refused>) -> String {
    let (mut text, diagnostics, repairs) = match result {
        Ok(workload) => {
            (format!("usable, {} jobs\n", workload.jobs.len()), workload.warnings, workload.repairs)
        }
        Err((diagnostics, repairs)) => ("not usable\n".to_owned(), diagnostics, repairs),
    };
    for diagnostic in diagnostics.kept() {
        text.push_str(&render(diagnostic, false));
        text.push('\n');
    }
    for (code, further) in diagnostics.further() {
        text.push_str(&format!("and {further} more of {}\n", code.0));
    }
    for (reason, repair) in repairs.iter() {
        text.push_str(&format!("ledger: {:?} {}: {reason}\n", repair.kind, repair.rows));
    }
    text
}

const HEADER: &str = "job_id,submit_s,run_s,limit_s,nodes,gpus\n";

/// A good row, bad ones, a good row.
fn among_good(rows: &str) -> String {
    told(format!("{HEADER}1,0,10,20,1,0\n{rows}\n9,100,10,20,1,8\n"))
}

#[test]
fn missing_column() {
    assert_snapshot!(told("job_id,submit_s,user\n1,0,ann\n"));
}

#[test]
fn misspelt_column() {
    assert_snapshot!(told("job_id,submit_s,run_s,gpu_typ,Nodes,colour\n1,0,5,a,1,red\n"));
}

#[test]
fn repeated_column() {
    assert_snapshot!(told("job_id,submit_s,run_s,run_s\n1,0,5,5\n"));
}

#[test]
fn no_header() {
    assert_snapshot!(told("1,0,5\n2,0,5\n"));
}

#[test]
fn wrong_types() {
    assert_snapshot!(among_good("2,soon,10,20,1,0\n3,0,10,20,two,0\n4,0,10,20,1,1.5"));
}

#[test]
fn times_out_of_range() {
    assert_snapshot!(among_good(
        "2,-1,10,20,1,0\n3,0,0,20,1,0\n4,0,-5,20,1,0\n5,0,NaN,20,1,0\n6,0,99999999999999999999,20,1,0\n7,0,inf,,1,0"
    ));
}

#[test]
fn counts_out_of_range() {
    assert_snapshot!(among_good("2,0,10,20,0,0\n3,0,10,20,-4,0\n4,0,10,20,1,99999999999"));
}

#[test]
fn duplicate_ids() {
    assert_snapshot!(told("job_id,submit_s,run_s\n7,0,5\n3,0,5\n7,1,6\na,2,5\na,3,5\n"));
}

#[test]
fn wrong_width_and_quotes() {
    assert_snapshot!(among_good("2,0,10\n3,0,10,20,1,0,extra\n\"4,0,10,20,1,0\n\"5\"x,0,10,20,1,0"));
}

#[test]
fn unsorted_submits() {
    assert_snapshot!(told("job_id,submit_s,run_s\n1,50,5\n2,10,5\n3,10,5\n"));
}

#[test]
fn limit_below_run() {
    assert_snapshot!(among_good("2,0,100,20,1,0"));
    let options = ReadOptions { cut_at_limit: true, ..ReadOptions::default() };
    assert_snapshot!("limit_below_run_cut", told_with(format!("{HEADER}1,0,100,20,1,0\n"), &options));
}

#[test]
fn many_bad_rows_are_counted() {
    let rows: Vec<String> = (10..30).map(|id| format!("{id},x,10,20,1,0")).collect();
    assert_snapshot!(among_good(&rows.join("\n")));
}

#[test]
fn strict_makes_refusals_errors() {
    let options = ReadOptions { strict: true, ..ReadOptions::default() };
    assert_snapshot!(told_with("job_id,submit_s,run_s\n1,0,5\n2,0,0\n", &options));
}

#[test]
fn no_rows() {
    assert_snapshot!("empty_file", told(""));
    assert_snapshot!("blank_file", told("\n\r\n\n"));
    assert_snapshot!("header_only", told("job_id,submit_s,run_s\n"));
    assert_snapshot!("every_row_bad", told("job_id,submit_s,run_s\n1,0,0\n2,0,0\n"));
    let window = Some((SimTime::from_s(100), SimTime::from_s(200)));
    let options = ReadOptions { window, ..ReadOptions::default() };
    assert_snapshot!("outside_the_window", told_with("job_id,submit_s,run_s\n1,0,5\n", &options));
}

#[test]
fn not_utf8() {
    assert_snapshot!("not_utf8_in_a_row", told(b"job_id,submit_s,run_s,user\n1,0,5,ann\n2,0,5,J\xfcrgen\n"));
    assert_snapshot!("not_utf8_in_the_header", told(b"job_id,submit_s,run_s,us\xe9r\n1,0,5,ann\n"));
    let swf = b"1 0 -1 5 1 -1 -1 1 10 -1 1 1 1 1 1 1 -1 -1\n2 0 -1 \xff 1 -1 -1 1 10 -1 1 1 1 1 1 1 -1 -1\n";
    assert_snapshot!("not_utf8_in_swf", told(swf));
}

#[test]
fn byte_order_mark_and_crlf_are_accepted() {
    assert_snapshot!(told("\u{feff}job_id,submit_s,run_s\r\n1,0,5\r\n\r\n2,3,4\r\n"), @"usable, 2 jobs");
}

#[test]
fn truncated_archives() {
    let rows: String = (1..2000).map(|id| format!("{id},{id},{}\n", id * 7 % 991 + 1)).collect();
    let text = format!("job_id,submit_s,run_s\n{rows}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(told(&gzip), "usable, 1999 jobs\n");
    let cut = told(&gzip[..gzip.len() / 2]);
    assert!(cut.contains("error[W0102]: the gzip file is truncated or damaged"), "{cut}");
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    assert_eq!(told(&zstd), "usable, 1999 jobs\n");
    let cut = told(&zstd[..zstd.len() / 2]);
    assert!(cut.contains("error[W0102]: the zstd file is truncated or damaged"), "{cut}");
    assert_snapshot!(told(&gzip[..12]));
}

/// 10 GB without a line end would be too slow here; the reader's buffer is tested beside it.
#[test]
fn a_line_without_end() {
    let start = b"job_id,submit_s,run_s\n1,0,5\n".as_slice();
    let endless = start.chain(std::io::repeat(b'7').take(64 << 20)).chain(b"\n2,0,5\n".as_slice());
    let result = read_stream(endless, "jobs.csv", &ReadOptions::default());
    assert_snapshot!(outcome(result.map_err(|error| (error.diagnostics, error.repairs))));
    let only = read_stream(std::io::repeat(b'7').take(8 << 20), "jobs.csv", &ReadOptions::default());
    assert_snapshot!(
        "first_line_without_end",
        outcome(only.map_err(|error| (error.diagnostics, error.repairs)))
    );
}

#[test]
fn missing_file_and_directory() {
    let told = |path: &str| {
        let report = check(Path::new(path), &ReadOptions::default());
        assert!(!report.usable);
        render(&report.diagnostics.kept()[0], false)
    };
    assert_snapshot!("missing_file", told("no/such/trace.csv"));
    assert_snapshot!("directory", told("src"));
    assert!(read_trace(Path::new("no/such/trace.csv"), &ReadOptions::default()).is_err());
}

#[test]
fn timestamps() {
    let text = "job_id,submit_s,run_s,start_s\n1,2024-03-31T02:30:00,60,2024-03-31 04:00:00\n2,5,60,\n";
    assert_snapshot!("timestamps_without_zone", told(text));
    let zone = |name: &str| ReadOptions { time_zone: Some(name.to_owned()), ..ReadOptions::default() };
    assert_snapshot!("timestamps_in_a_gap", told_with(text, &zone("Europe/Paris")));
    assert_snapshot!("unknown_zone", told_with(text, &zone("Europe/Pariss")));
}

#[test]
fn dependencies() {
    let text = "job_id,submit_s,run_s,after\n\
        1,0,5,afterok:3\n2,0,5,afterok:1\n3,0,5,afterany:2\n4,0,5,afterok:1:77\n5,0,5,afterok:5\n\
        6,0,5,soon:1\n7,0,5,afterok:1?afterok:2\n8,0,5,singleton\n";
    assert_snapshot!(told(text));
}

#[test]
fn arrays() {
    assert_snapshot!(told(
        "job_id,submit_s,run_s,array\n1,0,5,0-3%2\n2,0,5,3-1\n3,0,5,0-5000000\n1,0,5,3\n1,0,5,4\n"
    ));
}

#[test]
fn swf_rows() {
    assert_snapshot!(told(
        "; Version: 2.2\n; UnixStartTime: 5\n\
         1 0 3 50 4 -1 -1 8 100 -1 1 1 1 1 1 1 -1 -1\n\
         2 0 3 0 4 -1 -1 8 100 -1 5 1 1 1 1 1 -1 -1\n\
         3 0 3 50 -1 -1 -1 -1 100 -1 1 1 1 1 1 1 -1 -1\n\
         4 0 3 x 4 -1 -1 8 100 -1 1 1 1 1 1 1 -1 -1\n\
         5 0 3 50 4\n\
         6 0 3 500 4 -1 -1 8 100 -1 1 1 1 1 1 1 -1 -1\n"
    ));
}

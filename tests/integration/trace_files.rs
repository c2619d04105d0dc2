//! Real traces are read whole: counts as known from the archive, and the rules for processors and limits.

use windtunnel::ids::JobId;
use windtunnel::time::{SimDuration, SimTime};
use windtunnel::workload::read::{ReadOptions, read_trace};
use windtunnel::workload::{RepairKind, Workload};

use super::shared;

fn read(path: &str, options: &ReadOptions) -> Option<Workload> {
    shared::folder(path).map(|file| read_trace(&file, options).expect("a real trace is usable"))
}

#[test]
fn kth_is_read_whole() {
    let Some(trace) = read("traces/swf/KTH-SP2-1996-2.1-cln.swf.gz", &ReadOptions::default()) else { return };
    assert_eq!(trace.jobs.len(), 27_992);
    assert_eq!(trace.repairs.rows(RepairKind::Refused), 0);
    assert!(trace.header.iter().any(|(key, value)| key == "MaxProcs" && value == "100"));
    assert!(trace.recorded.has_starts());
}

#[test]
fn curie_keeps_what_ran() {
    let path = "traces/swf/CEA-Curie-2011-2.1-cln.swf.gz";
    let Some(trace) = read(path, &ReadOptions::default()) else { return };
    assert_eq!(trace.repairs.rows_read, 312_826);
    assert_eq!(trace.jobs.len(), 295_540);
    assert_eq!(trace.repairs.rows(RepairKind::Refused), 17_286);
    assert_eq!(trace.repairs.rows(RepairKind::Noted), 5_416);
    let first = &trace.jobs[JobId(0)];
    assert_eq!(
        (first.submit, first.run, first.limit),
        (SimTime::from_s(31_656_837), SimDuration::from_s(86_395), SimDuration::from_s(86_400),)
    );
    assert_eq!(trace.requests.get(first.request).cpus, Some(256));
    assert_eq!(trace.recorded(JobId(0)).start, Some(SimTime::from_s(31_656_837 + 33_492)));
    assert_eq!(trace.job_name(JobId(0)), "272393");

    let options = ReadOptions { cut_at_limit: true, job_limit: Some(1000), ..ReadOptions::default() };
    let cut = read(path, &options).expect("it was there before");
    assert_eq!(cut.jobs.len(), 1000);
    assert_eq!(cut.repairs.rows(RepairKind::Changed), 5_416);
    assert_eq!(cut.repairs.rows(RepairKind::LeftOut), 294_540);
    assert!(cut.jobs.iter().all(|job| job.run <= job.limit));
}

#[test]
fn a_job_stays_small() {
    assert!(size_of::<windtunnel::workload::Job>() <= 56);
}

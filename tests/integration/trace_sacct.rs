//! `sacct` dumps: what is read, what is told, and the real dumps of the shared folder.

use insta::assert_snapshot;
use windtunnel::diagnostic::{Diagnostics, render};
use windtunnel::ids::{Id, JobId};
use windtunnel::time::{SimDuration, SimTime};
use windtunnel::workload::read::{ReadOptions, read_stream, read_trace};
use windtunnel::workload::{RepairLedger, Workload};

use super::shared;

const HEADER: &str = "JobID|State|Submit|Start|End|Elapsed|Timelimit|ReqTRES|AllocTRES|User|QOS|NodeList|NTasks|TRESUsageInTot|TRESUsageInMax";

fn read(rows: &str, options: &ReadOptions) -> Workload {
    read_stream(format!("{HEADER}\n{rows}").as_bytes(), "dump.txt", options).expect("a good row")
}

fn utc() -> ReadOptions {
    ReadOptions { time_zone: Some("UTC".to_owned()), ..ReadOptions::default() }
}

fn told(diagnostics: &Diagnostics, repairs: &RepairLedger) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics.kept() {
        text += &format!("{}\n", render(diagnostic, false));
    }
    for (reason, repair) in repairs.iter() {
        text += &format!("ledger: {} {}: {reason}\n", repair.kind.name(), repair.rows);
    }
    text
}

fn names(workload: &Workload) -> Vec<String> {
    workload.jobs.ids().map(|id| workload.job_name(id)).collect()
}

#[test]
fn a_job_with_its_steps() {
    // Ten minutes on two GPUs; the numbered step used 150 % of a GPU for five of them.
    let rows = "\
7|COMPLETED|2024-05-01T10:00:00|2024-05-01T10:05:00|2024-05-01T10:15:00|00:10:00|01:00:00|billing=4,cpu=4,gres/gpu=2,mem=32G,node=1|billing=8,cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=32G,node=1|ann|high|g1|||\n\
7.batch|COMPLETED|2024-05-01T10:05:00|2024-05-01T10:05:00|2024-05-01T10:15:00|00:10:00|||cpu=8,mem=32G,node=1|||g1|1|gres/gpumem=0,gres/gpuutil=0|gres/gpumem=0,gres/gpuutil=0\n\
7.extern|COMPLETED|2024-05-01T10:05:00|2024-05-01T10:05:00|2024-05-01T10:15:00|00:10:00|||cpu=8,mem=32G,node=1|||g1|1||\n\
7.0|COMPLETED|2024-05-01T10:05:00|2024-05-01T10:05:00|2024-05-01T10:10:00|00:05:00|||cpu=8,mem=32G,node=1|||g1|2|gres/gpumem=60G,gres/gpuutil=150|gres/gpumem=40G,gres/gpuutil=90\n";
    let workload = read(rows, &utc());
    assert_eq!(workload.jobs.len(), 1);
    let (id, job) = (JobId::new(0), &workload.jobs[JobId::new(0)]);
    assert_eq!((job.run, job.limit), (SimDuration::from_s(600), SimDuration::from_s(3600)));
    let request = workload.requests.get(job.request);
    assert_eq!((request.cpus, request.gpus, request.nodes), (Some(4), Some(2), Some(1)));
    assert_eq!(request.mem_mb_per_node, Some(32 * 1024));
    assert!(request.gpu_types.is_empty(), "asked for any GPU");
    let past = workload.recorded(id);
    assert_eq!((past.alloc_cpus, past.alloc_gpus), (Some(8), Some(2)));
    assert_eq!(past.ran_gpu_type.map(|kind| workload.texts.get(kind)), Some("a100"));
    // 1.5 GPUs x 300 s of 2 GPUs x 600 s = 37.5 %; the largest task of two used 40 GiB on one GPU.
    assert_eq!((past.gpu_util_milli, past.gpu_mem_peak_mib), (Some(375), Some(40 * 1024)));
    assert_eq!(past.start.map(|start| start.since(job.submit)), Some(SimDuration::from_s(300)));
    assert_eq!(workload.repairs.rows_read, 4);
}

#[test]
fn ids_attempts_and_states() {
    let row = |id: &str, state: &str, start: &str, elapsed: &str| {
        format!(
            "{id}|{state}|2024-05-01T10:00:00|{start}||{elapsed}|UNLIMITED|cpu=1,node=1|cpu=1,node=1|u|q|n1|||\n"
        )
    };
    let rows = [
        row("5_1", "COMPLETED", "2024-05-01T10:00:10", "00:00:05"),
        row("5_2", "FAILED", "2024-05-01T10:00:20", "00:00:05"),
        row("5_[3-9%2]", "PENDING", "Unknown", "00:00:00"),
        row("6", "NODE_FAIL", "2024-05-01T10:01:00", "00:10:00"),
        row("6", "COMPLETED", "2024-05-01T11:00:00", "00:20:00"),
        row("6", "COMPLETED", "2024-05-01T11:00:00", "00:20:00"),
        row("7+0", "COMPLETED", "2024-05-01T10:02:00", "00:00:05"),
        row("7+1", "CANCELLED by 1000", "2024-05-01T10:02:00", "00:00:05"),
        row("8", "CANCELLED by 1000", "None", "00:00:00"),
        row("8.batch", "CANCELLED", "None", "00:00:00"),
        row("9", "RUNNING", "2024-05-01T10:03:00", "00:07:00"),
        row("10.batch", "COMPLETED", "2024-05-01T10:03:00", "00:07:00"),
        row("x", "COMPLETED", "2024-05-01T10:03:00", "00:07:00"),
        row("11", "COMPLETED", "2024-05-01T10:03:00", "soon"),
    ]
    .concat();
    let workload = read(&rows, &utc());
    assert_eq!(names(&workload), ["5_1", "5_2", "6", "7+0", "7+1", "9"], "the attempts of job 6 are one job");
    let extras = workload.extras_of(JobId::new(0)).expect("a limited array");
    assert_eq!((extras.array.map(|(_, index)| index), extras.array_limit), (Some(1), Some(2)));
    let state = |at: usize| workload.recorded(JobId::new(at)).state.map(|s| workload.texts.get(s));
    assert_eq!((state(2), state(4)), (Some("COMPLETED"), Some("CANCELLED")));
    let sixth = &workload.jobs[JobId::new(2)];
    assert_eq!(sixth.run, SimDuration::from_s(1_200), "the last attempt's");
    assert_eq!(workload.recorded(JobId::new(2)).start.unwrap().since(sixth.submit), SimDuration::from_s(60));
    assert_snapshot!(told(&workload.warnings, &workload.repairs));
}

#[test]
fn records_of_one_job_and_of_another() {
    let row = |id: &str, user: &str, state: &str, submit: &str, start: &str, end: &str, elapsed: &str| {
        let day = |time: &str| format!("2026-01-05T{time}");
        format!(
            "{id}|{state}|{}|{}|{}|{elapsed}|1-00:00:00|cpu=1,node=1|cpu=1,node=1|{user}|q|n1|||\n",
            day(submit),
            day(start),
            day(end)
        )
    };
    let rows = [
        // resized: both parts have one submission
        row("1", "ann", "RESIZING", "00:00:00", "00:10:00", "01:10:00", "01:00:00"),
        row("1", "ann", "COMPLETED", "00:00:00", "01:10:00", "01:40:00", "00:30:00"),
        // requeued: submitted anew when the attempt was over
        row("2", "ann", "NODE_FAIL", "00:00:00", "00:10:00", "01:00:00", "00:50:00"),
        row("2", "ann", "TIMEOUT", "01:00:40", "03:00:00", "05:00:00", "02:00:00"),
        // requeued by its owner: only the times tell
        row("3", "ann", "FAILED", "00:00:00", "00:10:00", "01:00:00", "00:50:00"),
        row("3", "ann", "COMPLETED", "01:00:01", "03:00:00", "03:10:00", "00:10:00"),
        // another user, and another submission
        row("4", "ann", "COMPLETED", "00:00:00", "00:10:00", "01:00:00", "00:50:00"),
        row("4", "bob", "COMPLETED", "00:00:00", "00:20:00", "01:00:00", "00:40:00"),
        row("4", "bob", "COMPLETED", "06:00:00", "06:10:00", "07:00:00", "00:50:00"),
        row("5", "ann", "NODE_FAIL", "00:00:00", "00:10:00", "01:00:00", "00:50:00"),
        row("5", "ann", "COMPLETED", "09:00:00", "09:10:00", "10:00:00", "00:50:00"),
    ]
    .concat();
    let workload = read(&rows, &utc());
    let jobs: Vec<(String, i64, i64)> = workload
        .jobs
        .ids()
        .map(|id| {
            let job = &workload.jobs[id];
            let wait = workload.recorded(id).start.unwrap().since(job.submit);
            (workload.job_name(id), job.run.micros() / 60_000_000, wait.micros() / 60_000_000)
        })
        .collect();
    let found: Vec<(&str, i64, i64)> =
        jobs.iter().map(|(name, run, wait)| (name.as_str(), *run, *wait)).collect();
    let want = [
        ("1", 90, 10),
        ("2", 120, 10),
        ("3", 10, 10),
        ("4", 50, 10),
        ("4/2", 40, 20),
        ("5", 50, 10),
        ("4/3", 50, 10),
        ("5/2", 50, 10),
    ];
    assert_eq!(found, want);
    let counted: Vec<(&str, u64)> = workload
        .repairs
        .iter()
        .filter(|(_, repair)| repair.kind.name() == "changed")
        .map(|(why, r)| (why, r.rows))
        .collect();
    assert_eq!(
        counted,
        [
            ("a further attempt of a requeued job (the last attempt's run time counts)", 2),
            ("a part of a resized job (its run time is added to the job)", 1),
            ("an id that came before for another job (it gets another name)", 3),
        ]
    );
}

#[test]
fn what_is_missing_comes_with_the_command_that_gives_it() {
    let error = read_stream(&b"JobID|State|User\n1|COMPLETED|ann\n"[..], "dump.txt", &ReadOptions::default());
    assert_snapshot!(
        "missing_columns",
        error.unwrap_err().diagnostics.kept().iter().map(|d| render(d, false)).collect::<String>()
    );
    let table = &b"JobID    JobName  Partition  State ExitCode\n------- ------ ----- ----- -----\n"[..];
    let error = read_stream(table, "dump.txt", &ReadOptions::default());
    assert_snapshot!(
        "terminal_table",
        error.unwrap_err().diagnostics.kept().iter().map(|d| render(d, false)).collect::<String>()
    );
}

#[test]
fn zones_and_clock_changes() {
    // Over the night of the change of the clocks in Paris: 23:30 to 04:30 is four hours.
    let night = "1|COMPLETED|2024-03-30T23:00:00|2024-03-30T23:30:00|2024-03-31T04:30:00|04:00:00|1-00:00:00|cpu=1|cpu=1|u|q|n|||\n";
    let plain = read(night, &ReadOptions::default());
    assert_snapshot!("zone_not_stated", told(&plain.warnings, &plain.repairs));
    let named =
        read(night, &ReadOptions { time_zone: Some("Europe/Paris".to_owned()), ..ReadOptions::default() });
    assert_eq!(told(&named.warnings, &named.repairs), "");
    let start = named.recorded(JobId::new(0)).start.unwrap();
    assert_eq!(start, SimTime::from_s(1_711_837_800), "23:30 in winter is 22:30 UTC");
    let mixed = format!(
        "{night}2|COMPLETED|2024-03-30T23:00:00+01:00|2024-03-30T23:30:00+01:00||00:01:00||cpu=1|cpu=1|u|q|n|||\n"
    );
    let mixed = read(&mixed, &ReadOptions::default());
    assert_snapshot!("mixed_zones", told(&mixed.warnings, &mixed.repairs));
}

#[test]
fn suspended_time_is_no_run_time() {
    let text = "JobIDRaw;Submit;Start;End;ElapsedRaw;Suspended;TimelimitRaw;ReqCPUS;State\n\
                4;100;200;500;250;00:00:50;10;2;COMPLETED\n";
    let workload = read_stream(text.as_bytes(), "dump.txt", &ReadOptions::default()).unwrap();
    let job = &workload.jobs[JobId::new(0)];
    assert_eq!((job.run, job.limit), (SimDuration::from_s(250), SimDuration::from_s(600)));
    assert_eq!(
        told(&workload.warnings, &workload.repairs).lines().last(),
        Some("ledger: noted 1: suspended for a while (its run time is Elapsed, without suspension)")
    );
}

#[test]
fn a_table_that_a_spreadsheet_wrote() {
    let text =
        "JobID,State,Submit,Start,ElapsedRaw,ReqTRES\n4,COMPLETED,100,200,250,\"cpu=3,mem=2G,node=1\"\n";
    let workload = read_stream(text.as_bytes(), "dump.csv", &ReadOptions::default()).unwrap();
    let request = workload.requests.get(workload.jobs[JobId::new(0)].request);
    assert_eq!((request.cpus, request.mem_mb_per_node), (Some(3), Some(2048)));
}

#[test]
fn real_dumps() {
    let Some(folder) = shared::folder("traces/slurm") else { return };
    let xdmod = read_trace(&folder.join("xdmod/pozidriv.log.gz"), &ReadOptions::default()).unwrap();
    assert_eq!((xdmod.repairs.rows_read, xdmod.jobs.len()), (11_704, 10_673));
    let nodes = Some(folder.join("habrok/scontrol.txt"));
    let options = ReadOptions { node_list: nodes, ..ReadOptions::default() };
    let habrok = read_trace(&folder.join("habrok/sacct.txt"), &options).unwrap();
    assert_eq!((habrok.repairs.rows_read, habrok.jobs.len()), (242, 90));
    let find = |name: &str| habrok.jobs.ids().find(|id| habrok.job_name(*id) == name).unwrap();
    let past = habrok.recorded(find("7946767"));
    assert_eq!(past.ran_gpu_type.map(|kind| habrok.texts.get(kind)), Some("v100"));
    assert_eq!((past.gpu_util_milli, past.gpu_mem_peak_mib), (Some(540), Some(7769)));
}

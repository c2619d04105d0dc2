//! `trace check --guess` on tables as people have them: the proposal reads the file, and nothing is refused or changed.

use windtunnel::workload::read::{ColumnMap, ReadOptions, guess_columns, read_stream};

use super::terminal::Desk;

/// (what wrote it, the table, run times in seconds, submissions apart in seconds).
const TABLES: [(&str, &str, [i64; 2], i64); 9] = [
    (
        "pandas",
        ",id,submitted,runtime,walltime,owner,cores,memory\n\
         0,7,2026-01-05 00:00:00,0 days 01:00:00,0 days 02:00:00,ann,8,64 GB\n\
         1,8,2026-01-05 00:00:30,0 days 00:10:00,1 days 00:00:00,bob,4,4 GB\n",
        [3_600, 600],
        30,
    ),
    (
        "a German spreadsheet",
        "Job Id;Submitted;Runtime (h);Owner;GPUs\n7;05.01.2026 08:02;2,5;ann;1\n8;05.01.2026 09:02;16;bob;8\n",
        [9_000, 57_600],
        3_600,
    ),
    (
        "an American spreadsheet",
        "Job ID,Submit Time,Elapsed (min),User\n7,1/5/2026 8:02 AM,30,ann\n8,1/5/2026 1:02 PM,90,bob\n",
        [1_800, 5_400],
        18_000,
    ),
    (
        "a database, in milliseconds",
        "job_id\tcreated_at\trun_time_ms\tnum_gpus\n7\t1767571200000\t60000\t2\n8\t1767571260000\t90000\t\\N\n",
        [60, 90],
        60,
    ),
    (
        "R, with NA",
        "\"jobid\",\"submit\",\"elapsed\",\"ncpus\"\n\"7\",\"2026-01-05 08:00:00\",60,NA\n\"8\",\"2026-01-05 08:00:10\",90,4\n",
        [60, 90],
        10,
    ),
    (
        "clock times as Slurm writes them",
        "JobNumber|QTime|Walltime|TimeLimit|Queue\n7|2026-01-05T08:00:00|1-00:00:30|2-00:00:00|a\n\
         8|2026-01-05T08:01:00|12:00:00|24:00:00|b\n",
        [86_430, 43_200],
        60,
    ),
    (
        "start and end, no run time",
        "id;queued;started;finished;ncpus\n7;2026-01-05 08:00;2026-01-05 08:10;2026-01-05 09:10;4\n\
         8;2026-01-05 08:00;2026-01-05 08:20;2026-01-05 08:50;4\n",
        [3_600, 1_800],
        0,
    ),
    (
        "seconds since 1970",
        "id,submit_time,start_time,end_time,duration_sec,mem_gb\n7,1767571200,1767571260,1767571320,60,4\n\
         8,1767571201,1767571260,1767571350,90,8\n",
        [60, 90],
        1,
    ),
    (
        "days before months",
        "Job;Created;Duration [s];Project\n7;13/01/2026 10:00;60;x\n8;14/01/2026 10:00;90;y\n",
        [60, 90],
        86_400,
    ),
];

#[test]
fn proposals_read_the_file() {
    let desk = Desk::new();
    for (what, text, runs, apart) in TABLES {
        let text = text.replace("\\N", "");
        desk.put("table.csv", &text);
        let (table, missing) = guess_columns(&desk.path("table.csv")).unwrap();
        assert!(missing.is_empty(), "{what}: {missing:?} of {table:?}");
        let map = ColumnMap::of_table(&table).unwrap_or_else(|wrong| panic!("{what}: {wrong:?}"));
        let options = ReadOptions {
            columns: Some(Box::new(map)),
            time_zone: Some("UTC".to_owned()),
            ..ReadOptions::default()
        };
        let workload = read_stream(text.as_bytes(), "table.csv", &options)
            .unwrap_or_else(|error| panic!("{what}: {:?} after {table:?}", error.diagnostics));
        let found: Vec<i64> = workload.jobs.iter().map(|job| job.run.micros() / 1_000_000).collect();
        assert_eq!(found, runs, "{what}: {table:?}");
        let submits: Vec<i64> = workload.jobs.iter().map(|job| job.submit.micros() / 1_000_000).collect();
        assert_eq!(submits[1] - submits[0], apart, "{what}: {table:?}");
        assert!(workload.repairs.iter().next().is_none(), "{what}: {:?}", workload.repairs);
        assert!(workload.warnings.is_empty(), "{what}: {:?}", workload.warnings);
    }
}

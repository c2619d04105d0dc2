//! What is written is read back: `read(write(w)) == w`, for random traces over all columns.

use proptest::prelude::*;
use windtunnel::ids::JobId;
use windtunnel::workload::anonymize::{Anonymizer, anonymize};
use windtunnel::workload::read::{ReadOptions, read_stream};
use windtunnel::workload::write::write_csv;
use windtunnel::workload::{DependencyKind, Job, RepairKind, Workload};

fn read(text: &[u8]) -> Workload {
    read_stream(text, "jobs.csv", &ReadOptions::default()).expect("at least one good row")
}

fn write(workload: &Workload) -> String {
    let mut text = Vec::new();
    write_csv(workload, &mut text).expect("memory takes all");
    String::from_utf8(text).expect("CSV is text")
}

/// All that is known of a job, in words, so that ids of interned texts do not matter.
fn described(workload: &Workload, id: JobId) -> String {
    let Job { submit, run, limit, priority, flags, request, labels, .. } = &workload.jobs[id];
    let text = |id| workload.texts.get(id);
    let request = workload.requests.get(*request);
    let labels = workload.labels.get(*labels);
    let counts = (request.nodes, request.tasks, request.tasks_per_node, request.cpus, request.cpus_per_task);
    let gpus = (request.gpus, request.gpus_per_node, request.gpus_per_task, request.gpu_milli);
    let memory = (request.mem_mb_per_node, request.gpu_mem_mib, request.exclusive);
    let types: Vec<&str> = request.gpu_types.iter().map(|t| text(*t)).collect();
    let features: Vec<&str> = request.features.iter().map(|t| text(*t)).collect();
    let who =
        [labels.user, labels.account, labels.partition, labels.qos, labels.name, labels.class, labels.tenant];
    let who = who.map(|label| label.map(text));
    let extras = workload.extras_of(id).map(|extras| {
        let after: Vec<(DependencyKind, Vec<String>)> = extras
            .after
            .iter()
            .map(|c| (c.kind, c.jobs.iter().map(|job| workload.job_name(*job)).collect()))
            .collect();
        let other: Vec<(&str, &str)> = extras.other.iter().map(|(k, v)| (text(*k), text(*v))).collect();
        let array = extras.array.map(|(array, index)| (text(array), index));
        format!(
            "{after:?} {array:?} {:?} {:?} {:?} {} {other:?}",
            extras.array_limit, extras.begin, extras.cancel, extras.nice
        )
    });
    let past = workload.recorded(id);
    let words = [past.state, past.exit_code, past.ran_gpu_type].map(|t| t.map(text));
    let mig = request.mig_profile.map(text);
    format!(
        "{} {submit} {run} {limit} {priority} {flags:?} {counts:?} {gpus:?} {memory:?} {types:?} {features:?} {mig:?} {who:?} \
         {extras:?} {:?} {:?} {:?} {words:?} {:?} {:?}",
        workload.job_name(id),
        past.start,
        past.end,
        past.eligible,
        past.gpu_util_milli,
        (past.gpu_mem_peak_mib, past.alloc_nodes, past.alloc_cpus, past.alloc_gpus)
    )
}

fn all_described(workload: &Workload) -> Vec<String> {
    workload.jobs.ids().map(|id| described(workload, id)).collect()
}

const COLUMNS: &str = "job_id,submit_s,run_s,limit_s,user,account,partition,qos,name,nodes,tasks,tasks_per_node,cpus,\
    cpus_per_task,mem_mb,gpus,gpus_per_node,gpus_per_task,gpu_type,gpu_milli,gpu_mem_mib,mig_profile,class,kind,priority,\
    nice,after,array,begin_s,deadline_s,features,switches,reservation,checkpoint_gb,checkpoint_interval_s,requeue,exclusive,\
    tenant,cancel_s,start_s,end_s,eligible_s,state,exit_code,ran_gpu_type,gpu_util,gpu_mem_peak_mib,alloc_nodes,\
    alloc_cpus,alloc_gpus";

/// One cell of a column that may well be empty.
fn cell(column: &str) -> BoxedStrategy<String> {
    let filled: BoxedStrategy<String> = match column {
        "nodes" | "tasks" | "tasks_per_node" | "cpus" | "cpus_per_task" => {
            (1u32..999).prop_map(|n| n.to_string()).boxed()
        }
        "gpu_milli" => (0u32..=1000).prop_map(|n| n.to_string()).boxed(),
        "mem_mb" | "gpus" | "gpus_per_node" | "gpus_per_task" | "gpu_mem_mib" | "gpu_mem_peak_mib"
        | "alloc_nodes" | "alloc_cpus" | "alloc_gpus" | "priority" | "nice" | "checkpoint_gb" => {
            (0u32..100_000).prop_map(|n| n.to_string()).boxed()
        }
        "limit_s" | "checkpoint_interval_s" => (1u32..1_000_000).prop_map(|n| n.to_string()).boxed(),
        "begin_s" | "deadline_s" | "start_s" | "end_s" | "eligible_s" => {
            (0u32..1_000_000, 0u32..1000).prop_map(|(s, ms)| format!("{s}.{ms:03}")).boxed()
        }
        "cancel_s" => (1_000_000u32..2_000_000).prop_map(|n| n.to_string()).boxed(),
        "kind" => prop_oneof!["work", "session"].boxed(),
        "requeue" | "exclusive" => prop_oneof!["0", "1", "yes", "no"].boxed(),
        "gpu_util" => (0u32..=1000).prop_map(|n| format!("{}.{:03}", n / 1000, n % 1000)).boxed(),
        "gpu_type" => "[a-c]([|][d-f]){0,2}".boxed(),
        "features" => "[a-c](&[d-f]){0,2}".boxed(),
        "array" => prop_oneof!["0-3%2", "1,4", "7"].boxed(),
        "after" => (0u32..12, prop_oneof!["after", "afterany", "afterok", "afternotok", "aftercorr"])
            .prop_map(|(id, kind)| format!("{kind}:{id}"))
            .boxed(),
        _ => "[a-zA-Z\u{e9}\u{4e2d}\",; ]{1,6}".prop_map(|s| s.trim().to_owned()).boxed(),
    };
    prop_oneof![Just(String::new()), filled].boxed()
}

fn row() -> impl Strategy<Value = Vec<String>> {
    let rest: Vec<BoxedStrategy<String>> = COLUMNS.split(',').skip(3).map(cell).collect();
    let required = (0u32..12, 0u32..1_000_000, 1u32..100_000, 0u32..4);
    (required, rest).prop_map(|((id, submit, run, text), rest)| {
        let id = if text == 0 { format!("job{id}") } else { id.to_string() };
        [vec![id, format!("{submit}.5"), run.to_string()], rest].concat()
    })
}

fn as_csv(rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS.split(',')).expect("memory");
    rows.iter().for_each(|row| writer.write_record(row).expect("memory"));
    writer.into_inner().expect("memory")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn written_traces_are_read_back(rows in proptest::collection::vec(row(), 1..12)) {
        // A trace in which every row waits for itself has no valid row: nothing to write.
        let Ok(first) = read_stream(as_csv(&rows).as_slice(), "jobs.csv", &ReadOptions::default()) else {
            return Ok(());
        };
        let text = write(&first);
        let second = read(text.as_bytes());
        prop_assert_eq!(second.repairs.rows(RepairKind::Refused), 0);
        prop_assert_eq!(second.repairs.rows(RepairKind::Changed), 0);
        prop_assert_eq!(all_described(&second), all_described(&first));
        prop_assert_eq!(write(&second), text);
    }

    #[test]
    fn jobs_are_in_submit_order_and_arrays_whole(
        submits in proptest::collection::vec((0u32..50, 0u32..5, 1u32..6), 1..30)
    ) {
        let mut text = "job_id,submit_s,run_s,array\n".to_owned();
        let mut tasks = 0;
        for (at, (submit, first, count)) in submits.iter().enumerate() {
            text.push_str(&format!("a{at},{submit},5,{first}-{}%2\n", first + count - 1));
            tasks += count;
        }
        let trace = read(text.as_bytes());
        prop_assert_eq!(trace.jobs.len(), tasks as usize);
        let mut names: Vec<String> = trace.jobs.ids().map(|id| trace.job_name(id)).collect();
        for (one, two) in trace.jobs.iter().zip(trace.jobs.iter().skip(1)) {
            prop_assert!(one.submit <= two.submit);
        }
        let mut expected: Vec<(u32, Vec<String>)> = submits
            .iter()
            .enumerate()
            .map(|(at, (submit, first, count))| {
                (*submit, (*first..first + count).map(|index| format!("a{at}_{index}")).collect())
            })
            .collect();
        expected.sort_by_key(|(submit, _)| *submit);
        prop_assert_eq!(std::mem::take(&mut names), expected.into_iter().flat_map(|(_, n)| n).collect::<Vec<_>>());
    }

    #[test]
    fn anonymous_traces_keep_shape_and_lose_names(rows in proptest::collection::vec(row(), 1..12)) {
        let Ok(trace) = read_stream(as_csv(&rows).as_slice(), "jobs.csv", &ReadOptions::default()) else {
            return Ok(());
        };
        let how = Anonymizer { salt: "s".to_owned(), keep_times: true, keep_sizes: true };
        let hidden = anonymize(trace.clone(), &how);
        prop_assert_eq!(write(&hidden), write(&anonymize(trace.clone(), &how)), "same input, same output");
        prop_assert_eq!(read(write(&hidden).as_bytes()).jobs.len(), trace.jobs.len());
        for (before, after) in trace.jobs.ids().zip(hidden.jobs.ids()) {
            let (old, new) = (&trace.jobs[before], &hidden.jobs[after]);
            prop_assert_eq!((old.submit, old.run, old.limit), (new.submit, new.run, new.limit));
            let (was, is) = (trace.labels.get(old.labels), hidden.labels.get(new.labels));
            prop_assert_eq!(was.user.is_some(), is.user.is_some());
            if let Some(user) = is.user {
                prop_assert!(hidden.texts.get(user).starts_with("user-"));
            }
        }
    }
}

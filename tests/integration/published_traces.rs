//! Published traces with columns of their own: what a row becomes, and the real files of the shared folder.

use windtunnel::ids::{Id, JobId};
use windtunnel::time::{SimDuration, SimTime};
use windtunnel::workload::read::{Dialect, ReadOptions, TraceFormat, read_stream, read_trace};
use windtunnel::workload::{JobFlags, RepairKind, Workload};

use super::shared;
use super::terminal::Desk;

fn read(text: &str) -> Workload {
    read_stream(text.as_bytes(), "trace.csv", &ReadOptions::default()).expect("a good row")
}

fn reasons(workload: &Workload) -> Vec<(&'static str, u64)> {
    workload.repairs.iter().map(|(reason, repair)| (reason, repair.rows)).collect()
}

fn request(workload: &Workload, at: usize) -> (Option<u32>, Option<u32>, Option<u32>, Option<u32>) {
    let request = workload.requests.get(workload.jobs[JobId::new(at)].request);
    (request.nodes, request.cpus, request.gpus, request.gpu_milli)
}

#[test]
fn pods_of_openb() {
    let trace = read(
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n\
         p0,12000,16384,1,1000,,LS,Succeeded,0,100,10\np1,6500,12288,1,460,A|B,BE,Running,5,200,15\n\
         p2,6000,1,0,0,,LS,Pending,7,50,\np3,1,1,1,1001,,LS,Failed,7,50,8\n",
    );
    assert_eq!(trace.jobs.len(), 2);
    assert_eq!(trace.jobs[JobId(0)].run, SimDuration::from_s(90));
    assert_eq!(trace.recorded(JobId(0)).start, Some(SimTime::from_s(10)));
    assert_eq!(request(&trace, 0), (Some(1), Some(12), Some(1), None));
    assert_eq!(request(&trace, 1), (Some(1), Some(7), Some(1), Some(460)));
    assert_eq!(trace.requests.get(trace.jobs[JobId(1)].request).gpu_types.len(), 2);
    assert_eq!(
        reasons(&trace),
        [
            ("a value out of range", 1),
            ("never scheduled: no run time is known", 1),
            ("a fraction of a CPU, rounded up to whole CPUs", 1),
            ("still running at its recorded end (the time so far is its run time)", 1),
        ]
    );
    let nodes = "sn,cpu_milli,memory_mib,gpu,model\nn0,96000,1,8,G2\n";
    let error = read_stream(nodes.as_bytes(), "nodes.csv", &ReadOptions::default()).unwrap_err();
    assert!(error.diagnostics.kept()[0].message.contains("list of nodes"), "{:?}", error.diagnostics.kept());
    let no_times = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\np0,1,1,1,1000\n";
    let error = read_stream(no_times.as_bytes(), "pods.csv", &ReadOptions::default()).unwrap_err();
    assert_eq!(error.diagnostics.kept()[0].code.0, "W0136");
}

#[test]
fn instances_without_beginning_or_end() {
    let trace = read(
        "instance_sn,role,app_name,cpu_request,cpu_limit,gpu_request,memory_request,creation_time,scheduled_time,deletion_time\n\
         i0,HN,a,12,12,1,120.0,,,\ni1,CN,b,64,64,0,320.5,475.0,623.0,1000.5\ni2,CN,b,64,64,0,1,10,20,\ni3,CN,b,1,1,0,1,5,,9\n",
    );
    assert_eq!(trace.jobs.len(), 3);
    let run = |at: u32| trace.jobs[JobId(at)].run.as_s();
    // The trace ends with the last deletion, at 1000.5 s.
    assert_eq!((run(0), run(1), run(2)), (1000.5, 980.5, 377.5));
    assert!(trace.jobs.iter().all(|job| job.flags.has(JobFlags::SESSION)));
    assert_eq!(request(&trace, 0), (Some(1), Some(12), Some(1), None));
    assert_eq!(trace.repairs.rows(RepairKind::Refused), 1);
}

#[test]
fn philly_helios_and_acme() {
    let philly = read(
        "timestamp,duration,num_gpus,gpu_time,cluster\n2017-10-09 07:01:55,66.0,2,132.0,vc\n2017-10-09 07:02:00,50,1,99,vc\n",
    );
    assert_eq!(philly.jobs[JobId(0)].submit, SimTime::from_s(1_507_532_515));
    assert_eq!(request(&philly, 0).2, Some(2));
    assert_eq!(philly.repairs.rows(RepairKind::Noted), 1);
    let helios = read(
        "# a slice\n# two lines\njob_id,user,tenant,class,submit_time,num_chips,chip_type,num_nodes,duration_s,walltime_limit_s,final_status\n\
         7,u,vc,finetune,5835000000,16,,2,24.5,24.5,CANCELED\n",
    );
    let job = &helios.jobs[JobId(0)];
    assert_eq!((job.submit, job.run), (SimTime::from_s(5835), SimDuration::from_micros(24_500_000)));
    assert!(job.flags.has(JobFlags::LIMIT_UNKNOWN), "the limit is a copy of the run time");
    assert_eq!(request(&helios, 0), (Some(2), None, Some(16), None));
    let log = read(
        "job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue\n\
         1,u,vc,8,64,1,COMPLETED,2020-04-01 00:00:00,2020-04-01 00:00:10,2020-04-01 00:01:10,60,10\n\
         2,u,vc,8,64,1,FAILED,2020-04-01 00:00:00,None,None,0,0\n",
    );
    assert_eq!((log.jobs.len(), log.jobs[JobId(0)].run), (1, SimDuration::from_s(60)));
    let kalos = read(
        "job_id,arrival_time,num_iteration,iteration_computing_time,gpu_workers,ps,gpu_per_worker,cpu_per_gpu_worker,tensorsizes\n\
         0,0.0,208,0.5,8,0,8.0,12.5,10.0\n",
    );
    assert_eq!(kalos.jobs[JobId(0)].run, SimDuration::from_s(104));
    assert_eq!(request(&kalos, 0), (Some(8), Some(100), Some(64), None));
    assert_eq!(reasons(&kalos), [("its run time includes the time in the queue", 1)]);
}

#[test]
fn every_dialect_has_a_name() {
    for dialect in Dialect::ALL {
        assert_eq!(TraceFormat::of_name(dialect.name()), Some(TraceFormat::Published(dialect)));
    }
    assert_eq!(TraceFormat::of_name("xml"), None);
    let forced =
        ReadOptions { format: Some(TraceFormat::Published(Dialect::Philly)), ..ReadOptions::default() };
    let error = read_stream(&b"a,b\n1,2\n"[..], "trace.csv", &forced).unwrap_err();
    assert_eq!(error.diagnostics.kept()[0].code.0, "W0106");
}

#[test]
fn real_files() {
    let Some(folder) = shared::folder("traces") else { return };
    let cases = [
        ("gpu/alibaba-gpu-v2023/openb_pod_list_default.csv.gz", 8_152, 7_255),
        ("gpu/alibaba-gpu-v2023/openb_pod_list_gpushare60.csv.gz", 8_152, 7_102),
        ("gpu/alibaba-dlrm-v2025/disaggregated_DLRM_trace.csv.gz", 23_871, 23_855),
        ("gpu/philly/philly.csv.gz", 82_247, 82_247),
        ("gpu/helios/helios_venus_2vc_sept.csv", 1_867, 1_867),
        ("gpu/acme/converted_kalos_trace.csv", 319, 319),
        ("slurm/drac-graham/jobs_graham_2021-05-01.csv.gz", 1_622, 1_622),
    ];
    for (file, rows, jobs) in cases {
        let trace = read_trace(&folder.join(file), &ReadOptions::default()).unwrap();
        assert_eq!((trace.repairs.rows_read, trace.jobs.len()), (rows, jobs), "{file}");
    }
}

#[test]
fn what_to_export_from_a_site() {
    let desk = Desk::new();
    let text = desk.run(&["trace", "collect-cmd", "slurm"]).ok().stdout;
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("collect_slurm", text);
    });
    let object = desk.run(&["trace", "collect-cmd", "slurm", "--json"]).ok().json();
    assert!(object["exports"].as_array().unwrap().len() > 8);
}

#[test]
fn gpus_of_no_stated_type_take_every_request() {
    let desk = Desk::new();
    desk.put("t.csv", "job_id,submit_s,run_s,gpus,gpu_type\n1,0,10,4,a100\n2,0,10,4,v100|t4\n3,0,10,4,\n");
    let args = ["replay", "t.csv", "--nodes", "1", "--gpus-per-node", "8", "--json"];
    let any = desk.run(&args).ok().json();
    assert_eq!((&any["jobs"]["completed"], &any["jobs"]["refused"]), (&3.into(), &0.into()));
    let named = desk.run(&[&args[..], &["--gpu", "P100-16GB"]].concat()).ok().json();
    assert_eq!((&named["jobs"]["completed"], &named["jobs"]["refused"]), (&1.into(), &2.into()));
}

//! Nothing is called honoured that no line of code reads: every option of slurm.conf, every word of
//! `SchedulerParameters`, every key of nodes and partitions is tried with values of all kinds. Where one is called
//! honoured, some value changes the configuration that decides.

use windtunnel::scenario::slurm_conf::{Site, SiteFiles, read_site};

use super::terminal::Desk;

/// Names of slurm.conf(5), 20.02 to 26.05, as far as they are about deciding; the others are tried with them.
const OPTIONS: &str = "AccountingStorageEnforce AccountingStorageHost AccountingStorageTRES AccountingStorageType \
    AuthInfo AuthType BatchStartTimeout BurstBufferType ClusterName CompleteWait DefCpuPerGPU DefMemPerCPU DefMemPerGPU \
    DefMemPerNode DependencyParameters DisableRootJobs EnforcePartLimits Epilog FairShareDampeningFactor \
    FederationParameters GresTypes InactiveLimit JobRequeue JobSubmitPlugins KillOnBadExit KillWait LaunchParameters \
    Licenses MaxArraySize MaxBatchRequeue MaxJobCount MaxMemPerCPU MaxMemPerNode MaxNodeCount MaxTasksPerNode MCSPlugin \
    MinJobAge NodeFeaturesPlugins OverTimeLimit PowerParameters PreemptExemptTime PreemptMode PreemptParameters \
    PreemptType PriorityCalcPeriod PriorityDecayHalfLife PriorityFavorSmall PriorityFlags PriorityMaxAge \
    PriorityParameters PrioritySiteFactorPlugin PriorityType PriorityUsageResetPeriod PriorityWeightAge \
    PriorityWeightAssoc PriorityWeightFairshare PriorityWeightJobSize PriorityWeightPartition PriorityWeightQOS \
    PriorityWeightTRES PrologFlags RequeueExit RequeueExitHold ResumeProgram ResumeTimeout ResvOverRun ReturnToService \
    SchedulerTimeSlice SchedulerType SelectType SelectTypeParameters SlurmctldParameters SlurmdParameters StateSaveLocation \
    SuspendProgram SuspendTime SwitchType TaskPlugin TopologyParam TopologyPlugin TrackWCKey UnkillableStepTimeout WaitTime";

const WORDS: &str = "assoc_limit_stop batch_sched_delay bf_busy_nodes bf_continue bf_hetjob_immediate bf_hetjob_prio \
    bf_interval bf_job_part_count_reserve bf_licenses bf_max_job_array_resv bf_max_job_assoc bf_max_job_part \
    bf_max_job_start bf_max_job_test bf_max_job_user bf_max_job_user_part bf_max_time bf_min_age_reserve \
    bf_min_prio_reserve bf_node_space_size bf_one_resv_per_job bf_resolution bf_running_job_reserve bf_window \
    bf_window_linear bf_yield_interval bf_yield_sleep build_queue_timeout default_queue_depth defer defer_batch \
    delay_boot disable_job_shrink disable_hetjob_steps enable_hetjob_steps enable_user_top ignore_constraint_validation \
    ignore_numa max_array_tasks max_rpc_cnt max_sched_time max_script_size max_submit_line_size max_switch_wait \
    no_backup_scheduling no_env_cache nohold_on_prolog_fail pack_serial_at_end partition_job_depth preempt_reorder_count \
    preempt_send_user_signal preempt_strict_order preempt_youngest_first reduce_completing_frag requeue_setup_env_fail \
    salloc_wait_nodes sbatch_wait_nodes sched_interval sched_max_job_start sched_min_interval spec_cores_first \
    step_retry_count step_retry_time time_min_as_soft_limit whole_hetjob";

const OF_NODES: &str = "BcastAddr Boards CoreSpecCount CoresPerSocket CPUBind CPUs CpuSpecList Feature Features Gres \
    MemSpecLimit NodeAddr NodeHostname Port Procs RealMemory Reason RestrictedCoresPerGPU Sockets SocketsPerBoard State \
    ThreadsPerCore TmpDisk Topology TRESWeights Weight";

const OF_PARTITIONS: &str = "AllocNodes AllowAccounts AllowGroups AllowQos Alternate CpuBind DefCPUPerGPU DefMemPerCPU \
    DefMemPerGPU DefMemPerNode Default DefaultTime DenyAccounts DenyQos DisableRootJobs Exclusive ExclusiveTopo \
    ExclusiveUser GraceTime Hidden LLN MaxCPUsPerNode MaxCPUsPerSocket MaxMemPerCPU MaxMemPerNode MaxNodes MaxTime MinNodes \
    Nodes OverSubscribe OverTimeLimit PowerDownOnIdle PreemptMode Priority PriorityJobFactor PriorityTier ReqResv \
    ResumeTimeout RootOnly SelectTypeParameters Shared State SuspendTime SuspendTimeout Topology TRESBillingWeights";

/// Values of all kinds that some option or other takes.
const VALUES: [&str; 44] = [
    "1",
    "0",
    "3",
    "2000",
    "YES",
    "NO",
    "INFINITE",
    "2-00:00:00",
    "n1",
    "gpu:2",
    "a,b",
    "DOWN",
    "DRAIN",
    "FUTURE",
    "EXCLUSIVE",
    "NODE",
    "USER",
    "sched/builtin",
    "sched/backfill",
    "priority/basic",
    "priority/multifactor",
    "preempt/none",
    "preempt/qos",
    "preempt/partition_prio",
    "OFF",
    "REQUEUE",
    "CANCEL",
    "select/linear",
    "select/cons_tres",
    "CR_CPU",
    "CR_Core_Memory",
    "CR_LLN",
    "accounting_storage/none",
    "accounting_storage/slurmdbd",
    "all",
    "none",
    "limits",
    "kill_invalid_depend",
    "cred_expire=7",
    "youngest_first",
    "weekly",
    "MAX_TRES",
    "CPU=2.0",
    "topology/tree",
];

fn read(desk: &Desk, text: &str) -> Site {
    desk.put("slurm.conf", text);
    let path = desk.path("slurm.conf");
    read_site(SiteFiles { slurm_conf: &path, gres_conf: None, accounting: None, version: None })
        .expect("the file is there")
}

/// Options of the file that are called honoured although no value changes what decides.
fn without_effect(
    names: &str,
    values: &[&str],
    file: impl Fn(&str) -> String,
    listed_as: &str,
) -> Vec<String> {
    let desk = Desk::new();
    let plain = read(&desk, &file(""));
    let mut wrong = Vec::new();
    for name in names.split_ascii_whitespace() {
        let (mut honoured, mut changed) = (false, false);
        for value in values {
            let word = if value.is_empty() { name.to_owned() } else { format!("{name}={value}") };
            let site = read(&desk, &file(&word));
            let option = format!("{listed_as}{name}");
            let rows = site.coverage.rows.iter().filter(|row| row.option == option && row.value == *value);
            if site.diagnostics.errors() == 0 {
                honoured |= rows.clone().any(|row| row.treatment.word() == "honoured");
                changed |= site.config != plain.config;
            }
        }
        if honoured && !changed {
            wrong.push(name.to_owned());
        }
    }
    wrong
}

#[test]
fn options_that_are_honoured_have_an_effect() {
    let nodes = "NodeName=n1 CPUs=16 Sockets=2 CoresPerSocket=4 ThreadsPerCore=2\nNodeName=n2 CPUs=4\n";
    let partition = "PartitionName=p Nodes=ALL Default=YES\n";
    let file = |line: &str| format!("{line}\n{nodes}{partition}");
    let mut wrong = without_effect(OPTIONS, &VALUES, file, "");
    // nodes are chosen by the rule of cons_tres whatever is written, and that is what honours it
    wrong.retain(|name| name != "SelectType");
    assert!(wrong.is_empty(), "{wrong:?}");
    let file = |word: &str| {
        let list = if word.is_empty() { String::new() } else { format!("SchedulerParameters={word}\n") };
        format!("{list}{nodes}{partition}")
    };
    let values = ["", "1", "7", "2000", "-1"];
    let wrong = without_effect(WORDS, &values, file, "SchedulerParameters:");
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn keys_of_nodes_and_partitions_that_are_honoured_have_an_effect() {
    let file =
        |key: &str| format!("NodeName=n1 {key}\nNodeName=n2 CPUs=4\nPartitionName=p Nodes=n2 Default=YES\n");
    let wrong = without_effect(OF_NODES, &VALUES, file, "");
    assert!(wrong.is_empty(), "{wrong:?}");
    let file =
        |key: &str| format!("NodeName=n[1-2] CPUs=4\nPartitionName=q Nodes=n2\nPartitionName=p {key}\n");
    let wrong = without_effect(OF_PARTITIONS, &VALUES, file, "");
    assert!(wrong.is_empty(), "{wrong:?}");
}

//! What traces and result files hold: every column or key with unit and definition.

use serde_json::{Value, json};

use crate::workload::read::trace_columns;

/// The description of a trace (`trace`) or a result file; `None` for a file that is not ours.
#[must_use]
pub fn file_schema(file: &str) -> Option<Value> {
    if file == "trace" {
        let fields: Vec<Value> = trace_columns()
            .map(|column| {
                json!({
                    "name": column.name,
                    "meaning": column.meaning,
                    "required": column.is_required,
                    "has_effect": column.has_effect,
                })
            })
            .collect();
        return Some(json!({ "file": "trace (CSV)", "fields": fields }));
    }
    let rows: &[(&str, &str)] = match file {
        "jobs.csv" => JOBS,
        "timeline.csv" => TIMELINE,
        "ledger.csv" => LEDGER,
        "cost.csv" => COST,
        "usage.csv" => USAGE,
        "summary.json" => SUMMARY,
        "backtest.json" => BACKTEST,
        _ => return None,
    };
    let fields: Vec<Value> =
        rows.iter().map(|(name, what)| json!({ "name": name, "meaning": what })).collect();
    Some(json!({ "file": file, "fields": fields }))
}

const COST: &[(&str, &str)] = &[
    ("design", "name of the design"),
    (
        "view",
        "total, part (what is paid for), four_parts, hours (the ledger priced), user, account; the rows of each sum to \
         the total",
    ),
    ("what", "part, category of the ledger, user or account; empty for what is nobody's"),
    ("amount_millionths", "amount over the horizon in millionths of the currency's unit, an exact integer"),
    ("currency", "currency by its three letters"),
];

const JOBS: &[(&str, &str)] = &[
    ("job_id", "the trace's id"),
    ("submit_s", "submission, seconds of the trace"),
    ("eligible_s", "submission, or when dependencies, begin time and array limit were met; empty if never"),
    ("start_s", "start of the first attempt; empty if it never started"),
    (
        "work_start_s",
        "when the last attempt was at work: its start, or the end of what came first (MIG instances made, VM booted, \
         snapshot restored, restart paid); empty if it never was",
    ),
    ("end_s", "end, or when it was refused or withdrawn; empty if unfinished"),
    (
        "state",
        "COMPLETED, FAILED, CANCELLED, REFUSED (no pool can ever hold it), PENDING, RUNNING, FUTURE; under \
         Slurm's policy also TIMEOUT, PREEMPTED, NODE_FAIL",
    ),
    ("attempt", "number of starts"),
    ("nodes", "nodes held"),
    ("gpus", "GPUs held"),
    ("reason", "why it was refused; under Slurm's policy also why it was still pending at the end"),
    ("design", "name of the design"),
    (
        "node_list",
        "nodes held: pool[first-last,...], counted from 0 in each pool; names of slurm.conf where they come from it",
    ),
    ("user", "user of the trace"),
    ("account", "account of the trace"),
    ("class", "job class"),
];

const TIMELINE: &[(&str, &str)] = &[
    ("design", "name of the design"),
    ("from_s", "start of the interval, seconds of the trace"),
    ("waiting_mean", "waiting jobs, time-weighted mean"),
    ("waiting_max", "waiting jobs, most at once"),
    ("running_mean", "running jobs, time-weighted mean"),
    ("cpus_mean", "allocated CPUs, time-weighted mean"),
    ("cpus_max", "allocated CPUs, most at once"),
    ("gpus_mean", "allocated GPUs, time-weighted mean"),
    ("gpus_max", "allocated GPUs, most at once"),
];

const USAGE: &[(&str, &str)] = &[
    ("design", "name of the design"),
    ("pool", "name of the pool"),
    ("vm", "number of the VM in its pool"),
    (
        "commitment",
        "committed: it always runs, as a commitment can cover it; on-demand: ordered for the queue",
    ),
    ("ordered_s", "when it was ordered, seconds of the trace; its boot is paid for"),
    ("up_s", "when it was up; empty if its order failed"),
    ("ended_s", "when it was given back, or failed, or the run ended"),
    ("billed_seconds", "from order to end, in begun seconds"),
    ("billed_minutes", "in begun minutes"),
    ("billed_hours", "in begun hours; a block of n hours is n of them, rounded up"),
    ("failed", "1 if the order failed at the end of its boot"),
];

const LEDGER: &[(&str, &str)] = &[
    ("design", "name of the design"),
    ("pool", "name of the pool"),
    ("device", "gpu or cpu"),
    (
        "category",
        "installed; productive; virtualization (slower under a VM than on bare metal); neighbours (slowed down by other jobs on \
         the GPU or host, or by strangers on the host); communication (the network is slower than where run times were recorded, or \
         shared); slack (held beyond what was asked \
         for); slack.stranded (slices of GPUs in use that no instance can be made of); lost (held by attempts that \
         were preempted, or lost with their host, since the last snapshot); storage (standing still for snapshots); held_idle (held and not used, as recorded); startup (being cut anew, or held by a job that \
         restarts after a preemption, or boots); down (under maintenance or repair); \
         idle_waiting.resources (the first \
         waiting job needs more than is free in all), .fragmentation (enough is free in all, not as it \
         needs it), .held (only held jobs wait), .limit (a limit keeps the first waiting job out), .policy (the scheduler \
         has not looked at it yet, or keeps what is free from it); idle (nobody waits). All but installed sum to it",
    ),
    ("units", "exact integer: 1/21,000 of a device for one microsecond"),
];

const BACKTEST: &[(&str, &str)] = &[
    ("format", "windtunnel backtest 1"),
    ("version", "version of windtunnel"),
    ("input.{trace,sha256}", "the trace as written, and the hash of its bytes"),
    ("input.{policy,design}", "the policy, the design in words"),
    ("window.{from_s,to_s}", "submit times judged, seconds of the trace; the second is not inside"),
    ("jobs.{simulated,judged}", "jobs of the run, and those judged"),
    ("jobs.running_at_start", "running when the window began: placed first, not judged"),
    ("jobs.running_at_start_placed_late", "those of them that found no room at their recorded start"),
    ("jobs.set_aside", "simulated and not judged: reason, jobs"),
    ("jobs.left_out", "not simulated: reason, jobs; refused rows of the trace too"),
    ("node_outages", "nodes taken from the machine (down, drained, reserved), each time counted"),
    ("headline_error_pct", "error of the moving mean in per cent, else of the mean"),
    ("judged.jobs", "jobs judged"),
    ("judged.{recorded_wait_s,simulated_wait_s}", "waits of both sides: mean and quantiles"),
    (
        "judged.mean_error_pct",
        "(simulated - recorded) / recorded mean wait in per cent; null if nobody waited",
    ),
    ("judged.start_error_mean_s", "simulated - recorded start of the same job, mean with sign"),
    ("judged.start_error_absolute_s", "its absolute value: mean and quantiles"),
    ("judged.wasserstein_1_s", "mean distance between the sorted waits of both sides"),
    ("judged.kolmogorov_smirnov", "largest distance between the distribution functions of the waits"),
    ("pending_at_start", "the same for jobs that were pending when the window began"),
    ("moving_mean.{window_s,step_s}", "two weeks every day; of a case below two weeks a quarter of it"),
    (
        "moving_mean.{mean_absolute_error_pct,mean_absolute_error_s}",
        "mean over the instants of |simulated - recorded| (/ recorded) mean wait of the jobs submitted in the \
         window before",
    ),
    ("moving_mean.left_out", "instants without job or with a recorded mean of zero"),
    ("moving_mean.curve", "at_s, jobs, recorded_s, simulated_s"),
    (
        "utilization.{recorded_cpu,simulated_cpu,recorded_gpu,simulated_gpu}",
        "allocated / installed in the window",
    ),
    ("utilization.{step_s,mean_absolute_difference}", "length of a step; mean distance over the steps"),
    ("utilization.curve", "the same shares by step"),
    ("parts.{partition,qos,user,size,requested_time}", "as judged, by part; the 15 users with most jobs"),
    ("not_known", "what decides waits at the site and is not in the simulation"),
];

const SUMMARY: &[(&str, &str)] = &[
    ("title", "the question that the scenario asks; null without"),
    ("policy", "name of the scheduling policy"),
    ("slurm_version", "under Slurm's policy: the version whose rules and defaults hold"),
    ("baseline", "name of the design that the others are measured against"),
    ("designs.<name>.label", "name of the design for people"),
    ("designs.<name>.service", "request-level services: none in this version"),
    ("designs.<name>.jobs.read", "rows of the trace"),
    ("designs.<name>.jobs.repaired", "values that the reader changed"),
    ("designs.<name>.jobs.refused", "rows that the reader refused and jobs that no pool can ever hold"),
    (
        "designs.<name>.jobs.rounded_up",
        "asked for parts of GPUs that the design gives whole, and held whole ones; what they did not ask for is slack",
    ),
    (
        "designs.<name>.jobs.{completed,failed,cancelled,unfinished}",
        "jobs by end; failed holds those killed at their limit or preempted for good",
    ),
    ("designs.<name>.makespan_s", "last end - first submission"),
    ("designs.<name>.throughput.jobs_per_hour", "completed jobs / makespan"),
    (
        "designs.<name>.throughput.delivered_gpu_hours_per_hour",
        "reference GPU-hours of completed jobs / makespan",
    ),
    ("designs.<name>.wait_s", "first start - submission, over jobs that started"),
    ("designs.<name>.turnaround_s", "end - submission, over jobs that ran to an end"),
    (
        "designs.<name>.bounded_slowdown",
        "max(1, (wait + run) / max(run, 10 s)), over jobs that ran to an end",
    ),
    ("<spread>.{mean,p50,p90,p95,p99,p999,max}", "quantile q of n values: sorted[min(n-1, floor(q n))]"),
    ("designs.<name>.utilization.cpu", "allocated / installed CPU time over the horizon"),
    ("designs.<name>.utilization.gpu_allocated", "allocated / installed GPU time"),
    ("designs.<name>.utilization.gpu_productive", "productive / installed GPU time"),
    (
        "designs.<name>.fragmentation.mean",
        "share of installed GPU time (CPU time without GPUs) idle because the first waiting job, for \
         which enough was free in all, found no fitting nodes",
    ),
    ("designs.<name>.{gpu_hours,cpu_hours}", "the ledger in device-hours; all but installed sum to it"),
    (
        "designs.<name>.sharing.at_work_to_own_end",
        "productive / installed GPU time until the design's own last instant (the comparison's horizon is the slowest's)",
    ),
    (
        "designs.<name>.sharing.allocation_ratio",
        "where GPUs are shared: held / installed GPU time; a MIG instance counts as its share of the compute slices",
    ),
    (
        "designs.<name>.sharing.{fragmentation_ratio,fragmentation_gpus}",
        "FGD's measure over time: free GPU that the usual requests (95 % of the jobs) cannot use / free GPU; in GPUs",
    ),
    (
        "designs.<name>.sharing.{stranded_slices,stranded_share}",
        "external fragmentation: compute slices of GPUs in use that no instance can be made of, mean; / installed",
    ),
    (
        "designs.<name>.sharing.{internal_slack,neighbours_share}",
        "held beyond what was asked for / held GPU time; lost to jobs on the same GPU / held GPU time",
    ),
    (
        "designs.<name>.sharing.{repartitions,instances_made,instances_destroyed,startup_share}",
        "changes of a GPU's layout; instances; GPU time under change / installed",
    ),
    (
        "designs.<name>.tenancy.{virtualization_share,neighbours_share,communication_share}",
        "where not all is bare metal, alone: lost to the access method / held GPU time (CPU time without GPUs); lost \
         to others on the same host / held; lost to the network / held",
    ),
    (
        "designs.<name>.tenancy.{startup_share,down_share,noise_epochs,boots,spilled}",
        "booting / installed; under maintenance or repair / installed; ends of noise epochs on hosts with jobs; jobs that waited \
         for a boot; jobs that went to other pools for their wait",
    ),
    (
        "designs.<name>.tenancy.{lost_share,snapshot_share,host_failures,lost_attempts,timeouts}",
        "lost with hosts that failed / held; standing still for snapshots / held; failures of hosts; running jobs that \
         were lost with them; jobs killed at their limits",
    ),
    (
        "designs.<name>.tenancy.{leaves_per_job,leaves_over_fewest}",
        "of jobs on several nodes of a fabric: leaves that they had, mean over their starts; the same over the fewest that they \
         could have had on an empty network",
    ),
    (
        "designs.<name>.tenancy.{failures_by_level,given_up}",
        "failures of hosts by what failed (gpu, host, link, software), where the design tells them apart; jobs given up \
         because they were lost a thousand times without getting on",
    ),
    (
        "designs.<name>.tenancy.{slice_wait_mean_s,slice_wait_p99_s}",
        "wait of a burst (`burst-ms`) for the time slices of other vGPUs: mean and 99th percentile, over the time of jobs \
         on time slices",
    ),
    (
        "designs.<name>.tenancy.{vms_ordered,vms_failed,vms_most,vm_hours,vm_hours_on_demand}",
        "of elastic pools: VMs ordered, orders that failed, most at once; hours of VMs, and those beyond the minimum \
         that always runs",
    ),
    ("designs.<name>.{delivered_gpu_hours,delivered_cpu_hours}", "reference hours of completed jobs"),
    ("designs.<name>.queue.{mean,max,waiting_share}", "waiting jobs: mean over time, most, share of time"),
    (
        "designs.<name>.cost",
        "total over the horizon; per month; per installed, allocated and delivered GPU-hour; per completed job; waiting (the \
         price of waiting, beside the total); parts (what is paid for); four_parts; currency; null without prices",
    ),
    (
        "designs.<name>.cost_by",
        "the total by category of the ledger (hours), by user and by account: charged, and the rest that is nobody's",
    ),
    (
        "verdict",
        "where the scenario has an objective: conditions, decisive figure, every design with what it meets, the choice, \
         designs that the replicas do not tell from it, and the sentence",
    ),
    (
        "outlook",
        "where the scenario has an objective or a plan: flows (money by year), growth (month in which each design misses \
         the objective), load (between which loads the verdict stands), prices (at which a rival would win), swings (the \
         decisive figure at low and high values of the assumptions)",
    ),
    (
        "designs.<name>.slurm",
        "under Slurm's policy: version whose rules decide, starts, share of them by the backfill thread, jobs requeued, passes and \
         cycles, jobs pending at the end by reason, what of the trace could not be carried over",
    ),
    (
        "designs.<name>.preemption",
        "under a preemptive policy: preemptions, jobs preempted, moves of running jobs to other GPUs, GPU-hours of \
         restart overhead (`startup` in the ledger), what of the trace could not be carried over",
    ),
    (
        "designs.<name>.translation",
        "where jobs ran on other GPUs: moves (from, to, class, jobs, speed, what says so), jobs that run as \
         recorded by reason, names of the trace taken for boards of the catalogue, jobs whose recorded peak of GPU \
         memory is above every pool's",
    ),
    (
        "not_modelled",
        "under Slurm's policy: options of the site's files that are not modelled (`not yet`) or done otherwise (`approximated`): \
         option, value, file, line, treatment, why, and the design whose own files they are in",
    ),
    (
        "version_check",
        "where the version of Slurm lies between two recorded ones: these two, and value and baseline's under the lower, as \
         simulated and under the higher by design and figure, and whether the sign of their difference flips",
    ),
    (
        "speedup_sensitivity.verdicts",
        "where speeds are the catalogue's: value and baseline's at low, typical and high by design and figure, and \
         whether the sign of their difference flips",
    ),
    (
        "designs.<name>.against_baseline",
        "not of the baseline itself: the waits of the jobs that started under both, for all, by account and by \
         user: means and their change, jobs that wait longer or less by a second or more, jobs that no longer \
         start or start now, and the job whose wait grew most",
    ),
    ("designs.<name>.by.{user,account,partition,class,size}", "the same for parts of the jobs"),
    ("designs.<name>.refused_by_design", "the first 20 jobs that no pool can ever hold, with reasons"),
    ("notes", "defaults used with sources, repairs, columns without effect, hours of default class"),
];

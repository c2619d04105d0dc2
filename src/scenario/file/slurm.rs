//! The `[policy.slurm]` table: Slurm's own options in lower case, and the files of a site.
//!
//! One list makes the table of a scenario, the table of a design that changes some of them, and the
//! defaults that a report names. Defaults are those of slurm.conf(5); where versions differ, the version's own stands
//! before the one written here (`Version::default_of`). An empty text is no default.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scheduler::slurm::config::Version;

/// One option of `[policy.slurm]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlurmOption {
    /// Name, in lower case.
    pub key: &'static str,
    /// Default as slurm.conf writes it; empty where there is none.
    pub default: &'static str,
    /// Whether its value is a text in TOML (else a number, or true and false).
    pub is_text: bool,
    /// What it means.
    pub meaning: &'static str,
}

macro_rules! options {
    ($($(#[doc = $doc:literal])+ $key:ident: $kind:ty = $default:literal,)+) => {
        /// Slurm's multifactor priority, main and backfill scheduler.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct SlurmTable {
            /// The site's slurm.conf, relative to the scenario file: its nodes and partitions are in every
            /// design. Without it the pools of a design become nodes and partitions.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub conf: Option<String>,
            /// The site's gres.conf, relative to the scenario file.
            #[serde(rename = "gres-conf", skip_serializing_if = "Option::is_none")]
            pub gres_conf: Option<String>,
            /// Accounts, users, QOS and limits, relative to the scenario file: arguments of `sacctmgr -i`, a
            /// `sacctmgr dump` file, or the text of `sacctmgr -P show assoc` and `show qos`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub assoc: Option<String>,
            /// The site's topology.conf, relative to the scenario file: under `topology/tree` nodes are chosen by its switches.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub topology: Option<String>,
            /// Groups of users for AllowGroups, relative to the scenario file: the text of `getent group`. Groups that are
            /// not in it let everybody in.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub groups: Option<String>,
            $($(#[doc = $doc])+ #[serde(skip_serializing_if = "Option::is_none")] pub $key: Option<$kind>,)+
        }

        /// Changes of one design to the options of `[policy.slurm]`.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct SlurmOptions {
            /// Another slurm.conf, relative to the scenario file: this design has its nodes, partitions and options instead of
            /// those of `[policy.slurm]`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub conf: Option<String>,
            /// The gres.conf beside that slurm.conf.
            #[serde(rename = "gres-conf", skip_serializing_if = "Option::is_none")]
            pub gres_conf: Option<String>,
            /// The topology.conf beside that slurm.conf.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub topology: Option<String>,
            /// Accounts, users, QOS and limits beside that slurm.conf; without it those of `[policy.slurm]`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub assoc: Option<String>,
            $($(#[doc = $doc])+ #[serde(skip_serializing_if = "Option::is_none")] pub $key: Option<$kind>,)+
        }

        impl SlurmTable {
            /// The options that are written, with their values as slurm.conf writes them.
            #[must_use]
            pub fn given(&self) -> Vec<(&'static str, String)> {
                let all = [$((stringify!($key), self.$key.as_ref().map(ToString::to_string)),)+];
                all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
            }

            /// Writes down the version's default of every option that is not written and that `is_set` does not know
            /// otherwise; tells (option, value) of each.
            pub fn fill(
                &mut self,
                version: Version,
                is_set: &dyn Fn(&str) -> bool,
            ) -> Vec<(&'static str, &'static str)> {
                let mut filled = Vec::new();
                $(if self.$key.is_none() && !$default.is_empty() && !is_set(stringify!($key)) {
                    let default = version.default_of(stringify!($key)).unwrap_or($default);
                    self.$key = default.parse().ok();
                    filled.push((stringify!($key), default));
                })+
                filled
            }
        }

        impl SlurmOptions {
            /// The options that are written, with their values as slurm.conf writes them.
            #[must_use]
            pub fn given(&self) -> Vec<(&'static str, String)> {
                let all = [$((stringify!($key), self.$key.as_ref().map(ToString::to_string)),)+];
                all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
            }
        }

        /// Every option.
        pub const SLURM_OPTIONS: &[SlurmOption] = &[$(SlurmOption {
            key: stringify!($key),
            default: $default,
            is_text: matches!(stringify!($kind).as_bytes(), b"String"),
            meaning: concat!($($doc),+),
        },)+];
    };
}

options! {
    /// No option of Slurm: the version whose rules and defaults hold, 20.02 to 26.05, as `24.11` or `24.11.5`
    /// (`scontrol --version`). A design's own version changes the rules and leaves the options.
    version: String = "",
    /// No option of Slurm: `easy` or `conservative` decides at every event instead of Slurm's two schedulers, ideally: no
    /// delays, no limits of tests, reservations to the second. Priorities, limits and choice of nodes stay Slurm's.
    backfill: String = "",
    /// No option of Slurm: microseconds that the backfill thread takes over each job of its queue, as `import --sdiag` fits
    /// them. Without it as on the recorded clusters (210 to 570, and 1,000 to 1,500 where jobs are preempted), drawn anew for each seed.
    backfill_test_us: u32 = "",
    /// SchedulerType: `sched/backfill`, or `sched/builtin` for the main scheduler alone.
    schedulertype: String = "sched/backfill",
    /// Backfill: seconds from the end of a cycle to the next.
    bf_interval: u32 = "30",
    /// Backfill: minutes that it looks ahead.
    bf_window: u32 = "1440",
    /// Backfill: seconds of a step of its time map.
    bf_resolution: u32 = "60",
    /// Backfill: jobs tested in a cycle (100 before 21.08).
    bf_max_job_test: u32 = "500",
    /// Backfill: jobs tested of each partition; 0 = no limit.
    bf_max_job_part: u32 = "0",
    /// Backfill: jobs tested of each user; 0 = no limit.
    bf_max_job_user: u32 = "0",
    /// Backfill: jobs tested of each user in each partition; 0 = no limit.
    bf_max_job_user_part: u32 = "0",
    /// Backfill: jobs tested of each association; 0 = no limit.
    bf_max_job_assoc: u32 = "0",
    /// Backfill: jobs started in a cycle; 0 = no limit.
    bf_max_job_start: u32 = "0",
    /// Backfill: seconds that a cycle may take, each job in the queue taking what one took on recorded clusters; without it
    /// `bf_interval`.
    bf_max_time: u32 = "",
    /// Backfill: tasks of an array that get a reservation.
    bf_max_job_array_resv: u32 = "20",
    /// Backfill: jobs below this priority get no reservation; 0 = all get one.
    bf_min_prio_reserve: u32 = "0",
    /// Backfill: jobs younger than so many seconds get no reservation.
    bf_min_age_reserve: u32 = "0",
    /// Backfill: reservations in each partition; 0 = no limit.
    bf_job_part_count_reserve: u32 = "0",
    /// Backfill: intervals of the time map; default bf_max_job_test.
    bf_node_space_size: u32 = "",
    /// Backfill: one reservation for each job.
    bf_one_resv_per_job: bool = "false",
    /// Backfill: seconds by which the prediction window grows; 0 = it doubles.
    bf_window_linear: u32 = "",
    /// Main scheduler: seconds between passes after submissions.
    batch_sched_delay: u32 = "3",
    /// Main scheduler: seconds between passes over the whole queue.
    sched_interval: u32 = "60",
    /// Main scheduler: jobs tested in a pass after a submission or an end.
    default_queue_depth: u32 = "100",
    /// Main scheduler: jobs tested of each partition; 0 = no limit.
    partition_job_depth: u32 = "0",
    /// Main scheduler: jobs started in a pass; 0 = no limit.
    sched_max_job_start: u32 = "0",
    /// Main scheduler: a job that meets a limit closes its partition.
    assoc_limit_stop: bool = "false",
    /// Main scheduler: an ending job starts no pass at once.
    defer: bool = "false",
    /// SelectTypeParameters, for instance `CR_Core_Memory` or `CR_CPU,CR_LLN`.
    selecttypeparameters: String = "",
    /// PriorityType: `priority/basic` or `priority/multifactor` (the default since 23.11).
    prioritytype: String = "priority/multifactor",
    /// PriorityWeightAge.
    priorityweightage: u32 = "0",
    /// PriorityWeightAssoc.
    priorityweightassoc: u32 = "0",
    /// PriorityWeightFairshare.
    priorityweightfairshare: u32 = "0",
    /// PriorityWeightJobSize.
    priorityweightjobsize: u32 = "0",
    /// PriorityWeightPartition.
    priorityweightpartition: u32 = "0",
    /// PriorityWeightQOS.
    priorityweightqos: u32 = "0",
    /// PriorityWeightTRES, for instance `CPU=1000,GRES/gpu=3000`.
    priorityweighttres: String = "",
    /// PriorityDecayHalfLife: a Slurm time, plain numbers are minutes.
    prioritydecayhalflife: String = "7-0",
    /// PriorityCalcPeriod: a Slurm time, plain numbers are minutes.
    prioritycalcperiod: String = "5",
    /// PriorityMaxAge: a Slurm time, plain numbers are minutes.
    prioritymaxage: String = "7-0",
    /// PriorityFavorSmall: YES or NO.
    priorityfavorsmall: String = "NO",
    /// PriorityUsageResetPeriod: NONE, DAILY, WEEKLY, MONTHLY, QUARTERLY or YEARLY.
    priorityusageresetperiod: String = "NONE",
    /// PriorityFlags, for instance `MAX_TRES,NO_FAIR_TREE`.
    priorityflags: String = "",
    /// FairShareDampeningFactor.
    fairsharedampeningfactor: u32 = "1",
    /// PreemptType: `preempt/none`, `preempt/qos` or `preempt/partition_prio`.
    preempttype: String = "preempt/none",
    /// PreemptMode: OFF, CANCEL or REQUEUE.
    preemptmode: String = "OFF",
    /// PreemptExemptTime: a Slurm time, plain numbers are minutes.
    preemptexempttime: String = "",
    /// Preemption: the youngest jobs go first.
    preempt_youngest_first: bool = "false",
    /// Preemption: in strict order, as few as needed.
    preempt_strict_order: bool = "false",
    /// Preemption: rounds of reordering.
    preempt_reorder_count: u32 = "1",
    /// AccountingStorageEnforce, for instance `associations,limits,qos`.
    accountingstorageenforce: String = "",
    /// OverTimeLimit: minutes, or UNLIMITED.
    overtimelimit: String = "0",
    /// KillWait: seconds from the end of the limit to the kill.
    killwait: u32 = "30",
    /// CompleteWait: seconds that the main scheduler waits for completing jobs.
    completewait: u32 = "0",
    /// JobRequeue: 1 = jobs may be requeued.
    jobrequeue: u32 = "1",
    /// AuthInfo=cred_expire: seconds; a requeued job waits one second longer.
    cred_expire: u32 = "120",
    /// DependencyParameters, for instance `kill_invalid_depend`.
    dependencyparameters: String = "",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_can_be_written_down() {
        let mut table = SlurmTable::default();
        let filled = table.fill(Version::DEFAULT, &|_| false);
        let given = table.given();
        assert_eq!(filled.len(), given.len());
        for ((key, default), (written, value)) in filled.iter().zip(&given) {
            assert_eq!((key, default.to_string()), (written, value.clone()));
        }
        assert_eq!(table.fill(Version::DEFAULT, &|_| false), []);
        let mut older = SlurmTable::default();
        older.fill("20.11".parse().expect("a version"), &|_| false);
        assert_eq!(
            (older.prioritytype.as_deref(), older.bf_max_job_test),
            (Some("priority/basic"), Some(100))
        );
    }
}

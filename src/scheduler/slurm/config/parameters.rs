//! `SchedulerType`, `SchedulerParameters`, `Priority*`, `Preempt*`, `SelectTypeParameters`.
//!
//! In the sources of 18.08 to 26.05 the same defaults hold for `batch_sched_delay` (3 s),
//! `sched_interval` (60 s), `default_queue_depth` (100), `bf_interval` (30 s), `bf_resolution` (60 s), `bf_window` (a day),
//! `bf_max_job_array_resv` (20), `PriorityDecayHalfLife` (7 days) and `PriorityCalcPeriod` (5 minutes). Those that
//! differ between versions are rows of [`RULES`](super::RULES); what stands here holds before the first of these rows,
//! and [`SlurmConfig::of`](super::SlurmConfig::of) sets them.

/// `SchedulerType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchedulerKind {
    /// `sched/backfill` (man: the default).
    Backfill,
    /// `sched/builtin`: the main scheduler alone.
    Builtin,
}

/// Who passes whom, and when that is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BackfillRule {
    /// `slurmctld`'s two schedulers, each when its thread wakes.
    #[default]
    Threads,
    /// Ideal: at every event, and only the first job that waits gets a reservation.
    Easy,
    /// Ideal: at every event, and every job that waits gets a reservation.
    Conservative,
}

impl BackfillRule {
    /// Whether no thread and no delay stands between an event and the decision.
    #[must_use]
    pub fn is_ideal(self) -> bool {
        self != Self::Threads
    }
}

/// `SchedulerParameters` of the main scheduler.
#[derive(Clone, Debug, PartialEq)]
pub struct MainParameters {
    /// `batch_sched_delay` in seconds (man: 3).
    pub batch_sched_delay_s: i64,
    /// `sched_interval` in seconds (man: 60); `None` = -1, off.
    pub sched_interval_s: Option<i64>,
    /// `default_queue_depth` (man: 100).
    pub default_queue_depth: u32,
    /// `partition_job_depth` (man: 0 = no limit).
    pub partition_job_depth: u32,
    /// `sched_max_job_start` (man: 0 = no limit).
    pub sched_max_job_start: u32,
    /// `assoc_limit_stop` (man: off).
    pub assoc_limit_stop: bool,
    /// `defer`: an ending job does not start a pass at once (man: off).
    pub defer: bool,
    /// `max_switch_wait` in seconds: how long a job waits at most for `--switches` (man: 300).
    pub max_switch_wait_s: i64,
}

impl Default for MainParameters {
    fn default() -> Self {
        Self {
            batch_sched_delay_s: 3,
            sched_interval_s: Some(60),
            default_queue_depth: 100,
            partition_job_depth: 0,
            sched_max_job_start: 0,
            assoc_limit_stop: false,
            defer: false,
            max_switch_wait_s: 300,
        }
    }
}

/// `SchedulerParameters` of the backfill thread.
#[derive(Clone, Debug, PartialEq)]
pub struct BackfillParameters {
    /// No option of Slurm: the named rules beside its own.
    pub rule: BackfillRule,
    /// `bf_interval` in seconds (man: 30).
    pub interval_s: i64,
    /// `bf_window` in seconds (man: 1,440 minutes).
    pub window_s: i64,
    /// `bf_resolution` in seconds (man: 60).
    pub resolution_s: i64,
    /// `bf_max_job_test` (source: 500; 100 before 21.08).
    pub max_job_test: u32,
    /// `bf_max_job_part` (man: 0 = no limit).
    pub max_job_part: u32,
    /// `bf_max_job_user` (man: 0 = no limit).
    pub max_job_user: u32,
    /// `bf_max_job_user_part` (man: 0 = no limit).
    pub max_job_user_part: u32,
    /// `bf_max_job_assoc` (man: 0 = no limit).
    pub max_job_assoc: u32,
    /// `bf_max_job_start` (man: 0 = no limit).
    pub max_job_start: u32,
    /// `bf_max_time` in seconds (man: `bf_interval`).
    pub max_time_s: Option<i64>,
    /// `bf_max_job_array_resv` (man: 20).
    pub max_job_array_resv: u32,
    /// `bf_min_prio_reserve` (man: 0 = all jobs may reserve).
    pub min_prio_reserve: u32,
    /// `bf_min_age_reserve` in seconds (man: 0).
    pub min_age_reserve_s: i64,
    /// `bf_job_part_count_reserve` (man: 0 = no limit).
    pub job_part_count_reserve: u32,
    /// `bf_node_space_size` (man: `bf_max_job_test`).
    pub node_space_size: Option<u32>,
    /// `bf_one_resv_per_job` (man: off).
    pub one_resv_per_job: bool,
    /// `bf_window_linear` in seconds (man: 0 = windows double).
    pub window_linear_s: i64,
    /// No option of Slurm: what a job of the queue takes in a cycle, in microseconds; `None` = as recorded elsewhere.
    pub test_us: Option<u32>,
}

impl Default for BackfillParameters {
    fn default() -> Self {
        Self {
            rule: BackfillRule::Threads,
            interval_s: 30,
            window_s: 1_440 * 60,
            resolution_s: 60,
            max_job_test: 500,
            max_job_part: 0,
            max_job_user: 0,
            max_job_user_part: 0,
            max_job_assoc: 0,
            max_job_start: 0,
            max_time_s: None,
            max_job_array_resv: 20,
            min_prio_reserve: 0,
            min_age_reserve_s: 0,
            job_part_count_reserve: 0,
            node_space_size: None,
            one_resv_per_job: false,
            window_linear_s: 0,
            test_us: None,
        }
    }
}

impl BackfillParameters {
    /// Takes a named rule: decided to the second, without a limit on tests or on what is looked at ahead.
    pub fn be_ideal(&mut self, rule: BackfillRule) {
        *self = Self {
            rule,
            window_s: 100 * 365 * 86_400,
            resolution_s: 1,
            max_job_test: u32::MAX,
            max_time_s: Some(i64::MAX),
            max_job_array_resv: u32::MAX,
            node_space_size: Some(u32::MAX),
            ..Self::default()
        };
    }
}

/// `PriorityWeight*` (man: all 0).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PriorityWeights {
    /// `PriorityWeightAge`.
    pub age: u32,
    /// `PriorityWeightAssoc`.
    pub assoc: u32,
    /// `PriorityWeightFairshare`.
    pub fair_share: u32,
    /// `PriorityWeightJobSize`.
    pub job_size: u32,
    /// `PriorityWeightPartition`.
    pub partition: u32,
    /// `PriorityWeightQOS`.
    pub qos: u32,
    /// `PriorityWeightTRES`: (index into the TRES table, weight).
    pub tres: Vec<(usize, f64)>,
}

/// `PriorityType` and its factors.
#[derive(Clone, Debug, PartialEq)]
pub struct PriorityParameters {
    /// `priority/multifactor` (the default since 23.11; `priority/basic` before).
    pub multifactor: bool,
    /// Weights.
    pub weights: PriorityWeights,
    /// `PriorityDecayHalfLife` in seconds (man: 7 days); 0 = no decay.
    pub decay_half_life_s: i64,
    /// `PriorityCalcPeriod` in seconds (man: 5 minutes).
    pub calc_period_s: i64,
    /// `PriorityMaxAge` in seconds (man: 7 days).
    pub max_age_s: i64,
    /// `PriorityFavorSmall` (man: NO).
    pub favor_small: bool,
    /// `PriorityUsageResetPeriod` in seconds of simulated time; `None` = NONE (man).
    pub usage_reset_s: Option<i64>,
    /// `PriorityFlags=SMALL_RELATIVE_TO_TIME`.
    pub small_relative_to_time: bool,
    /// `PriorityFlags=ACCRUE_ALWAYS`.
    pub accrue_always: bool,
    /// `PriorityFlags=MAX_TRES`: billing is the largest of GPU, CPU and memory on a node, plus the global ones.
    pub max_tres: bool,
    /// `PriorityFlags=INCR_ONLY`.
    pub increase_only: bool,
    /// `PriorityFlags=NO_FAIR_TREE`: the classic fair-share formula 2^(-usage/shares).
    pub no_fair_tree: bool,
    /// `PriorityFlags=NO_NORMAL_PART`.
    pub no_normal_part: bool,
    /// `PriorityFlags=NO_NORMAL_QOS`.
    pub no_normal_qos: bool,
    /// `FairShareDampeningFactor` (man: 1), used without Fair Tree.
    pub dampening: u32,
}

impl Default for PriorityParameters {
    fn default() -> Self {
        Self {
            multifactor: false,
            weights: PriorityWeights::default(),
            decay_half_life_s: 7 * 86_400,
            calc_period_s: 300,
            max_age_s: 7 * 86_400,
            favor_small: false,
            usage_reset_s: None,
            small_relative_to_time: false,
            accrue_always: false,
            max_tres: false,
            increase_only: false,
            no_fair_tree: false,
            no_normal_part: false,
            no_normal_qos: false,
            dampening: 1,
        }
    }
}

/// `PreemptType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreemptType {
    /// `preempt/none` (man: the default).
    None,
    /// `preempt/qos`.
    Qos,
    /// `preempt/partition_prio`.
    PartitionPrio,
}

/// What happens to a preempted job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreemptMode {
    /// Not preempted (man: the default).
    Off,
    /// `CANCEL`.
    Cancel,
    /// `REQUEUE` (cancelled where the job may not be requeued).
    Requeue,
}

/// Preemption.
#[derive(Clone, Debug, PartialEq)]
pub struct PreemptParameters {
    /// `PreemptType`.
    pub kind: PreemptType,
    /// `PreemptMode`.
    pub mode: PreemptMode,
    /// `PreemptParameters=youngest_first` or `SchedulerParameters=preempt_youngest_first` (man: off).
    pub youngest_first: bool,
    /// `strict_order` (man: off).
    pub strict_order: bool,
    /// `reorder_count` (man: 1).
    pub reorder_count: u32,
    /// `PreemptExemptTime` in seconds (man: -1 = none).
    pub exempt_s: i64,
}

impl Default for PreemptParameters {
    fn default() -> Self {
        Self {
            kind: PreemptType::None,
            mode: PreemptMode::Off,
            youngest_first: false,
            strict_order: false,
            reorder_count: 1,
            exempt_s: 0,
        }
    }
}

/// `SelectType` and `SelectTypeParameters`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SelectParameters {
    /// `CR_*_Memory`: memory is consumed.
    pub memory: bool,
    /// `CR_LLN`: least loaded nodes first.
    pub least_loaded: bool,
    /// `select/linear`: every job gets whole nodes (the default before 23.11; `select/cons_tres` since).
    pub whole_nodes: bool,
    /// `select/cons_res`, before 23.11.
    pub cons_res: bool,
}

//! The research-cluster model: what it is made of, its presets, and how settings override them.
//!
//! People submit in **bursts**: a campaign of similar jobs, by one user, of one class, at one instant (an
//! array) or with pauses. A burst draws its class, user, size and request once; its jobs share part of
//! their run time's randomness (`similarity`), as tasks of a sweep do. Bursts begin at a rate that follows
//! the hour, the weekday and the luck of the week; their sizes are heavy-tailed, which makes the arrivals
//! as bursty as real ones. Run times are mixtures of log-normals by class. Limits are over-estimates,
//! rounded up to values that people type.
//!
//! A preset is a settings file like a user's own (`research/presets/*.toml`, with the source of every
//! number); the user's settings lie over it, key by key, classes too.
//!
//! Time zero is a Monday, midnight local time. Failures, dependencies and cancellations are not modelled.

mod cycle;
mod draw;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Check, MAX_JOBS};
use crate::diagnostic::Diagnostics;
use crate::workload::Workload;

/// Settings of the research-cluster model; whatever is left out comes from the preset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ResearchParams {
    /// Where the other settings come from (default `research-team`).
    pub preset: Option<Preset>,
    /// Jobs to make. With `load`, the span of time follows; with `days`, the load follows.
    pub jobs: Option<u64>,
    /// Days of submissions (may be a fraction). With `load`, the number of jobs follows.
    pub days: Option<f64>,
    /// Offered load: GPU time asked for / (`gpus` x span of submissions). Met exactly up to rounding.
    pub load: Option<f64>,
    /// GPUs of the cluster that the load is meant for. Jobs with more GPUs are not drawn.
    pub gpus: Option<u32>,
    /// GPUs of one node: jobs with more ask for several nodes.
    pub gpus_per_node: Option<u32>,
    /// People.
    pub users: Option<u32>,
    /// Accounts (groups) that the people belong to.
    pub accounts: Option<u32>,
    /// Exponent of Zipf's law of activity: the k-th busiest user has weight 1 / k^exponent.
    pub user_zipf: Option<f64>,
    /// How much users differ in what they run: standard deviation of the logarithm of a user's
    /// preference for a class. 0: all alike.
    pub user_taste: Option<f64>,
    /// Relative rate of submissions in the 24 hours of a day.
    pub hours: Option<Vec<f64>>,
    /// Relative rate of submissions on the 7 days from Monday.
    pub weekdays: Option<Vec<f64>>,
    /// How much weeks differ: standard deviation of the logarithm of a week's rate.
    pub week_sigma: Option<f64>,
    /// Limits that people type, in seconds, ascending; limits are rounded up to one of them.
    pub human_limits_s: Option<Vec<u64>>,
    /// Job classes by name; a new name makes a new class, which must have `share`, `gpus` and `run`.
    pub class: Option<BTreeMap<String, ClassParams>>,
}

/// Settings of one job class; whatever is left out comes from the preset's class of that name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClassParams {
    /// Share of all jobs (shares are divided by their sum). 0 removes the class.
    pub share: Option<f64>,
    /// Work (default), or session: wall time whatever the hardware.
    pub kind: Option<JobKind>,
    /// How strictly it follows hours and weekdays: 0 not at all, 1 as given (default), more = sharper.
    pub cycle: Option<f64>,
    /// Median jobs of a burst (default 1); log-normal, rounded, at least 1.
    pub burst_median: Option<f64>,
    /// Standard deviation of the logarithm of a burst's size (default 0).
    pub burst_sigma: Option<f64>,
    /// Most jobs of a burst (default 1000).
    pub burst_max: Option<u32>,
    /// Share of bursts that are arrays: all jobs at one instant (default 0).
    pub array_share: Option<f64>,
    /// Mean pause between the submits of a burst that is no array, in seconds (default 60).
    pub gap_s: Option<f64>,
    /// Share of the variance of ln(run) that the jobs of a burst have in common, 0 to 1 (default 0.5).
    pub similarity: Option<f64>,
    /// GPUs of a job: `[[count, weight], ...]`; 0 GPUs makes a CPU job.
    pub gpus: Option<Vec<(u32, f64)>>,
    /// Share of the GPU in thousandths, for jobs on one GPU: `[[milli, weight], ...]` (default whole).
    pub gpu_milli: Option<Vec<(u32, f64)>>,
    /// Memory needed on each GPU in MiB: `[[mib, weight], ...]`; 0 = not said (default).
    pub gpu_mem_mib: Option<Vec<(u64, f64)>>,
    /// Run time: a mixture of log-normals.
    pub run: Option<Vec<RunPart>>,
    /// Run times grow with GPUs to this power (default 0).
    pub run_gpu_exponent: Option<f64>,
    /// Shortest run in seconds; shorter draws are raised to it (default 1).
    pub run_min_s: Option<u64>,
    /// Longest run in seconds; longer draws are cut to it (default 2592000, 30 days).
    pub run_max_s: Option<u64>,
    /// Median of limit / typical run of the burst (default 3); at least the run itself.
    pub limit_median: Option<f64>,
    /// Standard deviation of the logarithm of that ratio (default 1).
    pub limit_sigma: Option<f64>,
    /// Share of bursts that keep the site's default limit (default 0).
    pub limit_default_share: Option<f64>,
    /// The site's default limit in seconds (default 86400).
    pub limit_default_s: Option<u64>,
    /// CPUs for each GPU, or of the job if it has no GPU: `[[cpus, weight], ...]` (default 8).
    pub cpus: Option<Vec<(u32, f64)>>,
    /// Memory in MB for each GPU, or of the job if it has no GPU (default: not said).
    pub mem_mb: Option<Vec<(u64, f64)>>,
    /// Mean and standard deviation of the GPU use that a monitor would record, 0 to 1 (default: none).
    pub gpu_util: Option<(f64, f64)>,
}

/// One log-normal of a mixture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RunPart {
    /// Relative weight.
    pub weight: f64,
    /// Median in seconds.
    pub median_s: f64,
    /// Standard deviation of the natural logarithm.
    pub sigma: f64,
}

/// Whether a job's run time is work (faster on faster hardware) or wall time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// Work.
    #[default]
    Work,
    /// Interactive session.
    Session,
}

/// Settings that come with the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// A dozen researchers on 16 GPUs: plausible, fitted to no site.
    #[default]
    ResearchTeam,
    /// Multi-node training beside single-GPU work on 128 GPUs: plausible, fitted to no site.
    TrainingCluster,
    /// Microsoft Philly, 2017.
    PhillyLike,
    /// SenseTime Helios, 2020.
    HeliosLike,
    /// Shanghai AI Laboratory Acme (cluster Seren), 2023.
    AcmeLike,
    /// Alibaba (openb, 2023), mostly single and shared GPUs.
    AlibabaLike,
}

impl Preset {
    /// Every preset with its name.
    pub const ALL: [(Self, &str); 6] = [
        (Self::ResearchTeam, "research-team"),
        (Self::TrainingCluster, "training-cluster"),
        (Self::PhillyLike, "philly-like"),
        (Self::HeliosLike, "helios-like"),
        (Self::AcmeLike, "acme-like"),
        (Self::AlibabaLike, "alibaba-like"),
    ];

    /// The settings as text, with their sources in comments.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::ResearchTeam => include_str!("research/presets/research-team.toml"),
            Self::TrainingCluster => include_str!("research/presets/training-cluster.toml"),
            Self::PhillyLike => include_str!("research/presets/philly-like.toml"),
            Self::HeliosLike => include_str!("research/presets/helios-like.toml"),
            Self::AcmeLike => include_str!("research/presets/acme-like.toml"),
            Self::AlibabaLike => include_str!("research/presets/alibaba-like.toml"),
        }
    }

    /// The settings.
    #[must_use]
    pub fn params(self) -> ResearchParams {
        toml::from_str(self.text()).expect("the presets are read by a test")
    }
}

/// Writes `upper`'s given values over `base`'s.
macro_rules! lay_over {
    ($base:expr, $upper:expr; $($field:ident),+ $(,)?) => {
        $(if $upper.$field.is_some() { $base.$field.clone_from(&$upper.$field); })+
    };
}

impl ResearchParams {
    /// The preset with these settings over it.
    #[must_use]
    pub fn over_preset(&self) -> Self {
        let mut base = self.preset.unwrap_or_default().params();
        // Of jobs, days and load two are given: naming one drops the preset's counterpart.
        if self.jobs.is_some() {
            base.days = None;
        }
        if self.days.is_some() {
            base.jobs = None;
        }
        if self.jobs.is_some() && self.days.is_some() {
            base.load = None;
        }
        lay_over!(base, self; preset, jobs, days, load, gpus, gpus_per_node, users, accounts, user_zipf,
            user_taste, hours, weekdays, week_sigma, human_limits_s);
        let classes = base.class.get_or_insert_default();
        for (name, upper) in self.class.iter().flatten() {
            classes.entry(name.clone()).or_default().lay_over(upper);
        }
        base
    }
}

impl ClassParams {
    fn lay_over(&mut self, upper: &Self) {
        lay_over!(self, upper; share, kind, cycle, burst_median, burst_sigma, burst_max, array_share, gap_s,
            similarity, gpus, gpu_milli, gpu_mem_mib, run, run_gpu_exponent, run_min_s, run_max_s,
            limit_median, limit_sigma, limit_default_share, limit_default_s, cpus, mem_mb, gpu_util);
    }

    fn check(&self, name: &str, check: &mut Check) {
        let key = |field: &str| format!("class.{name}.{field}");
        let mut within = |field: &str, value: Option<f64>, low: f64, high: f64| {
            let rule = format!("it lies between {low} and {high}");
            check.that(value.is_none_or(|v| (low..=high).contains(&v)), &key(field), value, &rule);
        };
        within("share", Some(self.share.unwrap_or(f64::NAN)), 0.0, 1e9);
        within("cycle", self.cycle, 0.0, 10.0);
        within("burst-median", self.burst_median, 0.01, 1e5);
        within("burst-sigma", self.burst_sigma, 0.0, 5.0);
        within("burst-max", self.burst_max.map(f64::from), 1.0, 1e5);
        within("array-share", self.array_share, 0.0, 1.0);
        within("gap-s", self.gap_s, 0.0, 1e7);
        within("similarity", self.similarity, 0.0, 1.0);
        within("run-gpu-exponent", self.run_gpu_exponent, -3.0, 3.0);
        within("run-min-s", self.run_min_s.map(|s| s as f64), 1.0, 1e9);
        within("run-max-s", self.run_max_s.map(|s| s as f64), 1.0, 1e9);
        within("limit-median", self.limit_median, 1.0, 1e4);
        within("limit-sigma", self.limit_sigma, 0.0, 5.0);
        within("limit-default-share", self.limit_default_share, 0.0, 1.0);
        within("limit-default-s", self.limit_default_s.map(|s| s as f64), 60.0, 1e9);
        within("gpu-util (mean)", self.gpu_util.map(|u| u.0), 0.0, 1.0);
        within("gpu-util (deviation)", self.gpu_util.map(|u| u.1), 0.0, 1.0);
        let run_range = self.run_min_s.unwrap_or(1) <= self.run_max_s.unwrap_or(u64::MAX);
        check.that(run_range, &key("run-min-s"), self.run_min_s, "it is at most run-max-s");
        check_weights(&key("gpus"), self.gpus.as_deref().unwrap_or(&[]), 1 << 20, check);
        for (field, rows, most) in [("gpu-milli", &self.gpu_milli, 1000), ("cpus", &self.cpus, 1 << 20)] {
            if let Some(rows) = rows {
                check.that(rows.iter().all(|(v, _)| *v >= 1), &key(field), rows, "values are at least 1");
                check_weights(&key(field), rows, most, check);
            }
        }
        for (field, rows) in [("gpu-mem-mib", &self.gpu_mem_mib), ("mem-mb", &self.mem_mb)] {
            if let Some(rows) = rows {
                check_weights(&key(field), rows, 1 << 40, check);
            }
        }
        let parts = self.run.as_deref().unwrap_or(&[]);
        let sound = |p: &RunPart| {
            p.weight >= 0.0
                && p.weight < 1e9
                && (0.0..=6.0).contains(&p.sigma)
                && (1e-3..=1e9).contains(&p.median_s)
        };
        let rule = "it needs a part with positive weight; medians are 0.001 to 10^9 s, sigmas 0 to 6";
        let usable = parts.iter().all(sound) && parts.iter().any(|p| p.weight > 0.0);
        check.that(usable, &key("run"), parts, rule);
    }
}

fn check_weights<T: Copy + PartialOrd + std::fmt::Debug>(
    key: &str,
    rows: &[(T, f64)],
    most: T,
    check: &mut Check,
) {
    let sound = rows.iter().all(|(value, w)| *value <= most && (0.0..1e9).contains(w));
    let positive = rows.iter().any(|(_, w)| *w > 0.0);
    let rule = format!("pairs of value (at most {most:?}) and weight, at least one weight above 0");
    check.that(sound && positive, key, rows, &rule);
}

/// Settings after the preset, all present and sound.
struct Settings {
    preset: &'static str,
    jobs: Option<u64>,
    days: Option<f64>,
    load: Option<f64>,
    gpus: u32,
    gpus_per_node: u32,
    users: u32,
    accounts: u32,
    user_zipf: f64,
    user_taste: f64,
    hours: Vec<f64>,
    weekdays: Vec<f64>,
    week_sigma: f64,
    human_limits_s: Vec<u64>,
    classes: Vec<(String, ClassParams)>,
}

impl Settings {
    /// GPU-seconds that the load means over the days, where both are given.
    fn work_of_days(&self) -> Option<f64> {
        Some(self.days? * 86_400.0 * self.load? * f64::from(self.gpus))
    }

    fn new(params: &ResearchParams) -> Result<Self, Diagnostics> {
        let all = params.over_preset();
        let preset = Preset::ALL.iter().find(|(p, _)| *p == params.preset.unwrap_or_default());
        let settings = Self {
            preset: preset.map_or("research-team", |(_, name)| name),
            jobs: all.jobs,
            days: all.days,
            load: all.load,
            gpus: all.gpus.unwrap_or(16),
            gpus_per_node: all.gpus_per_node.unwrap_or(8),
            users: all.users.unwrap_or(12),
            accounts: all.accounts.unwrap_or(1),
            user_zipf: all.user_zipf.unwrap_or(1.0),
            user_taste: all.user_taste.unwrap_or(0.0),
            hours: all.hours.unwrap_or_else(|| vec![1.0; 24]),
            weekdays: all.weekdays.unwrap_or_else(|| vec![1.0; 7]),
            week_sigma: all.week_sigma.unwrap_or(0.0),
            human_limits_s: all.human_limits_s.unwrap_or_else(|| vec![3_600, 14_400, 86_400]),
            classes: all.class.unwrap_or_default().into_iter().collect(),
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), Diagnostics> {
        let mut check = Check::default();
        let given = [self.jobs.is_some(), self.days.is_some(), self.load.is_some()];
        let two = given.iter().filter(|g| **g).count() == 2;
        check.that(two, "jobs, days, load", given, "give two of jobs, days and load; the third follows");
        let jobs_fit = self.jobs.is_none_or(|j| (1..=MAX_JOBS).contains(&j));
        check.that(jobs_fit, "jobs", self.jobs, "it lies between 1 and 100 million");
        let days_fit = self.days.is_none_or(|d| (0.01..=36_500.0).contains(&d));
        check.that(days_fit, "days", self.days, "it lies between 0.01 and 36500");
        let load_fits = self.load.is_none_or(|l| (0.0001..=100.0).contains(&l));
        check.that(load_fits, "load", self.load, "it lies between 0.0001 and 100");
        check.that((1..=1 << 20).contains(&self.gpus), "gpus", self.gpus, "it lies between 1 and 2^20");
        check.that(self.gpus_per_node >= 1, "gpus-per-node", self.gpus_per_node, "it is at least 1");
        check.that((1..=100_000).contains(&self.users), "users", self.users, "it lies between 1 and 100000");
        check.that(self.accounts >= 1, "accounts", self.accounts, "it is at least 1");
        check.that(
            (0.0..=5.0).contains(&self.user_zipf),
            "user-zipf",
            self.user_zipf,
            "it lies between 0 and 5",
        );
        check.that(
            (0.0..=5.0).contains(&self.user_taste),
            "user-taste",
            self.user_taste,
            "it lies between 0 and 5",
        );
        check.that(
            (0.0..=3.0).contains(&self.week_sigma),
            "week-sigma",
            self.week_sigma,
            "it lies between 0 and 3",
        );
        for (key, rates, many) in [("hours", &self.hours, 24), ("weekdays", &self.weekdays, 7)] {
            let sound = rates.len() == many && rates.iter().all(|r| (1e-6..=1e6).contains(r));
            check.that(sound, key, rates, &format!("{many} rates above 0"));
        }
        let limits = &self.human_limits_s;
        let ascending = !limits.is_empty() && limits[0] >= 1 && limits.is_sorted_by(|a, b| a < b);
        check.that(ascending, "human-limits-s", limits, "seconds in ascending order, at least one");
        for (name, class) in &self.classes {
            class.check(name, &mut check);
        }
        let some = self.classes.iter().any(|(_, c)| c.share.is_some_and(|s| s > 0.0));
        check.that(some, "class", self.classes.len(), "at least one class has a share above 0");
        check.done()
    }
}

pub(super) fn generate(params: &ResearchParams, seed: u64) -> Result<Workload, Diagnostics> {
    let settings = Settings::new(params)?;
    draw::generate(&settings, seed)
}

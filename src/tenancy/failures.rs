//! Hosts that fail: how often each of them, at which level, and how long it is away.
//!
//! All that can make a host fail races: the first that comes takes the host and all jobs on it, and when it is back, all
//! begin anew. Draws depend on (seed, ordinal of the host, number of the failure) and on nothing of the design, so
//! the same hosts fail at the same instants in every design whose hosts fail as often and are repaired as fast. How
//! often a host fails, beside others of its pool, depends on (seed, ordinal).
//!
//! Outages of a real cluster come together: in batches, in waves, and with the switch above. Each is off until it is written
//! ([`Bursts`], `switches`). Given up: even so no law here has as many nodes down at once as the record that they were
//! measured in; a file of outages has.

use super::SpanLaw;
use crate::random::Stream;
use crate::time::SimDuration;

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureLevel {
    /// A GPU of the host.
    Gpu,
    /// The host itself.
    Host,
    /// Its link or adapter to the network.
    Link,
    /// Its software.
    Software,
    /// The switch that it hangs on, with all other hosts below.
    Leaf,
    /// A switch above that one, with all hosts below.
    Spine,
}

impl FailureLevel {
    /// Number of levels.
    pub const COUNT: usize = 6;
    /// Number of those that a host has itself; they are the first.
    pub const OF_HOSTS: usize = 4;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Gpu, Self::Host, Self::Link, Self::Software, Self::Leaf, Self::Spine];

    /// The word of scenarios and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Host => "host",
            Self::Link => "link",
            Self::Software => "software",
            Self::Leaf => "leaf",
            Self::Spine => "spine",
        }
    }
}

/// Something that makes hosts fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cause {
    /// What fails; `None` = anything, and nobody tells.
    pub level: Option<FailureLevel>,
    /// Mean time that a host is up, if nothing else fails.
    pub mtbf: SimDuration,
    /// From the failure to the first job.
    pub repair: RepairLaw,
}

/// How long hosts are up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UpLaw {
    /// A failure is as likely at any age.
    Exponential,
    /// With a shape below 1 it is likely soon after a repair, above 1 after long use.
    Weibull {
        /// The shape.
        shape: f64,
    },
}

/// How long a host is away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RepairLaw {
    /// Drawn anew for each failure.
    Span(SpanLaw),
    /// First by a program, then by people.
    Stages(RepairStages),
}

/// A repair in two stages; what is not fixed fails on as often as before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RepairStages {
    /// Mean of the first stage, in seconds, exponential.
    pub auto_s: f64,
    /// Mean of the second stage.
    pub manual_s: f64,
    /// Share of the failures that need it.
    pub escalates: f64,
    /// Share of the repairs by the first stage alone that do not fix a bad host.
    pub auto_fails: f64,
    /// Share of the repairs by both.
    pub manual_fails: f64,
}

impl RepairLaw {
    /// How long, and whether a bad host is good from then on.
    fn draw(&self, stream: &mut Stream) -> (SimDuration, bool) {
        let (span, fixes) = match self {
            Self::Span(law) => (law.draw(stream), false),
            Self::Stages(stages) => {
                let escalates = stream.uniform() < stages.escalates;
                let auto_s = stream.exponential(stages.auto_s);
                let manual_s = if escalates { stream.exponential(stages.manual_s) } else { 0.0 };
                let fails = if escalates { stages.manual_fails } else { stages.auto_fails };
                let s = (auto_s + manual_s).clamp(0.0, 1e9);
                (SimDuration::from_micros(libm::round(s * 1e6) as i64), stream.uniform() >= fails)
            }
        };
        (span.max(SimDuration::from_micros(1)), fixes)
    }

    /// What is expected beforehand: the middle of the law.
    #[must_use]
    pub fn expected(&self) -> SimDuration {
        match self {
            Self::Span(law) => law.expected(),
            Self::Stages(stages) => {
                let s = stages.auto_s + stages.escalates * stages.manual_s;
                SimDuration::from_micros(libm::round(s * 1e6) as i64)
            }
        }
    }
}

/// Hosts that fail more often than others of their pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BadHosts {
    /// Which share of the hosts.
    pub share: f64,
    /// How many times as often as the others.
    pub factor: f64,
}

/// Hosts that fail, each for itself, and take all jobs on them along.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failures {
    /// What makes them fail; the first that comes counts.
    pub causes: [Option<Cause>; FailureLevel::OF_HOSTS],
    /// What makes the switches above them fail: leaves, and what is above leaves. All hosts below go with them.
    pub switches: [Option<Cause>; 2],
    /// What makes outages come together.
    pub bursts: Bursts,
    /// How long they are up.
    pub up: UpLaw,
    /// Shape of the gamma factor (mean 1) on the rate of each host; `None` = all alike.
    pub rate_shape: Option<f64>,
    /// Those that fail more often.
    pub bad: Option<BadHosts>,
    /// Whether the jobs on it are queued again.
    pub requeue: bool,
}

/// Outages that come together, as those of real clusters do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bursts {
    /// Mean number of hosts that fail at once where one fails; `None` = it alone.
    pub batch_mean: Option<f64>,
    /// Shape of a gamma factor (mean 1) on the rate of all hosts, drawn anew for each month; `None` = no waves.
    pub wave_shape: Option<f64>,
}

/// The month of a wave: a twelfth of a year.
const MONTH_US: f64 = 365.25 / 12.0 * 86_400e6;
/// Nothing is looked for beyond so many months.
const MOST_MONTHS: u64 = 100_000;

impl Bursts {
    /// How long after `from_us` since the beginning something fails that would be up for `up_us` at the mean rate.
    #[must_use]
    fn up_us(&self, seed: u64, from_us: f64, up_us: f64) -> f64 {
        let Some(shape) = self.wave_shape else { return up_us };
        let (mut at_us, mut left_us) = (from_us, up_us);
        let first = (from_us / MONTH_US) as u64;
        for month in first..first + MOST_MONTHS {
            let factor = Stream::new(seed, "failure-wave", month, 0).gamma(shape, 1.0 / shape);
            let rest_us = ((month + 1) as f64 * MONTH_US - at_us).max(0.0);
            if left_us <= rest_us * factor {
                return at_us + left_us / factor - from_us;
            }
            left_us -= rest_us * factor;
            at_us += rest_us;
        }
        at_us - from_us
    }

    /// Whether one more of a batch fails; asked again until it says no.
    fn goes_on(&self, stream: &mut Stream) -> bool {
        self.batch_mean.is_some_and(|mean| stream.uniform() < 1.0 - 1.0 / mean)
    }
}

/// How often one host fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostRate {
    /// Times the rate of its pool, if it is not bad.
    pub factor: f64,
    /// Whether it is bad.
    pub is_bad: bool,
}

/// One failure of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Time up before it.
    pub up: SimDuration,
    /// Time down after it.
    pub repair: SimDuration,
    /// What fails.
    pub level: Option<FailureLevel>,
    /// Whether the repair makes a bad host good.
    pub fixes: bool,
}

impl Failures {
    /// All hosts alike, at a constant rate, for reasons that nobody tells apart.
    #[must_use]
    pub fn plain(mtbf: SimDuration, repair: SpanLaw, requeue: bool) -> Self {
        let cause = Cause { level: None, mtbf, repair: RepairLaw::Span(repair) };
        Self {
            causes: [Some(cause), None, None, None],
            switches: [None; 2],
            bursts: Bursts::default(),
            up: UpLaw::Exponential,
            rate_shape: None,
            bad: None,
            requeue,
        }
    }

    fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.causes.iter().flatten()
    }

    /// Whether hosts fail by themselves, and not with switches only.
    #[must_use]
    pub fn has_own(&self) -> bool {
        self.causes().next().is_some()
    }

    /// How often a host fails.
    #[must_use]
    pub fn rate_of(&self, seed: u64, ordinal: u32) -> HostRate {
        let mut stream = Stream::new(seed, "host-rate", u64::from(ordinal), 0);
        // Drawn in any case, so that one setting does not move the draws of the other.
        let is_bad = stream.uniform() < self.bad.map_or(0.0, |bad| bad.share);
        let factor = self.rate_shape.map_or(1.0, |shape| stream.gamma(shape, 1.0 / shape));
        HostRate { factor, is_bad }
    }

    /// The failure of this number of a host.
    #[must_use]
    pub fn draw(&self, seed: u64, (ordinal, number): (u32, u64), rate: HostRate) -> Failure {
        let bad = self.bad.filter(|_| rate.is_bad).map_or(1.0, |bad| bad.factor);
        // Of a batch only the first fails by itself.
        let often = rate.factor * bad / self.bursts.batch_mean.unwrap_or(1.0);
        let failures = self.causes().map(|cause| {
            let purpose = match cause.level {
                None => "host-failure",
                Some(FailureLevel::Gpu) => "host-failure-gpu",
                Some(FailureLevel::Host) => "host-failure-host",
                Some(FailureLevel::Link) => "host-failure-link",
                Some(FailureLevel::Software) => "host-failure-software",
                Some(FailureLevel::Leaf | FailureLevel::Spine) => "switch-failure",
            };
            self.draw_cause(cause, often, &mut Stream::new(seed, purpose, u64::from(ordinal), number))
        });
        let never =
            Failure { up: SimDuration::MAX, repair: SimDuration::from_micros(1), level: None, fixes: false };
        failures.min_by_key(|failure| failure.up).unwrap_or(never)
    }

    fn draw_cause(&self, cause: &Cause, often: f64, stream: &mut Stream) -> Failure {
        let mean_us = cause.mtbf.micros() as f64 / often;
        let up_us = match self.up {
            UpLaw::Exponential => stream.exponential(mean_us),
            UpLaw::Weibull { shape } => stream.weibull(mean_us / libm::tgamma(1.0 + 1.0 / shape), shape),
        };
        let up = SimDuration::from_micros(up_us.clamp(1.0, 1e17) as i64);
        let (repair, fixes) = cause.repair.draw(stream);
        Failure { up, repair, level: cause.level, fixes }
    }

    /// The failure of this number of a switch.
    #[must_use]
    pub fn draw_switch(&self, seed: u64, cause: &Cause, (switch, number): (u64, u64)) -> Failure {
        let purpose = match cause.level {
            Some(FailureLevel::Spine) => "spine-failure",
            _ => "leaf-failure",
        };
        self.draw_cause(cause, 1.0, &mut Stream::new(seed, purpose, switch, number))
    }

    /// How long it is up really that begins to be up so long after the beginning, and would be for `up` if no month
    /// were worse than another.
    #[must_use]
    pub fn up_from(&self, seed: u64, from: SimDuration, up: SimDuration) -> SimDuration {
        if self.bursts.wave_shape.is_none() || up == SimDuration::MAX {
            return up;
        }
        let up_us = self.bursts.up_us(seed, from.micros().max(0) as f64, up.micros() as f64);
        SimDuration::from_micros(up_us.clamp(1.0, 1e17) as i64)
    }

    /// Which of `others`, by number, fail with a host that fails.
    #[must_use]
    pub fn batch(&self, seed: u64, (ordinal, number): (u32, u64), others: usize) -> Vec<usize> {
        let mut stream = Stream::new(seed, "failure-batch", u64::from(ordinal), number);
        let mut found = Vec::new();
        while found.len() < others && self.bursts.goes_on(&mut stream) {
            let left = (others - found.len()) as u64;
            // The one of this number among those that are not chosen yet.
            let mut at = stream.below(left) as usize;
            let mut chosen: Vec<usize> = found.clone();
            chosen.sort_unstable();
            for before in chosen {
                at += usize::from(before <= at);
            }
            found.push(at);
        }
        found
    }

    /// Mean time that a host is up, as often as its pool fails.
    #[must_use]
    pub fn mtbf(&self) -> SimDuration {
        let all = self.causes().chain(self.switches.iter().flatten());
        let per_us: f64 = all.map(|cause| 1.0 / cause.mtbf.micros().max(1) as f64).sum();
        let bad = self.bad.map_or(1.0, |bad| 1.0 + bad.share * (bad.factor - 1.0));
        SimDuration::from_micros((1.0 / (per_us * bad)).clamp(1.0, 1e17) as i64)
    }

    /// How long a host is away, as far as is expected: the longest of the causes.
    #[must_use]
    pub fn expected_repair(&self) -> SimDuration {
        let all = self.causes().chain(self.switches.iter().flatten());
        all.map(|cause| cause.repair.expected()).max().unwrap_or(SimDuration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_S: f64 = 3600.0;

    fn hours(h: f64) -> SimDuration {
        SimDuration::from_micros((h * HOUR_S * 1e6) as i64)
    }

    fn repair() -> RepairLaw {
        RepairLaw::Span(SpanLaw::Exactly { s: HOUR_S })
    }

    fn by_level() -> Failures {
        // Hours of Llama 3's hosts of 8 GPUs.
        let causes = FailureLevel::ALL.into_iter().zip([79_230.0 / 8.0, 50_079.0, 75_835.0, 42_130.0]);
        let cause = |(level, h)| Some(Cause { level: Some(level), mtbf: hours(h), repair: repair() });
        let mut failures = Failures::plain(hours(1.0), SpanLaw::Exactly { s: HOUR_S }, true);
        failures.causes.iter_mut().zip(causes).for_each(|(slot, row)| *slot = cause(row));
        failures
    }

    fn drawn(failures: &Failures, hosts: u32) -> Vec<Failure> {
        let rate = |host| failures.rate_of(1, host);
        (0..hosts).flat_map(|host| (0..10).map(move |n| failures.draw(1, (host, n), rate(host)))).collect()
    }

    fn mean_h(rows: &[Failure]) -> f64 {
        rows.iter().map(|row| row.up.as_s() / HOUR_S).sum::<f64>() / rows.len() as f64
    }

    #[test]
    fn levels_race_and_each_has_its_share() {
        let failures = by_level();
        assert!((failures.mtbf().as_s() / HOUR_S - 6_334.6).abs() < 1.0);
        let rows = drawn(&failures, 4_000);
        assert!((mean_h(&rows) / 6_334.6 - 1.0).abs() < 0.02, "{}", mean_h(&rows));
        for (level, count) in FailureLevel::ALL.into_iter().zip([268.0, 53.0, 35.0, 63.0]) {
            let share = rows.iter().filter(|row| row.level == Some(level)).count() as f64 / rows.len() as f64;
            assert!((share - count / 419.0).abs() < 0.01, "{level:?} {share}");
        }
    }

    #[test]
    fn weibull_keeps_the_mean_and_moves_the_middle() {
        let failures = Failures { up: UpLaw::Weibull { shape: 0.7 }, ..by_level() };
        let mut one = failures;
        one.causes = [Some(Cause { level: None, mtbf: hours(100.0), repair: repair() }), None, None, None];
        let mut rows = drawn(&one, 4_000);
        assert!((mean_h(&rows) / 100.0 - 1.0).abs() < 0.03, "{}", mean_h(&rows));
        rows.sort_by_key(|row| row.up);
        // Median of a Weibull law: scale (ln 2)^(1/shape).
        let median = 100.0 / libm::tgamma(1.0 + 1.0 / 0.7) * libm::pow(core::f64::consts::LN_2, 1.0 / 0.7);
        assert!((rows[rows.len() / 2].up.as_s() / HOUR_S / median - 1.0).abs() < 0.05);
    }

    #[test]
    fn rates_differ_by_a_gamma_factor_and_bad_hosts_fail_more_often() {
        let failures = Failures { rate_shape: Some(0.93), ..by_level() };
        let factors: Vec<f64> = (0..20_000).map(|host| failures.rate_of(1, host).factor).collect();
        let mean = factors.iter().sum::<f64>() / 20_000.0;
        let variance = factors.iter().map(|f| (f - mean) * (f - mean)).sum::<f64>() / 20_000.0;
        assert!((mean - 1.0).abs() < 0.03 && (variance * 0.93 - 1.0).abs() < 0.07, "{mean} {variance}");
        let failures = Failures { bad: Some(BadHosts { share: 0.2, factor: 6.0 }), ..by_level() };
        let rates: Vec<HostRate> = (0..20_000).map(|host| failures.rate_of(1, host)).collect();
        let bad = rates.iter().filter(|rate| rate.is_bad).count() as f64 / 20_000.0;
        assert!((bad - 0.2).abs() < 0.01, "{bad}");
        let rate = |is_bad| HostRate { factor: 1.0, is_bad };
        let up = |is_bad| -> f64 {
            (0..20_000).map(|n| failures.draw(1, (0, n), rate(is_bad)).up.as_s()).sum::<f64>()
        };
        assert!((up(false) / up(true) / 6.0 - 1.0).abs() < 0.04);
        assert!((failures.mtbf().as_s() / by_level().mtbf().as_s() - 0.5).abs() < 1e-6);
    }

    #[test]
    fn batches_and_waves_keep_the_rate_of_each_host() {
        let bursts = Bursts { batch_mean: Some(1.37), wave_shape: Some(2.0) };
        let failures =
            Failures { bursts, ..Failures::plain(hours(1.0), SpanLaw::Exactly { s: HOUR_S }, true) };
        // A host fails by itself 1.37 times as rarely, and takes 0.37 others along.
        let up = mean_h(&drawn(&failures, 2_000));
        assert!((up / 1.37 - 1.0).abs() < 0.02, "{up}");
        let batches: Vec<Vec<usize>> = (0..20_000).map(|host| failures.batch(1, (host, 0), 9)).collect();
        let others = batches.iter().map(Vec::len).sum::<usize>() as f64 / 20_000.0;
        assert!((others / 0.37 - 1.0).abs() < 0.04, "{others}");
        for batch in &batches {
            let mut hosts = batch.clone();
            hosts.sort_unstable();
            hosts.dedup();
            assert!(hosts.len() == batch.len() && batch.iter().all(|host| *host < 9));
        }
        // So many hours of mean rate pass in so many hours, over many months; in one month they do not.
        let long = hours(24.0 * 365.25 * 500.0);
        let ratio = failures.up_from(1, SimDuration::ZERO, long).as_s() / long.as_s();
        assert!((ratio - 1.0).abs() < 0.03, "{ratio}");
        let months: Vec<f64> = (0..400)
            .map(|month| {
                let from = SimDuration::from_micros((f64::from(month) * MONTH_US) as i64);
                60.0 / failures.up_from(1, from, SimDuration::from_s(60)).as_s()
            })
            .collect();
        let mean = months.iter().sum::<f64>() / 400.0;
        let variance = months.iter().map(|rate| (rate - mean) * (rate - mean)).sum::<f64>() / 400.0;
        // A gamma law of shape 2 and mean 1 has the variance one half.
        assert!((mean - 1.0).abs() < 0.1 && (variance - 0.5).abs() < 0.15, "{mean} {variance}");
    }

    #[test]
    fn stages_last_as_long_and_fix_as_often_as_they_say() {
        let stages = RepairStages {
            auto_s: 2.0 * HOUR_S,
            manual_s: 48.0 * HOUR_S,
            escalates: 0.8,
            auto_fails: 0.4,
            manual_fails: 0.2,
        };
        let mut failures = by_level();
        failures.causes[0].as_mut().unwrap().repair = RepairLaw::Stages(stages);
        failures.causes[1..].fill(None);
        let rows = drawn(&failures, 4_000);
        let mean = rows.iter().map(|row| row.repair.as_s() / HOUR_S).sum::<f64>() / rows.len() as f64;
        assert!((mean / 40.4 - 1.0).abs() < 0.02, "{mean}");
        let fixed = rows.iter().filter(|row| row.fixes).count() as f64 / rows.len() as f64;
        assert!((fixed - 0.76).abs() < 0.01, "{fixed}");
        assert_eq!(failures.expected_repair().as_s(), 40.4 * HOUR_S);
    }
}

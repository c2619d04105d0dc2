//! Residual noise: what strangers on a host do, as a semi-Markov process with two states.
//!
//! A host is quiet (factor 1) or busy (factor 1 + b X, where X is log-normal with mean 1). Epochs alternate;
//! their lengths are gamma with the shape that is set (1 = exponential). With a share p of the time busy and
//! a mean epoch d, quiet epochs last 2 d (1 - p) and busy ones 2 d p on average. The process is stationary
//! from its first instant: the first epoch is what is left of a length-biased one.
//!
//! Calibration. A job much shorter than the epochs meets one factor F, with
//!
//! ```text
//!   E F = 1 + p b        Var F = b^2 p (E X^2 - p)        CV = b sqrt(p (E X^2 - p)) / (1 + p b)
//! ```
//!
//! so b = CV / (sqrt(p (E X^2 - p)) - CV p): a coefficient of variation of run times gives the level.

use crate::random::Stream;
use crate::time::{SimDuration, SimTime};

/// What the user says of the noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseSpec {
    /// Coefficient of variation of the run times of short jobs on one host.
    pub cv: f64,
    /// Share of the time that a host is busy.
    pub busy_share: f64,
    /// Mean length of an epoch.
    pub dwell: SimDuration,
    /// Shape of the gamma distribution of epochs; 1 = exponential.
    pub shape: f64,
    /// Standard deviation of the logarithm of the busy level.
    pub spread: f64,
}

/// Why there is no such noise.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Uncalibratable {
    /// Too much variation for hosts that are busy so often.
    #[error("hosts that are busy {busy_share} of the time cannot vary by more than {most:.3}")]
    Cv {
        /// Share of the time busy.
        busy_share: f64,
        /// The bound that the coefficient of variation must stay below.
        most: f64,
    },
    /// A setting outside its range.
    #[error("{0}")]
    Setting(&'static str),
}

/// A calibrated process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    spec: NoiseSpec,
    /// Mean excess of the busy factor over 1.
    level: f64,
    /// Median of X.
    median: f64,
}

impl Noise {
    /// The process whose short jobs vary as `spec` says.
    ///
    /// # Errors
    /// [`Uncalibratable`].
    pub fn new(spec: NoiseSpec) -> Result<Self, Uncalibratable> {
        let NoiseSpec { cv, busy_share, dwell, shape, spread } = spec;
        if !(busy_share > 0.0 && busy_share < 1.0) {
            return Err(Uncalibratable::Setting("the share of time busy must lie between 0 and 1"));
        }
        if dwell <= SimDuration::ZERO {
            return Err(Uncalibratable::Setting("the mean length of an epoch must be positive"));
        }
        if !(0.05..=1000.0).contains(&shape) || !(0.0..=3.0).contains(&spread) {
            return Err(Uncalibratable::Setting(
                "the shape must be from 0.05 to 1000, the spread from 0 to 3",
            ));
        }
        let second = libm::exp(spread * spread);
        let root = libm::sqrt(busy_share * (second - busy_share));
        let most = root / busy_share;
        if !(0.0..most).contains(&cv) {
            return Err(Uncalibratable::Cv { busy_share, most });
        }
        let median = libm::exp(-spread * spread / 2.0);
        Ok(Self { spec, level: cv / (root - cv * busy_share), median })
    }

    /// What the user said.
    #[must_use]
    pub fn spec(&self) -> &NoiseSpec {
        &self.spec
    }

    /// Mean excess of the busy factor over 1.
    #[must_use]
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Mean factor of a short job on one host.
    #[must_use]
    pub fn mean(&self) -> f64 {
        1.0 + self.spec.busy_share * self.level
    }

    /// Mean length of epochs of a state, in microseconds.
    fn mean_us(&self, is_busy: bool) -> f64 {
        let p = self.spec.busy_share;
        2.0 * self.spec.dwell.micros() as f64 * if is_busy { p } else { 1.0 - p }
    }
}

/// The noise of one host, epoch by epoch.
pub struct HostNoise {
    stream: Stream,
    is_busy: bool,
    factor: f64,
    until: SimTime,
    epochs: u64,
}

impl std::fmt::Debug for HostNoise {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "HostNoise(x{} until {})", self.factor, self.until)
    }
}

/// Longest epoch: later than any run ends, and safe to add up.
const LONGEST_US: f64 = 1e17;

impl HostNoise {
    /// The noise of the host with this ordinal among the hosts of its tenancy kind, from `start` on.
    #[must_use]
    pub fn new(noise: &Noise, seed: u64, ordinal: u32, start: SimTime) -> Self {
        let mut stream = Stream::new(seed, "host-noise", u64::from(ordinal), 0);
        let is_busy = stream.uniform() < noise.spec.busy_share;
        // What is left of an epoch that an instant falls into: a uniform part of a length-biased length.
        let shape = noise.spec.shape;
        let whole = stream.gamma(shape + 1.0, noise.mean_us(is_busy) / shape);
        let left = stream.uniform() * whole;
        let mut host = Self { stream, is_busy, factor: 1.0, until: start, epochs: 0 };
        host.begin(noise, left);
        host
    }

    fn begin(&mut self, noise: &Noise, length_us: f64) {
        let length = SimDuration::from_micros(length_us.clamp(1.0, LONGEST_US) as i64);
        self.until = self.until + length;
        let sigma = noise.spec.spread;
        self.factor = if self.is_busy {
            let x = if sigma > 0.0 { self.stream.lognormal(noise.median, sigma) } else { 1.0 };
            1.0 + noise.level * x
        } else {
            1.0
        };
    }

    /// Goes on to the epoch that holds `now`; the factor is then that of `now`.
    pub fn advance(&mut self, noise: &Noise, now: SimTime) {
        while self.until <= now {
            self.step(noise);
        }
    }

    /// Goes on to the next epoch.
    pub fn step(&mut self, noise: &Noise) {
        self.is_busy = !self.is_busy;
        self.epochs += 1;
        let (shape, mean) = (noise.spec.shape, noise.mean_us(self.is_busy));
        // The same law; one logarithm instead of three functions.
        let is_exponential = (shape - 1.0).abs() < f64::EPSILON;
        let length = if is_exponential {
            self.stream.exponential(mean)
        } else {
            self.stream.gamma(shape, mean / shape)
        };
        self.begin(noise, length);
    }

    /// Factor on run times now, at least 1.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// When the epoch ends.
    #[must_use]
    pub fn until(&self) -> SimTime {
        self.until
    }

    /// Epochs so far.
    #[must_use]
    pub fn epochs(&self) -> u64 {
        self.epochs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(cv: f64) -> NoiseSpec {
        NoiseSpec { cv, busy_share: 0.2, dwell: SimDuration::from_s(3600), shape: 1.0, spread: 0.1 }
    }

    /// Mean and coefficient of variation of the factor at an instant, over hosts.
    fn moments(spec: NoiseSpec, at: SimTime, hosts: u32) -> (f64, f64) {
        let noise = Noise::new(spec).unwrap();
        let drawn: Vec<f64> = (0..hosts)
            .map(|host| {
                let mut state = HostNoise::new(&noise, 5, host, SimTime::ZERO);
                state.advance(&noise, at);
                state.factor()
            })
            .collect();
        let mean = drawn.iter().sum::<f64>() / f64::from(hosts);
        let variance = drawn.iter().map(|f| (f - mean) * (f - mean)).sum::<f64>() / f64::from(hosts - 1);
        (mean, libm::sqrt(variance) / mean)
    }

    #[test]
    fn the_factor_varies_as_asked_at_every_instant_and_with_every_shape() {
        for shape in [0.5, 1.0, 4.0] {
            for at_s in [0, 1800, 36_000] {
                let spec = NoiseSpec { shape, ..spec(0.1) };
                let (mean, cv) = moments(spec, SimTime::from_s(at_s), 20_000);
                let expected = Noise::new(spec).unwrap().mean();
                assert!((cv / 0.1 - 1.0).abs() < 0.05, "shape {shape} at {at_s}: CV {cv}");
                assert!((mean / expected - 1.0).abs() < 0.01, "shape {shape} at {at_s}: mean {mean}");
            }
        }
    }

    #[test]
    fn epochs_come_at_the_rate_of_the_mean_dwell() {
        let noise = Noise::new(spec(0.1)).unwrap();
        let mut epochs = 0;
        for host in 0..200 {
            let mut state = HostNoise::new(&noise, 1, host, SimTime::ZERO);
            state.advance(&noise, SimTime::from_s(3600 * 100));
            epochs += state.epochs();
        }
        assert!((epochs as f64 / 20_000.0 - 1.0).abs() < 0.03, "{epochs}");
    }

    #[test]
    fn impossible_noise_is_told() {
        assert!(matches!(Noise::new(spec(5.0)), Err(Uncalibratable::Cv { .. })));
        assert!(Noise::new(NoiseSpec { dwell: SimDuration::ZERO, ..spec(0.1) }).is_err());
        assert!(Noise::new(NoiseSpec { busy_share: 1.0, ..spec(0.1) }).is_err());
        assert_eq!(Noise::new(spec(0.0)).unwrap().level(), 0.0);
    }
}

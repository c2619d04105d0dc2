//! How long something takes that takes differently long each time.

use crate::random::Stream;
use crate::time::SimDuration;

/// A distribution of spans, by its range or its median.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SpanLaw {
    /// Always as long.
    Exactly {
        /// In seconds.
        s: f64,
    },
    /// Anything between.
    Uniform {
        /// Shortest, in seconds.
        low_s: f64,
        /// Longest.
        high_s: f64,
    },
    /// Triangular.
    Triangular {
        /// Shortest, in seconds.
        low_s: f64,
        /// Most likely.
        typical_s: f64,
        /// Longest.
        high_s: f64,
    },
    /// Log-normal.
    LogNormal {
        /// Median, in seconds.
        median_s: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
}

impl SpanLaw {
    /// One draw, rounded to a microsecond.
    pub fn draw(&self, stream: &mut Stream) -> SimDuration {
        let s = match *self {
            Self::Exactly { s } => s,
            Self::Uniform { low_s, high_s } => low_s + (high_s - low_s) * stream.uniform(),
            Self::Triangular { low_s, typical_s, high_s } => {
                super::Range { low: low_s, typical: typical_s, high: high_s }.triangular(stream.uniform())
            }
            Self::LogNormal { median_s, sigma } => stream.lognormal(median_s, sigma),
        };
        SimDuration::from_micros(libm::round(s.clamp(0.0, 1e9) * 1e6) as i64)
    }

    /// What is expected beforehand: the middle of the distribution.
    #[must_use]
    pub fn expected(&self) -> SimDuration {
        let s = match *self {
            Self::Exactly { s } => s,
            Self::Uniform { low_s, high_s } => (low_s + high_s) / 2.0,
            Self::Triangular { typical_s, .. } => typical_s,
            Self::LogNormal { median_s, .. } => median_s,
        };
        SimDuration::from_micros(libm::round(s * 1e6) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_their_middle() {
        let laws = [
            SpanLaw::Exactly { s: 60.0 },
            SpanLaw::Uniform { low_s: 30.0, high_s: 90.0 },
            SpanLaw::Triangular { low_s: 30.0, typical_s: 60.0, high_s: 90.0 },
            SpanLaw::LogNormal { median_s: 60.0, sigma: 0.4 },
        ];
        for law in laws {
            let mut stream = Stream::new(1, "test", 0, 0);
            let mut drawn: Vec<f64> = (0..10_001).map(|_| law.draw(&mut stream).as_s()).collect();
            drawn.sort_by(f64::total_cmp);
            assert!((drawn[5000] / law.expected().as_s() - 1.0).abs() < 0.03, "{law:?}");
        }
    }
}

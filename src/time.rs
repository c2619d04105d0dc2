//! Simulated time: instants and spans are different types, both integers in microseconds.
//!
//! [`SimTime`] is an instant on the axis of one run. Its zero is the trace's own zero (a trace in
//! epoch seconds keeps epoch seconds); negative instants are legal, they lie before that zero.
//! [`SimDuration`] is a span and never negative. An instant plus a span is an instant; the difference
//! of two instants is a span. Nothing else adds up, so `start + limit < elapsed` does not compile.
//!
//! Invariants: integers only (no clock drift, same bits on every machine); saturating nowhere:
//! the readers refuse instants beyond [`SimTime::MAX`] so sums in the engine stay far from overflow.
//!
//! This room knows nothing of clocks on the wall.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// Microseconds in one second.
pub const MICROS_PER_S: i64 = 1_000_000;

/// An instant of simulated time, in microseconds since the zero of the trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimTime(i64);

/// A span of simulated time in microseconds, never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimDuration(i64);

impl SimTime {
    /// The zero of the trace.
    pub const ZERO: Self = Self(0);
    /// The last instant that a trace may name: about 31,700 years after zero, so that sums of a few
    /// instants and spans cannot overflow.
    pub const MAX: Self = Self(1_000_000_000_000 * MICROS_PER_S);
    /// "Never": later than every instant of a trace.
    pub const NEVER: Self = Self(i64::MAX);

    /// The instant `micros` microseconds after zero (before, where negative).
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The instant `s` whole seconds after zero.
    #[must_use]
    pub const fn from_s(s: i64) -> Self {
        Self(s * MICROS_PER_S)
    }

    /// Microseconds since zero.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Seconds since zero, for reporting only.
    #[must_use]
    pub fn as_s(self) -> f64 {
        self.0 as f64 / MICROS_PER_S as f64
    }

    /// The span since `earlier`.
    ///
    /// # Panics
    /// If `earlier` lies after `self`: causality is an invariant of every caller.
    #[must_use]
    pub fn since(self, earlier: Self) -> SimDuration {
        assert!(earlier.0 <= self.0, "an instant precedes its cause: {self} < {earlier}");
        SimDuration(self.0 - earlier.0)
    }

    /// The span since `earlier`, or zero if `earlier` lies after `self`.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> SimDuration {
        SimDuration((self.0 - earlier.0).max(0))
    }
}

impl SimDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span that a trace may name, see [`SimTime::MAX`].
    pub const MAX: Self = Self(1_000_000_000_000 * MICROS_PER_S);

    /// A span of `micros` microseconds.
    ///
    /// # Panics
    /// If `micros` is negative; the readers refuse negative spans before they come here.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        assert!(micros >= 0, "a span is never negative");
        Self(micros)
    }

    /// A span of `s` whole seconds.
    #[must_use]
    pub const fn from_s(s: i64) -> Self {
        Self::from_micros(s * MICROS_PER_S)
    }

    /// Length in microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Length in seconds, for reporting only.
    #[must_use]
    pub fn as_s(self) -> f64 {
        self.0 as f64 / MICROS_PER_S as f64
    }
}

impl Add<SimDuration> for SimTime {
    type Output = Self;
    fn add(self, span: SimDuration) -> Self {
        Self(self.0 + span.0)
    }
}

impl Add for SimDuration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for SimDuration {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub<SimDuration> for SimTime {
    type Output = Self;
    fn sub(self, span: SimDuration) -> Self {
        Self(self.0 - span.0)
    }
}

/// Seconds with as many decimals as needed, at most six: `12`, `0.25`.
fn write_seconds(micros: i64, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let whole = micros / MICROS_PER_S;
    let part = (micros % MICROS_PER_S).unsigned_abs();
    let sign = if micros < 0 && whole == 0 { "-" } else { "" };
    if part == 0 {
        write!(out, "{whole}")
    } else {
        let digits = format!("{part:06}");
        write!(out, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(self.0, out)
    }
}

impl fmt::Display for SimDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(self.0, out)
    }
}

impl fmt::Debug for SimTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "t={self}s")
    }
}

impl fmt::Debug for SimDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}s")
    }
}

/// Why a text is not a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecondsError {
    /// Not a decimal number (empty, letters, `NaN`, `inf`).
    #[error("not a number of seconds")]
    NotANumber,
    /// Beyond [`SimTime::MAX`], either way.
    #[error("beyond the range of times (10^12 s)")]
    OutOfRange,
}

/// Reads a decimal number of seconds exactly, as microseconds; digits beyond the sixth decimal are
/// cut off. Exponents (`1e3`) are accepted, `NaN` and `inf` are not.
///
/// # Errors
/// [`SecondsError`] where the text is no number or out of range.
pub fn parse_seconds_micros(text: &[u8]) -> Result<i64, SecondsError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut micros: i64 = 0;
    let mut decimals: Option<u32> = None;
    let mut seen = false;
    for (at, &c) in digits.iter().enumerate() {
        match c {
            b'0'..=b'9' => {
                seen = true;
                match &mut decimals {
                    Some(6) => {}
                    counted => {
                        micros = micros
                            .checked_mul(10)
                            .and_then(|m| m.checked_add(i64::from(c - b'0')))
                            .filter(|m| *m <= SimTime::MAX.0)
                            .ok_or(SecondsError::OutOfRange)?;
                        if let Some(n) = counted {
                            *n += 1;
                        }
                    }
                }
            }
            b'.' if decimals.is_none() => decimals = Some(0),
            b'e' | b'E' if seen && at + 1 < digits.len() => return parse_exponent(text),
            _ => return Err(SecondsError::NotANumber),
        }
    }
    if !seen {
        return Err(SecondsError::NotANumber);
    }
    for _ in decimals.unwrap_or(0)..6 {
        micros = micros.checked_mul(10).ok_or(SecondsError::OutOfRange)?;
    }
    if micros > SimTime::MAX.0 {
        return Err(SecondsError::OutOfRange);
    }
    Ok(if negative { -micros } else { micros })
}

/// `1.5e3`: rare (floats printed by other tools), so through the standard library's exact reader.
fn parse_exponent(text: &[u8]) -> Result<i64, SecondsError> {
    let value: f64 = std::str::from_utf8(text)
        .ok()
        .and_then(|t| t.parse().ok())
        .filter(|v: &f64| v.is_finite())
        .ok_or(SecondsError::NotANumber)?;
    let micros = (value * MICROS_PER_S as f64).trunc();
    if micros.abs() > SimTime::MAX.0 as f64 {
        return Err(SecondsError::OutOfRange);
    }
    Ok(micros as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_exactly() {
        let cases: &[(&str, Result<i64, SecondsError>)] = &[
            ("0", Ok(0)),
            ("12", Ok(12_000_000)),
            ("0.1", Ok(100_000)),
            ("-2.5", Ok(-2_500_000)),
            (".5", Ok(500_000)),
            ("3.", Ok(3_000_000)),
            ("1.23456789", Ok(1_234_567)),
            ("1.5e3", Ok(1_500_000_000)),
            ("1e400", Err(SecondsError::NotANumber)),
            ("", Err(SecondsError::NotANumber)),
            ("-", Err(SecondsError::NotANumber)),
            ("NaN", Err(SecondsError::NotANumber)),
            ("inf", Err(SecondsError::NotANumber)),
            ("1.2.3", Err(SecondsError::NotANumber)),
            ("99999999999999999999", Err(SecondsError::OutOfRange)),
            ("1000000000001", Err(SecondsError::OutOfRange)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_seconds_micros(text.as_bytes()), *expected, "{text}");
        }
    }

    #[test]
    fn seconds_are_written_without_padding() {
        assert_eq!(SimTime::from_micros(1_250_000).to_string(), "1.25");
        assert_eq!(SimTime::from_micros(-250_000).to_string(), "-0.25");
        assert_eq!(SimDuration::from_s(7).to_string(), "7");
    }
}

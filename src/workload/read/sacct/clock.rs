//! Times as sacct prints them: civil times of the accounting host without zone, or with an offset
//! (`SLURM_TIME_FORMAT=%FT%T%z`), or seconds since 1970 (`%s`); `Unknown` and `None` where there is none.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::diagnostic::Diagnostic;
use crate::time::{MICROS_PER_S, SimDuration, SimTime};
use crate::workload::read::problem::{Fatal, Problem, code};

/// How many times were written in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::workload::read) struct Seen {
    /// Without zone.
    pub civil: u64,
    /// With an offset.
    pub offset: u64,
    /// Seconds since 1970.
    pub epoch: u64,
}

impl Seen {
    /// Whether times with and without zone stand side by side.
    pub fn is_mixed(&self) -> bool {
        self.civil > 0 && (self.offset > 0 || self.epoch > 0)
    }
}

/// Reads civil times, in the zone that the user named or as UTC.
pub(in crate::workload::read) struct CivilClock {
    zone: TimeZone,
    /// Whether the user named the zone.
    pub is_named: bool,
    pub seen: Seen,
    /// Times of the current row that a change of the clocks skips or repeats.
    pub ambiguous: u64,
}

impl CivilClock {
    pub fn new(zone: Option<&str>) -> Result<Self, Fatal> {
        let named = zone.map(|name| {
            TimeZone::get(name).map_err(|error| {
                Box::new(
                    Diagnostic::error(code::TIME_ZONE, format!("time zone '{name}' is not known: {error}"))
                        .help("write an IANA name such as 'Europe/Paris' or 'UTC'"),
                )
            })
        });
        let is_named = named.is_some();
        let zone = named.transpose()?.unwrap_or(TimeZone::UTC);
        Ok(Self { zone, is_named, seen: Seen::default(), ambiguous: 0 })
    }

    /// A clock in UTC, for times that are only looked at.
    pub fn utc() -> Self {
        Self { zone: TimeZone::UTC, is_named: true, seen: Seen::default(), ambiguous: 0 }
    }

    /// The instant that a text names; `None` where it says that there is none.
    pub fn read(&mut self, name: &str, text: &str, column: u64) -> Result<Option<SimTime>, Problem> {
        let text = text.trim();
        if is_unknown(text) {
            return Ok(None);
        }
        let wrong = |why: &str| {
            let shown: String = text.chars().take(40).collect();
            Problem::new(
                code::TYPE,
                "a time that cannot be read",
                format!("{name} is '{shown}', which is {why}"),
            )
            .at(column)
        };
        let micros = if text.bytes().all(|c| c.is_ascii_digit()) {
            self.seen.epoch += 1;
            text.parse::<i64>().ok().and_then(|s| s.checked_mul(MICROS_PER_S))
        } else if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            self.seen.offset += 1;
            Some(instant.as_microsecond())
        } else {
            let civil: DateTime = text.parse().map_err(|_| wrong("no time"))?;
            self.seen.civil += 1;
            let instant = self.zone.to_ambiguous_timestamp(civil);
            self.ambiguous += u64::from(instant.is_ambiguous());
            instant.compatible().ok().map(jiff::Timestamp::as_microsecond)
        };
        match micros {
            Some(micros) if (0..=SimTime::MAX.micros()).contains(&micros) => {
                Ok(Some(SimTime::from_micros(micros)))
            }
            _ => Err(wrong("not between 1970 and the end of the calendar")),
        }
    }
}

/// sacct's words for "there is no such time".
fn is_unknown(text: &str) -> bool {
    ["", "none", "unknown", "n/a", "invalid"].contains(&text.to_ascii_lowercase().as_str())
}

/// `2024-03-31T02:30:00` in its first ten characters.
pub(in crate::workload::read) fn looks_like_a_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[5..7].iter().all(u8::is_ascii_digit)
        && bytes[7] == b'-'
}

/// `[D-]HH:MM:SS`, `MM:SS`, with or without a fraction; also `1 days 02:03:04` and `1 day, 2:03:04`, as Python
/// and pandas print it.
pub(in crate::workload::read) fn clock_span(text: &str) -> Option<SimDuration> {
    let (days, clock) = match text.split_once("day") {
        Some((days, clock)) => {
            let clock = clock.strip_prefix('s').unwrap_or(clock).trim_start_matches(',').trim();
            (Some(days.trim()), if clock.is_empty() { "0:00:00" } else { clock })
        }
        None => text.split_once('-').map_or((None, text), |(days, clock)| (Some(days), clock)),
    };
    let digits = |part: &str| -> Option<i64> {
        let is_number = !part.is_empty() && part.len() <= 9 && part.bytes().all(|c| c.is_ascii_digit());
        is_number.then(|| part.parse().ok())?
    };
    let day = days.map_or(Some(0), digits).filter(|days| *days <= 1_000_000)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut micros = 0;
    if !fraction.is_empty() {
        fraction.bytes().all(|c| c.is_ascii_digit()).then_some(())?;
        let six: String = fraction.chars().chain("000000".chars()).take(6).collect();
        micros = six.parse::<i64>().ok()?;
    }
    let parts: Vec<i64> = clock.split(':').map(digits).collect::<Option<Vec<i64>>>()?;
    let has_days = days.is_some();
    // below the largest unit nothing has three digits: a sign between two numbers is missing there
    let is_short = clock.split(':').skip(usize::from(!has_days)).all(|part| part.len() <= 2);
    // below the largest unit that is written, sixty of one are one of the next
    let fits =
        parts.iter().skip(1).all(|part| *part < 60) && (!has_days || parts.first().is_some_and(|h| *h < 24));
    let seconds = match parts[..] {
        _ if !fits || !is_short => return None,
        [hours, minutes, seconds] => hours * 3600 + minutes * 60 + seconds,
        [hours, minutes] if has_days => hours * 3600 + minutes * 60,
        [minutes, seconds] => minutes * 60 + seconds,
        [hours] if has_days => hours * 3600,
        _ => return None,
    };
    Some(SimDuration::from_micros((day * 86_400 + seconds) * MICROS_PER_S + micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_sacct() {
        let s = |text: &str| clock_span(text).map(|span| span.micros());
        assert_eq!(s("00:00:10"), Some(10_000_000));
        assert_eq!(s("7-20:39:39"), Some((7 * 86_400 + 20 * 3600 + 39 * 60 + 39) * 1_000_000));
        assert_eq!(s("125-00:00:00"), Some(125 * 86_400 * 1_000_000));
        assert_eq!(s("23:08.357"), Some((23 * 60 + 8) * 1_000_000 + 357_000));
        assert_eq!(s("2-12"), Some((2 * 86_400 + 12 * 3600) * 1_000_000));
        assert_eq!(s("1 days 02:18:51"), Some((86_400 + 2 * 3600 + 18 * 60 + 51) * 1_000_000));
        assert_eq!(s("0 days 00:00:01.500000"), Some(1_500_000));
        assert_eq!(s("1 day, 2:00:00"), Some((86_400 + 7200) * 1_000_000));
        for text in [
            "",
            "UNLIMITED",
            "Partition_Limit",
            "1:2:3:4",
            "x:00",
            "-1-00:00:00",
            "99:99:99",
            "1-24:00:00",
            "+1:00:00",
            "0 days 0010:00",
            "1:0010",
        ] {
            assert_eq!(s(text), None, "{text}");
        }
    }

    #[test]
    fn times_with_and_without_zone() {
        let mut paris = CivilClock::new(Some("Europe/Paris")).unwrap_or_else(|_| unreachable!("a zone"));
        let at =
            |clock: &mut CivilClock, text| clock.read("Start", text, 1).ok().flatten().map(|t| t.micros());
        assert_eq!(at(&mut paris, "1970-01-02T01:00:00"), Some(86_400_000_000));
        assert_eq!(at(&mut paris, "1970-01-02T02:00:00+0200"), Some(86_400_000_000));
        assert_eq!(at(&mut paris, "86400"), Some(86_400_000_000));
        assert!(paris.seen.is_mixed());
        let mut utc = CivilClock::new(None).unwrap_or_else(|_| unreachable!("no zone"));
        assert_eq!(at(&mut utc, "1970-01-02 00:00:00"), Some(86_400_000_000));
        assert_eq!(at(&mut utc, "Unknown"), None);
        assert!(utc.read("Start", "soon", 1).is_err());
        assert!(!utc.seen.is_mixed());
    }
}

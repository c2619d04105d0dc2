//! Timestamps such as `2024-03-31T02:30:00`: only with a time zone, because a trace that was dumped
//! in local time has hours that exist twice or not at all.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::cells::Cell;
use super::problem::{Fatal, Problem, code};
use crate::diagnostic::Diagnostic;
use crate::time::SimTime;

/// Reads timestamps in the time zone that the user named, or refuses them.
pub(super) struct Clock {
    zone: Option<TimeZone>,
    /// Timestamps of the current row that a change of the clocks makes ambiguous.
    pub ambiguous: u64,
}

impl Clock {
    /// A clock in the zone of that name (`Europe/Paris`).
    pub fn new(zone: Option<&str>) -> Result<Self, Fatal> {
        let zone = match zone {
            None => None,
            Some(name) => Some(TimeZone::get(name).map_err(|error| {
                let message = format!("time zone '{name}' is not known: {error}");
                Box::new(
                    Diagnostic::error(code::TIME_ZONE, message)
                        .help("write an IANA name such as 'Europe/Paris' or 'UTC'"),
                )
            })?),
        };
        Ok(Self { zone, ambiguous: 0 })
    }

    /// The instant of a timestamp as seconds since 1970-01-01 UTC.
    pub fn timestamp(&mut self, cell: Cell<'_>) -> Result<SimTime, Problem> {
        let looks_like_one = cell.text.len() >= 10
            && cell.text[..4].iter().all(u8::is_ascii_digit)
            && cell.text[4] == b'-'
            && cell.text[7] == b'-';
        if !looks_like_one {
            return Err(cell.wrong_type("a number of seconds"));
        }
        let Some(zone) = &self.zone else {
            let message =
                format!("{} is the timestamp '{}'; times are plain seconds here", cell.name, cell.str());
            return Err(Problem::new(code::TIMESTAMP_WITHOUT_ZONE, "a timestamp without time zone", message)
                .at(cell.column)
                .help("convert once: windtunnel trace convert IN --time-zone Europe/Paris --out OUT.csv"));
        };
        let micros = if let Ok(instant) = cell.str().parse::<jiff::Timestamp>() {
            instant.as_microsecond()
        } else {
            let civil: DateTime = cell.str().parse().map_err(|_| cell.wrong_type("a timestamp"))?;
            let instant = zone.to_ambiguous_timestamp(civil);
            self.ambiguous += u64::from(instant.is_ambiguous());
            instant.compatible().map_err(|_| cell.out_of_range("within the calendar"))?.as_microsecond()
        };
        if !(0..=SimTime::MAX.micros()).contains(&micros) {
            return Err(cell.out_of_range("1970 or later"));
        }
        Ok(SimTime::from_micros(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(clock: &mut Clock, text: &str) -> Result<i64, &'static str> {
        let cell = Cell { name: "submit_s", text: text.as_bytes(), column: 1 };
        clock.timestamp(cell).map(|t| t.micros() / 1_000_000).map_err(|problem| problem.code)
    }

    #[test]
    fn zones_gaps_and_folds() {
        let mut clock = Clock::new(Some("Europe/Paris")).expect("a zone of the system's database");
        assert_eq!(read(&mut clock, "1970-01-02T01:00:00"), Ok(86_400));
        assert_eq!(read(&mut clock, "1970-01-02T00:00:00Z"), Ok(86_400));
        assert_eq!(clock.ambiguous, 0);
        assert_eq!(read(&mut clock, "2024-03-31T02:30:00"), Ok(1_711_848_600), "in the gap: moved forward");
        assert_eq!(read(&mut clock, "2024-10-27T02:30:00"), Ok(1_729_989_000), "in the fold: the first");
        assert_eq!(clock.ambiguous, 2);
        assert_eq!(read(&mut clock, "2024-13-01T00:00:00"), Err(code::TYPE));
        assert!(Clock::new(Some("Mars/Olympus")).is_err());
    }

    #[test]
    fn without_zone_they_are_refused() {
        let mut clock = Clock::new(None).expect("no zone");
        assert_eq!(read(&mut clock, "2024-03-31T02:30:00"), Err(code::TIMESTAMP_WITHOUT_ZONE));
        assert_eq!(read(&mut clock, "soon"), Err(code::TYPE));
    }
}

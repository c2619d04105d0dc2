//! How numbers, times and durations are written in tables of others, and what they are here.

use jiff::civil::DateTime;

use super::cells::parse_integer;
use super::columns::Column as C;
use super::sacct::clock_span;
use crate::time::MICROS_PER_S;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A point in time.
    Instant,
    /// A length of time.
    Span,
    /// An amount of memory, in MiB.
    Memory,
    /// Another number.
    Number,
    Text,
}

/// What a native column holds.
pub(super) fn kind_of(column: C) -> Kind {
    match column {
        C::Submit | C::Start | C::WorkStart | C::End | C::Eligible | C::Begin | C::Cancel | C::Deadline => {
            Kind::Instant
        }
        C::Run | C::Limit | C::CheckpointInterval => Kind::Span,
        C::MemMb | C::GpuMemMib | C::GpuMemPeak => Kind::Memory,
        C::Priority
        | C::Nodes
        | C::Tasks
        | C::TasksPerNode
        | C::Cpus
        | C::CpusPerTask
        | C::Gpus
        | C::GpusPerNode
        | C::GpusPerTask
        | C::GpuMilli
        | C::Nice
        | C::CheckpointGb
        | C::GpuUtil
        | C::AllocNodes
        | C::AllocCpus
        | C::AllocGpus => Kind::Number,
        _ => Kind::Text,
    }
}

/// How the values of a column are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// By what they look like.
    Any,
    /// A number of these units: (seconds or bytes of one in parts, of how many). A day is (86,400, 1).
    Unit(u64, u64),
    /// `d-hh:mm:ss` and its shorter forms.
    Clock,
    /// A civil time after a pattern such as `dd.mm.yyyy hh:mm:ss`.
    Pattern(String),
}

/// Units by name: seconds for times, bytes for memory.
const UNITS: [(&str, u64, u64); 26] = [
    ("s", 1, 1),
    ("sec", 1, 1),
    ("seconds", 1, 1),
    ("ms", 1, 1_000),
    ("us", 1, 1_000_000),
    ("min", 60, 1),
    ("minutes", 60, 1),
    ("h", 3_600, 1),
    ("hours", 3_600, 1),
    ("d", 86_400, 1),
    ("days", 86_400, 1),
    ("B", 1, 1),
    ("KB", 1_000, 1),
    ("MB", 1_000_000, 1),
    ("GB", 1_000_000_000, 1),
    ("TB", 1_000_000_000_000, 1),
    ("KiB", 1 << 10, 1),
    ("MiB", 1 << 20, 1),
    ("GiB", 1 << 30, 1),
    ("TiB", 1 << 40, 1),
    ("K", 1 << 10, 1),
    ("M", 1 << 20, 1),
    ("G", 1 << 30, 1),
    ("T", 1 << 40, 1),
    ("percent", 1, 100),
    ("%", 1, 100),
];

impl Format {
    /// A format or unit by name, for a column of this kind.
    pub(super) fn of_name(name: &str, kind: Kind) -> Option<Self> {
        let is_memory = |unit: &str| unit.ends_with(['B', 'K', 'M', 'G', 'T']);
        let unit = UNITS.iter().find(|(unit, ..)| *unit == name).filter(|(unit, ..)| match kind {
            Kind::Memory => is_memory(unit),
            Kind::Instant | Kind::Span => !is_memory(unit) && !["percent", "%"].contains(unit),
            Kind::Number => ["percent", "%"].contains(unit),
            Kind::Text => false,
        });
        if let Some((_, parts, of)) = unit {
            return Some(Self::Unit(*parts, *of));
        }
        match kind {
            Kind::Span if ["d-hh:mm:ss", "hh:mm:ss", "d-hh", "N days hh:mm:ss", "mm:ss"].contains(&name) => {
                Some(Self::Clock)
            }
            Kind::Instant if ["yyyy", "mm", "dd", "hh"].iter().all(|part| name.contains(part)) => {
                Some(Self::Pattern(name.to_owned()))
            }
            _ => None,
        }
    }

    /// Names that may be written for a kind, in words.
    pub(super) fn names(kind: Kind) -> &'static str {
        match kind {
            Kind::Span => "a unit (ms, s, min, h, d), or a format such as \"d-hh:mm:ss\"",
            Kind::Instant => {
                "a unit of seconds since any origin (ms, s), or a format such as \"dd.mm.yyyy hh:mm:ss\""
            }
            Kind::Memory => "a unit: KB, MB, GB, KiB, MiB, GiB",
            Kind::Number => "the unit \"percent\", for a share",
            Kind::Text => "no unit and no format: it is a text",
        }
    }
}

/// Words that say that a value is not known; a column of texts may hold them as names.
pub(super) fn is_unknown(text: &str) -> bool {
    ["nan", "nat", "na", "n/a", "null", "none", "<na>", "#n/a", "-"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// The day of a civil time, counted from any day.
pub(super) fn day_number(civil: &str) -> Option<i64> {
    let date = civil.parse::<DateTime>().ok()?.date();
    date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|day| day.timestamp().as_second() / 86_400)
}

/// The value as the native CSV writes it, or `None` where it is not written so. `decimal` is the sign before the
/// fraction.
pub(super) fn native(text: &str, kind: Kind, format: &Format, decimal: char) -> Option<String> {
    let plain = || plain_number(text, decimal);
    if kind != Kind::Text && is_unknown(text) {
        return Some(String::new());
    }
    match (kind, format) {
        (Kind::Text, _) => Some(text.to_owned()),
        (Kind::Span, Format::Clock) => clock_span(text).map(|span| seconds_text(span.micros())),
        (Kind::Span, Format::Any) => match plain() {
            Some(number) => scaled(&number, 1, 1, false),
            None => clock_span(text).map(|span| seconds_text(span.micros())),
        },
        (Kind::Instant, Format::Any) => Some(plain().unwrap_or_else(|| text.replacen(' ', "T", 1))),
        (Kind::Instant, Format::Pattern(pattern)) => civil(text, pattern),
        (Kind::Span | Kind::Instant, Format::Unit(parts, of)) => scaled(&plain()?, *parts, *of, false),
        (Kind::Memory, Format::Unit(bytes, of)) => scaled(&plain()?, *bytes, of << 20, true),
        (Kind::Memory, Format::Any) => match plain() {
            Some(number) => scaled(&number, 1, 1, true),
            None => with_unit(text, decimal),
        },
        (Kind::Number, Format::Unit(parts, of)) => scaled(&plain()?, *parts, *of, false),
        (Kind::Number, _) => plain(),
        (Kind::Memory | Kind::Instant | Kind::Span, _) => None,
    }
}

/// A number with the point of the native CSV; `1.234,5` is one where the comma is the decimal sign.
fn plain_number(text: &str, decimal: char) -> Option<String> {
    let number: String = match decimal {
        '.' => text.to_owned(),
        _ => text.chars().filter(|c| *c != '.').map(|c| if c == decimal { '.' } else { c }).collect(),
    };
    let digits = number.strip_prefix(['-', '+']).unwrap_or(&number);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|c| c.is_ascii_digit());
    (!whole.is_empty() && all_digits(whole) && all_digits(fraction)).then_some(number)
}

/// A plain number times `parts / of`; whole ones are rounded up, others have six digits of a fraction.
fn scaled(number: &str, parts: u64, of: u64, whole: bool) -> Option<String> {
    let (negative, digits) = number.strip_prefix('-').map_or((false, number), |digits| (true, digits));
    let (integer, fraction) =
        digits.trim_start_matches('+').split_once('.').unwrap_or((digits.trim_start_matches('+'), ""));
    let fraction: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let integer = u128::try_from(parse_integer(integer.as_bytes())?).ok().filter(|n| *n < 1 << 60)?;
    let nano = integer * 1_000_000_000 + u128::from(fraction.parse::<u64>().ok()?);
    let sign = if negative { "-" } else { "" };
    let product = nano.checked_mul(u128::from(parts))?;
    if whole {
        return Some(format!("{sign}{}", product.div_ceil(u128::from(of) * 1_000_000_000)));
    }
    let micros = product / (u128::from(of) * 1_000);
    Some(format!("{sign}{}", seconds_text(i64::try_from(micros).ok()?)))
}

/// `64 GB`, `16G`: memory with its unit beside the number.
fn with_unit(text: &str, decimal: char) -> Option<String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[number.len()..];
    let (_, bytes, of) =
        UNITS.iter().find(|(name, ..)| *name == unit && name.ends_with(['B', 'K', 'M', 'G', 'T']))?;
    scaled(&plain_number(number.trim_end(), decimal)?, *bytes, of << 20, true)
}

/// Microseconds as seconds with as few digits as there are.
pub(super) fn seconds_text(micros: i64) -> String {
    let (whole, part) = (micros / MICROS_PER_S, micros % MICROS_PER_S);
    match part {
        0 => whole.to_string(),
        _ => format!("{whole}.{part:06}").trim_end_matches('0').to_owned(),
    }
}

/// A civil time after a pattern, as `yyyy-mm-ddThh:mm:ss`. `mm` behind `hh` is minutes, before it months.
pub(super) fn civil(text: &str, pattern: &str) -> Option<String> {
    let mut rest = text;
    let (mut year, mut month, mut day, mut hour, mut minute, mut second) = (0u16, 0u8, 0u8, 0u8, 0u8, 0u8);
    let (mut seen_hour, mut afternoon) = (false, None);
    let mut left = pattern;
    while !left.is_empty() {
        if let Some(behind) = left.strip_prefix("AM") {
            let word = rest.trim_start().to_ascii_uppercase();
            afternoon = Some(["AM", "PM"].iter().position(|half| *half == word)? == 1);
            (left, rest) = (behind, "");
            continue;
        }
        let name = ["yyyy", "mm", "dd", "hh", "ss"].into_iter().find(|name| left.starts_with(name));
        let Some(name) = name else {
            let sign = left.chars().next()?;
            // a fraction or seconds that are not written are none
            if rest.is_empty() && seen_hour {
                break;
            }
            if seen_hour && left.ends_with("AM") && rest.starts_with(' ') && sign == ':' {
                left = "AM";
                continue;
            }
            rest = rest.strip_prefix(sign).or_else(|| (sign == ' ').then(|| rest.strip_prefix('T'))?)?;
            left = &left[sign.len_utf8()..];
            continue;
        };
        left = &left[name.len()..];
        let most = if name == "yyyy" { 4 } else { 2 };
        let end = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let number: u16 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let small = u8::try_from(number).unwrap_or(u8::MAX);
        match name {
            "yyyy" if end == 4 => year = number,
            "mm" if seen_hour => minute = small,
            "mm" => month = small,
            "dd" => day = small,
            "hh" => (hour, seen_hour) = (small, true),
            "ss" => second = small,
            _ => return None,
        }
    }
    if !rest.is_empty() || (pattern.ends_with("AM") && afternoon.is_none()) {
        return None;
    }
    if let Some(afternoon) = afternoon {
        // twelve is zero on a clock of twelve hours
        hour = Some(hour).filter(|hour| (1..=12).contains(hour))? % 12 + if afternoon { 12 } else { 0 };
    }
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    text.parse::<DateTime>().ok().map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_spreadsheets() {
        let hours = Format::of_name("h", Kind::Span).unwrap();
        assert_eq!(native("2,31", Kind::Span, &hours, ',').as_deref(), Some("8316"));
        assert_eq!(native("1.002,5", Kind::Span, &hours, ',').as_deref(), Some("3609000"));
        assert_eq!(native("1 days 02:00:00", Kind::Span, &Format::Any, '.').as_deref(), Some("93600"));
        assert_eq!(native("2,31", Kind::Span, &Format::Any, '.'), None);
        let german = Format::of_name("dd.mm.yyyy hh:mm:ss", Kind::Instant).unwrap();
        let read = |text: &str| native(text, Kind::Instant, &german, ',');
        assert_eq!(read("02.03.2026 08:02").as_deref(), Some("2026-03-02T08:02:00"));
        assert_eq!(read("2.3.2026 8:02:07").as_deref(), Some("2026-03-02T08:02:07"));
        for wrong in ["32.03.2026 08:02", "02.03.26 08:02", "02/03/2026 08:02", "02.03.2026 08:02 x", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let american = |text: &str| civil(text, "mm/dd/yyyy hh:mm:ss AM");
        assert_eq!(american("3/2/2026 12:05 AM").as_deref(), Some("2026-03-02T00:05:00"));
        assert_eq!(american("03/02/2026 11:05:09 PM").as_deref(), Some("2026-03-02T23:05:09"));
        for wrong in ["3/2/2026 13:05 AM", "3/2/2026 11:05", "3/2/2026 11:05 XM", "13/2/2026 11:05 AM"] {
            assert_eq!(american(wrong), None, "{wrong}");
        }
        assert_eq!(native("NaN", Kind::Span, &Format::Any, '.').as_deref(), Some(""), "not known");
        let gb = Format::of_name("GB", Kind::Memory).unwrap();
        assert_eq!(native("64", Kind::Memory, &gb, '.').as_deref(), Some("61036"), "61035.2 MiB, rounded up");
        assert_eq!(native("64G", Kind::Memory, &Format::Any, '.').as_deref(), Some("65536"));
        let share = Format::of_name("%", Kind::Number).unwrap();
        assert_eq!(native("35", Kind::Number, &share, '.').as_deref(), Some("0.35"));
        assert_eq!(Format::of_name("GB", Kind::Span), None);
        assert_eq!(Format::of_name("h", Kind::Number), None);
    }
}

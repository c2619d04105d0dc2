//! Values as Slurm writes them: times, yes and no, amounts, TRES lists.

use crate::scheduler::slurm::config::TresTable;

/// Minutes: `60`, `60:00`, `1:00:00`, `1-00`, `1-00:00:00`; `None` for UNLIMITED and INFINITE.
pub(super) fn minutes(text: &str) -> Result<Option<u32>, ()> {
    if ["unlimited", "infinite", "-1"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(None);
    }
    let seconds = duration_s(text, 60)?;
    u32::try_from((seconds + 59) / 60).map(Some).map_err(|_| ())
}

/// Seconds of a Slurm time; a plain number counts `unit` seconds.
pub(super) fn duration_s(text: &str, unit: i64) -> Result<i64, ()> {
    let number = |t: &str| t.parse::<u32>().map(i64::from).map_err(|_| ());
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(number(days)?), clock),
        None => (None, text),
    };
    let parts = clock.split(':').map(number).collect::<Result<Vec<_>, ()>>()?;
    let clock_s = match (days.is_some(), parts.as_slice()) {
        (false, [n]) => n * unit,
        (false, [minutes, seconds]) => minutes * 60 + seconds,
        (_, [hours, minutes, seconds]) => hours * 3_600 + minutes * 60 + seconds,
        (true, [hours]) => hours * 3_600,
        (true, [hours, minutes]) => hours * 3_600 + minutes * 60,
        _ => return Err(()),
    };
    Ok(days.unwrap_or(0) * 86_400 + clock_s)
}

/// A whole number as slurmctld reads one: decimal, `0x10` or, with a zero before it, octal; `4K` is 4096, and
/// UNLIMITED and INFINITE are the largest number of 32 bits.
pub(super) fn number(text: &str) -> Option<u32> {
    if ["unlimited", "infinite"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Some(u32::MAX);
    }
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1024),
        None => (text, 1),
    };
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    let is_number = digits.bytes().all(|c| c.is_ascii_alphanumeric());
    let number = u32::from_str_radix(digits, radix).ok().filter(|_| is_number)?;
    number.checked_mul(factor)
}

/// The number that a text begins with, as slurmctld reads words of `SchedulerParameters`: what follows the digits
/// is passed over, and where there are none it is 0.
pub(super) fn leading_number(text: &str) -> i64 {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let most = i64::from(i32::MAX);
    if end == 0 { 0 } else { sign * digits[..end].parse::<i64>().unwrap_or(most).min(most) }
}

/// `YES`, `NO`, `TRUE`, `FALSE`, `UP`, `DOWN`, `1`, `0`.
pub(super) fn yes(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|w| text.eq_ignore_ascii_case(w));
    if is(&["yes", "true", "up", "1"]) {
        Some(true)
    } else if is(&["no", "false", "down", "0"]) {
        Some(false)
    } else {
        None
    }
}

/// A whole number with an optional suffix K, M, G, T (powers of 1,024).
pub(super) fn amount(text: &str) -> Result<u64, ()> {
    let (digits, factor) = split_suffix(text);
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).ok_or(())
}

fn split_suffix(text: &str) -> (&str, u64) {
    let factor = match text.bytes().last().map(|b| b.to_ascii_uppercase()) {
        Some(b'K') => 1 << 10,
        Some(b'M') => 1 << 20,
        Some(b'G') => 1 << 30,
        Some(b'T') => 1 << 40,
        _ => return (text, 1),
    };
    (&text[..text.len() - 1], factor)
}

/// Memory in MiB: plain numbers are MiB, `K`, `M`, `G`, `T` are units.
pub(super) fn mem_mb(text: &str) -> Result<u64, ()> {
    match split_suffix(text) {
        (digits, 1) => digits.parse().map_err(|_| ()),
        (digits, factor) => {
            digits.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).map(|b| b >> 20).ok_or(())
        }
    }
}

/// `cpu=10,mem=5G,gres/gpu=80`: (index, amount); -1 clears a limit.
pub(super) fn tres_amounts(text: &str, table: &mut TresTable) -> Result<Vec<(usize, u64)>, String> {
    let mut out = Vec::new();
    for part in text.split(',').filter(|p| !p.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| part.to_owned())?;
        let (name, value) = (name.trim(), value.trim());
        if value == "-1" {
            continue;
        }
        let at = table.index(name);
        let amount = if at == TresTable::MEM { mem_mb(value) } else { amount(value) };
        out.push((at, amount.map_err(|()| part.to_owned())?));
    }
    Ok(out)
}

/// `CPU=0.5,Mem=0.05G,GRES/gpu=4.0`: (index, weight per unit; memory per MiB).
pub(super) fn tres_weights(text: &str, table: &mut TresTable) -> Result<Vec<(usize, f64)>, String> {
    let mut out = Vec::new();
    for part in text.split(',').filter(|p| !p.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| part.to_owned())?;
        let (name, value) = (name.trim(), value.trim());
        let at = table.index(name);
        let (digits, factor) = split_suffix(value);
        let weight: f64 = digits.parse().map_err(|_| part.to_owned())?;
        // a weight with a unit counts per that unit; Slurm's own unit of memory is MiB
        let per_unit = match (at == TresTable::MEM, factor) {
            (_, 1) => weight,
            (true, factor) => weight / (factor as f64 / (1u64 << 20) as f64),
            (false, factor) => weight / factor as f64,
        };
        out.push((at, per_unit));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slurm_times() {
        let cases = [
            ("60", Ok(Some(60))),
            ("90:30", Ok(Some(91))),
            ("1:00:00", Ok(Some(60))),
            ("0-00:10:00", Ok(Some(10))),
            ("2-00", Ok(Some(2_880))),
            ("UNLIMITED", Ok(None)),
            ("soon", Err(())),
        ];
        for (text, want) in cases {
            assert_eq!(minutes(text), want, "{text}");
        }
    }

    #[test]
    fn numbers_of_slurmctld() {
        for (text, want) in [
            ("16", Some(16)),
            ("0x10", Some(16)),
            ("010", Some(8)),
            ("0", Some(0)),
            ("4k", Some(4096)),
            ("INFINITE", Some(u32::MAX)),
            ("09", None),
            ("-1", None),
            ("+-1", None),
            ("", None),
            ("4G", None),
            ("4.5", None),
        ] {
            assert_eq!(number(text), want, "{text}");
        }
        let leading = ["60", "60s", " 7", "-1", "x", "", "99999999999"].map(leading_number);
        assert_eq!(leading, [60, 60, 7, -1, 0, 0, i64::from(i32::MAX)]);
    }

    #[test]
    fn tres_lists() {
        let mut table = TresTable::default();
        assert_eq!(tres_amounts("cpu=4,mem=2G,gres/gpu=8", &mut table), Ok(vec![(0, 4), (1, 2_048), (4, 8)]));
        assert_eq!(
            tres_weights("CPU=0.5,Mem=0.25G,GRES/gpu=4.0", &mut table),
            Ok(vec![(0, 0.5), (1, 0.25 / 1_024.0), (4, 4.0)])
        );
        assert_eq!(tres_amounts("gres/gpu", &mut table), Err("gres/gpu".into()));
    }
}

//! Options of `sbatch` that a trace keeps as texts: `--licenses` and `--switches`.

/// `--licenses`, or `Licenses=` of slurm.conf: `solver:2,viz`, `solver=2`, `a:1|b:2`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Licences {
    /// Names and counts; a name that comes twice counts for both.
    pub wanted: Vec<(String, u32)>,
    /// One of them will do, the first that is there (`|`).
    pub one_of: bool,
}

impl Licences {
    /// Reads a list as slurmctld does: a name without a number counts once.
    ///
    /// # Errors
    /// The part that cannot be read.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut list = Self { wanted: Vec::new(), one_of: text.contains('|') };
        if list.one_of && text.contains([',', ';']) {
            return Err(text.to_owned());
        }
        for part in text.split(['|', ',', ';']).map(str::trim) {
            let bad = || part.to_owned();
            let (name, count) = match part.split_once([':', '=']) {
                Some((name, count)) => (name, count.parse::<u32>().map_err(|_| bad())?),
                None => (part, 1),
            };
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(bad());
            }
            match list.wanted.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum = sum.checked_add(count).ok_or_else(bad)?,
                None => list.wanted.push((name.to_owned(), count)),
            }
        }
        Ok(list)
    }
}

/// `--switches=1@10:00`: leaf switches at most, and how many seconds the job waits for that; a plain number behind the
/// sign is minutes. `None` if it is no count, or the time is none of Slurm's.
#[must_use]
pub fn read_switches_wish(text: &str) -> Option<(u32, Option<i64>)> {
    let (leaves, wait) = match text.split_once('@') {
        Some((leaves, wait)) => (leaves, Some(time_s(wait)?)),
        None => (text, None),
    };
    Some((leaves.parse().ok()?, wait))
}

/// A time as sbatch takes it: minutes, `minutes:seconds`, `hours:minutes:seconds`, and with days before it `days-hours` and
/// so on.
fn time_s(text: &str) -> Option<i64> {
    let number = |digits: &str| digits.parse::<u32>().map(i64::from).ok();
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(number(days)?), clock),
        None => (None, text),
    };
    let parts = clock.split(':').map(number).collect::<Option<Vec<_>>>()?;
    let seconds = match (days.is_some(), parts.as_slice()) {
        (false, [minutes]) => minutes * 60,
        (false, [minutes, seconds]) => minutes * 60 + seconds,
        (_, [hours, minutes, seconds]) => hours * 3_600 + minutes * 60 + seconds,
        (true, [hours]) => hours * 3_600,
        (true, [hours, minutes]) => hours * 3_600 + minutes * 60,
        _ => return None,
    };
    Some(days.unwrap_or(0) * 86_400 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_as_slurmctld_reads_them() {
        let read = |text: &str| Licences::read(text).map(|list| (list.wanted, list.one_of));
        let list = |wanted: &[(&str, u32)], one_of| {
            Ok((wanted.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect(), one_of))
        };
        assert_eq!(read("solver:2,viz"), list(&[("solver", 2), ("viz", 1)], false));
        assert_eq!(read("a=3;b@srv:1"), list(&[("a", 3), ("b@srv", 1)], false));
        assert_eq!(read("a:1,a:2"), list(&[("a", 3)], false));
        assert_eq!(read("a:1|b:2"), list(&[("a", 1), ("b", 2)], true));
        for text in ["", "a:x", ":3", "a:1,b|c", "a b", "a:-1"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn switches_and_their_times() {
        assert_eq!(read_switches_wish("2"), Some((2, None)));
        assert_eq!(read_switches_wish("1@00:01:00"), Some((1, Some(60))));
        assert_eq!(read_switches_wish("1@5"), Some((1, Some(300))));
        assert_eq!(read_switches_wish("1@1-1"), Some((1, Some(90_000))));
        for text in ["", "x", "1@", "1@x", "1@1:2:3:4", "-1"] {
            assert_eq!(read_switches_wish(text), None, "{text}");
        }
    }
}

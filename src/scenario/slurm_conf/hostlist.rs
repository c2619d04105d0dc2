//! Host list expressions: `n[01-16,20],login1`.

/// Why an expression does not parse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostListError {
    /// A bracket that is never closed, or closed twice.
    #[error("brackets do not match")]
    Brackets,
    /// A range such as `5-3` or `a-b`.
    #[error("`{0}` is no range of numbers")]
    Range(String),
    /// More hosts than any cluster has.
    #[error("more than {most} hosts")]
    TooMany {
        /// The cap.
        most: usize,
    },
}

/// Expressions that name more hosts than this are refused (slurm.conf(5): 64K per line).
const MOST: usize = 1_000_000;

/// All host names of an expression, in order.
///
/// # Errors
/// [`HostListError`].
pub fn expand_hosts(text: &str) -> Result<Vec<String>, HostListError> {
    let mut hosts = Vec::new();
    for part in split_top(text)? {
        expand_one(part, &mut hosts)?;
    }
    Ok(hosts)
}

/// Splits at commas outside brackets.
fn split_top(text: &str) -> Result<Vec<&str>, HostListError> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '[' if depth == 0 => depth = 1,
            ']' if depth == 1 => depth = 0,
            '[' | ']' => return Err(HostListError::Brackets),
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    if depth != 0 {
        return Err(HostListError::Brackets);
    }
    parts.push(&text[from..]);
    parts.retain(|p| !p.trim().is_empty());
    Ok(parts)
}

/// One expression with any number of brackets; the last runs fastest.
fn expand_one(part: &str, hosts: &mut Vec<String>) -> Result<(), HostListError> {
    let part = part.trim();
    let Some((before, rest)) = part.split_once('[') else {
        hosts.push(part.to_owned());
        return Ok(());
    };
    let (ranges, after) = rest.split_once(']').ok_or(HostListError::Brackets)?;
    for range in ranges.split(',') {
        let bad = || HostListError::Range(range.to_owned());
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(low) || !digits(high) {
            return Err(bad());
        }
        let (from, to): (usize, usize) = (low.parse().map_err(|_| bad())?, high.parse().map_err(|_| bad())?);
        if from > to {
            return Err(bad());
        }
        if to - from >= MOST || hosts.len() >= MOST {
            return Err(HostListError::TooMany { most: MOST });
        }
        let is_last = !after.contains('[');
        for n in from..=to {
            if is_last {
                hosts.push(format!("{before}{n:0width$}{after}", width = low.len()));
                continue;
            }
            expand_one(&format!("{before}{n:0width$}{after}", width = low.len()), hosts)?;
        }
    }
    Ok(())
}

/// A host name as its stem, its number and the width in which that is written.
fn split_number(host: &str) -> (&str, Option<(u64, usize)>) {
    let stem = host.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &host[stem.len()..];
    (stem, digits.parse().ok().map(|n| (n, digits.len())))
}

/// Host names in order as one expression, neighbours as ranges: `n[01-03,20],login1`.
pub fn compress_hosts<'h>(hosts: impl IntoIterator<Item = &'h str>) -> String {
    let mut groups: Vec<(&str, Vec<String>, usize)> = Vec::new();
    let mut last: Option<(&str, u64, usize, u64)> = None;
    for host in hosts {
        let (stem, number) = split_number(host);
        let Some((n, width)) = number else {
            groups.push((host, Vec::new(), 0));
            last = None;
            continue;
        };
        let goes_on = last.is_some_and(|(s, before, w, _)| s == stem && w == width && before + 1 == n);
        match groups.last_mut() {
            Some((s, parts, w)) if *s == stem && *w == width => {
                let first = last.map_or(n, |(_, _, _, first)| first);
                if goes_on {
                    parts.pop();
                    parts.push(format!("{first:0width$}-{n:0width$}"));
                    last = Some((stem, n, width, first));
                } else {
                    parts.push(format!("{n:0width$}"));
                    last = Some((stem, n, width, n));
                }
            }
            _ => {
                groups.push((stem, vec![format!("{n:0width$}")], width));
                last = Some((stem, n, width, n));
            }
        }
    }
    let text = groups.into_iter().map(|(stem, parts, _)| match parts.as_slice() {
        [] => stem.to_owned(),
        [one] if !one.contains('-') => format!("{stem}{one}"),
        _ => format!("{stem}[{}]", parts.join(",")),
    });
    text.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_written_as_ranges() {
        for text in ["n[01-03,20],login1", "a1", "r1n[8-9],r1n[10-11],r2n1", "gpu,gpu-a[1-2]", "n09,n10"] {
            let hosts = expand_hosts(text).unwrap();
            let again = compress_hosts(hosts.iter().map(String::as_str));
            assert_eq!(expand_hosts(&again).unwrap(), hosts, "{again}");
        }
        assert_eq!(compress_hosts(["n01", "n02", "n03", "n20", "login1"]), "n[01-03,20],login1");
        assert_eq!(compress_hosts(["n09", "n10", "n11"]), "n[09-11]");
    }

    #[test]
    fn ranges_keep_their_width() {
        assert_eq!(expand_hosts("n[01-03,20],login1").unwrap(), ["n01", "n02", "n03", "n20", "login1"]);
        assert_eq!(expand_hosts("r[1-2]n[8-10]").unwrap().len(), 6);
        assert_eq!(expand_hosts("n[8-10]").unwrap(), ["n8", "n9", "n10"]);
    }

    #[test]
    fn bad_ranges_are_named() {
        assert_eq!(expand_hosts("n[5-3]"), Err(HostListError::Range("5-3".into())));
        assert_eq!(expand_hosts("n[a-c]"), Err(HostListError::Range("a-c".into())));
        assert_eq!(expand_hosts("n[1-3"), Err(HostListError::Brackets));
    }
}

//! Diagnostic codes and what they mean; `windtunnel explain CODE`.

/// All codes with their meaning, sorted. Codes are never reused.
pub fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    CODES.lines().filter_map(|line| line.split_once(' ')).map(|(code, meaning)| (code, meaning.trim()))
}

/// The meaning of a code, whatever its case.
#[must_use]
pub fn meaning_of(code: &str) -> Option<(&'static str, &'static str)> {
    codes().find(|(name, _)| name.eq_ignore_ascii_case(code))
}

const CODES: &str = include_str!("codes.txt");

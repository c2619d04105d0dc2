//! Versions of Slurm, and what holds since which of them: one table of rules and defaults.
//!
//! A rule holds from its version on. How it is known is part of its row: `recorded` on running controllers
//! (../shared/slurm-reference-newer), read in the published `source` of the tagged versions, or told by the
//! `changelog`. Rows without effect here are in the table too, so that nobody need look them up elsewhere.
//! Given up: fixes between two releases that are neither recorded nor named by a row; between two recorded
//! versions the rows are all that is known.

use std::fmt;
use std::str::FromStr;

/// A version of Slurm: `24.11` (its last release) or `24.11.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    year: u8,
    month: u8,
    release: u8,
}

/// The last release of a series, whatever its number.
const LAST: u8 = u8::MAX;

/// What a text that is no version should say instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are no rules for Slurm `{text}`; the nearest version with rules is {nearest}")]
pub struct UnknownVersion {
    /// As written.
    pub text: String,
    /// The series nearest to it.
    pub nearest: Version,
}

impl Version {
    /// The series that are known, in order.
    pub const SERIES: [Self; 11] = [
        Self::series(20, 2),
        Self::series(20, 11),
        Self::series(21, 8),
        Self::series(22, 5),
        Self::series(23, 2),
        Self::series(23, 11),
        Self::series(24, 5),
        Self::series(24, 11),
        Self::series(25, 5),
        Self::series(25, 11),
        Self::series(26, 5),
    ];

    /// The version whose rules hold where none is named.
    pub const DEFAULT: Self = Self::series(24, 11);

    /// Versions whose decisions are recorded; others follow from the rows of [`RULES`].
    pub const RECORDED: [Self; 3] = [Self::series(22, 5), Self::series(24, 11), Self::series(26, 5)];

    /// The recorded versions on either side of one that is not recorded itself; `None` where there are none.
    #[must_use]
    pub fn recorded_beside(self) -> Option<[Self; 2]> {
        if Self::RECORDED.iter().any(|recorded| recorded.is_of(self)) {
            return None;
        }
        let below = Self::RECORDED.iter().rfind(|recorded| **recorded < self)?;
        let above = Self::RECORDED.iter().find(|recorded| **recorded > self)?;
        Some([*below, *above])
    }

    const fn series(year: u8, month: u8) -> Self {
        Self { year, month, release: LAST }
    }

    const fn release(year: u8, month: u8, release: u8) -> Self {
        Self { year, month, release }
    }

    /// Whether it is of the same series, such as 24.11.
    #[must_use]
    pub fn is_of(self, other: Self) -> bool {
        (self.year, self.month) == (other.year, other.month)
    }

    /// Whether a rule holds.
    #[must_use]
    pub fn has(self, rule: Rule) -> bool {
        self >= rule.row().since
    }

    /// The default of an option of `[policy.slurm]` where it differs between versions.
    #[must_use]
    pub fn default_of(self, option: &str) -> Option<&'static str> {
        let (rule, before, since) = match option {
            "prioritytype" => (Rule::MultifactorByDefault, "priority/basic", "priority/multifactor"),
            "selecttype" => (Rule::ConsTresByDefault, "select/linear", "select/cons_tres"),
            "bf_max_job_test" => (Rule::FiveHundredTests, "100", "500"),
            _ => return None,
        };
        Some(if self.has(rule) { since } else { before })
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.year, self.month)?;
        if self.release == LAST { Ok(()) } else { write!(f, ".{}", self.release) }
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    /// `24.11`, `24.11.5`, also with what packagers put behind (`24.11.5-4`) and programs before it (`slurm 24.11.5`).
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let word = text.split_whitespace().last().unwrap_or("");
        let bare = word.split(['-', '~', '+']).next().unwrap_or("");
        let parts: Vec<Option<u8>> = bare.split('.').map(|part| part.parse().ok()).collect();
        let (year, month, release) = match parts.as_slice() {
            [Some(year), Some(month)] => (*year, *month, LAST),
            [Some(year), Some(month), Some(release)] if *release < LAST => (*year, *month, *release),
            _ => return Err(UnknownVersion { text: text.to_owned(), nearest: Self::DEFAULT }),
        };
        let found = Self { year, month, release };
        if Self::SERIES.iter().any(|series| series.is_of(found)) {
            return Ok(found);
        }
        let months = |v: &Self| i32::from(v.year) * 12 + i32::from(v.month);
        let far = |v: &&Self| (months(v) - months(&found)).abs();
        let nearest = *Self::SERIES.iter().min_by_key(far).expect("there are series");
        Err(UnknownVersion { text: text.to_owned(), nearest })
    }
}

/// How a rule is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleSource {
    /// Seen in runs of real controllers before and after.
    Recorded,
    /// Read in the source of both versions.
    Source,
    /// Told by the changelog.
    Changelog,
}

impl RuleSource {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Source => "source",
            Self::Changelog => "changelog",
        }
    }
}

/// A row of the table of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleRow {
    /// Which.
    pub rule: Rule,
    /// The first version with it.
    pub since: Version,
    /// How that is known.
    pub source: RuleSource,
    /// What it changes.
    pub what: &'static str,
    /// Whether it changes anything here.
    pub is_modelled: bool,
}

macro_rules! rules {
    ($($rule:ident: ($year:literal, $month:literal, $release:literal), $source:ident, $modelled:literal, $what:literal;)+) => {
        /// What differs between versions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rule {
            $(#[doc = $what] $rule,)+
        }

        /// All that differs between versions, in the order of the versions.
        pub const RULES: &[RuleRow] = &[$(RuleRow {
            rule: Rule::$rule,
            since: Version::release($year, $month, $release),
            source: RuleSource::$source,
            what: $what,
            is_modelled: $modelled,
        },)+];
    };
}

rules! {
    AlignedWindows: (20, 11, 0), Source, true,
        "the windows of a predicted start go on from the first one, which begins at a multiple of 30 s; in 20.02 each began at the first end in it (the version of the change is not known to the month)";
    FiveHundredTests: (21, 8, 0), Source, true, "bf_max_job_test is 500 where it is not set; 100 before";
    PreemptParameters: (23, 2, 0), Source, true,
        "PreemptParameters has youngest_first, strict_order and reorder_count; SchedulerParameters keeps its preempt_ words";
    MaxBatchRequeue: (23, 2, 0), Source, false,
        "MaxBatchRequeue (5): a job whose launch fails more often is held; not modelled: launches do not fail here";
    MultifactorByDefault: (23, 11, 0), Recorded, true,
        "PriorityType is priority/multifactor where it is not set; priority/basic before";
    ConsTresByDefault: (23, 11, 0), Recorded, true,
        "SelectType is select/cons_tres where it is not set; select/linear, whole nodes for every job, before";
    NoConsRes: (23, 11, 0), Source, true,
        "select/cons_res is gone, and select/cons_tres stands for it; before, it had a rule of its own under topology/tree";
    WholeSecondLoop: (23, 11, 0), Recorded, true,
        "the 1-second loop wakes at whole seconds; before, a second after its last turn, so that it drifts";
    LeafHoldsRest: (24, 5, 3), Source, true,
        "topology/tree: a nearer leaf must hold the rest of the job, and what is taken counts above it too";
    LeastSlot: (24, 5, 4), Source, true,
        "a planned job is compared with others over at least one step of bf_resolution";
    FreshPriorityOfRequeue: (24, 5, 5), Recorded, true,
        "a requeued job gets its priority anew at once; before, at the next PriorityCalcPeriod";
    StartInInterval: (24, 11, 0), Source, true,
        "backfill asks for a start within the interval of its map: what ends before it is gone, what ends after it is not waited for";
    PlansRoundUp: (24, 11, 0), Source, true,
        "the end of a planned job is rounded up to bf_resolution in the map; down before";
    EndsAtStart: (25, 5, 0), Source, true,
        "a running job whose limit ends exactly at the tried start counts as gone";
    RelevantEnd: (25, 5, 1), Recorded, true,
        "a planned start is the end of the last removed job on the chosen nodes; before, of the last removed job";
    PreemptByPriority: (25, 5, 0), Changelog, false,
        "PreemptMode has PRIORITY: victims need a lower priority too; not modelled, and import says so";
    OneNodeFirstFit: (26, 5, 0), Recorded, true,
        "a job of one node takes the first node that holds it, by weight and index; before, by the rule of shortest runs";
}

impl Rule {
    /// Its row.
    #[must_use]
    pub fn row(self) -> &'static RuleRow {
        &RULES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_as_people_and_programs_write_them() {
        let read = |text: &str| text.parse::<Version>().map(|version| version.to_string());
        assert_eq!(read("24.11").as_deref(), Ok("24.11"));
        assert_eq!(read("24.11.5").as_deref(), Ok("24.11.5"));
        assert_eq!(read("24.05.4-2").as_deref(), Ok("24.05.4"));
        assert_eq!(read("slurm-wlm 22.05.8").as_deref(), Ok("22.05.8"));
        assert_eq!(read("20.02.7").as_deref(), Ok("20.02.7"));
        for (text, nearest) in
            [("19.05", "20.02"), ("24.10", "24.11"), ("27.05", "26.05"), ("24", "24.11"), ("new", "24.11")]
        {
            let told = text.parse::<Version>().unwrap_err();
            assert_eq!(told.nearest.to_string(), nearest, "{text}");
            assert!(told.to_string().contains(text), "{told}");
        }
    }

    #[test]
    fn a_series_is_its_last_release() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("24.05.4") < version("24.05.5") && version("24.05.5") < version("24.05"));
        assert!(version("24.05") < version("24.11.0"));
        assert!(!version("24.05.4").has(Rule::FreshPriorityOfRequeue));
        assert!(version("24.05").has(Rule::FreshPriorityOfRequeue));
        assert!(!version("25.05.0").has(Rule::RelevantEnd) && version("25.05").has(Rule::RelevantEnd));
        assert_eq!(version("23.02").default_of("prioritytype"), Some("priority/basic"));
        assert_eq!(version("23.11").default_of("prioritytype"), Some("priority/multifactor"));
        assert_eq!(version("20.11").default_of("bf_max_job_test"), Some("100"));
    }

    #[test]
    fn versions_between_recorded_ones_have_neighbours() {
        let beside = |text: &str| {
            let version: Version = text.parse().unwrap();
            version.recorded_beside().map(|pair| pair.map(|version| version.to_string()).join(" "))
        };
        assert_eq!(beside("25.05.1").as_deref(), Some("24.11 26.05"));
        assert_eq!(beside("25.11").as_deref(), Some("24.11 26.05"));
        assert_eq!(beside("23.02").as_deref(), Some("22.05 24.11"));
        for recorded_or_beyond in ["24.11.5", "22.05", "26.05", "21.08"] {
            assert_eq!(beside(recorded_or_beyond), None, "{recorded_or_beyond}");
        }
    }

    #[test]
    fn every_rule_finds_its_row() {
        for row in RULES {
            assert_eq!(row.rule.row(), row);
            assert!(row.since > Version::release(20, 2, 0) && row.since <= Version::series(26, 5));
        }
    }
}

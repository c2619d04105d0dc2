//! What articles for buyers claim about virtual and bare GPUs, each claim put to a run.
//!
//! A [`Claim`] has a scenario (an inline design and a handful of jobs), the figures that came out, and a verdict
//! worked out from them: reproduced, only if something holds, refuted, or pending where this version has no
//! model for it. No verdict is written down. Numbers are those of the list of claims that the project was
//! started with; S0 to S4 are five articles of 2025 and 2026:
//!
//! S0 When to move from GPU VMs to bare metal; S1 How to choose between bare metal GPUs and virtual GPUs;
//! S2 Why bare metal GPU servers are the backbone of the AI revolution (Hostrunway); S3 Bare metal against
//! virtualized GPU cloud; S4 Bare metal against virtualized AI infrastructure (OneSource Cloud).

mod advice;
mod capacity;
mod growth;
mod hosts;
mod metal;
mod money;
mod overhead;
mod paths;
mod priced;
mod sizes;
mod stage;
mod waiting;

use serde::Serialize;

/// How many claims the list has.
const CLAIMS: u32 = 116;

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The runs show it.
    Reproduced,
    /// The runs show it under a condition.
    OnlyIf(String),
    /// The runs show otherwise.
    Refuted(String),
    /// Nothing here can tell yet.
    Pending(String),
    /// No simulation of clusters can tell.
    Untestable(String),
}

impl Verdict {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Reproduced => "reproduced".to_owned(),
            Self::OnlyIf(what) => format!("only if {what}"),
            Self::Refuted(why) => format!("refuted: {why}"),
            Self::Pending(why) => format!("pending: {why}"),
            Self::Untestable(why) => format!("cannot be tested: {why}"),
        }
    }

    /// Reproduced if it holds, refuted otherwise.
    pub(crate) fn of(holds: bool, otherwise: impl Into<String>) -> Self {
        if holds { Self::Reproduced } else { Self::Refuted(otherwise.into()) }
    }
}

/// A claim and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    /// Numbers in the list.
    pub numbers: &'static str,
    /// Article.
    pub article: &'static str,
    /// In short.
    pub says: &'static str,
    /// What was run.
    pub run: &'static str,
    /// What came out: name and value.
    pub figures: Vec<(String, f64)>,
    /// What follows.
    pub verdict: Verdict,
}

/// A claim with its run, the figures of it and what follows.
fn claim(
    numbers: &'static str,
    article: &'static str,
    says: &'static str,
    run: &'static str,
    figures: Vec<(String, f64)>,
    verdict: Verdict,
) -> Claim {
    Claim { numbers, article, says, run, figures, verdict }
}

/// A figure.
fn named(what: &str, value: f64) -> (String, f64) {
    (what.to_owned(), value)
}

impl Claim {
    /// Its numbers: `50, 59-60` is 50, 59 and 60.
    #[must_use]
    pub fn each(&self) -> Vec<u32> {
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let part = |part: &str| match part.split_once('-') {
            Some((from, to)) => number(from).zip(number(to)).map(|(from, to)| (from..=to).collect()),
            None => number(part).map(|one| vec![one]),
        };
        self.numbers.split(',').filter_map(part).flatten().collect::<Vec<u32>>()
    }
}

/// Runs the scenarios of all claims.
///
/// # Panics
/// If a scenario of a claim is wrong, which a test excludes.
#[must_use]
pub fn validate() -> Vec<Claim> {
    let mut claims = overhead::claims();
    claims.extend(hosts::claims());
    claims.extend(growth::claims());
    claims.extend(money::claims());
    claims.extend(advice::claims());
    claims.extend(metal::claims());
    claims.extend(paths::claims());
    claims.extend(sizes::claims());
    claims.extend(waiting::claims());
    claims.extend(capacity::claims());
    claims.sort_by_key(|claim| claim.each().first().copied().unwrap_or(u32::MAX));
    claims
}

/// The table as text.
#[must_use]
pub fn table(claims: &[Claim]) -> String {
    let mut text = String::new();
    for claim in claims {
        text += &format!("{:>7}  {}  {}\n", claim.numbers, claim.article, claim.says);
        text += &format!("         {}\n", claim.verdict.words());
        if !claim.figures.is_empty() {
            let figures: Vec<String> =
                claim.figures.iter().map(|(name, value)| format!("{name} {}", short(*value))).collect();
            text += &format!("         {}: {}\n", claim.run, figures.join("; "));
        }
    }
    text + &format!("\n{}\n", score(claims))
}

/// How many claims came out how.
fn score(claims: &[Claim]) -> String {
    // A claim that two runs are about counts by its first row.
    let rows = (1..=CLAIMS).filter_map(|number| claims.iter().find(|claim| claim.each().contains(&number)));
    let verdicts: Vec<&Verdict> = rows.map(|claim| &claim.verdict).collect();
    let count = |of: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| of(verdict)).count();
    format!(
        "{} claims: {} reproduced, {} only under a condition, {} refuted, {} pending, {} that cannot be tested",
        count(|_| true),
        count(|v| matches!(v, Verdict::Reproduced)),
        count(|v| matches!(v, Verdict::OnlyIf(_))),
        count(|v| matches!(v, Verdict::Refuted(_))),
        count(|v| matches!(v, Verdict::Pending(_))),
        count(|v| matches!(v, Verdict::Untestable(_))),
    )
}

/// The table for VALIDATION.md.
#[must_use]
pub fn markdown(claims: &[Claim]) -> String {
    let mut text = String::from(
        "## claims\n\n**Claims of five market articles** (S0 to S4; `windtunnel validate --claims`), each put to a run of a small \
         scenario or looked up in the catalogue; the verdict is worked out from the figures. Several numbers in a row say the \
         same, and the article is that of the first.\n\n\
         | claim | article | says | verdict | run and figures |\n|---:|---|---|---|---|\n",
    );
    for claim in claims {
        let figures: Vec<String> =
            claim.figures.iter().map(|(name, value)| format!("{name} {}", short(*value))).collect();
        let ran =
            if figures.is_empty() { String::new() } else { format!("{}: {}", claim.run, figures.join("; ")) };
        let verdict = claim.verdict.words();
        text += &format!("| {} | {} | {} | {verdict} | {ran} |\n", claim.numbers, claim.article, claim.says);
    }
    text + &format!("\n{}.\n", score(claims))
}

/// Four significant digits or so.
fn short(value: f64) -> String {
    let size = value.abs();
    let text = if size >= 1000.0 {
        format!("{value:.0}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_is_run_and_has_a_verdict() {
        let claims = validate();
        assert!(claims.len() >= 30, "{}", claims.len());
        let mut numbers: Vec<u32> = claims.iter().flat_map(Claim::each).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers, (1..=CLAIMS).collect::<Vec<u32>>(), "every claim has a row");
        for claim in &claims {
            let is_pending = matches!(claim.verdict, Verdict::Pending(_) | Verdict::Untestable(_));
            assert_eq!(claim.figures.is_empty(), is_pending, "{}", claim.numbers);
            assert!(claim.figures.iter().all(|(_, value)| value.is_finite()), "{}", claim.numbers);
        }
        let of = |number: &str| &claims.iter().find(|claim| claim.numbers == number).unwrap().verdict;
        assert_eq!(*of("26"), Verdict::Reproduced);
        let figure = |number: &str, name: &str| {
            let claim = claims.iter().find(|claim| claim.numbers == number).unwrap();
            claim.figures.iter().find(|(known, _)| known == name).unwrap().1
        };
        // 75,200 a year for a server of 300,000 over five years.
        assert!((figure("104", "fees / hardware") - 1.25).abs() < 0.005);
        // What isolation costs jobs that could share servers.
        assert_eq!(figure("21, 69", "jobs of 1 to 5 GPUs, servers of all"), 0.0);
        let waits: Vec<f64> =
            claims.iter().find(|c| c.numbers == "21, 69").unwrap().figures.iter().map(|f| f.1).collect();
        assert!((waits[5] - 3.3).abs() < 0.05, "{waits:?}");
        assert!(matches!(of("43"), Verdict::Refuted(_) | Verdict::OnlyIf(_)));
    }
}

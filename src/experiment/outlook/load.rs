//! The load: when growth makes a design miss the objective, and between which loads the verdict stands.
//!
//! A load of 1.4 is the same jobs arriving 1.4 times as fast. Then the horizon is shorter, so totals over it
//! (`cost.total`, `cost.waiting`) are taken for the horizon of the comparison, at their monthly rate.

use serde::Serialize;

use super::{Asked, OutlookError};
use crate::cost::CostTerms;
use crate::experiment::DesignResult;
use crate::experiment::replicas::{Figures, figures};
use crate::experiment::verdict::meets;
use crate::scenario::Design;
use crate::workload::Workload;
use crate::workload::scale::{Scale, scale};

/// Loads that are looked at, up and down: 1.25 to the power of 1 to this.
const STEPS: i32 = 6;
/// Ratio of two loads next to each other.
const STEP: f64 = 1.25;
/// Halvings between two loads: to about half a per cent.
const HALVINGS: u32 = 5;

/// When a design misses the objective as the load grows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GrowthMiss {
    /// The design.
    pub design: String,
    /// Month of the plan from which any of it is there; `None` where that is after the plan.
    pub delivered_month: Option<u32>,
    /// First month from then on in which it misses a condition; `None` where it meets all of them to the end.
    pub month: Option<u32>,
    /// Load in that month, relative to now.
    pub load: Option<f64>,
    /// The condition that it misses first, as written.
    pub condition: Option<String>,
}

/// The loads between which the verdict stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadRange {
    /// The highest load below which the verdict is another; `None` where none was found.
    pub below: Option<LoadFlip>,
    /// The lowest load above which it is.
    pub above: Option<LoadFlip>,
    /// Lowest and highest load that were looked at.
    pub looked_at: [f64; 2],
}

/// A load at which the verdict changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadFlip {
    /// The load, relative to the scenario's.
    pub load: f64,
    /// Share of the chosen design's GPUs (else CPUs) that are allocated at that load.
    pub utilization: Option<f64>,
    /// The design that is chosen beyond it; `None` where none meets the objective.
    pub choice: Option<String>,
}

/// One load, simulated.
struct At {
    figures: Vec<Figures>,
    utilization: Vec<Option<f64>>,
}

fn scaled(asked: &Asked<'_>, load: f64) -> Result<Workload, OutlookError> {
    let problem = |problem| {
        let mut problems = crate::diagnostic::Diagnostics::default();
        problems.push(problem);
        OutlookError::Input(problems)
    };
    let factors = Scale::new(load, 1.0, 1.0).map_err(problem)?;
    scale(asked.loaded.workload.clone(), &factors).map_err(problem)
}

/// The designs under a load.
fn at(asked: &Asked<'_>, load: f64, designs: &[Design]) -> Result<At, OutlookError> {
    let workload = scaled(asked, load)?;
    let results = asked.run(&workload, designs, &asked.scenario.policy)?;
    let months = |result: &DesignResult| {
        let horizon = result.outcome.last_instant.saturating_since(result.outcome.first_submit);
        horizon.as_s()
    };
    let whole = asked.results.first().map_or(0.0, months);
    let figures = results.iter().map(|result| {
        let mut found = figures(&result.summary, result.cost.as_ref());
        let here = months(result);
        for key in ["cost.total", "cost.waiting"] {
            if let (Some(amount), true) = (found.get_mut(key), here > 0.0) {
                *amount *= whole / here;
            }
        }
        found
    });
    let utilization = results
        .iter()
        .map(|result| result.summary.utilization.gpu_allocated.or(result.summary.utilization.cpu));
    Ok(At { figures: figures.collect(), utilization: utilization.collect() })
}

/// The month in which each design misses the objective; `None` without a plan that grows, or without conditions.
pub(super) fn growth(asked: &Asked<'_>) -> Result<Option<Vec<GrowthMiss>>, OutlookError> {
    let Some(finance) = asked.scenario.finance.filter(|finance| finance.growth > 0.0) else {
        return Ok(None);
    };
    if asked.objective.require.is_empty() {
        return Ok(None);
    }
    let load_in = |month: u32| libm::pow(1.0 + finance.growth, f64::from(month) / 12.0);
    let mut misses = Vec::new();
    for result in asked.results {
        let design = &result.design;
        let first_missed = |month: u32| -> Result<Option<String>, OutlookError> {
            let Some(design) = delivered(design, month) else { return Ok(None) };
            let found = at(asked, load_in(month), std::slice::from_ref(&design))?;
            let missed =
                asked.objective.require.iter().find(|c| !meets(&found.figures[0], std::slice::from_ref(c)));
            Ok(missed.map(|condition| condition.text.clone()))
        };
        let mut found = None;
        // Between two deliveries more load makes it worse: the first month that misses is found by halving.
        for (from, until) in spans(design, finance.months) {
            if let Some(condition) = first_missed(from)? {
                found = Some((from, condition));
                break;
            }
            let Some(mut condition) = first_missed(until - 1)? else { continue };
            let (mut good, mut bad) = (from, until - 1);
            while bad - good > 1 {
                let middle = good + (bad - good) / 2;
                match first_missed(middle)? {
                    Some(missed) => (bad, condition) = (middle, missed),
                    None => good = middle,
                }
            }
            found = Some((bad, condition));
            break;
        }
        misses.push(GrowthMiss {
            design: design.name.clone(),
            delivered_month: spans(design, finance.months).first().map(|(from, _)| *from),
            month: found.as_ref().map(|(month, _)| *month),
            load: found.as_ref().map(|(month, _)| load_in(*month)),
            condition: found.map(|(_, condition)| condition),
        });
    }
    Ok(Some(misses))
}

/// The months of the plan from the first delivery on, cut where a pool arrives. Under Slurm's policy, whose site names
/// all nodes, a design is all there or not.
fn spans(design: &Design, months: u32) -> Vec<(u32, u32)> {
    let mut cuts: Vec<u32> = arrivals(design).filter(|month| *month < months).collect();
    if design.slurm.is_some() {
        cuts = arrivals(design).max().filter(|month| *month < months).into_iter().collect();
    }
    if cuts.is_empty() {
        return Vec::new();
    }
    cuts.push(months);
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

fn arrivals(design: &Design) -> impl Iterator<Item = u32> + '_ {
    design
        .pools
        .iter()
        .map(|pool| pool.cost.as_ref().map_or(0, |terms: &CostTerms| terms.phase().delivery_month))
}

/// The design as it stands in a month: the pools that are there; `None` before the first. Under Slurm's policy, whose
/// site names all nodes, it is all there or not.
fn delivered(design: &Design, month: u32) -> Option<Design> {
    let there: Vec<bool> = arrivals(design).map(|arrival| arrival <= month).collect();
    if there.iter().all(|there| *there) {
        return Some(design.clone());
    }
    if design.slurm.is_some() || !there.contains(&true) {
        return None;
    }
    let mut part = design.clone();
    keep(&mut part.cluster.pools, &there);
    keep(&mut part.pools, &there);
    keep(&mut part.sharing.cards, &there);
    keep(&mut part.sharing.times, &there);
    keep(&mut part.sharing.speeds.pools, &there);
    Some(part)
}

/// Keeps what belongs to the pools that are there; a list that is not by pool stays.
fn keep<T>(rows: &mut Vec<T>, there: &[bool]) {
    if rows.len() == there.len() {
        let mut at = 0;
        rows.retain(|_| {
            at += 1;
            there[at - 1]
        });
    }
}

/// The loads between which the choice stands.
pub(super) fn range(asked: &Asked<'_>) -> Result<Option<LoadRange>, OutlookError> {
    let Some(choice) = asked.choice(&asked.own()) else { return Ok(None) };
    if asked.results.len() < 2 && asked.objective.require.is_empty() {
        return Ok(None);
    }
    let designs: Vec<Design> = asked.results.iter().map(|result| result.design.clone()).collect();
    let flip = |direction: i32| -> Result<(Option<LoadFlip>, f64), OutlookError> {
        let mut good = 1.0;
        for step in 1..=STEPS {
            let load = libm::pow(STEP, f64::from(step * direction));
            let found = at(asked, load, &designs)?;
            if asked.choice(&found.figures) != Some(choice) {
                return Ok((Some(halve(asked, &designs, choice, (good, load, found))?), load));
            }
            good = load;
        }
        Ok((None, good))
    };
    let (below, lowest) = flip(-1)?;
    let (above, highest) = flip(1)?;
    Ok(Some(LoadRange { below, above, looked_at: [lowest, highest] }))
}

/// The load between one that keeps the choice and one that does not.
fn halve(
    asked: &Asked<'_>,
    designs: &[Design],
    choice: usize,
    (mut good, mut bad, mut found): (f64, f64, At),
) -> Result<LoadFlip, OutlookError> {
    for _ in 0..HALVINGS {
        let middle = libm::sqrt(good * bad);
        let there = at(asked, middle, designs)?;
        if asked.choice(&there.figures) == Some(choice) {
            good = middle;
        } else {
            (bad, found) = (middle, there);
        }
    }
    let winner = asked.choice(&found.figures);
    Ok(LoadFlip { load: bad, utilization: found.utilization[choice], choice: asked.name(winner) })
}

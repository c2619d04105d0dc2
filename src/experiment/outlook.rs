//! What becomes of a verdict: money over the years, growth of the load, and the assumptions that would flip it.
//!
//! `outlook` asks four questions of a comparison with an objective:
//!
//! - `money`: cash flow by year, present value and payback against the baseline
//! - `load`: the month in which growth makes each design miss the objective, and the loads between
//!   which the verdict stands
//! - `assumptions`: at which price a rival would win, and how far the decisive figure swings
//!   between the low and the high value of every assumption
//!
//! A changed price is computed on the runs that are there; a changed load, speed or class is simulated again, one
//! run for each design and question, without replicas. Figures of those runs are single runs: differences that the
//! replicas cannot tell are not told here either.
//!
//! Invariants: the comparison itself is not changed by it; the same scenario and seed give the same answer.

mod assumptions;
mod load;
mod money;

use serde::Serialize;

use super::replicas::{Figures, figures};
use super::verdict::choose;
use super::{DesignResult, ExperimentError, LoadedWorkload, run_designs};
use crate::diagnostic::Diagnostics;
use crate::scenario::{self, Design, FinanceSpec, ObjectiveSpec, PolicyChoice, Scenario};
use crate::simulation::RunOptions;
use crate::workload::Workload;

pub use assumptions::{PriceFlip, Swing};
pub use load::{GrowthMiss, LoadFlip, LoadRange};
pub use money::DesignFlow;

/// What becomes of the verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlook {
    /// The design that is chosen on the single history that the outlook is computed on; the verdict of replicas can be
    /// another. `None` where none meets the objective there.
    pub choice: Option<String>,
    /// Money over the plan, design by design; `None` without a plan or without costs.
    pub flows: Option<Vec<DesignFlow>>,
    /// The month in which each design misses the objective; `None` without growth.
    pub growth: Option<Vec<GrowthMiss>>,
    /// The loads between which the verdict stands; `None` where no design meets the objective.
    pub load: Option<LoadRange>,
    /// Prices at which a rival would win.
    pub prices: Vec<PriceFlip>,
    /// Assumptions, the one with the largest swing first.
    pub swings: Vec<Swing>,
}

/// Why there is no outlook.
#[derive(Debug, thiserror::Error)]
pub enum OutlookError {
    /// The scenario cannot be loaded with other values.
    #[error("the scenario cannot be varied")]
    Input(Diagnostics),
    /// A run failed.
    #[error(transparent)]
    Run(#[from] ExperimentError),
}

/// A comparison that can be asked again under other assumptions.
struct Asked<'a> {
    scenario: &'a Scenario,
    objective: &'a ObjectiveSpec,
    loaded: &'a LoadedWorkload,
    results: &'a [DesignResult],
    interrupted: &'a (dyn Fn() -> bool + Sync),
}

impl Asked<'_> {
    /// Runs designs over a workload; figures and utilization of each.
    fn run(
        &self,
        workload: &Workload,
        designs: &[Design],
        policy: &PolicyChoice,
    ) -> Result<Vec<DesignResult>, OutlookError> {
        let seed = self.scenario.workload.seed;
        let options = || RunOptions { seed, ..RunOptions::default() };
        Ok(run_designs(workload, designs, policy, &options, self.interrupted)?)
    }

    /// The scenario with other values of settings, its designs in the order of the results.
    fn varied(&self, sets: &[(String, String)]) -> Result<Scenario, OutlookError> {
        let (text, directory) = (self.scenario.resolved_toml.clone(), &self.scenario.directory);
        let mut varied =
            scenario::load_text("the scenario", text, directory, sets).map_err(OutlookError::Input)?;
        let here = |design: &Design| self.results.iter().any(|result| result.design.name == design.name);
        varied.designs.retain(here);
        Ok(varied)
    }

    /// The figures of the comparison's own runs.
    fn own(&self) -> Vec<Figures> {
        self.results.iter().map(|result| figures(&result.summary, result.cost.as_ref())).collect()
    }

    fn choice(&self, figures: &[Figures]) -> Option<usize> {
        choose(figures, self.objective)
    }

    fn name(&self, at: Option<usize>) -> Option<String> {
        at.map(|at| self.results[at].design.name.clone())
    }
}

/// The outlook of a comparison; `Ok(None)` where the scenario has neither an objective nor a plan.
///
/// # Errors
/// A run that fails, or a scenario that does not load with values of the catalogue.
pub fn outlook(
    scenario: &Scenario,
    loaded: &LoadedWorkload,
    results: &[DesignResult],
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Outlook>, OutlookError> {
    let flows = scenario
        .finance
        .as_ref()
        .and_then(|finance: &FinanceSpec| money::flows(finance, &scenario.compare.baseline, results));
    let Some(objective) = &scenario.objective else {
        let only_money = |flows| Outlook {
            choice: None,
            flows: Some(flows),
            growth: None,
            load: None,
            prices: Vec::new(),
            swings: Vec::new(),
        };
        return Ok(flows.map(only_money));
    };
    let asked = Asked { scenario, objective, loaded, results, interrupted };
    Ok(Some(Outlook {
        choice: asked.name(asked.choice(&asked.own())),
        flows,
        growth: load::growth(&asked)?,
        load: load::range(&asked)?,
        prices: assumptions::prices(&asked)?,
        swings: assumptions::swings(&asked)?,
    }))
}

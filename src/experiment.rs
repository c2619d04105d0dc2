//! Designs side by side: one workload, several clusters, the same horizon.
//!
//! [`load_workload`] turns a scenario's workload into jobs (read or generated, classified, scaled);
//! [`run_designs`] runs every design in parallel over the shared jobs and sums each up;
//! [`DesignResult`]s come back in declared order, whatever thread finished first.
//!
//! Invariants: the result depends on workload, policy and design only (not on threads); all designs of
//! a comparison share one horizon, from the first submission to the last instant of the slowest.

pub mod backtest;
mod events;
mod inputs;
pub mod outlook;
mod parts;
pub mod pricing;
mod progress;
pub mod recorded_on;
pub mod replicas;
mod routing;
mod sensitivity;
pub mod statistics;
pub mod sweep;
mod tenancy;
mod translation;
mod trust;
pub mod verdict;
mod versions;

use rayon::prelude::*;

use crate::cost::{self, CostFigures};
use crate::diagnostic::Diagnostic;
use crate::ids::{JobId, PoolId};
use crate::metrics::{self, Summary};
use crate::scenario::{Design, PolicyChoice};
use crate::scheduler::{PolicySpec, ordering};
use crate::simulation::{self, DecidedBy, Hardware, Outcome, Policy, RunError, RunOptions};
use crate::time::SimTime;
use crate::workload::Workload;

pub use events::check_elastic;
pub use inputs::{InputFile, LoadedWorkload, hash_file, hash_text, load_workload};
pub use progress::check_progress;
pub use routing::check_tenants;
pub use sensitivity::{Sensitivity, SpeedVerdict, sensitivity};
pub use translation::{Move, TranslationFacts, translate};
pub use trust::{BACKTEST_FORMAT, BacktestInput, Trust, load_trust};
pub use versions::{VersionCheck, VersionVerdict, version_check};

/// One design after its run.
#[derive(Clone, Debug)]
pub struct DesignResult {
    /// The design.
    pub design: Design,
    /// All figures.
    pub summary: Summary,
    /// Costs; `None` where the scenario gives no prices.
    pub cost: Option<CostFigures>,
    /// Records, for files and pages.
    pub outcome: Outcome,
    /// What replicas tell; `None` where none were asked for.
    pub uncertainty: Option<replicas::Uncertainty>,
    /// What moving the jobs to this hardware did to their speed.
    pub translation: TranslationFacts,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// A run failed.
    #[error("design '{design}': {error}")]
    Run {
        /// Name of the design.
        design: String,
        /// What happened.
        error: RunError,
    },
    /// The costs cannot be added up.
    #[error("design '{design}': {error}")]
    Cost {
        /// Name of the design.
        design: String,
        /// Why.
        error: cost::CostError,
    },
}

impl ExperimentError {
    /// Whether the user stopped it.
    #[must_use]
    pub fn is_interruption(&self) -> bool {
        matches!(self, Self::Run { error: RunError::Interrupted, .. })
    }
}

/// The policy that a specification names.
///
/// # Errors
/// A diagnostic (W0401) for a bad order expression.
pub fn classic_policy(spec: &PolicySpec) -> Result<Policy, Diagnostic> {
    let ordering = ordering::ordering(&spec.order).map_err(|error| {
        let known: Vec<String> =
            ordering::EXPRESSION_VARIABLES.iter().map(|(name, what)| format!("{name} ({what})")).collect();
        Diagnostic::error("W0401", format!("the order expression cannot be used: {error}"))
            .help(format!("variables: {}", known.join(", ")))
    })?;
    Ok(Policy { ordering, placement: spec.placement.into(), backfill: spec.backfill })
}

/// Runs every design over `workload`, in parallel, and sums each up over the common horizon.
///
/// # Errors
/// The first error in declared order.
pub fn run_designs(
    workload: &Workload,
    designs: &[Design],
    policy: &PolicyChoice,
    options: &(dyn Fn() -> RunOptions<'static> + Sync),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<DesignResult>, ExperimentError> {
    let runs = in_parallel(designs.iter().collect(), |design| {
        let options = options();
        let keep_allocations = options.keep_allocations || pricing::needs_holdings(design);
        let options = RunOptions { interrupted, keep_allocations, ..options };
        run_translated(workload, design, policy, &options)
            .map_err(|error| ExperimentError::Run { design: design.name.clone(), error })
    })?;
    let (mut outcomes, translations): (Vec<Outcome>, Vec<TranslationFacts>) = runs.into_iter().unzip();
    share_horizon(designs, &mut outcomes);
    let rows = designs.iter().zip(outcomes).zip(translations).collect();
    in_parallel(rows, |((design, outcome), translation)| {
        let summary = metrics::summarize_after(workload, &design.cluster, &outcome, design.warm_up);
        let cost = pricing::cost_of(workload, design, &outcome, &summary)?;
        let (design, uncertainty) = (design.clone(), None);
        Ok(DesignResult { design, summary, cost, outcome, uncertainty, translation })
    })
}

/// Results in the given order, or the first error in that order; a single item needs no threads.
fn in_parallel<T: Send, R: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, ExperimentError> + Sync + Send,
) -> Result<Vec<R>, ExperimentError> {
    if items.len() == 1 {
        return items.into_iter().map(work).collect();
    }
    let results: Vec<Result<R, ExperimentError>> = items.into_par_iter().map(work).collect();
    results.into_iter().collect()
}

/// Runs one design.
///
/// # Errors
/// As [`simulation::simulate`].
///
/// # Panics
/// If an order expression does not compile, or a design has no site under Slurm's policy; the scenario has
/// checked both.
pub fn run_design(
    workload: &Workload,
    design: &Design,
    policy: &PolicyChoice,
    options: &RunOptions<'_>,
) -> Result<Outcome, RunError> {
    run_translated(workload, design, policy, options).map(|(outcome, _)| outcome)
}

/// As [`run_design`], with what moving the jobs to the design's hardware did to their speed.
fn run_translated(
    workload: &Workload,
    design: &Design,
    policy: &PolicyChoice,
    options: &RunOptions<'_>,
) -> Result<(Outcome, TranslationFacts), RunError> {
    let routed = routing::route(workload, design);
    let bound = routed.as_ref().map(|routed| Design { cluster: routed.cluster.clone(), ..design.clone() });
    let (workload, design) = match (&routed, &bound) {
        (Some(routed), Some(bound)) => (&routed.workload, bound),
        _ => (workload, design),
    };
    let (speeds, facts) = translate(workload, design);
    let speeds = if gives_parts(design) { speeds } else { parts::on_whole_gpus(workload, design, speeds) };
    let as_recorded = design.speedup.as_recorded;
    // Limits follow the speeds; run times are as long as recorded whatever they are.
    let before =
        speeds.as_ref().filter(|_| as_recorded).map(|speeds| parts::as_recorded(workload, design, speeds));
    let workload = before.as_ref().unwrap_or(workload);
    let tenancy = tenancy::of(workload, design);
    let spills = routed.as_ref().and_then(|routed| routed.spills.as_ref());
    let outages = events::outages(workload, design, policy, options.outages);
    let reservations = events::reservations(workload, design);
    let known = RunOptions { outages: &outages, reservations: &reservations, as_recorded, ..*options };
    let leaves = tenancy::leaves(design);
    let known = RunOptions { leaves: leaves.as_deref(), spills, ..known };
    let options = RunOptions { speeds: speeds.as_ref(), tenancy: tenancy.as_ref(), ..known };
    run_at_speeds(workload, design, policy, &options).map(|outcome| (outcome, facts))
}

fn run_at_speeds(
    workload: &Workload,
    design: &Design,
    policy: &PolicyChoice,
    options: &RunOptions<'_>,
) -> Result<Outcome, RunError> {
    let by = match policy {
        PolicyChoice::Classic(spec) => {
            DecidedBy::Classic(classic_policy(spec).expect("the scenario compiled the expression"))
        }
        PolicyChoice::Preemptive(spec) => DecidedBy::Preemptive(spec),
        PolicyChoice::Slurm(_) => {
            let site = design.slurm.as_deref().expect("under Slurm's policy every design has a site");
            DecidedBy::Slurm(site, &[])
        }
    };
    let counts_parts = match policy {
        PolicyChoice::Slurm(_) => counts_parts(workload, design),
        PolicyChoice::Classic(_) | PolicyChoice::Preemptive(_) => gives_parts(design),
    };
    let sharing = counts_parts.then_some(&design.sharing);
    simulation::simulate(workload, Hardware { cluster: &design.cluster, sharing }, by, options)
}

/// Whether the run's floor gives parts of GPUs: a design or the placement is about them. A job that asks for a part
/// does not need it: pools of whole GPUs round it up.
fn gives_parts(design: &Design) -> bool {
    design.shares_gpus
}

/// Whether GPUs are counted card by card under Slurm's policy: a design gives out parts of them, or a job asks for one,
/// which whole GPUs round up.
fn counts_parts(workload: &Workload, design: &Design) -> bool {
    let asks_for_part = |request: &crate::workload::Request| {
        request.mig_profile.is_some() || request.gpu_milli.is_some_and(|milli| milli < 1000)
    };
    let has_gpus = design.cluster.pools.iter().any(|pool| pool.node.capacity.gpus > 0);
    let trace_shares = || workload.requests.iter().any(|(_, request)| asks_for_part(request));
    gives_parts(design) || (has_gpus && trace_shares())
}

/// Extends every design to the last instant of the slowest: what it installed stays installed.
fn share_horizon(designs: &[Design], outcomes: &mut [Outcome]) {
    let last = outcomes.iter().map(|outcome| outcome.last_instant).max().unwrap_or(SimTime::ZERO);
    for (design, outcome) in designs.iter().zip(outcomes) {
        let more = last.since(outcome.last_instant);
        outcome.hours.extend(more, |pool: PoolId| tenancy::installed_at_rest(design, pool));
        tenancy::extend_vgpus(design, outcome, more);
        outcome.last_instant = last;
        tenancy::book_left_over(design, outcome);
    }
}

/// The job that a user names, if the workload has it.
#[must_use]
pub fn find_job(workload: &Workload, name: &str) -> Option<JobId> {
    workload.jobs.ids().find(|job| workload.job_name(*job) == name)
}

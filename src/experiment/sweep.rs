//! A sweep: many points of one scenario, in parallel, over workloads that are read once.
//!
//! [`run_points`] loads each point's scenario, runs its designs and keeps the figures, not the records. Points
//! that differ in designs, policy or scale share the parsed jobs; the points of one workload are done together,
//! the one with most load first, so that no long point is left for the end. A point and its result know nothing
//! of threads: results come back by number, the same whatever finished first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rayon::prelude::*;

use super::{ExperimentError, LoadedWorkload, load_workload, run_designs};
use crate::cost::CostFigures;
use crate::diagnostic::Diagnostics;
use crate::metrics::Summary;
use crate::scenario::{Scenario, WorkloadSource, WorkloadSpec};
use crate::simulation::RunOptions;
use crate::workload::Workload;
use crate::workload::scale::{Scale, scale};

/// What one point gave.
#[derive(Clone, Debug)]
pub struct PointResult {
    /// The point's number, from 0.
    pub point: usize,
    /// Its designs in declared order, or why there is no result.
    pub designs: Result<Vec<PointDesign>, String>,
}

/// The figures of one design at one point.
#[derive(Clone, Debug)]
pub struct PointDesign {
    /// Name in the scenario.
    pub name: String,
    /// Name for tables.
    pub label: String,
    /// All figures.
    pub summary: Summary,
    /// Costs; `None` where the scenario gives no prices.
    pub cost: Option<CostFigures>,
}

/// Why a sweep gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A point's scenario or workload cannot be used.
    #[error("a point of the sweep cannot be used")]
    Input(Diagnostics),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

/// What surrounds a sweep.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// A refused row makes a trace invalid.
    pub strict: bool,
    /// Called after every point.
    pub done: &'a (dyn Fn() + Sync),
    /// Asked now and then whether to stop.
    pub interrupted: &'a (dyn Fn() -> bool + Sync),
}

/// Runs `count` points; `load` gives the scenario of each. A run that fails is a result that says why.
///
/// # Errors
/// What is wrong with the input of any point, before the first is run; or that the user stopped it.
pub fn run_points(
    count: usize,
    load: &(dyn Fn(usize) -> Result<Scenario, Diagnostics> + Sync),
    around: Around<'_>,
) -> Result<Vec<PointResult>, SweepError> {
    let plan = Plan::new(count, load)?;
    let results: Vec<OnceLock<PointResult>> = (0..count).map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let broken: Mutex<Option<SweepError>> = Mutex::new(None);
    let worker = || {
        while let Some(&(point, base)) = plan.order.get(next.fetch_add(1, Ordering::Relaxed)) {
            match run_point(point, &plan.bases[base], load, around) {
                Ok(result) => {
                    let fresh = results[point].set(result).is_ok();
                    debug_assert!(fresh, "a point is done once");
                    (around.done)();
                }
                Err(error) => {
                    next.store(count, Ordering::Relaxed);
                    broken.lock().expect("workers do not panic").get_or_insert(error);
                }
            }
        }
    };
    rayon::scope(|scope| (0..rayon::current_num_threads()).for_each(|_| scope.spawn(|_| worker())));
    match broken.into_inner().expect("workers do not panic") {
        Some(error) => Err(error),
        None => Ok(results.into_iter().map(|r| r.into_inner().expect("every point was done")).collect()),
    }
}

/// Which points share a workload, and what is done first.
struct Plan {
    bases: Vec<Base>,
    /// (point, its workload).
    order: Vec<(usize, usize)>,
}

impl Plan {
    fn new(
        count: usize,
        load: &(dyn Fn(usize) -> Result<Scenario, Diagnostics> + Sync),
    ) -> Result<Self, SweepError> {
        let specs: Vec<Result<(WorkloadSpec, f64), Diagnostics>> =
            (0..count).into_par_iter().map(|point| load(point).map(|found| effort(&found))).collect();
        let mut bases: Vec<Base> = Vec::new();
        let mut order: Vec<(usize, usize, f64)> = Vec::new();
        for (point, spec) in specs.into_iter().enumerate() {
            let (spec, effort) = spec.map_err(SweepError::Input)?;
            let base = bases.iter().position(|base| base.spec == spec).unwrap_or_else(|| {
                bases.push(Base::new(spec));
                bases.len() - 1
            });
            *bases[base].left.get_mut() += 1;
            order.push((point, base, effort));
        }
        order.sort_by(|a, b| a.1.cmp(&b.1).then(b.2.total_cmp(&a.2)).then(a.0.cmp(&b.0)));
        Ok(Self { bases, order: order.into_iter().map(|(point, base, _)| (point, base)).collect() })
    }
}

/// The workload before scaling, and a guess of how long the point takes: load over capacity, for the smallest
/// design.
fn effort(scenario: &Scenario) -> (WorkloadSpec, f64) {
    let mut spec = scenario.workload.clone();
    let load: f64 = spec.scale.factors().iter().product();
    spec.scale = Scale::default();
    if matches!(spec.source, WorkloadSource::Trace { .. }) {
        spec.seed = 0;
    }
    let nodes = |design: &crate::scenario::Design| design.cluster.pools.iter().map(|p| p.count).sum::<u32>();
    let smallest = scenario.designs.iter().map(nodes).min().unwrap_or(1).max(1);
    (spec, load / f64::from(smallest))
}

/// Jobs that several points share: read for the first of them, forgotten after the last.
struct Base {
    spec: WorkloadSpec,
    jobs: Mutex<Option<Arc<LoadedWorkload>>>,
    left: AtomicUsize,
}

impl Base {
    fn new(spec: WorkloadSpec) -> Self {
        Self { spec, jobs: Mutex::new(None), left: AtomicUsize::new(0) }
    }

    fn get(&self, strict: bool) -> Result<Arc<LoadedWorkload>, Diagnostics> {
        let mut jobs = self.jobs.lock().expect("readers do not panic");
        if let Some(loaded) = &*jobs {
            return Ok(Arc::clone(loaded));
        }
        let loaded = Arc::new(load_workload(&self.spec, strict)?);
        *jobs = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    /// One of its points is done.
    fn leave(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            *self.jobs.lock().expect("readers do not panic") = None;
        }
    }
}

fn run_point(
    point: usize,
    base: &Base,
    load: &(dyn Fn(usize) -> Result<Scenario, Diagnostics> + Sync),
    around: Around<'_>,
) -> Result<PointResult, SweepError> {
    let scenario = load(point).map_err(SweepError::Input)?;
    let shared = base.get(around.strict).map_err(SweepError::Input)?;
    let scaled = scaled(&shared.workload, &scenario.workload.scale)?;
    let workload = scaled.as_ref().unwrap_or(&shared.workload);
    let seed = scenario.workload.seed;
    let options = || RunOptions { seed, ..RunOptions::default() };
    let ran = run_designs(workload, &scenario.designs, &scenario.policy, &options, around.interrupted);
    base.leave();
    let designs = match ran {
        Ok(results) => Ok(results.into_iter().map(figures).collect()),
        Err(error) if error.is_interruption() => return Err(SweepError::Interrupted),
        Err(error @ (ExperimentError::Run { .. } | ExperimentError::Cost { .. })) => Err(error.to_string()),
    };
    Ok(PointResult { point, designs })
}

/// The scaled jobs; `None` where the factors change nothing.
fn scaled(workload: &Workload, factors: &Scale) -> Result<Option<Workload>, SweepError> {
    if factors.is_identity() {
        return Ok(None);
    }
    let wrong = |problem| {
        let mut problems = Diagnostics::default();
        problems.push(problem);
        SweepError::Input(problems)
    };
    scale(workload.clone(), factors).map(Some).map_err(wrong)
}

fn figures(result: super::DesignResult) -> PointDesign {
    let super::DesignResult { design, summary, cost, .. } = result;
    PointDesign { name: design.name, label: design.label, summary, cost }
}

//! What a design costs over a horizon.
//!
//! A pool is owned or rented ([`terms`]); a design may have lines of a quote beside its pools. [`bill`] turns
//! terms and use into items: hardware, network, storage and spares written off, interest, electricity between
//! idle and busy power, floor space, support, people, licences; or rent with its billing steps and what goes
//! with it. [`cost`] adds them and relates the total to months, to installed, allocated and useful GPU-hours and
//! to jobs; it splits the total into four parts (licences, overhead hours, idle hours, hardware at work) and over
//! the ledger of hours. [`flow`] puts the same items on a calendar: cash flow, net present value, payback.
//!
//! This room knows nothing of catalogues or files (the `scenario` room fills in the terms), and it does
//! not convert currencies. Taxes are not in this model.
//!
//! Invariants: integers, each item rounded once; the total is the sum of the items, and every split sums to the
//! total to the millionth; a figure whose divisor is zero is `None`.

pub mod bill;
pub mod flow;
pub mod terms;

use crate::money::{Currency, Money};
use crate::time::SimDuration;

pub use bill::{Item, Part, PoolBill, US_PER_HOUR, US_PER_MONTH, US_PER_YEAR};
pub use terms::{
    Attached, Billing, Colocation, CostTerms, Energy, Extras, Interruption, Licence, Line, LineKind, Owned,
    Per, Phase, Price, Rented, Share, Staff,
};

/// Everything that a design is billed for.
#[derive(Clone, Debug)]
pub struct DesignBill<'a> {
    /// Its pools.
    pub pools: Vec<PoolBill<'a>>,
    /// Lines of its quote that are about no pool.
    pub lines: &'a [Line],
    /// The horizon.
    pub horizon: SimDuration,
}

/// What a design did with what it cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Delivered work of completed jobs, in GPU-microseconds.
    pub useful_gpu_us: i128,
    /// GPU time that jobs held, in GPU-microseconds.
    pub allocated_gpu_us: i128,
    /// Completed jobs.
    pub jobs: u64,
    /// Device time by what became of it, in any unit; in the order of [`Hours`].
    pub hours: [i128; 3],
    /// Waiting jobs' GPU time and wall time, in microseconds.
    pub waited_gpu_us: i128,
    /// Waiting jobs' wall time, in microseconds.
    pub waited_us: i128,
}

/// Index into [`Use::hours`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hours {
    /// At work.
    Productive,
    /// Held and lost: virtualization, neighbours, communication, slack, storage, repeated work, start-up.
    Overhead,
    /// Free, or held and not used.
    Idle,
}

/// What waiting costs, where the scenario gives a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitPrice {
    /// For an hour that a GPU is waited for.
    pub per_gpu_hour: Option<Money>,
    /// For an hour that a job waits: a person's.
    pub per_job_hour: Option<Money>,
}

/// The total in the four parts that buyers are told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FourParts {
    /// Hypervisors, vGPU software.
    pub licences: Money,
    /// What is paid for hours lost to overheads.
    pub overhead: Money,
    /// What is paid for idle hours.
    pub idle: Money,
    /// What is paid for hours at work.
    pub at_work: Money,
}

/// What a design costs, and what that is for each unit of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostFigures {
    /// Currency of all figures.
    pub currency: Currency,
    /// All pools and lines over the horizon.
    pub total: Money,
    /// The total by what is paid for; parts that are zero are left out.
    pub parts: Vec<(Part, Money)>,
    /// The same by licences, overhead, idle, at work.
    pub four_parts: FourParts,
    /// Total for a month (a twelfth of 365.25 days); `None` without time.
    pub per_month: Option<Money>,
    /// Total / installed GPU-hours; `None` without GPUs or time.
    pub per_gpu_hour: Option<Money>,
    /// Total / allocated GPU-hours; `None` where nothing was.
    pub per_allocated_gpu_hour: Option<Money>,
    /// Total / useful GPU-hours; `None` where nothing useful was done.
    pub per_useful_gpu_hour: Option<Money>,
    /// Total / completed jobs; `None` without one.
    pub per_job: Option<Money>,
    /// Price of waiting, beside the total; `None` where the scenario gives none.
    pub waiting: Option<Money>,
}

/// Why a design has no cost figures although its pools have terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// Pools in different currencies.
    #[error("pools are paid in {0} and {1}, and nothing is converted")]
    MixedCurrencies(Currency, Currency),
    /// Prices, nodes and horizon multiply beyond what integers hold.
    #[error("the cost is beyond the range of numbers")]
    OutOfRange,
}

impl DesignBill<'_> {
    fn currencies(&self) -> impl Iterator<Item = Currency> {
        let pools = self.pools.iter().map(|pool| pool.terms.currency());
        pools.chain(self.lines.iter().map(|line| line.currency))
    }

    /// Every item with the phase of its pool or line.
    fn items(&self) -> Option<Vec<(Phase, Item)>> {
        let mut all = Vec::new();
        for pool in &self.pools {
            all.extend(pool.items()?.into_iter().map(|item| (pool.terms.phase(), item)));
        }
        for line in self.lines {
            all.extend(line.items(self.horizon)?.into_iter().map(|item| (line.phase, item)));
        }
        Some(all)
    }
}

/// What a design costs, related to what it did. `Ok(None)` for no pools.
///
/// # Errors
/// [`CostError`] where pools have different currencies or the total is out of range.
pub fn cost(
    bill: &DesignBill<'_>,
    use_of: &Use,
    waiting: WaitPrice,
) -> Result<Option<CostFigures>, CostError> {
    let Some(currency) = bill.currencies().next() else { return Ok(None) };
    if let Some(other) = bill.currencies().find(|other| *other != currency) {
        return Err(CostError::MixedCurrencies(currency, other));
    }
    let figures = || {
        let items = bill.items()?;
        let of = |part: Part| items.iter().filter(|(_, i)| i.part == part).map(|(_, i)| i.amount).sum();
        let parts: Vec<(Part, Money)> = Part::ALL.map(|part| (part, of(part))).to_vec();
        let parts: Vec<_> = parts.into_iter().filter(|(_, amount)| *amount != Money::ZERO).collect();
        let total: Money = parts.iter().map(|(_, amount)| *amount).sum();
        let installed_gpu_us: i128 = bill.pools.iter().map(PoolBill::installed_gpu_us).sum();
        let per_hour = |gpu_us: i128| total.times(&[(US_PER_HOUR, gpu_us)]);
        let licences = of(Part::Licences);
        let [at_work, overhead, idle] = use_of.hours;
        let split = (total - licences).split(&[at_work, overhead, idle]);
        let priced = |price: Option<Money>, us: i128| match price {
            None => Some(None),
            Some(price) => price.times(&[(us, US_PER_HOUR)]).map(Some),
        };
        let by_gpu = priced(waiting.per_gpu_hour, use_of.waited_gpu_us)?;
        let by_job = priced(waiting.per_job_hour, use_of.waited_us)?;
        Some(CostFigures {
            currency,
            total,
            four_parts: FourParts { licences, overhead: split[1], idle: split[2], at_work: split[0] },
            parts,
            per_month: total.times(&[(US_PER_MONTH, i128::from(bill.horizon.micros()))]),
            per_gpu_hour: per_hour(installed_gpu_us),
            per_allocated_gpu_hour: per_hour(use_of.allocated_gpu_us),
            per_useful_gpu_hour: per_hour(use_of.useful_gpu_us),
            per_job: total.times(&[(1, i128::from(use_of.jobs))]),
            waiting: by_gpu.into_iter().chain(by_job).reduce(|a, b| a + b),
        })
    };
    figures().map(Some).ok_or(CostError::OutOfRange)
}

#[cfg(test)]
mod tests;

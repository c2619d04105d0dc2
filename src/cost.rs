//! What a design costs over a horizon.
//!
//! A pool is owned or rented. Owned: the purchase price spread evenly over its lifetime, and electricity.
//! Rented: a price per GPU-hour or node-hour for all the time that the pool is installed, used or not.
//! [`cost`] adds the pools of a design and relates the total to installed GPU-hours, useful GPU-hours
//! and jobs.
//!
//! Electricity is billed at the node's busy power around the clock: an upper bound, idle nodes draw less.
//! Financing, network, storage, support, staff, floor space, licences and billing granularity are not in
//! this model.
//!
//! This room knows nothing of catalogues or files (the `scenario` room fills in the terms), and it does
//! not convert currencies.
//!
//! Invariants: integers, each division rounded once; a figure whose divisor is zero is `None`.

use crate::money::{Currency, Money};
use crate::time::SimDuration;

/// Microseconds in one hour.
const US_PER_HOUR: i128 = 3_600_000_000;

/// How one pool is paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CostTerms {
    /// Bought.
    Owned(Owned),
    /// Rented.
    Rented(Rented),
}

/// A pool that is bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Currency of all its amounts.
    pub currency: Currency,
    /// Purchase price.
    pub price: Price,
    /// Time over which the price is spread evenly; above zero.
    pub lifetime: SimDuration,
    /// Electricity; `None` = not counted.
    pub energy: Option<Energy>,
}

/// A pool that is rented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rented {
    /// Currency of the price.
    pub currency: Currency,
    /// Price of an hour.
    pub per_hour: Price,
}

/// An amount for each node or each GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// What is counted.
    pub per: Per,
    /// The amount for one.
    pub amount: Money,
}

/// What a price counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Nodes.
    Node,
    /// GPUs.
    Gpu,
}

/// What the electricity of a node costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Energy {
    /// Power of one busy node at its plug.
    pub watts_per_node: u32,
    /// Power drawn by the site for each watt at the plug (power usage effectiveness), in thousandths.
    pub pue_milli: u32,
    /// Price of one kWh.
    pub per_kwh: Money,
}

impl CostTerms {
    /// Currency of all its amounts.
    #[must_use]
    pub fn currency(&self) -> Currency {
        match self {
            Self::Owned(owned) => owned.currency,
            Self::Rented(rented) => rented.currency,
        }
    }
}

/// One pool's terms and how much of it was installed for how long.
#[derive(Clone, Copy, Debug)]
pub struct PoolBill<'a> {
    /// How it is paid for.
    pub terms: &'a CostTerms,
    /// Installed nodes integrated over time, in node-microseconds.
    pub installed_node_us: i128,
    /// GPUs on each node.
    pub gpus_per_node: u32,
}

impl<'a> PoolBill<'a> {
    /// The bill of `nodes` nodes that are installed for the whole horizon.
    #[must_use]
    pub fn installed(terms: &'a CostTerms, nodes: u32, gpus_per_node: u32, horizon: SimDuration) -> Self {
        let installed_node_us = i128::from(nodes) * i128::from(horizon.micros());
        Self { terms, installed_node_us, gpus_per_node }
    }

    /// Installed GPUs integrated over time, in GPU-microseconds.
    #[must_use]
    pub fn installed_gpu_us(&self) -> i128 {
        self.installed_node_us * i128::from(self.gpus_per_node)
    }

    /// What the pool costs; `None` beyond the range of integers.
    fn total(&self) -> Option<Money> {
        let counted = |price: &Price| match price.per {
            Per::Node => self.installed_node_us,
            Per::Gpu => self.installed_gpu_us(),
        };
        match self.terms {
            CostTerms::Rented(rented) => {
                rented.per_hour.amount.scaled(counted(&rented.per_hour), US_PER_HOUR)
            }
            CostTerms::Owned(owned) => {
                let lifetime_us = i128::from(owned.lifetime.micros());
                let hardware = owned.price.amount.scaled(counted(&owned.price), lifetime_us)?;
                let energy = match &owned.energy {
                    None => Money::ZERO,
                    Some(energy) => energy.cost(self.installed_node_us)?,
                };
                Some(hardware + energy)
            }
        }
    }
}

impl Energy {
    /// Electricity of `node_us` node-microseconds; `None` beyond the range of integers.
    fn cost(&self, node_us: i128) -> Option<Money> {
        // W x thousandths of PUE x us, over 1000 W/kW x 1000 thousandths x us/h, is kWh.
        let numerator =
            i128::from(self.watts_per_node).checked_mul(i128::from(self.pue_milli))?.checked_mul(node_us)?;
        self.per_kwh.scaled(numerator, 1000 * 1000 * US_PER_HOUR)
    }
}

/// What a design costs, and what that is for each unit of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostFigures {
    /// Currency of all figures.
    pub currency: Currency,
    /// All pools over the horizon.
    pub total: Money,
    /// Total / installed GPU-hours; `None` without GPUs or time.
    pub per_gpu_hour: Option<Money>,
    /// Total / useful GPU-hours; `None` where nothing useful was done.
    pub per_useful_gpu_hour: Option<Money>,
    /// Total / completed jobs; `None` without one.
    pub per_job: Option<Money>,
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

/// What a design costs: the sum over `pools`, related to `useful_gpu_us` (GPU-microseconds of delivered
/// work) and `jobs` (completed ones). `Ok(None)` for no pools.
///
/// # Errors
/// [`CostError`] where pools have different currencies or the total is out of range.
pub fn cost(
    pools: &[PoolBill<'_>],
    useful_gpu_us: i128,
    jobs: u64,
) -> Result<Option<CostFigures>, CostError> {
    let Some(first) = pools.first() else { return Ok(None) };
    let currency = first.terms.currency();
    if let Some(other) = pools.iter().map(|pool| pool.terms.currency()).find(|other| *other != currency) {
        return Err(CostError::MixedCurrencies(currency, other));
    }
    let total: Money =
        pools.iter().map(PoolBill::total).sum::<Option<Money>>().ok_or(CostError::OutOfRange)?;
    let installed_gpu_us: i128 = pools.iter().map(PoolBill::installed_gpu_us).sum();
    let per_hour = |gpu_us: i128| total.scaled(US_PER_HOUR, gpu_us);
    Ok(Some(CostFigures {
        currency,
        total,
        per_gpu_hour: per_hour(installed_gpu_us),
        per_useful_gpu_hour: per_hour(useful_gpu_us),
        per_job: total.scaled(1, i128::from(jobs)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(units: f64) -> Money {
        Money::from_decimal(units).unwrap()
    }

    fn hours(h: i64) -> SimDuration {
        SimDuration::from_s(h * 3600)
    }

    fn rented(per: Per, amount: f64, currency: Currency) -> CostTerms {
        CostTerms::Rented(Rented { currency, per_hour: Price { per, amount: money(amount) } })
    }

    fn owned(price: Price, energy: Option<Energy>) -> CostTerms {
        CostTerms::Owned(Owned { currency: Currency::USD, price, lifetime: hours(1000), energy })
    }

    #[test]
    fn rent_is_paid_for_all_installed_hours() {
        let terms = rented(Per::Gpu, 2.5, Currency::USD);
        let bill = PoolBill::installed(&terms, 2, 8, hours(10));
        let figures = cost(&[bill], 80 * US_PER_HOUR, 4).unwrap().unwrap();
        assert_eq!(figures.total, money(400.0), "2 nodes x 8 GPUs x 10 h x 2.50");
        assert_eq!(figures.per_gpu_hour, Some(money(2.5)));
        assert_eq!(figures.per_useful_gpu_hour, Some(money(5.0)), "half of the 160 GPU-hours was useful");
        assert_eq!(figures.per_job, Some(money(100.0)));
    }

    #[test]
    fn owned_spreads_the_price_over_the_lifetime_and_adds_electricity() {
        let energy = Energy { watts_per_node: 8000, pue_milli: 1500, per_kwh: money(0.1) };
        let terms = owned(Price { per: Per::Node, amount: money(100_000.0) }, Some(energy));
        let figures = cost(&[PoolBill::installed(&terms, 3, 8, hours(10))], 0, 0).unwrap().unwrap();
        // 3 x 100000 x 10/1000 = 3000; 3 x 8 kW x 1.5 x 10 h x 0.1 = 36
        assert_eq!(figures.total, money(3036.0));
        assert_eq!(figures.per_useful_gpu_hour, None);
        assert_eq!(figures.per_job, None);
    }

    #[test]
    fn owned_per_gpu_counts_gpus() {
        let terms = owned(Price { per: Per::Gpu, amount: money(1000.0) }, None);
        let figures = cost(&[PoolBill::installed(&terms, 2, 4, hours(1000))], 0, 0).unwrap().unwrap();
        assert_eq!(figures.total, money(8000.0));
    }

    #[test]
    fn undefined_figures_are_none() {
        let terms = rented(Per::Node, 1.0, Currency::USD);
        let no_gpus = cost(&[PoolBill::installed(&terms, 2, 0, hours(1))], 0, 0).unwrap().unwrap();
        assert_eq!((no_gpus.total, no_gpus.per_gpu_hour), (money(2.0), None));
        let no_time = cost(&[PoolBill::installed(&terms, 2, 8, hours(0))], 0, 0).unwrap().unwrap();
        assert_eq!((no_time.total, no_time.per_gpu_hour), (Money::ZERO, None));
        assert_eq!(cost(&[], 0, 0), Ok(None));
    }

    #[test]
    fn currencies_do_not_mix() {
        let euro = Currency::from_code("EUR").unwrap();
        let (a, b) = (rented(Per::Node, 1.0, Currency::USD), rented(Per::Node, 1.0, euro));
        let bills = [PoolBill::installed(&a, 1, 0, hours(1)), PoolBill::installed(&b, 1, 0, hours(1))];
        assert_eq!(cost(&bills, 0, 0), Err(CostError::MixedCurrencies(Currency::USD, euro)));
    }

    #[test]
    fn large_sites_and_long_horizons_stay_in_range() {
        let energy = Energy { watts_per_node: 120_000, pue_milli: 2000, per_kwh: money(1.0) };
        let terms = CostTerms::Owned(Owned {
            currency: Currency::USD,
            price: Price { per: Per::Node, amount: money(4e6) },
            lifetime: hours(5 * 8766),
            energy: Some(energy),
        });
        let bill = PoolBill::installed(&terms, 100_000, 72, hours(100 * 8766));
        assert!(cost(&[bill], 1, 1).is_ok());
    }
}

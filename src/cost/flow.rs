//! The items of a bill on a calendar of months: when money leaves, what it is worth today, when it pays back.
//!
//! Running items go on as in the horizon that was simulated, from the month of delivery. A purchase is paid in
//! its month of payment and again whenever its lifetime ends within the plan; what is left of it at the end
//! (straight line from price to residual) comes back then. A purchase on credit is the same money: its interest
//! is a running item. What is committed by a term is owed to the end of the term, also beyond the plan.
//!
//! Invariants: the years sum to the months; a net present value at rate zero is the sum of the flow.

use super::bill::{Capital, Item, PoolBill, US_PER_MONTH};
use super::terms::{CostTerms, LineKind, Phase};
use super::{DesignBill, Share};
use crate::money::Money;
use crate::time::SimDuration;

/// Parts of one in a discount factor.
const PARTS: f64 = 1e12;

/// Money that leaves, month by month; the last month has what comes back at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CashFlow {
    /// By month from 0; negative where more comes back than leaves.
    pub months: Vec<Money>,
    /// Of that, what comes back at the end.
    pub returned: Money,
}

impl CashFlow {
    /// What is paid in all, less what comes back.
    #[must_use]
    pub fn total(&self) -> Money {
        self.months.iter().copied().sum()
    }

    /// The same by year of twelve months; the last may be shorter.
    #[must_use]
    pub fn years(&self) -> Vec<Money> {
        self.months.chunks(12).map(|months| months.iter().copied().sum()).collect()
    }

    /// What the flow is worth at its start, at a rate per year; `None` beyond the range of integers.
    #[must_use]
    pub fn present_value(&self, rate: Share) -> Option<Money> {
        let monthly = libm::pow(1.0 + rate.ppm() as f64 / 1e6, 1.0 / 12.0);
        let mut factor = 1.0f64;
        let mut sum = Money::ZERO;
        for month in &self.months {
            sum = sum + month.times(&[((factor * PARTS).round() as i128, PARTS as i128)])?;
            factor /= monthly;
        }
        Some(sum)
    }

    /// The first month at whose end less has been paid in all than by `other`, after more had been; `Some(0)`
    /// where never more was paid, `None` where it does not happen.
    #[must_use]
    pub fn payback(&self, other: &Self) -> Option<u32> {
        let mut balance = Money::ZERO;
        let mut last_above = None;
        for (at, (ours, theirs)) in self.months.iter().zip(&other.months).enumerate() {
            balance = balance + *ours - *theirs;
            if balance > Money::ZERO {
                last_above = Some(at as u32);
            }
        }
        match last_above {
            None => Some(0),
            Some(month) if usize::try_from(month + 1).is_ok_and(|next| next < self.months.len()) => {
                Some(month + 1)
            }
            Some(_) => None,
        }
    }
}

/// The cash flow of a design over `months`, with `once` paid in month 0 (a migration); `None` beyond the range
/// of integers or where the horizon of the bill has no length.
#[must_use]
pub fn cash_flow(bill: &DesignBill<'_>, months: u32, once: Money) -> Option<CashFlow> {
    let mut flow = CashFlow { months: vec![Money::ZERO; months as usize], returned: Money::ZERO };
    if let Some(first) = flow.months.first_mut() {
        *first = once;
    }
    let month = SimDuration::from_micros(i64::try_from(US_PER_MONTH).ok()?);
    let horizon = i128::from(bill.horizon.micros());
    for pool in &bill.pools {
        let committed = match pool.terms {
            CostTerms::Rented(rented) => rented.committed_months,
            CostTerms::Owned(_) => 0,
        };
        // The bill of one month of the same use: installed nodes go on, so no step is rounded up.
        let in_a_month = |us: i128| us.checked_mul(US_PER_MONTH)?.checked_div(horizon);
        let used_node_us = match pool.used_node_us {
            None => i128::from(pool.nodes) * US_PER_MONTH,
            Some(used) => in_a_month(used)?,
        };
        let on_demand_node_us = in_a_month(pool.on_demand_node_us)?;
        let used_node_us = Some(used_node_us);
        let there_node_us = match pool.there_node_us {
            None => None,
            Some(there) => Some(in_a_month(there)?),
        };
        let monthly = PoolBill { horizon: month, used_node_us, there_node_us, on_demand_node_us, ..*pool };
        for item in monthly.items()? {
            flow.add(&item, pool.terms.phase(), committed, 0)?;
        }
    }
    for line in bill.lines {
        let term = if matches!(line.kind, LineKind::Capital { .. }) { 0 } else { line.term_months };
        for item in line.items(month)? {
            flow.add(&item, line.phase, 0, term)?;
        }
    }
    Some(flow)
}

impl CashFlow {
    fn add(&mut self, item: &Item, phase: Phase, committed: u32, term: u32) -> Option<()> {
        match &item.capital {
            Some(capital) => self.buy(capital, phase),
            None => {
                let monthly = item.amount;
                let months = self.months.len();
                let from = phase.delivery_month as usize;
                let until = if term > 0 { months.min(from + term as usize) } else { months };
                for month in self.months.get_mut(from..until).into_iter().flatten() {
                    *month = *month + monthly;
                }
                if let (true, Some(last)) = (committed > 0 && from < months, self.months.last_mut()) {
                    let owed =
                        ((months - from) as u32).next_multiple_of(committed) as usize - (months - from);
                    *last = *last + monthly.times(&[(owed as i128, 1)])?;
                }
                Some(())
            }
        }
    }

    /// Buys, buys again when the lifetime is over, and gives back what is left at the end.
    fn buy(&mut self, capital: &Capital, phase: Phase) -> Option<()> {
        let end = self.months.len() as i128;
        let lifetime = i128::from(capital.lifetime.micros());
        let mut cycle = 0i128;
        loop {
            // The month in which this one begins its life, and is paid.
            let begins = i128::from(phase.delivery_month) + cycle * lifetime / US_PER_MONTH;
            let paid = if cycle == 0 { i128::from(phase.payment_month) } else { begins };
            let Some(month) = self.months.get_mut(usize::try_from(paid).ok()?) else { return Some(()) };
            *month = *month + capital.price;
            let used = (end - begins).clamp(0, end) * US_PER_MONTH;
            let over = used >= lifetime;
            let lost = if over {
                capital.price - capital.residual
            } else {
                (capital.price - capital.residual).times(&[(used, lifetime)])?
            };
            let back = capital.price - lost;
            self.returned = self.returned + back;
            if let Some(last) = self.months.last_mut() {
                *last = *last - back;
            }
            if !over || used == lifetime {
                return Some(());
            }
            cycle += 1;
        }
    }
}

//! Money over the plan: when it leaves, what it is worth today, when a design pays back.

use serde::Serialize;

use crate::cost::flow::{CashFlow, cash_flow};
use crate::experiment::DesignResult;
use crate::experiment::pricing::bill;
use crate::scenario::FinanceSpec;

/// The money of one design over the plan, in units of the currency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesignFlow {
    /// The design.
    pub design: String,
    /// Currency.
    pub currency: String,
    /// What is paid in each year; what comes back at the end is in the last.
    pub years: Vec<f64>,
    /// Worth at the end of what was bought.
    pub returned: f64,
    /// Sum over the plan.
    pub total: f64,
    /// Present value of it at the plan's rate.
    pub present_value: Option<f64>,
    /// Present value less that of the baseline; `None` for the baseline.
    pub present_value_against_baseline: Option<f64>,
    /// Months after which less has been paid than for the baseline (0 = from the start); `None` where that does not
    /// happen within the plan, and for the baseline.
    pub payback_months: Option<u32>,
}

/// The flows of all designs; `None` where one has no costs.
pub(super) fn flows(
    finance: &FinanceSpec,
    baseline: &str,
    results: &[DesignResult],
) -> Option<Vec<DesignFlow>> {
    let flows: Vec<CashFlow> = results
        .iter()
        .map(|result| {
            let cost = result.cost.as_ref()?;
            cost.per_month?;
            let bill = bill(&result.design, &result.outcome)?;
            cash_flow(&bill, finance.months, result.design.money.migration)
        })
        .collect::<Option<_>>()?;
    let base = results.iter().position(|result| result.design.name == baseline);
    let worth = |at: usize| flows[at].present_value(finance.rate);
    let rows = results.iter().enumerate().map(|(at, result)| {
        let rival = base.filter(|base| *base != at);
        let against = rival.and_then(|base| Some(worth(at)? - worth(base)?));
        DesignFlow {
            design: result.design.name.clone(),
            currency: result.cost.as_ref().map_or_else(String::new, |cost| cost.currency.to_string()),
            years: flows[at].years().iter().map(|year| year.as_units()).collect(),
            returned: flows[at].returned.as_units(),
            total: flows[at].total().as_units(),
            present_value: worth(at).map(|money| money.as_units()),
            present_value_against_baseline: against.map(|money| money.as_units()),
            payback_months: rival.and_then(|base| flows[at].payback(&flows[base])),
        }
    });
    Some(rows.collect())
}

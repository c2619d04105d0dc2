//! What the money goes to, design by design.

use crate::cost::{self, CostTerms, Owned, PoolBill};
use crate::experiment::DesignResult;

/// The kinds of cost in the model, in the order of charts.
pub(super) const KINDS: [&str; 3] = ["Hardware", "Electricity", "Rent"];

/// Cost of a design by kind, in units of its currency; `None` without prices.
pub(super) fn by_kind(result: &DesignResult) -> Option<[f64; 3]> {
    result.cost.as_ref()?;
    let horizon = result.outcome.last_instant.saturating_since(result.outcome.first_submit);
    let mut kinds = [0.0; 3];
    for (terms, pool) in result.design.pools.iter().zip(&result.design.cluster.pools) {
        let terms = terms.cost.as_ref()?;
        let total = |terms: &CostTerms| {
            let bill = PoolBill::installed(terms, pool.count, pool.node.capacity.gpus, horizon);
            cost::cost(&[bill], 0, 0).ok().flatten().map(|figures| figures.total.as_units())
        };
        let all = total(terms)?;
        match terms {
            CostTerms::Rented(_) => kinds[2] += all,
            CostTerms::Owned(owned) => {
                let hardware = total(&CostTerms::Owned(Owned { energy: None, ..owned.clone() }))?;
                kinds[0] += hardware;
                kinds[1] += all - hardware;
            }
        }
    }
    Some(kinds)
}

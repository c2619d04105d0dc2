//! What the money goes to, design by design.

use crate::cost::Part;
use crate::experiment::DesignResult;

/// Name and meaning of a part of the cost, for charts and tables.
pub(in crate::report) fn words(part: Part) -> (&'static str, &'static str) {
    match part {
        Part::Hardware => {
            ("Hardware", "Price of the nodes, written off evenly to what they are worth at the end.")
        }
        Part::Network => ("Network", "Switches, cables and ports, written off."),
        Part::Storage => {
            ("Storage", "Shared storage, written off; of rented pools storage, egress, management.")
        }
        Part::Spares => ("Spares", "Nodes bought to stand by, written off."),
        Part::Financing => ("Financing", "Interest on what is not written off yet."),
        Part::Rent => ("Rent", "Price per hour of what is billed, less discounts."),
        Part::Electricity => ("Electricity", "Idle power, and up to busy power with the use; x PUE x price."),
        Part::Colocation => ("Colocation", "Floor space and cooling by reserved power."),
        Part::Support => ("Support", "The makers' support contracts."),
        Part::Staff => ("Staff", "People who run it."),
        Part::Licences => ("Licences", "Hypervisors, vGPU software and the like."),
        Part::Services => ("Services", "Other lines of the quote."),
    }
}

/// Cost of a design by part, in units of its currency and the order of [`Part::ALL`]; `None` without prices.
pub(super) fn by_kind(result: &DesignResult) -> Option<Vec<f64>> {
    let cost = result.cost.as_ref()?;
    let of = |part: &Part| cost.parts.iter().find(|(known, _)| known == part);
    Some(Part::ALL.iter().map(|part| of(part).map_or(0.0, |(_, amount)| amount.as_units())).collect())
}

//! The verdict: which designs meet the scenario's objective, and which of them is the best.
//!
//! `choose` is the rule, over nothing but figures: a design meets the objective if every condition holds (a figure
//! that is undefined meets none); of those that do, the one with the smallest decisive figure wins, the first of
//! equals. [`judge`] applies it to a comparison and adds what its replicas say: a condition is *sure* only if it holds
//! over the whole interval, and a rival whose paired difference to the winner has an interval around zero is not
//! distinguishable from it (corrected for the number of rivals). Without replicas nothing is claimed to be sure.

use serde::Serialize;

use super::DesignResult;
use super::replicas::{Figures, Variation, Verdict, estimate, figures, verdict};
use crate::scenario::{CompareSpec, Condition, ObjectiveSpec};

/// The verdict on a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The conditions, as written.
    pub require: Vec<String>,
    /// The decisive figure.
    pub minimize: String,
    /// Design by design, in declared order.
    pub designs: Vec<Judged>,
    /// Name of the best design that meets the objective.
    pub choice: Option<String>,
    /// Designs that meet it and are not distinguishable from the choice; `None` without replicas.
    pub not_distinguishable: Option<Vec<String>>,
}

/// One design under the objective.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Its name.
    pub design: String,
    /// Whether it meets every condition.
    pub meets: bool,
    /// Condition by condition.
    pub conditions: Vec<Met>,
    /// The decisive figure.
    pub decisive: Option<f64>,
}

/// One condition on one design.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Met {
    /// The figure.
    pub figure: String,
    /// Its value; `None` where it is undefined.
    pub value: Option<f64>,
    /// The bound.
    pub bound: f64,
    /// Whether it holds.
    pub holds: bool,
    /// Whether the interval over the replicas is wholly on one side of the bound; `None` without one.
    pub sure: Option<bool>,
}

impl Judgement {
    /// The best design that meets the objective.
    #[must_use]
    pub fn chosen(&self) -> Option<&Judged> {
        self.designs.iter().find(|judged| Some(&judged.design) == self.choice.as_ref())
    }
}

/// Whether a design with these figures meets the objective.
pub(super) fn meets(figures: &Figures, require: &[Condition]) -> bool {
    require.iter().all(|condition| {
        figures.get(&condition.figure).is_some_and(|value| condition.bound.holds(*value, condition.value))
    })
}

/// The best design that meets the objective, by its place.
pub(super) fn choose(designs: &[Figures], objective: &ObjectiveSpec) -> Option<usize> {
    let decisive = |at: usize| designs[at].get(&objective.minimize).copied();
    let met = (0..designs.len()).filter(|at| meets(&designs[*at], &objective.require));
    let known = met.filter_map(|at| Some((at, decisive(at)?)));
    known.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0))).map(|(at, _)| at)
}

/// Figures of a design as they are shown: of replicas with several seeds their estimates, else those of the run.
pub(super) fn shown(result: &DesignResult) -> Figures {
    let mut found = figures(&result.summary, result.cost.as_ref());
    let seeds = result.uncertainty.as_ref().filter(|found| found.variation == Variation::Seeds);
    for (key, estimate) in seeds.iter().flat_map(|seeds| &seeds.figures) {
        found.insert(key.clone(), estimate.value);
    }
    found
}

/// Judges a comparison.
#[must_use]
pub fn judge(objective: &ObjectiveSpec, compare: &CompareSpec, results: &[DesignResult]) -> Judgement {
    let all: Vec<Figures> = results.iter().map(shown).collect();
    let choice = choose(&all, objective);
    let designs: Vec<Judged> = results
        .iter()
        .zip(&all)
        .map(|(result, figures)| Judged {
            design: result.design.name.clone(),
            meets: meets(figures, &objective.require),
            conditions: objective.require.iter().map(|c| met(c, figures, result)).collect(),
            decisive: figures.get(&objective.minimize).copied(),
        })
        .collect();
    let rivals = || (0..results.len()).filter(|at| Some(*at) != choice && designs[*at].meets);
    let alike = |best: usize| {
        let count = rivals().count().max(1);
        let level = 1.0 - (1.0 - compare.confidence) / count as f64;
        let names = rivals()
            .filter(|at| is_alike(&results[best], &results[*at], &all, (best, *at), objective, level));
        names.map(|at| results[at].design.name.clone()).collect()
    };
    let has_replicas = results.iter().all(|result| result.uncertainty.is_some());
    Judgement {
        require: objective.require.iter().map(|condition| condition.text.clone()).collect(),
        minimize: objective.minimize.clone(),
        choice: choice.map(|at| results[at].design.name.clone()),
        not_distinguishable: choice.filter(|_| has_replicas && !results.is_empty()).map(alike),
        designs,
    }
}

fn met(condition: &Condition, figures: &Figures, result: &DesignResult) -> Met {
    let value = figures.get(&condition.figure).copied();
    let holds = |value: f64| condition.bound.holds(value, condition.value);
    let bounds = result.uncertainty.as_ref().and_then(|found| {
        let estimate = found.figures.get(&condition.figure)?;
        Some((estimate.low?, estimate.high?))
    });
    Met {
        figure: condition.figure.clone(),
        value,
        bound: condition.value,
        holds: value.is_some_and(holds),
        sure: bounds.map(|(low, high)| holds(low) == holds(high)),
    }
}

/// Whether the replicas do not tell the decisive figures of two designs apart.
fn is_alike(
    best: &DesignResult,
    rival: &DesignResult,
    all: &[Figures],
    (best_at, rival_at): (usize, usize),
    objective: &ObjectiveSpec,
    level: f64,
) -> bool {
    let (Some(ours), Some(theirs)) = (&best.uncertainty, &rival.uncertainty) else { return true };
    let pairs: Option<Vec<f64>> =
        ours.decisive.iter().zip(&theirs.decisive).map(|(a, b)| Some((*b)? - (*a)?)).collect();
    let key = &objective.minimize;
    let observed = all[rival_at].get(key).zip(all[best_at].get(key)).map(|(theirs, ours)| theirs - ours);
    let (Some(pairs), Some(observed)) = (pairs, observed) else { return true };
    if observed != 0.0 && pairs.iter().all(|pair| *pair == observed) {
        return false;
    }
    let found = estimate(key, observed, &pairs, ours.variation, level);
    found.is_none_or(|found| verdict(&found, 0.0) == Verdict::NotDistinguishable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Bound;

    fn design(wait: Option<f64>, cost: Option<f64>) -> Figures {
        let rows = [("wait_s.p95", wait), ("cost.total", cost)];
        rows.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }

    fn objective(bound: Bound, value: f64) -> ObjectiveSpec {
        let (text, figure) = (String::new(), "wait_s.p95".to_owned());
        ObjectiveSpec {
            require: vec![Condition { text, figure, bound, value }],
            minimize: "cost.total".to_owned(),
        }
    }

    #[test]
    fn the_cheapest_that_meets_the_objective_is_chosen() {
        let designs = [
            design(Some(5000.0), Some(10.0)),
            design(Some(3600.0), Some(30.0)),
            design(Some(1000.0), Some(20.0)),
            design(Some(900.0), Some(20.0)),
        ];
        assert_eq!(choose(&designs, &objective(Bound::AtMost, 3600.0)), Some(2), "the first of equals");
        assert_eq!(choose(&designs, &objective(Bound::Below, 950.0)), Some(3));
        assert_eq!(choose(&designs, &objective(Bound::AtMost, 10_000.0)), Some(0));
        assert_eq!(choose(&designs, &objective(Bound::AtMost, 1.0)), None);
    }

    #[test]
    fn what_is_undefined_meets_nothing_and_decides_nothing() {
        let designs = [design(None, Some(1.0)), design(Some(1.0), None), design(Some(2.0), Some(9.0))];
        assert_eq!(choose(&designs, &objective(Bound::AtMost, 10.0)), Some(2));
    }
}

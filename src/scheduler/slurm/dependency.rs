//! Dependencies that wait for each other.

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use rustc_hash::FxBuildHasher;

use super::job::JobSpec;

/// Submissions that wait for each other in a circle, ascending; none of them can ever start.
#[must_use]
pub fn dependency_cycle(specs: &[JobSpec]) -> Option<Vec<usize>> {
    let mut waits = DiGraphMap::<usize, (), FxBuildHasher>::default();
    for (at, spec) in specs.iter().enumerate() {
        for other in spec.after.iter().flat_map(|d| &d.on) {
            if *other == at {
                return Some(vec![at]);
            }
            waits.add_edge(at, *other, ());
        }
    }
    let mut cycle = tarjan_scc(&waits).into_iter().find(|circle| circle.len() > 1)?;
    cycle.sort_unstable();
    Some(cycle)
}

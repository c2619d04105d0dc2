//! Which layouts serve the waiting jobs best.
//!
//! A pure function of what is wanted and what is there. Cards are looked at one after the other; each gets the
//! layout, among all that keep what is in use there, whose free instances serve most of what is still wanted:
//! first the most compute slices served, then the fewest instances changed, then the most instances left for
//! others, then the first in lexical order. A card that serves no more than it does now keeps its layout.

use std::cmp::Reverse;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::cluster::mig::{GpuModel, Layout, layouts};

/// A card as the planner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardPlan {
    /// Instances that stay: busy, kept or being made.
    pub fixed: Layout,
    /// All its instances.
    pub now: Layout,
}

/// Instances by profile of the GPU at hand.
pub type Counts = SmallVec<[u32; 16]>;

/// A layout with its instances counted.
#[derive(Clone, Debug)]
struct Candidate {
    layout: Layout,
    counts: Counts,
}

/// All layouts of a GPU that a planner chooses from.
#[derive(Clone, Debug)]
pub struct Planner {
    model: &'static GpuModel,
    all: Vec<Candidate>,
    /// Compute slices of each profile.
    slices: Vec<u32>,
    /// Candidates that keep a layout, found once.
    keeping: FxHashMap<Layout, Rc<[u32]>>,
}

impl Planner {
    /// The layouts of the plain profiles.
    #[must_use]
    pub fn new(model: &'static GpuModel) -> Self {
        let candidate = |layout: Layout| Candidate { counts: counts(model, &layout), layout };
        let all = layouts(model, &model.plain()).into_iter().map(candidate).collect();
        let slices = model.profiles().map(|(_, profile)| u32::from(profile.compute_slices)).collect();
        Self { model, all, slices, keeping: FxHashMap::default() }
    }

    /// Nothing wanted of any profile.
    #[must_use]
    pub fn none(&self) -> Counts {
        Counts::from_elem(0, self.model.profiles().count())
    }

    /// A new layout for each card that should change, where `wanted` instances are waited for.
    pub fn plan(&mut self, wanted: &Counts, cards: impl Iterator<Item = CardPlan>) -> Vec<Option<Layout>> {
        let mut left = wanted.clone();
        let mut plan = Vec::new();
        for card in cards {
            if left.iter().all(|count| *count == 0) {
                plan.push(None);
                continue;
            }
            let fixed = counts(self.model, &card.fixed);
            let now = counts(self.model, &card.now);
            let kept = self.served(&now, &fixed, &left);
            let mut best: Option<(Merit, u32)> = None;
            for at in self.keeping(&card.fixed).iter().copied() {
                let candidate = &self.all[at as usize];
                let served = self.served(&candidate.counts, &fixed, &left);
                if served <= kept || best.as_ref().is_some_and(|(merit, _)| Reverse(served) > merit.0) {
                    continue;
                }
                let changed = changes(&card.now, &candidate.layout);
                let more = Reverse(candidate.layout.placements().len());
                let merit = (Reverse(served), changed, more);
                if best.as_ref().is_none_or(|(least, _)| merit < *least) {
                    best = Some((merit, at));
                }
            }
            let chosen = best.map(|(_, at)| &self.all[at as usize]);
            let gives = chosen.map_or(&now, |candidate| &candidate.counts);
            for (left, (gives, fixed)) in left.iter_mut().zip(gives.iter().zip(&fixed)) {
                *left = left.saturating_sub(gives - fixed);
            }
            plan.push(chosen.map(|candidate| candidate.layout.clone()));
        }
        plan
    }

    /// The candidates that keep `fixed`, in lexical order.
    fn keeping(&mut self, fixed: &Layout) -> Rc<[u32]> {
        if let Some(known) = self.keeping.get(fixed) {
            return Rc::clone(known);
        }
        let keeps = |layout: &Layout| fixed.placements().iter().all(|p| layout.placements().contains(p));
        let mut found: Vec<u32> =
            (0u32..).zip(&self.all).filter(|(_, c)| keeps(&c.layout)).map(|(at, _)| at).collect();
        found.sort_by(|a, b| self.all[*a as usize].layout.cmp(&self.all[*b as usize].layout));
        let found: Rc<[u32]> = found.into();
        self.keeping.insert(fixed.clone(), Rc::clone(&found));
        found
    }

    /// Compute slices of what a layout serves of what is wanted, beside what is fixed in it.
    fn served(&self, layout: &Counts, fixed: &Counts, wanted: &Counts) -> u32 {
        let free = layout.iter().zip(fixed).map(|(all, fixed)| all - fixed);
        let served = free.zip(wanted).map(|(free, wanted)| free.min(*wanted));
        served.zip(&self.slices).map(|(served, slices)| served * slices).sum()
    }
}

/// Slices served (most first), instances changed, instances in all (most first).
type Merit = (Reverse<u32>, usize, Reverse<usize>);

fn counts(model: &GpuModel, layout: &Layout) -> Counts {
    let mut counts = Counts::from_elem(0, model.profiles().count());
    for placement in layout.placements() {
        counts[usize::from(placement.profile.0)] += 1;
    }
    counts
}

/// Instances destroyed and created on the way from one layout to another.
fn changes(from: &Layout, to: &Layout) -> usize {
    let gone = from.placements().iter().filter(|p| !to.placements().contains(p)).count();
    let new = to.placements().iter().filter(|p| !from.placements().contains(p)).count();
    gone + new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mig::{Asked, find_model};

    fn layout(model: &GpuModel, names: &[&str]) -> Layout {
        let asked: Vec<Asked> =
            names.iter().map(|name| Asked { profile: model.find(name).unwrap(), start: None }).collect();
        Layout::arrange(model, &asked).unwrap()
    }

    fn wants(planner: &Planner, name: &str, count: u32) -> Counts {
        let mut wanted = planner.none();
        wanted[usize::from(planner.model.find(name).unwrap().0)] = count;
        wanted
    }

    #[test]
    fn the_queue_decides_and_what_is_in_use_stays() {
        let model = find_model("H100-80GB-SXM").unwrap();
        let mut planner = Planner::new(model);
        let busy = layout(model, &["3g.40gb"]);
        let cards = [CardPlan { fixed: busy.clone(), now: busy }];
        let plan = planner.plan(&wants(&planner.clone(), "2g.20gb", 2), cards.into_iter());
        let words = plan[0].as_ref().unwrap().words(model);
        assert!(words.contains("3g.40gb@0") && words.matches("2g.20gb").count() == 1, "{words}");
        // Whoever is served already changes nothing.
        let now = layout(model, &["3g.40gb", "2g.20gb"]);
        let idle = [CardPlan { fixed: Layout::default(), now }];
        let wanted = wants(&planner, "2g.20gb", 1);
        assert_eq!(planner.plan(&wanted, idle.into_iter()), [None]);
        // Two cards share the demand.
        let empty = CardPlan { fixed: Layout::default(), now: Layout::default() };
        let wanted = wants(&planner, "4g.40gb", 2);
        let plan = planner.plan(&wanted, [empty.clone(), empty].into_iter());
        assert!(plan.iter().all(|p| p.as_ref().unwrap().words(model).contains("4g.40gb@0")));
    }
}

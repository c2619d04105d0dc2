//! All layouts of a GPU. There are tens to hundreds of them, so planners look at each.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::layout::{Asked, Layout, Placement};
use super::model::{GpuModel, ProfileId};

/// Compute and memory slices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slices {
    /// Compute slices.
    pub compute: u8,
    /// Memory slices (placement units).
    pub memory: u8,
}

/// Every placement of the profiles, by start.
fn placements(model: &GpuModel, profiles: &[ProfileId]) -> Vec<Placement> {
    let starts = |id: &ProfileId| {
        let profile = *id;
        model.profile(profile).starts.iter().map(move |start| Placement { start: *start, profile })
    };
    let mut all: Vec<Placement> = profiles.iter().flat_map(starts).collect();
    all.sort_unstable();
    all
}

/// All non-empty layouts made of `profiles`, maximal or not, in lexical order of their placements.
#[must_use]
pub fn layouts(model: &GpuModel, profiles: &[ProfileId]) -> Vec<Layout> {
    let mut found = Vec::new();
    extend(model, &placements(model, profiles), &Layout::default(), &mut found);
    found
}

/// Adds to `found` every extension of `layout` by placements of `rest`, each set once.
fn extend(model: &GpuModel, rest: &[Placement], layout: &Layout, found: &mut Vec<Layout>) {
    for (at, placement) in rest.iter().enumerate() {
        let mut next = layout.clone();
        if next.place(model, *placement).is_ok() {
            found.push(next.clone());
            extend(model, &rest[at + 1..], &next, found);
        }
    }
}

/// The layouts made of `profiles` to which no further instance of `profiles` can be added. Positions
/// count: 2g@0 + ... and 2g@2 + ... are two layouts.
#[must_use]
pub fn maximal_layouts(model: &GpuModel, profiles: &[ProfileId]) -> Vec<Layout> {
    let mut all = layouts(model, profiles);
    all.retain(|layout| profiles.iter().all(|id| layout.legal_starts(model, *id).next().is_none()));
    all
}

/// The mixes of `layouts`: the same instances at other positions are one. Each mix is sorted.
#[must_use]
pub fn mixes(layouts: &[Layout]) -> BTreeSet<Vec<ProfileId>> {
    layouts.iter().map(mix).collect()
}

fn mix(layout: &Layout) -> Vec<ProfileId> {
    let mut profiles: Vec<ProfileId> = layout.placements().iter().map(|p| p.profile).collect();
    profiles.sort_unstable();
    profiles
}

/// In how many ways one more instance of `profiles` can be added: what a placement should keep high.
#[must_use]
pub fn room_left(model: &GpuModel, layout: &Layout, profiles: &[ProfileId]) -> usize {
    profiles.iter().map(|id| layout.legal_starts(model, *id).count()).sum()
}

/// Slices outside `layout` that no further instances of `profiles` can put to use: external
/// fragmentation. Two 3g leave a compute slice without memory, seven 1g a memory slice without compute.
#[must_use]
pub fn stranded(model: &GpuModel, layout: &Layout, profiles: &[ProfileId]) -> Slices {
    let used = |layout: &Layout| Slices {
        compute: layout.compute_slices(model),
        memory: layout.units(model).count_ones() as u8,
    };
    let mut completions = vec![layout.clone()];
    extend(model, &placements(model, profiles), layout, &mut completions);
    let most = completions.iter().map(used).fold(Slices::default(), |most, now| Slices {
        compute: most.compute.max(now.compute),
        memory: most.memory.max(now.memory),
    });
    Slices { compute: model.compute_slices - most.compute, memory: model.memory_slices - most.memory }
}

/// The legal layout nearest to what was asked: fewest instances exchanged, then least difference in
/// compute slices, then in memory slices, then fewest instances moved, then the shortest way; ties by lexical order.
#[must_use]
pub fn nearest_layout(model: &GpuModel, asked: &[Asked]) -> Layout {
    let mut profiles = model.plain();
    profiles.extend(asked.iter().map(|a| a.profile));
    profiles.sort_unstable();
    profiles.dedup();
    let mut wanted: Vec<ProfileId> = asked.iter().map(|a| a.profile).collect();
    wanted.sort_unstable();
    let sum = |ids: &[ProfileId], slices: fn(&super::Profile) -> u8| -> i32 {
        ids.iter().map(|id| i32::from(slices(model.profile(*id)))).sum()
    };
    let distance = |layout: &Layout| {
        let has = mix(layout);
        let kept = common(&wanted, &has);
        let exchanged = wanted.len().max(has.len()) - kept;
        let compute = sum(&wanted, |p| p.compute_slices) - sum(&has, |p| p.compute_slices);
        let memory = sum(&wanted, |p| p.memory_slices) - sum(&has, |p| p.memory_slices);
        let (moved, way) = moves(layout, asked);
        (exchanged, Reverse(kept), compute.abs(), memory.abs(), moved, way)
    };
    let all = layouts(model, &profiles);
    let near = all.into_iter().min_by_key(|layout| (distance(layout), layout.clone()));
    near.expect("a GPU has at least one layout")
}

/// How many elements two sorted lists have in common.
fn common(a: &[ProfileId], b: &[ProfileId]) -> usize {
    let count = |list: &[ProfileId], id| list.iter().filter(|p| **p == id).count();
    let mut ids = a.to_vec();
    ids.dedup();
    ids.into_iter().map(|id| count(a, id).min(count(b, id))).sum()
}

/// Instances asked at a start where `layout` has no such instance, and how far the nearest one is.
fn moves(layout: &Layout, asked: &[Asked]) -> (usize, u32) {
    let mut free: Vec<Placement> = layout.placements().to_vec();
    let (mut moved, mut way) = (0, 0);
    let positioned = || asked.iter().filter_map(|a| a.start.map(|start| (a.profile, start)));
    let mut rest = Vec::new();
    for (profile, start) in positioned() {
        match free.iter().position(|p| *p == Placement { start, profile }) {
            Some(at) => drop(free.remove(at)),
            None => rest.push((profile, start)),
        }
    }
    for (profile, start) in rest {
        moved += 1;
        let alike = free.iter().enumerate().filter(|(_, p)| p.profile == profile);
        if let Some((at, near)) = alike.min_by_key(|(_, p)| p.start.abs_diff(start)) {
            way += u32::from(near.start.abs_diff(start));
            free.remove(at);
        }
    }
    (moved, way)
}

#[cfg(test)]
mod tests {
    use super::super::model::{find_model, models};
    use super::*;

    /// (maximal by position, maximal mixes, all non-empty sets).
    fn counts(model: &GpuModel, profiles: &[ProfileId]) -> (usize, usize, usize) {
        let maximal = maximal_layouts(model, profiles);
        (maximal.len(), mixes(&maximal).len(), layouts(model, profiles).len())
    }

    #[test]
    fn published_counts_of_layouts() {
        for model in models() {
            let usual = counts(model, &model.usual());
            let plain = counts(model, &model.plain());
            match (model.compute_slices, model.memory_slices) {
                (7, 8) => {
                    assert_eq!(usual, (19, 14, 297), "{}", model.name);
                    assert_eq!(plain, (78, 38, 722), "{}", model.name);
                }
                (4, 4 | 12) => {
                    assert_eq!((plain.0, plain.1), (5, 4), "{}", model.name);
                    assert_eq!(usual, plain, "{}", model.name);
                }
                other => panic!("a geometry without published counts: {other:?}"),
            }
        }
    }

    #[test]
    fn the_other_usual_number_is_eighteen() {
        let model = find_model("A100-40GB-SXM").unwrap();
        let usual = model.usual();
        let partitioned: Vec<ProfileId> =
            usual.iter().copied().filter(|id| model.profile(*id).compute_slices < 7).collect();
        assert_eq!(maximal_layouts(model, &partitioned).len(), 18);
        let has = |layout: &Layout, name: &str| {
            layout.placements().iter().any(|p| model.profile(p.profile).name == name)
        };
        let mut without = maximal_layouts(model, &usual);
        without.retain(|layout| !(has(layout, "4g.20gb") && has(layout, "3g.20gb")));
        assert_eq!((without.len(), mixes(&without).len()), (18, 13));
    }

    #[test]
    fn stranded_slices() {
        let model = find_model("H100-80GB-SXM").unwrap();
        let plain = model.plain();
        let left = |name: &str, count: usize| {
            let asked = vec![Asked { profile: model.find(name).unwrap(), start: None }; count];
            stranded(model, &Layout::arrange(model, &asked).unwrap(), &plain)
        };
        assert_eq!(left("3g.40gb", 2), Slices { compute: 1, memory: 0 });
        assert_eq!(left("1g.20gb", 4), Slices { compute: 3, memory: 0 });
        assert_eq!(left("1g.10gb", 7), Slices { compute: 0, memory: 1 });
        assert_eq!(left("1g.10gb", 1), Slices::default());
    }

    #[test]
    fn room_left_prefers_the_corner() {
        let model = find_model("H100-80GB-SXM").unwrap();
        let one = model.find("1g.10gb").unwrap();
        let room = |start| {
            let mut layout = Layout::default();
            layout.place(model, Placement { start, profile: one }).unwrap();
            room_left(model, &layout, &model.usual())
        };
        assert!(room(6) > room(0), "an instance at 6 leaves 4g and 2g@0, 2g@2 and 2g@4 minus one");
    }

    #[test]
    fn compute_slices_never_exceed_the_gpu_on_listed_starts() {
        for model in models() {
            for layout in layouts(model, &model.plain()) {
                assert!(layout.compute_slices(model) <= model.compute_slices, "{}", model.name);
            }
        }
    }
}

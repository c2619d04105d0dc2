//! What is left of a GPU beside a layout, looked up instead of searched for.
//!
//! A placement policy asks at every decision how many slices an instance would strand. There are at most
//! some hundred layouts, so the answers are made once, from the fullest layouts down: the most that a layout can
//! be completed to is the most that one of its extensions by one instance can be.

use rustc_hash::FxHashMap;

use super::enumerate::{Slices, layouts, room_left, stranded};
use super::layout::{Layout, Placement};
use super::model::{GpuModel, ProfileId};

/// What is left of a GPU beside a layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Slices that no further instance can put to use.
    pub stranded: Slices,
    /// In how many ways one more instance can be added.
    pub room: u16,
}

/// The answers for all layouts of the plain profiles.
#[derive(Clone, Debug)]
pub struct Stranding {
    model: &'static GpuModel,
    plain: Vec<ProfileId>,
    /// Number of each plain placement, by profile and start; [`NO_BIT`] for what is none.
    bits: Vec<[u8; 16]>,
    rows: FxHashMap<u32, Left>,
}

/// No plain placement.
const NO_BIT: u8 = u8::MAX;

impl Stranding {
    /// The table of a GPU.
    #[must_use]
    pub fn new(model: &'static GpuModel) -> Self {
        let plain = model.plain();
        let mut all = layouts(model, &plain);
        all.push(Layout::default());
        all.sort_by_key(|layout| std::cmp::Reverse(layout.placements().len()));
        let bits = numbers(model, &plain);
        let mut most: FxHashMap<Layout, Slices> = FxHashMap::default();
        let mut table = Self { model, plain, bits, rows: FxHashMap::default() };
        for layout in all {
            let mut full = Slices {
                compute: layout.compute_slices(model),
                memory: layout.units(model).count_ones() as u8,
            };
            let mut room = 0;
            for profile in &table.plain {
                for start in layout.legal_starts(model, *profile) {
                    room += 1;
                    let mut next = layout.clone();
                    next.place(model, Placement { start, profile: *profile }).expect("a legal start");
                    let filled = most[&next];
                    full.compute = full.compute.max(filled.compute);
                    full.memory = full.memory.max(filled.memory);
                }
            }
            let stranded = Slices {
                compute: model.compute_slices - full.compute,
                memory: model.memory_slices - full.memory,
            };
            let key = table.key(layout.placements().iter().copied());
            table.rows.insert(key.expect("all placements are plain"), Left { stranded, room });
            most.insert(layout, full);
        }
        table
    }

    /// A number for a set of placements; `None` where one of them is of a profile with a suffix.
    #[inline]
    #[must_use]
    pub fn key(&self, placements: impl IntoIterator<Item = Placement>) -> Option<u32> {
        let mut key = 0;
        for placement in placements {
            let bit = self.bits[usize::from(placement.profile.0)][usize::from(placement.start)];
            if bit == NO_BIT {
                return None;
            }
            key |= 1 << bit;
        }
        Some(key)
    }

    /// What is left beside the layout with this [`key`](Self::key); `None` if it is none.
    #[inline]
    #[must_use]
    pub fn left_of(&self, key: u32) -> Option<Left> {
        self.rows.get(&key).copied()
    }

    /// What is left beside `layout`.
    #[must_use]
    pub fn left(&self, layout: &Layout) -> Left {
        let key = self.key(layout.placements().iter().copied());
        key.and_then(|key| self.left_of(key)).unwrap_or_else(|| Left {
            stranded: stranded(self.model, layout, &self.plain),
            room: room_left(self.model, layout, &self.plain) as u16,
        })
    }
}

/// Numbers the placements of the plain profiles.
fn numbers(model: &GpuModel, plain: &[ProfileId]) -> Vec<[u8; 16]> {
    let mut bits = vec![[NO_BIT; 16]; model.profiles().count()];
    let mut next = 0;
    for profile in plain {
        for start in &model.profile(*profile).starts {
            bits[usize::from(profile.0)][usize::from(*start)] = next;
            next += 1;
        }
    }
    assert!(next <= 32, "a GPU has at most 32 plain placements");
    bits
}

#[cfg(test)]
mod tests {
    use super::super::model::find_model;
    use super::*;

    #[test]
    fn the_table_equals_the_search() {
        for name in ["A30-24GB", "H100-80GB-SXM", "RTX-PRO-6000-96GB"] {
            let model = find_model(name).unwrap();
            let table = Stranding::new(model);
            let plain = model.plain();
            for layout in layouts(model, &plain).iter().step_by(7) {
                let left = table.left(layout);
                assert_eq!(left.stranded, stranded(model, layout, &plain), "{}", layout.words(model));
                assert_eq!(usize::from(left.room), room_left(model, layout, &plain));
            }
        }
    }
}

//! A legal set of instances on one GPU.

use std::fmt;

use smallvec::SmallVec;

use super::enumerate::nearest_layout;
use super::model::{GpuModel, ProfileId, Variant};
use crate::diagnostic::Diagnostic;

/// An instance: a profile and the first memory unit that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Placement {
    /// First memory unit.
    pub start: u8,
    /// The profile, of the GPU model at hand.
    pub profile: ProfileId,
}

impl Placement {
    /// The memory units that it covers, one bit each.
    #[must_use]
    pub fn units(self, model: &GpuModel) -> u16 {
        ((1u16 << model.profile(self.profile).memory_slices) - 1) << self.start
    }
}

/// Instances that can exist on one GPU together, by start. See the invariants of [`super`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layout {
    placements: SmallVec<[Placement; 7]>,
}

/// Why an instance cannot be added to a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The profile cannot begin at that unit on any GPU of the model.
    Start {
        /// The instance.
        placement: Placement,
    },
    /// Units that it needs are covered.
    UnitsTaken {
        /// The instance.
        placement: Placement,
        /// The instance that covers them.
        by: Placement,
        /// The units, one bit each.
        units: u16,
    },
    /// The compute slices do not suffice.
    Compute {
        /// The profile.
        profile: ProfileId,
        /// Compute slices in use.
        used: u8,
    },
    /// As many instances of the profile exist as the GPU can have.
    Instances {
        /// The profile.
        profile: ProfileId,
    },
    /// Another instance has the media extensions, of which a GPU has one set.
    Media {
        /// The profile.
        profile: ProfileId,
        /// The instance that has them.
        by: Placement,
    },
    /// No start is left for it (said of mixes that name no starts).
    NoArrangement {
        /// Memory units that the mix needs in total.
        memory_slices: u32,
    },
}

/// An instance that a layout asks for; without a start, any legal one will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The profile.
    pub profile: ProfileId,
    /// First memory unit, where the user names one.
    pub start: Option<u8>,
}

/// A layout that the hardware does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IllegalLayout {
    /// What was asked.
    pub asked: Vec<Asked>,
    /// The first thing that is wrong with it.
    pub refusal: Refusal,
    /// The legal layout nearest to it.
    pub nearest: Layout,
}

impl Layout {
    /// The instances by start.
    #[must_use]
    pub fn placements(&self) -> &[Placement] {
        &self.placements
    }

    /// Covered memory units, one bit each.
    #[must_use]
    pub fn units(&self, model: &GpuModel) -> u16 {
        self.placements.iter().fold(0, |units, placement| units | placement.units(model))
    }

    /// Compute slices in use.
    #[must_use]
    pub fn compute_slices(&self, model: &GpuModel) -> u8 {
        self.placements.iter().map(|placement| model.profile(placement.profile).compute_slices).sum()
    }

    /// Whether `placement` can be added.
    ///
    /// # Errors
    /// Why not.
    pub fn can_place(&self, model: &GpuModel, placement: Placement) -> Result<(), Refusal> {
        let profile = model.profile(placement.profile);
        if !profile.starts.contains(&placement.start) {
            return Err(Refusal::Start { placement });
        }
        let wanted = placement.units(model);
        for by in &self.placements {
            let units = by.units(model) & wanted;
            if units != 0 {
                return Err(Refusal::UnitsTaken { placement, by: *by, units });
            }
        }
        let used = self.compute_slices(model);
        if used + profile.compute_slices > model.compute_slices {
            return Err(Refusal::Compute { profile: placement.profile, used });
        }
        let alike = self.placements.iter().filter(|p| p.profile == placement.profile).count();
        if alike >= usize::from(profile.max_instances) && profile.variant != Variant::Media {
            return Err(Refusal::Instances { profile: placement.profile });
        }
        let media = self.placements.iter().find(|p| model.profile(p.profile).variant == Variant::Media);
        if let (Some(by), Variant::Media) = (media, profile.variant) {
            return Err(Refusal::Media { profile: placement.profile, by: *by });
        }
        Ok(())
    }

    /// Where an instance of `profile` can begin now, ascending.
    pub fn legal_starts(&self, model: &GpuModel, profile: ProfileId) -> impl Iterator<Item = u8> {
        let starts = model.profile(profile).starts.iter().copied();
        starts.filter(move |start| self.can_place(model, Placement { start: *start, profile }).is_ok())
    }

    /// Adds an instance.
    ///
    /// # Errors
    /// Why it cannot be; the layout stays as it was.
    pub fn place(&mut self, model: &GpuModel, placement: Placement) -> Result<(), Refusal> {
        self.can_place(model, placement)?;
        let at = self.placements.partition_point(|p| *p < placement);
        self.placements.insert(at, placement);
        Ok(())
    }

    /// Removes an instance; whether it was there.
    pub fn remove(&mut self, placement: Placement) -> bool {
        let found = self.placements.iter().position(|p| *p == placement);
        found.map(|at| self.placements.remove(at)).is_some()
    }

    /// The layout that has what is asked; instances without a start get the arrangement that comes first
    /// when each is tried at its lowest start before the next.
    ///
    /// # Errors
    /// What collides, and the nearest layout that is legal.
    pub fn arrange(model: &GpuModel, asked: &[Asked]) -> Result<Self, IllegalLayout> {
        let illegal =
            |refusal| IllegalLayout { asked: asked.to_vec(), refusal, nearest: nearest_layout(model, asked) };
        let mut layout = Self::default();
        for Asked { profile, start } in asked {
            if let Some(start) = *start {
                layout.place(model, Placement { start, profile: *profile }).map_err(illegal)?;
            }
        }
        let mut open: Vec<ProfileId> =
            asked.iter().filter(|a| a.start.is_none()).map(|a| a.profile).collect();
        // The large ones first: fewer ways to go back.
        open.sort_by_key(|id| (std::cmp::Reverse(model.profile(*id).memory_slices), *id));
        if let Some(refusal) = layout.obvious_refusal(model, &open) {
            return Err(illegal(refusal));
        }
        layout.arrange_rest(model, &open).ok_or_else(|| {
            let memory_slices = asked.iter().map(|a| u32::from(model.profile(a.profile).memory_slices)).sum();
            illegal(Refusal::NoArrangement { memory_slices })
        })
    }

    fn arrange_rest(&self, model: &GpuModel, open: &[ProfileId]) -> Option<Self> {
        let Some((first, rest)) = open.split_first() else { return Some(self.clone()) };
        self.legal_starts(model, *first).find_map(|start| {
            let mut next = self.clone();
            next.place(model, Placement { start, profile: *first }).ok()?;
            next.arrange_rest(model, rest)
        })
    }

    /// A limit that no arrangement can meet, so that it is told as such.
    fn obvious_refusal(&self, model: &GpuModel, open: &[ProfileId]) -> Option<Refusal> {
        let mut used = self.compute_slices(model);
        let mut seen = self.clone();
        for profile in open {
            let kind = model.profile(*profile);
            if used + kind.compute_slices > model.compute_slices {
                return Some(Refusal::Compute { profile: *profile, used });
            }
            used += kind.compute_slices;
            let alike = |p: &&Placement| p.profile == *profile;
            let media = seen.placements.iter().find(|p| model.profile(p.profile).variant == Variant::Media);
            match (kind.variant, media) {
                (Variant::Media, Some(by)) => return Some(Refusal::Media { profile: *profile, by: *by }),
                (Variant::Media, None) => {}
                _ if seen.placements.iter().filter(alike).count() >= usize::from(kind.max_instances) => {
                    return Some(Refusal::Instances { profile: *profile });
                }
                _ => {}
            }
            seen.placements.push(Placement { start: kind.starts[0], profile: *profile });
        }
        None
    }

    /// The layout in words: `4g.40gb@0 + 3g.40gb@4`.
    #[must_use]
    pub fn words(&self, model: &GpuModel) -> String {
        let one = |p: &Placement| format!("{}@{}", model.profile(p.profile).name, p.start);
        self.placements.iter().map(one).collect::<Vec<_>>().join(" + ")
    }
}

/// Units in words: `4-7`, `0, 6`.
struct Units(u16);

impl fmt::Display for Units {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units: Vec<u32> = (0..16).filter(|unit| self.0 >> unit & 1 == 1).collect();
        for (n, run) in units.chunk_by(|a, b| a + 1 == *b).enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            match run {
                [one] => write!(out, "{comma}{one}")?,
                [first, .., last] => write!(out, "{comma}{first}-{last}")?,
                [] => unreachable!("chunks are never empty"),
            }
        }
        Ok(())
    }
}

impl Refusal {
    /// Why, in words.
    #[must_use]
    pub fn words(&self, model: &GpuModel) -> String {
        let name = |id: &ProfileId| model.profile(*id).name.as_str();
        let at = |p: &Placement| format!("{} at unit {}", name(&p.profile), p.start);
        match self {
            Self::Start { placement } => {
                let starts = &model.profile(placement.profile).starts;
                let starts: Vec<String> = starts.iter().map(u8::to_string).collect();
                format!("{}: it can begin at unit {} only", at(placement), starts.join(", "))
            }
            Self::UnitsTaken { placement, by, units } => {
                let s = if units.count_ones() == 1 { "" } else { "s" };
                format!("{} and {} both cover memory unit{s} {}", at(by), at(placement), Units(*units))
            }
            Self::Compute { profile, used } => {
                let (ask, has) = (model.profile(*profile).compute_slices, model.compute_slices);
                format!("{} needs {ask} compute slices, {used} of {has} are in use", name(profile))
            }
            Self::Instances { profile } => {
                let most = model.profile(*profile).max_instances;
                format!("a GPU holds at most {most} of {}", name(profile))
            }
            Self::Media { profile, by } => {
                format!(
                    "{} and {} both want the only set of media extensions",
                    name(&by.profile),
                    name(profile)
                )
            }
            Self::NoArrangement { memory_slices } => {
                let has = model.memory_slices;
                format!("no arrangement exists; the mix needs {memory_slices} memory units of {has}")
            }
        }
    }
}

impl IllegalLayout {
    /// The error for the user (W0242), without place.
    #[must_use]
    pub fn diagnostic(&self, model: &GpuModel) -> Diagnostic {
        let words: Vec<String> = self
            .asked
            .iter()
            .map(|asked| {
                let start = asked.start.map_or(String::new(), |start| format!("@{start}"));
                format!("{}{start}", model.profile(asked.profile).name)
            })
            .collect();
        let message = format!("{} cannot be cut into {}", model.name, words.join(" + "));
        Diagnostic::error("W0242", message)
            .because(self.refusal.words(model))
            .help(format!("the nearest legal layout is {}", self.nearest.words(model)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::find_model;
    use super::*;

    fn h100() -> &'static GpuModel {
        find_model("H100-80GB-SXM").unwrap()
    }

    /// `3g.40gb@4` or `3g.40gb`.
    fn ask(model: &GpuModel, words: &[&str]) -> Vec<Asked> {
        let one = |word: &&str| {
            let (name, start) = word.split_once('@').map_or((*word, None), |(n, s)| (n, Some(s)));
            Asked { profile: model.find(name).unwrap(), start: start.map(|s| s.parse().unwrap()) }
        };
        words.iter().map(one).collect()
    }

    fn told(model: &GpuModel, words: &[&str]) -> (String, String) {
        let told = Layout::arrange(model, &ask(model, words)).unwrap_err().diagnostic(model);
        assert_eq!(told.code.0, "W0242");
        (told.label, told.help.unwrap().replace("the nearest legal layout is ", ""))
    }

    #[test]
    fn legal_starts_follow_what_is_there() {
        let model = h100();
        let mut layout = Layout::default();
        let three = model.find("3g.40gb").unwrap();
        let one = model.find("1g.10gb").unwrap();
        layout.place(model, Placement { start: 0, profile: three }).unwrap();
        assert_eq!(layout.legal_starts(model, three).collect::<Vec<_>>(), [4]);
        assert_eq!(layout.legal_starts(model, one).collect::<Vec<_>>(), [4, 5, 6]);
        assert!(layout.remove(Placement { start: 0, profile: three }));
        assert!(!layout.remove(Placement { start: 0, profile: three }));
        assert_eq!(layout.legal_starts(model, one).count(), 7);
    }

    #[test]
    fn a_mix_finds_its_arrangement() {
        let model = h100();
        let layout = Layout::arrange(model, &ask(model, &["1g.10gb", "2g.20gb", "4g.40gb"])).unwrap();
        assert_eq!(layout.words(model), "4g.40gb@0 + 2g.20gb@4 + 1g.10gb@6");
        // 3g at 0 would leave no place for 4g, which begins at 0 only.
        let layout = Layout::arrange(model, &ask(model, &["3g.40gb", "4g.40gb"])).unwrap();
        assert_eq!(layout.words(model), "4g.40gb@0 + 3g.40gb@4");
    }

    #[test]
    fn illegal_layouts_say_which_units_collide_and_what_is_near() {
        let model = h100();
        let (why, near) = told(model, &["4g.40gb@0", "2g.20gb@2"]);
        assert_eq!(why, "4g.40gb at unit 0 and 2g.20gb at unit 2 both cover memory units 2-3");
        assert_eq!(near, "4g.40gb@0 + 2g.20gb@4");
        let (why, near) = told(model, &["3g.40gb@2"]);
        assert_eq!(why, "3g.40gb at unit 2: it can begin at unit 0, 4 only");
        assert_eq!(near, "3g.40gb@0");
        let (why, near) = told(model, &["4g.40gb", "4g.40gb"]);
        assert_eq!(why, "4g.40gb needs 4 compute slices, 4 of 7 are in use");
        assert_eq!(near, "4g.40gb@0 + 3g.40gb@4");
        let (why, near) = told(model, &["3g.40gb", "3g.40gb", "1g.10gb"]);
        assert_eq!(why, "no arrangement exists; the mix needs 9 memory units of 8");
        assert_eq!(near, "3g.40gb@0 + 3g.40gb@4");
    }

    #[test]
    fn media_extensions_exist_once_over_all_sizes() {
        let model = find_model("A30-24GB").unwrap();
        let (why, near) = told(model, &["1g.6gb+me", "2g.12gb+me"]);
        assert_eq!(why, "2g.12gb+me and 1g.6gb+me both want the only set of media extensions");
        assert_eq!(near, "1g.6gb@0 + 2g.12gb+me@2");
        let pro = find_model("RTX-PRO-6000-96GB").unwrap();
        let (why, _) = told(pro, &["1g.24gb+me@0", "1g.24gb+me.all@3"]);
        assert!(why.contains("media extensions"), "{why}");
        let graphics = ["1g.24gb+gfx"; 4];
        assert!(Layout::arrange(pro, &ask(pro, &graphics)).is_ok());
        assert!(Layout::arrange(pro, &ask(pro, &["4g.96gb+gfx"; 2])).is_err());
    }
}

//! GRES types of slurm.conf that name MIG profiles: instances of boards, not devices of their own.
//!
//! `Gres=gpu:1g.10gb:14,gpu:h100:6` is eight boards, two of them cut. Which board it is tells the rest of the type
//! (`h100_1g.10gb`), or else the other types of the node; among boards that have all the profiles, the first of the
//! catalogue. A type that names no profile is a plain name.

use crate::cluster::cards::{CardMode, CardPool, LayoutChange, MigPool};
use crate::cluster::mig::{Asked, GpuModel, Layout, ProfileId, models};
use crate::scheduler::slurm::config::{NodeConf, SlurmConfig};

/// The boards of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Boards {
    pub(super) cards: CardPool,
    pub(super) model: &'static GpuModel,
    pub(super) count: u32,
}

/// The profile that a GRES type ends with, and what comes before it.
fn split(kind: &str) -> Option<(&str, &str)> {
    let (board, profile) = kind.rsplit_once('_').unwrap_or(("", kind));
    let known = models().iter().any(|model| model.find(profile).is_ok());
    known.then_some((board, profile))
}

/// Whether a word of a type and the name of a board mean the same.
fn means(word: &str, model: &GpuModel) -> bool {
    let name = model.name.to_lowercase();
    word.to_lowercase().split(['_', '-']).any(|part| part.len() > 2 && name.contains(part))
}

/// A type whose first part names boards, none of which has the profile that it ends with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit<'a> {
    pub(super) kind: &'a str,
    pub(super) profile: &'a str,
    /// The first of the boards that it names.
    pub(super) model: &'static GpuModel,
    /// The first of those that have the profile.
    pub(super) other: &'static GpuModel,
}

/// The first such type among those of a site.
pub(super) fn misfit(config: &SlurmConfig) -> Option<Misfit<'_>> {
    config.device_types.iter().find_map(|kind| {
        let (board, profile) = split(kind)?;
        let mut named = models().iter().filter(|model| means(board, model));
        let model = named.clone().next()?;
        let has_it = |model: &&GpuModel| model.find(profile).is_ok();
        let other = models().iter().find(has_it)?;
        (!named.any(|model| has_it(&model))).then_some(Misfit { kind, profile, model, other })
    })
}

/// The boards of a node whose types name MIG profiles; `None` where they do not, or where no board has them all.
pub(super) fn of(config: &SlurmConfig, node: &NodeConf) -> Option<Boards> {
    let typed: Vec<(&str, u32)> = node
        .gres
        .iter()
        .filter_map(|gres| Some((config.device_types[gres.device_type?.0 as usize].as_str(), gres.count)))
        .collect();
    let slices: Vec<(&str, &str, u32)> = typed
        .iter()
        .filter_map(|(kind, count)| split(kind).map(|(board, profile)| (board, profile, *count)))
        .collect();
    if slices.is_empty() {
        return None;
    }
    let plain = || typed.iter().filter(|(kind, _)| split(kind).is_none());
    let model = model_of(&slices, plain().map(|(kind, _)| *kind))?;
    let mut wanted: Vec<ProfileId> = Vec::new();
    for (_, profile, count) in &slices {
        let id = model.find(profile).ok()?;
        wanted.extend(std::iter::repeat_n(id, *count as usize));
    }
    let mut start: Vec<Option<Layout>> = arranged(model, wanted)?.into_iter().map(Some).collect();
    let untyped = node.gres.iter().filter(|gres| gres.device_type.is_none()).map(|gres| gres.count);
    let whole: u32 = plain().map(|(_, count)| *count).chain(untyped).sum();
    start.extend(std::iter::repeat_n(None, whole as usize));
    let count = u32::try_from(start.len()).ok()?;
    let mig = MigPool { model, start, change: LayoutChange::Never, whole_node: false, by_memory: true };
    let memory_mib = Some(u64::from(model.whole().memory_mib));
    let cards = CardPool { mode: CardMode::Mig(mig), memory_mib, equal_parts: None, vgpus: None };
    Some(Boards { cards, model, count })
}

/// The board that has all the profiles, by the words that are known of it.
fn model_of<'a>(
    slices: &[(&'a str, &'a str, u32)],
    plain: impl Iterator<Item = &'a str>,
) -> Option<&'static GpuModel> {
    let has_all =
        |model: &&'static GpuModel| slices.iter().all(|(_, profile, _)| model.find(profile).is_ok());
    let able: Vec<&'static GpuModel> = models().iter().filter(has_all).collect();
    let words = slices.iter().map(|(board, ..)| *board).filter(|board| !board.is_empty()).chain(plain);
    let words: Vec<&str> = words.collect();
    let is_meant = |model: &&&'static GpuModel| words.iter().any(|word| means(word, model));
    able.iter().find(is_meant).or(able.first()).copied()
}

/// The instances on as few boards as a fill from the largest on needs; `None` if one fits on none.
fn arranged(model: &'static GpuModel, mut wanted: Vec<ProfileId>) -> Option<Vec<Layout>> {
    wanted.sort_by_key(|id| (std::cmp::Reverse(model.profile(*id).memory_slices), *id));
    let mut boards: Vec<(Vec<Asked>, Layout)> = Vec::new();
    for profile in wanted {
        let asked = Asked { profile, start: None };
        let with = |others: &[Asked]| {
            let all: Vec<Asked> = others.iter().copied().chain([asked]).collect();
            Layout::arrange(model, &all).ok().map(|layout| (all, layout))
        };
        match boards.iter_mut().find_map(|board| with(&board.0).map(|more| (board, more))) {
            Some((board, more)) => *board = more,
            None => boards.push(with(&[])?),
        }
    }
    Some(boards.into_iter().map(|(_, layout)| layout).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::slurm::config::GresCount;

    fn node(config: &mut SlurmConfig, gres: &[(&str, u32)]) -> NodeConf {
        let gres = gres
            .iter()
            .map(|(kind, count)| GresCount { device_type: Some(config.device_type(kind)), count: *count });
        NodeConf {
            name: "n1".into(),
            cpus: 112,
            mem_mb: 1,
            gres: gres.collect(),
            weight: 1,
            features: vec![],
            unusable: false,
        }
    }

    #[test]
    fn fourteen_small_instances_and_six_gpus_are_eight_boards() {
        let mut config = SlurmConfig::empty();
        let cut = node(&mut config, &[("1g.10gb", 14), ("h100", 6)]);
        let boards = of(&config, &cut).unwrap();
        assert_eq!(boards.count, 8);
        assert!(boards.model.name.starts_with("H100"), "{}", boards.model.name);
        let CardMode::Mig(mig) = &boards.cards.mode else { panic!("it is cut") };
        let cut: Vec<usize> = mig.start.iter().flatten().map(|layout| layout.placements().len()).collect();
        assert_eq!(cut, [7, 7]);
    }

    #[test]
    fn a_profile_of_another_board_is_found() {
        let mut config = SlurmConfig::empty();
        node(&mut config, &[("a100_1g.5gb", 7), ("h100", 4), ("v100_1g.5gb", 1), ("1g.5gb", 7)]);
        assert_eq!(misfit(&config), None);
        node(&mut config, &[("nvidia_h100_1g.5gb", 7)]);
        let found = misfit(&config).unwrap();
        assert_eq!(
            (found.kind, &found.model.name[..4], &found.other.name[..4]),
            ("nvidia_h100_1g.5gb", "H100", "A100")
        );
    }

    #[test]
    fn other_types_are_plain_names() {
        let mut config = SlurmConfig::empty();
        let plain = node(&mut config, &[("h100", 4), ("a100_40g", 28)]);
        assert_eq!(of(&config, &plain), None);
        let named = node(&mut config, &[("a100_3g.40gb", 4)]);
        let boards = of(&config, &named).unwrap();
        assert_eq!((boards.count, &boards.model.name[..4]), (2, "A100"));
    }
}

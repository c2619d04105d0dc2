//! The smallest profile that satisfies a need.

use super::model::{GpuModel, ProfileId};

/// What a job needs of a GPU when it does not name a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceNeed {
    /// Memory, in MiB; held against what the driver reports for an instance, not against its name.
    pub memory_mib: u32,
    /// Share of the GPU, in thousandths; held against compute slices (3g of 7 is 428). How many
    /// multiprocessors that is differs by board, and is a matter of speed.
    pub share_milli: u32,
}

/// Whether an instance of profile `id` satisfies `need`.
#[must_use]
pub fn satisfies(model: &GpuModel, id: ProfileId, need: SliceNeed) -> bool {
    let profile = model.profile(id);
    let share = u32::from(profile.compute_slices) * 1000;
    profile.memory_mib >= need.memory_mib && share >= need.share_milli * u32::from(model.compute_slices)
}

/// The plain profile with the fewest memory slices, then the fewest compute slices, that satisfies
/// `need`; `None` if not even the whole GPU does.
#[must_use]
pub fn smallest_fitting(model: &GpuModel, need: SliceNeed) -> Option<ProfileId> {
    let fits = |id: &ProfileId| satisfies(model, *id, need);
    let size = |id: &ProfileId| {
        let profile = model.profile(*id);
        (profile.memory_slices, profile.compute_slices, *id)
    };
    model.plain().into_iter().filter(fits).min_by_key(size)
}

#[cfg(test)]
mod tests {
    use super::super::model::find_model;
    use super::*;

    fn fitting(gpu: &str, memory_mib: u32, share_milli: u32) -> Option<&'static str> {
        let model = find_model(gpu).unwrap();
        smallest_fitting(model, SliceNeed { memory_mib, share_milli })
            .map(|id| model.profile(id).name.as_str())
    }

    #[test]
    fn memory_is_what_is_usable_not_what_the_name_says() {
        assert_eq!(fitting("H100-80GB-SXM", 9 * 1024, 0), Some("1g.10gb"));
        assert_eq!(fitting("H100-80GB-SXM", 10 * 1024, 0), Some("1g.20gb"));
        assert_eq!(fitting("H200-141GB-SXM", 17 * 1024, 0), Some("1g.35gb"));
        assert_eq!(fitting("H100-80GB-SXM", 40 * 1024, 0), Some("7g.80gb"));
        assert_eq!(fitting("H100-80GB-SXM", 80 * 1024, 0), None);
    }

    #[test]
    fn a_share_is_met_in_compute_slices() {
        assert_eq!(fitting("H100-80GB-SXM", 0, 142), Some("1g.10gb"));
        assert_eq!(fitting("H100-80GB-SXM", 0, 143), Some("2g.20gb"));
        assert_eq!(fitting("H100-80GB-SXM", 0, 500), Some("4g.40gb"));
        assert_eq!(fitting("H100-80GB-SXM", 0, 1000), Some("7g.80gb"));
        assert_eq!(fitting("H100-80GB-SXM", 0, 1001), None);
        assert_eq!(fitting("A30-24GB", 0, 500), Some("2g.12gb"));
        assert_eq!(fitting("H100-80GB-SXM", 15 * 1024, 250), Some("2g.20gb"));
    }
}

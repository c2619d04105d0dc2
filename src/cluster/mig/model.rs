//! GPU models that can be partitioned, and their profiles.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::diagnostic::{Diagnostic, nearest};

/// One row of `profiles.csv`, as `windtunnel catalog mig` lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MigRow {
    /// Board, a name of the GPU catalogue.
    pub gpu: String,
    /// Profile as `nvidia-smi` prints it, without `MIG`.
    pub profile: String,
    /// The number in the name: in effect GiB, rounded up.
    pub memory_gb: u32,
    /// Compute slices taken.
    pub compute_slices: u8,
    /// Memory slices (placement units) taken.
    pub memory_slices: u8,
    /// Legal first units, separated by `;`.
    pub placements: String,
    /// Most instances of this profile on one GPU.
    pub max_instances: u8,
    /// Media engines of the instance.
    pub media_extensions: String,
    /// Memory that the driver reports, in GiB.
    pub gi_memory_gib: Option<f64>,
    /// Streaming multiprocessors of the instance.
    pub sm_count: Option<u32>,
    /// Copy engines of the instance.
    pub copy_engines: Option<u32>,
    /// NVML's number of the profile.
    pub nvml_profile_id: u32,
    /// Compute slices of the whole GPU.
    pub gpu_compute_slices: u8,
    /// Memory slices of the whole GPU.
    pub gpu_memory_slices: u8,
    /// How the placements are known.
    pub placement_confidence: String,
    /// Where the values come from.
    pub source: String,
    /// How the other values are known.
    pub confidence: String,
    /// Caveats.
    pub notes: String,
}

/// A profile of one [`GpuModel`], by position in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(pub u8);

/// What a profile has beside memory and compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variant {
    /// No suffix.
    Plain,
    /// `+me`, `+me.all`: the GPU's only set of JPEG and optical-flow engines, so one instance per GPU.
    Media,
    /// `-me`: no media engines.
    NoMedia,
    /// `+gfx`: graphics.
    Graphics,
}

/// An instance kind of one GPU model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Name, for instance `3g.40gb`.
    pub name: String,
    /// Suffix of the name.
    pub variant: Variant,
    /// Compute slices.
    pub compute_slices: u8,
    /// Memory slices: the units that it covers from its start.
    pub memory_slices: u8,
    /// Legal first units, ascending.
    pub starts: SmallVec<[u8; 7]>,
    /// Most instances of it on one GPU.
    pub max_instances: u8,
    /// Memory that programs can use, in MiB.
    pub memory_mib: u32,
    /// The memory was not found in a source but derived from the name.
    pub memory_is_estimated: bool,
    /// Streaming multiprocessors.
    pub sms: u32,
    /// The SM count was not found in a source but derived from the smallest profile (a lower bound).
    pub sms_are_estimated: bool,
}

/// A GPU that can be partitioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuModel {
    /// Name in the GPU catalogue.
    pub name: String,
    /// Compute slices of the whole GPU.
    pub compute_slices: u8,
    /// Memory slices (placement units) of the whole GPU.
    pub memory_slices: u8,
    profiles: Vec<Profile>,
}

impl GpuModel {
    /// The profiles in catalogue order.
    pub fn profiles(&self) -> impl Iterator<Item = (ProfileId, &Profile)> {
        (0u8..).map(ProfileId).zip(&self.profiles)
    }

    /// One profile.
    ///
    /// # Panics
    /// If `id` is of another model that has more profiles.
    #[must_use]
    pub fn profile(&self, id: ProfileId) -> &Profile {
        &self.profiles[usize::from(id.0)]
    }

    /// The profile of that name.
    ///
    /// # Errors
    /// W0241 where the GPU has none of that name, with the nearest name.
    pub fn find(&self, name: &str) -> Result<ProfileId, Diagnostic> {
        let found = self.profiles().find(|(_, profile)| profile.name == name);
        found.map(|(id, _)| id).ok_or_else(|| {
            let names: Vec<&str> = self.profiles.iter().map(|profile| profile.name.as_str()).collect();
            let help = nearest(name, names.iter().copied())
                .map_or_else(|| format!("profiles: {}", names.join(", ")), |near| format!("write `{near}`"));
            Diagnostic::error("W0241", format!("{} has no MIG profile '{name}'", self.name)).help(help)
        })
    }

    /// The profiles without suffix.
    #[must_use]
    pub fn plain(&self) -> Vec<ProfileId> {
        self.profiles().filter(|(_, p)| p.variant == Variant::Plain).map(|(id, _)| id).collect()
    }

    /// The plain profiles with one memory slice per compute slice or less than another profile of as
    /// many compute slices: 1g, 2g, 3g, 4g, 7g without the double-memory 1g.
    #[must_use]
    pub fn usual(&self) -> Vec<ProfileId> {
        let smaller = |of: &Profile| {
            self.profiles.iter().any(|p| {
                p.variant == Variant::Plain
                    && p.compute_slices == of.compute_slices
                    && p.memory_slices < of.memory_slices
            })
        };
        self.plain().into_iter().filter(|id| !smaller(self.profile(*id))).collect()
    }

    /// The plain profile that is the whole GPU.
    ///
    /// # Panics
    /// If the catalogue lists none, which a test excludes.
    #[must_use]
    pub fn whole(&self) -> &Profile {
        let whole = self.profiles.iter().find(|p| p.memory_slices == self.memory_slices);
        whole.expect("every model of the catalogue has a profile that is the whole GPU")
    }

    fn from_rows(rows: &[&MigRow]) -> Self {
        let first = rows[0];
        Self {
            name: first.gpu.clone(),
            compute_slices: first.gpu_compute_slices,
            memory_slices: first.gpu_memory_slices,
            profiles: rows.iter().map(|row| profile(row, rows)).collect(),
        }
    }
}

fn profile(row: &MigRow, board: &[&MigRow]) -> Profile {
    Profile {
        name: row.profile.clone(),
        variant: variant(&row.profile),
        compute_slices: row.compute_slices,
        memory_slices: row.memory_slices,
        starts: row.placements.split(';').map(|start| start.parse().expect(ROWS_ARE_TESTED)).collect(),
        max_instances: row.max_instances,
        memory_mib: usable_mib(row),
        memory_is_estimated: row.gi_memory_gib.is_none(),
        sms: row.sm_count.unwrap_or_else(|| estimated_sms(row, board)),
        sms_are_estimated: row.sm_count.is_none(),
    }
}

const ROWS_ARE_TESTED: &str = "the built-in profiles are well-formed: a test reads them";

fn variant(name: &str) -> Variant {
    match name.find(['+', '-']).map(|at| &name[at..]) {
        None => Variant::Plain,
        Some("+me" | "+me.all") => Variant::Media,
        Some("-me") => Variant::NoMedia,
        Some("+gfx") => Variant::Graphics,
        Some(other) => unreachable!("unknown suffix {other}: a test reads the built-in profiles"),
    }
}

/// The driver's figure; else 98 % of the name for instances of three compute slices and more, 90 % of
/// it for smaller ones (the usual ratio on boards whose figures are known).
fn usable_mib(row: &MigRow) -> u32 {
    let per_cent = if row.compute_slices >= 3 { 98 } else { 90 };
    row.gi_memory_gib.map_or(row.memory_gb * 1024 * per_cent / 100, |gib| (gib * 1024.0) as u32)
}

/// As many times the one-slice profile's SMs as there are compute slices, a lower bound; where that is
/// unknown too, the whole GPU's SMs by compute slices.
fn estimated_sms(row: &MigRow, board: &[&MigRow]) -> u32 {
    let slices = u32::from(row.compute_slices);
    let one = board.iter().find(|r| r.compute_slices == 1 && r.memory_slices == 1).and_then(|r| r.sm_count);
    let whole = board.iter().find(|r| r.memory_slices == r.gpu_memory_slices).and_then(|r| r.sm_count);
    match (one, whole) {
        (Some(one), _) => one * slices,
        (None, Some(whole)) => whole * slices / u32::from(row.gpu_compute_slices),
        (None, None) => unreachable!("{}: {ROWS_ARE_TESTED}", row.gpu),
    }
}

static ROWS: LazyLock<Vec<MigRow>> = LazyLock::new(|| {
    let reader = csv::Reader::from_reader(include_str!("profiles.csv").as_bytes());
    reader.into_deserialize().collect::<Result<_, _>>().expect(ROWS_ARE_TESTED)
});

static MODELS: LazyLock<Vec<GpuModel>> = LazyLock::new(|| {
    let boards = ROWS.chunk_by(|a, b| a.gpu == b.gpu);
    boards.map(|rows| GpuModel::from_rows(&rows.iter().collect::<Vec<_>>())).collect()
});

/// The catalogue rows with their sources.
#[must_use]
pub fn rows() -> &'static [MigRow] {
    &ROWS
}

/// All GPUs that can be partitioned.
#[must_use]
pub fn models() -> &'static [GpuModel] {
    &MODELS
}

/// The GPU of that catalogue name.
///
/// # Errors
/// W0240 where no such GPU can be partitioned, with the nearest name.
pub fn find_model(name: &str) -> Result<&'static GpuModel, Diagnostic> {
    models().iter().find(|model| model.name == name).ok_or_else(|| {
        let names = || models().iter().map(|model| model.name.as_str());
        let help = nearest(name, names()).map_or_else(
            || format!("GPUs with MIG: {}", names().collect::<Vec<_>>().join(", ")),
            |near| format!("write `{near}`"),
        );
        Diagnostic::error("W0240", format!("no MIG profiles are known of a GPU '{name}'")).help(help)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_catalogue_is_well_formed() {
        assert_eq!(models().len(), 16);
        let names: BTreeSet<&str> = models().iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names.len(), 16, "the rows of a board lie together");
        for row in rows() {
            assert!(!row.source.is_empty(), "{} {}", row.gpu, row.profile);
            for word in [&row.confidence, &row.placement_confidence] {
                assert!(["measured", "vendor", "claimed", "estimated"].contains(&word.as_str()), "{word}");
            }
        }
        for model in models() {
            let whole = model.whole();
            assert_eq!(whole.compute_slices, model.compute_slices, "{}", model.name);
            for (_, profile) in model.profiles() {
                let place = format!("{} {}", model.name, profile.name);
                assert!(profile.starts.is_sorted() && !profile.starts.is_empty(), "{place}");
                let last = profile.starts[profile.starts.len() - 1];
                assert!(last + profile.memory_slices <= model.memory_slices, "{place}");
                assert!(0 < profile.sms && profile.sms <= whole.sms, "{place}");
                assert!(0 < profile.memory_mib && profile.memory_mib <= whole.memory_mib, "{place}");
            }
        }
    }

    #[test]
    fn memory_is_what_the_driver_reports_or_derived_from_the_name() {
        let usable = |gpu: &str, profile: &str| {
            let model = find_model(gpu).unwrap();
            let profile = model.profile(model.find(profile).unwrap());
            (profile.memory_mib, profile.memory_is_estimated)
        };
        assert_eq!(usable("H200-141GB-SXM", "1g.18gb"), (16 * 1024, false));
        assert_eq!(usable("GB200-186GB", "3g.93gb"), (93 * 1024 * 98 / 100, true));
        assert_eq!(usable("B300-269GB-SXM", "1g.34gb"), (34 * 1024 * 90 / 100, true));
    }

    #[test]
    fn streaming_multiprocessors_are_not_sevenths() {
        let model = find_model("H100-80GB-SXM").unwrap();
        let sms: Vec<u32> = model.plain().into_iter().map(|id| model.profile(id).sms).collect();
        assert_eq!(sms, [16, 26, 32, 60, 64, 132]);
        let b200 = find_model("B200-180GB-SXM").unwrap();
        let four = b200.profile(b200.find("4g.90gb").unwrap());
        assert_eq!((four.sms, four.sms_are_estimated), (72, true));
    }

    #[test]
    fn misspelt_names_are_told_with_the_nearest() {
        let told = find_model("H100-80GB-SMX").unwrap_err();
        assert_eq!((told.code.0, told.help.as_deref()), ("W0240", Some("write `H100-80GB-SXM`")));
        let told = find_model("H100-80GB-SXM").unwrap().find("3g.20gb").unwrap_err();
        assert_eq!(told.code.0, "W0241");
        assert!(told.message.contains("H100-80GB-SXM has no MIG profile '3g.20gb'"));
    }
}

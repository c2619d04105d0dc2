//! How the GPUs of each pool are shared, and the laws of speed on parts of them.

use super::Notes;
use super::tenancy::{self, WhoShares};
use crate::cluster::ClusterSpec;
use crate::cluster::cards::{CardMode, CardPool, LayoutChange, MigPool, VgpuCards};
use crate::cluster::mig::{Asked, GpuModel, Layout, SliceLaw, find_model};
use crate::diagnostic::nearest;
use crate::scenario::catalogue::{self, SliceLawRow};
use crate::scenario::file::{
    BareMetalTable, CoLocation, MeasuredOn, Mig, MigFor, MigLayoutTable, Named, ScenarioFile, Sharing,
    SharingKeys, SliceLawTable, TenancyTable,
};
use crate::scenario::{Design, PolicyChoice};
use crate::scheduler::shared::{self, ClassLaw, LayoutTimes, PairTable, SharedSetup, SpeedRules};
use crate::tenancy::{Packing, VgpuShape};
use crate::time::SimDuration;

/// The GPU that the measured pairs of the catalogue are about.
const PAIRS_GPU: &str = "V100-SXM2-16GB";

/// Whole GPUs in every pool.
pub(super) fn whole(cluster: &ClusterSpec) -> SharedSetup {
    let pools = cluster.pools.len();
    SharedSetup {
        cards: vec![CardPool::whole(); pools],
        times: vec![LayoutTimes::default(); pools],
        speeds: SpeedRules {
            classes: Vec::new(),
            default: ClassLaw { slice: law_of(default_row()), family: None },
            pools: vec![shared::CoLocation::FixedShare; pools],
            pairs: PairTable::default(),
            measured_on: shared::MeasuredOn::AsAsked,
        },
    }
}

fn default_row() -> &'static SliceLawRow {
    let row = catalogue::slice_laws().iter().find(|row| row.class == "default");
    row.expect("the catalogue has a default law")
}

fn law_of(row: &SliceLawRow) -> SliceLaw {
    SliceLaw::new(row.host, row.compute, row.bandwidth).expect("the laws of the catalogue are tested")
}

/// Says of every design how its GPUs are shared.
pub(super) fn complete(
    notes: &mut Notes<'_>,
    file: &mut ScenarioFile,
    mut designs: Vec<Design>,
    policy: Option<&PolicyChoice>,
) -> Vec<Design> {
    let by_placement =
        policy.and_then(PolicyChoice::classic).is_some_and(|spec| spec.placement.is_for_shared_gpus());
    for design in &mut designs {
        // Boards that slurm.conf cuts give out parts too.
        let is_cut = design.sharing.cards.iter().any(|cards| cards.mode != CardMode::Whole);
        design.shares_gpus = by_placement || is_cut;
        let Some(table) = file.design.get_mut(&design.name) else { continue };
        // Nodes of slurm.conf come first and are no pools of the file.
        let first = design.cluster.pools.len() - table.pool.len().min(design.cluster.pools.len());
        for (at, (name, pool)) in (first..).zip(&mut table.pool) {
            let terms = &design.pools[at];
            let node = &design.cluster.pools[at].node;
            let memory = memory_mib(node.gpu_type.as_deref(), terms.gpu_memory_gb);
            design.sharing.cards[at].memory_mib = memory;
            let mut of_vm = BareMetalTable::default();
            let vgpus = match &pool.tenancy {
                Some(TenancyTable::Vm(vm)) => vm.vgpus_per_gpu.filter(|count| (1..=20).contains(count)),
                _ => None,
            };
            let (kind, mut keys) = match &mut pool.tenancy {
                Some(TenancyTable::BareMetal(table)) => ("bare-metal", table.sharing_keys()),
                Some(TenancyTable::Containers(table)) => ("containers", table.sharing_keys()),
                Some(TenancyTable::Vm(vm)) => match tenancy::who_shares(vm, &mut of_vm) {
                    WhoShares::Jobs => ("vm", vm.sharing_keys()),
                    WhoShares::Vgpus => ("vm", of_vm.sharing_keys()),
                    WhoShares::Nobody => continue,
                },
                None => continue,
            };
            let path = ["design", design.name.as_str(), "pool", name.as_str(), "tenancy", kind];
            let mut view =
                PoolOptions { notes, path, gpus: node.capacity.gpus, gpu: node.gpu_type.as_deref() };
            let (mode, times, co_location) = view.resolve(&mut keys);
            design.shares_gpus |= mode != CardMode::Whole;
            design.sharing.cards[at].mode = mode;
            design.sharing.cards[at].equal_parts = vgpus;
            design.sharing.cards[at].vgpus = vgpu_cards(terms.tenancy.packing);
            design.sharing.times[at] = times;
            design.sharing.speeds.pools[at] = co_location;
        }
    }
    laws(notes, file, &mut designs);
    designs
}

/// How the vGPUs of VMs lie on the GPUs of their hosts.
fn vgpu_cards(packing: Option<Packing>) -> Option<VgpuCards> {
    let packing = packing?;
    let VgpuShape { per_vm, units } = packing.vgpus?;
    Some(VgpuCards { vms: packing.per_host, per_vm, gpus: packing.gpus, units })
}

/// Memory of a GPU that programs can use: as the driver reports it of the whole-GPU instance, else the marketed
/// number as 10^9 bytes, which is safe by some per cent.
fn memory_mib(gpu: Option<&str>, memory_gb: Option<u32>) -> Option<u64> {
    let known = gpu.and_then(|gpu| find_model(gpu).ok()).map(|model| u64::from(model.whole().memory_mib));
    known.or(memory_gb.map(|gb| u64::from(gb) * 1_000_000_000 / (1 << 20)))
}

/// The laws of the catalogue with those of the scenario over them, the same for every design.
fn laws(notes: &mut Notes<'_>, file: &mut ScenarioFile, designs: &mut [Design]) {
    let shares = designs.iter().any(|design| design.shares_gpus);
    let pairs = pair_table();
    for row in catalogue::slice_laws() {
        if shares || file.slice_law.contains_key(&row.class) {
            fill_law(notes, &mut file.slice_law, row);
        }
    }
    let mut classes = Vec::new();
    let mut default = ClassLaw { slice: law_of(default_row()), family: None };
    for (name, table) in &file.slice_law {
        let row = catalogue::slice_laws().iter().find(|row| row.class == *name).unwrap_or(default_row());
        let value = |given: Option<f64>, usual: f64| given.unwrap_or(usual);
        let (host, compute) = (value(table.host, row.host), value(table.compute, row.compute));
        let slice = SliceLaw::new(host, compute, value(table.bandwidth, row.bandwidth));
        let Some(slice) = slice else {
            let message = format!("the numbers of the law `{name}` must be from 0 to 1");
            notes.error("W0209", &["slice-law", name], message);
            continue;
        };
        let family = table.family.as_deref().and_then(|family| {
            let found = pairs.families.iter().position(|known| known == family);
            if found.is_none() {
                let help = match nearest(family, pairs.families.iter().map(String::as_str)) {
                    Some(meant) => format!("did you mean \"{meant}\"?"),
                    None => format!("one of: {}", pairs.families.join(", ")),
                };
                let message = format!("there is no family `{family}` of measured pairs");
                notes.error_help("W0207", &["slice-law", name, "family"], message, help);
            }
            found
        });
        let law = ClassLaw { slice, family };
        if name == "default" {
            default = law;
        } else {
            classes.push((name.clone(), law));
        }
    }
    let measured_on = match file.workload.measured_on {
        Some(MeasuredOn::WholeGpu) => shared::MeasuredOn::WholeGpu,
        Some(MeasuredOn::AsAsked) | None => shared::MeasuredOn::AsAsked,
    };
    if shares {
        let path = ["workload", "measured-on"];
        notes.or_convention(&mut file.workload.measured_on, MeasuredOn::AsAsked, "as-asked", &path);
    }
    for design in designs {
        let rules = &mut design.sharing.speeds;
        rules.classes.clone_from(&classes);
        (rules.default, rules.measured_on) = (default, measured_on);
        rules.pairs.clone_from(&pairs);
    }
}

fn fill_law(notes: &mut Notes<'_>, tables: &mut Named<SliceLawTable>, row: &'static SliceLawRow) {
    let table = tables.entry(row.class.clone()).or_default();
    for (slot, value, name) in [
        (&mut table.host, row.host, "host"),
        (&mut table.compute, row.compute, "compute"),
        (&mut table.bandwidth, row.bandwidth, "bandwidth"),
    ] {
        let path = ["slice-law", row.class.as_str(), name];
        notes.or_default(slot, value, value, &path, &row.source, Some(row.confidence));
    }
}

fn pair_table() -> PairTable {
    let rows = || catalogue::interference().iter().filter(|row| row.gpu == PAIRS_GPU);
    let any = rows().find(|row| row.victim == "any").map_or(1.0, |row| row.slowdown_p50);
    let mut families: Vec<String> = Vec::new();
    for row in rows().filter(|row| row.victim != "any") {
        if !families.contains(&row.victim) {
            families.push(row.victim.clone());
        }
    }
    let of = |victim: &String, aggressor: &String| {
        let found = rows().find(|row| row.victim == *victim && row.aggressor == *aggressor);
        found.map_or(any, |row| row.slowdown_p50)
    };
    let slowdown = families
        .iter()
        .map(|victim| families.iter().map(|aggressor| of(victim, aggressor)).collect())
        .collect();
    PairTable { families, slowdown, any }
}

/// The options of one pool, and where they are written.
struct PoolOptions<'a, 'd> {
    notes: &'a mut Notes<'d>,
    path: [&'a str; 6],
    gpus: u32,
    gpu: Option<&'a str>,
}

impl<'a> PoolOptions<'a, '_> {
    fn at(&self, key: &'a str) -> Vec<&'a str> {
        self.path.iter().copied().chain([key]).collect()
    }

    fn contradiction(&mut self, key: &'a str, message: String, help: &str) {
        let path = self.at(key);
        self.notes.error_help("W0243", &path, message, help);
    }

    fn resolve(&mut self, table: &mut SharingKeys<'_>) -> (CardMode, LayoutTimes, shared::CoLocation) {
        let none = (CardMode::Whole, LayoutTimes::default(), shared::CoLocation::FixedShare);
        let mig = table.mig.unwrap_or(Mig::Off);
        let sharing = table.sharing.unwrap_or(Sharing::None);
        if mig != Mig::Off && sharing != Sharing::None {
            let message = "a GPU cannot be cut by MIG and shared in thousandths in one pool".to_owned();
            self.contradiction("sharing", message, "make two pools, or leave out `mig` or `sharing`");
            return none;
        }
        self.check_unused(table, mig, sharing);
        match (mig, sharing) {
            (Mig::Off, Sharing::None) => none,
            (Mig::Off, _) => {
                let co_location = self.co_location(table, sharing);
                (CardMode::Shares, LayoutTimes::default(), co_location)
            }
            _ => match self.mig(table, mig) {
                Some((mode, times)) => (mode, times, shared::CoLocation::FixedShare),
                None => none,
            },
        }
    }

    /// Settings that mean nothing beside the others are errors: nothing that is written is ignored.
    fn check_unused(&mut self, table: &SharingKeys<'_>, mig: Mig, sharing: Sharing) {
        let changes = matches!(mig, Mig::Dynamic | Mig::Planned);
        let rows = [
            (
                "mig-layouts",
                table.mig_layouts.is_some(),
                mig != Mig::Off,
                "`mig = \"static\"` (or dynamic, planned)",
            ),
            ("mig-for", table.mig_for.is_some(), mig != Mig::Off, "`mig = \"static\"` (or dynamic, planned)"),
            ("mig-whole-node", table.mig_whole_node.is_some(), mig == Mig::Planned, "`mig = \"planned\"`"),
            ("mig-keep-s", table.mig_keep_s.is_some(), changes, "`mig = \"dynamic\"` or `\"planned\"`"),
            (
                "mig-instance-s",
                table.mig_instance_s.is_some(),
                changes,
                "`mig = \"dynamic\"` or `\"planned\"`",
            ),
            ("mig-mode-s", table.mig_mode_s.is_some(), changes, "`mig = \"dynamic\"` or `\"planned\"`"),
            ("mig-node-s", table.mig_node_s.is_some(), mig == Mig::Planned, "`mig = \"planned\"`"),
            (
                "co-location",
                table.co_location.is_some(),
                sharing != Sharing::None,
                "`sharing = \"mps\"` or `\"time-slices\"`",
            ),
            (
                "co-location-loss",
                table.co_location_loss.is_some(),
                sharing == Sharing::Mps || *table.co_location == Some(CoLocation::Saturation),
                "`co-location = \"saturation\"`",
            ),
        ];
        for (key, is_written, has_effect, needs) in rows {
            if is_written && !has_effect {
                self.contradiction(key, format!("`{key}` has no effect here"), &format!("it needs {needs}"));
            }
        }
    }

    fn co_location(&mut self, table: &mut SharingKeys<'_>, sharing: Sharing) -> shared::CoLocation {
        if self.gpus == 0 {
            let message = "the nodes of the pool have no GPUs to share".to_owned();
            self.contradiction("sharing", message, "leave out `sharing`");
        }
        let (usual, word) = match sharing {
            Sharing::TimeSlices => (CoLocation::FixedShare, "fixed-share"),
            Sharing::Mps | Sharing::None => (CoLocation::Saturation, "saturation"),
        };
        let path = self.at("co-location");
        match self.notes.or_convention(&mut *table.co_location, usual, word, &path) {
            CoLocation::FixedShare => shared::CoLocation::FixedShare,
            CoLocation::EqualShare => shared::CoLocation::EqualShare,
            CoLocation::Pairs => shared::CoLocation::Pairs,
            CoLocation::Saturation => {
                let path = self.at("co-location-loss");
                let loss = self.notes.or_convention(&mut *table.co_location_loss, 0.0, 0, &path);
                if !(0.0..1.0).contains(&loss) {
                    let message = format!("`co-location-loss` must be from 0 to below 1, found {loss}");
                    self.notes.error("W0209", &path, message);
                }
                shared::CoLocation::Saturation { loss }
            }
        }
    }

    fn mig(&mut self, table: &mut SharingKeys<'_>, mig: Mig) -> Option<(CardMode, LayoutTimes)> {
        let path = self.at("mig");
        let Some(gpu) = self.gpu.filter(|_| self.gpus > 0) else {
            let message = "the nodes of the pool have no GPUs of a known type to cut".to_owned();
            self.contradiction("mig", message, "write `mig = \"off\"`, or a GPU type that has MIG");
            return None;
        };
        let model = match find_model(gpu) {
            Ok(model) => model,
            Err(problem) => {
                self.notes.tell(problem, &path);
                return None;
            }
        };
        let change = match mig {
            Mig::Off | Mig::Static => LayoutChange::Never,
            Mig::Dynamic => LayoutChange::OnDemand,
            Mig::Planned => LayoutChange::Planned,
        };
        if table.mig_layouts.is_none() && change == LayoutChange::Never {
            let help = "write mig-layouts = [{ instances = [\"3g.40gb\", ...] }]; `windtunnel catalog mig` has the profiles";
            self.contradiction("mig", "`mig = \"static\"` needs `mig-layouts`".to_owned(), help);
            return None;
        }
        let start = self.layouts(table.mig_layouts.as_deref().unwrap_or(&[]), model)?;
        let path = self.at("mig-for");
        let by =
            self.notes.or_convention(&mut *table.mig_for, MigFor::ShareOrMemory, "share-or-memory", &path);
        let mut whole_node = false;
        if change == LayoutChange::Planned {
            let path = self.at("mig-whole-node");
            whole_node = self.notes.or_convention(&mut *table.mig_whole_node, false, false, &path);
        }
        let times = if change == LayoutChange::Never {
            LayoutTimes::default()
        } else {
            self.times(table, gpu, change)
        };
        let by_memory = by == MigFor::ShareOrMemory;
        Some((CardMode::Mig(MigPool { model, start, change, whole_node, by_memory }), times))
    }

    /// The layout of each GPU of a node at the beginning.
    fn layouts(
        &mut self,
        tables: &[MigLayoutTable],
        model: &'static GpuModel,
    ) -> Option<Vec<Option<Layout>>> {
        let mut start = Vec::new();
        let errors = self.notes.problems.errors();
        for (row, table) in tables.iter().enumerate() {
            let row = row.to_string();
            let left = (self.gpus as usize).saturating_sub(start.len());
            let count = table.gpus.map_or(left, |gpus| gpus as usize);
            let layout = self.layout(table, model, &row);
            if count > left || left == 0 {
                let path = self.layout_path(&row, "gpus");
                let message = format!("layouts for more than the {} GPUs of a node", self.gpus);
                self.notes.error_help("W0243", &path, message, "their `gpus` must not sum to more");
                continue;
            }
            start.extend(std::iter::repeat_n(layout, count));
        }
        if self.notes.problems.errors() > errors {
            return None;
        }
        start.resize(self.gpus as usize, None);
        Some(start)
    }

    fn layout_path<'p>(&self, row: &'p str, key: &'p str) -> Vec<&'p str>
    where
        'a: 'p,
    {
        self.path.iter().copied().chain(["mig-layouts", row, key]).collect()
    }

    fn layout(&mut self, table: &MigLayoutTable, model: &'static GpuModel, row: &str) -> Option<Layout> {
        let path = self.layout_path(row, "instances");
        if table.instances.iter().any(|name| name == "whole") {
            if table.instances.len() > 1 {
                let message = "a GPU is whole or cut into instances, not both";
                let help = "write a layout of its own for the whole ones: { gpus = NUMBER, instances = [\"whole\"] }";
                self.notes.error_help("W0243", &path, message, help);
            }
            return None;
        }
        let mut asked = Vec::new();
        for name in &table.instances {
            let (name, start) = match name.split_once('@') {
                Some((name, start)) => (name, Some(start.parse::<u8>())),
                None => (name.as_str(), None),
            };
            match (model.find(name), start.transpose()) {
                (Ok(profile), Ok(start)) => asked.push(Asked { profile, start }),
                (Err(problem), _) => self.notes.tell(problem, &path),
                (Ok(_), Err(_)) => {
                    let message = format!("`{name}@...` names no start: it is a number of a memory unit");
                    self.notes.error_help("W0243", &path, message, "for instance `3g.40gb@4`");
                }
            }
        }
        if asked.len() < table.instances.len() {
            return None;
        }
        match Layout::arrange(model, &asked) {
            Ok(layout) => Some(layout),
            Err(illegal) => {
                self.notes.tell(illegal.diagnostic(model), &path);
                None
            }
        }
    }

    /// How long changes take: as written, else from the catalogue.
    fn times(&mut self, table: &mut SharingKeys<'_>, gpu: &str, change: LayoutChange) -> LayoutTimes {
        let architecture = catalogue::gpu(gpu).map(|row| row.architecture.as_str());
        let keep_path = self.at("mig-keep-s");
        let keep = self.notes.or_convention(&mut *table.mig_keep_s, 60.0, 60, &keep_path);
        let mut times = LayoutTimes { keep: self.span(keep, "mig-keep-s"), ..LayoutTimes::default() };
        let planned = change == LayoutChange::Planned;
        for (slot, time, key, event, used) in [
            (&mut *table.mig_instance_s, &mut times.per_instance, "mig-instance-s", "mig-instance", true),
            (&mut *table.mig_mode_s, &mut times.mode, "mig-mode-s", "mig-mode", true),
            (&mut *table.mig_node_s, &mut times.node, "mig-node-s", "mig-node", planned),
        ] {
            if !used {
                continue;
            }
            let row = catalogue::provisioning_time(event, architecture);
            let (path, known) = (self.at(key), Some(row.confidence));
            let s = self.notes.or_default(slot, row.typical_s, row.typical_s, &path, &row.source, known);
            *time = self.span(s, key);
        }
        times
    }

    fn span(&mut self, s: f64, key: &'a str) -> SimDuration {
        if (0.0..=1e6).contains(&s) {
            return SimDuration::from_micros((s * 1e6).round() as i64);
        }
        let path = self.at(key);
        self.notes.error("W0209", &path, format!("`{key}` must be from 0 to 1,000,000 seconds, found {s}"));
        SimDuration::ZERO
    }
}

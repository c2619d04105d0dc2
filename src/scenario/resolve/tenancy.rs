//! The tenancy of a pool: what its tables mean, what cannot be combined, what the catalogue says.

mod engines;

use self::engines::{check_preemptive, check_slurm};
use super::Notes;
use super::life::{self, About, Life};
use crate::cluster::NodeSpec;
use crate::diagnostic::Diagnostic;
use crate::scenario::catalogue::{self, virtualization};
use crate::scenario::file::{
    BareMetalTable, BootTable, CoLocation, ContainersTable, ContentionLevel, ElasticTable, Hypervisor, Mig,
    MigLayoutTable, NoiseTable, OverheadLevel, OverheadTable, PoolTable, Sharing, SliceScheduler,
    TenancyTable, VmAccess, VmNic, VmTable,
};
use crate::tenancy::{
    Contention, Elastic, Kind, Level, Noise, NoiseSpec, Overhead, Pick, PoolTenancy, Range, Share,
    SliceOrder, Slices, SpanLaw, Start,
};
use crate::time::SimDuration;

/// The nodes of a pool as jobs see them: hosts, or the VMs on them.
pub(super) struct Seen<'a> {
    pub(super) node: &'a mut NodeSpec,
    pub(super) count: &'a mut u32,
}

pub(super) fn resolve(
    notes: &mut Notes<'_>,
    table: &mut PoolTable,
    seen: Seen<'_>,
    path: &[&str; 4],
) -> PoolTenancy {
    let default = TenancyTable::BareMetal(BareMetalTable::default());
    let slot_path = [path[0], path[1], path[2], path[3], "tenancy"];
    notes.or_convention(&mut table.tenancy, default, "bare-metal", &slot_path);
    let tenancy = table.tenancy.as_mut().expect("it was filled in just now");
    let at = |kind| [path[0], path[1], path[2], path[3], "tenancy", kind];
    let gpus = seen.node.capacity.gpus;
    match tenancy {
        TenancyTable::BareMetal(table) => bare_metal(notes, table, gpus, &at("bare-metal")),
        TenancyTable::Containers(table) => containers(notes, table, gpus, &at("containers")),
        TenancyTable::Vm(table) => {
            let path = at("vm");
            Vm { notes, path, hosts: *seen.count }.resolve(table, seen)
        }
    }
}

fn bare_metal(notes: &mut Notes<'_>, table: &mut BareMetalTable, gpus: u32, path: &[&str; 6]) -> PoolTenancy {
    let mut tenancy = PoolTenancy::bare_metal();
    if let Some(level) = table.contention {
        tenancy.contention = contention(level);
    }
    if let Some(boot) = &mut table.boot {
        tenancy.start = Start::PerJob(boot_law(notes, boot, "metal-reimage", &join(path, "boot")));
    }
    let immovable = Some("live-migration-metal");
    let about = About { gpus, immovable, stretches: life::competes(table.contention) };
    let life = Life {
        maintenance: &mut table.maintenance,
        failures: &mut table.failures,
        snapshots: &mut table.snapshots,
        at_limit: &mut table.at_limit,
    };
    life.resolve(notes, about, path, &mut tenancy);
    tenancy
}

fn containers(
    notes: &mut Notes<'_>,
    table: &mut ContainersTable,
    gpus: u32,
    path: &[&str; 6],
) -> PoolTenancy {
    let mut tenancy = PoolTenancy { kind: Kind::Containers, ..PoolTenancy::bare_metal() };
    Kind::Containers.word().clone_into(&mut tenancy.words);
    let level = or_typical(notes, &mut table.contention, &join(path, "contention"));
    tenancy.contention = contention(level);
    tenancy.noise = table.noise.as_mut().and_then(|table| noise(notes, table, &join(path, "noise")));
    let boot = table.boot.get_or_insert_with(BootTable::default);
    tenancy.start = Start::PerJob(boot_law(notes, boot, "container-start", &join(path, "boot")));
    let about = About { gpus, immovable: Some("live-migration-metal"), stretches: true };
    let life = Life {
        maintenance: &mut table.maintenance,
        failures: &mut table.failures,
        snapshots: &mut table.snapshots,
        at_limit: &mut table.at_limit,
    };
    life.resolve(notes, about, path, &mut tenancy);
    tenancy
}

pub(super) fn join<'p>(path: &[&'p str; 6], key: &'p str) -> Vec<&'p str> {
    path.iter().copied().chain([key]).collect()
}

fn or_typical(notes: &mut Notes<'_>, slot: &mut Option<ContentionLevel>, path: &[&str]) -> ContentionLevel {
    notes.or_convention(slot, ContentionLevel::Typical, "typical (losses: catalogue `contention`)", path)
}

fn contention(level: ContentionLevel) -> Option<Contention> {
    let level = match level {
        ContentionLevel::Off => return None,
        ContentionLevel::Low => Level::Low,
        ContentionLevel::Typical => Level::Typical,
        ContentionLevel::High => Level::High,
    };
    let ranges = crate::tenancy::Resource::ALL.map(|resource| {
        let row = virtualization::contention().iter().find(|row| row.resource == resource.word());
        let row = row.expect("the built-in catalogue has every resource");
        Range { low: row.low, typical: row.typical, high: row.high }
    });
    Some(Contention::at(&ranges, level))
}

fn noise(notes: &mut Notes<'_>, table: &mut NoiseTable, path: &[&str]) -> Option<Noise> {
    let mut value = |slot: &mut Option<f64>, setting: &str| {
        let row = virtualization::noise_default(setting);
        let path: Vec<&str> = path.iter().copied().chain([setting]).collect();
        notes.or_default(slot, row.value, row.value, &path, &row.source, Some(row.confidence))
    };
    let cv = value(&mut table.cv, "cv");
    let busy_share = value(&mut table.busy_share, "busy-share");
    let dwell_s = value(&mut table.dwell_s, "dwell-s");
    let spread = value(&mut table.spread, "spread");
    let shape_path: Vec<&str> = path.iter().copied().chain(["dwell-shape"]).collect();
    let shape = notes.or_convention(&mut table.dwell_shape, 1.0, 1, &shape_path);
    if cv == 0.0 {
        return None;
    }
    let dwell = if (1e-3..=1e10).contains(&dwell_s) {
        SimDuration::from_micros((dwell_s * 1e6).round() as i64)
    } else {
        SimDuration::ZERO
    };
    match Noise::new(NoiseSpec { cv, busy_share, dwell, shape, spread }) {
        Ok(noise) => Some(noise),
        Err(error) => {
            let help = "cv from 0, busy-share between 0 and 1, dwell-s positive";
            notes.error_help("W0209", path, format!("there is no such noise: {error}"), help);
            None
        }
    }
}

/// A triangular law from `table`, filled in from the catalogue's row `event`.
pub(super) fn boot_law(notes: &mut Notes<'_>, table: &mut BootTable, event: &str, path: &[&str]) -> SpanLaw {
    let row = catalogue::provisioning_time(event, None);
    // Where only some are written, the others must not contradict them.
    let written = table.typical_s.or(table.low_s).or(table.high_s).is_some();
    let (low, typical, high) = if written {
        let typical = table.typical_s.or(table.high_s).or(table.low_s).unwrap_or(row.typical_s);
        (typical.min(table.high_s.unwrap_or(typical)), typical, typical)
    } else {
        (row.low_s, row.typical_s, row.high_s)
    };
    let mut value = |slot: &mut Option<f64>, usual: f64, key: &str| {
        let path: Vec<&str> = path.iter().copied().chain([key]).collect();
        if written {
            notes.or_convention(slot, usual, usual, &path)
        } else {
            notes.or_default(slot, usual, usual, &path, &row.source, Some(row.confidence))
        }
    };
    let low_s = value(&mut table.low_s, low, "low-s");
    let typical_s = value(&mut table.typical_s, typical, "typical-s");
    let high_s = value(&mut table.high_s, high.max(typical_s), "high-s");
    if !(0.0 <= low_s && low_s <= typical_s && typical_s <= high_s && high_s <= 1e7) {
        let message = format!("no such times: low {low_s}, typical {typical_s}, high {high_s} s");
        notes.error_help("W0209", path, message, "they must rise from 0 to at most 10,000,000 s");
    }
    SpanLaw::Triangular { low_s, typical_s, high_s }
}

/// A pool of virtual machines while it is worked out.
pub(super) struct Vm<'a, 'd> {
    pub(super) notes: &'a mut Notes<'d>,
    path: [&'a str; 6],
    hosts: u32,
}

impl<'a> Vm<'a, '_> {
    pub(super) fn at(&self, key: &'a str) -> Vec<&'a str> {
        join(&self.path, key)
    }

    /// Refuses a combination that a row of the catalogue excludes.
    pub(super) fn refuse(&mut self, constraint: &str, key: &'a str, help: &str) {
        let row = virtualization::constraint(constraint);
        let message = format!("{}: {}", row.applies_to, row.effect);
        let help =
            format!("{help} (constraint `{}`, {}: {})", row.constraint, row.confidence.word(), row.source);
        let path = self.at(key);
        self.notes.tell(Diagnostic::error("W0250", message).help(help), &path);
    }

    fn resolve(mut self, table: &mut VmTable, seen: Seen<'_>) -> PoolTenancy {
        let path = self.at("access");
        let access = self.notes.or_convention(&mut table.access, VmAccess::Passthrough, "passthrough", &path);
        let path = self.at("hypervisor");
        let hypervisor = self.notes.or_convention(&mut table.hypervisor, Hypervisor::Kvm, "kvm", &path);
        let path = self.at("nic");
        let nic = self.notes.or_convention(&mut table.nic, VmNic::SrIov, "sr-iov", &path);
        let host = seen.node.clone();
        let packing =
            self.packing(table, access, hypervisor, &mut Seen { node: seen.node, count: seen.count });
        let gpus_in_vm = packing.map_or(0, |_| seen.node.capacity.gpus);
        self.check_gpus(access, hypervisor, &host, gpus_in_vm);
        let board = host.gpu_type.as_deref().and_then(catalogue::gpu);
        let path = self.at("nvlink");
        let is_whole = matches!(access, VmAccess::Passthrough | VmAccess::VgpuFull);
        if table.nvlink == Some(true) && !is_whole {
            let by = if access == VmAccess::VgpuMig { "mig-vgpu-nvswitch" } else { "vgpu-nvswitch" };
            self.refuse(by, "nvlink", "write `nvlink = false`");
        }
        // Some of the GPUs of a PCIe server: its bridges do not reach the VM, and bare metal has no switch to lose.
        let in_part = access == VmAccess::Passthrough
            && (1..host.capacity.gpus).contains(&gpus_in_vm)
            && !board.is_some_and(|row| row.form_factor.starts_with("SXM"));
        if table.nvlink == Some(true) && in_part {
            self.refuse("partial-passthrough-nvlink", "nvlink", "write `nvlink = false`");
        }
        let default = is_whole && !in_part;
        let is_lost = table.nvlink == Some(false) || !is_whole;
        self.notes.or_convention(&mut table.nvlink, default, default, &path);
        let direct = self.gpudirect_storage(table, access, board.map(|row| row.architecture.as_str()));
        let slices = self.slices(table, access);
        let overhead = table.overhead.get_or_insert_with(OverheadTable::default);
        let overhead = self.overhead(overhead, (access, hypervisor, nic), (is_lost, direct));
        let path = self.at("contention");
        let level = if is_whole {
            or_typical(self.notes, &mut table.contention, &path)
        } else {
            self.notes.or_convention(&mut table.contention, ContentionLevel::Off, "off", &path)
        };
        let path = self.at("noise");
        let noise = table.noise.as_mut().and_then(|table| noise(self.notes, table, &path));
        let path = self.at("boot");
        let start = table
            .boot
            .as_mut()
            .map_or(Start::Standing, |table| Start::PerJob(boot_law(self.notes, table, "vm-boot", &path)));
        let vms = packing.map_or(self.hosts, |packing| packing.per_host.saturating_mul(self.hosts));
        let elastic = table.elastic.as_mut().map(|table| self.elastic(table, vms));
        if let Some(elastic) = &elastic {
            // What can never be there holds no job.
            *seen.count = elastic.max.clamp(1, vms.max(1));
        }
        let mut tenancy = PoolTenancy {
            kind: Kind::Vm,
            words: format!("vm, {}, {}, {}", access.word(), hypervisor.word(), nic.word()),
            overhead,
            noise,
            contention: contention(level),
            packing,
            start,
            elastic,
            slices,
            ..PoolTenancy::bare_metal()
        };
        let immovable = (access == VmAccess::Passthrough).then_some("live-migration");
        let about = About { gpus: host.capacity.gpus, immovable, stretches: is_whole };
        let life = Life {
            maintenance: &mut table.maintenance,
            failures: &mut table.failures,
            snapshots: &mut table.snapshots,
            at_limit: &mut table.at_limit,
        };
        life.resolve(self.notes, about, &self.path, &mut tenancy);
        tenancy
    }

    /// Whether GPUs read storage directly, where the method allows it.
    fn gpudirect_storage(&mut self, table: &mut VmTable, access: VmAccess, board: Option<&str>) -> bool {
        let wanted = table.gpudirect_storage == Some(true);
        let is_new = board.is_some_and(|name| ["Ada", "Hopper", "Blackwell"].contains(&name));
        let help = "leave out `gpudirect-storage`, or pass the GPUs through";
        if wanted && access != VmAccess::Passthrough && !is_new {
            self.refuse("gpudirect-storage-vgpu", "gpudirect-storage", help);
        } else if wanted && matches!(access, VmAccess::VgpuTimeSliced | VmAccess::VgpuMig) {
            self.refuse("gpudirect-storage-time-sliced", "gpudirect-storage", help);
        }
        wanted
    }

    /// Time slices, and a refusal of settings about them, and about layouts, where there are none.
    fn slices(&mut self, table: &mut VmTable, access: VmAccess) -> Option<Slices> {
        if table.mig_layouts.is_some() && access != VmAccess::VgpuMig {
            let path = self.at("mig-layouts");
            let help = "write `access = \"vgpu-mig\"`, or leave it out";
            self.notes.error_help("W0243", &path, "`mig-layouts` has no effect here", help);
        }
        if access != VmAccess::VgpuTimeSliced {
            for (is_there, key) in [
                (table.slices.is_some(), "slices"),
                (table.slice_ms.is_some(), "slice-ms"),
                (table.burst_ms.is_some(), "burst-ms"),
                (table.vgpus_per_gpu.is_some(), "vgpus-per-gpu"),
            ] {
                if is_there {
                    self.refuse("slices-need-time-slicing", key, &format!("leave out `{key}`"));
                }
            }
            return None;
        }
        let path = self.at("slices");
        let usual = SliceScheduler::BestEffort;
        let order = self.notes.or_convention(&mut table.slices, usual, "best-effort", &path);
        match table.vgpus_per_gpu {
            Some(count) if ![1, 2, 4, 5, 8, 10, 16, 20].contains(&count) => {
                self.refuse("vgpu-density", "vgpus-per-gpu", "write one of these numbers");
            }
            None if order == SliceScheduler::FixedShare => {
                let help = "write `vgpus-per-gpu`, the number of equal vGPUs of a GPU";
                self.refuse("fixed-share-equal-sizes", "slices", help);
            }
            _ => {}
        }
        let order = match order {
            SliceScheduler::BestEffort => SliceOrder::BestEffort,
            SliceScheduler::EqualShare => SliceOrder::EqualShare,
            SliceScheduler::FixedShare => SliceOrder::FixedShare,
        };
        let row = catalogue::provisioning_time("vgpu-slice", None);
        let (usual, sure) = (row.typical_s * 1000.0, Some(row.confidence));
        let path = self.at("slice-ms");
        let slice = self.notes.or_default(&mut table.slice_ms, usual, usual, &path, &row.source, sure);
        if !(1.0..=30.0).contains(&slice) {
            let message = format!("`slice-ms = {slice}`: time slices last 1 to 30 ms");
            self.notes.error_help("W0209", &path, message, "write milliseconds from 1 to 30");
        }
        let path = self.at("burst-ms");
        let burst = self.notes.or_convention(&mut table.burst_ms, 10.0, 10, &path);
        if !(0.001..=1e6).contains(&burst) {
            let message = format!("`burst-ms = {burst}` is no length of a burst");
            self.notes.error_help("W0209", &path, message, "write milliseconds from 0.001 to 1,000,000");
        }
        let span = |ms: f64| SimDuration::from_micros((ms.clamp(0.001, 1e6) * 1e3).round() as i64);
        Some(Slices { order, slice: span(slice), burst: span(burst) })
    }

    pub(super) fn overcommit(&mut self, slot: &mut Option<f64>, key: &'a str) -> f64 {
        let path = self.at(key);
        let ratio = self.notes.or_convention(slot, 1.0, 1, &path);
        if !(1.0..=64.0).contains(&ratio) {
            let message = format!("`{key} = {ratio}`: nothing is promised twice below 1");
            self.notes.error_help("W0209", &path, message, "write a ratio from 1 to 64");
            return 1.0;
        }
        ratio
    }

    fn check_gpus(&mut self, access: VmAccess, hypervisor: Hypervisor, host: &NodeSpec, in_vm: u32) {
        let board = host.gpu_type.as_deref().and_then(catalogue::gpu);
        let nvswitch = host.capacity.gpus >= 8 && board.is_some_and(|row| row.form_factor.starts_with("SXM"));
        if in_vm == 0 {
            return;
        }
        if access == VmAccess::Passthrough && nvswitch {
            match hypervisor {
                Hypervisor::Esxi => {
                    let help = "write `access = \"vgpu-full\"`, or another hypervisor";
                    self.refuse("esxi-passthrough-nvswitch", "access", help);
                }
                Hypervisor::Kvm if ![1, 2, 4, 8].contains(&in_vm) => {
                    let help = format!("a VM has {in_vm} GPUs here: write 1, 2, 4 or 8");
                    self.refuse("kvm-nvswitch-partitions", "shape", &help);
                }
                Hypervisor::Kvm | Hypervisor::HyperV => {}
            }
        }
        if access == VmAccess::VgpuFull && hypervisor == Hypervisor::Esxi && in_vm > 8 {
            self.refuse("devices-per-vm", "shape", "make the VM smaller");
        }
    }

    /// The factors of the access method, with the scenario's own over those of the catalogue.
    fn overhead(
        &mut self,
        table: &mut OverheadTable,
        (access, hypervisor, nic): (VmAccess, Hypervisor, VmNic),
        (nvlink_is_lost, reads_directly): (bool, bool),
    ) -> Overhead {
        let path = self.at("overhead");
        let level_path: Vec<&str> = path.iter().copied().chain(["level"]).collect();
        let level =
            self.notes.or_convention(&mut table.level, OverheadLevel::Typical, "typical", &level_path);
        let pick = match level {
            OverheadLevel::Low => Pick::Level(Level::Low),
            OverheadLevel::Typical => Pick::Level(Level::Typical),
            OverheadLevel::High => Pick::Level(Level::High),
            OverheadLevel::Drawn => Pick::Drawn,
        };
        let own =
            [table.compute, table.gpu_memory, table.host, table.intra_node, table.inter_node, table.storage];
        let mut factors = [Range::exactly(1.0); crate::tenancy::overhead::SHARES];
        for ((share, own), range) in Share::ALL.into_iter().zip(own).zip(&mut factors) {
            let key = share.word();
            let key_path: Vec<&str> = path.iter().copied().chain([key]).collect();
            if let Some(factor) = own {
                if !(1.0..=1000.0).contains(&factor) {
                    let message = format!("`{key} = {factor}`: no share gets faster in a VM");
                    self.notes.error_help("W0209", &key_path, message, "write a factor from 1 to 1000");
                }
                *range = Range::exactly(factor);
                continue;
            }
            let access = match share {
                Share::InterNode => nic.word(),
                Share::IntraNode if nvlink_is_lost => "no-nvlink",
                Share::Storage if reads_directly => "gpudirect-storage",
                _ => access.word(),
            };
            let Some(row) = virtualization::factor(access, hypervisor.word(), key) else { continue };
            *range = row.range();
            let value = match pick {
                Pick::Level(level) => range.at(level).to_string(),
                Pick::Drawn => format!("drawn from {} to {}", row.low, row.high),
            };
            // Not written back: a level would then no longer mean anything in the resolved scenario.
            self.notes.or_default(&mut None, (), value, &key_path, &row.source, Some(row.confidence));
        }
        Overhead { factors, pick }
    }

    fn span(&mut self, slot: &mut Option<f64>, usual: f64, table: &'a str, key: &'a str) -> SimDuration {
        let path: Vec<&str> = self.path.iter().copied().chain([table, key]).collect();
        let s = self.notes.or_convention(slot, usual, usual, &path);
        if (0.0..=1e9).contains(&s) {
            return SimDuration::from_micros((s * 1e6).round() as i64);
        }
        let message = format!("`{key} = {s}` is no time: write seconds from 0 to 1,000,000,000");
        self.notes.error("W0209", &path, message);
        SimDuration::ZERO
    }

    fn elastic(&mut self, table: &mut ElasticTable, vms: u32) -> Elastic {
        let path = |key| -> Vec<&'a str> { self.path.iter().copied().chain(["elastic", key]).collect() };
        let (min_path, max_path, step_path) = (path("min"), path("max"), path("step"));
        let (quota_path, failure_path) = (path("quota"), path("failure"));
        let boot_path = path("boot");
        let min = self.notes.or_convention(&mut table.min, 0, 0, &min_path);
        let max = self.notes.or_convention(&mut table.max, vms, vms, &max_path);
        let most = max.min(table.quota.unwrap_or(max));
        if max > vms {
            let message = format!("the hosts of the pool hold {vms} VMs, and `max` is {max}");
            self.notes.error_help("W0209", &max_path, message, "raise `count`, or lower `max`");
        }
        if most == 0 {
            let at = if max == 0 { &max_path } else { &quota_path };
            self.notes.error_help("W0209", at, "a pool of no VMs can never boot", "allow at least one VM");
        } else if min > most {
            let message = format!("`min = {min}` is more than the {most} VMs that `max` and `quota` allow");
            self.notes.error_help("W0209", &min_path, message, "lower `min`");
        }
        let failure = self.notes.or_convention(&mut table.failure, 0.0, 0, &failure_path);
        if !(0.0..1.0).contains(&failure) {
            let message = format!("`failure = {failure}`: such a pool can never boot");
            self.notes.error_help("W0209", &failure_path, message, "write a share from 0 to below 1");
        }
        let step = self.notes.or_convention(&mut table.step, most.max(1), most.max(1), &step_path);
        let boot = table.boot.get_or_insert_with(BootTable::default);
        let boot = boot_law(self.notes, boot, "vm-boot", &boot_path);
        Elastic {
            min,
            max: most,
            step,
            out_after: self.span(&mut table.out_after_s, 0.0, "elastic", "out-after-s"),
            in_after: self.span(&mut table.in_after_s, 600.0, "elastic", "in-after-s"),
            cool_down: self.span(&mut table.cool_down_s, 60.0, "elastic", "cool-down-s"),
            boot,
            failure: if (0.0..1.0).contains(&failure) { failure } else { 0.0 },
            retry: self.span(&mut table.retry_s, 60.0, "elastic", "retry-s"),
        }
    }
}

/// Whether the GPUs of a VM pool are given out in parts; `options` then says how, as of bare metal.
pub(super) fn shares_gpus(vm: &VmTable, options: &mut BareMetalTable) -> bool {
    match vm.access {
        Some(VmAccess::VgpuMig) => {
            options.mig = Some(Mig::Static);
            options.mig_layouts.clone_from(&vm.mig_layouts);
            if let Some(profile) = vm.shape.as_ref().and_then(|shape| shape.mig_profile.clone()) {
                options.mig_layouts = Some(vec![MigLayoutTable { gpus: None, instances: vec![profile] }]);
            }
        }
        Some(VmAccess::VgpuTimeSliced) => {
            options.sharing = Some(Sharing::TimeSlices);
            options.co_location = Some(match vm.slices.unwrap_or(SliceScheduler::BestEffort) {
                SliceScheduler::BestEffort => CoLocation::Saturation,
                SliceScheduler::EqualShare => CoLocation::EqualShare,
                SliceScheduler::FixedShare => CoLocation::FixedShare,
            });
        }
        Some(VmAccess::Passthrough | VmAccess::VgpuFull) | None => return false,
    }
    true
}

/// Tells of pools whose tenancy the policy, or the engine for shared GPUs, cannot run.
pub(super) fn check_policy(notes: &mut Notes<'_>, designs: &[crate::scenario::Design], is_classic: bool) {
    for design in designs {
        let spills = design.routes.iter().find(|route| route.spill.is_some());
        let knows_spills = notes.is_slurm || (is_classic && !design.shares_gpus);
        if let Some(route) = spills.filter(|_| !knows_spills) {
            let path = ["design", design.name.as_str(), "route", route.name.as_str(), "spill"];
            let message = "jobs spill under classic policies on whole GPUs only in this version";
            notes.error_help("W0219", &path, message, "list the pools in `pools`");
        }
        for (pool, terms) in design.cluster.pools.iter().zip(&design.pools) {
            if terms.tenancy.is_plain() && terms.tenancy.kind == Kind::BareMetal {
                continue;
            }
            let path = ["design", design.name.as_str(), "pool", pool.name.as_str(), "tenancy"];
            if notes.is_slurm {
                check_slurm(notes, &path, &terms.tenancy);
            } else if !is_classic {
                let differ = design.pools.iter().any(|pool| pool.tenancy.overhead != terms.tenancy.overhead);
                check_preemptive(notes, &path, &terms.tenancy, differ);
            } else if design.shares_gpus && !terms.tenancy.is_simple() {
                let message = "in a scenario about parts of GPUs a pool has no elastic, maintenance, \
                               failures or snapshots in this version";
                let help = "leave them out, or put the pool into a scenario without parts of GPUs";
                notes.error_help("W0219", &path, message, help);
            }
        }
    }
}

//! VMs of a shape, packed on the hosts of a pool: the nodes of the pool are then the VMs.
//!
//! As many as CPUs, memory and GPUs of a host allow. GPUs of a VM are whole ones, or vGPUs: equal time-sliced parts
//! of a GPU, or MIG instances of one profile.

use super::tenancy::{Seen, Vm};
use crate::cluster::cards::{CARD_UNITS, slice_units};
use crate::cluster::mig::find_model;
use crate::cluster::{Amounts, NodeSpec};
use crate::scenario::file::{Hypervisor, VmAccess, VmShapeTable, VmTable};
use crate::tenancy::{Packing, VgpuShape};

/// Most VMs of a pool.
const MOST_VMS: u64 = (u32::MAX / 2) as u64;

/// What the GPUs of a host give to its VMs.
struct Devices {
    /// Of each VM.
    each: u32,
    /// VMs for which there is enough.
    vms: u64,
    /// Units of a GPU that each is.
    units: u32,
    is_vgpu: bool,
}

impl<'a> Vm<'a, '_> {
    /// Packs VMs on the hosts.
    pub(super) fn packing(
        &mut self,
        table: &mut VmTable,
        access: VmAccess,
        hypervisor: Hypervisor,
        seen: &mut Seen<'_>,
    ) -> Option<Packing> {
        let cpu = self.overcommit(&mut table.cpu_overcommit, "cpu-overcommit");
        let mem = self.overcommit(&mut table.mem_overcommit, "mem-overcommit");
        let host = seen.node.capacity;
        if mem > 1.0 && access == VmAccess::Passthrough && host.gpus > 0 {
            self.refuse("passthrough-memory", "mem-overcommit", "leave `mem-overcommit` at 1");
        }
        let (vcpus, memory) =
            ((f64::from(host.cpus) * cpu).floor() as u64, (host.mem_mb as f64 * mem).floor() as u64);
        let Some(shape) = &table.shape else {
            seen.node.capacity.cpus = u32::try_from(vcpus).unwrap_or(u32::MAX);
            seen.node.capacity.mem_mb = memory;
            let vcpus = seen.node.capacity.cpus;
            let (cpus, gpus) = (host.cpus, host.gpus);
            return Some(Packing { per_host: 1, vcpus, cpus, gpus, units_left: 0, vgpus: None });
        };
        let devices = self.devices(shape, table, (access, hypervisor), seen.node)?;
        let by_cpus = vcpus / u64::from(shape.cpus.max(1));
        let by_memory = memory / shape.mem_mb.max(1);
        let per_host = devices.vms.min(by_cpus).min(by_memory);
        if per_host == 0 || per_host.saturating_mul(u64::from(*seen.count)) > MOST_VMS {
            let (word, each) = (if devices.is_vgpu { "vGPUs" } else { "GPUs" }, devices.each);
            let message = format!(
                "no VM of {} CPUs, {} MiB and {each} {word} fits on a host with {host}",
                shape.cpus, shape.mem_mb
            );
            let path = self.at("shape");
            self.notes.error_help("W0209", &path, message, "make the VM smaller, or raise cpu-overcommit");
            return None;
        }
        let per_host = per_host as u32;
        seen.node.capacity = Amounts { cpus: shape.cpus, mem_mb: shape.mem_mb, gpus: devices.each };
        *seen.count *= per_host;
        let units_left = host.gpus * CARD_UNITS - per_host * devices.each * devices.units;
        let vgpus = devices.is_vgpu.then_some(VgpuShape { per_vm: devices.each, units: devices.units });
        Some(Packing { per_host, vcpus: shape.cpus, cpus: host.cpus, gpus: host.gpus, units_left, vgpus })
    }

    /// A setting of a shape that the access method does not have, or lacks.
    fn wrong_shape(&mut self, key: &'a str, message: &str, help: &str) {
        let path: Vec<&str> = self.at("shape").into_iter().chain([key]).collect();
        self.notes.error_help("W0243", &path, message, help);
    }

    /// GPUs or vGPUs of a shape; `None` where there are no such ones.
    fn devices(
        &mut self,
        shape: &VmShapeTable,
        table: &VmTable,
        (access, hypervisor): (VmAccess, Hypervisor),
        host: &NodeSpec,
    ) -> Option<Devices> {
        let gpus = host.capacity.gpus;
        let is_vgpu = matches!(access, VmAccess::VgpuTimeSliced | VmAccess::VgpuMig);
        if shape.mig_profile.is_some() && access != VmAccess::VgpuMig {
            self.wrong_shape(
                "mig-profile",
                "`mig-profile` has no effect here",
                "write `access = \"vgpu-mig\"`",
            );
            return None;
        }
        if !is_vgpu {
            if shape.vgpus.is_some() {
                let help = "write `gpus`, or `access = \"vgpu-time-sliced\"` or `\"vgpu-mig\"`";
                self.wrong_shape("vgpus", "GPUs are whole under this access method", help);
                return None;
            }
            let each = shape.gpus.unwrap_or(0);
            let vms = gpus.checked_div(each).map_or(u64::MAX, u64::from);
            return Some(Devices { each, vms, units: CARD_UNITS, is_vgpu });
        }
        if shape.gpus.is_some() {
            self.wrong_shape("gpus", "a VM has vGPUs under this access method", "write `vgpus` instead");
            return None;
        }
        let Some(each) = shape.vgpus.filter(|each| *each > 0) else {
            self.wrong_shape("vgpus", "a VM of this pool needs vGPUs", "write `vgpus`, their number");
            return None;
        };
        if hypervisor == Hypervisor::Esxi && each > 8 {
            self.refuse("devices-per-vm", "shape", "make the VM smaller");
        }
        if each > gpus {
            let message =
                format!("{each} vGPUs of a VM on {gpus} GPUs: each is on a GPU of its own in this version");
            self.wrong_shape("vgpus", &message, "write at most the number of GPUs of a host");
            return None;
        }
        let (per_gpu, units) = match access {
            VmAccess::VgpuMig => self.instances(shape, table, host)?,
            _ => {
                let Some(parts) = table.vgpus_per_gpu.filter(|parts| (1..=20).contains(parts)) else {
                    let path = self.at("shape");
                    let help = "write `vgpus-per-gpu`, the number of equal vGPUs of a GPU";
                    self.notes.error_help("W0243", &path, "how large a vGPU is, is not written", help);
                    return None;
                };
                (u32::from(parts), u32::from(1000 / parts) * (CARD_UNITS / 1000))
            }
        };
        Some(Devices { each, vms: u64::from(gpus * per_gpu / each), units, is_vgpu })
    }

    /// Instances of the shape's profile on a GPU, and what each is of it.
    fn instances(&mut self, shape: &VmShapeTable, table: &VmTable, host: &NodeSpec) -> Option<(u32, u32)> {
        if table.mig_layouts.is_some() {
            let path = self.at("mig-layouts");
            let help = "leave out `mig-layouts`: GPUs are cut into the shape's profile, as often as it goes";
            self.notes.error_help("W0243", &path, "`mig-layouts` has no effect beside `shape`", help);
            return None;
        }
        let Some(name) = &shape.mig_profile else {
            let help = "write `mig-profile`; `windtunnel catalog mig` has the profiles";
            self.wrong_shape("mig-profile", "which instances the VMs have is not written", help);
            return None;
        };
        let found = find_model(host.gpu_type.as_deref().unwrap_or(""));
        let found = found.and_then(|model| model.find(name).map(|id| (model, model.profile(id))));
        match found {
            Ok((model, profile)) => {
                Some((u32::from(profile.max_instances), slice_units(model, profile.compute_slices)))
            }
            Err(problem) => {
                let path: Vec<&str> = self.at("shape").into_iter().chain(["mig-profile"]).collect();
                self.notes.tell(problem, &path);
                None
            }
        }
    }
}

//! What jobs hold, and what of it was not productive.

use super::UNITS_PER_DEVICE;
use crate::cluster::Amounts;
use crate::time::SimDuration;

/// Time of one kind of device that was held and not productive, in units of the hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::simulation) struct DeviceTax {
    pub(in crate::simulation) virtualization: i128,
    pub(in crate::simulation) neighbours: i128,
    pub(in crate::simulation) communication: i128,
    pub(in crate::simulation) startup: i128,
    pub(in crate::simulation) held_idle: i128,
    pub(in crate::simulation) storage: i128,
    pub(in crate::simulation) lost: i128,
}

impl DeviceTax {
    pub(in crate::simulation) fn sum(&self) -> i128 {
        self.virtualization
            + self.neighbours
            + self.communication
            + self.startup
            + self.held_idle
            + self.storage
            + self.lost
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.virtualization += other.virtualization;
        self.neighbours += other.neighbours;
        self.communication += other.communication;
        self.startup += other.startup;
        self.held_idle += other.held_idle;
        self.storage += other.storage;
        self.lost += other.lost;
    }
}

/// Parts of 10^9 of the full speed that a job does not have, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::simulation) struct LostParts {
    pub(in crate::simulation) virtualization: u64,
    pub(in crate::simulation) neighbours: u64,
    pub(in crate::simulation) communication: u64,
    pub(in crate::simulation) storage: u64,
}

/// The same of GPUs and CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::simulation) struct Tax {
    pub(in crate::simulation) gpu: DeviceTax,
    pub(in crate::simulation) cpu: DeviceTax,
}

/// What a job holds of a pool, in units of the hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::simulation) struct Held {
    /// 1/21,000 GPUs.
    pub(in crate::simulation) gpu_units: u64,
    pub(in crate::simulation) cpus: u32,
}

impl Held {
    pub(in crate::simulation) fn plus(&self, other: &Self) -> Self {
        Self { gpu_units: self.gpu_units + other.gpu_units, cpus: self.cpus + other.cpus }
    }

    pub(in crate::simulation) fn cpu_units(&self) -> u64 {
        u64::from(self.cpus) * UNITS_PER_DEVICE as u64
    }
}

impl From<&Amounts> for Held {
    /// Whole GPUs.
    fn from(amounts: &Amounts) -> Self {
        Self { gpu_units: u64::from(amounts.gpus) * UNITS_PER_DEVICE as u64, cpus: amounts.cpus }
    }
}

impl Tax {
    /// All of `units` for `span`.
    pub(in crate::simulation) fn whole(units: u64, span: SimDuration) -> i128 {
        i128::from(units) * i128::from(span.micros())
    }

    fn each(&mut self, held: &Held, mut of: impl FnMut(&mut DeviceTax, u64)) {
        of(&mut self.gpu, held.gpu_units);
        of(&mut self.cpu, held.cpu_units());
    }

    /// For `span` a job was slow for these reasons; rounded down.
    pub(in crate::simulation) fn slow(&mut self, held: &Held, span: SimDuration, lost: &LostParts) {
        self.each(held, |tax, units| {
            let whole = Self::whole(units, span);
            tax.virtualization += parts(whole, lost.virtualization);
            tax.neighbours += parts(whole, lost.neighbours);
            tax.communication += parts(whole, lost.communication);
            tax.storage += parts(whole, lost.storage);
        });
    }

    /// For `span` everything held stood still for the sake of virtualization.
    pub(in crate::simulation) fn virtualize(&mut self, held: &Held, span: SimDuration) {
        self.each(held, |tax, units| tax.virtualization += Self::whole(units, span));
    }

    /// For `span` what was held was busy with a snapshot.
    pub(in crate::simulation) fn store(&mut self, held: &Held, span: SimDuration) {
        self.each(held, |tax, units| tax.storage += Self::whole(units, span));
    }

    /// The last `span` of a snapshot, or of a standstill, did not take place.
    pub(in crate::simulation) fn take_back(&mut self, held: &Held, span: SimDuration, is_snapshot: bool) {
        self.each(held, |tax, units| {
            let amount = if is_snapshot { &mut tax.storage } else { &mut tax.virtualization };
            *amount -= Self::whole(units, span).min(*amount);
        });
    }

    /// What was productive of the last `span` was in vain; `before` is what was lost before it.
    pub(in crate::simulation) fn lose(&mut self, held: &Held, span: SimDuration, before: &Self) {
        let of = |tax: &mut DeviceTax, units: u64, before: i128| {
            tax.lost += (Self::whole(units, span) - (tax.sum() - before)).max(0);
        };
        of(&mut self.gpu, held.gpu_units, before.gpu.sum());
        of(&mut self.cpu, held.cpu_units(), before.cpu.sum());
    }

    /// For `span` what was held booted.
    pub(in crate::simulation) fn start_up(&mut self, held: &Held, span: SimDuration) {
        self.each(held, |tax, units| tax.startup += Self::whole(units, span));
    }

    /// Of each GPU only a part was asked for, in units; the rest of it is slack, whatever it was lost to.
    pub(in crate::simulation) fn of_part(&mut self, each: u32) {
        let gpu = &mut self.gpu;
        let amounts = [
            &mut gpu.virtualization,
            &mut gpu.neighbours,
            &mut gpu.communication,
            &mut gpu.startup,
            &mut gpu.held_idle,
            &mut gpu.storage,
            &mut gpu.lost,
        ];
        for amount in amounts {
            *amount = *amount * i128::from(each) / UNITS_PER_DEVICE;
        }
    }

    /// No more can be lost than was held for `span`.
    pub(in crate::simulation) fn cap(&mut self, held: &Held, span: SimDuration) {
        self.each(held, |tax, units| {
            let over = (tax.sum() - Self::whole(units, span)).max(0);
            tax.virtualization -= over.min(tax.virtualization);
        });
    }
}

/// `parts` of 10^9 of an amount, rounded down; in 64 bits where they suffice, which is faster.
fn parts(whole: i128, parts: u64) -> i128 {
    const PARTS: u64 = 1_000_000_000;
    match u64::try_from(whole) {
        Ok(whole) if parts <= PARTS => {
            let (full, rest) = (whole / PARTS, whole % PARTS);
            i128::from(full) * i128::from(parts) + i128::from(rest * parts / PARTS)
        }
        _ => whole * i128::from(parts) / i128::from(PARTS),
    }
}

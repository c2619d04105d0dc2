//! `workload.recorded-on`: where run times were recorded.

use super::Notes;
use crate::cluster::mig::{SliceShare, find_model};
use crate::scenario::file::{RecordedOnTable, RecordedSliceTable, RecordedVmTable, WorkloadTable};
use crate::scenario::{Design, RecordedOn};
use crate::tenancy::{Level, Overhead, Pick, Range, Share};
use crate::time::{MICROS_PER_S, SimDuration};

const KEY: [&str; 2] = ["workload", "recorded-on"];

/// What the table says; `None` where it says nothing, or what cannot be used.
pub(super) fn resolve(
    notes: &mut Notes<'_>,
    table: &WorkloadTable,
    designs: &[Design],
) -> Option<RecordedOn> {
    match table.recorded_on.as_ref()? {
        RecordedOnTable::BareMetal => Some(RecordedOn::BareMetal),
        RecordedOnTable::Design => Some(RecordedOn::Design),
        RecordedOnTable::Vm(vm) => slower(notes, vm, "vm", designs),
        RecordedOnTable::Containers(row) => {
            let alike = RecordedVmTable { start_s: row.start_s, ..RecordedVmTable::default() };
            slower(notes, &alike, "containers", designs)
        }
        RecordedOnTable::Slice(slice) => on_slice(notes, slice, designs),
    }
}

fn slower(
    notes: &mut Notes<'_>,
    table: &RecordedVmTable,
    kind: &str,
    designs: &[Design],
) -> Option<RecordedOn> {
    let written =
        [table.compute, table.gpu_memory, table.host, table.intra_node, table.inter_node, table.storage];
    let mut factors = [Range::exactly(1.0); crate::tenancy::overhead::SHARES];
    for ((share, written), range) in Share::ALL.into_iter().zip(written).zip(&mut factors) {
        let Some(factor) = written else { continue };
        if !(1.0..=1000.0).contains(&factor) {
            let message = format!("`{} = {factor}`: no share was faster in a VM", share.word());
            let path = [KEY[0], KEY[1], kind, share.word()];
            notes.error_help("W0209", &path, message, "write a factor from 1 to 1000");
            return None;
        }
        *range = Range::exactly(factor);
    }
    let start_s = table.start_s.unwrap_or(0.0);
    if !(0.0..=1e6).contains(&start_s) {
        let message = format!("`start-s = {start_s}` is no time for a start");
        let path = [KEY[0], KEY[1], kind, "start-s"];
        notes.error_help("W0209", &path, message, "write seconds from 0 to 1000000");
        return None;
    }
    Some(RecordedOn::Slower {
        overhead: Overhead { factors, pick: Pick::Level(Level::Typical) },
        start: SimDuration::from_micros((start_s * MICROS_PER_S as f64).round() as i64),
        profiles: designs.first()?.profiles.clone(),
    })
}

fn on_slice(notes: &mut Notes<'_>, table: &RecordedSliceTable, designs: &[Design]) -> Option<RecordedOn> {
    let path = |key| [KEY[0], KEY[1], "slice", key];
    let model = match find_model(&table.gpu) {
        Ok(model) => model,
        Err(problem) => {
            notes.tell(problem, &path("gpu"));
            return None;
        }
    };
    match model.find(&table.profile) {
        Ok(id) => Some(RecordedOn::Slice {
            share: SliceShare::of(model, model.profile(id)),
            speeds: Box::new(designs.first()?.sharing.speeds.clone()),
        }),
        Err(problem) => {
            notes.tell(problem, &path("profile"));
            None
        }
    }
}

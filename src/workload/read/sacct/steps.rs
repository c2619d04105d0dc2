//! What the steps of a job tell about it: GPU use and GPU memory.
//!
//! `gres/gpuutil` is in per cent of one GPU, summed over the GPUs of a task; `TRESUsageInTot` sums it
//! over the tasks, `TRESUsageInAve` is its mean over them. A step's GPU time is its total x its elapsed
//! time; the use of a job is the GPU time of its steps over GPUs held x elapsed time of the job. Memory
//! is the largest of any task (`TRESUsageInMax`), divided by the GPUs of a task.

use super::clock::clock_span;
use super::columns::Field as F;
use super::job::{Cells, SacctJob};
use super::tres::{count, size_mib, usage};
use crate::time::MICROS_PER_S;
use crate::workload::read::assembly::{Assembly, RowPlace};
use crate::workload::read::problem::{Problem, code};

/// Summed over the steps of one job.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StepUsage {
    /// Per cent of a GPU x microseconds; `None` = no step tells it.
    used: Option<u128>,
    /// Largest memory of one task.
    memory_mib: Option<u64>,
    /// Tasks of the step with most of them.
    tasks: u64,
}

impl StepUsage {
    /// Adds one step; tells whether its use can be read. Those that only keep a place (`extern`) tell nothing.
    pub fn add(&mut self, step: &str, cells: &Cells<'_>) -> bool {
        if step == "extern" {
            return true;
        }
        let can_read = is_readable(cells);
        let tasks = count(cells.text(F::NTasks)).flatten().map_or(1, u64::from);
        let percent_of =
            |field: F| usage(cells.text(field), "gres/gpuutil").and_then(|n| n.parse::<u64>().ok());
        // A maximum over one task is that task's use.
        let percent = percent_of(F::UsageInTot)
            .or_else(|| percent_of(F::UsageInAve).map(|n| n.saturating_mul(tasks)))
            .or_else(|| percent_of(F::UsageInMax).filter(|_| tasks == 1));
        if let Some(percent) = percent {
            let used = u128::from(percent.min(1 << 20)) * elapsed_micros(cells);
            self.used = Some(self.used.unwrap_or(0) + used);
        }
        let memory = usage(cells.text(F::UsageInMax), "gres/gpumem").and_then(size_mib);
        self.memory_mib = self.memory_mib.max(memory.filter(|mib| *mib > 0));
        self.tasks = self.tasks.max(tasks);
        can_read
    }

    /// Writes use and memory into the job.
    pub fn put(self, read: &mut SacctJob, assembly: &mut Assembly<'_>, row: RowPlace<'_>) {
        if read.gpus == 0 {
            return;
        }
        let held = u128::from(read.gpus) * u128::from(read.job.run.micros().unsigned_abs());
        // Per cent to thousandths.
        if let Some(milli) = self.used.and_then(|used| (used * 10).checked_div(held)) {
            if milli > 1000 {
                let reason = "GPU use above 100 % of the GPUs held (kept as 100 %)";
                assembly.change(row, Problem::new(code::SACCT_ROW, reason, reason));
            }
            read.job.recorded.gpu_util_milli = u16::try_from(milli.min(1000)).ok();
        }
        let per_task = u64::from(read.gpus).div_ceil(self.tasks.max(1)).max(1);
        let memory = self.memory_mib.map(|mib| mib.div_ceil(per_task));
        read.job.recorded.gpu_mem_peak_mib = memory.and_then(|mib| u32::try_from(mib).ok());
    }
}

/// Whether the cells of a step that are used can be read.
fn is_readable(cells: &Cells<'_>) -> bool {
    let tasks = cells.text(F::NTasks);
    let is_use = |field: F| {
        let text = cells.text(field);
        let is_number = |name| usage(text, name).is_none_or(|n| n.parse::<u64>().is_ok());
        let is_size = |name| usage(text, name).is_none_or(|n| size_mib(n).is_some());
        is_number("gres/gpuutil") && is_size("gres/gpumem")
    };
    let elapsed = cells.text(F::Elapsed);
    let raw = cells.text(F::ElapsedRaw);
    (tasks.is_empty() || count(tasks).is_some())
        && [F::UsageInTot, F::UsageInAve, F::UsageInMax].into_iter().all(is_use)
        && (elapsed.is_empty() || clock_span(elapsed).is_some())
        && (raw.is_empty() || raw.parse::<u32>().is_ok())
}

fn elapsed_micros(cells: &Cells<'_>) -> u128 {
    let raw = cells.text(F::ElapsedRaw).parse::<u32>().ok();
    raw.map(|s| u128::from(s) * u128::from(MICROS_PER_S.unsigned_abs()))
        .or_else(|| clock_span(cells.text(F::Elapsed)).map(|span| u128::from(span.micros().unsigned_abs())))
        .unwrap_or(0)
}

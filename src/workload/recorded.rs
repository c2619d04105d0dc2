//! Recorded history, column by column: a trace that recorded only starts pays eight bytes a job.

use crate::ids::{Id, JobId, TextId};
use crate::time::SimTime;

/// What the trace recorded of a job's real history; missing means unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Real start.
    pub start: Option<SimTime>,
    /// Real end, where it differs from start + run.
    pub end: Option<SimTime>,
    /// Real end of its start-up: boot, layout, restore.
    pub work_start: Option<SimTime>,
    /// Real end of eligibility wait.
    pub eligible: Option<SimTime>,
    /// Slurm's state word, interned.
    pub state: Option<TextId>,
    /// Exit code as recorded (`0:0`), interned.
    pub exit_code: Option<TextId>,
    /// GPU type that it ran on.
    pub ran_gpu_type: Option<TextId>,
    /// Mean GPU use, in thousandths.
    pub gpu_util_milli: Option<u16>,
    /// Peak GPU memory.
    pub gpu_mem_peak_mib: Option<u32>,
    /// Nodes that it was given.
    pub alloc_nodes: Option<u32>,
    /// CPUs that it was given, in all.
    pub alloc_cpus: Option<u32>,
    /// GPUs that it was given, in all.
    pub alloc_gpus: Option<u32>,
}

/// One column: empty, or a value for each of the first jobs; `UNKNOWN` stands for none.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column<T>(Vec<T>);

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A value type with one value that no trace can hold.
trait Sentinel: Copy + PartialEq {
    const UNKNOWN: Self;
}

impl Sentinel for SimTime {
    const UNKNOWN: Self = Self::NEVER;
}
impl Sentinel for TextId {
    const UNKNOWN: Self = Self(u32::MAX);
}
impl Sentinel for u16 {
    const UNKNOWN: Self = Self::MAX;
}
impl Sentinel for u32 {
    const UNKNOWN: Self = Self::MAX;
}

impl<T: Sentinel> Column<T> {
    fn get(&self, at: usize) -> Option<T> {
        self.0.get(at).copied().filter(|value| *value != T::UNKNOWN)
    }

    fn set(&mut self, at: usize, value: Option<T>) {
        if at < self.0.len() {
            self.0[at] = value.unwrap_or(T::UNKNOWN);
        } else if let Some(value) = value {
            self.0.resize(at, T::UNKNOWN);
            self.0.push(value);
        }
    }

    fn drop_if_unknown(&mut self) {
        if self.0.iter().all(|value| *value == T::UNKNOWN) {
            self.0 = Vec::new();
        }
    }

    fn reorder(&mut self, from: &[u32]) {
        if !self.0.is_empty() {
            self.0 = from.iter().map(|at| self.get(*at as usize).unwrap_or(T::UNKNOWN)).collect();
        }
    }
}

/// The recorded history of all jobs. A column that no job fills takes no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedColumns {
    start: Column<SimTime>,
    work_start: Column<SimTime>,
    end: Column<SimTime>,
    eligible: Column<SimTime>,
    state: Column<TextId>,
    exit_code: Column<TextId>,
    ran_gpu_type: Column<TextId>,
    gpu_util_milli: Column<u16>,
    gpu_mem_peak_mib: Column<u32>,
    alloc_nodes: Column<u32>,
    alloc_cpus: Column<u32>,
    alloc_gpus: Column<u32>,
}

impl RecordedColumns {
    /// What is known of one job.
    #[must_use]
    pub fn get(&self, job: JobId) -> Recorded {
        let at = job.index();
        Recorded {
            start: self.start.get(at),
            work_start: self.work_start.get(at),
            end: self.end.get(at),
            eligible: self.eligible.get(at),
            state: self.state.get(at),
            exit_code: self.exit_code.get(at),
            ran_gpu_type: self.ran_gpu_type.get(at),
            gpu_util_milli: self.gpu_util_milli.get(at),
            gpu_mem_peak_mib: self.gpu_mem_peak_mib.get(at),
            alloc_nodes: self.alloc_nodes.get(at),
            alloc_cpus: self.alloc_cpus.get(at),
            alloc_gpus: self.alloc_gpus.get(at),
        }
    }

    /// Slurm's state word of one job, if it was recorded.
    #[inline]
    #[must_use]
    pub fn state(&self, job: JobId) -> Option<TextId> {
        self.state.get(job.index())
    }

    /// GPU type that one job ran on, if it was recorded.
    #[inline]
    #[must_use]
    pub fn ran_gpu_type(&self, job: JobId) -> Option<TextId> {
        self.ran_gpu_type.get(job.index())
    }

    /// Mean GPU use of one job in thousandths, if it was recorded.
    #[inline]
    #[must_use]
    pub fn gpu_util_milli(&self, job: JobId) -> Option<u16> {
        self.gpu_util_milli.get(job.index())
    }

    /// Peak GPU memory of one job, if it was recorded.
    #[inline]
    #[must_use]
    pub fn gpu_mem_peak_mib(&self, job: JobId) -> Option<u32> {
        self.gpu_mem_peak_mib.get(job.index())
    }

    /// Whether the trace says of any job on which GPU type it ran.
    #[must_use]
    pub fn has_gpu_types(&self) -> bool {
        !self.ran_gpu_type.0.is_empty()
    }

    /// Sets what is known of one job.
    pub fn set(&mut self, job: JobId, row: &Recorded) {
        let at = job.index();
        self.set_start(job, row.start);
        self.work_start.set(at, row.work_start);
        self.end.set(at, row.end);
        self.eligible.set(at, row.eligible);
        self.state.set(at, row.state);
        self.exit_code.set(at, row.exit_code);
        self.ran_gpu_type.set(at, row.ran_gpu_type);
        self.gpu_util_milli.set(at, row.gpu_util_milli);
        self.gpu_mem_peak_mib.set(at, row.gpu_mem_peak_mib);
        self.alloc_nodes.set(at, row.alloc_nodes);
        self.alloc_cpus.set(at, row.alloc_cpus);
        self.alloc_gpus.set(at, row.alloc_gpus);
    }

    /// Sets the real start of one job.
    #[inline]
    pub fn set_start(&mut self, job: JobId, start: Option<SimTime>) {
        self.start.set(job.index(), start);
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start.0.is_empty()
            && self.work_start.0.is_empty()
            && self.end.0.is_empty()
            && self.eligible.0.is_empty()
            && self.state.0.is_empty()
            && self.exit_code.0.is_empty()
            && self.ran_gpu_type.0.is_empty()
            && self.gpu_util_milli.0.is_empty()
            && self.gpu_mem_peak_mib.0.is_empty()
            && self.alloc_nodes.0.is_empty()
            && self.alloc_cpus.0.is_empty()
            && self.alloc_gpus.0.is_empty()
    }

    /// Whether any real start was recorded.
    #[must_use]
    pub fn has_starts(&self) -> bool {
        !self.start.0.is_empty()
    }

    /// Frees columns in which nothing is known any more.
    pub fn drop_empty_columns(&mut self) {
        self.start.drop_if_unknown();
        self.work_start.drop_if_unknown();
        self.end.drop_if_unknown();
        self.eligible.drop_if_unknown();
        self.state.drop_if_unknown();
        self.exit_code.drop_if_unknown();
        self.ran_gpu_type.drop_if_unknown();
        self.gpu_util_milli.drop_if_unknown();
        self.gpu_mem_peak_mib.drop_if_unknown();
        self.alloc_nodes.drop_if_unknown();
        self.alloc_cpus.drop_if_unknown();
        self.alloc_gpus.drop_if_unknown();
    }

    /// Rearranges all columns: the job at position `i` afterwards is the one that was at `from[i]`.
    pub fn reorder(&mut self, from: &[u32]) {
        self.start.reorder(from);
        self.work_start.reorder(from);
        self.end.reorder(from);
        self.eligible.reorder(from);
        self.state.reorder(from);
        self.exit_code.reorder(from);
        self.ran_gpu_type.reorder(from);
        self.gpu_util_milli.reorder(from);
        self.gpu_mem_peak_mib.reorder(from);
        self.alloc_nodes.reorder(from);
        self.alloc_cpus.reorder(from);
        self.alloc_gpus.reorder(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_stays_unknown_and_unused_columns_stay_empty() {
        let mut columns = RecordedColumns::default();
        assert!(columns.is_empty());
        columns.set_start(JobId(2), Some(SimTime::from_s(5)));
        columns.set_start(JobId(3), None);
        assert_eq!(columns.get(JobId(0)), Recorded::default());
        assert_eq!(columns.get(JobId(2)).start, Some(SimTime::from_s(5)));
        assert_eq!(columns.get(JobId(9)), Recorded::default());
        assert!(columns.end.0.is_empty());
        columns.reorder(&[2, 0]);
        assert_eq!(columns.get(JobId(0)).start, Some(SimTime::from_s(5)));
        assert_eq!(columns.get(JobId(1)).start, None);
    }
}

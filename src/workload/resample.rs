//! Another history of the same kind: blocks of the trace drawn with replacement (block bootstrap; Künsch, Annals
//! of Statistics 17(3), 1989). Inside a block everything stays as it was; between blocks nothing is kept.

use std::collections::BTreeMap;

use super::{Extras, Job, Recorded, Workload};
use crate::ids::{Id, JobId};
use crate::time::{SimDuration, SimTime};

impl Workload {
    /// How many blocks of this length the submissions span; the last one may be shorter.
    #[must_use]
    pub fn blocks(&self, length: SimDuration) -> u64 {
        let last = self.jobs.iter().last().map_or(SimTime::ZERO, |job| job.submit);
        let span = last.saturating_since(self.first_submit()).micros();
        (span / length.micros().max(1)) as u64 + 1
    }

    /// The blocks of these numbers one after another, from the first submission on. A condition on a job of
    /// another block counts as met; array tasks of different copies are different arrays. Recorded starts
    /// and ends, which belong to the one history that there was, are dropped.
    ///
    /// # Panics
    /// If a number is not below [`Workload::blocks`].
    #[must_use]
    pub fn resample(&self, length: SimDuration, drawn: &[u64]) -> Self {
        let first = self.first_submit();
        let blocks = self.blocks(length);
        let mut copy = Self {
            requests: self.requests.clone(),
            labels: self.labels.clone(),
            texts: self.texts.clone(),
            unused_columns: self.unused_columns.clone(),
            header: self.header.clone(),
            ..Self::default()
        };
        let end = self.jobs.iter().last().map_or(first, |job| job.submit) + SimDuration::from_micros(1);
        let mut offset = first;
        for (slot, &block) in drawn.iter().enumerate() {
            assert!(block < blocks, "a block of the trace");
            let from = first + SimDuration::from_micros(length.micros() * block as i64);
            let until = (from + length).min(end);
            self.append(&mut copy, (from, until), offset, slot);
            offset = offset + until.since(from);
        }
        copy
    }

    /// Copies the jobs submitted in `[from, until)` so that the block begins at `offset`.
    fn append(&self, copy: &mut Self, (from, until): (SimTime, SimTime), offset: SimTime, slot: usize) {
        let position = |at: SimTime| self.jobs.as_slice().partition_point(|job| job.submit < at);
        let jobs = position(from)..position(until);
        let moved = |at: SimTime| if at >= from { offset + at.since(from) } else { offset };
        let start = copy.jobs.len();
        let renamed =
            |id: JobId| jobs.contains(&id.index()).then(|| JobId::new(start + id.index() - jobs.start));
        for at in jobs.clone() {
            let job = &self.jobs[JobId::new(at)];
            let id = JobId::new(copy.jobs.len());
            copy.jobs.push(Job { submit: moved(job.submit), ..job.clone() });
            let recorded = self.recorded(JobId::new(at));
            let kept = Recorded { start: None, work_start: None, end: None, eligible: None, ..recorded };
            if kept != Recorded::default() {
                copy.recorded.set(id, &kept);
            }
        }
        let mut arrays = BTreeMap::new();
        let rows = self.extras.iter().filter(|(id, _)| jobs.contains(&id.index()));
        for (id, extras) in rows {
            let mut extras: Extras = extras.clone();
            extras.begin = extras.begin.map(moved);
            extras.cancel = extras.cancel.map(moved);
            for condition in &mut extras.after {
                condition.jobs = condition.jobs.iter().filter_map(|job| renamed(*job)).collect();
            }
            if let Some((array, _)) = &mut extras.array {
                let name = format!("{}/{slot}", self.texts.get(*array));
                *array = *arrays.entry(*array).or_insert_with(|| copy.texts.intern(&name));
            }
            let id = renamed(*id).expect("it is in the block");
            copy.extras.push((id, extras));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::generate::{Model, ResearchParams, generate};

    fn jobs() -> Workload {
        let params = ResearchParams { days: Some(9.5), ..ResearchParams::default() };
        generate(&Model::Research(params), 3).unwrap()
    }

    #[test]
    fn every_block_once_in_order_is_the_trace_itself() {
        let workload = jobs();
        let day = SimDuration::from_micros(86_400_000_000);
        let blocks = workload.blocks(day);
        assert!((9..=10).contains(&blocks), "{blocks}");
        let same = workload.resample(day, &(0..blocks).collect::<Vec<_>>());
        assert_eq!(same.jobs.as_slice(), workload.jobs.as_slice());
        assert_eq!(same.extras.len(), workload.extras.len());
    }

    #[test]
    fn blocks_keep_what_is_inside_and_stand_in_order() {
        let workload = jobs();
        let day = SimDuration::from_micros(86_400_000_000);
        let twice = workload.resample(day, &[2, 2, 0]);
        let of = |block: i64| {
            let first = workload.first_submit();
            let from = first + SimDuration::from_micros(86_400_000_000 * block);
            workload.jobs.iter().filter(|j| j.submit >= from && j.submit < from + day).count()
        };
        assert_eq!(twice.jobs.len(), 2 * of(2) + of(0));
        assert!(twice.jobs.as_slice().is_sorted_by_key(|job| job.submit));
        let (a, b) = (&twice.jobs.as_slice()[..of(2)], &twice.jobs.as_slice()[of(2)..2 * of(2)]);
        assert!(a.iter().zip(b).all(|(a, b)| b.submit == a.submit + day && a.run == b.run));
        for (id, extras) in &twice.extras {
            assert!(extras.after.iter().flat_map(|c| &c.jobs).all(|job| job < id), "{id:?}");
        }
    }
}

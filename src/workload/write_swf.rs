//! Writes a workload in the Standard Workload Format 2.2 (Feitelson, Parallel Workloads Archive).
//!
//! The format knows processors, not GPUs: what it cannot hold (GPUs, classes, memory of nodes, array and
//! dependency structure) is left out, so this is for workloads of processor jobs, such as the
//! Lublin-Feitelson model's. Times are cut to whole seconds, as the format demands. Users, accounts and
//! partitions become numbers in order of appearance; a partitionless interactive or batch class becomes
//! queue 0 or 1, as the archive's own models have it.

use std::io::{self, Write};

use super::{Job, JobFlags, JobName, Labels, Workload, stats};
use crate::ids::{JobId, TextId};
use crate::time::MICROS_PER_S;

/// Writes the header (the workload's own facts, `; Key: value`) and a row of 18 numbers for each job.
///
/// # Errors
/// What `out` reports; [`io::ErrorKind::InvalidInput`] for a header fact with a line break.
pub fn write_swf(workload: &Workload, out: impl Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    for (key, value) in &workload.header {
        if value.contains(['\n', '\r']) || key.contains(['\n', '\r']) {
            let message = format!("the header fact {key} holds a line break");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        writeln!(out, "; {key}: {value}")?;
    }
    let mut numbers = Numbers::default();
    for (id, job) in workload.jobs.iter_ids() {
        let labels = workload.labels.get(job.labels);
        let cpus = stats::cpus(workload.requests.get(job.request));
        let known_limit = !job.flags.has(JobFlags::LIMIT_UNKNOWN);
        let limit = if known_limit { whole_s(job.limit.micros()) } else { -1 };
        writeln!(
            out,
            "{} {} -1 {} {cpus} -1 -1 {cpus} {limit} -1 1 {} {} -1 {} -1 -1 -1",
            number_of(job, id),
            whole_s(job.submit.micros()),
            whole_s(job.run.micros()),
            numbers.users.of(labels.user),
            numbers.accounts.of(labels.account),
            numbers.queue(workload, labels),
        )?;
    }
    out.flush()
}

fn whole_s(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_S)
}

/// The job's own number, or its place in the file where its name is a text.
fn number_of(job: &Job, id: JobId) -> u32 {
    match job.name {
        JobName::Number(n) => n,
        JobName::Text(_) => id.0 + 1,
    }
}

/// Texts numbered from 1 in order of appearance.
#[derive(Default)]
struct Numbering(Vec<TextId>);

impl Numbering {
    fn of(&mut self, text: Option<TextId>) -> i64 {
        let Some(text) = text else { return -1 };
        let at = self.0.iter().position(|known| *known == text).unwrap_or_else(|| {
            self.0.push(text);
            self.0.len() - 1
        });
        at as i64 + 1
    }
}

#[derive(Default)]
struct Numbers {
    users: Numbering,
    accounts: Numbering,
    partitions: Numbering,
}

impl Numbers {
    fn queue(&mut self, workload: &Workload, labels: &Labels) -> i64 {
        if labels.partition.is_some() {
            return self.partitions.of(labels.partition);
        }
        match labels.class.map(|class| workload.texts.get(class)) {
            Some("interactive") => 0,
            Some("batch") => 1,
            _ => -1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::generate::{LublinParams, Model, generate};

    #[test]
    fn rows_have_eighteen_numbers() {
        let params = LublinParams { jobs: Some(50), ..LublinParams::default() };
        let workload = generate(&Model::Lublin(params), 1).unwrap();
        let mut text = Vec::new();
        write_swf(&workload, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (header, rows): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with(';'));
        assert!(header.contains(&"; MaxProcs: 256") && rows.len() == 50);
        for row in rows {
            let fields: Vec<i64> = row.split(' ').map(|f| f.parse().unwrap()).collect();
            assert_eq!(fields.len(), 18);
            assert!(fields[3] > 0 && fields[4] == fields[7] && [0, 1].contains(&fields[14]));
        }
    }
}

//! A run as `sacct -a -D -P` would list it, so that accounting scripts and our own reader take it.
//!
//! A row for each attempt, times of the trace as civil times in UTC, whole seconds, Slurm's names of columns, states
//! and TRES. Jobs that were refused or not submitted have no row, as in Slurm. What Slurm cannot say is told in
//! `Comment`: the trace's own id where it is no job id of Slurm. Shares of a GPU are `gres/shard` in thousandths.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::jobs::{come, hosts, last_allocations};
use crate::cluster::{Allocation, CardAllocation, Device};
use crate::experiment::DesignResult;
use crate::ids::{Id, IdVec, JobId, TextId};
use crate::scenario::slurm_conf::compress_hosts;
use crate::simulation::{Ending, JobState, Stretch};
use crate::time::{MICROS_PER_S, SimTime};
use crate::workload::{Job, JobFlags, Request, Workload};

/// Columns, by Slurm's names.
pub(super) const COLUMNS: [&str; 29] = [
    "JobID",
    "JobName",
    "User",
    "Account",
    "Partition",
    "QOS",
    "State",
    "ExitCode",
    "Submit",
    "Eligible",
    "Start",
    "End",
    "Elapsed",
    "ElapsedRaw",
    "Suspended",
    "Timelimit",
    "TimelimitRaw",
    "ReqNodes",
    "AllocNodes",
    "ReqCPUS",
    "AllocCPUS",
    "CPUTimeRAW",
    "ReqMem",
    "ReqTRES",
    "AllocTRES",
    "NodeList",
    "Priority",
    "Constraints",
    "Comment",
];

/// Writes one design as a dump.
///
/// # Errors
/// What `out` reports; [`io::ErrorKind::InvalidInput`] for an instant beyond the year 9999.
pub fn sacct_dump(workload: &Workload, result: &DesignResult, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join("|"))?;
    let dump = Dump {
        workload,
        result,
        hosts: hosts(&result.design),
        held: last_allocations(result, workload.jobs.len()),
        cards: last_cards(result),
        ids: slurm_ids(workload),
    };
    for job in workload.jobs.ids() {
        dump.job(job, out)?;
    }
    Ok(())
}

/// One time that a job ran, or would have.
struct Attempt<'a> {
    start: Option<SimTime>,
    end: Option<SimTime>,
    state: &'static str,
    suspended_us: i64,
    allocation: Option<&'a Allocation>,
}

/// An attempt that was not the last: its stretches between pauses.
fn over(stretches: &[Stretch]) -> Attempt<'_> {
    let (first, last) = (stretches.first(), stretches.last());
    Attempt {
        start: first.map(|first| first.start),
        end: last.and_then(|last| come(last.end)),
        state: "REQUEUED",
        suspended_us: suspended_us(stretches),
        allocation: last.map(|last| &last.allocation),
    }
}

/// Time between the stretches of an attempt.
fn suspended_us(stretches: &[Stretch]) -> i64 {
    let pairs = stretches.windows(2);
    pairs.map(|pair| pair[1].start.since(pair[0].end).micros()).sum()
}

struct Dump<'a> {
    workload: &'a Workload,
    result: &'a DesignResult,
    hosts: Vec<String>,
    held: IdVec<JobId, Option<&'a Allocation>>,
    /// Parts of GPUs that each job held last.
    cards: BTreeMap<JobId, &'a CardAllocation>,
    /// Job ids of Slurm for names that are none.
    ids: BTreeMap<JobId, u64>,
}

impl<'a> Dump<'a> {
    fn job(&self, job: JobId, out: &mut dyn Write) -> io::Result<()> {
        let record = self.result.outcome.records[job];
        if matches!(record.state, JobState::Refused | JobState::Future) {
            return Ok(());
        }
        let outcome = &self.result.outcome;
        let several = outcome.several(job);
        // A preempted job that keeps its work is suspended meanwhile; one that was lost begins anew, or at its snapshot.
        let keeps_work = outcome.preemptive.is_some();
        let is_last_of = |row: &Stretch| !keeps_work || row.ending == Ending::NodeLost;
        let (mut rest, mut rows) = (several, Vec::new());
        while let Some(at) = rest.iter().position(is_last_of) {
            rows.push(&rest[..=at]);
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            rows.push(rest);
        }
        let last = rows.pop().unwrap_or(&[]);
        for earlier in rows {
            self.row(job, &over(earlier), out)?;
        }
        let start = come(last.first().map_or(record.start, |first| first.start));
        let end = come(record.end);
        let (state, allocation) = (record.state.name(), self.held[job].filter(|_| start.is_some()));
        let attempt = Attempt { start, end, state, suspended_us: suspended_us(last), allocation };
        self.row(job, &attempt, out)
    }

    fn row(&self, id: JobId, attempt: &Attempt<'_>, out: &mut dyn Write) -> io::Result<()> {
        let workload = self.workload;
        let job = &workload.jobs[id];
        let labels = workload.labels.get(job.labels);
        let request = workload.requests.get(job.request);
        let nodes = attempt.allocation.map_or(0, |allocation| allocation.len());
        let cpus: u64 = attempt.allocation.map_or(0, |a| a.iter().map(|g| u64::from(g.cpus)).sum());
        let suspended_s = attempt.suspended_us / MICROS_PER_S;
        let until = attempt.end.or(attempt.start.map(|_| self.result.outcome.last_instant));
        let elapsed_s = attempt.start.zip(until).map_or(0, |(start, end)| second(end) - second(start));
        let elapsed_s = (elapsed_s - suspended_s).max(0);
        let name = workload.job_name(id);
        let number = self.ids.get(&id);
        let text = |id: Option<TextId>| plain(id.map_or("", |id| workload.texts.get(id)));
        let features: Vec<&str> = request.features.iter().map(|id| workload.texts.get(*id)).collect();
        let asked_nodes = request.nodes.unwrap_or(1);
        let mem_mb = request.mem_mb_per_node.map(|mem| mem * nodes.max(asked_nodes as usize) as u64);
        let cells = [
            number.map_or_else(|| name.clone(), u64::to_string),
            text(labels.name),
            text(labels.user),
            text(labels.account),
            text(labels.partition),
            text(labels.qos),
            attempt.state.to_owned(),
            exit_code(attempt.state).to_owned(),
            civil(Some(job.submit))?,
            civil(come(self.result.outcome.eligible(workload, id)))?,
            civil(attempt.start)?,
            civil(attempt.end)?,
            clock(elapsed_s),
            elapsed_s.to_string(),
            clock(suspended_s),
            limit(job).map_or_else(|| "UNLIMITED".to_owned(), |minutes| clock(minutes * 60)),
            limit(job).map_or_else(|| "UNLIMITED".to_owned(), |minutes| minutes.to_string()),
            asked_nodes.to_string(),
            nodes.to_string(),
            request.total_cpus().to_string(),
            cpus.to_string(),
            (cpus as i64 * elapsed_s).to_string(),
            mem_mb.map_or_else(String::new, |mem| format!("{mem}M")),
            self.asked_tres(request, mem_mb),
            attempt.allocation.map_or_else(String::new, |held| self.held_tres(id, held)),
            attempt.allocation.map_or_else(|| "None assigned".to_owned(), |held| self.nodes(held)),
            job.priority.max(0).to_string(),
            plain(&features.join("&")),
            number.map_or_else(String::new, |_| plain(&name)),
        ];
        debug_assert_eq!(cells.len(), COLUMNS.len());
        writeln!(out, "{}", cells.join("|"))
    }

    fn nodes(&self, allocation: &Allocation) -> String {
        let mut nodes: Vec<usize> = allocation.iter().map(|grant| grant.node.index()).collect();
        nodes.sort_unstable();
        compress_hosts(nodes.iter().map(|node| self.hosts[*node].as_str()))
    }

    fn asked_tres(&self, request: &Request, mem_mb: Option<u64>) -> String {
        let mut parts = vec![format!("cpu={}", request.total_cpus())];
        let gpus = request.total_gpus();
        if let Some(milli) = request.gpu_milli.filter(|milli| *milli < 1000) {
            parts.push(format!("gres/shard={}", gpus * u64::from(milli)));
        } else if gpus > 0 {
            let profile = request.mig_profile.map(|id| self.workload.texts.get(id));
            let kind = match (&request.gpu_types[..], profile) {
                ([only], None) => format!(":{}", self.workload.texts.get(*only)),
                ([only], Some(profile)) => format!(":{}_{profile}", self.workload.texts.get(*only)),
                (_, Some(profile)) => format!(":{profile}"),
                (_, None) => String::new(),
            };
            parts.push(format!("gres/gpu{kind}={gpus}"));
        }
        parts.extend(mem_mb.map(|mem| format!("mem={mem}M")));
        parts.push(format!("node={}", request.nodes.unwrap_or(1)));
        parts.join(",")
    }

    fn held_tres(&self, job: JobId, allocation: &Allocation) -> String {
        let sum = |of: fn(&crate::cluster::Grant) -> u64| allocation.iter().map(of).sum::<u64>();
        let mut parts = vec![format!("cpu={}", sum(|grant| u64::from(grant.cpus)))];
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        match self.cards.get(&job) {
            Some(cards) => {
                for (grant, device) in cards.iter().flat_map(|g| g.gpus.iter().map(move |d| (g, d))) {
                    let (kind, amount) = self.device(grant.node.index(), device);
                    *kinds.entry(kind).or_default() += amount;
                }
            }
            None => {
                for grant in allocation.iter().filter(|grant| grant.gpus != 0) {
                    let kind = format!("gres/gpu:{}", self.board(grant.node.index()));
                    *kinds.entry(kind).or_default() += u64::from(grant.gpus.count_ones());
                }
            }
        }
        parts.extend(kinds.into_iter().map(|(kind, amount)| format!("{kind}={amount}")));
        let mem_mb = sum(|grant| grant.mem_mb);
        parts.extend((mem_mb > 0).then(|| format!("mem={mem_mb}M")));
        parts.push(format!("node={}", allocation.len()));
        parts.join(",")
    }

    /// The TRES of a device and how much of it there is.
    fn device(&self, node: usize, device: &Device) -> (String, u64) {
        let board = self.board(node);
        match device {
            Device::Whole { .. } => (format!("gres/gpu:{board}"), 1),
            Device::Share { milli, .. } => ("gres/shard".to_owned(), u64::from(*milli)),
            Device::Instance { placement, .. } => {
                let cards = &self.result.design.sharing.cards[self.pool(node)];
                let mig = cards.mig().expect("instances are of pools with MIG");
                (format!("gres/gpu:{board}_{}", mig.model.profile(placement.profile).name), 1)
            }
        }
    }

    fn pool(&self, node: usize) -> usize {
        let mut last = 0;
        let pools = &self.result.design.cluster.pools;
        let of_node = pools.iter().position(|pool| {
            last += pool.count as usize;
            node < last
        });
        of_node.expect("the node is of a pool")
    }

    fn board(&self, node: usize) -> &str {
        self.result.design.cluster.pools[self.pool(node)].node.gpu_type.as_deref().unwrap_or("gpu")
    }
}

/// Parts of GPUs that each job held last, where GPUs are shared and allocations were kept.
fn last_cards(result: &DesignResult) -> BTreeMap<JobId, &CardAllocation> {
    let facts = result.outcome.shared.as_deref();
    facts.into_iter().flat_map(|facts| &facts.holdings).map(|held| (held.job, &held.allocation)).collect()
}

/// Numbers for jobs whose names are no job ids of Slurm, above all that are.
fn slurm_ids(workload: &Workload) -> BTreeMap<JobId, u64> {
    let names = || workload.jobs.ids().map(|job| (job, workload.job_name(job)));
    let base = |name: &str| name.split('_').next().and_then(|base| base.parse::<u64>().ok());
    let most = names().filter(|(_, name)| is_slurm_id(name)).filter_map(|(_, name)| base(&name)).max();
    let others = names().filter(|(_, name)| !is_slurm_id(name));
    others.zip(most.unwrap_or(0) + 1..).map(|((job, _), number)| (job, number)).collect()
}

/// `123` or `123_4`.
fn is_slurm_id(name: &str) -> bool {
    let is_number =
        |text: &str| !text.is_empty() && text.len() < 16 && text.bytes().all(|c| c.is_ascii_digit());
    name.split_once('_').map_or_else(|| is_number(name), |(base, task)| is_number(base) && is_number(task))
}

/// What sacct's separator would cut stays whole.
fn plain(text: &str) -> String {
    text.replace(['|', '\n', '\r'], "/")
}

fn second(at: SimTime) -> i64 {
    at.micros().div_euclid(MICROS_PER_S)
}

/// Requested minutes, rounded up as Slurm does; `None` where nothing was asked.
fn limit(job: &Job) -> Option<i64> {
    let minute = 60 * MICROS_PER_S;
    (!job.flags.has(JobFlags::LIMIT_UNKNOWN)).then(|| (job.limit.micros() + minute - 1) / minute)
}

/// `2024-03-31T02:30:00`, or `Unknown`.
fn civil(at: Option<SimTime>) -> io::Result<String> {
    let Some(at) = at else { return Ok("Unknown".to_owned()) };
    let instant = jiff::Timestamp::from_second(second(at)).map_err(|error| {
        let message = format!("the instant {at} s is beyond the calendar of sacct: {error}");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    Ok(instant.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

/// `[D-]HH:MM:SS`.
fn clock(seconds: i64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days}-{clock}") } else { clock }
}

/// Exit status and signal: what Slurm writes for each end.
fn exit_code(state: &str) -> &'static str {
    match state {
        "FAILED" => "1:0",
        "CANCELLED" | "TIMEOUT" | "PREEMPTED" | "REQUEUED" => "0:15",
        _ => "0:0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_slurm_prints_them() {
        assert_eq!(clock(59), "00:00:59");
        assert_eq!(clock(7 * 86_400 + 3_661), "7-01:01:01");
        assert_eq!(civil(Some(SimTime::from_s(86_400))).unwrap(), "1970-01-02T00:00:00");
        assert_eq!(civil(None).unwrap(), "Unknown");
        assert!(civil(Some(SimTime::MAX)).is_err());
    }

    #[test]
    fn ids_of_slurm() {
        assert!(is_slurm_id("12") && is_slurm_id("12_3"));
        assert!(!is_slurm_id("12_") && !is_slurm_id("a") && !is_slurm_id("12/2") && !is_slurm_id(""));
    }
}

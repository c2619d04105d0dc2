//! Attempts of a job as `explain` tells them: where, what came before its work, why each was over; and which nodes
//! were not there while it waited.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::jobs::hosts;
use super::super::places::{self, change_words, pool_of};
use super::super::table::fold;
use super::{WAITS_INDENT, WIDTH, seconds};
use crate::cluster::{CardAllocation, Device};
use crate::ids::{Id, JobId, NodeId};
use crate::scenario::Design;
use crate::scenario::slurm_conf::compress_hosts;
use crate::simulation::{Ending, LayoutRow, Outcome, Standing, Stretch};
use crate::tenancy::{Kind, Start};
use crate::time::{SimDuration, SimTime};
use crate::workload::Workload;

/// Spells of nodes that are told.
const TOLD: usize = 6;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptTold {
    /// Start.
    pub start_s: f64,
    /// When it was at work; absent if it never was.
    pub work_start_s: Option<f64>,
    /// End, if it ended.
    pub end_s: Option<f64>,
    /// What it held.
    pub held: String,
    /// What came before its work.
    pub start_up: Vec<String>,
    /// What a planner had cut for the queue before, and the attempt got.
    pub planned: Vec<String>,
    /// Why it was over, where the job was not.
    pub ended: &'static str,
}

/// Nodes that were not simply there for a while.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeTold {
    /// Which.
    pub nodes: String,
    /// How they stood.
    pub standing: &'static str,
    /// From.
    pub from_s: f64,
    /// To.
    pub to_s: f64,
}

/// Tells of the attempts of a run.
pub(super) struct Teller<'a> {
    workload: &'a Workload,
    design: &'a Design,
    outcome: &'a Outcome,
    hosts: Vec<String>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(workload: &'a Workload, design: &'a Design, outcome: &'a Outcome) -> Self {
        Self { workload, design, outcome, hosts: hosts(design) }
    }

    pub(super) fn attempts(&self, job: JobId) -> Vec<AttemptTold> {
        let rows = self.outcome.places(job);
        let known = |at: SimTime| (at != SimTime::NEVER).then(|| at.as_s());
        let told = |(at, row): (usize, &Stretch)| {
            let cards = self.cards(job, row.start);
            AttemptTold {
                start_s: row.start.as_s(),
                work_start_s: known(row.works).filter(|_| row.works <= row.end),
                end_s: known(row.end),
                held: match cards {
                    Some(cards) => places::parts(self.design, &self.hosts, cards),
                    None => places::whole(&self.hosts, &row.allocation),
                },
                start_up: self.start_up(job, row, at > 0),
                planned: cards.map_or_else(Vec::new, |cards| self.planned(job, row.start, cards)),
                ended: row.ending.words(),
            }
        };
        rows.iter().enumerate().map(told).collect()
    }

    /// What an attempt held of GPUs that are given out in parts.
    fn cards(&self, job: JobId, from: SimTime) -> Option<&CardAllocation> {
        let mut rows = self.outcome.shared.as_deref()?.holdings.iter();
        rows.find(|held| held.job == job && held.from == from).map(|held| &held.allocation)
    }

    fn changes(&self) -> impl Iterator<Item = &LayoutRow> {
        self.outcome.shared.iter().flat_map(|facts| &facts.changes)
    }

    /// A change of a layout with its place.
    fn change(&self, row: &LayoutRow) -> String {
        let host = &self.hosts[row.node.index()];
        format!("{} on GPU {} of {host}", change_words(self.design, row), row.change.card)
    }

    /// What came before the work of an attempt, each with its time.
    fn start_up(&self, job: JobId, row: &Stretch, is_again: bool) -> Vec<String> {
        let lead = row.works.min(self.outcome.seen_until(row.end)).saturating_since(row.start);
        let cuts = self.changes().filter(|cut| cut.job == Some(job) && cut.from == row.start);
        let cuts: Vec<&LayoutRow> = cuts.collect();
        let cut =
            cuts.iter().map(|cut| cut.until.since(cut.from)).max().unwrap_or(SimDuration::ZERO).min(lead);
        let mut told = Vec::new();
        if let Some((last, others)) = cuts.split_last() {
            told.extend(others.iter().map(|cut| self.change(cut)));
            told.push(format!("{} ({} s)", self.change(last), seconds(cut.as_s())));
        }
        let rest = SimDuration::from_micros(lead.micros() - cut.micros());
        if rest > SimDuration::ZERO {
            told.push(format!("{} ({} s)", self.other(row, is_again), seconds(rest.as_s())));
        }
        told
    }

    /// What else comes before the work of an attempt.
    fn other(&self, row: &Stretch, is_again: bool) -> String {
        let node = row.allocation.first().map(|grant| grant.node);
        let tenancy = node.map(|node| &self.design.pools[pool_of(self.design, node).index()].tenancy);
        let Some(tenancy) = tenancy else { return "start-up".to_owned() };
        let mut words = Vec::new();
        if tenancy.start != Start::Standing {
            words.push(if tenancy.kind == Kind::Containers {
                "its container started"
            } else {
                "its VM booted"
            });
        }
        match &self.outcome.preemptive {
            Some(facts) if !facts.takes_cpus => words.push("overhead was paid"),
            Some(_) if is_again => words.push("its restart was paid"),
            _ if is_again && tenancy.snapshots.is_some() => words.push("its snapshot was restored"),
            _ => {}
        }
        if words.is_empty() { "start-up".to_owned() } else { words.join(", ") }
    }

    /// What a planner cut while the job was there, and it got.
    fn planned(&self, job: JobId, start: SimTime, held: &CardAllocation) -> Vec<String> {
        let mut told = Vec::new();
        for grant in held {
            for device in &grant.gpus {
                let Device::Instance { card, placement } = device else { continue };
                let made = |cut: &&LayoutRow| {
                    let here = cut.node == grant.node && cut.change.card == *card;
                    here && cut.until <= start && cut.change.create.contains(placement)
                };
                let last = self.changes().filter(made).last();
                let is_new =
                    |cut: &&LayoutRow| cut.job.is_none() && cut.until > self.workload.jobs[job].submit;
                if let Some(cut) = last.filter(is_new) {
                    let (from, until) = (seconds(cut.from.as_s()), seconds(cut.until.as_s()));
                    let line = format!("{}, from {from} s to {until} s", self.change(cut));
                    if !told.contains(&line) {
                        told.push(line);
                    }
                }
            }
        }
        told
    }

    /// Nodes that were not simply there while a job waited.
    pub(super) fn nodes_out(&self, job: JobId) -> Vec<NodeTold> {
        let record = self.outcome.records[job];
        let rows = self.outcome.attempts(job);
        let mut waits = Vec::new();
        let mut since = self.workload.jobs[job].submit;
        for row in &rows {
            waits.push((since, row.start));
            since = self.outcome.seen_until(row.end);
        }
        let waits_on = rows.last().is_none_or(|last| last.ending != Ending::WithTheJob);
        if waits_on {
            waits.push((since, self.outcome.seen_until(record.end)));
        }
        let standings = self.outcome.standings();
        let meets =
            |from: SimTime, until: SimTime| waits.iter().any(|(a, b)| from < *b && *a < until && a < b);
        let mut spells: Vec<(SimTime, SimTime, Standing, NodeId)> = standings
            .iter()
            .filter(|row| meets(row.from, row.until))
            .map(|row| (row.from, row.until, row.standing, row.node))
            .collect();
        spells.sort_unstable();
        let alike = spells.chunk_by(|a, b| (a.0, a.1, a.2) == (b.0, b.1, b.2));
        let told = alike.map(|rows| NodeTold {
            nodes: compress_hosts(rows.iter().map(|row| self.hosts[row.3.index()].as_str())),
            standing: rows[0].2.word(),
            from_s: rows[0].0.as_s(),
            to_s: rows[0].1.as_s(),
        });
        told.collect()
    }
}

/// The attempts, for the terminal.
pub(super) fn attempts_text(attempts: &[AttemptTold]) -> String {
    let mut text = String::new();
    let mut put = |line: String| fold(&mut text, &line, WIDTH, 4);
    for (at, attempt) in attempts.iter().enumerate() {
        let held = if attempt.held.is_empty() { String::new() } else { format!(" on {}", attempt.held) };
        if attempts.len() > 1 {
            let start = seconds(attempt.start_s);
            let end = attempt.end_s.map_or_else(String::new, |end| format!(" to {} s", seconds(end)));
            let ended = if attempt.ended.is_empty() { String::new() } else { format!(", {}", attempt.ended) };
            put(format!("Attempt {}: {start} s{end}{held}{ended}", at + 1));
        } else if !held.is_empty() {
            put(format!("It ran{held}."));
        }
        for cut in &attempt.planned {
            put(format!("  cut for the queue before: {cut}"));
        }
        for what in &attempt.start_up {
            put(format!("  before its work: {what}"));
        }
        match attempt.work_start_s {
            Some(works) if works > attempt.start_s => {
                put(format!("  at work from {} s", seconds(works)));
            }
            None => put("  never at work".to_owned()),
            Some(_) => {}
        }
    }
    text
}

/// Nodes that were not there, for the terminal.
pub(super) fn nodes_text(nodes: &[NodeTold]) -> String {
    if nodes.is_empty() {
        return String::new();
    }
    let mut text = "Nodes while it waited:\n".to_owned();
    for row in nodes.iter().take(TOLD) {
        let (from, to) = (seconds(row.from_s), seconds(row.to_s));
        let line = format!("  {from:>12} - {to:<12} {:<14} {}", row.standing, row.nodes);
        fold(&mut text, &line, WIDTH, WAITS_INDENT);
    }
    if nodes.len() > TOLD {
        writeln!(text, "  and {} more such times", nodes.len() - TOLD).expect("writing to a text works");
    }
    text
}

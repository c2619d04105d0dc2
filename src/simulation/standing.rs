//! How nodes stood while they were not simply there: failed, down, drained, worked on, reserved, booting.
//!
//! The rules are elsewhere (`failure`, `upkeep`, `outage`, `elastic`, Slurm's `life`); here is only the diary of it, for
//! reports. It is the same for every policy.

use std::collections::BTreeMap;
use std::ops::Range;

use super::outage::{Outage, OutageKind};
use super::{NodeReservation, Outcome};
use crate::ids::NodeId;
use crate::time::SimTime;

/// How a node stands that is not simply there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Its host failed.
    Failed,
    /// It is down, as an event of the scenario or the record says.
    Down,
    /// Its jobs run out, and nothing new starts.
    Draining,
    /// Its host is under planned maintenance.
    Maintenance,
    /// It is kept free for somebody or nobody.
    Reserved,
    /// It is a VM that was ordered and is not up yet.
    Booting,
    /// It is kept back for hosts that fail.
    Spare,
}

impl Standing {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
            Self::Reserved => "reserved",
            Self::Booting => "booting",
            Self::Spare => "spare",
        }
    }
}

/// A node that stood so from one instant to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeSpell {
    /// Begin.
    pub from: SimTime,
    /// End, or [`SimTime::NEVER`].
    pub until: SimTime,
    /// The node.
    pub node: NodeId,
    /// How it stood.
    pub standing: Standing,
}

/// The diary of hosts that go and come.
#[derive(Clone, Debug, Default)]
pub(super) struct Diary {
    rows: Vec<NodeSpell>,
    open: BTreeMap<(NodeId, Standing), usize>,
}

impl Diary {
    pub(super) fn begin(&mut self, nodes: Range<u32>, standing: Standing, now: SimTime) {
        for node in nodes.map(NodeId) {
            self.open.insert((node, standing), self.rows.len());
            self.rows.push(NodeSpell { from: now, until: SimTime::NEVER, node, standing });
        }
    }

    pub(super) fn end(&mut self, nodes: Range<u32>, standing: Standing, now: SimTime) {
        for node in nodes.map(NodeId) {
            if let Some(at) = self.open.remove(&(node, standing)) {
                self.rows[at].until = now;
            }
        }
    }

    /// All of it, with the outages and reservations of a run that began before `last`.
    pub(super) fn finish(
        self,
        outages: &[Outage],
        reservations: &[NodeReservation],
        last: SimTime,
    ) -> Vec<NodeSpell> {
        let mut rows = self.rows;
        rows.extend(outages.iter().map(|row| NodeSpell {
            from: row.from,
            until: row.until,
            node: row.node,
            standing: match row.kind {
                OutageKind::Drain => Standing::Draining,
                OutageKind::Down => Standing::Down,
                OutageKind::Reserved => Standing::Reserved,
            },
        }));
        for row in reservations {
            let spell = |node: &NodeId| (row.from, row.until, *node);
            let of = row.nodes.iter().map(spell);
            rows.extend(of.map(|(from, until, node)| NodeSpell {
                from,
                until,
                node,
                standing: Standing::Reserved,
            }));
        }
        rows.retain(|row| row.from < last && row.from < row.until);
        rows.sort_by_key(|row| (row.from, row.node, row.standing));
        rows
    }
}

impl Outcome {
    /// How nodes stood while they were not simply there, in order of time, to the last instant at most; VMs that boot
    /// are among them. Empty unless allocations were kept.
    #[must_use]
    pub fn standings(&self) -> Vec<NodeSpell> {
        let usage = self.tenancy.iter().flat_map(|facts| &facts.usage).filter(|row| row.from < row.up);
        let boots = usage.map(|row| NodeSpell {
            from: row.from,
            until: row.up.min(row.until),
            node: row.node,
            standing: Standing::Booting,
        });
        let mut rows: Vec<NodeSpell> = self.spells.iter().copied().chain(boots).collect();
        rows.iter_mut().for_each(|row| row.until = row.until.min(self.last_instant));
        rows.sort_by_key(|row| (row.from, row.node, row.standing));
        rows
    }
}

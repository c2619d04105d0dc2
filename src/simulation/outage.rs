//! Nodes that jobs cannot use for a while: down, drained, or reserved.
//!
//! From its begin on, an outage takes whatever is free on its node, and what jobs give back there, until
//! it has the whole node; jobs that run there go on to their end (as on a drained node). At its end it
//! gives all back. The hours of an outage are down.

use super::meter::Meter;
use super::run::ground::{Grants, Ground};
use super::withheld::Why;
use crate::cluster::Conflict;
use crate::ids::NodeId;
use crate::time::SimTime;

/// A node that jobs cannot use for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The node.
    pub node: NodeId,
    /// First instant at which no job can start there.
    pub from: SimTime,
    /// First instant at which jobs can start there again.
    pub until: SimTime,
    /// Why, and what becomes of jobs there.
    pub kind: OutageKind,
}

/// Why jobs cannot use a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageKind {
    /// Jobs there run to their end; the scheduler counts the node as lost.
    Drain,
    /// Jobs there are lost and queued again; the scheduler counts the node as lost.
    Down,
    /// It is kept for nobody, and the scheduler knows until when; jobs there run to their end.
    Reserved,
}

impl Outage {
    /// Whether the scheduler knows the end.
    #[must_use]
    pub fn is_end_known(&self) -> bool {
        self.kind == OutageKind::Reserved
    }
}

/// Nodes that Slurm keeps for some users for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReservation {
    /// Its name.
    pub name: String,
    /// The nodes.
    pub nodes: Vec<NodeId>,
    /// When the scheduler is told.
    pub known_from: SimTime,
    /// Begin.
    pub from: SimTime,
    /// End.
    pub until: SimTime,
    /// Users who may use it; with no accounts either, nobody.
    pub users: Vec<String>,
    /// Accounts that may.
    pub accounts: Vec<String>,
    /// Licences that it keeps, with counts.
    pub licences: Vec<(String, u32)>,
}

/// Fair-share usage of a site at one instant, as `sshare` tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StartUsage {
    /// When it holds.
    pub at: SimTime,
    /// Every association.
    pub rows: Vec<UsageRow>,
}

/// Usage of one association.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRow {
    /// Account.
    pub account: String,
    /// User; `None` for the account itself.
    pub user: Option<String>,
    /// `RawUsage`: TRES-seconds, decayed.
    pub raw: f64,
}

/// The outages of a run, and what those at work hold.
#[derive(Debug)]
pub(super) struct Outages<G: Ground> {
    rows: Vec<Outage>,
    /// Outages that have begun and not ended.
    active: Vec<u32>,
    /// (outage, slot on the floor, what it holds).
    held: Vec<(u32, u32, Grants<G>)>,
    slots: u32,
}

impl<G: Ground> Outages<G> {
    pub(super) fn new(rows: &[Outage]) -> Self {
        Self { rows: rows.to_vec(), active: Vec::new(), held: Vec::new(), slots: 0 }
    }

    pub(super) fn rows(&self) -> &[Outage] {
        &self.rows
    }

    pub(super) fn begin(&mut self, at: u32) {
        self.active.push(at);
    }

    /// Ends an outage: its node is free again.
    pub(super) fn end(&mut self, at: u32, ground: &mut G, meter: &mut Meter) -> Result<(), Conflict> {
        self.active.retain(|active| *active != at);
        let expected = self.expected_end(at);
        let (ended, held) = std::mem::take(&mut self.held).into_iter().partition(|(of, _, _)| *of == at);
        self.held = held;
        let ended: Vec<(u32, u32, Grants<G>)> = ended;
        for (_, slot, grants) in ended {
            meter.give_back(ground.pool_of(G::first(&grants)), &ground.load(&grants), Why::IsDown);
            ground.give_back(slot, &grants, expected)?;
        }
        Ok(())
    }

    /// Takes what is free on the nodes of active outages; before every pass.
    pub(super) fn absorb(&mut self, ground: &mut G, meter: &mut Meter) -> Result<(), Conflict> {
        for at in &self.active {
            let outage = &self.rows[*at as usize];
            let Some(rest) = ground.rest(outage.node) else { continue };
            // Jobs count their slots from 0; these come from the other end.
            self.slots += 1;
            let slot = u32::MAX - self.slots;
            let expected = if outage.is_end_known() { outage.until } else { SimTime::MAX };
            ground.take(slot, &rest, expected)?;
            meter.withhold(ground.pool_of(outage.node), &ground.load(&rest), Why::IsDown);
            self.held.push((*at, slot, rest));
        }
        Ok(())
    }

    fn expected_end(&self, at: u32) -> SimTime {
        let outage = &self.rows[at as usize];
        if outage.is_end_known() { outage.until } else { SimTime::MAX }
    }
}

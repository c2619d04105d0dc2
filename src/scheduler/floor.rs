//! The machine-room floor as a scheduler sees it: what is free now, and when the rest is expected back.
//!
//! Expected ends are start + requested limit. An expectation in the past is overdue; each policy says
//! what it assumes then.

use super::kind::{Kind, Released};
use crate::cluster::{Allocation, Amounts, ClusterSpec, Conflict, Ledger, Total, Whole};
use crate::ids::{IdVec, NodeId, TenantId};
use crate::scheduler::blocks::{Blocks, SortKey};
use crate::scheduler::stays::Stays;
use crate::time::SimTime;

/// Expected releases of one node, by (expected end, slot of the holder).
pub type Releases<D = Whole> =
    Blocks<Release, <D as Kind>::Back, Released<<D as crate::cluster::Devices>::Total>>;

/// An expected end, and the slot of the holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(SortKey);

impl Release {
    fn new(end: SimTime, slot: u32) -> Self {
        Self(SortKey::new(end.micros(), slot))
    }

    /// When it is expected.
    #[inline]
    #[must_use]
    pub fn end(self) -> SimTime {
        SimTime::from_micros(self.0.first())
    }
}

/// Ledger and expected releases.
#[derive(Debug)]
pub struct Floor<D: Kind = Whole> {
    ledger: Ledger<D>,
    releases: IdVec<NodeId, Releases<D>>,
    stays: Stays,
    pub(super) views: D::Views,
}

impl Floor<Whole> {
    /// An empty floor.
    #[must_use]
    pub fn new(spec: &ClusterSpec) -> Self {
        Self::of(Ledger::new(spec), ())
    }

    /// The first expected end after which `node` has `part` free ([`SimTime::from_micros`]`(i64::MIN)` if it
    /// has it now).
    #[must_use]
    pub fn ready_at(&self, node: NodeId, part: &Amounts) -> SimTime {
        let free = self.ledger.node(node).free;
        if free.holds(part) {
            return SimTime::from_micros(i64::MIN);
        }
        self.first_ready(node, free, part, |_| true)
    }

    /// What `node` is expected to have free at `at`: now plus all releases expected until then.
    #[must_use]
    pub fn expected_free(&self, node: NodeId, at: SimTime) -> Amounts {
        self.expected(node, at)
    }
}

impl<D: Kind> Floor<D> {
    /// A floor where nobody holds anything.
    pub(super) fn of(ledger: Ledger<D>, views: D::Views) -> Self {
        let releases = IdVec::filled(ledger.nodes().len(), Releases::<D>::default());
        let stays = Stays::new(ledger.dedication());
        Self { ledger, releases, stays, views }
    }

    /// The ledger, for reading.
    #[inline]
    #[must_use]
    pub fn ledger(&self) -> &Ledger<D> {
        &self.ledger
    }

    /// The ledger, for changes of layouts.
    pub(super) fn ledger_for_cuts(&mut self) -> &mut Ledger<D> {
        &mut self.ledger
    }

    /// Cuts anew what must be before a start.
    ///
    /// # Errors
    /// [`Conflict`] where the hardware does not allow it: the policy is at fault.
    pub fn cut(&mut self, cuts: &D::Cuts) -> Result<(), Conflict> {
        D::cut(&mut self.ledger, cuts)
    }

    /// Takes `allocation` for the holder `slot` until about `expected_end`.
    ///
    /// # Errors
    /// The ledger's [`Conflict`]: the policy is at fault.
    pub fn start(
        &mut self,
        slot: u32,
        allocation: &Allocation<D>,
        expected_end: SimTime,
    ) -> Result<(), Conflict> {
        self.ledger.take(allocation)?;
        for grant in allocation {
            let back = D::back(grant, &self.ledger);
            self.releases[grant.node].insert(Release::new(expected_end, slot), back);
            D::note_taken(&mut self.views, grant, &self.ledger);
        }
        Ok(())
    }

    /// As [`Floor::start`], for a job of `tenant`: dedicated hosts become its own.
    ///
    /// # Errors
    /// The ledger's [`Conflict`]: the policy is at fault.
    pub fn start_for(
        &mut self,
        tenant: TenantId,
        slot: u32,
        allocation: &Allocation<D>,
        expected_end: SimTime,
    ) -> Result<(), Conflict> {
        self.ledger.claim(allocation, tenant)?;
        self.start(slot, allocation, expected_end)?;
        let nodes = allocation.iter().map(|grant| grant.node);
        self.stays.enter(self.ledger.dedication(), nodes, (expected_end, slot));
        Ok(())
    }

    /// A holder leaves dedicated hosts, if it had some.
    fn leave(&mut self, slot: u32, allocation: &Allocation<D>, expected_end: SimTime) {
        let nodes = allocation.iter().map(|grant| grant.node);
        if self.stays.leave(self.ledger.dedication(), nodes, (expected_end, slot)) {
            self.ledger.disclaim(allocation);
        }
    }

    /// How long tenants are expected on dedicated hosts.
    #[must_use]
    pub fn stays(&self) -> &Stays {
        &self.stays
    }

    /// Gives back what `start` took.
    ///
    /// # Errors
    /// The ledger's [`Conflict`] if it was not taken.
    pub fn end(
        &mut self,
        slot: u32,
        allocation: &Allocation<D>,
        expected_end: SimTime,
    ) -> Result<(), Conflict> {
        self.ledger.give_back(allocation)?;
        if !self.stays.is_empty() {
            self.leave(slot, allocation, expected_end);
        }
        for grant in allocation {
            self.releases[grant.node].remove(&Release::new(expected_end, slot));
            D::note_returned(&mut self.views, grant, &self.ledger);
        }
        Ok(())
    }

    /// Expected releases of a node.
    #[must_use]
    pub fn releases(&self, node: NodeId) -> &Releases<D> {
        &self.releases[node]
    }

    /// The first expected end after which `node`, which is `later` now, has at least `least` free and room.
    /// Blocks after which less is free are given back at once.
    #[must_use]
    pub fn first_ready(
        &self,
        node: NodeId,
        mut later: D::Later,
        least: &D::Total,
        has_room: impl Fn(&D::Later) -> bool,
    ) -> SimTime {
        let spec = self.ledger.spec_of(node);
        for (sum, rows) in self.releases[node].blocks() {
            if !D::free(&later).plus(&sum.0).holds(least) {
                D::all_leave(&mut later, &sum.0, rows, spec);
                continue;
            }
            for (release, back) in rows {
                D::leaves(&mut later, back, spec);
                if D::free(&later).holds(least) && has_room(&later) {
                    return release.end();
                }
            }
        }
        SimTime::NEVER
    }

    /// `node` as it is expected to be at `at`: now, and all who are expected to have left by then.
    #[must_use]
    pub fn expected(&self, node: NodeId, at: SimTime) -> D::Later {
        let mut later = D::later(self, node);
        let spec = self.ledger.spec_of(node);
        for (sum, rows) in self.releases[node].blocks() {
            if rows[rows.len() - 1].0.end() <= at {
                D::all_leave(&mut later, &sum.0, rows, spec);
                continue;
            }
            for (_, back) in rows.iter().take_while(|(release, _)| release.end() <= at) {
                D::leaves(&mut later, back, spec);
            }
            break;
        }
        later
    }
}

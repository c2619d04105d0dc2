//! The machine-room floor as a scheduler sees it: what is free now, and when the rest is expected back.
//!
//! Expected ends are start + requested limit. An expectation in the past is overdue; each policy says
//! what it assumes then.

use crate::cluster::{Allocation, Amounts, ClusterSpec, Conflict, Ledger};
use crate::ids::{IdVec, NodeId, TenantId};
use crate::scheduler::blocks::{Blocks, SortKey, Summary};
use crate::scheduler::stays::Stays;
use crate::time::SimTime;

/// Sum of the amounts of a block.
#[derive(Clone, Copy, Debug)]
pub struct Released(Amounts);

impl Summary<Amounts> for Released {
    const EMPTY: Self = Self(Amounts::ZERO);
    fn add(&mut self, value: &Amounts) {
        self.0 = self.0.plus(value);
    }
    fn subtract(&mut self, value: &Amounts) -> bool {
        self.0 = self.0.minus(value);
        true
    }
}

/// Expected releases of one node, by (expected end, slot of the holder).
pub type Releases = Blocks<Release, Amounts, Released>;

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
pub struct Floor {
    ledger: Ledger,
    releases: IdVec<NodeId, Releases>,
    stays: Stays,
}

impl Floor {
    /// An empty floor.
    #[must_use]
    pub fn new(spec: &ClusterSpec) -> Self {
        let ledger = Ledger::new(spec);
        let releases = IdVec::filled(ledger.nodes().len(), Releases::default());
        let stays = Stays::new(ledger.dedication());
        Self { ledger, releases, stays }
    }

    /// The ledger, for reading.
    #[inline]
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Takes `allocation` for the holder `slot` until about `expected_end`.
    ///
    /// # Errors
    /// The ledger's [`Conflict`]: the policy is at fault.
    pub fn start(
        &mut self,
        slot: u32,
        allocation: &Allocation,
        expected_end: SimTime,
    ) -> Result<(), Conflict> {
        self.ledger.take(allocation)?;
        for grant in allocation {
            self.releases[grant.node].insert(Release::new(expected_end, slot), grant.amounts());
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
        allocation: &Allocation,
        expected_end: SimTime,
    ) -> Result<(), Conflict> {
        self.ledger.claim(allocation, tenant)?;
        self.start(slot, allocation, expected_end)?;
        let nodes = allocation.iter().map(|grant| grant.node);
        self.stays.enter(self.ledger.dedication(), nodes, (expected_end, slot));
        Ok(())
    }

    /// A holder leaves dedicated hosts, if it had some.
    fn leave(&mut self, slot: u32, allocation: &Allocation, expected_end: SimTime) {
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
    pub fn end(&mut self, slot: u32, allocation: &Allocation, expected_end: SimTime) -> Result<(), Conflict> {
        self.ledger.give_back(allocation)?;
        if !self.stays.is_empty() {
            self.leave(slot, allocation, expected_end);
        }
        for grant in allocation {
            self.releases[grant.node].remove(&Release::new(expected_end, slot));
        }
        Ok(())
    }

    /// Expected releases of a node.
    #[must_use]
    pub fn releases(&self, node: NodeId) -> &Releases {
        &self.releases[node]
    }

    /// The first expected end after which `node` has `part` free ([`SimTime::from_micros`]`(i64::MIN)` if it
    /// has it now).
    #[must_use]
    pub fn ready_at(&self, node: NodeId, part: &Amounts) -> SimTime {
        let mut free = self.ledger.node(node).free;
        if free.holds(part) {
            return SimTime::from_micros(i64::MIN);
        }
        for (sum, rows) in self.releases[node].blocks() {
            let with_block = free.plus(&sum.0);
            if !with_block.holds(part) {
                free = with_block;
                continue;
            }
            for (release, amounts) in rows {
                free = free.plus(amounts);
                if free.holds(part) {
                    return release.end();
                }
            }
        }
        SimTime::NEVER
    }

    /// What `node` is expected to have free at `at`: now plus all releases expected until then.
    #[must_use]
    pub fn expected_free(&self, node: NodeId, at: SimTime) -> Amounts {
        let mut free = self.ledger.node(node).free;
        for (sum, rows) in self.releases[node].blocks() {
            if rows[rows.len() - 1].0.end() <= at {
                free = free.plus(&sum.0);
                continue;
            }
            for (_, amounts) in rows.iter().take_while(|(release, _)| release.end() <= at) {
                free = free.plus(amounts);
            }
            break;
        }
        free
    }
}

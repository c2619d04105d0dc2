//! What a scheduler must know of a way of giving out GPUs; all else of the rules is written once.
//!
//! [`Whole`](crate::cluster::Whole) answers with amounts, [`Cards`](crate::cluster::Cards) with the cards and
//! instances of a node. A pass asks where a part has room now ([`Kind::has_room`]), how well it sits there, when
//! there will be room, what a node will look like by then, and what may be used beside what is promised.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use super::blocks::Summary;
use super::floor::{Floor, Release};
use super::placement::Score;
use super::shapes::{PoolShape, Shape};
use crate::cluster::{Amounts, Conflict, Devices, Grant, Ledger, Total};
use crate::ids::{NodeId, PartId, PoolId, TenantId};
use crate::time::{SimDuration, SimTime};
use crate::workload::{Interner, Job};

/// What one node of one pool must give.
pub trait Piece {
    /// The pool.
    fn pool(&self) -> PoolId;
    /// Whose jobs may be on the host, where hosts are dedicated.
    fn tenant(&self) -> Option<TenantId>;
}

/// What comes back when a holder leaves a node.
pub trait Back: Clone + Debug {
    /// Kind of sums.
    type Total: Total;
    /// What it counts for in the sums.
    fn total(&self) -> Self::Total;
}

impl Back for Amounts {
    type Total = Self;
    #[inline]
    fn total(&self) -> Self {
        *self
    }
}

/// Sum of what a block of releases brings back.
#[derive(Clone, Copy, Debug)]
pub struct Released<T>(pub T);

impl<B: Back> Summary<B> for Released<B::Total> {
    const EMPTY: Self = Self(B::Total::ZERO);
    #[inline]
    fn add(&mut self, value: &B) {
        self.0 = self.0.plus(&value.total());
    }
    #[inline]
    fn subtract(&mut self, value: &B) -> bool {
        self.0 = self.0.minus(&value.total());
        true
    }
}

/// When a job is planned, as of which instant, and on what part of which node.
#[derive(Clone, Copy, Debug)]
pub struct Booking<'a, D: Kind> {
    /// Now.
    pub now: SimTime,
    /// From when to when.
    pub during: (SimTime, SimTime),
    /// The node.
    pub node: NodeId,
    /// What it must give.
    pub part: (PartId, &'a D::Part),
}

/// A way of giving out GPUs, as a scheduler sees it.
pub trait Kind: Devices {
    /// What one node must give.
    type Part: Piece + Clone + Debug + Eq + Hash;
    /// What is known of a request on a pool beside amounts.
    type More: Clone + Debug + PartialEq;
    /// What comes back when a holder leaves a node.
    type Back: Back<Total = Self::Total>;
    /// A node as it is expected to be at another instant.
    type Later: Clone + Debug;
    /// What may be used of a reserved node beyond the shadow time.
    type Then: Clone + Debug + PartialEq;
    /// The nodes in another form, for placements that look at that.
    type Views: Debug;
    /// Scores nodes and picks devices, as a placement says.
    type Judge;
    /// How fast jobs run on parts of GPUs.
    type Speeds;
    /// What must be cut anew before a start.
    type Cuts: Clone + Debug + Default;
    /// What a plan knows of nodes beside amounts.
    type Plans: Default;
    /// Whether a job may hold its nodes for another time than its limit.
    const STRETCHES: bool;

    /// What a part counts for in the sums, at least.
    fn least(part: &Self::Part, spec: &Self::Spec) -> Self::Total;
    /// What comes back with a grant.
    fn back(grant: &Grant<Self>, ledger: &Ledger<Self>) -> Self::Back;
    /// A grant was taken.
    fn note_taken(views: &mut Self::Views, grant: &Grant<Self>, ledger: &Ledger<Self>);
    /// A grant was given back.
    fn note_returned(views: &mut Self::Views, grant: &Grant<Self>, ledger: &Ledger<Self>);

    /// Whether a node can give a part now, as far as other tenants do not matter.
    fn has_room(
        judge: &mut Self::Judge,
        ledger: &Ledger<Self>,
        node: NodeId,
        part: (PartId, &Self::Part),
    ) -> bool;
    /// How well a part sits on a node that has room for it now; lower is better.
    fn score(
        judge: &mut Self::Judge,
        floor: &Floor<Self>,
        node: NodeId,
        part: (PartId, &Self::Part),
    ) -> Score;
    /// Whether the lowest node id always wins, so that scores need not be computed.
    fn lowest_id_wins(judge: &Self::Judge) -> bool;
    /// The leaf of each node, where jobs should have few of them.
    fn leaf_numbers(judge: &Self::Judge) -> Option<Arc<[u32]>>;
    /// The first expected end after which a node has room for a part; `i64::MIN` if it has it now.
    fn ready_at(
        judge: &mut Self::Judge,
        floor: &Floor<Self>,
        node: NodeId,
        part: (PartId, &Self::Part),
    ) -> SimTime;

    /// What is free on a node now, for the sums.
    fn free_now(ledger: &Ledger<Self>, node: NodeId) -> Self::Total;
    /// A node now, with what is under way on it done.
    fn later(floor: &Floor<Self>, node: NodeId) -> Self::Later;
    /// What is free on it, for the sums.
    fn free(later: &Self::Later) -> Self::Total;
    /// One holder has left it.
    fn leaves(later: &mut Self::Later, back: &Self::Back, spec: &Self::Spec);
    /// A block of holders has left it, who held `sum` together.
    fn all_leave(
        later: &mut Self::Later,
        sum: &Self::Total,
        rows: &[(Release, Self::Back)],
        spec: &Self::Spec,
    );
    /// How well a part would sit on a node then.
    fn score_later(
        judge: &mut Self::Judge,
        floor: &Floor<Self>,
        node: (NodeId, &Self::Later),
        part: &Self::Part,
    ) -> Score;

    /// What is left beyond the shadow time when a part is promised on a node as it will be then.
    fn promise(
        judge: &Self::Judge,
        floor: &Floor<Self>,
        node: (NodeId, Self::Later),
        part: &Self::Part,
    ) -> Self::Then;
    /// Whether a part has room on a node beside what is promised there.
    fn is_beside(
        judge: &Self::Judge,
        floor: &Floor<Self>,
        node: (NodeId, &Self::Then),
        part: &Self::Part,
    ) -> bool;
    /// A job that runs beyond the shadow time has taken `grant`.
    fn use_spare(then: &mut Self::Then, grant: &Grant<Self>, spec: &Self::Spec);
    /// The devices that a part gets on a node now, beside what is promised there.
    fn grant(
        judge: &mut Self::Judge,
        floor: &Floor<Self>,
        node: (NodeId, Option<&Self::Then>),
        part: &Self::Part,
        cuts: &mut Self::Cuts,
    ) -> Option<Grant<Self>>;
    /// Cuts anew what must be.
    ///
    /// # Errors
    /// [`Conflict`] where the hardware does not allow it.
    fn cut(ledger: &mut Ledger<Self>, cuts: &Self::Cuts) -> Result<(), Conflict>;

    /// How long a job is expected to hold `allocation`.
    fn estimate(
        speeds: &Self::Speeds,
        job: &Job,
        shape: &PoolShape<Self>,
        allocation: &[Grant<Self>],
        ledger: &Ledger<Self>,
    ) -> SimDuration;
    /// The longest that a job can be expected to hold what it may get in a pool.
    fn longest(
        speeds: &Self::Speeds,
        job: &Job,
        shape: &PoolShape<Self>,
        parts: &Interner<PartId, Self::Part>,
        ledger: &Ledger<Self>,
    ) -> SimDuration;
    /// Whether a job may be done before its limit, on more than it was measured on.
    fn may_be_faster(shape: &Shape<Self>) -> bool;

    /// Whether amounts tell all of the nodes of a pool.
    fn counts(judge: &Self::Judge, spec: &Self::Spec) -> bool;
    /// Whether a node has something under way now that will be done in a moment.
    fn settles(spec: &Self::Spec) -> bool;
    /// A plan begins anew.
    fn clear(plans: &mut Self::Plans, nodes: usize);
    /// Whether a node has devices for a part all the time that a plan wants it, and what is planned there after
    /// still finds its own.
    fn has_room_during(
        plans: &mut Self::Plans,
        judge: &mut Self::Judge,
        floor: &Floor<Self>,
        booking: &Booking<'_, Self>,
    ) -> bool;
    /// It is planned.
    fn book(
        plans: &mut Self::Plans,
        judge: &mut Self::Judge,
        floor: &Floor<Self>,
        booking: &Booking<'_, Self>,
    );
    /// How well a part sits where `free` is the least that is free all the time.
    fn score_during(
        plans: &mut Self::Plans,
        judge: &mut Self::Judge,
        floor: &Floor<Self>,
        free: &Self::Total,
        booking: &Booking<'_, Self>,
    ) -> Score;
}

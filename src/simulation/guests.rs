//! Running jobs on hosts that do not give them all they would have on bare metal: virtual machines, shared
//! hosts, strangers.
//!
//! A job's speed is that of the same allocation on bare metal, alone, divided by the slowdown of its access
//! method and by that of its slowest host (a synchronous job waits for its slowest member). Speed is an
//! integer, parts of 10^9, and so is the work left. Strangers depend on nobody here, so a job that starts walks
//! the noise epochs of its hosts to its end at once ([`course`]); only what other jobs cause is an event, and then
//! the walk is done again from there. Where jobs can meet, a walk stops after some epochs and goes on when they
//! have come, so that little is walked in vain.
//!
//! What is lost goes to the ledger in this order: first virtualization (speed alone under the access
//! method), then neighbours (what is left of it now). Rounding is down, and what is lost is taken from what
//! was productive, so the hours keep their sum.

mod arrival;
mod cards;
mod course;
mod division;
mod facts;
mod links;
mod neighbours;
mod pen;
mod reading;
mod roster;
mod stores;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::Hash;

use smallvec::SmallVec;

pub(super) use self::arrival::Arrival;
use self::cards::CardPlaces;
pub(super) use self::cards::{Gpu, OnCards};
use self::course::{Ahead, Course, Fixed, Goal, Here, Reached};
use self::division::divide;
pub(super) use self::facts::count_level;
pub use self::facts::{ByLevel, ElasticFacts, TenancyFacts, VmUsage};
use self::links::Links;
use self::reading::Reading;
pub(super) use self::roster::HostRow;
use self::stores::Stores;
pub use self::stores::Written;
use super::meter::{Held, Meter, Tax};
use crate::cluster::ClusterSpec;
use crate::ids::{Id, IdVec, NodeId, PoolId};
use crate::kernel::{Calendar, Phase};
use crate::scheduler::shared;
use crate::tenancy::{Epoch, HostNoise, Noise, NoiseTrack, PoolTenancy, RunTenancy};
use crate::time::SimTime;

/// Full speed.
const ONE: u64 = 1_000_000_000;

/// The timers of a job on hosts, as the calendar of an engine names them: each job has a slot of its own.
pub(super) trait GuestTimer: Copy + Eq + Hash {
    /// The job in this slot ends.
    fn end(slot: u32) -> Self;
    /// The job in this slot looks further ahead.
    fn look(slot: u32) -> Self;
    /// Something is through to the store of this number.
    fn store(number: u32) -> Self;
    /// Links fail, or are back.
    fn link(number: u32) -> Self;
}

/// Devices by pool.
pub(super) type ByPool = SmallVec<[(PoolId, Held); 1]>;

/// What a job holds of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnNode {
    pub(super) node: NodeId,
    pub(super) held: Held,
}

/// All its nodes.
pub(super) type OnNodes = SmallVec<[OnNode; 1]>;

/// What a job that ended leaves to be booked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    /// Whether work was left: it was killed.
    pub(super) is_unfinished: bool,
    /// Work left at its last snapshot, where it was lost and has one.
    pub(super) kept: Option<i128>,
    /// Whether a snapshot of this attempt keeps some of its work.
    pub(super) gets_on: bool,
}

/// How a job leaves its hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goes {
    AtItsEnd,
    Lost,
    Stopped,
}

/// A job on its hosts.
#[derive(Debug)]
struct Guest {
    job: Fixed,
    /// Up to the last change that others caused.
    course: Course,
    /// Up to its end, or as far as was looked; `None` where nothing lies between.
    ahead: Option<Box<Course>>,
    /// Boundaries that the next look ahead may pass.
    looks: u32,
    /// Whether its timer is one to look on, not its end.
    is_looking: bool,
}

/// A host.
#[derive(Debug)]
pub(super) struct Host {
    pool: PoolId,
    /// Number among the hosts of its tenancy kind.
    ordinal: u32,
    /// Number among the hosts of its pool.
    in_pool: u32,
    /// Its nodes.
    nodes: std::ops::Range<u32>,
    track: Option<NoiseTrack>,
    /// Number of the epoch in which the first of its jobs came.
    busy_from: u32,
    /// Slots of the jobs on it.
    guests: SmallVec<[u32; 2]>,
}

impl Host {
    fn new(pool: PoolId, (ordinal, in_pool): (u32, u32), nodes: std::ops::Range<u32>) -> Self {
        Self { pool, ordinal, in_pool, nodes, track: None, busy_from: 0, guests: SmallVec::new() }
    }

    #[inline]
    fn epoch(&mut self, noise: &Noise, number: u32) -> Epoch {
        self.track.as_mut().expect("hosts with epochs have noise").get(noise, number)
    }
}

/// Hosts and the jobs on them.
#[derive(Debug)]
pub(super) struct Guests<'w> {
    spec: &'w RunTenancy,
    seed: u64,
    from: SimTime,
    hosts: Vec<Host>,
    host_of: IdVec<NodeId, u32>,
    /// CPUs and GPUs of a host of each pool.
    host_size: IdVec<PoolId, (u32, u32)>,
    rows: Vec<Option<Box<Guest>>>,
    soonest: BinaryHeap<Reverse<(SimTime, u32)>>,
    cards: CardPlaces,
    links: Links,
    stores: Stores,
    reading: Reading,
    pub(super) facts: TenancyFacts,
}

/// The product of two speeds in parts of 10^9; never zero.
fn times(speed: u64, factor: u64) -> u64 {
    if factor == ONE {
        return speed;
    }
    let product = u128::from(speed) * u128::from(factor) / u128::from(ONE);
    u64::try_from(product.max(1)).expect("factors are at most one")
}

/// Whether the jobs of a pool feel each other.
fn neighbours_matter(tenancy: &PoolTenancy) -> bool {
    tenancy.contention.is_some() || tenancy.packing.is_some_and(|packing| packing.overcommits())
}

/// Whether it matters who is on which host.
fn hosts_matter(tenancy: &PoolTenancy) -> bool {
    let is_alone = tenancy.noise.is_none() && tenancy.maintenance.is_none() && tenancy.failures.is_none();
    neighbours_matter(tenancy) || !is_alone
}

/// Boundaries that a look ahead passes after a change that others caused; twice as many each time it is reached.
const FIRST_LOOK: u32 = 4;
/// Most of them, so that the epochs drawn ahead stay few.
const FAR_LOOK: u32 = 1024;
/// So many epochs behind are worth finding out who still needs them.
const MANY_BEHIND: usize = 32;

impl<'w> Guests<'w> {
    /// All hosts of `cluster`; their noise begins at `from`.
    pub(super) fn new(spec: &'w RunTenancy, cluster: &ClusterSpec, seed: u64, from: SimTime) -> Self {
        let mut hosts = Vec::new();
        let mut host_of = IdVec::new();
        let mut host_size = IdVec::new();
        let mut of_kind = [0u32; 3];
        for (at, pool) in cluster.pools.iter().enumerate() {
            let tenancy = &spec.pools[PoolId::new(at)];
            let per_host = tenancy.packing.map_or(1, |packing| packing.per_host);
            let own = pool.node.capacity;
            host_size.push(tenancy.packing.map_or((own.cpus, own.gpus), |host| (host.cpus, host.gpus)));
            let first = hosts.len() as u32;
            for node in 0..pool.count {
                if node % per_host == 0 {
                    let ordinal = &mut of_kind[tenancy.kind as usize];
                    let begin = host_of.len() as u32;
                    let nodes = begin..begin + per_host.min(pool.count - node);
                    hosts.push(Host::new(PoolId::new(at), (*ordinal, node / per_host), nodes));
                    *ordinal += 1;
                }
                host_of.push(first + node / per_host);
            }
        }
        let facts = TenancyFacts {
            elastic: IdVec::filled(cluster.pools.len(), ElasticFacts::default()),
            ..TenancyFacts::default()
        };
        let (rows, soonest, cards) = (Vec::new(), BinaryHeap::new(), CardPlaces::default());
        let (links, stores) = (Links::new(spec), Stores::new(&spec.stores, from));
        let reading = Reading::new(spec, hosts.len());
        Self {
            spec,
            seed,
            from,
            hosts,
            host_of,
            host_size,
            rows,
            soonest,
            cards,
            links,
            stores,
            reading,
            facts,
        }
    }

    /// The same where jobs have parts of GPUs, with the laws of what they do to each other there.
    pub(super) fn with_laws(mut self, laws: shared::Speeds) -> Self {
        self.cards = CardPlaces::new(Some(laws));
        self
    }

    /// Whether the jobs of a pool are killed at their limits.
    pub(super) fn kills_at_limit(&self, pool: PoolId) -> bool {
        self.spec.pools[pool].kills_at_limit
    }

    /// Whether the VMs of a pool are ordered and given back.
    pub(super) fn is_elastic(&self, pool: PoolId) -> bool {
        self.spec.pools[pool].elastic.is_some()
    }

    /// Slots of the jobs on a host.
    pub(super) fn on_host(&self, host: u32) -> SmallVec<[u32; 2]> {
        self.hosts[host as usize].guests.clone()
    }

    /// The tenancy of a host.
    fn tenancy_of(&self, host: u32) -> &'w PoolTenancy {
        &self.spec.pools[self.hosts[host as usize].pool]
    }

    /// Puts a job on its hosts; tells who else is there and feels it, and in which epochs the hosts are.
    fn enter(&mut self, slot: u32, job: &Fixed, now: SimTime) -> (SmallVec<[u32; 8]>, SmallVec<[Here; 1]>) {
        let (mut touched, mut here) = (SmallVec::new(), SmallVec::new());
        let feels_noise =
            !job.is_session && job.stays.iter().any(|stay| self.tenancy_of(stay.host).noise.is_some());
        for stay in &job.stays {
            let tenancy = self.tenancy_of(stay.host);
            if !hosts_matter(tenancy) {
                here.extend(feels_noise.then_some(Here::QUIET));
                continue;
            }
            if let Some(noise) = &tenancy.noise {
                let number = self.epoch_at(stay.host, noise, now);
                let host = &mut self.hosts[stay.host as usize];
                if host.guests.is_empty() {
                    host.busy_from = number;
                }
                if feels_noise {
                    let Epoch { until, factor } = host.epoch(noise, number);
                    here.push(Here { number, until, factor });
                }
            } else {
                here.extend(feels_noise.then_some(Here::QUIET));
            }
            let host = &mut self.hosts[stay.host as usize];
            if neighbours_matter(tenancy) {
                touched.extend(host.guests.iter().copied());
            }
            host.guests.push(slot);
        }
        if let Some(cards) = &job.cards {
            self.cards.enter(slot, cards, &mut touched);
        }
        touched.sort_unstable();
        touched.dedup();
        touched.retain(|other| *other != slot);
        (touched, here)
    }

    /// Number of the epoch in which a host is; of many behind, those that nobody will look at again are forgotten.
    fn epoch_at(&mut self, host: u32, noise: &Noise, now: SimTime) -> u32 {
        let (seed, from, rows) = (self.seed, self.from, &self.rows);
        let row = &mut self.hosts[host as usize];
        let ordinal = row.ordinal;
        let track = row.track.get_or_insert_with(|| {
            let mut state = HostNoise::new(noise, seed, ordinal, from);
            state.advance(noise, now);
            NoiseTrack::new(state)
        });
        let number = track.number_at(noise, now);
        if track.behind(number) > MANY_BEHIND {
            let looked_at = row.guests.iter().filter_map(|slot| {
                let guest = rows[*slot as usize].as_ref()?;
                let at = guest.job.stays.iter().position(|stay| stay.host == host)?;
                Some(guest.course.here.get(at)?.number)
            });
            track.forget_before(looked_at.min().map_or(number, |behind| behind.min(number)));
        }
        number
    }

    /// Takes a job off its hosts; tells who is left there and feels it.
    fn leave(&mut self, slot: u32, job: &Fixed, now: SimTime) -> SmallVec<[u32; 8]> {
        let mut touched: SmallVec<[u32; 8]> = SmallVec::new();
        for stay in &job.stays {
            let tenancy = self.tenancy_of(stay.host);
            if !hosts_matter(tenancy) {
                continue;
            }
            let host = &mut self.hosts[stay.host as usize];
            host.guests.retain(|other| *other != slot);
            if host.guests.is_empty() {
                self.count_epochs(stay.host, now);
            } else if neighbours_matter(tenancy) {
                touched.extend(host.guests.iter().copied());
            }
        }
        if let Some(cards) = &job.cards {
            self.cards.leave(slot, cards, now, &mut touched);
        }
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// Counts the epochs that ended while a host had jobs.
    fn count_epochs(&mut self, host: u32, now: SimTime) {
        let row = &mut self.hosts[host as usize];
        let Some(noise) = &self.spec.pools[row.pool].noise else { return };
        let number = row.track.as_mut().expect("a host with jobs has its noise").number_at(noise, now);
        self.facts.epochs += u64::from(number - row.busy_from);
    }

    /// The job in `slot` ends now: books what it lost.
    pub(super) fn end<T: GuestTimer>(
        &mut self,
        slot: u32,
        now: SimTime,
        meter: &mut Meter,
        calendar: &mut Calendar<T>,
    ) -> Departure {
        self.depart(slot, now, Goes::AtItsEnd, meter, calendar)
    }

    /// The job in `slot` is taken off its nodes now, and keeps what it did.
    pub(super) fn stop<T: GuestTimer>(
        &mut self,
        slot: u32,
        now: SimTime,
        meter: &mut Meter,
        calendar: &mut Calendar<T>,
    ) -> Departure {
        self.depart(slot, now, Goes::Stopped, meter, calendar)
    }

    /// The job in `slot` is stopped now, and loses what it did since its last snapshot.
    pub(super) fn fail<T: GuestTimer>(
        &mut self,
        slot: u32,
        now: SimTime,
        meter: &mut Meter,
        calendar: &mut Calendar<T>,
    ) -> Departure {
        self.depart(slot, now, Goes::Lost, meter, calendar)
    }

    fn depart<T: GuestTimer>(
        &mut self,
        slot: u32,
        now: SimTime,
        how: Goes,
        meter: &mut Meter,
        calendar: &mut Calendar<T>,
    ) -> Departure {
        let mut guest = self.rows[slot as usize].take().expect("a job that runs is a guest");
        if guest.is_looking {
            calendar.cancel(T::look(slot));
        }
        self.come_to(&mut guest, now);
        self.leave_links(slot);
        self.reading.leave(slot);
        self.leave_store(slot, &mut guest, how == Goes::AtItsEnd, now, calendar);
        for other in self.leave(slot, &guest.job, now) {
            self.neighbours_changed(other, now, calendar);
        }
        self.book(guest, now, how, meter)
    }

    /// Books what running jobs lost until `now`, where the run ends with them.
    pub(super) fn close(&mut self, slot: u32, now: SimTime, meter: &mut Meter) {
        let mut guest = self.rows[slot as usize].take().expect("a job that runs is a guest");
        self.come_to(&mut guest, now);
        guest.course.put_pen_down(&guest.job, now);
        self.note_written(&guest);
        self.leave(slot, &guest.job, now);
        self.book(guest, now, Goes::AtItsEnd, meter);
    }

    /// Brings a job's course to `now`, and settles it.
    fn come_to(&mut self, guest: &mut Guest, now: SimTime) {
        // The look ahead is right as long as nobody changed anything, and it is settled at its end only.
        let ahead = guest.ahead.take().filter(|_| !guest.is_looking);
        if let Some(ahead) = ahead.filter(|ahead| ahead.settled_until() == now) {
            guest.course = *ahead;
            return;
        }
        let mut ahead = Ahead { hosts: &mut self.hosts, pools: &self.spec.pools, soonest: &mut self.soonest };
        guest.course.walk(&guest.job, &mut ahead, Goal::At(now));
        guest.course.settle(&guest.job, now);
    }

    fn book(&mut self, mut guest: Box<Guest>, now: SimTime, how: Goes, meter: &mut Meter) -> Departure {
        let Guest { job, course, .. } = &mut *guest;
        self.facts.retunes += course.retunes;
        course.cut_short(job, now);
        let kept = match how {
            Goes::AtItsEnd => None,
            Goes::Lost => course.lose(job, now),
            Goes::Stopped => Some(course.left()),
        };
        let gets_on = how == Goes::Lost && kept.is_some_and(|left| left < job.work);
        let is_unfinished = course.is_unfinished();
        self.facts.timeouts += u64::from(now == job.kill_at && is_unfinished && how == Goes::AtItsEnd);
        let boot = now.min(job.booted).saturating_since(job.placed);
        course.tax.start_up(&job.asked, boot);
        let held = now.saturating_since(job.placed);
        course.tax.cap(&job.asked, held);
        if let Some(util_milli) = job.util_milli {
            let at_work = Tax::whole(job.asked.gpu_units, held) - course.tax.gpu.sum();
            course.tax.gpu.held_idle = at_work * i128::from(1000u16.saturating_sub(util_milli)) / 1000;
        }
        match job.by_pool.as_slice() {
            [(pool, _)] => meter.tax(*pool, &course.tax),
            several => divide(&course.tax, several, held).for_each(|(pool, tax)| meter.tax(pool, &tax)),
        }
        Departure { is_unfinished, kept, gets_on }
    }

    /// The look ahead of a job is used up: what it saw has come.
    pub(super) fn look_on<T: GuestTimer>(&mut self, slot: u32, now: SimTime, calendar: &mut Calendar<T>) {
        let guest = self.rows[slot as usize].as_mut().expect("only guests look ahead");
        if guest.course.pen_wants().is_none() {
            guest.course.clone_from(guest.ahead.as_ref().expect("it looked ahead"));
            guest.looks = (2 * guest.looks).min(FAR_LOOK);
        }
        guest.is_looking = false;
        self.move_pen(slot, now, calendar);
    }

    /// Walks to the end of a job, or as far as it looks, and sets its timer.
    fn look_ahead<T: GuestTimer>(&mut self, slot: u32, calendar: &mut Calendar<T>) {
        let guest = self.rows[slot as usize].as_mut().expect("guests of a host run");
        if guest.course.is_halted() || guest.course.pen_wants().is_some() {
            return self.stand_still(slot, calendar);
        }
        let mut ahead = Ahead { hosts: &mut self.hosts, pools: &self.spec.pools, soonest: &mut self.soonest };
        let reached = match guest.course.end_of_straight(&guest.job) {
            Some(end) => Reached::End(end),
            None => {
                let course = match &mut guest.ahead {
                    Some(before) => {
                        (**before).clone_from(&guest.course);
                        before
                    }
                    none => none.insert(Box::new(guest.course.clone())),
                };
                course.walk(&guest.job, &mut ahead, Goal::End { most: guest.looks })
            }
        };
        match reached {
            Reached::Boundary(at) => {
                if !guest.is_looking {
                    calendar.cancel(T::end(slot));
                }
                guest.is_looking = true;
                calendar.set(T::look(slot), at, Phase::Epoch);
            }
            Reached::End(end) => {
                if guest.is_looking {
                    calendar.cancel(T::look(slot));
                }
                guest.is_looking = false;
                calendar.set(T::end(slot), end, Phase::Release);
            }
            Reached::There => unreachable!("the goal is the end"),
        }
    }
}

//! Stores that jobs write their snapshots to and read them from: bytes under way, and when they are through.
//!
//! Writers share a store max-min, and so do readers: each gets the same, but no more than its nodes can send or fetch. Who
//! comes or goes changes the rates of all on the same side, so each side of a store has one timer, for the first that will
//! be through. A store of each node's own is a link for each host; who is on several needs all of them.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::pen::{Act, Writes};
use super::{Arrival, GuestTimer, Guests, OnNodes};
use crate::fabric::flows::after;
use crate::fabric::rates::Filling;
use crate::ids::JobId;
use crate::kernel::{Calendar, Phase};
use crate::simulation::guests::course::{Ahead, Goal};
use crate::tenancy::{Interval, StoreRates};
use crate::time::{MICROS_PER_S, SimDuration, SimTime};
use crate::workload::checkpoint::{daly_interval, young_interval};

/// Bytes under way.
#[derive(Clone, Debug)]
struct Flow {
    /// Slot of the job that waits for it; `None` where the job has ended.
    owner: Option<u32>,
    left: f64,
    cap: f64,
    rate: f64,
    /// The hosts whose own stores it is on; none where all share one.
    hosts: SmallVec<[u32; 2]>,
}

impl Flow {
    fn through(&self, now: SimTime) -> SimTime {
        after(now, self.left, self.rate)
    }
}

/// What is written to a store, or what is read from it.
#[derive(Debug)]
struct Side {
    bytes_s: f64,
    flows: Vec<Flow>,
    /// Up to when `left` of its flows is counted.
    at: SimTime,
}

impl Side {
    /// Counts what went through until `now`.
    fn advance(&mut self, now: SimTime) {
        let passed_s = now.saturating_since(self.at).micros() as f64 / MICROS_PER_S as f64;
        self.flows.iter_mut().for_each(|flow| flow.left -= flow.rate * passed_s);
        self.at = now;
    }
}

/// Number of the side of a store that something goes through.
fn side_of(store: u32, act: Act) -> u32 {
    2 * store + u32::from(act == Act::Read)
}

/// What a job wrote and read, for reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Snapshots begun.
    pub snapshots: u32,
    /// Time for which it stood still for them.
    pub stalled: SimDuration,
    /// Time for which it stood still to read one back.
    pub read: SimDuration,
}

/// The stores of a design, and who writes to them and reads from them.
#[derive(Debug, Default)]
pub(super) struct Stores {
    sides: Vec<Side>,
    filling: Filling,
    /// What jobs wrote that have left.
    pub(super) written: FxHashMap<JobId, Written>,
}

impl Stores {
    pub(super) fn new(stores: &[StoreRates], from: SimTime) -> Self {
        let side = |bytes_s: f64| Side { bytes_s, flows: Vec::new(), at: from };
        let both = |store: &StoreRates| [side(store.write_bytes_s), side(store.read_bytes_s)];
        Self { sides: stores.iter().flat_map(both).collect(), ..Self::default() }
    }

    /// Whether this side of a store still has something of this job under way.
    fn is_busy(&self, slot: u32, side: u32) -> bool {
        self.sides[side as usize].flows.iter().any(|flow| flow.owner == Some(slot))
    }

    fn begin<T: GuestTimer>(
        &mut self,
        (slot, act): (u32, Act),
        writes: &Writes,
        now: SimTime,
        calendar: &mut Calendar<T>,
    ) {
        let side = side_of(writes.store, act);
        let row = &mut self.sides[side as usize];
        row.advance(now);
        let hosts = writes.hosts.clone();
        row.flows.push(Flow {
            owner: Some(slot),
            left: writes.bytes,
            cap: writes.cap_bytes_s,
            rate: 0.0,
            hosts,
        });
        self.share(side, now, calendar);
    }

    /// A job leaves: what it has under way goes on without it, or is given up.
    fn leave<T: GuestTimer>(
        &mut self,
        (slot, side): (u32, u32),
        goes_on: bool,
        now: SimTime,
        calendar: &mut Calendar<T>,
    ) {
        if !self.is_busy(slot, side) {
            return;
        }
        let row = &mut self.sides[side as usize];
        if goes_on {
            row.flows.iter_mut().filter(|flow| flow.owner == Some(slot)).for_each(|flow| flow.owner = None);
            return;
        }
        row.advance(now);
        row.flows.retain(|flow| flow.owner != Some(slot));
        self.share(side, now, calendar);
    }

    /// Takes out what is through; tells whose it was.
    fn through<T: GuestTimer>(&mut self, side: u32, now: SimTime, calendar: &mut Calendar<T>) -> Vec<u32> {
        let row = &mut self.sides[side as usize];
        let mut owners = Vec::new();
        let before = row.at;
        row.flows.retain(|flow| {
            let is_through = flow.through(before) <= now;
            owners.extend(flow.owner.filter(|_| is_through));
            !is_through
        });
        row.advance(now);
        self.share(side, now, calendar);
        owners
    }

    /// New rates, and the timer of the first that will be through.
    fn share<T: GuestTimer>(&mut self, side: u32, now: SimTime, calendar: &mut Calendar<T>) {
        let row = &mut self.sides[side as usize];
        self.filling.clear();
        let mut links: FxHashMap<Option<u32>, u32> = FxHashMap::default();
        let mut weights: SmallVec<[(u32, f64); 2]> = SmallVec::new();
        for flow in &row.flows {
            weights.clear();
            // A flow on several hosts is as fast as all of them together, and each has its part.
            let part = 1.0 / flow.hosts.len().max(1) as f64;
            let alone = flow.hosts.is_empty().then_some(None);
            for host in flow.hosts.iter().map(|host| Some(*host)).chain(alone) {
                let link = *links.entry(host).or_insert_with(|| self.filling.link(row.bytes_s));
                match weights.iter_mut().find(|(known, _)| *known == link) {
                    Some((_, sum)) => *sum += part,
                    None => weights.push((link, part)),
                }
            }
            self.filling.flow(weights.iter().copied(), flow.cap);
        }
        row.flows.iter_mut().zip(self.filling.solve()).for_each(|(flow, rate)| flow.rate = *rate);
        match row.flows.iter().map(|flow| flow.through(now)).min().filter(|at| *at != SimTime::NEVER) {
            Some(at) => calendar.set(T::store(side), at, Phase::Epoch),
            None => {
                calendar.cancel(T::store(side));
            }
        }
    }
}

impl Guests<'_> {
    /// What a job on so many hosts writes to a store; `None` where its snapshots take the same time always.
    pub(super) fn writes(&self, arrival: &Arrival, nodes: &OnNodes, reads_first: bool) -> Option<Writes> {
        let hosts = nodes.len() as u32;
        let pools = arrival.asked.iter().map(|(pool, _)| &self.spec.pools[*pool]);
        let (pool, spec, used) = pools
            .filter_map(|pool| {
                let spec = pool.snapshots?;
                Some((pool, spec, spec.store?))
            })
            .next()?;
        let own = self.spec.own_snapshots.get(&arrival.job).copied().unwrap_or_default();
        let bytes = own.bytes.unwrap_or(used.bytes_per_gpu * u64::from(arrival.gpus)) as f64;
        let cap_bytes_s = used.node_bytes_s as f64 * f64::from(hosts);
        let seconds = |s: f64| SimDuration::from_micros(libm::round(s * MICROS_PER_S as f64) as i64);
        let copy = used.copy_bytes_s.map(|each| seconds(bytes / (each as f64 * f64::from(hosts))));
        let dump = seconds(used.dump_s(bytes, hosts, &self.spec.stores[used.store as usize]));
        let between = pool.failures.map_or(SimDuration::MAX, |failures| {
            SimDuration::from_micros(failures.mtbf().micros() / i64::from(hosts.max(1)))
        });
        let every = match (own.every, used.interval) {
            (Some(every), _) => every,
            (None, Interval::Fixed) => spec.every,
            (None, Interval::Young) => young_interval(dump, between),
            (None, Interval::Daly) => daly_interval(dump, between),
        };
        // No work at all between two snapshots would never end.
        let every = every.max(SimDuration::from_s(1));
        let is_local = self.spec.stores[used.store as usize].is_local;
        let own = nodes.iter().map(|on| self.host_of[on.node]).filter(|_| is_local);
        Some(Writes {
            store: used.store,
            bytes,
            cap_bytes_s,
            every,
            copy,
            reads_first,
            is_local,
            hosts: own.collect(),
        })
    }

    /// Something is through to a store or from it: who waited for it goes on.
    pub(in crate::simulation) fn fire_store<T: GuestTimer>(
        &mut self,
        side: u32,
        now: SimTime,
        calendar: &mut Calendar<T>,
    ) {
        for slot in self.stores.through(side, now, calendar) {
            let guest = self.rows[slot as usize].as_mut().expect("who writes runs");
            let mut ahead =
                Ahead { hosts: &mut self.hosts, pools: &self.spec.pools, soonest: &mut self.soonest };
            guest.course.walk(&guest.job, &mut ahead, Goal::At(now));
            guest.course.pen_is_done(&guest.job, now);
            self.move_pen(slot, now, calendar);
        }
    }

    /// What jobs wrote to stores, sorted by job.
    pub(in crate::simulation) fn written(&self) -> Vec<(JobId, Written)> {
        let mut rows: Vec<(JobId, Written)> =
            self.stores.written.iter().map(|(job, row)| (*job, *row)).collect();
        rows.sort_unstable_by_key(|(job, _)| *job);
        rows
    }

    /// Does what a job's snapshot needs now, and looks ahead again.
    pub(super) fn move_pen<T: GuestTimer>(&mut self, slot: u32, now: SimTime, calendar: &mut Calendar<T>) {
        let guest = self.rows[slot as usize].as_mut().expect("who writes runs");
        if let Some(writes) = &guest.job.writes {
            let is_busy = self.stores.is_busy(slot, side_of(writes.store, Act::Write));
            if let Some(act) = guest.course.pen_acts(&guest.job, now, is_busy) {
                self.stores.begin((slot, act), writes, now, calendar);
            }
        }
        self.look_ahead(slot, calendar);
    }

    /// A job leaves its hosts now; its course has come there.
    pub(super) fn leave_store<T: GuestTimer>(
        &mut self,
        slot: u32,
        guest: &mut super::Guest,
        goes_on: bool,
        now: SimTime,
        calendar: &mut Calendar<T>,
    ) {
        let Some(writes) = &guest.job.writes else { return };
        guest.course.put_pen_down(&guest.job, now);
        self.stores.leave((slot, side_of(writes.store, Act::Write)), goes_on, now, calendar);
        self.stores.leave((slot, side_of(writes.store, Act::Read)), false, now, calendar);
        self.note_written(guest);
    }

    pub(super) fn note_written(&mut self, guest: &super::Guest) {
        let Some(stored) = guest.course.snapshots_stored() else { return };
        let row = self.stores.written.entry(guest.job.id).or_default();
        row.snapshots += stored.begun;
        row.stalled += stored.stalled;
        row.read += stored.read;
    }

    /// A job that stands still has no end yet: it is looked at when its snapshot wants it, or killed at its limit.
    pub(super) fn stand_still<T: GuestTimer>(&mut self, slot: u32, calendar: &mut Calendar<T>) {
        let guest = self.rows[slot as usize].as_mut().expect("guests of a host run");
        guest.ahead = None;
        calendar.cancel(T::end(slot));
        calendar.cancel(T::look(slot));
        guest.is_looking = false;
        match guest.course.pen_wants() {
            Some(at) => {
                guest.is_looking = true;
                calendar.set(T::look(slot), at, Phase::Epoch);
            }
            None if guest.job.kill_at != SimTime::NEVER => {
                calendar.set(T::end(slot), guest.job.kill_at, Phase::Release);
            }
            None => {}
        }
    }
}

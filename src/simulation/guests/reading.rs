//! Jobs that read their data from a store: how much of their speed is left when others read too.
//!
//! A job of whose time a share f is storage reads in it, where its run time was recorded, so many bytes per second for each GPU. So
//! in a second of the recorded run it reads f times that; here it gets what the store has for it beside others, max-min, no
//! more than its nodes can fetch, and never more than recorded: the share grows by the ratio. How much jobs are in each other's way
//! when they read now and then is the law of shared links ([`crate::fabric::contention`]) with half of the reading at the same time as
//! the others'. What a job loses is booked as storage.
//!
//! Given up: sessions and jobs without GPUs read nothing; what is read and what is written do not share anything; reading does not
//! compete with a snapshot that is read back.

use rustc_hash::FxHashMap;

use super::course::{Ahead, Fixed, Goal};
use super::{FIRST_LOOK, GuestTimer, Guests, ONE};
use crate::fabric::contention::Demand;
use crate::fabric::shares::Shares;
use crate::kernel::Calendar;
use crate::tenancy::overhead::Share;
use crate::tenancy::{RunTenancy, parts_of};
use crate::time::SimTime;

/// Between jobs that read in turns (0) and all at once (1).
const PHASE_OVERLAP: f64 = 0.5;

/// The stores that data is read from, and who does.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// By the number of the store, where one is read from.
    stores: FxHashMap<u32, Shares>,
    /// The store of each job that reads, by slot.
    on: FxHashMap<u32, u32>,
    is_touched: bool,
    changed: Vec<u32>,
}

/// What a job reads.
pub(super) struct Loads {
    store: u32,
    demand: Demand,
}

impl Reading {
    /// A store that all share is one link; where each host has its own, a link each.
    pub(super) fn new(spec: &RunTenancy, hosts: usize) -> Self {
        let mut stores = FxHashMap::default();
        for used in spec.pools.iter().filter_map(|pool| pool.data) {
            let rates = &spec.stores[used.store as usize];
            let links = if rates.is_local { hosts } else { 1 };
            let shares = || Shares::new(&vec![rates.read_bytes_s; links], PHASE_OVERLAP);
            stores.entry(used.store).or_insert_with(shares);
        }
        Self { stores, ..Self::default() }
    }

    pub(super) fn leave(&mut self, slot: u32) {
        let Some(store) = self.on.remove(&slot) else { return };
        self.stores.get_mut(&store).expect("it is read from").remove(slot);
        self.is_touched = true;
    }
}

impl Guests<'_> {
    /// What a job reads; `None` where that takes as long as recorded.
    pub(super) fn loads(&self, job: &Fixed, gpus: u32) -> Option<Loads> {
        let share = job.shares[Share::Storage as usize];
        if job.is_session || gpus == 0 || share <= 0.0 {
            return None;
        }
        let used = job.by_pool.iter().find_map(|(pool, _)| self.spec.pools[*pool].data)?;
        let rates = &self.spec.stores[used.store as usize];
        let hosts = job.stays.len() as f64;
        let wanted = used.gpu_bytes_s as f64 * f64::from(gpus);
        let (node, bytes) = (used.node_bytes_s as f64, share * wanted);
        let (bytes, cap) = if rates.is_local {
            let each = |host: u32| (host, bytes / hosts);
            (job.stays.iter().map(|stay| each(stay.host)).collect(), node.min(wanted / hosts))
        } else {
            (vec![(0, bytes)], (node * hosts).min(wanted))
        };
        let demand = Demand { compute_s: 1.0 - share, bytes, hidden: 0.0, cap: Some(cap), latency_s: 0.0 };
        Some(Loads { store: used.store, demand })
    }

    /// A job comes to its store; tells what is left of its speed there, alone.
    pub(super) fn begin_reading(&mut self, slot: u32, loads: Option<Loads>) -> u64 {
        let Some(Loads { store, demand }) = loads else { return ONE };
        let shares = self.reading.stores.get_mut(&store).expect("it is read from");
        let alone_s = shares.add(slot, demand).step_s;
        self.reading.on.insert(slot, store);
        self.reading.is_touched = true;
        parts_of(alone_s.max(1.0))
    }

    /// All who come or go at this instant have done so.
    pub(super) fn settle_reading<T: GuestTimer>(&mut self, now: SimTime, calendar: &mut Calendar<T>) {
        if !std::mem::take(&mut self.reading.is_touched) {
            return;
        }
        let mut changed = std::mem::take(&mut self.reading.changed);
        changed.clear();
        let mut stores: Vec<u32> = self.reading.stores.keys().copied().collect();
        stores.sort_unstable();
        for store in stores {
            self.reading.stores.get_mut(&store).expect("its key is known").settle(&mut changed);
        }
        for slot in &changed {
            self.feel_reading(*slot, now, calendar);
        }
        self.reading.changed = changed;
    }

    fn feel_reading<T: GuestTimer>(&mut self, slot: u32, now: SimTime, calendar: &mut Calendar<T>) {
        let step = self.reading.on.get(&slot).and_then(|store| self.reading.stores.get(store)?.step(slot));
        let Some(step) = step else { return };
        let left = parts_of(step.now_s.max(1.0));
        let guest = self.rows[slot as usize].as_mut().expect("who reads runs");
        if guest.job.loading == left {
            return;
        }
        let mut ahead = Ahead { hosts: &mut self.hosts, pools: &self.spec.pools, soonest: &mut self.soonest };
        guest.course.walk(&guest.job, &mut ahead, Goal::At(now));
        guest.job.loading = left;
        guest.looks = FIRST_LOOK;
        self.feel(slot, now);
        self.look_ahead(slot, calendar);
    }
}

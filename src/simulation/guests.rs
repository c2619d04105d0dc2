//! Running jobs on hosts that do not give them all they would have on bare metal: virtual machines, shared
//! hosts, strangers.
//!
//! A job's speed is that of the same allocation on bare metal, alone, divided by the slowdown of its access
//! method and by that of its slowest host (a synchronous job waits for its slowest member). Speed is an
//! integer, parts of 10^9, and so is the work left; it changes only at events of its hosts: somebody comes
//! or goes, a noise epoch ends. Hosts without running jobs have no events: their noise goes on in one step
//! when a job comes.
//!
//! What is lost goes to the ledger in this order: first virtualization (speed alone under the access
//! method), then neighbours (what is left of it now). Rounding is down, and what is lost is taken from what
//! was productive, so the hours keep their sum.

use smallvec::SmallVec;

use super::meter::{Meter, Tax};
use super::model::Timer;
use super::translation::Speed;
use crate::cluster::{Allocation, Amounts, ClusterSpec};
use crate::ids::{Id, IdVec, JobId, NodeId, PoolId};
use crate::kernel::{Calendar, Phase};
use crate::random::Stream;
use crate::tenancy::{HostNoise, PoolTenancy, RunTenancy, Shares, Start, Uses, parts_of};
use crate::time::{SimDuration, SimTime};

/// Full speed.
const ONE: u64 = 1_000_000_000;

/// What a job is that starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) job: JobId,
    pub(super) pool: PoolId,
    /// Its run time where it was recorded.
    pub(super) run: SimDuration,
    /// Its speed on bare metal of this pool, relative to that.
    pub(super) bare: Speed,
    /// Whether it keeps its wall time.
    pub(super) is_session: bool,
    /// Devices at work for it: held, less what it did not ask for.
    pub(super) asked: Amounts,
}

/// What a job that ended leaves to be booked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    /// GPU time that was not lost, in units of the hours.
    pub(super) gpu_units_left: i128,
}

/// Facts of a run under tenancies, for reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenancyFacts {
    /// Noise epochs that were events.
    pub epochs: u64,
    /// Changes of a running job's speed.
    pub retunes: u64,
    /// Starts that waited for a boot.
    pub boots: u64,
    /// What elastic pools did, by pool; empty pools stand for fixed ones.
    pub elastic: IdVec<PoolId, ElasticFacts>,
    /// Jobs that went to other pools because their wait was, or would have been, too long.
    pub spilled: u64,
    /// Usage of virtual machines, for bills; in order of start.
    pub usage: Vec<VmUsage>,
}

/// What an elastic pool did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElasticFacts {
    /// Whether it is elastic at all.
    pub is_elastic: bool,
    /// VMs ordered.
    pub ordered: u64,
    /// Orders that failed.
    pub failed: u64,
    /// VMs given back.
    pub given_back: u64,
    /// Most VMs at once.
    pub most: u32,
    /// VM-microseconds, ordered or running.
    pub vm_us: i128,
}

/// A virtual machine from its order to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmUsage {
    /// Its node.
    pub node: NodeId,
    /// When it was ordered.
    pub from: SimTime,
    /// When it was given back; [`SimTime::NEVER`] if it ran to the end.
    pub until: SimTime,
    /// Whether it belongs to the minimum of its pool, which always runs (a commitment can cover it).
    pub is_committed: bool,
}

/// A part of a host that a job holds.
#[derive(Clone, Copy, Debug)]
struct Stay {
    host: u32,
    /// Its part of the host.
    part: f64,
    cpus: u32,
}

#[derive(Debug)]
struct Guest {
    pool: PoolId,
    is_session: bool,
    stays: SmallVec<[Stay; 1]>,
    shares: Shares,
    uses: Uses,
    /// Slowdown by the access method.
    own: f64,
    /// Speed under it, alone, in parts of that on bare metal.
    alone: u64,
    /// Speed now, likewise.
    delivered: u64,
    bare: u64,
    /// Work left at `since`, in microseconds x 10^-9.
    left: i128,
    /// Up to when it is settled; before it runs, when it will.
    since: SimTime,
    placed: SimTime,
    /// When it runs: after its boot.
    runs_from: SimTime,
    asked: Amounts,
    tax: Tax,
}

#[derive(Debug)]
struct Host {
    pool: PoolId,
    /// Number among the hosts of its tenancy kind.
    ordinal: u32,
    noise: Option<Box<HostNoise>>,
    /// Slots of the jobs on it.
    guests: SmallVec<[u32; 2]>,
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
    rows: Vec<Option<Guest>>,
    pub(super) facts: TenancyFacts,
}

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
                    let (pool, number) = (PoolId::new(at), *ordinal);
                    hosts.push(Host { pool, ordinal: number, noise: None, guests: SmallVec::new() });
                    *ordinal += 1;
                }
                host_of.push(first + node / per_host);
            }
        }
        let facts = TenancyFacts {
            elastic: IdVec::filled(cluster.pools.len(), ElasticFacts::default()),
            ..TenancyFacts::default()
        };
        Self { spec, seed, from, hosts, host_of, host_size, rows: Vec::new(), facts }
    }

    /// The host of a node.
    pub(super) fn host_of(&self, node: NodeId) -> u32 {
        self.host_of[node]
    }

    fn tenancy(&self, pool: PoolId) -> &'w PoolTenancy {
        &self.spec.pools[pool]
    }

    /// Whether the jobs of a pool meet anything but their access method.
    fn hosts_matter(&self, pool: PoolId) -> bool {
        let tenancy = self.tenancy(pool);
        let overcommits = tenancy.packing.is_some_and(|packing| packing.overcommits());
        tenancy.noise.is_some()
            || tenancy.contention.is_some()
            || overcommits
            || tenancy.maintenance.is_some()
    }

    /// A job starts in `slot`.
    pub(super) fn begin(
        &mut self,
        slot: u32,
        arrival: &Arrival,
        allocation: &Allocation,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) {
        let tenancy = self.tenancy(arrival.pool);
        let profile = self.spec.profile(arrival.job);
        let shares = profile.shares.at(arrival.asked.gpus, allocation.len() as u32);
        let own = tenancy.overhead.slowdown(&shares, self.seed, arrival.job);
        let alone = if arrival.is_session { ONE } else { parts_of(own) };
        let boot = self.boot(tenancy.start, arrival.job);
        let runs_from = now + boot;
        let guest = Guest {
            pool: arrival.pool,
            is_session: arrival.is_session,
            stays: self.stays(arrival.pool, allocation),
            shares,
            uses: profile.uses,
            own,
            alone,
            delivered: 0,
            bare: arrival.bare.parts(),
            left: i128::from(arrival.run.micros()) * i128::from(ONE),
            since: runs_from,
            placed: now,
            runs_from,
            asked: arrival.asked,
            tax: Tax::default(),
        };
        let at = slot as usize;
        if at >= self.rows.len() {
            self.rows.resize_with(at + 1, || None);
        }
        let touched = self.enter(slot, &guest, now, calendar);
        self.rows[at] = Some(guest);
        self.retune(slot, now, calendar);
        touched.into_iter().for_each(|other| self.retune(other, now, calendar));
    }

    fn boot(&mut self, start: Start, job: JobId) -> SimDuration {
        let Start::PerJob(law) = start else { return SimDuration::ZERO };
        self.facts.boots += 1;
        law.draw(&mut Stream::new(self.seed, "boot", u64::from(job.0), 0))
    }

    fn stays(&self, pool: PoolId, allocation: &Allocation) -> SmallVec<[Stay; 1]> {
        let (cpus, gpus) = self.host_size[pool];
        let mut stays: SmallVec<[Stay; 1]> = SmallVec::new();
        for grant in allocation {
            let held = grant.amounts();
            let part = match (gpus, held.gpus) {
                (1.., 1..) => f64::from(held.gpus) / f64::from(gpus),
                _ => f64::from(held.cpus) / f64::from(cpus.max(1)),
            };
            let host = self.host_of[grant.node];
            match stays.iter_mut().find(|stay| stay.host == host) {
                Some(stay) => (stay.part, stay.cpus) = (stay.part + part, stay.cpus + held.cpus),
                None => stays.push(Stay { host, part, cpus: held.cpus }),
            }
        }
        stays
    }

    /// Puts a job on its hosts; tells who else is there and feels it.
    fn enter(
        &mut self,
        slot: u32,
        guest: &Guest,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> SmallVec<[u32; 8]> {
        let mut touched = SmallVec::new();
        if !self.hosts_matter(guest.pool) {
            return touched;
        }
        let tenancy = self.tenancy(guest.pool);
        for stay in &guest.stays {
            let host = &mut self.hosts[stay.host as usize];
            if let (Some(noise), true) = (&tenancy.noise, host.guests.is_empty()) {
                let (seed, from, ordinal) = (self.seed, self.from, host.ordinal);
                let state =
                    host.noise.get_or_insert_with(|| Box::new(HostNoise::new(noise, seed, ordinal, from)));
                state.advance(noise, now);
                calendar.set(Timer::Epoch(stay.host), state.until(), Phase::Epoch);
            }
            touched.extend(host.guests.iter().copied());
            host.guests.push(slot);
        }
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// The job in `slot` ends now: books what it lost.
    pub(super) fn end(
        &mut self,
        slot: u32,
        now: SimTime,
        meter: &mut Meter,
        calendar: &mut Calendar<Timer>,
    ) -> Departure {
        let mut guest = self.rows[slot as usize].take().expect("a job that runs is a guest");
        guest.settle(now);
        if self.hosts_matter(guest.pool) {
            let mut touched: SmallVec<[u32; 8]> = SmallVec::new();
            for stay in &guest.stays {
                let host = &mut self.hosts[stay.host as usize];
                host.guests.retain(|other| *other != slot);
                if host.guests.is_empty() {
                    calendar.cancel(Timer::Epoch(stay.host));
                }
                touched.extend(host.guests.iter().copied());
            }
            touched.sort_unstable();
            touched.dedup();
            touched.into_iter().for_each(|other| self.retune(other, now, calendar));
        }
        guest.book(now, meter)
    }

    /// Books what running jobs lost until `now`, where the run ends with them.
    pub(super) fn close(&mut self, slot: u32, now: SimTime, meter: &mut Meter) -> Departure {
        let mut guest = self.rows[slot as usize].take().expect("a job that runs is a guest");
        guest.settle(now);
        guest.book(now, meter)
    }

    /// A noise epoch of a host ends.
    pub(super) fn epoch(&mut self, host: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        self.facts.epochs += 1;
        let row = &mut self.hosts[host as usize];
        let noise = self.spec.pools[row.pool].noise.as_ref().expect("hosts with epochs have noise");
        let state = row.noise.as_mut().expect("hosts with epochs have noise");
        state.advance(noise, now);
        calendar.set(Timer::Epoch(host), state.until(), Phase::Epoch);
        let guests = row.guests.clone();
        guests.into_iter().for_each(|slot| self.retune(slot, now, calendar));
    }

    /// All jobs on a host stand still for a while: their VMs are moved elsewhere.
    pub(super) fn stun(
        &mut self,
        host: u32,
        stun: SimDuration,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) {
        for slot in self.hosts[host as usize].guests.clone() {
            let guest = self.rows[slot as usize].as_mut().expect("guests of a host run");
            guest.settle(now);
            guest.since = guest.since.max(now) + stun;
            guest.tax.virtualize(&guest.asked, stun);
            guest.set_end(slot, calendar);
        }
    }

    /// Gives a job the speed that its hosts allow now.
    fn retune(&mut self, slot: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        let guest = self.rows[slot as usize].as_ref().expect("guests of a host run");
        let speed = self.speed(slot, guest);
        if speed == guest.delivered {
            return;
        }
        self.facts.retunes += 1;
        let guest = self.rows[slot as usize].as_mut().expect("it was there just now");
        guest.settle(now);
        guest.delivered = speed;
        guest.set_end(slot, calendar);
    }

    fn speed(&self, slot: u32, guest: &Guest) -> u64 {
        if guest.is_session {
            return ONE;
        }
        if !self.hosts_matter(guest.pool) {
            return guest.alone;
        }
        let worst = guest.stays.iter().map(|stay| self.on_host(slot, guest, stay)).fold(1.0, f64::max);
        parts_of(guest.own * worst).min(guest.alone)
    }

    /// The factor of one host on a job: strangers x its own neighbours.
    fn on_host(&self, slot: u32, guest: &Guest, stay: &Stay) -> f64 {
        let tenancy = self.tenancy(guest.pool);
        let host = &self.hosts[stay.host as usize];
        let mut caused = 1.0;
        let packing = tenancy.packing.filter(|packing| packing.overcommits());
        if tenancy.contention.is_some() || packing.is_some() {
            let mut others: Uses = Uses::default();
            let mut cpus = stay.cpus;
            for other in host.guests.iter().filter(|other| **other != slot) {
                let Some(other) = self.rows[*other as usize].as_ref() else { continue };
                let there = other.stays.iter().find(|s| s.host == stay.host).expect("it is on this host");
                for (sum, uses) in others.iter_mut().zip(&other.uses) {
                    *sum += uses * there.part;
                }
                cpus += there.cpus;
            }
            caused = tenancy.contention.map_or(1.0, |contention| contention.slowdown(&guest.uses, &others));
            if let Some(packing) = packing {
                let over = f64::from(cpus) / f64::from(packing.cpus.max(1)) - 1.0;
                caused += guest.shares[2] * over.max(0.0);
            }
        }
        caused * host.noise.as_ref().map_or(1.0, |noise| noise.factor())
    }
}

impl Guest {
    /// Speed now relative to what the run time was recorded on.
    fn speed(&self) -> i128 {
        let speed = u128::from(self.bare) * u128::from(self.delivered) / u128::from(ONE);
        i128::try_from(speed.max(1)).expect("speeds fit 64 bits")
    }

    /// Work done and time lost until `now`.
    fn settle(&mut self, now: SimTime) {
        let span = now.saturating_since(self.since);
        if span == SimDuration::ZERO {
            return;
        }
        self.left -= i128::from(span.micros()) * self.speed();
        self.since = now;
        self.tax.slow(&self.asked, span, ONE - self.alone, self.alone - self.delivered);
    }

    fn set_end(&self, slot: u32, calendar: &mut Calendar<Timer>) {
        let speed = self.speed();
        let us = (self.left.max(0) + speed - 1) / speed;
        let us = i64::try_from(us).unwrap_or(i64::MAX).min(SimDuration::MAX.micros());
        calendar.set(Timer::End(slot), self.since + SimDuration::from_micros(us), Phase::Release);
    }

    fn book(mut self, now: SimTime, meter: &mut Meter) -> Departure {
        let boot = now.min(self.runs_from).saturating_since(self.placed);
        self.tax.start_up(&self.asked, boot);
        // A stun that the end of the run cut short was booked whole.
        let held = now.saturating_since(self.placed);
        self.tax.cap(&self.asked, held);
        meter.tax(self.pool, &self.tax);
        Departure { gpu_units_left: Tax::whole(self.asked.gpus, held) - self.tax.gpu.sum() }
    }
}

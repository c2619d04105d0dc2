//! The life of hosts: which are out of order, which serve, and which stand by for those that do not.
//!
//! Hosts fail each for itself, in batches, or with a switch above them (`tenancy::failures`); recorded outages are told
//! from outside. A pool can keep hosts back: standbys take the place of a host at once, lent ones after a while. So
//! there is a number of hosts that a pool wants to serve, and two rules:
//!
//! ```text
//!   a host goes away  -->  the first standby serves, else the first lent one is called back, else one less serves
//!   a host is back    -->  it serves if one is missing (one on its way stays where it was), else it stands by,
//!                          else it is lent
//! ```
//!
//! Nothing here knows of jobs, floors or policies. A [`Move`] says what becomes of a host; each engine carries it out
//! in its own words. Whoever is lost with a host waits again and is placed by its policy, so a standby is for
//! whom the policy takes first.

use rustc_hash::FxHashMap;

use super::guests::{Guests, HostRow};
use crate::ids::{NodeId, PoolId};
use crate::kernel::{Calendar, Phase};
use crate::tenancy::failures::HostRate;
use crate::tenancy::{Cause, Failure, FailureLevel, Failures, Spares};
use crate::time::{SimDuration, SimTime};

/// The timer of a host or a switch, as the calendar of an engine names it.
pub(super) trait HostTimer: Copy + Eq + std::hash::Hash {
    /// Something is due for this number of a [`Fleet`].
    fn host(at: u32) -> Self;
}

/// What becomes of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It fails, with all jobs there.
    Fails {
        /// What failed.
        level: Option<FailureLevel>,
        /// Whether its jobs are queued again.
        requeue: bool,
        /// When it is expected back.
        expected: SimTime,
    },
    /// It is repaired.
    IsRepaired,
    /// It is kept back, here or lent to others; its jobs, if it has some, run out.
    IsKept {
        /// To others.
        lent: bool,
    },
    /// It is kept back no longer.
    Serves,
}

/// A host, by its number in the fleet, to which something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) at: u32,
    pub(super) what: What,
}

/// What a host is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Serves,
    StandsBy,
    Lent,
    /// Lent, and on its way back.
    Comes,
    /// Out of order.
    Away,
}

#[derive(Debug)]
pub(super) struct FleetHost {
    pub(super) row: HostRow<Option<Failures>>,
    /// Whether its VMs are of an elastic pool: then they are gone while it is repaired, and nothing of it is down.
    pub(super) is_elastic: bool,
    /// Failures so far.
    number: u64,
    /// How often it fails.
    rate: HostRate,
    /// Until when it is out of order by a failure, and whether that was one of its own.
    back: Option<(SimTime, bool)>,
    /// Recorded outages at work.
    outages: u32,
    role: Role,
}

impl FleetHost {
    /// Its next failure, or the one at work: time up before it, time down after it.
    fn next(&self, seed: u64) -> Option<Failure> {
        Some(self.row.spec?.draw(seed, (self.row.ordinal, self.number), self.rate))
    }

    /// Whether a recorded outage keeps it away.
    pub(super) fn has_outage(&self) -> bool {
        self.outages > 0
    }

    fn is_up(&self) -> bool {
        self.back.is_none() && self.outages == 0
    }
}

/// A switch whose failure takes all hosts below along.
#[derive(Debug)]
struct Switch {
    /// Its number among all of all networks.
    key: u64,
    spec: Failures,
    cause: Cause,
    number: u64,
    hosts: Vec<u32>,
}

/// A pool that keeps hosts back.
#[derive(Debug)]
struct Kept {
    spec: Spares,
    /// Its hosts, by their numbers in the fleet.
    hosts: std::ops::Range<usize>,
    /// How many should serve.
    wanted: usize,
}

/// All hosts that fail or stand in for each other.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    hosts: Vec<FleetHost>,
    switches: Vec<Switch>,
    pools: FxHashMap<PoolId, Kept>,
    seed: u64,
    from: SimTime,
}

impl Fleet {
    /// All of them, from `from` on.
    pub(super) fn new(guests: &Guests<'_>, seed: u64, from: SimTime) -> Self {
        let is_of = |tenancy: &crate::tenancy::PoolTenancy| {
            let is = tenancy.failures.is_some() || tenancy.spares.is_some();
            is.then_some((tenancy.failures, tenancy.spares))
        };
        let mut fleet = Self { seed, from, ..Self::default() };
        for row in guests.hosts_with(is_of) {
            let (failures, spares) = row.spec;
            let (at, pool) = (fleet.hosts.len(), row.pool);
            if let Some(spec) = spares {
                let kept = Kept { spec, hosts: at..at, wanted: 0 };
                fleet.pools.entry(pool).or_insert(kept).hosts.end = at + 1;
            }
            let rate = failures.map(|failures| failures.rate_of(seed, row.ordinal));
            fleet.hosts.push(FleetHost {
                is_elastic: guests.is_elastic(pool),
                row: row.with(failures),
                number: 0,
                rate: rate.unwrap_or(HostRate { factor: 1.0, is_bad: false }),
                back: None,
                outages: 0,
                role: Role::Serves,
            });
        }
        for kept in fleet.pools.values_mut() {
            let Spares { standby, lent, .. } = kept.spec;
            let last = kept.hosts.end.saturating_sub(lent as usize).max(kept.hosts.start);
            let first = last.saturating_sub(standby as usize).max(kept.hosts.start);
            kept.wanted = first - kept.hosts.start;
            fleet.hosts[first..last].iter_mut().for_each(|host| host.role = Role::StandsBy);
            fleet.hosts[last..kept.hosts.end].iter_mut().for_each(|host| host.role = Role::Lent);
        }
        fleet.hang_on(guests);
        fleet
    }

    /// The switches above hosts whose pools say how often those fail.
    fn hang_on(&mut self, guests: &Guests<'_>) {
        let mut known: FxHashMap<(FailureLevel, PoolId, u64), usize> = FxHashMap::default();
        for (at, host) in (0..).zip(&self.hosts) {
            let Some(spec) = host.row.spec else { continue };
            for cause in spec.switches.iter().flatten() {
                let level = cause.level.expect("switches have a level");
                let Some(key) = guests.switch_above(host.row.host, level) else { continue };
                let number = *known.entry((level, host.row.pool, key)).or_insert_with(|| {
                    self.switches.push(Switch { key, spec, cause: *cause, number: 0, hosts: Vec::new() });
                    self.switches.len() - 1
                });
                self.switches[number].hosts.push(at);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    pub(super) fn hosts(&self) -> &[FleetHost] {
        &self.hosts
    }

    /// How many timers it may have, numbered from 0.
    pub(super) fn timers(&self) -> u32 {
        (2 * self.hosts.len() + self.switches.len()) as u32
    }

    fn timer_of_switch(&self, number: usize) -> u32 {
        (self.hosts.len() + number) as u32
    }

    fn timer_of_arrival(&self, at: usize) -> u32 {
        (self.hosts.len() + self.switches.len() + at) as u32
    }

    /// Sets the first failures; tells who is kept back from the beginning.
    pub(super) fn prepare<T: HostTimer>(&self, calendar: &mut Calendar<T>) -> Vec<Move> {
        for at in 0..self.hosts.len() {
            self.set_failure(at, self.from, calendar);
        }
        for number in 0..self.switches.len() {
            self.set_switch(number, self.from, calendar);
        }
        let kept = (0..).zip(&self.hosts).filter_map(|(at, host)| match host.role {
            Role::StandsBy | Role::Lent => {
                Some(Move { at, what: What::IsKept { lent: host.role == Role::Lent } })
            }
            Role::Serves | Role::Comes | Role::Away => None,
        });
        kept.collect()
    }

    /// Nothing is left to do on the cluster: no further failure matters.
    pub(super) fn stop<T: HostTimer>(&self, calendar: &mut Calendar<T>) {
        for at in 0..self.timers() {
            calendar.cancel(T::host(at));
        }
    }

    /// How many timers of next failures there are, if all hosts are where they should be.
    pub(super) fn resting(&self) -> Option<usize> {
        let is_at_rest = |host: &FleetHost| host.back.is_none() && host.role != Role::Comes;
        let fails = |host: &&FleetHost| host.row.spec.is_some_and(|spec| spec.has_own());
        self.hosts
            .iter()
            .all(is_at_rest)
            .then(|| self.hosts.iter().filter(fails).count() + self.switches.len())
    }

    /// The longest that a host is expected to be away.
    pub(super) fn longest(&self) -> SimDuration {
        let repairs = self.hosts.iter().filter_map(|host| Some(host.row.spec?.expected_repair()));
        let ways = self.pools.values().map(|kept| kept.spec.back_after);
        repairs.chain(ways).max().unwrap_or(SimDuration::ZERO)
    }

    fn set_failure<T: HostTimer>(&self, at: usize, now: SimTime, calendar: &mut Calendar<T>) {
        let host = &self.hosts[at];
        let Some((spec, failure)) = host.row.spec.zip(host.next(self.seed)) else { return };
        if failure.up < SimDuration::MAX {
            let up = spec.up_from(self.seed, now.since(self.from), failure.up);
            calendar.set(T::host(at as u32), now + up, Phase::Epoch);
        }
    }

    /// The next failure of a switch that is in order from `now` on.
    fn set_switch<T: HostTimer>(&self, number: usize, now: SimTime, calendar: &mut Calendar<T>) {
        let row = &self.switches[number];
        let failure = row.spec.draw_switch(self.seed, &row.cause, (row.key, row.number));
        calendar.set(T::host(self.timer_of_switch(number)), now + failure.up, Phase::Epoch);
    }

    /// Something is due.
    pub(super) fn fire<T: HostTimer>(
        &mut self,
        timer: u32,
        now: SimTime,
        calendar: &mut Calendar<T>,
    ) -> Vec<Move> {
        let mut moves = Vec::new();
        let (at, hosts) = (timer as usize, self.hosts.len());
        if at >= hosts + self.switches.len() {
            let at = at - hosts - self.switches.len();
            self.hosts[at].role = Role::Serves;
            moves.push(Move { at: at as u32, what: What::Serves });
        } else if at >= hosts {
            self.switch_fails(at - hosts, now, calendar, &mut moves);
        } else if self.hosts[at].back.is_some() {
            self.is_repaired(at, now, calendar, &mut moves);
        } else {
            self.fails(at, now, calendar, &mut moves);
        }
        moves
    }

    /// A host fails by itself, maybe with others of its pool.
    fn fails<T: HostTimer>(
        &mut self,
        at: usize,
        now: SimTime,
        calendar: &mut Calendar<T>,
        moves: &mut Vec<Move>,
    ) {
        let row = &self.hosts[at].row;
        let (pool, ordinal, spec) = (row.pool, row.ordinal, row.spec.expect("it fails"));
        let mut hit = vec![at];
        if spec.bursts.batch_mean.is_some() {
            let others = self.hosts.iter().enumerate();
            let others = others.filter(|(other, host)| host.row.pool == pool && *other != at && host.is_up());
            let others: Vec<usize> = others.map(|(other, _)| other).collect();
            let batch = spec.batch(self.seed, (ordinal, self.hosts[at].number), others.len());
            hit.extend(batch.into_iter().map(|number| others[number]));
        }
        for at in hit {
            let failure = self.hosts[at].next(self.seed).expect("hosts of a pool fail by one law");
            let ends = (now + failure.repair, now + spec.expected_repair());
            self.strike(at, (ends, failure.level, true), calendar, moves);
        }
        self.call_in(pool, now, calendar, moves);
    }

    fn switch_fails<T: HostTimer>(
        &mut self,
        number: usize,
        now: SimTime,
        calendar: &mut Calendar<T>,
        moves: &mut Vec<Move>,
    ) {
        let row = &mut self.switches[number];
        let failure = row.spec.draw_switch(self.seed, &row.cause, (row.key, row.number));
        row.number += 1;
        let (hosts, level) = (row.hosts.clone(), row.cause.level);
        let ends = (now + failure.repair, now + row.cause.repair.expected());
        for at in &hosts {
            self.strike(*at as usize, (ends, level, false), calendar, moves);
        }
        self.set_switch(number, ends.0, calendar);
        // Only now: a standby on the same switch is of no use.
        if let Some(first) = hosts.first() {
            self.call_in(self.hosts[*first as usize].row.pool, now, calendar, moves);
        }
    }

    /// Takes a host out of order.
    fn strike<T: HostTimer>(
        &mut self,
        at: usize,
        ((back, expected), level, is_own): ((SimTime, SimTime), Option<FailureLevel>, bool),
        calendar: &mut Calendar<T>,
        moves: &mut Vec<Move>,
    ) {
        let arrival = self.timer_of_arrival(at);
        let host = &mut self.hosts[at];
        let requeue = host.row.spec.is_none_or(|spec| spec.requeue);
        let was = host.back.replace((back, is_own));
        if let Some((until, was_own)) = was {
            // It is down already: until both are over.
            host.back = Some((until.max(back), was_own || is_own));
        }
        calendar.set(T::host(at as u32), host.back.map_or(back, |row| row.0), Phase::NodeUp);
        if was.is_none() {
            if host.role == Role::Comes {
                calendar.cancel(T::host(arrival));
            }
            host.role = Role::Away;
            moves.push(Move { at: at as u32, what: What::Fails { level, requeue, expected } });
        }
    }

    fn is_repaired<T: HostTimer>(
        &mut self,
        at: usize,
        now: SimTime,
        calendar: &mut Calendar<T>,
        moves: &mut Vec<Move>,
    ) {
        let fixes = self.hosts[at].next(self.seed).is_some_and(|failure| failure.fixes);
        let host = &mut self.hosts[at];
        let is_own = host.back.take().is_some_and(|(_, is_own)| is_own);
        host.rate.is_bad &= !(fixes && is_own);
        host.number += 1;
        self.set_failure(at, now, calendar);
        moves.push(Move { at: at as u32, what: What::IsRepaired });
        self.returns(at, calendar, moves);
    }

    /// A recorded outage of a node begins or ends; failures by laws are known here anyway.
    pub(super) fn note_outage<T: HostTimer>(
        &mut self,
        node: NodeId,
        begins: bool,
        now: SimTime,
        calendar: &mut Calendar<T>,
    ) -> Vec<Move> {
        let mut moves = Vec::new();
        let at = self.hosts.partition_point(|host| host.row.nodes.end <= node.0);
        let Some(host) = self.hosts.get(at).filter(|host| host.row.nodes.contains(&node.0)) else {
            return moves;
        };
        let pool = host.row.pool;
        let arrival = self.timer_of_arrival(at);
        let host = &mut self.hosts[at];
        if !begins {
            host.outages -= 1;
            if host.is_up() {
                self.returns(at, calendar, &mut moves);
            }
            return moves;
        }
        host.outages += 1;
        match host.role {
            // The outage holds it from now on.
            Role::StandsBy | Role::Lent | Role::Comes => {
                calendar.cancel(T::host(arrival));
                moves.push(Move { at: at as u32, what: What::Serves });
            }
            Role::Serves | Role::Away => {}
        }
        host.role = Role::Away;
        self.call_in(pool, now, calendar, &mut moves);
        moves
    }

    /// How many hosts of a pool are in order and have this role.
    fn count(&self, pool: &Kept, is: impl Fn(Role) -> bool) -> usize {
        self.hosts[pool.hosts.clone()].iter().filter(|host| is(host.role)).count()
    }

    /// The first of a pool with this role.
    fn first(&self, pool: &Kept, role: Role) -> Option<usize> {
        pool.hosts.clone().find(|at| self.hosts[*at].role == role)
    }

    /// Fills the places of those that have gone away.
    fn call_in<T: HostTimer>(
        &mut self,
        pool: PoolId,
        now: SimTime,
        calendar: &mut Calendar<T>,
        moves: &mut Vec<Move>,
    ) {
        let Some(kept) = self.pools.get(&pool) else { return };
        let there = self.count(kept, |role| matches!(role, Role::Serves | Role::Comes));
        for _ in there..kept.wanted {
            if let Some(at) = self.first(kept, Role::StandsBy) {
                self.hosts[at].role = Role::Serves;
                moves.push(Move { at: at as u32, what: What::Serves });
            } else if let Some(at) = self.first(kept, Role::Lent) {
                self.hosts[at].role = Role::Comes;
                calendar.set(T::host(self.timer_of_arrival(at)), now + kept.spec.back_after, Phase::NodeUp);
            } else {
                break;
            }
        }
    }

    /// A host is in order again.
    fn returns<T: HostTimer>(&mut self, at: usize, calendar: &mut Calendar<T>, moves: &mut Vec<Move>) {
        if !self.hosts[at].is_up() {
            return;
        }
        let Some(kept) = self.pools.get(&self.hosts[at].row.pool) else {
            self.hosts[at].role = Role::Serves;
            return;
        };
        let count = |of: Role| self.count(kept, |role| role == of);
        let on_its_way = self.first(kept, Role::Comes);
        let role = if count(Role::Serves) < kept.wanted {
            let is_full = count(Role::Serves) + count(Role::Comes) >= kept.wanted;
            if let Some(other) = on_its_way.filter(|_| is_full) {
                calendar.cancel(T::host(self.timer_of_arrival(other)));
                self.hosts[other].role = Role::Lent;
            }
            Role::Serves
        } else if count(Role::StandsBy) < kept.spec.standby as usize {
            Role::StandsBy
        } else {
            Role::Lent
        };
        self.hosts[at].role = role;
        if role != Role::Serves {
            moves.push(Move { at: at as u32, what: What::IsKept { lent: role == Role::Lent } });
        }
    }
}

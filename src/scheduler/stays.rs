//! How long tenants are expected on the hosts of dedicated pools.

use std::collections::BTreeSet;

use crate::cluster::Dedication;
use crate::ids::{NodeId, TenantId};
use crate::time::SimTime;

/// Expected ends of the jobs on each host; empty where no pool is dedicated.
#[derive(Debug, Default)]
pub struct Stays {
    by_host: Vec<BTreeSet<(SimTime, u32)>>,
}

impl Stays {
    /// Nobody is anywhere.
    #[must_use]
    pub fn new(dedication: Option<&Dedication>) -> Self {
        Self { by_host: vec![BTreeSet::new(); dedication.map_or(0, Dedication::hosts)] }
    }

    /// Whether no pool is dedicated.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_host.is_empty()
    }

    /// A tenant's job is on `nodes` until about `end`.
    pub fn enter(
        &mut self,
        dedication: Option<&Dedication>,
        nodes: impl Iterator<Item = NodeId>,
        (end, slot): (SimTime, u32),
    ) {
        for host in nodes.filter_map(|node| dedication.and_then(|dedication| dedication.host(node))) {
            self.by_host[host].insert((end, slot));
        }
    }

    /// It leaves; whether it had been there (who is nobody's never is).
    pub fn leave(
        &mut self,
        dedication: Option<&Dedication>,
        nodes: impl Iterator<Item = NodeId>,
        stay: (SimTime, u32),
    ) -> bool {
        let mut was_there = false;
        for host in nodes.filter_map(|node| dedication.and_then(|dedication| dedication.host(node))) {
            was_there |= self.by_host[host].remove(&stay);
        }
        was_there
    }

    /// The first expected end after which `tenant` may use `node` as far as other tenants go
    /// ([`SimTime::from_micros`]`(i64::MIN)` if it may now).
    #[must_use]
    pub fn open_at(&self, dedication: Option<&Dedication>, node: NodeId, tenant: TenantId) -> SimTime {
        let now = SimTime::from_micros(i64::MIN);
        let Some(dedication) = dedication.filter(|dedication| !dedication.is_open(node, tenant)) else {
            return now;
        };
        let host = dedication.host(node).expect("a tenant has it");
        self.ends_on(host).expect("a tenant's jobs are on it").1
    }

    /// When the first and the last of the jobs on a host are expected to end; `None` on an empty one.
    #[must_use]
    pub fn ends_on(&self, host: usize) -> Option<(SimTime, SimTime)> {
        let stays = &self.by_host[host];
        stays.first().zip(stays.last()).map(|(first, last)| (first.0, last.0))
    }
}

//! Jobs on the links of a network: how much of their speed is left when others send over the same links.
//!
//! A network is a place like a host or a GPU, but who comes or goes can change jobs far away: rates are shared max-min, link
//! by link. So nothing is worked out when a job comes; at the end of the instant [`Guests::settle_links`] solves once what all
//! its starts and ends have touched, and tells each job whose step has changed.
//!
//! The unit of work is a second of the recorded run time. A job that communicated for a share f of it, beyond what it hid,
//! sends in that second what its adapters could send in f / (1 - overlap) of it where it was recorded; so a network with
//! twice the rate halves that time. What it takes longer than where it was recorded is booked as communication; on a faster
//! network the job is faster than recorded, and nothing is booked.
//!
//! Given up: a job is on its links from its start on, also while its VM boots; jobs on one node send nothing; and a job whose
//! nodes lie on two networks (Slurm only) sends nothing.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::course::{Ahead, Fixed, Goal};
use super::{FIRST_LOOK, GuestTimer, Guests, ONE};
use crate::fabric::contention::Demand;
use crate::fabric::shares::Shares;
use crate::kernel::Calendar;
use crate::tenancy::overhead::Share;
use crate::tenancy::{Network, RunTenancy, parts_of};
use crate::time::SimTime;

/// The networks of a design, and who is on them.
#[derive(Debug, Default)]
pub(super) struct Links {
    networks: Vec<(Arc<Network>, Shares)>,
    /// The network of each job that sends, by slot, and how long a recorded second takes there alone.
    on: FxHashMap<u32, (usize, f64)>,
    /// Whether somebody came or went since the last settling.
    is_touched: bool,
    changed: Vec<u32>,
}

/// What a job sends, and how much faster than recorded it is alone there.
pub(super) struct Sending {
    network: usize,
    demand: Demand,
}

impl Links {
    pub(super) fn new(spec: &RunTenancy) -> Self {
        let mut networks: Vec<(Arc<Network>, Shares)> = Vec::new();
        for network in spec.pools.iter().filter_map(|pool| pool.network.as_ref()).map(|on| &on.network) {
            if !networks.iter().any(|(known, _)| Arc::ptr_eq(known, network)) {
                let shares = Shares::new(network.capacities(), network.phase_overlap());
                networks.push((Arc::clone(network), shares));
            }
        }
        Self { networks, ..Self::default() }
    }

    /// A job comes to its links; tells how long a recorded second takes it there, alone.
    fn enter(&mut self, slot: u32, Sending { network, demand }: Sending) -> f64 {
        let alone_s = self.networks[network].1.add(slot, demand).step_s;
        self.on.insert(slot, (network, alone_s));
        self.is_touched = true;
        alone_s
    }

    fn leave(&mut self, slot: u32) {
        if let Some((network, _)) = self.on.remove(&slot) {
            self.networks[network].1.remove(slot);
            self.is_touched = true;
        }
    }
}

impl Guests<'_> {
    /// What a job on these hosts sends; `None` where nothing leaves its host, or nobody else can be in the way.
    pub(super) fn sending(&self, job: &Fixed, gpus: u32, overlap: f64) -> Option<Sending> {
        let communicates = job.shares[Share::InterNode as usize];
        if job.is_session || job.stays.len() < 2 || communicates <= 0.0 {
            return None;
        }
        let on = |host: u32| self.tenancy_of(host).network.as_ref();
        let first = on(job.stays[0].host)?;
        // A node without GPUs has one adapter.
        let each = (gpus / job.stays.len() as u32).max(1);
        let mut hosts: Vec<(u32, u32)> = Vec::with_capacity(job.stays.len());
        for stay in &job.stays {
            let there = on(stay.host).filter(|there| Arc::ptr_eq(&there.network, &first.network))?;
            hosts.push((there.first + self.hosts[stay.host as usize].in_pool, each));
        }
        let network = self.links.networks.iter().position(|(known, _)| Arc::ptr_eq(known, &first.network))?;
        let adapters = f64::from(each);
        let communication_s = (communicates / (1.0 - overlap)).min(1.0);
        // On faster GPUs the same bytes are due in less time: a network does not get faster with them.
        let pace = job.bare as f64 / ONE as f64;
        let bytes = communication_s * adapters * self.spec.recorded_bytes_s * pace;
        let demand = Demand {
            compute_s: 1.0 - communicates,
            bytes: first.network.ring(&hosts, u64::from(job.id.0), each, bytes),
            hidden: overlap,
            cap: Some(adapters * first.adapter_bytes_s),
            latency_s: 0.0,
        };
        Some(Sending { network, demand })
    }

    /// A job comes to its links: alone there, it is so much faster than recorded, and so much of its speed is left.
    pub(super) fn enter_links(&mut self, slot: u32, sending: Option<Sending>) -> (f64, u64) {
        let Some(sending) = sending else { return (1.0, ONE) };
        let alone_s = self.links.enter(slot, sending);
        ((1.0 / alone_s).max(1.0), parts_of(alone_s.max(1.0)))
    }

    pub(super) fn leave_links(&mut self, slot: u32) {
        self.links.leave(slot);
    }

    /// All that comes or goes at this instant has done so: jobs whose step it changed have another speed from now on.
    pub(in crate::simulation) fn settle_links<T: GuestTimer>(
        &mut self,
        now: SimTime,
        calendar: &mut Calendar<T>,
    ) {
        if !std::mem::take(&mut self.links.is_touched) {
            return;
        }
        let mut changed = std::mem::take(&mut self.links.changed);
        for at in 0..self.links.networks.len() {
            changed.clear();
            self.links.networks[at].1.settle(&mut changed);
            for slot in &changed {
                self.feel_links(*slot, now, calendar);
            }
        }
        self.links.changed = changed;
    }

    fn feel_links<T: GuestTimer>(&mut self, slot: u32, now: SimTime, calendar: &mut Calendar<T>) {
        let Some((network, alone_s)) = self.links.on.get(&slot) else { return };
        let Some(step) = self.links.networks[*network].1.step(slot) else { return };
        let left = parts_of(step.now_s / alone_s.min(1.0));
        let guest = self.rows[slot as usize].as_mut().expect("who is on links runs");
        if guest.job.network == left {
            return;
        }
        let mut ahead = Ahead { hosts: &mut self.hosts, pools: &self.spec.pools, soonest: &mut self.soonest };
        guest.course.walk(&guest.job, &mut ahead, Goal::At(now));
        guest.job.network = left;
        guest.looks = FIRST_LOOK;
        self.feel(slot, now);
        self.look_ahead(slot, calendar);
    }
}

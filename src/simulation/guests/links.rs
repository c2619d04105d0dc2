//! Jobs on the links of a network: how much of their speed is left when others send over the same links.
//!
//! A network is a place like a host or a GPU, but who comes or goes can change jobs far away: rates are shared max-min, link
//! by link. So nothing is worked out when a job comes; at the end of the instant [`Guests::settle_links`] solves once what all
//! its starts and ends have touched, and tells each job whose step has changed.
//!
//! The unit of work is a second of the recorded run time. A job that communicated for a share f of it, beyond what it hid,
//! sends in that second what its adapters could send in f / (1 - overlap) of it where it was recorded; so a network with
//! twice the rate halves that time. Of a training job whose class says how its model is split, the law of steps
//! (`fabric::steps`) says the bytes, and the recorded step what of it computes. What it takes longer than where it was recorded is booked as communication; on a faster
//! network the job is faster than recorded, and nothing is booked.
//!
//! A link that fails has no capacity; who can take another one of its group, or another way, does. A job without any way
//! left stands still until one is back, and that time is communication.
//!
//! Given up: a job is on its links from its start on, also while its VM boots; jobs on one node send nothing; and a job whose
//! nodes lie on two networks (Slurm only) sends nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::course::{Ahead, Fixed, Goal};
use super::{FIRST_LOOK, GuestTimer, Guests, ONE};
use crate::fabric::contention::Demand;
use crate::fabric::graph::Fabric;
use crate::fabric::shares::Shares;
use crate::kernel::{Calendar, Phase};
use crate::tenancy::overhead::Share;
use crate::tenancy::{ClassProfile, Network, OnNetwork, RunTenancy, Sends, TrainedStep, parts_of};
use crate::time::SimTime;

/// The networks of a design, and who is on them.
#[derive(Debug, Default)]
pub(super) struct Links {
    networks: Vec<Wired>,
    /// Each job that sends, by slot.
    on: FxHashMap<u32, Sender>,
    /// Whether somebody came or went since the last settling.
    is_touched: bool,
    changed: Vec<u32>,
}

/// A network with what runs over it.
#[derive(Debug)]
struct Wired {
    network: Arc<Network>,
    shares: Shares,
    /// Numbers of the spells at work.
    failed: Vec<usize>,
    /// The network without the links that are out of order; `None` where all are in order.
    rest: Option<Fabric>,
}

/// A job on its links.
#[derive(Debug)]
struct Sender {
    network: usize,
    /// How long a recorded second takes there alone, all links in order.
    alone_s: f64,
    /// What it sends, kept where links may fail.
    sends: Option<Box<(Demand, Sends)>>,
}

/// What a job sends, and how much faster than recorded it is alone there.
pub(super) struct Sending {
    network: usize,
    demand: Demand,
    sends: Option<Sends>,
}

impl Wired {
    fn new(network: &Arc<Network>) -> Self {
        let shares = Shares::new(network.capacities(), network.phase_overlap());
        Self { network: Arc::clone(network), shares, failed: Vec::new(), rest: None }
    }

    /// Bytes of a job on each link, as links are now.
    fn bytes(&self, sends: &Sends) -> Vec<(u32, f64)> {
        sends.over(self.rest.as_ref().unwrap_or_else(|| self.network.fabric()), self.network.rank_order())
    }

    /// A spell begins, or ends: links have what is left of them.
    fn turn(&mut self, spell: usize, begins: bool) {
        if begins {
            self.failed.push(spell);
        } else {
            self.failed.retain(|other| *other != spell);
        }
        let mut lost: BTreeMap<u32, f64> = BTreeMap::new();
        let spells = self.network.spells();
        spells[spell].links.iter().for_each(|(link, _)| {
            lost.insert(*link, 0.0);
        });
        for (link, share) in self.failed.iter().flat_map(|at| &spells[*at].links) {
            *lost.entry(*link).or_default() += share;
        }
        let mut dead = Vec::new();
        for (link, lost) in lost {
            let left = (1.0 - lost).max(0.0);
            self.shares.set_capacity(link, self.network.capacities()[link as usize] * left);
            if left <= 0.0 {
                dead.push(link);
            }
        }
        self.rest = (!dead.is_empty()).then(|| self.network.fabric().without(&dead));
    }
}

impl Links {
    pub(super) fn new(spec: &RunTenancy) -> Self {
        let mut networks: Vec<Wired> = Vec::new();
        for network in spec.pools.iter().filter_map(|pool| pool.network.as_ref()).map(|on| &on.network) {
            if !networks.iter().any(|wired| Arc::ptr_eq(&wired.network, network)) {
                networks.push(Wired::new(network));
            }
        }
        Self { networks, ..Self::default() }
    }

    /// A job comes to its links; tells how long a recorded second takes it there, alone.
    fn enter(&mut self, slot: u32, Sending { network, mut demand, sends }: Sending) -> f64 {
        let wired = &mut self.networks[network];
        let whole = wired.network.capacities();
        if let Some(sends) = &sends {
            demand.bytes = sends.over(wired.network.fabric(), wired.network.rank_order());
        }
        let alone_s = demand.alone(|link| whole[link as usize]).step_s;
        let mut kept = None;
        if let Some(sends) = sends.filter(|_| !wired.network.spells().is_empty()) {
            let base = demand.clone();
            if wired.rest.is_some() {
                demand.bytes = wired.bytes(&sends);
            }
            kept = Some(Box::new((base, sends)));
        }
        wired.shares.add(slot, demand);
        self.on.insert(slot, Sender { network, alone_s, sends: kept });
        self.is_touched = true;
        alone_s
    }

    fn leave(&mut self, slot: u32) {
        if let Some(sender) = self.on.remove(&slot) {
            self.networks[sender.network].shares.remove(slot);
            self.is_touched = true;
        }
    }

    /// The spell of this number begins or ends: everybody sends over what is left.
    fn turn(&mut self, (network, spell): (usize, usize), begins: bool) {
        let wired = &mut self.networks[network];
        wired.turn(spell, begins);
        self.is_touched = true;
        let mut slots: Vec<u32> =
            self.on.iter().filter(|(_, on)| on.network == network).map(|(slot, _)| *slot).collect();
        slots.sort_unstable();
        for slot in slots {
            let Some((demand, sends)) = self.on[&slot].sends.as_deref() else { continue };
            let bytes = wired.bytes(sends);
            wired.shares.remove(slot);
            wired.shares.add(slot, Demand { bytes, ..demand.clone() });
        }
    }

    /// By number: the network and the spell, and whether it begins.
    fn turns(&self) -> impl Iterator<Item = ((usize, usize), bool)> + '_ {
        let spells = self.networks.iter().enumerate();
        spells.flat_map(|(at, wired)| {
            (0..wired.network.spells().len())
                .flat_map(move |spell| [((at, spell), true), ((at, spell), false)])
        })
    }
}

/// A job's hosts on a network.
struct On<'a> {
    network: &'a OnNetwork,
    /// Numbers there, with the job's GPUs on each.
    hosts: &'a [(u32, u32)],
    each: u32,
    recorded_bytes_s: f64,
}

impl On<'_> {
    /// What a job sends whose share of the time is all that is known of it.
    fn estimated(&self, job: &Fixed, profile: &ClassProfile) -> (Demand, Option<Sends>) {
        let communicates = if self.hosts.len() < 2 { 0.0 } else { job.shares[Share::InterNode as usize] };
        let (overlap, adapters) = (profile.overlap, f64::from(self.each));
        let communication_s = (communicates / (1.0 - overlap)).min(1.0);
        // On faster GPUs the same bytes are due in less time: a network does not get faster with them.
        let bytes = communication_s * adapters * self.recorded_bytes_s * pace(job);
        let span = (!profile.all_to_all).then_some(self.hosts.len() as u32);
        let demand = Demand {
            compute_s: 1.0 - communicates,
            hidden: overlap,
            cap: Some(adapters * self.network.adapter_bytes_s),
            ..Demand::default()
        };
        (demand, (communicates > 0.0).then(|| self.sends(job, span, bytes)))
    }

    fn sends(&self, job: &Fixed, span: Option<u32>, bytes: f64) -> Sends {
        Sends { hosts: self.hosts.to_vec(), job: u64::from(job.id.0), gpus: self.each, bytes, span }
    }

    /// What a training job sends of which that is known: its steps, each as the law of steps says, in units of the recorded
    /// one.
    fn trained(&self, job: &Fixed, step: &TrainedStep, overlap: f64) -> (Demand, Option<Sends>) {
        let compute_s = step.compute_s / step.recorded_s;
        let in_units = pace(job) / step.recorded_s;
        let now = &step.now;
        if now.nodes < 2 {
            // Over links of its hosts: what is more than recorded there is the only thing that a network does not say.
            let is_other = now.communication_s() > step.then.communication_s();
            let (compute_s, latency_s) =
                if is_other { (compute_s, now.communication_s() / step.recorded_s) } else { (1.0, 0.0) };
            return (Demand { compute_s, hidden: overlap, latency_s, ..Demand::default() }, None);
        }
        let demand = Demand {
            compute_s,
            hidden: overlap,
            cap: Some(now.bytes_per_node / now.bytes_s),
            latency_s: now.rounds_s * in_units,
            ..Demand::default()
        };
        (demand, Some(self.sends(job, Some(now.nodes), now.bytes_per_node * in_units)))
    }
}

/// How much faster a job computes than where it was recorded.
fn pace(job: &Fixed) -> f64 {
    job.bare as f64 / ONE as f64
}

impl Guests<'_> {
    /// What a job on these hosts sends; `None` where nothing leaves its host, or nobody else can be in the way.
    pub(super) fn sending(&self, job: &Fixed, gpus: u32, profile: &ClassProfile) -> Option<Sending> {
        if job.is_session {
            return None;
        }
        let first_host = job.stays[0].host;
        let on = |host: u32| self.tenancy_of(host).network.as_ref();
        let first = on(first_host)?;
        // A node without GPUs has one adapter.
        let each = (gpus / job.stays.len() as u32).max(1);
        let mut hosts: Vec<(u32, u32)> = Vec::with_capacity(job.stays.len());
        for stay in &job.stays {
            let there = on(stay.host).filter(|there| Arc::ptr_eq(&there.network, &first.network))?;
            hosts.push((there.first + self.hosts[stay.host as usize].in_pool, each));
        }
        let pool = self.hosts[first_host as usize].pool;
        let step = self.spec.trained_step(job.id, pool, (gpus, job.stays.len() as u32));
        let on = On { network: first, hosts: &hosts, each, recorded_bytes_s: self.spec.recorded_bytes_s };
        let (mut demand, sends) = match step {
            Some(step) => on.trained(job, &step, profile.overlap),
            None => on.estimated(job, profile),
        };
        // Tensors are summed among the GPUs of a host: over other links than the board has, that takes longer.
        let longer = first.gpu_links.map_or(1.0, |links| links.slowdown());
        demand.compute_s += job.shares[Share::IntraNode as usize] * (longer - 1.0);
        let matters = sends.is_some() || demand.latency_s > 0.0 || longer > 1.0;
        let network =
            self.links.networks.iter().position(|wired| Arc::ptr_eq(&wired.network, &first.network))?;
        matters.then_some(Sending { network, demand, sends })
    }

    /// Counts the leaves of a job that starts on several hosts of a network.
    pub(super) fn note_leaves(&mut self, job: &Fixed) {
        let on = |host: u32| self.tenancy_of(host).network.as_ref();
        let Some(first) = on(job.stays[0].host).filter(|_| job.stays.len() > 1) else { return };
        let number = |host: u32| {
            let there = on(host).filter(|there| Arc::ptr_eq(&there.network, &first.network))?;
            Some(there.first + self.hosts[host as usize].in_pool)
        };
        let Some(hosts) = job.stays.iter().map(|stay| number(stay.host)).collect::<Option<Vec<u32>>>() else {
            return;
        };
        let fabric = first.network.fabric();
        let fewest = fabric.fewest_leaves(hosts.len()) as u64;
        let spanned = fabric.leaves(hosts) as u64;
        let facts = &mut self.facts.leaves;
        (facts.starts, facts.spanned) = (facts.starts + 1, facts.spanned + spanned);
        facts.fewest += fewest;
    }

    /// A job comes to its links: alone there, it is so much faster than recorded, and so much of its speed is left.
    pub(super) fn enter_links(&mut self, slot: u32, sending: Option<Sending>) -> (f64, u64) {
        let Some(sending) = sending else { return (1.0, ONE) };
        let alone_s = self.links.enter(slot, sending);
        ((1.0 / alone_s).max(1.0), parts_of(alone_s.max(1.0)))
    }

    /// Sets when links fail and are back.
    pub(in crate::simulation) fn prepare_links<T: GuestTimer>(&self, calendar: &mut Calendar<T>) {
        for (((network, spell), begins), number) in self.links.turns().zip(0..) {
            let spell = &self.links.networks[network].network.spells()[spell];
            let at = self.from + if begins { spell.from } else { spell.until };
            calendar.set(T::link(number), at, Phase::Release);
        }
    }

    /// No further failure of a link matters.
    pub(in crate::simulation) fn stop_links<T: GuestTimer>(&self, calendar: &mut Calendar<T>) {
        self.links.turns().zip(0..).for_each(|(_, number)| {
            calendar.cancel(T::link(number));
        });
    }

    /// Links fail, or are back; who feels it is found out when the instant is settled.
    pub(in crate::simulation) fn fire_link(&mut self, number: u32) {
        let turn = self.links.turns().nth(number as usize);
        if let Some((which, begins)) = turn {
            self.links.turn(which, begins);
        }
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
        self.settle_reading(now, calendar);
        if !std::mem::take(&mut self.links.is_touched) {
            return;
        }
        let mut changed = std::mem::take(&mut self.links.changed);
        for at in 0..self.links.networks.len() {
            changed.clear();
            self.links.networks[at].shares.settle(&mut changed);
            for slot in &changed {
                self.feel_links(*slot, now, calendar);
            }
        }
        self.links.changed = changed;
    }

    fn feel_links<T: GuestTimer>(&mut self, slot: u32, now: SimTime, calendar: &mut Calendar<T>) {
        let Some(Sender { network, alone_s, .. }) = self.links.on.get(&slot) else { return };
        let Some(step) = self.links.networks[*network].shares.step(slot) else { return };
        // Without a way left it is as slow as a job can be: a part in 10^9, so it stands still.
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

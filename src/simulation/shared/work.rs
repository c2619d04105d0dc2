//! Work left and speed of each running job.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::hosts::{Hosts, OnHosts};
use super::meter::{JobLevels, SharedMeter};
use crate::cluster::cards::{CARD_UNITS, CardAllocation, CardPool, Device};
use crate::ids::{Id, JobId, NodeId, PoolId};
use crate::kernel::{Calendar, Phase};
use crate::scheduler::shared::speed::Resident;
use crate::scheduler::shared::{SPEED_ONE, SharedScheduler};
use crate::tenancy::{Company, RunTenancy, SliceOrder, Slices, Uses, parts_of};
use crate::time::{SimDuration, SimTime};
use crate::workload::{JobFlags, Workload};

use super::model::Timer;

/// A job that holds parts of GPUs.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) job: JobId,
    pub(super) pool: PoolId,
    /// When it was placed.
    pub(super) placed: SimTime,
    /// Whether its instances are there.
    pub(super) is_running: bool,
    devices: SmallVec<[Device; 1]>,
    /// The GPU that each of them is on: host and index there.
    gpus: SmallVec<[(u32, u8); 1]>,
    /// Work left at `since`, in microseconds x 10^-9.
    left: i128,
    speed: u64,
    /// Speed if nobody else were on its GPUs.
    alone: u64,
    since: SimTime,
    /// When it is killed, whatever is left.
    kill_at: SimTime,
    /// Whether it left before its work was done.
    pub(super) is_unfinished: bool,
    resident: Resident,
    pub(super) units: u32,
    levels: JobLevels,
    ask: Ask,
    on_hosts: OnHosts,
    /// With whom it takes turns, and since when, where GPUs are time-sliced.
    company: Option<(Company, SimTime)>,
}

/// What a job asked for, in units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// Of GPUs; `None` = what it was given.
    pub(super) gpu_units: Option<u64>,
    /// CPUs held beyond what was asked for.
    pub(super) cpu_slack: u32,
    /// CPUs held.
    pub(super) cpus: u32,
    /// Run time on the GPUs of this pool, as far as their model matters.
    pub(super) run: SimDuration,
    /// Speed on what the run time was measured on.
    pub(super) reference: u64,
    /// Speed under the access method of the pool, in parts of 10^9 of that on bare metal.
    pub(super) delivered: u64,
    /// How long it may run, as asked for what it was given, where it is killed then.
    pub(super) limit: Option<SimDuration>,
    /// Share of its time on the CPUs of its host.
    pub(super) host_share: f64,
    /// Thousandths of its GPUs that it used where it was measured.
    pub(super) util_milli: Option<u16>,
}

/// Where a job was placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    /// CPUs of a host of the pool.
    pub(super) cpus: u32,
    /// GPUs of a host.
    pub(super) gpus: u32,
    /// First node of the pool.
    pub(super) first: u32,
}

impl Site {
    /// The GPU that a device is on: host (by its first node) and index there.
    fn gpu_of(&self, node: NodeId, device: &Device, spec: &CardPool) -> (u32, u8) {
        match spec.vgpus {
            None => (node.0, device.card()),
            Some(vgpus) => {
                let (host, gpu) = vgpus.gpu_of(node.0 - self.first, device.card());
                (self.first + host * vgpus.vms, gpu)
            }
        }
    }
}

/// All slots, and who is on which GPU where that matters.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) slots: Vec<Option<Slot>>,
    /// By host and GPU.
    residents: FxHashMap<(u32, u8), SmallVec<[u32; 4]>>,
    pub(super) hosts: Hosts,
    /// Time slices by pool; empty where no GPU has them.
    pub(super) slices: Vec<Option<Slices>>,
    /// Microseconds for which jobs of a pool took turns in a company.
    pub(super) met: BTreeMap<(PoolId, Company), i128>,
}

impl Work {
    /// Nobody runs yet on pools of these tenancies.
    pub(super) fn new(tenancy: Option<&RunTenancy>, hosts: Hosts) -> Self {
        let slices =
            tenancy.map_or_else(Vec::new, |spec| spec.pools.iter().map(|pool| pool.slices).collect());
        Self { slices, hosts, ..Self::default() }
    }

    /// A job was placed; it does not run yet.
    #[expect(clippy::too_many_arguments, reason = "what is known of a job that starts")]
    pub(super) fn place(
        &mut self,
        slot: u32,
        job: JobId,
        pool: PoolId,
        allocation: &CardAllocation,
        (ask, uses): (Ask, Uses),
        now: SimTime,
        (workload, spec, scheduler): (&Workload, &CardPool, &SharedScheduler<'_>),
        site: &Site,
        meter: &mut SharedMeter,
    ) {
        let row = &workload.jobs[job];
        let speeds = scheduler.speeds();
        let held =
            || allocation.iter().flat_map(|grant| grant.gpus.iter().map(|device| (grant.node, device)));
        let devices: SmallVec<[Device; 1]> = held().map(|(_, device)| *device).collect();
        let gpus = held().map(|(node, device)| site.gpu_of(node, device, spec)).collect();
        let on = |grant: &crate::cluster::CardGrant| speeds.alone(row, &grant.gpus, pool.index(), spec);
        let alone = under(allocation.iter().map(on).min().unwrap_or(SPEED_ONE), ask.delivered);
        let law = speeds.law(row);
        let use_alone = ask.util_milli.map_or(law.use_alone(), |milli| f64::from(milli) / 1000.0);
        let mut on_hosts = OnHosts { parts: SmallVec::new(), uses, host_share: ask.host_share };
        if self.hosts.matter(pool) {
            for grant in allocation {
                let units: u32 = grant.gpus.iter().map(|device| spec.units(device)).sum();
                let part = match site.gpus {
                    0 => f64::from(grant.cpus) / f64::from(site.cpus.max(1)),
                    gpus => f64::from(units) / f64::from(gpus * CARD_UNITS),
                };
                on_hosts.add(self.hosts.host_of(grant.node), part, grant.cpus);
            }
        }
        let mut placed = Slot {
            on_hosts,
            job,
            pool,
            placed: now,
            is_running: false,
            units: devices.iter().map(|device| spec.units(device)).sum(),
            devices,
            gpus,
            left: i128::from(ask.run.micros()) * i128::from(ask.reference),
            speed: 0,
            alone,
            since: now,
            kill_at: SimTime::NEVER,
            is_unfinished: false,
            resident: Resident { law, use_alone },
            levels: JobLevels::default(),
            ask,
            company: None,
        };
        placed.relevel(meter);
        let at = slot as usize;
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(placed);
    }

    /// A placed job begins to run.
    pub(super) fn run(
        &mut self,
        slot: u32,
        now: SimTime,
        workload: &Workload,
        (spec, scheduler): (&CardPool, &SharedScheduler<'_>),
        meter: &mut SharedMeter,
        calendar: &mut Calendar<Timer>,
    ) {
        let row = self.slots[slot as usize].as_mut().expect("a placed job has a slot");
        row.is_running = true;
        row.since = now;
        row.kill_at = row.ask.limit.map_or(SimTime::NEVER, |limit| now + limit);
        let feels_host = !row.on_hosts.parts.is_empty();
        let shares_card =
            !row.devices.is_empty() && scheduler.speeds().neighbours_matter(row.pool.index(), spec);
        if !feels_host && !shares_card {
            let speed = row.alone;
            row.set_speed(speed, now, slot, meter, calendar);
            self.note_company(slot, now);
            return;
        }
        let mut touched = self.hosts.enter(slot, row.pool, &row.on_hosts, now, calendar);
        touched.push(slot);
        if shares_card {
            let cards = row.cards();
            for card in &cards {
                self.residents.entry(*card).or_default().push(slot);
            }
            self.on_cards(&cards, &mut touched);
        }
        self.retune(touched, now, workload, scheduler, meter, calendar);
    }

    /// A job ends or is withdrawn.
    pub(super) fn leave(
        &mut self,
        slot: u32,
        now: SimTime,
        workload: &Workload,
        scheduler: &SharedScheduler<'_>,
        meter: &mut SharedMeter,
        calendar: &mut Calendar<Timer>,
    ) -> Slot {
        let mut row = self.slots[slot as usize].take().expect("a placed job has a slot");
        let done = i128::from(now.since(row.since).micros()) * i128::from(row.speed);
        row.is_unfinished = row.left > done;
        row.part_company(now, &mut self.met);
        meter.change(row.pool, &row.levels, &JobLevels::default());
        let mut cards = row.cards();
        cards.retain(|card| match self.residents.get_mut(card) {
            Some(on) => {
                on.retain(|other| *other != slot);
                true
            }
            None => false,
        });
        let mut touched = self.hosts.leave(slot, row.pool, &row.on_hosts, calendar);
        self.on_cards(&cards, &mut touched);
        self.retune(touched, now, workload, scheduler, meter, calendar);
        row
    }

    /// A noise epoch ends on a node.
    #[expect(clippy::too_many_arguments, reason = "what a change of speed needs")]
    pub(super) fn epoch(
        &mut self,
        node: u32,
        pool: PoolId,
        now: SimTime,
        workload: &Workload,
        scheduler: &SharedScheduler<'_>,
        meter: &mut SharedMeter,
        calendar: &mut Calendar<Timer>,
    ) {
        let touched = self.hosts.epoch(node, pool, now, calendar);
        self.retune(touched, now, workload, scheduler, meter, calendar);
    }

    /// Who is on these cards.
    fn on_cards(&self, cards: &[(u32, u8)], touched: &mut SmallVec<[u32; 8]>) {
        for card in cards {
            touched.extend(self.residents.get(card).into_iter().flatten().copied());
        }
    }

    /// Gives these jobs the speed that they have with their neighbours of now.
    fn retune(
        &mut self,
        mut touched: SmallVec<[u32; 8]>,
        now: SimTime,
        workload: &Workload,
        scheduler: &SharedScheduler<'_>,
        meter: &mut SharedMeter,
        calendar: &mut Calendar<Timer>,
    ) {
        touched.sort_unstable();
        touched.dedup();
        for slot in touched {
            let speed = self.speed(slot, workload, scheduler);
            let row = self.slots[slot as usize].as_mut().expect("residents have slots");
            row.set_speed(speed, now, slot, meter, calendar);
            self.note_company(slot, now);
        }
    }

    /// Notes with whom a job on time slices takes turns from now on.
    fn note_company(&mut self, slot: u32, now: SimTime) {
        let row = self.slots[slot as usize].as_ref().expect("a running job has a slot");
        let Some(Some(slices)) = self.slices.get(row.pool.index()) else { return };
        let (mut vgpus, mut busy) = (1, 0.0);
        for (device, gpu) in row.devices.iter().zip(&row.gpus) {
            if slices.order == SliceOrder::FixedShare {
                let milli = if let Device::Share { milli, .. } = device { *milli } else { 1000 };
                vgpus = vgpus.max(1000 / milli.max(1));
                continue;
            }
            let on = self.residents.get(gpu);
            let others: SmallVec<[f64; 8]> = on
                .into_iter()
                .flatten()
                .filter(|other| **other != slot)
                .filter_map(|other| Some(self.slots[*other as usize].as_ref()?.resident.use_alone))
                .collect();
            if others.len() as u16 >= vgpus {
                vgpus = others.len() as u16 + 1;
                busy = others.iter().sum::<f64>() / others.len() as f64;
            }
        }
        let busy_milli = libm::round(busy.clamp(0.0, 1.0) * 1000.0) as u16;
        let company = Company { vgpus, busy_milli };
        let row = self.slots[slot as usize].as_mut().expect("it was there just now");
        if row.company.is_none_or(|(before, _)| before != company) {
            row.part_company(now, &mut self.met);
            row.company = Some((company, now));
        }
    }

    /// Speed of a job now: that on its slowest GPU.
    fn speed(&self, slot: u32, workload: &Workload, scheduler: &SharedScheduler<'_>) -> u64 {
        let row = self.slots[slot as usize].as_ref().expect("residents have slots");
        if workload.jobs[row.job].flags.has(JobFlags::SESSION) {
            return SPEED_ONE;
        }
        let on_card = |card: &(u32, u8)| {
            let others = self.residents.get(card).into_iter().flatten().filter(|other| **other != slot);
            let others: SmallVec<[Resident; 8]> =
                others.filter_map(|other| self.slots[*other as usize].as_ref().map(|s| s.resident)).collect();
            scheduler.speeds().beside(&row.resident, &others, row.pool.index())
        };
        let beside = row.cards().iter().map(on_card).min().unwrap_or(SPEED_ONE);
        let speed = under(beside, row.ask.delivered).min(row.alone);
        let of = |other: u32| self.slots[other as usize].as_ref().map(|slot| &slot.on_hosts);
        let factor = self.hosts.factor(slot, row.pool, &row.on_hosts, of);
        if factor > 1.0 { under(speed, parts_of(factor)) } else { speed }
    }
}

/// `speed` under an access method that delivers so much; never zero.
fn under(speed: u64, delivered: u64) -> u64 {
    if delivered == SPEED_ONE {
        return speed;
    }
    let parts = u128::from(speed) * u128::from(delivered) / u128::from(SPEED_ONE);
    u64::try_from(parts.max(1)).expect("it is at most the speed")
}

impl Slot {
    fn cards(&self) -> SmallVec<[(u32, u8); 4]> {
        let mut cards: SmallVec<[(u32, u8); 4]> = self.gpus.iter().copied().collect();
        cards.sort_unstable();
        cards.dedup();
        cards
    }

    /// Books the time in its company.
    fn part_company(&mut self, now: SimTime, met: &mut BTreeMap<(PoolId, Company), i128>) {
        if let Some((company, since)) = self.company.take() {
            *met.entry((self.pool, company)).or_default() += i128::from(now.since(since).micros());
        }
    }

    /// Settles the work done so far and goes on at `speed`.
    fn set_speed(
        &mut self,
        speed: u64,
        now: SimTime,
        slot: u32,
        meter: &mut SharedMeter,
        calendar: &mut Calendar<Timer>,
    ) {
        if speed == self.speed {
            return;
        }
        self.left -= i128::from(now.since(self.since).micros()) * i128::from(self.speed);
        self.since = now;
        self.speed = speed;
        let per = i128::from(speed);
        let us = (self.left.max(0) + per - 1) / per;
        let us = i64::try_from(us).unwrap_or(i64::MAX).min(SimDuration::MAX.micros());
        let end = (now + SimDuration::from_micros(us)).min(self.kill_at);
        calendar.set(Timer::End(slot), end, Phase::Release);
        self.relevel(meter);
    }

    /// Books what it holds anew: start-up until it runs, then slack (more than asked for), what neighbours cost,
    /// what it holds and does not use, and the rest as productive.
    fn relevel(&mut self, meter: &mut SharedMeter) {
        let units = i128::from(self.units);
        let cpu_slack = i128::from(self.ask.cpu_slack) * i128::from(CARD_UNITS);
        let cpus = i128::from(self.ask.cpus) * i128::from(CARD_UNITS) - cpu_slack;
        let mut levels = JobLevels { cpus, cpu_slack, ..JobLevels::default() };
        if self.is_running {
            levels.slack = self.ask.gpu_units.map_or(0, |asked| (units - i128::from(asked)).max(0));
            let rest = units - levels.slack;
            let one = i128::from(SPEED_ONE);
            levels.virtualization = rest * (one - i128::from(self.ask.delivered)) / one;
            let rest = rest - levels.virtualization;
            let (alone, speed) = (i128::from(self.alone), i128::from(self.speed));
            levels.neighbours = rest * (alone - speed) / alone;
            let rest = rest - levels.neighbours;
            let used = self.ask.util_milli.map_or(rest, |milli| {
                let whole = i128::from(milli) * i128::from(CARD_UNITS) / 1000 * self.devices.len() as i128;
                (whole * speed / i128::from(SPEED_ONE)).min(rest)
            });
            levels.held_idle = rest - used;
            levels.productive = used;
        } else {
            levels.startup = units;
        }
        meter.change(self.pool, &self.levels, &levels);
        self.levels = levels;
    }
}

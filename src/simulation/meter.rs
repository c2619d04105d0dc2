//! The hours: where each installed GPU and CPU spent its time, as exact integers.
//!
//! Unit: 1/21,000 of a device x microsecond (21,000 is a common multiple of 1,000 thousandths and of
//! the 7, 8 and 12 slices of MIG), so shares of a GPU add up exactly too. Between two events all levels
//! are constant; [`Meter::advance`] multiplies them by the span.
//!
//! Invariant (checked in tests and by [`PoolHours::check`]): the categories of a pool sum to its
//! installed capacity x horizon.

mod tax;

pub(super) use self::tax::{DeviceTax, Held, LostParts, Tax};
use super::withheld::Why;
use crate::cluster::Amounts;
use crate::ids::{Id, IdVec, PoolId};
use crate::scheduler::Pending;
use crate::time::{SimDuration, SimTime};

/// Ledger units per whole device and microsecond.
pub const UNITS_PER_DEVICE: i128 = 21_000;

/// Capacity that lay idle while jobs waited, by the reason of the first waiting job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdleWaiting {
    /// The first job needs more than is free in all.
    pub resources: i128,
    /// Enough is free in all, but not as the first job needs it.
    pub fragmentation: i128,
    /// Only held jobs wait (dependencies, begin times, array limits).
    pub held: i128,
    /// A limit of an association or QOS keeps the first job out.
    pub limit: i128,
    /// The scheduler has not looked at the first job yet, or keeps what is free from it.
    pub policy: i128,
}

impl IdleWaiting {
    /// Sum of all reasons.
    #[must_use]
    pub fn sum(&self) -> i128 {
        self.resources + self.fragmentation + self.held + self.limit + self.policy
    }
}

/// Hours of one kind of device in one pool, in units of 1/21,000 device-microsecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceHours {
    /// Capacity x horizon.
    pub installed: i128,
    /// Allocated, asked for and at work.
    pub productive: i128,
    /// Allocated and asked for, but not used, by the use that the trace recorded.
    pub held_idle: i128,
    /// Allocated while a job restarted after a preemption; `startup` in reports.
    pub restart: i128,
    /// Allocated beyond what was asked for (exclusive nodes).
    pub slack: i128,
    /// Allocated to an attempt that was preempted or lost its node: its work is done again, or never.
    pub lost: i128,
    /// Allocated while snapshots were taken.
    pub storage: i128,
    /// Lost to the access method of virtual machines.
    pub virtualization: i128,
    /// Lost to other jobs on the same GPU, and to others on the same host.
    pub neighbours: i128,
    /// Lost to the network: it is slower than the one on which the run time was recorded, or shared with other jobs.
    pub communication: i128,
    /// Slices of GPUs in use that no instance can be made of.
    pub stranded: i128,
    /// Being cut anew; nobody holds it.
    pub startup: i128,
    /// Out of order: under maintenance.
    pub down: i128,
    /// Free while jobs wait.
    pub idle_waiting: IdleWaiting,
    /// Free without demand.
    pub idle: i128,
}

impl DeviceHours {
    /// Turns device-microseconds into ledger units.
    fn in_units(&mut self, units: i128) {
        let waiting = &mut self.idle_waiting;
        for amount in [
            &mut self.productive,
            &mut self.restart,
            &mut self.slack,
            &mut waiting.resources,
            &mut waiting.fragmentation,
            &mut waiting.held,
            &mut waiting.limit,
            &mut waiting.policy,
            &mut self.lost,
            &mut self.stranded,
            &mut self.startup,
            &mut self.down,
            &mut self.idle,
        ] {
            *amount *= units;
        }
    }

    /// What jobs held.
    #[must_use]
    pub fn allocated(&self) -> i128 {
        self.productive
            + self.held_idle
            + self.restart
            + self.slack
            + self.lost
            + self.storage
            + self.virtualization
            + self.neighbours
            + self.communication
    }

    /// Sum of all categories.
    #[must_use]
    pub fn sum(&self) -> i128 {
        self.allocated() + self.stranded + self.startup + self.down + self.idle_waiting.sum() + self.idle
    }

    /// Component-wise sum.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            installed: self.installed + other.installed,
            productive: self.productive + other.productive,
            held_idle: self.held_idle + other.held_idle,
            restart: self.restart + other.restart,
            slack: self.slack + other.slack,
            lost: self.lost + other.lost,
            storage: self.storage + other.storage,
            virtualization: self.virtualization + other.virtualization,
            neighbours: self.neighbours + other.neighbours,
            communication: self.communication + other.communication,
            stranded: self.stranded + other.stranded,
            startup: self.startup + other.startup,
            down: self.down + other.down,
            idle_waiting: IdleWaiting {
                resources: self.idle_waiting.resources + other.idle_waiting.resources,
                fragmentation: self.idle_waiting.fragmentation + other.idle_waiting.fragmentation,
                held: self.idle_waiting.held + other.idle_waiting.held,
                limit: self.idle_waiting.limit + other.idle_waiting.limit,
                policy: self.idle_waiting.policy + other.idle_waiting.policy,
            },
            idle: self.idle + other.idle,
        }
    }
}

/// Hours of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolHours {
    /// GPUs.
    pub gpu: DeviceHours,
    /// CPUs.
    pub cpu: DeviceHours,
}

impl PoolHours {
    /// Whether the categories sum to the installed hours.
    #[must_use]
    pub fn check(&self) -> bool {
        self.gpu.sum() == self.gpu.installed && self.cpu.sum() == self.cpu.installed
    }
}

/// Hours of all pools, and the time integrals of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// By pool.
    pub pools: IdVec<PoolId, PoolHours>,
    /// Waiting jobs x microseconds.
    pub waiting_job_us: i128,
    /// Most jobs waiting at once.
    pub waiting_max: usize,
    /// Microseconds during which at least one job waited.
    pub waiting_us: i128,
}

impl Hours {
    /// All pools together.
    #[must_use]
    pub fn total(&self) -> PoolHours {
        self.pools.iter().fold(PoolHours::default(), |sum, pool| PoolHours {
            gpu: sum.gpu.plus(&pool.gpu),
            cpu: sum.cpu.plus(&pool.cpu),
        })
    }

    /// Adds time after the last event in which everything is idle without demand, so that designs of a
    /// comparison share one horizon.
    pub fn extend(&mut self, span: SimDuration, capacity: impl Fn(PoolId) -> Amounts) {
        for at in 0..self.pools.len() {
            let pool = PoolId::new(at);
            let has = capacity(pool);
            let us = i128::from(span.micros()) * UNITS_PER_DEVICE;
            let row = &mut self.pools[pool];
            for (device, count) in [(&mut row.gpu, has.gpus), (&mut row.cpu, has.cpus)] {
                device.installed += us * i128::from(count);
                device.idle += us * i128::from(count);
            }
        }
    }
}

/// Why free capacity is idle between two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleCause {
    /// Nobody waits.
    NoDemand,
    /// The first waiting job does not start for this reason.
    Waiting(Pending),
    /// A limit of an association or QOS keeps the first waiting job out.
    Limit,
    /// The scheduler has not looked at the first waiting job yet, or keeps what is free from it.
    Policy,
}

/// Devices at one instant. GPUs are counted as the ledger of the run counts them: whole ones by one, parts in
/// units of 1/21,000 GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// GPUs, in the ledger's count.
    pub gpus: u64,
    /// CPUs.
    pub cpus: u64,
}

impl Load {
    /// Nothing.
    pub const ZERO: Self = Self { gpus: 0, cpus: 0 };

    /// Component-wise sum.
    #[inline]
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self { gpus: self.gpus + other.gpus, cpus: self.cpus + other.cpus }
    }

    /// Component-wise difference.
    ///
    /// # Panics
    /// In debug builds, if `other` is more (an invariant of every caller).
    #[inline]
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self { gpus: self.gpus - other.gpus, cpus: self.cpus - other.cpus }
    }

    /// Component-wise difference, at least zero.
    #[must_use]
    pub fn saturating_minus(&self, other: &Self) -> Self {
        Self { gpus: self.gpus.saturating_sub(other.gpus), cpus: self.cpus.saturating_sub(other.cpus) }
    }

    /// `n` times as much.
    #[must_use]
    pub fn times(&self, n: u32) -> Self {
        Self { gpus: self.gpus * u64::from(n), cpus: self.cpus * u64::from(n) }
    }
}

impl From<&Amounts> for Load {
    /// Whole GPUs.
    #[inline]
    fn from(amounts: &Amounts) -> Self {
        Self { gpus: u64::from(amounts.gpus), cpus: u64::from(amounts.cpus) }
    }
}

/// A ledger, as far as hours are concerned.
pub trait Gauge {
    /// Hours units of one GPU of [`Load`].
    const GPU_UNITS: i128;
    /// Number of pools.
    fn pools(&self) -> usize;
    /// Capacity of a pool.
    fn has(&self, pool: PoolId) -> Load;
    /// What of it nobody holds.
    fn free(&self, pool: PoolId) -> Load;
}

/// Multiplies levels by time.
#[derive(Clone, Debug)]
pub struct Meter {
    hours: Hours,
    since: Option<SimTime>,
    /// Measured so far, in microseconds.
    span: i128,
    pools: IdVec<PoolId, Levels>,
}

/// What is known of a pool beside its ledger, and what is to be moved between its categories at the end.
#[derive(Clone, Debug, Default)]
struct Levels {
    /// Held beyond what was asked for.
    slack: Load,
    /// Of GPUs held by jobs that asked for parts of them: what they did not ask for, in units, and over time.
    part_slack: u64,
    part_slack_us: i128,
    /// VMs of elastic pools that are not there, and those that boot.
    absent: Load,
    booting: Load,
    /// GPUs that are free by the ledger on VMs that are not there: slices that are not cut cannot be held.
    unheld: u64,
    /// Out of order.
    down: Load,
    /// Kept back for when others are, and lent to somebody until then.
    standby: Load,
    lent: Load,
    /// All of these: no job holds it.
    off: Load,
    /// Free parts of GPUs that no instance can be made of, and those that are being cut anew.
    stranded: u64,
    making: u64,
    /// Device-microseconds that were not installed: GPUs, CPUs.
    absent_us: (i128, i128),
    /// GPUs held and not used, in thousandths of a GPU x microseconds.
    held_idle_milli: i128,
    /// Time of running jobs that was not productive.
    tax: Tax,
}

impl Levels {
    fn withheld(&mut self, why: Why) -> &mut Load {
        match why {
            Why::IsDown => &mut self.down,
            Why::StandsBy => &mut self.standby,
            Why::IsLent => &mut self.lent,
        }
    }

    fn sum_off(&mut self) {
        self.off = self.absent.plus(&self.booting).plus(&self.down).plus(&self.standby).plus(&self.lent);
    }

    /// Books what was off for `span` microseconds.
    fn book_off(&mut self, row: &mut PoolHours, span: u64, cause: IdleCause) {
        row.gpu.restart += times(span, self.booting.gpus);
        row.cpu.restart += times(span, self.booting.cpus);
        row.gpu.down += times(span, self.down.gpus);
        row.cpu.down += times(span, self.down.cpus);
        // What stands by is idle; where jobs wait, it is kept from them.
        let kept = if cause == IdleCause::NoDemand { cause } else { IdleCause::Policy };
        book(&mut row.gpu, span, 0, self.standby.gpus, 0, kept);
        book(&mut row.cpu, span, 0, self.standby.cpus, 0, kept);
        self.absent_us.0 += times(span, self.absent.gpus + self.lent.gpus);
        self.absent_us.1 += times(span, self.absent.cpus + self.lent.cpus);
    }
}

impl Meter {
    /// Nothing measured yet; the horizon starts with the first [`Meter::advance`].
    #[must_use]
    pub fn new(pools: usize) -> Self {
        Self {
            hours: Hours { pools: IdVec::filled(pools, PoolHours::default()), ..Hours::default() },
            since: None,
            span: 0,
            pools: IdVec::filled(pools, Levels::default()),
        }
    }

    /// A job holds `slack` more than it asked for.
    pub fn add_slack(&mut self, pool: PoolId, slack: &Load) {
        let level = &mut self.pools[pool].slack;
        *level = level.plus(slack);
    }

    /// Such a job has ended.
    pub fn drop_slack(&mut self, pool: PoolId, slack: &Load) {
        let level = &mut self.pools[pool].slack;
        *level = level.minus(slack);
    }

    /// A job holds whole GPUs and asked for parts of them: so many units are beyond.
    pub fn add_part_slack(&mut self, pool: PoolId, units: u64) {
        self.pools[pool].part_slack += units;
    }

    /// Such a job has ended.
    pub fn drop_part_slack(&mut self, pool: PoolId, units: u64) {
        self.pools[pool].part_slack -= units;
    }

    /// Books the time since the last call under the levels that held during it.
    pub fn advance(&mut self, now: SimTime, gauge: &impl Gauge, waiting: usize, cause: IdleCause) {
        let Some(since) = self.since.replace(now) else { return };
        // Time never goes back.
        let span = now.since(since).micros() as u64;
        if span == 0 {
            return;
        }
        self.span += i128::from(span);
        if waiting > 0 {
            self.hours.waiting_job_us += times(span, waiting as u64);
            self.hours.waiting_us += i128::from(span);
        }
        let rows = self.hours.pools.as_mut_slice().iter_mut().zip(self.pools.as_mut_slice());
        for (pool, (row, level)) in rows.enumerate() {
            let pool = PoolId::new(pool);
            let (has, free) = (gauge.has(pool), gauge.free(pool));
            let (off, slack) = (level.off, level.slack);
            if has.gpus > 0 {
                let free = free.gpus - level.unheld;
                let taken = has.gpus - free - off.gpus;
                let making = level.making.min(free);
                let stranded = level.stranded.min(free - making);
                book(&mut row.gpu, span, taken, free - making - stranded, slack.gpus, cause);
                if making + stranded > 0 {
                    row.gpu.stranded += times(span, stranded);
                    row.gpu.startup += times(span, making);
                }
            }
            if level.part_slack > 0 {
                level.part_slack_us += times(span, level.part_slack);
            }
            book(&mut row.cpu, span, has.cpus - free.cpus - off.cpus, free.cpus, slack.cpus, cause);
            if off != Load::ZERO {
                level.book_off(row, span, cause);
            }
        }
    }

    /// Moves what an attempt held for `span` in `pool` from productive to lost.
    pub fn lose(&mut self, pool: PoolId, held: &Load, span: SimDuration) {
        let us = i128::from(span.micros());
        let row = &mut self.hours.pools[pool];
        for (device, count) in [(&mut row.gpu, held.gpus), (&mut row.cpu, held.cpus)] {
            device.productive -= us * i128::from(count);
            device.lost += us * i128::from(count);
        }
    }

    /// Moves from productive what a job lost.
    pub(super) fn tax(&mut self, pool: PoolId, tax: &Tax) {
        let row = &mut self.pools[pool].tax;
        row.gpu.add(&tax.gpu);
        row.cpu.add(&tax.cpu);
    }

    /// So much of a pool is withheld from jobs.
    pub(super) fn withhold(&mut self, pool: PoolId, amounts: &Load, why: Why) {
        let level = &mut self.pools[pool];
        let slot = level.withheld(why);
        *slot = slot.plus(amounts);
        level.sum_off();
    }

    /// It is so no longer.
    pub(super) fn give_back(&mut self, pool: PoolId, amounts: &Load, why: Why) {
        let level = &mut self.pools[pool];
        let slot = level.withheld(why);
        *slot = slot.minus(amounts);
        level.sum_off();
    }

    /// So much of an elastic pool is not there, or boots; of both, `held` is held on the ledger.
    pub(super) fn set_off(&mut self, pool: PoolId, absent: Load, booting: Load, held: &Load) {
        let level = &mut self.pools[pool];
        (level.absent, level.booting) = (absent, booting);
        level.unheld = absent.plus(&booting).saturating_minus(held).gpus;
        level.sum_off();
    }

    /// Free parts of the GPUs of a pool of which no instance can be made, in hours units: by so much more.
    pub(super) fn strand(&mut self, pool: PoolId, more: i64) {
        let level = &mut self.pools[pool].stranded;
        *level = level.saturating_add_signed(more);
    }

    /// Free parts of the GPUs of a pool are being cut anew for nobody in particular: by so much more.
    pub(super) fn make(&mut self, pool: PoolId, more: i64) {
        let level = &mut self.pools[pool].making;
        *level = level.saturating_add_signed(more);
    }

    /// Measured so far, in microseconds.
    pub(super) fn span_us(&self) -> i128 {
        self.span
    }

    /// Moves from productive to held idle what a job did not use of `gpus` held for `span` in `pool`, where
    /// it used `util_milli` thousandths of them.
    pub fn hold_idle(&mut self, pool: PoolId, gpus: u64, span: SimDuration, util_milli: u16) {
        let unused = i128::from(1000u16.saturating_sub(util_milli));
        self.pools[pool].held_idle_milli += i128::from(span.micros()) * i128::from(gpus) * unused;
    }

    /// The same of GPUs of which a job asked for parts, in units: what it used counts against the part.
    pub(super) fn hold_part_idle(
        &mut self,
        pool: PoolId,
        (gpus, each): (u32, u32),
        span: SimDuration,
        util_milli: u16,
    ) {
        let used = (i128::from(util_milli) * UNITS_PER_DEVICE / 1000).min(i128::from(each));
        let unused = (i128::from(each) - used) * i128::from(gpus) * i128::from(span.micros());
        self.pools[pool].tax.gpu.held_idle += unused;
    }

    /// Moves what restarting jobs held from productive to start-up: GPUs x microseconds.
    pub fn restart(&mut self, pool: PoolId, gpu_us: i128) {
        let row = &mut self.hours.pools[pool].gpu;
        row.productive -= gpu_us;
        row.restart += gpu_us;
    }

    /// The last instant up to which time is booked.
    #[must_use]
    pub fn booked_until(&self) -> Option<SimTime> {
        self.since
    }

    /// Notes how many jobs wait after a pass.
    pub fn note_waiting(&mut self, waiting: usize) {
        self.hours.waiting_max = self.hours.waiting_max.max(waiting);
    }

    /// The hours.
    #[must_use]
    pub fn finish<G: Gauge>(mut self, gauge: &G) -> Hours {
        for (pool, row) in self.hours.pools.as_mut_slice().iter_mut().enumerate() {
            let has = gauge.has(PoolId::new(pool));
            let Levels { tax, absent_us: absent, held_idle_milli, part_slack_us, .. } =
                &self.pools[PoolId::new(pool)];
            let devices = [
                (&mut row.gpu, has.gpus, &tax.gpu, absent.0, G::GPU_UNITS),
                (&mut row.cpu, has.cpus, &tax.cpu, absent.1, UNITS_PER_DEVICE),
            ];
            for (device, count, tax, absent_us, units) in devices {
                device.in_units(units);
                device.installed = (self.span * i128::from(count) - absent_us) * units;
                device.productive -= tax.sum();
                device.virtualization += tax.virtualization;
                device.neighbours += tax.neighbours;
                device.communication += tax.communication;
                device.restart += tax.startup;
                device.held_idle += tax.held_idle;
                device.storage += tax.storage;
                device.lost += tax.lost;
            }
            let held_idle = held_idle_milli * G::GPU_UNITS / 1000;
            row.gpu.slack += part_slack_us;
            row.gpu.productive -= held_idle + part_slack_us;
            row.gpu.held_idle += held_idle;
        }
        self.hours
    }
}

/// Device-microseconds. One multiplication of the machine: a product of signed numbers of 128 bits takes three, at every
/// event. Both factors are below 2^63.
#[inline]
fn times(span_us: u64, count: u64) -> i128 {
    (u128::from(span_us) * u128::from(count)) as i128
}

/// Books device-microseconds; [`DeviceHours::in_units`] makes ledger units of them in the end.
fn book(row: &mut DeviceHours, span: u64, taken: u64, free: u64, slack: u64, cause: IdleCause) {
    row.productive += times(span, taken - slack);
    if slack > 0 {
        row.slack += times(span, slack);
    }
    let idle = match cause {
        IdleCause::NoDemand => &mut row.idle,
        IdleCause::Waiting(Pending::Fragmentation) => &mut row.idle_waiting.fragmentation,
        IdleCause::Waiting(Pending::Dependency | Pending::BeginTime | Pending::ArrayLimit) => {
            &mut row.idle_waiting.held
        }
        IdleCause::Waiting(_) => &mut row.idle_waiting.resources,
        IdleCause::Limit => &mut row.idle_waiting.limit,
        IdleCause::Policy => &mut row.idle_waiting.policy,
    };
    *idle += times(span, free);
}

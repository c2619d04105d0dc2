//! A job starts: what is fixed of it, which places it has a part of, and how far ahead it can be seen.

use super::course::{Course, Fixed};
use super::{
    ByPool, FAR_LOOK, FIRST_LOOK, Guest, GuestTimer, Guests, ONE, OnCards, OnNodes, neighbours_matter, times,
};
use crate::ids::{JobId, PoolId};
use crate::kernel::Calendar;
use crate::random::Stream;
use crate::simulation::meter::Held;
use crate::simulation::translation::Speed;
use crate::tenancy::{SpanLaw, Start, parts_of};
use crate::time::{SimDuration, SimTime};

/// What a job is that starts.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct Arrival {
    pub(in crate::simulation) job: JobId,
    /// Its run time where it was recorded.
    pub(in crate::simulation) run: SimDuration,
    /// Its speed on bare metal of these pools, relative to that.
    pub(in crate::simulation) bare: Speed,
    /// Whether it keeps its wall time.
    pub(in crate::simulation) is_session: bool,
    /// Its speed on the devices that it has, alone there, and on those that the run time was measured on: of that on
    /// whole GPUs, in parts of 10^9.
    pub(in crate::simulation) on_devices: u64,
    pub(in crate::simulation) measured: u64,
    /// What it has of GPUs that others may be on.
    pub(in crate::simulation) cards: Option<Box<OnCards>>,
    /// GPUs, or parts of GPUs, that it asked for.
    pub(in crate::simulation) gpus: u32,
    /// Devices at work for it: held, less what it did not ask for.
    pub(in crate::simulation) asked: ByPool,
    /// What passes before its boot: instances are cut, or it is put back after a preemption.
    pub(in crate::simulation) lead: SimDuration,
    /// Thousandths of its GPUs that it used, where they were recorded.
    pub(in crate::simulation) util_milli: Option<u16>,
    /// Wall time between its boot and its work that is the same on every hardware.
    pub(in crate::simulation) launch: SimDuration,
    /// Time to run after which it is killed.
    pub(in crate::simulation) limit: Option<SimDuration>,
    /// Work left of an earlier attempt, in microseconds x 10^-9, where it goes on from a snapshot.
    pub(in crate::simulation) resumes: Option<i128>,
}

/// A speed that is so many times as high, at least as high as it was.
fn faster_by(speed: u64, factor: f64) -> u64 {
    if factor == 1.0 { speed } else { (speed as f64 * factor) as u64 }
}

impl Guests<'_> {
    /// A job starts in `slot`; tells when it is at work.
    pub(in crate::simulation) fn begin<T: GuestTimer>(
        &mut self,
        slot: u32,
        arrival: &Arrival,
        nodes: &OnNodes,
        now: SimTime,
        calendar: &mut Calendar<T>,
    ) -> SimTime {
        let profile = self.spec.profile(arrival.job);
        let asked = arrival.asked.iter().fold(Held::default(), |sum, (_, asked)| sum.plus(asked));
        let spec = self.spec;
        let first = arrival.asked.first().map_or(PoolId(0), |(pool, _)| *pool);
        let shares = spec.shares(arrival.job, first, (arrival.gpus, nodes.len() as u32));
        let pools = || arrival.asked.iter().map(|(pool, _)| &spec.pools[*pool]);
        // A job in several pools waits for the slowest of them.
        let slowdowns = pools().map(|tenancy| tenancy.overhead.slowdown(&shares, self.seed, arrival.job));
        let own = slowdowns.fold(1.0, f64::max);
        let unswitched = pools().map(|tenancy| tenancy.overhead.least(&shares)).fold(1.0, f64::max);
        let is_sliced = arrival.cards.as_ref().is_some_and(|cards| {
            cards.feels_others && spec.pools[cards.pool].slices.is_some() && !arrival.is_session
        });
        let snapshots = pools().find_map(|tenancy| tenancy.snapshots);
        let boot = arrival.lead + self.boot(arrival);
        let whole = i128::from(arrival.run.micros()) * i128::from(arrival.measured);
        let left = arrival.resumes.unwrap_or(whole);
        let restore = snapshots.filter(|_| left < whole).map(|spec| spec.restore);
        let booted = now + boot + restore.unwrap_or(SimDuration::ZERO);
        let runs_from = booted + arrival.launch;
        let mut job = Fixed {
            id: arrival.job,
            is_session: arrival.is_session,
            stays: self.stays(nodes),
            cards: arrival.cards.clone(),
            on_devices: arrival.on_devices,
            company: ONE,
            network: ONE,
            loading: ONE,
            shares,
            uses: profile.uses,
            own,
            alone: if arrival.is_session { ONE } else { parts_of(own) },
            switching: is_sliced.then_some((own, unswitched)),
            bare: times(arrival.bare.parts(), arrival.on_devices),
            by_pool: arrival.asked.clone(),
            asked,
            util_milli: arrival.util_milli,
            placed: now,
            booted,
            runs_from,
            kill_at: arrival.limit.map_or(SimTime::NEVER, |limit| runs_from + limit),
            snapshots,
            writes: self.writes(arrival, nodes, left < whole),
            work: left,
        };
        let (touched, here) = self.enter(slot, &job, now);
        self.note_leaves(&job);
        let sending = self.sending(&job, arrival.gpus, profile);
        let loads = self.loads(&job, arrival.gpus);
        let can_be_slowed = sending.is_some() || loads.is_some();
        let (faster, left) = self.enter_links(slot, sending);
        (job.bare, job.network) = (faster_by(job.bare, faster), left);
        job.loading = self.begin_reading(slot, loads);
        let course = Course::new(&job, here);
        let shares_cards = job.cards.as_ref().is_some_and(|cards| cards.feels_others);
        let can_be_changed = shares_cards
            || can_be_slowed
            || pools().any(|tenancy| neighbours_matter(tenancy) || tenancy.maintenance.is_some());
        let looks = if can_be_changed { FIRST_LOOK } else { FAR_LOOK };
        let guest = Box::new(Guest { ahead: None, course, looks, is_looking: false, job });
        let at = slot as usize;
        if at >= self.rows.len() {
            self.rows.resize_with(at + 1, || None);
        }
        self.rows[at] = Some(guest);
        self.feel(slot, now);
        self.look_ahead(slot, calendar);
        self.note_company(slot, now);
        for other in touched {
            self.neighbours_changed(other, now, calendar);
        }
        // The launch of a script is told apart from its clean-up nowhere: it is no start-up.
        booted
    }

    /// The longest boot that a job's pools have for it.
    fn boot(&mut self, arrival: &Arrival) -> SimDuration {
        let laws = arrival.asked.iter().filter_map(|(pool, _)| match self.spec.pools[*pool].start {
            Start::PerJob(law) => Some(law),
            Start::Standing => None,
        });
        let draw = |law: SpanLaw| law.draw(&mut Stream::new(self.seed, "boot", u64::from(arrival.job.0), 0));
        let Some(boot) = laws.map(draw).max() else { return SimDuration::ZERO };
        self.facts.boots += 1;
        boot
    }
}

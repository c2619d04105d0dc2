//! What jobs do to each other on hosts and GPUs, and what becomes of them when somebody comes or goes.

use super::course::{Ahead, Fixed, Goal, Stay};
use super::{FIRST_LOOK, GuestTimer, Guests, ONE, neighbours_matter};
use crate::kernel::Calendar;
use crate::tenancy::{Uses, parts_of};
use crate::time::{SimDuration, SimTime};

impl Guests<'_> {
    /// All jobs on a host stand still for a while: their VMs are moved elsewhere.
    pub(in crate::simulation) fn stun<T: GuestTimer>(
        &mut self,
        host: u32,
        stun: SimDuration,
        now: SimTime,
        calendar: &mut Calendar<T>,
    ) {
        for slot in self.hosts[host as usize].guests.clone() {
            let guest = self.rows[slot as usize].as_mut().expect("guests of a host run");
            let mut ahead =
                Ahead { hosts: &mut self.hosts, pools: &self.spec.pools, soonest: &mut self.soonest };
            guest.course.walk(&guest.job, &mut ahead, Goal::At(now));
            guest.course.stun(&guest.job, now, stun);
            guest.looks = FIRST_LOOK;
            self.look_ahead(slot, calendar);
        }
    }

    /// Works out what a job's neighbours do to it, and its speed; its course must have come to `now`.
    pub(super) fn feel(&mut self, slot: u32, now: SimTime) {
        let mut guest = self.rows[slot as usize].take().expect("guests of a host run");
        if !guest.job.is_session {
            for at in 0..guest.job.stays.len() {
                let stay = &guest.job.stays[at];
                if neighbours_matter(self.tenancy_of(stay.host)) {
                    guest.job.stays[at].caused = self.caused(slot, &guest.job, stay);
                }
            }
            guest.job.company = self.on_cards(slot, &guest.job);
            if let Some((among_others, by_itself)) = guest.job.switching {
                // What passed until now passed at the old factor.
                guest.course.settle(&guest.job, now);
                let others = guest.job.cards.as_ref().is_some_and(|cards| self.has_company(slot, cards));
                guest.job.own = if others { among_others } else { by_itself };
                guest.job.alone = parts_of(guest.job.own);
            }
        }
        guest.course.retune(&guest.job, now);
        self.rows[slot as usize] = Some(guest);
    }

    /// What is left of a job's speed beside the others on its GPUs, in parts of 10^9.
    fn on_cards(&self, slot: u32, job: &Fixed) -> u64 {
        let Some(cards) = &job.cards else { return ONE };
        let beside = self.beside(slot, cards);
        if beside >= job.on_devices {
            ONE
        } else {
            (ONE as u128 * u128::from(beside) / u128::from(job.on_devices)) as u64
        }
    }

    /// Somebody came to a job's hosts or GPUs, or left them.
    pub(super) fn neighbours_changed<T: GuestTimer>(
        &mut self,
        slot: u32,
        now: SimTime,
        calendar: &mut Calendar<T>,
    ) {
        self.note_company(slot, now);
        let guest = self.rows[slot as usize].as_ref().expect("guests of a host run");
        let is_as_before = |stay: &Stay| {
            !neighbours_matter(self.tenancy_of(stay.host))
                || self.caused(slot, &guest.job, stay) == stay.caused
        };
        let switches = guest.job.switching.is_some_and(|(among_others, by_itself)| {
            let others = guest.job.cards.as_ref().is_some_and(|cards| self.has_company(slot, cards));
            guest.job.own != if others { among_others } else { by_itself }
        });
        if guest.job.is_session
            || (!switches
                && self.on_cards(slot, &guest.job) == guest.job.company
                && guest.job.stays.iter().all(is_as_before))
        {
            return;
        }
        let guest = self.rows[slot as usize].as_mut().expect("it was there just now");
        let mut ahead = Ahead { hosts: &mut self.hosts, pools: &self.spec.pools, soonest: &mut self.soonest };
        guest.course.walk(&guest.job, &mut ahead, Goal::At(now));
        guest.looks = FIRST_LOOK;
        self.feel(slot, now);
        self.look_ahead(slot, calendar);
    }

    /// The factor of its neighbours on a host on a job.
    fn caused(&self, slot: u32, job: &Fixed, stay: &Stay) -> f64 {
        let tenancy = self.tenancy_of(stay.host);
        let mut others: Uses = Uses::default();
        let mut cpus = stay.cpus;
        for other in self.hosts[stay.host as usize].guests.iter().filter(|other| **other != slot) {
            let Some(other) = self.rows[*other as usize].as_ref() else { continue };
            let there = other.job.stays.iter().find(|s| s.host == stay.host).expect("it is on this host");
            for (sum, uses) in others.iter_mut().zip(&other.job.uses) {
                *sum += uses * there.part;
            }
            cpus += there.cpus;
        }
        let mut caused = tenancy.contention.map_or(1.0, |contention| contention.slowdown(&job.uses, &others));
        if let Some(packing) = tenancy.packing.filter(|packing| packing.overcommits()) {
            let over = f64::from(cpus) / f64::from(packing.cpus.max(1)) - 1.0;
            caused += job.shares[2] * over.max(0.0);
        }
        caused
    }
}

//! Nodes that go and come: failures, maintenance, outages of a record, elastic pools.

use std::ops::Range;

use super::ground::{Decider, Ground as _};
use super::vms::{OnFloor, Vms, Waiting};
use super::{Run, Slot, Timer};
use crate::cluster::Conflict;
use crate::ids::NodeId;
use crate::kernel::{Calendar, Phase};
use crate::simulation::OutageKind;
use crate::simulation::failure::HostTurn;
use crate::simulation::guests::count_level;
use crate::time::SimTime;

impl<D: Decider> Run<'_, D> {
    /// Sets what is known of nodes before the run.
    pub(super) fn prepare_nodes(&mut self, calendar: &mut Calendar<Timer>) {
        let from = self.workload.first_submit();
        if let Some((elastic, mut yard, facts)) = self.vms() {
            self.conflict = elastic.prepare(from, &mut yard, facts).err();
        }
        if let Some(upkeep) = &self.upkeep {
            upkeep.prepare(calendar);
        }
        if let Some(guests) = &self.guests {
            guests.prepare_links(calendar);
        }
        if let Some(failures) = &mut self.failures {
            let floor = (&mut self.ground, &mut self.meter, &mut self.diary);
            let done = failures.prepare(from, floor, calendar);
            self.conflict = done.err().or(self.conflict.take());
        }
        for (at, outage) in self.outages.rows().iter().enumerate() {
            calendar.set(Timer::OutageBegins(at as u32), outage.from, Phase::Release);
            calendar.set(Timer::OutageEnds(at as u32), outage.until, Phase::Release);
        }
    }

    /// Something is due on a node.
    pub(super) fn fire_nodes(&mut self, timer: Timer, now: SimTime, calendar: &mut Calendar<Timer>) {
        let done = match timer {
            Timer::Vm(node) => self.fire_vm(node, now, calendar),
            Timer::Upkeep(at) => self.fire_upkeep(at, now, calendar),
            Timer::Host(at) => self.fire_host(at, now, calendar),
            Timer::OutageBegins(at) => {
                self.outages.begin(at);
                self.strike(at, now, calendar);
                self.dirty = true;
                self.stand_in((at, true), now, calendar)
            }
            Timer::OutageEnds(at) => {
                self.dirty = true;
                let done = self.outages.end(at, &mut self.ground, &mut self.meter);
                done.and_then(|()| self.stand_in((at, false), now, calendar))
            }
            // Of an order the next settling decides.
            _ => Ok(()),
        };
        self.conflict = done.err().or(self.conflict.take());
    }

    /// The timer of a VM of an elastic pool has come due.
    fn fire_vm(
        &mut self,
        node: NodeId,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        let is_wanted = self.decider.waiting() > 0;
        let Some((elastic, mut yard, facts)) = self.vms() else { return Ok(()) };
        self.dirty |= elastic.fire(node, now, is_wanted, (&mut yard, facts), calendar)?;
        Ok(())
    }

    /// Elastic pools, where they stand, and what is told of them; `None` where no pool is elastic.
    fn vms(&mut self) -> Option<Vms<'_, D::Ground>> {
        let (elastic, guests) = self.elastic.as_deref_mut().zip(self.guests.as_deref_mut())?;
        let yard = OnFloor { ground: &mut self.ground, meter: &mut self.meter };
        Some((elastic, yard, &mut guests.facts))
    }

    /// Orders VMs for the jobs that still wait.
    pub(super) fn decide_elastic(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        let (Some(elastic), Some(guests)) = (&mut self.elastic, &mut self.guests) else { return };
        let mut yard = OnFloor { ground: &mut self.ground, meter: &mut self.meter };
        let queue = Waiting { workload: self.workload, decider: &self.decider };
        let decided = elastic.decide(now, &queue, (&mut yard, &mut guests.facts), calendar);
        self.conflict = decided.err().or(self.conflict.take());
    }

    /// A host is due for maintenance, or back from it.
    fn fire_upkeep(&mut self, at: u32, now: SimTime, calendar: &mut Calendar<Timer>) -> Result<(), Conflict> {
        let (Some(upkeep), Some(guests)) = (&mut self.upkeep, &mut self.guests) else { return Ok(()) };
        self.dirty = true;
        upkeep.fire(at, now, guests, (&mut self.ground, &mut self.meter, &mut self.diary), calendar)
    }

    /// An outage that the design names begins or ends: a host that is kept back may stand in.
    fn stand_in(
        &mut self,
        (at, begins): (u32, bool),
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        let row = self.outages.rows()[at as usize];
        let Some(failures) = self.failures.as_mut().filter(|_| row.kind != OutageKind::Reserved) else {
            return Ok(());
        };
        let floor = (&mut self.ground, &mut self.meter, &mut self.diary);
        failures.note_outage((row.node, begins), now, floor, calendar)
    }

    /// Hosts fail with all jobs on them, or are repaired.
    fn fire_host(&mut self, at: u32, now: SimTime, calendar: &mut Calendar<Timer>) -> Result<(), Conflict> {
        let Some(failures) = &mut self.failures else { return Ok(()) };
        self.dirty = true;
        let floor = (&mut self.ground, &mut self.meter, &mut self.diary);
        for turn in failures.fire(at, now, floor, calendar)? {
            self.turn_of_host(turn, now, calendar)?;
        }
        Ok(())
    }

    fn turn_of_host(
        &mut self,
        turn: HostTurn,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        let Some(guests) = &mut self.guests else { return Ok(()) };
        if !turn.fails {
            return if turn.is_elastic { self.restore_vms(turn.nodes, now, calendar) } else { Ok(()) };
        }
        let slots = guests.on_host(turn.host);
        guests.facts.failures += u64::from(!turn.is_elastic);
        count_level(&mut guests.facts.by_level, turn.level);
        guests.facts.lost_attempts += slots.len() as u64;
        for slot in slots {
            self.lose_attempt(slot, turn.requeue, now, calendar);
        }
        if turn.is_elastic { self.lose_vms(turn.nodes, now, calendar) } else { Ok(()) }
    }

    /// The VMs of a host that failed are gone; where none was there, nobody has noticed.
    fn lose_vms(
        &mut self,
        nodes: Range<u32>,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        let Some((elastic, mut yard, facts)) = self.vms() else { return Ok(()) };
        let lost = elastic.lose(nodes, now, (&mut yard, facts), calendar)?;
        facts.failures += u64::from(lost > 0);
        Ok(())
    }

    /// The VMs of a host that is repaired can be ordered again.
    fn restore_vms(
        &mut self,
        nodes: Range<u32>,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        let Some((elastic, mut yard, facts)) = self.vms() else { return Ok(()) };
        elastic.restore(nodes, now, (&mut yard, facts), calendar)
    }

    /// A node goes out of order: where it goes down, its jobs are lost.
    fn strike(&mut self, outage: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        let row = self.outages.rows()[outage as usize];
        if row.kind != OutageKind::Down {
            return;
        }
        let ground = &self.ground;
        let is_there =
            |slot: &Slot<D::Ground>| ground.on_nodes(&slot.grants).iter().any(|on| on.node == row.node);
        let slots = self.slots.iter().zip(0..).filter(|(slot, _)| slot.as_ref().is_some_and(is_there));
        let hit: Vec<u32> = slots.map(|(_, at)| at).collect();
        if let Some(guests) = &mut self.guests {
            guests.facts.failures += 1;
            guests.facts.lost_attempts += hit.len() as u64;
        }
        for slot in hit {
            self.lose_attempt(slot, true, now, calendar);
        }
    }

    /// Takes what is free on nodes that are out of order; before every pass.
    pub(super) fn absorb_nodes(
        &mut self,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        self.outages.absorb(&mut self.ground, &mut self.meter)?;
        if let Some(failures) = &mut self.failures {
            failures.absorb(&mut self.ground, &mut self.meter)?;
        }
        if let Some(upkeep) = &mut self.upkeep {
            upkeep.absorb(now, (&mut self.ground, &mut self.meter, &mut self.diary), calendar)?;
        }
        Ok(())
    }

    /// Where nobody runs, all hosts are up and nothing but their next failure or maintenance is due, nothing more can
    /// happen: whoever waits now will never start. Without this rule hosts would fail for ever for a job that cannot.
    pub(super) fn rest_nodes(&mut self, calendar: &mut Calendar<Timer>) {
        if self.running > 0 || self.next < self.workload.jobs.len() {
            return;
        }
        if self.waiting() == 0 {
            // No further outage matters, and the run is no longer for it.
            for at in 0..self.outages.rows().len() as u32 {
                calendar.cancel(Timer::OutageBegins(at));
                calendar.cancel(Timer::OutageEnds(at));
            }
            if let Some(guests) = &self.guests {
                guests.stop_links(calendar);
            }
        }
        if self.failures.is_none() && self.upkeep.is_none() {
            return;
        }
        let failing = self.failures.as_ref().map_or(Some(0), |failures| failures.resting());
        let kept = self.upkeep.as_ref().map_or(Some(0), |upkeep| upkeep.resting());
        let is_over = self.waiting() == 0;
        let only_hosts = failing.zip(kept).is_some_and(|(failing, kept)| calendar.len() == failing + kept);
        if !is_over && !only_hosts {
            return;
        }
        if let Some(failures) = &self.failures {
            failures.stop(calendar);
        }
        if let Some(upkeep) = &self.upkeep {
            upkeep.stop(calendar);
        }
    }
}

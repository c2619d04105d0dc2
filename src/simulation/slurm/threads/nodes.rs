//! Nodes that go and come under the controller: hosts that fail, drain or stand by, and VMs.

use super::super::hosted::nodes_of;
use super::super::life::Turn;
use super::{Daemon, Timer, whole_s};
use crate::kernel::Calendar;
use crate::scheduler::slurm::NodeChange;
use crate::time::SimTime;

impl Daemon<'_> {
    /// Hosts fail, drain, or are back.
    pub(super) fn turn_of_host(&mut self, at: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        let hosts = self.hosts.as_mut().expect("only hosts have turns");
        let turns = hosts.turn(at, now, calendar);
        self.turn_hosts(turns, now, calendar);
    }

    pub(super) fn turn_hosts(&mut self, turns: Vec<Turn>, now: SimTime, calendar: &mut Calendar<Timer>) {
        for turn in turns {
            let nodes = nodes_of(self.run.config.no_nodes().len(), &turn);
            let fails = turn.change == NodeChange::Down;
            if fails || !turn.is_elastic {
                self.controller.change_nodes(&nodes, turn.change, whole_s(now));
                self.carry_out(now, calendar);
            }
            if let Some(hosts) = self.hosts.as_mut().filter(|_| turn.is_elastic) {
                hosts.host_of_vms((turn.nodes, fails), now, &mut self.controller, calendar);
            }
            self.want_pass(now, calendar);
        }
    }

    /// A VM is up, was ordered in vain, or has been idle for long; or others may be ordered.
    pub(super) fn turn_of_vm(&mut self, timer: Timer, now: SimTime, calendar: &mut Calendar<Timer>) {
        if self.finished {
            return;
        }
        let hosts = self.hosts.as_mut().expect("only hosts have VMs");
        if let Timer::Vm(node) = timer {
            if !hosts.turn_of_vm(node, now, &mut self.controller, calendar) {
                return;
            }
            self.last_event = now;
        }
        // VMs are ordered for those whom a pass leaves waiting.
        self.want_pass(now, calendar);
    }
}

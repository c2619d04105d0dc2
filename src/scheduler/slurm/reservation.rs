//! Advance reservations: who may use which nodes when.
//!
//! A job without a reservation may not use a node whose reservation overlaps `[start, start + limit)`;
//! a job with one uses only its nodes, from its start, and may run past its end until the 30-second
//! timer ends it. A MAINT reservation over a whole partition moves the partition's jobs behind it.

use super::LicenceCounts;
use super::NodeSet;
use super::controller::Controller;
use super::job::JobIx;

/// One reservation.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservation {
    /// `ReservationName`.
    pub name: String,
    /// `StartTime`, whole seconds.
    pub start_s: i64,
    /// `EndTime`, whole seconds.
    pub end_s: i64,
    /// `Nodes`.
    pub nodes: NodeSet,
    /// `Users`; empty = any user of `accounts`.
    pub users: Vec<String>,
    /// `Accounts`; empty = any account of `users`.
    pub accounts: Vec<String>,
    /// `Licenses`.
    pub licences: LicenceCounts,
    /// `Flags=MAINT`.
    pub maint: bool,
    /// `Flags=OVERLAP`.
    pub overlap: bool,
    /// Deleted or ended.
    pub gone: bool,
}

/// What `scontrol create reservation` asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ReservationRequest {
    /// The reservation.
    pub reservation: Reservation,
    /// `Flags=IGNORE_JOBS`.
    pub ignore_jobs: bool,
}

impl Reservation {
    /// Whether a user of an account may use it.
    #[must_use]
    pub fn admits(&self, user: &str, account: &str) -> bool {
        let user_ok = self.users.is_empty() || self.users.iter().any(|u| u == user);
        let account_ok = self.accounts.is_empty() || self.accounts.iter().any(|a| a == account);
        user_ok && account_ok
    }
}

/// What reservations leave to a job at one instant.
pub(super) enum Reserved {
    /// These nodes; whether any reservation took nodes of its partition away.
    Nodes(NodeSet, bool),
    /// Maintenance covers its partition.
    Maintenance,
    /// Its reservation does not run then.
    NotNow,
}

impl Controller<'_> {
    /// Creates a reservation.
    ///
    /// # Errors
    /// What `scontrol` answers where it is refused.
    pub fn create_reservation(&mut self, asked: ReservationRequest, now_s: i64) -> Result<(), &'static str> {
        let new = &asked.reservation;
        let others = self.reservations.iter().filter(|r| !r.gone);
        if !new.maint && !new.overlap {
            for other in others {
                if other.start_s < new.end_s
                    && new.start_s < other.end_s
                    && !other.nodes.is_disjoint(&new.nodes)
                {
                    return Err("Requested nodes are busy");
                }
            }
        }
        let busy = |job: &JobIx| {
            let job = &self.jobs[job.at()];
            job.end_planned_s > new.start_s && !job.nodes.is_disjoint(&new.nodes)
        };
        if !asked.ignore_jobs && self.running.iter().any(busy) {
            return Err("Requested nodes are busy");
        }
        self.reservations.push(asked.reservation);
        self.note_change(now_s);
        Ok(())
    }

    /// Whether any reservation is still known.
    #[must_use]
    pub fn has_reservations(&self) -> bool {
        self.reservations.iter().any(|r| !r.gone)
    }

    /// Changes the end of a reservation.
    ///
    /// # Errors
    /// If there is no such reservation.
    pub fn set_reservation_end(&mut self, name: &str, end_s: i64, now_s: i64) -> Result<(), &'static str> {
        let found = self.reservations.iter_mut().find(|r| r.name == name && !r.gone);
        found.ok_or("Requested reservation is invalid")?.end_s = end_s;
        self.note_change(now_s);
        Ok(())
    }

    /// Deletes a reservation.
    ///
    /// # Errors
    /// If there is no such reservation, or pending jobs name it.
    pub fn delete_reservation(&mut self, name: &str, now_s: i64) -> Result<(), &'static str> {
        let at = self
            .reservations
            .iter()
            .position(|r| r.name == name && !r.gone)
            .ok_or("Requested reservation is invalid")?;
        let uses = |job: &JobIx| self.jobs[job.at()].reservation == Some(at);
        if self.pending.iter().chain(&self.running).any(uses) {
            return Err("Requested reservation is in use");
        }
        self.reservations[at].gone = true;
        self.note_change(now_s);
        Ok(())
    }

    /// Nodes that reservations leave to `job` if it starts at `when_s` (which maintenance moves, if
    /// `may_move`).
    pub(super) fn unreserved(&self, job: JobIx, when_s: &mut i64, now_s: i64, may_move: bool) -> Reserved {
        let record = &self.jobs[job.at()];
        let length_s = i64::from(record.limit_min) * 60;
        if let Some(own) = record.reservation {
            return self.own_reservation(own, when_s, length_s);
        }
        let mut nodes = self.all_nodes();
        if self.reservations.iter().all(|r| r.gone) {
            return Reserved::Nodes(nodes, false);
        }
        let partition = &self.config.partitions[record.partition];
        for _ in 0..=10 {
            nodes = self.all_nodes();
            let mut overlap = false;
            let mut moved_to = None;
            for reservation in self.reservations.iter().filter(|r| !r.gone && r.end_s > now_s.min(*when_s)) {
                if reservation.start_s >= *when_s + length_s || reservation.end_s <= *when_s {
                    continue;
                }
                if reservation.maint && partition.nodes.is_subset(&reservation.nodes) {
                    moved_to = Some(reservation.end_s);
                    break;
                }
                nodes.difference_with(&reservation.nodes);
                overlap |= !reservation.nodes.is_disjoint(&partition.nodes);
            }
            match moved_to {
                None => return Reserved::Nodes(nodes, overlap),
                Some(_) if !may_move => return Reserved::Maintenance,
                Some(end_s) => *when_s = end_s,
            }
        }
        Reserved::Maintenance
    }

    fn own_reservation(&self, own: usize, when_s: &mut i64, length_s: i64) -> Reserved {
        let reservation = &self.reservations[own];
        if reservation.gone || *when_s < reservation.start_s || *when_s > reservation.end_s {
            return Reserved::NotNow;
        }
        let mut nodes = reservation.nodes.clone();
        let mut overlap = false;
        for (at, other) in self.reservations.iter().enumerate() {
            let apart = other.start_s >= *when_s + length_s || other.end_s <= *when_s;
            if at == own || other.gone || apart || reservation.maint || (reservation.overlap && !other.maint)
            {
                continue;
            }
            overlap |= !nodes.is_disjoint(&other.nodes);
            nodes.difference_with(&other.nodes);
        }
        Reserved::Nodes(nodes, overlap)
    }

    /// The earliest end of any reservation that has not passed at `start_s`, rounded up.
    pub(super) fn next_reservation_end(&self, start_s: i64, resolution_s: i64) -> Option<i64> {
        let ends = self.reservations.iter().filter(|r| !r.gone && start_s <= r.end_s).map(|r| r.end_s);
        ends.min().map(|end| self.floor_to(end + resolution_s - 1, resolution_s))
    }

    pub(super) fn all_nodes(&self) -> NodeSet {
        let mut nodes = self.config.no_nodes();
        nodes.insert_range(..);
        nodes
    }
}

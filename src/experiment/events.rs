//! From what a design writes of its nodes to what a run is told: instants count from the first submission.

use crate::scenario::{Design, EventKind, PolicyChoice};
use crate::simulation::{NodeReservation, Outage, OutageKind};
use crate::workload::Workload;

/// What happens to the nodes of a design in a run over `workload`, beside `known`.
pub(super) fn outages(
    workload: &Workload,
    design: &Design,
    policy: &PolicyChoice,
    known: &[Outage],
) -> Vec<Outage> {
    let first = workload.first_submit();
    let mut rows = known.to_vec();
    for event in &design.events {
        let (from, until) = (first + event.from, first + event.until);
        let kind = match event.kind {
            EventKind::Down => OutageKind::Down,
            EventKind::Drain => OutageKind::Drain,
        };
        rows.extend(event.nodes.iter().map(|node| Outage { node: *node, from, until, kind }));
    }
    // Slurm keeps reservations itself.
    let kept = design.reservations.iter().filter(|_| *policy != PolicyChoice::Slurm);
    for reservation in kept {
        let (from, until) = (first + reservation.from, first + reservation.until);
        let row = |node: &_| Outage { node: *node, from, until, kind: OutageKind::Reserved };
        rows.extend(reservation.nodes.iter().map(row));
    }
    rows
}

/// The reservations of a design, as Slurm is told them.
pub(super) fn reservations(workload: &Workload, design: &Design) -> Vec<NodeReservation> {
    let first = workload.first_submit();
    let row = |(number, spec): (usize, &crate::scenario::ReservationSpec)| NodeReservation {
        name: spec.name.clone().unwrap_or_else(|| format!("reservation-{}", number + 1)),
        nodes: spec.nodes.clone(),
        known_from: first,
        from: first + spec.from,
        until: first + spec.until,
        users: spec.users.clone(),
        accounts: spec.accounts.clone(),
    };
    design.reservations.iter().enumerate().map(row).collect()
}

/// Whether jobs are lost on nodes of a design at instants that are written.
pub(super) fn lose_jobs(design: &Design) -> bool {
    design.events.iter().any(|event| event.kind == EventKind::Down)
}

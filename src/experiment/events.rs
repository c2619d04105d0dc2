//! From what a design writes of its nodes to what a run is told: instants count from the first submission.

use crate::diagnostic::Diagnostic;
use crate::ids::Id as _;
use crate::scenario::{Design, EventKind, PolicyChoice};
use crate::scheduler::Shapes;
use crate::scheduler::shared::demand::CardShapes;
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
            EventKind::Wait => unreachable!("jobs wait for links, not for nodes"),
        };
        rows.extend(event.nodes.iter().map(|node| Outage { node: *node, from, until, kind }));
    }
    // Slurm keeps reservations itself.
    let kept = design.reservations.iter().filter(|_| !matches!(policy, PolicyChoice::Slurm(_)));
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
        licences: spec.licences.clone(),
    };
    design.reservations.iter().enumerate().map(row).collect()
}

/// Whether jobs are lost on nodes of a design at instants that are written.
pub(super) fn lose_jobs(design: &Design) -> bool {
    design.events.iter().any(|event| event.kind == EventKind::Down)
}

/// What to tell of elastic pools whose VMs no job fits: they would never be ordered.
pub fn check_elastic(workload: &Workload, designs: &[Design]) -> Vec<Diagnostic> {
    let mut told = Vec::new();
    for design in designs {
        let is_elastic = |at: usize| design.pools[at].tenancy.elastic.is_some();
        if !(0..design.pools.len()).any(is_elastic) {
            continue;
        }
        let mut fits = vec![false; design.pools.len()];
        let requests = workload.requests.iter().map(|(id, _)| id);
        if design.shares_gpus {
            let shapes = CardShapes::of_cards(workload, &design.cluster, &design.sharing.cards);
            for request in requests {
                shapes.get(shapes.of(request)).pools.iter().for_each(|pool| fits[pool.pool.index()] = true);
            }
        } else {
            let shapes = Shapes::new(workload, &design.cluster);
            for request in requests {
                shapes.get(shapes.of(request)).pools.iter().for_each(|pool| fits[pool.pool.index()] = true);
            }
        }
        for (_, pool) in
            design.cluster.pools.iter().enumerate().filter(|(at, _)| is_elastic(*at) && !fits[*at])
        {
            let (name, amounts) = (&pool.name, pool.node.capacity);
            let message =
                format!("no job of the trace fits the VMs of the elastic pool `{name}` of `{}`", design.name);
            told.push(
                Diagnostic::warning("W0416", message)
                    .because(format!("each has {amounts}, so none is ever ordered beyond `min`"))
                    .help("make the VMs larger (`shape`), or leave the pool out"),
            );
        }
    }
    told
}

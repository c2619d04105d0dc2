//! What happened at a site, as commands of an administrator: nodes drained and resumed, reservations made;
//! and the usage that its accounts had.

use super::Command;
use crate::ids::Id;
use crate::scheduler::slurm::config::SlurmConfig;
use crate::scheduler::slurm::{LicenceCounts, NodeChange, NodeSet, Reservation, ReservationRequest};
use crate::simulation::{OutageKind, RunOptions};
use crate::time::{MICROS_PER_S, SimDuration, SimTime};

/// The commands of a run's outages and usage, in order of time. A node that was down is drained here: what
/// ran on it ends as recorded. A reservation is known from the first instant that anything is.
pub(super) fn site_commands(config: &SlurmConfig, options: &RunOptions<'_>) -> Vec<(SimTime, Command)> {
    let only = |at: usize| -> NodeSet {
        let mut nodes = config.no_nodes();
        nodes.insert(at);
        nodes
    };
    let mut commands: Vec<(SimTime, Command)> = Vec::new();
    let known_from = options.outages.iter().map(|outage| outage.from).min();
    for (number, outage) in options.outages.iter().enumerate() {
        let at = outage.node.index();
        if outage.is_end_known() {
            let reservation = Reservation {
                name: format!("outage-{number}"),
                start_s: outage.from.micros().div_euclid(MICROS_PER_S),
                end_s: outage.until.micros().div_euclid(MICROS_PER_S),
                nodes: only(at),
                users: vec![String::from("-")],
                accounts: Vec::new(),
                licences: LicenceCounts::new(),
                maint: false,
                overlap: true,
                gone: false,
            };
            let asked = ReservationRequest { reservation, ignore_jobs: true };
            commands.push((known_from.unwrap_or(outage.from), Command::CreateReservation(asked)));
        } else {
            let change = match outage.kind {
                OutageKind::Down => NodeChange::Down,
                OutageKind::Drain | OutageKind::Reserved => NodeChange::Drain,
            };
            commands.push((outage.from, Command::ChangeNodes(only(at), change)));
            commands.push((outage.until, Command::ChangeNodes(only(at), NodeChange::Resume)));
        }
    }
    for reservation in options.reservations {
        let is_for_nobody = reservation.users.is_empty() && reservation.accounts.is_empty();
        let mut nodes = config.no_nodes();
        nodes.extend(reservation.nodes.iter().map(|node| node.index()));
        let asked = Reservation {
            name: reservation.name.clone(),
            start_s: reservation.from.micros().div_euclid(MICROS_PER_S),
            end_s: reservation.until.micros().div_euclid(MICROS_PER_S),
            nodes,
            users: if is_for_nobody { vec![String::from("-")] } else { reservation.users.clone() },
            accounts: reservation.accounts.clone(),
            licences: licences_of(&reservation.licences, config),
            maint: false,
            overlap: true,
            gone: false,
        };
        let asked = ReservationRequest { reservation: asked, ignore_jobs: true };
        // Before the first submission, which may ask for it.
        commands.push((reservation.known_from - SimDuration::from_s(1), Command::CreateReservation(asked)));
    }
    if let Some(usage) = options.usage {
        let known = usage.rows.iter().filter_map(|row| {
            let assoc = config.accounting.find_assoc(&row.account, row.user.as_deref())?;
            Some((assoc, row.raw))
        });
        commands.push((usage.at, Command::SetUsage(known.collect())));
    }
    commands.sort_by_key(|(at, _)| *at);
    commands
}

/// Licences by their numbers on the site; what it does not have was refused before.
fn licences_of(named: &[(String, u32)], config: &SlurmConfig) -> LicenceCounts {
    let number = |name: &str| config.licences.iter().position(|licence| licence.name == name);
    named.iter().filter_map(|(name, count)| number(name).map(|at| (at, *count))).collect()
}

//! The `[[design.NAME.event]]` and `[[design.NAME.reservation]]` tables, and the file of `design.NAME.outages`.

use std::collections::BTreeMap;

use super::Notes;
use crate::diagnostic::nearest;
use crate::ids::{Id, NodeId};
use crate::scenario::Design;
use crate::scenario::file::{DesignTable, EventTable, ReservationTable};
use crate::scenario::outage_file::{Spell, read_outages};
use crate::scenario::slurm_conf::expand_hosts;
use crate::scenario::{EventKind, EventSpec, ReservationSpec};
use crate::time::SimDuration;
use crate::workload::wishes::Licences;

/// One table of a design: which, and the row of it.
struct Row<'a> {
    design: &'a str,
    table: &'static str,
    row: String,
}

impl Row<'_> {
    fn at<'p>(&'p self, key: &'p str) -> [&'p str; 5] {
        ["design", self.design, self.table, &self.row, key]
    }
}

/// Fills in what happens to the nodes of a design.
pub(super) fn resolve(notes: &mut Notes<'_>, design: &mut Design, table: &DesignTable) {
    if table.event.is_empty() && table.reservation.is_empty() && table.outages.is_none() {
        return;
    }
    let names = node_names(design);
    let name = design.name.clone();
    for (row, event) in table.event.iter().enumerate() {
        let row = Row { design: &name, table: "event", row: row.to_string() };
        // Links are looked up when the fabrics are built.
        let Some(written) = nodes_of(notes, &row, event) else { continue };
        let nodes = nodes(notes, &row, written, (design, &names));
        let Some((from, until)) = span(notes, &row, event.from_s, event.until_s) else { continue };
        let spec = EventSpec { nodes, from, until, kind: event.kind };
        meeting(notes, &row.at("nodes"), design, &spec, &names);
        design.events.push(spec);
    }
    if let Some(written) = &table.outages {
        outages(notes, design, written, &names);
    }
    for (row, table) in table.reservation.iter().enumerate() {
        let row = Row { design: &name, table: "reservation", row: row.to_string() };
        if let Some(spec) = reservation(notes, &row, table, (design, &names)) {
            design.reservations.push(spec);
        }
    }
}

/// The list of nodes of an event; `None` where it is about links, or about nothing.
fn nodes_of<'e>(notes: &mut Notes<'_>, row: &Row<'_>, event: &'e EventTable) -> Option<&'e str> {
    let written = [event.nodes.is_some(), event.link.is_some(), event.switch.is_some()];
    if written.into_iter().filter(|written| *written).count() != 1 {
        let help = "write one of `nodes`, `link` and `switch`";
        notes.error_help("W0252", &row.at("kind"), "an event is about nodes, a link or a switch", help);
        return None;
    }
    if event.fabric.is_some() && event.nodes.is_some() {
        notes.error_help("W0252", &row.at("fabric"), "`fabric` has no effect with `nodes`", "leave it out");
    }
    if event.cables.is_some() && event.link.is_none() {
        let message = "`cables` has no effect without `link`";
        notes.error_help("W0252", &row.at("cables"), message, "leave it out");
    }
    if event.kind == EventKind::Wait && event.nodes.is_some() {
        let help = "write `down` or `drain`: jobs wait for links only";
        notes.error_help("W0252", &row.at("kind"), "jobs cannot wait for a node that is out of order", help);
    }
    event.nodes.as_deref()
}

/// Refuses two events of one node at the same time.
fn meeting(notes: &mut Notes<'_>, path: &[&str], design: &Design, spec: &EventSpec, names: &[String]) {
    let meets = |other: &EventSpec| {
        let same = other.nodes.iter().find(|node| spec.nodes.contains(node));
        same.copied().filter(|_| other.from < spec.until && spec.from < other.until)
    };
    if let Some((at, node)) = design.events.iter().enumerate().find_map(|(at, o)| Some((at, meets(o)?))) {
        let node = &names[node.index()];
        let message = format!("`{node}` is out of order already by event {} of the design", at + 1);
        let help = "let one event end before the next begins, or make one of both";
        notes.error_help("W0252", path, message, help);
    }
}

/// A link or switch of a network fails.
pub(super) struct LinkEvent<'a> {
    pub(super) row: String,
    pub(super) event: &'a EventTable,
    pub(super) from: SimDuration,
    pub(super) until: SimDuration,
}

/// The events of a design that are about links.
pub(super) fn of_links<'a>(
    notes: &mut Notes<'_>,
    design: &str,
    table: &'a DesignTable,
) -> Vec<LinkEvent<'a>> {
    let rows = table.event.iter().enumerate().filter(|(_, event)| event.nodes.is_none());
    let mut found = Vec::new();
    for (row, event) in rows {
        let row = Row { design, table: "event", row: row.to_string() };
        if event.kind == EventKind::Drain {
            let help = "write `wait` (jobs stand still) or `down` (nodes that are cut off go down)";
            notes.error_help("W0252", &row.at("kind"), "a link cannot be drained", help);
            continue;
        }
        if let Some((from, until)) = span(notes, &row, event.from_s, event.until_s) {
            found.push(LinkEvent { row: row.row, event, from, until });
        }
    }
    found
}

/// Nodes that a link cuts off go down.
pub(super) fn cut_off(notes: &mut Notes<'_>, design: &mut Design, link: &LinkEvent<'_>, nodes: Vec<NodeId>) {
    let spec = EventSpec { nodes, from: link.from, until: link.until, kind: EventKind::Down };
    let (name, names) = (design.name.clone(), node_names(design));
    meeting(notes, &["design", &name, "event", &link.row, "kind"], design, &spec, &names);
    design.events.push(spec);
}

/// Adds the outages of a file to the events.
fn outages(notes: &mut Notes<'_>, design: &mut Design, written: &str, names: &[String]) {
    let name = design.name.clone();
    let path = ["design", &name, "outages"];
    let by_name: BTreeMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
    let node_of = |cell: &str| {
        let known = by_name.get(cell).copied();
        let at = known.or_else(|| cell.parse().ok().filter(|at| *at < names.len())).ok_or_else(|| {
            let meant = nearest(cell, names.iter().map(String::as_str));
            let numbers = format!("or their numbers from 0 to {}", names.len().saturating_sub(1));
            match meant {
                Some(meant) => format!("did you mean \"{meant}\"? {}, {numbers}", help_of(design)),
                None => format!("{}, {numbers}", help_of(design)),
            }
        })?;
        if pool_of(design, at).is_some_and(|pool| design.pools[pool].tenancy.elastic.is_some()) {
            let why = "it is a VM of an elastic pool, which comes and goes by itself";
            return Err(format!("{why}: leave the row out, or leave out `elastic` in its pool"));
        }
        Ok(at)
    };
    let found = match read_outages(&notes.directory.join(written), &node_of) {
        Ok(found) => found,
        Err(problems) => return notes.problems.extend(problems.kept().iter().cloned()),
    };
    notes.problems.extend(found.told.kept().iter().cloned());
    let meets = |spell: &Spell| {
        let is_same = |event: &EventSpec| event.nodes.iter().any(|node| node.index() == spell.node);
        let at = design
            .events
            .iter()
            .position(|event| event.from < spell.until && spell.from < event.until && is_same(event))?;
        Some((at, spell.node))
    };
    if let Some((at, node)) = found.spells.iter().find_map(meets) {
        let message =
            format!("by the file `{}` is down while event {} of the design is at work", names[node], at + 1);
        notes.error_help("W0252", &path, message, "let one end before the other begins, or leave one out");
    }
    design.events.extend(found.spells.iter().map(|spell| EventSpec {
        nodes: vec![NodeId::new(spell.node)],
        from: spell.from,
        // Jobs are lost with a node that was back at once, as with any other.
        until: spell.until.max(spell.from + SimDuration::from_micros(1)),
        kind: EventKind::Down,
    }));
    design.has_outages = true;
}

fn reservation(
    notes: &mut Notes<'_>,
    row: &Row<'_>,
    table: &ReservationTable,
    (design, names): (&Design, &[String]),
) -> Option<ReservationSpec> {
    let nodes = nodes(notes, row, &table.nodes, (design, names));
    let (from, until) = span(notes, row, table.from_s, table.until_s)?;
    let (users, accounts) =
        (table.users.clone().unwrap_or_default(), table.accounts.clone().unwrap_or_default());
    let is_for_somebody = !users.is_empty() || !accounts.is_empty();
    if is_for_somebody && table.name.is_none() {
        let message = "nobody can ask for a reservation without a name";
        let help = "write `name`; jobs ask for it in the column `reservation`";
        notes.error_help("W0252", &row.at("nodes"), message, help);
    }
    if table.name.is_some() && !is_for_somebody {
        let message = "nobody may use this reservation, so its name has no effect";
        let help = "write `users` or `accounts`, or leave out `name`";
        notes.error_help("W0252", &row.at("name"), message, help);
    }
    for (at, other) in design.reservations.iter().enumerate() {
        let same = other.nodes.iter().find(|node| nodes.contains(node));
        if let Some(node) = same.filter(|_| other.from < until && from < other.until) {
            let node = &names[node.index()];
            let message = format!("`{node}` is reserved already by reservation {} of the design", at + 1);
            let help = "let one reservation end before the next begins";
            notes.error_help("W0252", &row.at("nodes"), message, help);
        }
        if table.name.is_some() && other.name == table.name {
            let message = format!("reservation {} of the design has this name already", at + 1);
            notes.error_help("W0252", &row.at("name"), message, "give each its own name");
        }
    }
    let licences = licences(notes, row, table, design);
    Some(ReservationSpec { name: table.name.clone(), nodes, from, until, users, accounts, licences })
}

/// The licences that a reservation keeps, which the design's site must have.
fn licences(
    notes: &mut Notes<'_>,
    row: &Row<'_>,
    table: &ReservationTable,
    design: &Design,
) -> Vec<(String, u32)> {
    let Some(text) = &table.licenses else { return Vec::new() };
    let path = row.at("licenses");
    let Ok(list) = Licences::read(text).map(|list| list.wanted) else {
        let help = "write name:count, several with a comma: \"solver:2,viz:1\"";
        notes.error_help("W0252", &path, format!("`{text}` is no list of licences"), help);
        return Vec::new();
    };
    let known = design.slurm.iter().flat_map(|site| &site.licences);
    let known: Vec<&str> = known.map(|licence| licence.name.as_str()).collect();
    if let Some((name, _)) = list.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        let message = format!("the design's site has no licence `{name}`");
        let help = if known.is_empty() {
            "licences are those of `Licenses=` in the slurm.conf of [policy.slurm]: write it, or leave this out"
                .to_owned()
        } else {
            format!("its slurm.conf has {}", known.join(", "))
        };
        notes.error_help("W0252", &path, message, &help);
        return Vec::new();
    }
    list
}

/// The names of all nodes, by their numbers.
pub(super) fn node_names(design: &Design) -> Vec<String> {
    match &design.slurm {
        Some(site) => site.nodes.iter().map(|node| node.name.clone()).collect(),
        None => {
            let pools = design.cluster.pools.iter();
            pools.flat_map(|pool| (0..pool.count).map(move |at| format!("{}{at}", pool.name))).collect()
        }
    }
}

/// The nodes of a list.
fn nodes(
    notes: &mut Notes<'_>,
    row: &Row<'_>,
    written: &str,
    (design, names): (&Design, &[String]),
) -> Vec<NodeId> {
    let path = row.at("nodes");
    let hosts = match expand_hosts(written) {
        Ok(hosts) if !hosts.is_empty() => hosts,
        Ok(_) => {
            notes.error_help("W0252", &path, "the list names no node", help_of(design));
            return Vec::new();
        }
        Err(error) => {
            let message = format!("the list of nodes cannot be read: {error}");
            notes.error_help("W0252", &path, message, help_of(design));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for host in &hosts {
        let Some(at) = names.iter().position(|name| name == host) else {
            let meant = nearest(host, names.iter().map(String::as_str));
            let help = meant.map_or_else(|| help_of(design), |meant| format!("did you mean \"{meant}\"?"));
            let message = format!("the design `{}` has no node `{host}`", design.name);
            notes.error_help("W0252", &path, message, help);
            continue;
        };
        if pool_of(design, at).is_some_and(|pool| design.pools[pool].tenancy.elastic.is_some()) {
            let message = format!("`{host}` is a VM of an elastic pool, which comes and goes by itself");
            notes.error_help("W0252", &path, message, "leave it out, or leave out `elastic` in its pool");
        }
        if !found.contains(&NodeId::new(at)) {
            found.push(NodeId::new(at));
        }
    }
    found
}

fn pool_of(design: &Design, node: usize) -> Option<usize> {
    let mut first = 0;
    design.cluster.pools.iter().position(|pool| {
        first += pool.count as usize;
        node < first
    })
}

/// The nodes that there are, in words.
fn help_of(design: &Design) -> String {
    let range = |pool: &crate::cluster::PoolSpec| match (design.slurm.is_some(), pool.count) {
        (_, 0) => None,
        (true, _) if pool.name.contains(|c: char| c.is_ascii_digit()) => Some(pool.name.clone()),
        (_, 1) => Some(format!("{}0", pool.name)),
        (_, count) => Some(format!("{}[0-{}]", pool.name, count - 1)),
    };
    let ranges: Vec<String> = design.cluster.pools.iter().filter_map(range).collect();
    format!("the nodes of the design are {}", ranges.join(", "))
}

fn span(
    notes: &mut Notes<'_>,
    row: &Row<'_>,
    from_s: f64,
    until_s: f64,
) -> Option<(SimDuration, SimDuration)> {
    const MOST_S: f64 = 1e10;
    for (key, s) in [("from-s", from_s), ("until-s", until_s)] {
        if !(0.0..=MOST_S).contains(&s) {
            let message = format!("`{key} = {s}` is no such time: write seconds from 0 to 10,000,000,000");
            notes.error("W0209", &row.at(key), message);
            return None;
        }
    }
    if until_s <= from_s {
        let message = format!("it ends at {until_s} s, and begins at {from_s} s");
        notes.error_help("W0252", &row.at("until-s"), message, "`until-s` must be after `from-s`");
        return None;
    }
    let micros = |s: f64| SimDuration::from_micros((s * 1e6).round() as i64);
    Some((micros(from_s), micros(until_s)))
}

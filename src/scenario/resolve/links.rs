//! Events of a design that are about links and switches of its fabrics.

use super::Notes;
use super::events::{self, LinkEvent};
use crate::diagnostic::nearest;
use crate::fabric::graph::Fabric;
use crate::ids::{Id, NodeId};
use crate::scenario::file::{DesignTable, EventKind};
use crate::scenario::{Design, PolicyChoice};
use crate::scheduler::PlacementSpec;
use crate::tenancy::LinkSpell;

/// The events that are about the fabric of this name; told once, where the last fabric is asked for, if one is about none.
pub(super) fn of_fabric<'e, 'a>(
    events: &'e [LinkEvent<'a>],
    table: &DesignTable,
    fabric: &str,
) -> Vec<&'e LinkEvent<'a>> {
    let is_only = table.fabric.len() == 1;
    let mine =
        |event: &&LinkEvent| event.event.fabric.as_deref().map_or(is_only, |written| written == fabric);
    events.iter().filter(mine).collect()
}

/// Tells of events that are about no fabric of the design.
pub(super) fn check(notes: &mut Notes<'_>, design: &str, table: &DesignTable, events: &[LinkEvent<'_>]) {
    for event in events {
        let path = ["design", design, "event", event.row.as_str(), "kind"];
        match (&event.event.fabric, table.fabric.len()) {
            (_, 0) => {
                let message = "the design has no fabric, so no link of it can fail";
                notes.error_help(
                    "W0252",
                    &path,
                    message,
                    format!("write [design.{design}.fabric.NAME] with `topology`"),
                );
            }
            (Some(written), _) if !table.fabric.contains_key(written) => {
                let near = nearest(written, table.fabric.keys().map(String::as_str)).unwrap_or_default();
                let message = format!("the design has no fabric `{written}`");
                notes.error_help("W0210", &path, message, format!("write \"{near}\""));
            }
            (None, 2..) => {
                let message = "the design has several fabrics, and the event does not say which it is about";
                notes.error_help("W0252", &path, message, "write `fabric` in the event");
            }
            _ => {}
        }
    }
}

/// The links that fail, and the nodes that go down with them: `pools` are those on the fabric, with their first number there.
pub(super) fn spells(
    notes: &mut Notes<'_>,
    design: &mut Design,
    fabric: &Fabric,
    events: &[&LinkEvent<'_>],
    pools: &[(usize, u32)],
) -> Vec<LinkSpell> {
    let mut found = Vec::new();
    for event in events {
        let Some(links) = failing(notes, &design.name, fabric, event) else { continue };
        let dead: Vec<u32> = links.iter().filter(|(_, lost)| *lost >= 1.0).map(|(link, _)| *link).collect();
        let cut = fabric.cut_off(&dead);
        if event.event.kind == EventKind::Down && !cut.is_empty() {
            let nodes = cut.iter().flat_map(|node| nodes_of(design, pools, *node)).collect();
            events::cut_off(notes, design, event, nodes);
        }
        found.push(LinkSpell { links, from: event.from, until: event.until });
    }
    found
}

/// Links by number, with the share of their capacity that is lost.
fn failing(
    notes: &mut Notes<'_>,
    design: &str,
    fabric: &Fabric,
    event: &LinkEvent<'_>,
) -> Option<Vec<(u32, f64)>> {
    let written = event.event;
    let key = if written.link.is_some() { "link" } else { "switch" };
    let path = ["design", design, "event", event.row.as_str(), key];
    if let Some(switch) = &written.switch {
        if fabric.switches().all(|known| known != switch) {
            let near = nearest(switch, fabric.switches());
            let help = near.map_or("`windtunnel catalog fabric` names them".to_owned(), |near| {
                format!("write \"{near}\"")
            });
            notes.error_help("W0252", &path, format!("the fabric has no switch `{switch}`"), help);
            return None;
        }
        return Some(fabric.links_at(switch).into_iter().map(|link| (link, 1.0)).collect());
    }
    let [one, other] = written.link.as_ref()?;
    for end in [one, other] {
        if fabric.ends().all(|known| known != end) {
            let near = nearest(end, fabric.ends());
            let help = near.map_or("`windtunnel catalog fabric` names them".to_owned(), |near| {
                format!("write \"{near}\"")
            });
            notes.error_help("W0252", &path, format!("the fabric has no end `{end}`"), help);
            return None;
        }
    }
    let [there, back] = [(one, other), (other, one)].map(|(from, to)| fabric.links_from(from, to));
    if there.is_empty() || back.is_empty() {
        let help = "`windtunnel catalog fabric SCENARIO --dot` shows which ends are joined";
        notes.error_help("W0252", &path, format!("no link joins `{one}` and `{other}`"), help);
        return None;
    }
    let lanes = |links: &[u32]| {
        links.iter().filter_map(|link| fabric.link(*link)).map(|link| link.lanes).sum::<u32>()
    };
    let all = lanes(&there);
    let failed = written.cables.unwrap_or(all);
    if !(1..=all).contains(&failed) {
        let message = format!("{failed} cables of this link cannot fail: it has {all}");
        notes.error_help(
            "W0252",
            &["design", design, "event", &event.row, "cables"],
            message,
            format!("write 1 to {all}"),
        );
        return None;
    }
    let lost = |links: Vec<u32>| {
        let mut left = failed;
        let mut lost = Vec::new();
        for link in links {
            let has = fabric.link(link).map_or(1, |link| link.lanes);
            let now = left.min(has);
            left -= now;
            if now > 0 {
                lost.push((link, f64::from(now) / f64::from(has)));
            }
        }
        lost
    };
    Some(lost(there).into_iter().chain(lost(back)).collect())
}

/// The nodes of a design that lie on a host of a fabric.
fn nodes_of(design: &Design, pools: &[(usize, u32)], host: u32) -> Vec<NodeId> {
    let Some((pool, first)) = pools.iter().rev().find(|(_, first)| *first <= host) else { return Vec::new() };
    let before: u32 = design.cluster.pools[..*pool].iter().map(|pool| pool.count).sum();
    let per_host = design.pools[*pool].tenancy.packing.map_or(1, |packing| packing.per_host);
    let begin = (host - first) * per_host;
    let end = (begin + per_host).min(design.cluster.pools[*pool].count);
    (begin..end).map(|node| NodeId::new((before + node) as usize)).collect()
}

/// A placement by leaves needs some, and nobody else who says which nodes come first.
pub(super) fn check_placement(notes: &mut Notes<'_>, policy: Option<&PolicyChoice>, designs: &[Design]) {
    let Some(PolicyChoice::Classic(policy)) = policy.filter(|policy| looks_at_leaves(policy)) else { return };
    let name = policy.name.split('(').next().unwrap_or_default().to_owned();
    let path = ["policy", name.as_str(), "placement"];
    let on_network = |design: &Design| design.pools.iter().any(|pool| pool.tenancy.network.is_some());
    if !designs.iter().any(on_network) {
        let message = "`placement = \"topology\"` has no effect where no pool has a `fabric`";
        notes.error_help("W0243", &path, message, "write `fabric` in a pool, or `best-fit` here");
    }
    let dedicated =
        designs.iter().find(|design| design.cluster.pools.iter().any(|pool| pool.dedicated.is_some()));
    if let Some(design) = dedicated {
        let message = format!(
            "in `{}` hosts are dedicated: whose hosts they are comes before their leaves",
            design.name
        );
        notes.error_help("W0243", &path, message, "write another `placement`, or leave out `dedicated`");
    }
}

fn looks_at_leaves(policy: &PolicyChoice) -> bool {
    matches!(policy, PolicyChoice::Classic(spec) if spec.placement == PlacementSpec::Topology)
}

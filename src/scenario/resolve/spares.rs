//! Hosts that a pool keeps back for others that fail, and switches that take hosts along: checked when all of a design is known.

use super::{Notes, failures};
use crate::scenario::Design;
use crate::scenario::file::{DesignTable, SparesTable};
use crate::tenancy::Spares;
use crate::time::SimDuration;

/// Fills in the spares of a design's pools.
pub(super) fn resolve(notes: &mut Notes<'_>, design: &mut Design, table: &mut DesignTable) {
    let name = design.name.clone();
    let mut struck = vec![false; design.pools.len()];
    let mut first = 0;
    for (at, pool) in design.cluster.pools.iter().enumerate() {
        let nodes = first..first + pool.count as usize;
        struck[at] = design
            .events
            .iter()
            .any(|event| event.nodes.iter().any(|node| nodes.contains(&(node.0 as usize))));
        first = nodes.end;
    }
    for (at, pool) in design.cluster.pools.iter().enumerate() {
        let Some(written) = table.pool.get_mut(&pool.name) else { continue };
        let tenancy = &mut design.pools[at].tenancy;
        if let Some(failures) = &tenancy.failures {
            let path = ["design", &name, "pool", &pool.name, "tenancy", tenancy.kind.word()];
            failures::check_switches(notes, failures, written.fabric.is_some(), &path);
        }
        let Some(spares) = &mut written.spares else { continue };
        let path = ["design", &name, "pool", &pool.name, "spares"];
        let hosts = pool.count.div_ceil(tenancy.packing.map_or(1, |packing| packing.per_host).max(1));
        if tenancy.elastic.is_some() {
            let message = "`spares` are hosts, and an elastic pool has none of its own";
            notes.error_help("W0243", &path, message, "leave out `spares` or `elastic`");
            continue;
        }
        if tenancy.failures.is_none() && !struck[at] {
            let message = "`spares` has no effect: no host of the pool fails or is ever out of order";
            let help = "write `failures` in the tenancy of the pool, or `outages` or an event of the design; or leave it out";
            notes.error_help("W0243", &path, message, help);
        }
        let found = of_pool(notes, spares, hosts, &path);
        tenancy.spares = (found.standby + found.lent > 0).then_some(found);
    }
}

fn of_pool(notes: &mut Notes<'_>, table: &mut SparesTable, hosts: u32, path: &[&str; 5]) -> Spares {
    let key = |key| [path[0], path[1], path[2], path[3], path[4], key];
    let standby = notes.or_convention(&mut table.standby, 0, 0, &key("standby"));
    let lent = notes.or_convention(&mut table.lent, 0, 0, &key("lent"));
    if u64::from(standby) + u64::from(lent) >= u64::from(hosts.max(1)) {
        let message = format!(
            "{standby} hosts that stand by and {lent} that are lent leave none of the {hosts} of the pool"
        );
        notes.error_help("W0209", path, message, "keep back fewer, or raise `count`: spares are part of it");
    }
    let back_after = match table.back_after_s {
        Some(s) if (0.0..=1e9).contains(&s) => SimDuration::from_micros((s * 1e6).round() as i64),
        Some(s) => {
            let message = format!("`back-after-s = {s}` is no time: write seconds from 0 to 1,000,000,000");
            notes.error("W0209", &key("back-after-s"), message);
            SimDuration::ZERO
        }
        None => SimDuration::ZERO,
    };
    if table.back_after_s.is_some() && lent == 0 {
        let help = "write `lent`, or leave it out";
        notes.error_help(
            "W0243",
            &key("back-after-s"),
            "`back-after-s` has no effect: no host is lent",
            help,
        );
    } else if table.back_after_s.is_none() && lent > 0 {
        let message = "how long until a host that was lent is back?";
        notes.error_help("W0212", &key("lent"), message, "write `back-after-s` beside it");
    }
    Spares { standby: standby.min(hosts), lent: lent.min(hosts), back_after }
}

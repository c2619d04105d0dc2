//! The `[design.NAME.route.RULE]` tables and the tenants of pools.

use super::Notes;
use crate::cluster::ClusterSpec;
use crate::diagnostic::nearest;
use crate::scenario::RouteSpec;
use crate::scenario::file::{DesignTable, RouteTable};
use crate::time::SimDuration;

/// The rules of a design, in order.
pub(super) fn resolve(
    notes: &mut Notes<'_>,
    name: &str,
    table: &mut DesignTable,
    cluster: &ClusterSpec,
) -> Vec<RouteSpec> {
    let tenants: Vec<bool> = cluster
        .pools
        .iter()
        .map(|pool| table.pool.get(&pool.name).is_some_and(|table| table.tenants.is_some()))
        .collect();
    let mut rules = Vec::new();
    for (rule, table) in &mut table.route {
        let path = ["design", name, "route", rule.as_str()];
        let pools = pools(notes, &table.pools, cluster, &path, "pools");
        let spill = table.spill.clone().map(|names| self::pools(notes, &names, cluster, &path, "spill"));
        if table.pools.is_empty() {
            let message = format!("the rule `{rule}` leaves its jobs without a pool");
            let help = "name at least one pool of the design in `pools`";
            notes.error_help("W0251", &[path[0], path[1], path[2], path[3], "pools"], message, help);
        }
        if table.single_tenant_only == Some(true) {
            let all = pools.iter().chain(spill.iter().flatten());
            if let Some(open) = all.into_iter().find(|pool| !tenants[**pool]) {
                let message = format!(
                    "jobs of the rule `{rule}` must stay on single-tenant pools, and `{}` takes all tenants",
                    cluster.pools[*open].name
                );
                let help = "write `tenants = [...]` in that pool, or leave it out of the rule";
                notes.error_help("W0251", &path, message, help);
            }
        }
        let spill = spill.map(|pools| (pools, spill_after(notes, table, &path)));
        if spill.is_none() && table.spill_after_s.is_some() {
            let message = "`spill-after-s` has no effect without `spill`";
            let at = [path[0], path[1], path[2], path[3], "spill-after-s"];
            notes.error_help("W0243", &at, message, "write `spill = [\"POOL\"]`, or leave it out");
        }
        rules.push(rule_of(rule, table, pools, spill));
    }
    rules
}

fn pools(
    notes: &mut Notes<'_>,
    names: &[String],
    cluster: &ClusterSpec,
    path: &[&str; 4],
    key: &str,
) -> Vec<usize> {
    let mut found = Vec::new();
    for name in names {
        match cluster.pools.iter().position(|pool| pool.name == *name) {
            Some(at) => found.push(at),
            None => {
                let known: Vec<&str> = cluster.pools.iter().map(|pool| pool.name.as_str()).collect();
                let help = match nearest(name, known.iter().copied()) {
                    Some(meant) => format!("did you mean \"{meant}\"?"),
                    None => format!("one of: {}", known.join(", ")),
                };
                let message = format!("the design has no pool `{name}`");
                notes.error_help("W0251", &[path[0], path[1], path[2], path[3], key], message, help);
            }
        }
    }
    found
}

fn spill_after(notes: &mut Notes<'_>, table: &mut RouteTable, path: &[&str; 4]) -> SimDuration {
    let at = [path[0], path[1], path[2], path[3], "spill-after-s"];
    let s = notes.or_convention(&mut table.spill_after_s, 3600.0, 3600, &at);
    if !(0.0..=1e9).contains(&s) {
        notes.error("W0209", &at, format!("`spill-after-s = {s}` must be from 0 to 1,000,000,000"));
        return SimDuration::ZERO;
    }
    seconds(s)
}

fn seconds(s: f64) -> SimDuration {
    SimDuration::from_micros((s.clamp(0.0, 1e11) * 1e6).round() as i64)
}

fn rule_of(
    name: &str,
    table: &RouteTable,
    pools: Vec<usize>,
    spill: Option<(Vec<usize>, SimDuration)>,
) -> RouteSpec {
    RouteSpec {
        name: name.to_owned(),
        class: table.class.clone(),
        user: table.user.clone(),
        account: table.account.clone(),
        tenant: table.tenant.clone(),
        partition: table.partition.clone(),
        qos: table.qos.clone(),
        gpus: (table.gpus_min.unwrap_or(0), table.gpus_max.unwrap_or(u64::MAX)),
        limit: (
            table.limit_min_s.map_or(SimDuration::ZERO, seconds),
            table.limit_max_s.map_or(SimDuration::MAX, seconds),
        ),
        deadline_within: table.deadline_within_s.map(seconds),
        pools,
        spill,
    }
}

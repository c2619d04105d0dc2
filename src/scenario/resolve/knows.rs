//! What a design asks for and its policy does not know, refused by the key; what a policy knows is a constant of it.

use super::Notes;
use crate::cluster::cards::{CardMode, LayoutChange};
use crate::diagnostic::Diagnostic;
use crate::scenario::file::{Mig, PoolTable, ScenarioFile, Sharing, TenancyTable};
use crate::scenario::{Design, PolicyChoice};
use crate::scheduler::knows::{Capability, Family, who_knows};
use crate::tenancy::{PoolTenancy, Start};

/// Who decides, as the scenario names it.
pub(super) struct Asked<'a> {
    family: Family,
    name: &'a str,
    /// Whether the design gives out parts of GPUs.
    gives_parts: bool,
}

impl Asked<'_> {
    fn knows(&self, what: Capability) -> bool {
        self.family.knows().has(what, self.gives_parts)
    }

    /// Refuses `key`, which is written at `path`, unless its capability is known.
    fn needs(&self, notes: &mut Notes<'_>, what: Capability, key: &str, path: &[&str], cure: &str) {
        if !self.knows(what) {
            notes.tell(self.refusal(what, key, cure), path);
        }
    }

    /// The setting under which the same policy knows something, if that is all that keeps it from it.
    fn charges_less(&self, what: Capability) -> Option<String> {
        let knows = Family::Restart.knows().has(what, self.gives_parts);
        let name = self.name.split('(').next().unwrap_or(self.name);
        (self.family == Family::EveryEvent && knows)
            .then(|| format!("write `charge = \"restart\"` in [policy.{name}]"))
    }

    fn refusal(&self, what: Capability, key: &str, cure: &str) -> Diagnostic {
        let on_whole = self.gives_parts && self.family.knows().has(what, false);
        let where_not = if on_whole { " in a design that gives out parts of GPUs" } else { "" };
        let who = match self.family {
            Family::Backfill => format!("the policy {}", self.name),
            family => family.words().to_owned(),
        };
        let message = format!("{key} does not run under {who}{where_not}");
        let why = self.family.reason(what).unwrap_or("it is not in this version");
        let charge = self.charges_less(what);
        let others = who_knows(what, self.gives_parts).into_iter();
        // The setting that works is named as such, not among other policies.
        let others = others.filter(|who| charge.is_none() || *who != Family::Restart.policies());
        let others = others.collect::<Vec<&str>>().join(", ");
        let cure = match charge {
            Some(charge) if cure.is_empty() => charge,
            Some(charge) => format!("{charge}, or {cure}"),
            None => cure.to_owned(),
        };
        let cure = cure.as_str();
        let cure = match (cure, others.is_empty() && on_whole) {
            ("", true) => "give whole GPUs".to_owned(),
            (cure, true) => format!("{cure}, or give whole GPUs in this design"),
            (cure, false) => cure.to_owned(),
        };
        let help = match (cure.as_str(), others.as_str()) {
            ("", "") => "leave it out".to_owned(),
            (cure, "") => cure.to_owned(),
            ("", others) => format!("policies that know it: {others}"),
            (cure, others) => format!("{cure}; or take a policy that knows it: {others}"),
        };
        Diagnostic::error("W0219", message).because(why).help(help)
    }
}

/// Tells of everything that the policy of a scenario does not know of its designs.
pub(super) fn check(
    notes: &mut Notes<'_>,
    policy: Option<&PolicyChoice>,
    designs: &[Design],
    file: &ScenarioFile,
) {
    let Some(policy) = policy else { return };
    for design in designs {
        let asked = Asked { family: policy.family(), name: policy.name(), gives_parts: design.shares_gpus };
        if design.shares_gpus && !asked.knows(Capability::Parts) {
            refuse_parts(notes, &asked, design, file);
            continue;
        }
        hardware(notes, &asked, design);
        events(notes, &asked, design);
        routes(notes, &asked, design);
        for (at, pool) in design.cluster.pools.iter().enumerate() {
            let path = ["design", design.name.as_str(), "pool", pool.name.as_str()];
            if let CardMode::Mig(mig) = &design.sharing.cards[at].mode {
                let (what, word) = match mig.change {
                    LayoutChange::Never => (Capability::Parts, ""),
                    LayoutChange::OnDemand => (Capability::Layouts, "`mig = \"dynamic\"`"),
                    LayoutChange::Planned => (Capability::PlannedLayouts, "`mig = \"planned\"`"),
                };
                let at = written_at(&path, file);
                asked.needs(notes, what, word, &at, "write `mig = \"static\"` with `mig-layouts`");
            }
            if pool.dedicated.is_some() {
                let path = [path[0], path[1], path[2], path[3], "dedicated"];
                let cure = if asked.knows(Capability::Tenants) {
                    "keep a whole pool for a tenant with `tenants = [...]`"
                } else {
                    ""
                };
                asked.needs(notes, Capability::Dedicated, "`dedicated`", &path, cure);
            }
            if design.pools[at].tenancy.network.is_some() {
                let path = [path[0], path[1], path[2], path[3], "fabric"];
                asked.needs(notes, Capability::Fabric, "`fabric`", &path, "leave out `fabric`");
            }
            if design.pools[at].tenancy.data.is_some() {
                let path = [path[0], path[1], path[2], path[3], "data"];
                asked.needs(notes, Capability::Fabric, "`data`", &path, "leave out `data`");
            }
            if design.pools[at].tenancy.spares.is_some() {
                let path = [path[0], path[1], path[2], path[3], "spares"];
                asked.needs(notes, Capability::Failures, "`spares`", &path, "leave out `spares`");
            }
            life(notes, &asked, &path, &design.pools[at].tenancy);
        }
    }
}

/// The key by which a pool gives out parts of its GPUs.
fn written_at<'p>(path: &[&'p str; 4], file: &ScenarioFile) -> Vec<&'p str> {
    let pool = file.design.get(path[1]).and_then(|design| design.pool.get(path[3]));
    let (kind, key) = match pool.and_then(|pool: &PoolTable| pool.tenancy.as_ref()) {
        Some(TenancyTable::BareMetal(table)) => ("bare-metal", sharing_key(table.mig, table.sharing)),
        Some(TenancyTable::Containers(table)) => ("containers", sharing_key(table.mig, table.sharing)),
        Some(TenancyTable::Vm(table)) => ("vm", sharing_key(table.mig, table.sharing)),
        None => return path.to_vec(),
    };
    path.iter().copied().chain(["tenancy", kind, key]).collect()
}

fn sharing_key(mig: Option<Mig>, sharing: Option<Sharing>) -> &'static str {
    match (mig, sharing) {
        (Some(Mig::Static | Mig::Dynamic | Mig::Planned), _) => "mig",
        (_, Some(Sharing::Mps | Sharing::TimeSlices)) => "sharing",
        _ => "access",
    }
}

fn refuse_parts(notes: &mut Notes<'_>, asked: &Asked<'_>, design: &Design, file: &ScenarioFile) {
    let mut told = false;
    for (pool, cards) in design.cluster.pools.iter().zip(&design.sharing.cards) {
        if cards.mode == CardMode::Whole {
            continue;
        }
        told = true;
        let path = ["design", design.name.as_str(), "pool", pool.name.as_str()];
        let at = written_at(&path, file);
        let key = match at[at.len() - 1] {
            "access" => "a pool of vGPUs that share GPUs".to_owned(),
            key => format!("`{key}`"),
        };
        asked.needs(notes, Capability::Parts, &key, &at, "give whole GPUs");
    }
    if !told {
        let name = asked.name.split('(').next().unwrap_or(asked.name);
        let cure = "write `placement = \"best-fit\"`, `\"first-fit\"` or `\"spread\"`";
        let path = ["policy", name, "placement"];
        asked.needs(notes, Capability::Parts, "a placement of parts of GPUs", &path, cure);
    }
}

/// Whether nodes and access methods may be as they are.
fn hardware(notes: &mut Notes<'_>, asked: &Asked<'_>, design: &Design) {
    let pools = &design.cluster.pools;
    let Some(first) = pools.first() else { return };
    let kind = |pool: &crate::cluster::PoolSpec| (pool.node.capacity.gpus, pool.node.gpu_type.clone());
    let overhead = |at: usize| &design.pools[at].tenancy.overhead;
    for (at, pool) in pools.iter().enumerate() {
        let path = ["design", design.name.as_str(), "pool", pool.name.as_str()];
        if pool.node.capacity.gpus == 0 && !asked.knows(Capability::Cpus) {
            let message =
                format!("the pool `{}` has no GPUs, and {} schedules nothing else", pool.name, asked.name);
            let others = who_knows(Capability::Cpus, asked.gives_parts).join(", ");
            let help = format!("leave the pool out; or take a policy that knows it: {others}");
            notes.error_help("W0219", &path, message, help);
        } else if kind(pool) != kind(first) {
            let key = format!("the pool `{}`, whose GPUs differ from those of `{}`,", pool.name, first.name);
            asked.needs(notes, Capability::MixedGpus, &key, &path, "make a design of each kind");
        }
        if overhead(at) != overhead(0) {
            let path = [path[0], path[1], path[2], path[3], "tenancy"];
            let key = format!("an overhead of `{}` other than that of `{}`", pool.name, first.name);
            asked.needs(notes, Capability::MixedTenancy, &key, &path, "make a design of each tenancy");
        }
    }
}

fn routes(notes: &mut Notes<'_>, asked: &Asked<'_>, design: &Design) {
    let slurm = if asked.family == Family::Slurm { "write `partitions` in the pools" } else { "" };
    for route in &design.routes {
        let path = ["design", design.name.as_str(), "route", route.name.as_str()];
        if !asked.knows(Capability::Routes) {
            asked.needs(notes, Capability::Routes, "`route`", &path, slurm);
        } else if route.spill.is_some() {
            let path = [path[0], path[1], path[2], path[3], "spill"];
            let cure = "list the pools in `pools`";
            asked.needs(notes, Capability::Spill, "`spill`", &path, cure);
        }
    }
    for (pool, terms) in design.cluster.pools.iter().zip(&design.pools) {
        if terms.tenants.is_some() {
            let path = ["design", design.name.as_str(), "pool", pool.name.as_str(), "tenants"];
            asked.needs(notes, Capability::Tenants, "`tenants`", &path, slurm);
        }
    }
}

fn events(notes: &mut Notes<'_>, asked: &Asked<'_>, design: &Design) {
    if !design.events.is_empty() {
        let (key, words) = if design.has_outages { ("outages", "`outages`") } else { ("event", "`event`") };
        let path = ["design", design.name.as_str(), key];
        asked.needs(notes, Capability::Events, words, &path, "leave out the events");
    }
    for (at, reservation) in design.reservations.iter().enumerate() {
        let row = at.to_string();
        let path = ["design", design.name.as_str(), "reservation", row.as_str()];
        let is_for_somebody = !reservation.users.is_empty() || !reservation.accounts.is_empty();
        if !asked.knows(Capability::Reservations) {
            asked.needs(
                notes,
                Capability::Reservations,
                "`reservation`",
                &path,
                "leave out the reservations",
            );
        } else if is_for_somebody {
            let key = if reservation.users.is_empty() { "accounts" } else { "users" };
            let path = [path[0], path[1], path[2], path[3], key];
            let cure = format!("leave out `{key}`: the nodes are then kept free for nobody");
            asked.needs(notes, Capability::ReservedFor, &format!("`{key}` of a reservation"), &path, &cure);
        }
    }
}

/// The life of hosts and jobs in a pool.
fn life(notes: &mut Notes<'_>, asked: &Asked<'_>, path: &[&str; 4], tenancy: &PoolTenancy) {
    let kind = tenancy.kind.word();
    let at = |keys: &[&'static str]| -> Vec<&str> {
        path.iter().copied().chain(["tenancy", kind]).chain(keys.iter().copied()).collect()
    };
    let rows = [
        (Capability::Contention, tenancy.contention.is_some(), "contention", "write `contention = \"off\"`"),
        (Capability::Noise, tenancy.noise.is_some(), "noise", "leave out `noise`"),
        (
            Capability::Boots,
            tenancy.start != Start::Standing,
            "boot",
            "put the jobs on bare metal or into VMs that stand ready",
        ),
        (
            Capability::Elastic,
            tenancy.elastic.is_some(),
            "elastic",
            "leave out `elastic`: the VMs then stand ready, or boot for each job (`boot`)",
        ),
        (Capability::Maintenance, tenancy.maintenance.is_some(), "maintenance", "leave out `maintenance`"),
        (Capability::Failures, tenancy.failures.is_some(), "failures", "leave out `failures`"),
        (Capability::Snapshots, tenancy.snapshots.is_some(), "snapshots", "leave out `snapshots`"),
        (Capability::AtLimit, tenancy.kills_at_limit, "at-limit", "write `at-limit = \"run-on\"`"),
        (
            Capability::Overcommit,
            tenancy.packing.is_some_and(|packing| packing.overcommits()),
            "cpu-overcommit",
            "leave `cpu-overcommit` at 1",
        ),
    ];
    for (what, _, key, cure) in rows.into_iter().filter(|(_, is_there, ..)| *is_there) {
        asked.needs(notes, what, &format!("`{key}`"), &at(&[key]), cure);
    }
    let asks = tenancy.failures.is_some_and(|failures| !failures.requeue);
    if asks && asked.knows(Capability::Failures) {
        let cure = if asked.family == Family::Slurm {
            "leave out `requeue`, and write `jobrequeue = 0` in [policy.slurm]"
        } else {
            "leave out `requeue`"
        };
        let path = at(&["failures", "requeue"]);
        asked.needs(notes, Capability::RequeueByPool, "`requeue`", &path, cure);
    }
}

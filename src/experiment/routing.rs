//! Which jobs may run in which pools of a design.
//!
//! A set of pools becomes a feature that its nodes have, and a job that is bound to the set asks for it; so
//! every policy keeps the rule, and a job that no pool of its set can hold is refused with the rule's name. Where
//! hosts are dedicated, jobs of different tenants are different requests.

use rustc_hash::FxHashMap;

use crate::cluster::ClusterSpec;
use crate::diagnostic::Diagnostic;
use crate::ids::{JobId, RequestId, TextId};
use crate::scenario::{Design, RouteSpec};
use crate::simulation::{Spill, Spills};
use crate::time::{MICROS_PER_S, SimDuration};
use crate::workload::{Job, Request, Workload};

/// A workload bound to the pools of a design.
pub(super) struct Routed {
    pub(super) workload: Workload,
    pub(super) cluster: ClusterSpec,
    pub(super) spills: Option<Spills>,
}

/// Binds jobs to pools, and to their tenant where hosts are dedicated; `None` where every job may run on every
/// node.
pub(super) fn route(workload: &Workload, design: &Design) -> Option<Routed> {
    let is_dedicated = design.cluster.pools.iter().any(|pool| pool.dedicated.is_some());
    if design.routes.is_empty() && design.pools.iter().all(|pool| pool.tenants.is_none()) && !is_dedicated {
        return None;
    }
    let tenants = is_dedicated.then(|| workload.tenants());
    let mut routing = Routing {
        design,
        routed: Routed { workload: workload.clone(), cluster: design.cluster.clone(), spills: None },
        requests: FxHashMap::default(),
        features: FxHashMap::default(),
    };
    let mut spills = Spills::default();
    for (id, job) in workload.jobs.iter_ids() {
        let rule = design.routes.iter().find(|rule| matches(rule, workload, id, job));
        let all = || (0..design.pools.len()).collect::<Vec<_>>();
        let tenant = workload.labels.get(job.labels).tenant.map(|tenant| workload.texts.get(tenant));
        let first = routing.open_to(rule.map_or_else(all, |rule| rule.pools.clone()), tenant);
        let name = rule.map_or("for their tenant", |rule| rule.name.as_str());
        let own = tenants.as_ref().map_or(job.request, |tenants| routing.owned(job.request, tenants[id]));
        routing.routed.workload.jobs[id].request = routing.bound(own, &first, name);
        if let Some((more, after)) = rule.and_then(|rule| rule.spill.as_ref()) {
            let mut wider = first.clone();
            wider.extend(routing.open_to(more.clone(), tenant));
            wider.sort_unstable();
            wider.dedup();
            if wider != first {
                let request = routing.bound(own, &wider, name);
                spills.jobs.insert(id, Spill { request, after: *after });
            }
        }
    }
    routing.routed.spills = (!spills.jobs.is_empty()).then_some(spills);
    Some(routing.routed)
}

/// What to tell where a design dedicates hosts and no job says whose it is.
pub fn check_tenants(workload: &Workload, designs: &[Design]) -> Option<Diagnostic> {
    let dedicated = |design: &&Design| design.cluster.pools.iter().any(|pool| pool.dedicated.is_some());
    let design = designs.iter().find(dedicated)?;
    if workload.tenants().iter().any(Option::is_some) {
        return None;
    }
    let message = format!("the design `{}` dedicates hosts, and the trace names no tenants", design.name);
    Some(
        Diagnostic::warning("W0415", message)
            .because("it has neither `tenant` nor `account`, so all jobs are one tenant's and share hosts")
            .help("fill the column `tenant` of the trace, or leave out `dedicated`"),
    )
}

struct Routing<'a> {
    design: &'a Design,
    routed: Routed,
    /// (request, set of pools, rule) -> request with the feature.
    requests: FxHashMap<(RequestId, Vec<usize>, String), RequestId>,
    features: FxHashMap<(Vec<usize>, String), String>,
}

impl Routing<'_> {
    /// Those of `pools` that take jobs of `tenant`.
    fn open_to(&self, mut pools: Vec<usize>, tenant: Option<&str>) -> Vec<usize> {
        pools.retain(|pool| {
            let only = self.design.pools[*pool].tenants.as_ref();
            only.is_none_or(|only| tenant.is_some_and(|tenant| only.iter().any(|known| known == tenant)))
        });
        pools.sort_unstable();
        pools.dedup();
        pools
    }

    /// The request as one of a tenant.
    fn owned(&mut self, request: RequestId, tenant: Option<TextId>) -> RequestId {
        if tenant.is_none() {
            return request;
        }
        let asked = Request { tenant, ..self.routed.workload.requests.get(request).clone() };
        self.routed.workload.requests.intern(&asked)
    }

    /// The request bound to a set of pools.
    fn bound(&mut self, request: RequestId, pools: &[usize], rule: &str) -> RequestId {
        if pools.len() == self.design.pools.len() {
            return request;
        }
        let key = (request, pools.to_vec(), rule.to_owned());
        if let Some(known) = self.requests.get(&key) {
            return *known;
        }
        let feature = self.feature(pools, rule);
        let text = self.routed.workload.texts.intern(&feature);
        let mut asked = self.routed.workload.requests.get(request).clone();
        asked.features.push(text);
        let bound = self.routed.workload.requests.intern(&asked);
        self.requests.insert(key, bound);
        bound
    }

    /// The feature that the nodes of a set of pools have.
    fn feature(&mut self, pools: &[usize], rule: &str) -> String {
        let cluster = &mut self.routed.cluster;
        let made = self.features.entry((pools.to_vec(), rule.to_owned())).or_insert_with(|| {
            let names: Vec<&str> = pools.iter().map(|at| cluster.pools[*at].name.as_str()).collect();
            let feature = match names.as_slice() {
                [] => format!("a pool by the route {rule} (none is open to the job)"),
                names => format!("{} by the route {rule}", names.join(" or ")),
            };
            for at in pools {
                cluster.pools[*at].node.features.push(feature.clone());
            }
            feature
        });
        made.clone()
    }
}

fn matches(rule: &RouteSpec, workload: &Workload, id: JobId, job: &Job) -> bool {
    let labels = workload.labels.get(job.labels);
    let is = |wanted: &Option<String>, has: Option<crate::ids::TextId>| {
        wanted.as_ref().is_none_or(|wanted| has.is_some_and(|has| workload.texts.get(has) == wanted))
    };
    let gpus = workload.requests.get(job.request).total_gpus();
    is(&rule.class, labels.class)
        && is(&rule.user, labels.user)
        && is(&rule.account, labels.account)
        && is(&rule.tenant, labels.tenant)
        && is(&rule.partition, labels.partition)
        && is(&rule.qos, labels.qos)
        && (rule.gpus.0..=rule.gpus.1).contains(&gpus)
        && (rule.limit.0..=rule.limit.1).contains(&job.limit)
        && rule
            .deadline_within
            .is_none_or(|within| deadline_of(workload, id, job).is_some_and(|d| d <= within))
}

/// Time from a job's submission to its deadline, if it has one.
fn deadline_of(workload: &Workload, id: JobId, job: &Job) -> Option<SimDuration> {
    let extras = workload.extras_of(id)?;
    let (_, text) = extras.other.iter().find(|(column, _)| workload.texts.get(*column) == "deadline_s")?;
    let s: f64 = workload.texts.get(*text).parse().ok()?;
    let micros = (s * MICROS_PER_S as f64).round() as i64;
    Some(SimDuration::from_micros((micros - job.submit.micros()).max(0)))
}

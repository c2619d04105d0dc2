//! Which nodes have enough free for a request: kept per distinct demand, brought up to date from the
//! ledger's changes. Only a sieve in front of the placement rule, which looks at every node itself: with
//! and without it the choice is the same.

use rustc_hash::FxHashMap;

use super::NodeSet;
use super::controller::Controller;
use super::job::{Ask, JobIx, JobSpec};
use super::placement::{Free, Placement};

/// Feasible nodes of one demand.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    /// The ledger's version that `nodes` belongs to; `None` = never looked.
    version: Option<usize>,
    pub(super) nodes: NodeSet,
}

/// Feasible nodes of every distinct demand: what a request needs of one node.
#[derive(Clone, Debug)]
pub(super) struct Fits {
    of_spec: Vec<u32>,
    /// Of requests that are wider after a while.
    of_wider: FxHashMap<usize, u32>,
    pub(super) fits: Vec<Fit>,
}

impl Fits {
    pub(super) fn new(specs: &[JobSpec], no_nodes: &NodeSet) -> Self {
        let mut ids: FxHashMap<Ask, u32> = FxHashMap::default();
        let mut fits = Vec::new();
        let mut of_spec = Vec::with_capacity(specs.len());
        let mut id_of = |ask: &Ask| {
            let next = u32::try_from(fits.len()).expect("fewer than 2^32 requests");
            let id = *ids.entry(per_node(ask)).or_insert(next);
            if id == next {
                fits.push(Fit { version: None, nodes: no_nodes.clone() });
            }
            id
        };
        let mut of_wider = FxHashMap::default();
        for (at, spec) in specs.iter().enumerate() {
            of_spec.push(id_of(&spec.ask));
            of_wider.extend(spec.wider.as_ref().map(|wider| (at, id_of(wider))));
        }
        Self { of_spec, of_wider, fits }
    }
}

/// The part of a request on which depends whether a node is feasible (see `Hardware::fits`).
fn per_node(ask: &Ask) -> Ask {
    Ask {
        min_nodes: 0,
        max_nodes: None,
        cpus: 0,
        fixed_per_node: false,
        cpus_per_node: ask.cpus_per_node,
        mem_mb_per_node: ask.mem_mb_per_node,
        gres: ask.gres.clone(),
        exclusive: ask.exclusive,
        features: ask.features.clone(),
        parts: ask.parts.clone(),
        tenant: ask.tenant,
        switches: None,
    }
}

impl Controller<'_> {
    /// Brings the feasible nodes of a job's request up to date.
    pub(super) fn refresh_fits(&mut self, job: JobIx) {
        let ask = self.ask(job);
        let rule = self.placement();
        let at = self.demand(job);
        let fit = &mut self.fits.fits[at];
        let version = self.ledger.version();
        if fit.version == Some(version) {
            return;
        }
        let free = &self.free;
        match fit.version.and_then(|since| self.ledger.changed_since(since)) {
            Some(changed) => {
                for node in changed {
                    let node = node.0 as usize;
                    fit.nodes.set(node, rule.fits(ask, node, &free[node]));
                }
            }
            None => (0..free.len()).for_each(|n| fit.nodes.set(n, rule.fits(ask, n, &free[n]))),
        }
        fit.version = Some(version);
    }

    /// Feasible nodes of a job's request as of [`Controller::refresh_fits`].
    pub(super) fn fitting(&self, job: JobIx) -> &NodeSet {
        &self.fits.fits[self.demand(job)].nodes
    }

    /// The number of a job's demand.
    pub(super) fn demand(&self, job: JobIx) -> usize {
        let record = &self.jobs[job.at()];
        let demand =
            if record.is_wider { self.fits.of_wider[&record.spec] } else { self.fits.of_spec[record.spec] };
        demand as usize
    }

    /// The nodes that the job gets out of `allowed`, given which nodes are `fitting` with `free`, now or later.
    pub(super) fn choose_fitting(
        &self,
        job: JobIx,
        allowed: &NodeSet,
        fitting: &NodeSet,
        free: &[Free],
        is_later: bool,
    ) -> Option<Vec<usize>> {
        let ask = self.ask(job);
        if allowed.intersection_count(fitting) < ask.min_nodes as usize {
            return None;
        }
        let mut candidates = allowed.clone();
        candidates.intersect_with(fitting);
        Placement { is_later, ..self.placement_of(job) }.choose(ask, &candidates, free)
    }
}

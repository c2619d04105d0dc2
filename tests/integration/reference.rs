//! A slow, obviously correct scheduler to compare with.
//!
//! Written from the definitions (DESIGN.md 4 and 5.3, the head of `scheduler/classic.rs`), not from the
//! code: it keeps lists of jobs, looks at everything again at every instant, and caches nothing. It
//! uses the crate's input types only.

use windtunnel::cluster::{Amounts, ClusterSpec, NodeSpec};
use windtunnel::scheduler::{BackfillSpec, OrderSpec, PlacementSpec, PolicySpec};

use super::builders::JobRow;

/// Start of a job in microseconds, and its nodes with what it holds there and which GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    pub start_us: i64,
    pub grants: Vec<(usize, Amounts, u64)>,
}

/// What each node of one pool must give, largest first.
type Demands = Vec<Amounts>;
/// Chosen nodes, each with its demand.
type Picked = Vec<(usize, Amounts)>;

struct Node {
    pool: usize,
    capacity: Amounts,
    gpu_used: Vec<bool>,
    /// First node of its host, where hosts take jobs of one tenant at a time.
    host: Option<usize>,
}

struct Running {
    job: usize,
    end_us: i64,
    expected_end_us: i64,
    grants: Vec<(usize, Amounts, u64)>,
}

/// What is expected to be in use on a node during [from, to).
struct Hold {
    node: usize,
    from_us: i64,
    to_us: i64,
    amounts: Amounts,
    job: usize,
}

pub struct Reference<'a> {
    rows: &'a [JobRow],
    policy: &'a PolicySpec,
    nodes: Vec<Node>,
    /// By job, by pool: `None` if the pool can never hold it.
    demands: Vec<Vec<Option<Demands>>>,
    running: Vec<Running>,
    waiting: Vec<usize>,
    pub started: Vec<Option<Started>>,
    /// First time at which EASY expected each job to start when it was first the head.
    pub first_shadow_us: Vec<Option<i64>>,
    /// First planned start of each job under conservative backfilling.
    pub first_plan_us: Vec<Option<i64>>,
}

/// Plays rows (sorted by submission) on a cluster.
pub fn play<'a>(rows: &'a [JobRow], cluster: &ClusterSpec, policy: &'a PolicySpec) -> Reference<'a> {
    let mut reference = Reference::new(rows, cluster, policy);
    reference.run();
    reference
}

impl<'a> Reference<'a> {
    fn new(rows: &'a [JobRow], cluster: &ClusterSpec, policy: &'a PolicySpec) -> Self {
        let mut nodes = Vec::new();
        for (pool, spec) in cluster.pools.iter().enumerate() {
            let first = nodes.len();
            for at in 0..spec.count as usize {
                let capacity = spec.node.capacity;
                let gpu_used = vec![false; capacity.gpus as usize];
                let host = spec.dedicated.map(|nodes| first + at - at % nodes as usize);
                nodes.push(Node { pool, capacity, gpu_used, host });
            }
        }
        let on_pools = |row| {
            let demand = |pool: &windtunnel::cluster::PoolSpec| demands(row, &pool.node, pool.count);
            cluster.pools.iter().map(demand).collect()
        };
        Self {
            rows,
            policy,
            nodes,
            demands: rows.iter().map(on_pools).collect(),
            running: Vec::new(),
            waiting: Vec::new(),
            started: vec![None; rows.len()],
            first_shadow_us: vec![None; rows.len()],
            first_plan_us: vec![None; rows.len()],
        }
    }

    fn run(&mut self) {
        let mut next = 0;
        loop {
            let arrival = self.rows.get(next).map(|row| row.submit_us);
            let end = self.running.iter().map(|r| r.end_us).min();
            let cancel = self.present().into_iter().filter_map(|job| self.cancel_us(job)).min();
            let Some(now) = [arrival, end, cancel].into_iter().flatten().min() else { break };
            let mut changed = self.end_those(|r| r.end_us == now) | self.withdraw(now);
            while self.rows.get(next).is_some_and(|row| row.submit_us == now) {
                if self.demands[next].iter().any(Option::is_some) {
                    self.waiting.push(next);
                    changed = true;
                }
                next += 1;
            }
            changed |= self.withdraw(now);
            if changed {
                self.pass(now);
            }
        }
        assert!(self.waiting.is_empty(), "every job that a pool can hold starts");
    }

    /// Jobs that wait or run.
    fn present(&self) -> Vec<usize> {
        self.waiting.iter().copied().chain(self.running.iter().map(|r| r.job)).collect()
    }

    fn cancel_us(&self, job: usize) -> Option<i64> {
        let row = &self.rows[job];
        row.cancel_us.map(|cancel| cancel.max(row.submit_us))
    }

    /// Gives back what these hold; tells whether there were any.
    fn end_those(&mut self, which: impl Fn(&Running) -> bool) -> bool {
        let mut any = false;
        while let Some(at) = self.running.iter().position(&which) {
            let ended = self.running.remove(at);
            for (node, _, gpus) in &ended.grants {
                self.set_gpus(*node, *gpus, false);
            }
            any = true;
        }
        any
    }

    /// Takes out whatever the users withdraw now, waiting or running.
    fn withdraw(&mut self, now: i64) -> bool {
        let gone: Vec<usize> =
            self.present().into_iter().filter(|job| self.cancel_us(*job) == Some(now)).collect();
        self.waiting.retain(|job| !gone.contains(job));
        self.end_those(|r| gone.contains(&r.job));
        !gone.is_empty()
    }

    fn pass(&mut self, now: i64) {
        self.sort_queue(now);
        if let BackfillSpec::Conservative { depth } = self.policy.backfill {
            return self.conservative(now, depth);
        }
        while let Some(head) = self.waiting.first().copied() {
            let Some(picked) = self.place_now(head, |_, _| true) else { break };
            self.start(head, &picked, now);
        }
        match self.policy.backfill {
            BackfillSpec::Greedy => {
                for job in self.behind_head() {
                    if let Some(picked) = self.place_now(job, |_, _| true) {
                        self.start(job, &picked, now);
                    }
                }
            }
            BackfillSpec::Easy => self.easy(now),
            _ => {}
        }
    }

    fn behind_head(&self) -> Vec<usize> {
        self.waiting.iter().skip(1).copied().collect()
    }

    fn easy(&mut self, now: i64) {
        let Some(head) = self.waiting.first().copied() else { return };
        let (shadow, mut spare) = self.reserve(head, now);
        self.first_shadow_us[head].get_or_insert(shadow);
        for job in self.behind_head() {
            if now + self.limit(job) <= shadow {
                if let Some(picked) = self.place_now(job, |_, _| true) {
                    self.start(job, &picked, now);
                }
                continue;
            }
            let is_others = self.rows[job].tenant != self.rows[head].tenant;
            let beside = |node: usize, ask: &Amounts| {
                spare.iter().all(|(reserved, left)| {
                    let host = self.nodes[*reserved].host;
                    let same_host = host.is_some() && host == self.nodes[node].host;
                    (*reserved != node || left.holds(ask)) && !(same_host && is_others)
                })
            };
            if let Some(picked) = self.place_now(job, beside) {
                self.start(job, &picked, now);
                for (node, ask) in picked {
                    for (_, left) in spare.iter_mut().filter(|(reserved, _)| *reserved == node) {
                        *left = left.minus(&ask);
                    }
                }
            }
        }
    }

    /// The first instant at which the head can be placed after the expected releases, and what is left
    /// on its nodes then.
    fn reserve(&self, head: usize, now: i64) -> (i64, Vec<(usize, Amounts)>) {
        let mut instants: Vec<i64> = self.running.iter().map(|r| r.expected_end_us.max(now)).collect();
        instants.push(now);
        instants.sort_unstable();
        for at in instants {
            let free = |node: usize| {
                let still = self.running.iter().filter(|r| r.expected_end_us.max(now) > at);
                self.free_beside(node, still)
            };
            let hosts = |node: usize| {
                let still = self.running.iter().filter(|r| r.expected_end_us.max(now) > at);
                (
                    self.tenants_on(node, still).all(|other| self.same_tenant(head, other)),
                    self.is_own(head, node),
                )
            };
            for pool in 0..self.demands[head].len() {
                if let Some(picked) = self.pick(head, pool, free, hosts, |_, _| true) {
                    let left = |(node, ask): &(usize, Amounts)| (*node, free(*node).minus(ask));
                    return (at, picked.iter().map(left).collect());
                }
            }
        }
        panic!("an empty cluster holds the head");
    }

    fn conservative(&mut self, now: i64, depth: Option<u32>) {
        let mut holds = self.expected_holds(now);
        let depth = depth.map_or(usize::MAX, |d| d as usize);
        for job in self.waiting.iter().copied().take(depth).collect::<Vec<_>>() {
            let (at, picked) = self.plan(job, now, &holds);
            self.first_plan_us[job].get_or_insert(at);
            for (node, amounts) in &picked {
                let hold =
                    Hold { node: *node, from_us: at, to_us: at + self.limit(job), amounts: *amounts, job };
                holds.push(hold);
            }
            if at == now {
                self.start(job, &picked, now);
            }
        }
    }

    /// What runs, until its expected end; an overdue job ends one second from now.
    fn expected_holds(&self, now: i64) -> Vec<Hold> {
        let mut holds = Vec::new();
        for running in &self.running {
            let expected = running.expected_end_us;
            let to_us = if expected <= now { now + 1_000_000 } else { expected };
            let rows = running.grants.iter();
            holds.extend(rows.map(|(node, amounts, _)| Hold {
                node: *node,
                from_us: now,
                to_us,
                amounts: *amounts,
                job: running.job,
            }));
        }
        holds
    }

    fn plan(&self, job: usize, now: i64, holds: &[Hold]) -> (i64, Picked) {
        let mut instants: Vec<i64> = holds.iter().map(|h| h.to_us).filter(|at| *at > now).collect();
        instants.push(now);
        instants.sort_unstable();
        instants.dedup();
        for at in instants {
            let free = |node: usize| self.least_free(node, at, at + self.limit(job), holds);
            let hosts = |node: usize| {
                let host = self.nodes[node].host;
                let to = at + self.limit(job);
                let there = holds.iter().filter(|h| host.is_some() && self.nodes[h.node].host == host);
                let there = there.filter(|h| h.from_us < to && at < h.to_us);
                let own: Vec<bool> = there.map(|h| self.same_tenant(job, h.job)).collect();
                (own.iter().all(|own| *own), own.iter().any(|own| *own))
            };
            for pool in 0..self.demands[job].len() {
                if let Some(picked) = self.pick(job, pool, free, hosts, |_, _| true) {
                    return (at, picked);
                }
            }
        }
        panic!("when all has ended the job fits");
    }

    /// The least that is free on a node at any instant of [from, to).
    fn least_free(&self, node: usize, from: i64, to: i64, holds: &[Hold]) -> Amounts {
        let on_node: Vec<&Hold> = holds.iter().filter(|h| h.node == node).collect();
        let begins = on_node.iter().map(|h| h.from_us).filter(|at| from < *at && *at < to);
        let mut least = self.nodes[node].capacity;
        for at in begins.chain([from]) {
            let used = on_node.iter().filter(|h| h.from_us <= at && at < h.to_us);
            let free = used.fold(self.nodes[node].capacity, |free, h| free.minus(&h.amounts));
            least = least.min(&free);
        }
        least
    }

    /// The job's nodes if it can start now on nodes that `allowed` accepts: first pool that has room.
    fn place_now(&self, job: usize, allowed: impl Fn(usize, &Amounts) -> bool + Copy) -> Option<Picked> {
        let free = |node| self.free_beside(node, self.running.iter());
        let hosts = |node: usize| {
            let mut on_host = self.tenants_on(node, self.running.iter());
            (on_host.all(|other| self.same_tenant(job, other)), self.is_own(job, node))
        };
        (0..self.demands[job].len()).find_map(|pool| self.pick(job, pool, free, hosts, allowed))
    }

    fn same_tenant(&self, job: usize, other: usize) -> bool {
        self.rows[job].tenant == self.rows[other].tenant
    }

    /// Those of `running` that are on the host of a node, if hosts take one tenant at a time there.
    fn tenants_on<'r>(
        &'r self,
        node: usize,
        running: impl Iterator<Item = &'r Running> + 'r,
    ) -> impl Iterator<Item = usize> + 'r {
        let host = self.nodes[node].host;
        let there = move |r: &&Running| {
            host.is_some() && r.grants.iter().any(|(node, _, _)| self.nodes[*node].host == host)
        };
        running.filter(there).map(|r| r.job)
    }

    /// Whether a node is on a host that the job's tenant has now.
    fn is_own(&self, job: usize, node: usize) -> bool {
        self.tenants_on(node, self.running.iter()).any(|other| self.same_tenant(job, other))
    }

    fn free_beside<'r>(&self, node: usize, running: impl Iterator<Item = &'r Running>) -> Amounts {
        let held = running.flat_map(|r| &r.grants).filter(|(n, _, _)| *n == node);
        held.fold(self.nodes[node].capacity, |free, (_, amounts, _)| free.minus(amounts))
    }

    /// The placement's nodes on one pool, one demand after another, largest first.
    fn pick(
        &self,
        job: usize,
        pool: usize,
        free: impl Fn(usize) -> Amounts,
        hosts: impl Fn(usize) -> (bool, bool),
        allowed: impl Fn(usize, &Amounts) -> bool,
    ) -> Option<Picked> {
        let mut picked: Picked = Vec::new();
        for ask in self.demands[job][pool].as_ref()? {
            let room = (0..self.nodes.len()).filter(|node| {
                self.nodes[*node].pool == pool
                    && !picked.iter().any(|(taken, _)| taken == node)
                    && free(*node).holds(ask)
                    && hosts(*node).0
                    && allowed(*node, ask)
            });
            let left = |node: usize| {
                let left = free(node).minus(ask);
                (left.gpus, left.cpus, left.mem_mb)
            };
            let best = match self.policy.placement {
                PlacementSpec::FirstFit => room.min_by_key(|node| (!hosts(*node).1, *node)),
                PlacementSpec::BestFit => room.min_by_key(|node| (!hosts(*node).1, left(*node), *node)),
                PlacementSpec::Spread => {
                    room.min_by_key(|node| (!hosts(*node).1, std::cmp::Reverse(left(*node)), *node))
                }
                other => panic!("{other:?} is for shared GPUs"),
            };
            picked.push((best?, *ask));
        }
        Some(picked)
    }

    fn start(&mut self, job: usize, picked: &Picked, now: i64) {
        self.waiting.retain(|waiting| *waiting != job);
        let mut grants = Vec::new();
        for (node, amounts) in picked {
            let free = (0..64).filter(|gpu| self.nodes[*node].gpu_used.get(*gpu) == Some(&false));
            let gpus = free.take(amounts.gpus as usize).fold(0u64, |bits, gpu| bits | 1 << gpu);
            self.set_gpus(*node, gpus, true);
            grants.push((*node, *amounts, gpus));
        }
        grants.sort_by_key(|(node, _, _)| *node);
        let expected_end_us = now + self.limit(job);
        let end_us = now + self.rows[job].run_us;
        self.running.push(Running { job, end_us, expected_end_us, grants: grants.clone() });
        assert!(self.started[job].is_none(), "a job starts once");
        self.started[job] = Some(Started { start_us: now, grants });
    }

    fn set_gpus(&mut self, node: usize, bits: u64, used: bool) {
        for gpu in (0..64).filter(|gpu| bits >> gpu & 1 == 1) {
            self.nodes[node].gpu_used[gpu] = used;
        }
    }

    fn limit(&self, job: usize) -> i64 {
        self.rows[job].limit_or_run_us()
    }

    fn sort_queue(&mut self, now: i64) {
        let rows = self.rows;
        match &self.policy.order {
            OrderSpec::Submit => self.waiting.sort_unstable(),
            OrderSpec::ShortestLimit => self.waiting.sort_by_key(|j| (rows[*j].limit_or_run_us(), *j)),
            OrderSpec::LongestLimit => self.waiting.sort_by_key(|j| (-rows[*j].limit_or_run_us(), *j)),
            OrderSpec::Priority => self.waiting.sort_by_key(|j| (-rows[*j].priority, *j)),
            OrderSpec::Expression(text) => {
                let value = |j: &usize| {
                    let seconds = |us: i64| us as f64 / 1e6;
                    let limit = seconds(rows[*j].limit_or_run_us());
                    match text.as_str() {
                        "age_s / limit_s" => seconds(now - rows[*j].submit_us) / limit,
                        "limit_s * 2 - submit_s" => limit * 2.0 - seconds(rows[*j].submit_us),
                        other => panic!("the reference does not know '{other}'"),
                    }
                };
                // The largest value goes first.
                self.waiting.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.cmp(b)));
            }
        }
    }
}

/// What each node must give, largest first (DESIGN.md 5.3); `None` if the pool can never hold the job.
///
/// With nodes asked for, GPUs and CPUs are dealt out one by one, from the first node on. Without, as
/// many nodes as GPUs or CPUs need, GPUs filled node by node and CPUs in proportion.
fn demands(row: &JobRow, node: &NodeSpec, count: u32) -> Option<Demands> {
    let request = &row.request;
    let gpus = request.gpus.unwrap_or(0);
    let cpus = request.cpus.unwrap_or(request.nodes.unwrap_or(1));
    let per = node.capacity;
    if gpus > 0 && !row.gpu_types.is_empty() {
        let has = node.gpu_type.as_ref()?;
        row.gpu_types.iter().find(|wanted| *wanted == has)?;
    }
    if gpus > 0 && per.gpus == 0 {
        return None;
    }
    let needed = |ask: u32, has: u32| if has == 0 { 1 } else { ask.div_ceil(has).max(1) };
    let nodes = request.nodes.unwrap_or(needed(gpus, per.gpus).max(needed(cpus, per.cpus)));
    if nodes > count {
        return None;
    }
    let mut each =
        vec![Amounts { mem_mb: request.mem_mb_per_node.unwrap_or(0), ..Amounts::ZERO }; nodes as usize];
    if request.nodes.is_none() && nodes > 1 && gpus > 0 {
        assert_eq!(cpus, gpus, "the reference fills nodes only with one CPU per GPU");
        for gpu in 0..gpus {
            each[(gpu / per.gpus) as usize].gpus += 1;
            each[(gpu / per.gpus) as usize].cpus += 1;
        }
    } else {
        (0..gpus).for_each(|gpu| each[(gpu % nodes) as usize].gpus += 1);
        (0..cpus).for_each(|cpu| each[(cpu % nodes) as usize].cpus += 1);
    }
    if !each.iter().all(|ask| per.holds(ask)) {
        return None;
    }
    Some(if request.exclusive { vec![per; nodes as usize] } else { each })
}

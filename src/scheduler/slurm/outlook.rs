//! What becomes free when, if the running jobs end at their limits: kept for the predictions of a cycle.
//!
//! Running jobs stay sorted by planned end. For every *demand* (what a request needs of one node) a view
//! tells after which of these ends each node holds it for the first time. A prediction then asks which
//! end completes the request on the nodes in question, and where the batch (see
//! [`super::prediction`]) with that end stops; nodes are chosen only if that start is really taken.
//! The answers are those of [`Controller::will_run`], which does it job by job.

use super::NodeSet;
use super::controller::Controller;
use super::job::{Ask, JobIx};
use super::placement::{Free, Level, each_run};
use super::prediction::{BATCH, Windows};

/// A position that no end reaches.
const NEVER: u32 = u32::MAX;

/// Running jobs by planned end (ties in list order), and what depends on them.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlook {
    /// (planned end, list order, job).
    pub(super) rows: Vec<(i64, u64, JobIx)>,
    /// The ledger's version that `levels` (and, below, `free_after`) belong to.
    version: Option<usize>,
    sums_version: Option<usize>,
    /// CPUs free on all nodes after so many ends.
    free_after: Vec<u64>,
    /// Positions in `rows` of the jobs on each node, ascending: those of node `n` are
    /// `on_node[node_from[n]..node_from[n + 1]]`.
    on_node: Vec<u32>,
    node_from: Vec<u32>,
    views: Vec<View>,
    /// CPUs free after some numbers of ends, as asked for last.
    levels: Vec<(u32, Level)>,
    /// The number of levels that hold.
    known_levels: usize,
    /// Nodes of a choice.
    nodes: NodeSet,
    /// Room for amounts free while a view is made.
    room: Vec<Free>,
}

/// How one demand fares.
#[derive(Clone, Debug, Default)]
struct View {
    version: Option<usize>,
    /// By node: 0 = it fits now, p = after p ends.
    first: Vec<u32>,
    /// By node: CPUs free when it fits for the first time later.
    first_cpus: Vec<u32>,
    /// Nodes on which it fits later, by that number.
    later: Vec<(u32, u32)>,
    /// The first so many times [`STRIDE`] nodes of `later` as sets.
    marks: Vec<NodeSet>,
    /// Nodes on which it fits after `fits_after` ends, the first `fits_counted` of `later` among them.
    fits: NodeSet,
    fits_after: u32,
    fits_counted: usize,
}

/// Nodes between two marks.
const STRIDE: usize = 128;

/// Levels kept at most.
const LEVELS: usize = 16;

/// A predicted start: after which of the running jobs' ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreseen {
    Now,
    After(usize),
}

impl Controller<'_> {
    /// Enters a job that runs now.
    pub(super) fn note_running(&mut self, job: JobIx) {
        let row = self.outlook_row(job);
        let at = self.outlook.rows.partition_point(|other| *other < row);
        self.outlook.rows.insert(at, row);
    }

    /// Takes out a job that runs no more.
    pub(super) fn note_ended(&mut self, job: JobIx) {
        let row = self.outlook_row(job);
        let at = self.outlook.rows.binary_search(&row).expect("a running job is listed");
        self.outlook.rows.remove(at);
    }

    fn outlook_row(&self, job: JobIx) -> (i64, u64, JobIx) {
        let record = &self.jobs[job.at()];
        (record.end_planned_s, record.list_order, job)
    }

    /// Whether the outlook answers for this request: it starts as soon as enough of the nodes hold its
    /// demand and their CPUs together suffice.
    pub(super) fn is_foreseeable(ask: &Ask) -> bool {
        if ask.fixed_per_node {
            ask.max_nodes.is_none_or(|most| most >= ask.min_nodes)
                && u64::from(ask.cpus) <= u64::from(ask.min_nodes) * u64::from(ask.cpus_per_node)
        } else {
            ask.max_nodes.is_none()
        }
    }

    /// Brings the outlook up to date for a job's demand.
    pub(super) fn refresh_outlook(&mut self, job: JobIx) {
        let version = self.ledger.version();
        if self.outlook.sums_version != Some(version) {
            self.refresh_sums();
            self.refresh_nodes();
            self.outlook.sums_version = Some(version);
        }
        self.refresh_fits(job);
        let demand = self.demand(job);
        if self.outlook.views.len() <= demand {
            self.outlook.views.resize_with(demand + 1, View::default);
        }
        if self.outlook.views[demand].version != Some(version) {
            self.refresh_view(job, demand);
            self.outlook.views[demand].version = Some(version);
        }
    }

    /// Who runs on each node, in the order of their ends.
    fn refresh_nodes(&mut self) {
        let Outlook { rows, on_node, node_from, .. } = &mut self.outlook;
        node_from.clear();
        node_from.resize(self.free.len() + 1, 0);
        let grants = |row: &(i64, u64, JobIx)| &self.jobs[row.2.at()].grants;
        for grant in rows.iter().flat_map(grants) {
            node_from[grant.node.0 as usize + 1] += 1;
        }
        for n in 1..node_from.len() {
            node_from[n] += node_from[n - 1];
        }
        let mut next = node_from.clone();
        on_node.clear();
        on_node.resize(node_from.last().map_or(0, |all| *all as usize), 0);
        for (at, row) in (0u32..).zip(rows.iter()) {
            for grant in grants(row) {
                let slot = &mut next[grant.node.0 as usize];
                on_node[*slot as usize] = at;
                *slot += 1;
            }
        }
    }

    fn refresh_sums(&mut self) {
        let Outlook { rows, free_after, .. } = &mut self.outlook;
        free_after.clear();
        let mut free = self.free_cpus;
        free_after.push(free);
        free_after.extend(rows.iter().map(|(_, _, job)| {
            free += self.jobs[job.at()].grants.iter().map(|g| u64::from(g.cpus)).sum::<u64>();
            free
        }));
    }

    /// Makes sure that the level after so many ends is known, and tells where.
    fn refresh_level(&mut self, after: u32) -> usize {
        let outlook = &mut self.outlook;
        let version = Some(self.ledger.version());
        if outlook.version != version {
            outlook.version = version;
            outlook.known_levels = 0;
        }
        if let Some(at) = outlook.levels[..outlook.known_levels].iter().position(|(a, _)| *a == after) {
            return at;
        }
        let at = if outlook.known_levels < LEVELS { outlook.known_levels } else { after as usize % LEVELS };
        if outlook.levels.len() == at {
            outlook.levels.push((after, Level::default()));
        }
        outlook.known_levels = outlook.known_levels.max(at + 1);
        let (of, level) = &mut outlook.levels[at];
        *of = after;
        level.cpus.clear();
        level.cpus.extend(self.free.iter().map(|free| free.cpus));
        for (_, _, gone) in &outlook.rows[..after as usize] {
            for grant in &self.jobs[gone.at()].grants {
                level.cpus[grant.node.0 as usize] += grant.cpus;
            }
        }
        level.add_up();
        at
    }

    fn refresh_view(&mut self, job: JobIx, demand: usize) {
        let (ask, rule) = (self.ask(job), self.placement());
        let mut view = std::mem::take(&mut self.outlook.views[demand]);
        let mut free = std::mem::take(&mut self.outlook.room);
        free.clone_from(&self.free);
        view.later.clear();
        view.first.clear();
        view.first.resize(free.len(), NEVER);
        view.first_cpus.resize(free.len(), 0);
        self.fitting(job).ones().for_each(|n| view.first[n] = 0);
        view.fits.clone_from(self.fitting(job));
        (view.fits_after, view.fits_counted) = (0, 0);
        for (after, (_, _, gone)) in (1..).zip(&self.outlook.rows) {
            for grant in &self.jobs[gone.at()].grants {
                let n = grant.node.0 as usize;
                if view.first[n] != NEVER {
                    continue;
                }
                free[n].cpus += grant.cpus;
                free[n].mem_mb += grant.mem_mb;
                free[n].gpus |= grant.gpus;
                if rule.fits(ask, n, &free[n]) {
                    view.first[n] = after;
                    view.first_cpus[n] = free[n].cpus;
                    view.later.push((after, grant.node.0));
                }
            }
        }
        let mut mark = view.fits.clone();
        mark.clear();
        for (at, nodes) in view.later.chunks_exact(STRIDE).enumerate() {
            nodes.iter().for_each(|(_, node)| mark.insert(*node as usize));
            match view.marks.get_mut(at) {
                Some(known) => known.clone_from(&mark),
                None => view.marks.push(mark.clone()),
            }
        }
        view.marks.truncate(view.later.len() / STRIDE);
        self.outlook.room = free;
        self.outlook.views[demand] = view;
    }

    /// A second before which no start of the job is foreseen, whatever nodes it may use.
    pub(super) fn earliest_end(&self, job: JobIx) -> i64 {
        let (ask, outlook) = (self.ask(job), &self.outlook);
        let view = &outlook.views[self.demand(job)];
        let by_cpus = outlook.free_after.partition_point(|free| *free < u64::from(ask.cpus));
        let now = self.fitting(job).count_ones(..);
        let by_nodes = match (ask.min_nodes as usize).checked_sub(now) {
            None | Some(0) => 0,
            Some(missing) => view.later.get(missing - 1).map_or(usize::MAX, |(after, _)| *after as usize),
        };
        match by_cpus.max(by_nodes) {
            0 => i64::MIN,
            after => outlook.rows.get(after - 1).map_or(i64::MAX, |(end, _, _)| *end),
        }
    }

    /// When the job could start on nodes of `allowed`; `None` if never.
    pub(super) fn foresee(&mut self, job: JobIx, allowed: &NodeSet) -> Option<Foreseen> {
        let ask = self.ask(job);
        let after = if ask.fixed_per_node {
            self.enough_nodes_after(job, allowed)
        } else {
            self.enough_cpus_after(job, allowed)
        }?;
        match after.checked_sub(1) {
            None => Some(Foreseen::Now),
            Some(at) => self.batch_with(at as usize, allowed).map(Foreseen::After),
        }
    }

    fn enough_nodes_after(&self, job: JobIx, allowed: &NodeSet) -> Option<u32> {
        let view = &self.outlook.views[self.demand(job)];
        let now = allowed.intersection_count(self.fitting(job));
        let Some(missing) = (self.ask(job).min_nodes as usize).checked_sub(now).filter(|m| *m > 0) else {
            return Some(0);
        };
        let passed = view.marks.partition_point(|mark| allowed.intersection_count(mark) < missing);
        let counted = passed.checked_sub(1).map_or(0, |at| allowed.intersection_count(&view.marks[at]));
        let rest = view.later[passed * STRIDE..].iter();
        let mut here = rest.filter(|(_, node)| allowed.contains(*node as usize));
        here.nth(missing - counted - 1).map(|(after, _)| *after)
    }

    fn enough_cpus_after(&mut self, job: JobIx, allowed: &NodeSet) -> Option<u32> {
        let ask = self.ask(job);
        let now = self.refresh_level(0);
        let mut here = std::mem::take(&mut self.outlook.nodes);
        here.clone_from(allowed);
        here.intersect_with(self.fitting(job));
        let level = &self.outlook.levels[now].1;
        let (mut nodes, mut cpus) = (0, 0);
        each_run(&here, |from, to| {
            nodes += to - from;
            cpus += level.sums[to] - level.sums[from];
        });
        self.outlook.nodes = here;
        let view = &self.outlook.views[self.demand(job)];
        let enough = |nodes: usize, cpus: u64| nodes >= ask.min_nodes as usize && cpus >= u64::from(ask.cpus);
        if enough(nodes, cpus) {
            return Some(0);
        }
        for (after, (_, _, gone)) in (1u32..).zip(&self.outlook.rows) {
            let before = (nodes, cpus);
            for grant in &self.jobs[gone.at()].grants {
                let n = grant.node.0 as usize;
                if !allowed.contains(n) || view.first[n] > after {
                    continue;
                }
                if view.first[n] == after {
                    nodes += 1;
                    cpus += u64::from(view.first_cpus[n]);
                } else {
                    cpus += u64::from(grant.cpus);
                }
            }
            if before != (nodes, cpus) && enough(nodes, cpus) {
                return Some(after);
            }
        }
        None
    }

    /// Position of the job that is removed last in the batch that holds position `at`.
    ///
    /// Where a batch ends is found without a look at what lies between: only a job whose next one in the
    /// whole list ends beyond the window can close it.
    fn batch_with(&self, at: usize, allowed: &NodeSet) -> Option<usize> {
        let rows = &self.outlook.rows;
        let few = allowed.count_ones(..) * 4 < self.free.len();
        if self.config.backfill.rule.is_ideal() {
            let beyond = rows.partition_point(|(end, _, _)| *end <= rows[at].0);
            return (at..beyond).rev().find(|at| self.touches(*at, allowed));
        }
        let first = self.next_touching(0, allowed, few)?;
        let mut windows = Windows::new(&self.config.backfill, self.epoch_s);
        windows.anchor(rows[first].0);
        let mut from = first;
        loop {
            let beyond = rows.partition_point(|(end, _, _)| *end <= windows.end_s());
            let closes = self.next_touching(from.max(beyond.saturating_sub(1)), allowed, few);
            match closes {
                Some(last) if last >= at => return Some(last),
                Some(last) => {
                    let (next_end, _, _) = rows.get(last + 1)?;
                    windows.grow(*next_end);
                    from = last + 1;
                }
                None => {
                    // the list ends inside the window; full batches of jobs are not followed by a test
                    let left = (from..rows.len()).filter(|at| self.touches(*at, allowed));
                    let (count, last) = left.fold((0, None), |(count, _), at| (count + 1, Some(at)));
                    return last.filter(|last| count % (BATCH as usize + 2) != 0 && *last >= at);
                }
            }
        }
    }

    /// Whether the job at a position holds any of the nodes.
    fn touches(&self, at: usize, allowed: &NodeSet) -> bool {
        const MANY: usize = 16;
        let job = &self.jobs[self.outlook.rows[at].2.at()];
        if job.grants.len() > MANY {
            return !job.nodes.is_disjoint(allowed);
        }
        job.grants.iter().any(|grant| allowed.contains(grant.node.0 as usize))
    }

    /// The first position from `from` on of a job that holds any of the nodes; of a `few` nodes it is found
    /// node by node.
    fn next_touching(&self, from: usize, allowed: &NodeSet, few: bool) -> Option<usize> {
        let Outlook { rows, on_node, node_from, .. } = &self.outlook;
        if !few {
            return (from..rows.len()).find(|at| self.touches(*at, allowed));
        }
        let next = |n: usize| {
            let here = &on_node[node_from[n] as usize..node_from[n + 1] as usize];
            here.iter().find(|at| **at as usize >= from).copied()
        };
        allowed.ones().filter_map(next).min().map(|at| at as usize)
    }

    /// The nodes of `allowed` that the job gets now, given [`Controller::refresh_fits`].
    pub(super) fn choose_now(&mut self, job: JobIx, allowed: &NodeSet) -> Option<Vec<usize>> {
        let ask = self.ask(job);
        if self.uncached {
            return self.placement_of(job).choose(ask, allowed, &self.free);
        }
        if !self.is_plain(job) {
            return self.choose_fitting(job, allowed, self.fitting(job), &self.free);
        }
        if allowed.intersection_count(self.fitting(job)) < ask.min_nodes as usize {
            return None;
        }
        let level = self.refresh_level(0);
        let mut here = std::mem::take(&mut self.outlook.nodes);
        here.clone_from(allowed);
        here.intersect_with(self.fitting(job));
        let nodes = self.placement().choose_on(ask, &here, &self.outlook.levels[level].1);
        self.outlook.nodes = here;
        nodes
    }

    /// The nodes of `allowed` that the job gets at a foreseen start.
    pub(super) fn choose_foreseen(
        &mut self,
        job: JobIx,
        allowed: &NodeSet,
        when: Foreseen,
    ) -> Option<Vec<usize>> {
        let after = match when {
            Foreseen::Now => 0,
            Foreseen::After(last) => u32::try_from(last + 1).expect("fewer than 2^32 jobs"),
        };
        let (ask, demand) = (self.ask(job), self.demand(job));
        let level = self.refresh_level(after);
        let view = &mut self.outlook.views[demand];
        if after < view.fits_after {
            view.fits.clone_from(&self.fits.fits[demand].nodes);
            view.fits_counted = 0;
        }
        view.fits_after = after;
        let passed = view.later.partition_point(|(first, _)| *first <= after) / STRIDE;
        if passed * STRIDE > view.fits_counted {
            view.fits.union_with(&view.marks[passed - 1]);
            view.fits_counted = passed * STRIDE;
        }
        let new = view.later[view.fits_counted..].iter().take_while(|(first, _)| *first <= after);
        let mut counted = view.fits_counted;
        for (_, node) in new {
            view.fits.insert(*node as usize);
            counted += 1;
        }
        view.fits_counted = counted;
        let mut here = std::mem::take(&mut self.outlook.nodes);
        here.clone_from(allowed);
        here.intersect_with(&self.outlook.views[demand].fits);
        let level = &self.outlook.levels[level].1;
        let nodes = if self.is_plain(job) {
            self.placement().choose_on(ask, &here, level)
        } else {
            let devices_only = ask.fixed_per_node && !ask.gres.is_empty();
            let avail = |n: usize| if devices_only { ask.cpus_per_node } else { level.cpus[n] };
            let feasible = here.ones().map(|n| (n, u64::from(avail(n))));
            self.placement_of(job).choose_among(ask, feasible.collect(), &|n| level.cpus[n])
        };
        self.outlook.nodes = here;
        nodes
    }
}

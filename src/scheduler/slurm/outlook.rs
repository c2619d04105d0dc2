//! What becomes free when, if the running jobs end at their limits: kept for the predictions of a cycle.
//!
//! Running jobs stay sorted by planned end. For every *demand* (what a request needs of one node) a view
//! tells after which of these ends each node holds it for the first time. A prediction then asks which
//! end completes the request on the nodes in question, and where the batch (see
//! [`super::prediction`]) with that end stops; nodes are chosen only if that start is really taken.
//! The answers are those of [`Controller::will_run`], which does it job by job.

use smallvec::SmallVec;

use super::NodeSet;
use super::config::Rule;
use super::controller::Controller;
use super::job::{Ask, JobIx};
use super::placement::{Level, each_run};
use super::prediction::{BATCH, Tried, Windows};
use super::sets::{has_at_least, next_one, share_at_least};
use crate::cluster::Allocation;
use crate::ids::{Id, NodeId};

/// Names a running job's end: planned end, list order. Ends keep their names while others come and go.
type End = (i64, u64);

/// Before any end.
const NOW: End = (i64::MIN, 0);

/// After all ends.
const NEVER: End = (i64::MAX, u64::MAX);

/// Running jobs by planned end (ties in list order), and what depends on them.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlook {
    /// (planned end, list order, job).
    pub(super) rows: Vec<(i64, u64, JobIx)>,
    /// CPUs of each job in `rows`.
    row_cpus: Vec<u64>,
    /// By record: its position in `rows`.
    pub(super) position: Vec<u32>,
    /// The ledger's version that `levels` belong to.
    version: Option<usize>,
    /// The same of `position` and `free_after`.
    sums_version: Option<usize>,
    /// CPUs free on all nodes after so many ends.
    free_after: Vec<u64>,
    /// Who runs on each node, by which of its grants, in no particular order.
    on_node: Vec<SmallVec<[(JobIx, u32); 2]>>,
    views: Vec<View>,
    /// CPUs free after some numbers of ends, as asked for last.
    levels: Vec<(u32, Level)>,
    /// The number of levels that hold.
    known_levels: usize,
    /// Nodes of a choice.
    nodes: NodeSet,
    /// Positions in `rows` of the jobs on the nodes in question.
    touched: NodeSet,
    /// Room for a view's new list.
    room: Vec<(End, u32)>,
}

/// How one demand fares.
#[derive(Clone, Debug, Default)]
struct View {
    version: Option<usize>,
    /// By node: the end after which it fits for the first time.
    first: Vec<End>,
    /// By node: CPUs free when it fits for the first time later.
    first_cpus: Vec<u32>,
    /// Nodes on which it fits later, in the order of these ends.
    later: Vec<(End, u32)>,
    /// The first so many times [`STRIDE`] nodes of `later` as sets.
    marks: Vec<NodeSet>,
    /// Nodes on which it fits after `fits_after` ends, the first `fits_counted` of `later` among them.
    fits: NodeSet,
    fits_after: u32,
    fits_counted: usize,
}

impl View {
    /// Replaces what is known of the `changed` nodes by the `new` ends, which come sorted.
    fn take_in(&mut self, new: &[(End, u32)], changed: &NodeSet) {
        let stays = |row: &&(End, u32)| !changed.contains(row.1 as usize);
        let kept = self.later.iter().take_while(stays).count();
        let same = match new.first() {
            Some(first) => self.later[..kept].partition_point(|row| row < first),
            None => kept,
        };
        let mut merged = Vec::with_capacity(self.later.len() + new.len());
        merged.extend_from_slice(&self.later[..same]);
        let mut old = self.later[same..].iter().filter(stays).peekable();
        for row in new.iter() {
            while let Some(before) = old.next_if(|other| *other < row) {
                merged.push(*before);
            }
            merged.push(*row);
        }
        merged.extend(old);
        self.later = merged;
        self.refresh_marks(same / STRIDE, changed.len());
    }

    fn refresh_marks(&mut self, from: usize, nodes: usize) {
        let mut mark = match from.checked_sub(1) {
            Some(at) => self.marks[at].clone(),
            None => NodeSet::with_capacity(nodes),
        };
        let full = self.later.chunks_exact(STRIDE);
        let count = full.len();
        for (at, rows) in full.enumerate().skip(from) {
            rows.iter().for_each(|(_, node)| mark.insert(*node as usize));
            match self.marks.get_mut(at) {
                Some(known) => known.clone_from(&mark),
                None => self.marks.push(mark.clone()),
            }
        }
        self.marks.truncate(count);
    }
}

/// Nodes between two marks.
const STRIDE: usize = 128;

/// Levels kept at most.
const LEVELS: usize = 16;

/// A predicted start: after which of the running jobs' ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreseen {
    Now,
    /// At the tried start, when so many jobs have ended.
    AtStart(usize),
    After(usize),
}

impl Controller<'_> {
    /// Enters a job that runs now.
    pub(super) fn note_running(&mut self, job: JobIx) {
        let row = self.outlook_row(job);
        let Outlook { rows, row_cpus, on_node, .. } = &mut self.outlook;
        let at = rows.partition_point(|other| *other < row);
        rows.insert(at, row);
        let grants = &self.jobs[job.at()].grants;
        row_cpus.insert(at, grants.iter().map(|grant| u64::from(grant.cpus)).sum());
        on_node.resize_with(self.free.len(), SmallVec::new);
        for (at, grant) in (0..).zip(grants) {
            on_node[grant.node.0 as usize].push((job, at));
        }
    }

    /// Takes out a job that runs no more; these were its `grants`.
    pub(super) fn note_ended(&mut self, job: JobIx, grants: &Allocation) {
        let row = self.outlook_row(job);
        let Outlook { rows, row_cpus, on_node, .. } = &mut self.outlook;
        let at = rows.binary_search(&row).expect("a running job is listed");
        rows.remove(at);
        row_cpus.remove(at);
        for grant in grants {
            on_node[grant.node.0 as usize].retain(|(other, _)| *other != job);
        }
    }

    /// The first planned end of all running jobs.
    #[must_use]
    pub fn earliest_planned_end_s(&self) -> Option<i64> {
        self.outlook.rows.first().map(|(end, _, _)| *end)
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
            self.outlook.sums_version = Some(version);
        }
        self.refresh_fits(job);
        let demand = self.demand(job);
        if self.outlook.views.len() <= demand {
            self.outlook.views.resize_with(demand + 1, View::default);
        }
        if self.outlook.views[demand].version != Some(version) {
            self.refresh_view(job, demand);
        }
    }

    fn refresh_sums(&mut self) {
        let Outlook { rows, row_cpus, position, free_after, .. } = &mut self.outlook;
        position.resize(self.jobs.len(), 0);
        for (at, (_, _, job)) in (0..).zip(rows.iter()) {
            position[job.at()] = at;
        }
        free_after.clear();
        let mut free = self.free_cpus;
        free_after.push(free);
        free_after.extend(row_cpus.iter().map(|cpus| {
            free += cpus;
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
        // from the nearest level before, if one is known
        let known = outlook.levels[..outlook.known_levels].iter().enumerate();
        let nearest = known.filter(|(_, (of, _))| *of < after).max_by_key(|(_, (of, _))| *of);
        let nearest = nearest.map(|(slot, (of, _))| (slot, *of as usize));
        outlook.known_levels = outlook.known_levels.max(at + 1);
        let mut level = std::mem::take(&mut outlook.levels[at].1);
        match nearest {
            Some((slot, _)) if slot != at => level.cpus.clone_from(&outlook.levels[slot].1.cpus),
            Some(_) => {}
            None => {
                level.cpus.clear();
                level.cpus.extend(self.free.iter().map(|free| free.cpus));
            }
        }
        for (_, _, gone) in &outlook.rows[nearest.map_or(0, |(_, of)| of)..after as usize] {
            for grant in &self.jobs[gone.at()].grants {
                level.cpus[grant.node.0 as usize] += grant.cpus;
            }
        }
        level.add_up();
        outlook.levels[at] = (after, level);
        at
    }

    /// Brings a view up to date: only nodes that changed are looked at.
    fn refresh_view(&mut self, job: JobIx, demand: usize) {
        let ask = self.ask(job);
        let mut view = std::mem::take(&mut self.outlook.views[demand]);
        let mut new = std::mem::take(&mut self.outlook.room);
        let mut changed = std::mem::take(&mut self.outlook.nodes);
        new.clear();
        changed.clone_from(self.fitting(job));
        changed.clear();
        match view.version.and_then(|since| self.ledger.changed_since(since)) {
            Some(nodes) => nodes.iter().for_each(|n| changed.insert(n.0 as usize)),
            None => {
                changed.insert_range(..);
                view.first.resize(self.free.len(), NEVER);
                view.first_cpus.resize(self.free.len(), 0);
            }
        }
        for n in changed.ones() {
            let (first, cpus) = if self.fitting(job).contains(n) { (NOW, 0) } else { self.first_fit(ask, n) };
            view.first[n] = first;
            view.first_cpus[n] = cpus;
            if first != NOW && first != NEVER {
                new.push((first, u32::try_from(n).expect("few nodes")));
            }
        }
        new.sort_unstable();
        view.take_in(&new, &changed);
        view.fits.clone_from(self.fitting(job));
        (view.fits_after, view.fits_counted) = (0, 0);
        view.version = Some(self.ledger.version());
        self.outlook.room = new;
        self.outlook.nodes = changed;
        self.outlook.views[demand] = view;
    }

    /// After which end a node first holds a demand that it does not hold now, and the CPUs free then.
    fn first_fit(&self, ask: &Ask, node: usize) -> (End, u32) {
        let Some(here) = self.outlook.on_node.get(node) else { return (NEVER, 0) };
        let placed = |(job, grant): &(JobIx, u32)| (self.outlook.position[job.at()], *grant);
        let mut here: SmallVec<[(u32, u32); 16]> = here.iter().map(placed).collect();
        let id = NodeId::new(node);
        let host = self.beside(id);
        for other in host.clone().into_iter().flatten().filter(|other| *other != id.0) {
            here.extend(self.outlook.on_node[other as usize].iter().map(placed));
        }
        here.sort_unstable();
        let rule = self.placement().later();
        let mut free = self.free[node].later();
        for (at, grant) in here {
            let (end, order, gone) = self.outlook.rows[at as usize];
            let row = &self.jobs[gone.at()];
            let held = row.held.get(grant as usize).map_or(&[][..], |held| held.as_slice());
            let grant = &row.grants[grant as usize];
            if grant.node == id {
                free.give_back(grant, held, &self.hardware[node]);
            }
            if host.is_some() {
                free.leave_host();
            }
            if rule.fits(ask, node, &free) {
                return ((end, order), free.cpus);
            }
        }
        (NEVER, 0)
    }

    /// The nodes on the host of a node, where hosts are dedicated.
    pub(super) fn beside(&self, node: NodeId) -> Option<std::ops::Range<u32>> {
        self.ledger.dedication().and_then(|dedication| dedication.beside(node))
    }

    /// How many ends there are up to and with this one.
    fn ends_until(&self, end: End) -> usize {
        self.outlook.rows.partition_point(|(s, order, _)| (*s, *order) <= end)
    }

    /// A second before which no start of the job is foreseen, whatever nodes it may use.
    pub(super) fn earliest_end(&self, job: JobIx) -> i64 {
        let (ask, outlook) = (self.ask(job), &self.outlook);
        let view = &outlook.views[self.demand(job)];
        let by_cpus = outlook.free_after.partition_point(|free| *free < u64::from(ask.cpus));
        let by_cpus_s = match by_cpus {
            0 => i64::MIN,
            after => outlook.rows.get(after - 1).map_or(i64::MAX, |(end, _, _)| *end),
        };
        let now = self.fitting(job).count_ones(..);
        let by_nodes_s = match (ask.min_nodes as usize).checked_sub(now) {
            None | Some(0) => i64::MIN,
            Some(missing) => view.later.get(missing - 1).map_or(i64::MAX, |((end, _), _)| *end),
        };
        by_cpus_s.max(by_nodes_s)
    }

    /// When the job could start on nodes of `allowed`; `None` if never, or surely after an end later than the next instant
    /// worth a try.
    pub(super) fn foresee(&mut self, job: JobIx, allowed: &NodeSet, tried: &Tried) -> Option<Foreseen> {
        let ask = self.ask(job);
        let after = if ask.fixed_per_node {
            self.enough_nodes_after(job, allowed)
        } else {
            self.enough_cpus_after(job, allowed)
        }?;
        let in_interval = self.config.has(Rule::StartInInterval);
        let (gone, most) = self.ends_around(tried);
        let at_once = after == 0 && tried.start_s <= tried.now_s;
        if in_interval && tried.now_only {
            return at_once.then_some(Foreseen::Now);
        }
        if in_interval && after as usize <= gone {
            return Some(if at_once { Foreseen::Now } else { Foreseen::AtStart(gone) });
        }
        let last_s = match tried.now_only {
            true => tried.now_s,
            false => tried.later_s.unwrap_or(i64::MAX).max(tried.now_s),
        };
        match after.checked_sub(1).map(|at| at as usize) {
            None => Some(Foreseen::Now),
            // a batch ends with this end or a later one
            Some(at) if at >= most || self.outlook.rows[at].0 > last_s => None,
            Some(at) => self.batch_with(at, allowed, gone..most).map(Foreseen::After),
        }
    }

    /// Of the jobs at these positions the last one on any of the nodes.
    pub(super) fn last_on(&self, nodes: &[usize], positions: std::ops::Range<usize>) -> Option<usize> {
        let Outlook { on_node, position, .. } = &self.outlook;
        let here = nodes.iter().filter_map(|n| on_node.get(*n)).flatten();
        here.map(|(job, _)| position[job.at()] as usize).filter(|at| positions.contains(at)).max()
    }

    fn enough_nodes_after(&self, job: JobIx, allowed: &NodeSet) -> Option<u32> {
        let view = &self.outlook.views[self.demand(job)];
        let now = allowed.intersection_count(self.fitting(job));
        let Some(missing) = (self.ask(job).min_nodes as usize).checked_sub(now).filter(|m| *m > 0) else {
            return Some(0);
        };
        let passed = view.marks.partition_point(|mark| !share_at_least(allowed, mark, missing));
        let counted = passed.checked_sub(1).map_or(0, |at| allowed.intersection_count(&view.marks[at]));
        let rest = view.later[passed * STRIDE..].iter();
        let mut here = rest.filter(|(_, node)| allowed.contains(*node as usize));
        let (end, _) = here.nth(missing - counted - 1)?;
        Some(u32::try_from(self.ends_until(*end)).expect("fewer than 2^32 jobs"))
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
        for (after, (end, order, gone)) in (1u32..).zip(&self.outlook.rows) {
            let end = (*end, *order);
            let before = (nodes, cpus);
            for grant in &self.jobs[gone.at()].grants {
                let n = grant.node.0 as usize;
                if !allowed.contains(n) || view.first[n] > end {
                    continue;
                }
                if view.first[n] == end {
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

    /// Position of the job that is removed last in the batch that holds position `at`, of batches over these positions.
    ///
    /// Where a batch ends is found without a look at what lies between: only a job whose next one in the
    /// whole list ends beyond the window can close it.
    fn batch_with(&mut self, at: usize, allowed: &NodeSet, listed: std::ops::Range<usize>) -> Option<usize> {
        let few = self.find_touched(allowed);
        let rows = &self.outlook.rows;
        if self.config.backfill.rule.is_ideal() {
            let beyond = rows.partition_point(|(end, _, _)| *end <= rows[at].0);
            return (at..beyond).rev().find(|at| self.touches(*at, allowed));
        }
        let first = self.next_touching(listed.start, allowed, few)?;
        let mut windows = Windows::new(self.config, self.epoch_s);
        if !windows.aligned {
            return self.own_batch_with(at, windows, listed, allowed);
        }
        windows.anchor(rows[first].0);
        let mut from = first;
        loop {
            let beyond = rows[..listed.end].partition_point(|(end, _, _)| *end <= windows.end_s());
            let closes = self.next_touching(from.max(beyond.saturating_sub(1)), allowed, few);
            match closes.filter(|last| *last < listed.end) {
                Some(last) if last >= at => return Some(last),
                Some(last) => {
                    let (next_end, _, _) = rows.get(last + 1)?;
                    windows.grow(*next_end);
                    from = last + 1;
                }
                None => {
                    // the list ends inside the window; full batches of jobs are not followed by a test
                    let left = (from..listed.end).filter(|at| match few {
                        true => self.outlook.touched.contains(*at),
                        false => self.touches(*at, allowed),
                    });
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

    /// Lists the positions of the jobs that hold any of the nodes, if these are so few that all are listed faster
    /// than some are found.
    fn find_touched(&mut self, allowed: &NodeSet) -> bool {
        if has_at_least(allowed, self.free.len() / 4 + 1) {
            return false;
        }
        let Outlook { rows, on_node, position, touched, .. } = &mut self.outlook;
        touched.clear();
        touched.grow(rows.len());
        for (job, _) in allowed.ones().filter_map(|n| on_node.get(n)).flatten() {
            touched.insert(position[job.at()] as usize);
        }
        true
    }

    /// The first position from `from` on of a job that holds any of the nodes; of a `few` nodes the jobs are listed.
    fn next_touching(&self, from: usize, allowed: &NodeSet, few: bool) -> Option<usize> {
        if few {
            return next_one(&self.outlook.touched, from);
        }
        (from..self.outlook.rows.len()).find(|at| self.touches(*at, allowed))
    }

    /// The nodes of `allowed` that the job gets now, given [`Controller::refresh_fits`].
    pub(super) fn choose_now(&mut self, job: JobIx, allowed: &NodeSet) -> Option<Vec<usize>> {
        let ask = self.ask(job);
        if self.uncached {
            return self.placement_of(job).choose(ask, allowed, &self.free);
        }
        if !self.is_plain(job) {
            return self.choose_fitting(job, allowed, self.fitting(job), &self.free, false);
        }
        if !share_at_least(allowed, self.fitting(job), ask.min_nodes as usize) {
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
            Foreseen::AtStart(gone) => u32::try_from(gone).expect("fewer than 2^32 jobs"),
            Foreseen::After(last) => u32::try_from(last + 1).expect("fewer than 2^32 jobs"),
        };
        let (ask, demand) = (self.ask(job), self.demand(job));
        let level = self.refresh_level(after);
        let end = match (after as usize).checked_sub(1) {
            None => NOW,
            Some(last) => (self.outlook.rows[last].0, self.outlook.rows[last].1),
        };
        let view = &mut self.outlook.views[demand];
        if after < view.fits_after {
            view.fits.clone_from(&self.fits.fits[demand].nodes);
            view.fits_counted = 0;
        }
        view.fits_after = after;
        let passed = view.later.partition_point(|(first, _)| *first <= end) / STRIDE;
        if passed * STRIDE > view.fits_counted {
            view.fits.union_with(&view.marks[passed - 1]);
            view.fits_counted = passed * STRIDE;
        }
        let new = view.later[view.fits_counted..].iter().take_while(|(first, _)| *first <= end);
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

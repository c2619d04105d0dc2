//! The steps of running jobs, kept up to date as jobs start and end.
//!
//! [`Shares::settle`] solves again only the jobs that an event can have reached: those connected to it over links that may be
//! full. A link may be full where the rates alone of its users add up to more than it has; every other link never stops
//! anybody in either filling (no rate is above the rate alone), so leaving it out changes nothing. A NIC that one job uses, and
//! all of a fabric that is not blocking, cost nothing.
//!
//! Invariant: the steps are a function of the jobs that are here now (by slot, whose order is the order of every sum), not of
//! how they came: the same as [`super::contention::steps`] over everything.

use super::contention::{Alone, Demand, Step};
use super::rates::Filling;

/// A link that another one of the component is full before.
const NEVER: u32 = u32::MAX;

/// Jobs on links, by slot.
#[derive(Clone, Debug)]
pub struct Shares {
    phase_overlap: f64,
    links: Vec<Link>,
    /// By link, apart from the lists of users: the walk looks at all links of many jobs.
    marks: Vec<Mark>,
    /// By slot.
    jobs: Vec<Option<Job>>,
    /// By slot: the settling that came to it.
    seen: Vec<u64>,
    /// Links whose users an event may have reached.
    touched: Vec<u32>,
    /// Slots that came, or whose own links changed.
    fresh: Vec<u32>,
    filling: Filling,
    /// Slots of the component in hand.
    component: Vec<u32>,
    /// Rates of its first filling.
    together: Vec<f64>,
    /// Number of this settling, and of the component in hand: what bears it has been seen.
    settling: u64,
    solving: u64,
}

#[derive(Clone, Debug)]
struct Link {
    capacity: f64,
    /// Slots and their weights, in order of slots.
    users: Vec<(u32, f64)>,
    /// Is in `touched`.
    touched: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// Whether its users' rates alone add up to more than it has.
    contended: bool,
    /// Its number in the filling of the component `solved`.
    local: u32,
    solved: u64,
    /// The settling that came through it.
    seen: u64,
}

#[derive(Clone, Debug)]
struct Job {
    demand: Demand,
    weights: Vec<(u32, f64)>,
    /// Those of `weights` on links that are marked as contended, in order of links.
    contended: Vec<(u32, f64)>,
    alone: Alone,
    step: Step,
}

impl Shares {
    /// Links of these capacities (bytes per second) without jobs; see [`super::contention`] for `phase_overlap`.
    #[must_use]
    pub fn new(capacities: &[f64], phase_overlap: f64) -> Self {
        let link = |capacity: &f64| Link { capacity: *capacity, users: Vec::new(), touched: false };
        Self {
            phase_overlap,
            links: capacities.iter().map(link).collect(),
            marks: vec![Mark::default(); capacities.len()],
            jobs: Vec::new(),
            seen: Vec::new(),
            touched: Vec::new(),
            fresh: Vec::new(),
            filling: Filling::default(),
            component: Vec::new(),
            together: Vec::new(),
            settling: 0,
            solving: 0,
        }
    }

    /// Adds a job and says how long its step is alone. The slot must be free.
    ///
    /// # Panics
    /// If the slot has a job, or a link does not exist: both are errors of the caller.
    pub fn add(&mut self, slot: u32, demand: Demand) -> Alone {
        let at = slot as usize;
        if self.jobs.len() <= at {
            self.jobs.resize_with(at + 1, || None);
            self.seen.resize(at + 1, 0);
        }
        assert!(self.jobs[at].is_none(), "slot {slot} already has a job");
        let alone = demand.alone(|link| self.links[link as usize].capacity);
        let weights: Vec<(u32, f64)> = demand.weights().collect();
        for (link, weight) in &weights {
            let users = &mut self.links[*link as usize].users;
            let place = users.partition_point(|(user, _)| *user < slot);
            users.insert(place, (slot, *weight));
            self.touch(*link);
        }
        let step = Step { now_s: f64::NAN, alone_s: alone.step_s, compute_s: demand.compute_s };
        let contended = weights.iter().copied().filter(|(link, _)| self.marks[*link as usize].contended);
        let mut contended: Vec<(u32, f64)> = contended.collect();
        contended.sort_unstable_by_key(|(link, _)| *link);
        self.jobs[at] = Some(Job { demand, weights, contended, alone, step });
        self.fresh.push(slot);
        alone
    }

    /// Takes a job away. A slot without one stays as it is.
    pub fn remove(&mut self, slot: u32) {
        let Some(job) = self.jobs.get_mut(slot as usize).and_then(Option::take) else { return };
        for (link, _) in job.weights {
            let users = &mut self.links[link as usize].users;
            if let Ok(place) = users.binary_search_by_key(&slot, |(user, _)| *user) {
                users.remove(place);
            }
            self.touch(link);
        }
    }

    /// Gives a link another capacity; zero where it has failed. Its users' times alone change with it.
    pub fn set_capacity(&mut self, link: u32, capacity: f64) {
        if self.links[link as usize].capacity == capacity {
            return;
        }
        self.links[link as usize].capacity = capacity;
        self.touch(link);
        let users: Vec<u32> = self.links[link as usize].users.iter().map(|(slot, _)| *slot).collect();
        for slot in users {
            let Some(job) = self.jobs[slot as usize].as_mut() else { continue };
            job.alone = job.demand.alone(|link| self.links[link as usize].capacity);
            job.step.now_s = f64::NAN;
            job.step.alone_s = job.alone.step_s;
            self.fresh.push(slot);
            // What the job takes at most has changed on all of its links.
            let others: Vec<u32> = job.weights.iter().map(|(link, _)| *link).collect();
            others.into_iter().for_each(|link| self.touch(link));
        }
    }

    /// Capacity of a link.
    #[must_use]
    pub fn capacity(&self, link: u32) -> f64 {
        self.links[link as usize].capacity
    }

    /// The step of a job, as of the last [`Shares::settle`].
    #[must_use]
    pub fn step(&self, slot: u32) -> Option<Step> {
        self.jobs.get(slot as usize)?.as_ref().map(|job| job.step)
    }

    /// The job with the links to itself.
    #[must_use]
    pub fn alone(&self, slot: u32) -> Option<&Alone> {
        self.jobs.get(slot as usize)?.as_ref().map(|job| &job.alone)
    }

    /// Brings steps up to date and adds the slots whose step changed to `changed`, in order; new jobs are among them.
    pub fn settle(&mut self, changed: &mut Vec<u32>) {
        let from = changed.len();
        self.settling += 1;
        let mut seeds = std::mem::take(&mut self.fresh);
        for number in std::mem::take(&mut self.touched) {
            let was = self.marks[number as usize].contended;
            let is = self.may_be_full(number);
            let link = &mut self.links[number as usize];
            link.touched = false;
            if was != is {
                self.mark(number, is);
            }
            let link = &self.links[number as usize];
            if was || is {
                seeds.extend(link.users.iter().map(|(slot, _)| *slot));
            }
        }
        for seed in seeds {
            self.component.clear();
            if self.jobs.get(seed as usize).is_some_and(Option::is_some) {
                see(&mut self.seen, &mut self.component, self.settling, seed);
            }
            self.connect();
            if !self.component.is_empty() {
                self.solve(changed);
            }
        }
        changed[from..].sort_unstable();
    }

    /// Everybody whom the component in hand reaches over links that may be full.
    fn connect(&mut self) {
        let mut next = 0;
        while let Some(&slot) = self.component.get(next) {
            next += 1;
            let Some(job) = &self.jobs[slot as usize] else { continue };
            for (number, _) in &job.contended {
                let mark = &mut self.marks[*number as usize];
                if mark.seen == self.settling {
                    continue;
                }
                mark.seen = self.settling;
                for (user, _) in &self.links[*number as usize].users {
                    see(&mut self.seen, &mut self.component, self.settling, *user);
                }
            }
        }
    }

    /// Both fillings of the component in hand, and the steps that follow.
    fn solve(&mut self, changed: &mut Vec<u32>) {
        self.component.sort_unstable();
        self.solving += 1;
        self.filling.clear();
        for slot in &self.component {
            let Some(job) = &self.jobs[*slot as usize] else { continue };
            for (number, _) in &job.contended {
                let at = *number as usize;
                if self.marks[at].solved != self.solving {
                    let never = at > 0 && never_before(&self.links[at], &self.links[at - 1]) && {
                        let other = self.marks[at - 1];
                        other.contended && other.solved == self.solving && other.local != NEVER
                    };
                    let local = if never { NEVER } else { self.filling.link(self.links[at].capacity) };
                    self.marks[at] = Mark { local, solved: self.solving, ..self.marks[at] };
                }
            }
            let marks = &self.marks;
            let full = job.contended.iter().map(|(number, weight)| (marks[*number as usize].local, *weight));
            let local = full.filter(|(local, _)| *local != NEVER);
            self.filling.flow(local, job.alone.cap_together());
        }
        self.together.clear();
        self.together.extend_from_slice(self.filling.solve());
        for (flow, slot) in self.component.iter().enumerate() {
            if let Some(job) = &self.jobs[*slot as usize] {
                self.filling.set_cap(flow as u32, job.alone.cap_apart());
            }
        }
        let rates = self.together.iter().zip(self.filling.solve());
        for (slot, (together, apart)) in self.component.iter().zip(rates) {
            let Some(job) = self.jobs[*slot as usize].as_mut() else { continue };
            let step = job.demand.step(&job.alone, *together, *apart, self.phase_overlap);
            // A step that was never computed is not a number and differs from all.
            if step != job.step {
                job.step = step;
                changed.push(*slot);
            }
        }
    }

    /// Tells a link and its users whether it may be full.
    fn mark(&mut self, number: u32, contended: bool) {
        self.marks[number as usize].contended = contended;
        for (slot, weight) in &self.links[number as usize].users {
            let Some(job) = self.jobs[*slot as usize].as_mut() else { continue };
            match (job.contended.binary_search_by_key(&number, |(link, _)| *link), contended) {
                (Err(place), true) => job.contended.insert(place, (number, *weight)),
                (Ok(place), false) => {
                    job.contended.remove(place);
                }
                _ => {}
            }
        }
    }

    fn touch(&mut self, link: u32) {
        let state = &mut self.links[link as usize];
        if !state.touched {
            state.touched = true;
            self.touched.push(link);
        }
    }

    fn may_be_full(&self, number: u32) -> bool {
        let link = &self.links[number as usize];
        let most = |(slot, weight): &(u32, f64)| {
            self.jobs[*slot as usize].as_ref().map_or(0.0, |job| weight * job.alone.cap_together())
        };
        link.users.len() > 1 && link.users.iter().map(most).sum::<f64>() > link.capacity
    }
}

/// Puts a job into the component in hand, once in a settling.
fn see(seen: &mut [u64], component: &mut Vec<u32>, settling: u64, slot: u32) {
    if seen[slot as usize] != settling {
        seen[slot as usize] = settling;
        component.push(slot);
    }
}

/// Whether a link has the same users with the same weights as the one before it, and no less capacity: rings load both
/// directions of a cable alike, and these have numbers that follow each other.
fn never_before(link: &Link, other: &Link) -> bool {
    other.capacity <= link.capacity && other.users == link.users
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::contention::steps;
    use super::*;

    fn job(compute_s: f64, bytes: &[(u32, f64)]) -> Demand {
        Demand { compute_s, bytes: bytes.to_vec(), ..Demand::default() }
    }

    #[test]
    fn an_event_tells_of_those_it_reached() {
        let mut shares = Shares::new(&[10.0, 10.0], 1.0);
        let mut changed = Vec::new();
        shares.add(3, job(1.0, &[(0, 10.0)]));
        shares.add(5, job(1.0, &[(1, 10.0)]));
        shares.settle(&mut changed);
        assert_eq!(std::mem::take(&mut changed), [3, 5]);
        shares.add(4, job(1.0, &[(0, 10.0)]));
        shares.settle(&mut changed);
        assert_eq!(std::mem::take(&mut changed), [3, 4]);
        assert_eq!(shares.step(3).map(|step| step.now_s), Some(3.0));
        shares.remove(4);
        shares.settle(&mut changed);
        assert_eq!(std::mem::take(&mut changed), [3]);
        assert_eq!((shares.step(3).map(|step| step.now_s), shares.step(4)), (Some(2.0), None));
        shares.settle(&mut changed);
        assert!(changed.is_empty());
    }

    #[test]
    fn a_link_that_fails_cuts_its_users_and_frees_the_others() {
        let mut shares = Shares::new(&[10.0, 10.0], 1.0);
        let mut changed = Vec::new();
        shares.add(0, job(1.0, &[(0, 10.0), (1, 10.0)]));
        shares.add(1, job(1.0, &[(1, 10.0)]));
        shares.settle(&mut changed);
        shares.set_capacity(0, 0.0);
        changed.clear();
        shares.settle(&mut changed);
        assert_eq!(changed, [0, 1]);
        assert_eq!(shares.step(0).map(|step| step.now_s), Some(f64::INFINITY));
        assert_eq!(shares.step(1).map(|step| step.slowdown()), Some(1.0));
        shares.set_capacity(0, 10.0);
        shares.settle(&mut changed);
        assert_eq!(shares.step(0).map(|step| step.now_s), Some(3.0));
    }

    /// One event: a job comes into the slot, or goes from it, or a link changes.
    #[derive(Clone, Debug)]
    enum Event {
        Come(u32, Demand),
        Go(u32),
        Link(u32, f64),
    }

    const LINKS: u32 = 6;

    fn demand() -> impl Strategy<Value = Demand> {
        let bytes = prop::collection::btree_map(0..LINKS, prop_oneof![Just(10.0), 0.1f64..20.0], 0..4);
        let cap = prop_oneof![Just(None), (1.0f64..20.0).prop_map(Some)];
        (0.0f64..3.0, bytes, prop_oneof![Just(0.0), 0.0f64..1.0], cap, prop_oneof![Just(0.0), 0.0f64..0.1])
            .prop_map(|(compute_s, bytes, hidden, cap, latency_s)| Demand {
                compute_s,
                bytes: bytes.into_iter().collect(),
                hidden,
                cap,
                latency_s,
            })
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0u32..8, demand()).prop_map(|(slot, demand)| Event::Come(slot, demand)),
            2 => (0u32..8).prop_map(Event::Go),
            1 => (0..LINKS, prop_oneof![Just(0.0), 1.0f64..30.0]).prop_map(|(link, c)| Event::Link(link, c)),
        ]
    }

    fn near(a: f64, b: f64) -> bool {
        a == b || (a - b).abs() <= 1e-9 * b.abs()
    }

    proptest! {
        #[test]
        fn after_every_event_steps_are_those_of_everything_solved_at_once(
            events in prop::collection::vec((event(), any::<bool>()), 1..30),
            phase_overlap in prop_oneof![Just(0.0), Just(0.5), Just(1.0)],
        ) {
            let mut capacity = vec![10.0; LINKS as usize];
            let mut shares = Shares::new(&capacity, phase_overlap);
            let mut here: Vec<Option<Demand>> = vec![None; 8];
            let mut told: Vec<Option<Step>> = vec![None; 8];
            for (event, settle) in events {
                match event {
                    Event::Come(slot, demand) => {
                        shares.remove(slot);
                        shares.add(slot, demand.clone());
                        here[slot as usize] = Some(demand);
                    }
                    Event::Go(slot) => {
                        shares.remove(slot);
                        here[slot as usize] = None;
                    }
                    Event::Link(link, to) => {
                        shares.set_capacity(link, to);
                        capacity[link as usize] = to;
                    }
                }
                if !settle {
                    continue;
                }
                let mut changed = Vec::new();
                shares.settle(&mut changed);
                prop_assert!(changed.is_sorted_by(|a, b| a < b));
                for slot in changed {
                    told[slot as usize] = shares.step(slot);
                }
                let jobs: Vec<Demand> = here.iter().flatten().cloned().collect();
                let slots = (0..8u32).filter(|slot| here[*slot as usize].is_some());
                for (slot, want) in slots.zip(steps(&capacity, &jobs, phase_overlap)) {
                    let ours = shares.step(slot).unwrap();
                    prop_assert_eq!(told[slot as usize], Some(ours));
                    prop_assert!(near(ours.now_s, want.now_s), "slot {}: {:?} {:?}", slot, ours, want);
                    prop_assert!(near(ours.alone_s, want.alone_s));
                }
            }
        }
    }
}

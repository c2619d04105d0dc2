//! Conservative backfill over parts of GPUs: against a slow reference that tries every instant on every node, and by
//! what it promises: who comes later delays nobody.

use proptest::prelude::*;
use windtunnel::cluster::ClusterSpec;
use windtunnel::cluster::cards::LayoutChange;
use windtunnel::ids::{Id, JobId};
use windtunnel::scheduler::shared::{CoLocation, LayoutTimes};
use windtunnel::scheduler::{BackfillSpec, OrderSpec, PlacementSpec, PolicySpec};
use windtunnel::simulation::JobState;

use super::builders::{JobRow, cluster, gpu_node, job, play, policy, trace};
use super::differential::{Limits, case, config, dedicated, orders, placements};
use super::shared_gpus::{mig, shares, try_share, whole};

fn conservative(placement: PlacementSpec) -> PolicySpec {
    policy(OrderSpec::Submit, placement, BackfillSpec::Conservative { depth: None })
}

/// Thousandths of so many GPUs of one node, and CPUs, for exactly so long.
#[derive(Clone, Copy, Debug)]
struct Ask {
    submit: i64,
    run: i64,
    cpus: u32,
    cards: usize,
    milli: u32,
}

/// What a node has free.
#[derive(Clone, Debug)]
struct Node {
    cpus: u32,
    cards: Vec<u32>,
}

impl Node {
    /// The lowest cards with room, taken; nothing where there are too few.
    fn take(&mut self, ask: &Ask) -> Option<Vec<usize>> {
        let roomy = (0..self.cards.len()).filter(|card| self.cards[*card] >= ask.milli);
        let cards: Vec<usize> = roomy.take(ask.cards).collect();
        if self.cpus < ask.cpus || cards.len() < ask.cards {
            return None;
        }
        self.cpus -= ask.cpus;
        cards.iter().for_each(|card| self.cards[*card] -= ask.milli);
        Some(cards)
    }

    fn give_back(&mut self, ask: &Ask, cards: &[usize]) {
        self.cpus += ask.cpus;
        cards.iter().for_each(|card| self.cards[*card] += ask.milli);
    }
}

/// A job on a node: its number, the node, the cards, the end.
type Running = (usize, usize, Vec<usize>, i64);

/// The slow reference: one pool of equal nodes, first fit, all run to their limits.
struct Reference<'a> {
    asks: &'a [Ask],
    nodes: Vec<Node>,
    running: Vec<Running>,
    /// Start and node of each job, and the start that was planned for it first.
    starts: Vec<Option<(i64, usize)>>,
    first_plan: Vec<Option<i64>>,
}

impl Reference<'_> {
    /// Whether everybody who is planned on a node finds room at his instant, those of one instant in queue order.
    fn works(&self, node: usize, planned: &[(usize, i64)]) -> bool {
        let mut state = self.nodes[node].clone();
        let on_node = self.running.iter().filter(|running| running.1 == node);
        let mut held: Vec<(i64, usize, Vec<usize>)> =
            on_node.map(|(job, _, cards, end)| (*end, *job, cards.clone())).collect();
        let mut order = planned.to_vec();
        order.sort_by_key(|(_, from)| *from);
        for (job, from) in order {
            held.sort_by_key(|(end, ..)| *end);
            while held.first().is_some_and(|(end, ..)| *end <= from) {
                let (_, gone, cards) = held.remove(0);
                state.give_back(&self.asks[gone], &cards);
            }
            let Some(cards) = state.take(&self.asks[job]) else { return false };
            held.push((from + self.asks[job].run, job, cards));
        }
        true
    }

    fn pass(&mut self, waiting: &mut Vec<usize>, now: i64) {
        let mut planned: Vec<(usize, usize, i64)> = Vec::new();
        for job in waiting.iter().copied() {
            let ends = self.running.iter().map(|running| running.3);
            let others = planned.iter().flat_map(|(other, _, from)| [*from, from + self.asks[*other].run]);
            let mut instants: Vec<i64> = ends.chain(others).filter(|at| *at > now).chain([now]).collect();
            instants.sort_unstable();
            let with = |node: usize, at: i64| -> Vec<(usize, i64)> {
                let here = planned.iter().filter(|(_, other, _)| *other == node);
                here.map(|(job, _, from)| (*job, *from)).chain([(job, at)]).collect()
            };
            let places = instants.iter().flat_map(|at| (0..self.nodes.len()).map(move |node| (*at, node)));
            let (at, node) = places
                .into_iter()
                .find(|(at, node)| self.works(*node, &with(*node, *at)))
                .expect("when all has ended the job fits");
            self.first_plan[job].get_or_insert(at);
            planned.push((job, node, at));
        }
        for (job, node, _) in planned.into_iter().filter(|(.., at)| *at == now) {
            let cards = self.nodes[node].take(&self.asks[job]).expect("it was planned");
            self.running.push((job, node, cards, now + self.asks[job].run));
            self.starts[job] = Some((now, node));
            waiting.retain(|other| *other != job);
        }
    }

    fn run(asks: &[Ask], nodes: Vec<Node>) -> Reference<'_> {
        let none = vec![None; asks.len()];
        let mut all =
            Reference { asks, nodes, running: vec![], starts: none, first_plan: vec![None; asks.len()] };
        let (mut waiting, mut next) = (Vec::new(), 0);
        loop {
            let submit = asks.get(next).map(|ask| ask.submit);
            let end = all.running.iter().map(|running| running.3).min();
            let Some(now) = submit.into_iter().chain(end).min() else { return all };
            let (gone, rest): (Vec<Running>, Vec<Running>) =
                std::mem::take(&mut all.running).into_iter().partition(|running| running.3 <= now);
            all.running = rest;
            for (job, node, cards, _) in gone {
                all.nodes[node].give_back(&asks[job], &cards);
            }
            while asks.get(next).is_some_and(|ask| ask.submit <= now) {
                waiting.push(next);
                next += 1;
            }
            all.pass(&mut waiting, now);
        }
    }
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let milli = prop::sample::select(vec![1000, 700, 600, 500, 500, 400, 300, 250]);
    let gap = prop_oneof![2 => Just(0i64), 2 => 1i64..5, 1 => 5i64..20];
    let row = (gap, 1i64..15, 1u32..=4, 0usize..=2, milli);
    prop::collection::vec(row, 1..14).prop_map(|rows| {
        let mut submit = 0;
        let ask = |(gap, run, cpus, cards, milli)| {
            submit += gap;
            Ask { submit, run, cpus, cards, milli }
        };
        rows.into_iter().map(ask).collect()
    })
}

fn row_of(ask: &Ask) -> JobRow {
    let row = job().at_s(ask.submit).run_s(ask.run).cpus(ask.cpus);
    match (ask.cards, ask.milli) {
        (0, _) => row,
        (cards, 1000) => row.gpus(cards as u32),
        (cards, milli) => row.gpus(cards as u32).gpu_milli(milli),
    }
}

fn pool(count: u32, gpus: u32, gpu: &str) -> ClusterSpec {
    let mut node = gpu_node(gpus);
    node.capacity.cpus = 8;
    node.capacity.mem_mb = 12;
    node.gpu_type = Some(gpu.to_owned());
    cluster().pool("main", count, node).build()
}

/// Whole GPUs and instances of the sizes of an H100, or whole GPUs and shares: (gap, row).
fn rows(most: usize) -> impl Strategy<Value = Vec<(JobRow, JobRow)>> {
    let profile = prop::sample::select(vec!["1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "1g.20gb"]);
    let ask = prop_oneof![
        1 => (1u32..=2).prop_map(|gpus| (job().gpus(gpus), job().gpus(gpus))),
        4 => (profile, 1u32..1000).prop_map(|(profile, milli)| (job().mig(profile), job().gpu_milli(milli))),
    ];
    let gap = prop_oneof![2 => Just(0i64), 2 => 1i64..5, 1 => 5i64..20];
    prop::collection::vec((gap, 1i64..15, 1u32..=4, ask), 1..most).prop_map(|rows| {
        let mut at = 0;
        let row = |(gap, run, cpus, (mig, share)): (i64, i64, u32, (JobRow, JobRow))| {
            at += gap;
            (mig.at_s(at).run_s(run).cpus(cpus), share.at_s(at).run_s(run).cpus(cpus))
        };
        rows.into_iter().map(row).collect()
    })
}

proptest! {
    #![proptest_config(config(600))]

    /// The same starts on the same nodes as when every instant is tried on every node; no job starts later than it
    /// was planned first.
    #[test]
    fn parts_of_gpus_get_the_schedule_of_the_slow_reference(asks in asks(), count in 1u32..=3, gpus in 2u32..=3) {
        let node = Node { cpus: 8, cards: vec![1000; gpus as usize] };
        let reference = Reference::run(&asks, vec![node; count as usize]);
        let workload = trace().jobs(asks.iter().map(row_of)).build();
        let cluster = pool(count, gpus, "H100-80GB-SXM");
        let setup = shares(&cluster, CoLocation::FixedShare);
        let run = try_share(&workload, &cluster, &setup, &conservative(PlacementSpec::FirstFit)).unwrap();
        for (at, start) in reference.starts.iter().enumerate() {
            let (start, node) = start.unwrap();
            prop_assert_eq!(run.records()[JobId(at as u32)].start.micros(), start * 1_000_000, "job {}", at);
            let held = run.outcome.allocations.iter().find(|(job, _)| job.index() == at).unwrap();
            prop_assert_eq!(held.1[0].node.index(), node, "node of job {}", at);
            prop_assert!(start <= reference.first_plan[at].unwrap(), "job {} later than planned", at);
        }
    }

    /// Whole GPUs that are given out as shares or as cards get the schedule of whole GPUs.
    #[test]
    fn whole_gpus_get_the_conservative_schedule(
        case in prop_oneof![case(Limits::Any, 50), dedicated(Limits::Any, 50)], order in orders(),
        place in placements(), depth in prop::option::of(1u32..6), is_shared in prop::bool::ANY,
    ) {
        let workload = trace().jobs(case.rows.iter().cloned()).build();
        let spec = policy(order, place, BackfillSpec::Conservative { depth });
        let classic = play(&workload, &case.cluster, &spec);
        let setup = if is_shared {
            shares(&case.cluster, CoLocation::FixedShare)
        } else {
            whole(&case.cluster)
        };
        let shared = try_share(&workload, &case.cluster, &setup, &spec).unwrap();
        for (job, record) in classic.records().iter_ids() {
            prop_assert_eq!(shared.records()[job], *record, "job {} under {:?}", job.0, spec);
        }
    }
}

proptest! {
    // Plans over instances are the dearest to make.
    #![proptest_config(config(200))]

    /// Who comes later delays nobody: the jobs that came first start as if there were no others.
    #[test]
    fn later_jobs_delay_nobody(
        rows in rows(16), keep in 1usize..16, mode in 0usize..4, count in 1u32..=2,
        place in prop::sample::select(vec![
            PlacementSpec::FirstFit, PlacementSpec::BestFit, PlacementSpec::Spread, PlacementSpec::MigBestFit,
        ]),
    ) {
        let gpu = "H100-80GB-SXM";
        let cluster = pool(count, 3, gpu);
        let layout = ["3g.40gb", "1g.10gb", "2g.20gb"];
        let mut setup = match mode {
            0 => shares(&cluster, CoLocation::FixedShare),
            1 => mig(&cluster, gpu, &layout, LayoutChange::Never),
            2 => mig(&cluster, gpu, &layout, LayoutChange::OnDemand),
            _ => mig(&cluster, gpu, &[], LayoutChange::OnDemand),
        };
        // Nobody is held up by changes of layouts, so that all run to their limits.
        setup.times[0] = LayoutTimes::default();
        let pick = |(cut, share): &(JobRow, JobRow)| if mode == 0 { share.clone() } else { cut.clone() };
        let all = trace().jobs(rows.iter().map(pick)).build();
        let some = trace().jobs(rows.iter().take(keep).map(pick)).build();
        let spec = conservative(place);
        let (all, some) = (
            try_share(&all, &cluster, &setup, &spec).unwrap(),
            try_share(&some, &cluster, &setup, &spec).unwrap(),
        );
        for (job, record) in some.records().iter_ids() {
            prop_assert!(matches!(record.state, JobState::Completed | JobState::Refused));
            prop_assert_eq!(all.records()[job], *record, "job {}", job.0);
        }
    }
}

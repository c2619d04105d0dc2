//! GPUs that are shared: small examples, worked out on paper.

use windtunnel::cluster::cards::{CardPool, Device, LayoutChange, MigPool};
use windtunnel::cluster::mig::{Asked, Layout, SliceLaw, find_model};
use windtunnel::cluster::{CardMode, ClusterSpec};
use windtunnel::scheduler::shared::{
    ClassLaw, CoLocation, LayoutTimes, MeasuredOn, PairTable, SharedSetup, SpeedRules,
};
use windtunnel::scheduler::{BackfillSpec, OrderSpec, PlacementSpec, PolicySpec};
use windtunnel::simulation::{Hardware, JobState, RunError, RunOptions, simulate};
use windtunnel::time::SimDuration;
use windtunnel::workload::Workload;

use super::builders::{JobRow, Run, classic, cluster, gpu_node, named, policy, policy_of, trace};

/// Whole GPUs in every pool; jobs that run on a part of a GPU follow a law with three equal parts.
pub fn whole(spec: &ClusterSpec) -> SharedSetup {
    let pools = spec.pools.len();
    let law = ClassLaw { slice: SliceLaw::new(0.0, 0.6, 0.5).unwrap(), family: None };
    SharedSetup {
        cards: vec![
            CardPool {
                mode: CardMode::Whole,
                memory_mib: Some(80_000),
                equal_parts: None,
                vgpus: None
            };
            pools
        ],
        times: vec![LayoutTimes::default(); pools],
        speeds: SpeedRules {
            classes: Vec::new(),
            default: law,
            pools: vec![CoLocation::FixedShare; pools],
            pairs: PairTable { any: 1.47, ..PairTable::default() },
            measured_on: MeasuredOn::AsAsked,
        },
    }
}

/// Shares of GPUs in every pool.
pub fn shares(spec: &ClusterSpec, co_location: CoLocation) -> SharedSetup {
    let mut setup = whole(spec);
    for (cards, law) in setup.cards.iter_mut().zip(&mut setup.speeds.pools) {
        cards.mode = CardMode::Shares;
        *law = co_location;
    }
    setup
}

/// MIG on the GPUs of every pool; `layout` on each GPU first, none = MIG is off.
pub fn mig(spec: &ClusterSpec, gpu: &str, layout: &[&str], change: LayoutChange) -> SharedSetup {
    let model = find_model(gpu).unwrap();
    let asked: Vec<Asked> =
        layout.iter().map(|name| Asked { profile: model.find(name).unwrap(), start: None }).collect();
    let layout = (!asked.is_empty()).then(|| Layout::arrange(model, &asked).unwrap());
    let mut setup = whole(spec);
    for (pool, (cards, times)) in spec.pools.iter().zip(setup.cards.iter_mut().zip(&mut setup.times)) {
        let start = vec![layout.clone(); pool.node.capacity.gpus as usize];
        cards.mode = CardMode::Mig(MigPool { model, start, change, whole_node: false, by_memory: true });
        *times = LayoutTimes {
            per_instance: SimDuration::from_s(1),
            mode: SimDuration::from_s(3),
            node: SimDuration::from_s(240),
            keep: SimDuration::from_s(60),
        };
    }
    setup
}

/// Plays `workload` on shared GPUs, keeping what was held.
pub fn try_share<'w>(
    workload: &'w Workload,
    cluster: &ClusterSpec,
    setup: &SharedSetup,
    spec: &PolicySpec,
) -> Result<Run<'w>, RunError> {
    let options = RunOptions { keep_allocations: true, ..RunOptions::default() };
    let hardware = Hardware { cluster, sharing: Some(setup) };
    let outcome = simulate(workload, hardware, policy_of(spec), &options)?;
    Ok(Run { workload, outcome })
}

fn share<'w>(
    workload: &'w Workload,
    cluster: &ClusterSpec,
    setup: &SharedSetup,
    spec: &PolicySpec,
) -> Run<'w> {
    try_share(workload, cluster, setup, spec).unwrap_or_else(|error| panic!("{error}"))
}

fn placed(placement: PlacementSpec) -> PolicySpec {
    policy(OrderSpec::Submit, placement, BackfillSpec::Easy)
}

fn nodes(count: u32, gpus: u32) -> ClusterSpec {
    cluster().pool("main", count, gpu_node(gpus)).build()
}

fn h100s(count: u32, gpus: u32) -> ClusterSpec {
    let mut node = gpu_node(gpus);
    node.gpu_type = Some("H100-80GB-SXM".to_owned());
    cluster().pool("main", count, node).build()
}

/// What each job holds, in order of their starts: (node, card, first memory unit or thousandths).
fn devices(run: &Run<'_>) -> Vec<(u32, u8, u16)> {
    let facts = run.outcome.shared.as_ref().unwrap();
    let grants = facts.holdings.iter().flat_map(|held| &held.allocation);
    let of = |device: &Device| match *device {
        Device::Whole { card } => (card, 1000),
        Device::Share { card, milli, .. } => (card, milli),
        Device::Instance { card, placement } => (card, u16::from(placement.start)),
    };
    grants.flat_map(|g| g.gpus.iter().map(|d| (g.node.0, of(d).0, of(d).1))).collect()
}

fn slot(name: &str, milli: u32) -> JobRow {
    named(name).gpu_milli(milli)
}

#[test]
fn shares_of_one_gpu_run_side_by_side_and_no_more_than_fit() {
    let workload = trace()
        .job(slot("a", 500).run_s(100))
        .job(slot("b", 500).run_s(50))
        .job(slot("c", 300).run_s(10))
        .job(named("d").at_s(60).gpus(1).run_s(10))
        .build();
    let spec = nodes(1, 1);
    let run = share(&workload, &spec, &shares(&spec, CoLocation::FixedShare), &classic("easy"));
    // c takes b's place at 50; d needs the whole GPU and waits for a.
    assert_eq!(run.starts_s(["a", "b", "c", "d"]), [0, 0, 50, 100]);
    assert!(run.outcome.hours.pools[windtunnel::ids::PoolId(0)].check());
}

#[test]
fn speeds_change_exactly_when_neighbours_come_and_go() {
    // Each uses 0.6 of the GPU: together 1.2, so both run at 1/1.2 = 0.833333333.
    let workload = trace().job(slot("a", 500).run_s(100)).job(slot("b", 500).at_s(50).run_s(100)).build();
    let spec = nodes(1, 1);
    let mut setup = shares(&spec, CoLocation::Saturation { loss: 0.0 });
    setup.speeds.measured_on = MeasuredOn::WholeGpu;
    let run = share(&workload, &spec, &setup, &classic("fcfs"));
    let end = |name| {
        run.outcome.records[workload.jobs.ids().find(|id| workload.job_name(*id) == name).unwrap()].end
    };
    // a: 50 s alone, then 50 s of work at 0.833333333, rounded up to the next microsecond. b: the same
    // span at that speed, and the rest alone.
    assert_eq!(end("a").micros(), 110_000_001);
    assert_eq!(end("b").micros(), 160_000_001);
    let hours = run.outcome.hours.total().gpu;
    assert!(hours.neighbours > 0 && hours.sum() == hours.installed);
}

#[test]
fn a_share_is_faster_on_a_whole_gpu_and_the_rest_is_slack() {
    // On a share of 300 of 1000: compute 0.6 / 0.3 = 2 times as long as on the whole GPU.
    let workload = trace().job(slot("a", 300).run_s(100)).build();
    let spec = nodes(1, 1);
    let run = share(&workload, &spec, &whole(&spec), &classic("fcfs"));
    assert_eq!(run.outcome.records[windtunnel::ids::JobId(0)].end.micros(), 50_000_000);
    let hours = run.outcome.hours.total().gpu;
    assert_eq!(hours.slack * 3, hours.productive * 7);
}

#[test]
fn what_no_node_can_ever_hold_is_refused_with_the_reason() {
    let workload = trace()
        .job(named("profile").mig("3g.20gb"))
        .job(named("layout").mig("4g.40gb"))
        .job(named("memory").mig("1g.10gb").gpu_mem_mib(12_000))
        .job(named("whole").gpus(1))
        .job(named("most").gpus(1).gpu_mem_mib(200_000))
        .job(named("fits").gpus(1).gpu_mem_mib(12_000))
        .build();
    let spec = h100s(2, 2);
    let layout = ["3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"];
    let setup = mig(&spec, "H100-80GB-SXM", &layout, LayoutChange::Never);
    let run = share(&workload, &spec, &setup, &classic("easy"));
    let told: Vec<&str> = run.outcome.refused.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!(
        told,
        [
            "asks for MIG profile 3g.20gb, which H100-80GB-SXM does not have",
            "asks for MIG profile 4g.40gb; no GPU of node is cut so, and layouts do not change",
            "needs 12000 MiB of GPU memory; an instance 1g.10gb has 9984",
            "needs 1 GPUs without instances on a node; node cannot give them",
            "needs 200000 MiB of GPU memory; H100-80GB-SXM has 80000",
        ]
    );
    assert_eq!(run.state("fits"), JobState::Completed);
}

#[test]
fn a_static_layout_gives_the_smallest_instance_that_fits() {
    let ask = |name: &str, mib| named(name).gpus(1).gpu_mem_mib(mib).run_s(10);
    let workload = trace()
        .job(ask("small", 8_000))
        .job(ask("next", 8_000))
        .job(ask("third", 8_000))
        .job(ask("large", 30_000))
        .job(ask("fourth", 8_000))
        .build();
    let spec = h100s(1, 1);
    let layout = ["3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"];
    let setup = mig(&spec, "H100-80GB-SXM", &layout, LayoutChange::Never);
    let run = share(&workload, &spec, &setup, &placed(PlacementSpec::FirstFit));
    let starts = run.starts_s(["small", "next", "third", "large"]);
    assert_eq!(starts, [0, 0, 0, 0], "1g, 1g, 2g for want of a 1g, 3g");
    // On 60 of 132 multiprocessors `large` takes 0.6 / (60 / 132) times its 10 s.
    assert_eq!(run.outcome.records[windtunnel::ids::JobId(4)].start.micros(), 13_200_000);
}

#[test]
fn instances_are_made_on_demand_kept_for_a_while_and_others_go_on() {
    let workload = trace()
        .job(named("long").mig("3g.40gb").run_s(500))
        .job(named("a").mig("1g.10gb").run_s(10))
        .job(named("b").at_s(30).mig("4g.40gb").run_s(10))
        .build();
    let spec = h100s(1, 1);
    let setup = mig(&spec, "H100-80GB-SXM", &[], LayoutChange::OnDemand);
    let run = share(&workload, &spec, &setup, &placed(PlacementSpec::MigBestFit));
    // MIG goes on for 3 s and one instance takes 1 s; a's is one more, at the same instant.
    assert_eq!(run.starts_s(["long", "a"]), [0, 0], "a start is when devices are taken");
    assert_eq!(run.works_s(["long", "a"]), [4, 1]);
    // 4g begins at 0 only. The 3g has the upper half where it strands least; a's instance (ended at 11) is
    // kept until 71; then 1 s to destroy and 1 s to create.
    assert_eq!((run.start_s("b"), run.works_s(["b"])), (Some(71), [73]));
    assert_eq!(run.outcome.records[windtunnel::ids::JobId(0)].end.micros(), 504_000_000);
    let facts = run.outcome.shared.as_ref().unwrap();
    assert_eq!((facts.repartitions, facts.instances_made, facts.instances_destroyed), (3, 3, 1));
    let hours = run.outcome.hours.total().gpu;
    // Held before they run: 3g for 4 s, 1g for 1 s, 4g for 2 s, in sevenths of a GPU.
    assert_eq!(hours.restart, i128::from(3 * 4 + 1 + 4 * 2) * 3_000 * 1_000_000);
    assert_eq!(hours.sum(), hours.installed);
}

#[test]
fn a_planner_cuts_for_the_queue() {
    let jobs = (0..7).map(|n| named(&format!("j{n}")).mig("1g.10gb").run_s(100));
    let workload = trace().jobs(jobs).job(named("w").at_s(1).gpus(1).run_s(10)).build();
    let spec = h100s(1, 1);
    let mut setup = mig(&spec, "H100-80GB-SXM", &[], LayoutChange::Planned);
    let run = share(&workload, &spec, &setup, &classic("fcfs"));
    // MIG on, seven instances: 10 s; then all seven, then the whole GPU: 7 to destroy, MIG off.
    assert_eq!(run.works_s(["j0", "j6", "w"]), [10, 10, 120]);
    if let CardMode::Mig(mig) = &mut setup.cards[0].mode {
        mig.whole_node = true;
    }
    let run = share(&workload, &spec, &setup, &classic("fcfs"));
    assert_eq!(run.starts_s(["j0", "j6"]), [240, 240]);
}

#[test]
fn easy_keeps_a_gpu_for_its_head() {
    let workload = trace()
        .job(named("a").mig("3g.40gb").run_s(100))
        .job(named("head").at_s(1).gpus(1).run_s(10))
        .job(named("short").at_s(2).mig("1g.10gb").run_s(50))
        .job(named("long").at_s(3).mig("1g.10gb").run_s(200))
        .build();
    let spec = h100s(1, 1);
    let mut setup = mig(&spec, "H100-80GB-SXM", &[], LayoutChange::OnDemand);
    setup.times[0] = LayoutTimes::default();
    let run = share(&workload, &spec, &setup, &classic("easy"));
    assert_eq!(run.starts_s(["a", "head", "short", "long"]), [0, 100, 2, 110]);
    let run = share(&workload, &spec, &setup, &classic("greedy"));
    assert_eq!(run.starts_s(["short", "long", "head"]), [2, 3, 203]);
}

/// Two nodes of two GPUs. On node 0 a share of 600 sits on GPU 0; on node 1 a job has GPU 0 whole.
#[test]
fn placements_of_a_share_by_hand() {
    let place = |placement, milli| {
        let workload = trace()
            .job(slot("share", 600).run_s(100))
            .job(named("fill").gpus(1).cpus(60).run_s(100))
            .job(slot("asked", milli).at_s(1).run_s(10))
            .build();
        let spec = nodes(2, 2);
        // `fill` needs more CPUs than `share` leaves: it goes to node 1 under every placement.
        let mut rows = spec.clone();
        rows.pools[0].node.capacity.cpus = 60;
        let setup = shares(&rows, CoLocation::FixedShare);
        let run = share(&workload, &rows, &setup, &placed(placement));
        devices(&run)[2]
    };
    for placement in [
        PlacementSpec::FirstFit,
        PlacementSpec::BestFit,
        PlacementSpec::GpuPacking,
        PlacementSpec::GpuClustering,
        PlacementSpec::Fgd,
    ] {
        assert_eq!(place(placement, 400), (0, 0, 400), "{placement:?} fills the GPU in use");
    }
    assert_eq!(place(PlacementSpec::Spread, 400), (0, 1, 400), "the emptiest node and GPU");
    // 1.0 GPU free on node 1 without CPUs, 1.4 on node 0: the product is the same rule as published.
    assert_eq!(place(PlacementSpec::DotProduct, 400).0, 0, "node 1 has no CPU left");
    assert_eq!(place(PlacementSpec::FirstFit, 500), (0, 1, 500), "400 are left on GPU 0");
}

#[test]
fn least_stranding_keeps_room_for_the_large() {
    let start = |placement| {
        let workload = trace().job(named("a").mig("1g.10gb").run_s(10)).build();
        let spec = h100s(1, 2);
        let setup = mig(&spec, "H100-80GB-SXM", &[], LayoutChange::OnDemand);
        devices(&share(&workload, &spec, &setup, &placed(placement)))[0]
    };
    assert_eq!(start(PlacementSpec::FirstFit), (0, 0, 0), "at 0 no 4g can be made any more");
    // At 6 the last memory unit could not be used; at 4 a double-memory 1g still can begin at 6.
    assert_eq!(start(PlacementSpec::MigBestFit), (0, 0, 4), "4g and everything below it can still be made");
}

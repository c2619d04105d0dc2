//! What holds for every workload on shared GPUs; on whole GPUs, the schedule of the classic engine.

use proptest::prelude::*;
use windtunnel::cluster::cards::{LayoutChange, referee};
use windtunnel::cluster::{CardMode, ClusterSpec};
use windtunnel::ids::PoolId;
use windtunnel::report;
use windtunnel::scheduler::shared::{CoLocation, SharedSetup};
use windtunnel::scheduler::{BackfillSpec, PlacementSpec};
use windtunnel::simulation::JobState;
use windtunnel::time::SimTime;

use super::builders::{JobRow, cluster, gpu_node, job, play, policy, trace};
use super::differential::{Limits, case, config, dedicated, orders, placements};
use super::shared_gpus::{mig, shares, try_share, whole};

fn backfills() -> impl Strategy<Value = BackfillSpec> {
    prop::sample::select(vec![BackfillSpec::None, BackfillSpec::Greedy, BackfillSpec::Easy])
}

fn all_placements() -> impl Strategy<Value = PlacementSpec> {
    prop::sample::select(vec![
        PlacementSpec::FirstFit,
        PlacementSpec::BestFit,
        PlacementSpec::Spread,
        PlacementSpec::DotProduct,
        PlacementSpec::GpuClustering,
        PlacementSpec::GpuPacking,
        PlacementSpec::Fgd,
        PlacementSpec::MigBestFit,
    ])
}

/// Whole GPUs, shares, instances by profile, by share and by memory; limits below and above the run time.
fn row() -> impl Strategy<Value = (i64, JobRow)> {
    let ask = prop_oneof![
        2 => (1u32..=3).prop_map(|gpus| job().gpus(gpus)),
        3 => (1u32..1000).prop_map(|milli| job().gpu_milli(milli)),
        1 => (2u32..=3, 100u32..600).prop_map(|(gpus, milli)| job().gpus(gpus).gpu_milli(milli)),
        3 => prop::sample::select(vec!["1g.6gb", "2g.12gb", "4g.24gb", "1g.10gb", "3g.40gb", "7g.80gb"])
            .prop_map(|profile| job().mig(profile)),
        3 => (1u64..90_000).prop_map(|mib| job().gpus(1).gpu_mem_mib(mib)),
        1 => (1u32..=2).prop_map(|nodes| job().nodes(nodes).gpus(2)),
        1 => (1u32..=2).prop_map(|nodes| job().nodes(nodes).exclusive()),
        1 => Just(job()),
    ];
    let gap = prop_oneof![3 => Just(0i64), 3 => 1i64..4, 1 => 4i64..90];
    let limit = prop_oneof![1 => Just(None), 2 => (1i64..90).prop_map(Some)];
    let cancel = prop_oneof![9 => Just(None), 1 => (0i64..80).prop_map(Some)];
    (gap, 1i64..60, limit, ask, 1u32..=6, 0u64..=6, cancel).prop_map(
        |(gap, run, limit, ask, cpus, mem, cancel)| {
            let mut row = ask.run_s(run).cpus(cpus).mem_mb(mem);
            row.limit_us = limit.map(|s| s * 1_000_000);
            row.cancel_us = cancel.map(|s| s * 1_000_000);
            (gap, row)
        },
    )
}

fn rows(most: usize) -> impl Strategy<Value = Vec<JobRow>> {
    prop::collection::vec(row(), 1..most).prop_map(|rows| {
        let mut now = 0;
        let at = |(gap, row): (i64, JobRow)| {
            now += gap;
            row.at_s(now)
        };
        rows.into_iter().map(at).collect()
    })
}

/// A pool of A30 (or H100) nodes, and how their GPUs are given out.
fn hardware() -> impl Strategy<Value = (ClusterSpec, SharedSetup)> {
    let gpu = prop::sample::select(vec!["A30-24GB", "H100-80GB-SXM"]);
    (1u32..=3, 1u32..=3, gpu, 0usize..9).prop_map(|(count, gpus, gpu, mode)| {
        let mut node = gpu_node(gpus);
        node.capacity.cpus = 12;
        node.capacity.mem_mb = 12;
        node.gpu_type = Some(gpu.to_owned());
        let spec = cluster().pool("main", count, node).build();
        let layout: &[&str] =
            if gpu == "A30-24GB" { &["2g.12gb", "1g.6gb"] } else { &["3g.40gb", "1g.10gb", "2g.20gb"] };
        let mut setup = match mode {
            0 => whole(&spec),
            1 => shares(&spec, CoLocation::FixedShare),
            2 => shares(&spec, CoLocation::Saturation { loss: 0.05 }),
            3 => shares(&spec, CoLocation::Pairs),
            4 => mig(&spec, gpu, layout, LayoutChange::Never),
            5 => mig(&spec, gpu, &[], LayoutChange::OnDemand),
            6 => mig(&spec, gpu, layout, LayoutChange::OnDemand),
            _ => mig(&spec, gpu, layout, LayoutChange::Planned),
        };
        if let (8, CardMode::Mig(mig)) = (mode, &mut setup.cards[0].mode) {
            mig.whole_node = true;
        }
        (spec, setup)
    })
}

/// Node, GPUs, CPUs, memory.
type Held = (u32, u32, u32, u64);

proptest! {
    #![proptest_config(config(1000))]

    /// No share or instance is held twice, nothing is cut illegally, all is given back, every job ends, and
    /// the hours sum to what is installed and to what was held.
    #[test]
    fn shared_gpus_are_never_given_twice(
        rows in rows(40), (spec, setup) in hardware(), place in all_placements(), backfill in backfills(),
        order in orders(), host in prop::option::weighted(0.4, 1u32..=2), tenants in prop::collection::vec(0usize..3, 40),
    ) {
        let (mut spec, mut rows) = (spec, rows);
        spec.pools[0].dedicated = host;
        for (row, tenant) in rows.iter_mut().zip(tenants) {
            row.tenant = [None, Some("a"), Some("b")][tenant].map(str::to_owned);
        }
        let workload = trace().jobs(rows).build();
        let run = match try_share(&workload, &spec, &setup, &policy(order, place, backfill)) {
            Ok(run) => run,
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let outcome = &run.outcome;
        for (job, record) in outcome.records.iter_ids() {
            match record.state {
                JobState::Completed => prop_assert!(record.end > record.start, "{}", job.0),
                JobState::Refused => prop_assert!(record.start == SimTime::NEVER),
                JobState::Cancelled => prop_assert!(workload.extras_of(job).is_some()),
                other => prop_assert!(false, "job {} is {:?}", job.0, other),
            }
        }
        let held = report::cards_held(&workload, outcome).unwrap();
        referee::check(&spec, &setup.cards, &held).map_err(|v| TestCaseError::fail(v.to_string()))?;
        let hours = outcome.hours.pools[PoolId(0)];
        prop_assert!(hours.check(), "{:?}", hours);
        for amount in [
            hours.gpu.productive, hours.gpu.neighbours, hours.gpu.slack, hours.gpu.stranded,
            hours.gpu.held_idle, hours.gpu.startup, hours.gpu.idle, hours.gpu.idle_waiting.sum(),
        ] {
            prop_assert!(amount >= 0, "{:?}", hours);
        }
        let units = |held: &referee::CardsHeld| -> i128 {
            let devices = held.grants.iter().flat_map(|grant| &grant.gpus);
            let sum: u32 = devices.map(|device| setup.cards[0].units(device)).sum();
            i128::from(sum) * i128::from(held.end.since(held.start).micros())
        };
        let sum: i128 = held.iter().map(units).sum();
        let booked = hours.gpu.allocated() + hours.gpu.startup;
        let is_planned = setup.cards[0].mig().is_some_and(|mig| mig.change == LayoutChange::Planned);
        prop_assert!(if is_planned { booked >= sum } else { booked == sum }, "{} {}", booked, sum);
    }

    /// Where GPUs are whole, the engine for shared GPUs makes the classic schedule.
    #[test]
    fn whole_gpus_get_the_classic_schedule(
        case in prop_oneof![case(Limits::Any, 50), dedicated(Limits::Any, 50)], order in orders(),
        place in placements(), backfill in backfills(),
    ) {
        let workload = trace().jobs(case.rows.iter().cloned()).build();
        let spec = policy(order, place, backfill);
        let classic = play(&workload, &case.cluster, &spec);
        let shared = try_share(&workload, &case.cluster, &whole(&case.cluster), &spec).unwrap();
        for (job, record) in classic.records().iter_ids() {
            prop_assert_eq!(shared.records()[job], *record, "job {} under {:?}", job.0, spec);
        }
        let nodes = |run: &super::builders::Run<'_>| -> Vec<(u32, Vec<Held>)> {
            let grants = run.outcome.allocations.iter().map(|(job, allocation)| {
                let mut rows: Vec<_> =
                    allocation.iter().map(|g| (g.node.0, g.gpus.count_ones(), g.cpus, g.mem_mb)).collect();
                rows.sort_unstable();
                (job.0, rows)
            });
            grants.collect()
        };
        prop_assert_eq!(nodes(&classic), nodes(&shared));
    }
}

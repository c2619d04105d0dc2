//! Thousands of random workloads and clusters: the engine and the slow reference give every job the
//! same start, the same nodes and the same GPUs.
//!
//! Workloads are hostile on purpose: equal instants, limits below the run time (overdue expectations),
//! sub-second times, jobs as big as a pool, deep queues, withdrawn jobs, pools of
//! different nodes.

use proptest::prelude::*;
use windtunnel::cluster::{Amounts, ClusterSpec};
use windtunnel::scheduler::{BackfillSpec, OrderSpec, PlacementSpec, PolicySpec};

use super::builders::{JobRow, cluster, gpu_node, job, play, policy, trace};
use super::reference::{self, Started};

/// Rows in submit order and the cluster that they meet.
#[derive(Clone, Debug)]
pub struct Case {
    pub rows: Vec<JobRow>,
    pub cluster: ClusterSpec,
}

/// How the times of a case are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// Below, equal to and above the run time.
    Any,
    /// Equal to the run time.
    Exact,
}

pub fn pools() -> impl Strategy<Value = ClusterSpec> {
    let pool = (1u32..=5, 2u32..=8, 0u32..=4, 1u64..=4, prop::bool::ANY);
    prop::collection::vec(pool, 1..=3).prop_map(|pools| {
        let mut built = cluster();
        for (at, (count, cpus, gpus, mem, second_type)) in pools.into_iter().enumerate() {
            let mut node = gpu_node(gpus);
            node.capacity = Amounts { cpus: cpus.max(gpus), gpus, mem_mb: mem * 4 };
            node.gpu_type = (gpus > 0).then(|| if second_type { "b" } else { "a" }.to_owned());
            built = built.pool(&format!("pool-{at}"), count, node);
        }
        built.build()
    })
}

/// One job; the gap is the time since the row before.
fn row(limits: Limits) -> impl Strategy<Value = (i64, JobRow)> {
    let gap = prop_oneof![4 => Just(0i64), 4 => 1i64..4, 1 => 4i64..30].prop_map(|s| s * 500_000);
    let run = prop_oneof![3 => 1i64..6, 2 => 6i64..40].prop_map(|s| s * 500_000);
    let limit = match limits {
        Limits::Exact => Just(None).boxed(),
        Limits::Any => prop_oneof![
            2 => Just(None),
            3 => (1i64..60).prop_map(|s| Some(s * 500_000)),
            1 => (1i64..9_000_000).prop_map(Some)
        ]
        .boxed(),
    };
    let ask = prop_oneof![
        // GPUs on as many nodes as they need.
        3 => (1u32..=9).prop_map(|gpus| job().gpus(gpus).cpus(gpus)),
        // Nodes with uneven shares.
        3 => (1u32..=4, 0u32..=9, 1u32..=12).prop_map(|(n, gpus, cpus)| job().nodes(n).gpus(gpus).cpus(cpus)),
        // CPUs only.
        3 => (1u32..=20).prop_map(|cpus| job().cpus(cpus)),
        // Whole nodes.
        1 => (1u32..=3).prop_map(|n| job().nodes(n).exclusive())
    ];
    let type_of = prop_oneof![6 => Just(None), 1 => Just(Some("a")), 1 => Just(Some("b"))];
    let cancel = match limits {
        Limits::Exact => Just(None).boxed(),
        Limits::Any => prop_oneof![9 => Just(None), 1 => (0i64..80).prop_map(|s| Some(s * 500_000))].boxed(),
    };
    (gap, run, limit, ask, 0u64..=6, 0i64..4, type_of, cancel).prop_map(
        |(gap, run, limit, ask, mem, priority, gpu_type, cancel)| {
            let mut row = ask.run_us(run).mem_mb(mem).priority(priority);
            row.limit_us = limit;
            row.cancel_us = cancel;
            row.gpu_types = gpu_type.into_iter().map(str::to_owned).collect();
            (gap, row)
        },
    )
}

pub fn rows(limits: Limits, most: usize) -> impl Strategy<Value = Vec<JobRow>> {
    prop::collection::vec(row(limits), 1..most).prop_map(|rows| {
        let mut now = 0;
        let mut placed = Vec::with_capacity(rows.len());
        for (gap, row) in rows {
            now += gap;
            placed.push(row.at_us(now));
        }
        placed
    })
}

pub fn case(limits: Limits, most: usize) -> impl Strategy<Value = Case> {
    (rows(limits, most), pools()).prop_map(|(rows, cluster)| Case { rows, cluster })
}

pub fn placements() -> impl Strategy<Value = PlacementSpec> {
    prop::sample::select(vec![PlacementSpec::FirstFit, PlacementSpec::BestFit, PlacementSpec::Spread])
}

pub fn orders() -> impl Strategy<Value = OrderSpec> {
    prop::sample::select(vec![
        OrderSpec::Submit,
        OrderSpec::Submit,
        OrderSpec::ShortestLimit,
        OrderSpec::LongestLimit,
        OrderSpec::Priority,
        OrderSpec::Expression("age_s / limit_s".to_owned()),
        OrderSpec::Expression("limit_s * 2 - submit_s".to_owned()),
    ])
}

/// Some pools with hosts of one to three nodes, each for one tenant at a time; jobs of three tenants and of none.
pub fn dedicated(limits: Limits, most: usize) -> impl Strategy<Value = Case> {
    let hosts = prop::collection::vec(prop::option::weighted(0.8, 1u32..=3), 3);
    let tenants = prop::collection::vec(0usize..4, most);
    (case(limits, most), hosts, tenants).prop_map(|(mut case, hosts, tenants)| {
        for (pool, host) in case.cluster.pools.iter_mut().zip(hosts) {
            pool.dedicated = host;
        }
        for (row, tenant) in case.rows.iter_mut().zip(tenants) {
            row.tenant = [None, Some("a"), Some("b"), Some("c")][tenant].map(str::to_owned);
        }
        case
    })
}

/// The engine's schedule in the reference's terms.
pub fn schedule(case: &Case, spec: &PolicySpec) -> Vec<Option<Started>> {
    let workload = trace().jobs(case.rows.iter().cloned()).build();
    let run = play(&workload, &case.cluster, spec);
    let mut started = vec![None; case.rows.len()];
    for (job, allocation) in &run.outcome.allocations {
        let mut grants: Vec<(usize, Amounts, u64)> =
            allocation.iter().map(|g| (g.node.0 as usize, g.amounts(), g.gpus)).collect();
        grants.sort_by_key(|(node, _, _)| *node);
        let start_us = run.records()[*job].start.micros();
        started[job.0 as usize] = Some(Started { start_us, grants });
    }
    started
}

fn same(case: &Case, spec: &PolicySpec) -> Result<(), TestCaseError> {
    let expected = reference::play(&case.rows, &case.cluster, spec);
    let got = schedule(case, spec);
    for (at, (got, expected)) in got.iter().zip(&expected.started).enumerate() {
        prop_assert_eq!(got, expected, "job {} under {:?}", at, spec);
    }
    Ok(())
}

/// At least so many cases; more with `PROPTEST_CASES`.
pub fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(cases), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn blocking_orders_equal_the_reference(
        case in case(Limits::Any, 50), order in orders(), place in placements(),
    ) {
        same(&case, &policy(order, place, BackfillSpec::None))?;
    }

    #[test]
    fn greedy_equals_the_reference(case in case(Limits::Any, 50), order in orders(), place in placements()) {
        same(&case, &policy(order, place, BackfillSpec::Greedy))?;
    }

    #[test]
    fn easy_equals_the_reference(case in case(Limits::Any, 50), order in orders(), place in placements()) {
        same(&case, &policy(order, place, BackfillSpec::Easy))?;
    }

    #[test]
    fn easy_equals_the_reference_with_exact_limits(case in case(Limits::Exact, 50), place in placements()) {
        same(&case, &policy(OrderSpec::Submit, place, BackfillSpec::Easy))?;
    }

    #[test]
    fn conservative_equals_the_reference(
        case in case(Limits::Any, 30), order in orders(), place in placements(),
        depth in prop_oneof![2 => Just(None), 1 => (1u32..6).prop_map(Some)],
    ) {
        same(&case, &policy(order, place, BackfillSpec::Conservative { depth }))?;
    }

    #[test]
    fn dedicated_hosts_equal_the_reference(
        case in dedicated(Limits::Any, 40), order in orders(), place in placements(),
        backfill in prop::sample::select(vec![BackfillSpec::None, BackfillSpec::Greedy]),
    ) {
        same(&case, &policy(order, place, backfill))?;
    }

    #[test]
    fn easy_on_dedicated_hosts_equals_the_reference(
        case in dedicated(Limits::Any, 40), order in orders(), place in placements(),
    ) {
        same(&case, &policy(order, place, BackfillSpec::Easy))?;
    }

    #[test]
    fn conservative_on_dedicated_hosts_equals_the_reference(
        case in dedicated(Limits::Any, 25), order in orders(), place in placements(),
        depth in prop_oneof![2 => Just(None), 1 => (1u32..6).prop_map(Some)],
    ) {
        same(&case, &policy(order, place, BackfillSpec::Conservative { depth }))?;
    }
}

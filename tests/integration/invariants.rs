//! What holds for every workload, cluster and policy.

use proptest::prelude::*;
use rayon::prelude::*;
use windtunnel::cluster::referee::Held;
use windtunnel::cluster::{Allocation, Referee};
use windtunnel::ids::{Id, JobId, TenantId};
use windtunnel::scheduler::{BackfillSpec, OrderSpec, PlacementSpec, PolicySpec};
use windtunnel::simulation::meter::UNITS_PER_DEVICE;
use windtunnel::simulation::{JobRecord, JobState, Outcome};
use windtunnel::time::SimTime;

use super::builders::{JobRow, Run, classic, play, policy, trace};
use super::differential::{Case, Limits, case, config, placements, schedule};
use super::reference;

fn backfills() -> impl Strategy<Value = BackfillSpec> {
    prop::sample::select(vec![
        BackfillSpec::None,
        BackfillSpec::Greedy,
        BackfillSpec::Easy,
        BackfillSpec::Conservative { depth: None },
        BackfillSpec::Conservative { depth: Some(3) },
    ])
}

fn any_order() -> impl Strategy<Value = OrderSpec> {
    prop::sample::select(vec![
        OrderSpec::Submit,
        OrderSpec::ShortestLimit,
        OrderSpec::LongestLimit,
        OrderSpec::Priority,
        OrderSpec::Expression("age_s * cpus / limit_s - gpus".to_owned()),
    ])
}

fn any_policy() -> impl Strategy<Value = PolicySpec> {
    (any_order(), placements(), backfills())
        .prop_map(|(order, place, backfill)| policy(order, place, backfill))
}

/// Rows some of which begin later, belong to limited arrays, or are withdrawn.
fn with_holds(mut case: Case, holds: &[(u8, i64)]) -> Case {
    for (at, (row, (kind, s))) in case.rows.iter_mut().zip(holds).enumerate() {
        *row = match kind {
            0 => row.clone().begin_s(*s),
            1 => row.clone().cancel_s(*s),
            2 => row.clone().array("array", at as u32, 2),
            3 => row.clone().begin_s(*s).cancel_s(s + 3),
            _ => continue,
        };
    }
    case
}

fn held(run: &Run<'_>) -> Vec<Held> {
    let row = |(at, (job, allocation)): (usize, &(JobId, Allocation))| {
        let JobRecord { start, end, .. } = run.records()[*job];
        let tenant = TenantId::named(run.workload.tenants()[*job]);
        Held { row: at, start, end, tenant, grants: allocation.to_vec() }
    };
    run.outcome.allocations.iter().enumerate().map(row).collect()
}

/// Every job ends in one state that fits its record, and starts after it came.
fn each_job_ends_once(case: &Case, run: &Run<'_>) -> Result<(), TestCaseError> {
    let mut started: Vec<JobId> = run.outcome.allocations.iter().map(|(job, _)| *job).collect();
    started.sort_unstable();
    let expected: Vec<JobId> =
        run.records().iter_ids().filter(|(_, r)| r.start != SimTime::NEVER).map(|(id, _)| id).collect();
    prop_assert_eq!(started, expected, "one allocation for each job that started");
    for (id, record) in run.records().iter_ids() {
        let job = &run.workload.jobs[id];
        let began = record.start != SimTime::NEVER;
        if began {
            prop_assert!(record.start >= job.submit);
            let begin = run.workload.extras_of(id).and_then(|e| e.begin);
            prop_assert!(begin.is_none_or(|begin| record.start >= begin));
        }
        match record.state {
            JobState::Completed => prop_assert_eq!(record.end, record.start + job.run),
            JobState::Cancelled => {
                let cancel = run.workload.extras_of(id).and_then(|e| e.cancel).expect("it was withdrawn");
                prop_assert_eq!(record.end, cancel.max(job.submit));
            }
            JobState::Refused => prop_assert!(!began),
            other => prop_assert!(false, "job {} of {} is {:?}", id.0, case.rows.len(), other),
        }
    }
    Ok(())
}

/// The meter's hours sum to what is installed, and its use equals what the records add up to.
fn hours_add_up(case: &Case, run: &Run<'_>) -> Result<(), TestCaseError> {
    let Outcome { first_submit, last_instant, hours, allocations, .. } = &run.outcome;
    let horizon = i128::from(last_instant.since(*first_submit).micros()) * UNITS_PER_DEVICE;
    let mut first_node = 0;
    for (at, pool) in case.cluster.pools.iter().enumerate() {
        let nodes = first_node..first_node + pool.count;
        first_node = nodes.end;
        let (mut cpu, mut gpu) = (0i128, 0i128);
        for (job, allocation) in allocations {
            let record = run.records()[*job];
            let us = i128::from(record.end.since(record.start).micros()) * UNITS_PER_DEVICE;
            for grant in allocation.iter().filter(|g| nodes.contains(&g.node.0)) {
                cpu += us * i128::from(grant.cpus);
                gpu += us * i128::from(grant.gpus.count_ones());
            }
        }
        let row = hours.pools[windtunnel::ids::PoolId::new(at)];
        prop_assert!(row.check(), "{:?}", row);
        let all = pool.node.capacity.times(pool.count);
        prop_assert_eq!(row.cpu.installed, horizon * i128::from(all.cpus));
        prop_assert_eq!(row.gpu.installed, horizon * i128::from(all.gpus));
        prop_assert_eq!((row.cpu.productive + row.cpu.slack, row.gpu.productive + row.gpu.slack), (cpu, gpu));
    }
    Ok(())
}

/// Schedule by job name, for rows that were permuted.
fn by_name(case: &Case, spec: &PolicySpec) -> Vec<(String, Option<reference::Started>)> {
    let schedule = schedule(case, spec);
    let names = case.rows.iter().map(|row| row.name.clone().unwrap());
    let mut rows: Vec<_> = names.zip(schedule).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

/// Distinct priorities and names, and submissions in a few groups of equal instants.
fn tied(case: &Case) -> Case {
    let mut case = case.clone();
    for (at, row) in case.rows.iter_mut().enumerate() {
        row.name = Some(format!("{at:03}"));
        row.priority = (at as i64 * 7_919) % 1_009;
        row.submit_us -= row.submit_us % 4_000_000;
    }
    case
}

fn scaled(rows: &[JobRow], factor: i64) -> Vec<JobRow> {
    let scale = |row: &JobRow| {
        let mut row = row.clone();
        row.submit_us *= factor;
        row.run_us *= factor;
        row.limit_us = row.limit_us.map(|us| us * factor);
        row
    };
    rows.iter().map(scale).collect()
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn no_schedule_breaks_capacity_causality_or_conservation(
        case in case(Limits::Any, 60), spec in any_policy(),
        holds in prop::collection::vec((0u8..16, 0i64..40), 60),
    ) {
        let case = with_holds(case, &holds);
        let workload = trace().jobs(case.rows.iter().cloned()).build();
        let run = play(&workload, &case.cluster, &spec);
        prop_assert_eq!(Referee::check(&case.cluster, &held(&run)), Ok(()));
        each_job_ends_once(&case, &run)?;
        hours_add_up(&case, &run)?;
    }

    /// Rows of one instant, under an order that ranks all of them: their order in the file is without effect.
    #[test]
    fn the_order_of_rows_at_one_instant_does_not_matter(
        case in case(Limits::Any, 50), place in placements(), backfill in backfills(), seed in any::<u64>(),
    ) {
        let case = tied(&case);
        let mut shuffled = case.clone();
        let mut stream = windtunnel::random::Stream::new(seed, "permutation", 0, 0);
        stream.shuffle(&mut shuffled.rows);
        shuffled.rows.sort_by_key(|row| row.submit_us);
        let spec = policy(OrderSpec::Priority, place, backfill);
        prop_assert_eq!(by_name(&case, &spec), by_name(&shuffled, &spec));
    }

    /// A slower clock changes nothing but the clock (no overdue jobs: those are due "in a second").
    #[test]
    fn times_scale(
        case in case(Limits::Exact, 50), place in placements(), backfill in backfills(), factor in 2i64..1000,
    ) {
        let spec = policy(OrderSpec::ShortestLimit, place, backfill);
        let mut slower = case.clone();
        slower.rows = scaled(&case.rows, factor);
        let mut expected = schedule(&case, &spec);
        expected.iter_mut().flatten().for_each(|started| started.start_us *= factor);
        prop_assert_eq!(schedule(&slower, &spec), expected);
    }

    #[test]
    fn easy_never_delays_the_head_when_limits_are_exact(case in case(Limits::Exact, 60), place in placements()) {
        let spec = policy(OrderSpec::Submit, place, BackfillSpec::Easy);
        let promised = reference::play(&case.rows, &case.cluster, &spec).first_shadow_us;
        for (at, (started, promised)) in schedule(&case, &spec).iter().zip(promised).enumerate() {
            if let (Some(started), Some(promised)) = (started, promised) {
                prop_assert!(started.start_us <= promised, "job {} at {}", at, started.start_us);
            }
        }
    }

    /// Nothing that happens later can move a plan made with exact limits: the first plan is kept. (First
    /// fit only: under best fit and spread a job that starts behind can change where a job ahead sits
    /// best, and the new plan may then delay another.)
    #[test]
    fn conservative_keeps_the_first_plan_when_limits_are_exact(case in case(Limits::Exact, 30)) {
        let conservative = BackfillSpec::Conservative { depth: None };
        let spec = policy(OrderSpec::Submit, PlacementSpec::FirstFit, conservative);
        let planned = reference::play(&case.rows, &case.cluster, &spec).first_plan_us;
        let starts: Vec<Option<i64>> =
            schedule(&case, &spec).iter().map(|s| s.as_ref().map(|s| s.start_us)).collect();
        prop_assert_eq!(starts, planned);
    }
}

#[test]
fn one_thread_and_two_threads_give_the_same_records() {
    let cases = sample_cases();
    let specs = ["fcfs", "greedy", "sjf", "ljf", "priority", "easy", "conservative"].map(classic);
    let all: Vec<(&Case, &PolicySpec)> =
        cases.iter().flat_map(|c| specs.iter().map(move |s| (c, s))).collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| all.par_iter().map(|(case, spec)| outcome_text(case, spec)).collect::<Vec<_>>())
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
}

/// Everything that a run produced, as text.
fn outcome_text(case: &Case, spec: &PolicySpec) -> String {
    let workload = trace().jobs(case.rows.iter().cloned()).build();
    format!("{:?}", play(&workload, &case.cluster, spec).outcome)
}

fn sample_cases() -> Vec<Case> {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = case(Limits::Any, 200);
    (0..12).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn the_cases_are_not_trivial() {
    // Generators can decay into empty queues; here most jobs start and a good part of them wait.
    let cases = sample_cases();
    let spec = policy(OrderSpec::Submit, PlacementSpec::BestFit, BackfillSpec::Easy);
    let (mut jobs, mut started, mut waited) = (0, 0, 0);
    for case in &cases {
        jobs += case.rows.len();
        for (row, start) in case.rows.iter().zip(schedule(case, &spec)) {
            started += usize::from(start.is_some());
            waited += usize::from(start.is_some_and(|s| s.start_us > row.submit_us));
        }
    }
    assert!(started * 2 > jobs && waited * 3 > jobs, "{waited} waited, {started} started of {jobs}");
}

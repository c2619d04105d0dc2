//! Small examples, worked out on paper, for every classic policy. Times in seconds.

use windtunnel::cluster::ClusterSpec;
use windtunnel::scheduler::{BackfillSpec, OrderSpec, PlacementSpec, PolicySpec};
use windtunnel::workload::Workload;

use super::builders::{classic, cluster, gpu_node, job, named, play, policy, processors, trace};

/// Four processors. A takes 3 for 10 s, B wants all, then small ones that could pass it:
///
/// ```text
///   name  at  procs  run=limit
///   A      0    3       10
///   B      1    4        5        blocked until 10
///   C      2    1        8        ends at 10: does not delay B
///   D      3    1        4        fits only when C is out of the way
///   E      4    1       20        would delay B
/// ```
fn five_jobs() -> Workload {
    trace()
        .job(named("A").cpus(3).run_s(10))
        .job(named("B").at_s(1).cpus(4).run_s(5))
        .job(named("C").at_s(2).cpus(1).run_s(8))
        .job(named("D").at_s(3).cpus(1).run_s(4))
        .job(named("E").at_s(4).cpus(1).run_s(20))
        .build()
}

fn five_starts(policy: &PolicySpec) -> [i64; 5] {
    let workload = five_jobs();
    play(&workload, &processors(4), policy).starts_s(["A", "B", "C", "D", "E"])
}

#[test]
fn fcfs_lets_nobody_pass() {
    assert_eq!(five_starts(&classic("fcfs")), [0, 10, 15, 15, 15]);
}

#[test]
fn greedy_starts_whatever_fits() {
    assert_eq!(five_starts(&classic("greedy")), [0, 10, 2, 15, 15]);
    // With one more second C overlaps: at 10 only three are free, D and E take two, B waits for E.
    let rows = |run| {
        trace()
            .job(named("A").cpus(3).run_s(10))
            .job(named("B").at_s(1).cpus(4).run_s(5))
            .job(named("C").at_s(2).cpus(1).run_s(run))
            .job(named("D").at_s(3).cpus(1).run_s(4))
            .job(named("E").at_s(4).cpus(1).run_s(20))
            .build()
    };
    let workload = rows(9);
    let starts = |name| play(&workload, &processors(4), &classic(name)).starts_s(["A", "B", "C", "D", "E"]);
    assert_eq!(starts("greedy"), [0, 30, 2, 10, 10]);
    // EASY does not let C pass then; D and E do not end in time either (D would: 3 + 4 = 7).
    assert_eq!(starts("easy"), [0, 10, 15, 3, 15]);
}

#[test]
fn easy_fills_the_gap_before_the_head() {
    // C ends exactly when B is expected. D and E wait for B.
    assert_eq!(five_starts(&classic("easy")), [0, 10, 2, 15, 15]);
}

#[test]
fn conservative_keeps_every_promise() {
    // Plans at 4: B 10-15, D 15-19, E 15-35.
    assert_eq!(five_starts(&classic("conservative")), [0, 10, 2, 15, 15]);
}

#[test]
fn sjf_and_ljf_block_at_their_own_head() {
    // At 3 D is the shortest and fits; then B blocks until A has ended.
    assert_eq!(five_starts(&classic("sjf")), [0, 10, 15, 3, 15]);
    // At 2 C (8 s) is longer than B and fits, at 4 E heads the queue: D waits behind E and then B.
    assert_eq!(five_starts(&classic("ljf")), [0, 30, 2, 35, 10]);
}

#[test]
fn priority_is_the_column_minus_nice_and_ties_go_by_submission() {
    let workload = trace()
        .job(named("A").cpus(4).run_s(10))
        .job(named("low").at_s(1).cpus(4).run_s(1).priority(5))
        .job(named("nice").at_s(2).cpus(4).run_s(1).priority(9).nice(6))
        .job(named("high").at_s(3).cpus(4).run_s(1).priority(7))
        .job(named("equal").at_s(4).cpus(4).run_s(1).priority(5))
        .build();
    let run = play(&workload, &processors(4), &classic("priority"));
    assert_eq!(run.starts_s(["high", "low", "equal", "nice"]), [10, 11, 12, 13]);
}

#[test]
fn an_expression_orders_by_its_value_now() {
    // At 10: waited / limit is 9/20 for A, 5/4 for B, 2/1 for C; the largest share first.
    let order = OrderSpec::Expression("age_s / limit_s".to_owned());
    let workload = trace()
        .job(named("first").cpus(1).run_s(10))
        .job(named("A").at_s(1).cpus(1).run_s(20))
        .job(named("B").at_s(5).cpus(1).run_s(4))
        .job(named("C").at_s(8).cpus(1).run_s(1))
        .build();
    let spec = policy(order, PlacementSpec::FirstFit, BackfillSpec::None);
    let run = play(&workload, &processors(1), &spec);
    assert_eq!(run.starts_s(["C", "B", "A"]), [10, 11, 15]);
}

#[test]
fn a_limit_that_has_passed_counts_as_due_now() {
    // A holds 3 until 10, its limit says 5. From 5 on EASY expects A back at once, so that nothing that
    // needs A's processors may be promised them: C (1 s, beside A) would end after the shadow time.
    let rows = trace()
        .job(named("A").cpus(3).run_s(10).limit_s(5))
        .job(named("B").at_s(1).cpus(4).run_s(5))
        .job(named("C").at_s(6).cpus(1).run_s(1));
    let workload = rows.build();
    assert_eq!(play(&workload, &processors(4), &classic("easy")).starts_s(["B", "C"]), [10, 15]);
    // Conservative expects A back in the next second: C fits exactly before.
    assert_eq!(play(&workload, &processors(4), &classic("conservative")).starts_s(["B", "C"]), [10, 6]);
}

#[test]
fn easy_and_conservative_differ_on_the_second_in_the_queue() {
    // B and C wait; D delays C but not B. EASY promises B only, conservative both.
    let workload = trace()
        .job(named("A").cpus(3).run_s(10))
        .job(named("B").at_s(1).cpus(2).run_s(10))
        .job(named("C").at_s(2).cpus(4).run_s(10))
        .job(named("D").at_s(3).cpus(1).run_s(30))
        .build();
    let easy = play(&workload, &processors(4), &classic("easy"));
    assert_eq!(easy.starts_s(["B", "C", "D"]), [10, 33, 3]);
    let conservative = play(&workload, &processors(4), &classic("conservative"));
    assert_eq!(conservative.starts_s(["B", "C", "D"]), [10, 20, 30]);
}

#[test]
fn conservative_with_a_depth_of_one_looks_at_one_job_per_event() {
    let order =
        |depth| policy(OrderSpec::Submit, PlacementSpec::FirstFit, BackfillSpec::Conservative { depth });
    // Beyond the depth nobody is looked at, and whoever starts counts: one start per event, so D waits
    // for the end of C at 23 and E for the end of D.
    assert_eq!(five_starts(&order(Some(1))), [0, 10, 15, 23, 27]);
    assert_eq!(five_starts(&order(Some(5))), five_starts(&order(None)));
}

/// Nodes 0-2 with 8 GPUs, of which 6, 4 and 2 are taken for 100 s.
fn placed_on_partly_used_nodes(place: PlacementSpec) -> Vec<u32> {
    // Spread puts the three fillers on three nodes; they ask for whole CPUs so that they do everywhere.
    let mut node = gpu_node(8);
    node.capacity.cpus = 16;
    let workload = trace()
        .job(named("six").gpus(6).cpus(9).run_s(100))
        .job(named("four").gpus(4).cpus(9).run_s(100))
        .job(named("two").gpus(2).cpus(9).run_s(100))
        .job(named("X").at_s(1).gpus(2).cpus(2).run_s(1))
        .build();
    let run = play(
        &workload,
        &cluster().pool("p", 3, node).build(),
        &policy(OrderSpec::Submit, place, BackfillSpec::Easy),
    );
    assert_eq!([run.nodes("six"), run.nodes("four"), run.nodes("two")], [[0], [1], [2]]);
    run.nodes("X")
}

#[test]
fn placements_choose_their_node() {
    assert_eq!(placed_on_partly_used_nodes(PlacementSpec::FirstFit), [0]);
    assert_eq!(placed_on_partly_used_nodes(PlacementSpec::BestFit), [0]);
    assert_eq!(placed_on_partly_used_nodes(PlacementSpec::Spread), [2]);
}

#[test]
fn best_fit_takes_the_tightest_node_not_the_first() {
    let workload = trace()
        .job(named("four").gpus(4).run_s(100))
        .job(named("five").at_s(1).gpus(5).run_s(100))
        .job(named("X").at_s(2).gpus(3).run_s(1))
        .build();
    let nodes = cluster().pool("p", 2, gpu_node(8)).build();
    let on = |place| {
        let spec = policy(OrderSpec::Submit, place, BackfillSpec::None);
        play(&workload, &nodes, &spec).nodes("X")
    };
    // Free: node 0 has 4, node 1 has 3.
    assert_eq!(on(PlacementSpec::FirstFit), [0]);
    assert_eq!(on(PlacementSpec::BestFit), [1]);
}

#[test]
fn gpus_are_given_lowest_index_first() {
    let workload = trace()
        .job(named("A").gpus(2).run_s(5))
        .job(named("B").gpus(1).run_s(50))
        .job(named("C").at_s(6).gpus(3).run_s(1))
        .build();
    let run = play(&workload, &cluster().pool("p", 1, gpu_node(8)).build(), &classic("fcfs"));
    assert_eq!([run.gpu_bits("A"), run.gpu_bits("B"), run.gpu_bits("C")], [0b11, 0b100, 0b1011]);
}

#[test]
fn a_job_without_node_count_fills_nodes_one_after_another() {
    let workload = trace().job(named("A").gpus(20).cpus(20)).job(named("B").gpus(4)).build();
    let run = play(&workload, &cluster().pool("p", 3, gpu_node(8)).build(), &classic("fcfs"));
    assert_eq!(run.nodes("A"), [0, 1, 2]);
    // The last node of A has 4 GPUs left.
    assert_eq!((run.nodes("B"), run.start_s("B")), (vec![2], Some(0)));
}

/// Three nodes of 8 GPUs. A holds node 0 until 10, B holds node 1 until 20, S half of node 2 until 30.
fn before_a_two_node_head() -> Vec<super::builders::JobRow> {
    vec![
        named("A").gpus(8).run_s(10),
        named("B").gpus(8).run_s(20),
        named("S").gpus(4).run_s(30),
        named("head").at_s(1).nodes(2).gpus(16).run_s(5),
    ]
}

fn three_nodes() -> ClusterSpec {
    cluster().pool("p", 3, gpu_node(8)).build()
}

#[test]
fn the_head_reserves_the_nodes_that_come_free_first() {
    // The head can be placed at 20, on nodes 0 and 1. Node 2 is not promised: a long job may have its
    // free half. Node 0 is free from 10: until 20 a job of 10 s may use it, one of 11 s may not.
    let mut rows = before_a_two_node_head();
    rows.push(named("long").at_s(2).gpus(4).run_s(1000));
    rows.push(named("eleven").at_s(3).gpus(8).run_s(11));
    rows.push(named("ten").at_s(4).gpus(8).run_s(10));
    let workload = trace().jobs(rows).build();
    let run = play(&workload, &three_nodes(), &classic("easy"));
    assert_eq!(run.starts_s(["head", "long", "ten", "eleven"]), [20, 2, 10, 25]);
    assert_eq!(run.nodes("head"), [0, 1]);
    assert_eq!((run.nodes("long"), run.nodes("ten")), (vec![2], vec![0]));
}

#[test]
fn what_the_head_leaves_of_a_reserved_node_may_be_used_beyond_the_shadow_time() {
    // The head wants 6 of the 8 GPUs of the only node at 10; 2 GPUs are spare for ever.
    let workload = trace()
        .job(named("A").gpus(4).run_s(10))
        .job(named("head").at_s(1).gpus(6).run_s(5))
        .job(named("three").at_s(2).gpus(3).run_s(100))
        .job(named("two").at_s(3).gpus(2).run_s(100))
        .job(named("one").at_s(4).gpus(1).run_s(100))
        .build();
    let run = play(&workload, &cluster().pool("p", 1, gpu_node(8)).build(), &classic("easy"));
    assert_eq!(run.starts_s(["head", "two", "three", "one"]), [10, 3, 15, 15]);
}

#[test]
fn the_reservation_is_made_by_the_placement_of_the_policy() {
    // At 10 both nodes could hold the head (4 GPUs): node 0 whole, node 1 with 4 free. First fit
    // reserves node 0, best fit node 1; the other node takes the long job of 4 GPUs at 10 at the latest.
    let rows = || {
        trace()
            .job(named("A").gpus(8).run_s(10))
            .job(named("B").gpus(6).run_s(10))
            .job(named("C").gpus(2).run_s(1000))
            .job(named("head").at_s(1).gpus(6).run_s(50))
            .job(named("small").at_s(2).gpus(6).run_s(50))
            .build()
    };
    let nodes = cluster().pool("p", 2, gpu_node(8)).build();
    let on = |place| {
        let workload = rows();
        let run = play(&workload, &nodes, &policy(OrderSpec::Submit, place, BackfillSpec::Easy));
        (run.starts_s(["head", "small"]), run.nodes("head"), run.nodes("small"))
    };
    assert_eq!(on(PlacementSpec::FirstFit), ([10, 10], vec![0], vec![1]));
    assert_eq!(on(PlacementSpec::BestFit), ([10, 10], vec![1], vec![0]));
    assert_eq!(on(PlacementSpec::Spread), ([10, 10], vec![0], vec![1]));
}

/// Two old nodes of 4 GPUs, one new node of 8 GPUs.
fn two_pools() -> ClusterSpec {
    let (mut old, mut new) = (gpu_node(4), gpu_node(8));
    old.gpu_type = Some("old".to_owned());
    new.gpu_type = Some("new".to_owned());
    cluster().pool("old", 2, old).pool("new", 1, new).build()
}

#[test]
fn pools_are_tried_in_declared_order_and_a_job_stays_in_one() {
    let workload = trace()
        .job(named("small").gpus(2).run_s(10))
        .job(named("eight").gpus(8).run_s(10))
        .job(named("typed").at_s(1).gpus(1).gpu_type("new").run_s(5))
        .job(named("eight-wide").at_s(2).gpus(8).cpus(8).run_s(5))
        .build();
    let run = play(&workload, &two_pools(), &classic("greedy"));
    // 8 GPUs on old nodes take both of them; "small" has one, so the new node it is.
    assert_eq!((run.nodes("small"), run.nodes("eight")), (vec![0], vec![2]));
    assert_eq!((run.nodes("typed"), run.start_s("typed")), (vec![2], Some(10)));
    // At 10 the old pool is empty again and is tried first.
    assert_eq!((run.nodes("eight-wide"), run.start_s("eight-wide")), (vec![0, 1], Some(10)));
}

#[test]
fn easy_reserves_on_the_pool_that_is_ready_first() {
    let workload = trace()
        .job(named("old-a").gpus(4).run_s(30))
        .job(named("old-b").gpus(4).run_s(30))
        .job(named("new-a").gpus(8).run_s(10))
        .job(named("head").at_s(1).gpus(8).run_s(5))
        .build();
    let run = play(&workload, &two_pools(), &classic("easy"));
    assert_eq!((run.nodes("head"), run.start_s("head")), (vec![2], Some(10)));
}

#[test]
fn an_exclusive_job_wants_whole_nodes() {
    let workload = trace()
        .job(named("A").gpus(1).run_s(10))
        .job(named("whole").gpus(2).nodes(1).exclusive().run_s(20))
        .job(named("B").at_s(1).gpus(1).run_s(5))
        .job(named("whole2").at_s(2).nodes(2).exclusive().run_s(5))
        .build();
    let run = play(&workload, &cluster().pool("p", 2, gpu_node(8)).build(), &classic("greedy"));
    assert_eq!((run.nodes("whole"), run.start_s("whole")), (vec![1], Some(0)));
    // Nobody else on node 1, so B shares node 0 with A.
    assert_eq!((run.nodes("B"), run.start_s("B")), (vec![0], Some(1)));
    assert_eq!((run.nodes("whole2"), run.start_s("whole2")), (vec![0, 1], Some(20)));
}

#[test]
fn a_job_that_no_pool_can_hold_is_refused_and_delays_nobody() {
    let workload = trace().job(named("huge").gpus(9).nodes(1)).job(named("A").gpus(1)).build();
    let run = play(&workload, &cluster().pool("p", 2, gpu_node(8)).build(), &classic("fcfs"));
    assert_eq!(run.state("huge").name(), "REFUSED");
    assert_eq!(run.outcome.refused.len(), 1);
    assert_eq!(run.start_s("A"), Some(0));
    // An unnamed neighbour of the same trace is untouched too.
    let unnamed = trace().job(job().cpus(2)).build();
    assert_eq!(play(&unnamed, &processors(2), &classic("fcfs")).start_s("job-0"), Some(0));
}

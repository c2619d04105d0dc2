//! The rule of choice by hand, and as recorded.

use super::*;
use crate::scheduler::slurm::config::{DeviceTypeId, GresCount, Tree};

fn nodes(n: usize) -> Vec<Hardware> {
    let gres = vec![GresCount { device_type: Some(DeviceTypeId(0)), count: 8 }];
    let node = NodeConf {
        name: "n".into(),
        cpus: 64,
        mem_mb: 512_000,
        gres,
        weight: 1,
        features: vec![],
        unusable: false,
    };
    vec![Hardware::of(&node); n]
}

fn gpu_job(nodes: u32, gpus: u32) -> Ask {
    Ask {
        min_nodes: nodes,
        max_nodes: Some(nodes),
        cpus: 8 * nodes,
        cpus_per_node: 8,
        mem_mb_per_node: 1_000,
        gres: smallvec::smallvec![GresCount { device_type: None, count: gpus }],
        fixed_per_node: true,
        ..Ask::default()
    }
}

fn chosen(ask: &Ask, busy: &[usize]) -> Option<Vec<usize>> {
    let hardware = nodes(8);
    let mut free: Vec<Free> = hardware.iter().map(|h| h.empty.clone()).collect();
    for n in busy {
        free[*n] = Free { cpus: 0, mem_mb: 0, gpus: 0, cards: None, owner: None };
    }
    let mut allowed = NodeSet::with_capacity(8);
    allowed.insert_range(..);
    old(&hardware).choose(ask, &allowed, &free)
}

/// The rule before 26.05.
fn old(hardware: &[Hardware]) -> Placement<'_> {
    Placement { hardware, memory: true, least_loaded: false, is_later: false, first_fit: false, leaves: None }
}

#[test]
fn one_node_jobs_take_the_first_node_that_holds_them_from_26_05_on() {
    // recorded (extra_checks/one_node): with n01, n02, n04 free the old rule takes n04
    let hardware = nodes(8);
    let mut free: Vec<Free> = hardware.iter().map(|h| h.empty.clone()).collect();
    for n in [2, 4, 5, 6, 7] {
        free[n] = Free { cpus: 0, mem_mb: 0, gpus: 0, cards: None, owner: None };
    }
    let mut allowed = NodeSet::with_capacity(8);
    allowed.insert_range(..);
    let new = Placement { first_fit: true, ..old(&hardware) };
    let of = |rule: Placement<'_>, ask: &Ask| rule.choose(ask, &allowed, &free);
    assert_eq!(of(old(&hardware), &gpu_job(1, 1)), Some(vec![3]));
    assert_eq!(of(new, &gpu_job(1, 1)), Some(vec![0]));
    assert_eq!(of(new, &gpu_job(2, 1)), of(old(&hardware), &gpu_job(2, 1)));
    let mut level = Level { cpus: free.iter().map(|free| free.cpus).collect(), sums: vec![] };
    level.add_up();
    let mut feasible = NodeSet::with_capacity(8);
    [0, 1, 3].iter().for_each(|n| feasible.insert(*n));
    assert_eq!(new.choose_on(&gpu_job(1, 1), &feasible, &level), Some(vec![0]));
}

#[test]
fn gpu_jobs_go_to_the_shortest_sufficient_run() {
    // free: 0, 2-4, 6-7
    assert_eq!(chosen(&gpu_job(1, 8), &[1, 5]), Some(vec![0]));
    assert_eq!(chosen(&gpu_job(2, 8), &[1, 5]), Some(vec![6, 7]));
    assert_eq!(chosen(&gpu_job(3, 8), &[1, 5]), Some(vec![2, 3, 4]));
    assert_eq!(chosen(&gpu_job(4, 8), &[1, 5]), Some(vec![2, 3, 4, 0]));
    assert_eq!(chosen(&gpu_job(7, 8), &[1, 5]), None);
}

/// Leaves of four under one spine; nodes 0 to 11 but those that are busy.
fn by_leaves(ask: &Ask, busy: &[usize], rest: bool, most: Option<u32>) -> Option<Vec<usize>> {
    let hardware = nodes(16);
    let mut rows = Vec::new();
    for leaf in 0..4 {
        let mut set = NodeSet::with_capacity(16);
        set.insert_range(4 * leaf..4 * leaf + 4);
        rows.push((format!("s{leaf}"), set, vec![]));
    }
    rows.push(("spine".to_owned(), NodeSet::with_capacity(16), vec![0, 1, 2, 3]));
    let tree = Tree::new(rows).expect("a tree");
    let mut free: Vec<Free> = hardware.iter().map(|h| h.empty.clone()).collect();
    for n in busy {
        free[*n] = Free { cpus: 0, mem_mb: 0, gpus: 0, cards: None, owner: None };
    }
    let mut allowed = NodeSet::with_capacity(16);
    allowed.insert_range(..);
    let leaves = Some(Leaves { tree: &tree, holds_rest: rest, is_tightest: false, most });
    Placement { leaves, ..old(&hardware) }.choose(ask, &allowed, &free)
}

#[test]
fn leaves_are_taken_as_recorded() {
    // recorded (extra_checks/topology_leaves): with 1, 2, 3, 4 nodes free one node goes to the first leaf, two to the second,
    // three to the third, and five take the 4 and the 1
    let busy = [0, 1, 2, 4, 5, 8];
    for rest in [false, true] {
        let of = |count| by_leaves(&gpu_job(count, 8), &busy, rest, None);
        assert_eq!(of(1), Some(vec![3]));
        assert_eq!(of(2), Some(vec![6, 7]));
        assert_eq!(of(3), Some(vec![9, 10, 11]));
        assert_eq!(of(5), Some(vec![12, 13, 14, 15, 3]));
        assert_eq!(of(10), Some(vec![12, 13, 14, 15, 9, 10, 11, 6, 7, 3]));
        assert_eq!(of(11), None);
    }
}

#[test]
fn a_job_that_waits_for_few_leaves_starts_on_no_more() {
    let busy = [0, 1, 4, 5, 8, 9, 12, 13];
    let of = |most| by_leaves(&gpu_job(3, 8), &busy, true, most);
    assert_eq!(of(None), Some(vec![2, 3, 6]));
    assert_eq!((of(Some(1)), of(Some(2))), (None, Some(vec![2, 3, 6])));
}

#[test]
fn switches_below_themselves_are_refused() {
    let none = || NodeSet::with_capacity(1);
    let row = |name: &str, below: Vec<usize>| (name.to_owned(), none(), below);
    assert_eq!(Tree::new(vec![row("a", vec![1]), row("b", vec![0])]).unwrap_err(), 0);
    assert_eq!(Tree::new(vec![row("a", vec![2]), row("b", vec![2]), row("c", vec![])]).unwrap_err(), 2);
}

#[test]
fn cpu_jobs_take_the_tightest_node() {
    let hardware = nodes(3);
    let mut free: Vec<Free> = hardware.iter().map(|h| h.empty.clone()).collect();
    free[1].cpus = 10;
    let mut allowed = NodeSet::with_capacity(3);
    allowed.insert_range(..);
    let ask = Ask {
        min_nodes: 1,
        max_nodes: Some(1),
        cpus: 8,
        cpus_per_node: 8,
        fixed_per_node: true,
        ..Ask::default()
    };
    assert_eq!(old(&hardware).choose(&ask, &allowed, &free), Some(vec![1]));
}

#[test]
fn an_untyped_request_takes_the_lowest_free_indices_of_any_type() {
    let node = NodeConf {
        name: "n15".into(),
        cpus: 64,
        mem_mb: 1,
        gres: vec![
            GresCount { device_type: Some(DeviceTypeId(0)), count: 4 },
            GresCount { device_type: Some(DeviceTypeId(1)), count: 28 },
        ],
        weight: 1,
        features: vec![],
        unusable: false,
    };
    let hardware = Hardware::of(&node);
    let any =
        |count| Ask { gres: smallvec::smallvec![GresCount { device_type: None, count }], ..Ask::default() };
    assert_eq!(hardware.pick_devices(&any(8), &hardware.empty), Some(0xff));
    let slices = Ask {
        gres: smallvec::smallvec![GresCount { device_type: Some(DeviceTypeId(1)), count: 2 }],
        ..Ask::default()
    };
    assert_eq!(hardware.pick_devices(&slices, &hardware.empty), Some(0b11_0000));
    assert_eq!(hardware.pick_devices(&any(33), &hardware.empty), None);
}

/// The recorded micro cluster: leaves n1-n4, m1-m4 and b1, g1, nodes in the order of their names, 12 CPUs each.
fn tightest(ask: &Ask, cpus: [u32; 10]) -> Option<Vec<usize>> {
    let mut hardware = nodes(10);
    for node in &mut hardware {
        node.empty.cpus = 12;
    }
    let leaf = |from: usize, to: usize| {
        let mut set = NodeSet::with_capacity(10);
        set.insert_range(from..to);
        set
    };
    let rows = vec![
        ("IBN".to_owned(), leaf(6, 10), vec![]),
        ("IBM".to_owned(), leaf(2, 6), vec![]),
        ("IBG".to_owned(), leaf(0, 2), vec![]),
        ("TOP".to_owned(), NodeSet::with_capacity(10), vec![0, 1, 2]),
    ];
    let tree = Tree::new(rows).expect("a tree");
    let mut free: Vec<Free> = hardware.iter().map(|h| h.empty.clone()).collect();
    for (node, cpus) in free.iter_mut().zip(cpus) {
        node.cpus = cpus;
    }
    let leaves = Some(Leaves { tree: &tree, holds_rest: false, is_tightest: true, most: None });
    Placement { leaves, ..old(&hardware) }.choose(ask, &leaf(0, 10), &free)
}

#[test]
fn under_cons_res_the_tightest_leaf_is_taken_as_recorded() {
    let ask = |nodes: u32, each: u32| Ask {
        min_nodes: nodes,
        max_nodes: Some(nodes),
        cpus: nodes * each,
        cpus_per_node: each,
        fixed_per_node: true,
        ..Ask::default()
    };
    // recorded: alone on the cluster a job of one node goes to the leaf of two nodes, and there to b1
    assert_eq!(tightest(&ask(1, 12), [12; 10]), Some(vec![0]));
    assert_eq!(tightest(&ask(2, 12), [12; 10]), Some(vec![0, 1]));
    // three nodes: IBM and IBN hold them, and as many are feasible; the first in topology.conf
    assert_eq!(tightest(&ask(3, 12), [12; 10]), Some(vec![6, 7, 8]));
    assert_eq!(tightest(&ask(3, 12), [12, 12, 0, 12, 12, 12, 12, 12, 12, 12]), Some(vec![3, 4, 5]));
    // what counts of a node is what the job could use of it: one feasible node is tighter than four nearly busy ones
    assert_eq!(tightest(&ask(1, 1), [0, 0, 0, 0, 0, 12, 1, 1, 1, 1]), Some(vec![5]));
    // six over two leaves: the largest first, then the one that holds the rest with the fewest CPUs
    assert_eq!(tightest(&ask(6, 12), [12, 12, 0, 12, 12, 12, 12, 12, 12, 12]), Some(vec![6, 7, 8, 9, 0, 1]));
    assert_eq!(tightest(&ask(10, 12), [12; 10]).map(|nodes| nodes.len()), Some(10));
    assert_eq!(tightest(&ask(10, 12), [0, 12, 12, 12, 12, 12, 12, 12, 12, 12]), None);
}

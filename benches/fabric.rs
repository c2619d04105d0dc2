//! What a start or an end costs on a network that nearly all jobs share: three-level tree, half of the nodes exchanged at random.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use windtunnel::fabric::builders::{Endpoint, FabricSpec, Shape, build};
use windtunnel::fabric::contention::Demand;
use windtunnel::fabric::graph::{Fabric, Spread};
use windtunnel::fabric::shares::Shares;
use windtunnel::fabric::traffic::{Ranks, ring_bytes};
use windtunnel::random::Stream;

/// Pods of 16 leaves of 16 nodes, 2:1 above the leaves and 2:1 again above the pods.
fn tree(nodes: u32) -> Fabric {
    let node = |at| Endpoint { name: format!("n{at}"), bytes_per_s: 376e9, nics: 8, latency_s: 1.6e-6 };
    let shape = Shape::FatTree {
        nodes_per_leaf: 16,
        leaves_per_pod: Some(16),
        oversubscription: 2.0,
        core_oversubscription: 2.0,
        uplinks: None,
    };
    let nodes = (0..nodes).map(node).collect();
    build(&FabricSpec { shape, nodes, hop_s: 2e-7, spread: Spread::Ideal }).unwrap()
}

/// The nodes of each job: neighbours, half of them exchanged.
fn placed(nodes: u32, jobs: u32) -> Vec<Vec<(u32, u32)>> {
    let mut stream = Stream::new(1, "bench", 0, 0);
    let mut order: Vec<u32> = (0..nodes).collect();
    let mut some: Vec<usize> = (0..nodes as usize).filter(|_| stream.below(2) == 0).collect();
    let picked: Vec<u32> = some.iter().map(|at| order[*at]).collect();
    stream.shuffle(&mut some);
    some.into_iter().zip(picked).for_each(|(at, node)| order[at] = node);
    let each = (nodes / jobs).max(2) as usize;
    order
        .chunks_exact(each)
        .take(jobs as usize)
        .map(|own| own.iter().map(|node| (*node, 8)).collect())
        .collect()
}

fn demand(fabric: &Fabric, nodes: &[(u32, u32)], job: u64) -> Demand {
    let ranks = Ranks { nodes, rank_order: true, job, rings: 8 };
    let mut stream = Stream::new(2, "bench", job, 0);
    let size = 1e9 * (1.0 + 20.0 * stream.uniform());
    let bytes = fabric.ring(&ranks, ring_bytes(2.0, nodes.len(), size));
    Demand { compute_s: 0.05 + 0.3 * stream.uniform(), bytes, hidden: 0.25, ..Demand::default() }
}

fn starts_and_ends(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fabric");
    for (nodes, jobs) in [(1024, 250), (4096, 1000), (4096, 250), (16_384, 1000)] {
        let fabric = tree(nodes);
        let placed = placed(nodes, jobs);
        let mut shares = Shares::new(&fabric.capacities(), 0.5);
        for (slot, nodes) in placed.iter().enumerate() {
            shares.add(slot as u32, demand(&fabric, nodes, slot as u64));
        }
        let mut changed = Vec::new();
        shares.settle(&mut changed);
        let mut stream = Stream::new(3, "bench", 0, 0);
        group.bench_function(
            BenchmarkId::new("end-and-start", format!("{jobs}-jobs-{nodes}-nodes")),
            |bencher| {
                bencher.iter(|| {
                    let slot = stream.below(placed.len() as u64) as u32;
                    shares.remove(slot);
                    changed.clear();
                    shares.settle(&mut changed);
                    shares.add(slot, demand(&fabric, &placed[slot as usize], u64::from(slot)));
                    shares.settle(&mut changed);
                    changed.len()
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, starts_and_ends);
criterion_main!(benches);

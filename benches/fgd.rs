//! Placement of shared GPUs: one run of FGD over a cluster like openb, and over ten times as many nodes.
//!
//! `same pods` holds the arrivals fixed while the nodes grow; `filled` lets them grow with the nodes.

#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use windtunnel::random::Stream;
use windtunnel::scheduler::sharing::{
    ModelSet, Placer, SharedDemand, SharedNode, SharingPolicy, TieRule, TypicalMix,
};

/// Nodes with 1, 2, 4 and 8 cards of four models, CPU and memory in proportion.
fn nodes(count: usize) -> Vec<SharedNode> {
    let node = |n: usize| {
        let cards = [8, 8, 4, 2, 2, 1][n % 6];
        SharedNode::new(12_000 * cards as u32, 98_304 * cards as u32, (n % 4) as u8, cards)
    };
    (0..count).map(node).collect()
}

/// Requests drawn from 150 kinds, a few of them much more frequent than most.
fn pods(count: usize) -> Vec<SharedDemand> {
    let mut draw = Stream::new(1, "bench-pods", 0, 0);
    let kind = |draw: &mut Stream| {
        let cards = [0, 1, 1, 1, 1, 1, 1, 2, 8][draw.below(9) as usize];
        let share = [80, 150, 250, 460, 500, 750, 1000, 1000, 1000][draw.below(9) as usize];
        SharedDemand {
            cpu_milli: 500 * (1 + draw.below(24) as u32),
            mem_mib: 1024 * (1 + draw.below(64) as u32),
            cards,
            card_milli: if cards == 1 { share } else { 1000 * u16::from(cards > 0) },
            models: ModelSet::ANY,
        }
    };
    let kinds: Vec<SharedDemand> = (0..150).map(|_| kind(&mut draw)).collect();
    let weights: Vec<f64> = (0..150).map(|k| 1.0 / f64::from(k + 1)).collect();
    (0..count).map(|_| kinds[draw.choice(&weights)]).collect()
}

fn run(nodes: &[SharedNode], pods: &[SharedDemand], mix: &TypicalMix) -> u64 {
    let mut placer = Placer::new(nodes, SharingPolicy::Fgd, TieRule::PermutedPerSeed, mix.clone(), 42);
    for pod in pods {
        let _ = placer.place(pod);
    }
    placer.allocated_milli()
}

fn growth(criterion: &mut Criterion) {
    let (few, many) = (nodes(1_213), nodes(12_130));
    let (some, lots) = (pods(10_800), pods(108_000));
    let keyed: Vec<(SharedDemand, u32)> =
        some.iter().map(|pod| (SharedDemand { mem_mib: 0, ..*pod }, 0)).collect();
    let mix = TypicalMix::most_frequent(&keyed, 95);
    let mut group = criterion.benchmark_group("fgd");
    group.sample_size(10);
    for (name, nodes, pods) in
        [("same pods", &few, &some), ("same pods", &many, &some), ("filled", &many, &lots)]
    {
        group.bench_function(BenchmarkId::new(name, nodes.len()), |bencher| {
            bencher.iter(|| run(nodes, pods, &mix));
        });
    }
    group.finish();
}

criterion_group!(benches, growth);
criterion_main!(benches);

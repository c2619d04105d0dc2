//! The law of time slices against a ring that is played.

use super::*;
use crate::random::Stream;

/// A burst on a ring where every vGPU has its turn, slice by slice.
fn turns_for_all(burst: f64, company: Company, stream: &mut Stream) -> f64 {
    let slice = 0.002;
    let vgpus = u64::from(company.vgpus);
    let mut turn = stream.below(vgpus);
    let mut left_of_turn = slice * (1.0 - stream.uniform());
    let (mut now, mut left) = (0.0, burst);
    loop {
        if turn == 0 {
            if left <= left_of_turn {
                return now + left - burst;
            }
            left -= left_of_turn;
        }
        now += left_of_turn;
        left_of_turn = slice;
        turn = (turn + 1) % vgpus;
    }
}

/// One vGPU in the simulation of a ring.
struct Played {
    /// Work left of its burst, in seconds; 0 = it pauses.
    left: f64,
    /// When its next burst comes.
    next: f64,
}

/// Waits of `n` bursts of number 0, which come at any instant, among others with bursts and pauses: event by event. Nothing
/// of the law is in it: the ring gives turns to those who have work, and who is slowed pauses later.
fn best_effort(
    n: usize,
    slice: f64,
    burst: f64,
    company: Company,
    theirs: f64,
    stream: &mut Stream,
) -> Vec<f64> {
    let busy = f64::from(company.busy_milli) / 1000.0;
    let pause = theirs * (1.0 - busy) / busy;
    let rare = 20.0 * theirs.max(burst);
    let mut ring: Vec<Played> = (0..company.vgpus)
        .map(|at| Played { left: 0.0, next: stream.exponential(if at == 0 { rare } else { pause }) })
        .collect();
    let (mut now, mut at, mut came) = (0.0f64, 0, 0.0);
    let mut waits = Vec::new();
    while waits.len() < n {
        for (number, vgpu) in ring.iter_mut().enumerate().filter(|(_, v)| v.left == 0.0 && v.next <= now) {
            vgpu.left = if number == 0 { burst } else { stream.exponential(theirs).max(1e-9) };
            if number == 0 {
                came = vgpu.next;
            }
        }
        let count = ring.len();
        let turn = (1..=count).map(|step| (at + step) % count).find(|number| ring[*number].left > 0.0);
        let Some(turn) = turn else {
            now = ring.iter().map(|vgpu| vgpu.next).fold(f64::INFINITY, f64::min);
            continue;
        };
        at = turn;
        let runs = ring[turn].left.min(slice);
        now += runs;
        ring[turn].left -= runs;
        if ring[turn].left <= 1e-12 {
            ring[turn].left = 0.0;
            ring[turn].next = now + stream.exponential(if turn == 0 { rare } else { pause });
            if turn == 0 {
                waits.push(now - came - burst);
            }
        }
    }
    waits.sort_by(f64::total_cmp);
    waits
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance * expected + 1e-9,
        "{what}: law {found}, played {expected}"
    );
}

#[test]
fn waits_for_turns_that_all_have_are_those_played_slice_by_slice() {
    let mut stream = Stream::new(1, "slices", 0, 0);
    for order in [SliceOrder::EqualShare, SliceOrder::FixedShare] {
        for (vgpus, busy_milli) in [(1, 500), (2, 300), (4, 800), (8, 1000), (16, 250)] {
            for burst in [0.0005, 0.002, 0.0071, 0.05] {
                let company = Company { vgpus, busy_milli };
                let slices =
                    Slices { order, slice: SimDuration::from_micros(2_000), burst: SimDuration::ZERO };
                let mut waits: Vec<f64> =
                    (0..20_000).map(|_| turns_for_all(burst, company, &mut stream)).collect();
                waits.sort_by(f64::total_cmp);
                let mean = waits.iter().sum::<f64>() / waits.len() as f64;
                let what = format!("{order:?} {company:?} {burst}");
                close(&what, slices.mean_wait_s(burst, company), mean, 0.03);
                close(&what, slices.wait_at_s(burst, company, 0.99), waits[19_800], 0.03);
            }
        }
    }
}

#[test]
fn best_effort_is_what_a_ring_with_slowed_neighbours_does() {
    let mut stream = Stream::new(1, "slices", 1, 0);
    // vGPUs, busy alone, slice, burst, burst of the others (ms), and how near mean and p99 are: the shorter a slice beside
    // a burst the nearer.
    let grid = [
        (2, 300, 2.0, 10.0, 10.0, 0.04),
        (4, 300, 2.0, 10.0, 10.0, 0.04),
        (8, 300, 2.0, 10.0, 10.0, 0.04),
        (4, 800, 2.0, 10.0, 10.0, 0.04),
        (8, 100, 2.0, 10.0, 10.0, 0.05),
        (16, 100, 2.0, 10.0, 10.0, 0.05),
        (16, 300, 2.0, 10.0, 10.0, 0.04),
        (4, 300, 2.0, 2.0, 10.0, 0.05),
        (4, 300, 2.0, 50.0, 10.0, 0.04),
        (4, 300, 2.0, 50.0, 50.0, 0.04),
        (8, 500, 1.0, 40.0, 40.0, 0.04),
        (4, 300, 4.0, 10.0, 10.0, 0.05),
        (4, 300, 2.0, 10.0, 2.0, 0.1),
        (8, 300, 2.0, 2.0, 2.0, 0.15),
    ];
    for (vgpus, busy_milli, slice, burst, theirs, tolerance) in grid {
        let company = Company { vgpus, busy_milli };
        let micros = |ms: f64| SimDuration::from_micros((ms * 1e3) as i64);
        let slices = Slices { order: SliceOrder::BestEffort, slice: micros(slice), burst: micros(theirs) };
        let n = 12_000;
        let waits = best_effort(n, slice / 1e3, burst / 1e3, company, theirs / 1e3, &mut stream);
        let mean = waits.iter().sum::<f64>() / n as f64;
        let what = format!("{company:?}, slice {slice}, bursts {burst} and {theirs}");
        close(&format!("{what}, mean"), slices.mean_wait_s(burst / 1e3, company), mean, tolerance);
        let p99 = slices.wait_at_s(burst / 1e3, company, 0.99);
        close(&format!("{what}, p99"), p99, waits[n * 99 / 100], tolerance + 0.02);
    }
}

#[test]
fn probabilities_sum_to_one_and_the_edges_are_exact() {
    let slices = |burst_ms: i64| Slices {
        order: SliceOrder::BestEffort,
        slice: SimDuration::from_micros(2_000),
        burst: SimDuration::from_micros(burst_ms * 1000),
    };
    for (vgpus, busy_milli, burst_ms) in
        [(2, 1, 10), (4, 300, 3), (8, 999, 500), (20, 400, 60_000), (20, 300, 10)]
    {
        let company = Company { vgpus, busy_milli };
        let pieces = slices(burst_ms).pieces(burst_ms as f64 / 1e3, company);
        let sum: f64 = pieces.iter().map(|piece| piece.probability).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{company:?} {burst_ms}: {sum}");
    }
    // Nobody is ever at work; all are always, without a pause: five slices, four and a half gaps of three.
    assert_eq!(slices(10).mean_wait_s(0.01, Company { vgpus: 4, busy_milli: 0 }), 0.0);
    let always = slices(10).mean_wait_s(0.01, Company { vgpus: 4, busy_milli: 1000 });
    assert!((always - 0.027).abs() < 1e-9, "{always}");
}

#[test]
fn who_is_alone_waits_for_nobody_and_fixed_share_waits_most() {
    let of = |order| Slices {
        order,
        slice: SimDuration::from_micros(2_000),
        burst: SimDuration::from_micros(10_000),
    };
    let alone = Company { vgpus: 1, busy_milli: 1000 };
    let four = Company { vgpus: 4, busy_milli: 500 };
    for order in [SliceOrder::BestEffort, SliceOrder::EqualShare, SliceOrder::FixedShare] {
        assert_eq!(of(order).mean_wait_s(0.01, alone), 0.0);
    }
    let lends = of(SliceOrder::BestEffort);
    let (mean, p99) = waits_s(&[(lends, alone, 1), (lends, four, 1)], 0.99).unwrap();
    let (fixed, fixed_p99) = waits_s(&[(of(SliceOrder::FixedShare), four, 2)], 0.99).unwrap();
    assert!(0.0 < mean && mean < fixed && p99 < fixed_p99);
    // Five slices, four gaps of three slices, and before the first one about half a gap.
    assert!((fixed - (0.024 + 0.006 * (0.25 + 0.375))).abs() < 1e-12, "{fixed}");
    assert_eq!(waits_s(&[], 0.99), None);
}

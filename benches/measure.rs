//! Wall time of closures, measured in turns so that drift of the machine hits all of them alike.

use std::time::{Duration, Instant};

/// The time that `work` takes.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

/// The shortest time of each of `works` over `rounds` rounds.
pub fn shortest(rounds: u32, works: &mut [&mut dyn FnMut()]) -> Vec<Duration> {
    let mut best = vec![Duration::MAX; works.len()];
    for _ in 0..rounds {
        for (best, work) in best.iter_mut().zip(works.iter_mut()) {
            *best = time(&mut **work).min(*best);
        }
    }
    best
}

/// How `value` stands to its target.
pub fn verdict(value: f64, at_most: f64) -> &'static str {
    if value <= at_most { "met" } else { "MISSED" }
}

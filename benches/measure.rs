//! Time of closures, measured in turns so that drift of the machine hits all of them alike.

use std::time::{Duration, Instant};

/// The processor time that `work` takes on this thread, where the system tells it (Linux), so that other
/// programs on the machine count less; elsewhere the wall time.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let (wall, processor) = (Instant::now(), processor_time());
    std::hint::black_box(work());
    match (processor, processor_time()) {
        (Some(start), Some(end)) => end - start,
        _ => wall.elapsed(),
    }
}

/// Time that this thread has run: the first number of its `schedstat`, in nanoseconds.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The shortest time of each of `works` over `rounds` rounds. Short works are repeated within a round:
/// the system counts processor time in ticks of some milliseconds.
pub fn shortest(rounds: u32, works: &mut [&mut dyn FnMut()]) -> Vec<Duration> {
    const ROUND: Duration = Duration::from_millis(300);
    let mut best = vec![Duration::MAX; works.len()];
    let repeats: Vec<u32> = works
        .iter_mut()
        .map(|work| (ROUND.as_nanos() / time(&mut **work).as_nanos().max(2_000_000)) as u32 + 1)
        .collect();
    for _ in 0..rounds {
        for ((best, work), repeats) in best.iter_mut().zip(works.iter_mut()).zip(&repeats) {
            *best = (time(|| (0..*repeats).for_each(|_| work())) / *repeats).min(*best);
        }
    }
    best
}

/// How `value` stands to its target.
pub fn verdict(value: f64, at_most: f64) -> &'static str {
    if value <= at_most { "met" } else { "MISSED" }
}

//! The calendar in the hold model: take the next event out, set one anew, so many pending all the time.
//!
//! Compared with the standard library's binary heap, in turns: once bare, and once where one or four
//! other pending events move at every event, which the heap can only do by leaving dead entries behind.

#[path = "measure.rs"]
mod measure;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use criterion::{BenchmarkId, Criterion};
use windtunnel::kernel::{Calendar, Phase};
use windtunnel::random::Stream;
use windtunnel::time::{SimDuration, SimTime};

/// Events of one measured run.
const EVENTS: usize = 400_000;

/// Spans and victims, drawn before the clock runs.
struct Draws {
    spans: Vec<SimDuration>,
    victims: Vec<u32>,
}

impl Draws {
    fn new(pending: u32) -> Self {
        const DRAWN: usize = 1 << 16;
        let mut stream = Stream::new(1, "hold", u64::from(pending), 0);
        let spans = (0..DRAWN).map(|_| SimDuration::from_micros(stream.exponential(1e9) as i64)).collect();
        let victims = (0..DRAWN).map(|_| stream.below(u64::from(pending)) as u32).collect();
        Self { spans, victims }
    }

    fn span(&self, n: usize) -> SimDuration {
        self.spans[n & (self.spans.len() - 1)]
    }

    fn victim(&self, n: usize) -> u32 {
        self.victims[n & (self.victims.len() - 1)]
    }
}

/// `moves` other timers are moved at each event.
fn calendar(draws: &Draws, pending: u32, moves: usize, events: usize) -> SimTime {
    let mut calendar = Calendar::new();
    for key in 0..pending {
        calendar.set(key, SimTime::ZERO + draws.span(key as usize), Phase::Release);
    }
    let mut now = SimTime::ZERO;
    let mut drawn = 0;
    for _ in 0..events {
        now = calendar.next_at().expect("events are pending");
        let key = calendar.pop_due(now, Phase::Pass).expect("one is due");
        calendar.set(key, now + draws.span(drawn), Phase::Release);
        for _ in 0..moves {
            drawn += 1;
            calendar.set(draws.victim(drawn), now + draws.span(drawn), Phase::Release);
        }
        drawn += 1;
    }
    now
}

/// Entries as the calendar has them: instant, phase, sequence, key.
type Entry = Reverse<(SimTime, Phase, u64, u32)>;

/// The same without moves.
fn heap(draws: &Draws, pending: u32, events: usize) -> SimTime {
    let mut heap: BinaryHeap<Entry> = BinaryHeap::new();
    let mut sequence = 0;
    for key in 0..pending {
        sequence += 1;
        heap.push(Reverse((SimTime::ZERO + draws.span(key as usize), Phase::Release, sequence, key)));
    }
    let mut now = SimTime::ZERO;
    for n in 0..events {
        let Reverse((at, _, _, key)) = heap.pop().expect("events are pending");
        now = at;
        sequence += 1;
        heap.push(Reverse((now + draws.span(n), Phase::Release, sequence, key)));
    }
    now
}

/// Moves by lazy deletion: the old entry stays until it comes up, and is dropped then because its
/// sequence is not the key's newest.
fn lazy_heap(draws: &Draws, pending: u32, moves: usize, events: usize) -> SimTime {
    let mut heap: BinaryHeap<Entry> = BinaryHeap::new();
    let mut newest = vec![0u64; pending as usize];
    let mut sequence = 0;
    let mut set = |heap: &mut BinaryHeap<Entry>, newest: &mut [u64], key: u32, at: SimTime| {
        sequence += 1;
        newest[key as usize] = sequence;
        heap.push(Reverse((at, Phase::Release, sequence, key)));
    };
    for key in 0..pending {
        set(&mut heap, &mut newest, key, SimTime::ZERO + draws.span(key as usize));
    }
    let mut now = SimTime::ZERO;
    let mut drawn = 0;
    for _ in 0..events {
        let key = loop {
            let Reverse((at, _, stamp, key)) = heap.pop().expect("events are pending");
            if newest[key as usize] == stamp {
                now = at;
                break key;
            }
        };
        set(&mut heap, &mut newest, key, now + draws.span(drawn));
        for _ in 0..moves {
            drawn += 1;
            set(&mut heap, &mut newest, draws.victim(drawn), now + draws.span(drawn));
        }
        drawn += 1;
    }
    now
}

fn table() {
    println!("{:>8} {:>6} {:>12} {:>12} {:>7}  target", "pending", "moves", "calendar", "heap", "ratio");
    for pending in [100, 10_000, 100_000] {
        let draws = Draws::new(pending);
        for moves in [0, 1, 4] {
            let other = |events| {
                if moves == 0 {
                    heap(&draws, pending, events)
                } else {
                    lazy_heap(&draws, pending, moves, events)
                }
            };
            assert_eq!(
                calendar(&draws, pending, moves, 1_000),
                other(1_000),
                "the same events in the same order"
            );
            let events = EVENTS / (moves + 1);
            let best = measure::shortest(
                7,
                &mut [
                    &mut || {
                        std::hint::black_box(calendar(&draws, pending, moves, events));
                    },
                    &mut || {
                        std::hint::black_box(other(events));
                    },
                ],
            );
            let per_event = |at: usize| best[at].as_secs_f64() * 1e9 / events as f64;
            let ratio = per_event(0) / per_event(1);
            let target = match (pending, moves) {
                (10_000, 0) => format!("<= 3.5 {}", measure::verdict(ratio, 3.5)),
                (_, 4) => format!("< 1 {}", measure::verdict(ratio, 1.0)),
                _ => String::new(),
            };
            println!(
                "{pending:>8} {moves:>6} {:>9.0} ns {:>9.0} ns {ratio:>7.2}  {target}",
                per_event(0),
                per_event(1)
            );
        }
    }
}

fn main() {
    table();
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("hold");
    for pending in [100, 10_000, 100_000] {
        let draws = Draws::new(pending);
        group.throughput(criterion::Throughput::Elements(20_000));
        group.bench_function(BenchmarkId::new("calendar", pending), |b| {
            b.iter(|| calendar(&draws, pending, 0, 20_000));
        });
        group.bench_function(BenchmarkId::new("calendar, 4 moves", pending), |b| {
            b.iter(|| calendar(&draws, pending, 4, 20_000));
        });
    }
    group.finish();
    criterion.final_summary();
}

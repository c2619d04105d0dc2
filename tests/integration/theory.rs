//! Queueing theory: mean waits of generated workloads against closed formulas.
//!
//! Each figure is the mean over independent replications with fixed seeds. The formula must lie in the
//! 99.9 % confidence interval of the replications' means (Student's t), and the interval must be narrow,
//! so that a wrong simulator cannot hide in it.

use windtunnel::random::Stream;
use windtunnel::scheduler::PolicySpec;
use windtunnel::simulation::{Outcome, RunOptions, simulate};

use super::builders::{JobRow, classic, job, policy_of, processors, trace};

const REPLICATIONS: u64 = 30;
const JOBS: usize = 12_000;
/// Left out at the start of each replication, while the queue fills.
const WARM_UP: usize = 2_000;
/// Student's t, two-sided 99.9 %, 29 degrees of freedom.
const T: f64 = 3.659;

/// A queue with `servers` equal servers, Poisson arrivals and the given service times.
struct Queue<'a> {
    name: &'a str,
    servers: u32,
    /// Arrivals per second.
    rate: f64,
    service: &'a dyn Fn(&mut Stream) -> f64,
    policy: PolicySpec,
    /// Priority of a job.
    priority: &'a dyn Fn(&mut Stream) -> i64,
}

/// A finished replication: its rows in order, and what happened.
struct Replication {
    rows: Vec<JobRow>,
    outcome: Outcome,
}

impl Queue<'_> {
    fn replicate(&self, seed: u64) -> Replication {
        let mut arrivals = Stream::new(seed, self.name, 0, 0);
        let mut services = Stream::new(seed, self.name, 1, 0);
        let mut classes = Stream::new(seed, self.name, 2, 0);
        let mut now_s = 0.0;
        let us = |s: f64| ((s * 1e6) as i64).max(1);
        let draw = |_| {
            now_s += arrivals.exponential(1.0 / self.rate);
            let row = job().at_us(us(now_s)).run_us(us((self.service)(&mut services)));
            row.priority((self.priority)(&mut classes))
        };
        let rows: Vec<JobRow> = (0..JOBS).map(draw).collect();
        let workload = trace().jobs(rows.iter().cloned()).build();
        let outcome =
            simulate(&workload, &processors(self.servers), policy_of(&self.policy), &RunOptions::default());
        Replication { rows, outcome: outcome.unwrap() }
    }

    /// The replications' means of `measure` agree with `theory`.
    fn agrees(&self, what: &str, theory: f64, within: f64, measure: impl Fn(&Replication) -> f64) {
        let means: Vec<f64> = (0..REPLICATIONS).map(|seed| measure(&self.replicate(seed))).collect();
        let n = means.len() as f64;
        let mean = means.iter().sum::<f64>() / n;
        let variance = means.iter().map(|m| (m - mean) * (m - mean)).sum::<f64>() / (n - 1.0);
        let half = T * (variance / n).sqrt();
        println!("{}: {what} {mean:.4} ± {half:.4}, theory {theory:.4}", self.name);
        assert!((mean - theory).abs() <= half, "{}: {what} {mean} ± {half}, theory {theory}", self.name);
        assert!(half <= within * theory, "{}: the interval ± {half} says too little", self.name);
    }
}

/// Waits in seconds after the warm-up, of the jobs that `of` accepts.
fn waits(replication: &Replication, of: impl Fn(&JobRow) -> bool) -> Vec<f64> {
    let records = replication.outcome.records.iter();
    let rows = replication.rows.iter().zip(records).skip(WARM_UP).filter(|(row, _)| of(row));
    rows.map(|(row, record)| (record.start.micros() - row.submit_us) as f64 / 1e6).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn mean_wait(replication: &Replication) -> f64 {
    mean(&waits(replication, |_| true))
}

fn fcfs<'a>(name: &'a str, servers: u32, rate: f64, service: &'a dyn Fn(&mut Stream) -> f64) -> Queue<'a> {
    Queue { name, servers, rate, service, policy: classic("fcfs"), priority: &|_| 0 }
}

/// Probability that an arrival waits in M/M/c with offered load `a` (Erlang's C formula).
fn erlang_c(servers: u32, a: f64) -> f64 {
    // Erlang's B by its recursion, then C = B / (1 - rho (1 - B)).
    let b = (1..=servers).fold(1.0, |b, n| a * b / (f64::from(n) + a * b));
    b / (1.0 - a / f64::from(servers) * (1.0 - b))
}

/// Mean wait in M/G/1 (Pollaczek and Khinchine).
fn pollaczek_khinchine(rate: f64, mean: f64, second_moment: f64) -> f64 {
    rate * second_moment / (2.0 * (1.0 - rate * mean))
}

#[test]
fn erlang_c_has_its_known_values() {
    assert!((erlang_c(1, 0.7) - 0.7).abs() < 1e-12);
    // Two servers: C = 2 rho^2 / (1 + rho).
    assert!((erlang_c(2, 1.0) - 1.0 / 3.0).abs() < 1e-12);
}

#[test]
fn m_m_1() {
    let queue = fcfs("M/M/1", 1, 0.7, &|s| s.exponential(1.0));
    queue.agrees("mean wait", 0.7 / 0.3, 0.10, mean_wait);
}

#[test]
fn m_m_c() {
    for (servers, rate, within) in [(2, 1.5, 0.1), (8, 6.0, 0.15), (64, 58.0, 0.3)] {
        let queue = fcfs("M/M/c", servers, rate, &|s| s.exponential(1.0));
        let c = erlang_c(servers, rate);
        queue.agrees("mean wait", c / (f64::from(servers) - rate), within, mean_wait);
        queue.agrees("probability of waiting", c, within, |r| {
            let all = waits(r, |_| true);
            all.iter().filter(|wait| **wait > 0.0).count() as f64 / all.len() as f64
        });
    }
}

#[test]
fn m_d_1() {
    let queue = fcfs("M/D/1", 1, 0.8, &|_| 1.0);
    queue.agrees("mean wait", pollaczek_khinchine(0.8, 1.0, 1.0), 0.10, mean_wait);
}

#[test]
fn m_g_1() {
    // Uniform on [0, 2): second moment 4/3.
    let uniform = fcfs("M/U/1", 1, 0.75, &|s| 2.0 * s.uniform());
    uniform.agrees("mean wait", pollaczek_khinchine(0.75, 1.0, 4.0 / 3.0), 0.10, mean_wait);
    // Log-normal, sigma 1, mean 1: second moment e^(sigma^2).
    let heavy = fcfs("M/LN/1", 1, 0.5, &|s| s.lognormal(libm::exp(-0.5), 1.0));
    heavy.agrees("mean wait", pollaczek_khinchine(0.5, 1.0, libm::exp(1.0)), 0.15, mean_wait);
}

#[test]
fn priorities_without_preemption() {
    // Cobham: W_k = W_0 / ((1 - s_(k-1)) (1 - s_k)), W_0 = rate E[S^2] / 2, s_k = load of classes 1..k.
    let queue = Queue {
        name: "M/M/1 with two priorities",
        servers: 1,
        rate: 0.7,
        service: &|s| s.exponential(1.0),
        policy: classic("priority"),
        priority: &|s| i64::from(s.uniform() < 0.4),
    };
    let (urgent, all) = (0.4 * 0.7, 0.7);
    queue.agrees("wait of the urgent", 0.7 / (1.0 - urgent), 0.10, |r| mean(&waits(r, |j| j.priority == 1)));
    queue.agrees("wait of the others", 0.7 / ((1.0 - urgent) * (1.0 - all)), 0.15, |r| {
        mean(&waits(r, |j| j.priority == 0))
    });
}

#[test]
fn the_queue_is_as_long_as_little_says() {
    // Exact for a run that starts and ends empty: jobs waiting x time = sum of waits.
    let queue = fcfs("Little", 4, 3.2, &|s| s.exponential(1.0));
    let replication = queue.replicate(1);
    let records = replication.outcome.records.iter();
    let waited: i128 = replication
        .rows
        .iter()
        .zip(records)
        .map(|(row, r)| i128::from(r.start.micros() - row.submit_us))
        .sum();
    assert_eq!(replication.outcome.hours.waiting_job_us, waited);
}

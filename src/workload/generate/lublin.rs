//! The Lublin-Feitelson model of rigid parallel jobs.
//!
//! U. Lublin and D. G. Feitelson, "The workload on parallel supercomputers: modeling the characteristics
//! of rigid jobs", J. Parallel Distrib. Comput. 63(11), 2003. Sizes: serial, powers of two, or any, with a
//! two-stage uniform logarithm. Run times: a hyper-gamma logarithm whose mixing depends on the size.
//! Arrivals: a gamma logarithm in a time that runs fast in busy half-hours and slowly at night.
//! The values are those of the paper, in the precision of the authors' program (`lublin99.c`, 1999).
//!
//! Our own words on arrivals: the k-th arrival of a type happens when the integrated daily shape reaches
//! the sum of the first k gaps. That is the program's bookkeeping of points and remainders, written as an
//! inverse, and it lets a load be set by one factor on the gaps, which leaves the daily shape as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gamma::gamma_cdf;
use super::{Check, MAX_JOBS};
use crate::diagnostic::Diagnostics;
use crate::random::Stream;
use crate::time::{SimDuration, SimTime};
use crate::workload::{Job, JobFlags, JobName, Labels, Request, Workload};

/// Settings of the Lublin-Feitelson model. Without any: the authors' program for 256 processors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LublinParams {
    /// Jobs to make (default 10000).
    pub jobs: Option<u64>,
    /// Processors of the machine, 4 or more (default 256); the largest job has so many.
    pub processors: Option<u32>,
    /// Offered load: sum(run x processors) / (processors of the machine x time from first to last
    /// submit). Default: what the published arrivals give.
    pub load: Option<f64>,
    /// One population, or batch and interactive jobs side by side (default, as in the authors' program).
    pub types: Option<JobTypes>,
    /// Share of jobs on one processor (default: published, 0.244 mixed, 0.2927 batch, 0.1541 interactive).
    pub serial_share: Option<f64>,
    /// Share of jobs rounded to a power of two (published: 0.576 mixed, 0.6686 batch, 0.625 interactive).
    pub power_of_two_share: Option<f64>,
    /// Longest run in seconds (default exp(12) = 162754 s; longer draws are drawn again).
    pub run_max_s: Option<u64>,
}

/// Which populations are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobTypes {
    /// One population, fitted to whole logs.
    Mixed,
    /// Batch and interactive jobs with parameters of their own.
    BatchAndInteractive,
}

const JOBS: u64 = 10_000;
const PROCESSORS: u32 = 256;
const TYPES: JobTypes = JobTypes::BatchAndInteractive;

impl LublinParams {
    /// The settings with the defaults of the size written in; those of the populations stay published.
    pub(super) fn with_defaults(&self) -> Self {
        Self {
            jobs: self.jobs.or(Some(JOBS)),
            processors: self.processors.or(Some(PROCESSORS)),
            types: self.types.or(Some(TYPES)),
            ..self.clone()
        }
    }
}

/// Published values of one population (see the module's head for the source).
struct Population {
    class: Option<&'static str>,
    serial: f64,
    power_of_two: f64,
    /// log2 of the smallest parallel size.
    low: f64,
    /// log2 of the processors less log2 of the largest size.
    high_below: f64,
    /// log2 of the largest size less the changing point of the two-stage distribution.
    med_below: f64,
    low_probability: f64,
    /// (shape, scale) of the two gammas of ln(run), and share of the first = slope x size + offset.
    short: (f64, f64),
    long: (f64, f64),
    slope: f64,
    offset: f64,
    /// (shape, scale) of ln(gap in s); the shape includes the rush-to-all ratio.
    gap: (f64, f64),
    /// (shape, scale) of the daily shape over half-hours.
    day: (f64, f64),
}

const MIXED: Population = Population {
    class: None,
    serial: 0.244,
    power_of_two: 0.576,
    low: 0.8,
    high_below: 0.0,
    med_below: 2.5,
    low_probability: 0.86,
    short: (4.2, 0.94),
    long: (312.0, 0.03),
    slope: -0.0054,
    offset: 0.78,
    gap: (10.2303 * 1.0225, 0.4871),
    day: (8.1737, 3.9631),
};

const BATCH: Population = Population {
    class: Some("batch"),
    serial: 0.2927,
    power_of_two: 0.6686,
    low: 1.2,
    high_below: 0.0,
    med_below: 2.0,
    low_probability: 0.875,
    short: (6.57, 0.823),
    long: (639.1, 0.0156),
    slope: -0.003,
    offset: 0.6986,
    gap: (6.0415 * 1.0519, 0.8531),
    day: (6.1271, 5.2740),
};

const INTERACTIVE: Population = Population {
    class: Some("interactive"),
    serial: 0.1541,
    power_of_two: 0.625,
    low: 1.0,
    high_below: 1.5,
    med_below: 2.5,
    low_probability: 0.705,
    short: (3.8351, 0.6605),
    long: (7.073, 0.6856),
    slope: -0.0118,
    offset: 0.9156,
    gap: (6.5510 * 0.9797, 0.6621),
    day: (8.9186, 3.6680),
};

/// Half-hours in a day.
const BUCKETS: usize = 48;
const BUCKET_S: f64 = 1800.0;
/// The modelled day begins in this half-hour (05:00 to 05:30, counted from 1), the calmest one.
const DAY_START: usize = 11;
/// ln of the longest gap: exp(13) s, five days.
const LN_GAP_MAX: f64 = 13.0;
/// ln of the longest run: exp(12) s, not quite two days.
const LN_RUN_MAX: f64 = 12.0;

/// One job before it has a place in time.
struct Draft {
    /// Accumulated gaps, in half-hours of mean activity.
    points: f64,
    population: usize,
    processors: u32,
    run_s: i64,
}

pub(super) fn generate(params: &LublinParams, seed: u64) -> Result<Workload, Diagnostics> {
    check(params)?;
    let processors = params.processors.unwrap_or(PROCESSORS);
    let populations: &[Population] = match params.types.unwrap_or(TYPES) {
        JobTypes::Mixed => &[MIXED],
        JobTypes::BatchAndInteractive => &[BATCH, INTERACTIVE],
    };
    let shapes: Vec<DailyShape> = populations.iter().map(|p| DailyShape::new(p.day)).collect();
    let drafts = draw(params, populations, processors, seed);
    let factor = load_factor(params.load, processors, &drafts, &shapes);
    let mut timed: Vec<(i64, Draft)> =
        drafts.into_iter().map(|d| (shapes[d.population].time_s(d.points * factor) as i64, d)).collect();
    timed.sort_by_key(|(submit_s, _)| *submit_s);
    Ok(assemble(params, processors, populations, seed, &timed))
}

fn check(params: &LublinParams) -> Result<(), Diagnostics> {
    let mut check = Check::default();
    if let Some(jobs) = params.jobs {
        check.that((1..=MAX_JOBS).contains(&jobs), "jobs", jobs, "it lies between 1 and 100 million");
    }
    if let Some(p) = params.processors {
        check.that((4..=1 << 24).contains(&p), "processors", p, "it lies between 4 and 2^24");
    }
    if let Some(load) = params.load {
        check.that(load > 0.0 && load <= 100.0, "load", load, "it lies above 0 and at most at 100");
    }
    let shares = [("serial-share", params.serial_share), ("power-of-two-share", params.power_of_two_share)];
    for (key, share) in shares {
        check.that(
            share.is_none_or(|s| (0.0..=1.0).contains(&s)),
            key,
            share,
            "a share lies between 0 and 1",
        );
    }
    if let Some(run) = params.run_max_s {
        check.that(
            (60..=100_000_000).contains(&run),
            "run-max-s",
            run,
            "it lies between 60 and 10^8 seconds",
        );
    }
    check.done()
}

/// Jobs of all populations in the order in which they arrive (at the published rates).
fn draw(params: &LublinParams, populations: &[Population], processors: u32, seed: u64) -> Vec<Draft> {
    let jobs = params.jobs.unwrap_or(JOBS);
    let mut points = vec![0.0; populations.len()];
    let mut counts = vec![0_u64; populations.len()];
    let gap = |population: usize, k: u64| {
        let mut stream = Stream::new(seed, "generate.lublin.gap", population as u64, k);
        libm::exp(gamma_below(&mut stream, populations[population].gap, LN_GAP_MAX)) / BUCKET_S
    };
    for (population, at) in points.iter_mut().enumerate() {
        *at = gap(population, 0);
    }
    let mut drafts = Vec::with_capacity(jobs as usize);
    for _ in 0..jobs {
        let population = (0..points.len()).min_by(|a, b| points[*a].total_cmp(&points[*b])).unwrap_or(0);
        let mut stream = Stream::new(seed, "generate.lublin.job", population as u64, counts[population]);
        let size = draw_size(&mut stream, &populations[population], params, processors);
        let run_s = draw_run(&mut stream, &populations[population], params, size);
        drafts.push(Draft { points: points[population], population, processors: size, run_s });
        counts[population] += 1;
        points[population] += gap(population, counts[population]);
    }
    drafts
}

fn draw_size(stream: &mut Stream, population: &Population, params: &LublinParams, processors: u32) -> u32 {
    let serial = params.serial_share.unwrap_or(population.serial);
    let power_of_two = params.power_of_two_share.unwrap_or(population.power_of_two);
    let kind = stream.uniform();
    if kind < serial {
        return 1;
    }
    let high = libm::log2(f64::from(processors)) - population.high_below;
    let high = high.max(population.low);
    let med = (high - population.med_below).max(population.low);
    let (from, to) =
        if stream.uniform() < population.low_probability { (population.low, med) } else { (med, high) };
    let mut exponent = from + stream.uniform() * (to - from);
    if kind < serial + power_of_two {
        exponent = (exponent + 0.5).floor();
    }
    ((libm::exp2(exponent) + 0.5) as u32).clamp(1, processors)
}

fn draw_run(stream: &mut Stream, population: &Population, params: &LublinParams, size: u32) -> i64 {
    let ln_max = params.run_max_s.map_or(LN_RUN_MAX, |s| libm::log(s as f64));
    let short = (population.slope * f64::from(size) + population.offset).clamp(0.0, 1.0);
    loop {
        let gamma = if stream.uniform() < short { population.short } else { population.long };
        let ln_run = stream.gamma(gamma.0, gamma.1);
        if ln_run <= ln_max {
            return (libm::exp(ln_run) as i64).max(1);
        }
    }
}

fn gamma_below(stream: &mut Stream, (shape, scale): (f64, f64), max: f64) -> f64 {
    loop {
        let drawn = stream.gamma(shape, scale);
        if drawn <= max {
            return drawn;
        }
    }
}

/// The factor on all gaps that brings the offered load to `load`, or 1.
///
/// The span is a monotone function of the factor (each arrival's time is), so bisection finds it.
fn load_factor(load: Option<f64>, processors: u32, drafts: &[Draft], shapes: &[DailyShape]) -> f64 {
    let Some(load) = load else { return 1.0 };
    let work: f64 = drafts.iter().map(|d| d.run_s as f64 * f64::from(d.processors)).sum();
    let target_s = work / (load * f64::from(processors));
    // Within a population the order is kept, so its first and last job are enough.
    let ends: Vec<&Draft> = (0..shapes.len())
        .flat_map(|p| {
            let of = |d: &&Draft| d.population == p;
            [drafts.iter().find(of), drafts.iter().rev().find(of)]
        })
        .flatten()
        .collect();
    let span = |factor: f64| {
        let times = ends.iter().map(|d| shapes[d.population].time_s(d.points * factor));
        let (first, last) = times.fold((f64::INFINITY, 0.0_f64), |(a, b), t| (a.min(t), b.max(t)));
        last - first
    };
    let (mut low, mut high) = (1e-9, 1e9);
    for _ in 0..64 {
        let middle = libm::sqrt(low * high);
        if span(middle) < target_s { low = middle } else { high = middle }
    }
    libm::sqrt(low * high)
}

/// The daily shape, integrated.
struct DailyShape {
    /// Points passed at the start of each half-hour of the day; the last is the whole day's, 48.
    passed: [f64; BUCKETS + 1],
}

impl DailyShape {
    fn new((shape, scale): (f64, f64)) -> Self {
        let mut weights = [0.0; BUCKETS];
        for i in DAY_START..BUCKETS + DAY_START {
            let centre = i as f64;
            weights[(i - 1) % BUCKETS] =
                gamma_cdf(centre + 0.5, shape, scale) - gamma_cdf(centre - 0.5, shape, scale);
        }
        let total: f64 = weights.iter().sum();
        let mut passed = [0.0; BUCKETS + 1];
        for (i, weight) in weights.iter().enumerate() {
            passed[i + 1] = passed[i] + weight / total * BUCKETS as f64;
        }
        Self { passed }
    }

    /// Seconds after midnight of the first day at which `points` have passed.
    fn time_s(&self, points: f64) -> f64 {
        let day = (points / BUCKETS as f64).floor();
        let rest = points - day * BUCKETS as f64;
        let bucket = self.passed.partition_point(|p| *p <= rest).clamp(1, BUCKETS) - 1;
        let width = self.passed[bucket + 1] - self.passed[bucket];
        let part = ((rest - self.passed[bucket]) / width).clamp(0.0, 1.0);
        (day * BUCKETS as f64 + bucket as f64 + part) * BUCKET_S
    }
}

fn assemble(
    params: &LublinParams,
    processors: u32,
    populations: &[Population],
    seed: u64,
    timed: &[(i64, Draft)],
) -> Workload {
    let mut workload = Workload::default();
    let labels: Vec<_> = populations
        .iter()
        .map(|p| {
            let class = p.class.map(|c| workload.texts.intern(c));
            workload.labels.intern(&Labels { class, ..Labels::default() })
        })
        .collect();
    for (at, (submit_s, draft)) in timed.iter().enumerate() {
        let request = Request { tasks: Some(draft.processors), ..Request::default() };
        let run = SimDuration::from_s(draft.run_s);
        workload.jobs.push(Job {
            submit: SimTime::from_s(*submit_s),
            run,
            limit: run,
            priority: 0,
            name: JobName::Number(u32::try_from(at + 1).expect("MAX_JOBS fits 32 bits")),
            request: workload.requests.intern(&request),
            labels: labels[draft.population],
            flags: JobFlags::LIMIT_UNKNOWN,
        });
    }
    workload.repairs.rows_read = timed.len() as u64;
    workload.header = header(params, processors, seed, timed);
    workload
}

/// Keys of the Standard Workload Format's header.
fn header(
    params: &LublinParams,
    processors: u32,
    seed: u64,
    timed: &[(i64, Draft)],
) -> Vec<(String, String)> {
    let longest = timed.iter().map(|(_, d)| d.run_s).max().unwrap_or(0);
    let mut note = format!("generator lublin; seed {seed}; processors {processors}");
    if let Some(load) = params.load {
        note.push_str(&format!("; load {load}"));
    }
    if let Some(JobTypes::Mixed) = params.types {
        note.push_str("; types mixed");
    }
    if let Some(share) = params.serial_share {
        note.push_str(&format!("; serial-share {share}"));
    }
    if let Some(share) = params.power_of_two_share {
        note.push_str(&format!("; power-of-two-share {share}"));
    }
    if let Some(run) = params.run_max_s {
        note.push_str(&format!("; run-max-s {run}"));
    }
    let pair = |key: &str, value: String| (key.to_owned(), value);
    vec![
        pair("Version", "2.2".to_owned()),
        pair("Computer", format!("synthetic machine of {processors} processors")),
        pair("Information", "Lublin and Feitelson, J. Parallel Distrib. Comput. 63(11), 2003".to_owned()),
        pair("MaxJobs", timed.len().to_string()),
        pair("MaxRecords", timed.len().to_string()),
        pair("MaxNodes", processors.to_string()),
        pair("MaxProcs", processors.to_string()),
        pair("MaxRuntime", longest.to_string()),
        pair("Note", note),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(params: LublinParams) -> Workload {
        generate(&params, 7).unwrap()
    }

    fn sizes(workload: &Workload) -> Vec<u32> {
        workload.jobs.iter().map(|j| workload.requests.get(j.request).tasks.unwrap()).collect()
    }

    #[test]
    fn sizes_have_the_published_shares() {
        let mixed =
            made(LublinParams { jobs: Some(40_000), types: Some(JobTypes::Mixed), ..Default::default() });
        let sizes = sizes(&mixed);
        let share =
            |f: &dyn Fn(u32) -> bool| sizes.iter().filter(|s| f(**s)).count() as f64 / sizes.len() as f64;
        assert!((share(&|s| s == 1) - 0.244).abs() < 0.01);
        // A few of the jobs that are not rounded fall on a power of two by chance (or on 3 and 1).
        let powers = share(&|s| s > 1 && s.is_power_of_two());
        assert!((0.57..0.64).contains(&powers), "{powers}");
        assert!(sizes.iter().all(|s| (1..=256).contains(s)));
    }

    #[test]
    fn larger_jobs_run_longer() {
        let w = made(LublinParams { jobs: Some(40_000), types: Some(JobTypes::Mixed), ..Default::default() });
        let mean = |f: &dyn Fn(u32) -> bool| {
            let runs: Vec<f64> =
                w.jobs.iter().zip(sizes(&w)).filter(|(_, s)| f(*s)).map(|(j, _)| j.run.as_s()).collect();
            runs.iter().sum::<f64>() / runs.len() as f64
        };
        assert!(mean(&|s| s >= 64) > 1.5 * mean(&|s| s <= 2));
    }

    #[test]
    fn the_load_is_met_and_the_daily_shape_stays() {
        for load in [0.3, 0.75, 1.2] {
            let w = made(LublinParams { jobs: Some(8_000), load: Some(load), ..Default::default() });
            let work: f64 = w.jobs.iter().zip(sizes(&w)).map(|(j, s)| j.run.as_s() * f64::from(s)).sum();
            let rows = w.jobs.as_slice();
            let span = rows[rows.len() - 1].submit.as_s() - rows[0].submit.as_s();
            let got = work / (256.0 * span);
            assert!((got / load - 1.0).abs() < 0.005, "{got} against {load}");
            let hour = |h: i64| rows.iter().filter(|j| j.submit.as_s() as i64 / 3600 % 24 == h).count();
            assert!(hour(13) > 3 * hour(4), "busy at 13 h, calm at 4 h");
        }
    }

    #[test]
    fn the_daily_shape_is_its_own_inverse() {
        let shape = DailyShape::new(MIXED.day);
        let mut before = -1.0;
        for i in 0..2000 {
            let t = shape.time_s(f64::from(i) * 0.1);
            assert!(t > before);
            before = t;
        }
        assert!((shape.time_s(48.0) - 86_400.0).abs() < 1e-6);
    }

    #[test]
    fn settings_out_of_range_are_told_together() {
        let params = LublinParams {
            jobs: Some(0),
            load: Some(-1.0),
            serial_share: Some(f64::NAN),
            ..Default::default()
        };
        assert_eq!(generate(&params, 1).unwrap_err().errors(), 3);
    }

    #[test]
    fn same_seed_same_jobs() {
        let params = LublinParams { jobs: Some(500), ..Default::default() };
        let jobs = |seed| generate(&params, seed).unwrap().jobs;
        assert_eq!(jobs(1), jobs(1));
        assert_ne!(jobs(1), jobs(2));
    }
}

//! Drawing the jobs: bursts first, then their place in time.
//!
//! Bursts are drawn one after another, each from a stream of its own, until there are enough jobs or
//! enough GPU time. Where jobs and load are given, the span of time follows from the work that was drawn;
//! where days and load are given, drawing stops as near to the wanted work as whole jobs allow and the
//! run times are scaled by what is left (a fraction of a percent unless the trace is tiny). Only then do
//! the bursts get their instants, so a load never bends a distribution.

use super::cycle::Cycle;
use super::{ClassParams, JobKind, RunPart, Settings};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::ids::{LabelId, RequestId};
use crate::random::Stream;
use crate::time::{SimDuration, SimTime};
use crate::workload::generate::{MAX_JOBS, one};
use crate::workload::{Job, JobFlags, JobName, Labels, Recorded, Request, Workload};

/// A class with all that is worked out once.
struct Class<'a> {
    name: &'a str,
    params: &'a ClassParams,
    gpus: Weighted<u32>,
    gpu_milli: Weighted<u32>,
    gpu_mem_mib: Weighted<u64>,
    cpus: Weighted<u32>,
    mem_mb: Weighted<u64>,
    run: &'a [RunPart],
    run_weights: Vec<f64>,
    /// Weight of each user in this class.
    users: Cumulative,
}

/// Values with their weights, summed up.
struct Weighted<T> {
    values: Vec<T>,
    weights: Cumulative,
}

impl<T: Copy> Weighted<T> {
    fn new(rows: &[(T, f64)]) -> Self {
        let values = rows.iter().map(|r| r.0).collect();
        Self { values, weights: Cumulative::new(rows.iter().map(|r| r.1)) }
    }

    fn draw(&self, stream: &mut Stream) -> T {
        self.values[self.weights.draw(stream)]
    }
}

/// Weights summed up, for draws by binary search.
struct Cumulative(Vec<f64>);

impl Cumulative {
    fn new(weights: impl Iterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        Self(
            weights
                .map(|w| {
                    sum += w;
                    sum
                })
                .collect(),
        )
    }

    fn total(&self) -> f64 {
        self.0.last().copied().unwrap_or(0.0)
    }

    fn draw(&self, stream: &mut Stream) -> usize {
        let at = stream.uniform() * self.total();
        // Equal sums belong to weights of zero, which are passed over.
        self.0.partition_point(|sum| *sum <= at).min(self.0.len() - 1)
    }
}

struct Burst {
    class: u32,
    /// Where in the run of all bursts of the class it begins, 0 to 1.
    part: f64,
    request: RequestId,
    labels: LabelId,
    /// Milli-GPUs of each job.
    gpu_milli: u64,
    /// What the user types as a limit, before rounding.
    limit_s: f64,
}

struct Draft {
    burst: u32,
    /// After the burst's beginning.
    offset_s: f64,
    run_s: f64,
    gpu_util_milli: Option<u16>,
}

/// What is being drawn, not yet placed in time.
struct Drawing<'a> {
    settings: &'a Settings,
    wanted_jobs: u64,
    /// GPU-seconds, where they decide when to stop.
    wanted_work: Option<f64>,
    bursts: Vec<Burst>,
    drafts: Vec<Draft>,
    /// GPU-seconds so far, as asked for.
    work: f64,
    workload: Workload,
}

pub(super) fn generate(settings: &Settings, seed: u64) -> Result<Workload, Diagnostics> {
    let classes = classes(settings, seed)?;
    let mut drawing = Drawing::draw(settings, &classes, seed)?;
    let span_s = drawing.settle_load();
    let mut workload = drawing.place(&classes, seed, span_s);
    workload.header = header(settings, seed, &workload);
    Ok(workload)
}

fn classes(settings: &Settings, seed: u64) -> Result<Vec<Class<'_>>, Diagnostics> {
    let mut wrong = Diagnostics::default();
    let mut classes = Vec::new();
    for (index, (name, params)) in settings.classes.iter().enumerate() {
        if params.share == Some(0.0) {
            continue;
        }
        let fitting: Vec<(u32, f64)> =
            params.gpus.iter().flatten().copied().filter(|(gpus, _)| *gpus <= settings.gpus).collect();
        if !fitting.iter().any(|(_, w)| *w > 0.0) {
            wrong.push(
                Diagnostic::error("W0181", format!("no job of class `{name}` fits {} GPUs", settings.gpus))
                    .help(format!(
                        "raise `gpus`, or give `class.{name}.gpus` smaller counts, or `share` = 0"
                    )),
            );
            continue;
        }
        let user_weight = |user: u32| {
            let mut stream = Stream::new(seed, "generate.research.taste", u64::from(user), index as u64);
            stream.lognormal(1.0, settings.user_taste) / libm::pow(f64::from(user) + 1.0, settings.user_zipf)
        };
        let run = params.run.as_deref().unwrap_or(&[]);
        classes.push(Class {
            name,
            params,
            gpus: Weighted::new(&fitting),
            gpu_milli: Weighted::new(params.gpu_milli.as_deref().unwrap_or(&[(1000, 1.0)])),
            gpu_mem_mib: Weighted::new(params.gpu_mem_mib.as_deref().unwrap_or(&[(0, 1.0)])),
            cpus: Weighted::new(params.cpus.as_deref().unwrap_or(&[(8, 1.0)])),
            mem_mb: Weighted::new(params.mem_mb.as_deref().unwrap_or(&[(0, 1.0)])),
            run,
            run_weights: run.iter().map(|p| p.weight).collect(),
            users: Cumulative::new((0..settings.users).map(user_weight)),
        });
    }
    if wrong.is_empty() { Ok(classes) } else { Err(wrong) }
}

impl Class<'_> {
    fn burst_size(&self, stream: &mut Stream) -> u32 {
        let drawn =
            stream.lognormal(self.params.burst_median.unwrap_or(1.0), self.params.burst_sigma.unwrap_or(0.0));
        ((drawn + 0.5) as u32).clamp(1, self.burst_max())
    }

    fn burst_max(&self) -> u32 {
        self.params.burst_max.unwrap_or(1000)
    }

    /// Mean of [`Self::burst_size`], exactly: 1 + the sum over k of P(size > k).
    fn burst_mean(&self) -> f64 {
        let median = self.params.burst_median.unwrap_or(1.0);
        let sigma = self.params.burst_sigma.unwrap_or(0.0);
        let above = |k: u32| {
            let ln = libm::log((f64::from(k) + 0.5) / median);
            if sigma == 0.0 {
                if ln <= 0.0 { 1.0 } else { 0.0 }
            } else {
                0.5 * libm::erfc(ln / sigma / std::f64::consts::SQRT_2)
            }
        };
        1.0 + (1..self.burst_max()).map(above).sum::<f64>()
    }
}

impl<'a> Drawing<'a> {
    /// Draws bursts until there is enough.
    fn draw(settings: &'a Settings, classes: &[Class<'_>], seed: u64) -> Result<Self, Diagnostics> {
        if settings.load.is_some() && !classes.iter().any(|c| c.gpus.values.iter().any(|g| *g > 0)) {
            let wrong = Diagnostic::error("W0181", "a load needs GPU jobs, but no class has any");
            return Err(one(wrong.help("give `jobs` and `days`, or a class GPUs")));
        }
        // A class's share counts jobs, so bursts are drawn by share / jobs of a burst.
        let by_class =
            Cumulative::new(classes.iter().map(|c| c.params.share.unwrap_or(0.0) / c.burst_mean()));
        let mut drawing = Self {
            settings,
            wanted_jobs: settings.jobs.unwrap_or(MAX_JOBS),
            wanted_work: settings.work_of_days(),
            bursts: Vec::new(),
            drafts: Vec::new(),
            work: 0.0,
            workload: Workload::default(),
        };
        for number in 0.. {
            let mut stream = Stream::new(seed, "generate.research.burst", number, 0);
            let index = by_class.draw(&mut stream);
            if drawing.burst(&classes[index], index, &mut stream) {
                break;
            }
        }
        if settings.jobs.is_none() && drawing.drafts.len() as u64 >= MAX_JOBS {
            let wrong = Diagnostic::error("W0181", "the settings ask for more than 100 million jobs");
            return Err(one(wrong.help("take fewer `days` or less `load`")));
        }
        Ok(drawing)
    }

    /// Draws one burst; tells whether there is enough now.
    fn burst(&mut self, class: &Class<'_>, index: usize, stream: &mut Stream) -> bool {
        let part = stream.uniform();
        let size = class.burst_size(stream);
        let user = class.users.draw(stream) as u32;
        let (request, gpu_milli) = draw_request(self.settings, class, stream);
        let run = BurstRun::draw(class, gpu_milli, stream);
        let burst = u32::try_from(self.bursts.len()).expect("MAX_JOBS fits 32 bits");
        self.bursts.push(Burst {
            class: index as u32,
            part,
            request: self.workload.requests.intern(&request),
            labels: labels(self.settings, class, user, &mut self.workload),
            gpu_milli,
            limit_s: draw_limit(class, &run, stream),
        });
        let is_array = stream.uniform() < class.params.array_share.unwrap_or(0.0);
        let mut offset_s = 0.0;
        for at in 0..size {
            if at > 0 && !is_array {
                offset_s += stream.exponential(class.params.gap_s.unwrap_or(60.0));
            }
            let run_s = run.job(class, stream);
            let draft = Draft { burst, offset_s, run_s, gpu_util_milli: draw_util(class, gpu_milli, stream) };
            if self.take(draft, run_s * gpu_milli as f64 / 1000.0) {
                return true;
            }
        }
        false
    }

    /// Takes a job; tells whether there is enough now. The job that goes beyond the wanted work is taken
    /// only if that comes nearer to it.
    fn take(&mut self, draft: Draft, work: f64) -> bool {
        let beyond = self.wanted_work.is_some_and(|wanted| self.work + work > wanted);
        let nearer = self.wanted_work.is_none_or(|wanted| self.work + work - wanted < wanted - self.work);
        if !beyond || nearer || self.work == 0.0 {
            self.work += work;
            self.drafts.push(draft);
        }
        beyond || self.drafts.len() as u64 >= self.wanted_jobs
    }

    /// Brings the work to the load, and tells the span of submissions in seconds.
    fn settle_load(&mut self) -> f64 {
        if let Some(wanted) = self.wanted_work {
            let factor = wanted / self.work;
            for draft in &mut self.drafts {
                if self.bursts[draft.burst as usize].gpu_milli > 0 {
                    draft.run_s *= factor;
                }
            }
        }
        match (self.settings.days, self.settings.load) {
            (None, Some(load)) => (self.work / (load * f64::from(self.settings.gpus))).max(3600.0),
            (days, _) => days.expect("two of jobs, days and load are given") * 86_400.0,
        }
    }

    /// Gives every job its instant, sorts, and makes the workload.
    fn place(self, classes: &[Class<'_>], seed: u64, span_s: f64) -> Workload {
        let cycle = |c: &Class<'_>| Cycle::new(self.settings, c.params.cycle.unwrap_or(1.0), span_s, seed);
        let cycles: Vec<Cycle> = classes.iter().map(cycle).collect();
        let begins: Vec<f64> = self.bursts.iter().map(|b| cycles[b.class as usize].time_s(b.part)).collect();
        let mut order: Vec<(i64, u32)> = self
            .drafts
            .iter()
            .zip(0_u32..)
            // A burst that runs over the end goes on at the beginning, so that the load is the same all over.
            .map(|(draft, at)| (((begins[draft.burst as usize] + draft.offset_s) % span_s) as i64, at))
            .collect();
        order.sort_unstable();
        let mut workload = self.workload;
        let with_util = self.drafts.iter().any(|d| d.gpu_util_milli.is_some());
        for (number, (submit_s, at)) in (1_u32..).zip(order) {
            let draft = &self.drafts[at as usize];
            let burst = &self.bursts[draft.burst as usize];
            let is_session = classes[burst.class as usize].params.kind == Some(JobKind::Session);
            let id = workload.jobs.push(job(self.settings, burst, draft, number, submit_s, is_session));
            if with_util {
                let row = Recorded { gpu_util_milli: draft.gpu_util_milli, ..Recorded::default() };
                workload.recorded.set(id, &row);
            }
        }
        workload.repairs.rows_read = workload.jobs.len() as u64;
        workload
    }
}

fn job(
    settings: &Settings,
    burst: &Burst,
    draft: &Draft,
    number: u32,
    submit_s: i64,
    is_session: bool,
) -> Job {
    let run_s = (draft.run_s as i64).max(1);
    let mut flags = JobFlags::default();
    flags.set(JobFlags::SESSION, is_session);
    Job {
        submit: SimTime::from_s(submit_s),
        run: SimDuration::from_s(run_s),
        limit: SimDuration::from_s(human_limit(&settings.human_limits_s, burst.limit_s.max(run_s as f64))),
        priority: 0,
        name: JobName::Number(number),
        request: burst.request,
        labels: burst.labels,
        flags,
    }
}

/// What a job of this burst asks for, and the milli-GPUs of it.
fn draw_request(settings: &Settings, class: &Class<'_>, stream: &mut Stream) -> (Request, u64) {
    let gpus = class.gpus.draw(stream);
    let milli = if gpus == 1 { class.gpu_milli.draw(stream) } else { 1000 };
    let gpu_mem = class.gpu_mem_mib.draw(stream);
    let cpus = class.cpus.draw(stream);
    let mem_mb = class.mem_mb.draw(stream);
    let nodes = gpus.div_ceil(settings.gpus_per_node).max(1);
    let per_node = u64::from(gpus.div_ceil(nodes).max(1));
    let request = Request {
        nodes: Some(nodes),
        cpus: Some(cpus.saturating_mul(gpus.max(1))),
        mem_mb_per_node: (mem_mb > 0).then_some(mem_mb * per_node),
        gpus: (gpus > 0).then_some(gpus),
        gpu_milli: (gpus == 1 && milli < 1000).then_some(milli),
        gpu_mem_mib: (gpus > 0 && gpu_mem > 0).then_some(gpu_mem),
        ..Request::default()
    };
    (request, u64::from(gpus) * u64::from(milli))
}

fn labels(settings: &Settings, class: &Class<'_>, user: u32, workload: &mut Workload) -> LabelId {
    let labels = Labels {
        user: Some(workload.texts.intern(&format!("user{:02}", user + 1))),
        account: Some(workload.texts.intern(&format!("group{}", user % settings.accounts + 1))),
        class: Some(workload.texts.intern(class.name)),
        ..Labels::default()
    };
    workload.labels.intern(&labels)
}

/// What the jobs of one burst have in common in their run times.
struct BurstRun {
    part: usize,
    common: f64,
    stretch: f64,
    similarity: f64,
}

impl BurstRun {
    fn draw(class: &Class<'_>, gpu_milli: u64, stream: &mut Stream) -> Self {
        let exponent = class.params.run_gpu_exponent.unwrap_or(0.0);
        let gpus = (gpu_milli as f64 / 1000.0).max(1.0);
        Self {
            part: stream.choice(&class.run_weights),
            common: stream.normal(),
            stretch: if exponent == 0.0 { 1.0 } else { libm::pow(gpus, exponent) },
            similarity: class.params.similarity.unwrap_or(0.5),
        }
    }

    /// A job's run in seconds: whatever the similarity, its distribution is the class's mixture.
    fn job(&self, class: &Class<'_>, stream: &mut Stream) -> f64 {
        let own_part = stream.uniform() >= self.similarity;
        let part = class.run[if own_part { stream.choice(&class.run_weights) } else { self.part }];
        let z =
            libm::sqrt(self.similarity) * self.common + libm::sqrt(1.0 - self.similarity) * stream.normal();
        self.clamp(class, part.median_s * libm::exp(part.sigma * z))
    }

    /// The run that the user expects of such a job.
    fn typical(&self, class: &Class<'_>) -> f64 {
        let part = class.run[self.part];
        self.clamp(class, part.median_s * libm::exp(part.sigma * libm::sqrt(self.similarity) * self.common))
    }

    fn clamp(&self, class: &Class<'_>, run_s: f64) -> f64 {
        let shortest = class.params.run_min_s.unwrap_or(1) as f64;
        let longest = class.params.run_max_s.unwrap_or(2_592_000) as f64;
        (run_s * self.stretch).clamp(shortest, longest)
    }
}

fn draw_limit(class: &Class<'_>, run: &BurstRun, stream: &mut Stream) -> f64 {
    if stream.uniform() < class.params.limit_default_share.unwrap_or(0.0) {
        return class.params.limit_default_s.unwrap_or(86_400) as f64;
    }
    let ratio =
        stream.lognormal(class.params.limit_median.unwrap_or(3.0), class.params.limit_sigma.unwrap_or(1.0));
    run.typical(class) * ratio.max(1.0)
}

fn draw_util(class: &Class<'_>, gpu_milli: u64, stream: &mut Stream) -> Option<u16> {
    let (mean, deviation) = class.params.gpu_util.filter(|_| gpu_milli > 0)?;
    Some(((mean + deviation * stream.normal()).clamp(0.0, 1.0) * 1000.0) as u16)
}

/// The limit that a person types for `seconds`: the next of the usual values, whole days beyond them.
fn human_limit(usual: &[u64], seconds: f64) -> i64 {
    let at = usual.partition_point(|u| (*u as f64) < seconds);
    usual.get(at).map_or_else(|| (seconds / 86_400.0).ceil() as i64 * 86_400, |u| *u as i64)
}

fn header(settings: &Settings, seed: u64, workload: &Workload) -> Vec<(String, String)> {
    let mut note = format!("generator research; preset {}; seed {seed}", settings.preset);
    for (key, value) in
        [("jobs", settings.jobs.map(|j| j as f64)), ("days", settings.days), ("load", settings.load)]
    {
        if let Some(value) = value {
            note.push_str(&format!("; {key} {value}"));
        }
    }
    note.push_str(&format!("; gpus {}", settings.gpus));
    vec![
        ("Computer".to_owned(), format!("synthetic cluster of {} GPUs", settings.gpus)),
        ("MaxJobs".to_owned(), workload.jobs.len().to_string()),
        ("Note".to_owned(), note),
    ]
}

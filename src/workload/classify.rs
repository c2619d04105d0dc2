//! Job classes by rule: `[[workload.class-rule]]`, and rules proposed from a trace.
//!
//! The first rule whose conditions all hold names the class; the trace's own class column beats every
//! rule; what no rule matches stays without class and counts as classified by default. The report
//! says how many GPU-hours and CPU-hours were classified in each way.

use std::collections::BTreeMap;

use super::{Job, JobFlags, Labels, Request, Workload};
use crate::ids::{Id, JobId, LabelId, TextId};
use crate::time::SimDuration;

/// Interactive work counts as wall time whatever the hardware; other work speeds up with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkKind {
    /// Runs faster on faster hardware.
    Work,
    /// Interactive use, notebooks.
    Session,
}

/// One rule: all conditions that are set must hold. Bounds are inclusive.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClassRule {
    /// Class of the jobs that match.
    pub class: String,
    /// Kind of the jobs that match; as the trace says where `None`.
    pub kind: Option<WorkKind>,
    /// Partition, exactly.
    pub partition: Option<String>,
    /// Account, exactly.
    pub account: Option<String>,
    /// User, exactly.
    pub user: Option<String>,
    /// QOS, exactly.
    pub qos: Option<String>,
    /// Job name, with `*` for any text and `?` for one character; upper and lower case are the same.
    pub name_glob: Option<String>,
    /// Fewest GPUs in all.
    pub gpus_min: Option<u64>,
    /// Most GPUs in all.
    pub gpus_max: Option<u64>,
    /// Shortest run time.
    pub run_min: Option<SimDuration>,
    /// Longest run time.
    pub run_max: Option<SimDuration>,
    /// Shortest limit; a job without limit does not match.
    pub limit_min: Option<SimDuration>,
    /// Longest limit; a job without limit does not match.
    pub limit_max: Option<SimDuration>,
}

/// What named the class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassSource {
    /// The trace's class column.
    Column,
    /// The rule at this position, from 0.
    Rule(usize),
    /// Nothing: the default class.
    Default,
}

/// How much work was classified in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ClassShare {
    /// Jobs.
    pub jobs: u64,
    /// Thousandths of a GPU times microseconds.
    pub gpu_milli_us: u128,
    /// CPUs times microseconds.
    pub cpu_us: u128,
}

impl ClassShare {
    const US_PER_H: f64 = 3_600_000_000.0;

    /// GPU-hours, for reporting.
    #[must_use]
    pub fn gpu_hours(&self) -> f64 {
        self.gpu_milli_us as f64 / (1000.0 * Self::US_PER_H)
    }

    /// CPU-hours, for reporting.
    #[must_use]
    pub fn cpu_hours(&self) -> f64 {
        self.cpu_us as f64 / Self::US_PER_H
    }

    fn add(&mut self, job: &Job, (gpu_milli, cpus): (u64, u64)) {
        let us = job.run.micros().unsigned_abs();
        self.jobs += 1;
        self.gpu_milli_us += u128::from(gpu_milli) * u128::from(us);
        self.cpu_us += u128::from(cpus) * u128::from(us);
    }
}

/// What classification did, by what named the class.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Classified {
    /// Work by source; rules that matched nothing are missing.
    pub by_source: BTreeMap<ClassSource, ClassShare>,
}

impl Classified {
    /// Work of jobs that nothing classified.
    #[must_use]
    pub fn by_default(&self) -> ClassShare {
        self.by_source.get(&ClassSource::Default).copied().unwrap_or_default()
    }
}

/// Applies the rules to all jobs without class column.
pub fn classify(workload: &mut Workload, rules: &[ClassRule]) -> Classified {
    let mut matcher = Matcher::new(workload, rules);
    let mut shares = Shares {
        column: ClassShare::default(),
        rules: vec![ClassShare::default(); rules.len()],
        default: ClassShare::default(),
    };
    let weights: Vec<(u64, u64)> = workload
        .requests
        .iter()
        .map(|(_, request)| (request.total_gpu_milli(), request.total_cpus()))
        .collect();
    // (labels before, rule) -> labels with the class.
    let mut with_class: BTreeMap<(LabelId, usize), LabelId> = BTreeMap::new();
    for at in 0..workload.jobs.len() {
        let id = JobId::new(at);
        let job = &workload.jobs[id];
        let weight = weights[job.request.index()];
        if !job.flags.has(JobFlags::CLASS_DEFAULTED) {
            shares.column.add(job, weight);
            continue;
        }
        let Some(rule) = matcher.first_match(workload, job, workload.requests.get(job.request)) else {
            shares.default.add(job, weight);
            continue;
        };
        shares.rules[rule].add(job, weight);
        let before = job.labels;
        let labels = *with_class.entry((before, rule)).or_insert_with(|| {
            let class = Some(workload.texts.intern(&rules[rule].class));
            let labels = Labels { class, ..workload.labels.get(before).clone() };
            workload.labels.intern(&labels)
        });
        let job = &mut workload.jobs[id];
        job.labels = labels;
        job.flags.set(JobFlags::CLASS_DEFAULTED, false);
        if let Some(kind) = rules[rule].kind {
            job.flags.set(JobFlags::SESSION, kind == WorkKind::Session);
        }
    }
    shares.classified()
}

/// Work by what named the class, while it is counted.
struct Shares {
    column: ClassShare,
    rules: Vec<ClassShare>,
    default: ClassShare,
}

impl Shares {
    fn classified(self) -> Classified {
        let rules = self.rules.into_iter().enumerate().map(|(at, share)| (ClassSource::Rule(at), share));
        let all = rules.chain([(ClassSource::Column, self.column), (ClassSource::Default, self.default)]);
        Classified { by_source: all.filter(|(_, share)| share.jobs > 0).collect() }
    }
}

/// The rules with their texts looked up once, and names that were matched before.
struct Matcher<'r> {
    rules: &'r [ClassRule],
    exact: Vec<[Wanted; 4]>,
    names: BTreeMap<(usize, TextId), bool>,
}

/// A text condition.
#[derive(Clone, Copy)]
enum Wanted {
    Any,
    Text(TextId),
    /// The trace does not hold this text at all.
    Nothing,
}

impl<'r> Matcher<'r> {
    fn new(workload: &Workload, rules: &'r [ClassRule]) -> Self {
        let wanted = |text: &Option<String>| match text {
            None => Wanted::Any,
            Some(text) => workload.texts.find(text).map_or(Wanted::Nothing, Wanted::Text),
        };
        let exact = rules
            .iter()
            .map(|rule| [&rule.partition, &rule.account, &rule.user, &rule.qos].map(wanted))
            .collect();
        Self { rules, exact, names: BTreeMap::new() }
    }

    fn first_match(&mut self, workload: &Workload, job: &Job, request: &Request) -> Option<usize> {
        if self.rules.is_empty() {
            return None;
        }
        let labels = workload.labels.get(job.labels);
        let gpus = request.total_gpus();
        let limit = Some(job.limit).filter(|_| !job.flags.has(JobFlags::LIMIT_UNKNOWN));
        (0..self.rules.len()).find(|at| {
            let rule = &self.rules[*at];
            self.texts_match(*at, labels)
                && within(Some(gpus), rule.gpus_min, rule.gpus_max)
                && within(Some(job.run), rule.run_min, rule.run_max)
                && within(limit, rule.limit_min, rule.limit_max)
                && self.name_matches(*at, labels.name, workload)
        })
    }

    fn texts_match(&self, rule: usize, labels: &Labels) -> bool {
        let have = [labels.partition, labels.account, labels.user, labels.qos];
        self.exact[rule].iter().zip(have).all(|(wanted, have)| match wanted {
            Wanted::Any => true,
            Wanted::Text(text) => have == Some(*text),
            Wanted::Nothing => false,
        })
    }

    fn name_matches(&mut self, rule: usize, name: Option<TextId>, workload: &Workload) -> bool {
        match (&self.rules[rule].name_glob, name) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(glob), Some(name)) => *self
                .names
                .entry((rule, name))
                .or_insert_with(|| matches_glob(glob, workload.texts.get(name))),
        }
    }
}

/// Whether a value lies between bounds that may be missing; without value no bound is met.
fn within<T: PartialOrd>(value: Option<T>, low: Option<T>, high: Option<T>) -> bool {
    match value {
        None => low.is_none() && high.is_none(),
        Some(value) => low.is_none_or(|low| value >= low) && high.is_none_or(|high| value <= high),
    }
}

/// `*` stands for any text, `?` for one character; case does not matter.
#[must_use]
pub fn matches_glob(glob: &str, text: &str) -> bool {
    let glob: Vec<char> = glob.chars().flat_map(char::to_lowercase).collect();
    let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    let (mut g, mut t) = (0, 0);
    // Where to go on when the text after the last star does not fit: one character further.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                retry = Some((g + 1, t));
                g += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                g += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    retry = Some((after_star, from + 1));
                    g = after_star;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

/// Job names that interactive tools give.
const SESSION_NAMES: [&str; 6] =
    ["*jupyter*", "*notebook*", "*interactive*", "*vscode*", "*rstudio*", "*desktop*"];

/// Rules that fit this trace, for the user to correct: interactive names and partitions, then sizes
/// and durations. Only rules that match some job which no rule before them matches.
#[must_use]
pub fn propose_rules(workload: &Workload) -> Vec<ClassRule> {
    let mut candidates: Vec<ClassRule> =
        SESSION_NAMES.iter().map(|glob| session_rule(None, Some(glob))).collect();
    let mut partitions: Vec<&str> = workload
        .labels
        .iter()
        .filter_map(|(_, labels)| labels.partition)
        .map(|id| workload.texts.get(id))
        .filter(|name| matches_glob("*interactive*", name) || matches_glob("*jupyter*", name))
        .collect();
    partitions.sort_unstable();
    partitions.dedup();
    candidates.extend(partitions.iter().map(|name| session_rule(Some(name), None)));
    let by_size = |class: &str, gpus_min: u64, gpus_max: Option<u64>, run_max_s: Option<i64>| ClassRule {
        class: class.to_owned(),
        gpus_min: Some(gpus_min),
        gpus_max,
        run_max: run_max_s.map(SimDuration::from_s),
        ..ClassRule::default()
    };
    candidates.extend([
        by_size("debug", 1, Some(1), Some(600)),
        by_size("train-large", 9, None, None),
        by_size("train-multi", 2, Some(8), None),
        by_size("train-single", 1, Some(1), None),
        by_size("cpu", 0, Some(0), None),
    ]);
    let mut matcher = Matcher::new(workload, &candidates);
    let mut used = vec![false; candidates.len()];
    for job in workload.jobs.iter().filter(|job| job.flags.has(JobFlags::CLASS_DEFAULTED)) {
        if let Some(at) = matcher.first_match(workload, job, workload.requests.get(job.request)) {
            used[at] = true;
        }
    }
    candidates.into_iter().zip(used).filter(|(_, used)| *used).map(|(rule, _)| rule).collect()
}

fn session_rule(partition: Option<&str>, glob: Option<&str>) -> ClassRule {
    ClassRule {
        class: "interactive".to_owned(),
        kind: Some(WorkKind::Session),
        partition: partition.map(str::to_owned),
        name_glob: glob.map(str::to_owned),
        ..ClassRule::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::read::{ReadOptions, read_stream};

    const TRACE: &str = "job_id,submit_s,run_s,partition,name,gpus,cpus,class\n\
        1,0,3600,gpu,Jupyter-7,1,4,\n2,0,7200,gpu,train,16,64,\n3,0,3600,cpu,,,8,\n\
        4,0,3600,gpu,notebook,2,4,llm\n5,0,1800,gpu,other,,1,\n";

    fn trace() -> Workload {
        read_stream(TRACE.as_bytes(), "t.csv", &ReadOptions::default()).expect("valid")
    }

    #[test]
    fn the_column_beats_the_first_rule_that_matches() {
        let mut work = trace();
        let rules = [
            session_rule(None, Some("*jupyter*")),
            ClassRule { class: "large".to_owned(), gpus_min: Some(8), ..ClassRule::default() },
            ClassRule {
                class: "never".to_owned(),
                partition: Some("none".to_owned()),
                ..ClassRule::default()
            },
            ClassRule { class: "cpu".to_owned(), partition: Some("cpu".to_owned()), ..ClassRule::default() },
        ];
        let done = classify(&mut work, &rules);
        let class_of = |at: u32| {
            let job = &work.jobs[JobId(at)];
            work.labels.get(job.labels).class.map(|id| work.texts.get(id).to_owned())
        };
        let classes: Vec<Option<String>> = (0..5).map(class_of).collect();
        let expected = [Some("interactive"), Some("large"), Some("cpu"), Some("llm"), None];
        assert_eq!(classes, expected.map(|class| class.map(str::to_owned)));
        assert!(work.jobs[JobId(0)].flags.has(JobFlags::SESSION));
        assert!(work.jobs[JobId(4)].flags.has(JobFlags::CLASS_DEFAULTED));
        assert_eq!(done.by_source[&ClassSource::Rule(1)].gpu_hours(), 32.0);
        assert_eq!(done.by_source[&ClassSource::Column].cpu_hours(), 4.0);
        assert_eq!(done.by_default().cpu_hours(), 0.5);
        assert!(!done.by_source.contains_key(&ClassSource::Rule(2)));
    }

    #[test]
    fn a_bound_on_the_limit_needs_a_limit() {
        let mut work = trace();
        let long = Some(SimDuration::from_s(1));
        let rule = ClassRule { class: "any".to_owned(), limit_min: long, ..ClassRule::default() };
        assert!(!classify(&mut work, &[rule]).by_source.contains_key(&ClassSource::Rule(0)));
    }

    #[test]
    fn globs() {
        let cases = [
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXcYb", false),
            ("?b", "ab", true),
            ("?b", "b", false),
            ("*JUPYTER*", "my-jupyter-lab", true),
            ("train", "training", false),
            ("**x", "x", true),
            ("", "a", false),
        ];
        for (glob, text, expected) in cases {
            assert_eq!(matches_glob(glob, text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn proposed_rules_all_match_something() {
        let mut work = trace();
        let rules = propose_rules(&work);
        let classes: Vec<&str> = rules.iter().map(|rule| rule.class.as_str()).collect();
        assert_eq!(classes, ["interactive", "train-large", "cpu"]);
        let done = classify(&mut work, &rules);
        assert_eq!(done.by_default().jobs, 0);
    }
}

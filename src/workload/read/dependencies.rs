//! Dependencies by name become dependencies by job, once all rows are read.
//!
//! An id may name a job, a task (`12_3`) or a whole array (`12`: all its tasks). An id that the trace
//! does not hold counts as met, as for Slurm, which forgets finished jobs; it is noted. Jobs that wait
//! for each other in a circle could never start: their rows are refused.

use std::rc::Rc;

use petgraph::algo::kosaraju_scc;
use petgraph::graphmap::DiGraphMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::assembly::{Assembly, PendingAfter, RowPlace, plain_number};
use super::extras::NamedCondition;
use super::problem::{Fatal, Problem, code};
use crate::diagnostic::{Diagnostic, Place};
use crate::ids::{Id, JobId, TextId};
use crate::workload::{Dependency, DependencyKind, Extras, JobFlags, JobName, Workload};

/// So many (job, waits for job) pairs fit in memory with room to spare.
const MAX_PAIRS: usize = 5_000_000;

/// Fills `Extras::after` from the names, and refuses circles.
pub(super) fn resolve(assembly: &mut Assembly<'_>) -> Result<(), Fatal> {
    let pending = std::mem::take(&mut assembly.pending);
    if pending.is_empty() {
        return Ok(());
    }
    let index = Index::new(&assembly.workload);
    let mut pairs = 0;
    let mut last: Option<(Rc<Vec<NamedCondition>>, Vec<Dependency>)> = None;
    for waiting in &pending {
        let is_same = last.as_ref().is_some_and(|(rc, _)| Rc::ptr_eq(rc, &waiting.conditions));
        let by_task = waiting.conditions.iter().any(|c| c.kind == DependencyKind::AfterCorr);
        if !is_same || by_task {
            let (after, unknown) = index.resolve(&assembly.workload, waiting);
            if !is_same {
                note_unknown(assembly, waiting.line, &unknown);
            }
            last = Some((Rc::clone(&waiting.conditions), after));
        }
        let after = last.as_ref().map(|(_, after)| after.clone()).unwrap_or_default();
        pairs += after.iter().map(|condition| condition.jobs.len()).sum::<usize>();
        if pairs > MAX_PAIRS {
            return Err(Box::new(too_many(assembly)));
        }
        let extras = &mut assembly.workload.extras;
        let at = extras
            .binary_search_by_key(&waiting.job, |(id, _)| *id)
            .expect("a job with dependencies has extras");
        extras[at].1.after = after;
    }
    refuse_circles(assembly, &pending);
    drop_empty_extras(&mut assembly.workload);
    Ok(())
}

/// Jobs that only waited for what the trace does not hold have nothing rare left.
fn drop_empty_extras(workload: &mut Workload) {
    let jobs = &mut workload.jobs;
    workload.extras.retain(|(id, extras)| {
        let is_filled = *extras != Extras::default();
        jobs[*id].flags.set(JobFlags::HAS_EXTRAS, is_filled);
        is_filled
    });
}

fn too_many(assembly: &Assembly<'_>) -> Diagnostic {
    Diagnostic::error(code::TOO_MUCH, format!("the dependencies join more than {MAX_PAIRS} pairs of jobs"))
        .at(Place::File(assembly.file.clone()))
        .help("let the tasks of an array wait for one job, or use aftercorr")
}

fn note_unknown(assembly: &mut Assembly<'_>, line: u64, unknown: &[Box<str>]) {
    for name in unknown {
        let text = format!("after {name}");
        let problem = Problem::new(
            code::UNKNOWN_DEPENDENCY,
            "waits for a job that the trace does not hold (counts as met, as for Slurm)",
            format!("job id '{name}' in `after` is not in the trace; the dependency counts as met"),
        );
        assembly.note(RowPlace { line, text: text.as_bytes() }, problem);
    }
}

/// Jobs by name, and tasks by array.
struct Index {
    jobs: FxHashMap<JobName, JobId>,
    tasks: FxHashMap<TextId, Vec<(u32, JobId)>>,
}

impl Index {
    fn new(workload: &Workload) -> Self {
        let jobs = workload.jobs.iter_ids().map(|(id, job)| (job.name, id)).collect();
        let mut tasks: FxHashMap<TextId, Vec<(u32, JobId)>> = FxHashMap::default();
        for (id, extras) in &workload.extras {
            if let Some((array, index)) = extras.array {
                tasks.entry(array).or_default().push((index, *id));
            }
        }
        Self { jobs, tasks }
    }

    /// The conditions with job ids, and the names that nothing has.
    fn resolve(&self, workload: &Workload, waiting: &PendingAfter) -> (Vec<Dependency>, Vec<Box<str>>) {
        let my_index =
            workload.extras_of(waiting.job).and_then(|extras| extras.array).map(|(_, index)| index);
        let mut unknown = Vec::new();
        let mut after = Vec::new();
        for condition in waiting.conditions.iter() {
            let mut jobs: Vec<JobId> = Vec::new();
            for name in &condition.jobs {
                let task = my_index.filter(|_| condition.kind == DependencyKind::AfterCorr);
                let before = jobs.len();
                self.find(workload, name, task, &mut jobs);
                if jobs.len() == before {
                    unknown.push(name.clone());
                }
            }
            jobs.sort_unstable();
            jobs.dedup();
            if !jobs.is_empty() || condition.kind == DependencyKind::Singleton {
                after.push(Dependency { kind: condition.kind, jobs });
            }
        }
        (after, unknown)
    }

    /// Adds what `name` means: a job, or an array's tasks (only the one at index `task`, if given).
    fn find(&self, workload: &Workload, name: &str, task: Option<u32>, jobs: &mut Vec<JobId>) {
        let text = workload.texts.find(name);
        let as_job = plain_number(name.as_bytes()).map(JobName::Number).or(text.map(JobName::Text));
        if let Some(job) = as_job.and_then(|name| self.jobs.get(&name)) {
            jobs.push(*job);
        } else if let Some(tasks) = text.and_then(|array| self.tasks.get(&array)) {
            let wanted = tasks.iter().filter(|(index, _)| task.is_none_or(|task| task == *index));
            jobs.extend(wanted.map(|(_, job)| *job));
        }
    }
}

/// Refuses the jobs that wait, directly or not, for themselves.
fn refuse_circles(assembly: &mut Assembly<'_>, pending: &[PendingAfter]) {
    let mut graph: DiGraphMap<u32, (), FxBuildHasher> = DiGraphMap::default();
    for (job, extras) in &assembly.workload.extras {
        for waited in extras.after.iter().flat_map(|condition| &condition.jobs) {
            graph.add_edge(job.0, waited.0, ());
        }
    }
    let lines: FxHashMap<JobId, u64> = pending.iter().map(|waiting| (waiting.job, waiting.line)).collect();
    let mut refused: Vec<u32> = kosaraju_scc(&graph)
        .into_iter()
        .filter(|circle| circle.len() > 1 || graph.contains_edge(circle[0], circle[0]))
        .inspect(|circle| tell_circle(assembly, circle, &lines))
        .flatten()
        .collect();
    if refused.is_empty() {
        return;
    }
    refused.sort_unstable();
    let kept: Vec<u32> =
        (0..assembly.workload.jobs.len() as u32).filter(|at| refused.binary_search(at).is_err()).collect();
    assembly.select(&kept);
    for (_, extras) in &mut assembly.workload.extras {
        extras.after.retain(|c| !c.jobs.is_empty() || c.kind == DependencyKind::Singleton);
    }
}

fn tell_circle(assembly: &mut Assembly<'_>, circle: &[u32], lines: &FxHashMap<JobId, u64>) {
    let mut circle = circle.to_vec();
    circle.sort_unstable();
    let names: Vec<String> = circle.iter().take(8).map(|at| assembly.workload.job_name(JobId(*at))).collect();
    let more = if circle.len() > names.len() { " ..." } else { "" };
    let message = format!("these jobs wait for each other and can never start: {}{more}", names.join(", "));
    for at in &circle {
        let job = JobId::new(*at as usize);
        let line = lines.get(&job).copied().unwrap_or(0);
        let text = format!("job {}", assembly.workload.job_name(job));
        let problem =
            Problem::new(code::DEPENDENCY_CYCLE, "waits for itself through `after`", message.clone())
                .help("remove one dependency of the circle");
        assembly.refuse(RowPlace { line, text: text.as_bytes() }, problem);
    }
}

//! From the tables of a file to validated inputs: meaning, not shape.
//!
//! Each part notes its problems and goes on, so that all come together. Defaults are written back into
//! the tables on the way; what is left at the end is the resolved scenario.

mod dedicated;
mod design;
mod events;
mod fabric;
mod failures;
mod finance;
mod knows;
mod life;
mod links;
mod policy;
mod price;
mod profiles;
mod recorded_on;
mod route;
mod sharing;
mod site_nodes;
mod slurm;
mod spares;
mod speedup;
mod stores;
mod tenancy;
mod training;
mod vm_shape;
mod workload;

use std::fmt::Display;
use std::path::Path;

use super::catalogue::Confidence;
use super::document::Document;
use super::file::{CompareTable, RecordedOnTable, ScenarioFile, WarmUpTable};
use super::structure::dotted;
use super::{CompareSpec, DefaultUsed, PolicyChoice, Scenario, SiteGap, SpeedupSpec, SweepSpec};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::scheduler::Family;
use crate::time::{MICROS_PER_S, SimDuration};

/// What all parts share: where things are written, and what was found on the way.
struct Notes<'d> {
    document: &'d Document<'d>,
    /// Where paths of the scenario begin.
    directory: &'d Path,
    problems: Diagnostics,
    defaults: Vec<DefaultUsed>,
    /// What of Slurm sites is not modelled.
    gaps: Vec<SiteGap>,
    /// Whether run times are cut at the limits.
    cuts_at_limit: bool,
    /// Who decides; `None` where the policy is wrong.
    family: Option<Family>,
}

impl Notes<'_> {
    /// Whether the policy is Slurm's.
    fn is_slurm(&self) -> bool {
        self.family == Some(Family::Slurm)
    }

    /// A problem at the setting of `path`; once, however many pools run into it.
    fn tell(&mut self, problem: Diagnostic, path: &[&str]) {
        let problem = problem.at(self.document.place(path));
        if !self.problems.kept().contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn error(&mut self, code: &'static str, path: &[&str], message: impl Into<String>) {
        self.tell(Diagnostic::error(code, message), path);
    }

    fn error_help(
        &mut self,
        code: &'static str,
        path: &[&str],
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.tell(Diagnostic::error(code, message).help(help), path);
    }

    fn warning(&mut self, code: &'static str, path: &[&str], message: impl Into<String>, help: &str) {
        self.tell(Diagnostic::warning(code, message).help(help), path);
    }

    /// The value of a setting, or its default by convention, which is written back and noted.
    fn or_convention<T: Clone>(
        &mut self,
        slot: &mut Option<T>,
        default: T,
        shown: impl Display,
        path: &[&str],
    ) -> T {
        self.or_default(slot, default, shown, path, "convention of Windtunnel", None)
    }

    /// The value of a setting, or its default, which is written back and noted with its source.
    fn or_default<T: Clone>(
        &mut self,
        slot: &mut Option<T>,
        default: T,
        shown: impl Display,
        path: &[&str],
        source: &str,
        confidence: Option<Confidence>,
    ) -> T {
        if slot.is_none() {
            self.defaults.push(DefaultUsed {
                path: dotted(path),
                value: shown.to_string(),
                source: source.to_owned(),
                confidence,
                range: None,
            });
        }
        slot.get_or_insert(default).clone()
    }
}

/// Turns the tables into a scenario.
pub(super) fn resolve(
    document: &Document<'_>,
    mut file: ScenarioFile,
    directory: &Path,
) -> Result<Scenario, Diagnostics> {
    let cuts_at_limit = file.workload.cut_at_limit == Some(true);
    let (problems, defaults, gaps) = (Diagnostics::default(), Vec::new(), Vec::new());
    let mut notes = Notes { document, directory, problems, defaults, gaps, cuts_at_limit, family: None };
    let mut workload = workload::resolve(&mut notes, &mut file.workload, directory);
    let site = slurm::site(&mut notes, &mut file.policy, directory);
    let policy = policy::resolve(&mut notes, &mut file.policy);
    notes.family = policy.as_ref().map(PolicyChoice::family);
    let plan = finance::plan(&mut notes, file.finance.as_mut(), directory);
    let designs = design::resolve(&mut notes, &mut file, site.as_ref(), &plan);
    slurm::warn_of_plugins(&mut notes, site.as_ref(), designs.len());
    let mut designs = sharing::complete(&mut notes, &mut file, designs, policy.as_ref());
    fabric::complete(&mut notes, &mut file, &mut designs, directory);
    knows::check(&mut notes, policy.as_ref(), &designs, &file);
    dedicated::check(&mut notes, &designs);
    links::check_placement(&mut notes, policy.as_ref(), &designs);
    profiles::complete(&mut notes, &mut file, &mut designs);
    let speedup = speedup::resolve(&mut notes, file.speedup.as_mut(), &file.gpu);
    if let Some(workload) = &mut workload {
        workload.plain_types = site.as_ref().map(slurm::SlurmSite::device_types).unwrap_or_default();
        workload.memory_from_peak = speedup.memory_from_peak;
        workload.recorded_on = recorded_on::resolve(&mut notes, &file.workload, &designs);
    }
    let as_recorded = matches!(file.workload.recorded_on, Some(RecordedOnTable::Design));
    let speedup = SpeedupSpec { as_recorded, ..speedup };
    designs.iter_mut().for_each(|design| design.speedup = speedup.clone());
    let compare = compare(&mut notes, &mut file.compare, &file.design.keys().cloned().collect::<Vec<_>>());
    designs.iter_mut().for_each(|design| design.warm_up = compare.warm_up);
    let objective = finance::objective(&mut notes, file.objective.as_mut(), &designs);
    let trust = file.trust.as_ref().and_then(|table| table.backtest.clone());
    let trust = trust.map(|written| (directory.join(&written), written));
    if notes.problems.errors() > 0 {
        return Err(notes.problems);
    }
    let (Some(workload), Some(policy)) = (workload, policy) else {
        unreachable!("a part that is missing has told its problem")
    };
    let sweep = file.sweep.as_ref().map(SweepSpec::new);
    let resolved_toml = toml::to_string(&file).expect("the tables of a scenario are TOML");
    Ok(Scenario {
        title: file.title,
        workload,
        policy,
        designs,
        compare,
        objective,
        finance: plan.finance,
        directory: directory.to_owned(),
        trust,
        sweep,
        resolved_toml,
        defaults_used: notes.defaults,
        not_modelled: notes.gaps,
        warnings: notes.problems,
        sources: document.texts.sources(),
    })
}

fn compare(notes: &mut Notes<'_>, table: &mut CompareTable, designs: &[String]) -> CompareSpec {
    let replicas = table.replicas.unwrap_or(1);
    let confidence = table.confidence.unwrap_or(0.95);
    if !(0.5..1.0).contains(&confidence) {
        let message = format!("`compare.confidence = {confidence}` is no confidence");
        notes.error_help(
            "W0218",
            &["compare", "confidence"],
            message,
            "write a share from 0.5 to below 1, such as 0.95",
        );
    }
    if table.confidence.is_some() && replicas < 2 {
        let message = "a single run has no intervals, so a confidence means nothing";
        notes.error_help(
            "W0218",
            &["compare", "confidence"],
            message,
            "set compare.replicas to 20, or leave `confidence` out",
        );
    }
    if table.block_days.is_some_and(|days| !(0.01..=3_660.0).contains(&days)) {
        let message = "`compare.block-days` must lie between 0.01 and 3660";
        notes.error_help("W0218", &["compare", "block-days"], message, "7 keeps weekly patterns whole");
    }
    let warm_up = warm_up(notes, table.warm_up.as_ref());
    let current = designs.iter().find(|name| *name == "current");
    let first = current.or(designs.first()).cloned().unwrap_or_default();
    if let Some(name) = &table.baseline
        && !designs.contains(name)
    {
        let help = match nearest(name, designs.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("one of: {}", designs.join(", ")),
        };
        notes.error_help("W0216", &["compare", "baseline"], format!("there is no design `{name}`"), help);
    }
    let baseline = notes.or_convention(&mut table.baseline, first.clone(), &first, &["compare", "baseline"]);
    CompareSpec { baseline, replicas, block_days: table.block_days, confidence, warm_up }
}

/// What of the beginning counts in no wait.
fn warm_up(notes: &mut Notes<'_>, table: Option<&WarmUpTable>) -> SimDuration {
    let hours = table.map_or(0.0, |table| table.remove_hours);
    if !(0.0..=1_000_000.0).contains(&hours) {
        let message = format!("`compare.warm-up.remove-hours` must be from 0 to 1000000, found {hours}");
        notes.error("W0209", &["compare", "warm-up", "remove-hours"], message);
        return SimDuration::from_s(0);
    }
    SimDuration::from_micros((hours * 3600.0 * MICROS_PER_S as f64).round() as i64)
}

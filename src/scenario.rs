//! The scenario: TOML -> spanned tree -> validated inputs.
//!
//! [`load`] reads a scenario file and `--set` overrides into one tree that remembers where everything
//! was written (`document`, `set`), checks its shape (`structure`, against the schema that `file`
//! generates), and turns it into [`Scenario`] (`resolve`), filling in defaults from the [`catalogue`].
//! Whatever is wrong comes back as diagnostics with places, all of one stage together.
//!
//! [`Scenario::resolved_toml`] is the same scenario with every default written out; loading it again
//! gives the same designs. [`template::template`] writes a commented scenario to start from.
//!
//! This room reads the scenario file and looks whether the trace exists; it does not read traces, and
//! knows nothing of how a scenario is run.
//!
//! Invariants: nothing that is written is ignored (what this version cannot do is an error that names
//! it); every default that matters for results is in [`Scenario::defaults_used`].

pub mod catalogue;
mod design;
mod document;
pub mod file;
mod gaps;
pub mod import;
mod objective;
pub mod outage_file;
pub mod quotes;
mod resolve;
pub mod sdiag;
mod set;
pub mod slurm_conf;
mod structure;
mod sweep;
pub mod template;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cluster::mig::SliceShare;
use crate::cost::{CostTerms, Share, WaitPrice};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source};
use crate::scheduler::shared::SpeedRules;
use crate::scheduler::slurm::config::Version;
use crate::scheduler::{Family, PolicySpec, PreemptiveSpec};
use crate::tenancy::{ClassProfile, Overhead, PoolTenancy};
use crate::time::SimDuration;
use crate::workload::ReadOptions;
use crate::workload::classify::ClassRule;
use crate::workload::generate::Model;
use crate::workload::read::ColumnMap;
use crate::workload::scale::Scale;

pub use catalogue::Confidence;
pub use design::{Design, DesignMoney, EventSpec, ReservationSpec, RouteSpec, StoreSpec};
pub use file::{EventKind, Named, SpeedupLevel, SpeedupMix, json_schema};
pub use gaps::SiteGap;
pub use objective::{Bound, Condition, ObjectiveSpec};
pub use sweep::{Point, SweepSpec};

/// Everything that a comparison needs to start, validated.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What is asked, in one line.
    pub title: Option<String>,
    /// The jobs.
    pub workload: WorkloadSpec,
    /// How they are scheduled.
    pub policy: PolicyChoice,
    /// Clusters to compare, in declared order; never empty.
    pub designs: Vec<Design>,
    /// How they are compared.
    pub compare: CompareSpec,
    /// What a design must do, and what then decides.
    pub objective: Option<ObjectiveSpec>,
    /// The plan that designs are judged over.
    pub finance: Option<FinanceSpec>,
    /// Where the scenario's paths begin.
    pub directory: PathBuf,
    /// The backtest that says how far to trust it: where it is, and as written.
    pub trust: Option<(PathBuf, String)>,
    /// What a sweep varies.
    pub sweep: Option<SweepSpec>,
    /// The scenario with every default written out, as TOML.
    pub resolved_toml: String,
    /// Every default that was used.
    pub defaults_used: Vec<DefaultUsed>,
    /// What of Slurm sites is not modelled, or not as Slurm does it.
    pub not_modelled: Vec<SiteGap>,
    /// Warnings: nothing that stops the run.
    pub warnings: Diagnostics,
    /// The texts that it was read from: the file, then each `--set`.
    pub sources: Vec<Arc<Source>>,
}

/// Where the jobs come from, and what is done to them.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadSpec {
    /// Trace or generator.
    pub source: WorkloadSource,
    /// Factors on the whole workload.
    pub scale: Scale,
    /// Only jobs submitted inside.
    pub window: Option<Window>,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether run times of the trace are cut at the limit.
    pub cut_at_limit: bool,
    /// Rules that give jobs a class; the first that matches wins.
    pub class_rules: Vec<ClassRule>,
    /// Time zone of timestamps without offset.
    pub time_zone: Option<String>,
    /// Which GPUs the nodes of the trace have.
    pub node_list: Option<PathBuf>,
    /// What the columns of the trace mean, where they are not called as here.
    pub columns: Option<Box<ColumnMap>>,
    /// Types of GPUs that are plain names, whatever they look like: those of slurm.conf.
    pub plain_types: Vec<String>,
    /// Whether the recorded peak of GPU memory stands for a need that is not declared.
    pub memory_from_peak: bool,
    /// Where run times were recorded; `None` = not said.
    pub recorded_on: Option<RecordedOn>,
}

/// Where run times were recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordedOn {
    /// On bare metal, alone.
    BareMetal,
    /// On the design itself.
    Design,
    /// Where everything took these factors longer, after a start.
    Slower {
        /// The factors.
        overhead: Overhead,
        /// What of each run time was start-up.
        start: SimDuration,
        /// What classes of jobs are made of.
        profiles: Arc<Vec<(String, ClassProfile)>>,
    },
    /// On such a part of a GPU.
    Slice {
        /// The part.
        share: SliceShare,
        /// How classes of jobs respond to it.
        speeds: Box<SpeedRules>,
    },
}

impl WorkloadSpec {
    /// How the trace is read.
    #[must_use]
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions {
            cut_at_limit: self.cut_at_limit,
            time_zone: self.time_zone.clone(),
            node_list: self.node_list.clone(),
            columns: self.columns.clone(),
            plain_types: self.plain_types.clone(),
            ..ReadOptions::default()
        }
    }
}

/// Where the jobs come from.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkloadSource {
    /// A file.
    Trace {
        /// Where it is: relative to the scenario's directory as written, ready to be opened.
        path: PathBuf,
        /// As the scenario writes it.
        written: String,
    },
    /// A generator.
    Generate {
        /// The model with its settings; whether they contradict each other, it says when it generates.
        model: Box<Model>,
        /// Where the table is, for diagnostics of the model.
        place: Place,
    },
}

/// A window of submit times, measured from the first submit of the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First instant inside.
    pub from: SimDuration,
    /// First instant outside; `None` = no end.
    pub until: Option<SimDuration>,
}

/// The plan that designs are judged over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FinanceSpec {
    /// Its length in months; above zero.
    pub months: u32,
    /// Growth of the demand per year, as a share.
    pub growth: f64,
    /// Rate per year at which later money counts less.
    pub rate: Share,
    /// Price of waiting.
    pub waiting: WaitPrice,
}

/// How jobs are scheduled.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyChoice {
    /// Order, placement and backfill.
    Classic(PolicySpec),
    /// A preemptive policy of training clusters.
    Preemptive(PreemptiveSpec),
    /// Slurm's two schedulers by the rules of a version; every design has its own configuration.
    Slurm(Version),
}

impl PolicyChoice {
    /// Name for reports.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Classic(spec) => &spec.name,
            Self::Preemptive(spec) => &spec.name,
            Self::Slurm(_) => "slurm",
        }
    }

    /// Name for people: with the version, where there are rules of several.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Slurm(version) => format!("slurm {version}"),
            _ => self.name().to_owned(),
        }
    }

    /// The version of Slurm whose rules decide.
    #[must_use]
    pub fn slurm_version(&self) -> Option<String> {
        match self {
            Self::Slurm(version) => Some(version.to_string()),
            _ => None,
        }
    }

    /// The policies that know what it knows.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Classic(spec) => Family::of_backfill(spec.backfill),
            Self::Preemptive(spec) => Family::of_preemptive(spec.rule),
            Self::Slurm(_) => Family::Slurm,
        }
    }

    /// The specification of a classic policy.
    #[must_use]
    pub fn classic(&self) -> Option<&PolicySpec> {
        match self {
            Self::Classic(spec) => Some(spec),
            Self::Preemptive(_) | Self::Slurm(_) => None,
        }
    }
}

/// What a pool is beside its nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolTerms {
    /// How it is paid for; `None` for every pool of a design without cost figures.
    pub cost: Option<CostTerms>,
    /// How jobs get at the hardware.
    pub tenancy: PoolTenancy,
    /// Tenants that it is kept for; `None` = all.
    pub tenants: Option<Vec<String>>,
    /// Memory of each GPU in GB; `None` without GPUs.
    pub gpu_memory_gb: Option<u32>,
}

/// How fast jobs run on GPUs other than those that they ran on.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeedupSpec {
    /// Whether run times follow the GPU at all.
    pub translate: bool,
    /// Whether run times are those of this very design, start-up included.
    pub as_recorded: bool,
    /// GPU that jobs ran on where the trace does not say.
    pub reference: Option<String>,
    /// The level that the scenario asks for; `None` = typical, and low and high beside it in a comparison.
    pub level: Option<SpeedupLevel>,
    /// Whether the recorded peak of GPU memory stands for a need that is not declared.
    pub memory_from_peak: bool,
    /// For every class.
    pub all: ClassSpeedup,
    /// For the classes that have a table of their own.
    pub classes: Named<ClassSpeedup>,
    /// Figures of the boards that the scenario names.
    pub boards: Named<BoardFigures>,
}

impl Default for SpeedupSpec {
    fn default() -> Self {
        Self {
            translate: true,
            as_recorded: false,
            reference: None,
            level: None,
            memory_from_peak: false,
            all: ClassSpeedup::default(),
            classes: Named::new(),
            boards: Named::new(),
        }
    }
}

/// What the scenario says of the speed of a class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassSpeedup {
    /// What bounds it.
    pub mix: Option<SpeedupMix>,
    /// Speed by GPU, in any unit.
    pub speed: Named<f64>,
}

/// What decides how fast a board is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoardFigures {
    /// Dense FP16/BF16 peak, in 10^12 FLOP/s.
    pub tflops: f64,
    /// Peak memory bandwidth, in 10^12 bytes/s.
    pub bandwidth_tb_s: f64,
}

/// How designs are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareSpec {
    /// Name of the design that the others are measured against.
    pub baseline: String,
    /// Histories that every design is run over; 1 = the workload as it is, without intervals.
    pub replicas: u32,
    /// Length of the blocks that other histories of a trace are made of; `None` = by its length.
    pub block_days: Option<f64>,
    /// Confidence of intervals, between 0 and 1.
    pub confidence: f64,
    /// Jobs submitted in the first so much of the horizon count in no wait.
    pub warm_up: SimDuration,
}

/// A value that the scenario does not write and that was taken all the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultUsed {
    /// Path of the setting, as for `--set`.
    pub path: String,
    /// The value taken.
    pub value: String,
    /// Where it comes from.
    pub source: String,
    /// How it is known; `None` for a convention.
    pub confidence: Option<Confidence>,
    /// Lowest and highest plausible value, where the catalogue has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
}

/// Reads a scenario file, with `--set` overrides as (path, value).
///
/// # Errors
/// Everything that is wrong with it, as far as it could be read.
pub fn load(path: &Path, sets: &[(String, String)]) -> Result<Scenario, Diagnostics> {
    let name = path.display().to_string();
    let text = read(path, &name).map_err(|problem| only(*problem))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    load_text(&name, text, directory, sets)
}

/// As [`load`], with a design more for each change, as (option, value): the baseline under another option of Slurm, another
/// slurm.conf (`conf`), or with more nodes (`nodes=+4`, `partition.gpu.nodes=+4`). They are called `what-if`, `what-if-2`
/// and so on.
///
/// # Errors
/// As [`load`].
pub fn load_what_if(
    path: &Path,
    sets: &[(String, String)],
    options: &[(String, String)],
) -> Result<Scenario, Diagnostics> {
    let name = path.display().to_string();
    let text = read(path, &name).map_err(|problem| only(*problem))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    load_texts(&name, text, directory, sets, options)
}

/// Reads a scenario from a text called `name`; paths in it are relative to `directory`.
///
/// # Errors
/// As [`load`].
pub fn load_text(
    name: &str,
    text: String,
    directory: &Path,
    sets: &[(String, String)],
) -> Result<Scenario, Diagnostics> {
    load_texts(name, text, directory, sets, &[])
}

fn load_texts(
    name: &str,
    text: String,
    directory: &Path,
    sets: &[(String, String)],
    what_if: &[(String, String)],
) -> Result<Scenario, Diagnostics> {
    let schema = json_schema();
    let schema = structure::Schema::new(&schema);
    let mut texts = document::Texts::new(name, text);
    let paths = read_sets(&mut texts, sets, schema, &[])?;
    let tree = texts.parse(0).map_err(|problem| only(*problem))?;
    let what_ifs = set::what_ifs(what_if, &tree).map_err(only)?;
    let names: Vec<String> = what_ifs.iter().map(|design| design.name.clone()).collect();
    let mut more = Vec::new();
    for design in what_ifs {
        more.extend(read_sets(&mut texts, &design.settings, schema, &names)?);
        for (path, line) in design.tables {
            texts.push_set(line);
            more.push(path);
        }
    }
    let mut tree = texts.parse(0).map_err(|problem| only(*problem))?;
    for (index, path) in paths.iter().chain(&more).enumerate() {
        if index == paths.len() {
            set::add_what_ifs(&mut tree, &names);
        }
        set::put(&mut tree, texts.parse(index + 1).map_err(|problem| only(*problem))?, path, schema);
    }
    let document = document::Document { texts: &texts, tree };
    let mut problems = Diagnostics::default();
    structure::check(&document, schema, &mut problems);
    if problems.errors() > 0 {
        return Err(problems);
    }
    let root = toml::Spanned::new(0..0, document.tree.clone());
    let file = file::ScenarioFile::deserialize(toml::Deserializer::from(root)).map_err(|error| {
        let place = error.span().map_or(Place::Nowhere, |span| texts.place(&span));
        only(Diagnostic::error("W0206", error.message()).at(place))
    })?;
    sweep::check(&document, &file, schema)?;
    resolve::resolve(&document, file, directory)
}

/// Reads all `--set`s, adds their texts, and tells their paths in the same order; `designs` are copies of the baseline
/// that are there too.
fn read_sets(
    texts: &mut document::Texts,
    sets: &[(String, String)],
    schema: structure::Schema<'_>,
    designs: &[String],
) -> Result<Vec<Vec<String>>, Diagnostics> {
    let mut problems = Diagnostics::default();
    let mut tree = texts.parse(0).map_err(|problem| only(*problem))?;
    set::add_what_ifs(&mut tree, designs);
    let read: Vec<_> = sets.iter().map(|setting| set::read(setting, &tree, schema)).collect();
    let mut paths = Vec::new();
    for setting in read {
        match setting {
            Ok((path, text)) => {
                texts.push_set(text);
                paths.push(path);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.errors() > 0 { Err(problems) } else { Ok(paths) }
}

fn read(path: &Path, name: &str) -> Result<String, Box<Diagnostic>> {
    let bytes = std::fs::read(path).map_err(|error| {
        let problem = Diagnostic::error("W0201", format!("cannot read the scenario `{name}`: {error}"));
        Box::new(problem.help("`windtunnel new` writes a scenario to start from"))
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let start = error.as_bytes()[..good].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let text = String::from_utf8_lossy(&error.as_bytes()[start..good]).into_owned();
        let place = Place::Line { file: name.into(), line, column: (good - start) as u64 + 1, text };
        let problem = Diagnostic::error("W0202", "the scenario is not UTF-8 text");
        Box::new(problem.at(place).help("save it as UTF-8"))
    })
}

fn only(problem: Diagnostic) -> Diagnostics {
    let mut problems = Diagnostics::default();
    problems.push(problem);
    problems
}

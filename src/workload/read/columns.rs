//! The columns of the native CSV and the header line that names them.

use super::problem::{Fatal, code, shown};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, nearest};

/// What a column means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::workload) enum Column {
    JobId,
    Submit,
    Run,
    Limit,
    Priority,
    /// Part of the request.
    Nodes,
    Tasks,
    TasksPerNode,
    Cpus,
    CpusPerTask,
    MemMb,
    Gpus,
    GpusPerNode,
    GpusPerTask,
    GpuType,
    GpuMilli,
    GpuMemMib,
    MigProfile,
    Features,
    Exclusive,
    /// Labels.
    User,
    Account,
    Partition,
    Qos,
    Name,
    Class,
    Tenant,
    /// Rare properties.
    Kind,
    Nice,
    After,
    Array,
    Begin,
    Cancel,
    Deadline,
    Switches,
    Licenses,
    Reservation,
    CheckpointGb,
    CheckpointInterval,
    Requeue,
    /// Recorded history.
    Start,
    WorkStart,
    End,
    Eligible,
    State,
    ExitCode,
    RanGpuType,
    GpuUtil,
    GpuMemPeak,
    AllocNodes,
    AllocCpus,
    AllocGpus,
}

/// The part of a job that a column belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Core,
    Request,
    Labels,
    Extras,
    Recorded,
}

use Column as C;

/// All columns with their names (DESIGN 5.3), in the order in which they are written.
pub(in crate::workload) const COLUMNS: [(&str, Column); 52] = [
    ("job_id", C::JobId),
    ("submit_s", C::Submit),
    ("run_s", C::Run),
    ("limit_s", C::Limit),
    ("user", C::User),
    ("account", C::Account),
    ("partition", C::Partition),
    ("qos", C::Qos),
    ("name", C::Name),
    ("nodes", C::Nodes),
    ("tasks", C::Tasks),
    ("tasks_per_node", C::TasksPerNode),
    ("cpus", C::Cpus),
    ("cpus_per_task", C::CpusPerTask),
    ("mem_mb", C::MemMb),
    ("gpus", C::Gpus),
    ("gpus_per_node", C::GpusPerNode),
    ("gpus_per_task", C::GpusPerTask),
    ("gpu_type", C::GpuType),
    ("gpu_milli", C::GpuMilli),
    ("gpu_mem_mib", C::GpuMemMib),
    ("mig_profile", C::MigProfile),
    ("class", C::Class),
    ("kind", C::Kind),
    ("priority", C::Priority),
    ("nice", C::Nice),
    ("after", C::After),
    ("array", C::Array),
    ("begin_s", C::Begin),
    ("deadline_s", C::Deadline),
    ("features", C::Features),
    ("switches", C::Switches),
    ("licenses", C::Licenses),
    ("reservation", C::Reservation),
    ("checkpoint_gb", C::CheckpointGb),
    ("checkpoint_interval_s", C::CheckpointInterval),
    ("requeue", C::Requeue),
    ("exclusive", C::Exclusive),
    ("tenant", C::Tenant),
    ("cancel_s", C::Cancel),
    ("start_s", C::Start),
    ("work_start_s", C::WorkStart),
    ("end_s", C::End),
    ("eligible_s", C::Eligible),
    ("state", C::State),
    ("exit_code", C::ExitCode),
    ("ran_gpu_type", C::RanGpuType),
    ("gpu_util", C::GpuUtil),
    ("gpu_mem_peak_mib", C::GpuMemPeak),
    ("alloc_nodes", C::AllocNodes),
    ("alloc_cpus", C::AllocCpus),
    ("alloc_gpus", C::AllocGpus),
];

const REQUIRED: [(&str, Column); 3] = [("job_id", C::JobId), ("submit_s", C::Submit), ("run_s", C::Run)];

/// Columns that are checked and kept, but change no result, or only that of some designs: the report says where they
/// have no effect.
const WITHOUT_EFFECT: [Column; 12] = [
    C::Deadline,
    C::Switches,
    C::Licenses,
    C::Reservation,
    C::CheckpointGb,
    C::CheckpointInterval,
    C::Tenant,
    C::WorkStart,
    C::ExitCode,
    C::AllocNodes,
    C::AllocCpus,
    C::AllocGpus,
];

impl Column {
    /// What it says, with unit and default.
    fn meaning(self) -> &'static str {
        match self {
            C::JobId => "id of the job: a number or any text, once in the file (an array shares it)",
            C::Submit => "submission: seconds from any origin, or a timestamp (2026-03-01T08:00:00+01:00)",
            C::Run => "run time in seconds on the hardware that the job ran on; more than 0",
            C::Limit => "requested time limit in seconds; default the run time",
            C::User => "user",
            C::Account => "account or group that is charged",
            C::Partition => "partition or queue",
            C::Qos => "quality of service",
            C::Name => "job name",
            C::Nodes => "nodes; default 1, or as many as the GPUs need",
            C::Tasks => "tasks in all; default 1, or tasks_per_node x nodes",
            C::TasksPerNode => "tasks on each node",
            C::Cpus => "CPUs in all; default cpus_per_task for each task",
            C::CpusPerTask => "CPUs of each task; default 1",
            C::MemMb => "memory of each node in MiB",
            C::Gpus => "GPUs in all; default 0",
            C::GpusPerNode => "GPUs of each node",
            C::GpusPerTask => "GPUs of each task",
            C::GpuType => "GPU types that will do, several with |; default any",
            C::GpuMilli => "share of one GPU in thousandths; default 1000",
            C::GpuMemMib => "memory needed on each GPU in MiB",
            C::MigProfile => "MIG profile, for instance 1g.10gb",
            C::Class => "job class; default from the scenario's class rules",
            C::Kind => "work or session (interactive: wall time whatever the hardware); default work",
            C::Priority => "static priority, higher first; default 0",
            C::Nice => "taken from the priority; default 0",
            C::After => "dependencies as in sbatch --dependency: type:id[:id]..., several with a comma",
            C::Array => "task indices as in sbatch --array: 0-9%4",
            C::Begin => "not to start before: seconds or timestamp as submit_s",
            C::Deadline => "to end before: seconds or timestamp",
            C::Features => "features that every node must have, joined by &",
            C::Switches => {
                "most leaf switches, with @ how long it waits for that, as sbatch --switches: 1@10:00 (Slurm's policy with \
                 a topology)"
            }
            C::Licenses => {
                "licences as in sbatch --licenses: solver:2,viz or a:1|b:1 (Slurm's policy with Licenses=)"
            }
            C::Reservation => "name of a reservation",
            C::CheckpointGb => "size of a checkpoint in GB",
            C::CheckpointInterval => "seconds between checkpoints",
            C::Requeue => "whether it may be requeued: yes or no",
            C::Exclusive => "whole nodes, nobody else on them: yes or no (1, 0, true, false)",
            C::Tenant => "tenant",
            C::Cancel => "withdrawn by the user at this time unless it has ended: seconds or timestamp",
            C::Start => "recorded start: seconds or timestamp",
            C::WorkStart => "recorded end of its start-up (boot, layout, restore); run_s begins at start_s",
            C::End => "recorded end: seconds or timestamp",
            C::Eligible => "recorded end of holds: seconds or timestamp",
            C::State => {
                "recorded state, Slurm's word; a failure (FAILED, TIMEOUT, NODE_FAIL, CANCELLED, ...) ends as \
                 FAILED here: it runs as long, counts in jobs.failed, delivers nothing, meets no afterok"
            }
            C::ExitCode => "recorded exit code",
            C::RanGpuType => "GPU type that it ran on: on another the job takes longer or shorter",
            C::GpuUtil => {
                "recorded mean GPU use, 0 to 1: the rest of what it holds is `held_idle` in the ledger"
            }
            C::GpuMemPeak => {
                "recorded peak GPU memory in MiB; stands for the need only with speedup.memory = \"recorded-peak\""
            }
            C::AllocNodes => "nodes that it was given",
            C::AllocCpus => "CPUs that it was given, in all",
            C::AllocGpus => "GPUs that it was given, in all",
        }
    }

    /// Whether its values change no result in this version.
    pub fn is_without_effect(self) -> bool {
        WITHOUT_EFFECT.contains(&self)
    }

    /// The part of a job that it belongs to.
    fn part(self) -> Part {
        match self {
            C::JobId | C::Submit | C::Run | C::Limit | C::Priority => Part::Core,
            C::Nodes
            | C::Tasks
            | C::TasksPerNode
            | C::Cpus
            | C::CpusPerTask
            | C::MemMb
            | C::Gpus
            | C::GpusPerNode
            | C::GpusPerTask
            | C::GpuType
            | C::GpuMilli
            | C::GpuMemMib
            | C::MigProfile
            | C::Features
            | C::Exclusive => Part::Request,
            C::User | C::Account | C::Partition | C::Qos | C::Name | C::Class | C::Tenant => Part::Labels,
            C::Kind
            | C::Nice
            | C::After
            | C::Array
            | C::Begin
            | C::Cancel
            | C::Deadline
            | C::Switches
            | C::Licenses
            | C::Reservation
            | C::CheckpointGb
            | C::CheckpointInterval
            | C::Requeue => Part::Extras,
            C::Start
            | C::WorkStart
            | C::End
            | C::Eligible
            | C::State
            | C::ExitCode
            | C::RanGpuType
            | C::GpuUtil
            | C::GpuMemPeak
            | C::AllocNodes
            | C::AllocCpus
            | C::AllocGpus => Part::Recorded,
        }
    }
}

/// A column of the native CSV, described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Its name in the header.
    pub name: &'static str,
    /// What it says, with unit and default.
    pub meaning: &'static str,
    /// Whether every trace must have it.
    pub is_required: bool,
    /// Whether its values change a result in this version.
    pub has_effect: bool,
}

/// All columns of the native CSV.
pub fn trace_columns() -> impl Iterator<Item = ColumnFacts> {
    COLUMNS.iter().map(|(name, column)| ColumnFacts {
        name,
        meaning: column.meaning(),
        is_required: REQUIRED.iter().any(|(required, _)| required == name),
        has_effect: !column.is_without_effect(),
    })
}

/// A column of this file: position, meaning, name.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub at: usize,
    pub column: Column,
    pub name: &'static str,
}

/// The header of one file.
pub(super) struct Header {
    /// Cells of every row.
    pub width: usize,
    placed: Vec<Placed>,
}

impl Header {
    /// Reads the header cells `names`, each with its byte column. All problems are told together.
    pub fn new(
        names: &[(String, u64)],
        place: impl Fn(u64) -> Place,
        told: &mut Diagnostics,
    ) -> Result<Self, Fatal> {
        let mut placed: Vec<Placed> = Vec::new();
        let mut problems: Vec<Diagnostic> = Vec::new();
        for (at, (name, column)) in names.iter().enumerate() {
            if name.starts_with("x_") {
                continue;
            }
            match COLUMNS.iter().find(|(known, _)| known == name) {
                None => problems.push(unknown(name).at(place(*column))),
                Some((known, _)) if placed.iter().any(|p| p.name == *known) => problems.push(
                    Diagnostic::error(code::REPEATED_COLUMN, format!("column '{name}' comes twice"))
                        .at(place(*column))
                        .help("keep one of them, or prefix the other with x_ so that it is passed over"),
                ),
                Some((known, column)) => placed.push(Placed { at, column: *column, name: known }),
            }
        }
        if placed.is_empty() {
            // Without any known name the line is no header at all.
            problems.clear();
        }
        let header = Self { width: names.len(), placed };
        if let Some(missing) = header.missing() {
            let found: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
            problems.insert(0, missing.because(found_columns(&found)).at(place(0)));
        }
        match problems.pop() {
            None => Ok(header),
            Some(last) => {
                told.extend(problems);
                Err(Box::new(last))
            }
        }
    }

    fn missing(&self) -> Option<Diagnostic> {
        let missing: Vec<&str> =
            REQUIRED.iter().filter(|(_, c)| self.find(*c).is_none()).map(|(name, _)| *name).collect();
        if missing.is_empty() {
            return None;
        }
        let message = format!("required column missing: {}", missing.join(", "));
        Some(
            Diagnostic::error(code::MISSING_COLUMN, message).help(
                "a trace needs job_id, submit_s and run_s (`windtunnel schema trace` lists all columns); where they \
                 are called differently, `windtunnel trace check FILE --guess` proposes [workload.columns]",
            ),
        )
    }

    /// The columns of a table that is made of another one.
    pub fn made(columns: &[Column]) -> Self {
        let name =
            |column: &Column| COLUMNS.iter().find(|(_, known)| known == column).map_or("", |(name, _)| name);
        let placed =
            columns.iter().enumerate().map(|(at, column)| Placed { at, column: *column, name: name(column) });
        Self { width: columns.len(), placed: placed.collect() }
    }

    /// Position of a column.
    pub fn find(&self, column: Column) -> Option<Placed> {
        self.placed.iter().find(|p| p.column == column).copied()
    }

    /// The columns of one part, in file order.
    pub fn of_part(&self, part: Part) -> Vec<Placed> {
        self.placed.iter().filter(|p| p.column.part() == part).copied().collect()
    }
}

/// What the first line says, so that it is seen whether it is a header.
fn found_columns(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    let names: Vec<String> = names.iter().take(SHOWN).map(|name| shown(name.as_bytes(), 0)).collect();
    format!("the first line must name the columns; it has: {}{more}", names.join(", "))
}

fn unknown(name: &str) -> Diagnostic {
    let near = nearest(&name.to_ascii_lowercase(), COLUMNS.iter().map(|(known, _)| *known));
    let help = near.map_or_else(
        || "remove it, or prefix it with x_ so that it is passed over".to_owned(),
        |near| format!("did you mean '{near}'? To keep it without meaning, call it 'x_{name}'"),
    );
    Diagnostic::error(code::UNKNOWN_COLUMN, format!("unknown column '{}'", shown(name.as_bytes(), 0)))
        .because("a column that is misspelt would be lost without a word")
        .help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_listed_once() {
        for (at, (name, column)) in COLUMNS.iter().enumerate() {
            assert!(!COLUMNS[..at].iter().any(|(n, c)| n == name || c == column), "{name}");
        }
    }
}

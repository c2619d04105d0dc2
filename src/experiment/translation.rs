//! Work that moves between GPU models: the speed of every job on every pool of a design.
//!
//! A job ran on a platform: `ran_gpu_type`, else the scenario's `speedup.reference`. On a pool with another
//! GPU it runs at the speed that the scenario gives for its class or for all (`speed`), else at
//!
//! ```text
//!   1 / (compute x peak of its own GPU / peak here + bandwidth x its own / here + latency)
//! ```
//!
//! with the shares of the class's mix from the catalogue, at level low, typical or high. What cannot be
//! translated (no platform, no figures, a pool whose GPU is not stated) runs as recorded and is counted.
//! Sessions keep their wall time, jobs without GPUs their run time.
//!
//! Invariant: a design on which every job has speed 1 is run exactly as without translation.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::ids::{IdVec, JobId, TextId};
use crate::scenario::{BoardFigures, ClassSpeedup, Design, SpeedupLevel, SpeedupMix, SpeedupSpec, catalogue};
use crate::simulation::{Speed, Speeds};
use crate::workload::{JobFlags, Workload};

/// What translation did in a design.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TranslationFacts {
    /// Jobs that can run at another speed than recorded, by platform, GPU and class.
    pub moves: Vec<Move>,
    /// Jobs with GPUs that run as long as recorded for want of something, by reason.
    pub as_recorded: BTreeMap<String, u64>,
    /// Names of GPUs in the trace that stand for a board of the catalogue.
    pub taken_for: BTreeMap<String, String>,
    /// Jobs without declared need whose recorded peak of GPU memory is above that of every pool; they are
    /// placed all the same.
    pub peak_above_memory: u64,
    /// Whether a speed is the catalogue's at a level that the scenario did not choose.
    #[serde(skip)]
    pub level_is_open: bool,
}

/// Jobs of one class from one GPU to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Move {
    /// GPU that they ran on.
    pub from: String,
    /// GPU of a pool.
    pub to: String,
    /// Class, if they have one.
    pub class: Option<String>,
    /// Jobs.
    pub jobs: u64,
    /// Speed on the second relative to the first.
    pub speed: f64,
    /// `scenario`, or the mix and level of the catalogue.
    pub by: String,
}

impl TranslationFacts {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.as_recorded.is_empty() && self.peak_above_memory == 0
    }
}

/// A platform and a class; jobs alike in both have the same speeds.
type Kind = (Option<TextId>, Option<TextId>);

/// Speeds of all jobs on the pools of `design`, `None` where all are 1, and what there is to tell.
#[must_use]
pub fn translate(workload: &Workload, design: &Design) -> (Option<Speeds>, TranslationFacts) {
    let spec = &design.speedup;
    let facts =
        TranslationFacts { peak_above_memory: peaks_above(workload, design), ..TranslationFacts::default() };
    let known = workload.recorded.has_gpu_types() || spec.reference.is_some();
    if !spec.translate || !known || design.cluster.pools.iter().all(|pool| pool.node.capacity.gpus == 0) {
        return (None, facts);
    }
    let mut table = Table { workload, design, facts, rows: vec![], jobs: vec![], moved: BTreeMap::new() };
    table.rows.push(IdVec::filled(design.cluster.pools.len(), Speed::ONE));
    table.jobs.push(0);
    let has_gpus: Vec<bool> = workload.requests.iter().map(|(_, request)| request.total_gpus() > 0).collect();
    let mut kinds: FxHashMap<Kind, u16> = FxHashMap::default();
    let mut row_of: IdVec<JobId, u16> = IdVec::filled(workload.jobs.len(), 0);
    for (id, job) in workload.jobs.iter_ids() {
        if job.flags.has(JobFlags::SESSION) || !has_gpus[crate::ids::Id::index(job.request)] {
            continue;
        }
        let platform = workload.recorded.ran_gpu_type(id);
        if platform.is_none() && spec.reference.is_none() {
            *table
                .facts
                .as_recorded
                .entry("the GPU that they ran on is not known".to_owned())
                .or_insert(0) += 1;
            continue;
        }
        let kind = (platform, workload.labels.get(job.labels).class);
        // More kinds than a row number can name run as recorded would be wrong, so it is an invariant.
        let row = *kinds.entry(kind).or_insert_with(|| table.row(kind));
        row_of[id] = row;
        table.jobs[usize::from(row)] += 1;
    }
    table.finish(row_of)
}

/// Rows of speeds while they are found.
struct Table<'a> {
    workload: &'a Workload,
    design: &'a Design,
    facts: TranslationFacts,
    rows: Vec<IdVec<crate::ids::PoolId, Speed>>,
    /// Jobs of each row.
    jobs: Vec<u64>,
    /// What each row means on each GPU: (from, to, class) by row.
    moved: BTreeMap<(usize, String), Found>,
}

/// How fast a kind of job is on a GPU.
struct Found {
    from: String,
    class: Option<TextId>,
    outcome: Result<(Speed, String), String>,
}

impl Table<'_> {
    /// The row of a kind of job that was not met before.
    fn row(&mut self, (platform, class): Kind) -> u16 {
        let design = self.design;
        let number = self.rows.len();
        let from = match (platform, &design.speedup.reference) {
            (Some(text), _) => self.workload.texts.get(text),
            (None, Some(reference)) => reference.as_str(),
            (None, None) => unreachable!("jobs without platform have the first row"),
        };
        let board = self.board(from);
        let mut speeds = IdVec::new();
        for pool in &design.cluster.pools {
            let Some(to) = &pool.node.gpu_type else {
                speeds.push(Speed::ONE);
                if pool.node.capacity.gpus > 0 {
                    let why = Err("the GPU of a pool is not stated".to_owned());
                    self.moved
                        .insert((number, String::new()), Found { from: board.clone(), class, outcome: why });
                }
                continue;
            };
            let outcome = self.speed(from, &board, to, class);
            speeds.push(outcome.as_ref().map_or(Speed::ONE, |(speed, _)| *speed));
            self.moved.insert((number, to.clone()), Found { from: board.clone(), class, outcome });
        }
        self.rows.push(speeds);
        self.jobs.push(0);
        u16::try_from(number).expect("a trace has fewer than 2^16 pairs of GPU type and class")
    }

    /// The board that a name in the trace stands for; the name itself where none is known.
    fn board(&mut self, name: &str) -> String {
        if self.design.speedup.boards.contains_key(name) {
            return name.to_owned();
        }
        let Some(row) = catalogue::board_meant(name) else { return name.to_owned() };
        if row.gpu != name {
            self.facts.taken_for.insert(name.to_owned(), row.gpu.clone());
        }
        row.gpu.clone()
    }

    /// The speed of a class on the GPU `to` relative to its own, and what says so; else why it is not known.
    fn speed(
        &mut self,
        from: &str,
        board: &str,
        to: &str,
        class: Option<TextId>,
    ) -> Result<(Speed, String), String> {
        if board == to || from == to {
            return Ok((Speed::ONE, "the same GPU".to_owned()));
        }
        let spec = &self.design.speedup;
        let class = class.map(|class| self.workload.texts.get(class));
        let own = class.and_then(|class| spec.classes.get(class));
        for table in own.into_iter().chain([&spec.all]) {
            if let Some(ratio) = given_ratio(table, from, board, to) {
                let speed =
                    Speed::from_ratio(ratio).expect("speeds of a scenario lie between 10^-3 and 10^3");
                return Ok((speed, "scenario".to_owned()));
            }
        }
        let figures = |name: &str| {
            let missing =
                || format!("no figures of the GPU {name} are known ([gpu.{name}], or speedup.speed)");
            figures(spec, name).ok_or_else(missing)
        };
        let (a, b) = (figures(board)?, figures(to)?);
        let of_class = || class.and_then(catalogue::mix_of_class);
        let mix =
            own.and_then(|table| table.mix).or_else(of_class).or(spec.all.mix).unwrap_or(SpeedupMix::Mixed);
        let level = spec.level.unwrap_or(SpeedupLevel::Typical);
        let shares = catalogue::speedup_mix(mix, level);
        let time = shares.compute * (a.tflops / b.tflops)
            + shares.bandwidth * (a.bandwidth_tb_s / b.bandwidth_tb_s)
            + shares.latency;
        let too_far = || format!("the figures of {board} and {to} are more than a million apart");
        let speed = Speed::from_ratio(1.0 / time).ok_or_else(too_far)?;
        self.facts.level_is_open |= spec.level.is_none();
        Ok((speed, format!("catalogue: {}, {}", mix_word(mix), level_word(level))))
    }

    fn finish(mut self, row_of: IdVec<JobId, u16>) -> (Option<Speeds>, TranslationFacts) {
        for ((row, to), found) in self.moved {
            let jobs = self.jobs[row];
            match found.outcome {
                Ok((Speed::ONE, _)) => {}
                Ok((speed, by)) => self.facts.moves.push(Move {
                    from: found.from,
                    to,
                    class: found.class.map(|class| self.workload.texts.get(class).to_owned()),
                    jobs,
                    speed: speed.ratio(),
                    by,
                }),
                Err(why) => *self.facts.as_recorded.entry(why).or_insert(0) += jobs,
            }
        }
        let same = self.rows.iter().all(|row| row.iter().all(|speed| *speed == Speed::ONE));
        let speeds = (!same).then(|| Speeds::new(row_of, self.rows));
        (speeds, self.facts)
    }
}

/// The ratio that a table of speeds gives.
fn given_ratio(table: &ClassSpeedup, from: &str, board: &str, to: &str) -> Option<f64> {
    let there = table.speed.get(to)?;
    let here = table.speed.get(board).or_else(|| table.speed.get(from));
    Some(there / here.copied().unwrap_or(1.0))
}

/// Figures of a board: the scenario's, else the catalogue's.
fn figures(spec: &SpeedupSpec, name: &str) -> Option<BoardFigures> {
    let of_row = |row: &catalogue::GpuRow| BoardFigures {
        tflops: row.fp16_bf16_dense_tflops,
        bandwidth_tb_s: row.mem_bw_tb_s,
    };
    spec.boards.get(name).copied().or_else(|| catalogue::gpu(name).map(of_row))
}

/// Jobs without declared need whose recorded peak is above the memory of every pool's GPU.
fn peaks_above(workload: &Workload, design: &Design) -> u64 {
    let pools = design.cluster.pools.iter().filter(|pool| pool.node.capacity.gpus > 0);
    let memory: Option<Vec<u64>> = pools.map(|pool| pool.node.gpu_mem_mib).collect();
    let Some(most) = memory.and_then(|memory| memory.into_iter().max()) else { return 0 };
    let jobs = workload.jobs.iter_ids().filter(|(id, job)| {
        let peak = workload.recorded.gpu_mem_peak_mib(*id);
        peak.is_some_and(|peak| u64::from(peak) > most)
            && workload.requests.get(job.request).gpu_mem_mib.is_none()
    });
    jobs.count() as u64
}

fn mix_word(mix: SpeedupMix) -> &'static str {
    match mix {
        SpeedupMix::ComputeBound => "compute-bound",
        SpeedupMix::BandwidthBound => "bandwidth-bound",
        SpeedupMix::LatencyBound => "latency-bound",
        SpeedupMix::Mixed => "mixed",
    }
}

fn level_word(level: SpeedupLevel) -> &'static str {
    match level {
        SpeedupLevel::Low => "low",
        SpeedupLevel::Typical => "typical",
        SpeedupLevel::High => "high",
    }
}

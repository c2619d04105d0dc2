//! Windtunnel: a wind tunnel for GPU clusters.
//!
//! Replay a job trace over cluster designs that are not bought yet:
//!
//! ```
//! use windtunnel::cluster::ClusterSpec;
//! use windtunnel::metrics::summarize;
//! use windtunnel::scheduler::{BackfillSpec, PlacementSpec, ordering::BySubmit};
//! use windtunnel::simulation::{Policy, RunOptions, simulate};
//! use windtunnel::workload::read::{ReadOptions, read_stream};
//!
//! // Three jobs on two CPUs. The second waits for the first; the third is short enough to start before it.
//! let trace = "job_id,submit_s,cpus,run_s,limit_s\n1,0,1,100,100\n2,0,2,50,50\n3,0,1,60,60\n";
//! let workload = read_stream(trace.as_bytes(), "jobs.csv", &ReadOptions::default())?;
//! let cluster = ClusterSpec::processors(2);
//! let policy = Policy {
//!     ordering: Box::new(BySubmit),
//!     placement: PlacementSpec::FirstFit.into(),
//!     backfill: BackfillSpec::Easy,
//! };
//! let outcome = simulate(&workload, &cluster, policy, &RunOptions::default())?;
//! let figures = summarize(&workload, &cluster, &outcome);
//! assert_eq!((figures.jobs.completed, figures.wait_s.max), (3, Some(100.0)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`simulation::simulate`] is the one door to a run: a workload, the hardware, who decides, and what to keep.
//! [`scenario::load_text`] reads a whole scenario, [`experiment::run_designs`] runs its designs side by side.
//!
//! The crate is a library with a thin binary; ARCHITECTURE.md has the map. Data flows down this list once, nothing
//! flows back up:
//!
//! ```text
//! time money ids random diagnostic   base words: know nothing of clusters
//! kernel      calendar and loop: knows nothing of jobs
//! workload    jobs, readers of trace dialects, synthetic generators, scaling
//! cluster     nodes, GPUs; the allocation ledger, the only writer of capacity
//! fabric      networks between nodes: shared links and what they cost
//! tenancy     what an allocation delivers: bare metal, containers, VMs, neighbours
//! scheduler   ordering x placement x backfill: decisions over a snapshot
//! simulation  wires the above to the kernel; emits records
//! metrics     waits, utilization, GPU-hour ledger, tails
//! cost        what a design costs over a horizon
//! scenario    TOML -> spanned tree -> validated inputs
//! experiment  designs side by side
//! validation  published tables and recordings reproduced
//! report      terminal table, CSV, HTML
//! cli         one file per subcommand
//! ```

pub mod cli;
pub mod cluster;
pub mod cost;
pub mod diagnostic;
pub mod experiment;
pub mod fabric;
pub mod ids;
pub mod kernel;
pub mod metrics;
pub mod money;
pub mod random;
pub mod report;
pub mod scenario;
pub mod scheduler;
pub mod simulation;
pub mod tenancy;
pub mod time;
pub mod validation;
pub mod workload;

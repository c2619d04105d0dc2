//! Windtunnel: a wind tunnel for GPU clusters.
//!
//! Replay a job trace over cluster designs that are not bought yet. The crate is a library with a thin
//! binary; ARCHITECTURE.md has the map. Data flows down this list once, nothing flows back up:
//!
//! ```text
//! time money ids random diagnostic   base words: know nothing of clusters
//! kernel      calendar and loop: knows nothing of jobs
//! workload    jobs, readers of trace dialects, synthetic generators, scaling
//! cluster     nodes, GPUs; the allocation ledger, the only writer of capacity
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

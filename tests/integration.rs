//! Behaviour tests, one binary: a file per behaviour.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod integration {
    mod builders;
    mod differential;
    mod generator;
    mod goodness_of_fit;
    mod held_jobs;
    mod invariants;
    mod oracles;
    mod reference;
    mod scenario_errors;
    mod scenario_loading;
    mod shipped_traces;
    mod slurm_recordings;
    mod theory;
    mod trace_errors;
    mod trace_files;
    mod trace_round_trip;
    mod worked_examples;
}

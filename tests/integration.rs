//! Behaviour tests, one binary: a file per behaviour.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod integration {
    mod generator;
    mod goodness_of_fit;
    mod scenario_errors;
    mod scenario_loading;
    mod shipped_traces;
    mod trace_errors;
    mod trace_files;
    mod trace_round_trip;
}

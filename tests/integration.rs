//! Behaviour of the whole crate, seen from outside; one file per behaviour.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod integration {
    mod generator;
    mod goodness_of_fit;
    mod scenario_errors;
    mod scenario_loading;
    mod shipped_traces;
}

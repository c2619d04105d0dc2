//! Behaviour tests, one binary: a file per behaviour.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

#[path = "integration/generator.rs"]
mod generator;
#[path = "integration/goodness_of_fit.rs"]
mod goodness_of_fit;
#[path = "integration/shipped_traces.rs"]
mod shipped_traces;

//! Behaviour tests, one binary: a file per behaviour.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

#[path = "integration/cost_of_designs.rs"]
mod cost_of_designs;
#[path = "integration/scenario_errors.rs"]
mod scenario_errors;
#[path = "integration/scenario_loading.rs"]
mod scenario_loading;

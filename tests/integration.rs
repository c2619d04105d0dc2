//! Behaviour of the whole crate, seen from outside; one file per behaviour.

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
    mod shipped_traces;
    mod theory;
    mod worked_examples;
}

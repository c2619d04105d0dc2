//! Behaviour of the whole crate, seen from outside; one file per behaviour.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod integration {
    mod builders;
    mod differential;
    mod generator;
    mod goodness_of_fit;
    mod reference;
    mod shipped_traces;
}

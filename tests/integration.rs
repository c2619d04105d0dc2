//! Behaviour of the whole crate, seen from outside; one file per behaviour.

mod integration {
    mod goodness_of_fit;
}

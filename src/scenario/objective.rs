//! What a design must do, and what then decides.

/// What a design must do, and what then decides.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveSpec {
    /// All of them must hold.
    pub require: Vec<Condition>,
    /// Figure that is to be smallest among the designs that meet them.
    pub minimize: String,
}

/// A bound on a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// As written.
    pub text: String,
    /// The figure by its dotted key in the results.
    pub figure: String,
    /// Which side of the bound is good.
    pub bound: Bound,
    /// The bound.
    pub value: f64,
}

/// Which side of a bound is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `<=`
    AtMost,
    /// `<`
    Below,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
}

impl Bound {
    /// Whether `figure` is on the good side of `value`.
    #[must_use]
    pub fn holds(self, figure: f64, value: f64) -> bool {
        match self {
            Self::AtMost => figure <= value,
            Self::Below => figure < value,
            Self::AtLeast => figure >= value,
            Self::Above => figure > value,
        }
    }
}

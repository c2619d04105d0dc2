//! Which job comes first.
//!
//! An [`Ordering`] gives each waiting job a key; the smallest key is first, equal keys go by submit
//! order. Static orders are asked once per job; orders that change with time are asked before every pass.

mod expression;

use super::policy::OrderSpec;
use crate::ids::JobId;
use crate::time::{SimDuration, SimTime};
use crate::workload::{Job, Workload};

pub use expression::{EXPRESSION_VARIABLES, Expression, ExpressionError};

/// Position in the queue: smaller is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(pub i64);

impl OrderKey {
    /// The order of floating-point numbers as integers; NaN comes last.
    #[must_use]
    pub fn from_f64(value: f64) -> Self {
        if value.is_nan() {
            return Self(i64::MAX);
        }
        let bits = (if value == 0.0 { 0.0 } else { value }).to_bits().cast_signed();
        Self(if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits })
    }
}

/// A waiting job as an order sees it.
#[derive(Clone, Copy)]
pub struct JobView<'a> {
    /// Its id.
    pub id: JobId,
    /// The job.
    pub job: &'a Job,
    /// CPUs asked for in all.
    pub cpus: u32,
    /// GPUs asked for in all.
    pub gpus: u32,
    /// Nodes.
    pub nodes: u32,
    /// The whole trace, for labels and texts.
    pub workload: &'a Workload,
}

impl JobView<'_> {
    /// Waiting time until `now`.
    #[must_use]
    pub fn age(&self, now: SimTime) -> SimDuration {
        now.saturating_since(self.job.submit)
    }

    /// The user's name, where the trace has it.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.workload.labels.get(self.job.labels).user.map(|id| self.workload.texts.get(id))
    }
}

/// A queue order. Implement it in your own crate to try an order of your own (`examples/my_policy.rs`).
pub trait Ordering: Send + Sync {
    /// The job's key at `now`; smaller is earlier.
    fn key(&self, job: &JobView<'_>, now: SimTime) -> OrderKey;

    /// Whether keys change while jobs wait.
    fn changes_with_time(&self) -> bool {
        false
    }
}

/// First come, first served.
pub struct BySubmit;
/// Shortest limit first.
pub struct ShortestLimit;
/// Longest limit first.
pub struct LongestLimit;
/// Highest static priority minus nice first.
pub struct ByPriority;

impl Ordering for BySubmit {
    fn key(&self, _: &JobView<'_>, _: SimTime) -> OrderKey {
        OrderKey(0)
    }
}

impl Ordering for ShortestLimit {
    fn key(&self, job: &JobView<'_>, _: SimTime) -> OrderKey {
        OrderKey(job.job.limit.micros())
    }
}

impl Ordering for LongestLimit {
    fn key(&self, job: &JobView<'_>, _: SimTime) -> OrderKey {
        OrderKey(-job.job.limit.micros())
    }
}

impl Ordering for ByPriority {
    fn key(&self, job: &JobView<'_>, _: SimTime) -> OrderKey {
        let nice = job.workload.extras_of(job.id).map_or(0, |extras| extras.nice);
        OrderKey(job.job.priority.saturating_sub(nice).saturating_neg())
    }
}

/// The order that a specification names.
///
/// # Errors
/// [`ExpressionError`] for a bad expression.
pub fn ordering(spec: &OrderSpec) -> Result<Box<dyn Ordering>, ExpressionError> {
    Ok(match spec {
        OrderSpec::Submit => Box::new(BySubmit),
        OrderSpec::ShortestLimit => Box::new(ShortestLimit),
        OrderSpec::LongestLimit => Box::new(LongestLimit),
        OrderSpec::Priority => Box::new(ByPriority),
        OrderSpec::Expression(text) => Box::new(Expression::compile(text)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float_keys_keep_the_order_of_floats() {
        let floats = [f64::NEG_INFINITY, -3.5, -1e-300, 0.0, 1e-300, 2.0, 1e300, f64::INFINITY, f64::NAN];
        let keys: Vec<OrderKey> = floats.iter().map(|f| OrderKey::from_f64(*f)).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:?}");
        assert_eq!(OrderKey::from_f64(-0.0), OrderKey::from_f64(0.0));
    }
}

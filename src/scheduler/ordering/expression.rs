//! An order written in the scenario: `[policy.expression] order = "age_s / limit_s"`.
//!
//! The job with the largest value goes first, as with every priority. Functions are those of `libm`, so
//! that the same expression orders the same jobs on every machine.

use std::fmt;

use exmex::{BinOp, Express, FlatEx, MakeOperators, Operator};
use smallvec::SmallVec;

use super::{JobView, OrderKey, Ordering};
use crate::time::SimTime;

/// An order written as an expression, compiled once: largest value first.
pub struct Expression {
    compiled: FlatEx<f64, Operators>,
    variables: SmallVec<[Variable; EXPRESSION_VARIABLES.len()]>,
}

/// What an expression may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    Age,
    Limit,
    Cpus,
    Gpus,
    Nodes,
    Submit,
    Priority,
}

/// Variables of `[policy.expression] order`, with their meaning.
pub const EXPRESSION_VARIABLES: [(&str, &str); 7] = [
    ("age_s", "seconds since submission"),
    ("limit_s", "requested time limit in seconds"),
    ("cpus", "CPUs asked for in all"),
    ("gpus", "GPUs asked for in all"),
    ("nodes", "nodes"),
    ("submit_s", "submission in seconds of the trace"),
    ("priority", "the trace's priority column"),
];

/// Why an expression cannot be an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is no expression.
    #[error("{0}")]
    Syntax(String),
    /// It names something that jobs do not have.
    #[error("unknown variable '{0}'")]
    UnknownVariable(String),
}

/// `+ - * / ^`, `min(a, b)`, `max(a, b)` and functions of one number. Standard libraries round `exp`,
/// `ln` and powers differently; `libm` is the same everywhere.
#[derive(Clone, Debug)]
struct Operators;

impl MakeOperators<f64> for Operators {
    fn make<'a>() -> Vec<Operator<'a, f64>> {
        let infix = |apply, prio, is_commutative| BinOp { apply, prio, is_commutative };
        vec![
            Operator::make_bin("^", infix(libm::pow, 4, false)),
            Operator::make_bin("/", infix(|a, b| a / b, 3, false)),
            Operator::make_bin("*", infix(|a, b| a * b, 2, true)),
            Operator::make_bin_unary("-", infix(|a, b| a - b, 1, false), |a| -a),
            Operator::make_bin_unary("+", infix(|a, b| a + b, 0, true), |a| a),
            Operator::make_bin("min", infix(libm::fmin, 0, true)),
            Operator::make_bin("max", infix(libm::fmax, 0, true)),
            Operator::make_unary("abs", libm::fabs),
            Operator::make_unary("floor", libm::floor),
            Operator::make_unary("ceil", libm::ceil),
            Operator::make_unary("sqrt", libm::sqrt),
            Operator::make_unary("exp", libm::exp),
            Operator::make_unary("ln", libm::log),
            Operator::make_unary("log2", libm::log2),
            Operator::make_unary("log10", libm::log10),
        ]
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Expression({:?})", self.variables)
    }
}

impl Expression {
    /// Compiles `text`.
    ///
    /// # Errors
    /// [`ExpressionError`] for syntax and unknown variables.
    pub fn compile(text: &str) -> Result<Self, ExpressionError> {
        let compiled = FlatEx::parse(text).map_err(|e| ExpressionError::Syntax(e.to_string()))?;
        let variables = compiled
            .var_names()
            .iter()
            .map(|name| match name.as_str() {
                "age_s" => Ok(Variable::Age),
                "limit_s" => Ok(Variable::Limit),
                "cpus" => Ok(Variable::Cpus),
                "gpus" => Ok(Variable::Gpus),
                "nodes" => Ok(Variable::Nodes),
                "submit_s" => Ok(Variable::Submit),
                "priority" => Ok(Variable::Priority),
                other => Err(ExpressionError::UnknownVariable(other.to_owned())),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { compiled, variables })
    }

    fn value(&self, job: &JobView<'_>, now: SimTime) -> f64 {
        let values = self.variables.iter().map(|variable| match variable {
            Variable::Age => job.age(now).as_s(),
            Variable::Limit => job.job.limit.as_s(),
            Variable::Cpus => f64::from(job.cpus),
            Variable::Gpus => f64::from(job.gpus),
            Variable::Nodes => f64::from(job.nodes),
            Variable::Submit => job.job.submit.as_s(),
            Variable::Priority => job.job.priority as f64,
        });
        let values: SmallVec<[f64; EXPRESSION_VARIABLES.len()]> = values.collect();
        self.compiled.eval(&values).expect("every variable has a value")
    }
}

impl Ordering for Expression {
    fn key(&self, job: &JobView<'_>, now: SimTime) -> OrderKey {
        OrderKey::from_f64(-self.value(job, now))
    }

    fn changes_with_time(&self) -> bool {
        self.variables.contains(&Variable::Age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{JobId, LabelId, RequestId};
    use crate::time::SimDuration;
    use crate::workload::{Job, JobFlags, JobName, Workload};

    fn job(submit_s: i64, limit_s: i64) -> Job {
        Job {
            submit: SimTime::from_s(submit_s),
            run: SimDuration::from_s(limit_s),
            limit: SimDuration::from_s(limit_s),
            priority: 0,
            name: JobName::Number(1),
            request: RequestId(0),
            labels: LabelId(0),
            flags: JobFlags::default(),
        }
    }

    fn value(text: &str, job: &Job, now_s: i64) -> f64 {
        let workload = Workload::default();
        let view = JobView { id: JobId(0), job, cpus: 8, gpus: 2, nodes: 1, workload: &workload };
        Expression::compile(text).unwrap().value(&view, SimTime::from_s(now_s))
    }

    #[test]
    fn expressions_say_what_is_wrong() {
        assert!(Expression::compile("age_s / limit_s").unwrap().changes_with_time());
        assert!(!Expression::compile("limit_s * gpus").unwrap().changes_with_time());
        assert_eq!(
            Expression::compile("age_s / limits").unwrap_err(),
            ExpressionError::UnknownVariable("limits".into())
        );
        for text in ["age_s /", "sin(age_s)", "age_s age_s", "max(age_s)"] {
            assert!(Expression::compile(text).is_err(), "{text}");
        }
    }

    #[test]
    fn operators_bind_and_compute_as_written() {
        let job = job(100, 3600);
        let cases = [
            ("1 + 2 * 3", 7.0),
            ("7 - 2 - 1", 4.0),
            ("7 - 2 + 1", 6.0),
            ("8 / 4 / 2", 1.0),
            ("8 / 4 * 2", 4.0),
            ("2 * 3 ^ 2", 18.0),
            ("-age_s", -50.0),
            ("age_s / limit_s", 50.0 / 3600.0),
            ("1 + max(gpus, cpus) * 2", 17.0),
            ("min(gpus, cpus) - nodes", 1.0),
            ("submit_s + priority", 100.0),
            ("abs(0 - 3) + floor(2.7) + ceil(2.1)", 8.0),
            ("sqrt(16) + log2(8) + log10(1000)", 10.0),
            ("ln(exp(1))", 1.0),
        ];
        for (text, wanted) in cases {
            assert_eq!(value(text, &job, 150), wanted, "{text}");
        }
        assert_eq!(value("1.5 ^ 0.3", &job, 150), libm::pow(1.5, 0.3));
    }

    #[test]
    fn the_largest_value_goes_first() {
        let order = Expression::compile("age_s / limit_s").unwrap();
        let workload = Workload::default();
        let key = |job: &Job| {
            let view = JobView { id: JobId(0), job, cpus: 1, gpus: 0, nodes: 1, workload: &workload };
            order.key(&view, SimTime::from_s(600))
        };
        // At 600 s: the long job has waited 600 s of 6000 s (0.1), the short one 300 s of 600 s (0.5).
        assert!(key(&job(300, 600)) < key(&job(0, 6000)));
        let undefined = OrderKey::from_f64(f64::NAN);
        assert!(key(&job(0, 6000)) < undefined);
    }
}

//! Cases as JSON: `{"kind": ..., "cases": [...]}` of kind `maxmin`, `rates`, `contention` or `scaling`.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::rows::{Errors, Growth};
use crate::diagnostic::{Diagnostic, Place};
use crate::fabric::contention::{Demand, steps};
use crate::fabric::flows::{Transfer, ends};
use crate::fabric::rates::Filling;
use crate::fabric::steps::{OVERLAP, Precision, Split, Training, growth};
use crate::time::{MICROS_PER_S, SimTime};

type Told<T> = Result<T, Box<Diagnostic>>;

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

#[derive(Deserialize)]
struct Whole<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
struct MaxMin {
    #[serde(default)]
    name: String,
    links: IndexMap<String, f64>,
    flows: Vec<Flow>,
}

#[derive(Deserialize)]
struct Flow {
    start_s: f64,
    bytes: f64,
    links: Vec<String>,
    finish_s: Option<f64>,
}

#[derive(Deserialize)]
struct Rates {
    #[serde(default)]
    name: String,
    links: IndexMap<String, f64>,
    flows: Vec<Weighted>,
    #[serde(default)]
    expected_rate: IndexMap<String, f64>,
}

#[derive(Deserialize)]
struct Weighted {
    name: String,
    weights: IndexMap<String, f64>,
    cap: Option<f64>,
}

#[derive(Deserialize)]
struct Contention {
    #[serde(default)]
    name: String,
    links: IndexMap<String, f64>,
    phase_overlap: f64,
    jobs: IndexMap<String, Job>,
    #[serde(default)]
    expected: IndexMap<String, Expected>,
}

#[derive(Deserialize)]
struct Job {
    compute_s: f64,
    bytes: IndexMap<String, f64>,
    #[serde(default)]
    hidden: f64,
    cap: Option<f64>,
    #[serde(default)]
    latency_s: f64,
}

#[derive(Deserialize)]
struct Expected {
    iteration_s: f64,
    alone_s: f64,
}

#[derive(Deserialize)]
struct Scaling {
    #[serde(default)]
    workload: String,
    #[serde(default)]
    precision: String,
    kind: String,
    gpus_from: u32,
    gpus_to: u32,
    step_s_from: f64,
    step_s_to: Option<f64>,
    parameters: f64,
    tp: Option<u32>,
    pp: Option<u32>,
    layers: Option<u32>,
    micro_steps: Option<u32>,
    #[serde(rename = "reference_growth_overlap_0.25")]
    reference: Option<f64>,
}

/// What a file is about, while its cases are looked at.
struct About<'a> {
    file: &'a Arc<str>,
    case: &'a str,
}

impl About<'_> {
    fn wrong(&self, what: impl std::fmt::Display) -> Box<Diagnostic> {
        let message = format!("case `{}`: {what}", self.case);
        let told = Diagnostic::error("W0605", message).at(Place::File(Arc::clone(self.file)));
        Box::new(told.help("layouts stand in the README of the cases"))
    }

    /// A number from zero up.
    fn number(&self, what: &str, value: f64) -> Told<f64> {
        if value.is_finite() && value >= 0.0 {
            Ok(value)
        } else {
            Err(self.wrong(format!("{what} is {value}")))
        }
    }

    fn capacities(&self, links: &IndexMap<String, f64>) -> Told<Vec<f64>> {
        links
            .iter()
            .map(|(name, capacity)| self.number(&format!("the capacity of {name}"), *capacity))
            .collect()
    }

    fn link(&self, links: &IndexMap<String, f64>, name: &str) -> Told<u32> {
        let at = links.get_index_of(name).ok_or_else(|| self.wrong(format!("no link is called {name}")))?;
        Ok(at as u32)
    }

    fn on_links(
        &self,
        links: &IndexMap<String, f64>,
        values: &IndexMap<String, f64>,
    ) -> Told<Vec<(u32, f64)>> {
        values.iter().map(|(name, value)| Ok((self.link(links, name)?, self.number(name, *value)?))).collect()
    }
}

/// Computes all cases of a file: its kind, and a value for each.
pub(super) fn compute(text: &str, file: &Arc<str>, errors: &mut Errors) -> Told<(&'static str, Vec<Value>)> {
    let Kind { kind } = parse(text, file)?;
    match kind.as_str() {
        "maxmin" => Ok(("maxmin", each(text, file, errors, maxmin)?)),
        "rates" => Ok(("rates", each(text, file, errors, rates)?)),
        "contention" => Ok(("contention", each(text, file, errors, contention)?)),
        "scaling" => Ok(("scaling", each(text, file, errors, scaling)?)),
        other => {
            let told = Diagnostic::error("W0605", format!("cases of kind `{other}` are not known"));
            let help = "kinds are maxmin, rates, contention, scaling; collectives are a CSV file";
            Err(Box::new(told.at(Place::File(Arc::clone(file))).help(help)))
        }
    }
}

fn parse<T: DeserializeOwned>(text: &str, file: &Arc<str>) -> Told<T> {
    serde_json::from_str(text).map_err(|why| {
        let (line, column) = (why.line() as u64, why.column() as u64);
        let shown = text.lines().nth(why.line().saturating_sub(1)).unwrap_or_default();
        let place =
            Place::Line { file: Arc::clone(file), line, column, text: shown.chars().take(120).collect() };
        let told = Diagnostic::error("W0605", format!("the cases cannot be read: {why}"));
        Box::new(told.at(place).help("layouts stand in the README of the cases"))
    })
}

fn each<T: DeserializeOwned>(
    text: &str,
    file: &Arc<str>,
    errors: &mut Errors,
    compute: impl Fn(&T, &Arc<str>, &mut Errors) -> Told<Value>,
) -> Told<Vec<Value>> {
    let whole: Whole<T> = parse(text, file)?;
    whole.cases.iter().map(|case| compute(case, file, errors)).collect()
}

fn maxmin(case: &MaxMin, file: &Arc<str>, errors: &mut Errors) -> Told<Value> {
    let about = About { file, case: &case.name };
    let capacity = about.capacities(&case.links)?;
    let transfer = |flow: &Flow| {
        let start_us = (about.number("start_s", flow.start_s)? * MICROS_PER_S as f64).round();
        if start_us > SimTime::MAX.micros() as f64 {
            return Err(about.wrong(format!("start_s is {}", flow.start_s)));
        }
        let links: Told<Vec<u32>> = flow.links.iter().map(|name| about.link(&case.links, name)).collect();
        let bytes = about.number("bytes", flow.bytes)?;
        Ok(Transfer { start: SimTime::from_micros(start_us as i64), bytes, links: links? })
    };
    let transfers = case.flows.iter().map(transfer).collect::<Told<Vec<_>>>()?;
    let found: Vec<Option<f64>> =
        ends(&capacity, &transfers).into_iter().map(|end| Some(end?.as_s())).collect();
    for (flow, ours) in case.flows.iter().zip(&found) {
        if let Some(want) = flow.finish_s {
            errors.finish_us.push(ours.map_or(f64::INFINITY, |ours| (ours - want).abs() * 1e6));
        }
    }
    Ok(json!({ "name": case.name, "finish_s": found }))
}

fn rates(case: &Rates, file: &Arc<str>, errors: &mut Errors) -> Told<Value> {
    let about = About { file, case: &case.name };
    let mut filling = Filling::default();
    about.capacities(&case.links)?.into_iter().for_each(|capacity| {
        filling.link(capacity);
    });
    for flow in &case.flows {
        let cap = flow.cap.map_or(Ok(f64::INFINITY), |cap| about.number("cap", cap))?;
        filling.flow(about.on_links(&case.links, &flow.weights)?, cap);
    }
    let found: Map<String, Value> = (case.flows.iter().zip(filling.solve()))
        .map(|(flow, rate)| {
            if let Some(want) = case.expected_rate.get(&flow.name) {
                errors.rates.push(relative(*rate, *want));
            }
            (flow.name.clone(), finite(*rate))
        })
        .collect();
    Ok(json!({ "name": case.name, "rate": found }))
}

fn contention(case: &Contention, file: &Arc<str>, errors: &mut Errors) -> Told<Value> {
    let about = About { file, case: &case.name };
    let capacity = about.capacities(&case.links)?;
    let share = |what: &str, value: f64| match value {
        0.0..=1.0 => Ok(value),
        _ => Err(about.wrong(format!("{what} is {value}, not from 0 to 1"))),
    };
    let demand = |job: &Job| {
        let cap = job.cap.map(|cap| about.number("cap", cap)).transpose()?;
        Ok(Demand {
            compute_s: about.number("compute_s", job.compute_s)?,
            bytes: about.on_links(&case.links, &job.bytes)?,
            hidden: share("hidden", job.hidden)?,
            cap,
            latency_s: about.number("latency_s", job.latency_s)?,
        })
    };
    let demands = case.jobs.values().map(demand).collect::<Told<Vec<_>>>()?;
    let found = steps(&capacity, &demands, share("phase_overlap", case.phase_overlap)?);
    let mut jobs = Map::new();
    for (name, step) in case.jobs.keys().zip(found) {
        if let Some(want) = case.expected.get(name) {
            errors
                .steps
                .push(relative(step.now_s, want.iteration_s).max(relative(step.alone_s, want.alone_s)));
        }
        let job = json!({
            "iteration_s": finite(step.now_s),
            "alone_s": finite(step.alone_s),
            "slowdown": finite(step.slowdown()),
        });
        jobs.insert(name.clone(), job);
    }
    Ok(json!({ "name": case.name, "jobs": jobs }))
}

fn scaling(case: &Scaling, file: &Arc<str>, errors: &mut Errors) -> Told<Value> {
    let about = About { file, case: &case.workload };
    let need = |what: &str, value: Option<u32>| match value {
        Some(value) if value > 0 => Ok(value),
        _ => Err(about.wrong(format!("{what} must be a whole number above zero"))),
    };
    let split = match case.kind.as_str() {
        "three-d" => Split::ThreeD { tensor: need("tp", case.tp)?, pipeline: need("pp", case.pp)? },
        "fully-sharded" => Split::FullySharded {
            layers: need("layers", case.layers)?,
            micro_steps: need("micro_steps", case.micro_steps)?,
        },
        other => return Err(about.wrong(format!("kind `{other}` is neither three-d nor fully-sharded"))),
    };
    let precision = match case.precision.as_str() {
        "" => Precision::Bf16,
        written => Precision::named(written)
            .ok_or_else(|| about.wrong(format!("precision `{written}` is none of bf16, fp8, fp32")))?,
    };
    let training = Training { parameters: about.number("parameters", case.parameters)?, precision, split };
    let gpus = [need("gpus_from", Some(case.gpus_from))?, need("gpus_to", Some(case.gpus_to))?];
    let recorded_s = about.number("step_s_from", case.step_s_from)?;
    if recorded_s == 0.0 {
        return Err(about.wrong("step_s_from is 0"));
    }
    let wires = super::collectives::pod();
    let ours = growth(&training, &wires, super::collectives::POD_GPUS_PER_NODE, gpus, recorded_s, OVERLAP);
    if let (Some(ours), Some(step_s_to)) = (ours, case.step_s_to) {
        errors.growth.push(Growth {
            fully_sharded: matches!(split, Split::FullySharded { .. }),
            bf16: case.precision.eq_ignore_ascii_case("bf16"),
            ours,
            measured: step_s_to / recorded_s - 1.0,
            reference: case.reference,
        });
    }
    Ok(json!({ "workload": case.workload, "growth": ours }))
}

fn relative(ours: f64, want: f64) -> f64 {
    if ours == want { 0.0 } else { (ours / want - 1.0).abs() }
}

/// A number, or null where it is none: JSON has no infinity.
fn finite(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { Value::Null }
}

//! Months with prices for claims: designs side by side under a daily duty, and what an hour costs there.
//!
//! Owned nodes are paid with everything that the catalogue knows (network, storage, support, floor space, people),
//! rented ones with storage and egress; both have low, typical and high prices.

use std::path::Path;

use crate::experiment::outlook::{DesignFlow, outlook};
use crate::experiment::pricing::hardware_price;
use crate::experiment::{DesignResult, LoadedWorkload, load_workload, run_designs};
use crate::scenario::{Scenario, catalogue, load_text};
use crate::simulation::RunOptions;
use crate::time::{SimDuration, SimTime};
use crate::workload::{Job, JobFlags, JobName, Labels, Request, Workload};

/// Days of a month here.
const DAYS: i64 = 30;

/// What one design cost and did.
#[derive(Clone, Debug)]
pub(super) struct Priced {
    pub(super) total: f64,
    /// Per installed, per useful GPU-hour.
    pub(super) per_hour: f64,
    pub(super) per_useful: f64,
    /// Allocated share of the GPUs.
    pub(super) used: f64,
    /// Hardware at work, licences, overhead hours, idle hours.
    pub(super) four: [f64; 4],
    /// The price of the nodes, spread over their lifetime with nothing left.
    pub(super) hardware: f64,
    /// By what is paid for.
    parts: Vec<(&'static str, f64)>,
    pub(super) wait_p95_s: f64,
}

impl Priced {
    fn of(result: &DesignResult) -> Self {
        let cost = result.cost.as_ref().expect("the designs of these claims have prices");
        let four = &cost.four_parts;
        Self {
            total: cost.total.as_units(),
            per_hour: cost.per_gpu_hour.map_or(f64::NAN, |money| money.as_units()),
            per_useful: cost.per_useful_gpu_hour.map_or(f64::NAN, |money| money.as_units()),
            used: result.summary.utilization.gpu_allocated.unwrap_or(0.0),
            four: [four.at_work, four.licences, four.overhead, four.idle].map(|money| money.as_units()),
            hardware: hardware_price(result).map_or(0.0, |money| money.as_units()),
            parts: cost.parts.iter().map(|(part, amount)| (part.key(), amount.as_units())).collect(),
            wait_p95_s: result.summary.wait_s.p95.unwrap_or(0.0),
        }
    }

    /// What of the total went to a part; 0 where nothing did.
    pub(super) fn part(&self, key: &str) -> f64 {
        self.parts.iter().find(|(name, _)| *name == key).map_or(0.0, |(_, amount)| *amount)
    }
}

/// A pool of `count` servers with 8 H100: the tables under it, with POOL for their path.
pub(super) fn servers(name: &str, count: u32, tables: &str) -> String {
    pool(name, "main", count, tables)
}

pub(super) fn pool(design: &str, pool: &str, count: u32, tables: &str) -> String {
    let path = format!("design.{design}.pool.{pool}");
    format!("[{path}]\nnode = \"dgx-h100\"\ncount = {count}\n{}\n", tables.replace("POOL", &path))
}

/// Levels of a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Low,
    Typical,
    High,
}

fn at(row: &catalogue::PriceRow, level: At) -> f64 {
    match level {
        At::Low => row.low,
        At::Typical => row.typical,
        At::High => row.high,
    }
}

/// Bought at a price of the catalogue, with all that belongs to it.
pub(super) fn owned(level: At) -> String {
    let row = catalogue::owned_node("dgx-h100").expect("the catalogue has a price of it");
    format!("[POOL.cost.owned]\ndefaults = \"all\"\nprice-per-node = {}", at(row, level))
}

/// Rented at a price of the catalogue, with settings of the contract.
pub(super) fn rented(level: At, contract: &str) -> String {
    let row = catalogue::rented_gpu("H100-80GB-SXM").expect("the catalogue has a price of it");
    let price = at(row, level);
    format!("[POOL.cost.rented]\ndefaults = \"all\"\nprice-per-gpu-hour = {price:?}\n{contract}")
}

/// Paid by the second while a job holds it.
pub(super) const WHILE_USED: &str = "billed = \"while-used\"";

/// A scenario of these designs.
pub(super) fn scenario(designs: &[String], rest: &str) -> Scenario {
    let head = "[workload.generate.research]\njobs = 10\n[policy.easy]\nplacement = \"best-fit\"\n";
    let text = format!("{head}{}{rest}", designs.concat());
    load_text("claim", text, Path::new(""), &[]).expect("the scenarios of claims are tested")
}

fn results(scenario: &Scenario, workload: &Workload) -> Vec<DesignResult> {
    let (designs, policy) = (&scenario.designs, &scenario.policy);
    run_designs(workload, designs, policy, &RunOptions::default, &|| false)
        .expect("the scenarios of claims are tested")
}

pub(super) fn run(designs: &[String], workload: &Workload) -> Vec<Priced> {
    results(&scenario(designs, ""), workload).iter().map(Priced::of).collect()
}

/// A scenario with a generator of its own.
pub(super) fn run_generated(text: &str) -> Vec<Priced> {
    let scenario = load_text("claim", text.to_owned(), Path::new(""), &[]);
    let scenario = scenario.expect("the scenarios of claims are tested");
    let loaded = load_workload(&scenario.workload, false).expect("the scenarios of claims are tested");
    results(&scenario, &loaded.workload).iter().map(Priced::of).collect()
}

/// The money over `years` years, design by design; the first is the baseline.
pub(super) fn flows(designs: &[String], workload: Workload, years: u32) -> Vec<DesignFlow> {
    let scenario = scenario(designs, &format!("[finance]\nyears = {years}\n"));
    let results = results(&scenario, &workload);
    let generated = load_workload(&scenario.workload, false).expect("the scenarios of claims are tested");
    let loaded = LoadedWorkload { workload, ..generated };
    let found = outlook(&scenario, &loaded, &results, &|| false).expect("the scenarios of claims are tested");
    found.and_then(|outlook| outlook.flows).expect("a plan with prices has flows")
}

/// Jobs alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) class: &'static str,
    pub(super) gpus: u32,
    pub(super) nodes: u32,
    pub(super) run_s: i64,
}

impl Batch {
    /// One job of `hours` on a whole server.
    pub(super) fn server(class: &'static str, hours: f64) -> Self {
        Self { class, gpus: 8, nodes: 1, run_s: (hours * 3600.0).round() as i64 }
    }
}

/// Adds `count` jobs that are submitted at `submit_s`.
pub(super) fn add(workload: &mut Workload, batch: Batch, submit_s: i64, count: usize) {
    let class = Some(workload.texts.intern(batch.class));
    let labels = workload.labels.intern(&Labels { class, ..Labels::default() });
    let request = Request {
        gpus: Some(batch.gpus),
        nodes: Some(batch.nodes),
        cpus: Some(batch.nodes.max(batch.gpus)),
        ..Request::default()
    };
    let request = workload.requests.intern(&request);
    for _ in 0..count {
        let name = JobName::Number(workload.jobs.len() as u32);
        let (submit, run) = (SimTime::from_s(submit_s), SimDuration::from_s(batch.run_s));
        let (limit, flags) = (run, JobFlags::default());
        workload.jobs.push(Job { submit, run, limit, priority: 0, name, request, labels, flags });
    }
}

/// Two servers that work so many hours of each day for a month.
pub(super) fn daily(class: &'static str, hours: f64) -> Workload {
    let mut workload = Workload::default();
    for day in 0..DAYS {
        add(&mut workload, Batch::server(class, hours), day * 86_400, 2);
    }
    workload
}

/// A month in which most work comes on one day: 24 jobs of two hours on whole servers, else an hour in the week.
pub(super) fn burst() -> Workload {
    let mut workload = Workload::default();
    for day in 0..DAYS {
        if day % 7 == 0 {
            add(&mut workload, Batch::server("debug", 1.0), day * 86_400, 1);
        }
        if day == 10 {
            add(&mut workload, Batch::server("debug", 2.0), day * 86_400, 24);
        }
    }
    add(&mut workload, Batch::server("debug", 1.0), DAYS * 86_400, 1);
    workload
}

/// The use at which two servers bought cost as much for a useful GPU-hour as two rented ones; `None` where they stay
/// dearer up to 23 hours a day.
pub(super) fn break_even(owned: &str, rented: &str) -> Option<f64> {
    let designs = [servers("owned", 2, owned), servers("rented", 2, rented)];
    let at = |hours: f64| run(&designs, &daily("training", hours));
    let cheaper = |found: &[Priced]| found[0].per_useful <= found[1].per_useful;
    let (mut low, mut high) = (0.25, 23.5);
    if !cheaper(&at(high)) {
        return None;
    }
    for _ in 0..12 {
        let middle = (low + high) / 2.0;
        if cheaper(&at(middle)) { high = middle } else { low = middle }
    }
    Some(at(high)[0].used)
}

//! Assumptions: what the decisive figure would be at the low and at the high end of each, and who would win then.
//!
//! Assumptions of cost are the catalogue's values that the scenario took (those with a range): all settings of one
//! name and source are moved together, and the bills of the same runs are made again. Three assumptions are always
//! told of, because most verdicts depend on them: the class of jobs that nothing classified, the speed on other GPUs,
//! and the noise of hosts; they are simulated again where they have an effect.

use serde::Serialize;

use super::{Asked, OutlookError};
use crate::cost::CostTerms;
use crate::experiment::pricing::cost_of;
use crate::experiment::replicas::{Figures, figures};
use crate::experiment::verdict::{meets, shown};
use crate::money::Money;
use crate::scenario::catalogue::virtualization;
use crate::scenario::{Design, PolicyChoice, Scenario};
use crate::tenancy::Kind;

/// Most assumptions of cost that are told.
const MOST: usize = 8;

/// One assumption.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Swing {
    /// What is assumed, in words.
    pub assumption: String,
    /// The settings that were moved.
    pub settings: Vec<String>,
    /// Low, assumed and high value, as text.
    pub values: [String; 3],
    /// The chosen design's decisive figure at low and at high; `None` where it has no effect or is not
    /// modelled.
    pub figure: Option<[f64; 2]>,
    /// The design that is chosen at low and at high.
    pub choices: [Option<String>; 2],
    /// Whether either is another than now.
    pub flips: bool,
    /// Whether it is one of those that every verdict is told with.
    pub is_always_told: bool,
    /// Whether it was simulated again.
    pub simulated: bool,
    /// Where the values come from, or why nothing was computed.
    pub source: String,
}

/// A price at which the verdict would be another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PriceFlip {
    /// The design whose price is changed.
    pub design: String,
    /// Its present price: of a node or GPU, or of an hour of it.
    pub price: f64,
    /// What it is of.
    pub per: &'static str,
    /// The price at which it is as good as its rival.
    pub at: f64,
    /// The rival: the choice itself, or the next best of the choice.
    pub rival: String,
}

/// Figures of the same runs, paid by the terms of other designs.
fn repriced(asked: &Asked<'_>, designs: &[Design]) -> Result<Vec<Figures>, OutlookError> {
    let rows = asked.results.iter().zip(designs).map(|(result, design)| {
        let cost = cost_of(&asked.loaded.workload, design, &result.outcome, &result.summary)?;
        Ok(figures(&result.summary, cost.as_ref()))
    });
    rows.collect()
}

/// The assumptions of cost and the three that are always told.
pub(super) fn swings(asked: &Asked<'_>) -> Result<Vec<Swing>, OutlookError> {
    let own = asked.own();
    let now = asked.choice(&own);
    let judged: Vec<Figures> = asked.results.iter().map(shown).collect();
    let subject = now.or_else(|| asked.choice(&judged)).unwrap_or(0);
    let mut found = Vec::new();
    for group in groups(asked.scenario) {
        let at = |value: f64| -> Result<Vec<Figures>, OutlookError> {
            let sets: Vec<_> = group.paths.iter().map(|path| (path.clone(), value.to_string())).collect();
            repriced(asked, &asked.varied(&sets)?.designs)
        };
        let ends = [at(group.range[0])?, at(group.range[1])?];
        let (name, source) = (group.name.replace('-', " "), group.source.clone());
        let values = [group.range[0].to_string(), group.value.clone(), group.range[1].to_string()];
        found.push(swing(asked, (name, source), group.paths, values, (&ends, now, subject), false));
    }
    let width = |swing: &Swing| swing.figure.map_or(0.0, |[low, high]| (high - low).abs());
    found.sort_by(|a, b| b.flips.cmp(&a.flips).then(width(b).total_cmp(&width(a))));
    found.retain(|swing| width(swing) > 0.0);
    found.truncate(MOST);
    for simulated in [default_class(asked), speed_up(asked), neighbours(asked)] {
        let Simulated { name, sets, values, source } = simulated;
        let Some([low, high]) = sets else {
            let (assumption, choice) = (name.to_owned(), asked.name(now));
            let choices = [choice.clone(), choice];
            let settings = Vec::new();
            found.push(Swing {
                assumption,
                settings,
                values,
                figure: None,
                choices,
                flips: false,
                is_always_told: true,
                simulated: false,
                source,
            });
            continue;
        };
        let at = |sets: &[(String, String)]| -> Result<Vec<Figures>, OutlookError> {
            let varied = asked.varied(sets)?;
            let results = asked.run(&asked.loaded.workload, &varied.designs, &varied.policy)?;
            Ok(results.iter().map(|result| figures(&result.summary, result.cost.as_ref())).collect())
        };
        let ends = [at(&low)?, at(&high)?];
        found.push(swing(
            asked,
            (name.to_owned(), source),
            low.into_iter().map(|(path, _)| path).collect(),
            values,
            (&ends, now, subject),
            true,
        ));
    }
    Ok(found)
}

fn swing(
    asked: &Asked<'_>,
    (assumption, source): (String, String),
    settings: Vec<String>,
    values: [String; 3],
    (ends, now, subject): (&[Vec<Figures>; 2], Option<usize>, usize),
    simulated: bool,
) -> Swing {
    let decisive = |figures: &[Figures]| figures[subject].get(&asked.objective.minimize).copied();
    let choices = [asked.choice(&ends[0]), asked.choice(&ends[1])];
    Swing {
        assumption,
        settings,
        values,
        figure: decisive(&ends[0]).zip(decisive(&ends[1])).map(|(low, high)| [low, high]),
        flips: choices.iter().any(|choice| *choice != now),
        choices: choices.map(|choice| asked.name(choice)),
        is_always_told: simulated,
        simulated,
        source,
    }
}

/// Settings of one name and source that took the same value of the catalogue.
struct Group {
    name: String,
    paths: Vec<String>,
    value: String,
    range: [f64; 2],
    source: String,
}

fn groups(scenario: &Scenario) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for used in &scenario.defaults_used {
        let Some(range) = used.range.filter(|[low, high]| low < high) else { continue };
        let mut parts: Vec<&str> = used.path.rsplit('.').collect();
        parts.truncate(2);
        let name = match parts.as_slice() {
            [price, licence] if used.path.contains(".licence.") => format!("{licence} {price}"),
            [name, ..] => (*name).to_owned(),
            [] => continue,
        };
        match groups.iter_mut().find(|group| group.name == name && group.source == used.source) {
            Some(group) => group.paths.push(used.path.clone()),
            None => groups.push(Group {
                name,
                paths: vec![used.path.clone()],
                value: used.value.clone(),
                range,
                source: used.source.clone(),
            }),
        }
    }
    groups
}

/// An assumption that is simulated: its name, what to set at low and at high, and the three values.
struct Simulated {
    name: &'static str,
    /// `None` where it has no effect.
    sets: Option<[Vec<(String, String)>; 2]>,
    values: [String; 3],
    source: String,
}

fn set(path: &str, value: &str) -> Vec<(String, String)> {
    vec![(path.to_owned(), value.to_owned())]
}

/// Whether a job runs at another speed than recorded.
fn translates(asked: &Asked<'_>) -> bool {
    asked.results.iter().any(|result| !result.translation.moves.is_empty())
}

fn default_class(asked: &Asked<'_>) -> Simulated {
    let jobs = asked.loaded.classified.by_default().jobs;
    let matters = jobs > 0 && translates(asked);
    let why = if jobs == 0 {
        "every job has a class of its own".to_owned()
    } else if matters {
        format!(
            "{jobs} jobs matched no class rule; catalogue of speed-up mixes (windtunnel catalog speedups)"
        )
    } else {
        format!("{jobs} jobs matched no class rule, and no job runs on another GPU than its own: no effect")
    };
    Simulated {
        name: "default job class",
        sets: matters.then(|| [set("speedup.mix", "latency-bound"), set("speedup.mix", "compute-bound")]),
        values: ["latency-bound", "mixed", "compute-bound"].map(str::to_owned),
        source: why,
    }
}

fn speed_up(asked: &Asked<'_>) -> Simulated {
    let open = asked.results.iter().any(|result| result.translation.level_is_open);
    let why = match (open, translates(asked)) {
        (true, _) => "catalogue of speed-up mixes, low and high (windtunnel catalog speedups)",
        (false, true) => "the scenario gives the speeds: nothing is assumed",
        (false, false) => "no job runs on another GPU than its own: no effect",
    };
    Simulated {
        name: "speed on other GPUs",
        sets: open.then(|| [set("speedup.level", "low"), set("speedup.level", "high")]),
        values: ["low", "typical", "high"].map(str::to_owned),
        source: why.to_owned(),
    }
}

/// The noise of strangers on the hosts of containers and VMs: from none to twice what is assumed.
fn neighbours(asked: &Asked<'_>) -> Simulated {
    let default = virtualization::noise_default("cv");
    let written: Option<toml::Table> = asked.scenario.resolved_toml.parse().ok();
    let mut sets = [Vec::new(), Vec::new()];
    let mut values = ["-", "none", "-"].map(str::to_owned);
    let knows_noise = !matches!(asked.scenario.policy, PolicyChoice::Preemptive(_));
    for design in asked.results.iter().map(|result| &result.design).filter(|_| knows_noise) {
        for (pool, terms) in design.cluster.pools.iter().zip(&design.pools) {
            if terms.tenancy.kind == Kind::BareMetal {
                continue;
            }
            let path = [
                "design",
                &design.name,
                "pool",
                &pool.name,
                "tenancy",
                terms.tenancy.kind.word(),
                "noise",
                "cv",
            ];
            let found = written.as_ref().and_then(|table| walk(table, &path)).unwrap_or(0.0);
            let high = 2.0 * if found > 0.0 { found } else { default.value };
            sets[0].push((dotted(&path), "0".to_owned()));
            sets[1].push((dotted(&path), high.to_string()));
            values = ["0".to_owned(), found.to_string(), high.to_string()];
        }
    }
    let any = !sets[0].is_empty();
    let source = if any {
        format!(
            "coefficient of variation of run times on a host, from none to twice the value; {}",
            default.source
        )
    } else if !knows_noise {
        "preemptive policies know no noise".to_owned()
    } else {
        "every pool is bare metal, alone: no effect".to_owned()
    };
    Simulated { name: "noise level", sets: any.then_some(sets), values, source }
}

/// A number in a tree of tables.
fn walk(table: &toml::Table, path: &[&str]) -> Option<f64> {
    let (first, rest) = path.split_first()?;
    match table.get(*first)? {
        toml::Value::Table(inner) => walk(inner, rest),
        toml::Value::Float(value) if rest.is_empty() => Some(*value),
        toml::Value::Integer(value) if rest.is_empty() => Some(*value as f64),
        _ => None,
    }
}

/// A path as `--set` takes it; names of designs and pools may hold points.
fn dotted(path: &[&str]) -> String {
    let quoted = |name: &&str| if name.contains('.') { format!("\"{name}\"") } else { (*name).to_owned() };
    path.iter().map(quoted).collect::<Vec<_>>().join(".")
}

/// The price per node, GPU or hour of a pool, and what it is of.
fn price_of(terms: &CostTerms) -> (Money, &'static str) {
    use crate::cost::Per;
    match terms {
        CostTerms::Owned(owned) => match owned.price.per {
            Per::Node => (owned.price.amount, "node"),
            Per::Gpu => (owned.price.amount, "GPU"),
        },
        CostTerms::Rented(rented) => match rented.per_hour.per {
            Per::Node => (rented.per_hour.amount, "node-hour"),
            Per::Gpu => (rented.per_hour.amount, "GPU-hour"),
        },
    }
}

/// The design with all its prices of hardware or rent multiplied.
fn with_price(design: &Design, factor: (i128, i128)) -> Design {
    let mut changed = design.clone();
    for terms in changed.pools.iter_mut().filter_map(|pool| pool.cost.as_mut()) {
        let price = match terms {
            CostTerms::Owned(owned) => &mut owned.price.amount,
            CostTerms::Rented(rented) => &mut rented.per_hour.amount,
        };
        *price = price.times(&[factor]).unwrap_or(*price);
    }
    changed
}

/// For every design that meets the objective and is not chosen: its price at which it would be as good as the
/// choice; for the choice: the price at which the next best is. Cost is linear in the price, so two bills tell.
pub(super) fn prices(asked: &Asked<'_>) -> Result<Vec<PriceFlip>, OutlookError> {
    let key = &asked.objective.minimize;
    let own = asked.own();
    let Some(choice) = asked.choice(&own).filter(|_| key.starts_with("cost.")) else { return Ok(Vec::new()) };
    let decisive = |at: usize| own[at].get(key).copied();
    let meeting = |at: &usize| meets(&own[*at], &asked.objective.require);
    let next =
        (0..own.len()).filter(|at| *at != choice).filter(meeting).filter_map(|at| Some((at, decisive(at)?)));
    let next = next.min_by(|a, b| a.1.total_cmp(&b.1));
    let designs: Vec<Design> = asked.results.iter().map(|result| result.design.clone()).collect();
    let mut flips = Vec::new();
    for at in (0..own.len()).filter(meeting) {
        let Some((rival, goal)) = (if at == choice { next } else { decisive(choice).map(|d| (choice, d)) })
        else {
            continue;
        };
        // Nodes that are there already cost nothing more: their price says nothing.
        let mut prices = designs[at].pools.iter().filter_map(|pool| pool.cost.as_ref()).map(price_of);
        let Some((price, per)) = prices.find(|(price, _)| *price > Money::ZERO) else {
            continue;
        };
        let mut free = designs.clone();
        free[at] = with_price(&designs[at], (0, 1));
        let (Some(now), Some(without)) = (decisive(at), repriced(asked, &free)?[at].get(key).copied()) else {
            continue;
        };
        // now = without + slope; goal = without + factor x slope.
        let factor = (goal - without) / (now - without);
        if factor.is_finite() && factor >= 0.0 && now > without {
            flips.push(PriceFlip {
                design: designs[at].name.clone(),
                price: price.as_units(),
                per,
                at: price.as_units() * factor,
                rival: designs[rival].name.clone(),
            });
        }
    }
    Ok(flips)
}

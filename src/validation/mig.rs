//! Numbers of MIG layouts, by the geometry of `cluster::mig`.

use super::{Row, Section, Tolerance};
use crate::cluster::mig::{GpuModel, ProfileId, layouts, maximal_layouts, mixes, models};

/// Counts layouts of every GPU and compares those with published counts.
#[must_use]
pub fn validate() -> Section {
    let mut rows = Vec::new();
    for model in models() {
        let published = match (model.compute_slices, model.memory_slices) {
            (7, 8) => (Counts::new(19, 14, Some(297)), Counts::new(78, 38, Some(722))),
            _ => (Counts::new(5, 4, None), Counts::new(5, 4, None)),
        };
        rows.extend(compare(model, &model.usual(), "one size of each slice count", published.0));
        if model.plain().len() > model.usual().len() {
            rows.extend(compare(model, &model.plain(), "with the double-memory 1g", published.1));
        }
    }
    Section {
        name: "mig",
        title: "MIG: numbers of layouts",
        about: "Published: counts that follow from NVIDIA's placement tables (Multi-Instance GPU User Guide); \
                the 19 by position with 7g and 4g+3g are 18 where one of them is left out. Maximal means \
                that no further instance fits; mixes are layouts without positions; `all` includes layouts \
                that leave room.",
        rows,
        notes: Vec::new(),
        absent: Vec::new(),
    }
}

/// How many layouts there are.
struct Counts {
    maximal: usize,
    mixes: usize,
    all: Option<usize>,
}

impl Counts {
    fn new(maximal: usize, mixes: usize, all: Option<usize>) -> Self {
        Self { maximal, mixes, all }
    }
}

fn compare(model: &GpuModel, profiles: &[ProfileId], which: &str, published: Counts) -> Vec<Row> {
    let maximal = maximal_layouts(model, profiles);
    let row = |what: &str, published: usize, ours: usize| Row {
        what: format!("{} {which}: {what}", model.name),
        published: published as f64,
        ours: ours as f64,
        tolerance: Tolerance::Exact,
        decimals: 0,
    };
    let all = published.all.map(|all| row("all layouts", all, layouts(model, profiles).len()));
    let mut rows = vec![
        row("maximal layouts", published.maximal, maximal.len()),
        row("maximal mixes", published.mixes, mixes(&maximal).len()),
    ];
    rows.extend(all);
    rows
}

//! The openb files: nodes with cards, pods that ask for CPUs, memory and cards or parts of one.

use std::path::Path;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::scheduler::sharing::node::MAX_CARDS;
use crate::scheduler::sharing::{Models, SharedDemand, SharedNode};
use crate::workload::read::published::gpu_clusters::{PODS, pod_request};
use crate::workload::read::table::{Columns, RowProblem, TableRow, read_table};

const NODES: Columns = Columns {
    what: "an openb list of nodes",
    required: &["sn", "cpu_milli", "memory_mib", "gpu", "model"],
    optional: &[],
};
/// A request as the list has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pod {
    /// What it needs.
    pub demand: SharedDemand,
    /// The number of its `gpu_spec` as written, in the order of the texts: `A|B` and `A|B|B` mean the same and
    /// are told apart.
    pub spec: u32,
}

/// Nodes and the pods that are drawn from.
#[derive(Clone, Debug)]
pub struct Lists {
    /// All nodes, empty, in file order.
    pub nodes: Vec<SharedNode>,
    /// All pods in file order.
    pub pods: Vec<Pod>,
    /// Rows that were refused, with reasons.
    pub told: Diagnostics,
}

/// Reads a list of nodes and a list of pods.
///
/// # Errors
/// What makes a file useless: any bad node, and with `strict` any bad pod.
pub fn read_lists(nodes: &Path, pods: &Path, strict: bool) -> Result<Lists, Diagnostics> {
    let mut models = Models::default();
    let mut names = rustc_hash::FxHashSet::default();
    let node_table = read_table(nodes, &NODES, true, |row| {
        let node = read_node(row, &mut models)?;
        if names.insert(row.text("sn").to_owned()) { Ok(node) } else { Err(row.duplicate("sn")) }
    })?;
    if node_table.rows.iter().all(|node| node.cards.is_empty()) {
        let message = "no node of the list has a GPU";
        let mut told = Diagnostics::default();
        told.push(
            Diagnostic::error("W0431", message)
                .at(Place::File(nodes.display().to_string().into()))
                .because("the figures are shares of the GPUs"),
        );
        return Err(told);
    }
    names.clear();
    let mut specs = indexmap::IndexSet::<String, rustc_hash::FxBuildHasher>::default();
    let pod_table = read_table(pods, &PODS, strict, |row| {
        let demand = read_pod(row, &mut models)?;
        let (spec, _) = specs.insert_full(row.text("gpu_spec").to_owned());
        let pod = Pod { demand, spec: spec as u32 };
        if names.insert(row.text("name").to_owned()) { Ok(pod) } else { Err(row.duplicate("name")) }
    })?;
    let mut pods = pod_table.rows;
    let mut by_text: Vec<usize> = (0..specs.len()).collect();
    by_text.sort_by_key(|at| &specs[*at]);
    let mut number = vec![0; specs.len()];
    (0u32..).zip(by_text).for_each(|(n, at)| number[at] = n);
    pods.iter_mut().for_each(|pod| pod.spec = number[pod.spec as usize]);
    Ok(Lists { nodes: node_table.rows, pods, told: pod_table.told })
}

fn whole(row: &TableRow<'_>, name: &'static str) -> Result<u32, RowProblem> {
    row.whole(name, 0, i64::from(i32::MAX)).map(|value| value as u32)
}

fn too_many_models(row: &TableRow<'_>, column: &'static str) -> RowProblem {
    row.out_of_range(column, "one of at most 64 models", "the files name more GPU models than that")
}

fn read_node(row: &TableRow<'_>, models: &mut Models) -> Result<SharedNode, RowProblem> {
    let cards = row.whole("gpu", 0, MAX_CARDS as i64)? as usize;
    let model = models.number(row.text("model")).ok_or_else(|| too_many_models(row, "model"))?;
    Ok(SharedNode::new(whole(row, "cpu_milli")?, whole(row, "memory_mib")?, model, cards))
}

fn read_pod(row: &TableRow<'_>, models: &mut Models) -> Result<SharedDemand, RowProblem> {
    let pod = pod_request(row, MAX_CARDS as u8)?;
    Ok(SharedDemand {
        cpu_milli: pod.cpu_milli,
        mem_mib: pod.memory_mib,
        cards: pod.gpus,
        card_milli: pod.gpu_milli,
        models: models.set(pod.spec).ok_or_else(|| too_many_models(row, "gpu_spec"))?,
    })
}

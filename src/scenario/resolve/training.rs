//! What classes of jobs send between nodes: in rings or each to each, and by how their model is split.

use super::Notes;
use crate::fabric::steps::{Precision, Split, Training};
use crate::scenario::Design;
use crate::scenario::file::{JobSharesTable, PrecisionKind, SplitKind, Traffic, TrainingTable};
use crate::tenancy::Trained;

/// Whether the GPUs of a class send each to each, and how its model is split.
pub(super) fn resolve(
    notes: &mut Notes<'_>,
    name: &str,
    table: &mut JobSharesTable,
    designs: &[Design],
) -> (bool, Option<Trained>) {
    let path = ["job-shares", name];
    let mut pools = designs.iter().flat_map(|design| &design.pools);
    let on_none = pools.all(|pool| pool.tenancy.network.is_none());
    let written = [("traffic", table.traffic.is_some()), ("training", table.training.is_some())];
    for (key, _) in written.into_iter().filter(|(_, written)| *written && on_none) {
        let message = format!("`{key}` has no effect where no pool has a `fabric`");
        let help = "write `fabric` in a pool, or leave this out";
        notes.warning("W0268", &[path[0], path[1], key], message, help);
    }
    let all_to_all = table.traffic == Some(Traffic::AllToAll);
    let Some(training) = &mut table.training else { return (all_to_all, None) };
    if table.traffic.is_some() {
        let message = "`traffic` has no effect beside `training`: how the model is split says what is sent";
        notes.error_help("W0243", &[path[0], path[1], "traffic"], message, "leave one of both out");
    }
    let Some(trained) = trained(notes, name, training) else { return (false, None) };
    if !on_none {
        reach(notes, name, training, designs);
        elsewhere(notes, name, designs);
    }
    (false, Some(trained))
}

/// Pools without a network beside some with one: what is sent is not known there.
fn elsewhere(notes: &mut Notes<'_>, name: &str, designs: &[Design]) {
    for design in designs {
        let Some(at) = design.pools.iter().position(|pool| pool.tenancy.network.is_none()) else { continue };
        let (design, pool) = (&design.name, &design.cluster.pools[at].name);
        let message = format!(
            "the pool `{pool}` of `{design}` has no `fabric`: the class `{name}` communicates there for its share of the time"
        );
        let help = "write `fabric` in the pool, or compare designs that all have one";
        notes.warning("W0268", &["job-shares", name, "training"], message, help);
    }
}

fn trained(notes: &mut Notes<'_>, name: &str, table: &mut TrainingTable) -> Option<Trained> {
    let at = |key| ["job-shares", name, "training", key];
    let before = notes.problems.errors();
    for (key, value, most) in [("parameters-b", table.parameters_b, 1e6), ("step-s", table.step_s, 1e6)] {
        if !(value > 0.0 && value <= most) {
            let message = format!("`{key} = {value}` must be above 0 and at most {most:e}");
            notes.error("W0209", &at(key), message);
        }
    }
    for (key, value) in [
        ("step-gpus", table.step_gpus),
        ("tensor", table.tensor),
        ("pipeline", table.pipeline),
        ("context", table.context),
        ("layers", table.layers),
        ("micro-steps", table.micro_steps),
    ] {
        if value.is_some_and(|value| !(1..=1_000_000).contains(&value)) {
            notes.error("W0209", &at(key), format!("`{key}` must be from 1 to 1,000,000"));
        }
    }
    let kind = notes.or_convention(&mut table.split, SplitKind::ThreeD, "three-d", &at("split"));
    let is_sharded = kind == SplitKind::FullySharded;
    for (key, written, matters) in [
        ("tensor", table.tensor.is_some(), !is_sharded),
        ("pipeline", table.pipeline.is_some(), !is_sharded),
        ("context", table.context.is_some(), !is_sharded),
        ("layers", table.layers.is_some(), is_sharded),
        ("micro-steps", table.micro_steps.is_some(), is_sharded),
    ] {
        if written && !matters {
            let message = format!("`{key}` has no effect with this `split`");
            notes.error_help(
                "W0243",
                &at(key),
                message,
                "leave it out, or write the `split` that it belongs to",
            );
        }
    }
    if is_sharded && table.layers.is_none() {
        let help = "write `layers`: all parameters of a layer are gathered together";
        notes.error_help("W0212", &at("split"), "a fully sharded model needs its number of layers", help);
    }
    let mut number = |slot: &mut Option<u32>, key| notes.or_convention(slot, 1, 1, &at(key));
    let split = match kind {
        SplitKind::ThreeD => {
            number(&mut table.context, "context");
            Split::ThreeD {
                tensor: number(&mut table.tensor, "tensor"),
                pipeline: number(&mut table.pipeline, "pipeline"),
            }
        }
        SplitKind::FullySharded => Split::FullySharded {
            layers: table.layers.unwrap_or(1),
            micro_steps: number(&mut table.micro_steps, "micro-steps"),
        },
    };
    let precision = notes.or_convention(&mut table.precision, PrecisionKind::Bf16, "bf16", &at("precision"));
    let precision = match precision {
        PrecisionKind::Bf16 => Precision::Bf16,
        PrecisionKind::Fp8 => Precision::Fp8,
        PrecisionKind::Fp32 => Precision::Fp32,
    };
    let training = Training { parameters: table.parameters_b * 1e9, precision, split };
    let trained = Trained { training, step_s: table.step_s, step_gpus: table.step_gpus };
    (notes.problems.errors() == before).then_some(trained)
}

/// Parts of tensors belong on GPUs that NVLink joins: what they send elsewhere is not charged. And laws of rings are far
/// too optimistic over PCIe.
fn reach(notes: &mut Notes<'_>, name: &str, table: &TrainingTable, designs: &[Design]) {
    let tensor = table.tensor.unwrap_or(1);
    let with_context = tensor.saturating_mul(table.context.unwrap_or(1));
    for design in designs {
        for (pool, spec) in design.pools.iter().zip(&design.cluster.pools) {
            let Some(on) = &pool.tenancy.network else { continue };
            let place = format!("the pool `{}` of `{}`", spec.name, design.name);
            let Some(links) = on.gpu_links else {
                let message = format!(
                    "{place} does not say what its GPUs talk over: the class `{name}` communicates there for its share of \
                     the time"
                );
                let help = "write `gpu-link` in the pool, a row of the catalogue's `fabrics`";
                notes.warning("W0268", &["job-shares", name, "training"], message, help);
                continue;
            };
            for (key, parts, what) in
                [("tensor", tensor, "tensors"), ("context", with_context, "tensors and sequences")]
            {
                let is_its_own =
                    key == "tensor" || (tensor <= links.domain && table.context.unwrap_or(1) > 1);
                if parts > links.domain && is_its_own {
                    let message = format!(
                        "in {place} {} GPUs are joined, and {what} are in {parts} parts: what these send over the network \
                         is not charged",
                        links.domain
                    );
                    let help = format!("write parts that fit, at most {} together", links.domain);
                    notes.warning("W0280", &["job-shares", name, "training", key], message, &help);
                }
            }
        }
    }
}

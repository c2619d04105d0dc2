//! The JSON object of DESIGN.md 5.4.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Context;
use super::verdict::sentence;
use super::winners::baseline;
use crate::cost::CostFigures;
use crate::experiment::DesignResult;
use crate::experiment::pricing::{priced_ledger, showback};
use crate::metrics::groups;
use crate::metrics::shifts::shifts;
use crate::money::Money;
use crate::simulation::{JobState, SlurmFacts};

/// Keys of the only design at the top level.
#[must_use]
pub fn single_json(context: &Context<'_>) -> Value {
    let mut object = design_json(context, &context.results[0]);
    object["notes"] = notes(context);
    if context.scenario.policy.slurm_version().is_some() {
        object["not_modelled"] = json!(context.scenario.not_modelled);
    }
    object
}

/// `designs.<name>.{keys}`, with what belongs to all of them beside it.
#[must_use]
pub fn designs_json(context: &Context<'_>) -> Value {
    let designs: Map<String, Value> = context
        .results
        .iter()
        .map(|result| (result.design.name.clone(), design_json(context, result)))
        .collect();
    let mut object = json!({
        "title": context.scenario.title,
        "policy": context.scenario.policy.name(),
        "baseline": context.scenario.compare.baseline,
        "designs": designs,
        "notes": notes(context),
    });
    if let Some(version) = context.scenario.policy.slurm_version() {
        object["slurm_version"] = json!(version);
        object["not_modelled"] = json!(context.scenario.not_modelled);
    }
    if let Some(versions) = context.decision.and_then(|decision| decision.versions.as_ref()) {
        object["version_check"] = json!(versions);
    }
    if let Some(sensitivity) = context.sensitivity {
        object["speedup_sensitivity"] = json!(sensitivity);
    }
    if let Some(judgement) = context.decision.and_then(|decision| decision.judgement.as_ref()) {
        object["verdict"] = json!(judgement);
        object["verdict"]["sentence"] = json!(sentence(context));
    }
    if let Some(outlook) = context.decision.and_then(|decision| decision.outlook.as_ref()) {
        object["outlook"] = json!(outlook);
    }
    object
}

/// What the reader of a result should know of its inputs.
fn notes(context: &Context<'_>) -> Value {
    let classified = &context.loaded.classified;
    let by_default = classified.by_default();
    let defaults: Vec<Value> = context
        .scenario
        .defaults_used
        .iter()
        .map(|used| {
            let confidence = used.confidence.map(|c| c.word());
            json!({ "path": used.path, "value": used.value, "source": used.source, "confidence": confidence })
        })
        .collect();
    let repairs: Vec<Value> = context
        .loaded
        .workload
        .repairs
        .iter()
        .map(|(reason, repair)| json!({ "what": repair.kind.name(), "reason": reason, "rows": repair.rows }))
        .collect();
    let mut notes = json!({
        "gpu_hours_classified_by_default": by_default.gpu_hours(),
        "cpu_hours_classified_by_default": by_default.cpu_hours(),
        "defaults_used": defaults,
        "repairs": repairs,
        "columns_without_effect": context.columns_without_effect(),
        "warm_up_removed_hours": context.scenario.compare.warm_up.as_s() / 3600.0,
    });
    if context.loaded.needs_from_peaks > 0 {
        notes["gpu_memory_needs_from_recorded_peaks"] = json!(context.loaded.needs_from_peaks);
    }
    if let Some(trust) = &context.loaded.trust {
        notes["trust"] = json!(trust);
    }
    notes
}

fn design_json(context: &Context<'_>, result: &DesignResult) -> Value {
    let mut object = json!(result.summary);
    object["label"] = json!(result.design.label);
    object["cost"] = result.cost.as_ref().map_or(Value::Null, cost_json);
    if let Some(views) = money_views(context, result) {
        object["cost_by"] = views;
    }
    object["service"] = json!({});
    if let Some(uncertainty) = &result.uncertainty {
        object["uncertainty"] = json!(uncertainty);
    }
    if !result.translation.is_empty() {
        object["translation"] = json!(result.translation);
    }
    if let Some(facts) = &result.outcome.slurm {
        object["slurm"] = slurm_json(facts);
        object["slurm"]["version"] = json!(result.design.slurm.as_ref().map(|site| site.version.to_string()));
    }
    if let Some(facts) = &result.outcome.preemptive {
        object["preemption"] = json!({
            "preemptions": facts.preemptions,
            "preempted_jobs": facts.resumed.len(),
            "moves": facts.moves,
            "overhead_gpu_hours": facts.overhead_gpu_us as f64 / (3600.0 * 1e6),
            "not_carried_over": facts.not_carried_over.iter().cloned().collect::<BTreeMap<String, u64>>(),
        });
    }
    if let Some(before) = baseline(context).filter(|before| before.design.name != result.design.name) {
        let workload = &context.loaded.workload;
        object["against_baseline"] = json!(shifts(workload, &before.outcome, &result.outcome));
    }
    object["refused_by_design"] = refused(context, result);
    object["by"] = json!(groups::groups(&context.loaded.workload, &result.design.cluster, &result.outcome));
    object
}

/// Jobs pending at the end by Slurm's reason.
pub(super) fn pending_by_reason(facts: &SlurmFacts) -> BTreeMap<&'static str, u64> {
    let mut by_reason = BTreeMap::new();
    for (_, reason) in &facts.pending {
        *by_reason.entry(*reason).or_insert(0) += 1;
    }
    by_reason
}

fn slurm_json(facts: &SlurmFacts) -> Value {
    let share = (facts.starts > 0).then(|| facts.backfilled as f64 / facts.starts as f64);
    let carried: Map<String, Value> =
        facts.not_carried_over.iter().map(|(what, n)| (what.clone(), json!(n))).collect();
    json!({
        "starts": facts.starts,
        "backfill_share": share,
        "requeued": facts.requeued.len(),
        "main_passes": facts.main_passes,
        "backfill_cycles": facts.backfill_cycles,
        "pending": pending_by_reason(facts),
        "not_carried_over": carried,
    })
}

/// The first refused jobs with the reason.
fn refused(context: &Context<'_>, result: &DesignResult) -> Value {
    const NAMED: usize = 20;
    let name = |job| context.loaded.workload.job_name(job);
    let rows = result.outcome.refused.iter().take(NAMED);
    rows.map(
        |(job, reason)| json!({ "job_id": name(*job), "reason": reason, "state": JobState::Refused.name() }),
    )
    .collect()
}

/// The costs of DESIGN.md 5.4.
pub(super) fn cost_json(cost: &CostFigures) -> Value {
    let units = |money: Option<Money>| money.map(Money::as_units);
    let four = &cost.four_parts;
    json!({
        "total": cost.total.as_units(),
        "per_month": units(cost.per_month),
        "per_gpu_hour": units(cost.per_gpu_hour),
        "per_allocated_gpu_hour": units(cost.per_allocated_gpu_hour),
        "per_useful_gpu_hour": units(cost.per_useful_gpu_hour),
        "per_job": units(cost.per_job),
        "waiting": units(cost.waiting),
        "parts": amounts(cost.parts.iter().map(|(part, amount)| (part.key(), *amount))),
        "four_parts": amounts([
            ("hardware_at_work", four.at_work),
            ("licences", four.licences),
            ("overhead_hours", four.overhead),
            ("idle_hours", four.idle),
        ]),
        "currency": cost.currency.code(),
    })
}

/// Amounts by name, in units.
fn amounts<'a>(rows: impl IntoIterator<Item = (&'a str, Money)>) -> Value {
    let rows = rows.into_iter().map(|(name, amount)| (name.to_owned(), json!(amount.as_units())));
    Value::Object(rows.collect())
}

/// Who and what the money went to: the ledger of hours priced, and users and accounts. What is nobody's (free
/// time, jobs without a name) is `rest`.
fn money_views(context: &Context<'_>, result: &DesignResult) -> Option<Value> {
    let ledger = priced_ledger(result)?;
    let who = showback(&context.loaded.workload, result)?;
    let table = |rows: &[(String, Money)], rest: Money| {
        let named = rows.iter().map(|(name, amount)| (name.as_str(), *amount));
        json!({ "charged": amounts(named), "rest": rest.as_units() })
    };
    Some(json!({
        "hours": amounts(ledger),
        "user": table(&who.users, who.rest[0]),
        "account": table(&who.accounts, who.rest[1]),
    }))
}

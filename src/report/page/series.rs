//! What the charts draw, as one JSON object. Sizes are bounded whatever the number of jobs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::markup::{short, short_or_null};
use super::nodes::{Window, heat_map};
use super::waits::{size_label, waits};
use super::{bill, decision, ledger};
use crate::cost::Part;
use crate::experiment::DesignResult;
use crate::metrics::groups::{Group, Groups, groups};
use crate::metrics::timeline::{Timeline, timeline};
use crate::report::Context;
use crate::time::MICROS_PER_S;

/// Intervals of all timelines together.
const INTERVALS: usize = 9_000;

/// Rows of a table of groups.
const GROUP_ROWS: usize = 150;

/// Everything.
pub(super) fn series(context: &Context<'_>) -> Value {
    let each = (INTERVALS / context.results.len().max(1)).clamp(600, 3_000);
    let timelines: Vec<Timeline> = context
        .results
        .iter()
        .map(|r| timeline(&context.loaded.workload, &r.design.cluster, &r.outcome, each))
        .collect();
    let gpus = context.results.iter().any(|r| r.summary.gpu_hours.is_some());
    json!({
        "device": if gpus { "GPU" } else { "CPU" },
        "designs": context.results.iter().map(|r| design(context, r, gpus)).collect::<Vec<_>>(),
        "categories": ledger::CATEGORIES.iter()
            .map(|c| json!({ "key": c.key, "name": c.name, "what": c.definition })).collect::<Vec<_>>(),
        "kinds": Part::ALL.map(|part| {
            let (name, what) = bill::words(part);
            json!({ "key": part.key(), "name": name, "what": what })
        }),
        "tornado": decision::tornado(context),
        "waits": waits(context),
        "timeline": timeline_json(&timelines, gpus),
        "nodes": nodes(context, &timelines),
        "groups": groups_json(context),
    })
}

fn design(context: &Context<'_>, result: &DesignResult, gpus: bool) -> Value {
    let hours = ledger::hours(result);
    json!({
        "label": result.design.label,
        "baseline": context.results.len() > 1 && result.design.name == context.scenario.compare.baseline,
        "devices": devices(&result.design, gpus),
        "hours": hours.into_iter().map(short).collect::<Vec<_>>(),
        "cost": bill::by_kind(result).map(|kinds| kinds.into_iter().map(short).collect::<Vec<_>>()),
        "currency": result.cost.as_ref().map(|cost| cost.currency.code().to_owned()),
    })
}

/// GPUs or CPUs of a design; of VMs with vGPUs, the GPUs of their hosts.
fn devices(design: &crate::scenario::Design, gpus: bool) -> u32 {
    if !gpus {
        return design.cluster.capacity().cpus;
    }
    let pools = design.cluster.pools.iter().zip(&design.sharing.cards);
    let of_pool = |(pool, cards): (&crate::cluster::PoolSpec, &crate::cluster::CardPool)| match cards.vgpus {
        Some(vgpus) => pool.count.div_ceil(vgpus.vms.max(1)) * vgpus.gpus,
        None => pool.count * pool.node.capacity.gpus,
    };
    pools.map(of_pool).sum()
}

fn timeline_json(timelines: &[Timeline], gpus: bool) -> Value {
    let column = |line: &Timeline, pick: fn(&crate::metrics::TimelineRow) -> f64| -> Vec<Value> {
        line.rows.iter().map(pick).map(short).collect()
    };
    let designs: Vec<Value> = timelines
        .iter()
        .map(|line| {
            json!({
                "wait": column(line, |row| row.waiting_mean),
                "wait_max": column(line, |row| row.waiting_max as f64),
                "used": column(line, if gpus { |row| row.gpus_mean } else { |row| row.cpus_mean }),
                "used_max": column(line, if gpus { |row| row.gpus_max as f64 } else { |row| row.cpus_max as f64 }),
            })
        })
        .collect();
    json!({ "step_s": timelines.first().map_or(1.0, |line| line.step_s), "designs": designs })
}

/// Heat maps of the whole horizon and of the day with the longest queue.
fn nodes(context: &Context<'_>, timelines: &[Timeline]) -> Value {
    const STEPS: i64 = 240;
    const DAY: i64 = 86_400 * MICROS_PER_S;
    const DAY_STEPS: usize = 144;
    let Some(first) = context.results.first() else { return json!([]) };
    let from = first.outcome.first_submit.micros();
    let span = (first.outcome.last_instant.micros() - from).max(1);
    let whole = Window { from, step: (span + STEPS - 1) / STEPS, steps: STEPS as usize };
    let mut views = vec![("Whole horizon".to_owned(), whole)];
    if span > 2 * DAY {
        let day = busiest_s(timelines) as i64 * MICROS_PER_S - from;
        let day = day / DAY;
        let window = Window { from: from + day * DAY, step: DAY / DAY_STEPS as i64, steps: DAY_STEPS };
        views.push((format!("Day {}, with the longest queue", day + 1), window));
    }
    let second = MICROS_PER_S as f64;
    let views = views.into_iter().map(|(name, window)| {
        json!({
            "name": name,
            "from_s": short((window.from - from) as f64 / second),
            "step_s": short(window.step as f64 / second),
            "designs": context.results.iter().map(|r| heat_map(r, window)).collect::<Vec<_>>(),
        })
    });
    views.collect()
}

/// When most jobs waited at once, in any design; seconds of the trace.
fn busiest_s(timelines: &[Timeline]) -> f64 {
    let rows = timelines.iter().flat_map(|line| &line.rows);
    let most =
        rows.fold(
            (0, 0.0),
            |most, row| {
                if row.waiting_max > most.0 { (row.waiting_max, row.from_s) } else { most }
            },
        );
    if most.0 == 0 {
        timelines.first().and_then(|l| l.rows.first()).map_or(0.0, |r| r.from_s)
    } else {
        most.1
    }
}

/// By dimension: `{all: number of groups, rows: [[name, jobs, device-hours, [figures per design]]]}`.
fn groups_json(context: &Context<'_>) -> Value {
    let all: Vec<Groups> = context
        .results
        .iter()
        .map(|r| groups(&context.loaded.workload, &r.design.cluster, &r.outcome))
        .collect();
    type Pick = fn(&Groups) -> &BTreeMap<String, Group>;
    let dimensions: [(&str, Pick); 5] = [
        ("User", |g| &g.user),
        ("Account", |g| &g.account),
        ("Partition", |g| &g.partition),
        ("Class", |g| &g.class),
        ("Size", |g| &g.size),
    ];
    let mut tables = Map::new();
    for (name, pick) in dimensions {
        let by_design: Vec<&BTreeMap<String, Group>> = all.iter().map(pick).collect();
        let table = dimension(&by_design, name == "Size");
        if table["all"] != 0 {
            tables.insert(name.to_owned(), table);
        }
    }
    Value::Object(tables)
}

fn dimension(by_design: &[&BTreeMap<String, Group>], sizes: bool) -> Value {
    let mut names: BTreeMap<&String, u64> = BTreeMap::new();
    for (name, group) in by_design.iter().flat_map(|groups| groups.iter()) {
        let jobs = names.entry(name).or_default();
        *jobs = (*jobs).max(group.jobs);
    }
    let all = names.len();
    let mut kept: Vec<(&String, u64)> = names.into_iter().collect();
    kept.sort_by_key(|(_, jobs)| std::cmp::Reverse(*jobs));
    kept.truncate(GROUP_ROWS);
    if sizes {
        kept.sort();
    }
    let rows: Vec<Value> = kept
        .into_iter()
        .map(|(name, jobs)| {
            let of = |groups: &&BTreeMap<String, Group>| groups.get(name).map_or(Value::Null, figures);
            let label = if sizes { size_label(name) } else { name.clone() };
            json!([label, jobs, by_design.iter().map(of).collect::<Vec<_>>()])
        })
        .collect();
    json!({ "all": all, "rows": rows })
}

/// Waits (mean, median, p95, p99, longest), mean bounded slowdown, device-hours run, jobs started.
fn figures(group: &Group) -> Value {
    let wait = &group.wait_s;
    let whole = |value: Option<f64>| short_or_null(value.map(|s| if s < 10.0 { s } else { s.round() }));
    json!([
        whole(wait.mean),
        whole(wait.p50),
        whole(wait.p95),
        whole(wait.p99),
        whole(wait.max),
        short_or_null(group.bounded_slowdown_mean),
        short(group.gpu_hours.round()),
        short(group.cpu_hours.round()),
        group.started,
    ])
}

//! The `[workload]` table.

use std::path::Path;

use super::{DefaultUsed, Notes};
use crate::diagnostic::nearest;
use crate::scenario::catalogue::Confidence;
use crate::scenario::file::{ClassRuleTable, ScaleTable, WindowTable, WorkKind, WorkloadTable};
use crate::scenario::{Window, WorkloadSource, WorkloadSpec};
use crate::time::{MICROS_PER_S, SimDuration};
use crate::workload::classify::{self, ClassRule};
use crate::workload::generate::{Model, Preset};
use crate::workload::read::ColumnMap;
use crate::workload::scale::Scale;

pub(super) fn resolve(
    notes: &mut Notes<'_>,
    table: &mut WorkloadTable,
    directory: &Path,
) -> Option<WorkloadSpec> {
    if let Some(model) = &mut table.generate {
        generator_defaults(notes, model);
    }
    let source = source(notes, table, directory);
    let scale = scale(notes, table.scale.get_or_insert_default());
    let window = table.window.as_mut().and_then(|table| window(notes, table));
    if table.cut_at_limit == Some(true) && table.generate.is_some() {
        let message = "`workload.cut-at-limit` is for traces, and these jobs are generated";
        notes.error_help("W0222", &["workload", "cut-at-limit"], message, "leave it out");
    }
    let seed = notes.or_convention(&mut table.seed, 1, 1, &["workload", "seed"]);
    let cut_at_limit =
        notes.or_convention(&mut table.cut_at_limit, false, false, &["workload", "cut-at-limit"]);
    let rules = table.class_rule.len();
    let class_rules =
        table.class_rule.iter().enumerate().map(|(at, rule)| class_rule(notes, rule, at, rules)).collect();
    let node_list = table.node_list.as_ref().map(|written| directory.join(written));
    Some(WorkloadSpec {
        source: source?,
        scale,
        window,
        seed,
        cut_at_limit,
        class_rules,
        time_zone: table.time_zone.clone(),
        node_list,
        columns: columns(notes, table),
        plain_types: Vec::new(),
        memory_from_peak: false,
        recorded_on: None,
    })
}

/// How the columns of the trace are called and written, if the scenario says so.
fn columns(notes: &mut Notes<'_>, table: &WorkloadTable) -> Option<Box<ColumnMap>> {
    let columns = table.columns.as_ref()?;
    if table.trace.is_none() {
        let message = "`workload.columns` is for traces, and these jobs are generated";
        notes.error_help("W0222", &["workload", "columns"], message, "leave it out");
    }
    match ColumnMap::of_table(columns) {
        Ok(map) => Some(Box::new(map)),
        Err((key, message, help)) => {
            let path = ["workload", "columns", key.as_str()];
            notes.error_help("W0207", &path[..if key.is_empty() { 2 } else { 3 }], message, &help);
            None
        }
    }
}

fn source(notes: &mut Notes<'_>, table: &WorkloadTable, directory: &Path) -> Option<WorkloadSource> {
    match (&table.trace, &table.generate) {
        (Some(_), Some(_)) => {
            let message = "the workload has a trace and a generator, and can be only one";
            notes.error("W0210", &["workload", "generate"], message);
            None
        }
        (None, None) => {
            let help = "write `trace = \"FILE\"`, or a table [workload.generate.MODEL]";
            notes.error_help(
                "W0210",
                &["workload"],
                "the workload has neither a trace nor a generator",
                help,
            );
            None
        }
        (Some(written), None) => {
            let path = directory.join(written);
            if !path.is_file() {
                let message = format!("there is no trace file `{}`", path.display());
                let help = match neighbour(&path) {
                    Some(meant) => {
                        format!("did you mean `{}`?", Path::new(written).with_file_name(meant).display())
                    }
                    None if directory.as_os_str().is_empty() => "check the path".to_owned(),
                    None => "the path is relative to the scenario file".to_owned(),
                };
                notes.error_help("W0211", &["workload", "trace"], message, help);
            }
            Some(WorkloadSource::Trace { path, written: written.clone() })
        }
        (None, Some(model)) => {
            let place = notes.document.place(&["workload", "generate"]);
            Some(WorkloadSource::Generate { model: Box::new(model.clone()), place })
        }
    }
}

/// Writes the generator's defaults back and notes each.
fn generator_defaults(notes: &mut Notes<'_>, model: &mut Model) {
    let full = model.with_defaults();
    let tables = |model: &Model| toml::Value::try_from(model).expect("settings of a generator are TOML");
    let source = match &full {
        Model::Lublin(_) => "the authors' program (Lublin and Feitelson 2003)".to_owned(),
        Model::Research(params) => {
            let preset = params.preset.unwrap_or_default();
            let name = Preset::ALL.iter().find(|(other, _)| *other == preset).map_or("", |(_, name)| name);
            format!("generator preset {name}, calibrated to published statistics")
        }
    };
    note_missing(notes, Some(&tables(model)), &tables(&full), "workload.generate", &source);
    *model = full;
}

/// Notes every value of `full` that `given` does not have.
fn note_missing(
    notes: &mut Notes<'_>,
    given: Option<&toml::Value>,
    full: &toml::Value,
    path: &str,
    source: &str,
) {
    if let toml::Value::Table(rows) = full {
        for (key, value) in rows {
            let given = given.and_then(|given| given.get(key));
            note_missing(notes, given, value, &format!("{path}.{key}"), source);
        }
    } else if given.is_none() {
        notes.defaults.push(DefaultUsed {
            path: path.to_owned(),
            value: full.to_string(),
            source: source.to_owned(),
            confidence: Some(Confidence::Estimated),
            range: None,
        });
    }
}

/// Name of the file beside the missing one that was probably meant.
fn neighbour(missing: &Path) -> Option<String> {
    let folder = missing.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    nearest(missing.file_name()?.to_str()?, names.iter().map(String::as_str)).map(str::to_owned)
}

fn scale(notes: &mut Notes<'_>, table: &mut ScaleTable) -> Scale {
    let mut factor = |slot: &mut Option<f64>, name: &str| {
        let value = *slot.get_or_insert(1.0);
        if value < Scale::RANGE.0 || value > Scale::RANGE.1 {
            let message = format!("`workload.scale.{name}` must be from 0.001 to 1000, found {value}");
            notes.error("W0209", &["workload", "scale", name], message);
        }
        value
    };
    let arrivals = factor(&mut table.arrivals, "arrivals");
    let run = factor(&mut table.run, "run");
    let size = factor(&mut table.size, "size");
    // A factor that it refuses has been told above, at its place.
    Scale::new(arrivals, run, size).unwrap_or_default()
}

fn window(notes: &mut Notes<'_>, table: &mut WindowTable) -> Option<Window> {
    let from = span(notes, *table.from_s.get_or_insert(0.0), &["workload", "window", "from-s"])?;
    let until = match table.until_s {
        Some(seconds) => Some(span(notes, seconds, &["workload", "window", "until-s"])?),
        None => None,
    };
    if until.is_some_and(|until| until <= from) {
        notes.error("W0222", &["workload", "window", "until-s"], "the window ends before it begins");
    }
    Some(Window { from, until })
}

/// Seconds as a span, to the microsecond; tells a problem and `None` where they are none.
fn span(notes: &mut Notes<'_>, seconds: f64, path: &[&str]) -> Option<SimDuration> {
    let micros = (seconds * MICROS_PER_S as f64).round();
    if micros >= 0.0 && micros <= SimDuration::MAX.micros() as f64 {
        return Some(SimDuration::from_micros(micros as i64));
    }
    notes.error("W0209", path, format!("{seconds} is no span of time: 0 to 10^12 seconds"));
    None
}

fn class_rule(notes: &mut Notes<'_>, table: &ClassRuleTable, at: usize, rules: usize) -> ClassRule {
    let row = at.to_string();
    let path = ["workload", "class-rule", row.as_str()];
    let mut limit = |seconds: Option<f64>, name: &str| {
        seconds.and_then(|seconds| span(notes, seconds, &[path[0], path[1], path[2], name]))
    };
    let rule = ClassRule {
        class: table.class.clone(),
        partition: table.partition.clone(),
        account: table.account.clone(),
        user: table.user.clone(),
        qos: table.qos.clone(),
        name_glob: table.name.clone(),
        gpus_min: table.gpus_min,
        gpus_max: table.gpus_max,
        run_min: limit(table.run_min_s, "run-min-s"),
        run_max: limit(table.run_max_s, "run-max-s"),
        limit_min: limit(table.limit_min_s, "limit-min-s"),
        limit_max: limit(table.limit_max_s, "limit-max-s"),
        kind: table.kind.map(|kind| match kind {
            WorkKind::Work => classify::WorkKind::Work,
            WorkKind::Session => classify::WorkKind::Session,
        }),
    };
    check_class_rule(notes, &rule, at + 1 == rules, &path);
    rule
}

fn check_class_rule(notes: &mut Notes<'_>, rule: &ClassRule, last: bool, path: &[&str; 3]) {
    let under = |name: &'static str| [path[0], path[1], path[2], name];
    if rule.class.is_empty() {
        notes.error("W0217", &under("class"), "the class of a rule is empty");
    }
    for (empty, name) in [
        (is_empty(rule.gpus_min, rule.gpus_max), "gpus-max"),
        (is_empty(rule.run_min, rule.run_max), "run-max-s"),
        (is_empty(rule.limit_min, rule.limit_max), "limit-max-s"),
    ] {
        if empty {
            let message =
                format!("the rule for `{}` can match no job: `{name}` is below its min", rule.class);
            notes.error("W0222", &under(name), message);
        }
    }
    let conditions = ClassRule { class: String::new(), kind: None, ..rule.clone() };
    if conditions == ClassRule::default() && !last {
        let message = format!("the rule for `{}` has no condition and takes every job", rule.class);
        let help = "the rules after it are never reached: move it to the end, or give it a condition";
        notes.error_help("W0222", path, message, help);
    }
}

fn is_empty<T: PartialOrd>(least: Option<T>, most: Option<T>) -> bool {
    matches!((least, most), (Some(least), Some(most)) if least > most)
}

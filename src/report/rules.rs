//! Class rules as a scenario writes them.

use std::fmt::Write as _;

use crate::workload::classify::{ClassRule, WorkKind};

/// `[[workload.class-rule]]` tables.
#[must_use]
pub fn rules_toml(rules: &[ClassRule]) -> String {
    rules.iter().map(rule_toml).collect::<Vec<_>>().join("\n")
}

fn rule_toml(rule: &ClassRule) -> String {
    let mut text = String::from("[[workload.class-rule]]\n");
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            writeln!(text, "{key} = {value}").expect("writing to a text works");
        }
    };
    let quote = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let seconds = |span: crate::time::SimDuration| span.to_string();
    line("class", Some(quote(&rule.class)));
    line("kind", rule.kind.map(|kind| quote(if kind == WorkKind::Session { "session" } else { "work" })));
    line("partition", rule.partition.as_deref().map(quote));
    line("account", rule.account.as_deref().map(quote));
    line("user", rule.user.as_deref().map(quote));
    line("qos", rule.qos.as_deref().map(quote));
    line("name", rule.name_glob.as_deref().map(quote));
    line("gpus-min", rule.gpus_min.map(|n| n.to_string()));
    line("gpus-max", rule.gpus_max.map(|n| n.to_string()));
    line("run-min-s", rule.run_min.map(seconds));
    line("run-max-s", rule.run_max.map(seconds));
    line("limit-min-s", rule.limit_min.map(seconds));
    line("limit-max-s", rule.limit_max.map(seconds));
    text
}

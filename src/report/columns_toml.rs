//! The table `[workload.columns]` as it stands in a scenario.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::workload::read::ColumnSetting;

/// The table as TOML.
#[must_use]
pub fn columns_toml(table: &BTreeMap<String, ColumnSetting>) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut out = String::from("[workload.columns]\n");
    for (key, setting) in table {
        let value = match setting {
            ColumnSetting::Name(name) => quoted(name),
            ColumnSetting::Written(written) => {
                let mut parts = vec![format!("from = {}", quoted(&written.from))];
                parts.extend(written.format.as_ref().map(|format| format!("format = {}", quoted(format))));
                parts.extend(written.unit.as_ref().map(|unit| format!("unit = {}", quoted(unit))));
                format!("{{ {} }}", parts.join(", "))
            }
        };
        writeln!(out, "{key} = {value}").expect("writing to a String does not fail");
    }
    out
}

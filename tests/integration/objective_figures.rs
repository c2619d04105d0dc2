//! An objective can be about every figure of a design's own, by its dotted key.

use serde_json::Value;

use super::terminal::Desk;

fn keys(above: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(rows) => {
            for (key, value) in rows {
                keys(&format!("{above}.{key}"), value, found);
            }
        }
        Value::Number(_) | Value::Null => found.push(above.to_owned()),
        _ => {}
    }
}

/// What stands in the results can be asked for, but what counts the machine's own steps.
#[test]
fn hours_and_figures_of_tenancies_can_be_asked_for() {
    let desk = Desk::new();
    desk.put("t.csv", "job_id,submit_s,run_s,limit_s,gpus\n1,0,1000,1000,8\n2,0,500,500,8\n");
    let scenario = |pool: &str, objective: &str| {
        format!(
            "[workload]\ntrace = 't.csv'\n[policy.easy]\n[design.a.pool.p]\nnode = 'dgx-h100'\ncount = 1\n{pool}{objective}"
        )
    };
    let failures = "[design.a.pool.p.tenancy.bare-metal]\nfailures = { mtbf-hours = 1000 }\n";
    desk.put("s.toml", scenario(failures, ""));
    let answer = desk.run(&["run", "s.toml", "--json"]).ok().json();
    let design = &answer["designs"]["a"];
    let mut found = Vec::new();
    for part in ["tenancy", "gpu_hours", "cpu_hours"] {
        keys(part, &design[part], &mut found);
    }
    found.retain(|key| !["tenancy.noise_epochs", "tenancy.failures_by_level"].contains(&key.as_str()));
    assert!(found.len() > 40, "{found:?}");
    let conditions: Vec<String> = found.iter().map(|key| format!("\"{key} >= 0\"")).collect();
    let objective =
        format!("[objective]\nrequire = [{}]\nminimize = 'gpu_hours.lost'\n", conditions.join(", "));
    desk.put("o.toml", scenario(failures, &objective));
    let judged = desk.run(&["compare", "o.toml", "--json"]).ok().json();
    let text = judged.to_string();
    assert!(text.contains("gpu_hours.lost"), "{text}");
    // What no design can have is told.
    desk.put("p.toml", scenario("", "[objective]\nminimize = 'tenancy.lost_share'\n"));
    let answer = desk.run(&["compare", "p.toml"]);
    assert!(
        answer.code == 4 && answer.stderr.contains("W0262") && answer.stderr.contains("bare metal"),
        "{}",
        answer.stderr
    );
}

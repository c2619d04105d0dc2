//! What a scenario means once it is read: designs, overrides, defaults, the resolved text, the template.

use std::path::Path;

use windtunnel::cost::{CostTerms, DesignBill, Energy, Per, PoolBill, Use, WaitPrice, cost};
use windtunnel::money::Money;
use windtunnel::scenario::file::Named;
use windtunnel::scenario::template::{NewAnswers, NewJobs, TemplateError, TraceFacts, template};
use windtunnel::scenario::{Scenario, Window, WorkloadSource, json_schema, load, load_text};
use windtunnel::scheduler::{BackfillSpec, OrderSpec, PlacementSpec};
use windtunnel::time::SimDuration;
use windtunnel::workload::generate::{Model, generate};
use windtunnel::workload::scale::Scale;

const TEXT: &str = r#"
[workload]
trace = "Cargo.toml"
class-rule = [{ class = "notebook", name = "jupyter*", kind = "session" }, { class = "rest" }]
[policy.conservative]
depth = 50
[design.zebra.pool.main]
node = "dgx-h100"
count = 2
[design.zebra.pool.main.cost.owned]
[design.ant.pool.gpus]
node = "l40s-8"
count = 1
[design.ant.pool.gpus.cost.rented]
price-per-gpu-hour = 0.875
[design.ant.pool.cpus]
node = "cpu-128"
count = 3
[design.ant.pool.cpus.cost.rented]
price-per-node-hour = 2
"#;

fn loaded(text: &str, sets: &[(&str, &str)]) -> Scenario {
    let sets: Vec<(String, String)> =
        sets.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
    load_text("test.toml", text.to_owned(), Path::new(""), &sets)
        .unwrap_or_else(|problems| panic!("{:#?}", problems.kept()))
}

#[test]
fn designs_keep_their_order_and_nodes_come_from_the_catalogue() {
    let scenario = loaded(TEXT, &[]);
    let names: Vec<&str> = scenario.designs.iter().map(|design| design.name.as_str()).collect();
    assert_eq!(names, ["zebra", "ant"]);
    assert_eq!(scenario.compare.baseline, "zebra", "the first one by default");
    let ant = &scenario.designs[1];
    assert_eq!(ant.label, "ant");
    let pools: Vec<&str> = ant.cluster.pools.iter().map(|pool| pool.name.as_str()).collect();
    assert_eq!(pools, ["gpus", "cpus"]);
    let capacity = ant.cluster.capacity();
    assert_eq!((capacity.gpus, capacity.cpus, capacity.mem_mb), (8, 96 + 3 * 128, 1_572_864 + 3 * 524_288));
    assert_eq!(ant.pools[0].gpu_memory_gb, Some(48));
    assert_eq!(ant.pools[1].gpu_memory_gb, None);
}

#[test]
fn policies_have_exact_names() {
    let scenario = loaded(TEXT, &[]);
    assert_eq!(scenario.policy.name(), "conservative(depth=50)");
    assert_eq!(scenario.policy.classic().unwrap().backfill, BackfillSpec::Conservative { depth: Some(50) });
    let both = loaded(TEXT, &[("policy.conservative.order", "shortest-limit")]);
    assert_eq!(both.policy.name(), "conservative(order=shortest-limit, depth=50)");
    assert_eq!(both.policy.classic().unwrap().order, OrderSpec::ShortestLimit);
    let fcfs = loaded(TEXT, &[("policy.fcfs", "{}")]);
    assert_eq!((fcfs.policy.name(), fcfs.policy.classic().unwrap().backfill), ("fcfs", BackfillSpec::None));
    let own = loaded(TEXT, &[("policy.expression.order", "limit_s * gpus")]);
    assert_eq!(own.policy.classic().unwrap().order, OrderSpec::Expression("limit_s * gpus".to_owned()));
    let spread = loaded(TEXT, &[("policy.conservative.placement", "spread")]);
    assert_eq!(spread.policy.classic().unwrap().placement, PlacementSpec::Spread);
}

#[test]
fn set_reaches_every_kind_of_setting() {
    let scenario = loaded(
        TEXT,
        &[
            ("title", "12"),
            ("workload.scale.arrivals", "1.4"),
            ("workload.class-rule.0.class", "interactive"),
            ("design.zebra.pool.main.count", "3"),
            ("design.ant.label", "an ant = small"),
            ("node.dgx-h100.cpus", "96"),
            ("design.ant.pool.cpus.cost.owned.price-per-node", "10_000"),
            ("design.ant.pool.cpus.tenancy", "{ bare-metal = {} }"),
        ],
    );
    assert_eq!(scenario.title.as_deref(), Some("12"), "a text needs no quotes");
    assert_eq!(scenario.workload.scale, Scale::new(1.4, 1.0, 1.0).unwrap());
    assert_eq!(scenario.workload.class_rules[0].class, "interactive");
    let zebra = &scenario.designs[0].cluster.pools[0];
    assert_eq!((zebra.count, zebra.node.capacity.cpus, zebra.node.capacity.gpus), (3, 96, 8));
    assert_eq!(scenario.designs[1].label, "an ant = small");
    let Some(CostTerms::Owned(owned)) = &scenario.designs[1].pools[1].cost else { panic!("replaced") };
    assert_eq!(owned.price.amount, Money::from_decimal(10_000.0).unwrap());
    assert_eq!(scenario.sources.len(), 9);
}

#[test]
fn generators_take_their_settings_from_the_scenario() {
    let text = TEXT.replace("trace = \"Cargo.toml\"", "") + "[workload.generate.research]\njobs = 40\n";
    let sets = [
        ("workload.generate.research.preset", "helios-like"),
        ("workload.generate.research.days", "2"),
        ("workload.generate.research.class.debug.share", "0.25"),
    ];
    let scenario = loaded(&text, &sets);
    let WorkloadSource::Generate { model, .. } = &scenario.workload.source else { panic!("generated") };
    let Model::Research(params) = model.as_ref() else { panic!("{model:?}") };
    assert_eq!((params.jobs, params.days), (Some(40), Some(2.0)));
    assert_eq!(params.class.as_ref().unwrap()["debug"].share, Some(0.25));
    let again = loaded(&scenario.resolved_toml, &[]);
    assert!(matches!(&again.workload.source, WorkloadSource::Generate { model: same, .. } if same == model));
    let plain = loaded(&text, &[]);
    let WorkloadSource::Generate { model, .. } = &plain.workload.source else { panic!("generated") };
    assert_eq!(generate(model, plain.workload.seed).unwrap().jobs.len(), 40);
}

#[test]
fn a_window_counts_from_the_first_submit() {
    let scenario = loaded(TEXT, &[("workload.window.until-s", "0.5")]);
    let window = Window { from: SimDuration::ZERO, until: Some(SimDuration::from_micros(500_000)) };
    assert_eq!(scenario.workload.window, Some(window));
}

#[test]
fn costs_are_defaulted_from_the_catalogue_and_every_default_is_told() {
    let scenario = loaded(TEXT, &[]);
    let Some(CostTerms::Owned(owned)) = &scenario.designs[0].pools[0].cost else { panic!("owned") };
    assert_eq!((owned.price.per, owned.price.amount), (Per::Node, Money::from_decimal(300_000.0).unwrap()));
    assert_eq!(owned.lifetime, SimDuration::from_s(5 * 31_557_600));
    let per_kwh = Money::from_decimal(0.08).unwrap();
    assert_eq!(
        owned.energy,
        Some(Energy { watts_per_node: 8400, idle_watts_per_node: 2000, pue_milli: 1540, per_kwh })
    );

    let told: Vec<&str> = scenario.defaults_used.iter().map(|used| used.path.as_str()).collect();
    for path in [
        "design.zebra.pool.main.cost.owned.price-per-node",
        "design.zebra.pool.main.cost.owned.depreciation-years",
        "design.zebra.pool.main.cost.owned.price-per-kwh",
        "design.zebra.pool.main.cost.owned.pue",
        "node.dgx-h100.power-w",
        "node.cpu-128.cpus",
        "gpu.L40S-48GB.memory-gb",
        "policy.conservative.placement",
        "workload.seed",
        "compare.baseline",
        "design.ant.pool.cpus.tenancy",
        "design.ant.pool.cpus.cost.rented.currency",
    ] {
        assert!(told.contains(&path), "{path} in {told:#?}");
    }
    assert!(!told.contains(&"design.ant.pool.gpus.cost.rented.price-per-gpu-hour"), "that one is written");
    assert!(scenario.defaults_used.iter().all(|used| !used.source.is_empty() && !used.value.is_empty()));
}

#[test]
fn a_rented_design_costs_what_the_paper_says() {
    let scenario = loaded(TEXT, &[]);
    let ant = &scenario.designs[1];
    let bills: Vec<PoolBill<'_>> = ant
        .cluster
        .pools
        .iter()
        .zip(&ant.pools)
        .map(|(pool, terms)| {
            let terms = terms.cost.as_ref().unwrap();
            PoolBill::installed(terms, pool.count, pool.node.capacity.gpus, SimDuration::from_s(10 * 3600))
        })
        .collect();
    let bill = DesignBill { pools: bills, lines: &[], horizon: SimDuration::from_s(10 * 3600) };
    let figures = cost(&bill, &Use { jobs: 5, ..Use::default() }, WaitPrice::default()).unwrap().unwrap();
    // 8 GPUs x 10 h x 0.875 + 3 nodes x 10 h x 2
    assert_eq!(figures.total, Money::from_decimal(130.0).unwrap());
    assert_eq!(figures.per_job, Some(Money::from_decimal(26.0).unwrap()));
    assert_eq!(figures.per_useful_gpu_hour, None);
}

#[test]
fn unknown_power_is_a_warning_that_says_so() {
    let text = r#"
[workload]
trace = "Cargo.toml"
[policy.fcfs]
[node.mine]
cpus = 8
mem-mb = 1024
[design.a.pool.main]
node = "mine"
count = 1
[design.a.pool.main.cost.owned]
price-per-node = 5000
"#;
    let scenario = loaded(text, &[]);
    assert_eq!(scenario.warnings.kept().len(), 1);
    assert_eq!(scenario.warnings.kept()[0].code.0, "W0224");
    let without = loaded(text, &[("design.a.pool.main.cost.owned.price-per-kwh", "0")]);
    assert!(without.warnings.is_empty());
}

#[test]
fn the_resolved_text_means_the_same_and_has_no_defaults_left() {
    let first = loaded(TEXT, &[("design.zebra.pool.main.count", "7"), ("workload.window.until-s", "60")]);
    let second = loaded(&first.resolved_toml, &[]);
    assert_eq!(second.defaults_used, Vec::new(), "{}", first.resolved_toml);
    assert_eq!(second.resolved_toml, first.resolved_toml);
    assert_eq!(second.designs, first.designs);
    assert_eq!(second.workload, first.workload);
    assert_eq!(second.policy, first.policy);
    assert_eq!(second.compare, first.compare);
}

/// Every value of a table with its path as `--set` takes it.
fn leaves(prefix: &str, table: &toml::Table, out: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => leaves(&path, inner, out),
            toml::Value::Array(rows) if rows.iter().all(toml::Value::is_table) => {
                for (index, row) in rows.iter().enumerate() {
                    leaves(&format!("{path}.{index}"), row.as_table().unwrap(), out);
                }
            }
            value => out.push((path, value.to_string())),
        }
    }
}

#[test]
fn every_setting_has_a_path_for_set() {
    let text = loaded(TEXT, &[("workload.window.until-s", "60")]).resolved_toml;
    let mut settings = Vec::new();
    leaves("", &text.parse().unwrap(), &mut settings);
    assert!(settings.len() > 40, "{settings:#?}");
    for (path, value) in &settings {
        let again = loaded(&text, &[(path, value)]);
        assert_eq!(again.resolved_toml, text, "{path}={value}");
    }
}

#[test]
fn line_ends_and_byte_order_marks_do_not_matter() {
    let plain = loaded(TEXT, &[]).resolved_toml;
    assert_eq!(loaded(&TEXT.replace('\n', "\r\n"), &[]).resolved_toml, plain);
    assert_eq!(loaded(&format!("\u{feff}{TEXT}"), &[("workload.seed", "1")]).resolved_toml, plain);
}

#[test]
fn the_schema_file_is_the_one_of_the_program() {
    let text = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    let path = Path::new("scenarios/scenario.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap();
    assert!(checked_in == text, "run `UPDATE_SCHEMA=1 cargo test schema_file` and commit {}", path.display());
}

#[test]
fn shipped_scenarios_load() {
    // Beside copies of the scenarios stand empty files in place of the traces: they are only looked for.
    let directory = tempfile::tempdir().unwrap();
    let (scenarios, traces) = (directory.path().join("scenarios"), directory.path().join("traces"));
    std::fs::create_dir(&scenarios).unwrap();
    std::fs::create_dir(&traces).unwrap();
    for trace in ["research-team.csv", "training-cluster.csv", "hpc-small.swf"] {
        std::fs::write(traces.join(trace), "").unwrap();
    }
    let mut seen = 0;
    for table in ["quotes.csv", "one-large-job.csv"] {
        std::fs::copy(Path::new("scenarios").join(table), scenarios.join(table)).unwrap();
    }
    for entry in std::fs::read_dir("scenarios").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let copy = scenarios.join(path.file_name().unwrap());
        std::fs::copy(&path, &copy).unwrap();
        let scenario = load(&copy, &[]).unwrap_or_else(|problems| panic!("{:#?}", problems.kept()));
        assert!(scenario.warnings.is_empty(), "{}", path.display());
        assert!(scenario.title.is_some(), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 3);
}

#[test]
fn templates_load_without_a_word() {
    let facts = TraceFacts { jobs: 900, gpu_jobs: 700, days: 14, max_gpus: 20, max_cpus: 64 };
    let no_gpus = TraceFacts { gpu_jobs: 0, max_gpus: 0, max_cpus: 300, ..facts };
    let trace = |facts| NewJobs::Trace("Cargo.toml".to_owned(), facts);
    let blank =
        NewAnswers { title: None, jobs: trace(None), node: None, count: None, policy: None, quotes: None };
    let answers = [
        (blank.clone(), 1),
        (NewAnswers { jobs: trace(Some(facts)), ..blank.clone() }, 3),
        (NewAnswers { jobs: trace(Some(no_gpus)), ..blank.clone() }, 3),
        (
            NewAnswers {
                node: Some("l40s-8".into()),
                count: Some(5),
                policy: Some("sjf".into()),
                ..blank.clone()
            },
            5,
        ),
        (NewAnswers { title: Some("with \"quotes\"\nand lines".into()), ..blank.clone() }, 1),
        (
            NewAnswers {
                jobs: NewJobs::Generate("research".into(), Named::from([("jobs".to_owned(), 100.into())])),
                ..blank.clone()
            },
            1,
        ),
    ];
    for (answers, count) in answers {
        let text = template(&answers).unwrap();
        let scenario = loaded(&text, &[]);
        assert!(scenario.warnings.is_empty(), "{text}");
        let counts: Vec<u32> = scenario.designs.iter().map(|design| design.cluster.nodes()).collect();
        assert_eq!(counts, [count, count + 1], "{text}");
        let generated = matches!(scenario.workload.source, WorkloadSource::Generate { .. });
        assert_eq!(generated, matches!(answers.jobs, NewJobs::Generate(..)), "{text}");
    }
    let toaster = NewAnswers { node: Some("toaster".into()), ..blank.clone() };
    assert_eq!(template(&toaster), Err(TemplateError::UnknownNode("toaster".into())));
    let magic = NewAnswers { policy: Some("magic".into()), ..blank };
    assert_eq!(template(&magic), Err(TemplateError::UnknownPolicy("magic".into())));
}

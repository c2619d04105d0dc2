//! Every way to get a scenario wrong, and what the user is told.

use std::path::Path;

use windtunnel::diagnostic::{Diagnostics, render};
use windtunnel::scenario::{load, load_text};

/// A scenario without mistakes; each case spoils one thing. The trace is only looked for, not read.
const GOOD: &str = r#"title = "A team"

[workload]
trace = "Cargo.toml"

[policy.easy]
placement = "best-fit"

[node.small]
cpus = 32
mem-mb = 262144
gpus = 4
gpu = "L40S-48GB"
power-w = 2000

[design.metal]
label = "Bare metal"
[design.metal.pool.main]
node = "dgx-h100"
count = 2
[design.metal.pool.main.tenancy.bare-metal]
[design.metal.pool.main.cost.owned]

[design.cloud.pool.main]
node = "small"
count = 4
[design.cloud.pool.main.cost.rented]

[compare]
baseline = "metal"
"#;

/// All diagnostics as the user sees them.
fn told(problems: &Diagnostics) -> String {
    let mut lines: Vec<String> = problems.kept().iter().map(|problem| render(problem, false)).collect();
    lines.extend(problems.further().map(|(code, more)| format!("and {more} more {}", code.0)));
    lines.join("\n\n")
}

fn errors(text: &str, sets: &[(&str, &str)]) -> String {
    let sets: Vec<(String, String)> =
        sets.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
    match load_text("team.toml", text.to_owned(), Path::new(""), &sets) {
        Ok(scenario) => panic!("no error:\n{}", scenario.resolved_toml),
        Err(problems) => told(&problems),
    }
}

/// The good scenario with `from` replaced by `to` at every place.
fn spoiled(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replace(from, to)
}

/// Compares with `snapshots/scenario/NAME.snap`.
fn snapshot(name: &str, told: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots/scenario");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, told));
}

/// The good scenario with options of the first pool's tenancy.
fn metal(options: &str) -> String {
    let table = "[design.metal.pool.main.tenancy.bare-metal]";
    spoiled(table, &format!("{table}\n{options}"))
}

/// The good scenario with the first pool in VMs.
fn vm(options: &str) -> String {
    let table = "[design.metal.pool.main.tenancy.bare-metal]";
    spoiled(table, &format!("[design.metal.pool.main.tenancy.vm]\n{options}"))
}

/// The good scenario with an event.
fn with_event(event: &str) -> String {
    format!("{GOOD}\n[[design.metal.event]]\n{event}\n")
}

macro_rules! snapshots {
    ($($name:ident: $text:expr, $sets:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let text: String = $text;
                snapshot(stringify!($name), &errors(&text, &$sets));
            }
        )*
    };
}

snapshots! {
    syntax: spoiled("count = 2", "count = "), [];
    syntax_at_the_end: format!("{GOOD}[design"), [];
    key_twice: spoiled("count = 2", "count = 2\ncount = 3"), [];
    unknown_key_with_nearest: spoiled("count = 2", "cuont = 2"), [];
    unknown_key_without_nearest: spoiled("count = 2", "count = 2\nfrobnicate = 1"), [];
    unknown_table: format!("{GOOD}\n[sweeep]\nx = 1\n"), [];
    wrong_type: spoiled("count = 2", "count = \"two\""), [];
    wrong_type_deep_inside: spoiled("[policy.easy]", "scale = { arrivals = true }\n[policy.easy]"), [];
    table_for_a_value: spoiled("title = \"A team\"", "[title]\n"), [];
    value_for_a_table: spoiled("[compare]\nbaseline = \"metal\"", "").replace("[workload]", "compare = 3\n[workload]"), [];
    unknown_word: spoiled("best-fit", "bestfit"), [];
    missing_setting: spoiled("node = \"small\"\n", ""), [];
    missing_policy: spoiled("[policy.easy]\nplacement = \"best-fit\"", ""), [];
    count_zero: spoiled("count = 2", "count = 0"), [];
    count_too_large: spoiled("count = 2", "count = 5000000000"), [];
    too_many_gpus_per_node: spoiled("gpus = 4", "gpus = 65"), [];
    not_finite: spoiled("[policy.easy]", "scale = { run = nan }\n[policy.easy]"), [];
    scale_zero: spoiled("[policy.easy]", "scale = { run = 0, size = -1.5 }\n[policy.easy]"), [];
    two_policies: spoiled("[policy.easy]", "[policy.fcfs]\n[policy.easy]"), [];
    policy_slurm: spoiled("[policy.easy]\nplacement = \"best-fit\"", "[policy.slurm]\nmagic = \"easy\""), [];
    policy_slurm_twice: spoiled("[policy.easy]\nplacement = \"best-fit\"", "[policy.slurm]\nbackfill = \"easy\"\nbf_interval = 9"), [];
    unknown_policy: spoiled("[policy.easy]", "[policy.eazy]"), [];
    expression_with_unknown_variable:
        spoiled("[policy.easy]\nplacement = \"best-fit\"", "[policy.expression]\norder = \"age_s / limits\""), [];
    expression_without_sense:
        spoiled("[policy.easy]\nplacement = \"best-fit\"", "[policy.expression]\norder = \"age_s /\""), [];
    no_workload: spoiled("trace = \"Cargo.toml\"\n", ""), [];
    trace_and_generator: spoiled("trace = \"Cargo.toml\"", "trace = \"Cargo.toml\"\ngenerate = { research = {} }"), [];
    missing_trace_file: spoiled("Cargo.toml", "no-such-trace.csv"), [];
    unknown_generator: spoiled("trace = \"Cargo.toml\"", "[workload.generate.reserch]\njobs = 5"), [];
    generator_with_wrong_settings:
        spoiled("trace = \"Cargo.toml\"", "[workload.generate.research]\njbos = 5\npreset = \"philly\"\ngpus = 1.5"), [];
    cut_at_limit_of_a_generator:
        spoiled("trace = \"Cargo.toml\"", "cut-at-limit = true\ngenerate = { lublin = {} }"), [];
    misspelt_trace_file: spoiled("Cargo.toml", "Crago.toml"), [];
    window_ends_before_it_begins: spoiled("[policy.easy]", "window = { from-s = 100, until-s = 50 }\n[policy.easy]"), [];
    window_out_of_range: spoiled("[policy.easy]", "window = { from-s = -1, until-s = 1e13 }\n[policy.easy]"), [];
    class_rule_that_matches_nothing:
        spoiled("[policy.easy]", "[[workload.class-rule]]\nclass = \"big\"\ngpus-min = 8\ngpus-max = 4\n[policy.easy]"), [];
    class_rule_that_takes_all:
        spoiled("[policy.easy]", "class-rule = [{ class = \"all\" }, { class = \"big\", gpus-min = 8 }]\n[policy.easy]"), [];
    no_design: GOOD[..GOOD.find("[design.metal]").unwrap()].to_owned() + "[design]\n", [];
    design_without_pools: format!("{GOOD}\n[design.empty]\n"), [];
    design_name: GOOD.replace("design.cloud", "design.\"a/b\""), [];
    design_too_large: spoiled("count = 4", "count = 400000000"), [];
    unknown_node: spoiled("dgx-h100", "dgx-h10"), [];
    unknown_node_without_nearest: spoiled("dgx-h100", "toaster"), [];
    unknown_gpu: spoiled("L40S-48GB", "L40S-48"), [];
    node_without_cpus: spoiled("cpus = 32\n", ""), [];
    gpus_without_type: spoiled("gpu = \"L40S-48GB\"\n", ""), [];
    gpu_type_without_gpus: spoiled("gpus = 4\n", ""), [];
    gpu_without_memory: spoiled("L40S-48GB", "X1") + "[gpu.X1]\n", [];
    mig_unknown_mode: metal("mig = \"dynamical\""), [];
    mig_without_layouts: metal("mig = \"static\""), [];
    mig_unknown_profile: metal("mig = \"static\"\nmig-layouts = [{ instances = [\"3g.40gb\", \"3g.20gb\"] }]"), [];
    mig_illegal_layout: metal("mig = \"static\"\nmig-layouts = [{ instances = [\"4g.40gb@0\", \"2g.20gb@2\"] }]"), [];
    mig_layout_too_large: metal("mig = \"static\"\nmig-layouts = [{ instances = [\"4g.40gb\", \"4g.40gb\"] }]"), [];
    mig_and_whole_on_one_gpu: metal("mig = \"static\"\nmig-layouts = [{ instances = [\"whole\", \"1g.10gb\"] }]"), [];
    mig_start_is_no_number: metal("mig = \"static\"\nmig-layouts = [{ instances = [\"3g.40gb@end\"] }]"), [];
    mig_more_layouts_than_gpus: metal("mig = \"static\"\nmig-layouts = [{ gpus = 5, instances = [\"7g.80gb\"] }, { gpus = 4, instances = [\"whole\"] }]"), [];
    mig_and_shares: metal("mig = \"dynamic\"\nsharing = \"mps\""), [];
    mig_options_without_mig: metal("mig-keep-s = 10\nco-location = \"pairs\""), [];
    mig_time_out_of_range: metal("mig = \"dynamic\"\nmig-instance-s = -1"), [];
    co_location_loss_out_of_range: metal("sharing = \"mps\"\nco-location-loss = 1.5"), [];
    mig_on_a_gpu_without: format!("{GOOD}\n[design.cloud.pool.main.tenancy.bare-metal]\nmig = \"dynamic\"\n"), [];
    sharing_in_a_mig_vgpu: vm("access = \"vgpu-mig\"\nmig-layouts = [{ instances = [\"3g.40gb\"] }]\nsharing = \"mps\""), [];
    mig_in_a_vgpu: vm("access = \"vgpu-full\"\nmig = \"dynamic\"\nmig-keep-s = 5"), [];
    mig_mode_in_a_vm_on_ampere: vm("mig = \"dynamic\"").replace("dgx-h100", "dgx-a100")
        .replace("cost.owned]", "cost.owned]\nprice-per-node = 1"), [];
    noise_under_every_event: vm("noise = {}").replace("[policy.easy]\nplacement = \"best-fit\"", "[policy.srtf]"), [];
    event_on_no_node: with_event("nodes = \"main[1-2]\"\nfrom-s = 0\nuntil-s = 9\nkind = \"down\""), [];
    event_that_ends_first: with_event("nodes = \"main0\"\nfrom-s = 10\nuntil-s = 9\nkind = \"drain\""), [];
    event_without_brackets: with_event("nodes = \"main[0\"\nfrom-s = 1\nuntil-s = 9\nkind = \"drain\""), [];
    event_twice: with_event("nodes = \"main0\"\nfrom-s = 0\nuntil-s = 9\nkind = \"down\"\n[[design.metal.event]]\n\
        nodes = \"main[0-1]\"\nfrom-s = 8\nuntil-s = 20\nkind = \"drain\""), [];
    event_on_an_elastic_pool:
        format!("{}\n[[design.metal.event]]\nnodes = \"main0\"\nfrom-s = 0\nuntil-s = 9\nkind = \"down\"\n", vm("elastic = {}")), [];
    event_under_a_preemptive_policy:
        with_event("nodes = \"main0\"\nfrom-s = 0\nuntil-s = 9\nkind = \"down\"")
            .replace("[policy.easy]\nplacement = \"best-fit\"", "[policy.srtf]"), [];
    reservation_for_users_under_easy:
        format!("{GOOD}\n[[design.metal.reservation]]\nname = \"r\"\nnodes = \"main0\"\nfrom-s = 0\nuntil-s = 9\nusers = [\"u\"]\n"), [];
    reservation_without_name:
        format!("{GOOD}\n[[design.metal.reservation]]\nnodes = \"main0\"\nfrom-s = 0\nuntil-s = 9\nusers = [\"u\"]\n"), [];
    slice_law_out_of_range: format!("{GOOD}\n[slice-law.training]\nhost = 1.2\n"), [];
    slice_law_of_no_family: format!("{GOOD}\n[slice-law.training]\nfamily = \"ResNet-51\"\n"), [];
    vm_without_passthrough: spoiled("[design.metal.pool.main.tenancy.bare-metal]", "[design.metal.pool.main.tenancy.vm]\naccess = \"passthrough\"\nhypervisor = \"esxi\""), [];
    vm_factor_below_one: spoiled("[design.metal.pool.main.tenancy.bare-metal]", "[design.metal.pool.main.tenancy.vm]\noverhead = { compute = 0.9 }"), [];
    route_to_no_pool: format!("{GOOD}\n[design.metal.route.large]\ngpus-min = 8\npools = [\"mian\"]\n"), [];
    unknown_baseline: spoiled("baseline = \"metal\"", "baseline = \"metall\""), [];
    no_price_in_the_catalogue: spoiled("cost.rented", "cost.owned"), [];
    no_rent_in_the_catalogue: spoiled("L40S-48GB", "A30-24GB"), [];
    no_price_for_a_changed_node: format!("{GOOD}\n[node.dgx-h100]\ngpus = 4\n"), [];
    price_twice: spoiled("cost.rented]", "cost.rented]\nprice-per-gpu-hour = 1\nprice-per-node-hour = 4"), [];
    price_negative: spoiled("cost.rented]", "cost.rented]\nprice-per-gpu-hour = -1"), [];
    price_per_gpu_without_gpus:
        spoiled("cost.rented]", "cost.rented]\nprice-per-gpu-hour = 1").replace("gpus = 4\ngpu = \"L40S-48GB\"\n", ""), [];
    depreciation_zero: spoiled("cost.owned]", "cost.owned]\ndepreciation-years = 0"), [];
    pue_below_one: spoiled("cost.owned]", "cost.owned]\npue = 0.9"), [];
    currency_unknown: spoiled("cost.owned]", "cost.owned]\ncurrency = \"euro\""), [];
    currency_without_price: spoiled("cost.owned]", "cost.owned]\ncurrency = \"EUR\""), [];
    currencies_mixed: spoiled("cost.rented]", "cost.rented]\ncurrency = \"EUR\"\nprice-per-gpu-hour = 1"), [];
    cost_of_one_pool_only: format!("{GOOD}\n[design.metal.pool.more]\nnode = \"small\"\ncount = 1\n"), [];
    electricity_without_power:
        spoiled("power-w = 2000\n", "").replace("cost.rented]", "cost.owned]\nprice-per-node = 1\npue = 1.2"), [];
    plan_without_length: format!("{GOOD}\n[finance]\nyears = 0\n"), [];
    plan_start_unreadable: format!("{GOOD}\n[finance]\nstart = \"next year\"\n"), [];
    quotes_missing: format!("{GOOD}\n[finance]\nquotes = \"none.csv\"\n"), [];
    quote_without_quotes: spoiled("label = \"Bare metal\"", "quote = \"vendor\""), [];
    objective_unreadable: format!("{GOOD}\n[objective]\nrequire = [\"wait_s.p95 under an hour\"]\n"), [];
    objective_on_no_figure: format!("{GOOD}\n[objective]\nrequire = [\"wait_s.p59 <= 3600\"]\n"), [];
    objective_on_cost_without_cost:
        spoiled("[design.cloud.pool.main.cost.rented]\n", "") + "[objective]\nrequire = [\"cost.total <= 9\"]\n", [];
    objective_on_waiting_without_price: format!("{GOOD}\n[objective]\nminimize = \"cost.waiting\"\n"), [];
    objective_on_sharing_without_it:
        format!("{GOOD}\n[objective]\nminimize = \"sharing.at_work_to_own_end\"\n"), [];
    confidence_of_a_single_replica: spoiled("baseline = \"metal\"", "confidence = 0.9"), [];
    warm_up_negative: format!("{GOOD}warm-up = {{ remove-hours = -1 }}\n"), [];
    licence_unknown: spoiled("cost.owned]", "cost.owned]\nlicence.hypervisor.least-units = 72"), [];
    licence_bought_for_rented_pool:
        spoiled("cost.rented]", "cost.rented]\nlicence.hyper-v-datacenter = {}"), [];
    block_without_length: spoiled("cost.rented]", "cost.rented]\nprice-per-gpu-hour = 1\nplan = \"block\""), [];
    reserved_while_used:
        spoiled("cost.rented]", "cost.rented]\nplan = \"reserved-1y\"\nbilled = \"while-used\""), [];
    interruptions_on_demand:
        spoiled("cost.rented]", "cost.rented]\ninterruptions-per-node-day = 1\nlost-minutes-per-interruption = 9"), [];
    ports_without_price: spoiled("cost.owned]", "cost.owned]\nports-per-node = 8"), [];
    network_twice:
        spoiled("cost.owned]", "cost.owned]\nports-per-node = 8\nprice-per-port = 1\nnetwork-share = 0.1"), [];
    residual_above_one: spoiled("cost.owned]", "cost.owned]\nresidual = 1.5"), [];
    idle_above_busy: spoiled("power-w = 2000", "power-w = 2000\npower-idle-w = 3000")
        .replace("cost.rented]", "cost.owned]\nprice-per-node = 1"), [];
    everything_in_another_currency:
        spoiled("cost.owned]", "cost.owned]\ncurrency = \"EUR\"\nprice-per-node = 1\nprice-per-kwh = 1\ndefaults = \"all\""), [];
    set_without_path: GOOD.to_owned(), [("", "3")];
    set_unknown_path: GOOD.to_owned(), [("design.metal.pool.main.cuont", "3")];
    set_unknown_design: GOOD.to_owned(), [("design.mettal.pool.main.count", "3")];
    set_below_a_value: GOOD.to_owned(), [("title.x", "3")];
    set_wrong_type: GOOD.to_owned(), [("design.metal.pool.main.count", "three")];
    set_out_of_range: GOOD.to_owned(), [("design.metal.pool.main.count", "0")];
    set_unknown_word: GOOD.to_owned(), [("policy.easy.placement", "worst-fit")];
    set_unknown_node: GOOD.to_owned(), [("design.metal.pool.main.node", "dgx-h1000")];
}

#[test]
fn all_structural_problems_come_together() {
    let text =
        spoiled("count = 2", "cuont = 2").replace("best-fit", "bestfit").replace("cpus = 32", "cpus = 1.5");
    snapshot("structural_together", &errors(&text, &[]));
}

#[test]
fn all_semantic_problems_come_together() {
    let text = spoiled("dgx-h100", "dgx-h10").replace("Cargo.toml", "none.csv").replace("\"metal\"", "\"x\"");
    snapshot("semantic_together", &errors(&text, &[]));
}

#[test]
fn no_piece_of_a_scenario_makes_it_panic() {
    for end in (0..GOOD.len()).filter(|end| GOOD.is_char_boundary(*end)) {
        for text in [&GOOD[..end], &GOOD[end..]] {
            let _ = load_text("team.toml", text.to_owned(), Path::new(""), &[]);
        }
    }
}

#[test]
fn a_bad_node_is_told_once_however_many_pools_use_it() {
    let text = spoiled("cpus = 32\n", "") + "\n[design.more.pool.main]\nnode = \"small\"\ncount = 1\n";
    assert_eq!(errors(&text, &[]).matches("W0215").count(), 1);
}

#[test]
fn many_alike_are_counted() {
    let many: String = (0..9).map(|n| format!("unknown-{n} = 1\n")).collect();
    let told = errors(&format!("{many}{GOOD}"), &[]);
    assert!(told.ends_with("and 4 more W0205"), "{told}");
}

#[test]
fn a_file_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let shown =
        |path: &Path| told(&load(path, &[]).unwrap_err()).replace(&path.display().to_string(), "FILE");
    snapshot("unreadable", &shown(&directory.path().join("none.toml")));
    let path = directory.path().join("latin1.toml");
    std::fs::write(&path, b"# ok\ntitle = \"caf\xe9\"\n").unwrap();
    snapshot("not_utf8", &shown(&path));
}

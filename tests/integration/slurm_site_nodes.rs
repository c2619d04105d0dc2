//! What a design says of the nodes that slurm.conf brings: their price, and whether their hosts are dedicated.

use super::terminal::{Answer, Desk};

const CONF: &str = "ClusterName=t\nSchedulerType=sched/backfill\nSelectType=select/cons_tres\n\
                    SelectTypeParameters=CR_Core_Memory\nGresTypes=gpu\nNodeName=n[1-2] CPUs=112 RealMemory=2000000 \
                    Gres=gpu:h100:8\nPartitionName=main Nodes=n[1-2] Default=YES MaxTime=UNLIMITED State=UP\n";

const SCENARIO: &str = "[workload]\ntrace = 't.csv'\n[policy.slurm]\nconf = 'slurm.conf'\n[design.a.pool.more]\n\
                        node = 'dgx-h100'\ncount = 1\n[design.a.pool.more.cost.rented]\nprice-per-node-hour = 20\n\
                        [objective]\nrequire = ['wait_s.p95 <= 100_000']\nminimize = 'cost.total'\n";

fn desk(more: &str) -> Desk {
    let desk = Desk::new();
    let mut trace = "job_id,submit_s,run_s,limit_s,user,tenant,cpus,gpus\n".to_owned();
    for at in 0..40 {
        trace += &format!("{at},{},7200,10000,u,t{},8,1\n", at * 60, at % 2);
    }
    desk.put("t.csv", trace);
    desk.put("slurm.conf", CONF);
    desk.put("s.toml", format!("{SCENARIO}{more}"));
    desk
}

fn run(more: &str) -> (Desk, Answer) {
    let desk = desk(more);
    let answer = desk.run(&["run", "s.toml", "--out", "o", "--json"]);
    (desk, answer)
}

fn total(answer: &Answer) -> f64 {
    let found = answer.json();
    let design = found.get("designs").map_or(&found, |designs| &designs["a"]);
    design["cost"]["total"].as_f64().unwrap_or_else(|| panic!("no cost: {design}"))
}

#[test]
fn nodes_that_are_there_already_cost_nothing_more_and_that_is_told() {
    let (_, answer) = run("");
    let answer = answer.ok();
    assert!(answer.stderr.contains("W0266") && answer.stderr.contains("n1-n2"), "{}", answer.stderr);
    let (_, priced) = run("[design.a.site.n1-n2.cost.rented]\nprice-per-node-hour = 20\n");
    let priced = priced.ok();
    assert!(!priced.stderr.contains("W0266"), "{}", priced.stderr);
    // Three nodes at one price, where one was priced.
    assert!((total(&priced) / total(&answer) - 3.0).abs() < 1e-6, "{} {}", total(&priced), total(&answer));
    // Nobody asks at which price of what costs nothing a verdict would turn.
    let other = "[design.b.pool.more]\nnode = 'dgx-h100'\ncount = 2\n[design.b.pool.more.cost.rented]\nprice-per-node-hour = 20\n";
    let verdict = desk(other).run(&["compare", "s.toml", "-q"]).ok().stdout;
    assert!(verdict.contains("cheapest") && !verdict.contains("(now 0.00"), "{verdict}");
}

#[test]
fn they_are_bought_at_the_price_of_their_kind() {
    let owned = |table: &str| {
        let text = SCENARIO.replace(
            "[design.a.pool.more.cost.rented]\nprice-per-node-hour = 20\n",
            "[design.a.pool.more.cost.owned]\n",
        );
        let desk = desk("");
        desk.put("s.toml", text + table);
        desk.run(&["run", "s.toml", "--json", "-q"])
    };
    let kind = owned("[design.a.site.n1-n2]\nnode = 'dgx-h100'\n[design.a.site.n1-n2.cost.owned]\n").ok();
    let one = owned("").ok();
    assert!(total(&kind) > 2.5 * total(&one), "{} {}", total(&kind), total(&one));
    let nameless = owned("[design.a.site.n1-n2.cost.owned]\n");
    assert!(nameless.code == 4 && nameless.stderr.contains("price-per-node"), "{}", nameless.stderr);
}

#[test]
fn their_hosts_can_be_dedicated() {
    let (desk, answer) = run("[design.a.site.n1-n2]\ndedicated = 'host'\n");
    answer.ok();
    let text = String::from_utf8(desk.read("o/jobs.csv")).unwrap();
    let mut rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = rows.next().unwrap();
    let at = |name: &str| head.iter().position(|column| *column == name).unwrap();
    let (id, start, end, node) = (at("job_id"), at("start_s"), at("end_s"), at("node_list"));
    let runs: Vec<(u32, f64, f64, String)> = rows
        .map(|row| {
            (
                row[id].parse().unwrap(),
                row[start].parse().unwrap(),
                row[end].parse().unwrap(),
                row[node].to_owned(),
            )
        })
        .collect();
    let on_site = runs.iter().filter(|run| run.3.starts_with('n')).count();
    assert!(on_site > 10, "{runs:?}");
    for a in &runs {
        for b in runs.iter().filter(|b| b.3 == a.3 && b.3.starts_with('n') && b.0 % 2 != a.0 % 2) {
            assert!(a.2 <= b.1 || b.2 <= a.1, "two tenants on {}: {a:?} {b:?}", a.3);
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (more, code, words) in [
        ("[design.a.site.n1]\ndedicated = 'host'\n", "W0225", "n1-n2"),
        (
            "[design.a.site.n1-n2]\nnode = 'dgx-h100-x'\n[design.a.site.n1-n2.cost.owned]\n",
            "W0213",
            "dgx-h100",
        ),
        ("[node.two]\ncpus = 8\nmem-mb = 1000\n[design.a.site.n1-n2]\nnode = 'two'\n", "W0219", "8"),
    ] {
        let (_, answer) = run(more);
        assert_eq!(answer.code, 4, "{more}{}", answer.stderr);
        assert!(answer.stderr.contains(code) && answer.stderr.contains(words), "{more}{}", answer.stderr);
    }
    let desk = desk("[design.a.site.n1-n2]\n");
    let other = SCENARIO.replace("[policy.slurm]\nconf = 'slurm.conf'\n", "[policy.easy]\n");
    desk.put("s.toml", other + "[design.a.site.n1-n2]\n");
    let answer = desk.run(&["run", "s.toml", "-q"]);
    assert!(answer.code == 4 && answer.stderr.contains("W0225"), "{}", answer.stderr);
}

#[test]
fn a_type_that_names_a_profile_of_another_board_is_refused() {
    let desk = desk("");
    let with = |types: &str| {
        desk.put("slurm.conf", CONF.replace("gpu:h100:8", types));
        desk.run(&["run", "s.toml", "-q"])
    };
    let refused = with("gpu:h100_1g.5gb:7,gpu:h100:7");
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    for word in ["W0267", "`h100_1g.5gb`", "H100-80GB", "A100-40GB", "1g.10gb"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
    // As the help says.
    with("gpu:h100_1g.10gb:7,gpu:h100:7").ok();
    with("gpu:h100_small:7,gpu:h100:7").ok();
}

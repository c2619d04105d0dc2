//! The version of Slurm: named by a scenario, a site's file, `import`, or assumed; told in every report; its rules decide.

use windtunnel::scheduler::slurm::config::{RULES, Version};

use super::terminal::Desk;

const SCENARIO: &str = "[workload]\ntrace = \"jobs.csv\"\n[policy.slurm]\nVERSION\n[node.box]\ncpus = 8\nmem-mb = 1000\n\
                        [design.a.pool.n]\nnode = \"box\"\ncount = 3\n[design.b.pool.n]\nnode = \"box\"\ncount = 3\n\
                        [design.b.slurm]\nversion = \"26.05\"\n";

fn desk(version: &str) -> Desk {
    let desk = Desk::new();
    desk.put(
        "jobs.csv",
        "job_id,submit_s,run_s,limit_s,nodes,cpus\na,0,50,60,1,8\nb,5,50,60,1,8\nc,70,9,60,1,8\n",
    );
    desk.put("s.toml", SCENARIO.replace("VERSION", version));
    desk
}

#[test]
fn every_report_names_the_version() {
    for (written, named) in [("", "24.11"), ("version = \"22.05.8\"", "22.05.8")] {
        let desk = desk(written);
        let object = desk.run(&["compare", "s.toml", "--json", "--quiet", "--out", "out"]).ok().json();
        assert_eq!(object["slurm_version"], named);
        assert_eq!(object["designs"]["a"]["slurm"]["version"], named);
        assert_eq!(object["designs"]["b"]["slurm"]["version"], "26.05");
        let text = desk.run(&["compare", "s.toml"]).ok();
        assert!(text.stdout.contains(&format!("policy slurm {named}")), "{}", text.stdout);
        let page = String::from_utf8(desk.read("out/report.html")).unwrap();
        assert!(page.contains(&format!("slurm {named}")));
    }
}

#[test]
fn defaults_are_those_of_the_version() {
    for (version, priority, tests) in
        [("20.11", "priority/basic", "100"), ("24.11", "priority/multifactor", "500")]
    {
        let desk = desk(&format!("version = \"{version}\""));
        let object = desk.run(&["compare", "s.toml", "--json", "--quiet"]).ok().json();
        let defaults = object["notes"]["defaults_used"].as_array().unwrap();
        let default = |path: &str| defaults.iter().find(|row| row["path"] == path).unwrap();
        assert_eq!(default("policy.slurm.prioritytype")["value"], priority);
        assert_eq!(default("policy.slurm.bf_max_job_test")["value"], tests);
        assert!(default("policy.slurm.bf_interval")["source"].as_str().unwrap().contains(version));
    }
}

#[test]
fn versions_without_rules_are_refused_with_the_nearest() {
    for (written, nearest) in
        [("19.05", "20.02"), ("24.10", "24.11"), ("27.11", "26.05"), ("newest", "24.11")]
    {
        let told = desk(&format!("version = \"{written}\"")).run(&["run", "s.toml", "--quiet"]).told();
        assert!(told.contains("W0531") && told.contains(&format!("write \"{nearest}\"")), "{told}");
    }
}

#[test]
fn a_dump_and_import_name_it_else_it_is_asked_for() {
    let desk = Desk::new();
    let conf = "ClusterName=c\nNodeName=n1 CPUs=8\nPartitionName=p Nodes=ALL Default=YES\n";
    desk.put("slurm.conf", conf);
    let said = desk.run(&["import", "slurm", "--slurm-conf", "slurm.conf", "--out", "a"]).ok();
    assert!(said.stderr.contains("W0531"), "{}", said.stderr);
    assert!(
        String::from_utf8(desk.read("a/site.toml")).unwrap().contains("version = \"24.11\"    # assumed")
    );
    let named = ["import", "slurm", "--slurm-conf", "slurm.conf", "--slurm-version", "23.02.7", "--out", "b"];
    assert!(!desk.run(&named).ok().stderr.contains("W0531"));
    let text = String::from_utf8(desk.read("b/site.toml")).unwrap();
    assert!(text.contains("version = \"23.02.7\"\n") && text.contains("priority/basic"), "{text}");
    let dump = "Configuration data as of 2026-03-01T08:00:00\nClusterName = c\nSLURM_VERSION = 23.11.4\n\n\
                NodeName=n1 CPUTot=8 RealMemory=100 State=IDLE\n\nPartitionName=p Default=YES Nodes=n1 State=UP\n";
    desk.put("dump.txt", dump);
    let said = desk.run(&["import", "slurm", "--slurm-conf", "dump.txt", "--json"]).ok();
    assert_eq!(said.json()["slurm_version"], "23.11.4");
}

#[test]
fn the_table_of_rules_is_in_order_and_none_is_newer_than_the_newest_version() {
    let newest = Version::SERIES[Version::SERIES.len() - 1];
    for pair in RULES.windows(2) {
        let near = pair[0].since <= pair[1].since || pair[0].since.is_of(pair[1].since);
        assert!(near && pair[1].since <= newest, "{pair:?}");
    }
}

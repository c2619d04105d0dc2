//! Slurm's policy in scenarios: same records, files and sums as every other policy.

use super::terminal::Desk;

const SITE: &str = "\
ClusterName=site
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=10,bf_continue
SelectTypeParameters=CR_Core_Memory
PriorityType=priority/multifactor
PriorityWeightQOS=1000
PreemptType=preempt/qos
PreemptMode=REQUEUE
AuthInfo=cred_expire=20
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageEnforce=associations,limits,qos
Licenses=matlab:4
NodeName=DEFAULT CPUs=32 RealMemory=256000 Gres=gpu:h100:4
NodeName=n[01-02]
NodeName=n03 CPUs=16 Gres=gpu:a100:2
PartitionName=main Nodes=ALL Default=YES MaxTime=1:00:00
PartitionName=big Nodes=n[01-02] MaxTime=UNLIMITED
";

const ACCOUNTS: &str = "\
add qos low priority=1
add qos high priority=100 preempt=low maxjobsperuser=1
add account lab qos=low,high,normal defaultqos=low
add user ann account=lab
add user bob account=lab
";

const JOBS: &str = "\
job_id,submit_s,run_s,limit_s,nodes,gpus,cpus,user,account,qos,partition,after,gpu_type
fits,0,100,600,1,4,8,ann,lab,low,main,,
beside,0,400,600,1,4,8,ann,lab,low,main,,h100
late,0,500,60,1,1,4,bob,lab,low,main,,
winner,60,100,600,1,4,8,bob,lab,high,big,,h100
second,61,100,600,1,1,8,bob,lab,high,big,,h100
next,70,10,600,1,1,1,ann,lab,low,main,afterok:late,
long,80,10,7200,1,1,1,ann,lab,low,main,,
wide,90,10,600,9,9,9,ann,lab,low,main,,
nobody,95,10,600,1,1,1,eve,lab,low,main,,
type,97,10,600,1,1,1,ann,lab,low,main,,v100
";

const SCENARIO: &str = "\
[workload]
trace = \"jobs.csv\"
[policy.slurm]
conf = \"slurm.conf\"
assoc = \"accounts.txt\"
[design.now]
[design.more]
[design.more.pool.new]
node = \"box\"
count = 2
partitions = [\"main\", \"big\"]
[design.more.slurm]
bf_interval = 60
[node.box]
cpus = 32
mem-mb = 256000
gpus = 4
gpu = \"h100\"
[gpu.h100]
memory-gb = 80
";

fn site() -> Desk {
    let desk = Desk::new();
    desk.put("slurm.conf", SITE);
    desk.put("accounts.txt", ACCOUNTS);
    desk.put("jobs.csv", JOBS);
    desk.put("site.toml", SCENARIO);
    desk
}

#[test]
fn named_backfill_rules_decide_at_every_event() {
    let desk = Desk::new();
    // 2 nodes: one is busy for 100 s; then a job wants both; a short one fits before it, a long one does not
    let jobs = "job_id,submit_s,run_s,limit_s,nodes,cpus\n\
                first,0,100,120,1,4\nwide,1,50,60,2,8\nlong,2,200,240,1,4\nshort,3,60,60,1,4\n";
    desk.put("jobs.csv", jobs);
    let scenario = "[workload]\ntrace = \"jobs.csv\"\n[policy.slurm]\nbackfill = \"RULE\"\n[node.box]\ncpus = 4\n\
                    mem-mb = 1000\n[design.a.pool.n]\nnode = \"box\"\ncount = 2\n";
    for rule in ["easy", "conservative"] {
        desk.put("s.toml", scenario.replace("RULE", rule));
        desk.run(&["run", "s.toml", "--out", "out", "--quiet", "--referee"]).ok();
        let path = desk.path("out").join("jobs.csv");
        let mut csv = csv::Reader::from_path(path).unwrap();
        let headers = csv.headers().unwrap().clone();
        let at = |name: &str| headers.iter().position(|h| h == name).unwrap();
        let starts: Vec<(String, f64)> = csv
            .records()
            .map(|row| row.unwrap())
            .map(|row| (row[at("job_id")].to_owned(), row[at("start_s")].parse().unwrap()))
            .collect();
        let want = [("first", 0.0), ("wide", 100.0), ("long", 150.0), ("short", 3.0)];
        assert_eq!(starts, want.map(|(job, start)| (job.to_owned(), start)), "{rule}");
    }
    desk.put("s.toml", scenario.replace("RULE", "magic"));
    let told = desk.run(&["run", "s.toml", "--quiet"]).told();
    assert!(told.contains("`magic` is neither easy nor conservative"), "{told}");
}

#[test]
fn tasks_of_an_array_keep_its_limit() {
    let desk = Desk::new();
    desk.put("jobs.csv", "job_id,submit_s,run_s,limit_s,cpus,array\na,0,600,660,1,0-3%2\nb,1,600,660,1,\n");
    desk.put(
        "s.toml",
        "[workload]\ntrace = \"jobs.csv\"\n[policy.slurm]\n[node.box]\ncpus = 8\nmem-mb = 1000\n\
         [design.a.pool.n]\nnode = \"box\"\ncount = 1\n",
    );
    let wait = &desk.run(&["run", "s.toml", "--json", "--quiet"]).ok().json()["designs"]["a"]["wait_s"];
    let (max, p50) = (wait["max"].as_f64().unwrap(), wait["p50"].as_f64().unwrap());
    assert!(max > 595.0 && max < 700.0 && p50 < 60.0, "two tasks wait for two: {wait}");
}

/// (job, design) -> (state, attempt, reason, nodes) of jobs.csv.
fn rows(desk: &Desk, dir: &str, design: &str) -> Vec<[String; 5]> {
    let path = desk.path(dir).join("jobs.csv");
    let mut csv = csv::Reader::from_path(path).unwrap();
    let headers = csv.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|h| h == name).unwrap();
    let wanted = [at("job_id"), at("state"), at("attempt"), at("reason"), at("node_list")];
    csv.records()
        .map(|row| row.unwrap())
        .filter(|row| &row[at("design")] == design)
        .map(|row| wanted.map(|at| row[at].to_owned()))
        .collect()
}

#[test]
fn a_site_runs_with_states_attempts_and_reasons() {
    let desk = site();
    desk.run(&["run", "site.toml", "--out", "out", "--referee", "--quiet"]).ok();
    let now = rows(&desk, "out", "now");
    let told: Vec<[&str; 4]> = now
        .iter()
        .map(|[job, state, attempt, reason, _]| [&**job, &**state, &**attempt, &**reason])
        .collect();
    let too_wide = "requested node configuration is not available: pool 'n01-n02': needs 9 nodes; the pool has 2; \
                    pool 'n03': needs 9 nodes; the pool has 1";
    let type_of = "requested node configuration is not available: pool 'n01-n02': asks for GPU type v100; the pool \
                   has h100; pool 'n03': asks for GPU type v100; the pool has a100";
    let account = "invalid account or account/partition combination specified";
    assert_eq!(
        told,
        [
            ["fits", "COMPLETED", "2", ""],
            ["beside", "COMPLETED", "1", ""],
            ["late", "TIMEOUT", "1", ""],
            ["winner", "COMPLETED", "1", ""],
            ["second", "COMPLETED", "1", ""],
            ["next", "PENDING", "0", "DependencyNeverSatisfied"],
            ["long", "PENDING", "0", "PartitionTimeLimit"],
            ["wide", "REFUSED", "0", too_wide],
            ["nobody", "REFUSED", "0", account],
            ["type", "REFUSED", "0", type_of],
        ]
    );
    assert!(now[0][4] == "n01" || now[0][4] == "n02", "nodes by their own names: {}", now[0][4]);
    let more = rows(&desk, "out", "more");
    assert!(more.iter().any(|row| row[4].starts_with("new")), "{more:?}");
    assert!(more.iter().all(|row| row[2] != "2"), "nobody is preempted where there is room");
}

#[test]
fn hours_add_up_and_lost_work_is_named() {
    let desk = site();
    desk.run(&["run", "site.toml", "--out", "out", "--quiet"]).ok();
    let mut csv = csv::Reader::from_path(desk.path("out").join("ledger.csv")).unwrap();
    let (mut installed, mut parts, mut lost) = (0i128, 0i128, 0i128);
    for row in csv.records().map(Result::unwrap).filter(|row| &row[0] == "now") {
        let units: i128 = row[4].parse().unwrap();
        match &row[3] {
            "installed" => installed += units,
            "lost" => {
                lost += units;
                parts += units;
            }
            _ => parts += units,
        }
    }
    assert_eq!(installed, parts);
    assert!(lost > 0, "the preempted attempt of `fits`");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_a_manifest_repeats_them() {
    let desk = site();
    let run = |out: &str, seed: &str| {
        desk.run(&["run", "site.toml", "--out", out, "--seed", seed, "--quiet"]).ok();
        desk.files(out)
    };
    let first = run("a", "1");
    let differing = |others: &[(String, Vec<u8>)]| -> Vec<String> {
        first.iter().zip(others).filter(|(a, b)| a != b).map(|(a, _)| a.0.clone()).collect()
    };
    assert_eq!(differing(&run("b", "1")), [""; 0]);
    let starts = |files: &[(String, Vec<u8>)]| files.iter().find(|f| f.0 == "jobs.csv").unwrap().1.clone();
    assert_ne!(starts(&first), starts(&run("c", "2")), "another controller wakes at other times");
    desk.run(&["run", "--from", "a/manifest.json", "--out", "again", "--quiet"]).ok();
    assert_eq!(differing(&desk.files("again")), [""; 0]);
}

#[test]
fn a_changed_slurm_conf_is_noticed_by_the_manifest() {
    let desk = site();
    desk.run(&["run", "site.toml", "--out", "a", "--quiet"]).ok();
    desk.put("slurm.conf", SITE.replace("bf_interval=10", "bf_interval=11"));
    let answer = desk.run(&["run", "--from", "a/manifest.json", "--quiet"]);
    assert_eq!(answer.code, 4);
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("slurm_manifest_changed", answer.told());
    });
}

#[test]
fn what_ran_is_told() {
    let desk = site();
    let answer = desk.run(&["compare", "site.toml"]).ok();
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("slurm_compare", format!("{}\n{}", answer.stdout, answer.stderr));
    });
    let object = desk.run(&["compare", "site.toml", "--json", "--quiet"]).ok().json();
    let slurm = &object["designs"]["now"]["slurm"];
    assert_eq!(slurm["requeued"], 1);
    assert_eq!(slurm["pending"]["PartitionTimeLimit"], 1);
    let defaults = object["notes"]["defaults_used"].as_array().unwrap();
    let default = |path: &str| defaults.iter().find(|d| d["path"] == path);
    let depth = default("policy.slurm.bf_max_job_test").unwrap();
    assert_eq!(depth["value"], "500");
    assert!(depth["source"].as_str().unwrap().contains("24.11"));
    assert!(default("policy.slurm.bf_interval").is_none(), "slurm.conf sets it");
    assert!(default("policy.slurm.cred_expire").is_none(), "slurm.conf sets it");
}

#[test]
fn a_dump_has_a_row_for_every_attempt() {
    let desk = site();
    desk.run(&["run", "site.toml", "--design", "now", "--sacct", "dump.txt", "--quiet"]).ok();
    let text = String::from_utf8(desk.read("dump.txt")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
    let column = |name: &str| rows[0].iter().position(|known| *known == name).unwrap();
    let (id, state, nodes, end) = (column("JobID"), column("State"), column("NodeList"), column("End"));
    let again: Vec<usize> = (1..rows.len()).filter(|at| rows[*at][state] == "REQUEUED").collect();
    assert_eq!(again.len(), 1, "one job was requeued once: {text}");
    let (first, last) = (&rows[again[0]], &rows[again[0] + 1]);
    assert_eq!(first[id], last[id]);
    assert_ne!(first[end], "Unknown");
    assert!(rows.iter().any(|row| row[state] == "PENDING" && row[nodes] == "None assigned"), "{text}");
}

#[test]
fn pools_become_nodes_and_partitions() {
    let desk = Desk::new();
    let jobs = "job_id,submit_s,run_s,limit_s,nodes,cpus,partition\n\
                1,0,100,600,1,8,\n2,0,100,600,1,8,b\n3,0,100,600,3,24,\n4,0,10,600,3,24,b\n";
    desk.put("jobs.csv", jobs);
    let pools = "[workload]\ntrace = \"jobs.csv\"\n[policy.slurm]\n[node.small]\ncpus = 8\nmem-mb = 1000\n\
                 [design.d.pool.a]\nnode = \"small\"\ncount = 2\n[design.d.pool.b]\nnode = \"small\"\ncount = 2\n";
    desk.put("pools.toml", pools);
    desk.run(&["run", "pools.toml", "--out", "out", "--referee", "--quiet"]).ok();
    let found = rows(&desk, "out", "d");
    assert_eq!(found[0][4], "a[0]");
    assert_eq!(found[1][4], "b[0]", "the trace's partition is the pool of that name");
    assert_eq!(
        (&*found[2][1], &*found[2][4]),
        ("COMPLETED", "a[0-1],b[0]"),
        "the default partition has all nodes"
    );
    assert_eq!(found[3][1], "REFUSED");
}

#[test]
fn options_are_settings_like_any_other() {
    let desk = site();
    let tell = |args: &[&str]| {
        let args: Vec<&str> = ["run", "site.toml"].iter().chain(args).copied().collect();
        desk.run(&args).told()
    };
    let told = [
        tell(&["--set", "policy.slurm.bf_interval=0"]),
        tell(&["--set", "policy.slurm.bf_intervals=5"]),
        tell(&["--set", "policy.slurm.prioritytype=priority/fifo"]),
        tell(&["--set", "policy.slurm.conf=slurm.cnf"]),
        tell(&["--set", "design.more.pool.new.partitions=[\"bigg\"]"]),
        tell(&["--set", "policy.easy.placement=spread"]),
    ];
    let pools = "[workload]\ntrace = \"jobs.csv\"\n[policy.easy]\n[node.small]\ncpus = 8\nmem-mb = 1000\n\
                 [design.d.pool.a]\nnode = \"small\"\ncount = 2\npartitions = [\"x\"]\n";
    desk.put("misplaced.toml", pools);
    desk.put("gres.toml", pools.replace("policy.easy]", "policy.slurm]\ngres-conf = \"g.conf\""));
    let clash = SCENARIO.replace("pool.new]", "pool.n0]");
    desk.put("clash.toml", clash);
    let misplaced = ["misplaced.toml", "gres.toml", "clash.toml"].map(|name| desk.run(&["run", name]).told());
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("slurm_bad_options", [told.as_slice(), &misplaced].concat().join("\n"));
    });
}

#[test]
fn a_job_tells_why_it_waited() {
    let desk = site();
    let tell = |job: &str| desk.run(&["explain", job, "--scenario", "site.toml", "--quiet"]).ok().stdout;
    let stories = ["fits", "winner", "second", "next", "long", "nobody"].map(tell);
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("slurm_explain", stories.join("\n"));
    });
    let story = desk.run(&["explain", "second", "--scenario", "site.toml", "--json", "--quiet"]).ok().json();
    let limited = &story["waits"][1]["slurm"];
    assert_eq!(
        (&limited["limit"], &limited["blockers"][0]),
        (&"QOSMaxJobsPerUserLimit".into(), &"winner".into())
    );
    let waits = story["waits"].as_array().unwrap();
    for pair in waits.windows(2) {
        assert_eq!(pair[0]["to_s"], pair[1]["from_s"], "no gap");
    }
    assert_eq!(waits.last().unwrap()["to_s"], story["start_s"]);
}

#[test]
fn what_if_tells_who_wins_and_who_loses() {
    let desk = site();
    let compare = |args: &[&str]| {
        let args: Vec<&str> = ["compare", "site.toml", "--quiet"].iter().chain(args).copied().collect();
        desk.run(&args)
    };
    let told = compare(&["--what-if", "preempttype=preempt/none; preemptmode=OFF"]).ok().stdout;
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("slurm_what_if", told);
    });
    let object = compare(&["--what-if", "preemptmode=OFF", "--json"]).ok().json();
    let shift = &object["designs"]["what-if"]["against_baseline"];
    assert_eq!(shift["all"]["jobs"], 5);
    assert!(shift["user"]["bob"]["wait_mean_change_s"].as_f64().unwrap() > 10.0, "{shift}");
    assert_eq!(shift["user"]["bob"]["starvation"]["job_id"], "winner");
    assert!(object["designs"]["now"]["against_baseline"].is_null());
    let wrong = [
        compare(&["--what-if", "bf_intervall=3"]).told(),
        compare(&["--what-if", "bf_interval=soon"]).told(),
        compare(&["--what-if", "bf_interval=3", "--set", "policy.easy.placement=spread"]).told(),
    ];
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!("slurm_what_if_wrong", wrong.join("\n"));
    });
    compare(&["--what-if", "bf_interval=5", "--out", "out"]).ok();
    desk.run(&["run", "--from", "out/manifest.json", "--out", "again", "--quiet"]).ok();
    let same = desk.files("out").iter().zip(desk.files("again")).all(|(a, b)| *a == b);
    assert!(same, "a manifest repeats a what-if too");
}

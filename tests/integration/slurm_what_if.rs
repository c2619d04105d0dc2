//! What an administrator changes: options, nodes, another slurm.conf, each as a design beside the baseline; and what the
//! report does not know of a site.

use super::terminal::Desk;

const CONF: &str = "ClusterName=c\nSelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\nLicenses=solver:2\n\
    JobSubmitPlugins=lua\nSuspendTime=600\nNodeName=n[1-2] CPUs=4\nNodeName=f1 CPUs=8\n\
    PartitionName=main Nodes=n[1-2] Default=YES\nPartitionName=fat Nodes=f1\n";

/// Four jobs that fill a node each for 100 s: two at a time on two nodes, so that the last two wait for 100 s.
const JOBS: &str = "job_id,submit_s,run_s,limit_s,partition,nodes,cpus\n\
    a,0,100,120,main,1,4\nb,0,100,120,main,1,4\nc,0,100,120,main,1,4\nd,0,100,120,main,1,4\n";

const SCENARIO: &str = "[workload]\ntrace = \"jobs.csv\"\n[policy.slurm]\nconf = \"slurm.conf\"\nversion = \"24.11\"\n\
    [design.now]\n";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.put("slurm.conf", CONF);
    desk.put(
        "more.conf",
        CONF.replace("NodeName=n[1-2]", "NodeName=n[1-4]").replace("Nodes=n[1-2]", "Nodes=n[1-4]"),
    );
    desk.put("jobs.csv", JOBS);
    desk.put("site.toml", SCENARIO);
    desk
}

fn mean_wait_s(object: &serde_json::Value, design: &str) -> f64 {
    object["designs"][design]["wait_s"]["mean"].as_f64().unwrap()
}

#[test]
fn every_what_if_is_a_design_of_its_own() {
    let desk = desk();
    let args =
        ["compare", "site.toml", "--json", "--quiet", "--what-if", "nodes=+2", "--what-if", "conf=more.conf"];
    let object = desk.run(&args).ok().json();
    let designs: Vec<&String> = object["designs"].as_object().unwrap().keys().collect();
    assert_eq!(designs, ["now", "what-if", "what-if-2"]);
    // two of four jobs wait 100 s, and nobody on four nodes
    assert!((mean_wait_s(&object, "now") - 50.0).abs() < 8.0, "{}", object["designs"]["now"]["wait_s"]);
    for more in ["what-if", "what-if-2"] {
        assert!(mean_wait_s(&object, more) < 8.0, "{more}: {}", object["designs"][more]["wait_s"]);
    }
    assert_eq!(object["designs"]["what-if"]["label"], "what if nodes=+2");
}

#[test]
fn nodes_join_the_partition_that_is_named() {
    let desk = desk();
    // a node of `fat` has 8 CPUs: a job of 8 fits there twice as often, and those of `main` gain nothing
    desk.put("jobs.csv", JOBS.replace("d,0,100,120,main,1,4", "d,0,100,120,fat,1,8\ne,0,100,120,fat,1,8"));
    let args =
        ["compare", "site.toml", "--json", "--quiet", "--what-if", "partition.fat.nodes=+1", "--out", "out"];
    let object = desk.run(&args).ok().json();
    // c and e wait for 100 s; with the node only c does
    assert!((mean_wait_s(&object, "now") - 40.0).abs() < 8.0, "{}", object["designs"]["now"]["wait_s"]);
    assert!(
        (mean_wait_s(&object, "what-if") - 20.0).abs() < 8.0,
        "{}",
        object["designs"]["what-if"]["wait_s"]
    );
    desk.run(&["run", "--from", "out/manifest.json", "--out", "again", "--quiet"]).ok();
    assert!(desk.files("out").iter().zip(desk.files("again")).all(|(a, b)| *a == b), "a manifest repeats it");
}

#[test]
fn several_changes_of_one_design_stand_in_one_list() {
    let desk = desk();
    let object = desk
        .run(&["compare", "site.toml", "--json", "--quiet", "--what-if", "bf_interval=60; nodes=+2"])
        .ok()
        .json();
    assert_eq!(object["designs"].as_object().unwrap().len(), 2);
    assert_eq!(object["designs"]["what-if"]["label"], "what if bf_interval=60, nodes=+2");
    for (wrong, told) in [
        ("nodes=4", "write +4"),
        ("nodes=-1", "second slurm.conf"),
        ("partition.gone.nodes=+1", "no partition `gone`"),
        ("bf_interval=1; bf_interval=2", "twice in one list"),
        ("gres-conf=x", "a slurm.conf of its own"),
        ("conf=missing.conf", "there is no file"),
    ] {
        let answer = desk.run(&["compare", "site.toml", "--quiet", "--what-if", wrong]).told();
        assert!(answer.contains(told), "{wrong}: {answer}");
    }
}

#[test]
fn pools_of_a_scenario_grow_without_a_slurm_conf() {
    let desk = Desk::new();
    desk.put("jobs.csv", "job_id,submit_s,run_s,nodes,cpus\na,0,100,1,4\nb,0,100,1,4\n");
    let scenario = "[workload]\ntrace = \"jobs.csv\"\n[policy.easy]\n[node.box]\ncpus = 4\nmem-mb = 1000\n\
                    [design.now.pool.main]\nnode = \"box\"\ncount = 1\n";
    desk.put("s.toml", scenario);
    let object = desk.run(&["compare", "s.toml", "--json", "--quiet", "--what-if", "nodes=+1"]).ok().json();
    assert_eq!((mean_wait_s(&object, "now"), mean_wait_s(&object, "what-if")), (50.0, 0.0));
    let told = desk.run(&["compare", "s.toml", "--quiet", "--what-if", "nodes=-1"]).told();
    assert!(told.contains("leave at least one"), "{told}");
}

#[test]
fn what_is_not_modelled_stands_in_every_report() {
    let desk = desk();
    let answer =
        desk.run(&["compare", "site.toml", "--json", "--what-if", "bf_interval=60", "--out", "out"]).ok();
    assert!(
        answer.stderr.contains("W0533") && answer.stderr.contains("JobSubmitPlugins=lua"),
        "{}",
        answer.stderr
    );
    let object = answer.json();
    let gaps = object["not_modelled"].as_array().unwrap();
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert_eq!((&gaps[0]["option"], &gaps[0]["line"]), (&"SuspendTime".into(), &6.into()));
    assert_eq!(
        (&gaps[1]["option"], &gaps[1]["treatment"]),
        (&"backfill_test_us".into(), &"approximated".into())
    );
    let summary: serde_json::Value = serde_json::from_slice(&desk.read("out/summary.json")).unwrap();
    assert_eq!(summary["not_modelled"], object["not_modelled"]);
    let page = String::from_utf8(desk.read("out/report.html")).unwrap();
    let first = page.split("<table id=\"designs\"").next().unwrap();
    assert!(
        first.contains("Not modelled of the Slurm site, and it may matter: SuspendTime"),
        "beside the verdict"
    );
    assert!(
        desk.run(&["compare", "site.toml", "--quiet"]).ok().stdout.contains("Not modelled of the Slurm site")
    );
    let alone = desk.run(&["run", "site.toml", "--json"]).ok();
    assert!(!alone.stderr.contains("W0533"), "a run as it is configured is no what-if: {}", alone.stderr);
}

#[test]
fn licences_and_partitions_of_a_trace_have_their_effect() {
    // one of two licences each: two at a time, though four nodes are free; `x` asks for one that the site does not have
    let desk = desk();
    let jobs = "job_id,submit_s,run_s,limit_s,partition,nodes,cpus,licenses\n\
                a,0,100,120,main,1,1,solver:1\nb,0,100,120,main,1,1,solver\nc,0,100,120,main,1,1,solver:1\n\
                x,0,100,120,main,1,1,other:3\n";
    desk.put("jobs.csv", jobs);
    let object = desk.run(&["run", "site.toml", "--json", "--quiet"]).ok().json();
    assert!((mean_wait_s(&object, "now") - 25.0).abs() < 12.0, "{}", object["designs"]["now"]["wait_s"]);
    assert!(object["notes"]["columns_without_effect"].as_array().unwrap().is_empty());
    let told = desk.run(&["run", "site.toml"]).ok().stdout;
    assert!(told.contains("licence unknown to the site"), "{told}");
    desk.put("jobs.csv", jobs.replace("solver:1\nb", "solver:x\nb"));
    assert!(desk.run(&["trace", "check", "jobs.csv"]).told().contains("a list of licences"));
    // three jobs of 4 CPUs for both partitions: two nodes of `main` and a half of `fat`
    desk.put(
        "jobs.csv",
        "job_id,submit_s,run_s,limit_s,partition,nodes,cpus\n\
         a,0,100,120,\"main,fat\",1,4\nb,0,100,120,\"main,fat\",1,4\nc,0,100,120,\"main,fat\",1,4\n",
    );
    let object = desk.run(&["run", "site.toml", "--json", "--quiet"]).ok().json();
    assert!(mean_wait_s(&object, "now") < 8.0, "{}", object["designs"]["now"]["wait_s"]);
}

/// What `sdiag` prints of a thread whose cycles take `mean_us` over 20 jobs.
fn sdiag(mean_us: u32) -> String {
    format!(
        "*****\nsdiag output at Mon Nov 30\n*****\nMain schedule statistics (microseconds):\n\tMean cycle:   99\n\n\
         Backfilling stats\n\tTotal cycles: 40\n\tMean cycle:   {mean_us}\n\tDepth Mean: 20\n"
    )
}

#[test]
fn the_length_of_a_cycle_is_fitted_to_sdiag() {
    let desk = desk();
    desk.put("sdiag.txt", sdiag(40_000));
    let import = ["import", "slurm", "--slurm-conf", "slurm.conf", "--trace", "jobs.csv", "--quiet"];
    let assumed = desk.run(&import).ok().stdout;
    assert!(assumed.contains("cycle length assumed"), "{assumed}");
    let fitted = desk.run(&[&import[..], &["--sdiag", "sdiag.txt", "--out", "x.toml"]].concat()).ok().stdout;
    assert!(fitted.contains("2000 microseconds for a job of the queue, over 40 cycles"), "{fitted}");
    assert!(String::from_utf8(desk.read("x.toml")).unwrap().contains("\nbackfill_test_us = 2000 "));
    let gaps =
        |file: &str| desk.run(&["run", file, "--json", "--quiet"]).ok().json()["not_modelled"].to_string();
    assert!(gaps("site.toml").contains("cycle length assumed"), "{}", gaps("site.toml"));
    assert!(!gaps("x.toml").contains("cycle length assumed"), "{}", gaps("x.toml"));
    desk.put("empty.txt", "nothing\n");
    let told = desk.run(&[&import[..], &["--sdiag", "empty.txt"]].concat()).told();
    assert!(told.contains("W0534"), "{told}");
}

#[test]
fn a_slower_thread_backfills_later() {
    // two nodes: `long` holds one, `wide` waits for both, and one job after the other fits beside it. Each cycle of a
    // thread that takes 5 s for a job of its queue is so much longer, and the next begins so much later
    let mut jobs =
        String::from("job_id,submit_s,run_s,limit_s,partition,nodes,cpus\nlong,0,3000,3600,main,1,4\n");
    jobs += "wide,1,60,3600,main,2,8\n";
    (0..20).for_each(|at| jobs += &format!("s{at},{},20,60,main,1,4\n", 2 + at));
    let desk = desk();
    desk.put("jobs.csv", jobs);
    let wait = |us: &str| {
        let object = desk.run(&["run", "site.toml", "--json", "--quiet", "--set", us]).ok().json();
        mean_wait_s(&object, "now")
    };
    let (fast, slow) =
        (wait("policy.slurm.backfill_test_us=1"), wait("policy.slurm.backfill_test_us=5000000"));
    assert!(slow > fast + 60.0, "{fast} against {slow}");
}

#[test]
fn a_version_between_recorded_ones_is_held_against_both() {
    let desk = desk();
    let check = |version: &str| {
        let set = format!("policy.slurm.version={version}");
        let args = ["compare", "site.toml", "--json", "--quiet", "--set", &set, "--what-if", "nodes=+2"];
        desk.run(&args).ok().json()["version_check"].clone()
    };
    assert!(check("24.11").is_null() && check("26.05").is_null());
    let found = check("25.05");
    assert_eq!((&found["below"], &found["above"]), (&"24.11".into(), &"26.05".into()));
    let verdicts = found["verdicts"].as_array().unwrap();
    let wait = verdicts.iter().find(|row| row["figure"] == "mean wait (s)").unwrap();
    // four nodes are better than two under every version
    assert_eq!((&wait["design"], &wait["flips"]), (&"what-if".into(), &false.into()));
    let args = ["compare", "site.toml", "--set", "policy.slurm.version=25.05", "--what-if", "nodes=+2"];
    let told = desk.run(&args).ok().stdout;
    assert!(told.contains("Slurm 25.05 is not recorded itself; under 24.11 and 26.05"), "{told}");
}

#[test]
fn memory_and_cpus_that_jobs_do_not_name_are_those_of_the_partition() {
    // a node of 4 CPUs, 4 GPUs and 1,000 MiB; eight jobs of 100 s, each of one CPU where it says so
    let conf = "SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU_Memory\nGresTypes=gpu\nOPTION\n\
                NodeName=n1 CPUs=4 RealMemory=1000 Gres=gpu:4\nPartitionName=main Nodes=ALL Default=YES PART\n";
    let four = |columns: &str, cells: &str| {
        let head = format!("job_id,submit_s,run_s,limit_s,nodes{columns}\n");
        (0..4).fold(head, |text, at| text + &format!("j{at},0,100,120,1{cells}\n"))
    };
    let (plain, with_mem, with_gpu) =
        (four(",cpus", ",1"), four(",cpus,mem_mb", ",1,500"), four(",gpus", ",1"));
    let ends = |option: &str, part: &str, jobs: &str| {
        let desk = Desk::new();
        desk.put("slurm.conf", conf.replace("OPTION", option).replace("PART", part));
        desk.put("jobs.csv", jobs);
        desk.put("site.toml", SCENARIO);
        let object = desk.run(&["run", "site.toml", "--json", "--quiet"]).ok().json();
        let design = &object["designs"]["now"];
        (design["jobs"]["refused"].as_u64().unwrap(), design["wait_s"]["mean"].as_f64())
    };
    let all_at_once = |found: (u64, Option<f64>)| found.0 == 0 && found.1.unwrap() < 8.0;
    // two at a time: two of four wait 100 s
    let in_two_turns = |found: (u64, Option<f64>)| found.0 == 0 && (found.1.unwrap() - 50.0).abs() < 8.0;
    assert!(all_at_once(ends("", "", &plain)) && all_at_once(ends("", "", &with_gpu)));
    for (option, part, jobs) in [
        ("DefMemPerCPU=500", "", &plain),
        ("DefMemPerNode=500", "", &plain),
        ("DefMemPerNode=100", "DefMemPerNode=500", &plain),
        ("DefMemPerGPU=500", "", &with_gpu),
        ("DefCpuPerGPU=2", "", &with_gpu),
        ("JobDefaults=DefCpuPerGPU=2", "", &with_gpu),
        // 500 MiB at 250 a CPU take two CPUs
        ("MaxMemPerCPU=250", "", &with_mem),
    ] {
        let found = ends(option, part, jobs);
        assert!(in_two_turns(found), "{option} {part}: {found:?}");
    }
    assert_eq!(ends("", "MaxMemPerNode=400", &with_mem).0, 4, "more than a job may have");
    assert!(
        in_two_turns(ends("MaxMemPerNode=400", "MaxMemPerNode=500", &with_mem)),
        "the partition's own counts"
    );
}

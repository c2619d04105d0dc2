//! `windtunnel import slurm`: a site's files become a scenario that runs, and a report on every option.

use super::terminal::{Desk, shipped};

const SITE: &str = "\
ClusterName=site   # the name
Include more.conf
SchedulerParameters=bf_interval=60,bf_busy_nodes
SchedulerParameters=bf_interval=45,bf_max_time=120
TopologyPlugin=topology/tree
SuspendTime=300
Licenses=matlab:4
FrobnicateLevel=3
AccountingStorageEnforce=limits
NodeName=DEFAULT Sockets=2 CoresPerSocket=32 \\
   ThreadsPerCore=1 RealMemory=512000
NodeName=n[01-03,20] Gres=gpu:a100:4
NodeName=login1 CPUs=8
DownNodes=n03 State=DOWN
PartitionName=DEFAULT State=UP MaxTime=2-0
PartitionName=gpu Nodes=n[01-03,20] Default=YES OverSubscribe=FORCE:2
PartitionName=debug Nodes=n01,login1 MaxTime=30 PriorityTier=10
";

const TABLES: &str = "\
Name|Priority|Preempt|Flags|GrpTRES|MaxTRESPU|GrpWall
normal|0|||||
high|100|normal|DenyOnLimit,UsageFactorSafe||gres/gpu=4|1-0
Account|User|Par Name|Share|MaxJobs|QOS|Def QOS
root|||1||normal|
lab||root|10||normal,high|
lab|ann||2|5||high
lab|bob||1|||
";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.put("etc/slurm.conf", SITE);
    desk.put("etc/more.conf", "PriorityType=priority/multifactor\nPriorityWeightFairshare=1000\n");
    desk.put("etc/gres.conf", "NodeName=n[01-03,20] Name=gpu Type=a100 File=/dev/nvidia[0-3]\n");
    desk.put("etc/topology.conf", "SwitchName=s1 Nodes=n[01-03]\nSwitchName=s2 Nodes=n20\n");
    desk.put("accounts.txt", TABLES);
    desk.put(
        "jobs.csv",
        "job_id,submit_s,run_s,limit_s,nodes,gpus,cpus,user,account,qos,partition\n\
         1,0,100,600,1,4,8,ann,lab,high,gpu\n2,0,100,600,1,4,8,ann,lab,high,gpu\n3,5,50,600,1,8,8,bob,lab,normal,debug\n\
         4,5,50,600,1,1,1,bob,lab,normal,\n",
    );
    desk
}

const ALL: [&str; 14] = [
    "import",
    "slurm",
    "--slurm-conf",
    "etc/slurm.conf",
    "--gres-conf",
    "etc/gres.conf",
    "--topology",
    "etc/topology.conf",
    "--assoc",
    "accounts.txt",
    "--trace",
    "jobs.csv",
    "--out",
    "here",
];

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ snapshot_path => "snapshots/cli" }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn a_site_becomes_a_scenario_that_runs() {
    let desk = desk();
    let answer = desk.run(&ALL).ok();
    snapshot("import_report", &format!("{}\n{}", answer.stdout, answer.stderr));
    let text = String::from_utf8(desk.read("here/site.toml")).unwrap();
    snapshot("import_scenario", &text);
    let report = answer.stdout.split("\nBackfill:").next().unwrap();
    assert_eq!(String::from_utf8(desk.read("here/coverage.txt")).unwrap(), report);
    let run = desk.run(&["run", "here/site.toml", "--json", "--quiet", "--referee"]).ok().json();
    let jobs = &run["designs"]["now"]["jobs"];
    assert_eq!((&jobs["completed"], &jobs["refused"]), (&3.into(), &1.into()), "{jobs}");
    let wait = &run["designs"]["now"]["wait_s"]["max"];
    assert!(wait.as_f64().unwrap() > 90.0, "MaxTRESPU holds the second job: {wait}");
}

#[test]
fn every_line_of_the_scenario_can_be_used() {
    let desk = desk();
    desk.run(&ALL).ok();
    let text = String::from_utf8(desk.read("here/site.toml")).unwrap();
    let option = |line: &str| {
        let setting = line.strip_prefix("# ")?;
        setting
            .split_once(" = ")
            .filter(|(key, _)| key.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'))?;
        Some(setting.to_owned())
    };
    let (head, tail) = text.split_once("[design.now]").unwrap();
    let written: Vec<String> = head
        .lines()
        .skip_while(|line| !line.starts_with("[policy.slurm]"))
        .map(|line| option(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    let before = head.split("[policy.slurm]").next().unwrap();
    let open = format!("{before}{}\n[design.now]{tail}", written.join("\n"));
    assert!(written.iter().any(|line| line.starts_with("bf_interval = 45")), "{written:?}");
    desk.put("here/open.toml", open);
    let answer =
        |name: &str| desk.run(&["run", name, "--json", "--quiet"]).ok().json()["designs"]["now"].clone();
    assert_eq!(answer("here/site.toml"), answer("here/open.toml"), "what is shown is what holds");
}

#[test]
fn coverage_as_json_and_csv() {
    let desk = desk();
    let mut args = ALL.to_vec();
    args.extend(["--json", "--quiet"]);
    let object = desk.run(&args).ok().json();
    assert_eq!(object["nodes"], 5);
    let options = object["coverage"]["options"].as_array().unwrap();
    let of = |name: &str| options.iter().find(|row| row["option"] == name).unwrap();
    assert_eq!(of("FrobnicateLevel")["treatment"], "not yet");
    assert_eq!(of("FrobnicateLevel")["line"], 8);
    assert_eq!(of("PriorityWeightFairshare")["file"], "etc/more.conf");
    assert_eq!(of("sacctmgr:grpwall")["treatment"], "not yet");
    let counts = &object["coverage"]["counts"];
    let sum: u64 =
        ["honoured", "approximated", "ignored", "not_yet"].iter().map(|w| counts[w].as_u64().unwrap()).sum();
    assert_eq!(sum, options.len() as u64);
    let path = desk.path("here").join("coverage.csv");
    let rows = csv::Reader::from_path(path).unwrap().records().count();
    assert_eq!(rows, options.len());
}

#[test]
fn the_administrators_three_commands_of_the_readme() {
    let readme = std::fs::read_to_string(shipped("README.md")).unwrap();
    let block = readme.split("```\nwindtunnel import slurm ").nth(1).expect("the commands are shown");
    let block = block.split("```").next().unwrap();
    let lines: Vec<String> = format!("windtunnel import slurm {block}").lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let desk = Desk::new();
    let run = |line: &str| {
        let words = line.split_whitespace().skip(1);
        let full = |word: &str| if word.starts_with("scenarios/") { shipped(word) } else { word.to_owned() };
        desk.run(&words.map(full).collect::<Vec<_>>()).ok().stdout
    };
    assert!(run(&lines[0]).contains("NOT YET"));
    let backtest = run(&lines[1]);
    assert!(backtest.contains("1,272 jobs judged"), "{backtest}");
    assert!(run(&lines[2]).contains("Wait, mean"));
}

#[test]
fn what_becomes_of_the_options_of_a_partition() {
    let desk = desk();
    let parts = "PartitionName=a Nodes=ALL Default=YES OverSubscribe=EXCLUSIVE ExclusiveUser=YES LLN=YES QOS=high \
                 AllowGroups=lab AllowAccounts=lab AllowQos=high PreemptMode=REQUEUE GraceTime=30\n\
                 PartitionName=b Nodes=n1 OverSubscribe=FORCE:4 QOS=gone PreemptMode=SUSPEND\n\
                 PartitionName=c Nodes=n1 OverSubscribe=YES:4\n";
    desk.put("parts.conf", format!("NodeName=n[1-2] CPUs=4\nPreemptType=preempt/partition_prio\n{parts}"));
    let told = desk
        .run(&["import", "slurm", "--slurm-conf", "parts.conf", "--assoc", "accounts.txt", "--json"])
        .ok();
    let object = told.json();
    let options = object["coverage"]["options"].as_array().unwrap();
    let word = |option: &str, line: u64| {
        let row = options.iter().find(|row| row["option"] == option && row["line"] == line);
        row.unwrap()["treatment"].as_str().unwrap().to_owned()
    };
    for option in ["OverSubscribe", "ExclusiveUser", "LLN", "QOS", "AllowAccounts", "AllowQos", "PreemptMode"]
    {
        assert_eq!(word(option, 3), "honoured", "{option}");
    }
    assert_eq!([word("AllowGroups", 3), word("GraceTime", 3)], ["approximated", "approximated"]);
    assert_eq!(
        [word("OverSubscribe", 4), word("QOS", 4), word("PreemptMode", 4)],
        ["not yet", "not yet", "not yet"]
    );
    assert_eq!(word("OverSubscribe", 5), "approximated");
    assert!(told.stderr.contains("W0515"), "{}", told.stderr);
}

#[test]
fn groups_keep_users_out_of_a_partition() {
    let desk = desk();
    desk.put("g.conf", "NodeName=n[1-2] CPUs=4\nPartitionName=p Nodes=ALL Default=YES AllowGroups=lab\n");
    desk.put("group", "lab:x:100:ann\n");
    desk.put("jobs.csv", "job_id,submit_s,run_s,limit_s,cpus,user\n1,0,10,60,1,ann\n2,0,10,60,1,eve\n");
    let scenario = "[workload]\ntrace = \"jobs.csv\"\n[policy.slurm]\nconf = \"g.conf\"\n";
    let jobs = |more: &str| {
        desk.put("g.toml", format!("{scenario}{more}[design.now]\n"));
        desk.run(&["run", "g.toml", "--json", "--quiet"]).ok().json()["designs"]["now"]["jobs"].clone()
    };
    assert_eq!((jobs("")["completed"].as_u64(), jobs("")["refused"].as_u64()), (Some(2), Some(0)));
    let with = jobs("groups = \"group\"\n");
    assert_eq!((with["completed"].as_u64(), with["refused"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn without_a_trace_a_stand_in_runs() {
    let desk = desk();
    desk.run(&["import", "slurm", "--slurm-conf", "etc/slurm.conf", "--out", "site.toml", "--quiet"]).ok();
    let run = desk.run(&["run", "site.toml", "--json", "--quiet"]).ok().json();
    assert!(run["designs"]["now"]["jobs"]["completed"].as_u64().unwrap() > 10);
}

#[test]
fn a_dump_of_sacctmgr_is_read() {
    let desk = desk();
    desk.put(
        "accounts.txt",
        "# To edit this file\nCluster - 'site':Fairshare=1:QOS='normal'\nParent - 'root'\n\
         User - 'root':DefaultAccount='root':AdminLevel='Administrator':Fairshare=1\n\
         Account - 'lab':Description='a lab':Organization='x':Fairshare=10\nParent - 'lab'\n\
         User - 'ann':DefaultAccount='lab':Fairshare=2:MaxJobs=1:QOS='+high'\nUser - 'bob':DefaultAccount='lab'\n",
    );
    desk.run(&ALL).ok();
    let run = desk.run(&["run", "here/site.toml", "--json", "--quiet"]).ok().json();
    let wait = &run["designs"]["now"]["wait_s"]["max"];
    assert!(wait.as_f64().unwrap() > 90.0, "MaxJobs=1 holds the second job: {wait}");
}

#[test]
fn bad_files_are_told_with_their_places() {
    let desk = desk();
    let tell = |conf: &str| {
        desk.put("bad.conf", conf);
        desk.run(&["import", "slurm", "--slurm-conf", "bad.conf"]).told()
    };
    let good = "NodeName=n[1-4] CPUs=4\nPartitionName=p Nodes=ALL Default=YES\n";
    snapshot(
        "import_bad_range",
        &tell("NodeName=n[1-4] CPUs=4\nNodeName=m[01-03,9-5] CPUs=4\nNodeName=k[2,9 CPUs=1\n"),
    );
    snapshot(
        "import_unknown_nodes",
        &tell("NodeName=n[1-4] CPUs=4\nPartitionName=p Nodes=n[1-5],m1 Default=YES\n"),
    );
    snapshot("import_no_nodes", &tell("ClusterName=x\n"));
    snapshot(
        "import_bad_words",
        &tell(&format!("{good}foo\nPriorityMaxAge=soon\nKillWait=x\nSchedulerParameters=bf_interval=0\n")),
    );
    snapshot("import_twice", &tell(&format!("{good}NodeName=n2 CPUs=4\nPartitionName=p Nodes=n1\n")));
    let contradictory = "KillWait=30\nKillWait=60\nPreemptMode=REQUEUE\nNodeName=n[1-4] CPUs=4\n\
                         PartitionName=p Nodes=ALL Default=YES MaxTime=30 DefaultTime=60\n\
                         PartitionName=q Nodes=n1 Default=YES MinNodes=3 MaxNodes=2\nPartitionName=r\n";
    snapshot("import_contradictions", &tell(contradictory));
    snapshot("import_missing_include", &tell(&format!("Include gone.conf\n{good}")));
    snapshot("import_missing_file", &desk.run(&["import", "slurm", "--slurm-conf", "gone.conf"]).told());
    let assoc = |text: &str| {
        desk.put("bad.txt", text);
        desk.run(&["import", "slurm", "--slurm-conf", "etc/slurm.conf", "--assoc", "bad.txt", "--quiet"])
            .told()
    };
    let told = [
        assoc("add qos low priority=many\nadd user ann account=nowhere\ndrop qos low\n"),
        assoc("Account|User|Share\nroot||1\nlab||x\n|ann|1\n"),
        assoc("Cluster - 'c':Fairshare=1\nAccount 'lab'\n"),
    ];
    snapshot("import_bad_accounts", &told.join("\n"));
}

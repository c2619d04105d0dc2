//! Slurm's files as slurmctld reads them: a small file for each rule, the cases from the field, and real sites.

use std::path::Path;

use windtunnel::diagnostic::Diagnostics;
use windtunnel::scenario::slurm_conf::{Site, SiteFiles, read_site, read_topology};

use super::shared;
use super::terminal::Desk;

fn site_of(conf: &Path) -> Site {
    read_site(SiteFiles { slurm_conf: conf, gres_conf: None, accounting: None, version: None })
        .expect("the file is there")
}

fn read(text: &str) -> Site {
    let desk = Desk::new();
    desk.put("slurm.conf", text);
    site_of(&desk.path("slurm.conf"))
}

fn members(site: &Site, partition: &str) -> Vec<String> {
    let at = site.config.partition(partition).unwrap();
    site.config.partitions[at].nodes.ones().map(|n| site.config.nodes[n].name.clone()).collect()
}

fn codes(told: &Diagnostics) -> Vec<&'static str> {
    told.kept().iter().map(|d| d.code.0).collect()
}

#[test]
fn every_real_configuration_reads() {
    let Some(sites) = shared::folder("slurm-sites") else { return };
    let mut read = 0;
    for (folder, prefix) in [("ub_hpc", "production_"), ("ub_hpc", "sim_"), ("ub_micro2", "")] {
        let file =
            |name: &str| Some(sites.join(folder).join(format!("{prefix}{name}"))).filter(|p| p.is_file());
        let (conf, gres, accounts) =
            (file("slurm.conf").unwrap(), file("gres.conf"), file("sacctmgr.script"));
        let files = SiteFiles {
            slurm_conf: &conf,
            gres_conf: gres.as_deref(),
            accounting: accounts.as_deref(),
            version: None,
        };
        let mut site = read_site(files).expect("readable");
        if let Some(path) = file("topology.conf") {
            read_topology(&path, &mut site);
        }
        assert_eq!(site.diagnostics.errors(), 0, "{folder}: {:?}", site.diagnostics.kept());
        assert!(site.config.nodes.len() >= 10 && !site.config.partitions.is_empty());
        read += 1;
    }
    assert_eq!(read, 3);
    for folder in ["slurm-reference", "slurm-reference-newer"] {
        let Some(root) = shared::folder(folder) else { continue };
        for entry in std::fs::read_dir(root).unwrap() {
            let conf = entry.unwrap().path().join("slurm.conf");
            if conf.is_file() {
                let site = site_of(&conf);
                assert_eq!(site.diagnostics.errors(), 0, "{}: {:?}", conf.display(), site.diagnostics.kept());
            }
        }
    }
}

#[test]
fn sets_of_nodes_by_feature_and_by_name() {
    let site = read(
        "SelectType=select/cons_tres\nNodeName=n[1-2] CPUs=4 Feature=COMPUTE,HighMem\n\
                     NodeName=n[3-4] CPUs=4 Feature=COMPUTE\nNodeSet=computes Feature=COMPUTE\n\
                     NodeSet=both Feature=HighMem Nodes=n4\nNodeSet=outer Nodes=inner,n1\nNodeSet=inner Nodes=n3\n\
                     NodeSet=none Feature=dyn\nPartitionName=a Nodes=computes Default=yes\nPartitionName=b Nodes=both\n\
                     PartitionName=c Nodes=outer\nPartitionName=d Nodes=none\nPartitionName=e Nodes=all\n",
    );
    assert_eq!(site.diagnostics.errors(), 0, "{:?}", site.diagnostics.kept());
    assert_eq!(members(&site, "a").len(), 4);
    assert_eq!(members(&site, "b"), ["n1", "n2", "n4"]);
    assert_eq!(members(&site, "c"), ["n1", "n3"]);
    assert_eq!(members(&site, "d").len(), 0);
    assert_eq!(members(&site, "e").len(), 4);
    assert_eq!(codes(&site.diagnostics), ["W0514"], "a partition without nodes is told");
}

#[test]
fn options_given_twice_and_backups() {
    let site = read(
        "SlurmctldHost=a\nSlurmctldHost=b\nKillWait=10\nkillwait = 20\nNodeName=n1 CPUs=4 CPUs=8\n\
                     PartitionName=DEFAULT MaxTime=10\nPartitionName=p Nodes=ALL Default=YES\n",
    );
    assert_eq!(codes(&site.diagnostics), ["W0513", "W0513"], "KillWait and CPUs, not the hosts");
    assert_eq!((site.config.controller.kill_wait_s, site.config.nodes[0].cpus), (20, 8));
    assert_eq!(site.config.partitions[0].max_time_min, Some(10));
}

#[test]
fn nodes_of_the_future_do_not_exist() {
    let site = read(
        "NodeName=DEFAULT Sockets=2 CoresPerSocket=4 ThreadsPerCore=2\nNodeName=n1\n\
                     NodeName=f[1-4] CPUs=4 State=FUTURE\nNodeName=d1 State=DRAIN\nNodeName=c1 State=CLOUD\n\
                     PartitionName=p Nodes=n1,f[1-4],d1,c1 Default=YES\n",
    );
    assert_eq!(site.diagnostics.errors(), 0);
    let nodes: Vec<(&str, u32, bool)> =
        site.config.nodes.iter().map(|n| (n.name.as_str(), n.cpus, n.unusable)).collect();
    // in the order of slurmctld's table
    assert_eq!(nodes, [("c1", 16, false), ("d1", 16, true), ("n1", 16, false)]);
    assert_eq!(members(&site, "p").len(), 3);
}

#[test]
fn what_slurmctld_corrects_at_load_is_corrected_and_told() {
    let cpus = |line: &str| {
        let site = read(&format!("NodeName=n1 {line}\nPartitionName=p Nodes=ALL Default=YES\n"));
        assert_eq!(site.diagnostics.errors(), 0);
        (site.config.nodes[0].cpus, codes(&site.diagnostics).len())
    };
    assert_eq!(cpus("CPUs=30 Sockets=2 CoresPerSocket=8 ThreadsPerCore=2"), (32, 1));
    assert_eq!(cpus("CPUs=16 Sockets=2 CoresPerSocket=8 ThreadsPerCore=2"), (16, 0), "cores are CPUs there");
    assert_eq!(cpus("CPUs=64"), (64, 0));
    assert_eq!(cpus("Boards=2 SocketsPerBoard=2 CoresPerSocket=8"), (32, 0));
    assert_eq!(cpus("Boards=2 Sockets=4 CoresPerSocket=8"), (32, 0), "Sockets are those of the node");
    assert_eq!(cpus("CPUs=32 CoresPerSocket=8 ThreadsPerCore=2"), (32, 0));
}

#[test]
fn what_scontrol_shows_is_a_configuration() {
    let site = read(
        "Configuration data as of 2026-03-01T08:00:00\nClusterName             = big\n\
                     SchedulerParameters     = bf_interval=45\nPreemptMode             = OFF\n\
                     SuspendTime             = INFINITE\nSLURM_VERSION           = 24.05.4\n\n\
                     NodeName=n1 CoresPerSocket=8 CPUAlloc=0 CPUTot=16 AvailableFeatures=a Gres=gpu:a100:4(S:0-1) \
                     RealMemory=256000 Sockets=2 Boards=1 State=IDLE ThreadsPerCore=1 Weight=3\n\
                     PartitionName=p AllowGroups=ALL Default=YES DefaultTime=NONE MaxTime=1-00:00:00 QoS=N/A Nodes=n1 \
                     State=UP TotalCPUs=16 TotalNodes=1\n",
    );
    assert_eq!(site.diagnostics.errors(), 0, "{:?}", site.diagnostics.kept());
    assert_eq!((site.version_is_known, site.config.version.to_string().as_str()), (true, "24.05.4"));
    assert_eq!((site.config.cluster_name.as_str(), site.config.backfill.interval_s), ("big", 45));
    let node = &site.config.nodes[0];
    assert_eq!((node.cpus, node.mem_mb, node.weight, node.gres[0].count), (16, 256_000, 3, 4));
    assert_eq!(site.config.partitions[0].max_time_min, Some(1440));
    assert_eq!(site.coverage.of("not yet").count(), 0, "what is switched off is no gap");
}

#[test]
fn a_large_site_is_read_name_by_name() {
    // 40,000 nodes in lines of their own and 60 partitions: with a search through all nodes for each name this
    // is billions of comparisons, and the test would not end in a minute.
    let mut text = String::new();
    for n in 0..40_000 {
        text += &format!("NodeName=n{n} CPUs=4 RealMemory=1000\n");
    }
    for p in 0..60 {
        text +=
            &format!("PartitionName=p{p} Nodes=n[0-39999] Default={}\n", if p == 0 { "YES" } else { "NO" });
    }
    let site = read(&text);
    assert_eq!((site.diagnostics.errors(), site.config.nodes.len()), (0, 40_000));
    assert_eq!(members(&site, "p59").len(), 40_000);
}

#[test]
fn cases_from_the_field() {
    let Some(cases) = shared::folder("field-cases") else { return };
    let desk = Desk::new();
    let path = |name: &str| cases.join(name).display().to_string();
    let import = |name: &str| {
        desk.run(&["import", "slurm", "--slurm-version", "24.11", "--slurm-conf", &path(name)]).ok()
    };
    for quiet in ["05-blanks-around-equals/slurm.conf", "18-slurmctldhost-twice/slurm.conf"] {
        assert_eq!(import(quiet).stderr, "", "{quiet}");
    }
    assert!(import("06-nodeset-by-feature/slurm.conf").stderr.contains("partition dynamic has no nodes"));

    let check =
        |name: &str| desk.run(&["trace", "check", &path(name), "--time-zone", "UTC", "--json"]).ok().json();
    assert_eq!(check("01-gpus-only-in-alloctres/sacct.txt")["repairs"][0]["rows"], 8);
    let numbers = check("02-unreadable-numbers-in-sacct/sacct.txt");
    assert_eq!((&numbers["jobs"], &numbers["repairs"][0]["what"]), (&3.into(), &"refused".into()));
    let out = desk.path("o.csv").display().to_string();
    desk.run(&[
        "trace",
        "convert",
        &path("02-unreadable-numbers-in-sacct/sacct.txt"),
        "--time-zone",
        "UTC",
        "--out",
        &out,
    ])
    .ok();
    let rows = String::from_utf8(desk.read("o.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(rows.as_bytes());
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|known| known == name).unwrap();
    let (nodes, cpus) = (at("nodes"), at("cpus"));
    let sizes: Vec<(String, String)> = reader
        .records()
        .map(|row| row.map(|row| (row[nodes].to_owned(), row[cpus].to_owned())).unwrap())
        .collect();
    assert_eq!(
        sizes,
        [("4".into(), "64".into()), ("2048".into(), "65536".into()), ("4".into(), "64".into())]
    );
    assert_eq!(check("10-constraints-with-pipe/sacct.txt")["jobs"], 3);
    assert_eq!(check("12-shard-and-mps/sacct.txt")["repairs"][0]["rows"], 2);
    assert_eq!(check("14-one-byte-in-a-name/sacct.txt")["jobs"], 3);
    assert_eq!(check("16-sacct-json/sacct.json")["jobs"], 1);
    assert_eq!(check("17-pandas-and-excel/pandas.csv")["jobs"], 2);

    // the cure that the message names, applied to the file
    let excel = path("17-pandas-and-excel/excel.csv");
    let told = desk.run(&["trace", "check", &excel]);
    assert!(told.stderr.contains("--guess") && told.stderr.contains("Runtime (h)"), "{}", told.stderr);
    desk.put("columns.toml", desk.run(&["trace", "check", &excel, "--guess"]).ok().stdout);
    let read = desk.run(&["trace", "check", &excel, "--columns", "columns.toml", "--json"]).ok().json();
    assert_eq!((&read["jobs"], &read["repairs"]), (&2.into(), &serde_json::json!([])));
}

#[test]
fn jobs_of_the_field_run_as_they_ran() {
    let Some(cases) = shared::folder("field-cases") else { return };
    let desk = Desk::new();
    let path = |name: &str| cases.join(name).display().to_string();
    let site = |conf: &str, trace: &str, more: &[&str]| {
        let (conf, trace) = (path(conf), path(trace));
        let mut args =
            vec!["import", "slurm", "--slurm-conf", &conf, "--trace", &trace, "--out", "x.toml", "--quiet"];
        args.extend(more);
        desk.run(&args).ok();
        desk.run(&["run", "x.toml", "--json", "--quiet"]).ok().json()["designs"]["now"].clone()
    };
    let gpus = site("01-gpus-only-in-alloctres/slurm.conf", "01-gpus-only-in-alloctres/sacct.txt", &[]);
    let wait = gpus["wait_s"]["mean"].as_f64().unwrap();
    assert!((wait - 5_400.0).abs() < 60.0, "90 minutes: {wait}");
    for (conf, trace, jobs) in [("slurm.conf", "sacct.txt", 4), ("slurm-bare.conf", "sacct-bare.txt", 3)] {
        let folder = "03-mig-types-under-slurm";
        let mig = site(&format!("{folder}/{conf}"), &format!("{folder}/{trace}"), &[]);
        let ended =
            ["completed", "failed"].iter().filter_map(|state| mig["jobs"][state].as_u64()).sum::<u64>();
        assert_eq!((ended, &mig["jobs"]["refused"]), (jobs, &0.into()), "a job may end at its limit");
        let backtest = desk.run(&["backtest", "x.toml", "--json", "--quiet"]).ok().json();
        assert_eq!(backtest["jobs"]["judged"], jobs, "{}", backtest["jobs"]);
    }
    let twice = [
        "compare",
        "x.toml",
        "--json",
        "--quiet",
        "--what-if",
        "bf_interval=30",
        "--what-if",
        "bf_interval=300",
    ];
    assert_eq!(desk.run(&twice).ok().json()["designs"].as_object().unwrap().len(), 3);
    let accounts = path("07-sacctmgr-name-equals/accounts.txt");
    let folder = "07-sacctmgr-name-equals";
    let assoc = site(&format!("{folder}/slurm.conf"), &format!("{folder}/jobs.csv"), &["--assoc", &accounts]);
    assert_eq!(assoc["jobs"]["completed"], 2);
    let folder = "09-future-and-down-nodes-in-hours";
    let future = site(&format!("{folder}/slurm-future.conf"), &format!("{folder}/jobs.csv"), &[]);
    assert_eq!(future["jobs"]["completed"], 4);
}

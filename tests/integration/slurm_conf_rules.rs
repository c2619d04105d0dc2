//! What slurmctld does with options that are written in unusual ways, that it repairs, or that it passes over: each
//! rule with a small file. Sources: src/common/read_config.c, parse_value.c, parse_config.c, src/slurmctld/read_config.c
//! and src/plugins/sched/backfill/backfill.c of 22.05 to 26.05.

use windtunnel::scenario::slurm_conf::{Site, SiteFiles, read_site};

use super::terminal::Desk;

fn read(text: &str) -> Site {
    let desk = Desk::new();
    desk.put("slurm.conf", text);
    let path = desk.path("slurm.conf");
    read_site(SiteFiles { slurm_conf: &path, gres_conf: None, accounting: None, version: None })
        .expect("the file is there")
}

/// A site of one node and one partition with lines of its own.
fn with(lines: &str) -> Site {
    read(&format!("{lines}\nNodeName=n1 CPUs=4\nPartitionName=p Nodes=n1 Default=YES\n"))
}

fn told(site: &Site) -> Vec<&str> {
    site.diagnostics.kept().iter().map(|told| told.message.as_str()).collect()
}

#[test]
fn numbers_as_slurmctld_reads_them() {
    let site = read(
        "PriorityWeightAge=1k\nKillWait=0x1E\nNodeName=n1 CPUs=010 Weight=INFINITE RealMemory=4K\n\
         PartitionName=p Nodes=n1 Default=YES MaxNodes=INFINITE MinNodes=0x2\n",
    );
    assert!(told(&site).is_empty(), "{:?}", told(&site));
    let (node, partition) = (&site.config.nodes[0], &site.config.partitions[0]);
    assert_eq!((node.cpus, node.weight, node.mem_mb), (8, u32::MAX - 1, 4_096));
    assert_eq!((partition.max_nodes, partition.min_nodes), (None, 2));
    assert_eq!((site.config.priority.weights.age, site.config.controller.kill_wait_s), (1_024, 30));
    assert_eq!(read("NodeName=n1 CPUs=08\nPartitionName=p Nodes=n1 Default=YES\n").diagnostics.errors(), 1);
}

#[test]
fn words_of_the_scheduler_are_corrected_and_told() {
    let site = with(
        "SchedulerParameters=bf_interval=0,bf_window=60x,bf_window=5,bf_max_job_test=abc,bf_resolution=60",
    );
    assert_eq!(site.diagnostics.errors(), 0);
    assert_eq!(told(&site).len(), 4, "{:?}", told(&site));
    let plain = with("SchedulerParameters=bf_window=60,bf_resolution=60");
    assert!(told(&plain).is_empty());
    assert_eq!(site.config.backfill, plain.config.backfill, "defaults hold, and of two the first");
}

#[test]
fn what_a_default_line_hands_on() {
    let site = read(
        "NodeName=DEFAULT CPUs=2 Features=x\nNodeName=n1 Procs=4\nNodeName=n2 Feature=a Features=b\n\
         PartitionName=DEFAULT ExclusiveUser=YES MaxTime=60 PriorityTier=3\n\
         PartitionName=p Nodes=\"n1 n2\" Default=YES\nPartitionName=q Nodes=n1 Default=YES Priority=7 PriorityTier=9\n",
    );
    let nodes = &site.config.nodes;
    assert_eq!(
        (nodes[0].cpus, &nodes[0].features[..]),
        (2, &["x".to_owned()][..]),
        "CPUs of DEFAULT before Procs"
    );
    assert_eq!(nodes[1].features, ["a"]);
    let [p, q] = &site.config.partitions[..] else { panic!("two partitions") };
    assert!(!p.exclusive_user, "from a partition's own line only");
    assert_eq!((p.max_time_min, p.priority_tier, p.nodes.count_ones(..)), (Some(60), 3, 2));
    assert_eq!((q.priority_tier, q.priority_job_factor), (7, 7));
    assert_eq!((p.default, q.default), (false, true), "the last default counts");
    assert_eq!(told(&site), ["partitions p and q are both the default; q is taken"]);
}

#[test]
fn partitions_as_slurmctld_corrects_them() {
    let site = read(
        "NodeName=n1 CPUs=4\nPartitionName=p Nodes=n1 Default=YES MaxTime=60 DefaultTime=2:00:00 AllowAccounts=a \
         DenyAccounts=b State=DRAINED Shared=YES OverSubscribe=EXCLUSIVE\nPartitionName=q Nodes=\"\"\n",
    );
    assert_eq!(site.diagnostics.errors(), 0, "{:?}", told(&site));
    let p = &site.config.partitions[0];
    assert_eq!((p.default_time_min, p.max_time_min, p.deny_accounts.len()), (None, Some(60), 0));
    assert!(p.exclusive && p.state.schedule && !p.state.submit);
    assert_eq!(told(&site).len(), 3, "{:?}", told(&site));
}

#[test]
fn sockets_follow_from_cpus_only_where_they_divide() {
    for (line, cpus, warnings) in [
        ("CPUs=8 CoresPerSocket=2 ThreadsPerCore=2", 8, 0),
        ("CPUs=5 CoresPerSocket=2", 2, 1),
        ("CPUs=0 CoresPerSocket=4", 1, 1),
        ("Sockets=2 CoresPerSocket=4 ThreadsPerCore=2", 16, 0),
        ("Boards=2 SocketsPerBoard=2 CoresPerSocket=4", 16, 0),
        ("CPUs=8 Sockets=2 CoresPerSocket=4 ThreadsPerCore=2", 8, 0),
    ] {
        let site = read(&format!("NodeName=n1 {line}\nPartitionName=p Nodes=n1 Default=YES\n"));
        assert_eq!(
            (site.config.nodes[0].cpus, told(&site).len()),
            (cpus, warnings),
            "{line}: {:?}",
            told(&site)
        );
    }
}

#[test]
fn lines_that_hold_several_things() {
    let site = read(
        "ClusterName=x NodeName=n[1-2] CPUs=4\nProlog=/a\nProlog=/b\nInclude extra/*.conf\n\
         MaxJobCount=5 PartitionName=p Nodes=n1 Default=YES\n",
    );
    assert_eq!((site.config.nodes.len(), site.config.partitions.len()), (2, 1));
    assert_eq!(told(&site), ["Include extra/*.conf: slurmctld takes no patterns and passes it over"]);
}

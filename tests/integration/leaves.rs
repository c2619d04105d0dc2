//! Placement by the leaves of a network, and what is told of leaves and networks.

use super::terminal::Desk;

/// Two leaves of four nodes: after a job on three, one of two nodes crosses unless somebody looks.
const TRACE: &str = "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,500,9000,3,24\n2,0,1000,9000,2,16\n";

fn scenario(policy: &str, more: &str) -> String {
    format!(
        "[workload]\ntrace = 't.csv'\n[policy.{policy}]\n[design.d.fabric.n]\ntopology = 'fat-tree'\nnodes-per-leaf = 4\n\
         oversubscription = 2.0\n[design.d.pool.main]\nnode = 'dgx-h100'\ncount = 8\nfabric = 'n'\n{more}"
    )
}

fn leaves(desk: &Desk, text: &str) -> (f64, f64) {
    desk.put("s.toml", text);
    let found = desk.run(&["run", "s.toml", "--json"]).ok().json();
    let figure = |key: &str| found["designs"]["d"]["tenancy"][key].as_f64().unwrap();
    (figure("leaves_per_job"), figure("leaves_over_fewest"))
}

#[test]
fn a_placement_by_leaves_keeps_jobs_together_under_every_policy_that_has_one() {
    let desk = Desk::new();
    desk.put("t.csv", TRACE);
    for policy in ["fcfs", "greedy", "sjf", "ljf", "easy", "conservative", "priority"] {
        for more in ["", "[design.d.pool.main.tenancy.bare-metal]\nsharing = 'mps'\n"] {
            let by_leaves = leaves(
                &desk,
                &scenario(&format!("{policy}]\nplacement = 'topology'\n[seed"), more).replace("[seed]\n", ""),
            );
            assert_eq!(by_leaves, (1.0, 1.0), "{policy} {more}");
        }
    }
    assert_eq!(leaves(&desk, &scenario("fcfs", "")), (1.5, 1.5));
    // Under Slurm the same is told, whatever it looks at.
    let slurm = leaves(&desk, &scenario("slurm", ""));
    assert!((1.0..=1.5).contains(&slurm.0) && slurm.0 == slurm.1, "{slurm:?}");
}

#[test]
fn a_reservation_by_leaves_is_kept_together_too() {
    // The third job waits for two nodes, and gets those of one leaf; with the first ones that come it would cross.
    let desk = Desk::new();
    desk.put(
        "t.csv",
        "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,500,500,3,24\n2,0,500,500,4,32\n3,1,100,100,2,16\n4,2,300,300,1,8\n",
    );
    for policy in ["easy", "conservative"] {
        let text = scenario(&format!("{policy}]\nplacement = 'topology'\n[seed"), "").replace("[seed]\n", "");
        assert_eq!(leaves(&desk, &text), (1.0, 1.0), "{policy}");
    }
}

#[test]
fn a_placement_by_leaves_needs_some() {
    let desk = Desk::new();
    desk.put("t.csv", TRACE);
    let with = |more: &str| scenario("fcfs]\nplacement = 'topology'\n[seed", more).replace("[seed]\n", "");
    let off = with("").replace("fabric = 'n'\n", "");
    for (text, word) in [(off, "has no effect"), (with("dedicated = 'host'\n"), "dedicated")] {
        desk.put("s.toml", text);
        let answer = desk.run(&["run", "s.toml", "-q"]);
        assert_eq!(answer.code, 4, "{}", answer.stderr);
        assert!(answer.stderr.contains("W0243") && answer.stderr.contains(word), "{}", answer.stderr);
    }
}

#[test]
fn a_network_is_shown_in_numbers_and_as_a_graph() {
    let desk = Desk::new();
    desk.put("t.csv", TRACE);
    desk.put("s.toml", scenario("fcfs", ""));
    let found = desk.run(&["catalog", "fabric", "n", "--scenario", "s.toml", "--json"]).ok().json();
    let fabric = &found["fabric"];
    assert_eq!((&fabric["nodes"], &fabric["switches"][0]["switches"]), (&8.into(), &2.into()));
    // Four nodes of eight adapters go up at half of their rate.
    let half = fabric["half_to_half_gb_s"].as_f64().unwrap();
    assert!((half - 4.0 * 8.0 * 47.0 / 2.0).abs() < 1e-6, "{half}");
    let dot = desk.run(&["catalog", "fabric", "d.n", "--scenario", "s.toml", "--dot"]).ok().stdout;
    assert!(dot.starts_with("digraph") && dot.contains("\"leaf0\" -> \"spine\""), "{dot}");
    let preset = desk.run(&["catalog", "fabric", "RoCEv2-400G", "--nodes", "32"]).ok().stdout;
    assert!(preset.contains("32 nodes") && preset.contains("5760.0 GB/s"), "{preset}");
    for (args, word) in [
        (&["catalog", "fabric", "m", "--scenario", "s.toml"][..], "d.n"),
        (&["catalog", "fabric", "RoCE"], "one of"),
        (&["catalog", "fabric"], "which fabric"),
        (&["catalog", "gpus", "--dot"], "belong to"),
    ] {
        let answer = desk.run(args);
        assert_eq!(answer.code, 2, "{args:?}: {}", answer.stderr);
        assert!(
            answer.stderr.contains("W0319") && answer.stderr.contains(word),
            "{args:?}: {}",
            answer.stderr
        );
    }
}

/// Networks that cannot be are told with file and line, from a scenario as well.
#[test]
fn files_that_are_no_network_are_told_with_their_lines() {
    let desk = Desk::new();
    desk.put("t.csv", TRACE);
    let told = |topology: &str, file: &str, text: &str, code: &str, place: &str| {
        desk.put(file, text);
        let from = "topology = 'fat-tree'\nnodes-per-leaf = 4\noversubscription = 2.0\n";
        let to = format!("topology = '{topology}'\nfile = '{file}'\n");
        desk.put("s.toml", scenario("fcfs", "").replace(from, &to));
        let answer = desk.run(&["run", "s.toml", "-q"]);
        assert_eq!(answer.code, 4, "{text}: {}", answer.stderr);
        assert!(answer.stderr.contains(code) && answer.stderr.contains(place), "{text}: {}", answer.stderr);
    };
    let cables = |last: &str| {
        let mut text = "from,to,gb_s\n".to_owned();
        (0..7).for_each(|node| text += &format!("main{node},s0,40\n"));
        text + last
    };
    told("edges", "c.csv", &cables("main7,s1,40\n"), "W0602", "no cables lead");
    told("edges", "c.csv", &cables("main7,s0,0\n"), "W0601", "c.csv:9");
    told("topology-conf", "t.conf", "SwitchName=a Nodes=main[0-8]\n", "W0602", "t.conf:1");
    told(
        "topology-conf",
        "t.conf",
        "SwitchName=a Nodes=main[0-7]\nSwitchName=b Switches=c\nSwitchName=c Switches=b\n",
        "W0603",
        "t.conf:",
    );
}

/// Nodes lie on two leaves by turns, so a ring in the order of the nodes crosses the spine at each step, and one in the order of
/// the network twice.
#[test]
fn rings_run_in_the_order_of_the_network_or_of_the_nodes() {
    let mut cables = "from,to,gb_s\n".to_owned();
    for node in 0..4 {
        cables += &format!("main{node},s{},400\n", node % 2);
    }
    cables += "s0,s1,400\n";
    let desk = Desk::new();
    desk.put("t.csv", "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,1000,9000,4,32\n");
    desk.put("c.csv", cables);
    let ran_s = |more: &str| {
        desk.put(
            "s.toml",
            format!(
                "[workload]\ntrace = 't.csv'\n[policy.fcfs]\n[job-shares.default]\ninter-node-at-8 = 0.6\noverlap = 0.0\n\
                 [design.d.fabric.n]\ntopology = 'edges'\nfile = 'c.csv'\n{more}[design.d.pool.main]\nnode = 'dgx-h100'\n\
                 count = 4\nfabric = 'n'\n"
            ),
        );
        desk.run(&["run", "s.toml", "--json"]).ok().json()["designs"]["d"]["makespan_s"].as_f64().unwrap()
    };
    let (network, nodes) = (ran_s(""), ran_s("rank-order = false\n"));
    assert_eq!(network, ran_s("rank-order = true\n"));
    assert!((network - 1000.0).abs() < 1e-3, "as recorded: {network}");
    // twice as much goes over the one cable between the leaves, so communication takes twice as long
    let share = nodes - network;
    assert!(share > 100.0, "{nodes} against {network}");
}

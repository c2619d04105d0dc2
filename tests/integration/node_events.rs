//! Nodes down, drained and reserved at instants that a scenario writes, against schedules worked out by hand.

use serde_json::Value;

use super::terminal::Desk;

/// Two nodes of 8 GPUs; `a` and `b` fill them from the beginning, `c` waits.
const JOBS: &str = "job_id,submit_s,run_s,limit_s,gpus,cpus,user,reservation\n\
                    a,0,1000,1000,8,8,u,\nb,0,1000,1000,8,8,u,\nc,10,100,100,8,8,v,\n";

fn scenario(policy: &str, rows: &str) -> String {
    format!(
        "[workload]\ntrace = 't.csv'\n[policy.{policy}]\n[node.n]\ncpus = 64\nmem-mb = 1000\ngpus = 8\ngpu = 'any'\n\
         [design.d.pool.p]\nnode = 'n'\ncount = 2\n{rows}"
    )
}

/// From when to when a job ran, and on which nodes, attempt by attempt.
type Runs = Vec<(f64, f64, String)>;

/// The runs of each job; figures of the design.
fn run(jobs: &str, scenario: &str) -> (impl Fn(&str) -> Runs + use<>, Value) {
    let desk = Desk::new();
    desk.put("t.csv", jobs);
    desk.put("s.toml", scenario);
    let object = desk.run(&["run", "s.toml", "--json", "--out", "out", "--referee"]).ok().json();
    let text = String::from_utf8(desk.read("out/jobs.csv")).unwrap();
    let head: Vec<String> = text.lines().next().unwrap().split(',').map(str::to_owned).collect();
    let rows = move |job: &str| {
        let cell = |line: &str, key: &str| {
            let at = head.iter().position(|name| name == key).unwrap();
            line.split(',').nth(at).unwrap().to_owned()
        };
        let mine = text.lines().skip(1).filter(|line| cell(line, "job_id") == job);
        let of = |line| {
            let number = |key| cell(line, key).parse().unwrap_or(f64::NAN);
            (number("start_s"), number("end_s"), cell(line, "node_list"))
        };
        mine.map(of).collect()
    };
    (rows, object["designs"]["d"].clone())
}

fn event(kind: &str) -> String {
    format!("[[design.d.event]]\nnodes = 'p[1]'\nfrom-s = 100\nuntil-s = 5000\nkind = '{kind}'\n")
}

fn gpu_s(design: &Value, key: &str) -> f64 {
    (design["gpu_hours"][key].as_f64().unwrap() * 3600.0).round()
}

/// `b` is lost at 100 s and queued before `c`; what it did is lost, the node is down to the end of the run.
#[test]
fn jobs_on_a_node_that_goes_down_run_again() {
    for policy in ["easy", "conservative", "fcfs"] {
        let (job, design) = run(JOBS, &scenario(policy, &event("down")));
        assert_eq!(job("a"), [(0.0, 1000.0, "p[0]".to_owned())], "{policy}");
        let again = job("b").pop().unwrap();
        assert_eq!((again.1, again.2), (2000.0, "p[0]".to_owned()), "{policy}");
        assert_eq!(job("c"), [(2000.0, 2100.0, "p[0]".to_owned())], "{policy}");
        let hours = ["installed", "productive", "lost", "down"].map(|key| gpu_s(&design, key));
        assert_eq!(hours, [16.0 * 2100.0, 8.0 * 2100.0, 800.0, 8.0 * 2000.0], "{policy}");
        assert_eq!(design["tenancy"]["lost_attempts"], 1, "{policy}");
    }
}

#[test]
fn jobs_on_a_node_that_drains_run_to_their_end() {
    let (job, design) = run(JOBS, &scenario("easy", &event("drain")));
    assert_eq!(job("b"), [(0.0, 1000.0, "p[1]".to_owned())]);
    assert_eq!(job("c"), [(1000.0, 1100.0, "p[0]".to_owned())]);
    let hours = ["lost", "down", "slack"].map(|key| gpu_s(&design, key));
    assert_eq!(hours, [0.0, 800.0, 0.0], "down from its last job's end");
}

#[test]
fn nodes_that_are_back_are_used_again() {
    let rows = event("down").replace("5000", "150");
    let (job, design) = run(JOBS, &scenario("easy", &rows));
    assert_eq!(job("b").pop().unwrap().1, 1150.0);
    assert_eq!(job("c"), [(1000.0, 1100.0, "p[0]".to_owned())]);
    assert_eq!(gpu_s(&design, "down"), 8.0 * 50.0);
}

#[test]
fn a_reservation_keeps_nodes_free() {
    let rows = "[[design.d.reservation]]\nnodes = 'p0'\nfrom-s = 500\nuntil-s = 3000\n";
    let later = JOBS.replace("c,10,", "c,1200,") + "e,1200,100,100,8,8,v,\n";
    let (job, design) = run(&later, &scenario("easy", rows));
    assert_eq!(job("c"), [(1200.0, 1300.0, "p[1]".to_owned())]);
    assert_eq!(job("e"), [(1300.0, 1400.0, "p[1]".to_owned())], "the other node is free, and reserved");
    assert_eq!(gpu_s(&design, "down"), 8.0 * 400.0);
}

/// Slurm's own commands: the same hours, to the second that its threads take.
#[test]
fn the_same_under_slurm() {
    // Since 24.05.5 a requeued job has the priority of its new submission, and `c` would be before it.
    let slurm = "slurm]\nversion = \"22.05\"\nbackfill = \"easy\"\n#";
    let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 60.0, "{found} {wanted}");
    let (job, design) = run(JOBS, &scenario(slurm, &event("down")));
    near(job("a")[0].1, 1000.0);
    near(job("b").last().unwrap().1, 2000.0);
    near(job("c")[0].0, 2000.0);
    near(gpu_s(&design, "lost") / 8.0, 100.0);
    near(gpu_s(&design, "down") / 8.0, job("c")[0].1 - 100.0);
    let (job, design) = run(JOBS, &scenario(slurm, &event("drain")));
    near(job("b")[0].1, 1000.0);
    assert_eq!(job("b").len(), 1);
    near(gpu_s(&design, "down") / 8.0, job("c")[0].1 - 1000.0);
}

/// Who is let in and asks for it has the node; all others wait for the other one.
#[test]
fn a_reservation_for_users_under_slurm() {
    let rows =
        "[[design.d.reservation]]\nname = 'r'\nnodes = 'p1'\nfrom-s = 0\nuntil-s = 100000\nusers = ['v']\n";
    let jobs = JOBS.replace("8,v,", "8,v,r");
    let (job, _) = run(&jobs, &scenario("slurm]\nbackfill = \"easy\"\n#", rows));
    assert_eq!((job("a")[0].2.as_str(), job("b")[0].2.as_str()), ("p[0]", "p[0]"));
    assert!(job("b")[0].0 >= 1000.0);
    let (start, _, node) = job("c").pop().unwrap();
    assert!(start < 60.0 && node == "p[1]", "{start} {node}");
}

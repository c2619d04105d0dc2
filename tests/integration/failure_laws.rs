//! Laws of failures and repairs in a run: levels, rates that differ, repairs that fix, jobs that do not get on.

use serde_json::Value;
use windtunnel::ids::{Id, JobId};
use windtunnel::scenario::Design;
use windtunnel::simulation::{JobState, Outcome};
use windtunnel::workload::Workload;

use super::builders::{self, trace};
use super::tenancy::{design, run, try_scenario};
use super::terminal::Desk;

/// Hosts of 8 GPUs with these failures, and one that never fails.
fn pools(count: u32, failures: &str, more: &str) -> String {
    format!(
        "[design.d.pool.p]\nnode = 'n'\ncount = {count}\n[design.d.pool.p.tenancy.bare-metal]\n{more}\
         [design.d.pool.p.tenancy.bare-metal.failures]\n{failures}\n"
    )
}

const QUICK: &str = "repair = { typical-s = 600 }\n";

fn failing(count: u32, failures: &str, more: &str) -> Design {
    let still = "[design.d.pool.still]\nnode = 'n'\ncount = 1\n[design.d.route.r]\npools = ['still']\n";
    design(&format!("{}{still}", pools(count, failures, more)))
}

/// A job that no failure touches holds the run open.
fn for_hours(hours: i64) -> Workload {
    trace().job(builders::job().run_s(3_600 * hours).cpus(1)).build()
}

fn failures_of(outcome: &Outcome) -> u64 {
    outcome.tenancy.as_ref().unwrap().failures
}

#[test]
fn each_level_fails_at_its_own_rate() {
    let levels =
        "gpu = { mtbf-hours = 1600 }\nhost = { mtbf-hours = 400 }\nsoftware = { mtbf-hours = 400 }\n";
    let outcome = run(&for_hours(2_000), &failing(200, &format!("{levels}{QUICK}"), ""));
    let facts = outcome.tenancy.as_ref().unwrap();
    // A host with 8 GPUs loses one every 200 h, and fails every 100 h for one reason or another.
    let expected = 200.0 * 2_000.0 / (100.0 + 0.2);
    let near = |found: u64, part: f64| {
        assert!((found as f64 / (expected * part) - 1.0).abs() < 0.07, "{:?}", facts.by_level);
    };
    let [gpu, host, link, software, ..] = facts.by_level;
    near(gpu, 0.5);
    near(host, 0.25);
    near(software, 0.25);
    assert_eq!((link, gpu + host + software), (0, facts.failures), "what is not written does not fail");
}

#[test]
fn defaults_of_the_levels_are_those_of_the_catalogue() {
    let design = failing(1, "gpu = {}\nhost = {}\nlink = {}\nsoftware = {}\n", "");
    let failures = design.pools[0].tenancy.failures.unwrap();
    // 419 interruptions of 2,048 hosts in 54 days.
    assert!((failures.mtbf().as_s() / 3_600.0 - 6_334.6).abs() < 1.0, "{:?}", failures.mtbf());
    let expected = |at: usize| failures.causes[at].unwrap().repair.expected().as_s() / 3_600.0;
    assert_eq!([0, 1, 2, 3].map(expected), [20.4, 20.4, 20.4, 0.3]);
}

/// What says nothing new changes nothing, to the byte.
#[test]
fn settings_that_are_neutral_change_nothing() {
    let base = run(&for_hours(1_000), &failing(20, &format!("mtbf-hours = 50\n{QUICK}"), ""));
    assert!(failures_of(&base) > 300);
    for neutral in ["weibull-shape = 1", "bad-share = 0\nbad-factor = 9", "bad-share = 1\nbad-factor = 1"] {
        let same = run(&for_hours(1_000), &failing(20, &format!("mtbf-hours = 50\n{neutral}\n{QUICK}"), ""));
        assert_eq!(
            (&same.records, &same.hours, failures_of(&same)),
            (&base.records, &base.hours, failures_of(&base))
        );
    }
    let twice = failing(20, &format!("mtbf-hours = 50\nbad-share = 1\nbad-factor = 2\n{QUICK}"), "");
    let half = failing(20, &format!("mtbf-hours = 25\n{QUICK}"), "");
    assert_eq!(run(&for_hours(1_000), &twice).hours, run(&for_hours(1_000), &half).hours);
}

#[test]
fn rates_of_hosts_differ_as_a_gamma_law_says() {
    let text = format!("mtbf-hours = 200\nrate-shape = 0.93\n{QUICK}");
    let outcome = run(&for_hours(2_000), &failing(400, &text, ""));
    let mut counts = vec![0_u32; 400];
    let failed = outcome.spells.iter().filter(|spell| spell.node.index() < 400);
    failed.for_each(|spell| counts[spell.node.index()] += 1);
    let mean = f64::from(counts.iter().sum::<u32>()) / 400.0;
    let variance =
        counts.iter().map(|n| (f64::from(*n) - mean) * (f64::from(*n) - mean)).sum::<f64>() / 399.0;
    // A mixed Poisson law: variance = mean + mean^2 / shape; it would be the mean without a factor.
    assert!((mean / 10.0 - 1.0).abs() < 0.12, "{mean}");
    assert!((variance / (mean + mean * mean / 0.93) - 1.0).abs() < 0.3, "{variance} at {mean}");
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let tenth = f64::from(counts[..40].iter().sum::<u32>()) / (400.0 * mean);
    assert!((0.25..0.45).contains(&tenth), "a tenth of the hosts has {tenth} of the failures");
}

#[test]
fn a_repair_that_fixes_makes_a_bad_host_good() {
    let bad = |fails: &str| {
        let stages = "stages = { auto-hours = 0.1, manual-hours = 1, escalates = 0, auto-fails = F }";
        let repair = format!("repair = {{ {} }}\n", stages.replace('F', fails));
        let text = format!("mtbf-hours = 1000\nbad-share = 1\nbad-factor = 100\n{repair}");
        failures_of(&run(&for_hours(2_000), &failing(100, &text, ""))) as f64
    };
    // Never fixed: 100 hosts every 10 h. Fixed at once: each once as a bad one, then every 1,000 h.
    assert!((bad("1") / (100.0 * 2_000.0 / 10.1) - 1.0).abs() < 0.05, "{}", bad("1"));
    assert!((bad("0") / (100.0 + 100.0 * 1_990.0 / 1_000.0) - 1.0).abs() < 0.2, "{}", bad("0"));
}

/// A job on one host that fails every hour on average.
fn fragile(policy: &str, every_s: u32, run_h: u32) -> Value {
    let desk = Desk::new();
    desk.put("t.csv", format!("job_id,submit_s,run_s,limit_s,gpus,cpus\n1,0,{0},{0},8,8\n", run_h * 3_600));
    let pools = pools(
        1,
        "mtbf-hours = 1\nrepair = { typical-s = 1 }\n",
        &format!("at-limit = 'A'\nsnapshots = {{ every-s = {every_s}, takes-s = 0, restore-s = 0 }}\n"),
    );
    let pools =
        if policy == "slurm" { pools.replace("at-limit = 'A'\n", "") } else { pools.replace('A', "run-on") };
    let policy = if policy == "slurm" {
        "slurm]\novertimelimit = 'UNLIMITED'\nbackfill = \"easy\"\n#"
    } else {
        policy
    };
    desk.put(
        "s.toml",
        format!(
            "[workload]\ntrace = 't.csv'\n[policy.{policy}]\n[node.n]\ncpus = 64\nmem-mb = 1000\ngpus = 8\n\
             gpu = 'any'\n{pools}"
        ),
    );
    let answer = desk.run(&["run", "s.toml", "--json"]).ok();
    let is_told = answer.stderr.contains("W0417");
    assert_eq!(is_told, every_s > 3_600, "{}", answer.stderr);
    answer.json()["designs"]["d"].clone()
}

/// Losing a job a thousand times is no reason to give it up as long as it gets on in between.
#[test]
fn a_job_that_gets_on_is_not_given_up() {
    let found = fragile("easy", 300, 1_500);
    assert_eq!(
        (found["jobs"]["completed"].as_u64(), found["tenancy"]["given_up"].as_u64()),
        (Some(1), Some(0))
    );
    assert!(found["tenancy"]["lost_attempts"].as_u64() > Some(1_200), "{found}");
}

/// Hosts fail before a job ever comes to its first snapshot: told before the run, found out in it, and no run for ever.
#[test]
fn a_job_that_never_gets_on_is_told_and_given_up() {
    let found = fragile("easy", 72_000, 1_500);
    assert_eq!(found["tenancy"]["given_up"], 1);
    assert_eq!(found["tenancy"]["lost_attempts"], 1_000);
    assert_eq!(found["jobs"]["completed"], 0);
}

#[test]
fn what_contradicts_itself_is_refused_with_a_cure() {
    for (text, code, words) in [
        ("mtbf-hours = 10\ngpu = {}", "W0243", "mtbf-hours"),
        ("bad-share = 0.1", "W0243", "bad-factor"),
        ("bad-factor = 3", "W0243", "bad-share"),
        ("weibull-shape = 0", "W0209", "weibull-shape"),
        ("rate-shape = -1", "W0209", "rate-shape"),
        ("bad-share = 1.5\nbad-factor = 2", "W0209", "bad-share"),
        ("repair = { median-hours = 3, typical-s = 9 }", "W0243", "several"),
        ("repair = { stages = {}, sigma = 1 }", "W0243", "several"),
        ("repair = { stages = { auto-fails = 0.5 } }", "W0243", "bad-share"),
        ("repair = { stages = { escalates = 2 } }", "W0209", "escalates"),
        ("repair = { median-hours = -1 }", "W0209", "median-hours"),
        ("gpu = { mtbf-hours = 0 }", "W0209", "mtbf-hours"),
        ("software = {}\nrepair = { typical-s = 1 }", "W0243", "repair"),
    ] {
        let problems = try_scenario(&pools(1, text, "")).err().unwrap_or_default();
        assert!(problems.contains(code) && problems.contains(words), "{text}\n{problems}");
    }
    let still = run(&for_hours(1), &failing(1, "repair = { median-hours = 1 }\nlink = {}", ""));
    assert_eq!(still.records[JobId::new(0)].state, JobState::Completed);
}

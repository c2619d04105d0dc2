//! Hosts that stand in for others, switches that take hosts along, and outages that come together: under every policy.

use windtunnel::simulation::{JobState, Outcome, Standing};

use super::builders::{self, trace};
use super::cells::{Cell, Played, Refusals};
use super::tenancy::{design, run};

const POLICIES: [&str; 6] = ["fcfs", "easy", "conservative", "slurm", "srtf", "tiresias"];

const CELL: Cell =
    Cell { policy: "easy", sharing: "whole", tenancy: "bare-metal", life: "none", feature: "plain" };

/// A scenario of so many hosts of 8 GPUs, with what stands in its pool and behind.
fn play(policy: &str, (count, pool, more): (u32, &str, &str), trace: &str) -> Result<Played, Refusals> {
    let policy = match policy {
        "srtf" | "tiresias" => format!("[policy.{policy}]\ncharge = 'restart'\n"),
        "slurm" => "[policy.slurm]\nbackfill = 'easy'\n".to_owned(),
        policy => format!("[policy.{policy}]\n"),
    };
    let text = format!(
        "[workload]\ntrace = 't.csv'\n{policy}[design.d.pool.main]\nnode = 'dgx-h100'\ncount = {count}\n{pool}{more}"
    );
    CELL.play_text(&text, trace)
}

/// A job on two hosts, and another that would like to go first but cannot be placed beside it.
const TWO: &str = "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,1000,1000,2,16\n";
const DOWN: &str = "[[design.d.event]]\nnodes = 'main0'\nfrom-s = 300\nuntil-s = 700\nkind = 'down'\n";

#[test]
fn a_standby_takes_the_place_of_a_host_at_once_and_a_lent_one_when_it_is_back() {
    for policy in POLICIES {
        let end_s = |count, pool: &str| {
            let played = play(policy, (count, pool, DOWN), TWO).unwrap();
            played.check(CELL);
            let record = played.outcome.records.iter().next().copied().unwrap();
            assert_eq!(record.state, JobState::Completed, "{policy}");
            (record.end.as_s() - record.start.as_s()).round()
        };
        // Lost at 300; it goes on anew when two hosts serve. Slurm takes a requeued job up a little later; a policy that charges
        // restarts charges one.
        let close = |found: f64, expected: f64| {
            let most = match policy {
                "slurm" => 125.0,
                "srtf" | "tiresias" => 10.0,
                _ => 0.0,
            };
            assert!((0.0..=most).contains(&(found - expected)), "{policy}: {found} for {expected}");
        };
        close(end_s(2, ""), 700.0 + 1000.0);
        close(end_s(3, "spares = { standby = 1 }\n"), 300.0 + 1000.0);
        close(end_s(3, "spares = { lent = 1, back-after-s = 200 }\n"), 500.0 + 1000.0);
        // The standby first, though a lent one is there too.
        close(end_s(4, "spares = { standby = 1, lent = 1, back-after-s = 200 }\n"), 300.0 + 1000.0);
        // Back too late: the host itself is there before it.
        close(end_s(3, "spares = { lent = 1, back-after-s = 5000 }\n"), 700.0 + 1000.0);
    }
}

#[test]
fn what_stands_by_is_idle_what_is_lent_is_not_installed_and_both_are_told() {
    for policy in ["easy", "slurm"] {
        let pool = "spares = { standby = 1, lent = 1, back-after-s = 200 }\n";
        let played = play(policy, (4, pool, DOWN), TWO).unwrap();
        played.check(CELL);
        let gpu = played.outcome.hours.total().gpu;
        let gpu_s = |units: i128| units as f64 / 21_000.0 / 1e6;
        let (from, until) = (played.outcome.first_submit, played.outcome.last_instant);
        let span_s = until.since(from).as_s();
        assert_eq!(gpu_s(gpu.installed), 8.0 * 3.0 * span_s, "{policy}");
        assert_eq!(gpu_s(gpu.down), 8.0 * 400.0, "{policy}");
        // From 0 to 300 the third host, from 700 on the first: it stands by now.
        let standing = |node: u32| {
            let rows = played.outcome.standings().into_iter();
            let rows = rows.filter(|row| row.node.0 == node && row.standing == Standing::Spare);
            rows.map(|row| (row.from.since(from).as_s().round(), row.until.since(from).as_s().round()))
                .collect::<Vec<_>>()
        };
        assert_eq!(standing(2), [(0.0, 300.0)], "{policy}");
        assert_eq!(standing(0), [(700.0, span_s.round())], "{policy}");
        assert_eq!(standing(3), [(0.0, span_s.round())], "{policy}");
    }
}

/// A job that needs all hosts that should serve gets on as long as enough of all hosts are up. Each is up for a share
/// `a` of the time, whether it serves or stands by, so that is a sum of a binomial law.
#[test]
fn a_job_with_standbys_gets_on_as_often_as_a_binomial_law_says() {
    let (hosts, mtbf_h, repair_h) = (8_u32, 20.0, 4.0);
    let a: f64 = mtbf_h / (mtbf_h + repair_h);
    for standby in [0_u32, 1, 2] {
        let all = hosts + standby;
        let choose = |k: u32| (0..k).fold(1.0, |c, i| c * f64::from(all - i) / f64::from(i + 1));
        let at_most_down = |most: u32| {
            let pow = |x: f64, n: u32| libm::pow(x, f64::from(n));
            (0..=most).map(|k| choose(k) * pow(1.0 - a, k) * pow(a, all - k)).sum::<f64>()
        };
        let pool = format!(
            "spares = {{ standby = {standby} }}\n[design.d.pool.main.tenancy.bare-metal]\n\
             snapshots = {{ every-s = 60, takes-s = 0, restore-s = 0 }}\n\
             failures = {{ mtbf-hours = {mtbf_h}, repair = {{ typical-s = {} }} }}\n",
            repair_h * 3600.0
        );
        let pool = if standby == 0 { pool.replace("spares = { standby = 0 }\n", "") } else { pool };
        let run_s = 3000.0 * 3600.0;
        let trace =
            format!("job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,{run_s},{run_s},{hosts},{}\n", 8 * hosts);
        let ends_s = ["fcfs", "conservative", "srtf"].map(|policy| {
            let played = play(policy, (all, &pool, ""), &trace).unwrap();
            played.outcome.records.iter().next().unwrap().end.as_s()
        });
        let expected = at_most_down(standby);
        for end_s in ends_s {
            let found = run_s / end_s;
            assert!(
                (found / expected - 1.0).abs() < 0.05,
                "{standby} standbys: {found}, by the law {expected}"
            );
        }
    }
}

/// Four hosts on two leaves, and one that never fails.
fn on_leaves(failures: &str) -> Outcome {
    let design = design(&format!(
        "[design.d.fabric.f]\ntopology = 'fat-tree'\nnodes-per-leaf = 2\n[design.d.pool.p]\nnode = 'n'\ncount = 4\n\
         fabric = 'f'\n[design.d.pool.p.tenancy.bare-metal.failures]\nrepair = {{ typical-s = 600 }}\n{failures}\
         [design.d.pool.still]\nnode = 'n'\ncount = 1\n[design.d.route.r]\npools = ['still']\n"
    ));
    run(&trace().job(builders::job().run_s(3_600 * 20_000).cpus(1)).build(), &design)
}

#[test]
fn a_switch_takes_all_hosts_below_along() {
    let outcome = on_leaves("leaf = { mtbf-hours = 100 }\n");
    let facts = outcome.tenancy.as_ref().unwrap();
    let [.., leaf, spine] = facts.by_level;
    assert_eq!((leaf, spine), (facts.failures, 0));
    // Two leaves, two hosts each, every 100 h.
    assert!((leaf as f64 / (4.0 * 20_000.0 / 100.0) - 1.0).abs() < 0.12, "{leaf}");
    let at = |node: u32| {
        let of = outcome.spells.iter().filter(move |row| row.node.0 == node);
        of.map(|row| (row.from, row.until)).collect::<Vec<_>>()
    };
    assert!(at(0) == at(1) && at(2) == at(3) && at(0) != at(2) && !at(0).is_empty());
    // The spine is above all of them.
    let outcome = on_leaves("spine = { mtbf-hours = 100 }\n");
    let [.., leaf, spine] = outcome.tenancy.as_ref().unwrap().by_level;
    assert!(leaf == 0 && spine % 4 == 0, "{leaf} {spine}");
    assert!((spine as f64 / (4.0 * 20_000.0 / 100.0) - 1.0).abs() < 0.2, "{spine}");
}

#[test]
fn a_job_below_a_switch_is_lost_once_and_under_every_policy() {
    let pool = "fabric = 'f'\n[design.d.pool.main.tenancy.bare-metal]\n\
                failures = { leaf = { mtbf-hours = 2 }, repair = { typical-s = 600 } }\n";
    let fabric = "[design.d.fabric.f]\ntopology = 'fat-tree'\nnodes-per-leaf = 2\n";
    let trace = "job_id,submit_s,run_s,limit_s,nodes,gpus\n1,0,3000,3000,2,16\n2,0,3000,3000,2,16\n3,9000,3000,3000,4,32\n\
                 4,20000,6000,6000,4,32\n";
    for policy in POLICIES {
        let played = play(policy, (4, pool, fabric), trace).unwrap();
        played.check(CELL);
        let facts = played.outcome.tenancy.as_deref().unwrap();
        assert!(facts.failures > 0 && facts.failures.is_multiple_of(2), "{policy}: {}", facts.failures);
        assert!(facts.lost_attempts > 0, "{policy}");
        // Both hosts of a leaf go, and a job there is counted once.
        assert!(facts.lost_attempts <= facts.failures, "{policy}: {facts:?}");
        assert!(played.outcome.records.iter().all(|record| record.state == JobState::Completed), "{policy}");
    }
}

#[test]
fn batches_bring_hosts_down_together_and_leave_their_rate_alone() {
    let pools = |more: &str| {
        design(&format!(
            "[design.d.pool.p]\nnode = 'n'\ncount = 100\n[design.d.pool.p.tenancy.bare-metal.failures]\n\
             repair = {{ typical-s = 600 }}\nmtbf-hours = 500\n{more}[design.d.pool.still]\nnode = 'n'\ncount = 1\n\
             [design.d.route.r]\npools = ['still']\n"
        ))
    };
    let outcome =
        |more: &str| run(&trace().job(builders::job().run_s(3_600 * 10_000).cpus(1)).build(), &pools(more));
    let events = |outcome: &Outcome| {
        let mut at: Vec<_> = outcome.spells.iter().map(|row| row.from).collect();
        at.sort_unstable();
        at.dedup();
        at.len() as f64
    };
    for (more, mean, most) in [("", 1.0, 0.05), ("batch-mean = 3\n", 3.0, 0.12)] {
        let outcome = outcome(more);
        let failures = outcome.tenancy.as_ref().unwrap().failures as f64;
        assert!((failures / (100.0 * 10_000.0 / 500.2) - 1.0).abs() < most, "{more} {failures}");
        assert!((failures / events(&outcome) / mean - 1.0).abs() < 0.1, "{more} {}", events(&outcome));
    }
    // Waves: the count of a month differs by more than chance, the mean does not.
    let outcome = outcome("wave-shape = 2.0\n");
    let mut months = [0.0_f64; 13];
    let first = outcome.first_submit;
    for row in &outcome.spells {
        let month = row.from.since(first).as_s() / (365.25 / 12.0 * 86_400.0);
        if let Some(count) = months.get_mut(month as usize) {
            *count += 1.0;
        }
    }
    let mean = months.iter().sum::<f64>() / 13.0;
    let variance = months.iter().map(|count| (count - mean) * (count - mean)).sum::<f64>() / 12.0;
    assert!(variance > 10.0 * mean, "{variance} at {mean}: by chance alone they are equal");
}

#[test]
fn what_makes_no_sense_is_refused_and_what_is_written_comes_back() {
    let failures = "[design.d.pool.main.tenancy.bare-metal]\nfailures = { mtbf-hours = 100 }\n";
    let refused = |pool: &str, more: &str, code: &str, word: &str| {
        let Err(told) = play("easy", (4, pool, more), TWO) else { panic!("{pool} is taken") };
        assert!(told.iter().any(|row| row.0 == code && row.2.contains(word)), "{pool}: {told:?}");
    };
    refused("spares = { standby = 4 }\n", failures, "W0209", "leave none of the 4");
    refused("spares = { standby = 1 }\n", "", "W0243", "no host of the pool fails");
    refused("spares = { lent = 1 }\n", failures, "W0212", "how long");
    refused("spares = { standby = 1, back-after-s = 5 }\n", failures, "W0243", "no host is lent");
    let leaf = "[design.d.pool.main.tenancy.bare-metal]\nfailures = { leaf = { mtbf-hours = 100 } }\n";
    refused("", leaf, "W0243", "no switch is above");
    let leaf = "[design.d.pool.main.tenancy.bare-metal]\nfailures = { leaf = {} }\n";
    refused("", leaf, "W0212", "how often switches fail");
    refused("", &failures.replace("100 }", "100, batch-mean = 0.5 }"), "W0209", "batch-mean");

    let pool = "fabric = 'f'\nspares = { standby = 1, lent = 1, back-after-s = 60 }\n";
    let more = "[design.d.pool.main.tenancy.bare-metal]\nfailures = { leaf = { mtbf-hours = 10 }, host = { mtbf-hours = 5 }, \
                batch-mean = 1.37, wave-shape = 2.0 }\n[design.d.fabric.f]\ntopology = 'fat-tree'\nnodes-per-leaf = 2\n";
    let first = play("easy", (4, pool, more), TWO).unwrap();
    let again = CELL.play_text(&first.scenario.resolved_toml, TWO).unwrap();
    assert_eq!(again.scenario.resolved_toml, first.scenario.resolved_toml);
    assert_eq!(again.outcome.hours, first.outcome.hours);
}

//! Two ways to write the same thing are the same run: on random cells, whatever the policy.
//!
//! A relation is tried on every cell that the loader takes in both ways; how many that were is asserted, so that a
//! refusal more shows.

use super::cells::{Cell, LIVES, Played, SHARINGS};

/// Random traces of 40 jobs, the same for the same seed.
fn random_trace(seed: u64, parts: &str) -> String {
    let mut state = seed.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493);
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text =
        "job_id,submit_s,run_s,limit_s,user,cpus,gpus,gpu_milli,mig_profile,class,after,cancel_s\n"
            .to_owned();
    let mut submit = 0;
    for at in 1..=40 {
        submit += next(900);
        let gpus = [1, 1, 1, 2, 4, 8, 16][next(7) as usize];
        let run = 60 + next(6_000);
        let limit = run + next(6_000);
        let (milli, profile) = match (gpus, parts) {
            (1, "milli") => (["", "250", "500"][next(3) as usize], ""),
            (1, "7g") => ("", "7g.80gb"),
            _ => ("", ""),
        };
        let class = ["training", "debug", "inference-batch"][next(3) as usize];
        let after = if at > 3 && next(6) == 0 { format!("afterany:{}", at - 3) } else { String::new() };
        let cancel = if next(12) == 0 { (submit + next(3_000)).to_string() } else { String::new() };
        text += &format!(
            "{at},{submit},{run},{limit},u{},{},{gpus},{milli},{profile},{class},{after},{cancel}\n",
            next(3),
            gpus * 4
        );
    }
    text
}

const POLICIES: [&str; 6] = ["fcfs", "easy", "conservative", "slurm", "srtf", "tiresias"];

const NO_OVERHEAD: &str =
    "compute = 1.0\ngpu-memory = 1.0\nhost = 1.0\nintra-node = 1.0\ninter-node = 1.0\nstorage = 1.0\n";

fn cell(policy: &'static str, sharing: &'static str, life: &'static str) -> Cell {
    Cell { policy, sharing, tenancy: "bare-metal", life, feature: "plain" }
}

/// Runs two scenarios over one trace each; `None` where the loader refuses one of them.
fn both(cell: Cell, left: (&str, &str), right: (&str, &str)) -> Option<(Played, Played)> {
    let (left, right) = (cell.play_text(left.0, left.1), cell.play_text(right.0, right.1));
    Some((left.ok()?, right.ok()?))
}

fn assert_same_records(cell: Cell, left: &Played, right: &Played) {
    for (id, record) in left.outcome.records.iter_ids() {
        assert_eq!(*record, right.outcome.records[id], "{cell:?}: job {}", left.workload.job_name(id));
    }
}

fn assert_same(cell: Cell, left: &Played, right: &Played) {
    assert_same_records(cell, left, right);
    assert_eq!(left.outcome.hours, right.outcome.hours, "{cell:?}");
}

/// A scenario with one pool whose tenancy is written out.
fn with_tenancy(cell: Cell, tenancy: &str) -> String {
    let text = cell.text("");
    let from = text.find("[design.d.pool.main.tenancy").unwrap();
    format!("{}{tenancy}", &text[..from])
}

/// Life of hosts and sharing as in the cell, without the head of the table.
fn settings(cell: Cell) -> String {
    let pool = cell.pool("x");
    pool.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn a_vm_at_factor_one_is_bare_metal_bit_for_bit() {
    let mut tried = 0;
    for policy in POLICIES {
        for (at, sharing) in SHARINGS.into_iter().enumerate() {
            for life in ["none", "failures", "maintenance", "snapshots"] {
                let cell = cell(policy, sharing, life);
                let trace = random_trace(at as u64 + 17, if sharing == "whole" { "" } else { "milli" });
                let metal = with_tenancy(
                    cell,
                    &format!("[design.d.pool.main.tenancy.bare-metal]\n{}", settings(cell)),
                );
                let vm = with_tenancy(
                    cell,
                    &format!(
                        "[design.d.pool.main.tenancy.vm]\ncontention = 'off'\n{}[design.d.pool.main.tenancy.vm.overhead]\n\
                         {NO_OVERHEAD}",
                        settings(cell)
                    ),
                );
                let Some((metal, vm)) = both(cell, (&metal, &trace), (&vm, &trace)) else { continue };
                assert_same(cell, &metal, &vm);
                tried += 1;
            }
        }
    }
    assert!(tried >= 14, "{tried} cells");
}

#[test]
fn noise_without_variation_is_no_noise() {
    let mut tried = 0;
    for policy in POLICIES {
        for (at, sharing) in SHARINGS.into_iter().enumerate() {
            let cell = Cell { tenancy: "containers", ..cell(policy, sharing, "none") };
            let trace = random_trace(at as u64 + 31, if sharing == "whole" { "" } else { "milli" });
            let (quiet, noisy) = (cell.text(""), cell.text("noise = { cv = 0 }\n"));
            let Some((quiet, noisy)) = both(cell, (&quiet, &trace), (&noisy, &trace)) else { continue };
            assert_same(cell, &quiet, &noisy);
            tried += 1;
        }
    }
    assert!(tried >= 4, "{tried} cells");
}

#[test]
fn a_pool_that_nobody_can_use_changes_nothing() {
    let mut tried = 0;
    for policy in POLICIES {
        for (at, sharing) in SHARINGS.into_iter().enumerate() {
            for life in LIVES {
                let cell = cell(policy, sharing, life);
                if !cell.is_sensible() {
                    continue;
                }
                let trace = random_trace(at as u64 + 5, if sharing == "whole" { "" } else { "milli" });
                let tiny =
                    "[node.tiny]\ncpus = 1\nmem-mb = 1000\n[design.d.pool.zero]\nnode = 'tiny'\ncount = 3\n";
                let (mut alone, mut beside) = (cell.text(""), cell.text(tiny));
                if policy == "slurm" {
                    // Slurm compares the number of a job's nodes with that of the nodes of its partition, whatever they
                    // are: nobody can use a pool that is in another one.
                    let main = ("count = 2\n", "count = 2\npartitions = ['main']\n");
                    alone = alone.replace(main.0, main.1);
                    beside = beside.replace(main.0, main.1) + "partitions = ['zero']\n";
                }
                let Some((alone, beside)) = both(cell, (&alone, &trace), (&beside, &trace)) else { continue };
                assert_same_records(cell, &alone, &beside);
                tried += 1;
            }
        }
    }
    assert!(tried >= 20, "{tried} cells");
}

#[test]
fn names_of_pools_do_not_matter() {
    let mut tried = 0;
    for policy in POLICIES {
        for (at, sharing) in SHARINGS.into_iter().enumerate() {
            for life in ["none", "failures", "noise", "elastic"] {
                let tenancy = if matches!(life, "noise" | "elastic") { "vm-pass" } else { "bare-metal" };
                let cell = Cell { tenancy, ..cell(policy, sharing, life) };
                let trace = random_trace(at as u64 + 77, if sharing == "whole" { "" } else { "milli" });
                let name = |a: &str, b: &str| {
                    let second = format!(
                        "[design.d.pool.second]\nnode = 'dgx-h100'\ncount = 1\n{}",
                        cell.pool("design.d.pool.second")
                    );
                    cell.text(&second)
                        .replace("pool.main", &format!("pool.{a}"))
                        .replace("pool.second", &format!("pool.{b}"))
                };
                let (left, right) = (name("main", "second"), name("zulu", "alpha"));
                let Some((left, right)) = both(cell, (&left, &trace), (&right, &trace)) else { continue };
                assert_same(cell, &left, &right);
                tried += 1;
            }
        }
    }
    assert!(tried >= 15, "{tried} cells");
}

#[test]
fn hosts_that_never_fail_are_hosts_without_failures() {
    let mut tried = 0;
    for policy in POLICIES {
        for (at, sharing) in SHARINGS.into_iter().enumerate() {
            let cell = cell(policy, sharing, "none");
            let trace = random_trace(at as u64 + 3, if sharing == "whole" { "" } else { "milli" });
            // By whatever law, and at whatever level.
            let never = [
                "mtbf-hours = 1e8",
                "gpu = { mtbf-hours = 1e8 }, software = { mtbf-hours = 1e8 }",
                "mtbf-hours = 1e8, weibull-shape = 1.5, bad-share = 0.5, bad-factor = 2",
            ][at % 3];
            let (without, with) = (cell.text(""), cell.text(&format!("failures = {{ {never} }}\n")));
            let Some((without, with)) = both(cell, (&without, &trace), (&with, &trace)) else { continue };
            assert_same(cell, &without, &with);
            tried += 1;
        }
    }
    assert!(tried >= 4, "{tried} cells");
}

#[test]
fn the_largest_instance_is_a_whole_gpu() {
    let mut tried = 0;
    for policy in ["fcfs", "easy", "sjf", "priority", "slurm"] {
        for seed in 0..6 {
            let cell = cell(policy, "whole", "none");
            let cut = cell.text("mig = 'static'\nmig-layouts = [{ gpus = 8, instances = ['7g.80gb'] }]\n");
            // Jobs on one GPU only: an instance is no part of a job on several.
            let only_one = |text: String| {
                let keep = |line: &&str| line.starts_with("job_id") || line.split(',').nth(6) == Some("1");
                text.lines().filter(keep).map(|line| without_after(line) + "\n").collect::<String>()
            };
            let (slices, whole) = (only_one(random_trace(seed, "7g")), only_one(random_trace(seed, "")));
            let Some((slices, whole)) = both(cell, (&cut, &slices), (&cell.text(""), &whole)) else {
                continue;
            };
            assert_same_records(cell, &slices, &whole);
            tried += 1;
        }
    }
    assert!(tried >= 24, "{tried} cells");
}

/// A row without its dependency, whose job may have been taken out.
fn without_after(line: &str) -> String {
    let cells: Vec<&str> = line.split(',').collect();
    let is_head = cells[0] == "job_id";
    let row = cells.iter().enumerate().map(|(at, cell)| if at == 10 && !is_head { "" } else { *cell });
    row.collect::<Vec<_>>().join(",")
}

#[test]
fn parts_asked_for_on_whole_gpus_are_whole_gpus() {
    let mut tried = 0;
    for policy in POLICIES {
        for life in LIVES {
            let tenancy = if matches!(life, "noise" | "elastic") { "vm-pass" } else { "bare-metal" };
            let cell = Cell { tenancy, ..cell(policy, "whole", life) };
            // Measured on whole GPUs, so that run times are the same.
            let text = cell.text("").replace("trace = 't.csv'", "trace = 't.csv'\nmeasured-on = 'whole-gpu'");
            let parts = random_trace(9, "milli");
            let drop_milli = |line: &str| {
                let cells: Vec<&str> = line.split(',').collect();
                let row = cells
                    .iter()
                    .enumerate()
                    .map(|(at, cell)| if at == 7 && cells[0] != "job_id" { "" } else { *cell });
                row.collect::<Vec<_>>().join(",") + "\n"
            };
            let whole: String = parts.lines().map(drop_milli).collect();
            let Some((parts, whole)) = both(cell, (&text, &parts), (&text, &whole)) else { continue };
            assert_same_records(cell, &parts, &whole);
            parts.check(cell);
            let (ours, theirs) = (parts.outcome.hours.total().gpu, whole.outcome.hours.total().gpu);
            assert_eq!(ours.allocated(), theirs.allocated(), "{cell:?}");
            assert!(ours.slack > theirs.slack, "{cell:?}: what they did not ask for is slack");
            tried += 1;
        }
    }
    assert!(tried >= 20, "{tried} cells");
}

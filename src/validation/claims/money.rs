//! Claims on what bare metal and VMs cost, bought and rented.

use super::priced::{
    At, Batch, Priced, WHILE_USED, add, break_even, burst, daily, flows, owned, pool, rented, run,
    run_generated, servers,
};
use super::{Claim, Verdict, claim, named};
use crate::workload::Workload;

pub(super) fn claims() -> Vec<Claim> {
    let mut claims = bursts_and_steady_load();
    claims.extend(years());
    claims.extend(thresholds());
    claims.extend(billing());
    claims.push(hybrid());
    claims
}

/// Reproduced where it holds at every price of the catalogue, only under `condition` where it holds at typical ones.
fn at_prices(typical: bool, worst: bool, condition: &str, otherwise: &str) -> Verdict {
    match (typical, worst) {
        (true, true) => Verdict::Reproduced,
        (true, false) => Verdict::OnlyIf(condition.to_owned()),
        (false, _) => Verdict::Refuted(otherwise.to_owned()),
    }
}

/// Owned against rented by the second, at typical prices, and at those that speak against one of them.
pub(super) fn pair(workload: &Workload, rented_count: u32, own: At, rent: At) -> [Priced; 2] {
    let designs = [
        servers("owned", 2, &owned(own)),
        servers("rented", rented_count, &format!("[POOL.tenancy.vm]\n{}", rented(rent, WHILE_USED))),
    ];
    let mut found = run(&designs, workload);
    let second = found.remove(1);
    [found.remove(0), second]
}

fn bursts_and_steady_load() -> Vec<Claim> {
    let [metal, vms] = pair(&burst(), 8, At::Typical, At::Typical);
    let [cheap_metal, dear_vms] = pair(&burst(), 8, At::Low, At::High);
    let steady = daily("training", 23.0);
    let [busy, paid] = pair(&steady, 2, At::Typical, At::Typical);
    let [dear_metal, cheap_vms] = pair(&steady, 2, At::High, At::Low);
    let [idle, by_use] = pair(&daily("training", 7.0), 2, At::Typical, At::Typical);
    let is_headline = |owned: &Priced, rented: &Priced| owned.per_hour < rented_rate(rented);
    vec![
        claim(
            "12",
            "S0",
            "VMs are cheaper for bursty, short, dev/test and unpredictable use",
            "a month with one burst, 2 servers owned or 8 rented by the second, USD per useful GPU-hour",
            vec![
                named("use of the owned", metal.used),
                named("owned", metal.per_useful),
                named("VMs", vms.per_useful),
                named("owned at the lowest price", cheap_metal.per_useful),
                named("VMs at the highest", dear_vms.per_useful),
            ],
            at_prices(
                vms.per_useful < metal.per_useful,
                dear_vms.per_useful < cheap_metal.per_useful,
                "VMs are not rented at the highest price of the catalogue",
                "the owned are cheaper",
            ),
        ),
        claim(
            "13, 65",
            "S0",
            "bare metal is cheaper for continuous, steady load (lower TCO)",
            "23 h a day for a month, 2 servers, USD per useful GPU-hour",
            vec![
                named("owned", busy.per_useful),
                named("VMs", paid.per_useful),
                named("owned at the highest price", dear_metal.per_useful),
                named("VMs at the lowest", cheap_vms.per_useful),
            ],
            at_prices(
                busy.per_useful < paid.per_useful,
                dear_metal.per_useful < cheap_vms.per_useful,
                "VMs are not rented at the lowest and servers bought at the highest price of the catalogue",
                "the VMs are cheaper",
            ),
        ),
        claim(
            "90",
            "S3",
            "compare by cost per useful hour, not by headline rate",
            "7 h a day for a month: USD per hour of the price list and per useful GPU-hour",
            vec![
                named("owned, installed hour", idle.per_hour),
                named("VMs, hour of the list", rented_rate(&by_use)),
                named("owned, useful hour", idle.per_useful),
                named("VMs, useful hour", by_use.per_useful),
            ],
            Verdict::of(
                is_headline(&idle, &by_use) && idle.per_useful > by_use.per_useful,
                "both rank the offers alike",
            ),
        ),
    ]
}

/// What is paid for a GPU-hour that is billed.
fn rented_rate(rented: &Priced) -> f64 {
    // Installed hours x their price / hours that were used.
    rented.per_hour / rented.used.max(1e-9)
}

fn years() -> Vec<Claim> {
    let both = |hours: f64, years: u32, own: At, rent: At| {
        let designs = [
            servers("rented", 2, &format!("[POOL.tenancy.vm]\n{}", rented(rent, WHILE_USED))),
            servers("owned", 2, &owned(own)),
        ];
        flows(&designs, daily("training", hours), years)
    };
    let (busy, idle) = (both(23.0, 5, At::Typical, At::Typical), both(7.0, 5, At::Typical, At::Typical));
    let three = both(23.0, 3, At::Typical, At::Typical);
    let worst = both(23.0, 5, At::High, At::Low);
    let never = |months: Option<u32>| f64::from(months.unwrap_or(0));
    let within_three = |months: Option<u32>| months.is_some_and(|months| months <= 36);
    vec![
        claim(
            "14",
            "S0",
            "VM premiums add up over time",
            "2 servers, 5 years: months until all rent paid is more than all paid for the owned (0 = never)",
            vec![
                named("at 23 h a day", never(busy[1].payback_months)),
                named("at 7 h a day", never(idle[1].payback_months)),
                named("at 23 h, owned dearest, VMs cheapest", never(worst[1].payback_months)),
                named("rent in 5 years, thousand USD", busy[0].total / 1e3),
                named("owned in 5 years, thousand USD", busy[1].total / 1e3),
            ],
            match (within_three(busy[1].payback_months), within_three(idle[1].payback_months)) {
                (true, true) => Verdict::Reproduced,
                (true, false) => Verdict::OnlyIf("they are used most of the time".into()),
                (false, _) => Verdict::Refuted("not within three years".into()),
            },
        ),
        claim(
            "32",
            "S1",
            "bare metal has a high entry cost and a low TCO, virtual GPUs a low entry",
            "2 servers at 23 h a day, thousand USD",
            vec![
                named("first year, owned", busy[1].years[0] / 1e3),
                named("first year, VMs", busy[0].years[0] / 1e3),
                named("3 years, owned", three[1].total / 1e3),
                named("3 years, VMs", three[0].total / 1e3),
                named("5 years, owned", busy[1].total / 1e3),
                named("5 years, VMs", busy[0].total / 1e3),
                named("5 years, owned dearest", worst[1].total / 1e3),
                named("5 years, VMs cheapest", worst[0].total / 1e3),
                named("5 years at 7 h a day, owned", idle[1].total / 1e3),
                named("5 years at 7 h a day, VMs", idle[0].total / 1e3),
            ],
            if busy[1].years[0] <= busy[0].years[0] {
                Verdict::Refuted("the first year costs no more".into())
            } else {
                at_prices(
                    busy[1].total < busy[0].total,
                    worst[1].total < worst[0].total && idle[1].total < idle[0].total,
                    "they are busy and VMs are not at their cheapest",
                    "the TCO of the owned is higher",
                )
            },
        ),
    ]
}

fn thresholds() -> Vec<Claim> {
    let on_demand = |level| rented(level, WHILE_USED);
    let found = [
        ("owned, typical", break_even(&owned(At::Typical), &on_demand(At::Typical))),
        ("owned, cheapest against dearest VMs", break_even(&owned(At::Low), &on_demand(At::High))),
        ("owned, dearest against cheapest VMs", break_even(&owned(At::High), &on_demand(At::Low))),
        (
            "reserved for a year",
            break_even(&rented(At::Typical, "plan = \"reserved-1y\""), &on_demand(At::Typical)),
        ),
        (
            "reserved for three years",
            break_even(&rented(At::Typical, "plan = \"reserved-3y\""), &on_demand(At::Typical)),
        ),
    ];
    // What never breaks even does it above full use.
    let shares = found.map(|(name, share)| match share {
        Some(share) => named(name, share),
        None => (format!("{name} (1 = not at full use)"), 1.0),
    });
    let typical = [shares[0].1, shares[3].1, shares[4].1];
    let is_near = typical.iter().all(|share| (0.5..=0.7).contains(share));
    let lowest = typical.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = typical.iter().copied().fold(0.0, f64::max);
    let sweep = [0.1, 0.25, 0.5, 0.75, 0.97].map(|share| {
        let [owned, rented] = pair(&daily("training", 24.0 * share), 2, At::Typical, At::Typical);
        (share, owned.per_useful, rented.per_useful)
    });
    let half = sweep[2].1 / sweep[4].1;
    let mut by_use: Vec<(String, f64)> =
        sweep.iter().map(|(share, owned, _)| named(&format!("owned at {share}"), *owned)).collect();
    by_use.push(named("rented by the second", sweep[2].2));
    by_use.push(named("half idle / full", half));
    vec![
        claim(
            "70",
            "S2",
            "above 60 % use owning or reserving beats VMs on demand",
            "use at which a useful GPU-hour costs the same, 2 servers for a month",
            shares.to_vec(),
            match is_near {
                true => Verdict::Reproduced,
                false if lowest <= 0.6 && highest >= 0.6 => Verdict::OnlyIf(format!(
                    "60 % is taken as the middle: from {:.0} to {:.0} % by contract",
                    lowest * 100.0,
                    highest * 100.0
                )),
                false => Verdict::Refuted(format!(
                    "it lies from {:.0} to {:.0} % by contract",
                    lowest * 100.0,
                    highest * 100.0
                )),
            },
        ),
        claim(
            "85",
            "S3",
            "utilization decides which is cheaper; a server idle half the day is expensive",
            "2 servers for a month by use, USD per useful GPU-hour",
            by_use,
            Verdict::of(
                sweep[0].1 > sweep[0].2 && sweep[4].1 < sweep[4].2 && half > 1.5,
                "one of them is cheaper at every use",
            ),
        ),
        evaluate_metal(),
    ]
}

/// Cost of a useful GPU-hour by the GPU-hours from which jobs go to owned metal: one server beside VMs by the second,
/// jobs of one GPU from half an hour to 64 hours, as many GPU-hours of each length.
fn by_threshold(waves: i64, hours: f64) -> Priced {
    let mut workload = Workload::default();
    let span = 14 * 86_400 / waves;
    for wave in 0..waves {
        for half_hours in [1i64, 2, 4, 8, 16, 32, 64, 128] {
            let batch = Batch { class: "training", gpus: 1, nodes: 1, run_s: half_hours * 1800 };
            // Evenly spread, each length with a phase of its own.
            let count = 128 / half_hours;
            (0..count).for_each(|at| {
                add(
                    &mut workload,
                    batch,
                    wave * span + (at * 1000 + half_hours * 7) * span / (count * 1000),
                    1,
                );
            });
        }
    }
    let mut rows: Vec<_> = workload.jobs.iter().cloned().collect();
    rows.sort_by_key(|job| job.submit);
    workload.jobs = rows.into_iter().collect();
    let design = [
        pool("hybrid", "metal", 1, &owned(At::Typical)),
        pool("hybrid", "vms", 8, &format!("[POOL.tenancy.vm]\n{}", rented(At::Typical, WHILE_USED))),
        format!(
            "[design.hybrid.route.long]\nlimit-min-s = {:.0}\npools = [\"metal\"]\nspill = [\"vms\"]\n\
             [design.hybrid.route.short]\npools = [\"vms\"]\n",
            hours * 3600.0
        ),
    ]
    .concat();
    run(&[design], &workload).remove(0)
}

fn evaluate_metal() -> Claim {
    let thresholds = [1.0, 4.0, 16.0, 64.0];
    let best = |waves: i64| {
        let found = thresholds.map(|hours| by_threshold(waves, hours));
        let cheapest = (0..4).min_by(|a, b| found[*a].per_useful.total_cmp(&found[*b].per_useful));
        (found, thresholds[cheapest.unwrap_or(0)])
    };
    let ((few, best_few), (many, best_many)) = (best(1), best(4));
    let mut figures: Vec<(String, f64)> = thresholds
        .iter()
        .zip(&many)
        .map(|(hours, found)| named(&format!("from {hours} h, USD per useful hour"), found.per_useful))
        .collect();
    figures.extend(
        thresholds
            .iter()
            .zip(&few)
            .map(|(hours, found)| named(&format!("a quarter of the load, from {hours} h"), found.per_useful)),
    );
    figures.push(named("cheapest threshold", best_many));
    figures.push(named("at a quarter of the load", best_few));
    claim(
        "71",
        "S2",
        "evaluate metal for training above 4 GPU-hours or inference above 10 requests/s",
        "jobs of one GPU, one owned server beside VMs by the second, jobs from so many hours on metal",
        figures,
        if best_few != best_many {
            Verdict::Refuted(
                "the cheapest threshold moves with the load: what fills the metal decides".into(),
            )
        } else if best_many == 4.0 {
            Verdict::OnlyIf("it is about training: requests need services".into())
        } else if best_many == thresholds[0] {
            Verdict::Refuted(
                "the lower the threshold the cheaper, at both loads: what fills the metal decides".into(),
            )
        } else {
            Verdict::Refuted(format!("it is cheapest from {best_many} GPU-hours on, at both loads"))
        },
    )
}

fn billing() -> Vec<Claim> {
    let billed = |hours: f64, contract: &str| {
        run(&[servers("d", 2, &rented(At::Typical, contract))], &daily("training", hours))
            .remove(0)
            .per_useful
    };
    let by_block = |hours: &str| format!("{WHILE_USED}\nbilling = \"block\"\nblock-hours = {hours}");
    let (second, day, week) =
        (billed(7.0, WHILE_USED), billed(7.0, &by_block("24")), billed(7.0, &by_block("168")));
    let (full_second, full_week) = (billed(23.0, WHILE_USED), billed(23.0, &by_block("168")));
    let (reserved, reserved_idle) =
        (billed(23.0, "plan = \"reserved-3y\""), billed(7.0, "plan = \"reserved-3y\""));
    let short = |contract: &str| {
        let mut workload = Workload::default();
        (0..30).for_each(|day| add(&mut workload, Batch::server("debug", 0.2), day * 86_400, 2));
        run(&[servers("d", 2, &rented(At::Typical, contract))], &workload).remove(0).per_useful
    };
    let (fine, hourly, daily) =
        (short(WHILE_USED), short(&format!("{WHILE_USED}\nbilling = \"hour\"")), short(&by_block("24")));
    vec![
        claim(
            "82",
            "S3",
            "metal is rented in larger, longer blocks",
            "the same price by the second and in blocks, USD per useful GPU-hour",
            vec![
                named("7 h a day, by the second", second),
                named("7 h a day, blocks of a day", day),
                named("7 h a day, blocks of a week", week),
                named("23 h a day, by the second", full_second),
                named("23 h a day, blocks of a week", full_week),
            ],
            if week > second * 1.2 && full_week < full_second * 1.2 {
                Verdict::OnlyIf(
                    "it stands idle: a block costs more there, and hardly anything at full use".into(),
                )
            } else {
                Verdict::of(week > second, "a block costs nothing more")
            },
        ),
        claim(
            "83",
            "S3",
            "billing of metal can give a lower rate when full",
            "reserved for three years against on demand, USD per useful GPU-hour",
            vec![
                named("23 h a day, reserved", reserved),
                named("23 h a day, on demand", full_second),
                named("7 h a day, reserved", reserved_idle),
                named("7 h a day, on demand", second),
            ],
            match (reserved < full_second, reserved_idle < second) {
                (true, false) => Verdict::Reproduced,
                (true, true) => Verdict::OnlyIf("use does not matter: it is lower at 7 h a day too".into()),
                (false, _) => Verdict::Refuted("it is no lower".into()),
            },
        ),
        claim(
            "84",
            "S3",
            "virtual billing is finer and stops with the job",
            "a job of 12 minutes a day on each of 2 servers, USD per useful GPU-hour",
            vec![named("by the second", fine), named("by the hour", hourly), named("by the day", daily)],
            Verdict::of(fine < hourly && hourly < daily, "the step makes no difference"),
        ),
    ]
}

/// A team's two weeks on metal, on VMs, and with the large jobs on metal.
fn hybrid() -> Claim {
    let vm = format!("[POOL.tenancy.vm]\n{}", rented(At::Typical, WHILE_USED));
    let found = |load: &str| {
        let text = [
            format!(
                "[workload.generate.research]\npreset = \"research-team\"\ndays = 14\nload = {load}\ngpus = 16\n\
                 gpus-per-node = 8\n[policy.easy]\nplacement = \"best-fit\"\n"
            ),
            servers("metal", 3, &owned(At::Typical)),
            servers("vms", 6, &vm),
            pool("hybrid", "metal", 2, &owned(At::Typical)),
            pool("hybrid", "vms", 4, &vm),
            "[design.hybrid.route.large]\ngpus-min = 4\npools = [\"metal\"]\nspill = [\"vms\"]\n\
             [design.hybrid.route.small]\npools = [\"vms\", \"metal\"]\n"
                .to_owned(),
        ];
        run_generated(&text.concat())
    };
    let loads = [("load 0.4", found("0.4")), ("load 0.9", found("0.9"))];
    let mut figures = Vec::new();
    for (load, found) in &loads {
        for (name, row) in ["metal", "VMs", "hybrid"].iter().zip(found) {
            figures.push(named(&format!("{load}, {name}, USD per useful hour"), row.per_useful));
            figures.push(named(&format!("{load}, {name}, p95 wait h"), row.wait_p95_s / 3600.0));
        }
    }
    let on_front = |found: &[Priced]| {
        let hybrid = &found[2];
        !found[..2].iter().any(|other| {
            other.per_useful <= hybrid.per_useful
                && other.wait_p95_s <= hybrid.wait_p95_s
                && (other.per_useful < hybrid.per_useful || other.wait_p95_s < hybrid.wait_p95_s)
        })
    };
    let held = loads.iter().filter(|(_, found)| on_front(found)).count();
    claim(
        "88",
        "S3",
        "a virtual baseline plus metal for the heaviest jobs captures both strengths",
        "a team's two weeks on 3 owned servers, 6 rented, or 2 owned for jobs from 4 GPUs beside 4 rented",
        figures,
        match held {
            2 => Verdict::Reproduced,
            1 => Verdict::OnlyIf("the load is right: at the other one is both cheaper and quicker".into()),
            _ => Verdict::Refuted("another is both cheaper and quicker at both loads".into()),
        },
    )
}

//! Claims on neighbours and strangers.

use super::stage::{Jobs, cv, design, mean, play, quantile, run_times};
use super::{Claim, Verdict, claim};

fn noisy(settings: &str) -> String {
    format!(
        "[POOL.tenancy.vm]\ncontention = \"off\"\n[POOL.tenancy.vm.overhead]\nlevel = \"typical\"\n\
         [POOL.tenancy.vm.noise]\n{settings}"
    )
}

/// Run times of jobs, one on each of `count` hosts.
fn apart(count: u32, tenancy: &str, nodes: u32) -> Vec<f64> {
    let jobs =
        Jobs { count: (count / nodes) as usize, run_s: 600, ..Jobs::one("training", 8 * nodes, nodes) };
    run_times(&play(&design(count, tenancy), &[jobs], 1))
}

/// Run times of `count` jobs with a GPU each on one host whose jobs compete.
fn together(count: usize, class: &'static str, level: &str) -> Vec<f64> {
    let pool = format!(
        "[POOL.tenancy.vm]\ncontention = \"{level}\"\n[POOL.tenancy.vm.overhead]\nlevel = \"typical\""
    );
    run_times(&play(&design(1, &pool), &[Jobs { count, ..Jobs::one(class, 1, 1) }], 1))
}

pub(super) fn claims() -> Vec<Claim> {
    let default = apart(2_000, &noisy(""), 1);
    let metal = apart(2_000, "", 1);
    let hit = default.iter().filter(|time| **time > quantile(&default, 0.0) * 1.001).count() as f64
        / default.len() as f64;
    let sizes = [1, 4, 16];
    let slowest = sizes.map(|nodes| mean(&apart(1_600, &noisy("cv = 0.05"), nodes)) / 600.0);
    let (alone, crowd) = (together(1, "debug", "typical")[0], mean(&together(8, "debug", "typical")));
    let crowd_high = mean(&together(8, "debug", "high"));
    let mig = |count: usize| {
        let layout = "[POOL.tenancy.bare-metal]\nmig = \"static\"\nmig-layouts = [{ instances = [\"1g.10gb\", \"1g.10gb\", \
                      \"1g.10gb\", \"1g.10gb\", \"1g.10gb\", \"1g.10gb\", \"1g.10gb\"] }]";
        super::stage::instances(&design(1, layout), "1g.10gb", count)
    };
    let (one, seven) = (mig(1), mig(7));
    vec![
        claim(
            "2, 77",
            "S0",
            "the speed of VMs varies with the load of their hosts",
            "jobs of one host, contention typical",
            vec![
                ("alone".to_owned(), alone / 1e4),
                ("with 7 others".to_owned(), crowd / 1e4),
                ("with 7 others, high".to_owned(), crowd_high / 1e4),
            ],
            Verdict::of(crowd > alone * 1.001, "no difference at typical losses"),
        ),
        claim(
            "11",
            "S0",
            "bare metal gives the same performance every run",
            "2,000 runs",
            vec![
                ("CV on metal".to_owned(), cv(&metal)),
                ("CV on VMs with strangers".to_owned(), cv(&default)),
            ],
            if cv(&metal) == 0.0 && cv(&default) > 0.0 {
                Verdict::OnlyIf(
                    "nothing but neighbours varies: metal has no noise of its own here, 0.5-1 % are reported"
                        .into(),
                )
            } else {
                Verdict::Refuted("metal varies".into())
            },
        ),
        claim(
            "78",
            "S3",
            "bursts of neighbours hit now and then",
            "default noise, 2,000 hosts, 10 min",
            vec![
                ("share of jobs hit".to_owned(), hit),
                ("p99 / p50".to_owned(), quantile(&default, 0.99) / quantile(&default, 0.5)),
            ],
            Verdict::of((0.02..=0.3).contains(&hit), "hardly ever, or all the time"),
        ),
        claim(
            "29",
            "S1",
            "sharing adds 2-5 % jitter",
            "default noise, 2,000 hosts",
            vec![("CV".to_owned(), cv(&default))],
            if (0.02..=0.05).contains(&cv(&default)) {
                Verdict::OnlyIf("the run is on its host alone or its GPU is not time-sliced: the default is taken from this claim".into())
            } else {
                Verdict::Refuted("another variation".into())
            },
        ),
        claim(
            "106",
            "S4",
            "VMs contend for memory bandwidth and fabric",
            "8 jobs on a host",
            vec![
                ("debug, typical".to_owned(), crowd / alone),
                ("debug, high".to_owned(), crowd_high / alone),
                (
                    "training, typical".to_owned(),
                    mean(&together(8, "training", "typical")) / together(1, "training", "typical")[0],
                ),
            ],
            Verdict::of(crowd > alone, "no contention"),
        ),
        claim(
            "108",
            "S4",
            "MIG isolates in hardware without a hypervisor",
            "1g instances of one GPU",
            vec![("s alone".to_owned(), one), ("s with 6 others".to_owned(), seven)],
            if one == seven {
                Verdict::OnlyIf("what instances share is left out, as one measurement found (0.34 s whatever the neighbours)".into())
            } else {
                Verdict::Refuted("neighbours matter".into())
            },
        ),
        claim(
            "93",
            "S0",
            "multi-node widens the gap: a large job meets the noise of all its hosts",
            "CV 5 %, mean slowdown",
            sizes.iter().zip(slowest).map(|(nodes, value)| (format!("{nodes} hosts"), value)).collect(),
            Verdict::of(slowest[2] > slowest[0], "no difference"),
        ),
    ]
}

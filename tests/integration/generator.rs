//! What the generators promise: determinism, load, shapes, shares, and samplers as good as a library's.

use std::collections::BTreeMap;
use std::io::Read;

use proptest::prelude::*;
use rand_distr::Distribution;
use windtunnel::random::Stream;
use windtunnel::workload::Workload;
use windtunnel::workload::generate::{
    ClassParams, JobTypes, LublinParams, Model, Preset, ResearchParams, RunPart, generate,
};
use windtunnel::workload::stats::{Capacity, Quantiles, TraceStats, stats};

use super::shared;

fn research(params: ResearchParams, seed: u64) -> Workload {
    generate(&Model::Research(params), seed).unwrap()
}

fn figures(w: &Workload, gpus: u64) -> TraceStats {
    stats(w, Some(Capacity { gpus: Some(gpus), ..Capacity::default() }))
}

#[test]
fn every_preset_meets_its_load_and_repeats() {
    for (preset, name) in Preset::ALL {
        for seed in [1, 2] {
            let params = ResearchParams { preset: Some(preset), ..ResearchParams::default() };
            let all = params.over_preset();
            let w = research(params.clone(), seed);
            let load = figures(&w, u64::from(all.gpus.unwrap())).offered_load_gpu.unwrap();
            assert!((load / all.load.unwrap() - 1.0).abs() < 0.02, "{name}, seed {seed}: load {load}");
            assert_eq!(w.jobs, research(params, seed).jobs, "{name}");
        }
    }
}

#[test]
fn jobs_and_load_give_exactly_these_jobs() {
    for (jobs, load) in [(2_000, 0.5), (5_000, 0.9), (20_000, 1.2)] {
        let params = ResearchParams { jobs: Some(jobs), load: Some(load), ..ResearchParams::default() };
        let s = figures(&research(params, 9), 16);
        assert_eq!(s.jobs, jobs);
        let got = s.offered_load_gpu.unwrap();
        assert!((got / load - 1.0).abs() < 0.02, "{jobs} jobs: {got} against {load}");
    }
}

#[test]
fn submissions_follow_the_hours_and_the_days() {
    let params = ResearchParams { jobs: Some(60_000), ..ResearchParams::default() };
    let s = figures(&research(params, 4), 16);
    let (hours, days) = (&s.arrivals.by_hour, &s.arrivals.by_weekday);
    let working: f64 = hours[9..18].iter().sum::<f64>() / 9.0;
    let night: f64 = hours[1..6].iter().sum::<f64>() / 5.0;
    assert!(working > 3.0 * night, "{working} by day, {night} by night");
    assert!(days[..5].iter().all(|d| *d > 1.4 * days[5].max(days[6])), "{days:?}");
    // Bursts make arrivals far from Poisson (1), and weeks differ.
    assert!(s.arrivals.dispersion_per_hour.unwrap() > 5.0);
    assert!(s.gpu_demand.unwrap().weekly_variation.unwrap() > 0.05);
}

#[test]
fn a_flat_cycle_is_flat() {
    let mut params = flat("solo", 40_000);
    params.hours = Some(vec![1.0; 24]);
    params.weekdays = Some(vec![1.0; 7]);
    let s = figures(&research(params, 4), 16);
    assert!(s.arrivals.by_hour.iter().all(|h| (h - 1.0).abs() < 0.1), "{:?}", s.arrivals.by_hour);
    // Single jobs at a constant rate are a Poisson process.
    assert!((s.arrivals.interarrival_cv2.unwrap() - 1.0).abs() < 0.1);
    assert!((s.arrivals.dispersion_per_hour.unwrap() - 1.0).abs() < 0.15);
}

/// The default preset with one class of its own, `jobs` single jobs on one GPU, and none of the others.
fn flat(name: &str, jobs: u64) -> ResearchParams {
    let base = ResearchParams::default().over_preset();
    let mut class: BTreeMap<String, ClassParams> = base
        .class
        .unwrap()
        .into_keys()
        .map(|k| (k, ClassParams { share: Some(0.0), ..Default::default() }))
        .collect();
    let own = ClassParams {
        share: Some(1.0),
        gpus: Some(vec![(1, 1.0)]),
        run: Some(vec![RunPart { weight: 1.0, median_s: 1000.0, sigma: 1.0 }]),
        run_max_s: Some(1_000_000_000),
        ..ClassParams::default()
    };
    class.insert(name.to_owned(), own);
    ResearchParams {
        jobs: Some(jobs),
        week_sigma: Some(0.0),
        class: Some(class),
        ..ResearchParams::default()
    }
}

#[test]
fn similarity_leaves_the_distribution_of_runs_alone() {
    let quantiles = |similarity: f64| -> Quantiles {
        let mut params = flat("solo", 60_000);
        let own = params.class.as_mut().unwrap().get_mut("solo").unwrap();
        own.similarity = Some(similarity);
        own.burst_median = Some(3.0);
        figures(&research(params, 11), 16).run_s.unwrap()
    };
    for similarity in [0.0, 0.5, 1.0] {
        let q = quantiles(similarity);
        // Log-normal of median 1000 and sigma 1: mean 1000 exp(1/2), 90 % at 1000 exp(1.2816).
        for (got, want) in [(q.p50, 1000.0), (q.mean, 1648.7), (q.p90, 3602.2)] {
            assert!((got / want - 1.0).abs() < 0.05, "similarity {similarity}: {got} against {want}");
        }
    }
}

#[test]
fn class_shares_count_jobs_whatever_the_bursts() {
    let params = ResearchParams { jobs: Some(200_000), ..ResearchParams::default() };
    let all = params.over_preset().class.unwrap();
    let s = figures(&research(params, 2), 16);
    for (name, class) in all {
        let got = s.classes[&name].jobs as f64 / s.jobs as f64;
        assert!((got / class.share.unwrap() - 1.0).abs() < 0.1, "{name}: {got}");
    }
}

#[test]
fn limits_are_human_and_never_below_the_run() {
    let params = ResearchParams { jobs: Some(20_000), ..ResearchParams::default() };
    let usual = params.over_preset().human_limits_s.unwrap();
    let w = research(params, 2);
    for job in w.jobs.iter() {
        let limit_s = (job.limit.micros() / 1_000_000) as u64;
        assert!(
            job.limit >= job.run && (usual.contains(&limit_s) || limit_s.is_multiple_of(86_400)),
            "{limit_s}"
        );
    }
    let accuracy = figures(&w, 16).limits.accuracy.unwrap();
    assert!((0.1..0.4).contains(&accuracy.mean), "run / limit {accuracy:?}");
}

#[test]
fn a_few_users_do_most() {
    let s = figures(
        &research(ResearchParams { preset: Some(Preset::TrainingCluster), ..Default::default() }, 3),
        128,
    );
    assert!(s.users.top_5_share.unwrap() > 0.4 && s.users.users == 40);
}

#[test]
fn lublin_mixed_is_distributed_as_the_authors_trace() {
    let Some(path) = shared::folder("traces/swf/lublin_256.swf.gz") else { return };
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let rows: Vec<Vec<f64>> = text
        .lines()
        .filter(|l| !l.starts_with(';'))
        .map(|l| l.split_whitespace().map(|f| f.parse().unwrap()).collect())
        .collect();
    let params = LublinParams { jobs: Some(10_000), types: Some(JobTypes::Mixed), ..Default::default() };
    let w = generate(&Model::Lublin(params), 5).unwrap();
    let sizes: Vec<f64> =
        w.jobs.iter().map(|j| f64::from(w.requests.get(j.request).tasks.unwrap())).collect();
    let runs: Vec<f64> = w.jobs.iter().map(|j| j.run.as_s()).collect();
    let gaps = |t: &[f64]| t.windows(2).map(|w| w[1] - w[0]).collect::<Vec<f64>>();
    let column = |at: usize| rows.iter().map(|r| r[at]).collect::<Vec<f64>>();
    let submits: Vec<f64> = w.jobs.iter().map(|j| j.submit.as_s()).collect();
    // Two samples of 10,000 from one distribution differ by less than 0.023 in 99 of 100 cases.
    for (what, ours, theirs) in [
        ("sizes", sizes, column(4)),
        ("run times", runs, column(3)),
        ("gaps", gaps(&submits), gaps(&column(1))),
    ] {
        let distance = super::goodness_of_fit::ks_distance(ours, theirs);
        assert!(distance < 0.03, "{what}: KS distance {distance}");
    }
}

#[test]
fn samplers_agree_with_a_library() {
    const N: usize = 100_000;
    let mut library = rand_pcg::Pcg64::new(7, 11);
    let mut draw = |name: &str,
                    ours: &mut dyn FnMut(&mut Stream) -> f64,
                    theirs: &mut dyn FnMut(&mut rand_pcg::Pcg64) -> f64| {
        let mut stream = Stream::new(1, "oracle", 0, 0);
        let a: Vec<f64> = (0..N).map(|_| ours(&mut stream)).collect();
        let b: Vec<f64> = (0..N).map(|_| theirs(&mut library)).collect();
        // 99.9 % of two samples of 100,000 from one distribution differ by less than 0.0087.
        let distance = super::goodness_of_fit::ks_distance(a, b);
        assert!(distance < 0.0087, "{name}: KS distance {distance}");
    };
    let gamma = |shape, scale| rand_distr::Gamma::new(shape, scale).unwrap();
    draw("normal", &mut Stream::normal, &mut |r| rand_distr::StandardNormal.sample(r));
    draw("exponential", &mut |s| s.exponential(3.0), &mut |r| {
        rand_distr::Exp::new(1.0 / 3.0).unwrap().sample(r)
    });
    draw("gamma 4.2", &mut |s| s.gamma(4.2, 0.94), &mut |r| gamma(4.2, 0.94).sample(r));
    draw("gamma 312", &mut |s| s.gamma(312.0, 0.03), &mut |r| gamma(312.0, 0.03).sample(r));
    draw("gamma 0.4", &mut |s| s.gamma(0.4, 2.0), &mut |r| gamma(0.4, 2.0).sample(r));
    draw("log-normal", &mut |s| s.lognormal(5.0, 1.7), &mut |r| {
        rand_distr::LogNormal::new(libm::log(5.0), 1.7).unwrap().sample(r)
    });
    draw("weibull", &mut |s| s.weibull(2.0, 0.7), &mut |r| {
        rand_distr::Weibull::new(2.0, 0.7).unwrap().sample(r)
    });
    draw("pareto", &mut |s| s.pareto(1.5, 2.2), &mut |r| {
        rand_distr::Pareto::new(1.5, 2.2).unwrap().sample(r)
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_settings_give_a_sound_trace(
        seed in any::<u64>(),
        preset in 0..Preset::ALL.len(),
        jobs in 1_u64..400,
        load in 0.05_f64..3.0,
        gpus in 2_u32..600,
        users in 1_u32..50,
        zipf in 0.0_f64..3.0,
        week_sigma in 0.0_f64..1.0,
    ) {
        let mut params = ResearchParams {
            preset: Some(Preset::ALL[preset].0),
            jobs: Some(jobs),
            load: Some(load),
            gpus: Some(gpus),
            users: Some(users),
            user_zipf: Some(zipf),
            week_sigma: Some(week_sigma),
            ..ResearchParams::default()
        };
        // Classes that do not fit the cluster are told, not dropped: leave them out as the cure says.
        let classes = params.over_preset().class.unwrap();
        params.class = Some(classes.into_iter().map(|(name, mut class)| {
            if class.gpus.as_ref().unwrap().iter().all(|(g, _)| *g > gpus) {
                class.share = Some(0.0);
            }
            (name, class)
        }).collect());
        let w = generate(&Model::Research(params.clone()), seed).unwrap();
        prop_assert_eq!(w.jobs.len() as u64, jobs);
        prop_assert!(w.jobs.as_slice().is_sorted_by_key(|j| j.submit));
        for job in w.jobs.iter() {
            let request = w.requests.get(job.request);
            prop_assert!(job.run.micros() > 0 && job.limit >= job.run);
            prop_assert!(request.gpus.unwrap_or(0) <= gpus);
            prop_assert!(request.nodes.unwrap() * 8 >= request.gpus.unwrap_or(0));
        }
        prop_assert_eq!(&w.jobs, &generate(&Model::Research(params), seed).unwrap().jobs);
    }
}

#[test]
fn contradicting_settings_are_told() {
    let told = |params: ResearchParams| {
        let wrong = generate(&Model::Research(params), 1).unwrap_err();
        wrong.kept().iter().map(|d| format!("{} {}\n", d.message, d.label)).collect::<String>()
    };
    let all = ResearchParams { jobs: Some(1), days: Some(1.0), load: Some(1.0), ..Default::default() };
    assert!(told(all).contains("give two of jobs, days and load"));
    let hours = ResearchParams { hours: Some(vec![1.0; 23]), users: Some(0), ..Default::default() };
    let text = told(hours);
    assert!(text.contains("24 rates") && text.contains("users"), "{text}");
    let small = ResearchParams { preset: Some(Preset::PhillyLike), gpus: Some(4), ..Default::default() };
    assert!(told(small).contains("fits 4 GPUs"));
    let mut nan = flat("solo", 10);
    nan.class.as_mut().unwrap().get_mut("solo").unwrap().run =
        Some(vec![RunPart { weight: f64::NAN, median_s: 1.0, sigma: 1.0 }]);
    assert!(told(nan).contains("class.solo.run"));
}

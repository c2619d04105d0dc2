//! Work that moves between GPU models: speeds, limits, memory, held GPUs, and whether a verdict holds.

use serde_json::Value;

use super::terminal::Desk;

/// Two jobs of a class, a session, a job without GPU, and one whose GPU nobody knows.
const TRACE: &str = "job_id,submit_s,run_s,limit_s,gpus,cpus,class,kind,ran_gpu_type,gpu_util\n\
    1,0,1000,2000,1,1,training,,A100-80GB-SXM,0.25\n\
    2,0,1000,2000,1,1,debug,,A100-80GB-SXM,\n\
    3,0,1000,2000,1,1,training,session,A100-80GB-SXM,\n\
    4,0,1000,2000,0,1,training,,,\n\
    5,0,1000,2000,1,1,training,,,1\n";

fn scenario(speedup: &str, pools: &[(&str, &str, u32)]) -> String {
    let mut text = format!("[workload]\ntrace = \"t.csv\"\n[policy.easy]\n{speedup}\n");
    for (design, gpu, count) in pools {
        text += &format!(
            "[node.{design}]\ncpus = 16\nmem-mb = 1000000\ngpus = 8\ngpu = \"{gpu}\"\n\
             [design.{design}.pool.main]\nnode = \"{design}\"\ncount = {count}\n"
        );
    }
    text
}

fn compare(trace: &str, text: &str) -> (Value, Desk) {
    let desk = Desk::new();
    desk.put("t.csv", trace);
    desk.put("s.toml", text);
    let object = desk.run(&["compare", "s.toml", "--json", "--out", "out", "--referee"]).ok().json();
    (object, desk)
}

/// End times by job id, of one design.
fn ends(desk: &Desk, design: &str) -> Vec<(String, f64)> {
    let mut csv = csv::Reader::from_path(desk.path("out/jobs.csv")).unwrap();
    let rows = csv.deserialize::<std::collections::BTreeMap<String, String>>().map(Result::unwrap);
    rows.filter(|row| row["design"] == design)
        .map(|row| (row["job_id"].clone(), row["end_s"].parse().unwrap()))
        .collect()
}

fn end(desk: &Desk, design: &str, job: &str) -> f64 {
    ends(desk, design).into_iter().find(|(id, _)| id == job).unwrap().1
}

#[test]
fn speeds_of_the_scenario_translate_run_times_exactly() {
    let speedup = "[speedup]\nspeed = { \"H100-80GB-SXM\" = 3.0 }\n[speedup.debug]\nspeed = { \"H100-80GB-SXM\" = 0.5 }";
    let (object, desk) =
        compare(TRACE, &scenario(speedup, &[("a", "A100-80GB-SXM", 1), ("h", "H100-80GB-SXM", 1)]));
    for job in ["1", "2", "3", "4", "5"] {
        assert!((end(&desk, "a", job) - 1000.0).abs() < 1e-9, "{job} on its own GPU");
    }
    // ceil(1000 s / 3) to the microsecond; half as fast; a session; no GPU; a platform that is not known.
    let expected = [("1", 333.333334), ("2", 2000.0), ("3", 1000.0), ("4", 1000.0), ("5", 1000.0)];
    for (job, s) in expected {
        assert!((end(&desk, "h", job) - s).abs() < 1e-9, "{job}: {}", end(&desk, "h", job));
    }
    let translation = &object["designs"]["h"]["translation"];
    let speeds: Vec<(&str, f64, &str)> = translation["moves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (row["class"].as_str().unwrap(), row["speed"].as_f64().unwrap(), row["by"].as_str().unwrap())
        })
        .collect();
    assert_eq!(speeds, [("training", 3.0, "scenario"), ("debug", 0.5, "scenario")]);
    assert_eq!(translation["as_recorded"]["the GPU that they ran on is not known"], 1);
    assert!(object["designs"]["a"]["translation"]["moves"].as_array().unwrap().is_empty());
    assert!(object.get("speedup_sensitivity").is_none(), "the scenario gave every speed");
    // Delivered work is counted on the platform that the jobs ran on.
    for design in ["a", "h"] {
        let delivered = object["designs"][design]["delivered_gpu_hours"].as_f64().unwrap();
        assert!((delivered - 4.0 * 1000.0 / 3600.0).abs() < 1e-9, "{design}");
    }
}

#[test]
fn limits_are_translated_for_the_slowest_pool_that_can_hold_the_job() {
    // Job 2 needs the GPU that job 1 holds until 400 s (200 s at half speed, limit 300 s: expected end 600 s).
    // Job 3 may pass it under EASY only if it ends by then: its limit of 290 s becomes 580 s, one of 310 s 620 s.
    let trace = |limit: u32| {
        format!(
            "job_id,submit_s,run_s,limit_s,gpus,cpus,ran_gpu_type\n\
         1,0,200,300,7,1,A100-80GB-SXM\n2,1,10,300,8,1,A100-80GB-SXM\n3,2,10,{limit},1,1,A100-80GB-SXM\n"
        )
    };
    let speedup = "[speedup]\nspeed = { \"L40S-48GB\" = 0.5 }";
    let text = scenario(speedup, &[("l", "L40S-48GB", 1)]);
    let (_, desk) = compare(&trace(290), &text);
    assert!((end(&desk, "l", "3") - 22.0).abs() < 1e-9, "passes");
    let (_, desk) = compare(&trace(310), &text);
    assert!((end(&desk, "l", "3") - 440.0).abs() < 1e-9, "waits for the end of 2");
}

#[test]
fn slurm_runs_translated_jobs_too() {
    let text = scenario("[speedup]\nspeed = { \"H100-80GB-SXM\" = 2.0 }", &[("h", "H100-80GB-SXM", 1)]);
    let (object, desk) = compare(TRACE, &text.replace("[policy.easy]", "[policy.slurm]"));
    let run = |job: &str| end(&desk, "h", job);
    assert!(run("1") > 500.0 && run("1") < 600.0, "{}", run("1"));
    assert!(run("3") > 1000.0);
    let hours = &object["designs"]["h"]["gpu_hours"];
    // A quarter of 500 s was used, so three quarters were held idle.
    assert!((hours["held_idle"].as_f64().unwrap() * 3600.0 - 375.0).abs() < 5.0, "{hours}");
}

#[test]
fn a_mixed_design_runs_each_job_at_the_speed_of_its_pool() {
    let speedup = "[speedup]\nspeed = { \"H100-80GB-SXM\" = 2.0, \"L40S-48GB\" = 0.5 }";
    let mut text = scenario(speedup, &[("h", "H100-80GB-SXM", 1)]);
    text += "[node.l]\ncpus = 16\nmem-mb = 1000\ngpus = 8\ngpu = \"L40S-48GB\"\n\
             [design.h.pool.second]\nnode = \"l\"\ncount = 1\n";
    let trace = "job_id,submit_s,run_s,gpus,cpus,ran_gpu_type\n1,0,100,8,1,A100-80GB-SXM\n2,0,100,8,1,A100-80GB-SXM\n";
    let (_, desk) = compare(trace, &text);
    assert_eq!(ends(&desk, "h"), [("1".to_owned(), 50.0), ("2".to_owned(), 200.0)]);
}

#[test]
fn recorded_use_feeds_held_idle_and_sums_stay_exact() {
    let (object, desk) = compare(TRACE, &scenario("", &[("a", "A100-80GB-SXM", 1)]));
    let hours = &object["designs"]["a"]["gpu_hours"];
    assert!(
        (hours["held_idle"].as_f64().unwrap() * 3600.0 - 750.0).abs() < 1e-9,
        "job 1 used a quarter of 1000 s"
    );
    assert!((hours["productive"].as_f64().unwrap() * 3600.0 - 3250.0).abs() < 1e-9);
    let mut csv = csv::Reader::from_path(desk.path("out/ledger.csv")).unwrap();
    let mut sums = std::collections::BTreeMap::<String, (i128, i128)>::new();
    for row in csv.records().map(Result::unwrap) {
        let units: i128 = row[4].parse().unwrap();
        let sum = sums.entry(format!("{} {}", &row[1], &row[2])).or_default();
        if &row[3] == "installed" { sum.0 += units } else { sum.1 += units }
    }
    assert!(sums.values().all(|(installed, parts)| installed == parts && *installed > 0), "{sums:?}");
}

#[test]
fn the_catalogue_gives_low_typical_high_and_says_whether_a_verdict_flips() {
    let text = scenario(
        "[speedup]\nreference = \"A100-80GB-SXM\"",
        &[("a", "A100-80GB-SXM", 1), ("h", "H100-80GB-SXM", 1)],
    );
    let (object, _) = compare(TRACE, &text);
    let moves = object["designs"]["h"]["translation"]["moves"].as_array().unwrap();
    let speed =
        |class: &str| moves.iter().find(|row| row["class"] == class).unwrap()["speed"].as_f64().unwrap();
    // 1 / (0.55 x 312/989 + 0.35 x 2.039/3.35 + 0.1)
    assert!((speed("training") - 2.0546).abs() < 1e-3, "{}", speed("training"));
    assert!(speed("debug") > 1.0 && speed("debug") < speed("training"));
    let verdicts = object["speedup_sensitivity"]["verdicts"].as_array().unwrap();
    let turnaround = verdicts.iter().find(|row| row["figure"] == "mean turnaround (s)").unwrap();
    assert_eq!(turnaround["flips"], false);
    let ours = |level: &str| turnaround[level][0].as_f64().unwrap();
    assert!(ours("low") > ours("typical") && ours("typical") > ours("high"));
    let fixed = text.replace("reference", "level = \"high\"\nreference");
    let (object, _) = compare(TRACE, &fixed);
    assert!(object.get("speedup_sensitivity").is_none(), "the level is the user's");
    assert!((object["designs"]["h"]["turnaround_s"]["mean"].as_f64().unwrap() - ours("high")).abs() < 1e-9);
}

#[test]
fn explain_tells_the_translated_run_time() {
    let text = scenario("[speedup]\nspeed = { \"H100-80GB-SXM\" = 2.0 }", &[("h", "H100-80GB-SXM", 1)]);
    let (_, desk) = compare(TRACE, &text);
    let told = desk.run(&["explain", "1", "--scenario", "s.toml"]).ok().stdout;
    assert!(told.contains("Recorded run time 1000 s, here 500 s: 2.00 times the speed."), "{told}");
}

/// One H200 against four A100: how long the queue is depends on how much faster the H200 is.
#[test]
fn a_verdict_that_hangs_on_the_speed_flips() {
    let mut trace = "job_id,submit_s,run_s,gpus,cpus,class,ran_gpu_type\n".to_owned();
    for job in 0..40 {
        trace += &format!("{job},{},1000,1,1,training,A100-40GB-SXM\n", job * 400);
    }
    let mut text = scenario("", &[("a", "A100-40GB-SXM", 1), ("h", "H200-141GB-SXM", 1)]);
    text = text.replacen("gpus = 8", "gpus = 5", 1).replacen("gpus = 8", "gpus = 1", 1);
    let (object, desk) = compare(&trace, &text);
    let verdicts = object["speedup_sensitivity"]["verdicts"].as_array().unwrap();
    let turnaround = verdicts.iter().find(|row| row["figure"] == "mean turnaround (s)").unwrap();
    assert_eq!(turnaround["flips"], true, "{turnaround}");
    let told = desk.run(&["compare", "s.toml"]).ok().stdout;
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("flip between low and high speeds of the catalogue"), "{told}");
}

#[test]
fn without_translation_every_job_runs_as_recorded() {
    let pools = [("a", "A100-80GB-SXM", 1), ("h", "H100-80GB-SXM", 1)];
    let (object, desk) = compare(TRACE, &scenario("[speedup]\ntranslate = false", &pools));
    assert_eq!(ends(&desk, "a"), ends(&desk, "h"));
    assert!(object["designs"]["h"].get("translation").is_none());
}

#[test]
fn declared_memory_decides_fit_and_a_recorded_peak_only_when_told_so() {
    let trace = "job_id,submit_s,run_s,gpus,cpus,gpu_mem_mib,gpu_mem_peak_mib,ran_gpu_type\n\
                 1,0,10,1,1,40000,,A100-80GB-SXM\n2,0,10,1,1,60000,,A100-80GB-SXM\n3,0,10,1,1,,60000,A100-80GB-SXM\n";
    let pools = [("l", "L40S-48GB", 1)];
    let (object, desk) = compare(trace, &scenario("", &pools));
    let l = &object["designs"]["l"];
    assert_eq!((&l["jobs"]["completed"], &l["jobs"]["refused"]), (&Value::from(2), &Value::from(1)));
    assert_eq!(l["refused_by_design"][0]["job_id"], "2");
    let why = l["refused_by_design"][0]["reason"].as_str().unwrap();
    assert!(why.contains("needs 60000 MiB of GPU memory; L40S-48GB has 49152"), "{why}");
    assert_eq!(l["translation"]["peak_above_memory"], 1);
    let strict = desk.run(&["compare", "s.toml", "--strict"]);
    assert_eq!(strict.code, 4);
    assert!(
        strict.stderr.contains("W0414") && strict.stderr.contains("for instance job 2"),
        "{}",
        strict.stderr
    );
    let (object, desk) = compare(trace, &scenario("[speedup]\nmemory = \"recorded-peak\"", &pools));
    assert_eq!(object["designs"]["l"]["jobs"]["refused"], 2);
    assert_eq!(object["notes"]["gpu_memory_needs_from_recorded_peaks"], 1);
    let told = desk.run(&["compare", "s.toml"]).ok().stdout;
    assert!(told.contains("an upper hint and not a need"), "{told}");
}

#[test]
fn bad_speedup_tables_are_told_with_their_place() {
    let told = |speedup: &str| {
        let desk = Desk::new();
        desk.put("t.csv", TRACE);
        desk.put("s.toml", scenario(speedup, &[("a", "A100-80GB-SXM", 1)]));
        let answer = desk.run(&["compare", "s.toml"]);
        assert_eq!(answer.code, 4, "{speedup}");
        answer.stderr
    };
    let misspelt = told("[speedup]\nlevle = \"low\"");
    assert!(misspelt.contains("W0205") && misspelt.contains("did you mean `level`?"), "{misspelt}");
    let unknown = told("[speedup]\nspeed = { \"H100-80GB-SMX\" = 2 }");
    assert!(unknown.contains("W0214") && unknown.contains("H100-80GB-SXM"), "{unknown}");
    assert!(told("[speedup.training]\nspeed = { \"H100-80GB-SXM\" = 0 }").contains("W0209"));
    assert!(told("[speedup.training]").contains("says nothing"));
    assert!(told("[speedup]\nreference = \"G9\"").contains("there is no GPU `G9`"));
    assert!(told("[gpu.G9]\nmemory-gb = 9\nfp16-tflops = -1").contains("must be above 0"));
}

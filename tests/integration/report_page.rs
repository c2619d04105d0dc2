//! `report.html`: self-contained, escaped, the same bytes each time, small, and alive in a real browser.
//!
//! The browser tests use `chromium` (or the program in `WINDTUNNEL_BROWSER`); without one they say so and
//! pass, unless `WINDTUNNEL_REQUIRE_BROWSER=1`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use windtunnel::experiment::{self, DesignResult, LoadedWorkload, Sensitivity, outlook, verdict};
use windtunnel::report::{self, Context, Decision, Manifest};
use windtunnel::scenario::{self, ObjectiveSpec, Scenario};
use windtunnel::simulation::RunOptions;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A comparison after its run.
pub(super) struct Compared {
    scenario: Scenario,
    loaded: LoadedWorkload,
    results: Vec<DesignResult>,
    sensitivity: Option<Sensitivity>,
    decision: Decision,
}

impl Compared {
    pub(super) fn of(scenario: Scenario) -> Self {
        let loaded = experiment::load_workload(&scenario.workload, false).unwrap();
        let options = || RunOptions { keep_allocations: true, ..RunOptions::default() };
        let (designs, policy) = (&scenario.designs, &scenario.policy);
        let results =
            experiment::run_designs(&loaded.workload, designs, policy, &options, &|| false).unwrap();
        let baseline = &scenario.compare.baseline;
        let sensitivity =
            experiment::sensitivity(&loaded.workload, policy, &results, baseline, &options, &|| false)
                .unwrap();
        let judged = |o: &ObjectiveSpec| verdict::judge(o, &scenario.compare, &results);
        let decision = Decision {
            versions: None,
            judgement: scenario.objective.as_ref().map(judged),
            outlook: outlook::outlook(&scenario, &loaded, &results, &|| false).unwrap(),
        };
        Self { scenario, loaded, results, sensitivity, decision }
    }

    pub(super) fn of_text(text: &str, directory: &Path) -> Self {
        Self::of(scenario::load_text("test", text.to_owned(), directory, &[]).unwrap())
    }

    pub(super) fn shipped(name: &str) -> Self {
        Self::of(scenario::load(&Path::new(ROOT).join("scenarios").join(name), &[]).unwrap())
    }

    pub(super) fn context(&self) -> Context<'_> {
        let (loaded, results) = (&self.loaded, &self.results);
        let (sensitivity, decision) = (self.sensitivity.as_ref(), Some(&self.decision));
        Context { scenario: &self.scenario, loaded, results, sensitivity, decision }
    }

    fn page(&self) -> String {
        let hash = self.loaded.input.as_ref().map(|_| "0".repeat(64));
        report::page(&self.context(), &Manifest::new(&self.context(), hash))
    }
}

const HOSTILE: &str = "</script><script>window.stolen=1</script><img src=x onerror=window.stolen=2>&\"'";

/// Jobs and a scenario in which every free text attacks the page.
fn hostile(directory: &Path) -> Compared {
    let field = HOSTILE.replace('"', "\"\"");
    let mut trace = String::from("job_id,submit_s,run_s,gpus,user,account,partition,class\n");
    for job in 0..40 {
        let gpus = if job % 10 == 9 { 64 } else { 1 + job % 8 };
        trace += &format!(
            "\"{job}{field}\",{},3600,{gpus},\"{field}\",\"{field}\",\"{field}\",\"{field}\"\n",
            job * 60
        );
    }
    trace += "bad,not-a-number,1,1,u,a,p,c\n";
    std::fs::write(directory.join("trace.csv"), trace).unwrap();
    let quoted = toml::Value::String(HOSTILE.to_owned()).to_string();
    let design = |name: &str, count| {
        format!(
            "[design.{name}]\nlabel = {quoted}\n[design.{name}.pool.main]\nnode = \"dgx-h100\"\ncount = {count}\n"
        )
    };
    let text = format!(
        "title = {quoted}\n[workload]\ntrace = \"trace.csv\"\n[policy.easy]\n{}{}",
        design("a", 1),
        design("b", 2)
    );
    Compared::of_text(&text, directory)
}

/// A hundred thousand generated jobs on six designs with long labels, 60 days and more.
fn large() -> &'static Compared {
    static LARGE: LazyLock<Compared> = LazyLock::new(made_large);
    &LARGE
}

fn made_large() -> Compared {
    let mut text = String::from(
        "[workload.generate.research]\npreset = \"training-cluster\"\njobs = 100000\n[policy.easy]\n",
    );
    for (at, count) in [16, 17, 18, 20, 22, 24].into_iter().enumerate() {
        text += &format!(
            "[design.d{at}]\nlabel = \"{count} nodes with a label that is rather longer than a column\"\n\
             [design.d{at}.pool.main]\nnode = \"dgx-h100\"\ncount = {count}\n\
             [design.d{at}.pool.main.cost.owned]\n"
        );
    }
    Compared::of_text(&text, Path::new(ROOT))
}

/// Tags are balanced and attributes quoted, as far as the page's own elements go.
fn assert_well_formed(page: &str) {
    const VOID: [&str; 3] = ["meta", "br", "hr"];
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">") && page.ends_with("</html>\n"));
    let mut open: Vec<&str> = Vec::new();
    let mut rest = &page["<!doctype html>".len()..];
    while let Some(at) = rest.find('<') {
        let end = at + rest[at..].find('>').expect("every tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes another element");
            continue;
        }
        let name = tag.split_whitespace().next().unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        if !VOID.contains(&name) {
            open.push(name);
        }
        if name == "script" || name == "style" {
            rest = &rest[rest.find(&format!("</{name}>")).unwrap()..];
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

/// Nothing on the page makes a browser fetch.
fn assert_self_contained(page: &str) {
    assert!(page.contains("default-src 'none'"), "the content policy forbids loading");
    for fetching in ["<link", "<script src", "<img", "<iframe", "@import", "url(", "fetch(", "XMLHttpRequest"]
    {
        assert!(!page.contains(fetching), "{fetching}");
    }
    let namespace = page.matches("http://www.w3.org/2000/svg").count();
    for scheme in ["http://", "https://"] {
        for (at, _) in page.match_indices(scheme) {
            let before = &page[..at];
            let in_attribute = ["href=\"", "src=\"", "action=\""].iter().any(|a| before.ends_with(a));
            assert!(!in_attribute, "{}", &page[at..at + 60]);
        }
    }
    assert_eq!(namespace, 1, "the name of SVG, which is never loaded");
}

fn data_of(page: &str) -> serde_json::Value {
    let from = page.find("id=\"data\">").unwrap() + "id=\"data\">".len();
    let until = from + page[from..].find("</script>").unwrap();
    serde_json::from_str(&page[from..until]).unwrap()
}

#[test]
fn shipped_scenarios_give_whole_pages_twice_the_same() {
    for name in ["whole-gpus.toml", "hpc-small.toml", "policies.toml", "mig.toml", "two-quotes.toml"] {
        let compared = Compared::shipped(name);
        let page = compared.page();
        assert_well_formed(&page);
        assert_self_contained(&page);
        assert!(page == Compared::shipped(name).page(), "{name}: the bytes differ");
        assert!(!page.contains(ROOT) && !page.contains("../traces"), "{name}: a path got into the page");
        let data = data_of(&page);
        for (result, design) in compared.results.iter().zip(data["designs"].as_array().unwrap()) {
            let hours = result.summary.gpu_hours.unwrap_or(result.summary.cpu_hours);
            let sum: f64 = design["hours"].as_array().unwrap().iter().map(|h| h.as_f64().unwrap()).sum();
            assert!((sum - hours.installed).abs() < 0.1, "{name}: {sum} of {}", hours.installed);
        }
    }
}

#[test]
fn the_first_screen_says_what_was_found() {
    let page = Compared::shipped("whole-gpus.toml").page();
    for text in [
        "16 GPUs for a dozen researchers: own two nodes, own three, or rent L40S?",
        "“3 x DGX H100, owned” is the cheapest design that meets the objective",
        "Cost against wait",
        "there are no error bars",
        "none: no row was refused or changed",
        "price-per-node = 300000",
        "SHA-256 of the trace",
        "windtunnel run --from manifest.json",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let text = std::fs::read_to_string(Path::new(ROOT).join("scenarios/whole-gpus.toml")).unwrap();
    let (without_objective, _) = text.split_once("[objective]").unwrap();
    let page = Compared::of_text(without_objective, &Path::new(ROOT).join("scenarios")).page();
    for text in ["“3 x DGX H100, owned” has the shortest mean wait", "costs least per useful GPU-hour"] {
        assert!(page.contains(text), "{text}");
    }
    let without_gpus = Compared::shipped("hpc-small.toml").page();
    assert!(without_gpus.contains("Where the CPU-hours went") && !without_gpus.contains("What it costs"));
    let alone = Compared::shipped("policies.toml").page();
    assert!(alone.contains("jobs completed on 2 x DGX H100: half of the jobs waited at most"));
    assert!(!alone.contains("class=\"mark best\"") && !alone.contains("class=\"sort\""));
}

#[test]
fn texts_of_traces_and_scenarios_stay_texts() {
    let directory = tempfile::tempdir().unwrap();
    let page = hostile(directory.path()).page();
    assert_well_formed(&page);
    assert_self_contained(&page);
    assert!(!page.contains("<script>window.stolen"));
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;window.stolen=1"));
    assert_eq!(data_of(&page)["designs"][0]["label"], HOSTILE);
}

#[test]
fn a_run_without_a_started_job_has_a_page() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("t.csv"), "job_id,submit_s,run_s,gpus\n1,0,10,64\n").unwrap();
    let text = "[workload]\ntrace = \"t.csv\"\n[policy.easy]\n[design.a.pool.main]\nnode = \"dgx-h100\"\ncount = 1\n";
    let compared = Compared::of_text(text, directory.path());
    assert_eq!(compared.results[0].summary.jobs.completed, 0);
    let page = compared.page();
    assert_well_formed(&page);
    assert!(page.contains("No job started on") && !page.contains("NaN") && !page.contains("inf "));
    browse(&page, false);
}

#[test]
fn a_hundred_thousand_jobs_fit_into_a_page_of_one_and_a_half_megabytes() {
    let compared = large();
    assert_eq!(compared.loaded.workload.jobs.len(), 100_000);
    let horizon = compared.results[0].outcome.last_instant.as_s();
    assert!(horizon > 60.0 * 86_400.0, "{horizon} s");
    let page = compared.page();
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
    browse(&page, true);
}

#[test]
fn shipped_pages_live_in_a_browser() {
    for (name, several) in [
        ("whole-gpus.toml", true),
        ("hpc-small.toml", true),
        ("policies.toml", false),
        ("two-quotes.toml", true),
    ] {
        browse(&Compared::shipped(name).page(), several);
    }
    let directory = tempfile::tempdir().unwrap();
    browse(&hostile(directory.path()).page(), true);
}

/// Stands before the page's own script: collects errors.
const BEFORE: &str = "<script>window.problems = [];\
    addEventListener('error', (e) => problems.push(String(e.message)));\
    addEventListener('securitypolicyviolation', (e) => problems.push('policy: ' + e.violatedDirective));\
    console.error = (...words) => problems.push(words.join(' '));</script>";

/// Drives the page as a reader does and writes down what came of it.
const AFTER: &str = include_str!("report_page.js");

/// Opens the page in Chromium, uses it, and checks what the driver found.
fn browse(page: &str, several: bool) {
    let Some(browser) = browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.html");
    let driven = page.replacen("<head>\n", &format!("<head>\n{BEFORE}\n"), 1).replacen(
        "</body>",
        &format!("<script>{AFTER}</script></body>"),
        1,
    );
    std::fs::write(&file, driven).unwrap();
    let output = start(&browser, directory.path())
        .args(["--window-size=1280,2400", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let found = dom.split("<pre id=\"found\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let found = found.unwrap_or_else(|| panic!("no findings: {}", String::from_utf8_lossy(&output.stderr)));
    let found: serde_json::Value = serde_json::from_str(found).unwrap_or_else(|e| panic!("{e}: {found}"));
    assert_eq!(found["problems"], serde_json::json!([]), "{found:#}");
    assert_eq!(found["stolen"], false, "a text of the trace ran as a script");
    assert_eq!(found["wide"], false, "the page is wider than the window: {found:#}");
    let data = data_of(page);
    if data["waits"]["groups"].as_array().unwrap().is_empty() {
        return;
    }
    let designs = data["designs"].as_array().unwrap().len() as u64;
    assert!(found["bars"].as_u64().unwrap() >= designs, "{found:#}");
    assert_eq!(found["wait_curves"], designs, "{found:#}");
    assert_eq!(found["time_curves"], 2 * designs, "{found:#}");
    assert!(found["heat"].as_u64().unwrap() > 0, "{found:#}");
    assert!(found["overlaps"].as_array().unwrap().is_empty(), "labels overlap: {found:#}");
    for used in ["bar_tip", "wait_tip", "time_tip", "heat_tip", "zoomed", "unzoomed", "groups_sorted"] {
        assert_eq!(found[used], true, "{used}: {found:#}");
    }
    if several {
        assert_eq!(found["designs_sorted"], true, "{found:#}");
    }
}

/// The browser without window, profile or network of its own.
pub(super) fn start(browser: &Path, directory: &Path) -> Command {
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", directory.join("profile").display()));
    command
}

/// Sheets of paper that the first screen takes.
fn printed_sheets(page: &str, browser: &Path) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let (file, pdf) = (directory.path().join("report.html"), directory.path().join("report.pdf"));
    let alone = "<style>section:not(#answer) { display: none } #answer { break-after: auto !important }</style></head>";
    std::fs::write(&file, page.replacen("</head>", alone, 1)).unwrap();
    let output = start(browser, directory.path())
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let pdf = std::fs::read(&pdf).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let text = String::from_utf8_lossy(&pdf);
    text.matches("/Type /Page").count() - text.matches("/Type /Pages").count()
}

#[test]
fn the_first_screen_prints_on_one_sheet() {
    let Some(browser) = browser() else { return };
    for name in ["whole-gpus.toml", "hpc-small.toml", "policies.toml", "mig.toml", "two-quotes.toml"] {
        assert_eq!(printed_sheets(&Compared::shipped(name).page(), &browser), 1, "{name}");
    }
    assert_eq!(printed_sheets(&large().page(), &browser), 1, "six designs");
}

/// The browser, or `None` after telling why the test does nothing.
pub(super) fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("WINDTUNNEL_BROWSER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let on_path = std::env::split_paths(&path)
        .flat_map(|directory| programs.map(|program| directory.join(program)))
        .find(|program| program.is_file());
    let found = named.or(on_path);
    if found.is_none() {
        let required = std::env::var("WINDTUNNEL_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
        assert!(!required, "WINDTUNNEL_REQUIRE_BROWSER=1, and there is no chromium on the PATH");
        eprintln!("skipped: no chromium on the PATH (WINDTUNNEL_BROWSER names another)");
    }
    found
}

//! Files of sites with one byte wrong, drawn by seed: accounts, gres.conf, `sacct --json`, `squeue -o %all`, and tables
//! that pandas and spreadsheets write. Each mutant reads the same, or something is counted or told, and every error
//! has a cure; nothing panics.

use std::collections::BTreeMap;

use windtunnel::diagnostic::{Diagnostic, Diagnostics, Place, Severity};
use windtunnel::scenario::slurm_conf::{Coverage, SiteFiles, read_accounting, read_site};
use windtunnel::scheduler::slurm::config::SlurmConfig;
use windtunnel::workload::read::{ColumnMap, ColumnSetting, ReadOptions, WrittenColumn, read_stream};

use super::terminal::Desk;

const SCRIPT: &str = "\
# accounts of the site
add qos high priority=100 grptres=cpu=64,gres/gpu=8 maxwall=1-00:00:00
sacctmgr -i modify qos normal set priority=10 maxjobsperuser=5
add account phys fairshare=40 parent=root
add account lab parent=phys fairshare=7 grpjobs=3
create user names=ann,bob account=lab fairshare=2 qos=normal,high defaultqos=normal
modify user where name=ann set maxjobs=4 qos+=high
remove user bob account=lab
";

const DUMP: &str = "\
Cluster - 'big':Fairshare=1:QOS='normal'
Parent - 'root'
Account - 'phys':Description='physics':Organization='uni':Fairshare=40
Parent - 'phys'
Account - 'lab':Description='lab':Fairshare=7:GrpTRES=cpu=64,gres/gpu=8
Parent - 'lab'
User - 'ann':DefaultAccount='lab':Fairshare=2:MaxJobs=4:QOS='normal'
";

const TABLES: &str = "\
Name|Priority|MaxTRESPU|MaxWall|Flags
normal|10|cpu=8|1-00:00:00|DenyOnLimit
high|100|gres/gpu=8||
Cluster|Account|User|ParentName|Share|MaxJobs|QOS|Def QOS
big|root|||1||normal|
big|phys||root|40||normal,high|
big|phys|ann||2|4|normal,high|normal
";

const JSON: &str = r#"{"jobs": [
{"job_id": 7, "user": "ann", "account": "lab", "partition": "gpu", "name": "train", "state": {"current": ["COMPLETED"]},
 "time": {"submission": 1767571200, "start": 1767571300, "end": 1767575000, "elapsed": 3700, "limit": {"set": true, "infinite": false, "number": 120}},
 "required": {"CPUs": 8, "memory_per_node": {"set": true, "infinite": false, "number": 64000}},
 "tres": {"requested": [{"type": "cpu", "name": "", "count": 8}, {"type": "gres", "name": "gpu", "count": 2}], "allocated": []}, "nodes": "n1"},
{"job_id": 8, "user": "bob", "account": "lab", "partition": "gpu", "name": "eval", "state": {"current": ["FAILED"]},
 "time": {"submission": 1767571210, "start": 1767571310, "end": 1767571910, "elapsed": 600, "limit": {"set": true, "infinite": true, "number": 0}},
 "required": {"CPUs": 4, "memory_per_node": {"set": false, "infinite": false, "number": 0}}, "tres": {"requested": [{"type": "cpu", "name": "", "count": 4}], "allocated": []}, "nodes": "n2"}
]}
"#;

const SQUEUE: &str = "\
ACCOUNT|TRES_PER_NODE|END_TIME|FEATURES|JOBID|NAME|TIME_LIMIT|MIN_MEMORY|PRIORITY|QOS|ST|USER|CPUS|NODES|TIME|NODELIST|PARTITION|START_TIME|STATE|SUBMIT_TIME
lab|gres:gpu:2|2026-01-06T00:01:00||7|train|1-00:00:00|64G|0.00000025|normal|R|ann|8|1|1:00:00|n1|gpu|2026-01-05T00:01:00|RUNNING|2026-01-05T00:00:00
lab|N/A|2026-01-06T00:02:00||8|eval|2:00:00|4000M|0.00000020|normal|R|bob|4|1|10:00|n2|gpu|2026-01-05T00:02:00|RUNNING|2026-01-05T00:00:30
";

const PANDAS: &str = "\
,id,submitted,runtime,walltime,owner,cores,memory
0,7,2026-01-05 00:00:00,0 days 01:00:00,0 days 02:00:00,ann,8,64 GB
1,8,2026-01-05 00:00:30,0 days 00:10:00,1 days 00:00:00,bob,4,4 GB
";

const EXCEL: &str = "\
Job Id;Submitted;Runtime (h);Owner;GPUs
7;05.01.2026 08:02;2,31;ann;1
8;05.01.2026 09:12;16,5;bob;8
";

/// What a reader made of a file.
struct Found {
    result: String,
    counted: usize,
    told: Vec<Diagnostic>,
}

fn accounts(desk: &Desk, text: &str) -> Found {
    desk.put("accounts.txt", text);
    let (mut config, mut coverage, mut told) =
        (SlurmConfig::empty(), Coverage::default(), Diagnostics::default());
    read_accounting(&desk.path("accounts.txt"), &mut config, &mut coverage, &mut told);
    let result = format!("{:?}", config.accounting);
    Found { result, counted: coverage.rows.len(), told: told.kept().to_vec() }
}

const GRES_CONF: &str = "\
AutoDetect=off
NodeName=g[1-2] Name=gpu Type=a100 File=/dev/nvidia[0-3] Cores=0-15
NodeName=g3 Name=gpu Type=h100 Count=2 File=/dev/nvidia[0-1]
";

fn gres(desk: &Desk, text: &str) -> Found {
    desk.put(
        "slurm.conf",
        "GresTypes=gpu\nNodeName=g[1-2] CPUs=16 Gres=gpu:a100:4\nNodeName=g3 CPUs=16 Gres=gpu:h100:2\n\
         PartitionName=p Nodes=ALL Default=YES\n",
    );
    desk.put("gres.conf", text);
    let (conf, gres) = (desk.path("slurm.conf"), desk.path("gres.conf"));
    let site =
        read_site(SiteFiles { slurm_conf: &conf, gres_conf: Some(&gres), accounting: None, version: None })
            .unwrap();
    Found {
        result: format!("{:?}", site.config.nodes),
        counted: site.coverage.of("not yet").count(),
        told: site.diagnostics.kept().to_vec(),
    }
}

fn trace(text: &str, columns: Option<&ColumnMap>) -> Found {
    let options = ReadOptions {
        time_zone: Some("UTC".to_owned()),
        columns: columns.cloned().map(Box::new),
        ..ReadOptions::default()
    };
    match read_stream(text.as_bytes(), "trace", &options) {
        Ok(workload) => Found {
            result: format!(
                "{:?} {:?} {:?} {:?}",
                workload.jobs, workload.requests, workload.labels, workload.recorded
            ),
            // a row that is refused has no notes any more
            counted: workload
                .repairs
                .iter()
                .map(|(_, repair)| {
                    repair.rows as usize * if repair.kind.name() == "refused" { 1_000 } else { 1 }
                })
                .sum(),
            told: workload.warnings.kept().to_vec(),
        },
        Err(error) => Found { result: String::new(), counted: 1, told: error.diagnostics.kept().to_vec() },
    }
}

fn map(rows: &[(&str, &str, Option<&str>, Option<&str>)]) -> ColumnMap {
    let setting = |(key, from, format, unit): &(&str, &str, Option<&str>, Option<&str>)| {
        let written = WrittenColumn {
            from: (*from).to_owned(),
            format: format.map(str::to_owned),
            unit: unit.map(str::to_owned),
        };
        let is_sign = ["delimiter", "decimal"].contains(key);
        let setting =
            if is_sign { ColumnSetting::Name((*from).to_owned()) } else { ColumnSetting::Written(written) };
        ((*key).to_owned(), setting)
    };
    ColumnMap::of_table(&rows.iter().map(setting).collect::<BTreeMap<_, _>>()).expect("a good map")
}

/// Numbers by seed, all different from seed to seed (splitmix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// One byte is changed; `None` where the change may give another good value or name.
fn mutant(text: &str, draw: &mut Draw, blanks: bool) -> Option<(String, String)> {
    let at = draw.below(text.len());
    let c = text[at..].chars().next()?;
    let (head, tail) = (&text[..at], &text[at + c.len_utf8()..]);
    // of a sign, a letter would make another word of two
    let others = if c == '=' { ['?', '~', '!', ';', '%'] } else { ['?', '~', '!', 'x', '%'] };
    let new = match (draw.below(4), c) {
        (0, c) if c.is_ascii_alphabetic() => {
            let other = if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            format!("{head}{other}{tail}")
        }
        (1, c) if !c.is_ascii_alphanumeric() && c != '\n' => format!("{head}{c}{c}{tail}"),
        // between digits another number or time would come out
        (2, c) if !c.is_ascii_alphanumeric() => {
            let digit = |text: Option<char>| text.is_some_and(|c| c.is_ascii_digit());
            if digit(head.chars().next_back()) && digit(tail.chars().next()) {
                return None;
            }
            format!("{head}{tail}")
        }
        (3, c) if c.is_ascii_alphanumeric() && blanks => format!("{head} {c}{tail}"),
        _ => format!("{head}{}{tail}", others[draw.below(others.len())]),
    };
    let line = text[..at].matches('\n').count() + 1;
    Some((new, format!("line {line}, byte {at} `{c}`, after `{}`", head.rsplit('\n').next().unwrap_or(""))))
}

/// Bytes of words that people choose, where another word is another word and nothing else.
fn is_name(text: &str, at: usize, names: &[&str]) -> bool {
    names.iter().any(|name| {
        text.match_indices(name).any(|(from, _)| (from.saturating_sub(1)..=from + name.len()).contains(&at))
    })
}

/// The file after the cure of a message that names a better word; `None` where it names none.
fn cured(text: &str, told: &Diagnostic) -> Option<String> {
    let near =
        told.help.as_deref()?.strip_prefix("did you mean ")?.trim_end_matches('?').trim_matches(['\'', '`']);
    let mut parts = told.message.split(['\'', '`']);
    let word = parts.nth(1).filter(|word| !word.is_empty())?;
    let Place::Line { line, .. } = &told.place else { return None };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = usize::try_from(*line).ok()?.checked_sub(1)?;
    let cured = lines.get(at)?.replacen(word, near, 1);
    lines[at] = cured;
    Some(lines.join("\n") + "\n")
}

/// All mutants of a file; how many cures were applied.
fn search(what: &str, text: &str, names: &[&str], mutants: u32, read: impl Fn(&str) -> Found) -> u32 {
    let good = read(text);
    let severe = |found: &Found| found.told.iter().filter(|told| told.severity == Severity::Error).count();
    assert_eq!(severe(&good), 0, "{what}: {:?}", good.told);
    let (mut draw, mut done, mut cures, mut wrong) = (Draw(7), 0, 0, Vec::new());
    while done < mutants {
        // a word of its own is a name for sacctmgr, and an option of the next word elsewhere
        let Some((new, place)) = mutant(text, &mut draw, what != "script") else { continue };
        done += 1;
        let at = new.bytes().zip(text.bytes()).position(|(a, b)| a != b).unwrap_or(text.len());
        let now = read(&new);
        let is_told = severe(&now) > 0 || now.told.len() > good.told.len() || now.counted != good.counted;
        if now.result != good.result && !is_told && !is_name(text, at, names) {
            let from = now.result.bytes().zip(good.result.bytes()).position(|(a, b)| a != b).unwrap_or(0);
            let part = |text: &str| text.chars().skip(from.saturating_sub(20)).take(60).collect::<String>();
            let (is, was) = (part(&now.result), part(&good.result));
            wrong.push(format!("{what}, {place}: read differently without a word: {is} / {was}"));
        }
        let new_ones =
            now.told.iter().filter(|told| good.told.iter().all(|known| known.message != told.message));
        for told in new_ones {
            let Some(text) = cured(&new, told) else { continue };
            if read(&text).told.iter().any(|again| again.message == told.message) {
                wrong.push(format!(
                    "{what}, {place}: {} and the cure {:?} does not help",
                    told.message, told.help
                ));
            }
            cures += 1;
        }
        let errors = now.told.iter().filter(|told| told.severity == Severity::Error);
        wrong.extend(
            errors
                .filter(|told| told.help.is_none())
                .map(|told| format!("{what}, {place}: {} has no cure", told.message)),
        );
    }
    wrong.sort();
    wrong.dedup();
    let first: Vec<&str> = wrong.iter().take(40).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} of {mutants}:\n{}", wrong.len(), first.join("\n"));
    cures
}

#[test]
fn accounts_of_every_form() {
    let desk = Desk::new();
    let names = ["ann", "bob", "lab", "phys", "big", "high", "normal", "qos+", "root"];
    for (what, text) in [("script", SCRIPT), ("dump", DUMP), ("tables", TABLES)] {
        search(what, text, &names, 1_500, |text| accounts(&desk, text));
    }
}

#[test]
fn files_of_devices() {
    let desk = Desk::new();
    search("gres.conf", GRES_CONF, &["/dev/nvidia"], 1_000, |text| gres(&desk, text));
}

#[test]
fn jobs_as_json_and_as_the_queue() {
    let names = ["ann", "bob", "lab", "gpu\", \"name", "train", "eval", "n1", "n2", "\"gpu\""];
    search("sacct --json", JSON, &names, 2_500, |text| trace(text, None));
    let names = [
        "ann", "bob", "lab", "train", "eval", "n1", "n2", "|gpu|", "normal", "R|", "JOBID", "7|", "8|",
        "gpu:2",
    ];
    let cures = search("squeue", SQUEUE, &names, 2_000, |text| trace(text, None));
    assert!(cures > 100, "{cures} cures of misspelt columns");
}

#[test]
fn tables_of_pandas_and_spreadsheets() {
    let pandas = map(&[
        ("job_id", "id", None, None),
        ("submit_s", "submitted", None, None),
        ("run_s", "runtime", None, None),
        ("limit_s", "walltime", None, None),
        ("user", "owner", None, None),
        ("cpus", "cores", None, None),
        ("mem_mb", "memory", None, None),
    ]);
    let excel = map(&[
        ("delimiter", ";", None, None),
        ("decimal", ",", None, None),
        ("job_id", "Job Id", None, None),
        ("submit_s", "Submitted", Some("dd.mm.yyyy hh:mm:ss"), None),
        ("run_s", "Runtime (h)", None, Some("h")),
        ("user", "Owner", None, None),
        ("gpus", "GPUs", None, None),
    ]);
    let names = ["ann", "bob", ",7,", ",8,", "\n0", "\n1"];
    search("pandas", PANDAS, &names, 1_500, |text| trace(text, Some(&pandas)));
    search("spreadsheet", EXCEL, &["ann", "bob", "\n7;", "\n8;"], 1_500, |text| trace(text, Some(&excel)));
}

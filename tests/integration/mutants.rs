//! Good files with one thing wrong: a cell, a blank, a letter's case. Each mutant must give the same result, or
//! something that is counted or told, or an error with a cure; a cure that can be applied is applied, and works.

use std::collections::BTreeMap;

use windtunnel::diagnostic::{Diagnostic, Place, Severity};
use windtunnel::scenario::slurm_conf::{SiteFiles, read_site};
use windtunnel::scheduler::slurm::config::SlurmConfig;
use windtunnel::workload::Workload;
use windtunnel::workload::read::{ReadOptions, read_stream};

use super::terminal::Desk;

const DUMP: &str = "\
JobID|JobName|User|Account|Partition|State|Submit|Start|End|Elapsed|Timelimit|ReqNodes|AllocNodes|ReqCPUS|AllocCPUS|ReqMem|ReqTRES|AllocTRES|NodeList|Priority
1|train|ann|lab|gpu|COMPLETED|2026-01-05T00:00:00|2026-01-05T00:01:00|2026-01-05T01:01:00|01:00:00|02:00:00|1|1|8|8|64G|cpu=8,mem=64G,node=1,gres/gpu=2|cpu=8,mem=64G,node=1,gres/gpu=2|n1|100
2|eval|bob|lab|gpu|FAILED|2026-01-05T00:00:10|2026-01-05T00:02:00|2026-01-05T00:32:00|00:30:00|1-00:00:00|2|2|16|16|32G|cpu=16,mem=32G,node=2|cpu=16,mem=32G,node=2|n[2-3]|90
3_4|scan|eve|bio|cpu|TIMEOUT|2026-01-05T00:00:20|2026-01-05T00:03:00|2026-01-05T00:13:00|00:10:00|00:10:00|1|1|4|4|4000M|cpu=4,mem=4000M,node=1|cpu=4,mem=4000M,node=1|n1|80
";

const CSV: &str = "\
job_id,submit_s,run_s,limit_s,user,nodes,cpus,mem_mb,gpus,gpu_type,start_s,state,exclusive
1,0,3600,7200,ann,1,8,64000,2,h100,60,COMPLETED,no
2,10,1800,86400,bob,2,16,32000,,,120,FAILED,yes
3,20.5,600,600,eve,,4,,1,a100|h100,180,TIMEOUT,
";

const CONF: &str = "\
ClusterName=site
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=60,bf_window=1440,default_queue_depth=100
PriorityType=priority/multifactor
PriorityWeightAge=1000
PriorityMaxAge=7-0
PriorityFlags=MAX_TRES
PreemptType=preempt/qos
PreemptMode=REQUEUE
KillWait=45
GresTypes=gpu
NodeName=DEFAULT RealMemory=256000 State=UNKNOWN
NodeName=n[01-04] CPUs=32 Sockets=2 CoresPerSocket=16 Gres=gpu:a100:4 Feature=fast,big Weight=10
NodeName=c[1-2] CPUs=64 Feature=slow
NodeSet=fast Feature=fast
PartitionName=DEFAULT MaxTime=1-00:00:00
PartitionName=gpu Nodes=fast Default=YES PriorityTier=10
PartitionName=cpu Nodes=c[1-2],n01 DefaultTime=60 MaxNodes=2
";

/// What was read of a trace: all jobs in words, and how much was told.
struct Read {
    jobs: Vec<String>,
    counted: u64,
    told: Vec<Diagnostic>,
}

fn jobs_of(workload: &Workload) -> Vec<String> {
    let text = |id: Option<windtunnel::ids::TextId>| id.map_or("", |id| workload.texts.get(id));
    let one = |id| {
        let job = &workload.jobs[id];
        let (request, labels) = (workload.requests.get(job.request), workload.labels.get(job.labels));
        let types: Vec<&str> = request.gpu_types.iter().map(|id| workload.texts.get(*id)).collect();
        let past = workload.recorded(id);
        format!(
            "{} {:?} {:?} {:?} {} {:?} {:?} {:?} {:?} {} {types:?} {} {} {} {} {:?} {:?} {}",
            workload.job_name(id),
            job.submit,
            job.run,
            job.limit,
            job.priority,
            request.nodes,
            request.cpus,
            request.mem_mb_per_node,
            request.gpus,
            request.exclusive,
            text(labels.user),
            text(labels.account),
            text(labels.partition),
            text(labels.name),
            past.start,
            past.end,
            text(past.state),
        )
    };
    workload.jobs.ids().map(one).collect()
}

fn read(text: &[u8]) -> Result<Read, Vec<Diagnostic>> {
    let options = ReadOptions { time_zone: Some("UTC".to_owned()), ..ReadOptions::default() };
    match read_stream(text, "trace", &options) {
        Ok(workload) => Ok(Read {
            jobs: jobs_of(&workload),
            counted: workload.repairs.iter().map(|(_, repair)| repair.rows).sum(),
            told: workload.warnings.kept().to_vec(),
        }),
        Err(error) => Err(error.diagnostics.kept().to_vec()),
    }
}

/// The cells of a text: (from, to, column), of the lines below the header.
fn cells(text: &str, separator: char) -> Vec<(usize, usize, String)> {
    let header: Vec<&str> = text.lines().next().unwrap().split(separator).collect();
    let mut found = Vec::new();
    let mut at = 0;
    for (number, line) in text.lines().enumerate() {
        let mut from = at;
        for (column, cell) in line.split(separator).enumerate() {
            if number > 0 {
                found.push((from, from + cell.len(), header[column].to_owned()));
            }
            from += cell.len() + separator.len_utf8();
        }
        at += line.len() + 1;
    }
    found
}

/// Columns whose text people choose: another text there is another text, and nothing else.
const NAMES: [&str; 10] = [
    "Priority",
    "JobName",
    "User",
    "Account",
    "Partition",
    "JobID",
    "job_id",
    "user",
    "gpu_type",
    "NodeList",
];

/// One mutant of a trace is judged: equal, counted, or an error that says where and what to do.
fn judge_trace(good: &Read, mutant: &str, what: &str, names_change: bool) -> Result<(), String> {
    match read(mutant.as_bytes()) {
        Ok(now) => {
            let is_counted = now.counted > good.counted || now.told.len() > good.told.len();
            let is_same = now.jobs == good.jobs || (names_change && now.jobs.len() == good.jobs.len());
            if is_same || is_counted {
                return Ok(());
            }
            let differing = now.jobs.iter().zip(&good.jobs).find(|(now, before)| now != before);
            Err(format!("{what}: read differently without a word: {differing:?}"))
        }
        Err(told) => {
            let error = told.iter().find(|d| d.severity == Severity::Error).expect("an error");
            if error.help.is_some() { Ok(()) } else { Err(format!("{what}: {} has no cure", error.message)) }
        }
    }
}

/// Fails with the first of what is wrong.
fn none_of(wrong: &[String]) {
    let first: Vec<&str> = wrong.iter().take(60).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} mutants:\n{}", wrong.len(), first.join("\n"));
}

fn swapped_case(c: char) -> Option<char> {
    let other = if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    (other != c).then_some(other)
}

/// All mutants of a trace; their number.
fn mutate_trace(text: &str, separator: char) -> u32 {
    let good = read(text.as_bytes()).unwrap_or_else(|told| panic!("the good file reads: {told:?}"));
    let (mut mutants, mut wrong) = (0, Vec::new());
    let mut judge = |mutant: String, what: String, names_change: bool| {
        wrong.extend(judge_trace(&good, &mutant, &what, names_change).err());
        mutants += 1;
    };
    for (from, to, column) in cells(text, separator) {
        let (before, cell, after) = (&text[..from], &text[from..to], &text[to..]);
        let is_name = NAMES.contains(&column.as_str());
        for (left, right) in [(" ", ""), ("", " "), ("\t", " "), ("  ", "  ")] {
            judge(format!("{before}{left}{cell}{right}{after}"), format!("blanks around {column}"), false);
        }
        for wrong in ["x", "?", "-1", "1e", "9Q", "99:99:99", "abc=1", "4.5.6", "NaN", "#REF!", "１"] {
            judge(format!("{before}{wrong}{after}"), format!("`{wrong}` in {column}"), is_name);
        }
        for (at, c) in cell.char_indices() {
            let (head, tail) = (&text[..from + at], &text[from + at + c.len_utf8()..]);
            for wrong in ['x', '?', 'O', ' ', '~', '|', ',', ';', 'l', '#', '%', '_', '!', '$', '&', '*'] {
                // blanks at the ends of a cell are cut off, and then another number stands there
                let at_an_end = at == 0 || at + 1 == cell.len();
                if wrong == separator || (wrong == ' ' && at_an_end) {
                    continue;
                }
                // another sign between the parts of a value may be a value too: only digits and letters are hit
                if c.is_ascii_digit() && !(column.contains("TRES") && wrong == ',') {
                    judge(
                        format!("{head}{wrong}{tail}"),
                        format!("`{wrong}` for `{c}` in {column}"),
                        is_name,
                    );
                }
            }
            judge(format!("{head} {c}{tail}"), format!("a blank before `{c}` in {column}"), is_name);
            if let Some(other) = swapped_case(c) {
                judge(
                    format!("{head}{other}{tail}"),
                    format!("`{other}` for `{c}` in {column}"),
                    is_name || column == "state",
                );
            }
        }
    }
    let header = text.lines().next().unwrap();
    for (at, c) in header.char_indices() {
        let (head, tail) = (&text[..at], &text[at + c.len_utf8()..]);
        if let Some(other) = swapped_case(c) {
            judge(format!("{head}{other}{tail}"), format!("`{other}` for `{c}` in the header"), false);
        }
        judge(format!("{head} {c}{tail}"), format!("a blank before `{c}` in the header"), true);
    }
    none_of(&wrong);
    mutants
}

/// What was read of a configuration, in words, and what was told.
struct Conf {
    config: SlurmConfig,
    gaps: usize,
    told: Vec<Diagnostic>,
}

fn read_conf(desk: &Desk, text: &str) -> Conf {
    desk.put("slurm.conf", text);
    let path = desk.path("slurm.conf");
    let files = SiteFiles { slurm_conf: &path, gres_conf: None, accounting: None, version: None };
    let site = read_site(files).expect("the file is there");
    Conf {
        gaps: site.coverage.of("not yet").count() + site.coverage.of("ignored").count(),
        config: site.config,
        told: site.diagnostics.kept().to_vec(),
    }
}

/// Applies the cure that a message names; `None` where it names none that a program could apply.
fn cured(text: &str, told: &Diagnostic) -> Option<String> {
    let Place::Line { line, column, text: shown, .. } = &told.place else { return None };
    let help = told.help.as_deref()?;
    let lines: Vec<&str> = text.lines().collect();
    let at = usize::try_from(*line).ok()? - 1;
    let old = lines.get(at)?;
    let from = usize::try_from(*column).ok()?.checked_sub(1)?;
    let new = if told.code.0 == "W0504" {
        format!("{}# {}", &old[..from], &old[from..])
    } else if let Some(near) = help.strip_prefix("did you mean ") {
        let near = near.trim_end_matches('?');
        let word = told.message.split([' ', ',', '`']).find(|word| {
            !word.is_empty()
                && old.contains(word)
                && shown.contains(word)
                && word.len() > 1
                && *word != near
                && nearly(word, near)
        })?;
        old.replacen(word, near, 1)
    } else {
        return None;
    };
    let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    out[at] = new;
    Some(out.join("\n") + "\n")
}

/// Whether two words differ in a few letters only.
fn nearly(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    a.len().abs_diff(b.len()) <= 1 && a.chars().zip(b.chars()).filter(|(x, y)| x != y).count() <= 2 || a == b
}

/// All mutants of a configuration; their number, and how many cures were applied.
fn mutate_conf(text: &str) -> (u32, u32) {
    let desk = Desk::new();
    let good = read_conf(&desk, text);
    assert!(good.told.is_empty(), "{:?}", good.told);
    let (mut mutants, mut cures, mut wrong) = (0, 0, Vec::new());
    let mut judge = |mutant: String, what: String, may_differ: bool| {
        mutants += 1;
        let now = read_conf(&desk, &mutant);
        if now.config == good.config {
            return;
        }
        let is_told = !now.told.is_empty() || now.gaps != good.gaps;
        if !is_told && !may_differ {
            wrong.push(format!("{what}: read differently without a word"));
        }
        for error in now.told.iter().filter(|d| d.severity == Severity::Error) {
            if error.help.is_none() {
                wrong.push(format!("{what}: {} has no cure", error.message));
            }
        }
        if let [error] = now.told.as_slice()
            && error.severity == Severity::Error
            && let Some(text) = cured(&mutant, error)
        {
            let after = read_conf(&desk, &text);
            let same = after.told.iter().any(|d| d.message == error.message);
            if same {
                wrong.push(format!("{what}: {} and the cure {:?} does not help", error.message, error.help));
            }
            cures += 1;
        }
    };
    // where a value holds names that people choose, another name is another name
    let names = [
        "ClusterName",
        "NodeName",
        "NodeSet",
        "PartitionName",
        "Feature",
        "SchedulerParameters",
        "Gres",
        "Nodes",
    ];
    let mut key_of: BTreeMap<usize, &str> = BTreeMap::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        for word in line.split_ascii_whitespace() {
            let from = at + line.find(word).unwrap_or(0);
            key_of.insert(from, word.split('=').next().unwrap_or(""));
        }
        at += line.len();
    }
    for (at, c) in text.char_indices().filter(|(_, c)| *c != '\n') {
        let (head, tail) = (&text[..at], &text[at + c.len_utf8()..]);
        let (from, key) = key_of.range(..=at).next_back().map_or((0, ""), |(from, key)| (*from, *key));
        let in_value = at > from + key.len();
        let is_name = in_value && names.contains(&key);
        if c == '=' && at == from + key.len() {
            for (left, right) in [(" ", ""), ("", " "), (" ", " "), ("\t", "  ")] {
                judge(format!("{head}{left}={right}{tail}"), format!("blanks around = of {key}"), false);
            }
        }
        if c == ' ' {
            judge(format!("{head}   {tail}"), "more blanks".to_owned(), false);
            judge(format!("{head} \\\n{tail}"), "a line goes on".to_owned(), false);
        }
        if let Some(other) = swapped_case(c) {
            judge(format!("{head}{other}{tail}"), format!("`{other}` for `{c}` in {key}"), is_name);
        }
        judge(
            format!("{head}{tail}"),
            format!("no `{c}` in {key}"),
            in_value && (is_name || c.is_ascii_digit() || c == '-' || c == ':'),
        );
        for wrong in ['x', '?', ' ', '=', '#', '%', '!', '~'] {
            if wrong != c && (in_value || wrong != '#') {
                let rest_is_a_remark = wrong == '#' || wrong == ' ';
                judge(
                    format!("{head}{wrong}{tail}"),
                    format!("`{wrong}` for `{c}` in {key}"),
                    is_name || rest_is_a_remark,
                );
            }
        }
    }
    none_of(&wrong);
    (mutants, cures)
}

#[test]
fn mutants_of_a_dump_of_sacct() {
    let mutants = mutate_trace(DUMP, '|');
    assert!(mutants > 4_500, "{mutants}");
}

#[test]
fn mutants_of_a_table() {
    let mutants = mutate_trace(CSV, ',');
    assert!(mutants > 1_000, "{mutants}");
}

#[test]
fn mutants_of_a_configuration() {
    let (mutants, cures) = mutate_conf(CONF);
    assert!(mutants > 5_000 && cures > 400, "{mutants} mutants, {cures} cures");
}

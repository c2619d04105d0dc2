//! The accounting database from the arguments of `sacctmgr -i`: add and modify of QOS, account, user.

use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::scheduler::slurm::config::{
    Accounting, Assoc, AssocId, Limits, Qos, Shares, SlurmConfig, TresTable,
};

use super::coverage::{Coverage, Treatment};
use super::lines::Pair;
use super::sacctmgr::{self, Entity, Entry, Form, Verb};
use super::{parameters, removal, values};

/// Reads the file into `config`, which then has an accounting database.
pub(super) fn apply(
    path: &Path,
    config: &mut SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) {
    let file: Arc<str> = path.display().to_string().into();
    let text = match std::fs::read(path) {
        // names in another encoding must not stop the import
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(why) => {
            diagnostics.push(
                Diagnostic::error("W0502", format!("cannot read {file}: {why}"))
                    .at(Place::File(file))
                    .help("give the path of the file"),
            );
            return;
        }
    };
    config.accounting.present = true;
    let form = Form::of(&text);
    let (entries, bad) = sacctmgr::read(&text);
    let mut told: Vec<(u64, String)> = bad;
    if form != Form::Commands {
        define_qos(&entries, &mut config.accounting, &file, coverage);
    }
    for entry in &entries {
        let mut gaps = Vec::new();
        if let Err(why) = put(entry, &mut config.accounting, &mut gaps) {
            told.push((entry.line, why));
        }
        gaps.into_iter().for_each(|gap| note_gap(&file, entry, gap, coverage));
    }
    told.sort();
    for (line, why) in told {
        let row = text.lines().nth(line as usize - 1).unwrap_or("").to_owned();
        let place = Place::Line { file: Arc::clone(&file), line, column: 1, text: row };
        let help = "give what `sacctmgr dump`, `sacctmgr -P show assoc` or `sacctmgr -P show qos` write, or \
                    commands as after `sacctmgr -i`: add|create|modify|remove|list qos|account|user ...";
        diagnostics.push(Diagnostic::error("W0512", why).at(place).help(help));
    }
}

/// A setting without effect here: (key, value, how it is treated).
type Gap = (String, String, Treatment);

fn note_gap(file: &Arc<str>, entry: &Entry, (key, value, treatment): Gap, coverage: &mut Coverage) {
    let pair =
        Pair { key: format!("sacctmgr:{key}"), value, file: Arc::clone(file), line: entry.line, column: 1 };
    coverage.note(&pair, treatment);
}

/// Tables list QOS in any order, and a dump names them without saying what they are.
fn define_qos(entries: &[Entry], accounting: &mut Accounting, file: &Arc<str>, coverage: &mut Coverage) {
    let defined: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.entity == Entity::Qos)
        .map(|entry| entry.names[0].as_str())
        .collect();
    let named = |entry: &'_ Entry| -> Vec<String> {
        let lists = entry
            .settings
            .iter()
            .filter(|(key, _)| ["qos", "qoslevel", "defaultqos"].contains(&key.as_str()));
        let names = lists.flat_map(|(_, value)| value.split(','));
        names
            .map(|name| name.trim_start_matches(['+', '-']).to_owned())
            .filter(|name| !name.is_empty())
            .collect()
    };
    for name in &defined {
        if accounting.find_qos(name).is_none() {
            accounting.qos.push(Qos::new(name));
        }
    }
    for entry in entries {
        for name in named(entry) {
            if accounting.find_qos(&name).is_none() {
                accounting.qos.push(Qos::new(&name));
                let gap =
                    Treatment::NotYet("a QOS that is named and not described: add `sacctmgr -P show qos`");
                note_gap(file, entry, ("qos".to_owned(), name, gap), coverage);
            }
        }
    }
}

fn put(entry: &Entry, accounting: &mut Accounting, gaps: &mut Vec<Gap>) -> Result<(), String> {
    let known: Vec<(String, String)> =
        entry.settings.iter().filter(|pair| !is_gap(entry.entity, pair, gaps)).cloned().collect();
    let known = known.as_slice();
    let add = entry.verb == Verb::Add;
    let mut names = entry.names.clone();
    if names.is_empty() {
        names = all_that_meet(entry, accounting);
    }
    let mut each = names.iter();
    match (entry.entity, entry.verb) {
        (Entity::Other(why), _) => {
            gaps.push(("command".to_owned(), names.join(","), Treatment::Ignored(why)));
            Ok(())
        }
        (Entity::Qos, Verb::Remove) => each.try_for_each(|name| removal::qos(name, accounting)),
        (Entity::Account, Verb::Remove) => each.try_for_each(|name| removal::account(name, accounting)),
        (Entity::User, Verb::Remove) => {
            each.try_for_each(|name| removal::user(name, condition(entry, "account"), accounting))
        }
        (Entity::Qos, _) => each.try_for_each(|name| qos(name, add, known, accounting)),
        (Entity::Account, _) => each.try_for_each(|name| account(name, add, known, accounting)),
        (Entity::User, _) => each.try_for_each(|name| user(name, add, known, &entry.conditions, accounting)),
    }
}

fn condition<'e>(entry: &'e Entry, key: &str) -> Option<&'e str> {
    entry.conditions.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

/// The users or accounts of a command that names none and says where they are.
fn all_that_meet(entry: &Entry, accounting: &Accounting) -> Vec<String> {
    let (account, parent) = (condition(entry, "account"), condition(entry, "parent"));
    let of_parent = |assoc: &Assoc| {
        let above = assoc.parent.map(|id| accounting.assoc(id).account.as_str());
        parent.is_none_or(|name| above == Some(name))
    };
    let hits = accounting.assocs.iter().filter(|assoc| match entry.entity {
        Entity::User => assoc.user.is_some() && account.is_none_or(|name| assoc.account == name),
        Entity::Account => assoc.user.is_none() && of_parent(assoc),
        _ => false,
    });
    let mut names: Vec<String> =
        hits.map(|assoc| assoc.user.clone().unwrap_or_else(|| assoc.account.clone())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Settings of both that are limits, or a number.
const LIMITS: [&str; 36] = [
    "grptres",
    "grptresmins",
    "grptresrunmins",
    "grptresrunminutes",
    "maxtresminsperjob",
    "maxtresminspj",
    "maxtresmins",
    "maxtresmin",
    "maxtrespernode",
    "maxtrespn",
    "grpjobs",
    "grpsubmit",
    "grpsubmitjobs",
    "maxtresperjob",
    "maxtrespj",
    "maxtres",
    "mintresperjob",
    "mintres",
    "maxtresperuser",
    "maxtrespu",
    "maxtresperaccount",
    "maxtrespa",
    "maxjobsperuser",
    "maxjobspu",
    "maxjobs",
    "maxjobsperaccount",
    "maxjobspa",
    "maxsubmitjobsperuser",
    "maxsubmitpu",
    "maxsubmit",
    "maxsubmitjobs",
    "maxsubmitjobsperaccount",
    "maxsubmitpa",
    "maxwall",
    "maxwalldurationperjob",
    "priority",
];

/// Settings that this version does not use; unknown ones are told, and never stop the import.
fn is_gap(entity: Entity, (key, value): &(String, String), gaps: &mut Vec<Gap>) -> bool {
    const OF_QOS: [&str; 6] =
        ["usagefactor", "preempt", "preemptmode", "flags", "gracetime", "preemptexempttime"];
    const OF_ASSOC: [&str; 8] =
        ["fairshare", "shares", "qos", "qoslevel", "qos+", "qos-", "defaultqos", "maxwallduration"];
    const PLAIN: [&str; 8] = [
        "account",
        "defaultaccount",
        "parent",
        "description",
        "organization",
        "cluster",
        "adminlevel",
        "coordinator",
    ];
    let key = key.as_str();
    if key == "gracetime" && entity == Entity::Qos && seconds(value).is_ok_and(|grace| grace > 0) {
        let how = Treatment::Approximated("jobs use up their grace: what they do on SIGTERM is not known");
        gaps.push((key.to_owned(), value.clone(), how));
        return false;
    }
    let own: &[&str] = if entity == Entity::Qos { &OF_QOS } else { &OF_ASSOC };
    if key == "flags" && entity == Entity::Qos {
        gaps.extend(unknown_flags(value).map(|(flag, how)| (key.to_owned(), flag.to_owned(), how)));
    }
    if key.contains("tres") {
        gaps.extend(
            uncounted(value).map(|tres| (key.to_owned(), tres.to_owned(), Treatment::NotYet(UNCOUNTED))),
        );
    }
    if LIMITS.contains(&key) || own.contains(&key) || PLAIN.contains(&key) {
        return false;
    }
    let none = ["", "0", "-1", "none", "00:00:00", "0.000000"].contains(&value.to_ascii_lowercase().as_str());
    if none {
        return true;
    }
    let treatment = match key {
        sacctmgr::LATE_NAME => Treatment::Approximated("taken for a further name, as sacctmgr takes it"),
        "usagethres" | "usagethreshold" => Treatment::NotYet("a usage threshold keeps nobody out"),
        "partition" => Treatment::NotYet("associations of single partitions count for all"),
        "limitfactor" => Treatment::NotYet("limits are not multiplied"),
        "defaultwckey" | "wckeys" => Treatment::Ignored("wckeys are labels"),
        _ if key.contains("mins") || key.contains("wall") => Treatment::NotYet("limits on group wall time"),
        _ if key.contains("pernode") || key.contains("pn") => Treatment::NotYet("limits per node"),
        _ if key.contains("accrue") || key.contains("minprio") => {
            Treatment::NotYet("limits on accruing jobs")
        }
        _ => Treatment::NotYet("unknown to this version"),
    };
    gaps.push((key.to_owned(), value.clone(), treatment));
    true
}

type Settings = [(String, String)];

const UNCOUNTED: &str = "a limit on a TRES that no job here has";

/// The parts of a list of TRES that no job has.
fn uncounted(value: &str) -> impl Iterator<Item = &str> {
    let counted = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["cpu", "mem", "node", "billing", "gres/gpu"].contains(&name.as_str())
            || name.starts_with("gres/gpu:")
            || name.starts_with("license/")
    };
    value
        .split(',')
        .filter(move |part| part.split_once('=').is_some_and(|(name, n)| n != "-1" && !counted(name.trim())))
}

fn qos(name: &str, add: bool, settings: &Settings, accounting: &mut Accounting) -> Result<(), String> {
    let at = match (accounting.find_qos(name), add) {
        (Some(at), _) => at.0 as usize,
        (None, true) => {
            accounting.qos.push(Qos::new(name));
            accounting.qos.len() - 1
        }
        (None, false) => return Err(format!("no QOS {name}")),
    };
    for (key, value) in settings {
        let number = || value.parse::<u32>().map_err(|_| format!("`{value}` is no whole number"));
        match key.as_str() {
            "priority" => accounting.qos[at].priority = number()?,
            "usagefactor" => {
                accounting.qos[at].usage_factor =
                    value.parse().map_err(|_| format!("`{value}` is no factor"))?
            }
            "preempt" => {
                let ids = value.split(',').filter(|v| !v.is_empty());
                let ids = ids.map(|v| accounting.find_qos(v).ok_or_else(|| format!("no QOS {v}")));
                accounting.qos[at].preempt = ids.collect::<Result<_, _>>()?;
            }
            "preemptmode" => {
                let lower = value.to_ascii_lowercase();
                accounting.qos[at].preempt_mode =
                    if lower == "cluster" { None } else { Some(parameters::preempt_mode(&lower)) };
            }
            "gracetime" => accounting.qos[at].grace_s = seconds(value)?,
            "preemptexempttime" => {
                let none = ["", "-1", "none"].contains(&value.to_ascii_lowercase().as_str());
                accounting.qos[at].exempt_s = if none { None } else { Some(minutes_s(value)?) };
            }
            "description" | "cluster" => {}
            "flags" => set_flags(&mut accounting.qos[at], value),
            _ => {
                let (tres, limits) = (&mut accounting.tres, &mut accounting.qos[at].limits);
                if !set_limit(key, value, limits, tres)? {
                    return Err(format!("`{key}` of a QOS is unknown to this version"));
                }
            }
        }
    }
    Ok(())
}

/// A number of seconds, or hours, minutes and seconds, as sacctmgr writes and reads `GraceTime`.
fn seconds(value: &str) -> Result<i64, String> {
    values::duration_s(value, 1).map_err(|()| format!("`{value}` is no time"))
}

/// A time whose plain numbers are minutes.
fn minutes_s(value: &str) -> Result<i64, String> {
    values::duration_s(value, 60).map_err(|()| format!("`{value}` is no time"))
}

/// Sets the flags that are known; [`unknown_flags`] tells the others.
fn set_flags(qos: &mut Qos, value: &str) {
    for flag in value.split(',') {
        match flag.to_ascii_lowercase().as_str() {
            "denyonlimit" => qos.flags.deny_on_limit = true,
            "noreserve" => qos.flags.no_reserve = true,
            "partitionmaxnodes" => qos.flags.partition_max_nodes = true,
            "partitionminnodes" => qos.flags.partition_min_nodes = true,
            "partitiontimelimit" => qos.flags.partition_time_limit = true,
            "overpartqos" => qos.flags.over_part_qos = true,
            "nodecay" => qos.flags.no_decay = true,
            _ => {}
        }
    }
}

/// Flags without effect here, with how they are treated.
fn unknown_flags(value: &str) -> impl Iterator<Item = (&str, Treatment)> {
    value.split(',').filter_map(|flag| match flag.to_ascii_lowercase().as_str() {
        "" | "none" | "notset" | "denyonlimit" | "noreserve" | "partitionmaxnodes" | "partitionminnodes"
        | "partitiontimelimit" | "overpartqos" | "nodecay" => None,
        _ => Some((flag, Treatment::NotYet("this flag of a QOS"))),
    })
}

/// Limits of a QOS or an association; tells whether the key is one.
fn set_limit(key: &str, value: &str, limits: &mut Limits, tres: &mut TresTable) -> Result<bool, String> {
    let count = || -> Result<Option<u32>, String> {
        if value == "-1" {
            return Ok(None);
        }
        value.parse().map(Some).map_err(|_| format!("`{value}` is no whole number"))
    };
    let mut amounts =
        || values::tres_amounts(value, tres).map_err(|part| format!("`{part}` is no TRES=amount"));
    match key {
        "grptres" => limits.grp_tres = amounts()?,
        "grpjobs" => limits.grp_jobs = count()?,
        "grpsubmit" | "grpsubmitjobs" => limits.grp_submit = count()?,
        "grptresmins" => limits.grp_tres_mins = amounts()?,
        "grptresrunmins" | "grptresrunminutes" => limits.grp_tres_run_mins = amounts()?,
        "maxtresminsperjob" | "maxtresminspj" | "maxtresmins" | "maxtresmin" => {
            limits.max_tres_mins_per_job = amounts()?
        }
        "maxtrespernode" | "maxtrespn" => limits.max_tres_per_node = amounts()?,
        "maxtresperjob" | "maxtrespj" | "maxtres" => limits.max_tres_per_job = amounts()?,
        "mintresperjob" | "mintres" => limits.min_tres_per_job = amounts()?,
        "maxtresperuser" | "maxtrespu" => limits.max_tres_per_user = amounts()?,
        "maxtresperaccount" | "maxtrespa" => limits.max_tres_per_account = amounts()?,
        "maxjobsperuser" | "maxjobspu" | "maxjobs" => limits.max_jobs = count()?,
        "maxjobsperaccount" | "maxjobspa" => limits.max_jobs_per_account = count()?,
        "maxsubmitjobsperuser" | "maxsubmitpu" | "maxsubmit" | "maxsubmitjobs" => {
            limits.max_submit = count()?
        }
        "maxsubmitjobsperaccount" | "maxsubmitpa" => limits.max_submit_per_account = count()?,
        "maxwall" | "maxwalldurationperjob" | "maxwallduration" => {
            limits.max_wall_min = values::minutes(value).map_err(|()| format!("`{value}` is no time"))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn account(name: &str, add: bool, settings: &Settings, accounting: &mut Accounting) -> Result<(), String> {
    let at = match (accounting.find_assoc(name, None), add) {
        (Some(at), _) => at,
        (None, true) => {
            let parent = settings.iter().find(|(k, _)| k == "parent").map_or("root", |(_, v)| v.as_str());
            let parent = accounting.find_assoc(parent, None).ok_or_else(|| format!("no account {parent}"))?;
            push(accounting, name, None, parent)
        }
        (None, false) => return Err(format!("no account {name}")),
    };
    set_assoc(at, settings, accounting)
}

fn user(
    name: &str,
    add: bool,
    settings: &Settings,
    conditions: &Settings,
    accounting: &mut Accounting,
) -> Result<(), String> {
    let named = settings.iter().chain(conditions).find(|(k, _)| k == "account" || k == "defaultaccount");
    if !add {
        let of_user = |a: &Assoc| {
            a.user.as_deref() == Some(name) && named.is_none_or(|(_, account)| a.account == *account)
        };
        let hits: Vec<usize> =
            (0..accounting.assocs.len()).filter(|i| of_user(&accounting.assocs[*i])).collect();
        if hits.is_empty() {
            return Err(format!("no user {name}"));
        }
        return hits.into_iter().try_for_each(|at| set_assoc(id(at), settings, accounting));
    }
    let account = &named.ok_or_else(|| format!("user {name} without account="))?.1;
    let parent = accounting.find_assoc(account, None).ok_or_else(|| format!("no account {account}"))?;
    let at = match accounting.find_assoc(account, Some(name)) {
        Some(at) => at,
        None => push(accounting, account, Some(name), parent),
    };
    set_assoc(at, settings, accounting)
}

fn id(at: usize) -> AssocId {
    AssocId(u32::try_from(at).expect("fewer than 2^32 associations"))
}

fn push(accounting: &mut Accounting, account: &str, user: Option<&str>, parent: AssocId) -> AssocId {
    accounting.assocs.push(Assoc {
        account: account.to_owned(),
        user: user.map(str::to_owned),
        parent: Some(parent),
        shares: Shares::Raw(1),
        qos: Vec::new(),
        default_qos: None,
        priority: 0,
        limits: Limits::default(),
    });
    id(accounting.assocs.len() - 1)
}

/// The QOS of an association: a new list, or `qos+=a`, `qos-=b`, `qos=+a,-b` over the one that holds.
fn set_qos(index: usize, key: &str, value: &str, accounting: &mut Accounting) -> Result<(), String> {
    let is_change = key.ends_with(['+', '-']) || value.starts_with(['+', '-']);
    let here = AssocId(u32::try_from(index).unwrap_or(0));
    let inherited =
        accounting.chain(here).map(|at| &accounting.assoc(at).qos).find(|list| !list.is_empty()).cloned();
    let mut list = if is_change { inherited.unwrap_or_default() } else { Vec::new() };
    for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let name = word.trim_start_matches(['+', '-']);
        let qos = accounting.find_qos(name).ok_or_else(|| format!("no QOS {name}"))?;
        list.retain(|known| *known != qos);
        if !key.ends_with('-') && !word.starts_with('-') {
            list.push(qos);
        }
    }
    accounting.assocs[index].qos = list;
    Ok(())
}

fn set_assoc(at: AssocId, settings: &Settings, accounting: &mut Accounting) -> Result<(), String> {
    let index = at.0 as usize;
    for (key, value) in settings {
        match key.as_str() {
            "account" | "defaultaccount" | "parent" | "description" | "organization" | "cluster"
            | "adminlevel" | "coordinator" => {}
            "fairshare" | "shares" => {
                accounting.assocs[index].shares = if value.eq_ignore_ascii_case("parent") {
                    Shares::Parent
                } else {
                    Shares::Raw(value.parse().map_err(|_| format!("`{value}` is no number of shares"))?)
                };
            }
            "qos" | "qoslevel" | "qos+" | "qos-" => set_qos(index, key, value, accounting)?,
            "defaultqos" => {
                let qos = accounting.find_qos(value).ok_or_else(|| format!("no QOS {value}"))?;
                accounting.assocs[index].default_qos = Some(qos);
            }
            "priority" => {
                accounting.assocs[index].priority =
                    value.parse().map_err(|_| format!("`{value}` is no priority"))?;
            }
            _ => {
                let (tres, limits) = (&mut accounting.tres, &mut accounting.assocs[index].limits);
                if !set_limit(key, value, limits, tres)? {
                    return Err(format!("`{key}` of an association is unknown to this version"));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str, accounting: &mut Accounting) -> Result<(), String> {
        let (entries, bad) = sacctmgr::read(line);
        match bad.first() {
            Some((_, why)) => Err(why.clone()),
            None => entries.iter().try_for_each(|entry| put(entry, accounting, &mut Vec::new())),
        }
    }

    #[test]
    fn commands_build_the_tree() {
        let mut accounting = Accounting::default();
        for line in [
            "modify qos normal set priority=50",
            "add qos low priority=10 maxtresperuser=gres/gpu=16",
            "add qos high priority=100 preempt=low",
            "add account alpha fairshare=40 grpjobs=5",
            "add user u1 account=alpha fairshare=3 qos=low,normal defaultqos=low",
            "modify qos low set GrpTRES=gres/gpu=80",
        ] {
            command(line, &mut accounting).unwrap();
        }
        let u1 = accounting.find_assoc("alpha", Some("u1")).unwrap();
        assert_eq!(accounting.assoc(u1).shares, Shares::Raw(3));
        assert_eq!(accounting.assoc(u1).default_qos, accounting.find_qos("low"));
        assert!(!accounting.allows_qos(u1, accounting.find_qos("high").unwrap()));
        let low = accounting.qos(accounting.find_qos("low").unwrap());
        assert_eq!(low.limits.grp_tres, [(TresTable::GPU, 80)]);
        assert_eq!(low.limits.max_tres_per_user, [(TresTable::GPU, 16)]);
        assert!(command("add user u2 account=nowhere", &mut accounting).is_err());
        assert!(command("drop qos low", &mut accounting).is_err());
    }

    #[test]
    fn scripts_as_people_keep_them() {
        let mut accounting = Accounting::default();
        for line in [
            "# accounts of the site",
            "remove QOS where Name=normal",
            "sacctmgr -i add QOS Name=low,high Priority=5",
            "add cluster Name=big Fairshare=1 QOS=low",
            "create account name=acc1 Description=\"two words\" fairshare=100",
            "add account acc2 parent=acc1 share=7",
            "add user Names=u1,u2 accounts=acc2",
            "modify user where name=u1 set qos+=high",
            "modify user where account=acc2 set maxjobs=3",
            "add coordinator accounts=acc1 names=u1",
            "list associations format=Account,Cluster tree withd",
            "remove user u2 account=acc2",
        ] {
            command(line, &mut accounting).expect(line);
        }
        let acc1 = accounting.find_assoc("acc1", None).unwrap();
        assert_eq!(accounting.assoc(acc1).shares, Shares::Raw(100));
        let u1 = accounting.find_assoc("acc2", Some("u1")).unwrap();
        assert_eq!(accounting.find_assoc("acc2", Some("u2")), None);
        let may = |name: &str| accounting.allows_qos(u1, accounting.find_qos(name).unwrap());
        assert!(may("low") && may("high") && !may("normal"));
        assert_eq!(accounting.assoc(u1).limits.max_jobs, Some(3));
        command("delete account where name=acc1", &mut accounting).unwrap();
        assert_eq!(accounting.find_assoc("acc2", Some("u1")), None, "what is below goes too");
    }
}

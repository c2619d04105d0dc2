//! The accounting database from the arguments of `sacctmgr -i`: add and modify of QOS, account, user.

use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::scheduler::slurm::config::{
    Accounting, Assoc, AssocId, Limits, Qos, QosId, Shares, SlurmConfig, TresTable,
};

use super::{parameters, values};

/// Applies every command of the file in order.
pub(super) fn apply(path: &Path, config: &mut SlurmConfig, diagnostics: &mut Diagnostics) {
    let file: Arc<str> = path.display().to_string().into();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(why) => {
            diagnostics
                .push(Diagnostic::error("W0502", format!("cannot read {file}: {why}")).at(Place::File(file)));
            return;
        }
    };
    config.accounting.present = true;
    for (at, raw) in text.lines().enumerate() {
        let line = raw.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        if let Err(why) = command(line, &mut config.accounting) {
            let place = Place::Line {
                file: Arc::clone(&file),
                line: at as u64 + 1,
                column: 1,
                text: line.to_owned(),
            };
            diagnostics.push(
                Diagnostic::error("W0512", why)
                    .at(place)
                    .help("one command a line, as after `sacctmgr -i`: add|modify qos|account|user ..."),
            );
        }
    }
}

/// One command: verb, entity, names, settings.
fn command(line: &str, accounting: &mut Accounting) -> Result<(), String> {
    let mut words = line.split_whitespace();
    let verb = words.next().unwrap_or("").to_ascii_lowercase();
    let entity = words.next().unwrap_or("").to_ascii_lowercase();
    if !["add", "create", "modify"].contains(&verb.as_str()) {
        return Err(format!("`{verb}` is not add or modify"));
    }
    let mut names = Vec::new();
    let mut conditions = Vec::new();
    let mut settings = Vec::new();
    let mut setting = verb != "modify";
    for word in words {
        match (word.to_ascii_lowercase().as_str(), word.split_once('=')) {
            ("set", _) => setting = true,
            ("where", _) => {}
            (_, Some((key, value))) => {
                let pair = (key.to_ascii_lowercase(), value.trim_matches('"').to_owned());
                if setting { settings.push(pair) } else { conditions.push(pair) }
            }
            (_, None) => names.extend(word.split(',').map(str::to_owned)),
        }
    }
    for (key, value) in &conditions {
        if ["name", "names", "user", "account"].contains(&key.as_str())
            && (*key != "account" || entity == "account")
        {
            names.extend(value.split(',').map(str::to_owned));
        }
    }
    match entity.as_str() {
        "qos" => names.iter().try_for_each(|n| qos(n, verb != "modify", &settings, accounting)),
        "account" => names.iter().try_for_each(|n| account(n, verb != "modify", &settings, accounting)),
        "user" => {
            names.iter().try_for_each(|n| user(n, verb != "modify", &settings, &conditions, accounting))
        }
        "cluster" => Ok(()),
        other => Err(format!("`{other}` is not qos, account, user or cluster")),
    }
}

type Settings = [(String, String)];

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
            "gracetime" if value == "0" => {}
            "flags" => set_flags(&mut accounting.qos[at], value)?,
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

fn set_flags(qos: &mut Qos, value: &str) -> Result<(), String> {
    for flag in value.split(',').filter(|f| !f.is_empty()) {
        match flag.to_ascii_lowercase().as_str() {
            "denyonlimit" => qos.flags.deny_on_limit = true,
            "noreserve" => qos.flags.no_reserve = true,
            "nodecay" => {} // concerns the usage of the QOS itself, which no rule here uses
            "partitionmaxnodes" | "partitionminnodes" | "partitiontimelimit" => {
                qos.flags.override_partition = true
            }
            other => return Err(format!("QOS flag `{other}` is unknown to this version")),
        }
    }
    Ok(())
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
        "maxwall" | "maxwalldurationperjob" => {
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

fn set_assoc(at: AssocId, settings: &Settings, accounting: &mut Accounting) -> Result<(), String> {
    let index = at.0 as usize;
    for (key, value) in settings {
        match key.as_str() {
            "account" | "defaultaccount" | "parent" | "description" | "organization" | "cluster"
            | "adminlevel" => {}
            "fairshare" | "shares" => {
                accounting.assocs[index].shares = if value.eq_ignore_ascii_case("parent") {
                    Shares::Parent
                } else {
                    Shares::Raw(value.parse().map_err(|_| format!("`{value}` is no number of shares"))?)
                };
            }
            "qos" | "qoslevel" => {
                let ids: Result<Vec<QosId>, String> = value
                    .split(',')
                    .filter(|v| !v.is_empty())
                    .map(|v| accounting.find_qos(v).ok_or_else(|| format!("no QOS {v}")))
                    .collect();
                accounting.assocs[index].qos = ids?;
            }
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
}

//! What `sacctmgr remove` takes away.

use crate::scheduler::slurm::config::{Accounting, Assoc, AssocId};

/// A QOS that nobody may use any more. Its number stays, because others count from it; `normal` keeps its name,
/// because jobs without a QOS name it.
pub(super) fn qos(name: &str, accounting: &mut Accounting) -> Result<(), String> {
    let gone = accounting.find_qos(name).ok_or_else(|| format!("no QOS {name}"))?;
    for assoc in &mut accounting.assocs {
        assoc.qos.retain(|qos| *qos != gone);
        assoc.default_qos = assoc.default_qos.filter(|qos| *qos != gone);
    }
    accounting.qos.iter_mut().for_each(|qos| qos.preempt.retain(|victim| *victim != gone));
    if name != "normal" {
        accounting.qos[gone.0 as usize].name = format!("(removed) {name}");
    }
    Ok(())
}

/// An account with all that is below it.
pub(super) fn account(name: &str, accounting: &mut Accounting) -> Result<(), String> {
    accounting.find_assoc(name, None).ok_or_else(|| format!("no account {name}"))?;
    remove(accounting, |assoc| assoc.account == name);
    Ok(())
}

/// A user, in one account or in all.
pub(super) fn user(name: &str, account: Option<&str>, accounting: &mut Accounting) -> Result<(), String> {
    let is_it = |assoc: &Assoc| {
        assoc.user.as_deref() == Some(name) && account.is_none_or(|account| assoc.account == account)
    };
    if !accounting.assocs.iter().any(is_it) {
        return Err(format!("no user {name}"));
    }
    remove(accounting, is_it);
    Ok(())
}

/// Takes associations out, and those below them; the others move up.
fn remove(accounting: &mut Accounting, is_gone: impl Fn(&Assoc) -> bool) {
    let mut new_id: Vec<Option<AssocId>> = Vec::new();
    let mut kept: Vec<Assoc> = Vec::new();
    for mut assoc in std::mem::take(&mut accounting.assocs) {
        let parent = assoc.parent.map(|id| new_id[id.0 as usize]);
        if is_gone(&assoc) || parent == Some(None) {
            new_id.push(None);
            continue;
        }
        assoc.parent = parent.flatten();
        new_id.push(u32::try_from(kept.len()).ok().map(AssocId));
        kept.push(assoc);
    }
    accounting.assocs = kept;
}

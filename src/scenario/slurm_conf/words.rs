//! Words that options may hold: another one would be taken for the default without a message.

use super::lines::Pair;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};

/// Options whose values are words, in small letters; a word with `=` stands for any value behind the sign.
const WORDS: [(&str, &[&str]); 9] = [
    ("prioritytype", &["priority/basic", "priority/multifactor"]),
    ("preempttype", &["preempt/none", "preempt/qos", "preempt/partition_prio"]),
    ("preemptmode", &["off", "cancel", "gang", "requeue", "suspend", "within", "priority"]),
    (
        "priorityflags",
        &[
            "accrue_always",
            "calculate_running",
            "depth_oblivious",
            "fair_tree",
            "incr_only",
            "max_tres",
            "max_tres_gres",
            "no_fair_tree",
            "no_normal_all",
            "no_normal_assoc",
            "no_normal_part",
            "no_normal_qos",
            "no_normal_tres",
            "none",
            "small_relative_to_time",
            "ticket_based",
        ],
    ),
    (
        "selecttypeparameters",
        &[
            "cr_board",
            "cr_board_memory",
            "cr_core",
            "cr_core_default_dist_block",
            "cr_core_memory",
            "cr_cpu",
            "cr_cpu_memory",
            "cr_lln",
            "cr_memory",
            "cr_one_task_per_core",
            "cr_ondemand",
            "cr_pack_nodes",
            "cr_socket",
            "cr_socket_memory",
            "enforce_binding_gres",
            "ll_shared_gres",
            "multiple_sharing_gres_pj",
            "nhc_absolutely_no",
            "nhc_no",
            "nhc_no_steps",
            "none",
            "one_task_per_sharing_gres",
            "other_cons_res",
            "other_cons_tres",
        ],
    ),
    (
        "accountingstorageenforce",
        &[
            "0",
            "1",
            "2",
            "3",
            "4",
            "5",
            "6",
            "all",
            "associations",
            "limits",
            "nojobs",
            "none",
            "nosteps",
            "qos",
            "safe",
            "wckeys",
        ],
    ),
    (
        "dependencyparameters",
        &["disable_remote_singleton", "kill_invalid_depend", "max_depend_depth=", "none"],
    ),
    (
        "preemptparameters",
        &[
            "min_exempt_priority=",
            "none",
            "reclaim_licenses",
            "reorder_count=",
            "send_user_signal",
            "strict_order",
            "suspend_grace_time=",
            "youngest_first",
        ],
    ),
    ("priorityusageresetperiod", &["daily", "monthly", "none", "now", "quarterly", "weekly", "yearly"]),
];

/// Tells the words of a value that the option does not know.
pub(super) fn check(key: &str, pair: &Pair, diagnostics: &mut Diagnostics) {
    let Some((_, known)) = WORDS.iter().find(|(option, _)| *option == key) else { return };
    for word in pair.value.split([',', '|']).map(str::trim).filter(|word| !word.is_empty()) {
        let lower = word.to_ascii_lowercase();
        let is_known = known.iter().any(|name| match name.strip_suffix('=') {
            Some(beginning) => lower.split('=').next() == Some(beginning),
            None => *name == lower,
        });
        if is_known {
            continue;
        }
        let message = format!("`{word}` is no word of {} that is known here: it is passed over", pair.key);
        let told = Diagnostic::warning("W0507", message).at(pair.place_of(word));
        diagnostics.push(match nearest(&lower, known.iter().copied()) {
            Some(near) => told.help(format!("did you mean {near}?")),
            None => told.help(format!("one of {}", known.join(", "))),
        });
    }
}

//! One option over what a site's files say, named in lower case.

use super::lines::Pair;
use super::{Coverage, Covered, parameters, values};
use crate::diagnostic::Diagnostics;
use crate::scheduler::slurm::config::{BackfillRule, SlurmConfig, UnknownVersion};

/// Sets one option as `slurm.conf` would: a word of `SchedulerParameters`, or an option of the file, in
/// lower case. Flags take `true` and `false`; `cred_expire` stands for `AuthInfo=cred_expire=`.
///
/// # Errors
/// Why the value cannot be used.
pub fn override_option(config: &mut SlurmConfig, key: &str, value: &str) -> Result<(), String> {
    if let Some(flag) = flag(config, key) {
        *flag = values::yes(value).ok_or_else(|| format!("`{value}` is neither true nor false"))?;
        return Ok(());
    }
    if key == "backfill" {
        let rule = match value {
            "easy" => BackfillRule::Easy,
            "conservative" => BackfillRule::Conservative,
            _ => return Err(format!("`{value}` is neither easy nor conservative")),
        };
        config.backfill.be_ideal(rule);
        return Ok(());
    }
    if key == "backfill_test_us" {
        let most = 60_000_000;
        let test_us = value.parse().ok().filter(|us| (1..=most).contains(us));
        let wrong = || format!("`{value}` is no number of microseconds from 1 to {most}");
        config.backfill.test_us = Some(test_us.ok_or_else(wrong)?);
        return Ok(());
    }
    if key == "version" {
        config.version = value.parse().map_err(|unknown: UnknownVersion| unknown.to_string())?;
        return Ok(());
    }
    if key == "priorityweighttres" {
        let weights = values::tres_weights(value, &mut config.accounting.tres);
        config.priority.weights.tres = weights.map_err(|part| format!("`{part}` is no weight"))?;
        return Ok(());
    }
    if let Some(known) = known_words(key)
        && !value.split(',').all(|word| known.contains(&word.trim().to_ascii_lowercase().as_str()))
    {
        return Err(format!("`{value}` is none of {}", known.join(", ")));
    }
    let scheduler_word = key.contains('_') && key != "cred_expire";
    if scheduler_word {
        return match parameters::scheduler_parameter(key, value, config) {
            Ok(treatment) if treatment.word() != "not yet" => Ok(()),
            Ok(treatment) => Err(format!("it is not modelled: {}", treatment.note())),
            Err(()) => Err(format!("`{value}` is out of range")),
        };
    }
    let (key, value) = match key {
        "cred_expire" => ("authinfo", format!("cred_expire={value}")),
        _ => (key, value.to_owned()),
    };
    let pair = Pair { key: key.to_owned(), value, file: "".into(), line: 0, column: 0 };
    let mut problems = Diagnostics::default();
    let treatment = parameters::option(&pair, config, &mut problems);
    match problems.kept().first() {
        Some(problem) => Err(problem.message.clone()),
        None if treatment.word() == "not yet" => Err(format!("it is not modelled: {}", treatment.note())),
        None => Ok(()),
    }
}

/// Words of `SchedulerParameters` that stand without a value.
fn flag<'c>(config: &'c mut SlurmConfig, key: &str) -> Option<&'c mut bool> {
    Some(match key {
        "assoc_limit_stop" => &mut config.main.assoc_limit_stop,
        "defer" => &mut config.main.defer,
        "bf_one_resv_per_job" => &mut config.backfill.one_resv_per_job,
        "preempt_youngest_first" => &mut config.preempt.youngest_first,
        "preempt_strict_order" => &mut config.preempt.strict_order,
        _ => return None,
    })
}

/// Options whose values are words of a list.
fn known_words(key: &str) -> Option<&'static [&'static str]> {
    Some(match key {
        "schedulertype" => &["sched/backfill", "sched/builtin"],
        "prioritytype" => &["priority/basic", "priority/multifactor"],
        "preempttype" => &["preempt/none", "preempt/qos", "preempt/partition_prio"],
        "preemptmode" => &["off", "cancel", "requeue"],
        "priorityfavorsmall" => &["yes", "no"],
        "priorityusageresetperiod" => &["none", "daily", "weekly", "monthly", "quarterly", "yearly"],
        "priorityflags" => &[
            "",
            "accrue_always",
            "incr_only",
            "max_tres",
            "no_fair_tree",
            "no_normal_all",
            "no_normal_part",
            "no_normal_qos",
            "small_relative_to_time",
        ],
        "selecttypeparameters" => &[
            "cr_cpu",
            "cr_cpu_memory",
            "cr_core",
            "cr_core_memory",
            "cr_lln",
            "cr_one_task_per_core",
            "cr_core_default_dist_block",
        ],
        "dependencyparameters" => &["", "kill_invalid_depend"],
        "accountingstorageenforce" => &["", "none", "associations", "limits", "safe", "qos", "all"],
        _ => return None,
    })
}

impl Coverage {
    /// Whether a file sets the option that [`override_option`] calls `key`.
    #[must_use]
    pub fn sets(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The value that a file gives to the option that [`override_option`] calls `key`, as that would be
    /// written there, and where.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<(String, &Covered)> {
        // a site has a million rows of nodes and asks for dozens of options: most are told apart by their length
        let ends_so = |option: &str| {
            let from = option.len().checked_sub(key.len());
            from.and_then(|from| option.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case(key))
        };
        let is_list = |option: &str| {
            ["AuthInfo", "PreemptParameters"].iter().any(|list| option.eq_ignore_ascii_case(list))
        };
        let row = self.rows.iter().rfind(|row| {
            if !ends_so(&row.option) && !is_list(&row.option) {
                return false;
            }
            let (list, word) = row.option.split_once(':').unwrap_or(("", row.option.as_str()));
            let plain = list.is_empty() || list == "SchedulerParameters";
            plain && word.eq_ignore_ascii_case(key) || Self::part(row, key).is_some()
        })?;
        let value = Self::part(row, key).unwrap_or(row.value.as_str());
        let is_flag = flag(&mut SlurmConfig::empty(), key).is_some();
        Some((if is_flag { "true".to_owned() } else { value.to_owned() }, row))
    }

    /// The value of a word inside `AuthInfo` or `PreemptParameters`.
    fn part<'r>(row: &'r Covered, key: &str) -> Option<&'r str> {
        let (option, word) = match key {
            "cred_expire" => ("AuthInfo", "cred_expire"),
            _ => ("PreemptParameters", key.strip_prefix("preempt_")?),
        };
        let words = row.option.eq_ignore_ascii_case(option).then(|| row.value.split(','))?;
        let mut values = words.map(|part| part.trim().split_once('=').unwrap_or((part.trim(), "true")));
        values.find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::slurm_conf::Treatment;

    #[test]
    fn options_are_set_as_the_file_sets_them() {
        let mut config = SlurmConfig::empty();
        for (key, value) in [
            ("bf_interval", "12"),
            ("bf_window", "60"),
            ("assoc_limit_stop", "true"),
            ("priorityweightage", "500"),
            ("prioritytype", "priority/multifactor"),
            ("prioritydecayhalflife", "14-0"),
            ("preemptmode", "REQUEUE"),
            ("cred_expire", "5"),
            ("priorityweighttres", "CPU=10,GRES/gpu=100"),
            ("preemptexempttime", "00:10"),
        ] {
            override_option(&mut config, key, value).expect(key);
        }
        assert_eq!((config.backfill.interval_s, config.backfill.window_s), (12, 3_600));
        assert!(config.main.assoc_limit_stop && config.priority.multifactor);
        assert_eq!((config.priority.weights.age, config.priority.decay_half_life_s), (500, 14 * 86_400));
        assert_eq!(config.controller.cred_expire_s, 5);
        assert_eq!(config.priority.weights.tres.len(), 2);
        assert_eq!(config.preempt.exempt_s, 10);
        assert_eq!(config.backfill.rule, BackfillRule::Threads);
        override_option(&mut config, "backfill", "easy").expect("a named rule");
        assert_eq!((config.backfill.rule, config.backfill.resolution_s), (BackfillRule::Easy, 1));
        override_option(&mut config, "assoc_limit_stop", "false").expect("a flag");
        assert!(!config.main.assoc_limit_stop);
    }

    #[test]
    fn what_the_files_set_is_found() {
        let mut coverage = Coverage::default();
        for (option, value) in [
            ("SchedulerParameters:bf_interval", "2"),
            ("SchedulerParameters:defer", ""),
            ("PriorityWeightAge", "500"),
            ("AuthInfo", "socket=/run/x,cred_expire=20"),
            ("PreemptParameters", "youngest_first"),
        ] {
            let (option, value, file) = (option.to_owned(), value.to_owned(), "f".into());
            coverage.rows.push(Covered { option, value, file, line: 1, treatment: Treatment::Honoured });
        }
        let found = |key: &str| coverage.find(key).map(|(value, _)| value);
        assert_eq!(found("bf_interval").as_deref(), Some("2"));
        assert_eq!(found("defer").as_deref(), Some("true"));
        assert_eq!(found("priorityweightage").as_deref(), Some("500"));
        assert_eq!(found("cred_expire").as_deref(), Some("20"));
        assert_eq!(found("preempt_youngest_first").as_deref(), Some("true"));
        assert_eq!(found("bf_window"), None);
    }

    #[test]
    fn values_that_cannot_be_used_are_told() {
        let mut config = SlurmConfig::empty();
        for (key, value) in [
            ("bf_interval", "0"),
            ("prioritytype", "priority/fifo"),
            ("prioritymaxage", "soon"),
            ("preemptmode", "SUSPEND"),
            ("priorityflags", "MAX_TRES,DEPTH_OBLIVIOUS"),
            ("overtimelimit", "later"),
            ("backfill", "greedy"),
        ] {
            assert!(override_option(&mut config, key, value).is_err(), "{key}={value}");
        }
    }
}

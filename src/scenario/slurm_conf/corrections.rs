//! What slurmctld makes of words of `SchedulerParameters` that it cannot use: it never refuses them.
//!
//! A word counts where it stands first; of its value the leading digits count; and where the number is outside of
//! the word's range, the default holds (backfill.c and job_scheduler.c of 22.05 to 26.05).

use super::values::leading_number;

/// Words with the least and the most that slurmctld takes.
const RANGES: [(&str, i64, i64); 18] = [
    ("batch_sched_delay", 0, MOST),
    ("bf_interval", 1, 10_800),
    ("bf_job_part_count_reserve", 0, 100_000),
    ("bf_max_job_array_resv", 0, 1_000),
    ("bf_max_job_assoc", 0, MOST),
    ("bf_max_job_part", 0, MOST),
    ("bf_max_job_start", 0, 10_000),
    ("bf_max_job_test", 1, 1_000_000),
    ("bf_max_job_user", 0, MOST),
    ("bf_max_job_user_part", 0, MOST),
    ("bf_max_time", 1, 3_600),
    ("bf_min_age_reserve", 0, 2_592_000),
    ("bf_node_space_size", 2, 2_000_000),
    ("bf_resolution", 1, 3_600),
    // in minutes
    ("bf_window", 1, 43_200),
    ("bf_yield_interval", 1, 10_000_000),
    ("bf_yield_sleep", 1, 10_000_000),
    ("sched_max_job_start", 0, MOST),
];

const MOST: i64 = i32::MAX as i64;

/// A value as slurmctld takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// As it is written.
    AsWritten,
    /// Another number, and why.
    As(String, String),
    /// None: the default holds, and why.
    Default(String),
}

/// What slurmctld takes for `name=value`.
pub(super) fn taken(name: &str, value: &str) -> Taken {
    let lower = name.to_ascii_lowercase();
    let range = RANGES.iter().find(|(known, ..)| *known == lower);
    let Some((_, least, most)) = range else { return Taken::AsWritten };
    let number = leading_number(value);
    // -1 switches the backfill thread off
    if lower == "bf_interval" && number == -1 {
        return Taken::AsWritten;
    }
    if !(*least..=*most).contains(&number) {
        let bounds = if *most == MOST { format!("at least {least}") } else { format!("{least} to {most}") };
        return Taken::Default(format!(
            "{name}={value} is outside of {bounds}: the default holds, as for slurmctld"
        ));
    }
    let text = number.to_string();
    if text == value {
        return Taken::AsWritten;
    }
    let message = format!("`{value}` of {name} is read as {text}, as slurmctld does");
    Taken::As(text, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_slurmctld_corrects() {
        let default = |name, value| matches!(taken(name, value), Taken::Default(_));
        let number = |name, value| match taken(name, value) {
            Taken::As(number, _) => number,
            _ => String::new(),
        };
        assert!(default("bf_interval", "0") && default("bf_window", "x") && default("bf_max_job_test", "-3"));
        assert!(default("bf_window", "43201") && default("BF_Resolution", "9999"));
        assert_eq!((number("bf_interval", "60s"), number("bf_window", "010")), ("60".into(), "10".into()));
        for (name, value) in
            [("bf_interval", "30"), ("bf_interval", "-1"), ("max_rpc_cnt", "x"), ("defer", "")]
        {
            assert_eq!(taken(name, value), Taken::AsWritten, "{name}={value}");
        }
    }
}

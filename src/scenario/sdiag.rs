//! What `sdiag` prints: how long the backfill thread takes over a job of its queue.
//!
//! Counters begin anew at midnight and when somebody resets them, so of a series of dumps the last one before each new
//! beginning counts. The mean cycle over the mean depth, weighted with the jobs that the cycles went over, is what
//! one job takes: the same reckoning as for the recorded clusters.

use crate::diagnostic::Diagnostic;

/// The backfill counters of one dump.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counters {
    cycles: f64,
    mean_cycle_us: f64,
    mean_depth: f64,
}

/// What dumps of `sdiag` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackfillCost {
    /// Microseconds that the thread takes over a job of its queue.
    pub test_us: u32,
    /// Cycles that this is the mean of.
    pub cycles: u64,
    /// Dumps among the texts.
    pub dumps: usize,
}

/// Fits one or several texts of `sdiag`, in the order of time.
///
/// # Errors
/// If no cycle of the backfill thread is among them.
pub fn backfill_cost(texts: &[String]) -> Result<BackfillCost, Diagnostic> {
    let counters: Vec<Counters> = texts.iter().flat_map(|text| dumps_of(text)).collect();
    let is_last = |at: &usize| counters.get(at + 1).is_none_or(|next| next.cycles < counters[*at].cycles);
    let windows: Vec<Counters> = (0..counters.len()).filter(is_last).map(|at| counters[at]).collect();
    let jobs: f64 = windows.iter().map(|one| one.cycles * one.mean_depth).sum();
    let took_us: f64 = windows.iter().map(|one| one.cycles * one.mean_cycle_us).sum();
    if jobs <= 0.0 {
        let told = Diagnostic::error("W0534", "no cycle of the backfill thread is among what sdiag printed");
        return Err(told.help("give what `sdiag` prints on a busy day, some hours after midnight"));
    }
    Ok(BackfillCost {
        test_us: libm::round(took_us / jobs).clamp(1.0, f64::from(u32::MAX)) as u32,
        cycles: windows.iter().map(|one| one.cycles as u64).sum(),
        dumps: counters.len(),
    })
}

/// The counters of every dump in a text.
fn dumps_of(text: &str) -> Vec<Counters> {
    let mut found = Vec::new();
    for part in text.split("Backfilling stats").skip(1) {
        let number = |name: &str| {
            let line =
                part.lines().find_map(|line| line.trim().strip_prefix(name)?.trim().strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        let counters = (number("Total cycles"), number("Mean cycle"), number("Depth Mean"));
        if let (Some(cycles), Some(mean_cycle_us), Some(mean_depth)) = counters {
            found.push(Counters { cycles, mean_cycle_us, mean_depth });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(cycles: u32, mean_cycle: u32, depth: u32) -> String {
        format!(
            "*******\nsdiag output at Mon\nMain schedule statistics (microseconds):\n\tMean cycle: 77\n\tTotal cycles: 9\n\n\
             Backfilling stats\n\tTotal cycles: {cycles}\n\tLast cycle: 5\n\tMean cycle:  {mean_cycle}\n\tDepth Mean: {depth}\n\
             \tDepth Mean (try depth): 3\n"
        )
    }

    #[test]
    fn one_job_takes_the_mean_cycle_over_the_mean_depth() {
        let one = backfill_cost(&[dump(100, 30_000, 60)]).unwrap();
        assert_eq!(one, BackfillCost { test_us: 500, cycles: 100, dumps: 1 });
    }

    #[test]
    fn of_a_series_the_last_dump_before_each_reset_counts() {
        // day one: 10, then 100 cycles of 6,000 us over 10 jobs; day two: 50 cycles of 24,000 us over 20 jobs
        let series = [dump(10, 9_000, 1) + &dump(100, 6_000, 10), dump(50, 24_000, 20)];
        let fitted = backfill_cost(&series).unwrap();
        // (100 x 6,000 + 50 x 24,000) us over (100 x 10 + 50 x 20) jobs
        assert_eq!(fitted, BackfillCost { test_us: 900, cycles: 150, dumps: 3 });
    }

    #[test]
    fn without_a_cycle_there_is_nothing_to_fit() {
        for text in [String::new(), dump(0, 0, 0), "Backfilling stats\n".to_owned()] {
            assert_eq!(backfill_cost(&[text]).unwrap_err().code.0, "W0534");
        }
    }
}

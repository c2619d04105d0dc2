//! How many GPUs each queue is entitled to: quota first, then what is left by weight.
//!
//! The rule of the KAI scheduler's fair share: every queue gets its quota or its demand, whichever is less;
//! the rest goes to the queues that want more, in proportion to their weights, and what a queue cannot
//! use goes round again. Whole GPUs; the last ones go to the largest remainders (ties: first queue).

/// What a queue may have and wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// GPUs that are its own.
    pub quota: u32,
    /// Its weight for GPUs beyond quotas; with 0 it gets none of them.
    pub weight: u32,
    /// GPUs that it could use.
    pub demand: u32,
}

/// GPUs for each queue; together at most `gpus`. Where quotas exceed what there is, they are served in
/// the order of the queues.
#[must_use]
pub fn divide(gpus: u32, queues: &[Queue]) -> Vec<u32> {
    let mut left = gpus;
    let mut shares: Vec<u32> = queues
        .iter()
        .map(|queue| {
            let own = queue.quota.min(queue.demand).min(left);
            left -= own;
            own
        })
        .collect();
    loop {
        let wanting: Vec<usize> = (0..queues.len())
            .filter(|at| queues[*at].weight > 0 && shares[*at] < queues[*at].demand)
            .collect();
        let weights: u64 = wanting.iter().map(|at| u64::from(queues[*at].weight)).sum();
        if left == 0 || weights == 0 {
            return shares;
        }
        let part = |at: usize| u64::from(left) * u64::from(queues[at].weight);
        let whole = |at: usize| (part(at) / weights) as u32;
        let filled: Vec<usize> =
            wanting.iter().copied().filter(|at| whole(*at) >= queues[*at].demand - shares[*at]).collect();
        if filled.is_empty() {
            let mut rest = left - wanting.iter().map(|at| whole(*at)).sum::<u32>();
            let mut order = wanting.clone();
            order.sort_by_key(|at| (std::cmp::Reverse(part(*at) % weights), *at));
            for at in order {
                let extra = u32::from(rest > 0);
                rest -= extra;
                shares[at] += whole(at) + extra;
            }
            return shares;
        }
        // Whoever gets all that it wants leaves the round; the others share what that leaves.
        for at in filled {
            left -= queues[at].demand - shares[at];
            shares[at] = queues[at].demand;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(gpus: u32, queues: &[(u32, u32, u32)]) -> Vec<u32> {
        let queue = |(quota, weight, demand): &(u32, u32, u32)| Queue {
            quota: *quota,
            weight: *weight,
            demand: *demand,
        };
        divide(gpus, &queues.iter().map(queue).collect::<Vec<_>>())
    }

    #[test]
    fn quota_first_then_weights() {
        assert_eq!(shares(100, &[(10, 3, 100), (10, 1, 100)]), [70, 30]);
        assert_eq!(shares(100, &[(10, 3, 40), (10, 1, 100)]), [40, 60]);
        assert_eq!(shares(100, &[(10, 3, 5), (10, 1, 20)]), [5, 20]);
        assert_eq!(shares(100, &[(80, 1, 100), (80, 1, 100)]), [80, 20]);
        assert_eq!(shares(10, &[(0, 1, 10), (0, 1, 10), (0, 1, 10)]), [4, 3, 3]);
        assert_eq!(shares(10, &[(4, 0, 10), (0, 1, 3)]), [4, 3]);
    }
}

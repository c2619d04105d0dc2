//! What jobs on common links do to each other's iterations.
//!
//! An iteration computes, then communicates, and hides a share of the communication. How much a job loses to its neighbours
//! depends on when they all communicate, so there are two bounds, and `phase_overlap` says where between them the truth lies:
//!
//! - *together*: everybody communicates at once. Rates by filling, each capped at its rate alone.
//! - *apart*: each communicates while the others compute. A job spreads its bytes over its whole step alone: that is its cap.
//!   A job that gets so much is not slowed down at all; one that gets less has a step of bytes / rate.
//!
//! t = (1 - phi) t_apart + phi max(t_together, t_apart), and step = compute + max(0, t - hidden). Equal jobs with share f on one
//! link give max(1, k f) at phi 0 and 1 + (k - 1) f at phi 1. A fixed latency is part of the time alone, not of the bytes.
//!
//! Given up: a phase is a number for all jobs; jobs that find a rhythm with each other are between the bounds, not computed.

use super::rates::Filling;

/// What a job does in one iteration, and what it sends over links that others may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// Time without communication, in seconds.
    pub compute_s: f64,
    /// Bytes on each link in an iteration; each link once.
    pub bytes: Vec<(u32, f64)>,
    /// Share of the communication that is hidden behind computing when the job is alone.
    pub hidden: f64,
    /// Most bytes per second on its busiest link, whatever the link could do.
    pub cap: Option<f64>,
    /// Part of the communication that no rate shortens, in seconds.
    pub latency_s: f64,
}

/// A job alone on its links: all that the two fillings need.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Alone {
    /// Bytes on its busiest link.
    pub busiest: f64,
    /// Bytes per second on that link.
    pub rate: f64,
    /// Communication, hidden or not, in seconds.
    pub communication_s: f64,
    /// What of it is hidden behind computing, in seconds.
    pub hidden_s: f64,
    /// The iteration, in seconds.
    pub step_s: f64,
}

/// How long an iteration takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Beside the others, in seconds; infinite where a link of the job has no capacity.
    pub now_s: f64,
    /// With the links to itself, in seconds.
    pub alone_s: f64,
    /// Part of `alone_s` that does not communicate, or hides it, in seconds.
    pub compute_s: f64,
}

impl Step {
    /// How much longer the iteration takes than alone; 1 where nobody is in the way.
    #[must_use]
    pub fn slowdown(&self) -> f64 {
        if self.now_s == self.alone_s { 1.0 } else { self.now_s / self.alone_s }
    }

    /// How much longer the communication that is not hidden takes than alone; 1 where there is none and none comes.
    #[must_use]
    pub fn communication_slowdown(&self) -> f64 {
        if self.now_s == self.alone_s {
            return 1.0;
        }
        (self.now_s - self.compute_s) / (self.alone_s - self.compute_s)
    }
}

impl Demand {
    /// The job with the links to itself, on links of these capacities.
    pub fn alone(&self, capacity: impl Fn(u32) -> f64) -> Alone {
        let busiest = self.bytes.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max);
        if busiest <= 0.0 {
            let step_s = self.compute_s + self.latency_s;
            return self.hiding(Alone {
                rate: f64::INFINITY,
                communication_s: self.latency_s,
                step_s,
                ..Alone::default()
            });
        }
        let sent =
            self.bytes.iter().filter(|(_, bytes)| *bytes > 0.0).map(|(link, bytes)| bytes / capacity(*link));
        let sent_s = sent.fold(self.cap.map_or(0.0, |cap| busiest / cap), f64::max);
        let communication_s = sent_s + self.latency_s;
        self.hiding(Alone { busiest, rate: busiest / sent_s, communication_s, ..Alone::default() })
    }

    fn hiding(&self, alone: Alone) -> Alone {
        let hidden_s = (self.hidden * alone.communication_s).min(self.compute_s);
        let step_s = self.compute_s + (alone.communication_s - hidden_s).max(0.0);
        Alone { hidden_s, step_s, ..alone }
    }

    /// Weights for the fillings: bytes on a link for each byte on the busiest.
    pub fn weights(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        let busiest = self.bytes.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max);
        self.bytes.iter().filter(|(_, bytes)| *bytes > 0.0).map(move |(link, bytes)| (*link, bytes / busiest))
    }

    /// The iteration with the rates of the two fillings.
    #[must_use]
    pub fn step(&self, alone: &Alone, together: f64, apart: f64, phase_overlap: f64) -> Step {
        let compute_s = self.compute_s;
        let quiet = Step { now_s: alone.step_s, alone_s: alone.step_s, compute_s };
        if alone.busiest <= 0.0 {
            return quiet;
        }
        let apart_s = alone.communication_s.max(alone.busiest / apart - compute_s + alone.hidden_s);
        let together_s = (alone.busiest / together + self.latency_s).max(apart_s);
        if together_s <= alone.communication_s {
            return quiet;
        }
        // Both are infinite on a failed link, and zero times infinity is not a number.
        let time_s = if together_s.is_infinite() {
            f64::INFINITY
        } else {
            (1.0 - phase_overlap) * apart_s + phase_overlap * together_s
        };
        Step { now_s: compute_s + (time_s - alone.hidden_s).max(0.0), ..quiet }
    }
}

impl Alone {
    /// Cap of the filling in which everybody communicates at once.
    #[must_use]
    pub fn cap_together(&self) -> f64 {
        self.rate
    }

    /// Cap of the filling in which each communicates while the others compute.
    #[must_use]
    pub fn cap_apart(&self) -> f64 {
        if self.step_s > 0.0 { self.busiest / self.step_s } else { f64::INFINITY }
    }
}

/// The steps of jobs on links of these capacities, all at once: what [`super::shares::Shares`] keeps up to date.
#[must_use]
pub fn steps(capacity: &[f64], jobs: &[Demand], phase_overlap: f64) -> Vec<Step> {
    let mut filling = Filling::default();
    capacity.iter().for_each(|capacity| {
        filling.link(*capacity);
    });
    let alone: Vec<Alone> = jobs.iter().map(|job| job.alone(|link| capacity[link as usize])).collect();
    for (job, alone) in jobs.iter().zip(&alone) {
        filling.flow(job.weights(), alone.cap_together());
    }
    let together = filling.solve().to_vec();
    for (flow, alone) in alone.iter().enumerate() {
        filling.set_cap(flow as u32, alone.cap_apart());
    }
    let apart = filling.solve();
    let rates = together.iter().zip(apart);
    let jobs = jobs.iter().zip(&alone).zip(rates);
    jobs.map(|((job, alone), (together, apart))| job.step(alone, *together, *apart, phase_overlap)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(jobs: usize, share: f64, phase_overlap: f64) -> f64 {
        let job = Demand { compute_s: 1.0 - share, bytes: vec![(0, 50.0 * share)], ..Demand::default() };
        let found = steps(&[50.0], &vec![job; jobs], phase_overlap);
        assert!(found.iter().all(|step| step.slowdown() == found[0].slowdown()));
        found[0].slowdown()
    }

    #[test]
    fn equal_jobs_on_one_link_follow_the_closed_forms() {
        for jobs in [1, 2, 3, 4, 8, 30] {
            for share in [0.05, 0.1, 0.25, 0.45, 0.9] {
                let k = jobs as f64;
                assert!(
                    (equal(jobs, share, 1.0) - (1.0 + (k - 1.0) * share)).abs() < 1e-12,
                    "{jobs} {share}"
                );
                assert!((equal(jobs, share, 0.0) - (k * share).max(1.0)).abs() < 1e-12, "{jobs} {share}");
            }
        }
    }

    #[test]
    fn a_job_that_sends_nothing_or_whose_link_failed_is_told_so() {
        let idle = Demand { compute_s: 2.0, latency_s: 0.5, ..Demand::default() };
        let cut = Demand { compute_s: 1.0, bytes: vec![(0, 5.0), (1, 5.0)], ..Demand::default() };
        let beside = Demand { compute_s: 1.0, bytes: vec![(1, 5.0)], ..Demand::default() };
        let found = steps(&[0.0, 5.0], &[idle, cut, beside], 0.5);
        assert_eq!((found[0].now_s, found[0].slowdown()), (2.5, 1.0));
        assert_eq!(found[1].now_s, f64::INFINITY);
        assert_eq!((found[2].now_s, found[2].communication_slowdown()), (2.0, 1.0));
    }

    #[test]
    fn the_share_that_communicates_is_what_is_stretched() {
        let job = Demand { compute_s: 3.0, bytes: vec![(0, 10.0)], ..Demand::default() };
        let step = steps(&[10.0], &[job.clone(), job], 1.0)[0];
        assert_eq!((step.alone_s, step.now_s, step.communication_slowdown()), (4.0, 5.0, 2.0));
    }
}

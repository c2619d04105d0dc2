//! Transfers over links from start to end, with max-min shares at every instant.
//!
//! The clock is that of the simulation: integer microseconds, an end is rounded up. Each round passes an arrival or an end, so
//! there are at most twice as many rounds as transfers.

use super::rates::Filling;
use crate::time::{MICROS_PER_S, SimDuration, SimTime};

/// Something to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// When it begins.
    pub start: SimTime,
    /// How much.
    pub bytes: f64,
    /// Links that it goes over, with weight 1 on each.
    pub links: Vec<u32>,
}

/// When each transfer ends; `None` where a link without capacity stops it for good.
#[must_use]
pub fn ends(capacity: &[f64], transfers: &[Transfer]) -> Vec<Option<SimTime>> {
    let mut arrivals: Vec<usize> = (0..transfers.len()).collect();
    arrivals.sort_by_key(|at| transfers[*at].start);
    let mut arrivals = arrivals.into_iter().peekable();
    let mut ends = vec![None; transfers.len()];
    // (transfer, bytes left, rate)
    let mut running: Vec<(usize, f64, f64)> = Vec::new();
    let mut now = SimTime::ZERO;
    let mut filling = Filling::default();
    loop {
        let end =
            running.iter().map(|(_, left, rate)| after(now, *left, *rate)).min().unwrap_or(SimTime::NEVER);
        let arrival = arrivals.peek().map_or(SimTime::NEVER, |at| transfers[*at].start);
        let next = end.min(arrival);
        if next == SimTime::NEVER {
            return ends;
        }
        let passed_s = next.saturating_since(now).micros() as f64 / MICROS_PER_S as f64;
        running.retain_mut(|(at, left, rate)| {
            if after(now, *left, *rate) <= next {
                ends[*at] = Some(next);
                return false;
            }
            *left -= *rate * passed_s;
            true
        });
        now = next;
        while let Some(at) = arrivals.next_if(|at| transfers[*at].start <= now) {
            running.push((at, transfers[at].bytes, 0.0));
        }
        filling.clear();
        capacity.iter().for_each(|capacity| {
            filling.link(*capacity);
        });
        for (at, ..) in &running {
            filling.flow(transfers[*at].links.iter().map(|link| (*link, 1.0)), f64::INFINITY);
        }
        for ((.., rate), solved) in running.iter_mut().zip(filling.solve()) {
            *rate = *solved;
        }
    }
}

/// The first microsecond at which `left` bytes are through; what rounding left of them is no reason for one more.
#[must_use]
pub fn after(now: SimTime, left: f64, rate: f64) -> SimTime {
    const ROUNDING_US: f64 = 1e-4;
    if left <= 0.0 {
        return now;
    }
    let micros = (left / rate * MICROS_PER_S as f64 - ROUNDING_US).ceil().max(0.0);
    if micros < SimTime::MAX.micros() as f64 {
        now + SimDuration::from_micros(micros as i64)
    } else {
        SimTime::NEVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(start_s: i64, bytes: f64, links: &[u32]) -> Transfer {
        Transfer { start: SimTime::from_s(start_s), bytes, links: links.to_vec() }
    }

    #[test]
    fn a_late_transfer_takes_its_half() {
        let found = ends(&[10.0], &[transfer(0, 100.0, &[0]), transfer(3, 20.0, &[0])]);
        assert_eq!(found, [Some(SimTime::from_s(12)), Some(SimTime::from_s(7))]);
    }

    #[test]
    fn what_cannot_be_sent_never_ends_and_nothing_takes_no_time() {
        let found = ends(&[0.0], &[transfer(0, 1.0, &[0]), transfer(2, 0.0, &[0]), transfer(5, 9.0, &[])]);
        assert_eq!(found, [None, Some(SimTime::from_s(2)), Some(SimTime::from_s(5))]);
    }
}

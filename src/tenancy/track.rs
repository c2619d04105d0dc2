//! The noise of a host as a list of epochs, drawn as far as somebody has looked.
//!
//! What strangers do depends on nobody here, so the epochs ahead can be read before they come: a job that starts
//! looks up when it will end, instead of being woken at each of them. Epochs are numbered from the first one of
//! the run; those behind can be forgotten.

use std::collections::VecDeque;

use super::{HostNoise, Noise};
use crate::time::SimTime;

/// A stretch of time in which a host's factor does not change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// First instant after it.
    pub until: SimTime,
    /// Factor on run times, at least 1.
    pub factor: f64,
}

/// Epochs drawn together.
const AT_ONCE: usize = 8;

/// The epochs of one host.
#[derive(Debug)]
pub struct NoiseTrack {
    state: HostNoise,
    /// Number of the first epoch in the list.
    first: u32,
    /// Never empty; the last one is that of `state`.
    epochs: VecDeque<Epoch>,
}

impl NoiseTrack {
    /// The epochs of the host whose process is `state`, from its current one on.
    #[must_use]
    pub fn new(state: HostNoise) -> Self {
        let now = Epoch { until: state.until(), factor: state.factor() };
        Self { state, first: 0, epochs: VecDeque::from([now]) }
    }

    /// Draws some more: one by one each would wait for the logarithms of the one before.
    #[cold]
    fn draw(&mut self, noise: &Noise) {
        for _ in 0..AT_ONCE {
            self.state.step(noise);
            self.epochs.push_back(Epoch { until: self.state.until(), factor: self.state.factor() });
        }
    }

    /// The epoch of this number.
    ///
    /// # Panics
    /// If it was forgotten.
    #[inline]
    pub fn get(&mut self, noise: &Noise, number: u32) -> Epoch {
        let at =
            number.checked_sub(self.first).expect("nobody looks back behind what was forgotten") as usize;
        while self.epochs.len() <= at {
            self.draw(noise);
        }
        self.epochs[at]
    }

    /// The number of the epoch that holds `now`, which lies in no forgotten one.
    pub fn number_at(&mut self, noise: &Noise, now: SimTime) -> u32 {
        while self.state.until() <= now {
            self.draw(noise);
        }
        self.first + self.epochs.partition_point(|epoch| epoch.until <= now) as u32
    }

    /// Epochs kept before the one of this number.
    #[must_use]
    pub fn behind(&self, number: u32) -> usize {
        number.saturating_sub(self.first) as usize
    }

    /// Forgets all epochs before the one of this number.
    pub fn forget_before(&mut self, number: u32) {
        let behind = self.behind(number).min(self.epochs.len() - 1);
        self.epochs.drain(..behind);
        self.first += behind as u32;
    }

    /// Goes on to the epoch that holds `now` and forgets those before it; tells its number.
    pub fn go_to(&mut self, noise: &Noise, now: SimTime) -> u32 {
        let number = self.number_at(noise, now);
        self.forget_before(number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenancy::NoiseSpec;
    use crate::time::SimDuration;

    #[test]
    fn epochs_looked_up_ahead_are_those_that_come() {
        let dwell = SimDuration::from_s(600);
        let spec = NoiseSpec { cv: 0.1, busy_share: 0.3, dwell, shape: 1.0, spread: 0.2 };
        let noise = Noise::new(spec).unwrap();
        let host = || HostNoise::new(&noise, 3, 7, SimTime::ZERO);
        let (mut track, mut state) = (NoiseTrack::new(host()), host());
        let far = track.get(&noise, 40);
        for second in (0..30_000).step_by(97) {
            let now = SimTime::from_s(second);
            state.advance(&noise, now);
            let number =
                if second % 3 == 0 { track.go_to(&noise, now) } else { track.number_at(&noise, now) };
            let epoch = track.get(&noise, number);
            assert_eq!((epoch.until, epoch.factor), (state.until(), state.factor()));
            assert_eq!(u64::from(number), state.epochs());
            if number == 40 {
                assert_eq!(epoch, far);
            }
        }
    }
}

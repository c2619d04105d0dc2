//! How fast a job runs on the part of a GPU that it has.
//!
//! Speeds are integers per 10^9 of the speed on a whole GPU of the pool, alone. A slice: the three-number
//! law of the job's class on the instance's shares of multiprocessors and memory bandwidth
//! ([`SliceLaw`]); other instances of the GPU do not matter. Shares of a GPU: one of three laws for a pool.
//!
//! - [`CoLocation::FixedShare`]: the three-number law with the share as part of both; neighbours do not matter.
//! - [`CoLocation::Saturation`]: min(1, 1/U) (1 - k (m - 1)), where U sums what the m jobs of the GPU would use
//!   of it alone (recorded use, else the class's), and k is the loss for each further job.
//! - [`CoLocation::EqualShare`]: min(1, 1/(m u)) where u is what the job would use alone: each of the m jobs has
//!   an m-th of the time.
//! - [`CoLocation::Pairs`]: the product over neighbours of 1 / slowdown(victim, aggressor), as measured.
//!
//! A job on several GPUs runs at the slowest. Sessions take their wall time whatever they have.

use crate::cluster::cards::{CardMode, CardPool, Device};
use crate::cluster::mig::{SliceLaw, SliceShare};
use crate::ids::Id;
use crate::scheduler::shared::demand::Reference;
use crate::workload::{Job, JobFlags, Workload};

/// Full speed.
pub const SPEED_ONE: u64 = 1_000_000_000;

/// How a class of jobs responds to having part of a GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassLaw {
    /// On a slice.
    pub slice: SliceLaw,
    /// Row and column of the class in the table of pairs.
    pub family: Option<usize>,
}

impl ClassLaw {
    /// What a job of the class uses of a GPU that it has alone.
    #[must_use]
    pub fn use_alone(&self) -> f64 {
        (1.0 - self.slice.host()) * self.slice.compute().max(self.slice.bandwidth())
    }
}

/// Measured slowdowns of two jobs on one GPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairTable {
    /// Names of the families.
    pub families: Vec<String>,
    /// Slowdown of the victim (row) by the aggressor (column), at least 1.
    pub slowdown: Vec<Vec<f64>>,
    /// Where a family is not known.
    pub any: f64,
}

impl PairTable {
    fn of(&self, victim: Option<usize>, aggressor: Option<usize>) -> f64 {
        let known = victim.zip(aggressor).and_then(|(v, a)| self.slowdown.get(v)?.get(a));
        known.copied().unwrap_or(self.any).max(1.0)
    }
}

/// What jobs on one GPU do to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CoLocation {
    /// Each has its share, used by others or not.
    FixedShare,
    /// All get on until the GPU is full.
    Saturation {
        /// Loss for each further job.
        loss: f64,
    },
    /// Equal turns.
    EqualShare,
    /// Measured pairs.
    Pairs,
}

/// On what the run times of the trace were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasuredOn {
    /// On what the job asks for.
    AsAsked,
    /// On whole GPUs, also where the job asks for a part.
    WholeGpu,
}

/// All laws of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeedRules {
    /// By class name.
    pub classes: Vec<(String, ClassLaw)>,
    /// Of every other class.
    pub default: ClassLaw,
    /// By pool.
    pub pools: Vec<CoLocation>,
    /// Measured pairs.
    pub pairs: PairTable,
    /// On what run times were measured.
    pub measured_on: MeasuredOn,
}

/// The laws, ready for the jobs of a workload.
#[derive(Debug)]
pub struct Speeds {
    rules: SpeedRules,
    /// By label combination.
    laws: Vec<ClassLaw>,
}

/// A job on a shared GPU, as its neighbours feel it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resident {
    /// Its class's law.
    pub law: ClassLaw,
    /// What it uses of a GPU alone.
    pub use_alone: f64,
}

impl Speeds {
    /// The laws for `workload`.
    #[must_use]
    pub fn new(rules: SpeedRules, workload: &Workload) -> Self {
        let law = |class: &str| {
            let found = rules.classes.iter().find(|(name, _)| name == class);
            found.map_or(rules.default, |(_, law)| *law)
        };
        let labels = workload.labels.iter();
        let laws = labels
            .map(|(_, l)| l.class.map_or(rules.default, |text| law(workload.texts.get(text))))
            .collect();
        Self { rules, laws }
    }

    /// The law of a job's class.
    #[must_use]
    pub fn law(&self, job: &Job) -> ClassLaw {
        self.laws[job.labels.index()]
    }

    /// Speed of a job on a part of a GPU, alone there.
    #[must_use]
    pub fn on_part(&self, job: &Job, share: SliceShare) -> u64 {
        per_billion(self.law(job).slice.speed(share))
    }

    /// Speed on what the run time was measured on.
    #[must_use]
    pub fn reference(&self, job: &Job, reference: Reference) -> u64 {
        if job.flags.has(JobFlags::SESSION) || self.rules.measured_on == MeasuredOn::WholeGpu {
            return SPEED_ONE;
        }
        let law = self.law(job).slice;
        match reference {
            Reference::Whole => SPEED_ONE,
            Reference::Milli(milli) => per_billion(law.speed(share_of(milli))),
            Reference::Instance(share) => per_billion(law.speed(share)),
        }
    }

    /// Speed of a job on `devices` of a pool if nobody else is on their GPUs.
    #[must_use]
    pub fn alone(&self, job: &Job, devices: &[Device], pool: usize, spec: &CardPool) -> u64 {
        if job.flags.has(JobFlags::SESSION) {
            return SPEED_ONE;
        }
        let law = self.law(job).slice;
        let on = |device: &Device| match device {
            Device::Share { milli, .. } if self.rules.pools[pool] == CoLocation::FixedShare => {
                per_billion(law.speed(share_of(*milli)))
            }
            Device::Instance { placement, .. } => match &spec.mode {
                CardMode::Mig(mig) => {
                    let share = SliceShare::of(mig.model, mig.model.profile(placement.profile));
                    per_billion(law.speed(share))
                }
                CardMode::Whole | CardMode::Shares => SPEED_ONE,
            },
            Device::Whole { .. } | Device::Share { .. } => SPEED_ONE,
        };
        devices.iter().map(on).min().unwrap_or(SPEED_ONE)
    }

    /// Whether neighbours on a GPU matter in a pool.
    #[must_use]
    pub fn neighbours_matter(&self, pool: usize, spec: &CardPool) -> bool {
        spec.mode == CardMode::Shares && self.rules.pools[pool] != CoLocation::FixedShare
    }

    /// Speed of `victim` on one GPU of a pool beside `others`.
    #[must_use]
    pub fn beside(&self, victim: &Resident, others: &[Resident], pool: usize) -> u64 {
        per_billion(match self.rules.pools[pool] {
            CoLocation::FixedShare => 1.0,
            CoLocation::Saturation { loss } => {
                let total: f64 = victim.use_alone + others.iter().map(|other| other.use_alone).sum::<f64>();
                let fair = if total > 1.0 { 1.0 / total } else { 1.0 };
                fair * (1.0 - loss * others.len() as f64)
            }
            CoLocation::EqualShare => {
                let wanted = victim.use_alone * (others.len() + 1) as f64;
                if wanted > 1.0 { 1.0 / wanted } else { 1.0 }
            }
            CoLocation::Pairs => {
                let pair = |other: &Resident| self.rules.pairs.of(victim.law.family, other.law.family);
                others.iter().map(pair).fold(1.0, |speed, slowdown| speed / slowdown)
            }
        })
    }
}

fn share_of(milli: u16) -> SliceShare {
    let share = f64::from(milli) / 1000.0;
    SliceShare { sm: share, bandwidth: share }
}

/// Never zero: a job that stands still would never end.
fn per_billion(speed: f64) -> u64 {
    let scaled = (speed * SPEED_ONE as f64).round();
    (scaled as u64).clamp(SPEED_ONE / 1000, SPEED_ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(co_location: CoLocation) -> SpeedRules {
        let law = ClassLaw { slice: SliceLaw::new(0.2, 0.75, 0.5).unwrap(), family: Some(0) };
        let pairs = PairTable {
            families: vec!["a".into(), "b".into()],
            slowdown: vec![vec![1.25, 2.0], vec![1.6, 1.1]],
            any: 1.47,
        };
        SpeedRules {
            classes: Vec::new(),
            default: law,
            pools: vec![co_location],
            pairs,
            measured_on: MeasuredOn::AsAsked,
        }
    }

    fn beside(co_location: CoLocation, others: usize) -> u64 {
        let speeds = Speeds::new(rules(co_location), &Workload::default());
        let law = speeds.rules.default;
        let resident = Resident { law, use_alone: law.use_alone() };
        speeds.beside(&resident, &vec![resident; others], 0)
    }

    #[test]
    fn co_location_by_hand() {
        // Each uses (1 - 0.2) 0.75 = 0.6 of the GPU.
        let saturation = CoLocation::Saturation { loss: 0.0 };
        assert_eq!(beside(saturation, 0), SPEED_ONE);
        assert_eq!(beside(saturation, 1), 833_333_333);
        assert_eq!(beside(CoLocation::Saturation { loss: 0.1 }, 1), 750_000_000);
        assert_eq!(beside(CoLocation::EqualShare, 0), SPEED_ONE);
        assert_eq!(beside(CoLocation::EqualShare, 3), 416_666_667);
        assert_eq!(beside(CoLocation::Pairs, 2), 640_000_000);
        assert_eq!(beside(CoLocation::FixedShare, 5), SPEED_ONE);
        // A standstill is not possible, whatever the loss.
        assert_eq!(beside(CoLocation::Saturation { loss: 0.5 }, 5), SPEED_ONE / 1000);
    }

    #[test]
    fn unknown_families_take_the_mean() {
        let table = rules(CoLocation::Pairs).pairs;
        assert_eq!(table.of(Some(0), Some(1)), 2.0);
        assert_eq!(table.of(Some(0), None), 1.47);
    }
}

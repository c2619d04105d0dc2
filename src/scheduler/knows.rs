//! What each family of policies can do with, as constants: what a scenario is refused for, and the table "which policy
//! with what" in LIMITATIONS.md, come from here.
//!
//! A capability that lands is one line more in the constant of the policies that have it. `with` is for all GPUs,
//! `on_whole_gpus` for designs that give GPUs whole only. Nothing else in the project says what a policy cannot do.

use super::policy::BackfillSpec;
use super::preemptive::OverheadRule;

/// Something that a scenario can ask for, and a policy may not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Parts of GPUs: MIG instances, thousandths, vGPUs.
    Parts,
    /// Layouts of MIG that change when a job needs an instance.
    Layouts,
    /// Layouts of MIG that a planner chooses for the queue.
    PlannedLayouts,
    /// Pools without GPUs, and jobs without.
    Cpus,
    /// Pools of different GPUs in one design.
    MixedGpus,
    /// Pools of different access methods in one design.
    MixedTenancy,
    /// What jobs wait for on their nodes: boots, starts of containers.
    Boots,
    /// Noise of hosts.
    Noise,
    /// What jobs on one host do to each other.
    Contention,
    /// More virtual CPUs than a host has.
    Overcommit,
    /// Pools that grow and shrink.
    Elastic,
    /// Failures of hosts.
    Failures,
    /// A pool that says whether jobs lost with a host are queued again.
    RequeueByPool,
    /// Planned work on hosts.
    Maintenance,
    /// Snapshots of jobs.
    Snapshots,
    /// Networks whose links jobs share.
    Fabric,
    /// Jobs killed at their limits.
    AtLimit,
    /// Jobs that run on beyond their limits.
    RunOn,
    /// Hosts that one tenant has at a time.
    Dedicated,
    /// Pools kept for tenants.
    Tenants,
    /// Routes of jobs to pools.
    Routes,
    /// Jobs that go to further pools when their wait is long.
    Spill,
    /// Dependencies, begin times, limits of arrays.
    Holds,
    /// Jobs withdrawn by their user.
    Withdrawals,
    /// Nodes down or drained at instants that are written.
    Events,
    /// Nodes that are kept free for a while.
    Reservations,
    /// Reservations that some users or accounts may use.
    ReservedFor,
}

impl Capability {
    /// All of them with what they are called, in the order of the table.
    pub const ALL: [(Self, &'static str); 27] = [
        (Self::Parts, "parts of GPUs (`mig`, `sharing`, vGPUs)"),
        (Self::Layouts, "`mig = \"dynamic\"`"),
        (Self::PlannedLayouts, "`mig = \"planned\"`"),
        (Self::Cpus, "pools and jobs without GPUs"),
        (Self::MixedGpus, "pools of different GPUs in a design"),
        (Self::MixedTenancy, "pools of different access methods"),
        (Self::Boots, "`boot`, starts of containers"),
        (Self::Noise, "`noise`"),
        (Self::Contention, "`contention`"),
        (Self::Overcommit, "`cpu-overcommit`"),
        (Self::Elastic, "`elastic`"),
        (Self::Failures, "`failures`"),
        (Self::RequeueByPool, "`failures.requeue = false`"),
        (Self::Maintenance, "`maintenance`"),
        (Self::Snapshots, "`snapshots`"),
        (Self::Fabric, "`fabric`"),
        (Self::AtLimit, "`at-limit = \"kill\"`"),
        (Self::RunOn, "`at-limit = \"run-on\"`"),
        (Self::Dedicated, "`dedicated = \"host\"`"),
        (Self::Tenants, "`tenants`"),
        (Self::Routes, "`route`"),
        (Self::Spill, "`spill`"),
        (Self::Holds, "dependencies, `begin_s`, array limits"),
        (Self::Withdrawals, "`cancel_s`"),
        (Self::Events, "`event`"),
        (Self::Reservations, "`reservation`"),
        (Self::ReservedFor, "`users`, `accounts` of a reservation"),
    ];
}

/// What a policy knows: on all GPUs, and on whole ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knows {
    any: u32,
    whole: u32,
}

impl Knows {
    /// Nothing.
    pub const NOTHING: Self = Self { any: 0, whole: 0 };

    /// This too, whatever the GPUs of a design are given out as.
    #[must_use]
    pub const fn with(self, what: Capability) -> Self {
        let bit = 1 << what as u32;
        Self { any: self.any | bit, whole: self.whole | bit }
    }

    /// This too, in designs that give their GPUs whole.
    #[must_use]
    pub const fn on_whole_gpus(self, what: Capability) -> Self {
        Self { any: self.any, whole: self.whole | 1 << what as u32 }
    }

    /// All but this.
    #[must_use]
    pub const fn without(self, what: Capability) -> Self {
        let rest = !(1 << what as u32);
        Self { any: self.any & rest, whole: self.whole & rest }
    }

    /// Whether it is known, in a design that gives out parts of GPUs or in one that does not.
    #[must_use]
    pub const fn has(self, what: Capability, gives_parts: bool) -> bool {
        let bits = if gives_parts { self.any } else { self.whole };
        bits & 1 << what as u32 != 0
    }
}

/// First come, shortest first, EASY and so on: order x placement x backfill.
pub const BACKFILL: Knows = Knows::NOTHING
    .with(Capability::Parts)
    .with(Capability::Layouts)
    .with(Capability::PlannedLayouts)
    .with(Capability::Cpus)
    .with(Capability::MixedGpus)
    .with(Capability::MixedTenancy)
    .with(Capability::Boots)
    .with(Capability::Noise)
    .with(Capability::Contention)
    .with(Capability::Overcommit)
    .with(Capability::Elastic)
    .with(Capability::Failures)
    .with(Capability::RequeueByPool)
    .with(Capability::Maintenance)
    .with(Capability::Snapshots)
    .with(Capability::Fabric)
    .with(Capability::AtLimit)
    .with(Capability::RunOn)
    .with(Capability::Dedicated)
    .with(Capability::Tenants)
    .with(Capability::Routes)
    .with(Capability::Spill)
    .with(Capability::Holds)
    .with(Capability::Withdrawals)
    .with(Capability::Events)
    .with(Capability::Reservations);

/// Conservative backfill: the same floor, the same life.
pub const CONSERVATIVE: Knows = BACKFILL;

/// Slurm's two schedulers.
pub const SLURM: Knows = Knows::NOTHING
    .with(Capability::Parts)
    .with(Capability::Layouts)
    .with(Capability::PlannedLayouts)
    .with(Capability::Dedicated)
    .with(Capability::Tenants)
    .with(Capability::Routes)
    .with(Capability::Spill)
    .with(Capability::Cpus)
    .with(Capability::MixedGpus)
    .with(Capability::MixedTenancy)
    .with(Capability::Boots)
    .with(Capability::Noise)
    .with(Capability::Contention)
    .with(Capability::Overcommit)
    .with(Capability::Elastic)
    .with(Capability::Failures)
    .with(Capability::Maintenance)
    .with(Capability::Snapshots)
    .with(Capability::Fabric)
    .with(Capability::AtLimit)
    .with(Capability::Holds)
    .with(Capability::Withdrawals)
    .with(Capability::Events)
    .with(Capability::Reservations)
    .with(Capability::ReservedFor);

/// Preemptive policies that charge jobs which run again: the same floor, the same life, but of GPUs only.
pub const RESTART: Knows = BACKFILL.without(Capability::Cpus);

/// Preemptive policies as published: an overhead at every event.
pub const EVERY_EVENT: Knows = Knows::NOTHING.with(Capability::RunOn);

/// Policies that decide in the same way, and so know the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Order x placement x backfill, but for conservative.
    Backfill,
    /// Conservative backfill.
    Conservative,
    /// Slurm's.
    Slurm,
    /// Preemptive, `charge = "restart"`.
    Restart,
    /// Preemptive, `charge = "every-event"`.
    EveryEvent,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Backfill, Self::Conservative, Self::Slurm, Self::Restart, Self::EveryEvent];

    /// That of a policy made of an order, a placement and this.
    #[must_use]
    pub fn of_backfill(backfill: BackfillSpec) -> Self {
        match backfill {
            BackfillSpec::Conservative { .. } => Self::Conservative,
            BackfillSpec::None | BackfillSpec::Greedy | BackfillSpec::Easy => Self::Backfill,
        }
    }

    /// That of a preemptive policy.
    #[must_use]
    pub fn of_preemptive(rule: OverheadRule) -> Self {
        match rule {
            OverheadRule::Restart => Self::Restart,
            OverheadRule::EveryEvent => Self::EveryEvent,
        }
    }

    /// What it knows.
    #[must_use]
    pub const fn knows(self) -> Knows {
        match self {
            Self::Backfill => BACKFILL,
            Self::Conservative => CONSERVATIVE,
            Self::Slurm => SLURM,
            Self::Restart => RESTART,
            Self::EveryEvent => EVERY_EVENT,
        }
    }

    /// Its policies, by their names.
    #[must_use]
    pub const fn policies(self) -> &'static str {
        match self {
            Self::Backfill => "fcfs, greedy, sjf, ljf, priority, easy, expression",
            Self::Conservative => "conservative",
            Self::Slurm => "slurm",
            Self::Restart => "srtf, srsf, tiresias with `charge = \"restart\"`",
            Self::EveryEvent => "srtf, srsf, tiresias with `charge = \"every-event\"`",
        }
    }

    /// Its policies in words, as a message names them.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Backfill => "policies without reservations for all",
            Self::Conservative => "conservative backfill",
            Self::Slurm => "Slurm's policy",
            Self::Restart => "preemptive policies",
            Self::EveryEvent => "preemptive policies with `charge = \"every-event\"`",
        }
    }

    /// Head of its column in the table.
    const fn title(self) -> &'static str {
        match self {
            Self::Backfill => "fcfs, greedy, sjf, ljf, priority, easy, expression",
            Self::Conservative => "conservative",
            Self::Slurm => "slurm",
            Self::Restart => "preemptive, restart",
            Self::EveryEvent => "preemptive, every-event",
        }
    }

    /// Its name in a table of data.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Conservative => "conservative",
            Self::Slurm => "slurm",
            Self::Restart => "restart",
            Self::EveryEvent => "every-event",
        }
    }

    /// Whether it knows something, in words: yes, no, or whole GPUs.
    #[must_use]
    pub const fn cell(self, what: Capability) -> &'static str {
        let knows = self.knows();
        match (knows.has(what, true), knows.has(what, false)) {
            (true, _) => "yes",
            (false, true) => "whole GPUs",
            (false, false) => "no",
        }
    }

    /// Why it does not know something, where that is no accident of this version.
    #[must_use]
    pub const fn reason(self, what: Capability) -> Option<&'static str> {
        use Capability as C;
        match (self, what) {
            (Self::Slurm, C::Routes | C::Tenants) => {
                Some("under Slurm's policy jobs go to pools by partition")
            }
            (Self::Slurm, C::RunOn) => Some("Slurm kills jobs at their limits"),
            (Self::Slurm, C::RequeueByPool) => Some("Slurm decides whether jobs are requeued"),
            (Self::Backfill | Self::Conservative, C::ReservedFor) => Some(
                "these policies know no users and accounts; whoever a reservation is for, Slurm's policy knows",
            ),
            (
                Self::EveryEvent,
                C::Boots | C::Noise | C::Contention | C::Overcommit | C::Snapshots | C::Failures | C::Fabric,
            ) => Some(
                "the published arithmetic charges its overhead at every event, and predicts ends without it: a \
                     speed that changes, or work that is lost, has no place in it",
            ),
            (Self::Restart | Self::EveryEvent, C::Cpus) => {
                Some("these policies schedule GPUs and nothing else")
            }
            (Self::EveryEvent, C::MixedGpus | C::MixedTenancy) => {
                Some("the published policies move a job to any node, so nodes must be equal")
            }
            _ => None,
        }
    }
}

/// The policies that know something in a design that gives out parts of GPUs, or in one that does not; empty if
/// none does.
#[must_use]
pub fn who_knows(what: Capability, gives_parts: bool) -> Vec<&'static str> {
    let knowing = Family::ALL.into_iter().filter(|family| {
        let parts = !gives_parts || family.knows().has(Capability::Parts, true);
        parts && family.knows().has(what, gives_parts)
    });
    knowing.map(Family::policies).collect()
}

/// The table "which policy with what", as Markdown.
#[must_use]
pub fn table() -> String {
    let titles = Family::ALL.map(Family::title).join(" | ");
    let mut lines = vec![format!("| | {titles} |"), format!("|---{}|", "|---".repeat(Family::ALL.len()))];
    for (what, name) in Capability::ALL {
        let cells = Family::ALL.map(|family| family.cell(what));
        lines.push(format!("| {name} | {} |", cells.join(" | ")));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_has_one_name_and_bit() {
        for (at, (what, name)) in Capability::ALL.into_iter().enumerate() {
            assert_eq!(what as usize, at, "{name}: the list is in the order of the kinds");
        }
    }

    #[test]
    fn what_is_known_on_parts_is_known_on_whole_gpus() {
        for family in Family::ALL {
            for (what, name) in Capability::ALL {
                let knows = family.knows();
                assert!(!knows.has(what, true) || knows.has(what, false), "{} {name}", family.policies());
            }
        }
        assert!(who_knows(Capability::Parts, true).contains(&Family::Backfill.policies()));
    }
}

//! Snapshots that are written to a store: when one is due is known beforehand, when it is written is not.
//!
//! A [`Course`] walks to the instant at which a snapshot is due and stops there, because how long the store takes depends on
//! who else writes. From then on it is told what happens: the write begins, the copy is made, the store is done.
//!
//! ```text
//!   Rests --interval is over--> Due --synchronous--> Writes --store is done--> Rests
//!                                |
//!                                +--asynchronous--> Copies --copy is made--> Copied --write begins--> Rests
//!                                |                    ^
//!                                +--> Waits ----------+   (as long as the last one is not through)
//! ```
//!
//! A job stands still while it is `Due`, `Waits`, `Writes` or `Copies`; that time is booked as storage. A snapshot counts from the
//! instant at which it was due, and is worth something once the store is done.

use super::course::{Course, Fixed, Kept};
use crate::time::{SimDuration, SimTime};

/// What a job writes, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Writes {
    /// Number of the store.
    pub(super) store: u32,
    pub(super) bytes: f64,
    /// Most bytes per second that its nodes can send.
    pub(super) cap_bytes_s: f64,
    /// Running time from one snapshot to the next.
    pub(super) every: SimDuration,
    /// Time for which the job stands still while its state is copied aside; `None` = until the store has it.
    pub(super) copy: Option<SimDuration>,
}

/// What a job is doing about its next snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pen {
    #[default]
    Rests,
    /// One is due, and the job stands still since then.
    Due(SimTime),
    /// The last one is not through yet, so the job stands still since the next one was due.
    Waits(SimTime),
    /// It is being written, and the job stands still since it was due.
    Writes(SimTime),
    /// It is being copied aside.
    Copies,
    /// The copy is made.
    Copied(SimTime),
}

/// The snapshots of a job that writes them to a store.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    pub(super) pen: Pen,
    /// The one that the job is at.
    at_hand: Option<Kept>,
    /// The one that is written behind the job's back.
    behind: Option<Kept>,
    /// Begun so far, and how long the job stood still for them.
    pub(super) begun: u32,
    pub(super) stalled: SimDuration,
}

impl Course {
    /// A boundary of a job that writes to a store.
    pub(super) fn pen_moves(&mut self, job: &Fixed, now: SimTime) {
        self.settle(job, now);
        let kept = self.kept(now);
        let (stored, next) = self.stored().expect("only who writes has a pen");
        *next = SimTime::NEVER;
        match stored.pen {
            Pen::Rests => {
                stored.at_hand = Some(kept);
                stored.pen = Pen::Due(now);
                self.halt();
            }
            Pen::Copies => stored.pen = Pen::Copied(now),
            Pen::Due(_) | Pen::Waits(_) | Pen::Writes(_) | Pen::Copied(_) => {
                unreachable!("nothing else is foreseen")
            }
        }
    }

    /// Whether somebody must look at the job's snapshot, and when that was foreseen.
    pub(super) fn pen_wants(&self) -> Option<SimTime> {
        match self.snapshots_stored()?.pen {
            Pen::Due(at) | Pen::Copied(at) => Some(at),
            Pen::Rests | Pen::Waits(_) | Pen::Writes(_) | Pen::Copies => None,
        }
    }

    /// What was foreseen has come; `is_busy` tells whether the store still writes this job's last snapshot. Tells whether
    /// a write begins now.
    pub(super) fn pen_acts(&mut self, job: &Fixed, now: SimTime, is_busy: bool) -> bool {
        let writes = job.writes.expect("only who writes has a pen");
        let (stored, next) = self.stored().expect("only who writes has a pen");
        match (stored.pen, writes.copy) {
            (Pen::Due(since), None) => {
                stored.begun += 1;
                stored.pen = Pen::Writes(since);
                true
            }
            (Pen::Due(since), Some(_)) if is_busy => {
                stored.pen = Pen::Waits(since);
                false
            }
            (Pen::Due(since), Some(copy)) => {
                stored.begun += 1;
                stored.pen = Pen::Copies;
                *next = now + copy;
                stored.stalled += now.since(since) + copy;
                self.go_on(job, since, now + copy);
                false
            }
            (Pen::Copied(_), _) => {
                stored.behind = stored.at_hand.take();
                stored.pen = Pen::Rests;
                *next = now + writes.every;
                true
            }
            (Pen::Rests | Pen::Waits(_) | Pen::Writes(_) | Pen::Copies, _) => false,
        }
    }

    /// The store is done with a snapshot of the job, whose course has come to `now`.
    pub(super) fn pen_is_done(&mut self, job: &Fixed, now: SimTime) {
        let writes = job.writes.expect("only who writes has a pen");
        let (stored, next) = self.stored().expect("only who writes has a pen");
        match stored.pen {
            Pen::Writes(since) => {
                let whole = stored.at_hand.take();
                stored.pen = Pen::Rests;
                stored.stalled += now.since(since);
                *next = now + writes.every;
                self.keep(whole);
                self.go_on(job, since, now);
            }
            pen => {
                if let Pen::Waits(since) = pen {
                    stored.pen = Pen::Due(since);
                }
                let whole = stored.behind.take();
                self.keep(whole);
            }
        }
    }

    /// Whether its state is being copied aside.
    pub(super) fn is_copying(&self) -> bool {
        self.snapshots_stored().is_some_and(|stored| stored.pen == Pen::Copies)
    }

    /// The job leaves while it stands still for a snapshot.
    pub(super) fn put_pen_down(&mut self, job: &Fixed, now: SimTime) {
        // A copy that is broken off was counted to its end.
        let over =
            if self.is_copying() { self.settled_until().saturating_since(now) } else { SimDuration::ZERO };
        let Some((stored, _)) = self.stored() else { return };
        stored.stalled = SimDuration::from_micros(stored.stalled.micros() - over.micros());
        if let Pen::Due(since) | Pen::Waits(since) | Pen::Writes(since) = stored.pen {
            stored.pen = Pen::Rests;
            stored.stalled += now.since(since);
            self.go_on(job, since, now);
        }
    }
}

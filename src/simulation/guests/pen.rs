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
//! A job that goes on from a snapshot reads it first: `ToRead`, and `Reads` until the store is done.
//!
//! A job stands still while it is `Due`, `Waits`, `Writes` or `Copies`; that time is booked as storage. A snapshot counts from the
//! instant at which it was due, and is worth something once the store is done.

use smallvec::SmallVec;

use super::course::{Course, Fixed, Kept};
use crate::time::{SimDuration, SimTime};

/// What a job writes, and how.
#[derive(Clone, Debug, PartialEq)]
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
    /// Whether it goes on from a snapshot that must be read first.
    pub(super) reads_first: bool,
    /// Whether each of its nodes has a store of its own; then these are its hosts.
    pub(super) is_local: bool,
    pub(super) hosts: SmallVec<[u32; 2]>,
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
    /// One is to be read, before anything else.
    ToRead,
    /// It can be read from here on.
    ReadDue(SimTime),
    /// It is being read since then.
    Reads(SimTime),
}

/// What a job begins to do with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Write,
    Read,
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
    /// How long it stood still to read one back.
    pub(super) read: SimDuration,
}

impl Stored {
    pub(super) fn new(reads_first: bool) -> Self {
        Self { pen: if reads_first { Pen::ToRead } else { Pen::Rests }, ..Self::default() }
    }
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
            Pen::ToRead => {
                stored.pen = Pen::ReadDue(now);
                self.halt();
            }
            Pen::Copies => stored.pen = Pen::Copied(now),
            Pen::Due(_)
            | Pen::Waits(_)
            | Pen::Writes(_)
            | Pen::Copied(_)
            | Pen::ReadDue(_)
            | Pen::Reads(_) => {
                unreachable!("nothing else is foreseen")
            }
        }
    }

    /// Whether somebody must look at the job's snapshot, and when that was foreseen.
    pub(super) fn pen_wants(&self) -> Option<SimTime> {
        match self.snapshots_stored()?.pen {
            Pen::Due(at) | Pen::Copied(at) | Pen::ReadDue(at) => Some(at),
            Pen::Rests | Pen::Waits(_) | Pen::Writes(_) | Pen::Copies | Pen::ToRead | Pen::Reads(_) => None,
        }
    }

    /// What was foreseen has come; `is_busy` tells whether the store still writes this job's last snapshot. Tells what
    /// begins now.
    pub(super) fn pen_acts(&mut self, job: &Fixed, now: SimTime, is_busy: bool) -> Option<Act> {
        let writes = job.writes.as_ref().expect("only who writes has a pen");
        let (stored, next) = self.stored().expect("only who writes has a pen");
        match (stored.pen, writes.copy) {
            (Pen::Due(since), None) => {
                stored.begun += 1;
                stored.pen = Pen::Writes(since);
                Some(Act::Write)
            }
            (Pen::ReadDue(since), _) => {
                stored.pen = Pen::Reads(since);
                Some(Act::Read)
            }
            (Pen::Due(since), Some(_)) if is_busy => {
                stored.pen = Pen::Waits(since);
                None
            }
            (Pen::Due(since), Some(copy)) => {
                stored.begun += 1;
                stored.pen = Pen::Copies;
                *next = now + copy;
                stored.stalled += now.since(since) + copy;
                self.go_on(job, since, now + copy);
                None
            }
            (Pen::Copied(_), _) => {
                stored.behind = stored.at_hand.take();
                stored.pen = Pen::Rests;
                *next = now + writes.every;
                Some(Act::Write)
            }
            (Pen::Rests | Pen::Waits(_) | Pen::Writes(_) | Pen::Copies | Pen::ToRead | Pen::Reads(_), _) => {
                None
            }
        }
    }

    /// The store is done with a snapshot of the job, whose course has come to `now`.
    pub(super) fn pen_is_done(&mut self, job: &Fixed, now: SimTime) {
        let writes = job.writes.as_ref().expect("only who writes has a pen");
        let (stored, next) = self.stored().expect("only who writes has a pen");
        match stored.pen {
            Pen::Reads(since) => {
                stored.pen = Pen::Rests;
                stored.read += now.since(since);
                *next = now + writes.every;
                self.go_on(job, since, now);
            }
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
        } else if let Pen::ReadDue(since) | Pen::Reads(since) = stored.pen {
            stored.pen = Pen::ToRead;
            stored.read += now.since(since);
            self.go_on(job, since, now);
        }
    }
}

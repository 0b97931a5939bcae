//! The words of the model: plain data and how it is looked at, no rule. Times are milliseconds.

use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Free,
    /// Struck, and another struck record is out.
    Waiting,
    Held,
    Parked,
    Acked,
    Archived(Why),
    /// No record was ever here.
    Hole,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    Reject,
    Limit,
    Retention,
    Gap,
    Crash,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Rec {
    pub(crate) state: State,
    pub(crate) count: u16,
    pub(crate) continuation: u32,
    pub(crate) member: u32,
    /// End of the lease or of the park.
    pub(crate) until: u64,
    /// The next delivery goes on with the same attempt.
    pub(crate) resume: bool,
    /// When the attempt began; without an end: with the next acquisition.
    pub(crate) attempt: u64,
    /// Bytes of the checkpoint.
    pub(crate) checkpoint: usize,
    pub(crate) notes: usize,
    pub(crate) struck: bool,
    /// A change waits for the journal.
    pub(crate) busy: bool,
    /// First offset of what was acquired together.
    pub(crate) entry: u64,
    /// Time does nothing to it before this.
    pub(crate) retry: u64,
    /// What the journal holds, where memory is ahead of it.
    pub(crate) disk: Option<Box<Rec>>,
}

impl Rec {
    pub(crate) fn done(&self) -> bool {
        matches!(self.state, State::Acked | State::Archived(_) | State::Hole)
    }
}

/// What was decided: what records become once it is durable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) to: Vec<(u64, Rec)>,
    /// Nobody asked for it: time did.
    pub(crate) timeout: bool,
    /// The start offset that is written along.
    pub(crate) jump: u64,
    /// The log begins elsewhere: what that drops is lost, even if it is refused.
    pub(crate) log_start: bool,
    pub(crate) expired: u64,
    pub(crate) exhausted: u32,
    pub(crate) dropped: u64,
    pub(crate) throttled: bool,
}

/// A member's wish for records: the read of the log began at `from` and found these record batches.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) member: u32,
    pub(crate) exact: bool,
    pub(crate) max: u64,
    pub(crate) batch_size: u64,
    pub(crate) from: u64,
    pub(crate) read: &'a [(u64, u64)],
}

/// First, last, delivery count, continuation.
pub(crate) type Got = Vec<(u64, u64, u16, u32)>;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) offset: u64,
    pub(crate) count: u16,
    pub(crate) continuation: u32,
    pub(crate) epoch: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Say {
    Accept,
    Reject,
    /// No record is there.
    Gap,
    /// Until when, and whether a note is left.
    Release(u64, bool),
    /// Until when, and the bytes of a new checkpoint.
    Renew(u64, Option<usize>),
    /// Nobody had begun with it.
    GiveBack,
}

/// First and last offset, and one verdict for all or for each; `None` extends the lease.
pub(crate) type AckBatch = (u64, u64, Vec<Option<Say>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum No {
    Stale,
    InTransition,
    Exhausted,
    /// This offset of an acknowledgement is not the member's.
    State(u64),
    /// This batch does not fit.
    Request(u64, u64),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) recs: BTreeMap<u64, Rec>,
    pub(crate) start: u64,
    /// First offset that was never seen.
    pub(crate) next: u64,
    /// The start has moved over a hole to the first from the second, and the journal does not know.
    pub(crate) jumped: Option<(u64, u64)>,
    /// Where the start was when the newest snapshot was taken.
    pub(crate) snapped: u64,
    /// Records that a refused log start dropped: the next one tells of them.
    pub(crate) uncounted: u64,
    /// Records of acquisitions on their way to the journal.
    pub(crate) coming: u64,
    /// The one struck record that may be held.
    pub(crate) out: Option<u64>,
    pub(crate) epoch: u32,
    pub(crate) limit: u16,
    pub(crate) lock: u64,
    pub(crate) max_lease: u64,
    /// Length of the window.
    pub(crate) span: u64,
    /// Host: so many may be held. `None`: Kafka's rules.
    pub(crate) held: Option<u64>,
}

impl Model {
    /// What a crash leaves of the start.
    pub(crate) fn durable_start(&self) -> u64 {
        self.jumped.map_or(self.start, |jumped| jumped.1.max(self.snapped))
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = (u64, &Rec)> {
        self.recs.range(self.start..).map(|(offset, rec)| (*offset, rec))
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Rec) -> bool) -> u64 {
        self.live().map(|(_, rec)| u64::from(wanted(rec))).sum()
    }

    pub(crate) fn found(&self, wanted: impl Fn(&Rec) -> bool) -> Vec<u64> {
        let found = self.live().filter(|(_, rec)| wanted(rec));
        found.map(|(offset, _)| offset).collect()
    }
}

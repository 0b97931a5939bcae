//! What goes into a share partition and what comes out of it: options, requests, results, errors. Plain values.

use std::time::Duration;

use bytes::Bytes;

use super::{ArchiveCause, Change, Checkpoint};
use crate::ids::{Continuation, DeliveryCount, MemberIndex, Offset, OffsetRange, StateEpoch};
use crate::time::Instant;

/// Largest checkpoint, in bytes.
pub const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;
/// Largest note of one attempt, in bytes.
pub const MAX_NOTE_BYTES: usize = 1024;
/// Shortest delay of a parked record; shorter ones are raised to it, except zero after a `renew`, which means at once.
pub const MIN_DELAY: Duration = Duration::from_millis(10);
/// Longest delay of a parked record; longer ones are cut to it.
pub const MAX_DELAY: Duration = Duration::from_hours(7 * 24);

/// What a group wishes of its share partitions. May change while the partition lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareOptions {
    /// A record whose count has reached this is archived instead of becoming available again; at least 1. Default 5.
    pub delivery_limit: DeliveryCount,
    /// How long an acquisition or an extension holds a record; 1 ms to 20 days. Default 30 s.
    pub lock: Duration,
    /// When acquisition stops. Default: Kafka's 2,000 offsets.
    pub window: Window,
    /// Offsets between start and end offset at which acquisition of new records stops in any case. Default 16 Mi.
    pub span_limit: u64,
    /// How long one attempt may last over all extensions and continuations; `None`: without end. Default `None`.
    pub max_lease: Option<Duration>,
}

impl Default for ShareOptions {
    fn default() -> Self {
        Self {
            delivery_limit: DeliveryCount(5),
            lock: Duration::from_secs(30),
            window: Window::Span(2_000),
            span_limit: 16 << 20,
            max_lease: None,
        }
    }
}

/// What limits a share partition, and with it whose rules it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Kafka: so many offsets between start and end offset, soft by one record batch. Poison-batch throttling is on.
    Span(u32),
    /// Host: so many acquired records, exact unless whole record batches are asked for. Parked and finished records do not
    /// count; nothing is throttled.
    Acquired(u32),
}

/// How `max_records` is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcquireMode {
    /// Whole record batches; may give more than `max_records`.
    #[default]
    BatchOptimized,
    /// Never more than `max_records`.
    RecordLimit,
}

/// Asks for records.
#[derive(Clone, Copy, Debug)]
pub struct AcquireRequest<'a> {
    /// Who will hold them.
    pub member: MemberIndex,
    /// How `max_records` is meant.
    pub mode: AcquireMode,
    /// How many are wanted; 0 gives none.
    pub max_records: u32,
    /// In batch-optimised mode new ranges are split at the first record batch boundary after so many records.
    pub batch_size: u32,
    /// Where the read of the log began: [`SharePartition::next_fetch_offset`](super::SharePartition::next_fetch_offset).
    pub from: Offset,
    /// The record batches that the read returned, whole, ascending; empty gives nothing.
    pub batches: &'a [OffsetRange],
}

/// Consecutive records that were acquired with the same count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquiredRange {
    /// Which records.
    pub range: OffsetRange,
    /// This delivery included.
    pub delivery_count: DeliveryCount,
    /// 0 unless a parked attempt goes on; then the range holds one record.
    pub continuation: Continuation,
}

/// What [`acquire`](super::SharePartition::acquire) found. Nothing is handed out before `transition` is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acquisition {
    /// Ascending and disjoint.
    pub ranges: Vec<AcquiredRange>,
    /// `None` if there is nothing to persist (and then no range).
    pub transition: Option<TransitionId>,
    /// What to persist, in this order, in one journal entry.
    pub changes: Vec<Change>,
    /// Records that were found to be gone from the log. Never dead letters.
    pub archived: Vec<Archived>,
}

/// Names an open transition of one share partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransitionId(pub u64);

/// How the journal answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persisted {
    /// On disk: the changes hold.
    Durable,
    /// Refused before its first byte: rolled back, except what only time decides.
    Refused,
}

/// What became of a record in the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Accept,
    /// Not now; another attempt follows, up to the limit.
    Release {
        /// `None`: available at once.
        after: Option<Duration>,
        /// Kept with the attempt, at most [`MAX_NOTE_BYTES`].
        note: Option<Bytes>,
    },
    /// Never.
    Reject {
        /// For the dead letter, which the caller writes; not kept here.
        note: Option<Bytes>,
    },
    /// Not finished: the same attempt goes on later.
    Renew {
        /// Zero: at once.
        after: Duration,
        /// `None` keeps the one there is. At most [`MAX_CHECKPOINT_BYTES`].
        checkpoint: Option<Checkpoint>,
    },
    /// Nobody had begun with it: available at once. The next acquisition is no other delivery, and its attempt begins then, however
    /// long that takes.
    GiveBack,
}

/// What a command or an event decided. Nothing of it holds before `transition` is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// One for each settlement, in their order; empty for everything else.
    pub results: Vec<Result<(), Refusal>>,
    /// `None` if nothing waits for the journal. There may still be changes to write: see
    /// [`handle_log_start`](super::SharePartition::handle_log_start).
    pub transition: Option<TransitionId>,
    /// What to persist, in this order, in one journal entry.
    pub changes: Vec<Change>,
    /// Records that end without having been accepted; dead letters are made of them. Their checkpoints and notes can
    /// be read until the transition is durable.
    pub archived: Vec<Archived>,
    /// Delays that were raised to [`MIN_DELAY`] or cut to [`MAX_DELAY`].
    pub clamped: u32,
    /// Renewals that came after `max_lease` was over and were turned into releases.
    pub exhausted: u32,
    /// Leases that ran out.
    pub expired: u64,
    /// Offsets that were never delivered and that a log start passed over.
    pub dropped: u64,
}

/// Records that were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Which.
    pub range: OffsetRange,
    /// Why.
    pub cause: ArchiveCause,
    /// How often each was delivered.
    pub delivery_count: DeliveryCount,
}

/// Why one settlement or extension was not done. It changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The lease is not the newest one of the record, or has ended.
    #[error("stale lease of offset {0}")]
    Stale(Offset),
    /// Another change of the record has not reached the disk.
    #[error("offset {0} is in transition")]
    InTransition(Offset),
    /// The attempt has lasted `max_lease`.
    #[error("offset {0} has used up its max-lease")]
    Exhausted(Offset),
    /// A note or checkpoint is too large.
    #[error("{size} bytes are more than the limit of {limit}")]
    TooLarge {
        /// As given.
        size: usize,
        /// As allowed.
        limit: usize,
    },
}

/// A wire member's acknowledgement of a run of offsets.
#[derive(Clone, Copy, Debug)]
pub struct AckBatch<'a> {
    /// Which offsets.
    pub range: OffsetRange,
    /// One for all, or one for each offset.
    pub types: &'a [AckType],
}

/// Kafka's acknowledgement types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckType {
    /// 0: there is no record at this offset.
    Gap,
    /// 1: done.
    Accept,
    /// 2: available again.
    Release,
    /// 3: never again.
    Reject,
    /// 4: holds on for another lock duration.
    Renew,
}

/// Why a whole acknowledgement was refused. It changed nothing, except that leases may have been renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// Not acquired by this member (any more): Kafka's `INVALID_RECORD_STATE`.
    #[error("offset {0} is not acquired by this member")]
    InvalidRecordState(Offset),
    /// Beyond what was acquired, or the number of types fits neither: Kafka's `INVALID_REQUEST`.
    #[error("acknowledgement of {0} does not fit what is acquired")]
    InvalidRequest(OffsetRange),
}

/// What a record is at this moment, a pending transition not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordState {
    /// May be acquired.
    Available,
    /// Held by a member.
    Acquired,
    /// Available from its due time.
    Parked,
    /// Available, but struck: waits until no other struck record is out.
    Waiting,
    /// Done.
    Acknowledged,
    /// Given up.
    Archived,
}

/// One record, for `records` and the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView {
    /// Which.
    pub offset: Offset,
    /// As of the last durable change.
    pub state: RecordState,
    /// 0 if never delivered, or if finished long ago.
    pub delivery_count: DeliveryCount,
    /// Which continuation of that delivery.
    pub continuation: Continuation,
    /// Who holds it.
    pub member: Option<MemberIndex>,
    /// When its lease ends.
    pub deadline: Option<Instant>,
    /// When it becomes available.
    pub due: Option<Instant>,
    /// Bytes of its checkpoint, 0 without one.
    pub checkpoint_len: usize,
    /// How many notes its attempts left.
    pub notes: usize,
    /// Crashes of the process while it was in a handler: 0 or 1.
    pub strikes: u8,
    /// A change waits for the disk.
    pub in_transition: bool,
}

/// How many records are in which state. In O(1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Delivered before and available now, or left over from a record batch; new records are not counted.
    pub available: u64,
    /// Held by members.
    pub acquired: u64,
    /// Waiting for their due time.
    pub parked: u64,
    /// Struck and waiting for their turn.
    pub waiting: u64,
    /// Finished but not yet passed by the start offset.
    pub terminal: u64,
    /// Of the above, those whose next state waits for the disk.
    pub in_transition: u64,
}

/// The record that keeps a full window from moving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The start offset.
    pub offset: Offset,
    /// What it is.
    pub state: RecordState,
    /// Since when it is the start offset.
    pub since: Instant,
}

/// A change that does not fit the state it is applied to: the journal and the snapshot do not belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The record is in a state from which the change is impossible.
    #[error("offset {offset} is {state:?}: {change} is impossible")]
    State {
        /// Which record.
        offset: Offset,
        /// What it is; `None` if it was never delivered.
        state: Option<RecordState>,
        /// Name of the change.
        change: &'static str,
    },
    /// The window would become larger than any limit allows.
    #[error("offset {offset} is {span} offsets past the start offset, limit {limit}")]
    Span {
        /// Which record.
        offset: Offset,
        /// Its distance.
        span: u64,
        /// As allowed.
        limit: u64,
    },
    /// A reset must raise the epoch.
    #[error("reset to epoch {to} at epoch {from}")]
    Epoch {
        /// As it is.
        from: StateEpoch,
        /// As asked for.
        to: StateEpoch,
    },
}

/// Bytes that are not a share partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They end too early.
    #[error("share partition ends {missing} bytes too early at byte {at}")]
    Truncated {
        /// Where.
        at: usize,
        /// How many at least.
        missing: usize,
    },
    /// A later or unknown layout.
    #[error("share partition layout {found}, known up to {known}")]
    Version {
        /// As read.
        found: u8,
        /// As known.
        known: u8,
    },
    /// A value that cannot be.
    #[error("share partition field {field} is {value} at byte {at}")]
    Field {
        /// Its name.
        field: &'static str,
        /// As read.
        value: u64,
        /// Where.
        at: usize,
    },
}

//! Durable changes of a share partition: what the journal carries, recovery applies and a snapshot sums up.

use bytes::Bytes;

use crate::ids::{DeliveryCount, Offset, OffsetRange, StateEpoch};
use crate::time::{Delay, WallTime};

/// State that a handler left for the next call of the same record; at most 64 KiB.
pub type Checkpoint = Bytes;

/// Why a record was archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ArchiveCause {
    /// The handler (or a wire member) rejected it.
    Reject,
    /// Its delivery count reached the limit.
    DeliveryLimit,
    /// Retention or a move of the log start dropped it before it was finished.
    Retention,
    /// No record exists at this offset (a gap acknowledgement); never a dead letter.
    Gap,
    /// It was in a handler when the process died twice.
    HostCrash,
}

/// One durable change. A journal entry holds a list of them; recovery applies an entry whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The records of `range` were handed out; every one now has `delivery_count`.
    Acquire {
        /// Which records.
        range: OffsetRange,
        /// Their count, this delivery included.
        delivery_count: DeliveryCount,
        /// When the attempt began; `max-lease` counts from here.
        at: WallTime,
    },
    /// A parked record was handed out again without raising its count.
    Continue {
        /// Which record.
        offset: Offset,
        /// When the attempt begins, of a record that was given back untouched. Otherwise it has begun.
        begins: Option<WallTime>,
    },
    /// Done: never delivered again.
    Acknowledge {
        /// Which records.
        range: OffsetRange,
    },
    /// Given up: never delivered again.
    Archive {
        /// Which records.
        range: OffsetRange,
        /// Why.
        cause: ArchiveCause,
    },
    /// Available again now.
    Release {
        /// Which records.
        range: OffsetRange,
        /// What is kept of the attempt (at most 1 KiB a record): seen in `records` and in the dead letter.
        note: Option<Bytes>,
    },
    /// Available again when `delay` is over.
    Park {
        /// Which record.
        offset: Offset,
        /// Until when.
        delay: Delay,
        /// `renew`: the next acquisition goes on with the same attempt. Otherwise a delayed release.
        continuation: bool,
        /// Given back by somebody who had not begun: with a continuation, the attempt begins at the next acquisition.
        untouched: bool,
        /// `Some` replaces the checkpoint; `None` keeps the one there is.
        checkpoint: Option<Checkpoint>,
        /// As in [`Change::Release`].
        note: Option<Bytes>,
    },
    /// Records that were in a handler when the process ended without a clean close: available, count kept, one strike more.
    Void {
        /// Which records.
        range: OffsetRange,
    },
    /// Everything before this offset is finished with; the log start moved, or the group was given a start.
    StartOffset {
        /// The first offset that still matters.
        offset: Offset,
    },
    /// All state is discarded and begins anew at `start`.
    Reset {
        /// The new epoch, larger than the old one.
        epoch: StateEpoch,
        /// The first offset that matters.
        start: Offset,
    },
}

//! What a host says of a delivery.

use std::time::Duration;

use bytes::Bytes;

use crate::ids::LeaseKey;
use crate::letter::Evidence;
use crate::record::NewRecord;

/// What becomes of one delivery.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which delivery.
    pub lease: LeaseKey,
    /// What becomes of it.
    pub outcome: Outcome,
    /// What is known about a failure; goes into the dead letter if this settlement makes one.
    pub evidence: Option<Box<Evidence>>,
}

/// The four verbs.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Done. The emitted records and the acknowledgement are one commit: both or none.
    Accept {
        /// Records to produce with it.
        emit: Vec<EmitRecord>,
    },
    /// Available again, at once or after a delay of 10 ms to 7 days.
    Release {
        /// `None`: at once.
        after: Option<Duration>,
        /// Kept with the attempt; cut at 1 KiB and marked.
        reason: Option<String>,
    },
    /// Archived; a dead letter if the group has a topic for them.
    Reject {
        /// Goes into the dead letter; cut at 1 KiB and marked.
        reason: Option<String>,
    },
    /// Parked: the same attempt goes on later, with the same delivery count.
    Renew {
        /// Zero: at once.
        after: Duration,
        /// State for the next call, at most 64 KiB; `None` keeps the one there is.
        checkpoint: Option<Bytes>,
    },
    /// Nobody had begun with it: available at once, as the same delivery; its attempt begins when it is acquired again.
    GiveBack,
}

/// A record produced together with an acknowledgement.
#[derive(Clone, Debug)]
pub struct EmitRecord {
    /// Where to.
    pub topic: String,
    /// `None`: by key (murmur2), or in turn without one.
    pub partition: Option<u32>,
    /// What.
    pub record: NewRecord,
}

//! What a consumer tells without being asked.

use std::sync::Arc;

use share_wire::code::ErrorCode;

use crate::session::Lease;

/// What happened. Events of one kind that nobody has taken yet become one, so that few wait at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// These records are no longer this member's, without having been settled: their time was over, or what was acquired went with
    /// the connection or the leader. They come again, perhaps to somebody else.
    LeasesLost(Vec<Lease>),
    /// The coordinator has assigned other partitions. Which, [`super::ShareConsumer::snapshot`] says.
    AssignmentChanged {
        /// How many there are now; with 0 nothing is acquired.
        partitions: u32,
    },
    /// Nothing can be acquired for now: none of the brokers that lead assigned partitions can be reached, or nothing is assigned and
    /// the coordinator cannot be reached. Leases run on, and it is tried again.
    Unavailable {
        /// One line.
        reason: String,
    },
    /// After [`Event::Unavailable`]: something can be acquired again.
    Available,
    /// A topic cannot be consumed for now: it does not exist, or the principal may not read it. It is tried again.
    Refused {
        /// The topic's name.
        topic: Arc<str>,
        /// Why.
        code: ErrorCode,
        /// The same in words, with the way out.
        reason: String,
    },
    /// The member is out of the group for good, as every later [`super::ShareConsumer::acquire`] says too. Leases can still be settled.
    Failed {
        /// One line.
        reason: String,
    },
}

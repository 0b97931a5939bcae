//! What waits for the journal.

use super::Change;
use crate::time::Instant;

/// What waits for the journal under one transition.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) kind: Kind,
    pub(super) changes: Vec<Change>,
    /// When it was decided: delays run from here, however long the journal takes.
    pub(super) at: Instant,
    /// Records that are lost whether or not this becomes durable, and that are counted when it does.
    pub(super) lost: u64,
}

/// What its changes need besides themselves, and what a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Rolled back.
    Acquire {
        /// Number in the member table.
        member: u16,
        /// When the leases end.
        deadline: u64,
        /// When the attempts began.
        began: u32,
        /// Records.
        count: u64,
    },
    /// Rolled back; leases that ran out meanwhile are looked at again.
    Settle,
    /// Releases hold in memory all the same, the rest is tried again.
    Timeout,
    /// Rolled back.
    Reset,
}

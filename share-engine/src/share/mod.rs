//! The share partition: which records of one topic partition a group still has to process, who holds them, and
//! what became of them. Sans-IO: no clock, no file, no thread; every time-dependent method takes `now`.
//!
//! The methods of [`SharePartition`] come in four families:
//!
//! * **getters** look and change nothing: `start_offset`, `next_fetch_offset`, `can_acquire`, `counts`, `record` ...
//! * **commands** decide and change nothing durable: `acquire`, `settle`, `acknowledge`, `extend`, `release_member`,
//!   `reset`, `void_leases`. They return the changes to persist and the [`TransitionId`] under which they wait.
//! * **`handle_*`** tell what happened outside: `handle_persisted`, `handle_timeout`, `handle_log_start`.
//! * **`poll_deadline`** says when `handle_timeout` is due.
//!
//! Calling order: a command, then a journal entry with its changes, then [`SharePartition::handle_persisted`]. Between
//! the two the records are *in transition*: not acquirable, not settled twice, their expiry decided afterwards. Records
//! of an [`Acquisition`] are handed out only once it is durable. `handle_persisted` is called in journal order.
//!
//! Durability: `apply` replays changes in journal order, `encode` and `decode` are the snapshot. A change takes effect
//! by the same code when it becomes durable and when it is replayed, so that recovery rebuilds what was there.

mod acknowledge;
mod acquire;
mod apply;
mod block;
mod context;
mod delta;
mod draft;
mod in_flight;
mod lease;
mod member;
mod open;
mod partition;
mod plain;
mod settle;
mod side;
mod snapshot;
mod tick;
mod types;
mod upkeep;

pub use delta::{ArchiveCause, Change, Checkpoint};
pub use partition::SharePartition;
pub use types::{
    AckBatch, AckError, AckType, AcquireMode, AcquireRequest, AcquiredRange, Acquisition, Archived, Counts,
    DecodeError, MAX_CHECKPOINT_BYTES, MAX_DELAY, MAX_NOTE_BYTES, MIN_DELAY, Persisted, Pinned, RecordState,
    RecordView, Refusal, ReplayError, Settled, ShareOptions, TransitionId, Verdict, Window,
};

#[cfg(test)]
mod tests;

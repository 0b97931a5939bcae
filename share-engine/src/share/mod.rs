//! The share partition: which records of one topic partition a group still has to process, who holds them, and
//! what became of them. Sans-IO: no clock, no file, no thread; every time-dependent method takes `now`.
//!
//! Calling order: a command returns a [`Transition`] with the changes to persist; until
//! [`SharePartition::handle_persisted`] says how that went, the records it touches are in transition: not
//! acquirable, not settled twice, their expiry decided afterwards.

mod delta;

pub use delta::{ArchiveCause, Change, Checkpoint};

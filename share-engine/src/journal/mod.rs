//! The journal: one ring of preallocated files with one group commit, through which everything durable passes first.

mod codec;
mod error;
mod group;
mod growth;
mod header;
mod hook;
mod options;
mod position;
mod recovery;
mod ring;
mod writer;

#[cfg(test)]
mod tests;

pub use codec::{
    BATCH_LEN_MIN, DecodeError, ENTRY_OVERHEAD, OPERATION_OVERHEAD, Operation, changes_len, decode_changes,
    encode_changes,
};
pub use error::{CommitError, Damage, JournalError, RefusedError};
pub use group::{DoesNotFit, EntryWriter, GroupBuilder, entry_len};
pub use growth::{GrownFile, Growth};
pub use header::GROUP_HEADER;
pub use hook::{Hook, Phase};
pub use options::JournalOptions;
pub use position::{Position, SECTOR};
pub use recovery::{Entry, Report, TornTail, Visitor, VisitorError};
pub use writer::{Admission, Committed, Durability, Journal};

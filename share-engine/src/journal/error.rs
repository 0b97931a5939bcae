//! What can go wrong with the journal: at open ([`JournalError`]) and at commit ([`CommitError`]). Every damage names
//! its file, the offset in it and how many bytes it concerns.

use std::io;

use super::position::Position;

/// Bytes on disk that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason} at offset {offset} ({bytes} bytes)")]
pub struct Damage {
    /// The file, relative to the data directory.
    pub file: String,
    /// Byte offset in the file where the damage begins.
    pub offset: u64,
    /// How many bytes it concerns, as far as can be told.
    pub bytes: u64,
    /// What is wrong with them.
    pub reason: &'static str,
}

/// The journal cannot be created, opened or read. Nothing on disk was changed, except for [`JournalError::Io`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The storage failed.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file or directory.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that were known to be on disk are damaged.
    #[error("the journal is damaged: {0}")]
    Corrupt(#[from] Damage),
    /// The file was written by a newer version.
    #[error("{file} has format version {found}, newer than {supported}, the newest this version reads")]
    NewerVersion {
        /// The file, relative to the data directory.
        file: String,
        /// Its version.
        found: u16,
        /// The newest known version.
        supported: u16,
    },
    /// An undamaged entry holds an operation that this version does not know.
    #[error(
        "{file} holds {what} {kind} in the group at offset {offset}; a newer version wrote it, this one reads up to {newest}"
    )]
    UnknownKind {
        /// The file, relative to the data directory.
        file: String,
        /// Where the group begins in the file.
        offset: u64,
        /// `an operation of kind`, `a change of kind`, `an archive cause` or `a park with flags`.
        what: &'static str,
        /// The kind.
        kind: u8,
        /// The newest known one.
        newest: u8,
    },
    /// The file belongs to another data directory.
    #[error("{file} belongs to data directory {found:032x}, not to {expected:032x}")]
    WrongDirectory {
        /// The file, relative to the data directory.
        file: String,
        /// The id asked for.
        expected: u128,
        /// The id found.
        found: u128,
    },
    /// A journal is already there.
    #[error("{file} holds a journal already")]
    NotEmpty {
        /// The file, relative to the data directory.
        file: String,
    },
    /// This process may not have as many files open as the ring has, or may grow to.
    #[error(
        "the journal may come to {files} files, and this process may have {limit} open, {spare} of them for other things"
    )]
    OpenFiles {
        /// Files of the ring.
        files: u64,
        /// Files that the process may have open.
        limit: u64,
        /// How many of those are not for the ring.
        spare: u64,
    },
    /// The options contradict each other or lie out of range.
    #[error("journal option {option} is {value}, {rule}")]
    Options {
        /// Its name.
        option: &'static str,
        /// Its value.
        value: u64,
        /// What it has to be.
        rule: &'static str,
    },
    /// The visitor of recovered entries gave up.
    #[error("the journal entry before position {position} cannot be applied: {source}")]
    Visitor {
        /// End of the group that holds the entry.
        position: Position,
        /// What the visitor said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl JournalError {
    pub(super) fn io(operation: &'static str, path: &str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }
}

/// A group was not committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Nothing was written: the changes roll back, the journal goes on.
    #[error(transparent)]
    Refused(#[from] RefusedError),
    /// A write or a sync failed, now or earlier. What became of the group is known after the next open only; the
    /// journal refuses everything until then.
    #[error("the journal is fenced since it failed to {operation} {file}: {message}")]
    Fenced {
        /// What failed first.
        operation: &'static str,
        /// The file it failed on, relative to the data directory.
        file: String,
        /// What the system said then.
        message: String,
        /// Its kind.
        kind: io::ErrorKind,
    },
}

/// Why a group was refused before its first byte was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedError {
    /// There is no room until the journal has been drained or has grown.
    #[error("the journal is full: {needed} bytes needed, {free} of {capacity} free")]
    Full {
        /// Length of the group.
        needed: u64,
        /// Bytes that are free, not necessarily in one piece.
        free: u64,
        /// Bytes in all files.
        capacity: u64,
    },
    /// The group can never fit: it is larger than one ring file.
    #[error("the group has {len} bytes, more than a journal file's {limit}")]
    TooLarge {
        /// Length of the group.
        len: u64,
        /// The largest possible.
        limit: u64,
    },
}

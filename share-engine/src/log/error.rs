//! What can go wrong with a partition log; every variant names the file.

use std::io;

use crate::ids::Offset;
use crate::record::RecordError;

/// A partition log that cannot be written, read or trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk refused.
    #[error("cannot {action} {file}: {source}")]
    Io {
        /// Path within the data directory.
        file: String,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that the snapshot lists are not what was written.
    #[error("{file} is damaged at byte {position}: {what}")]
    Corrupt {
        /// Path within the data directory.
        file: String,
        /// Where, as exactly as can be told.
        position: u64,
        /// What was found and what was expected.
        what: String,
    },
    /// Written by a newer version; nothing was touched.
    #[error("{file} has format version {found}, this version reads up to {supported}")]
    Version {
        /// Path within the data directory.
        file: String,
        /// Version in the file.
        found: u32,
        /// Newest version known.
        supported: u32,
    },
    /// The file belongs to another data directory.
    #[error("{file} belongs to data directory {found:032x}, this is {expected:032x}")]
    ForeignDirectory {
        /// Path within the data directory.
        file: String,
        /// Id in the file.
        found: u128,
        /// Id of this directory.
        expected: u128,
    },
    /// A batch does not lie behind the end of the log.
    #[error("batch begins at offset {base}, the log ends at {end}")]
    Order {
        /// First offset of the batch.
        base: Offset,
        /// Next offset that the log takes.
        end: Offset,
    },
    /// A batch to append is not a batch.
    #[error("batch at offset {base} is invalid: {source}")]
    Batch {
        /// First offset of the batch.
        base: Offset,
        /// What is wrong.
        source: RecordError,
    },
    /// An earlier write or sync failed: the log must be opened anew with its last state.
    #[error("log {directory} failed before and must be opened anew")]
    Fenced {
        /// Path within the data directory.
        directory: String,
    },
}

impl LogError {
    /// Whether a file does not exist: for a reader whose list is older than the last drop this is no damage.
    pub fn is_missing_file(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether what was written is not there any more, as far as can be known: no try again helps.
    pub(super) fn is_damage(&self) -> bool {
        self.is_missing_file() || matches!(self, Self::Corrupt { .. })
    }

    pub(super) fn io(file: &str, action: &'static str) -> impl FnOnce(io::Error) -> Self + use<> {
        let file = file.to_owned();
        move |source| Self::Io { file, action, source }
    }

    pub(super) fn corrupt(file: &str, position: u64, what: impl Into<String>) -> Self {
        Self::Corrupt {
            file: file.to_owned(),
            position,
            what: what.into(),
        }
    }

    /// For reads of listed bytes: a file that ends too early is damaged.
    pub(super) fn read(file: &str, position: u64) -> impl FnOnce(io::Error) -> Self + use<> {
        let file = file.to_owned();
        move |source| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                Self::corrupt(&file, position, "the file ends before its listed length")
            } else {
                Self::Io {
                    file,
                    action: "read",
                    source,
                }
            }
        }
    }
}

//! What can go wrong with snapshots and the `format` file; every variant names the file.

use std::io;

/// A snapshot or `format` file that cannot be written, read or trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
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
    /// The bytes are not what was written.
    #[error("{file} is damaged at byte {position}: {what}")]
    Damaged {
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
    /// A whole section of a kind that this version does not know; nothing was touched.
    #[error("{file} holds a section of kind {kind} at byte {position}, this version reads up to {newest}")]
    UnknownKind {
        /// Path within the data directory.
        file: String,
        /// Where the section begins.
        position: u64,
        /// The kind found.
        kind: u16,
        /// The newest known one.
        newest: u16,
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
}

impl SnapshotError {
    /// Whether bytes were damaged, as against a disk that refuses or a version that is too new.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    pub(super) fn io(file: &str, action: &'static str) -> impl FnOnce(io::Error) -> Self + use<> {
        let file = file.to_owned();
        move |source| Self::Io { file, action, source }
    }

    pub(super) fn damaged(file: &str, position: usize, what: impl Into<String>) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            position: position as u64,
            what: what.into(),
        }
    }
}

//! Why a data directory cannot be opened, as its rooms say it, turned into what callers are told: what is newer, what is
//! damaged, what the disk refuses, and what was asked for wrongly are four different things.

use crate::catalog::{CatalogChange, CatalogCodecError};
use crate::config::ConfigError;
use crate::error::OpenError;
use crate::journal::JournalError;
use crate::log::LogError;
use crate::snapshot::SnapshotError;

impl From<JournalError> for OpenError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Io {
                operation,
                path,
                source,
            } => Self::Io {
                context: format!("cannot {operation} {path}"),
                source,
            },
            JournalError::NewerVersion { found, supported, file } => newer(file, found.into(), supported.into()),
            JournalError::UnknownKind {
                file,
                what,
                kind,
                newest,
                ..
            } => numbered(file, what, kind.into(), newest.into()),
            JournalError::Visitor { position, source } => match source.downcast_ref() {
                Some(CatalogCodecError::UnknownKind { kind }) => Self::NewerFormat {
                    file: format!("the journal before position {position}"),
                    what: "a change of the catalog of kind",
                    found: kind.clone(),
                    known: CatalogChange::KINDS.join(", "),
                },
                _ => Self::Corrupt(JournalError::Visitor { position, source }.to_string()),
            },
            JournalError::Corrupt(damage) => Self::Corrupt(damage.to_string()),
            JournalError::OpenFiles { files, limit, spare } => Self::OpenFiles { files, limit, spare },
            JournalError::Options { option, value, rule } => Self::Config(ConfigError::Journal { option, value, rule }),
            other => Self::Corrupt(other.to_string()),
        }
    }
}

impl From<LogError> for OpenError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Io { file, action, source } => Self::Io {
                context: format!("cannot {action} {file}"),
                source,
            },
            LogError::Version { file, found, supported } => newer(file, found, supported),
            LogError::Corrupt { file, position, what } => damaged(&file, position, &what),
            other => Self::Corrupt(other.to_string()),
        }
    }
}

impl From<SnapshotError> for OpenError {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Io { file, action, source } => Self::Io {
                context: format!("cannot {action} {file}"),
                source,
            },
            SnapshotError::Version { file, found, supported } => newer(file, found, supported),
            SnapshotError::UnknownKind { file, kind, newest, .. } => {
                numbered(file, "a section of kind", kind.into(), newest.into())
            }
            SnapshotError::Damaged { file, position, what } => damaged(&file, position, &what),
            other => Self::Corrupt(other.to_string()),
        }
    }
}

fn newer(file: String, found: u32, known: u32) -> OpenError {
    numbered(file, "format", found, known)
}

/// What has numbers that grow.
pub(super) fn numbered(file: String, what: &'static str, found: u32, known: u32) -> OpenError {
    OpenError::NewerFormat {
        file,
        what,
        found: found.to_string(),
        known: format!("up to {known}"),
    }
}

/// The error says by itself that something is damaged.
fn damaged(file: &str, position: u64, what: &str) -> OpenError {
    OpenError::Corrupt(format!("{file} at byte {position}: {what}"))
}

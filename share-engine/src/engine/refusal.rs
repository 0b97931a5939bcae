//! Why a data directory cannot be opened, as its rooms say it, turned into what callers are told: what is newer, what is
//! damaged, what the disk refuses, and what was asked for wrongly are four different things.

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
            } => Self::NewerFormat {
                file,
                what,
                found: kind.into(),
                known: newest.into(),
            },
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
            SnapshotError::UnknownKind { file, kind, newest, .. } => Self::NewerFormat {
                file,
                what: "a section of kind",
                found: kind.into(),
                known: newest.into(),
            },
            other => Self::Corrupt(other.to_string()),
        }
    }
}

fn newer(file: String, found: u32, known: u32) -> OpenError {
    OpenError::NewerFormat {
        file,
        what: "format",
        found,
        known,
    }
}

//! What callers of the engine see go wrong: one enum for each family of calls. Inputs return errors, disks fence
//! the engine, bugs panic.

use std::{fmt, io};

use crate::catalog::CatalogError;
use crate::config::ConfigError;
use crate::record::RecordError;

/// Why nothing more is taken in: a write or sync failed, so that only recovery can tell what is on disk, or the data
/// directory is another's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the engine stopped and must be opened again: {reason}")]
pub struct Fenced {
    /// What failed.
    pub reason: String,
}

/// A data directory that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another process has it.
    #[error("data directory {directory} is in use by {holder}")]
    InUse {
        /// The directory.
        directory: String,
        /// Who holds it.
        holder: String,
    },
    /// Written by a newer version; untouched.
    #[error("{file} in the data directory has {what} {found}, this program reads {known}")]
    NewerFormat {
        /// The file, relative to the data directory.
        file: String,
        /// What is newer: `format`, or what the file holds, as `an operation of kind`.
        what: &'static str,
        /// Its number or name.
        found: String,
        /// What is known here: `up to` a number, or names.
        known: String,
    },
    /// There is nothing of ours in it.
    #[error("{directory} is not a data directory of sharemill")]
    NotADirectory {
        /// The directory.
        directory: String,
    },
    /// Damage in what must be whole.
    #[error("damaged: {0}")]
    Corrupt(String),
    /// Every file of the journal is held open, and this process may not have so many open. No journal was made or changed.
    #[error(
        "the journal may come to {files} files, and this process may have {limit} open, {spare} of them for other things"
    )]
    OpenFiles {
        /// Files that the journal has, or may grow to.
        files: u64,
        /// Files that the process may have open.
        limit: u64,
        /// How many of those are not for the journal.
        spare: u64,
    },
    /// The file system failed.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: String,
        /// The cause.
        source: io::Error,
    },
}

/// A record that was not produced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// No such topic.
    #[error("unknown topic {0:?}")]
    UnknownTopic(String),
    /// No such partition.
    #[error("topic {topic:?} has partitions 0 to {last}, not {partition}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The number asked for.
        partition: u32,
        /// The largest there is.
        last: u32,
    },
    /// The record or batch is malformed or too large.
    #[error("{0}")]
    Record(String),
    /// The record, key and headers included, is too large.
    #[error("a record takes {size} bytes with key, headers and overhead, the limit is {limit}")]
    RecordTooLarge {
        /// Bytes it takes.
        size: u64,
        /// Bytes it may take.
        limit: u64,
    },
    /// What has to be written in one piece fits into no journal file.
    #[error("one entry would take {size} bytes, a journal file has room for {limit}")]
    EntryTooLarge {
        /// Bytes it takes.
        size: u64,
        /// Bytes there are at most.
        limit: u64,
    },
    /// The topic is full.
    #[error("topic {topic:?} is full: it holds {bytes} of {limit} bytes{}", oldest(.oldest_group.as_deref()))]
    TopicFull {
        /// The topic.
        topic: String,
        /// Bytes it holds.
        bytes: u64,
        /// Bytes it may hold.
        limit: u64,
        /// The group that is furthest behind.
        oldest_group: Option<String>,
    },
    /// The journal has no room but for acknowledgements: records arrive faster than they can be moved to the logs.
    #[error("the journal is full: {used} of {limit} bytes; draining goes on in the background")]
    JournalFull {
        /// Bytes in use.
        used: u64,
        /// Bytes a produce may use.
        limit: u64,
    },
    /// Nothing is known of this write until the engine is opened again.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// The engine was closed.
    #[error("the engine is closed")]
    Closed,
}

impl From<RecordError> for ProduceError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::RecordTooLarge { size, limit, .. } => Self::RecordTooLarge {
                size: size as u64,
                limit: limit as u64,
            },
            // Its place in the batch means nothing to whoever produced it.
            RecordError::Timestamp { found, .. } => {
                Self::Record(format!("the timestamp is {}, at least 0 expected", found.as_millis()))
            }
            RecordError::HeaderName { name, .. } => Self::Record(format!("a header's name is not UTF-8: {name}")),
            other => Self::Record(other.to_string()),
        }
    }
}

fn oldest(group: Option<&str>) -> String {
    group.map_or_else(String::new, |group| format!("; group {group:?} is furthest behind"))
}

/// A topic, group or query that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The catalog refuses it.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The group has members.
    #[error("group {group:?} has {members} running member(s)")]
    GroupRunning {
        /// The group.
        group: String,
        /// How many.
        members: usize,
    },
    /// The group has records to settle still.
    #[error("group {group:?} has {} unsettled record(s): {unsettled}", unsettled.all())]
    GroupUnsettled {
        /// The group.
        group: String,
        /// What it has to do still.
        unsettled: Unsettled,
    },
    /// The group does not read this topic.
    #[error("group {group:?} does not read topic {topic:?}")]
    NotSubscribed {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
    },
    /// No such partition.
    #[error("topic {topic:?} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The number asked for.
        partition: u32,
    },
    /// A group cannot be set to a record that does not exist yet.
    #[error("topic {topic:?} partition {partition} ends at offset {end}, before {offset}")]
    OffsetBeyondEnd {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset asked for.
        offset: u64,
        /// The offset that the next record will get.
        end: u64,
    },
    /// Nothing to redrive at this offset.
    #[error("no dead letter at offset {offset} of {topic:?}")]
    NoDeadLetter {
        /// The dead-letter topic.
        topic: String,
        /// The offset.
        offset: u64,
    },
    /// The journal refused it; nothing changed.
    #[error("not done: {0}")]
    Refused(String),
    /// A partition log could not be read.
    #[error("{0}")]
    Log(String),
    /// A partition log could not be read from an offset on.
    #[error("{reason}")]
    Unreadable {
        /// What is wrong, with file and position.
        reason: String,
        /// Where it is worth the next try: behind what is known to be damaged.
        resume: u64,
    },
    /// Logs or snapshot could not be written; the journal keeps what it holds, and it is tried again.
    #[error("not drained: {0}")]
    NotDrained(String),
    /// Nothing is known of this change until the engine is opened again.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// The engine was closed.
    #[error("the engine is closed")]
    Closed,
}

/// What a group has not settled, over all its topics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// Leased.
    pub acquired: u64,
    /// Waiting for their due time.
    pub parked: u64,
    /// To be delivered again.
    pub again: u64,
    /// Never delivered.
    pub new: u64,
    /// How many of all these leave their topics when the group does.
    pub dropped: u64,
}

impl Unsettled {
    /// Records in all.
    pub fn all(&self) -> u64 {
        self.acquired + self.parked + self.again + self.new
    }
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.acquired, "acquired"),
            (self.parked, "parked"),
            (self.again, "to be delivered again"),
            (self.new, "not delivered yet"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// What became of one settlement. One never affects another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettleResult {
    /// Done and durable.
    Applied,
    /// The lease was over: expired, settled before, or of an earlier delivery. Nothing changed.
    Stale,
    /// Not done; the record is still leased.
    Refused(RefusedSettlement),
    /// The engine was fenced while it was under way; after the next open the journal decides.
    Unknown,
}

/// Why a settlement was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RefusedSettlement {
    /// Whether it could be done later.
    pub by: RefusedBy,
    /// One line.
    pub reason: String,
}

/// What stands against a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedBy {
    /// The topic of an emitted record is full.
    TopicFull,
    /// The journal has no room: nothing goes on before there is.
    JournalFull,
    /// What it asks for: it will always be refused.
    Never,
    /// Something that passes.
    Other,
}

impl From<ProduceError> for RefusedSettlement {
    fn from(error: ProduceError) -> Self {
        let by = match &error {
            ProduceError::TopicFull { .. } => RefusedBy::TopicFull,
            ProduceError::JournalFull { .. } => RefusedBy::JournalFull,
            ProduceError::UnknownTopic(_)
            | ProduceError::UnknownPartition { .. }
            | ProduceError::RecordTooLarge { .. }
            | ProduceError::EntryTooLarge { .. } => RefusedBy::Never,
            // Also what the disk refused before the first byte.
            ProduceError::Record(_) | ProduceError::Fenced(_) | ProduceError::Closed => RefusedBy::Other,
        };
        let reason = match &error {
            // The catalog has forgotten its name.
            ProduceError::UnknownTopic(name) if name.is_empty() => {
                "the topic of an emitted record was deleted meanwhile".to_owned()
            }
            error => error.to_string(),
        };
        Self { by, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was called `unknown topic ""` in the dead letter.
    #[test]
    fn a_topic_that_was_deleted_meanwhile_is_said_in_words() {
        let refused = RefusedSettlement::from(ProduceError::UnknownTopic(String::new()));
        assert_eq!(refused.by, RefusedBy::Never);
        assert_eq!(refused.reason, "the topic of an emitted record was deleted meanwhile");
    }
}

//! What an engine, a topic and a group can be told. Parsed once at the border; every range is checked here and
//! the error names the value, the limit and the way out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::DeliveryCount;

pub use crate::journal::Durability;

/// How an engine uses its disk and memory.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// When a change counts as done.
    pub durability: Durability,
    /// Bytes of one journal file; 64 KiB to 1 GiB, a multiple of 512.
    pub journal_file_bytes: u64,
    /// Bytes to which the journal ring grows in the background; at least two files.
    pub journal_bytes: u64,
    /// Bytes of records kept in memory before draining begins.
    pub memory_window: u64,
    /// Bytes of one segment of a partition log.
    pub segment_bytes: u64,
    /// Bytes set aside on disk so that draining and deletion go on when it is full; 0 for none.
    pub reserve_bytes: u64,
    /// Bounds on queues and requests.
    pub limits: Limits,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            durability: Durability::Sync,
            journal_file_bytes: 8 << 20,
            journal_bytes: 512 << 20,
            memory_window: 128 << 20,
            segment_bytes: 64 << 20,
            reserve_bytes: 16 << 20,
            limits: Limits::default(),
        }
    }
}

/// Named bounds. Past them a caller waits or gets a typed error.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of produced batches that wait for their commit; a producer waits beyond it.
    pub produce_bytes: u64,
    /// Bytes of one journal group; more waits for the next.
    pub group_bytes: u64,
    /// Bytes of records read ahead from a partition log for one share partition.
    pub read_ahead_bytes: u64,
    /// Topics in one data directory.
    pub topics: usize,
    /// Partitions of one topic.
    pub partitions: u32,
    /// Groups in one data directory.
    pub groups: usize,
    /// Bytes of a checkpoint; at most 64 KiB. A larger one is refused.
    pub checkpoint_bytes: usize,
    /// Bytes of a note kept with an attempt; 16 to 1,024. A longer one is cut.
    pub note_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            produce_bytes: 64 << 20,
            group_bytes: 4 << 20,
            read_ahead_bytes: 4 << 20,
            topics: 10_000,
            partitions: 1_000,
            groups: 10_000,
            checkpoint_bytes: 64 << 10,
            note_bytes: 1 << 10,
        }
    }
}

/// Most that [`Limits::checkpoint_bytes`] and [`Limits::note_bytes`] may be: what a share partition takes.
pub(crate) const CHECKPOINT_BYTES: u64 = 64 << 10;
pub(crate) const NOTE_BYTES: u64 = 1 << 10;

impl Limits {
    fn check(&self) -> Result<(), ConfigError> {
        range("produce (bytes)", self.produce_bytes, 1, u64::MAX)?;
        range("read ahead (bytes)", self.read_ahead_bytes, 1, 1 << 30)?;
        range("checkpoint (bytes)", self.checkpoint_bytes as u64, 0, CHECKPOINT_BYTES)?;
        range("note (bytes)", self.note_bytes as u64, 16, NOTE_BYTES)
    }
}

/// Which records a topic keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retention {
    /// A record is dropped when every group of the topic has finished with it. Without a group everything is kept.
    Queue,
    /// By age and size, whichever comes first; `None` means no bound. Looked at once a second; what is in the journal
    /// goes batch by batch, what is in a log segment by segment. What a member holds or has parked stays, and so does
    /// everything behind it.
    Bounded {
        /// Largest age in milliseconds, by the records' timestamps (when they were appended, unless the producer said
        /// otherwise). A segment spans at most a quarter of it, at least ten seconds: that much longer a record may stay.
        millis: Option<u64>,
        /// Largest size of one partition's records in bytes, in journal and log together. Segments are made no larger than
        /// a quarter of it, at least 4 KiB.
        bytes: Option<u64>,
    },
}

/// What a full topic does with a produce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFull {
    /// Refuse it.
    #[default]
    Refuse,
    /// Drop the oldest records; unfinished ones are archived with cause `retention`. The topic gives way as soon as a
    /// produce has taken it above `max_bytes`. Where that cannot be at once, since the oldest records are held or parked,
    /// their dead letters are not written yet, or the log that holds them waits for a drain, it takes a quarter of
    /// `max_bytes` more, or 8 MiB if that is more; then it refuses.
    DropOldest,
}

/// What a topic can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicConfig {
    /// 1 to [`Limits::partitions`]; only grows.
    pub partitions: u32,
    /// Which records are kept.
    pub retention: Retention,
    /// Bytes over all partitions; `None` for no limit but the disk.
    pub max_bytes: Option<u64>,
    /// What happens above `max_bytes`.
    pub on_full: OnFull,
    /// Bytes of one segment of its logs; `None`: [`EngineConfig::segment_bytes`]. Less where `max_bytes` or the retention
    /// asks for it: a segment is at most a quarter of a partition's share of a limit. Holds for new segments.
    #[serde(default)]
    pub segment_bytes: Option<u64>,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            partitions: 1,
            retention: Retention::Bounded {
                millis: Some(7 * 24 * 3_600_000),
                bytes: None,
            },
            max_bytes: None,
            on_full: OnFull::Refuse,
            segment_bytes: None,
        }
    }
}

/// Where a group begins on a topic it has not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// With the oldest record that is still there.
    #[default]
    Earliest,
    /// With what is produced from now on.
    Latest,
    /// With the first record that is at most this old, in milliseconds.
    ByDuration(u64),
}

/// How many records of a share partition may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowMode {
    /// At most this many offsets between start and end offset, finished ones included, as in Kafka.
    Span(u32),
    /// So many acquired records; a delayed or slow record never stalls those behind it. Nothing more is acquired once they are reached;
    /// an acquisition of whole record batches may pass them by what its last batch has.
    Acquired(u32),
}

/// What a share group can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupConfig {
    /// Deliveries before a record is archived; 1 to 1,000.
    pub attempts: u16,
    /// Length of an acquisition lock in milliseconds; 1,000 to 60,000.
    pub lock_millis: u32,
    /// Longest time of one attempt, extensions and parking included, in milliseconds.
    pub max_lease_millis: u64,
    /// Where the group begins.
    pub start: Start,
    /// Topic that takes the dead letters; `None` for none.
    pub dead_letter: Option<String>,
    /// The window limit.
    pub window: WindowMode,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            attempts: 5,
            lock_millis: 30_000,
            max_lease_millis: 600_000,
            start: Start::Earliest,
            dead_letter: None,
            window: WindowMode::Acquired(100_000),
        }
    }
}

impl GroupConfig {
    /// The delivery limit.
    pub fn delivery_limit(&self) -> DeliveryCount {
        DeliveryCount(self.attempts)
    }

    /// The length of an acquisition lock.
    pub fn lock(&self) -> Duration {
        Duration::from_millis(u64::from(self.lock_millis))
    }

    /// Checks every range.
    pub fn check(&self) -> Result<(), ConfigError> {
        range("attempts", u64::from(self.attempts), 1, 1_000)?;
        range("lock (ms)", u64::from(self.lock_millis), 1_000, 60_000)?;
        range("max-lease (ms)", self.max_lease_millis, 1_000, 7 * 24 * 3_600_000)?;
        let (WindowMode::Span(limit) | WindowMode::Acquired(limit)) = self.window;
        range("window", u64::from(limit), 1, 16_000_000)?;
        if let Some(name) = &self.dead_letter {
            check_name("dead-letter topic", name)?;
        }
        Ok(())
    }
}

impl TopicConfig {
    /// Checks every range against the engine's limits.
    pub fn check(&self, limits: &Limits) -> Result<(), ConfigError> {
        range(
            "partitions",
            u64::from(self.partitions),
            1,
            u64::from(limits.partitions),
        )?;
        if let Some(bytes) = self.max_bytes {
            range("max-bytes", bytes, 4_096, u64::MAX)?;
        }
        if let Some(bytes) = self.segment_bytes {
            range("segment (bytes)", bytes, 4 << 10, 1 << 30)?;
        }
        Ok(())
    }
}

impl EngineConfig {
    /// Bytes of the records that one journal entry should hold at most: one group.
    pub(crate) fn entry_bytes(&self) -> u64 {
        self.limits.group_bytes.min(self.journal_file_bytes / 2)
    }

    /// Bytes of the largest record that an entry of its own can hold: one ring file without what surrounds it.
    pub(crate) const fn largest_entry_bytes(&self) -> u64 {
        self.journal_file_bytes.saturating_sub(2 << 10)
    }

    /// Checks every range and relation.
    pub fn check(&self) -> Result<(), ConfigError> {
        range("journal file (bytes)", self.journal_file_bytes, 64 << 10, 1 << 30)?;
        if !self.journal_file_bytes.is_multiple_of(512) {
            return Err(ConfigError::Journal {
                option: "journal file (bytes)",
                value: self.journal_file_bytes,
                rule: "not a multiple of 512",
            });
        }
        range(
            "journal size (bytes)",
            self.journal_bytes,
            2 * self.journal_file_bytes,
            1 << 40,
        )?;
        range("segment (bytes)", self.segment_bytes, 4 << 10, 1 << 30)?;
        range(
            "journal group (bytes)",
            self.limits.group_bytes,
            4 << 10,
            self.journal_file_bytes / 2,
        )?;
        self.limits.check()
    }
}

/// A name that Kafka takes as topic name: 1 to 249 of letters, digits, `.`, `_`, `-`; neither `.` nor `..`.
pub fn check_name(what: &'static str, name: &str) -> Result<(), ConfigError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 249 || name == "." || name == ".." || !name.chars().all(plain) {
        return Err(ConfigError::Name {
            what,
            name: name.to_owned(),
        });
    }
    Ok(())
}

fn range(what: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if value < least || value > most {
        return Err(ConfigError::Range {
            what,
            value,
            least,
            most,
        });
    }
    Ok(())
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number outside its range.
    #[error("{what} is {value}, allowed are {least} to {most}")]
    Range {
        /// Which setting.
        what: &'static str,
        /// Its value.
        value: u64,
        /// Smallest allowed value.
        least: u64,
        /// Largest allowed value.
        most: u64,
    },
    /// A size of the journal that does not fit the others.
    #[error("journal option {option} is {value}, {rule}")]
    Journal {
        /// Which one.
        option: &'static str,
        /// Its value.
        value: u64,
        /// What it has to be.
        rule: &'static str,
    },
    /// A name with characters that Kafka does not take.
    #[error("{what} {name:?} is not a valid name: 1 to 249 letters, digits, '.', '_' and '-'")]
    Name {
        /// What it names.
        what: &'static str,
        /// The name.
        name: String,
    },
}

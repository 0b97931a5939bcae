//! Topics: which record lies at which offset.

use std::collections::BTreeMap;

use super::Check;
use super::value::Id;

/// A topic that exists.
#[derive(Debug, Default)]
pub(crate) struct Topic {
    pub(crate) logs: Vec<Log>,
    pub(crate) drops: Drops,
}

/// When records may go before their groups are through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Drops {
    #[default]
    Never,
    /// At an age of so many nanoseconds.
    Old(u64),
    /// If there is at least so much behind them, in bytes.
    Above(u64),
    /// The settings change, or one partition's records go for another's.
    Ever,
}

impl Drops {
    /// Whether they may go at all.
    pub(crate) fn any(self) -> bool {
        self != Self::Never
    }

    /// While one or the other holds.
    pub(crate) fn or(self, other: Self) -> Self {
        if self == other { self } else { Self::Ever }
    }

    /// After a change of settings: a segment that was made before it is as large as it is, and goes as a whole.
    pub(crate) fn later(self) -> Self {
        match self {
            Self::Above(_) => Self::Ever,
            other => other,
        }
    }
}

/// One partition.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) entries: BTreeMap<u64, Entry>,
    /// Everything that was acknowledged lies before.
    pub(crate) end: u64,
    /// Everything before was read at least once.
    pub(crate) read: u64,
    /// Everything before is gone, and does not come back while the engine runs.
    pub(crate) start: u64,
    /// The engine was opened since it was read: what was gone may be back.
    pub(crate) reopened: bool,
    /// The power was lost since it was read: it may end earlier, but no earlier than what was synced.
    pub(crate) cut: bool,
    /// Everything before is on the disk, whatever is lost with the power.
    pub(crate) synced: u64,
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) id: Id,
    /// When it was asked for, if that is known; else 0.
    pub(crate) asked: u64,
    /// When it was known to be there.
    pub(crate) known: u64,
    /// It may be gone already.
    pub(crate) loose: bool,
    /// It was not there when somebody looked. A drop is durable with the next snapshot: until then a restart, when
    /// the group is gone that was through with it, brings it back.
    pub(crate) gone: bool,
}

/// Bytes of a record at most, with a batch for itself.
const LARGEST: u64 = 2_048;

impl Entry {
    /// Bytes on the disk at most, with a batch for itself; with what a dead letter says, if it may have come from one.
    fn bytes(&self) -> u64 {
        let headers = if self.asked == 0 { 512 } else { 0 };
        (self.id >> 32) + 128 + headers
    }
}

/// A record as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) offset: u64,
    /// `None`: it is not what anybody has produced.
    pub(crate) id: Option<Id>,
    /// Where it was first produced, if it went through the dead letters.
    pub(crate) origin: Option<Origin>,
    /// As a dead letter: what it stands for.
    pub(crate) letter: Option<Origin>,
}

/// A place in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) topic: u8,
    pub(crate) partition: u32,
    pub(crate) offset: u64,
}

impl Topic {
    pub(crate) fn new(partitions: u32, drops: Drops) -> Self {
        Self {
            logs: (0..partitions).map(|_| Log::default()).collect(),
            drops,
        }
    }
}

impl super::Model {
    /// Up to where everything was there before a moment, as far as it is known.
    pub(crate) fn old_until(&self, topic: u8, partition: u32, moment: u64) -> u64 {
        let entries = self.log(topic, partition).into_iter().flat_map(|log| &log.entries);
        let old = entries.take_while(|(_, entry)| entry.known < moment);
        old.last().map_or(0, |(offset, _)| offset + 1)
    }

    /// Whether a topic's settings may have ended a record of it.
    pub(super) fn may_drop(&self, topic: u8, partition: u32, offset: u64, now: u64) -> bool {
        let drops = self.topics.get(&topic).map(|topic| topic.drops).unwrap_or_default();
        let Some(log) = self.log(topic, partition) else {
            return true;
        };
        match drops {
            Drops::Never => false,
            Drops::Ever => true,
            // Records bear whole milliseconds of wall time.
            Drops::Old(age) => {
                let asked = log.entries.get(&offset).map_or(0, |entry| entry.asked);
                asked == 0 || self.jumped || asked + age <= now + 1_000_000
            }
            Drops::Above(bytes) => log.bytes_from(offset) >= bytes,
        }
    }
}

impl Log {
    /// The engine is gone: what its start had passed in memory alone the next one may have again.
    pub(super) fn reopen(&mut self) {
        self.start = 0;
        self.reopened = true;
    }

    /// What lies here and behind takes so many bytes at most.
    fn bytes_from(&self, offset: u64) -> u64 {
        let known = self.entries.range(offset..).map(|(_, entry)| entry.bytes());
        let unknown = (self.end.saturating_sub(offset)).saturating_sub(known.clone().count() as u64);
        known.sum::<u64>() + unknown * LARGEST
    }

    /// A record lies here.
    pub(crate) fn put(&mut self, offset: u64, id: Id, asked: u64, known: u64) -> Check {
        let entry = Entry {
            id,
            asked,
            known,
            loose: false,
            gone: false,
        };
        match self.entries.get_mut(&offset) {
            Some(other) if other.id != id => Err(format!("I8: offset {offset} is {:#x} and {id:#x}", other.id)),
            Some(other) => {
                (other.loose, other.gone) = (false, false);
                Ok(())
            }
            None => {
                self.entries.insert(offset, entry);
                Ok(())
            }
        }
    }
}

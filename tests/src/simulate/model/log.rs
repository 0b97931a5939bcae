//! Topics: which record lies at which offset.

use std::collections::BTreeMap;

use super::Check;
use super::value::Id;

/// A topic that exists.
#[derive(Debug, Default)]
pub(crate) struct Topic {
    pub(crate) logs: Vec<Log>,
    /// Records may go before their groups are through.
    pub(crate) drops: bool,
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
    pub(crate) fn new(partitions: u32, drops: bool) -> Self {
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
}

impl Log {
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

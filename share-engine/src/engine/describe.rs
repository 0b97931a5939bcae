//! What a person or a dashboard sees of topics, groups and records. Plain values.

use std::time::Duration;

use serde::Serialize;

use crate::config::{GroupConfig, TopicConfig};

/// A topic as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// Its settings.
    pub config: TopicConfig,
    /// Bytes it holds, over all partitions.
    pub bytes: u64,
    /// Bytes after which a segment is closed, as its settings and the engine's come to.
    pub segment_bytes: u64,
    /// The group whose dead letters it holds.
    pub dead_letters_of: Option<String>,
    /// Its partitions.
    pub partitions: Vec<PartitionDescription>,
    /// Groups that read it, the engine's own left out.
    pub groups: Vec<String>,
}

/// A partition as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: u32,
    /// Oldest offset that may still be there.
    pub start: u64,
    /// Next offset to be produced.
    pub end: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// Bytes in its log.
    pub log_bytes: u64,
    /// Segments of its log.
    pub segments: usize,
    /// Why some of its log cannot be read, if that was found.
    pub failure: Option<String>,
}

/// A group as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct GroupDescription {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub config: GroupConfig,
    /// Members that run.
    pub members: usize,
    /// Its share partitions.
    pub partitions: Vec<ShareDescription>,
}

/// A share partition as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct ShareDescription {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// First unfinished offset (SPSO).
    pub start: u64,
    /// Last offset that was acquired (SPEO); the start while nothing is in flight.
    pub end: u64,
    /// Next offset that the partition will get.
    pub log_end: u64,
    /// Records that may be acquired now, new ones included.
    pub available: u64,
    /// Records held by members.
    pub acquired: u64,
    /// Records that wait for their due time.
    pub parked: u64,
    /// Records that wait because the process died with them.
    pub struck: u64,
    /// Finished records not yet passed by the start offset.
    pub finished: u64,
    /// Records not finished yet: available, acquired, parked and struck.
    pub lag: u64,
    /// Raised by resets.
    pub epoch: u32,
    /// When the first parked record is due, in milliseconds from now.
    pub next_due_millis: Option<u64>,
    /// The record that keeps a full window from moving.
    pub pinned_by: Option<u64>,
    /// Why the next record cannot be read: until that is mended, nothing more is handed out.
    pub failure: Option<String>,
}

/// One record in a share partition.
#[derive(Clone, Debug, Serialize)]
pub struct RecordInfo {
    /// Its offset.
    pub offset: u64,
    /// `available`, `acquired`, `parked`, `struck`, `acknowledged` or `archived`.
    pub state: &'static str,
    /// How often it was delivered.
    pub delivery_count: u16,
    /// Which continuation of that delivery.
    pub continuation: u32,
    /// The member that holds it, by number.
    pub member: Option<u32>,
    /// How long its lease lasts still, in milliseconds.
    pub lease_millis: Option<u64>,
    /// When it becomes available, in milliseconds from now.
    pub due_millis: Option<u64>,
    /// Bytes of its checkpoint.
    pub checkpoint_bytes: usize,
    /// Crashes of the process while it was in a handler.
    pub strikes: u8,
    /// A change waits for the disk.
    pub in_transition: bool,
    /// What its attempts left.
    pub notes: Vec<String>,
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

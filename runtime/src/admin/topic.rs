//! Topics as the admin interface shows and takes them.

use serde::{Deserialize, Serialize};

use crate::config::{OnFull, Retention};

/// One topic in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSummary {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: u32,
    /// Offsets between log start and log end, over all partitions; `None`: some cannot be reached.
    pub records: Option<u64>,
    /// Bytes held, over all partitions; `None`: nobody says.
    pub bytes: Option<u64>,
    /// Bytes that it may hold; `None`: as many as the disk, or its partitions have a limit each.
    pub max_bytes: Option<u64>,
    /// What happens when it holds that; `None`: no topic of a cluster is full.
    pub on_full: Option<OnFull>,
    /// How long records are kept; `None`: not asked for, or nobody says.
    pub retention: Option<Retention>,
    /// How many share groups it has; `None`: not asked for.
    pub groups: Option<u32>,
}

/// One topic with its partitions and groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: TopicSummary,
    /// Bytes after which a segment is closed; `None`: nobody says.
    pub segment_bytes: Option<u64>,
    /// By number.
    pub partition_list: Vec<PartitionView>,
    /// By name.
    pub group_list: Vec<TopicGroup>,
}

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionView {
    /// Number.
    pub partition: u32,
    /// Oldest offset that is kept.
    pub log_start: u64,
    /// Offset of the next record.
    pub log_end: u64,
    /// Bytes held; `None`: nobody says.
    pub bytes: Option<u64>,
    /// Closed and open segments; `None`: nobody says.
    pub segments: Option<u32>,
    /// The brokers that hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brokers: Option<PartitionBrokers>,
    /// Why some of the log cannot be read, if that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Which brokers of a cluster hold a partition, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionBrokers {
    /// Who leads it; `None` while nobody does.
    pub leader: Option<i32>,
    /// Who holds it.
    pub replicas: Vec<i32>,
    /// Who of them has all of it.
    pub in_sync: Vec<i32>,
}

/// What a group still has to do in a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicGroup {
    /// Share group.
    pub group: String,
    /// Records that are neither acknowledged nor archived; `None`: nobody says.
    pub unsettled: Option<u64>,
}

/// A topic to be created; what is absent takes the manifest's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateTopic {
    /// Name.
    pub name: String,
    /// 1 to 1,000.
    pub partitions: u32,
    /// How long records are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// What happens when it is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_full: Option<OnFull>,
    /// Bytes that it may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Bytes after which a segment is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_bytes: Option<u64>,
}

/// How a topic is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteTopic {
    /// Even with records or groups.
    #[serde(default)]
    pub force: bool,
}

/// What went with a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicDeleted {
    /// Records.
    pub records: u64,
    /// Bytes; `None`: nobody says.
    pub bytes: Option<u64>,
}

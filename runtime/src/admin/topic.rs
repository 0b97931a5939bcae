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
    /// Offsets between log start and log end, over all partitions.
    pub records: u64,
    /// Bytes held, over all partitions.
    pub bytes: u64,
    /// Bytes that it may hold; `None`: as many as the disk.
    pub max_bytes: Option<u64>,
    /// What happens when it holds that.
    pub on_full: OnFull,
    /// How long records are kept.
    pub retention: Retention,
    /// How many share groups it has.
    pub groups: u32,
}

/// One topic with its partitions and groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: TopicSummary,
    /// Bytes after which a segment is closed.
    pub segment_bytes: u64,
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
    /// Bytes held.
    pub bytes: u64,
    /// Closed and open segments.
    pub segments: u32,
    /// Why some of the log cannot be read, if that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What a group still has to do in a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicGroup {
    /// Share group.
    pub group: String,
    /// Records that are neither acknowledged nor archived.
    pub unsettled: u64,
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
    /// Bytes.
    pub bytes: u64,
}

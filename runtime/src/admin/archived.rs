//! Records that a group of a cluster has given up, as the admin interface shows and takes them.

use serde::{Deserialize, Serialize};

use super::{AdminError, ErrorCode, Record};

/// Which archived records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchivedQuery {
    /// Only of this topic.
    pub topic: Option<String>,
    /// Only of this partition.
    pub partition: Option<u32>,
    /// From this offset on.
    pub from: Option<u64>,
    /// At most so many, 1 to 10,000.
    pub limit: u32,
}

/// A record that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// How often it was delivered.
    pub delivery_count: u32,
    /// What it holds; `None`: the topic does not keep it any more.
    pub record: Option<Record>,
}

/// Some archived records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedPage {
    /// By topic, partition and offset.
    pub archived: Vec<Archived>,
    /// Whether the limit left some out.
    pub more: bool,
    /// Where there may have been more.
    pub forgotten: Vec<Forgotten>,
}

/// Records that are finished, their outcome no longer known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Offsets that the topic still keeps; some may be no records.
    pub offsets: u64,
    /// All of them are below this one.
    pub below: u64,
}

/// Which archived records to copy, and where to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoverRequest {
    /// Which of them; the limit does not count.
    pub query: ArchivedQuery,
    /// Topic that they are copied to.
    pub to: String,
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverResult {
    /// Records that are in the topic now.
    pub recovered: u64,
    /// Archived records that their topic does not keep any more.
    pub gone: u64,
    /// Those that were not copied: it ends soon after the first.
    pub failed: Vec<RecoverFailure>,
    /// Where there may have been more.
    pub forgotten: Vec<Forgotten>,
}

/// An archived record that was not copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverFailure {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// Why.
    pub error: AdminError,
}

/// An engine has nothing but letters of what it gives up.
pub(super) fn kept_as_letters(group: &str) -> AdminError {
    let message = format!("group {group} belongs to an embedded engine, which keeps what it gives up as dead letters");
    let hint = format!("sharemill dead list --group {group} shows them, sharemill dead redrive brings them back");
    AdminError::new(ErrorCode::Invalid, message).hint(hint)
}

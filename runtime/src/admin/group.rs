//! Share groups and the states of their records as the admin interface shows and takes them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AdminError, ErrorCode};
use crate::config::{Start, StartError, UnitError};

/// One share group in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSummary {
    /// Name.
    pub name: String,
    /// Topics, by name.
    pub topics: Vec<String>,
    /// Members at work.
    pub members: u32,
    /// Records that may be acquired, those behind the end offset included; `None`: a cluster does not tell them from leased ones.
    pub available: Option<u64>,
    /// Records that are leased; `None`: nobody says.
    pub acquired: Option<u64>,
    /// Records that wait for a due time; `None`: nobody says.
    pub parked: Option<u64>,
    /// Records that are not finished; `None`: a cluster does not count them.
    #[serde(default)]
    pub lag: Option<u64>,
}

/// One share group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: GroupSummary,
    /// Attempts that the engine allows; `None`: a cluster's host has them in its manifest.
    pub attempts: Option<u32>,
    /// Deliveries after which a cluster's brokers end a record; `None`: nobody says.
    #[serde(default)]
    pub delivery_count_limit: Option<u32>,
    /// Acquisition lock, milliseconds; `None`: nobody says.
    pub lock_ms: Option<u64>,
    /// Where it began; `None`: nobody says.
    pub start: Option<Start>,
    /// Topic of its dead letters; `None` drops them, or nobody says.
    pub dead_letter: Option<String>,
    /// Members at work.
    pub member_list: Vec<Member>,
    /// By topic and number.
    pub share_partitions: Vec<SharePartitionView>,
    /// What is not known of it, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A member of a share group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Member id.
    pub id: String,
    /// Deployment that it belongs to, if it is one of this host.
    pub deployment: Option<String>,
    /// Records that it has leased; `None`: nobody says.
    pub acquired: Option<u64>,
    /// What it calls itself, in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where it connects from, as the cluster sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What it is assigned in a cluster, as `TOPIC/PARTITION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Vec<String>>,
}

/// One share partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharePartitionView {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// State epoch; a reset raises it. `None`: nobody says.
    pub state_epoch: Option<u32>,
    /// Oldest offset that is not settled; `None`: nothing was written of the group here yet.
    pub start_offset: Option<u64>,
    /// End of what has been acquired at some time; `None`: nobody says.
    pub end_offset: Option<u64>,
    /// Offset of the next record.
    pub log_end: u64,
    /// Records that may be acquired; `None`: nobody says.
    pub available: Option<u64>,
    /// Records that are leased; `None`: nobody says.
    pub acquired: Option<u64>,
    /// Records that wait for a due time; `None`: nobody says.
    pub parked: Option<u64>,
    /// Records that are not finished; `None`: a cluster does not count them.
    #[serde(default)]
    pub lag: Option<u64>,
    /// The offset that keeps the window from moving, if the window is full.
    pub pinned_by: Option<u64>,
    /// Why the next record cannot be read; nothing more is handed out until it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// State of a record in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordState {
    /// May be acquired.
    Available,
    /// Waits for its delay or renewal to be over.
    Parked,
    /// Leased by a member.
    Acquired,
    /// Accepted.
    Acknowledged,
    /// Rejected, given up or dropped.
    Archived,
    /// A member holds it, or it was never delivered: a cluster does not say which.
    Unknown,
    /// Below the start offset, its outcome no longer known.
    Finished,
}

impl RecordState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Parked => "parked",
            Self::Acquired => "acquired",
            Self::Acknowledged => "acknowledged",
            Self::Archived => "archived",
            Self::Unknown => "unknown",
            Self::Finished => "finished",
        }
    }
}

/// Which records to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsQuery {
    /// Only this topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Only this partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// Only these states; empty for all.
    #[serde(default)]
    pub states: Vec<RecordState>,
    /// From this offset on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// At most so many, 1 to 10,000.
    pub limit: u32,
}

/// One record as a group sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordView {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// State.
    pub state: RecordState,
    /// Attempts so far; `None`: not known.
    pub delivery_count: Option<u32>,
    /// Who leases it.
    pub member: Option<String>,
    /// Until its lease ends, milliseconds.
    pub lease_left_ms: Option<u64>,
    /// Until it is due, milliseconds.
    pub due_in_ms: Option<u64>,
    /// Times that its host died with it; `None`: not counted.
    pub strikes: Option<u32>,
    /// Size of its checkpoint.
    pub checkpoint_bytes: Option<u32>,
}

/// Some of a group's records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordsPage {
    /// By topic, partition and offset.
    pub records: Vec<RecordView>,
    /// Whether the limit left some out.
    pub more: bool,
}

/// Where a group is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// As a new group would begin.
    Start(Start),
    /// At this offset.
    Offset(u64),
}

/// Why a reset position could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetToError {
    /// Not a number behind `offset:`.
    #[error("offset \"{0}\" is not a whole number")]
    Offset(String),
    /// None of the forms.
    #[error("expected earliest, latest, by-duration:AGE or offset:NUMBER")]
    Form,
    /// The age cannot be read.
    #[error("the age {0}; write it as in by-duration:1h30m")]
    Age(UnitError),
}

impl FromStr for ResetTo {
    type Err = ResetToError;

    fn from_str(text: &str) -> Result<Self, ResetToError> {
        if let Some(offset) = text.strip_prefix("offset:") {
            return offset
                .parse()
                .map(Self::Offset)
                .map_err(|_| ResetToError::Offset(offset.to_owned()));
        }
        text.parse().map(Self::Start).map_err(|error| match error {
            StartError::Form(_) => ResetToError::Form,
            StartError::Age(age) => ResetToError::Age(age),
        })
    }
}

impl fmt::Display for ResetTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(start) => start.fmt(f),
            Self::Offset(offset) => write!(f, "offset:{offset}"),
        }
    }
}

impl Serialize for ResetTo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResetTo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// How a group is reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetGroup {
    /// Where to.
    pub to: ResetTo,
    /// Only this topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Only this partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// Even while a host works on it: pause, drain, reset, resume.
    #[serde(default)]
    pub force: bool,
}

/// What a reset did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetResult {
    /// By topic and number.
    pub partitions: Vec<ResetPartition>,
    /// Retry topics of a cluster's group that were left as they are, since nobody named them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftAlone>,
}

/// A topic that a reset did not touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftAlone {
    /// Topic.
    pub topic: String,
    /// Records that wait there for the group; `None`: the cluster does not count them.
    pub records: Option<u64>,
}

/// What a reset did to one share partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetPartition {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Start offset before; `None`: there was none.
    pub from: Option<u64>,
    /// Start offset now.
    pub to: u64,
    /// State epoch now; `None`: nobody says.
    pub state_epoch: Option<u32>,
    /// Records that are to be delivered from there on.
    #[serde(default)]
    pub unsettled: u64,
    /// The topic does not keep what all its groups have settled.
    #[serde(default)]
    pub is_queue: bool,
}

/// Fails unless one of these partitions gets as far as an offset from which records are to be shown. The next record's counts.
pub(super) fn within(from: Option<u64>, ends: &[(&str, u32, u64)]) -> Result<(), AdminError> {
    let Some(from) = from.filter(|from| ends.iter().all(|(.., end)| end < from)) else {
        return Ok(());
    };
    let mut furthest = ends.iter().max_by_key(|(.., end)| *end).into_iter();
    let Some((topic, partition, end)) = furthest.next() else {
        return Ok(());
    };
    let message = format!("offset {from} is behind the end: {topic}/{partition} goes on to {end}");
    Err(AdminError::new(ErrorCode::Invalid, message).hint(format!("give --from {end} or less")))
}

/// How a group is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteGroup {
    /// Even with records that it has not settled.
    #[serde(default)]
    pub force: bool,
}

/// What went with a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDeleted {
    /// Share partitions.
    pub share_partitions: u32,
    /// Records that it had not settled; `None`: nobody says.
    pub unsettled: Option<u64>,
}

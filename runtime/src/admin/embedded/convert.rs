//! The engine's descriptions in the words of the admin interface, and errors with their ways out. Pure conversions.

use std::time::Duration;

use bytes::Bytes;
use share_engine::catalog::CatalogError;
use share_engine::config as engine_config;
use share_engine::engine::describe::{GroupDescription, RecordInfo, ShareDescription, TopicDescription};
use share_engine::error::{AdminError as EngineError, ProduceError};
use share_engine::record::{self, NewRecord};
use share_engine::time::WallTime;

use crate::admin::{
    AdminError, CreateTopic, ErrorCode, GroupDetail, GroupSummary, Member, PartitionView, Record, RecordState,
    RecordView, SharePartitionView, TopicDetail, TopicGroup, TopicSummary,
};
use crate::config::{self, OnFull, Retention, Start, TopicSettings};

pub(in crate::admin) fn topic_summary(topic: &TopicDescription) -> TopicSummary {
    TopicSummary {
        name: topic.name.clone(),
        partitions: topic.config.partitions,
        records: Some(topic.partitions.iter().map(|one| one.end - one.start).sum()),
        bytes: Some(topic.bytes),
        max_bytes: topic.config.max_bytes,
        on_full: Some(match topic.config.on_full {
            engine_config::OnFull::Refuse => OnFull::Refuse,
            engine_config::OnFull::DropOldest => OnFull::DropOldest,
        }),
        retention: Some(retention(topic.config.retention)),
        groups: Some(u32::try_from(topic.groups.len()).unwrap_or(u32::MAX)),
    }
}

pub(super) fn topic_detail(topic: &TopicDescription, group_list: Vec<TopicGroup>) -> TopicDetail {
    let partition = |one: &share_engine::engine::describe::PartitionDescription| PartitionView {
        partition: one.partition,
        log_start: one.start,
        log_end: one.end,
        bytes: Some(one.memory_bytes.max(one.log_bytes)),
        segments: Some(u32::try_from(one.segments).unwrap_or(u32::MAX)),
        brokers: None,
        failure: one.failure.clone(),
    };
    TopicDetail {
        summary: topic_summary(topic),
        segment_bytes: Some(topic.segment_bytes),
        partition_list: topic.partitions.iter().map(partition).collect(),
        group_list,
    }
}

pub(super) fn retention(retention: engine_config::Retention) -> Retention {
    match retention {
        engine_config::Retention::Queue => Retention::Queue,
        engine_config::Retention::Bounded {
            millis: None,
            bytes: None,
        } => Retention::Forever,
        engine_config::Retention::Bounded { millis, bytes } => Retention::Limited {
            time: millis.map(Duration::from_millis),
            size: bytes,
        },
    }
}

/// What to do about a log that cannot be read.
pub(super) const VERIFY: &str = "stop the host and run sharemill verify: it names every damaged place";

/// A topic that is to be made, under the manifest's rules.
pub(super) fn topic_config(request: &CreateTopic) -> Result<engine_config::TopicConfig, AdminError> {
    let settings = TopicSettings {
        partitions: Some(request.partitions),
        retention: request.retention,
        max_bytes: request.max_bytes,
        on_full: request.on_full,
        segment_bytes: request.segment_bytes,
    };
    match config::topic(&request.name, &settings) {
        Ok(topic) => Ok(crate::host::topic_config(&topic)),
        Err(error) => {
            let refused = AdminError::new(ErrorCode::Invalid, error.message);
            Err(match error.hint {
                Some(hint) => refused.hint(hint),
                None => refused,
            })
        }
    }
}

pub(in crate::admin) fn group_summary(group: &GroupDescription) -> GroupSummary {
    let mut topics: Vec<String> = group.partitions.iter().map(|share| share.topic.clone()).collect();
    topics.dedup();
    let sum = |field: fn(&ShareDescription) -> u64| group.partitions.iter().map(field).sum();
    GroupSummary {
        name: group.name.clone(),
        topics,
        members: u32::try_from(group.members).unwrap_or(u32::MAX),
        available: Some(sum(|share| share.available + share.struck)),
        acquired: Some(sum(|share| share.acquired)),
        parked: Some(sum(|share| share.parked)),
        lag: Some(sum(|share| share.lag)),
    }
}

pub(super) fn group_detail(group: &GroupDescription, member_list: Vec<Member>) -> GroupDetail {
    GroupDetail {
        summary: group_summary(group),
        attempts: Some(u32::from(group.config.attempts)),
        delivery_count_limit: None,
        lock_ms: Some(u64::from(group.config.lock_millis)),
        start: Some(match group.config.start {
            engine_config::Start::Earliest => Start::Earliest,
            engine_config::Start::Latest => Start::Latest,
            engine_config::Start::ByDuration(millis) => Start::ByDuration(Duration::from_millis(millis)),
        }),
        dead_letter: group.config.dead_letter.clone(),
        member_list,
        share_partitions: group.partitions.iter().map(share_view).collect(),
        notes: Vec::new(),
    }
}

fn share_view(share: &ShareDescription) -> SharePartitionView {
    SharePartitionView {
        topic: share.topic.clone(),
        partition: share.partition,
        state_epoch: Some(share.epoch),
        start_offset: Some(share.start),
        end_offset: Some(share.end),
        log_end: share.log_end,
        available: Some(share.available + share.struck),
        acquired: Some(share.acquired),
        parked: Some(share.parked),
        lag: Some(share.lag),
        pinned_by: share.pinned_by,
        failure: share.failure.clone(),
    }
}

pub(super) fn record_view(topic: &str, partition: u32, info: &RecordInfo, member: Option<String>) -> RecordView {
    RecordView {
        topic: topic.to_owned(),
        partition,
        offset: info.offset,
        state: match info.state {
            "acquired" => RecordState::Acquired,
            "parked" => RecordState::Parked,
            "acknowledged" => RecordState::Acknowledged,
            "archived" => RecordState::Archived,
            _ => RecordState::Available,
        },
        delivery_count: Some(u32::from(info.delivery_count)),
        member,
        lease_left_ms: info.lease_millis,
        due_in_ms: info.due_millis,
        strikes: Some(u32::from(info.strikes)),
        checkpoint_bytes: u32::try_from(info.checkpoint_bytes).ok().filter(|bytes| *bytes > 0),
    }
}

pub(super) fn new_record(record: Record) -> NewRecord {
    let headers = record.headers.into_iter();
    NewRecord {
        key: record.key,
        value: record.value,
        headers: headers
            .map(|one| record::Header {
                name: Bytes::from(one.name),
                value: one.value,
            })
            .collect(),
        timestamp: record.timestamp.map(WallTime::from_millis),
    }
}

impl From<ProduceError> for AdminError {
    fn from(error: ProduceError) -> Self {
        let text = error.to_string();
        match error {
            ProduceError::UnknownTopic(_) => {
                Self::new(ErrorCode::NotFound, text).hint("sharemill topic list shows the topics there are")
            }
            ProduceError::UnknownPartition { .. } | ProduceError::Record(_) => Self::new(ErrorCode::Invalid, text),
            ProduceError::RecordTooLarge { .. } => {
                Self::new(ErrorCode::TooLarge, text).hint("keep what is large in a file, and send where it lies")
            }
            ProduceError::EntryTooLarge { .. } => {
                Self::new(ErrorCode::TooLarge, text).hint("send fewer or smaller records at once")
            }
            ProduceError::TopicFull { .. } => Self::new(ErrorCode::Full, text).hint(
                "let its group catch up, raise max-bytes; its on-full in the manifest says what a full topic does",
            ),
            ProduceError::JournalFull { .. } => Self::new(ErrorCode::Full, text)
                .hint("try again in a moment; if it stays, free disk space or raise journal-size"),
            _ => Self::new(ErrorCode::Unavailable, text),
        }
    }
}

impl From<EngineError> for AdminError {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::Catalog(CatalogError::UnknownTopic(_)) => {
                Self::new(ErrorCode::NotFound, text).hint("sharemill topic list shows the topics there are")
            }
            EngineError::Catalog(CatalogError::UnknownGroup(_)) => {
                Self::new(ErrorCode::NotFound, text).hint("sharemill group list shows the groups there are")
            }
            EngineError::Catalog(CatalogError::TopicExists(_) | CatalogError::GroupExists(_)) => {
                Self::new(ErrorCode::Exists, text)
            }
            EngineError::Catalog(CatalogError::TopicInUse { .. }) => Self::new(ErrorCode::Conflict, text)
                .hint("delete the group first, or give it another dead-letter topic"),
            EngineError::Catalog(_) => Self::new(ErrorCode::Invalid, text),
            EngineError::GroupRunning { .. } => {
                Self::new(ErrorCode::Conflict, text).hint("stop the host first; --force pauses it for a reset")
            }
            EngineError::GroupUnsettled { unsettled, .. } => {
                let left = unsettled.all() - unsettled.dropped;
                let hint = match (unsettled.dropped, left) {
                    (0, _) => "--force deletes it; its records stay in their topics for other groups".to_owned(),
                    (dropped, 0) => format!("--force deletes it, and {dropped} of them are lost"),
                    (dropped, left) => {
                        format!("--force deletes it, and {dropped} of them are lost; {left} stay for other groups")
                    }
                };
                Self::new(ErrorCode::Conflict, text).hint(hint)
            }
            EngineError::Log(_) | EngineError::Unreadable { .. } => {
                Self::new(ErrorCode::Unavailable, text).hint(VERIFY)
            }
            EngineError::NotSubscribed { group, .. } => Self::new(ErrorCode::NotFound, text)
                .hint(format!("sharemill group describe {group} shows what it reads")),
            EngineError::UnknownPartition { topic, .. } => Self::new(ErrorCode::NotFound, text)
                .hint(format!("sharemill topic describe {topic} shows its partitions")),
            EngineError::NoDeadLetter { .. } => Self::new(ErrorCode::NotFound, text),
            _ => Self::new(ErrorCode::Unavailable, text),
        }
    }
}

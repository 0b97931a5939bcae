//! `DescribeShareGroupOffsets` (90), versions 0 and 1: where the share partitions of a group start, and how much is left.

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use crate::call::{Api, Call};
use crate::error::WireError;
use crate::reader::Reader;
use crate::writer::Writer;

/// Asks for the offsets of groups; goes to their coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeShareGroupOffsetsRequest {
    /// By group.
    pub groups: Vec<GroupTopics>,
}

/// A group in a [`DescribeShareGroupOffsetsRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTopics {
    /// The share group.
    pub group_id: String,
    /// `None`: all that the group has.
    pub topics: Option<Vec<TopicPartitions>>,
}

/// A topic in a [`DescribeShareGroupOffsetsRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitions {
    /// Its name.
    pub topic: String,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

/// The offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeShareGroupOffsetsResponse {
    /// Milliseconds for which the broker was, or wants to be, left alone.
    pub throttle_time_ms: i32,
    /// By group.
    pub groups: Vec<GroupOffsets>,
}

/// A group in a [`DescribeShareGroupOffsetsResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffsets {
    /// The share group.
    pub group_id: String,
    /// By topic.
    pub topics: Vec<TopicOffsets>,
    /// 0 if it is none.
    pub error_code: i16,
    /// What the broker says of it.
    pub error_message: Option<String>,
}

/// A topic in a [`DescribeShareGroupOffsetsResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicOffsets {
    /// Its name.
    pub topic: String,
    /// Its id; zeros if there is no such topic.
    pub topic_id: Uuid,
    /// By partition.
    pub partitions: Vec<PartitionOffset>,
}

/// A partition in a [`DescribeShareGroupOffsetsResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOffset {
    /// Its number.
    pub partition: i32,
    /// The share-partition start offset; -1 before anything was written of its state.
    pub start_offset: i64,
    /// Of the partition's leader.
    pub leader_epoch: i32,
    /// Records that are not done; -1 if that is not known. From version 1 on; -1 before.
    pub lag: i64,
    /// 0 if it is none.
    pub error_code: i16,
    /// What the broker says of it.
    pub error_message: Option<String>,
}

impl DescribeShareGroupOffsetsRequest {
    /// Reads a whole request without its header; the same in both versions.
    pub fn parse(version: i16, bytes: Bytes) -> Result<Self, WireError> {
        Self::check_version(version)?;
        let from = &mut Reader::new("DescribeShareGroupOffsets request", bytes);
        let groups = from.list("Groups", 3, |from| {
            let group_id = from.string("GroupId")?;
            let at = from.at();
            let topics = match from.compact_len("Topics")? {
                None => None,
                Some(claimed) => {
                    let count = from.count("Topics", at, claimed, 3)?;
                    let topics = (0..count).map(|_| {
                        let topic = TopicPartitions {
                            topic: from.string("TopicName")?,
                            partitions: from.list("Partitions", 4, |from| from.i32("Partitions"))?,
                        };
                        from.no_tags()?;
                        Ok(topic)
                    });
                    Some(topics.collect::<Result<_, WireError>>()?)
                }
            };
            from.no_tags()?;
            Ok(GroupTopics { group_id, topics })
        })?;
        from.no_tags()?;
        from.finish()?;
        Ok(Self { groups })
    }
}

impl Call for DescribeShareGroupOffsetsRequest {
    const API: Api = Api {
        key: 90,
        name: "DescribeShareGroupOffsets",
    };
    const VERSIONS: (i16, i16) = (0, 1);
    const FLEXIBLE: i16 = 0;
    type Response = DescribeShareGroupOffsetsResponse;

    fn put(&self, version: i16, out: &mut BytesMut) -> Result<(), WireError> {
        Self::check_version(version)?;
        let out = &mut Writer(out);
        out.list(&self.groups, |out, group| {
            out.string(&group.group_id);
            match &group.topics {
                None => out.uvarint(0),
                Some(topics) => out.list(topics, |out, topic| {
                    out.string(&topic.topic);
                    out.list(&topic.partitions, |out, one| out.i32(*one));
                    out.no_tags();
                }),
            }
            out.no_tags();
        });
        out.no_tags();
        Ok(())
    }

    fn take(version: i16, bytes: Bytes) -> Result<DescribeShareGroupOffsetsResponse, WireError> {
        Self::check_version(version)?;
        let from = &mut Reader::new("DescribeShareGroupOffsets response", bytes);
        let response = DescribeShareGroupOffsetsResponse {
            throttle_time_ms: from.i32("ThrottleTimeMs")?,
            groups: from.list("Groups", 6, |from| {
                let group = GroupOffsets {
                    group_id: from.string("GroupId")?,
                    topics: from.list("Topics", 19, |from| TopicOffsets::take(from, version))?,
                    error_code: from.i16("ErrorCode")?,
                    error_message: from.compact_string("ErrorMessage")?,
                };
                from.no_tags()?;
                Ok(group)
            })?,
        };
        from.no_tags()?;
        from.finish()?;
        Ok(response)
    }
}

impl TopicOffsets {
    fn take(from: &mut Reader, version: i16) -> Result<Self, WireError> {
        let topic = Self {
            topic: from.string("TopicName")?,
            topic_id: from.uuid("TopicId")?,
            partitions: from.list("Partitions", if version >= 1 { 28 } else { 20 }, |from| {
                let partition = PartitionOffset {
                    partition: from.i32("PartitionIndex")?,
                    start_offset: from.i64("StartOffset")?,
                    leader_epoch: from.i32("LeaderEpoch")?,
                    lag: if version >= 1 { from.i64("Lag")? } else { -1 },
                    error_code: from.i16("ErrorCode")?,
                    error_message: from.compact_string("ErrorMessage")?,
                };
                from.no_tags()?;
                Ok(partition)
            })?,
        };
        from.no_tags()?;
        Ok(topic)
    }
}

impl DescribeShareGroupOffsetsResponse {
    /// Writes the response without its header. The version is 0 or 1.
    pub fn put(&self, version: i16, out: &mut BytesMut) {
        let out = &mut Writer(out);
        out.i32(self.throttle_time_ms);
        out.list(&self.groups, |out, group| {
            out.string(&group.group_id);
            out.list(&group.topics, |out, topic| {
                out.string(&topic.topic);
                out.uuid(topic.topic_id);
                out.list(&topic.partitions, |out, one| {
                    out.i32(one.partition);
                    out.i64(one.start_offset);
                    out.i32(one.leader_epoch);
                    if version >= 1 {
                        out.i64(one.lag);
                    }
                    out.i16(one.error_code);
                    out.nullable(one.error_message.as_deref());
                    out.no_tags();
                });
                out.no_tags();
            });
            out.i16(group.error_code);
            out.nullable(group.error_message.as_deref());
            out.no_tags();
        });
        out.no_tags();
    }
}

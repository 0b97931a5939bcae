//! `ShareAcknowledge` (79), versions 1 and 2: acknowledges without fetching.

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::{AcknowledgementBatch, CurrentLeader, NodeEndpoint, TOPIC_LEAST, put_topic, take_topic};
use crate::call::{Api, Call};
use crate::error::WireError;
use crate::reader::Reader;
use crate::writer::Writer;

/// Acknowledges records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareAcknowledgeRequest {
    /// The share group.
    pub group_id: Option<String>,
    /// The member, by the id that it gave itself: 1 to 36 characters.
    pub member_id: Option<String>,
    /// -1 closes the session; else one more than in the request before, of either kind. Never 0.
    pub session_epoch: i32,
    /// Some of the acknowledgements are renewals. From version 2 on.
    pub is_renew_ack: bool,
    /// By topic.
    pub topics: Vec<AcknowledgeTopic>,
}

/// A topic in a [`ShareAcknowledgeRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcknowledgeTopic {
    /// Its id.
    pub topic_id: Uuid,
    /// Some of its partitions.
    pub partitions: Vec<AcknowledgePartition>,
}

/// A partition in a [`ShareAcknowledgeRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcknowledgePartition {
    /// Its number.
    pub partition: i32,
    /// Ascending and disjoint.
    pub acknowledgements: Vec<AcknowledgementBatch>,
}

/// What became of acknowledgements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareAcknowledgeResponse {
    /// Milliseconds for which the broker was, or wants to be, left alone.
    pub throttle_time_ms: i32,
    /// Of the whole request; 0 if it is none.
    pub error_code: i16,
    /// What the broker says of it.
    pub error_message: Option<String>,
    /// Milliseconds for which records are acquired. From version 2 on; 0 before.
    pub acquisition_lock_timeout_ms: i32,
    /// By topic.
    pub topics: Vec<AcknowledgedTopic>,
    /// The leaders that are named in partitions.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// A topic in a [`ShareAcknowledgeResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcknowledgedTopic {
    /// Its id.
    pub topic_id: Uuid,
    /// Some of its partitions.
    pub partitions: Vec<AcknowledgedPartition>,
}

/// A partition in a [`ShareAcknowledgeResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcknowledgedPartition {
    /// Its number.
    pub partition: i32,
    /// 0 if all were applied; else none was.
    pub error_code: i16,
    /// What the broker says of it.
    pub error_message: Option<String>,
    /// Beside a leader error.
    pub current_leader: CurrentLeader,
}

impl ShareAcknowledgeRequest {
    /// Reads a whole request without its header.
    pub fn parse(version: i16, bytes: Bytes) -> Result<Self, WireError> {
        Self::check_version(version)?;
        let from = &mut Reader::new("ShareAcknowledge request", bytes);
        let request = Self {
            group_id: from.compact_string("GroupId")?,
            member_id: from.compact_string("MemberId")?,
            session_epoch: from.i32("ShareSessionEpoch")?,
            is_renew_ack: version >= 2 && from.bool("IsRenewAck")?,
            topics: from.list("Topics", TOPIC_LEAST, |from| {
                let (topic_id, partitions) = take_topic(from, 6, |from| {
                    Ok(AcknowledgePartition {
                        partition: from.i32("PartitionIndex")?,
                        acknowledgements: from.list(
                            "AcknowledgementBatches",
                            AcknowledgementBatch::LEAST,
                            AcknowledgementBatch::take,
                        )?,
                    })
                })?;
                Ok(AcknowledgeTopic { topic_id, partitions })
            })?,
        };
        from.no_tags()?;
        from.finish()?;
        Ok(request)
    }
}

impl Call for ShareAcknowledgeRequest {
    const API: Api = Api {
        key: 79,
        name: "ShareAcknowledge",
    };
    const VERSIONS: (i16, i16) = (1, 2);
    const FLEXIBLE: i16 = 0;
    type Response = ShareAcknowledgeResponse;

    fn put(&self, version: i16, out: &mut BytesMut) -> Result<(), WireError> {
        Self::check_version(version)?;
        let out = &mut Writer(out);
        out.nullable(self.group_id.as_deref());
        out.nullable(self.member_id.as_deref());
        out.i32(self.session_epoch);
        if version >= 2 {
            out.bool(self.is_renew_ack);
        } else if self.is_renew_ack {
            return Err(WireError::Version {
                api: Self::API,
                version,
                least: 2,
                newest: 2,
            });
        }
        out.list(&self.topics, |out, topic| {
            put_topic(out, topic.topic_id, &topic.partitions, |out, one| {
                out.i32(one.partition);
                out.list(&one.acknowledgements, |out, batch| batch.put(out));
            });
        });
        out.no_tags();
        Ok(())
    }

    fn take(version: i16, bytes: Bytes) -> Result<ShareAcknowledgeResponse, WireError> {
        Self::check_version(version)?;
        let from = &mut Reader::new("ShareAcknowledge response", bytes);
        let response = ShareAcknowledgeResponse {
            throttle_time_ms: from.i32("ThrottleTimeMs")?,
            error_code: from.i16("ErrorCode")?,
            error_message: from.compact_string("ErrorMessage")?,
            acquisition_lock_timeout_ms: if version >= 2 {
                from.i32("AcquisitionLockTimeoutMs")?
            } else {
                0
            },
            topics: from.list("Responses", TOPIC_LEAST, |from| {
                let (topic_id, partitions) = take_topic(from, AcknowledgedPartition::LEAST, |from| {
                    Ok(AcknowledgedPartition {
                        partition: from.i32("PartitionIndex")?,
                        error_code: from.i16("ErrorCode")?,
                        error_message: from.compact_string("ErrorMessage")?,
                        current_leader: CurrentLeader::take(from)?,
                    })
                })?;
                Ok(AcknowledgedTopic { topic_id, partitions })
            })?,
            node_endpoints: from.list("NodeEndpoints", NodeEndpoint::LEAST, NodeEndpoint::take)?,
        };
        from.no_tags()?;
        from.finish()?;
        Ok(response)
    }
}

impl AcknowledgedPartition {
    const LEAST: usize = 17;
}

impl ShareAcknowledgeResponse {
    /// Writes the response without its header. The version is 1 or 2.
    pub fn put(&self, version: i16, out: &mut BytesMut) {
        let out = &mut Writer(out);
        out.i32(self.throttle_time_ms);
        out.i16(self.error_code);
        out.nullable(self.error_message.as_deref());
        if version >= 2 {
            out.i32(self.acquisition_lock_timeout_ms);
        }
        out.list(&self.topics, |out, topic| {
            put_topic(out, topic.topic_id, &topic.partitions, |out, one| {
                out.i32(one.partition);
                out.i16(one.error_code);
                out.nullable(one.error_message.as_deref());
                one.current_leader.put(out);
            });
        });
        out.list(&self.node_endpoints, |out, one| one.put(out));
        out.no_tags();
    }
}

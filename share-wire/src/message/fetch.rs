//! `ShareFetch` (78), versions 1 and 2: acquires records, and carries the acknowledgement of others.

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::{AcknowledgementBatch, CurrentLeader, NodeEndpoint, TOPIC_LEAST, put_topic, take_topic};
use crate::call::{Api, Call};
use crate::error::WireError;
use crate::reader::Reader;
use crate::writer::Writer;

/// Asks for records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareFetchRequest {
    /// The share group.
    pub group_id: Option<String>,
    /// The member, by the id that it gave itself: 1 to 36 characters.
    pub member_id: Option<String>,
    /// 0 opens a session, -1 closes it; else one more than in the request before, of either kind.
    pub session_epoch: i32,
    /// Milliseconds that the broker may wait for records.
    pub max_wait_ms: i32,
    /// Bytes worth waiting for.
    pub min_bytes: i32,
    /// Bytes at most, which a single batch may exceed.
    pub max_bytes: i32,
    /// Records at most; exceeded to the end of a batch in [`AcquireMode::BatchOptimized`].
    pub max_records: i32,
    /// Records that an acquired batch should have at most.
    pub batch_size: i32,
    /// From version 2 on; left out before.
    pub acquire_mode: AcquireMode,
    /// Some of the acknowledgements are renewals; then all limits have to be 0 and nothing is fetched. From version 2 on.
    pub is_renew_ack: bool,
    /// Partitions that the session gains, and those with acknowledgements.
    pub topics: Vec<FetchTopic>,
    /// Partitions that the session loses.
    pub forgotten: Vec<ForgottenTopic>,
}

/// How exactly a limit of records is kept (KIP-1206).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcquireMode {
    /// Whole batches: the limit may be exceeded.
    #[default]
    BatchOptimized,
    /// Never more than the limit.
    RecordLimit,
}

/// A topic in a [`ShareFetchRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTopic {
    /// Its id.
    pub topic_id: Uuid,
    /// Some of its partitions.
    pub partitions: Vec<FetchPartition>,
}

/// A partition in a [`ShareFetchRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// Its number.
    pub partition: i32,
    /// Ascending and disjoint.
    pub acknowledgements: Vec<AcknowledgementBatch>,
}

/// Partitions that a session loses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgottenTopic {
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partitions' numbers.
    pub partitions: Vec<i32>,
}

/// Records, and what became of acknowledgements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareFetchResponse {
    /// Milliseconds for which the broker was, or wants to be, left alone.
    pub throttle_time_ms: i32,
    /// Of the whole request; 0 if it is none.
    pub error_code: i16,
    /// What the broker says of it.
    pub error_message: Option<String>,
    /// Milliseconds for which records are acquired; 0 beside an error.
    pub acquisition_lock_timeout_ms: i32,
    /// By topic.
    pub topics: Vec<FetchedTopic>,
    /// The leaders that are named in partitions.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// A topic in a [`ShareFetchResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// Its id.
    pub topic_id: Uuid,
    /// Some of its partitions.
    pub partitions: Vec<FetchedPartition>,
}

/// A partition in a [`ShareFetchResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// Its number.
    pub partition: i32,
    /// Of the fetch; 0 if it is none.
    pub error_code: i16,
    /// What the broker says of it; 4.2 does not.
    pub error_message: Option<String>,
    /// Of the acknowledgements; 0 if all were applied.
    pub acknowledge_error_code: i16,
    /// What the broker says of it.
    pub acknowledge_error_message: Option<String>,
    /// Beside a leader error.
    pub current_leader: CurrentLeader,
    /// Record batches, some of which may hold records that were not acquired. Never null on the wire.
    pub records: Bytes,
    /// What was acquired: ascending and disjoint.
    pub acquired: Vec<Acquired>,
}

/// Offsets that were acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    /// The first offset.
    pub first_offset: i64,
    /// The last offset, inclusive. One without a record is to be acknowledged as a gap.
    pub last_offset: i64,
    /// How often they were delivered, this time included.
    pub delivery_count: i16,
}

impl ShareFetchRequest {
    /// Reads a whole request without its header.
    pub fn parse(version: i16, bytes: Bytes) -> Result<Self, WireError> {
        Self::check_version(version)?;
        let from = &mut Reader::new("ShareFetch request", bytes);
        let request = Self {
            group_id: from.compact_string("GroupId")?,
            member_id: from.compact_string("MemberId")?,
            session_epoch: from.i32("ShareSessionEpoch")?,
            max_wait_ms: from.i32("MaxWaitMs")?,
            min_bytes: from.i32("MinBytes")?,
            max_bytes: from.i32("MaxBytes")?,
            max_records: from.i32("MaxRecords")?,
            batch_size: from.i32("BatchSize")?,
            acquire_mode: if version >= 2 {
                let at = from.at();
                match from.i8("ShareAcquireMode")? {
                    0 => AcquireMode::BatchOptimized,
                    1 => AcquireMode::RecordLimit,
                    _ => return Err(from.invalid("ShareAcquireMode", at, "neither 0 nor 1")),
                }
            } else {
                AcquireMode::default()
            },
            is_renew_ack: version >= 2 && from.bool("IsRenewAck")?,
            topics: from.list("Topics", TOPIC_LEAST, |from| {
                let (topic_id, partitions) = take_topic(from, 6, |from| {
                    Ok(FetchPartition {
                        partition: from.i32("PartitionIndex")?,
                        acknowledgements: from.list(
                            "AcknowledgementBatches",
                            AcknowledgementBatch::LEAST,
                            AcknowledgementBatch::take,
                        )?,
                    })
                })?;
                Ok(FetchTopic { topic_id, partitions })
            })?,
            forgotten: from.list("ForgottenTopicsData", TOPIC_LEAST, |from| {
                let topic_id = from.uuid("TopicId")?;
                let partitions = from.list("Partitions", 4, |from| from.i32("Partitions"))?;
                from.no_tags()?;
                Ok(ForgottenTopic { topic_id, partitions })
            })?,
        };
        from.no_tags()?;
        from.finish()?;
        Ok(request)
    }
}

impl Call for ShareFetchRequest {
    const API: Api = Api {
        key: 78,
        name: "ShareFetch",
    };
    const VERSIONS: (i16, i16) = (1, 2);
    const FLEXIBLE: i16 = 0;
    type Response = ShareFetchResponse;

    fn put(&self, version: i16, out: &mut BytesMut) -> Result<(), WireError> {
        Self::check_version(version)?;
        let out = &mut Writer(out);
        out.nullable(self.group_id.as_deref());
        out.nullable(self.member_id.as_deref());
        out.i32(self.session_epoch);
        out.i32(self.max_wait_ms);
        out.i32(self.min_bytes);
        out.i32(self.max_bytes);
        out.i32(self.max_records);
        out.i32(self.batch_size);
        if version >= 2 {
            out.i8(match self.acquire_mode {
                AcquireMode::BatchOptimized => 0,
                AcquireMode::RecordLimit => 1,
            });
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
        out.list(&self.forgotten, |out, topic| {
            out.uuid(topic.topic_id);
            out.list(&topic.partitions, |out, one| out.i32(*one));
            out.no_tags();
        });
        out.no_tags();
        Ok(())
    }

    fn take(version: i16, bytes: Bytes) -> Result<ShareFetchResponse, WireError> {
        Self::check_version(version)?;
        let from = &mut Reader::new("ShareFetch response", bytes);
        let response = ShareFetchResponse {
            throttle_time_ms: from.i32("ThrottleTimeMs")?,
            error_code: from.i16("ErrorCode")?,
            error_message: from.compact_string("ErrorMessage")?,
            acquisition_lock_timeout_ms: from.i32("AcquisitionLockTimeoutMs")?,
            topics: from.list("Responses", TOPIC_LEAST, |from| {
                let (topic_id, partitions) = take_topic(from, FetchedPartition::LEAST, FetchedPartition::take)?;
                Ok(FetchedTopic { topic_id, partitions })
            })?,
            node_endpoints: from.list("NodeEndpoints", NodeEndpoint::LEAST, NodeEndpoint::take)?,
        };
        from.no_tags()?;
        from.finish()?;
        Ok(response)
    }
}

impl ShareFetchResponse {
    /// Writes the response without its header; the same in both versions.
    pub fn put(&self, out: &mut BytesMut) {
        let out = &mut Writer(out);
        out.i32(self.throttle_time_ms);
        out.i16(self.error_code);
        out.nullable(self.error_message.as_deref());
        out.i32(self.acquisition_lock_timeout_ms);
        out.list(&self.topics, |out, topic| {
            put_topic(out, topic.topic_id, &topic.partitions, |out, one| one.put(out));
        });
        out.list(&self.node_endpoints, |out, one| one.put(out));
        out.no_tags();
    }
}

impl FetchedPartition {
    const LEAST: usize = 22;

    fn put(&self, out: &mut Writer<'_>) {
        out.i32(self.partition);
        out.i16(self.error_code);
        out.nullable(self.error_message.as_deref());
        out.i16(self.acknowledge_error_code);
        out.nullable(self.acknowledge_error_message.as_deref());
        self.current_leader.put(out);
        out.bytes(&self.records);
        out.list(&self.acquired, |out, one| {
            out.i64(one.first_offset);
            out.i64(one.last_offset);
            out.i16(one.delivery_count);
            out.no_tags();
        });
    }

    fn take(from: &mut Reader) -> Result<Self, WireError> {
        Ok(Self {
            partition: from.i32("PartitionIndex")?,
            error_code: from.i16("ErrorCode")?,
            error_message: from.compact_string("ErrorMessage")?,
            acknowledge_error_code: from.i16("AcknowledgeErrorCode")?,
            acknowledge_error_message: from.compact_string("AcknowledgeErrorMessage")?,
            current_leader: CurrentLeader::take(from)?,
            records: {
                let at = from.at();
                from.compact_bytes("Records")?.ok_or_else(|| from.null("Records", at))?
            },
            acquired: from.list("AcquiredRecords", 19, |from| {
                let acquired = Acquired {
                    first_offset: from.i64("FirstOffset")?,
                    last_offset: from.i64("LastOffset")?,
                    delivery_count: from.i16("DeliveryCount")?,
                };
                from.no_tags()?;
                Ok(acquired)
            })?,
        })
    }
}

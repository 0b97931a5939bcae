//! The messages that the `kafka-protocol` crate has not in their newest version: the four of a share session, and the offsets of a
//! share group. Both directions of each.

mod acknowledge;
mod fetch;
mod group_offsets;

use uuid::Uuid;

use crate::error::WireError;
use crate::reader::Reader;
use crate::writer::Writer;

pub use acknowledge::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgedPartition, AcknowledgedTopic, ShareAcknowledgeRequest,
    ShareAcknowledgeResponse,
};
pub use fetch::{
    AcquireMode, Acquired, FetchPartition, FetchTopic, FetchedPartition, FetchedTopic, ForgottenTopic,
    ShareFetchRequest, ShareFetchResponse,
};
pub use group_offsets::{
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse, GroupOffsets, GroupTopics, PartitionOffset,
    TopicOffsets, TopicPartitions,
};

/// What becomes of acquired offsets, as `AcknowledgeTypes` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum AcknowledgeType {
    /// There is no record at this offset.
    Gap = 0,
    /// Processed.
    Accept = 1,
    /// Available again.
    Release = 2,
    /// Archived.
    Reject = 3,
    /// Acquired for longer (KIP-1222). From version 2 on, and only where the request says `is_renew_ack`.
    Renew = 4,
}

impl AcknowledgeType {
    /// What this number means.
    pub const fn of(number: i8) -> Option<Self> {
        Some(match number {
            0 => Self::Gap,
            1 => Self::Accept,
            2 => Self::Release,
            3 => Self::Reject,
            4 => Self::Renew,
            _ => return None,
        })
    }
}

/// Offsets that are acknowledged together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcknowledgementBatch {
    /// The first offset.
    pub first_offset: i64,
    /// The last offset, inclusive.
    pub last_offset: i64,
    /// One for all of them, or one for each: [`AcknowledgeType`] as numbers.
    pub types: Vec<i8>,
}

/// Who leads a partition, where that is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CurrentLeader {
    /// The broker; -1 if it is not known. Means something beside a leader error only.
    pub leader_id: i32,
    /// -1 if it is not known.
    pub leader_epoch: i32,
}

/// Where a leader can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// The broker.
    pub node_id: i32,
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Its rack.
    pub rack: Option<String>,
}

impl AcknowledgementBatch {
    const LEAST: usize = 18;

    fn put(&self, out: &mut Writer<'_>) {
        out.i64(self.first_offset);
        out.i64(self.last_offset);
        out.list(&self.types, |out, one| out.i8(*one));
        out.no_tags();
    }

    fn take(from: &mut Reader) -> Result<Self, WireError> {
        let batch = Self {
            first_offset: from.i64("FirstOffset")?,
            last_offset: from.i64("LastOffset")?,
            types: from.list("AcknowledgeTypes", 1, |from| from.i8("AcknowledgeTypes"))?,
        };
        from.no_tags()?;
        Ok(batch)
    }
}

impl CurrentLeader {
    fn put(self, out: &mut Writer<'_>) {
        out.i32(self.leader_id);
        out.i32(self.leader_epoch);
        out.no_tags();
    }

    fn take(from: &mut Reader) -> Result<Self, WireError> {
        let leader = Self {
            leader_id: from.i32("LeaderId")?,
            leader_epoch: from.i32("LeaderEpoch")?,
        };
        from.no_tags()?;
        Ok(leader)
    }
}

impl NodeEndpoint {
    const LEAST: usize = 11;

    fn put(&self, out: &mut Writer<'_>) {
        out.i32(self.node_id);
        out.string(&self.host);
        out.i32(self.port);
        out.nullable(self.rack.as_deref());
        out.no_tags();
    }

    fn take(from: &mut Reader) -> Result<Self, WireError> {
        let endpoint = Self {
            node_id: from.i32("NodeId")?,
            host: from.string("Host")?,
            port: from.i32("Port")?,
            rack: from.compact_string("Rack")?,
        };
        from.no_tags()?;
        Ok(endpoint)
    }
}

/// A topic id and what is said of some of its partitions: the shape of most lists in these messages.
fn put_topic<T>(out: &mut Writer<'_>, id: Uuid, partitions: &[T], partition: impl FnMut(&mut Writer<'_>, &T)) {
    out.uuid(id);
    let mut partition = partition;
    out.list(partitions, |out, one| {
        partition(out, one);
        out.no_tags();
    });
    out.no_tags();
}

fn take_topic<T>(
    from: &mut Reader,
    least: usize,
    mut partition: impl FnMut(&mut Reader) -> Result<T, WireError>,
) -> Result<(Uuid, Vec<T>), WireError> {
    let id = from.uuid("TopicId")?;
    let partitions = from.list("Partitions", least, |from| {
        let one = partition(from)?;
        from.no_tags()?;
        Ok(one)
    })?;
    from.no_tags()?;
    Ok((id, partitions))
}

/// The fewest bytes that a topic takes.
const TOPIC_LEAST: usize = 18;

#[cfg(test)]
mod tests;

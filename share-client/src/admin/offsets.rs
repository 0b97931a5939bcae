//! Where partitions begin and end: asked of their leaders.

use std::collections::BTreeMap;
use std::ops::Range;

use share_wire::kafka::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use share_wire::kafka::{BrokerId, ListOffsetsRequest, TopicName};

use super::Admin;
use super::ask::text;
use super::error::{AdminError, Operation, Question, Resource};
use super::topics::Topic;

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The first record that is there.
    Earliest,
    /// After the last one; with [`Isolation::Committed`] before the first that is part of an open transaction.
    Latest,
    /// The first record whose time is not before this one, in milliseconds since 1970.
    Timestamp(i64),
}

/// Whether records of transactions count before they are committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// They count: `read_uncommitted`, Kafka's default.
    #[default]
    Uncommitted,
    /// Only committed ones: `read_committed`.
    Committed,
}

/// What [`Admin::offsets`] found in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// `None`: there is no record so late.
    pub offset: Option<u64>,
    /// That of the record, in milliseconds since 1970, where a time was asked for.
    pub timestamp: Option<i64>,
}

impl Admin {
    /// The place in each partition of a topic.
    pub async fn offsets(
        &self,
        topic: &str,
        at: At,
        isolation: Isolation,
    ) -> Result<BTreeMap<i32, Offset>, AdminError> {
        self.asker.patiently(|| self.offsets_once(topic, at, isolation)).await
    }

    async fn offsets_once(
        &self,
        topic: &str,
        at: At,
        isolation: Isolation,
    ) -> Result<BTreeMap<i32, Offset>, AdminError> {
        let topic = self.topic_once(topic).await?;
        let all: Vec<i32> = topic.partitions.iter().map(|one| one.partition).collect();
        self.offsets_of(&topic, &all, at, isolation).await
    }

    /// From the first offset that is there to the one after the last, in each partition of a topic that somebody leads.
    pub async fn spans(&self, topic: &str) -> Result<BTreeMap<i32, Range<u64>>, AdminError> {
        self.asker.patiently(|| self.spans_once(topic)).await
    }

    async fn spans_once(&self, topic: &str) -> Result<BTreeMap<i32, Range<u64>>, AdminError> {
        let topic = self.topic_once(topic).await?;
        let led = topic.partitions.iter().filter(|one| one.leader.is_some());
        let led: Vec<i32> = led.map(|one| one.partition).collect();
        let starts = self
            .offsets_of(&topic, &led, At::Earliest, Isolation::Uncommitted)
            .await?;
        let ends = self
            .offsets_of(&topic, &led, At::Latest, Isolation::Uncommitted)
            .await?;
        let span = |(partition, start): (i32, Offset)| {
            let start = start.offset?;
            // Between the two questions the beginning may have been cut off.
            let end = ends.get(&partition)?.offset?.max(start);
            Some((partition, start..end))
        };
        Ok(starts.into_iter().filter_map(span).collect())
    }

    /// The place in some partitions of a topic, without asking anew who leads them.
    pub(super) async fn offsets_of(
        &self,
        topic: &Topic,
        wanted: &[i32],
        at: At,
        isolation: Isolation,
    ) -> Result<BTreeMap<i32, Offset>, AdminError> {
        let question = Question::new("ListOffsets", Operation::Describe, Resource::Topic(topic.name.clone()));
        let mut found = BTreeMap::new();
        for (leader, partitions) in by_leader(topic, wanted)? {
            let Some(place) = self.asker.address_of(leader).await? else {
                let partition = partitions.first().copied().unwrap_or(0);
                return Err(no_leader(topic, partition));
            };
            let request = request(&topic.name, &partitions, at, isolation);
            let response = self.asker.ask(&place, &request, None).await;
            let response = response.map_err(|source| question.net(source))?;
            for row in response.topics.iter().flat_map(|topic| &topic.partitions) {
                self.asker.check(&question, &place, row.error_code, None)?;
                let offset = u64::try_from(row.offset).ok();
                let timestamp = (row.timestamp >= 0).then_some(row.timestamp);
                found.insert(row.partition_index, Offset { offset, timestamp });
            }
            if !partitions.iter().all(|partition| found.contains_key(partition)) {
                return Err(question.no_word(&place));
            }
        }
        Ok(found)
    }
}

/// Some partitions of a topic by who leads them.
fn by_leader(topic: &Topic, wanted: &[i32]) -> Result<BTreeMap<i32, Vec<i32>>, AdminError> {
    let mut leaders: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for one in topic.partitions.iter().filter(|one| wanted.contains(&one.partition)) {
        let leader = one.leader.ok_or_else(|| no_leader(topic, one.partition))?;
        leaders.entry(leader).or_default().push(one.partition);
    }
    Ok(leaders)
}

fn no_leader(topic: &Topic, partition: i32) -> AdminError {
    AdminError::NoLeader {
        topic: topic.name.clone(),
        partition,
    }
}

fn request(topic: &str, partitions: &[i32], at: At, isolation: Isolation) -> ListOffsetsRequest {
    let timestamp = match at {
        At::Earliest => -2,
        At::Latest => -1,
        // What is below 0 has other meanings.
        At::Timestamp(time) => time.max(0),
    };
    let partition = |partition: &i32| {
        ListOffsetsPartition::default()
            .with_partition_index(*partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp)
    };
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(partitions.iter().map(partition).collect());
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(isolation.level())
        .with_topics(vec![topic])
}

impl Isolation {
    /// As Kafka's settings name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uncommitted => "read_uncommitted",
            Self::Committed => "read_committed",
        }
    }

    /// Reads one of Kafka's names.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Uncommitted, Self::Committed]
            .into_iter()
            .find(|isolation| isolation.name().eq_ignore_ascii_case(name))
    }

    pub(super) const fn level(self) -> i8 {
        match self {
            Self::Uncommitted => 0,
            Self::Committed => 1,
        }
    }
}

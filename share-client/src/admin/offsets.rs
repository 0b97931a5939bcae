//! Where partitions begin and end: asked of their leaders.

use std::collections::BTreeMap;
use std::ops::Range;
use std::slice;

use share_wire::kafka::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use share_wire::kafka::{BrokerId, ListOffsetsRequest, TopicName};

use super::Admin;
use super::ask::text;
use super::error::AdminError;
use super::topics::{Topic, of_topic};
use crate::tools::Operation;

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
        self.offsets_of(&topic, all, at, isolation).await
    }

    /// From the first offset that is there to the one after the last, in each partition of a topic that somebody leads.
    pub async fn spans(&self, topic: &str) -> Result<BTreeMap<i32, Range<u64>>, AdminError> {
        self.asker.patiently(|| self.spans_once(topic)).await
    }

    async fn spans_once(&self, topic: &str) -> Result<BTreeMap<i32, Range<u64>>, AdminError> {
        let topic = self.topic_once(topic).await?;
        let spans = self.spans_of(slice::from_ref(&topic)).await?;
        Ok(spans.into_iter().next().unwrap_or_default())
    }

    /// All topics but Kafka's own that the principal may know of, by name, each with its [spans](Self::spans): each leader is asked twice,
    /// however many topics there are.
    pub async fn topics_with_spans(&self) -> Result<Vec<(Topic, BTreeMap<i32, Range<u64>>)>, AdminError> {
        self.asker.patiently(|| self.topics_with_spans_once()).await
    }

    async fn topics_with_spans_once(&self) -> Result<Vec<(Topic, BTreeMap<i32, Range<u64>>)>, AdminError> {
        let mut topics = self.topics_once().await?;
        topics.retain(|topic| !topic.internal);
        let spans = self.spans_of(&topics).await?;
        Ok(topics.into_iter().zip(spans).collect())
    }

    /// One for each topic.
    async fn spans_of(&self, topics: &[Topic]) -> Result<Vec<BTreeMap<i32, Range<u64>>>, AdminError> {
        let mut wanted = Vec::new();
        for topic in topics {
            let led = topic.partitions.iter().filter(|one| one.leader.is_some());
            wanted.push((topic, led.map(|one| one.partition).collect::<Vec<i32>>()));
        }
        let starts = self.offsets_in(&wanted, At::Earliest, Isolation::Uncommitted).await?;
        let ends = self.offsets_in(&wanted, At::Latest, Isolation::Uncommitted).await?;
        let span = |topic: &Topic, partition: i32| {
            let place = (topic.name.clone(), partition);
            let start = starts.get(&place)?.offset?;
            // Between the two questions the beginning may have been cut off.
            let end = ends.get(&place)?.offset?.max(start);
            Some((partition, start..end))
        };
        let spans = |(topic, led): &(&Topic, Vec<i32>)| led.iter().filter_map(|one| span(topic, *one)).collect();
        Ok(wanted.iter().map(spans).collect())
    }

    /// The place in some partitions of a topic, without asking anew who leads them.
    pub(super) async fn offsets_of(
        &self,
        topic: &Topic,
        wanted: Vec<i32>,
        at: At,
        isolation: Isolation,
    ) -> Result<BTreeMap<i32, Offset>, AdminError> {
        let found = self.offsets_in(&[(topic, wanted)], at, isolation).await?;
        let by_partition = found.into_iter().map(|((_, partition), offset)| (partition, offset));
        Ok(by_partition.collect())
    }

    /// The place in some partitions of topics: each leader is asked once.
    async fn offsets_in(
        &self,
        wanted: &[(&Topic, Vec<i32>)],
        at: At,
        isolation: Isolation,
    ) -> Result<BTreeMap<(String, i32), Offset>, AdminError> {
        let question = |topic: &str| of_topic("ListOffsets", Operation::Describe, topic);
        let mut found = BTreeMap::new();
        for (leader, partitions) in by_leader(wanted)? {
            let (first, partition) = partitions.first().copied().unwrap_or_default();
            let Some(place) = self.asker.address_of(leader).await? else {
                return Err(no_leader(first, partition));
            };
            let request = request(&partitions, at, isolation);
            let response = self.asker.ask(&place, &request, None).await;
            // One of those that it was asked about.
            let response = response.map_err(|source| question(first).net(source))?;
            for topic in &response.topics {
                for row in &topic.partitions {
                    self.asker.check(&question(&topic.name), &place, row.error_code, None)?;
                    let offset = u64::try_from(row.offset).ok();
                    let timestamp = (row.timestamp >= 0).then_some(row.timestamp);
                    let key = (topic.name.to_string(), row.partition_index);
                    found.insert(key, Offset { offset, timestamp });
                }
            }
            let is_there = |topic: &str, partition: i32| found.contains_key(&(topic.to_owned(), partition));
            if let Some((topic, _)) = partitions.iter().find(|(topic, one)| !is_there(topic, *one)) {
                return Err(question(topic).no_word(&place));
            }
        }
        Ok(found)
    }
}

/// Partitions with their topics' names by who leads them.
type Leaders<'t> = BTreeMap<i32, Vec<(&'t str, i32)>>;

fn by_leader<'t>(wanted: &[(&'t Topic, Vec<i32>)]) -> Result<Leaders<'t>, AdminError> {
    let mut leaders = Leaders::new();
    for (topic, wanted) in wanted {
        for one in topic.partitions.iter().filter(|one| wanted.contains(&one.partition)) {
            let leader = one.leader.ok_or_else(|| no_leader(&topic.name, one.partition))?;
            leaders.entry(leader).or_default().push((&topic.name, one.partition));
        }
    }
    Ok(leaders)
}

fn no_leader(topic: &str, partition: i32) -> AdminError {
    AdminError::NoLeader {
        topic: topic.to_owned(),
        partition,
    }
}

fn request(partitions: &[(&str, i32)], at: At, isolation: Isolation) -> ListOffsetsRequest {
    let timestamp = match at {
        At::Earliest => -2,
        At::Latest => -1,
        // What is below 0 has other meanings.
        At::Timestamp(time) => time.max(0),
    };
    let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (topic, partition) in partitions {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(*partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp);
        topics.entry(topic).or_default().push(partition);
    }
    let topic = |(name, partitions)| {
        ListOffsetsTopic::default()
            .with_name(TopicName(text(name)))
            .with_partitions(partitions)
    };
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(isolation.level())
        .with_topics(topics.into_iter().map(topic).collect())
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

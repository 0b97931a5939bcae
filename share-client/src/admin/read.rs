//! Records by their offsets, for who wants to look at them: nothing is acquired, no group is concerned.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use share_wire::Bytes;
use share_wire::kafka::fetch_request::{FetchPartition, FetchTopic};
use share_wire::kafka::fetch_response::PartitionData;
use share_wire::kafka::{BrokerId, FetchRequest};
use share_wire::records::{Batch, Batches, RecordsError, batches};

use super::Admin;
use super::error::{AdminError, Question, Resource};
use super::offsets::Isolation;
use super::topics::Topic;
use crate::config::Address;
use crate::tools::Operation;

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// The first offset. The batch that holds it comes as a whole, with records before it.
    pub from: u64,
    /// Bytes at most; one batch comes in any case.
    pub bytes_max: u32,
    /// How long to wait for a record, if there is none yet.
    pub wait: Duration,
    /// Whether records of transactions are wanted before they are committed.
    pub isolation: Isolation,
}

/// What was read of a partition.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Record batches, the last of which may be cut off.
    pub records: Bytes,
    /// The first offset that is there.
    pub earliest: u64,
    /// After the last record that may be read.
    pub latest: u64,
    /// Transactions that came to nothing: the producer's id and its first offset.
    aborted: VecDeque<(i64, i64)>,
    isolation: Isolation,
    broker: Address,
    about: Resource,
}

/// The batches of a [`Fetched`] that are for everybody to see: no markers, and of aborted transactions nothing, if only committed
/// ones were wanted.
#[derive(Debug)]
pub struct Visible {
    batches: Batches,
    aborted: VecDeque<(i64, i64)>,
    open: BTreeSet<i64>,
    /// After the last batch that was passed.
    next: Option<u64>,
}

impl Want {
    /// Everything from an offset on, 1 MiB at a time, without waiting.
    pub const fn from(from: u64) -> Self {
        Self {
            from,
            bytes_max: 1 << 20,
            wait: Duration::ZERO,
            isolation: Isolation::Uncommitted,
        }
    }
}

impl Admin {
    /// Reads records of a partition.
    ///
    /// # Errors
    /// Among others [`AdminError::Refused`] with `OFFSET_OUT_OF_RANGE` if the offset is not there any more, or not yet.
    pub async fn read(&self, topic: &str, partition: i32, want: Want) -> Result<Fetched, AdminError> {
        self.asker.patiently(|| self.read_once(topic, partition, want)).await
    }

    async fn read_once(&self, topic: &str, partition: i32, want: Want) -> Result<Fetched, AdminError> {
        let topic = self.topic_once(topic).await?;
        self.read_of(&topic, partition, want).await
    }

    /// Without asking anew who leads it.
    pub(super) async fn read_of(&self, topic: &Topic, partition: i32, want: Want) -> Result<Fetched, AdminError> {
        let about = Resource::Partition(topic.name.clone(), partition);
        let found = topic.partitions.iter().find(|one| one.partition == partition);
        let found = found.ok_or_else(|| AdminError::Missing { about: about.clone() })?;
        let no_leader = || AdminError::NoLeader {
            topic: topic.name.clone(),
            partition,
        };
        let leader = found.leader.ok_or_else(no_leader)?;
        let broker = self.asker.address_of(leader).await?.ok_or_else(no_leader)?;
        let question = Question::new("Fetch", Operation::Read, about.clone());

        let limit = self.asker.connector().config().times().request + want.wait;
        let asked = self
            .asker
            .ask(&broker, &request(topic, partition, want), Some(limit))
            .await;
        let response = asked.map_err(|source| question.net(source))?;
        self.asker.check(&question, &broker, response.error_code, None)?;
        let mut rows = response.responses.into_iter().flat_map(|topic| topic.partitions);
        let row = rows.find(|row| row.partition_index == partition);
        let row = row.ok_or_else(|| question.no_word(&broker))?;
        self.asker.check(&question, &broker, row.error_code, None)?;
        Ok(Fetched::of(row, want.isolation, broker, about))
    }
}

fn request(topic: &Topic, partition: i32, want: Want) -> FetchRequest {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let bytes_max = number(want.bytes_max);
    let row = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(i64::try_from(want.from).unwrap_or(i64::MAX))
        .with_partition_max_bytes(bytes_max);
    let topic = FetchTopic::default().with_topic_id(topic.id).with_partitions(vec![row]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(i32::try_from(want.wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(1)
        .with_max_bytes(bytes_max)
        .with_isolation_level(want.isolation.level())
        // No session: everything is said each time.
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

impl Fetched {
    fn of(row: PartitionData, isolation: Isolation, broker: Address, about: Resource) -> Self {
        let latest = match isolation {
            Isolation::Uncommitted => row.high_watermark,
            Isolation::Committed => row.last_stable_offset,
        };
        let aborted = row.aborted_transactions.unwrap_or_default();
        let mut aborted: Vec<(i64, i64)> = aborted
            .iter()
            .map(|one| (one.first_offset, one.producer_id.0))
            .collect();
        aborted.sort_unstable();
        Self {
            records: row.records.unwrap_or_default(),
            earliest: u64::try_from(row.log_start_offset).unwrap_or(0),
            latest: u64::try_from(latest).unwrap_or(0),
            aborted: aborted.into_iter().map(|(first, producer)| (producer, first)).collect(),
            isolation,
            broker,
            about,
        }
    }

    /// What is for everybody to see.
    pub fn batches(&self) -> Visible {
        let committed = self.isolation == Isolation::Committed;
        Visible {
            batches: batches(self.records.clone()),
            aborted: if committed {
                self.aborted.clone()
            } else {
                VecDeque::new()
            },
            open: BTreeSet::new(),
            next: None,
        }
    }

    /// The error that tells of records which cannot be read.
    pub fn unreadable(&self, error: &RecordsError) -> AdminError {
        AdminError::Records {
            about: self.about.clone(),
            broker: self.broker.clone(),
            reason: error.to_string(),
        }
    }
}

impl Visible {
    /// The offset after everything that was passed, markers and aborted records too: where to read on. `None` before the first batch.
    pub const fn next_offset(&self) -> Option<u64> {
        self.next
    }

    fn is_visible(&mut self, batch: &Batch) -> bool {
        let header = batch.header();
        while let Some((producer, _)) = self.aborted.pop_front_if(|(_, first)| *first <= header.last_offset) {
            self.open.insert(producer);
        }
        if header.is_control {
            // Whichever way it ended: what this producer writes next is another transaction.
            self.open.remove(&header.producer_id);
            return false;
        }
        !(header.is_transactional && self.open.contains(&header.producer_id))
    }
}

impl Iterator for Visible {
    type Item = Result<Batch, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let batch = match self.batches.next()? {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error)),
            };
            self.next = u64::try_from(batch.header().last_offset)
                .ok()
                .map(|last| last.saturating_add(1));
            if self.is_visible(&batch) {
                return Some(Ok(batch));
            }
        }
    }
}

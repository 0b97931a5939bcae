//! The embedded API: what programs hold. Handles are cheap to clone; their futures need no particular runtime.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::describe::{GroupDescription, RecordInfo, TopicDescription};
use super::desk::Counter;
use super::gate::Gate;
use super::member::Member;
use super::message::{Admission, Append, Entry, Operation, Origin};
use super::part::{Part, fill, one_after_the_other};
use super::partitioner::partition_of;
use super::reply::{Reply, reply};
use super::reset::ResetGroup;
use super::routes::Routes;
use super::sequencer::Ended;
use super::shard::{AdminReply, AdminRequest, Request, ToShard};
use super::stats::{EngineStats, StatsSnapshot};
use super::sync::Mutex;
use super::sync::atomic::{AtomicU32, Ordering};
use super::threads::Threads;
use crate::catalog::{Group, Topic};
use crate::config::{EngineConfig, GroupConfig, TopicConfig};
use crate::error::{AdminError, Fenced, ProduceError};
use crate::ids::{Offset, PartitionKey};
use crate::record::{NewRecord, RecordLimits, StoredBatch, encode_batch};
use crate::time::{Clock, Now};

/// An open engine. Dropping the last handle does not close it; [`Engine::close`] does.
#[derive(Clone)]
pub struct Engine {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) counter: Arc<Counter>,
    pub(super) routes: Arc<Routes>,
    pub(super) gate: Arc<Gate>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stats: Arc<EngineStats>,
    pub(super) config: EngineConfig,
    pub(super) threads: Mutex<Threads>,
    /// What the journal's end came to.
    pub(super) ended: Arc<Ended>,
    pub(super) turn: AtomicU32,
}

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: Offset,
}

impl Engine {
    /// Produces records to one topic and waits until they are durable. Records with a key go to the key's partition,
    /// those without to one partition after the other, unless `partition` says where. One result for each record.
    pub async fn produce(
        &self,
        topic: &str,
        partition: Option<u32>,
        records: Vec<NewRecord>,
    ) -> Vec<Result<Receipt, ProduceError>> {
        let count = records.len();
        let parts = match self.inner.split(topic, partition, records) {
            Ok(parts) => parts,
            Err(error) => return vec![Err(error); count],
        };
        let mut results = vec![Err(ProduceError::Closed); count];
        let mut waiting = Vec::with_capacity(parts.len());
        for mut part in parts {
            match self.inner.send(&mut part, &mut results).await {
                Ok(Some(answer)) => waiting.push((part, answer)),
                Ok(None) => {}
                Err(error) => fill(&mut results, &part, &Err(error)),
            }
        }
        for (part, answer) in waiting {
            let result = answer.await.unwrap_or(Err(ProduceError::Closed));
            let result = match result {
                Err(error) => Err(self.explain(topic, error).await),
                ok => ok,
            };
            fill(&mut results, &part, &result);
        }
        results
    }

    /// Puts the names into an error that the journal thread does not know.
    async fn explain(&self, topic: &str, error: ProduceError) -> ProduceError {
        match error {
            ProduceError::TopicFull { bytes, limit, .. } => {
                let oldest_group = self.furthest_behind(topic).await;
                ProduceError::TopicFull {
                    topic: topic.to_owned(),
                    bytes,
                    limit,
                    oldest_group,
                }
            }
            ProduceError::UnknownTopic(_) => ProduceError::UnknownTopic(topic.to_owned()),
            other => other,
        }
    }

    async fn furthest_behind(&self, topic: &str) -> Option<String> {
        let description = self.describe_topic(topic).await.ok()?;
        let mut oldest: Option<(u64, String)> = None;
        for name in description.groups {
            let group = self.describe_group(&name).await.ok()?;
            let lag: u64 = group
                .partitions
                .iter()
                .filter(|one| one.topic == topic)
                .map(|one| one.lag)
                .sum();
            if oldest.as_ref().is_none_or(|(most, _)| lag > *most) {
                oldest = Some((lag, name));
            }
        }
        oldest.map(|(_, name)| name)
    }

    /// Makes a topic.
    pub async fn create_topic(&self, name: &str, config: TopicConfig) -> Result<(), AdminError> {
        self.change(AdminRequest::CreateTopic {
            name: name.to_owned(),
            config,
        })
        .await
    }

    /// Changes a topic's settings; partitions only grow.
    pub async fn alter_topic(&self, name: &str, config: TopicConfig) -> Result<(), AdminError> {
        self.change(AdminRequest::AlterTopic {
            name: name.to_owned(),
            config,
        })
        .await
    }

    /// Removes a topic with its records and every group's state on it.
    pub async fn delete_topic(&self, name: &str) -> Result<(), AdminError> {
        self.change(AdminRequest::DeleteTopic { name: name.to_owned() }).await
    }

    /// Makes a group and, if it wants one, the topic for its dead letters.
    pub async fn create_group(&self, name: &str, config: GroupConfig) -> Result<(), AdminError> {
        self.change(AdminRequest::CreateGroup {
            name: name.to_owned(),
            config,
        })
        .await
    }

    /// Changes a group's settings.
    pub async fn alter_group(&self, name: &str, config: GroupConfig) -> Result<(), AdminError> {
        self.change(AdminRequest::AlterGroup {
            name: name.to_owned(),
            config,
        })
        .await
    }

    /// Adds a topic to a group, from the group's `start` on; durable before any record is handed out.
    pub async fn subscribe(&self, group: &str, topic: &str) -> Result<(), AdminError> {
        self.change(AdminRequest::Subscribe {
            group: group.to_owned(),
            topic: topic.to_owned(),
        })
        .await
    }

    /// Removes a group that has no members, with its state; one that has records to settle still only with `force`.
    ///
    /// What it has settled of a topic with retention `queue` is handed out to no group that comes later, unless another
    /// group needs it still: the topic then begins where all other groups have finished, or, if there is none, behind the
    /// last record that this one has settled. What it had not settled before that place is gone; everything behind it, and
    /// everything of other topics, stays.
    pub async fn delete_group(&self, name: &str, force: bool) -> Result<(), AdminError> {
        let name = name.to_owned();
        self.change(AdminRequest::DeleteGroup { name, force }).await
    }

    /// Forgets everything a group knows of what the request names and begins anew there: state epoch plus one,
    /// checkpoints gone. What members still hold is stale afterwards.
    pub async fn reset_group(&self, request: ResetGroup) -> Result<(), AdminError> {
        self.change(AdminRequest::ResetGroup(request)).await
    }

    /// Sends a dead letter back to its topic and acknowledges it, in one commit: it is redriven once or not at all.
    /// Returns where the record is now.
    pub async fn redrive(&self, topic: &str, partition: u32, offset: Offset) -> Result<Receipt, AdminError> {
        let topic = topic.to_owned();
        match self
            .ask(AdminRequest::Redrive {
                topic,
                partition,
                offset,
            })
            .await?
        {
            AdminReply::Appended(receipt) => Ok(receipt),
            _ => Err(AdminError::Closed),
        }
    }

    /// Moves what the journal holds into logs and a snapshot, and waits for it.
    pub async fn drain(&self) -> Result<(), AdminError> {
        self.change(AdminRequest::Drain).await
    }

    /// All topics.
    pub async fn topics(&self) -> Result<Vec<Topic>, AdminError> {
        match self.ask(AdminRequest::Topics).await? {
            AdminReply::Topics(topics) => Ok(topics),
            _ => Err(AdminError::Closed),
        }
    }

    /// All groups.
    pub async fn groups(&self) -> Result<Vec<Group>, AdminError> {
        match self.ask(AdminRequest::Groups).await? {
            AdminReply::Groups(groups) => Ok(groups),
            _ => Err(AdminError::Closed),
        }
    }

    /// One topic.
    pub async fn describe_topic(&self, name: &str) -> Result<TopicDescription, AdminError> {
        match self.ask(AdminRequest::DescribeTopic { name: name.to_owned() }).await? {
            AdminReply::Topic(topic) => Ok(*topic),
            _ => Err(AdminError::Closed),
        }
    }

    /// One group.
    pub async fn describe_group(&self, name: &str) -> Result<GroupDescription, AdminError> {
        match self
            .ask(AdminRequest::DescribeGroup {
                name: name.to_owned(),
                now: self.now().monotonic,
            })
            .await?
        {
            AdminReply::Group(group) => Ok(*group),
            _ => Err(AdminError::Closed),
        }
    }

    /// States of up to `limit` records of a share partition from `from` on.
    pub async fn records(
        &self,
        group: &str,
        topic: &str,
        partition: u32,
        from: Offset,
        limit: usize,
    ) -> Result<Vec<RecordInfo>, AdminError> {
        let now = self.now().monotonic;
        let (group, topic) = (group.to_owned(), topic.to_owned());
        match self
            .ask(AdminRequest::Records {
                group,
                topic,
                partition,
                from,
                limit,
                now,
            })
            .await?
        {
            AdminReply::Records(records) => Ok(records),
            _ => Err(AdminError::Closed),
        }
    }

    /// Reads batches from `from` on, about `max_bytes` of them; empty at the end. Changes nothing.
    pub async fn read(
        &self,
        topic: &str,
        partition: u32,
        from: Offset,
        max_bytes: u64,
    ) -> Result<Vec<StoredBatch>, AdminError> {
        let (sender, answer) = reply();
        let request = Request::Read {
            topic: topic.to_owned(),
            partition,
            from,
            max_bytes,
            reply: sender,
        };
        self.inner.counter.shard.post(ToShard::Request(Box::new(request)));
        answer.await.unwrap_or(Err(AdminError::Closed))
    }

    /// A new member of a group, on some or all of the group's topics. It lives until [`Member::leave`].
    pub async fn join(&self, group: &str, topics: &[&str]) -> Result<Member, AdminError> {
        let (sender, answer) = reply();
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let request = Request::Join {
            group: group.to_owned(),
            topics,
            reply: sender,
        };
        self.inner.counter.shard.post(ToShard::Request(Box::new(request)));
        let index = answer.await.unwrap_or(Err(AdminError::Closed))?;
        Ok(Member::new(Arc::clone(&self.inner), index, group.into()))
    }

    /// Counters since the engine was opened.
    pub fn stats(&self) -> StatsSnapshot {
        self.inner.stats.snapshot()
    }

    /// How long the journal's syncs took since the last call, at most 16,384 of them.
    pub fn take_syncs(&self) -> Vec<Duration> {
        self.inner.stats.take_syncs()
    }

    /// The engine's clock.
    pub fn now(&self) -> Now {
        self.inner.clock.now()
    }

    /// Releases what is held, writes the end entry, stops the threads. Every other handle is dead afterwards. Whoever
    /// closes at the same time, or again, learns the same.
    ///
    /// # Errors
    /// The journal did not take its end, was fenced before, or a thread of the engine has panicked.
    pub async fn close(&self) -> Result<(), Fenced> {
        let (sender, answer) = reply();
        self.inner
            .counter
            .shard
            .post(ToShard::Request(Box::new(Request::Close { reply: sender })));
        let answered = answer.await;
        self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner).join();
        // Who came too late for an answer learns what the others were told.
        let died = || self.stats().died.map_or(Ok(()), |reason| Err(Fenced { reason }));
        answered
            .or_else(|| self.inner.ended.get().cloned())
            .unwrap_or_else(died)
    }

    async fn ask(&self, request: AdminRequest) -> Result<AdminReply, AdminError> {
        let (sender, answer) = reply();
        self.inner
            .counter
            .shard
            .post(ToShard::Request(Box::new(Request::Admin(request, sender))));
        answer.await.unwrap_or(Err(AdminError::Closed))
    }

    async fn change(&self, request: AdminRequest) -> Result<(), AdminError> {
        self.ask(request).await.map(|_| ())
    }
}

impl Inner {
    pub(super) fn find(&self, topic: &str) -> Result<Arc<[PartitionKey]>, ProduceError> {
        self.routes
            .find(topic)
            .ok_or_else(|| ProduceError::UnknownTopic(topic.to_owned()))
    }

    /// The partition for one record.
    pub(super) fn choose(
        &self,
        topic: &str,
        keys: &[PartitionKey],
        wanted: Option<u32>,
        key: Option<&[u8]>,
    ) -> Result<(u32, PartitionKey), ProduceError> {
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let partition = match (wanted, key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of(key, count),
            (None, None) => self.turn.load(Ordering::Relaxed).checked_rem(count).unwrap_or(0),
        };
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let found = keys.get(index).copied().ok_or_else(|| ProduceError::UnknownPartition {
            topic: topic.to_owned(),
            partition,
            last: count.saturating_sub(1),
        });
        Ok((partition, found?))
    }

    fn split(&self, topic: &str, wanted: Option<u32>, records: Vec<NewRecord>) -> Result<Vec<Part>, ProduceError> {
        let keys = self.find(topic)?;
        self.turn.fetch_add(1, Ordering::Relaxed);
        if let [key] = keys[..]
            && wanted.unwrap_or(0) == 0
        {
            return Ok(one_after_the_other(key, records));
        }
        let mut parts: BTreeMap<u32, Part> = BTreeMap::new();
        let mut full = Vec::new();
        for (slot, record) in records.into_iter().enumerate() {
            let (partition, key) = self.choose(topic, &keys, wanted, record.key.as_deref())?;
            let part = parts.entry(partition).or_insert_with(|| Part::new(partition, key));
            part.push(slot, record);
            if part.is_full() {
                full.extend(parts.remove(&partition));
            }
        }
        full.extend(parts.into_values());
        Ok(full)
    }

    /// Sends what is left of a part when records that cannot be have got their result; `None` if nothing is.
    async fn send(
        &self,
        part: &mut Part,
        results: &mut [Result<Receipt, ProduceError>],
    ) -> Result<Option<Reply<Result<Offset, ProduceError>>>, ProduceError> {
        let batch = loop {
            if part.records.is_empty() {
                return Ok(None);
            }
            match encode_batch(&part.records, self.clock.now().wall, RecordLimits::default()) {
                Ok(batch) => break batch,
                Err(error) => {
                    let Some(index) = error.culprit().filter(|index| *index < part.slots.len()) else {
                        return Err(error.into());
                    };
                    part.records.remove(index);
                    if let Some(result) = results.get_mut(part.slots.remove(index)) {
                        *result = Err(error.into());
                    }
                }
            }
        };
        let pass = match self.gate.enter(batch.len() as u64) {
            Ok(pass) => pass,
            Err(turn) => turn.await.ok_or(ProduceError::Closed)?,
        };
        let (sender, answer) = reply();
        let records = u32::try_from(part.records.len()).unwrap_or(u32::MAX);
        let append = Append {
            partition: part.key,
            batch,
            records,
            admission: Admission::Bounded,
        };
        self.counter.hand_in(Entry {
            operations: vec![Operation::Append(append)],
            origin: Origin::Producer {
                reply: sender,
                pass: Some(pass),
            },
        });
        Ok(Some(answer))
    }
}

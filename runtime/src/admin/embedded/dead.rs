//! Dead letters: found by the headers that the engine wrote, read from their topics, redriven one by one. Damage in their
//! logs hides no others.

use std::collections::BTreeSet;

use bytes::Bytes;
use share_engine::error::AdminError as EngineError;
use share_engine::ids::Offset;
use share_engine::record::{self, NewRecord, RecordError, RecordView};

use super::EmbeddedAdmin;
use super::convert::VERIFY;
use crate::admin::letter::{self, Added, fits};
use crate::admin::{
    AdminError, DeadFilter, DeadLetter, DeadLetterDetail, DeadLetterId, DeadPage, DeadQuery, ErrorCode, Header, Record,
    RedriveFailure, RedriveRequest, RedriveResult, Redriven, UnreadableLetters,
};

/// Bytes of a dead-letter topic read at once.
const READ_BYTES: u64 = 1 << 20;

impl EmbeddedAdmin {
    pub(super) async fn dead_page(&self, query: DeadQuery) -> Result<DeadPage, AdminError> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let Found {
            mut letters,
            unreadable,
        } = self.find(&query.filter, limit.saturating_add(1)).await?;
        let more = letters.len() > limit;
        letters.truncate(limit);
        Ok(DeadPage {
            dead_letters: letters,
            more,
            unreadable,
            hidden: Vec::new(),
        })
    }

    pub(super) async fn dead_detail(&self, id: DeadLetterId) -> Result<DeadLetterDetail, AdminError> {
        self.letter(&id, |view| detail(&id, view)).await
    }

    /// What a redrive of the letter would append.
    pub(super) async fn dead_original(&self, id: DeadLetterId) -> Result<Record, AdminError> {
        let stored = |view: &RecordView<'_>| Some((added(view).summary(&id, 0)?, stored(view)));
        let (from, letter) = self.letter(&id, stored).await?;
        let original = share_engine::letter::original(letter).ok_or_else(|| {
            let message = format!("dead letter {id} holds no record, only what is known of it");
            AdminError::new(ErrorCode::Conflict, message).hint("dead redrive cannot bring it back, either")
        })?;
        let topic = self.engine.describe_topic(&from.source_topic).await?;
        let partitions = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
        let header = |header: &record::Header| Header {
            name: String::from_utf8_lossy(&header.name).into_owned(),
            value: header.value.clone(),
        };
        Ok(Record {
            key: original.key,
            value: original.value,
            headers: original.headers.iter().map(header).collect(),
            partition: from.source_partition.checked_rem(partitions),
            timestamp: None,
        })
    }

    /// What `read` makes of a letter, if it is one.
    async fn letter<T>(
        &self,
        id: &DeadLetterId,
        read: impl FnOnce(&RecordView<'_>) -> Option<T>,
    ) -> Result<T, AdminError> {
        let missing = || {
            AdminError::new(ErrorCode::NotFound, format!("there is no dead letter {id}"))
                .hint("sharemill dead list shows those that there are")
        };
        if self.has_left(id).await? {
            let message =
                format!("dead letter {id} is not there any more: it was redriven already, or retention took it");
            return Err(AdminError::new(ErrorCode::NotFound, message));
        }
        let batches = self
            .engine
            .read(&id.topic, id.partition, Offset::saturating(id.offset), 1)
            .await?;
        for batch in &batches {
            for record in batch.records() {
                let (view, _) = record.map_err(|error| AdminError::new(ErrorCode::Internal, error.to_string()))?;
                if view.offset.get() == id.offset {
                    return read(&view).ok_or_else(missing);
                }
            }
        }
        Err(missing())
    }

    pub(super) async fn redrive_all(&self, request: RedriveRequest) -> Result<RedriveResult, AdminError> {
        let mut result = RedriveResult::default();
        let ids = match request {
            RedriveRequest::Ids(ids) => ids,
            RedriveRequest::All(filter) => {
                let found = self.find(&filter, usize::MAX).await?;
                result.unreadable = found.unreadable;
                found.letters.into_iter().map(|letter| letter.id).collect()
            }
        };
        for id in ids {
            match self.redrive_one(&id).await {
                Ok(redriven) => result.redriven.push(redriven),
                Err(error) => result.failed.push(RedriveFailure { id, error }),
            }
        }
        Ok(result)
    }

    async fn redrive_one(&self, id: &DeadLetterId) -> Result<Redriven, AdminError> {
        let letter = self.dead_detail(id.clone()).await?;
        let redriven = self
            .engine
            .redrive(&id.topic, id.partition, Offset::saturating(id.offset));
        let redriven = redriven.await;
        if let Err(EngineError::NoDeadLetter { .. }) = redriven
            && self.is_settled(id).await?
        {
            return Err(redriven_before(id, &letter));
        }
        let receipt = redriven?;
        Ok(Redriven {
            id: id.clone(),
            topic: letter.summary.source_topic,
            partition: receipt.partition,
            offset: receipt.offset.get(),
        })
    }

    /// Whether its topic was further once than it, and has let it go.
    async fn has_left(&self, id: &DeadLetterId) -> Result<bool, AdminError> {
        let topic = self.engine.describe_topic(&id.topic).await?;
        let mut partitions = topic.partitions.iter();
        let partition = partitions.find(|one| one.partition == id.partition);
        let is_before = partition.is_some_and(|one| id.offset < one.start);
        Ok(is_before && self.dead_topics(&DeadFilter::default()).await?.contains(&id.topic))
    }

    /// Whether a dead letter that lies in its topic waits no more.
    async fn is_settled(&self, id: &DeadLetterId) -> Result<bool, AdminError> {
        let waiting = self
            .waiting((&id.topic, id.partition), id.offset, id.offset + 1)
            .await?;
        Ok(!waiting.contains(&id.offset))
    }

    /// Letters that were not redriven yet, by topic, partition and offset. What cannot be read is stepped over.
    async fn find(&self, filter: &DeadFilter, limit: usize) -> Result<Found, AdminError> {
        let mut found = Found::default();
        for topic in self.dead_topics(filter).await? {
            let description = self.engine.describe_topic(&topic).await?;
            for partition in &description.partitions {
                let at = (topic.as_str(), partition.partition);
                let mut from = partition.start;
                // A read that fails is repeated in small steps, up to the place.
                let mut careful = false;
                while from < partition.end && found.letters.len() < limit {
                    let bytes = if careful { 1 } else { READ_BYTES };
                    let first = Offset::saturating(from);
                    match self.engine.read(&topic, partition.partition, first, bytes).await {
                        Ok(batches) => {
                            let Some(last) = batches.last() else { break };
                            let next = last.last().get() + 1;
                            let waiting = self.waiting(at, from, next).await?;
                            let records = batches.iter().flat_map(record::StoredBatch::records);
                            found.take(at, records, &waiting, filter)?;
                            from = next;
                        }
                        Err(EngineError::Unreadable { .. }) if !careful => careful = true,
                        Err(EngineError::Unreadable { resume, reason }) => {
                            careful = false;
                            let next = resume.min(partition.end).max(from + 1);
                            let letters = self.waiting(at, from, next).await?.len() as u64;
                            found.step_over(at, (from, next), letters, reason);
                            from = next;
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        found.letters.truncate(limit);
        if let Some(group) = &filter.group
            && found.letters.is_empty()
        {
            self.check_dead_group(group).await?;
        }
        Ok(found)
    }

    /// A group without dead letters is one that there is, or that has left its topic.
    async fn check_dead_group(&self, name: &str) -> Result<(), AdminError> {
        let groups = self.engine.groups().await?;
        let topics = self.engine.topics().await?;
        let left = topics.into_iter().filter_map(|topic| topic.dead_letters_of);
        let mut known: Vec<String> = groups.into_iter().map(|group| group.name).chain(left).collect();
        known.sort();
        known.dedup();
        super::known("group", name, &known)
    }

    /// Topics that take some group's dead letters.
    async fn dead_topics(&self, filter: &DeadFilter) -> Result<Vec<String>, AdminError> {
        let groups = self.engine.groups().await?;
        let mut topics: Vec<String> = groups
            .into_iter()
            .filter_map(|group| group.config.dead_letter)
            .collect();
        for topic in self.engine.topics().await? {
            if topic.dead_letters_of.is_some() {
                topics.push(topic.name);
            }
        }
        topics.sort();
        topics.dedup();
        if let Some(wanted) = &filter.topic {
            if !topics.contains(wanted) {
                let message = format!("no group leaves its dead letters in topic {wanted:?}");
                let known = if topics.is_empty() {
                    "no topic".to_owned()
                } else {
                    topics.join(", ")
                };
                let hint = format!("dead letters are in {known}");
                return Err(AdminError::new(ErrorCode::NotFound, message).hint(hint));
            }
            topics.retain(|topic| topic == wanted);
        }
        Ok(topics)
    }

    /// Which offsets of a dead-letter topic, from one up to another, have not been redriven.
    async fn waiting(&self, (topic, partition): (&str, u32), from: u64, to: u64) -> Result<BTreeSet<u64>, AdminError> {
        let group = share_engine::engine::redrive_group(topic);
        let limit = usize::try_from(to - from).unwrap_or(usize::MAX);
        let states = self
            .engine
            .records(&group, topic, partition, Offset::saturating(from), limit)
            .await?;
        let open = states
            .into_iter()
            .filter(|info| !matches!(info.state, "acknowledged" | "archived"));
        Ok(open.map(|info| info.offset).filter(|offset| *offset < to).collect())
    }
}

/// What was found of dead letters.
#[derive(Default)]
struct Found {
    letters: Vec<DeadLetter>,
    unreadable: Vec<UnreadableLetters>,
}

impl Found {
    fn take<'a>(
        &mut self,
        (topic, partition): (&str, u32),
        records: impl Iterator<Item = Result<(RecordView<'a>, u32), RecordError>>,
        waiting: &BTreeSet<u64>,
        filter: &DeadFilter,
    ) -> Result<(), AdminError> {
        for record in records {
            let (view, _) = record.map_err(|error| AdminError::new(ErrorCode::Internal, error.to_string()))?;
            let offset = view.offset.get();
            let id = DeadLetterId {
                topic: topic.to_owned(),
                partition,
                offset,
            };
            let letter = added(&view).summary(&id, view.timestamp.as_millis());
            self.letters
                .extend(letter.filter(|letter| waiting.contains(&offset) && fits(letter, filter)));
        }
        Ok(())
    }

    /// The offsets from one up to another cannot be read.
    fn step_over(&mut self, (topic, partition): (&str, u32), (from, to): (u64, u64), letters: u64, reason: String) {
        if letters == 0 {
            return;
        }
        self.unreadable.push(UnreadableLetters {
            topic: topic.to_owned(),
            partition,
            first: from,
            last: to - 1,
            letters,
            error: AdminError::new(ErrorCode::Unavailable, reason).hint(VERIFY),
        });
    }
}

fn redriven_before(id: &DeadLetterId, letter: &DeadLetterDetail) -> AdminError {
    let (group, topic) = (&letter.summary.group, &letter.summary.source_topic);
    let message = format!("dead letter {id} has been redriven already");
    let hint =
        format!("its record is in {topic} again: sharemill records {group} --topic {topic} shows what becomes of it");
    AdminError::new(ErrorCode::Conflict, message).hint(hint)
}

fn added(view: &RecordView<'_>) -> Added {
    Added::of(view.headers().map(|header| (header.name, header.value)))
}

fn stored(view: &RecordView<'_>) -> NewRecord {
    let bytes = |value: Option<&[u8]>| value.map(Bytes::copy_from_slice);
    let headers = view.headers().map(|header| record::Header {
        name: Bytes::copy_from_slice(header.name),
        value: bytes(header.value),
    });
    NewRecord {
        key: bytes(view.key),
        value: bytes(view.value),
        headers: headers.collect(),
        timestamp: None,
    }
}

fn detail(id: &DeadLetterId, view: &RecordView<'_>) -> Option<DeadLetterDetail> {
    let added = added(view);
    let bytes = |value: Option<&[u8]>| value.map(Bytes::copy_from_slice);
    let own = view.headers().filter(|header| !letter::is_added(header.name));
    let headers = own.map(|header| Header {
        name: String::from_utf8_lossy(header.name).into_owned(),
        value: bytes(header.value),
    });
    let checkpoint = view.headers().find(|header| header.name == letter::CHECKPOINT);
    let checkpoint = checkpoint.and_then(|header| u32::try_from(header.value.unwrap_or_default().len()).ok());
    let summary = added.summary(id, view.timestamp.as_millis())?;
    let record = Record {
        key: bytes(view.key),
        value: bytes(view.value),
        headers: headers.collect(),
        partition: None,
        timestamp: Some(view.timestamp.as_millis()),
    };
    Some(added.detail(summary, record, checkpoint))
}

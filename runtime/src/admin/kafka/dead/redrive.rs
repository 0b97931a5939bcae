//! Redrive in a cluster: the record is produced to where it came from, and when it is stored, the letter is marked. Between the two the
//! process may end; then the letter is there still, and redriving it again produces the record again: at least once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use share_engine::letter::{LOST, ORIGIN_HEADER};

use super::super::KafkaAdmin;
use super::super::read::{Taken, index, number, shown_headers};
use super::{Letter, Place, mark};
use crate::admin::letter::{fits, is_added};
use crate::admin::{
    AdminError, DeadFilter, DeadLetterId, ErrorCode, Record, RedriveFailure, RedriveRequest, RedriveResult, Redriven,
    UnreadableLetters,
};
use crate::source::{KafkaProducer, Produced, ToProduce};

/// Letters, and bytes of them, that are redriven together.
const AT_ONCE: usize = 500;
const BYTES_AT_ONCE: usize = 4 << 20;

/// By the offsets of their letters.
type Marks = Result<BTreeMap<u64, u64>, AdminError>;

impl KafkaAdmin {
    pub(in super::super) async fn redrive_all(&self, request: RedriveRequest) -> Result<RedriveResult, AdminError> {
        let producer = self.producer(None)?;
        let mut result = RedriveResult::default();
        match request {
            RedriveRequest::Ids(ids) => self.redrive_named(&producer, ids, &mut result).await,
            RedriveRequest::All(filter) => {
                if filter.topic.is_none() && filter.group.is_none() {
                    return self.redrive_own(&producer, &filter).await;
                }
                let places = self.dead_places(&filter).await?;
                self.redrive_places(&producer, places, &filter, &mut result).await?;
            }
        }
        Ok(result)
    }

    /// Those of the manifest's groups: a cluster is not one user's.
    async fn redrive_own(&self, producer: &KafkaProducer, filter: &DeadFilter) -> Result<RedriveResult, AdminError> {
        if self.beside.dead_letters.is_empty() {
            let message = "whose dead letters are to be redriven is not said, and the cluster may be others', too";
            let hint = "name them by --group or --topic; sharemill dead list shows all";
            return Err(AdminError::new(ErrorCode::Invalid, message).hint(hint));
        }
        let mut result = RedriveResult::default();
        for (group, topic) in &self.beside.dead_letters {
            let filter = DeadFilter {
                group: Some(group.clone()),
                topic: Some(topic.clone()),
                ..filter.clone()
            };
            let places = match self.dead_places(&filter).await {
                // The first letter makes it.
                Err(error) if error.code == ErrorCode::NotFound => continue,
                other => other?,
            };
            if !self.redrive_places(producer, places, &filter, &mut result).await? {
                break;
            }
        }
        Ok(result)
    }

    /// `false` if some are left.
    async fn redrive_places(
        &self,
        producer: &KafkaProducer,
        places: Vec<Place>,
        filter: &DeadFilter,
        result: &mut RedriveResult,
    ) -> Result<bool, AdminError> {
        for place in places {
            if let Err(error) = self.redrive_place(producer, &place, filter, result).await {
                // What was done is told all the same.
                if *result == RedriveResult::default() {
                    return Err(error.error);
                }
                result.unreadable.push(error);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The letters of a place; fails with those that are left.
    async fn redrive_place(
        &self,
        producer: &KafkaProducer,
        place: &Place,
        filter: &DeadFilter,
        result: &mut RedriveResult,
    ) -> Result<(), UnreadableLetters> {
        let left = |first: u64, error| UnreadableLetters {
            topic: place.topic.clone(),
            partition: number(place.partition),
            first,
            last: place.span.end.saturating_sub(1),
            // At most: marks and other records are among them.
            letters: place.span.end.saturating_sub(first),
            error,
        };
        let letters = self.letters(place).await;
        let mut letters = letters.map_err(|error| left(place.span.start, error))?;
        loop {
            let (mut chunk, mut bytes) = (Vec::new(), 0);
            let mut end = None;
            while end.is_none() && chunk.len() < AT_ONCE && bytes < BYTES_AT_ONCE {
                match letters.next().await {
                    Ok(Some(letter)) if fits(&letter.summary, filter) => {
                        bytes += letter.taken.size();
                        chunk.push(letter);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => end = Some(Ok(())),
                    Err(error) => end = Some(Err(left(letters.position(), error))),
                }
            }
            self.redrive_some(producer, chunk, result).await;
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// These, in their order; one that is named twice, once. What is behind them is read once for all of a partition.
    async fn redrive_named(&self, producer: &KafkaProducer, ids: Vec<DeadLetterId>, result: &mut RedriveResult) {
        let mut named = BTreeSet::new();
        let ids: Vec<DeadLetterId> = ids.into_iter().filter(|id| named.insert(id.clone())).collect();
        let mut known = BTreeMap::new();
        for id in ids {
            match self.waiting(&id, &named, &mut known).await {
                Ok(letter) => self.redrive_some(producer, vec![letter], result).await,
                Err(error) => result.failed.push(RedriveFailure { id, error }),
            }
        }
    }

    /// A letter that was not redriven before. `known`: the marks of the partitions that were read.
    async fn waiting(
        &self,
        id: &DeadLetterId,
        named: &BTreeSet<DeadLetterId>,
        known: &mut BTreeMap<(String, u32), Marks>,
    ) -> Result<Letter, AdminError> {
        let letter = self.letter(id).await?;
        let marks = match known.entry((id.topic.clone(), id.partition)) {
            Entry::Occupied(marks) => marks.into_mut(),
            Entry::Vacant(unread) => unread.insert(self.marks_behind(id, named).await),
        };
        let mark = marks.as_ref().map_err(AdminError::clone)?.get(&id.offset);
        let Some(mark) = mark else {
            return Ok(letter);
        };
        let topic = &letter.summary.source_topic;
        let message = format!("dead letter {id} has been redriven already");
        let hint = format!("its record is in {topic} again: the mark at offset {mark} says where");
        Err(AdminError::new(ErrorCode::Conflict, message).hint(hint))
    }

    /// The marks behind the first of those that are named in the partition of this one.
    async fn marks_behind(&self, id: &DeadLetterId, named: &BTreeSet<DeadLetterId>) -> Marks {
        let beside = |other: &&DeadLetterId| other.topic == id.topic && other.partition == id.partition;
        let first = named.iter().find(beside).map_or(id.offset, |first| first.offset);
        let spans = self.client.spans(&id.topic).await?;
        let partition = index(id.partition);
        let span = spans
            .get(&partition)
            .map_or(0..0, |span| first.max(span.start)..span.end);
        let place = Place {
            topic: id.topic.clone(),
            partition,
            span,
        };
        self.marks(&place).await
    }

    async fn redrive_some(&self, producer: &KafkaProducer, letters: Vec<Letter>, result: &mut RedriveResult) {
        let mut ids = Vec::new();
        let mut records = Vec::new();
        for letter in letters {
            let id = letter.summary.id.clone();
            match self.record_of(letter).await {
                Ok(record) => {
                    ids.push(id);
                    records.push(record);
                }
                Err(error) => result.failed.push(RedriveFailure { id, error }),
            }
        }
        let topics: Vec<String> = records.iter().map(|record| record.topic.clone()).collect();
        let stored = producer.produce_all(records).await;
        let mut redriven = Vec::new();
        for ((id, topic), stored) in ids.into_iter().zip(topics).zip(stored) {
            match stored {
                Ok(Produced { partition, offset }) => redriven.push(Redriven {
                    id,
                    topic,
                    partition: number(partition),
                    offset: u64::try_from(offset).unwrap_or(0),
                }),
                Err(failure) => result.failed.push(RedriveFailure {
                    id,
                    error: failure.into(),
                }),
            }
        }
        let marks = redriven.iter().map(to_mark).collect();
        let marked = producer.produce_all(marks).await;
        for (one, marked) in redriven.into_iter().zip(marked) {
            match marked {
                Ok(_) => result.redriven.push(one),
                Err(failure) => {
                    let error = unmarked(&one, &failure.into());
                    result.failed.push(RedriveFailure { id: one.id, error });
                }
            }
        }
    }

    /// What a redrive of the letter would produce.
    pub(in super::super) async fn dead_original(&self, id: DeadLetterId) -> Result<Record, AdminError> {
        let record = self.record_of(self.letter(&id).await?).await?;
        Ok(Record {
            key: record.key,
            value: record.value,
            headers: shown_headers(record.headers),
            partition: record.partition.map(number),
            timestamp: record.timestamp,
        })
    }

    /// The record as it was, for the partition that it came from.
    async fn record_of(&self, letter: Letter) -> Result<ToProduce, AdminError> {
        let Letter {
            summary,
            added,
            mut taken,
        } = letter;
        let (topic, partition) = (summary.source_topic, summary.source_partition);
        let origin = format!("{topic}/{partition}/{}", summary.source_offset);
        let origin = added.get(ORIGIN_HEADER).map_or(origin, ToOwned::to_owned);
        let is_lost = taken.headers.iter().any(|(name, _)| *name == LOST.name);
        let is_bare = taken.key.is_none() && taken.value.is_none();
        if is_lost || added.is_of_broker() {
            // A broker leaves the headers out, or all of it; the record may still be where it was.
            let found = self.record_at(&topic, partition, summary.source_offset).await?;
            // Under the name of a topic that was made again there are other records.
            let is_it = |found: &Taken| {
                let is_like = is_lost || is_bare || (&found.key, &found.value) == (&taken.key, &taken.value);
                is_like && found.timestamp <= taken.timestamp
            };
            match found.filter(is_it) {
                Some(found) => taken = found,
                None if is_lost || is_bare => return Err(no_copy(&summary.id, &origin)),
                None => {}
            }
        }
        let count = self.client.topic(&topic).await?.partitions.len();
        let partition = (partition as usize)
            .checked_rem(count)
            .map(|one| i32::try_from(one).unwrap_or(0));
        let mut headers = taken.headers;
        headers.retain(|(name, _)| !is_added(name));
        headers.push((ORIGIN_HEADER.into(), Some(origin.into())));
        Ok(ToProduce {
            topic,
            partition,
            key: taken.key,
            value: taken.value,
            headers,
            timestamp: None,
        })
    }
}

fn to_mark(redriven: &Redriven) -> ToProduce {
    let now = DeadLetterId {
        topic: redriven.topic.clone(),
        partition: redriven.partition,
        offset: redriven.offset,
    };
    ToProduce {
        topic: redriven.id.topic.clone(),
        partition: Some(index(redriven.id.partition)),
        headers: mark::headers(&redriven.id, &now),
        ..ToProduce::default()
    }
}

fn no_copy(id: &DeadLetterId, origin: &str) -> AdminError {
    let message = format!("dead letter {id} holds no copy of its record, and {origin} is not kept any more");
    let hint = "errors.deadletterqueue.copy.record.enable=true has brokers copy records, those to come";
    AdminError::new(ErrorCode::NotFound, message).hint(hint)
}

/// Done by half: nothing is lost, and whoever goes on should know.
fn unmarked(redriven: &Redriven, error: &AdminError) -> AdminError {
    let Redriven {
        topic,
        partition,
        offset,
        ..
    } = redriven;
    let message = format!(
        "its record is {topic}/{partition}/{offset} now, but the letter could not be marked: {}",
        error.message
    );
    AdminError::new(error.code, message).hint("redriving it again would produce the record once more")
}

//! Dead letters in a cluster: records with the headers of a letter, whoever wrote them, without those that were redriven. No record of
//! a topic can be taken out: that a letter was redriven says a mark behind it (`mark`), so that all of a partition is read.

mod mark;
mod redrive;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use share_client::admin::{ConfigOf, Presence};

use super::KafkaAdmin;
use super::read::{Taken, Walk, index, number};
use crate::admin::letter::{Added, CHECKPOINT, fits, is_added};
use crate::admin::{
    AdminError, DeadFilter, DeadLetter, DeadLetterDetail, DeadLetterId, DeadPage, DeadQuery, ErrorCode,
};

/// A letter, as it lies there.
pub(super) struct Letter {
    pub(super) summary: DeadLetter,
    pub(super) added: Added,
    pub(super) taken: Taken,
}

impl Letter {
    /// `None`: the record is none.
    fn of(topic: &str, taken: Taken) -> Option<Self> {
        let id = DeadLetterId {
            topic: topic.to_owned(),
            partition: number(taken.partition),
            offset: taken.offset,
        };
        let headers = taken.headers.iter();
        let added = Added::of(headers.map(|(name, value)| (name.as_ref(), value.as_deref())));
        let summary = added.summary(&id, taken.timestamp)?;
        Some(Self { summary, added, taken })
    }

    fn detail(self) -> DeadLetterDetail {
        let mut headers = self.taken.headers.iter();
        let checkpoint = headers.find(|(name, _)| name.as_ref() == CHECKPOINT);
        let checkpoint = checkpoint.and_then(|(_, value)| u32::try_from(value.as_ref().map_or(0, Bytes::len)).ok());
        let mut record = self.taken.shown().record;
        record.headers.retain(|header| !is_added(header.name.as_bytes()));
        self.added.detail(self.summary, record, checkpoint)
    }
}

/// A partition of a dead-letter topic, as far as it went when it was asked.
pub(super) struct Place {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) span: Range<u64>,
}

/// The letters of a place that were not redriven, in order.
pub(super) struct Letters<'c> {
    walk: Walk<'c>,
    topic: String,
    redriven: BTreeMap<u64, u64>,
}

impl Letters<'_> {
    /// The first offset that was not read yet.
    pub(super) fn position(&self) -> u64 {
        self.walk.position()
    }

    pub(super) async fn next(&mut self) -> Result<Option<Letter>, AdminError> {
        while let Some(taken) = self.walk.next().await? {
            if self.redriven.contains_key(&taken.offset) {
                continue;
            }
            let letter = Letter::of(&self.topic, taken);
            if letter.is_some() {
                return Ok(letter);
            }
        }
        Ok(None)
    }
}

impl KafkaAdmin {
    pub(super) async fn dead_page(&self, query: DeadQuery) -> Result<DeadPage, AdminError> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut dead_letters = Vec::new();
        for place in self.dead_places(&query.filter).await? {
            // One more than asked for tells that there are more. To begin with a place is to read all of it.
            if dead_letters.len() > limit {
                break;
            }
            let mut letters = self.letters(&place).await?;
            while dead_letters.len() <= limit {
                let Some(letter) = letters.next().await? else { break };
                dead_letters.extend(Some(letter.summary).filter(|letter| fits(letter, &query.filter)));
            }
        }
        if dead_letters.is_empty()
            && let Some(group) = &query.filter.group
        {
            self.require_group(group).await?;
        }
        let more = dead_letters.len() > limit;
        dead_letters.truncate(limit);
        Ok(DeadPage {
            dead_letters,
            more,
            unreadable: Vec::new(),
        })
    }

    pub(super) async fn dead_detail(&self, id: &DeadLetterId) -> Result<DeadLetterDetail, AdminError> {
        Ok(self.letter(id).await?.detail())
    }

    /// A letter, redriven or not.
    pub(super) async fn letter(&self, id: &DeadLetterId) -> Result<Letter, AdminError> {
        self.require_partition(&id.topic, id.partition).await?;
        let spans = self.client.spans(&id.topic).await?;
        if spans
            .get(&index(id.partition))
            .is_some_and(|span| id.offset < span.start)
        {
            let message = format!("dead letter {id} is not there any more: retention took it");
            return Err(AdminError::new(ErrorCode::NotFound, message));
        }
        let taken = self.record_at(&id.topic, id.partition, id.offset).await?;
        let letter = taken.and_then(|taken| Letter::of(&id.topic, taken));
        letter.ok_or_else(|| {
            AdminError::new(ErrorCode::NotFound, format!("there is no dead letter {id}"))
                .hint("sharemill dead list shows those that there are")
        })
    }

    /// Every partition of every topic that may have letters.
    pub(super) async fn dead_places(&self, filter: &DeadFilter) -> Result<Vec<Place>, AdminError> {
        let mut places = Vec::new();
        for topic in self.dead_topics(filter).await? {
            for (partition, span) in self.client.spans(&topic).await? {
                places.push(Place {
                    topic: topic.clone(),
                    partition,
                    span,
                });
            }
        }
        Ok(places)
    }

    /// Reads the place once for the marks, and lets it be read again for the letters.
    pub(super) async fn letters(&self, place: &Place) -> Result<Letters<'_>, AdminError> {
        let Place { topic, partition, span } = place;
        Ok(Letters {
            walk: Walk::new(&self.client, topic, *partition, span.clone()),
            topic: topic.clone(),
            redriven: self.marks(place).await?,
        })
    }

    /// Reads the place: offsets of letters that were redriven, and of the last mark of each.
    pub(super) async fn marks(&self, place: &Place) -> Result<BTreeMap<u64, u64>, AdminError> {
        let Place { topic, partition, span } = place;
        let mut marks = BTreeMap::new();
        let mut walk = Walk::new(&self.client, topic, *partition, span.clone());
        while let Some(taken) = walk.next().await? {
            marks.extend(mark::read(topic, &taken).map(|letter| (letter, taken.offset)));
        }
        Ok(marks)
    }

    /// The topics in which letters are looked for: those of the manifest, those that groups of the cluster are set to, and whatever is called
    /// as a group's is unless it is told otherwise.
    async fn dead_topics(&self, filter: &DeadFilter) -> Result<Vec<String>, AdminError> {
        if let Some(topic) = &filter.topic {
            self.client.topic(topic).await?;
            return Ok(vec![topic.clone()]);
        }
        let mut named: BTreeSet<String> = self.beside.dead_letters.values().cloned().collect();
        // As it is called unless it is told otherwise.
        let untold = filter
            .group
            .iter()
            .filter(|group| !self.beside.dead_letters.contains_key(*group));
        named.extend(untold.map(|group| format!("{group}{USUAL}")));
        for listing in self.client.groups().await? {
            let settings = match self.client.settings(&ConfigOf::Group(listing.group)).await {
                // Its letters may be named by --topic.
                Err(error) if error.denied().is_some() => continue,
                other => other?,
            };
            let set = settings.into_iter().find(|one| one.name == BROKERS_TOPIC);
            named.extend(set.and_then(|one| one.value));
        }
        self.require_seen(&named).await?;
        let topics = self.client.topics().await?.into_iter().map(|topic| topic.name);
        Ok(topics
            .filter(|topic| named.contains(topic) || topic.ends_with(USUAL))
            .collect())
    }

    /// Fails if one of them may be there unseen, so that this is not taken for there being no letters.
    async fn require_seen(&self, named: &BTreeSet<String>) -> Result<(), AdminError> {
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        if named.is_empty() {
            return Ok(());
        }
        for (topic, access) in self.client.access(&named).await? {
            if access.presence == Presence::Hidden {
                // Says who lacks what, and how it is granted.
                self.client.topic(&topic).await?;
            }
        }
        Ok(())
    }

    /// A group without letters is one that there is.
    async fn require_group(&self, group: &str) -> Result<(), AdminError> {
        Ok(self.client.group(group).await.map(drop)?)
    }
}

/// The setting of a group by which a broker of 4.4 writes letters itself.
const BROKERS_TOPIC: &str = "errors.deadletterqueue.topic.name";
/// The end of the names that dead-letter topics have.
const USUAL: &str = ".dead";

//! Dead letters in a cluster: records with the headers of a letter, whoever wrote them, without those that were redriven. No record of
//! a topic can be taken out: that a letter was redriven says a mark behind it (`mark`), so that all of a partition is read.

mod mark;
mod redrive;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use share_client::admin::{ConfigOf, Presence};
use share_client::tools::Operation;

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
        let topics = self.dead_topics(&query.filter).await?;
        for place in self.places(topics.read).await? {
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
            hidden: topics.hidden,
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
        let topics = self.dead_topics(filter).await?;
        self.places(topics.read).await
    }

    async fn places(&self, topics: Vec<String>) -> Result<Vec<Place>, AdminError> {
        let mut places = Vec::new();
        for topic in topics {
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
    /// as a group's is unless it is told otherwise. Fails if one that is meant may be there unseen, so that this is not taken for there
    /// being no letters; others' topics that may not be read are told by name.
    async fn dead_topics(&self, filter: &DeadFilter) -> Result<Topics, AdminError> {
        if let Some(topic) = &filter.topic {
            self.client.topic(topic).await?;
            return Ok(Topics {
                read: vec![topic.clone()],
                hidden: Vec::new(),
            });
        }
        let ours = &self.beside.dead_letters;
        let (mut set, mut untold) = (BTreeMap::new(), None);
        for listing in self.client.groups().await? {
            let settings = match self.client.settings(&ConfigOf::Group(listing.group.clone())).await {
                // Its letters may be named by --topic.
                Err(error) if error.denied().is_some() => {
                    if filter.group.as_ref() == Some(&listing.group) && !ours.contains_key(&listing.group) {
                        untold = Some(error);
                    }
                    continue;
                }
                other => other?,
            };
            let topic = settings.into_iter().find(|one| one.name == BROKERS_TOPIC);
            set.extend(topic.and_then(|one| one.value).map(|topic| (listing.group, topic)));
        }
        let meant = meant(filter.group.as_deref(), ours, &set);
        let mut named: BTreeSet<String> = ours.values().chain(set.values()).chain(&meant).cloned().collect();
        let topics = self.client.topics().await?.into_iter().map(|topic| topic.name);
        named.extend(topics.filter(|topic| topic.ends_with(USUAL)));
        let names: Vec<&str> = named.iter().map(String::as_str).collect();
        let mut found = Topics::default();
        if names.is_empty() {
            return Ok(found);
        }
        for (topic, access) in self.client.access(&names).await? {
            let is_meant = meant.contains(&topic);
            match access.presence {
                Presence::Missing => {
                    // The brokers may have been told another one.
                    if is_meant && let Some(error) = untold.take() {
                        return Err(error.into());
                    }
                }
                // Says who lacks what, and how it is granted.
                Presence::Hidden if is_meant => drop(self.client.topic(&topic).await?),
                Presence::There if is_meant || access.allows(Operation::Read) != Some(false) => found.read.push(topic),
                // Nobody has asked for those of others.
                Presence::Hidden | Presence::There if filter.group.is_some() => {}
                Presence::Hidden | Presence::There => found.hidden.push(topic),
            }
        }
        Ok(found)
    }

    /// A group without letters is one that there is.
    async fn require_group(&self, group: &str) -> Result<(), AdminError> {
        Ok(self.client.group(group).await.map(drop)?)
    }
}

/// Topics that are looked through.
#[derive(Debug, Default)]
struct Topics {
    read: Vec<String>,
    /// Others', that may have letters.
    hidden: Vec<String>,
}

/// The topics without which the answer would be wrong: the group's, or all of the manifest. `ours` and `set` are topics by group, of the
/// manifest and of the brokers.
fn meant(group: Option<&str>, ours: &BTreeMap<String, String>, set: &BTreeMap<String, String>) -> BTreeSet<String> {
    let Some(group) = group else {
        return ours.values().cloned().collect();
    };
    let told: BTreeSet<String> = ours.get(group).into_iter().chain(set.get(group)).cloned().collect();
    if told.is_empty() {
        return BTreeSet::from([format!("{group}{USUAL}")]);
    }
    told
}

/// The setting of a group by which a broker of 4.4 writes letters itself.
const BROKERS_TOPIC: &str = "errors.deadletterqueue.topic.name";
/// The end of the names that dead-letter topics have.
const USUAL: &str = ".dead";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_s_letters_are_where_it_was_told_or_where_they_usually_are() {
        let map = |group: &str, topic: &str| BTreeMap::from([(group.to_owned(), topic.to_owned())]);
        let (ours, set) = (map("jobs", "lost"), map("payments", "dlq.payments"));
        let meant = |group| meant(group, &ours, &set).into_iter().collect::<Vec<_>>();
        assert_eq!(meant(Some("jobs")), ["lost"]);
        // `payments.dead` may be another's, and unseen.
        assert_eq!(meant(Some("payments")), ["dlq.payments"]);
        assert_eq!(meant(Some("mails")), ["mails.dead"]);
        assert_eq!(meant(None), ["lost"]);
    }
}

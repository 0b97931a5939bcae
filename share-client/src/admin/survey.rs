//! The states of a group's records, read from the topic in which brokers keep them: any group's, whether we are in it or not.

use std::collections::{BTreeMap, BTreeSet};

use share_wire::Uuid;
use share_wire::code::ErrorCode;
use share_wire::records::{Batch, PLAIN_MAX};

use super::Admin;
use super::error::{AdminError, Resource};
use super::offsets::{At, Isolation};
use super::read::{Fetched, Want};
use super::states::{Entry, History, Key, STATE_TOPIC, ShareState, place};
use super::topics::Topic;
use crate::tools::Operation;

/// Whose states are looked for, in one partition of the state topic.
struct Wanted<'a> {
    group: &'a str,
    topic_id: Uuid,
    partitions: BTreeSet<i32>,
}

impl Admin {
    /// What brokers keep of a group in the partitions of a topic, as of now. Partitions of which nothing is kept are not in the
    /// answer. It takes reading a part of the topic [`STATE_TOPIC`] from its beginning to its end; brokers cut off what is not needed
    /// any more.
    ///
    /// # Errors
    /// Needs READ on the state topic: [`AdminError::Denied`] says how it is granted.
    pub async fn states(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, ShareState>, AdminError> {
        let histories = self.histories(group, topic).await?;
        let now = |(partition, history): (i32, History)| Some((partition, history.now().cloned()?));
        Ok(histories.into_iter().filter_map(now).collect())
    }

    /// As [`Admin::states`], with what still lies in the state topic of records below the start.
    ///
    /// # Errors
    /// The same.
    pub async fn histories(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, History>, AdminError> {
        let topic = self.topic(topic).await?;
        let kept_in = match self.topic(STATE_TOPIC).await {
            // Nothing was ever kept.
            Err(AdminError::Missing { .. }) => return Ok(BTreeMap::new()),
            other => other.map_err(needs_read)?,
        };
        let count = u32::try_from(kept_in.partitions.len()).unwrap_or(u32::MAX);
        let mut places: BTreeMap<u32, BTreeSet<i32>> = BTreeMap::new();
        for one in &topic.partitions {
            let index = place(group, topic.id, one.partition, count);
            places.entry(index).or_default().insert(one.partition);
        }
        let mut histories = BTreeMap::new();
        for (index, partitions) in places {
            let wanted = Wanted {
                group,
                topic_id: topic.id,
                partitions,
            };
            let index = i32::try_from(index).unwrap_or(i32::MAX);
            let found = self.asker.patiently(|| self.histories_once(index, &wanted)).await;
            histories.extend(found.map_err(needs_read)?);
        }
        histories.retain(|_, history: &mut History| history.now().is_some());
        Ok(histories)
    }

    async fn histories_once(&self, index: i32, wanted: &Wanted<'_>) -> Result<BTreeMap<i32, History>, AdminError> {
        // Brokers may cut off the beginning while it is being read; then there is a newer one.
        for _ in 0..RESTARTS_MAX {
            match self.histories_from_start(index, wanted).await {
                Err(AdminError::Refused {
                    code: ErrorCode::OFFSET_OUT_OF_RANGE,
                    ..
                }) => {}
                other => return other,
            }
        }
        self.histories_from_start(index, wanted).await
    }

    async fn histories_from_start(
        &self,
        index: i32,
        wanted: &Wanted<'_>,
    ) -> Result<BTreeMap<i32, History>, AdminError> {
        let kept_in = self.topic_once(STATE_TOPIC).await?;
        let (mut next, end) = self.span(&kept_in, index).await?;
        let mut histories = BTreeMap::new();
        while next < end {
            let want = Want {
                isolation: Isolation::Committed,
                ..Want::from(next)
            };
            let fetched = self.read_of(&kept_in, index, want).await?;
            let mut batches = fetched.batches();
            for batch in batches.by_ref() {
                let batch = batch.map_err(|error| fetched.unreadable(&error))?;
                read_batch(&fetched, &batch, next, wanted, index, &mut histories)?;
            }
            match batches.next_offset() {
                Some(after) if after > next => next = after,
                // Nothing came although there is more: the leader has changed, perhaps.
                _ => {
                    return Err(AdminError::NoLeader {
                        topic: STATE_TOPIC.to_owned(),
                        partition: index,
                    });
                }
            }
        }
        Ok(histories)
    }

    /// Where the partition of the state topic begins and ends.
    async fn span(&self, kept_in: &Topic, index: i32) -> Result<(u64, u64), AdminError> {
        let begins = self
            .offsets_of(kept_in, vec![index], At::Earliest, Isolation::Committed)
            .await?;
        let ends = self
            .offsets_of(kept_in, vec![index], At::Latest, Isolation::Committed)
            .await?;
        let of = |found: &BTreeMap<i32, super::Offset>| found.get(&index).and_then(|found| found.offset).unwrap_or(0);
        Ok((of(&begins), of(&ends)))
    }
}

/// Applies what a batch of the state topic says of who is wanted.
fn read_batch(
    fetched: &Fetched,
    batch: &Batch,
    from: u64,
    wanted: &Wanted<'_>,
    index: i32,
    histories: &mut BTreeMap<i32, History>,
) -> Result<(), AdminError> {
    let plain = batch.plain(PLAIN_MAX).map_err(|error| fetched.unreadable(&error))?;
    for record in plain.records() {
        let record = record.map_err(|error| fetched.unreadable(&error))?;
        if u64::try_from(record.offset).is_ok_and(|offset| offset < from) {
            continue;
        }
        let wrong = |source| AdminError::State {
            about: Resource::Partition(STATE_TOPIC.to_owned(), index),
            offset: record.offset,
            source,
        };
        let key = Key::read(record.key.unwrap_or_default()).map_err(wrong)?;
        if key.topic_id != wanted.topic_id || !wanted.partitions.contains(&key.partition) || key.group != wanted.group {
            continue;
        }
        let entry = Entry::read(&key, record.value).map_err(wrong)?;
        let before = histories.remove(&key.partition).unwrap_or_default();
        histories.insert(key.partition, before.apply(entry).map_err(wrong)?);
    }
    Ok(())
}

/// Whoever may not know of the state topic may not read it either: that is what has to be granted.
fn needs_read(error: AdminError) -> AdminError {
    match error {
        AdminError::Denied(mut denied) => {
            denied.operation = Operation::Read;
            AdminError::Denied(denied)
        }
        other => other,
    }
}

/// How often reading begins anew.
const RESTARTS_MAX: usize = 3;

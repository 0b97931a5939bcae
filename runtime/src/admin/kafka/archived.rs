//! Records that a group has given up: which, from what brokers wrote of their states; what they hold, from the topic by offset. Their
//! copies in another topic are the same byte for byte.

use std::collections::VecDeque;
use std::ops::Range;

use share_client::admin::states::StateBatch;

use super::KafkaAdmin;
use super::read::{Taken, Walk, index, number};
use crate::admin::{AdminError, Archived, ArchivedPage, ArchivedQuery, Forgotten};

/// What a group has given up in a partition.
pub(super) struct GivenUp<'c> {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// What the topic keeps.
    span: Range<u64>,
    batches: VecDeque<StateBatch>,
    walk: Walk<'c>,
    pub(super) forgotten: Option<Forgotten>,
}

/// A record that was given up.
pub(super) struct Found {
    pub(super) offset: u64,
    deliveries: u16,
    /// `None`: the topic does not keep it any more.
    pub(super) record: Option<Taken>,
}

impl GivenUp<'_> {
    /// The first offset that is still to be looked at.
    pub(super) fn position(&self) -> u64 {
        self.batches.front().map_or(self.span.end, |batch| batch.first)
    }

    /// The next one. Offsets without a record, such as the ends of transactions, are passed over.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, AdminError> {
        while let Some(batch) = self.batches.front_mut() {
            let deliveries = batch.deliveries;
            if batch.first > batch.last {
                self.batches.pop_front();
                continue;
            }
            let offset = batch.first;
            if !self.span.contains(&offset) {
                batch.first += 1;
                return Ok(Some(Found {
                    offset,
                    deliveries,
                    record: None,
                }));
            }
            self.walk.skip_to(offset);
            let end = self.span.end.min(batch.last + 1);
            let record = self.walk.next_before(end).await?;
            batch.first = record.as_ref().map_or(end, |record| record.offset + 1);
            if let Some(record) = record {
                return Ok(Some(Found {
                    offset: record.offset,
                    deliveries,
                    record: Some(record),
                }));
            }
        }
        Ok(None)
    }
}

impl KafkaAdmin {
    pub(super) async fn archived_page(&self, group: &str, query: ArchivedQuery) -> Result<ArchivedPage, AdminError> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut page = ArchivedPage::default();
        for mut given_up in self.given_up(group, &query).await? {
            // One more than asked for tells that there are more.
            while page.archived.len() <= limit {
                let Some(found) = given_up.next().await? else { break };
                page.archived.push(Archived {
                    topic: given_up.topic.clone(),
                    partition: number(given_up.partition),
                    offset: found.offset,
                    delivery_count: u32::from(found.deliveries),
                    record: found.record.map(|record| record.shown().record),
                });
            }
            page.forgotten.extend(given_up.forgotten);
        }
        page.more = page.archived.len() > limit;
        page.archived.truncate(limit);
        Ok(page)
    }

    /// By topic and partition; those without any are among them, for what may have been forgotten.
    pub(super) async fn given_up(&self, group: &str, query: &ArchivedQuery) -> Result<Vec<GivenUp<'_>>, AdminError> {
        let mut all = Vec::new();
        for topic in self.topics_of(group, query.topic.as_deref()).await? {
            if let Some(wanted) = query.partition {
                self.require_partition(&topic, wanted).await?;
            }
            let mut histories = self.client.histories(group, &topic).await?;
            for (partition, span) in self.client.spans(&topic).await? {
                let Some(history) = histories.remove(&partition) else {
                    continue;
                };
                if query.partition.is_some_and(|wanted| index(wanted) != partition) {
                    continue;
                }
                let from = query.from.unwrap_or(0);
                let begun = |batch: StateBatch| StateBatch {
                    first: batch.first.max(from),
                    ..batch
                };
                let offsets = history.forgotten(span.start.max(from));
                let below = history.now().and_then(|now| now.start).unwrap_or(0);
                all.push(GivenUp {
                    walk: Walk::new(&self.client, &topic, partition, span.clone()),
                    batches: history.archived().map(begun).collect(),
                    forgotten: (offsets > 0).then(|| Forgotten {
                        topic: topic.clone(),
                        partition: number(partition),
                        offsets,
                        below,
                    }),
                    topic: topic.clone(),
                    partition,
                    span,
                });
            }
        }
        Ok(all)
    }
}

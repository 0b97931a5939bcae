//! States of a group's records, from what brokers wrote of them: any group's. What a member holds at the moment nobody tells, so
//! that it is not told from what was never delivered.

use std::collections::BTreeSet;
use std::ops::Range;

use share_client::admin::states::{DeliveryState, History};

use super::KafkaAdmin;
use super::groups::not_read;
use super::read::{index, number};
use crate::admin::group::within;
use crate::admin::{AdminError, ErrorCode, RecordState, RecordView, RecordsPage, RecordsQuery};

impl KafkaAdmin {
    pub(super) async fn records_page(&self, group: &str, query: RecordsQuery) -> Result<RecordsPage, AdminError> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut records = Vec::new();
        let mut numbers = BTreeSet::new();
        let mut ends = Vec::new();
        for topic in self.topics_of(group, query.topic.as_deref()).await? {
            let histories = self.client.histories(group, &topic).await?;
            for (partition, span) in self.client.spans(&topic).await? {
                numbers.insert(number(partition));
                if query.partition.is_some_and(|wanted| index(wanted) != partition) {
                    continue;
                }
                ends.push((topic.clone(), number(partition), span.end));
                let share = Share {
                    topic: &topic,
                    partition: number(partition),
                    history: histories.get(&partition),
                };
                let room = limit.saturating_add(1).saturating_sub(records.len());
                records.extend(share.views(&span, &query).take(room));
            }
        }
        if let Some(wanted) = query.partition.filter(|wanted| !numbers.contains(wanted)) {
            let message = format!("group {group} has no partition {wanted}");
            let error = AdminError::new(ErrorCode::NotFound, message);
            return Err(match numbers.last() {
                Some(last) => error.hint(format!("there are partitions 0 to {last}")),
                None => error,
            });
        }
        let ends: Vec<_> = ends
            .iter()
            .map(|(topic, partition, end)| (&**topic, *partition, *end))
            .collect();
        within(query.from, &ends)?;
        let more = records.len() > limit;
        records.truncate(limit);
        Ok(RecordsPage { records, more })
    }

    /// The topics of a group, or one of them.
    pub(super) async fn topics_of(&self, group: &str, only: Option<&str>) -> Result<Vec<String>, AdminError> {
        // Says whether there is such a group.
        self.client.group(group).await?;
        let mut offsets = self.client.group_offsets(group, None).await?;
        // Of a topic that was deleted nothing can be read.
        offsets.retain(|one| !one.topic_id.is_nil());
        let known: BTreeSet<&str> = offsets.iter().map(|one| one.topic.as_str()).collect();
        match only {
            None if known.is_empty() => {
                let message = format!("group {group} reads no topic that may be seen");
                let hint = "name one by --topic: if a permission is missing, that says which";
                Err(AdminError::new(ErrorCode::NotFound, message).hint(hint))
            }
            None => Ok(known.into_iter().map(ToOwned::to_owned).collect()),
            Some(topic) if known.contains(topic) => Ok(vec![topic.to_owned()]),
            Some(topic) => {
                // One that may not be seen is not among those that are known.
                self.client.topic(topic).await?;
                Err(not_read(group, topic, &known))
            }
        }
    }
}

/// A group in a partition.
struct Share<'a> {
    topic: &'a str,
    partition: u32,
    history: Option<&'a History>,
}

impl Share<'_> {
    fn views(&self, span: &Range<u64>, query: &RecordsQuery) -> impl Iterator<Item = RecordView> {
        let wanted = |state: RecordState| query.states.is_empty() || query.states.contains(&state);
        let now = self.history.and_then(History::now);
        let start = now.and_then(|now| now.start).unwrap_or(span.start);
        let from = query.from.unwrap_or(start).max(span.start);
        // Behind the last of which anything is known there is nothing but what is not known.
        let known = now.and_then(|now| now.batches.last()).map_or(0, |last| last.last + 1);
        let end = if wanted(RecordState::Unknown) {
            span.end
        } else {
            span.end.min(known.max(start))
        };
        let states = query.states.clone();
        let views = (from..end).map(move |offset| self.view(offset, start));
        views.filter(move |view| states.is_empty() || states.contains(&view.state))
    }

    fn view(&self, offset: u64, start: u64) -> RecordView {
        let known = self.history.and_then(|history| history.at(offset));
        let state = match known.map(|batch| batch.state) {
            Some(DeliveryState::Available) => RecordState::Available,
            Some(DeliveryState::Acknowledged) => RecordState::Acknowledged,
            Some(DeliveryState::Archiving | DeliveryState::Archived) => RecordState::Archived,
            None if offset < start => RecordState::Finished,
            None => RecordState::Unknown,
        };
        RecordView {
            topic: self.topic.to_owned(),
            partition: self.partition,
            offset,
            state,
            delivery_count: known.map(|batch| u32::from(batch.deliveries)),
            member: None,
            lease_left_ms: None,
            due_in_ms: None,
            strikes: None,
            checkpoint_bytes: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use share_client::admin::states::{Entry, Snapshot, StateBatch, Update};

    use super::*;

    fn history() -> History {
        let batch = |first, last, state| StateBatch {
            first,
            last,
            state,
            deliveries: 2,
        };
        let begun = Snapshot {
            state_epoch: 0,
            leader_epoch: 0,
            start: 1,
            finished: 0,
            created_ms: 0,
            batches: vec![batch(1, 1, DeliveryState::Archived)],
        };
        let moved = Update {
            leader_epoch: 0,
            start: 3,
            finished: 1,
            batches: vec![
                batch(4, 4, DeliveryState::Acknowledged),
                batch(5, 5, DeliveryState::Available),
            ],
        };
        let begun = History::default().apply(Entry::Snapshot(begun)).unwrap();
        begun.apply(Entry::Update(moved)).unwrap()
    }

    fn shown(from: Option<u64>, states: &[RecordState]) -> Vec<(u64, RecordState, Option<u32>)> {
        let query = RecordsQuery {
            from,
            states: states.to_vec(),
            ..RecordsQuery::default()
        };
        let history = history();
        let share = Share {
            topic: "jobs",
            partition: 0,
            history: Some(&history),
        };
        let views = share.views(&(1..8), &query);
        views
            .map(|view| (view.offset, view.state, view.delivery_count))
            .collect()
    }

    #[test]
    fn what_nobody_knows_is_not_guessed() {
        use RecordState::{Acknowledged, Archived, Available, Finished, Unknown};
        let from_start = [
            (3, Unknown, None),
            (4, Acknowledged, Some(2)),
            (5, Available, Some(2)),
            (6, Unknown, None),
            (7, Unknown, None),
        ];
        assert_eq!(shown(None, &[]), from_start);
        let below = [(1, Archived, Some(2)), (2, Finished, None)];
        assert_eq!(shown(Some(0), &[])[..2], below);
        assert_eq!(shown(Some(0), &[Available]), [(5, Available, Some(2))]);
        assert_eq!(shown(None, &[Unknown]).len(), 3);
    }
}

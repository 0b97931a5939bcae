//! A cluster's share groups: where they stand as the cluster counts it, and moving and removing them while nobody is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use share_client::admin::{Group, GroupOffset, Limit, MoveTo, Reset, ShareSupport};

use super::KafkaAdmin;
use super::error::EMPTY_FIRST;
use super::read::{index, number};
use crate::admin::{
    AdminError, ErrorCode, GroupDeleted, GroupDetail, GroupSummary, LeftAlone, Member, ResetGroup, ResetPartition,
    ResetResult, ResetTo, SharePartitionView,
};
use crate::config::Start;

type Spans = BTreeMap<i32, Range<u64>>;

impl KafkaAdmin {
    pub(super) async fn group_list(&self) -> Result<Vec<GroupSummary>, AdminError> {
        let mut list = Vec::new();
        for listing in self.client.groups().await? {
            let group = match self.client.group(&listing.group).await {
                // It went meanwhile.
                Err(error) if error.is_missing() => continue,
                other => other?,
            };
            list.push(summary(&group, &self.offsets_of(&group).await?));
        }
        if list.is_empty() {
            self.require_share_groups().await?;
        }
        Ok(list)
    }

    /// Fails if there can be none, so that this is not taken for there being none.
    async fn require_share_groups(&self) -> Result<(), AdminError> {
        for broker in self.client.cluster().await?.brokers {
            // One that is down is no reason to say anything.
            let Ok(support) = self.client.support(&broker.address).await else {
                continue;
            };
            if !matches!(support.shares, ShareSupport::On(_)) {
                return Err(AdminError::new(ErrorCode::Unavailable, support.to_string()));
            }
        }
        Ok(())
    }

    /// Where a group stands in every topic that it knows, those that its members only just asked for among them.
    async fn offsets_of(&self, group: &Group) -> Result<Vec<GroupOffset>, AdminError> {
        let mut offsets = self.client.group_offsets(&group.group, None).await?;
        let known: BTreeSet<&str> = offsets.iter().map(|one| one.topic.as_str()).collect();
        let wanted: BTreeSet<&str> = group
            .members
            .iter()
            .flat_map(|member| member.topics.iter().map(String::as_str))
            .collect();
        let fresh: Vec<&str> = wanted.difference(&known).copied().collect();
        if !fresh.is_empty() {
            let more = self.client.group_offsets(&group.group, Some(&fresh)).await?;
            offsets.extend(more);
        }
        offsets.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        Ok(offsets)
    }

    pub(super) async fn group_detail(&self, name: &str) -> Result<GroupDetail, AdminError> {
        let group = self.client.group(name).await?;
        let offsets = self.offsets_of(&group).await?;
        let limits = self.client.limits(name).await?;
        let mut notes = Vec::new();
        let deliveries = known("delivery count limit", &limits.attempts, &mut notes);
        let lock = known("lock", &limits.lock, &mut notes);
        let reset = known("start", &limits.reset, &mut notes);
        let by_broker = known("dead letter", &limits.dead_letters, &mut notes).flatten();
        if offsets.is_empty() {
            notes.push("it reads no topic, or none that may be seen".to_owned());
        }
        let mut share_partitions = Vec::new();
        let mut spans: BTreeMap<&str, Option<Spans>> = BTreeMap::new();
        for one in &offsets {
            if !spans.contains_key(one.topic.as_str()) {
                let found = match self.client.spans(&one.topic).await {
                    Err(error) if error.is_missing() => None,
                    other => Some(other?),
                };
                spans.insert(&one.topic, found);
            }
            let span = spans.get(one.topic.as_str()).and_then(Option::as_ref);
            share_partitions.push(share_view(one, span));
        }
        Ok(GroupDetail {
            summary: summary(&group, &offsets),
            attempts: None,
            delivery_count_limit: deliveries,
            lock_ms: lock.map(|lock| u64::try_from(lock.as_millis()).unwrap_or(u64::MAX)),
            start: reset.map(|reset| match reset {
                Reset::Latest => Start::Latest,
                Reset::Earliest => Start::Earliest,
                Reset::ByDuration(age) => Start::ByDuration(age),
            }),
            dead_letter: by_broker
                .map(|letters| letters.topic)
                .or_else(|| self.beside.dead_letters.get(name).cloned()),
            member_list: group.members.iter().map(member).collect(),
            share_partitions,
            notes,
        })
    }

    pub(super) async fn reset(&self, name: &str, request: ResetGroup) -> Result<ResetResult, AdminError> {
        let group = self.client.group(name).await?;
        refuse_members(&group)?;
        let before = self.client.group_offsets(name, None).await?;
        let mut topics: BTreeSet<&str> = before.iter().map(|one| one.topic.as_str()).collect();
        if let Some(topic) = request.topic.as_deref().filter(|topic| !topics.contains(topic)) {
            return Err(not_read(name, topic, &topics));
        }
        let mut left = Vec::new();
        match &request.topic {
            Some(topic) => topics.retain(|one| one == topic),
            // What was copied there is no part of the history that is gone through anew, and would be lost, or handled twice.
            None => topics.retain(|topic| {
                let is_left = self.beside.is_retry(name, topic);
                if is_left {
                    left.push(left_alone(topic, &before));
                }
                !is_left
            }),
        }
        if let (ResetTo::Offset(offset), 2..) = (request.to, topics.len()) {
            let all: Vec<&str> = topics.into_iter().collect();
            let message = format!("offset {offset} of which topic? Group {name} reads {}", all.join(", "));
            return Err(AdminError::new(ErrorCode::Invalid, message).hint("name one with --topic"));
        }
        // Nothing is moved if anything is out of reach.
        for topic in &topics {
            if let Some(wanted) = request.partition {
                self.require_partition(topic, wanted).await?;
            }
            if let ResetTo::Offset(offset) = request.to {
                self.require_reach(topic, request.partition, offset).await?;
            }
        }
        let mut partitions = Vec::new();
        for topic in topics {
            let moved = self.move_in(name, topic, request.partition, request.to).await?;
            let spans = self.client.spans(topic).await?;
            for (partition, to) in moved {
                let was = before
                    .iter()
                    .find(|one| one.topic == topic && one.partition == partition);
                let end = spans.get(&partition).map_or(to, |span| span.end);
                partitions.push(ResetPartition {
                    topic: topic.to_owned(),
                    partition: number(partition),
                    from: was.and_then(|was| was.start),
                    to,
                    state_epoch: None,
                    unsettled: end.saturating_sub(to),
                    is_queue: false,
                });
            }
        }
        Ok(ResetResult { partitions, left })
    }

    /// Fails if a partition ends before this offset: everything up to it would be lost unseen.
    async fn require_reach(&self, topic: &str, only: Option<u32>, offset: u64) -> Result<(), AdminError> {
        for (partition, span) in self.client.spans(topic).await? {
            let (partition, Range { start, end }) = (number(partition), span);
            if offset > end && only.is_none_or(|only| only == partition) {
                let message =
                    format!("offset {offset} is behind the end of {topic}/{partition}, which has {start} to {end}");
                let hint = "--partition names one of them; --to latest goes behind the last record of each";
                return Err(AdminError::new(ErrorCode::Invalid, message).hint(hint));
            }
        }
        Ok(())
    }

    async fn move_in(
        &self,
        group: &str,
        topic: &str,
        partition: Option<u32>,
        to: ResetTo,
    ) -> Result<BTreeMap<i32, u64>, AdminError> {
        let wanted = partition.map(index);
        let listed = wanted.as_slice();
        let only = wanted.is_some().then_some(listed);
        let to = match to {
            ResetTo::Start(Start::Earliest) => MoveTo::Earliest,
            ResetTo::Start(Start::Latest) => MoveTo::Latest,
            ResetTo::Start(Start::ByDuration(age)) => {
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                MoveTo::Timestamp(now_ms().saturating_sub(age))
            }
            ResetTo::Offset(offset) => {
                // One that was cut off already stands for the first that is there.
                let mut moved = BTreeMap::new();
                for (partition, span) in self.client.spans(topic).await? {
                    if wanted.is_none_or(|wanted| wanted == partition) {
                        let to = MoveTo::Offset(offset.max(span.start));
                        moved.extend(self.client.move_group(group, topic, Some(&[partition]), to).await?);
                    }
                }
                return Ok(moved);
            }
        };
        Ok(self.client.move_group(group, topic, only, to).await?)
    }

    pub(super) async fn delete_group_now(&self, name: &str, force: bool) -> Result<GroupDeleted, AdminError> {
        let group = self.client.group(name).await?;
        refuse_members(&group)?;
        let offsets = self.client.group_offsets(name, None).await?;
        let unsettled = lag(&offsets);
        if !force && unsettled != Some(0) {
            let left = unsettled.map_or_else(
                || "records, nobody knows how many,".to_owned(),
                |left| format!("{left} record(s)"),
            );
            let message = format!("group {name} has {left} that are not settled");
            let hint = "--force deletes it; its records stay in their topics for other groups";
            return Err(AdminError::new(ErrorCode::Conflict, message).hint(hint));
        }
        self.client.delete_group(name).await?;
        Ok(GroupDeleted {
            share_partitions: u32::try_from(offsets.len()).unwrap_or(u32::MAX),
            unsettled,
        })
    }
}

fn left_alone(topic: &str, offsets: &[GroupOffset]) -> LeftAlone {
    let there: Vec<GroupOffset> = offsets.iter().filter(|one| one.topic == topic).cloned().collect();
    LeftAlone {
        topic: topic.to_owned(),
        records: lag(&there),
    }
}

/// Fails with the topics that there are.
pub(super) fn not_read(group: &str, topic: &str, known: &BTreeSet<&str>) -> AdminError {
    let message = format!("group {group} does not read topic {topic:?}");
    let known: Vec<&str> = known.iter().copied().collect();
    let hint = if known.is_empty() {
        format!("group {group} reads no topic")
    } else {
        format!("there is {}", known.join(", "))
    };
    AdminError::new(ErrorCode::NotFound, message).hint(hint)
}

fn refuse_members(group: &Group) -> Result<(), AdminError> {
    let members = group.members.len();
    if members == 0 {
        return Ok(());
    }
    let message = format!("{members} member(s) work for group {}", group.group);
    Err(AdminError::new(ErrorCode::Conflict, message).hint(EMPTY_FIRST))
}

/// The value, or a note why there is none.
fn known<T: Clone>(what: &str, limit: &Limit<T>, notes: &mut Vec<String>) -> Option<T> {
    match limit {
        Limit::Known(value) => Some(value.clone()),
        Limit::Assumed { why, .. } => {
            notes.push(format!("{what} is not known: {why}"));
            None
        }
    }
}

fn summary(group: &Group, offsets: &[GroupOffset]) -> GroupSummary {
    let mut topics: Vec<String> = offsets.iter().map(|one| one.topic.clone()).collect();
    topics.dedup();
    GroupSummary {
        name: group.group.clone(),
        topics,
        members: u32::try_from(group.members.len()).unwrap_or(u32::MAX),
        available: None,
        acquired: None,
        parked: None,
        lag: lag(offsets),
    }
}

/// `None` as soon as the cluster does not count it somewhere.
fn lag(offsets: &[GroupOffset]) -> Option<u64> {
    offsets
        .iter()
        .try_fold(0u64, |sum, one| Some(sum.saturating_add(one.lag?)))
}

fn member(member: &share_client::admin::Member) -> Member {
    let assigned = member.assignment.iter();
    Member {
        id: member.id.clone(),
        deployment: None,
        acquired: None,
        client_id: Some(member.client_id.clone()),
        host: Some(member.host.clone()),
        assigned: Some(
            assigned
                .map(|(topic, partition)| format!("{topic}/{partition}"))
                .collect(),
        ),
    }
}

fn share_view(one: &GroupOffset, spans: Option<&Spans>) -> SharePartitionView {
    let span = spans.and_then(|spans| spans.get(&one.partition));
    let failure = match (spans, span) {
        (None, _) => Some("there is no such topic any more".to_owned()),
        (Some(_), None) => Some("no broker leads it at present".to_owned()),
        (Some(_), Some(_)) => None,
    };
    SharePartitionView {
        topic: one.topic.clone(),
        partition: number(one.partition),
        state_epoch: None,
        start_offset: one.start,
        end_offset: None,
        log_end: span.map_or(0, |span| span.end),
        available: None,
        acquired: None,
        parked: None,
        lag: one.lag,
        pinned_by: None,
        failure,
    }
}

/// Milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "compared with what other machines wrote into records"
)]
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

//! Queries: what there is and what state it is in. They change nothing.

use super::message::{AdminReply, AdminRequest, Caller, ReadFor, ToReader};
use super::retention::log_options;
use super::{Shard, World};
use crate::catalog::CatalogError;
use crate::config::EngineConfig;
use crate::engine::describe::{
    GroupDescription, PartitionDescription, RecordInfo, ShareDescription, TopicDescription, millis,
};
use crate::error::AdminError;
use crate::ids::{Offset, OffsetRange, PartitionKey, ShareKey};
use crate::record::StoredBatch;
use crate::share::{RecordState, RecordView};
use crate::time::Instant;

impl Shard {
    pub(super) fn query(&self, request: &AdminRequest) -> Result<AdminReply, AdminError> {
        match request {
            AdminRequest::Topics => Ok(AdminReply::Topics(self.world.catalog.topics().cloned().collect())),
            AdminRequest::Groups => Ok(AdminReply::Groups(
                self.world
                    .catalog
                    .groups()
                    .filter(|group| !group.internal)
                    .cloned()
                    .collect(),
            )),
            AdminRequest::DescribeTopic { name } => Ok(AdminReply::Topic(Box::new(
                self.world.describe_topic(name, &self.config)?,
            ))),
            AdminRequest::DescribeGroup { name, now } => {
                let members = self.members.values().filter(|member| member.group == *name);
                let group = self.world.describe_group(name, members.count(), *now)?;
                Ok(AdminReply::Group(Box::new(group)))
            }
            AdminRequest::Records {
                group,
                topic,
                partition,
                from,
                limit,
                now,
            } => {
                let key = self.find_share(group, topic, *partition)?;
                Ok(AdminReply::Records(self.records(key, *from, *limit, *now)))
            }
            _ => Err(AdminError::Refused("not a query".to_owned())),
        }
    }

    fn find_share(&self, group: &str, topic: &str, partition: u32) -> Result<ShareKey, AdminError> {
        let unknown = || CatalogError::UnknownGroup(group.to_owned());
        let entry = self.world.catalog.group(group).ok_or_else(unknown)?;
        let missing = || AdminError::NotSubscribed {
            group: group.to_owned(),
            topic: topic.to_owned(),
        };
        let shares = entry.topics.get(topic).ok_or_else(missing)?;
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let no_partition = || AdminError::UnknownPartition {
            topic: topic.to_owned(),
            partition,
        };
        shares.get(index).copied().ok_or_else(no_partition)
    }

    fn records(&self, key: ShareKey, from: Offset, limit: usize, now: Instant) -> Vec<RecordInfo> {
        let Some(share) = self.world.shares.get(&key) else {
            return Vec::new();
        };
        let Some(partition) = self.world.partitions.get(&share.partition) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let last = partition.end.previous().unwrap_or(Offset::ZERO);
        let start = from.max(share.state.start_offset());
        if let Some(range) = OffsetRange::new(start, last).filter(|_| partition.end > start) {
            for view in share.state.records(range).take(limit) {
                let notes = share.state.notes(view.offset);
                found.push(info(
                    &view,
                    notes
                        .iter()
                        .map(|note| String::from_utf8_lossy(note).into_owned())
                        .collect(),
                    now,
                ));
            }
        }
        let mut fresh = share.state.next_new_offset().max(start);
        while found.len() < limit && fresh < partition.end {
            found.push(new_record(fresh));
            fresh = fresh.next();
        }
        found
    }

    /// Reads records, from memory or through the reader.
    pub(super) fn read(&mut self, caller: Caller, from: Offset, max_bytes: u64) {
        let key = match self.find_partition(&caller.topic, caller.partition) {
            Ok(key) => key,
            Err(error) => {
                drop(caller.reply.send(Err(error)));
                return;
            }
        };
        let Some(held) = self.world.partitions.get(&key) else {
            return;
        };
        let from = from.max(held.start);
        // What was finished before it was drained is in neither: a read of the log there would find its end.
        let in_log = held
            .log
            .as_ref()
            .filter(|_| held.window.first().is_none_or(|first| from < first));
        let log_end = held.segments.segments.last().map(|segment| segment.end);
        if let Some(log) = in_log.filter(|_| log_end.is_some_and(|end| from < end)) {
            let to_reader = ToReader::Read {
                log: log.clone(),
                from,
                max_bytes,
                answer: ReadFor::Caller(caller),
            };
            self.reader.post(to_reader);
            return;
        }
        let mut bytes = 0;
        let within = |batch: &&StoredBatch| {
            let room = bytes < max_bytes;
            bytes += batch.size();
            room
        };
        let batches = held.window.since(from).take_while(within).cloned().collect();
        drop(caller.reply.send(Ok(batches)));
    }

    pub(super) fn find_partition(&self, topic: &str, partition: u32) -> Result<PartitionKey, AdminError> {
        let entry = self
            .world
            .catalog
            .topic(topic)
            .ok_or_else(|| CatalogError::UnknownTopic(topic.to_owned()))?;
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let missing = || AdminError::UnknownPartition {
            topic: topic.to_owned(),
            partition,
        };
        entry.partitions.get(index).copied().ok_or_else(missing)
    }
}

impl World {
    /// One topic as it stands, in an engine with these settings.
    pub(crate) fn describe_topic(&self, name: &str, config: &EngineConfig) -> Result<TopicDescription, CatalogError> {
        let unknown = || CatalogError::UnknownTopic(name.to_owned());
        let topic = self.catalog.topic(name).ok_or_else(unknown)?;
        let held = topic.partitions.iter().filter_map(|key| self.partitions.get(key));
        let partitions = held.map(|partition| PartitionDescription {
            partition: partition.index,
            start: partition.start.get(),
            end: partition.end.get(),
            memory_bytes: partition.window.bytes(),
            log_bytes: partition.segments.bytes(),
            segments: partition.segments.segments.len(),
            failure: partition.first_failure().map(|failure| failure.reason.clone()),
        });
        let groups = self
            .catalog
            .groups()
            .filter(|group| !group.internal && group.topics.contains_key(name));
        Ok(TopicDescription {
            name: topic.name.clone(),
            id: format!("{:032x}", topic.id.0),
            config: topic.config.clone(),
            bytes: self.gauges.get(name).map_or(0, |gauge| gauge.bytes()),
            segment_bytes: log_options(config, &topic.config).segment_bytes,
            dead_letters_of: topic.dead_letters_of.clone(),
            partitions: partitions.collect(),
            groups: groups.map(|group| group.name.clone()).collect(),
        })
    }

    /// One group as it stands; `members` run.
    pub(crate) fn describe_group(
        &self,
        name: &str,
        members: usize,
        now: Instant,
    ) -> Result<GroupDescription, CatalogError> {
        let unknown = || CatalogError::UnknownGroup(name.to_owned());
        let group = self.catalog.group(name).ok_or_else(unknown)?;
        let keys = group.topics.values().flatten();
        Ok(GroupDescription {
            name: group.name.clone(),
            config: group.config.clone(),
            members,
            partitions: keys.filter_map(|key| self.describe_share(*key, now)).collect(),
        })
    }

    fn describe_share(&self, key: ShareKey, now: Instant) -> Option<ShareDescription> {
        let share = self.shares.get(&key)?;
        let partition = self.partitions.get(&share.partition)?;
        let counts = share.state.counts();
        let fresh = partition.end.since(share.state.next_new_offset().max(partition.start));
        let available = counts.available + fresh;
        Some(ShareDescription {
            topic: partition.topic.to_string(),
            partition: partition.index,
            start: share.state.durable_start().get(),
            end: share.state.end_offset().get(),
            log_end: partition.end.get(),
            available,
            acquired: counts.acquired,
            parked: counts.parked,
            struck: counts.waiting,
            finished: counts.terminal,
            lag: available + counts.acquired + counts.parked + counts.waiting,
            epoch: share.state.epoch().get(),
            next_due_millis: share.state.first_due().map(|due| millis(due.since(now))),
            pinned_by: share.state.pinned().map(|pinned| pinned.offset.get()),
            failure: partition
                .failure_at(share.state.next_fetch_offset().max(partition.start))
                .map(|failure| failure.reason.clone()),
        })
    }
}

fn info(view: &RecordView, notes: Vec<String>, now: Instant) -> RecordInfo {
    RecordInfo {
        offset: view.offset.get(),
        state: match view.state {
            RecordState::Available => "available",
            RecordState::Acquired => "acquired",
            RecordState::Parked => "parked",
            RecordState::Waiting => "struck",
            RecordState::Acknowledged => "acknowledged",
            RecordState::Archived => "archived",
        },
        delivery_count: view.delivery_count.get(),
        continuation: view.continuation.get(),
        member: view.member.map(crate::ids::MemberIndex::get),
        lease_millis: view.deadline.map(|deadline| millis(deadline.since(now))),
        due_millis: view.due.map(|due| millis(due.since(now))),
        checkpoint_bytes: view.checkpoint_len,
        strikes: view.strikes,
        in_transition: view.in_transition,
        notes,
    }
}

fn new_record(offset: Offset) -> RecordInfo {
    RecordInfo {
        offset: offset.get(),
        state: "available",
        delivery_count: 0,
        continuation: 0,
        member: None,
        lease_millis: None,
        due_millis: None,
        checkpoint_bytes: 0,
        strikes: 0,
        in_transition: false,
        notes: Vec::new(),
    }
}

//! Retention: how far a partition may let go by age, by size and when it is full, and who has to pass first.

use super::upkeep::segment_range;
use super::{Partition, Shard, Then};
use crate::catalog::Topic;
use crate::config::{OnFull, Retention};
use crate::ids::{Offset, OffsetRange, PartitionKey};
use crate::log::SegmentState;
use crate::time::{Now, WallTime};
use std::time::Duration;

impl Shard {
    /// Time and size retention, `drop-oldest`, and finished segments of queues.
    pub(super) fn retain(&mut self, now: Now) {
        let keys: Vec<PartitionKey> = self.world.partitions.keys().copied().collect();
        for key in keys {
            let Some(partition) = self.world.partitions.get(&key) else {
                continue;
            };
            let Some(topic) = self.world.catalog.topic(&partition.topic) else {
                continue;
            };
            let topic = topic.clone();
            let gone = partition
                .segments
                .segments
                .iter()
                .any(|one| self.is_gone(&topic, partition, segment_range(one)));
            // Behind a record that takes long there may be finished ones that were never drained.
            let buried = partition.gauge.bytes() > partition.gauge.limit() / 2
                && partition
                    .window
                    .since(partition.drained)
                    .any(|batch| batch.base() >= partition.drained && self.is_gone(&topic, partition, batch.range()));
            self.upkeep.wanted |= gone || buried;
            let by_age = by_age(&topic, partition, now);
            let by_size = by_size(&topic, partition, self.over(&topic, partition));
            let Some(to) = by_age.max(by_size) else { continue };
            // The oldest that goes is as far as the first that somebody holds or has parked.
            let to = self
                .first_held(partition, to)
                .map_or(to, |held| boundary(partition, held));
            if self.upkeep.retiring == 0 && !self.archive_before(key, to, now) {
                self.retire(key, to);
            }
        }
    }

    /// Bytes above the topic's `max-bytes` with `drop-oldest`, if this partition has the topic's oldest records: one
    /// partition gives way at a time, so that the excess is dropped once. What waits for a drain counts as dropped.
    fn over(&self, topic: &Topic, partition: &Partition) -> u64 {
        let (OnFull::DropOldest, Some(limit)) = (topic.config.on_full, topic.config.max_bytes) else {
            return 0;
        };
        let partitions = || topic.partitions.iter().filter_map(|key| self.world.partitions.get(key));
        let leaving: u64 = partitions()
            .flat_map(|one| one.segments.segments.iter().filter(|segment| segment.end <= one.start))
            .map(|segment| segment.bytes)
            .sum();
        let oldest = partitions()
            .filter_map(|one| Some((oldest(one)?, one.key)))
            .min()
            .map(|(_, key)| key);
        if oldest == Some(partition.key) {
            partition.gauge.bytes().saturating_sub(limit).saturating_sub(leaving)
        } else {
            0
        }
    }

    /// The first record before `to` that a group holds or has parked.
    fn first_held(&self, partition: &Partition, to: Offset) -> Option<Offset> {
        let range = OffsetRange::new(partition.start, to.previous()?)?;
        let shares = partition.shares.iter().filter_map(|key| self.world.shares.get(key));
        shares.filter_map(|share| share.state.first_held(range)).min()
    }

    /// Lets every group pass what is to be dropped; a step at a time, since the dead letters of one step are one entry,
    /// and none is given up before its letter is durable. `false` if all have.
    fn archive_before(&mut self, key: PartitionKey, to: Offset, now: Now) -> bool {
        let Some(partition) = self.world.partitions.get(&key) else {
            return false;
        };
        let mut behind = false;
        for key in partition.shares.clone() {
            self.limit_letters(key);
            let Some(share) = self.world.shares.get_mut(&key) else {
                continue;
            };
            if share.state.start_offset() >= to {
                continue;
            }
            behind = true;
            if !share.state.can_retire() {
                continue;
            }
            let mut settled = share.state.retire(to, now);
            if settled.changes.is_empty() {
                settled = share.state.handle_log_start(to, now);
            }
            self.stats.dropped(settled.dropped);
            self.upkeep.retiring += 1;
            self.persist_settled(key, settled, Then::Retire, &[], now);
        }
        behind
    }

    /// An archiving entry is durable: the rest follows.
    pub(super) fn retired(&mut self, now: Now) {
        self.upkeep.retiring -= 1;
        if self.upkeep.retiring == 0 {
            self.upkeep.next = self.upkeep.next.min(now.monotonic);
        }
    }

    /// Moves a partition's start; every group is past it.
    fn retire(&mut self, key: PartitionKey, to: Offset) {
        let Some(partition) = self.world.partitions.get_mut(&key) else {
            return;
        };
        if to <= partition.start {
            return;
        }
        partition.start = to;
        let mut freed = 0;
        while let Some(batch) = partition.window.pop_front_if(|batch| batch.last() < to) {
            self.window_bytes = self.window_bytes.saturating_sub(batch.size());
            if batch.base() >= partition.drained {
                freed += batch.size();
                partition.drained = partition.drained.max(batch.last().next());
            }
        }
        partition.gauge.subtract(freed);
        self.upkeep.wanted |= partition.segments.segments.iter().any(|segment| segment.end <= to);
    }
}

/// When the oldest records of a partition that stay were produced.
fn oldest(partition: &Partition) -> Option<WallTime> {
    let mut segments = partition.segments.segments.iter();
    let first = segments.find(|segment| segment.end > partition.start);
    let batch = || partition.window.since(partition.drained).next();
    first
        .map(|segment| segment.max_timestamp)
        .or_else(|| batch().map(crate::record::StoredBatch::max_timestamp))
}

/// The end of the last segment or batch that lies wholly before `offset`.
fn boundary(partition: &Partition, offset: Offset) -> Offset {
    let segments = partition.segments.segments.iter().map(|segment| segment.end);
    let batches = partition
        .window
        .since(partition.drained)
        .map(|batch| batch.last().next());
    let whole = segments.chain(batches).filter(|end| *end <= offset);
    whole.max().unwrap_or(partition.start)
}

/// Up to where segments are too old.
fn by_age(topic: &Topic, partition: &Partition, now: Now) -> Option<Offset> {
    let Retention::Bounded {
        millis: Some(millis), ..
    } = topic.config.retention
    else {
        return None;
    };
    let age = Duration::from_millis(millis);
    let old = partition
        .segments
        .segments
        .iter()
        .take_while(|segment| now.wall.since(segment.max_timestamp) > age);
    old.last()
        .map(|segment| segment.end)
        .filter(|end| *end > partition.start)
}

/// Up to where the oldest records have to go for the rest to fit.
fn by_size(topic: &Topic, partition: &Partition, over: u64) -> Option<Offset> {
    let own = match topic.config.retention {
        Retention::Bounded { bytes: Some(limit), .. } => {
            let segments = partition.segments.segments.iter();
            let held: u64 = segments
                .filter(|segment| segment.end > partition.start)
                .map(|segment| segment.bytes)
                .sum();
            held.saturating_sub(limit)
        }
        _ => 0,
    };
    let mut excess = own.max(over);
    let mut to = None;
    let staying = |segment: &&SegmentState| segment.end > partition.start;
    for segment in partition.segments.segments.iter().filter(staying) {
        if excess == 0 {
            return to;
        }
        excess = excess.saturating_sub(segment.bytes);
        to = Some(segment.end);
    }
    for batch in partition.window.since(partition.drained) {
        if excess == 0 || over == 0 {
            return to;
        }
        excess = excess.saturating_sub(batch.size());
        to = Some(batch.last().next());
    }
    to.filter(|end| *end > partition.start)
}

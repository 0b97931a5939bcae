//! Retention: how far a partition may let go by age, by size and when it is full, and who has to pass first.

use std::time::Duration;

use super::upkeep::segment_range;
use super::{Partition, Shard, Then};
use crate::catalog::Topic;
use crate::config::{EngineConfig, OnFull, Retention, TopicConfig};
use crate::ids::{Offset, OffsetRange, PartitionKey};
use crate::log::LogOptions;
use crate::record::StoredBatch;
use crate::time::{Now, WallTime};

/// What a topic's segments look like: small enough for its limits to be kept, young enough for its retention.
///
/// A segment goes as a whole, so that a limit is kept to a segment's size. It is a quarter of the smallest limit at most,
/// and spans a quarter of the retention time (at least ten seconds).
pub(crate) fn log_options(config: &EngineConfig, topic: &TopicConfig) -> LogOptions {
    let mut bytes = topic.segment_bytes.unwrap_or(config.segment_bytes);
    if let Some(limit) = topic.max_bytes {
        bytes = bytes.min(limit / 4 / u64::from(topic.partitions.max(1)));
    }
    let mut segment_millis = None;
    if let Retention::Bounded { millis, bytes: limit } = topic.retention {
        bytes = bytes.min(limit.map_or(u64::MAX, |limit| limit / 4));
        segment_millis = millis.map(|millis| (millis / 4).max(LEAST_SEGMENT_MILLIS));
    }
    LogOptions {
        segment_bytes: bytes.max(LEAST_SEGMENT_BYTES),
        segment_millis,
        ..LogOptions::default()
    }
}

/// Smallest segment that is made for the sake of a limit.
const LEAST_SEGMENT_BYTES: u64 = 4 << 10;
/// Shortest span of a segment: a drain of old records makes no more files than this lets it.
const LEAST_SEGMENT_MILLIS: u64 = 10_000;

impl Shard {
    /// Time and size retention, `drop-oldest`, and finished segments of queues.
    pub(super) fn retain(&mut self, now: Now) {
        let keys: Vec<PartitionKey> = self.world.partitions.keys().copied().collect();
        for key in keys {
            let wanted = self.wants_drain(key);
            self.upkeep.wanted |= wanted;
            self.retain_one(key, now);
        }
    }

    /// Whether a drain would free something in a partition.
    fn wants_drain(&self, key: PartitionKey) -> bool {
        let Some(partition) = self.world.partitions.get(&key) else {
            return false;
        };
        let Some(topic) = self.world.catalog.topic(&partition.topic) else {
            return false;
        };
        let mut segments = partition.segments.segments.iter();
        // Behind a record that takes long there may be finished ones that were never drained.
        let buried = || {
            partition.gauge.bytes() > partition.gauge.wished() / 2
                && undrained(partition).any(|batch| self.is_gone(topic, partition, batch.range()))
        };
        segments.any(|one| self.is_gone(topic, partition, segment_range(one))) || buried()
    }

    /// A topic above its limit that drops its oldest records does so at once, not with the next look at everything.
    pub(super) fn make_room(&mut self, now: Now) -> bool {
        let over = std::mem::take(&mut self.upkeep.over);
        let any = !over.is_empty();
        for name in over {
            let Some((key, start)) = self.to_give_way(&name) else {
                continue;
            };
            let retiring = self.upkeep.retiring;
            self.retain_one(key, now);
            let moved = self.world.partitions.get(&key).is_some_and(|one| one.start > start);
            // What is oldest is held: it is asked again in a second.
            if !moved && self.upkeep.retiring == retiring {
                self.upkeep.stuck.insert(name);
            }
        }
        any
    }

    /// The partition that has to drop something for a topic to be within its limit, and where it starts now.
    fn to_give_way(&self, topic: &str) -> Option<(PartitionKey, Offset)> {
        let topic = self.world.catalog.topic(topic)?;
        let partition = self.world.partitions.get(&self.oldest(topic)?)?;
        (self.over(topic, partition) > 0).then_some((partition.key, partition.start))
    }

    fn retain_one(&mut self, key: PartitionKey, now: Now) {
        let Some(partition) = self.world.partitions.get(&key) else {
            return;
        };
        let Some(topic) = self.world.catalog.topic(&partition.topic) else {
            return;
        };
        let by_age = by_age(topic, partition, now);
        let by_size = by_size(topic, partition, self.over(topic, partition));
        let Some(to) = by_age.max(by_size).max(self.left_behind(partition)) else {
            return;
        };
        // The oldest that goes is as far as the first that somebody holds or has parked.
        let to = self
            .first_held(partition, to)
            .map_or(to, |held| boundary(partition, held));
        if self.upkeep.retiring == 0 && !self.archive_before(key, to, now) {
            self.retire(key, to);
        }
    }

    /// Where a partition starts, if a group has not passed that: a drain that was under way when the group was set back has
    /// removed what it was set back to.
    fn left_behind(&self, partition: &Partition) -> Option<Offset> {
        let mut shares = partition.shares.iter().filter_map(|key| self.world.shares.get(key));
        let behind = shares.any(|share| share.state.durable_start() < partition.start);
        behind.then_some(partition.start)
    }

    /// Bytes above the topic's `max-bytes` with `drop-oldest`, if this partition has the topic's oldest records: one
    /// partition gives way at a time, so that the excess is dropped once. What waits for a drain counts as dropped.
    fn over(&self, topic: &Topic, partition: &Partition) -> u64 {
        let (OnFull::DropOldest, Some(limit)) = (topic.config.on_full, topic.config.max_bytes) else {
            return 0;
        };
        let excess = partition.gauge.bytes().saturating_sub(limit);
        if excess == 0 || self.oldest(topic) != Some(partition.key) {
            return 0;
        }
        let leaving: u64 = topic
            .partitions
            .iter()
            .filter_map(|key| self.world.partitions.get(key))
            .flat_map(|one| one.segments.segments.iter().filter(|segment| segment.end <= one.start))
            .map(|segment| segment.bytes)
            .sum();
        excess.saturating_sub(leaving)
    }

    /// The partition that has a topic's oldest records.
    fn oldest(&self, topic: &Topic) -> Option<PartitionKey> {
        let partitions = topic.partitions.iter().filter_map(|key| self.world.partitions.get(key));
        let oldest = partitions
            .filter_map(|one| Some((pieces(one).next()?.max_timestamp, one.key)))
            .min();
        oldest.map(|(_, key)| key)
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
            if share.state.durable_start() >= to {
                continue;
            }
            behind = true;
            let passed = OffsetRange::new(share.state.start_offset(), to.previous().unwrap_or(Offset::ZERO));
            let held = passed.and_then(|passed| share.state.first_held(passed));
            if held.is_some() || !share.state.can_retire() {
                continue;
            }
            let mut settled = share.state.retire(to, now);
            if settled.changes.is_empty() {
                settled = share.state.handle_log_start(to, now);
            }
            // A change under way will bring it on.
            if settled.changes.is_empty() {
                continue;
            }
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
        let freed = partition.drop_before(to);
        self.window_bytes = self.window_bytes.saturating_sub(freed);
        // Dropped segments go with the next drain; for themselves they get one a second, or when they are many.
        let segments = partition.segments.segments.iter();
        let dropped = segments
            .take_while(|segment| segment.end <= to)
            .map(|segment| segment.bytes);
        self.upkeep.wanted |= partition.gauge.is_urgent(dropped.sum());
    }
}

/// What a partition gives up as a whole: a segment, or a batch that is in no segment yet.
struct Piece {
    end: Offset,
    bytes: u64,
    max_timestamp: WallTime,
}

/// Everything that a partition has and keeps, oldest first.
fn pieces(partition: &Partition) -> impl Iterator<Item = Piece> {
    let segments = partition.segments.segments.iter().map(|segment| Piece {
        end: segment.end,
        bytes: segment.bytes,
        max_timestamp: segment.max_timestamp,
    });
    let batches = undrained(partition).map(|batch| Piece {
        end: batch.last().next(),
        bytes: batch.size(),
        max_timestamp: batch.max_timestamp(),
    });
    segments.filter(|segment| segment.end > partition.start).chain(batches)
}

/// Batches that are in the journal alone.
fn undrained(partition: &Partition) -> impl Iterator<Item = &StoredBatch> {
    let batches = partition.window.since(partition.drained);
    batches.filter(|batch| batch.base() >= partition.drained)
}

/// The end of the last segment or batch that lies wholly before `offset`.
fn boundary(partition: &Partition, offset: Offset) -> Offset {
    let whole = pieces(partition)
        .map(|piece| piece.end)
        .take_while(|end| *end <= offset);
    whole.last().unwrap_or(partition.start)
}

/// Up to where records are too old.
fn by_age(topic: &Topic, partition: &Partition, now: Now) -> Option<Offset> {
    let Retention::Bounded {
        millis: Some(millis), ..
    } = topic.config.retention
    else {
        return None;
    };
    let age = Duration::from_millis(millis);
    let old = pieces(partition).take_while(|piece| now.wall.since(piece.max_timestamp) > age);
    old.last().map(|piece| piece.end)
}

/// Up to where the oldest records have to go for the rest to fit.
fn by_size(topic: &Topic, partition: &Partition, over: u64) -> Option<Offset> {
    let own = match topic.config.retention {
        Retention::Bounded { bytes: Some(limit), .. } => {
            let held: u64 = pieces(partition).map(|piece| piece.bytes).sum();
            held.saturating_sub(limit)
        }
        _ => 0,
    };
    let mut excess = own.max(over);
    let mut to = None;
    for piece in pieces(partition) {
        if excess == 0 {
            break;
        }
        excess = excess.saturating_sub(piece.bytes);
        to = Some(piece.end);
    }
    to
}

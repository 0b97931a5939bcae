//! What goes on in the background: dropping what is finished, draining when memory or the ring fills, retention.
//! The shard decides; the drain thread does the work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::message::Overtaken;
use super::retention::log_options;
use super::{Partition, Shard};
use crate::catalog::Topic;
use crate::config::Retention;
use crate::drain::{DrainDone, DrainJob, DrainedLog, PartitionDrain, ToDrain, encode_catalog, encode_share};
use crate::engine::message::ToJournal;
use crate::error::AdminError;
use crate::ids::{OffsetRange, PartitionKey, ShareKey};
use crate::journal::Position;
use crate::log::SegmentState;
use crate::time::{Instant, Now};

/// When what is due.
pub(super) struct Upkeep {
    pub(super) next: Instant,
    ring_used: u64,
    ring_capacity: u64,
    pub(super) draining: bool,
    /// Logs whose last read missed a file that the drain under way may have removed.
    pub(super) rereads: Vec<PartitionKey>,
    /// Reads of callers that missed one.
    pub(super) overtaken: Vec<Overtaken>,
    /// A drain was asked for, or freed segments wait for one.
    pub(super) wanted: bool,
    /// Logs of deleted topics, until a job has removed them.
    deleted: Vec<(PartitionKey, String)>,
    /// How many of them the job under way removes.
    removing: usize,
    /// Entries under way that archive what retention drops. Nothing is dropped before they are durable: the dead
    /// letters are in them.
    pub(super) retiring: usize,
    /// Everything before is in logs and a snapshot.
    drained_to: Position,
    /// The last drain failed: how long to wait before the next.
    backoff_until: Option<Instant>,
    /// Leases of an earlier process are left: the journal had no room for their end.
    pub(super) unvoided: bool,
    /// Topics that hold more than they should and drop their oldest records.
    pub(super) over: BTreeSet<Arc<str>>,
    /// Those that could drop nothing when they were last looked at.
    pub(super) stuck: BTreeSet<Arc<str>>,
}

const PERIOD: Duration = Duration::from_secs(1);
const BACKOFF: Duration = Duration::from_millis(500);

impl Upkeep {
    pub(super) fn new(now: Instant, deleted: Vec<(PartitionKey, String)>) -> Self {
        Self {
            next: now.after(PERIOD),
            ring_used: 0,
            ring_capacity: u64::MAX,
            draining: false,
            rereads: Vec::new(),
            overtaken: Vec::new(),
            wanted: !deleted.is_empty(),
            deleted,
            removing: 0,
            retiring: 0,
            drained_to: Position::ZERO,
            backoff_until: None,
            unvoided: false,
            over: BTreeSet::new(),
            stuck: BTreeSet::new(),
        }
    }

    /// Whether a topic's log has yet to be removed.
    pub(super) fn is_being_removed(&self, topic: &str) -> bool {
        let of_topic = |directory: &str| {
            let name = directory.strip_prefix("logs/").and_then(|rest| rest.rsplit_once('-'));
            name.is_some_and(|(name, _)| name == topic)
        };
        self.deleted.iter().any(|(_, directory)| of_topic(directory))
    }

    /// When something is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// How full the ring is. Whether it has more room than before.
    pub(super) fn ring(&mut self, used: u64, capacity: u64) -> bool {
        let more = used < self.ring_used || capacity > self.ring_capacity;
        self.ring_used = used;
        self.ring_capacity = capacity;
        more
    }
}

impl Shard {
    pub(super) fn run_upkeep(&mut self, now: Now) -> bool {
        if self.fenced.is_some() {
            return false;
        }
        let mut worked = false;
        if now.monotonic >= self.upkeep.next {
            self.upkeep.next = now.monotonic.after(PERIOD);
            self.upkeep.backoff_until = self.upkeep.backoff_until.filter(|until| *until > now.monotonic);
            self.upkeep.stuck.clear();
            self.upkeep.over.clear();
            self.journal.post(ToJournal::CheckDirectory);
            self.retain(now);
            self.look_again(now.monotonic);
            self.changed.append(&mut self.stalled);
            self.void_again(now);
            self.publish_gauges();
            worked = true;
        }
        worked |= self.make_room(now);
        if self.needs_drain(now) {
            self.drain_now();
            worked = true;
        }
        worked
    }

    /// Bytes of the journal in use, and in all.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn ring(&self) -> (u64, u64) {
        (self.upkeep.ring_used, self.upkeep.ring_capacity)
    }

    fn needs_drain(&self, now: Now) -> bool {
        if self.upkeep.draining || self.upkeep.backoff_until.is_some_and(|until| until > now.monotonic) {
            return false;
        }
        self.upkeep.wanted
            || self.undrained_bytes() > self.config.memory_window
            || (self.upkeep.ring_used > self.upkeep.ring_capacity / 2 && self.upkeep.drained_to < self.position)
    }

    fn undrained_bytes(&self) -> u64 {
        self.window_bytes
    }

    /// Somebody asks for a drain: as soon as none is under way, even if the last one failed.
    pub(super) fn want_drain(&mut self) {
        self.upkeep.wanted = true;
        self.upkeep.backoff_until = None;
    }

    /// The log of a deleted topic's partition goes with the next drain.
    pub(super) fn forget_log(&mut self, key: PartitionKey, directory: String) {
        self.upkeep.deleted.push((key, directory));
        self.upkeep.wanted = true;
    }

    fn drain_now(&mut self) {
        self.upkeep.draining = true;
        self.upkeep.wanted = false;
        self.upkeep.removing = self.upkeep.deleted.len();
        self.draining_for.append(&mut self.drain_waiters);
        let mut parts = Vec::new();
        let keys: Vec<PartitionKey> = self.world.partitions.keys().copied().collect();
        for key in keys {
            self.advance_start(key);
            let Some(partition) = self.world.partitions.get(&key) else {
                continue;
            };
            let Some(topic) = self.world.catalog.topic(&partition.topic) else {
                continue;
            };
            let unwritten = partition
                .window
                .since(partition.drained)
                .filter(|batch| batch.base() >= partition.drained);
            let batches = unwritten
                .filter(|batch| !self.is_gone(topic, partition, batch.range()))
                .cloned()
                .collect();
            let drop = partition
                .segments
                .segments
                .iter()
                .filter(|segment| self.is_gone(topic, partition, segment_range(segment)))
                .map(|segment| (segment.base, segment.end))
                .collect();
            parts.push(PartitionDrain {
                key,
                directory: directory(partition),
                topic_id: topic.id,
                options: log_options(&self.config, &topic.config),
                start: partition.start,
                end: partition.end,
                batches,
                drop,
            });
        }
        let job = DrainJob {
            position: self.position,
            catalog: encode_catalog(&self.world.catalog),
            shares: self
                .world
                .shares
                .values()
                .map(|share| encode_share(&share.state))
                .collect(),
            partitions: parts,
            deleted: self.upkeep.deleted.clone(),
        };
        self.drain.post(ToDrain::Job(Box::new(job)));
    }

    pub(super) fn handle_drained(&mut self, done: DrainDone, now: Now) {
        self.upkeep.draining = false;
        let mut failure = None;
        match done.result {
            Ok(logs) => {
                let evict = self.window_bytes > self.config.memory_window / 2;
                for log in logs {
                    self.take_over(log, evict);
                }
                self.upkeep.drained_to = done.position;
                self.upkeep.deleted.drain(..self.upkeep.removing);
                self.journal.post(ToJournal::FreeBefore(done.position));
                self.stats.drained();
            }
            Err(error) => {
                self.upkeep.backoff_until = Some(now.monotonic.after(BACKOFF));
                self.upkeep.wanted = true;
                self.stats.drain_failure(&error.to_string());
                failure = Some(AdminError::NotDrained(error.to_string()));
            }
        }
        let answer = failure.clone().map_or(Ok(super::AdminReply::Done), Err);
        for reply in std::mem::take(&mut self.draining_for) {
            drop(reply.send(answer.clone()));
        }
        self.resume_creations(failure.as_ref(), now);
        self.reread(now);
    }

    fn take_over(&mut self, log: DrainedLog, evict: bool) {
        let Some(partition) = self.world.partitions.get_mut(&log.key) else {
            return;
        };
        let before: u64 = partition.segments.segments.iter().map(|segment| segment.bytes).sum();
        let after: u64 = log.state.segments.iter().map(|segment| segment.bytes).sum();
        let unwritten: u64 = partition
            .window
            .since(partition.drained)
            .filter(|batch| batch.base() >= partition.drained && batch.base() < log.drained)
            .map(crate::record::StoredBatch::size)
            .sum();
        partition.gauge.subtract(before + unwritten);
        partition.gauge.add(after);
        partition.segments = log.state;
        partition.log = log.reader.or(partition.log.take());
        partition.drained = log.drained;
        partition.pass_gone();
        if evict {
            let freed = partition.evict(log.drained);
            self.window_bytes = self.window_bytes.saturating_sub(freed);
        }
    }

    /// A batch became durable.
    pub(super) fn handle_appended(&mut self, key: PartitionKey, batch: crate::record::StoredBatch) {
        let Some(partition) = self.world.partitions.get_mut(&key) else {
            return;
        };
        self.window_bytes += batch.size();
        partition.push(batch);
        if partition.gauge.gives_way() && !self.upkeep.stuck.contains(&partition.topic) {
            self.upkeep.over.insert(Arc::clone(&partition.topic));
        }
        self.changed.extend(&partition.shares);
    }

    /// Batches of a group that is not written yet: members that wait acquire of them, and that rides in the same group. Nothing else
    /// happens until it is durable or [`Shard::take_back`] was called.
    pub(crate) fn handle_sequenced(&mut self, appended: Vec<(PartitionKey, crate::record::StoredBatch)>, now: Now) {
        for (partition, batch) in appended {
            self.sequenced.entry(partition).or_insert(batch.base());
            self.handle_appended(partition, batch);
        }
        self.serve_waiting(now);
    }

    /// What was sequenced is not durable, and nobody is to read it: the engine is fenced.
    pub(crate) fn take_back(&mut self) {
        for (partition, end) in std::mem::take(&mut self.sequenced) {
            if let Some(partition) = self.world.partitions.get_mut(&partition) {
                self.window_bytes -= partition.cut(end);
            }
        }
    }

    /// Frees what every group has finished with, after one of them moved on.
    pub(super) fn drop_finished(&mut self, key: ShareKey) {
        let Some(partition) = self.world.shares.get(&key).map(|share| share.partition) else {
            return;
        };
        self.advance_start(partition);
    }

    /// What a journal holds may long be finished.
    pub(super) fn drop_all_finished(&mut self) {
        let keys: Vec<PartitionKey> = self.world.partitions.keys().copied().collect();
        for key in keys {
            self.advance_start(key);
        }
    }

    /// Drops finished batches from the front of the window and moves the partition's start.
    pub(super) fn advance_start(&mut self, key: PartitionKey) {
        let Some(partition) = self.world.partitions.get_mut(&key) else {
            return;
        };
        partition.pass_gone();
        let Some(topic) = self.world.catalog.topic(&partition.topic) else {
            return;
        };
        let starts = partition
            .shares
            .iter()
            .filter_map(|key| Some(self.world.shares.get(key)?.state.start_offset()));
        let Some(finished) = starts.min() else { return };
        partition.forget_loaded(finished);
        let limit = if topic.config.retention == Retention::Queue {
            finished
        } else {
            partition.start
        };
        while let Some(batch) = partition.window.pop_front_if(|batch| batch.last() < limit) {
            self.window_bytes = self.window_bytes.saturating_sub(batch.size());
            if batch.base() >= partition.drained {
                partition.gauge.subtract(batch.size());
                partition.drained = partition.drained.max(batch.last().next());
            }
            if partition.segments.segments.is_empty() {
                partition.start = partition.start.max(batch.last().next());
            }
        }
        if topic.config.retention == Retention::Queue
            && partition
                .segments
                .segments
                .iter()
                .any(|segment| segment.end <= finished)
        {
            self.upkeep.wanted |= partition.gauge.bytes() > partition.gauge.wished() / 2;
        }
    }

    /// Whether nobody needs these offsets any more.
    pub(super) fn is_gone(&self, topic: &Topic, partition: &Partition, range: OffsetRange) -> bool {
        if range.last() < partition.start {
            return true;
        }
        topic.config.retention == Retention::Queue
            && !partition.shares.is_empty()
            && partition.shares.iter().all(|key| {
                self.world
                    .shares
                    .get(key)
                    .is_none_or(|share| share.state.is_finished(range))
            })
    }

    fn publish_gauges(&self) {
        let mut parked = 0;
        let mut acquired = 0;
        for share in self.world.shares.values() {
            let counts = share.state.counts();
            parked += counts.parked;
            acquired += counts.acquired;
        }
        self.stats.set_levels(
            acquired,
            parked,
            self.window_bytes,
            self.upkeep.ring_used,
            self.upkeep.ring_capacity,
        );
    }
}

/// Where a partition's log lies.
pub(crate) fn directory(partition: &Partition) -> String {
    format!("logs/{}-{}", partition.topic, partition.index)
}

pub(super) fn segment_range(segment: &SegmentState) -> OffsetRange {
    let last = segment.end.previous().unwrap_or(segment.base);
    OffsetRange::new(segment.base, last).unwrap_or(OffsetRange::single(segment.base))
}

//! One topic partition in memory: the newest batches, what was read back from its log, and where both end.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::gauge::TopicGauge;
use crate::engine::window::Window;
use crate::ids::{Offset, PartitionKey, ShareKey};
use crate::log::{LogReader, LogState};
use crate::record::{RecordLimits, StoredBatch, Walk};
use crate::time::Instant;

/// A partition as the shard sees it.
pub(crate) struct Partition {
    pub(crate) key: PartitionKey,
    pub(crate) topic: Arc<str>,
    pub(crate) index: u32,
    /// Share partitions of all groups on it.
    pub(crate) shares: Vec<ShareKey>,
    pub(crate) gauge: Arc<TopicGauge>,
    /// Oldest offset that may still be there.
    pub(crate) start: Offset,
    /// Next offset that will be appended.
    pub(crate) end: Offset,
    /// Batches before this offset are in the log, or were finished before they got there.
    pub(crate) drained: Offset,
    pub(crate) window: Window,
    pub(crate) log: Option<LogReader>,
    pub(crate) segments: LogState,
    loaded: BTreeMap<Offset, StoredBatch>,
    loaded_bytes: u64,
    /// No record from `measured_from` up to `measured_to` is larger, in bytes.
    largest: u64,
    measured_from: Offset,
    measured_to: Offset,
    /// Where a read of the log is under way.
    loading: Option<Offset>,
    /// Ranges of the log that hold nothing, as the last read found: from, up to.
    hole: Option<(Offset, Offset)>,
    /// The last read failed, perhaps far behind its beginning: the next one is as short as can be.
    careful: bool,
    /// Where the log cannot be read.
    failures: BTreeMap<Offset, Failure>,
}

/// A place of a log that cannot be read.
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// When it may be tried again.
    pub(crate) again_at: Instant,
}

/// Places of one log that cannot be read and are remembered.
const FAILURES: usize = 16;

/// What recovery knows of a partition.
pub(crate) struct PartitionInit {
    pub(crate) key: PartitionKey,
    pub(crate) topic: Arc<str>,
    pub(crate) index: u32,
    pub(crate) shares: Vec<ShareKey>,
    pub(crate) gauge: Arc<TopicGauge>,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) log: Option<LogReader>,
    pub(crate) segments: LogState,
}

/// What a fetch from memory gives.
pub(crate) enum Fetch {
    /// Consecutive batches; empty if there is nothing from there on.
    Batches(Vec<StoredBatch>),
    /// They have to be read from the log first, from this offset on.
    Read(Offset),
    /// Such a read is under way.
    Reading,
}

impl Partition {
    pub(crate) fn new(init: PartitionInit) -> Self {
        Self {
            key: init.key,
            topic: init.topic,
            index: init.index,
            shares: init.shares,
            gauge: init.gauge,
            start: init.start,
            end: init.end,
            drained: init.end,
            window: Window::default(),
            largest: 0,
            measured_from: if init.segments.segments.is_empty() {
                init.start
            } else {
                init.end
            },
            measured_to: init.start,
            log: init.log,
            segments: init.segments,
            loaded: BTreeMap::new(),
            loaded_bytes: 0,
            loading: None,
            hole: None,
            careful: false,
            failures: BTreeMap::new(),
        }
    }

    /// A batch became durable.
    pub(crate) fn push(&mut self, batch: StoredBatch) {
        self.end = batch.last().next();
        self.window.push(batch);
    }

    /// The start moves over what is gone: finished with before it was drained, or dropped with its segment.
    pub(crate) fn pass_gone(&mut self) {
        let in_log = self.segments.segments.first().map(|segment| segment.base);
        let in_memory = || self.window.since(self.drained).next().map(StoredBatch::base);
        let first = in_log.or_else(in_memory).unwrap_or(self.end);
        self.start = self.start.max(first);
    }

    /// What lies at `end` and behind it was never there. Bytes of memory that are free now.
    pub(crate) fn cut(&mut self, end: Offset) -> u64 {
        self.end = end;
        self.window.remove_where(|batch| batch.base() >= end)
    }

    /// Bytes that no record from `from` on exceeds. Each batch is measured once, and only if somebody asks.
    pub(crate) fn largest(&mut self, from: Offset) -> u64 {
        for batch in self.window.since(self.measured_to) {
            self.largest = self.largest.max(Walk::new(batch).largest());
            self.measured_to = batch.last().next();
        }
        if from < self.measured_from {
            // Nobody looks into the log for this.
            RecordLimits::default().record_bytes as u64
        } else {
            self.largest
        }
    }

    /// Batches before `before` leave memory: what was not measured by then is not known any more.
    pub(crate) fn evict(&mut self, before: Offset) -> u64 {
        if self.measured_to < before {
            self.measured_to = before;
            self.measured_from = self.measured_from.max(before);
        }
        self.window.remove_where(|batch| batch.base() < before)
    }

    /// Consecutive batches from `from` on, with at least `records` records if there are so many and about
    /// `max_bytes` bytes.
    pub(crate) fn fetch(&mut self, from: Offset, records: u64, max_bytes: u64) -> Fetch {
        let mut from = from.max(self.start);
        if let Some((low, high)) = self.hole
            && low <= from
            && from < high
        {
            from = high;
        }
        if from >= self.end {
            return Fetch::Batches(Vec::new());
        }
        if self.window.first().is_none_or(|first| from < first) && from < self.drained && self.log.is_some() {
            return self.fetch_loaded(from, records, max_bytes);
        }
        Fetch::Batches(consecutive(self.window.since(from), records, max_bytes))
    }

    fn fetch_loaded(&mut self, from: Offset, records: u64, max_bytes: u64) -> Fetch {
        let covering = self
            .loaded
            .range(..=from)
            .next_back()
            .filter(|(_, batch)| batch.last() >= from);
        match (covering.map(|(base, _)| *base), self.loading) {
            (Some(base), _) => Fetch::Batches(consecutive(
                self.loaded.range(base..).map(|(_, batch)| batch),
                records,
                max_bytes,
            )),
            (None, Some(_)) => Fetch::Reading,
            (None, None) => Fetch::Read(from),
        }
    }

    /// A read of the log from `from` on has begun. Whether it has to be a short one.
    pub(crate) fn begin_read(&mut self, from: Offset) -> bool {
        self.loading = Some(from);
        std::mem::take(&mut self.careful)
    }

    /// The read came to nothing; the next one is to be `careful`.
    pub(crate) fn end_read(&mut self, careful: bool) {
        self.loading = None;
        self.careful = careful;
    }

    /// The log cannot be read from `from` on, and is not tried again before `again_at`.
    pub(crate) fn fail_at(&mut self, from: Offset, reason: String, again_at: Instant) {
        self.loading = None;
        if self.failures.len() >= FAILURES {
            self.failures.pop_first();
        }
        self.failures.insert(from, Failure { reason, again_at });
    }

    /// Why nothing can be read from `offset` on.
    pub(crate) fn failure_at(&self, offset: Offset) -> Option<&Failure> {
        self.failures.get(&offset).filter(|_| offset >= self.start)
    }

    /// The first place that cannot be read.
    pub(crate) fn first_failure(&self) -> Option<&Failure> {
        self.failures.range(self.start..).next().map(|(_, failure)| failure)
    }

    /// Whether a place that could not be read may be tried again.
    pub(crate) fn may_be_mended(&self, now: Instant) -> bool {
        let mut failures = self.failures.range(self.start..);
        failures.any(|(_, failure)| failure.again_at <= now)
    }

    /// Lets go of what lies before `to`; its segments go with the next drain. Bytes of memory that are free now.
    pub(crate) fn drop_before(&mut self, to: Offset) -> u64 {
        if to <= self.start {
            return 0;
        }
        self.start = to;
        self.forget_loaded(to);
        let (mut freed, mut undrained) = (0, 0);
        while let Some(batch) = self.window.pop_front_if(|batch| batch.last() < to) {
            freed += batch.size();
            if batch.base() >= self.drained {
                undrained += batch.size();
                self.drained = self.drained.max(batch.last().next());
            }
        }
        self.gauge.subtract(undrained);
        freed
    }

    /// What a read of the log gave. Batches before `keep_from`, which nobody needs any more, make room.
    pub(crate) fn loaded(&mut self, from: Offset, batches: Vec<StoredBatch>, keep_from: Offset, limit: u64) {
        self.loading = None;
        let read_to = batches.last().map_or_else(|| from.next(), |batch| batch.last().next());
        self.failures.retain(|at, _| *at < from || *at >= read_to);
        let next = batches.first().map_or(self.drained, StoredBatch::base);
        if next > from {
            self.hole = Some((from, next));
        }
        for batch in batches {
            self.loaded_bytes += batch.size();
            if let Some(old) = self.loaded.insert(batch.base(), batch) {
                self.loaded_bytes -= old.size();
            }
        }
        while self.loaded_bytes > limit {
            let Some(entry) = self.loaded.first_entry() else { break };
            if entry.get().last() >= keep_from {
                break;
            }
            self.loaded_bytes -= entry.remove().size();
        }
    }

    /// Frees what was read ahead before `before`.
    pub(crate) fn forget_loaded(&mut self, before: Offset) {
        while let Some(entry) = self.loaded.first_entry() {
            if entry.get().last() >= before {
                break;
            }
            self.loaded_bytes -= entry.remove().size();
        }
    }

    /// The batch that holds `offset`, if it is in memory.
    pub(crate) fn find(&self, offset: Offset) -> Option<&StoredBatch> {
        self.window.find(offset).or_else(|| {
            let (_, batch) = self.loaded.range(..=offset).next_back()?;
            (batch.last() >= offset).then_some(batch)
        })
    }

    /// Whether `offset` may be in the log but is not in memory.
    pub(crate) fn is_cold(&self, offset: Offset) -> bool {
        let in_hole = self.hole.is_some_and(|(low, high)| low <= offset && offset < high);
        self.log.is_some() && offset < self.drained && offset >= self.start && !in_hole && self.find(offset).is_none()
    }

    /// Whether a read of the log is under way.
    pub(crate) fn is_loading(&self) -> bool {
        self.loading.is_some()
    }
}

/// Batches without a hole between them.
fn consecutive<'a>(batches: impl Iterator<Item = &'a StoredBatch>, records: u64, max_bytes: u64) -> Vec<StoredBatch> {
    let mut found: Vec<StoredBatch> = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    for batch in batches {
        if found.last().is_some_and(|last| last.last().next() != batch.base()) {
            break;
        }
        bytes += batch.size();
        count += batch.range().count();
        found.push(batch.clone());
        if count >= records || bytes >= max_bytes {
            break;
        }
    }
    found
}

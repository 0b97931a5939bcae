//! What a topic holds, shared between the sequencer, which admits produces, and the shard, which frees.

use std::sync::Arc;

use super::sync::atomic::{AtomicU64, Ordering};

/// Bytes of one topic over all its partitions, and the most it may hold.
///
/// A topic that drops its oldest records has two limits: above the first it gives way, above the second it takes no
/// more, since what is oldest is held or cannot be dropped yet.
#[derive(Debug)]
pub(crate) struct TopicGauge {
    topic: Arc<str>,
    bytes: AtomicU64,
    limit: AtomicU64,
    give_way_above: AtomicU64,
}

impl TopicGauge {
    /// Without a limit if `None`.
    pub(crate) fn new(topic: &str, limit: Option<u64>) -> Self {
        Self {
            topic: Arc::from(topic),
            bytes: AtomicU64::new(0),
            limit: AtomicU64::new(limit.unwrap_or(u64::MAX)),
            give_way_above: AtomicU64::new(u64::MAX),
        }
    }

    /// Whose bytes these are.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Bytes held now.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Most bytes to hold; `u64::MAX` without a limit.
    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets the limit of what is taken in.
    pub(crate) fn refuse_above(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.give_way_above.store(u64::MAX, Ordering::Relaxed);
    }

    /// Sets the limit above which the oldest records go. What is taken in until they are gone is bounded, too.
    pub(crate) fn drop_above(&self, limit: u64) {
        let most = limit.saturating_add((limit / 4).max(DROP_SLACK));
        self.limit.store(most, Ordering::Relaxed);
        self.give_way_above.store(limit, Ordering::Relaxed);
    }

    /// Whether the oldest records have to go.
    pub(crate) fn gives_way(&self) -> bool {
        self.bytes() > self.give_way_above.load(Ordering::Relaxed)
    }

    /// Bytes that it should not exceed.
    pub(crate) fn wished(&self) -> u64 {
        self.limit().min(self.give_way_above.load(Ordering::Relaxed))
    }

    /// Whether so many dropped bytes should not wait for the next look at everything to be removed.
    pub(crate) fn is_urgent(&self, dropped: u64) -> bool {
        dropped > (self.wished() / 4).max(DROP_SLACK / 8)
    }

    /// Counts an append.
    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts what was dropped.
    pub(crate) fn subtract(&self, bytes: u64) {
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            Some(held.saturating_sub(bytes))
        });
    }
}

/// What a topic that drops its oldest records may take above its limit, at least: two journal groups, the one that the
/// shard hears of and the one that is being written meanwhile.
const DROP_SLACK: u64 = 8 << 20;

//! What a topic holds, shared between the sequencer, which admits produces, and the shard, which frees.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of one topic over all its partitions, and the most it may hold.
#[derive(Debug)]
pub(crate) struct TopicGauge {
    topic: Arc<str>,
    bytes: AtomicU64,
    limit: AtomicU64,
}

impl TopicGauge {
    /// Without a limit if `None`.
    pub(crate) fn new(topic: &str, limit: Option<u64>) -> Self {
        Self {
            topic: Arc::from(topic),
            bytes: AtomicU64::new(0),
            limit: AtomicU64::new(limit.unwrap_or(u64::MAX)),
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

    /// Sets the limit.
    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(u64::MAX), Ordering::Relaxed);
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

//! Batches of one partition that are in memory, in offset order, found by offset.

use std::collections::VecDeque;

use crate::ids::Offset;
use crate::record::StoredBatch;

/// The newest batches of a partition. Offsets only grow; holes are allowed.
#[derive(Debug, Default)]
pub(crate) struct Window {
    batches: VecDeque<StoredBatch>,
    bytes: u64,
}

impl Window {
    /// Adds the newest batch.
    pub(crate) fn push(&mut self, batch: StoredBatch) {
        debug_assert!(
            self.batches.back().is_none_or(|last| last.last() < batch.base()),
            "offsets only grow"
        );
        self.bytes += batch.size();
        self.batches.push_back(batch);
    }

    /// Bytes of all batches.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// First offset in memory.
    pub(crate) fn first(&self) -> Option<Offset> {
        self.batches.front().map(StoredBatch::base)
    }

    /// The batch that holds `offset`.
    pub(crate) fn find(&self, offset: Offset) -> Option<&StoredBatch> {
        let batch = self.batches.get(self.index_of(offset))?;
        (batch.base() <= offset).then_some(batch)
    }

    /// Batches that end at or after `offset`, oldest first.
    pub(crate) fn since(&self, offset: Offset) -> impl Iterator<Item = &StoredBatch> {
        self.batches.range(self.index_of(offset)..)
    }

    /// Takes the oldest batch out if `done` says so.
    pub(crate) fn pop_front_if(&mut self, done: impl FnOnce(&StoredBatch) -> bool) -> Option<StoredBatch> {
        if !done(self.batches.front()?) {
            return None;
        }
        let batch = self.batches.pop_front()?;
        self.bytes -= batch.size();
        Some(batch)
    }

    /// Takes out every batch that `done` says so of and returns their bytes.
    pub(crate) fn remove_where(&mut self, mut done: impl FnMut(&StoredBatch) -> bool) -> u64 {
        let mut removed = 0;
        self.batches.retain(|batch| {
            let gone = done(batch);
            if gone {
                removed += batch.size();
            }
            !gone
        });
        self.bytes -= removed;
        removed
    }

    fn index_of(&self, offset: Offset) -> usize {
        self.batches.partition_point(|batch| batch.last() < offset)
    }
}

//! Where the records of a batch lie, found by offset without parsing them. Offsets that ascend walk the batch once: for
//! whoever looks at many of its records, or measures them.

use std::ops::Range;

use super::batch::StoredBatch;
use super::header::HEADER_BYTES;
use super::view;
use crate::ids::{Offset, OffsetRange};

/// A place in a batch that moves on.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    batch: &'a StoredBatch,
    position: usize,
    offset: Offset,
}

impl<'a> Walk<'a> {
    /// At the first record.
    pub fn new(batch: &'a StoredBatch) -> Self {
        Self {
            batch,
            position: HEADER_BYTES,
            offset: batch.base(),
        }
    }

    /// The batch.
    pub const fn batch(&self) -> &'a StoredBatch {
        self.batch
    }

    /// Where the record at `offset` begins and ends; `None` if the batch has none, or cannot be read up to there.
    pub fn seek(&mut self, offset: Offset) -> Option<Range<usize>> {
        if !self.batch.range().contains(offset) {
            return None;
        }
        if offset < self.offset {
            *self = Self::new(self.batch);
        }
        loop {
            if self.position >= self.batch.bytes().len() {
                return None;
            }
            let (_, end) = view::bounds(self.batch.bytes(), self.position).ok()?;
            if self.offset == offset {
                return Some(self.position..end);
            }
            self.position = end;
            self.offset = self.offset.next();
        }
    }

    /// Bytes of the records of `range` that are in the batch.
    pub fn bytes(&mut self, range: OffsetRange) -> u64 {
        let Some(inside) = self.batch.range().intersect(range) else {
            return 0;
        };
        if inside == self.batch.range() {
            return self.batch.size();
        }
        let first = self.seek(inside.first()).map(|place| place.start);
        let last = self.seek(inside.last()).map(|place| place.end);
        // What cannot be read counts as a whole.
        let whole = self.batch.bytes().len();
        (last.unwrap_or(whole) - first.unwrap_or(0)) as u64
    }

    /// Bytes of the largest record.
    pub fn largest(mut self) -> u64 {
        let mut largest = 0;
        let mut offset = self.batch.base();
        while let Some(place) = self.seek(offset) {
            largest = largest.max(place.len() as u64);
            offset = offset.next();
        }
        largest
    }
}

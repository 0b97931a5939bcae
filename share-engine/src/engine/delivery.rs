//! One acquired record: a reference-counted batch, a position in it, and the lease.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::shard::AcquiredPart;
use crate::ids::{LeaseKey, Offset};
use crate::record::{RecordError, RecordView, StoredBatch};
use crate::time::{Instant, WallTime};

/// One acquired record. Clones share its bytes.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What `settle` and `renew` carry.
    pub lease: LeaseKey,
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: u32,
    /// When the lease ends unless it is extended, on the engine's monotonic clock.
    pub deadline: Instant,
    /// When the attempt began: the acquisition that raised the delivery count.
    pub attempt_began: WallTime,
    /// How old the attempt was when the record was handed out, whatever was done to the wall clock meanwhile.
    pub attempt_age: Duration,
    /// When the record was handed out, on the engine's monotonic clock.
    pub handed_out_at: Instant,
    /// What the last `renew` of this record left.
    pub checkpoint: Option<Bytes>,
    batch: StoredBatch,
    position: u32,
}

impl Delivery {
    /// Its offset.
    pub fn offset(&self) -> Offset {
        self.lease.offset
    }

    /// Key, value, headers and timestamp, parsed without copying.
    pub fn record(&self) -> Result<RecordView<'_>, RecordError> {
        self.batch.record_at(self.position)
    }

    /// The byte of the batch at which it begins.
    pub fn position(&self) -> u32 {
        self.position
    }

    /// The batch that holds it.
    pub fn batch(&self) -> &StoredBatch {
        &self.batch
    }
}

/// Spreads acquired ranges out into single records.
pub(crate) fn spread(parts: Vec<AcquiredPart>) -> Vec<Delivery> {
    let count: u64 = parts.iter().map(|part| part.range.count()).sum();
    let mut deliveries = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for part in parts {
        for batch in &part.batches {
            let Some(wanted) = batch.range().intersect(part.range) else {
                continue;
            };
            for (offset, position) in batch.positions().filter_map(Result::ok) {
                if offset > wanted.last() {
                    break;
                }
                if offset >= wanted.first() {
                    deliveries.push(part.delivery(offset, batch.clone(), position));
                }
            }
        }
    }
    deliveries
}

impl AcquiredPart {
    fn checkpoint(&self, offset: Offset) -> Option<Bytes> {
        let index = self.checkpoints.binary_search_by_key(&offset, |(at, _)| *at).ok()?;
        self.checkpoints.get(index).map(|(_, checkpoint)| checkpoint.clone())
    }

    fn delivery(&self, offset: Offset, batch: StoredBatch, position: u32) -> Delivery {
        Delivery {
            lease: LeaseKey {
                share: self.share,
                epoch: self.epoch,
                offset,
                delivery_count: self.delivery_count,
                continuation: self.continuation,
            },
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            deadline: self.deadline,
            attempt_began: self.began,
            attempt_age: self.age,
            handed_out_at: self.handed_out_at,
            checkpoint: self.checkpoint(offset),
            batch,
            position,
        }
    }
}

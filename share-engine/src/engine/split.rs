//! Records of one produce call as they go to the journal: a part for each partition, cut into batches, each record with
//! its place in the call.

use super::handle::Receipt;
use crate::error::ProduceError;
use crate::ids::{Offset, PartitionKey};
use crate::record::NewRecord;

/// Records of one partition on their way to the journal.
pub(super) struct Part {
    pub(super) partition: u32,
    pub(super) key: PartitionKey,
    pub(super) slots: Vec<usize>,
    pub(super) records: Vec<NewRecord>,
}

/// Records of a topic with one partition, which needs no choosing.
pub(super) fn one_after_the_other(key: PartitionKey, records: Vec<NewRecord>) -> Vec<Part> {
    let mut full = Vec::new();
    let mut part = Part::new(0, key);
    let count = records.len();
    for (slot, record) in records.into_iter().enumerate() {
        if part.records.is_empty() {
            let most = (count - slot).min(BATCH_RECORDS);
            part.records.reserve_exact(most);
            part.slots.reserve_exact(most);
        }
        part.slots.push(slot);
        part.records.push(record);
        if part.records.len() >= BATCH_RECORDS || part.size() >= BATCH_BYTES {
            full.push(std::mem::replace(&mut part, Part::new(0, key)));
        }
    }
    if !part.records.is_empty() {
        full.push(part);
    }
    full
}

impl Part {
    pub(super) fn new(partition: u32, key: PartitionKey) -> Self {
        Self {
            partition,
            key,
            slots: Vec::new(),
            records: Vec::new(),
        }
    }

    pub(super) fn size(&self) -> usize {
        let last = self.records.last();
        let bytes = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
        last.map_or(0, |record| bytes(&record.key) + bytes(&record.value)) * self.records.len()
    }
}

pub(super) fn fill(results: &mut [Result<Receipt, ProduceError>], part: &Part, result: &Result<Offset, ProduceError>) {
    for (index, slot) in part.slots.iter().enumerate() {
        if let Some(place) = results.get_mut(*slot) {
            *place = match result {
                Ok(base) => Ok(Receipt {
                    partition: part.partition,
                    offset: base.plus(index as u64),
                }),
                Err(error) => Err(error.clone()),
            };
        }
    }
}

/// Records in one batch.
pub(super) const BATCH_RECORDS: usize = 10_000;
/// Bytes at which a batch is closed, by estimate.
pub(super) const BATCH_BYTES: usize = 1 << 20;

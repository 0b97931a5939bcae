//! Produced records, cut into batches for single partitions; and their results, put back in order.

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
    bytes: usize,
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
        part.push(slot, record);
        if part.is_full() {
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
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, slot: usize, record: NewRecord) {
        let bytes = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
        let headers = record.headers.iter();
        let headers: usize = headers.map(|header| header.name.len() + bytes(&header.value)).sum();
        self.bytes += bytes(&record.key) + bytes(&record.value) + headers;
        self.slots.push(slot);
        self.records.push(record);
    }

    /// Whether it is large enough for a batch.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
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
const BATCH_RECORDS: usize = 10_000;
/// Bytes of keys, values and headers at which a batch is closed.
const BATCH_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::record::Header;

    fn record(value: usize, header: usize) -> NewRecord {
        NewRecord {
            value: Some(Bytes::from(vec![0; value])),
            headers: vec![Header {
                name: Bytes::from_static(b"h"),
                value: Some(Bytes::from(vec![0; header])),
            }],
            ..NewRecord::default()
        }
    }

    fn lengths(records: Vec<NewRecord>) -> Vec<usize> {
        let parts = one_after_the_other(PartitionKey(1), records);
        parts.iter().map(|part| part.records.len()).collect()
    }

    /// Headers were not counted: ten thousand large ones made a batch that nothing took.
    #[test]
    fn headers_count_for_the_size_of_a_batch() {
        assert_eq!(lengths(vec![record(0, 1 << 10); 3_000]), [1_024, 1_024, 952]);
    }

    /// The last record was taken for the measure of all.
    #[test]
    fn every_record_counts_for_the_size_of_a_batch() {
        let large_and_small = [record(700 << 10, 0), record(1, 0), record(700 << 10, 0), record(1, 0)];
        assert_eq!(lengths(large_and_small.to_vec()), [3, 1]);
    }
}

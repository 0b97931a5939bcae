//! The 61 bytes in front of each batch, big-endian: base offset (8), length of what follows (4), leader epoch (4), format (1),
//! CRC-32C of all that follows it (4), attributes (2), last offset delta (4), base and largest timestamp (8 each), producer's id (8)
//! and epoch (2), base sequence (4), number of records (4).

use super::codec::Codec;
use super::error::{Offsets, RecordsError};

/// What the timestamps of records mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// When the producer made the record.
    Create,
    /// When the broker appended the batch; the same for all its records.
    Append,
}

/// What a batch says of itself. Numbers are in range; whether they are true, reading the records tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Of the first record when the batch was made, 0 or more. Compaction may have taken that record away.
    pub base_offset: i64,
    /// Of the last record when the batch was made, inclusive, the base offset or more.
    pub last_offset: i64,
    /// Of the leader that appended it; -1 from a producer.
    pub leader_epoch: i32,
    /// How the records are compressed.
    pub codec: Codec,
    /// What the timestamps of the records mean.
    pub timestamp_type: TimestampType,
    /// Whether it is part of a transaction.
    pub is_transactional: bool,
    /// Whether its record is Kafka's own: the end of a transaction. Nobody who fetches is to see it.
    pub is_control: bool,
    /// Milliseconds since 1970 that the records' timestamps are counted from.
    pub base_timestamp: i64,
    /// Milliseconds since 1970; the largest of the records, or the time of the append.
    pub max_timestamp: i64,
    /// -1 for none.
    pub producer_id: i64,
    /// -1 for none.
    pub producer_epoch: i16,
    /// The first record's number in what the producer writes to the partition; -1 for none.
    pub base_sequence: i32,
    /// How many records it claims to have.
    pub record_count: u32,
}

/// Bytes of a header.
pub(super) const HEADER: usize = 61;
/// Bytes in front of what the length counts.
pub(super) const LENGTH_END: usize = 12;
/// The first byte under the checksum.
pub(super) const CHECKED: usize = 21;

impl BatchHeader {
    /// The offsets between base and last, both inclusive.
    pub const fn offsets(&self) -> Offsets {
        Offsets {
            first: self.base_offset,
            last: self.last_offset,
        }
    }

    /// Reads it from a whole batch and compares the checksum.
    pub(super) fn parse(batch: &[u8; HEADER], records: &[u8]) -> Result<Self, RecordsError> {
        let mut from = Fields(batch);
        let first = i64::from_be_bytes(from.take());
        let _length: [u8; 4] = from.take();
        let leader_epoch = i32::from_be_bytes(from.take());
        let found = i8::from_be_bytes(from.take());
        if found != FORMAT {
            return Err(RecordsError::Format { first, found });
        }
        let stored = u32::from_be_bytes(from.take());
        let computed = crc32c::crc32c_append(crc32c::crc32c(from.0), records);
        let attributes = u16::from_be_bytes(from.take());
        let last_offset_delta = i32::from_be_bytes(from.take());
        let batch = Offsets {
            first,
            last: first.saturating_add(i64::from(last_offset_delta.max(0))),
        };
        if stored != computed {
            return Err(RecordsError::Checksum {
                batch,
                stored,
                computed,
            });
        }
        let base_timestamp = i64::from_be_bytes(from.take());
        let max_timestamp = i64::from_be_bytes(from.take());
        let producer_id = i64::from_be_bytes(from.take());
        let producer_epoch = i16::from_be_bytes(from.take());
        let base_sequence = i32::from_be_bytes(from.take());
        let record_count = i32::from_be_bytes(from.take());

        let refused = |field, value| Err(RecordsError::Header { first, field, value });
        if first < 0 {
            return refused("base offset", first);
        }
        let Some(last_offset) = u32::try_from(last_offset_delta)
            .ok()
            .and_then(|delta| first.checked_add(i64::from(delta)))
        else {
            return refused("last offset delta", i64::from(last_offset_delta));
        };
        let Ok(record_count) = u32::try_from(record_count) else {
            return refused("number of records", i64::from(record_count));
        };
        let id = (attributes & CODEC).to_le_bytes()[0];
        let codec = Codec::of_id(id).ok_or(RecordsError::UnknownCodec { batch, id })?;
        Ok(Self {
            base_offset: first,
            last_offset,
            leader_epoch,
            codec,
            timestamp_type: if attributes & APPEND_TIME == 0 {
                TimestampType::Create
            } else {
                TimestampType::Append
            },
            is_transactional: attributes & TRANSACTIONAL != 0,
            is_control: attributes & CONTROL != 0,
            base_timestamp,
            max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count,
        })
    }

    /// Writes it in front of the records that follow it in `batch`, with their length and checksum.
    pub(super) fn write(&self, batch: &mut [u8]) -> Result<(), RecordsError> {
        let length = batch.len().saturating_sub(LENGTH_END);
        let length = i32::try_from(length).map_err(|_| RecordsError::New { field: "length" })?;
        let delta = self.last_offset.checked_sub(self.base_offset);
        let delta = delta.and_then(|delta| i32::try_from(delta).ok());
        let delta = delta.ok_or(RecordsError::New { field: "last offset" })?;
        let count = i32::try_from(self.record_count);
        let count = count.map_err(|_| RecordsError::New {
            field: "number of records",
        })?;
        let (before, checked) = batch.split_at_mut(CHECKED);
        let mut out = Places(checked);
        out.put(self.attributes().to_be_bytes());
        out.put(delta.to_be_bytes());
        out.put(self.base_timestamp.to_be_bytes());
        out.put(self.max_timestamp.to_be_bytes());
        out.put(self.producer_id.to_be_bytes());
        out.put(self.producer_epoch.to_be_bytes());
        out.put(self.base_sequence.to_be_bytes());
        out.put(count.to_be_bytes());
        let checksum = crc32c::crc32c(checked);
        let mut out = Places(before);
        out.put(self.base_offset.to_be_bytes());
        out.put(length.to_be_bytes());
        out.put(self.leader_epoch.to_be_bytes());
        out.put(FORMAT.to_be_bytes());
        out.put(checksum.to_be_bytes());
        Ok(())
    }

    /// Without the bit that says that the base timestamp is also the time from which on Kafka may forget the batch: that is
    /// between brokers. The timestamps are counted from it all the same.
    const fn attributes(&self) -> u16 {
        let mut attributes = self.codec.id() as u16;
        if matches!(self.timestamp_type, TimestampType::Append) {
            attributes |= APPEND_TIME;
        }
        if self.is_transactional {
            attributes |= TRANSACTIONAL;
        }
        if self.is_control {
            attributes |= CONTROL;
        }
        attributes
    }
}

/// Whether the batch says more of itself than what its timestamps mean and that it is a control batch.
pub(super) fn is_adorned(batch: &[u8]) -> bool {
    let attributes = batch.get(CHECKED..).and_then(|rest| rest.first_chunk());
    attributes.is_some_and(|bytes| u16::from_be_bytes(*bytes) & !(APPEND_TIME | CONTROL) != 0)
}

const FORMAT: i8 = 2;
const CODEC: u16 = 0b111;
const APPEND_TIME: u16 = 1 << 3;
const TRANSACTIONAL: u16 = 1 << 4;
const CONTROL: u16 = 1 << 5;

/// The rest of a header; all of its fields together take its 61 bytes.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *field
    }
}

/// Where the rest of a header goes.
struct Places<'b>(&'b mut [u8]);

impl Places<'_> {
    fn put<const N: usize>(&mut self, field: [u8; N]) {
        let (place, rest) = std::mem::take(&mut self.0).split_at_mut(N);
        place.copy_from_slice(&field);
        self.0 = rest;
    }
}

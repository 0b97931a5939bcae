//! Batches to be written: as a producer sends them, and as tests want them.

use bytes::Bytes;

use super::codec::Codec;
use super::error::RecordsError;
use super::header::{BatchHeader, HEADER, TimestampType};
use super::varint;

/// A record to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewRecord<'b> {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Null differs from empty.
    pub key: Option<&'b [u8]>,
    /// Null differs from empty.
    pub value: Option<&'b [u8]>,
    /// Names and values; names may repeat.
    pub headers: &'b [(&'b str, Option<&'b [u8]>)],
}

/// A batch to be written. The default is what a producer without an id sends: offset 0, not compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewBatch {
    /// Of the first record; brokers write their own over it. The records get consecutive ones.
    pub base_offset: i64,
    /// How it is compressed.
    pub codec: Codec,
    /// As `InitProducerId` gave it; -1 for none.
    pub producer_id: i64,
    /// As `InitProducerId` gave it; -1 for none.
    pub producer_epoch: i16,
    /// The number of the first record among those of this producer's epoch in the partition, from 0; -1 for none.
    pub base_sequence: i32,
    /// Whether it is part of a transaction.
    pub is_transactional: bool,
}

impl Default for NewBatch {
    fn default() -> Self {
        Self {
            base_offset: 0,
            codec: Codec::None,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            is_transactional: false,
        }
    }
}

impl NewBatch {
    /// The batch with these records: header, lengths and checksum included. Refuses what does not fit the fields of a batch, above all
    /// 2 GiB; brokers take much less (`max.message.bytes`, 1 MiB by default), and no batch without records.
    pub fn encode(&self, records: &[NewRecord<'_>]) -> Result<Bytes, RecordsError> {
        let out_of_range = |field| RecordsError::New { field };
        let base_timestamp = records.first().map_or(-1, |record| record.timestamp);
        let mut plain = Vec::new();
        for (offset_delta, record) in (0..).zip(records) {
            let timestamp_delta = record.timestamp.checked_sub(base_timestamp);
            let timestamp_delta = timestamp_delta.ok_or(out_of_range("timestamp"))?;
            record.put(timestamp_delta, offset_delta, &mut plain)?;
        }
        let record_count = u32::try_from(records.len()).map_err(|_| out_of_range("number of records"))?;
        let last = i64::from(record_count.saturating_sub(1));
        let header = BatchHeader {
            base_offset: self.base_offset,
            last_offset: self.base_offset.checked_add(last).ok_or(out_of_range("base offset"))?,
            leader_epoch: -1,
            codec: self.codec,
            timestamp_type: TimestampType::Create,
            is_transactional: self.is_transactional,
            is_control: false,
            base_timestamp,
            max_timestamp: records.iter().map(|record| record.timestamp).max().unwrap_or(-1),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count,
        };
        let packed = self.codec.pack(&plain, HEADER);
        let mut bytes = packed.map_err(|error| error.of(header.offsets(), self.codec, usize::MAX))?;
        header.write(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl NewRecord<'_> {
    fn put(&self, timestamp_delta: i64, offset_delta: i64, out: &mut Vec<u8>) -> Result<(), RecordsError> {
        let header = |(name, value): &(&str, Option<&[u8]>)| field_size(Some(name.as_bytes())) + field_size(*value);
        let count = i64::try_from(self.headers.len()).unwrap_or(i64::MAX);
        let size = 1
            + varint::size(timestamp_delta)
            + varint::size(offset_delta)
            + field_size(self.key)
            + field_size(self.value)
            + varint::size(count)
            + self.headers.iter().map(header).sum::<usize>();
        let size = i32::try_from(size).map_err(|_| RecordsError::New { field: "record" })?;
        varint::put(out, i64::from(size));
        out.push(0);
        varint::put(out, timestamp_delta);
        varint::put(out, offset_delta);
        put_field(self.key, out);
        put_field(self.value, out);
        varint::put(out, count);
        for (name, value) in self.headers {
            put_field(Some(name.as_bytes()), out);
            put_field(*value, out);
        }
        Ok(())
    }
}

/// Lengths of what is in memory are far below 2^63.
const fn field_len(field: Option<&[u8]>) -> i64 {
    match field {
        None => -1,
        Some(bytes) => bytes.len().cast_signed() as i64,
    }
}

fn field_size(field: Option<&[u8]>) -> usize {
    varint::size(field_len(field)) + field.map_or(0, <[u8]>::len)
}

fn put_field(field: Option<&[u8]>, out: &mut Vec<u8>) {
    varint::put(out, field_len(field));
    out.extend_from_slice(field.unwrap_or_default());
}

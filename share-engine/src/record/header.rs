//! The 61 bytes in front of every batch: parsed and written in one place, table in the module's head.

use super::error::RecordError;

/// Bytes of a batch header.
pub const HEADER_BYTES: usize = 61;

/// Bytes in front of what the batch length counts.
pub(super) const LENGTH_END: usize = 12;
/// First byte under the CRC.
pub(super) const CRC_START: usize = 21;

/// What a record's timestamp means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// When the producer made the record.
    Create,
    /// When the batch was appended; the same for all its records.
    Append,
}

/// A parsed header. Numbers are checked for range, not for truth: see [`super::validate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Base offset as written, 0 or more. Where it stands is decided outside of the batch.
    pub base_offset: u64,
    /// Bytes of the whole batch, header and length field included; at least 61.
    pub total_len: usize,
    /// Partition leader epoch as written.
    pub leader_epoch: i32,
    /// CRC-32C as written.
    pub crc: u32,
    /// All attribute bits.
    pub attributes: u16,
    /// Offset of the last record minus base offset, 0 or more.
    pub last_offset_delta: u32,
    /// Milliseconds since 1970 of the first record.
    pub base_timestamp: i64,
    /// Largest of all records.
    pub max_timestamp: i64,
    /// -1 for none.
    pub producer_id: i64,
    /// -1 for none.
    pub producer_epoch: i16,
    /// -1 for none.
    pub base_sequence: i32,
    /// Number of records, 0 or more.
    pub record_count: u32,
}

impl BatchHeader {
    /// Parses the first 61 bytes. `bytes` may end within the batch or go on after it.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let Some((head, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(RecordError::Truncated {
                needed: HEADER_BYTES,
                found: bytes.len(),
            });
        };
        let mut rest: &[u8] = head;
        let base_offset = i64::from_be_bytes(take(&mut rest));
        let length = i32::from_be_bytes(take(&mut rest));
        let leader_epoch = i32::from_be_bytes(take(&mut rest));
        let [magic] = take(&mut rest);
        if magic != 2 {
            return Err(RecordError::Magic { found: magic });
        }
        let crc = u32::from_be_bytes(take(&mut rest));
        let attributes = u16::from_be_bytes(take(&mut rest));
        let last_offset_delta = i32::from_be_bytes(take(&mut rest));
        let base_timestamp = i64::from_be_bytes(take(&mut rest));
        let max_timestamp = i64::from_be_bytes(take(&mut rest));
        let producer_id = i64::from_be_bytes(take(&mut rest));
        let producer_epoch = i16::from_be_bytes(take(&mut rest));
        let base_sequence = i32::from_be_bytes(take(&mut rest));
        let record_count = i32::from_be_bytes(take(&mut rest));

        let field = |field, value| RecordError::HeaderField { field, value };
        let total_len = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(LENGTH_END))
            .filter(|total| *total >= HEADER_BYTES)
            .ok_or(field("batch length", i64::from(length)))?;
        Ok(Self {
            base_offset: u64::try_from(base_offset).map_err(|_| field("base offset", base_offset))?,
            total_len,
            leader_epoch,
            crc,
            attributes,
            last_offset_delta: u32::try_from(last_offset_delta)
                .map_err(|_| field("last offset delta", i64::from(last_offset_delta)))?,
            base_timestamp,
            max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count: u32::try_from(record_count).map_err(|_| field("record count", i64::from(record_count)))?,
        })
    }

    /// The 61 bytes. Values above Kafka's signed ranges are a bug of the caller and saturate.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let length = self.total_len.saturating_sub(LENGTH_END);
        let mut bytes = [0; HEADER_BYTES];
        let mut writer = Writer { rest: &mut bytes };
        writer.put(i64::try_from(self.base_offset).unwrap_or(i64::MAX).to_be_bytes());
        writer.put(i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes());
        writer.put(self.leader_epoch.to_be_bytes());
        writer.put([2]);
        writer.put(self.crc.to_be_bytes());
        writer.put(self.attributes.to_be_bytes());
        writer.put(i32::try_from(self.last_offset_delta).unwrap_or(i32::MAX).to_be_bytes());
        writer.put(self.base_timestamp.to_be_bytes());
        writer.put(self.max_timestamp.to_be_bytes());
        writer.put(self.producer_id.to_be_bytes());
        writer.put(self.producer_epoch.to_be_bytes());
        writer.put(self.base_sequence.to_be_bytes());
        writer.put(i32::try_from(self.record_count).unwrap_or(i32::MAX).to_be_bytes());
        bytes
    }

    /// Compares the stored CRC with that of `batch`, which must be the whole batch this header came from.
    pub fn check_crc(&self, batch: &[u8]) -> Result<(), RecordError> {
        let whole = batch.get(..self.total_len).ok_or(RecordError::Truncated {
            needed: self.total_len,
            found: batch.len(),
        })?;
        let computed = crc32c::crc32c(whole.get(CRC_START..).unwrap_or_default());
        if computed == self.crc {
            Ok(())
        } else {
            Err(RecordError::Crc {
                stored: self.crc,
                computed,
            })
        }
    }

    /// What the records' timestamps mean.
    pub const fn timestamp_type(&self) -> TimestampType {
        timestamp_type(self.attributes)
    }

    /// Refuses what this version cannot read or does not accept.
    pub(super) const fn check_attributes(&self) -> Result<(), RecordError> {
        if self.attributes & !ATTRIBUTES_KNOWN != 0 {
            return Err(RecordError::Attributes { found: self.attributes });
        }
        if self.attributes & ATTRIBUTE_CONTROL != 0 {
            return Err(RecordError::Control);
        }
        if self.attributes & ATTRIBUTE_TRANSACTIONAL != 0 {
            return Err(RecordError::Transactional);
        }
        match self.attributes & ATTRIBUTE_CODEC {
            0 => Ok(()),
            codec => Err(RecordError::Compressed {
                codec: codec.to_le_bytes()[0],
            }),
        }
    }
}

/// What reading a record needs of the header, without parsing all of it.
pub(super) struct Timestamps {
    pub(super) base: i64,
    pub(super) meaning: TimestampType,
}

/// From a batch whose header was parsed before; zeros if it is too short.
#[inline]
pub(super) fn timestamps(batch: &[u8]) -> Timestamps {
    let mut rest = batch.get(CRC_START..).unwrap_or_default();
    let attributes = u16::from_be_bytes(take(&mut rest));
    let _last_offset_delta: [u8; 4] = take(&mut rest);
    Timestamps {
        base: i64::from_be_bytes(take(&mut rest)),
        meaning: timestamp_type(attributes),
    }
}

const fn timestamp_type(attributes: u16) -> TimestampType {
    if attributes & ATTRIBUTE_APPEND_TIME == 0 {
        TimestampType::Create
    } else {
        TimestampType::Append
    }
}

const ATTRIBUTE_CODEC: u16 = 0b111;
const ATTRIBUTE_APPEND_TIME: u16 = 1 << 3;
const ATTRIBUTE_TRANSACTIONAL: u16 = 1 << 4;
const ATTRIBUTE_CONTROL: u16 = 1 << 5;
const ATTRIBUTES_KNOWN: u16 = ATTRIBUTE_CODEC | ATTRIBUTE_APPEND_TIME | ATTRIBUTE_TRANSACTIONAL | ATTRIBUTE_CONTROL;

/// The next `N` bytes; the callers take 61 in all out of 61.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (head, tail) = rest.split_first_chunk::<N>().unwrap_or((&[0; N], &[]));
    *rest = tail;
    *head
}

/// Fills the header's bytes from the front.
struct Writer<'a> {
    rest: &'a mut [u8],
}

impl Writer<'_> {
    fn put<const N: usize>(&mut self, value: [u8; N]) {
        let (head, tail) = std::mem::take(&mut self.rest).split_at_mut(N);
        head.copy_from_slice(&value);
        self.rest = tail;
    }
}

//! What can be wrong with a batch, as one enum for encoding, validation and reading.

use crate::time::WallTime;

/// A batch that cannot be made, or that is not what it says it is. Positions are bytes from the batch's first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes end before the batch does.
    #[error("batch is cut: {needed} bytes needed, {found} found")]
    Truncated {
        /// Bytes that the batch says it has, at least 61.
        needed: usize,
        /// Bytes there are.
        found: usize,
    },
    /// Bytes follow the last record.
    #[error("{found} bytes follow the end of the batch at byte {end}")]
    TrailingBytes {
        /// Where the batch ends.
        end: usize,
        /// How many bytes follow.
        found: usize,
    },
    /// Not format v2.
    #[error("batch has magic {found}, only 2 is supported")]
    Magic {
        /// The byte found.
        found: u8,
    },
    /// A number of the header lies outside its range.
    #[error("batch header field {field} is {value}")]
    HeaderField {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: i64,
    },
    /// The checksum does not match.
    #[error("batch CRC-32C is {computed:#010x}, {stored:#010x} expected")]
    Crc {
        /// From the header.
        stored: u32,
        /// From the bytes.
        computed: u32,
    },
    /// Compressed batches are not read yet.
    #[error("batch is compressed with codec {codec}, only 0 (none) is supported")]
    Compressed {
        /// 1 gzip, 2 snappy, 3 lz4, 4 zstd; others are undefined.
        codec: u8,
    },
    /// A batch that belongs to a transaction.
    #[error("batch is transactional, which is not supported")]
    Transactional,
    /// A control batch; only brokers write those.
    #[error("batch is a control batch, which is not accepted")]
    Control,
    /// An attribute bit without a meaning here.
    #[error("batch attributes {found:#06x} hold unknown bits")]
    Attributes {
        /// All 16 bits.
        found: u16,
    },
    /// A record's field cannot be read.
    #[error("record field {field} at byte {position} is malformed")]
    Field {
        /// Which field.
        field: &'static str,
        /// Where it begins.
        position: usize,
    },
    /// A record's offset does not follow the one before.
    #[error("record {index} has offset delta {found}")]
    OffsetDelta {
        /// Which record, from 0; also the delta it must have.
        index: u32,
        /// The delta it has.
        found: i32,
    },
    /// The header's largest timestamp is not that of the records.
    #[error("batch says its largest timestamp is {stored}, its records say {computed}")]
    MaxTimestamp {
        /// From the header, milliseconds.
        stored: i64,
        /// From the records, milliseconds.
        computed: i64,
    },
    /// No record at all.
    #[error("batch holds no record")]
    Empty,
    /// One record is too large.
    #[error("record {index} needs a batch of {size} bytes, the limit is {limit}")]
    RecordTooLarge {
        /// Which record, from 0.
        index: usize,
        /// Bytes of a batch that held this record alone.
        size: usize,
        /// [`super::RecordLimits::record_bytes`].
        limit: usize,
    },
    /// All records together are too large.
    #[error("batch has {size} bytes, the limit is {limit}")]
    BatchTooLarge {
        /// Bytes of the whole batch.
        size: usize,
        /// [`super::RecordLimits::batch_bytes`].
        limit: usize,
    },
    /// A timestamp before 1970.
    #[error("record {index} has timestamp {}, at least 0 expected", .found.as_millis())]
    Timestamp {
        /// Which record, from 0.
        index: usize,
        /// Its timestamp.
        found: WallTime,
    },
    /// A header's name is not UTF-8.
    #[error("record {index} has a header whose name is not UTF-8: {name}")]
    HeaderName {
        /// Which record, from 0.
        index: usize,
        /// The name with what is not UTF-8 replaced, at most 64 bytes of it.
        name: String,
    },
}

impl RecordError {
    /// The record that is to blame, from 0, where the others of its batch are sound.
    pub(crate) fn culprit(&self) -> Option<usize> {
        match self {
            Self::RecordTooLarge { index, .. } | Self::Timestamp { index, .. } | Self::HeaderName { index, .. } => {
                Some(*index)
            }
            _ => None,
        }
    }
}

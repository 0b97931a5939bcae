//! What can be wrong with record batches.

use std::fmt;

use super::codec::Codec;

/// The offsets of a batch, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// The first.
    pub first: i64,
    /// The last, inclusive; never below the first.
    pub last: i64,
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offsets {} to {}", self.first, self.last)
    }
}

/// Why batches or records cannot be read, or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// Where the next batch begins is not known: nothing behind this one can be read.
    #[error("the batch at byte {at} says that {length} bytes follow, the least is {least}")]
    Length {
        /// Where it begins, in bytes from the start of what was fetched.
        at: usize,
        /// As it says.
        length: i32,
        /// Of a batch without records.
        least: usize,
    },
    /// The format of Kafka before 0.11, or bytes that are no batch.
    #[error("the batch at offset {first} is of format {found}; format 2 is read, which Kafka writes since 0.11")]
    Format {
        /// Its first offset, or its last if it is an old one.
        first: i64,
        /// As it says.
        found: i8,
    },
    /// Something changed on the way.
    #[error("the checksum of the batch with {batch} is {stored:#010x}, its bytes give {computed:#010x}")]
    Checksum {
        /// As its header says, which may be what is wrong.
        batch: Offsets,
        /// In the header.
        stored: u32,
        /// CRC-32C of the batch.
        computed: u32,
    },
    /// A header field without a meaning.
    #[error("the batch at offset {first} has {value} for its {field}")]
    Header {
        /// Its first offset.
        first: i64,
        /// Which.
        field: &'static str,
        /// As it says.
        value: i64,
    },
    /// A compression that nobody has defined.
    #[error("the batch with {batch} is compressed in way {id}; 1 to 4 are known")]
    UnknownCodec {
        /// Of the batch.
        batch: Offsets,
        /// As the batch says.
        id: u8,
    },
    /// It would take too much memory.
    #[error("the batch with {batch}, compressed by {codec}, grows beyond the limit of {limit} bytes")]
    Grows {
        /// Of the batch.
        batch: Offsets,
        /// How it is compressed.
        codec: Codec,
        /// Bytes that its records may take.
        limit: usize,
    },
    /// It cannot be uncompressed.
    #[error("the batch with {batch} cannot be read as {codec}: {reason}")]
    Compressed {
        /// Of the batch.
        batch: Offsets,
        /// How it claims to be compressed.
        codec: Codec,
        /// As the reader of that compression says.
        reason: String,
    },
    /// A record that is cut off, or has a length that cannot be.
    #[error("a record in the batch with {batch} cannot be read: its {field} at byte {at} of the plain batch")]
    Record {
        /// Of the batch.
        batch: Offsets,
        /// Which.
        field: &'static str,
        /// Where the field begins (of a timestamp: its record), in bytes from the start of the uncompressed batch.
        at: usize,
    },
    /// Records that are not in the order of their offsets, or outside of the batch.
    #[error("a record in the batch with {batch} has offset {found}, out of order or outside")]
    Offset {
        /// Of the batch.
        batch: Offsets,
        /// Of the record.
        found: i64,
    },
    /// More or fewer records than the header says.
    #[error("the batch with {batch} claims {claimed} records and has {}", if *.found > *.claimed { "more" } else { "fewer" })]
    Count {
        /// Of the batch.
        batch: Offsets,
        /// As its header says.
        claimed: u32,
        /// Records read; one more than claimed if bytes were left behind them.
        found: u32,
    },
    /// A batch to be written that no header can describe.
    #[error("a new batch with a {field} out of range")]
    New {
        /// What is too large.
        field: &'static str,
    },
}

impl RecordsError {
    /// The offsets of the batch that cannot be read, if its header could be.
    pub const fn batch(&self) -> Option<Offsets> {
        match self {
            Self::Checksum { batch, .. }
            | Self::UnknownCodec { batch, .. }
            | Self::Grows { batch, .. }
            | Self::Compressed { batch, .. }
            | Self::Record { batch, .. }
            | Self::Offset { batch, .. }
            | Self::Count { batch, .. } => Some(*batch),
            Self::Length { .. } | Self::Format { .. } | Self::Header { .. } | Self::New { .. } => None,
        }
    }
}

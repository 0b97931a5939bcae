//! How the records of a batch are compressed: all of them as one piece, behind the header. Whatever grows is bounded: a kilobyte can
//! claim to be gigabytes.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use super::error::{Offsets, RecordsError};

/// Bytes that the records of one batch may take when they are uncompressed, unless another limit is set: 64 MiB. Brokers take batches
/// of 1 MiB, as they are compressed, unless they are told otherwise.
pub const PLAIN_MAX: usize = 64 << 20;

/// A compression of record batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, in the frames of its Java library (written), or as one block (read too).
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Its name, as in Kafka's setting `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Its number in a batch.
    pub const fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// By its number in a batch.
    pub fn of_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// Uncompresses `packed` into at most `limit` bytes, behind `room` zeros.
    pub(super) fn expand(self, packed: &[u8], limit: usize, room: usize) -> Result<Vec<u8>, CodecError> {
        let limit = limit.min(LARGEST);
        if packed.is_empty() {
            return Ok(vec![0; room]);
        }
        match self {
            Self::None => Ok([&vec![0; room][..], packed].concat()),
            Self::Gzip => gzip::expand(packed, limit, room),
            Self::Snappy => snappy::expand(packed, limit, room),
            Self::Lz4 => lz4::expand(packed, limit, room),
            Self::Zstd => zstd::expand(packed, limit, room),
        }
    }

    /// Compresses `plain`, behind `room` zeros.
    pub(super) fn pack(self, plain: &[u8], room: usize) -> Result<Vec<u8>, CodecError> {
        let out = vec![0; room];
        match self {
            Self::None => Ok([&out, plain].concat()),
            Self::Gzip => gzip::pack(plain, out),
            Self::Snappy => snappy::pack(plain, out),
            Self::Lz4 => lz4::pack(plain, out),
            Self::Zstd => zstd::pack(plain, out),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|codec| codec.name() == name);
        found.ok_or_else(|| format!("`{name}` is none of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Why compressed bytes cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CodecError {
    /// Beyond the limit.
    Grows,
    /// As the reader of the compression says.
    Refused(String),
}

impl CodecError {
    pub(super) fn of(self, batch: Offsets, codec: Codec, limit: usize) -> RecordsError {
        match self {
            Self::Grows => RecordsError::Grows { batch, codec, limit },
            Self::Refused(reason) => RecordsError::Compressed { batch, codec, reason },
        }
    }
}

impl From<std::io::Error> for CodecError {
    fn from(error: std::io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<snap::Error> for CodecError {
    fn from(error: snap::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

/// All that `reader` gives, at most `limit` bytes, behind `room` zeros. `packed`: bytes that it reads from.
fn read_all(reader: impl Read, packed: usize, limit: usize, room: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::with_capacity(room + packed.saturating_mul(GUESS).min(limit) + 1);
    out.resize(room, 0);
    reader.take(limit as u64 + 1).read_to_end(&mut out)?;
    if out.len() - room > limit {
        return Err(CodecError::Grows);
    }
    Ok(out)
}

/// How often larger records are than their compressed bytes, roughly.
const GUESS: usize = 4;

/// Neither a batch nor a part of one is larger than its length can say.
const LARGEST: usize = (i32::MAX - (1 << 10)) as usize;

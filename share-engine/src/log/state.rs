//! What a partition log consists of: options, the list of segments that goes to the snapshot, file names.

use crate::ids::{Offset, TopicId};
use crate::time::WallTime;

/// How a log is cut into segments and indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// A segment that would grow past this many bytes is rolled; a single larger batch gets its own. Default 64 MiB, at most 1 GiB.
    pub segment_bytes: u64,
    /// A segment that would span more than this many milliseconds, from its first batch's timestamp on, is rolled;
    /// `None`, the default: never for its age.
    pub segment_millis: Option<u64>,
    /// Bytes of the log between index entries, and of a checksum interval. Default 4096.
    pub index_interval_bytes: u64,
    /// Bytes collected before they are written. Default 1 MiB.
    pub write_buffer_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            segment_millis: None,
            index_interval_bytes: 4096,
            write_buffer_bytes: 1 << 20,
        }
    }
}

impl LogOptions {
    /// Largest [`LogOptions::segment_bytes`]: positions in index files have 31 bits.
    pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;
}

/// Whose log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// Id of the data directory.
    pub directory_id: u128,
    /// The topic.
    pub topic_id: TopicId,
}

/// One segment as of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentState {
    /// Offset of its first record; names its files.
    pub base: Offset,
    /// Offset behind its last record.
    pub end: Offset,
    /// Bytes of the log file.
    pub bytes: u64,
    /// Bytes of the offset index.
    pub index_bytes: u64,
    /// Bytes of the time index.
    pub timeindex_bytes: u64,
    /// Bytes of the sidecar.
    pub sums_bytes: u64,
    /// Largest timestamp of its records.
    pub max_timestamp: WallTime,
    /// Last offset of the first batch that has it.
    pub max_timestamp_offset: Offset,
}

/// All segments of a log as of a sync, in offset order: what a snapshot keeps of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// Possibly none.
    pub segments: Vec<SegmentState>,
}

impl LogState {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        let of =
            |segment: &SegmentState| segment.bytes + segment.index_bytes + segment.timeindex_bytes + segment.sums_bytes;
        self.segments.iter().map(of).sum()
    }

    /// Appends the snapshot's form: u32 number of segments, then for each base, end, the four lengths, largest
    /// timestamp and its offset, 8 bytes each, all little-endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // A log with 2^32 segments cannot exist: each holds at least one of 2^63 offsets and some kilobytes.
        out.extend_from_slice(&u32::try_from(self.segments.len()).unwrap_or(u32::MAX).to_le_bytes());
        for segment in &self.segments {
            for field in [
                segment.base.get(),
                segment.end.get(),
                segment.bytes,
                segment.index_bytes,
                segment.timeindex_bytes,
                segment.sums_bytes,
                segment.max_timestamp.as_millis().cast_unsigned(),
                segment.max_timestamp_offset.get(),
            ] {
                out.extend_from_slice(&field.to_le_bytes());
            }
        }
    }

    /// Reads what [`LogState::encode`] wrote from the front of `bytes`, and leaves the rest there. `None` if it is cut
    /// or its segments are not in order.
    pub fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (count, mut rest) = bytes.split_first_chunk::<4>()?;
        let count = u32::from_le_bytes(*count) as usize;
        if count > rest.len() / SEGMENT_STATE_BYTES {
            return None;
        }
        let mut segments = Vec::with_capacity(count);
        let mut end = Offset::ZERO;
        for _ in 0..count {
            let mut number = || {
                let (head, tail) = rest.split_first_chunk::<8>()?;
                rest = tail;
                Some(u64::from_le_bytes(*head))
            };
            let segment = SegmentState {
                base: Offset::new(number()?)?,
                end: Offset::new(number()?)?,
                bytes: number()?,
                index_bytes: number()?,
                timeindex_bytes: number()?,
                sums_bytes: number()?,
                max_timestamp: WallTime::from_millis(number()?.cast_signed()),
                max_timestamp_offset: Offset::new(number()?)?,
            };
            if segment.base < end || segment.end <= segment.base {
                return None;
            }
            end = segment.end;
            segments.push(segment);
        }
        *bytes = rest;
        Some(Self { segments })
    }
}

const SEGMENT_STATE_BYTES: usize = 64;

/// The four files of a segment, in the order in which they are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentFile {
    Sums,
    TimeIndex,
    Index,
    Log,
}

impl SegmentFile {
    pub(super) const ALL: [Self; 4] = [Self::Sums, Self::TimeIndex, Self::Index, Self::Log];

    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Sums => "sums",
            Self::TimeIndex => "timeindex",
            Self::Index => "index",
            Self::Log => "log",
        }
    }

    pub(super) fn path(self, directory: &str, base: Offset) -> String {
        format!("{directory}/{:020}.{}", base.get(), self.suffix())
    }

    pub(super) const fn listed_bytes(self, segment: &SegmentState) -> u64 {
        match self {
            Self::Sums => segment.sums_bytes,
            Self::TimeIndex => segment.timeindex_bytes,
            Self::Index => segment.index_bytes,
            Self::Log => segment.bytes,
        }
    }

    /// The segment that a file of this name belongs to; `None` for other files.
    pub(super) fn base_of(name: &str) -> Option<Offset> {
        let (digits, suffix) = name.split_once('.')?;
        let known = Self::ALL.iter().any(|file| file.suffix() == suffix);
        let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if known && plain {
            Offset::new(digits.parse().ok()?)
        } else {
            None
        }
    }
}

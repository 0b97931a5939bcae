//! A batch at its place in a partition: reference-counted bytes, parsed where a record is needed.
//! Kept in the memory window, the journal's appends and the partition logs.

use bytes::Bytes;

use super::error::RecordError;
use super::header::{self, BatchHeader, HEADER_BYTES};
use super::view::{self, Context, RecordView};
use crate::ids::{Offset, OffsetRange};
use crate::time::WallTime;

/// A whole batch and where it stands. The base offset *inside* the bytes is not looked at: the journal thread assigns
/// it after the batch was encoded, and the partition log writes it.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    base: Offset,
    last: Offset,
    max_timestamp: WallTime,
    appended_at: Option<WallTime>,
    bytes: Bytes,
}

/// When it was appended is known of it, not part of it.
impl PartialEq for StoredBatch {
    fn eq(&self, other: &Self) -> bool {
        (self.base, self.last, &self.bytes) == (other.base, other.last, &other.bytes)
    }
}

impl Eq for StoredBatch {}

impl StoredBatch {
    /// Checks the header and the length, not the CRC and not the records: `bytes` went through
    /// [`super::validate`] or [`super::encode_batch`] once, and whoever read them back has checked their sum.
    pub fn new(base: Offset, bytes: Bytes) -> Result<Self, RecordError> {
        let header = BatchHeader::parse(&bytes)?;
        header.check_attributes()?;
        if bytes.len() < header.total_len {
            return Err(RecordError::Truncated {
                needed: header.total_len,
                found: bytes.len(),
            });
        }
        if bytes.len() > header.total_len {
            return Err(RecordError::TrailingBytes {
                end: header.total_len,
                found: bytes.len() - header.total_len,
            });
        }
        let last = base
            .get()
            .checked_add(u64::from(header.last_offset_delta))
            .and_then(Offset::new)
            .ok_or(RecordError::HeaderField {
                field: "last offset delta",
                value: i64::from(header.last_offset_delta),
            })?;
        Ok(Self {
            base,
            last,
            max_timestamp: WallTime::from_millis(header.max_timestamp),
            appended_at: None,
            bytes,
        })
    }

    /// The same batch, appended now.
    #[must_use]
    pub const fn appended(mut self, now: WallTime) -> Self {
        self.appended_at = Some(now);
        self
    }

    /// Offset of the first record.
    pub const fn base(&self) -> Offset {
        self.base
    }

    /// Offset of the last record.
    pub const fn last(&self) -> Offset {
        self.last
    }

    /// First to last offset.
    pub fn range(&self) -> OffsetRange {
        OffsetRange::new(self.base, self.last).unwrap_or(OffsetRange::single(self.base))
    }

    /// Largest timestamp of its records.
    pub const fn max_timestamp(&self) -> WallTime {
        self.max_timestamp
    }

    /// When this process appended it; `None` of a batch that was read back. Unlike timestamps no producer chooses it.
    pub const fn appended_at(&self) -> Option<WallTime> {
        self.appended_at
    }

    /// The batch; its first 8 bytes may hold any base offset.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The records in order, each with the byte at which it begins (see [`StoredBatch::record_at`]).
    /// After an error the iterator ends.
    pub fn records(&self) -> Records<'_> {
        Records {
            batch: self,
            context: self.context(),
            position: HEADER_BYTES,
        }
    }

    /// As [`StoredBatch::records`], but reads no more than the records' lengths.
    pub fn positions(&self) -> Positions<'_> {
        Positions {
            batch: self,
            position: HEADER_BYTES,
            offset: self.base,
        }
    }

    /// The record that begins at byte `position`, as given by [`StoredBatch::records`] or [`StoredBatch::positions`].
    pub fn record_at(&self, position: u32) -> Result<RecordView<'_>, RecordError> {
        view::parse(&self.bytes, position as usize, self.context()).map(|parsed| parsed.view)
    }

    fn context(&self) -> Context {
        let timestamps = header::timestamps(&self.bytes);
        Context {
            base: self.base,
            base_timestamp: timestamps.base,
            max_timestamp: self.max_timestamp.as_millis(),
            timestamp_type: timestamps.meaning,
        }
    }
}

/// See [`StoredBatch::records`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    batch: &'a StoredBatch,
    context: Context,
    position: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(RecordView<'a>, u32), RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.batch.bytes.len() {
            return None;
        }
        let position = start(self.position);
        let parsed = view::parse(&self.batch.bytes, self.position, self.context);
        match parsed {
            Ok(parsed) => {
                self.position = parsed.end;
                Some(Ok((parsed.view, position)))
            }
            Err(error) => {
                self.position = usize::MAX;
                Some(Err(error))
            }
        }
    }
}

/// See [`StoredBatch::positions`].
#[derive(Clone, Debug)]
pub struct Positions<'a> {
    batch: &'a StoredBatch,
    position: usize,
    offset: Offset,
}

impl Iterator for Positions<'_> {
    type Item = Result<(Offset, u32), RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.batch.bytes.len() {
            return None;
        }
        match view::bounds(&self.batch.bytes, self.position) {
            Ok((_, end)) => {
                let item = (self.offset, start(self.position));
                self.position = end;
                self.offset = self.offset.next();
                Some(Ok(item))
            }
            Err(error) => {
                self.position = usize::MAX;
                Some(Err(error))
            }
        }
    }
}

/// A position as the iterators give it: a batch is at most 2^31 + 11 bytes long.
fn start(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

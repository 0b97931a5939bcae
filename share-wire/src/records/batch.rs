//! Batches, cut from what was fetched. Nothing is copied.

use bytes::Bytes;

use super::error::RecordsError;
use super::header::{BatchHeader, HEADER, LENGTH_END};

/// Cuts fetched records into batches. An iterator of [`Batches`] says at its end whether a batch was cut off.
pub const fn batches(fetched: Bytes) -> Batches {
    Batches {
        rest: fetched,
        at: 0,
        is_lost: false,
    }
}

/// The batches of a fetch, in order. After [`RecordsError::Length`] it ends; any other error is about one batch, and the next is
/// there behind it.
#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
    at: usize,
    is_lost: bool,
}

/// One batch, whose checksum is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub(super) header: BatchHeader,
    /// All of it.
    pub(super) bytes: Bytes,
}

impl Batches {
    /// Bytes that were not given out yet. When the iterator is at its end without an error, they are the beginning of a batch that was
    /// cut off, which brokers do to keep within what was asked for: the next fetch brings it.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Bytes of the next batch; `None` if not all of it is here.
    fn next_len(&self) -> Result<Option<usize>, RecordsError> {
        let Some(length) = self.rest.get(8..).and_then(|rest| rest.first_chunk()) else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*length);
        let least = self.least();
        match usize::try_from(length) {
            Ok(len) if len >= least => Ok(self.rest.len().checked_sub(LENGTH_END + len).map(|_| LENGTH_END + len)),
            _ => Err(RecordsError::Length {
                at: self.at,
                length,
                least,
            }),
        }
    }

    /// Messages of old formats are shorter than a header of ours; their lengths are true all the same.
    fn least(&self) -> usize {
        match self.rest.get(16) {
            None | Some(0 | 1) => 14,
            Some(_) => HEADER - LENGTH_END,
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_lost {
            return None;
        }
        let len = match self.next_len() {
            Ok(len) => len?,
            Err(error) => {
                self.is_lost = true;
                return Some(Err(error));
            }
        };
        let bytes = self.rest.split_to(len);
        self.at += len;
        Some(Batch::of(bytes))
    }
}

impl Batch {
    fn of(bytes: Bytes) -> Result<Self, RecordsError> {
        let header = match bytes.split_first_chunk() {
            Some((header, records)) => BatchHeader::parse(header, records)?,
            None => {
                return Err(RecordsError::Format {
                    first: bytes.first_chunk().map_or(0, |first| i64::from_be_bytes(*first)),
                    found: bytes.get(16).map_or(0, |format| format.cast_signed()),
                });
            }
        };
        Ok(Self { header, bytes })
    }

    /// What it says of itself.
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// As it was fetched.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

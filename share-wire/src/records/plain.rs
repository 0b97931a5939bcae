//! A batch whose records are not compressed, and its records. The batch stands on its own: its header is that of an uncompressed
//! batch, so that whatever reads stored batches takes it.

use bytes::Bytes;

use super::batch::Batch;
use super::codec::Codec;
use super::error::RecordsError;
use super::header::{self, BatchHeader, HEADER, TimestampType};
use super::record::{Raw, Record};

/// A batch, uncompressed, no part of a transaction any more: whoever has fetched it knows that it is committed, or does not care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    header: BatchHeader,
    bytes: Bytes,
}

/// The records of a [`Plain`], in order. After an error it ends. That there are as many as claimed is known when all are read.
#[derive(Clone, Debug)]
pub struct Records<'b> {
    header: &'b BatchHeader,
    rest: &'b [u8],
    /// Bytes of the whole batch.
    end: usize,
    read: u32,
    /// The offset delta that the next record has at least.
    least: i64,
    is_over: bool,
}

impl Batch {
    /// Uncompresses it. The records may take up to `limit` bytes then ([`super::PLAIN_MAX`] is a good one); a batch that is not compressed
    /// and no part of a transaction is not copied, and has no limit but its own size.
    pub fn plain(&self, limit: usize) -> Result<Plain, RecordsError> {
        let header = BatchHeader {
            codec: Codec::None,
            is_transactional: false,
            ..self.header
        };
        if !header::is_adorned(&self.bytes) {
            let bytes = self.bytes.clone();
            return Ok(Plain { header, bytes });
        }
        let records = self.bytes.get(HEADER..).unwrap_or_default();
        let expanded = self.header.codec.expand(records, limit, HEADER);
        let mut bytes = expanded.map_err(|error| error.of(self.header.offsets(), self.header.codec, limit))?;
        header.write(&mut bytes)?;
        Ok(Plain {
            header,
            bytes: bytes.into(),
        })
    }
}

impl Plain {
    /// What it says of itself now.
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch, with its header. Keys and values of its records are slices of it ([`Bytes::slice_ref`]).
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its records. Of a control batch they are Kafka's own.
    pub fn records(&self) -> Records<'_> {
        Records {
            header: &self.header,
            rest: self.bytes.get(HEADER..).unwrap_or_default(),
            end: self.bytes.len(),
            read: 0,
            least: 0,
            is_over: false,
        }
    }

    /// Reads all records once, for who cannot stop in the middle: whether each is whole and in its place, and as many as claimed.
    pub fn check(&self) -> Result<(), RecordsError> {
        self.records().try_for_each(|record| record.map(|_| ()))
    }
}

impl<'b> Records<'b> {
    fn take(&mut self) -> Result<Record<'b>, RecordsError> {
        let batch = self.header.offsets();
        let at = self.end - self.rest.len();
        let wrong = |(field, at)| RecordsError::Record { batch, field, at };
        let raw = Raw::take(&mut self.rest, self.end).map_err(wrong)?;
        let delta = i64::from(raw.offset_delta);
        // Neither can overflow where the delta is within the batch.
        let offset = batch.first.saturating_add(delta);
        if delta < self.least || offset > batch.last {
            return Err(RecordsError::Offset { batch, found: offset });
        }
        self.least = delta + 1;
        let timestamp = match self.header.timestamp_type {
            TimestampType::Append => self.header.max_timestamp,
            TimestampType::Create => self
                .header
                .base_timestamp
                .checked_add(raw.timestamp_delta)
                .ok_or_else(|| wrong(("timestamp", at)))?,
        };
        self.read += 1;
        Ok(raw.at(offset, timestamp))
    }
}

impl<'b> Iterator for Records<'b> {
    type Item = Result<Record<'b>, RecordsError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let claimed = self.header.record_count;
        let count = |found| RecordsError::Count {
            batch: self.header.offsets(),
            claimed,
            found,
        };
        let result = match (self.read == claimed, self.rest.is_empty()) {
            (true, true) => {
                self.is_over = true;
                return None;
            }
            (true, false) => Err(count(claimed.saturating_add(1))),
            (false, true) => Err(count(self.read)),
            (false, false) => self.take(),
        };
        self.is_over = result.is_err();
        Some(result)
    }
}

//! Records to one batch: the exact size first, then one buffer, then the CRC. Called by producers' threads.

use bytes::Bytes;

use super::error::RecordError;
use super::header::{BatchHeader, CRC_START, HEADER_BYTES};
use super::varint;
use crate::time::WallTime;

/// A record to be produced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// Null differs from empty.
    pub key: Option<Bytes>,
    /// Null differs from empty.
    pub value: Option<Bytes>,
    /// Order and duplicates are kept.
    pub headers: Vec<Header>,
    /// `None`: the time of the append.
    pub timestamp: Option<WallTime>,
}

/// A header of a record to be produced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// UTF-8.
    pub name: Bytes,
    /// Null differs from empty.
    pub value: Option<Bytes>,
}

/// How large records and batches may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimits {
    /// Bytes of a batch that holds one record: key, value, headers and all overhead. Default 1,048,588, Kafka's own.
    pub record_bytes: usize,
    /// Bytes of a batch of several records. Default 4 MiB; [`RecordLimits::MAX_BATCH_BYTES`] at most.
    pub batch_bytes: usize,
}

impl RecordLimits {
    /// What the format itself allows, rounded down: 1 GiB.
    pub const MAX_BATCH_BYTES: usize = 1 << 30;
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self {
            record_bytes: 1_048_588,
            batch_bytes: 4 << 20,
        }
    }
}

/// One batch with base offset 0, leader epoch 0, without producer id, uncompressed, with creation time.
///
/// Records without a timestamp get `now`.
///
/// # Errors
/// [`RecordError::Empty`], [`RecordError::RecordTooLarge`], [`RecordError::BatchTooLarge`],
/// [`RecordError::Timestamp`], [`RecordError::HeaderName`]; nothing is written then.
pub fn encode_batch(records: &[NewRecord], now: WallTime, limits: RecordLimits) -> Result<Bytes, RecordError> {
    let measured = measure(records, now, limits)?;
    let mut buffer = Vec::with_capacity(measured.total_len);
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    for (index, record) in (0_i64..).zip(records) {
        put_record(
            &mut buffer,
            record,
            index,
            timestamp(record, now) - measured.base_timestamp,
        );
    }
    debug_assert_eq!(buffer.len(), measured.total_len, "the size was computed before");
    let mut header = BatchHeader {
        base_offset: 0,
        total_len: buffer.len(),
        leader_epoch: 0,
        crc: 0,
        attributes: 0,
        last_offset_delta: measured.count - 1,
        base_timestamp: measured.base_timestamp,
        max_timestamp: measured.max_timestamp,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: measured.count,
    };
    set_header(&mut buffer, &header);
    header.crc = crc32c::crc32c(buffer.get(CRC_START..).unwrap_or_default());
    set_header(&mut buffer, &header);
    Ok(Bytes::from(buffer))
}

/// Bytes that [`encode_batch`] would return, with the same errors.
pub fn encoded_len(records: &[NewRecord], now: WallTime, limits: RecordLimits) -> Result<usize, RecordError> {
    measure(records, now, limits).map(|measured| measured.total_len)
}

struct Measured {
    total_len: usize,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

fn measure(records: &[NewRecord], now: WallTime, limits: RecordLimits) -> Result<Measured, RecordError> {
    let first = records.first().ok_or(RecordError::Empty)?;
    let batch_limit = if records.len() == 1 {
        limits.record_bytes
    } else {
        limits.batch_bytes
    };
    let batch_limit = batch_limit.min(RecordLimits::MAX_BATCH_BYTES);
    let base_timestamp = timestamp(first, now);
    let mut max_timestamp = base_timestamp;
    let mut total_len = HEADER_BYTES;
    for (index, record) in records.iter().enumerate() {
        let at = timestamp(record, now);
        if at < 0 {
            return Err(RecordError::Timestamp {
                index,
                found: WallTime::from_millis(at),
            });
        }
        check_names(index, record)?;
        max_timestamp = max_timestamp.max(at);
        // All timestamps are 0 or more here: the difference does not overflow.
        let body = body_len(record, index.cast_signed() as i64, at - base_timestamp);
        let record_len = body.saturating_add(varint::size_of_len(body));
        let alone = record_len.saturating_add(HEADER_BYTES);
        if alone > limits.record_bytes {
            return Err(RecordError::RecordTooLarge {
                index,
                size: alone,
                limit: limits.record_bytes,
            });
        }
        total_len = total_len.saturating_add(record_len);
    }
    if total_len > batch_limit {
        return Err(RecordError::BatchTooLarge {
            size: total_len,
            limit: batch_limit,
        });
    }
    let count = u32::try_from(records.len()).map_err(|_| RecordError::BatchTooLarge {
        size: usize::MAX,
        limit: batch_limit,
    })?;
    Ok(Measured {
        total_len,
        count,
        base_timestamp,
        max_timestamp,
    })
}

fn timestamp(record: &NewRecord, now: WallTime) -> i64 {
    record.timestamp.unwrap_or(now).as_millis()
}

fn check_names(index: usize, record: &NewRecord) -> Result<(), RecordError> {
    for header in &record.headers {
        if std::str::from_utf8(&header.name).is_err() {
            let shown = header.name.get(..64).unwrap_or(&header.name);
            return Err(RecordError::HeaderName {
                index,
                name: String::from_utf8_lossy(shown).into_owned(),
            });
        }
    }
    Ok(())
}

/// Bytes of a record after its length.
fn body_len(record: &NewRecord, offset_delta: i64, timestamp_delta: i64) -> usize {
    let mut len = 1
        + varint::size(timestamp_delta)
        + varint::size(offset_delta)
        + field_len(record.key.as_ref())
        + varint::size_of_len(record.headers.len());
    len = len.saturating_add(field_len(record.value.as_ref()));
    for header in &record.headers {
        len = len
            .saturating_add(field_len(Some(&header.name)))
            .saturating_add(field_len(header.value.as_ref()));
    }
    len
}

fn field_len(field: Option<&Bytes>) -> usize {
    field.map_or(1, |bytes| varint::size_of_len(bytes.len()).saturating_add(bytes.len()))
}

fn put_record(buffer: &mut Vec<u8>, record: &NewRecord, offset_delta: i64, timestamp_delta: i64) {
    let len = body_len(record, offset_delta, timestamp_delta);
    put_len(buffer, len);
    buffer.push(0);
    varint::put(buffer, timestamp_delta);
    varint::put(buffer, offset_delta);
    put_field(buffer, record.key.as_ref());
    put_field(buffer, record.value.as_ref());
    put_len(buffer, record.headers.len());
    for header in &record.headers {
        put_field(buffer, Some(&header.name));
        put_field(buffer, header.value.as_ref());
    }
}

fn put_field(buffer: &mut Vec<u8>, field: Option<&Bytes>) {
    match field {
        None => varint::put(buffer, -1),
        Some(bytes) => {
            put_len(buffer, bytes.len());
            buffer.extend_from_slice(bytes);
        }
    }
}

/// Lengths were bounded by [`RecordLimits`] in [`measure`].
fn put_len(buffer: &mut Vec<u8>, len: usize) {
    varint::put(buffer, len.cast_signed() as i64);
}

fn set_header(buffer: &mut [u8], header: &BatchHeader) {
    if let Some(head) = buffer.first_chunk_mut::<HEADER_BYTES>() {
        *head = header.encode();
    }
}

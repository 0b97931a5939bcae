//! The border check of a whole batch that somebody else made or that lay on a disk: after it, reading cannot fail.

use super::encode::RecordLimits;
use super::error::RecordError;
use super::header::{BatchHeader, HEADER_BYTES, TimestampType};
use super::view::{self, Context};
use crate::ids::Offset;

/// What a valid batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// Its header.
    pub header: BatchHeader,
    /// Bytes of the largest record, length field included.
    pub largest_record: usize,
}

/// Checks length, magic, attributes, CRC and limits, then every record: fields within their record, offset deltas
/// 0, 1, 2 and so on, header names in UTF-8, timestamps of 0 or later (or -1 for none), as many records as the header
/// says, nothing behind them.
///
/// # Errors
/// The first fault found. Compressed, control and transactional batches are refused.
pub fn validate(bytes: &[u8], limits: RecordLimits) -> Result<BatchInfo, RecordError> {
    let header = BatchHeader::parse(bytes)?;
    if bytes.len() > header.total_len {
        return Err(RecordError::TrailingBytes {
            end: header.total_len,
            found: bytes.len() - header.total_len,
        });
    }
    header.check_crc(bytes)?;
    header.check_attributes()?;
    if header.record_count == 0 {
        return Err(RecordError::Empty);
    }
    let limit = if header.record_count == 1 {
        limits.record_bytes
    } else {
        limits.batch_bytes
    };
    if bytes.len() > limit {
        return Err(RecordError::BatchTooLarge {
            size: bytes.len(),
            limit,
        });
    }
    if header.last_offset_delta != header.record_count - 1 {
        return Err(RecordError::HeaderField {
            field: "last offset delta",
            value: i64::from(header.last_offset_delta),
        });
    }
    let largest_record = validate_records(bytes, &header, limits)?;
    Ok(BatchInfo { header, largest_record })
}

fn validate_records(bytes: &[u8], header: &BatchHeader, limits: RecordLimits) -> Result<usize, RecordError> {
    let context = Context {
        base: Offset::ZERO,
        base_timestamp: header.base_timestamp,
        max_timestamp: header.max_timestamp,
        timestamp_type: header.timestamp_type(),
    };
    let mut position = HEADER_BYTES;
    let mut largest = 0;
    let mut max_timestamp = i64::MIN;
    for index in 0..header.record_count {
        let parsed = view::parse(bytes, position, context)?;
        if u32::try_from(parsed.offset_delta) != Ok(index) {
            return Err(RecordError::OffsetDelta {
                index,
                found: parsed.offset_delta,
            });
        }
        for record_header in parsed.view.headers() {
            if std::str::from_utf8(record_header.name).is_err() {
                let shown = record_header.name.get(..64).unwrap_or(record_header.name);
                return Err(RecordError::HeaderName {
                    index: index as usize,
                    name: String::from_utf8_lossy(shown).into_owned(),
                });
            }
        }
        if parsed.view.timestamp.as_millis() < NO_TIMESTAMP {
            return Err(RecordError::Timestamp {
                index: index as usize,
                found: parsed.view.timestamp,
            });
        }
        let size = parsed.end - position;
        if size + HEADER_BYTES > limits.record_bytes {
            return Err(RecordError::RecordTooLarge {
                index: index as usize,
                size: size + HEADER_BYTES,
                limit: limits.record_bytes,
            });
        }
        largest = largest.max(size);
        max_timestamp = max_timestamp.max(parsed.view.timestamp.as_millis());
        position = parsed.end;
    }
    if position < bytes.len() {
        return Err(RecordError::TrailingBytes {
            end: position,
            found: bytes.len() - position,
        });
    }
    if header.timestamp_type() == TimestampType::Create && max_timestamp != header.max_timestamp {
        return Err(RecordError::MaxTimestamp {
            stored: header.max_timestamp,
            computed: max_timestamp,
        });
    }
    Ok(largest)
}

/// Kafka's mark for none.
const NO_TIMESTAMP: i64 = -1;

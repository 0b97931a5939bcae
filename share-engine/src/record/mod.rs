//! Kafka record batches, format v2, as they lie on disk and cross the wire. Pure bytes: no file, no clock.
//!
//! A batch is a header of 61 bytes and its records, all numbers big-endian:
//!
//! | byte | field | type | here |
//! |---|---|---|---|
//! | 0 | base offset | i64 | outside the CRC; the journal thread decides it, see [`StoredBatch`] |
//! | 8 | batch length | i32 | bytes after this field |
//! | 12 | partition leader epoch | i32 | outside the CRC; 0 |
//! | 16 | magic | i8 | 2 |
//! | 17 | CRC-32C | u32 | over byte 21 to the end |
//! | 21 | attributes | i16 | bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon |
//! | 23 | last offset delta | i32 | records - 1 |
//! | 27 | base timestamp | i64 | of the first record, milliseconds since 1970 |
//! | 35 | max timestamp | i64 | the largest of all records |
//! | 43 | producer id | i64 | -1 none |
//! | 51 | producer epoch | i16 | -1 none |
//! | 53 | base sequence | i32 | -1 none |
//! | 57 | record count | i32 | at least 1 |
//! | 61 | records | | |
//!
//! A record, where varint and varlong are zig-zag LEB128 of at most 5 and 10 bytes: length of the rest (varint),
//! attributes (one byte, 0), timestamp delta (varlong), offset delta (varint), key length (varint, -1 for null), key,
//! value length (varint, -1 for null), value, header count (varint); for each header name length (varint), name
//! (UTF-8), value length (varint, -1 for null), value.
//!
//! Encoded by producers ([`encode_batch`]), checked once at the border ([`validate`]), then only read.

mod batch;
mod encode;
mod error;
mod fuzz;
mod header;
mod validate;
mod varint;
mod view;
mod walk;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

pub use batch::{Positions, Records, StoredBatch};
pub use encode::{Header, NewRecord, RecordLimits, encode_batch, encoded_len};
pub use error::RecordError;
pub use fuzz::fuzz_record_batch;
pub use header::{BatchHeader, HEADER_BYTES, TimestampType};
pub use validate::{BatchInfo, validate};
pub use view::{HeaderView, Headers, RecordView};
pub use walk::Walk;

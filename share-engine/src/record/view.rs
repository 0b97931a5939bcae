//! One record, parsed in place: borrowed fields, no allocation. Called by lanes for every record.

use super::error::RecordError;
use super::header::TimestampType;
use super::varint;
use crate::ids::Offset;
use crate::time::WallTime;

/// A record inside a batch.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// Where it stands in its partition.
    pub offset: Offset,
    /// When it was made or appended.
    pub timestamp: WallTime,
    /// Which of both.
    pub timestamp_type: TimestampType,
    /// Null differs from empty.
    pub key: Option<&'a [u8]>,
    /// Null differs from empty.
    pub value: Option<&'a [u8]>,
    header_bytes: &'a [u8],
    header_count: u32,
}

impl<'a> RecordView<'a> {
    /// The headers in their order, duplicates included.
    pub const fn headers(&self) -> Headers<'a> {
        Headers {
            bytes: self.header_bytes,
            left: self.header_count,
        }
    }
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderView<'a> {
    /// UTF-8 in every batch that went through [`super::validate`] or [`super::encode_batch`].
    pub name: &'a [u8],
    /// Null differs from empty.
    pub value: Option<&'a [u8]>,
}

/// Headers of one record; their bytes were walked when the record was parsed.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: u32,
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderView<'a>;

    fn next(&mut self) -> Option<HeaderView<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut fields = Fields {
            rest: self.bytes,
            end: self.bytes.len(),
        };
        let name = fields.field("header name").ok()??;
        let value = fields.field("header value").ok()?;
        self.bytes = fields.rest;
        Some(HeaderView { name, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// What a batch's header says about all its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) base: Offset,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) timestamp_type: TimestampType,
}

/// A parsed record, the delta of its offset and the byte after it.
pub(super) struct Parsed<'a> {
    pub(super) view: RecordView<'a>,
    pub(super) offset_delta: i32,
    pub(super) end: usize,
}

/// Parses the record at `position` of a whole batch.
pub(super) fn parse(batch: &[u8], position: usize, context: Context) -> Result<Parsed<'_>, RecordError> {
    let (body, end) = bounds(batch, position)?;
    let mut fields = Fields { rest: body, end };
    let attributes_position = fields.position();
    if fields.byte("attributes")? != 0 {
        return Err(RecordError::Field {
            field: "attributes",
            position: attributes_position,
        });
    }
    let timestamp_position = fields.position();
    let timestamp_delta = fields.varlong("timestamp delta")?;
    let timestamp = match context.timestamp_type {
        TimestampType::Append => context.max_timestamp,
        TimestampType::Create => context
            .base_timestamp
            .checked_add(timestamp_delta)
            .ok_or(RecordError::Field {
                field: "timestamp delta",
                position: timestamp_position,
            })?,
    };
    let delta_position = fields.position();
    let offset_delta = fields.varint("offset delta")?;
    let offset = u64::try_from(offset_delta)
        .ok()
        .and_then(|delta| Offset::new(context.base.get().checked_add(delta)?))
        .ok_or(RecordError::Field {
            field: "offset delta",
            position: delta_position,
        })?;
    let key = fields.field("key")?;
    let value = fields.field("value")?;
    let (header_bytes, header_count) = fields.headers()?;
    Ok(Parsed {
        view: RecordView {
            offset,
            timestamp: WallTime::from_millis(timestamp),
            timestamp_type: context.timestamp_type,
            key,
            value,
            header_bytes,
            header_count,
        },
        offset_delta,
        end,
    })
}

/// The bytes of the record at `position` after its length, and the byte behind them.
#[inline]
pub(super) fn bounds(batch: &[u8], position: usize) -> Result<(&[u8], usize), RecordError> {
    let malformed = || RecordError::Field {
        field: "length",
        position,
    };
    let at = batch.get(position..).ok_or_else(malformed)?;
    let (len, taken) = varint::get_i32(at).ok_or_else(malformed)?;
    let len = usize::try_from(len).map_err(|_| malformed())?;
    // Both are at most 2^31: no overflow.
    let body = at.get(taken..taken + len).ok_or_else(malformed)?;
    Ok((body, position + taken + len))
}

/// What is left of a record; `end` is the position in the batch behind it, to name places in errors.
struct Fields<'a> {
    rest: &'a [u8],
    end: usize,
}

impl<'a> Fields<'a> {
    fn position(&self) -> usize {
        self.end - self.rest.len()
    }

    fn malformed(&self, field: &'static str) -> RecordError {
        RecordError::Field {
            field,
            position: self.position(),
        }
    }

    fn byte(&mut self, field: &'static str) -> Result<u8, RecordError> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| self.malformed(field))?;
        self.rest = rest;
        Ok(*byte)
    }

    #[inline]
    fn varint(&mut self, field: &'static str) -> Result<i32, RecordError> {
        let (value, taken) = varint::get_i32(self.rest).ok_or_else(|| self.malformed(field))?;
        self.rest = self.rest.get(taken..).unwrap_or_default();
        Ok(value)
    }

    #[inline]
    fn varlong(&mut self, field: &'static str) -> Result<i64, RecordError> {
        let (value, taken) = varint::get_i64(self.rest).ok_or_else(|| self.malformed(field))?;
        self.rest = self.rest.get(taken..).unwrap_or_default();
        Ok(value)
    }

    /// Length and bytes; `None` for null.
    #[inline]
    fn field(&mut self, field: &'static str) -> Result<Option<&'a [u8]>, RecordError> {
        let before = self.position();
        let malformed = || RecordError::Field {
            field,
            position: before,
        };
        let len = self.varint(field)?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| malformed())?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or_else(malformed)?;
        self.rest = rest;
        Ok(Some(bytes))
    }

    /// Walks the headers to the end of the record.
    fn headers(&mut self) -> Result<(&'a [u8], u32), RecordError> {
        let position = self.position();
        let count = self.varint("header count")?;
        let count = u32::try_from(count).map_err(|_| RecordError::Field {
            field: "header count",
            position,
        })?;
        let bytes = self.rest;
        for _ in 0..count {
            let position = self.position();
            if self.field("header name")?.is_none() {
                return Err(RecordError::Field {
                    field: "header name",
                    position,
                });
            }
            self.field("header value")?;
        }
        if !self.rest.is_empty() {
            return Err(self.malformed("end"));
        }
        Ok((bytes, count))
    }
}

//! One record, read in place: length, attributes (nothing yet), timestamp delta, offset delta, key, value, headers; all numbers as in
//! `varint`, a length of -1 is null.

use super::varint;

/// A record of a [`super::Plain`].
#[derive(Clone, Copy, Debug)]
pub struct Record<'b> {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; what they mean, the batch's header says.
    pub timestamp: i64,
    /// Null differs from empty.
    pub key: Option<&'b [u8]>,
    /// Null differs from empty.
    pub value: Option<&'b [u8]>,
    header_bytes: &'b [u8],
    header_count: u32,
}

impl<'b> Record<'b> {
    /// Its headers, in their order.
    pub const fn headers(&self) -> Headers<'b> {
        Headers {
            bytes: self.header_bytes,
            left: self.header_count,
        }
    }
}

/// A header of a record. Several may have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'b> {
    /// UTF-8 by Kafka's rule, which nobody enforces.
    pub name: &'b [u8],
    /// Null differs from empty.
    pub value: Option<&'b [u8]>,
}

/// The headers of a record. They were walked when the record was read, so that there are as many as it says.
#[derive(Clone, Debug)]
pub struct Headers<'b> {
    bytes: &'b [u8],
    left: u32,
}

impl<'b> Iterator for Headers<'b> {
    type Item = Header<'b>;

    fn next(&mut self) -> Option<Header<'b>> {
        self.left = self.left.checked_sub(1)?;
        let mut from = Fields {
            rest: self.bytes,
            end: 0,
        };
        let name = from.bytes("header name").ok()??;
        let value = from.bytes("header value").ok()?;
        self.bytes = from.rest;
        Some(Header { name, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// What is wrong with a record: the field, and where it begins.
pub(super) type Wrong = (&'static str, usize);

/// A record whose offset and timestamp are still counted from those of the batch.
pub(super) struct Raw<'b> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    key: Option<&'b [u8]>,
    value: Option<&'b [u8]>,
    headers: Headers<'b>,
}

impl<'b> Raw<'b> {
    /// Reads the record in front of `rest`, which ends `end` bytes from the start of the batch, and leaves what is behind it.
    #[inline]
    pub(super) fn take(rest: &mut &'b [u8], end: usize) -> Result<Self, Wrong> {
        let mut before = Fields { rest, end };
        let at = before.at();
        let len = before.varint("length")?;
        let (own, behind) = usize::try_from(len)
            .ok()
            .and_then(|len| before.rest.split_at_checked(len))
            .ok_or(("length", at))?;
        *rest = behind;
        let mut from = Fields {
            rest: own,
            end: end - behind.len(),
        };
        from.byte("attributes")?;
        let timestamp_delta = from.varlong("timestamp delta")?;
        let offset_delta = from.varint("offset delta")?;
        let key = from.bytes("key")?;
        let value = from.bytes("value")?;
        let headers = from.headers()?;
        Ok(Self {
            timestamp_delta,
            offset_delta,
            key,
            value,
            headers,
        })
    }

    pub(super) const fn at(&self, offset: i64, timestamp: i64) -> Record<'b> {
        Record {
            offset,
            timestamp,
            key: self.key,
            value: self.value,
            header_bytes: self.headers.bytes,
            header_count: self.headers.left,
        }
    }
}

/// What is left of a record, which ends `end` bytes from the start of the batch.
struct Fields<'b> {
    rest: &'b [u8],
    end: usize,
}

impl<'b> Fields<'b> {
    const fn at(&self) -> usize {
        self.end.saturating_sub(self.rest.len())
    }

    fn byte(&mut self, field: &'static str) -> Result<u8, Wrong> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| (field, self.at()))?;
        self.rest = rest;
        Ok(*byte)
    }

    #[inline]
    fn varint(&mut self, field: &'static str) -> Result<i32, Wrong> {
        let (value, len) = varint::take_i32(self.rest).ok_or_else(|| (field, self.at()))?;
        self.rest = self.rest.get(len..).unwrap_or_default();
        Ok(value)
    }

    #[inline]
    fn varlong(&mut self, field: &'static str) -> Result<i64, Wrong> {
        let (value, len) = varint::take_i64(self.rest).ok_or_else(|| (field, self.at()))?;
        self.rest = self.rest.get(len..).unwrap_or_default();
        Ok(value)
    }

    /// A length and so many bytes; `None` is null.
    #[inline]
    fn bytes(&mut self, field: &'static str) -> Result<Option<&'b [u8]>, Wrong> {
        let at = self.at();
        let len = self.varint(field)?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| (field, at))?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or((field, at))?;
        self.rest = rest;
        Ok(Some(bytes))
    }

    /// All that is left of the record.
    #[inline]
    fn headers(&mut self) -> Result<Headers<'b>, Wrong> {
        let at = self.at();
        let count = self.varint("number of headers")?;
        let left = u32::try_from(count).map_err(|_| ("number of headers", at))?;
        let bytes = self.rest;
        // A lie about the number ends where the bytes do.
        for _ in 0..left {
            let at = self.at();
            if self.bytes("header name")?.is_none() {
                return Err(("header name", at));
            }
            self.bytes("header value")?;
        }
        if self.rest.is_empty() {
            return Ok(Headers { bytes, left });
        }
        Err(("end", self.at()))
    }
}

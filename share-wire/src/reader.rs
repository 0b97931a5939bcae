//! Reads fields from bytes, each with its name and place, so that whatever is wrong can be said. Never makes room for what is only
//! claimed.

use bytes::Bytes;
use uuid::Uuid;

use crate::error::WireError;

/// A message that is being read.
pub(crate) struct Reader {
    message: &'static str,
    bytes: Bytes,
    at: usize,
    end: usize,
}

impl Reader {
    pub(crate) fn new(message: &'static str, bytes: Bytes) -> Self {
        let end = bytes.len();
        Self {
            message,
            bytes,
            at: 0,
            end,
        }
    }

    /// Bytes from the start of the message.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    pub(crate) const fn left(&self) -> usize {
        self.end - self.at
    }

    pub(crate) fn skip(&mut self, field: &'static str, len: u64) -> Result<usize, WireError> {
        match usize::try_from(len) {
            Ok(len) if len <= self.left() => {
                let at = self.at;
                self.at += len;
                Ok(at)
            }
            _ => Err(WireError::Truncated {
                message: self.message,
                field,
                at: self.at,
                wanted: len,
                left: self.left(),
            }),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let at = self.skip(field, N as u64)?;
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        Ok(*bytes.unwrap_or(&[0; N]))
    }

    pub(crate) fn i8(&mut self, field: &'static str) -> Result<i8, WireError> {
        self.array(field).map(i8::from_be_bytes)
    }

    pub(crate) fn bool(&mut self, field: &'static str) -> Result<bool, WireError> {
        self.i8(field).map(|byte| byte != 0)
    }

    pub(crate) fn i16(&mut self, field: &'static str) -> Result<i16, WireError> {
        self.array(field).map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, WireError> {
        self.array(field).map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self, field: &'static str) -> Result<i64, WireError> {
        self.array(field).map(i64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self, field: &'static str) -> Result<Uuid, WireError> {
        self.array(field).map(Uuid::from_bytes)
    }

    /// An unsigned varint of at most 32 bits.
    pub(crate) fn uvarint(&mut self, field: &'static str) -> Result<u32, WireError> {
        let at = self.at;
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array(field)?;
            let low = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.invalid(field, at, "a varint of more than 32 bits"))
    }

    /// A length as flexible versions have it; `None` is null.
    pub(crate) fn compact_len(&mut self, field: &'static str) -> Result<Option<u64>, WireError> {
        Ok(u64::from(self.uvarint(field)?).checked_sub(1))
    }

    /// The number of elements of an array of which each takes at least `least` bytes.
    pub(crate) fn count(
        &mut self,
        field: &'static str,
        at: usize,
        claimed: u64,
        least: usize,
    ) -> Result<usize, WireError> {
        let most = self.left() / least.max(1);
        match usize::try_from(claimed) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(WireError::Count {
                message: self.message,
                field,
                at,
                claimed,
                left: self.left(),
                most: most as u64,
            }),
        }
    }

    /// A compact array that is not null.
    pub(crate) fn list<T>(
        &mut self,
        field: &'static str,
        least: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let at = self.at;
        let Some(claimed) = self.compact_len(field)? else {
            return Err(self.null(field, at));
        };
        let count = self.count(field, at, claimed, least)?;
        (0..count).map(|_| element(self)).collect()
    }

    /// Compact bytes; `None` is null.
    pub(crate) fn compact_bytes(&mut self, field: &'static str) -> Result<Option<Bytes>, WireError> {
        let Some(len) = self.compact_len(field)? else {
            return Ok(None);
        };
        let at = self.skip(field, len)?;
        Ok(Some(self.bytes.slice(at..self.at)))
    }

    /// A compact string; `None` is null.
    pub(crate) fn compact_string(&mut self, field: &'static str) -> Result<Option<String>, WireError> {
        let at = self.at;
        let Some(bytes) = self.compact_bytes(field)? else {
            return Ok(None);
        };
        match String::from_utf8(bytes.into()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(self.invalid(field, at, "not UTF-8")),
        }
    }

    /// A compact string that is not null.
    pub(crate) fn string(&mut self, field: &'static str) -> Result<String, WireError> {
        let at = self.at;
        self.compact_string(field)?.ok_or_else(|| self.null(field, at))
    }

    /// Tagged fields, of which `known` may read some: it gets the tag and a reader of that field alone.
    pub(crate) fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        for _ in 0..self.uvarint(TAGS)? {
            let tag = self.uvarint(TAGS)?;
            let size = self.uvarint(TAGS)?;
            let start = self.skip(TAGS, u64::from(size))?;
            let after = self.at;
            let end = std::mem::replace(&mut self.end, after);
            self.at = start;
            known(tag, self)?;
            (self.at, self.end) = (after, end);
        }
        Ok(())
    }

    /// Tagged fields of which none means anything here.
    pub(crate) fn no_tags(&mut self) -> Result<(), WireError> {
        self.tags(|_, _| Ok(()))
    }

    pub(crate) fn null(&self, field: &'static str, at: usize) -> WireError {
        self.invalid(field, at, "null")
    }

    pub(crate) fn invalid(&self, field: &'static str, at: usize, reason: &'static str) -> WireError {
        WireError::Invalid {
            message: self.message,
            field,
            at,
            reason,
        }
    }

    /// Everything was read.
    pub(crate) fn finish(&self) -> Result<(), WireError> {
        match self.left() {
            0 => Ok(()),
            bytes => Err(WireError::Trailing {
                message: self.message,
                bytes,
            }),
        }
    }

    /// A reader of what is left here, whose places are those of the message.
    pub(crate) fn part(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            ..*self
        }
    }
}

/// How errors name what follows the fields of a struct in flexible versions.
const TAGS: &str = "tagged fields";

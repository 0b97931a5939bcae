//! Writes fields as flexible versions have them. The mirror of `reader`.

use bytes::{BufMut as _, BytesMut};
use uuid::Uuid;

/// Bytes that are being written.
pub(crate) struct Writer<'b>(pub(crate) &'b mut BytesMut);

impl Writer<'_> {
    pub(crate) fn i8(&mut self, value: i8) {
        self.0.put_i8(value);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.0.put_u8(u8::from(value));
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.0.put_i16(value);
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.0.put_i32(value);
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.put_i64(value);
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.0.put_slice(value.as_bytes());
    }

    pub(crate) fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.0.put_u8(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.put_u8(value.to_le_bytes()[0]);
    }

    /// The length of what follows; what is longer than a length can say is cut by its limits long before.
    fn len(&mut self, len: usize) {
        self.uvarint(u32::try_from(len).map_or(u32::MAX, |len| len.saturating_add(1)));
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.len(value.len());
        self.0.put_slice(value);
    }

    pub(crate) fn string(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(crate) fn nullable(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.uvarint(0),
        }
    }

    pub(crate) fn list<T>(&mut self, elements: &[T], mut element: impl FnMut(&mut Self, &T)) {
        self.len(elements.len());
        for one in elements {
            element(self, one);
        }
    }

    /// No tagged field: none of our messages has one.
    pub(crate) fn no_tags(&mut self) {
        self.uvarint(0);
    }
}

//! Touches every byte of a record, so that nothing of its way into the guest can be left out. Also the lean guest's.
use std::hint::black_box;

use sharemill_handler::{Record, TimestampType};

pub(crate) fn every_field(record: &Record) {
    let mut hash = Fold(0xcbf2_9ce4_8422_2325);
    hash.number(record.id());
    hash.bytes(record.topic().as_bytes());
    hash.number(u64::from(record.partition()));
    hash.number(record.offset());
    hash.number(record.timestamp_millis().unwrap_or_default().cast_unsigned());
    hash.number(u64::from(record.timestamp_type() == TimestampType::CreateTime));
    hash.number(u64::from(record.delivery_count()));
    hash.bytes(record.key().unwrap_or_default());
    hash.bytes(record.value().unwrap_or_default());
    for header in record.headers() {
        hash.bytes(header.name.as_bytes());
        hash.bytes(header.value.unwrap_or_default());
    }
    black_box(hash.0);
}

/// FNV-1a, a word at a time.
struct Fold(u64);

impl Fold {
    fn number(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x0100_0000_01b3);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        for &byte in rest {
            self.number(u64::from(byte));
        }
        self.number(bytes.len() as u64);
    }
}

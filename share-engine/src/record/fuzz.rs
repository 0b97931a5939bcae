//! The fuzz body of this module: any bytes, no panic, and what is valid reads back the same by every path.

use bytes::Bytes;

use super::batch::StoredBatch;
use super::encode::{Header, NewRecord, RecordLimits, encode_batch};
use super::validate::validate;
use super::view::RecordView;
use crate::ids::Offset;
use crate::time::WallTime;

/// Feeds arbitrary bytes to every reader of batches. Panics only if a promise of this module is broken.
pub fn fuzz_record_batch(data: &[u8]) {
    let valid = validate(data, RecordLimits::default());
    let Ok(batch) = StoredBatch::new(Offset::ZERO, Bytes::copy_from_slice(data)) else {
        assert!(valid.is_err(), "a valid batch can be stored");
        return;
    };
    let mut records = 0_u32;
    let mut failed = false;
    for record in batch.records() {
        match record {
            Ok((view, position)) => {
                records += 1;
                let headers = view.headers().count();
                let again = batch.record_at(position).map(|view| view.headers().count());
                assert_eq!(again, Ok(headers), "a record reads the same by its position");
            }
            Err(_) => failed = true,
        }
    }
    if let Ok(info) = valid {
        assert!(!failed, "every record of a valid batch can be read");
        assert_eq!(
            records, info.header.record_count,
            "a valid batch holds as many records as it says"
        );
        let positions = batch.positions().flatten().count();
        assert_eq!(positions, records as usize, "positions and records agree");
        encode_again(&batch);
    }
}

/// What a valid batch holds can be produced once more, and reads the same.
fn encode_again(batch: &StoredBatch) {
    let list = |batch: &StoredBatch| -> Vec<NewRecord> {
        let bytes = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let records = batch.records().flatten();
        let copy = |(view, _): (RecordView<'_>, _)| NewRecord {
            key: view.key.map(bytes),
            value: view.value.map(bytes),
            headers: view
                .headers()
                .map(|header| Header {
                    name: bytes(header.name),
                    value: header.value.map(bytes),
                })
                .collect(),
            timestamp: Some(view.timestamp),
        };
        records.map(copy).collect()
    };
    let records = list(batch);
    let limits = RecordLimits {
        record_bytes: RecordLimits::MAX_BATCH_BYTES,
        batch_bytes: RecordLimits::MAX_BATCH_BYTES,
    };
    let again = encode_batch(&records, WallTime::from_millis(0), limits);
    let again = again.and_then(|again| StoredBatch::new(Offset::ZERO, again));
    assert_eq!(
        again.map(|again| list(&again)),
        Ok(records),
        "a valid batch can be encoded again"
    );
}

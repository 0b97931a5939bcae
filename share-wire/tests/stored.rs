//! What a fetch brings, uncompressed, is what the engine reads as a stored batch.
#![allow(clippy::unwrap_used, reason = "tests")]

use share_engine::ids::Offset;
use share_engine::record::StoredBatch;
use share_wire::records::{Codec, NewBatch, NewRecord, PLAIN_MAX, batches};

#[test]
fn the_engine_reads_what_was_fetched() {
    let headers = [("trace", Some(&b"1"[..])), ("trace", None)];
    let records = [
        NewRecord {
            timestamp: 1_000,
            key: Some(b"k"),
            value: Some(b"first"),
            headers: &headers,
        },
        NewRecord {
            timestamp: 2_000,
            ..NewRecord::default()
        },
    ];
    for codec in Codec::ALL {
        let new = NewBatch {
            base_offset: 40,
            codec,
            // Of a transaction the engine knows nothing.
            is_transactional: true,
            producer_id: 7,
            producer_epoch: 0,
            base_sequence: 0,
        };
        let fetched = batches(new.encode(&records).unwrap()).next().unwrap().unwrap();
        assert!(StoredBatch::new(Offset::new(40).unwrap(), fetched.bytes().clone()).is_err());
        let plain = fetched.plain(PLAIN_MAX).unwrap();
        let stored = StoredBatch::new(Offset::new(40).unwrap(), plain.bytes().clone()).unwrap();
        let both = stored
            .records()
            .map(Result::unwrap)
            .zip(plain.records().map(Result::unwrap));
        let mut read = 0;
        for ((theirs, _), ours) in both {
            assert_eq!(i64::try_from(theirs.offset.get()).unwrap(), ours.offset);
            assert_eq!(theirs.timestamp.as_millis(), ours.timestamp);
            assert_eq!((theirs.key, theirs.value), (ours.key, ours.value));
            let headers = theirs.headers().map(|header| (header.name, header.value));
            assert!(headers.eq(ours.headers().map(|header| (header.name, header.value))));
            read += 1;
        }
        assert_eq!(read, 2);
    }
}

//! Round trips, golden bytes, and every truncation and bit flip.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests")]

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::ids::Offset;
use crate::time::WallTime;

const NOW: WallTime = WallTime::from_millis(1_600_000_000_000);

fn encode(records: &[NewRecord]) -> Bytes {
    encode_batch(records, NOW, RecordLimits::default()).unwrap()
}

fn record(key: Option<&str>, value: Option<&str>) -> NewRecord {
    NewRecord {
        key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
        ..NewRecord::default()
    }
}

fn header(name: &'static str, value: Option<&'static str>) -> Header {
    Header {
        name: Bytes::from_static(name.as_bytes()),
        value: value.map(|value| Bytes::from_static(value.as_bytes())),
    }
}

/// Two records: null key with headers (one null, one duplicate), empty key with null value and an older timestamp.
fn sample() -> Vec<NewRecord> {
    vec![
        NewRecord {
            headers: vec![header("a", Some("1")), header("a", None), header("b", Some(""))],
            ..record(None, Some("hi"))
        },
        NewRecord {
            timestamp: Some(WallTime::from_millis(1_599_999_999_000)),
            ..record(Some(""), None)
        },
    ]
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Reads a batch back into what was produced, by way of every reader.
fn decode(batch: &StoredBatch) -> Vec<NewRecord> {
    let positions: Vec<_> = batch.positions().map(Result::unwrap).collect();
    let mut records = Vec::new();
    for (index, item) in batch.records().enumerate() {
        let (view, position) = item.unwrap();
        assert_eq!(view.offset, batch.base().plus(index as u64));
        assert_eq!(positions[index], (view.offset, position));
        let again = batch.record_at(position).unwrap();
        assert_eq!(
            (again.offset, again.key, again.value),
            (view.offset, view.key, view.value)
        );
        records.push(NewRecord {
            key: view.key.map(Bytes::copy_from_slice),
            value: view.value.map(Bytes::copy_from_slice),
            headers: view
                .headers()
                .map(|header| Header {
                    name: Bytes::copy_from_slice(header.name),
                    value: header.value.map(Bytes::copy_from_slice),
                })
                .collect(),
            timestamp: Some(view.timestamp),
        });
    }
    assert_eq!(positions.len(), records.len());
    records
}

#[test]
fn golden_bytes() {
    let batch = encode(&sample());
    assert_eq!(
        hex(&batch),
        concat!(
            "0000000000000000", // base offset
            "0000004c",         // length
            "00000000",         // leader epoch
            "02",               // magic
            "c8079242",         // CRC-32C
            "0000",             // attributes
            "00000001",         // last offset delta
            "00000174876e8000", // base timestamp 1,600,000,000,000 and ...
            "00000174876e8000", // ... largest
            "ffffffffffffffff", // producer id
            "ffff",             // producer epoch
            "ffffffff",         // base sequence
            "00000002",         // records
            "24000000010468690602610231026101026200",
            "0e00cf0f02000100",
        )
    );
}

#[test]
fn null_differs_from_empty_and_headers_keep_order_and_duplicates() {
    let batch = StoredBatch::new(Offset::saturating(7), encode(&sample())).unwrap();
    let mut expected = sample();
    expected[0].timestamp = Some(NOW);
    assert_eq!(decode(&batch), expected);
    assert_eq!(batch.last(), Offset::saturating(8));
    assert_eq!(batch.max_timestamp(), NOW);
}

#[test]
fn the_base_offset_inside_the_bytes_does_not_count() {
    let mut bytes = encode(&sample()).to_vec();
    bytes[..8].copy_from_slice(&99_u64.to_be_bytes());
    let batch = StoredBatch::new(Offset::saturating(5), Bytes::from(bytes)).unwrap();
    let first = batch.records().next().unwrap().unwrap().0;
    assert_eq!(first.offset, Offset::saturating(5));
}

#[test]
fn every_truncation_is_an_error() {
    let batch = encode(&sample());
    for end in 0..batch.len() {
        let error = validate(&batch[..end], RecordLimits::default()).unwrap_err();
        assert!(matches!(error, RecordError::Truncated { .. }), "cut at {end}: {error}");
        fuzz_record_batch(&batch[..end]);
    }
    let mut longer = batch.to_vec();
    longer.push(0);
    assert!(matches!(
        validate(&longer, RecordLimits::default()),
        Err(RecordError::TrailingBytes { found: 1, .. })
    ));
}

#[test]
fn every_bit_flip_is_an_error_or_outside_the_checksum() {
    let batch = encode(&sample());
    let info = validate(&batch, RecordLimits::default()).unwrap();
    for bit in 0..batch.len() * 8 {
        let mut damaged = batch.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fuzz_record_batch(&damaged);
        let byte = bit / 8;
        match validate(&damaged, RecordLimits::default()) {
            Ok(found) => {
                assert!(byte < 8 || (12..16).contains(&byte), "bit {bit} went unnoticed");
                assert_ne!(found.header, info.header);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn damage_that_kept_its_checksum_is_a_typed_error() {
    let good = encode(&sample());
    for position in 21..good.len() {
        for value in [0, 1, 2, 0x7F, 0x80, 0xFF] {
            let mut damaged = good.to_vec();
            damaged[position] = value;
            let crc = crc32c::crc32c(&damaged[21..]);
            damaged[17..21].copy_from_slice(&crc.to_be_bytes());
            fuzz_record_batch(&damaged);
        }
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let check = |attributes: u16| {
        let mut bytes = encode(&sample()).to_vec();
        bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        validate(&bytes, RecordLimits::default()).map(|info| info.header.timestamp_type())
    };
    assert_eq!(check(4), Err(RecordError::Compressed { codec: 4 }));
    assert_eq!(check(1 << 4), Err(RecordError::Transactional));
    assert_eq!(check(1 << 5), Err(RecordError::Control));
    assert_eq!(check(1 << 6), Err(RecordError::Attributes { found: 1 << 6 }));
    assert_eq!(check(1 << 3), Ok(TimestampType::Append));
}

#[test]
fn limits_name_value_and_limit() {
    let limits = RecordLimits {
        record_bytes: 100,
        batch_bytes: 150,
    };
    let of = |len: usize| record(None, Some(&"x".repeat(len)));
    // 61 of header, 1 of length, 6 of attributes, deltas, key, value length, header count.
    let largest = 100 - 61 - 1 - 6;
    assert_eq!(encode_batch(&[of(largest)], NOW, limits).unwrap().len(), 100);
    assert_eq!(
        encode_batch(&[of(largest + 1)], NOW, limits),
        Err(RecordError::RecordTooLarge {
            index: 0,
            size: 101,
            limit: 100
        })
    );
    assert_eq!(
        encode_batch(&[of(largest), of(largest), of(largest)], NOW, limits),
        Err(RecordError::BatchTooLarge { size: 178, limit: 150 })
    );
    assert_eq!(encode_batch(&[], NOW, limits), Err(RecordError::Empty));
    let large = encode(&[of(largest + 1)]);
    assert_eq!(
        validate(&large, limits),
        Err(RecordError::BatchTooLarge { size: 101, limit: 100 })
    );
    let default = RecordLimits::default();
    let kafka = [of(default.record_bytes - 61 - 11)];
    assert!(encode_batch(&kafka, NOW, default).unwrap().len() <= 1_048_588);
}

#[test]
fn bad_names_and_times_are_refused() {
    let mut bad = record(None, None);
    bad.headers.push(Header {
        name: Bytes::from_static(&[0xFF]),
        value: None,
    });
    assert!(matches!(
        encode_batch(&[record(None, None), bad], NOW, RecordLimits::default()),
        Err(RecordError::HeaderName { index: 1, .. })
    ));
    let mut early = record(None, None);
    early.timestamp = Some(WallTime::from_millis(-1));
    assert_eq!(
        encode_batch(&[early], NOW, RecordLimits::default()),
        Err(RecordError::Timestamp {
            index: 0,
            found: WallTime::from_millis(-1)
        })
    );
}

#[test]
fn foreign_timestamps_are_at_least_minus_one() {
    let with_time = |millis: i64| {
        let mut first = record(None, None);
        first.timestamp = Some(WallTime::from_millis(0));
        let mut bytes = encode(&[first]).to_vec();
        bytes[27..35].copy_from_slice(&millis.to_be_bytes());
        bytes[35..43].copy_from_slice(&millis.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        validate(&bytes, RecordLimits::default()).map(|info| info.header.max_timestamp)
    };
    assert_eq!(with_time(-1), Ok(-1));
    let found = WallTime::from_millis(-2);
    assert_eq!(with_time(-2), Err(RecordError::Timestamp { index: 0, found }));
}

#[test]
fn varint_sizes_match_what_is_written() {
    let mut values = vec![0, i64::MAX, i64::MIN];
    for shift in 0..63 {
        let power = 1_i64 << shift;
        values.extend([power - 1, power, power + 1, -power, -power - 1]);
    }
    for value in values {
        let mut buffer = Vec::new();
        varint::put(&mut buffer, value);
        assert_eq!(buffer.len(), varint::size(value), "{value}");
        assert_eq!(varint::get_i64(&buffer), Some((value, buffer.len())));
        for end in 0..buffer.len() {
            assert_eq!(varint::get_i64(&buffer[..end]), None);
        }
        let narrow = i32::try_from(value).ok().map(|value| (value, buffer.len()));
        assert_eq!(varint::get_i32(&buffer), narrow);
    }
    assert_eq!(varint::get_i64(&[0x80; 11]), None);
    assert_eq!(varint::get_i32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]), None);
}

fn any_bytes() -> impl Strategy<Value = Option<Bytes>> {
    option::of(vec(any::<u8>(), 0..200).prop_map(Bytes::from))
}

fn any_record() -> impl Strategy<Value = NewRecord> {
    let headers = vec(("[a-z]{0,12}", any_bytes()), 0..4);
    (any_bytes(), any_bytes(), headers, option::of(0..i64::MAX)).prop_map(|(key, value, headers, timestamp)| {
        NewRecord {
            key,
            value,
            headers: headers
                .into_iter()
                .map(|(name, value)| Header {
                    name: Bytes::from(name),
                    value,
                })
                .collect(),
            timestamp: timestamp.map(WallTime::from_millis),
        }
    })
}

proptest! {
    #[test]
    fn round_trip(records in vec(any_record(), 1..40), base in 0..1_u64 << 62) {
        let bytes = encode(&records);
        prop_assert_eq!(bytes.len(), encoded_len(&records, NOW, RecordLimits::default()).unwrap());
        let info = validate(&bytes, RecordLimits::default()).unwrap();
        prop_assert_eq!(info.header.record_count as usize, records.len());
        fuzz_record_batch(&bytes);
        let batch = StoredBatch::new(Offset::saturating(base), bytes).unwrap();
        let mut expected = records;
        for record in &mut expected {
            record.timestamp.get_or_insert(NOW);
        }
        prop_assert_eq!(decode(&batch), expected);
    }

    #[test]
    fn header_round_trip(seed in vec(any::<u8>(), 61)) {
        let mut bytes = seed;
        bytes[16] = 2;
        if let Ok(header) = BatchHeader::parse(&bytes) {
            prop_assert_eq!(&header.encode()[..], &bytes[..]);
        }
    }

    #[test]
    fn any_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..300)) {
        fuzz_record_batch(&bytes);
    }
}

//! Batches come back as they were written, by our code and by the `kafka-protocol` crate; and whatever is wrong with one is an error that says so.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{RecordBatchDecoder, TimestampType as TheirTimestampType};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::header::{HEADER, LENGTH_END};
use super::*;

/// A record that owns what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Owned {
    fn of(record: &Record<'_>) -> Self {
        let headers = record.headers();
        assert_eq!(headers.len(), record.headers().count());
        Self {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers
                .map(|header| {
                    let name = String::from_utf8_lossy(header.name).into_owned();
                    (name, header.value.map(<[u8]>::to_vec))
                })
                .collect(),
        }
    }
}

impl Owned {
    /// As a map keeps the headers: the first place of a name, its last value.
    fn with_names_once(mut self) -> Self {
        let mut once: Vec<(String, Option<Vec<u8>>)> = Vec::new();
        for (name, value) in self.headers {
            match once.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => once.push((name, value)),
            }
        }
        self.headers = once;
        self
    }
}

fn written(new: &NewBatch, records: &[Owned]) -> Bytes {
    let headers: Vec<Vec<_>> = records
        .iter()
        .map(|record| {
            let headers = record.headers.iter();
            headers.map(|(name, value)| (name.as_str(), value.as_deref())).collect()
        })
        .collect();
    let records: Vec<NewRecord<'_>> = records
        .iter()
        .zip(&headers)
        .map(|(record, headers)| NewRecord {
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers,
        })
        .collect();
    new.encode(&records).unwrap()
}

/// Everything that is to be had from these bytes, with the first error.
fn read(bytes: Bytes) -> (Vec<Owned>, Option<RecordsError>) {
    let mut out = Vec::new();
    for batch in batches(bytes) {
        let plain = match batch.and_then(|batch| batch.plain(PLAIN_MAX)) {
            Ok(plain) => plain,
            Err(error) => return (out, Some(error)),
        };
        for record in plain.records() {
            match record {
                Ok(record) => out.push(Owned::of(&record)),
                Err(error) => return (out, Some(error)),
            }
        }
        plain.check().unwrap();
    }
    (out, None)
}

/// The same by the other crate, which reads batches that are not compressed.
fn read_by_others(bytes: &Bytes) -> Vec<Owned> {
    let set = RecordBatchDecoder::decode(&mut bytes.clone()).unwrap();
    assert_eq!(set.version, 2);
    let records = set.records.into_iter().map(|record| {
        assert_eq!(record.timestamp_type, TheirTimestampType::Creation);
        Owned {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(|key| key.to_vec()),
            value: record.value.map(|value| value.to_vec()),
            headers: record
                .headers
                .into_iter()
                .map(|(name, value)| (name.to_string(), value.map(|value| value.to_vec())))
                .collect(),
        }
    });
    records.collect()
}

fn sample(codec: Codec) -> (NewBatch, Vec<Owned>) {
    let new = NewBatch {
        base_offset: 1_000_000,
        codec,
        ..NewBatch::default()
    };
    let twice = |value: Option<&[u8]>| ("twice".to_owned(), value.map(<[u8]>::to_vec));
    let records = vec![
        Owned {
            offset: 1_000_000,
            timestamp: 1_700_000_000_000,
            key: None,
            value: Some(Vec::new()),
            headers: vec![twice(Some(b"1")), twice(None), twice(Some(b""))],
        },
        Owned {
            offset: 1_000_001,
            timestamp: 1_699_999_999_000,
            key: Some(b"key".to_vec()),
            value: None,
            headers: vec![(String::new(), None)],
        },
        Owned {
            offset: 1_000_002,
            timestamp: 1_700_000_000_001,
            key: Some(Vec::new()),
            value: Some(b"value value value value value value value value value".repeat(3)),
            headers: Vec::new(),
        },
    ];
    (new, records)
}

/// Changes a batch, and makes its checksum right again.
fn forged(bytes: &Bytes, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = bytes.to_vec();
    change(&mut out);
    let length = i32::try_from(out.len() - LENGTH_END).unwrap();
    out[8..12].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32c::crc32c(&out[21..]);
    out[17..21].copy_from_slice(&checksum.to_be_bytes());
    out.into()
}

/// A batch of these compressed bytes, which claims to have one record.
fn packed(codec: Codec, records: &[u8]) -> Batch {
    let (_, one) = sample(Codec::None);
    let bytes = forged(&written(&NewBatch::default(), &one[..1]), |bytes| {
        bytes.truncate(HEADER);
        bytes[22] = codec.id();
        bytes.extend_from_slice(records);
    });
    batches(bytes).next().unwrap().unwrap()
}

prop_compose! {
    fn any_record()(
        timestamp in -1..4_000_000_000_000_i64,
        key in of(vec(any::<u8>(), 0..40)),
        value in of(vec(0..4_u8, 0..400)),
        headers in vec(("[a-z\u{e4}]{0,4}", of(vec(any::<u8>(), 0..8))), 0..4),
    ) -> Owned {
        Owned { offset: 0, timestamp, key, value, headers }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn batches_come_back(
        mut of_batches in vec((0..5_usize, 0..1_i64 << 60, vec(any_record(), 1..40)), 1..4),
        rest in 0..60_usize,
    ) {
        let mut fetched = BytesMut::new();
        let mut expected = Vec::new();
        for (codec, base_offset, records) in &mut of_batches {
            (*base_offset..).zip(records.iter_mut()).for_each(|(offset, record)| record.offset = offset);
            let new = NewBatch { codec: Codec::ALL[*codec], base_offset: *base_offset, ..NewBatch::default() };
            fetched.extend_from_slice(&written(&new, records));
            expected.append(records);
        }
        let (_, last) = sample(Codec::None);
        fetched.extend_from_slice(&written(&NewBatch::default(), &last)[..rest]);
        let fetched = fetched.freeze();
        let mut all = batches(fetched.clone());
        for batch in all.by_ref() {
            let plain = batch.unwrap().plain(PLAIN_MAX).unwrap();
            let own: Vec<Owned> = plain.records().map(|record| Owned::of(&record.unwrap()).with_names_once()).collect();
            prop_assert_eq!(&own, &read_by_others(plain.bytes()));
        }
        prop_assert_eq!(all.left(), rest);
        prop_assert_eq!(read(fetched), (expected, None));
    }

    /// With a checksum that is right, bytes may say what they like: an error or records, never a panic, never more than there is room for.
    #[test]
    fn nothing_breaks_over_wrong_bytes(codec in 0..5_usize, changes in vec((0..1_000_usize, any::<u8>()), 1..6)) {
        let (new, records) = sample(Codec::ALL[codec]);
        let bytes = forged(&written(&new, &records), |bytes| {
            for (at, byte) in changes {
                let at = 21 + at % (bytes.len() - 21);
                bytes[at] = byte;
            }
        });
        for batch in batches(bytes).flatten() {
            if let Ok(plain) = batch.plain(1 << 16) {
                prop_assert!(plain.bytes().len() <= (1 << 16) + HEADER + batch.bytes().len());
                drop(plain.check());
            }
        }
    }
}

#[test]
fn a_batch_says_what_it_is() {
    let (_, records) = sample(Codec::Zstd);
    let new = NewBatch {
        base_offset: 7,
        codec: Codec::Zstd,
        producer_id: 4_000,
        producer_epoch: 3,
        base_sequence: 9,
        is_transactional: true,
    };
    let batch = batches(written(&new, &records)).next().unwrap().unwrap();
    let expected = BatchHeader {
        base_offset: 7,
        last_offset: 9,
        leader_epoch: -1,
        codec: Codec::Zstd,
        timestamp_type: TimestampType::Create,
        is_transactional: true,
        is_control: false,
        base_timestamp: 1_700_000_000_000,
        max_timestamp: 1_700_000_000_001,
        producer_id: 4_000,
        producer_epoch: 3,
        base_sequence: 9,
        record_count: 3,
    };
    assert_eq!(*batch.header(), expected);
    let plain = batch.plain(PLAIN_MAX).unwrap();
    let uncompressed = BatchHeader {
        codec: Codec::None,
        is_transactional: false,
        ..expected
    };
    assert_eq!(*plain.header(), uncompressed);
    // What is plain is a batch again, and stays as it is.
    let again = batches(plain.bytes().clone()).next().unwrap().unwrap();
    assert_eq!(*again.header(), uncompressed);
    assert_eq!(again.plain(0).unwrap(), plain);
}

#[test]
fn a_batch_that_is_plain_is_not_copied() {
    let (new, records) = sample(Codec::None);
    let bytes = written(&new, &records);
    let plain = batches(bytes.clone()).next().unwrap().unwrap().plain(0).unwrap();
    assert_eq!(plain.bytes().as_ptr(), bytes.as_ptr());
    let value = plain.records().last().unwrap().unwrap().value.unwrap();
    assert_eq!(bytes.slice_ref(value), value);
}

#[test]
fn timestamps_of_an_append_are_those_of_the_batch() {
    let (new, records) = sample(Codec::Lz4);
    // Bit 6 says that the base timestamp has a second meaning; it keeps the first.
    let bytes = forged(&written(&new, &records), |bytes| bytes[22] |= 0b100_1000);
    let (read, error) = read(bytes);
    assert_eq!(error, None);
    assert!(
        read.iter().all(|record| record.timestamp == 1_700_000_000_001),
        "{read:?}"
    );
}

#[test]
fn offsets_may_have_holes_but_not_leave_their_batch() {
    let (new, mut records) = sample(Codec::None);
    let bytes = written(&new, &records);
    // After compaction: the first record is gone.
    let first = batches(bytes.clone()).next().unwrap().unwrap().plain(0).unwrap();
    let len = first.records().nth(1).unwrap().unwrap().key.unwrap().as_ptr() as usize - bytes.as_ptr() as usize;
    let second = len - 6;
    let compacted = forged(&bytes, |bytes| {
        bytes.drain(HEADER..second);
        bytes[60] = 2;
    });
    records.remove(0);
    assert_eq!(read(compacted), (records, None));
    // A batch of which nothing is left.
    let empty = forged(&bytes, |bytes| {
        bytes.truncate(HEADER);
        bytes[60] = 0;
    });
    let batch = batches(empty.clone()).next().unwrap().unwrap();
    assert_eq!(
        batch.header().offsets(),
        Offsets {
            first: 1_000_000,
            last: 1_000_002
        }
    );
    assert_eq!(read(empty), (Vec::new(), None));
    // The last offset delta says 1, the third record 2.
    let (read_before, error) = read(forged(&bytes, |bytes| bytes[26] = 1));
    assert_eq!(read_before.len(), 2);
    assert!(
        matches!(error, Some(RecordsError::Offset { found: 1_000_002, .. })),
        "{error:?}"
    );
}

#[test]
fn every_truncation_is_said() {
    for codec in Codec::ALL {
        let (new, records) = sample(codec);
        let bytes = written(&new, &records);
        let whole = [&bytes[..], &bytes[..]].concat();
        for len in 0..bytes.len() {
            let mut all = batches(Bytes::copy_from_slice(&whole[..bytes.len() + len]));
            assert_eq!(all.by_ref().map(Result::unwrap).count(), 1);
            assert_eq!(all.left(), len);
        }
    }
}

/// The checksum covers all but the base offset, the length, the leader's epoch and the format, which the broker writes.
#[test]
fn every_changed_byte_is_found() {
    for codec in Codec::ALL {
        let (new, records) = sample(codec);
        let bytes = written(&new, &records);
        let changeable = (8..12).chain(16..bytes.len());
        for (at, bit) in changeable.flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1 << bit;
            let mut all = batches(changed.into());
            let first = all.next();
            let found = match &first {
                // It claims to be longer than it is.
                None => at < 12 && all.left() == bytes.len(),
                Some(Err(RecordsError::Length { .. })) => at < 12,
                Some(Err(RecordsError::Format { .. })) => at == 16,
                Some(Err(RecordsError::Checksum { .. })) => at != 16,
                Some(_) => false,
            };
            assert!(found, "{codec}: bit {bit} of byte {at}: {first:?}");
        }
    }
}

/// Every record's every length, in a batch whose checksum is right.
#[test]
fn lies_within_records_are_found() {
    let (new, records) = sample(Codec::None);
    let bytes = written(&new, &records);
    let mut refused = 0;
    for at in HEADER..bytes.len() {
        for byte in [0, 1, 2, 3, 0x7e, 0x7f, 0x80, 0xfe, 0xff] {
            let (found, error) = read(forged(&bytes, |bytes| bytes[at] = byte));
            match error {
                Some(error) => {
                    assert_eq!(
                        error.batch(),
                        Some(Offsets {
                            first: 1_000_000,
                            last: 1_000_002
                        })
                    );
                    refused += 1;
                }
                None => assert_eq!(found.len(), 3),
            }
        }
    }
    assert!(refused > 100, "{refused}");
    for (claimed, word) in [(2, "more"), (4, "fewer"), (0, "more"), (i32::MAX, "fewer")] {
        let (_, error) = read(forged(&bytes, |bytes| {
            bytes[57..61].copy_from_slice(&claimed.to_be_bytes());
        }));
        let said = error.unwrap().to_string();
        assert!(
            said.contains(&format!("claims {claimed} records and has {word}")),
            "{said}"
        );
    }
}

#[test]
fn headers_that_cannot_be_are_refused() {
    let (new, records) = sample(Codec::None);
    let bytes = written(&new, &records);
    let field = |change: fn(&mut Vec<u8>)| batches(forged(&bytes, change)).next().unwrap().unwrap_err().to_string();
    let last = field(|bytes| bytes[23] = 0xff);
    assert_eq!(
        last,
        "the batch at offset 1000000 has -16777214 for its last offset delta"
    );
    let first = field(|bytes| bytes[0] = 0x80);
    assert!(first.ends_with("for its base offset"), "{first}");
    let last = field(|bytes| bytes[..8].copy_from_slice(&i64::MAX.to_be_bytes()));
    assert!(last.ends_with("has 2 for its last offset delta"), "{last}");
    let count = field(|bytes| bytes[57] = 0xff);
    assert!(count.ends_with("for its number of records"), "{count}");
    let codec = field(|bytes| bytes[22] = 5);
    assert_eq!(
        codec,
        "the batch with offsets 1000000 to 1000002 is compressed in way 5; 1 to 4 are known"
    );
    let timestamp = read(forged(&bytes, |bytes| {
        bytes[27..35].copy_from_slice(&i64::MAX.to_be_bytes());
    }))
    .1;
    assert!(
        matches!(timestamp, Some(RecordsError::Record { field: "timestamp", .. })),
        "{timestamp:?}"
    );
}

/// One that cannot be read does not take the others with it.
#[test]
fn the_batch_behind_a_bad_one_is_read() {
    let (new, records) = sample(Codec::None);
    let good = written(&new, &records);
    let mut changed = good.to_vec();
    changed[70] ^= 1;
    // A message of the oldest format: offset, length, checksum, format, attributes, key, value.
    let old = [&[0; 8][..], &[0, 0, 0, 14], &[1, 2, 3, 4], &[0, 0], &[0xff; 8]].concat();
    let newer = [&good[..16], &[3], &good[17..]].concat();
    let all = [&changed, &old, &newer, &good[..], &[0; 8], &[0xff; 4], &[2; 60]].concat();
    let all: Vec<_> = batches(all.into()).collect();
    let errors: Vec<String> = all
        .iter()
        .filter_map(|one| one.as_ref().err())
        .map(ToString::to_string)
        .collect();
    assert_eq!((all.len(), errors.len()), (5, 4));
    assert!(
        errors[0].starts_with("the checksum of the batch with offsets 1000000 to 1000002 is 0x"),
        "{errors:?}"
    );
    assert_eq!(
        errors[1],
        "the batch at offset 0 is of format 0; format 2 is read, which Kafka writes since 0.11"
    );
    assert!(errors[2].contains("of format 3"), "{errors:?}");
    assert!(all[3].is_ok());
    assert_eq!(
        errors[3],
        format!(
            "the batch at byte {} says that -1 bytes follow, the least is 49",
            3 * good.len() + old.len()
        )
    );
}

#[test]
fn what_grows_is_bounded() {
    let plain = vec![0; 8 << 20];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bomb = codec.pack(&plain, 0).unwrap();
        let batch = packed(codec, &bomb);
        let error = batch.plain(1 << 20).unwrap_err();
        let limit = 1 << 20;
        assert_eq!(
            error,
            RecordsError::Grows {
                batch: batch.header().offsets(),
                codec,
                limit
            }
        );
        assert_eq!(
            error.to_string(),
            format!("the batch with offsets 0 to 0, compressed by {codec}, grows beyond the limit of 1048576 bytes")
        );
        let whole = batch.plain(plain.len()).unwrap();
        assert_eq!(whole.bytes().len(), HEADER + plain.len());
        assert!(batch.plain(plain.len() - 1).is_err());
    }
}

#[test]
fn bytes_that_are_not_compressed_as_they_claim_are_refused() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        for bytes in [
            &b"not at all"[..],
            &[0xff; 100],
            &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0],
        ] {
            let error = packed(codec, bytes).plain(PLAIN_MAX).unwrap_err();
            assert!(
                matches!(error, RecordsError::Compressed { .. } | RecordsError::Grows { .. }),
                "{codec}: {error}"
            );
        }
        // Cut off: an error now, or when fewer records are found than there should be.
        let whole = codec
            .pack(b"\x08\0\0\0\x01\x01\0\0 more than one block needs", 0)
            .unwrap();
        for len in 1..whole.len() {
            let cut = packed(codec, &whole[..len])
                .plain(PLAIN_MAX)
                .and_then(|plain| plain.check());
            assert!(cut.is_err(), "{codec}: {len} of {}", whole.len());
        }
    }
    // Four bytes that claim to be 60 MiB.
    let error = packed(Codec::Snappy, &[0x80, 0x80, 0x80, 0x1e])
        .plain(PLAIN_MAX)
        .unwrap_err();
    assert!(error.to_string().contains("4 bytes claim to be 62914560"), "{error}");
}

/// As clients write it that do not know of the Java library's frames.
#[test]
fn snappy_without_frames_is_read() {
    let (_, records) = sample(Codec::None);
    let bytes = written(&NewBatch::default(), &records[..1]);
    let block = snap::raw::Encoder::new().compress_vec(&bytes[HEADER..]).unwrap();
    let plain = packed(Codec::Snappy, &block).plain(PLAIN_MAX).unwrap();
    assert_eq!(
        plain
            .records()
            .map(|record| Owned::of(&record.unwrap()).headers)
            .collect::<Vec<_>>(),
        [records[0].headers.clone()]
    );
    // Several blocks.
    let value = vec![7; 100_000];
    let long = NewRecord {
        value: Some(&value),
        ..NewRecord::default()
    };
    let new = NewBatch {
        codec: Codec::Snappy,
        ..NewBatch::default()
    };
    let (read, error) = read(new.encode(&[long]).unwrap());
    assert_eq!((read[0].value.as_ref().unwrap().len(), error), (100_000, None));
}

#[test]
fn codecs_go_by_name_and_number() {
    for codec in Codec::ALL {
        assert_eq!(codec.to_string().parse(), Ok(codec));
        assert_eq!(Codec::of_id(codec.id()), Some(codec));
    }
    assert_eq!(
        "brotli".parse::<Codec>().unwrap_err(),
        "`brotli` is none of none, gzip, snappy, lz4, zstd"
    );
    assert_eq!(Codec::of_id(5), None);
}

#[test]
fn batches_that_no_header_can_describe_are_not_written() {
    let late = NewRecord {
        timestamp: i64::MAX,
        ..NewRecord::default()
    };
    let early = NewRecord {
        timestamp: i64::MIN,
        ..NewRecord::default()
    };
    let error = NewBatch::default().encode(&[early, late]).unwrap_err();
    assert_eq!(error.to_string(), "a new batch with a timestamp out of range");
    let last = NewBatch {
        base_offset: i64::MAX,
        ..NewBatch::default()
    };
    assert!(last.encode(&[early]).is_ok());
    assert_eq!(
        last.encode(&[early, early]),
        Err(RecordsError::New { field: "base offset" })
    );
}

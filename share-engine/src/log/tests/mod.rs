//! A log against what was put into it: reading, rolling, holes, dropping, reopening, damage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests")]

mod crash;
mod damage;

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::ids::{Offset, TopicId};
use crate::record::{Header, NewRecord, RecordLimits, StoredBatch, encode_batch};
use crate::storage::{MemoryStorage, Storage};
use crate::time::WallTime;

const DIRECTORY: &str = "logs/orders-3";
const IDENTITY: LogIdentity = LogIdentity {
    directory_id: 0xD1,
    topic_id: TopicId(0x0123_4567_89AB_CDEF_0123_4567_89AB_CDEF),
};
/// Small enough that a few batches make several segments and intervals.
const SMALL: LogOptions = LogOptions {
    segment_bytes: 1500,
    segment_millis: None,
    index_interval_bytes: 300,
    write_buffer_bytes: 200,
};

fn at(offset: u64) -> Offset {
    Offset::saturating(offset)
}

/// `count` records from `base` on, of a size that depends on the offset, one second of timestamp an offset.
fn batch(base: u64, count: u64) -> StoredBatch {
    let records: Vec<_> = (base..base + count)
        .map(|offset| NewRecord {
            key: (offset % 3 > 0).then(|| Bytes::from(format!("key-{offset}"))),
            value: (offset % 4 > 0).then(|| Bytes::from("v".repeat((offset % 90) as usize))),
            headers: vec![Header {
                name: Bytes::from_static(b"source"),
                value: None,
            }],
            timestamp: Some(time_of(offset)),
        })
        .collect();
    let bytes = encode_batch(&records, WallTime::from_millis(0), RecordLimits::default()).unwrap();
    StoredBatch::new(at(base), bytes).unwrap()
}

fn time_of(offset: u64) -> WallTime {
    WallTime::from_millis(1_600_000_000_000 + i64::try_from(offset).unwrap() * 1000)
}

/// Batches of 1 to 4 records with a hole after every fifth batch.
fn batches(count: u64) -> Vec<StoredBatch> {
    let mut base = 0;
    (0..count)
        .map(|index| {
            let batch = batch(base, index % 4 + 1);
            base = batch.last().get() + if index % 5 == 4 { 7 } else { 1 };
            batch
        })
        .collect()
}

fn open(storage: &MemoryStorage, known: &LogState) -> Result<LogWriter, LogError> {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    LogWriter::open(storage, DIRECTORY, IDENTITY, SMALL, known)
}

/// Changes a file at rest.
fn tamper(storage: &MemoryStorage, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = storage.contents(path);
    change(&mut bytes);
    storage.put(path, &bytes);
}

/// A synced log of `count` batches, what is in it, and where.
fn filled(count: u64) -> (MemoryStorage, LogWriter, Vec<StoredBatch>) {
    let storage = MemoryStorage::new(1);
    let mut writer = open(&storage, &LogState::default()).unwrap();
    let batches = batches(count);
    for part in batches.chunks(3) {
        writer.append(part).unwrap();
    }
    writer.sync().unwrap();
    (storage, writer, batches)
}

/// What of two batches must be the same: all but the base offset inside the bytes.
fn essence(batches: &[StoredBatch]) -> Vec<(u64, u64, WallTime, &[u8])> {
    batches
        .iter()
        .map(|batch| {
            let range = batch.range();
            (
                range.first().get(),
                range.last().get(),
                batch.max_timestamp(),
                &batch.bytes()[8..],
            )
        })
        .collect()
}

fn check_all(reader: &LogReader, expected: &[StoredBatch]) {
    let found = reader.read(Offset::ZERO, usize::MAX).unwrap();
    assert_eq!(essence(&found), essence(expected));
    let report = reader.verify();
    assert_eq!(report.problems, []);
    assert_eq!(report.batches, expected.len() as u64);
}

/// Every file is as long as the list says: Kafka's tools know no list.
fn check_lengths(storage: &MemoryStorage, state: &LogState) {
    for segment in &state.segments {
        for (suffix, listed) in [
            ("log", segment.bytes),
            ("index", segment.index_bytes),
            ("timeindex", segment.timeindex_bytes),
            ("sums", segment.sums_bytes),
        ] {
            let path = format!("{DIRECTORY}/{:020}.{suffix}", segment.base.get());
            assert_eq!(storage.contents(&path).len() as u64, listed, "{path}");
        }
    }
}

#[test]
fn what_was_appended_is_read_from_every_offset() {
    let (_, writer, batches) = filled(60);
    let reader = writer.reader();
    assert!(reader.segments().len() > 3, "the test must roll");
    for segment in reader.segments() {
        // Timestamps rise in this log: an entry with each index entry, and one at the end if that was not the last batch.
        let more = segment.timeindex_bytes / 12 - segment.index_bytes / 8;
        assert!(more <= 1, "{segment:?}");
    }
    check_all(&reader, &batches);
    let end = batches.last().unwrap().last().get();
    for from in 0..=end + 2 {
        let expected: Vec<_> = batches
            .iter()
            .filter(|batch| batch.last() >= at(from))
            .cloned()
            .collect();
        let found = reader.read(at(from), usize::MAX).unwrap();
        assert_eq!(essence(&found), essence(&expected), "from {from}");
        for max_bytes in [1, 700, 2000] {
            let found = reader.read(at(from), max_bytes).unwrap();
            assert_eq!(found.is_empty(), expected.is_empty());
            assert_eq!(essence(&found), essence(&expected[..found.len()]));
            let read: usize = found.iter().map(|batch| batch.bytes().len()).sum();
            assert!(read <= max_bytes + 1500, "{read} bytes for {max_bytes}");
        }
    }
}

#[test]
fn writers_and_readers_may_change_threads() {
    fn check<T: Send + Sync>() {}
    check::<LogWriter>();
    check::<LogReader>();
}

#[test]
fn a_timestamp_leads_to_the_first_record_that_has_it() {
    let (_, writer, batches) = filled(40);
    let reader = writer.reader();
    let offsets: Vec<u64> = batches
        .iter()
        .flat_map(|batch| batch.base().get()..=batch.last().get())
        .collect();
    for wanted in 0..offsets.last().unwrap() + 3 {
        let expected = offsets.iter().copied().find(|offset| *offset >= wanted).map(at);
        assert_eq!(reader.offset_for_timestamp(time_of(wanted)).unwrap(), expected);
    }
}

#[test]
fn reopening_goes_on_where_the_list_ends() {
    let all = batches(50);
    let (straight, writer, _) = filled(50);
    let expected = writer.state();
    let storage = MemoryStorage::new(1);
    let mut state = LogState::default();
    let mut appended = 0;
    for part in all.chunks(7) {
        appended += part.len();
        let mut writer = open(&storage, &state).unwrap();
        writer.append(part).unwrap();
        writer.sync().unwrap();
        state = writer.state();
        check_all(&writer.reader(), &all[..appended]);
    }
    // Syncs end intervals and add time entries, nothing else: log and offset index are the same.
    assert_eq!(state.segments.len(), expected.segments.len());
    for path in straight.files() {
        if path.split('.').any(|part| part == "log" || part == "index") {
            assert_eq!(storage.contents(&path), straight.contents(&path), "{path}");
        }
    }
}

#[test]
fn what_is_beyond_the_list_is_cut_away() {
    let (storage, mut writer, all) = filled(20);
    let state = writer.state();
    let paths = storage.files();
    let more = batch(1000, 3);
    for base in [1000, 1010, 1020, 1030, 1040, 1050, 1060] {
        writer.append(&[batch(base, 9)]).unwrap();
    }
    // Synced or not: the snapshot does not list it.
    writer.sync().unwrap();
    writer.append(&[batch(2000, 9)]).unwrap();
    drop(writer);
    let mut writer = open(&storage, &state).unwrap();
    assert_eq!(storage.files(), paths);
    assert_eq!(writer.state(), state);
    check_lengths(&storage, &state);
    check_all(&writer.reader(), &all);
    writer.append(std::slice::from_ref(&more)).unwrap();
    writer.sync().unwrap();
    check_all(&writer.reader(), &[all, vec![more]].concat());
}

#[test]
fn a_reader_sees_what_was_synced_when_it_was_made() {
    let (_, mut writer, batches) = filled(20);
    let before = writer.reader();
    writer.append(&[batch(1000, 3)]).unwrap();
    check_all(&writer.reader(), &batches);
    writer.sync().unwrap();
    check_all(&before, &batches);
    assert_eq!(writer.reader().read(at(900), 1).unwrap().len(), 1);
    assert_eq!(writer.end(), at(1003));
}

#[test]
fn dropped_segments_leave_the_list_first_and_the_disk_later() {
    let (storage, mut writer, all) = filled(60);
    let old = writer.reader();
    let segments = writer.state().segments;
    let middle = segments[1].base;
    assert_eq!(writer.drop_segments(|segment| segment.base == middle), [segments[1]]);
    assert!(writer.has_dropped());
    let left: Vec<_> = all
        .iter()
        .filter(|batch| batch.base() < middle || batch.base() >= segments[1].end)
        .cloned()
        .collect();
    check_all(&writer.reader(), &left);
    check_all(&old, &all);

    writer.remove_dropped().unwrap();
    assert!(!writer.has_dropped());
    assert!(old.read(middle, 1).unwrap_err().is_missing_file());
    assert_eq!(storage.files().len(), 2 + 4 * (segments.len() - 1));
    let dropped = writer.drop_segments_before(segments[3].base);
    assert_eq!(dropped, [segments[0], segments[2]]);

    // A crash before their files are gone: the list decides.
    let state = writer.state();
    drop(writer);
    let writer = open(&storage, &state).unwrap();
    assert_eq!(storage.files().len(), 2 + 4 * (segments.len() - 3));
    writer.delete().unwrap();
    assert!(storage.files().is_empty());
    delete_log(&storage, DIRECTORY).unwrap();
}

#[test]
fn everything_may_be_dropped_and_the_log_goes_on() {
    let (storage, mut writer, _) = filled(20);
    writer.drop_segments(|_| true);
    writer.remove_dropped().unwrap();
    assert_eq!(writer.state(), LogState::default());
    assert_eq!(writer.reader().read(Offset::ZERO, 1000).unwrap(), []);
    let next = batch(500, 2);
    writer.append(std::slice::from_ref(&next)).unwrap();
    writer.sync().unwrap();
    let state = writer.state();
    check_all(&open(&storage, &state).unwrap().reader(), &[next]);
}

#[test]
fn a_batch_that_does_not_follow_is_refused() {
    let (_, mut writer, batches) = filled(5);
    let last = batches.last().unwrap();
    let error = writer.append(std::slice::from_ref(last)).unwrap_err();
    assert!(matches!(error, LogError::Order { base, end } if base == last.base() && end == last.last().next()));
    writer.append(&[batch(100, 1)]).unwrap();
}

#[test]
fn relative_offsets_stay_within_31_bits() {
    let storage = MemoryStorage::new(1);
    let mut writer = open(&storage, &LogState::default()).unwrap();
    let all = [
        batch(0, 1),
        batch(1, 1),
        batch(1 << 40, 2),
        batch((1 << 40) + (1 << 31), 1),
    ];
    writer.append(&all).unwrap();
    writer.sync().unwrap();
    let bases: Vec<u64> = writer
        .state()
        .segments
        .iter()
        .map(|segment| segment.base.get())
        .collect();
    assert_eq!(bases, [0, 1 << 40, (1 << 40) + (1 << 31)]);
    check_all(&writer.reader(), &all);
}

#[test]
fn state_keeps_its_form() {
    let (_, writer, _) = filled(30);
    let state = writer.state();
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    assert_eq!(bytes.len(), 4 + 64 * state.segments.len());
    bytes.extend_from_slice(b"rest");
    let mut rest = &bytes[..];
    assert_eq!(LogState::decode(&mut rest).unwrap(), state);
    assert_eq!(rest, b"rest");
    for end in 0..bytes.len() - 4 {
        assert_eq!(LogState::decode(&mut &bytes[..end]), None);
    }
    bytes.truncate(4);
    assert_eq!(LogState::decode(&mut [0xFF; 64].as_slice()), None);
}

#[test]
fn records_without_a_timestamp_are_kept_and_come_first() {
    let storage = MemoryStorage::new(1);
    let mut writer = open(&storage, &LogState::default()).unwrap();
    let without = |base: u64| {
        let mut bytes = batch(base, 1).bytes().to_vec();
        for field in [27..35, 35..43] {
            bytes[field].copy_from_slice(&(-1_i64).to_be_bytes());
        }
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        StoredBatch::new(at(base), Bytes::from(bytes)).unwrap()
    };
    let all = [without(0), without(1), batch(2, 1), without(3)];
    writer.append(&all[..2]).unwrap();
    writer.sync().unwrap();
    check_all(&writer.reader(), &all[..2]);
    writer.append(&all[2..]).unwrap();
    writer.sync().unwrap();
    let reader = writer.reader();
    check_all(&reader, &all);
    let first = |millis| reader.offset_for_timestamp(WallTime::from_millis(millis)).unwrap();
    assert_eq!((first(-100), first(0)), (Some(at(0)), Some(at(2))));
}

#[test]
fn golden_files() {
    let storage = MemoryStorage::new(1);
    let mut writer = open(&storage, &LogState::default()).unwrap();
    writer.append(&[batch(5, 1)]).unwrap();
    writer.sync().unwrap();
    let content = |suffix: &str| storage.contents(&format!("{DIRECTORY}/00000000000000000005.{suffix}"));
    let log = content("log");
    assert_eq!(log[..16], [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 74, 0, 0, 0, 0]);
    assert_eq!(content("index"), Vec::<u8>::new());
    let mut timeindex = time_of(5).as_millis().to_be_bytes().to_vec();
    timeindex.extend_from_slice(&[0; 4]);
    assert_eq!(content("timeindex"), timeindex);

    let mut sums = b"SMILLSUM\x01\0\0\0\xD1".to_vec();
    sums.extend_from_slice(&[0; 15]);
    sums.extend_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0]);
    sums.extend_from_slice(&crc32c::crc32c(&sums).to_le_bytes());
    let mut entry = vec![86, 0, 0, 0, 0, 0, 0, 0];
    entry.extend_from_slice(&time_of(5).as_millis().to_le_bytes());
    entry.extend_from_slice(&crc32c::crc32c(&log).to_le_bytes());
    let mut checked = vec![5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    checked.extend_from_slice(&entry);
    entry.extend_from_slice(&crc32c::crc32c(&checked).to_le_bytes());
    sums.extend_from_slice(&entry);
    assert_eq!(content("sums"), sums);

    let text = |name: &str| String::from_utf8(storage.contents(&format!("{DIRECTORY}/{name}"))).unwrap();
    assert_eq!(
        text("partition.metadata"),
        "version: 0\ntopic_id: ASNFZ4mrze8BI0VniavN7w"
    );
    assert_eq!(text("leader-epoch-checkpoint"), "0\n1\n0 0\n");
}

proptest! {
    #[test]
    fn any_bytes_as_a_state_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut rest = &bytes[..];
        if let Some(state) = LogState::decode(&mut rest) {
            let mut again = Vec::new();
            state.encode(&mut again);
            again.extend_from_slice(rest);
            prop_assert_eq!(again, bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_mix_of_appends_syncs_and_reopens(
        steps in proptest::collection::vec((1..30_u64, 0..3_u64, 0..6_u8), 1..60),
        segment_bytes in 100..4000_u64,
        index_interval_bytes in 0..600_u64,
    ) {
        let options = LogOptions { segment_bytes, segment_millis: None, index_interval_bytes, write_buffer_bytes: 100 };
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new(1));
        let open = |state: &LogState| LogWriter::open(Arc::clone(&storage), DIRECTORY, IDENTITY, options, state).unwrap();
        let mut writer = open(&LogState::default());
        let (mut all, mut synced, mut next) = (Vec::new(), 0, 0);
        for (count, hole, action) in steps {
            let batch = batch(next + hole, count);
            next = batch.last().get() + 1;
            writer.append(std::slice::from_ref(&batch)).unwrap();
            all.push(batch);
            match action {
                0 => {
                    writer.sync().unwrap();
                    synced = all.len();
                }
                1 => {
                    // What was not synced is lost, and comes again from the journal.
                    writer = open(&writer.state());
                    check_all(&writer.reader(), &all[..synced]);
                    writer.append(&all[synced..]).unwrap();
                }
                _ => {}
            }
        }
        writer.sync().unwrap();
        check_all(&writer.reader(), &all);
    }
}

//! Kafka's own `DumpLogSegments` reads a partition log that we wrote, and finds every record and no fault; Kafka's
//! encoder makes the same bytes of the same records.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "tests"
)]

mod kafka;

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use share_engine::ids::{Offset, TopicId};
use share_engine::log::{LogIdentity, LogOptions, LogState, LogWriter};
use share_engine::record::{Header, NewRecord, RecordLimits, StoredBatch, encode_batch};
use share_engine::storage::{FileStorage, Storage};
use share_engine::time::WallTime;

const TOOL: &str = "kafka.tools.DumpLogSegments";
const DIRECTORY: &str = "logs/orders-0";

/// One record as the test knows it and as the tool should print it.
struct Sample {
    offset: u64,
    record: NewRecord,
}

/// Keys, values and headers of all kinds: null, empty, short, long; timestamps that jump back and forth.
fn sample(offset: u64) -> Sample {
    let text = |prefix: &str| Some(Bytes::from(format!("{prefix}{offset}")));
    let headers = (0..offset % 4)
        .map(|index| Header {
            name: Bytes::from(format!("name{}", index / 2)),
            value: [text("h"), Some(Bytes::new()), None][(offset + index) as usize % 3].clone(),
        })
        .collect();
    let record = NewRecord {
        key: [None, Some(Bytes::new()), text("key"), text("k")][offset as usize % 4].clone(),
        value: match offset % 5 {
            0 => None,
            1 => Some(Bytes::new()),
            2 => Some(Bytes::from("long".repeat(300))),
            _ => text("value"),
        },
        headers,
        timestamp: Some(WallTime::from_millis(
            1_600_000_000_000 + (offset as i64 * 7919) % 100_000,
        )),
    };
    Sample { offset, record }
}

/// Batches of 1 to 9 records, some with a hole of offsets behind them; the last one so far away that it needs a
/// segment of its own, whose index stays empty.
fn batches() -> Vec<Vec<Sample>> {
    let mut offset = 0;
    (0..300_u64)
        .map(|index| {
            let batch: Vec<_> = (0..=index % 9).map(|delta| sample(offset + delta)).collect();
            offset += batch.len() as u64;
            offset += match index {
                298 => 1 << 31,
                _ if index % 40 == 39 => index,
                _ => 0,
            };
            batch
        })
        .collect()
}

fn write_log(storage: &Arc<dyn Storage>, batches: &[Vec<Sample>]) -> LogState {
    let options = LogOptions {
        segment_bytes: 100_000,
        ..LogOptions::default()
    };
    let identity = LogIdentity {
        directory_id: 7,
        topic_id: TopicId(42),
    };
    let mut state = LogState::default();
    // Two openings: the second goes on with the segment that the first left.
    for part in batches.chunks(batches.len() / 2) {
        let mut writer = LogWriter::open(Arc::clone(storage), DIRECTORY, identity, options, &state).unwrap();
        for batch in part {
            let records: Vec<_> = batch.iter().map(|sample| sample.record.clone()).collect();
            let bytes = encode_batch(&records, WallTime::from_millis(0), RecordLimits::default()).unwrap();
            let base = Offset::saturating(batch[0].offset);
            writer.append(&[StoredBatch::new(base, bytes).unwrap()]).unwrap();
        }
        writer.sync().unwrap();
        state = writer.state();
    }
    state
}

/// The tool's line for a record.
fn line(sample: &Sample) -> String {
    let size = |field: &Option<Bytes>| field.as_ref().map_or(-1, |bytes| bytes.len() as i64);
    let text = |name: &str, field: &Option<Bytes>| match field {
        Some(bytes) => format!(" {name}: {}", std::str::from_utf8(bytes).unwrap()),
        None => String::new(),
    };
    let NewRecord {
        key,
        value,
        headers,
        timestamp,
    } = &sample.record;
    let names: Vec<_> = headers
        .iter()
        .map(|header| std::str::from_utf8(&header.name).unwrap())
        .collect();
    format!(
        "| offset: {} CreateTime: {} keySize: {} valueSize: {} sequence: -1 headerKeys: [{}]{}{}",
        sample.offset,
        timestamp.unwrap().as_millis(),
        size(key),
        size(value),
        names.join(","),
        text("key", key),
        text("payload", value),
    )
}

/// The tool's lines for offsets that are followed by others than the next, within a segment.
fn holes(batches: &[Vec<Sample>], state: &LogState) -> Vec<String> {
    let steps = batches
        .windows(2)
        .map(|pair| (pair[0].last().unwrap().offset, pair[1][0].offset));
    let inside = |next: u64| state.segments.iter().all(|segment| segment.base.get() != next);
    steps
        .filter(|(last, next)| last + 1 < *next && inside(*next))
        .map(|(last, next)| format!("{last} is followed by {next}"))
        .collect()
}

fn paths(storage: &dyn Storage, state: &LogState, suffix: &str) -> Vec<String> {
    let of = |base: Offset| format!("{}/{DIRECTORY}/{:020}.{suffix}", storage.describe(), base.get());
    state.segments.iter().map(|segment| of(segment.base)).collect()
}

#[test]
fn kafka_reads_every_record_and_finds_no_fault() {
    if !kafka::runs_here("kafka_reads_every_record_and_finds_no_fault") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::open(directory.path()).unwrap());
    let batches = batches();
    let state = write_log(&storage, &batches);
    assert!(state.segments.len() >= 3, "the test must roll");
    let smallest = state.segments.iter().map(|segment| segment.index_bytes).min();
    assert_eq!(smallest, Some(0), "the test must have an empty index");

    let logs = paths(&*storage, &state, "log");
    let out = kafka::run(
        TOOL,
        &["--deep-iteration", "--print-data-log", "--files", &logs.join(",")],
    );
    let mut lines = out
        .lines()
        .filter(|line| line.starts_with("| ") || line.starts_with("baseOffset"));
    for batch in &batches {
        let head = lines.next().unwrap();
        let (first, last) = (batch[0].offset, batch.last().unwrap().offset);
        let place = format!("baseOffset: {first} lastOffset: {last} count: {} ", batch.len());
        assert!(head.starts_with(&place), "{head} is not {place}");
        assert!(head.ends_with(" isvalid: true"), "{head}");
        for sample in batch {
            assert_eq!(lines.next().unwrap(), line(sample));
        }
    }
    assert_eq!(lines.next(), None);
    // What else it says is where offsets have holes, and no more.
    let others = out.lines().filter(|line| {
        let known = [
            "| ",
            "baseOffset: ",
            "Dumping ",
            "Log starting offset: ",
            "Non-consecutive offsets in ",
        ];
        !known.iter().any(|start| line.starts_with(start)) && !line.is_empty()
    });
    let mut found: Vec<String> = others.map(|line| line.trim().to_owned()).collect();
    let mut holes = holes(&batches, &state);
    assert!(holes.len() > 4);
    found.sort();
    holes.sort();
    assert_eq!(found, holes);

    let indexes = [paths(&*storage, &state, "index"), paths(&*storage, &state, "timeindex")].concat();
    let out = kafka::run(TOOL, &["--index-sanity-check", "--files", &indexes.join(",")]);
    for path in &indexes {
        let empty = fs::metadata(path).unwrap().len() == 0;
        let verdict = if empty { "is empty." } else { "passed sanity check." };
        assert!(out.contains(&format!("{path} {verdict}")), "{out}");
    }
    let out = kafka::run(TOOL, &["--verify-index-only", "--files", &indexes.join(",")]);
    let known = |line: &&str| line.starts_with("Dumping ") || line.ends_with(" is empty.") || line.is_empty();
    let faults = out.lines().filter(|line| !known(line));
    assert_eq!(faults.collect::<Vec<_>>(), [] as [&str; 0]);

    // The same tool must see a fault where there is one.
    let (index, timeindex) = (&indexes[0], &indexes[state.segments.len()]);
    for (path, byte) in [(index, 3), (timeindex, 7)] {
        let mut bytes = fs::read(path).unwrap();
        bytes[byte] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let out = kafka::run(
        TOOL,
        &["--verify-index-only", "--files", &format!("{index},{timeindex}")],
    );
    assert!(out.contains("Mismatches in :"), "{out}");
    assert!(out.contains("Found timestamp mismatch in :"), "{out}");
}

#[test]
fn kafka_writes_the_same_bytes() {
    if !kafka::runs_here("kafka_writes_the_same_bytes") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::open(directory.path()).unwrap());
    let state = write_log(&storage, &batches());
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/Reencode.java");
    let again = directory.path().join("again").display().to_string();
    let log = &paths(&*storage, &state, "log")[1];
    kafka::run(program, &[log, &again]);
    assert!(
        fs::read(log).unwrap() == fs::read(again).unwrap(),
        "Kafka encodes {log} differently"
    );
}

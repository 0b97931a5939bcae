//! Kafka's own `DumpLogSegments` reads a partition log that we wrote, and finds every record and no fault.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "tests"
)]

mod kafka;

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use bytes::Bytes;
use share_engine::ids::{Offset, TopicId};
use share_engine::log::{LogIdentity, LogOptions, LogState, LogWriter};
use share_engine::record::{Header, NewRecord, RecordLimits, StoredBatch, encode_batch};
use share_engine::storage::{File, OpenMode, Storage};
use share_engine::time::WallTime;

const TOOL: &str = "kafka.tools.DumpLogSegments";
const DIRECTORY: &str = "logs/orders-0";

struct DirectoryStorage(PathBuf);
struct RealFile(fs::File);

impl Storage for DirectoryStorage {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read);
        options.create_new(mode == OpenMode::CreateNew);
        Ok(Box::new(RealFile(options.open(self.0.join(path))?)))
    }
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.0.join(directory))? {
            names.push(entry?.file_name().into_string().unwrap());
        }
        names.sort();
        Ok(names)
    }
    fn create_dir(&self, directory: &str) -> io::Result<()> {
        fs::create_dir_all(self.0.join(directory))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(path))
    }
    fn remove_dir(&self, directory: &str) -> io::Result<()> {
        fs::remove_dir(self.0.join(directory))
    }
    fn sync_dir(&self, _directory: &str) -> io::Result<()> {
        Ok(())
    }
    fn free_space(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
    fn describe(&self) -> String {
        self.0.display().to_string()
    }
}

impl File for RealFile {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, position)
    }
    fn write_all_at(&self, data: &[u8], position: u64) -> io::Result<()> {
        self.0.write_all_at(data, position)
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

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

fn paths(storage: &dyn Storage, state: &LogState, suffix: &str) -> Vec<String> {
    let of = |base: Offset| format!("{}/{DIRECTORY}/{:020}.{suffix}", storage.describe(), base.get());
    state.segments.iter().map(|segment| of(segment.base)).collect()
}

#[test]
fn kafka_reads_every_record_and_finds_no_fault() {
    let directory = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(DirectoryStorage(directory.path().to_owned()));
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
    let others = out.lines().filter(|line| {
        let known = ["| ", "baseOffset: ", "Dumping ", "Log starting offset: "];
        !known.iter().any(|start| line.starts_with(start)) && !line.is_empty()
    });
    assert_eq!(others.collect::<Vec<_>>(), [] as [&str; 0]);

    let indexes = [paths(&*storage, &state, "index"), paths(&*storage, &state, "timeindex")].concat();
    let out = kafka::run(TOOL, &["--index-sanity-check", "--files", &indexes.join(",")]);
    for path in &indexes {
        let empty = fs::metadata(path).unwrap().len() == 0;
        let verdict = if empty { "is empty." } else { "passed sanity check." };
        assert!(out.contains(&format!("{path} {verdict}")), "{out}");
    }
    let out = kafka::run(TOOL, &["--verify-index-only", "--files", &indexes.join(",")]);
    let faults = out
        .lines()
        .filter(|line| !line.starts_with("Dumping ") && !line.is_empty());
    assert_eq!(faults.collect::<Vec<_>>(), [] as [&str; 0]);

    // The same tool must see a fault where there is one.
    let (index, timeindex) = (&indexes[0], &indexes[state.segments.len()]);
    for path in [index, timeindex] {
        let mut bytes = fs::read(path).unwrap();
        bytes[7] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let out = kafka::run(
        TOOL,
        &["--verify-index-only", "--files", &format!("{index},{timeindex}")],
    );
    assert!(out.contains("Mismatches in :"), "{out}");
    assert!(out.contains("Found timestamp mismatch in :"), "{out}");
}

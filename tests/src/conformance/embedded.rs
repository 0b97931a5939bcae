//! The embedded engine under the suite's names.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use share_engine::config::{EngineConfig, GroupConfig, Start, TopicConfig};
use share_engine::engine::{Engine, ResetGroup, ResetTo};
use share_engine::ids::Offset;
use share_engine::record::{Header, NewRecord, RecordView};
use share_engine::time::WallTime;
use sharemill::source::{EmbeddedSource, Source};
use tempfile::TempDir;

use super::case::{New, Options, To};
use crate::kafka::Stored;

/// An engine in a folder of its own.
pub struct Embedded {
    open: Mutex<Open>,
}

struct Open {
    engine: Engine,
    folder: TempDir,
}

impl Embedded {
    pub(super) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            open: Mutex::new(Open {
                engine: open(folder.path()),
                folder,
            }),
        }
    }

    fn engine(&self) -> Engine {
        self.open.lock().unwrap().engine.clone()
    }

    pub(super) async fn create_topic(&self, topic: &str, partitions: u32) {
        let config = TopicConfig {
            partitions,
            ..TopicConfig::default()
        };
        self.engine().create_topic(topic, config).await.unwrap();
    }

    pub(super) async fn create_group(&self, group: &str, topic: &str, options: &Options) {
        let config = GroupConfig {
            attempts: options.attempts,
            lock_millis: u32::try_from(options.lock.as_millis()).unwrap(),
            max_lease_millis: u64::try_from(options.max_lease.as_millis()).unwrap(),
            start: options.start,
            dead_letter: options.letters.then(|| format!("{group}.dead")),
            ..GroupConfig::default()
        };
        self.engine().create_group(group, config).await.unwrap();
        self.engine().subscribe(group, topic).await.unwrap();
    }

    pub(super) async fn join(&self, group: &str, topic: &str) -> Box<dyn Source> {
        Box::new(EmbeddedSource::join(self.engine(), group, topic).await.unwrap())
    }

    pub(super) async fn write(&self, topic: &str, partition: Option<u32>, records: &[New]) {
        let records = records.iter().map(new_record).collect();
        for result in self.engine().produce(topic, partition, records).await {
            result.unwrap();
        }
    }

    pub(super) async fn write_by_key(&self, topic: &str, record: &New) -> u32 {
        let results = self.engine().produce(topic, None, vec![new_record(record)]).await;
        results[0].as_ref().unwrap().partition
    }

    pub(super) async fn read(&self, topic: &str) -> Vec<Stored> {
        let engine = self.engine();
        let Ok(description) = engine.describe_topic(topic).await else {
            return Vec::new();
        };
        let mut records = Vec::new();
        for partition in description.partitions {
            let mut from = Offset::saturating(partition.start);
            loop {
                let batches = engine.read(topic, partition.partition, from, 4 << 20).await.unwrap();
                let Some(last) = batches.last() else { break };
                let next = last.last().next();
                for batch in &batches {
                    let views = batch.records().map(|record| record.unwrap().0);
                    let wanted = views.filter(|view| view.offset >= from);
                    records.extend(wanted.map(|view| stored(partition.partition, &view)));
                }
                from = next;
            }
        }
        records
    }

    /// The batches of partition 0, as they lie there.
    pub(super) async fn bytes(&self, topic: &str) -> Bytes {
        let batches = self.engine().read(topic, 0, Offset::saturating(0), 4 << 20).await;
        let bytes: Vec<_> = batches.unwrap().iter().map(|batch| batch.bytes().to_vec()).collect();
        bytes.concat().into()
    }

    pub(super) async fn left(&self, group: &str, topic: &str) -> u64 {
        let group = self.engine().describe_group(group).await.unwrap();
        let parts = group.partitions.iter().filter(|part| part.topic == topic);
        parts.map(|part| part.lag).sum()
    }

    pub(super) async fn reset(&self, group: &str, topic: &str, to: To) -> Result<(), String> {
        let request = ResetGroup {
            group: group.to_owned(),
            topic: Some(topic.to_owned()),
            partition: None,
            to: match to {
                To::Earliest => ResetTo::Start(Start::Earliest),
                To::Latest => ResetTo::Start(Start::Latest),
                To::Offset(offset) => ResetTo::Offset(Offset::saturating(offset)),
            },
            force: false,
        };
        let result = self.engine().reset_group(request).await;
        result.map_err(|error| error.to_string())
    }

    /// Opens a copy of what is on disk, as it lies there without an end. Whoever had the old engine has lost it.
    pub(super) async fn crash(&self) {
        let folder = TempDir::new().unwrap();
        copy(self.open.lock().unwrap().folder.path(), folder.path());
        let engine = open(folder.path());
        let before = std::mem::replace(&mut *self.open.lock().unwrap(), Open { engine, folder });
        before.engine.close().await.unwrap();
    }
}

fn open(folder: &Path) -> Engine {
    let config = EngineConfig {
        reserve_bytes: 0,
        ..EngineConfig::default()
    };
    Engine::open(folder, config).unwrap().0
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn new_record(record: &New) -> NewRecord {
    let bytes = |bytes: &Vec<u8>| Bytes::copy_from_slice(bytes);
    let header = |(name, value): &(String, Option<Vec<u8>>)| Header {
        name: name.clone().into(),
        value: value.as_ref().map(bytes),
    };
    NewRecord {
        key: record.key.as_ref().map(bytes),
        value: record.value.as_ref().map(bytes),
        headers: record.headers.iter().map(header).collect(),
        timestamp: record.timestamp.map(WallTime::from_millis),
    }
}

fn stored(partition: u32, view: &RecordView<'_>) -> Stored {
    let bytes = |bytes: &[u8]| bytes.to_vec();
    let headers = view.headers().map(|header| {
        let name = String::from_utf8_lossy(header.name).into_owned();
        (name, header.value.map(bytes))
    });
    Stored {
        partition: i32::try_from(partition).unwrap(),
        offset: i64::try_from(view.offset.get()).unwrap(),
        key: view.key.map(bytes),
        value: view.value.map(bytes),
        headers: headers.collect(),
    }
}

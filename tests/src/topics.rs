//! What lies in topics, read through the engine when no host runs.

use std::collections::BTreeMap;
use std::path::Path;

use share_engine::config::EngineConfig;
use share_engine::engine::{Engine, block_on};
use share_engine::ids::Offset;
use share_engine::record::{HeaderView, RecordView};

/// A record as it lies in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub partition: u32,
    pub offset: u64,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    pub key: Option<String>,
    pub value: String,
    pub headers: BTreeMap<String, String>,
}

impl Stored {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Everything in these topics; nothing for one that is not there.
pub fn read(data: &Path, topics: &[&str]) -> Vec<Vec<Stored>> {
    let (engine, _) = Engine::open(data, EngineConfig::default()).unwrap();
    let all = topics
        .iter()
        .map(|topic| block_on(read_topic(&engine, topic)))
        .collect();
    block_on(engine.close()).unwrap();
    all
}

async fn read_topic(engine: &Engine, topic: &str) -> Vec<Stored> {
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
                for record in batch.records() {
                    let (record, _) = record.unwrap();
                    if record.offset >= from {
                        records.push(stored(partition.partition, &record));
                    }
                }
            }
            from = next;
        }
    }
    records
}

fn stored(partition: u32, record: &RecordView<'_>) -> Stored {
    let header = |header: HeaderView<'_>| (text(header.name), header.value.map(text).unwrap_or_default());
    Stored {
        partition,
        offset: record.offset.get(),
        timestamp: record.timestamp.as_millis(),
        key: record.key.map(text),
        value: record.value.map(text).unwrap_or_default(),
        headers: record.headers().map(header).collect(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! A real Kafka cluster for tests of the host: locks of a second, topics, records written and read, and the manifest's table for it. Every
//! call waits for its answer.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_cluster::{Cluster, Options, Version};
use share_client::admin::{Admin, Isolation, NewTopic, Want};
use share_client::config::ClientConfig;
use sharemill::source::{KafkaProducer, Produced, ToProduce};
use tokio::runtime::Runtime;

use crate::until;

/// A cluster, with whoever writes to it and reads from it.
pub struct Kafka {
    pub cluster: Cluster,
    pub admin: Admin,
    producer: KafkaProducer,
    runtime: Runtime,
}

/// A record that stands in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Stored {
    /// The value as text; null is empty.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }

    /// The first header of this name as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(known, _)| known == name)?;
        Some(String::from_utf8_lossy(found.1.as_deref().unwrap_or_default()).into_owned())
    }
}

/// Locks from 1 s on, heartbeats every half second, sessions of 5 s.
pub fn options(version: Version) -> Options {
    let options = Options {
        version,
        ..Options::default()
    };
    options
        .set("group.share.min.record.lock.duration.ms", "1000")
        .set("group.share.heartbeat.interval.ms", "500")
        .set("group.share.min.heartbeat.interval.ms", "500")
        .set("group.share.min.session.timeout.ms", "2000")
        .set("group.share.session.timeout.ms", "5000")
}

impl Kafka {
    /// `None` where brokers do not run; `test` is named then.
    pub fn start(test: &str, options: Options) -> Option<Self> {
        if !kafka_cluster::runs_here(options.version, test) {
            return None;
        }
        let cluster = Cluster::start(options).unwrap();
        let properties = BTreeMap::from([("bootstrap.servers".to_owned(), cluster.bootstrap())]);
        let config = ClientConfig::new(&properties).unwrap();
        Some(Self {
            cluster,
            admin: Admin::new(&config).unwrap(),
            producer: KafkaProducer::new(&properties).unwrap(),
            runtime: Runtime::new().unwrap(),
        })
    }

    /// Waits for an answer.
    pub fn wait<T>(&self, ask: impl Future<Output = T>) -> T {
        self.runtime.block_on(async {
            let answer = tokio::time::timeout(crate::AMPLE, ask).await;
            answer.expect("an answer within a minute")
        })
    }

    /// The source of a manifest, with more lines.
    pub fn source(&self, lines: &str) -> String {
        let servers = self.cluster.bootstrap();
        format!(
            "[sources.main]\ntype = \"kafka\"\nstart = \"earliest\"\nproperties = {{ \"bootstrap.servers\" = \"{servers}\" }}\n{lines}\n"
        )
    }

    pub fn create(&self, topic: &str, partitions: i32) {
        let topic = NewTopic {
            partitions: Some(partitions),
            ..NewTopic::named(topic)
        };
        self.wait(self.admin.create_topic(&topic)).unwrap();
    }

    /// To partition 0, in this order.
    pub fn produce(&self, topic: &str, values: &[&str]) {
        self.produce_to(topic, 0, values);
    }

    pub fn produce_to(&self, topic: &str, partition: i32, values: &[&str]) {
        let records = values.iter().map(|value| ToProduce {
            topic: topic.to_owned(),
            partition: Some(partition),
            value: Some(value.as_bytes().to_vec().into()),
            ..ToProduce::default()
        });
        for stored in self.write(records.collect()) {
            stored.unwrap();
        }
    }

    pub fn write(&self, records: Vec<ToProduce>) -> Vec<Result<Produced, sharemill::source::ProduceFailure>> {
        self.wait(self.producer.produce_all(records))
    }

    /// Everything that stands in a topic, by partition and offset.
    pub fn read(&self, topic: &str) -> Vec<Stored> {
        self.wait(read_topic(&self.admin, topic))
    }

    /// What the broker says is left for a group.
    pub fn left(&self, group: &str, topic: &str) -> u64 {
        self.wait(self.admin.backlog(group, topic)).unwrap().total().0
    }

    /// Waits until nothing is left for a group.
    pub fn finished(&self, group: &str, topic: &str) {
        until(&format!("the end of what {group} has to do"), || {
            (self.left(group, topic) == 0).then_some(())
        });
    }
}

/// Everything that stands in a topic, by partition and offset; nothing of one that is not there.
pub async fn read_topic(admin: &Admin, topic: &str) -> Vec<Stored> {
    let partitions = match admin.topic(topic).await {
        Ok(there) => there.partitions,
        Err(error) if error.is_missing() => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    let mut records = Vec::new();
    for partition in partitions {
        read_partition(admin, topic, partition.partition, &mut records).await;
    }
    records
}

async fn read_partition(admin: &Admin, topic: &str, partition: i32, records: &mut Vec<Stored>) {
    let mut from = Some(0);
    while let Some(at) = from {
        let want = Want {
            isolation: Isolation::Committed,
            wait: Duration::ZERO,
            ..Want::from(at)
        };
        let fetched = admin.read(topic, partition, want).await.unwrap();
        let mut visible = fetched.batches();
        for batch in visible.by_ref() {
            let plain = batch.unwrap().plain(share_wire::records::PLAIN_MAX).unwrap();
            for record in plain.records() {
                let record = record.unwrap();
                if u64::try_from(record.offset).unwrap() < at {
                    continue;
                }
                let bytes = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                records.push(Stored {
                    partition,
                    offset: record.offset,
                    key: bytes(record.key),
                    value: bytes(record.value),
                    headers: record
                        .headers()
                        .map(|header| {
                            let name = String::from_utf8_lossy(header.name).into_owned();
                            (name, bytes(header.value))
                        })
                        .collect(),
                });
            }
        }
        from = visible.next_offset().filter(|next| *next < fetched.latest);
    }
}

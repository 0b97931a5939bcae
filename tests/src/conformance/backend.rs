//! The backends, and what both can do.

use std::fmt;

use kafka_cluster::Version;

use super::case::{New, Options, To};
use super::embedded::Embedded;
use super::kafka::Kafka;
use crate::kafka::Stored;
use share_client::admin::Want;
use share_wire::records::{Batch, Codec, batches};
use sharemill::source::Source;

/// A column of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Embedded,
    Kafka(Version),
}

impl Place {
    /// All, in the order of the columns.
    pub const ALL: [Self; 3] = [
        Self::Embedded,
        Self::Kafka(Version::V4_2_1),
        Self::Kafka(Version::V4_4_0),
    ];
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Kafka(version) => f.write_str(version.name()),
        }
    }
}

/// One of them, running.
pub enum Backend {
    Embedded(Embedded),
    Kafka(Box<Kafka>),
}

impl Backend {
    /// Starts it; of Kafka with so many brokers.
    pub fn start(place: Place, brokers: u32) -> Self {
        match place {
            Place::Embedded => Self::Embedded(Embedded::start()),
            Place::Kafka(version) => Self::Kafka(Box::new(Kafka::start(version, brokers))),
        }
    }

    pub fn place(&self) -> Place {
        match self {
            Self::Embedded(_) => Place::Embedded,
            Self::Kafka(kafka) => Place::Kafka(kafka.version),
        }
    }

    pub(super) async fn create_topic(&self, topic: &str, partitions: u32) {
        match self {
            Self::Embedded(engine) => engine.create_topic(topic, partitions).await,
            Self::Kafka(kafka) => kafka.create_topic(topic, partitions).await,
        }
    }

    pub(super) async fn create_group(&self, group: &str, topic: &str, options: &Options) {
        match self {
            Self::Embedded(engine) => engine.create_group(group, topic, options).await,
            Self::Kafka(kafka) => kafka.create_group(group, options).await,
        }
    }

    pub(super) async fn join(&self, group: &str, topic: &str, options: &Options) -> Box<dyn Source> {
        match self {
            Self::Embedded(engine) => engine.join(group, topic).await,
            Self::Kafka(kafka) => kafka.join(group, topic, options).await,
        }
    }

    /// One batch. An engine has no codecs.
    pub(super) async fn write(&self, topic: &str, partition: u32, records: &[New], codec: Codec) {
        match self {
            Self::Embedded(engine) => engine.write(topic, Some(partition), records).await,
            Self::Kafka(kafka) => kafka.write(topic, partition, records, codec).await,
        }
    }

    /// To the partition of its key, which is returned.
    pub(super) async fn write_by_key(&self, topic: &str, record: &New) -> u32 {
        match self {
            Self::Embedded(engine) => engine.write_by_key(topic, record).await,
            Self::Kafka(kafka) => kafka.write_by_key(topic, record).await,
        }
    }

    pub(super) async fn read(&self, topic: &str) -> Vec<Stored> {
        match self {
            Self::Embedded(engine) => engine.read(topic).await,
            Self::Kafka(kafka) => crate::kafka::read_topic(&kafka.admin, topic).await,
        }
    }

    pub(super) async fn codecs(&self, topic: &str) -> Vec<Codec> {
        let records = match self {
            Self::Embedded(engine) => engine.bytes(topic).await,
            Self::Kafka(kafka) => {
                let fetched = kafka.admin.read(topic, 0, Want::from(0)).await;
                fetched.unwrap().records
            }
        };
        let codec = |batch: Result<Batch, _>| batch.unwrap().header().codec;
        batches(records).map(codec).collect()
    }

    pub(super) async fn left(&self, group: &str, topic: &str) -> u64 {
        match self {
            Self::Embedded(engine) => engine.left(group, topic).await,
            Self::Kafka(kafka) => kafka.admin.backlog(group, topic).await.unwrap().total().0,
        }
    }

    pub(super) async fn reset(&self, group: &str, topic: &str, to: To) -> Result<(), String> {
        match self {
            Self::Embedded(engine) => engine.reset(group, topic, to).await,
            Self::Kafka(kafka) => kafka.reset(group, topic, to).await,
        }
    }

    /// The process that has the records is killed and comes back on its data. Of several brokers the one that leads goes, and another takes
    /// its place.
    pub(super) async fn crash(&self) {
        match self {
            Self::Embedded(engine) => engine.crash().await,
            Self::Kafka(kafka) => kafka.crash(),
        }
    }
}

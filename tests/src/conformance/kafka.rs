//! A Kafka cluster under the suite's names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kafka_cluster::{Cluster, Version};
use share_client::admin::{Admin, ConfigOf, MoveTo, NewTopic, Reset};
use share_client::config::ClientConfig;
use share_client::net::{Connection, Connector};
use share_engine::config::Start;
use share_engine::engine::SystemClock;
use share_wire::kafka::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use share_wire::kafka::produce_request::{PartitionProduceData, TopicProduceData};
use share_wire::kafka::{BrokerId, CreateTopicsRequest, ProduceRequest, StrBytes, TopicName, TransactionalId};
use share_wire::records::{Codec, NewBatch, NewRecord};
use sharemill::source::{KafkaContext, KafkaOptions, KafkaProducer, KafkaSource, Letters, Source, ToProduce};

use super::case::{New, Options, PROBE, To};
use super::{until, within};

/// Offsets that a group is given of a partition beyond the first unfinished one.
pub(super) const WINDOW: u32 = 200;

/// A cluster, and whoever writes to it and asks it.
pub struct Kafka {
    pub version: Version,
    pub(super) admin: Admin,
    pub(super) connector: Connector,
    pub(super) bootstrap: String,
    config: ClientConfig,
    producer: Arc<KafkaProducer>,
    brokers: u32,
    cluster: Mutex<Cluster>,
}

impl Kafka {
    pub(super) fn start(version: Version, brokers: u32) -> Self {
        let options = crate::kafka::options(version)
            .set("group.share.partition.max.record.locks", &WINDOW.to_string())
            // Of 4.3 and newer, where members wait for their partitions otherwise.
            .set("group.share.assignment.interval.ms", "100");
        let options = kafka_cluster::Options { brokers, ..options };
        let cluster = Cluster::start(options).unwrap();
        let bootstrap = cluster.bootstrap();
        let properties = BTreeMap::from([("bootstrap.servers".to_owned(), bootstrap.clone())]);
        let config = ClientConfig::new(&properties).unwrap();
        Self {
            version,
            admin: Admin::new(&config).unwrap(),
            connector: Connector::new(&config).unwrap(),
            bootstrap,
            producer: Arc::new(KafkaProducer::new(&properties).unwrap()),
            config,
            brokers,
            cluster: Mutex::new(cluster),
        }
    }

    /// Of several brokers the first one leads, until it ends.
    pub(super) async fn create_topic(&self, topic: &str, partitions: u32) {
        if self.brokers > 1 {
            return self.create_led(topic, partitions).await;
        }
        let topic = NewTopic {
            partitions: Some(i32::try_from(partitions).unwrap()),
            ..NewTopic::named(topic)
        };
        self.admin.create_topic(&topic).await.unwrap();
    }

    async fn create_led(&self, topic: &str, partitions: u32) {
        let brokers: Vec<_> = (1..=self.brokers)
            .map(|id| BrokerId(i32::try_from(id).unwrap()))
            .collect();
        let assignment = |partition| {
            CreatableReplicaAssignment::default()
                .with_partition_index(i32::try_from(partition).unwrap())
                .with_broker_ids(brokers.clone())
        };
        let topic = CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments((0..partitions).map(assignment).collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        let answer = self.any().await.call(&request).await.unwrap();
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    }

    pub(super) async fn create_group(&self, group: &str, options: &Options) {
        if options.letters {
            self.create_topic(&format!("{group}.dead"), 1).await;
        }
        let start = match options.start {
            Start::Earliest => Reset::Earliest,
            Start::Latest => Reset::Latest,
            Start::ByDuration(millis) => Reset::ByDuration(std::time::Duration::from_millis(millis)),
        };
        let isolation = if options.read_committed {
            "read_committed"
        } else {
            "read_uncommitted"
        };
        let settings = [
            ("share.auto.offset.reset", Some(start.to_string())),
            (
                "share.record.lock.duration.ms",
                Some(options.lock.as_millis().to_string()),
            ),
            ("share.isolation.level", Some(isolation.to_owned())),
        ];
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_deref())).collect();
        self.admin.set_group(group, &settings).await.unwrap();
    }

    pub(super) async fn join(&self, group: &str, topic: &str, options: &Options) -> Box<dyn Source> {
        let letters = if options.letters {
            Letters::Host(format!("{group}.dead"))
        } else {
            Letters::Nobody
        };
        let options = KafkaOptions {
            group: group.to_owned(),
            topic: topic.to_owned(),
            attempts: options.attempts,
            max_lease: options.max_lease,
            lock: options.lock,
            window: WINDOW,
            window_is_known: true,
            deliveries: 5,
            from_the_start: true,
            slots: 10,
            parking: options.parking,
            letters,
            letter_bytes: 1 << 20,
            retry_topic: None,
        };
        let context = KafkaContext {
            config: self.config.clone(),
            admin: self.admin.clone(),
            producer: Arc::clone(&self.producer),
            clock: Arc::new(SystemClock),
        };
        let joined = KafkaSource::join(context, options);
        Box::new(within("a member", joined).await.unwrap())
    }

    pub(super) async fn write(&self, topic: &str, partition: u32, records: &[New], codec: Codec) {
        let batch = NewBatch {
            codec,
            ..NewBatch::default()
        };
        let request = produce_request(topic, partition, records, &batch, None);
        until("the partition takes records", async || {
            for address in self.connector.bootstrap() {
                let Ok(mut connection) = self.connector.connect(address).await else {
                    continue;
                };
                let Ok(answer) = connection.call(&request).await else {
                    continue;
                };
                if answer.responses[0].partition_responses[0].error_code == 0 {
                    return Some(());
                }
            }
            None
        })
        .await;
    }

    pub(super) async fn write_by_key(&self, topic: &str, record: &New) -> u32 {
        let record = ToProduce {
            topic: topic.to_owned(),
            key: record.key.clone().map(Into::into),
            value: record.value.clone().map(Into::into),
            ..ToProduce::default()
        };
        let results = self.producer.produce_all(vec![record]).await;
        u32::try_from(results[0].as_ref().unwrap().partition).unwrap()
    }

    pub(super) async fn take_records(&self, topic: &str, take: bool) {
        let of = ConfigOf::Topic(topic.to_owned());
        let limit = (!take).then_some("1");
        self.admin.set(&of, &[("max.message.bytes", limit)]).await.unwrap();
        // The broker that leads hears of it in its own time.
        let probe = [New::text(PROBE)];
        let request = produce_request(topic, 0, &probe, &NewBatch::default(), None);
        until("the limit holds", async || {
            let answer = self.any().await.call(&request).await.ok()?;
            let taken = answer.responses[0].partition_responses[0].error_code == 0;
            (taken == take).then_some(())
        })
        .await;
    }

    /// A group stays stable for a moment after its last member has left.
    pub(super) async fn reset(&self, group: &str, topic: &str, to: To) -> Result<(), String> {
        let to = match to {
            To::Earliest => MoveTo::Earliest,
            To::Latest => MoveTo::Latest,
            To::Offset(offset) => MoveTo::Offset(offset),
        };
        let moved = self.admin.move_group(group, topic, None, to).await;
        moved.map(drop).map_err(|error| error.to_string())
    }

    pub(super) async fn any(&self) -> Connection {
        until("a broker", async || {
            for address in self.connector.bootstrap() {
                if let Ok(connection) = self.connector.connect(address).await {
                    return Some(connection);
                }
            }
            None
        })
        .await
    }

    /// Blocks until the broker is back, or, of several, gone.
    pub(super) fn crash(&self) {
        tokio::task::block_in_place(|| {
            let mut cluster = self.cluster.lock().unwrap();
            cluster.kill(1).unwrap();
            if self.brokers == 1 {
                cluster.restart(1).unwrap();
            }
        });
    }
}

/// One batch to one partition.
pub(super) fn produce_request(
    topic: &str,
    partition: u32,
    records: &[New],
    batch: &NewBatch,
    transaction: Option<&TransactionalId>,
) -> ProduceRequest {
    let now = now();
    let headers: Vec<Headers<'_>> = records
        .iter()
        .map(|record| {
            let headers = record.headers.iter();
            headers.map(|(name, value)| (name.as_str(), value.as_deref())).collect()
        })
        .collect();
    let records = records.iter().zip(&headers).map(|(record, headers)| NewRecord {
        timestamp: record.timestamp.unwrap_or(now),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers,
    });
    let records: Vec<_> = records.collect();
    let data = PartitionProduceData::default()
        .with_index(i32::try_from(partition).unwrap())
        .with_records(Some(batch.encode(&records).unwrap()));
    let data = TopicProduceData::default()
        .with_name(name(topic))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_transactional_id(transaction.cloned())
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![data])
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    use share_engine::time::Clock as _;
    SystemClock.now().wall.as_millis()
}

/// Of one record.
type Headers<'a> = Vec<(&'a str, Option<&'a [u8]>)>;

//! What tests against brokers have in common: a cluster with short times, topics, records that are written, and waiting with a limit.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use kafka_cluster::{Cluster, Options};
use share_client::config::{Address, ClientConfig};
use share_client::consumer::{Acquisition, Credit, JoinError, JoinOptions, Lease, Outcome, ShareConsumer, Verb};
use share_client::net::{Connection, Connector};
use share_wire::kafka::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use share_wire::kafka::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use share_wire::kafka::produce_request::{PartitionProduceData, TopicProduceData};
use share_wire::kafka::{
    BrokerId, CreateTopicsRequest, IncrementalAlterConfigsRequest, ProduceRequest, StrBytes, TopicName,
};
use share_wire::records::{NewBatch, NewRecord};
use share_wire::{Bytes, call::Call};

/// Locks of 1 s, heartbeats every half second.
pub fn options() -> Options {
    Options::default()
        .set("group.share.min.record.lock.duration.ms", "1000")
        .set("group.share.record.lock.duration.ms", "30000")
        .set("group.share.heartbeat.interval.ms", "500")
        .set("group.share.min.heartbeat.interval.ms", "500")
        .set("group.share.min.session.timeout.ms", "2000")
        .set("group.share.session.timeout.ms", "5000")
}

/// A cluster, and whoever writes to it.
pub struct Bench {
    pub cluster: Cluster,
    pub connector: Connector,
}

pub fn config(servers: &str) -> ClientConfig {
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), servers.to_owned())]);
    ClientConfig::new(&properties).unwrap()
}

impl Bench {
    /// `None` where brokers do not run.
    pub fn start(test: &str, options: Options) -> Option<Self> {
        if !kafka_cluster::runs_here(options.version, test) {
            return None;
        }
        let cluster = Cluster::start(options).unwrap();
        let connector = Connector::new(&config(&cluster.bootstrap())).unwrap();
        Some(Self { cluster, connector })
    }

    /// Joins a group that begins with the first record, with members that live for a test.
    pub async fn join(&self, group: &str, topics: &[&str]) -> ShareConsumer {
        self.try_join(JoinOptions::new(group, topics)).await.unwrap()
    }

    pub async fn try_join(&self, options: JoinOptions) -> Result<ShareConsumer, JoinError> {
        self.set(&options.group, "share.auto.offset.reset", "earliest").await;
        ShareConsumer::join(&config(&self.cluster.bootstrap()), options).await
    }

    pub async fn any(&self) -> Connection {
        for address in self.connector.bootstrap() {
            if let Ok(connection) = self.connector.connect(address).await {
                return connection;
            }
        }
        panic!("no broker answers");
    }

    /// Changes a setting of a group.
    pub async fn set(&self, group: &str, name: &'static str, value: &str) {
        let config = AlterableConfig::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value.to_owned())));
        let resource = AlterConfigsResource::default()
            .with_resource_type(32)
            .with_resource_name(StrBytes::from_string(group.to_owned()))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer = self.any().await.call(&request).await.unwrap();
        assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    }

    /// Makes a topic; its partitions have these brokers as replicas, the first of them as leaders.
    pub async fn create(&self, topic: &str, replicas: &[&[i32]]) {
        let assignments = (0..).zip(replicas).map(|(index, brokers)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(index)
                .with_broker_ids(brokers.iter().map(|id| BrokerId(*id)).collect())
        });
        let topic = CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(assignments.collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        let answer = self.any().await.call(&request).await.unwrap();
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    }

    /// Writes records with these values, in one batch, to whoever leads the partition.
    pub async fn produce_anywhere(&self, topic: &str, partition: i32, values: &[String]) {
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(batch(values)));
        let data = TopicProduceData::default()
            .with_name(name(topic))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(10_000)
            .with_topic_data(vec![data]);
        until("the partition takes records", async || {
            for address in self.connector.bootstrap() {
                let Ok(mut connection) = self.connector.connect(address).await else {
                    continue;
                };
                // A broker that dies with the records in its hands may have written them: tests do not kill it meanwhile.
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

    /// To partition 0, which the only broker leads: `count` records from `first` on, with their numbers as values.
    pub async fn fill(&self, topic: &str, first: u32, count: u32) {
        let values: Vec<String> = (first..first + count).map(|value| value.to_string()).collect();
        self.produce_anywhere(topic, 0, &values).await;
    }

    /// Any request, to a broker by its address.
    pub async fn ask<C: Call>(&self, address: &Address, request: &C) -> C::Response {
        let mut connection = self.connector.connect(address).await.unwrap();
        connection.call(request).await.unwrap()
    }
}

pub fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

/// Asks until there is an answer, for a minute at most.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, asked).await
}

/// What does not come within a minute fails the test.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_mins(1), work).await;
    waited.unwrap_or_else(|_| panic!("not within a minute: {what}"))
}

pub const fn credit(records: u32) -> Credit {
    Credit {
        records,
        bytes: 10 << 20,
    }
}

pub async fn acquire(consumer: &ShareConsumer, records: u32) -> Vec<Acquisition> {
    within("records", consumer.acquire(credit(records))).await.unwrap()
}

/// Acquires until there are as many.
pub async fn acquire_all(consumer: &ShareConsumer, records: usize) -> Vec<Lease> {
    let mut leases = Vec::new();
    while leases.len() < records {
        let left = u32::try_from(records - leases.len()).unwrap();
        leases.extend(self::leases(&acquire(consumer, left).await));
    }
    leases
}

pub fn leases(acquisitions: &[Acquisition]) -> Vec<Lease> {
    acquisitions.iter().flat_map(Acquisition::leases).collect()
}

pub fn offsets(leases: &[Lease]) -> Vec<i64> {
    leases.iter().map(|lease| lease.offset).collect()
}

/// Settles all alike.
pub async fn settle(consumer: &ShareConsumer, leases: &[Lease], verb: Verb) -> Vec<Outcome> {
    let batch = leases.iter().map(|lease| (*lease, verb)).collect();
    within("outcomes", consumer.settle(batch)).await
}

/// Settles all alike, which has to be applied.
pub async fn settled(consumer: &ShareConsumer, leases: &[Lease], verb: Verb) {
    let outcomes = settle(consumer, leases, verb).await;
    assert!(
        outcomes.iter().all(|outcome| *outcome == Outcome::Applied),
        "{outcomes:?}"
    );
}

/// One record batch.
pub fn batch(values: &[String]) -> Bytes {
    fn record(value: &String) -> NewRecord<'_> {
        NewRecord {
            value: Some(value.as_bytes()),
            ..NewRecord::default()
        }
    }
    let records: Vec<_> = values.iter().map(record).collect();
    NewBatch::default().encode(&records).unwrap()
}

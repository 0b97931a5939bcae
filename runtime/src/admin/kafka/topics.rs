//! A cluster's topics: listed, described, made and deleted. Kafka's own are not listed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use share_client::admin::{ConfigOf, Ensured, Setting, Topic};

use super::KafkaAdmin;
use super::read::number;
use crate::admin::{
    AdminError, CreateTopic, ErrorCode, PartitionBrokers, PartitionView, TopicDeleted, TopicDetail, TopicGroup,
    TopicSummary,
};
use crate::config::{self, Origin, Retention};

impl KafkaAdmin {
    pub(super) async fn topic_list(&self) -> Result<Vec<TopicSummary>, AdminError> {
        let topics = self.client.topics_with_spans().await?;
        let list = topics
            .iter()
            .map(|(topic, spans)| summary(topic, records(topic, spans)));
        Ok(list.collect())
    }

    pub(super) async fn topic_detail(&self, name: &str) -> Result<TopicDetail, AdminError> {
        let topic = self.client.topic(name).await?;
        let spans = self.client.spans(name).await?;
        let partition_list: Vec<PartitionView> = topic
            .partitions
            .iter()
            .map(|one| {
                let span = spans.get(&one.partition);
                PartitionView {
                    partition: number(one.partition),
                    log_start: span.map_or(0, |span| span.start),
                    log_end: span.map_or(0, |span| span.end),
                    bytes: None,
                    segments: None,
                    brokers: Some(PartitionBrokers {
                        leader: one.leader,
                        replicas: one.replicas.clone(),
                        in_sync: one.in_sync.clone(),
                    }),
                    failure: span.is_none().then(|| "no broker leads it at present".to_owned()),
                }
            })
            .collect();
        let records = records(&topic, &spans);
        let settings = match self.client.settings(&ConfigOf::Topic(name.to_owned())).await {
            // Whoever may read the topic need not see its settings.
            Err(error) if error.denied().is_some() => Vec::new(),
            other => other?,
        };
        let group_list = self.groups_of(name).await?;
        Ok(TopicDetail {
            summary: TopicSummary {
                retention: retention(&settings),
                groups: Some(u32::try_from(group_list.len()).unwrap_or(u32::MAX)),
                ..summary(&topic, records)
            },
            segment_bytes: value(&settings, "segment.bytes"),
            partition_list,
            group_list,
        })
    }

    /// Share groups that know a topic, and what is left for them in it. Those that may not be looked at are not among them.
    async fn groups_of(&self, topic: &str) -> Result<Vec<TopicGroup>, AdminError> {
        let mut found = Vec::new();
        for listing in self.client.groups().await? {
            let offsets = match self.client.group_offsets(&listing.group, Some(&[topic])).await {
                Err(error) if error.is_missing() || error.denied().is_some() => continue,
                other => other?,
            };
            // Of a topic that it never saw, a group has rows without anything in them.
            if offsets.iter().all(|one| one.start.is_none()) {
                continue;
            }
            let lags: Option<Vec<u64>> = offsets.iter().map(|one| one.lag).collect();
            found.push(TopicGroup {
                group: listing.group,
                unsettled: lags.map(|lags| lags.into_iter().sum()),
            });
        }
        Ok(found)
    }

    pub(super) async fn make_topic(&self, request: &CreateTopic) -> Result<TopicDetail, AdminError> {
        let engine_only = |what: &str, hint: &str| {
            let message = format!(
                "{what} belongs to an embedded engine, and topic {} is a cluster's",
                request.name
            );
            Err(AdminError::new(ErrorCode::Invalid, message).hint(hint))
        };
        if request.retention == Some(Retention::Queue) {
            return engine_only("retention queue", "give a duration such as 7d, or forever");
        }
        if request.max_bytes.is_some() {
            return engine_only(
                "--max-bytes",
                "a cluster limits partitions: set retention.bytes with Kafka's tools",
            );
        }
        if request.on_full.is_some() {
            return engine_only("--on-full", "leave it out: no topic of a cluster is ever full");
        }
        let topic = config::Topic {
            origin: Origin::Listed,
            source: String::new(),
            partitions: request.partitions,
            max_bytes: None,
            on_full: None,
            segment_bytes: request.segment_bytes,
            retention: request.retention,
        };
        self.client.create_topic(&topic.in_kafka(&request.name)).await?;
        self.topic_detail(&request.name).await
    }

    /// Makes a topic of the manifest that the cluster lacks. Whether it was made.
    pub async fn ensure_topic(&self, name: &str, topic: &config::Topic) -> Result<bool, AdminError> {
        Ok(self.client.ensure_topic(&topic.in_kafka(name)).await? == Ensured::Made)
    }

    pub(super) async fn delete_topic_now(&self, name: &str, force: bool) -> Result<TopicDeleted, AdminError> {
        let topic = self.topic_detail(name).await?;
        let records = topic.summary.records;
        if !force && (records != Some(0) || !topic.group_list.is_empty()) {
            let groups: Vec<&str> = topic.group_list.iter().map(|one| one.group.as_str()).collect();
            let records = records.map_or_else(|| "an unknown number of".to_owned(), |count| count.to_string());
            let message = format!(
                "topic {name} has {records} record(s) and the group(s) [{}]",
                groups.join(", ")
            );
            return Err(AdminError::new(ErrorCode::Conflict, message).hint("delete it all the same: --force"));
        }
        self.client.delete_topic(name).await?;
        Ok(TopicDeleted {
            records: records.unwrap_or(0),
            bytes: None,
        })
    }
}

/// How many offsets there are; `None` while nobody leads one of its partitions.
fn records(topic: &Topic, spans: &BTreeMap<i32, Range<u64>>) -> Option<u64> {
    let is_whole = spans.len() == topic.partitions.len();
    is_whole.then(|| spans.values().map(|span| span.end - span.start).sum())
}

fn summary(topic: &Topic, records: Option<u64>) -> TopicSummary {
    TopicSummary {
        name: topic.name.clone(),
        partitions: u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX),
        records,
        bytes: None,
        max_bytes: None,
        on_full: None,
        retention: None,
        groups: None,
    }
}

fn value<T: std::str::FromStr>(settings: &[Setting], name: &str) -> Option<T> {
    let setting = settings.iter().find(|setting| setting.name == name)?;
    setting.value.as_deref()?.parse().ok()
}

/// -1 is no limit.
fn retention(settings: &[Setting]) -> Option<Retention> {
    let time: i64 = value(settings, "retention.ms")?;
    let size: i64 = value(settings, "retention.bytes")?;
    let policy: String = value(settings, "cleanup.policy")?;
    let limits = (u64::try_from(time).ok(), u64::try_from(size).ok());
    Some(match limits {
        _ if !policy.contains("delete") => Retention::Forever,
        (None, None) => Retention::Forever,
        (time, size) => Retention::Limited {
            time: time.map(Duration::from_millis),
            size,
        },
    })
}

//! Topics: what there is, and making, growing and removing them.

use std::collections::BTreeMap;

use share_wire::Uuid;
use share_wire::code::ErrorCode;
use share_wire::kafka::create_partitions_request::CreatePartitionsTopic;
use share_wire::kafka::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use share_wire::kafka::delete_topics_request::DeleteTopicState;
use share_wire::kafka::metadata_request::MetadataRequestTopic;
use share_wire::kafka::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use share_wire::kafka::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, TopicName,
};

use super::Admin;
use super::ask::{Answered, broker, text};
use super::error::{AdminError, Question, Resource};
use crate::config::Address;
use crate::tools::{Operation, Who};

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id: a topic that is made again under the same name has another one.
    pub id: Uuid,
    /// One of Kafka's own.
    pub internal: bool,
    /// By number, from 0, without holes.
    pub partitions: Vec<Partition>,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it; `None` while there is none.
    pub leader: Option<i32>,
    /// Counts its leaders.
    pub leader_epoch: i32,
    /// The brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those of them that have all of it.
    pub in_sync: Vec<i32>,
}

/// A topic that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name: 1 to 249 letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// How many, from 1; `None`: as many as the broker thinks fit.
    pub partitions: Option<i32>,
    /// On how many brokers, from 1; `None`: as many as the broker thinks fit.
    pub replicas: Option<i16>,
    /// Its settings by name, such as `retention.ms`; the rest is as the broker has it.
    pub settings: BTreeMap<String, String>,
}

impl NewTopic {
    /// With everything as the broker thinks fit.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            partitions: None,
            replicas: None,
            settings: BTreeMap::new(),
        }
    }

    /// Kafka's command that makes this very topic, for whoever may.
    pub fn command(&self, who: &Who) -> String {
        who.create_topic(&self.name, self.partitions, self.replicas, &self.settings)
    }
}

/// What [`Admin::ensure_topic`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// The topic was missing, and was made.
    Made,
    /// The topic was there, or somebody else was quicker to make it. It may be otherwise than was wished.
    There(Topic),
}

impl Admin {
    /// All topics that the principal may know of, by name, Kafka's own among them.
    pub async fn topics(&self) -> Result<Vec<Topic>, AdminError> {
        self.asker.patiently(|| self.topics_once()).await
    }

    pub(super) async fn topics_once(&self) -> Result<Vec<Topic>, AdminError> {
        let request = MetadataRequest::default()
            .with_topics(None)
            .with_allow_auto_topic_creation(false);
        let Answered { broker, response } = self.asker.metadata(&request).await?;
        let mut topics = Vec::new();
        for row in &response.topics {
            let name = row.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
            topics.push(self.read_topic(&name, row, &broker)?);
        }
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// One topic. [`AdminError::Missing`] if there is none.
    pub async fn topic(&self, name: &str) -> Result<Topic, AdminError> {
        self.asker.patiently(|| self.topic_once(name)).await
    }

    pub(super) async fn topic_once(&self, name: &str) -> Result<Topic, AdminError> {
        let wanted = MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![wanted]))
            .with_allow_auto_topic_creation(false);
        let Answered { broker, response } = self.asker.metadata(&request).await?;
        let row = response.topics.first();
        let row = row.ok_or_else(|| of_topic("Metadata", Operation::Describe, name).no_word(&broker))?;
        self.read_topic(name, row, &broker)
    }

    fn read_topic(&self, name: &str, row: &MetadataResponseTopic, at: &Address) -> Result<Topic, AdminError> {
        if [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::UNKNOWN_TOPIC_ID].contains(&ErrorCode(row.error_code)) {
            let about = Resource::Topic(name.to_owned());
            return Err(AdminError::Missing { about });
        }
        // Without a leader for one of its partitions, the others are there.
        if row.error_code != LEADER_NOT_AVAILABLE {
            self.asker.check(
                &of_topic("Metadata", Operation::Describe, name),
                at,
                row.error_code,
                None,
            )?;
        }
        let mut partitions: Vec<Partition> = row.partitions.iter().map(read_partition).collect();
        partitions.sort_by_key(|partition| partition.partition);
        Ok(Topic {
            name: name.to_owned(),
            id: row.topic_id,
            internal: row.is_internal,
            partitions,
        })
    }

    /// Makes a topic, waits until each of its partitions has a leader, and says its id. A broker that was not asked may not know of it
    /// for a moment longer.
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<Uuid, AdminError> {
        let id = self.asker.patiently(|| self.try_create(topic, false)).await?;
        self.asker.patiently(|| self.is_there(&topic.name)).await?;
        Ok(id)
    }

    /// Makes a topic if there is none of this name. Several may try at once: one makes it, for the others it was there. A
    /// [`Denied`](super::Denied) tells by its operation whether it may not be seen or may not be made.
    pub async fn ensure_topic(&self, topic: &NewTopic) -> Result<Ensured, AdminError> {
        match self.topic(&topic.name).await {
            Err(error) if error.is_missing() => {}
            there => return there.map(Ensured::There),
        }
        match self.create_topic(topic).await {
            Err(AdminError::Refused {
                code: ErrorCode::TOPIC_ALREADY_EXISTS,
                ..
            }) => {}
            made => return made.map(|_| Ensured::Made),
        }
        self.asker.patiently(|| self.is_there(&topic.name)).await?;
        self.topic(&topic.name).await.map(Ensured::There)
    }

    async fn is_there(&self, name: &str) -> Result<(), AdminError> {
        let no_leader = |partition| AdminError::NoLeader {
            topic: name.to_owned(),
            partition,
        };
        let topic = match self.topic_once(name).await {
            Err(AdminError::Missing { .. }) => return Err(no_leader(0)),
            // Making and seeing are allowed apart.
            Err(AdminError::Denied(_)) => return Ok(()),
            other => other?,
        };
        let without = topic.partitions.iter().find(|one| one.leader.is_none());
        without.map_or(Ok(()), |one| Err(no_leader(one.partition)))
    }

    pub(super) async fn try_create(&self, topic: &NewTopic, only_check: bool) -> Result<Uuid, AdminError> {
        let setting = |(name, value): (&String, &String)| {
            CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
        };
        let wanted = CreatableTopic::default()
            .with_name(TopicName(text(&topic.name)))
            .with_num_partitions(topic.partitions.unwrap_or(-1))
            .with_replication_factor(topic.replicas.unwrap_or(-1))
            .with_configs(topic.settings.iter().map(setting).collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![wanted])
            .with_validate_only(only_check)
            .with_timeout_ms(self.change_timeout_ms());
        let Answered { broker, response } = self.asker.ask_any(&request, true).await?;
        let question = of_topic("CreateTopics", Operation::Create, &topic.name);
        let row = response.topics.first().ok_or_else(|| question.no_word(&broker))?;
        self.asker
            .check(&question, &broker, row.error_code, row.error_message.as_deref())?;
        Ok(row.topic_id)
    }

    /// Removes a topic with all that is in it, and waits until a broker does not know it any more. [`AdminError::Missing`] if there is
    /// none.
    pub async fn delete_topic(&self, name: &str) -> Result<(), AdminError> {
        let before = self.asker.patiently(|| self.delete_topic_once(name)).await?;
        // It was removed, however long it takes until everybody knows.
        drop(self.asker.patiently(|| self.is_gone(name, before)).await);
        Ok(())
    }

    async fn is_gone(&self, name: &str, before: Uuid) -> Result<(), AdminError> {
        match self.topic_once(name).await {
            Ok(topic) if topic.id == before => Err(AdminError::NoLeader {
                topic: topic.name,
                partition: 0,
            }),
            other => other.map(|_| ()),
        }
    }

    async fn delete_topic_once(&self, name: &str) -> Result<Uuid, AdminError> {
        let state = DeleteTopicState::default().with_name(Some(TopicName(text(name))));
        let request = DeleteTopicsRequest::default()
            .with_topics(vec![state])
            .with_topic_names(vec![TopicName(text(name))])
            .with_timeout_ms(self.change_timeout_ms());
        let Answered { broker, response } = self.asker.ask_any(&request, true).await?;
        let question = of_topic("DeleteTopics", Operation::Delete, name);
        let row = response.responses.first().ok_or_else(|| question.no_word(&broker))?;
        self.changed(&question, &broker, row.error_code, row.error_message.as_deref())?;
        Ok(row.topic_id)
    }

    /// Gives a topic more partitions: so many then, of all. It cannot have fewer.
    pub async fn grow_topic(&self, name: &str, partitions: i32) -> Result<(), AdminError> {
        self.asker.patiently(|| self.grow_topic_once(name, partitions)).await
    }

    async fn grow_topic_once(&self, name: &str, partitions: i32) -> Result<(), AdminError> {
        let wanted = CreatePartitionsTopic::default()
            .with_name(TopicName(text(name)))
            .with_count(partitions)
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![wanted])
            .with_timeout_ms(self.change_timeout_ms());
        let Answered { broker, response } = self.asker.ask_any(&request, true).await?;
        let question = of_topic("CreatePartitions", Operation::Alter, name);
        let row = response.results.first().ok_or_else(|| question.no_word(&broker))?;
        self.changed(&question, &broker, row.error_code, row.error_message.as_deref())
    }

    fn changed(&self, question: &Question, at: &Address, code: i16, said: Option<&str>) -> Result<(), AdminError> {
        if ErrorCode(code) == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
            let about = question.about.clone();
            return Err(AdminError::Missing { about });
        }
        self.asker.check(question, at, code, said)
    }

    /// How long a broker may wait for the others before it answers: less than we wait for it.
    pub(super) fn change_timeout_ms(&self) -> i32 {
        let waited = self.asker.connector().config().times().request / 2;
        i32::try_from(waited.as_millis()).unwrap_or(i32::MAX)
    }
}

pub(super) fn of_topic(asking: &'static str, needs: Operation, name: &str) -> Question {
    Question::new(asking, needs, Resource::Topic(name.to_owned()))
}

fn read_partition(row: &MetadataResponsePartition) -> Partition {
    Partition {
        partition: row.partition_index,
        leader: broker(row.leader_id),
        leader_epoch: row.leader_epoch,
        replicas: row.replica_nodes.iter().map(|id| id.0).collect(),
        in_sync: row.isr_nodes.iter().map(|id| id.0).collect(),
    }
}

const LEADER_NOT_AVAILABLE: i16 = 5;

//! [`Admin`] over a Kafka cluster: asked directly, whether a host works on it or not. What the cluster does not know is left out of the answers.

mod archived;
mod dead;
mod error;
mod groups;
mod produce;
mod read;
mod records;
mod recover;
mod topics;

use std::collections::BTreeMap;
use std::time::Duration;

use share_client::admin::Admin as Client;
use share_client::config::ClientConfig;
use tokio::sync::mpsc;

use super::{
    About, Admin, AdminError, Answer, ArchivedPage, ArchivedQuery, CreateTopic, DeadLetterDetail, DeadLetterId,
    DeadPage, DeadQuery, DeleteGroup, DeleteTopic, ErrorCode, GroupDeleted, GroupDetail, GroupSummary, ProduceResult,
    ReadPage, ReadQuery, Record, RecordsPage, RecordsQuery, RecoverRequest, RecoverResult, RedriveRequest,
    RedriveResult, ResetGroup, ResetResult, TopicDeleted, TopicDetail, TopicSummary,
};
use crate::config::Properties;

/// A cluster.
pub struct KafkaAdmin {
    client: Client,
    /// For what produces.
    properties: Properties,
    /// Topics beside the main ones.
    beside: Beside,
}

/// Topics that a manifest names beside those whose records are handled, by group.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// For dead letters.
    pub dead_letters: BTreeMap<String, String>,
    /// For records that wait.
    pub retries: BTreeMap<String, String>,
}

impl Beside {
    /// Whether a topic holds copies of records that wait for a group: it is named so, or is called as such a topic is unless it is told
    /// otherwise.
    fn is_retry(&self, group: &str, topic: &str) -> bool {
        let named = self.retries.get(group).is_some_and(|known| known == topic);
        named || topic.strip_prefix(group) == Some(".retry")
    }
}

impl KafkaAdmin {
    /// Connects to nothing yet.
    pub fn new(properties: &Properties, beside: Beside) -> Result<Self, AdminError> {
        let config = ClientConfig::new(&properties.of_client());
        let client = config.and_then(|config| Client::new(&config));
        let client = client.map_err(|error| AdminError::new(ErrorCode::Invalid, error.to_string()))?;
        Ok(Self {
            client,
            properties: properties.clone(),
            beside,
        })
    }
}

impl Admin for KafkaAdmin {
    fn about(&self) -> Answer<'_, About> {
        Box::pin(async { Ok(About::this_process()) })
    }

    fn topics(&self) -> Answer<'_, Vec<TopicSummary>> {
        Box::pin(self.topic_list())
    }

    fn topic<'a>(&'a self, topic: &'a str) -> Answer<'a, TopicDetail> {
        Box::pin(self.topic_detail(topic))
    }

    fn create_topic(&self, request: CreateTopic) -> Answer<'_, TopicDetail> {
        Box::pin(async move { self.make_topic(&request).await })
    }

    fn delete_topic<'a>(&'a self, topic: &'a str, request: DeleteTopic) -> Answer<'a, TopicDeleted> {
        Box::pin(self.delete_topic_now(topic, request.force))
    }

    fn produce<'a>(
        &'a self,
        topic: &'a str,
        patience: Duration,
        records: mpsc::Receiver<Record>,
        results: mpsc::Sender<ProduceResult>,
    ) -> Answer<'a, ()> {
        Box::pin(self.produce_stream(topic, patience, records, results))
    }

    fn read<'a>(&'a self, topic: &'a str, query: ReadQuery) -> Answer<'a, ReadPage> {
        Box::pin(self.read_page(topic, query))
    }

    fn groups(&self) -> Answer<'_, Vec<GroupSummary>> {
        Box::pin(self.group_list())
    }

    fn group<'a>(&'a self, group: &'a str) -> Answer<'a, GroupDetail> {
        Box::pin(self.group_detail(group))
    }

    fn reset_group<'a>(&'a self, group: &'a str, request: ResetGroup) -> Answer<'a, ResetResult> {
        Box::pin(self.reset(group, request))
    }

    fn delete_group<'a>(&'a self, group: &'a str, request: DeleteGroup) -> Answer<'a, GroupDeleted> {
        Box::pin(self.delete_group_now(group, request.force))
    }

    fn records<'a>(&'a self, group: &'a str, query: RecordsQuery) -> Answer<'a, RecordsPage> {
        Box::pin(self.records_page(group, query))
    }

    fn dead_letters(&self, query: DeadQuery) -> Answer<'_, DeadPage> {
        Box::pin(self.dead_page(query))
    }

    fn dead_letter(&self, id: DeadLetterId) -> Answer<'_, DeadLetterDetail> {
        Box::pin(async move { self.dead_detail(&id).await })
    }

    fn original(&self, id: DeadLetterId) -> Answer<'_, Record> {
        Box::pin(self.dead_original(id))
    }

    fn redrive(&self, request: RedriveRequest) -> Answer<'_, RedriveResult> {
        Box::pin(self.redrive_all(request))
    }

    fn archived<'a>(&'a self, group: &'a str, query: ArchivedQuery) -> Answer<'a, ArchivedPage> {
        Box::pin(self.archived_page(group, query))
    }

    fn recover<'a>(&'a self, group: &'a str, request: RecoverRequest) -> Answer<'a, RecoverResult> {
        Box::pin(self.copy_archived(group, request))
    }
}

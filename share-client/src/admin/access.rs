//! What the principal may do with topics, as a broker says it: nothing is tried.

use std::collections::BTreeMap;

use share_wire::code::ErrorCode;
use share_wire::kafka::metadata_request::MetadataRequestTopic;
use share_wire::kafka::metadata_response::MetadataResponseTopic;
use share_wire::kafka::{MetadataRequest, TopicName};

use super::Admin;
use super::ask::{Answered, text};
use super::error::AdminError;
use super::topics::{NewTopic, of_topic};
use crate::tools::Operation;

/// A topic, as the principal may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether it is there.
    pub presence: Presence,
    /// A bit for each operation; `None`: the broker does not say.
    operations: Option<i32>,
}

/// Whether a topic is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    There,
    /// It is not.
    Missing,
    /// The principal may not know.
    Hidden,
}

impl Access {
    /// Whether the principal may do that. `None`: the broker does not say.
    pub fn allows(&self, operation: Operation) -> Option<bool> {
        let bit = 1 << operation.bit();
        self.operations.map(|operations| operations & bit != 0)
    }

    fn of(row: &MetadataResponseTopic) -> Option<Self> {
        let presence = match ErrorCode(row.error_code) {
            ErrorCode::NONE | LEADER_NOT_AVAILABLE => Presence::There,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Presence::Missing,
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => Presence::Hidden,
            _ => return None,
        };
        let operations = match presence {
            // Whoever may do anything with it may know of it.
            Presence::Hidden => Some(0),
            _ => Some(row.topic_authorized_operations).filter(|operations| *operations != UNSAID),
        };
        Some(Self { presence, operations })
    }
}

impl Admin {
    /// What the principal may do with these topics, by their names.
    pub async fn access(&self, topics: &[&str]) -> Result<BTreeMap<String, Access>, AdminError> {
        self.asker.patiently(|| self.access_once(topics)).await
    }

    async fn access_once(&self, topics: &[&str]) -> Result<BTreeMap<String, Access>, AdminError> {
        let wanted = |name: &&str| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
        let request = MetadataRequest::default()
            .with_topics(Some(topics.iter().map(wanted).collect()))
            .with_allow_auto_topic_creation(false)
            .with_include_topic_authorized_operations(true);
        let Answered { broker, response } = self.asker.metadata(&request).await?;
        let mut found = BTreeMap::new();
        for name in topics {
            let question = of_topic("Metadata", Operation::Describe, name);
            let is_it = |row: &&MetadataResponseTopic| row.name.as_ref().is_some_and(|known| known.as_str() == *name);
            let row = response.topics.iter().find(is_it);
            let row = row.ok_or_else(|| question.no_word(&broker))?;
            match Access::of(row) {
                Some(access) => found.insert((*name).to_owned(), access),
                None => {
                    return Err(self
                        .asker
                        .check(&question, &broker, row.error_code, None)
                        .map_or_else(|error| error, |()| question.no_word(&broker)));
                }
            };
        }
        Ok(found)
    }

    /// Whether the principal may make this topic, and the brokers would: nothing is made.
    pub async fn may_create(&self, topic: &NewTopic) -> Result<(), AdminError> {
        self.asker.patiently(|| self.try_create(topic, true)).await.map(drop)
    }
}

/// What stands in place of the operations where there is nothing to say.
const UNSAID: i32 = i32::MIN;

const LEADER_NOT_AVAILABLE: ErrorCode = ErrorCode(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_does_not_say_is_neither_allowed_nor_forbidden() {
        let access = |code: ErrorCode, operations| {
            let row = MetadataResponseTopic::default()
                .with_error_code(code.0)
                .with_topic_authorized_operations(operations);
            Access::of(&row).map(|access| (access.presence, access.allows(Operation::Write)))
        };
        let write = 1 << 4;
        assert_eq!(access(ErrorCode::NONE, write), Some((Presence::There, Some(true))));
        assert_eq!(access(ErrorCode::NONE, 1 << 8), Some((Presence::There, Some(false))));
        assert_eq!(access(ErrorCode::NONE, i32::MIN), Some((Presence::There, None)));
        let missing = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        assert_eq!(access(missing, write), Some((Presence::Missing, Some(true))));
        let hidden = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
        assert_eq!(access(hidden, i32::MIN), Some((Presence::Hidden, Some(false))));
        assert_eq!(access(ErrorCode(17), 0), None);
    }
}

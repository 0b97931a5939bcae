//! Durable changes of the catalog and their journal form: one JSON object each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Group, Topic};
use crate::config::{GroupConfig, TopicConfig};
use crate::ids::{PartitionKey, ShareKey};

/// A group takes up a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// One share partition for each partition, by number.
    pub shares: Vec<ShareKey>,
}

/// One durable change of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum CatalogChange {
    /// A topic with its partitions.
    CreateTopic(Topic),
    /// New settings, more partitions, and share partitions for them by group.
    AlterTopic {
        /// The topic.
        name: String,
        /// All settings.
        config: TopicConfig,
        /// The added partitions.
        partitions: Vec<PartitionKey>,
        /// The added share partitions by group.
        shares: BTreeMap<String, Vec<ShareKey>>,
    },
    /// A topic is gone, with every group's state on it.
    DeleteTopic {
        /// The topic.
        name: String,
    },
    /// A group without topics.
    CreateGroup(Group),
    /// New settings of a group.
    AlterGroup {
        /// The group.
        name: String,
        /// All settings.
        config: GroupConfig,
    },
    /// A group takes up a topic.
    Subscribe(Subscription),
    /// A group is gone.
    DeleteGroup {
        /// The group.
        name: String,
    },
}

impl CatalogChange {
    /// The journal form.
    pub fn encode(&self) -> Result<Vec<u8>, CatalogCodecError> {
        serde_json::to_vec(self).map_err(|error| CatalogCodecError::Form(error.to_string()))
    }

    /// Reads the journal form.
    pub fn decode(bytes: &[u8]) -> Result<Self, CatalogCodecError> {
        serde_json::from_slice(bytes).map_err(|error| match serde_json::from_slice(bytes) {
            Ok(Tagged { change }) if !Self::KINDS.contains(&change.as_str()) => {
                CatalogCodecError::UnknownKind { kind: change }
            }
            _ => CatalogCodecError::Form(error.to_string()),
        })
    }

    /// The kinds that this version knows, as the journal has them.
    pub(crate) const KINDS: [&str; 7] = [
        "create-topic",
        "alter-topic",
        "delete-topic",
        "create-group",
        "alter-group",
        "subscribe",
        "delete-group",
    ];
}

/// What every version of a change has.
#[derive(Deserialize)]
struct Tagged {
    change: String,
}

/// A change that cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogCodecError {
    /// It is not what its kind says.
    #[error("catalog change: {0}")]
    Form(String),
    /// A newer version wrote it.
    #[error("catalog change of unknown kind {kind}")]
    UnknownKind {
        /// Its kind.
        kind: String,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// It was called damage.
    #[test]
    fn a_change_of_a_later_version_is_told_from_damage() {
        let read = |text: &str| CatalogChange::decode(text.as_bytes()).unwrap_err();
        let kind = "rename-topic".to_owned();
        assert_eq!(
            read("{\"change\":\"rename-topic\",\"to\":{}}"),
            CatalogCodecError::UnknownKind { kind }
        );
        for text in ["{\"change\":\"delete-topic\"}", "{\"change\":7}", "{}", "", "{\"chan"] {
            assert!(matches!(read(text), CatalogCodecError::Form(_)), "{text}");
        }
    }

    #[test]
    fn every_kind_is_known_by_its_name() {
        for kind in CatalogChange::KINDS {
            let error = CatalogChange::decode(format!("{{\"change\":\"{kind}\"}}").as_bytes()).unwrap_err();
            assert!(error.to_string().contains("missing field"), "{error}");
        }
    }
}

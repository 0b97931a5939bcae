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
        serde_json::to_vec(self).map_err(|error| CatalogCodecError(error.to_string()))
    }

    /// Reads the journal form.
    pub fn decode(bytes: &[u8]) -> Result<Self, CatalogCodecError> {
        serde_json::from_slice(bytes).map_err(|error| CatalogCodecError(error.to_string()))
    }
}

/// A change that cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("catalog change: {0}")]
pub struct CatalogCodecError(pub String);

//! Which topics and groups there are. Sans-IO: commands check and return a [`CatalogChange`], `apply` makes it so,
//! now and at recovery. Changes are journaled as JSON, so that later versions can add fields.

mod change;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use change::{CatalogChange, CatalogCodecError, Subscription};

use crate::config::{GroupConfig, Limits, TopicConfig};
use crate::ids::{GroupKey, PartitionKey, ShareKey, TopicId};

/// A topic as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its identity.
    #[serde(with = "hex_id")]
    pub id: TopicId,
    /// Its settings.
    pub config: TopicConfig,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionKey>,
    /// The group whose dead letters it holds.
    pub dead_letters_of: Option<String>,
}

/// A group as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number.
    pub key: GroupKey,
    /// Its settings.
    pub config: GroupConfig,
    /// Its share partitions by topic; index is the partition.
    pub topics: BTreeMap<String, Vec<ShareKey>>,
    /// Made by the engine itself (it hands out a dead-letter topic's records for redrive).
    #[serde(default)]
    pub internal: bool,
}

/// All topics and groups of a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    topics: BTreeMap<String, Topic>,
    groups: BTreeMap<String, Group>,
    next_partition: u32,
    next_share: u32,
    next_group: u32,
}

impl Catalog {
    /// Topics by name.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.values()
    }

    /// One topic.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// Groups by name, the engine's own included.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// One group.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    /// Share partitions on one topic partition, over all groups.
    pub fn shares_of(&self, topic: &str, partition: usize) -> Vec<ShareKey> {
        self.groups
            .values()
            .filter_map(|group| group.topics.get(topic)?.get(partition).copied())
            .collect()
    }

    /// A new topic; `id` is random.
    pub fn create_topic(
        &self,
        name: &str,
        config: TopicConfig,
        id: TopicId,
        dead_letters_of: Option<String>,
        limits: &Limits,
    ) -> Result<CatalogChange, CatalogError> {
        crate::config::check_name("topic", name)?;
        config.check(limits)?;
        if self.topics.contains_key(name) {
            return Err(CatalogError::TopicExists(name.to_owned()));
        }
        if self.topics.len() >= limits.topics {
            return Err(CatalogError::TooManyTopics(limits.topics));
        }
        let partitions = numbers(self.next_partition, config.partitions)
            .map(PartitionKey)
            .collect();
        Ok(CatalogChange::CreateTopic(Topic {
            name: name.to_owned(),
            id,
            config,
            partitions,
            dead_letters_of,
        }))
    }

    /// New settings for a topic: partitions only grow, and each group of it gets share partitions for the new ones.
    pub fn alter_topic(&self, name: &str, config: TopicConfig, limits: &Limits) -> Result<CatalogChange, CatalogError> {
        config.check(limits)?;
        let topic = self
            .topics
            .get(name)
            .ok_or_else(|| CatalogError::UnknownTopic(name.to_owned()))?;
        let before = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
        let Some(added) = config.partitions.checked_sub(before) else {
            return Err(CatalogError::FewerPartitions {
                topic: name.to_owned(),
                now: before,
                wanted: config.partitions,
            });
        };
        let mut share = self.next_share;
        let mut shares = BTreeMap::new();
        for group in self.groups.values().filter(|group| group.topics.contains_key(name)) {
            let keys: Vec<ShareKey> = numbers(share, added).map(ShareKey).collect();
            share = share.saturating_add(added);
            shares.insert(group.name.clone(), keys);
        }
        let partitions = numbers(self.next_partition, added).map(PartitionKey).collect();
        Ok(CatalogChange::AlterTopic {
            name: name.to_owned(),
            config,
            partitions,
            shares,
        })
    }

    /// Removes a topic and every group's state on it. Refused while it takes a group's dead letters.
    pub fn delete_topic(&self, name: &str) -> Result<CatalogChange, CatalogError> {
        if !self.topics.contains_key(name) {
            return Err(CatalogError::UnknownTopic(name.to_owned()));
        }
        let user = self
            .groups
            .values()
            .find(|group| !group.internal && group.config.dead_letter.as_deref() == Some(name));
        if let Some(group) = user {
            return Err(CatalogError::TopicInUse {
                topic: name.to_owned(),
                group: group.name.clone(),
            });
        }
        Ok(CatalogChange::DeleteTopic { name: name.to_owned() })
    }

    /// A new group, without topics.
    pub fn create_group(
        &self,
        name: &str,
        config: GroupConfig,
        internal: bool,
        limits: &Limits,
    ) -> Result<CatalogChange, CatalogError> {
        crate::config::check_name("group", name)?;
        config.check()?;
        if self.groups.contains_key(name) {
            return Err(CatalogError::GroupExists(name.to_owned()));
        }
        if self.groups.len() >= limits.groups {
            return Err(CatalogError::TooManyGroups(limits.groups));
        }
        let key = GroupKey(self.next_group);
        Ok(CatalogChange::CreateGroup(Group {
            name: name.to_owned(),
            key,
            config,
            topics: BTreeMap::new(),
            internal,
        }))
    }

    /// New settings for a group.
    pub fn alter_group(&self, name: &str, config: GroupConfig) -> Result<CatalogChange, CatalogError> {
        config.check()?;
        let group = self
            .groups
            .get(name)
            .ok_or_else(|| CatalogError::UnknownGroup(name.to_owned()))?;
        Ok(CatalogChange::AlterGroup {
            name: group.name.clone(),
            config,
        })
    }

    /// Adds a topic to a group; the share partitions' start offsets travel in the same journal entry.
    pub fn subscribe(&self, group: &str, topic: &str) -> Result<CatalogChange, CatalogError> {
        let entry = self
            .groups
            .get(group)
            .ok_or_else(|| CatalogError::UnknownGroup(group.to_owned()))?;
        let on = self
            .topics
            .get(topic)
            .ok_or_else(|| CatalogError::UnknownTopic(topic.to_owned()))?;
        if entry.topics.contains_key(topic) {
            return Err(CatalogError::Subscribed {
                group: group.to_owned(),
                topic: topic.to_owned(),
            });
        }
        let count = u32::try_from(on.partitions.len()).unwrap_or(u32::MAX);
        let shares = numbers(self.next_share, count).map(ShareKey).collect();
        Ok(CatalogChange::Subscribe(Subscription {
            group: group.to_owned(),
            topic: topic.to_owned(),
            shares,
        }))
    }

    /// Removes a group and its state.
    pub fn delete_group(&self, name: &str) -> Result<CatalogChange, CatalogError> {
        match self.groups.get(name) {
            Some(_) => Ok(CatalogChange::DeleteGroup { name: name.to_owned() }),
            None => Err(CatalogError::UnknownGroup(name.to_owned())),
        }
    }

    /// Makes a change so. Changes are applied in the order of the journal; one that does not fit is damage.
    pub fn apply(&mut self, change: &CatalogChange) -> Result<(), CatalogError> {
        match change {
            CatalogChange::CreateTopic(topic) => {
                for key in &topic.partitions {
                    self.next_partition = self.next_partition.max(key.get().saturating_add(1));
                }
                self.topics.insert(topic.name.clone(), topic.clone());
            }
            CatalogChange::AlterTopic {
                name,
                config,
                partitions,
                shares,
            } => {
                let topic = self
                    .topics
                    .get_mut(name)
                    .ok_or_else(|| CatalogError::UnknownTopic(name.clone()))?;
                topic.config = config.clone();
                topic.partitions.extend(partitions);
                for key in partitions {
                    self.next_partition = self.next_partition.max(key.get().saturating_add(1));
                }
                for (group, keys) in shares {
                    let group = self
                        .groups
                        .get_mut(group)
                        .ok_or_else(|| CatalogError::UnknownGroup(group.clone()))?;
                    group.topics.entry(name.clone()).or_default().extend(keys);
                    self.next_share = after(self.next_share, keys);
                }
            }
            CatalogChange::DeleteTopic { name } => {
                self.topics.remove(name);
                for group in self.groups.values_mut() {
                    group.topics.remove(name);
                }
            }
            CatalogChange::CreateGroup(group) => {
                self.next_group = self.next_group.max(group.key.get().saturating_add(1));
                self.groups.insert(group.name.clone(), group.clone());
            }
            CatalogChange::AlterGroup { name, config } => {
                let group = self
                    .groups
                    .get_mut(name)
                    .ok_or_else(|| CatalogError::UnknownGroup(name.clone()))?;
                group.config = config.clone();
            }
            CatalogChange::Subscribe(subscription) => {
                let group = self.groups.get_mut(&subscription.group);
                let group = group.ok_or_else(|| CatalogError::UnknownGroup(subscription.group.clone()))?;
                self.next_share = after(self.next_share, &subscription.shares);
                group
                    .topics
                    .insert(subscription.topic.clone(), subscription.shares.clone());
            }
            CatalogChange::DeleteGroup { name } => {
                self.groups.remove(name);
            }
        }
        Ok(())
    }
}

fn numbers(first: u32, count: u32) -> impl Iterator<Item = u32> {
    first..first.saturating_add(count)
}

fn after(next: u32, keys: &[ShareKey]) -> u32 {
    keys.iter()
        .fold(next, |next, key| next.max(key.get().saturating_add(1)))
}

mod hex_id {
    //! A topic id as 32 hexadecimal digits: JSON numbers do not hold 128 bits.
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::ids::TopicId;

    pub(super) fn serialize<S: Serializer>(id: &TopicId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:032x}", id.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TopicId, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(TopicId).map_err(D::Error::custom)
    }
}

/// What a topic or group cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The name is taken.
    #[error("topic {0:?} exists already")]
    TopicExists(String),
    /// No such topic.
    #[error("unknown topic {0:?}")]
    UnknownTopic(String),
    /// The name is taken.
    #[error("group {0:?} exists already")]
    GroupExists(String),
    /// No such group.
    #[error("unknown group {0:?}")]
    UnknownGroup(String),
    /// The group has the topic already.
    #[error("group {group:?} has topic {topic:?} already")]
    Subscribed {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
    },
    /// Records would be lost.
    #[error("topic {topic:?} has {now} partitions and cannot shrink to {wanted}")]
    FewerPartitions {
        /// The topic.
        topic: String,
        /// Partitions it has.
        now: u32,
        /// Partitions asked for.
        wanted: u32,
    },
    /// A group writes its dead letters there.
    #[error("topic {topic:?} takes the dead letters of group {group:?}")]
    TopicInUse {
        /// The topic.
        topic: String,
        /// The group.
        group: String,
    },
    /// The limit is reached.
    #[error("there are {0} topics already, the limit")]
    TooManyTopics(usize),
    /// The limit is reached.
    #[error("there are {0} groups already, the limit")]
    TooManyGroups(usize),
}

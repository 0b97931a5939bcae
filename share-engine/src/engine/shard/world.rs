//! What exists: topics, groups, partitions in memory and share partitions. The shard changes it when a group is
//! durable, recovery when it reads the group back: by the same code.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Share;
use super::partition::{Partition, PartitionInit};
use crate::catalog::{Catalog, CatalogChange, CatalogError, Group, Topic};
use crate::config::{GroupConfig, OnFull, Retention, TopicConfig, WindowMode};
use crate::engine::gauge::TopicGauge;
use crate::ids::{Offset, PartitionKey, ShareKey, StateEpoch};
use crate::log::LogState;
use crate::share::{ShareOptions, SharePartition, Window};

/// Everything that the journal and the snapshot describe.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    pub(crate) partitions: BTreeMap<PartitionKey, Partition>,
    pub(crate) shares: BTreeMap<ShareKey, Share>,
    pub(crate) gauges: BTreeMap<String, Arc<TopicGauge>>,
    /// Logs of topics that were deleted after the snapshot that lists them, with their directories.
    pub(crate) forgotten: Vec<(PartitionKey, String)>,
}

/// What a change took away.
#[derive(Default)]
pub(crate) struct Removed {
    pub(crate) partitions: Vec<Partition>,
    pub(crate) shares: Vec<(ShareKey, Share)>,
    /// Bytes of batches that left memory.
    pub(crate) freed: u64,
}

impl World {
    /// Makes a change of the catalog so.
    pub(crate) fn apply(&mut self, change: &CatalogChange) -> Result<Removed, CatalogError> {
        let passed = match change {
            CatalogChange::DeleteGroup { name } => self.starts_without(name),
            _ => Vec::new(),
        };
        self.catalog.apply(change)?;
        let mut removed = Removed::default();
        match change {
            CatalogChange::CreateTopic(topic) => self.add_partitions(&topic.name),
            CatalogChange::AlterTopic {
                name, config, shares, ..
            } => {
                set_limit(&self.gauge(name, config), config);
                self.add_partitions(name);
                for group in shares.keys() {
                    self.add_shares(group);
                }
            }
            CatalogChange::DeleteTopic { name } => {
                self.gauges.remove(name);
                removed.partitions = self.remove_partitions(name);
                removed.shares = self.remove_shares();
            }
            CatalogChange::Subscribe(subscription) => self.add_shares(&subscription.group),
            CatalogChange::AlterGroup { name, .. } => self.new_options(name),
            CatalogChange::DeleteGroup { .. } => {
                removed.freed = self.pass_settled(&passed);
                removed.shares = self.remove_shares();
            }
            CatalogChange::CreateGroup(_) => {}
        }
        Ok(removed)
    }

    /// Where the partitions of a group's queue topics begin when the group is gone: where every other group has
    /// finished, or, if there is none, behind the last record that this one has settled. What was settled is not handed
    /// out again to a group that comes later.
    pub(crate) fn starts_without(&self, group: &str) -> Vec<(ShareKey, Offset)> {
        let Some(group) = self.catalog.group(group) else {
            return Vec::new();
        };
        let one = |key: &ShareKey| {
            let share = self.shares.get(key)?;
            let partition = self.partitions.get(&share.partition)?;
            let topic = self.catalog.topic(&partition.topic)?;
            if topic.config.retention != Retention::Queue {
                return None;
            }
            let others = partition.shares.iter().filter(|other| *other != key);
            let others = others.filter_map(|other| Some(self.shares.get(other)?.state.durable_start()));
            Some((*key, others.min().unwrap_or_else(|| share.state.settled_end())))
        };
        group.topics.values().flatten().filter_map(one).collect()
    }

    fn pass_settled(&mut self, starts: &[(ShareKey, Offset)]) -> u64 {
        let mut freed = 0;
        for (key, to) in starts {
            let Some(share) = self.shares.get(key) else { continue };
            if let Some(partition) = self.partitions.get_mut(&share.partition) {
                freed += partition.drop_before(*to);
            }
        }
        freed
    }

    /// The topic's gauge, made if there is none.
    pub(crate) fn gauge(&mut self, name: &str, config: &TopicConfig) -> Arc<TopicGauge> {
        Arc::clone(
            self.gauges
                .entry(name.to_owned())
                .or_insert_with(|| Arc::new(new_gauge(name, config))),
        )
    }

    /// A gauge for a topic that is to be made: an earlier one was for a creation that was refused.
    pub(crate) fn fresh_gauge(&mut self, name: &str, config: &TopicConfig) -> Arc<TopicGauge> {
        self.gauges.remove(name);
        self.gauge(name, config)
    }

    /// Makes the partitions of a topic that are not there yet, empty.
    pub(crate) fn add_partitions(&mut self, name: &str) {
        let Some(topic) = self.catalog.topic(name).cloned() else {
            return;
        };
        let gauge = self.gauge(name, &topic.config);
        for (index, key) in topic.partitions.iter().enumerate() {
            self.partitions.entry(*key).or_insert_with(|| {
                Partition::new(PartitionInit {
                    key: *key,
                    topic: Arc::from(name),
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                    shares: Vec::new(),
                    gauge: Arc::clone(&gauge),
                    start: Offset::ZERO,
                    end: Offset::ZERO,
                    log: None,
                    segments: LogState::default(),
                })
            });
        }
    }

    /// Makes the share partitions of a group that are not there yet.
    pub(crate) fn add_shares(&mut self, name: &str) {
        let Some(group) = self.catalog.group(name) else { return };
        let options = share_options(&group.config);
        let name: Arc<str> = Arc::from(name);
        for (key, partition) in share_partitions(&self.catalog, group) {
            self.shares.entry(key).or_insert_with(|| {
                let state = SharePartition::new(key, StateEpoch(0), Offset::ZERO, options);
                Share::new(state, Arc::clone(&name), partition)
            });
            if let Some(partition) = self.partitions.get_mut(&partition)
                && !partition.shares.contains(&key)
            {
                partition.shares.push(key);
            }
        }
    }

    fn new_options(&mut self, name: &str) {
        let Some(group) = self.catalog.group(name) else { return };
        let options = share_options(&group.config);
        for key in group.topics.values().flatten() {
            if let Some(share) = self.shares.get_mut(key) {
                share.state.set_options(options);
            }
        }
    }

    fn remove_partitions(&mut self, topic: &str) -> Vec<Partition> {
        let of_topic = |partition: &Partition| partition.topic.as_ref() == topic;
        let keys: Vec<PartitionKey> = self
            .partitions
            .iter()
            .filter(|(_, one)| of_topic(one))
            .map(|(key, _)| *key)
            .collect();
        keys.iter().filter_map(|key| self.partitions.remove(key)).collect()
    }

    /// Takes out the share partitions that the catalog no longer lists.
    fn remove_shares(&mut self) -> Vec<(ShareKey, Share)> {
        let listed: std::collections::BTreeSet<ShareKey> = self
            .catalog
            .groups()
            .flat_map(|group| group.topics.values().flatten())
            .copied()
            .collect();
        let gone: Vec<ShareKey> = self
            .shares
            .keys()
            .filter(|key| !listed.contains(key))
            .copied()
            .collect();
        let mut removed = Vec::new();
        for key in gone {
            let Some(share) = self.shares.remove(&key) else {
                continue;
            };
            if let Some(partition) = self.partitions.get_mut(&share.partition) {
                partition.shares.retain(|other| *other != key);
            }
            removed.push((key, share));
        }
        removed
    }
}

/// Share partitions of a group with the partitions they are on.
fn share_partitions(catalog: &Catalog, group: &Group) -> Vec<(ShareKey, PartitionKey)> {
    let on = |(topic, shares): (&String, &Vec<ShareKey>)| {
        let partitions = catalog
            .topic(topic)
            .map(|topic: &Topic| topic.partitions.clone())
            .unwrap_or_default();
        shares.iter().copied().zip(partitions).collect::<Vec<_>>()
    };
    group.topics.iter().flat_map(on).collect()
}

/// What a group's settings mean for its share partitions.
pub(crate) fn share_options(config: &GroupConfig) -> ShareOptions {
    ShareOptions {
        delivery_limit: config.delivery_limit(),
        lock: config.lock(),
        window: match config.window {
            WindowMode::Span(limit) => Window::Span(limit),
            WindowMode::Acquired(limit) => Window::Acquired(limit),
        },
        max_lease: Some(std::time::Duration::from_millis(config.max_lease_millis)),
        ..ShareOptions::default()
    }
}

/// A gauge with the topic's limits.
pub(crate) fn new_gauge(topic: &str, config: &TopicConfig) -> TopicGauge {
    let gauge = TopicGauge::new(topic, None);
    set_limit(&gauge, config);
    gauge
}

fn set_limit(gauge: &TopicGauge, config: &TopicConfig) {
    match (config.on_full, config.max_bytes) {
        (OnFull::DropOldest, Some(limit)) => gauge.drop_above(limit),
        (_, limit) => gauge.refuse_above(limit),
    }
}

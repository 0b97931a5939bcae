//! Where topics lie, for producers: read by every handle, written by the shard.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::sync::RwLock;
use crate::ids::PartitionKey;

/// Where topics lie, for producers; the shard publishes it after each change.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    topics: RwLock<Arc<BTreeMap<String, Arc<[PartitionKey]>>>>,
}

impl Routes {
    pub(crate) fn publish(&self, topics: BTreeMap<String, Arc<[PartitionKey]>>) {
        *self.topics.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(topics);
    }

    pub(crate) fn find(&self, topic: &str) -> Option<Arc<[PartitionKey]>> {
        self.topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(topic)
            .cloned()
    }
}

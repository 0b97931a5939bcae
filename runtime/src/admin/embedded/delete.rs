//! Deleting topics and groups: what a running deployment needs stays, even by force.

use share_engine::catalog::CatalogError;
use share_engine::error::AdminError as EngineError;

use super::EmbeddedAdmin;
use crate::admin::{AdminError, ErrorCode, GroupDeleted, TopicDeleted};

impl EmbeddedAdmin {
    /// Why a topic has to stay while this host runs.
    fn use_of(&self, topic: &str) -> Option<AdminError> {
        let deployments = self.deployments();
        let mut uses = deployments.iter().filter_map(|one| {
            let (does, hint) = if *one.handle.spec().topic == *topic {
                let hint =
                    "stop the host first, and take the deployment out of its manifest or let it make the topic again";
                ("works on", hint)
            } else if one.emit.iter().any(|name| name == topic) {
                let hint = "stop the host first, and take the topic out of grants.emit of the deployment";
                ("emits to", hint)
            } else if one.dead_letter.as_deref() == Some(topic) {
                let hint = "stop the host first, and delete the group of the deployment or give it another dead-letter";
                ("leaves its dead letters in", hint)
            } else {
                return None;
            };
            let message = format!("deployment {} {does} topic {topic}", one.handle.spec().name);
            Some(AdminError::new(ErrorCode::Conflict, message).hint(hint))
        });
        uses.next()
    }

    pub(super) async fn delete_topic_now(&self, name: &str, force: bool) -> Result<TopicDeleted, AdminError> {
        if !self.await_started().await {
            let message = format!("the host is still starting: it may be about to work on topic {name}");
            return Err(AdminError::new(ErrorCode::Conflict, message).hint("try again when it runs"));
        }
        let topic = self.engine.describe_topic(name).await?;
        if let Some(used) = self.use_of(name) {
            return Err(used);
        }
        let groups = self.engine.groups().await?;
        let user = groups
            .into_iter()
            .find(|group| group.config.dead_letter.as_deref() == Some(name));
        if let Some(group) = user {
            let (topic, group) = (name.to_owned(), group.name);
            return Err(EngineError::Catalog(CatalogError::TopicInUse { topic, group }).into());
        }
        let records: u64 = topic.partitions.iter().map(|one| one.end - one.start).sum();
        if !force && (records > 0 || !topic.groups.is_empty()) {
            let groups = topic.groups.join(", ");
            let message = format!("topic {name} has {records} record(s) and the group(s) [{groups}]");
            return Err(AdminError::new(ErrorCode::Conflict, message).hint("delete them with it: --force"));
        }
        self.engine.delete_topic(name).await?;
        Ok(TopicDeleted {
            records,
            bytes: Some(topic.bytes),
        })
    }

    pub(super) async fn delete_group_now(&self, name: &str, force: bool) -> Result<GroupDeleted, AdminError> {
        if !self.await_started().await {
            let message = format!("the host is still starting: it may be about to work for group {name}");
            return Err(AdminError::new(ErrorCode::Conflict, message).hint("try again when it runs"));
        }
        let before = self.engine.describe_group(name).await?;
        if let Some(deployment) = self.deployments_of(name).first() {
            let message = format!("deployment {} works for group {name}", deployment.spec().name);
            let hint = "stop the host first; as long as its manifest has the deployment, it makes the group again";
            return Err(AdminError::new(ErrorCode::Conflict, message).hint(hint));
        }
        self.engine.delete_group(name, force).await?;
        Ok(GroupDeleted {
            share_partitions: u32::try_from(before.partitions.len()).unwrap_or(u32::MAX),
            unsettled: Some(before.partitions.iter().map(|share| share.lag).sum()),
        })
    }
}

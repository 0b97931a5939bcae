//! What a deployment wishes against what the brokers allow its group. Pure: limits were read before.

use std::time::Duration;

use share_client::admin::{Isolation, Limit, Limits, Reset};

use super::KafkaError;
use crate::config::{Deployment, IsolationLevel, Start, format_duration};

/// A setting of the group that is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// As Kafka names it.
    pub(super) name: &'static str,
    pub(super) value: String,
    /// As it is now, if the brokers say so.
    pub(super) now: Option<String>,
    /// The key of the manifest.
    pub(super) key: &'static str,
}

/// Refuses a deployment that cannot work. `partitions` of its topic, where they are known.
pub(super) fn check(
    name: &str,
    deployment: &Deployment,
    limits: &Limits,
    partitions: Option<u64>,
) -> Result<(), KafkaError> {
    let refuse = |key, value, limit, hint| {
        Err(KafkaError::Limit {
            deployment: name.to_owned(),
            key,
            value,
            limit,
            hint,
        })
    };
    let deliveries = *limits.attempts.value();
    if deployment.attempts >= deliveries {
        let limit = format!(
            "the brokers end a record after {deliveries} deliveries{}, and the host needs the last one to write its dead letter",
            assumption(&limits.attempts)
        );
        let most = deliveries.saturating_sub(1);
        let hint = format!(
            "write attempts = {most} or less, or raise group.share.delivery.count.limit at the brokers above {}",
            deployment.attempts
        );
        return refuse("attempts", deployment.attempts.to_string(), limit, hint);
    }
    if let (Some(lock), Limit::Known(least), Limit::Known(most)) = (deployment.lock, &limits.lock_min, &limits.lock_max)
        && !(*least..=*most).contains(&lock)
    {
        let (least, most) = (format_duration(*least), format_duration(*most));
        let limit = format!("the brokers allow {least} to {most}");
        let hint = "write a lock within that, or change group.share.min.record.lock.duration.ms and its max at the \
                    brokers"
            .to_owned();
        return refuse("lock", format_duration(lock), limit, hint);
    }
    if let (Limit::Known(window), Some(partitions)) = (&limits.window, partitions) {
        let places = u64::from(*window).saturating_mul(partitions);
        if u64::from(deployment.concurrency) > places {
            let limit = format!(
                "the brokers give a group at most {window} records of a partition at a time, and topic {} has {partitions}",
                deployment.topic
            );
            let hint = format!(
                "write concurrency = {places} or less, add partitions, or raise group.share.partition.max.record.locks"
            );
            return refuse("concurrency", deployment.concurrency.to_string(), limit, hint);
        }
    }
    Ok(())
}

/// Settings of the group that are not as the manifest has them.
pub(super) fn changes(deployment: &Deployment, isolation: Option<IsolationLevel>, limits: &Limits) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut wish = |name, key, value: Option<String>, now: Option<String>| {
        if let Some(value) = value.filter(|value| now.as_ref() != Some(value)) {
            changes.push(Change { name, value, now, key });
        }
    };
    let start = deployment.start.map(reset);
    wish(
        "share.auto.offset.reset",
        "start",
        start.map(reset_text),
        known(&limits.reset).map(|reset| reset_text(*reset)),
    );
    let millis = |lock: Duration| lock.as_millis().to_string();
    wish(
        "share.record.lock.duration.ms",
        "lock",
        deployment.lock.map(millis),
        known(&limits.lock).map(|lock| millis(*lock)),
    );
    wish(
        "share.isolation.level",
        "isolation-level",
        isolation.map(|level| level.as_str().to_owned()),
        known(&limits.isolation).map(|level: &Isolation| level.name().to_owned()),
    );
    changes
}

/// What was not read is said to be an assumption.
pub(super) fn assumption<T>(limit: &Limit<T>) -> String {
    let why = limit.assumed();
    why.map_or_else(String::new, |why| format!(" (Kafka's default is assumed: {why})"))
}

fn known<T>(limit: &Limit<T>) -> Option<&T> {
    match limit {
        Limit::Known(value) => Some(value),
        Limit::Assumed { .. } => None,
    }
}

fn reset(start: Start) -> Reset {
    match start {
        Start::Earliest => Reset::Earliest,
        Start::Latest => Reset::Latest,
        Start::ByDuration(age) => Reset::ByDuration(age),
    }
}

fn reset_text(reset: Reset) -> String {
    reset.to_string()
}

//! Brings a cluster to what the manifest wishes, as far as the principal may: what it may not is said, with the command for whoever may.

use std::cmp::Ordering;
use std::time::Duration;

use share_client::admin::{Admin, AdminError, At, Ensured, Isolation, Limits, Reset, ShareSupport};
use share_client::tools::{Operation, Who};

use super::KafkaError;
use super::limits::{Change, assumption, changes, check};
use crate::config::{Deployment, KafkaSource, Manifest, Origin, Start, Topic, format_duration};
use crate::source::Letters;

/// What holds for a deployment's group.
pub(super) struct Group {
    pub(super) lock: Duration,
    pub(super) window: u32,
    pub(super) window_is_known: bool,
    /// Partitions of the topic, if they may be known.
    pub(super) partitions: Option<u64>,
    /// Deliveries after which the broker ends a record.
    pub(super) deliveries: u16,
    pub(super) reset: Reset,
    pub(super) letters: Letters,
    /// Where they go, whoever writes them.
    pub(super) dead_letter: Option<String>,
}

/// Whether somebody answers who has share groups.
pub(super) async fn check_cluster(admin: &Admin) -> Result<(), KafkaError> {
    let asking = || "the cluster cannot be asked".to_owned();
    let cluster = admin.cluster().await.map_err(|error| ask(asking(), error))?;
    for broker in &cluster.brokers {
        // One that is down now is found out by the client when it is needed.
        let Ok(support) = admin.support(&broker.address).await else {
            continue;
        };
        return match support.shares {
            ShareSupport::TooOld => Err(KafkaError::TooOld { broker: support.broker }),
            ShareSupport::Off => Err(KafkaError::SharesOff { broker: support.broker }),
            ShareSupport::On(_) => Ok(()),
        };
    }
    Ok(())
}

/// Makes topics that are missing.
pub(super) async fn topics(manifest: &Manifest, admin: &Admin, who: &Who) -> Result<(), KafkaError> {
    for (name, topic) in &manifest.topics {
        // The first record that is moved makes it.
        if topic.origin != Origin::Retry {
            make_topic(name, topic, admin, who).await?;
        }
    }
    Ok(())
}

async fn make_topic(name: &str, topic: &Topic, admin: &Admin, who: &Who) -> Result<(), KafkaError> {
    let wanted = topic.in_kafka(name);
    match admin.ensure_topic(&wanted).await {
        Ok(Ensured::Made) => tracing::info!("created topic {name}"),
        Ok(Ensured::There(there)) => {
            let partitions = there.partitions.len();
            if let Some(wished) = wanted.partitions.and_then(|wished| usize::try_from(wished).ok()) {
                match wished.cmp(&partitions) {
                    Ordering::Greater => tracing::info!(
                        topic = name,
                        partitions,
                        wished,
                        command = %who.grow_topic(name, wished as u64),
                        "the topic stays as it is: Kafka's own command adds partitions"
                    ),
                    Ordering::Less => tracing::info!(
                        topic = name,
                        partitions,
                        wished,
                        "the topic stays as it is: partitions cannot be taken away"
                    ),
                    Ordering::Equal => {}
                }
            }
        }
        Err(AdminError::Denied(denied)) if denied.operation == Operation::Create => {
            tracing::warn!(
                topic = name,
                command = %wanted.command(&denied.who),
                "the topic is not there, and may not be made: {denied}"
            );
        }
        Err(AdminError::Denied(denied)) => {
            tracing::warn!(topic = name, command = %denied.command(), "cannot see whether the topic is there: {denied}");
        }
        Err(error) => return Err(ask(format!("topic {name}"), error)),
    }
    Ok(())
}

/// Checks a deployment against its group's limits and brings the group's settings to what the manifest has.
pub(super) async fn group(
    name: &str,
    deployment: &Deployment,
    source: &KafkaSource,
    admin: &Admin,
) -> Result<Group, KafkaError> {
    let group = &deployment.group;
    let asking = |error| ask(format!("deployment {name}, limits of group {group}"), error);
    let limits = admin.limits(group).await.map_err(asking)?;
    if let Some(why) = limits.attempts.assumed() {
        tracing::warn!(
            deployment = name,
            "the brokers' limits may not be read, Kafka's defaults are assumed ({} deliveries, a window of {} records): {why}",
            limits.attempts.value(),
            limits.window.value()
        );
    }
    let topic = admin.topic(&deployment.topic).await.ok();
    let partitions = topic.map(|topic| topic.partitions.len() as u64);
    check(name, deployment, &limits, partitions)?;
    let mut lock = *limits.lock.value();
    let mut reset = *limits.reset.value();
    for change in changes(deployment, source.isolation_level, &limits) {
        let set = admin.set_group(group, &[(change.name, Some(&change.value))]).await;
        match set {
            Ok(()) => {
                tracing::info!("group {group}: {} = {}", change.name, change.value);
                match change.key {
                    "lock" => lock = deployment.lock.unwrap_or(lock),
                    "start" => reset = Reset::parse(&change.value).unwrap_or(reset),
                    _ => {}
                }
            }
            Err(AdminError::Denied(denied)) => not_changed(name, group, &change, &denied.who, &limits)?,
            Err(error) => {
                return Err(ask(
                    format!("deployments.{name}.{} of group {group}", change.key),
                    error,
                ));
            }
        }
    }
    skipped(deployment, reset, limits.reset.assumed().is_some(), admin).await;
    let mut dead_letter = deployment.dead_letter.clone();
    let letters = match (limits.dead_letters.value(), &deployment.dead_letter) {
        (Some(broker), _) => {
            tracing::info!(
                deployment = name, topic = %broker.topic,
                "the broker writes the dead letters of group {group}, without a handler's reason and log"
            );
            dead_letter = Some(broker.topic.clone());
            Letters::Broker
        }
        (None, Some(topic)) => Letters::Host(topic.clone()),
        (None, None) => Letters::Nobody,
    };
    Ok(Group {
        lock,
        window: *limits.window.value(),
        window_is_known: limits.window.assumed().is_none(),
        partitions,
        deliveries: u16::try_from(*limits.attempts.value()).unwrap_or(u16::MAX),
        reset,
        letters,
        dead_letter,
    })
}

/// A lock that is not as the manifest has it is refused; the rest is said.
fn not_changed(deployment: &str, group: &str, change: &Change, who: &Who, limits: &Limits) -> Result<(), KafkaError> {
    let Change { name, value, key, .. } = change;
    let command = who.set_group(group, name, value);
    if *key == "lock" {
        let now = format_duration(*limits.lock.value());
        return Err(KafkaError::Limit {
            deployment: deployment.to_owned(),
            key,
            value: format!("{value} ms"),
            limit: format!(
                "group {group} has {now}{}, and this principal may not change it",
                assumption(&limits.lock)
            ),
            hint: format!("have it changed: {command}; or take lock out of the manifest"),
        });
    }
    let now = change.now.as_deref().unwrap_or("not known");
    tracing::warn!(
        deployment,
        command,
        now,
        "group {group} may not be given {name} = {value} by this principal"
    );
    Ok(())
}

/// Says which records a group that begins at the end will never see.
async fn skipped(deployment: &Deployment, reset: Reset, is_assumed: bool, admin: &Admin) {
    if reset != Reset::Latest || deployment.start == Some(Start::Latest) {
        return;
    }
    let (group, topic) = (&deployment.group, &deployment.topic);
    let offsets = admin.group_offsets(group, Some(&[topic])).await;
    if offsets.is_ok_and(|offsets| offsets.iter().any(|one| one.start.is_some())) {
        return;
    }
    let ends = admin.offsets(topic, At::Latest, Isolation::Uncommitted).await;
    let begins = admin.offsets(topic, At::Earliest, Isolation::Uncommitted).await;
    let (Ok(ends), Ok(begins)) = (ends, begins) else {
        return;
    };
    let sum = |offsets: std::collections::BTreeMap<i32, share_client::admin::Offset>| -> u64 {
        offsets.values().filter_map(|one| one.offset).sum()
    };
    let skipped = sum(ends).saturating_sub(sum(begins));
    if skipped > 0 {
        let begins = if is_assumed {
            "and where it begins may not be read; at Kafka's default, the end,"
        } else {
            "and begins at the end:"
        };
        tracing::warn!(
            "group {group} has no start offset {begins} the {skipped} records that are in {topic} are skipped; to have them, write start = \"earliest\" under the source or the deployment, or, where the host may not change the group, run sharemill group reset {group} --to earliest"
        );
    }
}

fn ask(what: String, source: AdminError) -> KafkaError {
    KafkaError::Ask {
        what,
        source: Box::new(source),
    }
}

//! Why nothing is consumed: everything that can stand in the way, asked of the cluster in the order in which one needs the other. Changes
//! nothing, but that it joins each group for a moment, since nobody tells otherwise whether a member is taken.

mod records;
mod topics;

use std::time::Duration;

use share_client::admin::{Admin, AdminError, GroupState, Limits, STATE_REPLICAS, ShareSupport};
use share_client::config::ClientConfig;
use share_client::consumer::{JoinError, JoinOptions, ShareConsumer};
use share_client::membership::Refusal;
use share_client::net::Connector;
use share_client::tools::Who;
use share_wire::code::ErrorCode;

use super::KafkaError;
use super::error::{asked, joined, reached};
use super::limits::{assumption, changes, check};
use crate::config::{Deployment, KafkaSource, Manifest};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Whether it is as it should be.
    pub verdict: Verdict,
    /// What it is about: `cluster`, or a deployment.
    pub about: String,
    /// What was found, in a sentence.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It may explain what is seen, and may be meant.
    Note,
    /// It stands in the way.
    Bad,
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, verdict: Verdict, about: &str, found: impl Into<String>, hint: Option<String>) {
        self.0.push(Finding {
            verdict,
            about: about.to_owned(),
            found: found.into(),
            hint,
        });
    }

    fn good(&mut self, about: &str, found: impl Into<String>) {
        self.add(Verdict::Good, about, found, None);
    }

    fn note(&mut self, about: &str, found: impl Into<String>, hint: &str) {
        self.add(
            Verdict::Note,
            about,
            found,
            Some(hint.to_owned()).filter(|hint| !hint.is_empty()),
        );
    }

    fn bad(&mut self, about: &str, found: impl Into<String>, hint: Option<String>) {
        self.add(Verdict::Bad, about, found, hint);
    }

    /// What became of an attempt to read a topic.
    fn read(&mut self, about: &str, topic: &str, partitions: u64, read: Result<(), AdminError>) {
        match read {
            // Retention took what was at the beginning; whoever may not read would have been told so instead.
            Ok(())
            | Err(AdminError::Refused {
                code: ErrorCode::OFFSET_OUT_OF_RANGE,
                ..
            }) => {
                let found = format!("topic {topic} is there and may be read, partitions: {partitions}");
                self.good(about, found);
            }
            Err(error) => self.failed(about, &format!("topic {topic} cannot be read"), &error),
        }
    }

    /// What could not be found out, with the way out that `run` tells.
    fn failed(&mut self, about: &str, what: &str, error: &AdminError) {
        self.bad(about, format!("{what}: {error}"), asked(error));
    }
}

/// Looks at the cluster of a source and at every enabled deployment on it.
pub async fn examine(manifest: &Manifest, source: &KafkaSource) -> Vec<Finding> {
    let mut findings = Findings::default();
    if let Some((config, admin)) = cluster(source, &mut findings).await {
        for (name, deployment) in manifest.deployments.iter().filter(|(_, one)| one.enabled) {
            let look = Look {
                name,
                deployment,
                manifest,
                config: &config,
                admin: &admin,
                who: Who::of(&config),
            };
            look.at_deployment(source, &mut findings).await;
        }
    }
    findings.0
}

const CLUSTER: &str = "cluster";

/// A deployment that is looked at, and how.
struct Look<'a> {
    name: &'a str,
    deployment: &'a Deployment,
    manifest: &'a Manifest,
    config: &'a ClientConfig,
    admin: &'a Admin,
    who: Who,
}

/// From the properties to an address that answers. `None`: nothing more can be asked.
async fn connect(source: &KafkaSource, findings: &mut Findings) -> Option<(ClientConfig, Admin)> {
    let read = source.clone();
    let properties = match super::blocking(move || read.resolve()).await {
        Ok(properties) => properties,
        Err(error) => {
            let error = KafkaError::from(error);
            findings.bad(CLUSTER, error.to_string(), error.hint());
            return None;
        }
    };
    let made = ClientConfig::new(&properties.of_client()).and_then(|config| Ok((Connector::new(&config)?, config)));
    let (connector, config) = match made {
        Ok(made) => made,
        Err(error) => {
            let error = KafkaError::from(error);
            findings.bad(CLUSTER, error.to_string(), error.hint());
            return None;
        }
    };
    let mut any = false;
    for address in connector.bootstrap() {
        match connector.connect(address).await {
            Ok(_) => {
                any = true;
                findings.good(CLUSTER, format!("{address} answers"));
            }
            Err(error) => findings.bad(CLUSTER, error.to_string(), Some(reached(&error.failure))),
        }
    }
    if !any {
        return None;
    }
    Some((config, Admin::over(connector)))
}

/// The same, up to brokers that have share groups.
async fn cluster(source: &KafkaSource, findings: &mut Findings) -> Option<(ClientConfig, Admin)> {
    let (config, admin) = connect(source, findings).await?;
    let brokers = match admin.cluster().await {
        Ok(cluster) => cluster.brokers,
        Err(error) => {
            findings.failed(CLUSTER, "its brokers are not known", &error);
            return None;
        }
    };
    let count = brokers.len();
    let mut has_shares = true;
    for broker in brokers {
        let (id, address) = (broker.id, &broker.address);
        match admin.support(address).await.map(|support| support.shares) {
            Ok(ShareSupport::On(level)) => {
                findings.good(
                    CLUSTER,
                    format!("broker {id} at {address} has share groups, share.version {level}"),
                );
            }
            Ok(ShareSupport::Off) => {
                has_shares = false;
                let broker = address.clone();
                findings.bad(
                    CLUSTER,
                    format!("share groups are off at broker {id}: share.version is 0"),
                    KafkaError::SharesOff { broker }.hint(),
                );
            }
            Ok(ShareSupport::TooOld) => {
                has_shares = false;
                let broker = address.clone();
                findings.bad(
                    CLUSTER,
                    format!("broker {id} at {address} has no share groups as Kafka 4.2 has them"),
                    KafkaError::TooOld { broker }.hint(),
                );
            }
            Err(error) => {
                let found = format!("broker {id}, which the others name: {error}");
                findings.bad(CLUSTER, found, Some(reached(&error.failure)));
            }
        }
    }
    if !has_shares {
        return None;
    }
    states(count, &admin, findings).await;
    Some((config, admin))
}

/// Where the brokers keep what became of records. They make the topic when the first group needs it, and give out nothing before.
async fn states(brokers: usize, admin: &Admin, findings: &mut Findings) {
    match admin.topic(STATES).await {
        Ok(there) => {
            let without = there.partitions.iter().filter(|one| one.leader.is_none()).count();
            if without > 0 {
                let found = format!(
                    "{without} partitions of {STATES} have no leader: groups whose states are there are given nothing"
                );
                let hint = "see to the brokers that are down: kafka-topics.sh --describe names the replicas";
                findings.bad(CLUSTER, found, Some(hint.to_owned()));
            }
        }
        Err(error) if error.is_missing() => {
            // What stands in the way of asking stands in the way of more, and is told of there.
            let Ok(replicas) = admin.state_replicas().await else {
                return;
            };
            let needed = *replicas.value();
            if needed > brokers {
                let found = format!(
                    "the brokers cannot make {STATES}, which wants {needed} replicas{}, with {}: no group is given a partition",
                    assumption(&replicas),
                    if brokers == 1 {
                        "1 broker".to_owned()
                    } else {
                        format!("{brokers} brokers")
                    }
                );
                let hint = format!(
                    "set {STATE_REPLICAS} to {brokers} at most, and share.coordinator.state.topic.min.isr no higher, at every broker and start \
                     them again; or start more brokers"
                );
                findings.bad(CLUSTER, found, Some(hint));
            }
        }
        // Not everybody may see it.
        Err(_) => {}
    }
}

const STATES: &str = "__share_group_state";

impl Look<'_> {
    async fn at_deployment(&self, source: &KafkaSource, findings: &mut Findings) {
        let (name, group) = (self.name, &self.deployment.group);
        let partitions = self.at_topic(findings).await;
        let limits = match self.admin.limits(group).await {
            Ok(limits) => limits,
            Err(error) => return findings.failed(name, &format!("limits of group {group}"), &error),
        };
        if let Some(why) = limits.attempts.assumed() {
            findings.note(
                name,
                format!("the brokers' limits may not be read, Kafka's defaults are assumed: {why}"),
                "",
            );
        }
        self.at_other_topics(&limits, findings).await;
        let Some(partitions) = partitions else {
            return;
        };
        if let Err(error) = check(name, self.deployment, &limits, Some(partitions)) {
            findings.bad(name, error.to_string(), error.hint());
        }
        for change in changes(self.deployment, source.isolation_level, &limits) {
            let now = change.now.as_deref().unwrap_or("not known");
            let hint = "sharemill run changes it, if its principal may";
            findings.note(
                name,
                format!(
                    "group {group} has {} = {now}, the manifest {}",
                    change.name, change.value
                ),
                hint,
            );
        }
        self.at_members(&limits, findings).await;
        self.at_records(&limits, findings).await;
    }

    /// Who is in the group, and whether one more would be taken.
    async fn at_members(&self, limits: &Limits, findings: &mut Findings) {
        let (name, deployment) = (self.name, self.deployment);
        let group = &deployment.group;
        match self.admin.group(group).await {
            Ok(there) => {
                let (members, most) = (there.members.len(), *limits.members.value());
                if members == 0 || there.state == GroupState::Empty {
                    let hint = "start sharemill run: nobody works on it";
                    findings.note(name, format!("group {group} is empty"), hint);
                } else {
                    findings.good(name, format!("group {group} has {members} members of at most {most}"));
                }
                let assigned = |member: &share_client::admin::Member| {
                    member.assignment.iter().any(|(topic, _)| *topic == deployment.topic)
                };
                if members > 0 && !there.members.iter().any(assigned) {
                    let hint =
                        "a group that was just joined takes some heartbeats; members may have subscribed to other topics"
                            .to_owned();
                    findings.bad(
                        name,
                        format!("no member of group {group} has a partition of {}", deployment.topic),
                        Some(hint),
                    );
                }
            }
            Err(error) if error.is_missing() => {
                findings.note(
                    name,
                    format!("group {group} does not exist yet"),
                    "the first member makes it: sharemill run",
                );
            }
            Err(error) => findings.failed(name, &format!("group {group} cannot be looked at"), &error),
        }
        let options = JoinOptions {
            join_within: JOIN,
            close_within: JOIN,
            ..JoinOptions::new(group, &[&deployment.topic])
        };
        match ShareConsumer::join(self.config, options).await {
            Ok(member) => {
                member.close().await;
                findings.good(name, format!("group {group} takes a member"));
            }
            Err(error) => {
                let mut hint = joined(group, &error, &self.who);
                if let (JoinError::Refused(Refusal::GroupFull { .. }), Some(hint)) = (&error, &mut hint) {
                    let (most, assumed) = (limits.members.value(), assumption(&limits.members));
                    *hint = format!("group.share.max.size is {most} at the brokers{assumed}: {hint}");
                }
                findings.bad(name, format!("group {group} takes no member: {error}"), hint);
            }
        }
    }
}

/// A group that takes a member does so within this time.
const JOIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use share_client::admin::Resource;

    use super::*;

    #[test]
    fn a_topic_may_be_read_if_it_was_read() {
        let found = |read: Result<(), AdminError>| {
            let mut findings = Findings::default();
            findings.read("jobs", "orders", 3, read);
            let finding = findings.0.remove(0);
            (finding.verdict, finding.found)
        };
        let refused = |code| AdminError::Refused {
            asking: "Fetch",
            about: Resource::Partition("orders".to_owned(), 0),
            broker: share_client::config::Address::parse("k1:9092").unwrap(),
            code,
            said: None,
        };
        let good = (
            Verdict::Good,
            "topic orders is there and may be read, partitions: 3".to_owned(),
        );
        assert_eq!(found(Ok(())), good);
        assert_eq!(found(Err(refused(ErrorCode::OFFSET_OUT_OF_RANGE))), good);
        let bad = "topic orders cannot be read: k1:9092 refused Fetch for topic orders, partition 0: KAFKA_STORAGE_ERROR (56)";
        assert_eq!(found(Err(refused(ErrorCode(56)))), (Verdict::Bad, bad.to_owned()));
        let error = AdminError::NoLeader {
            topic: "orders".to_owned(),
            partition: 0,
        };
        assert_eq!(found(Err(error)).0, Verdict::Bad);
    }
}

//! Why nothing is consumed: everything that can stand in the way, asked of the cluster in the order in which one needs the other. Changes
//! nothing, but that it joins each group for a moment, since nobody tells otherwise whether a member is taken.

use std::collections::BTreeMap;
use std::time::Duration;

use share_client::admin::states::{DeliveryState, ShareState};
use share_client::admin::{Admin, AdminError, At, GroupState, Isolation, Limits, Offset, Reset, ShareSupport, Want};
use share_client::config::ClientConfig;
use share_client::consumer::{JoinError, JoinOptions, ShareConsumer};
use share_client::membership::Refusal;
use share_client::net::Connector;
use share_wire::code::ErrorCode;

use super::limits::{assumption, changes, check};
use crate::config::{Deployment, KafkaSource, Manifest, Start, format_duration};

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

    /// What could not be found out; where a permission is missing, the hint says how it is granted.
    fn failed(&mut self, about: &str, what: &str, error: &AdminError) {
        let hint = error
            .denied()
            .map(|denied| format!("have it granted: {}", denied.command()));
        self.bad(about, format!("{what}: {error}"), hint);
    }
}

/// Looks at the cluster of a source and at every enabled deployment on it.
pub async fn examine(manifest: &Manifest, source: &KafkaSource) -> Vec<Finding> {
    let mut findings = Findings::default();
    if let Some((config, admin)) = cluster(source, &mut findings).await {
        for (name, deployment) in manifest.deployments.iter().filter(|(_, one)| one.enabled) {
            look_at(name, deployment, source, &config, &admin, &mut findings).await;
        }
    }
    findings.0
}

const CLUSTER: &str = "cluster";

/// From the properties to an address that answers. `None`: nothing more can be asked.
async fn connect(source: &KafkaSource, findings: &mut Findings) -> Option<(ClientConfig, Admin)> {
    let read = source.clone();
    let properties = match super::blocking(move || read.resolve()).await {
        Ok(properties) => properties,
        Err(error) => {
            findings.bad(
                CLUSTER,
                error.to_string(),
                Some("see that this user may read it".to_owned()),
            );
            return None;
        }
    };
    let made = ClientConfig::new(&properties.of_client()).and_then(|config| Ok((Connector::new(&config)?, config)));
    let (connector, config) = match made {
        Ok(made) => made,
        Err(error) => {
            findings.bad(CLUSTER, error.to_string(), None);
            return None;
        }
    };
    let mut reached = false;
    for address in connector.bootstrap() {
        match connector.connect(address).await {
            Ok(_) => {
                reached = true;
                findings.good(CLUSTER, format!("{address} answers"));
            }
            Err(error) => findings.bad(CLUSTER, error.to_string(), None),
        }
    }
    if !reached {
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
                let hint = format!("kafka-features.sh --bootstrap-server {address} upgrade --feature share.version=1");
                findings.bad(
                    CLUSTER,
                    format!("share groups are off at broker {id}: share.version is 0"),
                    Some(hint),
                );
            }
            Ok(ShareSupport::TooOld) => {
                has_shares = false;
                let hint = "Apache Kafka 4.2.1 or newer is needed".to_owned();
                findings.bad(
                    CLUSTER,
                    format!("broker {id} at {address} has no share groups as Kafka 4.2 has them"),
                    Some(hint),
                );
            }
            Err(error) => findings.bad(CLUSTER, format!("broker {id}, which the others name: {error}"), None),
        }
    }
    has_shares.then_some((config, admin))
}

async fn look_at(
    name: &str,
    deployment: &Deployment,
    source: &KafkaSource,
    config: &ClientConfig,
    admin: &Admin,
    findings: &mut Findings,
) {
    let group = &deployment.group;
    let Some(partitions) = look_at_topic(name, &deployment.topic, admin, findings).await else {
        return;
    };
    let limits = match admin.limits(group).await {
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
    if let Err(error) = check(name, deployment, &limits, Some(partitions)) {
        findings.bad(name, error.to_string(), error.hint());
    }
    for change in changes(deployment, source.isolation_level, &limits) {
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
    membership(name, deployment, config, admin, &limits, findings).await;
    records(name, deployment, admin, &limits, findings).await;
}

/// How many partitions it has. `None`: it is not there, or may not be seen.
async fn look_at_topic(name: &str, topic: &str, admin: &Admin, findings: &mut Findings) -> Option<u64> {
    let partitions = match admin.topic(topic).await {
        Ok(there) => there.partitions,
        Err(error) if error.is_missing() => {
            let hint = "sharemill run makes it, if its principal may; or kafka-topics.sh --create".to_owned();
            findings.bad(name, format!("topic {topic} is not there"), Some(hint));
            return None;
        }
        Err(error) => {
            findings.failed(name, &format!("topic {topic}"), &error);
            return None;
        }
    };
    for one in partitions.iter().filter(|one| one.leader.is_none()) {
        let found = format!("partition {} of topic {topic} has no leader", one.partition);
        findings.bad(name, found, None);
    }
    let count = partitions.len() as u64;
    if let Some(led) = partitions.iter().find(|one| one.leader.is_some()) {
        let want = Want {
            bytes_max: 1,
            ..Want::from(0)
        };
        let read = admin.read(topic, led.partition, want).await;
        findings.read(name, topic, count, read.map(drop));
    }
    Some(count)
}

/// Who is in the group, and whether one more would be taken.
async fn membership(
    name: &str,
    deployment: &Deployment,
    config: &ClientConfig,
    admin: &Admin,
    limits: &Limits,
    findings: &mut Findings,
) {
    let group = &deployment.group;
    match admin.group(group).await {
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
    match ShareConsumer::join(config, options).await {
        Ok(member) => {
            member.close().await;
            findings.good(name, format!("group {group} takes a member"));
        }
        Err(error) => {
            let is_full = matches!(error, JoinError::Refused(Refusal::GroupFull { .. }));
            let full = is_full.then(|| {
                let most = limits.members.value();
                format!(
                    "group.share.max.size is {most} at the brokers{}: raise it, or run fewer hosts",
                    assumption(&limits.members)
                )
            });
            findings.bad(name, format!("group {group} takes no member: {error}"), full);
        }
    }
}

/// What there is to do, and what keeps it from being done.
async fn records(name: &str, deployment: &Deployment, admin: &Admin, limits: &Limits, findings: &mut Findings) {
    let (group, topic) = (&deployment.group, &deployment.topic);
    let ends = admin.offsets(topic, At::Latest, Isolation::Uncommitted).await;
    let begins = admin.offsets(topic, At::Earliest, Isolation::Uncommitted).await;
    let (Ok(ends), Ok(begins)) = (ends, begins) else {
        return;
    };
    let begin_of = |partition: &i32| begins.get(partition).and_then(|one| one.offset).unwrap_or(0);
    let there: u64 = ends
        .iter()
        .map(|(partition, end)| end.offset.unwrap_or(0).saturating_sub(begin_of(partition)))
        .sum();
    if *limits.isolation.value() == Isolation::Committed {
        let stable = admin.offsets(topic, At::Latest, Isolation::Committed).await;
        open_transactions(name, topic, &ends, &stable.unwrap_or_default(), findings);
    }
    if there == 0 {
        return findings.note(name, format!("topic {topic} has no records"), "");
    }
    let offsets = match admin.group_offsets(group, Some(&[topic])).await {
        Ok(offsets) => offsets,
        Err(error) if error.is_missing() => Vec::new(),
        Err(error) => return findings.failed(name, &format!("start offsets of group {group}"), &error),
    };
    let starts: BTreeMap<i32, u64> = offsets
        .iter()
        .filter_map(|one| Some((one.partition, one.start?)))
        .collect();
    if starts.is_empty() {
        let is_wished = deployment.start == Some(Start::Latest);
        // Known and to be changed: the host does that, or says that it may not.
        let is_left = deployment.start.is_none() || limits.reset.assumed().is_some();
        if *limits.reset.value() == Reset::Latest && is_left && !is_wished {
            let hint = format!(
                "write start = \"earliest\" where the host may change the group; else sharemill group reset {group} --to earliest, or have it \
                 changed: kafka-configs.sh --alter --entity-type groups --entity-name {group} --add-config share.auto.offset.reset=earliest"
            );
            let found = format!(
                "group {group} has no start offset and begins at the end{}: the {there} records in {topic} are skipped",
                assumption(&limits.reset)
            );
            findings.bad(name, found, Some(hint));
        }
        return;
    }
    left(name, deployment, admin, there, findings).await;
    match admin.states(group, topic).await {
        Ok(states) => {
            for (partition, state) in states {
                let end = ends.get(&partition).and_then(|one| one.offset).unwrap_or(0);
                states_of(name, deployment, partition, &state, end, limits, findings);
            }
        }
        Err(error) => {
            let hint = error
                .denied()
                .map(|denied| format!("to see more: {}", denied.command()));
            let found = format!("states of records may not be read: {error}");
            findings.note(name, found, &hint.unwrap_or_default());
        }
    }
}

/// Records behind a transaction that nobody has ended are given to nobody.
fn open_transactions(
    name: &str,
    topic: &str,
    ends: &BTreeMap<i32, Offset>,
    stable: &BTreeMap<i32, Offset>,
    findings: &mut Findings,
) {
    for (partition, end) in ends {
        let (Some(end), Some(stable)) = (end.offset, stable.get(partition).and_then(|one| one.offset)) else {
            continue;
        };
        if stable < end {
            let found = format!(
                "an open transaction holds {topic}/{partition} from offset {stable} on: the {} records from there wait for its end",
                end - stable
            );
            let hint = format!(
                "its producer ends it, or the brokers do after its transaction.timeout.ms; by hand: kafka-transactions.sh abort --topic {topic} \
                 --partition {partition} --start-offset {stable}"
            );
            findings.bad(name, found, Some(hint));
        }
    }
}

/// Of `there` records in the topic.
async fn left(name: &str, deployment: &Deployment, admin: &Admin, there: u64, findings: &mut Findings) {
    let (group, topic) = (&deployment.group, &deployment.topic);
    let left = admin.backlog(group, topic).await.map(|backlog| backlog.total());
    match left {
        Ok((0, _)) => findings.note(
            name,
            format!("group {group} has finished with all {there} records of {topic}"),
            "",
        ),
        Ok((left, guessed)) => {
            let about = if guessed { "about " } else { "" };
            findings.good(
                name,
                format!("{about}{left} records of {topic} are left for group {group}"),
            );
        }
        Err(_) => {}
    }
}

/// What the broker keeps of a partition's records.
fn states_of(
    name: &str,
    deployment: &Deployment,
    partition: i32,
    state: &ShareState,
    end: u64,
    limits: &Limits,
    findings: &mut Findings,
) {
    let count = |wanted: DeliveryState| -> u64 {
        let of = state.batches.iter().filter(|batch| batch.state == wanted);
        of.map(|batch| batch.last - batch.first + 1).sum()
    };
    let (archived, accepted) = (count(DeliveryState::Archived), count(DeliveryState::Acknowledged));
    let Some(start) = state.start else {
        return;
    };
    let topic = &deployment.topic;
    let known: u64 = state.batches.iter().map(|batch| batch.last - batch.first + 1).sum();
    if archived > 0 && archived == known && archived == end.saturating_sub(start) {
        let hint = format!("sharemill archived --group {} shows them", deployment.group);
        // Nothing is left to be delivered, but whoever waits for these is to know.
        findings.note(
            name,
            format!(
                "the last {archived} records of {topic}/{partition}, from the start offset {start} on, are archived"
            ),
            &hint,
        );
    }
    let window = u64::from(*limits.window.value());
    let last = state.batches.last().map_or(start, |batch| batch.last);
    if last.saturating_sub(start) + 1 >= window {
        let deliveries = state.at(start).map_or(0, |batch| batch.deliveries);
        let hint = format!(
            "whoever holds offset {start} has to settle it, or its lock of {} runs out; within a host retry-topic moves such records aside",
            format_duration(*limits.lock.value())
        );
        findings.bad(
            name,
            format!(
                "window full: {topic}/{partition} has {} of {window} offsets under way behind the start offset {start}, delivered {deliveries} times; {accepted} behind it are accepted",
                last - start + 1
            ),
            Some(hint),
        );
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

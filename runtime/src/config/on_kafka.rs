//! What a Kafka source, its topics and its deployments say, against what Kafka has. Pure: the cluster is asked at a start.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
#[cfg(feature = "kafka")]
use super::kafka::PRODUCING;
use super::kafka::{HIDDEN, KafkaSource, is_secret};
use super::problem::{Problem, Severity};
use super::section::Section;
use super::types::{Deployment, Manifest, RetryTopic, Source};
use super::units::format_duration;
use super::words::key_name;

/// Checks every Kafka source and the deployments on it.
pub(super) fn check(manifest: &Manifest, root: &Section<'_, '_>, context: &Context<'_>) {
    let sources = root.section("sources");
    for (name, source) in &manifest.sources {
        if let Source::Kafka(source) = source {
            check_source(source, &sources.section_at(name), context);
        }
    }
    let deployments = root.section("deployments");
    let mut retry_topics = BTreeMap::new();
    for (name, deployment) in &manifest.deployments {
        if !manifest.sources.get(&deployment.source).is_some_and(Source::is_kafka) {
            continue;
        }
        let section = deployments.section_at(name);
        check_limits(deployment, &section, context);
        check_retry_topic(deployment, &section);
        let Some(retry) = deployment.retry_topic.as_ref().and_then(RetryTopic::topic) else {
            continue;
        };
        if let Some(other) = retry_topics.insert(retry, name) {
            let objection = format!("is \"{retry}\", which is taken by deployments.{other}");
            let hint = "records of the one would come to the other: name another topic, or write retry-topic = false";
            section.refuse("retry-topic", &objection, hint);
        }
    }
}

fn check_source(source: &KafkaSource, section: &Section<'_, '_>, context: &Context<'_>) {
    let (properties, secrets) = (section.section("properties"), section.section("secrets"));
    for name in source
        .secrets
        .keys()
        .filter(|name| source.properties.contains_key(*name))
    {
        let hint = "keep this one and take it out of properties";
        secrets.refuse(name, "stands in properties, too", hint);
    }
    for (name, value) in source.properties.iter().filter(|(name, _)| is_secret(name)) {
        if value == HIDDEN {
            continue;
        }
        let key = format!("{}.{}", properties.path(), key_name(name));
        let message = format!("{key} is a secret that whoever reads the manifest reads, too");
        let problem = Problem::new(Severity::Warning, key, message).line(properties.line_of(name));
        context.problems.borrow_mut().push(problem.hint(elsewhere(name)));
    }
    for name in source.properties.keys().chain(source.secrets.keys()) {
        let Some((_, what)) = GROUPS.iter().find(|(known, _)| known == name) else {
            continue;
        };
        let table = if source.properties.contains_key(name) {
            &properties
        } else {
            &secrets
        };
        let hint = "write group = \"NAME\" under [deployments.NAME]; without it the group is the deployment's name";
        table.refuse(name, what, hint);
    }
    for (name, reason) in check_properties(source) {
        let table = if source.secrets.contains_key(&name) {
            &secrets
        } else {
            &properties
        };
        let key = format!("{}.{}", table.path(), key_name(&name));
        let problem = Problem::new(Severity::Error, &*key, format!("{key}: {reason}"));
        context.problems.borrow_mut().push(problem.line(table.line_of(&name)));
    }
}

/// What articles take for properties of a share group, and the end of the sentence about it.
const GROUPS: [(&str, &str); 2] = [
    ("share.group.id", "is set: Kafka has no such property; use group"),
    ("group.id", "is set: use group of the deployment"),
];

/// What the client says of the properties: name and reason. It does not see a secret, and is not asked about the value of one.
#[cfg(feature = "kafka")]
fn check_properties(source: &KafkaSource) -> Vec<(String, String)> {
    const UNSEEN: &str = "a-secret-that-is-read-at-a-start";
    let mut all = source.properties.clone();
    let unseen = |name: &String| (name.clone(), UNSEEN.to_owned());
    all.extend(source.secrets.keys().map(unseen));
    all.retain(|name, _| !GROUPS.iter().any(|(known, _)| known == name) && !PRODUCING.contains(&name.as_str()));
    let Err(error) = share_client::config::ClientConfig::new(&all) else {
        return Vec::new();
    };
    let problems = error.problems().iter();
    problems
        .filter(|problem| !problem.reason.contains(UNSEEN))
        .map(|problem| (problem.property.clone(), problem.reason.clone()))
        .collect()
}

/// There is nobody to ask; the source itself has been refused.
#[cfg(not(feature = "kafka"))]
fn check_properties(_: &KafkaSource) -> Vec<(String, String)> {
    Vec::new()
}

/// The line that has a secret somewhere else.
pub(super) fn elsewhere(property: &str) -> String {
    format!(
        "write secrets = {{ {property:?} = {{ file = \"/run/secrets/{property}\" }} }} instead, or {{ env = \"NAME\" }}"
    )
}

/// What brokers allow unless they are told otherwise.
const LOCK_MIN: Duration = Duration::from_secs(15);
const LOCK_MAX: Duration = Duration::from_mins(1);
const DELIVERIES: u32 = 5;

fn check_limits(deployment: &Deployment, section: &Section<'_, '_>, context: &Context<'_>) {
    let tell = |severity, name: &str, message: String, hint: &str| {
        let key = format!("{}.{name}", section.path());
        let problem = Problem::new(severity, &*key, format!("{key} {message}"));
        let problem = problem.line(section.line_of(name)).hint(hint);
        context.problems.borrow_mut().push(problem);
    };
    if let Some(lock) = deployment.lock.filter(|lock| !(LOCK_MIN..=LOCK_MAX).contains(lock)) {
        let message = format!(
            "is {}, and brokers allow {} to {} unless they are told otherwise",
            format_duration(lock),
            format_duration(LOCK_MIN),
            format_duration(LOCK_MAX)
        );
        let hint =
            "see that group.share.min.record.lock.duration.ms and its max fit; run refuses what they do not allow";
        tell(Severity::Warning, "lock", message, hint);
    }
    if deployment.attempts >= DELIVERIES {
        let message = format!(
            "is {}, and brokers end a record after {DELIVERIES} deliveries unless they are told otherwise",
            deployment.attempts
        );
        let hint =
            "group.share.delivery.count.limit has to be above attempts; run reads it and refuses what does not fit";
        tell(Severity::Note, "attempts", message, hint);
    }
}

fn check_retry_topic(deployment: &Deployment, section: &Section<'_, '_>) {
    let Some(RetryTopic::Topic(retry)) = &deployment.retry_topic else {
        return;
    };
    let used = if *retry == deployment.topic {
        "the topic that it handles"
    } else if deployment.dead_letter.as_ref() == Some(retry) {
        "its topic for dead letters"
    } else {
        return;
    };
    section.refuse(
        "retry-topic",
        &format!("is \"{retry}\", {used}"),
        "choose another topic",
    );
}

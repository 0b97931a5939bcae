//! What a Kafka source, its topics and its deployments say, against what Kafka has. Pure: the cluster is asked at a start.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
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
    for (name, deployment) in &manifest.deployments {
        if manifest.sources.get(&deployment.source).is_some_and(Source::is_kafka) {
            let section = deployments.section_at(name);
            check_limits(deployment, &section, context);
            check_retry_topic(deployment, &section);
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
    let mut all = source.properties.clone();
    all.extend(source.secrets.keys().map(|name| (name.clone(), HIDDEN.to_owned())));
    for objection in check_properties(&all) {
        let is_secret = source.secrets.contains_key(&objection.property);
        let table = if is_secret { &secrets } else { &properties };
        table.refuse(&objection.property, &objection.what, &objection.hint);
    }
}

/// The line that has a secret somewhere else.
pub(super) fn elsewhere(property: &str) -> String {
    format!(
        "write secrets = {{ {property:?} = {{ file = \"/run/secrets/{property}\" }} }} instead, or {{ env = \"NAME\" }}"
    )
}

/// What is wrong with a property.
struct Objection {
    property: String,
    /// The end of the sentence that begins with its name.
    what: String,
    hint: String,
}

/// Everything that is wrong with properties; for those that are secret something else stands.
fn check_properties(properties: &BTreeMap<String, String>) -> Vec<Objection> {
    const GROUP: &str =
        "write group = \"NAME\" under [deployments.NAME]; without it the group is the deployment's name";
    let object = |property: &str, what: &str, hint: &str| Objection {
        property: property.to_owned(),
        what: what.to_owned(),
        hint: hint.to_owned(),
    };
    let mut objections = Vec::new();
    for (name, what) in [
        ("share.group.id", "is set: Kafka has no such property; use group"),
        ("group.id", "is set: use group of the deployment"),
    ] {
        if properties.contains_key(name) {
            objections.push(object(name, what, GROUP));
        }
    }
    if properties
        .get("bootstrap.servers")
        .is_none_or(|servers| servers.trim().is_empty())
    {
        let hint = "name at least one broker: \"bootstrap.servers\" = \"HOST:PORT\"";
        objections.push(object("bootstrap.servers", "is missing", hint));
    }
    objections
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

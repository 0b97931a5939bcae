//! Topics: those with a table of their own, those that the manifest names without listing them, and the defaults that depend on
//! who uses a topic.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

use super::context::Context;
use super::keys::SourceKind;
use super::load::small;
use super::problem::{Problem, Severity};
use super::section::{Section, Value};
use super::source::Home;
use super::types::{Manifest, OnFull, Origin, RetryTopic, Topic};
use super::values::Retention;
use super::values::names::Rule;
use super::words::key_name;

/// Adds every topic that a deployment works on, emits to or leaves dead letters in, and says so.
pub(super) fn complete(manifest: &mut Manifest, root: &Section<'_, '_>, context: &Context<'_>) {
    let listed = root.section("topics");
    let uses = uses(manifest);
    for (name, topic) in &mut manifest.topics {
        let is_silent = listed.section_at(name).get("retention").is_none();
        let origin = uses.get(name).map_or(Origin::Listed, |(origin, ..)| *origin);
        if is_silent && Home::of(&manifest.sources).kind(&topic.source) == SourceKind::Embedded {
            topic.retention = Some(default_retention(origin));
        }
    }
    // A dead-letter topic has none of its own, unless a deployment asks for one.
    let dead: BTreeSet<String> = manifest
        .deployments
        .values()
        .filter_map(|d| d.dead_letter.clone())
        .collect();
    for (name, deployment) in &mut manifest.deployments {
        let is_silent = root
            .section("deployments")
            .section_at(name)
            .get("dead-letter")
            .is_none();
        if is_silent && dead.contains(&deployment.topic) {
            deployment.dead_letter = None;
        }
    }
    for (name, (origin, source, deployment)) in &uses {
        let still_dead = manifest
            .deployments
            .values()
            .any(|d| d.dead_letter.as_ref() == Some(name));
        if manifest.topics.contains_key(name) || (*origin == Origin::DeadLetter && !still_dead) {
            continue;
        }
        let kind = Home::of(&manifest.sources).kind(source);
        let mut topic = read_of(&listed.absent(name, "*").of_kind(kind), source.clone(), kind);
        topic.origin = *origin;
        if kind == SourceKind::Embedded {
            topic.retention = Some(default_retention(*origin));
        }
        if !matches!(origin, Origin::DeadLetter | Origin::Retry) {
            let problem = created(name, *origin, deployment, kind);
            context.problems.borrow_mut().push(problem);
        }
        manifest.topics.insert(name.clone(), topic);
    }
}

/// Each topic that a deployment names: its most important use, its source, and one deployment that names it.
fn uses(manifest: &Manifest) -> BTreeMap<String, (Origin, String, String)> {
    let mut uses = BTreeMap::new();
    let mut note = |topic: &String, origin, source: &String, deployment: &String| {
        // A name that breaks the rule has been reported where it stands.
        if Rule::Topic.objection(topic).is_none() {
            uses.entry(topic.clone())
                .or_insert((origin, source.clone(), deployment.clone()));
        }
    };
    for (name, deployment) in &manifest.deployments {
        note(&deployment.topic, Origin::Consumed, &deployment.source, name);
    }
    for (name, deployment) in &manifest.deployments {
        for topic in &deployment.grants.emit {
            note(topic, Origin::Emitted, &deployment.source, name);
        }
    }
    for (name, deployment) in &manifest.deployments {
        if let Some(topic) = &deployment.dead_letter {
            note(topic, Origin::DeadLetter, &deployment.source, name);
        }
    }
    for (name, deployment) in &manifest.deployments {
        if let Some(RetryTopic::Topic(topic)) = &deployment.retry_topic {
            note(topic, Origin::Retry, &deployment.source, name);
        }
    }
    uses
}

/// Of an embedded engine; a cluster has a default of its own.
fn default_retention(origin: Origin) -> Retention {
    match origin {
        // A dead letter is finished with when it has been redriven.
        Origin::Consumed | Origin::DeadLetter => Retention::Queue,
        Origin::Listed | Origin::Emitted | Origin::Retry => Retention::DEFAULT,
    }
}

fn created(name: &str, origin: Origin, deployment: &str, kind: SourceKind) -> Problem {
    let (why, retention) = match origin {
        Origin::Consumed => ("has its records handled", "\"queue\""),
        _ => ("is emitted to", "\"7d\""),
    };
    let how = match kind {
        SourceKind::Embedded => format!("it is created with 1 partition and retention {retention}"),
        SourceKind::Kafka => "if the cluster lacks it, it is created there with 1 partition".to_owned(),
    };
    let message = format!("topic {name} {why} by {deployment} and is not listed: {how}");
    Problem::new(Severity::Note, format!("topics.{name}"), message)
        .hint(format!("add [topics.{}] to choose otherwise", key_name(name)))
}

/// Segment size of topics that are large enough for it.
const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// A topic of its own table; what it does not say of retention [`complete`] adds.
pub(super) fn read(section: Section<'_, '_>, home: &Home<'_>) -> Topic {
    let (source, kind) = home.of_section(&section);
    read_of(&section.of_kind(kind), source, kind)
}

fn read_of(section: &Section<'_, '_>, source: String, kind: SourceKind) -> Topic {
    let partitions = small(section.integer("partitions"));
    let retention = section
        .get("retention")
        .and_then(|value| read_retention(section, value, kind));
    if kind == SourceKind::Kafka {
        return Topic {
            origin: Origin::Listed,
            source,
            partitions,
            max_bytes: None,
            on_full: None,
            segment_bytes: section.get("segment-bytes").map(|_| section.size("segment-bytes")),
            retention,
        };
    }
    let max_bytes = section.size("max-bytes");
    let segment_bytes = match section.get("segment-bytes") {
        Some(_) => section.size("segment-bytes"),
        None => SEGMENT_BYTES_DEFAULT.min(max_bytes / 4),
    };
    Topic {
        origin: Origin::Listed,
        source,
        partitions,
        max_bytes: Some(max_bytes),
        on_full: Some(if section.choice("on-full") == "drop-oldest" {
            OnFull::DropOldest
        } else {
            OnFull::Refuse
        }),
        segment_bytes: Some(segment_bytes),
        retention: retention.or(Some(Retention::DEFAULT)),
    }
}

fn read_retention<'i>(section: &Section<'_, 'i>, value: &Value<'i>, kind: SourceKind) -> Option<Retention> {
    match value.get_ref() {
        DeValue::String(text) if &**text == "queue" && kind == SourceKind::Kafka => {
            section.refuse(
                "retention",
                "is \"queue\", and Kafka does not know when every group has finished with a record",
                "write a duration such as \"7d\", or leave it out: the cluster has a default",
            );
            None
        }
        DeValue::String(text) if &**text == "queue" => Some(Retention::Queue),
        DeValue::String(text) if &**text == "forever" => Some(Retention::Forever),
        DeValue::String(text) if text.starts_with(|c: char| c.is_ascii_digit()) => section
            .duration_of("retention", value, Retention::TIME_MIN, Retention::TIME_MAX)
            .map(|time| Retention::Limited {
                time: Some(time),
                size: None,
            }),
        DeValue::String(text) => {
            let message = format!("is \"{text}\", expected \"queue\", \"forever\" or a duration such as \"7d\"");
            section.refuse(
                "retention",
                &message,
                "queue keeps records until every group has finished with them",
            );
            None
        }
        DeValue::Table(table) => read_limits(section, table),
        other => {
            section.wrong_type(
                "retention",
                value,
                other,
                "\"queue\", \"forever\", a duration or a table",
            );
            None
        }
    }
}

fn read_limits<'i>(section: &Section<'_, 'i>, table: &DeTable<'i>) -> Option<Retention> {
    let (mut time, mut size) = (None, None);
    for (key, value) in table {
        match &**key.get_ref() {
            "time" => time = section.duration_of("retention.time", value, Retention::TIME_MIN, Retention::TIME_MAX),
            "size" => size = section.size_of("retention.size", value, Retention::SIZE_MIN, Retention::SIZE_MAX),
            other => {
                let message = format!("unknown key {}.retention.{other}", section.path());
                section.report(message, "known keys here: time, size");
            }
        }
    }
    if table.is_empty() {
        section.refuse("retention", "is an empty table", "give time, size or both");
    }
    (time.is_some() || size.is_some()).then_some(Retention::Limited { time, size })
}

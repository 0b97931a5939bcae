//! Topics that the manifest names without listing them, and the defaults that depend on who uses a topic.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::load::read_topic;
use super::problem::{Problem, Severity};
use super::section::Section;
use super::types::{Manifest, Origin};
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
        if is_silent {
            topic.retention = default_retention(origin);
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
        let mut topic = read_topic(&listed.absent(name, "*"), source);
        topic.origin = *origin;
        topic.retention = default_retention(*origin);
        if *origin != Origin::DeadLetter {
            context.problems.borrow_mut().push(created(name, *origin, deployment));
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
    uses
}

fn default_retention(origin: Origin) -> Retention {
    match origin {
        // A dead letter is finished with when it has been redriven.
        Origin::Consumed | Origin::DeadLetter => Retention::Queue,
        Origin::Listed | Origin::Emitted => Retention::DEFAULT,
    }
}

fn created(name: &str, origin: Origin, deployment: &str) -> Problem {
    let (why, retention) = match origin {
        Origin::Consumed => ("has its records handled", "\"queue\""),
        _ => ("is emitted to", "\"7d\""),
    };
    let message = format!(
        "topic {name} {why} by {deployment} and is not listed: it is created with 1 partition and retention {retention}"
    );
    Problem::new(Severity::Note, format!("topics.{name}"), message)
        .hint(format!("add [topics.{}] to choose otherwise", key_name(name)))
}

//! Rules between keys of a manifest. Pure; the file system is asked in [`super::files`].

use std::collections::BTreeMap;

use super::context::Context;
use super::problem::{Problem, Severity};
use super::section::Section;
use super::types::{Deployment, Manifest, OnFull, Origin};
use super::units::{format_duration, format_size};
use super::values::Retention;

/// Checks everything that takes more than one key.
pub(super) fn relations(manifest: &Manifest, root: &Section<'_, '_>, context: &Context<'_>) {
    let topics = root.section("topics");
    for name in manifest.topics.keys() {
        check_topic(manifest, name, &topics.section_at(name), context);
    }
    let deployments = root.section("deployments");
    for (name, deployment) in &manifest.deployments {
        let section = deployments.section_at(name);
        check_times(deployment, &section);
        check_source(manifest, &deployment.source, &section);
        check_dead_letter(manifest, name, deployment, &section, context);
        check_guest_paths(deployment, &section);
    }
    check_groups(manifest, &deployments);
    if manifest.deployments.is_empty() {
        let problem = Problem::new(
            Severity::Warning,
            "deployments",
            "there is no deployment: nothing will be handled",
        );
        context
            .problems
            .borrow_mut()
            .push(problem.hint("add [deployments.NAME] with component and topic"));
    }
}

fn check_topic(manifest: &Manifest, name: &str, section: &Section<'_, '_>, context: &Context<'_>) {
    let Some(topic) = manifest.topics.get(name) else { return };
    if topic.origin == Origin::Listed {
        check_source(manifest, &topic.source, section);
    }
    if let (Some(segment_bytes), Some(half)) = (topic.segment_bytes, topic.max_bytes.map(|most| most / 2))
        && segment_bytes > half
    {
        let objection = format!(
            "is {}, above half of max-bytes ({})",
            format_size(segment_bytes),
            format_size(half)
        );
        section.refuse(
            "segment-bytes",
            &objection,
            "space is freed in whole segments: raise max-bytes or lower segment-bytes",
        );
    }
    if topic.on_full == Some(OnFull::DropOldest) && topic.retention == Some(Retention::Queue) {
        let message =
            format!("topics.{name} drops its oldest records when it is full, even those that no group has handled");
        let problem = Problem::new(Severity::Warning, format!("topics.{name}.on-full"), message);
        context.problems.borrow_mut().push(
            problem
                .line(section.line_of("on-full"))
                .hint("use on-full = \"refuse\" to make producers wait instead"),
        );
    }
}

fn check_source(manifest: &Manifest, source: &str, section: &Section<'_, '_>) {
    if !manifest.sources.contains_key(source) {
        let known = manifest
            .sources
            .keys()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ");
        section.refuse(
            "source",
            &format!("is \"{source}\", which is not among the sources"),
            &format!("known sources: {known}"),
        );
    }
}

fn check_times(deployment: &Deployment, section: &Section<'_, '_>) {
    let show = format_duration;
    if deployment.deadline > deployment.max_lease {
        let objection = format!(
            "is {}, above max-lease ({})",
            show(deployment.deadline),
            show(deployment.max_lease)
        );
        section.refuse(
            "deadline",
            &objection,
            "one call is part of one attempt: lower deadline or raise max-lease",
        );
    }
    if deployment.backoff.first > deployment.backoff.max {
        let objection = format!(
            "is {}, above backoff.max ({})",
            show(deployment.backoff.first),
            show(deployment.backoff.max)
        );
        section
            .section("backoff")
            .refuse("first", &objection, "the delay grows from first to max");
    }
}

fn check_dead_letter(
    manifest: &Manifest,
    name: &str,
    deployment: &Deployment,
    section: &Section<'_, '_>,
    context: &Context<'_>,
) {
    let is_given = section.get("dead-letter").is_some();
    let is_dead_letter_topic = manifest
        .deployments
        .values()
        .any(|other| other.dead_letter.as_ref() == Some(&deployment.topic));
    let warn = |severity, message: String, hint: &str| {
        let problem = Problem::new(severity, format!("deployments.{name}.dead-letter"), message);
        context
            .problems
            .borrow_mut()
            .push(problem.line(section.line_of("dead-letter")).hint(hint));
    };
    match &deployment.dead_letter {
        Some(topic) if *topic == deployment.topic => {
            section.refuse(
                "dead-letter",
                &format!("is \"{topic}\", the topic that it handles"),
                "choose another topic",
            );
        }
        Some(topic) if is_given && is_dead_letter_topic => {
            let objection = format!(
                "is \"{topic}\", and {} is a dead-letter topic, which has none of its own",
                deployment.topic
            );
            section.refuse("dead-letter", &objection, "write dead-letter = false");
        }
        None if is_given => warn(
            Severity::Warning,
            format!(
                "deployments.{name} keeps no dead letters: records that are rejected or run out of attempts are gone"
            ),
            "leave dead-letter out to keep them",
        ),
        None => warn(
            Severity::Note,
            format!(
                "deployments.{name} handles the dead-letter topic {} and keeps no dead letters of its own",
                deployment.topic
            ),
            "write dead-letter = false to say so",
        ),
        Some(_) => {}
    }
}

fn check_guest_paths(deployment: &Deployment, section: &Section<'_, '_>) {
    let items = section.section("grants").items("files");
    let mut seen: Vec<&str> = Vec::new();
    for (grant, item) in deployment.grants.files.iter().zip(&items) {
        let parts = || grant.guest.split('/').skip(1);
        if item.get("guest").is_none() {
            continue;
        }
        if !grant.guest.starts_with('/') {
            item.refuse(
                "guest",
                &format!("is \"{}\", which is not an absolute path", grant.guest),
                "begin it with \"/\"",
            );
        } else if grant.guest != "/" && parts().any(|part| matches!(part, "" | "." | "..")) {
            let objection = format!("is \"{}\", which has an empty, \".\" or \"..\" part", grant.guest);
            item.refuse("guest", &objection, "write it without, for example \"/images\"");
        }
        if let Some(other) = seen.iter().find(|other| overlap(other, &grant.guest)) {
            item.refuse(
                "guest",
                &format!("is \"{}\", which overlaps with \"{other}\"", grant.guest),
                "no guest path may lie in another",
            );
        }
        seen.push(&grant.guest);
    }
}

fn overlap(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim_end_matches('/'), b.trim_end_matches('/'));
    let within = |inner: &str, outer: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within(a, b) || within(b, a)
}

/// Deployments of one group: never the same topic, always the same rules.
fn check_groups(manifest: &Manifest, deployments: &Section<'_, '_>) {
    let mut first_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, deployment) in &manifest.deployments {
        let earlier = first_of.entry(&deployment.group).or_default();
        let section = deployments.section_at(name);
        for (index, other_name) in earlier.iter().enumerate() {
            let Some(other) = manifest.deployments.get(*other_name) else {
                continue;
            };
            if (&other.source, &other.topic) == (&deployment.source, &deployment.topic) {
                let objection = format!(
                    "is \"{}\" on topic {}, which is taken by deployments.{other_name}",
                    deployment.group, deployment.topic
                );
                section.refuse(
                    "group",
                    &objection,
                    "give one of them another group, or raise concurrency of one",
                );
                continue;
            }
            // Told once, against the first of the group.
            let differences = if index == 0 {
                disagreements(deployment, other)
            } else {
                Vec::new()
            };
            for (key, mine, theirs) in differences {
                let objection = format!(
                    "is {mine}, and deployments.{other_name} of the same group \"{}\" has {theirs}",
                    deployment.group
                );
                section.refuse(
                    key,
                    &objection,
                    "these belong to the group: write the same value, or use another group",
                );
            }
        }
        earlier.push(name);
    }
}

/// Keys that belong to the group, with both values where they differ.
fn disagreements(a: &Deployment, b: &Deployment) -> Vec<(&'static str, String, String)> {
    let dead = |d: &Deployment| {
        d.dead_letter
            .clone()
            .map_or_else(|| "false".to_owned(), |name| format!("\"{name}\""))
    };
    let given = |value: Option<String>| value.unwrap_or_else(|| "no value".to_owned());
    let lock = |d: &Deployment| given(d.lock.map(format_duration));
    let start = |d: &Deployment| given(d.start.map(|start| start.to_string()));
    [
        ("attempts", a.attempts.to_string(), b.attempts.to_string()),
        ("lock", lock(a), lock(b)),
        ("start", start(a), start(b)),
        ("dead-letter", dead(a), dead(b)),
    ]
    .into_iter()
    .filter(|(_, mine, theirs)| mine != theirs)
    .collect()
}

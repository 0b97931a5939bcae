//! What a data directory holds and its manifest does not name any more: told by `config check`, never removed.

use super::open::{self, Absent, Patience, Place};
use crate::admin::{Admin, AdminClient, GroupSummary, TopicSummary};
use crate::config::{Manifest, Problem, Severity};
use crate::output::{self, Failure};

/// Topics and groups of the manifest's data directory that the manifest does not name. Asks the host that runs on it, or opens it for a
/// moment; looks at nothing where there is no data yet.
pub(super) async fn find(manifest: &Manifest) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, source) in &manifest.sources {
        let key = format!("sources.{name}.data-dir");
        let place = Place {
            source: source.clone(),
            profile: manifest.host.profile,
            manifest: None,
            is_broken: false,
        };
        match ask(&place).await {
            Ok(Some((topics, groups))) => found.extend(compare(manifest, &key, &topics, &groups)),
            Ok(None) => {}
            Err(failure) => found.extend(failure.lines().map(|(message, hint)| {
                let message = format!("what the manifest has left over is not known: {message}");
                let problem = Problem::new(Severity::Warning, &*key, message);
                match hint {
                    Some(hint) => problem.hint(hint),
                    None => problem,
                }
            })),
        }
    }
    found
}

type Held = (Vec<TopicSummary>, Vec<GroupSummary>);

/// `None` where there is no data yet: opening would begin it.
async fn ask(place: &Place) -> Result<Option<Held>, Failure> {
    let is_begun = place.data_dir().join("format").exists();
    if !is_begun && AdminClient::connect(place.data_dir()).await?.is_none() {
        return Ok(None);
    }
    let look = async |admin: &dyn Admin| Ok((admin.topics().await?, admin.groups().await?));
    let held = open::once(place, Absent::Refuse, &Patience::default(), look).await?;
    Ok(Some(held))
}

fn compare(manifest: &Manifest, key: &str, topics: &[TopicSummary], groups: &[GroupSummary]) -> Vec<Problem> {
    let is_wished = |group: &str, topic: &str| {
        let mut deployments = manifest.deployments.values();
        deployments.any(|deployment| deployment.group == group && deployment.topic == topic)
    };
    let mut found = Vec::new();
    for group in groups {
        let name = &group.name;
        let left: Vec<&str> = group
            .topics
            .iter()
            .map(String::as_str)
            .filter(|topic| !is_wished(name, topic))
            .collect();
        let is_used = manifest
            .deployments
            .values()
            .any(|deployment| deployment.group == *name);
        let (message, hint) = if !is_used {
            let open = output::counted(group.available + group.acquired + group.parked, "unsettled record");
            let message =
                format!("share group {name} is in the data directory, with {open}, and no deployment is in it");
            let hint = "its topics keep what it has not settled; if it is not needed: sharemill group delete";
            (message, format!("{hint} {name}"))
        } else if !left.is_empty() {
            let topics = left.join(", ");
            let message = format!("share group {name} is still on topic {topics}, which no deployment handles in it");
            let hint = "a topic keeps what its groups have not settled; delete the topic, or give the deployment another group";
            (message, hint.to_owned())
        } else {
            continue;
        };
        found.push(Problem::new(Severity::Warning, key, message).hint(hint));
    }
    for topic in topics.iter().filter(|topic| !manifest.topics.contains_key(&topic.name)) {
        let message = format!(
            "topic {} is in the data directory, with {} and {}, and not in the manifest",
            topic.name,
            output::counted(topic.records, "record"),
            output::bytes(topic.bytes)
        );
        let hint = format!("if it is not needed: sharemill topic delete {}", topic.name);
        found.push(Problem::new(Severity::Note, key, message).hint(hint));
    }
    found
}

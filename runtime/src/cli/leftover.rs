//! What a data directory holds and its manifest does not name any more: told by `config check`, never removed.

use super::direct;
use super::open::Patience;
use crate::admin::{self, Admin as _, AdminClient, GroupSummary, TopicSummary};
use crate::config::{EmbeddedSource, Manifest, Problem, Severity, Source};
use crate::output::{self, Failure};

/// Topics and groups of the manifest's data directory that the manifest does not name. Asks the host that runs on it, or looks at it;
/// changes nothing.
pub(super) async fn find(manifest: &Manifest) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, source) in &manifest.sources {
        // A cluster has topics and groups of others.
        let Source::Embedded(source) = source else { continue };
        let key = format!("sources.{name}.data-dir");
        match ask(source).await {
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

/// As soon as somebody answers, or nobody has the directory; `None` where there is no data yet.
async fn ask(source: &EmbeddedSource) -> Result<Option<Held>, Failure> {
    let patience = Patience::default();
    loop {
        match look(source).await {
            Err(failure) if failure.is_passing() && patience.wait(&failure).await => {}
            looked => return looked,
        }
    }
}

async fn look(source: &EmbeddedSource) -> Result<Option<Held>, Failure> {
    if let Some(client) = AdminClient::connect(&source.data_dir).await? {
        return Ok(Some((client.topics().await?, client.groups().await?)));
    }
    if !source.data_dir.join("format").exists() {
        return Ok(None);
    }
    let survey = direct::survey(source).await?;
    Ok(Some(admin::summaries(&survey)))
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
            let counts = [group.available, group.acquired, group.parked];
            let open = output::counted(counts.into_iter().flatten().sum(), "unsettled record");
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
            output::counted(topic.records.unwrap_or(0), "record"),
            output::bytes(topic.bytes.unwrap_or(0))
        );
        let hint = format!("if it is not needed: sharemill topic delete {}", topic.name);
        found.push(Problem::new(Severity::Note, key, message).hint(hint));
    }
    found
}

//! The topics that a deployment reads and writes: whether they are there, and what the principal may do with them.

use share_client::admin::{Access, AdminError, DeadLetters, Limits, NewTopic, Presence, Want};
use share_client::tools::{On, Operation};

use super::super::error::asked;
use super::{Findings, Look};
use crate::config::{Origin, RetryTopic};
use crate::source::retry_topic;

/// What a topic is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Letters,
    Emits,
    Copies,
}

impl Use {
    /// What goes there.
    const fn what(self) -> &'static str {
        match self {
            Self::Letters => "dead letters",
            Self::Emits => "emitted records",
            Self::Copies => "records that wait",
        }
    }

    /// What happens as long as nobody can write there.
    const fn without(self) -> &'static str {
        match self {
            Self::Letters => "what is given up is held instead, and comes again",
            Self::Emits => "whatever emits there fails",
            Self::Copies => "records that wait stay where they are, and may keep others from coming",
        }
    }
}

impl Look<'_> {
    /// How many partitions the topic has whose records are handled. `None`: it is not there, or may not be seen.
    pub(super) async fn at_topic(&self, findings: &mut Findings) -> Option<u64> {
        let (name, topic) = (self.name, &self.deployment.topic);
        let partitions = match self.admin.topic(topic).await {
            Ok(there) => there.partitions,
            Err(error) if error.is_missing() => {
                let wanted = self.wanted(topic);
                let found = format!("topic {topic} is not there");
                let (found, hint) = match self.admin.may_create(&wanted).await {
                    Ok(()) => (found, "sharemill run makes it".to_owned()),
                    Err(error) => (
                        format!("{found} and cannot be made, {error}"),
                        self.to_be_made(&wanted, &error),
                    ),
                };
                findings.bad(name, found, Some(hint));
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
            let read = self.admin.read(topic, led.partition, want).await;
            findings.read(name, topic, count, read.map(drop));
        }
        Some(count)
    }

    /// Those that are written: for dead letters, emitted records and records that wait.
    pub(super) async fn at_other_topics(&self, limits: &Limits, findings: &mut Findings) {
        let deployment = self.deployment;
        let mut targets = Vec::new();
        match (limits.dead_letters.value(), &deployment.dead_letter) {
            (Some(letters), _) => self.at_brokers_letters(letters, findings).await,
            (None, Some(topic)) => targets.push((topic.as_str(), Use::Letters)),
            (None, None) => {}
        }
        targets.extend(deployment.grants.emit.iter().map(|topic| (topic.as_str(), Use::Emits)));
        let retry = deployment.retry_topic.as_ref().and_then(RetryTopic::topic);
        targets.extend(retry.map(|topic| (topic, Use::Copies)));
        if targets.is_empty() {
            return;
        }
        let names: Vec<&str> = targets.iter().map(|(topic, _)| *topic).collect();
        let known = match self.admin.access(&names).await {
            Ok(known) => known,
            Err(error) => {
                let what = format!("what may be done with {}", names.join(", "));
                return findings.failed(self.name, &what, &error);
            }
        };
        for (topic, purpose) in targets {
            if let Some(access) = known.get(topic) {
                self.at_target(topic, purpose, *access, findings).await;
            }
        }
    }

    async fn at_target(&self, topic: &str, purpose: Use, access: Access, findings: &mut Findings) {
        let (name, who) = (self.name, &self.who);
        let (what, without) = (purpose.what(), purpose.without());
        if access.presence == Presence::Missing && !self.is_made(topic, purpose, findings).await {
            return;
        }
        let grant = |operation| who.grant(&[operation], On::Topics(&[topic]));
        match access.allows(Operation::Write) {
            Some(true) if access.presence == Presence::There => {
                findings.good(name, format!("topic {topic} for {what} is there and may be written"));
            }
            Some(true) => {}
            Some(false) => {
                let found = format!("{who} needs WRITE on topic {topic} for {what}: {without}");
                let mut hint = format!("have it granted: {}", grant(Operation::Write));
                if access.presence == Presence::Hidden {
                    hint = format!(
                        "{hint}; and made, if it is not there: {}",
                        self.wanted(topic).command(who)
                    );
                }
                findings.bad(name, found, Some(hint));
            }
            None => {
                let found = format!("the brokers do not say whether topic {topic} for {what} may be written");
                findings.note(name, found, "");
            }
        }
        let may_not_read = access.allows(Operation::Read) == Some(false);
        if purpose == Use::Copies && may_not_read && access.presence != Presence::Hidden {
            let found = format!("{who} needs READ on topic {topic}: until then records that wait are not moved there");
            let hint = format!("have it granted: {}", grant(Operation::Read));
            findings.note(name, found, &hint);
        }
    }

    /// Whether somebody makes a topic that is missing.
    async fn is_made(&self, topic: &str, purpose: Use, findings: &mut Findings) -> bool {
        let (what, without) = (purpose.what(), purpose.without());
        let found = format!("topic {topic} for {what} is not there");
        let wanted = self.wanted(topic);
        match (self.admin.may_create(&wanted).await, purpose) {
            (Ok(()), Use::Copies) => findings.note(self.name, format!("{found} yet"), "the first of them makes it"),
            (Ok(()), _) => findings.note(self.name, format!("{found} yet"), "sharemill run makes it"),
            (Err(error), _) => {
                let found = format!("{found} and cannot be made, {error}: {without}");
                let hint = self.to_be_made(&wanted, &error);
                if purpose == Use::Copies {
                    // The host works without it.
                    findings.note(self.name, found, &hint);
                } else {
                    findings.bad(self.name, found, Some(hint));
                }
                return false;
            }
        }
        true
    }

    /// As `run` makes it.
    fn wanted(&self, topic: &str) -> NewTopic {
        match self.manifest.topics.get(topic) {
            Some(listed) if listed.origin != Origin::Retry => listed.in_kafka(topic),
            Some(_) => retry_topic(topic),
            None => NewTopic::named(topic),
        }
    }

    /// The way out for whoever may.
    fn to_be_made(&self, wanted: &NewTopic, error: &AdminError) -> String {
        match error {
            AdminError::Denied(_) => format!("have it made: {}", wanted.command(&self.who)),
            other => asked(other).unwrap_or_else(|| other.to_string()),
        }
    }

    /// The host has nothing to do with these.
    async fn at_brokers_letters(&self, letters: &DeadLetters, findings: &mut Findings) {
        let (topic, group) = (letters.topic.as_str(), &self.deployment.group);
        let found = format!(
            "the brokers write the dead letters of group {group} themselves, to {topic}: without a handler's reason and log"
        );
        findings.good(self.name, found);
        let known = self.admin.access(&[topic]).await.unwrap_or_default();
        if known
            .get(topic)
            .is_some_and(|access| access.presence == Presence::Missing)
        {
            let hint = format!(
                "brokers with errors.deadletterqueue.auto.create.topics.enable make it; else have it made: {}",
                NewTopic::named(topic).command(&self.who)
            );
            findings.note(
                self.name,
                format!("topic {topic} for dead letters is not there yet"),
                &hint,
            );
        }
    }
}

//! What there is to do for a group, and what keeps it from being done.

use std::collections::BTreeMap;

use share_client::admin::states::{DeliveryState, ShareState};
use share_client::admin::{At, Isolation, Limits, Offset, Reset};

use super::super::limits::assumption;
use super::{Findings, Look};
use crate::config::{Deployment, RetryTopic, Start, format_duration};

impl Look<'_> {
    /// What there is to do, and what keeps it from being done.
    pub(super) async fn at_records(&self, limits: &Limits, findings: &mut Findings) {
        let Look {
            name,
            deployment,
            admin,
            ..
        } = *self;
        let (group, topic) = (&deployment.group, &deployment.topic);
        self.at_copies(findings).await;
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
            self.open_transactions(&ends, &stable.unwrap_or_default(), findings);
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
                     changed: {}",
                    self.who.set_group(group, "share.auto.offset.reset", "earliest")
                );
                let found = format!(
                    "group {group} has no start offset and begins at the end{}: the {there} records in {topic} are skipped",
                    assumption(&limits.reset)
                );
                findings.bad(name, found, Some(hint));
            }
            return;
        }
        self.left(there, findings).await;
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
    fn open_transactions(&self, ends: &BTreeMap<i32, Offset>, stable: &BTreeMap<i32, Offset>, findings: &mut Findings) {
        let topic = &self.deployment.topic;
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
                    "its producer ends it, or the brokers do after its transaction.timeout.ms; by hand: {}",
                    self.who.abort(topic, *partition, stable)
                );
                findings.bad(self.name, found, Some(hint));
            }
        }
    }

    /// Of `there` records in the topic.
    async fn left(&self, there: u64, findings: &mut Findings) {
        let Look {
            name,
            deployment,
            admin,
            ..
        } = *self;
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

    /// Records that wait elsewhere, and are easily overlooked there.
    async fn at_copies(&self, findings: &mut Findings) {
        let Some(topic) = self.deployment.retry_topic.as_ref().and_then(RetryTopic::topic) else {
            return;
        };
        let left = self.admin.backlog(&self.deployment.group, topic).await;
        // Where it may not be seen, that was said before.
        if let Ok((copies @ 1.., guessed)) = left.map(|backlog| backlog.total()) {
            let about = if guessed { "about " } else { "" };
            let hint = "they are handed out when they are due, while sharemill run works on the group";
            findings.note(
                self.name,
                format!("{about}{copies} copies wait in the retry topic {topic}"),
                hint,
            );
        }
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

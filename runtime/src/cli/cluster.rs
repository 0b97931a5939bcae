//! Topics, groups and records of a Kafka cluster as tables: the columns that a cluster has an answer for. Called by the commands
//! that print them.

use std::fmt::Write as _;

use super::shown::or_dash;
use crate::admin::{GroupDetail, GroupSummary, PartitionBrokers, RecordState, RecordView, TopicDetail, TopicSummary};
use crate::output::{Align, Table, bytes, milliseconds};

/// Topics in a list.
pub(super) fn topics(topics: &[TopicSummary]) -> String {
    let mut table = Table::new(&[
        ("topic", Align::Left),
        ("partitions", Align::Right),
        ("records", Align::Right),
    ]);
    for topic in topics {
        table.row([topic.name.clone(), topic.partitions.to_string(), or_dash(topic.records)]);
    }
    table.render()
}

/// One topic.
pub(super) fn topic(topic: &TopicDetail) -> String {
    let summary = &topic.summary;
    let mut text = format!(
        "topic      {}\nrecords    {}\nretention  {}\nsegments   {}\n\n",
        summary.name,
        or_dash(summary.records),
        or_dash(summary.retention),
        topic
            .segment_bytes
            .map_or_else(|| "-".to_owned(), |size| format!("{} each", bytes(size))),
    );
    let mut partitions = Table::new(&[
        ("partition", Align::Right),
        ("log start", Align::Right),
        ("log end", Align::Right),
        ("leader", Align::Right),
        ("replicas", Align::Left),
        ("in sync", Align::Left),
    ]);
    for partition in &topic.partition_list {
        let brokers = partition.brokers.as_ref();
        let listed = |of: fn(&PartitionBrokers) -> &[i32]| {
            let numbers = brokers.map(of).unwrap_or_default().iter().map(ToString::to_string);
            numbers.collect::<Vec<_>>().join(",")
        };
        let reached = |offset: u64| or_dash(partition.failure.is_none().then_some(offset));
        partitions.row([
            partition.partition.to_string(),
            reached(partition.log_start),
            reached(partition.log_end),
            or_dash(brokers.and_then(|brokers| brokers.leader)),
            listed(|brokers| &brokers.replicas),
            listed(|brokers| &brokers.in_sync),
        ]);
    }
    text.push_str(&partitions.render());
    for partition in &topic.partition_list {
        if let Some(failure) = &partition.failure {
            // Writing to a string cannot fail.
            let _ = write!(text, "\npartition {} cannot be read: {failure}\n", partition.partition);
        }
    }
    if !topic.group_list.is_empty() {
        let mut groups = Table::new(&[("group", Align::Left), ("lag", Align::Right)]);
        for group in &topic.group_list {
            groups.row([group.group.clone(), or_dash(group.unsettled)]);
        }
        text.push('\n');
        text.push_str(&groups.render());
    }
    text
}

/// Groups in a list.
pub(super) fn groups(groups: &[GroupSummary]) -> String {
    let mut table = Table::new(&[
        ("group", Align::Left),
        ("topics", Align::Left),
        ("members", Align::Right),
        ("lag", Align::Right),
    ]);
    for group in groups {
        table.row([
            group.name.clone(),
            group.topics.join(", "),
            group.members.to_string(),
            or_dash(group.lag),
        ]);
    }
    table.render()
}

/// One group.
pub(super) fn group(group: &GroupDetail) -> String {
    let mut text = format!(
        "group                 {}\ndelivery count limit  {}\nlock                  {}\nstart                 {}\ndead letter           {}\n\n",
        group.summary.name,
        or_dash(group.delivery_count_limit),
        or_dash(group.lock_ms.map(milliseconds)),
        or_dash(group.start),
        or_dash(group.dead_letter.as_deref()),
    );
    let mut partitions = Table::new(&[
        ("topic", Align::Left),
        ("partition", Align::Right),
        ("start", Align::Right),
        ("log end", Align::Right),
        ("lag", Align::Right),
    ]);
    for partition in &group.share_partitions {
        partitions.row([
            partition.topic.clone(),
            partition.partition.to_string(),
            or_dash(partition.start_offset),
            partition.log_end.to_string(),
            or_dash(partition.lag),
        ]);
    }
    text.push_str(&partitions.render());
    if !group.member_list.is_empty() {
        let mut members = Table::new(&[
            ("member", Align::Left),
            ("client", Align::Left),
            ("host", Align::Left),
            ("assigned", Align::Left),
        ]);
        for member in &group.member_list {
            members.row([
                member.id.clone(),
                or_dash(member.client_id.as_deref()),
                or_dash(member.host.as_deref()),
                or_dash(member.assigned.as_ref().map(|assigned| assigned.join(", "))),
            ]);
        }
        text.push('\n');
        text.push_str(&members.render());
    }
    for note in &group.notes {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{note}\n");
    }
    text
}

/// States of records.
pub(super) fn records(records: &[RecordView]) -> String {
    let mut table = Table::new(&[
        ("topic", Align::Left),
        ("partition", Align::Right),
        ("offset", Align::Right),
        ("state", Align::Left),
        ("deliveries", Align::Right),
    ]);
    for record in records {
        table.row([
            record.topic.clone(),
            record.partition.to_string(),
            record.offset.to_string(),
            told(record.state).to_owned(),
            or_dash(record.delivery_count),
        ]);
    }
    table.render()
}

/// What nobody can know is said to be so.
fn told(state: RecordState) -> &'static str {
    match state {
        RecordState::Unknown => "held elsewhere or never delivered",
        RecordState::Finished => "finished, outcome no longer known",
        state => state.as_str(),
    }
}

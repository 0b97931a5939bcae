//! `sharemill group`.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{GroupCommand, GroupReset};
use super::cluster;
use super::open::{self, Absent, with, with_place};
use super::shown::or_dash;
use crate::admin::{Admin, DeleteGroup, GroupDetail, GroupSummary, ResetGroup, ResetPartition, ResetTo};
use crate::config::Start;
use crate::output::{self, Align, Failure, Format, Table, counted, milliseconds};

/// Runs one of the group commands.
pub(super) async fn run(command: GroupCommand) -> Result<(), Failure> {
    match command {
        GroupCommand::List(query) => {
            let place = open::place(&query.data)?;
            let groups = with_place(&place, Absent::Refuse, async |admin| Ok(admin.groups().await?)).await?;
            match query.format.into() {
                Format::Json => output::json(&Groups { groups }),
                Format::Table if place.is_cluster() => output::data(&cluster::groups(&groups)),
                Format::Table => output::data(&list(&groups)),
            }
        }
        GroupCommand::Describe(args) => {
            let describe = async |admin: &dyn Admin| Ok(admin.group(&args.group).await?);
            let group = with(&args.query.data, Absent::Refuse, describe).await?;
            print(&group, args.query.format.into())
        }
        GroupCommand::Reset(args) => reset(args).await,
        GroupCommand::Delete(args) => {
            let request = DeleteGroup { force: args.force };
            let delete = async |admin: &dyn Admin| Ok(admin.delete_group(&args.group, request).await?);
            let deleted = with(&args.query.data, Absent::Refuse, delete).await?;
            match args.query.format.into() {
                Format::Json => output::json(&deleted),
                Format::Table => {
                    let partitions = counted(deleted.share_partitions.into(), "share partition");
                    let unsettled = match deleted.unsettled {
                        Some(unsettled) => counted(unsettled, "record"),
                        None => "nobody knows how many records".to_owned(),
                    };
                    let group = &args.group;
                    output::data(&format!(
                        "deleted group {group} with {partitions}, {unsettled} unsettled\n"
                    ))
                }
            }
        }
    }
}

/// The answer of `group list` as JSON.
#[derive(Serialize)]
struct Groups {
    groups: Vec<GroupSummary>,
}

async fn reset(args: GroupReset) -> Result<(), Failure> {
    let request = ResetGroup {
        to: args.to,
        topic: args.topic.clone(),
        partition: args.partition,
        force: args.force,
    };
    let reset = async |admin: &dyn Admin| Ok(admin.reset_group(&args.group, request.clone()).await?);
    let result = with(&args.query.data, Absent::Refuse, reset).await?;
    if Format::from(args.query.format) == Format::Json {
        return output::json(&result);
    }
    let mut table = Table::new(&[
        ("topic", Align::Left),
        ("partition", Align::Right),
        ("from", Align::Right),
        ("to", Align::Right),
        ("epoch", Align::Right),
        ("to deliver", Align::Right),
    ]);
    for partition in &result.partitions {
        table.row([
            partition.topic.clone(),
            partition.partition.to_string(),
            or_dash(partition.from),
            partition.to.to_string(),
            or_dash(partition.state_epoch),
            partition.unsettled.to_string(),
        ]);
    }
    output::data(&table.render())?;
    for one in &result.left {
        let (topic, group) = (&one.topic, &args.group);
        let waits = match one.records {
            Some(1) => "1 copy still waits there".to_owned(),
            Some(records) => format!("{records} copies still wait there"),
            None => "nobody knows how many copies wait there".to_owned(),
        };
        output::message(&format!(
            "note: retry topic {topic} is left as it is: {waits}; sharemill group reset {group} --topic {topic} moves it, and below where it is \
             set to they are lost to the group"
        ));
    }
    if let ResetTo::Offset(offset) = args.to {
        for one in result.partitions.iter().filter(|one| one.to > offset) {
            let ResetPartition {
                topic, partition, to, ..
            } = one;
            output::message(&format!(
                "note: offset {offset} is not in {topic}/{partition} any more: the group begins at {to}, the first that is"
            ));
        }
    }
    if result.partitions.iter().any(|one| is_short(one, args.to)) {
        output::message(
            "note: a topic with retention queue does not keep what its groups have settled; that is not delivered again",
        );
    }
    Ok(())
}

/// Whether it was to go further back than the topic reaches.
fn is_short(done: &ResetPartition, to: ResetTo) -> bool {
    done.is_queue
        && match to {
            ResetTo::Start(Start::Latest) => false,
            ResetTo::Start(_) => done.from.is_some_and(|from| done.to >= from),
            ResetTo::Offset(offset) => done.to > offset,
        }
}

fn list(groups: &[GroupSummary]) -> String {
    let mut table = Table::new(&[
        ("group", Align::Left),
        ("topics", Align::Left),
        ("members", Align::Right),
        ("available", Align::Right),
        ("acquired", Align::Right),
        ("parked", Align::Right),
    ]);
    for group in groups {
        table.row([
            group.name.clone(),
            group.topics.join(", "),
            group.members.to_string(),
            or_dash(group.available),
            or_dash(group.acquired),
            or_dash(group.parked),
        ]);
    }
    table.render()
}

fn print(group: &GroupDetail, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return output::json(group);
    }
    if group.summary.available.is_none() {
        return output::data(&cluster::group(group));
    }
    let mut text = format!(
        "group        {}\nattempts     {}\nlock         {}\nstart        {}\ndead letter  {}\n\n",
        group.summary.name,
        or_dash(group.attempts),
        or_dash(group.lock_ms.map(milliseconds)),
        or_dash(group.start),
        group
            .dead_letter
            .as_deref()
            .unwrap_or("none: records given up are dropped"),
    );
    let mut partitions = Table::new(&[
        ("topic", Align::Left),
        ("partition", Align::Right),
        ("epoch", Align::Right),
        ("start", Align::Right),
        ("end", Align::Right),
        ("log end", Align::Right),
        ("available", Align::Right),
        ("acquired", Align::Right),
        ("parked", Align::Right),
        ("pinned by", Align::Right),
    ]);
    for partition in &group.share_partitions {
        partitions.row([
            partition.topic.clone(),
            partition.partition.to_string(),
            or_dash(partition.state_epoch),
            or_dash(partition.start_offset),
            or_dash(partition.end_offset),
            partition.log_end.to_string(),
            or_dash(partition.available),
            or_dash(partition.acquired),
            or_dash(partition.parked),
            or_dash(partition.pinned_by),
        ]);
    }
    text.push_str(&partitions.render());
    for partition in &group.share_partitions {
        if let Some(failure) = &partition.failure {
            let (topic, number) = (&partition.topic, partition.partition);
            let _ = write!(
                text,
                "\ntopic {topic} partition {number} stands, its next record cannot be read: {failure}\n"
            );
        }
    }
    if !group.member_list.is_empty() {
        let mut members = Table::new(&[
            ("member", Align::Left),
            ("deployment", Align::Left),
            ("acquired", Align::Right),
        ]);
        for member in &group.member_list {
            let deployment = or_dash(member.deployment.as_deref());
            members.row([member.id.clone(), deployment, or_dash(member.acquired)]);
        }
        text.push('\n');
        text.push_str(&members.render());
    }
    output::data(&text)
}

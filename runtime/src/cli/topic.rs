//! `sharemill topic`.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{TopicCommand, TopicCreate, TopicRead};
use super::cluster;
use super::open::{self, Absent, with, with_place};
use super::shown::{self, or_dash, shortened};
use crate::admin::{CreateTopic, DeleteTopic, ReadQuery, TopicDetail, TopicSummary};
use crate::output::{self, Align, Failure, Format, Table, bytes, counted, timestamp};

/// Runs one of the topic commands.
pub(super) async fn run(command: TopicCommand) -> Result<(), Failure> {
    match command {
        TopicCommand::List(query) => {
            let place = open::place(&query.data)?;
            let topics = with_place(&place, Absent::Refuse, async |admin| Ok(admin.topics().await?)).await?;
            match query.format.into() {
                Format::Json => output::json(&Topics { topics }),
                Format::Table if place.is_cluster() => output::data(&cluster::topics(&topics)),
                Format::Table => output::data(&list(&topics)),
            }
        }
        TopicCommand::Describe(args) => {
            let describe = async |admin: &dyn crate::admin::Admin| Ok(admin.topic(&args.topic).await?);
            let topic = with(&args.query.data, Absent::Refuse, describe).await?;
            print(&topic, args.query.format.into())
        }
        TopicCommand::Read(args) => read(&args).await,
        TopicCommand::Create(args) => create(&args).await,
        TopicCommand::Delete(args) => {
            let request = DeleteTopic { force: args.force };
            let delete = async |admin: &dyn crate::admin::Admin| Ok(admin.delete_topic(&args.topic, request).await?);
            let deleted = with(&args.query.data, Absent::Refuse, delete).await?;
            match args.query.format.into() {
                Format::Json => output::json(&deleted),
                Format::Table => {
                    let records = counted(deleted.records, "record");
                    let held = deleted
                        .bytes
                        .map_or_else(String::new, |held| format!(" and {}", bytes(held)));
                    output::data(&format!("deleted topic {} with {records}{held}\n", args.topic))
                }
            }
        }
    }
}

/// The answer of `topic list` as JSON.
#[derive(Serialize)]
struct Topics {
    topics: Vec<TopicSummary>,
}

async fn read(args: &TopicRead) -> Result<(), Failure> {
    let query = ReadQuery {
        partition: args.partition,
        from: args.from,
        limit: Some(args.limit),
    };
    let read = async |admin: &dyn crate::admin::Admin| Ok(admin.read(&args.topic, query.clone()).await?);
    let page = with(&args.query.data, Absent::Refuse, read).await?;
    if Format::from(args.query.format) == Format::Json {
        return output::json(&page);
    }
    let mut table = Table::new(&[
        ("partition", Align::Right),
        ("offset", Align::Right),
        ("when", Align::Left),
        ("key", Align::Left),
        ("value", Align::Left),
    ]);
    for stored in &page.records {
        table.row([
            stored.partition.to_string(),
            stored.offset.to_string(),
            stored.record.timestamp.map_or_else(|| "-".to_owned(), timestamp),
            shortened(&shown::text(stored.record.key.as_deref()), KEY_CHARACTERS),
            shortened(&shown::text(stored.record.value.as_deref()), VALUE_CHARACTERS),
        ]);
    }
    output::data(&table.render())?;
    if page.more {
        output::message("there are more: raise --limit, or go on with --partition and --from");
    }
    Ok(())
}

/// What a table shows of a key and of a value; `--format json` has all of both.
const KEY_CHARACTERS: usize = 30;
const VALUE_CHARACTERS: usize = 120;

async fn create(args: &TopicCreate) -> Result<(), Failure> {
    let request = CreateTopic {
        name: args.topic.clone(),
        partitions: args.partitions,
        retention: args.retention,
        max_bytes: args.max_bytes,
        on_full: args.on_full.map(Into::into),
        segment_bytes: args.segment_bytes,
    };
    let create = async |admin: &dyn crate::admin::Admin| Ok(admin.create_topic(request.clone()).await?);
    let topic = with(&args.query.data, Absent::Create, create).await?;
    match args.query.format.into() {
        Format::Json => output::json(&topic),
        Format::Table => output::data(&format!(
            "created topic {} with {}\n",
            topic.summary.name,
            counted(topic.summary.partitions.into(), "partition")
        )),
    }
}

fn list(topics: &[TopicSummary]) -> String {
    let mut table = Table::new(&[
        ("topic", Align::Left),
        ("partitions", Align::Right),
        ("records", Align::Right),
        ("size", Align::Right),
        ("limit", Align::Right),
        ("retention", Align::Left),
        ("groups", Align::Right),
    ]);
    for topic in topics {
        table.row([
            topic.name.clone(),
            topic.partitions.to_string(),
            or_dash(topic.records),
            or_dash(topic.bytes.map(bytes)),
            or_dash(topic.max_bytes.map(bytes)),
            or_dash(topic.retention),
            or_dash(topic.groups),
        ]);
    }
    table.render()
}

fn size(topic: &TopicSummary) -> String {
    let held = or_dash(topic.bytes.map(bytes));
    match (topic.max_bytes, topic.on_full) {
        (Some(limit), Some(on_full)) => format!("{held} of {}, then {}", bytes(limit), on_full.as_str()),
        _ => format!("{held}, without a limit"),
    }
}

fn print(topic: &TopicDetail, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return output::json(topic);
    }
    let summary = &topic.summary;
    if summary.bytes.is_none() {
        return output::data(&cluster::topic(topic));
    }
    let mut text = format!(
        "topic      {}\nrecords    {}\nsize       {}\nretention  {}\nsegments   {} each\n\n",
        summary.name,
        or_dash(summary.records),
        size(summary),
        or_dash(summary.retention),
        or_dash(topic.segment_bytes.map(bytes)),
    );
    let mut partitions = Table::new(&[
        ("partition", Align::Right),
        ("log start", Align::Right),
        ("log end", Align::Right),
        ("size", Align::Right),
        ("segments", Align::Right),
    ]);
    for partition in &topic.partition_list {
        partitions.row([
            partition.partition.to_string(),
            partition.log_start.to_string(),
            partition.log_end.to_string(),
            or_dash(partition.bytes.map(bytes)),
            or_dash(partition.segments),
        ]);
    }
    text.push_str(&partitions.render());
    for partition in &topic.partition_list {
        if let Some(failure) = &partition.failure {
            let _ = write!(text, "\npartition {} cannot be read: {failure}\n", partition.partition);
        }
    }
    if !topic.group_list.is_empty() {
        let mut groups = Table::new(&[("group", Align::Left), ("unsettled", Align::Right)]);
        for group in &topic.group_list {
            groups.row([group.group.clone(), or_dash(group.unsettled)]);
        }
        text.push('\n');
        text.push_str(&groups.render());
    }
    output::data(&text)
}

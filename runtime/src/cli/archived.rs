//! `sharemill archived`.

use super::args::{ArchivedArgs, ArchivedCommand, ArchivedFilter, ArchivedList, ArchivedRecover};
use super::open::{Absent, with};
use super::shown::{self, or_dash, shortened};
use crate::admin::{Admin, ArchivedQuery, Forgotten, RecoverFailure, RecoverRequest};
use crate::output::{self, Align, Failure, Format, Table, counted, timestamp};

/// Lists or copies what a group has given up.
pub(super) async fn run(args: ArchivedArgs) -> Result<(), Failure> {
    match args.command {
        Some(ArchivedCommand::Recover(args)) => recover(args).await,
        Some(ArchivedCommand::List(args)) => list(args).await,
        None => list(args.list).await,
    }
}

async fn list(args: ArchivedList) -> Result<(), Failure> {
    let (group, query) = query(args.filter, args.limit);
    let ask = async |admin: &dyn Admin| Ok(admin.archived(&group, query.clone()).await?);
    let page = with(&args.query.data, Absent::Refuse, ask).await?;
    if Format::from(args.query.format) == Format::Json {
        return output::json(&page);
    }
    let mut table = Table::new(&[
        ("topic", Align::Left),
        ("partition", Align::Right),
        ("offset", Align::Right),
        ("deliveries", Align::Right),
        ("when", Align::Left),
        ("key", Align::Left),
        ("value", Align::Left),
    ]);
    for archived in &page.archived {
        let record = archived.record.as_ref();
        let text = |bytes: fn(&crate::admin::Record) -> Option<&[u8]>, characters| {
            record.map_or_else(
                || "-".to_owned(),
                |record| shortened(&shown::text(bytes(record)), characters),
            )
        };
        let value = match record {
            Some(_) => text(|record| record.value.as_deref(), VALUE_CHARACTERS),
            None => "(the topic does not keep it any more)".to_owned(),
        };
        table.row([
            archived.topic.clone(),
            archived.partition.to_string(),
            archived.offset.to_string(),
            archived.delivery_count.to_string(),
            or_dash(record.and_then(|record| record.timestamp).map(timestamp)),
            text(|record| record.key.as_deref(), KEY_CHARACTERS),
            value,
        ]);
    }
    output::data(&table.render())?;
    if page.more {
        output::message(&format!(
            "there are more than {}: raise --limit, or begin later with --from",
            args.limit
        ));
    }
    tell(&page.forgotten);
    Ok(())
}

async fn recover(args: ArchivedRecover) -> Result<(), Failure> {
    let (group, query) = query(args.filter, u32::MAX);
    let request = RecoverRequest {
        query,
        to: args.to.clone(),
    };
    let ask = async |admin: &dyn Admin| Ok(admin.recover(&group, request.clone()).await?);
    let result = with(&args.query.data, Absent::Refuse, ask).await?;
    if Format::from(args.query.format) == Format::Json {
        output::json(&result)?;
    } else {
        let recovered = counted(result.recovered, "record");
        output::data(&format!("{recovered} copied to {}\n", args.to))?;
        if result.gone > 0 {
            let gone = counted(result.gone, "archived record");
            output::message(&format!(
                "{gone} could not be copied: the topic does not keep them any more"
            ));
        }
        tell(&result.forgotten);
    }
    let Some(first) = result.failed.first() else {
        return Ok(());
    };
    for failed in &result.failed {
        output::failure(&not_copied(failed));
    }
    let RecoverFailure {
        topic,
        partition,
        offset,
        ..
    } = first;
    output::message(&format!(
        "it ended there; to go on: --topic {topic} --partition {partition} --from {offset}, and then the partitions behind it"
    ));
    Err(Failure::told())
}

fn not_copied(failed: &RecoverFailure) -> Failure {
    let RecoverFailure {
        topic,
        partition,
        offset,
        error,
    } = failed;
    let failure = Failure::new(format!(
        "{topic}/{partition}/{offset} was not copied: {}",
        error.message
    ));
    match &error.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn query(filter: ArchivedFilter, limit: u32) -> (String, ArchivedQuery) {
    let query = ArchivedQuery {
        topic: filter.topic,
        partition: filter.partition,
        from: filter.from,
        limit,
    };
    // The parser wants it.
    (filter.group.unwrap_or_default(), query)
}

/// What is no longer known is no proof that there was nothing.
fn tell(forgotten: &[Forgotten]) {
    for place in forgotten {
        let Forgotten {
            topic,
            partition,
            offsets,
            below,
        } = place;
        let offsets = counted(*offsets, "offset");
        output::note(&format!(
            "{offsets} of {topic}/{partition} below {below} finished, outcome no longer known"
        ));
    }
}

/// What a table shows of a key and of a value; `--format json` has all of both.
const KEY_CHARACTERS: usize = 30;
const VALUE_CHARACTERS: usize = 120;
